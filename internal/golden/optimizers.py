"""torch's optimisers, gradient clipping and moving average over ten steps in float64."""

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from precise import normal

SHAPES = {"a": (3, 4), "b": (5,), "c": ()}
STEPS = 10
START = {k: normal(200 + i, s) for i, (k, s) in enumerate(SHAPES.items())}
# Every third gradient is large and one is zero, so that the second moments matter.
GRADS = {k: normal(210 + i, (STEPS,) + s) for i, (k, s) in enumerate(SHAPES.items())}
for _g in GRADS.values():
    _g[2::3] *= 16
    _g[4] = 0

# name: (class, arguments, learning rate of each step or None for a constant one)
OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, dict(lr=0.01), None),
    "adamw-decay": (torch.optim.AdamW, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1), None),
    "adamw-schedule": (torch.optim.AdamW, dict(lr=0.0, weight_decay=0.05), [0.0, 0.01, 0.02, 0.03, 0.04, 0.04, 0.03, 0.02, 0.01, 0.0]),
    "adam": (torch.optim.Adam, dict(lr=0.01), None),
    "adam-l2": (torch.optim.Adam, dict(lr=0.02, betas=(0.0, 0.99), eps=1e-6, weight_decay=0.1), None),
    "sgd": (torch.optim.SGD, dict(lr=0.1), None),
    "sgd-momentum": (torch.optim.SGD, dict(lr=0.01, momentum=0.9), None),
    "sgd-momentum-decay": (torch.optim.SGD, dict(lr=0.01, momentum=0.9, weight_decay=0.1), None),
    "sgd-nesterov": (torch.optim.SGD, dict(lr=0.01, momentum=0.95, nesterov=True, weight_decay=0.01), None),
    "sgd-dampening": (torch.optim.SGD, dict(lr=0.02, momentum=0.8, dampening=0.3), None),
}
CLIPS = {"below": 1000.0, "above": 1.5, "tiny": 1e-3}
EMA_DECAY = 0.9


class _Params(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for k, v in START.items():
            setattr(self, k, torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)))


def make():
    tensors = {f"start/{k}": torch.tensor(v, dtype=torch.float64).numpy() for k, v in START.items()}
    tensors.update({f"grads/{k}": v for k, v in GRADS.items()})
    cases = {}
    for name, (cls, arguments, rates) in OPTIMIZERS.items():
        model = _Params()
        optimizer = cls(model.parameters(), **arguments)
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))
        steps, averages = {k: [] for k in SHAPES}, {k: [] for k in SHAPES}
        for i in range(STEPS):
            for k, p in model.named_parameters():
                p.grad = torch.tensor(GRADS[k][i], dtype=torch.float64)
            if rates:
                optimizer.param_groups[0]["lr"] = rates[i]
            optimizer.step()
            average.update_parameters(model)
            for k, p in model.named_parameters():
                steps[k].append(p.detach().clone())
            for k, p in average.module.named_parameters():
                averages[k].append(p.detach().clone())
        for k in SHAPES:
            tensors[f"{name}/{k}"] = torch.stack(steps[k]).numpy()
            if name == "adamw":
                tensors[f"ema/{k}"] = torch.stack(averages[k]).numpy()
        # torch's full list of arguments, defaults included
        group = {k: v for k, v in optimizer.param_groups[0].items() if isinstance(v, (int, float, tuple, bool)) and k != "lr"}
        cases[name] = dict(optimizer=cls.__name__, lr=rates or [arguments["lr"]] * STEPS, options=group)
    for name, limit in CLIPS.items():
        params = [torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in START.values()]
        for k, p in zip(SHAPES, params):
            p.grad = torch.tensor(GRADS[k][0], dtype=torch.float64)
        norm = torch.nn.utils.clip_grad_norm_(params, limit)
        tensors[f"clip-{name}/norm"] = norm.numpy()
        for k, p in zip(SHAPES, params):
            tensors[f"clip-{name}/{k}"] = p.grad.numpy()
    return tensors, {"cases": cases, "clips": CLIPS, "ema_decay": EMA_DECAY}
