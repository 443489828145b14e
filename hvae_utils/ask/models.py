"""Names -> respondents: reference, local, inspect, and every endpoint of data/models.toml.

A name may carry a level of deliberation (`openai/gpt-6+low`): it is that of its model. Keys are
read from the environment and handed to the client; nobody is shown one.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType

import pandas as pd

from hvae_utils import files
from hvae_utils.ask import catalogue, chat, listing, local, replay
from hvae_utils.ask.catalogue import Endpoint
from hvae_utils.ask.chat import NO_KEY, ChatModel, Limit
from hvae_utils.ask.dialect import Dialect
from hvae_utils.ask.reference import POLICIES, Reference
from hvae_utils.ask.respondents import Respondent
from hvae_utils.ask.urls import on_loopback, public
from hvae_utils.errors import EndpointError, NotReady, UserError, unknown
from hvae_utils.measure import factors

LOOPBACK_MOST, HOSTED_MOST = 64, 256  # in flight at one endpoint, unless its entry says otherwise
PROBE_S = 0.5  # how long a server on this machine is waited for


def check_name(name: str) -> None:
    """Raise UserError, naming the choices, unless `name` is a model's name that can be resolved.

    >>> check_name("reference/faithful")
    """
    family, model = _parts(str(name))
    if family == "reference":
        if model not in POLICIES:
            raise unknown("model", name, [f"reference/{policy}" for policy in POLICIES])
    elif family == "local":
        if model not in local.known() and not model.endswith(".gguf"):
            choices = [f"local/{weights}" for weights in local.known()]
            raise unknown("model", name, [*choices, "local/PATH.gguf"])
    elif family == "inspect":
        _inspect().check_name(factors.model_of(name)[0])
    elif (fault := catalogue.endpoint(name).malformed) and replay.identities() is None:
        raise UserError(f"{name}: {fault}")


def respondent(
    name: str, limits: dict[str, Limit] | None = None, concurrency: int = 0
) -> Respondent:
    """Return the respondent of a name, not yet entered. UserError when it is not usable.

    limits: by endpoint, shared by its models, added to; concurrency: requests in flight, 0 to let
    the endpoint's answers decide.

    >>> respondent("reference/random").name
    'reference/random'
    """
    name, _ = factors.model_of(name)
    family, model = _parts(name)
    if family == "reference":
        return Reference(model)
    if (recorded := replay.identities()) is not None:
        return replay.Recorded(name, recorded.get(name, ""))
    if family == "local":
        return local.LocalModel(model)
    if family == "inspect":
        return _inspect().InspectModel(name)
    endpoint = catalogue.endpoint(name)
    if endpoint.missing:
        raise UserError(f"{name} is not ready: {endpoint.missing}")
    limits = {} if limits is None else limits
    where = public(endpoint.url).rstrip("/")
    if where not in limits:
        usual = LOOPBACK_MOST if on_loopback(endpoint.url) else HOSTED_MOST
        most = min(concurrency or usual, endpoint.max_in_flight or concurrency or usual)
        caps = endpoint.requests_per_minute, endpoint.tokens_per_minute
        limits[where] = Limit(most, bool(concurrency), *caps)
    client = endpoint.url, endpoint.key or NO_KEY, limits[where], endpoint.dialect
    return ChatModel(name, endpoint.model, *client)


def _parts(name: str) -> tuple[str, str]:
    """Return the family of a name and what follows it, without a level of deliberation."""
    family, _, model = factors.model_of(name)[0].partition("/")
    return family, model


def _inspect() -> ModuleType:
    """Return the module of the models that inspect_ai asks; it is loaded when one is named."""
    from hvae_utils.ask import inspect_model

    return inspect_model


def thinks(name: str) -> tuple[str, int]:
    """Return whether a model thinks on its own, as its entry says, and its room for a thought.

    The first is one of catalogue.THINKS, '' where nothing is known; the second in tokens.

    >>> thinks("reference/faithful")
    ('', 8192)
    """
    family, _ = _parts(name)
    entry = Endpoint if family in ("reference", "local", "inspect") else catalogue.endpoint(name)
    return entry.thinks, entry.thinking_tokens


def dialect(name: str) -> Dialect:
    """Return how a model's endpoint is spoken to."""
    family, _ = _parts(name)
    if family == "local":
        return local.dialect()
    if family == "inspect":
        return _inspect().DIALECT
    return Dialect() if family == "reference" else catalogue.endpoint(name).dialect


def served_at(name: str) -> tuple[str, str]:
    """Return the URL of a chat model's endpoint and what the model is called there.

    The URL is '' for a model of inspect_ai, which knows where it is.
    """
    family, model = _parts(name)
    if family == "inspect":
        return "", model
    endpoint = catalogue.endpoint(name)
    return endpoint.url or "", endpoint.model


def identity(name: str) -> str:
    """Return the identity of a respondent that need not be ready; '' for weights not here yet."""
    name, _ = factors.model_of(name)
    family, model = _parts(name)
    if family == "reference":
        return Reference.identity
    if (recorded := replay.identities()) is not None:
        return recorded.get(name, "")
    if family == "inspect":
        return _inspect().identity(name)
    if family != "local":
        endpoint = catalogue.endpoint(name)
        return chat.identity(endpoint.url, endpoint.model)
    try:
        return files.sha256(local.find(model))
    except UserError:
        return ""


def identities(names: Sequence[str]) -> dict[str, str]:
    """Return model -> identity, without the reference respondents.

    A hash of the weights, or of URL and name there; records under another one are not used.
    """
    return {name: identity(name) for name in names if not name.startswith("reference/")}


def require(names: Sequence[str]) -> None:
    """Raise one NotReady that names everything missing for `names`, before anything runs."""
    missing = []
    for name in names:
        check_name(name)
        family, model = _parts(name)
        if family == "reference" or replay.identities() is not None:
            continue
        try:
            if family == "local":
                local.find(model)
                local.check_engine()
            elif family == "inspect":
                if lack := _inspect().missing(factors.model_of(name)[0]):
                    missing.append(f"{name}: {lack}")
            elif lack := catalogue.endpoint(name).missing:
                missing.append(f"{name}: {lack}")
        except UserError as fault:
            missing.append(str(fault))
    if missing:
        raise NotReady("not ready: " + "; ".join(missing))


def require_servers(names: Sequence[str]) -> None:
    """Raise one EndpointError that names each server of this machine where nothing answers."""
    if replay.identities() is not None:
        return
    elsewhere = ("reference/", "local/", "inspect/")
    hosted = [name for name in names if not name.startswith(elsewhere)]
    silent = [
        f"{endpoint.name}: nothing answers at {public(endpoint.url)}; start {endpoint.start} or "
        "leave it out of --set models"
        for endpoint in map(catalogue.endpoint, hosted)
        if on_loopback(endpoint.url) and _served(str(endpoint.url)) is None
    ]
    if silent:
        raise EndpointError("; ".join(silent))


def table() -> pd.DataFrame:
    """Return one row a model or server: name, kind, ready, missing (what to do), about.

    >>> table().query("ready and kind == 'reference'")["name"].tolist()[:2]
    ['reference/faithful', 'reference/lapsing']
    """
    rows = [(f"reference/{name}", "reference", "", "simulated") for name in POLICIES]
    for name, weights in local.known().items():
        lack = "" if weights.cached.is_file() else f"run: hvae models fetch {name}"
        rows.append((f"local/{name}", "local", lack, f"embedded, {weights.licence}"))
    rows += [_row(f"{server}/<model>", "server") for server in catalogue.read()["servers"]]
    lack = (
        "" if find_spec("inspect_ai") else "install the extra: pip install 'hvae-workbook[inspect]'"
    )
    rows.append(("inspect/<provider>/<model>", "server", lack, "every provider of inspect_ai"))
    known = [*catalogue.read()["models"], *catalogue.read()["retired"]]
    rows += [_row(model, "model") for model in known]
    frame = pd.DataFrame(rows, columns=["name", "kind", "missing", "about"])
    frame.insert(2, "ready", frame["missing"] == "")
    return frame


def _row(name: str, kind: str) -> tuple[str, str, str, str]:
    endpoint = catalogue.endpoint(name)
    lack, about = endpoint.missing, endpoint.about
    about += f"; thinks, {endpoint.thinks}" if endpoint.thinks in ("hidden", "visible") else ""
    if replay.identities() is not None:
        lack = "a replay asks nobody"
    if not lack and on_loopback(endpoint.url):
        served = _served(str(endpoint.url))
        lack = f"nothing answers at {public(endpoint.url)}" if served is None else ""
        about += f"; serves {', '.join(served)}" if served else ""
    return name, kind, lack, about


def _served(url: str) -> list[str] | None:
    """Return the models that a server on this machine lists, [] if it lists none, None if down."""
    heard = listing.get(url, "/models", timeout_s=PROBE_S)
    return [name[:60] for name in listing.models(heard)][:5] if heard.reached else None
