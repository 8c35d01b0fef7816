"""Measures flows of torchcfm_runs.py (OUT/*.safetensors) and ours.py (OUT/*/) with one and the same code.

    python evaluate.py OUT [OUT ...] [--points 1000] [--sets 3] [--steps 20000]

Each network is integrated from the same eight-Gaussian points by the fourth-order Runge-Kutta method in 50 steps. For
each run: the 2-Wasserstein distance (POT, exact) of what comes out to moons, and the normalised path energy of Tong et al. 2024,
|E∫‖v‖²dt − W2²(q0,q1)| / W2²(q0,q1). Means and standard deviations over seeds, and what two draws of the data themselves score.
"""
import argparse
import glob
import json
import os
from collections import defaultdict

import numpy as np
import ot
import torch
from safetensors import safe_open
from torch.nn import functional as F
from torchcfm.utils import sample_moons

from torchcfm_runs import eight_gaussians

STEPS = 50


def network(path):
    """v(x, τ), τ from source to data, and its name."""
    ours = os.path.isdir(path)
    file = sorted(glob.glob(os.path.join(path, "checkpoints", "*.safetensors")))[-1] if ours else path
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
    parser.add_argument("out", nargs="+")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20000, help="that a run of ours has when it is done")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1234)
    np.random.seed(1234)
    starts = [eight_gaussians(args.points) for _ in range(args.sets)]
    moons = [sample_moons(args.points) for _ in range(args.sets)]
    between = np.mean([w2squared(a, b) for a, b in zip(starts, moons)])
    floor = np.mean([w2squared(sample_moons(args.points), b) ** 0.5 for b in moons])
    print(f"W2² between the ends {between:.3f}; W2 of two draws of moons {floor:.3f}")
    print("| | W2 | NPE | runs |\n|---|---|---|---|")
    for out in args.out:
        results = defaultdict(list)
        for path in sorted(glob.glob(os.path.join(out, "*-*"))):
            if path.endswith(".safetensors") or glob.glob(os.path.join(path, "checkpoints", f"step-{args.steps:08d}.safetensors")):  # runs that are done
                v = network(path)
                w, e = zip(*((w2squared(x, m) ** 0.5, energy) for (x, energy), m in zip((integrate(v, s) for s in starts), moons)))
                name = os.path.basename(path).split(".")[0].rsplit("-", 1)[0]
                results[name].append((np.mean(w), abs(np.mean(e) - between) / between))
        for name, r in results.items():
            (w, n), (dw, dn) = np.mean(r, 0), np.std(r, 0, ddof=1 if len(r) > 1 else 0)
            print(f"| {out} {name} | {w:.3f} ± {dw:.3f} | {n:.4f} ± {dn:.4f} | {len(r)} |", flush=True)


if __name__ == "__main__":
    main()
