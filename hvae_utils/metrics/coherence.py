"""Goal-behaviour coherence: does a model's own goal say what its choices do?

The weight on the other's payoff that the goal states stands against the one that the choices reveal
(`revealed`), both as a utility angle t in degrees, u = cos t * self + sin t * other.
A goal is read by a fixed, documented rubric, `data/goal_rubric.toml`, in which patterns say whose
payoff counts. A goal that says two things is "mixed", one that says nothing the rubric knows is
"unclear": this module must never guess, and never ask a model. Only English is read.

Public names: MIXED, UNCLEAR, Stated, stated, coherence, Rubric, read_rubric.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import files, paths
from hvae_utils.errors import UserError, unknown
from hvae_utils.files import needed_columns
from hvae_utils.measure import instruments, values
from hvae_utils.metrics import revealed

MIXED, UNCLEAR = "mixed", "unclear"
_RULE_KEYS = ("name", "why", "neutral", "self", "other", "against", "patterns")
_ASKED = ("model", "value", "goal_prompt", "goal", "instrument")
_MEASURED = ("angle", "category", "mean_self", "mean_other")
_REVEALED = ("revealed_weight", "revealed_low", "revealed_high")
_TABLES = ("source", "spelled", "denied", "named", "words", "rule")
_TAKEN = "\ue000"  # stands where a rule has read, so that no other reads it again
_LONGEST = 4000  # characters; a longer goal is no sentence, and unclear
_ONLY_OWN, _AHEAD = (1.0, 0.0), (1.0, -1.0)
_PAST_ENDS = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_QUOTES = str.maketrans({"’": "'", "‘": "'", "´": "'", "“": '"', "”": '"', "‑": "-", _TAKEN: " "})


@dataclass(frozen=True)
class Stated:
    """What a goal says.

    value: the name of a value, "mixed" or "unclear". angle: degrees, the value's published target,
    NaN unless the goal can be read. weights: on (self, other) per coin, None likewise. named: the
    reading rests on the value's word alone. evidence: "rule: the words it read", in the order of
    the rubric.
    """

    value: str
    angle: float
    weights: tuple[float, float] | None
    named: bool
    evidence: tuple[str, ...]

    @property
    def readable(self) -> bool:
        """Say whether the goal states one value."""
        return self.value not in (MIXED, UNCLEAR)


@dataclass(frozen=True)
class Rule:
    """One rule of the rubric: a reading of `value`, a doubt `against` values, or neutral."""

    name: str
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


def stated(goal: str, rubric: Rubric | None = None) -> Stated:
    """Return what a goal says; rubric: the project's own unless given."""
    rubric = rubric or _own_rubric(paths.DATA / "goal_rubric.toml")
    text = _plain(goal, rubric)
    said: dict[str, bool] = {}  # value -> whether more than its word was found
    denied, doubted, evidence = set(), set(), []
    for rule in rubric.rules:
        text, found = _take(text, rule, rubric)
        for words, is_denied in found:
            if rule.value and is_denied:
                denied.add(rule.value)
            elif rule.value:
                said[rule.value] = said.get(rule.value, False) or not rule.named
            doubted |= rule.against
            if rule.value or rule.against:
                kind = "doubt, " if rule.against else "denied, " if is_denied else ""
                evidence.append(f"{kind}{rule.name}: {words}")
    if _by_weights(_AHEAD) in said:  # who wants the lead wants own coins too
        said.pop(_by_weights(_ONLY_OWN), None)
    if not said:
        return Stated(UNCLEAR, np.nan, None, False, tuple(evidence))
    if len(said) > 1 or said.keys() & (denied | doubted):
        return Stated(MIXED, np.nan, None, False, tuple(evidence))
    ((name, more),) = said.items()
    value = values.get(name)
    angle = np.nan if value.target is None else value.target
    return Stated(name, angle, value.utility[:2], not more, tuple(evidence))


def coherence(conditions: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return how well goals agree with the assigned value and with choices, a row a model x value.

    conditions: condition_id, model, value, goal_prompt, goal (text or missing), instrument; rows
        without the goal prompt are left out. scores: condition_id, angle (degrees), category,
        mean_self, mean_other (coins).
    Columns: model, value; goals (administrations with a goal of the model's own); different (texts
    among them); readable (goals that state one value); named (readable by the value's word alone:
    a goal that repeats the word it was given agrees with the assignment and explains nothing);
    stated_<value> for each value that can be stated, stated_mixed, stated_unclear (counts that sum
    to goals); agree_assigned (share of the readable that state the assigned value, NaN for
    `none`); compared (readable and scored); agree_measured (share of these whose category is the
    stated value); distance (degrees, their mean |stated angle - measured angle|). Of the compared
    also, as means in degrees of utility angle: stated_weight (the weights that the rubric reads:
    90 other, 45 both, 0 own, -45 ahead); revealed_low, revealed_high (the ends of what the choices
    are consistent with, or regret least: on six items often tens of degrees apart) and
    revealed_weight (their middle); weight_difference (from the stated weight to the nearest angle
    that the choices allow: 0 where they allow it, below 0 where they give the other less weight
    than was said); revealed_regret (coins of utility an item that even the revealed angles regret:
    0 for choices of one mind; the more, the less a weight says). note (why something is NaN, what
    was left out).
    Order: models as they appear, values as in `values.names()`.
    Errors: UserError for a missing column, an unknown value, or scores without the conditions.
    """
    for table, columns, name in (
        (conditions, ("condition_id", *_ASKED), "conditions"),
        (scores, ("condition_id", *_MEASURED), "scores"),
    ):
        needed_columns(table, name, columns)
    for value in conditions["value"].unique():
        values.get(value)
    asked = conditions[conditions["goal_prompt"].astype(bool)]
    if absent := set(asked["condition_id"]) - set(scores["condition_id"]):
        raise UserError(f"scores: {len(absent)} conditions are missing: not of the same run")
    own, measured = (asked[["condition_id", *_ASKED]], scores[["condition_id", *_MEASURED]])
    merged = _with_revealed(own.merge(measured, validate="1:1"))
    rows = []
    for model in merged["model"].unique():
        own = merged[merged["model"] == model]
        told = [name for name in values.names() if name in set(own["value"])]
        rows += [_row(model, name, own[own["value"] == name]) for name in told]
    return pd.DataFrame(rows, columns=_columns())


def _columns() -> list[str]:
    counts = [f"stated_{name}" for name in (*_statable(), MIXED, UNCLEAR)]
    head = ["model", "value", "goals", "different", "readable", "named", *counts]
    weights = ["stated_weight", *_REVEALED, "weight_difference", "revealed_regret"]
    return [*head, "agree_assigned", "compared", "agree_measured", "distance", *weights, "note"]


def _with_revealed(merged: pd.DataFrame) -> pd.DataFrame:
    """Return the administrations with the utility angles that their choices reveal."""
    found = [
        revealed.utility_angles(group[["mean_self", "mean_other"]], instruments.load(str(name)))
        .set_axis(group.index)
        .add_prefix("revealed_")
        for name, group in merged.groupby("instrument", sort=False)
    ]
    return merged.join(pd.concat(found)) if found else merged


def _statable() -> list[str]:
    return [value.name for value in values.load().values() if value.utility is not None]


def _row(model: str, value: str, group: pd.DataFrame) -> dict[str, object]:
    own = group[[isinstance(goal, str) and bool(goal.strip()) for goal in group["goal"]]]
    read = {goal: stated(goal) for goal in own["goal"].unique()}
    found = [read[goal] for goal in own["goal"]]
    readable = np.array([one.readable for one in found], bool)
    names = np.array([one.value for one in found], object)
    compared = readable & own["angle"].notna().to_numpy(bool)
    gaps = np.abs(np.array([one.angle for one in found], float) - own["angle"].to_numpy(float))
    same = names == own["category"].to_numpy(object)
    weights = _weights([one.weights for one in found], own, compared)
    assigned = readable.any() and value in _statable()
    notes = []
    if len(own) < len(group):
        notes.append(f"{len(group) - len(own)} of {len(group)} administrations have no goal")
    if len(own) and not readable.any():
        notes.append("no goal states one value that the rubric can read")
    elif readable.any() and not compared.any():
        notes.append("not estimable: no readable goal has scored choices")
    elif compared.sum() < readable.sum():
        lacking = f"{readable.sum() - compared.sum()} of {readable.sum()}"
        notes.append(f"{lacking} readable goals stand beside choices with an item missing")
    return {
        "model": model,
        "value": value,
        "goals": len(own),
        "different": len(read),
        "readable": int(readable.sum()),
        "named": sum(one.named for one in found),
        **{f"stated_{name}": int((names == name).sum()) for name in (*_statable(), MIXED, UNCLEAR)},
        "agree_assigned": float((names == value)[readable].mean()) if assigned else np.nan,
        "compared": int(compared.sum()),
        "agree_measured": float(same[compared].mean()) if compared.any() else np.nan,
        "distance": float(gaps[compared].mean()) if compared.any() else np.nan,
        **weights,
        "note": "; ".join(notes),
    }


def _weights(
    stated_weights: list[tuple[float, float] | None], own: pd.DataFrame, compared: np.ndarray
) -> dict[str, float]:
    """Return stated and revealed weights, degrees, as means over the compared administrations."""
    if not compared.any():
        return {}
    pairs = [pair for pair, used in zip(stated_weights, compared, strict=True) if used]
    said = np.degrees([np.arctan2(other, mine) for mine, other in pairs])
    revealing = own.loc[compared, ["revealed_low", "revealed_high", "revealed_regret"]]
    low, high, regret = revealing.to_numpy(float).T
    return {
        "stated_weight": said.mean(),
        "revealed_weight": (low + high).mean() / 2,
        "revealed_low": low.mean(),
        "revealed_high": high.mean(),
        "weight_difference": (np.clip(said, low, high) - said).mean(),
        "revealed_regret": regret.mean(),
    }


# ---- reading a goal -----------------------------------------------------------------------------


def _plain(goal: str, rubric: Rubric) -> str:
    """Return the goal in lower case, with one kind of quotes, blanks and spellings."""
    text = _PAST_ENDS.sub(" ", goal).translate(_QUOTES).lower()
    text = re.sub(r"[*_`#]", "", re.sub(r"\s*\n\s*", "; ", text.strip()))
    text = re.sub(r"\s+", " ", text)
    for spelling, usual in rubric.spelled:
        text = spelling.sub(usual, text)
    return "" if len(text) > _LONGEST or "<think>" in text else text


def _take(text: str, rule: Rule, rubric: Rubric) -> tuple[str, list[tuple[str, bool]]]:
    """Return the text without what the rule reads, and that: (words, whether denied)."""
    found = []
    for pattern in rule.patterns:
        while match := pattern.search(text):
            start, end = match.span()
            clause = text[:start]
            for restart in rubric.restart.finditer(text[:start]):
                clause = text[restart.end() : start]
            is_denied = rubric.before.search(clause) or rubric.after.match(text, end)
            found.append((match[0].strip(), bool(is_denied)))
            text = text[:start] + _TAKEN * (end - start) + text[end:]
    return text, found


# ---- the rubric ---------------------------------------------------------------------------------


@lru_cache
def _own_rubric(path: Path) -> Rubric:
    return read_rubric(path)


def read_rubric(path: Path) -> Rubric:
    """Return the rubric of a file in the form of `data/goal_rubric.toml`, checked."""
    where, given = paths.shown(path), files.read_toml(path)
    for key in given:
        if key not in _TABLES:
            raise UserError(f"{where}: {unknown('key', key, _TABLES)}")
    words: dict[str, str] = {}
    try:
        for name, pattern in given["words"].items():
            words[name] = _filled(pattern, words)
        denied = {key: _pattern(given["denied"][key], words) for key in ("before", "after")}
        restart = _pattern(given["denied"]["restart"], words)
        rules = [_rule(rule, words) for rule in given["rule"]]
        last = max((k for k, rule in enumerate(rules) if rule.value), default=-1)
        rules[last + 1 : last + 1] = _named(given["named"]["patterns"], words)
        spelled = [
            (_pattern(rf"\b{re.escape(old)}\b", {}), new) for old, new in given["spelled"].items()
        ]
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{where}: a part is missing or of the wrong kind ({error})") from None
    return Rubric(tuple(rules), denied["before"], denied["after"], restart, tuple(spelled))


def _rule(given: dict[str, Any], words: dict[str, str]) -> Rule:
    name = given["name"]
    for key in given:
        if key not in _RULE_KEYS:
            raise UserError(f"rule '{name}': {unknown('key', key, _RULE_KEYS)}")
    kinds = [bool(given.get("neutral")), "against" in given, "self" in given and "other" in given]
    if sum(kinds) != 1:
        raise UserError(f"rule '{name}': give one of 'neutral', 'against', 'self' with 'other'")
    patterns = tuple(_pattern(pattern, words, name) for pattern in given["patterns"])
    if kinds[2]:
        return Rule(name, patterns, value=_valued(name, (given["self"], given["other"])))
    against = frozenset(_valued(name, weights) for weights in given.get("against", ()))
    return Rule(name, patterns, against=against)


def _named(patterns: list[str], words: dict[str, str]) -> list[Rule]:
    """Return the rules for the word of each value: where it is held, then where it is mentioned."""
    told = [value for value in values.load().values() if value.utility is not None and value.word]
    held, mentioned = [], []
    for value in told:
        word = re.escape(value.word.lower())
        known = tuple(_pattern(pattern, words | {"value": word}) for pattern in patterns)
        held.append(Rule("word of the value", known, value=value.name, named=True))
        others = frozenset(other.name for other in told if other is not value)
        bare = (_pattern(rf"\b{word}\b", {}),)
        mentioned.append(Rule("word of another value", bare, against=others))
    return held + mentioned


def _valued(rule: str, weights: Any) -> str:
    own, other = weights
    found = _by_weights((float(own), float(other)))
    if found is None:
        raise UserError(f"rule '{rule}': no value has the weights {own:g}, {other:g}")
    return found


def _by_weights(weights: tuple[float, float]) -> str | None:
    """Return the name of the value with these weights on (self, other) and no other."""
    for value in values.load().values():
        if value.utility == (*weights, 0.0):
            return value.name
    return None


def _filled(pattern: str, words: dict[str, str]) -> str:
    """Return the pattern with <name> replaced by the words of that name."""

    def known(found: re.Match[str]) -> str:
        if found[1] not in words:
            raise unknown("word in angle brackets", found[1], words)
        return words[found[1]]

    return re.sub(r"<(\w+)>", known, pattern)


def _pattern(pattern: str, words: dict[str, str], rule: str = "") -> re.Pattern[str]:
    where = f"rule '{rule}': " if rule else ""
    try:
        compiled = re.compile(_filled(pattern, words), re.IGNORECASE)
    except re.error as error:
        raise UserError(f"{where}'{pattern[:60]}' is no regular expression ({error})") from None
    if compiled.match(""):
        raise UserError(f"{where}'{pattern[:60]}' matches an empty text")
    return compiled
