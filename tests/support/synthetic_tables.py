"""A seeded maker of a run's tables from respondents whose behaviour is known; asks nobody."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hvae_utils.measure import factors, instruments, scoring, svo, values
from hvae_utils.metrics import lapse, quality, rationality, steerability

RESPONDENTS = (
    "reference/faithful",
    "reference/lapsing",
    "reference/agreeable",
    "reference/random",
    "reference/first-option",
    "local/smollm2-135m-instruct",
)
WORDINGS = (
    *("plain", "formal", "brief", "casual", "polite", "technical", "direct", "story", "survey"),
)
LAPSES = 0.2  # of the respondent "lapsing"
AUDITED = 11  # every such condition of a model is also read as text
FAILED = ("refusal", "unparseable", "truncated", "empty")


@dataclass(frozen=True)
class Tables:
    """The tables of a run, in the schemas of the workbook."""

    conditions: pd.DataFrame
    responses: pd.DataFrame
    scores: pd.DataFrame
    cells: pd.DataFrame
    steerability: pd.DataFrame
    goal_effects: pd.DataFrame
    deliberation: pd.DataFrame


def make(
    models: tuple[str, ...] = RESPONDENTS,
    seed: int = 7,
    repeats: int = 1,
    method: str = "probabilities",
    wordings: tuple[str, ...] = WORDINGS,
) -> Tables:
    """Return the tables of `models`; any unknown name behaves like the weak local model.

    The weak model likes the first position, shows little of the value, and puts 0.5 to 0.8 of its
    mass on labels. Of written answers ("text") it gives 60% without a choice, so most of its
    administrations have no angle.
    """
    rng = np.random.default_rng(seed)
    instrument = instruments.load("svo-slider")
    conditions = _conditions(models, repeats, wordings)
    responses = pd.DataFrame(
        row
        for condition in conditions.itertuples()
        for row in _items(condition, instrument, method, rng)
    ).astype({"option": "Int64", "written": "Int64"})
    scores = scoring.administrations(conditions, responses)
    cells = rationality.cells(scores)
    return Tables(
        conditions,
        responses,
        scores,
        quality.with_readings(cells, conditions, responses, scores),
        steerability.table(scores, responses=responses),
        steerability.of_goal_prompt(scores),
        steerability.of_deliberation(scores),
    )


def _conditions(models, repeats, wordings):
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
            "order": f"cyclic-{place % 9 + 1}",
            "labels": "A-I",
            "repeat": repeat,
            "instrument": "svo-slider",
            "margin": 0.1,
        }
        for model in models
        for value in values.names()
        for goal in (False, True)
        for place, wording in enumerate(wordings)
        for repeat in range(1, repeats + 1)
    ]
    table = pd.DataFrame(rows)
    keys = [hashlib.sha256(str(row).encode()).hexdigest()[:12] for row in rows]
    table.insert(0, "condition_id", keys)
    table = table.assign(deliberation=[factors.model_of(name)[1] for name in table["model"]])
    return table.assign(audited=table.groupby("model").cumcount() % AUDITED == 0)


def probabilities(condition, instrument, rng):
    """Return the respondent's own probabilities (items, options), in the instrument's order."""
    items, options = instrument.payoffs.shape[:2]
    kind = factors.model_of(condition.model)[0].removeprefix("reference/")
    uniform = np.full((items, options), 1 / 9)
    first = factors.option_order(condition.order, 0, options)[0]
    if kind in ("faithful", "lapsing") and condition.value != "none":
        rate = LAPSES if kind == "lapsing" else 0.0
        return lapse.probabilities(condition.value, rate, instrument)
    if kind == "agreeable":
        return np.eye(options)[svo.ideal_choices("prosocial", instrument)]
    if kind in ("faithful", "lapsing", "random"):
        return uniform
    if kind == "first-option":
        return np.tile(np.eye(options)[first], (items, 1))
    drawn = rng.normal(0, 0.3, (items, options))
    drawn[:, first] += 2
    return np.exp(drawn) / np.exp(drawn).sum(axis=1, keepdims=True)


def _items(condition, instrument, method, rng):
    table = probabilities(condition, instrument, rng)
    weak = not condition.model.startswith("reference/")
    for place, item in enumerate(instrument.items):
        drawn = int(rng.choice(len(table[place]), p=table[place])) + 1
        outcome = "choice"
        if weak and rng.random() > (0.9 if condition.value == "prosocial" else 0.4):
            outcome = str(rng.choice(FAILED))
        answered = outcome == "choice"
        row = {
            "condition_id": condition.condition_id,
            "item": item,
            "order": condition.order,
            "labels": condition.labels,
            "method": method,
            "outcome": outcome,
            "option": drawn if answered else None,
            "written": None,
            "written_outcome": None,
            "covered_mass": np.nan,
            "chains": np.nan,
            "between_chains": np.nan,
            "thought": "",
            "thinking_tokens": np.nan,
            "flags": "",
        }
        mass = rng.uniform(0.5, 0.8) if weak else 1.0
        listed = mass * table[place] if method == "probabilities" else np.full(9, np.nan)
        if method == "probabilities":
            row |= {"outcome": "choice", "option": int(table[place].argmax()) + 1}
            row |= {"covered_mass": mass}
        if method == "probabilities" and condition.audited:
            row |= {"written": drawn if answered else None, "written_outcome": outcome}
        yield row | {f"p{option}": share for option, share in enumerate(listed, start=1)}
