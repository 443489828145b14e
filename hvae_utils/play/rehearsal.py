"""A rehearsal: a study is played without asking anybody, to know its requests beforehand.

The play is the real one (`play`), so a rehearsal asks what the run will ask, with the same keys.
What the records answer is taken from them. For the rest somebody pretends to answer, so that all
requests can be counted; or nobody does, and what remains are the requests whose prompts are known
already, which is what can be asked in one go.
It never touches a model and never writes a record.

Public names: Design, designs, unanswered, Reply, typical, stubborn, TYPICAL_TOKENS, Known,
NOTHING.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import pandas as pd

from hvae_utils.ask import models
from hvae_utils.ask.respondents import Answer, Request
from hvae_utils.play import administer, probes, study
from hvae_utils.play.engine import Asker, Message, record_of
from hvae_utils.play.records import Record

# Tokens of a reply that is no longer than it needs to be, by kind: the median replies of chat
# models to these prompts are sentences for goal and adoption, a letter for an item.
TYPICAL_TOKENS = {"describe": 96, "adopt": 30, "goal": 30, "item": 2, "readout": 1, "probe": 1}
WORD = "word "  # of placeholder text: about one token

Reply = Callable[[Request], Answer]


class Known(Protocol):
    """What a rehearsal needs of records."""

    def answered(self, key: str) -> Record | None:
        """Return the record of a key that needs no asking again, or None."""


class _Nothing:
    def answered(self, key: str) -> Record | None:
        return None


NOTHING: Known = _Nothing()  # the records of a run that has not begun


@dataclass(frozen=True)
class Design:
    """One call of assign and administer: its conditions, and whether one reminder is allowed."""

    conditions: pd.DataFrame
    reask: bool


def designs(parameters: Mapping[str, Any]) -> list[Design]:
    """Return all that the workbook plays with these parameters: the study and its probes.

    parameters: by name, as the notebooks take them. Raises UserError as `study.Study` does.
    """
    known = {field.name for field in fields(study.Study)}
    main = study.conditions(study.Study(**{k: v for k, v in parameters.items() if k in known}))
    asked, wording = list(main["model"].unique()), parameters["wordings"][0]
    beside = probes.planned(parameters["isomorphs"], asked, parameters["probe_values"], wording)
    return [Design(table, parameters["reask"]) for table in (main, *beside)]


def unanswered(
    model: str, planned: Sequence[Design], records: Known, reply: Reply | None
) -> Iterator[Request]:
    """Yield each request to `model` that the records do not answer, once, in the order of play.

    reply: what pretends to be the answer. None: nobody answers, and the requests are those whose
    prompts the records determine.
    """
    sources = administer.Sources()
    asker = _Rehearsing(models.identity(model), records, reply)
    for design in planned:
        rows = design.conditions[design.conditions["model"] == model].to_dict("records")
        for row in rows:
            assigned = _drive(administer.assign_one(asker, row, sources))
            _drive(administer.administer_one(asker, {**row, **assigned}, sources, design.reask))
            yield from asker.found
            asker.found.clear()


def typical(request: Request) -> Answer:
    """Answer as a model that understands: an item by a label, the rest at the usual length."""
    return _pretend(request, TYPICAL_TOKENS[request.kind], chooses=True)


def stubborn(request: Request) -> Answer:
    """Answer at the greatest length allowed and never choose: nothing can need more requests."""
    return _pretend(request, request.max_tokens, chooses=False)


def _pretend(request: Request, tokens: int, chooses: bool) -> Answer:
    """Return placeholder text, different for different requests, as the replies would be."""
    shown = request.presentation
    listed = (("word", 0.0),) if request.top_logprobs else None
    text = f"{request.key[:6]} {WORD * tokens}"[: len(WORD) * tokens].strip()
    if shown is not None and chooses:
        text = shown.labels[0]
        listed = ((shown.labels[0], 0.0),) if request.top_logprobs else None
    return Answer(text=text, finish_reason="stop", top_logprobs=listed)


class _Rehearsing(Asker):
    """An asker that keeps the requests instead of sending them.

    found: the requests not answered by the records, each once, until somebody takes them away.
    """

    def __init__(self, identity: str, records: Known, reply: Reply | None) -> None:
        super().__init__(identity)
        self.records, self.reply, self.found = records, reply, []
        self._seen: set[str] = set()
        self._open: tuple[Message, ...] | str | None = None

    async def record(self, request: Request) -> Record:
        """Return the record of a request: a known one, a pretended one, or one of an error."""
        if record := self.records.answered(request.key):
            return record
        if self.reply is not None:
            self._find(request)
            return record_of(request, self.reply(request))
        if not self._waits_for_a_reading(request):
            self._find(request)
        return record_of(request, Answer(error="not asked yet"))

    def _find(self, request: Request) -> None:
        if request.key not in self._seen:
            self._seen.add(request.key)
            self.found.append(request)

    def _waits_for_a_reading(self, request: Request) -> bool:
        """Return whether an item is put as text only because its reading is not there yet.

        An open probe leaves open how all items are read, an open reading how the same item is.
        """
        if request.kind in ("probe", "readout"):
            self._open = "all" if request.kind == "probe" else request.messages
            return False
        reads = request.kind == "item" and request.condition["readout"] == "probabilities"
        return reads and self._open in ("all", request.messages)


def _drive(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that waits for nothing, also where a loop is running."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("a rehearsal waited for something")
