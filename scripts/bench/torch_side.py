"""The workloads of `langevin bench` in PyTorch, one line of JSON a measurement.

    python torch_side.py [--threads N] [--device cpu|cuda] [--batch N] [--modes eager,channels_last,compile,bf16,compile_bf16] [WORKLOAD ...]

Workloads: gemm, mlp, unet, dit, latency, otcfm; all unless some are named. Networks come
from diffusers and torchcfm, so that nothing here is slower than what people use. Keys and
sizes are those of `langevin bench --json`; channels_last is for unet only, and otcfm is
eager only, because its coupling runs in NumPy, and for the CPU only. On a GPU every step is
waited for, memory is the most that PyTorch took from it, and float32 is exact: TF32 is off.
compare.py runs both sides in turn.
"""
import argparse
import copy
import json
import math
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

WORKLOADS = ["gemm", "mlp", "unet", "dit", "latency", "otcfm"]
MODES = ["eager", "channels_last", "compile", "bf16", "compile_bf16"]
COMPILED = ("compile", "compile_bf16")
LOW = ("bf16", "compile_bf16")
DEVICE = "cpu"  # --device


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


# Measuring


def timing(seconds):
    ms = sorted(1e3 * s for s in seconds)
    n = len(ms)
    return {"median_ms": ms[n // 2], "min_ms": ms[0], "p99_ms": ms[min(n - 1, n * 99 // 100)], "max_ms": ms[n - 1], "runs": n}


def resident(field):
    """VmRSS (now) or VmHWM (highest) of this process in MiB; Linux only."""
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def measure(step, runs, warm=3):
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # the highest begins anew
    before = resident("VmRSS")
    seconds = []
    for i in range(warm + runs):
        start = time.perf_counter()
        step()
        wait()
        if i >= warm:
            seconds.append(time.perf_counter() - start)
    highest = resident("VmHWM")
    r = {**timing(seconds), "peak_mib": round(highest - before, 1), "max_rss_mib": round(highest, 1)}
    if DEVICE == "cuda":
        r.update(peak_mib=round(torch.cuda.max_memory_reserved() / 2**20, 1), device=torch.cuda.get_device_name())
    return r


# Networks: model, shape of a sample, batch of a training step, and how it is called at times in [0,1]


class ResidualMLP(nn.Module):
    """h += silu(W(h+e)), e an embedding of the time, four times, 256 wide."""

    def __init__(self, dim=2, width=256, depth=4, features=64):
        super().__init__()
        periods = torch.logspace(0, -math.log10(10000), features // 2)
        self.register_buffer("freq", 1000 * periods)
        self.time = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.first = nn.Linear(dim, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, dim)

    def forward(self, x, t):
        angle = t[:, None] * self.freq
        e = self.time(torch.cat([torch.cos(angle), torch.sin(angle)], dim=1))
        h = self.first(x)
        for layer in self.hidden:
            h = h + F.silu(layer(h + e))
        return self.last(h)


def build_mlp():
    return ResidualMLP(), (2,), 256, lambda net, x, t: net(x, t)


def build_unet():
    from diffusers import UNet2DModel

    net = UNet2DModel(
        sample_size=28, in_channels=1, out_channels=1,
        block_out_channels=(64, 128, 128), layers_per_block=2,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=32, attention_head_dim=32,
    )
    return net, (1, 28, 28), 64, lambda net, x, t: net(x, 1000 * t).sample


def build_dit():
    from diffusers import DiTTransformer2DModel

    net = DiTTransformer2DModel(
        sample_size=28, patch_size=2, in_channels=1, out_channels=1,
        num_layers=6, num_attention_heads=6, attention_head_dim=64, num_embeds_ada_norm=1000,
    )

    def call(net, x, t):
        labels = torch.randint(0, 10, (x.shape[0],), device=DEVICE)
        return net(x, (999 * t).long(), class_labels=labels).sample

    return net, (1, 28, 28), 32, call


BUILD = {"mlp": build_mlp, "unet": build_unet, "dit": build_dit}


# Workloads


def gemm(mode):
    if mode not in ("eager", "bf16"):
        return
    dtype = torch.bfloat16 if mode in LOW else torch.float32
    shapes = [(n, n, n) for n in (256, 512, 1024, 2048)] + [(6272, 384, 384), (6272, 1536, 384), (6272, 384, 1536)]
    for m, n, k in shapes:
        a, b = torch.randn(m, k, device=DEVICE).to(dtype), torch.randn(k, n, device=DEVICE).to(dtype)
        flops = 2 * m * n * k
        r = measure(lambda: torch.matmul(a, b), max(5, int(2e10 / flops)))
        yield {**r, "shape": [m, n, k], "gflops": flops / r["median_ms"] / 1e6, "best_gflops": flops / r["min_ms"] / 1e6}


def training(workload, mode, runs, batch=0):
    """Flow matching between noise and noise: noise, forward, loss, backward, clip, AdamW, EMA."""
    torch.manual_seed(0)
    net, shape, usual, call = BUILD[workload]()
    batch = batch or usual
    layout = torch.channels_last if mode == "channels_last" else torch.contiguous_format
    net = net.to(DEVICE, memory_format=layout).train()
    average = copy.deepcopy(net).requires_grad_(False)
    forward = torch.compile(net) if mode in COMPILED else net
    params, averages = list(net.parameters()), list(average.parameters())
    optimizer = torch.optim.AdamW(params, lr=1e-4)

    def step():
        data = torch.randn(batch, *shape, device=DEVICE)
        if len(shape) == 3:
            data = data.to(memory_format=layout)
        noise, t = torch.randn_like(data), torch.rand(batch, device=DEVICE)
        s = t.view(batch, *(1 for _ in shape))
        with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=mode in LOW):
            velocity = call(forward, torch.lerp(data, noise, s), t)
        loss = F.mse_loss(velocity.float(), noise - data)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, params, 1e-3)

    r = measure(step, runs)
    yield {**r, "batch": batch, "params": sum(p.numel() for p in params)}


def latency(mode):
    if mode not in ("eager", "compile"):
        return
    for name, batch, warm, runs in (("mlp", 1, 10, 200), ("mlp", 64, 10, 200), ("dit", 1, 3, 10)):
        net, shape, _, call = BUILD[name]()
        net.to(DEVICE).eval()
        forward = torch.compile(net) if mode == "compile" else net

        def sample():
            with torch.inference_mode():
                x = torch.randn(batch, *shape, device=DEVICE)
                for i in range(10):
                    x = x + call(forward, x, torch.full((batch,), i / 10, device=DEVICE)) / 10

        params = sum(p.numel() for p in net.parameters())
        yield {**measure(sample, runs, warm), "net": name, "batch": batch, "steps": 10, "params": params}


def otcfm(mode):
    if mode != "eager" or DEVICE != "cpu":
        return
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher, ExactOptimalTransportConditionalFlowMatcher
    from torchcfm.models.models import MLP
    from torchcfm.utils import sample_8gaussians, sample_moons

    for name, kind in (("icfm", ConditionalFlowMatcher), ("otcfm", ExactOptimalTransportConditionalFlowMatcher)):
        for batch, runs in ((256, 300), (1024, 40)):
            torch.manual_seed(0)
            net, matcher = MLP(dim=2, time_varying=True), kind(sigma=0.1)
            optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

            def step():
                optimizer.zero_grad()
                x0, x1 = sample_8gaussians(batch), sample_moons(batch)
                t, xt, velocity = matcher.sample_location_and_conditional_flow(x0, x1)
                F.mse_loss(net(torch.cat([xt, t[:, None]], dim=1)), velocity).backward()
                optimizer.step()

            params = sum(p.numel() for p in net.parameters())
            yield {**measure(step, runs), "coupling": name, "batch": batch, "params": params}


def run(workload, mode, runs=0, batch=0):
    if workload in BUILD:
        if mode == "channels_last" and workload != "unet":
            return
        yield from training(workload, mode, runs or (200 if workload == "mlp" else 6), batch)
    elif mode != "channels_last":
        yield from {"gemm": gemm, "latency": latency, "otcfm": otcfm}[workload](mode)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    p.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    p.add_argument("--modes", default=",".join(MODES))
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    p.add_argument("--runs", type=int, default=0, help="training steps that are timed; 0: as many as is usual")
    p.add_argument("--batch", type=int, default=0, help="of training steps; 0: the usual one")
    a = p.parse_args()
    workloads, modes = a.workloads or WORKLOADS, a.modes.split(",")
    for given, known in ((workloads, WORKLOADS), (modes, MODES)):
        for x in given:
            if x not in known:
                p.error(f"unknown: {x}; want one of {', '.join(known)}")
    if a.device == "cuda" and not torch.cuda.is_available():
        p.error("--device cuda: PyTorch finds no GPU")
    if len(workloads) * len(modes) > 1:  # memory figures are a process's
        for w in workloads:
            for m in modes:
                subprocess.run([sys.executable, __file__, w, "--modes", m, "--threads", str(a.threads), "--device", a.device, "--runs", str(a.runs), "--batch", str(a.batch)], check=True)
        return
    if a.threads:
        torch.set_num_threads(a.threads)
    global DEVICE
    DEVICE = a.device
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for r in run(workloads[0], modes[0], a.runs, a.batch):
        line = {"side": "torch", "workload": workloads[0], "mode": modes[0], "threads": torch.get_num_threads(), **r}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
