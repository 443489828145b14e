"""Response probabilities over option orders: what the options get when no slot is favoured.

The model of the bias is additive in log-probabilities, as in Zheng et al. (2024, "Large Language
Models Are Not Robust Multiple Choice Selectors", ICLR), who average them over cyclic orders too:

    log p(option, order) = option effect + slot effect + label effect + a constant of the order

Averaging log-probabilities cancels the slots wherever every option meets every slot equally
often (nine cyclic orders), and a bias linear in the slot wherever every option has the same mean
slot (fixed and reversed): `cancels` says which. Averaging probabilities cancels neither and drags
extreme respondents to the middle. What the model leaves out stays in: a taste for an option
because of its neighbours (cyclic orders keep the neighbours), or a bias that grows with utility.

A label keeps its slot in every presentation, so the two cancel together, and one set of labels
cannot tell them apart; `orders.position_bias` compares several. What the orders do not determine
is NaN: this module must never report one of many equally good solutions.

Shapes: probabilities (..., orders, options), options in the instrument's own order, leading axes
for items or administrations; orders (orders, options), orders[k][j] = option shown at slot j of
presentation k, all 0-based. Rows need not sum to 1 (the rest of the mass is not on a label). A row
that is all NaN is a presentation without an answer: what rests on it is NaN. From log-probabilities
take numpy.exp. A 0 is an option outside the endpoint's list of likely tokens: its probability is
unknown, at most the last one listed. `floor`, one number or an array (..., orders), is that bound
(or the mass not listed, if less); 0 says that the zeros are true ones.

Public names: average_logits, average_range, average_probabilities, cancels, position_bias,
order_disagreement.
"""

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError

_OFF = 1e-6  # how far above 1 a row of rounded probabilities may sum
_ESTIMABLE = 1e-9  # how far a contrast may stick out of what the orders determine


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
    is 0 for every option that is missing from any order's list: nothing bounds it from below.
    Equal to `average_logits` where all options are listed. NaN and errors as there.
    `orders.debiased` turns the ranges into bounds of the mean angle.
    """
    table = _checked(probabilities)
    least = _logs(table, 0.0).mean(axis=-2)
    most = _logs(table, floor).mean(axis=-2)
    own = np.eye(table.shape[-1], dtype=bool)
    ends = []
    for mine, others in ((least, most), (most, least)):
        mixed = np.where(own, mine[..., None, :], others[..., None, :])
        ends.append(np.diagonal(_normalised(mixed), axis1=-2, axis2=-1))
    return ends[0], ends[1]


def average_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """Return float (..., options): the mean over the orders, each scaled to sum 1.

    For comparison only: it does not remove a bias but spreads it over the options, so a
    respondent at an extreme looks moderate. NaN where an order has no answer.
    """
    table = _checked(probabilities)
    return (table / table.sum(axis=-1, keepdims=True)).mean(axis=-2)


def cancels(orders: ArrayLike) -> str:
    """Return which bias averaging log-probabilities over these orders removes.

    "any": each option meets each slot equally often, so any pattern of slots (and of labels fixed
    to slots) cancels. "linear": each option has the same mean slot, so a bias linear in the slot
    cancels (with fixed and reversed, any pattern antisymmetric about the middle slot). "none".
    Errors: UserError for an order that is no permutation.
    """
    slots = np.argsort(_permutations(orders), axis=1)
    meetings = np.array([(slots == slot).sum(axis=0) for slot in range(slots.shape[1])])
    if (meetings == meetings[:, :1]).all():
        return "any"
    totals = slots.sum(axis=0)
    return "linear" if (totals == totals[0]).all() else "none"


def position_bias(
    probabilities: ArrayLike,
    orders: ArrayLike,
    floor: ArrayLike | None = None,
    linear: bool = False,
) -> np.ndarray:
    """Return float (..., slots), nats, summing to 0: what each slot adds to the log-probability.

    Least squares with a free effect for each option, order and slot; a slot's effect contains that
    of its label. NaN where the orders do not determine a slot's effect. All cyclic orders
    determine every slot. One order determines nothing. Fixed and reversed determine only the
    difference between slots that mirror each other, so every slot is NaN, unless `linear`: then
    the bias is assumed to be linear in the slot, and that line is returned.
    NaN too where an order has no answer or a true zero. Errors: UserError for a bad table, orders
    that are no permutations, or a 0 without a floor.
    """
    table, shown = _checked_orders(probabilities, orders)
    slots = np.argsort(shown, axis=1)
    count = shown.shape[1]
    logs = _logs(table, floor)
    if linear:
        line = np.arange(count) - (count - 1) / 2
        return _estimates(logs, line[slots].reshape(-1, 1), np.eye(1)) * line
    return _estimates(logs, np.eye(count)[slots.ravel()], np.eye(count) - 1 / count)


def order_disagreement(probabilities: ArrayLike) -> float:
    """Return how much the answer depends on the order: 0 not at all, 1 entirely.

    The total variation distance (half the sum of absolute differences) between the responses
    under two orders, averaged over all pairs of orders of an item, then over the items (leading
    axes). Of certain answers it is the share of pairs of orders with different answers; sampled
    answers differ by chance as well. Options in the instrument's order, each row scaled to sum 1.
    Orders without an answer are left out; NaN when no item has two.
    """
    table = _checked(probabilities)
    table = (table / table.sum(axis=-1, keepdims=True)).reshape(-1, *table.shape[-2:])
    first, second = np.triu_indices(table.shape[1], 1)
    distances = np.abs(table[:, first] - table[:, second]).sum(axis=-1) / 2
    known = ~np.isnan(distances)
    pairs = known.sum(axis=1)
    means = np.where(known, distances, 0).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    return float(means.mean()) if len(means) else float("nan")


def _checked(probabilities: ArrayLike) -> np.ndarray:
    """Return the table (..., orders, options) as floats; rows are proper or all NaN."""
    try:
        table = np.asarray(probabilities, float)
    except (TypeError, ValueError):
        raise UserError("probabilities: must be numbers, (..., orders, options)") from None
    if table.ndim < 2 or 0 in table.shape[-2:]:
        raise UserError(f"probabilities: expected (..., orders, options), found {table.shape}")
    nan = np.isnan(table)
    for wrong, what in (
        (nan.any(axis=-1) & ~nan.all(axis=-1), "is NaN in some options but not in all"),
        ((table < 0).any(axis=-1), "holds a negative number; log-probabilities need numpy.exp"),
        ((table == 0).all(axis=-1), "is all zeros"),
        (table.sum(axis=-1) > 1 + _OFF, "sums to more than 1"),
    ):
        if wrong.any():
            raise UserError(f"probabilities[{_at(wrong)}] {what}")
    return table


def _logs(table: np.ndarray, floor: ArrayLike | None) -> np.ndarray:
    """Return log-probabilities, those of options outside the list at the floor."""
    unlisted = table == 0
    if floor is None:
        if unlisted.any():
            raise UserError(
                f"probabilities[{_at(unlisted)}] is 0: give a floor, the bound of options outside "
                "the list, or 0 where the zeros are true ones"
            )
        return np.log(table)
    floors = np.asarray(floor, float)
    if floors.ndim and floors.shape[-1] != table.shape[-2]:
        raise UserError(
            f"floor: expected a number or (..., orders) for probabilities {table.shape}, found "
            f"{floors.shape}"
        )
    bounds = np.broadcast_to(floors[..., None], table.shape)
    # A floor is needed, and checked, only where there is something to bound.
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


def _permutations(orders: ArrayLike) -> np.ndarray:
    """Return the orders as an int array (orders, options)."""
    try:
        shown = np.asarray(orders)
    except ValueError:
        raise UserError("orders: every order needs all options") from None
    if shown.ndim != 2 or 0 in shown.shape or shown.dtype.kind not in "iu":
        raise UserError(
            f"orders: expected whole numbers, (orders, options), found {shown.shape} of "
            f"{shown.dtype}"
        )
    wrong = (np.sort(shown, axis=1) != np.arange(shown.shape[1])).any(axis=1)
    if wrong.any():
        at = np.flatnonzero(wrong)[0]
        raise UserError(
            f"orders[{at}] is no permutation of 0 to {shown.shape[1] - 1}: {shown[at].tolist()}"
        )
    return shown


def _checked_orders(probabilities: ArrayLike, orders: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    table, shown = _checked(probabilities), _permutations(orders)
    if table.shape[-2:] != shown.shape:
        raise UserError(
            f"orders: {shown.shape} does not fit probabilities {table.shape}: both need one row an "
            "order and one column an option"
        )
    return table, shown


def _estimates(logs: np.ndarray, block: np.ndarray, contrasts: np.ndarray) -> np.ndarray:
    """Return contrasts (..., n) of the block's effects by least squares, NaN if not estimable.

    logs: (..., orders, options); block: (orders * options, effects), regressed with an effect for
    each option and each order. A contrast is estimable where it lies in the row
    space of the design: then, and only then, all least squares solutions give it the same value.
    """
    orders, options = logs.shape[-2:]
    order, option = np.indices((orders, options)).reshape(2, -1)
    design = np.hstack([block, np.eye(orders)[order], np.eye(options)[option]])
    wanted = np.zeros((len(contrasts), design.shape[1]))
    wanted[:, : block.shape[1]] = contrasts
    inverse = np.linalg.pinv(design, rcond=1e-10)
    estimable = np.abs(wanted @ inverse @ design - wanted).max(axis=1) < _ESTIMABLE
    cells = logs.reshape(*logs.shape[:-2], -1)
    usable = np.isfinite(cells).all(axis=-1, keepdims=True)
    found = np.where(usable, cells, 0) @ (wanted @ inverse).T
    return np.where(usable & estimable, found, np.nan)


def _at(wrong: np.ndarray) -> str:
    """Return the index of the first True, as it is written between brackets."""
    return ", ".join(map(str, np.argwhere(wrong)[0]))
