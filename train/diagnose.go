package train

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor"
)

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// diagnose says where numbers went wrong first, and how to go on.
func (t *Trainer) diagnose(loss, norm float64, grads []*tensor.Tensor) error {
	where := "the loss"
	if p := firstNotFinite(t.params, func(p *tensor.Param) []float32 { return p.Float32s() }); p >= 0 {
		where = "weight " + t.params[p].Name
	} else if g := firstNotFinite(grads, gradientValues); g >= 0 && finite(loss) {
		where = "the gradient of " + t.params[g].Name
	}
	return fmt.Errorf("training stopped at step %d: loss (%g) or gradient norm (%g) was not finite for %d steps in a row, first in %s; %s, or look at the data",
		t.step, loss, norm, t.inARow, where, t.remedy())
}

func gradientValues(g *tensor.Tensor) []float32 {
	if g == nil {
		return nil
	}
	return g.Float32s()
}

// remedy is how to go on after numbers have gone wrong.
func (t *Trainer) remedy() string {
	lower := fmt.Sprintf("lower optim.lr (%g)", t.exp.Optim.LR)
	if paths, err := listCheckpoints(t.dir.Checkpoints()); t.dir != "" && err == nil && len(paths) > 0 {
		return fmt.Sprintf("%s and go on with --resume from the newest checkpoint, %s", lower, paths[0])
	}
	return lower + " and start again"
}

// firstNotFinite is the place of the first array with a value that is not finite, or −1.
func firstNotFinite[T any](arrays []T, values func(T) []float32) int {
	for i, a := range arrays {
		for _, v := range values(a) {
			if !finite(float64(v)) {
				return i
			}
		}
	}
	return -1
}
