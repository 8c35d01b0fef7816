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
	{"repaint", "ancestral sampling that goes back and forth, for inpainting with the constraint known (Lugmayr et al. 2022)", withDefaults[RePaint, Sampler]},
	{"renoise", "estimate the data, add noise of the next time, repeat", withDefaults[Renoise, Sampler]},
}

// Grids lists all time grids by name.
var Grids = []Entry[Grid]{
	{"uniform", "equal steps in time, shifted or not", withDefaults[UniformGrid, Grid]},
	{"karras", "noise levels with equal steps in sigma^(1/rho) (Karras et al. 2022)", withDefaults[KarrasGrid, Grid]},
	{"logsnr", "equal steps in the log-SNR", withDefaults[LogSNRGrid, Grid]},
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
