"""Langevin beside PyTorch: both sides in turn, a process each, and a table of medians and ratios.

    python -m venv venv && venv/bin/pip install -r scripts/bench/requirements.txt
    venv/bin/python scripts/bench/compare.py [--rounds N] [--modes eager,compile] [WORKLOAD ...]

Run from anywhere in the repository, with Go installed, on an otherwise idle machine. Each
round measures each workload on one side and then on the other, so that both see the same
weather. With --device cuda both sides run on a GPU (otcfm does not). A figure is the median over the rounds of a process's median; a ratio, PyTorch's time
by Langevin's, is the median of the rounds' ratios, with the lowest and the highest. Beside
PyTorch's bf16 and compile_bf16 (autocast) stands Langevin's; beside its other modes, Langevin's float32.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKLOADS = ["gemm", "mlp", "unet", "dit", "latency", "otcfm"]
BF16 = ["gemm", "mlp", "unet", "dit"]  # those with a bf16 mode
TRAINING = ["mlp", "unet", "dit"]  # those with a batch to choose


def case(r):
    """What tells measurements of one workload apart."""
    if "shape" in r:
        return "×".join(map(str, r["shape"]))
    if "net" in r:
        return f"{r['net']}, batch {r['batch']}"
    if "coupling" in r:
        return f"{r['coupling']}, batch {r['batch']}"
    return f"batch {r['batch']}"


def run(command, env):
    out = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def say(text):
    print(text, file=sys.stderr, flush=True)


def number(x):
    return f"{x:.3g}" if abs(x) < 1000 else f"{x:.0f}"


def spread(values):
    return f"**{statistics.median(values):.2f}** ({min(values):.2f} to {max(values):.2f})"


def mine(mode):
    """Langevin's side of a mode of PyTorch."""
    return "langevin bf16" if mode.endswith("bf16") else "langevin"


def median(rows, key="median_ms"):
    values = [r[key] for r in rows if key in r]
    return number(statistics.median(values)) if values else ""


def table(results, modes):
    """results: {(workload, case): {side: [row of each round]}}; side is one of Langevin's or a mode of PyTorch."""
    sides_of = list(dict.fromkeys(mine(m) for m in modes))
    head = ["workload", "case"]
    for ours in sides_of:
        head.append(ours.replace("langevin", "Langevin") + " ms")
        for m in modes:
            if mine(m) == ours:
                head += [f"PyTorch {m} ms", "ratio"]
    head += ["Langevin MiB", "PyTorch MiB", "GFLOP/s"]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * 2 + "---:|" * (len(head) - 2))
    for (workload, name), sides in results.items():
        cells = [workload, name]
        for side in sides_of:
            ours = sides.get(side, [])
            cells.append(median(ours))
            for m in modes:
                if mine(m) != side:
                    continue
                theirs = sides.get(m, [])
                cells.append(median(theirs))
                pairs = zip(ours, theirs) if len(ours) == len(theirs) else []
                ratios = [t["median_ms"] / o["median_ms"] for o, t in pairs]
                cells.append(spread(ratios) if ratios else "")
        first = sides.get(sides_of[0], [])
        cells += [median(first, "peak_mib"), median(sides.get(modes[0], []), "peak_mib"), median(first, "gflops")]
        print("| " + " | ".join(cells) + " |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--modes", default="eager", help="of PyTorch: eager, channels_last (unet only), compile, bf16, compile_bf16")
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="of both sides")
    p.add_argument("--runs", type=int, default=0, help="training steps that are timed; 0: as many as is usual")
    p.add_argument("--batch", type=int, default=0, help="of training steps; 0: the usual one")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both sides")
    p.add_argument("--langevin", help="the program; default: built from this repository")
    p.add_argument("--peer", default=str(HERE / "torch_side.py"), help="script of the other side")
    p.add_argument("--raw", help="file that every line of both sides is added to")
    a = p.parse_args()
    for w in a.workloads:
        if w not in WORKLOADS:
            p.error(f"unknown workload {w}; want {', '.join(WORKLOADS)}")
    modes = a.modes.split(",")
    with tempfile.TemporaryDirectory() as tmp:
        program = a.langevin
        if not program:
            program = os.path.join(tmp, "langevin")
            subprocess.run(["go", "build", "-o", program, "./cmd/langevin"], cwd=HERE.parents[1], check=True)
        env = {**os.environ, "GOMAXPROCS": str(a.threads), "OMP_NUM_THREADS": str(a.threads)}
        results = {}
        for i in range(a.rounds):
            for w in a.workloads or [w for w in WORKLOADS if a.device == "cpu" or w != "otcfm"]:
                wanted = [m for m in modes if not m.endswith("bf16") or w in BF16]
                flags = ["--device", a.device] + (["--runs", str(a.runs)] if a.runs else [])
                batch = [f"batch={a.batch}"] if a.batch and w in TRAINING else []
                sides = []
                for m in wanted:
                    precision = ["--precision", "bf16"] if m.endswith("bf16") else []
                    sides.append((mine(m), [program, "bench", "--json", *flags, *precision, w, *batch]))
                sides += [(m, [sys.executable, a.peer, "--threads", str(a.threads), "--modes", m, *flags, "--batch", str(a.batch), w]) for m in wanted]
                sides = list(dict(sides).items())  # Langevin's float32 once
                for side, command in sides:
                    say(f"round {i + 1} of {a.rounds}: {w}, {side}; load {os.getloadavg()[0]:.1f}")
                    for r in run(command, env):
                        results.setdefault((w, case(r)), {}).setdefault(side, []).append(r)
                        if a.raw:
                            with open(a.raw, "a") as f:
                                f.write(json.dumps({"round": i, **r}) + "\n")
    table(results, modes)


if __name__ == "__main__":
    main()
