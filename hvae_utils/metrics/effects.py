"""Factor effects: what each factor of a study changes in value rationality, and how surely.

A factorial study asks whether a result depends on how it was asked. Every effect is a paired
difference between administrations that differ in one factor only, so an unbalanced study gives
fewer pairs and never a biased comparison. This module must never turn too few clusters into an
interval, nor clusters that agree into one of no width.

Public names: REFERENCES, factor_effects.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.files import needed_columns
from hvae_utils.measure import factors, values
from hvae_utils.metrics import chance, rationality
from hvae_utils.metrics.intervals import covering_interval

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


def factor_effects(scores: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the main effect of every level of every varied factor, one row each.

    scores: one row an administration: the factors, goal_draw, angle (degrees, NaN when
        unscored). Values without a target (`none`) are left out. Per administration the value
        rationality is 60 - |angle - target|, scale inferred from the published chart.
    Columns: model; scope ("all values", or one value); factor; level and reference (text: the
    level of REFERENCES, or the first that appears); pairs (administrations that agree in all but
    the factor and are both scored); clusters (`factors.clusters`: wording x goal draw, the units
    drawn at random; one for the factor wording, which has no cluster to be tested on); difference
    (degrees of value rationality, level minus reference: pairs averaged within clusters, then
    clusters); low, high (`intervals.covering_interval` over clusters); dz (mean over SD of the
    paired differences); eta_squared (sum of squares of the factor's level means over total sum of
    squares, over the sets of administrations scored at every level, so that the design is
    balanced; the same on all rows of a factor); note ("not estimable: ..." beside a NaN, and what
    was left out).
    A difference lies within plus or minus the greatest distance that anybody can be from the target
    (`chance.greatest_distance`; of all values in the scope the largest): the range that the
    interval is held in. Intervals are one by one, without a correction for their number.
    Order: models as they appear, all values before the single ones, factors as in `factors`.
    Errors: UserError for a missing column, an unknown value, an administration found twice and a
    level outside 0.5 to 1.
    """
    needed_columns(scores, "scores", [*factors.FACTORS, "goal_draw", "angle"])
    factors.once(scores)
    rated = rationality.by_administration(scores)
    rows = []
    for model in rated["model"].unique():
        of_model = rated[rated["model"] == model]
        assigned = [name for name in values.names() if name in set(of_model["value"])]
        for scope in [ALL, *assigned]:
            table = of_model if scope == ALL else of_model[of_model["value"] == scope]
            for factor in (name for name in factors.FACTORS if name not in _FIXED):
                head = {"model": model, "scope": scope, "factor": factor}
                levels = _levels(of_model, factor)
                rows += [head | row for row in _of_factor(table, factor, levels, level)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _levels(table: pd.DataFrame, factor: str) -> list[object]:
    """Return the factor's levels, the reference first, the others as they appear."""
    found = list(table[factor].unique())
    first = REFERENCES.get(factor)
    return sorted(found, key=lambda found_level: found_level != first) if first in found else found


def _of_factor(
    table: pd.DataFrame, factor: str, levels: list[object], confidence: float
) -> list[dict[str, object]]:
    """Return the rows of one factor: every level but the first against the first."""
    if len(levels) < 2:
        return []
    matched = [name for name in factors.FACTORS if name != factor]
    wide = table.pivot(index=matched, columns=factor, values="vr")
    eta = _eta_squared(wide.dropna().to_numpy())
    targets = table["target"].unique()
    reach = max(map(chance.greatest_distance, map(float, targets)), default=0.0)
    rows = []
    for other in levels[1:]:
        pairs = factors.pairs(table, factor, levels[0], other, "vr")
        scored = pairs.dropna(subset=["vr_level", "vr_reference"])
        # Two wordings have no wording in common, so all their pairs are one cluster.
        clusters = [0] * len(scored) if factor == "wording" else factors.clusters(scored)
        row = {"level": str(other), "reference": str(levels[0])}
        row |= _difference(scored["vr_level"] - scored["vr_reference"], clusters, reach, confidence)
        asked = int((table[factor] == other).sum())
        notes = [row["note"], *_left_out(asked, len(scored), len(pairs))]
        if np.isnan(eta):
            notes.append("not estimable: eta_squared, nothing scored at every level or no spread")
        rows.append(row | {"eta_squared": eta, "note": "; ".join(filter(None, notes))})
    return rows


def _difference(
    differences: pd.Series, clusters: ArrayLike, reach: float, confidence: float
) -> dict[str, object]:
    """Return pairs, clusters, difference, interval, dz and a note, of paired differences.

    reach: degrees; no difference can be further from 0.
    """
    interval = covering_interval(differences, clusters, confidence, low=-reach, high=reach)
    spread = differences.std(ddof=1)
    note = interval.note
    if not len(differences):
        note = "not estimable: no scored administrations differ in this factor alone"
    elif interval.n < 2:
        note = "not estimable: the interval, from one cluster"
    if len(differences) and not spread > 1e-9:
        note += f"{'; ' if note else ''}not estimable: dz, without spread between pairs"
    return {
        "pairs": len(differences),
        "clusters": interval.n,
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "dz": float(differences.mean() / spread) if spread > 1e-9 else np.nan,
        "note": note,
    }


def _left_out(asked: int, pairs: int, partners: int) -> list[str]:
    """Say how many pairs lack an angle, and how many administrations a partner."""
    notes, alone = [], asked - partners
    if pairs < partners:
        notes.append(f"{partners - pairs} of {partners} pairs lack an angle")
    if alone:
        notes.append(f"{alone} of {alone + partners} administrations have no partner")
    return notes


def _eta_squared(blocks: np.ndarray) -> float:
    """Return the share of the sum of squares between levels; blocks: (sets, levels), no NaN."""
    total = float(((blocks - blocks.mean()) ** 2).sum()) if blocks.size else 0.0
    if total <= 1e-9:
        return np.nan
    return float(len(blocks) * ((blocks.mean(axis=0) - blocks.mean()) ** 2).sum() / total)
