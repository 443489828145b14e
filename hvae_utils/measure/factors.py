"""The factors of a study: their names, their levels, and what they make of administrations.

A cell is what a score is reported for: model x value x goal prompt. A cluster is what a study
samples: a wording. The other factors are levels that the study chose, and repeats of one prompt are
copies of it: neither gives a cluster of its own. Order and labels of the options are factors, so
that what belongs to a position or a letter can be told from what belongs to a value.
"""

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError, unknown

FACTORS = (
    *("model", "deliberation", "value", "goal_prompt", "induction", "placement", "protocol"),
    *("wording", "order", "labels", "repeat"),
)
# objective: no value is named; a rule says what to choose by.
INDUCTIONS = ("self_description", "definition", "label", "objective")
PLACEMENTS = ("dialogue", "system")
PROTOCOLS = ("independent", "conversation")
READOUTS = ("text", "probabilities")
# What a model that thinks on its own is told about it, where its endpoint takes that.
THINKING = ("off", "on", "minimal", "low", "medium", "high", "xhigh")
# direct: asked at once, served as its owner serves it; reasoned: it first thinks in a turn of its
# own, then names the label.
DELIBERATIONS = ("direct", "reasoned", *THINKING)
REPLIES = ("free", "constrained")  # constrained: the server lets through nothing but a label
ORDERS = ("fixed", "reversed", "cyclic", "latin", "shuffled")
CONTRASTS = ("steerability", "goal_prompt", "models")  # tests that a study can plan
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
CLUSTER = ("wording",)


def order_names(order: str, options: int, place: int = 0) -> tuple[str, ...]:
    """Return the conditions of an order: one an option for `cyclic`, else one.

    In cyclic-j the instrument's option j comes first, so every option meets every position once.
    place: of the wording in the study's list, from 0. In `latin` the wordings take turns: each is
    shown in one cyclic order, and as many wordings as options make a Latin square.

    >>> order_names("cyclic", 3)
    ('cyclic-1', 'cyclic-2', 'cyclic-3')
    >>> order_names("latin", 3, place=4)
    ('cyclic-2',)
    """
    cyclic = tuple(f"cyclic-{start}" for start in range(1, options + 1))
    return {"cyclic": cyclic, "latin": (cyclic[place % options],)}.get(order, (order,))


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


def respondent(model: str, deliberation: str) -> str:
    """Return what a model is called that deliberates so: a respondent of its own, scored apart.

    >>> respondent("openai/gpt-6", "low"), respondent("openai/gpt-6", "direct")
    ('openai/gpt-6+low', 'openai/gpt-6')
    """
    return model if deliberation == "direct" else f"{model}+{deliberation}"


def model_of(respondent: str) -> tuple[str, str]:
    """Return the model of a respondent and how it deliberates.

    >>> model_of("openai/gpt-6+low"), model_of("ollama/c4+r")
    (('openai/gpt-6', 'low'), ('ollama/c4+r', 'direct'))
    """
    model, _, deliberation = respondent.rpartition("+")
    return (model, deliberation) if deliberation in DELIBERATIONS else (respondent, "direct")


def once(frame: pd.DataFrame) -> None:
    """Raise UserError where two administrations have the same factors."""
    twice = frame.duplicated([*FACTORS])
    if twice.any():
        factors = frame.loc[twice, [*FACTORS]].iloc[0].to_dict()
        raise UserError(f"scores: two administrations with the same factors, {factors}")
