"""One administration, step by step, for somebody who watches it.

What is asked and how it is read is a study's own (`play`), but nothing is recorded: it is told to
a callback and forgotten. A thread with an event loop of its own does the asking, so that
no page waits for a model, and it can be stopped at any moment. The embedded model loads and ends
inside native code that lets no other thread run, for seconds: it is asked in a process of its own.
Whatever goes wrong, a model that disappears or a mistake of ours, ends as an event with a
sentence: this module must never raise into a page, and never write a file.

Public names: Event, condition, decide, ask, Running, factors.
"""

import asyncio
import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from hvae_utils.ask import models, prompts
from hvae_utils.ask.respondents import Request, Respondent
from hvae_utils.errors import EndpointError, UserError, unknown
from hvae_utils.measure import svo, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.play import administer, study
from hvae_utils.play.engine import Asker, Row, record_of
from hvae_utils.play.records import Record

ASSIGNED = "prosocial"  # a value of the files, in whose place one's own is put into a condition
_FACTORS = {field.name for field in fields(study.Study)}


@dataclass(frozen=True)
class Event:
    """What just happened. kind:

    asked     messages (role, content; oldest first) go out now
    replied   reply is what came back, note the transport's error if nothing did
    item      item (from 1) is settled: outcome, option (from 1, instrument's order, or None),
              chances (options,) of the first answer in that order (NaN where not listed), order
              (the option, from 0, at each place shown), note (what decided), low and high
              (degrees: all angles still possible), angle (degrees; NaN until all six have one)
    done      everything was asked
    error     note says why nothing more comes
    stopped   somebody stopped it
    """

    kind: str
    value: str
    messages: tuple[dict[str, str], ...] = ()
    reply: str = ""
    item: int | None = None
    outcome: str = ""
    option: int | None = None
    chances: tuple[float, ...] = ()
    order: tuple[int, ...] = ()
    low: float = np.nan
    high: float = np.nan
    angle: float = np.nan
    note: str = ""


Report = Callable[[Event], None]


def condition(model: str, value: str | Value, **factors: Any) -> Row:
    """Return the condition in which one administration is watched, as a study has it.

    value: by its name or itself; factors: one level each of what `study.Study` crosses, such as
    induction="definition", goal_prompt=True, placement="system", instrument="svo-slider+swapped".
    Raises UserError for a level that does not exist.
    """
    assigned = values.get(value)
    filed = values.load().get(assigned.name) == assigned
    levels = {"value": assigned.name if filed else ASSIGNED, "goal_prompt": False} | factors
    crossed = {name if name in _FACTORS else f"{name}s": level for name, level in levels.items()}
    if wrong := sorted(set(crossed) - _FACTORS):
        raise unknown("factor", wrong[0], _FACTORS)
    row = study.conditions(study.Study((model,), **crossed)).to_dict("records")[0]
    return row if filed else row | {"value": assigned}


async def decide(row: Row, report: Report) -> None:
    """Assign the value and put the items of one condition, as a study does, telling every step.

    Raises EndpointError when the model is gone or its value could not be assigned.
    """
    sources = administer.Sources()
    async with models.respondent(row["model"]) as respondent:
        watcher = _Watcher(respondent, values.get(row["value"]).name, report)
        assigned = await administer.assign_one(watcher, row, sources)
        if assigned["not_assigned"]:
            raise EndpointError(f"{row['model']} did not answer: {assigned['not_assigned']}")
        slider = sources.instrument(row["instrument"])
        settle = partial(watcher.settle, slider, np.full(len(slider.items), -1))
        await administer.administer_one(watcher, {**row, **assigned}, sources, True, settle)


class _Watcher(Asker):
    """Asks and reports; records nothing."""

    def __init__(self, respondent: Respondent, value: str, report: Report) -> None:
        super().__init__(respondent.identity)
        self._respondent, self._value, self._report = respondent, value, report
        self._orders: dict[int, tuple[int, ...]] = {}

    async def record(self, request: Request) -> Record:
        """Report what is asked and what was replied; return it as a study would record it."""
        self._report(Event("asked", self._value, messages=request.messages))
        answer = await self._respondent.answer(request)
        said = {"reply": answer.text or "", "note": answer.error or ""}
        self._report(Event("replied", self._value, **said))
        if request.presentation is not None:
            self._orders[request.presentation.item] = request.presentation.order
        return record_of(request, answer)

    def settle(self, slider: Instrument, chosen: np.ndarray, response: Mapping[str, Any]) -> None:
        """Report a row of the responses table; chosen: the options so far, which this one joins."""
        item, option = slider.items.index(response["item"]), response["option"]
        chosen[item] = -1 if option is None else option - 1
        scored = svo.score(chosen[None], slider).iloc[0]
        options = range(1, slider.payoffs.shape[1] + 1)
        self._report(
            Event(
                "item",
                self._value,
                item=item + 1,
                outcome=response["outcome"],
                option=option,
                chances=tuple(response[f"p{number}"] for number in options),
                order=self._orders.get(item, ()),
                low=float(scored["angle_low"]),
                high=float(scored["angle_high"]),
                angle=float(scored["angle"]),
                note=response["evidence"],
            )
        )


def ask(choices: Sequence[Mapping[str, Any]], report: Report) -> "Running":
    """Decide one condition after the other in a thread of its own; return at once.

    choices: what `condition` takes, each. report is called from that thread; the last event is
    done, error or stopped.
    Raises UserError for a level that does not exist and a model that is not ready.
    """
    rows = [condition(**one) for one in choices]
    models.require([row["model"] for row in rows])
    return Running(rows, report)


def factors() -> dict[str, tuple[str, ...]]:
    """Return what can be chosen: model (the ready ones, an embedded one first) and so on.

    A server's models are not listed, their names can be typed."""
    found = models.table()
    ready = found.loc[found["ready"], ["name", "kind"]].itertuples(index=False)
    names = sorted(ready, key=lambda one: one.kind != "local")
    packs = [name for name in prompts.names() if prompts.load(name).items is None]
    return {
        "model": tuple(one.name for one in names if "<" not in one.name),
        "value": values.names(),
        "induction": prompts.INDUCTIONS,
        "wording": tuple(sorted(packs, key=lambda name: name != "plain")),
        "order": ("fixed", "reversed", "shuffled"),
    }


class Running:
    """An administration under way; `stop` ends it, `join` waits for its end."""

    def __init__(self, rows: Sequence[Row], report: Report) -> None:
        self._rows, self._report = tuple(rows), report
        self._lock = threading.Lock()
        self._stopped = False
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="hvae-explore", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop as soon as possible: the question under way is dropped. Twice is once."""
        with self._lock:
            self._stopped = True
            if self._loop is not None and self._task is not None:
                with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                    self._loop.call_soon_threadsafe(self._task.cancel)

    def join(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds; return whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        at, fault = values.get(self._rows[0]["value"]).name, None
        try:
            asyncio.run(self._all())
        except asyncio.CancelledError:
            self._report(Event("stopped", at))
        except (UserError, EndpointError) as known:
            fault = str(known)
        except Exception as unforeseen:  # the page would never hear of it otherwise
            fault = f"this should not happen ({type(unforeseen).__name__}: {unforeseen})"
        if fault is not None:
            self._report(Event("error", at, note=fault))

    async def _all(self) -> None:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            if self._stopped:
                raise asyncio.CancelledError
        if any(row["model"].startswith("local/") for row in self._rows):
            await _elsewhere(self._rows, self._report)
        else:
            await _decide_all(self._rows, self._report)
        self._report(Event("done", values.get(self._rows[-1]["value"]).name))


async def _decide_all(rows: Sequence[Row], report: Report) -> None:
    for row in rows:
        await decide(row, report)


async def _elsewhere(rows: Sequence[Row], report: Report) -> None:
    """Decide in a process of its own; when this is cancelled, the process ends at once.

    Raises what was raised there, and EndpointError where the process ended without a word.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_in_process, args=(rows, sender), daemon=True)
    process.start()
    sender.close()  # so that the process holds the only one, and its end is heard
    try:
        while (said := await asyncio.to_thread(receiver.recv)) is not None:
            if isinstance(said, Exception):
                raise said
            report(said)
    except EOFError:
        raise EndpointError(
            f"{rows[0]['model']}: its process ended unexpectedly; is there enough memory?"
        ) from None
    finally:
        process.kill()
        process.join()


def _in_process(rows: Sequence[Row], sender: Connection) -> None:
    """Decide here, telling events, then None or the error that ended it."""
    try:
        asyncio.run(_decide_all(rows, sender.send))
    except (UserError, EndpointError) as fault:
        sender.send(fault)
    else:
        sender.send(None)
