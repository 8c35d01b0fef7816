# Writes toy.json: moments E[x^i y^j], i+j ≤ 4, of each set and their standard
# errors, from the reference generators where there is a package that has them
# and from NumPy otherwise. Versions: torchcfm 1.0.7 (torchdyn 1.0.6),
# scikit-learn 1.9.1, numpy 2.4.6.
import json, pathlib
import numpy as np
import torch
from sklearn.datasets import make_swiss_roll
from torchcfm.utils import sample_8gaussians, sample_moons

torch.manual_seed(1)
np.random.seed(1)
r = np.random.default_rng(1)
N = 1_000_000

def pinwheel(n):
    f = r.standard_normal((n, 2)) * [0.3, 0.1] + [1, 0]
    a = -(2 * np.pi * r.integers(0, 5, n) / 5 + 0.25 * np.exp(f[:, 0]))
    z = 2 * (f[:, 0] + 1j * f[:, 1]) * np.exp(1j * a)
    return np.stack([z.real, z.imag], 1)

def rings(n):
    z = 0.75 * r.integers(1, 5, n) * np.exp(2j * np.pi * r.random(n))
    return np.stack([z.real, z.imag], 1) + 0.08 * r.standard_normal((n, 2))

def checkerboard(n):
    p = r.uniform(-4, 4, (4 * n, 2))
    return p[np.floor(p / 2).sum(1) % 2 == 0][:n]

sets = {
    "moons": sample_moons(N).numpy(),
    "8gaussians": torch.cat([sample_8gaussians(50_000) for _ in range(4)]).numpy(),
    "swissroll": make_swiss_roll(N, noise=1.0, random_state=1)[0][:, [0, 2]] / 5,
    "pinwheel": pinwheel(N), "rings": rings(N), "checkerboard": checkerboard(N),
}
out = {}
for name, p in sets.items():
    p = p.astype(np.float64)
    out[name] = []
    for i in range(5):
        for j in range(5 - i):
            v = p[:, 0] ** i * p[:, 1] ** j
            out[name].append({"i": i, "j": j, "mean": v.mean(), "se": v.std() / np.sqrt(len(p))})
path = pathlib.Path(__file__).parent / "toy.json"
path.write_text(json.dumps(out, indent=0) + "\n")
