"""A chat model behind any OpenAI-compatible endpoint: one request, exactly one answer.

Faults that pass are tried again, within the endpoint's `Limit`. What fails after that is this one
request (an Answer with `error`) or the endpoint (EndpointError). No shape of a reply is assumed.
"""

import asyncio
import hashlib
import math
import random
import time
from dataclasses import replace
from typing import Any, Self

from hvae_utils.ask.http.limits import Limit
from hvae_utils.ask.http.transport import NO_KEY as NO_KEY
from hvae_utils.ask.http.transport import Failure, Transport
from hvae_utils.ask.respondents import Answer, Request, Respondent
from hvae_utils.ask.urls import on_loopback, public
from hvae_utils.errors import BudgetReached, EndpointError

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


class ChatModel(Respondent):
    """One model of one endpoint.

    name: as in the study (`openai/gpt-4o`); model: as the endpoint calls it; base_url: None for
    the client's default; api_key: any text where none is needed; limit: shared by its models.
    """

    def __init__(
        self, name: str, model: str, base_url: str | None, api_key: str, limit: Limit
    ) -> None:
        self.name, self.model = name, model
        self.limit, self.concurrency = limit, limit.most
        self.prefix_reuse = on_loopback(base_url)  # servers of one's own keep prompts' beginnings
        self._where = public(base_url)
        # an organisation or project set for one host must not be sent to another
        account = {} if name.startswith("openai/") else {"organization": "", "project": ""}
        self._transport = Transport(base_url, api_key, TIMEOUT_S, **account)
        self._spelling: dict[str, str | None] = {}  # of parameters it refused; None: left out
        self.identity = identity(base_url, model)

    async def __aenter__(self) -> Self:
        """Open one session in the running event loop."""
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
        characters = sum(len(message["content"]) for message in request.messages)
        tokens = request.max_tokens + characters // CHARACTERS_A_TOKEN
        tries = faults = refused = lost = 0
        waited_s, failed = 0.0, ""
        while True:
            try:
                if tries and self.before_try:
                    self.before_try(request)
            except BudgetReached:
                error = f"the budget allows no further try: {failed}"
                return Answer(error=error, tries=tries, lost=lost)
            sent = self._body(request)
            tries += 1
            try:
                answer = await self._try(sent, tokens)
                lost += answer.error is not None and answer.prompt_tokens is None
                return replace(answer, tries=tries, lost=lost)
            except Failure as fault:
                lost += fault.reached and not fault.status
                failed = self._said(fault)
                if fault.status == 400 and self._do_without(str(fault), sent):
                    continue
                if fault.status == 429 and fault.again and fault.code != NO_CREDIT:
                    self.limit.quota(fault.wait_s)
                    delay_s = fault.wait_s or _backoff(refused)
                    refused += 1
                    waited_s += delay_s
                    if waited_s > QUOTA_WAIT_S:
                        return replace(self._given_up(fault, tries), lost=lost)
                elif fault.again and fault.status != 429 and faults < RETRIES:
                    delay_s = fault.wait_s or _backoff(faults)
                    faults += 1
                else:
                    return replace(self._given_up(fault, tries), lost=lost)
            await asyncio.sleep(delay_s)

    async def _try(self, sent: dict[str, Any], tokens: int) -> Answer:
        """Send one body when the limit lets it pass. Raises Failure."""
        await self.limit.enter(tokens)
        try:
            started = time.perf_counter()
            completion = await self._transport.post(sent)
            latency_s = time.perf_counter() - started
            self.limit.ok(latency_s)
        finally:
            self.limit.leave()
        dropped = tuple(sorted(name for name, other in self._spelling.items() if other is None))
        return replace(read(completion), dropped=dropped, latency_s=round(latency_s, 4))

    def _body(self, request: Request) -> dict[str, Any]:
        """Return the request's parameters, less what this endpoint has refused before."""
        parameters = body(self.model, request).items()
        spelled = {self._spelling.get(name, name): content for name, content in parameters}
        return {name: content for name, content in spelled.items() if name is not None}

    def _do_without(self, complaint: str, sent: dict[str, Any]) -> bool:
        """Drop or rename a parameter that was sent and is complained about; False for none."""
        for name, other in RENAMED.items():
            if name in sent and other in complaint:
                self._spelling[name] = other
                return True
        for name in OPTIONAL:
            if name in sent and name in complaint:
                pair = ("logprobs", "top_logprobs") if "logprobs" in name else (name,)
                self._spelling |= dict.fromkeys(pair)
                return True
        return False

    def _given_up(self, fault: Failure, tries: int) -> Answer:
        """Return the answer of a request that failed for good, or raise the endpoint's error."""
        if not fault.reached:
            reason = f"cannot reach {self._where} ({fault}, {tries} tries)"
        elif fault.status in (401, 403):
            reason = f"{self._where} refuses the key ({fault.status})"
        elif fault.status == 404:
            reason = f"{self._where} has no model '{self.model}' (404)"
        elif fault.code == NO_CREDIT:
            reason = f"{self._where} says that the account has no credit left (429)"
        else:
            said = self._said(fault)
            return Answer(error=f"{said} ({tries} tries)" if tries > 1 else said, tries=tries)
        raise EndpointError(f"{self.name}: {reason}") from None

    def _said(self, fault: Failure) -> str:
        masked = self._transport.masked(str(fault).encode("utf-8", "replace")).decode()
        return " ".join(masked.split())[:300]


def identity(base_url: str | None, model: str) -> str:
    """Return a hash of endpoint and model, which records depend on; a URL may be private."""
    return hashlib.sha256(f"{public(base_url)} {model}".encode()).hexdigest()


def body(model: str, request: Request) -> dict[str, Any]:
    """Return the JSON body of a chat completion; `model` is its name at the endpoint."""
    parameters: dict[str, Any] = {
        "model": model,
        "messages": request.messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }
    if request.top_logprobs:
        parameters |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return parameters


def _backoff(before: int) -> float:
    """Return the seconds to wait after a failure with `before` others before it."""
    return min(BACKOFF_S * 2**before, LONGEST_BACKOFF_S) * (1 - random.random() / 4)


def read(completion: Any) -> Answer:
    """Return the first choice of a chat completion's JSON as an Answer; missing parts are None.

    Without a choice or with a content that is no text it is an Answer with `error`.

    >>> read({"choices": [{"message": {"content": "B"}, "finish_reason": "stop"}]}).text
    'B'
    """
    choice = _at(completion, "choices", 0)
    if not isinstance(choice, dict):
        return Answer(error="the endpoint sent no choices")
    content, refusal = _at(choice, "message", "content"), _at(choice, "message", "refusal")
    text = content or refusal or ""
    if not isinstance(text, str):
        return Answer(error="the reply's content is no text")
    finish = _at(choice, "finish_reason") if content or not refusal else "content_filter"
    return Answer(
        text=text[:KEPT_CHARACTERS],
        finish_reason=_text(finish) if len(text) <= KEPT_CHARACTERS else "cut",
        top_logprobs=_first_token(choice),
        prompt_tokens=_count(completion, "usage", "prompt_tokens"),
        cached_tokens=_count(completion, "usage", "prompt_tokens_details", "cached_tokens"),
        completion_tokens=_count(completion, "usage", "completion_tokens"),
        served_model=_text(_at(completion, "model")),
    )


def _first_token(choice: Any) -> tuple[tuple[str, float], ...] | None:
    """Return (token, log-probability in nats) of the first answer token's alternatives."""
    alternatives = _at(choice, "logprobs", "content", 0, "top_logprobs") or ()
    try:
        finite = [
            (str(entry["token"]), entry["logprob"] + 0.0)
            for entry in alternatives
            if entry["logprob"] is not None and math.isfinite(entry["logprob"])
        ]
    except (KeyError, TypeError, OverflowError, RecursionError):
        return None
    return tuple(finite) or None


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


def _text(part: Any) -> str | None:
    """Return a short text, None for anything else."""
    return part[:200] if isinstance(part, str) else None
