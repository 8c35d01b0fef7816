package train

import (
	"errors"
	"fmt"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
)

// Between is a request for what lies between the samples of q, two by two: for each pair a row of so many
// samples (at least 3) from the first to the second, whose noise goes along a great circle (see [sampler.Slerp]). All
// of row i have the class, the prompt and the vector of sample i, and its ends are what Draw gives with them.
//
// Errors: an odd number of samples; a model that starts from something else than normal noise. A sampler
// that adds noise of its own is an error of Draw.
func (d *Drawer) Between(q Request, columns int) (Request, error) {
	size := volume(d.Shape)
	switch {
	case columns < 3:
		return q, fmt.Errorf("%d samples from one to another: want at least 3, the two included", columns)
	case q.N < 2 || q.N%2 != 0:
		return q, fmt.Errorf("interpolation takes samples two by two: %d cannot be paired", q.N)
	case q.Init != nil:
		return q, errors.New("interpolation goes between starts of noise, not between data to edit")
	case confined(d.Model) != nil:
		return q, fmt.Errorf("interpolation goes between starts of normal noise: the model's are on %v", confined(d.Model))
	case d.Source != nil:
		return q, errors.New("interpolation goes between starts of normal noise: the model starts from other data")
	case len(q.Noise) != 0 && len(q.Noise) != q.N*size:
		return q, fmt.Errorf("%d numbers of noise are not %d samples of shape %v", len(q.Noise), q.N, d.Shape)
	}
	rows := q.N / 2
	if err := d.CheckCount(q.N); err != nil {
		return q, err
	}
	if err := d.CheckCount(rows * columns); err != nil {
		return q, err
	}
	s := tensor.NewScope(d.Device, tensor.Inference)
	defer s.Close()
	far, err := d.far(s, q, 0, append([]int{q.N}, d.Shape...))
	if err != nil {
		return q, err
	}
	ends := far.Float32s()
	out := q
	out.N, out.Noise, out.Noises, out.Still = rows*columns, make([]float32, rows*columns*size), nil, true
	out.Labels, out.Prompts = repeat(q.Labels, 1, rows, columns), repeat(q.Prompts, 1, rows, columns)
	out.Vectors = repeat(q.Vectors, d.Vector, rows, columns)
	for i := range rows {
		a, b := ends[2*i*size:(2*i+1)*size], ends[(2*i+1)*size:(2*i+2)*size]
		for j := range columns {
			at := i*columns + j
			sampler.Slerp(out.Noise[at*size:(at+1)*size], a, b, float64(j)/float64(columns-1))
		}
	}
	return out, nil
}

// repeat has each of the first so many values, width numbers wide, as often; nil stays nil.
func repeat[T any](values []T, width, first, times int) []T {
	if values == nil {
		return nil
	}
	out := make([]T, 0, first*times*width)
	for i := range first {
		for range times {
			out = append(out, values[i*width:(i+1)*width]...)
		}
	}
	return out
}
