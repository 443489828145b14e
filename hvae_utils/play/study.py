"""A study: factors -> conditions. Pure; asks nobody and reads only the project's data files.

A condition fixes every factor, the repeat included, so one condition is administered once.
Factors that make no difference are folded together: without a value there is no induction to
vary, and a chat model that decodes greedily says the same in every repeat. What is to be tested,
and how small an effect counts as none, is part of every condition, so records that hold a
condition's number show that both were chosen before anybody was asked.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from hvae_utils.ask import models, prompts
from hvae_utils.errors import UserError, brief, unknown
from hvae_utils.measure import factors, instruments, values

# Levels of the factors that runs of before did not have: their conditions keep their numbers.
_ALWAYS_BEFORE = {"deliberation": "direct", "replies": "free", "chains": 0, "thinking_tokens": 0}
Row = Mapping[str, Any]  # a condition
AUDITED = 11  # where probabilities are read, every so-maniest condition is also asked in words


@dataclass(frozen=True)
class Study:
    """The factors of a study, every list crossed with every other; checked when it is made.

    models: respondent names; values: assigned values; goal_prompts: arms without and with the
    model's own goal; inductions, placements, protocols, orders, labels: see `factors`; wordings:
    prompt packs, of which so many as `goal_wordings` are asked with the goal prompt too (0: all),
    evenly spread over the list, and so over the orders of a latin design; repeats: administrations
    of each condition; readout: whether an answer is the text or, where the endpoint gives them, the
    probabilities of all options; temperature: of every request, 0 is greedy; seed: from which every
    request's seed is drawn; margin: the smallest effect of interest, a steerability above 0 and
    below 1; contrasts: the tests that are planned; deliberations, replies: see `factors`; chains:
    thoughts after each of which a `reasoned` respondent is read by probabilities; thinking_tokens:
    room for the thought of a model that thinks on its own, 0 for the model's usual.
    Raises UserError naming the choices when a name is unknown or a number out of range.
    """

    models: tuple[str, ...]
    values: tuple[str, ...] = ("altruistic", "prosocial", "individualistic", "competitive", "none")
    goal_prompts: tuple[bool, ...] = (False, True)
    inductions: tuple[str, ...] = ("self_description",)
    placements: tuple[str, ...] = ("dialogue",)
    protocols: tuple[str, ...] = ("independent",)
    wordings: tuple[str, ...] = ("plain",)
    orders: tuple[str, ...] = ("fixed",)
    labels: tuple[str, ...] = ("A-I",)
    repeats: int = 1
    instrument: str = "svo-slider"
    readout: str = "text"
    temperature: float = 0.0
    seed: int = 20230524
    margin: float = 0.10
    contrasts: tuple[str, ...] = ("steerability", "goal_prompt")
    goal_wordings: int = 0
    deliberations: tuple[str, ...] = ("direct",)
    chains: int = 3
    replies: str = "free"
    thinking_tokens: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if str(field.type).startswith("tuple"):
                object.__setattr__(self, field.name, levels(field.name, getattr(self, field.name)))
        named = tuple(values.get(value).name for value in self.values)  # weight 0.50: weight 0.5
        object.__setattr__(self, "values", levels("values", named))
        checks = (
            ("goal_prompt", self.goal_prompts, (False, True)),
            ("induction", self.inductions, factors.INDUCTIONS),
            ("placement", self.placements, factors.PLACEMENTS),
            ("protocol", self.protocols, factors.PROTOCOLS),
            ("wording", self.wordings, prompts.names()),
            ("order", self.orders, factors.ORDERS),
            ("label set", self.labels, factors.LABEL_SETS),
            ("readout", (self.readout,), factors.READOUTS),
            ("contrast", self.contrasts, factors.CONTRASTS),
            ("deliberation", self.deliberations, factors.DELIBERATIONS),
            ("kind of replies", (self.replies,), factors.REPLIES),
        )
        for what, levels_given, choices in checks:
            for level in levels_given:
                if level not in choices:
                    raise unknown(what, level, map(str, choices))
        for name in self.models:
            model, level = factors.model_of(name)
            if model != name:
                raise UserError(
                    f"model '{name}' is named with its deliberation; name '{model}' and set "
                    f"deliberations to {level}"
                )
            models.check_name(name)
        for wording in self.wordings:
            prompts.load(wording)
        self._check_together()
        check_number("repeats", self.repeats, 1, 10_000, whole=True)
        check_number("goal_wordings", self.goal_wordings, 0, 10_000, whole=True)
        check_number("chains", self.chains, 1, 100, whole=True)
        check_number("thinking_tokens", self.thinking_tokens, 0, 1_000_000, whole=True)
        check_number("temperature", self.temperature, 0, 2)
        check_number("seed", self.seed, 0, 2**31 - 1, whole=True)
        check_number("margin", self.margin, 0, 1)
        if self.margin in (0, 1):
            raise UserError(f"margin is {self.margin}; it must lie between 0 and 1, as in 0.1")

    def _check_together(self) -> None:
        """Raise UserError for factors that are right one by one and wrong together."""
        instrument = instruments.load(self.instrument)
        if not 2 <= instrument.options <= factors.MOST_OPTIONS:
            raise UserError(
                f"instrument '{self.instrument}' has {instrument.options} options an item; "
                f"there are labels for 2 to {factors.MOST_OPTIONS}"
            )
        for value in map(values.get, self.values):
            for induction in self.inductions if value.word else ():
                prompts.check_induction(value, induction)
        if self.readout == "probabilities" and "conversation" in self.protocols:
            needed = "items in separate contexts; take protocol 'independent'"
            raise UserError(f"readout 'probabilities' needs {needed}")
        as_published = self.orders == ("fixed",) and self.labels == ("A-I",)
        for wording in self.wordings:
            if prompts.load(wording).items and not as_published:
                raise UserError(
                    f"wording '{wording}' is imported and can only be shown in its own order "
                    "with its own letters; take orders fixed and labels A-I"
                )
            if prompts.load(wording).items and "reasoned" in self.deliberations:
                raise UserError(
                    f"wording '{wording}' is imported and asks for the answer in its own words; "
                    "deliberation 'reasoned' needs a wording of ours"
                )


def of_parameters(parameters: Mapping[str, Any]) -> Study:
    """Return the study that parameters describe, of those of the notebooks; errors as `Study`.

    UserError for graded weights, too: they are told beside a study, which compares values.
    """
    names = {field.name for field in fields(Study)} & parameters.keys()
    study = Study(**{name: parameters[name] for name in names})
    for value in study.values:
        if value.startswith(values.GRADED):
            own = f"set weights to {value.removeprefix(values.GRADED)} instead"
            raise UserError(f"values: '{value}' is a graded weight and none to compare; {own}")
    return study


def conditions(study: Study) -> pd.DataFrame:
    """Return one row a condition, in the order that lets neighbours share a prompt prefix.

    Columns: condition_id (12 hex digits of the factors' hash), model (the respondent's name, as
    `factors.respondent` makes it of model and deliberation), deliberation, value, goal_prompt,
    induction, placement, protocol, wording, order (of `latin` the wording's own), labels, repeat
    (from 1), instrument, readout, temperature, seed, margin, contrasts (joined by +), replies,
    chains (0 where no chain of thought is asked for), thinking_tokens, audited (whether written
    answers are compared with the probabilities: a respondent's conditions number 1, 12, 23 …).

    >>> conditions(Study(["reference/faithful"], ["altruistic", "none"]))[["value", "goal_prompt"]]
            value  goal_prompt
    0  altruistic        False
    1  altruistic         True
    2        none        False
    3        none         True
    """
    options = instruments.load(study.instrument).options
    crossed = {
        "model": study.models,
        "deliberation": study.deliberations,
        "protocol": study.protocols,
        "wording": study.wordings,
        "placement": study.placements,
        "induction": study.inductions,
        "value": study.values,
        "repeat": range(1, study.repeats + 1),
        "goal_prompt": study.goal_prompts,
        "labels": study.labels,
        "order": study.orders,
    }
    fixed = {
        "instrument": study.instrument,
        "readout": study.readout,
        "temperature": float(study.temperature),
        "seed": study.seed,
        "margin": float(study.margin),
        "contrasts": "+".join(study.contrasts),
        "replies": study.replies,
        "chains": study.chains,
        "thinking_tokens": study.thinking_tokens,
    }
    with_goal = spread(study.goal_wordings or len(study.wordings), len(study.wordings))
    rows: dict[str, dict[str, Any]] = {}
    for levels_of_row in itertools.product(*crossed.values()):
        row = dict(zip(crossed, levels_of_row, strict=True)) | fixed
        row = _folded(row)
        if not (study.temperature or row["repeat"] == 1 or _varies(row)):
            continue
        place = study.wordings.index(row["wording"])
        if row["goal_prompt"] and place not in with_goal:
            continue
        for order in factors.order_names(row["order"], options, place):
            rows[_number(row | {"order": order})] = row | {"order": order}
    frame = pd.DataFrame(rows.values(), columns=[*factors.FACTORS, *fixed])
    frame.insert(0, "condition_id", list(rows))
    number = frame.groupby("model").cumcount()
    return frame.assign(audited=(number % AUDITED == 0) & (frame["readout"] == "probabilities"))


def spread(count: int, places: int) -> set[int]:
    """Return so many of the places from 0, evenly spread.

    >>> spread(3, 9), spread(9, 4)
    ({0, 3, 6}, {0, 1, 2, 3})
    """
    count = min(count, places)
    return {number * places // count for number in range(count)}


def _folded(row: Row) -> Row:
    """Return a condition with one level for all levels that make no difference to it."""
    row = dict(row)
    if not values.get(row["value"]).word:
        row["placement"] = row["induction"] = "none"
    if row["model"].startswith("reference/") and row["deliberation"] in factors.THINKING:
        row["deliberation"] = "direct"  # it thinks no more and no less
    if row["deliberation"] != "reasoned":
        row["chains"] = 0
    elif row["readout"] == "text":
        row["chains"] = 1  # a reply is read after one, and repeats are other chains
    return row | {"model": factors.respondent(row["model"], row["deliberation"])}


def _varies(row: Row) -> bool:
    """Return whether a respondent says another thing in each repeat, though it decodes greedily."""
    return row["model"].startswith("reference/") or row["deliberation"] == "reasoned"


def _number(row: Row) -> str:
    """Return a condition's number; what came later counts only where it differs from before."""
    told = {name: level for name, level in row.items() if _ALWAYS_BEFORE.get(name) != level}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def listed(name: str, text: str) -> list[str]:
    """Return the items of a list as people write it, `a,b` or `[a, b]`, in JSON too; all texts.

    Raises UserError, naming `name`, for brackets that hold no list of names.

    >>> listed("values", "[none, prosocial]")
    ['none', 'prosocial']
    """
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    import yaml  # JSON is YAML

    try:
        items = yaml.load(text, Loader=yaml.BaseLoader)  # scalars stay text, nothing is built
    except (yaml.YAMLError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UserError(f"{name}={brief(text)}: the list cannot be read; write a,b or [a, b]")
    return items


def levels(name: str, choice: Any, empty: bool = False) -> tuple[Any, ...]:
    """Return a factor's levels as a tuple, of a list or of a text as `listed` takes it.

    empty: whether there may be none. Raises UserError for none and for one that comes twice.
    """
    if isinstance(choice, str):
        choice = listed(name, choice)
        if name == "goal_prompts":
            choice = [{"true": True, "false": False}.get(item.lower(), item) for item in choice]
    chosen = (choice,) if isinstance(choice, bool) else tuple(choice)
    if not (chosen or empty):
        raise UserError(f"{name} is empty; name at least one")
    repeated = sorted(level for level, count in Counter(map(str, chosen)).items() if count > 1)
    if repeated:
        raise UserError(f"{name} names {', '.join(repeated)} more than once")
    return chosen


def check_number(name: str, number: Any, low: float, high: float, whole: bool = False) -> None:
    """Raise UserError unless this is a number, whole where wanted, from `low` to `high`."""
    kinds = int if whole else (int, float)
    if isinstance(number, bool) or not isinstance(number, kinds) or not low <= number <= high:
        kind = "a whole number" if whole else "a number"
        raise UserError(f"{name} is {brief(number)}; it must be {kind} from {low} to {high}")
