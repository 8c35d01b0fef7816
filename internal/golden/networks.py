"""UNet2DModel and DiTTransformer2DModel: outputs and all gradients in float64."""

import json
import zlib

import numpy
import torch
from diffusers import DiTTransformer2DModel, UNet2DConditionModel, UNet2DModel
from diffusers.models.embeddings import get_2d_sincos_pos_embed, get_timestep_embedding

from precise import float64, normal

# Each configuration: the constructor's arguments, the input's (height, width), timesteps, labels.
UNETS = {
    # class embedding, attention with one head of 8 and, in 12 channels, of fewer inner than outer channels
    "class-attention": dict(
        config=dict(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 12), layers_per_block=1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=4, attention_head_dim=8, num_class_embeds=11,
        ),
        size=(8, 8), timesteps=[999, 3, 500], labels=[0, 7, 10],
    ),
    # as the first published DDPM models: no attention here, padding 0, sin before cos, odd 3x5 at the bottom
    "plain-centred": dict(
        config=dict(
            sample_size=(12, 20), in_channels=3, out_channels=3, block_out_channels=(4, 8, 8), layers_per_block=1,
            down_block_types=("DownBlock2D",) * 3, up_block_types=("UpBlock2D",) * 3, norm_num_groups=2, norm_eps=1e-6,
            add_attention=False, center_input_sample=True, downsample_padding=0, freq_shift=1, flip_sin_to_cos=False,
            attention_head_dim=None,
        ),
        size=(12, 20), timesteps=[0, 640],
    ),
    # scale-shift everywhere, resampling inside resnets, a second timestep as the class
    "scale-shift-resnet": dict(
        config=dict(
            sample_size=(12, 8), in_channels=3, out_channels=3, block_out_channels=(4, 8, 8), layers_per_block=1,
            down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"), norm_num_groups=2,
            attention_head_dim=2, resnet_time_scale_shift="scale_shift", downsample_type="resnet",
            upsample_type="resnet", class_embed_type="timestep", num_class_embeds=5,
        ),
        size=(12, 8), timesteps=[37, 871], labels=[0, 400],
    ),
    # one level, so that both sides may be odd; one head over all channels; a fractional timestep
    "odd-single-level": dict(
        config=dict(
            in_channels=2, out_channels=1, block_out_channels=(9,), layers_per_block=2,
            down_block_types=("AttnDownBlock2D",), up_block_types=("AttnUpBlock2D",), norm_num_groups=3,
            attention_head_dim=None, dropout=0.3, act_fn="mish", time_embedding_dim=20, freq_shift=0.5,
        ),
        size=(13, 9), timesteps=[499.5, 12.25],
    ),
    # Fourier time embedding (the output is divided by t), a vector condition, a rescaled mid block
    "fourier-identity": dict(
        config=dict(
            sample_size=7, in_channels=1, out_channels=2, block_out_channels=(8,), layers_per_block=1,
            down_block_types=("UNetResAttnDownBlock2D",), up_block_types=("UNetResUpBlock2D",), norm_num_groups=4,
            attention_head_dim=4, time_embedding_type="fourier", class_embed_type="identity",
            mid_block_scale_factor=1.4142135623730951,
        ),
        size=(7, 7), timesteps=[0.25, 1.75, 40.0], labels="vector",
    ),
    # learned time table (also for the class), no mid block, 3 heads of 5 in 16 channels
    "learned-no-mid": dict(
        config=dict(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 16), layers_per_block=1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("UpBlock2D", "AttnUpBlock2D"),
            norm_num_groups=4, attention_head_dim=5, time_embedding_type="learned", num_train_timesteps=10,
            class_embed_type="timestep", mid_block_type=None, act_fn="gelu",
        ),
        size=(8, 8), timesteps=[0, 9], labels=[4, 9],
    ),
    # scale-shift with groups for the mid attention's norm; odd width of the time embedding; kinds not mirrored
    "scale-shift-mixed": dict(
        config=dict(
            sample_size=(4, 6), in_channels=1, out_channels=1, block_out_channels=(9, 12), layers_per_block=1,
            down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("ResnetUpsampleBlock2D", "AttnUpBlock2D"),
            norm_num_groups=3, attn_norm_num_groups=2, attention_head_dim=3, resnet_time_scale_shift="scale_shift",
            act_fn="relu", mid_block_scale_factor=2, num_class_embeds=3,
        ),
        size=(4, 6), timesteps=[250, 251], labels=[2, 0],
    ),
    # four levels, two layers each, 16x8 down to 2x1
    "deep": dict(
        config=dict(
            sample_size=(16, 8), in_channels=1, out_channels=1, block_out_channels=(4, 4, 8, 8), layers_per_block=2,
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=2, attention_head_dim=2,
        ),
        size=(16, 8), timesteps=[77],
    ),
    # NCSN++: image skips through FIR filters, groups from the channels
    "skip": dict(
        config=dict(
            sample_size=(12, 4), in_channels=3, out_channels=3, block_out_channels=(8, 12, 12), layers_per_block=1,
            down_block_types=("SkipDownBlock2D",) * 3, up_block_types=("SkipUpBlock2D",) * 3, norm_num_groups=None,
            norm_eps=1e-6, attention_head_dim=4, mid_block_scale_factor=1.41421, time_embedding_type="fourier",
        ),
        size=(12, 4), timesteps=[0.5, 8.0],
    ),
    "attention-skip": dict(
        config=dict(
            sample_size=4, in_channels=3, out_channels=3, block_out_channels=(32, 32), layers_per_block=1,
            down_block_types=("AttnSkipDownBlock2D",) * 2, up_block_types=("AttnSkipUpBlock2D",) * 2,
            norm_num_groups=16, attention_head_dim=16, mid_block_type=None, time_embedding_dim=12,
            resnet_time_scale_shift="scale_shift",
        ),
        size=(4, 4), timesteps=[123, 4],
    ),
}

# Networks that attend to encoded prompts: text is (tokens, of each prompt the number that is not padding or None: no mask).
TEXT_UNETS = {
    # Stable Diffusion 1: 1x1 convolutions around the blocks, attention_head_dim heads at all levels, no mask
    "sd1": dict(
        config=dict(
            sample_size=8, in_channels=2, out_channels=2, block_out_channels=(8, 12), layers_per_block=1, cross_attention_dim=6,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            norm_num_groups=4, attention_head_dim=4,
        ),
        size=(8, 8), timesteps=[999, 3], text=(7, None),
    ),
    # Stable Diffusion 2: linear projections, heads by level, upcast attention; a mask; coarsest level attends too
    "sd2": dict(
        config=dict(
            sample_size=(8, 4), in_channels=1, out_channels=1, block_out_channels=(4, 8), layers_per_block=1, cross_attention_dim=5,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            norm_num_groups=2, attention_head_dim=[1, 2], use_linear_projection=True, upcast_attention=True, flip_sin_to_cos=True,
        ),
        size=(8, 4), timesteps=[12, 600, 777], text=(4, [1, 4, 3]),
    ),
    # several blocks behind each residual block, fewer inner than outer channels (5 in 2 heads of 2), scale-shift, a class, no mid block, frequencies shifted
    "deep-blocks": dict(
        config=dict(
            sample_size=4, in_channels=1, out_channels=2, block_out_channels=(5, 10), layers_per_block=2, cross_attention_dim=3,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            norm_num_groups=5, norm_eps=1e-4, attention_head_dim=[2, 5], transformer_layers_per_block=[1, 2], mid_block_type=None,
            resnet_time_scale_shift="scale_shift", num_class_embeds=4, freq_shift=1, flip_sin_to_cos=False, dropout=0.2, center_input_sample=True,
        ),
        size=(4, 4), timesteps=[0, 250.5], labels=[3, 0], text=(3, [2, 3]),
    ),
}

DITS = {
    "plain": dict(
        config=dict(num_attention_heads=2, attention_head_dim=8, in_channels=1, num_layers=2, sample_size=8,
                    patch_size=2, num_embeds_ada_norm=10),
        size=(8, 8), timesteps=[999, 0, 412], labels=[0, 9, 10],
    ),
    # learned sigma, patches of one pixel, 5x5 tokens
    "learned-sigma": dict(
        config=dict(num_attention_heads=4, attention_head_dim=4, in_channels=2, out_channels=4, num_layers=2,
                    sample_size=5, patch_size=1, num_embeds_ada_norm=3),
        size=(5, 5), timesteps=[17, 640], labels=[3, 1],
    ),
    # patches of four, 3x3 tokens, no bias in q, k, v, exact GELU
    "patch-4": dict(
        config=dict(num_attention_heads=1, attention_head_dim=12, in_channels=3, num_layers=1, sample_size=12,
                    patch_size=4, num_embeds_ada_norm=5, attention_bias=False, activation_fn="gelu"),
        size=(12, 12), timesteps=[500, 501], labels=[5, 2],
    ),
    "affine-geglu": dict(
        config=dict(num_attention_heads=3, attention_head_dim=4, in_channels=1, num_layers=2, sample_size=6,
                    patch_size=2, num_embeds_ada_norm=2, norm_elementwise_affine=True, norm_eps=1e-3,
                    activation_fn="geglu"),
        size=(6, 6), timesteps=[8, 90], labels=[0, 2],
    ),
    # another size than the one it was made for: the position grid is rescaled; fractional timesteps
    "other-size": dict(
        config=dict(num_attention_heads=2, attention_head_dim=6, in_channels=1, num_layers=1, sample_size=8,
                    patch_size=2, num_embeds_ada_norm=4, activation_fn="swiglu"),
        size=(6, 6), timesteps=[333.25, 0.5], labels=[4, 3],
    ),
    # the patch does not divide the image: the last row and column are dropped
    "remainder": dict(
        config=dict(num_attention_heads=2, attention_head_dim=2, in_channels=2, num_layers=1, sample_size=9,
                    patch_size=2, num_embeds_ada_norm=4, activation_fn="linear-silu", dropout=0.1),
        size=(9, 9), timesteps=[1, 2], labels=[1, 4],
    ),
    "one-head": dict(
        config=dict(num_attention_heads=1, attention_head_dim=16, in_channels=1, num_layers=3, sample_size=14,
                    patch_size=2, num_embeds_ada_norm=1, activation_fn="geglu-approximate", upcast_attention=True),
        size=(14, 14), timesteps=[950, 50], labels=[1, 0],
    ),
}


def randomise(model, name):
    """Nothing stays at a special value: biases, norm weights and adaLN's zero init included."""
    weights = {}
    for key, p in model.state_dict().items():
        seed = zlib.crc32(f"{name}/{key}".encode())
        norm = "norm" in key.split(".")[-2] and p.ndim == 1
        if key.endswith("bias"):
            weights[key] = normal(seed, p.shape, 0.2)
        elif norm:
            weights[key] = (1 + normal(seed, p.shape, 0.3)).astype(numpy.float32).astype(numpy.float64)
        elif p.ndim == 1:  # the Fourier frequencies
            weights[key] = normal(seed, p.shape)
        else:
            fan_in = 1 if "embed" in key and p.ndim == 2 and key.split(".")[-2] in ("class_embedding", "embedding_table") else p[0].numel()
            weights[key] = normal(seed, p.shape, fan_in**-0.5)
    return weights


def load(model, weights, dtype):
    model.to(dtype).eval()
    model.load_state_dict({k: torch.tensor(v, dtype=dtype) for k, v in weights.items()}, strict=True)
    return model


def _tensor(value, dtype):
    integers = isinstance(value, list) and all(isinstance(v, int) for v in value)
    return torch.tensor(value, dtype=torch.int64 if integers else dtype)


def _directional_check(model, run, inputs, grads, loss_weight):
    """The gradients against a central difference along one random direction, in float64."""
    tensors = [(p, grads[k]) for k, p in model.named_parameters() if p.requires_grad] + inputs
    rng = numpy.random.default_rng(1)
    steps = [torch.tensor(rng.standard_normal(tuple(p.shape))) for p, _ in tensors]
    slope = sum(float((g * d).sum()) for (_, g), d in zip(tensors, steps))

    def loss(h):
        with torch.no_grad():
            for (p, _), d in zip(tensors, steps):
                p += h * d
            value = float((run() * loss_weight).sum())
            for (p, _), d in zip(tensors, steps):
                p -= h * d
        return value

    h = 1e-6
    difference = (loss(h) - loss(-h)) / (2 * h)
    assert abs(difference - slope) <= 1e-6 * abs(slope) + 1e-6, (difference, slope)


def check_embeddings():
    """float64() must reach the embeddings: against their formulas written with numpy (t*2^-52 is the phase's rounding)."""
    t, k = numpy.array([999.0, 0.25]), numpy.arange(8)
    a = t[:, None] * 10000.0 ** (-k / 7.0)
    want = numpy.concatenate([numpy.cos(a), numpy.sin(a)], axis=1)
    w = 10000.0 ** (-numpy.arange(3) / 3.0)
    column, row = numpy.meshgrid(numpy.arange(5) * 4 / 5, numpy.arange(5) * 4 / 5)
    parts = [f(x.reshape(-1, 1) * w) for x in (column, row) for f in (numpy.sin, numpy.cos)]
    with float64():
        got = get_timestep_embedding(torch.tensor(t), 16, flip_sin_to_cos=True, downscale_freq_shift=1).numpy()
        grid = get_2d_sincos_pos_embed(12, (5, 5), base_size=4).numpy()
    assert abs(got - want).max() < 1e-12
    assert abs(grid - numpy.concatenate(parts, axis=1)).max() < 1e-14


def make(kind, name, case):
    cls = {"unet": UNet2DModel, "textunet": UNet2DConditionModel, "dit": DiTTransformer2DModel}[kind]
    channels, (height, width) = case["config"]["in_channels"], case["size"]
    batch = len(case["timesteps"])
    sample = normal(zlib.crc32(f"{name}/sample".encode()), (batch, channels, height, width))
    labels = case.get("labels")
    if labels == "vector":
        dim = case["config"].get("time_embedding_dim") or 4 * case["config"]["block_out_channels"][0]
        labels = normal(zlib.crc32(f"{name}/labels".encode()), (batch, dim)).tolist()

    stock = cls(**case["config"])
    config = json.loads(stock.to_json_string())
    weights = randomise(stock, f"{kind}/{name}")

    def arguments(dtype):
        out = dict(timestep=_tensor(case["timesteps"], dtype))
        if labels is not None:
            out["class_labels"] = _tensor(labels, dtype)
        if "text" in case:
            tokens, lengths = case["text"]
            out["encoder_hidden_states"] = torch.tensor(normal(zlib.crc32(f"{name}/text".encode()), (batch, tokens, case["config"]["cross_attention_dim"])), dtype=dtype)
            if lengths:
                out["encoder_attention_mask"] = torch.tensor([[i < n for i in range(tokens)] for n in lengths])
        return out

    with torch.no_grad():
        out32 = load(stock, weights, torch.float32)(torch.tensor(sample, dtype=torch.float32), **arguments(torch.float32)).sample

    with float64():
        model = load(cls(**case["config"]), weights, torch.float64)
        x, args = torch.tensor(sample, requires_grad=True), arguments(torch.float64)
        if "class_labels" in args and args["class_labels"].is_floating_point():
            args["class_labels"].requires_grad_()
        if "text" in case:
            args["encoder_hidden_states"].requires_grad_()
        run = lambda: model(x, **args).sample
        y = run()
        upstream = normal(zlib.crc32(f"{name}/upstream".encode()), tuple(y.shape))
        y.backward(torch.tensor(upstream))
        grads = {k: p.grad.clone() for k, p in model.named_parameters() if p.requires_grad}
        inputs = [(v, v.grad.clone()) for v in (x, args.get("class_labels"), args.get("encoder_hidden_states")) if v is not None and v.requires_grad]
        _directional_check(model, run, inputs, grads, torch.tensor(upstream))
    assert y.dtype == torch.float64 and all(g.dtype == torch.float64 for g in grads.values())
    assert all(float(g.abs().max()) > 0 for g in grads.values())
    error = float((out32 - y.detach()).norm() / y.detach().norm())
    assert error < 1e-4, error  # stock float32 is the same function

    tensors = {"in/sample": sample.astype(numpy.float32), "in/grad_output": upstream.astype(numpy.float32)}
    tensors["in/timestep"] = args["timestep"].numpy()
    if labels is not None:
        tensors["in/class_labels"] = args["class_labels"].detach().numpy()
        if args["class_labels"].requires_grad:
            tensors["in/class_labels"] = tensors["in/class_labels"].astype(numpy.float32)
            tensors["grad_in/class_labels"] = inputs[1][1].numpy()
    if "text" in case:
        tensors["in/encoder_hidden_states"] = args["encoder_hidden_states"].detach().numpy().astype(numpy.float32)
        tensors["grad_in/encoder_hidden_states"] = inputs[-1][1].numpy()
        if "encoder_attention_mask" in args:
            tensors["in/encoder_attention_mask"] = args["encoder_attention_mask"].numpy().astype(numpy.float32)
    tensors["out/sample"] = y.detach().numpy()
    tensors["out/sample_float32"] = out32.numpy()
    tensors["grad_in/sample"] = inputs[0][1].numpy()
    for key, value in weights.items():
        tensors["param/" + key] = value.astype(numpy.float32)
    for key, value in grads.items():
        tensors["grad/" + key] = value.numpy()
    return tensors, {"config": config, "parameters": str(sum(v.size for v in weights.values()))}
