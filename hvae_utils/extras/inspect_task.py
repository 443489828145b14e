"""The SVO slider as a task of inspect_ai: `inspect eval hvae_utils/hvae_svo_slider --model …`.

A sample is one condition of a study: a value in one wording, with the options in one order. All
items are inside it, because an angle needs all of them; orders are samples, the wording is the
cluster. Its solver carries out the workbook's own dialogues, so the model is asked to the word what
a run asks it; its scorer reads the replies with the workbook's reader, and the metrics are the
workbook's tables. Whatever was asked and answered stands in the sample's store, from which
`inspect_log` makes a run.

Public names: hvae_svo_slider, dialogues, svo_choices, steerability, value_rationality, angle,
outcomes; for reading its logs: NAME, SCORER, STORE, ABOUT_ITEMS, designed, sample_id, carried_out,
answer_to, scored.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd
from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai._util.package import get_installed_package_name
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    get_model,
)
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from hvae_utils import files
from hvae_utils.ask import prompts
from hvae_utils.ask.inspect_model import InspectModel
from hvae_utils.ask.respondents import Answer, Request
from hvae_utils.errors import UserError
from hvae_utils.measure import factors, scoring
from hvae_utils.metrics import rationality
from hvae_utils.metrics import steerability as slopes
from hvae_utils.play import administer, study
from hvae_utils.play.engine import Question, Row, converse, record_of, request_for
from hvae_utils.play.records import Record
from hvae_utils.play.sources import Sources

NAME, SCORER, STORE = "hvae_svo_slider", "svo_choices", "hvae_asked"
ANY_MODEL = "inspect/mockllm/model"  # conditions are planned before it is known who is asked
ABOUT_ITEMS = (  # columns of the responses table that a score keeps
    *("item", "order", "labels", "method", "outcome", "option", "label", "self", "other"),
    *("attempts", "evidence"),
)
EPOCH = 10_000  # repeats between one epoch and the next: a study has no more
LONGEST, MOST, MOST_TEXTS, QUOTED = 200_000, 10**9, 1_000, 80  # signs, tokens, texts, signs
TEXTS = ("text", "finish_reason", "served_model", "error", "thought")
COUNTS = ("prompt_tokens", "cached_tokens", "completion_tokens", "thinking_tokens", "tries")
ROLES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


# inspect_ai puts the package before the name, but not where it is installed in editable mode
@task(name=NAME if get_installed_package_name(Question) else f"hvae_utils/{NAME}")
def hvae_svo_slider(
    values: Sequence[str] = ("altruistic", "prosocial", "individualistic", "competitive", "none"),
    goal_prompts: Sequence[bool] | bool = False,
    wordings: Sequence[str] = prompts.WORDINGS,
    orders: Sequence[str] = ("latin",),
    labels: Sequence[str] = ("A-I",),
    inductions: Sequence[str] = ("self_description",),
    placements: Sequence[str] = ("dialogue",),
    protocols: Sequence[str] = ("independent",),
    repeats: int = 1,
    temperature: float = 0.0,
    seed: int = 20230524,
    margin: float = 0.1,
    deliberation: str = "direct",
    thinking_tokens: int = 0,
    goal_wordings: int = 0,
) -> Task:
    """Does a model act on the value that it is told to hold? The arguments are those of `Study`.

    deliberation: one level; another is another evaluation.
    Raises PrerequisiteError, of which inspect_ai shows the sentence alone, for a level that does
    not exist; it names the choices.
    """
    arguments = locals()
    arguments["deliberations"] = (arguments.pop("deliberation"),)
    try:
        design = designed((ANY_MODEL,), arguments)
    except UserError as fault:
        raise PrerequisiteError(str(fault)) from None
    return Task(
        dataset=[_sample(row) for row in study.conditions(design).to_dict("records")],
        solver=dialogues(),
        scorer=svo_choices(),
        metadata={STORE: arguments_of(design)},
    )


def designed(models: Sequence[str], arguments: Mapping[str, Any]) -> study.Study:
    """Return the study of models with the task's arguments; UserError as `Study` raises it."""
    return study.Study(**{**arguments, "models": models, "readout": "text"})


def arguments_of(design: study.Study) -> dict[str, Any]:
    """Return the arguments of a study that a log keeps: all but who is asked."""
    return {key: part for key, part in asdict(design).items() if key not in ("models", "readout")}


def sample_id(row: Row) -> str:
    """Return what the sample of a condition is called: its factors, without the model.

    >>> sample_id({name: name for name in factors.FACTORS})
    'deliberation/value/goal_prompt/induction/placement/protocol/wording/order/labels/repeat'
    """
    return "/".join(str(row[name]) for name in factors.FACTORS if name != "model")


def _sample(row: Row) -> Sample:
    about = {key: part for key, part in row.items() if key not in ("condition_id", "model")}
    text = f"The SVO slider with value {row['value']}, wording {row['wording']}, {row['order']}"
    return Sample(input=text, target=row["value"], id=sample_id(row), metadata=about)


# ---- what is asked ------------------------------------------------------------------------------


async def carried_out(
    row: Row, ask: Callable[[Question], Awaitable[Record]]
) -> list[tuple[Any, ...]]:
    """Carry out the dialogues of a condition; return its rows of the responses table."""
    sources = Sources()
    row = {**row, **await converse(administer.assignment(row, sources), ask)}
    rows: list[tuple[Any, ...]] = []
    for _, _, dialogue in administer.item_dialogues(row, sources, reask=True):
        rows += await converse(dialogue, ask)
    return rows


def asked_as(request: Request) -> str:
    """Return the key of what is asked, whoever is asked."""
    return replace(request, model="", identity="").key


@solver
def dialogues() -> Solver:
    """Carry out the dialogues of a sample's condition.

    What conditions share, the description of a value for one, is asked once and shared, as in a
    run. A reply that does not come is the sample's error, which Inspect can try again.
    """
    kept: dict[tuple[int, str], Answer] = {}
    turns: defaultdict[tuple[int, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        respondent = InspectModel(f"inspect/{state.model}", get_model())
        said: dict[str, dict[str, Any]] = {}

        async def ask(question: Question) -> Record:
            request = request_for(question, "")
            place = state.epoch, asked_as(request)
            async with turns[place]:
                if place not in kept:
                    answer = await respondent.answer(request)
                    if answer.error:
                        raise RuntimeError(f"no reply to '{request.kind}': {answer.error}")
                    kept[place] = answer
            said[place[1]] = vars(kept[place])
            state.messages = [*map(_message, request.messages)]
            state.messages.append(ChatMessageAssistant(content=kept[place].text or ""))
            return record_of(request, kept[place])

        await carried_out(_row(state), ask)
        state.store.set(STORE, said)
        return state

    return solve


def _row(state: TaskState) -> Row:
    """Return the condition of a sample, and who is asked."""
    who = factors.respondent(f"inspect/{state.model}", state.metadata["deliberation"])
    return {**state.metadata, "condition_id": str(state.sample_id), "model": who}


def _message(message: Mapping[str, str]) -> ChatMessage:
    return ROLES[message["role"]](content=message["content"])


# ---- how it is scored ---------------------------------------------------------------------------


@metric(scores="unreduced")
def angle() -> Metric:
    """The mean angle of each value, degrees."""

    def compute(scores: list[SampleScore]) -> Mapping[str, float]:
        return _by_value(_tables(scores)[0], {"angle": "mean_angle"})

    return compute


@metric(scores="unreduced")
def value_rationality() -> Metric:
    """How well each value is satisfied: raw, and chance-corrected."""

    def compute(scores: list[SampleScore]) -> Mapping[str, float]:
        named = {"value_rationality": "vr", "value_rationality_chance": "vr_chance"}
        return _by_value(_tables(scores)[0], named)

    return compute


@metric(scores="unreduced")
def steerability() -> Metric:
    """How far the answers go along with the value, with its 95% interval; wordings are clusters."""

    def compute(scores: list[SampleScore]) -> Mapping[str, float]:
        margin = (scores[0].sample_metadata or {})["margin"]  # the same of all: it is the study's
        table = slopes.table(_tables(scores)[0], margin)
        named = {"steerability": "", "low": "_low", "high": "_high"}
        return _told(
            (f"steerability{_arm(row)}{end}", row[column])
            for row in table.to_dict("records")
            for column, end in named.items()
        )

    return compute


@metric(scores="unreduced")
def outcomes() -> Metric:
    """Of all items, the share that ended in each outcome."""

    def compute(scores: list[SampleScore]) -> Mapping[str, float]:
        shares = _tables(scores)[1]["outcome"].value_counts(normalize=True)
        return {f"share_{name}": float(shares.get(name, 0.0)) for name in scoring.OUTCOMES}

    return compute


def _tables(scores: Sequence[SampleScore]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores and the responses of the samples; epochs count as further repeats."""
    rows, responses, seen = [], [], Counter()
    for score in scores:
        seen[score.sample_id] += 1
        row = {**(score.sample_metadata or {}), "model": "any"}
        row["repeat"] += (seen[score.sample_id] - 1) * EPOCH
        row["condition_id"] = sample_id(row)
        rows.append(row)
        items = (score.score.metadata or {})["items"]
        responses += [{**item, "condition_id": row["condition_id"]} for item in items]
    conditions = pd.DataFrame(rows)
    table = pd.DataFrame(responses, columns=administer.COLUMNS)
    return scoring.administrations(conditions, table), table


def _by_value(scores: pd.DataFrame, columns: Mapping[str, str]) -> Mapping[str, float]:
    return _told(
        (f"{name}_{cell['value']}{_arm(cell)}", cell[column])
        for cell in rationality.cells(scores).to_dict("records")
        for name, column in columns.items()
    )


def _arm(row: Row) -> str:
    return "_with_goal_prompt" if row["goal_prompt"] else ""


def _told(named: Iterable[tuple[str, float]]) -> Mapping[str, float]:
    """Return numbers by name, without those that cannot be estimated."""
    return {name: float(number) for name, number in named if not pd.isna(number)}


@scorer(metrics=[steerability(), value_rationality(), angle(), outcomes()])
def svo_choices() -> Scorer:
    """Read a sample's replies as a run does; its value holds the angle, None if an item misses.

    The score's metadata holds a row of the responses table for each item.
    """

    async def score(state: TaskState, target: Target) -> Score:
        return scored(_row(state), await reread(_row(state), state.store.get(STORE)))

    return score


async def reread(row: Row, said: Any) -> list[tuple[Any, ...]]:
    """Return the responses rows of a condition, read in what its sample's store holds.

    Raises UserError for a question that has no reply there.
    """

    async def ask(question: Question) -> Record:
        request = request_for(question, "")
        return record_of(request, answer_to(request, said))

    return await carried_out(row, ask)


def scored(row: Row, rows: list[tuple[Any, ...]]) -> Score:
    """Return the score of a condition with these rows of the responses table."""
    responses = pd.DataFrame(rows, columns=administer.COLUMNS)
    result = scoring.administrations(pd.DataFrame([row]), responses).iloc[0]
    items = json.loads(responses[[*ABOUT_ITEMS]].to_json(orient="records", double_precision=15))
    told = [f"item {item['item']}: {item['outcome']}, {item['evidence']}" for item in items]
    return Score(
        value={"angle": _number(result["angle"]), "answered": int(result["answered"])},
        answer=" ".join(item["label"] or "-" for item in items),
        explanation="\n".join(told),
        metadata={"items": items},
    )


def answer_to(request: Request, said: Any) -> Answer:
    """Return the answer that a store holds to a request; UserError where it holds none.

    What a log holds is data from elsewhere: every field is checked for its kind and its length.
    """
    kept = said.get(asked_as(request)) if isinstance(said, dict) else None
    if kept is None:
        question = files.one_line(request.messages[-1]["content"], QUOTED)
        raise UserError(
            f"no reply to the '{request.kind}' request ({question}) of value "
            f"{request.condition['value']}: the prompts have changed since, or it was never asked"
        )
    try:
        return _answer(kept)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise UserError(f"what it holds as a reply to a '{request.kind}' request is none") from None


def _answer(kept: Mapping[str, Any]) -> Answer:
    """Return the answer that a store keeps; errors of Python for what is no answer."""
    told = {name: kept[name] for name in (*TEXTS, *COUNTS, "cause")}
    lists = {name: tuple(kept[name]) for name in ("dropped", "flags")}
    listed, seconds = kept["top_logprobs"], kept["latency_s"]
    texts = [told[name] for name in TEXTS if told[name] is not None] + [told["cause"]]
    texts += [*lists["dropped"], *lists["flags"], *(token for token, _ in listed or ())]
    counts = [told[name] for name in COUNTS if told[name] is not None]
    numbers = [*(number for _, number in listed or ()), *([] if seconds is None else [seconds])]
    sound = all(isinstance(text, str) and len(text) <= LONGEST for text in texts)
    sound &= all(type(count) is int and 0 <= count <= MOST for count in counts)
    if not sound or not all(map(files.finite, numbers)) or len(texts) > MOST_TEXTS:
        raise ValueError("no answer")
    pairs = None if listed is None else tuple((token, float(number)) for token, number in listed)
    return Answer(**told, **lists, top_logprobs=pairs, latency_s=seconds)


def _number(number: Any) -> float | None:
    return None if pd.isna(number) else float(number)
