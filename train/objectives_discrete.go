package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/discrete"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

type discreteConfig struct {
	Tokens           int                                      `yaml:"tokens" doc:"size of the alphabet: the data's numbers are that many equally spaced values from −1 to 1; 0: as the data have them, 256 of pictures of bytes" range:"[0,65536]"`
	Source           discrete.Source                          `yaml:"source" doc:"what tokens turn into: the mask (masked diffusion), or random ones"`
	Scheduler        config.Variant[KappaArg, flow.Scheduler] `yaml:"scheduler" doc:"probability κ(t) of each token to have turned into the source's"`
	Loss             string                                   `yaml:"loss" doc:"cross_entropy: of each token's posterior; bound: that on the likelihood but for times below times.from, in nats for each token" oneof:"cross_entropy bound"`
	Times            timeSampling                             `yaml:"times" doc:"distribution of training times"`
	Shift            float64                                  `yaml:"shift" doc:"moves training times towards the source: t' = kt/(1+(k-1)t); 1: not at all" range:"(0,inf)"`
	Stratified       bool                                     `yaml:"stratified" doc:"draw one time from each of as many equal slices of the distribution as the batch has samples"`
	ConditionDropout float64                                  `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition, for classifier-free guidance" range:"[0,1]"`
}

// SetDefaults is masked diffusion with the cross-entropy.
func (c *discreteConfig) SetDefaults() {
	c.Scheduler, c.Times, c.Loss = Kappas.Default("linear"), Times.Default("uniform"), "cross_entropy"
	c.Times.Config = diffusion.Uniform{From: 0.001, To: 1} // where κ'/κ is large, few tokens are the source's
	c.Shift, c.ConditionDropout, c.Stratified = 1, 0.1, true
}

// Validate checks what belongs together.
func (c *discreteConfig) Validate() error {
	if c.Loss == "bound" && (c.Times.Kind != "uniform" || c.Shift != 1) {
		return invalid.Field("times", "must be uniform, without a shift, where the loss is the bound: it is an integral over time")
	}
	return nil
}

// path is the one of data of so many levels.
func (c *discreteConfig) path(levels int) (*discrete.Path, error) {
	tokens := c.Tokens
	switch {
	case tokens == 0 && levels == 0:
		return nil, invalid.Field("tokens", "must be given: the data are continuous, as far as is known")
	case tokens == 0:
		tokens = levels
	}
	if err := discrete.Alphabet(tokens).Check(); err != nil {
		return nil, invalid.Field("tokens", "do not go: %v", err)
	}
	kappa, err := c.Scheduler.Build(KappaArg{})
	return &discrete.Path{Alphabet: discrete.Alphabet(tokens), Source: c.Source, Scheduler: kappa}, err
}

func (c *discreteConfig) job(a ObjectiveArg) (*Job, error) {
	path, err := c.path(a.Levels)
	if err != nil {
		return nil, err
	}
	r := RegressionConfig{Times: c.Times, Shift: c.Shift, Stratified: c.Stratified, Weighting: Weightings.Default("even"), ConditionDropout: c.ConditionDropout}
	job, err := r.job(path, discrete.Posterior, nil, a)
	if err != nil {
		return nil, err
	}
	reg := job.Objective.(*diffusion.Regression)
	if reg.Observes() {
		return nil, invalid.Field("times", "must not follow from losses here: take uniform, or another in time")
	}
	job.Objective = &discrete.Matching{Path: path, Times: reg.Times, Stratified: reg.Stratified, Dropout: reg.Dropout, Bound: c.Loss == "bound"}
	job.InChannels, job.OutChannels = a.Shape[len(a.Shape)-1]*path.Width(), int(path.Alphabet)
	job.Model = func(net Network) diffusion.Model {
		return discrete.NewModel(path, func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
			return net.Forward(x, t, nn.Cond(c))
		})
	}
	job.Source = func(d DataArg) (*Dataset, error) {
		key := rng.Key{Seed: d.Seed}
		return &Dataset{&tokenSource{path, a.Shape, key}, &tokenSource{path, a.Shape, key.WithStream(1)}}, nil
	}
	return job, nil
}

// tokenSource is an endless source of what tokens start from.
type tokenSource struct {
	path  *discrete.Path
	shape []int
	key   rng.Key
}

func (s *tokenSource) Len() int     { return data.Infinite }
func (s *tokenSource) Shape() []int { return s.shape }
func (s *tokenSource) Classes() int { return 0 }
func (s *tokenSource) Sample(i uint64, x []float32) (int, error) {
	s.path.DrawSource(s.key, i, x)
	return 0, nil
}

func init() {
	config.Register(Objectives, "discrete_flow", "Tokens instead of numbers: discrete flow matching (Campbell et al. 2024; Gat et al. 2024) and masked diffusion (Shi et al. 2024; Sahoo et al. 2024). The data's levels are the tokens. Samples are drawn by ctmc, which the sampler auto stands for there, or unmask.",
		func(c *discreteConfig, a ObjectiveArg) (*Job, error) { return c.job(a) })

	chain, unmask := new(discrete.CTMC), new(discrete.Unmask)
	chain.SetDefaults()
	unmask.SetDefaults()
	config.RegisterOptions(Samplers, "ctmc", "jumps of tokens by the rates of discrete flow matching (Campbell et al. 2024; Gat et al. 2024), for the objective discrete_flow", sampler.Sampler(chain))
	config.RegisterOptions(Samplers, "unmask", "reveals a fixed number of tokens a step, at random or the most confident ones (Chang et al. 2022), for discrete_flow with the mask as source", sampler.Sampler(unmask))
}
