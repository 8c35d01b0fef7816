package sampler

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// Dynamic thresholding is torch's and diffusers' (internal/golden/guidance.py). A
// largest value of 1 is plain clipping.
func TestGoldenThreshold(t *testing.T) {
	f, err := safetensors.Open("../../internal/golden/testdata/diffusion/guidance.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := func(name string) ([]float64, []int) {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := x.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v, x.Shape
	}
	var cases map[string][2]float64
	if err := json.Unmarshal([]byte(f.Metadata()["threshold"]), &cases); err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, shape := read("wide")
	for name, c := range cases {
		want, _ := read("threshold/" + name)
		clip := Clip{Quantile: c[0], Max: c[1]}
		for i, v := range clip.apply(s.Tensor(x, shape...), new(memory)).Float64s() {
			// An interpolation and a division: a few roundings of numbers up to 1.
			if math.Abs(v-want[i]) > 8*0x1p-53 {
				t.Errorf("%s: element %d is %.17g, torch's %.17g", name, i, v, want[i])
			}
			if plain := min(max(x[i], -1), 1); c[1] == 1 && v != plain {
				t.Errorf("%s: element %d is %g, clipped %g", name, i, v, plain)
			}
		}
	}
	if len(cases) < 4 {
		t.Errorf("%d cases", len(cases))
	}
}
