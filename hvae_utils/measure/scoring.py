"""Responses -> scores: one row an administration; the rules of the measure are in `svo`.

Where an item was read as text, the option chosen is scored; where its probabilities were read, all
of them are: the row holds the exact expectation over the answers they could have been drawn as.
Nothing is imputed: an item without an answer is missing, and an administration with a missing item
has bounds instead of an angle.
"""

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, factors, instruments, svo, values
from hvae_utils.measure.instruments import Instrument

PROBABILITIES = [f"p_{name}" for name in svo.CATEGORIES]
_SCORED = (
    *("method", "answered", "angle", "angle_sd", "category", *PROBABILITIES),
    *("mean_self", "mean_other", "vector_length", "transitive", "angle_low", "angle_high"),
)
OUTCOMES = ("choice", "refusal", "unparseable", "truncated", "empty", "error")


def choices(
    responses: pd.DataFrame, condition_ids: pd.Series, instrument: Instrument
) -> np.ndarray:
    """Return an int array (administrations, items), 0-based options, -1 where no choice was made.

    responses: columns condition_id, item (published number), option (1-based or missing);
    condition_ids: the administrations wanted, in order; one that is not in `responses` is all -1.
    """
    wide = responses.pivot(index="condition_id", columns="item", values="option")
    wide = wide.reindex(index=condition_ids, columns=list(instrument.items))
    return (wide.astype("Int64").fillna(0) - 1).to_numpy(dtype=np.int64)


def censored(responses: pd.DataFrame) -> pd.Series:
    """Return which items ended before the model's thought did, or before the reply after it.

    responses: outcome; thought and thinking_tokens where known. Such an item says nothing about
    the model: its answer was cut off by us.

    >>> ended = pd.DataFrame({"outcome": ["choice", "truncated"], "thinking_tokens": [90, 50]})
    >>> censored(ended).tolist()
    [False, True]
    """
    known = responses.reindex(columns=["outcome", "thought", "thinking_tokens"])
    shown = known["thought"].notna() & known["thought"].ne("")
    return known["outcome"].eq("truncated") & (shown | (known["thinking_tokens"] > 0))


def option_shares(responses: pd.DataFrame, options: int) -> np.ndarray:
    """Return each option's share of the probability that fell on options, (rows, options).

    responses: columns p1, p2 …, of either version. NaN where an endpoint listed none.

    >>> option_shares(pd.DataFrame({"p1": [0.6, None], "p2": [0.2, None]}), 2).round(2).tolist()
    [[0.75, 0.25], [nan, nan]]
    """
    listed = responses[[f"p{option}" for option in range(1, options + 1)]].to_numpy(float)
    covered = listed.sum(axis=1, keepdims=True)
    return listed / np.where(covered > 0, covered, np.nan)


def option_tables(
    responses: pd.DataFrame, condition_ids: pd.Series, instrument: Instrument
) -> np.ndarray:
    """Return the probabilities of the options, a float array (administrations, items, options).

    `option_shares` where probabilities were read, 1 for the option chosen where text was; NaN for
    an item without either. The rest is as in `choices`.
    """
    places = pd.MultiIndex.from_product([condition_ids, instrument.items])
    listed = responses.set_index(["condition_id", "item"]).reindex(places)
    shape = len(condition_ids), len(instrument.items), instrument.options
    shares = option_shares(listed, instrument.options).reshape(shape)
    chosen = choices(responses, condition_ids, instrument)[..., None]
    certain = np.where(chosen < 0, np.nan, chosen == np.arange(instrument.options))
    exact = listed["method"].eq("probabilities").to_numpy().reshape(shape[:2])
    return np.where(exact[..., None], shares, certain)


def administrations(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the scores table, one row an administration.

    conditions and responses: tables of the run.
    Columns: condition_id, the factors, asked (items), method, answered (items), angle (degrees),
    angle_sd (degrees: exact SD of one administration, NaN for text), category (of the angle),
    p_altruistic … p_competitive (probability of each category; of text 0 or 1), mean_self and
    mean_other and vector_length (coins), transitive (NA where probabilities are scored),
    angle_low and angle_high (degrees).
    Raises UserError when the two tables do not belong to the same conditions.
    """
    unmatched = set(responses.condition_id) ^ set(conditions.condition_id)
    if unmatched:
        raise UserError(
            f"conditions and responses differ in {len(unmatched)} conditions: they belong to "
            "different studies; run 02_game_play again"
        )
    methods = responses.groupby("condition_id")["method"].first()  # None where nothing was asked
    scored = []
    conditions = conditions.assign(method=conditions["condition_id"].map(methods))
    exact = conditions["method"] == "probabilities"
    for (name, expected), group in conditions.groupby(["instrument", exact], sort=False):
        instrument = instruments.load(str(name))
        score, collected = (expectations, option_tables) if expected else (_of_choices, choices)
        result = score(collected(responses, group["condition_id"], instrument), instrument)
        result.index = group.index
        asked = group[["condition_id", *factors.FACTORS]].assign(asked=len(instrument.items))
        scored.append(asked.join(result.assign(method=group["method"])[[*_SCORED]]))
    return pd.concat(scored).loc[conditions.index].reset_index(drop=True)


def _of_choices(chosen: np.ndarray, instrument: Instrument) -> pd.DataFrame:
    """Return `svo.score`, with the columns of `expectations`."""
    scored = svo.score(chosen, instrument)
    known = pd.get_dummies(scored["category"], dtype=float).where(scored["angle"].notna())
    return scored.join(known.set_axis(PROBABILITIES, axis=1)).assign(angle_sd=np.nan)


def expectations(tables: np.ndarray, instrument: Instrument) -> pd.DataFrame:
    """Return what administrations with these probabilities come to, exactly, one row each.

    tables: float array (administrations, items, options), rows summing to 1, NaN where an item is
        missing; items answered independently.
    Columns: answered (items), the expectations of angle, vector_length, mean_self and mean_other
    over all answers, angle_sd, the probability of each category, the category of the angle, and
    transitive, which is NA. With an item missing these are NaN, and angle_low and angle_high are
    the least and greatest expected angle it could leave (`svo.options_by_angle`; NaN where the
    instrument has no such order). Errors: UserError where an answer could lie at no angle.

    >>> tables = np.full((1, 6, 9), 1 / 9)
    >>> expectations(tables, instruments.load("svo-slider"))[["angle", "angle_sd"]].round(3).values
    array([[22.703, 12.866]])
    """
    lacking = np.isnan(tables).any(axis=2)
    complete = ~lacking.any(axis=1)
    numbers = np.full((len(tables), 3 + len(PROBABILITIES)), np.nan)
    numbers[complete] = _moments(tables[complete], instrument)
    angle, square, length = numbers.T[:3]
    variance = square - angle**2
    payoffs = np.einsum("aio,iop->ap", tables, instrument.payoffs) / len(instrument.items)
    frame = pd.DataFrame(
        {
            "answered": (~lacking).sum(axis=1),
            "angle": angle,
            "angle_sd": np.sqrt(np.where(variance < 1e-9, 0 * variance, variance)),
            "category": pd.Categorical(map(svo.category, angle), svo.CATEGORIES),
            "vector_length": length,
            "transitive": pd.array([pd.NA] * len(tables), dtype="boolean"),
            "mean_self": payoffs[:, 0],
            "mean_other": payoffs[:, 1],
        }
    )
    frame[PROBABILITIES] = numbers[:, 3:]
    order = svo.options_by_angle(instrument)
    for name, end in (("angle_low", 0), ("angle_high", -1)):
        frame[name] = angle
        if order is not None and not complete.all():
            filled = np.where(lacking[..., None], np.eye(instrument.options)[order[:, end]], tables)
            frame.loc[~complete, name] = svo.mean_angles(filled[~complete], instrument)
    return frame


def _moments(tables: np.ndarray, instrument: Instrument) -> np.ndarray:
    """Return the mean angle, squared angle and vector length, and each category's probability.

    Equal tables, which simulated respondents give in every wording, are worked out once.
    """
    svo.check_angle(instrument)
    points, steps = distribution.sums(instrument)
    means = points / len(steps)
    angles = svo.angle(*means.T, instrument.origin)
    lengths = np.linalg.norm(means - instrument.origin, axis=1)
    falls_in = np.digitize(angles, instrument.boundaries) == np.arange(len(svo.CATEGORIES))[:, None]
    checked = distribution.checked_tables(tables, instrument)
    distinct, which = np.unique(checked, axis=0, return_inverse=True)
    numbers = angles, angles**2, lengths, *falls_in.astype(float)
    means = [distribution.expectations(distinct, number, steps) for number in numbers]
    return np.stack(means, axis=1)[which.ravel()]


def worked_example(responses: pd.DataFrame, instrument: Instrument) -> pd.DataFrame:
    """Return one administration to compute by hand: item, option (1-based), self, other (coins).

    The first that is complete; where there is none, the choices of an ideal altruist.
    """
    shown = ["item", "option", "self", "other"]
    for _, answered in responses.groupby("condition_id", sort=False):
        if answered["option"].count() == len(instrument.items):
            return answered[shown].astype({"option": int})
    chosen = svo.ideal_choices(values.get("altruistic"), instrument)
    payoffs = instrument.payoffs[np.arange(len(chosen)), chosen]
    columns = (instrument.items, chosen + 1, *payoffs.T)
    return pd.DataFrame(dict(zip(shown, columns, strict=True)))
