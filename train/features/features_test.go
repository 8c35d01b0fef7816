package features

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/train/metrics"
)

const goldens = "../../internal/golden/testdata/features/"

// images are pictures of bytes.
func images(pix []uint8, h, w int) metrics.Images {
	im := metrics.Images{Pixels: make([]float32, len(pix)), H: h, W: w, C: 3}
	for i, p := range pix {
		im.Pixels[i] = float32(p)/127.5 - 1
	}
	return im
}

func relative(got []float32, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	d, n := 0.0, 0.0
	for i, w := range want {
		d += (float64(got[i]) - w) * (float64(got[i]) - w)
		n += w * w
	}
	return math.Sqrt(d / n)
}

// TensorFlow's scaling as torch-fidelity has it: bit for bit.
func TestScalesAsTensorFlow1(t *testing.T) {
	g := golden.Open(t, goldens+"inception.safetensors")
	var cases map[string]struct{ Before, After [2]int }
	g.JSON("resizes", &cases)
	if len(cases) != 4 {
		t.Fatalf("%d cases", len(cases))
	}
	for name, c := range cases {
		h, w := c.Before[0], c.Before[1]
		got := make([]float32, c.After[0]*c.After[1]*3)
		scaleTF1(got, c.After[0], c.After[1], golden.Pictures("resize/"+name, 1, h, w), h, w)
		for i, want := range g.Floats("resize/" + name) {
			if float64(got[i]) != want {
				t.Fatalf("%s: value %d is %g, want %g", name, i, got[i], want)
			}
		}
	}
}

// Pictures of 32×32 pixels, by way of a file of weights, have torch-fidelity's features, which it computed in float64. The bound on the rounding
// of float32 is that of the other networks: see nn/interop's testParity. What a picture's features are does not depend on those beside it.
func TestInceptionFeatures(t *testing.T) {
	if testenv.Race || testing.Short() {
		t.Skip("forty billion operations")
	}
	g := golden.Open(t, goldens+"inception.safetensors")
	var shapes map[string][]int
	g.JSON("tensors", &shapes)
	path := filepath.Join(t.TempDir(), "w.safetensors")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(safetensors.Write(f, golden.Ruled(shapes), nil), f.Close()); err != nil {
		t.Fatal(err)
	}
	n, err := Open("inception:"+path, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	name, hash, dim := n.Describe()
	if name != "inception" || len(hash) != 64 || dim != 2048 {
		t.Errorf("%s %s %d", name, hash, dim)
	}
	im := images(golden.Pictures("inception/full", 2, 32, 32), 32, 32)
	var seen []int
	p, err := n.Features(context.Background(), im, func(done int) { seen = append(seen, done) })
	if err != nil {
		t.Fatal(err)
	}
	if e := relative(p.X, g.Floats("full/2048")); p.D != 2048 || !(e <= 1e-4) || !slices.Equal(seen, []int{2}) {
		t.Errorf("features differ by %.3g, in %v parts", e, seen)
	}
	im.Pixels = im.Pixels[32*32*3:]
	alone, err := n.Features(context.Background(), im, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(alone.X, p.X[2048:]) {
		t.Error("a picture alone has other features")
	}
	early, err := openInception("inception64", path, 64, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	if p, err = early.Features(context.Background(), im, nil); err != nil {
		t.Fatal(err)
	}
	if e := relative(p.X, g.Floats("full/64")[64:]); !(e <= 1e-4) {
		t.Errorf("features of the first layer differ by %.3g", e)
	}
}

// dinov2 writes a folder of a small network.
func dinov2(t *testing.T) (dir string, g golden.File) {
	g = golden.Open(t, goldens+"dinov2-plain.safetensors")
	var shapes map[string][]int
	g.JSON("tensors", &shapes)
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(g.Text("config")), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), golden.Ruled(shapes), nil); err != nil {
		t.Fatal(err)
	}
	return dir, g
}

// A picture of 40×56 pixels has the vector that transformers' network gives it behind Pillow's scaling and ImageNet's normalisation.
func TestDINOv2Features(t *testing.T) {
	dir, g := dinov2(t)
	n, err := Open("dinov2:"+dir, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	if name, _, dim := n.Describe(); name != "dinov2" || dim != 24 {
		t.Errorf("%s %d", name, dim)
	}
	p, err := n.Features(context.Background(), images(golden.Pictures("dinov2/picture", 1, 40, 56), 40, 56), nil)
	if err != nil {
		t.Fatal(err)
	}
	if e := relative(p.X, g.Floats("picture")); !(e <= 1e-4) { // see TestInceptionFeatures
		t.Errorf("features differ by %.3g", e)
	}

	// A grey picture is one whose channels are equal.
	grey := metrics.Images{Pixels: []float32{-1, 0, 0.5, 2, -3, 1}, H: 2, W: 3, C: 1}
	three := metrics.Images{H: 2, W: 3, C: 3}
	for _, v := range grey.Pixels {
		three.Pixels = append(three.Pixels, v, v, v)
	}
	a, err := n.Features(context.Background(), grey, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Features(context.Background(), three, nil)
	if err != nil || !slices.Equal(a.X, b.X) {
		t.Errorf("a grey picture has other features: %v", err)
	}
	// More than a batch: each as alone.
	many := metrics.Images{H: 2, W: 3, C: 1}
	for range batch + 3 {
		many.Pixels = append(many.Pixels, grey.Pixels...)
	}
	if b, err = n.Features(context.Background(), many, nil); err != nil || b.Len() != batch+3 || !slices.Equal(b.X[(batch+2)*24:], a.X) {
		t.Errorf("of many, the last has other features: %v", err)
	}
	var e *metrics.InputError
	if _, err := n.Features(context.Background(), metrics.Images{Pixels: make([]float32, 8), H: 2, W: 2, C: 2}, nil); !errors.As(err, &e) {
		t.Errorf("two channels: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := n.Features(ctx, grey, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir, _ := dinov2(t)
	for spec, want := range map[string]string{
		"clip:x":                     `"clip:x" is no network of features: want inception:FILE.safetensors`,
		"inception":                  "want inception:FILE.safetensors",
		"inception:":                 "want inception:FILE.safetensors",
		"inception:none.safetensors": "none.safetensors: cannot be read",
		"dinov2:" + dir + "/none":    "config.json: cannot be read",
		"inception:" + dir + "/model.safetensors": "472 missing (Conv2d_1a_3x3.conv.weight",
	} {
		if _, err := Open(spec, cpu.Default()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
	var e *nn.LoadError
	if _, err := Open("inception:"+dir+"/model.safetensors", cpu.Default()); !errors.As(err, &e) || len(e.Surplus) == 0 {
		t.Errorf("got %v", err)
	}
}
