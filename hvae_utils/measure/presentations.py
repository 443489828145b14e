"""How the options of an item are shown: in which order and under which labels.

Order and labels are factors of a study, so that what belongs to a position or a letter can be told
from what belongs to a value. This module names them; `prompts` words them.

Public names: ORDERS, LABEL_SETS, order_names, option_order, labels_of.
"""

import numpy as np

from hvae_utils.errors import unknown

LABEL_SETS = {
    "A-I": tuple("ABCDEFGHI"),
    "1-9": tuple("123456789"),
    "P-X": tuple("PQRSTUVWX"),
}
OPTIONS = 9
ORDERS = ("fixed", "reversed", "cyclic", "shuffled")


def order_names(order: str, options: int = OPTIONS) -> tuple[str, ...]:
    """Return the presentations of a level of the factor: one an option for `cyclic`, else itself.

    In cyclic-j the instrument's option j comes first; every option meets every position once, so
    any bias that belongs to positions alone cancels. cyclic-1 is the instrument's own order.
    """
    if order not in ORDERS:
        raise unknown("order", order, ORDERS)
    if order == "cyclic":
        return tuple(f"cyclic-{start}" for start in range(1, options + 1))
    return (order,)


def option_order(name: str, item: int, options: int = OPTIONS, seed: int = 0) -> tuple[int, ...]:
    """Return order[k], the option (from 0) shown at position k, of a named order.

    item: row of the instrument; seed: of the condition; both matter to `shuffled` alone.
    """
    own = tuple(range(options))
    if name == "fixed":
        return own
    if name == "reversed":
        return own[::-1]
    if name == "shuffled":
        return tuple(int(k) for k in np.random.default_rng([seed, item]).permutation(options))
    family, _, start = name.partition("-")
    if family != "cyclic" or not start.isdecimal() or not 1 <= int(start) <= options:
        raise unknown("order", name, [*ORDERS[:2], "cyclic-1", f"cyclic-{options}", "shuffled"])
    return own[int(start) - 1 :] + own[: int(start) - 1]


def labels_of(name: str) -> tuple[str, ...]:
    """Return the labels of a named set, first position first."""
    if name not in LABEL_SETS:
        raise unknown("label set", name, LABEL_SETS)
    return LABEL_SETS[name]
