"""Values are assigned, items are put: what is said to a respondent, and what it answered.

It writes dialogues, which `engine` carries out with its concurrency and records; what a reply
means is left to `replies`, and nothing is scored here. Items in separate contexts are dialogues of
their own, so they are asked at the same time where the respondent allows it; a conversation is one
dialogue.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils.ask import prompts, replies
from hvae_utils.ask.respondents import FILTERED
from hvae_utils.measure import factors, instruments
from hvae_utils.play import players
from hvae_utils.play.budget import Budget
from hvae_utils.play.engine import NOTHING_SAID, Dialogue, Job, Message, Question, Row, for_each
from hvae_utils.play.records import Held, Record
from hvae_utils.play.route import Route, find, not_believed
from hvae_utils.play.sources import Sources as Sources

SHOWN_CHARACTERS = 2000  # of a reply in the responses table; the record keeps all of it
WARM = 1.0  # least temperature of a chain of thought: several greedy ones would be copies
# What decides how the dialogue that assigns a value begins.
OPENING = ("wording", "placement", "induction", "value", "repeat", "goal_prompt")
SUMMED = ("prompt_tokens", "cached_tokens", "completion_tokens", "latency_s")  # over requests
COLUMNS = (
    *("condition_id", "item", "order", "labels", "method"),
    *("outcome", "option", "label", "self", "other"),
    *(f"p{number}" for number in range(1, factors.MOST_OPTIONS + 1)),
    *("covered_mass", "attempts", "first_outcome", "reply", "evidence"),
    *("written", "written_outcome"),
    *("chains", "between_chains", "thought", "thinking_tokens", "flags"),
    *SUMMED,
    *("dropped", "key"),
)


def assign_values(
    conditions: pd.DataFrame, records: Held, concurrency: int = 0, budget: Budget | None = None
) -> pd.DataFrame:
    """Assign each condition its value; return the conditions with what was said.

    conditions: as from study.conditions. Adds `not_assigned` (the error because of which the value
    could not be assigned, otherwise None), `prefix` (JSON list of chat messages that every item of
    the condition follows), `description` and `goal` (the model's own words or None; a thought is
    never among them). How a model is asked is found first, by one or two questions (`route.find`).
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


def find_routes(conditions: pd.DataFrame, records: Held) -> None:
    """Find out how the respondents of these conditions are asked; the records then hold it."""
    sources = Sources()

    def plan(_: int, row: Row) -> Iterator[Job]:
        yield Job("", "", 1, find(row, sources))

    for_each("find route", plan, conditions.to_dict("records"), records)


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
    alternatives to a token that can be believed (`route.find`), else as text. A `reasoned`
    respondent first thinks, in a turn of its own; by probabilities it is read after each of
    several such chains.
    Columns: condition_id, item, order, labels, method (text or probabilities; None where nothing
    was asked), outcome, option (1-based, in the instrument's order; by probabilities the most
    probable one, of equal ones the first shown), label, self and other (coins), p1 … p9 (raw
    probability that the first token of the reply names the option, in the instrument's order, NaN
    where none is listed or believed; the mean over chains), covered_mass (their sum), attempts,
    first_outcome, reply (the last), evidence, written and written_outcome (an audited item, asked
    once more in words: the option of that reply and how it ended), chains (over which the
    probabilities are averaged, else NaN), between_chains (share, 0 to 1, of the variance of the
    choice that lies between them), thought (the last that was sent), thinking_tokens, flags (what
    is wrong with lists of alternatives, of respondents.PROBABILITY_FLAGS), prompt_tokens,
    cached_tokens, completion_tokens, latency_s (sums over all requests for the item, NaN where
    the endpoint did not say), dropped (request parameters that the endpoint refused), key (of the
    last reply).
    concurrency and errors: as in `engine.for_each`; what was answered is in the records.

    >>> from hvae_utils.play import study
    >>> design = study.Study(["reference/faithful"], ["altruistic"], [False])
    >>> conditions = assign_values(study.conditions(design), held := Held())
    >>> put_items(conditions, held)["self"].tolist()
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
        route = yield from find(row, sources)
        if route.fault:
            raise _NotSaid(route.fault)
        return added | (yield from _assign(row, sources, route))
    except _NotSaid as fault:
        return added | {"not_assigned": str(fault)}


def _assign(row: Row, sources: Sources, route: Route) -> Dialogue:
    pack, value = sources.pack(row["wording"]), sources.value(row["value"])
    messages: list[Message] = []
    description = goal = None
    if row["induction"] == "self_description":
        question = _user(prompts.describe_text(pack, value))
        description = yield from _reply("describe", [question], row, route)
        if row["placement"] == "dialogue":
            messages += [question, _assistant(description)]
    if row["placement"] == "system":
        text = prompts.system_text(pack, value, row["induction"], description)
        messages.append({"role": "system", "content": text})
    elif row["placement"] == "dialogue":
        messages.append(_user(prompts.adopt_text(pack, value, row["induction"])))
        messages.append(_assistant((yield from _reply("adopt", messages, row, route))))
    if row["goal_prompt"]:
        instrument = sources.instrument(row["instrument"])
        messages.append(_user(prompts.goal_text(pack, value, instrument, row["induction"])))
        goal = yield from _reply("goal", messages, row, route)
        messages.append(_assistant(goal))
    prefix = json.dumps(messages, ensure_ascii=False)
    return {"prefix": prefix, "description": description, "goal": goal}


def _reply(kind: str, messages: list[Message], row: Row, route: Route) -> Dialogue:
    """Get the text of a reply that becomes part of the prompt. Raises _NotSaid."""
    record = yield Question(kind, messages, row, thinking_tokens=route.thinking_tokens)
    if record["error"]:
        raise _NotSaid(record["error"])
    if cause := _unsaid(record):
        raise _NotSaid(cause)
    return record["text"] or NOTHING_SAID


def _unsaid(record: Record) -> str:
    """Return why a reply has no word that could be quoted, '' where the model chose to say none."""
    thought = record.get("thought") or record.get("thinking_tokens")
    if (record["text"] or "").strip():
        return ""
    return record.get("cause") or ("thought, and said nothing" if thought else "")


# ---- items are put ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Item:
    """An item of a condition as it is about to be put: how, and what was said before it."""

    row: Row
    sources: Sources
    route: Route
    shown: prompts.Presentation
    messages: list[Message]

    def ask(self, kind: str, after: list[Message], **how: Any) -> Question:
        """Return a question about the item; after: what was said since `messages`."""
        shown = None if kind == "reason" else self.shown
        how["thinking_tokens"] = self.route.thinking_tokens
        return Question(kind, [*self.messages, *after], self.row, shown, **how)

    def read(self, record: Record) -> replies.Reply:
        return self.sources.reading(self.row["instrument"], self.shown, record)


@dataclass(frozen=True, slots=True)
class _Put:
    """What an item came to: the readings of its attempts, and all that was asked for them.

    method: None where nothing was asked; exchange: what was said after the item's first turn;
    tables: (options,) each, as shown, the probabilities of the first token; written: the reading
    of an audit, the last record.
    """

    readings: list[replies.Reply]
    method: str | None = None
    records: list[Record] = field(default_factory=list)
    exchange: list[Message] = field(default_factory=list)
    tables: list[np.ndarray] = field(default_factory=list)
    written: replies.Reply | None = None


def item_dialogues(row: Row, sources: Sources, reask: bool) -> Iterator[tuple[str, int, Dialogue]]:
    """Yield the dialogues of a condition: first text, number of items, and the dialogue itself.

    row: as from `assign_values`. A dialogue's result: rows of the responses table, as COLUMNS.
    """
    goal = row["goal"] if isinstance(row["goal"], str) else None
    seed = row["seed"] + row["repeat"] if row["order"] == "shuffled" else 0
    shown = row["instrument"], row["order"], row["labels"], seed
    said = row["wording"], row["value"], goal, _reasoned(row), row["induction"]
    items = sources.items(*shown, *said)
    before = json.loads(_prefix_of(row) or "[]")
    apart = row["protocol"] == "independent"
    for together in ([item] for item in items) if apart else [items]:
        yield together[0][1], len(together), _put(row, sources, [*before], together, reask)


def _reasoned(row: Row) -> bool:
    """Return whether a respondent thinks first, in a turn of its own."""
    return factors.model_of(row["model"])[1] == "reasoned"


def _put(
    row: Row, sources: Sources, dialogue: list[Message], items: list[tuple[Any, str]], reask: bool
) -> Dialogue:
    """Put items of one condition in one dialogue, in this order; the result is their rows."""
    lost, route, over = row["not_assigned"], Route(), None
    if isinstance(lost, str):
        outcome = "refusal" if lost.startswith(FILTERED) else "error"
        over = replies.Reply(outcome, None, f"value not assigned: {lost}")
    else:
        route = yield from find(row, sources)
        over = replies.Reply("error", None, route.fault) if route.fault else None
    exact = row["readout"] == route.method == "probabilities"
    rows = []
    for shown, text in items:
        dialogue.append(_user(text))
        item = _Item(row, sources, route, shown, dialogue)
        if over:
            put = _Put([over])
        elif exact:
            put = yield from _put_for_probabilities(item)
        else:
            put = yield from _put_for_text(item, reask)
        dialogue += put.exchange
        if put.readings[-1].outcome == "error":
            broken = "an earlier item of this dialogue was not answered"
            over = over or replies.Reply("error", None, broken)
        rows.append(_response(row, sources.instrument(row["instrument"]), shown, put))
    return rows


def _think(item: _Item, chain: int) -> Dialogue:
    """Have a respondent think about an item; return the record and the turns up to the question."""
    warm = max(item.row["temperature"], WARM)
    record = yield item.ask("reason", [], chain=chain, temperature=warm)
    question = prompts.question_text(item.sources.pack(item.row["wording"]), item.shown)
    return record, [_assistant(record["text"] or NOTHING_SAID), _user(question)]


def _put_for_probabilities(item: _Item) -> Dialogue:
    """Read all options from the first token, after every chain; if audited ask for words, too."""
    records, tables, after = [], [], []
    for chain in range(int(item.row["chains"]) if _reasoned(item.row) else 1):
        if _reasoned(item.row):
            record, after = yield from _think(item, chain)
            records.append(record)
            if record["error"] or _unsaid(record):
                return _Put([item.read(record)], "probabilities", records)
        record = yield item.ask("readout", after, temperature=item.route.temperature)
        records.append(record)
        if record["error"]:
            return _Put([replies.Reply("error", None, record["error"])], "probabilities", records)
        tables.append(_table(record, item.shown))
    if any(table is None for table in tables):
        tables = []
    put = _Put([_most_probable(records, tables)], "probabilities", records, tables=tables)
    if not item.row["audited"]:
        return put
    audit, words = yield from _ask_in_words(item, after, reask=False)
    return replace(put, records=[*records, *audit], written=words[0])


def _table(record: Record, shown: prompts.Presentation) -> np.ndarray | None:
    """Return the options' probabilities as shown, None where none are listed or believed."""
    listed = record["top_logprobs"]
    believed = listed and not record.get("flags")
    return replies.label_mass(listed, shown.labels) if believed else None


def _mean(tables: list[np.ndarray]) -> np.ndarray:
    """Return the mean of tables, option by option; most often there is one."""
    return tables[0] if len(tables) == 1 else np.mean(tables, axis=0)


def _most_probable(records: list[Record], tables: list[np.ndarray]) -> replies.Reply:
    """Return the reading of the mean of tables, of which there may be none."""
    if flags := _flags(records):
        return replies.Reply("unparseable", None, not_believed(flags))
    if not (tables and (mass := _mean(tables)).any()):
        return replies.Reply("unparseable", None, "no label among the likely first tokens")
    return replies.Reply("choice", int(np.argmax(mass)), "most probable first token")


def _put_for_text(item: _Item, reask: bool) -> Dialogue:
    """Read the reply as text, after one chain if the respondent reasons."""
    thoughts, after = [], []
    if _reasoned(item.row):
        record, after = yield from _think(item, 0)
        thoughts = [record]
        if record["error"] or _unsaid(record):
            return _Put([item.read(record)], "text", thoughts, [after[0]])
    records, readings = yield from _ask_in_words(item, after, reask)
    table = _table(records[0], item.shown)
    tables = [] if table is None else [table]
    return _Put(readings, "text", [*thoughts, *records], after, tables)


def _ask_in_words(item: _Item, exchange: list[Message], reask: bool) -> Dialogue:
    """Ask for a choice; one reminder after a reply without one. Return records and readings.

    exchange: what was said since the item; what is said now is added to it.
    """
    records, readings = [], []
    for attempt in (1, 2) if reask else (1,):
        if attempt == 2:
            pack = item.sources.pack(item.row["wording"])
            exchange.append(_user(prompts.reminder_text(pack, item.shown)))
        record = yield item.ask("item", exchange, attempt=attempt)
        records.append(record)
        readings.append(item.read(record))
        exchange.append(_assistant(record["text"] or NOTHING_SAID))
        if readings[-1].outcome in ("choice", "error"):
            break
    return records, readings


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
    if put.tables:
        as_shown = _mean(put.tables).tolist()
        mass = math.fsum(as_shown)
        for place, chance in zip(shown.order, as_shown, strict=True) if mass else ():
            chances[place] = chance
    chains = len(put.tables) if _reasoned(row) and put.method == "probabilities" else 0
    thoughts = [record["thought"] for record in records if record.get("thought")]
    return (
        *(row["condition_id"], instrument.items[shown.item], row["order"], row["labels"]),
        *(put.method, last.outcome, None if option is None else option + 1),
        *(None if last.index is None else shown.labels[last.index], *map(float, payoffs)),
        *(*chances, mass, len(put.readings) if records else 0, put.readings[0].outcome),
        (records[-1]["text"] or "")[:SHOWN_CHARACTERS] if records else "",
        *(last.evidence, None if spelled is None else spelled + 1, written and written.outcome),
        *(chains or math.nan, between_chains(put.tables) if chains else math.nan),
        *(thoughts[-1][:SHOWN_CHARACTERS] if thoughts else "", _sum(records, "thinking_tokens")),
        ", ".join(_flags(records)),
        *(_sum(records, name) for name in SUMMED),
        ", ".join(sorted({name for record in records for name in record["dropped"]})),
        records[-1]["key"] if records else None,
    )


def between_chains(tables: Sequence[np.ndarray]) -> float:
    """Return the share, 0 to 1, of the variance of a choice that lies between chains of thought.

    tables: (chains, options) probabilities. B / (W + B), with the mean variance of the choice
    within a chain W = mean sum p (1 - p) and that of the probabilities between them B = sum var p
    (n - 1 in its denominator): the law of total variance, option by option. NaN of one chain, and
    where nothing varies.

    >>> between_chains([[1, 0], [0, 1]]), between_chains([[0.5, 0.5], [0.5, 0.5]])
    (1.0, 0.0)
    """
    chances = np.asarray(tables, dtype=float)
    if len(chances) < 2:
        return math.nan
    within = float((chances * (1 - chances)).sum(axis=1).mean())
    between = float(chances.var(axis=0, ddof=1).sum())
    return between / (within + between) if within + between else math.nan


def _flags(records: list[Record]) -> list[str]:
    """Return what is wrong with lists of alternatives, each once."""
    return list(dict.fromkeys(flag for record in records for flag in record.get("flags") or ()))


def _sum(records: list[Record], name: str) -> float:
    """Return the sum over requests, NaN where the endpoint did not say."""
    total = 0.0
    for record in records:
        count = record.get(name)
        if count is None:
            return math.nan
        total += count
    return total


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}
