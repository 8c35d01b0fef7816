# Writes golden.safetensors and golden.json beside this file: what the Python
# reference implementation writes, and the values as float64 text.
# Versions: numpy 2.4.6, torch 2.15.0, safetensors 0.8.0.
import json, pathlib
import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
g = torch.Generator().manual_seed(7)
base = torch.randn(3, 5, generator=g, dtype=torch.float64)
special = torch.tensor([0.0, -0.0, 1.0, 6.1e-5, 6e-8, 65504.0, float("inf"), -float("inf")], dtype=torch.float64)
tensors = {
    "f64": base, "f32": base.float(), "f16": base.half(), "bf16": base.bfloat16(),
    "special.f16": special.half(), "special.bf16": special.bfloat16(), "special.f32": special.float(),
    "i64": torch.tensor([-(2**62), 0, 7]), "i32": torch.tensor([[-5], [6]], dtype=torch.int32),
    "i16": torch.tensor([-300], dtype=torch.int16), "i8": torch.tensor([-128, 127], dtype=torch.int8),
    "u8": torch.tensor([0, 255], dtype=torch.uint8), "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4), "käse \"x\" <&>": torch.ones(1),
}
save_file(tensors, here / "golden.safetensors", metadata={"format": "pt", "note": "line\nbreak"})
values = {n: {"shape": list(t.shape), "values": [repr(v) for v in t.flatten().tolist()]} for n, t in tensors.items()}
(here / "golden.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
