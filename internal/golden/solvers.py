"""Cases of diffusers' deterministic solvers beyond those of schedulers.py, which runs both."""

TRAINED = dict(num_train_timesteps=8, trained_betas=[0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5])
SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")
SPACINGS = ("linspace", "leading", "trailing")
STEPS = (5, 10, 20)


def _each(predictions, spacings=SPACINGS, **fixed):
    """Every prediction with every spacing; the beta schedule and the number of steps alternate."""
    out = []
    for i, p in enumerate(predictions):
        for j, spacing in enumerate(spacings):
            config = dict(prediction_type=p, timestep_spacing=spacing, beta_schedule=SCHEDULES[(i + j) % 3], **fixed)
            if config["beta_schedule"] == "squaredcos_cap_v2" and spacing != "leading":
                # The cosine's last entry has sigma = 20,000: whatever is extrapolated from there is no test of anything.
                config["beta_schedule"] = "scaled_linear"
            out.append((config, STEPS[(i + 2 * j) % 3], {}))
    return out


def _respaced(predictions, *names, **fixed):
    """Every prediction with every replacement of the noise levels."""
    return [
        (dict({"prediction_type": p, name: True}, **fixed), STEPS[(i + j) % 3], {})
        for i, p in enumerate(predictions)
        for j, name in enumerate(names)
    ]


KARRAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
VP = ("epsilon", "sample", "v_prediction")


def lms_cases():
    return [
        *_each(VP),
        *_respaced(VP, *KARRAS),
        *[(dict(prediction_type="v_prediction"), 10, dict(order=order)) for order in (1, 2, 3)],
        *[(dict(prediction_type=p), 50, {}) for p in VP],
        (dict(), 1, {}),
        (dict(), 7, {}),
        (dict(timestep_spacing="leading", steps_offset=1), 20, {}),
        (dict(**TRAINED), 4, {}),
    ]


def kdpm2_cases():
    return [
        *_each(("epsilon", "v_prediction")),
        *_respaced(("epsilon", "v_prediction"), *KARRAS),
        *[(dict(prediction_type=p, timestep_spacing="trailing"), 50, {}) for p in ("epsilon", "v_prediction")],
        (dict(), 1, {}),
        (dict(), 7, {}),
        (dict(timestep_spacing="leading", steps_offset=1), 20, {}),
        (dict(**TRAINED), 4, {}),
    ]


def _flow(**fixed):
    """Flow sigmas, which DPM-Solver, DEIS and UniPC have alike."""
    return [
        (dict(use_flow_sigmas=True, prediction_type=p, **fixed), n, {})
        for p, n in (("flow_prediction", 10), ("epsilon", 10), ("sample", 5))
    ] + [
        (dict(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0, solver_order=3, **fixed), 20, {}),
        (dict(use_flow_sigmas=True, prediction_type="flow_prediction", use_dynamic_shifting=True, **fixed), 10, dict(mu=0.8)),
    ]


def multistep_cases():
    cases = _each(VP) + _respaced(VP, *KARRAS, "use_lu_lambdas") + _flow()
    for algorithm in ("dpmsolver++", "dpmsolver"):
        final = {} if algorithm == "dpmsolver++" else dict(final_sigmas_type="sigma_min")
        for i, p in enumerate(VP):
            for order in (1, 2, 3):
                for solver in ("midpoint", "heun"):
                    if order == 1 and solver == "heun":
                        continue
                    config = dict(algorithm_type=algorithm, prediction_type=p, solver_order=order, solver_type=solver, **final)
                    cases.append((config, (5, 10, 20)[(i + order) % 3], {}))
    return cases + [
        *[(dict(prediction_type=p, solver_order=3), 50, {}) for p in VP],
        (dict(), 1, {}),
        (dict(solver_order=3), 2, {}),
        (dict(), 7, {}),
        (dict(lower_order_final=False), 10, {}),
        (dict(lower_order_final=False, solver_order=3, final_sigmas_type="sigma_min"), 10, {}),
        (dict(euler_at_final=True), 20, {}),
        (dict(euler_at_final=True, final_sigmas_type="sigma_min", solver_order=3), 20, {}),
        (dict(use_karras_sigmas=True, final_sigmas_type="sigma_min"), 10, {}),
        (dict(use_lu_lambdas=True, solver_order=3, beta_schedule="scaled_linear"), 20, {}),
        (dict(lambda_min_clipped=-3.0), 10, {}),
        (dict(lambda_min_clipped=-5.1, beta_schedule="squaredcos_cap_v2"), 20, {}),
        (dict(timestep_spacing="leading", lambda_min_clipped=-3.0, steps_offset=1), 10, {}),
        (dict(timestep_spacing="trailing", lambda_min_clipped=-3.0), 10, {}),
        (dict(rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 10, {}),
        (dict(thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10, {}),
        (dict(thresholding=True, algorithm_type="dpmsolver", final_sigmas_type="sigma_min"), 10, {}),
        (dict(algorithm_type="deis", solver_type="logrho", final_sigmas_type="sigma_min"), 5, {}),
        (dict(use_flow_sigmas=True, prediction_type="flow_prediction", final_sigmas_type="sigma_min"), 10, {}),
        (dict(**TRAINED), 4, {}),
    ]


def singlestep_cases():
    cases = _respaced(VP, *KARRAS) + _flow()
    for algorithm in ("dpmsolver++", "dpmsolver"):
        final = {} if algorithm == "dpmsolver++" else dict(final_sigmas_type="sigma_min")
        for i, p in enumerate(VP):
            for order in (1, 2, 3):
                for solver in ("midpoint", "heun"):
                    if order == 1 and solver == "heun":
                        continue
                    config = dict(
                        algorithm_type=algorithm, prediction_type=p, solver_order=order, solver_type=solver,
                        beta_schedule=SCHEDULES[(i + order) % 2], **final,
                    )
                    cases.append((config, (5, 10, 12, 20)[(i + order) % 4], {}))
    return cases + [
        *[(dict(prediction_type=p, solver_order=3), 50, {}) for p in VP],
        (dict(), 1, {}),
        *[(dict(solver_order=3, lower_order_final=lower), n, {}) for n in (6, 7, 8) for lower in (True, False)],
        *[(dict(solver_order=2, lower_order_final=lower), n, {}) for n in (6, 7) for lower in (True, False)],
        (dict(solver_order=3, final_sigmas_type="sigma_min"), 9, {}),
        (dict(solver_order=3, final_sigmas_type="sigma_min", lower_order_final=True), 9, {}),
        (dict(solver_order=2, final_sigmas_type="sigma_min"), 10, {}),
        (dict(lambda_min_clipped=-3.0), 10, {}),
        (dict(thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10, {}),
        (dict(**TRAINED), 4, {}),
    ]


def unipc_cases():
    cases = _each(VP) + _respaced(VP, *KARRAS) + [c for c in _flow() if not c[2]]
    for x0 in (True, False):
        for i, p in enumerate(VP):
            for order in (1, 2, 3):
                for solver in ("bh1", "bh2"):
                    # bh1 to sigma = 0 is infinity times 0 in diffusers.
                    final = {} if x0 and solver == "bh2" else dict(final_sigmas_type="sigma_min")
                    config = dict(predict_x0=x0, prediction_type=p, solver_order=order, solver_type=solver, **final)
                    cases.append((config, (5, 10, 20)[(i + order) % 3], {}))
    flow = dict(use_flow_sigmas=True, prediction_type="flow_prediction")
    return cases + [
        *[(dict(prediction_type=p, solver_order=3), 50, {}) for p in VP],
        (dict(), 1, {}),
        (dict(solver_order=3), 2, {}),
        (dict(), 7, {}),
        (dict(disable_corrector=[0, 1]), 10, {}),
        (dict(disable_corrector=list(range(20)), solver_order=3), 20, {}),
        (dict(lower_order_final=False, final_sigmas_type="sigma_min", solver_order=3), 10, {}),
        (dict(use_karras_sigmas=True, final_sigmas_type="sigma_min"), 10, {}),
        (dict(use_karras_sigmas=True, sigma_min=0.05, sigma_max=20.0), 10, {}),
        (dict(use_exponential_sigmas=True, sigma_min=0.05), 10, {}),
        (dict(rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"), 10, {}),
        (dict(thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10, {}),
        (dict(thresholding=True, predict_x0=False, final_sigmas_type="sigma_min"), 10, {}),  # of no effect there
        (dict(solver_type="midpoint"), 5, {}),
        (dict(use_dynamic_shifting=True, **flow), 10, dict(mu=0.8)),
        (dict(use_dynamic_shifting=True, time_shift_type="linear", **flow), 10, dict(mu=1.7)),
        (dict(shift_terminal=0.1, flow_shift=2.0, **flow), 10, {}),
        (dict(use_karras_sigmas=True, **flow), 10, {}),
        (dict(final_sigmas_type="sigma_min", **flow), 10, {}),
        (dict(**TRAINED), 4, {}),
    ]


def deis_cases():
    cases = _each(VP) + _respaced(VP, *KARRAS) + _flow()
    for i, p in enumerate(VP):
        for order in (1, 2, 3):
            cases.append((dict(prediction_type=p, solver_order=order, beta_schedule=SCHEDULES[(i + order) % 2]), (5, 10, 20)[(i + order) % 3], {}))
    return cases + [
        *[(dict(prediction_type=p, solver_order=3), 50, {}) for p in VP],
        (dict(), 1, {}),
        (dict(solver_order=3), 2, {}),
        (dict(), 7, {}),
        (dict(lower_order_final=False, solver_order=3), 10, {}),
        (dict(timestep_spacing="leading", steps_offset=1), 20, {}),
        (dict(thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10, {}),
        (dict(algorithm_type="dpmsolver++", solver_type="midpoint"), 5, {}),
        (dict(**TRAINED), 4, {}),
    ]


def flow_heun_cases():
    return [
        (dict(shift=shift, num_train_timesteps=t), n, {})
        for shift in (1.0, 3.0, 0.5)
        for t, n in ((1000, 1), (1000, 5), (1000, 10), (100, 20), (1000, 50))
    ]


def _edm():
    return [
        (dict(prediction_type=p, sigma_schedule=schedule), n, {})
        for p in ("epsilon", "v_prediction")
        for schedule, n in (("karras", 5), ("karras", 20), ("exponential", 10))
    ] + [
        (dict(sigma_min=0.02, sigma_max=20.0, sigma_data=0.8, rho=5.0), 10, {}),
        (dict(final_sigmas_type="sigma_min"), 10, {}),
        (dict(), 1, {}),
        (dict(sigma_schedule="exponential"), 1, {}),
        (dict(), 50, {}),
    ]


def edm_multistep_cases():
    return _edm() + [
        (dict(solver_order=order, solver_type=solver), n, {})
        for order, n in ((1, 10), (2, 10), (3, 10), (3, 20))
        for solver in ("midpoint", "heun")
    ] + [
        (dict(euler_at_final=True, lower_order_final=False, solver_order=3), 10, {}),
        (dict(thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.8), 10, {}),
        (dict(algorithm_type="deis", solver_type="logrho", final_sigmas_type="sigma_min"), 5, {}),
    ]


CASES = {
    "LMSDiscreteScheduler": lms_cases(),
    "KDPM2DiscreteScheduler": kdpm2_cases(),
    "DPMSolverMultistepScheduler": multistep_cases(),
    "DPMSolverSinglestepScheduler": singlestep_cases(),
    "UniPCMultistepScheduler": unipc_cases(),
    "DEISMultistepScheduler": deis_cases(),
    "FlowMatchHeunDiscreteScheduler": flow_heun_cases(),
    "EDMEulerScheduler": _edm(),
    "EDMDPMSolverMultistepScheduler": edm_multistep_cases(),
}
