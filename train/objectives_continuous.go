package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
)

type edmConfig struct {
	SigmaData        float64 `yaml:"sigma_data" doc:"standard deviation of the data" range:"(0,inf)"`
	SigmaMax         float64 `yaml:"sigma_max" doc:"highest noise level, where sampling starts" range:"(0,inf)"`
	RegressionConfig `yaml:",inline"`
}

// SetDefaults are the paper's.
func (c *edmConfig) SetDefaults() {
	c.RegressionConfig.SetDefaults()
	c.SigmaData, c.SigmaMax = 0.5, 80
	c.Times = Times.Default("log_normal")
}

// DSMConfig is denoising score matching along an SDE.
type DSMConfig struct {
	SDE              string               `yaml:"sde" doc:"forward process: ve (noise grows), vp (variance 1 is kept), cosine (so is it, along the cosine schedule, to noise alone), subvp (less noise than vp)" oneof:"ve vp cosine subvp"`
	BetaMin          float64              `yaml:"beta_min" doc:"rate of noise at the data; of vp and subvp" range:"(0,inf)"`
	BetaMax          float64              `yaml:"beta_max" doc:"rate of noise at the path's end; of vp and subvp" range:"(0,inf)"`
	SigmaMin         float64              `yaml:"sigma_min" doc:"lowest noise level; of ve" range:"(0,inf)"`
	SigmaMax         float64              `yaml:"sigma_max" doc:"highest noise level; of ve" range:"(0,inf)"`
	Predict          diffusion.Prediction `yaml:"predict" doc:"what the network's output is; eps is the score times −sigma"`
	RegressionConfig `yaml:",inline"`
}

// SetDefaults are the paper's, for pictures in [−1,1].
func (c *DSMConfig) SetDefaults() {
	c.RegressionConfig.SetDefaults()
	c.SDE, c.BetaMin, c.BetaMax, c.SigmaMin, c.SigmaMax = "vp", 0.1, 20, 0.01, 50
	c.Predict = diffusion.Eps
	c.Weighting = Weightings.Default("snr")
	times := Times.Default("uniform")
	u := times.Config.(diffusion.Uniform)
	u.From = 1e-5 // the score has no limit at 0
	times.Config = u
	c.Times = times
}

// Validate checks that the noise grows.
func (c *DSMConfig) Validate() error {
	switch {
	case c.BetaMax < c.BetaMin:
		return invalid.Field("beta_max", "must not be below beta_min %g, is %g", c.BetaMin, c.BetaMax)
	case c.SigmaMax <= c.SigmaMin:
		return invalid.Field("sigma_max", "must be above sigma_min %g, is %g", c.SigmaMin, c.SigmaMax)
	}
	return nil
}

func (c *DSMConfig) path() diffusion.GaussianPath {
	vp := diffusion.VP{Beta0: c.BetaMin, Beta1: c.BetaMax}
	switch c.SDE {
	case "ve":
		return diffusion.VE{SigmaMin: c.SigmaMin, SigmaMax: c.SigmaMax}
	case "subvp":
		return diffusion.SubVP{VP: vp}
	case "cosine":
		return diffusion.Cosine{Shift: 0.008} // Nichol and Dhariwal 2021
	}
	return vp
}

// smConfig is score matching along the paths of dsm.
type smConfig struct {
	Estimator string `yaml:"estimator" doc:"the divergence of the score: exact, at the cost of a derivative for every element of a sample, or sliced, by random directions (Song et al. 2019)" oneof:"exact sliced"`
	Probes    int    `yaml:"probes" doc:"random directions of the sliced estimate" range:"[1,1000]"`
	DSMConfig `yaml:",inline"`
}

// SetDefaults is the sliced estimate along the whole path.
func (c *smConfig) SetDefaults() {
	c.DSMConfig.SetDefaults()
	c.Estimator, c.Probes = "sliced", 1
}

// Validate refuses directions that nothing asks for.
func (c *smConfig) Validate() error {
	if c.Estimator == "exact" && c.Probes != 1 {
		return invalid.Field("probes", "are of the sliced estimate; the exact one has none")
	}
	if c.Perturbation != 0 {
		return invalid.Field("input_perturbation", "has no place here: the loss knows no noise that would be the target")
	}
	return c.DSMConfig.Validate()
}

func init() {
	config.Register(Objectives, "edm", "Denoising with the preconditioning, weights and noise levels of Karras et al. 2022.",
		func(c *edmConfig, a ObjectiveArg) (*Job, error) {
			// The paper's weight is even in what the network itself has to learn.
			return c.job(diffusion.EDM{SigmaMax: c.SigmaMax}, diffusion.Preconditioned{SigmaData: c.SigmaData}, diffusion.EDMInput, a)
		})
	config.Register(Objectives, "dsm", "Denoising score matching along a stochastic differential equation (Song et al. 2021).",
		func(c *DSMConfig, a ObjectiveArg) (*Job, error) { return c.job(c.path(), c.Predict, nil, a) })
	config.Register(Objectives, "sm", "Score matching by the divergence of the score, exact or sliced, along a stochastic differential equation (Hyvärinen 2005; Song et al. 2019).",
		func(c *smConfig, a ObjectiveArg) (*Job, error) {
			job, err := c.job(c.path(), c.Predict, nil, a)
			if err != nil {
				return nil, err
			}
			if err := job.Objective.(*diffusion.Regression).Check(c.Predict, diffusion.Score); err != nil {
				return nil, err
			}
			o := &diffusion.ScoreMatching{Regression: *job.Objective.(*diffusion.Regression)}
			if c.Estimator == "sliced" {
				o.Probes = c.Probes
			}
			job.Objective = o
			return job, nil
		})
}
