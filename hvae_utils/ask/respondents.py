"""Between a study and whoever answers: `Request`, `Answer` and the base class `Respondent`."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import orjson

from hvae_utils.ask.prompts import Presentation

PROBABILITY_FLAGS = ("one-hot", "repeated entries", "sum above one", "not the reply's first token")
PROBED = "C"  # the letter that is asked for to see whether a respondent lists alternatives
FILTERED = "refused by the provider's filter"  # how the cause of such an answer begins


@dataclass(frozen=True)
class Request:
    """One question to one respondent.

    kind: describe, adopt, goal, item, readout, reason (a chain of thought in a turn of its own),
    probe or check; messages: chat messages, oldest first; condition: the factors of the condition
    that first asked; max_tokens: of the visible reply; temperature 0 is greedy; top_logprobs:
    alternatives of each token to ask for, 0 for none; presentation: what an item showed, None for
    other kinds; identity: the respondent's; thinking_tokens: room for a thought, on top of
    max_tokens; thinking: what the endpoint is told about thinking, one of `factors.THINKING`, ''
    for nothing; choices: the labels that the server holds the reply to, () for a free reply.
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
    thinking_tokens: int = 0
    thinking: str = ""
    choices: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """Return 20 hex digits: same question to the same respondent, same key and one record.

        The condition is left out, so that conditions share the answer to a question they share.
        """
        condition = [self.kind, self.model, self.condition["value"], self.messages]
        decoding = [self.max_tokens, self.temperature, self.seed, self.top_logprobs]
        content = [*condition, *decoding, self.repeat, self.attempt, self.identity]
        if self.thinking_tokens or self.thinking or self.choices:
            content += [self.thinking_tokens, self.thinking, self.choices]
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)
        return hashlib.sha256(text).hexdigest()[:20]

    @cached_property
    def draw(self) -> str:
        """Return 20 hex digits of what is asked, whoever answers; seeds simulated answers."""
        names = ("kind", "model", "repeat", "attempt")
        content = {name: getattr(self, name) for name in names}
        content["value"] = str(self.condition["value"])
        content["messages"] = [dict(message) for message in self.messages]
        content["decoding"] = [self.max_tokens, self.temperature, self.seed, self.top_logprobs]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Answer:
    """One reply: the raw text and what the endpoint said about it; `error` when there is none.

    text: the visible reply; thought: what a model that thinks wrote before it, kept apart, None if
    nothing was shown; thinking_tokens: tokens of the thought, None if not told; cause: why there is
    no reply to read, in words for people, '' where there is one; finish_reason: stop, length,
    content_filter, tool_calls, error, cut (by us), or the endpoint's own word.
    top_logprobs: (token, log-probability in nats) of the first token of the visible reply, None if
    not given or if that token cannot be told; flags: what is wrong with that list, of
    PROBABILITY_FLAGS; completion_tokens: with those of the thought; dropped: request parameters
    that the endpoint refused; latency_s: seconds of the try that answered, None if not measured;
    tries: how often the request was sent; lost: tries that brought nothing to read although the
    endpoint may have answered and bill them (timed out, cut off, no JSON).
    """

    text: str | None = None
    finish_reason: str | None = None
    top_logprobs: tuple[tuple[str, float], ...] | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    served_model: str | None = None
    error: str | None = None
    dropped: tuple[str, ...] = ()
    latency_s: float | None = None
    tries: int = 1
    thought: str | None = None
    thinking_tokens: int | None = None
    cause: str = ""
    flags: tuple[str, ...] = ()
    lost: int = 0


class Respondent:
    """Anything that answers requests. Entered before the first request, left after the last.

    before_try: called before each try of a request after its first; it may raise BudgetReached.
    """

    name: str
    identity: str  # changes when answers could: weights, endpoint, simulation
    concurrency = 1  # requests it answers well at the same time
    prefix_reuse = False  # its server keeps the beginnings of prompts that it has read
    before_try: Callable[[Request], None] | None = None

    async def __aenter__(self) -> Self:
        """Make ready: open clients, load weights."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Release what was opened."""

    async def answer(self, request: Request) -> Answer:
        """Answer one request; an endpoint that cannot be used raises EndpointError."""
        raise NotImplementedError
