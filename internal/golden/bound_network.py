"""The variational bound of a network and its gradient, in float64 with torch: each term of the pipeline dit-ddpm-learned, whose
network learns a variance, on the linear table and on the cosine one.

Formulas as Ho et al. 2020, eq. 5-7 and 13, and Nichol and Dhariwal 2021, eq. 15 (the range of the variance; that of the first
entry begins at the second's); L_0's normal distribution function is exact. Written on its own, not from the Go code.
"""

import math

import numpy
import torch

import pipelines
from precise import float64, normal

NAME, LEVELS = "dit-ddpm-learned", 17
STEPS = [1, 2, 3, 10, 100, 400, 700, 999, 1000]  # as Ho et al. number them: the network's timestep is one less
SHAPE = (2, 1, 8, 8)
DATA = numpy.clip(numpy.round((normal(511, SHAPE) + 1) * 8), 0, 16) / 8 - 1
NOISE = normal(512, (len(STEPS),) + SHAPE).astype(numpy.float32)
LABELS = [4, 10]


def _betas(schedule):
    if schedule == "linear":
        return torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    f = torch.cos((torch.arange(1001, dtype=torch.float64) / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999)


def _term(model, betas, t, x0, noise):
    """Bits a number of each sample, of the step from t to t-1."""
    abar = torch.cumprod(1 - betas, 0)
    prev = torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])
    small = betas * (1 - prev) / (1 - abar)
    small[0] = small[1]
    k = t - 1
    x = abar[k].sqrt() * x0 + (1 - abar[k]).sqrt() * noise
    eps, v = model(x, timestep=torch.tensor([k] * len(x)), class_labels=torch.tensor(LABELS)).sample.chunk(2, 1)
    logv = (v + 1) / 2 * betas[k].log() + (1 - v) / 2 * small[k].log()
    guess = (x - (1 - abar[k]).sqrt() * eps) / abar[k].sqrt()
    if t > 1:
        onto = prev[k].sqrt() * betas[k] / (1 - abar[k])  # of x0 in the posterior's mean
        term = 0.5 * (logv - small[k].log() + small[k] / logv.exp() - 1 + (onto * (x0 - guess)) ** 2 / logv.exp())
    else:
        cdf = torch.distributions.Normal(guess, (logv / 2).exp()).cdf
        half = 1 / (LEVELS - 1)
        upper = torch.where(x0 > 1 - half, torch.ones_like(x0), cdf(x0 + half))
        lower = torch.where(x0 < -1 + half, torch.zeros_like(x0), cdf(x0 - half))
        term = -(upper - lower).clamp(min=1e-12).log()
    return term.mean((1, 2, 3)) / math.log(2)


def make():
    tensors = {"data": DATA.astype(numpy.float32), "noise": NOISE, "labels": numpy.array(LABELS), "steps": numpy.array(STEPS)}
    with float64():
        model = pipelines._build(pipelines.PIPELINES[NAME], f"pipelines/{NAME}", torch.float64)
        for schedule in ("linear", "cosine"):
            betas, terms, norms = _betas(schedule), [], []
            for t, noise in zip(STEPS, NOISE):
                bits = _term(model, betas, t, torch.tensor(DATA), torch.tensor(noise, dtype=torch.float64))
                grads = torch.autograd.grad(1000 * bits.mean(), list(model.parameters()), allow_unused=True)
                terms.append(bits.detach().numpy())
                norms.append([float(sum((g**2).sum() for g in grads if g is not None).sqrt())])
            tensors[f"{schedule}/terms"], tensors[f"{schedule}/gradient"] = numpy.stack(terms), numpy.array(norms)
    return tensors, {"network": NAME, "levels": LEVELS}
