"""Consistency flow matching (Yang et al. 2024) in PyTorch, in the paper's time: noise at 0, data at 1."""

import numpy
import torch

from precise import normal

N, DIM, DELTA, ALPHA = 40, 3, 0.05, 0.3
CASES = {"one": (1, 1.0), "two": (2, 1.0), "three": (3, 1.0), "partly": (2, 0.6), "matching": (2, 0.0)}  # segments, boundary


def velocity(x, t, theta):
    """A function with parameters in the place of a network."""
    return theta[0] * torch.sin(2 * x) + theta[1] * t[:, None] * x + theta[2] * t[:, None] ** 2


def make():
    noise, data = (torch.tensor(normal(800 + i, (N, DIM)), dtype=torch.float64) for i in range(2))
    t = torch.tensor((numpy.arange(N) + 0.25) / N).float().double()
    t[0] = 0.0
    theta = torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64)
    average = torch.tensor([0.6, -0.9, 0.5], dtype=torch.float64)
    out = {"noise": noise, "data": data, "t": t, "theta": theta, "average": average}
    at = lambda t: (1 - t)[:, None] * noise + t[:, None] * data
    for name, (segments, boundary) in CASES.items():
        p = theta.clone().requires_grad_()
        r = torch.clamp(t + DELTA, max=1.0)
        # The end of the segment (s_{i-1}, s_i] of each time; of 0, the first one's.
        ends = torch.ceil(t * segments).clamp(min=1) / segments
        vt, vr = velocity(at(t), t, p), velocity(at(r), r, average).detach()
        ft = at(t) + (ends - t)[:, None] * vt
        fr = torch.where((r < boundary)[:, None], at(r) + (ends - r)[:, None] * vr, at(ends))
        apart = ((ends - t > 1.01 * DELTA) & (t < boundary))[:, None]
        loss = ((ft - fr) ** 2).mean() + ALPHA * ((vt - vr) ** 2 * apart).mean()
        loss.backward()
        out |= {f"{name}/loss": loss.detach(), f"{name}/grad": p.grad}
    return {k: v.numpy() for k, v in out.items()}, {"delta": DELTA, "alpha": ALPHA, "cases": CASES}
