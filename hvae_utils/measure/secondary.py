"""Why is a prosocial prosocial? Inequality aversion against joint gain, from the secondary items.

The published scoring (Murphy, Ackermann & Handgraaf 2011; Ackermann & Murphy 2012; ties as in
Ackermann 2011) compares the choices with four ideal respondents. It does not say whether they carry
any signal: of uniform random respondents 29.0% get an index, and 88% of these look averse to
inequality, because its ideal options lie nearer the middle. The primary items have to say first
whether somebody is prosocial at all.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.measure import instruments, published, svo

_STEPS = 8  # from the first option to the last


def score(choices: ArrayLike) -> pd.DataFrame:
    """Score administrations of the secondary items, one row each.

    choices: int array (administrations, 9), items 7 to 15, 0-based options, -1 where missing.
    Columns: d_inequality, d_joint_gain, d_individualist, d_altruist (0 to 1: the mean distance
    from the ideal's options over the items answered; items 8, 11 and 13 have a constant sum and
    are left out for joint gain), index and note. index = d_inequality / (d_inequality +
    d_joint_gain) if no other distance is smaller than either: 0 is pure inequality aversion, 1
    pure joint gain, a tie 0.5. Otherwise it is NaN and note says why; note also says how many
    items an index does without. Errors: UserError for anything that is not such an array.
    """
    chosen = svo.checked_choices(choices, instruments.load("svo-slider-secondary"))
    return expected(np.where(chosen[..., None] < 0, np.nan, np.eye(_STEPS + 1)[chosen]))


def expected(tables: np.ndarray) -> pd.DataFrame:
    """Return what `score` gives for the expected distances of administrations, one row each.

    tables: float array (administrations, 9, 9), the probabilities of items 7 to 15, each item's
    summing to 1, NaN where it is missing.
    """
    ideals = published.secondary_ideals()
    answered = ~np.isnan(tables).any(axis=2)
    options = np.arange(1, tables.shape[2] + 1)
    steps = [np.abs(options - ideal[:, None]) / _STEPS for ideal in ideals.to_numpy(float).T]
    means = [pd.DataFrame((tables * each).sum(axis=2)).mean(axis=1) for each in steps]
    distances = np.stack(means, axis=1)
    inequality, joint_gain, individualist, altruist = distances.T
    complete = ~np.isnan(distances).any(axis=1)
    prosocial = complete & (
        np.maximum(inequality, joint_gain) <= np.minimum(individualist, altruist) + 1e-12
    )
    total = np.where(prosocial, inequality + joint_gain, np.nan)  # never 0: the ideals differ
    table = pd.DataFrame(distances, columns=[f"d_{name}" for name in ideals])
    return table.assign(index=inequality / total, note=_notes(answered, complete, prosocial))


def _notes(answered: np.ndarray, complete: np.ndarray, prosocial: np.ndarray) -> list[str]:
    missing = (~answered).sum(axis=1)
    some = [f"{count} of {answered.shape[1]} items missing" if count else "" for count in missing]
    nearer = np.where(prosocial, some, "no index: nearer to the individualist or the altruist")
    lacking = "no index: no item that tells joint gain apart was answered"
    return np.where(complete, nearer, lacking).tolist()
