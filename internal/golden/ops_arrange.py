"""What puts elements elsewhere: axes, borders, indices, patches; and einsum."""

import torch
import torch.nn.functional as F

from inputs import In


def padded(mode):
    def pad(x, axis, before, after, c=0.0):
        y = x.movedim(axis, -1)
        y = y.reshape(1, -1, y.shape[-1])  # what torch pads in every mode
        y = F.pad(y, (before, after), mode, **(dict(value=c) if mode == "constant" else {}))
        rest = [d for i, d in enumerate(x.shape) if i != axis % x.dim()]
        return y.reshape(*rest, -1).movedim(-1, axis)

    return pad


def parts(pieces):
    """The parts in another order and with factors of their own."""
    return torch.cat([(i + 1) * p.flatten() for i, p in reversed(list(enumerate(pieces)))])


ARRANGE = {
    "unsqueeze": (lambda x, axis: x.unsqueeze(axis), [(dict(x=(2, 3)), dict(axis=1)), (dict(x=(2, 3)), dict(axis=-1))]),
    "squeeze": (lambda x, axes: x.squeeze(axes) if axes else x.squeeze(), [(dict(x=(1, 3, 1)), dict(axes=[2])), (dict(x=(1, 3, 1)), dict(axes=[]))]),
    "transpose": (lambda x, a, b: x.transpose(a, b), [(dict(x=(2, 3, 4)), dict(a=0, b=-1))]),
    "move_axis": (lambda x, start, end: x.movedim(start, end), [(dict(x=(2, 3, 4, 5)), dict(start=0, end=2)), (dict(x=(2, 3, 4)), dict(start=-1, end=0))]),
    "diagonal": (lambda x, a, b: x.diagonal(0, a, b), [(dict(x=(3, 2, 4)), dict(a=0, b=2)), (dict(x=(4, 2)), dict(a=1, b=0)), (dict(x=(2, 3, 3)), dict(a=-2, b=-1))]),
    "split": (lambda x, axis, shape: parts(x.split(shape, axis)), [(dict(x=(2, 6)), dict(axis=1, shape=[1, 3, 2]))]),
    "chunk": (lambda x, axis, k: parts(x.chunk(k, axis)), [(dict(x=(6, 2)), dict(axis=0, k=3))]),
    "stack": (lambda x, y, axis: torch.stack([x, y], axis), [(dict(x=(2, 3), y=(2, 3)), dict(axis=1)), (dict(x=(2, 3), y=(2, 3)), dict(axis=-1))]),
    "roll": (lambda x, k, axis: x.roll(k, axis), [(dict(x=(3, 5)), dict(k=-7, axis=1)), (dict(x=(4, 2)), dict(k=1, axis=0))]),
    "flip": (lambda x, axes: x.flip(axes), [(dict(x=(2, 3, 4)), dict(axes=[0, -1])), (dict(x=(4,)), dict(axes=[0]))]),
    "tile": (lambda x, shape: x.tile(shape), [(dict(x=(2, 3)), dict(shape=[2, 1, 3])), (dict(x=(2, 3, 2)), dict(shape=[2, 2]))]),
    "repeat": (lambda x, axis, k: x.repeat_interleave(k, axis), [(dict(x=(2, 3)), dict(axis=0, k=3)), (dict(x=(2, 3)), dict(axis=-1, k=2))]),
    "pad_with": (padded("constant"), [(dict(x=(2, 3, 4)), dict(axis=1, before=1, after=2, c=-1.5))]),
    "pad_edge": (padded("replicate"), [(dict(x=(2, 3, 4)), dict(axis=-1, before=5, after=1)), (dict(x=(3, 2)), dict(axis=0, before=0, after=2))]),
    "pad_reflect": (padded("reflect"), [(dict(x=(2, 5, 3)), dict(axis=1, before=4, after=2)), (dict(x=(4,)), dict(axis=0, before=0, after=3))]),
    "pad_circular": (padded("circular"), [(dict(x=(2, 3, 4)), dict(axis=2, before=2, after=4))]),
    "tril": (lambda x, k: x.tril(k), [(dict(x=(2, 3, 4)), dict(k=1)), (dict(x=(4, 3)), dict(k=-1))]),
    "triu": (lambda x, k: x.triu(k), [(dict(x=(2, 4, 3)), dict(k=-1)), (dict(x=(3, 3)), dict(k=0))]),
    "arange": (lambda x, a, c, k: x * torch.arange(k, dtype=x.dtype).mul(c).add(a), [(dict(x=(3, 5)), dict(a=0.5, c=-0.25, k=5))]),
    "linspace": (lambda x, lo, hi, k: x * torch.linspace(lo, hi, k, dtype=x.dtype), [(dict(x=(3, 5)), dict(lo=-1, hi=2, k=5)), (dict(x=(3, 1)), dict(lo=-1, hi=2, k=1))]),
    "pixel_shuffle": (F.pixel_shuffle, [(dict(input=(1, 8, 2, 3)), dict(upscale_factor=2)), (dict(input=(2, 9, 2, 1)), dict(upscale_factor=3))]),
    "pixel_unshuffle": (F.pixel_unshuffle, [(dict(input=(1, 2, 4, 6)), dict(downscale_factor=2))]),
    # as a convolution of stride p cuts an image: F.unfold, whose patches are channel by channel
    "patchify": (
        lambda x, k: F.unfold(x, k, stride=k).unflatten(1, (x.shape[1], k * k)).permute(0, 3, 2, 1).flatten(2),
        [(dict(x=(2, 3, 4, 6)), dict(k=2))],
    ),
    "unpatchify": (
        lambda x, k, shape: F.fold(x.unflatten(2, (k * k, -1)).permute(0, 3, 2, 1).flatten(1, 2), [k * d for d in shape], k, stride=k),
        [(dict(x=(2, 6, 12)), dict(k=2, shape=[2, 3]))],
    ),
}

INDEX = {
    "index_select": (
        lambda x, index, axis: x.index_select(axis, index),
        [(dict(x=(2, 3, 4), index=In((5,), "index", 3)), dict(axis=1)), (dict(x=(2, 3), index=In((2,), "index", 3)), dict(axis=-1))],
    ),
    "take_along": (
        lambda x, index, axis: torch.take_along_dim(x, index, axis),
        [
            (dict(x=(2, 4), index=In((2, 3), "index", 4)), dict(axis=1)),
            (dict(x=(3, 2, 2), index=In((5, 1, 2), "index", 3)), dict(axis=0)),
            (dict(x=(1, 4), index=In((3, 2), "index", 4)), dict(axis=-1)),
        ],
    ),
    "scatter_add": (
        lambda x, src, index, axis: x.scatter_add(axis, index, src),
        [(dict(x=(2, 4), src=(2, 5), index=In((2, 5), "index", 4)), dict(axis=1)), (dict(x=(3, 2), src=(4, 2), index=In((4, 2), "index", 3)), dict(axis=0))],
    ),
    # a permutation: where several elements go to one place torch does not say which stays
    "scatter": (
        lambda x, src, index, axis: x.scatter(axis, index.argsort(axis), src),
        [(dict(x=(2, 5), src=(2, 3), index=In((2, 3), "index", 99)), dict(axis=1)), (dict(x=(4, 2), src=(4, 2), index=In((4, 2), "index", 99)), dict(axis=0))],
    ),
    "arg_max": (lambda x, axis: x.argmax(axis) * x.sum(axis), [(dict(x=(3, 5, 2)), dict(axis=1)), (dict(x=In((4, 6), "halves")), dict(axis=-1))]),
    "arg_min": (lambda x, axis: x.argmin(axis) * x.sum(axis), [(dict(x=(3, 5, 2)), dict(axis=0)), (dict(x=In((4, 6), "halves")), dict(axis=-1))]),
    "as_mask": (lambda x, index: (x + torch.where(index != 0, 0.0, -torch.inf)).softmax(-1), [(dict(x=(3, 4), index=In((3, 4), "index", 2)), {})]),
    "causal_mask": (
        lambda x: (x + torch.ones(x.shape[-2:]).tril(x.shape[-1] - x.shape[-2]).log()).softmax(-1),
        [(dict(x=(4, 4)), {}), (dict(x=(2, 3, 5)), {})],
    ),
}

EINSUM = {
    "einsum_of": (
        lambda spec, **t: torch.einsum(spec, *(t[k] for k in sorted(t))),
        [
            (dict(a=(3, 4), b=(4, 5)), dict(spec="ij,jk->ik")),
            (dict(a=(2, 3, 2, 4), b=(2, 5, 2, 4)), dict(spec="bthd,bshd->bhts")),
            (dict(a=(3, 4), b=(2, 4), c=(4, 3)), dict(spec="ij,kj,ji->k")),
            (dict(a=(4, 3, 4)), dict(spec="iji->j")),
            (dict(a=(2, 1, 3, 4), b=(5, 4, 2)), dict(spec="...ij,...jk")),
            (dict(a=(3,), b=(2, 4)), dict(spec="i,jk->kij")),
            (dict(a=(2, 3), b=(3, 4, 5), c=(2, 5)), dict(spec="bi,ijk,bk->bj")),
            (dict(a=(2, 3), b=(2, 3)), dict(spec="ij,ij->")),
            (dict(a=(4, 2, 3)), dict(spec="b ... c -> c ... b")),
        ],
    ),
}
