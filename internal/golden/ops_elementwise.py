"""Elementwise operations, broadcast, with ties and kinks."""

import torch
import torch.nn.functional as F

from inputs import In

ODD, ROW, COLUMN, SCALAR = (3, 1, 7), (7,), (5, 1), ()  # together (3,5,7)


def two(function, second="normal"):
    """An operation of x and y: of one shape, and broadcast three ways."""
    y = lambda *shape: In(shape, second)
    return function, [
        (dict(x=(2, 17), y=y(2, 17)), {}),
        (dict(x=ODD, y=y(*COLUMN)), {}),
        (dict(x=ROW, y=y(3, 5, 7)), {}),
        (dict(x=(4, 3), y=y()), {}),
    ]


def ties(entry):
    """The same, and on numbers of which many are equal."""
    function, variants = entry
    halves = [({name: In(s.shape if isinstance(s, In) else s, "halves") for name, s in inputs.items()}, a) for inputs, a in variants[:2]]
    return function, variants + halves


def one(function, kind="normal", *attributes):
    return function, [(dict(x=In((3, 13), kind)), a) for a in attributes or ({},)]


def step(function):
    """An operation whose result is 0 or 1."""
    return lambda x, y: function(x, y).to(torch.float64)


BINARY = {
    "add": two(lambda x, y: x + y),
    "sub": two(lambda x, y: x - y),
    "mul": two(lambda x, y: x * y),
    "div": two(lambda x, y: x / y, "positive"),
    "minimum": ties(two(lambda x, y: torch.minimum(x, y))),
    "maximum": ties(two(lambda x, y: torch.maximum(x, y))),
    "less": ties(two(step(torch.lt))),
    "less_eq": ties(two(step(torch.le))),
    "eq": ties(two(step(torch.eq))),
    "greater": ties(two(step(torch.gt))),
    "greater_eq": ties(two(step(torch.ge))),
    "not_eq": ties(two(step(torch.ne))),
    "pow_tensor": (
        lambda x, y: x**y,
        [(dict(x=In((3, 7), "positive"), y=(3, 7)), {}), (dict(x=In(COLUMN, "positive"), y=ODD), {})],
    ),
    "where": (
        lambda condition, x, y: torch.where(condition != 0, x, y),
        [
            (dict(condition=In((3, 7), "halves"), x=(3, 7), y=(3, 7)), {}),
            (dict(condition=In((5, 1), "halves"), x=(7,), y=(3, 1, 1)), {}),
        ],
    ),
    "mul_add": (
        lambda x, y, z: torch.addcmul(z, x, y),
        [(dict(x=(3, 7), y=(3, 7), z=(3, 7)), {}), (dict(x=ODD, y=COLUMN, z=ROW), {}), (dict(x=(5, 2), y=SCALAR, z=(3, 1, 2)), {})],
    ),
    "axpby": (
        lambda x, y, a, b: a * x + b * y,
        [(dict(x=(3, 7), y=(3, 7)), dict(a=0.75, b=-1.5)), (dict(x=COLUMN, y=ROW), dict(a=-2.0, b=0.25))],
    ),
}

UNARY = {
    "scale": one(lambda x, c: c * x, "normal", dict(c=-1.75)),
    "add_scalar": one(lambda x, c: x + c, "normal", dict(c=0.625)),
    "pow": (
        lambda x, c: x**c,
        [
            (dict(x=In((3, 13), "positive")), dict(c=2.5)),
            (dict(x=In((3, 13), "positive")), dict(c=-1.5)),
            (dict(x=(3, 13)), dict(c=3.0)),
            (dict(x=In((3, 13), "halves")), dict(c=2.0)),
            (dict(x=In((3, 13), "halves")), dict(c=0.0)),
        ],
    ),
    "clamp": (
        lambda x, lo, hi: torch.clamp(x, lo, hi),
        # On a bound itself torch's gradient is 1 or 0 by its version; ours is 1: no input lies there.
        [(dict(x=(3, 13)), dict(lo=-0.5, hi=0.75)), (dict(x=In((3, 13), "halves")), dict(lo=-0.625, hi=1.25))],
    ),
    "neg": one(lambda x: torch.neg(x)),
    "abs": (lambda x, **a: torch.abs(x, **a), [(dict(x=(3, 13)), {}), (dict(x=In((3, 13), "halves")), {})]),
    "sign": (lambda x, **a: torch.sign(x, **a), [(dict(x=In((3, 13), "halves")), {})]),
    "round": one(lambda x: torch.round(x)),
    "ceil": one(lambda x: torch.ceil(x)),
    "floor": one(lambda x: torch.floor(x)),
    "sqrt": one(lambda x: torch.sqrt(x), "positive"),
    "rsqrt": one(lambda x: torch.rsqrt(x), "positive"),
    "recip": one(lambda x: torch.reciprocal(x), "positive"),
    "square": one(lambda x: torch.square(x)),
    "exp": one(lambda x: torch.exp(x)),
    "expm1": one(lambda x: torch.expm1(x)),
    "log": one(lambda x: torch.log(x), "positive"),
    "log1p": one(lambda x: torch.log1p(x), "positive"),
    "sin": one(lambda x: torch.sin(x)),
    "cos": one(lambda x: torch.cos(x)),
    "detach": one(lambda x: x.detach() * x, "normal"),
}

# Activations are sampled densely, far tails included, instead of at random.
WIDE = In((41,), "wide")

ACTIVATIONS = {
    "silu": (lambda x, **a: F.silu(x, **a), [(dict(x=WIDE), {})]),
    "gelu": (lambda x, **a: F.gelu(x, **a), [(dict(x=WIDE), dict(approximate="none"))]),
    "gelu_tanh": (lambda x, **a: F.gelu(x, **a), [(dict(x=WIDE), dict(approximate="tanh"))]),
    "mish": (lambda x, **a: F.mish(x, **a), [(dict(x=WIDE), {})]),
    "relu": (lambda x, **a: F.relu(x, **a), [(dict(x=WIDE), {})]),
    "selu": (lambda x, **a: F.selu(x, **a), [(dict(x=WIDE), {})]),
    "elu": (lambda x, alpha: F.elu(x, alpha), [(dict(x=WIDE), dict(alpha=0.75))]),
    "leaky_relu": (lambda x, slope: F.leaky_relu(x, slope), [(dict(x=WIDE), dict(slope=0.125))]),
    "log_sigmoid": (lambda x: F.logsigmoid(x), [(dict(x=WIDE), {})]),
    "sigmoid": (lambda x, **a: torch.sigmoid(x, **a), [(dict(x=WIDE), {})]),
    "tanh": (lambda x, **a: torch.tanh(x, **a), [(dict(x=WIDE), {})]),
    "softplus": (lambda x, **a: F.softplus(x, **a), [(dict(x=WIDE), {})]),
    "erf": (lambda x, **a: torch.erf(x, **a), [(dict(x=WIDE), {})]),
}
