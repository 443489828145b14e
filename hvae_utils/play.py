"""Values are assigned, items are asked: what is said to a respondent, and what it answered.

The asking itself, with its concurrency and records, is `engine`'s; what a reply means is left to
`replies`. Nothing is scored here.

Public names: assign, administer, assign_one, administer_one, MIN_MASS, REASK_ATTEMPTS.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import instruments, isomorphs, presentations, prompts, replies, values
from hvae_utils.budget import Budget
from hvae_utils.engine import NOTHING_SAID, Asker, Message, NotSaid, Row, for_each
from hvae_utils.records import Record, Records

MIN_MASS = 0.95  # of the first token's probability that must fall on options to be read exactly
REASK_ATTEMPTS = 2  # the first question and one reminder
SHOWN_CHARACTERS = 2000  # of a reply in the responses table; the record keeps all of it


def assign(
    conditions: pd.DataFrame,
    records: Records,
    concurrency: int = 0,
    budget: Budget | None = None,
) -> pd.DataFrame:
    """Assign each condition its value; return the conditions with what was said.

    conditions: as from study.conditions. Adds `prefix` (JSON list of chat messages that every
    item of the condition follows), `description` and `goal` (the model's own words or None), and
    `not_assigned` (the error because of which the value could not be assigned, otherwise None).
    concurrency: requests in flight a model, 0 for the respondent's own number; budget: what may
    be spent, None for no limit.
    Raises EndpointError when a model cannot be reached and BudgetReached before the request that
    would pass the budget; what was answered is in the records.
    """

    async def one(asker: Asker, row: Row) -> dict[str, Any]:
        try:
            said = await assign_one(asker, row)
        except NotSaid as fault:
            said = {"prefix": None, "description": None, "goal": None, "not_assigned": str(fault)}
        return {"condition_id": row["condition_id"], "not_assigned": None, **said}

    said = for_each("assign", one, conditions, records, concurrency, 1, budget)
    return conditions.merge(pd.DataFrame(said), on="condition_id", how="left", validate="1:1")


def administer(
    conditions: pd.DataFrame,
    records: Records,
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
    Raises as `assign` does.
    """

    async def one(asker: Asker, row: Row) -> list[dict[str, Any]]:
        return await administer_one(asker, row, reask)

    items = max(len(instruments.load(name).items) for name in conditions.instrument.unique())
    played = for_each("play", one, conditions, records, concurrency, items, budget)
    frame = pd.DataFrame([row for rows in played for row in rows])
    return frame.astype({"option": "Int64", "self": float, "other": float})


async def assign_one(asker: Asker, row: Row) -> dict[str, Any]:
    """Assign one condition its value; return what `assign` adds to its row."""
    try:
        said = await _assign_one(asker, row)
    except NotSaid as fault:
        said = {"prefix": None, "description": None, "goal": None, "not_assigned": str(fault)}
    return {"not_assigned": None, **said}


async def _assign_one(asker: Asker, row: Row) -> dict[str, Any]:
    """Say what assigns the value; return prefix, description and goal."""
    pack, value = prompts.load(row["wording"]), values.get(row["value"])
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
        instrument = instruments.load(row["instrument"])
        messages.append(_user(prompts.goal_text(pack, value, instrument)))
        goal = await asker.say("goal", messages, row)
        messages.append(_assistant(goal))
    prefix = json.dumps(messages, ensure_ascii=False)
    return {"prefix": prefix, "description": description, "goal": goal}


async def administer_one(asker: Asker, row: Row, reask: bool) -> list[dict[str, Any]]:
    """Ask all items of one condition in the instrument's order; return their response rows."""
    pack, value = prompts.load(row["wording"]), values.get(row["value"])
    instrument = instruments.load(row["instrument"])
    goal = row["goal"] if isinstance(row["goal"], str) else None  # pandas says NaN for None
    if isinstance(row["not_assigned"], str):
        reason, prefix = f"value not assigned: {row['not_assigned']}", []
    else:
        reason, prefix = "", json.loads(row["prefix"])
    labels = presentations.labels_of(row["labels"])
    dialogue = list(prefix)
    rows = []
    for item, payoffs in enumerate(instrument.payoffs):
        order = presentations.option_order(
            row["order"], item, len(payoffs), row["seed"] + row["repeat"]
        )
        shown = prompts.present(instrument, item, order, labels)
        question = _user(prompts.item_text(pack, value, instrument, shown, goal))
        before = dialogue if row["protocol"] == "conversation" else prefix
        asked = _not_asked(reason) if reason else None
        if asked is None and row["readout"] == "probabilities":
            asked = await _read_probabilities(asker, row, shown, [*before, question])
        if asked is None:
            printed = isomorphs.printed(instrument)[item, list(order)]
            asked = await _read_text(asker, row, shown, [*before, question], printed, reask)
        dialogue += [question, *asked.exchange]
        if row["protocol"] == "conversation" and asked.read[-1].outcome == "error":
            reason = "an earlier item of this dialogue was not answered"
        rows.append(_response_row(row, instrument, shown, asked))
        asker.progress.step()
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
    chances, mass = replies.option_probabilities(record["top_logprobs"] or (), shown.labels)
    if record["error"] or not mass >= MIN_MASS:
        return None
    best = replies.Reply("choice", int(np.argmax(chances)), "most probable first token")
    return _Asked([record], [best], "probabilities", [_assistant(record["text"] or NOTHING_SAID)])


async def _read_text(
    asker: Asker,
    row: Row,
    shown: prompts.Presentation,
    messages: list[Message],
    payoffs: np.ndarray,
    reask: bool,
) -> _Asked:
    """Read the reply as text; one reminder after a reply without a choice."""
    exchange: list[Message] = []
    records, read = [], []
    for attempt in range(1, (REASK_ATTEMPTS if reask else 1) + 1):
        record = await asker.ask("item", [*messages, *exchange], row, shown, attempt)
        records.append(record)
        read.append(
            replies.read(
                record["text"],
                record["finish_reason"],
                record["error"],
                shown.labels,
                payoffs,
            )
        )
        exchange.append(_assistant(record["text"] or NOTHING_SAID))
        if read[-1].outcome in ("choice", "error"):
            break
        exchange.append(_user(prompts.reminder_text(prompts.load(row["wording"]), shown)))
    if exchange[-1]["role"] == "user":
        exchange.pop()
    return _Asked(records, read, "text", exchange)


def _response_row(
    row: Row, instrument: instruments.Instrument, shown: prompts.Presentation, asked: _Asked
) -> dict[str, Any]:
    """Return one row of the responses table, in the instrument's own order.

    The reading is the last attempt's; the probabilities are those of the first question, before
    any reminder; tokens and latency are summed over the attempts.
    """
    records, last = asked.records, asked.read[-1]
    option = None if last.index is None else shown.order[last.index]
    own, other = (np.nan, np.nan) if option is None else instrument.payoffs[shown.item, option]
    listed = records[0]["top_logprobs"] if records else None
    as_shown, mass = replies.option_probabilities(listed or (), shown.labels)
    chances = np.empty(len(shown.order))
    chances[list(shown.order)] = as_shown
    return {
        "condition_id": row["condition_id"],
        "item": instrument.items[shown.item],
        "order": row["order"],
        "labels": row["labels"],
        "method": asked.method,
        "outcome": last.outcome,
        "option": None if option is None else option + 1,
        "label": None if last.index is None else shown.labels[last.index],
        "self": own,
        "other": other,
        **{f"p{number}": chance for number, chance in enumerate(chances, start=1)},
        "covered_mass": mass if listed else np.nan,
        "attempts": len(records),
        "first_outcome": asked.read[0].outcome,
        "reply": (records[-1]["text"] or "")[:SHOWN_CHARACTERS] if records else "",
        "evidence": last.evidence,
        "prompt_tokens": _sum(records, "prompt_tokens"),
        "cached_tokens": _sum(records, "cached_tokens"),
        "completion_tokens": _sum(records, "completion_tokens"),
        "latency_s": _sum(records, "latency_s"),
        "dropped": ", ".join(sorted({name for record in records for name in record["dropped"]})),
        "key": records[-1]["key"] if records else None,
    }


def _sum(records: list[Record], field: str) -> float:
    """Return the sum over attempts, NaN where the endpoint did not say."""
    return float(sum(np.nan if record[field] is None else record[field] for record in records))


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}
