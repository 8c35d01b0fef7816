package metrics

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/langevin-go/langevin/tensor/rng"
)

// eight are points around eight modes on a circle, of the first `kept` of them.
func eight(n, kept int, std float32, seed uint64) Points {
	p := normal(n, 2, 0, std, seed)
	for i := range n {
		u := direction(2, rng.Intn(rng.Key{Seed: seed, Stream: 1}, uint64(i), 0, kept), 4, 0)
		p.row(i)[0] += 4 * float32(u[0])
		p.row(i)[1] += 4 * float32(u[1])
	}
	return p
}

func TestEvaluatePoints(t *testing.T) {
	measure := func(generated Points) PointReport {
		t.Helper()
		return must[PointReport](t)(EvaluatePoints(background, PointInput{Train: eight(600, 8, 0.2, 1), Heldout: eight(200, 8, 0.2, 2), Generated: generated, Seed: 3}))
	}
	figures := func(r PointReport) (samples, heldout [4]Figure) {
		return [4]Figure{r.W2, r.SlicedW2, r.EnergyDistance, r.MMD}, [4]Figure{r.W2Heldout, r.SlicedW2Heldout, r.EnergyDistanceHeldout, r.MMDHeldout}
	}
	names := [4]string{"W₂", "sliced W₂", "energy distance", "MMD"}

	good := measure(eight(450, 8, 0.2, 4))
	t.Logf("\n%v", good)
	if good.SetSize != 200 || good.Sets != 3 || good.SetsHeldout != 1 || good.Dim != 2 {
		t.Errorf("sets of %d, %d and %d, in %d dimensions", good.SetSize, good.Sets, good.SetsHeldout, good.Dim)
	}
	a, h := figures(good)
	for i := range 3 { // the MMD of one distribution is 0 on average: no ratio
		if ratio := a[i] / h[i]; ratio < 0.5 || ratio > 2 {
			t.Errorf("another draw: %s is %.2f times held-out's", names[i], ratio)
		}
	}
	for name, bad := range map[string]Points{"wide modes": eight(450, 8, 0.8, 4), "missing modes": eight(450, 5, 0.2, 4)} {
		b, _ := figures(measure(bad))
		for i := range b {
			if b[i] <= a[i] || i < 3 && b[i] <= 1.2*h[i] {
				t.Errorf("%s: %s %g, of another draw %g, held-out's %g", name, names[i], b[i], a[i], h[i])
			}
		}
	}
	// Modes that are points are no further from the data than modes are wide, which is less than draws of
	// 200 scatter over the modes; recall, and the narrow kernels of MMD, see them.
	if r := measure(eight(450, 8, 0.001, 4)); r.Recall > 0.1*r.RecallHeldout || r.MMD <= good.MMD || r.Precision < 0.9 {
		t.Errorf("modes that are points: %+v", r)
	}
	if r := measure(eight(450, 8, 0.8, 4)); r.Precision > 0.5*r.PrecisionHeldout {
		t.Errorf("wide modes: %+v", r)
	}
	copies := must[PointReport](t)(EvaluatePoints(background, PointInput{Train: eight(600, 8, 0.2, 1), Heldout: eight(200, 8, 0.2, 2), Generated: eight(600, 8, 0.2, 1)}))
	if copies.MedianTrainDistance != 0 || copies.MedianTrainDistanceHeldout <= 0 {
		t.Errorf("copies: median distance %g, held-out's %g", copies.MedianTrainDistance, copies.MedianTrainDistanceHeldout)
	}

	same := must[PointReport](t)(EvaluatePoints(background, PointInput{Train: eight(600, 8, 0.2, 1), Heldout: eight(200, 8, 0.2, 2), Generated: eight(200, 8, 0.2, 2)}))
	if a, h := figures(same); a != h {
		t.Errorf("held-out points as samples: %v and %v", a, h)
	}
	text := must[[]byte](t)(json.Marshal(good))
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"w2", "sliced_w2", "energy_distance", "mmd"} {
		if keys[k] == nil || keys[k+"_heldout"] == nil {
			t.Errorf("no %s or %s_heldout in %s", k, k, text)
		}
	}
	if again := measure(eight(450, 8, 0.2, 4)); !sameReport(t, again, good) {
		t.Error("two evaluations differ")
	}
}

func TestEvaluatePointsRefusesBadInput(t *testing.T) {
	ok := normal(9, 2, 0, 1, 1)
	for name, in := range map[string]PointInput{
		"dimensions": {Train: ok, Heldout: ok, Generated: normal(9, 3, 0, 1, 1)},
		"too few":    {Train: ok, Heldout: normal(3, 2, 0, 1, 1), Generated: ok},
		"none":       {Train: ok, Heldout: ok, Generated: Points{D: 2}},
	} {
		var e *InputError
		if _, err := EvaluatePoints(background, in); !errors.As(err, &e) {
			t.Errorf("%s: %v, want an *InputError", name, err)
		}
	}
}
