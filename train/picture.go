package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/train/data"
	"github.com/langevin-go/langevin/train/plot"
)

// picture draws samples with the averaged weights: a grid of images, a row a
// class, or points and the velocity field in the plane. It uses a scope and
// random numbers of its own, so that training goes on as if it had not been.
func (t *Trainer) picture(ctx context.Context) error {
	t.settle()
	shape, d := t.data.Train.Shape(), t.Drawer()
	switch d.view() {
	case unseen:
		return nil
	case gridView:
		q, err := t.pictureRequest()
		if err != nil {
			return err
		}
		if q.Vectors, err = d.firstVectors(t.data.Train, q.N); err != nil {
			return err
		}
		x, err := t.drawPeeking(ctx, d, q)
		if err != nil {
			return err
		}
		if err := plot.WriteGrid(t.dir.Sample("grid", t.step), x, shape, plot.GridOptions{Columns: t.exp.Sample.Rows}); err != nil {
			return err
		}
		return t.recordPicture("samples", t.dir.Sample("grid", t.step))
	}
	return t.pointPictures(ctx, d)
}

// drawPeeking draws samples, with a picture of how they come about if that is asked for.
func (t *Trainer) drawPeeking(ctx context.Context, d *Drawer, q Request) ([]float32, error) {
	if !t.exp.Sample.Peek {
		return d.Draw(ctx, q)
	}
	path := t.dir.Sample("peek", t.step)
	p, err := d.NewPeek(path, &q)
	if err != nil {
		return nil, t.exp.at("sample.peek", err)
	}
	x, err := d.Draw(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := p.Write(x); err != nil {
		return nil, err
	}
	return x, t.recordPicture("peek", path)
}

// Drawer draws samples with the averaged weights as they are at the time.
func (t *Trainer) Drawer() *Drawer {
	d := &Drawer{Device: t.dev, Model: t.avgMod, Shape: t.data.Train.Shape(), Classes: t.classes(), Null: nullLabel(t.avg), How: t.exp.Sample, Precision: t.exp.Precision, Source: t.source.forSampling(), prompts: t.prompts, student: t.job.Student}
	d.Vector, d.NullVector = t.about().Vector, nullVector(t.avg)
	d.encoder, _ = t.avg.(*nn.Prompted)
	return d
}

// pictureName is the file that picture writes at the present step; "": samples make no picture.
func (t *Trainer) pictureName() string {
	switch viewOf(t.data.Train.Shape(), t.avgMod) {
	case unseen:
		return ""
	case gridView:
		return t.dir.Sample("grid", t.step)
	}
	return t.dir.Sample("points", t.step)
}

// pictureRequest is a picture of images: a row a prompt, a class, or none.
func (t *Trainer) pictureRequest() (Request, error) {
	q := Request{Seed: t.exp.Seed}
	if t.prompts == nil {
		q.N, q.Labels = pictureLabels(t.classes(), t.exp.Sample.Rows)
		return q, nil
	}
	prompts, err := t.picturePrompts()
	for _, p := range prompts {
		q.Prompts = append(q.Prompts, slices.Repeat([]string{p}, t.exp.Sample.Rows)...)
	}
	q.N, q.Negative = len(q.Prompts), t.exp.Sample.Negative
	return q, err
}

// pictureLabels are the classes of a picture: a row of each, or none.
func pictureLabels(classes, rows int) (n int, labels []int32) {
	if classes == 0 {
		return rows * rows, nil
	}
	n = classes * rows
	labels = make([]int32, n)
	for i := range labels {
		labels[i] = int32(i / rows)
	}
	return n, labels
}

// picturePoints is how many points a scatter plot shows.
const picturePoints = 2000

func (t *Trainer) pointPictures(ctx context.Context, d *Drawer) error {
	truth, _, err := takeSamples(t.data.Train, picturePoints)
	if err != nil {
		return err
	}
	var labels []int32
	if classes := t.classes(); classes > 0 {
		labels = make([]int32, picturePoints)
		for i := range labels {
			labels[i] = int32(i % classes)
		}
	}
	d.How.Batch = picturePoints
	q := Request{N: picturePoints, Labels: labels, Seed: t.exp.Seed}
	if q.Vectors, err = d.firstVectors(t.data.Train, q.N); err != nil {
		return err
	}
	x, err := t.drawPeeking(ctx, d, q)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%s, step %d", t.exp.Name, t.step)
	if err := d.view().scatter(t.dir.Sample("points", t.step), x, plot.ScatterOptions{Title: title, Data: truth, Labels: labels}); err != nil {
		return err
	}
	if err := t.recordPicture("samples", t.dir.Sample("points", t.step)); err != nil || d.view() != planeView {
		return err
	}
	panels, err := velocityPanels(d, truth)
	if err != nil || panels == nil {
		return err
	}
	if err := plot.WriteField(t.dir.Sample("field", t.step), panels, plot.FieldOptions{Title: title, Data: truth}); err != nil {
		return err
	}
	return t.recordPicture("field", t.dir.Sample("field", t.step))
}

// velocityPanels are the directions in which samples move, from noise to data,
// without regard to their class; nil where there is no such thing.
func velocityPanels(d *Drawer, truth []float32) ([]plot.Panel, error) {
	if d.Classes > 0 && d.Null < 0 || d.Vector > 0 && !d.NullVector || d.prompts != nil { // each class has a field of its own
		return nil, nil
	}
	path := d.Model.Path()
	at := plot.Lattice(truth, 22)
	plain := *d // without guidance and whatever else steers samples
	plain.How.Guidance.SetDefaults()
	plain.How.Scaling.SetDefaults()
	plain.How.Steering = Steering{}
	var panels []plot.Panel
	for _, f := range []float64{0.9, 0.6, 0.3, 0.1} {
		time := f * path.End()
		v, err := plain.Predict(Request{N: len(at) / 2}, diffusion.DataVelocity, at, time)
		if errors.As(err, new(*diffusion.UndeterminedError)) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		panels = append(panels, plot.Panel{Title: fmt.Sprintf("t = %.2g", time), At: at, Vectors: v})
	}
	return panels, nil
}

// takeSamples reads the first n samples of a source (all, if it has fewer).
func takeSamples(src data.Source, n int) (x []float32, labels []int32, err error) {
	if l := src.Len(); l != data.Infinite {
		n = min(n, l)
	}
	x, labels = make([]float32, n*volume(src.Shape())), make([]int32, n)
	return x, labels, data.Read(context.Background(), src, 0, x, labels)
}
