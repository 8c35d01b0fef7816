"""Trains torchcfm's own 2-D set-up with torchcfm: 8 Gaussians to moons, its MLP, batches of 256, Adam at 1e-3.

    python torchcfm_runs.py OUT [--method icfm otcfm sbcfm vp] [--seeds 5] [--first 0] [--steps 20000]

Writes the network's weights as OUT/METHOD-SEED/step-NNNNNNNN.safetensors, every 500 of the last 5,000 steps, and prints a line of JSON a
run. What is not torchcfm's is the drawing of the eight Gaussians: the same distribution without its loop over points, which takes longer than a step.
"""
import argparse
import json
import math
import os
import time

import numpy as np
import torch
from safetensors.torch import save_file
from torchcfm.conditional_flow_matching import (
    ConditionalFlowMatcher,
    ExactOptimalTransportConditionalFlowMatcher,
    SchrodingerBridgeConditionalFlowMatcher,
    VariancePreservingConditionalFlowMatcher,
)
from torchcfm.models.models import MLP
from torchcfm.utils import sample_moons

LAST, EVERY = 5000, 500
SIGMA, BRIDGE = 0.1, 0.5  # of torchcfm's examples
METHODS = {
    "icfm": lambda: ConditionalFlowMatcher(sigma=SIGMA),
    "otcfm": lambda: ExactOptimalTransportConditionalFlowMatcher(sigma=SIGMA),
    "sbcfm": lambda: SchrodingerBridgeConditionalFlowMatcher(sigma=BRIDGE),  # with exact plans, which are its default
    "vp": lambda: VariancePreservingConditionalFlowMatcher(sigma=SIGMA),
}
ANGLES = torch.arange(8) * (math.pi / 4)
CENTRES = 5 * torch.stack([ANGLES.cos(), ANGLES.sin()], 1)


def eight_gaussians(n):
    """torchcfm's sample_8gaussians: covariance √.1."""
    return CENTRES[torch.randint(8, (n,))] + 0.1**0.25 * torch.randn(n, 2)


def weights(run, step):
    return os.path.join(run, f"step-{step:08d}.safetensors")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--method", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--batch", type=int, default=256)
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.out, exist_ok=True)
    for seed in range(args.first, args.first + args.seeds):
        for method in args.method:
            run = os.path.join(args.out, f"{method}-{seed}")
            if os.path.exists(weights(run, args.steps)):
                continue
            os.makedirs(run, exist_ok=True)
            torch.manual_seed(seed)
            np.random.seed(seed)
            model = MLP(dim=2, time_varying=True)
            optimizer = torch.optim.Adam(model.parameters())
            matcher = METHODS[method]()
            start, loss_sum = time.time(), 0.0
            for step in range(1, args.steps + 1):
                optimizer.zero_grad()
                t, xt, ut = matcher.sample_location_and_conditional_flow(eight_gaussians(args.batch), sample_moons(args.batch))
                loss = torch.mean((model(torch.cat([xt, t[:, None]], dim=-1)) - ut) ** 2)
                loss.backward()
                optimizer.step()
                if step > args.steps - 1000:
                    loss_sum += loss.item()
                if step > args.steps - LAST and (args.steps - step) % EVERY == 0:
                    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights(run, step))
            print(json.dumps({"method": method, "seed": seed, "seconds": time.time() - start, "loss": loss_sum / min(1000, args.steps)}), flush=True)


if __name__ == "__main__":
    main()
