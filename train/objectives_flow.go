package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
)

// CouplingArg, InterpolantArg and LatentArg are empty: these kinds need nothing but their configs.
type (
	CouplingArg    struct{}
	InterpolantArg struct{}
	LatentArg      struct{}
)

// Couplings is the registry of couplings of data and noise, or of data and samples of a source.
var Couplings = config.NewRegistry[CouplingArg, flow.Coupling]("coupling", "Which noise, or which sample of the source, goes with which data.")

// Interpolants is the registry of paths between two ends, Latents that of noise in between.
var (
	Interpolants = config.NewRegistry[InterpolantArg, diffusion.GaussianPath]("interpolant", "How data turn into noise, or into samples of the source, as the time t goes from 0 to 1.")
	Latents      = config.NewRegistry[LatentArg, flow.Latent]("latent noise", "Noise γ(t)·z of an interpolant's own, besides its ends.")
)

type latentNoise = config.Variant[LatentArg, flow.Latent]

// LatentPart is what interpolants share.
type LatentPart struct {
	Latent *latentNoise `yaml:"latent" doc:"noise between the ends; the network then predicts velocity or data_velocity, and samplers integrate in time; null: none"`
}

// on adds the latent noise to a path.
func (c *LatentPart) on(path diffusion.GaussianPath) (diffusion.GaussianPath, error) {
	if c.Latent == nil {
		return path, nil
	}
	l, err := c.Latent.Build(LatentArg{})
	if err != nil {
		return nil, err
	}
	return flow.Interpolant{GaussianPath: path, Latent: l}, nil
}

type condOTConfig struct {
	SigmaMin   float64 `yaml:"sigma_min" doc:"noise left on the data: t·1 becomes sigma_min + (1-sigma_min)·t (Lipman et al. 2023)" range:"[0,1)"`
	LatentPart `yaml:",inline"`
}

type trigConfig struct {
	LatentPart `yaml:",inline"`
}

type encDecConfig struct {
	Latent latentNoise `yaml:"latent" doc:"noise between the ends, which is all that there is in the middle"`
}

// SetDefaults is the paper's.
func (c *encDecConfig) SetDefaults() { c.Latent = Latents.Default("sine") }

type flowConfig struct {
	Interpolant      config.Variant[InterpolantArg, diffusion.GaussianPath] `yaml:"interpolant" was:"path" doc:"path between data and noise, or data and source"`
	Predict          diffusion.Prediction                                   `yaml:"predict" doc:"what the network's output is"`
	Coupling         config.Variant[CouplingArg, flow.Coupling]             `yaml:"coupling" doc:"which noise, or sample of the source, goes with which data"`
	Source           *config.Variant[DataArg, *Dataset]                     `yaml:"source" doc:"where the flow starts from: samples of the data's shape, which sampling then starts from, too; null: normal noise"`
	Denoiser         bool                                                   `yaml:"learn_denoiser" doc:"have the network estimate the latent noise as well, in as many channels again: for the sampler interpolant_sde"`
	RegressionConfig `yaml:",inline"`
}

// SetDefaults is rectified flow's regression.
func (c *flowConfig) SetDefaults() {
	c.Interpolant, c.Predict = Interpolants.Default("condot"), diffusion.Velocity
	c.Coupling = Couplings.Default("independent")
	c.RegressionConfig.SetDefaults()
}

// Validate checks what belongs together.
func (c *flowConfig) Validate() error {
	if c.Source != nil && c.Offset != 0 {
		return invalid.Field("offset_noise", "changes normal noise, and with a source there is none at the path's end")
	}
	return nil
}

// latent checks the settings that go with an interpolant that has noise of its own.
func (c *flowConfig) latent(path diffusion.GaussianPath) error {
	p, ok := path.(flow.Interpolant)
	if !ok && c.Denoiser {
		return invalid.Field("learn_denoiser", "needs an interpolant with latent noise")
	}
	if !ok {
		return nil
	}
	switch {
	case c.Predict != diffusion.Velocity && c.Predict != diffusion.DataVelocity:
		return invalid.Field("predict", "must be velocity or data_velocity where the interpolant has latent noise, is %v: its velocity does not follow from anything else", c.Predict)
	case c.Weighting.Kind != "even":
		return invalid.Field("weighting", "must be even where the interpolant has latent noise, is %s: errors of the velocity are not those of anything else", c.Weighting.Kind)
	case c.TrainingNoise != diffusion.TrainingNoise{}:
		return invalid.Field("interpolant", "has latent noise, which offset_noise and input_perturbation do not go with")
	}
	if _, ok := p.GaussianPath.(flow.EncDec); ok && c.Times.Kind == "log_normal" {
		return invalid.Field("times", "must not be log_normal on encdec, where data and noise never mix: take uniform, or another in time")
	}
	return nil
}

// couplingFor makes a coupling for networks that are conditioned as a says.
func couplingFor(v config.Variant[CouplingArg, flow.Coupling], a ObjectiveArg) (flow.Coupling, error) {
	c, err := v.Build(CouplingArg{})
	if err != nil {
		return nil, err
	}
	if _, ok := c.(*flow.C2OT); ok && a.Classes == 0 && a.Vector == 0 {
		return nil, invalid.Field("coupling", "is c2ot, and the network is conditioned on nothing: it needs data with classes or vectors and conditional: true")
	} else if ok && a.Classes > 0 && a.Vector > 0 {
		return nil, invalid.Field("coupling", "is c2ot, which is for classes or for vectors, and the data have both")
	}
	return c, nil
}

// source opens the distribution that the flow starts from.
func (c *flowConfig) source(a DataArg) (*Dataset, error) { return c.Source.Build(a) }

func init() {
	config.Register(Objectives, "flow", "Flow matching on a continuous path (Lipman et al. 2023; rectified flow, Liu et al. 2023; stochastic interpolants, Albergo et al. 2023), from noise or any other data.",
		func(c *flowConfig, a ObjectiveArg) (*Job, error) {
			path, err := c.Interpolant.Build(InterpolantArg{})
			if err != nil {
				return nil, err
			}
			if err := c.latent(path); err != nil {
				return nil, err
			}
			coupling, err := couplingFor(c.Coupling, a)
			if err != nil {
				return nil, err
			}
			job, err := c.job(path, c.Predict, nil, a)
			if err != nil {
				return nil, err
			}
			job.Objective = &flow.CFM{Regression: *job.Objective.(*diffusion.Regression), Coupling: coupling}
			if c.Source != nil {
				job.Source = c.source
			}
			if c.Denoiser {
				model := job.Model
				job.OutChannels = 2
				job.Model = func(net Network) diffusion.Model { return flow.TwoHeads{Model: model(net)} }
			}
			return job, nil
		})

	config.Register(Interpolants, "condot", "Straight lines: (1−t)·data + t·noise.",
		func(c *condOTConfig, _ InterpolantArg) (diffusion.GaussianPath, error) {
			return c.on(diffusion.CondOT{SigmaMin: c.SigmaMin})
		})
	config.Register(Interpolants, "trig", "Quarter circles, which keep the variance: cos(πt/2)·data + sin(πt/2)·noise.",
		func(c *trigConfig, _ InterpolantArg) (diffusion.GaussianPath, error) { return c.on(diffusion.Trig{}) })
	config.Register(Interpolants, "encdec", "Data fade into the latent noise, and that into the source (Albergo et al. 2023).",
		func(c *encDecConfig, _ InterpolantArg) (diffusion.GaussianPath, error) {
			part := LatentPart{&c.Latent}
			return part.on(flow.EncDec{})
		})

	sde := new(flow.SDE)
	sde.SetDefaults()
	config.RegisterOptions(Samplers, "interpolant_sde", "Euler's method on the stochastic differential equation of an interpolant with latent noise (Albergo et al. 2023); needs learn_denoiser", sampler.Sampler(sde))

	config.RegisterOptions(Latents, "constant", "σ at all times, at the ends, too (Tong et al. 2024).", flow.Latent(new(flow.ConstantLatent)))
	config.RegisterOptions(Latents, "bridge", "σ·√(t(1−t)), a Brownian bridge (Schrödinger bridges: Tong et al. 2024; Albergo et al. 2023).", flow.Latent(new(flow.BridgeLatent)))
	config.RegisterOptions(Latents, "sine", "a·sin²(πt), smooth at the ends (Albergo et al. 2023).", flow.Latent(new(flow.SineLatent)))

	config.Register(Couplings, "independent", "Noise is drawn for each sample on its own.",
		func(*struct{}, CouplingArg) (flow.Coupling, error) { return flow.Independent{}, nil })
	config.RegisterOptions(Couplings, "ot", "Exact optimal transport within each batch, for the squared distance (Tong et al. 2024; Pooladian et al. 2023). With classes it biases the noise that each is paired with: take c2ot.", flow.Coupling(new(flow.OT)))
	config.RegisterOptions(Couplings, "c2ot", "Optimal transport that heeds conditions (Cheng and Schwing 2025): exact within each class, so that noise stays what sampling draws.", flow.Coupling(new(flow.C2OT)))
	config.RegisterOptions(Couplings, "sinkhorn", "Entropic optimal transport within each batch (SB-CFM, Tong et al. 2024): with regularisation 2σ² and the latent bridge of σ, a Schrödinger bridge.", flow.Coupling(new(flow.Sinkhorn)))
}
