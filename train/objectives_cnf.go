package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/train/config"
)

type cnfConfig struct {
	flow.CNF         `yaml:",inline"`
	ConditionDropout float64 `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition, for classifier-free guidance" range:"[0,1]"`
}

func init() {
	config.Register(Objectives, "cnf", "A continuous normalising flow by maximum likelihood (FFJORD, Grathwohl et al. 2019), for points of few dimensions: the baseline of flow matching. The loss is nats a dimension.",
		func(c *cnfConfig, a ObjectiveArg) (*Job, error) {
			cnf := c.CNF
			cnf.Dropout = a.dropout(c.ConditionDropout)
			return &Job{Objective: &cnf, Model: ModelOf(diffusion.CondOT{}, diffusion.Velocity, nil)}, nil
		})
}
