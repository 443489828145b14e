"""What a model at its endpoint can do, found out in a few requests before a study is asked.

Each finding is something that was seen, never what a name promises, and none of them ends the
check. The questions go through the engine, so that they are recorded, count in a budget, and are
asked once a run.

Public names: Capability, capabilities, examine, told, dialogue, impossible, in_words, lines.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from hvae_utils.ask import catalogue, listing, local, models, prompts
from hvae_utils.ask.chat import NO_KEY
from hvae_utils.ask.urls import on_loopback, public
from hvae_utils.errors import EndpointError
from hvae_utils.measure import factors, instruments
from hvae_utils.play import route, study
from hvae_utils.play.budget import Budget
from hvae_utils.play.engine import Dialogue, Job, Message, Question, Row, for_each
from hvae_utils.play.records import Held, Record
from hvae_utils.play.route import Route
from hvae_utils.play.sources import Sources

SYSTEM = "You answer in one word."
NO_LABEL = "Answer with the word hello and nothing else."  # what a constrained reply is asked for
REFUSED = "the placement 'system' is refused: "  # how an error begins that names it
UNANSWERED = "the probe was not answered"  # how the fault of a route begins that may pass
LEVELS = ("off", "on", "low", "high")  # of thinking, tried where no study says which


@dataclass(frozen=True)
class Capability:
    """What was seen of one model at its endpoint; texts are '' where nothing is wrong.

    where: the URL without secrets, or in words; fault: why it cannot be asked at all; listed:
    whether the server's list names it, None without a list; note: what its owner announced; served:
    what the server calls the model that answered; routes: how a study will ask it, by deliberation;
    alternatives: how many the first token had; dropped: parameters it refused; system: why a system
    turn is not taken; constrained: why a reply is not held to labels, None where nothing says how
    to ask for it; context: tokens it reads, None where not told; requests: how many were sent.
    """

    model: str
    where: str
    fault: str = ""
    listed: bool | None = None
    note: str = ""
    served: str = ""
    routes: Mapping[str, Route] = field(default_factory=dict)
    alternatives: int = 0
    dropped: tuple[str, ...] = ()
    system: str = ""
    constrained: str | None = None
    context: int | None = None
    requests: int = 0

    @property
    def usual(self) -> tuple[str, Route]:
        """Return the first deliberation that was asked for, and its route."""
        return next(iter(self.routes.items()), ("direct", Route(fault=self.fault)))

    @property
    def reached(self) -> bool:
        """Return whether the model answered at all."""
        return not (self.fault or self.usual[1].fault.startswith(UNANSWERED))

    def plain(self) -> dict[str, Any]:
        """Return it as plain data, without the URL, which may be private."""
        seen = {**asdict(self), "dropped": list(self.dropped), "in_words": in_words(self)}
        return {name: said for name, said in seen.items() if name not in ("model", "where")}


# ---- what is asked ------------------------------------------------------------------------------


def capabilities(
    conditions: pd.DataFrame, records: Held, budget: Budget | None = None
) -> dict[str, Capability]:
    """Check every model of a study, but for the simulated ones; return model -> what was seen.

    conditions: as from `study.conditions`; records: of the run, which answer what was asked before.
    Raises EndpointError where a model cannot be asked at all, and BudgetReached.
    """
    rows: dict[str, list[Row]] = {}
    for row in conditions.drop_duplicates("model").to_dict("records"):
        rows.setdefault(factors.model_of(row["model"])[0], []).append(row)
    asked = [name for name in rows if not name.startswith("reference/")]
    with ThreadPoolExecutor(max(len(asked), 1)) as threads:
        known = dict(zip(asked, threads.map(told, asked), strict=True))
    return _asked({name: rows[name] for name in asked}, known, records, budget)


def examine(name: str, thinking_tokens: int = 0) -> Capability:
    """Check one model outside of a study; where it cannot be asked, `fault` says why.

    thinking_tokens: room for a thought, 0 for the model's usual. Raises UserError for a name that
    cannot be resolved, or a model that is not ready.
    """
    models.require([name])
    spoken = models.dialect(name)
    words = {"off": spoken.thinking_off, "on": spoken.thinking_on}
    levels = ["direct", *(level for level in LEVELS if words.get(level, spoken.effort))]
    study.check_number("thinking_tokens", thinking_tokens, 0, 1_000_000, whole=True)
    design = study.Study(
        (name,), ("none",), (False,), deliberations=levels, thinking_tokens=thinking_tokens
    )
    if (seen := told(name)).fault:
        return seen
    rows = study.conditions(design).drop_duplicates("model").to_dict("records")
    try:
        return _asked({name: rows}, {name: seen}, Held())[name]
    except EndpointError as fault:
        return replace(seen, fault=str(fault).rpartition("; ")[0].removeprefix(f"{name}: "))


def _asked(
    rows: Mapping[str, list[Row]],
    known: Mapping[str, Capability],
    records: Held,
    budget: Budget | None = None,
) -> dict[str, Capability]:
    """Put the questions to these models, by name; rows: one condition a deliberation."""
    sources = Sources()

    def plan(_: int, row: Row) -> list[Job]:
        name, _level = factors.model_of(row["model"])
        return [Job("", "", 1, dialogue(rows[name], known[name], sources))]

    first = [conditions[0] for conditions in rows.values()]
    found = for_each("check", plan, first, records, budget=budget) if first else []
    return {seen.model: seen for seen in found}


def told(name: str) -> Capability:
    """Return what is known before a model is asked: by its entry, and by its server's lists."""
    family, _, model = name.partition("/")
    if family in ("reference", "inspect"):
        return Capability(name, "simulated" if family == "reference" else "through inspect_ai")
    if family == "local":
        return Capability(name, "in this process", context=local.CONTEXT_TOKENS)
    endpoint = catalogue.endpoint(name)
    url, model = str(endpoint.url), endpoint.model
    note = endpoint.about if "retired on" in endpoint.about else ""
    seen, key = Capability(name, public(url), note=note), endpoint.key or NO_KEY
    heard = listing.get(url, "/models", key)
    if not heard.reached:
        here = f"nothing answers at {public(url)}; start {endpoint.start}"
        return replace(seen, fault=here if on_loopback(url) else "")
    listed = listing.models(heard)
    entry = listing.entry_of(model, listed)
    context = listing.context_of(entry or {})
    if context is None and (entry or {}).get("owned_by") == "llamacpp":
        above = urlsplit(url)._replace(path=urlsplit(url).path.rstrip("/").removesuffix("/v1"))
        properties = listing.get(above.geturl(), "/props", key).content
        context = listing.context_of(properties) if isinstance(properties, dict) else None
    return replace(seen, listed=entry is not None if listed else None, context=context)


def dialogue(rows: list[Row], seen: Capability, sources: Sources) -> Dialogue:
    """Ask one model what a study needs to know; the result is what was seen.

    rows: one condition a deliberation.
    """
    routes: dict[str, Route] = {}
    records: list[Record] = []
    for row in rows:
        found = yield from _noted(route.find(row, sources), records)
        routes[row["deliberation"]] = found
        if row is rows[0]:
            listed = max((len(record["top_logprobs"] or ()) for record in records), default=0)
            seen = replace(seen, alternatives=listed)
    row, room = rows[0], routes[rows[0]["deliberation"]].thinking_tokens
    turns = _turn("system", SYSTEM) + _turn("user", route.PROBE)
    system = yield Question("check", turns, row, thinking_tokens=room)
    records.append(system)
    if models.dialect(seen.model).constrain:
        shown, held = _shown(row), {**row, "replies": "constrained"}
        turns = _turn("user", NO_LABEL)
        records.append((yield Question("check", turns, held, shown, thinking_tokens=room)))
        seen = replace(seen, constrained=_not_held(records[-1], shown))
    return replace(
        seen,
        served=next((name for record in records if (name := record["served_model"])), ""),
        routes=routes,
        dropped=tuple(sorted({name for record in records for name in record["dropped"]})),
        system=(system["error"] or "").removeprefix(REFUSED),
        requests=sum(record["tries"] for record in records),
    )


def _turn(role: str, content: str) -> list[Message]:
    return [{"role": role, "content": content}]


def _noted(dialogue: Dialogue, records: list[Record]) -> Dialogue:
    """Carry a dialogue on, and keep the records of what it asked."""
    record = None
    while True:
        try:
            question = dialogue.send(record)
        except StopIteration as end:
            return end.value
        record = yield question
        records.append(record)


def _not_held(record: Record, shown: prompts.Presentation) -> str:
    """Return why a reply was not held to the labels, or ''."""
    said = (record["text"] or "").strip()
    return record["error"] or ("" if said in shown.labels else f"it said {said[:20]!r}")


def _shown(row: Row) -> prompts.Presentation:
    """Return the first item as a study may show it: labels that a reply can be held to."""
    instrument = instruments.load(row["instrument"])
    places = tuple(range(instrument.options))
    return prompts.present(instrument, 0, places, factors.LABEL_SETS[row["labels"]])


# ---- what it means ------------------------------------------------------------------------------


def impossible(seen: Capability, conditions: pd.DataFrame) -> str:
    """Return in one sentence why a study of these conditions cannot be asked of a model, or ''.

    No probabilities are no reason, because words are read then; nor is a question that was not
    answered, because it is asked again.
    """
    names = conditions["model"].map(factors.model_of)
    mine = conditions[[name == seen.model for name, _ in names]]
    lacks = [
        f"deliberation '{level}': {why}" for level in seen.routes if (why := _lack(seen, level))
    ]
    if "system" in set(mine["placement"]) and seen.system:
        lacks.append(f"{REFUSED}{seen.system}")
    if "constrained" in set(mine["replies"]) and seen.constrained != "":
        why = seen.constrained or "data/models.toml does not say how (dialect.constrain)"
        lacks.append(f"replies cannot be constrained: {why}")
    return f"{seen.model}: {lacks[0]}" if lacks else ""


def _lack(seen: Capability, level: str) -> str:
    """Return why a model cannot deliberate so, or ''."""
    found = seen.routes[level]
    if level == "off" and found.thinks != "none":
        return "it thinks all the same"
    if found.fault.startswith(UNANSWERED):
        why = found.fault.removeprefix(UNANSWERED).lstrip(": ")
        return why if level in factors.THINKING else ""
    return _fault(seen, found)


def _fault(seen: Capability, found: Route) -> str:
    """Return why there is no route, of a model that the sentence has named already."""
    return found.fault.replace(f"{seen.model} ", "it ", 1)


def in_words(seen: Capability) -> str:
    """Return the route in a sentence."""
    _, found = seen.usual
    if lack := seen.fault or _fault(seen, found):
        return f"It cannot be asked: {lack}."
    warm = ", at temperature 1" if found.temperature else ""
    read = f"as exact probabilities of the first token{warm}"
    if found.method == "text":
        read = f"as text, because {found.reason}"
    if found.thinks == "none":
        return f"Items are read {read}; no thought."
    room = f"each request has room for {found.thinking_tokens:,} tokens of thought"
    return f"It thinks ({found.thinks}), so {room}; items are read {read}."


def lines(seen: Capability) -> list[str]:
    """Return the report on one model, for people."""
    findings = _findings(seen) if seen.reached else ()
    said = [f"  {title:<14} {finding}" for title, finding in findings]
    return [f"{seen.model}: {seen.where}", *said, in_words(seen)]


def _findings(seen: Capability) -> Iterator[tuple[str, str]]:
    usual, found = seen.usual
    named = {True: "the server's list names it", False: "the server's list does not name it"}
    served = f"answers as {seen.served}" if seen.served else ""
    name = (served, named.get(seen.listed, ""), seen.note)
    yield "name", "; ".join(filter(None, name)) or "no word of it"
    yield "system turn", _taken(seen.system)
    yield "thinking", found.thinks
    for level in seen.routes:
        if level != usual:
            thinks = _taken(_lack(seen, level), f"taken, thinking {seen.routes[level].thinks}")
            yield f"thinking {level}", thinks
    many = "alternative" if seen.alternatives == 1 else "alternatives"
    listed = f"exact, {seen.alternatives} {many} of the first token"
    reason = found.reason or "there is no answer to read"
    yield "probabilities", listed if found.method == "probabilities" else f"no: {reason}"
    for parameter in ("seed", "temperature"):
        yield parameter, "refused, left out" if parameter in seen.dropped else "taken"
    unknown = "no word for it (dialect.constrain)"
    yield "constrained", unknown if seen.constrained is None else _taken(seen.constrained)
    yield "context", "not told" if seen.context is None else f"{seen.context:,} tokens"
    yield "requests", str(seen.requests)


def _taken(why: str, taken: str = "taken") -> str:
    return f"no ({why})" if why else taken
