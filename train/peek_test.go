package train

import (
	"context"
	"errors"
	"image"
	"image/gif"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/train/plot"
)

// exactDrawer draws from two kinds of samples of a shape, at ±.5 with a deviation of .1, by the exact model.
func exactDrawer(path diffusion.GaussianPath, shape ...int) *Drawer {
	mean := func(v float64) (m []float64) {
		for range volume(shape) {
			m = append(m, v)
		}
		return m
	}
	d := &Drawer{Device: cpu.Default(), Shape: shape, Classes: 2, Null: 2, Precision: Float32, Model: &diffusion.Oracle{
		Of:    &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{mean(0.5), mean(-0.5)}, Stds: [][]float64{{0.1}, {0.1}}},
		Along: path, Predicts: diffusion.X0}}
	d.How.SetDefaults()
	return d
}

// Of every sampler that there is an estimate of, the last heard is that of the last step, which says of the class
// what the sample is; the samples are as without a peek, and each is the same in any batch.
func TestPeekOfEverySampler(t *testing.T) {
	for _, kind := range Samplers.Kinds() {
		switch kind {
		case "geodesic", "interpolant_sde", "ctmc", "unmask": // without such an estimate
			continue
		}
		d := exactDrawer(diffusion.VP{Beta0: 0.1, Beta1: 20}, 2)
		d.How.Sampler, d.How.Steps = Samplers.Default(kind), 12
		q := Request{N: 5, Labels: turns(5, 2), Seed: 1}
		plain, err := d.Draw(context.Background(), q)
		if err != nil {
			t.Fatal(kind, err)
		}
		hear := func(batch int) []float32 {
			d.How.Batch = batch
			seen := make([]float32, 10)
			q.Peek = func(step, steps, first int, data []float32) {
				if steps != 12 || step < 0 || step > 11 || len(data) != 2*min(batch, 5-first) {
					t.Fatalf("%s: step %d of %d, samples from %d, %d numbers", kind, step, steps, first, len(data))
				}
				copy(seen[2*first:], data)
			}
			x, err := d.Draw(context.Background(), q)
			if err != nil || !slices.Equal(x, plain) {
				t.Errorf("%s in batches of %d: with a peek the samples are %v, %v, without %v", kind, batch, x, err, plain)
			}
			return seen
		}
		all, two := hear(100), hear(2)
		if kind != "dopri5" && !slices.Equal(all, two) { // which goes on with its estimate while others in the batch are not done
			t.Errorf("%s: the last estimates are %v, in batches of two %v", kind, all, two)
		}
		for i, v := range all {
			if want := float32(0.5); math.Abs(float64(v-want+float32(i/2%2))) > 0.5 { // five deviations
				t.Errorf("%s: number %d of the last estimate is %g", kind, i, v)
			}
		}
	}
}

func picture(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A strip has a row for each sample and a column for each moment kept, of which the last is the samples' and the
// others are what was heard.
func TestPeekStrip(t *testing.T) {
	for _, c := range []struct{ n, steps, rows, columns int }{{3, 20, 3, 10}, {20, 4, 16, 4}, {1, 1, 1, 1}} {
		d := exactDrawer(diffusion.CondOT{}, 2, 3, 1)
		d.How.Steps, d.How.Batch = c.steps, 2
		path := filepath.Join(t.TempDir(), "p.png")
		q := Request{N: c.n, Labels: turns(c.n, 2)}
		p, err := d.NewPeek(path, &q)
		if err != nil {
			t.Fatal(err)
		}
		heard, add := map[int][]float32{}, q.Peek
		q.Peek = func(step, steps, first int, data []float32) {
			heard[step] = append(heard[step], data...)
			add(step, steps, first, data)
		}
		x := draw(t, &Trained{Drawer: *d}, q)
		if err := p.Write(x); err != nil {
			t.Fatal(err)
		}
		if p.Kept() != c.rows || len(p.steps) != c.columns-1 {
			t.Errorf("%+v: %d samples and %d estimates are kept", c, p.Kept(), len(p.steps))
		}
		m := picture(t, path)
		cellW, cellH := 3*16+2, 2*16+2 // 48 pixels and a gap
		if b := m.Bounds(); b.Dx() != c.columns*cellW+2+16 || b.Dy() < c.rows*cellH+2 {
			t.Fatalf("%+v: the picture is %v", c, b)
		}
		top := m.Bounds().Dy() - c.rows*cellH - 2
		for col := range c.columns {
			want := x[:c.rows*6]
			if col < c.columns-1 {
				want = heard[p.steps[col]][:c.rows*6]
			}
			grid := plot.Grid(want, d.Shape, plot.GridOptions{Columns: 1})
			for y := range grid.Rect.Dy() {
				for px := range cellW {
					if got := grid.ColorModel().Convert(m.At(8+col*cellW+px, top+y)); got != grid.RGBAAt(px, y) {
						t.Fatalf("%+v: column %d at %d,%d is %v, want %v", c, col, px, y, got, grid.RGBAAt(px, y))
					}
				}
			}
		}
	}
}

// An animation ends with the samples, and has a frame for each step up to a bound.
func TestPeekAnimation(t *testing.T) {
	for steps, frames := range map[int]int{7: 7, 90: 40} {
		d := exactDrawer(diffusion.CondOT{}, 2, 3, 1)
		d.How.Steps = steps
		path := filepath.Join(t.TempDir(), "p.GIF")
		q := Request{N: 4, Labels: turns(4, 2)}
		p, err := d.NewPeek(path, &q)
		if err != nil {
			t.Fatal(err)
		}
		x := draw(t, &Trained{Drawer: *d}, q)
		if err := p.Write(x); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		g, err := gif.DecodeAll(f)
		f.Close()
		if err != nil || len(g.Image) != frames {
			t.Fatalf("%v, %d frames of %d steps", err, len(g.Image), steps)
		}
		want := plot.Grid(x, d.Shape, plot.GridOptions{})
		shown := image.NewRGBA(want.Rect)
		for _, m := range g.Image {
			for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
				for px := m.Rect.Min.X; px < m.Rect.Max.X; px++ {
					if c := m.At(px, y); c != m.Palette[0] {
						shown.Set(px, y, c)
					}
				}
			}
		}
		if !slices.Equal(shown.Pix, want.Pix) {
			t.Errorf("%d steps: the last frame is not the samples", steps)
		}
	}
}

// Points are shown in a row of at most six areas; of a sampler with steps of its own, what it has not told of is what it told last.
func TestPeekPoints(t *testing.T) {
	d := exactDrawer(diffusion.CondOT{}, 2)
	d.How.Sampler, d.How.Steps = Samplers.Default("dopri5"), 30
	path := filepath.Join(t.TempDir(), "p.png")
	q := Request{N: 50, Labels: turns(50, 2)}
	p, err := d.NewPeek(path, &q)
	if err != nil {
		t.Fatal(err)
	}
	x := draw(t, &Trained{Drawer: *d}, q)
	if err := p.Write(x); err != nil {
		t.Fatal(err)
	}
	if s := picture(t, path).Bounds().Size(); s.X != int(math.Round((6*1.7+0.2)*144)) {
		t.Errorf("the picture is %v", s)
	}
	for c, seen := range p.seen {
		if seen == nil {
			t.Errorf("nothing is kept of step %d", p.steps[c])
		}
	}
	// The estimates come from the middle, which is (0,0) for both classes without regard to the noise, to the means ±.5.
	if last := p.seen[len(p.seen)-1]; math.Abs(float64(last[0])-0.5) > 0.5 || math.Abs(float64(last[2])+0.5) > 0.5 {
		t.Errorf("the last estimates are %v and %v", last[:2], last[2:4])
	}
}

func TestPeekRefuses(t *testing.T) {
	d := exactDrawer(diffusion.CondOT{}, 2)
	dir := t.TempDir()
	for path, parts := range map[string][]string{
		"p.jpg":      {"p.jpg", ".png", ".gif"},
		"none/p.png": {"none"},
	} {
		_, err := d.NewPeek(filepath.Join(dir, path), &Request{N: 1})
		wantError(t, err, parts...)
	}
	d.Shape = []int{3}
	_, err := d.NewPeek(filepath.Join(dir, "p.png"), &Request{N: 1})
	wantError(t, err, "p.png", "[3]", "no picture")
	d.Shape, d.Model = []int{3}, &diffusion.NetModel{Along: &flow.GeodesicPath{Manifold: manifold.Sphere{N: 2}}}
	_, err = d.NewPeek(filepath.Join(dir, "p.png"), &Request{N: 1})
	wantError(t, err, "p.png", "no estimate")
}

func TestEvenly(t *testing.T) {
	for _, c := range []struct {
		n, k int
		want []int
	}{{0, 5, []int{}}, {3, 5, []int{0, 1, 2}}, {19, 9, []int{0, 2, 5, 7, 9, 11, 14, 16, 18}}, {5, 1, []int{0}}} {
		if got := evenly(c.n, c.k); !slices.Equal(got, c.want) {
			t.Errorf("%d of %d: %v, want %v", c.k, c.n, got, c.want)
		}
	}
}

// The ends of a row are the samples themselves, bit for bit; what is between has noise of a length between theirs.
func TestBetween(t *testing.T) {
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.EDM{SigmaMax: 20}} {
		d := exactDrawer(path, 2, 3, 1)
		d.How.Batch = 4
		q := Request{N: 6, Labels: []int32{1, 1, 0, 0, 1, 1}, Seed: 5}
		x := draw(t, &Trained{Drawer: *d}, q)
		asked := q
		asked.Labels = []int32{1, 0, 1, 0, 0, 0} // what counts are the first three
		rows, err := d.Between(asked, 5)
		if err != nil || rows.N != 15 || rows.Prompts != nil {
			t.Fatalf("%d samples, %v", rows.N, err)
		}
		if said, err := d.Between(Request{N: 4, Prompts: []string{"a", "b", "a", "b"}}, 3); err != nil || !slices.Equal(said.Prompts, []string{"a", "a", "a", "b", "b", "b"}) {
			t.Errorf("the prompts %q, %v", said.Prompts, err)
		}
		y := draw(t, &Trained{Drawer: *d}, rows)
		for i := range 3 {
			if a := y[i*30 : i*30+6]; !slices.Equal(a, x[2*i*6:2*i*6+6]) {
				t.Errorf("%T: row %d begins with %v, sample %d is %v", path, i, a, 2*i, x[2*i*6:2*i*6+6])
			}
			if b := y[i*30+24 : i*30+30]; !slices.Equal(b, x[2*i*6+6:2*i*6+12]) {
				t.Errorf("%T: row %d ends with %v, sample %d is %v", path, i, b, 2*i+1, x[2*i*6+6:2*i*6+12])
			}
			length := func(j int) float64 {
				sum := 0.0
				for _, v := range rows.Noise[(i*5+j)*6 : (i*5+j+1)*6] {
					sum += float64(v) * float64(v)
				}
				return math.Sqrt(sum)
			}
			for j := range 5 {
				// A rounding of each number to float32.
				if got, want := length(j), length(0)+(length(4)-length(0))*float64(j)/4; math.Abs(got-want) > want*0x1p-23 {
					t.Errorf("%T: row %d, column %d has noise of length %g, want %g", path, i, j, got, want)
				}
			}
		}
		if slices.Equal(y[6:12], y[:6]) {
			t.Errorf("%T: nothing changes along a row", path)
		}
	}
}

// Rows of points are lines from sample to sample, other files are those of samples.
func TestWriteRows(t *testing.T) {
	d := exactDrawer(diffusion.CondOT{}, 2)
	dir := t.TempDir()
	x := []float32{0, 0, 1, 0, 2, 0, 0, 1, 1, 1, 2, 1}
	path := filepath.Join(dir, "x.png")
	if err := d.WriteRows(path, x, nil, 3); err != nil {
		t.Fatal(err)
	}
	m := picture(t, path)
	// The ends are blue, what is between is orange: two left, two right, and two in the middle.
	at := func(c [3]uint32) (n int, x float64) {
		for py := 60; py < m.Bounds().Dy(); py++ { // below the legend
			for px := range m.Bounds().Dx() {
				if r, g, b, _ := m.At(px, py).RGBA(); max(r>>8, c[0])-min(r>>8, c[0]) < 30 && max(g>>8, c[1])-min(g>>8, c[1]) < 30 && max(b>>8, c[2])-min(b>>8, c[2]) < 30 {
					n++
					x += float64(px)
				}
			}
		}
		return n, x / float64(n)
	}
	ends, middle := [3]uint32{0x0a, 0x5c, 0xd6}, [3]uint32{0xd1, 0x6a, 0x1b}
	n, px := at(ends)
	k, kx := at(middle)
	// Dots of radii 2.4 and 1.6 points of 2 pixels: π·4.8² = 72 and π·3.2² = 32 pixels, some in part. Ten pixels more at
	// the left than at the right, some 280 from the middle, move the middle of 250 by 11.
	if n < 4*45 || n > 4*75 || k < 2*18 || k > 2*35 || math.Abs(px-kx) > 15 {
		t.Errorf("%d pixels of ends about %g, %d between about %g", n, px, k, kx)
	}
	a, b := filepath.Join(dir, "a.npy"), filepath.Join(dir, "b.npy")
	if err := errors.Join(d.WriteRows(a, x, nil, 3), d.WriteSamples(b, x, nil, 0)); err != nil {
		t.Fatal(err)
	}
	one, err := os.ReadFile(a)
	two, err2 := os.ReadFile(b)
	if err != nil || err2 != nil || !slices.Equal(one, two) {
		t.Error("as numbers, rows are not the samples in turn")
	}
}

func TestBetweenRefuses(t *testing.T) {
	d := exactDrawer(diffusion.VP{Beta0: 0.1, Beta1: 20}, 2)
	for _, c := range []struct {
		q       Request
		columns int
		says    string
	}{
		{Request{N: 4}, 2, "at least 3"},
		{Request{N: 3}, 4, "two by two"},
		{Request{N: 2, Init: []float32{1, 2}}, 4, "edit"},
		{Request{N: 2, Noise: []float32{1}}, 4, "1 numbers of noise"},
		{Request{N: 1 << 29}, 1 << 10, "at a time"},
	} {
		_, err := d.Between(c.q, c.columns)
		wantError(t, err, c.says)
	}
	q, err := d.Between(Request{N: 2}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"ddpm", "euler_maruyama", "annealed_langevin", "dpmpp_sde"} {
		d.How.Sampler = Samplers.Default(kind)
		_, err := d.Draw(context.Background(), q)
		wantError(t, err, "adds noise of its own", "heun")
	}
	d.How.Sampler = Samplers.Default("dopri5")
	if _, err := d.Draw(context.Background(), q); err != nil {
		t.Errorf("dopri5 adds no noise: %v", err)
	}
	d.Source = (&noise{noiseConfig: noiseConfig{Shape: []int{2}}})
	_, err = d.Between(Request{N: 2}, 3)
	wantError(t, err, "other data")
	d.Source, d.Model = nil, &diffusion.NetModel{Along: &flow.GeodesicPath{Manifold: manifold.Torus{N: 2}}}
	_, err = d.Between(Request{N: 2}, 3)
	wantError(t, err, "normal noise")
}

// A trace goes by batches from the starts to the samples.
func TestTraceOfARequest(t *testing.T) {
	d := exactDrawer(diffusion.EDM{SigmaMax: 20}, 2)
	d.How.Batch, d.How.Steps = 2, 3
	noise := []float32{1, -1, 0.5, 2, 0, 1}
	var times []float64
	first, last := make([]float32, 6), make([]float32, 6)
	q := Request{N: 3, Labels: turns(3, 2), Noise: noise, Trace: func(p diffusion.Point, from int, x []float32) {
		times = append(times, p.T)
		if p.T > 19 {
			copy(first[2*from:], x)
		}
		copy(last[2*from:], x)
	}}
	x := draw(t, &Trained{Drawer: *d}, q)
	for i, v := range noise {
		if first[i] != 20*v {
			t.Errorf("start %d is %g, want 20 times %g", i, first[i], v)
		}
	}
	if !slices.Equal(last, x) || len(times) != 8 || times[3] != 0 || times[4] != times[0] {
		t.Errorf("traced at %v to %v, the samples are %v", times, last, x)
	}
	d.How.Sampler = Samplers.Default("dopri5")
	_, err := d.Draw(context.Background(), q)
	wantError(t, err, "chooses its steps itself")
}

func TestInitFromPictures(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, w, h int, level uint8) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		m := image.NewGray(image.Rect(0, 0, w, h))
		for i := range m.Pix {
			m.Pix[i] = level
		}
		if err := plot.WritePNG(path, m); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := put("flat/b.png", 3, 2, 255)
	put("flat/a.png", 3, 2, 0)
	put("classes/k0/x.png", 3, 2, 51)
	put("classes/k1/y.png", 3, 2, 0)
	var warned []string
	warn := func(format string, args ...any) { warned = append(warned, format) }
	read := func(path string, shape []int, classes int) (*SampleFile, error) {
		warned = nil
		return ReadInit(context.Background(), path, shape, classes, warn)
	}
	same := func(v float32, n int) (x []float32) {
		for range n {
			x = append(x, v)
		}
		return x
	}
	grey := []int{2, 3, 1}
	if f, err := read(one, grey, 2); err != nil || f.N != 1 || !slices.Equal(f.X, same(1, 6)) || f.Labels != nil || warned != nil {
		t.Errorf("a picture: %+v, %v, warned of %q", f, err, warned)
	}
	if f, err := read(filepath.Join(dir, "flat"), grey, 2); err != nil || f.N != 2 || !slices.Equal(f.X, append(same(-1, 6), same(1, 6)...)) || warned != nil {
		t.Errorf("a folder: %+v, %v, warned of %q", f, err, warned)
	}
	f, err := read(filepath.Join(dir, "classes"), []int{2, 3, 3}, 2)
	if err != nil || f.N != 2 || !slices.Equal(f.Labels, []int32{0, 1}) || math.Abs(float64(f.X[0])+0.6) > 1e-6 || f.X[18] != -1 {
		t.Errorf("class folders: %+v, %v", f, err)
	}
	if f, err := read(one, []int{4, 4, 1}, 2); err != nil || len(warned) != 1 || len(f.X) != 16 {
		t.Errorf("a picture of another size: %v, warned of %q", err, warned)
	}
	_, err = read(filepath.Join(dir, "classes"), grey, 10)
	wantError(t, err, "2 class folders", "10 classes")
	_, err = read(one, []int{2}, 0)
	wantError(t, err, "b.png", "no pictures")
	_, err = read(filepath.Join(dir, "none"), grey, 0)
	wantError(t, err, "none", "folder of pictures")
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := ReadInit(ctx, filepath.Join(dir, "flat"), grey, 0, warn); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
