"""The engine: many requests, bounded concurrency, each asked once and recorded when answered.

It knows respondents, requests and records. What is asked and what a reply means is `play`'s.

Public names: Asker, NotSaid, request_for, record_of, for_each, MAX_TOKENS, NOTHING_SAID.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from hvae_utils import models, prompts
from hvae_utils.budget import Budget
from hvae_utils.errors import BudgetReached, EndpointError, UserError
from hvae_utils.progress import Progress
from hvae_utils.records import Record, Records
from hvae_utils.respondents import Answer, Request, Respondent

# Longest reply asked for, in tokens, by kind of request.
MAX_TOKENS = {"describe": 96, "adopt": 48, "goal": 64, "item": 24, "readout": 1, "probe": 1}
TOP_LOGPROBS = 20  # the most that OpenAI-compatible endpoints give
READ_EXACTLY = ("readout", "probe")  # kinds of which only the first token's alternatives matter
READ_TOKENS = ("item", *READ_EXACTLY)
NOTHING_SAID = "(no reply)"  # stands for an empty reply in a dialogue; endpoints refuse empty turns
FAILURES_IN_A_ROW = 10  # transport errors after which an endpoint counts as gone
PROBE = "Answer with the letter C and nothing else."

Row = Mapping[str, Any]
Message = dict[str, str]


class NotSaid(RuntimeError):
    """A reply that the prompt needs did not come; holds the error of its record."""


class Asker:
    """Asks one respondent: from the records where the answer is there, otherwise once."""

    def __init__(
        self,
        respondent: Respondent,
        records: Records,
        progress: Progress,
        budget: Budget | None = None,
    ) -> None:
        self.respondent, self.records, self.progress = respondent, records, progress
        self.budget = budget
        self._underway: dict[str, asyncio.Task[Record]] = {}
        self._listed: bool | None = None
        self._failures = 0

    async def say(self, kind: str, messages: list[Message], row: Row) -> str:
        """Return the text of a reply that becomes part of the prompt. Raises NotSaid."""
        record = await self.ask(kind, messages, row)
        if record["error"]:
            raise NotSaid(record["error"])
        return record["text"] or NOTHING_SAID

    async def gives_probabilities(self, row: Row) -> bool:
        """Return whether the endpoint lists token probabilities; asked once, by a known answer."""
        if self._listed is None:
            record = await self.ask(
                "probe", [{"role": "user", "content": PROBE}], {**row, "value": "none", "repeat": 1}
            )
            self._listed = bool(record["top_logprobs"])
        return self._listed

    async def ask(
        self,
        kind: str,
        messages: list[Message],
        row: Row,
        shown: prompts.Presentation | None = None,
        attempt: int = 1,
    ) -> Record:
        """Return the record of one request, asked at most once however many wait for it."""
        request = request_for(kind, messages, row, self.respondent.identity, shown, attempt)
        if record := self.records.answered(request.key):
            return record
        if request.key not in self._underway:
            self._underway[request.key] = asyncio.create_task(self._ask_now(request))
        try:
            return await self._underway[request.key]
        finally:
            self._underway.pop(request.key, None)

    async def _ask_now(self, request: Request) -> Record:
        if self.budget:
            self.budget.admit(request)
        self.progress.asking()
        started = time.perf_counter()
        answer = await self.respondent.answer(request)
        seconds = round(time.perf_counter() - started, 4)
        record = record_of(request, answer, seconds)
        self.records.append(record)
        if self.budget:
            self.budget.note(record)
        self._failures = self._failures + 1 if answer.error else 0
        if self._failures >= FAILURES_IN_A_ROW:
            raise EndpointError(
                f"{request.model}: {self._failures} requests in a row failed, {answer.error}"
            )
        return record


def request_for(
    kind: str,
    messages: Sequence[Message],
    row: Row,
    identity: str,
    shown: prompts.Presentation | None = None,
    attempt: int = 1,
) -> Request:
    """Return the request that puts `messages` in a condition to the respondent of `identity`."""
    return Request(
        kind=kind,
        model=row["model"],
        messages=tuple(messages),
        condition=row,
        max_tokens=MAX_TOKENS[kind],
        temperature=row["temperature"] if kind not in READ_EXACTLY else 0.0,
        seed=row["seed"] + row["repeat"],
        repeat=row["repeat"],
        attempt=attempt,
        top_logprobs=TOP_LOGPROBS if kind in READ_TOKENS else 0,
        presentation=shown,
        identity=identity,
    )


def record_of(request: Request, answer: Answer, latency_s: float | None = None) -> Record:
    """Return the record of a request and its answer; latency_s: None where nobody waited."""
    shown = request.presentation
    return {
        "key": request.key,
        "kind": request.kind,
        "model": request.model,
        "value": request.condition["value"],
        "item": None if shown is None else shown.item + 1,
        "order": None if shown is None else shown.order,
        "labels": None if shown is None else shown.labels,
        "repeat": request.repeat,
        "attempt": request.attempt,
        "messages": request.messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        **answer.as_record(),
        "latency_s": latency_s,
        "answered_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def for_each(
    verb: str,
    one: Callable[[Asker, Row], Awaitable[Any]],
    conditions: pd.DataFrame,
    records: Records,
    concurrency: int,
    per_condition: int,
    budget: Budget | None = None,
) -> list[Any]:
    """Run `one` on every condition, model by model; return the results in the conditions' order."""

    async def all_models() -> dict[str, Any]:
        done: dict[str, Any] = {}
        for model, group in conditions.groupby("model", sort=False):
            label, unit = f"{verb} {model}", "item" if per_condition > 1 else "condition"
            respondent = models.respondent(str(model))
            with Progress(label, len(group) * per_condition, unit) as progress:
                async with respondent:
                    asker = Asker(respondent, records, progress, budget)
                    rows = group.to_dict("records")
                    workers = concurrency or respondent.concurrency
                    await _share(rows, workers, one, asker, done, per_condition == 1)
        return done

    if not isinstance(concurrency, int) or concurrency < 0:
        raise UserError(f"concurrency is {concurrency!r}; it must be a whole number from 0")
    gone = ""
    try:
        done = _run(all_models())
    except EndpointError as fault:
        gone = str(fault)
    if gone:
        raise EndpointError(
            f"{gone}; {len(records)} records are safe, run the same study again to continue"
        )
    return [done[condition_id] for condition_id in conditions.condition_id]


async def _share(
    rows: Iterable[Row],
    workers: int,
    one: Callable[[Asker, Row], Awaitable[Any]],
    asker: Asker,
    done: dict[str, Any],
    counts: bool,
) -> None:
    """Let `workers` tasks take the rows in order; the first failure stops them all.

    It is raised alone and bare: a notebook hides an exception that has a group in its context.
    """
    waiting = iter(rows)
    first: BaseException | None = None

    async def work() -> None:
        nonlocal first
        for row in waiting:
            try:
                done[row["condition_id"]] = await one(asker, row)
            except BudgetReached as fault:  # what others have in flight is paid for: await it
                first = fault
                return
            if counts:
                asker.progress.step()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
    except BaseExceptionGroup as faults:
        first = faults.exceptions[0]
    if first is not None:
        first.__context__ = first.__cause__ = None
        raise first


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
