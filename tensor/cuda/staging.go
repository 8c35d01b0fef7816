package cuda

import (
	"unsafe"

	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// staging is page-locked memory that data goes through on its way to the device
// and back. There are two buffers, so that one is filled while the other is copied.
type staging struct {
	buffers [2]stagingBuffer
	turn    int
}

type stagingBuffer struct {
	mem  unsafe.Pointer
	done driver.Event // the last copy from it
}

const stagingBytes = 4 << 20

// next gives the buffer whose turn it is, once the device has read it.
func (s *staging) next(ctx driver.Context) (*stagingBuffer, error) {
	b := &s.buffers[s.turn]
	s.turn = 1 - s.turn
	if b.mem != nil {
		return b, ctx.SyncEvent(b.done)
	}
	e, err := ctx.NewEvent()
	if err != nil {
		return nil, err
	}
	b.done = e
	b.mem, err = ctx.AllocHost(stagingBytes)
	return b, err
}

func (b *stagingBuffer) bytes() []byte { return unsafe.Slice((*byte)(b.mem), stagingBytes) }

func (s *staging) upload(ctx driver.Context, st driver.Stream, dst driver.Ptr, src []byte) error {
	for len(src) > 0 {
		b, err := s.next(ctx)
		if err != nil {
			return err
		}
		n := copy(b.bytes(), src)
		if err := ctx.CopyIn(dst, b.mem, n, st); err != nil {
			return err
		}
		if err := ctx.Record(b.done, st); err != nil {
			return err
		}
		src, dst = src[n:], dst+driver.Ptr(n)
	}
	return nil
}

func (s *staging) download(ctx driver.Context, st driver.Stream, dst []byte, src driver.Ptr) error {
	for len(dst) > 0 {
		b, err := s.next(ctx)
		if err != nil {
			return err
		}
		n := min(len(dst), stagingBytes)
		if err := ctx.CopyOut(b.mem, src, n, st); err != nil {
			return err
		}
		if err := ctx.Wait(st); err != nil {
			return err
		}
		copy(dst[:n], b.bytes())
		dst, src = dst[n:], src+driver.Ptr(n)
	}
	return nil
}

func (s *staging) close(ctx driver.Context) (err error) {
	for i := range s.buffers {
		b := &s.buffers[i]
		if b.done != 0 {
			if e := ctx.DestroyEvent(b.done); err == nil {
				err = e
			}
		}
		if b.mem != nil {
			if e := ctx.FreeHost(b.mem); err == nil {
				err = e
			}
		}
		*b = stagingBuffer{}
	}
	return err
}
