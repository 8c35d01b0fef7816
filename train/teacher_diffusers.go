package train

import (
	"encoding/json"
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/schedule"
	"github.com/langevin-go/langevin/nn/interop"
	"github.com/langevin-go/langevin/train/config"
)

// training is what a diffusers folder's scheduler says of the network.
func (t *Trained) training() (*schedule.Plan, error) {
	s, err := schedule.Decode(t.scheduler)
	if err == nil {
		var p *schedule.Plan
		if p, err = s.Training(); err == nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", t.schedulerFile, err)
}

// diffusersTeacher describes the network and the path of a diffusers folder as configs of our own name them.
func (t *Trained) diffusersTeacher(info *TeacherInfo, m diffusion.Model) error {
	f, err := interop.Open(t.Path)
	if err != nil {
		return err
	}
	var s struct {
		Timesteps int      `json:"num_train_timesteps"`
		Start     *float64 `json:"beta_start"`
		End       *float64 `json:"beta_end"`
		Schedule  string   `json:"beta_schedule"`
		Rescale   bool     `json:"rescale_betas_zero_snr"`
	}
	if err := json.Unmarshal(t.scheduler, &s); err != nil {
		return fmt.Errorf("%s: %w", t.schedulerFile, err)
	}
	clock := 1000.0 // what the network's time is of ours
	if s.Timesteps > 0 {
		clock = float64(s.Timesteps)
	}
	switch p := m.Path().(type) {
	case *diffusion.Table:
		c := config.Defaults[ddpmConfig]()
		c.Steps, c.ZeroSNR = p.Len(), s.Rescale
		if c.Predict, err = predictionOf(m.Kind()); err != nil {
			return err
		}
		if t.outChannels == 2*t.Shape[len(t.Shape)-1] { // students have the channels of the variance, and learn nothing in them
			c.Loss, c.Variance = "hybrid", "learned_range"
		}
		if s.Schedule != "" {
			c.Schedule = s.Schedule
		}
		if s.Start != nil {
			c.BetaStart = *s.Start
		}
		if s.End != nil {
			c.BetaEnd = *s.End
		}
		info.Like = objective{Kind: "ddpm", Config: c}
	case diffusion.CondOT:
		c := config.Defaults[flowConfig]()
		if c.Predict, err = predictionOf(m.Kind()); err != nil {
			return err
		}
		info.Like = objective{Kind: "flow", Config: c}
	case diffusion.EDM:
		c := config.Defaults[edmConfig]()
		c.SigmaData, c.SigmaMax, clock = info.SigmaData, p.SigmaMax, 1
		info.Like = objective{Kind: "edm", Config: c}
	default:
		return fmt.Errorf("%s: its noise schedule is none that an objective names", t.schedulerFile)
	}
	// Channels of the output follow from the student's objective.
	if f.Config.UNet != nil {
		f.Config.UNet.TimeScale *= clock
		f.Config.UNet.OutChannels = 0
	} else {
		f.Config.DiT.TimeScale *= clock
		f.Config.DiT.OutChannels = 0
	}
	info.Model = describedNetwork(f.Config)
	return t.sameTeacher(info.Like, m)
}

// predictionOf is a prediction that configs name.
func predictionOf(k diffusion.Kind) (diffusion.Prediction, error) {
	p, ok := k.(diffusion.Prediction)
	if !ok {
		return 0, fmt.Errorf("it predicts %v, which no objective on its path does", k)
	}
	return p, nil
}

// sameTeacher is an error unless a model of an objective has the path and the prediction of m, and networks their time.
func (t *Trained) sameTeacher(like objective, m diffusion.Model) error {
	job, err := like.Build(ObjectiveArg{Shape: t.Shape, Null: -1, Draft: true, Batch: 1, Steps: 1, Device: t.Device})
	if err != nil {
		return fmt.Errorf("%s: %w", t.schedulerFile, err)
	}
	own := job.Model(t.Net)
	if !diffusion.SamePath(own.Path(), m.Path()) {
		return fmt.Errorf("%s: its noise schedule is none that the objective %s names", t.schedulerFile, like.Kind)
	}
	if own.Kind() != m.Kind() {
		return fmt.Errorf("%s: it predicts %v, and the objective %s %v", t.schedulerFile, m.Kind(), like.Kind, own.Kind())
	}
	return nil
}
