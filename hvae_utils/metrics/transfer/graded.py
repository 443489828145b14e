"""Graded weights: is a coin of the other person worth to a respondent what it was told?

A respondent is told how many own coins one of the other person's is worth (`values.weighted`), and
the weight it acts on is recovered from its answers. Own coins + w x the other's points in the
direction arctan w of the plane of payoffs, in degrees: 0 counts own coins alone, 45 both alike, 90
the other's alone. Between two directions at which the best choice of an item switches, the
instrument cannot tell weights apart: a step, or plateau.

Public names: resolution (what an instrument can tell apart), recovered (the weights acted on),
calibration (how these follow what was told).
"""

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.files import needed_columns
from hvae_utils.measure import instruments, scoring, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics.intervals import t_interval

RANGE = (-45.0, 90.0)  # degrees; the weights from -1 to only the other
LEAST_NATS = 1e-3  # an item, gained on uniform answers; with less no weight shows
STILL = 0.1  # a rise below this share of the rise told is none: dead zone
_CIRCLE = (-157.5, 202.5)  # degrees; cut open opposite the middle of RANGE
_SAME = 1e-9
# The grid of the fit: log precision, per range of the amounts, and log odds of a lapse.
_GRID = ((1.0, 2.0, 3.0, 4.0, 5.0, 7.0), (-9.0, -3.0, -1.5, 0.0))
_SHARPEST = 9.0  # log precision; beyond it nothing changes
_PLAYED = ("condition_id", "model", "value", "wording", "instrument", "item", "method", "option")
_UNMOVED = "{} of {} administrations show no weight and count as the middle of those told"


def resolution(*of: Instrument) -> pd.DataFrame:
    """Return the steps of these instruments together, one row each, from the least weight on.

    Within a step all best choices are the same, so weights there cannot be told apart. Columns:
    low, high (weights, -1 to inf), low_degrees, high_degrees.

    >>> steps = resolution(instruments.load("svo-slider"))
    >>> len(steps), steps[["low", "high"]].round(2).iloc[4].tolist()
    (17, [0.0, 0.36])
    """
    cuts = _switches([instrument.payoffs for instrument in of], *RANGE)
    low, high = cuts[:-1], cuts[1:]
    ends = {"low": _weight(low), "high": _weight(high)}
    return pd.DataFrame({**ends, "low_degrees": low, "high_degrees": high})


def recovered(played: pd.DataFrame) -> pd.DataFrame:
    """Return the weight acted on, one row a model x told weight x wording.

    played: one row an item presentation, as `administer.put_items` with the factors of its
        condition; only graded weights are read, and of a column `part` only "weights".
    The weight is the most likely one, fitted to the probability tables: with utility u in its
    direction, a share of lapses is uniform, and the rest proportional to exp(precision u)
    (multinomial logit, McFadden 1974; with lapses, Wichmann & Hill 2001: without them a few random
    answers turn the direction). Where best choices and lapses are all there is, every weight of a
    step is as likely: it gets the middle.
    Columns: model, told (weight), told_angle (degrees), wording, weight, angle (degrees, -157.5 to
    202.5), low, high (degrees, the step the angle lies in), note (why something is NaN).
    Errors: UserError for missing columns, a table without graded weights, values that are none.
    """
    needed_columns(played, "played", _PLAYED)
    if "part" in played:
        played = played[played["part"] == "weights"]
    rows = []
    for name, of_instrument in played.groupby("instrument", sort=False, observed=True):
        instrument = instruments.load(name)
        asked = of_instrument.drop_duplicates("condition_id").reset_index(drop=True)
        tables = scoring.option_tables(of_instrument, asked["condition_id"], instrument)
        keys = ["model", "value", "wording"]
        for (model, value, wording), group in asked.groupby(keys, sort=False, observed=True):
            told = _told(value)
            row = {"model": model, "told": told, "told_angle": _degrees(told), "wording": wording}
            rows.append(row | _acted_on(tables[group.index], instrument.payoffs))
    if not rows:
        raise UserError("played: no graded weight was told; set weights, as in 0,0.5,1")
    return pd.DataFrame(rows)


def calibration(recovered: pd.DataFrame) -> pd.DataFrame:
    """Return how the weights acted on follow the weights told, one row a model.

    recovered: as from `recovered`. Everything is in degrees, so that only the other is 90.
    Columns: slope (of the angle recovered on the angle told, by least squares in each wording, the
    mean of the wordings; 1 is exact, 0 ignores what is told) with low, high (95%, t over
    wordings), intercept (degrees recovered where 0 is told, of the same lines), dead_zone (degrees
    told: the longest stretch in which the angle rises by less than a tenth of what is told),
    overshoot (degrees, mean excess beyond the angle told, away from 0; below 0 falls short),
    asymmetry (slope over the weights from 0 up minus slope over those from 0 down), monotone
    (share of neighbouring weights told of which the larger is acted on as the larger), wordings,
    note. Without a weight in any answer all but slope, dead zone and monotone are NaN.
    Errors: UserError for missing columns.
    """
    needed_columns(recovered, "recovered", ("model", "told_angle", "wording", "angle"))
    rows = [
        {"model": model} | _follows(of_model.pivot(columns="told_angle", index="wording"))
        for model, of_model in recovered[["model", "told_angle", "wording", "angle"]].groupby(
            "model", sort=False
        )
    ]
    return pd.DataFrame(rows)


# ---- steps --------------------------------------------------------------------------------------


def _told(value: str) -> float:
    """Return the weight of a graded weight's name."""
    weight = values.get(value).weight
    if weight is None:
        raise UserError(f"played: '{value}' is no graded weight, such as 'weight 0.25'")
    return weight


def _degrees(weight: float) -> float:
    """Return the direction of a weight, degrees."""
    return float(np.degrees(np.arctan(weight)))


def _weight(degrees: np.ndarray | float) -> np.ndarray:
    """Return the weight of directions in degrees: inf at 90, NaN where own coins count against."""
    degrees = np.asarray(degrees, float)
    inside = np.abs(degrees) < 90 - _SAME
    at_end = np.where(np.abs(degrees - 90) <= _SAME, np.inf, np.nan)
    return np.where(inside, np.tan(np.radians(np.where(inside, degrees, 0))), at_end)


def _directions(degrees: np.ndarray) -> np.ndarray:
    """Return the coefficients (2, directions) of self and other."""
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def _switches(tables: list[np.ndarray], low: float, high: float) -> np.ndarray:
    """Return the directions at which a best choice changes, and the two ends; degrees, rising.

    tables: payoffs (items, options, 2). Two options are level at right angles to their difference.
    """
    level = []
    for payoffs in tables:
        first, second = np.triu_indices(payoffs.shape[1], 1)
        own, other = np.moveaxis(payoffs[:, second] - payoffs[:, first], -1, 0)
        level.append(np.degrees(np.arctan2(-own, other))[np.hypot(own, other) > 0])
    turned = np.add.outer([-180.0, 0.0, 180.0], np.concatenate(level)).ravel()
    between = turned[(turned > low + _SAME) & (turned < high - _SAME)]
    cuts = np.unique(np.r_[low, between, high])
    cuts = cuts[np.r_[True, np.diff(cuts) > _SAME]]
    utilities = [payoffs @ _directions((cuts[:-1] + cuts[1:]) / 2) for payoffs in tables]
    best = np.concatenate(
        [(u >= u.max(axis=1, keepdims=True) - _SAME).reshape(-1, u.shape[-1]) for u in utilities]
    )
    changes = (best[:, 1:] != best[:, :-1]).any(axis=0)
    return cuts[np.r_[True, changes, True]]


# ---- the weight acted on ------------------------------------------------------------------------


def _acted_on(tables: np.ndarray, payoffs: np.ndarray) -> dict[str, object]:
    """Return weight, angle, low, high and note of tables (administrations, items, options).

    They are pooled as their mean; an item that none answered is left out.
    """
    answered = ~np.isnan(tables).any(axis=2).all(axis=0)
    nothing = {"weight": np.nan, "angle": np.nan, "low": np.nan, "high": np.nan}
    if not answered.any():
        return nothing | {"note": "no item was answered"}
    table = np.nanmean(tables[:, answered], axis=0)
    angle, cuts = _direction(table, payoffs[answered])
    missing = int((~answered).sum())
    note = f"{missing} of {len(answered)} items not answered" if missing else ""
    if np.isnan(angle):
        return nothing | {"note": "the answers show no weight: they do not follow the coins"}
    step = int(np.clip(np.searchsorted(cuts, angle), 1, len(cuts) - 1))
    low, high = float(cuts[step - 1]), float(cuts[step])
    weight = np.inf if low < 90 < high else float(_weight(angle))
    if np.isnan(weight):
        note = "; ".join(filter(None, (note, "own coins count against: no weight says that")))
    return {"weight": weight, "angle": angle, "low": low, "high": high, "note": note}


def _direction(table: np.ndarray, payoffs: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the most likely direction (degrees, NaN: none shows) and the switches of the items.

    table: probabilities (items, options); payoffs: coins (items, options, 2).
    """
    cuts = _switches([payoffs], *_CIRCLE)
    middles = (cuts[:-1] + cuts[1:]) / 2
    utilities = payoffs @ _directions(middles)
    hits = (table[..., None] * (utilities >= utilities.max(axis=1, keepdims=True))).sum(axis=(0, 1))
    equal = np.flatnonzero(hits >= hits.max() - _SAME)
    step = float(middles[equal[(len(equal) - 1) // 2]])
    share = min(hits.max() / len(table), 1.0)
    if share > 1 - _SAME:
        return step, cuts
    angle, nats = _most_likely(table, payoffs, middles)
    hard = _nats_of_hits(share, table.shape[1])
    if max(hard, nats) < LEAST_NATS:
        return np.nan, cuts
    return (step if hard > nats - _SAME else angle), cuts


def _nats_of_hits(share: float, options: int) -> float:
    """Return the nats an item gained on uniform answers by a share of best choices and lapses."""
    from scipy.special import xlogy  # slow to import

    share = max(share, 1 / options)
    missed = xlogy(1 - share, (1 - share) / (options - 1))
    return float(xlogy(share, share) + missed + np.log(options))


def _most_likely(
    table: np.ndarray, payoffs: np.ndarray, middles: np.ndarray
) -> tuple[float, float]:
    """Return the direction of greatest likelihood, and the nats an item gained on uniform answers.

    The best of a grid over these directions (degrees), precisions and lapse rates is refined.
    """
    from scipy.optimize import minimize  # slow to import

    scaled, angles = payoffs / np.ptp(payoffs), np.radians(middles)
    grid = np.stack(np.meshgrid(angles, *_GRID, indexing="ij")).reshape(3, -1)
    start = grid[:, _loss(grid, table, scaled)[0].argmin()]

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _loss(x[:, None], table, scaled)
        return float(value[0]), slope[:, 0]

    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    angle = (np.degrees(found.x[0]) - _CIRCLE[0]) % 360 + _CIRCLE[0]
    return float(angle), -float(found.fun)


def _loss(x: np.ndarray, table: np.ndarray, payoffs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return minus the nats an item gained (points,), and its slopes (3, points).

    x: angle (radians), log precision and log odds of a lapse, (3, points).
    """
    angle, precision, lapse = x[0], np.exp(np.minimum(x[1], _SHARPEST)), 1 / (1 + np.exp(-x[2]))
    along = payoffs @ np.stack([np.cos(angle), np.sin(angle)])  # items, options, points
    across = payoffs @ np.stack([-np.sin(angle), np.cos(angle)])
    acting = np.exp(precision * (along - along.max(axis=1, keepdims=True)))
    acting /= acting.sum(axis=1, keepdims=True)
    count, answers = table.shape[1], table[..., None]
    chances = (1 - lapse) * acting + lapse / count
    ratio = answers / chances
    pull = (1 - lapse) * ratio * acting
    pull -= acting * pull.sum(axis=1, keepdims=True)
    slopes = np.stack(
        [
            precision * (pull * across).sum(axis=(0, 1)),
            precision * (pull * along).sum(axis=(0, 1)),
            lapse * (1 - lapse) * (ratio * (1 / count - acting)).sum(axis=(0, 1)),
        ]
    )
    nats = (answers * np.log(chances * count)).sum(axis=(0, 1))
    return -nats / len(table), -slopes / len(table)


# ---- told against acted on ----------------------------------------------------------------------


def _follows(angles: pd.DataFrame) -> dict[str, object]:
    """Return the row of `calibration` of angles (wordings x told); NaN: no weight shows."""
    angles = angles["angle"].sort_index(axis=1)
    told, found = angles.columns.to_numpy(float), angles.to_numpy(float)
    unmoved = int(np.isnan(found).sum())
    notes = [_UNMOVED.format(unmoved, found.size)] if unmoved else []
    if len(told) < 2:
        return dict.fromkeys(_MEASURES, np.nan) | {
            "wordings": len(found),
            "note": "; ".join([*notes, "one weight told: a slope needs two"]),
        }
    filled = np.where(np.isnan(found), told.mean(), found)
    slope = t_interval(_slopes(told, filled))
    mean = filled.mean(axis=0)
    shown = unmoved < found.size
    measures = {
        "slope": slope.mean,
        "low": slope.low,
        "high": slope.high,
        "intercept": float(mean.mean() - slope.mean * told.mean()) if shown else np.nan,
        "dead_zone": _dead_zone(told, mean),
        "overshoot": _overshoot(told, mean) if shown else np.nan,
        "asymmetry": _asymmetry(told, mean) if shown else np.nan,
        "monotone": float((np.diff(filled, axis=1) > _SAME).mean()),
    }
    note = "; ".join(filter(None, [*notes, slope.note]))
    return measures | {"wordings": slope.n, "note": note}


_MEASURES = (
    *("slope", "low", "high", "intercept", "dead_zone", "overshoot", "asymmetry", "monotone"),
)


def _slopes(told: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the least-squares slope of each row of found (rows, told) on told (told,)."""
    centred = told - told.mean()
    return found @ centred / (centred @ centred)


def _dead_zone(told: np.ndarray, mean: np.ndarray) -> float:
    """Return the longest stretch told, in degrees, without a rise worth the name."""
    longest = stretch = 0.0
    for width, rise in zip(np.diff(told), np.diff(mean), strict=True):
        stretch = stretch + width if rise < STILL * width else 0.0
        longest = max(longest, stretch)
    return float(longest)


def _overshoot(told: np.ndarray, mean: np.ndarray) -> float:
    """Return the mean excess beyond the angle told, away from 0, in degrees; NaN of 0 alone."""
    away = told != 0
    return float((np.sign(told) * (mean - told))[away].mean()) if away.any() else np.nan


def _asymmetry(told: np.ndarray, mean: np.ndarray) -> float:
    """Return the slope from 0 up minus the slope from 0 down, NaN where one has no two weights."""
    up, down = told >= 0, told <= 0
    if up.sum() < 2 or down.sum() < 2:
        return np.nan
    return float(_slopes(told[up], mean[up]) - _slopes(told[down], mean[down]))
