"""The engine: many requests, bounded concurrency, each asked once and recorded when answered.

What is asked comes as DIALOGUES: generators that yield a question, get its record back, and at
last return a result. A model's workers take them in order, so no more conditions are begun than
are needed to keep its places busy. A server that keeps prompt prefixes (`Respondent.prefix_reuse`)
is asked in the order of prefixes, and the first dialogue with a prefix is done before the others
with it begin: each is read once.
"""

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hvae_utils.ask import models, replay
from hvae_utils.ask.prompts import Presentation
from hvae_utils.ask.respondents import Answer, Request, Respondent
from hvae_utils.errors import BudgetReached, EndpointError, UserError
from hvae_utils.measure import factors
from hvae_utils.play.budget import Budget
from hvae_utils.play.records import Held, Record

# Longest reply asked for, in tokens, by kind of request.
MAX_TOKENS = {
    **{"describe": 96, "adopt": 48, "goal": 64, "reason": 200},
    **{"item": 24, "readout": 1, "probe": 1, "check": 4},
}
CHAINS_APART = 10_000  # seeds between one chain of thought and the next: no repeat comes so far
TOP_LOGPROBS = 20  # the most that OpenAI-compatible endpoints give
READ_EXACTLY = ("readout", "probe")  # kinds of which only the first token's alternatives matter
READ_TOKENS = ("item", *READ_EXACTLY)
NOTHING_SAID = "(no reply)"  # stands for an empty reply in a dialogue; endpoints refuse empty turns
# An endpoint counts as gone after so many failures without a success between them; an outage that
# all requests in flight meet once is survived.
FAILURES_IN_A_ROW, FAILURES_A_WORKER = 10, 2
SECONDS_BETWEEN_LINES = 10.0
SECONDS_UNSEEN = 1.0  # of a job; a dozen bars that are full at once say nothing
LINE = "{desc}: {n_fmt}/{total_fmt}{unit}s, {rate_noinv_fmt}, {elapsed} so far, {remaining} left"

Row = Mapping[str, Any]  # of a table of conditions
Message = dict[str, str]
Place = tuple[int, int]  # of a result: its condition, its dialogue


class Question(NamedTuple):
    """What is put to the respondent of a condition: chat messages, oldest first."""

    kind: str  # as in `Request`
    messages: list[Message]
    row: Row  # the condition
    shown: Presentation | None = None  # of an item
    attempt: int = 1  # 2 after a reminder
    thinking_tokens: int = 0  # room for a thought, as the respondent's route has it
    temperature: float | None = None  # None: the condition's; of what is read exactly, 0
    chain: int = 0  # number of the chain of thought, each drawn with a seed of its own


Dialogue = Generator[Question, Record, Any]


def request_for(question: Question, identity: str) -> Request:
    """Return the request that puts a question to the respondent of this identity."""
    row, shown = question.row, question.shown
    model, deliberation = factors.model_of(row["model"])
    usual = 0.0 if question.kind in READ_EXACTLY else row["temperature"]
    held = shown is not None and row.get("replies") == "constrained"
    return Request(
        kind=question.kind,
        model=model,
        messages=tuple(question.messages),
        condition=row,
        max_tokens=MAX_TOKENS[question.kind],
        temperature=usual if question.temperature is None else question.temperature,
        seed=row["seed"] + row["repeat"] + CHAINS_APART * question.chain,
        repeat=row["repeat"],
        attempt=question.attempt,
        top_logprobs=TOP_LOGPROBS if question.kind in READ_TOKENS else 0,
        presentation=shown,
        identity=identity,
        thinking_tokens=question.thinking_tokens,
        thinking=deliberation if deliberation in factors.THINKING else "",
        choices=shown.labels if held else (),
    )


def record_of(request: Request, answer: Answer, latency_s: float | None = None) -> Record:
    """Return the record of a request and its answer; latency_s: None where nobody waited.

    thinking_tokens are those that the answer took, thinking_room those that it was given.
    """
    shown = request.presentation
    return {
        "key": request.key,
        "error": answer.error,
        "condition_id": request.condition.get("condition_id"),
        "kind": request.kind,
        "model": request.model,
        "value": request.condition["value"],
        "wording": request.condition.get("wording"),
        "item": None if shown is None else shown.item + 1,
        "order": None if shown is None else shown.order,
        "labels": None if shown is None else shown.labels,
        "repeat": request.repeat,
        "attempt": request.attempt,
        "messages": request.messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "thinking": request.thinking,
        "thinking_room": request.thinking_tokens,
        "choices": request.choices,
        **vars(answer),
        "latency_s": latency_s,
        "answered_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


async def converse(dialogue: Dialogue, ask: Callable[[Question], Awaitable[Record]]) -> Any:
    """Ask what a dialogue asks, one question after the other; return its result."""
    record = None
    while True:
        try:
            question = dialogue.send(record)
        except StopIteration as end:
            return end.value
        record = await ask(question)


def asking(question: Question) -> Dialogue:
    """Ask one question; the result is its record."""
    return (yield question)


@dataclass(frozen=True, slots=True)
class Job:
    """One dialogue of a model's work."""

    prefix: str  # what its prompts begin with
    text: str  # the first question after that
    steps: int  # the units of progress it counts
    dialogue: Dialogue


Plan = Callable[[int, Row], Iterable[Job]]  # number and row of a condition -> its jobs


def ask(questions: list[Question], records: Held, concurrency: int = 0) -> list[Record]:
    """Put questions that need no reply to each other; return their records, in the same order.

    Asked is what the records do not answer. concurrency and errors: as in `for_each`.

    >>> row = {"model": "reference/faithful", "value": "none", "repeat": 1, "seed": 1}
    >>> hello = Question("goal", [{"role": "user", "content": "Hello"}], {**row, "temperature": 0})
    >>> [record["kind"] for record in ask([hello], Held())]
    ['goal']
    """

    def plan(number: int, _: Row) -> list[Job]:
        return [Job("", "", 1, asking(questions[number]))]

    return for_each("ask", plan, [question.row for question in questions], records, concurrency)


def for_each(
    verb: str,
    plan: Plan,
    conditions: Iterable[Row],
    records: Held,
    concurrency: int = 0,
    per_condition: int = 1,
    budget: Budget | None = None,
) -> list[Any]:
    """Do the jobs of every condition; return their results, in the conditions' order.

    concurrency: requests in flight a model, 0 for the respondent's own number; per_condition:
    units of progress. Conditions whose items are all answered come last, so that a run that
    continues asks at once. A model is one however it deliberates. Models are asked at the same
    time, those on this machine, which share its processors and memory, one after the other. Raises
    EndpointError when a model cannot be reached and BudgetReached when the budget is used up,
    saying how many records are safe.
    """
    if not isinstance(concurrency, int) or concurrency < 0:
        raise UserError(f"concurrency is {concurrency!r}; it must be a whole number from 0")
    done: dict[Place, Any] = {}
    stops: list[BudgetReached] = []
    limits: dict[str, Any] = {}  # one an endpoint, shared by its models
    rows_of: dict[str, list[tuple[int, Row]]] = {}
    for number, row in enumerate(conditions):
        rows_of.setdefault(factors.model_of(row["model"])[0], []).append((number, row))
    asked = {name: models.respondent(name, limits, concurrency) for name in rows_of}
    lanes: dict[str, list[str]] = {}
    for name, respondent in asked.items():
        here = respondent.prefix_reuse or name.startswith("reference/")
        lanes.setdefault("" if here else name, []).append(name)

    def answered(numbered: tuple[int, Row]) -> bool:
        return records.answered_items(numbered[1].get("condition_id", "")) >= per_condition

    async def one_model(name: str) -> None:
        respondent, rows = asked[name], sorted(rows_of[name], key=answered)
        jobs = (
            ((number, place), job)
            for number, row in rows
            for place, job in enumerate(plan(number, row))
        )
        if respondent.prefix_reuse:
            jobs = iter(sorted(jobs, key=lambda entry: (entry[1].prefix, entry[1].text)))
        unit = "item" if per_condition > 1 else "condition"
        with Progress(f"{verb} {name}", len(rows) * per_condition, unit) as progress:
            workers = concurrency or respondent.concurrency
            asker = Asker(respondent, records, progress, workers, budget, stops)
            async with respondent:
                await _share(jobs, asker, done)

    async def lane(names: list[str]) -> None:
        for name in names:
            if not stops:
                await one_model(name)

    try:
        _run(_together(lane(names) for names in lanes.values()))
        if stops:
            raise stops[0]
    except (EndpointError, BudgetReached) as fault:
        raise type(fault)(
            f"{fault}; {len(records)} records are safe, run the same study again to continue"
        ) from None
    return [done[place] for place in sorted(done)]


@dataclass
class Asker:
    """Asks one respondent: from the records where the answer is there, otherwise once."""

    respondent: Respondent
    records: Held
    progress: "Progress"
    workers: int  # how many ask at the same time
    budget: Budget | None
    stops: list[BudgetReached]  # shared by all models; after one, nothing more is sent
    _underway: dict[str, asyncio.Future[Record]] = field(default_factory=dict)
    _failures: int = 0

    def __post_init__(self) -> None:
        self._patience = max(FAILURES_IN_A_ROW, FAILURES_A_WORKER * self.workers)
        # a replay repeats a recorded error, too, which otherwise would be asked again
        self._settled = self.records.answered if replay.identities() is None else self.records.get
        self.respondent.before_try = None if self.budget is None else self._once_more

    async def ask(self, question: Question) -> Record:
        """Return the record of a question, asked at most once however many wait for it."""
        request = request_for(question, self.respondent.identity)
        if record := self._settled(request.key):
            return record
        if underway := self._underway.get(request.key):
            return await asyncio.shield(underway)
        self._underway[request.key] = underway = asyncio.get_running_loop().create_future()
        try:
            record = await self._ask_now(request)
            underway.set_result(record)
            return record
        except BaseException:
            underway.cancel()  # who waits for it stops too
            raise
        finally:
            del self._underway[request.key]

    def _once_more(self, request: Request) -> None:
        """Set one more try of a request aside; without a budget for it nothing more is sent."""
        try:
            self.budget.admit_try(request)
        except BudgetReached as fault:
            self.stops.append(fault)
            raise

    async def _ask_now(self, request: Request) -> Record:
        if self.stops:
            raise self.stops[0]
        if self.budget is not None:
            self.budget.admit(request)
        self.progress.asking()
        started = time.perf_counter()
        answer = await self.respondent.answer(request)
        latency = time.perf_counter() - started if answer.latency_s is None else answer.latency_s
        record = record_of(request, answer, round(latency, 4))
        self.records.append(record)
        if self.budget is not None:
            self.budget.note(record)
        self._failures = self._failures + 1 if answer.error else 0
        if self._failures >= self._patience:
            raise EndpointError(
                f"{request.model}: {self._failures} requests in a row failed, {answer.error}"
            )
        return record


async def _share(jobs: Iterator[tuple[Place, Job]], asker: Asker, done: dict[Place, Any]) -> None:
    """Let the workers take the jobs in order until there are none, or no budget is left.

    Of workers that wait for the first job with a prefix there may be as many again.
    """
    prefix: str | None = None
    warm = asyncio.Event()
    by_prefix = asker.respondent.prefix_reuse
    places: asyncio.Queue[None] = asyncio.Queue()  # a Semaphore goes through all who wait
    for _ in range(asker.workers):
        places.put_nowait(None)
    workers = 2 * asker.workers if by_prefix and asker.workers > 1 else asker.workers

    async def do(place: Place, job: Job) -> None:
        nonlocal prefix, warm
        ended = asyncio.Event()
        if by_prefix and job.prefix == prefix:
            await warm.wait()
        else:
            prefix, warm = job.prefix, ended
        await places.get()
        try:
            done[place] = await converse(job.dialogue, asker.ask)
        finally:
            places.put_nowait(None)
            ended.set()

    async def work() -> None:
        for place, job in jobs:
            try:
                await do(place, job)
            except BudgetReached as fault:
                asker.stops.append(fault)
                return
            asker.progress.step(job.steps)
            await asyncio.sleep(0)  # answers from the records must not hold up those under way

    await _together(work() for _ in range(workers))


async def _together(coroutines: Iterator[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines at the same time; the first failure stops them all and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except BaseExceptionGroup as faults:
        first = faults.exceptions[0]
    else:
        return
    first.__context__ = first.__cause__ = None  # a notebook hides an exception with a group there
    raise first


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, in a thread of its own where a loop is running (a notebook)."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # Windows, whose usual loop watches no sockets for libcurl
        new_event_loop = asyncio.SelectorEventLoop
    runner = asyncio.Runner(loop_factory=new_event_loop)

    def here() -> None:
        gc.freeze()  # a sixth of the processor time went into collecting what stays
        try:
            with runner:
                runner.run(work)
        finally:
            gc.unfreeze()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return here()
    loop = runner.get_loop()
    with ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(here).result()
        except KeyboardInterrupt:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(
                    lambda: [task.cancel() for task in asyncio.all_tasks(loop)]
                )
            raise


class Progress(contextlib.AbstractContextManager):
    """Counts to `total` and shows rate and time left; a bar, or where nobody watches, lines.

    What is done within SECONDS_UNSEEN shows nothing.
    """

    def __init__(self, label: str, total: int, unit: str = "item") -> None:
        shown = {"desc": label, "total": total, "unit": f" {unit}", "delay": SECONDS_UNSEEN}
        if _someone_watches():
            from tqdm.auto import tqdm
        else:
            from tqdm import tqdm

            shown |= {"mininterval": SECONDS_BETWEEN_LINES, "miniters": 1, "smoothing": 0}
            shown |= {"file": _Lines(), "bar_format": LINE, "position": 0}
        self._bar, self._asking = tqdm(**shown), False
        self.step = self._bar.update  # count: that many more units are done

    def __exit__(self, *exc: object) -> None:
        self._bar.close()

    def asking(self) -> None:
        """Note that a request goes out; rate and time left count from the first one."""
        if not self._asking:
            self._asking, self._bar.initial = True, self._bar.n
            self._bar.start_t = self._bar.last_print_t = time.time()


class _Lines:
    """A file for a bar that prints each of its states as a plain line, the empty first one not."""

    def write(self, text: str) -> None:
        if text.strip() and ": 0/" not in text:
            print(text.strip(), flush=True)

    def flush(self) -> None:
        """Each line was printed at once."""


def _someone_watches() -> bool:
    """Return whether a bar would be seen: a live notebook front end, or a terminal."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if (kernel := getattr(shell, "kernel", None)) is not None:
        # a headless executor (papermill, nbclient) refuses input, a front end allows it
        return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stderr.isatty()
