"""Views, joins, gathers and reductions."""

import torch
import torch.nn.functional as F

from inputs import In

SHAPE = {
    "reshape": (lambda x, shape: x.reshape(shape), [(dict(x=(2, 3, 5)), dict(shape=[5, 6])), (dict(x=(2, 3, 5)), dict(shape=[3, -1]))]),
    "permute": (lambda x, axes: x.permute(axes), [(dict(x=(2, 3, 5)), dict(axes=[2, 0, 1])), (dict(x=(2, 3, 1, 5)), dict(axes=[-1, 2, 0, 1]))]),
    "t": (lambda x: x.transpose(-1, -2), [(dict(x=(3, 5)), {}), (dict(x=(2, 3, 5)), {})]),
    "contiguous": (lambda x: x.transpose(0, 1).contiguous(), [(dict(x=(3, 5)), {})]),
    "slice": (
        lambda x, axis, start, end: torch.narrow(x, axis, start, end - start),
        [(dict(x=(3, 5, 2)), dict(axis=1, start=1, end=4)), (dict(x=(3, 5)), dict(axis=-1, start=0, end=1))],
    ),
    "slice_step": (
        lambda x, axis, start, end, step: x.index_select(axis, torch.arange(start, end, step)),
        [(dict(x=(3, 7, 2)), dict(axis=1, start=1, end=7, step=3)), (dict(x=(3, 6)), dict(axis=-1, start=1, end=5, step=2))],
    ),
    "pad": (
        lambda x, axis, before, after: F.pad(x.transpose(axis, -1), (before, after)).transpose(axis, -1),
        [(dict(x=(3, 2, 5)), dict(axis=1, before=2, after=1)), (dict(x=(3,)), dict(axis=0, before=0, after=2))],
    ),
    "concat": (
        lambda axis, **parts: torch.cat(list(parts.values()), axis),
        [(dict(a=(2, 3), b=(2, 1), c=(2, 4)), dict(axis=1)), (dict(a=(1, 2, 3), b=(2, 2, 3)), dict(axis=0))],
    ),
    "expand": (lambda x, shape: x.expand(shape), [(dict(x=(3, 1)), dict(shape=[2, 3, 4])), (dict(x=()), dict(shape=[2, 2]))]),
    "gather": (
        lambda x, index: F.embedding(index, x),
        [(dict(x=(5, 3), index=In((7,), "index", 5)), {}), (dict(x=(4, 17), index=In((2, 3), "index", 4)), {})],
    ),
    "one_hot": (lambda x, index, k: x + F.one_hot(index, k), [(dict(x=(3, 5), index=In((3,), "index", 5)), dict(k=5))]),
}

AXES = [dict(axes=[1]), dict(axes=[0, -1]), dict(axes=[])]


def reduction(function, *shapes, kinds=("normal",), extra=({},)):
    return function, [(dict(x=In(s, k)), {**a, **e}) for s in shapes for k in kinds for a in AXES for e in extra]


def over(axes):
    return axes or None


ROUGH = (3, 4, 5)

REDUCE = {
    "sum": reduction(lambda x, axes: x.sum(over(axes)), ROUGH),
    "sum_keep": reduction(lambda x, axes: x.sum(over(axes), keepdim=True), ROUGH),
    "mean": reduction(lambda x, axes: x.mean(over(axes)), ROUGH),
    "mean_keep": reduction(lambda x, axes: x.mean(over(axes), keepdim=True), ROUGH),
    "max_keep": reduction(lambda x, axes: torch.amax(x, axes, keepdim=True), ROUGH, kinds=("normal", "halves")),
    "min_keep": reduction(lambda x, axes: torch.amin(x, axes, keepdim=True), ROUGH, kinds=("normal", "halves")),
    "log_sum_exp_keep": reduction(lambda x, axes: torch.logsumexp(x, axes or tuple(range(x.dim())), keepdim=True), ROUGH),
    "var_keep": reduction(lambda x, axes, correction: torch.var(x, over(axes), correction=correction, keepdim=True), ROUGH, extra=(dict(correction=1), dict(correction=0))),
    "sum_to": (lambda x, shape: x.sum_to_size(shape), [(dict(x=(2, 3, 5)), dict(shape=[3, 1])), (dict(x=(4, 3)), dict(shape=[1, 3])), (dict(x=(2, 3)), dict(shape=[]))]),
    "softmax": (lambda x, dim: F.softmax(x, dim), [(dict(x=(3, 7)), dict(dim=-1)), (dict(x=(2, 4, 3)), dict(dim=1)), (dict(x=(2, 33)), dict(dim=-1))]),
    "log_softmax": (lambda x, dim: F.log_softmax(x, dim), [(dict(x=(3, 7)), dict(dim=-1)), (dict(x=(2, 2, 19)), dict(dim=-1))]),
    "avg_pool2d": (
        lambda x, **a: F.avg_pool2d(x, **a),
        [(dict(x=(2, 3, 6, 4)), dict(kernel_size=2, stride=2)), (dict(x=(1, 2, 7, 5)), dict(kernel_size=2, stride=2))],
    ),
    "upsample_nearest2d": (lambda x, **a: F.interpolate(x, mode="nearest", **a), [(dict(x=(2, 3, 3, 4)), dict(scale_factor=2.0))]),
}
