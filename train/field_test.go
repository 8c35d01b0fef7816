package train

import (
	"testing"

	"github.com/langevin-go/langevin/diffusion"
)

func TestPredictRefuses(t *testing.T) {
	d := exactDrawer(diffusion.CondOT{}, 2)
	ask := func(q Request, kind diffusion.Kind, x []float32, at float64) error {
		_, err := d.Predict(q, kind, x, at)
		return err
	}
	x := []float32{1, 2}
	wantError(t, ask(Request{N: 2}, diffusion.X0, x, 0.5), "2 numbers", "2 samples")
	wantError(t, ask(Request{N: 1}, diffusion.X0, x, 1.5), "time 1.5", "0 to 1")
	wantError(t, ask(Request{N: 1}, diffusion.Score, x, 0), "does not determine")
	wantError(t, ask(Request{N: 1, Labels: []int32{1, 2}}, diffusion.X0, x, 0.5), "2 labels")
	d.Source = &noise{noiseConfig: noiseConfig{Shape: []int{2}}}
	wantError(t, ask(Request{N: 1}, diffusion.Score, x, 0.5), "score", "other data")
	if err := ask(Request{N: 1}, diffusion.Velocity, x, 0.5); err != nil {
		t.Error(err)
	}
	_, err := d.Noised(Request{N: 2, Init: x}, 0.5)
	wantError(t, err, "2 numbers")
}
