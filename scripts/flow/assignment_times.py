"""Times of exact assignments between points of the plane: Langevin's, SciPy's and POT's, one after another on the same costs.

    python assignment_times.py            # needs go on the path

Processor time, which other work on the machine disturbs least: the mean over five instances for each size, in milliseconds.
Langevin's is that of its benchmark with fifteen rounds less that with five.
"""
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import ot
from scipy.optimize import linear_sum_assignment

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "internal" / "golden"))
from flow import instance  # noqa: E402

SIZES = [256, 512, 1024, 2048]


def mean(f, costs):
    start = time.process_time()
    for c in costs:
        f(c)
    return 1000 * (time.process_time() - start) / len(costs)


def ours(binary, n):
    def seconds(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([binary, "-test.run", "^$", "-test.bench", f"GoldenPoints/{n}$", "-test.benchtime", f"{rounds}x"], check=True, capture_output=True, env={**os.environ, "GOMAXPROCS": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return 1000 * (seconds(15) - seconds(5)) / 10


def main():
    print("| points | Langevin | SciPy | POT |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as tmp:
        binary = os.path.join(tmp, "flow.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./flow"], cwd=ROOT, check=True)
        for n in SIZES:
            costs = [instance("points", n, seed) for seed in range(5)]
            a = np.full(n, 1 / n)
            print(f"| {n} | {ours(binary, n):.1f} | {mean(linear_sum_assignment_cost, costs):.1f} | {mean(lambda c: ot.emd(a, a, c, numItermax=10**7), costs):.1f} |", flush=True)


def linear_sum_assignment_cost(c):
    row, col = linear_sum_assignment(c)
    return c[row, col].sum()


if __name__ == "__main__":
    main()
