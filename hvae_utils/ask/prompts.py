"""Prompts: wording packs -> the texts of system and user turns; presentations of items.

A pack (`data/prompts/NAME.toml`) holds twelve sentences; which of them make a turn, in which order,
stands here. So wordings differ in words only and two arms of a study in one sentence. What is the
same for all items of a condition comes first: a server that keeps prefixes reads only the end anew.

Where we deviate from the released code, `plain.toml` says. An imported pack (`import_prompts`)
keeps the text of its file.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hvae_utils import files, paths
from hvae_utils.errors import UserError, unknown
from hvae_utils.measure import game_words, values
from hvae_utils.measure.factors import INDUCTIONS
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value

WORDINGS = (  # ours, of the same sentences, in the order of a study that shows all of them
    *("plain", "formal", "brief", "casual", "polite", "technical", "direct", "story", "survey"),
)
LABELS = tuple("ABCDEFGHI")
GOAL_LIMIT = 400  # characters of a model's goal that are quoted
DESCRIPTION_LIMIT = 1200  # characters of a model's description that are quoted
TEMPLATES = {  # the sentences of a pack and the placeholders that each must hold
    "describe": {"value"},
    "quote_description": {"value", "description"},
    "give_definition": {"value", "definition"},
    "adopt": {"value"},
    "task": {"first", "second"},
    "keep_value": {"value"},
    "follow_rule": {"rule"},
    "ask_goal": {"items", "options"},
    "quote_goal": {"goal"},
    "reason": set(),
    "question": {"kind"},
    "ask_again": {"kind", "labels"},
}
_NOTES = ("title", "source", "licence")
_DOUBLE_QUOTES = '"“”„‟«»\uff02'


@dataclass(frozen=True)
class Pack:
    """One wording: its sentences (see TEMPLATES) and where they come from.

    words: what it calls a value, by the value's word, where that is not the word itself.
    The rest is an imported pack's: its instrument, the turn that asks for the goal, one text an
    item holding {goal}, and what stands there without a goal ({value} is the value's word).
    """

    name: str
    title: str
    source: str
    licence: str
    sentences: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)
    instrument: str | None = None
    goal_turn: str | None = None
    items: tuple[str, ...] | None = None
    fixed_goal: str | None = None

    def say(self, sentence: str, **placeholders: Any) -> str:
        """Return one sentence with its placeholders filled in."""
        if "value" in placeholders:
            placeholders["value"] = self.word(placeholders["value"])
        return self.sentences[sentence].format(**placeholders)

    def word(self, word: str) -> str:
        """Return what this pack calls the value of that word."""
        return self.words.get(word, word)


def names() -> list[str]:
    """Return the names of the packs in `data/prompts`: ours in their order, then others."""
    there = {path.stem for path in (paths.DATA / "prompts").glob("*.toml")}
    return [*(name for name in WORDINGS if name in there), *sorted(there.difference(WORDINGS))]


def load(name: str) -> Pack:
    """Return the pack called `name`; UserError when it is unknown or its file is malformed.

    >>> load("plain").say("question", kind="letter")
    'Which option do you choose? Answer with one letter only.'
    """
    if name not in names():
        raise unknown("wording", name, names())
    path = paths.DATA / "prompts" / f"{name}.toml"
    return parse(name, files.read_text(path), paths.shown(path))


def parse(name: str, text: str, where: str) -> Pack:
    """Return the pack that the TOML `text` holds; `where` names its file in a UserError."""
    table = files.parse_toml(text, where)
    required, imported = [*_NOTES, *TEMPLATES], ["instrument", "goal_turn", "items"]
    keys = [*required, *imported, "fixed_goal", "words"]
    for key, content in table.items():
        if key not in keys:
            raise UserError(f"{where}: {unknown('key', key, keys)}")
        if key not in ("items", "words") and not (isinstance(content, str) and content.strip()):
            raise UserError(f"{where}: '{key}' must be a text that is not empty")
    required += [] if table.keys() <= {*required, "words"} else imported
    for key in required:
        if key not in table:
            raise UserError(f"{where}: '{key}' is missing; a pack has {', '.join(required)}")
    for key, placeholders in TEMPLATES.items():
        _check_template(f"{where}: '{key}'", table[key], placeholders)
    sentences = {key: table.pop(key) for key in TEMPLATES}
    _check_words(where, table.get("words", {}))
    if "items" in table:
        texts = table["items"] if isinstance(table["items"], list) else [None]
        if not all(isinstance(text, str) and "{goal}" in text for text in texts):
            raise UserError(f"{where}: 'items' must be a list of texts that hold {{goal}}")
        table["items"] = tuple(texts)
    return Pack(name=name, sentences=sentences, **table)


def _check_words(where: str, words: Any) -> None:
    """Raise UserError unless `words` names values by their words and gives a text for each."""
    if not isinstance(words, dict) or not all(isinstance(t, str) and t for t in words.values()):
        raise UserError(f"{where}: 'words' must be a table of texts, by the word of a value")
    for word in words:
        if word not in (known := [value.word for value in values.load().values() if value.word]):
            raise UserError(f"{where}: {unknown('word of a value', word, known)}")


def _check_template(what: str, template: str, wanted: set[str]) -> None:
    """Raise UserError unless the placeholders of `template` are exactly `wanted`."""
    placeholders = {f"{{{name}}}" for name in wanted}
    written = re.findall(r"\{\{|\}\}|(\{[^{}]*\}|[{}])", template)
    for placeholder in filter(None, written):
        if placeholder not in placeholders:
            fault = unknown("placeholder", placeholder, sorted(placeholders))
            raise UserError(f"{what}: {fault} A brace that is no placeholder is doubled.")
    if not placeholders <= set(written):
        raise UserError(f"{what}: must hold {', '.join(sorted(placeholders))}")


@dataclass(frozen=True)
class Presentation:
    """How one item (row of the instrument, from 0) is shown.

    order[k] is the option, from 0 in the instrument's order, at position k; labels[k] its label.
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
    labels that are too few, empty, spaced, or alike.
    """
    count, last = instrument.payoffs.shape[1], len(instrument.items) - 1
    if not 0 <= item <= last:
        raise UserError(f"{instrument.name} has no row {item}; rows are 0 to {last}")
    order = range(count) if order is None else order
    if sorted(order) != list(range(count)):
        raise UserError(f"order {list(order)} must name each option from 0 to {count - 1} once")
    labels = tuple(labels[:count])
    forms = {unicodedata.normalize("NFKC", label).casefold() for label in labels}
    if len(forms) < count or not all(form and form.split() == [form] for form in forms):
        raise UserError(
            f"labels {list(labels)} must be {count} that differ, case and width ignored, and none "
            "may be empty or hold spaces"
        )
    return Presentation(int(item), tuple(map(int, order)), labels)


def describe_text(pack: Pack, value: Value) -> str:
    """Return the turn that asks what a person who holds the value is like; it defines nothing."""
    return pack.say("describe", value=_word(value))


def adopt_text(pack: Pack, value: Value, induction: str) -> str:
    """Return the dialogue's turn that has the value adopted; `definition` puts ours before it.

    `objective` has its rule followed instead. UserError for an induction the value is not made for.
    """
    check_induction(value, induction)
    if induction == "objective":
        return pack.say("follow_rule", rule=value.objective)
    adopt = pack.say("adopt", value=_word(value))
    if induction != "definition":
        return adopt
    definition = pack.say("give_definition", value=value.word, definition=value.definition)
    return f"{definition}\n{adopt}"


def system_text(pack: Pack, value: Value, induction: str, description: str | None = None) -> str:
    """Return the system turn that assigns the value; `self_description` quotes the model's own."""
    adopt = adopt_text(pack, value, induction)
    if induction != "self_description":
        return adopt
    if description is None:
        raise UserError("self_description in the system turn needs the model's description")
    quoted = quotable(description, DESCRIPTION_LIMIT)
    return f"{pack.say('quote_description', value=value.word, description=quoted)}\n{adopt}"


def check_induction(value: Value, induction: str) -> None:
    """Raise UserError unless the value can be assigned by this induction."""
    if induction not in INDUCTIONS:
        raise unknown("induction", induction, INDUCTIONS)
    if value.weight is not None and induction != "objective":
        raise UserError(f"'{value.name}' is no word to hold; assign it by induction 'objective'")
    for needed in ("definition", "objective"):
        if induction == needed and _word(value) and not getattr(value, needed):
            raise UserError(f"value '{value.name}' has no {needed} for that induction")


def goal_text(pack: Pack, value: Value, instrument: Instrument, induction: str = "label") -> str:
    """Return the turn that asks for the goal, after the task; an imported pack has its own."""
    if pack.goal_turn is not None:
        _check_instrument(pack, instrument)
        return pack.goal_turn
    items, options = instrument.payoffs.shape[:2]
    ask = pack.say("ask_goal", items=items, options=options)
    return "\n".join((*_framing(pack, value, instrument, induction), ask))


def item_text(
    pack: Pack,
    value: Value,
    instrument: Instrument,
    presentation: Presentation,
    goal: str | None = None,
    reasoned: bool = False,
    induction: str = "label",
) -> str:
    """Return the turn that puts one item: framing, goal if there is one, options, question.

    goal: the model's own, quoted, a blank one as such; None leaves out that sentence alone.
    reasoned: ask for a thought in the place of the question, which is a turn of its own then.
    induction: `objective` says its rule in the place of the value; all others say the same.
    UserError for an imported pack and another instrument or presentation than its file's.
    """
    if pack.items is not None:
        return _imported_item(pack, value, instrument, presentation, goal, induction)
    framing = _framing(pack, value, instrument, induction)
    if goal is not None:
        framing.append(pack.say("quote_goal", goal=quotable(goal, GOAL_LIMIT)))
    options = _option_lines(pack, instrument, presentation)
    if stated := _stated(pack, instrument, presentation.item):
        framing.append(stated)
    last = pack.say("reason") if reasoned else question_text(pack, presentation)
    return "\n".join((*framing, "", *options, "", last))


def _stated(pack: Pack, instrument: Instrument, item: int) -> str:
    """Return what an item of a game says above its options, '' for nothing."""
    words = instrument.words_in(pack.name)
    given = None if instrument.given is None else float(instrument.given[item])
    told = words.stated(given, "" if given is None else coins(given)) if words else ""
    return _in_goods(told, instrument.goods)


def _option_lines(pack: Pack, instrument: Instrument, shown: Presentation) -> list[str]:
    """Return the options as shown: label, both amounts and, in a game, the act behind them."""
    lines, words = [], instrument.words_in(pack.name)
    for label, option in zip(shown.labels, shown.order, strict=True):
        first, second = instrument.printed[shown.item, option]
        line = f"{label}: {coins(first)}, {coins(second)}"
        if words and (words.option or words.options):
            act = instrument.acts[shown.item, option]
            line += f" ({_in_goods(words.act(act, coins(act)), instrument.goods)})"
        lines.append(line)
    return lines


def question_text(pack: Pack, presentation: Presentation) -> str:
    """Return the sentence that asks for the answer."""
    return pack.say("question", kind=_kind(presentation.labels))


def reminder_text(pack: Pack, presentation: Presentation) -> str:
    """Return the turn that asks once more for a label; it names all of them, in their order."""
    labels = presentation.labels
    return pack.say("ask_again", kind=_kind(labels), labels=", ".join(labels))


def quotable(text: str, limit: int) -> str:
    """Return what a model wrote as one line of at most `limit` characters, for double quotes.

    Runs of white space become one space, enclosing quotation marks and control characters go,
    double quotes inside become single; what is cut ends in an ellipsis.

    >>> quotable('"To get\\nmore than \u201cthey\u201d do."', 40)
    "To get more than 'they' do."
    """
    kept = (c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    line = " ".join("".join(kept).split())
    while len(line) > 1 and line[0] in _DOUBLE_QUOTES and line[-1] in _DOUBLE_QUOTES:
        line = line[1:-1].strip()
    line = line.translate(dict.fromkeys(map(ord, _DOUBLE_QUOTES), "'"))
    return line if len(line) <= limit else line[: limit - 1].rsplit(" ", 1)[0] + "…"


def coins(amount: float) -> str:
    """Return an amount as it is shown: 85, 42.5."""
    return str(int(amount)) if float(amount).is_integer() else f"{amount:g}"


def _framing(pack: Pack, value: Value, instrument: Instrument, induction: str) -> list[str]:
    """Return the sentences that open every turn about the task, in an isomorphic form's words."""
    words = instrument.words_in(pack.name)
    both = words.columns if words else game_words.BOTH
    first, second = both[::-1] if instrument.other_first else both
    told = words.task.format(first=first, second=second) if words else None
    task = _in_goods(told or pack.say("task", first=first, second=second), instrument.goods)
    reminder = _reminder(pack, value, induction, instrument.goods)
    return [task, *([reminder] if reminder else [])]


def _reminder(pack: Pack, value: Value, induction: str, goods: str = "coins") -> str:
    """Return the sentence of every turn that says what to choose by, '' without a value."""
    if value.word and induction == "objective":
        return _in_goods(pack.say("follow_rule", rule=value.objective), goods)
    return pack.say("keep_value", value=value.word) if value.word else ""


def _in_goods(text: str, goods: str) -> str:
    """Return a text about coins with another word for them."""
    for word, other in (("coins", goods), ("coin", goods.removesuffix("s"))):
        text = re.sub(rf"\b{word}\b", other, text)
        text = re.sub(rf"\b{word.capitalize()}\b", other.capitalize(), text)
    return text


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
    pack: Pack,
    value: Value,
    instrument: Instrument,
    shown: Presentation,
    goal: str | None,
    induction: str,
) -> str:
    """Return an imported text with the goal, the file's sentence for none, or our reminder."""
    _check_instrument(pack, instrument)
    if shown != present(instrument, shown.item):
        raise UserError(
            f"wording '{pack.name}' is imported: its options keep the order and letters of its file"
        )
    item = (pack.items or ())[shown.item]
    if goal is not None:
        return item.replace("{goal}", quotable(goal, GOAL_LIMIT))
    fixed = None if induction == "objective" else pack.fixed_goal
    if fixed is not None and (value.word or "{value}" not in fixed):
        return item.replace("{goal}", fixed.replace("{value}", pack.word(value.word)))
    return item.replace("{goal}", _reminder(pack, value, induction))
