package train

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
)

// judge tells data from samples by a head on a network's features.
type judge struct {
	features *diffusion.NetModel // answers with them, given what the network is
	head     *nn.Head
}

// Logits are the head's.
func (j *judge) Logits(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	return j.head.Forward(j.features.Eval(x, at, c).Value)
}

// canJudge is an error unless networks of the experiment, as models, show features that a head can judge by.
func (a ObjectiveArg) canJudge(of func(Network) diffusion.Model) error {
	if _, ok := of(nil).(*diffusion.NetModel); !ok {
		return invalid.Field("like", "is an objective whose networks cannot be asked for features, which the adversarial term judges by")
	}
	if !a.Draft && a.Features == 0 {
		return invalid.Field("adversarial", "needs a network that shows its features (nn.Featured), as mlp, plain_mlp, dit and unet do")
	}
	return nil
}

// judgeOn is a head of first values of its own on a network's features, and its parameters.
func (a ObjectiveArg) judgeOn(net Network, of func(Network) diffusion.Model) (student.Judge, []*tensor.Param) {
	from := nn.FeaturesOf(net)
	j := &judge{head: nn.NewHead(nn.NewInit(a.Device, a.Init), from.FeatureWidth())}
	m := *of(net).(*diffusion.NetModel)
	m.Variance = diffusion.VarianceFixed // all of the answer is features
	m.Net = func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return from.Features(x, t, nn.Cond(c)) }
	j.features = &m
	return j, named("judge.head.", nn.Params(j.head))
}

// twin is one more network like the one in training, whose parameters have a prefix.
func (a ObjectiveArg) twin(prefix string) (Network, []*tensor.Param) {
	net, params, err := a.Twin()
	if err != nil {
		panic(fmt.Sprintf("train: the network was made, and cannot be made again: %v", err))
	}
	return net, named(prefix, params)
}

// named puts a prefix before names.
func named(prefix string, params []*tensor.Param) []*tensor.Param {
	for _, p := range params {
		p.Name = prefix + p.Name
	}
	return params
}
