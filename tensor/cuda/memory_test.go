package cuda

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/emulate"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

func TestClasses(t *testing.T) {
	for n := 1; n < 40<<20; n += n/37 + 1 {
		c := class(n)
		if c < n || class(c) != c || c > n+max(n/4+128, 0) && c > n+1<<20 {
			t.Errorf("%d bytes take a block of %d", n, c)
		}
	}
}

// TestReuse: memory that was freed is handed out again, and is zero.
func TestReuse(t *testing.T) {
	d := emulated(t, Options{})
	a, err := d.Alloc(1000)
	if err != nil {
		t.Fatal(err)
	}
	d.Upload(a, 0, bytes.Repeat([]byte{7}, 1000))
	d.Free(a)
	b, err := d.Alloc(900)
	if err != nil {
		t.Fatal(err)
	}
	if a.Dev != b.Dev {
		t.Errorf("a block of the same class is at %#x, the freed one was at %#x", b.Dev, a.Dev)
	}
	got := make([]byte, 900)
	d.Download(got, b, 0)
	if !bytes.Equal(got, make([]byte, 900)) {
		t.Error("memory is not zero when it is handed out again")
	}
	d.Free(b)
	if z, err := d.Alloc(0); err != nil || z.Size != 0 {
		t.Errorf("nothing: %+v, %v", z, err)
	}
}

// TestMemoryLimit: what is free is given back before a request fails.
func TestMemoryLimit(t *testing.T) {
	t.Run("by the option", func(t *testing.T) { memoryLimit(t, Options{Memory: 1 << 20}) })
	t.Run("by the device", func(t *testing.T) {
		emulate.Set(t, emulate.Memory, 1<<20)
		memoryLimit(t, Options{})
	})
}

func memoryLimit(t *testing.T, o Options) {
	d := emulated(t, o)
	a, err := d.Alloc(700 << 10)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Alloc(600 << 10)
	var alloc *backend.AllocError
	if !errors.As(err, &alloc) || alloc.Bytes != 600<<10 || !errors.Is(err, driver.OutOfMemory) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"out of memory on cuda:0 (emulation 0)", "0.6 MiB were asked for", "0.8 MiB are in use", "a smaller batch"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	d.Free(a)
	b, err := d.Alloc(600 << 10)
	if err != nil {
		t.Fatalf("there is room now, but: %v", err)
	}
	d.Free(b)
}

// TestBalance: a device gives back everything, also what nobody freed.
func TestBalance(t *testing.T) {
	before := emulate.Count(t)
	d, err := New(Options{Driver: emulate.Open(t)})
	if err != nil {
		t.Fatal(err)
	}
	v := vector(t, d, 100)
	d.FillNormal(v, key, 0)
	sum := vector(t, d, 1)
	d.Reduce(backend.Sum, nil, sum, v, []*backend.View{v}, nil)
	d.Download(make([]byte, 4), sum.Mem, 0)
	if now := emulate.Count(t); now.Launches == before.Launches || now.Memory == before.Memory || now.HostMemory == before.HostMemory {
		t.Errorf("nothing happened: before %+v, now %+v", before, now)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	after := emulate.Count(t)
	after.Launches = before.Launches
	if after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// TestBigCopies: what is larger than the staging buffers.
func TestBigCopies(t *testing.T) {
	d := emulated(t, Options{})
	n := 2*stagingBytes + stagingBytes/2 + 3
	m, err := d.Alloc(n + 5)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, n)
	for i := range want {
		want[i] = byte(i * i >> 7)
	}
	d.Upload(m, 5, want)
	got := make([]byte, n)
	d.Download(got, m, 5)
	if !bytes.Equal(got, want) {
		t.Error("what comes back is not what was sent")
	}
	d.Free(m)
}

// TestFailure: the first failure is kept; Sync gives it, Download panics with it,
// and nothing more is launched.
func TestFailure(t *testing.T) {
	d, err := New(Options{Driver: emulate.Open(t)})
	if err != nil {
		t.Fatal(err)
	}
	v := vector(t, d, 10)
	d.FillNormal(v, key, 0)
	emulate.Set(t, emulate.Failing, 1)
	d.FillNormal(v, key, 0)
	launches := emulate.Count(t).Launches
	d.FillNormal(v, key, 0)
	d.Elementwise(identity, []*backend.View{v}, []*backend.View{v}, nil)
	if n := emulate.Count(t).Launches; n != launches {
		t.Errorf("%d launches after the failure", n-launches)
	}
	const want = "emulation 0 failed: random_f32: cuLaunchKernel: CUDA_ERROR_ILLEGAL_ADDRESS"
	if err := d.Sync(); !errors.Is(err, driver.IllegalAddress) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	func() {
		defer func() {
			if err, ok := recover().(error); !ok || !errors.Is(err, driver.IllegalAddress) {
				t.Errorf("Download panics with %v", err)
			}
		}()
		d.Download(make([]byte, 4), v.Mem, 0)
	}()
	if _, err := d.Alloc(4); !errors.Is(err, driver.IllegalAddress) {
		t.Errorf("Alloc gives %v", err)
	}
	emulate.Set(t, emulate.Failing, 0)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestNoAllocs: calls allocate nothing on the host.
func TestNoAllocs(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	d := emulated(t, Options{})
	v := vector(t, d, 64)
	sum := vector(t, d, 1)
	in, out := []*backend.View{v}, []*backend.View{v}
	step := func() {
		d.Elementwise(identity, out, in, nil)
		d.Reduce(backend.Sum, nil, sum, v, in, nil)
	}
	step()
	if n := testenv.Allocs(t, step); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
