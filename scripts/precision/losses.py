"""Do runs in bf16 end where runs in float32 end? Trains small networks on digits in both.

    python scripts/precision/losses.py [--seeds 5] [--langevin PROGRAM] [FILE.yaml ...]

Each experiment is trained with the same seeds in float32 and in bf16: same initial weights,
batches, times and noise. A run's final loss is the mean over its last quarter. The bound was
fixed before the first run:

  1. the mean of bf16's final losses lies between the least and the greatest of float32's;
  2. no seed's two final losses differ by more than float32's spread, the greatest less the least.

Standard library only. Ends with status 1 where a bound is broken.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def final_loss(program, file, seed, precision, folder):
    name = f"{file.stem}-{precision}-{seed}"
    command = [program, "train", str(file), f"name={name}", f"seed={seed}", f"precision={precision}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    lines = (Path(folder) / "runs" / name / "metrics.jsonl").read_text().splitlines()
    losses = [r["train/loss"] for r in map(json.loads, lines) if "train/loss" in r]
    last = losses[-max(1, len(losses) // 4) :]
    return sum(last) / len(last)


def compare(program, file, seeds):
    losses = {"float32": [], "bf16": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, seeds + 1):
            for precision, found in losses.items():
                found.append(final_loss(program, file, seed, precision, folder))
    whole, low = losses["float32"], losses["bf16"]
    spread, mean = max(whole) - min(whole), sum(low) / len(low)
    worst = max(abs(a - b) for a, b in zip(whole, low))
    good = min(whole) <= mean <= max(whole) and worst <= spread
    print(f"\n{file.stem}: final losses\n")
    print("| seed | " + " | ".join(map(str, range(1, seeds + 1))) + " |")
    print("|---|" + "---:|" * seeds)
    for precision, found in losses.items():
        print(f"| {precision} | " + " | ".join(f"{x:.5f}" for x in found) + " |")
    print(f"\nfloat32: {min(whole):.5f} to {max(whole):.5f}, a spread of {spread:.5f}; mean of bf16: {mean:.5f}; "
          f"largest difference of a pair: {worst:.5f}: {'within the bound' if good else 'NOT within the bound'}")
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("files", nargs="*", type=Path, metavar="FILE.yaml")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--langevin", help="the program; default: built from this repository")
    a = p.parse_args()
    files = [f.resolve() for f in a.files] or [HERE / "unet.yaml", HERE / "dit.yaml"]
    with tempfile.TemporaryDirectory() as folder:
        program = a.langevin
        if not program:
            program = str(Path(folder) / "langevin")
            subprocess.run(["go", "build", "-o", program, "./cmd/langevin"], cwd=HERE.parents[1], check=True)
        sys.exit(0 if all([compare(program, f, a.seeds) for f in files]) else 1)


if __name__ == "__main__":
    main()
