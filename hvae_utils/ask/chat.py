"""A chat model behind any OpenAI-compatible endpoint: one request, exactly one answer.

Tries again what passes (see `transport`), under the endpoint's own `limits`. What fails after that
is either this one request (an Answer with `error`) or the endpoint as a whole (EndpointError).
Never logs or stores a key, and trusts no shape of a reply.

Public names: ChatModel, body, read, RETRIES, TIMEOUT_S, QUOTA_WAIT_S, KEPT_CHARACTERS.
"""

import asyncio
import hashlib
import math
import random
import time
from typing import Any, Self

from hvae_utils.ask.http.limits import Limit
from hvae_utils.ask.http.transport import Failure, Transport, on_loopback, public
from hvae_utils.ask.respondents import Answer, Request
from hvae_utils.errors import EndpointError

RETRIES = 3  # after a broken connection, a time-out or a server's error; a 429 is none of these
TIMEOUT_S = 120.0
BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 8.0  # as in the openai client: doubling, less up to a quarter
QUOTA_WAIT_S = 600.0  # that one request waits for quotas in all before it is given up
KEPT_CHARACTERS = 100_000  # of one reply; what is longer is cut and said so in finish_reason
MOST_TOKENS = 1_000_000_000  # that a usage may name; more is no count
CHARACTERS_A_TOKEN = 4  # of English prompts, roughly; only the cap on tokens per minute uses it
NO_CREDIT = "insufficient_quota"  # the one 429 that no waiting cures

# Parameters that some endpoints refuse and a study can do without, and their other spellings.
OPTIONAL = ("top_logprobs", "logprobs", "seed", "temperature")
RENAMED = {"max_tokens": "max_completion_tokens"}


class ChatModel:
    """One model of one endpoint.

    name: as in the study (`openai/gpt-4o`); model: as the endpoint calls it; base_url: None for
    the client's default; api_key: from the environment, or any text where none is needed;
    limit: of the endpoint, shared with its other models.
    """

    def __init__(
        self, name: str, model: str, base_url: str | None, api_key: str, limit: Limit
    ) -> None:
        self.name, self.model = name, model
        self.limit, self.concurrency = limit, limit.most
        self.prefix_reuse = on_loopback(base_url)  # servers of one's own keep prompts' beginnings
        self._where = public(base_url)
        # an organisation or project set for one host must not be sent to another
        own = {} if name.startswith("openai/") else {"organization": "", "project": ""}
        self._transport = Transport(base_url, api_key, TIMEOUT_S, **own)
        self._dropped: set[str] = set()
        self._renamed: set[str] = set()
        # a hash, because manifests and bundles carry it and a URL may be a private matter
        self.identity = hashlib.sha256(f"{self._where} {model}".encode()).hexdigest()

    async def __aenter__(self) -> Self:
        """Open one session; it belongs to the running event loop."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the session."""
        await self._transport.__aexit__(*exc)

    async def answer(self, request: Request) -> Answer:
        """Ask until there is an answer; a failure of this request alone is one with `error`.

        Raises EndpointError when no further request can succeed: unreachable, key refused,
        model unknown, no credit left.
        """
        tokens = request.max_tokens + _characters(request) // CHARACTERS_A_TOKEN
        tries = faults = refused = 0
        waited_s = 0.0
        while True:
            sent = self._body(request)
            tries += 1
            try:
                async with self.limit.permit(tokens):
                    started = time.perf_counter()
                    reply = await self._transport.post(sent)
                    latency_s = time.perf_counter() - started
                    self.limit.ok(latency_s)
                return _answer(reply, tuple(sorted(self._dropped)), latency_s, tries)
            except Failure as fault:
                if fault.status == 400 and self._do_without(str(fault), sent):
                    continue
                if fault.status == 429 and fault.again and fault.code != NO_CREDIT:
                    self.limit.quota(fault.wait_s)
                    delay_s = fault.wait_s or _backoff(refused)
                    refused += 1
                    waited_s += delay_s
                    if waited_s > QUOTA_WAIT_S:
                        return self._given_up(fault, tries)
                elif fault.again and fault.status != 429 and faults < RETRIES:
                    delay_s = fault.wait_s or _backoff(faults)
                    faults += 1
                else:
                    return self._given_up(fault, tries)
            await asyncio.sleep(delay_s)

    def _body(self, request: Request) -> dict[str, Any]:
        """Return the request's parameters, less what this endpoint has refused before."""
        sent = body(self.model, request)
        for name in self._renamed:
            sent[RENAMED[name]] = sent.pop(name)
        for name in self._dropped:
            sent.pop(name, None)
        return sent

    def _do_without(self, complaint: str, sent: dict[str, Any]) -> bool:
        """Drop or rename a parameter that was sent and that a 400 complains about.

        False when there is none: each retry sends less, so retries come to an end.
        """
        for name, other in RENAMED.items():
            if name in sent and other in complaint:
                self._renamed.add(name)
                return True
        for name in OPTIONAL:
            if name in sent and name in complaint:
                self._dropped |= {"logprobs", "top_logprobs"} if "logprobs" in name else {name}
                return True
        return False

    def _given_up(self, fault: Failure, tries: int) -> Answer:
        """Return the answer of a request that failed for good, or raise the endpoint's error."""
        if fault.kind == "unreachable":
            raise EndpointError(
                f"{self.name}: cannot reach {self._where} ({fault}, {tries} tries)"
            ) from None
        if fault.status in (401, 403):
            raise EndpointError(
                f"{self.name}: {self._where} refuses the key ({fault.status})"
            ) from None
        if fault.status == 404:
            raise EndpointError(
                f"{self.name}: {self._where} has no model '{self.model}' (404)"
            ) from None
        if fault.code == NO_CREDIT:
            raise EndpointError(
                f"{self.name}: {self._where} says that the account has no credit left (429)"
            ) from None
        said = f"{fault} ({tries} tries)" if tries > 1 else str(fault)
        return Answer(error=self._plain(said), tries=tries)

    def _plain(self, said: str) -> str:
        """Return what was said as one bounded line in which no secret stands."""
        return " ".join(self._transport.masked(said).split())[:300]


def body(model: str, request: Request) -> dict[str, Any]:
    """Return the JSON body of a chat completion: a request to `model`, as the endpoint calls it."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": request.messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }
    if request.top_logprobs:
        asked |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return asked


def read(completion: Any) -> Answer:
    """Return the answer that the JSON of a chat completion holds; one without is an error."""
    return _answer(completion, (), None, 1)


def _characters(request: Request) -> int:
    return sum(len(message["content"]) for message in request.messages)


def _backoff(before: int) -> float:
    """Return the seconds to wait after a failure with `before` others before it."""
    return min(BACKOFF_S * 2**before, LONGEST_BACKOFF_S) * (1 - random.random() / 4)


def _answer(reply: Any, dropped: tuple[str, ...], latency_s: float | None, tries: int) -> Answer:
    """Return the first choice of a completion as an Answer; missing parts stay None."""
    took = None if latency_s is None else round(latency_s, 4)
    sent = {"dropped": dropped, "latency_s": took, "tries": tries}
    choice = _at(reply, "choices", 0)
    if not isinstance(choice, dict):
        return Answer(error="the endpoint sent no choices", **sent)
    content, refusal = _at(choice, "message", "content"), _at(choice, "message", "refusal")
    said = content or refusal or ""
    if not isinstance(said, str):
        return Answer(error="the reply's content is no text", **sent)
    finish = _at(choice, "finish_reason") if content or not refusal else "content_filter"
    return Answer(
        text=said[:KEPT_CHARACTERS],
        finish_reason=_text(finish) if len(said) <= KEPT_CHARACTERS else "cut",
        top_logprobs=_first_token(choice),
        prompt_tokens=_count(reply, "usage", "prompt_tokens"),
        cached_tokens=_count(reply, "usage", "prompt_tokens_details", "cached_tokens"),
        completion_tokens=_count(reply, "usage", "completion_tokens"),
        served_model=_text(_at(reply, "model")),
        **sent,
    )


def _first_token(choice: Any) -> tuple[tuple[str, float], ...] | None:
    """Return (token, log-probability in nats) of the first answer token's alternatives."""
    listed = _at(choice, "logprobs", "content", 0, "top_logprobs") or ()
    try:
        kept = [
            (str(entry["token"]), entry["logprob"] + 0.0)
            for entry in listed
            if entry["logprob"] is not None and math.isfinite(entry["logprob"])
        ]
    except (KeyError, TypeError, OverflowError, RecursionError):
        return None
    return tuple(kept) or None


def _at(tree: Any, *path: str | int) -> Any:
    """Return what stands at a path of a JSON tree, None where the tree has another shape."""
    for step in path:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _count(tree: Any, *path: str) -> int | None:
    """Return a count of a JSON tree, None where there is none or no reply can have so many."""
    count = _at(tree, *path)
    return count if type(count) is int and 0 <= count <= MOST_TOKENS else None


def _text(found: Any) -> str | None:
    """Return a short text, None for anything else."""
    return found[:200] if isinstance(found, str) else None
