"""Runs diffusers' own code in float64.

diffusers computes timestep and position embeddings and every scheduler table in
float32 whatever the dtype of the model. Inside float64() the same source lines
run with every mention of float32 meaning float64, so that nothing is written a
second time here and the formulas are diffusers' own.
"""

import contextlib
import importlib

import numpy
import torch

_MODULES = [
    "diffusers.models.embeddings",
    "diffusers.models.resnet",
    "diffusers.models.upsampling",
    "diffusers.models.downsampling",
    "diffusers.models.unets.unet_2d",
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.unets.unet_2d_blocks",
    "diffusers.models.transformers.transformer_2d",
    "diffusers.schedulers.scheduling_ddim",
    "diffusers.schedulers.scheduling_ddpm",
    "diffusers.schedulers.scheduling_euler_discrete",
    "diffusers.schedulers.scheduling_heun_discrete",
    "diffusers.schedulers.scheduling_flow_match_euler_discrete",
    "diffusers.schedulers.scheduling_lms_discrete",
    "diffusers.schedulers.scheduling_k_dpm_2_discrete",
    "diffusers.schedulers.scheduling_dpmsolver_multistep",
    "diffusers.schedulers.scheduling_dpmsolver_singlestep",
    "diffusers.schedulers.scheduling_unipc_multistep",
    "diffusers.schedulers.scheduling_deis_multistep",
    "diffusers.schedulers.scheduling_flow_match_heun_discrete",
    "diffusers.schedulers.scheduling_edm_euler",
    "diffusers.schedulers.scheduling_edm_dpmsolver_multistep",
    "diffusers.schedulers.scheduling_euler_ancestral_discrete",
    "diffusers.schedulers.scheduling_k_dpm_2_ancestral_discrete",
    "diffusers.schedulers.scheduling_dpmsolver_sde",
]


class _Float64(object):
    """A module in which the name float32 stands for float64."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, "float64" if name == "float32" else name)


@contextlib.contextmanager
def float64():
    modules = [importlib.import_module(name) for name in _MODULES]
    saved = [(m, key, getattr(m, key)) for m in modules for key in ("torch", "np") if hasattr(m, key)]
    default, to_float = torch.get_default_dtype(), torch.Tensor.float
    try:
        for module, key, value in saved:
            setattr(module, key, _Float64(value))
        torch.set_default_dtype(torch.float64)
        torch.Tensor.float = torch.Tensor.double
        yield
    finally:
        for module, key, value in saved:
            setattr(module, key, value)
        torch.set_default_dtype(default)
        torch.Tensor.float = to_float


def normal(seed, shape, scale=1.0):
    """Normal numbers that float32 holds exactly, as a float64 array."""
    x = numpy.random.default_rng(seed).standard_normal(shape) * scale
    return x.astype(numpy.float32).astype(numpy.float64)
