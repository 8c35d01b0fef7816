package cpu

import (
	"cmp"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Listings gives the listing of every program that this process has run and
// that could be a kernel of its own, with a program's name.
func Listings() map[string]string {
	all := map[string]string{}
	eachPlan(func(p *plan) {
		if l := p.listing(); l != "" && (all[l] == "" || p.prog.Name < all[l]) {
			all[l] = p.prog.Name
		}
	})
	return all
}

// WithoutKernel gives those listings that no kernel was generated for.
func WithoutKernel(listings map[string]string) (without []string) {
	for l := range listings {
		if programs512[l] == nil {
			without = append(without, l)
		}
	}
	return without
}

// ForgetPrograms makes Listings start afresh.
func ForgetPrograms() {
	programPlans.direct.Clear()
	programPlans.inner.Clear()
}

// eachPlan calls f for the plans that there are.
func eachPlan(f func(*plan)) {
	for _, m := range []interface{ Range(func(k, v any) bool) }{&programPlans.direct, &programPlans.inner} {
		m.Range(func(_, v any) bool {
			f(v.(*plan))
			return true
		})
	}
}

// CheckWholes runs every plan that has a kernel of its own by that kernel and by
// those of its operations and compares the bits, for vectors, tails and several
// blocks, each output apart from the inputs and in place of one.
func CheckWholes(t *testing.T) {
	var plans []*plan
	eachPlan(func(p *plan) { plans = append(plans, p) })
	slices.SortFunc(plans, func(a, b *plan) int { return cmp.Compare(a.listing(), b.listing()) })
	for _, level := range Levels() {
		d := newDevice(t, level, 1)
		kern := kernels32(d)
		split := *kern
		split.whole = func(*plan) program[float32] { return nil }
		for _, p := range plans {
			if kern.whole(p) == nil {
				if level >= AVX512 && programs512[p.listing()] != nil {
					t.Errorf("the kernel of %s is not used", p.prog.Name)
				}
				continue
			}
			for _, n := range []int{1, 7, 16, 33, 1000, 4096 + 5, 20000} {
				for _, inPlace := range []bool{false, true} {
					want := runPlan(d, &split, p, n, inPlace)
					got := runPlan(d, kern, p, n, inPlace)
					for i := range want {
						if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
							t.Fatalf("%s, %s, %d elements, in place %v: value %d is %g, by single operations %g\n%s",
								level, p.prog.Name, n, inPlace, i, got[i], want[i], p.listing())
						}
					}
				}
			}
		}
	}
}

// runPlan gives the results of a plan for n random elements an input, one after another.
func runPlan(d *Device, kern *kernels[float32], p *plan, n int, inPlace bool) []float32 {
	tensors := uint64(0)
	tensor := func() *backend.View {
		x := make([]float32, n)
		rng.Normal(x, rng.Key{Seed: 5}, tensors)
		x[n/2] = []float32{0, float32(math.Inf(1)), float32(math.NaN())}[tensors%3]
		tensors++
		return &backend.View{Mem: backend.Memory{Host: unsafe.Pointer(&x[0]), Size: 4 * n}, Rank: 1,
			Shape: [backend.MaxRank]int{n}, Stride: [backend.MaxRank]int{1}}
	}
	var in, out []*backend.View
	for range p.prog.Inputs {
		in = append(in, tensor())
	}
	scalars := make([]float64, p.prog.Scalars)
	for i := range scalars {
		scalars[i] = 0.3 + float64(i)/7
	}
	var e engine[float32]
	if inner := p.result[0] >= p.regSlot(0); inner {
		e.setup(d, p, kern, in[0], false, nil, in, scalars)
	} else {
		for i := range p.prog.Outputs {
			if inPlace && i < len(in) {
				out = append(out, in[i])
			} else {
				out = append(out, tensor())
			}
		}
		e.setup(d, p, kern, out[0], true, out, in, scalars)
	}
	var all []float32
	w := &e.workers[0]
	for lo := 0; lo < n; lo += e.block {
		m := min(e.block, n-lo)
		e.eval(w, lo, m)
		if len(out) == 0 {
			all = append(all, unsafe.Slice(w.ptr[p.result[0]], m)...)
		}
	}
	for _, v := range out {
		all = append(all, v.Floats32()...)
	}
	return all
}
