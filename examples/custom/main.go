// Command custom trains a network, an objective and data of its own, with the
// whole command line of langevin:
//
//	go run ./examples/custom train examples/custom/spirals.yaml
package main

import (
	"math"
	"os"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/cli"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// Net is a network of one hidden layer. Its parameters are found by their fields.
type Net struct{ In, Time, Out *nn.Linear }

type NetConfig struct {
	Width int `yaml:"width,required" doc:"units of the hidden layer" range:"[1,4096]"`
}

func (n *Net) Conditions() nn.CondOptions { return nn.CondOptions{} } // none

func (n *Net) Forward(x, t *tensor.Tensor, _ nn.Cond) *tensor.Tensor {
	h := n.In.Forward(x).Add(n.Time.Forward(t.Reshape(-1, 1)))
	return n.Out.Forward(h.SiLU())
}

// Spirals are two arms of Archimedes' spiral, a class each.
type Spirals struct{}

type SpiralsConfig struct{}

func (Spirals) Dim() int                              { return 2 }
func (Spirals) Classes() int                          { return 2 }
func (Spirals) LogDensity() func(x []float64) float64 { return nil }
func (Spirals) Draw(r *data.Draws, x []float64) int {
	arm, a := r.Intn(2), 1+2*math.Pi*math.Sqrt(r.Uniform())
	turn := a + math.Pi*float64(arm)
	x[0], x[1] = a/4*math.Cos(turn)+0.05*r.Normal(), a/4*math.Sin(turn)+0.05*r.Normal()
	return arm
}

// Huber is flow matching with a loss that forgives outliers.
type Huber struct {
	diffusion.Regression
	c float64
}

type HuberConfig struct {
	C float64 `yaml:"c,required" doc:"error from which on it counts linearly" range:"(0,inf)"`
}

func (h *Huber) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	x0, eps, at := d.Data(s), d.Eps(s), diffusion.Step{T: d.T}
	pred := m.Eval(diffusion.Noised(x0, eps, h.Path, at), at, d.Cond(s))
	return pred.Value.PseudoHuber(diffusion.Target(pred.Kind, x0, eps, h.Path, at), h.c)
}

func main() {
	config.Register(train.Models, "one_layer", "One hidden layer.", func(c *NetConfig, a train.ModelArg) (train.Network, error) {
		in := nn.NewInit(a.Device, a.Init)
		return &Net{In: nn.NewLinear(in, 2, c.Width), Time: nn.NewLinear(in, 1, c.Width), Out: nn.NewLinear(in, c.Width, 2)}, nil
	})
	config.Register(train.Datasets, "spirals", "Two spirals.", func(_ *SpiralsConfig, a train.DataArg) (*train.Dataset, error) {
		return &train.Dataset{Train: data.Draw(Spirals{}, a.Seed, false), Heldout: data.Draw(Spirals{}, a.Seed, true)}, nil
	})
	config.Register(train.Objectives, "huber", "Flow matching with a pseudo-Huber loss.", func(c *HuberConfig, _ train.ObjectiveArg) (*train.Job, error) {
		h := &Huber{diffusion.Regression{Path: diffusion.CondOT{}}, c.C}
		return &train.Job{Objective: h, Model: train.ModelOf(h.Path, diffusion.Velocity, nil)}, nil
	})
	os.Exit(cli.Main(cli.Options{Args: os.Args[1:], Name: "custom"}))
}
