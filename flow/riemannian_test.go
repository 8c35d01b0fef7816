package flow

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

var manifolds = []manifold.Manifold{
	manifold.Euclidean{N: 2}, manifold.Torus{N: 2}, manifold.Sphere{N: 2}, manifold.Sphere{N: 4}, manifold.Rotations{},
	manifold.Product{manifold.Sphere{N: 2}, manifold.Rotations{}, manifold.Torus{N: 1}, manifold.Euclidean{N: 1}},
}

// based are draws of a manifold's base distribution.
func based(m manifold.Manifold, seed uint64, n int) []float64 {
	return base(m, rng.Key{Seed: seed}, n)
}

func float64Scope(t *testing.T) *tensor.Scope {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	t.Cleanup(s.Close)
	return s
}

// What the network is to learn is the derivative of the path, which leads from data to source.
func TestGeodesicPaths(t *testing.T) {
	const h = 1e-5
	for _, m := range manifolds {
		for _, k := range []Scheduler{nil, new(CosineKappa), &PowerKappa{Exponent: 2.5}} {
			n := m.Ambient()
			p := &GeodesicPath{Manifold: m, Scheduler: k}
			xs, ys := based(m, 1, 20), based(m, 2, 20)
			for i := range 20 {
				data, source := xs[i*n:(i+1)*n], ys[i*n:(i+1)*n]
				x, u, v, d := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
				p.point(x, u, data, source, v, 0)
				if e := manifold.Distance(m, x, data); e > 1e-13 {
					t.Errorf("%v: %g from the data at time 0", m, e)
				}
				p.point(x, u, data, source, v, 1)
				if e := manifold.Distance(m, x, source); e > 1e-13 {
					t.Errorf("%v: %g from the source at time 1", m, e)
				}
				for _, at := range []float64{0.1, 0.5, 0.9} {
					before, after := make([]float64, n), make([]float64, n)
					p.point(before, u, data, source, v, at-h)
					p.point(after, u, data, source, v, at+h)
					p.point(x, u, data, source, v, at)
					m.Log(v, x, after)
					m.Log(d, x, before)
					// Central differences: h²/6 times a third derivative of at most 60 (κ''' ≤ π³/4·2, speeds ≤ 2π), and
					// rounding of 1e-14 over h.
					for j := range v {
						if rate := (v[j] - d[j]) / (2 * h); math.Abs(rate-u[j]) > 60*h*h+1e-14/h*2 {
							t.Fatalf("%v, κ %T, time %g: velocity %v, differences give %g at %d", m, k, at, u, rate, j)
						}
					}
				}
			}
		}
	}
}

// fieldModel is a velocity field made of tensor operations, as a model on a manifold.
type fieldModel struct {
	path *GeodesicPath
	u    func(x *tensor.Tensor, t []float64) *tensor.Tensor
}

func (m *fieldModel) Path() diffusion.GaussianPath { return m.path }
func (m *fieldModel) Kind() diffusion.Kind         { return TangentVelocity }
func (m *fieldModel) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Value: m.u(x, at.T), Kind: TangentVelocity}
}

// pace is 1 + ½·cos(2t), which fields are multiplied with, as a tensor; paced is its integral.
func pace(x *tensor.Tensor, t []float64) *tensor.Tensor {
	return x.Scope().TensorOf(func(i int) float64 { return 1 + math.Cos(2*diffusion.Step{T: t}.At(i))/2 }, x.Dim(0), 1)
}

func paced(t float64) float64 { return t + math.Sin(2*t)/4 }

// flows are fields whose flow is known, and what of it is compared: flow gives x at time t from x at time 0, and
// logJacobian the logarithm of how much volumes grow on that way.
type knownFlow struct {
	name        string
	m           manifold.Manifold
	u           func(x *tensor.Tensor, t []float64) *tensor.Tensor
	flow        func(y, x []float64, t float64)
	logJacobian func(x []float64, t float64) float64
}

var axis = []float64{2. / 7, -3. / 7, 6. / 7}

const spin = 1.3

// spiral on the sphere: u = P_x(a) + spin·a×x. The height z = a·x obeys z' = 1−z², and the azimuth turns:
// z(t) = tanh(atanh z + t). Areas grow by dz(t)/dz = (1−z(t)²)/(1−z²).
func spiral() knownFlow {
	m := manifold.Sphere{N: 2}
	height := func(x []float64) float64 { return axis[0]*x[0] + axis[1]*x[1] + axis[2]*x[2] }
	cross := func(x []float64) [3]float64 {
		return [3]float64{axis[1]*x[2] - axis[2]*x[1], axis[2]*x[0] - axis[0]*x[2], axis[0]*x[1] - axis[1]*x[0]}
	}
	return knownFlow{"spiral", m,
		func(x *tensor.Tensor, t []float64) *tensor.Tensor {
			s := x.Scope()
			a := s.Tensor(axis, 1, 3).Expand(x.Dim(0), 3)
			turn := s.Tensor([]float64{0, axis[2], -axis[1], -axis[2], 0, axis[0], axis[1], -axis[0], 0}, 3, 3) // (x·turn) = a×x
			return m.Tangent(x, a).Add(x.MatMul(turn).Scale(spin)).Mul(pace(x, t))
		},
		func(y, x []float64, t float64) {
			z := height(x)
			to := math.Tanh(math.Atanh(z) + paced(t))
			sin, cos := math.Sincos(spin * paced(t))
			across := cross(x)
			shrink := math.Sqrt((1 - to*to) / (1 - z*z))
			for i := range y {
				y[i] = to*axis[i] + shrink*(cos*(x[i]-z*axis[i])+sin*across[i])
			}
		},
		func(x []float64, t float64) float64 {
			z := height(x)
			to := math.Tanh(math.Atanh(z) + paced(t))
			return math.Log((1 - to*to) / (1 - z*z))
		}}
}

// swing on the torus: φ' = sin φ in each angle: tan(φ(t)/2) = tan(φ/2)·e^t. Lengths grow by sin φ(t)/sin φ.
func swing() knownFlow {
	to := func(phi, t float64) float64 { return 2 * math.Atan(math.Tan(phi/2)*math.Exp(paced(t))) }
	return knownFlow{"swing", manifold.Torus{N: 2},
		func(x *tensor.Tensor, t []float64) *tensor.Tensor { return x.Sin().Mul(pace(x, t)) },
		func(y, x []float64, t float64) { y[0], y[1] = to(x[0], t), to(x[1], t) },
		func(x []float64, t float64) float64 {
			return math.Log(math.Sin(to(x[0], t)) / math.Sin(x[0]) * math.Sin(to(x[1], t)) / math.Sin(x[1]))
		}}
}

// unwind on SO(3): R' = ½·(R² − 1), which is R·[sin θ·n]× for R of angle θ about n: θ' = sin θ. Volumes
// 4·sin²(θ/2)·dθ grow by (sin²(θ(t)/2)/sin²(θ/2))·sin θ(t)/sin θ.
func unwind() knownFlow {
	m := manifold.Rotations{}
	one := []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
	angle := func(x []float64, t float64) (now, then float64) {
		now = manifold.Distance(m, one, x)
		return now, 2 * math.Atan(math.Tan(now/2)*math.Exp(paced(t)))
	}
	return knownFlow{"unwind", m,
		func(x *tensor.Tensor, t []float64) *tensor.Tensor {
			n := x.Dim(0)
			r := x.Reshape(n, 3, 3)
			square := r.MatMul(r).Reshape(n, 9)
			return m.Tangent(x, square.Sub(x.Scope().Tensor(one, 1, 9)).Scale(0.5)).Mul(pace(x, t))
		},
		func(y, x []float64, t float64) {
			now, then := angle(x, t)
			v := make([]float64, 9)
			m.Log(v, one, x)
			scale(v, then/now)
			m.Exp(y, one, v)
		},
		func(x []float64, t float64) float64 {
			now, then := angle(x, t)
			return 2*math.Log(math.Sin(then/2)/math.Sin(now/2)) + math.Log(math.Sin(then)/math.Sin(now))
		}}
}

// both is two known flows side by side.
func both(a, b knownFlow) knownFlow {
	n := a.m.Ambient()
	return knownFlow{a.name + " × " + b.name, manifold.Product{a.m, b.m},
		func(x *tensor.Tensor, t []float64) *tensor.Tensor {
			return tensor.Concat(1, a.u(x.Slice(1, 0, n).Contiguous(), t), b.u(x.Slice(1, n, x.Dim(1)).Contiguous(), t))
		},
		func(y, x []float64, t float64) {
			a.flow(y[:n], x[:n], t)
			b.flow(y[n:], x[n:], t)
		},
		func(x []float64, t float64) float64 { return a.logJacobian(x[:n], t) + b.logJacobian(x[n:], t) }}
}

func knownFlows() []knownFlow {
	return []knownFlow{spiral(), swing(), unwind(), both(spiral(), both(unwind(), swing()))}
}

// Errors of the solvers fall with the step's power that is theirs, on flows that are known, from time 1 to 0;
// and states are on the manifold after the last step.
func TestGeodesicOrders(t *testing.T) {
	const rows = 6
	for _, f := range knownFlows() {
		n := f.m.Ambient()
		want := based(f.m, 5, rows)
		start := make([]float64, len(want))
		for i := range rows {
			f.flow(start[i*n:(i+1)*n], want[i*n:(i+1)*n], 1)
		}
		model := &fieldModel{&GeodesicPath{Manifold: f.m}, f.u}
		for method, order := range map[string]float64{"euler": 1, "midpoint": 2, "rk4": 4} {
			failed := func(steps int) float64 {
				s := float64Scope(t)
				grid, err := (&sampler.UniformGrid{Shift: 1}).Times(model.path, steps)
				if err != nil {
					t.Fatal(err)
				}
				out, err := sampler.Sample(context.Background(), s, model, &Geodesic{Method: method}, grid, s.Tensor(start, rows, n), sampler.Options{})
				if err != nil {
					t.Fatal(err)
				}
				x, sum := out.Float64s(), 0.0
				for i := range rows {
					y := x[i*n : (i+1)*n]
					before := append([]float64(nil), y...)
					if f.m.Nearest(y); dist(before, y) > 1e-14 {
						t.Errorf("%s by %s: %g off the manifold", f.name, method, dist(before, y))
					}
					d := manifold.Distance(f.m, y, want[i*n:(i+1)*n])
					sum += d * d
				}
				return math.Sqrt(sum)
			}
			// Between n and 2n steps the measured order is off by the next term of the error, of order 1/n: a fourth
			// at 32 steps is more than any of these have.
			a, b := failed(32), failed(64)
			if got := math.Log2(a / b); math.Abs(got-order) > 0.25 {
				t.Errorf("%s by %s: order %.2f, want %g (errors %.2e and %.2e)", f.name, method, got, order, a, b)
			} else {
				t.Logf("%s by %s: order %.2f, errors %.2e and %.2e", f.name, method, got, a, b)
			}
		}
	}
}

// Round the equator of a turning sphere goes a geodesic, along which the velocity is its own transport: the midpoint
// method is exact there, in steps of any size, and so is Euler's.
func TestGeodesicsAreFollowed(t *testing.T) {
	m := manifold.Sphere{N: 2}
	model := &fieldModel{&GeodesicPath{Manifold: m}, func(x *tensor.Tensor, _ []float64) *tensor.Tensor {
		return x.MatMul(x.Scope().Tensor([]float64{0, 2, 0, -2, 0, 0, 0, 0, 0}, 3, 3))
	}}
	for _, method := range []string{"euler", "midpoint"} {
		s := float64Scope(t)
		out, err := sampler.Sample(context.Background(), s, model, &Geodesic{Method: method}, []float64{1, 0.6, 0}, s.Tensor([]float64{1, 0, 0}, 1, 3), sampler.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := out.Float64s(), []float64{math.Cos(-2), math.Sin(-2), 0}; dist(got, want) > 1e-15*20 { // some ten roundings a step
			t.Errorf("%s: %v, want %v", method, got, want)
		}
	}
}

// The network is asked about points of the manifold only, and so is the prior, whatever the steps.
func TestLikelihoodStaysOnTheManifold(t *testing.T) {
	m := manifold.Sphere{N: 2}
	off := func(x []float64) float64 { return math.Abs(math.Sqrt(x[0]*x[0]+x[1]*x[1]+x[2]*x[2]) - 1) }
	f, worst := spiral(), 0.0
	model := &fieldModel{&GeodesicPath{Manifold: m}, func(x *tensor.Tensor, at []float64) *tensor.Tensor {
		v := x.Float64s()
		for i := 0; i < len(v); i += 3 {
			worst = max(worst, off(v[i:i+3]))
		}
		return f.u(x, at)
	}}
	o := odeOn(m)
	o.Method, o.Steps = likelihood.RK4, 4
	o.Prior = func(x []float64) float64 {
		worst = max(worst, off(x))
		return m.LogBase(x)
	}
	if _, err := o.LogLikelihood(context.Background(), float64Scope(t), model, likelihood.Data{X: based(m, 6, 3), Shape: []int{3}}, nil); err != nil {
		t.Fatal(err)
	}
	if worst > 1e-15 { // a few roundings of 1
		t.Errorf("points are up to %g off the sphere", worst)
	}
}

func dist(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}

// Of data that a known flow leads to the base distribution, ln p is that of the base where it
// leads, and what volumes grow by.
func TestLikelihoodOnManifolds(t *testing.T) {
	const rows = 5
	for _, f := range knownFlows() {
		n := f.m.Ambient()
		x := based(f.m, 6, rows)
		want, y := make([]float64, rows), make([]float64, n)
		for i := range rows {
			row := x[i*n : (i+1)*n]
			f.flow(y, row, 1)
			want[i] = f.m.LogBase(y) + f.logJacobian(row, 1)
		}
		model := &fieldModel{&GeodesicPath{Manifold: f.m}, f.u}
		for _, method := range []string{likelihood.RK45, likelihood.RK4} {
			o := odeOn(f.m)
			o.Method, o.Divergence = method, likelihood.Exact
			r, err := o.LogLikelihood(context.Background(), float64Scope(t), model, likelihood.Data{X: x, Shape: []int{n}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range r.LogP {
				// rk45: errors a step of 1e-9 add up over fewer than 200 steps, growing by e^1.3 at most;
				// rk4: (1/200)⁴ times the fifth derivatives, below 2·3⁵.
				if math.Abs(got-want[i]) > 8e-7 {
					t.Errorf("%s by %s: ln p = %.9f, want %.9f", f.name, method, got, want[i])
				}
			}
		}
		o := odeOn(f.m)
		o.Divergence, o.Probes, o.RTol, o.ATol = likelihood.Rademacher, 400, 1e-6, 1e-6
		r, err := o.LogLikelihood(context.Background(), float64Scope(t), model, likelihood.Data{X: x[:n], Shape: []int{n}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		variance := 0.0
		for _, p := range r.Probed[0] {
			variance += (p - r.LogP[0]) * (p - r.LogP[0]) / 399
		}
		if d := math.Abs(r.LogP[0] - want[0]); d > 5*math.Sqrt(variance/400)+1e-4 {
			t.Errorf("%s by random probes: ln p = %.4f ± %.4f, want %.4f", f.name, r.LogP[0], math.Sqrt(variance/400), want[0])
		}
	}
}

func odeOn(m manifold.Manifold) *likelihood.ODE {
	o := new(likelihood.ODE)
	o.SetDefaults()
	o.Steps, o.RTol, o.ATol, o.Prior = 200, 1e-9, 1e-9, m.LogBase
	return o
}

// A field that only turns keeps the uniform density, whatever is asked.
func TestUniformStaysUniform(t *testing.T) {
	m := manifold.Sphere{N: 2}
	for name, u := range map[string]func(x *tensor.Tensor, t []float64) *tensor.Tensor{
		"rest": func(x *tensor.Tensor, _ []float64) *tensor.Tensor { return x.Scale(0) },
		"turn": func(x *tensor.Tensor, t []float64) *tensor.Tensor {
			turn := x.Scope().Tensor([]float64{0, 2, -1, -2, 0, 3, 1, -3, 0}, 3, 3)
			return x.MatMul(turn).Mul(pace(x, t))
		},
	} {
		for _, divergence := range []string{likelihood.Exact, likelihood.Gaussian} {
			o := odeOn(m)
			o.Divergence = divergence
			r, err := o.LogLikelihood(context.Background(), float64Scope(t), &fieldModel{&GeodesicPath{Manifold: m}, u}, likelihood.Data{X: based(m, 8, 10), Shape: []int{3}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range r.LogP { // an antisymmetric derivative has divergence 0, but for rounding, by any probe
				if math.Abs(got+math.Log(4*math.Pi)) > 1e-12 {
					t.Errorf("%s, %s: ln p = %.15f, want −ln 4π", name, divergence, got)
				}
			}
		}
	}
	o := odeOn(m)
	o.Prior = nil
	if _, err := o.LogLikelihood(context.Background(), float64Scope(t), &fieldModel{&GeodesicPath{Manifold: m}, nil}, likelihood.Data{X: based(m, 8, 1), Shape: []int{3}}, nil); err == nil || !strings.Contains(err.Error(), "density of the path's end") {
		t.Errorf("without a density at the end: %v", err)
	}
}

// In Euclidean space it is flow matching: the same loss for the same network, data, source and times.
func TestEuclideanIsFlowMatching(t *testing.T) {
	const rows, dim = 9, 3
	s := float64Scope(t)
	b := &diffusion.Batch{N: rows, Shape: []int{dim}, X: narrowed(based(manifold.Euclidean{N: dim}, 1, rows)), Source: narrowed(based(manifold.Euclidean{N: dim}, 2, rows))}
	net := func(x, t *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor {
		return x.Sin().Mul(t.Reshape(-1, 1).AddScalar(1))
	}
	key := rng.Key{Seed: 4}
	var d, e diffusion.Draw
	cfm := NewCFM()
	cfm.Draw(key, b, &d)
	want := cfm.Loss(s, &diffusion.NetModel{Net: net, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}, &d).Item()
	rfm := &RFM{Path: &GeodesicPath{Manifold: manifold.Euclidean{N: dim}}}
	rfm.Draw(key, b, &e)
	got := rfm.Loss(s, NewGeodesicModel(rfm.Path, net), &e).Item()
	// Locations and targets are rounded to float32 on their way, by 2⁻²⁴ of at most 5; the loss is Lipschitz with 20.
	if math.Abs(got-want) > 5*20*math.Pow(2, -24) {
		t.Errorf("loss %.9f, flow matching's is %.9f", got, want)
	}
}

// The loss of parts is the loss of the whole, base draws and all; time 1 is the base's draws.
func TestRiemannianParts(t *testing.T) {
	const rows = 10
	m := manifold.Product{manifold.Torus{N: 2}, manifold.Sphere{N: 2}}
	n := m.Ambient()
	b := &diffusion.Batch{N: rows, Shape: []int{n}, X: narrowed(based(m, 1, rows))}
	o := &RFM{Path: &GeodesicPath{Manifold: m}, Times: &diffusion.Uniform{From: 1, To: 1}}
	model := NewGeodesicModel(o.Path, func(x, t *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor {
		if x.Dim(1) != 4+3 {
			panic("not embedded")
		}
		return x.Slice(1, 0, n)
	})
	var d, part diffusion.Draw
	o.Draw(rng.Key{Seed: 2}, b, &d)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	for i := range rows {
		y := make([]float64, n)
		r := manifold.NewStream(d.NoiseKey, uint64(i))
		m.Draw(&r, y)
		for j := range n {
			if math.Abs(y[j]-float64(d.Extra[i*2*n+j])) > 1e-6 {
				t.Fatalf("sample %d at time 1 is %v, the base's is %v", i, d.Extra[i*2*n:i*2*n+n], y)
			}
		}
	}
	s := float64Scope(t)
	whole := o.Loss(s, model, &d).Item()
	sum := 0.0
	for _, at := range [][2]int{{0, 4}, {4, 10}} {
		d.Part(&part, at[0], at[1])
		sum += float64(at[1]-at[0]) / rows * o.Loss(s, model, &part).Item()
	}
	if math.Abs(sum-whole) > 1e-13*whole {
		t.Errorf("parts %g, whole %g", sum, whole)
	}
}

func TestOffTheManifold(t *testing.T) {
	o := &RFM{Path: &GeodesicPath{Manifold: manifold.Sphere{N: 2}}}
	var d diffusion.Draw
	good, bad := []float32{1, 0, 0, 0, 1, 0}, []float32{1, 0, 0, 0, 1, 1}
	o.Draw(rng.Key{}, &diffusion.Batch{N: 2, Shape: []int{3}, X: bad}, &d)
	if want := "sample 1 of the batch is off the sphere S^2: its length is 1.41421: want 1"; d.Err == nil || d.Err.Error() != want {
		t.Errorf("%v, want %q", d.Err, want)
	}
	o.Draw(rng.Key{}, &diffusion.Batch{N: 2, Shape: []int{3}, X: good, Source: bad}, &d)
	if d.Err == nil || !strings.Contains(d.Err.Error(), "sample 1 of the source") {
		t.Errorf("%v", d.Err)
	}
	if o.Draw(rng.Key{}, &diffusion.Batch{N: 2, Shape: []int{3}, X: good}, &d); d.Err != nil {
		t.Error(d.Err)
	}
}

// Other samplers refuse such paths, and Geodesic others.
func TestGeodesicRefuses(t *testing.T) {
	s := float64Scope(t)
	m := manifold.Sphere{N: 2}
	model := &fieldModel{&GeodesicPath{Manifold: m}, func(x *tensor.Tensor, _ []float64) *tensor.Tensor { return x.Scale(0) }}
	for _, e := range sampler.Samplers {
		grid := []float64{1, 0.5, 0}
		if _, err := sampler.Sample(context.Background(), s, model, e.New(), grid, s.Tensor(based(m, 1, 2), 2, 3), sampler.Options{}); err == nil {
			t.Errorf("%s goes on a manifold", e.Name)
		}
	}
	flat := &diffusion.NetModel{Net: func(x, _ *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return x }, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	if _, err := sampler.Sample(context.Background(), s, flat, &Geodesic{Method: "euler"}, []float64{1, 0}, s.Zeros(2, 3), sampler.Options{}); err == nil || !strings.Contains(err.Error(), "riemannian_flow") {
		t.Errorf("%v", err)
	}
	if err := (&Geodesic{Method: "heun"}).Validate(); err == nil {
		t.Error("a method that there is not")
	}
	if err := (&PowerKappa{Exponent: 0.5}).Validate(); err == nil {
		t.Error("infinite speed")
	}
}

// Optimal transport on a manifold goes by its own distances, and changes which point of the source goes with
// which data and nothing else, wherever the source comes from.
func TestCouplingAlongGeodesics(t *testing.T) {
	const n = 64
	for _, m := range manifolds {
		dim := m.Ambient()
		b := &diffusion.Batch{N: n, Shape: []int{dim}, X: narrowed(based(m, 3, n))}
		for i := range n {
			b.Labels = append(b.Labels, int32(i%3))
		}
		path := &GeodesicPath{Manifold: m}
		way := func(d *diffusion.Draw, i, j int) float64 {
			x, y := make([]float64, dim), make([]float64, dim)
			for k := range dim {
				x[k], y[k] = float64(d.X[i*dim+k]), float64(d.Noise[j*dim+k])
			}
			m.Nearest(x)
			m.Nearest(y)
			far := manifold.Distance(m, x, y)
			return far * far
		}
		key := rng.Key{Seed: 4, Step: 2}
		for name, own := range map[string][]float32{"base": nil, "source": narrowed(based(m, 9, n))} {
			b.Source = own
			var alone, d, byClass diffusion.Draw
			(&RFM{Path: path}).Draw(key, b, &alone)
			if alone.Noise == nil {
				alone.Noise = narrowed(base(m, alone.NoiseKey, n))
			}
			(&RFM{Path: path, Coupling: path.Couple(&OT{})}).Draw(key, b, &d)
			(&RFM{Path: path, Coupling: path.Couple(&C2OT{})}).Draw(key, b, &byClass)
			for _, d := range []*diffusion.Draw{&alone, &d, &byClass} {
				if d.Err != nil {
					t.Fatal(d.Err)
				}
			}
			if !slices.Equal(d.X, b.X) || !slices.Equal(d.Labels, b.Labels) || !slices.Equal(d.T, alone.T) {
				t.Errorf("%v, %s: the coupling changes more than the pairs", m, name)
			}
			if !slices.Equal(sorted(d.Noise), sorted(alone.Noise)) || !slices.Equal(sorted(byClass.Noise), sorted(alone.Noise)) {
				t.Errorf("%v, %s: other points of the source", m, name)
			}
			for i := range n {
				for j := range i {
					// Distances are right to 10⁻⁷, and points to float32's rounding: of squares up to (2π)² and more.
					if gain := way(&d, i, i) + way(&d, j, j) - way(&d, i, j) - way(&d, j, i); gain > 1e-4 {
						t.Fatalf("%v, %s: exchanging %d and %d is shorter by %g", m, name, i, j, gain)
					}
				}
			}
			// Classes keep their own points of the source.
			for class := range 3 {
				var before, after []float32
				for i := class; i < n; i += 3 {
					before, after = append(before, alone.Noise[i*dim:(i+1)*dim]...), append(after, byClass.Noise[i*dim:(i+1)*dim]...)
				}
				if !slices.Equal(sorted(before), sorted(after)) {
					t.Errorf("%v, %s: class %d has other points of the source", m, name, class)
				}
			}
			// What is trained on are the new pairs.
			x, u, v := make([]float64, dim), make([]float64, dim), make([]float64, dim)
			data, source := make([]float64, dim), make([]float64, dim)
			for i := range n {
				if err := errors.Join(place(m, data, d.X[i*dim:(i+1)*dim]), place(m, source, d.Noise[i*dim:(i+1)*dim])); err != nil {
					t.Fatal(err)
				}
				path.point(x, u, data, source, v, d.T[i])
				if !slices.Equal(narrowed(x), d.Extra[2*dim*i:2*dim*i+dim]) {
					t.Fatalf("%v, %s: sample %d is not between its pair", m, name, i)
				}
			}
		}
	}
}

// base are the draws of a key, one a row.
func base(m manifold.Manifold, k rng.Key, n int) []float64 {
	x := make([]float64, n*m.Ambient())
	for i := range n {
		r := manifold.NewStream(k, uint64(i))
		m.Draw(&r, x[i*m.Ambient():(i+1)*m.Ambient()])
	}
	return x
}

func sorted(x []float32) []float32 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x
}

// In a steady state a plan of the sampler allocates nothing on any manifold, by any method.
func TestGeodesicAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for _, m := range manifolds {
		o := nn.MLPOptions{}
		o.SetDefaults()
		o.Width, o.Dim, o.OutDim = 16, m.Width(), m.Ambient()
		net, err := nn.NewMLP(nn.NewInit(cpu.Default(), rng.Key{Seed: 1}), o)
		if err != nil {
			t.Fatal(err)
		}
		model := NewGeodesicModel(&GeodesicPath{Manifold: m}, func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond(c)) })
		start := based(m, 2, 8)
		for _, method := range []string{"euler", "midpoint", "rk4"} {
			s := tensor.NewScope(cpu.Default(), tensor.Inference)
			plan, err := sampler.NewPlan(s, model, &Geodesic{Method: method}, []float64{1, 0.7, 0.4, 0}, sampler.Options{})
			if err != nil {
				t.Fatal(err)
			}
			run := func() {
				s.Reset()
				if _, err := plan.Run(context.Background(), s.Tensor(start, 8, m.Ambient())); err != nil {
					t.Fatal(err)
				}
			}
			if n := testenv.Allocs(t, run); n != 0 {
				t.Errorf("%v, %s: %g allocations a run", m, method, n)
			}
			plan.Close()
			s.Close()
		}
	}
}
