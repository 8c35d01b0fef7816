package sampler

import (
	"fmt"
	"slices"
	"strings"
)

// Entry is a sampler or grid by name.
type Entry[T any] struct {
	Name, Doc string
	New       func() T // with its defaults; a pointer to its struct of options
}

// withDefaults makes a *C with its defaults.
func withDefaults[C any, T any, P interface {
	*C
	SetDefaults()
}]() T {
	p := P(new(C))
	p.SetDefaults()
	return any(p).(T)
}

// Samplers lists all samplers by name.
var Samplers = []Entry[Sampler]{
	{"ddpm", "ancestral sampling (Ho et al. 2020)", withDefaults[DDPM, Sampler]},
	{"ddim", "Song et al. 2021: deterministic with eta=0, which is Euler's method in sigma", withDefaults[DDIM, Sampler]},
	{"euler", "Euler's method on the probability-flow ODE", withDefaults[Euler, Sampler]},
	{"heun", "Heun's second-order method on the probability-flow ODE (in sigma: Karras et al. 2022)", withDefaults[Heun, Sampler]},
	{"jump", "one evaluation an interval, for models of whole steps: mean flows, shortcut models, flow maps", withDefaults[Jump, Sampler]},
	{"gamma", "jumps of a consistency trajectory model, with some of the noise drawn anew in between (Kim et al. 2024)", withDefaults[Gamma, Sampler]},
	{"runge_kutta", "an explicit Runge-Kutta method, named or one's own, on the probability-flow ODE", withDefaults[RungeKutta, Sampler]},
	{"dopri5", "Dormand and Prince's method of order 5 with steps of its own choosing", withDefaults[Dopri5, Sampler]},
	{"dpm_multistep", "DPM-Solver and DPM-Solver++ with values from earlier steps (Lu et al. 2022): 2M, 3M", withDefaults[DPMMultistep, Sampler]},
	{"dpm_singlestep", "DPM-Solver and DPM-Solver++ in blocks of steps (Lu et al. 2022): 2S, 3S", withDefaults[DPMSinglestep, Sampler]},
	{"unipc", "predictor and corrector of order p+1 (Zhao et al. 2023)", withDefaults[UniPC, Sampler]},
	{"deis", "exponential integrator in the noise (Zhang and Chen 2023)", withDefaults[DEIS, Sampler]},
	{"lms", "linear multistep in sigma (Adams and Bashforth; k-diffusion)", withDefaults[LMS, Sampler]},
	{"dpm2", "midpoint method in sigma at the geometric mean (k-diffusion)", withDefaults[DPM2, Sampler]},
	{"euler_ancestral", "Euler's method in sigma to below the next noise level, and noise up to it (k-diffusion)", withDefaults[EulerAncestral, Sampler]},
	{"dpm2_ancestral", "DPM-Solver-2's midpoint method to below the next noise level, and noise up to it (k-diffusion)", withDefaults[DPM2Ancestral, Sampler]},
	{"dpmpp_sde", "DPM-Solver++ with noise, two evaluations a step (k-diffusion)", withDefaults[DPMppSDE, Sampler]},
	{"dpm_singlestep_sde", "DPM-Solver++ with noise in blocks of steps (diffusers' single-step sde-dpmsolver++)", withDefaults[DPMSinglestepSDE, Sampler]},
	{"dpm_multistep_sde", "DPM-Solver++ 2M and 3M SDE (k-diffusion; diffusers' sde-dpmsolver++), and their form that predicts noise", withDefaults[DPMMultistepSDE, Sampler]},
	{"euler_maruyama", "Euler–Maruyama on the SDEs with the path's marginals: Anderson's reverse SDE, or noise of one's own choice", withDefaults[EulerMaruyama, Sampler]},
	{"predictor_corrector", "steps of the reverse SDE, each after Langevin steps (Song et al. 2021)", withDefaults[PredictorCorrector, Sampler]},
	{"annealed_langevin", "Langevin dynamics at falling noise levels (Song and Ermon 2019)", withDefaults[AnnealedLangevin, Sampler]},
	{"restart", "Heun's method, going back to noise several times at a low noise level (Xu et al. 2023)", withDefaults[Restart, Sampler]},
	{"repaint", "ancestral sampling that goes back and forth, for inpainting with the constraint known (Lugmayr et al. 2022)", withDefaults[RePaint, Sampler]},
	{"renoise", "estimate the data, add noise of the next time, repeat", withDefaults[Renoise, Sampler]},
}

// Grids lists all time grids by name.
var Grids = []Entry[Grid]{
	{"uniform", "equal steps in time, shifted or not", withDefaults[UniformGrid, Grid]},
	{"karras", "noise levels with equal steps in sigma^(1/rho) (Karras et al. 2022)", withDefaults[KarrasGrid, Grid]},
	{"logsnr", "equal steps in the log-SNR", withDefaults[LogSNRGrid, Grid]},
	{"polyexponential", "noise levels whose logarithm falls as a power of the step (k-diffusion)", withDefaults[PolyexponentialGrid, Grid]},
	{"ays", "noise levels found best for few steps of Stable Diffusion, SDXL or Stable Video Diffusion (Sabour et al. 2024)", withDefaults[AYSGrid, Grid]},
	{"angle", "equal steps in arctan(sigma/(alpha·sigma_data)): for consistency models", withDefaults[AngleGrid, Grid]},
	{"beta", "times at quantiles of a Beta distribution: short steps at both ends (Lee et al. 2024)", withDefaults[BetaGrid, Grid]},
	{"table", "entries of a discrete table, spaced as diffusers does", withDefaults[TableGrid, Grid]},
	{"times", "the user's own list", func() Grid { return new(OwnGrid) }},
}

// New makes the sampler or grid of that name with its defaults. The error lists
// the valid names.
func New[T any](entries []Entry[T], name string) (T, error) {
	i := slices.IndexFunc(entries, func(e Entry[T]) bool { return e.Name == name })
	if i < 0 {
		var names []string
		for _, e := range entries {
			names = append(names, e.Name)
		}
		var none T
		return none, fmt.Errorf("unknown name %q; valid are %s", name, strings.Join(names, ", "))
	}
	return entries[i].New(), nil
}
