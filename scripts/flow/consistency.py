"""One step, two steps and more of flow matching and of consistency flow matching, on moons.

    python consistency.py OUT [--langevin BINARY] [--seeds 2] [--figure FILE.png]

Trains examples/moons.yaml and examples/moons-consistency.yaml, the latter also with one segment, and measures the 2-Wasserstein distance of
2,000 samples by Euler's method to as many training points, beside that of held-out points. Runs that are there are not made again.
"""
import argparse
import json
import os
import subprocess

EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "examples")
CASES = {
    "flow matching": ("moons.yaml", []),
    "consistency, 1 segment": ("moons-consistency.yaml", ["objective.segments=1"]),
    "consistency, 2 segments": ("moons-consistency.yaml", []),
}
STEPS = [1, 2, 4, 8, 16]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("--langevin", default="langevin")
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--figure")
    a = p.parse_args()
    found, held = {}, 0.0
    for name, (file, settings) in CASES.items():
        for seed in range(a.seeds):
            run = os.path.join(a.out, f"{name.replace(', ', '-').replace(' ', '-')}-{seed}")
            if not os.path.isdir(run):
                subprocess.run([a.langevin, "train", os.path.join(EXAMPLES, file), "--run", run, f"seed={seed}", "sample.every=0", *settings], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for steps in STEPS:
                text = subprocess.run([a.langevin, "eval", run, "--n", "2000", "--sampler", "euler", "--steps", str(steps), "--json"], check=True, capture_output=True, text=True).stdout
                r = json.loads(text)
                found.setdefault((name, steps), []).append(r["w2"])
                held = r["w2_heldout"]
    print(f"{'steps':28s}" + "".join(f"{s:>16d}" for s in STEPS))
    for name in CASES:
        cells = [f"{min(found[name, s]):.3f} to {max(found[name, s]):.3f}" for s in STEPS]
        print(f"{name:28s}" + "".join(f"{c:>16s}" for c in cells))
    print(f"{'held-out points':28s}{held:>16.3f}")
    if a.figure:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        fig, axes = pyplot.subplots(figsize=(5.2, 3.4), dpi=110)
        for name in CASES:
            mean = [sum(found[name, s]) / a.seeds for s in STEPS]
            axes.plot(STEPS, mean, marker="o", markersize=4, label=name)
        axes.axhline(held, color="grey", linewidth=1, linestyle="--", label="held-out points")
        axes.set_xscale("log", base=2), axes.set_yscale("log")
        axes.set_xticks(STEPS, [str(s) for s in STEPS]), axes.set_yticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
        axes.minorticks_off()
        axes.set_xlabel("steps of Euler's method"), axes.set_ylabel("2-Wasserstein distance to moons")
        axes.legend(frameon=False, fontsize=8), axes.spines[["top", "right"]].set_visible(False)
        fig.tight_layout()
        fig.savefig(a.figure)


if __name__ == "__main__":
    main()
