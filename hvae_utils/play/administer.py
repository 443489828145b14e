"""Values are assigned, items are put: what is said to a respondent, and what it answered.

It writes dialogues, which `engine` carries out with its concurrency and records; what a reply
means is left to `replies`, and nothing is scored here. Items in separate contexts are dialogues of
their own, so they are asked at the same time where the respondent allows it; a conversation is one
dialogue.
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
from hvae_utils.ask.respondents import PROBED
from hvae_utils.measure import factors, instruments, values
from hvae_utils.play import players
from hvae_utils.play.budget import Budget
from hvae_utils.play.engine import NOTHING_SAID, Dialogue, Job, Message, Question, Row, for_each
from hvae_utils.play.records import Held, Record

SHOWN_CHARACTERS = 2000  # of a reply in the responses table; the record keeps all of it
CACHED = 4096  # texts, presentations and readings of replies kept for the next that are the same
SHORT = 200  # characters of a reply that is likely to come again
PROBE = f"Answer with the letter {PROBED} and nothing else."
# What decides how the dialogue that assigns a value begins.
OPENING = ("wording", "placement", "induction", "value", "repeat", "goal_prompt")
SUMMED = ("prompt_tokens", "cached_tokens", "completion_tokens", "latency_s")  # over attempts
COLUMNS = (
    *("condition_id", "item", "order", "labels", "method"),
    *("outcome", "option", "label", "self", "other"),
    *(f"p{number}" for number in range(1, factors.MOST_OPTIONS + 1)),
    *("covered_mass", "attempts", "first_outcome", "reply", "evidence"),
    *("written", "written_outcome"),
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
        return player.assign_values(conditions, records, concurrency, budget=budget)
    sources = Sources()

    def plan(_: int, row: Row) -> Iterator[Job]:
        opening = " ".join(str(row[factor]) for factor in OPENING)
        yield Job(opening, "", 1, assignment(row, sources))

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
    A model is read by one method: by probabilities where the study wants them and the model lists
    alternatives to a token, which one question (PROBE) finds out, else as text.
    Columns: condition_id, item, order, labels, method (text or probabilities; None where nothing
    was asked), outcome, option (1-based, in the instrument's order; by probabilities the most
    probable one, of equal ones the first shown), label, self and other (coins), p1 … p9 (raw
    probability that the first token of the reply names the option, in the instrument's order, NaN
    where none is listed), covered_mass (their sum), attempts, first_outcome, reply (the last),
    evidence, written and written_outcome (an audited item, asked once more in words: the option
    of that reply and how it ended), prompt_tokens, cached_tokens, completion_tokens, latency_s,
    dropped (request parameters that the endpoint refused), key (of the last reply).
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
        return player.put_items(conditions, records, reask, concurrency, budget=budget)
    sources = Sources()

    def plan(_: int, row: Row) -> Iterator[Job]:
        for text, count, dialogue in item_dialogues(row, sources, reask):
            yield Job(_prefix_of(row), text, count, dialogue)

    items = max(len(sources.instrument(name).items) for name in conditions["instrument"].unique())
    rows = conditions.to_dict("records")
    played = for_each("play", plan, rows, records, concurrency, items, budget)
    frame = pd.DataFrame([row for rows in played for row in rows], columns=COLUMNS)
    return frame.astype({"option": "Int64", "written": "Int64", "self": float, "other": float})


class Sources:
    """What one call takes from the data files: each read once, and each text made once."""

    def __init__(self) -> None:
        self.pack = cache(prompts.load)
        self.value = cache(values.get)
        self.instrument = cache(instruments.load)
        self.items = lru_cache(CACHED)(self._items)
        self.reading = lru_cache(CACHED)(self.read)
        self.gives_probabilities: dict[str, bool] = {}  # by model: what its probe showed

    def _items(
        self, name: str, order: str, labels: str, seed: int, wording: str, value: str, goal: Any
    ) -> list[tuple[prompts.Presentation, str]]:
        """Return how each item is shown and in which words; the seed matters to shuffled orders."""
        instrument, pack, assigned = self.instrument(name), self.pack(wording), self.value(value)
        items = []
        for item in range(len(instrument.items)):
            places = factors.option_order(order, item, instrument.options, seed)
            shown = prompts.present(instrument, item, places, factors.LABEL_SETS[labels])
            text = prompts.item_text(pack, assigned, instrument, shown, goal)
            items.append((shown, text))
        return items

    def read(self, name: str, shown: prompts.Presentation, *ended: str | None) -> replies.Reply:
        """Return the reading of a reply to an item; ended: its text, finish_reason and error."""
        payoffs = self.instrument(name).printed[shown.item, list(shown.order)]
        return replies.read(*ended, shown.labels, payoffs)


def _prefix_of(row: Row) -> str:
    """Return the messages, as JSON, that come before a condition's items."""
    return row["prefix"] if isinstance(row["prefix"], str) else ""  # pandas says NaN for None


# ---- a value is assigned ------------------------------------------------------------------------


class _NotSaid(RuntimeError):
    """A reply that the prompt needs did not come; holds the error of its record."""


def assignment(row: Row, sources: Sources) -> Dialogue:
    """Assign one condition its value; the result is what `assign_values` adds to its row."""
    added = dict.fromkeys(("not_assigned", "prefix", "description", "goal"))
    try:
        return added | (yield from _assign(row, sources))
    except _NotSaid as fault:
        return added | {"not_assigned": str(fault)}


def _assign(row: Row, sources: Sources) -> Dialogue:
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
    """What an item came to: records and readings of its attempts, and what was said after it.

    method: None where nothing was asked; written: the reading of an audit, the last record.
    """

    records: list[Record]
    readings: list[replies.Reply]
    method: str | None
    exchange: list[Message]
    written: replies.Reply | None = None


def item_dialogues(row: Row, sources: Sources, reask: bool) -> Iterator[tuple[str, int, Dialogue]]:
    """Yield the dialogues of a condition: first text, number of items, and the dialogue itself.

    row: as from `assign_values`. A dialogue's result: rows of the responses table, as COLUMNS.
    """
    goal = row["goal"] if isinstance(row["goal"], str) else None
    seed = row["seed"] + row["repeat"] if row["order"] == "shuffled" else 0
    shown = row["instrument"], row["order"], row["labels"], seed
    items = sources.items(*shown, row["wording"], row["value"], goal)
    before = json.loads(_prefix_of(row) or "[]")
    apart = row["protocol"] == "independent"
    for together in ([item] for item in items) if apart else [items]:
        yield together[0][1], len(together), _put(row, sources, [*before], together, reask)


def _put(
    row: Row, sources: Sources, dialogue: list[Message], items: list[tuple[Any, str]], reask: bool
) -> Dialogue:
    """Put items of one condition in one dialogue, in this order; the result is their rows."""
    lost = row["not_assigned"]
    reason = f"value not assigned: {lost}" if isinstance(lost, str) else ""
    exact = row["readout"] == "probabilities"
    if exact and not reason and row["model"] not in sources.gives_probabilities:
        record = yield Question("probe", [_user(PROBE)], {**row, "value": "none", "repeat": 1})
        if record["error"]:  # it is asked again with the next item
            reason = f"the probe was not answered: {record['error']}"
        else:
            sources.gives_probabilities[row["model"]] = bool(record["top_logprobs"])
    exact = exact and sources.gives_probabilities.get(row["model"], False)
    rows = []
    for shown, text in items:
        dialogue.append(_user(text))
        if reason:
            put = _Put([], [replies.Reply("error", None, reason)], None, [])
        elif exact:
            put = yield from _put_for_probabilities(row, sources, shown, dialogue)
        else:
            put = yield from _put_for_text(row, sources, shown, dialogue, reask)
        dialogue += put.exchange
        if put.readings[-1].outcome == "error":
            reason = reason or "an earlier item of this dialogue was not answered"
        rows.append(_response(row, sources.instrument(row["instrument"]), shown, put))
    return rows


def _put_for_probabilities(
    row: Row, sources: Sources, shown: prompts.Presentation, messages: list[Message]
) -> Dialogue:
    """Read all options from the first token; in an audited condition ask for words, too."""
    record = yield Question("readout", messages, row, shown)
    mass = replies.label_mass(record["top_logprobs"] or (), shown.labels)
    if record["error"]:
        reading = replies.Reply("error", None, record["error"])
    elif mass.any():
        reading = replies.Reply("choice", int(np.argmax(mass)), "most probable first token")
    else:
        reading = replies.Reply("unparseable", None, "no label among the likely first tokens")
    if not row["audited"]:
        return _Put([record], [reading], "probabilities", [])
    audit = yield from _put_for_text(row, sources, shown, messages, reask=False)
    return _Put([record, *audit.records], [reading], "probabilities", [], audit.readings[0])


def _put_for_text(
    row: Row, sources: Sources, shown: prompts.Presentation, messages: list[Message], reask: bool
) -> Dialogue:
    """Read the reply as text; one reminder after a reply without a choice."""
    exchange: list[Message] = []
    records, readings = [], []
    for attempt in (1, 2) if reask else (1,):
        if attempt == 2:
            exchange.append(_user(prompts.reminder_text(sources.pack(row["wording"]), shown)))
        record = yield Question("item", [*messages, *exchange], row, shown, attempt)
        records.append(record)
        read = sources.reading if len(record["text"] or "") <= SHORT else sources.read
        ended = record["text"], record["finish_reason"], record["error"]
        readings.append(read(row["instrument"], shown, *ended))
        exchange.append(_assistant(record["text"] or NOTHING_SAID))
        if readings[-1].outcome in ("choice", "error"):
            break
    return _Put(records, readings, "text", exchange)


def _response(
    row: Row, instrument: instruments.Instrument, shown: prompts.Presentation, put: _Put
) -> tuple[Any, ...]:
    """Return one row of the responses table, in the instrument's own order.

    The reading is the last attempt's, the probabilities are those of the first.
    """
    records, last, written = put.records, put.readings[-1], put.written
    option, spelled = (
        None if reading is None or reading.index is None else shown.order[reading.index]
        for reading in (last, written)
    )
    payoffs = (np.nan, np.nan) if option is None else instrument.payoffs[shown.item, option]
    chances, mass = [np.nan] * factors.MOST_OPTIONS, np.nan
    if records and (listed := records[0]["top_logprobs"]):
        as_shown = replies.label_mass(listed, shown.labels).tolist()
        mass = min(math.fsum(as_shown), 1.0)
        for place, chance in zip(shown.order, as_shown, strict=True) if mass else ():
            chances[place] = chance
    return (
        *(row["condition_id"], instrument.items[shown.item], row["order"], row["labels"]),
        *(put.method, last.outcome, None if option is None else option + 1),
        *(None if last.index is None else shown.labels[last.index], *map(float, payoffs)),
        *(*chances, mass, min(len(records), len(put.readings)), put.readings[0].outcome),
        (records[-1]["text"] or "")[:SHOWN_CHARACTERS] if records else "",
        *(last.evidence, None if spelled is None else spelled + 1, written and written.outcome),
        *(_sum(records, name) for name in SUMMED),
        ", ".join(sorted({name for record in records for name in record["dropped"]})),
        records[-1]["key"] if records else None,
    )


def _sum(records: list[Record], field: str) -> float:
    """Return the sum over attempts, NaN where the endpoint did not say."""
    counts = [record[field] for record in records]
    return math.nan if None in counts else float(sum(counts))


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}
