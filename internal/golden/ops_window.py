"""Folds of every kind: over axes, over windows, over the taps of an interpolation; and further losses."""

import math

import torch
import torch.nn.functional as F

from inputs import In
from ops_shape import reduction

SHAPE = (3, 4, 5)


def every(axes):
    return axes or tuple(range(3))


def prod(x, axes, keepdim=False):
    for a in sorted((a % 3 for a in every(axes)), reverse=True):
        x = x.prod(a, keepdim=keepdim)
    return x


def norm(keepdim):
    def f(x, axes, c):
        order = {99: math.inf, -99: -math.inf}.get(c, c)
        return torch.linalg.vector_norm(x, order, axes or None, keepdim=keepdim)

    return f


def norms(function):
    small, large = [dict(axes=[1], c=c) for c in (1, 2, 3, 99)], [dict(axes=[0, -1], c=c) for c in (1, 1.5, 2, 99, -99)]
    return function, [(dict(x=In((4, 5), "sparse")), a) for a in small] + [(dict(x=(3, 2, 4)), a) for a in large] + [(dict(x=In((3, 4), "positive")), dict(axes=[], c=0.5))]


CORRECTIONS = (dict(correction=1), dict(correction=0))

FOLD = {
    "max": reduction(lambda x, axes: torch.amax(x, axes), SHAPE, kinds=("normal", "halves")),
    "min": reduction(lambda x, axes: torch.amin(x, axes), SHAPE, kinds=("normal", "halves")),
    "prod": (reduction(prod, SHAPE)[0], reduction(prod, SHAPE)[1][:2] + [(dict(x=In((4, 3, 2), "sparse")), dict(axes=[1])), (dict(x=In((2, 1, 3), "sparse")), dict(axes=[]))]),
    "prod_keep": (lambda x, axes: prod(x, axes, True), [(dict(x=SHAPE), dict(axes=[1])), (dict(x=(2, 2, 3)), dict(axes=[0, -1]))]),
    "log_sum_exp": reduction(lambda x, axes: torch.logsumexp(x, every(axes)), SHAPE),
    "var": reduction(lambda x, axes, correction: torch.var(x, axes or None, correction=correction), SHAPE, extra=CORRECTIONS),
    "std": reduction(lambda x, axes, correction: torch.std(x, axes or None, correction=correction), SHAPE, extra=CORRECTIONS),
    "std_keep": reduction(lambda x, axes, correction: torch.std(x, axes or None, correction=correction, keepdim=True), SHAPE, extra=CORRECTIONS),
    "vector_norm": norms(norm(False)),
    "vector_norm_keep": norms(norm(True)),
    "softmax_along": (lambda x, axis: x.softmax(axis), [(dict(x=SHAPE), dict(axis=0)), (dict(x=SHAPE), dict(axis=-2))]),
    "log_softmax_along": (lambda x, axis: x.log_softmax(axis), [(dict(x=SHAPE), dict(axis=0)), (dict(x=SHAPE), dict(axis=-2))]),
    "cum_sum": (lambda x, axis: x.cumsum(axis), [(dict(x=(2, 7)), dict(axis=1)), (dict(x=(5, 2, 2)), dict(axis=0)), (dict(x=(3, 1)), dict(axis=-1))]),
}


def pool(mode):
    def f(x, **a):
        return getattr(F, f"{mode}_pool{x.dim() - 2}d")(x, **a)

    return f


POOL = {
    "windows": (lambda x, axis, k, step: x.unfold(axis, k, step).movedim(-1, axis + 1), [(dict(x=(2, 7, 3)), dict(axis=1, k=3, step=2)), (dict(x=(5, 2)), dict(axis=0, k=2, step=3))]),
    "avg_pool": (
        pool("avg"),
        [
            (dict(x=(2, 3, 9)), dict(kernel_size=[3], stride=[2], padding=[1])),
            (dict(x=(1, 2, 7)), dict(kernel_size=[3], stride=[1], padding=[1], count_include_pad=False)),
            (dict(x=(2, 3, 7, 6)), dict(kernel_size=[3, 2], stride=[2, 1], padding=[1, 1])),
            (dict(x=(1, 2, 6, 5)), dict(kernel_size=[3, 3], stride=[2, 3], padding=[1, 1], count_include_pad=False)),
            (dict(x=(2, 3, 6, 7)), dict(kernel_size=[2, 3])),
            (dict(x=(1, 2, 4, 5, 6)), dict(kernel_size=[2, 3, 2], stride=[1, 2, 2], padding=[0, 1, 0])),
            (dict(x=(1, 1, 4, 4, 6)), dict(kernel_size=[2, 1, 3])),
        ],
    ),
    "max_pool": (
        pool("max"),
        [
            (dict(x=(2, 3, 9)), dict(kernel_size=[3], stride=[2], padding=[1], dilation=[2])),
            (dict(x=(2, 3, 7, 6)), dict(kernel_size=[3, 2], stride=[2, 1], padding=[1, 0])),
            (dict(x=(1, 2, 8, 8)), dict(kernel_size=[2, 2], stride=[2, 2], dilation=[2, 1])),
            (dict(x=(1, 2, 4, 5, 6)), dict(kernel_size=[2, 3, 2], stride=[2, 2, 2], padding=[1, 1, 0])),
        ],
    ),
    "adaptive_avg_pool": (
        lambda x, shape: pool("adaptive_avg")(x, output_size=shape),
        [(dict(x=(2, 3, 7)), dict(shape=[3])), (dict(x=(2, 3, 6, 7)), dict(shape=[2, 4])), (dict(x=(1, 2, 3, 4, 5)), dict(shape=[2, 4, 3]))],
    ),
    "adaptive_max_pool": (
        lambda x, shape: pool("adaptive_max")(x, output_size=shape),
        [(dict(x=(2, 3, 7)), dict(shape=[3])), (dict(x=(2, 3, 6, 7)), dict(shape=[2, 4]))],
    ),
}

RESIZE = {
    "resize": (
        lambda x, size, **a: F.interpolate(x, size, **a),
        [
            (dict(x=(2, 2, 5)), dict(size=[8], mode="nearest")),
            (dict(x=(1, 2, 5, 4)), dict(size=[10, 3], mode="nearest")),
            (dict(x=(1, 2, 5, 4)), dict(size=[3, 7], mode="nearest-exact")),
            (dict(x=(2, 2, 5)), dict(size=[8], mode="linear")),
            (dict(x=(2, 2, 5)), dict(size=[3], mode="linear", align_corners=True)),
            (dict(x=(1, 2, 5, 4)), dict(size=[8, 3], mode="bilinear")),
            (dict(x=(1, 2, 5, 4)), dict(size=[10, 1], mode="bilinear", align_corners=True)),
            (dict(x=(1, 2, 9, 4)), dict(size=[4, 7], mode="bilinear", antialias=True)),
            (dict(x=(1, 1, 3, 4, 5)), dict(size=[5, 2, 7], mode="trilinear")),
            (dict(x=(1, 2, 5, 6)), dict(size=[8, 3], mode="bicubic")),
            (dict(x=(1, 2, 5, 6)), dict(size=[9, 4], mode="bicubic", align_corners=True)),
            (dict(x=(1, 2, 9, 5)), dict(size=[4, 8], mode="bicubic", antialias=True)),
        ],
    ),
}


def gaussian_kl(m1, v1, m2, v2):
    normal = torch.distributions.Normal
    return torch.distributions.kl_divergence(normal(m1, (v1 / 2).exp()), normal(m2, (v2 / 2).exp()))


CRITERION = {
    "huber": (lambda input, target, c: F.huber_loss(input, target, delta=c), [(dict(input=(5, 7), target=(5, 7)), dict(c=0.75)), (dict(input=In((5, 7), "halves"), target=In((5, 7), "halves")), dict(c=1.0))]),
    "smooth_l1": (lambda input, target, c: F.smooth_l1_loss(input, target, beta=c), [(dict(input=(5, 7), target=(5, 7)), dict(c=0.25)), (dict(input=(5, 7), target=(5, 7)), dict(c=0.0))]),
    "bce_with_logits": (F.binary_cross_entropy_with_logits, [(dict(input=(5, 7), target=In((5, 7), "unit")), {}), (dict(input=In((41,), "wide"), target=In((41,), "unit")), {})]),
    "gaussian_kl": (gaussian_kl, [(dict(m1=(3, 4), v1=(3, 4), m2=(3, 4), v2=(3, 4)), {}), (dict(m1=(3, 4), v1=(4,), m2=(3, 1), v2=()), {})]),
    "cosine_similarity": (
        lambda input, target, axis: F.cosine_similarity(input, target, axis),
        [(dict(input=(3, 4), target=(3, 4)), dict(axis=1)), (dict(input=(1, 4), target=(3, 4)), dict(axis=1)), (dict(input=(2, 3, 4), target=(4,)), dict(axis=-1))],
    ),
    "nll": (lambda input, index: F.nll_loss(input, index), [(dict(input=(5, 7), index=In((5,), "index", 7)), {})]),
    "cross_entropy_smoothed": (
        lambda input, index, c: F.cross_entropy(input, index, label_smoothing=c),
        [(dict(input=(5, 7), index=In((5,), "index", 7)), dict(c=0.125)), (dict(input=(2, 3), index=In((2,), "index", 3)), dict(c=1.0))],
    ),
}
