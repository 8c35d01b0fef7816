"""Trajectories of diffusers' stochastic schedulers beyond those in schedulers.py, whose denoiser and noise they share.

All noises are given: `noises` holds independent standard normal arrays. A scheduler that takes one
a step gets number i in step i. DPMSolverSDEScheduler takes two increments of one Brownian motion a step, over
the first half of the step and over all of it (in log-SNR): from numbers 2i and 2i+1 it gets z, and (z+z')/√2.
"""

import json

import diffusers
import numpy
import torch

from precise import float64, normal
from schedulers import MEANS, NOISE, SHAPE, STDS, WEIGHTS, edm_output, prediction

NOISES = normal(113, (100,) + SHAPE)

SPACINGS = ("linspace", "leading", "trailing")
STEPS = (5, 10, 20, 50)


def _grid(predictions=("epsilon", "v_prediction"), **fixed):
    """Every prediction with every spacing and number of steps; the beta schedule alternates."""
    out = []
    for i, p in enumerate(predictions):
        for j, s in enumerate(SPACINGS):
            for k, n in enumerate(STEPS):
                beta = ("linear", "scaled_linear", "squaredcos_cap_v2")[(i + j + k) % 3]
                if beta == "squaredcos_cap_v2" and s != "leading":
                    beta = "linear"  # sigma begins at 20,000 there, and a second-order step loses ten digits
                out.append((dict(prediction_type=p, timestep_spacing=s, beta_schedule=beta, **fixed), n))
    return out


RESPACED = [
    (dict(use_karras_sigmas=True), 10),
    (dict(use_karras_sigmas=True, prediction_type="v_prediction", timestep_spacing="trailing"), 20),
    (dict(use_exponential_sigmas=True), 10),
    (dict(use_beta_sigmas=True, timestep_spacing="leading"), 10),
]
OWN_BETAS = dict(num_train_timesteps=8, trained_betas=[0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5])


def multistep_cases():
    out = []
    for i, (config, n) in enumerate(_grid(("epsilon", "sample", "v_prediction"))):
        out.append((dict(config, algorithm_type="sde-dpmsolver++", solver_order=1 + i % 3, solver_type=("midpoint", "heun")[i // 3 % 2]), n))
    for i, (config, n) in enumerate(_grid(("epsilon", "sample", "v_prediction"))[::2]):
        # (order 3 has no formula for sde-dpmsolver)
        out.append((dict(config, algorithm_type="sde-dpmsolver", final_sigmas_type="sigma_min", solver_order=1 + i % 2, solver_type=("midpoint", "heun")[i // 2 % 2]), n))
    sde = dict(algorithm_type="sde-dpmsolver++")
    out += [
        (dict(sde, euler_at_final=True, final_sigmas_type="sigma_min"), 20),
        (dict(sde, lower_order_final=False, final_sigmas_type="sigma_min"), 10),
        (dict(sde, lower_order_final=False, solver_order=3), 10),
        (dict(sde, use_karras_sigmas=True), 10),
        (dict(sde, thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10),
    ]
    return out


def singlestep_cases():
    out = []
    for i, (config, n) in enumerate(_grid(("epsilon", "sample", "v_prediction"))):
        config.pop("timestep_spacing")  # it has none
        out.append((dict(config, algorithm_type="sde-dpmsolver++", solver_order=1 + i % 3, solver_type=("midpoint", "heun")[i // 3 % 2], lower_order_final=i % 4 == 0), n))
    sde = dict(algorithm_type="sde-dpmsolver++")
    return out + [
        (dict(sde, solver_order=3, solver_type="heun", final_sigmas_type="sigma_min"), 20),
        (dict(sde, solver_order=2, final_sigmas_type="sigma_min", lower_order_final=True), 10),
        (dict(sde, use_karras_sigmas=True), 10),
        (dict(sde, use_exponential_sigmas=True, solver_order=3), 9),
        (dict(sde, thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10),
    ]


def edm_multistep_cases():
    """Order 3 has no formula there."""
    sde = dict(algorithm_type="sde-dpmsolver++")
    return [
        (dict(sde, prediction_type=p, sigma_schedule=schedule, solver_order=1 + (i + j + k) % 2, solver_type=("midpoint", "heun")[(i + k // 2) % 2]), n)
        for i, p in enumerate(("epsilon", "v_prediction"))
        for j, schedule in enumerate(("karras", "exponential"))
        for k, n in enumerate(STEPS)
    ] + [
        (dict(sde, euler_at_final=True, final_sigmas_type="sigma_min"), 20),
        (dict(sde, lower_order_final=False, sigma_data=0.75), 10),
        (dict(sde, thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10),
    ]


CASES = {
    "EulerAncestralDiscreteScheduler": _grid() + [
        (dict(), 1),
        (dict(beta_schedule="squaredcos_cap_v2"), 10),
        (dict(timestep_spacing="leading", steps_offset=1, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012), 20),
        (dict(rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 20),
        (dict(OWN_BETAS), 4),
    ],
    "KDPM2AncestralDiscreteScheduler": _grid() + RESPACED + [(dict(), 1), (dict(OWN_BETAS), 4)],
    "DPMSolverSDEScheduler": _grid() + RESPACED + [(dict(), 1), (dict(OWN_BETAS), 4)],
    "DPMSolverMultistepScheduler-sde": multistep_cases(),
    "DPMSolverSinglestepScheduler-sde": singlestep_cases(),
    "EDMDPMSolverMultistepScheduler-sde": edm_multistep_cases(),
}


def _run(scheduler, steps, dtype):
    """One sampling loop as a pipeline writes it. Returns states, the model's alpha and sigma a call."""
    name, config = type(scheduler).__name__, scheduler.config
    scheduler.set_timesteps(steps)
    tensor = lambda values: torch.tensor(values, dtype=dtype)
    x = tensor(NOISE) * getattr(scheduler, "init_noise_sigma", 1.0)
    states, alphas, sigmas, drawn = [x], [], [], []

    def increment(*_):
        drawn.append(tensor(NOISES[len(drawn)]))
        return drawn[-1] if len(drawn) % 2 else (drawn[-2] + drawn[-1]) / 2**0.5

    module = __import__(type(scheduler).__module__, fromlist=["randn_tensor"])
    randn = getattr(module, "randn_tensor", None)
    if name == "DPMSolverSDEScheduler":
        scheduler.noise_sampler = increment
    try:
        for i, t in enumerate(scheduler.timesteps):
            step = i // 2 if name == "KDPM2AncestralDiscreteScheduler" else i
            module.randn_tensor = lambda shape, **_: tensor(NOISES[step]).reshape(shape)
            if scheduler.step_index is None:
                scheduler._init_step_index(t)
            first = getattr(scheduler, "state_in_first_order", True)
            if first:
                s = float(scheduler.sigmas[scheduler.step_index])
            elif name == "KDPM2AncestralDiscreteScheduler":
                s = float(scheduler.sigmas_interpol[scheduler.step_index - 1])
            else:
                s = float(scheduler.mid_point_sigma)
            alpha, sigma = 1 / (1 + s * s) ** 0.5, s / (1 + s * s) ** 0.5
            model_in = scheduler.scale_model_input(x, t).to(torch.float64).numpy()
            if name.startswith("EDM"):  # the network's input is c_in*(data + sigma*noise)
                alpha = 1 / (s * s + config.sigma_data**2) ** 0.5
                sigma = s * alpha
                out = edm_output(config.prediction_type, model_in, s, config.sigma_data)
            else:
                out = prediction(config.prediction_type, model_in, alpha, sigma)
            x = scheduler.step(tensor(out), t, x).prev_sample
            states.append(x)
            alphas.append(alpha)
            sigmas.append(sigma)
    finally:
        if randn:
            module.randn_tensor = randn
    assert all(s.dtype == dtype and bool(torch.isfinite(s).all()) for s in states), (name, dict(config), steps, dtype)
    return states, alphas, sigmas


def make(name):
    cls = getattr(diffusers, name.split("-")[0])
    tensors = {
        "mixture/means": MEANS, "mixture/stds": STDS, "mixture/weights": WEIGHTS,
        "noise": NOISE.astype(numpy.float32), "noises": NOISES.astype(numpy.float32),
    }
    cases, tables = {}, {}
    for number, (config, steps) in enumerate(CASES[name]):
        key = f"{number:02d}"
        stock = cls(**config)
        final32 = _run(stock, steps, torch.float32)[0][-1].numpy()
        with float64():
            scheduler = cls(**config)
            states, alphas, sigmas = _run(scheduler, steps, torch.float64)
        for table in ("alphas_cumprod", "sigmas", "timesteps"):
            kind = getattr(getattr(scheduler, table, None), "dtype", torch.float64)
            assert kind in (torch.float64, torch.int64), (name, table, kind)
        trajectory = torch.stack(states).numpy()
        assert abs(trajectory[-1] - final32).max() < 2e-2 * abs(trajectory[-1]).max(), (name, config, steps, abs(trajectory[-1] - final32).max())
        tensors[f"{key}/trajectory"] = trajectory
        tensors[f"{key}/final_float32"] = final32
        tensors[f"{key}/timesteps"] = scheduler.timesteps.numpy().astype(numpy.float64)
        tensors[f"{key}/sigmas"] = scheduler.sigmas.numpy()
        tensors[f"{key}/model_alpha"] = numpy.array(alphas)
        tensors[f"{key}/model_sigma"] = numpy.array(sigmas)
        where = ""
        if hasattr(scheduler, "alphas_cumprod"):
            table = scheduler.alphas_cumprod.numpy()
            where = tables.setdefault(table.tobytes(), f"table/{len(tables):02d}/alphas_cumprod")
            tensors[where] = table
        saved = json.loads(stock.to_json_string())
        saved = {k: v for k, v in saved.items() if v != float("-inf")}  # lambda_min_clipped, which JSON cannot hold
        cases[key] = dict(config=saved, steps=steps, options={}, table=where)
    return tensors, {"class": name, "cases": cases}
