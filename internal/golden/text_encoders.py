"""CLIPTextModel: last_hidden_state, pooler_output and all gradients in float64."""

import json
import os
import tempfile
import zlib

import numpy
import torch
from transformers import CLIPTextConfig, CLIPTextModel

import networks
from precise import normal

# Each: the configuration, ids, and perhaps which of them are not padding.
CASES = {
    # the first releases' eos_token_id 2: the token of the largest id counts; here it is not the last one
    "legacy": dict(
        config=dict(vocab_size=20, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=7, hidden_act="quick_gelu", eos_token_id=2, bos_token_id=18, pad_token_id=1),
        ids=[[18, 3, 5, 19, 19, 19, 19], [18, 2, 19, 4, 2, 19, 0], [2, 2, 2, 2, 2, 2, 2]],
    ),
    # today's: the first eos_token_id counts, though larger ids come before; exact GELU; fewer tokens than places
    "eos": dict(
        config=dict(vocab_size=24, hidden_size=12, intermediate_size=20, num_hidden_layers=3, num_attention_heads=3, max_position_embeddings=9, hidden_act="gelu", eos_token_id=21, bos_token_id=20, pad_token_id=21, layer_norm_eps=1e-3),
        ids=[[20, 23, 5, 21, 21, 21], [20, 1, 2, 3, 23, 21]],
    ),
    # padding is masked, before the end too
    "masked": dict(
        config=dict(vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=4, max_position_embeddings=5, hidden_act="gelu_new", eos_token_id=15, bos_token_id=14, pad_token_id=0),
        ids=[[14, 1, 15, 0, 0], [14, 7, 0, 3, 15]], mask=[[1, 1, 1, 0, 0], [1, 1, 0, 1, 1]],
    ),
}


def _weights(model, name):
    out = {}
    for key, p in model.state_dict().items():
        seed = zlib.crc32(f"text/{name}/{key}".encode())
        if key.endswith("bias"):
            out[key] = normal(seed, p.shape, 0.2)
        elif "norm" in key:
            out[key] = (1 + normal(seed, p.shape, 0.3)).astype(numpy.float32).astype(numpy.float64)
        elif "embedding" in key:
            out[key] = normal(seed, p.shape)
        else:
            out[key] = normal(seed, p.shape, p[0].numel() ** -0.5)
    return out


def _model(case):
    # "eager" takes softmax in float32 whatever the type, "sdpa" in the weights' own
    return CLIPTextModel._from_config(CLIPTextConfig(**case["config"]), attn_implementation="sdpa")


def make(name):
    case = CASES[name]
    stock = _model(case)
    weights = _weights(stock, name)
    ids = torch.tensor(case["ids"])
    args = {"attention_mask": torch.tensor(case["mask"])} if "mask" in case else {}
    with torch.no_grad():
        out32 = networks.load(stock, weights, torch.float32)(input_ids=ids, **args)
    with tempfile.TemporaryDirectory() as folder:
        stock.save_pretrained(folder)
        files = {}
        for file in ("config.json", "model.safetensors"):
            with open(os.path.join(folder, file), "rb") as f:
                files[f"{name}/{file}"] = f.read()
    model = networks.load(_model(case), weights, torch.float64)
    run = lambda: model(input_ids=ids, **args)
    out = run()
    up = [normal(zlib.crc32(f"text/{name}/up{i}".encode()), tuple(t.shape)) for i, t in enumerate((out.last_hidden_state, out.pooler_output))]
    both = lambda: torch.cat([run().last_hidden_state.flatten(), run().pooler_output.flatten()])
    weight = torch.tensor(numpy.concatenate([u.ravel() for u in up]))
    (both() * weight).sum().backward()
    grads = {k: p.grad.clone() for k, p in model.named_parameters()}
    networks._directional_check(model, both, [], grads, weight)
    for a, b in ((out32.last_hidden_state, out.last_hidden_state), (out32.pooler_output, out.pooler_output)):
        assert float((a - b.detach()).norm() / b.detach().norm()) < 1e-5
    tensors = {
        "in/input_ids": ids.numpy(), "in/grad_last_hidden_state": up[0].astype(numpy.float32), "in/grad_pooler_output": up[1].astype(numpy.float32),
        "out/last_hidden_state": out.last_hidden_state.detach().numpy(), "out/pooler_output": out.pooler_output.detach().numpy(),
    }
    if args:
        tensors["in/attention_mask"] = args["attention_mask"].numpy().astype(numpy.float32)
    for key, value in grads.items():
        tensors["grad/" + key] = value.numpy()
    return tensors, {}, files
