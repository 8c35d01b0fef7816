package diffusion

// Posterior is q(x_s | x_t, x0) = N(OnX·x_t + OnX0·x0, Small) for s<t on any
// Gaussian path: the DDPM posterior (Ho et al. 2020, eq. 6–7) where α²+σ²=1. Large
// is the variance of q(x_t | x_s), the paper's β_t.
type Posterior struct{ OnX, OnX0, Small, Large float64 }

// NewPosterior is the posterior of s given t. With α_{t|s} = α_t/α_s and
// σ²_{t|s} = σ_t²−α_{t|s}²σ_s².
func NewPosterior(t, s Point) Posterior {
	ratio := t.Alpha / s.Alpha
	back := s.Sigma / t.Sigma // σ_s/σ_t
	kept := ratio * back      // e^{λ_t−λ_s}
	large := max(0, t.Sigma*t.Sigma*(1-kept*kept))
	return Posterior{
		OnX:   ratio * back * back,
		OnX0:  s.Alpha * large / (t.Sigma * t.Sigma),
		Small: large * back * back,
		Large: large,
	}
}
