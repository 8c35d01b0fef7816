package train

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
)

// replica is the network once more, with a moving average of the weights.
type replica struct {
	net    Network
	params []*tensor.Param // in the order of the trainer's
	moving []*tensor.Param // those of trained parameters
	ema    *optim.EMA      // nil: the trainer's own
}

// replicate makes one. Parameters that are not trained have their values in it.
func (t *Trainer) replicate() (c replica, err error) {
	if _, c.net, c.params, err = t.exp.build(t.dev, t.about(), t.prompts); err != nil {
		return c, err
	}
	for i, p := range t.params {
		if !p.Frozen {
			c.moving = append(c.moving, c.params[i])
		}
	}
	return c, t.copyFrozen(c.params)
}

// copyFrozen sets the copies of parameters that are not trained.
func (t *Trainer) copyFrozen(copies []*tensor.Param) error {
	for i, p := range t.params {
		if p.Frozen {
			if err := copies[i].Set(p.Float32s()); err != nil {
				return err
			}
		}
	}
	return nil
}

// target is the model with an average of the objective's own.
func (t *Trainer) target(decay float64) (diffusion.Model, error) {
	c, err := t.replicate()
	if err != nil {
		return nil, err
	}
	if c.ema, err = optim.NewEMA(t.trained, c.moving, optim.EMAConfig{Decay: decay}); err != nil {
		return nil, err
	}
	t.targets = append(t.targets, c)
	return t.job.Model(c.net), nil
}

// targetPrefix begins the names of such an average's arrays.
func targetPrefix(i int) string { return fmt.Sprintf("target.%d.", i) }
