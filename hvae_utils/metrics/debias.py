"""Response probabilities over option orders: what the options get when no position is favoured.

>>> shown_in_two_orders = [[0.6, 0.3, 0.1], [0.3, 0.3, 0.4]]  # one row an order, options A, B, C
>>> average_logits(shown_in_two_orders).round(2).tolist()
[0.46, 0.32, 0.22]

The bias is taken to be additive in log-probabilities, as in Zheng et al. (2024, ICLR): averaging
them cancels it where the orders are balanced (`cancels`). `docs/debiasing.md` says what stays in.

Shapes: probabilities (..., orders, options), options in the instrument's own order, leading axes
for items or administrations; orders (orders, options), orders[k][j] = option shown at position j of
presentation k, all 0-based. Rows need not sum to 1 (the rest of the mass is not on a label). A row
that is all NaN is a presentation without an answer: what rests on it is NaN. A 0 is an option
outside the endpoint's list of likely tokens: its probability is unknown, at most the last one
listed. `floor`, one number or an array (..., orders), is that bound (or the mass not listed, if
less); 0 says that the zeros are true ones.
"""

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError

_OFF = 1e-6  # how far above 1 a row of rounded probabilities may sum


def average_logits(probabilities: ArrayLike, floor: ArrayLike | None = None) -> np.ndarray:
    """Return float (..., options) summing to 1: the normalised geometric mean over the orders.

    Options outside the list stand at the floor, their upper bound; `average_range` says what that
    may have changed. NaN where an order has no answer, or where every option is a true zero in
    some order. Errors: UserError for a bad table, or a 0 without a floor.
    """
    return _normalised(_logs(_checked(probabilities), floor).mean(axis=-2))


def average_range(probabilities: ArrayLike, floor: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest `average_logits` (..., options) each option may have.

    Each probability outside the list is anything from 0 to its floor, independently: an option's
    least has its own at 0 and the others' at the floor, its greatest the reverse. Hence the least
    is 0 for every option that is missing from any order's list. NaN and errors as there.
    """
    table = _checked(probabilities)
    least, most = (_logs(table, bound).mean(axis=-2) for bound in (0.0, floor))
    one = np.eye(table.shape[-1], dtype=bool)
    ends = [
        np.where(one, of_one[..., None, :], of_others[..., None, :])
        for of_one, of_others in ((least, most), (most, least))
    ]
    low, high = (np.diagonal(_normalised(end), axis1=-2, axis2=-1) for end in ends)
    return low, high


def average_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """Return float (..., options): the mean over the orders, each scaled to sum 1.

    For comparison only: it spreads a bias over the options. NaN where an order has no answer.
    """
    return _scaled(probabilities).mean(axis=-2)


def cancels(orders: ArrayLike) -> str:
    """Return which bias averaging log-probabilities over these orders removes.

    >>> cancels([[0, 1, 2], [2, 1, 0]])
    'linear'

    "any": each option meets each position equally often, so any pattern of positions (and of labels
    fixed to positions) cancels. "linear": each option has the same mean position, so a bias linear
    in it cancels (with fixed and reversed, any pattern antisymmetric about the middle). "none".
    """
    positions = np.argsort(orders, axis=1)
    meetings = np.array([(positions == at).sum(axis=0) for at in range(positions.shape[1])])
    if (meetings == meetings[:, :1]).all():
        return "any"
    totals = positions.sum(axis=0)
    return "linear" if (totals == totals[0]).all() else "none"


def position_bias(
    probabilities: ArrayLike, orders: ArrayLike, floor: ArrayLike | None = None
) -> np.ndarray:
    """Return float (..., positions), nats, summing to 0: what each adds to the log-probability.

    Least squares with a free effect for each option and order. Orders that cancel any bias give
    each position an effect of its own; others determine at most a line, and that is returned: a
    bias linear in the position. A position's effect contains that of its label. NaN where an order
    has no answer or a true zero, and for one order alone. Errors: UserError for a bad table, or a
    0 without a floor.
    """
    logs, orders = _logs(_checked(probabilities), floor), np.asarray(orders)
    centred = _centred(np.where(np.isfinite(logs), logs, np.nan))
    if cancels(orders) == "any":
        return centred[..., np.arange(len(orders))[:, None], orders].mean(axis=-2)
    line = np.arange(orders.shape[1]) - (orders.shape[1] - 1) / 2
    steps = _centred(line[np.argsort(orders, axis=1)])
    squares = (steps**2).sum()
    slope = (centred * steps).sum(axis=(-2, -1)) / (squares if squares > 1e-9 else np.nan)
    return slope[..., None] * line


def order_disagreement(probabilities: ArrayLike) -> float:
    """Return how much the answer depends on the order: 0 not at all, 1 entirely.

    The total variation distance (half the sum of absolute differences) between the responses
    under two orders, averaged over all pairs of orders of an item, then over the items (leading
    axes). Orders without an answer are left out; NaN when no item has two.
    """
    table = _scaled(probabilities)
    table = table.reshape(-1, *table.shape[-2:])
    first, second = np.triu_indices(table.shape[1], 1)
    distances = np.abs(table[:, first] - table[:, second]).sum(axis=-1) / 2
    distances = distances[~np.isnan(distances).all(axis=1)]
    return float(np.nanmean(distances, axis=1).mean()) if distances.size else np.nan


def _centred(table: np.ndarray) -> np.ndarray:
    """Return the table (..., orders, options) less the means of its orders and its options."""
    table = table - table.mean(axis=-1, keepdims=True)
    return table - table.mean(axis=-2, keepdims=True)


def _checked(probabilities: ArrayLike) -> np.ndarray:
    """Return the table (..., orders, options) as floats; rows are proper or all NaN."""
    try:
        table = np.asarray(probabilities, float)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.ndim < 2 or 0 in table.shape[-2:]:
        raise UserError("probabilities: must be numbers of shape (..., orders, options)")
    total = table.sum(axis=-1)
    proper = (table >= 0).all(axis=-1) & (total > 0) & (total <= 1 + _OFF)
    if (wrong := ~proper & ~np.isnan(table).all(axis=-1)).any():
        raise UserError(
            f"probabilities[{_first(wrong)}] must sum to more than 0 and at most 1, none below 0 "
            "and all or none NaN; log-probabilities need numpy.exp"
        )
    return table


def _scaled(probabilities: ArrayLike) -> np.ndarray:
    table = _checked(probabilities)
    return table / table.sum(axis=-1, keepdims=True)


def _logs(table: np.ndarray, floor: ArrayLike | None) -> np.ndarray:
    """Return log-probabilities, those of options outside the list at the floor."""
    unlisted = table == 0
    if floor is None and unlisted.any():
        raise UserError(
            f"probabilities[{_first(unlisted)}] is 0: give a floor, the bound of options outside "
            "the list, or 0 where the zeros are true ones"
        )
    floors = np.asarray(0.0 if floor is None else floor, float)[..., None]
    bounds = np.broadcast_to(floors, table.shape)
    wrong = unlisted & ~((bounds >= 0) & (bounds <= 1))
    if wrong.any():
        raise UserError(f"floor: must be a probability, not {bounds[wrong][0]}")
    with np.errstate(divide="ignore"):
        return np.log(np.where(unlisted, bounds, table))


def _normalised(logs: np.ndarray) -> np.ndarray:
    """Return probabilities (..., options) proportional to exp(logs); NaN where all are -inf."""
    top = logs.max(axis=-1, keepdims=True)
    weights = np.exp(logs - np.where(np.isneginf(top), np.nan, top))
    return weights / weights.sum(axis=-1, keepdims=True)


def _first(wrong: np.ndarray) -> str:
    """Return the index of the first True, as it is written between brackets."""
    return ", ".join(map(str, np.argwhere(wrong)[0]))
