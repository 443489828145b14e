"""What a server says about itself where it is asked with GET: the models it serves, their context.

A server that says nothing is none the worse: nobody needs the answer to ask a model. No redirect is
followed, so that a key goes to the server it was meant for and nowhere else.

Public names: get, models, entry_of, context_of.
"""

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from hvae_utils import files
from hvae_utils.ask.chat import NO_KEY
from hvae_utils.ask.urls import on_loopback

TIMEOUT_S = 10.0
MOST_BYTES = 4_000_000  # of a list; a router's has several hundred models
LONGEST_NAME = 200  # characters of a model's name
CONTEXT = (  # where servers say how many tokens a model reads: what is loaded before what could be
    *("loaded_context_length", "max_model_len", "n_ctx", "context_length", "context_window"),
    *("max_context_length", "max_input_tokens"),
)


class Heard(NamedTuple):
    """What came back: reached, if there was a connection; status of HTTP; content, if JSON."""

    reached: bool
    status: int = 0
    content: Any = None


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *ignored: Any) -> None:
        """Take the redirect as the answer."""


def get(url: str, path: str, key: str = NO_KEY, timeout_s: float = TIMEOUT_S) -> Heard:
    """Return what a server answers to GET at a path below its URL; never raises for what it is."""
    parts = urlsplit(url)
    at = parts._replace(
        netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path.rstrip('/')}{path}"
    )
    request = urllib.request.Request(at.geturl(), headers={"Accept-Encoding": "identity"})
    if key != NO_KEY:
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    elif parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(pair).decode()}")
    proxies = urllib.request.ProxyHandler({} if on_loopback(url) else None)
    try:
        with urllib.request.build_opener(_Straight, proxies).open(
            request, None, timeout_s
        ) as reply:
            return Heard(True, reply.status, files.parse_json(reply.read(MOST_BYTES)))
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return Heard(True, refusal.code)
    except urllib.error.URLError:
        return Heard(False)
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return Heard(True)  # it is there, and says nothing that can be read


def models(heard: Heard) -> dict[str, Mapping[str, Any]]:
    """Return the models that were listed: name -> what is said about it; {} without a list."""
    listed = heard.content.get("data") if isinstance(heard.content, dict) else heard.content
    entries = listed if isinstance(listed, list) else ()
    named = (entry for entry in entries if isinstance(entry, dict) and "id" in entry)
    return {str(entry["id"])[:LONGEST_NAME]: entry for entry in named}


def entry_of(model: str, listed: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return what is said about a model, also where the list spells its name out; None without.

    >>> entry_of("llama3.2", {"llama3.2:latest": {"id": "llama3.2:latest"}})
    {'id': 'llama3.2:latest'}
    """
    spelled = (model, f"{model}:latest", f"models/{model}")
    return next((listed[name] for name in spelled if name in listed), None)


def context_of(entry: Mapping[str, Any]) -> int | None:
    """Return how many tokens a model reads, None where its entry does not say."""
    for table in (entry, entry.get("meta"), entry.get("default_generation_settings")):
        for name in CONTEXT if isinstance(table, dict) else ():
            if type(table.get(name)) is int and table[name] > 0:
                return table[name]
    return None
