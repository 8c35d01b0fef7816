"""Losses and gradients of few-step distillation in PyTorch, float64, from the papers' formulas on fixed weights, data and noise.

Consistency models (Song et al. 2023, algorithms 2 and 3; Song and Dhariwal 2024, table 1; Geng et al. 2024 and the loss
of its code) are written in their own variable: x~ = data + sigma·noise, whatever path the network is on. Progressive
distillation is algorithm 2 of Salimans and Ho 2022, guided distillation eq. 5 of Meng et al. 2023, continuous-time consistency
algorithm 1 of Lu and Song 2025 in TrigFlow's variable, its Jacobian-vector product torch's; consistency trajectory models are eq. 6 to 9 of
Kim et al. 2024, distribution matching eq. 1 and sec. 4 of Yin et al. 2024 (DMD2) with the normalisation of its code, mean flows eq. 6 and 11 of Geng et
al. 2025. Written on its own, not from the Go code.
"""

import numpy
import torch

from precise import normal

N, DIM, HIDDEN, CLASSES = 6, 3, 8, 2
SD = 0.5  # of the data
EPSILON, LARGEST = 0.002, 80.0
BETA = (0.1, 20.0)
PARTS = {"w1": (DIM, HIDDEN), "wt": (HIDDEN,), "ws": (HIDDEN,), "b1": (HIDDEN,), "emb": (CLASSES + 1, HIDDEN), "w2": (HIDDEN, DIM), "b2": (DIM,), "wj": (HIDDEN,)}


def tensor(a):
    return torch.tensor(numpy.asarray(a).astype(numpy.float32).astype(numpy.float64))


def weights(seed):
    return {k: tensor(normal(seed + i, shape, 0.6)) for i, (k, shape) in enumerate(PARTS.items())}


STUDENT, TEACHER, TARGET = weights(900), weights(920), weights(940)
DATA, NOISE = tensor(normal(960, (N, DIM), 0.6)), tensor(normal(961, (N, DIM)))
LABELS = torch.tensor([0, 1, 2, 1, 0, 2])  # 2 stands for no class
SCALE = tensor([0.0, 1.0, 0.25, 0.5, 0.75, 0.125])  # what the network is told of guidance


def features(w, x, t, labels=LABELS, scale=None, jump=None):
    h = x @ w["w1"] + t[:, None] * w["wt"] + w["b1"] + w["emb"][labels]
    if scale is not None:
        h = h + scale[:, None] * w["ws"]
    if jump is not None:
        h = h + jump[:, None] * w["wj"]
    return torch.tanh(h)


def net(w, x, t, **more):
    return features(w, x, t, **more) @ w["w2"] + w["b2"]


# A head on features: whether they are of data.
HEAD = {k: tensor(normal(990 + i, shape, 0.6)) for i, (k, shape) in enumerate({"h1": (HIDDEN, HIDDEN), "c1": (HIDDEN,), "h2": (HIDDEN, 1), "c2": (1,)}.items())}


def logits(path, w, head, x, t, **more):
    """Of samples as the path has them at t."""
    h = path.features(w, x, t, **more) @ head["h1"] + head["c1"]
    return ((h * torch.sigmoid(h)) @ head["h2"] + head["c2"])[:, 0]


def told_apart(real, made):
    """The discriminator's loss: −log D(data) − log(1 − D(made))."""
    return -torch.log(torch.sigmoid(real)).mean() - torch.log(1 - torch.sigmoid(made)).mean()


def passed_off(made):
    """The generator's, which does not saturate: −log D(made)."""
    return -torch.log(torch.sigmoid(made)).mean()


class Edm:
    """x = data + t·noise; the network gives F."""

    def coefficients(self, t):
        return torch.ones_like(t), t

    def time(self, level):
        return level

    def features(self, w, x, t, **more):
        return features(w, x / (t[:, None] ** 2 + SD**2).sqrt(), t.log() / 4, **more)

    def denoise(self, w, x, t, **more):
        s = t[:, None]
        c_in, c_skip, c_out = 1 / (s**2 + SD**2).sqrt(), SD**2 / (s**2 + SD**2), s * SD / (s**2 + SD**2).sqrt()
        return c_skip * x + c_out * net(w, c_in * x, t.log() / 4, **more)


class Straight:
    """x = (1-t)·data + t·noise; the network gives noise - data."""

    def coefficients(self, t):
        return 1 - t, t

    def time(self, level):
        return level / (1 + level)

    def features(self, w, x, t, **more):
        return features(w, x, t, **more)

    def denoise(self, w, x, t, **more):
        return x - t[:, None] * net(w, x, t, **more)


class Preserving:
    """The variance-preserving SDE of a linear beta; the network gives the noise."""

    def integral(self, t):
        return BETA[0] * t + (BETA[1] - BETA[0]) * t**2 / 2

    def coefficients(self, t):
        b = self.integral(t)
        return (-b / 2).exp(), (-torch.expm1(-b)).sqrt()

    def time(self, level):
        # level² = e^b - 1
        b = torch.log1p(level**2)
        d = BETA[1] - BETA[0]
        return (-BETA[0] + (BETA[0] ** 2 + 2 * d * b).sqrt()) / d

    def features(self, w, x, t, **more):
        return features(w, x, t, **more)

    def denoise(self, w, x, t, **more):
        a, s = self.coefficients(t)
        return (x - s[:, None] * net(w, x, t, **more)) / a[:, None]


class Circle:
    """x = cos(pi t/2)·data + sin(pi t/2)·noise; the network gives v, the noise, or the data."""

    def __init__(self, predicts):
        self.predicts = predicts

    def coefficients(self, t):
        return (t * torch.pi / 2).cos(), (t * torch.pi / 2).sin()

    def denoise(self, w, x, t, **more):
        a, s = (c[:, None] for c in self.coefficients(t))
        out = net(w, x, t, **more)
        return {"v": a * x - s * out, "eps": (x - s * out) / a, "x0": out}[self.predicts]


CONSISTENCY_PATHS = {"edm": Edm(), "condot": Straight(), "vp": Preserving()}


def consistency(path, w, x, level, **more):
    """f of x~ at noise levels."""
    t = path.time(level)
    alpha = path.coefficients(t)[0][:, None]
    data, s = path.denoise(w, alpha * x, t, **more), level[:, None]
    raw = (data - SD**2 / (s**2 + SD**2) * x) / (s * SD / (s**2 + SD**2).sqrt())  # F
    c_skip, c_out = SD**2 / ((s - EPSILON) ** 2 + SD**2), (s - EPSILON) * SD / (s**2 + SD**2).sqrt()
    return c_skip * x + c_out * raw


def slope(path, w, x, level, **more):
    t = path.time(level)
    data = path.denoise(w, path.coefficients(t)[0][:, None] * x, t, **more)
    return (x - data) / level[:, None]


def solve(path, x, high, low, heun, guide):
    d = slope(path, TEACHER, x, high)
    if guide is not None:
        d = guide(x, high)
    step = (low - high)[:, None]
    end = x + step * d
    if not heun:
        return end
    d2 = slope(path, TEACHER, end, low) if guide is None else guide(end, low)
    return x + step * (d + d2) / 2


def distance(a, b, huber):
    e = (a - b).pow(2).sum(1)
    c = huber * DIM**0.5
    return (e + c**2).sqrt() - c if huber else e / DIM


def weight(kind, high, low):
    return {"even": torch.ones_like(high), "step": 1 / (high - low), "edm": (high**2 + SD**2) / (high * SD) ** 2}[kind]


def karras(n):
    """Noise levels, rising: EDM's formula from the largest down, reversed."""
    i = torch.arange(n, dtype=torch.float64)
    return (EPSILON ** (1 / 7) + i / (n - 1) * (LARGEST ** (1 / 7) - EPSILON ** (1 / 7))) ** 7


# Samples are compared at neighbours of 18 levels, of 11, and at ECT's pairs of stages 0 and 3: name → path, teacher's step, huber, weight, levels, own average, guidance
CONSISTENCY_CASES = {
    "cd-edm": ("edm", "heun", 0.0, "even", 18, True, None),
    "cd-condot": ("condot", "heun", 0.0, "even", 18, True, None),
    "cd-vp": ("vp", "euler", 0.03, "even", 18, True, None),
    "cd-told": ("condot", "heun", 0.0, "even", 18, False, (1.0, 4.0)),
    "ict-edm": ("edm", "", 0.00054, "step", 11, False, None),
    "ict-condot": ("condot", "", 0.00054, "step", 11, False, None),
    "ect-edm": ("edm", "", 0.06, "step", 0, False, None),
    "ect-vp": ("vp", "", 0.0, "edm", 3, False, None),
}


def easy(level, stage, q=2.0, k=8.0, b=1.0):
    """locuslab/ect's t_to_r_sigmoid."""
    adj = 1 + k * torch.sigmoid(-b * level)
    return torch.clamp(level * (1 - 1 / q ** (stage + 1) * adj), min=0)


ECT_LEVELS = tensor([0.01, 0.3, 1.5, 3.0, 9.0, 40.0])


def consistency_case(name):
    path_name, solver, huber, kind, count, average, scales = CONSISTENCY_CASES[name]
    path = CONSISTENCY_PATHS[path_name]
    if name.startswith("ect"):
        high, low = ECT_LEVELS, easy(ECT_LEVELS, count)
    else:
        i = torch.tensor([0, 3, 5, 6, 8, 9])
        high, low = karras(count)[i + 1], karras(count)[i]
    w = {k: v.clone().requires_grad_() for k, v in STUDENT.items()}
    told = {"scale": SCALE} if scales else {}
    guide = None
    if scales:
        strength = (scales[0] + (scales[1] - scales[0]) * SCALE)[:, None]
        none = torch.full_like(LABELS, CLASSES)
        guide = lambda x, level: slope(path, TEACHER, x, level, labels=none) * (1 - strength) + slope(path, TEACHER, x, level) * strength
    x = DATA + high[:, None] * NOISE
    with torch.no_grad():
        below = solve(path, x, high, low, solver == "heun", guide) if solver else DATA + low[:, None] * NOISE
        v = TARGET if average else w
        answer = consistency(path, v, below, torch.clamp(low, min=EPSILON), **told)
        answer = torch.where((low <= EPSILON)[:, None], below, answer)
    loss = (weight(kind, high, low) * distance(consistency(path, w, x, high, **told), answer, huber)).mean()
    loss.backward()
    return {"t": path.time(high), "r": torch.where(low > 0, path.time(low), low), "loss": loss.detach(), **{f"grad/{k}": w[k].grad for k in ("w1", "w2", "emb")}}


# name → path, skips, the student's own average, guidance that it is told one of
LATENT_CASES = {"lcm-vp": ("vp", 20, True, (1.0, 4.0)), "lcm-condot": ("condot", 10, False, None)}
HUBER = 0.001


def latent_case(name):
    """Algorithm 1 of Luo et al. 2023 with the parametrisation of its code (timestep_scaling 10 of 1000 timesteps)."""
    path_name, skips, average, scales = LATENT_CASES[name]
    path, w = CONSISTENCY_PATHS[path_name], {k: v.clone().requires_grad_() for k, v in STUDENT.items()}
    j = torch.tensor([0, 1, 4, 6, 8, 9], dtype=torch.float64)
    t, s = (j + 1) / skips, j / skips
    told = {"scale": SCALE} if scales else {}

    def f(w, x, t):
        tau = (10 * 1000 * t)[:, None]
        asked = torch.where(t > 0, t, torch.ones_like(t))  # at t=0 nothing is asked
        return 0.5**2 / (tau**2 + 0.5**2) * x + tau / (tau**2 + 0.5**2).sqrt() * path.denoise(w, x, asked, **told)

    def ddim(x, t, s, labels):
        (a, b), (c, d) = path.coefficients(t), path.coefficients(s)
        data = path.denoise(TEACHER, x, t, labels=labels)
        noise = (x - a[:, None] * data) / b[:, None]
        return c[:, None] * data + d[:, None] * noise - x  # the paper's Psi

    a, b = path.coefficients(t)
    x = a[:, None] * DATA + b[:, None] * NOISE
    with torch.no_grad():
        below = x + ddim(x, t, s, LABELS)
        if scales:
            omega = (scales[0] + (scales[1] - scales[0]) * SCALE - 1)[:, None]
            below = x + (1 + omega) * ddim(x, t, s, LABELS) - omega * ddim(x, t, s, torch.full_like(LABELS, CLASSES))
        answer = f(TARGET if average else w, below, s)
    loss = (((f(w, x, t) - answer) ** 2 + HUBER**2).sqrt() - HUBER).mean()
    loss.backward()
    return {"t": t, "s": s, "loss": loss.detach(), **{f"grad/{k}": w[k].grad for k in ("w1", "w2", "emb")}}


# name → prediction, weighting, the teacher's steps in all, those of the student, guidance that the teacher has
PROGRESSIVE_CASES = {
    "pd-v": ("v", "snr_plus_one", 8, 4, 1.0),
    "pd-eps": ("eps", "truncated_snr", 8, 4, 1.0),
    "pd-x0": ("x0", "truncated_snr", 12, 3, 1.0),
    "pd-guided": ("v", "truncated_snr", 8, 4, 2.5),
}


def progressive_case(name):
    predicts, kind, teacher_steps, steps, scale = PROGRESSIVE_CASES[name]
    path, w = Circle(predicts), {k: v.clone().requires_grad_() for k, v in STUDENT.items()}
    # eps says nothing of the data at t=1: its samples begin below
    top = 0.9375 if predicts == "eps" else 1.0
    grid = top * torch.arange(teacher_steps, -1, -1, dtype=torch.float64) / teacher_steps
    per = teacher_steps // steps
    first = per * torch.tensor([0, 1, 2, steps - 1, steps - 2, 0])  # the fourth sample is in the last step
    t, s = grid[first], grid[first + per]
    alpha = lambda u: path.coefficients(u)[0][:, None]
    sigma = lambda u: path.coefficients(u)[1][:, None]

    def teacher(z, u):
        x = path.denoise(TEACHER, z, u)
        if scale != 1:
            none = path.denoise(TEACHER, z, u, labels=torch.full_like(LABELS, CLASSES))
            x = none + scale * (x - none)
        return x

    z = alpha(t) * DATA + sigma(t) * NOISE
    with torch.no_grad():
        end = z
        for i in range(per):
            u, v = grid[first + i], grid[first + i + 1]
            x = teacher(end, u)
            end = alpha(v) * x + sigma(v) / sigma(u) * (end - alpha(u) * x)
        ratio = sigma(s) / sigma(t)
        target = (end - ratio * z) / (alpha(s) - ratio * alpha(t))
    snr = (alpha(t) / sigma(t)) ** 2
    factor = {"truncated_snr": torch.maximum(snr, torch.ones_like(snr)), "snr_plus_one": 1 + snr}[kind]
    loss = (factor * (path.denoise(w, z, t) - target) ** 2).mean()
    loss.backward()
    return {"grid": grid, "t": t, "s": s, "loss": loss.detach(), **{f"grad/{k}": w[k].grad for k in ("w1", "w2", "emb")}}


# name → scales that the student is told one of, or the one that it has in it
GUIDANCE_CASES = {"guidance-told": (1.0, 5.0), "guidance-built": (3.0, 3.0)}


def guidance_case(name):
    low, high = GUIDANCE_CASES[name]
    w = {k: v.clone().requires_grad_() for k, v in STUDENT.items()}
    t = tensor([0.0, 0.1, 0.35, 0.6, 0.85, 1.0])
    x = (1 - t)[:, None] * DATA + t[:, None] * NOISE
    strength = low + (high - low) * SCALE[:, None] if high > low else low
    with torch.no_grad():
        c, u = net(TEACHER, x, t), net(TEACHER, x, t, labels=torch.full_like(LABELS, CLASSES))
        # Ho and Salimans's (1+w)·c − w·u with w = s−1
        target = strength * c - (strength - 1) * u
    loss = ((net(w, x, t, **({"scale": SCALE} if high > low else {})) - target) ** 2).mean()
    loss.backward()
    return {"t": t, "loss": loss.detach(), **{f"grad/{k}": w[k].grad for k in ("w1", "w2", "emb")}}


# name → path, the way's direction, part of the tangent's warm-up, constant of its normalisation, by mean squares, guidance that the teacher has
CONTINUOUS_CASES = {
    "scm-edm": ("edm", "teacher", 1.0, 0.1, False, 1.0),
    "scm-condot": ("condot", "teacher", 0.3, 0.1, False, 2.0),
    "scm-vp": ("vp", "data", 1.0, 0.1, False, 1.0),
    "sct-edm": ("edm", "data", 0.75, 0.1, True, 1.0),
}


def trigonometric(path, w, x, t, **more):
    """F of TrigFlow (Lu and Song 2025): f = cos(t)·x − sin(t)·sd·F is the estimate of the data, x = cos(t)·data + sin(t)·sd·noise."""
    level = SD * torch.tan(t)
    at = path.time(level)
    plain = x / torch.cos(t)[:, None]  # data + level·noise
    data = path.denoise(w, path.coefficients(at)[0][:, None] * plain, at, **more)
    return (torch.cos(t)[:, None] * x - data) / (torch.sin(t)[:, None] * SD)


def continuous_case(name):
    """Algorithm 1 of Lu and Song 2025, without the network of weights."""
    path_name, velocity, r, c, rms, scale = CONTINUOUS_CASES[name]
    path, w = CONSISTENCY_PATHS[path_name], {k: v.clone().requires_grad_() for k, v in STUDENT.items()}
    level = tensor([0.01, 0.1, 0.4, 1.1, 5.0, 60.0])
    t = torch.atan(level / SD)
    cos, sin = torch.cos(t)[:, None], torch.sin(t)[:, None]
    z = SD * NOISE
    x = cos * DATA + sin * z
    with torch.no_grad():
        if velocity == "teacher":
            f = trigonometric(path, TEACHER, x, t)
            if scale != 1:
                none = trigonometric(path, TEACHER, x, t, labels=torch.full_like(LABELS, CLASSES))
                f = none + scale * (f - none)
            v = SD * f
        else:
            v = cos * z - sin * DATA
        fixed = {k: p.detach() for k, p in w.items()}
        own, rate = torch.func.jvp(lambda x, t: trigonometric(path, fixed, x, t), (x, t), (cos * sin * v, (cos * sin)[:, 0]))
        g = -(cos**2) * (SD * own - v) - r * (cos * sin * x + SD * rate)
        norm = g.pow(2).mean(1, keepdim=True).sqrt() if rms else g.norm(dim=1, keepdim=True)
        g = g / (norm + c)
    loss = (trigonometric(path, w, x, t) - own - g).pow(2).mean()
    loss.backward()
    return {"t": path.time(level), "loss": loss.detach(), **{f"grad/{k}": w[k].grad for k in ("w1", "w2", "emb")}}


def clock(path, t):
    """The network's own time."""
    return t.log() / 4 if isinstance(path, Edm) else t


# name → path, levels, levels of t, u and s of each sample, pseudo-Huber constant, weight of denoising, by balance, guidance, weight of the adversarial term (0: no
# discriminator), whether the student has it by now
TRAJECTORY_CASES = {
    "ctm-edm": ("edm", 18, [1, 3, 9, 12, 16, 17], [0, 2, 5, 8, 12, 16], [0, 0, 5, 1, 0, 15], 0.0, 1.0, False, 1.0, 0.0, False),
    "ctm-condot": ("condot", 10, [1, 2, 5, 7, 9, 9], [0, 1, 3, 5, 5, 8], [0, 0, 3, 2, 0, 7], 0.03, 0.5, True, 2.5, 0.0, False),
    "ctm-vp": ("vp", 12, [1, 4, 6, 9, 11, 11], [0, 3, 3, 8, 7, 10], [0, 1, 0, 8, 6, 2], 0.0, 1.0, True, 1.0, 0.0, False),
    "ctm-gan-edm": ("edm", 18, [1, 3, 9, 12, 16, 17], [0, 2, 5, 8, 12, 16], [0, 0, 5, 1, 0, 15], 0.0, 0.7, False, 1.0, 0.3, True),
    "ctm-gan-condot": ("condot", 10, [1, 2, 5, 7, 9, 9], [0, 1, 3, 5, 5, 8], [0, 0, 3, 2, 0, 7], 0.03, 0.5, True, 2.5, 0.8, True),
    "ctm-gan-late": ("vp", 12, [1, 4, 6, 9, 11, 11], [0, 3, 3, 8, 7, 10], [0, 1, 0, 8, 6, 2], 0.0, 1.0, True, 1.0, 0.8, False),
}
JUDGE = weights(980)  # the discriminator's network


def trajectory_case(name):
    """Consistency trajectory models; the balance is of gradients by the network's outputs. The discriminator is asked at the least noise level."""
    path_name, count, ts, us, ss, huber, part, balance, scale, adversarial, late = TRAJECTORY_CASES[name]
    path, w = CONSISTENCY_PATHS[path_name], {k: v.clone().requires_grad_() for k, v in STUDENT.items()}
    judge, head = ({k: v.clone().requires_grad_() for k, v in of.items()} for of in (JUDGE, HEAD))
    levels = karras(count)
    t, u, s = levels[ts], levels[us], levels[ss]

    def g(w, x, t, s):
        at, to = path.time(t), path.time(s)
        return path.denoise(w, path.coefficients(at)[0][:, None] * x, at, jump=clock(path, at) - clock(path, to))

    def big(w, x, t, s):
        r = (s / t)[:, None]
        return r * x + (1 - r) * g(w, x, t, s)

    def guide(x, level):
        c, n = slope(path, TEACHER, x, level), slope(path, TEACHER, x, level, labels=torch.full_like(LABELS, CLASSES))
        return n + scale * (c - n)

    least = torch.full_like(s, EPSILON)
    x = DATA + t[:, None] * NOISE
    with torch.no_grad():
        end, now = x, torch.tensor(ts)
        while (now > torch.tensor(us)).any():
            go = now > torch.tensor(us)
            down = torch.where(go, now - 1, now)
            end = solve(path, end, levels[now], levels[down], True, guide)
            now = down
        target = big(TARGET, big(TARGET, end, u, s), s, least)
    raw = net
    made = []

    def watched(*a, **k):  # remembers what the student's network says
        y = raw(*a, **k)
        if a[0] is w:
            made.append(y)
        return y

    globals()["net"] = watched
    there = big(w, x, t, s)
    estimate = big(TARGET, there, s, least)
    soft = distance(estimate, target, huber).mean()
    still = g(w, x, t, t)
    globals()["net"] = raw
    weights = (t**2 + SD**2) / (t * SD) ** 2
    dsm = (weights[:, None] * (still - DATA) ** 2).mean()

    def ratio(term, said):
        if not balance:
            return 1.0
        a = torch.autograd.grad(soft, made[0], retain_graph=True)[0].norm()
        b = torch.autograd.grad(term, said, retain_graph=True)[0].norm()
        return torch.clamp(a / b, max=1e4).detach()

    out = {"t": path.time(t), "s": path.time(s)}
    loss = soft + part * ratio(dsm, made[1]) * dsm
    if adversarial and late:
        fooling = passed_off(logits(path, JUDGE, HEAD, estimate, path.time(least)))
        loss = loss + adversarial * ratio(fooling, made[0]) * fooling
    loss.backward()
    out |= {f"grad/{k}": w[k].grad for k in ("w1", "w2", "emb", "wj")}
    if adversarial:
        apart = told_apart(*(logits(path, judge, head, y, path.time(least)) for y in (DATA, estimate.detach())))
        apart.backward()
        loss = loss + apart
        out |= {f"critic/{k}": judge[k].grad for k in ("w1", "b1", "emb")} | {f"head/{k}": head[k].grad for k in head}
    return out | {"loss": loss.detach()}


CRITIC_T, ON_T = [0.1, 0.35, 0.5, 0.65, 0.8, 0.95], [0.9, 0.6, 0.45, 0.3, 0.7, 0.15]  # on the edm path: ten times that
ON, CRITIC_NOISE, ANEW = (tensor(normal(970 + i, (N, DIM))) for i in range(3))
MADE, REAL, FOOL = (tensor(normal(975 + i, (N, DIM))) for i in range(3))
# name → path, times of the generator's steps, each sample's, whether it is the generator's turn, guidance, critic, weights of the adversarial term (0: no
# discriminator) and of the discriminator's loss
MATCHING_CASES = {
    "dmd-edm": ("edm", [80.0], [0] * 6, True, 1.0, "network", 0.0, 0.0),
    "dmd-condot": ("condot", [1.0, 0.75, 0.5], [0, 1, 2, 2, 1, 0], True, 2.0, "network", 0.0, 0.0),
    "dmd-vp": ("vp", [1.0, 0.5], [1, 1, 0, 1, 0, 0], True, 1.0, "network", 0.0, 0.0),
    "dmd-critic": ("condot", [1.0, 0.5], [0, 1, 0, 1, 1, 0], False, 1.0, "network", 0.0, 0.0),
    "dmd-gan-edm": ("edm", [80.0], [0] * 6, True, 1.0, "network", 0.3, 0.7),
    "dmd-gan-condot": ("condot", [1.0, 0.75, 0.5], [0, 1, 2, 2, 1, 0], True, 2.0, "network", 0.6, 0.2),
    "dmd-gan-critic": ("vp", [1.0, 0.5], [0, 1, 0, 1, 1, 0], False, 1.0, "network", 0.3, 0.7),
    "sds-condot": ("condot", [1.0], [0] * 6, True, 3.0, "sds", 0.0, 0.0),
}


def matching_case(name):
    """DMD2's gradient as its code normalises it, and the critic's loss in what its network predicts, which begins as TARGET."""
    path_name, steps, which, turn, scale, critic, adversarial, judging = MATCHING_CASES[name]
    path = CONSISTENCY_PATHS[path_name]
    w, v, head = ({k: p.clone().requires_grad_() for k, p in of.items()} for of in (STUDENT, TARGET, HEAD))
    column = lambda c: c[:, None]
    which = torch.tensor(which)
    times = torch.tensor(steps, dtype=torch.float64)
    at = torch.tensor(ON_T, dtype=torch.float64) * (10 if path_name == "edm" else 1)
    other = torch.tensor(CRITIC_T, dtype=torch.float64) * (10 if path_name == "edm" else 1)
    a0, s0 = path.coefficients(times[:1])
    x = NOISE * (s0 if path_name == "edm" else 1.0)
    with torch.no_grad():
        for k in range(int(which.max())):
            data = path.denoise(w, x, times[torch.full((N,), k)])
            a, s = path.coefficients(times[k + 1 : k + 2])
            x = torch.where(column(which > k), a * data + s * ANEW, x)  # the same noise between all steps
    x = path.denoise(w, x, times[which])

    def real(x, t):
        c, n = path.denoise(TEACHER, x, t), path.denoise(TEACHER, x, t, labels=torch.full_like(LABELS, CLASSES))
        return n + scale * (c - n)

    loss = torch.zeros((), dtype=torch.float64)
    if turn:
        with torch.no_grad():
            a, s = path.coefficients(at)
            noisy = column(a) * x + column(s) * ON
            pred_real = real(noisy, at)
            pred_fake = path.denoise(v, noisy, at) if critic == "network" else x
            p_real, p_fake = x - pred_real, x - pred_fake
            grad = (p_real - p_fake) / p_real.abs().mean(1, keepdim=True)
        loss = loss + 0.5 * torch.nn.functional.mse_loss(x, (x - grad).detach())
        if adversarial:
            loss = loss + adversarial * passed_off(logits(path, TARGET, HEAD, column(a) * x + column(s) * FOOL, at))
    if critic == "network":
        a, s = path.coefficients(other)
        fixed = x.detach()
        noisy = column(a) * fixed + column(s) * CRITIC_NOISE
        if path_name == "edm":  # EDM's F of the right answer
            c_skip, c_out = SD**2 / (other**2 + SD**2), other * SD / (other**2 + SD**2).sqrt()
            error = (path.denoise(v, noisy, other) - fixed) / column(c_out)
        elif path_name == "condot":
            error = net(v, noisy, other) - (CRITIC_NOISE - fixed)
        else:
            error = net(v, noisy, other) - CRITIC_NOISE
        loss = loss + (error**2).mean()
        if adversarial:
            real, made = column(a) * DATA + column(s) * REAL, column(a) * fixed + column(s) * MADE
            loss = loss + judging * told_apart(logits(path, v, head, real, other), logits(path, v, head, made, other))
    loss.backward()
    out = {"t": at, "next": other, "loss": loss.detach()}
    if turn:
        out |= {f"grad/{k}": w[k].grad for k in ("w1", "w2", "emb")}
    if critic == "network":
        out |= {f"critic/{k}": v[k].grad for k in ("w1", "w2", "emb")}
    if adversarial:
        out |= {f"head/{k}": head[k].grad for k in head}
    return out


# name → the teacher's path, power and offset of the loss, along the network's own velocity, guidance
MEAN_CASES = {
    "mean-condot": ("condot", 1.0, 0.01, False, 1.0),
    "mean-guided": ("condot", 0.5, 0.02, False, 2.5),
    "mean-vp": ("vp", 1.0, 0.01, True, 1.0),
    "mean-data": ("", 1.0, 0.01, False, 1.0),
}


def mean_case(name):
    """MeanFlow with the teacher's velocity, or with the sample's, in the place of the instantaneous one; the last two samples make no step."""
    path_name, power, offset, improved, scale = MEAN_CASES[name]
    w = {k: v.clone().requires_grad_() for k, v in STUDENT.items()}
    fixed = {k: v.detach() for k, v in w.items()}
    t, r = tensor([0.3, 0.95, 0.6, 0.8, 0.5, 0.9]), tensor([0.1, 0.05, 0.45, 0.2, 0.5, 0.9])
    column = lambda c: c[:, None]
    z = column(1 - t) * DATA + column(t) * NOISE

    def velocity(labels):
        if not path_name:
            return NOISE - DATA
        path, level = CONSISTENCY_PATHS[path_name], t / (1 - t)
        at = path.time(level)
        data = path.denoise(TEACHER, column(path.coefficients(at)[0] / (1 - t)) * z, at, labels=labels)
        return (z - column(1 - t) * data) / column(t) - data

    with torch.no_grad():
        v = velocity(LABELS)
        if scale != 1:
            none = velocity(torch.full_like(LABELS, CLASSES))
            v = none + scale * (v - none)
        along = net(fixed, z, t, jump=torch.zeros_like(t)) if improved else v
        u = lambda z, t, r: net(fixed, z, t, jump=t - r)
        _, du = torch.func.jvp(u, (z, t, r), (along, torch.ones_like(t), torch.zeros_like(r)))
        target = v - column(t - r) * du
    e = ((net(w, z, t, jump=t - r) - target) ** 2).sum(1)
    loss = (e / (e.detach() + offset) ** power).mean()
    loss.backward()
    return {"t": t, "r": r, "loss": loss.detach(), **{f"grad/{k}": w[k].grad for k in ("w1", "w2", "emb", "wj")}}


def curricula():
    """iCT's numbers of levels by training step, and the probabilities of its pairs; EDM's levels."""
    import math

    s0, s1, steps = 10, 1280, 10000
    each = math.floor(steps / (math.log2(math.floor(s1 / s0)) + 1))
    ks = [0, 1, each - 1, each, 3 * each, 7 * each - 1, 7 * each, steps - 1]
    levels = karras(11)
    at = (levels.log() + 1.1) / (2**0.5 * 2.0)
    p = torch.erf(at[1:]) - torch.erf(at[:-1])
    return {
        "ict/steps": torch.tensor(ks),
        "ict/counts": torch.tensor([min(s0 * 2 ** (k // each), s1) + 1 for k in ks]),
        "ict/levels": levels,
        "ict/probabilities": p / p.sum(),
        "ect/levels": ECT_LEVELS,
        **{f"ect/below-{i}": easy(ECT_LEVELS, i) for i in (0, 3, 7)},
    }


def make():
    out = {"data": DATA, "noise": NOISE, "labels": LABELS, "scale": SCALE, "noise-on": ON, "noise-critic": CRITIC_NOISE, "noise-anew": ANEW, "noise-made": MADE, "noise-data": REAL, "noise-fool": FOOL}
    for who, w in (("student", STUDENT), ("teacher", TEACHER), ("target", TARGET), ("judge", JUDGE), ("head", HEAD)):
        out.update({f"{who}/{k}": v for k, v in w.items()})
    for cases, f in ((CONSISTENCY_CASES, consistency_case), (PROGRESSIVE_CASES, progressive_case), (GUIDANCE_CASES, guidance_case), (CONTINUOUS_CASES, continuous_case), (LATENT_CASES, latent_case), (TRAJECTORY_CASES, trajectory_case), (MATCHING_CASES, matching_case), (MEAN_CASES, mean_case)):
        for name in cases:
            out.update({f"{name}/{k}": v for k, v in f(name).items()})
    out.update(curricula())
    metadata = {"consistency": CONSISTENCY_CASES, "progressive": PROGRESSIVE_CASES, "guidance": GUIDANCE_CASES, "continuous": CONTINUOUS_CASES, "latent": LATENT_CASES, "trajectory": TRAJECTORY_CASES, "matching": MATCHING_CASES, "mean": MEAN_CASES}
    return {k: v.numpy() for k, v in out.items()}, metadata
