"""How a model is asked: found by asking it for a letter that is known.

One token tells most: whether the letter comes at once, and whether it is listed with alternatives
that can be believed. A model from which nothing comes at once is asked again with room for a
thought.
"""

import math
from dataclasses import dataclass
from typing import Any

from hvae_utils.ask import models, replies
from hvae_utils.ask.respondents import PROBED
from hvae_utils.measure import factors
from hvae_utils.play.engine import Dialogue, Question, Row
from hvae_utils.play.records import Record

PROBE = f"Answer with the letter {PROBED} and nothing else."
# Least probability of the letter that was asked for in a list that is believed. A small model may
# want to begin with another word; a list of other tokens, as of a hidden thought, has less of it.
KNOWN = 0.01
UNSEEN = 8  # completion tokens more than a reply has characters: of a thought that is not shown
ONE_HOT = "one-hot"


@dataclass(frozen=True)
class Route:
    """How the items of a study are put to one model.

    method: probabilities where the first token of the reply lists them and they can be believed,
    else text; temperature: of the questions that read them, 1 where tables at 0 are one-hot;
    thinks: none, visible (the thought is sent) or hidden (only counted); thinking_tokens: room for
    a thought in every request, 0 where it does not think; reason: why not by probabilities, '' for
    those; fault: the error because of which nothing is known, '' where all is well.
    """

    method: str = "text"
    temperature: float = 0.0
    thinks: str = "none"
    thinking_tokens: int = 0
    reason: str = ""
    fault: str = ""


def find(row: Row, sources: Any) -> Dialogue:
    """Find the route of a condition's respondent; the result is a Route.

    sources: what one call knows, `sources.Sources`; a route without a fault is kept in its
    `routes`, so the next condition asks nothing. `reasoned` and `direct` have one route.
    """
    model, level = factors.model_of(row["model"])
    thinking = level if level in factors.THINKING else "direct"
    name = factors.respondent(model, thinking)
    if name in sources.routes:
        return sources.routes[name]
    found = yield from _ask({**row, "model": name, "value": "none", "repeat": 1}, model, thinking)
    if not found.fault:
        sources.routes[name] = found
    return found


def _ask(row: Row, model: str, thinking: str) -> Dialogue:
    """Ask for the letter: with one token, then with room for a thought, then at temperature 1."""
    room, wanted = room_of(row, model), thinking not in ("direct", "off")
    record = first = yield _probe(row)
    if not _answers(first):
        record = yield _probe(row, room)
    if record["error"]:
        return Route(fault=f"the probe was not answered: {record['error']}")
    thinks = _thinks(record, first)
    if thinks != "none" and not _said(record):
        return Route(thinks=thinks, fault=_too_small(record, model))
    room = room if thinks != "none" or wanted else 0
    reason, temperature = _doubt(record), 0.0
    if record.get("flags") and ONE_HOT in record["flags"]:
        warm = yield _probe(row, 0 if record is first else room, 1.0)
        if not (warm["error"] or _doubt(warm)):
            reason, temperature = "", 1.0
    return Route("text" if reason else "probabilities", temperature, thinks, room, reason)


def _probe(row: Row, room: int = 0, temperature: float = 0.0) -> Question:
    return Question("probe", [{"role": "user", "content": PROBE}], row, None, 1, room, temperature)


def room_of(row: Row, model: str) -> int:
    """Return the tokens of room for a thought: the study's, or the model's own."""
    return int(row.get("thinking_tokens") or models.thinks(model)[1])


def _said(record: Record) -> str:
    """Return what there is to see of a reply, without white space around it."""
    return (record["text"] or "").strip()


def _answers(record: Record) -> bool:
    """Return whether the letter that was asked for is in sight, in the reply or in its list."""
    spelled = replies.parse(_said(record), (PROBED,)).index == 0
    return not record["error"] and (spelled or not _doubt(record))


def _thinks(record: Record, first: Record) -> str:
    """Return whether a model thought, as Route.thinks; first: its reply of one token."""
    if record.get("thought"):
        return "visible"
    if record.get("thinking_tokens"):
        return "hidden"
    # nothing to see of the first token, and then more tokens than the reply can have
    silent, seen = record is not first and not _said(first), UNSEEN + len(_said(record))
    return "hidden" if silent and (record["completion_tokens"] or math.inf) > seen else "none"


def _too_small(record: Record, model: str) -> str:
    """Return the sentence about a model that thought and gave no answer."""
    cause = record.get("cause") or "its thought was cut off"
    said = f"gave no answer: {cause}"
    if cause.startswith("thought"):
        said = f"{cause} and gave no answer"
    if record["finish_reason"] == "stop":
        return f"{model} {said}"
    return f"{model} {said}; raise thinking_tokens"


def _doubt(record: Record) -> str:
    """Return why the alternatives of the first token are not those of an answer, or ''."""
    listed, flags = record["top_logprobs"], record.get("flags")
    if not listed:
        return "no alternatives are listed to the first token of a reply"
    if flags:
        return not_believed(flags)
    top = max(listed, key=lambda entry: entry[1])[0].strip("▁Ġ \n")
    if record["temperature"] == 0 and not (top and _said(record).startswith(top)):
        return "the first token that is listed does not begin the reply"
    if replies.label_mass(listed, (PROBED,))[0] < KNOWN:
        return f"the letter {PROBED} is asked for and not among the likely first tokens"
    return ""


def not_believed(flags: Any) -> str:
    """Return the sentence about a list of alternatives with these flags."""
    return f"probabilities are not believed: {', '.join(flags)}"
