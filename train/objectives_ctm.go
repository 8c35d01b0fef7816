package train

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
)

// ctmConfig is a consistency trajectory model.
type ctmConfig struct {
	TeacherConfig `yaml:",inline"`
	LevelsConfig  `yaml:",inline"`
	Levels        int     `yaml:"levels" doc:"noise levels that jumps begin and end at in training, among which the teacher makes its steps" range:"[2,100000]"`
	Rho           float64 `yaml:"rho" doc:"how much closer levels near the data are (Karras et al. 2022)" range:"(0,inf)"`
	Reach         int     `yaml:"reach" doc:"most steps of Heun's method that the teacher makes before the student goes on" range:"[1,100000]"`
	Huber         float64 `yaml:"huber" doc:"pseudo-Huber loss of each sample √(‖e‖²+c²)−c with c = huber·√(numbers of a sample), as 0.00054 (Song and Dhariwal 2024); 0: mean squares" range:"[0,inf)"`
	Denoising     float64 `yaml:"denoising" doc:"how much denoising score matching counts beside consistency" range:"(0,inf)"`
	Balance       bool    `yaml:"balance" doc:"multiply that by the ratio of the norms of both terms' gradients, by the network's outputs"`
	TargetDecay   float64 `yaml:"target_decay" doc:"part that the moving average of the student, which it is compared through, keeps at each step" range:"(0,1)"`

	Adversarial *ctmAdversarial `yaml:"adversarial" doc:"have the student's estimates pass for data, too, by a second network that tells them apart and begins as the student; null: there is none"`
}

// ctmAdversarial is the paper's third term.
type ctmAdversarial struct {
	Weight float64 `yaml:"weight" doc:"of -ln D(estimates) in the student's loss; with balance, of that times the ratio of the norms of gradients" range:"(0,inf)"`
	From   float64 `yaml:"from" doc:"part of the training before it counts; the second network learns from the first step" range:"[0,1)"`
	Rate   float64 `yaml:"rate" doc:"factor on the learning rate of the second network" range:"(0,inf)"`
}

// SetDefaults begins late: at first everything can be told from data.
func (c *ctmAdversarial) SetDefaults() { c.Weight, c.From, c.Rate = 1, 0.3, 1 }

// SetDefaults takes the paper's choices for small pictures, with fewer steps of the teacher and a shorter average for short training.
func (c *ctmConfig) SetDefaults() {
	c.TeacherConfig.SetDefaults()
	c.LevelsConfig.SetDefaults()
	c.Levels, c.Rho, c.Reach, c.Denoising, c.Balance, c.TargetDecay = 18, 7, 4, 1, true, 0.95
}

// Validate checks what belongs together.
func (c *ctmConfig) Validate() error {
	if err := c.Bounds.Validate(); err != nil {
		return err
	}
	return c.TeacherConfig.Validate()
}

// Of has the teacher filled in.
func (c ctmConfig) Of(t TeacherInfo) (any, func(*Experiment), error) {
	if err := c.learn(t); err != nil {
		return nil, nil, err
	}
	c.fill(t)
	return c, sampledAs(func(s *Sampling) {
		s.Sampler = Samplers.Default("gamma")
		s.Grid = config.Variant[GridArg, sampler.Grid]{Kind: "angle", Config: sampler.AngleGrid{SigmaData: c.sigmaData(), SigmaMax: c.Max}}
		s.Steps = 1
	}, c.sampling), nil
}

func (c *ctmConfig) build(a ObjectiveArg) (*Job, error) {
	job, path, kind, err := c.job(a)
	if err != nil {
		return nil, err
	}
	bounds, err := c.bounded(path)
	if err != nil {
		return nil, err
	}
	low, high := path.Time(-math.Log(bounds.Min)), path.Time(-math.Log(bounds.Max))
	if err := checkTimes(path, kind, low, high); err != nil {
		return nil, err
	}
	o := &student.Trajectory{Base: c.base(a, path, nil), Bounds: bounds, Count: c.Levels, Rho: c.Rho, Reach: c.Reach, SigmaData: c.sigmaData(),
		Huber: c.Huber, Denoise: c.Denoising, Balance: c.Balance, Decay: c.TargetDecay}
	o.Told = c.told()
	of := job.Model
	if _, ok := of(nil).(*diffusion.NetModel); !ok {
		return nil, invalid.Field("like", "is an objective whose networks cannot be told how far a step leads")
	}
	if adv := c.Adversarial; adv != nil {
		if err := a.canJudge(of); err != nil {
			return nil, err
		}
		o.Adversarial, o.Late, o.Pace = adv.Weight, uint64(adv.From*float64(a.Steps)), adv.Rate
		o.Judge = func() (student.Judge, []*tensor.Param) {
			net, params := a.twin("judge.net.")
			j, own := a.judgeOn(net, of)
			return j, append(params, own...)
		}
	}
	job.Jump = true
	job.Model = func(net Network) diffusion.Model {
		m := of(net).(*diffusion.NetModel)
		m.Jumps = true
		return &student.Transition{Of: m, Least: bounds.Min}
	}
	job.Objective = o
	return job, c.taught(job, path, Student{Method: "ctm", Steps: 1})
}

func init() {
	config.Register(Objectives, "ctm", "A consistency trajectory model (Kim et al. 2024): jumps from any time of a teacher's trajectories to any later one, and the estimate of the data as jumps of no length, with the paper's adversarial term or without. Sample with gamma.",
		func(c *ctmConfig, a ObjectiveArg) (*Job, error) { return c.build(a) })
}
