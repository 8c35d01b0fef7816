"""Manifolds: SciPy's great circles, rotations and von Mises-Fisher densities; sums of wrapped normals."""

import numpy
from scipy.linalg import expm, polar
from scipy.spatial import geometric_slerp
from scipy.spatial.transform import Rotation
from scipy.special import logsumexp
from scipy.stats import vonmises_fisher

from precise import normal

PART = 0.3  # of the way along geodesics
NEAR = [1e-1, 1e-3, 1e-5]  # from the cut locus, and from the start
CONCENTRATIONS = [0.01, 1.0, 20.0, 500.0]
DEVIATIONS = [0.1, 1.0, 4.0]


def unit(x):
    return x / numpy.linalg.norm(x, axis=-1, keepdims=True)


def spheres():
    """Great circles; the last pairs are nearly the same point, and nearly antipodes."""
    out = {}
    for dim in (1, 2, 5):
        x, y = (unit(normal(500 + 2 * dim + i, (12, dim + 1)).astype(float)) for i in range(2))
        for i, d in enumerate(NEAR):
            side = unit(y[i] - x[i] * (x[i] @ y[i]))
            y[i], y[3 + i] = numpy.cos(d) * x[i] + numpy.sin(d) * side, -numpy.cos(d) * x[3 + i] + numpy.sin(d) * unit(y[3 + i] - x[3 + i] * (x[3 + i] @ y[3 + i]))
        part = numpy.stack([geometric_slerp(a, b, PART, tol=1e-12) for a, b in zip(x, y)])
        angle = 2 * numpy.arctan2(numpy.linalg.norm(y - x, axis=1), numpy.linalg.norm(y + x, axis=1))  # Kahan's, for SciPy has none
        out |= {f"sphere-{dim}/x": x, f"sphere-{dim}/y": y, f"sphere-{dim}/part": part, f"sphere-{dim}/angle": angle}
    return out


def hat(w):
    return numpy.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])


def rotations():
    """Relative rotations as vectors, part of the way by the matrix exponential, and polar decompositions."""
    n = 12
    x = Rotation.from_quat(unit(normal(520, (n, 4)).astype(float)))
    w = Rotation.from_quat(unit(normal(521, (n, 4)).astype(float))).as_rotvec()
    for i, d in enumerate(NEAR):
        w[i], w[3 + i] = unit(w[i]) * d, unit(w[3 + i]) * (numpy.pi - d)
    a = x.as_matrix()
    b = numpy.stack([m @ expm(hat(v)) for m, v in zip(a, w)])
    part = numpy.stack([m @ expm(PART * hat(v)) for m, v in zip(a, w)])
    angle = (x.inv() * Rotation.from_matrix(b)).magnitude()
    assert abs(angle - numpy.linalg.norm(w, axis=1)).max() < 1e-9
    log = numpy.stack([m @ hat(v) for m, v in zip(a, w)])
    rough = a + 0.2 * normal(522, (n, 3, 3))
    near = numpy.stack([polar(m)[0] for m in rough])
    assert (numpy.linalg.det(rough) > 0).all()
    flat = {"x": a, "y": b, "part": part, "log": log, "rough": rough, "near": near}
    return {f"rotations/{k}": v.reshape(n, 9) for k, v in flat.items()} | {"rotations/angle": numpy.linalg.norm(w, axis=1)}


def densities():
    """Of von Mises-Fisher distributions about one direction, by area, and of wrapped normals about 0, by angle."""
    x = unit(normal(530, (20, 3)).astype(float))
    mean = unit(normal(531, 3).astype(float))
    angle = numpy.linspace(-numpy.pi, numpy.pi, 20)
    out = {"vmf/x": x, "vmf/mean": mean, "wrapped/angle": angle}
    for k in CONCENTRATIONS:
        out[f"vmf/{k}"] = vonmises_fisher(mean, k).logpdf(x)
    turns = angle[:, None] + 2 * numpy.pi * numpy.arange(-60, 61)
    for s in DEVIATIONS:
        out[f"wrapped/{s}"] = logsumexp(-(turns**2) / (2 * s * s), axis=1) - numpy.log(s * numpy.sqrt(2 * numpy.pi))
    return out


def make():
    tensors = {k: numpy.ascontiguousarray(v, dtype=numpy.float64) for part in (spheres(), rotations(), densities()) for k, v in part.items()}
    return tensors, {"part": PART, "concentrations": CONCENTRATIONS, "deviations": DEVIATIONS}
