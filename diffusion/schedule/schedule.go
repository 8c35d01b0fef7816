// Package schedule reads the scheduler configs of diffusers' pipelines and turns
// each into this library's terms: a path, a grid of times, a sampler and what
// the network is given and predicts. Every field of the classes in Classes is
// honoured, or refused by name.
package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
)

// Scheduler is one of diffusers' scheduler classes with its config.
type Scheduler interface {
	// Class is diffusers' name.
	Class() string
	// Validate is an error about the first field with an impossible value.
	Validate() error
	// Plan is the sampling run of that many steps.
	Plan(steps int) (*Plan, error)
	// Training is the path and the network's side of it, without a sampling run:
	// for training on from a folder's weights.
	Training() (*Plan, error)
}

// Plan is what a scheduler amounts to.
type Plan struct {
	Path      diffusion.GaussianPath
	Predicts  diffusion.Kind
	TimeInput func(p diffusion.Point) float64
	Variance  diffusion.Variance

	Grid      []float64 // times of the path, from noise to data
	Sampler   sampler.Sampler
	Clip      sampler.Clip
	InitScale float64 // the state at Grid[0] is this times standard normal noise
}

// Model is a network with inC input and outC output channels as the model that p
// was made for. Where no variance is learned but the network gives one, it is ignored.
func (p *Plan) Model(net diffusion.Network, inC, outC int) (*diffusion.NetModel, error) {
	m := &diffusion.NetModel{Net: net, Along: p.Path, Predicts: p.Predicts, TimeInput: p.TimeInput, Variance: p.Variance}
	switch {
	case outC == 2*inC && m.Variance == diffusion.VarianceFixed:
		m.Variance = diffusion.VarianceIgnored
	case outC == 2*inC || outC == inC && m.Variance == diffusion.VarianceFixed:
	case outC == inC:
		return nil, fmt.Errorf("the scheduler's variance_type is learned, which takes %d output channels; the network has %d", 2*inC, outC)
	default:
		return nil, fmt.Errorf("the network has %d input and %d output channels: want as many, or twice as many", inC, outC)
	}
	return m, nil
}

// ForSampler is the class that a sampler's name stands for, with a config of any class: the
// config's own class for "", and among those of DDPM's paths diffusers' way of
// exchanging them, by which fields that the new class lacks are dropped and those
// that the old one lacked take the new class's defaults. A flow-matching config
// stays what it is, and only euler goes with it.
func ForSampler(name string, data []byte) (Scheduler, error) {
	own, err := Decode(data)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return own, nil
	}
	class, ok := samplerClasses[name]
	_, flow := own.(*FlowMatchEuler)
	switch {
	case flow && name == "euler":
		return own, nil
	case flow:
		return nil, fmt.Errorf("sampler %s does not go with a %s: only euler does", name, own.Class())
	case !ok:
		return nil, fmt.Errorf("unknown sampler %q for a diffusers folder; valid are %s", name, strings.Join(slices.Sorted(maps.Keys(samplerClasses)), ", "))
	case class == own.Class():
		return own, nil
	}
	return DecodeAs(class, data)
}

var samplerClasses = map[string]string{
	"ddpm":            "DDPMScheduler",
	"ddim":            "DDIMScheduler",
	"euler":           "EulerDiscreteScheduler",
	"heun":            "HeunDiscreteScheduler",
	"euler_ancestral": "EulerAncestralDiscreteScheduler",
	"dpm2_ancestral":  "KDPM2AncestralDiscreteScheduler",
	"dpmpp_sde":       "DPMSolverSDEScheduler",
}

// Classes are diffusers' names of the schedulers that are known here.
func Classes() []string {
	return append(slices.Sorted(maps.Values(samplerClasses)), "FlowMatchEulerDiscreteScheduler")
}

// New is a class with its defaults.
func New(class string) (Scheduler, error) {
	switch class {
	case "DDPMScheduler":
		return newDDPM(), nil
	case "DDIMScheduler":
		return newDDIM(), nil
	case "EulerDiscreteScheduler":
		return newEuler(), nil
	case "HeunDiscreteScheduler":
		return newHeun(), nil
	case "FlowMatchEulerDiscreteScheduler":
		return newFlowMatchEuler(), nil
	case "EulerAncestralDiscreteScheduler":
		return newEulerAncestral(), nil
	case "KDPM2AncestralDiscreteScheduler":
		return newKDPM2Ancestral(), nil
	case "DPMSolverSDEScheduler":
		return newDPMSolverSDE(), nil
	}
	return nil, fmt.Errorf("scheduler class %q is not supported; valid are %s", class, strings.Join(Classes(), ", "))
}
