"""A chat model behind any OpenAI-compatible endpoint: one request, exactly one answer.

Faults that pass are tried again, within the endpoint's `Limit`, and what an endpoint does not take
is left out or said in its other words. What fails after that is this one request (an Answer with
`error`) or the endpoint (EndpointError). No shape of a reply is assumed.
"""

import hashlib
import random
import re
import time
from dataclasses import replace
from typing import Any, NoReturn, Self

from hvae_utils.ask import complaints, completion
from hvae_utils.ask.complaints import Complaint, Terms
from hvae_utils.ask.completion import KEPT_CHARACTERS as KEPT_CHARACTERS
from hvae_utils.ask.completion import read as read
from hvae_utils.ask.dialect import PLAIN, Dialect, merged
from hvae_utils.ask.http import transport
from hvae_utils.ask.http.limits import Limit, Starved
from hvae_utils.ask.http.transport import NO_KEY as NO_KEY
from hvae_utils.ask.http.transport import Failure, Transport
from hvae_utils.ask.respondents import Answer, Request, Respondent
from hvae_utils.ask.urls import on_loopback, public
from hvae_utils.errors import BudgetReached, EndpointError, UserError

RETRIES = 3  # after a broken connection, a time-out or a server's error; a 429 is none of these
TIMEOUT_S = 120.0
THINKING_S = (
    0.1  # more for each token that a thought may have: the slowest servers write ten a second
)
BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 8.0  # as in the openai client: doubling, less up to a quarter
QUOTA_WAIT_S = 600.0  # that one request waits for quotas in all before it is given up
CHARACTERS_A_TOKEN = 4  # of English prompts, roughly; only the cap on tokens per minute uses it
# Bytes of a reply: of each token of a thought, of each alternative of one, and of any reply.
TOKEN_BYTES, ALTERNATIVE_BYTES, MOST_BYTES = 200, 120, 64_000_000
SILENCE = Complaint("parameter", "", "logprobs")  # as if log-probabilities had been refused
INFINITE = re.compile(r"\binf|\bnan\b|json compliant|out of range float", re.I)
MOST_ADJUSTED = 20  # times that one request is said otherwise


class ChatModel(Respondent):
    """One model of one endpoint.

    name: as in the study (`openai/gpt-4o`); model: as the endpoint calls it; base_url: None for
    the client's default; api_key: any text where none is needed; limit: shared by its models;
    dialect: how the endpoint spells thinking and replies held to labels.
    """

    def __init__(
        self,
        name: str,
        model: str,
        base_url: str | None,
        api_key: str,
        limit: Limit,
        dialect: Dialect = PLAIN,
    ) -> None:
        self.name, self.model, self.dialect = name, model, dialect
        self.limit, self.concurrency = limit, limit.most
        self.prefix_reuse = on_loopback(base_url)  # servers of one's own keep prompts' beginnings
        self._where = public(base_url)
        # an organisation or project set for one host must not be sent to another
        account = {} if name.startswith("openai/") else {"organization": "", "project": ""}
        self._transport = Transport(base_url, api_key, TIMEOUT_S, **account)
        self._terms = Terms()  # what it does not take, known from requests that it answered
        self._listed = False  # it has given probabilities
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
        model unknown, no credit left, nothing but 429 for minutes.
        """
        try:
            whole = body(self.model, request, self.dialect)
        except UserError as fault:
            return Answer(error=str(fault), tries=0)
        asked = _Asked(request, whole, self._terms)
        try:
            while True:
                asked.terms = asked.terms.with_both(self._terms)
                try:
                    return await self._try(asked)
                except Failure as fault:
                    delay_s = self._after(fault, asked)
                if delay_s:
                    await self.limit.sleep(delay_s)
                if self.before_try is not None:
                    self.before_try(request)
        except _Ended as ended:
            return replace(ended.answer, **asked.counts, **self._masked(ended.answer))
        except BudgetReached:
            said = f"the budget allows no further try: {asked.fault}"
            return Answer(error=said[:300], **asked.counts)
        except Starved as starved:
            minutes = max(round(starved.args[0] / 60), 1)
            said = f": {asked.said}" if asked.said else ""
            self._end(
                f"{self._where} has said 429 for {minutes} minutes and answered nothing{said}"
            )

    async def _try(self, asked: "_Asked") -> Answer:
        """Send one body when the limit lets it pass. Raises Failure."""
        request, sent = asked.request, asked.sent()
        await self.limit.enter(asked.tokens)
        asked.tries += 1
        try:
            started = time.perf_counter()
            more_s = THINKING_S * request.thinking_tokens
            said = await self._transport.post(sent, more_s, most_bytes(request))
            latency_s = time.perf_counter() - started
            if error := completion.fault(said):
                raise transport.failure(complaints.status_of(error), error)
            self.limit.ok(latency_s)
        finally:
            self.limit.leave()
        dropped = complaints.dropped(asked.whole, sent) if sent != asked.whole else ()
        known = {"dropped": dropped, "latency_s": round(latency_s, 4), **asked.counts}
        cap = sent.get("max_tokens") or sent.get("max_completion_tokens")
        answer = read(said, request, self.dialect.think_tags, cap, **known)
        learned = asked.terms.after(SILENCE) if asked.silent and not self._listed else asked.terms
        self._terms = learned.with_both(self._terms)
        self._listed = self._listed or answer.top_logprobs is not None
        changed = self._masked(answer)
        if answer.error is not None and answer.prompt_tokens is None:
            changed["lost"] = asked.lost = asked.lost + 1
        return replace(answer, **changed) if changed else answer

    def _after(self, fault: Failure, asked: "_Asked") -> float:
        """Return the seconds to wait before the next try. Raises _Ended or EndpointError."""
        asked.fault = asked.said = self._transport.masked_text(str(fault))
        if not fault.status:
            asked.lost += fault.reached
            if fault.again and asked.faults < RETRIES:
                return asked.back_off(fault.wait_s)
            if not fault.reached:
                self._end(f"cannot reach {self._where} ({fault}, {asked.tries} tries)")
            raise _Ended(self._failed(asked.fault, asked))
        complaint = complaints.judge(fault.status, fault.content, asked.sent())
        asked.said = self._transport.masked_text(complaint.words)
        if self._met(complaint, asked):
            return 0.0
        self._settle(complaint, fault, asked)
        if fault.status == 429 and fault.again:
            self.limit.quota(fault.wait_s)
            delay_s = fault.wait_s or _backoff(asked.refused)
            asked.refused += 1
            asked.waited_s += delay_s
            if asked.waited_s <= QUOTA_WAIT_S:
                return delay_s
        elif fault.again and fault.status != 429 and asked.faults < RETRIES:
            asked.doubt_probabilities(fault)
            return asked.back_off(fault.wait_s)
        raise _Ended(self._failed(asked.fault, asked))

    def _met(self, complaint: Complaint, asked: "_Asked") -> bool:
        """Meet a complaint about a parameter; False where there is none or it can do no good.

        Raises _Ended where the parameter is one that the request needs.
        """
        if complaint.kind not in ("parameter", "limit") or asked.adjusted >= MOST_ADJUSTED:
            return False
        asked.adjusted += 1
        before, terms = asked.sent(), asked.terms.after(complaint)
        try:
            if complaints.OTHER_NAME.get(complaint.name) in asked.names:
                raise KeyError(complaint.name)  # under either name
            sent = terms.with_both(self._terms).applied(asked.whole)
        except KeyError as needed:
            said = f"the endpoint refuses '{needed.args[0]}', which is needed here: {asked.fault}"
            raise _Ended(self._failed(said, asked)) from None
        room = sent.get("max_tokens", sent.get("max_completion_tokens"))
        if sent == before or room < asked.request.max_tokens:
            return False
        asked.terms = terms
        asked.names |= {complaint.name} if complaint.kind == "parameter" else set()
        return True

    def _settle(self, complaint: Complaint, fault: Failure, asked: "_Asked") -> None:
        """Raise what ends the request or the study at once, where a complaint does."""
        if answer := completion.instead(complaint, asked.request):
            raise _Ended(answer)
        said = asked.said and f": {asked.said}"
        if complaint.kind == "placement":
            turns = {message["role"] for message in asked.request.messages}
            placement = "system" if "system" in turns else "dialogue"
            raise _Ended(self._failed(f"the placement '{placement}' is refused{said}", asked))
        ends = {
            "credit": "says that the account has no credit left",
            "day": "says that a quota of a day or longer is used up",
            "model": f"has no model '{self.model}'",
            "key": "refuses the key",
        }
        by_status = {401: "key", 403: "key", 404: "model", 410: "model"}.get(fault.status, "")
        if end := ends.get(complaint.kind) or ends.get(by_status):
            self._end(f"{self._where} {end} ({fault.status}{said})")

    def _failed(self, said: str, asked: "_Asked") -> Answer:
        """Return the answer of a request that failed for good."""
        said = f"{said} ({asked.tries} tries)" if asked.tries > 1 else said
        return Answer(
            error=" ".join(self._transport.masked_text(said).split())[:300], tries=asked.tries
        )

    def _end(self, reason: str) -> NoReturn:
        """Raise the endpoint's error."""
        reason = " ".join(self._transport.masked_text(reason).split())
        raise EndpointError(f"{self.name}: {reason}") from None

    def _masked(self, answer: Answer) -> dict[str, Any]:
        """Return the texts of an answer in which a secret stands, in other letters too, without it.

        What came was masked byte by byte before it was read.
        """
        texts = {name: getattr(answer, name) for name in ("text", "thought", "cause", "error")}
        masked = {name: self._transport.masked_text(text) for name, text in texts.items() if text}
        return {name: text for name, text in masked.items() if text != texts[name]}


class _Ended(Exception):
    """A request that ends without another try, with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class _Asked:
    """One request on its way: what it says, in which words, and what has happened to it."""

    def __init__(self, request: Request, whole: dict[str, Any], terms: Terms) -> None:
        self.request, self.whole, self.terms = request, whole, terms
        characters = sum(len(message["content"]) for message in request.messages)
        room = request.max_tokens + request.thinking_tokens
        self.tokens = room + characters // CHARACTERS_A_TOKEN
        self.tries = self.lost = self.faults = self.refused = self.adjusted = 0
        self.names: set[str] = set()  # of parameters that were refused
        self.waited_s = 0.0
        self.fault = self.said = ""  # of the last try: all in one line, the endpoint's words
        self.failed = 0  # times that the server failed when asked for log-probabilities
        self.silent = self.silenced = False  # the next try is without them, one was

    @property
    def counts(self) -> dict[str, int]:
        """Return how many tries there were, and how many of them were lost."""
        return {"tries": self.tries, "lost": self.lost}

    def sent(self) -> dict[str, Any]:
        """Return the body as the endpoint takes it."""
        return (self.terms.after(SILENCE) if self.silent else self.terms).applied(self.whole)

    def back_off(self, wait_s: float | None) -> float:
        """Count a fault and return the seconds to wait after it."""
        self.faults += 1
        return wait_s or _backoff(self.faults - 1)

    def doubt_probabilities(self, fault: Failure) -> None:
        """Let one try be without log-probabilities where these may be what makes a server fail.

        Some cannot write the logarithm of 0. A first fault may pass, so it takes a second one or
        words that say so.
        """
        self.failed += 1 if fault.status == 500 and "logprobs" in self.sent() else 0
        told = INFINITE.search(self.said) and not self.silenced
        self.silent = bool(fault.status == 500 and (told or self.failed == 2) and not self.silenced)
        self.silenced = self.silenced or self.silent


def identity(base_url: str | None, model: str) -> str:
    """Return a hash of endpoint and model, which records depend on; a URL may be private."""
    return hashlib.sha256(f"{public(base_url)} {model}".encode()).hexdigest()


def body(model: str, request: Request, dialect: Dialect = PLAIN) -> dict[str, Any]:
    """Return the JSON body of a chat completion; `model` is its name at the endpoint.

    The cap is that of the reply and of the thought together. UserError where the dialect has no
    word for what the request asks.
    """
    parameters: dict[str, Any] = {
        "model": model,
        "messages": request.messages,
        "max_tokens": request.max_tokens + request.thinking_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }
    if request.top_logprobs:
        parameters |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if dialect.extra_body:
        parameters = merged(parameters, dialect.extra_body)
    if request.thinking:
        parameters = merged(parameters, dialect.thinking(request.thinking))
    if request.choices:
        parameters |= dialect.held_to(request.choices)
    return parameters


def most_bytes(request: Request) -> int:
    """Return the bytes that a reply to a request may have."""
    token = TOKEN_BYTES + ALTERNATIVE_BYTES * request.top_logprobs
    return min(transport.REPLY_BYTES + request.thinking_tokens * token, MOST_BYTES)


def _backoff(before: int) -> float:
    """Return the seconds to wait after a failure with `before` others before it."""
    return min(BACKOFF_S * 2**before, LONGEST_BACKOFF_S) * (1 - random.random() / 4)
