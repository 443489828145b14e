"""Responses -> scores: one row an administration; the rules of the measure are in `svo`.

Nothing is imputed: an item without a choice is missing, and an administration with a missing item
has bounds instead of an angle.
"""

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.measure import factors, instruments, svo, values

OUTCOMES = ("choice", "refusal", "unparseable", "truncated", "empty", "error")


def choices(
    responses: pd.DataFrame, condition_ids: pd.Series, instrument: instruments.Instrument
) -> np.ndarray:
    """Return an int array (administrations, items), 0-based options, -1 where no choice was made.

    responses: columns condition_id, item (published number), option (1-based or missing);
    condition_ids: the administrations wanted, in order; one that is not in `responses` is all -1.
    """
    wide = responses.pivot(index="condition_id", columns="item", values="option")
    wide = wide.reindex(index=condition_ids, columns=list(instrument.items))
    return (wide.astype("Int64").fillna(0) - 1).to_numpy(dtype=np.int64)


def option_shares(responses: pd.DataFrame, options: int) -> np.ndarray:
    """Return each option's share of the probability that fell on options, (rows, options).

    responses: columns p1, p2 …, of either version. NaN where an endpoint listed none.

    >>> option_shares(pd.DataFrame({"p1": [0.6, None], "p2": [0.2, None]}), 2).round(2).tolist()
    [[0.75, 0.25], [nan, nan]]
    """
    listed = responses[[f"p{option}" for option in range(1, options + 1)]].to_numpy(float)
    covered = listed.sum(axis=1, keepdims=True)
    return listed / np.where(covered > 0, covered, np.nan)


def administrations(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the scores table: factors, items asked, `svo.score`.

    conditions and responses: tables of the run; angle in degrees, means in coins.
    Raises UserError when the two do not belong to the same conditions.
    """
    unmatched = set(responses.condition_id) ^ set(conditions.condition_id)
    if unmatched:
        raise UserError(
            f"conditions and responses differ in {len(unmatched)} conditions: they belong to "
            "different studies; run 02_game_play again"
        )
    scored = []
    for name, group in conditions.groupby("instrument", sort=False):
        instrument = instruments.load(str(name))
        result = svo.score(choices(responses, group.condition_id, instrument), instrument)
        result.index = group.index
        asked = group[["condition_id", *factors.FACTORS]].assign(asked=len(instrument.items))
        scored.append(asked.join(result))
    return pd.concat(scored).loc[conditions.index].reset_index(drop=True)


def worked_example(responses: pd.DataFrame, instrument: instruments.Instrument) -> pd.DataFrame:
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
