// Package driver is the part of the CUDA driver API that tensor/cuda uses, as a
// small interface. Open binds libcuda at run time, without cgo; a machine
// without it gets an *Unavailable that says why in one line.
package driver

import "unsafe"

// Addresses and handles, as the driver gives them. 0 is none; Stream 0 is the
// context's default stream.
type (
	Ptr    uintptr // of device memory
	Module uintptr
	Func   uintptr
	Stream uintptr
	Event  uintptr
	Graph  uintptr // instantiated: ready to launch
)

// Driver finds devices.
type Driver interface {
	// Library is where the driver was found, Version its API version: 12040 is 12.4.
	Library() string
	Version() int
	// Devices describes all devices, in the driver's order.
	Devices() ([]Info, error)
	// Open makes a context on device number i, its primary one.
	Open(i int) (Context, error)
}

// Info describes a device.
type Info struct {
	Index           int
	Name            string
	Major, Minor    int   // compute capability
	Memory          int64 // bytes
	Multiprocessors int
	SharedMemory    int // bytes that a block may have, if it asks for them
}

// Context is a device in use. It may be used from any goroutine: each call
// binds it to the thread that it runs on. What is named after a stream is asynchronous in it.
// All errors of the driver are *Error.
type Context interface {
	Info() Info
	Close() error

	// Load makes a module of PTX text or a cubin.
	Load(image []byte) (Module, error)
	Unload(m Module) error
	Function(m Module, name string) (Func, error)
	// AllowShared lets f have bytes of dynamic shared memory, where that is
	// more than the 48 KiB that every function may have.
	AllowShared(f Func, bytes int) error

	Alloc(bytes int) (Ptr, error)
	Free(p Ptr) error
	MemInfo() (free, total int64, err error)
	// AllocHost gives page-locked memory of the host, from which copies are
	// asynchronous and fast.
	AllocHost(bytes int) (unsafe.Pointer, error)
	FreeHost(p unsafe.Pointer) error

	// CopyIn reads src before it returns, unless src is page-locked; CopyOut may
	// not have written dst before the stream has been waited for.
	CopyIn(dst Ptr, src unsafe.Pointer, bytes int, s Stream) error
	CopyOut(dst unsafe.Pointer, src Ptr, bytes int, s Stream) error
	Copy(dst, src Ptr, bytes int, s Stream) error
	Clear(p Ptr, bytes int, s Stream) error

	NewStream() (Stream, error)
	DestroyStream(s Stream) error
	Wait(s Stream) error

	NewEvent() (Event, error)
	DestroyEvent(e Event) error
	Record(e Event, s Stream) error
	WaitEvent(s Stream, e Event) error // what follows in s comes after e
	SyncEvent(e Event) error           // waits on the host
	Elapsed(from, to Event) (ms float32, err error)

	// Launch runs f on a grid of blocks, with one parameter: the size bytes at
	// param, which are read before Launch returns.
	Launch(f Func, l Launch, param unsafe.Pointer, size int, s Stream) error

	// Capture collects what follows in s instead of running it, until EndCapture
	// gives it as a graph.
	Capture(s Stream) error
	EndCapture(s Stream) (Graph, error)
	Replay(g Graph, s Stream) error
	DestroyGraph(g Graph) error
}

// Launch is the shape of a kernel's launch.
type Launch struct {
	Grid   [3]int // blocks
	Block  int    // threads
	Shared int    // bytes of dynamic shared memory
}
