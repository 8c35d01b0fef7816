"""Products, convolutions, norms, attention and losses."""

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from inputs import In

MATMUL = {
    "mat_mul": (
        lambda x, y: x @ y,
        [
            (dict(x=(5, 7), y=(7, 3)), {}),
            (dict(x=(2, 3, 4), y=(4, 6)), {}),
            (dict(x=(2, 3, 4), y=(2, 4, 5)), {}),
            (dict(x=(2, 1, 3, 4), y=(3, 4, 5)), {}),
            (dict(x=(17, 1), y=(1, 19)), {}),
            (dict(x=(1, 33), y=(33, 1)), {}),
        ],
    ),
    "linear": (
        lambda x, weight, bias=None: F.linear(x, weight, bias),
        [
            (dict(x=(5, 7), weight=(3, 7), bias=(3,)), {}),
            (dict(x=(2, 3, 4), weight=(6, 4)), {}),
            (dict(x=(1, 17), weight=(33, 17), bias=(33,)), {}),
            (dict(x=(2, 2, 3, 4), weight=(5, 4), bias=(5,)), {}),
        ],
    ),
}

# the divergence of tanh(x·w), row by row
DIVERGENCE = {
    "divergence": (
        lambda x, w: torch.func.vmap(lambda row: torch.func.jacrev(lambda r: torch.tanh(r @ w))(row).trace())(x.flatten(1)),
        [(dict(x=(3, 4), w=(4, 4)), {}), (dict(x=(2, 1), w=(1, 1)), {}), (dict(x=(1, 3), w=(3, 3)), {}), (dict(x=(2, 2, 3), w=(6, 6)), {})],
    ),
    "hutchinson_divergence": (
        lambda x, w, probe: (torch.func.jvp(lambda x: torch.tanh(x @ w), (x,), (probe,))[1] * probe).sum(1),
        [(dict(x=(3, 4), w=(4, 4), probe=(3, 4)), {})],
    ),
}

CONV = {
    "conv": (
        lambda x, weight, bias=None, **a: [F.conv1d, F.conv2d, F.conv3d][x.dim() - 3](x, weight, bias, **a),
        [
            (dict(x=(2, 3, 7, 5), weight=(4, 3, 3, 3), bias=(4,)), dict(padding=1)),
            (dict(x=(1, 2, 8, 8), weight=(3, 2, 3, 3), bias=(3,)), dict(stride=2, padding=1)),
            (dict(x=(2, 4, 9, 6), weight=(6, 2, 3, 3), bias=(6,)), dict(stride=(2, 1), padding=(0, 2), groups=2)),
            (dict(x=(1, 4, 6, 7), weight=(4, 1, 3, 5)), dict(padding=(1, 2), groups=4)),
            (dict(x=(1, 2, 11, 10), weight=(2, 2, 3, 2), bias=(2,)), dict(dilation=(2, 3), padding=(2, 1), stride=(1, 3))),
            (dict(x=(3, 5, 4, 4), weight=(7, 5, 1, 1), bias=(7,)), {}),
            (dict(x=(2, 3, 8, 8), weight=(5, 3, 4, 4), bias=(5,)), dict(stride=4)),
            (dict(x=(1, 17, 3, 3), weight=(9, 17, 3, 3), bias=(9,)), dict(padding=1)),
            (dict(x=(1, 1, 1, 1), weight=(2, 1, 3, 3), bias=(2,)), dict(padding=1)),
            (dict(x=(2, 3, 7, 7), weight=(2, 3, 3, 3)), dict(stride=3, padding=2)),
            (dict(x=(2, 3, 9), weight=(4, 3, 5), bias=(4,)), dict(padding=2)),
            (dict(x=(1, 4, 8), weight=(2, 4, 3), bias=(2,)), dict(stride=2, padding=1)),
            (dict(x=(2, 4, 11), weight=(6, 2, 2), bias=(6,)), dict(dilation=3, groups=2)),
            (dict(x=(1, 2, 3, 4, 3), weight=(3, 2, 2, 3, 2), bias=(3,)), dict(padding=1)),
            (dict(x=(2, 4, 5, 3, 4), weight=(2, 2, 3, 1, 2)), dict(stride=(2, 1, 2), padding=(1, 0, 1), dilation=(1, 1, 2), groups=2)),
        ],
    ),
    "conv_transpose": (
        lambda x, weight, bias=None, **a: [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][x.dim() - 3](x, weight, bias, **a),
        [
            (dict(x=(2, 3, 4, 5), weight=(3, 4, 3, 3), bias=(4,)), dict(stride=2, padding=1)),
            (dict(x=(1, 3, 4, 3), weight=(3, 2, 4, 4), bias=(2,)), dict(stride=2, padding=1)),
            (dict(x=(1, 4, 3, 4), weight=(4, 3, 3, 2)), dict(stride=(2, 3), padding=(1, 0), output_padding=(1, 2), groups=2)),
            (dict(x=(1, 2, 4, 5), weight=(2, 3, 2, 3), bias=(3,)), dict(dilation=(3, 2), padding=(1, 2))),
            (dict(x=(2, 17, 3, 3), weight=(17, 5, 3, 3), bias=(5,)), dict(padding=1)),
            (dict(x=(2, 3, 5), weight=(3, 2, 4), bias=(2,)), dict(stride=3, padding=1)),
            (dict(x=(1, 2, 2, 3, 2), weight=(2, 3, 2, 2, 3), bias=(3,)), dict(stride=2, padding=(1, 0, 1))),
        ],
    ),
}


def affine(y, weight, bias, add_one, silu, axis):
    """weight and bias are (C), or (N,C) for a sample's own; axis is that of the channels."""

    def beside(a):
        shape = [1] * y.dim()
        shape[axis] = y.shape[axis]
        if a.dim() == 2:
            shape[0] = y.shape[0]
        return a.reshape(shape)

    if weight is not None:
        y = y * (beside(weight) + (1 if add_one else 0))
    if bias is not None:
        y = y + beside(bias)
    return F.silu(y) if silu else y


def layer_norm(x, weight=None, bias=None, eps=1e-5, add_one=False, silu=False):
    return affine(F.layer_norm(x, x.shape[-1:], None, None, eps), weight, bias, add_one, silu, -1)


def rms_norm(x, weight=None, eps=1e-6, add_one=False, silu=False):
    return affine(F.rms_norm(x, x.shape[-1:], None, eps), weight, None, add_one, silu, -1)


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5, add_one=False, silu=False):
    return affine(F.group_norm(x, num_groups, None, None, eps), weight, bias, add_one, silu, 1)


ADAPTIVE = dict(add_one=True)

NORM = {
    "group_norm": (
        group_norm,
        [
            (dict(x=(2, 8, 5, 3), weight=(8,), bias=(8,)), dict(num_groups=4, eps=1e-5)),
            (dict(x=(1, 6, 4, 4), weight=(6,), bias=(6,)), dict(num_groups=1, eps=1e-6)),
            (dict(x=(3, 6, 2, 2), weight=(6,), bias=(6,)), dict(num_groups=6, eps=1e-3)),
            (dict(x=(2, 9, 7), weight=(9,), bias=(9,)), dict(num_groups=3, eps=1e-5)),
            (dict(x=(2, 4, 3, 3)), dict(num_groups=2, eps=0.1)),
            (dict(x=(2, 34, 3), weight=(34,), bias=(34,)), dict(num_groups=2, eps=1e-3, silu=True)),
            (dict(x=(2, 6, 3, 2), weight=(2, 6), bias=(2, 6)), dict(num_groups=3, eps=1e-3, **ADAPTIVE)),
            (dict(x=(3, 4, 3, 2), weight=(3, 4), bias=(3, 4)), dict(num_groups=2, eps=1e-3, silu=True, **ADAPTIVE)),
            (dict(x=(2, 4, 5), bias=(4,)), dict(num_groups=2, eps=1e-3, silu=True)),
        ],
    ),
    "layer_norm": (
        layer_norm,
        [
            (dict(x=(2, 3, 8), weight=(8,), bias=(8,)), dict(eps=1e-5)),
            (dict(x=(4, 17)), dict(eps=1e-6)),
            (dict(x=(1, 5, 3), weight=(3,), bias=(3,)), dict(eps=1e-2)),
            (dict(x=(2, 3, 7), weight=(2, 7), bias=(2, 7)), dict(eps=1e-3, **ADAPTIVE)),
            (dict(x=(2, 33), weight=(33,), bias=(33,)), dict(eps=1e-3, silu=True)),
            (dict(x=(3, 2, 5), weight=(3, 5), bias=(3, 5)), dict(eps=1e-3, silu=True, **ADAPTIVE)),
            (dict(x=(3, 6), weight=(6,)), dict(eps=1e-3, **ADAPTIVE)),
        ],
    ),
    "rms_norm": (
        rms_norm,
        [
            (dict(x=(2, 3, 8), weight=(8,)), dict(eps=1e-6)),
            (dict(x=(5, 7)), dict(eps=1e-2)),
            (dict(x=(2, 3, 5), weight=(2, 5)), dict(eps=1e-3, **ADAPTIVE)),
            (dict(x=(3, 19), weight=(19,)), dict(eps=1e-3, silu=True)),
        ],
    ),
}


def attention(q, k, v, mask=None, **a):
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, mask, **a)


# inputs (N, heads, T, head size); scale 1/sqrt(head size) unless given
ATTENTION = {
    "attention": (
        attention,
        [
            (dict(q=(2, 3, 5, 4), k=(2, 3, 5, 4), v=(2, 3, 5, 4)), {}),
            (dict(q=(1, 2, 3, 8), k=(1, 2, 7, 8), v=(1, 2, 7, 8)), {}),
            (dict(q=(1, 1, 6, 4), k=(1, 1, 6, 4), v=(1, 1, 6, 4)), dict(is_causal=True)),
            (dict(q=(2, 1, 1, 16), k=(2, 1, 1, 16), v=(2, 1, 1, 16)), {}),
            (dict(q=(1, 2, 17, 3), k=(1, 2, 17, 3), v=(1, 2, 17, 5)), dict(scale=0.7)),
            (dict(q=(2, 2, 3, 5), k=(2, 2, 4, 5), v=(2, 2, 4, 5), mask=In((2, 1, 1, 4), "mask")), {}),
            (dict(q=(1, 2, 5, 4), k=(1, 2, 6, 4), v=(1, 2, 6, 4), mask=In((5, 6), "mask")), dict(scale=0.4)),
            (dict(q=(2, 2, 4, 3), k=(2, 2, 4, 3), v=(2, 2, 4, 3), mask=In((2, 2, 4, 4), "bias")), {}),
        ],
    ),
}

LOSS = {
    "mse": (F.mse_loss, [(dict(input=(5, 7), target=(5, 7)), {}), (dict(input=(2, 3, 2, 3), target=(2, 3, 2, 3)), {})]),
    "weighted_mse": (
        lambda input, target, weight: ((input - target) ** 2 * weight).mean(),
        [(dict(input=(3, 5), target=(3, 5), weight=In((3, 1), "positive")), {}), (dict(input=(2, 3, 4), target=(2, 3, 4), weight=(3, 1)), {})],
    ),
    "sample_mse": (
        lambda input, target: ((input - target) ** 2).flatten(1).sum(1) / max(1, input[0].numel()),
        [(dict(input=(3, 5), target=(3, 5)), {}), (dict(input=(2, 3, 4), target=(2, 3, 4)), {})],
    ),
    "l1": (F.l1_loss, [(dict(input=(5, 7), target=(5, 7)), {}), (dict(input=In((5, 7), "halves"), target=In((5, 7), "halves")), {})]),
    "pseudo_huber": (
        lambda input, target, c: (torch.sqrt((input - target) ** 2 + c * c) - c).mean(),
        [(dict(input=(5, 7), target=(5, 7)), dict(c=0.25)), (dict(input=(3, 2, 3), target=(3, 2, 3)), dict(c=2.0))],
    ),
    "cross_entropy": (
        lambda input, index: F.cross_entropy(input, index),
        [(dict(input=(5, 7), index=In((5,), "index", 7)), {}), (dict(input=(1, 3), index=In((1,), "index", 3)), {})],
    ),
}
