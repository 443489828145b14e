"""Are two models different, alike within a margin, or is the question open?

>>> pair = compare([0.50, 0.52, 0.49, 0.55, 0.51, 0.53], [0.40, 0.45, 0.41, 0.44, 0.43, 0.47])
>>> round(pair.difference, 2), pair.p, pair.wordings
(0.08, 0.03125, 6)

Models are paired by wording: what a wording does to both cancels, and wordings are what a study
samples. The score is anything that a model has in a wording: `steerability.by_wording`, or the
chance-corrected value rationality. Null respondents, who hold no value,
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
from hvae_utils.metrics.intervals import LEVEL, t_interval

_EXACT = 16  # wordings; up to here every assignment of signs is enumerated
_DRAWS = 99_999  # random assignments of signs for more wordings
_SEED = 20230523  # of these draws: the same table gives the same p value
_SAME = 1e-9  # numbers this close, or this close relative to the largest, are equal
_COLUMNS = (
    *("model_a", "model_b", "wordings", "difference", "low", "high", "p", "p_adjusted"),
    *("margin", "p_within", "verdict", "note"),
)


@dataclass(frozen=True)
class Comparison:
    """Two models in the same wordings: difference = mean of a - b, in the units of the scores.

    low, high: 95%; p: two-sided; wordings: pairs used. NaN, and note says why, when not estimable.
    """

    difference: float
    low: float
    high: float
    p: float
    wordings: int
    note: str = ""


def compare(a: ArrayLike, b: ArrayLike) -> Comparison:
    """Return the comparison of scores a and b, one of each a wording, NaN left out.

    The interval is that of the t distribution with wordings - 1 degrees of freedom. If the models
    do not differ, a - b could as well have been b - a in each wording: p is the share of all
    2^wordings assignments of signs with a mean at least as far from 0 (Fisher 1935). Up to 16
    wordings are enumerated, for more 99,999 assignments are drawn from a fixed seed; 6 are the
    fewest that p can be 0.05 with. Errors: UserError for different lengths, or infinite scores.
    """
    a, b = np.asarray(a, float).ravel(), np.asarray(b, float).ravel()
    if len(a) != len(b) or np.isinf([*a, *b]).any():
        places = f"{len(a)} scores against {len(b)}"
        raise UserError(f"compare: {places}; both need the same wordings, finite or NaN")
    differences = (a - b)[~np.isnan(a - b)]
    wordings = len(differences)
    if not wordings:
        return Comparison(np.nan, np.nan, np.nan, np.nan, 0, "no wording with both scores")
    found = t_interval(differences)
    p = float(_adjusted(differences[None])[0])
    return Comparison(found.mean, found.low, found.high, p, wordings, found.note)


def compare_models(table: pd.DataFrame, margin: float | None = None) -> pd.DataFrame:
    """Return one row a pair of models: `compare`, corrected for the number of pairs.

    table: one row a model x wording; columns model, wording, score (NaN: none). margin: the
        smallest difference of interest, in units of the score; without it nothing is called alike.
    Columns: model_a, model_b (in order of appearance), wordings, difference (a - b), low, high
    (95%, for this pair alone), p, p_adjusted (step-down maximum of |t| over the pairs, whose signs
    flip together: Westfall & Young 1993, algorithm 4.1), margin, p_within (the larger p
    of two one-sided t tests of a difference beyond the margin, times the number of pairs), verdict,
    note. Verdicts: "alike within the margin", "a higher", "b higher", "not separated", and "too few
    wordings" where even complete agreement could not have passed.
    Errors: UserError for a missing column, a wording of a model found twice, a margin not above 0.
    """
    scores = _by_model(table, ("model", "wording", "score"))
    return _compared(scores, list(combinations(scores, 2)), margin)


def against_nulls(
    table: pd.DataFrame,
    nulls: Iterable[str] = ("random",),
    instrument: Instrument | None = None,
    margin: float | None = None,
) -> pd.DataFrame:
    """Return one row a model x null respondent: is the model better than one without a value?

    table: one row an administration; columns model, wording, value, score, the score being
        60 - |angle - target| (raw scale of value rationality); method where known.
    nulls: names of `rationality.null_respondents`: "random", "always A" and so on, lapses.
    A wording's score is the mean over its values, and the null's its exact expectation for the same
    values, or the score of its expected angle where the table holds those ("probabilities"). A
    value without a target is left out. Columns, correction (over all rows) and errors as in
    `compare_models`, the null being model_b; UserError for an unknown null.
    """
    needed_columns(table, "table", ("model", "wording", "value", "score"))
    exact = "method" in table and (table["method"] == "probabilities").all()
    expected = _null_scores(instrument)
    reading = "vr_of_angle" if exact else "vr"
    aimed = table[table["value"].isin(expected["value"]) & table["score"].notna()]
    scores, pairs, keys = {}, [], ["model", "wording"]
    for null in nulls:
        if null not in set(expected["respondent"]):
            raise unknown("null respondent", null, expected["respondent"].unique())
        vr = expected[expected["respondent"] == null].set_index("value")[reading]
        own = aimed.assign(null=aimed["value"].map(vr)).groupby(keys, sort=False)[["score", "null"]]
        for model, means in own.mean().groupby("model", sort=False):
            scores[model] = means["score"].droplevel("model")
            scores[f"null: {null}", model] = means["null"].droplevel("model")
            pairs.append((model, (f"null: {null}", model)))
    found = _compared(scores, pairs, margin)
    return found.assign(model_b=[name for name, _ in found["model_b"]])


@lru_cache
def _null_scores(instrument: Instrument | None) -> pd.DataFrame:
    return rationality.null_respondents(1, instrument)


def _by_model(table: pd.DataFrame, columns: tuple[str, ...]) -> dict[str, pd.Series]:
    """Return each model's scores by wording, models in order of appearance."""
    needed_columns(table, "table", columns)
    if (twice := table.duplicated(["model", "wording"])).any():
        row = table.loc[twice].iloc[0]
        raise UserError(f"table: the wording {row['wording']!r} of {row['model']} is there twice")
    by_model = table.groupby("model", sort=False)
    return {model: rows.set_index("wording")["score"] for model, rows in by_model}


def _compared(scores: dict, pairs: list[tuple], margin: float | None) -> pd.DataFrame:
    """Return the table of `compare_models` for these pairs of names."""
    if margin is not None and not 0 < margin < np.inf:
        raise UserError(f"margin: must be above 0, in units of the score, not {margin}")
    if not pairs:
        return pd.DataFrame(columns=_COLUMNS)
    differences = pd.DataFrame({pair: scores[pair[0]] - scores[pair[1]] for pair in pairs}).T
    differences = differences.to_numpy(float).reshape(len(pairs), -1)
    rows = []
    for (a, b), each, p in zip(pairs, differences, _adjusted(differences), strict=True):
        pair = compare(each, np.zeros(len(each)))
        within = np.nan if margin is None else min(1, _p_within(each, margin) * len(pairs))
        row = {"model_a": a, "model_b": b, **asdict(pair), "margin": margin or np.nan}
        row |= {"p": p_value(pair.p), "p_adjusted": p_value(p), "p_within": p_value(within)}
        rows.append(row | {"verdict": _verdict(pair, p, within)})
    return pd.DataFrame(rows, columns=_COLUMNS)


def _verdict(pair: Comparison, p: float, within: float) -> str:
    alpha = 1 - LEVEL + _SAME
    if within <= alpha:
        return "alike within the margin"
    if p <= alpha:
        return "a higher" if pair.difference > 0 else "b higher"
    return "too few wordings" if 2.0 ** (1 - pair.wordings) > alpha else "not separated"


def _p_within(differences: np.ndarray, margin: float) -> float:
    """Return the larger p of the two one-sided t tests, NaN with fewer than two differences."""
    from scipy.special import stdtr  # slow to import

    differences = differences[~np.isnan(differences)]
    if len(differences) < 2:
        return np.nan
    room = margin - abs(differences.mean())
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    if error <= _SAME:
        return float(room <= 0)
    return float(stdtr(len(differences) - 1, -room / error))


def _adjusted(differences: np.ndarray) -> np.ndarray:
    """Return p (pairs,): the share of assignments of signs whose greatest |t| is at least as far.

    differences: float array (pairs, wordings), NaN where a wording is not in both. A sign belongs
    to a wording, so pairs that share a model stay as dependent as they are. The greatest is taken
    over the pairs that are no further than this one. Of one pair alone it is the sign-flip p of the
    mean, of which t is a rising function.
    """
    known = ~np.isnan(differences)
    wordings = differences.shape[1]
    if wordings <= _EXACT:
        signs = 1 - 2 * (np.arange(1 << wordings)[:, None] >> np.arange(wordings) & 1)
    else:
        drawn = np.random.default_rng(_SEED).random((_DRAWS, wordings)) < 0.5
        signs = np.vstack([np.ones(wordings), 1 - 2 * drawn])
    values, counts = np.where(known, differences, 0), known.sum(axis=1)
    size = np.sqrt((values**2).sum(axis=1) * counts)  # the most |sum| can be
    share = np.abs(signs @ values.T) / np.where(size > _SAME, size, np.inf)
    t = np.sqrt(np.maximum(counts - 1, 1)) * share / np.sqrt(np.maximum(1 - share**2, _SAME))
    furthest = np.argsort(-t[0], kind="stable")
    greatest = np.maximum.accumulate(t[:, furthest[::-1]], axis=1)[:, ::-1]
    steps = (greatest >= t[0, furthest] * (1 - _SAME) - _SAME).mean(axis=0)
    p = np.empty(len(steps))
    p[furthest] = np.maximum.accumulate(steps)
    return np.where(counts > 0, p, np.nan)
