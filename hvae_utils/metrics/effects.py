"""Factor effects: what each factor of a study changes in value rationality, and how surely.

Every effect is a paired difference between administrations that differ in one factor only, so an
unbalanced study gives fewer pairs and no biased comparison. Pairs are averaged within wordings, the
clusters, and their means have a t interval. Wordings themselves are what a study samples: between
two of them there is a difference and no test.
"""

import numpy as np
import pandas as pd

from hvae_utils.files import needed_columns
from hvae_utils.measure import factors, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import rationality
from hvae_utils.metrics.intervals import cluster_means, t_interval

ALL = "all values"
_FIXED = ("model", "value", "repeat")  # factors that are no choice of how to ask
_COLUMNS = (
    *("model", "scope", "factor", "level", "reference", "pairs", "clusters"),
    *("difference", "low", "high", "dz", "eta_squared", "note"),
)


def factor_effects(scores: pd.DataFrame, instrument: Instrument | None = None) -> pd.DataFrame:
    """Return the main effect of every level of every varied factor, one row each.

    scores: one row an administration: the factors, angle (degrees, NaN when unscored). Values
        without a target (`none`) are left out. Per administration the value rationality is
        60 - |angle - target|, scale inferred from the published chart. Where each wording has an
        order of its own (latin), neither can be told from the other and both are left out.
    Columns: model; scope ("all values", or one value); factor; level and reference (text: the
    level of `factors.REFERENCES`, or the first that appears); pairs (administrations that agree in
    all but the factor and are both scored); clusters (wordings; one for the factor wording);
    difference (degrees of value rationality, level minus reference); low, high
    (`intervals.t_interval` over wordings, 95%, each for itself); dz (mean over SD of the
    paired differences); eta_squared (sum of squares of the factor's level means over total sum of
    squares, over the sets of administrations scored at every level; the same on all rows of a
    factor); note (why something is NaN, and what was left out).
    Order: models as they appear, all values before the single ones, factors as in `factors`.
    Errors: UserError for a missing column, an unknown value and an administration found twice.
    """
    needed_columns(scores, "scores", [*factors.FACTORS, "angle"])
    factors.once(scores)
    rated = rationality.by_administration(scores, instrument)
    rows = []
    for model, of_model in rated.groupby("model", sort=False):
        latin = (of_model.groupby("wording")["order"].nunique() == 1).all()
        confounded = ("wording", "order") if latin and of_model["order"].nunique() > 1 else ()
        assigned = [name for name in values.names() if name in set(of_model["value"])]
        for scope in [ALL, *assigned]:
            table = of_model if scope == ALL else of_model[of_model["value"] == scope]
            for factor in (name for name in factors.FACTORS if name not in (*_FIXED, *confounded)):
                head = {"model": model, "scope": scope, "factor": factor}
                first = factors.REFERENCES.get(factor)  # of others the one that appears first
                levels = sorted(of_model[factor].unique(), key=lambda level: level != first)
                rows += [head | row for row in _of_factor(table, factor, levels)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _of_factor(table: pd.DataFrame, factor: str, levels: list[object]) -> list[dict[str, object]]:
    """Return the rows of one factor: every level but the first against the first."""
    if len(levels) < 2:
        return []
    matched = [name for name in factors.FACTORS if name != factor]
    wide = table.assign(asked=1.0).pivot(index=matched, columns=factor, values=["vr", "asked"])
    vr, asked = (wide[name].reindex(columns=levels).to_numpy(float) for name in ("vr", "asked"))
    eta = _eta_squared(vr[~np.isnan(vr).any(axis=1)])
    rows = []
    for place, level in enumerate(levels[1:], start=1):
        row = _paired(factor, vr[:, [0, place]], asked[:, [0, place]] == 1, wide.index)
        notes = [row["note"]]
        if row["pairs"] and np.isnan(row["dz"]):
            notes.append("not estimable: dz, without spread between pairs")
        if np.isnan(eta):
            notes.append("not estimable: eta_squared, nothing scored at every level or no spread")
        row |= {"level": str(level), "reference": str(levels[0]), "eta_squared": eta}
        rows.append(row | {"note": "; ".join(filter(None, notes))})
    return rows


def _paired(
    factor: str, vr: np.ndarray, asked: np.ndarray, matched: pd.MultiIndex
) -> dict[str, object]:
    """Return what the level changes against the reference, over pairs scored on both sides.

    vr: float array (sets of administrations that agree in all else, reference and level), NaN
    without an angle; asked: bool, likewise; matched: the factors of each set.
    """
    pairs, scored = int(asked.all(axis=1).sum()), ~np.isnan(vr).any(axis=1)
    differences = pd.Series((vr[:, 1] - vr[:, 0])[scored])
    found = len(differences)
    if factor == "wording":  # two wordings have none in common, so all their pairs are one cluster
        interval = t_interval([differences.mean()])
        note = "wordings are sampled: no interval between two of them"
    else:
        wordings = matched.get_level_values("wording")[scored]
        interval = t_interval(cluster_means(differences, wordings))
        note = interval.note
    notes = [note if found else f"no scored administrations differ in {factor} alone"]
    if found < pairs:
        notes.append(f"{pairs - found} of {pairs} pairs lack an angle")
    if alone := int(asked[:, 1].sum()) - pairs:
        notes.append(f"{alone} of {alone + pairs} administrations have no partner")
    spread = differences.std(ddof=1)
    return {
        "pairs": found,
        "clusters": interval.n,
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "dz": float(differences.mean() / spread) if spread > 1e-9 else np.nan,
        "note": "; ".join(filter(None, notes)),
    }


def _eta_squared(blocks: np.ndarray) -> float:
    """Return the share of the sum of squares between levels; blocks: (sets, levels), no NaN."""
    total = float(((blocks - blocks.mean()) ** 2).sum()) if blocks.size else 0.0
    if total <= 1e-9:
        return np.nan
    return float(len(blocks) * ((blocks.mean(axis=0) - blocks.mean()) ** 2).sum() / total)
