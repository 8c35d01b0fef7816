"""Flows of tokens: losses with their gradients in PyTorch, steps of the chain by SciPy's integration of its rates."""

import math

import numpy
import torch
import torch.nn.functional as F
from scipy.integrate import solve_ivp

from precise import normal

TOKENS, N, SHAPE = 5, 6, (2, 3)
# As the papers write them, time running to the data: the probability to be the data's token, and its derivative.
SCHEDULERS = {
    "linear": (lambda t: t, lambda t: t * 0 + 1),
    "cosine": (lambda t: torch.cos(math.pi / 2 * (1 - t)) ** 2, lambda t: math.pi / 2 * torch.sin(math.pi * (1 - t))),
    "sine": (lambda t: 1 - torch.cos(math.pi / 2 * t), lambda t: math.pi / 2 * torch.sin(math.pi / 2 * t)),
    "power": (lambda t: 1 - (1 - t) ** 1.5, lambda t: 1.5 * (1 - t) ** 0.5),
    "polynomial": (lambda t: t**2, lambda t: 2 * t),
}
STEPS = [(0.2, 0.5, 0.0), (0.2, 0.5, 1.0), (0.4, 0.9, 0.0), (0.4, 0.9, 2.5), (0.05, 0.1, 0.3)]  # from, to, eta


def losses():
    """Of tokens x1 (the data's) and states x_t, in which TOKENS is the mask."""
    logits = torch.tensor(normal(700, (N, *SHAPE, TOKENS)), dtype=torch.float64)
    g = numpy.random.default_rng(7)
    x1 = torch.tensor(g.integers(0, TOKENS, (N, *SHAPE)))
    t = torch.tensor((numpy.arange(N) + 0.5) / N).float().double()
    out = {"logits": logits, "x1": x1.int(), "t": t}
    for source in ("mask", "uniform"):
        x0 = torch.full_like(x1, TOKENS) if source == "mask" else torch.tensor(g.integers(0, TOKENS, x1.shape))
        xt = torch.where(torch.tensor(g.random(x1.shape)) < t.view(-1, 1, 1), x1, x0)
        out[f"{source}/xt"] = xt.int()
        for name, (alpha, rate) in SCHEDULERS.items():
            for kind in ("cross_entropy", "bound"):
                z = logits.clone().requires_grad_()
                p = F.softmax(z, -1)
                ce = F.cross_entropy(z.movedim(-1, 1), x1, reduction="none")
                if source == "mask":
                    each = ce * (xt == TOKENS)
                elif kind == "cross_entropy":
                    each = ce
                else:  # the sum over jumps y of the divergence between rates: model's, and that to x1
                    y = torch.arange(TOKENS)
                    here = xt[..., None] == y
                    want = ((x1[..., None] == y) & ~here).double()
                    mine = torch.where(here, 0.0, p)
                    term = mine - want + want * (torch.log(torch.where(want > 0, want, 1.0)) - torch.log(p))
                    each = torch.where(here, 0.0, term).sum(-1)
                if kind == "bound":
                    each = each * (rate(t) / (1 - alpha(t))).view(-1, 1, 1)
                loss = each.mean()
                loss.backward()
                out[f"{source}/{name}/{kind}/loss"] = loss.detach()
                out[f"{source}/{name}/{kind}/grad"] = z.grad
    return out


def kernels():
    """Transitions of one token over three states: the data's, the source's and another, from each of them."""
    out = {}
    source = numpy.array([0.2, 0.5, 0.3])  # the first is the data's token
    for name, (alpha, rate) in SCHEDULERS.items():
        f = lambda t: float(alpha(torch.tensor(t, dtype=torch.float64)))
        d = lambda t: float(rate(torch.tensor(t, dtype=torch.float64)))
        for i, (lo, hi, eta) in enumerate(STEPS):

            def slope(t, p):
                p = p.reshape(3, 3)
                to_data, to_source = (1 + eta) * d(t) / (1 - f(t)), eta * d(t) / f(t)
                rates = to_data * (numpy.array([1.0, 0, 0]) - numpy.eye(3)) + to_source * (source - numpy.eye(3))
                return (p @ rates).ravel()

            end = solve_ivp(slope, (lo, hi), numpy.eye(3).ravel(), method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
            out[f"kernel/{name}/{i}"] = end.reshape(3, 3)
    return out | {"kernel/source": source}


def make():
    tensors = {k: v.numpy() if torch.is_tensor(v) else v for part in (losses(), kernels()) for k, v in part.items()}
    return tensors, {"steps": STEPS, "schedulers": list(SCHEDULERS)}
