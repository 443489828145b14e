"""data/models.toml: the servers, models and weights that are known by name, and what is retired."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from hvae_utils import files, paths
from hvae_utils.ask.dialect import Dialect
from hvae_utils.ask.urls import on_loopback, well_formed
from hvae_utils.errors import UserError, unknown
from hvae_utils.measure import factors

THINKS = ("hidden", "visible", "none")  # what an owner can say about a model


@dataclass(frozen=True)
class Endpoint:
    """How a chat model is reached: name in the study, model at the endpoint, where, which key.

    thinks: one of THINKS, what its owner says, '' where that is not known; thinking_tokens: room
    for a thought where it thinks, unless the study says otherwise; dialect: the endpoint's words.
    """

    name: str
    model: str
    base_url: str | None = None
    base_url_env: str | None = None
    api_key_env: str | None = None
    about: str = ""
    start: str = "its server"
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_in_flight: int | None = None
    thinks: str = ""
    thinking_tokens: int = 8192
    dialect: Dialect = field(default_factory=Dialect)
    retired: str = ""  # since when the server's owner no longer serves the model, what replaces it

    @property
    def url(self) -> str | None:
        """Return the URL in force: the environment's where one is named there."""
        return os.environ.get(self.base_url_env or "", "") or self.base_url

    @property
    def key(self) -> str:
        """Return the key from the environment, '' where there is none."""
        return os.environ.get(self.api_key_env or "", "")

    @property
    def malformed(self) -> str:
        """Return what is wrong with the URL, without a word of it, or ''."""
        if not self.url or well_formed(self.url):
            return ""
        where = self.base_url_env if os.environ.get(self.base_url_env or "") else "base_url"
        return f"{where} is no URL of a server; write it as http://HOST:PORT/v1"

    @property
    def missing(self) -> str:
        """Return what has to be set before a request can be sent, or ''."""
        if self.retired and self.url == self.base_url:
            return self.retired
        if not self.url:
            return f"set {self.base_url_env} to the server's URL"
        if self.api_key_env and not self.key and not on_loopback(self.url):
            return self.malformed or f"set {self.api_key_env}"
        return self.malformed


@dataclass(frozen=True)
class Weights:
    """Where a known model's weights come from and how they are recognised.

    file, file_sha256: as published, inside the package; q8_0, sha256: as served.
    """

    package: str
    version: str
    package_sha256: str
    file: str
    file_sha256: str
    q8_0: str
    sha256: str
    licence: str

    @property
    def cached(self) -> Path:
        """Return where the file that is served lies once it was fetched."""
        return paths.cache() / "weights" / self.q8_0


_WHOLE = ("requests_per_minute", "tokens_per_minute", "max_in_flight", "thinking_tokens")
_WEIGHTS = [part.name for part in fields(Weights)]
_RETIRED = ["since", "successor"]
_KINDS = {str: "a text", int: "a whole number from 1", date: "a date, written 2026-12-31"}
_KINDS |= {dict: "a table", list: "a list of pairs of texts"}
_KIND_OF = dict.fromkeys(_WHOLE, int) | {"since": date, "dialect": dict, "think_tags": list}
_KIND_OF |= dict.fromkeys(("thinking_off", "thinking_on", "extra_body"), dict)
_CHOICES = {"thinks": THINKS, "constrain": ("", "grammar", "choice")}
_DIALECT = [part.name for part in fields(Dialect)]
_OWN = ("name", "model", "retired")  # an endpoint's, not its server's
_SERVER = [part.name for part in fields(Endpoint) if part.name not in _OWN]
_REQUIRED = {"servers": [], "models": ["model"], "weights": _WEIGHTS, "retired": _RETIRED}
_FIELDS = _REQUIRED | {"servers": _SERVER, "models": ["model", "server", *_SERVER]}


@lru_cache
def read() -> dict[str, dict[str, dict[str, Any]]]:
    """Return data/models.toml: kind -> name -> fields; UserError for what is malformed in it."""
    path = paths.DATA / "models.toml"
    table = files.read_toml(path)
    for kind in _FIELDS:
        if not isinstance(table.setdefault(kind, {}), dict):
            raise UserError(f"{kind} in {paths.shown(path)} must be a table of tables")
        for name, entry in table[kind].items():
            _check(kind, entry, f"{kind}.{name} in {paths.shown(path)}")
    for name, entry in table["models"].items():
        if "server" in entry and entry["server"] not in table["servers"]:
            raise unknown(f"server of {name}", entry["server"], table["servers"])
    return table


def _check(kind: str, entry: Any, where: str) -> None:
    """Raise UserError unless an entry holds the fields of its kind."""
    _check_fields(entry, _FIELDS[kind], where)
    for name in _REQUIRED[kind]:
        if name not in entry:
            raise UserError(f"{where} does not say `{name}`")
    if "dialect" in entry:
        _check_fields(entry["dialect"], _DIALECT, f"dialect of {where}")


def _check_fields(table: Any, known: list[str], where: str) -> None:
    """Raise UserError unless a table holds known fields alone, each of its kind."""
    files.known_keys(where, table, sorted(known))
    for name, content in table.items():
        kind = _KIND_OF.get(name, str)
        wrong = type(content) is not kind or (kind is int and content < 1)
        if wrong or (kind is list and not all(map(_is_pair, content))):
            raise UserError(f"{name} of {where} must be {_KINDS[kind]}")
        if name in _CHOICES and content not in _CHOICES[name]:
            raise unknown(f"{name} of {where}:", content, _CHOICES[name])


def _is_pair(content: Any) -> bool:
    """Return whether this is a beginning and an end: two texts, none of them empty."""
    texts = isinstance(content, list) and all(isinstance(text, str) and text for text in content)
    return texts and len(content) == 2


def endpoint(name: str) -> Endpoint:
    """Return the endpoint of a known model, or of any on a known server; UserError for others.

    A name with a level of deliberation is that of its model.

    >>> endpoint("ollama/llama3.2").base_url
    'http://127.0.0.1:11434/v1'
    """
    servers, models = read()["servers"], read()["models"]
    name, _ = factors.model_of(name)
    family, _, model = name.partition("/")
    if name in models or (family in servers and model):
        entry = models.get(name, {"server": family, "model": model})
        server = entry.get("server", "")
        of_server = servers.get(server, {})
        spoken = _dialect({**of_server.get("dialect", {}), **entry.get("dialect", {})})
        entry = {**of_server, **entry, **_retirement(server, entry["model"]), "dialect": spoken}
        entry.pop("server", None)
        return Endpoint(name, **entry)
    if family in servers:
        raise UserError(f"'{name}' names no model; write {family}/<model>")
    if siblings := [known for known in models if known.startswith(f"{family}/")]:
        raise unknown("model", name, siblings)
    families = ["reference", "local", "inspect", *servers]
    families += [known.partition("/")[0] for known in models]
    raise unknown(f"family of models in '{name}':", family, dict.fromkeys(families))


def dialect(server: str) -> Dialect:
    """Return how a server is spoken to.

    >>> dialect("llamacpp").constrain
    'grammar'
    """
    return _dialect(read()["servers"].get(server, {}).get("dialect", {}))


def _dialect(table: Mapping[str, Any]) -> Dialect:
    """Return the dialect of a checked table, with tags as pairs."""
    tags = tuple((begin, end) for begin, end in table.get("think_tags", ()))
    return Dialect(**{**table, "think_tags": tags})


def _retirement(server: str, model: str) -> dict[str, str]:
    """Return the field that says when the server's owner retires the model: `about` before that."""
    listed = read()["retired"].get(f"{server}/{model}")
    if listed is None:
        return {}
    gone = listed["since"] <= date.today()
    verb = "was" if gone else "will be"
    said = f"{model} {verb} retired on {listed['since']}; its owner names {listed['successor']}"
    return {"retired" if gone else "about": said}
