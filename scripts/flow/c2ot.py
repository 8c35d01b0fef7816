"""The first figure of Cheng and Schwing 2025 with Langevin: eight Gaussians to moons, without conditions and with the moon as a class.

    python c2ot.py OUT [--langevin BINARY] [--seeds 3] [--points 4000]

W2² (as the paper's code has it: POT's cost of squared distances, without the root) of samples to moons, with one step of Euler's method and
with 100 of Heun's, where the paper has an adaptive solver. What differs from the paper's set-up: the network (three plain layers of width 128, where the paper has three
residual blocks of it), and plans of 256 samples, the batch; the paper's have 1,024, of which four batches are made; and fewer points to measure
with, for which two draws of the moons are given beside.
"""
import argparse
import json
import os
import subprocess

import numpy as np
import ot
from torchcfm.utils import sample_moons

CONFIG = """
steps: 20000
batch: 256
data: torchcfm_moons
model: {kind: plain_mlp, width: 128, depth: 3, activation: gelu, null_condition: false}
objective: {kind: flow, source: 8gaussians, condition_dropout: 0}
optim: {rule: adam, lr: 3e-4, schedule: constant, clip: 0}
ema: null
sample: {every: 0, sampler: heun, steps: 100, batch: 1000}
"""
CASES = {
    "unconditional, FM": ["conditional=false", "objective.coupling=independent"],
    "unconditional, OT": ["conditional=false", "objective.coupling=ot"],
    "classes, FM": ["objective.coupling=independent"],
    "classes, OT": ["objective.coupling=ot"],
    "classes, C²OT": ["objective.coupling=c2ot"],
}


def w2squared(x, points):
    return ot.emd2([], [], ot.dist(x.astype(np.float64), sample_moons(points).double().numpy()), numItermax=10**7)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--langevin", default="langevin")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--points", type=int, default=4000)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    config = os.path.join(args.out, "c2ot.yaml")
    with open(config, "w") as f:
        f.write(CONFIG)
    env = {**os.environ, "GOMAXPROCS": "1"}
    np.random.seed(0)
    results = {k: [] for k in CASES}
    for seed in range(args.seeds):
        for i, (case, settings) in enumerate(CASES.items()):
            run = os.path.join(args.out, f"{i}-{seed}")
            if not os.path.exists(run):
                subprocess.run([args.langevin, "train", config, f"seed={seed}", "--run", run, *settings], check=True, capture_output=True, env=env)
            scores = []
            for sampler in (["--sampler", "euler", "--steps", "1"], []):
                file = os.path.join(run, "samples.npy")
                subprocess.run([args.langevin, "sample", run, "--n", str(args.points), "--seed", str(100 + seed), "--out", file, *sampler], check=True, capture_output=True, env=env)
                scores.append(w2squared(np.load(file), args.points))
            results[case].append(scores)
            print(json.dumps({"case": case, "seed": seed, "euler1": scores[0], "heun": scores[1]}), flush=True)
    print(f"two draws of moons: {np.mean([w2squared(sample_moons(args.points).numpy(), args.points) for _ in range(3)]):.4f}")
    print("| | Euler, 1 step | Heun, 100 steps |\n|---|---|---|")
    for case, r in results.items():
        m, s = np.mean(r, 0), np.std(r, 0, ddof=1 if len(r) > 1 else 0)
        print(f"| {case} | {m[0]:.3f} ± {s[0]:.3f} | {m[1]:.3f} ± {s[1]:.3f} |")


if __name__ == "__main__":
    main()
