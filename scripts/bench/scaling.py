"""How a training step's time and memory grow with the work, as a Markdown table.

Each row is one of batch, image side, tokens, width and depth, at 1, 2, 4 and 8
times its least size, everything else as it is: the time beside the operations of
the step, both as multiples of the first column's.

    python scripts/bench/scaling.py --langevin ./langevin > table.md

It needs an idle machine, and nothing but Python's standard library.
"""

import argparse
import json
import subprocess
import sys

# What grows, from what experiment, and the overrides for a factor.
ROWS = [
    ("mlp, batch 64 …", "mlp", lambda f: [f"batch={64 * f}"]),
    ("mlp, width 128 …", "mlp", lambda f: [f"model.width={128 * f}"]),
    ("mlp, depth 2 …", "mlp", lambda f: [f"model.depth={2 * f}"]),
    ("U-Net, batch 4 …", "unet", lambda f: [f"batch={4 * f}"]),
    ("U-Net, side 12 …", "unet", lambda f: ["batch=4", f"data.shape=[{12 * f}, {12 * f}, 1]"]),
    ("U-Net, channels 16, 32, 32 …", "unet", lambda f: ["batch=8", f"model.channels=[{16 * f}, {32 * f}, {32 * f}]", "model.groups=16", "model.head_dim=32"]),
    ("U-Net, layers 1 …", "unet", lambda f: ["batch=4", f"model.layers={f}"]),
    ("DiT, batch 4 …", "dit", lambda f: ["model.depth=2", f"batch={4 * f}"]),
    ("DiT, side 12 …", "dit", lambda f: ["model.depth=1", "batch=2", f"model.sample_size={12 * f}", f"data.shape=[{12 * f}, {12 * f}, 1]"]),
    ("DiT, width 96 …", "dit", lambda f: ["model.depth=2", "batch=8", f"model.width={96 * f}", "model.heads=6"]),
    ("DiT, depth 1 …", "dit", lambda f: ["batch=8", f"model.depth={f}"]),
]
FACTORS = (1, 2, 4, 8)


def measure(langevin, file, overrides):
    command = [langevin, "bench", file, *overrides, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--langevin", default="langevin", help="the program")
    p.add_argument("--workloads", default="train/bench/workloads", help="folder of the experiments that grow")
    p.add_argument("--only", default="", help="rows whose name contains this")
    p.add_argument("--raw", help="file for a line of JSON a measurement")
    args = p.parse_args()
    raw = open(args.raw, "a") if args.raw else None
    print("| what grows | |" + "".join(f" ×{f} |" for f in FACTORS))
    print("|---|---|" + "---:|" * len(FACTORS))
    for name, file, overrides in ROWS:
        if args.only not in name:
            continue
        times, work, memory = [], [], []
        for f in FACTORS:
            r = measure(args.langevin, f"{args.workloads}/{file}.yaml", overrides(f))
            if raw:
                print(json.dumps({"row": name, "factor": f, **r}), file=raw, flush=True)
            times.append(r["median_ms"])
            work.append(r["breakdown"]["gflop"])
            m = r["breakdown"]["memory"]
            memory.append(m["held_mib"])
            print(f"{name} ×{f}: {r['median_ms']:.2f} ms", file=sys.stderr)
        cells = lambda values, form: "".join(f" {form(v)} |" for v in values)
        print(f"| {name} | ms |" + cells(times, lambda v: f"{v:.3g}"))
        print("| | time / first |" + cells(times, lambda v: f"{v / times[0]:.2f}"))
        print("| | operations / first |" + cells(work, lambda v: f"{v / work[0]:.2f}"))
        print("| | GFLOP/s |" + cells([1e3 * w / t for w, t in zip(work, times)], lambda v: f"{v:.0f}"))
        print("| | MiB of tensors |" + cells(memory, lambda v: f"{v:.0f}"))


if __name__ == "__main__":
    main()
