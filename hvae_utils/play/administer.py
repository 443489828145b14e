"""Values are assigned, items are asked: what is said to a respondent, and what it answered.

The asking itself, with its concurrency and records, is `engine`'s; what a reply means is left to
`replies`. Nothing is scored here.

Items in separate contexts are jobs of their own, so they are asked at the same time where the
respondent allows it; a conversation is one job. Where the respondent's server keeps prefixes, jobs
come in the order of their texts: what begins alike stands together, each item before its reminder.

Public names: assign, administer, Sources, assign_one, administer_one, MIN_MASS, REASK_ATTEMPTS.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils.ask import prompts, replies
from hvae_utils.measure import factors, instruments, values
from hvae_utils.play.engine import NOTHING_SAID, Asker, Budget, Job, Message, NotSaid, Row, for_each
from hvae_utils.play.records import Held, Record, Records

MIN_MASS = 0.95  # of the first token's probability that must fall on options to be read exactly
REASK_ATTEMPTS = 2  # the first question and one reminder
SHOWN_CHARACTERS = 2000  # of a reply in the responses table; the record keeps all of it
CACHED = 4096  # texts, presentations and readings of replies kept for the next that are the same
SHORT = 200  # characters of a reply that is likely to come again


def assign(
    conditions: pd.DataFrame,
    records: Records | Held,
    concurrency: int = 0,
    budget: Budget | None = None,
) -> pd.DataFrame:
    """Assign each condition its value; return the conditions with what was said.

    conditions: as from study.conditions. Adds `prefix` (JSON list of chat messages that every
    item of the condition follows), `description` and `goal` (the model's own words or None), and
    `not_assigned` (the error because of which the value could not be assigned, otherwise None).
    concurrency: requests in flight a model, 0 for the respondent's own number.
    Raises EndpointError when a model cannot be reached and BudgetReached when the budget is used
    up; what was answered is in the records.
    """
    sources = Sources()

    async def one(row: Row, asker: Asker) -> dict[str, Any]:
        return {"condition_id": row["condition_id"], **await assign_one(asker, row, sources)}

    def jobs(rows: list[tuple[int, Row]], by_prefix: bool) -> Iterator[Job]:
        for number, row in sorted(rows, key=lambda entry: _said(entry[1])) if by_prefix else rows:
            yield Job((number, 0), _said(row), 1, partial(one, row))

    said = for_each("assign", jobs, conditions, records, concurrency, 1, budget)
    return conditions.merge(pd.DataFrame(said), on="condition_id", how="left", validate="1:1")


def administer(
    conditions: pd.DataFrame,
    records: Records | Held,
    reask: bool = True,
    concurrency: int = 0,
    budget: Budget | None = None,
) -> pd.DataFrame:
    """Administer the instrument in every condition; return one row an item presentation.

    conditions: as from `assign`; reask: allow one reminder after a reply without a choice.
    Columns: condition_id, item, order, labels, method (text or probabilities), outcome, option
    (1-based, in the instrument's order), label, self and other (coins), p1 … p9 (response
    probabilities in the instrument's order), covered_mass, attempts, first_outcome, reply,
    evidence, prompt_tokens, cached_tokens, completion_tokens, latency_s,
    dropped (request parameters that the endpoint refused), key.
    Raises EndpointError when a model cannot be reached and BudgetReached when the budget is used
    up; what was answered is in the records.
    """
    sources = Sources()
    items = max(len(sources.instrument(name).items) for name in conditions.instrument.unique())

    def jobs(rows: list[tuple[int, Row]], by_prefix: bool) -> Iterator[Job]:
        if not by_prefix:
            for number, row in rows:
                yield from (job for _, job in _item_jobs(number, row, sources, reask))
            return
        for _, group in groupby(sorted(rows, key=_prefix_of), key=_prefix_of):
            made = [job for entry in group for job in _item_jobs(*entry, sources, reask)]
            yield from (job for _, job in sorted(made, key=lambda made: made[0]))

    played = for_each("play", jobs, conditions, records, concurrency, items, budget)
    frame = pd.DataFrame([row for rows in played for row in rows], columns=COLUMNS)
    return frame.astype({"option": "Int64", "self": float, "other": float})


class Sources:
    """What one call takes from the data files: each read once, and each text made once."""

    def __init__(self) -> None:
        self.pack = cache(prompts.load)
        self.value = cache(values.get)
        self.instrument = cache(instruments.load)
        self.shown = lru_cache(CACHED)(self._shown)
        self.text = lru_cache(CACHED)(self._text)
        self.reading = lru_cache(CACHED)(self.read)

    def _shown(
        self, instrument: str, item: int, order: str, labels: str, seed: int
    ) -> prompts.Presentation:
        """Return how an item is shown; the seed matters to shuffled orders alone."""
        loaded = self.instrument(instrument)
        places = factors.option_order(order, item, loaded.payoffs.shape[1], seed)
        return prompts.present(loaded, item, places, factors.labels_of(labels))

    def _text(
        self,
        wording: str,
        value: str,
        instrument: str,
        shown: prompts.Presentation,
        goal: str | None,
    ) -> str:
        pack, assigned = self.pack(wording), self.value(value)
        return prompts.item_text(pack, assigned, self.instrument(instrument), shown, goal)

    def read(
        self,
        text: str | None,
        finish_reason: str | None,
        error: str | None,
        instrument: str,
        shown: prompts.Presentation,
    ) -> replies.Reply:
        """Return the reading of a reply."""
        payoffs = self.instrument(instrument).printed[shown.item, list(shown.order)]
        return replies.read(text, finish_reason, error, shown.labels, payoffs)


def _said(row: Row) -> str:
    """Return what decides how the dialogues of a condition that assign its value begin."""
    factors = ("wording", "placement", "induction", "value", "repeat", "goal_prompt")
    return " ".join(str(row[factor]) for factor in factors)


def _prefix_of(entry: tuple[int, Row]) -> str:
    """Return the messages, as JSON, that come before a condition's items."""
    prefix = entry[1]["prefix"]
    return prefix if isinstance(prefix, str) else ""  # pandas says NaN for None


async def assign_one(asker: Asker, row: Row, sources: Sources) -> dict[str, Any]:
    """Assign one condition its value; return what `assign` adds to its row."""
    try:
        said = await _assign_one(asker, row, sources)
    except NotSaid as fault:
        said = {"prefix": None, "description": None, "goal": None, "not_assigned": str(fault)}
    return {"not_assigned": None, **said}


async def administer_one(
    asker: Asker,
    row: Row,
    sources: Sources,
    reask: bool,
    observe: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Ask all items of one condition, one after the other.

    observe: called with each row of the responses table as soon as it is there.
    """
    for _, job in _item_jobs(0, row, sources, reask):
        responses = await job.do(asker)
        for response in responses if observe else ():
            observe(dict(zip(COLUMNS, response, strict=True)))


async def _assign_one(asker: Asker, row: Row, sources: Sources) -> dict[str, Any]:
    """Say what assigns the value; return prefix, description and goal."""
    pack, value = sources.pack(row["wording"]), sources.value(row["value"])
    messages: list[Message] = []
    description = goal = None
    if row["induction"] == "self_description":
        ask = _user(prompts.describe_text(pack, value))
        description = await asker.say("describe", [ask], row)
        if row["placement"] == "dialogue":
            messages += [ask, _assistant(description)]
    if row["placement"] == "system":
        text = prompts.system_text(pack, value, row["induction"], description)
        messages.append({"role": "system", "content": text})
    elif row["placement"] == "dialogue":
        messages.append(_user(prompts.adopt_text(pack, value, row["induction"])))
        messages.append(_assistant(await asker.say("adopt", messages, row)))
    if row["goal_prompt"]:
        instrument = sources.instrument(row["instrument"])
        messages.append(_user(prompts.goal_text(pack, value, instrument)))
        goal = await asker.say("goal", messages, row)
        messages.append(_assistant(goal))
    prefix = json.dumps(messages, ensure_ascii=False)
    return {"prefix": prefix, "description": description, "goal": goal}


def _item_jobs(number: int, row: Row, sources: Sources, reask: bool) -> Iterator[tuple[str, Job]]:
    """Yield a condition's jobs, each with the text of its first question.

    Each job returns its rows of the responses table.
    """
    prefix = _prefix_of((number, row))
    before = json.loads(prefix) if prefix else []
    goal = row["goal"] if isinstance(row["goal"], str) else None
    seed = row["seed"] + row["repeat"] if row["order"] == "shuffled" else 0
    name = row["instrument"]
    put = []
    for item in range(len(sources.instrument(name).items)):
        shown = sources.shown(name, item, row["order"], row["labels"], seed)
        put.append(_Put(shown, sources.text(row["wording"], row["value"], name, shown, goal)))
    apart = row["protocol"] == "independent"
    dialogues = [[one] for one in put] if apart else [put]
    for item, some in enumerate(dialogues):
        do = partial(_ask_items, row, sources, before, some, reask)
        yield some[0].text, Job((number, item), prefix, len(some), do)


@dataclass(frozen=True, slots=True)
class _Put:
    """An item as it is put: what is shown, in which words."""

    shown: prompts.Presentation
    text: str


async def _ask_items(
    row: Row, sources: Sources, before: list[Message], put: list[_Put], reask: bool, asker: Asker
) -> list[tuple[Any, ...]]:
    """Ask items of one condition in one dialogue, in this order; return their response rows."""
    lost = isinstance(row["not_assigned"], str)
    reason = f"value not assigned: {row['not_assigned']}" if lost else ""
    dialogue = list(before)
    rows = []
    for one in put:
        dialogue.append(_user(one.text))
        asked = _not_asked(reason) if reason else None
        if asked is None and row["readout"] == "probabilities":
            asked = await _read_probabilities(asker, row, one.shown, dialogue)
        if asked is None:
            asked = await _read_text(asker, row, sources, one.shown, dialogue, reask)
        dialogue += asked.exchange
        if asked.read[-1].outcome == "error":
            reason = reason or "an earlier item of this dialogue was not answered"
        rows.append(_response_row(row, sources.instrument(row["instrument"]), one.shown, asked))
    return rows


@dataclass(frozen=True)
class _Asked:
    """What an item came to: records and readings of its attempts, and what was said after it."""

    records: list[Record]
    read: list[replies.Reply]
    method: str
    exchange: list[Message]


def _not_asked(reason: str) -> _Asked:
    """Return an item that could not be put: an error without a record."""
    return _Asked([], [replies.Reply("error", None, reason)], "text", [])


async def _read_probabilities(
    asker: Asker, row: Row, shown: prompts.Presentation, messages: list[Message]
) -> _Asked | None:
    """Read all options from the first token; None where the endpoint or the mass does not allow.

    The reading is the most probable option; the table keeps all nine probabilities.
    """
    if not await asker.gives_probabilities(row):
        return None
    record = await asker.ask("readout", messages, row, shown)
    chances, mass = replies.option_probabilities(_listed(record), shown.labels)
    if record["error"] or not mass >= MIN_MASS:
        return None
    best = replies.Reply("choice", int(np.argmax(chances)), "most probable first token")
    return _Asked([record], [best], "probabilities", [_assistant(record["text"] or NOTHING_SAID)])


async def _read_text(
    asker: Asker,
    row: Row,
    sources: Sources,
    shown: prompts.Presentation,
    messages: list[Message],
    reask: bool,
) -> _Asked:
    """Read the reply as text; one reminder after a reply without a choice."""
    exchange: list[Message] = []
    records, read = [], []
    for attempt in range(1, (REASK_ATTEMPTS if reask else 1) + 1):
        record = await asker.ask("item", [*messages, *exchange], row, shown, attempt)
        records.append(record)
        how = sources.reading if len(record["text"] or "") <= SHORT else sources.read
        ended = record["text"], record["finish_reason"], record["error"]
        read.append(how(*ended, row["instrument"], shown))
        exchange.append(_assistant(record["text"] or NOTHING_SAID))
        if read[-1].outcome in ("choice", "error"):
            break
        exchange.append(_user(prompts.reminder_text(sources.pack(row["wording"]), shown)))
    if exchange[-1]["role"] == "user":
        exchange.pop()
    return _Asked(records, read, "text", exchange)


COLUMNS = (
    *("condition_id", "item", "order", "labels", "method"),
    *("outcome", "option", "label", "self", "other"),
    *(f"p{number}" for number in range(1, factors.MOST_OPTIONS + 1)),
    *("covered_mass", "attempts", "first_outcome", "reply", "evidence", "prompt_tokens"),
    *("cached_tokens", "completion_tokens", "latency_s", "dropped", "key"),
)


def _response_row(
    row: Row, instrument: instruments.Instrument, shown: prompts.Presentation, asked: _Asked
) -> tuple[Any, ...]:
    """Return one row of the responses table, in the instrument's own order.

    The reading is the last attempt's; the probabilities are those of the first question, before
    any reminder; tokens and latency are summed over the attempts. A tuple, for a table of many.
    """
    records, last = asked.records, asked.read[-1]
    option = None if last.index is None else shown.order[last.index]
    own, other = (np.nan, np.nan) if option is None else instrument.payoffs[shown.item, option]
    listed = _listed(records[0]) if records else []
    chances, mass = [np.nan] * factors.MOST_OPTIONS, np.nan
    if listed:
        as_shown, mass = replies.option_probabilities(listed, shown.labels)
        for place, chance in zip(shown.order, as_shown.tolist(), strict=True):
            chances[place] = chance
    return (
        row["condition_id"],
        instrument.items[shown.item],
        row["order"],
        row["labels"],
        asked.method,
        last.outcome,
        None if option is None else option + 1,
        None if last.index is None else shown.labels[last.index],
        float(own),
        float(other),
        *chances,
        mass,
        len(records),
        asked.read[0].outcome,
        (records[-1]["text"] or "")[:SHOWN_CHARACTERS] if records else "",
        last.evidence,
        _sum(records, "prompt_tokens"),
        _sum(records, "cached_tokens"),
        _sum(records, "completion_tokens"),
        _sum(records, "latency_s"),
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
