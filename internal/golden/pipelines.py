"""Whole folders as diffusers saves them, and what its sampling loop makes of them."""

import json
import os
import tempfile
import zlib

import diffusers
import numpy
import torch
from diffusers import DiTTransformer2DModel, UNet2DModel
from safetensors.numpy import save

import networks
import schedulers
import store
from precise import float64, normal

_UNET = dict(
    sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2,
    down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=4,
)
_DIT = dict(num_attention_heads=2, attention_head_dim=4, in_channels=1, num_layers=1, sample_size=8, patch_size=2, num_embeds_ada_norm=10)

PIPELINES = {
    "unet-ddim": dict(network=("unet", _UNET), scheduler=("DDIMScheduler", dict()), steps=10),
    # as the folders published in 2022 are: old names of the attention's weights, a configuration with few keys and a retired one
    "unet-legacy": dict(
        network=("unet", dict(_UNET, attention_head_dim=None, freq_shift=1, flip_sin_to_cos=False, downsample_padding=0, norm_eps=1e-6)),
        scheduler=("DDPMScheduler", dict(timestep_spacing="leading")), steps=5, legacy=True,
    ),
    "unet-ddim-eta": dict(
        network=("unet", dict(_UNET, resnet_time_scale_shift="scale_shift", num_class_embeds=10)), labels=[3, 9],
        scheduler=("DDIMScheduler", dict(prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True, clip_sample=False)),
        steps=5, options=dict(eta=0.5),
    ),
    "unet-number": dict(network=("unet", dict(_UNET, class_embed_type="timestep")), scheduler=("DDIMScheduler", dict()), steps=4, labels=[0, 37]),
    "unet-ddpm": dict(network=("unet", _UNET), scheduler=("DDPMScheduler", dict(beta_schedule="squaredcos_cap_v2", variance_type="fixed_large")), steps=8),
    "dit-ddim": dict(network=("transformer", _DIT), scheduler=("DDIMScheduler", dict(clip_sample=False)), steps=10, labels=[3, 10]),
    "dit-ddpm-learned": dict(
        network=("transformer", dict(_DIT, out_channels=2)), labels=[0, 9],
        scheduler=("DDPMScheduler", dict(variance_type="learned_range", clip_sample=False)), steps=8,
    ),
    "dit-euler": dict(network=("transformer", _DIT), scheduler=("EulerDiscreteScheduler", dict(use_karras_sigmas=True)), steps=6, labels=[1, 2]),
    "dit-euler-ancestral": dict(network=("transformer", _DIT), scheduler=("EulerAncestralDiscreteScheduler", dict()), steps=6, labels=[1, 2]),
    "dit-heun": dict(network=("transformer", _DIT), scheduler=("HeunDiscreteScheduler", dict()), steps=4, labels=[7, 7]),
}


def _build(case, weights_name, dtype):
    kind, config = case["network"]
    cls = UNet2DModel if kind == "unet" else DiTTransformer2DModel
    model = cls(**config)
    # Half the usual weights: the network then stays well-conditioned far from what it never was trained on.
    weights = {k: v if "norm" in k else (v / 2) for k, v in networks.randomise(model, weights_name).items()}
    return networks.load(model, weights, dtype)


def _loop(model, scheduler, case, noise, noises, dtype):
    def network(x, t):
        t = t.reshape(1).expand(len(x))
        labels = {} if "labels" not in case else dict(class_labels=torch.tensor(case["labels"]))
        return model(x, timestep=t if not t.is_floating_point() else t.to(dtype), **labels).sample

    scheduler.set_timesteps(case["steps"])
    x = torch.tensor(noise, dtype=dtype) * scheduler.init_noise_sigma
    with torch.no_grad(), schedulers.given_noises(scheduler, noises, dtype) as use:
        for i, t in enumerate(scheduler.timesteps):
            use(i)
            x = scheduler.step(network(scheduler.scale_model_input(x, t), t), t, x, **case.get("options", {})).prev_sample
    return x.numpy()


def make(name):
    """Returns the tensors and metadata of samples.safetensors, and the folder's files (path → bytes)."""
    case = PIPELINES[name]
    kind, (scheduler_name, scheduler_config) = case["network"][0], case["scheduler"]
    shape = (2, 1, 8, 8)
    noise = normal(zlib.crc32(f"{name}/noise".encode()), shape)
    noises = normal(zlib.crc32(f"{name}/noises".encode()), (case["steps"],) + shape)
    seed = f"pipelines/{name}"
    scheduler_cls = getattr(diffusers, scheduler_name)

    model = _build(case, seed, torch.float32)
    files = _folder(model, scheduler_cls(**scheduler_config), kind)
    if case.get("legacy"):
        _age(files, model)
    out32 = _loop(model, scheduler_cls(**scheduler_config), case, noise, noises, torch.float32)
    with float64():
        out = _loop(_build(case, seed, torch.float64), scheduler_cls(**scheduler_config), case, noise, noises, torch.float64)
    assert out.dtype == numpy.float64 and numpy.isfinite(out).all()
    assert abs(out - out32).max() < 1e-3 * abs(out).max(), abs(out - out32).max()
    tensors = {
        "noise": noise.astype(numpy.float32), "noises": noises.astype(numpy.float32), "samples": out, "samples_float32": out32,
    }
    if "labels" in case:
        tensors["class_labels"] = numpy.array(case["labels"])
    return tensors, {"options": dict(steps=case["steps"], **case.get("options", {}))}, files


def _folder(model, scheduler, kind):
    """What save_pretrained writes for the network and the scheduler, and a model_index.json that names them."""
    cls = "DiTPipeline" if kind == "transformer" else {"DDIMScheduler": "DDIMPipeline"}.get(type(scheduler).__name__, "DDPMPipeline")
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(os.path.join(folder, kind))
        scheduler.save_pretrained(os.path.join(folder, "scheduler"))
        files = {}
        for part in (kind, "scheduler"):
            for file in sorted(os.listdir(os.path.join(folder, part))):
                with open(os.path.join(folder, part, file), "rb") as f:
                    files[f"{part}/{file}"] = f.read()
    index = {"_class_name": cls, "_diffusers_version": diffusers.__version__}
    index[kind] = ["diffusers", type(model).__name__]
    index["scheduler"] = ["diffusers", type(scheduler).__name__]
    files["model_index.json"] = (json.dumps(index, indent=2) + "\n").encode()
    return files


LEGACY_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
LEGACY_KEYS = (
    "_class_name act_fn attention_head_dim block_out_channels center_input_sample down_block_types downsample_padding flip_sin_to_cos freq_shift "
    "in_channels layers_per_block mid_block_scale_factor norm_eps norm_num_groups out_channels sample_size time_embedding_type up_block_types"
).split()


def _age(files, model):
    """Rewrites the folder as an old diffusers left it, and sees that today's loads the same network from it."""
    weights = {k: v.numpy() for k, v in model.state_dict().items()}
    for new, old in LEGACY_NAMES.items():
        weights = {k.replace(f".{new}.", f".{old}."): v for k, v in weights.items()}
    config = {k: v for k, v in json.loads(files["unet/config.json"]).items() if k in LEGACY_KEYS}
    files["unet/config.json"] = (json.dumps({**config, "_diffusers_version": "0.0.4"}, indent=2) + "\n").encode()
    files["unet/diffusion_pytorch_model.safetensors"] = save(weights, {"format": "pt"})
    keys = ("_class_name", "beta_end", "beta_schedule", "beta_start", "clip_sample", "num_train_timesteps", "trained_betas")
    scheduler = {k: v for k, v in json.loads(files["scheduler/scheduler_config.json"]).items() if k in keys}
    scheduler.update(_diffusers_version="0.0.4", variance_type="fixed_small", tensor_format="pt")
    files["scheduler/scheduler_config.json"] = (json.dumps(scheduler, indent=2) + "\n").encode()
    with tempfile.TemporaryDirectory() as folder:
        store.write_files(folder, files)
        loaded = UNet2DModel.from_pretrained(os.path.join(folder, "unet"), low_cpu_mem_usage=False)
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    configs = [{k: v for k, v in json.loads(m.to_json_string()).items() if k[0] != "_"} for m in (model, loaded)]
    assert configs[0] == configs[1], configs
