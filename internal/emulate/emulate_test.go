//go:build linux && !nocuda && (amd64 || arm64)

package emulate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

// launch runs one of host/mistakes.cu with n threads and gives what they wrote.
func launch(t *testing.T, name string, n int) ([]int32, error) {
	Set(t, Failing, 0) // a context is broken after a failure: mend it afterwards
	ctx, err := Open(t).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ctx.Load([]byte(fmt.Sprintf(".version 7.8\n.target sm_80\n.visible .entry %s(\n.param .align 8 .b8 %[1]s_param_0[16]\n)", name)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := ctx.Function(m, name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ctx.Alloc(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	param := struct{ out, n uint64 }{uint64(p), uint64(n)}
	if err := ctx.Launch(f, driver.Launch{Grid: [3]int{1, 1, 1}, Block: n}, unsafe.Pointer(&param), 16, 0); err != nil {
		return nil, err
	}
	out := make([]byte, 4*n)
	if err := ctx.CopyOut(unsafe.Pointer(&out[0]), p, len(out), 0); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{ctx.Free(p), ctx.Unload(m), ctx.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	v := make([]int32, n)
	for i := range v {
		v[i] = int32(binary.NativeEndian.Uint32(out[4*i:]))
	}
	return v, nil
}

func TestBarriers(t *testing.T) {
	check := func(name string, right bool) {
		got, err := launch(t, name, 64)
		if err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for i, v := range got {
			if int(v) != (i+1)%64 {
				wrong++
			}
		}
		if (wrong == 0) != right {
			t.Errorf("%s: %d of 64 threads read something else than their neighbour's number", name, wrong)
		}
	}
	check("mistake_none", true)
	check("mistake_no_barrier", false)
}

func TestExchanges(t *testing.T) {
	got, err := launch(t, "mistake_exchange", 64)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if int(v) != i^7 {
			t.Fatalf("lane %d ends with %d, want %d", i, v, i^7)
		}
	}
}

// TestMistakes: what a GPU leaves undefined, or hangs at, fails.
func TestMistakes(t *testing.T) {
	for _, name := range []string{"mistake_half", "mistake_two", "mistake_lane"} {
		t.Run(name, func(t *testing.T) {
			if _, err := launch(t, name, 64); !errors.Is(err, driver.LaunchFailed) {
				t.Errorf("got %v, want %v", err, driver.LaunchFailed)
			}
		})
	}
}
