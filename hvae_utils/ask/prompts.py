"""Prompts: wording packs -> the texts of system and user turns; presentations of items.

A pack (`data/prompts/NAME.toml`) holds ten sentences; this module alone decides which of them a
turn is made of and in which order. So wordings can differ in words only, and two arms of a study
differ in exactly the sentence that is the arm:

induction    one adopting sentence for all; `label` is that sentence alone, `definition` puts our
             definition before it, `self_description` the model's own description
placement    the same sentences, in the system turn or in the dialogue
goal prompt  with a goal, an item says what it says without one, plus the sentence quoting the goal
value        `none` leaves out every sentence that names a value; nothing else changes

Where we deviate from the released code (Zhang et al., arXiv 2305.17147): there the quoted goal
replaces a fixed sentence that reminds of the value and limits the length of the answer, so its
arms differ in three things. We keep its one-sentence reminder of the value, give it in both arms,
and ask for the answer in the same words in both. What remains in the goal arm is the treatment:
the turn in which the goal is stated, and its quotation. A pack imported from a file in the form of
the release (`prompt_import`) keeps the text of that file, this defect included.

The sentences that are the same for all items of a condition come first, options and question last:
a server that keeps prefixes reads only the end anew. An option is a label and two numbers.

This module must never ask a model, and never fill a template twice: what a model wrote is quoted
on one line, shortened, and its braces stay braces.

Public names: LABELS, INDUCTIONS, TEMPLATES, GOAL_LIMIT, DESCRIPTION_LIMIT, Pack, names, load,
parse, Presentation, present, describe_text, adopt_text, system_text, goal_text, item_text,
reminder_text, quotable, coins.
"""

import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hvae_utils import files, paths
from hvae_utils.errors import UserError, unknown
from hvae_utils.measure.factors import INDUCTIONS
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value

LABELS = tuple("ABCDEFGHI")
GOAL_LIMIT = 400  # characters of a model's goal that are quoted
DESCRIPTION_LIMIT = 1200  # characters of a model's description that are quoted

# The sentences of a pack and the placeholders that each must hold.
TEMPLATES: Mapping[str, frozenset[str]] = {
    "describe": frozenset({"value"}),
    "quote_description": frozenset({"value", "description"}),
    "give_definition": frozenset({"value", "definition"}),
    "adopt": frozenset({"value"}),
    "task": frozenset({"first", "second"}),
    "keep_value": frozenset({"value"}),
    "ask_goal": frozenset({"items", "options"}),
    "quote_goal": frozenset({"goal"}),
    "question": frozenset({"kind"}),
    "ask_again": frozenset({"kind", "labels"}),
}
_NOTES = ("title", "source", "licence")
_DOUBLE_QUOTES = '"“”„‟«»\uff02'
_IMPORTED = ("instrument", "goal_turn", "items", "fixed_goal")


@dataclass(frozen=True)
class Pack:
    """One wording: ten sentences with placeholders (see TEMPLATES) and where they come from.

    An imported pack also has the name of the instrument that its payoffs were checked against, the
    text of the turn that asks for the goal, one text an item holding {goal}, and, if the file had
    one, the sentence that stands for the goal where there is none ({value} is the value's word).
    """

    name: str
    title: str
    source: str
    licence: str
    describe: str
    quote_description: str
    give_definition: str
    adopt: str
    task: str
    keep_value: str
    ask_goal: str
    quote_goal: str
    question: str
    ask_again: str
    instrument: str | None = None
    goal_turn: str | None = None
    items: tuple[str, ...] | None = None
    fixed_goal: str | None = None


def names() -> list[str]:
    """Return the names of the packs in `data/prompts`, sorted."""
    return sorted(path.stem for path in (paths.DATA / "prompts").glob("*.toml"))


def load(name: str) -> Pack:
    """Return the pack called `name`; UserError when it is unknown or its file is malformed."""
    if name not in names():
        raise unknown("wording", name, names())
    path = paths.DATA / "prompts" / f"{name}.toml"
    return _load(path, path.stat().st_mtime_ns)


@lru_cache
def _load(path: Path, changed: int) -> Pack:
    """Return the pack of a file; `changed` (ns) makes an edited file a new one."""
    return parse(path.stem, files.read_text(path), paths.shown(path))


def parse(name: str, text: str, where: str) -> Pack:
    """Return the pack that the TOML `text` holds; `where` names its file in a UserError."""
    table = files.parse_toml(text, where)
    known = (*_NOTES, *TEMPLATES, *_IMPORTED)
    for key in table:
        if key not in known:
            raise UserError(f"{where}: {unknown('key', key, known)}")
    for key in (*_NOTES, *TEMPLATES):
        if key not in table:
            raise UserError(f"{where}: '{key}' is missing; every pack has {', '.join(TEMPLATES)}")
    for key, given in table.items():
        if key != "items" and not (isinstance(given, str) and given.strip()):
            raise UserError(f"{where}: '{key}' must be a text that is not empty")
    for key in TEMPLATES:
        _check_template(f"{where}: '{key}'", table[key], TEMPLATES[key])
    return Pack(name=name, **_with_items(where, table))


def _check_template(what: str, template: str, wanted: frozenset[str]) -> None:
    """Raise UserError unless the placeholders of `template` are exactly `wanted`."""
    try:
        fields = [
            (field, spec, conversion)
            for _, field, spec, conversion in string.Formatter().parse(template)
            if field is not None
        ]
    except ValueError as error:
        raise UserError(
            f"{what}: unbalanced braces ({error}); a brace that is no placeholder is doubled"
        ) from None
    for field, spec, conversion in fields:
        if field not in wanted or spec or conversion:
            shown = field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise UserError(f"{what}: {unknown('placeholder', f'{{{shown}}}', _braced(wanted))}")
    missing = wanted - {field for field, _, _ in fields}
    if missing:
        raise UserError(f"{what}: must hold {', '.join(_braced(missing))}")


def _braced(placeholders: frozenset[str]) -> list[str]:
    return [f"{{{name}}}" for name in sorted(placeholders)]


def _with_items(where: str, table: dict[str, Any]) -> dict[str, Any]:
    """Return the table with its item texts checked and as a tuple."""
    present_keys = [key for key in _IMPORTED if key in table]
    if not present_keys:
        return table
    for key in ("instrument", "goal_turn", "items"):
        if key not in table:
            raise UserError(f"{where}: '{key}' is missing; a pack with '{present_keys[0]}' has it")
    items = table["items"]
    if not isinstance(items, list) or not all(isinstance(text, str) for text in items):
        raise UserError(f"{where}: 'items' must be a list of texts, one an item")
    for number, text in enumerate(items, start=1):
        if "{goal}" not in text:
            raise UserError(f"{where}: text {number} of 'items' must hold {{goal}}")
    return {**table, "items": tuple(items)}


@dataclass(frozen=True)
class Presentation:
    """How one item is shown.

    item: row of the instrument, from 0; order: order[k] is the option, from 0 in the instrument's
    order, at position k; labels: labels[k] is the label of position k.
    """

    item: int
    order: tuple[int, ...]
    labels: tuple[str, ...]


def present(
    instrument: Instrument,
    item: int,
    order: Sequence[int] | None = None,
    labels: Sequence[str] = LABELS,
) -> Presentation:
    """Return the presentation of `item` (from 0); by default in the instrument's own order.

    UserError for an item that does not exist, an order that is no permutation of the options, and
    labels that are too few, empty, spaced, or alike when case and width are ignored.
    """
    count = instrument.payoffs.shape[1]
    if not 0 <= item < len(instrument.items):
        raise UserError(
            f"{instrument.name} has no row {item}; rows are 0 to {len(instrument.items) - 1}"
        )
    order = range(count) if order is None else order
    if sorted(order) != list(range(count)):
        raise UserError(f"order {list(order)} must name each option from 0 to {count - 1} once")
    if len(labels) < count:
        raise UserError(f"{len(labels)} labels are too few for {count} options")
    labels = tuple(labels[:count])
    if any(not label or any(map(str.isspace, label)) for label in labels):
        raise UserError(f"labels {list(labels)} must not be empty or hold spaces")
    if len({unicodedata.normalize("NFKC", label).casefold() for label in labels}) < count:
        raise UserError(f"labels {list(labels)} must differ, case and width ignored")
    return Presentation(int(item), tuple(map(int, order)), labels)


def describe_text(pack: Pack, value: Value) -> str:
    """Return the turn that asks what a person who holds the value is like; it defines nothing."""
    return pack.describe.format(value=_word(value))


def adopt_text(pack: Pack, value: Value, induction: str) -> str:
    """Return the turn, in the dialogue, that has the value adopted.

    The same sentence for every induction; `definition` has our definition before it,
    `self_description` has had the model's own description as the turn before.
    """
    if induction not in INDUCTIONS:
        raise unknown("induction", induction, INDUCTIONS)
    adopt = pack.adopt.format(value=_word(value))
    if induction != "definition":
        return adopt
    if not value.definition:
        raise UserError(f"value '{value.name}' has no definition")
    given = pack.give_definition.format(value=value.word, definition=value.definition)
    return f"{given}\n{adopt}"


def system_text(pack: Pack, value: Value, induction: str, description: str | None = None) -> str:
    """Return the system turn that assigns the value: what the dialogue says, in one turn.

    description: the model's own, quoted; needed for `self_description` only.
    """
    adopt = adopt_text(pack, value, induction)
    if induction != "self_description":
        return adopt
    if description is None:
        raise UserError("self_description in the system turn needs the model's description")
    quoted = quotable(description, DESCRIPTION_LIMIT)
    given = pack.quote_description.format(value=value.word, description=quoted)
    return f"{given}\n{adopt}"


def goal_text(pack: Pack, value: Value, instrument: Instrument) -> str:
    """Return the turn that describes the task and asks for the goal, in one sentence.

    An imported pack says here what its file says, whatever the value.
    """
    if pack.goal_turn is not None:
        _check_instrument(pack, instrument)
        return pack.goal_turn
    items, options = instrument.payoffs.shape[:2]
    ask = pack.ask_goal.format(items=items, options=options)
    return "\n".join((*_framing(pack, value, instrument), ask))


def item_text(
    pack: Pack,
    value: Value,
    instrument: Instrument,
    presentation: Presentation,
    goal: str | None = None,
) -> str:
    """Return the turn that puts one item: framing, goal if there is one, options, question.

    goal: the model's own, quoted; a blank one is quoted as such. Without one the turn is the same
    but for that sentence. An imported pack has the goal, or what stands for it, filled into its
    own text, and raises UserError for another instrument or presentation than its file's.
    """
    if pack.items is not None:
        return _imported_item(pack, value, instrument, presentation, goal)
    framing = _framing(pack, value, instrument)
    if goal is not None:
        framing.append(pack.quote_goal.format(goal=quotable(goal, GOAL_LIMIT)))
    payoffs = instrument.printed[presentation.item, list(presentation.order)]
    options = [
        f"{label}: {coins(first)}, {coins(second)}"
        for label, (first, second) in zip(presentation.labels, payoffs, strict=True)
    ]
    question = pack.question.format(kind=_kind(presentation.labels))
    return "\n".join((*framing, "", *options, "", question))


def reminder_text(pack: Pack, presentation: Presentation) -> str:
    """Return the turn that asks once more for a label; it names all of them, in their order."""
    labels = presentation.labels
    return pack.ask_again.format(kind=_kind(labels), labels=", ".join(labels))


def quotable(text: str, limit: int) -> str:
    """Return what a model wrote as one line of at most `limit` characters, for double quotes.

    Spaces and line breaks become one space, enclosing quotation marks go, double ones inside
    become single, control characters go; what is cut ends in an ellipsis.
    """
    kept = (c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    line = " ".join("".join(kept).split())
    while len(line) > 1 and line[0] in _DOUBLE_QUOTES and line[-1] in _DOUBLE_QUOTES:
        line = line[1:-1].strip()
    line = line.translate(dict.fromkeys(map(ord, _DOUBLE_QUOTES), "'"))
    if len(line) <= limit:
        return line
    return line[: limit - 1].rsplit(" ", 1)[0] + "…"


def coins(amount: float) -> str:
    """Return an amount as it is shown: 85, 42.5."""
    return str(int(amount)) if float(amount).is_integer() else f"{amount:g}"


def _framing(pack: Pack, value: Value, instrument: Instrument) -> list[str]:
    """Return the sentences that open every turn about the task; a value is named if assigned.

    An isomorphic form says another word for coins, or shows the other person's number first.
    """
    both = ("your coins", "the other person's coins")
    first, second = both[::-1] if instrument.other_first else both
    task = pack.task.format(first=first, second=second)
    goods = instrument.goods
    for said, instead in (("coins", goods), ("coin", goods.removesuffix("s"))):
        task = re.sub(rf"\b{said}\b", instead, task)
        task = re.sub(rf"\b{said.capitalize()}\b", instead.capitalize(), task)
    return [task, *([pack.keep_value.format(value=value.word)] if value.word else [])]


def _word(value: Value) -> str:
    if not value.word:
        raise UserError(f"value '{value.name}' has no word, so it cannot be assigned")
    return value.word


def _kind(labels: Sequence[str]) -> str:
    """Return what a respondent is asked for: a letter, a number or, for any other, a label."""
    if all(len(label) == 1 and label.isalpha() for label in labels):
        return "letter"
    return "number" if all(label.isdecimal() for label in labels) else "label"


def _check_instrument(pack: Pack, instrument: Instrument) -> None:
    if instrument.name != pack.instrument:
        raise UserError(
            f"wording '{pack.name}' holds the items of {pack.instrument}, not of {instrument.name}"
        )


def _imported_item(
    pack: Pack, value: Value, instrument: Instrument, shown: Presentation, goal: str | None
) -> str:
    """Return an imported text with the goal, the file's sentence for none, or our reminder."""
    _check_instrument(pack, instrument)
    if shown != present(instrument, shown.item):
        raise UserError(
            f"wording '{pack.name}' is imported: its options keep the order and letters of its file"
        )
    if goal is not None:
        said = quotable(goal, GOAL_LIMIT)
    elif not value.word and "{value}" in (pack.fixed_goal or "{value}"):
        said = ""
    elif pack.fixed_goal is not None:
        said = pack.fixed_goal.replace("{value}", value.word)
    else:
        said = pack.keep_value.format(value=value.word)
    assert pack.items is not None
    return pack.items[shown.item].replace("{goal}", said)
