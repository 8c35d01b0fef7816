package train

import (
	"fmt"

	"github.com/langevin-go/langevin/train/data"
)

// about is what a network and an objective are made for: facts of the data, which checkpoints keep, because samples are
// drawn without the data.
type about struct {
	Shape   []int `json:"shape"`            // of a sample
	Classes int   `json:"classes"`          // that the network is conditioned on; 0: none
	Vector  int   `json:"vector,omitempty"` // numbers of the vector that it is conditioned on; 0: none
	Levels  int   `json:"levels,omitempty"` // equally spaced values of the data from −1 to 1; 0: continuous
}

// check refuses what cannot be: a checkpoint may come from anywhere.
func (a *about) check() error {
	if a.Classes < 0 || a.Vector < 0 || a.Vector > 1<<20 || len(a.Shape) == 0 || len(a.Shape) > 4 || a.Levels < 0 {
		return fmt.Errorf("%d classes, vectors of %d, %d levels or sample shape %v is impossible", a.Classes, a.Vector, a.Levels, a.Shape)
	}
	for _, d := range a.Shape {
		if d < 1 || d > 1<<20 {
			return fmt.Errorf("sample shape %v is impossible", a.Shape)
		}
	}
	return nil
}

// about are the facts of the training data.
func (t *Trainer) about() about {
	src := t.data.Train
	a := about{Shape: src.Shape(), Classes: t.classes(), Levels: data.Levels(src)}
	if t.exp.Conditional {
		a.Vector = data.VectorSize(src)
	}
	return a
}
