package manifold

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
)

// goldenFile holds SciPy's great circles and rotations: see internal/golden/README.md.
const goldenFile = "../../internal/golden/testdata/flow/manifold.safetensors"

// What SciPy says of great circles, of rotations by the matrix exponential, and of polar decompositions. Near
// antipodes (10⁻⁵ is the nearest) the direction is known to rounding over the distance from them, on
// both sides: 2·1.6e-14/1e-5; elsewhere both agree to a few roundings.
func TestGoldenGeodesics(t *testing.T) {
	f, err := safetensors.Open(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := func(name string) [][]float64 {
		e, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		n := e.Shape[0]
		out := make([][]float64, n)
		for i := range out {
			out[i] = v[i*len(v)/n : (i+1)*len(v)/n]
		}
		return out
	}
	var part float64
	if err := json.Unmarshal([]byte(f.Metadata()["part"]), &part); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]Manifold{"sphere-1": Sphere{1}, "sphere-2": Sphere{2}, "sphere-5": Sphere{5}, "rotations": Rotations{}} {
		x, y, points, angles := rows(name+"/x"), rows(name+"/y"), rows(name+"/part"), rows(name+"/angle")
		for i := range x {
			v, sv, z := make([]float64, m.Ambient()), make([]float64, m.Ambient()), make([]float64, m.Ambient())
			m.Log(v, x[i], y[i])
			addScaled(sv, part, v)
			m.Exp(z, x[i], sv)
			tolerance := 4 * rounding * (1 + 2/(math.Pi-angles[i][0]))
			if d := apart(z, points[i]); d > tolerance {
				t.Errorf("%s: pair %d: %.2f of the way is %g away", name, i, part, d)
			}
			if got := Distance(m, x[i], y[i]); math.Abs(got-angles[i][0]) > 4*rounding {
				t.Errorf("%s: pair %d: distance %.17g, want %.17g", name, i, got, angles[i][0])
			}
			if name == "rotations" {
				if d := apart(v, rows("rotations/log")[i]); d > tolerance {
					t.Errorf("pair %d: logarithm %g away", i, d)
				}
				rough := rows("rotations/rough")[i]
				// SciPy's singular values are right to some roundings, and det > 0 bounds the amplification.
				if m.Nearest(rough); apart(rough, rows("rotations/near")[i]) > 100*rounding {
					t.Errorf("the nearest rotation %d is %g away", i, apart(rough, rows("rotations/near")[i]))
				}
			}
		}
	}
}
