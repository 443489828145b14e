"""Regret: what each choice gives away of the value's utility, item by item.

Per item (max u - u(choice)) / (max u - min u): 0 for the best option, 1 for the worst, the same
for all equally good ones. An item on which all options tie, within the rounding of the printed
coins, tells nothing and is left out. Unlike an angle it needs no target and punishes no
indifferent choice. With an item missing an administration has no regret.
"""

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value


def of_administrations(choices: ArrayLike, value: Value, instrument: Instrument) -> np.ndarray:
    """Return the mean regret, 0 to 1, of each administration over the items that are not level.

    >>> from hvae_utils.measure import instruments, values
    >>> slider = instruments.load("svo-slider")
    >>> of_administrations([[0, 8, 0, 0, 8, 4]], values.get("altruistic"), slider).round(2).tolist()
    [0.08]

    choices: int array (administrations, items), 0-based, -1 missing. NaN where one of those items
    is missing; a level item may be. Errors: UserError for no such array; as `table`.
    """
    chosen = svo.checked_choices(choices, instrument)
    regrets = table(value, instrument)
    counted = np.flatnonzero(~np.isnan(regrets[:, 0]))
    lookup = np.column_stack([regrets, np.full(len(regrets), np.nan)])  # -1 reads the last column
    return lookup[counted, chosen[:, counted]].mean(axis=1)


def expected(probabilities: ArrayLike, value: Value, instrument: Instrument) -> np.ndarray | float:
    """Return the expected regret of a respondent, exactly; of many tables, an array.

    probabilities: float array (..., items, options), rows sum to 1.
    Errors: as `distribution.checked_tables` and `table`.
    """
    shares = distribution.checked_tables(probabilities, instrument)
    return np.nanmean((shares * table(value, instrument)).sum(axis=-1), axis=-1)[()]


def table(value: Value, instrument: Instrument) -> np.ndarray:
    """Return the regret of every option, float (items, options) from 0 to 1; NaN on level items.

    Errors: UserError for a value without a utility, and if every item is level.
    """
    utilities = value.utilities(instrument.payoffs)
    ideal = value.ideal_options(instrument.payoffs, instrument.rounding)
    level = ideal.all(axis=1, keepdims=True)
    if level.all():
        raise UserError(f"value '{value.name}' tells no option of '{instrument.name}' from another")
    short = utilities.max(axis=1, keepdims=True) - utilities
    return np.where(level, np.nan, short / np.where(level, 1, short.max(axis=1, keepdims=True)))
