"""Measures flows of torchcfm_runs.py and ours.py with one and the same code.

    python evaluate.py --langevin OUT --torchcfm OUT [--points 1000] [--sets 3]

Each network is integrated from the same eight-Gaussian points by the fourth-order Runge-Kutta method in 50 steps. For each of the
last ten weights of each finished run, 500 steps apart: the 2-Wasserstein distance (POT, exact) of what comes out to moons, and the normalised path energy of Tong et al. 2024,
|E∫‖v‖²dt − W2²(q0,q1)| / W2²(q0,q1). The learning rate is constant, so that one set of weights is as good as the other and what they differ by is noise. Lines go to results.jsonl; results.py makes the table.
"""
import argparse
import glob
import json
import os

import numpy as np
import ot
import torch
from safetensors import safe_open
from torch.nn import functional as F
from torchcfm.utils import sample_moons

import results
from torchcfm_runs import EVERY, LAST, eight_gaussians, weights

STEPS = 50


def network(file, ours):
    """v(x, τ), τ from source to data."""
    with safe_open(file, "pt") as f:
        get = {k: f.get_tensor(k) for k in f.keys() if k.startswith("model." if ours else "net.")}
    layers = []
    for i in range(4):
        w, b = (get[f"model.layers.{i}.weight"].T, get[f"model.layers.{i}.bias"]) if ours else (get[f"net.{2 * i}.weight"], get[f"net.{2 * i}.bias"])
        layers.append((w, b))

    def v(x, tau):
        # Ours takes its own time, 0 at the data, and predicts the velocity in it.
        h = torch.cat([x, torch.full((len(x), 1), 1 - tau if ours else tau, dtype=x.dtype)], 1)
        for i, (w, b) in enumerate(layers):
            h = h @ w.T + b
            if i < 3:
                h = F.selu(h)
        return -h if ours else h

    return v


def integrate(v, x):
    """RK4, and the path energy by the same rule."""
    energy, h = 0.0, 1 / STEPS
    for i in range(STEPS):
        t = i * h
        k1 = v(x, t)
        k2 = v(x + h / 2 * k1, t + h / 2)
        k3 = v(x + h / 2 * k2, t + h / 2)
        k4 = v(x + h * k3, t + h)
        energy += h / 6 * sum(w * (k**2).sum(1).mean().item() for w, k in ((1, k1), (2, k2), (2, k3), (1, k4)))
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x, energy


def w2squared(a, b):
    return ot.emd2([], [], ot.dist(a.double().numpy(), b.double().numpy()), numItermax=10**7)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--langevin", help="folder of runs by ours.py")
    parser.add_argument("--torchcfm", help="folder of runs by torchcfm_runs.py")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1234)
    np.random.seed(1234)
    starts = [eight_gaussians(args.points) for _ in range(args.sets)]
    moons = [sample_moons(args.points) for _ in range(args.sets)]
    between = np.mean([w2squared(a, b) for a, b in zip(starts, moons)])
    floor = np.mean([w2squared(sample_moons(args.points), b) ** 0.5 for b in moons])
    if not results.find("torchcfm-ends", points=args.points, sets=args.sets):
        results.put("torchcfm-ends", points=args.points, sets=args.sets, w2squared=round(between, 4), floor=round(floor, 4))
    steps = range(args.steps, args.steps - LAST, -EVERY)
    for side, out in (("langevin", args.langevin), ("torchcfm", args.torchcfm)):
        for run in sorted(glob.glob(os.path.join(out, "*-*"))) if out else []:
            method, seed = os.path.basename(run).rsplit("-", 1)
            folder = os.path.join(run, "checkpoints") if side == "langevin" else run
            if not os.path.exists(weights(folder, args.steps)):
                continue  # still trains
            done = {r["step"] for r in results.lines("torchcfm") if (r["side"], r["method"], r["seed"]) == (side, method, int(seed))}
            for step in reversed([s for s in steps if s not in done]):
                v = network(weights(folder, step), side == "langevin")
                w, e = zip(*((w2squared(x, m) ** 0.5, energy) for (x, energy), m in zip((integrate(v, s) for s in starts), moons)))
                results.put("torchcfm", side=side, method=method, seed=int(seed), step=step, w2=round(np.mean(w), 4), npe=round(abs(np.mean(e) - between) / between, 5))


if __name__ == "__main__":
    main()
