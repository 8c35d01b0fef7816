"""What few-step students are worth: trains teachers and students of every method, compares them by `langevin eval --compare --json`, and writes
the tables of docs/distillation.md. Needs nothing but Python and the langevin program.

    go build -o langevin ./cmd/langevin
    python3 scripts/distill/measure.py --langevin ./langevin [--work runs/distill] [--seeds 5] [SET ...] [--tables]

Every measurement is a line of results.jsonl beside this file: set, seed, method, seconds of training (of all processors together), and what
eval said. A student that is there is not measured again. --tables only writes the tables. Run from the repository's root.
"""
import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results.jsonl")
PAGE = os.path.join(HERE, "..", "..", "docs", "distillation.md")

# set → teacher's example and overrides, its steps, samples of a measurement, settings of single methods
SETS = {
    "moons": (["examples/moons.yaml", "model.time_scale=16"], 2000, 2000),
    "rare": (["examples/rare.yaml"], 2000, 2000),
    "digits": (["examples/digits.yaml", "model.time_scale=16"], 1000, 1000),
}
# name in tables → method, more settings
METHODS = {
    "progressive": ("{kind: progressive, teacher_steps: 64, steps: 1}", ["steps={steps*0.3}"]),
    "consistency-distillation": ("consistency-distillation", []),
    "consistency-training, ict": ("consistency-training", []),
    "consistency-training, ect": ("{kind: consistency-training, curriculum: ect}", []),
    "scm": ("scm", []),
    "scm, velocity: data": ("{kind: scm, velocity: data}", []),
    "lcm": ("lcm", []),
    "ctm": ("ctm", []),
    "ctm, adversarial": ("{kind: ctm, adversarial: {}}", []),
    "meanflow": ("meanflow", []),
    "shortcut": ("shortcut", []),
    "reflow": ("reflow", []),
    "reflow, times: noise": ("{kind: reflow, times: noise}", []),
    "dmd2": ("{kind: dmd2, steps: 4}", []),
    "dmd2, adversarial": ("{kind: dmd2, steps: 4, adversarial: {}}", []),
    "dmd2, critic: sds": ("{kind: dmd2, steps: 1, critic: sds}", []),
}
# On digits, the rates of methods that diverge at the 10⁻³ of the others: of 3e-4 and 3e-5 the higher one at which they did not.
RATES = {"consistency-training": "3e-4", "scm": "3e-5"}
FIGURES = {
    "w2": "2-Wasserstein distance to the data", "nll": "mean of −ln p of samples under the data's density", "rare_mass": "part of the samples in the mode that is 1 % of the data",
    "frechet": "Fréchet distance", "class_accuracy": "class accuracy", "recall": "recall",
}
SHOWN = {"moons": ["w2", "recall"], "rare": ["w2", "nll", "rare_mass"], "digits": ["frechet", "class_accuracy", "recall"]}


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(*args):
    print("$", *args, file=sys.stderr, flush=True)
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(args)}: {done.stderr[-2000:]}")
    return done.stdout


def finished(folder):
    return os.path.isdir(os.path.join(folder, "checkpoints"))


def measure(o, name, seed, known):
    overrides, steps, n = SETS[name]
    teacher = os.path.join(o.work, f"{name}-{seed}", "teacher")
    said = ["--n", str(n), "--seed", str(seed), "--json", "--requests", str(100 if seed == 0 else 0)]

    def emit(who, seconds, lines):
        with open(RESULTS, "a") as f:
            for line in lines.splitlines():
                r = json.loads(line)
                for k in ("run", "bandwidths", "class_accuracy_by_class"):
                    r.pop(k, None)
                f.write(json.dumps({"set": name, "seed": seed, "who": who, "cpu_s": round(seconds, 1), **r}) + "\n")

    if (name, seed, "teacher") not in known:
        before = cpu()
        if not finished(teacher):
            run(o.langevin, "train", *overrides, f"seed={seed}", "sample.every=0", "--run", teacher)
        took = cpu() - before
        emit("teacher", took, run(o.langevin, "eval", "--compare", teacher, *said, "--guidance", "1", "--nfe", "1,2,4,8,64", "--solvers", "ddim,dpm_multistep,unipc,deis,heun"))
    for who, (method, more) in METHODS.items():
        if (name, seed, who) in known or o.only and who not in o.only:
            continue
        folder = os.path.join(o.work, f"{name}-{seed}", re.sub("[^a-z0-9]+", "-", who))
        file = os.path.join(o.work, f"{name}-{seed}", "student.yaml")
        with open(file, "w") as f:
            f.write(f"teacher: {teacher}\nsteps: {steps}\nsample: {{every: 0}}\n")
        if name == "digits":
            more = more + ["optim.lr=" + RATES.get(method.strip("{}").removeprefix("kind: ").split(",")[0], "1e-3")]
        before = cpu()
        run(o.langevin, "distill", file, f"method={method}", f"seed={seed}", *(m.replace("{steps*0.3}", str(int(steps * 0.3))) for m in more), "--run", folder)
        took = cpu() - before
        if who == "progressive":  # a run for each number of steps
            lines = "".join(run(o.langevin, "eval", "--compare", os.path.join(folder, f"steps-{k}"), *said, "--teacher", teacher, "--nfe", str(k)) for k in (1, 2, 4))
        else:
            lines = run(o.langevin, "eval", "--compare", folder, *said, "--teacher", teacher, "--nfe", "1,2,4")
        emit(who, took, lines)


def load():
    if not os.path.exists(RESULTS):
        return []
    with open(RESULTS) as f:
        return [json.loads(line) for line in f]


def cell(values, digits=3):
    values = [v for v in values if v is not None]
    if not values:
        return "–"
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def table(rows, name, figure):
    rows = [r for r in rows if r["set"] == name]
    seeds = sorted({r["seed"] for r in rows})
    digits = 4 if figure == "rare_mass" else 3
    lines = ["| | 1 | 2 | 4 | 64 | cpu s |", "|---|---|---|---|---|---|"]
    teacher = [r for r in rows if r["who"] == "teacher"]
    better = max if figure in ("class_accuracy", "recall") else min
    best = {}
    for nfe in (1, 2, 4, 64):
        by = {}
        for r in teacher:
            if r["nfe"] == nfe:
                by.setdefault(r["sampler"], []).append(r)
        if by:  # the solver that is nearest to the data, by the headline, in the mean over seeds
            head = "frechet" if name == "digits" else "w2"
            best[nfe] = min(by.values(), key=lambda rs: statistics.mean(r[head] for r in rs))
    lines.append("| teacher, its best solver | " + " | ".join(cell([r[figure] for r in best.get(n, [])], digits) for n in (1, 2, 4, 64)) + " | " + cell([r["cpu_s"] or None for r in best.get(1, [])], 0) + " |")
    for who in METHODS:
        mine = [r for r in rows if r["who"] == who]
        if mine:
            cells = [cell([r[figure] for r in mine if r["nfe"] == n], digits) for n in (1, 2, 4)]
            lines.append(f"| `{who}` | " + " | ".join(cells) + " | | " + cell([r["cpu_s"] or None for r in mine if r["nfe"] == mine[0]["nfe"]], 0) + " |")
    held = {r["seed"]: r.get(figure + "_heldout", r.get("rare_mass_data") if figure == "rare_mass" else None) for r in teacher if r["nfe"] == 64}
    lines.append(f"| data held out | {cell(list(held.values()), digits)} | | | | |")
    return f"{FIGURES[figure][0].upper() + FIGURES[figure][1:]}, by evaluations ({len(seeds)} seed{'s' if len(seeds) > 1 else ''}):\n\n" + "\n".join(lines) + "\n"


def write(rows):
    with open(PAGE) as f:
        page = f.read()
    for name in SETS:
        mark, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if any(r["set"] == name for r in rows) and mark in page:
            text = "\n".join(table(rows, name, figure) for figure in SHOWN[name])
            page = page[: page.index(mark) + len(mark)] + text + page[page.index(end) :]
    with open(PAGE, "w") as f:
        f.write(page)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--langevin", default="./langevin")
    p.add_argument("--work", default="runs/distill")
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    p.add_argument("--only", nargs="*", metavar="METHOD")
    p.add_argument("--tables", action="store_true")
    p.add_argument("sets", nargs="*", default=["moons", "rare"])
    o = p.parse_args()
    if not o.tables:
        for seed in o.seeds:
            for name in o.sets:
                known = {(r["set"], r["seed"], r["who"]) for r in load()}
                measure(o, name, seed, known)
    write(load())


if __name__ == "__main__":
    main()
