"""Factor effects: what each factor of a study changes in value rationality, and how surely.

A factorial study asks whether a result depends on how it was asked. Every effect is a paired
difference between administrations that differ in one factor only (`factors.pairs`), so an
unbalanced study gives fewer pairs and no biased comparison. Pairs are averaged within clusters
(wording x goal draw), then clusters. The goal prompt is a factor like any other; `goal_effects`
tells its effect by value.

Public names: factor_effects, goal_effects, REFERENCES, ALL.
"""

import numpy as np
import pandas as pd

from hvae_utils.files import needed_columns
from hvae_utils.measure import factors, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import chance, rationality
from hvae_utils.metrics.intervals import Interval, covering_interval

REFERENCES = {  # the level others are compared with; else the first one that appears
    "induction": "self_description",
    "placement": "dialogue",
    "goal_prompt": False,
    "protocol": "independent",
    "order": "fixed",
    "labels": "A-I",
}
ALL = "all values"
_FIXED = ("model", "value", "repeat")  # factors that are no choice of how to ask
_COLUMNS = (
    *("model", "scope", "factor", "level", "reference", "pairs", "clusters"),
    *("difference", "low", "high", "dz", "eta_squared", "note"),
)


def factor_effects(
    scores: pd.DataFrame, level: float = 0.95, instrument: Instrument | None = None
) -> pd.DataFrame:
    """Return the main effect of every level of every varied factor, one row each.

    scores: one row an administration: the factors, goal_draw, angle (degrees, NaN when
        unscored). Values without a target (`none`) are left out. Per administration the value
        rationality is 60 - |angle - target|, scale inferred from the published chart.
    Columns: model; scope ("all values", or one value); factor; level and reference (text: the
    level of REFERENCES, or the first that appears); pairs (administrations that agree in all but
    the factor and are both scored); clusters (one for the factor wording, which has no cluster to
    be tested on); difference (degrees of value rationality, level minus reference); low, high
    (`intervals.covering_interval` over clusters, within plus or minus `chance.greatest_distance`
    from the target, of several values the largest); dz (mean over SD of the paired differences);
    eta_squared (sum of squares of the factor's level means over total sum of squares, over the
    sets of administrations scored at every level, so that the design is balanced; the same on all
    rows of a factor); note ("not estimable: ..." beside a NaN, and what was left out).
    Intervals are one by one, without a correction for their number.
    Order: models as they appear, all values before the single ones, factors as in `factors`.
    Errors: UserError for a missing column, an unknown value, an administration found twice and a
    level outside 0.5 to 1.
    """
    needed_columns(scores, "scores", [*factors.FACTORS, "goal_draw", "angle"])
    factors.once(scores)
    rated = rationality.by_administration(scores, instrument)
    rows = []
    for model, of_model in rated.groupby("model", sort=False):
        assigned = [name for name in values.names() if name in set(of_model["value"])]
        for scope in [ALL, *assigned]:
            table = of_model if scope == ALL else of_model[of_model["value"] == scope]
            for factor in (name for name in factors.FACTORS if name not in _FIXED):
                head = {"model": model, "scope": scope, "factor": factor}
                levels = _levels(of_model, factor)
                effects = _of_factor(table, factor, levels, level, instrument)
                rows += [head | effect for effect in effects]
    return pd.DataFrame(rows, columns=_COLUMNS)


def goal_effects(scores: pd.DataFrame, instrument: Instrument | None = None) -> pd.DataFrame:
    """Return what the goal prompt changes: one row a model x value that has a target.

    scores: one row an administration: the factors, goal_draw and angle (degrees).
    Columns: model, value, pairs (scored on both sides), vr_with, vr_without (means over these
    pairs of 60 - |angle - target|), difference (with minus without, so above 0 the goal prompt
    helped), low, high (95%) and note, as in `factor_effects`.
    A mean of distances is no distance of means: vr_with is not the `vr` of a cell.
    Errors: as `factor_effects`.
    """
    needed_columns(scores, "scores", [*factors.FACTORS, "goal_draw", "angle"])
    rated = rationality.by_administration(scores, instrument)
    rows = []
    for (model, value), table in rationality.in_order(rated, ("model", "value")):
        pairs, interval = _paired(table, "goal_prompt", False, True, 0.95, instrument)
        scored = pairs.dropna(subset=["vr_level", "vr_reference"])
        notes = [interval.note if len(pairs) else "no pair with and without the goal prompt"]
        notes += _without_angle(len(pairs), len(scored))
        means = (scored["vr_level"].mean(), scored["vr_reference"].mean())
        limits = (interval.mean, interval.low, interval.high)
        note = "; ".join(filter(None, notes))
        rows.append((model, value, len(scored), *means, *limits, note))
    columns = ["model", "value", "pairs", "vr_with", "vr_without", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "note"])


def _paired(
    rated: pd.DataFrame,
    factor: str,
    reference: object,
    level: object,
    confidence: float,
    instrument: Instrument | None,
) -> tuple[pd.DataFrame, Interval]:
    """Return `factors.pairs`, and the interval of the mean difference between level and reference.

    The interval is over the clusters of the scored pairs, within what a difference can be at most.
    """
    pairs = factors.pairs(rated, factor, reference, level, "vr")
    scored = pairs.dropna(subset=["vr_level", "vr_reference"])
    # Two wordings have no wording in common, so all their pairs are one cluster.
    clusters = [0] * len(scored) if factor == "wording" else factors.clusters(scored)
    targets = rated["target"].unique().tolist()
    reach = max(chance.greatest_distance(target, instrument) for target in targets)
    difference = scored["vr_level"] - scored["vr_reference"]
    return pairs, covering_interval(difference, clusters, confidence, -reach, reach)


def _levels(table: pd.DataFrame, factor: str) -> list[object]:
    """Return the factor's levels, the reference first, the others as they appear."""
    levels = list(table[factor].unique())
    reference = REFERENCES.get(factor)
    return sorted(levels, key=lambda level: level != reference) if reference in levels else levels


def _of_factor(
    table: pd.DataFrame,
    factor: str,
    levels: list[object],
    confidence: float,
    instrument: Instrument | None,
) -> list[dict[str, object]]:
    """Return the rows of one factor: every level but the first against the first."""
    if len(levels) < 2:
        return []
    matched = [name for name in factors.FACTORS if name != factor]
    eta = _eta_squared(table.pivot(index=matched, columns=factor, values="vr").dropna().to_numpy())
    rows = []
    for level in levels[1:]:
        pairs, interval = _paired(table, factor, levels[0], level, confidence, instrument)
        differences = (pairs["vr_level"] - pairs["vr_reference"]).dropna()
        spread = differences.std(ddof=1)
        notes = [_lacking(interval, differences, spread)]
        notes += _without_angle(len(pairs), len(differences))
        if alone := int((table[factor] == level).sum()) - len(pairs):
            notes.append(f"{alone} of {alone + len(pairs)} administrations have no partner")
        if np.isnan(eta):
            notes.append("not estimable: eta_squared, nothing scored at every level or no spread")
        rows.append(
            {
                "level": str(level),
                "reference": str(levels[0]),
                "pairs": len(differences),
                "clusters": interval.n,
                "difference": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "dz": float(differences.mean() / spread) if spread > 1e-9 else np.nan,
                "eta_squared": eta,
                "note": "; ".join(filter(None, notes)),
            }
        )
    return rows


def _lacking(interval: Interval, differences: pd.Series, spread: float) -> str:
    """Say what cannot be estimated of these paired differences, or what their interval notes."""
    if not len(differences):
        return "not estimable: no scored administrations differ in this factor alone"
    note = interval.note if interval.n > 1 else "not estimable: the interval, from one cluster"
    without = "" if spread > 1e-9 else "not estimable: dz, without spread between pairs"
    return "; ".join(filter(None, (note, without)))


def _without_angle(pairs: int, scored: int) -> list[str]:
    return [f"{pairs - scored} of {pairs} pairs lack an angle"] if scored < pairs else []


def _eta_squared(blocks: np.ndarray) -> float:
    """Return the share of the sum of squares between levels; blocks: (sets, levels), no NaN."""
    total = float(((blocks - blocks.mean()) ** 2).sum()) if blocks.size else 0.0
    if total <= 1e-9:
        return np.nan
    return float(len(blocks) * ((blocks.mean(axis=0) - blocks.mean()) ** 2).sum() / total)
