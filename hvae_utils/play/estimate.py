"""What a study will take, before anybody is asked: its requests, their tokens, money and time.

The study is rehearsed with the dialogues of the run, so they ask what it will ask, with the same
keys. What the records answer is taken from them; the rest is answered in pretence, or not at all.
`estimate` rehearses with a model that understands, with one that never chooses and always talks to
the end, and where it reasons with one that does so to the end, which is the most that can come.
Whether a model thinks is taken from
data/models.toml and from what the study tells it; one of which nothing is known does not.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from hvae_utils.ask import models
from hvae_utils.ask.respondents import PROBED, Answer, Request
from hvae_utils.ask.urls import on_loopback
from hvae_utils.errors import UserError
from hvae_utils.measure import factors
from hvae_utils.play import administer, budget, check, games, pace, probes, study
from hvae_utils.play.engine import Dialogue, Question, record_of, request_for
from hvae_utils.play.records import Held, Record

# Tokens of a usual reply, by kind: sentences for goal and adoption, a letter for an item.
TYPICAL_TOKENS = {"describe": 96, "adopt": 30, "goal": 30, "item": 2, "readout": 1, "probe": 1}
TYPICAL_TOKENS |= {"reason": 150, "check": 2}
TYPICAL_THOUGHT = 600  # tokens of a thought before each reply: assumed, for a choice of coins
WORD = "word "  # of placeholder text: about one token
# Requests per second that are assumed, by kind of respondent: simulated, embedded (two cores),
# served on this machine, and a cautious share of what hosted endpoints grant.
RATES = {"reference": 500.0, "local": 3.0, "loopback": 5.0, "hosted": 10.0}
ITEMS = ("item", "readout")
SUMMED = [
    *("requests", "requests_most", "prompt_tokens", "prompt_most", "completion_tokens"),
    *("completion_most", "thinking_tokens", "cost", "cost_most", "cost_batch", "seconds"),
]
TOTAL = "all"
NO_PRICE = "none in data/prices.toml"

Reply = Callable[[Request], Answer]
Measure = Callable[[str], pace.Pace | None]  # name of a model -> how fast it is here


# ---- conditions -> requests ---------------------------------------------------------------------


class Design(NamedTuple):
    """What is played in one go: conditions, and whether one reminder is allowed."""

    conditions: pd.DataFrame
    reask: bool


def designs(parameters: Mapping[str, Any]) -> list[Design]:
    """Return all that the workbook plays with these parameters: study, probes and games.

    parameters: by name, as the notebooks take them. Raises UserError as `study.Study` does.
    """
    main = study.conditions(study.of_parameters(parameters))
    asked, wording = list(main["model"].unique()), parameters["wordings"][0]
    beside = probes.planned(parameters["isomorphs"], asked, parameters["probe_values"], wording)
    beside += [part.conditions for part in games.planned(main, games.of_parameters(parameters))]
    return [Design(table, parameters["reask"]) for table in (main, *beside)]


def unanswered(
    model: str, planned: Sequence[Design], records: Held, reply: Reply | None
) -> Iterator[Request]:
    """Yield each request to `model` that the records do not answer, once, in the order of play.

    model: without a level of deliberation: all of its levels are asked together. reply: pretends
    to answer; None: the requests are those that can be asked now.
    """
    sources = administer.Sources()
    rehearsal = _Rehearsal(models.identity(model), records, reply)
    if planned and not model.startswith("reference/"):
        levels = _rows(planned[0].conditions.drop_duplicates("model"), model)
        rehearsal.converse(check.dialogue(levels, check.Capability(model, ""), sources))
    for design in planned:
        for row in _rows(design.conditions, model):
            _rehearse(rehearsal, row, sources, design.reask)
            yield from rehearsal.open
            rehearsal.open.clear()


def _rows(conditions: pd.DataFrame, model: str) -> list[dict[str, Any]]:
    """Return the conditions of a model, however it deliberates."""
    mine = [factors.model_of(name)[0] == model for name in conditions["model"]]
    return conditions[mine].to_dict("records")


def asked_models(planned: Sequence[Design]) -> list[str]:
    """Return the models of designs, each once however it deliberates."""
    names = [factors.model_of(name)[0] for one in planned for name in one.conditions["model"]]
    return list(dict.fromkeys(names))


def _rehearse(
    rehearsal: "_Rehearsal", row: Mapping[str, Any], sources: administer.Sources, reask: bool
) -> None:
    """Carry out all dialogues of a condition, as far as there are replies."""
    assigned = rehearsal.converse(administer.assignment(row, sources))
    if assigned is not None:
        for _, _, dialogue in administer.item_dialogues({**row, **assigned}, sources, reask):
            rehearsal.converse(dialogue)


def typical(request: Request) -> Answer:
    """Answer as a model that understands: an item by a label, the rest at the usual length.

    One that thinks says nothing without room for a thought, and lists no alternatives.
    """
    thinks = _thinks(request)
    if thinks and not request.thinking_tokens:
        return _unfinished(request)
    label = request.presentation.labels[0] if request.presentation else PROBED
    listed = ((label, 0.0),) if request.top_logprobs and not thinks else None
    if request.presentation is None and request.kind != "probe":
        answer = _placeholder(request, TYPICAL_TOKENS[request.kind], listed)
    else:
        answer = Answer(text=label, finish_reason="stop", top_logprobs=listed)
    return replace(answer, thinking_tokens=_thought(request) or None)


def stubborn(request: Request) -> Answer:
    """Answer at the greatest length allowed, never choose, list no alternatives.

    Nothing can need more requests, but for chains of thought: each item is asked in words, and once
    more.
    """
    if _thinks(request) and not request.thinking_tokens:
        return _unfinished(request)
    thought = request.thinking_tokens if _thinks(request) else None
    return replace(_placeholder(request, request.max_tokens), thinking_tokens=thought)


def thorough(request: Request) -> Answer:
    """Answer items as one that understands, and the rest at the greatest length allowed.

    Read by probabilities, such a respondent is asked after several chains of thought.
    """
    settled = request.presentation or request.kind == "probe"
    return typical(request) if settled else stubborn(request)


def _thinks(request: Request) -> bool:
    """Return whether a model thinks before it replies: as it is told, else as its owner says."""
    if request.thinking:
        return request.thinking != "off"
    return models.thinks(request.model)[0] in ("hidden", "visible")


def _thought(request: Request) -> int:
    """Return the tokens of a usual thought, which must fit into its room."""
    return min(TYPICAL_THOUGHT, request.thinking_tokens) if _thinks(request) else 0


def _unfinished(request: Request) -> Answer:
    """Return a reply that had not begun when the thought reached the cap."""
    return Answer(text="", finish_reason="length", thinking_tokens=request.max_tokens)


def _placeholder(request: Request, tokens: int, listed: Any = None) -> Answer:
    """Return text of this length, different for different requests, as the replies would be."""
    text = f"{request.key[:6]} {WORD * tokens}"[: len(WORD) * tokens].strip()
    return Answer(text=text, finish_reason="stop", top_logprobs=listed)


class _Rehearsal:
    """Carries dialogues out without sending anything."""

    def __init__(self, identity: str, records: Held, reply: Reply | None) -> None:
        self.open: list[Request] = []  # which the records do not answer, each once
        self._identity, self._records, self._reply = identity, records, reply
        self._seen: set[str] = set()

    def converse(self, dialogue: Dialogue) -> Any:
        """Return the result of a dialogue, None if it ends where nobody answers."""
        record = None
        while True:
            try:
                question = dialogue.send(record)
            except StopIteration as end:
                return end.value
            if (record := self._ask(question)) is None:
                return dialogue.close()

    def _ask(self, question: Question) -> Record | None:
        request = request_for(question, self._identity)
        if record := self._records.answered(request.key):
            return record
        if request.key not in self._seen:
            self._seen.add(request.key)
            self.open.append(request)
        return record_of(request, self._reply(request)) if self._reply else None


# ---- requests -> tokens -> money and time -------------------------------------------------------


def estimate(
    planned: Sequence[Design],
    records: Held,
    rate: float | None = None,
    measure: Measure | None = None,
) -> pd.DataFrame:
    """Return one row a model and a last one for all: what the records do not answer yet.

    rate: requests per second, None for RATES; UserError for one that is none. measure: tells the
    pace of an embedded model (`pace.measured`), whose time then follows from what it reads and
    writes; None for RATES there, too.
    Columns: model, without a level of deliberation; requests, prompt_tokens, completion_tokens:
    with replies of typical length; the same with `_most`: with a reminder for every item, and
    replies and thoughts at their greatest length; thinking_tokens: those of thoughts among the
    completion_tokens;
    tokens_per_item: prompt tokens of an item presentation; cost, cost_most, and cost_batch (the
    typical one through the Batch API) in the price table's currency, NaN without a price; rate;
    seconds; price: its source. Tokens are counted about, by budget.tokens_of.
    """
    if rate is not None and not 0 < rate < math.inf:
        raise UserError(f"rate is {rate:g}; it must be a number of requests per second above 0")
    table = pd.DataFrame(
        [_of_model(name, planned, records, rate, measure) for name in asked_models(planned)]
    )
    total = table[SUMMED].sum(min_count=1).to_frame().T.astype(table.dtypes[SUMMED])
    return pd.concat([table, total.assign(model=TOTAL, price="")], ignore_index=True)


def _of_model(
    name: str,
    planned: Sequence[Design],
    records: Held,
    rate: float | None,
    measure: Measure | None,
) -> dict[str, Any]:
    asked = list(unanswered(name, planned, records, typical))
    usual = _requests(asked)
    reasons = any((one.conditions["chains"] > 1).any() for one in planned)
    replies = [stubborn, thorough] if reasons else [stubborn]
    most = [_requests(unanswered(name, planned, records, reply)) for reply in replies]
    thoughts = usual["thought"].sum()
    tokens = round(usual["prompt"].sum()), usual["kind"].map(TYPICAL_TOKENS).sum() + thoughts
    # A model that is read by probabilities may be asked more often than one in words: the audit.
    tokens_most = (
        max(tokens[0], *(round(one["prompt"].sum()) for one in most)),
        max(one["most"].sum() for one in most),
    )
    price = budget.price_of(name) or budget.Price(math.nan, math.nan, source=NO_PRICE)
    kind = name.partition("/")[0]
    if kind not in ("reference", "local"):
        kind = "loopback" if on_loopback(models.served_at(name)[0]) else "hosted"
    rate, seconds = rate or RATES[kind], None
    if kind == "local" and measure and asked and (found := measure(name)):
        seconds = found.seconds(pace.new_characters(asked), tokens[1])
        rate = len(usual) / seconds
    return {
        "model": name,
        "requests": len(usual),
        "requests_most": max(len(usual), *map(len, most)),
        "prompt_tokens": tokens[0],
        "prompt_most": tokens_most[0],
        "completion_tokens": tokens[1],
        "completion_most": tokens_most[1],
        "thinking_tokens": thoughts,
        "tokens_per_item": usual.loc[usual["kind"].isin(ITEMS), "prompt"].mean(),
        "cost": price.of(*tokens),
        "cost_most": price.of(*tokens_most),
        "cost_batch": math.nan if price.batch is None else price.of(*tokens) * price.batch,
        "rate": rate,
        "seconds": len(usual) / rate if seconds is None else seconds,
        "price": price.source,
    }


def _requests(requests: Iterable[Request]) -> pd.DataFrame:
    rows = [
        (one.kind, budget.tokens_of(one.messages), budget.room(one), _thought(one))
        for one in requests
    ]
    table = pd.DataFrame(rows, columns=["kind", "prompt", "most", "thought"])
    return table.astype({"prompt": float, "most": int, "thought": int})


def shown(table: pd.DataFrame) -> list[str]:
    """Return the estimate as lines of text: a table, and a sentence for what it leaves open."""
    cells = pd.DataFrame(map(_cells, table.to_dict("records"))).set_index("model")
    lines = cells.rename_axis(index=None, columns="model").to_string().splitlines()
    about = f"{budget.CHARACTERS_PER_TOKEN:g} characters counted as a token"
    lines += ["", f"Requests, tokens ({about}) and cost: with usual replies, and at most."]
    lines += ["Per item: prompt tokens of one item."]
    rates = table[table["model"] != TOTAL].groupby("rate", sort=False)["model"]
    each = "; ".join(f"{rate:.3g} a second for {', '.join(names)}" for rate, names in rates)
    lines += [f"Time, one model after the other: {each}; say otherwise with --rate."]
    lines += ["The notebooks themselves take about a minute more."]
    thinking = table.query("thinking_tokens > 0 and model != @TOTAL")
    if len(thinking):
        told = ", ".join(f"{row.model} {row.thinking_tokens:,}" for row in thinking.itertuples())
        each = f"thoughts of {TYPICAL_THOUGHT} tokens before a reply"
        lines += [f"Of the completion, {each} (assumed): {told}."]
    lacking = table.loc[table["price"] == NO_PRICE, "model"]
    if len(lacking):
        lines += [f"No price in data/prices.toml, and none in the sum: {', '.join(lacking)}."]
    return lines


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    per_item, cost = row["tokens_per_item"], row["cost"]
    money = f"{cost:,.2f} to {row['cost_most']:,.2f} {budget.prices()[0]}"
    if not math.isnan(row["cost_batch"]):
        money += f" (batch {row['cost_batch']:,.2f})"
    return {
        "model": row["model"],
        "requests": f"{row['requests']:,} to {row['requests_most']:,}",
        "prompt": f"{row['prompt_tokens']:,} to {row['prompt_most']:,}",
        "completion": f"{row['completion_tokens']:,} to {row['completion_most']:,}",
        "per item": "" if math.isnan(per_item) else f"{per_item:,.0f}",
        "time": _time(row["seconds"]),
        "cost": "no price" if math.isnan(cost) else money if row["cost_most"] else "free",
    }


def _time(seconds: float) -> str:
    """Return a duration as people say it.

    >>> _time(45), _time(5400)
    ('45 s', '1.5 h')
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"
