"""Few steps on the digits and on moons: mean flows and shortcut models beside a flow of the same size, and rounds of rectification.

    python few_steps.py RUNS [--langevin BINARY] [--only digits moons reflow recipes] [--seeds 3]

Runs are kept in RUNS and gone on from; measurements are lines of results.jsonl, 10,000 samples each. Needs nothing but Python and the langevin program.
Run from the repository's root; one idle core takes some hours.
"""
import argparse
import json
import os
import subprocess
import sys

import results

SAMPLES = 10000
DIGITS, MOONS = "examples/digits.yaml", "examples/moons.yaml"
SLOW = "model.time_scale=16"  # time features, of which derivatives are taken
MODELS = {  # what is trained
    "digits": {
        "flow": [DIGITS],
        "mean_flow": ["examples/digits-meanflow.yaml"],
        "shortcut": ["examples/digits-shortcut.yaml"],
    },
    "moons": {
        "flow": [MOONS],
        "mean_flow": [MOONS, "objective={kind: mean_flow, times: uniform, ratio: 0.5, power: 0, coupling: ot}", SLOW],
        "shortcut": [MOONS, "objective={kind: shortcut, ratio: 0.25, coupling: ot}", SLOW],
    },
}
HOW = {  # and with how many steps it is sampled
    "flow": [("euler", 1), ("euler", 4), ("euler", 50)],
    "mean_flow": [("jump", 1), ("jump", 2), ("jump", 4)],
    "shortcut": [("jump", 1), ("jump", 2), ("jump", 4)],
}


MEAN_FLOW = ["examples/digits-meanflow.yaml", "objective.coupling=independent"]
SHORTCUT = ["examples/digits-shortcut.yaml", "objective.coupling=independent"]
RECIPES = {  # what was tried on the way to the examples: one seed, and few samples
    "mean flow: the paper's times, p 1, a quarter with steps": [*MEAN_FLOW, "objective.power=1", "objective.ratio=0.25", "objective.times={kind: logit_normal, mean: -0.4}"],
    "the same, improved": [*MEAN_FLOW, "objective.power=1", "objective.ratio=0.25", "objective.times={kind: logit_normal, mean: -0.4}", "objective.improved=true"],
    "mean flow: uniform times, p 0, half": [*MEAN_FLOW, "objective.power=0", "objective.ratio=0.5", "objective.times=uniform"],
    "mean flow: U-shaped times, p 0, half": [*MEAN_FLOW, "objective.power=0", "objective.ratio=0.5", "objective.times=u_shaped"],
    "mean flow: uniform times, p ½, half": [*MEAN_FLOW, "objective.power=0.5", "objective.ratio=0.5", "objective.times=uniform"],
    "mean flow: uniform times, p 0, half, improved, guidance 1.5 in the target": [*MEAN_FLOW, "objective.power=0", "objective.ratio=0.5", "objective.times=uniform", "objective.improved=true", "objective.guidance=1.5", "objective.condition_dropout=0.1"],
    "mean flow: wide times, p ¾, half": [*MEAN_FLOW, "objective.power=0.75", "objective.ratio=0.5", "objective.times={kind: logit_normal, mean: -1, std: 2}"],
    "mean flow: uniform times, p ½, half, noise by optimal transport within classes": [*MEAN_FLOW, "objective.power=0.5", "objective.ratio=0.5", "objective.times=uniform", "objective.coupling=c2ot"],
    "shortcut: 32 steps, a quarter, average .999": [*SHORTCUT, "objective.steps=32", "objective.ratio=0.25", "ema.decay=0.999"],
    "shortcut: 16 steps, half, average .99": [*SHORTCUT, "objective.steps=16", "objective.ratio=0.5", "ema.decay=0.99"],
    "shortcut: 16 steps, half, average .99, noise by optimal transport within classes": [*SHORTCUT, "objective.steps=16", "objective.ratio=0.5", "ema.decay=0.99", "objective.coupling=c2ot"],
}


def call(args, *command):
    done = subprocess.run([args.langevin, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def train(args, run, settings):
    if os.path.exists(os.path.join(run, "checkpoints")):
        call(args, "train", run, "--resume")
    else:
        call(args, "train", *settings, "sample.every=0", "--run", run)


def models(args, data):
    for seed in range(args.seeds):
        for model, settings in MODELS[data].items():
            run = os.path.join(args.runs, f"{data}-{model}-{seed}")
            todo = [h for h in HOW[model] if not results.find("few-steps", data=data, model=model, seed=seed, sampler=h[0], steps=h[1])]
            if todo:
                train(args, run, [*settings, f"seed={seed}"])
            for sampler, steps in todo:
                report = json.loads(call(args, "eval", run, f"sampler={sampler}", "guidance=1", "--steps", str(steps), "--n", str(SAMPLES), "--json"))
                keep = FIGURES if data == "digits" else ("w2", "w2_heldout")
                results.put("few-steps", data=data, model=model, seed=seed, sampler=sampler, steps=steps, trained=settings, samples=SAMPLES, **{k: round(report[k], 4) for k in keep})


FIGURES = ("class_accuracy", "frechet", "frechet_heldout", "precision", "recall")


def recipes(args):
    for i, (name, settings) in enumerate(RECIPES.items()):
        run = os.path.join(args.runs, f"recipe-{i}")
        todo = [(steps, n) for steps, n in ((1, 2000), (4, 1000), (50, 1000)) if not results.find("recipe", recipe=name, steps=steps)]
        if todo:
            train(args, run, settings)
        for steps, n in todo:
            report = json.loads(call(args, "eval", run, "--steps", str(steps), "--n", str(n), "--json"))
            results.put("recipe", recipe=name, steps=steps, samples=n, trained=settings, **{k: round(report[k], 4) for k in FIGURES})


def reflow(args):
    """Two rounds after the first, by the command itself."""
    if results.find("reflow", data="digits", round=3):
        return
    teacher = os.path.join(args.runs, "digits-flow-0")
    train(args, teacher, [*MODELS["digits"]["flow"], "seed=0"])
    for line in call(args, "reflow", teacher, "--rounds", "2", "--n", str(SAMPLES), "--run", teacher + "-reflow", "--json").splitlines():
        r = json.loads(line)
        if results.find("reflow", data="digits", round=r["round"]):
            continue
        results.put("reflow", data="digits", round=r["round"], samples=SAMPLES, **{k: round(v, 4) for k, v in r["shape"].items() if k != "steps"},
                    quality=[{k: round(v, 4) for k, v in q.items()} for q in r["quality"]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs")
    parser.add_argument("--langevin", default="langevin")
    parser.add_argument("--only", nargs="+", choices=["digits", "moons", "reflow", "recipes"], default=["digits", "moons", "reflow"])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    for what in args.only:
        {"reflow": reflow, "recipes": recipes}.get(what, lambda args: models(args, what))(args)


if __name__ == "__main__":
    main()
