"""Trajectories of diffusers' schedulers under an exactly known denoiser.

The data is a mixture of isotropic Gaussians, so its posterior mean is a closed
form and no network is needed. Tables and states are float64; beside each
trajectory stands the last sample of the untouched float32 scheduler, whose
denoiser alone is still evaluated in float64.
"""

import contextlib
import importlib
import json

import diffusers
import numpy
import torch

import solvers
from precise import float64, normal

SHAPE = (2, 2, 3, 2)  # N, C, H, W
STEPS = 50
DIM = SHAPE[1] * SHAPE[2] * SHAPE[3]
MEANS = normal(101, (3, DIM), 0.8)
STDS = numpy.array([0.25, 0.5, 0.375])
WEIGHTS = numpy.array([0.5, 0.25, 0.25])
NOISE = normal(102, SHAPE)
NOISES = normal(103, (STEPS,) + SHAPE)


def posterior_mean(x, alpha, sigma):
    """E[x0 | alpha*x0 + sigma*eps = x] for the mixture; x has SHAPE."""
    flat = x.reshape(len(x), 1, DIM)
    variance = alpha**2 * STDS**2 + sigma**2  # (K)
    offset = flat - alpha * MEANS  # (N, K, DIM)
    log_w = numpy.log(WEIGHTS) - DIM / 2 * numpy.log(variance) - (offset**2).sum(-1) / (2 * variance)
    w = numpy.exp(log_w - log_w.max(axis=1, keepdims=True))
    w /= w.sum(axis=1, keepdims=True)
    mean = MEANS + (alpha * STDS**2 / variance)[:, None] * offset
    return (w[:, :, None] * mean).sum(axis=1).reshape(x.shape)


def prediction(kind, x, alpha, sigma):
    data = posterior_mean(x, alpha, sigma)
    if kind == "sample":
        return data
    noise = (x - alpha * data) / sigma
    return {"epsilon": noise, "v_prediction": alpha * noise - sigma * data, "flow": noise - data}[kind]


def edm_output(kind, x, sigma, data_std):
    """EDM's F, of which "epsilon" is the name in diffusers, or -F; x is c_in*(data + sigma*noise)."""
    scale = 1 / (sigma**2 + data_std**2) ** 0.5
    data, x = posterior_mean(x, scale, scale * sigma), x / scale
    out = (data - (data_std * scale) ** 2 * x) / (sigma * data_std * scale)
    return {"epsilon": out, "v_prediction": -out}[kind]


def variance_output(variance_type, x):
    """The second half of a model with learned variances: some smooth function of its input."""
    return {"learned": 0.01 * (1.5 + numpy.sin(x)), "learned_range": numpy.sin(x)}[variance_type]



PREDICTIONS = ("epsilon", "sample", "v_prediction")
SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")
SPACINGS = ("linspace", "leading", "trailing")


def _grid(extra=None, **fixed):
    """Every prediction with every beta schedule; spacing and number of steps alternate."""
    out = []
    for i, p in enumerate(PREDICTIONS):
        for j, b in enumerate(SCHEDULES):
            config = dict(prediction_type=p, beta_schedule=b, timestep_spacing=SPACINGS[(i + j) % 3], **fixed)
            out.append((config, (5, 10, 20, 50)[(i + 2 * j) % 4], {k: v[(i + j) % len(v)] for k, v in (extra or {}).items()}))
    return out


def ddim_cases():
    cases = _grid(dict(eta=(0.0, 1.0, 0.5)), clip_sample=False)
    cases += [
        (dict(), 10, {}),  # every default: clips at 1
        (dict(clip_sample_range=0.75), 20, dict(eta=0.3)),
        (dict(clip_sample_range=0.5), 10, dict(use_clipped_model_output=True)),
        (dict(clip_sample_range=0.5, prediction_type="v_prediction"), 10, dict(use_clipped_model_output=True, eta=1.0)),
        (dict(thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10, {}),
        (dict(thresholding=True, sample_max_value=3.0, dynamic_thresholding_ratio=0.995, prediction_type="sample"), 5, dict(eta=0.7)),
        (dict(thresholding=True), 5, {}),  # sample_max_value 1: plain clipping
        (dict(clip_sample=False, set_alpha_to_one=False), 10, {}),
        (dict(clip_sample=False, set_alpha_to_one=False, steps_offset=1, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012), 20, {}),
        (dict(clip_sample=False, set_alpha_to_one=False, timestep_spacing="linspace"), 10, dict(eta=0.5)),
        (dict(clip_sample=False, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 10, {}),
        (dict(clip_sample=False, rescale_betas_zero_snr=True, prediction_type="sample", timestep_spacing="trailing", beta_schedule="scaled_linear"), 20, dict(eta=0.5)),
        (dict(clip_sample=False), 7, {}),  # 7 does not divide 1000
        (dict(clip_sample=False, timestep_spacing="linspace"), 7, {}),
        (dict(clip_sample=False, timestep_spacing="trailing"), 16, {}),  # halves round to even
        (dict(clip_sample=False, timestep_spacing="trailing"), 1, {}),
        (dict(clip_sample=False, num_train_timesteps=50, beta_end=0.2), 50, {}),
        (dict(clip_sample=False, num_train_timesteps=8, trained_betas=[0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5]), 4, dict(eta=1.0)),
    ]
    return cases


def ddpm_cases():
    cases = _grid(clip_sample=False)
    cases += [(dict(), 10, {})]
    for v in ("fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"):
        cases += [
            (dict(variance_type=v, clip_sample=False), 20, {}),
            (dict(variance_type=v, clip_sample_range=0.75, timestep_spacing="trailing", prediction_type="v_prediction"), 5, {}),
        ]
    cases += [
        (dict(variance_type="learned_range", clip_sample=False, prediction_type="sample", beta_schedule="squaredcos_cap_v2"), 50, {}),
        (dict(clip_sample=False, beta_schedule="sigmoid"), 10, {}),
        (dict(clip_sample=False, beta_schedule="laplace", timestep_spacing="linspace"), 10, {}),
        (dict(clip_sample=False, steps_offset=1), 10, {}),  # ends at t=1: noise at the last step as well
        (dict(thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.9), 20, {}),
        (dict(clip_sample=False, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 10, {}),
        (dict(clip_sample=False, timestep_spacing="linspace"), 7, {}),
        (dict(clip_sample=False, num_train_timesteps=20, beta_end=0.4, variance_type="fixed_large"), 20, {}),
        (dict(clip_sample=False, num_train_timesteps=8, trained_betas=[0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5]), 4, {}),
    ]
    return cases


def euler_cases():
    cases = _grid()
    for p in PREDICTIONS:
        cases.append((dict(prediction_type=p, use_karras_sigmas=True), 10, {}))
    cases += [
        (dict(), 1, {}),
        (dict(), 7, {}),
        (dict(timestep_spacing="leading", steps_offset=1, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012), 20, {}),
        (dict(use_karras_sigmas=True, timestep_spacing="leading", sigma_min=0.05, sigma_max=20.0), 10, {}),
        (dict(use_exponential_sigmas=True), 10, {}),
        (dict(use_exponential_sigmas=True, sigma_min=0.02, timestep_spacing="trailing"), 5, {}),
        (dict(use_beta_sigmas=True), 10, {}),
        (dict(final_sigmas_type="sigma_min"), 10, {}),
        (dict(final_sigmas_type="sigma_min", use_karras_sigmas=True, timestep_spacing="trailing"), 5, {}),
        (dict(interpolation_type="log_linear"), 10, {}),
        (dict(timestep_type="continuous", prediction_type="v_prediction", use_karras_sigmas=True, sigma_min=0.002, sigma_max=80.0), 20, {}),
        (dict(rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 20, {}),
        (dict(prediction_type="original_sample"), 5, {}),
        (dict(num_train_timesteps=8, trained_betas=[0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5]), 4, {}),
        (dict(), 10, dict(s_churn=5.0, s_noise=1.003)),
        (dict(prediction_type="sample", use_karras_sigmas=True), 10, dict(s_churn=2.0, s_tmin=0.05, s_tmax=50.0)),
    ]
    return cases


def heun_cases():
    cases = _grid()
    for config, _, _ in cases:
        if config["beta_schedule"] == "squaredcos_cap_v2":
            # Starting at t=999, sigma is 20,000 and Heun's first long step loses ten digits: no test of anything.
            config["timestep_spacing"] = "leading"
    for p in PREDICTIONS:
        cases.append((dict(prediction_type=p, use_karras_sigmas=True), 10, {}))
    cases += [
        (dict(), 1, {}),
        (dict(), 7, {}),
        (dict(timestep_spacing="leading", steps_offset=1, beta_schedule="scaled_linear"), 20, {}),
        (dict(use_exponential_sigmas=True), 10, {}),
        (dict(use_beta_sigmas=True, timestep_spacing="trailing"), 10, {}),
        (dict(beta_schedule="exp"), 10, {}),
        (dict(clip_sample=True, clip_sample_range=0.75), 10, {}),
        (dict(clip_sample=True, prediction_type="v_prediction", timestep_spacing="trailing"), 5, {}),
        (dict(num_train_timesteps=8, trained_betas=[0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5]), 4, {}),
    ]
    return cases


def flow_cases():
    return [
        (dict(), 10, {}),
        (dict(), 1, {}),
        (dict(shift=3.0), 5, {}),  # shifts twice: once in the end points, once in the grid
        (dict(shift=3.0, use_karras_sigmas=True), 10, {}),
        (dict(shift=2.0, use_exponential_sigmas=True), 10, {}),
        (dict(use_beta_sigmas=True), 10, {}),
        (dict(use_dynamic_shifting=True), 10, dict(mu=0.8)),
        (dict(use_dynamic_shifting=True, time_shift_type="linear"), 10, dict(mu=1.7)),
        (dict(use_dynamic_shifting=True, shift_terminal=0.1), 10, dict(mu=0.8)),
        (dict(shift=3.0, stochastic_sampling=True), 10, {}),
        (dict(num_train_timesteps=100, shift=0.5), 20, {}),
    ]


CASES = {
    "DDIMScheduler": ddim_cases(),
    "DDPMScheduler": ddpm_cases(),
    "EulerDiscreteScheduler": euler_cases(),
    "HeunDiscreteScheduler": heun_cases(),
    "FlowMatchEulerDiscreteScheduler": flow_cases(),
    **solvers.CASES,
}


@contextlib.contextmanager
def given_noises(scheduler, noises, dtype):
    """The scheduler draws noises[i] after use(i), instead of random numbers."""
    module, step = importlib.import_module(type(scheduler).__module__), [0]
    randn = getattr(module, "randn_tensor", None)
    if randn:
        module.randn_tensor = lambda shape, **_: torch.tensor(noises[step[0]], dtype=dtype).reshape(shape)
    try:
        yield lambda i: step.__setitem__(0, i)
    finally:
        if randn:
            module.randn_tensor = randn


def _run(scheduler, steps, options, dtype):
    """One sampling loop as a pipeline writes it. Returns states, the model's alpha and sigma a call."""
    name, config = type(scheduler).__name__, scheduler.config
    flow, has_sigmas, edm = name.startswith("Flow"), hasattr(scheduler, "sigmas"), name.startswith("EDM")
    on_flow = flow or getattr(config, "use_flow_sigmas", False)
    options = dict(options)
    scheduler.set_timesteps(steps, **({"mu": options.pop("mu")} if "mu" in options else {}))
    kind = "flow" if flow else {"original_sample": "sample", "flow_prediction": "flow"}.get(config.prediction_type, config.prediction_type)
    x = torch.tensor(NOISE, dtype=dtype) * getattr(scheduler, "init_noise_sigma", 1.0)
    states, alphas, sigmas = [x], [], []
    with given_noises(scheduler, NOISES, dtype) as use:
        for i, t in enumerate(scheduler.timesteps):
            use(i)
            if has_sigmas and scheduler.step_index is None:
                scheduler._init_step_index(t)
            if on_flow:
                sigma = float(scheduler.sigmas[scheduler.step_index])
                alpha = 1 - sigma
            elif has_sigmas:
                s = float(scheduler.sigmas[scheduler.step_index])
                if name == "KDPM2DiscreteScheduler" and not scheduler.state_in_first_order:
                    s = float(scheduler.sigmas_interpol[scheduler.step_index])
                alpha, sigma = 1 / (1 + s * s) ** 0.5, s / (1 + s * s) ** 0.5
                if edm:  # the network's input is c_in*(data + sigma*noise)
                    alpha = 1 / (s * s + config.sigma_data**2) ** 0.5
                    sigma = s * alpha
            else:
                a = float(scheduler.alphas_cumprod[t])
                alpha, sigma = a**0.5, (1 - a) ** 0.5
            model_in = (x if flow else scheduler.scale_model_input(x, t)).to(torch.float64).numpy()
            out = edm_output(kind, model_in, s, config.sigma_data) if edm else prediction(kind, model_in, alpha, sigma)
            if "learned" in (getattr(config, "variance_type", None) or ""):
                out = numpy.concatenate([out, variance_output(config.variance_type, model_in)], axis=1)
            x = scheduler.step(torch.tensor(out, dtype=dtype), t, x, **options).prev_sample
            states.append(x)
            alphas.append(alpha)
            sigmas.append(sigma)
    bad = [i for i, s in enumerate(states) if s.dtype != dtype or not bool(torch.isfinite(s).all())]
    assert not bad, (name, dict(config), steps, options, dtype, bad, states[bad[0]].dtype)
    return states, alphas, sigmas


def make(name):
    cls = getattr(diffusers, name)
    tensors = {
        "mixture/means": MEANS, "mixture/stds": STDS, "mixture/weights": WEIGHTS,
        "noise": NOISE.astype(numpy.float32), "noises": NOISES.astype(numpy.float32),
    }
    cases, tables = {}, {}
    for number, (config, steps, options) in enumerate(CASES[name]):
        key = f"{number:02d}"
        stock = cls(**config)
        final32 = _run(stock, steps, options, torch.float32)[0][-1].numpy()
        with float64():
            scheduler = cls(**config)
            states, alphas, sigmas = _run(scheduler, steps, options, torch.float64)
        for table in ("alphas_cumprod", "sigmas", "timesteps"):  # integers, or float64 all through
            kind = getattr(getattr(scheduler, table, None), "dtype", torch.float64)
            assert kind in (torch.float64, torch.int64), (name, table, kind)
        trajectory = torch.stack(states).numpy()
        assert abs(trajectory[-1] - final32).max() < 2e-2, (name, config, abs(trajectory[-1] - final32).max())
        tensors[f"{key}/trajectory"] = trajectory
        tensors[f"{key}/final_float32"] = final32
        tensors[f"{key}/timesteps"] = scheduler.timesteps.numpy().astype(numpy.float64)
        tensors[f"{key}/model_alpha"] = numpy.array(alphas)
        tensors[f"{key}/model_sigma"] = numpy.array(sigmas)
        case = dict(config=json.loads(stock.to_json_string()), steps=steps, options=options)
        if hasattr(scheduler, "sigmas"):
            tensors[f"{key}/sigmas"] = scheduler.sigmas.numpy()
        if hasattr(scheduler, "alphas_cumprod"):
            table = scheduler.alphas_cumprod.numpy()
            case["table"] = tables.setdefault(table.tobytes(), f"table/{len(tables):02d}/alphas_cumprod")
            tensors[case["table"]] = table
        cases[key] = case
    return tensors, {"class": name, "cases": cases}
