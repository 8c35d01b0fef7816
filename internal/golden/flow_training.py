"""Flow matching: torchcfm's own network and matcher, trained for some steps on fixed batches; losses, and a layer's last weights."""

import torch
from torchcfm.conditional_flow_matching import ConditionalFlowMatcher
from torchcfm.models.models import MLP

from precise import normal

STEPS, BATCH, SIGMA = 25, 32, 0.1
EVEN = (torch.arange(BATCH, dtype=torch.float64) + 0.5) / BATCH


def make():
    torch.manual_seed(5)
    model = MLP(dim=2, time_varying=True).double()  # float32's draws
    x0, x1, eps = (torch.tensor(normal(430 + i, (STEPS, BATCH, 2))).float() for i in range(3))
    tensors = {"x0": x0 * 4, "x1": x1, "eps": eps, "t": EVEN}
    x0, x1, eps = tensors["x0"].double(), x1.double(), eps.double()
    tensors |= {f"before/{k}": v.float() for k, v in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters())
    matcher = ConditionalFlowMatcher(sigma=SIGMA)
    losses = []
    for step in range(STEPS):
        matcher.sample_noise_like = lambda x, step=step: eps[step]
        optimizer.zero_grad()
        t, xt, ut = matcher.sample_location_and_conditional_flow(x0[step], x1[step], EVEN)
        loss = torch.mean((model(torch.cat([xt, t[:, None]], dim=-1)) - ut) ** 2)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    tensors["losses"] = torch.stack(losses)
    tensors["after"] = model.net[0].weight.detach()
    return {k: v.numpy() for k, v in tensors.items()}, {"sigma": SIGMA}
