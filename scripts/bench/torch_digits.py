"""A plain PyTorch DiT on the digits, by the clock: what `langevin eval --samples` compares runs with.

    python torch_digits.py [--seconds 60] [--depth N] [--lr R] [--decay D] [--threads N] [--n 1000] [--out samples.safetensors]

The same job as examples/digits.yaml: the digits of this repository, split as it splits them,
flow matching between noise and data with uniform times, batches of 128 in which one label of
ten is dropped, AdamW with 200 steps of warm-up and a cosine over the time given, a
moving average with decay .9995, 20 steps of Heun, no guidance. The network is a DiT with adaptive layer norm
(Peebles & Xie 2023) out of torch's own layers: 2×2 patches, width 64, four
blocks, four heads. The samples and the labels asked for go to a file in the layout of `langevin sample`.
"""
import argparse
import copy
import gzip
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

DIGITS = Path(__file__).resolve().parents[2] / "train" / "data" / "digits"
HELD_OUT = 360


def training_split():
    """Images in [−1,1], (N,1,8,8), and labels: every (N/360)-th by class and index is held out."""
    with gzip.open(DIGITS / "images.idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 8, 8)
    with gzip.open(DIGITS / "labels.idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(), np.uint8, offset=8)
    order, n = np.argsort(labels, kind="stable"), len(labels)
    p = np.arange(n)
    train = np.sort(order[(p + 1) * HELD_OUT // n == p * HELD_OUT // n])
    x = torch.tensor(images[train] / 8.0 - 1, dtype=torch.float32)[:, None]
    return x, torch.tensor(labels[train].astype(np.int64))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.ada = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.ada.weight), nn.init.zeros_(self.ada.bias)

    def forward(self, x, c):
        n, t, w = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.ada(F.silu(c))[:, None].chunk(6, dim=-1)
        h = self.norm1(x) * (1 + scale1) + shift1
        q, k, v = self.qkv(h).view(n, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, w)
        x = x + gate1 * self.out(h)
        h = self.norm2(x) * (1 + scale2) + shift2
        return x + gate2 * self.down(F.gelu(self.up(h), approximate="tanh"))


class DiT(nn.Module):
    def __init__(self, side=8, patch=2, width=64, depth=4, heads=4, classes=10, features=256):
        super().__init__()
        self.side, self.patch, tokens = side, patch, (side // patch) ** 2
        self.register_buffer("freq", 1000 * torch.exp(-math.log(10000) * torch.arange(features // 2) / (features // 2)))
        self.time = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(classes + 1, width)
        self.first, self.position = nn.Linear(patch * patch, width), nn.Parameter(0.02 * torch.randn(1, tokens, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.ada, self.last = nn.Linear(width, 2 * width), nn.Linear(width, patch * patch)
        for zero in (self.ada, self.last):
            nn.init.zeros_(zero.weight), nn.init.zeros_(zero.bias)

    def forward(self, x, t, label):
        angle = t[:, None] * self.freq
        c = self.time(torch.cat([torch.cos(angle), torch.sin(angle)], dim=1)) + self.label(label)
        h = self.first(F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)) + self.position
        for b in self.blocks:
            h = b(h, c)
        shift, scale = self.ada(F.silu(c))[:, None].chunk(2, dim=-1)
        h = self.last(self.norm(h) * (1 + scale) + shift)
        return F.fold(h.transpose(1, 2), self.side, self.patch, stride=self.patch)


def train(seconds, depth, batch=128, lr=2e-3, warmup=200, decay=0.9995, dropped=0.1):
    images, labels = training_split()
    net = DiT(depth=depth)
    average = copy.deepcopy(net).requires_grad_(False)
    params, averages = list(net.parameters()), list(average.parameters())
    opt = torch.optim.AdamW(params, lr=lr, weight_decay=0.01)
    start, step = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds:
        rate = min(1, (step + 1) / warmup) * (1 + math.cos(math.pi * spent / seconds)) / 2
        for g in opt.param_groups:
            g["lr"] = lr * rate
        i = torch.randint(len(images), (batch,))
        x, label = images[i], labels[i]
        label = torch.where(torch.rand(batch) < dropped, 10, label)
        noise, t = torch.randn_like(x), torch.rand(batch)
        s = t[:, None, None, None]
        loss = F.mse_loss(net((1 - s) * x + s * noise, t, label), noise - x)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        step += 1
        torch._foreach_lerp_(averages, params, 1 - min(decay, (1 + step) / (10 + step)))
    return average, step


@torch.no_grad()
def sample(net, n, steps=20):
    """Heun from t = 1 to 0; the last step is one of Euler's."""
    label, x = torch.arange(n) % 10, torch.randn(n, 1, 8, 8)
    grid = torch.linspace(1, 0, steps + 1)
    for t, u in zip(grid[:-1], grid[1:]):
        v = net(x, t.expand(n), label)
        y = x + (u - t) * v
        x = x + (u - t) * (v + net(y, u.expand(n), label)) / 2 if u > 0 else y
    return x, label


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--depth", type=int, default=4, help="blocks: 4 have 0.33 M parameters, 3 have 0.26 M")
    p.add_argument("--lr", type=float, default=2e-3, help="learning rate after the warm-up")
    p.add_argument("--decay", type=float, default=0.9995, help="of the moving average")
    p.add_argument("--threads", type=int, default=0, help="0: torch's default")
    p.add_argument("--n", type=int, default=1000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", default="samples.safetensors")
    a = p.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    net, steps = train(a.seconds, a.depth, lr=a.lr, decay=a.decay)
    x, label = sample(net, a.n)
    save_file({"samples": x.contiguous(), "labels": label.to(torch.int32)}, a.out)
    print(json.dumps({"side": "pytorch", "params": sum(q.numel() for q in net.parameters()), "steps": steps, "seconds": a.seconds, "out": a.out}))


if __name__ == "__main__":
    main()
