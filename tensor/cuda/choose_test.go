package cuda

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/langevin-go/langevin/internal/emulate"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
	"github.com/langevin-go/langevin/tensor/cuda/kernels"
	"github.com/langevin-go/langevin/tensor/rng"
)

var key = rng.Key{Seed: 1}

func vector(t testing.TB, d *Device, n int) *backend.View {
	t.Helper()
	m, err := d.Alloc(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	v := &backend.View{Mem: m, Rank: 1}
	v.Shape[0] = n
	v.RowMajor()
	return v
}

func TestChoice(t *testing.T) {
	emulate.Set(t, emulate.Devices, 2)
	d := emulated(t, Options{Device: 1})
	if d.Name() != "cuda:1 (emulation 1)" || d.BF16().Name() != "cuda:1 (emulation 1, bf16)" {
		t.Errorf("names %q, %q", d.Name(), d.BF16().Name())
	}
	if !backend.SameMemory(d, d.BF16()) || d.BF16().(*Device).BF16() != d.BF16() {
		t.Error("the device's BF16 form is another device")
	}
	for _, n := range []int{-1, 2} {
		if _, err := New(Options{Device: n, Driver: emulate.Open(t)}); err == nil || err.Error() != "there is no CUDA device "+strconv.Itoa(n)+": the driver has 2" {
			t.Errorf("device %d: %v", n, err)
		}
	}
	// Where there is no driver at all: this machine's, if it has one, is not asked here.
	old := oldDriver{emulate.Open(t)}
	var u *driver.Unavailable
	if _, err := New(Options{Driver: old}); !errors.As(err, &u) || !strings.Contains(err.Error(), "compute capability 7.5") {
		t.Errorf("an old device: %v", err)
	}
}

type oldDriver struct{ driver.Driver }

func (o oldDriver) Devices() ([]driver.Info, error) {
	return []driver.Info{{Name: "old", Major: 7, Minor: 5}}, nil
}

// TestParameters: structs are laid out here as NVRTC lays out the kernels'.
func TestParameters(t *testing.T) {
	var p params
	sizes := map[string]map[string]uintptr{
		"elementwise": {"": unsafe.Sizeof(p.elementwise)},
		"reduce":      {"reduce": unsafe.Sizeof(p.reduce), "combine": unsafe.Sizeof(p.combine)},
		"random":      {"": unsafe.Sizeof(p.random)},
		"gather":      {"": unsafe.Sizeof(p.gather)},
		"gemm":        {"": unsafe.Sizeof(p.gemm)},
		"conv":        {"": unsafe.Sizeof(p.conv)},
		"softmax":     {"": unsafe.Sizeof(p.softmax)},
		"norm":        {"": unsafe.Sizeof(p.norm)},
		"attention":   {"": unsafe.Sizeof(p.attention)},
		"flash":       {"": unsafe.Sizeof(p.flash)},
	}
	param := regexp.MustCompile(`\.param \.align \d+ \.b8 (\w+)_param_0\[(\d+)\]`)
	for topic, by := range sizes {
		ptx, err := kernels.PTX(topic)
		if err != nil {
			t.Error(err)
			continue
		}
		found := param.FindAllStringSubmatch(string(ptx), -1)
		if len(found) == 0 {
			t.Errorf("%s: no kernel", topic)
		}
		for _, m := range found {
			for prefix, size := range by {
				if strings.HasPrefix(m[1], prefix) && m[2] != strconv.Itoa(int(size)) {
					t.Errorf("%s takes %s bytes, the struct here has %d", m[1], m[2], size)
				}
			}
		}
	}
}
