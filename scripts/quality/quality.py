"""How good samples are by sampler, steps, guidance, objective and mistake: trains what is not trained yet, measures what is
not measured yet, and writes the tables of docs/quality.md. Needs nothing but Python and the langevin program.

    go build -o langevin ./cmd/langevin
    python3 scripts/quality/quality.py --langevin ./langevin [--runs runs/quality] [--only TABLE ...] [--tables]

Every measurement is a line of results.jsonl beside this file: what was run, and what `langevin eval --json` said. A line that
is there is not measured again; delete it, and it is. --tables only writes the tables. Run from the repository's root; about
an hour on two idle cores.
"""
import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results.jsonl")
PAGE = os.path.join(HERE, "..", "..", "docs", "quality.md")
SEEDS = 3

# ---- What is trained: an example, and what is changed in it. ----

DIGITS = "examples/digits.yaml"  # flow matching; all others below have its network, steps and optimiser
DDPM, COSINE = "objective={kind: ddpm}", "objective={kind: ddpm, schedule: squaredcos_cap_v2}"
HYBRID = "examples/digits-hybrid-vlb.yaml"

FAMILIES = {
    "flow": [DIGITS],
    "ddpm": [DIGITS, DDPM],
    "vp": [DIGITS, "objective={kind: dsm, sde: vp}"],
    "vp-levels": [DIGITS, "objective={kind: dsm, sde: vp, times: {kind: log_normal, mean: -0.4, std: 1.0}}"],
    "ve": ["examples/digits-dsm-ve.yaml"],
    "edm": ["examples/digits-edm.yaml"],
}
RUNS = {f"{name}-{seed}": args + [f"seed={seed}"] for name, args in FAMILIES.items() for seed in range(SEEDS)}
RUNS |= {
    "simple": [HYBRID, "objective.loss=simple", "objective.variance=small", "sample.sampler={kind: ddpm}"],
    "hybrid": [HYBRID],
    "vlb": [HYBRID, "objective.loss=vlb", "objective.times=by_loss"],
    "zero-snr": ["examples/digits-v-zero-snr.yaml"],
    "unet": ["examples/digits-ddpm-unet.yaml"],
    "prompts": ["examples/digits-prompts.yaml"],
    "ve-paper": ["examples/digits-dsm-ve.yaml", "objective={kind: dsm, sde: ve}"],
    "shift": [DIGITS, "objective.shift=3"],
}

# The same weights under another name: what sampling takes them for, which is not what they were trained as. One step at a
# learning rate that moves no weight.
TAKEN_FOR = {
    "eps-cosine": ("ddpm-0", [DIGITS, COSINE]),
    "eps-vp": ("ddpm-0", [DIGITS, "objective={kind: dsm, sde: vp}"]),
    "eps-ve": ("ddpm-0", [DIGITS, "objective={kind: dsm, sde: ve, sigma_min: 0.02, sigma_max: 10}"]),
    "eps-as-v": ("ddpm-0", [DIGITS, "objective={kind: ddpm, predict: v}"]),
    "flow-reversed": ("flow-0", [DIGITS, "objective.predict=data_velocity"]),
    "flow-trig": ("flow-0", [DIGITS, "objective.interpolant=trig"]),
    "edm-half": ("edm-0", ["examples/digits-edm.yaml", "objective.sigma_data=0.375"]),
}
for name, (weights, args) in TAKEN_FOR.items():
    RUNS[name] = args + ["steps=1", "optim.lr=1e-30", "optim.schedule=constant", "ema=null", f"init=@{weights}"]

# ---- What is measured: (run, how it is sampled). ----

NONE = "guidance=1"
STEPS = (5, 10, 20, 50)
SAMPLERS = {  # and how often each asks the network in a step
    "`ddim`": ("ddim", 1),
    "`euler`": ("euler", 1),
    "`heun`": ("heun", 2),
    "`dpm2`": ("dpm2", 2),
    "`lms`": ("lms", 1),
    "`dpm_multistep` (2M)": ("dpm_multistep", 1),
    "`dpm_singlestep` (2S)": ("dpm_singlestep", 1),
    "`unipc`": ("unipc", 1),
    "`deis`": ("deis", 1),
    "`ddpm` (ancestral)": ("ddpm", 1),
    "`ddim`, eta .5": ("{kind: ddim, eta: 0.5}", 1),
    "`euler_ancestral`": ("euler_ancestral", 1),
    "`dpmpp_sde`": ("dpmpp_sde", 2),
    "`dpm_multistep_sde` (2M SDE)": ("dpm_multistep_sde", 1),
    "`euler_maruyama`": ("euler_maruyama", 1),
    "`heun` in σ, churn 10": ("{kind: heun, variable: sigma, churn: {amount: 10}}", 2),
    "`predictor_corrector`": ("predictor_corrector", 2),
    "`predictor_corrector`, ancestral": ("{kind: predictor_corrector, predictor: ancestral}", 2),
}
SAMPLED = ("flow-0", "ddpm-0", "edm-0")
SCALES = (0, 0.5, 0.8, 1, 1.1, 1.25, 1.5, 2, 3, 4)
HEUN = ["sampler=heun", "steps=20"]
CLIP = "clip.range=1"


IN_SIGMA = ("`dpm2`", "`lms`", "`heun` in σ, churn 10")  # cannot start where σ/α is infinite, as at a flow's end


def by_sampler():
    return {(run, name, n): (run, [NONE, f"sampler={s}", f"steps={n}"] + ["grid=karras"] * (run == "flow-0" and name in IN_SIGMA))
            for run in SAMPLED for name, (s, _) in SAMPLERS.items() for n in STEPS}


def by_guidance():
    return {(run, g): (run, [f"guidance={g}"] + HEUN) for run in SAMPLED for g in SCALES}


NOISES = (0, 0.25, 0.5, 1, 1.5, 2, 3, 6)
NOISE_STEPS = (20, 50)


def by_sigma():
    return {(s, n): ("flow-0", [NONE, "sampler=euler_maruyama", "sampler.shape=proportional", f"sampler.scale={s}", f"steps={n}"]) for s in NOISES for n in NOISE_STEPS}


def by_family():
    return {(f, seed, how): (f"{f}-{seed}", [NONE] + args) for f in FAMILIES for seed in range(SEEDS) for how, args in FAMILY_SAMPLERS.items()}


FAMILY_SAMPLERS = {
    "heun": HEUN,
    "pc": ["sampler=predictor_corrector", "steps=100"],
}
FAMILY_NAMES = {
    "flow": "flow matching (CondOT, velocity, logit-normal times)",
    "ddpm": "DDPM (linear table, ε, uniform times)",
    "vp": "denoising score matching, VP (ε, uniform times)",
    "vp-levels": "the same, log-normal noise levels",
    "ve": "denoising score matching, VE (ε, log-normal noise levels)",
    "edm": "EDM (preconditioned, log-normal noise levels)",
}

LOSSES = {"simple": "L_simple, variance β̃", "hybrid": "L_hybrid, learned range", "vlb": "L_vlb, learned range, times by loss"}
ANCESTRAL = ("50", "250", "1000")


def by_loss():
    todo = {(run, n): (run, [NONE, CLIP, f"steps={n}"]) for run in LOSSES for n in ANCESTRAL}
    return todo | {(run, "nll"): (run, NLL) for run in LOSSES}


NLL = ["--likelihood", "--n", "360", "--bound-times", "100"]
# The same ten digits by the exact divergence, which costs 64 times as much, and by random probes, of one run.
FEW = ["--likelihood", "--n", "10", "--tolerance", "0.01"]
DIVERGENCES = {"exact": ["--divergence", "exact"], "1 probe": [], "8 probes": ["--probes", "8"]}
LIKELY = {
    "`digits.yaml`": "flow-0", "`digits-edm.yaml`": "edm-0", "`digits-dsm-ve.yaml`": "ve-0", "`digits-hybrid-vlb.yaml`": "hybrid", "the same by L_simple": "simple", "the same by L_vlb": "vlb",
    "`digits-ddpm-unet.yaml`": "unet", "`digits-v-zero-snr.yaml`": "zero-snr", "`digits-prompts.yaml`": "prompts",
}


def by_likelihood():
    return {run: (run, NLL) for run in LIKELY.values()} | {d: ("flow-0", FEW + how) for d, how in DIVERGENCES.items()}


# (group, what, run, how)
PAIRS = [
    ("ε, trained on the linear table", "sampled on it", "ddpm-0", HEUN),
    ("", "on its continuous limit, the VP SDE", "eps-vp", HEUN),
    ("", "on the cosine table, estimates limited", "eps-cosine", HEUN + [CLIP]),
    ("", "on the VE path", "eps-ve", HEUN),
    ("", "taken for v", "eps-as-v", HEUN),
    ("score matching on the VE path, `predictor_corrector`, 100 steps", "log-normal times, σ .02…30", "ve-0", []),
    ("", "times uniform in ln σ, .01…50, as in the paper", "ve-paper", []),
    ("", "the first, by `heun`, 20 steps", "ve-0", HEUN),
    ("", "the second, by `heun`, 20 steps", "ve-paper", HEUN),
    ("ε on the linear table, `ddim`, 10 steps", "trailing spacing", "ddpm-0", ["sampler=ddim", "steps=10"]),
    ("", "leading: the last entries left out", "ddpm-0", ["sampler=ddim", "steps=10", "grid={kind: table, spacing: leading}"]),
    ("ε on the cosine table, `ddpm`, 50 steps", "estimates limited", "simple", ["steps=50", CLIP]),
    ("", "not limited", "simple", ["steps=50", "clip.range=0"]),
    ("ε on the linear table, `ddpm`, 20 steps", "variance β̃", "ddpm-0", ["sampler=ddpm", "steps=20"]),
    ("", "variance β", "ddpm-0", ["sampler={kind: ddpm, variance: fixed_large}", "steps=20"]),
    ("v, zero terminal SNR, `ddim`, 25 steps", "trailing, from noise alone", "zero-snr", ["guidance_rescale=0"]),
    ("", "leading: never asked at the end", "zero-snr", ["guidance_rescale=0", "grid={kind: table, spacing: leading}"]),
    ("the same, 5 steps", "trailing", "zero-snr", ["guidance_rescale=0", "steps=5"]),
    ("", "leading", "zero-snr", ["guidance_rescale=0", "steps=5", "grid={kind: table, spacing: leading}"]),
    ("flow, `heun`, 20 steps", "as trained", "flow-0", HEUN),
    ("", "velocity the wrong way round", "flow-reversed", HEUN),
    ("", "on quarter circles instead of straight lines", "flow-trig", HEUN),
    ("", "as trained, `ddpm`, 50 steps", "flow-0", ["sampler=ddpm", "steps=50"]),
    ("", "on quarter circles, `ddpm`, 50 steps", "flow-trig", ["sampler=ddpm", "steps=50"]),
    ("flow trained with shift 3, `euler`, 10 steps", "sampled with shift 3", "shift", ["sampler=euler", "steps=10", "grid={kind: uniform, shift: 3}"]),
    ("", "with none", "shift", ["sampler=euler", "steps=10"]),
    ("", "with it twice (9)", "shift", ["sampler=euler", "steps=10", "grid={kind: uniform, shift: 9}"]),
    ("", "three times (27)", "shift", ["sampler=euler", "steps=10", "grid={kind: uniform, shift: 27}"]),
    ("EDM, σ_data .75", "as trained", "edm-0", HEUN),
    ("", "σ_data taken for half of it", "edm-half", HEUN),
    ("", "begun at σ = 10", "edm-0", HEUN + ["grid={kind: karras, sigma_max: 10}"]),
    ("", "begun at σ = 2", "edm-0", HEUN + ["grid={kind: karras, sigma_max: 2}"]),
]


def by_pair():
    return {i: (run, [NONE] + how) for i, (_, _, run, how) in enumerate(PAIRS)}


EXAMPLES = {
    "digits.yaml": "flow-0", "digits-ddpm-unet.yaml": "unet", "digits-edm.yaml": "edm-0", "digits-dsm-ve.yaml": "ve-0",
    "digits-v-zero-snr.yaml": "zero-snr", "digits-hybrid-vlb.yaml": "hybrid", "digits-prompts.yaml": "prompts",
}


def by_seed():
    return {seed: ("flow-0", [NONE] + HEUN + ["--seed", str(seed)]) for seed in range(1, 6)}


def by_example():
    return {name: (run, []) for name, run in EXAMPLES.items()}


TABLES = {"examples": by_example, "noise": by_seed, "samplers": by_sampler, "guidance": by_guidance, "sigma": by_sigma, "families": by_family, "losses": by_loss, "likelihood": by_likelihood, "pairs": by_pair}

# ---- Running. ----


class Lab:
    def __init__(self, langevin, runs):
        self.langevin, self.runs, self.lines = langevin, runs, {}
        if os.path.exists(RESULTS):
            with open(RESULTS) as f:
                for line in f:
                    r = json.loads(line)
                    self.lines[self.key(r["run"], r["how"])] = r

    @staticmethod
    def key(run, how):
        return json.dumps([run, how])

    def get(self, run, how):
        return self.lines.get(self.key(run, how), {})

    def put(self, **line):
        self.lines[self.key(line["run"], line["how"])] = line
        with open(RESULTS, "a") as f:
            f.write(json.dumps(line, ensure_ascii=False) + "\n")

    def folder(self, run):
        return os.path.join(self.runs, run)

    def train(self, run):
        checkpoints = os.path.join(self.folder(run), "checkpoints")
        steps = [line[6:].split("#")[0] for line in open(RUNS[run][0]) if line.startswith("steps:")] + [a[6:] for a in RUNS[run] if a.startswith("steps=")]
        if os.path.exists(os.path.join(checkpoints, f"step-{int(steps[-1]):08d}.safetensors")):
            return
        args = []
        for a in RUNS[run]:
            if a.startswith("init=@"):
                self.train(a[6:])
                a = "init=" + self.folder(a[6:])
            args.append(a)
        print("training", run, file=sys.stderr)
        command = [self.langevin, "train", args[0], *args[1:], "sample.every=0", "--run", self.folder(run)]
        if os.path.isdir(checkpoints) and os.listdir(checkpoints):
            command = [self.langevin, "train", self.folder(run), "--resume"]
        else:
            shutil.rmtree(self.folder(run), ignore_errors=True)
        wall, cpu = time.time(), os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        now = os.times()
        used = now.children_user + now.children_system - cpu.children_user - cpu.children_system
        if not self.get(run, ["train"]):
            self.put(run=run, how=["train"], trained=RUNS[run], seconds=round(time.time() - wall, 1), cpu_seconds=round(used, 1))

    def measure(self, run, how):
        if self.get(run, how):
            return
        self.train(run)
        print("measuring", run, *how, file=sys.stderr)
        flags = [a for a in how if not re.match(r"[a-z_.]+=", a)]
        done = subprocess.run([self.langevin, "eval", self.folder(run), *[a for a in how if a not in flags], *flags, "--json"], capture_output=True, text=True)
        if done.returncode == 0:
            self.put(run=run, how=how, report=slim(json.loads(done.stdout)))
        else:  # a sampler that refuses: the table says so
            self.put(run=run, how=how, error=done.stderr.strip().splitlines()[-1])


def slim(r):
    """What the tables need of a report."""
    if "heldout" in r:
        parts = {}
        for k in ("heldout", "train"):
            v = r[k]
            parts[k] = {"nll": v["nll"], "bits": v["bits_per_dim"], "bits_error": v["bits_per_dim_error"]}
            if v.get("bound"):  # of discrete schedules
                parts[k]["bound"] = {b: v["bound"][b] for b in ("bits_per_dim", "bits_per_dim_error", "prior", "steps", "decoder")}
        return parts
    keep = ("n", "class_accuracy", "class_accuracy_heldout", "frechet", "frechet_heldout", "frechet_floor", "precision", "precision_heldout", "recall", "recall_heldout")
    return {k: round(r[k], 4) for k in keep}


# ---- Tables. ----

FIGURES = (("class_accuracy", "{:.1%}"), ("frechet", "{:.2f}"), ("precision", "{:.2f}"), ("recall", "{:.2f}"))


def figure(name, r):
    form = dict(FIGURES)[name]
    return form.format(r[name]).replace("%", " %")


def row(*cells):
    return "| " + " | ".join(str(c) for c in cells) + " |"


def head(*cells):
    return [row(*cells), "|" + "---|" * len(cells)]


def all_of(line):
    if "report" not in line:
        return ["–"] * 4
    return [figure(k, line["report"]) for k, _ in FIGURES]


def table_examples(lab):
    out = head("example", "s on two cores", "cpu s", "accuracy", "Fréchet", "precision", "recall")
    any_report = {}
    for key, (run, how) in by_example().items():
        line, trained = lab.get(run, how), lab.get(run, ["train"])
        any_report = line.get("report", any_report)
        out.append(row(f"`{key}`", f"{trained.get('seconds', math.nan):.0f}", f"{trained.get('cpu_seconds', math.nan):.0f}", *all_of(line)))
    held = {k: any_report[k + "_heldout"] for k, _ in FIGURES}
    out.append(row("held-out digits", "", "", *[figure(k, held) for k, _ in FIGURES]))
    return out


def table_samplers(lab):
    out = []
    names = {"flow-0": "Flow matching (`digits.yaml`)", "ddpm-0": "DDPM, ε, linear table (its network)", "edm-0": "EDM (`digits-edm.yaml`)"}
    todo = by_sampler()
    for run in SAMPLED:
        best = {n: min((lab.get(*todo[run, s, n])["report"]["frechet"] for s in SAMPLERS if "report" in lab.get(*todo[run, s, n])), default=0) for n in STEPS}
        out += [f"**{names[run]}**", ""] + head("sampler", "calls a step", *[f"{n} steps" for n in STEPS], "accuracy at 10, 50", "precision, recall at 50")
        for s, (_, calls) in SAMPLERS.items():
            lines = {n: lab.get(*todo[run, s, n]) for n in STEPS}
            if all("report" not in line for line in lines.values()):
                out.append(row(s, calls, *["–"] * len(STEPS), "–", "–"))
                continue
            cells = []
            for n in STEPS:
                r = lines[n].get("report")
                cell = figure("frechet", r) if r else "–"
                cells.append(f"**{cell}**" if r and r["frechet"] == best[n] else cell)
            a, b = lines[10].get("report"), lines[50].get("report")
            mark = " °" if run == "flow-0" and s in IN_SIGMA else ""
            out.append(row(s + mark, calls, *cells, f"{figure('class_accuracy', a)}, {figure('class_accuracy', b)}", f"{figure('precision', b)}, {figure('recall', b)}"))
        out.append("")
    return out[:-1]


def table_guidance(lab):
    todo = by_guidance()
    out = head("scale", *[f"{x}: Fréchet" if not i else f"{what}" for x in ("flow", "DDPM", "EDM") for i, what in enumerate(("Fréchet", "accuracy", "precision, recall"))])
    for g in SCALES:
        cells = []
        for run in SAMPLED:
            r = lab.get(*todo[run, g]).get("report")
            best = min(lab.get(*todo[run, s])["report"]["frechet"] for s in SCALES if lab.get(*todo[run, s]))
            f = figure("frechet", r)
            cells += [f"**{f}**" if r["frechet"] == best else f, figure("class_accuracy", r), f"{figure('precision', r)}, {figure('recall', r)}"]
        out.append(row(g, *cells))
    return out


def table_sigma(lab):
    todo = by_sigma()
    out = head("ς/σ", *[f"{n} steps: Fréchet" if not i else what for n in NOISE_STEPS for i, what in enumerate(("", "accuracy", "precision, recall"))])
    best = {n: min(lab.get(*todo[s, n])["report"]["frechet"] for s in NOISES) for n in NOISE_STEPS}
    for s in NOISES:
        cells = []
        for n in NOISE_STEPS:
            r = lab.get(*todo[s, n])["report"]
            f = figure("frechet", r)
            cells += [f"**{f}**" if r["frechet"] == best[n] else f, figure("class_accuracy", r), f"{figure('precision', r)}, {figure('recall', r)}"]
        out.append(row(s, *cells))
    return out


def spread(values, form):
    mean = sum(values) / len(values)
    sd = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return f"{form.format(mean)} ± {form.format(sd)}"


def table_families(lab):
    todo = by_family()
    out = head("trained by", "sampled by", "accuracy, %", "Fréchet", "precision", "recall")
    for f, name in FAMILY_NAMES.items():
        for how, label in (("heun", "`heun`, 20 steps"), ("pc", "`predictor_corrector`, 100 steps")):
            reports = [lab.get(*todo[f, seed, how]).get("report") for seed in range(SEEDS)]
            if None in reports:
                out.append(row(name, label, *["–"] * 4))
                continue
            out.append(row(name, label, spread([100 * r["class_accuracy"] for r in reports], "{:.1f}"), *[spread([r[k] for r in reports], "{:.2f}") for k in ("frechet", "precision", "recall")]))
    return out


def table_noise(lab):
    reports = [lab.get(*m)["report"] for m in by_seed().values()]
    return head("five sets of 1,000 samples of one network", "accuracy, %", "Fréchet", "precision", "recall") + [
        row("`digits.yaml`, `heun`, 20 steps", spread([100 * r["class_accuracy"] for r in reports], "{:.1f}"), *[spread([r[k] for r in reports], "{:.3f}") for k in ("frechet", "precision", "recall")])]


def table_losses(lab):
    todo = by_loss()
    out = head("loss", *[f"Fréchet, {n} steps" for n in ANCESTRAL], "accuracy, 250", "bound, held-out", "L_T + ΣL + L_0", "bound, training", "ODE, held-out")
    for run, name in LOSSES.items():
        nll = lab.get(*todo[run, "nll"])["report"]
        h, t = nll["heldout"], nll["train"]
        b = h["bound"]
        fd = [figure("frechet", lab.get(*todo[run, n])["report"]) for n in ANCESTRAL]
        out.append(row(name, *fd, figure("class_accuracy", lab.get(*todo[run, "250"])["report"]), f"{b['bits_per_dim']:.3f} ± {b['bits_per_dim_error']:.3f}",
                       f"{b['prior']:.3f} + {b['steps']:.3f} + {b['decoder']:.3f}", f"{t['bound']['bits_per_dim']:.3f}", f"{h['bits']:.3f} ± {h['bits_error']:.3f}"))
    return out


def table_likelihood(lab):
    todo = by_likelihood()
    out = head("trained", "bound, held-out", "L_T + ΣL + L_0", "bound, training", "ODE, held-out", "ODE, training")
    for name, run in LIKELY.items():
        nll = lab.get(*todo[run]).get("report")
        if nll is None:  # not measured yet
            continue
        h, t = nll["heldout"], nll["train"]
        bound = ["–"] * 3
        if "bound" in h:
            b = h["bound"]
            bound = [f"{b['bits_per_dim']:.3f} ± {b['bits_per_dim_error']:.3f}", f"{b['prior']:.3f} + {b['steps']:.3f} + {b['decoder']:.3f}", f"{t['bound']['bits_per_dim']:.3f}"]
        out.append(row(name, *bound, f"{h['bits']:.3f} ± {h['bits_error']:.3f}", f"{t['bits']:.3f} ± {t['bits_error']:.3f}"))
    out += [""] + head("`digits.yaml`, ten digits", *DIVERGENCES)
    for part, name in (("heldout", "held-out"), ("train", "training")):
        reports = [lab.get(*todo[d])["report"][part] for d in DIVERGENCES]
        out.append(row(name, *[f"{r['bits']:.3f} ± {r['bits_error']:.3f}" for r in reports]))
    return out


def table_pairs(lab):
    out = head("trained", "sampled", "accuracy", "Fréchet", "precision", "recall")
    for i, (group, what, _, _) in enumerate(PAIRS):
        out.append(row(group, what, *all_of(lab.get(*by_pair()[i]))))
    return out


def write_tables(lab, tables):
    with open(PAGE) as f:
        page = f.read()
    for name in tables:
        lines = globals()["table_" + name](lab)
        page, n = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", lambda m: m[1] + "\n".join(lines) + "\n" + m[2], page, flags=re.S)
        if n != 1:
            sys.exit(f"{PAGE}: no place for the table {name}")
    with open(PAGE, "w") as f:
        f.write(page)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--langevin", default="langevin", help="the program")
    p.add_argument("--runs", default="runs/quality", help="where runs are kept")
    p.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES), help="these tables")
    p.add_argument("--tables", action="store_true", help="measure nothing, write the tables")
    a = p.parse_args()
    lab = Lab(a.langevin, a.runs)
    if not a.tables:
        for name in a.only:
            for run, how in TABLES[name]().values():
                lab.measure(run, how)
    write_tables(lab, a.only)


if __name__ == "__main__":
    main()
