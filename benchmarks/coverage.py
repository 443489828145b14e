"""How often intervals and tests of the workbook are right, where the truth is known.

    python -m benchmarks.coverage           print the tables
    python -m benchmarks.coverage --write   also write them into docs/intervals.md

Wordings are the clusters, so every simulation draws wordings: what a wording does to all cells
alike, to each value, to each model, what the model's own goals do, another mind in some wordings,
and written answers, one each. Every number follows from the seed. The coverage of a lapse rate is
enumerated, not simulated.
"""

import argparse
import datetime
import os
import platform
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
from scipy.stats import binom, norm

from hvae_utils import paths
from hvae_utils.measure import instruments, svo, values
from hvae_utils.metrics import chance, comparison, intervals, lapse, plan, steerability

SEED, STUDIES, FEW, LEVEL = 2023, 1500, 200, 0.95  # few: studies of the slow covering interval
LOW, HIGH = chance.reachable()
DOCUMENT = paths.ROOT / "docs" / "intervals.md"
TABLES = ("provenance", "cells", "written", "steerability", "comparisons", "plan", "lapses")
TOLD = ("altruistic", "prosocial", "individualistic", "competitive")
TARGETS = np.array([values.get(name).target for name in TOLD])

# Cells: ten of a model, five assignments in two arms

RANDOM = chance.random_angle()
STEERED = np.tile([*(RANDOM + 0.87 * (TARGETS - RANDOM)), RANDOM], 2)
UNEVEN = np.linspace(0.2, 12, 10)


def _clipped(mean, sd):
    """Mean of a normal variable held in the range."""
    below, above = (LOW - mean) / sd, (HIGH - mean) / sd
    inside = mean * (norm.cdf(above) - norm.cdf(below))
    return (
        LOW * norm.cdf(below)
        + HIGH * norm.sf(above)
        + inside
        + sd * (norm.pdf(below) - norm.pdf(above))
    )


def _noisy(centre, own, shared=0.0, goal=0.0):
    """Cells moved by their wordings: own and shared SD, and that of the goals written there."""

    def draw(rng, wordings):
        shift = rng.normal(0, 1, (len(centre), wordings)) * np.reshape(own, (-1, 1))
        shift += rng.normal(0, shared, wordings) + rng.normal(0, goal, (len(centre), wordings))
        return np.clip(centre[:, None] + shift, LOW, HIGH)

    spread = np.sqrt(np.square(own) + shared**2 + goal**2)
    return draw, (_clipped(centre, spread) if np.any(spread) else centre)


def _two_minds(rate):
    def draw(rng, wordings):
        other = rng.random((len(STEERED), wordings)) < rate
        return np.where(other, RANDOM, STEERED[:, None])

    return draw, (1 - rate) * STEERED + rate * RANDOM


def _written(lapses, goal=0.0):
    """One written answer to each item in each wording, of respondents with this lapse rate."""
    slider = instruments.load("svo-slider")
    kinds = [svo.angle_distribution(lapse.probabilities(name, lapses, slider)) for name in TOLD] + [
        svo.angle_distribution(chance.uniform())
    ]

    def draw(rng, wordings):
        rows = [rng.choice(one.angles, wordings, p=one.weights) for one in kinds * 2]
        return np.clip(np.array(rows) + rng.normal(0, goal, (10, wordings)), LOW, HIGH)

    return draw, np.array([one.mean for one in kinds] * 2)


SCENARIOS = {
    "deterministic": lambda: _noisy(STEERED, 0.0),
    "unresponsive, wording SD 1": lambda: _noisy(np.full(10, 30.0), 1.0),
    "steered, wording SD 4": lambda: _noisy(STEERED, 4.0),
    "wording SD 0.2 to 12 by cell": lambda: _noisy(STEERED, UNEVEN),
    "another mind in 10% of wordings": lambda: _two_minds(0.1),
    "wording SD 8, goal SD 4": lambda: _noisy(RANDOM + 0.5 * (STEERED - RANDOM), 8.0, goal=4.0),
    "a shift all cells share, SD 4, and own SD 1": lambda: _noisy(STEERED / 2, 1.0, shared=4.0),
    "a shift all cells share, SD 8, and own SD 2": lambda: _noisy(STEERED / 2, 2.0, shared=8.0),
}
WRITTEN = {
    "faithful, ties at random": lambda: _written(0.0),
    "2% lapses": lambda: _written(0.02),
    "20% lapses": lambda: _written(0.2),
    "uniform random": lambda: _written(1.0),
}
# Coverage and mean width of U that an analysis of its own, with scenarios like these, has found.
KNOWN = [
    ("deterministic", 4, 1.0, 5.6),
    ("unresponsive, wording SD 1", 2, 1.0, 10.8),
    *[("steered, wording SD 4", *row) for row in ((2, 0.985, 15.9), (4, 0.97, 9.0))],
    *[("steered, wording SD 4", *row) for row in ((8, 0.955, 5.8), (16, 0.95, 4.0))],
    ("wording SD 0.2 to 12 by cell", 4, 0.979, 15.9),
    ("another mind in 10% of wordings", 4, 1.0, 19.3),
    ("another mind in 10% of wordings", 8, 0.98, 13.0),
]


def of_cells(name, wordings, studies=STUDIES):
    """Coverage (mean over cells, and of the worst cell) and mean width of each method."""
    draw, truth = (SCENARIOS | WRITTEN)[name]()
    number = [*SCENARIOS, *WRITTEN].index(name)
    rng = np.random.default_rng([SEED, number, wordings])
    cells = [draw(rng, wordings) for _ in range(studies)]
    flat, few = np.concatenate(cells), np.concatenate(cells[:FEW])
    limits = {
        "U": [np.concatenate(ends) for ends in zip(*map(_cell_limits, cells), strict=True)],
        "t": intervals.t_limits(flat, LEVEL),
        "covering": intervals.covering_limits(few, LEVEL, LOW, HIGH),
    }
    row = {"scenario": name, "K": wordings}
    for method, (lower, upper) in limits.items():
        lower, upper = (ends.reshape(-1, len(truth)) for ends in (lower, upper))
        hit = (lower <= truth + 1e-6) & (truth - 1e-6 <= upper)
        row |= {method: hit.mean(), f"worst {method}": hit.mean(axis=0).min()}
        row[f"width {method}"] = (upper - lower).mean()
    return row


def _cell_limits(cells):
    return intervals.cell_limits(cells, LOW, HIGH)


def cells_table(names, sizes, studies):
    lines = [["scenario", "K", "U", "worst cell", "width", "t", "covering", "width"]]
    for name in names:
        for size in sizes:
            row = of_cells(name, size, studies)
            shown = [f"{row[key]:.3f}" for key in ("U", "worst U")] + [f"{row['width U']:.1f}"]
            shown += [f"{row[key]:.3f}" for key in ("t", "covering")]
            lines.append([name, str(size), *shown, f"{row['width covering']:.1f}"])
    return markdown(lines)


# Steerability


def angles(rng, wordings, beta=0.0, sd=4.0, slopes=0.0, by_wording=8.0):
    """One arm's angles (values, wordings): shift of the wording, slope, and value x wording SD."""
    slope = beta + rng.normal(0, slopes, wordings)
    noise = rng.normal(0, sd, (len(TARGETS), wordings))
    return RANDOM + rng.normal(0, by_wording, wordings) + np.outer(TARGETS, slope) + noise


def of_steerability(wordings, sd, slopes, studies=STUDIES, beta=0.5):
    """Coverage and width of the 95% interval, and how often each verdict is reached."""
    rng = np.random.default_rng([SEED, wordings, int(sd * 10), int(slopes * 100)])

    def fits(truth):
        drawn = (angles(rng, wordings, truth, sd, slopes) for _ in range(studies))
        return [steerability.fit(one, TARGETS) for one in drawn]

    ends = np.array([fit.interval() for fit in fits(beta)])
    none, edge, some = (fits(truth) for truth in (0.0, 0.1, 0.2))
    return {
        "coverage": np.mean((ends[:, 0] <= beta) & (beta <= ends[:, 1])),
        "width": np.mean(ends[:, 1] - ends[:, 0]),
        "found": np.mean([fit.interval()[0] > 0 for fit in some]),
        "equivalence": np.mean([fit.verdict(0.1) == steerability.ACTS_NOT for fit in none]),
        "wrongly": np.mean([fit.verdict(0.1) == steerability.ACTS_NOT for fit in edge]),
    }


def steerability_table(studies, sizes=(2, 4, 8, 9, 16)):
    head = ["value x wording SD", "SD of the slopes", "K", "coverage", "width"]
    lines = [[*head, "0.2 told from 0", "0 found within 0.1", "0.1 wrongly found within"]]
    for sd, slopes in ((4, 0.0), (8, 0.0), (4, 0.06), (1, 0.1)):
        for size in sizes:
            row = of_steerability(size, sd, slopes, studies)
            told = [f"{row[key]:.2f}" for key in ("width", "found", "equivalence")]
            wrong = f"{row['wrongly']:.3f}"
            lines.append(
                [str(sd), f"{slopes:g}", str(size), f"{row['coverage']:.3f}", *told, wrong]
            )
    return markdown(lines)


# Tests between models and between arms


def of_comparisons(wordings, by_model, studies=STUDIES):
    """Type I error at 5% of two models (or arms) that do not differ over wordings.

    by_model: SD in degrees of what each wording does to each model on its own.
    """
    rng = np.random.default_rng([SEED, 7, wordings, int(by_model)])
    flips, limits, labels = [], [], []
    for _ in range(studies):
        pair = [angles(rng, wordings, 0.3, 2.0, by_model / 63.46, 4.0) for _ in range(2)]
        found = comparison.compare(*(steerability.fit(one, TARGETS).slopes for one in pair))
        flips.append(found.p <= 1 - LEVEL)
        limits.append(not found.low <= 0 <= found.high)
    for _ in range(studies // 4):
        none = angles(rng, wordings, 0.0, max(by_model, 1.0))
        labels.append(steerability.permutation_p(none, TARGETS) <= 1 - LEVEL)
    return np.mean(flips), np.mean(limits), np.mean(labels)


def comparisons_table(studies, sizes=(2, 4, 6, 8, 9)):
    head = "K = {}: signs, t interval, labels"
    lines = [["model-by-wording SD", *(head.format(size) for size in sizes)]]
    for by_model in (0, 2, 4, 8):
        shown = [", ".join(f"{x:.3f}" for x in of_comparisons(k, by_model, studies)) for k in sizes]
        lines.append([f"{by_model} degrees", *shown])
    return markdown(lines)


def plan_table():
    """Wordings that a study needs; computed, not simulated."""
    margins, spreads = (0.05, 0.1, 0.15), (1, 2, 4, 6, 8, 12)
    lines = [["residual SD, degrees", *(f"margin {margin:g}" for margin in margins)]]
    for sd in spreads:
        lines.append([f"{sd:g}", *(str(plan.wordings(sd, margin)) for margin in margins)])
    return markdown(lines)


# Lapse rates: every number of misses

RATES, ADMINISTRATIONS = (0, 0.02, 0.05, 0.1, 0.2, 0.5), (1, 5, 10, 30)


def lapse_coverage(informative, rates=RATES, administrations=ADMINISTRATIONS):
    """One row a number of administrations x rate: coverage and mean width, both enumerated.

    informative: items of six on which the value has a single best option; it ties the others.
    """
    value = {5: "prosocial", 6: "altruistic"}[informative]
    instrument = instruments.load("svo-slider")
    ideal, tied = svo.ideal_choices(value, instrument), 6 - informative
    order = np.argsort(values.get(value).ideal_options(instrument.payoffs, 1).sum(axis=1))
    rows = []
    for count in administrations:
        items, found = informative * count, []
        places = [(row, item) for row in range(count) for item in order[: 6 - tied]]
        for misses in range(items + 1):
            choices = np.tile(ideal, (count, 1))
            for place in places[:misses]:
                choices[place] = (choices[place] + 1) % instrument.payoffs.shape[1]
            one = lapse.lapse_rate(choices, value, instrument)
            found.append((one.low, one.high))
        low, high = np.array(found).T
        for rate in rates:
            shares = binom.pmf(np.arange(items + 1), items, rate * 8 / 9)
            hit = (low <= rate) & (rate <= high)
            rows.append((count, rate, shares @ hit, shares @ (high - low)))
    return pd.DataFrame(rows, columns=["administrations", "rate", "coverage", "width"])


def lapse_table():
    lines = [["values", "administrations", *(f"e = {rate:g}" for rate in RATES)]]
    kinds = {6: "altruistic, competitive", 5: "prosocial, individualistic"}
    for informative, kind in kinds.items():
        for count, rows in lapse_coverage(informative).groupby("administrations"):
            shown = [f"{row.coverage:.3f} ({row.width:.2f})" for row in rows.itertuples()]
            lines.append([kind, str(count), *shown])
    return markdown(lines)


# The document


def markdown(lines):
    head, *rest = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *rest])


def provenance(studies):
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas"))
    error = np.sqrt(LEVEL * (1 - LEVEL) / studies)
    return (
        f"{studies} studies a row, seed {SEED}; standard error of a share near 0.95: {error:.3f}. "
        f"{datetime.date.today():%Y-%m-%d}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}."
    )


def write(tables):
    """Replace what stands between the markers of the document, `<!-- name -->` to `<!-- /name -->`.

    The document is left alone unless all markers are there.
    """
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, table in tables.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, opened, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise SystemExit(f"{DOCUMENT.name}: the markers of '{name}' are missing")
        text = before + start + table + "\n" + end + after
    DOCUMENT.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description="coverage of intervals, errors of tests")
    parser.add_argument("--write", action="store_true", help="write the tables into the docs")
    parser.add_argument("--studies", type=int, default=STUDIES, help="simulated studies a row")
    options = parser.parse_args()
    begun, studies = time.perf_counter(), options.studies
    tables = {
        "provenance": provenance(studies),
        "cells": cells_table(SCENARIOS, (2, 4, 9, 16), studies),
        "written": cells_table(WRITTEN, (4, 9), studies),
        "steerability": steerability_table(studies),
        "comparisons": comparisons_table(studies),
        "plan": plan_table(),
        "lapses": lapse_table(),
    }
    print("\n\n".join(tables.values()), f"\n\n{time.perf_counter() - begun:.0f} s")
    if options.write:
        write(tables)


if __name__ == "__main__":
    main()
