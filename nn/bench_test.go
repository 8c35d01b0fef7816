package nn

import (
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// benchStep measures forward and gradients of a batch.
func benchStep(b *testing.B, m Model, classes bool, shape ...int) {
	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	defer s.Close()
	params := Params(m)
	labels := make([]int32, shape[0])
	step := func() {
		s.Reset()
		x, t := s.Normal(rng.Key{Seed: 1}, 0, shape...), s.Uniform(rng.Key{Seed: 2}, 0, shape[0])
		c := Cond{}
		if classes {
			c.Labels = s.Ints(labels, shape[0])
		}
		s.Grad(m.Forward(x, t, c).MSE(x), params)
	}
	step()
	step()
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		step()
	}
	b.ReportMetric(float64(s.MemoryPeak())/(1<<20), "peak-MiB")
}

// benchForward measures one network evaluation with a shared time.
func benchForward(b *testing.B, m Model, shape ...int) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		s.Reset()
		m.Forward(s.Normal(rng.Key{Seed: 1}, 0, shape...), s.Full(0.5, 1), Cond{})
	}
	b.ReportMetric(float64(s.MemoryPeak())/(1<<20), "peak-MiB")
}

func benchMLP() Model {
	var o ResidualMLPOptions
	o.SetDefaults()
	o.Dim = 2
	return must(NewResidualMLP(newInit(), o))
}

func benchUNet() Model {
	var o UNetOptions
	o.SetDefaults()
	o.InChannels, o.Channels, o.Groups, o.HeadDim, o.ScaleShift, o.ZeroInit = 1, []int{64, 128, 128}, 32, 32, false, false
	return must(NewUNet(newInit(), o))
}

func benchDiT() Model {
	var o DiTOptions
	o.SetDefaults()
	o.InChannels, o.Width, o.Depth, o.Heads, o.EmbedPerBlock, o.Classes, o.SampleSize = 1, 384, 6, 6, true, 1000, 28
	return must(NewDiT(newInit(), o))
}

func BenchmarkResidualMLPStep(b *testing.B)     { benchStep(b, benchMLP(), false, 256, 2) }
func BenchmarkResidualMLPForward1(b *testing.B) { benchForward(b, benchMLP(), 1, 2) }
func BenchmarkResidualMLPForward64(b *testing.B) {
	benchForward(b, benchMLP(), 64, 2)
}
func BenchmarkUNetStep(b *testing.B)    { benchStep(b, benchUNet(), false, 64, 28, 28, 1) }
func BenchmarkDiTStep(b *testing.B)     { benchStep(b, benchDiT(), true, 32, 28, 28, 1) }
func BenchmarkDiTForward1(b *testing.B) { benchForward(b, benchDiT(), 1, 28, 28, 1) }
