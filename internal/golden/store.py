"""Writes, reads and compares the result files."""

import json
import os

import numpy
from safetensors import safe_open
from safetensors.numpy import save_file

# Two builds of torch order their sums differently: relative differences of some
# hundred units in the last place in float64, and likewise in float32.
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


def write(path, tensors, metadata):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tensors = {k: numpy.array(v, order="C") for k, v in tensors.items()}
    save_file(tensors, path, {k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in metadata.items()})
    os.chmod(path, 0o644)


def read(path):
    with safe_open(path, "numpy") as f:
        return {k: f.get_tensor(k) for k in f.keys()}, f.metadata()


def compare(path, tensors, metadata):
    """Returns the differences between a committed file and what was made now."""
    if not os.path.exists(path):
        return ["missing"]
    old, old_metadata = read(path)
    old_metadata.pop("made_with", None)
    new_metadata = {k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in metadata.items()}
    problems = [f"metadata {k}" for k in sorted(set(old_metadata) ^ set(new_metadata))]
    problems += [f"metadata {k}" for k in old_metadata if k in new_metadata and old_metadata[k] != new_metadata[k]]
    problems += [f"tensor {k} on one side only" for k in sorted(set(old) ^ set(tensors))]
    scale = {}  # largest norm among tensors that share a first name part: gradients that vanish exactly are only rounding
    for name, value in old.items():
        if value.dtype.kind == "f":
            part = name.split("/")[0]
            scale[part] = max(scale.get(part, 0.0), float(numpy.linalg.norm(value.astype(numpy.float64))))
    for name in sorted(set(old) & set(tensors)):
        a, b = old[name], numpy.asarray(tensors[name])
        if a.dtype != b.dtype or a.shape != b.shape:
            problems.append(f"{name}: {a.dtype}{a.shape} became {b.dtype}{b.shape}")
        elif a.dtype.kind != "f":
            if not numpy.array_equal(a, b):
                problems.append(f"{name}: integers differ")
        else:
            a, b = a.astype(numpy.float64), b.astype(numpy.float64)
            bound = TOLERANCE[str(old[name].dtype)] * (numpy.linalg.norm(a) + 1e-3 * scale[name.split("/")[0]])
            error = numpy.linalg.norm(a - b)
            if not error <= bound:
                problems.append(f"{name}: differs by {error:.3g}, allowed {bound:.3g}")
    return problems


def write_files(folder, files):
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)
        os.chmod(path, 0o644)


def compare_files(folder, files):
    """As compare, for whole files: these hold configurations and seeded weights only, so they are equal byte for byte."""
    problems = []
    for name, content in files.items():
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            problems.append(f"{name} is missing")
            continue
        with open(path, "rb") as f:
            if f.read() != content:
                problems.append(f"{name} differs")
    return problems
