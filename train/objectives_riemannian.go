package train

import (
	"errors"
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// ManifoldArg is what a manifold is made for.
type ManifoldArg struct {
	Numbers int // of a point; 0: not known, as in products
}

// KappaArg is empty: schedulers need nothing but their configs.
type KappaArg struct{}

// Manifolds is the registry of manifolds, Kappas that of schedulers of geodesics and of tokens. A program of one's own adds to them before cli.Main.
var (
	Manifolds = config.NewRegistry[ManifoldArg, manifold.Manifold]("manifold", "Where samples live, and what their numbers are.")
	Kappas    = config.NewRegistry[KappaArg, flow.Scheduler]("scheduler", "What κ is at time t: on manifolds the part of the way from data to source that has been gone, of tokens the probability to be the source's.")
)

type manifoldDim struct {
	Dim int `yaml:"dim" doc:"dimension; 0: that of the data. In products it must be given" range:"[0,1000000]"`
}

// of is the dimension, where points have extra numbers more than that.
func (c *manifoldDim) of(a ManifoldArg, extra int) (int, error) {
	switch {
	case c.Dim > 0:
		return c.Dim, nil
	case a.Numbers == 0:
		return 0, invalid.Field("dim", "must be given within a product")
	case a.Numbers <= extra:
		return 0, invalid.Field("dim", "is that of the data, whose samples have %d numbers: want at least %d", a.Numbers, extra+1)
	}
	return a.Numbers - extra, nil
}

type productConfig struct {
	Parts []config.Variant[ManifoldArg, manifold.Manifold] `yaml:"parts,required" doc:"the manifolds; the numbers of a point are those of its parts, one after another"`
}

func (c *productConfig) product() (manifold.Product, error) {
	var p manifold.Product
	for i := range c.Parts {
		m, err := c.Parts[i].Build(ManifoldArg{})
		if err != nil {
			return nil, below(fmt.Sprintf("parts[%d]", i), err)
		}
		p = append(p, m)
	}
	return p, nil
}

type riemannianConfig struct {
	Manifold         config.Variant[ManifoldArg, manifold.Manifold] `yaml:"manifold,required" doc:"where the data live"`
	Scheduler        config.Variant[KappaArg, flow.Scheduler]       `yaml:"scheduler" doc:"which part of the geodesic has been gone at each time"`
	Source           *config.Variant[DataArg, *Dataset]             `yaml:"source" doc:"where the flow starts from: points of the manifold, which sampling then starts from, too; null: its base distribution, which is uniform, and normal in Euclidean parts"`
	Coupling         config.Variant[CouplingArg, flow.Coupling]     `yaml:"coupling" doc:"which point of the source goes with which data; distances are along geodesics"`
	Times            timeSampling                                   `yaml:"times" doc:"distribution of training times"`
	Shift            float64                                        `yaml:"shift" doc:"moves training times towards the source: t' = kt/(1+(k-1)t); 1: not at all" range:"(0,inf)"`
	Stratified       bool                                           `yaml:"stratified" doc:"draw one time from each of as many equal slices of the distribution as the batch has samples"`
	ConditionDropout float64                                        `yaml:"condition_dropout" doc:"probability with which a sample's condition is replaced by the null condition, for classifier-free guidance" range:"[0,1]"`
}

// SetDefaults is the paper's.
func (c *riemannianConfig) SetDefaults() {
	c.Scheduler, c.Times = Kappas.Default("linear"), Times.Default("uniform")
	c.Coupling = Couplings.Default("independent")
	c.Shift, c.ConditionDropout = 1, 0.1
}

// path checks that samples of a shape may be points of the manifold.
func (c *riemannianConfig) path(shape []int) (*flow.GeodesicPath, error) {
	if len(shape) != 1 {
		return nil, invalid.Field("manifold", "is for points; the data have shape %v", shape)
	}
	m, err := c.Manifold.Build(ManifoldArg{Numbers: shape[0]})
	if err != nil {
		return nil, below("manifold", err)
	}
	if m.Ambient() != shape[0] {
		return nil, invalid.Field("manifold", "is %v, whose points have %d numbers; the data have %d", m, m.Ambient(), shape[0])
	}
	kappa, err := c.Scheduler.Build(KappaArg{})
	return &flow.GeodesicPath{Manifold: m, Scheduler: kappa}, err
}

// below gives an error of building what stands at key that key's place.
func below(key string, err error) error {
	var field *invalid.Error
	if errors.As(err, &field) {
		return invalid.Field(key+"."+field.Name, "%s", field.Msg)
	}
	return err
}

func (c *riemannianConfig) job(a ObjectiveArg) (*Job, error) {
	path, err := c.path(a.Shape)
	if err != nil {
		return nil, err
	}
	r := RegressionConfig{Times: c.Times, Shift: c.Shift, Stratified: c.Stratified, Weighting: Weightings.Default("even"), ConditionDropout: c.ConditionDropout}
	job, err := r.job(path, flow.TangentVelocity, nil, a)
	if err != nil {
		return nil, err
	}
	reg := job.Objective.(*diffusion.Regression)
	if reg.Observes() {
		return nil, invalid.Field("times", "must not follow from losses on a manifold: take uniform, or another in time")
	}
	coupling, err := couplingFor(c.Coupling, a)
	if err != nil {
		return nil, err
	}
	job.Objective = &flow.RFM{Path: path, Times: reg.Times, Stratified: reg.Stratified, Dropout: reg.Dropout, Coupling: path.Couple(coupling)}
	job.InChannels = path.Manifold.Width()
	job.Model = func(net Network) diffusion.Model {
		return flow.NewGeodesicModel(path, func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
			return net.Forward(x, t, nn.Cond(c))
		})
	}
	job.Source = func(d DataArg) (*Dataset, error) {
		if c.Source != nil {
			return c.Source.Build(d)
		}
		base := data.Base{Of: path.Manifold}
		return &Dataset{data.Draw(base, d.Seed, false), data.Draw(base, d.Seed, true)}, nil
	}
	return job, nil
}

func init() {
	config.Register(Objectives, "riemannian_flow", "Flow matching on a manifold, along geodesics (Chen and Lipman 2024). Samples are drawn by the sampler geodesic, which auto stands for there.",
		func(c *riemannianConfig, a ObjectiveArg) (*Job, error) { return c.job(a) })

	config.Register(Manifolds, "sphere", "The unit sphere S^n: unit vectors of n+1 numbers.",
		func(c *manifoldDim, a ManifoldArg) (manifold.Manifold, error) {
			n, err := c.of(a, 1)
			return manifold.Sphere{N: n}, err
		})
	config.Register(Manifolds, "torus", "The flat torus T^n: n angles in radians.",
		func(c *manifoldDim, a ManifoldArg) (manifold.Manifold, error) {
			n, err := c.of(a, 0)
			return manifold.Torus{N: n}, err
		})
	config.Register(Manifolds, "so3", "Rotations of space: the nine numbers of a rotation matrix, by rows.",
		func(*struct{}, ManifoldArg) (manifold.Manifold, error) { return manifold.Rotations{}, nil })
	config.Register(Manifolds, "euclidean", "R^n, as a part of a product.",
		func(c *manifoldDim, a ManifoldArg) (manifold.Manifold, error) {
			n, err := c.of(a, 0)
			return manifold.Euclidean{N: n}, err
		})
	config.Register(Manifolds, "product", "A product of manifolds.",
		func(c *productConfig, _ ManifoldArg) (manifold.Manifold, error) { return c.product() })

	type none struct{}
	config.Register(Kappas, "linear", "κ = t: constant speed.",
		func(*none, KappaArg) (flow.Scheduler, error) { return new(flow.LinearKappa), nil })
	config.Register(Kappas, "cosine", "κ = sin²(πt/2): from rest to rest.",
		func(*none, KappaArg) (flow.Scheduler, error) { return new(flow.CosineKappa), nil })
	config.Register(Kappas, "sine", "κ = sin(πt/2), the cosine schedule of masked diffusion (Shi et al. 2024; MaskGIT): tokens are revealed slowly at first.",
		func(*none, KappaArg) (flow.Scheduler, error) { return new(flow.SineKappa), nil })
	config.RegisterOptions(Kappas, "power", "κ = t^p: more time near the data; masked diffusion's polynomial schedule (Shi et al. 2024).", flow.Scheduler(new(flow.PowerKappa)))
	config.RegisterOptions(Kappas, "polynomial", "κ = 1 − (1−t)^n: more time near the source; discrete flow matching's polynomial schedule (Gat et al. 2024).", flow.Scheduler(new(flow.PolynomialKappa)))

	geodesic := new(flow.Geodesic)
	geodesic.SetDefaults()
	config.RegisterOptions(Samplers, "geodesic", "Euler's, the midpoint or a Runge-Kutta method on a manifold; for the objective riemannian_flow, and the only one for it", sampler.Sampler(geodesic))
}
