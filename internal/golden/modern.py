"""Later optimisers over ten steps in float64: torch's Muon and Adafactor, lion-pytorch's
Lion, schedulefree's AdamW; and ema-pytorch's power-function averages, tracked and
reconstructed post hoc."""

import math
from unittest import mock

import numpy
import torch
from ema_pytorch.post_hoc_ema import KarrasEMA, sigma_rel_to_gamma, solve_weights
from lion_pytorch import Lion
from schedulefree import AdamWScheduleFree

from precise import normal

SHAPES = {"w": (6, 4), "v": (3, 8), "b": (5,), "c": ()}
STEPS = 10
START = {k: normal(300 + i, s) for i, (k, s) in enumerate(SHAPES.items())}
# As for the other optimisers: every third gradient is large and one is zero.
GRADS = {k: normal(310 + i, (STEPS,) + s) for i, (k, s) in enumerate(SHAPES.items())}
for _g in GRADS.values():
    _g[2::3] *= 16
    _g[4] = 0
RATES = [0.0, 0.01, 0.02, 0.03, 0.04, 0.04, 0.03, 0.02, 0.01, 0.0]

# name: (class, arguments, learning rate of each step or None for a constant one)
OPTIMIZERS = {
    "lion": (Lion, dict(lr=0.01), None),
    "lion-decay": (Lion, dict(lr=0.02, betas=(0.95, 0.98), weight_decay=0.1), None),
    "lion-schedule": (Lion, dict(lr=0.01, weight_decay=0.5), RATES),
    "muon": (torch.optim.Muon, dict(lr=0.05, weight_decay=0.0), None),
    "muon-match": (torch.optim.Muon, dict(lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"), RATES),
    "muon-plain": (torch.optim.Muon, dict(lr=0.02, momentum=0.8, nesterov=False, weight_decay=0.3, ns_steps=3), None),
    "adafactor": (torch.optim.Adafactor, dict(lr=0.05), None),
    "adafactor-relative": (torch.optim.Adafactor, dict(lr=10.0), None),
    "adafactor-options": (torch.optim.Adafactor, dict(lr=0.1, beta2_decay=-0.5, eps=(1e-2, 2.0), d=1.1, weight_decay=0.2), None),
    "schedule-free": (AdamWScheduleFree, dict(lr=0.01, warmup_steps=4), None),
    "schedule-free-options": (AdamWScheduleFree, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, r=1.0, weight_lr_power=1.0), None),
    "schedule-free-schedule": (AdamWScheduleFree, dict(lr=0.01), RATES),
}
SIGMA_RELS = [0.05, 0.1, 0.25]
# What is stored and what is asked for: (steps, sigma_rels) of snapshots, then targets.
SNAPSHOTS = [(t, s) for t in (250, 500, 750, 1000) for s in (0.05, 0.1)]
TARGETS = [(1000, 0.15), (1000, 0.08), (750, 0.12), (1000, 0.05), (600, 0.1)]


def _run(cls, arguments, rates):
    names = [k for k, s in SHAPES.items() if cls is not torch.optim.Muon or len(s) == 2]
    params = {k: torch.nn.Parameter(torch.tensor(START[k], dtype=torch.float64)) for k in names}
    optimizer = cls(list(params.values()), **arguments)
    group = optimizer.param_groups[0]
    free = cls is AdamWScheduleFree
    if free:
        optimizer.train()
    steps, averages, lr = {k: [] for k in names}, {k: [] for k in names}, []
    for i in range(STEPS):
        for k, p in params.items():
            p.grad = torch.tensor(GRADS[k][i], dtype=torch.float64)
        if rates:
            group["lr"] = rates[i]
        with mock.patch.object(torch, "bfloat16", torch.float64):  # Muon's iteration, in the precision of the rest
            optimizer.step()
        lr.append(group["scheduled_lr"] if free else group["lr"])
        for k, p in params.items():
            steps[k].append(p.detach().clone())
        if free:
            kept = {k: p.detach().clone() for k, p in params.items()}
            optimizer.eval()
            for k, p in params.items():
                averages[k].append(p.detach().clone())
                p.data.copy_(kept[k])
            group["train_mode"] = True
    options = {k: v for k, v in group.items() if isinstance(v, (int, float, str, tuple, bool)) and k not in ("lr", "k", "weight_sum", "lr_max", "scheduled_lr", "train_mode")}
    if "eps" in options and isinstance(options["eps"], tuple):
        eps1, options["eps2"] = options.pop("eps")
        options["eps1"] = 2.0**-52 if eps1 is None else eps1  # torch takes that of the dtype
    tensors = {k: torch.stack(v).numpy() for k, v in steps.items()}
    if free:
        tensors |= {f"average/{k}": torch.stack(v).numpy() for k, v in averages.items()}
    return tensors, dict(optimizer=cls.__name__, lr=lr, options={k: v for k, v in options.items() if v is not None})


def make():
    tensors = {f"start/{k}": numpy.asarray(v) for k, v in START.items()}
    tensors.update({f"grads/{k}": v for k, v in GRADS.items()})
    cases = {}
    for name, (cls, arguments, rates) in OPTIMIZERS.items():
        got, cases[name] = _run(cls, arguments, rates)
        tensors.update({f"{name}/{k}": v for k, v in got.items()})
    # ema-pytorch's decay is the paper's of one update later: its count is set back. Weights follow the gradients above.
    for s in SIGMA_RELS:
        model = torch.nn.Linear(4, 6).double()
        average = KarrasEMA(model, sigma_rel=s, update_every=1)
        rows = []
        for i in range(STEPS):
            model.weight.data.copy_(torch.tensor(GRADS["w"][i]))
            average.step.fill_(i - 1)
            average.update()
            rows.append(average.ema_model.weight.detach().clone())
        tensors[f"power-{s}/w"] = torch.stack(rows).numpy()
    gammas = {s: sigma_rel_to_gamma(s) for s in SIGMA_RELS + [0.15, 0.08, 0.12]}
    t = torch.tensor([float(t) for t, _ in SNAPSHOTS])
    g = torch.tensor([gammas[s] for _, s in SNAPSHOTS], dtype=torch.float64)
    for i, (step, s) in enumerate(TARGETS):
        x = solve_weights(t, g, torch.tensor([float(step)]), torch.tensor([gammas[s]], dtype=torch.float64)).numpy()[:, 0]
        tensors[f"posthoc/{i}"] = x / x.sum()
    assert math.isclose(gammas[0.05], 16.97, abs_tol=5e-3) and math.isclose(gammas[0.1], 6.94, abs_tol=5e-3)  # the paper's
    return tensors, {"cases": cases, "gammas": {str(k): v for k, v in gammas.items()}, "sigma_rels": SIGMA_RELS, "snapshots": SNAPSHOTS, "targets": TARGETS}
