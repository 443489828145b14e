"""The engine: values are assigned, items are asked, every reply becomes a record.

Asynchronous with bounded concurrency. It knows requests and records, not scores; what a reply
means is left to `replies`, what an endpoint needs to `chat` and `local`.

Public names: assign, administer, REASK_ATTEMPTS.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import instruments, models, prompts, replies, values
from hvae_utils.errors import EndpointError
from hvae_utils.progress import Progress
from hvae_utils.records import Record, Records
from hvae_utils.respondents import Request, Respondent

# Longest reply asked for, in tokens, by kind of request.
MAX_TOKENS = {"describe": 96, "adopt": 48, "goal": 64, "item": 24}
TOP_LOGPROBS = 20  # the most that OpenAI-compatible endpoints give
REASK_ATTEMPTS = 2  # the first question and one reminder
SHOWN_CHARACTERS = 2000  # of a reply in the responses table; the record keeps all of it

Row = Mapping[str, Any]
Message = dict[str, str]


def assign(conditions: pd.DataFrame, records: Records, concurrency: int = 0) -> pd.DataFrame:
    """Assign each condition its value; return the conditions with what was said.

    conditions: as from study.conditions. Adds `prefix` (JSON list of chat messages that every
    item of the condition follows), `description` and `goal` (the model's own words or None).
    concurrency: requests in flight a model, 0 for the respondent's own number.
    Raises EndpointError when a model cannot be reached; what was answered is in the records.
    """

    async def one(asker: "_Asker", row: Row) -> dict[str, Any]:
        return {"condition_id": row["condition_id"], **await _assign_one(asker, row)}

    said = _for_each("assign", one, conditions, records, concurrency, per_condition=1)
    return conditions.merge(pd.DataFrame(said), on="condition_id", how="left", validate="1:1")


def administer(
    conditions: pd.DataFrame, records: Records, reask: bool = True, concurrency: int = 0
) -> pd.DataFrame:
    """Administer the instrument in every condition; return one row an item presentation.

    conditions: as from `assign`; reask: allow one reminder after a reply without a choice.
    Columns: condition_id, item, outcome, option (1-based, in the instrument's order), label, self
    and other (coins), p1 … p9 (response probabilities in the instrument's order), covered_mass,
    attempts, first_outcome, reply, evidence, tokens, latency_s, key.
    Raises EndpointError when a model cannot be reached; what was answered is in the records.
    """

    async def one(asker: "_Asker", row: Row) -> list[dict[str, Any]]:
        return await _administer_one(asker, row, reask)

    items = max(len(instruments.load(name).items) for name in conditions.instrument.unique())
    played = _for_each("play", one, conditions, records, concurrency, per_condition=items)
    frame = pd.DataFrame([row for rows in played for row in rows])
    return frame.astype({"option": "Int64", "self": float, "other": float})


async def _assign_one(asker: "_Asker", row: Row) -> dict[str, Any]:
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


async def _administer_one(asker: "_Asker", row: Row, reask: bool) -> list[dict[str, Any]]:
    """Ask all items of one condition in the instrument's order; return their response rows."""
    pack, value = prompts.load(row["wording"]), values.get(row["value"])
    instrument = instruments.load(row["instrument"])
    prefix: list[Message] = json.loads(row["prefix"])
    goal = row["goal"] if isinstance(row["goal"], str) else None  # pandas says NaN for None
    dialogue = list(prefix)
    rows = []
    for item in range(len(instrument.items)):
        shown = prompts.present(instrument, item)
        text = prompts.item_text(pack, value, instrument, shown, goal)
        before = dialogue if row["protocol"] == "conversation" else prefix
        exchange = [_user(text)]
        read = []
        for attempt in range(1, (REASK_ATTEMPTS if reask else 1) + 1):
            record = await asker.ask("item", [*before, *exchange], row, shown, attempt)
            payoffs = instrument.payoffs[item, list(shown.order)]
            read.append(_read(record, shown, payoffs))
            exchange.append(_assistant(record["text"] or ""))
            if read[-1].outcome in ("choice", "error"):
                break
            exchange.append(_user(prompts.reminder_text(pack, shown)))
        if exchange[-1]["role"] == "user":
            exchange.pop()
        dialogue += exchange
        rows.append(_response_row(row, instrument, shown, record, read))
        asker.progress.step()
    return rows


def _read(record: Record, shown: prompts.Presentation, payoffs: np.ndarray) -> replies.Reply:
    return replies.read(
        record["text"], record["finish_reason"], record["error"], shown.labels, payoffs
    )


def _response_row(
    row: Row,
    instrument: instruments.Instrument,
    shown: prompts.Presentation,
    record: Record,
    read: list[replies.Reply],
) -> dict[str, Any]:
    """Return one row of the responses table: the last attempt, in the instrument's own order."""
    last = read[-1]
    option = None if last.index is None else shown.order[last.index]
    own, other = (np.nan, np.nan) if option is None else instrument.payoffs[shown.item, option]
    as_shown, mass = replies.option_probabilities(record["top_logprobs"] or (), shown.labels)
    chances = np.empty(len(shown.order))
    chances[list(shown.order)] = as_shown
    return {
        "condition_id": row["condition_id"],
        "item": instrument.items[shown.item],
        "outcome": last.outcome,
        "option": None if option is None else option + 1,
        "label": None if last.index is None else shown.labels[last.index],
        "self": own,
        "other": other,
        **{f"p{number}": chance for number, chance in enumerate(chances, start=1)},
        "covered_mass": mass if record["top_logprobs"] else np.nan,
        "attempts": len(read),
        "first_outcome": read[0].outcome,
        "reply": (record["text"] or "")[:SHOWN_CHARACTERS],
        "evidence": last.evidence,
        "prompt_tokens": record["prompt_tokens"],
        "cached_tokens": record["cached_tokens"],
        "completion_tokens": record["completion_tokens"],
        "latency_s": record["latency_s"],
        "key": record["key"],
    }


class _Asker:
    """Asks one respondent: from the records where the answer is there, otherwise once."""

    def __init__(self, respondent: Respondent, records: Records, progress: Progress) -> None:
        self.respondent, self.records, self.progress = respondent, records, progress
        self._underway: dict[str, asyncio.Task[Record]] = {}

    async def say(self, kind: str, messages: list[Message], row: Row) -> str:
        """Return the text of a reply that becomes part of the prompt; an error ends the run."""
        record = await self.ask(kind, messages, row)
        if record["error"]:
            raise EndpointError(f"{row['model']}: {record['error']} (while assigning the value)")
        return record["text"] or ""

    async def ask(
        self,
        kind: str,
        messages: list[Message],
        row: Row,
        shown: prompts.Presentation | None = None,
        attempt: int = 1,
    ) -> Record:
        """Return the record of one request, asked at most once however many wait for it."""
        request = Request(
            kind=kind,
            model=row["model"],
            messages=tuple(messages),
            condition=row,
            max_tokens=MAX_TOKENS[kind],
            temperature=row["temperature"],
            seed=row["seed"] + row["repeat"],
            repeat=row["repeat"],
            attempt=attempt,
            top_logprobs=TOP_LOGPROBS if kind == "item" else 0,
            presentation=shown,
        )
        if record := self.records.answered(request.key):
            return record
        if request.key not in self._underway:
            self._underway[request.key] = asyncio.create_task(self._ask_now(request))
        try:
            return await self._underway[request.key]
        finally:
            self._underway.pop(request.key, None)

    async def _ask_now(self, request: Request) -> Record:
        started = time.perf_counter()
        answer = await self.respondent.answer(request)
        record = {
            "key": request.key,
            "kind": request.kind,
            "model": request.model,
            "value": request.condition["value"],
            "item": None if request.presentation is None else request.presentation.item + 1,
            "order": None if request.presentation is None else request.presentation.order,
            "labels": None if request.presentation is None else request.presentation.labels,
            "repeat": request.repeat,
            "attempt": request.attempt,
            "messages": request.messages,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            **answer.as_record(),
            "latency_s": round(time.perf_counter() - started, 4),
            "answered_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        self.records.append(record)
        return record


def _for_each(
    verb: str,
    one: Callable[[_Asker, Row], Awaitable[Any]],
    conditions: pd.DataFrame,
    records: Records,
    concurrency: int,
    per_condition: int,
) -> list[Any]:
    """Run `one` on every condition, model by model; return the results in the conditions' order."""

    async def all_models() -> dict[str, Any]:
        done: dict[str, Any] = {}
        for model, group in conditions.groupby("model", sort=False):
            label, unit = f"{verb} {model}", "item" if per_condition > 1 else "condition"
            respondent = models.respondent(str(model))
            with Progress(label, len(group) * per_condition, unit) as progress:
                async with respondent:
                    asker = _Asker(respondent, records, progress)
                    rows = group.to_dict("records")
                    workers = concurrency or respondent.concurrency
                    await _share(rows, workers, one, asker, done, per_condition == 1)
        return done

    try:
        done = _run(all_models())
    except EndpointError as fault:
        raise EndpointError(
            f"{fault}; {len(records)} records are safe, run the same study again to continue"
        ) from None
    return [done[condition_id] for condition_id in conditions.condition_id]


async def _share(
    rows: Iterable[Row],
    workers: int,
    one: Callable[[_Asker, Row], Awaitable[Any]],
    asker: _Asker,
    done: dict[str, Any],
    counts: bool,
) -> None:
    """Let `workers` tasks take the rows in order; the first failure stops them all."""
    waiting = iter(rows)

    async def work() -> None:
        for row in waiting:
            done[row["condition_id"]] = await one(asker, row)
            if counts:
                asker.progress.step()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
    except* EndpointError as faults:
        raise faults.exceptions[0] from None


def _run(work: Awaitable[Any]) -> Any:
    """Run a coroutine to its end, also inside a notebook whose own loop is running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    outcome: dict[str, Any] = {}
    started = threading.Event()

    def in_thread() -> None:
        async def main() -> None:
            outcome["loop"], outcome["task"] = asyncio.get_running_loop(), asyncio.current_task()
            started.set()
            outcome["result"] = await work

        try:
            asyncio.run(main())
        except BaseException as fault:
            outcome["fault"] = fault

    thread = threading.Thread(target=in_thread, name="hvae-play", daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        started.wait()
        with contextlib.suppress(RuntimeError):
            outcome["loop"].call_soon_threadsafe(outcome["task"].cancel)
        thread.join()
        raise
    if "fault" in outcome:
        raise outcome["fault"]
    return outcome["result"]


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}
