"""One administration, step by step, for somebody who watches it.

The same prompts, respondents and readings as a study, but nothing is recorded: what is asked is
told to a callback and forgotten. A thread with an event loop of its own does the asking, so that
no page waits for a model, and it can be stopped at any moment. The embedded model loads and ends
inside native code that lets no other thread run, for seconds: it is asked in a process of its own.
Whatever goes wrong, a model that disappears or a mistake of ours, ends as an event with a
sentence: this module must never raise into a page, and never write a file.

Public names: Setting, Event, decide, ask, Running, factors.
"""

import asyncio
import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from hvae_utils import engine, instruments, models, presentations, prompts, replies, svo, values
from hvae_utils.errors import EndpointError, UserError
from hvae_utils.instruments import Instrument
from hvae_utils.respondents import Answer, Request, Respondent
from hvae_utils.values import Value

SEED = 20230524  # as a study's own; only `shuffled` and simulated respondents use it
ATTEMPTS = 2  # the question and one reminder, as in a study


@dataclass(frozen=True)
class Setting:
    """Who is asked, and how; the names are those of `study.Study`."""

    model: str
    value: Value
    induction: str = "self_description"
    wording: str = "plain"
    order: str = "fixed"


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


async def decide(setting: Setting, report: Report) -> None:
    """Assign the value and put the six items, telling every step.

    Raises UserError for names that do not exist and EndpointError when the model is gone.
    """
    slider = instruments.load("svo-slider")
    async with models.respondent(setting.model) as respondent:
        talk = _Talk(respondent, setting, slider, report)
        prefix = await talk.assign()
        chosen = np.full(len(slider.items), -1)
        for item in range(len(slider.items)):
            reply, shown, listed = await talk.put(item, prefix)
            option = None if reply.index is None else shown.order[reply.index]
            chosen[item] = -1 if option is None else option
            scored = svo.score(chosen[None], slider).iloc[0]
            chances = np.empty(len(shown.order))
            chances[list(shown.order)] = listed
            report(
                Event(
                    "item",
                    setting.value.name,
                    item=item + 1,
                    outcome=reply.outcome,
                    option=None if option is None else option + 1,
                    chances=tuple(chances.tolist()),
                    order=shown.order,
                    low=float(scored["angle_low"]),
                    high=float(scored["angle_high"]),
                    angle=float(scored["angle"]),
                    note=reply.evidence,
                )
            )


def ask(choices: Sequence[Mapping[str, Any]], report: Report) -> "Running":
    """Decide one setting after the other in a thread of its own; return at once.

    choices: the fields of a `Setting` each, a value by its name or itself. report is called from
    that thread; the last event is done, error or stopped.
    Raises UserError for a value or a model that does not exist.
    """
    settings = [Setting(**{**one, "value": values.get(one["value"])}) for one in choices]
    models.require([setting.model for setting in settings])
    return Running(settings, report)


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

    def __init__(self, settings: Sequence[Setting], report: Report) -> None:
        self._settings, self._report = tuple(settings), report
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
        at, fault = self._settings[0].value.name, None
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
        if any(setting.model.startswith("local/") for setting in self._settings):
            await _elsewhere(self._settings, self._report)
        else:
            await _decide_all(self._settings, self._report)
        self._report(Event("done", self._settings[-1].value.name))


async def _decide_all(settings: Sequence[Setting], report: Report) -> None:
    for setting in settings:
        await decide(setting, report)


async def _elsewhere(settings: Sequence[Setting], report: Report) -> None:
    """Decide in a process of its own; when this is cancelled, the process ends at once.

    Raises what was raised there, and EndpointError where the process ended without a word.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_in_process, args=(settings, sender), daemon=True)
    process.start()
    sender.close()  # so that the process holds the only one, and its end is heard
    try:
        while (said := await asyncio.to_thread(receiver.recv)) is not None:
            if isinstance(said, Exception):
                raise said
            report(said)
    except EOFError:
        raise EndpointError(
            f"{settings[0].model}: its process ended unexpectedly; is there enough memory?"
        ) from None
    finally:
        process.kill()
        process.join()


def _in_process(settings: Sequence[Setting], sender: Connection) -> None:
    """Decide here, telling events, then None or the error that ended it."""
    try:
        asyncio.run(_decide_all(settings, sender.send))
    except (UserError, EndpointError) as fault:
        sender.send(fault)
    else:
        sender.send(None)


class _Talk:
    """What is said to one respondent in one setting."""

    def __init__(
        self, respondent: Respondent, setting: Setting, slider: Instrument, report: Report
    ) -> None:
        self.respondent, self.setting, self.slider = respondent, setting, slider
        self.report = report
        self.pack = prompts.load(setting.wording)

    async def assign(self) -> list[dict[str, str]]:
        """Assign the value in the dialogue; return the turns that every item follows."""
        value, induction = self.setting.value, self.setting.induction
        if not value.word:
            return []
        turns = []
        if induction == "self_description":
            turns.append(_user(prompts.describe_text(self.pack, value)))
            turns.append(await self._reply("describe", turns))
        turns.append(_user(prompts.adopt_text(self.pack, value, induction)))
        return [*turns, await self._reply("adopt", turns)]

    async def put(
        self, item: int, prefix: list[dict[str, str]]
    ) -> tuple[replies.Reply, prompts.Presentation, np.ndarray]:
        """Put one item, with one reminder; return its reading and the first answer's chances."""
        options = self.slider.payoffs.shape[1]
        order = presentations.option_order(self.setting.order, item, options, SEED)
        shown = prompts.present(self.slider, item, order)
        payoffs = self.slider.payoffs[item, list(order)]
        text = prompts.item_text(self.pack, self.setting.value, self.slider, shown)
        turns, listed = [*prefix, _user(text)], np.full(options, np.nan)
        for attempt in range(1, ATTEMPTS + 1):
            answer = await self._ask("item", turns, shown, attempt)
            if attempt == 1:
                listed, _ = replies.option_probabilities(answer.top_logprobs or (), shown.labels)
            reply = replies.read(
                answer.text, answer.finish_reason, answer.error, shown.labels, payoffs
            )
            if reply.outcome in ("choice", "error"):
                break
            turns.append(_assistant(answer.text or engine.NOTHING_SAID))
            turns.append(_user(prompts.reminder_text(self.pack, shown)))
        return reply, shown, listed

    async def _reply(self, kind: str, turns: list[dict[str, str]]) -> dict[str, str]:
        """Return the turn that answers; EndpointError where none came, for nothing can follow."""
        answer = await self._ask(kind, turns)
        if answer.error:
            raise EndpointError(f"{self.setting.model} did not answer: {answer.error}")
        return _assistant(answer.text or engine.NOTHING_SAID)

    async def _ask(
        self,
        kind: str,
        turns: list[dict[str, str]],
        shown: prompts.Presentation | None = None,
        attempt: int = 1,
    ) -> Answer:
        name = self.setting.value.name
        self.report(Event("asked", name, messages=tuple(turns)))
        answer = await self.respondent.answer(
            Request(
                kind=kind,
                model=self.setting.model,
                messages=tuple(turns),
                condition={"value": self.setting.value, "instrument": self.slider.name},
                max_tokens=engine.MAX_TOKENS[kind],
                temperature=0.0,
                seed=SEED,
                attempt=attempt,
                top_logprobs=engine.TOP_LOGPROBS if kind == "item" else 0,
                presentation=shown,
                identity=self.respondent.identity,
            )
        )
        self.report(Event("replied", name, reply=answer.text or "", note=answer.error or ""))
        return answer


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
