"""Runs that are exported for diffusers draw there what they draw here: whole folders, loaded by diffusers alone.

    python check.py [--langevin BINARY] [--keep FOLDER] [--only NAME ...]

Trains small networks for some seconds each, exports them, and compares what Langevin and diffusers make of the same noise: first the network, then samples.
Exit code 1 where a number is above its bound. Run from the repository's root; needs the langevin program on the PATH, or --langevin, and requirements.txt.

Networks. `inspect` cannot ask a network, so that a sample of one step tells what it says: of a flow by Euler's method, x' = x - u(x, 1), and of a table by
DDIM, x' = (x - sigma*eps)/alpha or alpha*x - sigma*v. The times in between are those of the samples of more steps.

Bounds, as in train/cli/pipelines_test.go: float32 rounds a result of these networks, some D operations deep over sums of at most K products, by sqrt(K)*2^-24 an
operation and sqrt(D) times that in all; two implementations differ by sqrt(2) as much, and the worst of some hundred numbers by three standard deviations more.
K = 288 (convolutions over 32 channels), D = 100 (three levels of residual blocks, or three transformer blocks): RHO = 3*sqrt(2)*sqrt(100)*sqrt(288)*2^-24 =
4.3e-5 of the prediction's size. Guidance s takes s*c and (1-s)*u apart: |s|+|s-1| times that. Along the path errors of all steps add up to at most RHO times
what the predictions move: of the noise level l at the start where the network predicts eps (x/alpha moves by eps*d(sigma/alpha)), 1 elsewhere, in either
case by the start's largest number, and RHO of the largest sample for the samples' own rounding. Where estimates are clipped, l is 1: no step's error in the data is
larger than the clipped range. Times are told as t*1000 in float32: angles up to 1000 are off by 1000*2^-24 = 6e-5 in the fastest of the features, which RHO covers as the
first operation's error, of weight 1/sqrt(features).
"""
import argparse
import contextlib
import importlib
import os
import subprocess
import sys
import tempfile

import numpy
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging
from safetensors.numpy import load_file, save_file

RHO = 4.3e-5
STEPS = "steps=80"
DIT = "model={kind: dit, patch: 2, width: 32, depth: 2, heads: 2%s}"
UNET = "model={kind: unet, channels: [16, 32], layers: 1, groups: 8, head_dim: 16%s}"
PLAIN = "conditional=false"

# name: (config, overrides, export's arguments, noise level at the start for eps)
CASES = {
    "digits": ("examples/digits.yaml", [], [], 1),
    "digits-ddpm-unet": ("examples/digits-ddpm-unet.yaml", [], ["--sampler", "ddim", "--steps", "50", "clip.range=1"], 1),
    "digits-ddpm-unet-unclipped": ("examples/digits-ddpm-unet.yaml", [], ["--sampler", "ddim", "--steps", "50"], 157),
    "digits-ddpm-unet-ancestral": ("examples/digits-ddpm-unet.yaml", [], ["clip.range=1"], 1),
    "digits-v-zero-snr": ("examples/digits-v-zero-snr.yaml", [], [], 1),
    "digits-hybrid-vlb": ("examples/digits-hybrid-vlb.yaml", [], ["sampler={kind: ddpm, variance: learned, final_noise: true}"], 1),
    "digits-edm": ("examples/digits-edm.yaml", ["model.time_scale=1"], ["--sampler", "dpm_multistep"], 1),
    "digits-edm-euler": ("examples/digits-edm.yaml", ["model.time_scale=1"], ["--sampler", "euler"], 1),
    "flow-dit-euler-shift": ("examples/digits.yaml", [DIT % ""], ["--sampler", "euler", "--steps", "7", "grid={kind: uniform, shift: 3}", "guidance=2"], 1),
    "flow-dit-plain": ("examples/digits.yaml", [DIT % ", embed_per_block: true, activation: geglu, affine_norm: true", PLAIN], ["--sampler", "euler", "guidance=1"], 1),
    "flow-dit-no-null": ("examples/digits.yaml", [DIT % ", null_condition: false"], ["--sampler", "euler", "guidance=1"], 1),
    "flow-unet": ("examples/digits.yaml", [UNET % ""], ["--steps", "9"], 1),
    "flow-unet-plain": ("examples/digits.yaml", [UNET % ", scale_shift: false, activation: mish, downsample_padding: 0", PLAIN], ["--sampler", "euler", "guidance=1"], 1),
    "v-unet-plain-ddpm": ("examples/digits-ddpm-unet.yaml", [UNET % "", PLAIN, "objective.predict=v"], ["--sampler", "ddpm", "--steps", "20"], 1),
    "v-unet-plain-ddim": ("examples/digits-ddpm-unet.yaml", [UNET % "", PLAIN, "objective.predict=v"], ["--sampler", "ddim", "--steps", "20"], 1),
    "v-unet-ddim-eta": ("examples/digits-ddpm-unet.yaml", [UNET % "", "objective.predict=v"], ["--sampler", "ddim", "--steps", "20", "sampler.eta=0.7", "guidance=1.5"], 1),
    "x0-unet-500": ("examples/digits-ddpm-unet.yaml", [UNET % ", time_scale: 500", "objective.predict=x0", "objective.steps=500", "objective.schedule=exp"], ["--sampler", "ddim", "--steps", "20"], 1),
    "v-unet-dpm": ("examples/digits-ddpm-unet.yaml", [UNET % "", "objective.predict=v"], ["--sampler", "dpm_multistep", "--steps", "12"], 1),
    "v-unet-unipc": ("examples/digits-ddpm-unet.yaml", [UNET % "", "objective.predict=v"], ["--sampler", "unipc", "--steps", "12"], 1),
    "v-unet-euler": ("examples/digits-ddpm-unet.yaml", [UNET % "", "objective.predict=v"], ["--sampler", "euler", "--steps", "20"], 1),
    "v-unet-heun": ("examples/digits-ddpm-unet.yaml", [UNET % "", "objective.predict=v"], ["--sampler", "heun", "--steps", "20"], 1),
    "v-unet-euler-ancestral": ("examples/digits-ddpm-unet.yaml", [UNET % "", "objective.predict=v"], ["--sampler", "euler_ancestral", "--steps", "20"], 1),
}


def langevin(program, *args):
    done = subprocess.run([program, *args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"langevin {' '.join(args)}\n{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def given_noises(scheduler, noises):
    """The scheduler's n-th step draws noises[n], instead of random numbers."""
    module, step, count = importlib.import_module(type(scheduler).__module__), scheduler.step, [-1]
    randn = getattr(module, "randn_tensor", None)

    def counted(*args, **options):
        count[0] += 1
        return step(*args, **options)

    counted.__signature__ = __import__("inspect").signature(step)
    if randn:
        module.randn_tensor = lambda shape, **_: torch.tensor(noises[count[0]]).reshape(shape)
    scheduler.step = counted
    try:
        yield
    finally:
        scheduler.step = step
        if randn:
            module.randn_tensor = randn


def theirs(pipe, noise, noises, labels, steps):
    """Samples of diffusers, by the folder's own pipeline, or by the loop of a class of diffusers, which takes no noise."""
    with given_noises(pipe.scheduler, noises):
        if type(pipe).__name__ == "LangevinPipeline":
            return pipe(class_labels=labels, latents=torch.tensor(noise), num_inference_steps=steps, output_type="latent").images.numpy()
        module = importlib.import_module(type(pipe).__module__)
        randn = module.randn_tensor
        module.randn_tensor = lambda *args, **_: torch.tensor(noise)
        scale, kept = pipe.scheduler.step, {}

        def remember(*args, **options):
            kept["x"] = scale(*args, **options)
            return kept["x"]

        remember.__signature__ = __import__("inspect").signature(scale)
        pipe.scheduler.step = remember
        try:
            pipe(batch_size=len(noise), num_inference_steps=steps, output_type="pt")
        finally:
            module.randn_tensor, pipe.scheduler.step = randn, scale
        return kept["x"].prev_sample.numpy()


def check(program, folder, name):
    config, overrides, export, level = CASES[name]
    run, out = os.path.join(folder, name), os.path.join(folder, name + "-pipeline")
    if not os.path.exists(run):
        langevin(program, "train", config, "--run", run, STEPS, "optim.schedule.warmup=10", "sample.every=0", *overrides)
    if not os.path.exists(out):
        langevin(program, "export", run, "--format", "diffusers", "--out", out, *export)
    pipe = DiffusionPipeline.from_pretrained(out, trust_remote_code=True)
    pipe.set_progress_bar_config(disable=True)
    own = type(pipe).__name__ == "LangevinPipeline"
    steps = pipe.config.steps if own else int(export[export.index("--steps") + 1])
    scale = pipe.config.guidance_scale if own else 1
    classes = PLAIN not in overrides
    rng = numpy.random.default_rng(sum(name.encode()))
    noise = rng.standard_normal((10, 1, 8, 8)).astype(numpy.float32)
    noises = rng.standard_normal((steps, 10, 1, 8, 8)).astype(numpy.float32)
    files = {"in": os.path.join(folder, name + "-noise.safetensors"), "out": os.path.join(folder, name + "-samples.safetensors")}
    save_file({"noise": noise, "noises": noises}, files["in"])
    flow = type(pipe.scheduler).__name__.startswith("FlowMatch")
    rows = []
    for what, n in ("network", 1), ("samples", steps):
        if what == "network" and not flow and ("ddim" not in export or level != 1 or "clip.range=1" in export):
            continue  # in one step only these tell what the network says
        how = [a for a in export if a not in ("--steps", str(steps))]
        langevin(program, "sample", run, "--noise", files["in"], "--out", files["out"], "--steps", str(n), *how)
        ours = load_file(files["out"])["samples"]
        got = theirs(pipe, noise, noises, list(range(10)) if classes else None, n)
        bound = RHO * (abs(scale) + abs(scale - 1)) * (level * abs(noise).max() + abs(ours).max())
        rows.append((f"{name}: {what}", type(pipe).__name__, type(pipe.scheduler).__name__, n, abs(ours).max(), abs(got - ours).max(), bound))
    pictures = pipe(**({"class_labels": [0, 1]} if own and classes else {"batch_size": 2}), generator=torch.Generator().manual_seed(0), num_inference_steps=2).images
    assert len(pictures) == 2 and pictures[0].size == (8, 8), pictures
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--langevin", default="langevin")
    p.add_argument("--keep", help="folder for runs and pipelines, which are used again")
    p.add_argument("--only", nargs="*", default=list(CASES))
    a = p.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # these networks are small
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        print(f"{'case':44}{'pipeline':18}{'scheduler':34}{'steps':>6}{'largest':>9}{'error':>10}{'bound':>10}")
        for name in a.only:
            for case, pipeline, scheduler, n, size, error, bound in check(a.langevin, a.keep or temporary, name):
                fine = error <= bound
                bad += not fine
                print(f"{case:44}{pipeline:18}{scheduler:34}{n:6}{size:9.3g}{error:10.2g}{bound:10.2g}{'' if fine else '  TOO LARGE'}", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
