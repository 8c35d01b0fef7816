package nn

import "github.com/langevin-go/langevin/tensor"

// UpBlock is a level on the way up. At most one of Up and UpRes is there; Skip
// blocks also sum an image (NCSN++, Song et al. 2021).
type UpBlock struct {
	Res      []*ResBlock
	Attn     []*SpatialAttention   // as many as Res; one in Skip blocks; or none
	Text     []*SpatialTransformer // as many as Res, or none
	Up       *Upsample
	UpRes    *ResBlock
	SkipNorm *GroupNorm
	Skip     *Conv2D // (channels → out_channels), 3×3

	skip bool
	fir  *fir // doubles the image
}

// up makes the block that maps prev channels to to, where the way down had from at
// its beginning and to at its end.
func (b *unetBuilder) up(k blockKind, from, prev, to, level int) *UpBlock {
	last := level == 0
	u := &UpBlock{skip: k.skip}
	for i := range b.o.Layers + 1 {
		below, beside := to, to
		if i == 0 {
			below = prev
		}
		if i == b.o.Layers {
			beside = from
		}
		if k.skip {
			groups := quarter(below + beside)
			if k.attention {
				groups = min(below+beside/4, 32) // as diffusers' AttnSkipUpBlock2D has it
			}
			u.Res = append(u.Res, b.res(resSpec{from: below + beside, to: to, groups1: groups, group2: quarter(to), scale: skipScale}))
			continue
		}
		u.Res = append(u.Res, b.plain(below+beside, to, 1, nil))
		if k.attention {
			u.Attn = append(u.Attn, b.attention(to, b.groups(to), 1))
		}
		if k.text {
			u.Text = append(u.Text, b.transformer(to, level))
		}
	}
	if k.skip {
		u.fir = newFIR(b.in.Device(), b.o.OutChannels)
		if k.attention {
			u.Attn = append(u.Attn, b.attention(to, skipAttentionGroups, skipScale))
		}
	}
	switch {
	case last:
	case k.skip:
		f := newFIR(b.in.Device(), to)
		u.UpRes = b.res(resSpec{to, to, quarter(to), quarter(to), skipScale, f.double, true})
		u.SkipNorm = b.norm(quarter(to), to)
		u.Skip = NewConv2D(b.in, to, b.o.OutChannels, 3, 1, 1)
	case k.resnet:
		u.UpRes = b.plain(to, to, 1, Nearest2)
	default:
		u.Up = NewUpsample(b.in, to, to)
	}
	return u
}

// Forward maps h, taking what the way down left, and the image that Skip blocks sum, nil at first.
func (u *UpBlock) Forward(h, e, image *tensor.Tensor, p prompt, stack *skips) (*tensor.Tensor, *tensor.Tensor) {
	s := h.Scope()
	m := s.Mark()
	for i, r := range u.Res {
		h = r.Forward(tensor.Concat(3, h, stack.pop()), e)
		if u.Attn != nil && !u.skip {
			h = u.Attn[i].Forward(h)
		}
		if u.Text != nil {
			h = u.Text[i].forward(h, p)
		}
		h = s.Release(m, h)
	}
	if u.skip {
		if u.Attn != nil {
			h = u.Attn[0].Forward(h)
		}
		if image = u.sumImage(h, image); image != nil {
			s.Hold(image) // through the Release below, which keeps h
		}
	}
	switch {
	case u.UpRes != nil:
		h = u.UpRes.Forward(h, e)
	case u.Up != nil:
		h = u.Up.Forward(h)
	}
	return s.Release(m, h), image
}

// sumImage doubles the image so far and adds this level's.
func (u *UpBlock) sumImage(h, image *tensor.Tensor) *tensor.Tensor {
	s := h.Scope()
	m := s.Mark()
	if image != nil {
		image = u.fir.double(image)
	}
	if u.Skip != nil {
		image = addTo(u.Skip.Forward(u.SkipNorm.SiLU(h)), image)
	}
	return s.Release(m, image)
}
