"""Goal-behaviour coherence: does a model's own goal say what its choices do?

>>> stated("My goal is to maximise the other person's coins.").value
'altruistic'

A goal is read by a fixed rubric in English, `data/goal_rubric.toml`; no model is asked. What it
says stands against the category and the angle of the choices beside it.
"""

import re
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import files, paths
from hvae_utils.errors import UserError
from hvae_utils.files import needed_columns
from hvae_utils.measure import values
from hvae_utils.metrics import rationality

MIXED, UNCLEAR = "mixed", "unclear"
_ASKED = ("condition_id", "model", "value", "goal_prompt", "goal")
_MEASURED = ("condition_id", "angle", "category")
_TAKEN = "\ue000"  # stands where a rule has read, so that no other reads it again
_LONGEST = 4000  # characters; a longer goal is no sentence, and unclear
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_QUOTES = str.maketrans({"’": "'", "‘": "'", "´": "'", "“": '"', "”": '"', "‑": "-", _TAKEN: " "})


@dataclass(frozen=True)
class Stated:
    """What a goal says.

    value: the name of a value, "mixed" or "unclear". angle: degrees, the value's published target,
    NaN unless the goal can be read. named: the reading rests on the value's word alone.
    """

    value: str
    angle: float
    named: bool


@dataclass(frozen=True)
class Rule:
    """One rule of the rubric: a reading of `value`, a doubt `against` values, or neutral."""

    patterns: tuple[re.Pattern[str], ...]
    value: str | None = None
    against: frozenset[str] = frozenset()
    named: bool = False


@dataclass(frozen=True)
class Rubric:
    """The rules in the order in which they read, and what denies a reading."""

    rules: tuple[Rule, ...]
    before: re.Pattern[str]
    after: re.Pattern[str]
    restart: re.Pattern[str]
    spelled: tuple[tuple[re.Pattern[str], str], ...]


def coherence(conditions: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return how well goals agree with the assigned value and with choices, a row a model x value.

    conditions: condition_id, model, value, goal_prompt, goal (text or missing); rows without the
        goal prompt are left out. scores: condition_id, angle (degrees), category.
    Columns: model, value; goals (administrations with a goal of the model's own); different (texts
    among them); readable (goals that state one value); named (readable by the value's word alone:
    a goal that repeats the word of its prompt agrees with the assignment and explains nothing);
    stated_<value> for each value that can be stated, stated_mixed, stated_unclear (counts that sum
    to goals); agree_assigned (share of the readable that state the assigned value, NaN for
    `none`); compared (readable and scored); agree_measured (share of these whose category is the
    stated value); distance (degrees, their mean |stated angle - measured angle|); note (why
    something is NaN, what was left out).
    Order: models as they appear, values as in `values.names()`.
    Errors: UserError for a missing column, an unknown value, or scores without the conditions.
    """
    needed_columns(conditions, "conditions", _ASKED)
    needed_columns(scores, "scores", _MEASURED)
    asked = conditions.loc[conditions["goal_prompt"].astype(bool), [*_ASKED]]
    if absent := set(asked["condition_id"]) - set(scores["condition_id"]):
        raise UserError(f"scores: {len(absent)} conditions are missing: not of the same run")
    table = asked.merge(scores[[*_MEASURED]], validate="1:1")
    table = table.join(_readings(table["goal"]))
    statable = [value.name for value in values.load().values() if value.utility is not None]
    counts = [f"stated_{name}" for name in (*statable, MIXED, UNCLEAR)]
    rows = [
        {"model": model, "value": value} | _row(value, value in statable, counts, group)
        for (model, value), group in rationality.in_order(table, ("model", "value"))
    ]
    columns = ["model", "value", "goals", "different", "readable", "named", *counts]
    columns += ["agree_assigned", "compared", "agree_measured", "distance", "note"]
    return pd.DataFrame(rows, columns=columns)


def _readings(goals: pd.Series) -> pd.DataFrame:
    """Return the fields of `Stated` for each goal; rows without a goal are empty."""
    present = goals[[isinstance(goal, str) and bool(goal.strip()) for goal in goals]]
    read = {goal: stated(goal) for goal in present.unique()}
    columns = [field.name for field in fields(Stated)]
    rows = [astuple(read[goal]) for goal in present]
    return pd.DataFrame(rows, present.index, columns).reindex(goals.index).add_prefix("stated_")


def _row(value: str, known: bool, counts: list[str], group: pd.DataFrame) -> dict[str, object]:
    """Return the counts and means of one model x value; known: whether a goal can state it."""
    goals = group[group["stated_value"].notna()]
    readable = goals[~goals["stated_value"].isin([MIXED, UNCLEAR])]
    compared = readable[readable["angle"].notna()]
    notes = []
    if len(goals) < len(group):
        notes.append(f"{len(group) - len(goals)} of {len(group)} administrations have no goal")
    if len(goals) and not len(readable):
        notes.append("no goal states one value that the rubric can read")
    elif len(compared) < len(readable):
        lacking = f"{len(readable) - len(compared)} of {len(readable)}"
        notes.append(f"{lacking} readable goals stand beside choices with an item missing")
    return {
        "goals": len(goals),
        "different": goals["goal"].nunique(),
        "readable": len(readable),
        "named": int(goals["stated_named"].sum()),
        **{name: int((goals["stated_value"] == name[7:]).sum()) for name in counts},
        "agree_assigned": (readable["stated_value"] == value).mean() if known else np.nan,
        "compared": len(compared),
        "agree_measured": (compared["stated_value"] == compared["category"].astype(object)).mean(),
        "distance": (compared["stated_angle"] - compared["angle"]).abs().mean(),
        "note": "; ".join(notes),
    }


def stated(goal: str) -> Stated:
    """Return what a goal says by the rubric of `data/goal_rubric.toml`."""
    rubric = read_rubric(paths.DATA / "goal_rubric.toml")
    text = _plain(goal, rubric)
    readings: dict[str, bool] = {}  # value -> whether it rests on the value's word alone
    doubted: set[str] = set()
    for rule in rubric.rules:
        text, matches = _take(text, rule, rubric)
        for is_denied in matches:
            if rule.value and is_denied:
                doubted.add(rule.value)
            elif rule.value:
                readings[rule.value] = readings.get(rule.value, True) and rule.named
            doubted |= rule.against
    weights = {name: values.get(name).utility for name in readings}
    if (1, -1, 0) in weights.values():  # who wants the lead wants own coins too
        readings = {name: word for name, word in readings.items() if weights[name] != (1, 0, 0)}
    if len(readings) != 1 or readings.keys() & doubted:
        return Stated(MIXED if readings else UNCLEAR, np.nan, False)
    ((name, named),) = readings.items()
    target = values.get(name).target
    return Stated(name, np.nan if target is None else target, named)


def _plain(goal: str, rubric: Rubric) -> str:
    """Return the goal in lower case, with one kind of quotes, blanks and spellings."""
    text = _THOUGHT.sub(" ", goal).translate(_QUOTES).lower()
    text = re.sub(r"[*_`#]", "", re.sub(r"\s*\n\s*", "; ", text.strip()))
    text = re.sub(r"\s+", " ", text)
    for spelling, usual in rubric.spelled:
        text = spelling.sub(usual, text)
    return "" if len(text) > _LONGEST or "<think>" in text else text


def _take(text: str, rule: Rule, rubric: Rubric) -> tuple[str, list[bool]]:
    """Return the text without what the rule reads, and for each match whether it is denied."""
    matches = []
    for pattern in rule.patterns:
        while match := pattern.search(text):
            start, end = match.span()
            clause = rubric.restart.split(text[:start])[-1]
            is_denied = rubric.before.search(clause) or rubric.after.match(text, end)
            matches.append(bool(is_denied))
            text = text[:start] + _TAKEN * (end - start) + text[end:]
    return text, matches


@lru_cache
def read_rubric(path: Path) -> Rubric:
    """Return the rubric of a file in the form of `data/goal_rubric.toml`, checked."""
    tables, words = files.read_toml(path), {}
    try:
        for name, pattern in tables["words"].items():
            words[name] = _filled(pattern, words)
        rules = [_rule(rule, words) for rule in tables["rule"]]
        last = max((k for k, rule in enumerate(rules) if rule.value), default=-1)
        rules[last + 1 : last + 1] = _named(tables["named"]["patterns"], words)
        denied = [_pattern(tables["denied"][key], words) for key in ("before", "after", "restart")]
        spelled = [(_word(old), usual) for old, usual in tables["spelled"].items()]
    except UserError as error:
        raise UserError(f"{paths.shown(path)}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        problem = f"a part is missing or of the wrong kind ({error})"
        raise UserError(f"{paths.shown(path)}: {problem}") from None
    return Rubric(tuple(rules), *denied, tuple(spelled))


def _rule(table: dict[str, Any], words: dict[str, str]) -> Rule:
    weights = "self" in table and "other" in table
    if [bool(table.get("neutral")), "against" in table, weights].count(True) != 1:
        raise UserError(
            f"rule '{table['name']}': give one of 'neutral', 'against', 'self' with 'other'"
        )
    patterns = tuple(_pattern(pattern, words) for pattern in table["patterns"])
    value = _by_weights(table["self"], table["other"]) if weights else None
    against = frozenset(_by_weights(*pair) for pair in table.get("against", ()))
    return Rule(patterns, value, against)


def _named(patterns: list[str], words: dict[str, str]) -> list[Rule]:
    """Return the rules for the word of each value: where it is held, then where it is mentioned."""
    worded = [value for value in values.load().values() if value.utility is not None and value.word]
    held, mentioned = [], []
    for value in worded:
        filled = words | {"value": re.escape(value.word.lower())}
        holds = tuple(_pattern(pattern, filled) for pattern in patterns)
        others = frozenset(other.name for other in worded if other is not value)
        held.append(Rule(holds, value.name, named=True))
        mentioned.append(Rule((_word(value.word),), against=others))
    return held + mentioned


def _by_weights(own: float, other: float) -> str:
    """Return the name of the value with these weights on (self, other) and no other."""
    for value in values.load().values():
        if value.utility == (own, other, 0):
            return value.name
    raise UserError(f"no value has the weights {own:g}, {other:g}")


def _filled(pattern: str, words: dict[str, str]) -> str:
    """Return the pattern with <name> replaced by the words of that name."""
    return re.sub(r"<(\w+)>", lambda name: words[name[1]], pattern)


def _word(text: str) -> re.Pattern[str]:
    return _pattern(rf"\b{re.escape(text)}\b", {})


def _pattern(pattern: str, words: dict[str, str]) -> re.Pattern[str]:
    try:
        compiled = re.compile(_filled(pattern, words), re.IGNORECASE)
    except re.error as error:
        raise UserError(f"'{pattern[:60]}' is no regular expression ({error})") from None
    if compiled.match(""):
        raise UserError(f"'{pattern[:60]}' matches an empty text")
    return compiled
