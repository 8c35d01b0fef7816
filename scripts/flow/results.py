"""What the scripts here measure, and the tables of docs/flow-matching.md made of it.

    python results.py        writes the tables anew

Every measurement is a line of results.jsonl beside this file, its first keys saying what was measured. A script measures what has
no line yet; delete a line, and it is measured again.
"""
import json
import math
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "results.jsonl")
PAGE = os.path.join(HERE, "..", "..", "docs", "flow-matching.md")


def lines(what):
    """The measurements of one kind."""
    if not os.path.exists(FILE):
        return []
    with open(FILE) as f:
        return [r for r in map(json.loads, f) if r["what"] == what]


def find(what, **keys):
    """The line that has these keys, or None."""
    return next((r for r in lines(what) if all(r.get(k) == v for k, v in keys.items())), None)


def put(what, **values):
    """Adds a line, and shows it."""
    line = json.dumps({"what": what, **values}, ensure_ascii=False)
    with open(FILE, "a") as f:
        f.write(line + "\n")
    print(line, flush=True)


# ---- Tables. ----


def mean(values):
    return sum(values) / len(values)


def deviation(values):
    m = mean(values)
    return math.sqrt(sum((v - m) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else math.nan


def spread(values, digits=3):
    """Mean ± standard deviation; of a single value no deviation, of none a dash."""
    if not values:
        return "–"
    form = f"{{:.{digits}f}}"
    text = form.format(mean(values))
    return f"{text} ± {form.format(deviation(values))}" if len(values) > 1 else text


def row(*cells):
    return "| " + " | ".join(str(c) for c in cells) + " |"


def head(*cells):
    return [row(*cells), "|" + "---|" * len(cells)]


METHODS = {"icfm": "I-CFM", "otcfm": "OT-CFM", "sbcfm": "SB-CFM (exact plans, σ .5)", "sinkhorn": "SB-CFM (Sinkhorn, σ .5)", "vp": "VP-CFM"}


def table_torchcfm():
    """A row a method: of each side the mean over a run's late weights, and its spread over seeds."""
    seeds = {}
    for r in lines("torchcfm"):
        seeds.setdefault((r["method"], r["side"]), {}).setdefault(r["seed"], []).append(r)
    out = head("", "W2, Langevin", "W2, torchcfm", "NPE, Langevin", "NPE, torchcfm", "the last weights alone, W2", "seeds")
    for method, name in METHODS.items():
        sides = [seeds.get((method, side), {}) for side in ("langevin", "torchcfm")]
        if not any(sides):
            continue
        late = [[mean([r[k] for r in runs]) for runs in side.values()] for k in ("w2", "npe") for side in sides]
        last = [[max(runs, key=lambda r: r["step"])["w2"] for runs in side.values()] for side in sides]
        out.append(row(name, *map(spread, late), ", ".join(map(spread, last)), ", ".join(str(len(side)) for side in sides)))
    return out


PAPER_C2OT = {  # Cheng and Schwing 2025, figure 1: one step of Euler, adaptive
    "unconditional, FM": (6.232, 0.120), "unconditional, OT": (0.072, 0.050),
    "classes, FM": (2.573, 0.059), "classes, OT": (0.483, 0.462), "classes, C²OT": (0.048, 0.018),
}


def table_c2ot():
    cases = {}
    for r in lines("c2ot"):
        cases.setdefault(r["case"], []).append(r)
    out = head("", "one step of Euler", "paper", "100 steps of Heun", "paper, adaptive", "seeds")
    for case, paper in PAPER_C2OT.items():
        runs = cases.get(case, [])
        out.append(row(case, spread([r["euler"] for r in runs]), paper[0], spread([r["heun"] for r in runs]), paper[1], len(runs)))
    return out


NAMES = {"flow": "flow", "mean_flow": "mean flow", "shortcut": "shortcut model"}


def few_steps(data):
    """Lines by (model, sampler, steps), in the order in which they were measured."""
    groups = {}
    for r in lines("few-steps"):
        if r["data"] == data:
            groups.setdefault((r["model"], r["sampler"], r["steps"]), []).append(r)
    return dict(sorted(groups.items(), key=lambda g: (list(NAMES).index(g[0][0]), g[0][2])))


def against_flow(group, data, figure):
    """Each seed's figure over that of the same seed's flow in 50 steps."""
    flow = {r["seed"]: r[figure] for r in lines("few-steps") if (r["data"], r["model"], r["steps"]) == (data, "flow", 50)}
    return [r[figure] / flow[r["seed"]] for r in group if r["seed"] in flow]


def table_few_steps_digits():
    out = head("", "steps", "Fréchet", "of the flow's in 50 steps", "accuracy, %", "precision", "recall", "seeds")
    for (model, sampler, steps), g in few_steps("digits").items():
        out.append(row(NAMES[model], f"{steps}, `{sampler}`", spread([r["frechet"] for r in g]), spread(against_flow(g, "digits", "frechet"), 2), spread([100 * r["class_accuracy"] for r in g], 1),
                       *[spread([r[k] for r in g], 2) for k in ("precision", "recall")], len(g)))
    return out


def table_few_steps_moons():
    out = head("", "steps", "W2", "of the flow's in 50 steps", "seeds")
    for (model, sampler, steps), g in few_steps("moons").items():
        out.append(row(NAMES[model], f"{steps}, `{sampler}`", spread([r["w2"] for r in g]), spread(against_flow(g, "moons", "w2"), 2), len(g)))
    return out


def table_recipes():
    recipes = {}
    for r in lines("recipe"):
        recipes.setdefault(r["recipe"], {})[r["steps"]] = r
    out = head("", "Fréchet, 1 step", "4 steps", "50 steps", "accuracy, 1 step", "precision, recall, 1 step", "50 steps")
    for name, by in recipes.items():
        frechet = [f"{by[n]['frechet']:.2f}" if n in by else "–" for n in (1, 4, 50)]
        both = [f"{by[n]['precision']:.2f}, {by[n]['recall']:.2f}" if n in by else "–" for n in (1, 50)]
        out.append(row(name, *frechet, f"{by[1]['class_accuracy']:.1%}".replace("%", " %"), *both))
    return out


def table_reflow():
    rounds = sorted(lines("reflow"), key=lambda r: r["round"])
    steps = [q["steps"] for q in rounds[0]["quality"]] if rounds else []
    out = head("round", "straightness", "curvature", "transport", *[f"{n} step{'s' * (n > 1)}" for n in steps])
    for r in rounds:
        out.append(row(r["round"], f"{r['straightness']:.4f}", f"{r['curvature']:.4f}", f"{r['transport']:.2f}", *[f"{q['frechet']:.3f}" for q in r["quality"]]))
    return out


def write_tables():
    with open(PAGE) as f:
        page = f.read()
    names = [n.removeprefix("table_") for n in globals() if n.startswith("table_")]
    for name in names:
        made = globals()["table_" + name]()
        if len(made) == 2:
            continue  # nothing was measured yet
        made = "\n".join(made)
        page, n = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", lambda m: m[1] + made + "\n" + m[2], page, flags=re.S)
        if n == 0:
            print(f"{PAGE} has no place for the table {name}: <!-- {name} -->, <!-- end of {name} -->", file=sys.stderr)
    with open(PAGE, "w") as f:
        f.write(page)


if __name__ == "__main__":
    write_tables()
