package sampler

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Grid chooses the times of a sampling run. Its fields are its options.
type Grid interface {
	// Times gives n+1 times of the path, from noise down to data.
	Times(path diffusion.GaussianPath, n int) ([]float64, error)
}

func checkSteps(n int) error {
	if n < 1 {
		return fmt.Errorf("a sampling run of %d steps: want at least 1", n)
	}
	return nil
}

// UniformGrid has equal steps in time.
type UniformGrid struct {
	Shift float64 `yaml:"shift" doc:"moves the steps towards the noise: t' = kt/(1+(k-1)t) (Esser et al. 2024); 1: not at all"`
	// Tokens is a shift by resolution.
	Tokens int `yaml:"shift_tokens" doc:"shift by how many tokens a picture has, by k = exp(mu), mu from 0.5 for 256 to 1.15 for 4096, instead of shift; 0: not so" range:"[0,inf)"`
	// From is below 1 where a prediction says nothing of the data at the path's end.
	From float64 `yaml:"from" doc:"first time, as a fraction of the path; 0: its end" range:"[0,1]"`
}

// SetDefaults does not shift.
func (g *UniformGrid) SetDefaults() { g.Shift = 1 }

// Validate checks the shift.
func (g *UniformGrid) Validate() error {
	if !(g.Shift > 0) || math.IsInf(g.Shift, 0) {
		return invalid.Field("shift", "must be positive, is %g", g.Shift)
	}
	if g.Tokens != 0 && g.Shift != 1 {
		return invalid.Field("shift_tokens", "and shift exclude each other: the tokens say what the shift is")
	}
	if !(g.From >= 0 && g.From <= 1) {
		return invalid.Field("from", "must be in [0, 1], is %g", g.From)
	}
	return nil
}

// Factor is the shift.
func (g *UniformGrid) Factor() float64 {
	if g.Tokens > 0 {
		return diffusion.ShiftOf(g.Tokens)
	}
	return g.Shift
}

// Times runs from From to 0, in what are equal steps before the shift.
func (g *UniformGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	if err := checkSteps(n); err != nil {
		return nil, err
	}
	from := g.From
	if from == 0 {
		from = 1
	}
	first := diffusion.Shift(1/g.Factor(), from)
	t := make([]float64, n+1)
	for i := range t {
		t[i] = path.End() * diffusion.Shift(g.Factor(), first*float64(n-i)/float64(n))
	}
	t[0] = path.End() * from // without rounding
	return t, nil
}

// Levels are the ends of a grid of noise levels σ/α.
type Levels struct {
	SigmaMin float64 `yaml:"sigma_min" doc:"lowest noise level (sigma/alpha) before the last step, to 0"`
	SigmaMax float64 `yaml:"sigma_max" doc:"highest noise level; that of the path's end if it is lower"`
}

// SetDefaults are those of EDM.
func (g *Levels) SetDefaults() { g.SigmaMin, g.SigmaMax = 0.002, 80 }

// Validate checks the order.
func (g *Levels) Validate() error {
	if !(g.SigmaMin > 0) {
		return invalid.Field("sigma_min", "must be positive, is %g", g.SigmaMin)
	}
	if !(g.SigmaMax > g.SigmaMin) || math.IsInf(g.SigmaMax, 0) {
		return invalid.Field("sigma_max", "must be finite and above sigma_min=%g, is %g", g.SigmaMin, g.SigmaMax)
	}
	return nil
}

// times gives the times of n levels, level(u) for u from 0 (noise) to 1, and 0.
func (g *Levels) times(path diffusion.GaussianPath, n int, level func(lo, hi, u float64) float64) ([]float64, error) {
	if err := checkSteps(n); err != nil {
		return nil, err
	}
	hi := g.SigmaMax
	if end := path.At(path.End()).NoiseLevel(); end < hi {
		hi = end
	}
	if g.SigmaMin >= hi {
		return nil, fmt.Errorf("sigma_min=%g is not below the noise level at the path's end, %g", g.SigmaMin, hi)
	}
	t := make([]float64, n+1)
	for i := range n {
		u := 0.0
		if n > 1 {
			u = float64(i) / float64(n-1)
		}
		t[i] = path.Time(-math.Log(level(g.SigmaMin, hi, u)))
	}
	if hi < g.SigmaMax {
		t[0] = path.End() // without rounding
	}
	return t, nil
}

// KarrasGrid has noise levels with equal steps in σ^(1/ρ) (Karras et al. 2022, eq. 5).
type KarrasGrid struct {
	Levels `yaml:",inline"`
	Rho    float64 `yaml:"rho" doc:"how much shorter the steps near the data are"`
}

// SetDefaults takes the paper's choice.
func (g *KarrasGrid) SetDefaults() {
	g.Levels.SetDefaults()
	g.Rho = 7
}

// Validate checks ρ and the levels.
func (g *KarrasGrid) Validate() error {
	if !(g.Rho > 0) || math.IsInf(g.Rho, 0) {
		return invalid.Field("rho", "must be positive, is %g", g.Rho)
	}
	return g.Levels.Validate()
}

// Times gives n levels and 0.
func (g *KarrasGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	return g.times(path, n, func(lo, hi, u float64) float64 { return Karras(lo, hi, g.Rho, u) })
}

// Karras is (hi^{1/ρ} + u·(lo^{1/ρ} − hi^{1/ρ}))^ρ.
func Karras(lo, hi, rho, u float64) float64 {
	a, b := math.Pow(hi, 1/rho), math.Pow(lo, 1/rho)
	return math.Pow(a+u*(b-a), rho)
}

// LogSNRGrid has equal steps in the log-SNR (k-diffusion's "exponential").
type LogSNRGrid struct {
	Levels `yaml:",inline"`
}

// Times gives n levels and 0.
func (g *LogSNRGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	return g.times(path, n, func(lo, hi, u float64) float64 { return math.Exp((1-u)*math.Log(hi) + u*math.Log(lo)) })
}

// TableGrid chooses entries of a Table, as diffusers' schedulers do, and then data.
type TableGrid struct {
	Spacing string `yaml:"spacing" doc:"linspace: from the last entry to the first; leading: whole strides from the first; trailing: whole strides from the last" oneof:"linspace leading trailing"`
	Offset  int    `yaml:"offset" doc:"added to the entries of leading spacing"`
}

// SetDefaults takes trailing: it begins at the last entry, where the noise is.
func (g *TableGrid) SetDefaults() { g.Spacing, g.Offset = Trailing, 0 }

// Validate checks the name.
func (g *TableGrid) Validate() error {
	switch g.Spacing {
	case Linspace, Leading, Trailing:
	default:
		return invalid.Field("spacing", "must be one of %s, %s, %s, is %q", Linspace, Leading, Trailing, g.Spacing)
	}
	if g.Offset < 0 {
		return invalid.Field("offset", "must not be negative, is %d", g.Offset)
	}
	return nil
}

// Times gives n entries, entry i being time i+1, and 0.
func (g *TableGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	table, ok := path.(*diffusion.Table)
	if !ok {
		return nil, fmt.Errorf("spacing %s is for discrete noise schedules (ddpm); this path is continuous: take the grid uniform, karras or logsnr", g.Spacing)
	}
	t, err := Entries(g.Spacing, table.Len(), n, g.Offset)
	if err != nil {
		return nil, err
	}
	for i := range t {
		t[i] = math.RoundToEven(t[i]) + 1
	}
	return append(t, 0), nil
}

// Spacings of the entries of a table.
const (
	Linspace = "linspace"
	Leading  = "leading"
	Trailing = "trailing"
)

// Entries gives n of the entries 0…size−1 of a table, falling, as diffusers spaces them:
//
//   - linspace: equal steps from size−1 to 0, fractional; a single one is 0
//   - leading: i·(size÷n)+offset
//   - trailing: round half to even of size−i·size/n, less 1
//
// (diffusers makes trailing lists with numpy's arange and a fractional step,
// which for some n, such as 61 of 1000, gives one entry too many, −1. Not here.)
func Entries(spacing string, size, n, offset int) ([]float64, error) {
	if n < 1 || n > size {
		return nil, fmt.Errorf("%d sampling steps on a table of %d entries: want 1 to %d", n, size, size)
	}
	t := make([]float64, n)
	switch spacing {
	case Linspace:
		for i := range t {
			if n > 1 {
				t[i] = float64(n-1-i) * (float64(size-1) / float64(n-1))
			}
		}
		if n > 1 {
			t[0] = float64(size - 1)
		}
	case Leading:
		stride := size / n
		for i := range t {
			t[i] = float64((n-1-i)*stride + offset)
		}
		if t[0] > float64(size-1) {
			return nil, fmt.Errorf("leading spacing with offset %d begins at entry %g of a table of %d", offset, t[0], size)
		}
	case Trailing:
		step := float64(size) / float64(n)
		for i := range t {
			t[i] = math.RoundToEven(float64(size)-float64(i)*step) - 1
		}
	default:
		return nil, fmt.Errorf("unknown spacing %q; valid are %s, %s, %s", spacing, Linspace, Leading, Trailing)
	}
	return t, nil
}

// OwnGrid is the user's own list of times.
type OwnGrid struct {
	List []float64 `yaml:"times,required" doc:"times of the path, from noise (large) to data (0); one more than there are steps"`
}

// Validate checks the order.
func (g *OwnGrid) Validate() error {
	if len(g.List) < 2 {
		return invalid.Field("times", "must be at least two, are %d", len(g.List))
	}
	for i := 1; i < len(g.List); i++ {
		if g.List[i] > g.List[i-1] {
			return invalid.Field("times", "must fall: time %d, %g, is above the one before", i, g.List[i])
		}
	}
	return nil
}

// Times gives the list, whose length must fit n.
func (g *OwnGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	if len(g.List) != n+1 {
		return nil, fmt.Errorf("a list of %d times is for %d steps, not %d", len(g.List), len(g.List)-1, n)
	}
	if err := CheckGrid(path, g.List); err != nil {
		return nil, err
	}
	return append([]float64(nil), g.List...), nil
}
