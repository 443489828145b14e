"""Are two models different? Paired on the same cells, with "cannot be separated" as an answer.

>>> pair = compare([50, 52, 49, 55, 51, 53], [40, 45, 41, 44, 43, 47])
>>> round(pair.difference, 1), pair.p, pair.cells
(8.3, 0.03125, 6)

A cell is one value in one condition, scored for both models. Null respondents, who hold no value,
take part by their exact expected scores.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError, unknown
from hvae_utils.files import needed_columns
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import rationality
from hvae_utils.metrics.chance import p_value
from hvae_utils.metrics.intervals import LEVEL

_EXACT = 16  # cells; up to here every assignment of signs is enumerated
_DRAWS = 99_999  # random assignments of signs for more cells
_ROWS = 1 << 11  # assignments treated at once, to stay in the processor's cache
_SEED = 20230523  # of these draws: the same table gives the same p value
_SAME = 1e-9  # numbers this close, or this close relative to the largest, are equal


@dataclass(frozen=True)
class Comparison:
    """Two models on the same cells: difference = mean of a - b, in the units of the scores.

    p: two-sided; cells: pairs used; low, high and p are NaN, and note says why, when not estimable.
    """

    difference: float
    low: float
    high: float
    p: float
    cells: int
    note: str = ""


def compare(a: ArrayLike, b: ArrayLike) -> Comparison:
    """Return the paired comparison of scores a and b, one of each a cell, by flipping signs.

    If the models do not differ, a - b could as well have been b - a in each cell: p is the share of
    all 2^cells assignments of signs with a mean difference at least as far from 0 (Fisher 1935).
    The 95% interval holds the differences that the test does not reject: the limits are means over
    subsets of the cells (Hartigan 1969, typical values). Only symmetry and cells that vary
    independently are assumed. Up to 16 cells are enumerated, for more 99,999 assignments are drawn
    from a fixed seed. With fewer than 6 cells, or where all differences agree, the limits are NaN.
    Cells with a NaN are left out. Errors: UserError for different lengths, or infinite scores.
    """
    a, b = np.asarray(a, float).ravel(), np.asarray(b, float).ravel()
    if len(a) != len(b) or np.isinf([*a, *b]).any():
        cells = f"{len(a)} scores against {len(b)}"
        raise UserError(f"compare: {cells}; both need the same cells, finite or NaN")
    differences = (a - b)[~np.isnan(a - b)]
    cells = len(differences)
    if not cells:
        return Comparison(np.nan, np.nan, np.nan, np.nan, 0, "no cell with both scores")
    mean, means = float(differences.mean()), _subset_means(differences)
    slack = _SAME * max(np.abs(differences).max(), 1)
    beyond = np.count_nonzero(means <= slack if mean > 0 else means >= -slack) + 1
    p = float(min(1, 2 * beyond / (len(means) + 1)))
    rank = int(np.floor((1 - LEVEL) / 2 * (len(means) + 1) + _SAME))
    low = high = np.nan
    if np.ptp(differences) <= slack:
        note = f"not estimable: the interval, as the differences in all {cells} cells agree"
    elif rank < 1:
        note = f"not estimable: the interval, as {cells} cells are too few at level {LEVEL}"
    else:
        low, high = float(means[rank - 1]), float(means[len(means) - rank])
        note = "" if cells <= _EXACT else f"{_DRAWS} random assignments of signs, fixed seed"
    return Comparison(mean, low, high, p, cells, note)


def compare_models(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a pair of models: `compare` on their common cells, with Holm over the pairs.

    table: one row a model x cell; columns model, cell (any identifier), score (NaN: none). With c
        cells the least p is 2 / 2^c, times the number of pairs, so finer cells separate more.
    Columns: model_a, model_b (in order of appearance), cells, difference (a - b, score units),
    low, high (95%, for this pair alone), p, p_holm, verdict: "a higher", "b higher",
    "cannot be separated", or "too few cells" where even complete agreement could not have passed;
    note (why there is no interval, or how p was found).
    Errors: UserError for a missing column or a cell of a model found twice; as `compare`.
    """
    scores = _by_model(table, ("model", "cell", "score"))
    return _compared(scores, list(combinations(scores, 2)))


def against_nulls(
    table: pd.DataFrame,
    nulls: Iterable[str] = ("random",),
    instrument: Instrument | None = None,
) -> pd.DataFrame:
    """Return one row a model x null respondent: is the model better than one without a value?

    table: as for `compare_models`, with the column value; the score is the mean, over the
        administrations of the cell, of 60 - |angle - target| (raw scale of value rationality).
    nulls: names of `rationality.null_respondents`: "random", "always A" and so on, lapses.
    The null's score in a cell is its exact expectation. A value without a target is left out.
    Columns, Holm (over all rows) and errors as in `compare_models`, the null being model_b;
    UserError for an unknown null.
    """
    scores = _by_model(table, ("model", "cell", "score", "value"))
    models, expected = list(scores), _null_scores(instrument)
    value_of = table.drop_duplicates("cell").set_index("cell")["value"]
    pairs = []
    for null in nulls:
        if null not in set(expected["respondent"]):
            raise unknown("null respondent", null, expected["respondent"].unique())
        vr = expected[expected["respondent"] == null].set_index("value")["vr"]
        scores[f"null: {null}"] = value_of.map(vr).dropna()
        pairs += [(model, f"null: {null}") for model in models]
    return _compared(scores, pairs)


@lru_cache
def _null_scores(instrument: Instrument | None) -> pd.DataFrame:
    return rationality.null_respondents(1, instrument)


def holm(pvalues: ArrayLike) -> np.ndarray:
    """Return Holm's adjusted p values (Holm 1979), in the order passed; NaN stays and counts not.

    >>> holm([0.01, 0.04]).tolist()
    [0.02, 0.04]

    Errors: UserError for a p value outside 0 to 1.
    """
    pvalues = np.asarray(pvalues, float).ravel()
    if ((pvalues < 0) | (pvalues > 1)).any():
        raise UserError("holm: a p value must lie between 0 and 1")
    adjusted = np.full(len(pvalues), np.nan)
    order = np.argsort(pvalues, kind="stable")[: np.count_nonzero(~np.isnan(pvalues))]
    steps = pvalues[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _by_model(table: pd.DataFrame, columns: tuple[str, ...]) -> dict[str, pd.Series]:
    """Return each model's scores by cell, models in order of appearance."""
    needed_columns(table, "table", columns)
    if (twice := table.duplicated(["model", "cell"])).any():
        row = table.loc[twice].iloc[0]
        raise UserError(f"table: the cell {row['cell']!r} of {row['model']} is there twice")
    by_model = table.groupby("model", sort=False)
    return {model: rows.set_index("cell")["score"] for model, rows in by_model}


def _compared(scores: dict[str, pd.Series], pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Return the table of `compare_models` for these pairs of names."""
    compared = [compare(*scores[a].align(scores[b], join="inner")) for a, b in pairs]
    adjusted = holm([pair.p for pair in compared])
    rows = [
        {"model_a": a, "model_b": b, **asdict(pair)}
        | {"p": p_value(pair.p), "p_holm": p_value(p_holm)}
        | {"verdict": _verdict(pair, p_holm, len(pairs))}
        for (a, b), pair, p_holm in zip(pairs, compared, adjusted, strict=True)
    ]
    columns = ["model_a", "model_b", "cells", "difference", "low", "high", "p", "p_holm"]
    return pd.DataFrame(rows, columns=[*columns, "verdict", "note"])


def _verdict(pair: Comparison, p_holm: float, pairs: int) -> str:
    alpha = 1 - LEVEL
    if p_holm <= alpha + _SAME:
        return "a higher" if pair.difference > 0 else "b higher"
    least = max(2.0 ** (1 - pair.cells), 2 / (_DRAWS + 1)) * pairs
    return "too few cells" if least > alpha + _SAME else "cannot be separated"


def _subset_means(differences: np.ndarray) -> np.ndarray:
    """Return the sorted means over non-empty subsets of the cells: all of them, or as drawn."""
    cells = len(differences)
    if cells <= _EXACT:
        sums, counts = np.zeros(1), np.zeros(1)
        for difference in differences:
            sums = np.concatenate([sums, sums + difference])
            counts = np.concatenate([counts, counts + 1])
        return np.sort(sums[1:] / counts[1:])
    rng, means = np.random.default_rng(_SEED), []
    for size in np.diff([*range(0, _DRAWS, _ROWS), _DRAWS]):
        chosen = rng.random((size, cells)) < 0.5
        chosen[~chosen.any(axis=1)] = True  # of 2^17 or more subsets one is empty
        means.append(chosen @ differences / chosen.sum(axis=1))
    return np.sort(np.concatenate(means))
