"""A chat model behind any OpenAI-compatible endpoint, through the `openai` client.

Transport retries (408, 409, 429, >= 500, retry-after) are the client's own. What fails after them
is either this one request (recorded as an error) or the endpoint as a whole (EndpointError).
Never logs or stores a key.

Public names: ChatModel, body, read, on_loopback.
"""

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from hvae_utils.errors import EndpointError
from hvae_utils.respondents import Answer, Request

LOOPBACK = ("127.0.0.1", "localhost", "::1")
RETRIES = 3
TIMEOUT_S = 120.0
KEPT_CHARACTERS = 100_000  # of one reply; what is longer is cut and said so in finish_reason

# Faults of one request; any other failure of the connection is the endpoint's.
SLOW = ("ReadTimeout", "WriteTimeout", "PoolTimeout")

# Parameters that some endpoints refuse and a study can do without, and their other spellings.
OPTIONAL = ("top_logprobs", "logprobs", "seed", "temperature")
RENAMED = {"max_tokens": "max_completion_tokens"}


def on_loopback(url: str | None) -> bool:
    """Return whether a URL points to this machine."""
    return urlsplit(url or "").hostname in LOOPBACK


class ChatModel:
    """One model of one endpoint.

    name: as in the study (`openai/gpt-4o`); model: as the endpoint calls it; base_url: None for
    the client's default; api_key: from the environment, or any text where none is needed.
    """

    def __init__(
        self, name: str, model: str, base_url: str | None, api_key: str, concurrency: int = 16
    ) -> None:
        self.name, self.model, self.concurrency = name, model, concurrency
        self._base_url, self._api_key = base_url, api_key
        self.prefix_reuse = on_loopback(base_url)
        self._client: Any = None
        self._dropped: set[str] = set()
        self._renamed: set[str] = set()
        self._where = _public(base_url)
        self.identity = f"{self._where} {model}"

    async def __aenter__(self) -> Self:
        """Open one client; it belongs to the running event loop."""
        from openai import AsyncOpenAI, DefaultAioHttpClient

        self._client = AsyncOpenAI(
            base_url=self._base_url,
            api_key=self._api_key,
            max_retries=RETRIES,
            timeout=TIMEOUT_S,
            # an organisation or project set for one host must not be sent to another
            **({} if self.name.startswith("openai/") else {"organization": "", "project": ""}),
            # a proxy set in the environment is for hosts outside, never for this machine
            http_client=DefaultAioHttpClient(trust_env=not on_loopback(self._base_url)),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the client."""
        await self._client.close()

    async def answer(self, request: Request) -> Answer:
        """Ask once; a failure of this request alone becomes an Answer with `error`.

        Raises EndpointError when no further request can succeed: unreachable, key refused,
        model unknown.
        """
        import openai

        while True:
            body = self._body(request)
            try:
                completion = await self._client.chat.completions.create(**body)
                return _answer(completion, tuple(sorted(self._dropped)))
            except openai.APIConnectionError as fault:
                reason = fault.__cause__ or fault
                if type(reason).__name__ in SLOW:
                    return Answer(
                        error=f"no reply within {TIMEOUT_S:g} s, {RETRIES + 1} times in a row"
                    )
                raise EndpointError(
                    f"{self.name}: cannot reach {self._where} "
                    f"({type(reason).__name__}, {RETRIES + 1} tries)"
                ) from None
            except (openai.AuthenticationError, openai.PermissionDeniedError) as fault:
                raise EndpointError(
                    f"{self.name}: {self._where} refuses the key ({fault.status_code})"
                ) from None
            except openai.NotFoundError:
                raise EndpointError(
                    f"{self.name}: {self._where} has no model '{self.model}' (404)"
                ) from None
            except openai.BadRequestError as fault:
                if not self._do_without(str(fault), body):
                    return Answer(error=self._plain(fault))
            except Exception as fault:  # whatever else an endpoint does is one recorded outcome
                return Answer(error=self._plain(fault))

    def _body(self, request: Request) -> dict[str, Any]:
        """Return the request's parameters, less what this endpoint has refused before."""
        sent = body(self.model, request)
        for name in self._renamed:
            sent[RENAMED[name]] = sent.pop(name)
        return {name: given for name, given in sent.items() if name not in self._dropped}

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

    def _plain(self, fault: Exception) -> str:
        """Return an exception as one bounded line in which the key cannot stand."""
        line = f"{type(fault).__name__}: {fault}".replace(self._api_key or "\0", "***")
        return " ".join(line.split())[:300]


def body(model: str, request: Request) -> dict[str, Any]:
    """Return the JSON body of a chat completion: a request to `model`, as the endpoint calls it."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": [dict(message) for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }
    if request.top_logprobs:
        asked |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return asked


def read(completion: Mapping[str, Any]) -> Answer:
    """Return the answer that the JSON of a chat completion holds; one without is an error."""
    from openai.types.chat import ChatCompletion

    try:
        return _answer(ChatCompletion.construct(**completion), ())
    except Exception as fault:  # whatever else stands there is one recorded outcome
        return Answer(error=f"the reply is no chat completion ({type(fault).__name__})")


def _public(url: str | None) -> str:
    """Return a URL without user, password and query, fit for messages and records."""
    parts = urlsplit(url or "")
    host = parts.hostname or "the default endpoint"
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _answer(completion: Any, dropped: tuple[str, ...]) -> Answer:
    """Return the first choice of a completion as an Answer; missing parts stay None."""
    if not getattr(completion, "choices", None):
        return Answer(error="the endpoint sent no choices", dropped=dropped)
    choice = completion.choices[0]
    refused = getattr(choice.message, "refusal", None)
    text = choice.message.content or refused or ""
    finish = "content_filter" if refused and not choice.message.content else choice.finish_reason
    usage = completion.usage
    details = getattr(usage, "prompt_tokens_details", None)
    return Answer(
        text=text[:KEPT_CHARACTERS],
        finish_reason=finish if len(text) <= KEPT_CHARACTERS else "cut",
        top_logprobs=_first_token(choice),
        prompt_tokens=getattr(usage, "prompt_tokens", None),
        cached_tokens=getattr(details, "cached_tokens", None),
        completion_tokens=getattr(usage, "completion_tokens", None),
        served_model=completion.model,
        dropped=dropped,
    )


def _first_token(choice: Any) -> tuple[tuple[str, float], ...] | None:
    """Return (token, log-probability in nats) of the first answer token's alternatives."""
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    listed = getattr(content[0], "top_logprobs", None) if content else None
    return tuple((entry.token, round(entry.logprob, 6)) for entry in listed) if listed else None
