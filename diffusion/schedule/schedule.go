// Package schedule reads the scheduler configs of diffusers' pipelines and turns
// each into this library's terms: a path, a grid of times, a sampler and what
// the network is given and predicts. Every field of the classes in the registry below
// is honoured, or refused by name.
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
// config's own class for "", and else diffusers' way of exchanging classes, by
// which fields that the new class lacks are dropped and those that the old one
// lacked take the new class's defaults. A flow-matching config goes with euler
// and heun only, an EDM config with euler and dpm_multistep.
func ForSampler(name string, data []byte) (Scheduler, error) {
	own, err := Decode(data)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return own, nil
	}
	classes := samplerClasses
	switch own.(type) {
	case *FlowMatchEuler, *FlowMatchHeun:
		classes = flowClasses
	case *EDMEuler, *EDMDPM:
		classes = edmClasses
	}
	class, ok := classes[name]
	switch {
	case !ok && samplerClasses[name] != "":
		return nil, fmt.Errorf("sampler %s does not go with a %s: %s do", name, own.Class(), strings.Join(slices.Sorted(maps.Keys(classes)), " and "))
	case !ok:
		return nil, fmt.Errorf("unknown sampler %q for a diffusers folder; valid are %s", name, strings.Join(slices.Sorted(maps.Keys(classes)), ", "))
	case class == own.Class():
		return own, nil
	}
	return DecodeAs(class, data)
}

// Classes by the name of the sampler that they are: those of discrete tables, of flow matching, and of EDM.
var (
	samplerClasses = map[string]string{
		"ddpm":            "DDPMScheduler",
		"ddim":            "DDIMScheduler",
		"euler":           "EulerDiscreteScheduler",
		"heun":            "HeunDiscreteScheduler",
		"lms":             "LMSDiscreteScheduler",
		"dpm2":            "KDPM2DiscreteScheduler",
		"dpm_multistep":   "DPMSolverMultistepScheduler",
		"dpm_singlestep":  "DPMSolverSinglestepScheduler",
		"unipc":           "UniPCMultistepScheduler",
		"deis":            "DEISMultistepScheduler",
		"euler_ancestral": "EulerAncestralDiscreteScheduler",
		"dpm2_ancestral":  "KDPM2AncestralDiscreteScheduler",
		"dpmpp_sde":       "DPMSolverSDEScheduler",
	}
	flowClasses = map[string]string{
		"euler": "FlowMatchEulerDiscreteScheduler",
		"heun":  "FlowMatchHeunDiscreteScheduler",
	}
	edmClasses = map[string]string{
		"euler":         "EDMEulerScheduler",
		"dpm_multistep": "EDMDPMSolverMultistepScheduler",
	}
)

// registry lists the classes: each with its defaults, by what makes it.
var registry = []func() Scheduler{
	func() Scheduler { return newDDPM() },
	func() Scheduler { return newDDIM() },
	func() Scheduler { return newEuler() },
	func() Scheduler { return newHeun() },
	func() Scheduler { return newFlowMatchEuler() },
	func() Scheduler { return newFlowMatchHeun() },
	func() Scheduler { return newLMS() },
	func() Scheduler { return newKDPM2() },
	func() Scheduler { return newDPMMultistep() },
	func() Scheduler { return newDPMSinglestep() },
	func() Scheduler { return newUniPC() },
	func() Scheduler { return newDEIS() },
	func() Scheduler { return newEDMEuler() },
	func() Scheduler { return newEDMDPM() },
	func() Scheduler { return newEulerAncestral() },
	func() Scheduler { return newKDPM2Ancestral() },
	func() Scheduler { return newDPMSolverSDE() },
}

// New is a class with its defaults.
func New(class string) (Scheduler, error) {
	var names []string
	for _, make := range registry {
		s := make()
		if s.Class() == class {
			return s, nil
		}
		names = append(names, s.Class())
	}
	return nil, fmt.Errorf("scheduler class %q is not supported; %s are", class, strings.Join(names, ", "))
}
