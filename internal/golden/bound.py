"""The variational bound of discrete diffusion in float64, with scipy: every term, of an exact denoiser.

Formulas as Ho et al. 2020, eq. 5-7 and 13, and Nichol and Dhariwal 2021 (variances, range); the normal distribution
function is exact, where openai/improved-diffusion has an approximation by tanh. Written on its own, not from the Go code.
"""

import numpy
from scipy.special import logsumexp
from scipy.stats import norm

from precise import normal

LEVELS = 17
SHAPE = (4, 3, 2)  # N, D...
WEIGHTS = numpy.array([0.5, 0.3, 0.2])
MEANS = normal(500, (3,) + SHAPE[1:], 0.5)
STDS = numpy.array([0.25, 0.5, 0.125])
BETAS = numpy.array([1e-3, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5])
# Some values at the ends, where the decoder's bins are open.
DATA = numpy.clip(numpy.round((normal(501, SHAPE) + 1) * 8), 0, 16) / 8 - 1
NOISE = normal(502, (len(BETAS),) + SHAPE)
# variance, limit of the estimate of the data (0: none)
CASES = {"small": ("fixed_small", 0.0), "large": ("fixed_large", 0.0), "clipped": ("fixed_small", 0.5), "learned": ("learned", 0.0)}


def flat(x):
    return x.reshape(len(x), -1)


def denoise(x, abar):
    """E[x0|x] of the mixture."""
    v = abar * STDS**2 + 1 - abar
    off = flat(x)[:, None] - numpy.sqrt(abar) * flat(MEANS)[None]
    log = numpy.log(WEIGHTS) + (-0.5 * off**2 / v[:, None] - 0.5 * numpy.log(v[:, None])).sum(-1)
    r = numpy.exp(log - logsumexp(log, axis=1, keepdims=True))
    means = flat(MEANS)[None] + (numpy.sqrt(abar) * STDS**2 / v)[:, None] * off
    return (r[..., None] * means).sum(1).reshape(x.shape)


def kl(m1, v1, m2, v2):
    return 0.5 * (numpy.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2 - 1)


def bits(x):
    return flat(x).mean(1) / numpy.log(2)


def bound(variance, clip):
    alphas = 1 - BETAS
    abars = numpy.cumprod(alphas)
    before = numpy.append(1.0, abars[:-1])
    small = BETAS * (1 - before) / (1 - abars)
    small_log = numpy.log(numpy.append(small[1], small[1:]))
    terms = []
    for t in range(len(BETAS)):
        a = abars[t]
        x = numpy.sqrt(a) * DATA + numpy.sqrt(1 - a) * NOISE[t]
        guess = denoise(x, a)
        if clip:
            guess = guess.clip(-clip, clip)
        if variance == "learned":
            f = (numpy.sin(x) + 1) / 2
            logv = f * numpy.log(BETAS[t]) + (1 - f) * small_log[t]
        elif variance == "fixed_large":
            logv = numpy.log(BETAS[t]) if t > 0 else small_log[0]
        else:
            logv = small_log[t]
        if t == 0:
            s, half = numpy.exp(logv / 2), 1 / (LEVELS - 1)
            upper = numpy.where(DATA > 1 - half, 1, norm.cdf((DATA + half - guess) / s))
            lower = numpy.where(DATA < -1 + half, 0, norm.cdf((DATA - half - guess) / s))
            terms.append(bits(-numpy.log(numpy.maximum(upper - lower, 1e-12))))
            continue
        mean = lambda x0: (numpy.sqrt(before[t]) * BETAS[t] * x0 + numpy.sqrt(alphas[t]) * (1 - before[t]) * x) / (1 - a)
        terms.append(bits(kl(mean(DATA), small[t], mean(guess), numpy.exp(logv))))
    prior = bits(kl(numpy.sqrt(abars[-1]) * DATA, 1 - abars[-1], 0.0, 1.0))
    return numpy.stack(terms), prior


def make():
    tensors = {"weights": WEIGHTS, "means": flat(MEANS), "stds": STDS, "betas": BETAS, "data": DATA, "noise": NOISE}
    for name, case in CASES.items():
        tensors[f"{name}/terms"], tensors[f"{name}/prior"] = bound(*case)
    return tensors, {"cases": CASES, "levels": LEVELS}
