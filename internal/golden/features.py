"""Networks that pictures are compared by: torch-fidelity's Inception, transformers' DINOv2.

Their weights are millions of numbers, which no file holds: both sides make them, and the pictures, by a rule.
Number i of the tensor called NAME is made of h = mix(crc32(NAME)·2^32 + i), mix being a step of splitmix64 (Steele et
al. 2014), as u = (h >> 40)/2^24 in [0, 1), times and plus what `scale` says of the tensor, rounded to float32.
"""

import os
import tempfile
import zlib

import numpy
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from transformers import Dinov2Config, Dinov2Model


def uniform(name, n):
    """n numbers in [0, 1), multiples of 2^-24."""
    z = (numpy.uint64(zlib.crc32(name.encode())) << numpy.uint64(32)) + numpy.arange(n, dtype=numpy.uint64)
    z = z + numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z = z ^ (z >> numpy.uint64(31))
    return (z >> numpy.uint64(40)).astype(numpy.float64) / 2**24


def scale(name, shape):
    """The middle of a tensor's numbers and how far they go from it."""
    if name.endswith("running_var"):
        return 1.0, 0.5
    if len(shape) == 1 and name.endswith("weight") or "lambda1" in name:  # of norms, of branches
        return 1.0, 0.3
    if len(shape) == 1 or "token" in name or "position" in name:
        return 0.0, 0.3
    fan = 1
    for d in shape[1:]:
        fan *= d
    return 0.0, (6 / fan) ** 0.5 if len(shape) == 4 else (3 / fan) ** 0.5


def weights(shapes):
    out = {}
    for name, shape in shapes.items():
        middle, reach = scale(name, shape)
        n = int(numpy.prod(shape, dtype=numpy.int64))
        out[name] = (middle + reach * (2 * uniform(name, n) - 1)).astype(numpy.float32).reshape(shape)
    return out


def pictures(name, shape):
    """Bytes (N,H,W,3): a quarter of a picture's rows is smooth, so that not all is noise."""
    x = numpy.floor(256 * uniform(name, int(numpy.prod(shape)))).reshape(shape)
    n, h, w, c = shape
    ramp = numpy.floor(255 * numpy.arange(w) / max(1, w - 1))[None, None, :, None]
    x[:, : h // 4] = numpy.broadcast_to(ramp, (n, h // 4, w, c))
    return x.astype(numpy.uint8)


class _Empty(FeatureExtractorInceptionV3):
    """Takes no weights when it is made."""

    def load_state_dict(self, *args, **kwargs):
        pass


LAYERS = ["64", "192", "768", "2048", "logits"]

# Each: the side that pictures are brought to, the pictures' shape, the type that it computes in.
INCEPTION = {
    "small": (107, (1, 61, 40, 3), "float64"),
    "full": (299, (2, 32, 32, 3), "float64"),
}

# Each: the size before and after.
RESIZES = {"enlarge": ((7, 5), (23, 29)), "reduce": (((31, 45)), (10, 13)), "double": ((4, 4), (8, 8)), "pixel": ((1, 3), (4, 4))}


def _inception(dtype):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "none.pth")
        torch.save({}, path)
        net = _Empty("inception-v3-compat", LAYERS, path, dtype)
    shapes = {k: list(v.shape) for k, v in net.state_dict().items()}
    values = weights({k: v for k, v in shapes.items() if not k.endswith("num_batches_tracked")})
    missing = torch.nn.Module.load_state_dict(net, {k: torch.tensor(v) for k, v in values.items()}, strict=False)
    assert not missing.unexpected_keys and all(k.endswith("num_batches_tracked") for k in missing.missing_keys)
    return net.eval(), shapes


def make_inception():
    tensors = {}
    for name, (side, shape, dtype) in INCEPTION.items():
        net, shapes = _inception(dtype)
        net.INPUT_IMAGE_SIZE = side
        with torch.no_grad():
            out = net(torch.tensor(pictures("inception/" + name, shape)).permute(0, 3, 1, 2))
        for layer, value in zip(LAYERS, out):
            tensors[f"{name}/{layer}"] = value.numpy()
    for name, (before, after) in RESIZES.items():
        x = torch.tensor(pictures("resize/" + name, (1, *before, 3)).astype(numpy.float32)).permute(0, 3, 1, 2)
        y = interpolate_bilinear_2d_like_tensorflow1x(x, size=after, align_corners=False)
        tensors[f"resize/{name}"] = y[0].permute(1, 2, 0).contiguous().numpy()
    cases = {name: {"side": side, "shape": shape} for name, (side, shape, _) in INCEPTION.items()}
    resizes = {name: {"before": before, "after": after} for name, (before, after) in RESIZES.items()}
    return tensors, {"tensors": shapes, "cases": cases, "resizes": resizes}


# Each: a configuration, and pictures (height, width).
DINOV2 = {
    "plain": (dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, image_size=28, patch_size=7, mlp_ratio=2, layer_norm_eps=1e-5), (28, 28)),
    "larger": (dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=20, patch_size=4, mlp_ratio=4), (29, 39)),
    "swiglu": (dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=4, image_size=16, patch_size=4, mlp_ratio=4, use_swiglu_ffn=True, qkv_bias=False), (8, 12)),
    "vits14": (dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14), (224, 224)),
}


def dinov2_input(name, size):
    """(1,H,W,3), about as a picture with the data's mean and variance taken out."""
    return (pictures("dinov2/" + name, (1, *size, 3)).astype(numpy.float64) - 128) / 64


def make_dinov2(name):
    config, size = DINOV2[name]
    with tempfile.TemporaryDirectory() as folder:
        Dinov2Model(Dinov2Config(**config)).save_pretrained(folder)  # the names are those of the file
        path = os.path.join(folder, "model.safetensors")
        shapes = {k: list(v.shape) for k, v in load_file(path).items()}
        save_file(weights(shapes), path, {"format": "pt"})
        with open(os.path.join(folder, "config.json")) as f:
            text = f.read()
        model = Dinov2Model.from_pretrained(folder, dtype=torch.float64).eval()
    with torch.no_grad():
        out = model(torch.tensor(dinov2_input(name, size)).permute(0, 3, 1, 2))
    hidden = out.last_hidden_state.numpy()
    assert numpy.array_equal(hidden[:, 0], out.pooler_output.numpy())
    if hidden.size > 10000:  # some tokens of many
        hidden = hidden[:, [0, 1, 100, hidden.shape[1] - 1]]
    tensors = {"out": hidden}
    if name == "plain":  # as a feature extractor sees a picture
        picture = Image.fromarray(pictures("dinov2/picture", (1, 40, 56, 3))[0]).resize((224, 224), Image.Resampling.BICUBIC)
        x = torch.tensor(numpy.asarray(picture)).permute(2, 0, 1)[None].double() / 255
        x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        with torch.no_grad():
            tensors["picture"] = model(x).pooler_output.numpy()
    return tensors, {"config": text, "tensors": shapes, "size": list(size), "tokens": out.last_hidden_state.shape[1]}
