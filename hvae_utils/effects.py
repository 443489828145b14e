"""Factor effects: what each factor of a study changes in value rationality, and how surely.

A factorial study asks whether a result depends on how it was asked. Every effect is a paired
difference between administrations that differ in one factor only, so an unbalanced study gives
fewer pairs and never a biased comparison. This module must never turn too few clusters into an
interval, nor clusters that agree into one of no width.

Public names: FACTORS, REFERENCES, factor_effects.
"""

import numpy as np
import pandas as pd

from hvae_utils import chance, values
from hvae_utils.errors import UserError
from hvae_utils.intervals import covering_interval

FACTORS = ("induction", "placement", "goal_prompt", "protocol", "wording", "order", "labels")
REFERENCES = {  # the level others are compared with; else the first one that appears
    "induction": "self_description",
    "placement": "dialogue",
    "goal_prompt": False,
    "protocol": "independent",
    "order": "fixed",
    "labels": "A-I",
}
ALL = "all values"
_FULL = 60.0  # the rim of the published chart, from which the scale is inferred
_ONE = ("model", "value", *FACTORS, "repeat")  # what makes an administration the only one
_COLUMNS = (
    *("model", "scope", "factor", "level", "reference", "pairs", "clusters"),
    *("difference", "low", "high", "dz", "eta_squared", "note"),
)


def factor_effects(scores: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the main effect of every level of every varied factor, one row each.

    scores: one row an administration: model, value, the FACTORS, repeat, angle (degrees, NaN when
        unscored). Values without a target (`none`) are left out. Per administration the value
        rationality is 60 - |angle - target|, scale inferred from the published chart.
    Columns: model; scope ("all values", or one value); factor; level and reference (text: the
    level of REFERENCES, or the first that appears); pairs (administrations that agree in all but
    the factor and are both scored); clusters (wording x repeat, the units drawn at random; for the
    factor wording repeat x value); difference (degrees of value rationality, level minus
    reference: pairs averaged within clusters, then clusters); low, high
    (`intervals.covering_interval` over clusters); dz (mean over SD of the paired differences);
    eta_squared (sum of squares of the factor's level means over total sum of squares, over the
    sets of administrations scored at every level, so that the design is balanced; the same on all
    rows of a factor); note ("not
    estimable: ..." beside a NaN, and what was left out).
    A difference lies within plus or minus the greatest distance that anybody can be from the target
    (`chance.greatest_distance`; of all values in the scope the largest): the range that the
    interval is held in. Intervals are one by one, without a correction for their number.
    Order: models as they appear, all values before the single ones, factors as in FACTORS.
    Errors: UserError for a missing column, an unknown value, an administration found twice and a
    level outside 0.5 to 1.
    """
    rated = _rated(scores)
    rows = []
    for model in rated["model"].unique():
        own = rated[rated["model"] == model]
        told = [name for name in values.names() if name in set(own["value"])]
        for scope in [ALL, *told]:
            table = own if scope == ALL else own[own["value"] == scope]
            for factor in FACTORS:
                head = {"model": model, "scope": scope, "factor": factor}
                rows += [
                    head | row for row in _of_factor(table, factor, _levels(own, factor), level)
                ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _rated(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the administrations that have a target, with their value rationality `vr`."""
    for column in (*_ONE, "angle"):
        if column not in scores:
            raise UserError(f"scores: the column '{column}' is missing")
    twice = scores.duplicated([*_ONE])
    if twice.any():
        found = scores.loc[twice, [*_ONE]].iloc[0].to_dict()
        raise UserError(f"scores: two administrations with the same factors, {found}")
    targets = {name: values.get(name).target for name in scores["value"].unique()}
    target = scores["value"].map(targets).astype(float)
    vr = _FULL - (scores["angle"].astype(float) - target).abs()
    return scores[[*_ONE]].assign(vr=vr)[target.notna()]


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
    matched = [name for name in _ONE if name not in (factor, "model")]
    unscored = table["vr"].fillna(np.inf)  # asked, and therefore no NaN, which says: not asked
    wide = table.assign(vr=unscored).pivot(index=matched, columns=factor, values="vr")
    wide = wide.reindex(columns=levels)
    asked, wide = wide.notna(), wide.where(wide != np.inf)
    eta = _eta_squared(wide.dropna().to_numpy())
    told = table["value"].unique()
    reach = max((chance.greatest_distance(values.get(name).target) for name in told), default=0.0)
    clusters = ["repeat", "value"] if factor == "wording" else ["wording", "repeat"]
    rows = []
    for k, other in enumerate(levels[1:], start=1):  # by position: a level may be False or True
        partners = int(asked.iloc[:, [0, k]].all(axis=1).sum())
        differences = (wide.iloc[:, k] - wide.iloc[:, 0]).dropna()
        row = {"level": str(other), "reference": str(levels[0])}
        row |= _difference(differences, clusters, reach, confidence)
        notes = [row["note"], *_left_out(asked.iloc[:, k], len(differences), partners)]
        if np.isnan(eta):
            notes.append("not estimable: eta_squared, nothing scored at every level or no spread")
        rows.append(row | {"eta_squared": eta, "note": "; ".join(filter(None, notes))})
    return rows


def _difference(
    differences: pd.Series, clusters: list[str], reach: float, confidence: float
) -> dict[str, object]:
    """Return pairs, clusters, difference, interval, dz and a note, of paired differences.

    reach: degrees; no difference can be further from 0.
    """
    means = differences.groupby(level=clusters).mean()
    interval = covering_interval(means, level=confidence, low=-reach, high=reach)
    spread = differences.std(ddof=1)
    note = f"only {len(means)} clusters: wide" if interval.note else ""
    if not len(differences):
        note = "not estimable: no scored administrations differ in this factor alone"
    elif len(means) < 2:
        note = "not estimable: the interval, from one cluster"
    if len(differences) and not spread > 1e-9:
        note += f"{'; ' if note else ''}not estimable: dz, without spread between pairs"
    return {
        "pairs": len(differences),
        "clusters": len(means),
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "dz": float(differences.mean() / spread) if spread > 1e-9 else np.nan,
        "note": note,
    }


def _left_out(asked: pd.Series, pairs: int, partners: int) -> list[str]:
    """Say how many pairs lack an angle, and how many administrations a partner."""
    notes, alone = [], int(asked.sum()) - partners
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
