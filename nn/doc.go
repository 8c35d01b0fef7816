// Package nn has layers and networks.
//
// A layer is a struct whose exported fields are parameters and further layers,
// with a constructor and a method Forward. Nothing is registered: [Params] walks
// the fields and names every parameter by its path, and saving, loading, moving
// averages, optimiser groups and freezing go by those names.
//
//	type Net struct {
//		In, Out *nn.Linear
//	}
//
//	in := nn.NewInit(cpu.Default(), rng.Key{Seed: 1})
//	net := &Net{nn.NewLinear(in, 2, 64), nn.NewLinear(in, 64, 2)}
//	nn.Params(net) // in.weight, in.bias, out.weight, out.bias
//
// Layouts: images are (N,H,W,C), sequences (N,T,C); the weight of a linear layer
// is (in, out), that of a convolution (kh, kw, in, out). Package nn/interop
// converts to and from other layouts and names.
//
// A forward pass only reads the network, so many goroutines may run one network,
// a [tensor.Scope] each. Wrong shapes are the caller's bug and panic with the
// typed errors of package tensor.
package nn
