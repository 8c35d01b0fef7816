"""Trains torchcfm's 2-D set-up with Langevin: examples/8gaussians-to-moons.yaml, with torchcfm_runs.py's methods and seeds.

    python ours.py OUT [--langevin BINARY] [--method icfm otcfm sbcfm sinkhorn vp] [--seeds 5] [--first 0] [--jobs 1]

Writes the runs OUT/METHOD-SEED with their weights every 500 steps, and prints a line of JSON each. What is there is gone on from.
"""
import argparse
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "8gaussians-to-moons.yaml"
CONSTANT = "latent: {kind: constant, sigma: 0.1}"
BRIDGE = "latent: {kind: bridge, sigma: 0.5}"
METHODS = {  # interpolant, coupling
    "icfm": (f"{{kind: condot, {CONSTANT}}}", "independent"),
    "otcfm": (f"{{kind: condot, {CONSTANT}}}", "{kind: ot, replace: true}"),
    "sbcfm": (f"{{kind: condot, {BRIDGE}}}", "{kind: ot, replace: true}"),
    "sinkhorn": (f"{{kind: condot, {BRIDGE}}}", "{kind: sinkhorn, regularisation: 0.5}"),
    "vp": (f"{{kind: trig, {CONSTANT}}}", "independent"),
}


def train(args, method, seed):
    run = os.path.join(args.out, f"{method}-{seed}")
    if os.path.exists(os.path.join(run, "checkpoints", f"step-{args.steps:08d}.safetensors")):
        return
    interpolant, coupling = METHODS[method]
    command = [
        str(EXAMPLE), f"objective.interpolant={interpolant}", f"objective.coupling={coupling}", f"seed={seed}", f"steps={args.steps}",
        "checkpoint.every=500", "checkpoint.keep_every=500", "sample.every=0", "--run", run,
    ]
    if os.path.exists(os.path.join(run, "checkpoints")):
        command = [run, "--resume"]
    start = time.time()
    subprocess.run([args.langevin, "train", *command], check=True, capture_output=True, env={**os.environ, "GOMAXPROCS": "1"})
    print(json.dumps({"method": method, "seed": seed, "seconds": time.time() - start}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--langevin", default="langevin")
    parser.add_argument("--method", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a thread each")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        for done in [pool.submit(train, args, m, s) for s in range(args.first, args.first + args.seeds) for m in args.method]:
            done.result()


if __name__ == "__main__":
    main()
