"""Stochastic samplers that diffusers lacks, written from their formulas in numpy, in float64.

Each is as its paper or its authors' code has it: in the noise level for k-diffusion's, Restart's and NCSN's (the state is data +
sigma·noise), in time for those on rectified flow and for score_sde's. They share nothing with the library. The denoiser is the
exact one of the mixture in schedulers.py. `noises` are independent; a sampler that takes n a step gets number n·i+k.
"""

import numpy

from precise import normal
from schedulers import DIM, MEANS, STDS, WEIGHTS

N, NOISES = 3, 120
START = normal(121, (N, DIM))
DRAWS = normal(122, (NOISES, N, DIM))


def denoise(x, alpha, sigma):
    """E[data | alpha*data + sigma*eps = x], one sample at a time."""
    out = numpy.empty_like(x)
    for i, row in enumerate(x):
        var = alpha**2 * STDS**2 + sigma**2
        off = row - alpha * MEANS
        logit = numpy.log(WEIGHTS) - DIM / 2 * numpy.log(var) - (off**2).sum(1) / (2 * var)
        w = numpy.exp(logit - logit.max())
        w /= w.sum()
        out[i] = w @ (MEANS + (alpha * STDS**2 / var)[:, None] * off)
    return out


def score(x, alpha, sigma):
    return (alpha * denoise(x, alpha, sigma) - x) / sigma**2


def ancestral_step(s_from, s_to, eta):
    up = min(s_to, eta * (s_to**2 * (s_from**2 - s_to**2) / s_from**2) ** 0.5)
    return (s_to**2 - up**2) ** 0.5, up


def euler_ancestral(sigmas, eta=1.0, s_noise=1.0):
    x = START * sigmas[0]
    for i, (s, t) in enumerate(zip(sigmas, sigmas[1:])):
        d = (x - denoise(x, 1, s)) / s
        down, up = ancestral_step(s, t, eta)
        x = x + d * (down - s)
        if t > 0:
            x = x + DRAWS[i] * s_noise * up
    return x


def euler_ancestral_rf(times, eta=1.0, s_noise=1.0):
    """On x = (1-t)·data + t·noise (k-diffusion's rectified-flow form, as ComfyUI has it)."""
    x = START.copy()
    for i, (s, t) in enumerate(zip(times, times[1:])):
        data = MEANS_PRIOR if s == 1 else denoise(x, 1 - s, s)
        if t == 0:
            x = data
            continue
        down = t * (1 + (t / s - 1) * eta)
        alpha_t, alpha_down = 1 - t, 1 - down
        renoise = max(0.0, t**2 - down**2 * alpha_t**2 / alpha_down**2) ** 0.5
        x = down / s * x + (1 - down / s) * data
        if eta > 0:
            x = alpha_t / alpha_down * x + DRAWS[i] * s_noise * renoise
    return x


MEANS_PRIOR = numpy.broadcast_to(WEIGHTS @ MEANS, (N, DIM))  # nothing is known of the data from noise alone


def dpm_2_ancestral(sigmas, eta=1.0, s_noise=1.0):
    x = START * sigmas[0]
    for i, (s, t) in enumerate(zip(sigmas, sigmas[1:])):
        down, up = ancestral_step(s, t, eta)
        d = (x - denoise(x, 1, s)) / s
        if down == 0:
            x = x + d * (down - s)
        else:
            mid = numpy.exp((numpy.log(s) + numpy.log(down)) / 2)
            x2 = x + d * (mid - s)
            x = x + (x2 - denoise(x2, 1, mid)) / mid * (down - s) + DRAWS[i] * s_noise * up
    return x


def dpmpp_sde(sigmas, eta=1.0, s_noise=1.0, r=0.5):
    x = START * sigmas[0]
    for i, (s, t) in enumerate(zip(sigmas, sigmas[1:])):
        data = denoise(x, 1, s)
        if t == 0:
            x = x + (x - data) / s * (t - s)
            continue
        z1 = DRAWS[2 * i]
        z = r**0.5 * z1 + (1 - r) ** 0.5 * DRAWS[2 * i + 1]
        lam, lam_next = -numpy.log(s), -numpy.log(t)
        mid = numpy.exp(-(lam + r * (lam_next - lam)))
        down, up = ancestral_step(s, mid, eta)
        x2 = down / s * x - numpy.expm1(lam + numpy.log(down)) * data + z1 * s_noise * up
        data2 = denoise(x2, 1, mid)
        down, up = ancestral_step(s, t, eta)
        fac = 1 / (2 * r)
        mixed = (1 - fac) * data + fac * data2
        x = down / s * x - numpy.expm1(lam + numpy.log(down)) * mixed + z * s_noise * up
    return x


def dpmpp_2m_sde(sigmas, eta=1.0, s_noise=1.0, solver="midpoint"):
    x, old, h_last = START * sigmas[0], None, None
    for i, (s, t) in enumerate(zip(sigmas, sigmas[1:])):
        data = denoise(x, 1, s)
        if t == 0:
            x = data
        else:
            h = numpy.log(s) - numpy.log(t)
            eta_h = eta * h
            x = t / s * numpy.exp(-eta_h) * x - numpy.expm1(-h - eta_h) * data
            if old is not None:
                r = h_last / h
                if solver == "heun":
                    x = x + (-numpy.expm1(-h - eta_h) / (-h - eta_h) + 1) / r * (data - old)
                else:
                    x = x - 0.5 * numpy.expm1(-h - eta_h) / r * (data - old)
            x = x + DRAWS[i] * t * (-numpy.expm1(-2 * eta_h)) ** 0.5 * s_noise
            h_last = h
        old = data
    return x


def dpmpp_3m_sde(sigmas, eta=1.0, s_noise=1.0):
    x = START * sigmas[0]
    d1_, d2_, h1, h2 = None, None, None, None
    for i, (s, t) in enumerate(zip(sigmas, sigmas[1:])):
        data = denoise(x, 1, s)
        if t == 0:
            x = data
        else:
            h = numpy.log(s) - numpy.log(t)
            h_eta = h * (eta + 1)
            x = numpy.exp(-h_eta) * x - numpy.expm1(-h_eta) * data
            phi_2 = numpy.expm1(-h_eta) / h_eta + 1
            if h2 is not None:
                r0, r1 = h1 / h, h2 / h
                d1_0, d1_1 = (data - d1_) / r0, (d1_ - d2_) / r1
                d1 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1)
                d2 = (d1_0 - d1_1) / (r0 + r1)
                x = x + phi_2 * d1 - (phi_2 / h_eta - 0.5) * d2
            elif h1 is not None:
                x = x + phi_2 * (data - d1_) / (h1 / h)
            x = x + DRAWS[i] * t * (-numpy.expm1(-2 * h * eta)) ** 0.5 * s_noise
            h1, h2 = h, h1
        d1_, d2_ = data, d1_
    return x


def restart(sigmas, intervals, s_noise=1.0):
    """Xu et al. 2023, algorithm 1; intervals of (steps, times, t_min, t_max) with t_min among sigmas."""

    def heun(x, s, t):
        d = (x - denoise(x, 1, s)) / s
        y = x + (t - s) * d
        return y if t == 0 else x + (t - s) * (d + (y - denoise(y, 1, t)) / t) / 2

    def karras(lo, hi, n):
        return (hi ** (1 / 7) + numpy.arange(n + 1) / n * (lo ** (1 / 7) - hi ** (1 / 7))) ** 7

    x, total = START * sigmas[0], sum(k for _, k, _, _ in intervals)
    for i, (s, t) in enumerate(zip(sigmas, sigmas[1:])):
        x, before = heun(x, s, t), 0
        for steps, times, t_min, t_max in intervals:
            if t == t_min:
                for k in range(times):
                    x = x + DRAWS[total * i + before + k] * s_noise * (t_max**2 - t_min**2) ** 0.5
                    levels = karras(t_min, t_max, steps)
                    for a, b in zip(levels, levels[1:]):
                        x = heun(x, a, b)
            before += times
    return x


def annealed_langevin(sigmas, epsilon, steps):
    """Song and Ermon 2019, algorithm 1, and the denoising step of Song and Ermon 2020."""
    x = START * sigmas[0]
    for i, s in enumerate(sigmas):
        h = epsilon * s**2 / sigmas[-1] ** 2
        for k in range(steps):
            x = x + h / 2 * score(x, 1, s) + h**0.5 * DRAWS[steps * i + k]
    return x + sigmas[-1] ** 2 * score(x, 1, sigmas[-1])


def predictor_corrector(kind, alphas, sigmas, snr, steps):
    """score_sde's pc_sampler with the reverse-diffusion predictor; norms are each sample's own."""
    x, n = START * sigmas[0], steps + 1
    norm = lambda v: numpy.sqrt((v**2).sum(1, keepdims=True))
    for i in range(len(sigmas) - 1):
        a, s, a2, s2 = alphas[i], sigmas[i], alphas[i + 1], sigmas[i + 1]
        kept = 1.0 if kind == "ve" else (a / a2) ** 2  # 1 − beta
        for k in range(1, n):
            g, z = score(x, a, s), DRAWS[n * i + k]
            step = (snr * norm(z) / norm(g)) ** 2 * 2 * kept
            x = x + step * g + numpy.sqrt(2 * step) * z
        if kind == "ve":
            f, g2 = 0 * x, s**2 - s2**2
        else:
            f, g2 = kept**0.5 * x - x, 1 - kept
        mean = x - (f - g2 * score(x, a, s))
        x = mean + g2**0.5 * DRAWS[n * i]
    return mean


def euler_maruyama_vp(times, beta0, beta1):
    """dx = −½β·x − β·score backwards (Song et al. 2021, eq. 6, of eq. 11), every step with noise."""
    integral = lambda t: t * (beta0 + t * (beta1 - beta0) / 2)
    x = START.copy()
    for i, (t, s) in enumerate(zip(times, times[1:])):
        beta = beta0 + t * (beta1 - beta0)
        alpha = numpy.exp(-integral(t) / 2)
        sigma = (1 - alpha**2) ** 0.5
        h = t - s
        x = x + h * (beta / 2 * x + beta * score(x, alpha, sigma)) + (beta * h) ** 0.5 * DRAWS[i]
    return x


def interpolant(times, epsilon):
    """Albergo et al. 2023 on (1-t)·data + t·noise, backwards: dx = (b − ε·s)dt + √(2ε)dW, b = E[noise − data]."""
    x = START * times[0]
    for i, (t, s) in enumerate(zip(times, times[1:])):
        data = denoise(x, 1 - t, t)
        noise = (x - (1 - t) * data) / t
        e = epsilon(t)
        x = x - (t - s) * ((noise - data) - e * (-noise / t)) + (2 * e * (t - s)) ** 0.5 * DRAWS[i]
    return x


def make():
    karras = lambda n: (20 ** (1 / 7) + numpy.arange(n) / (n - 1) * (0.02 ** (1 / 7) - 20 ** (1 / 7))) ** 7
    cases = {}
    for n in (5, 10, 20, 50):
        sigmas = numpy.append(karras(n), 0.0)
        times = numpy.linspace(1, 0, n + 1)
        cases |= {
            f"euler_ancestral/{n}": (sigmas, euler_ancestral(sigmas)),
            f"euler_ancestral_rf/{n}": (times, euler_ancestral_rf(times)),
            f"dpm2_ancestral/{n}": (sigmas, dpm_2_ancestral(sigmas)),
            f"dpmpp_sde/{n}": (sigmas, dpmpp_sde(sigmas)),
            f"dpmpp_2m_sde/{n}": (sigmas, dpmpp_2m_sde(sigmas)),
            f"dpmpp_2m_sde_heun/{n}": (sigmas, dpmpp_2m_sde(sigmas, solver="heun")),
            f"dpmpp_3m_sde/{n}": (sigmas, dpmpp_3m_sde(sigmas)),
        }
    sigmas, times = numpy.append(karras(12), 0.0), numpy.linspace(1, 0, 13)
    half = dict(eta=0.6, s_noise=1.05)
    vp_times = numpy.linspace(1, 0.1, 13)
    vp_alphas = numpy.exp(-vp_times * (0.1 + vp_times * 19.9 / 2) / 2)
    cases |= {
        "euler_ancestral/options": (sigmas, euler_ancestral(sigmas, **half)),
        "euler_ancestral_rf/options": (times, euler_ancestral_rf(times, **half)),
        "dpm2_ancestral/options": (sigmas, dpm_2_ancestral(sigmas, **half)),
        "dpmpp_sde/options": (sigmas, dpmpp_sde(sigmas, r=0.3, **half)),
        "dpmpp_2m_sde/options": (sigmas, dpmpp_2m_sde(sigmas, **half)),
        "dpmpp_2m_sde_heun/options": (sigmas, dpmpp_2m_sde(sigmas, solver="heun", **half)),
        "dpmpp_3m_sde/options": (sigmas, dpmpp_3m_sde(sigmas, **half)),
        "restart": (sigmas, restart(sigmas, [(3, 2, sigmas[9], 0.5), (2, 3, sigmas[5], 4.0)], s_noise=1.003)),
        "annealed_langevin": (karras(8), annealed_langevin(karras(8), 2e-5, 6)),
        "pc_ve": (karras(12), predictor_corrector("ve", numpy.ones(12), karras(12), 0.16, 2)),
        "pc_vp": (vp_times, predictor_corrector("vp", vp_alphas, (1 - vp_alphas**2) ** 0.5, 0.1, 1)),
        "euler_maruyama_vp": (numpy.linspace(1, 0.1, 41), euler_maruyama_vp(numpy.linspace(1, 0.1, 41), 0.1, 20.0)),
        "interpolant": (numpy.linspace(0.9, 0.1, 41), interpolant(numpy.linspace(0.9, 0.1, 41), lambda t: 0.5 * t)),
    }
    tensors = {"mixture/means": MEANS, "mixture/stds": STDS, "mixture/weights": WEIGHTS, "start": START.astype(numpy.float32), "noises": DRAWS.astype(numpy.float32)}
    for name, (grid, out) in cases.items():
        assert numpy.isfinite(out).all() and abs(out).max() < 50, name
        tensors[f"{name}/grid"], tensors[f"{name}/out"] = grid, out
    return tensors, {"cases": sorted(cases)}
