package train

import (
	"context"
	"fmt"
	"strings"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
)

// Invert leads the samples q.Init, of which there are q.N, back to the noise (N,Shape…), row-major, that the
// sampler makes them of (see [sampler.Invert]): with it as Request.Noise, and all else alike, Draw gives them again but
// for the errors of both ways. Where the model starts from a source, it is the source's samples.
//
// Errors are Draw's; a sampler that cannot go back, named.
func (d *Drawer) Invert(ctx context.Context, q Request) ([]float32, error) {
	size := volume(d.Shape)
	if err := d.CheckCount(q.N); err != nil {
		return nil, err
	}
	if len(q.Init) != q.N*size {
		return nil, fmt.Errorf("%d numbers to invert are not %d samples of shape %v", len(q.Init), q.N, d.Shape)
	}
	if err := d.checkVectors(q); err != nil {
		return nil, err
	}
	if p := confined(d.Model); p != nil {
		return nil, fmt.Errorf("samples of a flow on %v cannot be led back to their noise: its sampler, %s, goes one way", p, strings.Join(p.Samplers(), " or "))
	}
	how, grid, err := d.plan()
	if err != nil {
		return nil, err
	}
	if v, ok := how.(sampler.Reversible); !ok || !v.Reversible() {
		return nil, fmt.Errorf("the sampler %s cannot lead samples back to their noise with these options: want one that adds no noise and keeps to the grid, such as heun, euler, dpm_multistep, unipc, or ddim with eta=0", d.samplerName(how))
	}
	dev, prompts, model, err := d.prepare(q)
	if err != nil {
		return nil, err
	}
	defer prompts.close()
	scale := d.startScale(grid[0])
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	out := make([]float32, q.N*size)
	steps, batches := len(grid)-1, (q.N+d.How.Batch-1)/d.How.Batch
	for b := range batches {
		from := b * d.How.Batch
		n := min(d.How.Batch, q.N-from)
		s.Reset()
		o := sampler.Options{Clip: d.How.Clip, First: uint64(from), Float64: d.How.Float64}
		if o.Cond, err = d.condition(q, prompts, from, n); err != nil {
			return nil, err
		}
		if q.Progress != nil {
			o.Progress = func(i, _ int, _ *tensor.Tensor) { q.Progress(b*steps+i+1, batches*steps) }
		}
		x, err := sampler.Invert(ctx, s, model, how, grid, s.Tensor(q.Init[from*size:(from+n)*size], append([]int{n}, d.Shape...)...), o)
		if err != nil {
			return nil, err
		}
		x.Scale(1 / scale).CopyTo(out[from*size : (from+n)*size])
	}
	return out, nil
}

// samplerName is what configs call a sampler.
func (d *Drawer) samplerName(how sampler.Sampler) string {
	if v, err := variantOf(how); err == nil {
		return v.Kind
	}
	return d.SamplerKind()
}
