package nn

import "github.com/langevin-go/langevin/tensor"

// skips is the stack of tensors that the way down leaves for the way up.
type skips struct {
	t [maxSkips + 2]*tensor.Tensor
	n int
}

func (s *skips) push(t *tensor.Tensor) *tensor.Tensor {
	s.t[s.n] = t
	s.n++
	return t
}

func (s *skips) pop() *tensor.Tensor {
	s.n--
	return s.t[s.n]
}

// DownBlock is a level on the way down. At most one of Down and DownRes is there;
// Skip blocks also bring in the image itself (NCSN++, Song et al. 2021).
type DownBlock struct {
	Res     []*ResBlock
	Attn    []*SpatialAttention   // as many as Res, or none
	Text    []*SpatialTransformer // as many as Res, or none
	Down    *Downsample
	DownRes *ResBlock
	Skip    *Conv2D // (in_channels → channels), 1×1, on the image

	fir *fir // halves the image
}

func (b *unetBuilder) down(k blockKind, from, to, level int) *DownBlock {
	last := level == len(b.o.Channels)-1
	d := &DownBlock{}
	for i := range b.o.Layers {
		if i > 0 {
			from = to
		}
		if k.skip {
			d.Res = append(d.Res, b.res(resSpec{from: from, to: to, groups1: quarter(from), group2: quarter(to), scale: skipScale}))
		} else {
			d.Res = append(d.Res, b.plain(from, to, 1, nil))
		}
		switch {
		case k.attention && k.skip:
			d.Attn = append(d.Attn, b.attention(to, skipAttentionGroups, skipScale))
		case k.attention:
			d.Attn = append(d.Attn, b.attention(to, b.groups(to), 1))
		case k.text:
			d.Text = append(d.Text, b.transformer(to, level))
		}
	}
	switch {
	case last:
	case k.skip:
		f := newFIR(b.in.Device(), to)
		d.DownRes = b.res(resSpec{to, to, quarter(to), quarter(to), skipScale, f.halve, true})
		d.Skip = NewConv2D(b.in, b.o.InChannels, to, 1, 1, 0)
		d.fir = newFIR(b.in.Device(), b.o.InChannels)
	case k.resnet:
		d.DownRes = b.plain(to, to, 1, AvgPool2)
	default:
		d.Down = NewDownsample(b.in, to, to, b.o.DownPad)
	}
	return d
}

// Forward maps h under the prompt and the image, which only Skip blocks use and change, and pushes what the way up needs.
func (d *DownBlock) Forward(h, e, image *tensor.Tensor, p prompt, stack *skips) (*tensor.Tensor, *tensor.Tensor) {
	s := h.Scope()
	for i, r := range d.Res {
		m := s.Mark()
		h = r.Forward(h, e)
		if d.Attn != nil {
			h = d.Attn[i].Forward(h)
		}
		if d.Text != nil {
			h = d.Text[i].forward(h, p)
		}
		stack.push(s.Release(m, h))
	}
	switch {
	case d.Skip != nil:
		image = d.fir.halve(image)
		m := s.Mark()
		h = stack.push(s.Release(m, d.Skip.Forward(image).Add(d.DownRes.Forward(h, e))))
	case d.DownRes != nil:
		h = stack.push(d.DownRes.Forward(h, e))
	case d.Down != nil:
		h = stack.push(d.Down.Forward(h))
	}
	return h, image
}
