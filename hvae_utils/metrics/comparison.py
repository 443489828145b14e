"""Are two models different? Paired on the same cells, with "cannot be separated" as an answer.

A cell is one value in one condition, scored for both models. The p value is that of an exact
sign-flip test where the cells are few, of random sign flips with a fixed seed where they are many;
several pairs are corrected by Holm's method. Null respondents, who hold no value, take part by
their exact expected scores. This module must never compare unpaired cells.

Public names: Comparison, compare, holm, compare_models, against_nulls.
"""

from collections.abc import Iterable
from dataclasses import dataclass
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
from hvae_utils.metrics.intervals import check_level

_EXACT = 16  # cells; up to here every assignment of signs is enumerated
_DRAWS = 99_999  # random assignments of signs for more cells
_ROWS = 1 << 11  # assignments treated at once, to stay in the processor's cache
_SEED = 20230523  # of these draws: the same table gives the same p value
_SAME = 1e-9  # numbers this close, or this close relative to the largest, are equal
_PAIR_COLUMNS = ("model_a", "model_b", "cells", "difference", "low", "high", "p", "p_holm")


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


def compare(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Comparison:
    """Return the paired comparison of scores a and b, one of each a cell, by flipping signs.

    If the models do not differ, a - b could as well have been b - a in each cell, on its own: p is
    the share of all 2^cells assignments of signs with a mean difference at least as far from 0
    (Fisher 1935). The interval holds the differences that this test does not reject: its limits
    are means over subsets of the cells (Hartigan 1969, typical values), so it excludes 0 exactly
    when p is at most 1 - level. No normal distribution is assumed, only symmetry and cells that
    vary independently. Up to 16 cells are enumerated, for more 99,999 assignments are drawn from a
    fixed seed. With fewer than 6 cells, which can never reach 0.05, or where all differences
    agree, the limits are NaN. Cells with a NaN are left out.
    Errors: UserError for scores of different lengths, infinite ones, or a level as above.
    """
    check_level(level)
    a, b = np.asarray(a, float).ravel(), np.asarray(b, float).ravel()
    if len(a) != len(b):
        raise UserError(f"compare: {len(a)} scores against {len(b)}; both need the same cells")
    if np.isinf(a).any() or np.isinf(b).any():
        raise UserError("compare: scores must be finite, or NaN where there is none")
    differences = (a - b)[~np.isnan(a - b)]
    cells = len(differences)
    if not cells:
        return Comparison(np.nan, np.nan, np.nan, np.nan, 0, "no cell with both scores")
    mean = float(differences.mean())
    means, exact = _subset_means(differences)
    slack = _SAME * max(np.abs(differences).max(), 1)
    beyond = np.count_nonzero(means <= slack if mean > 0 else means >= -slack) + 1
    p = float(min(1, 2 * beyond / (len(means) + 1)))
    rank = int(np.floor((1 - level) / 2 * (len(means) + 1) + _SAME))
    if np.ptp(differences) <= slack:
        note = f"not estimable: the interval, as the differences in all {cells} cells agree"
    elif rank < 1:
        note = f"not estimable: the interval, as {cells} cells are too few at level {level:g}"
    else:
        low, high = (float(means[k]) for k in (rank - 1, len(means) - rank))
        note = "" if exact else f"{_DRAWS} random assignments of signs, fixed seed"
        return Comparison(mean, low, high, p, cells, note)
    return Comparison(mean, np.nan, np.nan, p, cells, note)


def holm(pvalues: ArrayLike) -> np.ndarray:
    """Return Holm's adjusted p values (Holm 1979), in the order given; NaN stays and counts not.

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


def compare_models(table: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return one row a pair of models: `compare` on their common cells, with Holm over the pairs.

    table: one row a model x cell; columns model, cell (any identifier), score (NaN: none). Finer
    cells (value x goal prompt x wording) separate more than coarse ones: with c cells the least p
    is 2 / 2^c, times the number of pairs.
    Columns: model_a, model_b (in order of appearance), cells, difference (a - b, score units),
    low, high (at `level`, for this pair alone), p, p_holm, verdict: "a higher", "b higher",
    "cannot be separated", or "too few cells" where even complete agreement could not have passed;
    note (why there is no interval, or how p was found).
    Errors: UserError for a missing column or a cell of a model found twice; as `compare`.
    """
    scores = _by_model(table, ("model", "cell", "score"))
    return _compared(scores, list(combinations(scores, 2)), level)


def against_nulls(
    table: pd.DataFrame,
    nulls: Iterable[str] = ("random",),
    level: float = 0.95,
    instrument: Instrument | None = None,
) -> pd.DataFrame:
    """Return one row a model x null respondent: is the model any better than who holds no value?

    table: as for `compare_models`, with the column value; the score is the mean, over the
        administrations of the cell, of 60 - |angle - target| (raw scale of value rationality).
    nulls: names of `rationality.null_respondents`: "random", "always A" to "always I", lapses.
    The null's score in a cell is its exact expectation, so all the chance is the model's; it does
    not depend on the number of administrations, as the distances are averaged and not the angles.
    A value without a target has no null and is left out. Columns, Holm (over all rows) and errors
    as in `compare_models`, the null being model_b; UserError for an unknown null.
    """
    scores = _by_model(table, ("model", "cell", "score", "value"))
    expected = _null_scores(instrument)
    known = expected["respondent"].unique()
    value_of = table.drop_duplicates("cell").set_index("cell")["value"]
    pairs = []
    for null in nulls:
        if null not in known:
            raise unknown("null respondent", null, known)
        vr = expected[expected["respondent"] == null].set_index("value")["vr"]
        scores[f"null: {null}"] = value_of.map(vr).dropna()
        pairs += [(model, f"null: {null}") for model in pd.unique(table["model"])]
    return _compared(scores, pairs, level)


@lru_cache
def _null_scores(instrument: Instrument | None) -> pd.DataFrame:
    return rationality.null_respondents(1, instrument=instrument)


def _by_model(table: pd.DataFrame, columns: tuple[str, ...]) -> dict[str, pd.Series]:
    """Return each model's scores by cell, models in order of appearance."""
    needed_columns(table, "table", columns)
    if (twice := table.duplicated(["model", "cell"])).any():
        found = table.loc[twice].iloc[0]
        raise UserError(f"table: the cell {found['cell']!r} of {found['model']} is there twice")
    by_model = table.groupby("model", sort=False)
    return {model: rows.set_index("cell")["score"] for model, rows in by_model}


def _compared(
    scores: dict[str, pd.Series], pairs: list[tuple[str, str]], level: float
) -> pd.DataFrame:
    found = [compare(*scores[a].align(scores[b], join="inner"), level) for a, b in pairs]
    adjusted = holm([pair.p for pair in found])
    rows = [
        [*names, pair.cells, pair.difference, pair.low, pair.high, p_value(pair.p), p_value(p_holm)]
        for names, pair, p_holm in zip(pairs, found, adjusted, strict=True)
    ]
    compared = pd.DataFrame(rows, columns=_PAIR_COLUMNS)
    verdicts = [
        _verdict(pair, p, len(pairs), 1 - level) for pair, p in zip(found, adjusted, strict=True)
    ]
    return compared.assign(
        verdict=pd.Series(verdicts, dtype=object),
        note=pd.Series([pair.note for pair in found], dtype=object),
    )


def _verdict(found: Comparison, p_holm: float, pairs: int, alpha: float) -> str:
    if p_holm <= alpha + _SAME:
        return "a higher" if found.difference > 0 else "b higher"
    least = max(2.0 ** (1 - found.cells), 2 / (_DRAWS + 1)) * pairs
    return "too few cells" if least > alpha + _SAME else "cannot be separated"


def _subset_means(differences: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the sorted means over non-empty subsets of the cells, and whether over all of them."""
    cells = len(differences)
    if exact := cells <= _EXACT:
        sums, counts = np.zeros(1), np.zeros(1)
        for difference in differences:
            sums = np.concatenate([sums, sums + difference])
            counts = np.concatenate([counts, counts + 1])
        return np.sort(sums[1:] / counts[1:]), exact
    rng = np.random.default_rng(_SEED)
    means = []
    for size in np.diff([*range(0, _DRAWS, _ROWS), _DRAWS]):
        chosen = rng.random((size, cells)) < 0.5
        chosen[~chosen.any(axis=1)] = True  # of 2^17 or more subsets one is empty
        means.append(chosen @ differences / chosen.sum(axis=1))
    return np.sort(np.concatenate(means)), exact
