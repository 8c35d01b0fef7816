// Package cuda carries tensors on an NVIDIA GPU. It needs no cgo and no CUDA
// toolkit: the driver is bound at run time (package driver), the kernels are PTX in the binary
// (package kernels).
//
// All work of a device goes into one stream, in the order of the calls; so memory that is freed can be handed out
// again at once, and nothing waits but Download and Sync. A driver's failure cannot be told by most
// calls: the first one is kept, what follows it does nothing, Sync returns it and Download panics with it, a *Failure.
package cuda

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
	"github.com/langevin-go/langevin/tensor/cuda/kernels"
)

// Options choose a device.
type Options struct {
	Device int           // its number, as the driver counts
	Memory int64         // the most bytes that may be taken from the GPU; 0: all there is
	Driver driver.Driver // nil: the machine's, see driver.Open
}

// Device is a GPU. It is safe for use by many goroutines at once.
type Device struct {
	*core
	low   bool // what enters a product is rounded to bfloat16
	lower *Device
}

// core is what a device and its BF16 form share.
type core struct {
	ctx     driver.Context
	stream  driver.Stream
	scores  int  // bytes of attention's scores at once, where they are in memory:
	unfused bool // for tests, always

	mu      sync.Mutex // of all below
	pool    pool
	staging staging
	modules map[string]driver.Module
	funcs   map[string]driver.Func
	plans   map[*backend.Program]*plan
	params  params
	failed  error
}

// New opens a device. The error is a *driver.Unavailable where there is no driver or no device at all.
func New(o Options) (*Device, error) {
	if o.Driver == nil {
		drv, err := driver.Open("")
		if err != nil {
			return nil, err
		}
		o.Driver = drv
	}
	list, err := o.Driver.Devices()
	if err != nil {
		return nil, err
	}
	if o.Device < 0 || o.Device >= len(list) {
		return nil, fmt.Errorf("there is no CUDA device %d: the driver has %d", o.Device, len(list))
	}
	if info := list[o.Device]; info.Major < 8 {
		return nil, &driver.Unavailable{Reason: fmt.Sprintf("device %d, %s, has compute capability %d.%d: the kernels need 8.0 or later", o.Device, info.Name, info.Major, info.Minor)}
	}
	ctx, err := o.Driver.Open(o.Device)
	if err != nil {
		return nil, err
	}
	c := &core{ctx: ctx, scores: scoresBytes, modules: make(map[string]driver.Module), funcs: make(map[string]driver.Func), plans: make(map[*backend.Program]*plan)}
	if c.stream, err = ctx.NewStream(); err != nil {
		return nil, errors.Join(err, ctx.Close())
	}
	c.pool.init(ctx, c.stream, o.Memory)
	d := &Device{core: c}
	l := &Device{core: c, low: true}
	d.lower, l.lower = l, l
	return d, nil
}

// BF16 is the same device, computing products in bfloat16; see backend.Lowered.
func (d *Device) BF16() backend.Device { return d.lower }

// Name is the device's number and model.
func (d *Device) Name() string {
	info := d.ctx.Info()
	how := info.Name
	if d.low {
		how += ", bf16"
	}
	return fmt.Sprintf("cuda:%d (%s)", info.Index, how)
}

// PeakMemory is the most memory that was taken from the GPU at once so far, in bytes.
func (d *Device) PeakMemory() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pool.most
}

// Close waits for the device and gives back all that it holds, its memory included.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.ctx.Wait(d.stream)
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	keep(d.staging.close(d.ctx))
	keep(d.pool.close())
	for _, m := range d.modules {
		keep(d.ctx.Unload(m))
	}
	keep(d.ctx.DestroyStream(d.stream))
	keep(d.ctx.Close())
	return err
}

// Alloc takes zeroed memory from the device.
func (d *Device) Alloc(n int) (backend.Memory, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		return backend.Memory{}, d.failed
	}
	if n < 0 {
		return backend.Memory{}, &backend.AllocError{Device: d.Name(), Bytes: n}
	}
	if n == 0 {
		return backend.Memory{}, nil
	}
	p, err := d.pool.alloc(n)
	if err == nil {
		err = d.ctx.Clear(p, n, d.stream)
	}
	if err != nil {
		return backend.Memory{}, &backend.AllocError{Device: d.Name(), Bytes: n, Err: err}
	}
	return backend.Memory{Dev: uintptr(p), Size: n}, nil
}

// Free gives memory back; what was told to use it before still may.
func (d *Device) Free(m backend.Memory) {
	if m.Dev == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pool.release(driver.Ptr(m.Dev))
}

// Upload copies to the device; src may be changed as soon as it returns.
func (d *Device) Upload(dst backend.Memory, off int, src []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.upload(driver.Ptr(dst.Dev)+driver.Ptr(off), src)
}

func (d *core) upload(dst driver.Ptr, src []byte) {
	if d.failed == nil {
		d.fail(d.staging.upload(d.ctx, d.stream, dst, src))
	}
}

// Download waits for the device and copies from it. It panics with the device's failure, if there was one.
func (d *Device) Download(dst []byte, src backend.Memory, off int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.fail(d.staging.download(d.ctx, d.stream, dst, driver.Ptr(src.Dev)+driver.Ptr(off)))
	}
	if d.failed != nil {
		panic(d.failed)
	}
}

// Sync waits for the device and returns its first failure.
func (d *Device) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.fail(d.ctx.Wait(d.stream))
	}
	return d.failed
}

// Failure says that a device has failed. Nothing that it holds can be relied on any more.
type Failure struct {
	Device string
	Err    error
}

func (f *Failure) Error() string { return f.Device + " failed: " + f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// fail keeps the first failure.
func (d *core) fail(err error) {
	if err != nil && d.failed == nil {
		d.failed = &Failure{d.ctx.Info().Name, err}
	}
}

// kernel names a function for each type: of float32, float64, and of float32 with what enters
// products rounded to bfloat16.
type kernel struct{ topic, f32, f64, low string }

func (k *kernel) of(dt backend.DType, low bool) string {
	switch {
	case dt == backend.Float64:
		return k.f64
	case low && k.low != "":
		return k.low
	}
	return k.f32
}

// launch runs a kernel whose parameter is at param, a part of d.params.
func launch[P any](d *core, topic, name string, l driver.Launch, param *P) {
	if d.failed != nil {
		return
	}
	f, ok := d.funcs[name]
	if !ok {
		var err error
		if f, err = d.load(topic, name); err != nil {
			d.fail(err)
			return
		}
	}
	if err := d.ctx.Launch(f, l, unsafe.Pointer(param), int(unsafe.Sizeof(*param)), d.stream); err != nil {
		d.fail(fmt.Errorf("%s: %w", name, err))
	}
}

// load finds a function in its topic's module, which is compiled for the device now if it has not been.
func (d *core) load(topic, name string) (driver.Func, error) {
	m, ok := d.modules[topic]
	if !ok {
		ptx, err := kernels.PTX(topic)
		if err != nil {
			return 0, err
		}
		if m, err = d.ctx.Load(ptx); err != nil {
			return 0, fmt.Errorf("kernels %s: %w", topic, err)
		}
		d.modules[topic] = m
	}
	f, err := d.ctx.Function(m, name)
	if err != nil {
		return 0, err
	}
	d.funcs[name] = f
	return f, nil
}

// scratch is memory for the length of a call; release it once what uses it has been launched.
func (d *core) scratch(bytes int) driver.Ptr {
	if d.failed != nil {
		return 0
	}
	p, err := d.pool.alloc(bytes)
	if err != nil {
		d.fail(&backend.AllocError{Device: d.ctx.Info().Name, Bytes: bytes, Err: err})
	}
	return p
}

func (d *core) release(p driver.Ptr) {
	if p != 0 {
		d.pool.release(p)
	}
}

// address is where a view's first element lies; 0 for an absent view.
func address(v *backend.View) uint64 {
	if v == nil || v.Mem.Size == 0 {
		return 0
	}
	return uint64(v.Mem.Dev) + uint64(v.Off*v.DType.Size())
}

// blocks is the number of blocks of size n that hold total.
func blocks(total, n int) int { return (total + n - 1) / n }

// power is the smallest power of two that is n or more, within the limits.
func power(n, least, most int) int {
	p := least
	for p < n && p < most {
		p *= 2
	}
	return p
}
