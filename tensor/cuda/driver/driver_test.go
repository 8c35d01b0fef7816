//go:build linux && !nocuda && (amd64 || arm64)

package driver_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/langevin-go/langevin/internal/emulate"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

func open(t *testing.T) driver.Context {
	t.Helper()
	before := emulate.Count(t)
	c, err := emulate.Open(t).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		after := emulate.Count(t)
		before.Launches, after.Launches = 0, 0
		if after != before {
			t.Errorf("before the test there were %+v, now there are %+v", before, after)
		}
	})
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unavailable checks that err is a reason of one line.
func unavailable(t *testing.T, err error, want string) {
	t.Helper()
	var u *driver.Unavailable
	if !errors.As(err, &u) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line with %q", err, want)
	}
}

func TestNoLibrary(t *testing.T) {
	_, err := driver.Open("libcuda-that-is-not-there.so")
	unavailable(t, err, "no driver was found: libcuda-that-is-not-there.so")
	_, err = driver.Open("libm.so.6")
	unavailable(t, err, "the driver libm.so.6 lacks cu")
}

func TestNoDevice(t *testing.T) {
	emulate.Set(t, emulate.Devices, 0)
	_, err := driver.Open(emulate.Path(t))
	unavailable(t, err, "there is a driver but no device (CUDA_ERROR_NO_DEVICE)")
	if !errors.Is(err, driver.NoDevice) {
		t.Errorf("%v is not NoDevice", err)
	}
}

func TestDevices(t *testing.T) {
	emulate.Set(t, emulate.Devices, 2)
	d := emulate.Open(t)
	list, err := d.Devices()
	must(t, err)
	if len(list) != 2 || list[1].Name != "emulation 1" || list[1].Major != 8 || list[1].Minor != 0 || list[1].Memory != 1<<30 || list[1].Multiprocessors != 4 || list[1].SharedMemory != 163<<10 {
		t.Errorf("%+v", list)
	}
	if d.Version() != 11080 {
		t.Errorf("version %d", d.Version())
	}
	if _, err := d.Open(2); !errors.Is(err, driver.InvalidDevice) {
		t.Errorf("got %v, want InvalidDevice", err)
	}
}

func TestErrors(t *testing.T) {
	c := open(t)
	_, err := c.Load([]byte("nonsense"))
	var e *driver.Error
	if !errors.As(err, &e) || e.Result != driver.InvalidPTX || err.Error() != "cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX: ptxas fatal: this is no PTX for sm_80" {
		t.Errorf("got %v", err)
	}
	m, err := c.Load([]byte(".version 7.8\n.target sm_80\n"))
	must(t, err)
	if _, err = c.Function(m, "nothing"); !errors.Is(err, driver.NotFound) || err.Error() != "cuModuleGetFunction: CUDA_ERROR_NOT_FOUND: nothing" {
		t.Errorf("got %v", err)
	}
	must(t, c.Unload(m))
	p, err := c.Alloc(100)
	must(t, err)
	buf := make([]byte, 101)
	if err := c.CopyIn(p, unsafe.Pointer(&buf[0]), 101, 0); !errors.Is(err, driver.InvalidValue) {
		t.Errorf("a copy out of bounds: %v", err)
	}
	must(t, c.Free(p))
	if err := c.Free(p); !errors.Is(err, driver.InvalidValue) {
		t.Errorf("freed twice: %v", err)
	}
	emulate.Set(t, emulate.Memory, 1000)
	if _, err := c.Alloc(1001); !errors.Is(err, driver.OutOfMemory) {
		t.Errorf("got %v", err)
	}
	if s := driver.Result(12345).Error(); s != "CUDA error 12345" {
		t.Error(s)
	}
}

func TestCopies(t *testing.T) {
	c := open(t)
	s, err := c.NewStream()
	must(t, err)
	p, err := c.Alloc(64)
	must(t, err)
	q, err := c.Alloc(64)
	must(t, err)
	h, err := c.AllocHost(64)
	must(t, err)
	host := unsafe.Slice((*byte)(h), 64)
	for i := range host {
		host[i] = byte(i)
	}
	must(t, c.CopyIn(p, h, 64, s))
	must(t, c.Copy(q+8, p, 16, s))
	must(t, c.Clear(q, 8, s))
	got := make([]byte, 24)
	must(t, c.CopyOut(unsafe.Pointer(&got[0]), q, 24, s))
	must(t, c.Wait(s))
	if want := append(make([]byte, 8), host[:16]...); !bytes.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	free, total, err := c.MemInfo()
	must(t, err)
	if total != 1<<30 || free != total-128 {
		t.Errorf("%d of %d are free", free, total)
	}
	for _, err := range []error{c.FreeHost(h), c.Free(p), c.Free(q), c.DestroyStream(s)} {
		must(t, err)
	}
}

// TestGraph: what is captured happens at each replay, and only then.
func TestGraph(t *testing.T) {
	c := open(t)
	s, err := c.NewStream()
	must(t, err)
	p, err := c.Alloc(8)
	must(t, err)
	must(t, c.Clear(p, 8, s))
	src := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	read := func() []byte {
		got := make([]byte, 8)
		must(t, c.CopyOut(unsafe.Pointer(&got[0]), p, 8, 0))
		return got
	}
	must(t, c.Capture(s))
	must(t, c.CopyIn(p, unsafe.Pointer(&src[0]), 8, s))
	g, err := c.EndCapture(s)
	must(t, err)
	if got := read(); !bytes.Equal(got, make([]byte, 8)) {
		t.Errorf("capturing has written %v", got)
	}
	must(t, c.Replay(g, s))
	if got := read(); !bytes.Equal(got, src) {
		t.Errorf("the replay has written %v", got)
	}
	from, err := c.NewEvent()
	must(t, err)
	must(t, c.Record(from, s))
	must(t, c.WaitEvent(s, from))
	must(t, c.SyncEvent(from))
	_, err = c.Elapsed(from, from)
	must(t, err)
	for _, err := range []error{c.DestroyEvent(from), c.DestroyGraph(g), c.Free(p), c.DestroyStream(s)} {
		must(t, err)
	}
}

// TestThreads: goroutines share a context, whatever threads they run on.
func TestThreads(t *testing.T) {
	c := open(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				p, err := c.Alloc(16)
				if err != nil {
					t.Error(err)
					return
				}
				in, out := bytes.Repeat([]byte{byte(i)}, 16), make([]byte, 16)
				for _, err := range []error{c.CopyIn(p, unsafe.Pointer(&in[0]), 16, 0), c.CopyOut(unsafe.Pointer(&out[0]), p, 16, 0), c.Free(p)} {
					if err != nil {
						t.Error(err)
					}
				}
				if !bytes.Equal(in, out) {
					t.Errorf("goroutine %d reads %v", i, out)
				}
			}
		})
	}
	wg.Wait()
}
