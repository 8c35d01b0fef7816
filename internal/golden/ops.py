"""Small operations of torch in float64, with their vector-Jacobian products."""

import zlib

import torch
import torch.nn.functional as F

from precise import normal


# operation: (function of the named inputs, [(input shapes, attributes), ...]). An input called with None is absent.
OPS = {
    "conv2d": (
        lambda x, weight, bias=None, **a: F.conv2d(x, weight, bias, **a),
        [
            (dict(x=(2, 3, 7, 5), weight=(4, 3, 3, 3), bias=(4,)), dict(padding=1)),
            (dict(x=(1, 2, 8, 8), weight=(3, 2, 3, 3), bias=(3,)), dict(stride=2, padding=1)),
            (dict(x=(2, 4, 9, 6), weight=(6, 2, 3, 3), bias=(6,)), dict(stride=(2, 1), padding=(0, 2), groups=2)),
            (dict(x=(1, 4, 6, 7), weight=(4, 1, 3, 5)), dict(padding=(1, 2), groups=4)),
            (dict(x=(1, 2, 11, 10), weight=(2, 2, 3, 2), bias=(2,)), dict(dilation=(2, 3), padding=(2, 1), stride=(1, 3))),
            (dict(x=(3, 5, 4, 4), weight=(7, 5, 1, 1), bias=(7,)), dict()),
            (dict(x=(2, 3, 8, 8), weight=(5, 3, 4, 4), bias=(5,)), dict(stride=4)),
            (dict(x=(1, 17, 3, 3), weight=(19, 17, 3, 3), bias=(19,)), dict(padding=1)),
            (dict(x=(1, 1, 1, 1), weight=(2, 1, 3, 3), bias=(2,)), dict(padding=1)),
            (dict(x=(2, 3, 7, 7), weight=(2, 3, 3, 3)), dict(stride=3, padding=2)),
        ],
    ),
    "conv1d": (
        lambda x, weight, bias=None, **a: F.conv1d(x, weight, bias, **a),
        [
            (dict(x=(2, 3, 9), weight=(4, 3, 5), bias=(4,)), dict(padding=2)),
            (dict(x=(1, 4, 8), weight=(2, 4, 3), bias=(2,)), dict(stride=2, padding=1)),
        ],
    ),
    "linear": (
        lambda x, weight, bias=None: F.linear(x, weight, bias),
        [
            (dict(x=(5, 7), weight=(3, 7), bias=(3,)), dict()),
            (dict(x=(2, 3, 4), weight=(6, 4)), dict()),
            (dict(x=(1, 17), weight=(33, 17), bias=(33,)), dict()),
        ],
    ),
    "group_norm": (
        lambda x, weight=None, bias=None, **a: F.group_norm(x, weight=weight, bias=bias, **a),
        [
            (dict(x=(2, 8, 5, 3), weight=(8,), bias=(8,)), dict(num_groups=4, eps=1e-5)),
            (dict(x=(1, 6, 4, 4), weight=(6,), bias=(6,)), dict(num_groups=1, eps=1e-6)),
            (dict(x=(3, 6, 2, 2), weight=(6,), bias=(6,)), dict(num_groups=6, eps=1e-3)),
            (dict(x=(2, 9, 7), weight=(9,), bias=(9,)), dict(num_groups=3, eps=1e-5)),
            (dict(x=(2, 4, 3, 3)), dict(num_groups=2, eps=0.1)),
        ],
    ),
    "layer_norm": (
        lambda x, weight=None, bias=None, eps=1e-5: F.layer_norm(x, x.shape[-1:], weight, bias, eps),
        [
            (dict(x=(2, 3, 8), weight=(8,), bias=(8,)), dict(eps=1e-5)),
            (dict(x=(4, 17)), dict(eps=1e-6)),
            (dict(x=(1, 5, 3), weight=(3,), bias=(3,)), dict(eps=1e-2)),
        ],
    ),
    "rms_norm": (
        lambda x, weight=None, eps=1e-6: F.rms_norm(x, x.shape[-1:], weight, eps),
        [(dict(x=(2, 3, 8), weight=(8,)), dict(eps=1e-6)), (dict(x=(5, 7)), dict(eps=1e-2))],
    ),
    # inputs (N, heads, T, head size); scale 1/sqrt(head size) unless given
    "attention": (
        lambda q, k, v, **a: F.scaled_dot_product_attention(q, k, v, **a),
        [
            (dict(q=(2, 3, 5, 4), k=(2, 3, 5, 4), v=(2, 3, 5, 4)), dict()),
            (dict(q=(1, 2, 3, 8), k=(1, 2, 7, 8), v=(1, 2, 7, 8)), dict()),
            (dict(q=(1, 1, 6, 4), k=(1, 1, 6, 4), v=(1, 1, 6, 4)), dict(is_causal=True)),
            (dict(q=(2, 1, 1, 16), k=(2, 1, 1, 16), v=(2, 1, 1, 16)), dict()),
            (dict(q=(1, 2, 17, 3), k=(1, 2, 17, 3), v=(1, 2, 17, 5)), dict(scale=0.7)),
        ],
    ),
    "softmax": (lambda x, dim: F.softmax(x, dim), [(dict(x=(3, 7)), dict(dim=-1)), (dict(x=(2, 4, 3)), dict(dim=1))]),
    "log_softmax": (lambda x, dim: F.log_softmax(x, dim), [(dict(x=(3, 7)), dict(dim=-1))]),
    "avg_pool2d": (lambda x, **a: F.avg_pool2d(x, **a), [
        (dict(x=(2, 3, 6, 4)), dict(kernel_size=2, stride=2)),
        (dict(x=(1, 2, 7, 5)), dict(kernel_size=2, stride=2)),
    ]),
    "upsample_nearest2d": (lambda x, **a: F.interpolate(x, mode="nearest", **a), [(dict(x=(2, 3, 3, 4)), dict(scale_factor=2.0))]),
    "silu": (lambda x: F.silu(x), [(dict(x=(41,)), dict())]),
    "gelu": (lambda x, **a: F.gelu(x, **a), [(dict(x=(41,)), dict(approximate="none")), (dict(x=(41,)), dict(approximate="tanh"))]),
    "mish": (lambda x: F.mish(x), [(dict(x=(41,)), dict())]),
    "relu": (lambda x: F.relu(x), [(dict(x=(41,)), dict())]),
    "sigmoid": (lambda x: torch.sigmoid(x), [(dict(x=(41,)), dict())]),
    "tanh": (lambda x: torch.tanh(x), [(dict(x=(41,)), dict())]),
    "softplus": (lambda x: F.softplus(x), [(dict(x=(41,)), dict())]),
    "erf": (lambda x: torch.erf(x), [(dict(x=(41,)), dict())]),
}
# Activations are sampled densely, far tails included, instead of at random.
WIDE = torch.linspace(-10, 10, 41, dtype=torch.float64)


def make():
    tensors, cases = {}, {}
    for op, (function, variants) in OPS.items():
        for number, (shapes, attributes) in enumerate(variants):
            case = f"{op}/{number}"
            inputs = {}
            for name, shape in shapes.items():
                value = WIDE.clone() if shape == (41,) else torch.tensor(normal(zlib.crc32(f"{case}/{name}".encode()), shape))
                inputs[name] = value.requires_grad_()
            out = function(**inputs, **attributes)
            upstream = torch.tensor(normal(zlib.crc32(f"{case}/upstream".encode()), tuple(out.shape)))
            out.backward(upstream)
            for name, value in inputs.items():
                tensors[f"{case}/in/{name}"] = value.detach().numpy()
                tensors[f"{case}/grad/{name}"] = value.grad.numpy()
            tensors[f"{case}/out"] = out.detach().numpy()
            tensors[f"{case}/grad_out"] = upstream.numpy()
            cases[case] = dict(op=op, inputs=sorted(inputs), attributes=attributes)
    return tensors, {"cases": cases}
