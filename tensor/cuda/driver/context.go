//go:build linux && !nocuda && (amd64 || arm64)

package driver

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// context is a device's primary context. The driver keeps the current context of
// each thread, and goroutines change threads, so every call holds its thread
// and makes the context current first: two calls of the driver, which cost
// less than handing work over to a goroutine that owns a thread.
type context struct {
	l      *library
	info   Info
	device int32
	handle [1]uintptr

	// What launches hand over; here, so that they allocate nothing.
	launch sync.Mutex
	param  [1]unsafe.Pointer
	args   [11]uintptr
}

func (l *library) Open(i int) (Context, error) {
	dev, info, err := l.device(i)
	if err != nil {
		return nil, err
	}
	c := &context{l: l, info: info, device: dev}
	if err := l.call(&l.DevicePrimaryCtxRetain, uintptr(unsafe.Pointer(&c.handle[0])), uintptr(dev)); err != nil {
		return nil, err
	}
	return c, nil
}

//go:uintptrescapes
func (c *context) call(p *proc, args ...uintptr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return c.bound(p, args)
}

// bound calls p on a thread that is held.
func (c *context) bound(p *proc, args []uintptr) error {
	if r, _, _ := purego.SyscallN(c.l.CtxSetCurrent.addr, c.handle[:]...); int32(r) != 0 {
		return &Error{Call: c.l.CtxSetCurrent.name, Result: Result(int32(r))}
	}
	if r, _, _ := purego.SyscallN(p.addr, args...); int32(r) != 0 {
		return &Error{Call: p.name, Result: Result(int32(r))}
	}
	return nil
}

func (c *context) Info() Info { return c.info }

func (c *context) Close() error {
	return c.l.call(&c.l.DevicePrimaryCtxRelease, uintptr(c.device))
}

// Options of the PTX compiler (cuda.h).
const (
	jitErrorLog      = 5
	jitErrorLogBytes = 6
)

func (c *context) Load(image []byte) (m Module, err error) {
	if !bytes.HasSuffix(image, []byte{0}) { // PTX is text that ends with a zero
		image = append(bytes.Clone(image), 0)
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	log := make([]byte, 4096)
	pin.Pin(&log[0])
	options := [2]int32{jitErrorLog, jitErrorLogBytes}
	values := [2]uintptr{uintptr(unsafe.Pointer(&log[0])), uintptr(len(log))}
	err = c.call(&c.l.ModuleLoadDataEx, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&image[0])),
		uintptr(len(options)), uintptr(unsafe.Pointer(&options)), uintptr(unsafe.Pointer(&values)))
	if e, ok := err.(*Error); ok {
		text, _, _ := strings.Cut(string(log), "\x00")
		e.Detail = strings.TrimSpace(text)
	}
	return m, err
}

func (c *context) Unload(m Module) error { return c.call(&c.l.ModuleUnload, uintptr(m)) }

func (c *context) Function(m Module, name string) (f Func, err error) {
	text := append([]byte(name), 0)
	err = c.call(&c.l.ModuleGetFunction, uintptr(unsafe.Pointer(&f)), uintptr(m), uintptr(unsafe.Pointer(&text[0])))
	if e, ok := err.(*Error); ok {
		e.Detail = name
	}
	return f, err
}

const attrMaxDynamicShared = 8

func (c *context) AllowShared(f Func, bytes int) error {
	return c.call(&c.l.FuncSetAttribute, uintptr(f), attrMaxDynamicShared, uintptr(bytes))
}

func (c *context) Alloc(bytes int) (p Ptr, err error) {
	err = c.call(&c.l.MemAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes))
	return p, err
}

func (c *context) Free(p Ptr) error { return c.call(&c.l.MemFree, uintptr(p)) }

func (c *context) MemInfo() (free, total int64, err error) {
	err = c.call(&c.l.MemGetInfo, uintptr(unsafe.Pointer(&free)), uintptr(unsafe.Pointer(&total)))
	return free, total, err
}

func (c *context) AllocHost(bytes int) (p unsafe.Pointer, err error) {
	err = c.call(&c.l.MemHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes), 0)
	return p, err
}

func (c *context) FreeHost(p unsafe.Pointer) error { return c.call(&c.l.MemFreeHost, uintptr(p)) }

func (c *context) CopyIn(dst Ptr, src unsafe.Pointer, bytes int, s Stream) error {
	return c.call(&c.l.MemcpyHtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (c *context) CopyOut(dst unsafe.Pointer, src Ptr, bytes int, s Stream) error {
	return c.call(&c.l.MemcpyDtoHAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (c *context) Copy(dst, src Ptr, bytes int, s Stream) error {
	return c.call(&c.l.MemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (c *context) Clear(p Ptr, bytes int, s Stream) error {
	return c.call(&c.l.MemsetD8Async, uintptr(p), 0, uintptr(bytes), uintptr(s))
}

// streamNonBlocking: a stream that does not wait for the default one.
const streamNonBlocking = 1

func (c *context) NewStream() (s Stream, err error) {
	err = c.call(&c.l.StreamCreate, uintptr(unsafe.Pointer(&s)), streamNonBlocking)
	return s, err
}

func (c *context) DestroyStream(s Stream) error { return c.call(&c.l.StreamDestroy, uintptr(s)) }
func (c *context) Wait(s Stream) error          { return c.call(&c.l.StreamSynchronize, uintptr(s)) }

func (c *context) NewEvent() (e Event, err error) {
	err = c.call(&c.l.EventCreate, uintptr(unsafe.Pointer(&e)), 0)
	return e, err
}

func (c *context) DestroyEvent(e Event) error { return c.call(&c.l.EventDestroy, uintptr(e)) }

func (c *context) Record(e Event, s Stream) error {
	return c.call(&c.l.EventRecord, uintptr(e), uintptr(s))
}

func (c *context) WaitEvent(s Stream, e Event) error {
	return c.call(&c.l.StreamWaitEvent, uintptr(s), uintptr(e), 0)
}

func (c *context) SyncEvent(e Event) error { return c.call(&c.l.EventSynchronize, uintptr(e)) }

func (c *context) Elapsed(from, to Event) (ms float32, err error) {
	err = c.call(&c.l.EventElapsedTime, uintptr(unsafe.Pointer(&ms)), uintptr(from), uintptr(to))
	return ms, err
}

func (c *context) Launch(f Func, l Launch, param unsafe.Pointer, _ int, s Stream) error {
	c.launch.Lock()
	defer c.launch.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.param[0] = param
	c.args = [11]uintptr{uintptr(f), uintptr(l.Grid[0]), uintptr(l.Grid[1]), uintptr(l.Grid[2]), uintptr(l.Block), 1, 1,
		uintptr(l.Shared), uintptr(s), uintptr(unsafe.Pointer(&c.param)), 0}
	err := c.bound(&c.l.LaunchKernel, c.args[:])
	c.param[0] = nil
	return err
}

// captureRelaxed: calls come from whichever thread a goroutine runs on.
const captureRelaxed = 2

func (c *context) Capture(s Stream) error {
	return c.call(&c.l.StreamBeginCapture, uintptr(s), captureRelaxed)
}

func (c *context) EndCapture(s Stream) (g Graph, err error) {
	var graph uintptr
	if err := c.call(&c.l.StreamEndCapture, uintptr(s), uintptr(unsafe.Pointer(&graph))); err != nil {
		return 0, err
	}
	err = c.call(&c.l.GraphInstantiate, uintptr(unsafe.Pointer(&g)), graph, 0)
	if e := c.call(&c.l.GraphDestroy, graph); err == nil {
		err = e
	}
	return g, err
}

func (c *context) Replay(g Graph, s Stream) error {
	return c.call(&c.l.GraphLaunch, uintptr(g), uintptr(s))
}

func (c *context) DestroyGraph(g Graph) error { return c.call(&c.l.GraphExecDestroy, uintptr(g)) }
