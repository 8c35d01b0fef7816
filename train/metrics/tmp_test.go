package metrics

import (
	"testing"
	"time"
	"github.com/langevin-go/langevin/tensor/cpu"
)

func TestSeeds(t *testing.T) {
	d := digits()
	for _, u := range []int{1000, 1500} {
	for seed := range uint64(6) {
		t0 := time.Now()
		k := must[*Classifier](t)(TrainClassifier(background, cpu.Default(), d[0], 10, ClassifierConfig{Seed: seed, Updates: u}, nil))
		dt := time.Since(t0)
		r, _ := Evaluate(background, Input{Train: d[0], Heldout: d[1], Generated: d[1], Classes: 10, Classifier: k})
		t.Logf("%d seed %d %v acc %.4f fid %.3f P %.3f R %.3f", u, seed, dt, r.ClassAccuracyHeldout, r.FrechetHeldout, r.PrecisionHeldout, r.RecallHeldout)
	}
	}
}
