"""Flow matching: torchcfm's matchers on fixed ends, times and noise; POT's plans; SciPy's costs of assignments."""

import warnings

import numpy
import ot
import torch
from scipy.optimize import linear_sum_assignment
from torchcfm.conditional_flow_matching import (
    ConditionalFlowMatcher,
    ExactOptimalTransportConditionalFlowMatcher,
    SchrodingerBridgeConditionalFlowMatcher,
    TargetConditionalFlowMatcher,
    VariancePreservingConditionalFlowMatcher,
)
from torchcfm.optimal_transport import OTPlanSampler

from precise import normal

N, DIM = 24, 3
MATCHERS = {
    "icfm": (ConditionalFlowMatcher, 0.1),
    "icfm-0": (ConditionalFlowMatcher, 0.0),
    "otcfm": (ExactOptimalTransportConditionalFlowMatcher, 0.1),
    "target": (TargetConditionalFlowMatcher, 1e-2),
    "target-0": (TargetConditionalFlowMatcher, 0.0),
    "sbcfm": (SchrodingerBridgeConditionalFlowMatcher, 0.5),
    "vp": (VariancePreservingConditionalFlowMatcher, 0.1),
}
REGULARISATIONS = [0.2, 0.5, 2.0, 50.0]


def matchers():
    """Locations and targets, torchcfm's own code; the loss is that of a model that answers t·x_t."""
    x0, x1, eps = (torch.tensor(normal(400 + i, (N, DIM)), dtype=torch.float64) for i in range(3))
    x1 = (x1 * 2 + 1).float().double()
    t = torch.tensor((numpy.arange(N) + 0.5) / N).float().double()
    t[0], t[1] = 2.0**-10, 1 - 2.0**-10
    yield {"matcher/x0": x0, "matcher/x1": x1, "matcher/t": t, "matcher/eps": eps}
    for name, (cls, sigma) in MATCHERS.items():
        m = cls(sigma=sigma)
        m.sample_noise_like = lambda x: eps
        if hasattr(m, "ot_sampler"):  # the pairs as they stand: plans are compared below
            m.ot_sampler.sample_plan = lambda a, b: (a, b)
        # The target's x_t is t·x1 + σ_t·x0 with x0 the noise: it draws ε, and takes no x0.
        got_t, xt, ut = m.sample_location_and_conditional_flow(x0, x1, t)
        assert torch.equal(got_t, t)
        loss = torch.mean((t[:, None] * xt - ut) ** 2)
        yield {f"matcher/{name}/xt": xt, f"matcher/{name}/ut": ut, f"matcher/{name}/loss": loss}


def plans():
    """The exact plan as each row's column, and entropic plans."""
    n = 40
    x0, x1 = (torch.tensor(normal(410 + i, (n, 2)), dtype=torch.float64) for i in range(2))
    x1 = x1 * 0.5 + 1
    out = {"plan/x0": x0, "plan/x1": x1}
    exact = OTPlanSampler("exact").get_map(x0, x1)
    out["plan/exact"] = exact.argmax(1).astype(numpy.int64)
    cost = (torch.cdist(x0, x1) ** 2).numpy()
    unit = ot.unif(n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none may stop short
        for reg in REGULARISATIONS:
            out[f"plan/sinkhorn-{reg}"] = ot.sinkhorn(unit, unit, cost, reg, method="sinkhorn_log", numItermax=1000000, stopThr=1e-13)
        same = OTPlanSampler("sinkhorn", reg=2.0).get_map(x0, x1)  # what torchcfm itself calls
        assert abs(same - out["plan/sinkhorn-2.0"]).max() < 1e-6
    return out


# Assignments: costs are whole numbers made of a hash of seed and place, here and in Go.
KINDS = ["uniform", "few", "equal", "negative", "points", "copies", "products", "wide"]
SIZES = [(600, 1, 48), (300, 49, 160), (84, 161, 640), (12, 641, 1536), (4, 2048, 2048)]


def hashed(seed, i):
    """splitmix64 of seed·2³² + i."""
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) * numpy.uint64(1 << 32) + i.astype(numpy.uint64) + numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))


def instance(kind, n, seed):
    h = hashed(seed, numpy.arange(n * n)).reshape(n, n)
    small = lambda h, m: (h % numpy.uint64(m)).astype(numpy.float64)
    match kind:
        case "uniform":
            return small(h, 1 << 24)
        case "few":
            return small(h, 3)
        case "equal":
            return numpy.full((n, n), 7.0)
        case "negative":
            return -small(h, 1 << 20)
        case "products":  # Machol and Wien's
            i = numpy.arange(1, n + 1, dtype=numpy.float64)
            return i[:, None] * i[None, :]
        case "wide":
            return numpy.exp2(small(h, 40))
    span = 1 << 16 if kind == "points" else 4
    p = small(hashed(seed, numpy.arange(4 * n)), span).reshape(2, n, 2)
    return ((p[0][:, None] - p[1][None]) ** 2).sum(-1)


def assignments():
    kinds, sizes, costs = [], [], []
    seed = 0
    for count, lo, hi in SIZES:
        for _ in range(count):
            kind = seed % len(KINDS)
            n = lo + int(hashed(seed, numpy.array([1 << 31]))[0] % numpy.uint64(hi - lo + 1))
            c = instance(KINDS[kind], n, seed)
            row, col = linear_sum_assignment(c)
            total = c[row, col].sum()
            assert total == int(total) and abs(total) < 2**53
            kinds.append(kind), sizes.append(n), costs.append(int(total))
            seed += 1
    return {"assign/kind": numpy.array(kinds), "assign/n": numpy.array(sizes), "assign/cost": numpy.array(costs)}


def make():
    tensors = {}
    for part in (*matchers(), plans(), assignments()):
        tensors.update({k: v.numpy() if torch.is_tensor(v) else v for k, v in part.items()})
    metadata = {"sigma": {k: s for k, (_, s) in MATCHERS.items()}, "regularisations": REGULARISATIONS, "kinds": KINDS}
    return tensors, metadata
