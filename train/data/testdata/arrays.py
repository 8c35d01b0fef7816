"""Writes arrays.npz, arrays-compressed.npz and arrays.safetensors beside it, as NumPy and Hugging Face's library write them.

    python arrays.py

Element (n, y, x, c) of the 3 pictures of 2x4x3 is (24 n + 12 y + 3 x + c) mod 256; labels are n mod 2, vectors (n, n / 2).
"""

import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

here = pathlib.Path(__file__).parent
pictures = (np.arange(3 * 2 * 4 * 3) % 256).astype(np.uint8).reshape(3, 2, 4, 3)
labels = np.arange(3) % 2
vectors = np.stack([np.arange(3), np.arange(3) / 2], 1).astype(np.float32)
np.savez(here / "arrays.npz", images=pictures, labels=labels, points=vectors)
np.savez_compressed(here / "arrays-compressed.npz", images=pictures, labels=labels.astype(np.int32), points=vectors)
first = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
save_file({"samples": first, "last": pictures, "labels": labels, "vectors": vectors, "double": first.astype(np.float64), "half": first.astype(np.float16)}, here / "arrays.safetensors")
save_torch({"samples": torch.tensor(first).to(torch.bfloat16), "grey": torch.tensor(pictures[..., 0]).float()}, here / "arrays-bf16.safetensors")
