"""A seeded maker of a run's tables from respondents whose behaviour is known; asks nobody."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hvae_utils.measure import instruments, scoring, svo, values
from hvae_utils.metrics import effects, rationality

RESPONDENTS = (
    "reference/faithful",
    "reference/lapsing",
    "reference/agreeable",
    "reference/random",
    "reference/first-option",
    "local/smollm2-135m-instruct",
)
WORDINGS = ("plain", "formal", "brief")


@dataclass(frozen=True)
class Tables:
    """The tables of a run, in the schemas of the workbook."""

    conditions: pd.DataFrame
    responses: pd.DataFrame
    scores: pd.DataFrame
    cells: pd.DataFrame
    goal_effects: pd.DataFrame


def make(models: tuple[str, ...] = RESPONDENTS, seed: int = 7, repeats: int = 4) -> Tables:
    """Return the tables of `models`; any unknown name behaves like the weak local model.

    The weak model is asked once a wording; 60% of its items have no choice and the others are
    mostly option 1, so most of its administrations have no angle.
    """
    rng = np.random.default_rng(seed)
    instrument = instruments.load("svo-slider")
    conditions = _conditions(models, repeats)
    responses = pd.DataFrame(
        row for condition in conditions.itertuples() for row in _items(condition, instrument, rng)
    ).astype({"option": "Int64"})
    scores = scoring.administrations(conditions, responses)
    return Tables(
        conditions,
        responses,
        scores,
        rationality.cells(scores),
        effects.goal_effects(scores),
    )


def _conditions(models, repeats):
    rows = [
        {
            "model": model,
            "value": value,
            "goal_prompt": goal,
            "goal": f"goal {repeat}" if goal else None,
            "induction": "none" if value == "none" else "self_description",
            "placement": "none" if value == "none" else "dialogue",
            "protocol": "independent",
            "wording": wording,
            "order": "fixed",
            "labels": "A-I",
            "repeat": repeat,
            "instrument": "svo-slider",
        }
        for model in models
        for value in values.names()
        for goal in (False, True)
        for wording in WORDINGS
        for repeat in range(1, (repeats if model.startswith("reference/") else 1) + 1)
    ]
    table = pd.DataFrame(rows)
    keys = [hashlib.sha256(str(row).encode()).hexdigest()[:12] for row in rows]
    table.insert(0, "condition_id", keys)
    return table


def _items(condition, instrument, rng):
    options = instrument.payoffs.shape[1]
    guesses = rng.integers(options, size=len(instrument.items))
    kind = condition.model.removeprefix("reference/")
    if kind in ("faithful", "lapsing") and condition.value != "none":
        chosen = svo.ideal_choices(condition.value, instrument)
        lapses = rng.random(len(chosen)) < (0.2 if kind == "lapsing" else 0.0)
        chosen = np.where(lapses, guesses, chosen)
    elif kind == "agreeable":
        chosen = svo.ideal_choices("prosocial", instrument)
    elif kind in ("faithful", "lapsing", "random"):
        chosen = guesses
    else:
        chosen = np.zeros(len(guesses), int)
    for place, item in enumerate(instrument.items):
        outcome, option = "choice", int(chosen[place]) + 1
        if not condition.model.startswith("reference/"):
            outcome = rng.choice(
                ["choice", "unparseable", "empty", "refusal", "truncated"],
                p=[0.4, 0.35, 0.16, 0.05, 0.04]
                if condition.value != "prosocial"
                else [0.9, 0.1, 0, 0, 0],
            )
        if outcome != "choice":
            option = None
        yield {
            "condition_id": condition.condition_id,
            "item": item,
            "outcome": str(outcome),
            "option": option,
        }
