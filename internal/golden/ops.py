"""Operations of torch in float64 with their vector-Jacobian and Jacobian-vector products.

A table maps an operation to (function of its named inputs, [(inputs, attributes), ...]). An input is its shape, or an
In for values that are not normal; attributes are the function's keyword arguments.
"""

import zlib

import numpy
import torch

import ops_arrange
import ops_elementwise
import ops_layers
import ops_shape
import ops_window
from inputs import In
from precise import normal

FAMILIES = {
    "binary": ops_elementwise.BINARY,
    "unary": ops_elementwise.UNARY,
    "activation": ops_elementwise.ACTIVATIONS,
    "shape": ops_shape.SHAPE,
    "reduce": ops_shape.REDUCE,
    "matmul": ops_layers.MATMUL,
    "divergence": ops_layers.DIVERGENCE,
    "conv": ops_layers.CONV,
    "norm": ops_layers.NORM,
    "attention": ops_layers.ATTENTION,
    "loss": ops_layers.LOSS,
    "arrange": ops_arrange.ARRANGE,
    "index": ops_arrange.INDEX,
    "einsum": ops_arrange.EINSUM,
    "fold": ops_window.FOLD,
    "pool": ops_window.POOL,
    "resize": ops_window.RESIZE,
    "criterion": ops_window.CRITERION,
}


def jvp(function, values, tangents):
    """The value and the derivative along tangents, by forward mode, or by two vector-Jacobian products where torch has none."""
    try:
        return torch.func.jvp(function, values, tangents)
    except (NotImplementedError, RuntimeError) as error:
        if "forward" not in str(error):
            raise
    return torch.autograd.functional.jvp(function, values, tangents, strict=False)


def make(family):
    tensors, cases = {}, {}
    for op, (function, variants) in FAMILIES[family].items():
        for number, (specs, attributes) in enumerate(variants):
            case = f"{op}/{number}"

            def random(part, shape):
                return torch.tensor(normal(zlib.crc32(f"{case}/{part}".encode()), tuple(shape)))

            specs = {name: s if isinstance(s, In) else In(s) for name, s in specs.items()}
            values = {name: s.values(zlib.crc32(f"{case}/{name}".encode())) for name, s in specs.items()}
            names = [name for name, s in specs.items() if s.differentiable]
            constants = {name: values[name] for name in specs if name not in names}

            def call(*args):
                return function(**dict(zip(names, args)), **constants, **attributes)

            leaves = [values[name].clone().requires_grad_() for name in names]
            out = call(*leaves)
            upstream = random("upstream", out.shape)
            if out.requires_grad:
                grads = torch.autograd.grad(out, leaves, upstream, allow_unused=True, materialize_grads=True)
            else:
                grads = [torch.zeros_like(x) for x in leaves]
            tangents = tuple(random(f"tangent/{name}", values[name].shape) for name in names)
            again, along = jvp(call, tuple(values[name] for name in names), tangents)
            # two ways to one number: <upstream, J tangents> = <Jᵀ upstream, tangents>
            left, right = (upstream * along).sum(), sum((g * t).sum() for g, t in zip(grads, tangents))
            scale = sum((g * t).abs().sum() for g, t in zip(grads, tangents)) + (upstream * along).abs().sum()
            assert torch.equal(again, out.detach()) or torch.allclose(again, out.detach(), rtol=1e-13, atol=1e-13), case
            assert abs(left - right) <= 1e-12 * scale, f"{case}: torch's two modes differ, {left} and {right}"

            for name in specs:
                tensors[f"{case}/in/{name}"] = stored(values[name])
            for name, tangent, grad in zip(names, tangents, grads):
                tensors[f"{case}/tangent/{name}"] = stored(tangent)
                tensors[f"{case}/grad/{name}"] = grad.numpy()
            tensors[f"{case}/grad_out"] = stored(upstream)
            tensors[f"{case}/out"] = out.detach().numpy()
            tensors[f"{case}/jvp"] = along.detach().numpy()
            cases[case] = dict(op=op, inputs=names, constants=sorted(constants), attributes=attributes)
    return tensors, {"cases": cases}


def stored(x):
    """What float32 holds exactly needs no more; indices are int32."""
    if x.dtype == torch.int64:
        return x.numpy().astype(numpy.int32)
    narrow = x.detach().numpy().astype(numpy.float32)
    assert numpy.array_equal(narrow.astype(numpy.float64), x.detach().numpy())
    return narrow
