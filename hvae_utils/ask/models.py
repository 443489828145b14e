"""Names -> respondents: reference, local, and every endpoint that data/models.toml knows.

Reads keys from the environment and hands them to the client; shows them to nobody.

Public names: check_name, respondent, served_at, identity, identities, require,
require_servers, table.
"""

import http.client
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from hvae_utils import files, paths
from hvae_utils.ask import local, replay
from hvae_utils.ask.chat import ChatModel
from hvae_utils.ask.http.limits import Limit
from hvae_utils.ask.http.transport import NO_KEY, on_loopback, public, well_formed
from hvae_utils.ask.reference import POLICIES, Reference
from hvae_utils.ask.respondents import Respondent
from hvae_utils.errors import EndpointError, NotReady, UserError, unknown

LOOPBACK_MOST, HOSTED_MOST = 64, 256  # in flight at one endpoint, unless its entry says otherwise
PROBE_S = 0.5  # how long `table` waits for a server on this machine
FIELDS = {"base_url", "base_url_env", "api_key_env", "model", "server", "about", "start"}
CAPS = {"requests_per_minute", "tokens_per_minute", "max_in_flight"}


@dataclass(frozen=True)
class Endpoint:
    """How a chat model is reached: name in the study, model at the endpoint, where, which key."""

    name: str
    model: str
    base_url: str | None
    base_url_env: str | None = None
    api_key_env: str | None = None
    about: str = ""
    start: str = "its server"
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_in_flight: int | None = None

    @property
    def url(self) -> str | None:
        """Return the URL in force: the environment's where one is named there."""
        return os.environ.get(self.base_url_env or "", "") or self.base_url

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
        if not self.url:
            return f"set {self.base_url_env} to the server's URL"
        if self.malformed:
            return self.malformed
        if self.api_key_env and not on_loopback(self.url) and not os.environ.get(self.api_key_env):
            return f"set {self.api_key_env}"
        return ""


def check_name(name: str) -> None:
    """Raise UserError, naming the choices, unless `name` is a model's name that can be resolved."""
    family, _, model = str(name).partition("/")
    if family == "reference":
        if model not in POLICIES:
            raise unknown("model", name, [f"reference/{known}" for known in POLICIES])
    elif family == "local":
        if model not in local.known() and not model.endswith(".gguf"):
            choices = [f"local/{known}" for known in local.known()]
            raise unknown("model", name, [*choices, "local/PATH.gguf"])
    elif (fault := _endpoint(name).malformed) and replay.identities() is None:
        raise UserError(f"{name}: {fault}")


def respondent(
    name: str, limits: dict[str, Limit] | None = None, concurrency: int = 0
) -> Respondent:
    """Return the respondent of a name, not yet entered. Raises UserError when it is not usable.

    limits: what models of one endpoint share, by endpoint; what is missing is added to it.
    concurrency: requests in flight that the user wants, 0 to let the endpoint's answers decide.
    """
    family, _, model = name.partition("/")
    if family == "reference":
        return Reference(model)
    if (recorded := replay.identities()) is not None:
        return replay.Recorded(name, recorded.get(name, ""))
    if family == "local":
        return local.LocalModel(model)
    endpoint = _endpoint(name)
    if endpoint.missing:
        raise UserError(f"{name} is not ready: {endpoint.missing}")
    key = os.environ.get(endpoint.api_key_env or "", "") or NO_KEY
    shared = {} if limits is None else limits
    where = public(endpoint.url).rstrip("/")
    if where not in shared:
        shared[where] = _limit(endpoint, concurrency)
    return ChatModel(name, endpoint.model, endpoint.url, key, shared[where])


def _limit(endpoint: Endpoint, concurrency: int) -> Limit:
    """Return a new limit for an endpoint; its own most in flight is never passed."""
    usual = LOOPBACK_MOST if on_loopback(endpoint.url) else HOSTED_MOST
    most = min(concurrency or usual, endpoint.max_in_flight or concurrency or usual)
    rates = endpoint.requests_per_minute, endpoint.tokens_per_minute
    return Limit(most, bool(concurrency), *rates)


def served_at(name: str) -> tuple[str, str]:
    """Return the URL of a chat model's endpoint and what the model is called there."""
    endpoint = _endpoint(name)
    return endpoint.url or "", endpoint.model


def identity(name: str) -> str:
    """Return the identity of a respondent that need not be ready; '' for weights not here yet."""
    family, _, model = name.partition("/")
    if family == "reference":
        return Reference(model).identity
    if (recorded := replay.identities()) is not None:
        return recorded.get(name, "")
    if family == "local":
        try:
            return files.sha256(local.find(model))
        except UserError:
            return ""
    endpoint = _endpoint(name)
    return ChatModel(name, endpoint.model, endpoint.url, NO_KEY, Limit(1)).identity


def require(names: list[str] | tuple[str, ...]) -> None:
    """Raise one NotReady that names everything missing for `names`, before anything runs."""
    missing = []
    for name in names:
        check_name(name)
        if replay.identities() is not None:
            continue
        family, _, model = name.partition("/")
        if family == "local":
            try:
                local.find(model)
                local.check_engine()
            except UserError as fault:
                missing.append(str(fault))
        elif family != "reference" and (lack := _endpoint(name).missing):
            missing.append(f"{name}: {lack}")
    if missing:
        raise NotReady("not ready: " + "; ".join(missing))


def require_servers(names: list[str] | tuple[str, ...]) -> None:
    """Raise one EndpointError that names each server of this machine where nothing answers."""
    if replay.identities() is not None:
        return
    asked = [_endpoint(name) for name in names if not name.startswith(("reference/", "local/"))]
    silent = [
        f"{one.name}: nothing answers at {public(one.url)}; start {one.start} or leave it out of "
        "--set models"
        for one in asked
        if on_loopback(one.url) and _served(str(one.url)) is None
    ]
    if silent:
        raise EndpointError("; ".join(silent))


def identities(names: list[str] | tuple[str, ...]) -> dict[str, str]:
    """Return what the records of each model among `names` hang on, a hash; no reference has one.

    It is of the weights, or of the endpoint's URL and the model's name there.
    """
    return {name: identity(name) for name in names if not name.startswith("reference/")}


def table() -> pd.DataFrame:
    """Return one row a model or server: name, kind, ready, missing (what to do), about."""
    rows: list[dict[str, Any]] = [
        {"name": f"reference/{name}", "kind": "reference", "missing": "", "about": "simulated"}
        for name in POLICIES
    ]
    for name, known in local.known().items():
        there = known.cached.is_file()
        lack = "" if there else f"run: hvae models fetch {name}"
        about = f"embedded, {known.licence}"
        rows.append({"name": f"local/{name}", "kind": "local", "missing": lack, "about": about})
    catalogue = _catalogue()
    for name in catalogue["servers"]:
        rows.append(_endpoint_row(_endpoint(f"{name}/<model>"), "server"))
    for name in catalogue["models"]:
        rows.append(_endpoint_row(_endpoint(name), "model"))
    frame = pd.DataFrame(rows)
    frame.insert(2, "ready", frame["missing"] == "")
    return frame


def _endpoint_row(endpoint: Endpoint, kind: str) -> dict[str, Any]:
    lack, about = endpoint.missing, endpoint.about
    if replay.identities() is not None:
        lack = "a replay asks nobody"
    if not lack and on_loopback(endpoint.url):
        served = _served(str(endpoint.url))
        lack = f"nothing answers at {public(endpoint.url)}" if served is None else ""
        about += f"; serves {', '.join(served)}" if served else ""
    return {"name": endpoint.name, "kind": kind, "missing": lack, "about": about}


def _served(url: str) -> list[str] | None:
    """Return the models that a server on this machine lists, [] if it lists none, None if down."""
    parts = urlsplit(url)
    server = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=PROBE_S)
    try:
        server.connect()
    except OSError:
        return None
    try:
        server.request("GET", f"{parts.path.rstrip('/')}/models")
        listed = json.loads(server.getresponse().read(100_000))
        return [str(entry["id"])[:60] for entry in listed["data"]][:5]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return []
    finally:
        server.close()


def _endpoint(name: str) -> Endpoint:
    """Return the endpoint of a name in data/models.toml, or of a model on one of its servers."""
    catalogue = _catalogue()
    entry = catalogue["models"].get(name)
    if entry is None:
        family, _, model = name.partition("/")
        named = [known for known in catalogue["models"] if known.startswith(f"{family}/")]
        if named and family not in catalogue["servers"]:
            raise unknown("model", name, named)
        if family not in catalogue["servers"]:
            own = dict.fromkeys(known.partition("/")[0] for known in catalogue["models"])
            families = ["reference", "local", *catalogue["servers"], *own]
            raise unknown(f"family of models in '{name}':", family, families)
        if not model:
            raise UserError(f"'{name}' names no model; write {family}/<model>")
        entry = {**catalogue["servers"][family], "model": model}
    elif "server" in entry:
        entry = {**catalogue["servers"][entry["server"]], **entry}
    return Endpoint(
        name=name,
        model=entry["model"],
        base_url=entry.get("base_url"),
        base_url_env=entry.get("base_url_env"),
        api_key_env=entry.get("api_key_env"),
        about=entry.get("about", ""),
        start=entry.get("start", "its server"),
        **{cap: entry[cap] for cap in CAPS if cap in entry},
    )


@lru_cache
def _catalogue() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the servers and models of data/models.toml. Raises UserError for an unknown field."""
    path = paths.DATA / "models.toml"
    table = files.read_toml(path)
    for kind in ("servers", "models"):
        if not isinstance(table.setdefault(kind, {}), dict):
            raise UserError(f"{kind} in {paths.shown(path)} must be a table of tables")
        for name, entry in table[kind].items():
            where = f"{kind}.{name} in {paths.shown(path)}"
            if not isinstance(entry, dict):
                raise UserError(f"{where} must be a table")
            for field, given in entry.items():
                if field not in FIELDS | CAPS:
                    raise unknown(f"field of {where}", field, sorted(FIELDS | CAPS))
                if field in FIELDS and not isinstance(given, str):
                    raise UserError(f"{field} of {where} must be a text")
                if field in CAPS and (type(given) is not int or given < 1):
                    raise UserError(f"{field} of {where} must be a whole number from 1")
            if kind == "models" and "model" not in entry:
                raise UserError(f"{where} does not say `model`, the name at the endpoint")
            if "server" in entry and entry["server"] not in table["servers"]:
                raise unknown(f"server of {name}", entry["server"], table["servers"])
    return table
