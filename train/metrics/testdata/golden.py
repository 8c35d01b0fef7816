# Writes golden.json: the metrics of small sets, by other people's code where it
# exists (SciPy, POT) and by the definitions in NumPy or mpmath otherwise.
# Coordinates are multiples of 1/256, so that float32 holds them exactly.
# Beside it stats.npz and stats-float32.npz, the statistics of x as pytorch-fid keeps them, and compressed in float32.
# Versions: numpy 2.4.6, scipy 1.17.1, mpmath 1.3.0, POT 0.9.7.post1, torch-fidelity 0.4.0, prdc 0.2.
import json, pathlib
import mpmath
import numpy as np
import ot
import scipy.linalg, scipy.stats
import torch
from prdc import compute_prdc
from scipy.spatial.distance import cdist
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_mmd

r = np.random.default_rng(7)
mpmath.mp.dps = 60


def exact(a):
    return np.round(np.asarray(a) * 256) / 256


def frechet_scipy(m1, c1, m2, c2):
    return np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2 * scipy.linalg.sqrtm(c1 @ c2).real)


def frechet_mpmath(m1, c1, m2, c2):
    """By eigenvalues of sqrt(c1) c2 sqrt(c1) in 60 digits: for covariances that sqrtm cannot take."""
    a, b = mpmath.matrix(c1.tolist()), mpmath.matrix(c2.tolist())
    e, v = mpmath.eigsy(a)
    root = v * mpmath.diag([mpmath.sqrt(max(x, 0)) for x in e]) * v.T
    p = root * b * root
    e = mpmath.eigsy((p + p.T) / 2, eigvals_only=True)
    cross = sum(mpmath.sqrt(max(x, 0)) for x in e)
    mean = mpmath.fsum((mpmath.mpf(float(x)) - mpmath.mpf(float(y))) ** 2 for x, y in zip(m1, m2))
    trace = mpmath.fsum(mpmath.mpf(float(x)) for x in np.concatenate([np.diag(c1), np.diag(c2)]))
    return float(mean + trace - 2 * cross)


def covariance(d, rank, spread):
    """Exact in float64, also its rank: a sum of rank products of small-integer vectors."""
    f = np.round(r.standard_normal((d, rank)) * 16 * np.logspace(0, -spread, rank)) / 16
    return f @ f.T


frechet = []
for name, d, r1, r2, spread, how in [
    ("full rank", 2, 4, 4, 0, frechet_scipy),
    ("full rank", 5, 9, 9, 0, frechet_scipy),
    ("full rank", 16, 40, 40, 0, frechet_scipy),
    ("full rank, uneven", 8, 20, 20, 1, frechet_scipy),
    ("one of low rank", 8, 3, 20, 0, frechet_mpmath),
    ("both of low rank", 8, 3, 4, 0, frechet_mpmath),
    ("both of rank 1", 6, 1, 1, 0, frechet_mpmath),
]:
    m1, m2 = exact(r.standard_normal(d)), exact(r.standard_normal(d))
    c1, c2 = covariance(d, r1, spread), covariance(d, r2, spread)
    value = how(m1, c1, m2, c2)
    assert abs(value - frechet_mpmath(m1, c1, m2, c2)) < 1e-6 * (np.trace(c1) + np.trace(c2))
    frechet.append(dict(name=f"{name}, d={d}", mean1=m1.tolist(), cov1=c1.ravel().tolist(),
                        mean2=m2.tolist(), cov2=c2.ravel().tolist(), value=float(value)))

x, y = exact(r.standard_normal((60, 3))), exact(r.standard_normal((45, 3)) * [0.6, 1.2, 1] + [0.5, 0, 0])
K = 3


def radii(p):  # the first of the sorted distances is a point's to itself
    return np.sort(cdist(p, p), axis=1)[:, K]


inside = cdist(x, y) <= radii(x)[:, None]
manifold = dict(
    precision=inside.any(0).mean(), density=inside.sum(0).mean() / K, coverage=inside.any(1).mean(),
    recall=(cdist(x, y) <= radii(y)[None]).any(1).mean(),
    median_nearest=float(np.median(cdist(y, x).min(1))))

z = y[: len(x)]
w = x[: len(z)]
bandwidths = [0.5, 1.0, 2.0]


def kernel(a, b):
    return np.mean([np.exp(-cdist(a, b) ** 2 / (2 * h * h)) for h in bandwidths], 0)


def off_diagonal(k):
    return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))


t = np.pi * np.arange(32) / 32
theta = np.stack([np.cos(t), np.sin(t)])
distances = dict(
    w2=float(np.sqrt(ot.emd2(np.full(len(w), 1 / len(w)), np.full(len(z), 1 / len(z)), ot.dist(w, z)))),
    w2_1d=float(np.sqrt(ot.wasserstein_1d(x[:, 0], y[:, 0], p=2))),
    sliced_2d=float(ot.sliced_wasserstein_distance(x[:, :2], y[:, :2], projections=theta)),
    energy_1d=float(scipy.stats.energy_distance(x[:, 0], y[:, 0]) ** 2),
    energy=float(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()),
    bandwidths=bandwidths,
    mmd=float(off_diagonal(kernel(x, x)) + off_diagonal(kernel(y, y)) - 2 * kernel(x, y).mean()))

# Other programs' own code on the same points, in float64.
for name, value in compute_prdc(x, y, K).items():
    assert np.isclose(value, manifold[name], rtol=1e-15), name
draw = np.random.default_rng(11)
subsets = [[draw.choice(len(p), 20, replace=False) for p in (x, y)] for _ in range(6)]
kid = [float(kernel_mmd(x[i], y[j], kid_kernel="poly")) for i, j in subsets]
stats = [fid_features_to_statistics(torch.tensor(p)) for p in (x, y)]  # numpy.cov
theirs = dict(
    kid_subsets=[[i.tolist(), j.tolist()] for i, j in subsets], kid=kid, kid_mean=float(np.mean(kid)), kid_std=float(np.std(kid)),
    kid_all=float(kernel_mmd(x[: len(y)], y, kid_kernel="poly")),
    fid=fid_statistics_to_metric(stats[0], stats[1], False)["frechet_inception_distance"])
here = pathlib.Path(__file__).parent
np.savez(here / "stats.npz", mu=stats[0]["mu"], sigma=stats[0]["sigma"])
np.savez_compressed(here / "stats-float32.npz", mu=stats[0]["mu"].astype("f4"), sigma=stats[0]["sigma"].astype("f4"), arr_0=np.zeros(3, "u1"))

out = dict(frechet=frechet, x=x.ravel().tolist(), y=y.ravel().tolist(),
           manifold={k: float(v) for k, v in manifold.items()}, distances=distances, theirs=theirs)
pathlib.Path(__file__).with_name("golden.json").write_text(json.dumps(out) + "\n")
