package sampler

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
)

// Row is a step of a grid in numbers.
type Row struct {
	Step       int // from 0; the last row is where the last step leads
	T          float64
	Alpha      float64
	Sigma      float64
	NoiseLevel float64 // σ/α
	LogSNR     float64 // ln(α²/σ²)
	DT         float64 // to the next row, NaN in the last
	DLogSNR    float64
}

// Rows are the steps of a grid.
func Rows(path diffusion.GaussianPath, grid []float64) []Row {
	rows := make([]Row, len(grid))
	for i, t := range grid {
		p := path.At(t)
		rows[i] = Row{Step: i, T: t, Alpha: p.Alpha, Sigma: p.Sigma, NoiseLevel: p.NoiseLevel(), LogSNR: 2 * path.HalfLogSNR(t), DT: math.NaN(), DLogSNR: math.NaN()}
	}
	for i := range len(rows) - 1 {
		rows[i].DT, rows[i].DLogSNR = grid[i+1]-grid[i], rows[i+1].LogSNR-rows[i].LogSNR
	}
	return rows
}

// Kinds of Warning.
const (
	DoubleShift    = "double shift"
	TerminalSNR    = "terminal SNR"
	NoSignal       = "no signal"
	Amplified      = "amplified error"
	WrongKind      = "prediction type"
	RepeatedStep   = "repeated step"
	LastEntry      = "last entry"
	OutsideTrained = "outside training"
)

// Warning is something about a sampling run that people trip over.
type Warning struct{ Kind, Text string }

func (w Warning) String() string { return w.Kind + ": " + w.Text }

// Checkup is a sampling run and how its model was trained, as far as that is known.
type Checkup struct {
	Path     diffusion.GaussianPath
	Predicts diffusion.Kind
	Grid     []float64

	// TrainedFrom and TrainedTo are the times that training had; both 0: not known.
	TrainedFrom, TrainedTo float64
	// TrainShift and Shift are the factors by which training and the grid move times to the
	// noise; 0 or 1: not at all. First is the time that a shifted grid ends with before it
	// is shifted, and before 0; 0: it is not made so.
	TrainShift, Shift, First float64
	// Clipped says that the estimates of the data are limited.
	Clipped bool
	// NoiseSlope is what the model's answer to pure noise at Grid[0] has of the
	// noise itself: ⟨answer, x⟩/⟨x, x⟩; NaN: not measured.
	NoiseSlope float64
	// Claimed is a prediction type that a config names and its scheduler does not have; "": none.
	Claimed string
}

// Diagnose looks for mistakes. It computes nothing with the model.
func Diagnose(c *Checkup) []Warning {
	var found []Warning
	add := func(kind, format string, args ...any) {
		found = append(found, Warning{kind, fmt.Sprintf(format, args...)})
	}
	c.shifts(add)
	c.terminal(add)
	c.amplified(add)
	c.prediction(add)
	c.steps(add)
	c.trained(add)
	return found
}

// maxTerminalSNR is the α²/σ² at the end of a path from which a start in pure noise shows: a
// third of the 0.0047 of Stable Diffusion's schedule, for which Lin et al. 2024 show it, and far
// above the 0.00004 of DDPM's and the 0.00016 of EDM's.
const maxTerminalSNR = 1.5e-3

// terminal: sampling starts in pure noise.
func (c *Checkup) terminal(add func(kind, format string, args ...any)) {
	end, start := c.Path.At(c.Path.End()), c.Path.At(c.Grid[0])
	if snr := end.SNR(); snr > maxTerminalSNR {
		add(TerminalSNR, "the path ends with a signal-to-noise ratio of %.2g, while sampling starts in pure noise: pictures keep the mean brightness of noise (Lin et al. 2024); train with zero_terminal_snr, or take it as it is", snr)
	}
	if _, ok := diffusion.TryConvert(c.Predicts, diffusion.X0, start); !ok {
		add(NoSignal, "at the first time, %g, nothing of the data is left (alpha is 0), where %v says nothing of them: predict v or x0, or start later, as the grids karras and logsnr do, or uniform with from below 1", c.Grid[0], c.Predicts)
	}
}

// maxAmplified is how many times an error of ε̂ may be in the state behind the first step. In 5 to 1000
// steps the linear and scaled-linear tables of 1000 entries have 0.006 to 5 times, the cosine table
// 31 to 6200.
const maxAmplified = 10

// amplified: the data are estimated as (x − σ·ε̂)/α, so that where hardly any signal is left, an error of ε̂
// becomes one of α'·σ/α − σ' in the state that the first step leads to (DDIM's; every sampler's first step is of that
// kind), beside data and noise of size √(α'²+σ'²). Implementations that predict ε on the cosine table limit the estimate.
func (c *Checkup) amplified(add func(kind, format string, args ...any)) {
	if c.Clipped || len(c.Grid) < 2 || c.Predicts != diffusion.Eps && c.Predicts != diffusion.Score {
		return
	}
	from, to := c.Path.At(c.Grid[0]), c.Path.At(c.Grid[1])
	if from.Alpha == 0 {
		return // NoSignal
	}
	times := (to.Alpha*from.NoiseLevel() - to.Sigma) / math.Hypot(to.Alpha, to.Sigma)
	if times > maxAmplified {
		add(Amplified, "where sampling starts alpha is %.2g, so that the first step makes an error of the noise %.2g times as large in the samples; limit the estimate of the data (clip.range), predict v or x0, or start later", from.Alpha, times)
	}
}

// prediction: an answer to pure noise is ε/σ·q but for what is known of the data.
func (c *Checkup) prediction(add func(kind, format string, args ...any)) {
	if c.Claimed != "" {
		add(WrongKind, "the config says prediction_type %s, which its scheduler does not have: it takes the network to predict %v", c.Claimed, c.Predicts)
	}
	p := c.Path.At(c.Grid[0])
	if math.IsNaN(c.NoiseSlope) || p.SNR() > 0.01 {
		return
	}
	slope := func(k diffusion.Kind) float64 { _, onEps := k.Of(p); return onEps / p.Sigma }
	own := slope(c.Predicts)
	if math.Abs(c.NoiseSlope-own) < 0.5*max(1, math.Abs(own)) {
		return
	}
	for _, k := range []diffusion.Kind{diffusion.Eps, diffusion.V, diffusion.Velocity, diffusion.DataVelocity} {
		if math.Abs(c.NoiseSlope-slope(k)) < 0.25 {
			like := k.String()
			if k == diffusion.V {
				like = "v or x0"
			}
			add(WrongKind, "asked about pure noise, the network answers with %.2f of it, as one does that predicts %s; a prediction of %v has %.2f of it (if it is trained)", c.NoiseSlope, like, c.Predicts, own)
			return
		}
	}
	add(WrongKind, "asked about pure noise, the network answers with %.2f of it; a prediction of %v has %.2f of it (if it is trained)", c.NoiseSlope, c.Predicts, own)
}

// shifts: a shift by k and another one are one by k².
func (c *Checkup) shifts(add func(kind, format string, args ...any)) {
	none := func(k float64) bool { return k == 0 || k == 1 }
	if !none(c.TrainShift) && !none(c.Shift) && math.Abs(c.Shift/(c.TrainShift*c.TrainShift)-1) < 1e-6 {
		add(DoubleShift, "the grid is shifted by %g, training by %g: that is training's shift twice", c.Shift, c.TrainShift)
	}
	if none(c.Shift) || c.First == 0 || len(c.Grid) < 3 {
		return
	}
	last, once := c.Grid[len(c.Grid)-2], diffusion.Shift(c.Shift, c.First)
	if twice := diffusion.Shift(c.Shift, once); math.Abs(last-twice) < 1e-9 {
		add(DoubleShift, "the last time before 0 is %.6g: shifted by %g once it is %.6g, and that shifted again", last, c.Shift, once)
	}
}

// steps: every step should lead somewhere, and the first should be where the noise is.
func (c *Checkup) steps(add func(kind, format string, args ...any)) {
	for i := 1; i < len(c.Grid); i++ {
		if c.Grid[i] != c.Grid[i-1] {
			continue
		}
		which := fmt.Sprintf("step %d", i-1)
		if i == len(c.Grid)-1 {
			which = "the last step"
		}
		add(RepeatedStep, "%s goes from time %g to the same time", which, c.Grid[i])
	}
	if table, ok := c.Path.(*diffusion.Table); ok && c.Grid[0] < table.End() {
		add(LastEntry, "the grid begins at entry %g of 0 to %d, where sigma/alpha is %.3g and not %.3g: the network is never asked at the last, and the start is noisier than it believes; trailing spacing begins there",
			c.Grid[0]-1, table.Len()-1, table.At(c.Grid[0]).NoiseLevel(), table.At(table.End()).NoiseLevel())
	}
}

// slack is how far, in the angle atan(σ/α), a time may lie outside of those of training:
// logit-normal times, which flows are trained with and sampled from end to end, leave 0.009
// at either end to less than a millionth of the samples.
const slack = 0.015

// trained: the network should be asked only where it has learned. At a last time of 0 it is not asked.
func (c *Checkup) trained(add func(kind, format string, args ...any)) {
	if c.TrainedFrom == 0 && c.TrainedTo == 0 {
		return
	}
	asked := c.Grid[:len(c.Grid)-1]
	angle := func(t float64) float64 { p := c.Path.At(t); return math.Atan2(p.Sigma, p.Alpha) }
	level := func(t float64) float64 { return c.Path.At(t).NoiseLevel() }
	if high := asked[0]; angle(high) > angle(c.TrainedTo)+slack {
		add(OutsideTrained, "the grid begins at sigma/alpha %.3g; training went up to %.3g", level(high), level(c.TrainedTo))
	}
	if low := asked[len(asked)-1]; angle(low) < angle(c.TrainedFrom)-slack {
		add(OutsideTrained, "the grid goes down to sigma/alpha %.3g; training to %.3g", level(low), level(c.TrainedFrom))
	}
}
