"""How often intervals contain the truth, and how wide they are.

Of a mean SVO angle, of a paired difference in value rationality, and of a lapse rate.

    python -m benchmarks.coverage           print the tables
    python -m benchmarks.coverage --write   also write them into docs/intervals.md

Respondents are defined by their response probabilities on the six primary items, so the true mean
angle is exact; a study is K administrations, one a cluster. Every number follows from the seed.
The coverage of a lapse rate is enumerated, not simulated.
"""

import argparse
import datetime
import os
import platform
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit
from scipy.stats import binom

from hvae_utils import paths
from hvae_utils.measure import instruments, svo, values
from hvae_utils.metrics import chance, intervals, lapse

SIZES = (3, 5, 10, 15, 30)
JUDGED = (5, 10, 30)
LEVEL, DEMANDED = 0.95, 0.93
STUDIES, SEED = 4000, 2023
RESAMPLES = 1000
DOCUMENT = paths.ROOT / "docs" / "intervals.md"
FIVE = (
    *("prosocial, soft choices", "individualist, 30% lapses", "altruist, 5% lapses"),
    *("competitor / prosocial 50:50", "altruist / individualist 50:50"),
)


# Respondents: (angles, weights, true mean), exact


def scenarios():
    payoffs = instruments.load("svo-slider").payoffs
    uniform = chance.uniform()

    def faithful(value, lapses=0.05):
        """Any of the options that are equally good, or with probability `lapses` any option."""
        utilities = values.get(value).utilities(payoffs)
        best = utilities >= utilities.max(axis=1, keepdims=True) - 1e-9
        best |= np.ptp(utilities, axis=1, keepdims=True) <= 1 + 1e-9
        return (1 - lapses) * best / best.sum(axis=1, keepdims=True) + lapses * uniform

    def soft(value, per_coin=0.1):
        weights = np.exp(values.get(value).utilities(payoffs) * per_coin)
        return weights / weights.sum(axis=1, keepdims=True)

    first = np.eye(payoffs.shape[1])[np.zeros(len(payoffs), int)]
    altruist, individualist = faithful("altruistic"), faithful("individualistic")
    competitor, prosocial = faithful("competitive"), faithful("prosocial")
    said = {
        FIVE[0]: [(1, soft("prosocial"))],
        FIVE[1]: [(1, faithful("individualistic", 0.3))],
        FIVE[2]: [(1, altruist)],
        FIVE[3]: [(0.5, competitor), (0.5, prosocial)],
        FIVE[4]: [(0.5, altruist), (0.5, individualist)],
        "altruist, 2% lapses": [(1, faithful("altruistic", 0.02))],
        "altruist, 10% lapses": [(1, faithful("altruistic", 0.1))],
        "altruist, 20% lapses": [(1, faithful("altruistic", 0.2))],
        "altruist, soft choices": [(1, soft("altruistic"))],
        "competitor, 5% lapses": [(1, competitor)],
        "uniform random": [(1, uniform)],
        "always the first option": [(1, first)],
        "altruist / individualist 60:40": [(0.6, altruist), (0.4, individualist)],
        "altruist / individualist 80:20": [(0.8, altruist), (0.2, individualist)],
        "altruist / individualist 90:10": [(0.9, altruist), (0.1, individualist)],
        "altruist / individualist 97:3": [(0.97, altruist), (0.03, individualist)],
        "competitor / prosocial 90:10": [(0.9, competitor), (0.1, prosocial)],
        "competitor / prosocial 97:3": [(0.97, competitor), (0.03, prosocial)],
        "altruist / competitor 90:10": [(0.9, altruist), (0.1, competitor)],
        "soft prosocial / competitor 90:10": [(0.9, soft("prosocial")), (0.1, competitor)],
        "soft altruist / competitor 85:15": [(0.85, soft("altruistic")), (0.15, competitor)],
        "altruist / individualist / competitor": [
            *((1 / 3, altruist), (1 / 3, individualist), (1 / 3, competitor))
        ],
    }
    return {name: mixture(parts) for name, parts in said.items()}


def mixture(parts):
    """Each administration is of one kind throughout; parts: (share, response probabilities)."""
    kinds = [(share, svo.angle_distribution(table)) for share, table in parts]
    angles = np.concatenate([kind.angles for _, kind in kinds])
    weights = np.concatenate([share * kind.weights for share, kind in kinds])
    return angles, weights, sum(share * kind.mean for share, kind in kinds)


def draw(angles, weights, shape, rng):
    up_to = np.cumsum(weights)
    at = np.searchsorted(up_to / up_to[-1], rng.random(shape), side="right")
    return angles[np.minimum(at, len(angles) - 1)]


# Paired differences: the same administration asked in two ways


def pairs():
    """Name -> (value, respondent asked one way, respondent asked the other way)."""
    told = scenarios()
    first, rare = told["always the first option"], told["altruist / individualist 97:3"]
    steady, often = told["altruist, 2% lapses"], told["altruist, 20% lapses"]
    return {
        "no effect, altruist corner, 2% lapses": ("altruistic", steady, steady),
        "no effect, altruist corner, 5% lapses": ("altruistic", told[FIVE[2]], told[FIVE[2]]),
        "no effect, competitor corner, 5% lapses": (
            *("competitive", told["competitor, 5% lapses"], told["competitor, 5% lapses"]),
        ),
        "no effect, prosocial, soft choices": ("prosocial", told[FIVE[0]], told[FIVE[0]]),
        "no effect, now and then of another mind (3%)": ("altruistic", rare, rare),
        "lapses rarer, 20% to 2%": ("altruistic", steady, often),
        "from half to all altruistic": ("altruistic", told[FIVE[2]], told[FIVE[4]]),
        "from random to prosocial": ("prosocial", told[FIVE[0]], told["uniform random"]),
        "from individualistic to altruistic": ("altruistic", told[FIVE[2]], told[FIVE[1]]),
        "all clusters agree, no effect": ("prosocial", first, first),
        "all clusters agree but for 2% lapses": ("altruistic", steady, first),
    }


def simulate_pairs(studies=STUDIES, sizes=JUDGED):
    """One row a scenario x K: coverage of t and of covering, width (degrees), zero (t's share)."""
    rows = []
    for number, (name, (value, *sides)) in enumerate(pairs().items()):
        target = values.get(value).target
        reach = chance.greatest_distance(target)
        expected = [weights @ np.abs(angles - target) for angles, weights, _ in sides]
        true = round(expected[1] - expected[0], 9)  # rounded: no effect is 0 and not -1e-15
        for size in sizes:
            rng = np.random.default_rng([SEED, 1000 + number, size])
            drawn = [draw(angles, weights, (studies, size), rng) for angles, weights, _ in sides]
            samples = np.abs(drawn[1] - target) - np.abs(drawn[0] - target)
            limits = (
                intervals.t_limits(samples, LEVEL),
                intervals.covering_limits(samples, LEVEL, -reach, reach),
            )
            hits = [((low <= true + 1e-8) & (true - 1e-8 <= high)).mean() for low, high in limits]
            widths = [high - low for low, high in limits]
            rows.append((name, size, true, *hits, widths[1].mean(), (widths[0] < 1e-9).mean()))
    columns = ["scenario", "K", "difference", "t", "covering", "width", "zero"]
    return pd.DataFrame(rows, columns=columns)


def pairs_table(found):
    lines = [["scenario", "difference", *(f"K = {size}: t, covering (width)" for size in JUDGED)]]
    for name, rows in found.groupby("scenario", sort=False):
        shown = [
            f"{told_coverage(row.t, row.zero)}, {told_coverage(row.covering)} ({row.width:.1f})"
            for row in rows.itertuples()
        ]
        lines.append([name, f"{rows['difference'].iloc[0]:.1f}", *shown])
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
            shown = [f"{told_coverage(r.coverage)} ({r.width:.2f})" for r in rows.itertuples()]
            lines.append([kind, str(count), *shown])
    return markdown(lines)


# Methods: samples (studies, K) -> lower limits, upper limits


def z_limits(samples, level=LEVEL):
    half = ndtri((1 + level) / 2) * samples.std(axis=1, ddof=1) / np.sqrt(samples.shape[1])
    return samples.mean(axis=1) - half, samples.mean(axis=1) + half


def bootstrap_limits(samples, level=LEVEL):
    """Percentile bootstrap; the same resampling weights for every study."""
    size = samples.shape[1]
    weights = np.random.default_rng(SEED).multinomial(size, np.full(size, 1 / size), RESAMPLES)
    tails = [(1 - level) / 2, (1 + level) / 2]
    return tuple(np.quantile(samples @ (weights / size).T, tails, axis=1))


def arcsine_limits(samples, level=LEVEL):
    """t on the arcsine scale of the range."""
    low, high = chance.reachable()
    lower, upper = intervals.t_limits(np.arcsin(np.sqrt((samples - low) / (high - low))), level)
    back = [np.sin(np.clip(limit, 0, np.pi / 2)) ** 2 for limit in (lower, upper)]
    return tuple(low + (high - low) * limit for limit in back)


def ends_limits(samples, level=LEVEL):
    """t after one more observation at each end of the range."""
    ends = np.broadcast_to(chance.reachable(), (len(samples), 2))
    lower, upper = intervals.t_limits(np.hstack([samples, ends]), level)
    return np.maximum(lower, ends[:, 0]), np.minimum(upper, ends[:, 1])


def betting_limits(samples, level=LEVEL, grid=200):
    """Hedged betting (Waudby-Smith & Ramdas 2024, section 4.4), bets capped at a half."""
    low, high = chance.reachable()
    x, size = (samples - low) / (high - low), samples.shape[1]
    means = (np.arange(grid) + 0.5) / grid
    wealth, greatest = np.zeros((2, len(x), grid)), np.full((len(x), grid), -np.inf)
    total, spread = np.full(len(x), 0.5), np.full(len(x), 0.25)
    for k in range(size):
        bet = np.sqrt(2 * np.log(2 / (1 - level)) * (k + 1) / (size * spread))[:, None]
        gain = x[:, [k]] - means
        wealth[0] += np.log1p(np.minimum(bet, 0.5 / means) * gain)
        wealth[1] += np.log1p(-np.minimum(bet, 0.5 / (1 - means)) * gain)
        greatest = np.maximum(greatest, wealth.max(axis=0) - np.log(2))
        total += x[:, k]
        spread += (x[:, k] - total / (k + 2)) ** 2
    held = greatest < np.log(1 / (1 - level))
    first, last = held.argmax(axis=1), grid - 1 - held[:, ::-1].argmax(axis=1)
    return low + (high - low) * first / grid, low + (high - low) * (last + 1) / grid


def fading_limits(samples, level=LEVEL):
    """t and the rule of three on either side, the latter fading as the clusters spread."""
    low, high = chance.reachable()
    mean, size = samples.mean(axis=1), samples.shape[1]
    deviations = np.abs(samples - np.median(samples, axis=1, keepdims=True))
    left = np.maximum(0, 1 - np.median(deviations, axis=1) / (0.1 * (high - low)))
    unseen = left * (1 - (1 - level) ** (1 / size))
    half = stdtrit(size - 1, (1 + level) / 2) * samples.std(axis=1, ddof=1) / np.sqrt(size)
    outer = bounded_mean_limits(samples, level)
    return (
        np.maximum(mean - np.hypot(half, unseen * (mean - low)), outer[0]),
        np.minimum(mean + np.hypot(half, unseen * (high - mean)), outer[1]),
    )


def bounded_mean_limits(samples, level=LEVEL):
    (lower,), (upper,) = intervals.bounded_mean_limits(samples, (level,), *chance.reachable())
    return lower, upper


METHODS = {
    "z": z_limits,
    "percentile bootstrap": bootstrap_limits,
    "t": lambda samples: intervals.t_limits(samples, LEVEL),
    "t on the arcsine scale": arcsine_limits,
    "t with both ends added": ends_limits,
    "t with a fading allowance": fading_limits,
    "hedged betting": betting_limits,
    "bounded mean": bounded_mean_limits,
    "covering": lambda x: intervals.covering_limits(x, LEVEL, *chance.reachable()),
}


# The simulation and its tables


def simulate(studies=STUDIES, sizes=SIZES, methods=METHODS, names=None):
    """One row a scenario x K x method: coverage, width (degrees), zero (share of no width)."""
    rows = []
    for number, (name, (angles, weights, mean)) in enumerate(scenarios().items()):
        if names is not None and name not in names:
            continue
        for size in sizes:
            rng = np.random.default_rng([SEED, number, size])
            samples = draw(angles, weights, (studies, size), rng)
            for method, limits in methods.items():
                lower, upper = limits(samples)
                hit = (lower <= mean + 1e-9) & (mean - 1e-9 <= upper)
                width = upper - lower
                rows.append((name, size, method, hit.mean(), width.mean(), (width < 1e-9).mean()))
    return pd.DataFrame(rows, columns=["scenario", "K", "method", "coverage", "width", "zero"])


def five_table(found):
    """Coverage of five methods and width of three, one row a scenario x K."""
    told = ("z", "percentile bootstrap", "t", "bounded mean", "covering")
    lines = [["scenario", "K", *told, *(f"width, {method}" for method in told[2:])]]
    five = found[found["scenario"].isin(FIVE)]
    for (name, size), cell in five.groupby(["scenario", "K"], sort=False):
        cell = cell.set_index("method")
        covered = [told_coverage(cell.loc[method, "coverage"]) for method in told]
        widths = [f"{cell.loc[method, 'width']:.1f}" for method in told[2:]]
        lines.append([name, str(size), *covered, *widths])
    return markdown(lines)


def guard_table(found):
    """Coverage of t and of the covering interval, with the latter's width, one row a scenario."""
    lines = [["scenario", *(f"K = {size}: t, covering (width)" for size in SIZES)]]
    for name, rows in found[~found["scenario"].isin(FIVE)].groupby("scenario", sort=False):
        rows = rows.set_index(["method", "K"])
        cells = [[rows.loc[method, size] for method in ("t", "covering")] for size in SIZES]
        shown = [
            f"{told_coverage(t['coverage'], t['zero'])}, {told_coverage(own['coverage'])} "
            f"({own['width']:.1f})"
            for t, own in cells
        ]
        lines.append([name, *shown])
    return markdown(lines)


def told_coverage(coverage, zero=0.0):
    if zero > 0.99:
        return "width 0"
    return f"{coverage:.3f}" if coverage >= DEMANDED else f"*{coverage:.3f}*"


def methods_table(found):
    five = found[found["scenario"].isin(FIVE) & found["K"].isin(JUDGED)]
    lines = [
        [
            *(
                "method",
                "least coverage, 15 cells",
                "least coverage, all cells",
                "cells below 0.93",
            ),
            *(f"mean width, K = {size}" for size in JUDGED),
        ]
    ]
    for method in METHODS:
        inner, every = (part[part["method"] == method] for part in (five, found))
        below = (every["coverage"] < DEMANDED).sum()
        widths = inner.groupby("K")["width"].mean()
        least = [f"{part['coverage'].min():.3f}" for part in (inner, every)]
        shown = [f"{widths[size]:.1f}" for size in JUDGED]
        lines.append([method, *least, f"{below} of {len(every)}", *shown])
    return markdown(lines)


def recommendation_table(half_widths=(20, 15, 10, 7.5, 5, 3, 2)):
    spreads = {"4 (altruist, 5% lapses)": 4, "8 (soft choices)": 8, "12.9 (uniform random)": None}
    spreads["30 (two minds, 50:50)"] = 30
    lines = [["half width", *(f"spread {name}" for name in spreads)]]
    for half in half_widths:
        needed = [intervals.recommend_administrations(half, s) for s in spreads.values()]
        lines.append([f"±{half:g}", *map(str, needed)])
    return markdown(lines)


def formula_table(found):
    """The formula behind the recommendation against the simulated mean half width."""
    lines = [["scenario", *(f"K = {size}: half width, K recommended for it" for size in JUDGED)]]
    for name, (angles, weights, mean) in scenarios().items():
        if name not in FIVE:
            continue
        spread = float(np.sqrt(weights @ (angles - mean) ** 2))
        cells = found[(found["scenario"] == name) & (found["method"] == "covering")]
        halves = cells.set_index("K")["width"] / 2
        shown = [
            f"±{halves[k]:.1f}, {intervals.recommend_administrations(halves[k], spread)}"
            for k in JUDGED
        ]
        lines.append([f"{name} (spread {spread:.1f})", *shown])
    return markdown(lines)


def markdown(lines):
    head, *rest = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *rest])


def provenance(studies, seconds):
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas"))
    error = np.sqrt(DEMANDED * (1 - DEMANDED) / studies)
    return (
        f"{studies} studies a cell, seed {SEED}; standard error of a coverage near 0.93: "
        f"{error:.3f}. {datetime.date.today():%Y-%m-%d}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{versions}; {seconds:.0f} s."
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
    parser = argparse.ArgumentParser(description="coverage and width of intervals")
    parser.add_argument("--write", action="store_true", help="write the tables into the docs")
    parser.add_argument("--studies", type=int, default=STUDIES, help="simulated studies a cell")
    options = parser.parse_args()
    begun = time.perf_counter()
    found = simulate(options.studies)
    tables = {
        "methods": methods_table(found),
        "five": five_table(found),
        "guards": guard_table(found),
        "recommendation": recommendation_table(),
        "formula": formula_table(found),
        "pairs": pairs_table(simulate_pairs(options.studies)),
        "lapses": lapse_table(),
        "provenance": provenance(options.studies, time.perf_counter() - begun),
    }
    print("\n\n".join(tables.values()))
    if options.write:
        write(tables)


if __name__ == "__main__":
    main()
