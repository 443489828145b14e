"""Models of every provider that inspect_ai knows: `inspect/<provider>/<model>`.

inspect_ai (MIT, UK AI Security Institute) speaks each provider's own language. It stands where the
HTTP transport of a `ChatModel` stands: what it brings is put as the JSON of a chat completion, so
tries, limits, refusals, records and budget are those of every other model. It is loaded when a
model that needs it is asked.

Public names: InspectModel, check_name, missing, identity, completion.
"""

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Self

import orjson

from hvae_utils.ask.chat import ChatModel, Limit
from hvae_utils.ask.dialect import Dialect
from hvae_utils.ask.http.transport import Failure, Transport, failure
from hvae_utils.ask.urls import public
from hvae_utils.errors import UserError, brief, unknown

EXTRA = "install the extra: pip install 'hvae-workbook[inspect]'"
MOST = 64  # requests in flight, if the provider's answers allow it
ATTEMPT_S = 120.0  # of one try, without a thought
SERVICES = ("openai-api", "openai-api-completions")  # their models are named SERVICE/MODEL
# Providers on this machine, unless the environment gives a URL. The first of them load weights or
# start a server when a model is made: none is made only to see whether it can be.
LOADING = ("hf", "nnterp", "transformer_lens", "sglang", "vllm", "vllm-completions")
HERE = (*LOADING, "llama-cpp-python", "ollama")
WITHHELD = "(withheld by its provider)"  # stands for a thought of which only the fact is told
EXCERPT = 200  # characters of a message that a provider wrote
OF_PROVIDER = {"content_filter": "content_filter", "model_length": "context_length_exceeded"}
SECRET = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")  # names of variables
UNREACHED = {  # exceptions of the providers' libraries when no connection was made
    *("ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror"),
    *("ClientConnectorError", "EndpointConnectionError"),
}
DIALECT = Dialect(
    thinking_off={"reasoning_effort": "none"}, thinking_on={"reasoning_effort": "medium"}
)


class InspectModel(ChatModel):
    """One model of a provider, asked through inspect_ai.

    name: as in the study; model: inspect_ai's own, where an evaluation has opened it: then it can
    be asked without being entered. UserError where something that it needs is missing.
    """

    def __init__(self, name: str, model: Any = None) -> None:
        check_name(name)
        if lack := "" if model else missing(name):
            raise UserError(f"{name} is not ready: {lack}")
        url, provider = _url(name), _provider(name)
        super().__init__(name, _spoken(name), url, "", Limit(MOST), DIALECT)
        self.prefix_reuse |= not url and provider in HERE
        self.identity = identity(name)
        self._where = public(url) if url else provider
        self._transport = _Inspect(name, model)


class _Inspect(Transport):
    """A session with a provider. Belongs to the event loop that enters it."""

    def __init__(self, name: str, model: Any = None) -> None:
        super().__init__(None, "", ATTEMPT_S)
        self._name = name
        self._model = model
        self._hide_secrets()

    async def __aenter__(self) -> Self:
        """Open the provider's client."""
        self._model = await _model(self._name).__aenter__()
        self._hide_secrets()
        if hasattr(client := getattr(self._model.api, "client", None), "max_retries"):
            client.max_retries = 0  # a budget counts every try
        return self

    def _hide_secrets(self) -> None:
        """Hide what the environment keeps secret, and the model's key and URL."""
        api = getattr(self._model, "api", None)
        told = {text for name, text in os.environ.items() if SECRET.search(name)}
        urls = (_url(self._name) or "", str(getattr(api, "base_url", None) or ""))
        self.hide(*urls, told | {str(getattr(api, "api_key", None) or "")})

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        await self._model.__aexit__(*exc)

    async def post(self, body: Mapping[str, Any], more_s: float = 0.0, most_bytes: int = 0) -> Any:
        """Ask what the body of a chat completion asks; return the JSON of one. Raises Failure.

        more_s: seconds on top of the usual ones; most_bytes: not used, inspect_ai reads it all.
        """
        from inspect_ai.model import GenerateConfig
        from inspect_ai.util import LimitExceededError

        asked = {name: told for name, told in body.items() if name not in ("model", "messages")}
        asked |= {"max_tokens": asked.pop("max_completion_tokens", asked.get("max_tokens"))}
        asked |= {"max_retries": 0, "attempt_timeout": round(self._timeout_s + more_s)}
        config = GenerateConfig(**asked, max_connections=2 * MOST)
        reply = self._model.generate(_messages(body["messages"]), config=config, cache=False)
        try:
            # a task of its own: inspect_ai keeps a transcript in the context, which ends with it
            output = await asyncio.create_task(reply)
        except LimitExceededError:  # of the evaluation in which it is asked
            raise
        except Exception as fault:
            passing = getattr(fault, "last_attempt", None)  # tenacity's: it would have tried again
            cause = passing.exception() if passing else fault
            raise self._failure(cause, again=passing is not None) from None
        return orjson.loads(self.masked(orjson.dumps(completion(output))))

    def _failure(self, fault: Exception, again: bool) -> Failure:
        """Return what an exception of a provider's library means."""
        words = getattr(fault, "provider_message", None) or getattr(fault, "message", None)
        words = self.masked_text(str(words or fault) or type(fault).__name__)
        if status := _status(fault):
            said = getattr(fault, "body", None) or getattr(fault.__cause__, "body", None) or words
            decision = self._model.api.should_retry(fault) if again else None
            return failure(status, said, getattr(decision, "retry_after", None))
        return Failure(words[:EXCERPT], again=again, reached=not _unreached(fault))


def check_name(name: str) -> None:
    """Raise UserError unless a name has the form inspect/<provider>/<model>.

    >>> check_name("inspect/anthropic/claude-x")
    """
    provider, *model = _spoken(name).split("/")
    needed = ["<service>", "<model>"] if provider in SERVICES else ["<model>"]
    if not provider or len(model) < len(needed) or not all(model):
        form = "/".join(["inspect", provider or "<provider>", *needed])
        raise UserError(f"{brief(name)} names no model; write {form}")


def missing(name: str) -> str:
    """Return what has to be done before a model can be asked, or ''. Nobody is asked."""
    try:
        import inspect_ai  # noqa: F401
    except ImportError:
        return EXTRA
    if _provider(name) in LOADING:
        return ""
    try:
        _model(name)
    except UserError as fault:
        return str(fault)
    return ""


def identity(name: str) -> str:
    """Return a hash of provider, model and URL, which records depend on; inspect_ai is not needed.

    >>> identity("inspect/openai/gpt-x") == identity("inspect/openai/gpt-y")
    False
    """
    where = public(url) if (url := _url(name)) else ""
    return hashlib.sha256(f"inspect {_spoken(name)} {where}".encode()).hexdigest()


def completion(output: Any) -> dict[str, Any]:
    """Return a ModelOutput of inspect_ai as the JSON of a chat completion.

    Raises Failure where inspect_ai made a reply of the words with which a provider refused.
    """
    if output.empty:
        return {"choices": []}
    choice, usage = output.choices[0], output.usage
    content, finish = choice.message.content, choice.stop_reason
    parts = content if isinstance(content, list) else []
    text = content if isinstance(content, str) else _text(parts)
    if usage is None and finish in OF_PROVIDER:
        raise failure(400, {"error": {"code": OF_PROVIDER[finish], "message": text}})
    said = {
        "message": {"content": text, "reasoning_content": _thought(parts)},
        "finish_reason": None if finish == "unknown" else finish,
        "logprobs": choice.logprobs and choice.logprobs.model_dump(),
    }
    return {"model": output.model, "choices": [said], "usage": usage and _usage(usage)}


def _text(parts: Iterable[Any]) -> str:
    return "".join(part.text for part in parts if part.type == "text")


def _thought(parts: Iterable[Any]) -> str:
    """Return what was thought aloud, or of a thought that was withheld only that."""
    found = [part for part in parts if part.type == "reasoning"]
    told = [(not part.redacted and part.reasoning) or part.summary or "" for part in found]
    return "\n".join(filter(None, told)) or (WITHHELD if found else "")


def _usage(usage: Any) -> dict[str, Any]:
    """Return a ModelUsage, which counts cached tokens apart, as a chat completion has it."""
    cached = usage.input_tokens_cache_read
    return {
        "prompt_tokens": usage.input_tokens + (cached or 0) + (usage.input_tokens_cache_write or 0),
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _messages(messages: Iterable[Mapping[str, str]]) -> list[Any]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "assistant": ChatMessageAssistant}
    return [kinds.get(m["role"], ChatMessageUser)(content=m["content"]) for m in messages]


def _model(name: str) -> Any:
    """Return inspect_ai's model, not yet entered; UserError where it cannot be made."""
    from inspect_ai._util import _async
    from inspect_ai.model import get_model

    # In a notebook it would patch asyncio, and everywhere it replaces the hook for uncaught errors.
    _async._initialised_nest_asyncio, hook = True, sys.excepthook
    try:
        return get_model(_spoken(name), memoize=False)
    except Exception as fault:
        raise UserError(_lack(name, str(fault))) from None
    finally:
        sys.excepthook = hook


def _lack(name: str, words: str) -> str:
    """Return in one sentence what inspect_ai lacks, from its own words."""
    words = " ".join(re.sub(r"\[/?[a-z ]*\]", "", words).split())
    if "not recognized" in words:
        from inspect_ai._util.registry import registry_find, registry_unqualified_name

        known = registry_find(lambda info: info.type == "modelapi")
        names = sorted({registry_unqualified_name(provider) for provider in known})
        return str(unknown("provider of inspect_ai", _provider(name), names))
    if variables := re.search(r"No (.+) defined in the environment", words):
        return f"set {variables[1]}"
    if packages := re.search(r"pip install .+", words):
        return f"run: {packages[0]}"
    return words.removeprefix("ERROR: ")[:EXCERPT]


def _spoken(name: str) -> str:
    """Return what inspect_ai calls a model: <provider>/<model>."""
    return name.partition("/")[2]


def _provider(name: str) -> str:
    return _spoken(name).partition("/")[0]


def _url(name: str) -> str | None:
    """Return the URL that the environment gives for a model's provider, None for its own."""
    provider, *model = _spoken(name).split("/")
    service = model[0] if provider in SERVICES and model else provider
    variable = f"{service.upper().replace('-', '_')}_BASE_URL"
    return os.environ.get(variable) or os.environ.get("INSPECT_EVAL_MODEL_BASE_URL") or None


def _status(fault: BaseException) -> int:
    """Return the HTTP status that an exception of a provider's library tells, 0 for none."""
    codes = (getattr(fault, name, None) for name in ("status_code", "code", "status"))
    return next((code for code in codes if type(code) is int and 400 <= code < 600), 0)


def _unreached(fault: BaseException | None) -> bool:
    """Return whether an exception, or one that it comes from, says that no connection was made."""
    while fault is not None:
        if type(fault).__name__ in UNREACHED:
            return True
        fault = fault.__cause__ or fault.__context__
    return False
