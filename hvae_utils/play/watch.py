"""One administration, step by step, for somebody who watches it.

The dialogues are a study's own (`administer`), but nothing is recorded: each step is an event that
goes to a callback. A thread with an event loop of its own does the asking, so that no page waits
for a model. The embedded model loads and ends inside native code that lets no other thread run,
for seconds: it is asked in a process of its own. Whatever goes wrong ends as an event, too.
"""

import asyncio
import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils.ask import models, prompts
from hvae_utils.ask.respondents import Respondent
from hvae_utils.errors import EndpointError, UserError, unknown
from hvae_utils.measure import scoring, svo, values
from hvae_utils.measure.factors import model_of
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.play import administer, study
from hvae_utils.play.engine import Question, Row, converse, record_of, request_for
from hvae_utils.play.records import Record

ASSIGNED = "prosocial"  # a value of the files, in whose place one's own is put into a condition
_LOOP = asyncio.SelectorEventLoop  # the usual one of Windows watches no sockets for libcurl
_FACTORS = {field.name for field in fields(study.Study)}


@dataclass(frozen=True)
class Event:
    """What just happened. kind:

    asked     messages (role, content; oldest first) go out now
    replied   reply is what came back, thought what a model that thinks sent before it, note why
              nothing came back
    item      item (from 1) is settled: outcome, option (from 1, instrument's order, or None),
              chances (options,) of the first answer in that order (NaN where not listed), order
              (the option, from 0, at each place shown), note (what decided), low and high
              (degrees: all angles still possible), angle (degrees; NaN until all six have one);
              where probabilities are read, expected angles
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
    thought: str = ""


Report = Callable[[Event], None]


def condition(model: str, value: str | Value, **factors: Any) -> Row:
    """Return the condition in which one administration is watched, as a study has it.

    value: by its name or itself; factors: one level each of what `study.Study` crosses, such as
    induction="definition", goal_prompt=True, placement="system", instrument="svo-slider+swapped".
    Raises UserError for a level that does not exist.

    >>> condition("reference/faithful", "altruistic", placement="system")["placement"]
    'system'
    """
    assigned = values.get(value)
    filed = assigned.weight is not None or values.load().get(assigned.name) == assigned
    levels = {"value": assigned.name if filed else ASSIGNED, "goal_prompt": False} | factors
    crossed = {name if name in _FACTORS else f"{name}s": level for name, level in levels.items()}
    if wrong := sorted(set(crossed) - _FACTORS):
        raise unknown("factor", wrong[0], _FACTORS)
    row = study.conditions(study.Study((model,), **crossed)).to_dict("records")[0]
    row["audited"] = False
    return row if filed else row | {"value": assigned}


async def decide(rows: Sequence[Row], report: Report) -> None:
    """Assign the value and put the items of each condition, as a study does; report every step.

    Raises EndpointError when a model is gone or its value could not be assigned.
    """
    for row in rows:
        sources = administer.Sources()
        name, _ = model_of(row["model"])
        async with models.respondent(name) as respondent:
            value, slider = values.get(row["value"]).name, sources.instrument(row["instrument"])
            watcher = _Watcher(respondent, value, slider, report)
            assigned = await converse(administer.assignment(row, sources), watcher.ask)
            if assigned["not_assigned"]:
                raise EndpointError(f"{name} did not answer: {assigned['not_assigned']}")
            for _, _, dialogue in administer.item_dialogues({**row, **assigned}, sources, True):
                for response in await converse(dialogue, watcher.ask):
                    watcher.settle(dict(zip(administer.COLUMNS, response, strict=True)))


class _Watcher:
    """Asks one respondent and reports what is asked and answered; records nothing."""

    def __init__(self, respondent: Respondent, value: str, slider: Instrument, report: Report):
        self._respondent, self._slider, self._report = respondent, slider, report
        self._value = value
        self._orders: dict[int, tuple[int, ...]] = {}
        self._chosen = np.full((1, len(slider.items)), -1)
        self._shares = np.full((1, len(slider.items), slider.options), np.nan)

    async def ask(self, question: Question) -> Record:
        request = request_for(question, self._respondent.identity)
        self._report(Event("asked", self._value, messages=request.messages))
        answer = await self._respondent.answer(request)
        text, why = answer.text or "", answer.error or answer.cause
        thought = answer.thought or ""
        self._report(Event("replied", self._value, reply=text, note=why, thought=thought))
        if question.shown is not None:
            self._orders[question.shown.item] = question.shown.order
        return record_of(request, answer)

    def settle(self, response: Mapping[str, Any]) -> None:
        """Report a row of the responses table, and what the answers so far say of the angle."""
        item, option = self._slider.items.index(response["item"]), response["option"]
        self._chosen[0, item] = -1 if option is None else option - 1
        shares = scoring.option_shares(pd.DataFrame([response]), self._slider.options)
        self._shares[0, item] = shares[0]
        if response["method"] == "probabilities":
            scored = scoring.expectations(self._shares, self._slider).iloc[0]
        else:
            scored = svo.score(self._chosen, self._slider).iloc[0]
        self._report(
            Event(
                "item",
                self._value,
                item=item + 1,
                outcome=response["outcome"],
                option=option,
                chances=tuple(shares[0].tolist()),
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
    UserError: a level that does not exist, a model that is not ready.
    """
    rows = [condition(**choice) for choice in choices]
    models.require([model_of(row["model"])[0] for row in rows])
    return Running(rows, report)


def factors() -> dict[str, tuple[str, ...]]:
    """Return what can be chosen; models are the ready ones, an embedded one first."""
    table = models.table()
    ready = table[table["ready"] & ~table["name"].str.contains("<")]
    packs = [name for name in prompts.names() if prompts.load(name).items is None]
    ready = ready.sort_values("kind", key=lambda kind: kind != "local", kind="stable")
    return {
        "model": tuple(ready["name"]),
        "value": values.names(),
        "deliberation": ("direct", "reasoned"),
        "induction": prompts.INDUCTIONS,
        "wording": tuple(sorted(packs, key=lambda name: name != "plain")),
        "order": ("fixed", "reversed", "shuffled"),
    }


class Running:
    """An administration under way; `stop` ends it, `join` waits for its end."""

    def __init__(self, rows: Sequence[Row], report: Report) -> None:
        self._rows, self._report = tuple(rows), report
        self._runner = asyncio.Runner(loop_factory=_LOOP)
        embedded = any(row["model"].startswith("local/") for row in rows)
        work = (_decide_elsewhere if embedded else decide)(self._rows, report)
        self._task = self._runner.get_loop().create_task(work)
        self._thread = threading.Thread(target=self._run, name="hvae-explore", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop as soon as possible: the question under way is dropped. Twice is once."""
        with contextlib.suppress(RuntimeError):  # it has ended meanwhile
            self._runner.get_loop().call_soon_threadsafe(self._task.cancel)

    def join(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds; return whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        first, last = (values.get(self._rows[at]["value"]).name for at in (0, -1))
        try:
            with self._runner:
                self._runner.run(asyncio.wait_for(self._task, None))  # run takes no task
            end = Event("done", last)
        except asyncio.CancelledError:
            end = Event("stopped", first)
        except (UserError, EndpointError) as fault:
            end = Event("error", first, note=str(fault))
        except Exception as fault:  # the page would never hear of it otherwise
            note = f"this should not happen ({type(fault).__name__}: {fault})"
            end = Event("error", first, note=note)
        self._report(end)


async def _decide_elsewhere(rows: Sequence[Row], report: Report) -> None:
    """Decide in a process of its own; when this is cancelled, the process ends at once.

    Raises what was raised there, and EndpointError where the process ended without a word.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_in_process, args=(rows, sender), daemon=True)
    process.start()
    sender.close()  # so that the process holds the only one, and its end is heard
    try:
        while (sent := await asyncio.to_thread(receiver.recv)) is not None:
            if isinstance(sent, Exception):
                raise sent
            report(sent)
    except EOFError:
        raise EndpointError(
            f"{rows[0]['model']}: its process ended unexpectedly; is there enough memory?"
        ) from None
    finally:
        process.kill()
        process.join()


def _in_process(rows: Sequence[Row], sender: Connection) -> None:
    """Decide here; send the events, then None or the error that ended it."""
    try:
        with asyncio.Runner(loop_factory=_LOOP) as runner:
            runner.run(decide(rows, sender.send))
    except (UserError, EndpointError) as fault:
        sender.send(fault)
    else:
        sender.send(None)
