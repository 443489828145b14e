"""Regret: what each choice gives away of the value's utility, item by item.

Per item (max u - u(choice)) / (max u - min u): 0 for the best option, 1 for the worst, the same
for all equally good ones. An item on which all options tie, within the rounding of the printed
coins, tells nothing and is left out. Unlike an angle it needs no target and punishes no
indifferent choice. A missing item leaves no regret, only bounds: this module must never average
over what happened to be answered.

Public names: table, of_administrations, bounds, expected.
"""

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value


def table(value: Value, instrument: Instrument) -> np.ndarray:
    """Return the regret of every option, float (items, options) from 0 to 1; NaN on level items.

    Errors: UserError for a value without a utility, and if every item is level.
    """
    utilities = value.utilities(instrument.payoffs)
    span = np.ptp(utilities, axis=1, keepdims=True)
    ideal = value.ideal_options(instrument.payoffs, instrument.rounding)
    level = ideal.all(axis=1, keepdims=True)
    if level.all():
        raise UserError(f"value '{value.name}' tells no option of '{instrument.name}' from another")
    short = utilities.max(axis=1, keepdims=True) - utilities
    return np.where(level, np.nan, short / np.where(level, 1, span))


def of_administrations(choices: ArrayLike, value: Value, instrument: Instrument) -> np.ndarray:
    """Return the mean regret of each administration over the items that are not level.

    choices: int array (administrations, items), 0-based, -1 missing. NaN where one of those items
    is missing; a level item may be. Errors: UserError for no such array; as `table`.
    """
    found = _of_items(choices, value, instrument)
    return found.mean(axis=1)


def bounds(
    choices: ArrayLike, value: Value, instrument: Instrument
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest mean regret of each administration.

    Exact over everything the missing items could have been: each has a best and a worst option.
    Arguments and errors: as `of_administrations`.
    """
    found = _of_items(choices, value, instrument)
    return tuple(np.where(np.isnan(found), end, found).mean(axis=1) for end in (0.0, 1.0))


def expected(probabilities: ArrayLike, value: Value, instrument: Instrument) -> np.ndarray | float:
    """Return the expected regret of a respondent, exactly; of many tables, an array.

    probabilities: float array (..., items, options), rows sum to 1; uniform for a random
        respondent.
    Errors: as `distribution.checked_tables` and `table`.
    """
    shares = distribution.checked_tables(probabilities, instrument)
    return np.nanmean((shares * table(value, instrument)).sum(axis=-1), axis=-1)[()]


def _of_items(choices: ArrayLike, value: Value, instrument: Instrument) -> np.ndarray:
    """Return the regret (administrations, items that are not level), NaN where missing."""
    chosen = svo.checked_choices(choices, instrument)
    regrets = table(value, instrument)
    counted = np.flatnonzero(~np.isnan(regrets[:, 0]))
    lookup = np.column_stack([regrets, np.full(len(regrets), np.nan)])  # -1 reads the last column
    return lookup[counted, chosen[:, counted]]
