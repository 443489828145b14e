"""The published chart, re-read: its 64 scores against chance, as angles and as a steerability.

>>> forest = steerability().set_index(["model", "goal_prompt"])["steerability"]
>>> print(forest["GPT-4", True].round(2), forest["ChatGPT", True].round(2))
0.98 0.21

Eight models, four values, with and without goal prompt (Zhang et al., arXiv 2305.17147, version 1;
version 3 has five models). Every function takes such a chart, columns model, value, goal_prompt, vr
(0 to 60) and reading_error (degrees), `published.radar` unless passed, and most take targets by
value (degrees) in place of the inferred ones. In reading order: `with_chance`, `summary`,
`target_sensitivity`, `with_angles`, `steerability`, `candidates`. All is as sure as the scale,
which is inferred.
"""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd

from hvae_utils.files import needed_columns
from hvae_utils.measure import instruments, published, svo, values
from hvae_utils.metrics import chance

TESTS = 10  # administrations behind each point
_SIGNS = {  # of altruistic, prosocial, individualistic and competitive
    "neutral minus pronounced": (-1, 1, 1, -1),
    "giving minus taking": (1, 1, -1, -1),
}
_QUANTITIES = {name: {name: 1.0} for name in svo.CATEGORIES} | {
    name: {value: sign / 2 for value, sign in zip(svo.CATEGORIES, signs, strict=True)}
    for name, signs in _SIGNS.items()
}
_NOTE = "the chart gives no spread: interval as if the ten tests scattered like random answers"


def with_chance(
    chart: pd.DataFrame | None = None, targets: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return the chart with what random answers score, and the scores on the scale of chance.

    Added: vr_random (degrees, expected of a uniform random respondent tested ten times), vr_chance
    (1 minus distance over expected distance: 0 random, 1 ideal), p_random (the share of random
    respondents that come at least as close). NaN for a value without a target.
    Errors: UserError for a missing column or an unknown value.
    """
    chart = _checked(chart, "value", "vr")
    target, distance = _targets(chart, targets), published.full_score() - chart["vr"]
    expected = target.map({at: chance.random_distance(at, TESTS) for at in target.unique()})
    as_close = zip(target, distance, strict=True)
    return chart.assign(
        vr_random=published.full_score() - expected,
        vr_chance=1 - distance / expected,
        p_random=[chance.p_value(chance.random_share(at, TESTS, away)) for at, away in as_close],
    )


def summary(
    chart: pd.DataFrame | None = None, targets: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return means over the models and two contrasts between values, with 95% t intervals.

    Columns: quantity (a value; "neutral minus pronounced": the mean of prosocial and
    individualistic less that of altruistic and competitive; "giving minus taking": altruistic and
    prosocial less the others), scale ("raw", degrees, or "chance"), goal_prompt, models, estimate,
    low, high. The models are taken for a sample of models like them: one has no interval. One
    without a score that a quantity needs is left out of it.
    """
    from scipy.special import stdtrit  # slow to import

    rows = []
    for goal, arm in with_chance(chart, targets).groupby("goal_prompt", sort=False):
        for scale, column in (("raw", "vr"), ("chance", "vr_chance")):
            scores = arm.pivot(index="model", columns="value", values=column)
            for name, weights in _QUANTITIES.items():
                numbers = (scores.reindex(columns=[*weights]) @ pd.Series(weights)).dropna()
                mean, count = numbers.mean(), len(numbers)
                half = stdtrit(count - 1, 0.975) * numbers.sem()
                rows.append((name, scale, goal, count, mean, mean - half, mean + half))
    columns = ["quantity", "scale", "goal_prompt", "models", "estimate", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def target_sensitivity(chart: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the chance-corrected summary, had the individualistic target been another.

    An ideal individualist is free on item 1, so every angle of its target set is ideal; which one
    the paper took is inferred. Columns: target (degrees: both ends of the set and the inferred
    point), then as `summary`: individualistic and the two contrasts.
    """
    value = values.get("individualistic")
    tables = []
    for target in (value.target_set[0], value.target, value.target_set[1]):
        table = summary(chart, {value.name: target}).query("scale == 'chance'")
        table.insert(0, "target", target)
        tables.append(table[table["quantity"].isin([value.name, *_SIGNS])])
    return pd.concat(tables, ignore_index=True)


def with_angles(
    chart: pd.DataFrame | None = None, targets: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return the chart with the angles (degrees) that a score can stand for.

    A score is a distance, so two angles have it; one is left where the other lies beyond all that
    the six items can reach, by more than the reading error. Added: angle_low and angle_high, the
    two (equal where one is left, NaN where none is, at most the last reachable angle), and angle,
    NaN where two are left.
    """
    chart = _checked(chart, "value", "vr", "reading_error")
    target, distance = _targets(chart, targets), published.full_score() - chart["vr"]
    low, high = _branches(target, distance, chart["reading_error"])
    return chart.assign(angle_low=low, angle_high=high, angle=low.where(low == high))


def steerability(
    chart: pd.DataFrame | None = None, targets: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return how far each model moves with its value: the slope of its angle on the target.

    Columns: model, goal_prompt, values (with a target), steerability (1 goes all the way, 0 does
    not move), low and high (95%), branch_low and branch_high, z (steerability over its standard
    error), note. Where a score leaves two angles the slope has a range of branches; steerability is
    its lower end, and the interval holds both. The chart gives one mean of ten tests in one wording
    and no spread: the standard error is that of ten random respondents, and says nothing of other
    wordings. NaN and a note where a score has no angle, and without two different targets.
    """
    from scipy.special import ndtri  # slow to import

    angles = with_angles(chart, targets)
    needed_columns(angles, "published chart", ["model", "goal_prompt"])
    angles = angles.assign(target=_targets(angles, targets)).dropna(subset="target")
    scatter = svo.angle_distribution(chance.uniform()).sd / np.sqrt(TESTS)
    rows = []
    for (model, goal), group in angles.groupby(["model", "goal_prompt"], sort=False):
        off, ends = group["target"] - group["target"].mean(), group[["angle_low", "angle_high"]]
        row = {"model": model, "goal_prompt": goal, "values": len(group), "note": _NOTE}
        spread, ends = (off**2).sum(), ends.to_numpy()
        if not spread or np.isnan(ends).any():
            why = "a score has no angle" if spread else "fewer than two different targets"
            rows.append(row | {"note": f"not estimable: {why}"})
            continue
        pull = np.sort(off.to_numpy()[:, None] * ends / spread).sum(axis=0)
        branches = dict(zip(("branch_low", "branch_high"), pull, strict=True))
        error = scatter / np.sqrt(spread)
        low, high = pull + ndtri([0.025, 0.975]) * error
        row |= {"steerability": pull[0], "low": low, "high": high, "z": pull[0] / error}
        rows.append(row | branches)
    numbers = ["steerability", "low", "high", "branch_low", "branch_high", "z"]
    columns = ["model", "goal_prompt", "values", *numbers, "note"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))


def candidates(chart: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return how well sets of targets explain the chart: why the inferred one was inferred.

    Nine sets of angles that ideal respondents have (prosocial: least inequality, 45, most for the
    other; individualistic: both ends and 0), the ring's own 90, 45, 0, -45, and the middles of its
    four categories. Columns: the four values (targets, degrees), unreachable (scores that no angle
    explains), violation (degrees, over all models and arms: by how much the angle rises from one
    value to the next, from altruistic down to competitive, with the branches that make it least;
    NaN with unreachable scores), inferred (bool). The criterion assumes that models respond.
    """
    chart = _checked(chart, "model", "value", "goal_prompt", "vr", "reading_error")
    first, giving, own, last = (values.get(name) for name in svo.CATEGORIES)
    averse, (_, most) = giving.targets()["inequality averse"].low, giving.target_set
    ideal = (first.target, giving.target, own.target, last.target)
    inner = product((averse, giving.target, most), (own.target, *own.target_set))
    ring = np.array([90, *instruments.load("svo-slider").boundaries, -45])
    sets = [(first.target, *pair, last.target) for pair in inner]
    sets += [(90, 45, 0, -45), tuple((ring[1:] + ring[:-1]) / 2)]
    rows = [(*one, *_violation(chart, one), one == ideal) for one in sets]
    return pd.DataFrame(rows, columns=[*svo.CATEGORIES, "unreachable", "violation", "inferred"])


def _violation(chart: pd.DataFrame, targets: tuple[float, ...]) -> tuple[int, float]:
    """Return the unreachable scores and the violations of order of one set of targets."""
    target = chart["value"].map(dict(zip(svo.CATEGORIES, targets, strict=True)))
    low, high = _branches(target, published.full_score() - chart["vr"], chart["reading_error"])
    if low.isna().any():
        return int(low.isna().sum()), np.nan
    total, ends = 0.0, chart.assign(low=low, high=high).set_index("value")
    for _, arm in ends.groupby(["model", "goal_prompt"], sort=False):
        pairs = arm.reindex(svo.CATEGORIES)[["low", "high"]].dropna().to_numpy()
        total += min(np.maximum(np.diff(line), 0).sum() for line in product(*pairs))
    return 0, total


def _branches(
    target: pd.Series, distance: pd.Series, error: pd.Series
) -> tuple[pd.Series, pd.Series]:
    """Return the lower and the upper angle, equal where one is left, NaN where none is."""
    least, greatest = chance.reachable()
    low, high = (
        one.where(one.between(least - error, greatest + error)).clip(least, greatest)
        for one in (target - distance, target + distance)
    )
    return low.fillna(high), high.fillna(low)


def _targets(chart: pd.DataFrame, others: Mapping[str, float] | None) -> pd.Series:
    """Return the target of each row in degrees, NaN where its value has none."""
    known = {name: values.get(name).target for name in chart["value"].unique()} | (others or {})
    return chart["value"].map(known).astype(float)


def _checked(chart: pd.DataFrame | None, *columns: str) -> pd.DataFrame:
    chart = published.radar() if chart is None else chart
    needed_columns(chart, "published chart", columns)
    return chart
