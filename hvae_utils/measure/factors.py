"""The factors of a study: their names, their levels, and what they make of administrations.

A cell is what a score is reported for: model x value x goal prompt. A cluster is what was drawn at
random: one wording with one goal draw, the goal that a model wrote there. The other factors are
levels that the study chose: they give no cluster of their own, unless the model wrote another goal
under them. Order and labels of the options are factors, so that what belongs to a position or a
letter can be told from what belongs to a value.
"""

from zlib import crc32

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError, unknown
from hvae_utils.files import needed_columns

FACTORS = (
    *("model", "value", "goal_prompt", "induction", "placement", "protocol", "wording"),
    *("order", "labels", "repeat"),
)
INDUCTIONS = ("self_description", "definition", "label")
PLACEMENTS = ("dialogue", "system")
PROTOCOLS = ("independent", "conversation")
READOUTS = ("text", "probabilities")
ORDERS = ("fixed", "reversed", "cyclic", "shuffled")
LABEL_SETS = {  # an item takes as many as it has options, from the first on
    "A-I": tuple("ABCDEFGHI"),
    "1-9": tuple("123456789"),
    "P-X": tuple("PQRSTUVWX"),
}
REFERENCES = {  # the level others are compared with; else the first one that appears
    "induction": "self_description",
    "placement": "dialogue",
    "goal_prompt": False,
    "protocol": "independent",
    "order": "fixed",
    "labels": "A-I",
}
MOST_OPTIONS = 9  # of an item: as many as every set has labels

CELL = ("model", "value", "goal_prompt")
CLUSTER = ("wording", "goal_draw")
_SIDES = ("_level", "_reference")  # of a pair


def order_names(order: str, options: int) -> tuple[str, ...]:
    """Return the conditions of an order: one an option for `cyclic`, else itself.

    In cyclic-j the instrument's option j comes first, so every option meets every position once.

    >>> order_names("cyclic", 3)
    ('cyclic-1', 'cyclic-2', 'cyclic-3')
    """
    if order == "cyclic":
        return tuple(f"cyclic-{start}" for start in range(1, options + 1))
    return (order,)


def option_order(name: str, item: int, options: int, seed: int = 0) -> tuple[int, ...]:
    """Return order[k], the option (from 0) shown at position k, of a named order.

    item: row of the instrument; seed: of the condition; both for `shuffled` alone.

    >>> option_order("reversed", 0, 4)
    (3, 2, 1, 0)
    """
    fixed = tuple(range(options))
    if name == "fixed":
        return fixed
    if name == "reversed":
        return fixed[::-1]
    if name == "shuffled":
        return tuple(int(k) for k in np.random.default_rng([seed, item]).permutation(options))
    cyclic = order_names("cyclic", options)
    if name not in cyclic:
        raise unknown("order", name, ["fixed", "reversed", *cyclic, "shuffled"])
    start = cyclic.index(name)
    return fixed[start:] + fixed[:start]


def goal_draws(conditions: pd.DataFrame) -> pd.Series:
    """Return what identifies the goal behind each condition, int: 0 without goal prompt.

    conditions: columns goal_prompt and goal (text). It is the CRC-32 of the text, so that equal
    goals are one draw whichever part of a study is read.
    """
    needed_columns(conditions, "conditions", ["goal_prompt", "goal"])
    goals = conditions["goal"].where(conditions["goal"].notna(), "").astype(str)
    draws = goals.map(lambda text: crc32(text.encode()) or 1).astype("int64")
    return draws.where(conditions["goal_prompt"].astype(bool), 0).rename("goal_draw")


def clusters(frame: pd.DataFrame) -> pd.Series:
    """Return the cluster of each row, an integer from 0: wording x goal draw.

    frame: administrations, or `pairs`, where a draw is the two goals of the pair together. Draws
    are numbered within model, value and wording, so that asking for more values adds no cluster.
    """
    draws = [f"goal_draw{side}" for side in _SIDES if f"goal_draw{side}" in frame] or ["goal_draw"]
    needed_columns(frame, "scores", ["model", "value", "wording", *draws])
    draw = frame.groupby(draws, sort=False).ngroup()
    within = [frame[name] for name in ("model", "value", "wording")]
    number = draw.groupby(within).transform(lambda one: pd.factorize(one)[0]).rename("number")
    return number.groupby([frame["wording"], number], sort=False).ngroup()


def pairs(
    frame: pd.DataFrame, factor: str, reference: object, level: object, measure: str
) -> pd.DataFrame:
    """Return the administrations that differ in this factor alone, one row a pair.

    Columns: the other factors, {measure}_level and {measure}_reference, and goal_draw of both
    sides. Errors: UserError for a missing column and an administration found twice.
    """
    needed_columns(frame, "scores", [*FACTORS, "goal_draw", measure])
    once(frame)
    matched = [name for name in FACTORS if name != factor]
    kept = frame[[*matched, "goal_draw", measure]]
    first, other = (kept[frame[factor] == side] for side in (reference, level))
    return other.merge(first, on=matched, suffixes=_SIDES)


def once(frame: pd.DataFrame) -> None:
    """Raise UserError where two administrations have the same factors."""
    twice = frame.duplicated([*FACTORS])
    if twice.any():
        factors = frame.loc[twice, [*FACTORS]].iloc[0].to_dict()
        raise UserError(f"scores: two administrations with the same factors, {factors}")
