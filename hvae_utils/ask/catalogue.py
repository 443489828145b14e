"""data/models.toml: the servers, models and weights that are known by name, and what is retired."""

import os
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from hvae_utils import files, paths
from hvae_utils.ask.urls import on_loopback, well_formed
from hvae_utils.errors import UserError, unknown


@dataclass(frozen=True)
class Endpoint:
    """How a chat model is reached: name in the study, model at the endpoint, where, which key."""

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


_CAPS = ("requests_per_minute", "tokens_per_minute", "max_in_flight")
_WEIGHTS = [field.name for field in fields(Weights)]
_RETIRED = ["since", "successor"]
_KINDS = {str: "a text", int: "a whole number from 1", date: "a date, written 2026-12-31"}
_OWN = ("name", "model", "retired")  # an endpoint's, not its server's
_SERVER = [field.name for field in fields(Endpoint) if field.name not in _OWN]
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
    files.known_keys(where, entry, sorted(_FIELDS[kind]))
    for field, content in entry.items():
        kind_of = int if field in _CAPS else date if field == "since" else str
        if type(content) is not kind_of or (kind_of is int and content < 1):
            raise UserError(f"{field} of {where} must be {_KINDS[kind_of]}")
    for field in _REQUIRED[kind]:
        if field not in entry:
            raise UserError(f"{where} does not say `{field}`")


def endpoint(name: str) -> Endpoint:
    """Return the endpoint of a known model, or of any on a known server; UserError for others.

    >>> endpoint("ollama/llama3.2").base_url
    'http://127.0.0.1:11434/v1'
    """
    servers, models = read()["servers"], read()["models"]
    family, _, model = name.partition("/")
    if name in models or (family in servers and model):
        entry = models.get(name, {"server": family, "model": model})
        server = entry.get("server", "")
        entry = {**servers.get(server, {}), **entry, **_retirement(server, entry["model"])}
        entry.pop("server", None)
        return Endpoint(name, **entry)
    if family in servers:
        raise UserError(f"'{name}' names no model; write {family}/<model>")
    if siblings := [known for known in models if known.startswith(f"{family}/")]:
        raise unknown("model", name, siblings)
    families = dict.fromkeys(known.partition("/")[0] for known in models)
    raise unknown(
        f"family of models in '{name}':", family, ["reference", "local", *servers, *families]
    )


def _retirement(server: str, model: str) -> dict[str, str]:
    """Return the field that says when the server's owner retires the model: `about` before that."""
    listed = read()["retired"].get(f"{server}/{model}")
    if listed is None:
        return {}
    gone = listed["since"] <= date.today()
    verb = "was" if gone else "will be"
    said = f"{model} {verb} retired on {listed['since']}; its owner names {listed['successor']}"
    return {"retired" if gone else "about": said}
