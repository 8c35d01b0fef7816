package interop

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor/backend"
)

// inceptionNormEps is added to the variances of the network's batch norms.
const inceptionNormEps = 1e-3

// branchRules name the convolutions of a block's branches. A name that ends in a letter is one of a fork.
func branchRules(branches ...[]string) (rules []rule) {
	for i, names := range branches {
		fork := 0
		for j, n := range names {
			place := fmt.Sprintf("branches.%d.convs.%d", i, j)
			if last := n[len(n)-1]; last == 'a' || last == 'b' {
				place = fmt.Sprintf("branches.%d.fork.%d", i, fork)
				fork++
			}
			rules = append(rules, rule{place, []string{n}, conv})
		}
	}
	return rules
}

// inceptionRules is the table of names of torchvision's Inception3, and so of torch-fidelity's and pytorch-fid's networks.
var inceptionRules = func() []rule {
	rules := []rule{
		{"conv1a", []string{"Conv2d_1a_3x3"}, conv}, {"conv2a", []string{"Conv2d_2a_3x3"}, conv}, {"conv2b", []string{"Conv2d_2b_3x3"}, conv},
		{"conv3b", []string{"Conv2d_3b_1x1"}, conv}, {"conv4a", []string{"Conv2d_4a_3x3"}, conv},
		{"head", []string{"fc"}, linear},
	}
	doubled := []string{"branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"}
	pool := []string{"branch_pool"}
	a := branchRules([]string{"branch1x1"}, []string{"branch5x5_1", "branch5x5_2"}, doubled, pool)
	b := branchRules([]string{"branch3x3"}, doubled)
	c := branchRules([]string{"branch1x1"}, []string{"branch7x7_1", "branch7x7_2", "branch7x7_3"},
		[]string{"branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"}, pool)
	d := branchRules([]string{"branch3x3_1", "branch3x3_2"}, []string{"branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"})
	e := branchRules([]string{"branch1x1"}, []string{"branch3x3_1", "branch3x3_2a", "branch3x3_2b"},
		[]string{"branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a", "branch3x3dbl_3b"}, pool)
	for _, block := range []struct {
		name  string
		rules []rule
	}{{"5b", a}, {"5c", a}, {"5d", a}, {"6a", b}, {"6b", c}, {"6c", c}, {"6d", c}, {"6e", c}, {"7a", d}, {"7b", e}, {"7c", e}} {
		rules = append(rules, under("mixed"+block.name, "Mixed_"+block.name, block.rules)...)
	}
	return rules
}()

// inceptionLayer is a layer of ours with its weight and bias, and what the layer is called there.
type inceptionLayer struct {
	weight, bias slot
	theirs       string
	normed       bool // a convolution with a batch norm behind it
}

// tensors are the names and shapes of the layer's tensors there.
func (l inceptionLayer) tensors() (names []string, shapes [][]int) {
	weight, out := l.weight.shape(), l.bias.shape()
	if !l.normed {
		return []string{l.theirs + ".weight", l.theirs + ".bias"}, [][]int{weight, out}
	}
	bn := l.theirs + ".bn."
	return []string{l.theirs + ".conv.weight", bn + "weight", bn + "bias", bn + "running_mean", bn + "running_var"}, [][]int{weight, out, out, out, out}
}

func inceptionLayers(n *nn.InceptionV3) ([]inceptionLayer, error) {
	var layers []inceptionLayer
	params := nn.NamedParams(n)
	for i := 0; i+1 < len(params); i += 2 { // each layer's weight, then its bias
		w, b := params[i], params[i+1]
		var l inceptionLayer
		for _, r := range inceptionRules {
			if theirs, ok := r.match(w.Name); ok {
				l = inceptionLayer{
					weight: slot{name: w.Name, param: w.Param, theirs: theirs, layout: r.layout},
					bias:   slot{name: b.Name, param: b.Param, theirs: theirs, layout: same},
					theirs: strings.TrimSuffix(theirs[0], ".weight"),
					normed: r.layout == conv,
				}
			}
		}
		if l.theirs == "" {
			return nil, fmt.Errorf("parameter %s has no counterpart in torchvision", w.Name)
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// LoadInception makes the network of the Fréchet inception distance on dev from a safetensors file
// with the tensors of torch-fidelity's or pytorch-fid's weights (pt_inception-2015-12-05), which are
// the same. Tensors that are missing, surplus or of a wrong shape are a *nn.LoadError. Batch norms become part of
// the convolutions before them.
func LoadInception(path string, dev backend.Device) (*nn.InceptionV3, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readInception(f, dev)
}

func readInception(f *safetensors.File, dev backend.Device) (*nn.InceptionV3, error) {
	if err := compareInception(f); err != nil {
		return nil, err
	}
	n, err := nn.NewInceptionV3(nn.NewBlankInit(dev))
	if err != nil {
		return nil, err
	}
	layers, err := inceptionLayers(n)
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		if err := l.load(f); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// compareInception compares the file's tensors with those of a network that has no memory.
func compareInception(f *safetensors.File) error {
	n, err := nn.NewInceptionV3(nn.NewBlankInit(shapesOnly{}))
	if err != nil {
		return err
	}
	layers, err := inceptionLayers(n)
	if err != nil {
		return err
	}
	wrong := &nn.LoadError{Path: f.Path()}
	known := map[string]bool{}
	for _, l := range layers {
		names, shapes := l.tensors()
		for i, name := range names {
			known[name] = true
			switch t, err := f.Tensor(name); {
			case err != nil:
				wrong.Missing = append(wrong.Missing, name)
			case !slices.Equal(t.Shape, shapes[i]):
				wrong.Misshapen = append(wrong.Misshapen, fmt.Sprintf("%s is %v, want %v", name, t.Shape, shapes[i]))
			}
		}
	}
	for _, name := range f.Names() {
		if !known[name] && !strings.HasSuffix(name, ".bn.num_batches_tracked") {
			wrong.Surplus = append(wrong.Surplus, name)
		}
	}
	return wrong.OrNil()
}

// load sets a layer. A batch norm γ·(y−μ)/√(σ²+ε)+β of y = W·x is a convolution by W·γ/√(σ²+ε) with the bias β−μ·γ/√(σ²+ε).
func (l inceptionLayer) load(f *safetensors.File) error {
	names, _ := l.tensors()
	read := func(name string) ([]float32, error) {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		return t.Float32s()
	}
	l.weight.theirs = names[:1]
	weight, err := join(l.weight, read)
	if err != nil {
		return err
	}
	var bias []float32
	if l.normed {
		var norm [4][]float32 // γ, β, μ, σ²
		for i := range norm {
			if norm[i], err = read(names[1+i]); err != nil {
				return err
			}
		}
		bias = make([]float32, len(norm[0]))
		scale := make([]float64, len(bias))
		for o := range bias {
			variance := float64(norm[3][o])
			if !(variance >= 0) || math.IsInf(variance, 0) {
				return badfile.New(f.Path(), badfile.ErrFormat, "has the variance %v, want finite ones of at least 0", variance).In(fmt.Sprintf("tensor %q", names[4]))
			}
			scale[o] = float64(norm[0][o]) / math.Sqrt(variance+inceptionNormEps)
			bias[o] = float32(float64(norm[1][o]) - float64(norm[2][o])*scale[o])
		}
		for i, w := range weight { // the output's axis is the last
			weight[i] = float32(float64(w) * scale[i%len(scale)])
		}
	} else if bias, err = read(names[1]); err != nil {
		return err
	}
	if err := l.weight.param.Set(weight); err != nil {
		return err
	}
	return l.bias.param.Set(bias)
}
