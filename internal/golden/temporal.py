"""A U-Net along time as Chi et al. 2023 describe it (diffusion_policy's ConditionalUnet1D), written anew: output and all gradients in float64.

Parameters are stored under the names and with the axes that nn.TemporalUNet has: (kernel, in, out), of matrices (in, out).
"""

import math
import zlib

import numpy
import torch
from torch.nn import functional as F

from precise import normal

CASES = {
    # conditions scale and shift; a vector beside the time
    "film": dict(inputs=2, channels=(8, 16), kernel=3, groups=4, scale=True, time=6, vector=5, length=8, times=[999.0, 3.5, 0.0]),
    # they are added; three levels; nothing but the time
    "added": dict(inputs=3, channels=(8, 8, 16), kernel=5, groups=8, scale=False, time=8, vector=0, length=12, times=[17.0, 640.0]),
}


class Network:
    def __init__(self, name, case):
        self.case, self.parameters, self.name = case, {}, name

    def parameter(self, name, shape, fan_in):
        """In torch's layout; kept so that gradients can be asked for."""
        if name not in self.parameters:
            scale = 0.2 if name.endswith("bias") else fan_in**-0.5
            value = normal(zlib.crc32(f"{self.name}/{name}".encode()), shape, scale)
            if ".norm.weight" in name:
                value = (1 + normal(zlib.crc32(f"{self.name}/{name}".encode()), shape, 0.3)).astype(numpy.float32).astype(numpy.float64)
            self.parameters[name] = torch.tensor(value, requires_grad=True)
        return self.parameters[name]

    def linear(self, name, x, to):
        n = x.shape[-1]
        return x @ self.parameter(name + ".weight", (n, to), n) + self.parameter(name + ".bias", (to,), 1)

    def conv(self, name, x, to, kernel, stride=1):
        n = x.shape[1]
        padding = 1 if stride == 2 else kernel // 2
        return F.conv1d(x, self.parameter(name + ".weight", (to, n, kernel), n * kernel), self.parameter(name + ".bias", (to,), 1), stride, padding)

    def double(self, name, x):
        n = x.shape[1]
        return F.conv_transpose1d(x, self.parameter(name + ".weight", (n, n, 4), 2 * n), self.parameter(name + ".bias", (n,), 1), 2, 1)

    def convolve(self, name, x, to):
        h = self.conv(name + ".conv", x, to, self.case["kernel"])
        return F.mish(F.group_norm(h, self.case["groups"], self.parameter(name + ".norm.weight", (to,), 1), self.parameter(name + ".norm.bias", (to,), 1)))

    def block(self, name, x, told, to):
        h = self.convolve(name + ".conv1", x, to)
        film = self.linear(name + ".film", F.mish(told), 2 * to if self.case["scale"] else to)[:, :, None]
        h = film[:, :to] * h + film[:, to:] if self.case["scale"] else h + film
        h = self.convolve(name + ".conv2", h, to)
        return h + (x if x.shape[1] == to else self.conv(name + ".skip", x, to, 1))

    def __call__(self, x, t, vector):
        case, dim = self.case, self.case["time"]
        angle = t[:, None] * torch.tensor([math.exp(-math.log(10000) * k / (dim // 2 - 1)) for k in range(dim // 2)], dtype=torch.float64)
        told = torch.cat([angle.sin(), angle.cos()], 1)
        told = self.linear("time.fc2", F.mish(self.linear("time.fc1", told, 4 * dim)), dim)
        if vector is not None:
            told = torch.cat([told, vector], 1)
        h, kept, channels = x.transpose(1, 2), [], case["channels"]
        for i, c in enumerate(channels):
            h = self.block(f"down.{i}.block1", h, told, c)
            h = self.block(f"down.{i}.block2", h, told, c)
            kept.append(h)
            if i < len(channels) - 1:
                h = self.conv(f"down.{i}.halve", h, c, 3, 2)
        for i in range(2):
            h = self.block(f"mid.{i}", h, told, channels[-1])
        for i, c in enumerate(reversed(channels[:-1])):
            h = torch.cat([h, kept.pop()], 1)
            h = self.block(f"up.{i}.block1", h, told, c)
            h = self.block(f"up.{i}.block2", h, told, c)
            h = self.double(f"up.{i}.double", h)
        return self.conv("out", self.convolve("last", h, channels[0]), case["inputs"], 1).transpose(1, 2)


def stored(name, value):
    """With the axes that Go has."""
    value = value.detach().numpy()
    return value.transpose(2, 1, 0) if value.ndim == 3 else value


def make(name):
    case = CASES[name]
    n, length, inputs = len(case["times"]), case["length"], case["inputs"]
    network = Network(name, case)
    x = torch.tensor(normal(zlib.crc32(f"{name}/x".encode()), (n, length, inputs)), requires_grad=True)
    vector = None
    if case["vector"]:
        vector = torch.tensor(normal(zlib.crc32(f"{name}/vector".encode()), (n, case["vector"])), requires_grad=True)
    y = network(x, torch.tensor(case["times"], dtype=torch.float64), vector)
    upstream = normal(zlib.crc32(f"{name}/upstream".encode()), tuple(y.shape))
    y.backward(torch.tensor(upstream))
    tensors = {"x": x.detach().numpy(), "t": numpy.array(case["times"]), "y": y.detach().numpy(), "upstream": upstream, "grad/x": x.grad.numpy()}
    if vector is not None:
        tensors |= {"vector": vector.detach().numpy(), "grad/vector": vector.grad.numpy()}
    for key, p in network.parameters.items():
        assert float(p.grad.abs().max()) > 0, key
        tensors["param/" + key] = stored(key, p).astype(numpy.float32)
        tensors["grad/" + key] = stored(key, p.grad)
    return tensors, {"case": {k: v for k, v in case.items()}}
