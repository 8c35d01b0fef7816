"""The first figure of Cheng and Schwing 2025 with Langevin: eight Gaussians to moons, without conditions and with the moon as a class.

    python c2ot.py OUT [--langevin BINARY] [--seeds 10] [--points 4000]

W2² (as the paper's code has it: POT's cost of squared distances, without the root) of samples to moons, with one step of Euler's method and
with 100 of Heun's, where the paper has an adaptive solver. What differs from the paper's set-up: the network (three plain layers of width 128, where the paper has three
residual blocks of it), and plans of 256 samples, the batch; the paper's have 1,024, of which four batches are made; and fewer points to measure
with, for which two draws of the moons are measured, too. Runs in OUT and lines of results.jsonl are gone on from; results.py makes the table.
"""
import argparse
import os
import subprocess

import numpy as np
import ot
from torchcfm.utils import sample_moons

import results

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
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--points", type=int, default=4000)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    config = os.path.join(args.out, "c2ot.yaml")
    with open(config, "w") as f:
        f.write(CONFIG)
    env = {**os.environ, "GOMAXPROCS": "1"}
    call = lambda *command: subprocess.run([args.langevin, *command], check=True, capture_output=True, env=env)
    np.random.seed(0)
    if not results.find("c2ot-floor", points=args.points):
        floor = np.mean([w2squared(sample_moons(args.points).numpy(), args.points) for _ in range(3)])
        results.put("c2ot-floor", points=args.points, w2squared=round(floor, 4))
    for seed in range(args.seeds):
        for i, (case, settings) in enumerate(CASES.items()):
            if results.find("c2ot", case=case, seed=seed):
                continue
            np.random.seed(1000 + seed)  # of the moons to measure with
            run = os.path.join(args.out, f"{i}-{seed}")
            if os.path.exists(os.path.join(run, "checkpoints")):
                call("train", run, "--resume")
            else:
                call("train", config, f"seed={seed}", "--run", run, *settings)
            scores = []
            for sampler in (["--sampler", "euler", "--steps", "1"], []):
                file = os.path.join(run, "samples.npy")
                call("sample", run, "--n", str(args.points), "--seed", str(100 + seed), "--out", file, *sampler)
                scores.append(round(w2squared(np.load(file), args.points), 4))
            results.put("c2ot", case=case, seed=seed, points=args.points, euler=scores[0], heun=scores[1])


if __name__ == "__main__":
    main()
