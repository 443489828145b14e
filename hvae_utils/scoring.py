"""Responses -> scores: one row an administration. Pure; the rules of the measure are in `svo`.

Nothing is imputed: an item without a choice is missing, and an administration with a missing item
has bounds instead of an angle.

Public names: choices, administrations.
"""

import numpy as np
import pandas as pd

from hvae_utils import instruments, svo

FACTORS = [
    "condition_id",
    "model",
    "value",
    "goal_prompt",
    "induction",
    "placement",
    "protocol",
    "wording",
    "repeat",
]


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


def administrations(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the scores table: the factors of each condition, items asked, and svo.score's columns.

    conditions and responses: tables of the run; angle in degrees, means in coins.
    """
    scored = []
    for name, group in conditions.groupby("instrument", sort=False):
        instrument = instruments.load(str(name))
        result = svo.score(choices(responses, group.condition_id, instrument), instrument)
        result.index = group.index
        factors = group[FACTORS].assign(asked=len(instrument.items))
        scored.append(factors.join(result))
    return pd.concat(scored).loc[conditions.index].reset_index(drop=True)
