package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/train/config"
)

func init() {
	config.Register(Times, "uniform", "Uniform over a part of the path.",
		func(c *diffusion.Uniform, _ TimeArg) (diffusion.TimeSampler, error) { return c, nil })
	config.Register(Times, "logit_normal", "The logit is normal (Esser et al. 2024).",
		func(c *diffusion.LogitNormal, _ TimeArg) (diffusion.TimeSampler, error) { return c, nil })
	config.Register(Times, "log_normal", "The logarithm of the noise level σ/α is normal (Karras et al. 2022).",
		func(c *diffusion.LogNormal, _ TimeArg) (diffusion.TimeSampler, error) { return c, nil })
	config.Register(Times, "mode", "More often in the middle of the path, or at its ends, with heavy tails (Esser et al. 2024).",
		func(c *diffusion.Mode, _ TimeArg) (diffusion.TimeSampler, error) { return c, nil })
	config.Register(Times, "u_shaped", "More often near both ends of the path (Lee et al. 2024).",
		func(c *diffusion.UShaped, _ TimeArg) (diffusion.TimeSampler, error) { return c, nil })

	config.Register(Times, "levels", "One of a few equally spaced times: on the ve path the geometric noise levels of NCSN (Song and Ermon 2019).",
		func(c *diffusion.Levels, _ TimeArg) (diffusion.TimeSampler, error) { return c, nil })
	config.Register(Times, "by_loss", "In proportion to past losses, and the loss divided by that: less noise in the gradient of losses that vary much over time (Nichol and Dhariwal 2021).",
		func(c *diffusion.ByLoss, _ TimeArg) (diffusion.TimeSampler, error) { return c, c.Validate() })

	type none struct{}
	config.Register(Times, "cosmap", "On straight lines, the noise levels that the cosine schedule has (Esser et al. 2024).",
		func(*none, TimeArg) (diffusion.TimeSampler, error) { return diffusion.CosMap{}, nil })

	config.Register(Weightings, "even", "Every time alike, in what the network predicts.",
		func(*none, WeightArg) (diffusion.Weighting, error) { return diffusion.Even{}, nil })
	config.Register(Weightings, "snr", "The squared error of the data by α²/σ²: that of ε alike.",
		func(*none, WeightArg) (diffusion.Weighting, error) { return diffusion.SNR{}, nil })
	config.Register(Weightings, "min_snr", "The squared error of the data by min(α²/σ², γ) (Hang et al. 2023).",
		func(c *diffusion.MinSNR, _ WeightArg) (diffusion.Weighting, error) { return c, nil })
	config.Register(Weightings, "soft_min_snr", "The squared error of the data by S·γ/(S+γ), S = α²/σ² (Crowson et al. 2024).",
		func(c *diffusion.SoftMinSNR, _ WeightArg) (diffusion.Weighting, error) { return c, nil })
	config.Register(Weightings, "p2", "The squared error of ε by 1/(k+α²/σ²)^γ (Choi et al. 2022).",
		func(c *diffusion.P2, _ WeightArg) (diffusion.Weighting, error) { return c, nil })
	config.Register(Weightings, "sigmoid", "The squared error of ε by sigmoid(bias − ln(α²/σ²)) (Kingma and Gao 2023; Hoogeboom et al. 2024).",
		func(c *diffusion.Sigmoid, _ WeightArg) (diffusion.Weighting, error) { return c, nil })
	config.Register(Weightings, "points", "The squared error of a prediction by one's own weights at log-SNRs of one's own, and straight lines between.",
		func(c *diffusion.WeightPoints, _ WeightArg) (diffusion.Weighting, error) { return c, nil })
	config.Register(Weightings, "truncated_snr", "The squared error of the data by max(α²/σ², 1) (Salimans and Ho 2022).",
		func(*none, WeightArg) (diffusion.Weighting, error) { return diffusion.TruncatedSNR{}, nil })
	config.Register(Weightings, "snr_plus_one", "The squared error of v alike, which is that of the data by 1+α²/σ² where α²+σ²=1 (Salimans and Ho 2022).",
		func(*none, WeightArg) (diffusion.Weighting, error) { return diffusion.SNRPlusOne{}, nil })
	config.Register(Weightings, "likelihood", "The squared error of the score by g², the path's diffusion coefficient: a bound of the likelihood (Song, Durkan et al. 2021).",
		func(*none, WeightArg) (diffusion.Weighting, error) { return diffusion.Likelihood{}, nil })
}
