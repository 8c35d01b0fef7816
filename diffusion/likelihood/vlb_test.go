package likelihood

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Every term is scipy's, by an exact denoiser: internal/golden/bound.py.
func TestGoldenBound(t *testing.T) {
	f, err := safetensors.Open("../../internal/golden/testdata/diffusion/bound.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := func(name string) []float64 {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := x.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var cases map[string][2]any
	var levels int
	for key, to := range map[string]any{"cases": &cases, "levels": &levels} {
		if err := json.Unmarshal([]byte(f.Metadata()[key]), to); err != nil {
			t.Fatal(err)
		}
	}
	table, err := diffusion.NewTable(read("betas"), diffusion.InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	m := &diffusion.Mixture{Weights: read("weights")}
	means, stds := read("means"), read("stds")
	const dim = 6
	for k := range stds {
		m.Means, m.Stds = append(m.Means, means[k*dim:(k+1)*dim]), append(m.Stds, stds[k:k+1])
	}
	data, noise := Data{X: read("data"), Shape: []int{3, 2}}, read("noise")
	n := data.Len()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	for _, kind := range []diffusion.Kind{diffusion.Eps, diffusion.V} {
		o := &diffusion.Oracle{Of: m, Along: table, Predicts: kind}
		for name, c := range cases {
			v := &VLB{Levels: levels, Variance: c[0].(string), Clip: c[1].(float64)}
			v.noise = func(s *tensor.Scope, at, from, k int) *tensor.Tensor {
				start := ((at-1)*n + from) * dim
				return s.Tensor(noise[start:start+k*dim], k, 3, 2)
			}
			model := &diffusion.NetModel{Along: table, Predicts: kind, Net: func(x, time *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
				value := o.Eval(x, diffusion.Step{T: time.Float64s()}, c).Value
				if v.Variance != Learned {
					return value
				}
				return tensor.Concat(-1, value, x.Sin())
			}}
			if v.Variance == Learned {
				model.Variance = diffusion.VarianceLearnedRange
			}
			want, last := read(name+"/terms"), read(name+"/prior")
			for _, batch := range []int{0, 3} {
				v.Batch = batch
				b, err := v.Bound(context.Background(), s, model, data, nil)
				if err != nil {
					t.Fatal(err)
				}
				// The decoder's probability is a difference of two error functions: a rounding of 2⁻⁵²
				// is 2·10⁻⁴ of the smallest probability, 10⁻¹², and 10⁻⁵ bits of the mean over 24 values.
				check := func(what string, got, want float64) {
					tolerance := 1e-11
					if what == "L_0" || strings.HasPrefix(what, "total") {
						tolerance = 1e-5
					}
					if !(math.Abs(got-want) <= tolerance*(1+math.Abs(want))) {
						t.Errorf("%s, %v, %s: %.12g, want %.12g", name, kind, what, got, want)
					}
				}
				total, each := 0.0, make([]float64, n)
				for at := range len(want) / n {
					term := mean(want[at*n : (at+1)*n])
					total += term
					for i := range each {
						each[i] += want[at*n+i]
					}
					if at == 0 {
						check("L_0", b.Decoder, term)
						continue
					}
					check("L_t", b.Terms[at-1].Bits, term)
					if got := b.Terms[at-1]; got.From != at+1 || got.To != at+1 {
						t.Errorf("term %d is of times %d to %d", at, got.From, got.To)
					}
				}
				check("L_T", b.Prior, mean(last))
				check("total", b.Total.Mean, total+mean(last))
				check("steps", b.Steps, total-mean(want[:n]))
				for i := range each {
					each[i] += last[i]
				}
				check("total's error", b.Total.Error, Mean(each).Error)
			}
		}
	}
}

// Fewer times give the same bound on average, and a sample the same at any place.
func TestSomeTimes(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	betas, err := diffusion.Betas(diffusion.BetaLinear, 100, 1e-3, 0.2)
	if err != nil {
		t.Fatal(err)
	}
	p, err := diffusion.NewTable(betas, diffusion.InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	o := &diffusion.Oracle{Of: mixtureOf(2), Along: p, Predicts: diffusion.Eps}
	x, _ := o.Of.Sample(rng.Key{Seed: 3}, 80)
	for i, v := range x { // of 17 levels
		x[i] = math.Round(min(max(v, -1), 1)*8) / 8
	}
	data := Data{X: x, Shape: []int{2}}
	bound := func(d Data, change func(v *VLB)) *Bound {
		v := new(VLB)
		v.SetDefaults()
		v.Levels = 17
		change(v)
		b, err := v.Bound(context.Background(), s, o, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	all := bound(data, func(*VLB) {})
	some := bound(data, func(v *VLB) { v.Times, v.Batch = 20, 32 })
	if len(all.Terms) != 99 || len(some.Terms) != 20 || some.Terms[0].From != 2 || some.Terms[19].To != 100 {
		t.Errorf("%d and %d terms, from %d to %d", len(all.Terms), len(some.Terms), some.Terms[0].From, some.Terms[19].To)
	}
	for i := 1; i < 20; i++ {
		if some.Terms[i].From != some.Terms[i-1].To+1 {
			t.Errorf("terms %v", some.Terms)
		}
	}
	if d := math.Abs(all.Total.Mean - some.Total.Mean); d > 4*some.Total.Error || all.Decoder != some.Decoder || all.Prior != some.Prior {
		t.Errorf("of all times %+v, of some %+v", all.Total, some.Total)
	}
	if again := bound(data, func(v *VLB) { v.Times = 20 }); again.Total.Mean != some.Total.Mean && math.Abs(again.Total.Mean-some.Total.Mean) > 1e-12 {
		t.Errorf("in batches of 32 %v, of 256 %v", some.Total, again.Total)
	}
	// It is a bound: not below the likelihood.
	o2 := settings(func(*ODE) {})
	r := logP(t, s, o2, o, Data{X: Dequantise(x, 2, 17, rng.Key{Seed: 9}, 0), Shape: []int{2}})
	if e := r.NLL().Bits(2, 17); !(all.Total.Mean > e.Mean-4*(e.Error+all.Total.Error)) {
		t.Errorf("bound %v bits, likelihood %v", all.Total, e)
	}
}

func TestBoundErrors(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	one := Data{X: []float64{0.5}, Shape: []int{1}}
	on := func(p diffusion.GaussianPath) diffusion.Model {
		return &diffusion.Oracle{Of: mixtureOf(1), Along: p, Predicts: diffusion.V}
	}
	short, err := diffusion.NewTable([]float64{0.5}, diffusion.InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	cancelled, stop := context.WithCancel(context.Background())
	stop()
	for name, c := range map[string]struct {
		ctx    context.Context
		m      diffusion.Model
		data   Data
		change func(v *VLB)
		want   string
	}{
		"path":      {m: on(diffusion.CondOT{}), data: one, want: "discrete"},
		"short":     {m: on(short), data: one, want: "at least 2"},
		"values":    {m: on(table(t)), data: Data{X: []float64{1, 2, 3}, Shape: []int{2}}, want: "shape [2]"},
		"levels":    {m: on(table(t)), data: one, change: func(v *VLB) { v.Levels = 1 }, want: "levels"},
		"variance":  {m: on(table(t)), data: one, change: func(v *VLB) { v.Variance = "small" }, want: "variance"},
		"clip":      {m: on(table(t)), data: one, change: func(v *VLB) { v.Clip = -1 }, want: "clip"},
		"times":     {m: on(table(t)), data: one, change: func(v *VLB) { v.Times = -1 }, want: "times"},
		"learned":   {m: on(table(t)), data: one, change: func(v *VLB) { v.Variance = Learned }, want: "the model has none"},
		"cancelled": {ctx: cancelled, m: on(table(t)), data: one, want: "cancel"},
	} {
		v := new(VLB)
		v.SetDefaults()
		if c.change != nil {
			c.change(v)
		}
		if c.ctx == nil {
			c.ctx = context.Background()
		}
		if b, err := v.Bound(c.ctx, s, c.m, c.data, nil); err == nil || b != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	// Progress ends at the whole.
	var seen []int
	v := &VLB{Levels: 17, Variance: FixedLarge, Times: 3, Batch: 1}
	if _, err := v.Bound(context.Background(), s, on(table(t)), Data{X: []float64{0, 1}, Shape: []int{1}}, func(done, total int) { seen = append(seen, done, total) }); err != nil {
		t.Fatal(err)
	}
	if want := []int{1, 8, 2, 8, 3, 8, 4, 8, 5, 8, 6, 8, 7, 8, 8, 8}; !slices.Equal(seen, want) {
		t.Errorf("progress %v", seen)
	}
}
