"""Whoever answers: request, answer, the `Respondent` protocol and the reference respondents.

Reference respondents have a known truth, for tests, teaching and calibration. They read the same
prompts and answer in words, so that parsing, records and scores treat them as a model. They never
look at anything but the request, and their randomness comes from the request alone.

Public names: Request, Answer, Respondent, REFERENCE, Reference.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import orjson

from hvae_utils.ask.prompts import Presentation
from hvae_utils.errors import unknown
from hvae_utils.measure import instruments, svo, values

LAPSE_RATE = 0.2  # share of random answers of the lapsing respondent


@dataclass(frozen=True)
class Request:
    """One question to one respondent.

    kind: describe, adopt, goal, item, readout or probe; messages: chat messages, oldest first;
    condition: the factors of the condition that first asked (value, wording, …); temperature 0
    means greedy; top_logprobs: how many alternatives of each token to ask for, 0 for none;
    presentation: what an item showed, None for other kinds; identity: the respondent's.
    """

    kind: str
    model: str
    messages: tuple[Mapping[str, str], ...]
    condition: Mapping[str, Any]
    max_tokens: int
    temperature: float
    seed: int
    repeat: int = 1
    attempt: int = 1
    top_logprobs: int = 0
    presentation: Presentation | None = None
    identity: str = ""

    @cached_property
    def key(self) -> str:
        """Return 20 hex digits that name the request: same content, same respondent, same key.

        Goal arm and condition are left out on purpose: conditions that put the very same question
        (a self-description, say) share one record.
        """
        condition = [self.kind, self.model, self.condition["value"], self.messages]
        decoding = [self.max_tokens, self.temperature, self.seed, self.top_logprobs]
        content = [*condition, *decoding, self.repeat, self.attempt, self.identity]
        try:
            said = orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)
        except TypeError:  # half a surrogate pair, a number of more than 64 bits
            return _digest(content)
        return hashlib.sha256(said).hexdigest()[:20]

    @cached_property
    def draw(self) -> str:
        """Return 20 hex digits of what is asked, whoever answers; seeds simulated answers."""
        content = {
            "kind": self.kind,
            "model": self.model,
            "value": str(self.condition["value"]),
            "messages": [dict(message) for message in self.messages],
            "decoding": [self.max_tokens, self.temperature, self.seed, self.top_logprobs],
            "repeat": self.repeat,
            "attempt": self.attempt,
        }
        return _digest(content)


_ENCODE = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


def _digest(content: Any) -> str:
    return hashlib.sha256(_ENCODE(content).encode("utf-8", "surrogatepass")).hexdigest()[:20]


@dataclass(frozen=True)
class Answer:
    """One reply: the raw text and what the endpoint said about it; `error` when there is none.

    top_logprobs: (token, log-probability in nats) of the first answer token, None if not given;
    dropped: request parameters that the endpoint refused and that were left out;
    latency_s: seconds of the try that answered, None where nobody measured; tries: how often the
    request was sent.
    """

    text: str | None = None
    finish_reason: str | None = None
    top_logprobs: tuple[tuple[str, float], ...] | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    served_model: str | None = None
    error: str | None = None
    dropped: tuple[str, ...] = field(default=())
    latency_s: float | None = None
    tries: int = 1

    def as_record(self) -> dict[str, Any]:
        """Return the fields as a plain dict, ready for JSON."""
        return dict(vars(self))


class Respondent(Protocol):
    """Anything that answers requests. Entered before the first request, left after the last."""

    name: str
    identity: str  # changes when answers could: weights, endpoint, simulation
    concurrency: int  # requests it answers well at the same time
    prefix_reuse: bool  # its server keeps the beginnings of prompts that it has read

    async def __aenter__(self) -> Self:
        """Make ready: open clients, load weights."""

    async def __aexit__(self, *exc: object) -> None:
        """Release what was opened."""

    async def answer(self, request: Request) -> Answer:
        """Answer one request; an endpoint that cannot be used raises EndpointError."""


# A policy: (value name, instrument, presentation) -> probability of each position as shown.
Policy = Callable[[str, instruments.Instrument, Presentation], np.ndarray]


def _random(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    return np.full(len(shown.order), 1 / len(shown.order))


def _first_option(
    value: str, instrument: instruments.Instrument, shown: Presentation
) -> np.ndarray:
    return np.eye(len(shown.order))[0]


def _faithful(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    assigned = values.get(value)
    if assigned.utility is None:
        return _random(value, instrument, shown)
    best = svo.ideal_choices(assigned, instrument)[shown.item]
    return (np.asarray(shown.order) == best).astype(float)


def _lapsing(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    ideal = _faithful(value, instrument, shown)
    return (1 - LAPSE_RATE) * ideal + LAPSE_RATE * _random(value, instrument, shown)


def _agreeable(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    return _faithful("prosocial", instrument, shown)


REFERENCE: dict[str, Policy] = {
    "faithful": _faithful,
    "lapsing": _lapsing,
    "agreeable": _agreeable,
    "random": _random,
    "first-option": _first_option,
}

# The ways in which chat models write a choice; label and the two numbers are filled in.
PHRASES = (
    "{label}",
    "{label}.",
    "({label})",
    "**{label}**",
    "Option {label}",
    "I choose {label}: {first}, {second}",
    "My answer is {label}.",
    "{first}, {second}",
)


class Reference:
    """A simulated respondent with a known policy; name: one of REFERENCE."""

    concurrency = 64
    prefix_reuse = False

    def __init__(self, name: str) -> None:
        if name not in REFERENCE:
            raise unknown("reference respondent", name, REFERENCE)
        self.name = f"reference/{name}"
        self._policy = REFERENCE[name]
        # simulated answers cost nothing: any change to this module asks them again
        self.identity = _digest(Path(__file__).read_text(encoding="utf-8"))
        self._held = "prosocial" if name == "agreeable" else None

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to release."""

    async def answer(self, request: Request) -> Answer:
        """Answer in words; item answers are drawn from the policy, seeded by what is asked."""
        rng = np.random.default_rng(int(request.draw, 16))
        if request.presentation is not None:
            return self._choose(request, request.presentation, rng)
        held = values.get(self._held or request.condition["value"])
        return Answer(text=_prose(request.kind, held), finish_reason="stop", served_model=self.name)

    def _choose(self, request: Request, shown: Presentation, rng: np.random.Generator) -> Answer:
        instrument = instruments.load(request.condition["instrument"])
        chances = self._policy(request.condition["value"], instrument, shown)
        place = int(rng.choice(len(chances), p=chances))
        first, second = instrument.printed[shown.item, shown.order[place]]
        phrase = PHRASES[int(rng.integers(len(PHRASES)))]
        text = phrase.format(label=shown.labels[place], first=f"{first:g}", second=f"{second:g}")
        listed = [
            (label, float(np.log(chance)))
            for label, chance in zip(shown.labels, chances, strict=False)
            if chance > 0
        ]
        return Answer(
            text=text,
            finish_reason="stop",
            top_logprobs=tuple(listed) if request.top_logprobs else None,
            served_model=self.name,
        )


def _prose(kind: str, held: values.Value) -> str:
    """Return what a reference respondent says when it is asked for anything but a choice."""
    if held.utility is None:
        return {
            "goal": "My goal is to look at each question when it comes.",
        }.get(kind, "All right.")
    return {
        "describe": f"Such a person lives by one rule. {held.definition}",
        "adopt": f"I will answer as a person with {held.word} values.",
        "goal": f"My goal is to choose as {held.word} values ask of me.",
    }[kind]
