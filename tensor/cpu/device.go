// Package cpu carries tensors on the host processor: readable Go kernels, which
// define what every operation means, and amd64 assembly for the hot ones.
package cpu

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Device is the host processor. It is safe for use by many goroutines at once.
type Device struct {
	level Level
	pool  *pool

	bf16  bool        // what enters a product is rounded
	pairs *pairKernel // with these kernels; nil: see bf16.go
	lower *Device     // the device that does so
	full  *Device     // of such a device, the one that does not
}

// Options choose how a Device works. The zero value takes the best level
// (LANGEVIN_SIMD=go|neon|avx2|avx512|amx chooses another) and a thread for every processor that Go may use.
type Options struct {
	Level   *Level
	Threads int
}

// New makes a device, whose threads end once nothing refers to it. It fails when a level is asked for that is unknown or
// that this machine does not have.
func New(o Options) (*Device, error) {
	level := Best()
	if v := os.Getenv("LANGEVIN_SIMD"); v != "" && o.Level == nil {
		l, err := ParseLevel(v)
		if err != nil {
			return nil, fmt.Errorf("LANGEVIN_SIMD: %w", err)
		}
		o.Level = &l
	}
	if o.Level != nil {
		if !slices.Contains(Levels(), *o.Level) {
			return nil, fmt.Errorf("this machine has no %v, only %v", *o.Level, Levels())
		}
		level = *o.Level
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	d := &Device{level: level, pool: newPool(o.Threads)}
	d.addLower(level.pairs())
	runtime.AddCleanup(d, (*pool).end, d.pool) // which does not refer to d, nor do its helpers
	return d, nil
}

var defaultDevice = sync.OnceValues(func() (*Device, error) { return New(Options{}) })

// Default is the shared device with default options. It panics if
// LANGEVIN_SIMD asks for what the machine does not have.
func Default() *Device {
	d, err := defaultDevice()
	if err != nil {
		panic(err)
	}
	return d
}

// Level is the instruction set in use.
func (d *Device) Level() Level { return d.level }

// Threads is the number of threads that share a kernel's work.
func (d *Device) Threads() int { return d.pool.threads }

func (d *Device) Name() string {
	how := d.level.String()
	if d.bf16 {
		how += ", bf16"
	}
	return fmt.Sprintf("cpu (%s, %d threads)", how, d.pool.threads)
}

// align is the alignment of allocations: a cache line, which is an AVX-512 register too.
const align = 64

// Alloc takes zeroed memory from Go's heap, aligned to a cache line.
func (d *Device) Alloc(n int) (backend.Memory, error) {
	if n < 0 || uint64(n) > 1<<46 {
		return backend.Memory{}, &backend.AllocError{Device: d.Name(), Bytes: n}
	}
	b := make([]uint64, n/8+align/8)
	p := unsafe.Pointer(unsafe.SliceData(b))
	if r := uintptr(p) % align; r != 0 {
		p = unsafe.Add(p, align-r)
	}
	return backend.Memory{Host: p, Size: n}, nil
}

// Free leaves the memory to the garbage collector.
func (d *Device) Free(backend.Memory) {}

func hostBytes(m backend.Memory, off, n int) []byte {
	return unsafe.Slice((*byte)(m.Host), m.Size)[off : off+n]
}

func (d *Device) Upload(dst backend.Memory, off int, src []byte) {
	copy(hostBytes(dst, off, len(src)), src)
}

func (d *Device) Download(dst []byte, src backend.Memory, off int) {
	copy(dst, hostBytes(src, off, len(dst)))
}

func (d *Device) Sync() error { return nil }
