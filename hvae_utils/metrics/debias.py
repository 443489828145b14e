"""Response probabilities over option orders: what the options get when no position is favoured.

>>> shown_in_two_orders = [[0.6, 0.3, 0.1], [0.3, 0.3, 0.4]]  # one row an order, options A, B, C
>>> average_logits(shown_in_two_orders).round(2).tolist()
[0.46, 0.32, 0.22]

Two mechanisms are told apart (`divergences`). An additive bias adds to log-probabilities, as in
Zheng et al. (2024, ICLR): averaging them cancels it where the orders are `balanced`. A
mixture takes some position whatever it holds in a share of the answers: `minimum` undoes it.
`docs/debiasing.md` says what stays in.

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

CLEAR = 1.0  # nats; below it evidence is "not worth more than a bare mention" (Kass & Raftery 1995)
_OFF = 1e-6  # how far above 1 a row of rounded probabilities may sum
_ROUNDS = 200  # of fitting; more change no evidence of the recovery study by 0.1 nats


def average_logits(probabilities: ArrayLike, floor: ArrayLike | None = None) -> np.ndarray:
    """Return float (..., options) summing to 1: the normalised geometric mean over the orders.

    Options outside the list stand at the floor, their upper bound; `average_range` says what that
    may have changed. NaN where an order has no answer, or where every option is a true zero in
    some order. Errors: UserError for a bad table, or a 0 without a floor.
    """
    return _normalised(_logs(_checked(probabilities), floor).mean(axis=-2))


def average_range(
    probabilities: ArrayLike, floor: ArrayLike, logs: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest average (..., options) that each option may have.

    logs: of `average_logits`, else of `average_probabilities`. Each probability outside the list is
    anything from 0 to its floor, independently: an option's least has its own at 0 and the others'
    at the floor, its greatest the reverse. With logs the least is therefore 0 for every option that
    is missing from any order's list. NaN and errors as there.
    """
    table = _checked(probabilities)
    least, most = (_logs(table, bound) for bound in (0.0, floor))
    if logs:
        least, most = least.mean(axis=-2), most.mean(axis=-2)
    top = most.max(axis=-1, keepdims=True)
    least, most = (np.exp(end - np.where(np.isneginf(top), np.nan, top)) for end in (least, most))
    low = least / (least + most.sum(axis=-1, keepdims=True) - most)
    high = most / (most + least.sum(axis=-1, keepdims=True) - least)
    return (low, high) if logs else (low.mean(axis=-2), high.mean(axis=-2))


def average_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """Return float (..., options): the mean over the orders, each scaled to sum 1.

    It spreads a bias over the options, but hardly depends on options outside the list. NaN where an
    order has no answer.
    """
    return _share(_checked(probabilities)).mean(axis=-2)


def minimum(probabilities: ArrayLike, floor: ArrayLike | None = None) -> np.ndarray:
    """Return float (..., options) summing to 1: each option's least probability over the orders.

    Exact for a mixture, where some position takes a share of the answers whatever it holds, if
    every option also stands where none does: the rest is (1 - share) times what the respondent
    does otherwise. Where probabilities also scatter, a minimum is too low for the options that
    scatter most. Options outside the list stand at the floor. NaN and errors as `average_logits`.
    """
    return _share(_listed(probabilities, floor).min(axis=-2))


def balanced(orders: ArrayLike) -> bool:
    """Return whether each option meets each position equally often, so that any bias cancels.

    >>> balanced([[0, 1, 2], [1, 2, 0], [2, 0, 1]]), balanced([[0, 1, 2], [2, 1, 0]])
    (True, False)
    """
    positions = np.argsort(orders, axis=1)
    meetings = np.array([(positions == at).sum(axis=0) for at in range(positions.shape[1])])
    return bool((meetings == meetings[0, 0]).all())


def position_bias(
    probabilities: ArrayLike, orders: ArrayLike, floor: ArrayLike | None = None
) -> np.ndarray:
    """Return float (..., positions), nats, summing to 0: what each adds to the log-probability.

    Least squares with a free effect for each option and order; no shape is assumed. A position's
    effect contains that of its label. NaN where the orders do not determine every position (fixed
    and reversed tell mirrored positions apart, no more), and where an order has no answer or a true
    zero. Errors: UserError for a bad table, or a 0 without a floor.
    """
    logs = _logs(_checked(probabilities), floor)
    return _position_effects(np.where(np.isfinite(logs), logs, np.nan), orders)


def divergences(
    probabilities: ArrayLike, orders: ArrayLike, floor: ArrayLike | None = None
) -> dict[str, np.ndarray]:
    """Return what three accounts of the answers leave unexplained, nats (...,), each 0 or more.

    probabilities: float (..., items, orders, options), leading axes for respondents. Every item
    has probabilities of its own, the same in all orders: "none". Over all items a respondent has
    one bias for each position, "additive" in log-probabilities, or a share of the answers each
    takes: "mixture". Both have as many free numbers and are fitted by maximum likelihood, the first
    by iterative proportional fitting (Deming & Stephan 1940), the second by expectation and
    maximisation (Dempster et al. 1977). Unexplained is the Kullback-Leibler divergence from the
    answers to the fit, summed over items and orders: what the account is expected to lose in
    log-likelihood if every presentation is answered once.
    """
    table = _listed(probabilities, floor)
    fits = {
        "none": table.mean(axis=-2, keepdims=True),
        "additive": _additive(table, np.asarray(orders)),
        "mixture": _mixture(table, np.asarray(orders)),
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = {name: table * np.log(table / fit) for name, fit in fits.items()}
    return {
        name: np.where(table > 0, loss, 0).sum(axis=(-3, -2, -1)).clip(0)
        for name, loss in lost.items()
    }


def mechanism(left: dict[str, float]) -> tuple[str, float, str]:
    """Return which mechanism fits, its evidence in nats, and a note where the answer is neither.

    left: as `divergences`, of one respondent. The evidence is by how much "additive" and "mixture"
    differ. "neither" where answers would hardly show a bias, where the two fit alike (both: less
    than CLEAR nats), and where the better one leaves more than half of what no bias leaves.

    >>> mechanism({"none": 20.0, "additive": 1.0, "mixture": 9.0})
    ('additive', 8.0, '')
    """
    better, other = sorted(("additive", "mixture"), key=left.__getitem__)
    evidence = left[other] - left[better]
    if not left["none"] >= CLEAR:
        return "neither", evidence, "no bias that single answers would show"
    if left[better] > left["none"] / 2:
        return "neither", evidence, "most differences between the orders are explained by neither"
    if evidence < CLEAR:
        return "neither", evidence, "both explain the bias alike"
    return better, evidence, ""


def order_disagreement(probabilities: ArrayLike) -> float:
    """Return how much the answer depends on the order: 0 not at all, 1 entirely.

    The total variation distance (half the sum of absolute differences) between the responses
    under two orders, averaged over all pairs of orders of an item, then over the items (leading
    axes). Orders without an answer are left out; NaN when no item has two.
    """
    table = _share(_checked(probabilities))
    table = table.reshape(-1, *table.shape[-2:])
    first, second = np.triu_indices(table.shape[1], 1)
    distances = np.abs(table[:, first] - table[:, second]).sum(axis=-1) / 2
    distances = distances[~np.isnan(distances).all(axis=1)]
    return float(np.nanmean(distances, axis=1).mean()) if distances.size else np.nan


def _position_effects(table: np.ndarray, orders: ArrayLike) -> np.ndarray:
    """Return least-squares effects (..., positions), summing to 0; NaN if any is not determined."""
    steps = _centred(np.moveaxis(np.eye(table.shape[-1])[np.argsort(orders, axis=1)], -1, 0))
    products = np.einsum("pkj,qkj->pq", steps, steps)
    if np.linalg.matrix_rank(products) < len(products) - 1:
        return np.full((*table.shape[:-2], len(products)), np.nan)
    return np.einsum("...kj,pkj->...p", table, steps) @ np.linalg.pinv(products, hermitian=True)


def _additive(table: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the fit whose logs are an effect of each item's option plus one of the position."""
    positions, fit = np.argsort(orders, axis=1), np.ones_like(table)
    by_option, by_position = table.sum(axis=-2, keepdims=True), _at_positions(table, orders)
    for _ in range(_ROUNDS):
        fit *= _ratio(by_option, fit.sum(axis=-2, keepdims=True))
        fit *= _ratio(by_position, _at_positions(fit, orders))[..., None, positions]
        fit /= fit.sum(axis=-1, keepdims=True)
    return fit


def _mixture(table: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the fit in which positions take shares of the answers and the items' options the rest.

    It starts from least squares, which are exact for an exact mixture.
    """
    positions, rows = np.argsort(orders, axis=1), table.sum(axis=(-3, -2, -1))[..., None]
    taken = np.nan_to_num(_position_effects(table, orders).mean(axis=-2))
    taken = (taken - taken.min(axis=-1, keepdims=True)) * 0.999 + 1e-6
    options = (table - taken[..., None, positions]).clip(1e-9).mean(axis=-2, keepdims=True)
    for _ in range(_ROUNDS):
        guided = table * _ratio(options, options + taken[..., None, positions])
        taken = _at_positions(table - guided, orders) / rows
        share = guided.sum(axis=(-3, -2, -1), keepdims=True) / rows[..., None, None]
        options = share * _share(guided.sum(axis=-2, keepdims=True))
    return options + taken[..., None, positions]


def _at_positions(table: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the sums (..., positions) over items and orders of a table by option."""
    return table[..., np.arange(len(orders))[:, None], orders].sum(axis=(-3, -2))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return the quotient, 0 where both are 0."""
    return above / np.where(below > 0, below, 1.0)


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


def _listed(probabilities: ArrayLike, floor: ArrayLike | None) -> np.ndarray:
    """Return the table, options outside the list at the floor, each order scaled to sum 1."""
    return _normalised(_logs(_checked(probabilities), floor))


def _share(table: np.ndarray) -> np.ndarray:
    """Return the table scaled to sum 1 over the options; NaN where all are 0."""
    total = table.sum(axis=-1, keepdims=True)
    return table / np.where(total > 0, total, np.nan)


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
    return _share(np.exp(logs - np.where(np.isneginf(top), np.nan, top)))


def _first(wrong: np.ndarray) -> str:
    """Return the index of the first True, as it is written between brackets."""
    return ", ".join(map(str, np.argwhere(wrong)[0]))
