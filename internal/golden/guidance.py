"""Guidance rules in float64: written from the papers, and checked against diffusers' guiders where these do the same.

Rescale: Lin et al. 2024 §3.4. APG: Sadat et al. 2024, algorithm 1. CFG-Zero*: Fan et al. 2025, algorithm 1.
Dynamic thresholding: Saharia et al. 2022 §2.3.
"""

from unittest import mock

import torch
from diffusers import DDPMScheduler
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from diffusers.guiders.classifier_free_zero_star_guidance import cfg_zero_star_scale
from diffusers.guiders.guider_utils import rescale_noise_cfg

from precise import normal

SHAPE = (3, 4, 5, 2)
STEPS = 4
# What the network says at each step with the condition and without; the two are alike, as a network's are.
COND = torch.tensor(normal(400, (STEPS,) + SHAPE))
NULL = COND + 0.25 * torch.tensor(normal(401, (STEPS,) + SHAPE))
WIDE = torch.tensor(2 * normal(402, SHAPE))

RESCALE = {"none": (7.5, 0.0), "part": (7.5, 0.7), "whole": (3.0, 1.0), "unconditional": (0.0, 0.5)}  # scale, φ
APG = {  # scale, η, r (0: no limit), β
    "plain": (5.0, 1.0, 0.0, 0.0), "projected": (5.0, 0.0, 0.0, 0.0), "limited": (7.0, 0.3, 1.5, 0.0), "loose": (7.0, 0.3, 50.0, 0.0), "momentum": (10.0, 0.0, 2.5, -0.5),
    "forward-momentum": (3.0, 0.5, 0.0, 0.75),
}
ZERO_STAR = [0.0, 1.0, 4.0]  # scales
THRESHOLD = {"paper": (0.995, 100.0), "clipping": (0.995, 1.0), "limited": (0.9, 1.5), "median": (0.5, 3.0)}  # quantile, largest


def flat(x):
    return x.reshape(len(x), -1)


def per_sample(v):
    return v.reshape(-1, 1, 1, 1)


def close(a, b):
    assert torch.allclose(a, b, rtol=1e-12, atol=1e-12), (a - b).abs().max()


def rescale(c, u, s, phi):
    g = u + s * (c - u)
    whole = g * per_sample(flat(c).std(1) / flat(g).std(1))
    out = phi * whole + (1 - phi) * g
    close(out, rescale_noise_cfg(g, c, phi))
    return out


def apg(cs, us, s, eta, r, beta):
    average, out = torch.zeros(SHAPE, dtype=torch.float64), []
    buffer = MomentumBuffer(beta)
    for c, u in zip(cs, us):
        average = (c - u) + beta * average
        d = flat(average)
        if r > 0:
            d = d * torch.clamp(r / d.norm(dim=1, keepdim=True), max=1)
        e = flat(c) / flat(c).norm(dim=1, keepdim=True)
        along = (d * e).sum(1, keepdim=True) * e
        g = c + (s - 1) * (d - along + eta * along).reshape(c.shape)
        close(g, normalized_guidance(c, u, s - 1, buffer, eta, r, use_original_formulation=True))
        out.append(g)
    return torch.stack(out)


def zero_star(c, u, s):
    r = per_sample((flat(c) * flat(u)).sum(1) / ((flat(u) ** 2).sum(1) + 1e-8))
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        close(r.reshape(-1, 1), cfg_zero_star_scale(flat(c), flat(u)))
    return r * u + s * (c - r * u)


def threshold(x, q, largest):
    s = per_sample(torch.quantile(flat(x).abs(), q, dim=1).clamp(1, largest))
    out = torch.maximum(torch.minimum(x, s), -s) / s
    close(out, DDPMScheduler(thresholding=True, dynamic_thresholding_ratio=q, sample_max_value=largest)._threshold_sample(x))
    return out


def make():
    tensors = {"cond": COND.numpy(), "null": NULL.numpy(), "wide": WIDE.numpy()}
    for name, (s, phi) in RESCALE.items():
        tensors[f"rescale/{name}"] = rescale(COND[0], NULL[0], s, phi).numpy()
    for name, options in APG.items():
        tensors[f"apg/{name}"] = apg(COND, NULL, *options).numpy()
    for s in ZERO_STAR:
        tensors[f"zero-star/{s}"] = zero_star(COND[0], NULL[0], s).numpy()
    for name, (q, largest) in THRESHOLD.items():
        tensors[f"threshold/{name}"] = threshold(WIDE, q, largest).numpy()
    return tensors, {"rescale": RESCALE, "apg": APG, "zero_star": ZERO_STAR, "threshold": THRESHOLD}
