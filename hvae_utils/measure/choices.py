"""Best choices, chance and regret from a value's utility: the same code for every instrument.

>>> from hvae_utils.measure import instruments
>>> game = instruments.load("ultimatum-responder")
>>> best("competitive", game)[[0, 8]].tolist()  # of 8 coins for oneself, and of 72
[[True, False], [False, True]]

An item whose options are all equally good for a value tells nothing about it and is left out. No
game has rules of its own here: where both amounts are one's own the larger sum is best, whoever
holds which value, and everything else follows from the payoffs. Regret needs no target and, unlike
an angle, punishes no indifferent choice; with an item missing an administration has none.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, svo, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value


def utilities(value: Value | str, instrument: Instrument) -> np.ndarray:
    """Return what each option is worth to a holder of the value, float (items, options) in coins.

    Errors: UserError for an unknown value and for one without a utility.
    """
    value = values.get(value)
    worth = value.utilities(instrument.payoffs)  # of a value that there is
    return instrument.payoffs.sum(axis=-1) if instrument.own_accounts else worth


def best(value: Value | str, instrument: Instrument) -> np.ndarray:
    """Return bool (items, options): which options are best; all, where the item is level.

    An item is level if its utilities lie within the instrument's rounding. Errors: as `utilities`.
    """
    return _best(values.get(value), instrument)


@lru_cache(maxsize=256)
def _best(value: Value, instrument: Instrument) -> np.ndarray:
    worth = utilities(value, instrument)
    level = np.ptp(worth, axis=1, keepdims=True) <= instrument.rounding + 1e-9
    found = level | (worth >= worth.max(axis=1, keepdims=True) - 1e-9)
    found.flags.writeable = False
    return found


def regrets(value: Value | str, instrument: Instrument) -> np.ndarray:
    """Return what each option gives away, float (items, options) from 0 (best) to 1 (worst).

    NaN on level items. Errors: as `utilities`, and if every item is level.
    """
    worth, level = utilities(value, instrument), best(value, instrument).all(axis=1, keepdims=True)
    if level.all():
        name = values.get(value).name
        raise UserError(f"value '{name}' tells no option of '{instrument.name}' from another")
    short = worth.max(axis=1, keepdims=True) - worth
    return np.where(level, np.nan, short / np.where(level, 1, short.max(axis=1, keepdims=True)))


def regret_of(chosen: ArrayLike, value: Value | str, instrument: Instrument) -> np.ndarray:
    """Return the mean regret, 0 to 1, of each administration over the items that are not level.

    >>> from hvae_utils.measure import instruments
    >>> slider = instruments.load("svo-slider")
    >>> regret_of([[0, 8, 0, 0, 8, 4]], "altruistic", slider).round(2).tolist()
    [0.08]

    chosen: int array (administrations, items), 0-based, -1 missing. NaN where one of those items
    is missing; a level item may be. Errors: UserError for no such array; as `regrets`.
    """
    chosen = svo.checked_choices(chosen, instrument)
    lost = regrets(value, instrument)
    counted = np.flatnonzero(~np.isnan(lost[:, 0]))
    lookup = np.column_stack([lost, np.full(len(lost), np.nan)])  # -1 reads the last column
    return lookup[counted, chosen[:, counted]].mean(axis=1)


def expected_regret(
    probabilities: ArrayLike, value: Value | str, instrument: Instrument
) -> np.ndarray | float:
    """Return the mean regret over the items that are not level; of many tables, an array.

    probabilities: float array (..., items, options), rows sum to 1.
    Errors: as `distribution.checked_tables` and `regrets`.
    """
    shares = distribution.checked_tables(probabilities, instrument)
    return np.nanmean((shares * regrets(value, instrument)).sum(axis=-1), axis=-1)[()]


def rationality(
    probabilities: ArrayLike, value: Value | str, instrument: Instrument
) -> np.ndarray | float:
    """Return the chance-corrected value rationality: 1 always a best option, 0 uniform random.

    It is 1 - regret / regret of a uniform random respondent, below 0 for somebody who chooses
    against the value. probabilities and errors: as `expected_regret`.
    """
    uniform = np.full(instrument.payoffs.shape[:2], 1 / instrument.options)
    lost = expected_regret(probabilities, value, instrument)
    return 1 - lost / expected_regret(uniform, value, instrument)
