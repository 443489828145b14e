"""Values are assigned, items are put: what is said to a respondent, and what it answered.

This module knows prompts and readings. It writes dialogues (`engine.Dialogue`), which `engine`
carries out with its concurrency and records; what a reply means is left to `replies`. Nothing is
scored here.

Items in separate contexts are dialogues of their own, so they are asked at the same time where the
respondent allows it; a conversation is one dialogue.

Public names: assign_values, put_items, Sources, assignment, item_dialogues, COLUMNS, MIN_MASS.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils.ask import prompts, replies
from hvae_utils.measure import factors, instruments, values
from hvae_utils.play import players
from hvae_utils.play.budget import Budget
from hvae_utils.play.engine import NOTHING_SAID, Dialogue, Job, Message, Question, Row, for_each
from hvae_utils.play.records import Held, Record

MIN_MASS = 0.95  # of the first token's probability that must fall on options to be read exactly
REASK_ATTEMPTS = 2  # the first question and one reminder
SHOWN_CHARACTERS = 2000  # of a reply in the responses table; the record keeps all of it
CACHED = 4096  # texts, presentations and readings of replies kept for the next that are the same
SHORT = 200  # characters of a reply that is likely to come again
PROBE = "Answer with the letter C and nothing else."
SUMMED = ("prompt_tokens", "cached_tokens", "completion_tokens", "latency_s")  # over attempts
COLUMNS = (
    *("condition_id", "item", "order", "labels", "method"),
    *("outcome", "option", "label", "self", "other"),
    *(f"p{number}" for number in range(1, factors.MOST_OPTIONS + 1)),
    *("covered_mass", "attempts", "first_outcome", "reply", "evidence"),
    *SUMMED,
    *("dropped", "key"),
)


def assign_values(
    conditions: pd.DataFrame, records: Held, concurrency: int = 0, budget: Budget | None = None
) -> pd.DataFrame:
    """Assign each condition its value; return the conditions with what was said.

    conditions: as from study.conditions. Adds `not_assigned` (the error because of which the value
    could not be assigned, otherwise None), `prefix` (JSON list of chat messages that every item of
    the condition follows), `description` and `goal` (the model's own words or None).
    concurrency and errors: as in `engine.for_each`; what was answered is in the records.
    """
    if player := players.elsewhere():
        return player.assign_values(conditions, records, concurrency, budget)
    sources = Sources()

    def plan(_: int, row: Row) -> Iterator[Job]:
        yield Job(_opening(row), "", 1, assignment(row, sources))

    rows = conditions.to_dict("records")
    assigned = for_each("assign", plan, rows, records, concurrency, 1, budget)
    return conditions.reset_index(drop=True).join(pd.DataFrame(assigned))


def put_items(
    conditions: pd.DataFrame,
    records: Held,
    reask: bool = True,
    concurrency: int = 0,
    budget: Budget | None = None,
) -> pd.DataFrame:
    """Put all items of the instrument in every condition; return one row an item presentation.

    conditions: as from `assign_values`; reask: allow one reminder after a reply without a choice.
    Columns: condition_id, item, order, labels, method (text or probabilities), outcome, option
    (1-based, in the instrument's order), label, self and other (coins), p1 … p9 (probability that
    the first token of the reply names the option, in the instrument's order, NaN where none is
    listed), covered_mass (their sum), attempts, first_outcome, reply, evidence, prompt_tokens,
    cached_tokens, completion_tokens, latency_s, dropped (request parameters that the endpoint
    refused), key.
    concurrency and errors: as in `engine.for_each`; what was answered is in the records.

    >>> from hvae_utils.play import study
    >>> design = study.Study(["reference/faithful"], ["altruistic"], [False])
    >>> conditions = assign_values(study.conditions(design), held := Held())  # doctest: +ELLIPSIS
    assign reference/faithful: 1/1 conditions, ...
    >>> put_items(conditions, held)["self"].tolist()  # doctest: +ELLIPSIS
    play reference/faithful: 6/6 items, ...
    [85.0, 100.0, 50.0, 50.0, 50.0, 85.0]
    """
    if player := players.elsewhere():
        return player.put_items(conditions, records, reask, concurrency, budget)
    sources = Sources()

    def plan(_: int, row: Row) -> Iterator[Job]:
        for text, count, dialogue in item_dialogues(row, sources, reask):
            yield Job(_prefix_of(row), text, count, dialogue)

    items = max(len(sources.instrument(name).items) for name in conditions["instrument"].unique())
    rows = conditions.to_dict("records")
    played = for_each("play", plan, rows, records, concurrency, items, budget)
    frame = pd.DataFrame([row for rows in played for row in rows], columns=COLUMNS)
    return frame.astype({"option": "Int64", "self": float, "other": float})


class Sources:
    """What one call takes from the data files: each read once, and each text made once.

    gives_probabilities: by model, whether its endpoint lists token probabilities.
    """

    def __init__(self) -> None:
        self.pack = cache(prompts.load)
        self.value = cache(values.get)
        self.instrument = cache(instruments.load)
        self.items = lru_cache(CACHED)(self._items)
        self.reading = lru_cache(CACHED)(self.read)
        self.gives_probabilities: dict[str, bool] = {}

    def _items(
        self,
        name: str,
        order: str,
        labels: str,
        seed: int,
        wording: str,
        value: str,
        goal: str | None,
    ) -> list[tuple[prompts.Presentation, str]]:
        """Return how each item is shown and in which words; the seed matters to shuffled orders."""
        instrument, pack, assigned = self.instrument(name), self.pack(wording), self.value(value)
        count, options, _ = instrument.payoffs.shape
        items = []
        for item in range(count):
            places = factors.option_order(order, item, options, seed)
            shown = prompts.present(instrument, item, places, factors.labels_of(labels))
            text = prompts.item_text(pack, assigned, instrument, shown, goal)
            items.append((shown, text))
        return items

    def read(
        self,
        text: str | None,
        finish_reason: str | None,
        error: str | None,
        name: str,
        shown: prompts.Presentation,
    ) -> replies.Reply:
        """Return the reading of a reply to an item of the instrument of this name."""
        payoffs = self.instrument(name).printed[shown.item, list(shown.order)]
        return replies.read(text, finish_reason, error, shown.labels, payoffs)


def _opening(row: Row) -> str:
    """Return what decides how the dialogue that assigns a condition its value begins."""
    deciding = ("wording", "placement", "induction", "value", "repeat", "goal_prompt")
    return " ".join(str(row[factor]) for factor in deciding)


def _prefix_of(row: Row) -> str:
    """Return the messages, as JSON, that come before a condition's items."""
    return row["prefix"] if isinstance(row["prefix"], str) else ""  # pandas says NaN for None


# ---- a value is assigned ------------------------------------------------------------------------


class _NotSaid(RuntimeError):
    """A reply that the prompt needs did not come; holds the error of its record."""


def assignment(row: Row, sources: Sources) -> Dialogue:
    """Assign one condition its value; the result is what `assign_values` adds to its row."""
    try:
        return {"not_assigned": None, **(yield from _assign(row, sources))}
    except _NotSaid as fault:
        return {"not_assigned": str(fault), "prefix": None, "description": None, "goal": None}


def _assign(row: Row, sources: Sources) -> Dialogue:
    """Say what assigns the value; the result is prefix, description and goal."""
    pack, value = sources.pack(row["wording"]), sources.value(row["value"])
    messages: list[Message] = []
    description = goal = None
    if row["induction"] == "self_description":
        question = _user(prompts.describe_text(pack, value))
        description = yield from _reply("describe", [question], row)
        if row["placement"] == "dialogue":
            messages += [question, _assistant(description)]
    if row["placement"] == "system":
        text = prompts.system_text(pack, value, row["induction"], description)
        messages.append({"role": "system", "content": text})
    elif row["placement"] == "dialogue":
        messages.append(_user(prompts.adopt_text(pack, value, row["induction"])))
        messages.append(_assistant((yield from _reply("adopt", messages, row))))
    if row["goal_prompt"]:
        instrument = sources.instrument(row["instrument"])
        messages.append(_user(prompts.goal_text(pack, value, instrument)))
        goal = yield from _reply("goal", messages, row)
        messages.append(_assistant(goal))
    prefix = json.dumps(messages, ensure_ascii=False)
    return {"prefix": prefix, "description": description, "goal": goal}


def _reply(kind: str, messages: list[Message], row: Row) -> Dialogue:
    """Get the text of a reply that becomes part of the prompt. Raises _NotSaid."""
    record = yield Question(kind, messages, row)
    if record["error"]:
        raise _NotSaid(record["error"])
    return record["text"] or NOTHING_SAID


# ---- items are put ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Put:
    """What an item came to: records and readings of its attempts, and what was said after it."""

    records: list[Record]
    readings: list[replies.Reply]
    method: str
    exchange: list[Message]


def item_dialogues(row: Row, sources: Sources, reask: bool) -> Iterator[tuple[str, int, Dialogue]]:
    """Yield the dialogues of a condition: first text, number of items, and the dialogue itself.

    row: as from `assign_values`. A dialogue's result is its rows of the responses table, tuples in
    the order of COLUMNS.
    """
    goal = row["goal"] if isinstance(row["goal"], str) else None
    seed = row["seed"] + row["repeat"] if row["order"] == "shuffled" else 0
    shown = row["instrument"], row["order"], row["labels"], seed
    items = sources.items(*shown, row["wording"], row["value"], goal)
    prefix = _prefix_of(row)
    before = json.loads(prefix) if prefix else []
    apart = row["protocol"] == "independent"
    for together in ([item] for item in items) if apart else [items]:
        (_, text), *_ = together
        yield text, len(together), _put(row, sources, before, together, reask)


def _put(
    row: Row,
    sources: Sources,
    before: list[Message],
    items: list[tuple[prompts.Presentation, str]],
    reask: bool,
) -> Dialogue:
    """Put items of one condition in one dialogue, in this order; the result is their rows."""
    lost = isinstance(row["not_assigned"], str)
    reason = f"value not assigned: {row['not_assigned']}" if lost else ""
    dialogue = list(before)
    rows = []
    for shown, text in items:
        dialogue.append(_user(text))
        put = None
        if reason:
            put = _Put([], [replies.Reply("error", None, reason)], "text", [])
        elif row["readout"] == "probabilities":
            put = yield from _put_for_probabilities(row, sources, shown, dialogue)
        if put is None:
            put = yield from _put_for_text(row, sources, shown, dialogue, reask)
        dialogue += put.exchange
        if put.readings[-1].outcome == "error":
            reason = reason or "an earlier item of this dialogue was not answered"
        rows.append(_response(row, sources.instrument(row["instrument"]), shown, put))
    return rows


def _put_for_probabilities(
    row: Row, sources: Sources, shown: prompts.Presentation, messages: list[Message]
) -> Dialogue:
    """Read all options from the first token; None where the endpoint or the mass does not allow.

    The reading is the most probable option; the table keeps all nine probabilities.
    """
    if row["model"] not in sources.gives_probabilities:
        record = yield Question("probe", [_user(PROBE)], {**row, "value": "none", "repeat": 1})
        sources.gives_probabilities[row["model"]] = bool(record["top_logprobs"])
    if not sources.gives_probabilities[row["model"]]:
        return None
    record = yield Question("readout", messages, row, shown)
    chances, mass = replies.option_probabilities(_listed(record), shown.labels)
    if record["error"] or not mass >= MIN_MASS:
        return None
    best = replies.Reply("choice", int(np.argmax(chances)), "most probable first token")
    return _Put([record], [best], "probabilities", [_assistant(record["text"] or NOTHING_SAID)])


def _put_for_text(
    row: Row, sources: Sources, shown: prompts.Presentation, messages: list[Message], reask: bool
) -> Dialogue:
    """Read the reply as text; one reminder after a reply without a choice."""
    exchange: list[Message] = []
    records, readings = [], []
    attempts = REASK_ATTEMPTS if reask else 1
    for attempt in range(1, attempts + 1):
        record = yield Question("item", [*messages, *exchange], row, shown, attempt)
        records.append(record)
        read = sources.reading if len(record["text"] or "") <= SHORT else sources.read
        ended = record["text"], record["finish_reason"], record["error"]
        readings.append(read(*ended, row["instrument"], shown))
        exchange.append(_assistant(record["text"] or NOTHING_SAID))
        if readings[-1].outcome in ("choice", "error"):
            break
        if attempt < attempts:
            exchange.append(_user(prompts.reminder_text(sources.pack(row["wording"]), shown)))
    return _Put(records, readings, "text", exchange)


def _response(
    row: Row, instrument: instruments.Instrument, shown: prompts.Presentation, put: _Put
) -> tuple[Any, ...]:
    """Return one row of the responses table, in the instrument's own order.

    The reading is the last attempt's; the probabilities are those of the first question, before
    any reminder; tokens and latency are summed over the attempts. A tuple, for a table of many.
    """
    records, last = put.records, put.readings[-1]
    option = None if last.index is None else shown.order[last.index]
    payoffs = (np.nan, np.nan) if option is None else instrument.payoffs[shown.item, option]
    chances, mass = [np.nan] * factors.MOST_OPTIONS, np.nan
    if records and (listed := _listed(records[0])):
        as_shown = replies.label_mass(listed, shown.labels).tolist()
        mass = min(math.fsum(as_shown), 1.0)
        for place, chance in zip(shown.order, as_shown, strict=True) if mass else ():
            chances[place] = chance
    return (
        *(row["condition_id"], instrument.items[shown.item], row["order"], row["labels"]),
        *(put.method, last.outcome, None if option is None else option + 1),
        *(None if last.index is None else shown.labels[last.index], *map(float, payoffs)),
        *(*chances, mass, len(records), put.readings[0].outcome),
        (records[-1]["text"] or "")[:SHOWN_CHARACTERS] if records else "",
        last.evidence,
        *(_sum(records, name) for name in SUMMED),
        ", ".join(sorted({name for record in records for name in record["dropped"]})),
        records[-1]["key"] if records else None,
    )


def _listed(record: Record) -> list[tuple[str, float]]:
    """Return the first token's alternatives; null in old records stood for an infinite number."""
    return [(token, chance) for token, chance in record["top_logprobs"] or () if chance is not None]


def _sum(records: list[Record], field: str) -> float:
    """Return the sum over attempts, NaN where the endpoint did not say."""
    counts = [record[field] for record in records]
    return math.nan if None in counts else float(sum(counts))


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}
