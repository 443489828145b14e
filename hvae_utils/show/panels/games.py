"""The panel of other games: some items to play, and one's choices predicted from the slider."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import ipywidgets as ipw
import numpy as np

from hvae_utils.ask.prompts import coins
from hvae_utils.measure import instruments
from hvae_utils.metrics.transfer import utility
from hvae_utils.show.panels import svg
from hvae_utils.show.panels.sliders import SLIDER, Measure, panel, redraw
from hvae_utils.show.panels.svg import degrees

ITEMS = (  # instrument and row of its items: a few of each kind, not all of them
    *(("triple-dominance", 0), ("ultimatum-responder", 1), ("ultimatum-responder", 3)),
    *(("dilemma-second", 0), ("dilemma-second", 1), ("dictator-budgets", 3)),
    *(("trust-return", 2), ("conditional-contributions", 4)),
)
PACK = "plain"
TELLING = 1.5  # times what is uniform: a prediction of less names no option
_FORMAT = "Each coin is worth one reward."  # where the sentences about the listing begin


@dataclass(frozen=True)
class Item:
    """One item of a game: its payoffs (options, 2), what it tells, and its options in words."""

    name: str
    payoffs: np.ndarray
    text: str
    options: tuple[str, ...]


def items(places: Sequence[tuple[str, int]] = ITEMS) -> list[Item]:
    """Return these items (instrument, row from 0), in words for people.

    >>> items([("ultimatum-responder", 1)])[0].options[0]
    '16 for you, 64 for the other: you accept'
    """
    return [_item(name, row) for name, row in places]


def _item(name: str, row: int) -> Item:
    game = instruments.load(name)
    words, options = game.words_in(PACK), []
    others = "three others" if words and words.columns[1].endswith("together") else "other"
    for option, (own, other) in enumerate(game.payoffs[row]):
        act = ""
        if words and (words.option or words.options):
            done = game.acts[row, option]
            act = f": {words.act(done, coins(done))}"
        options.append(f"{coins(own)} for you, {coins(other)} for the {others}{act}")
    rules = words.task.partition(_FORMAT)[0].strip() if words else "You divide coins."
    given = None if game.given is None else float(game.given[row])
    stated = words.stated(given, "" if given is None else coins(given)) if words else ""
    return Item(name, game.payoffs[row], f"{rules} {stated}".strip(), tuple(options))


@dataclass(frozen=True)
class Predicted:
    """What the slider predicts of one item: the likeliest option (from 0) and its probability."""

    option: int
    chance: float
    chances: np.ndarray


def predict(choices: Sequence[int], asked: Sequence[Item]) -> tuple[utility.Weighing, list]:
    """Return the weight that six choices on the slider show, and what it predicts of each item.

    choices: options from 0, one an item of the slider.

    >>> weighing, (refusal,) = predict([0, 8, 8, 0, 4, 8], items([("dilemma-second", 0)]))
    >>> round(weighing.angle), refusal.option, round(refusal.chance, 2)
    (45, 0, 1.0)
    """
    table = np.eye(SLIDER.options)[list(choices)]
    weighing = utility.weigh(table[None], SLIDER.payoffs)
    found = [weighing.chances(item.payoffs[None])[0] for item in asked]
    return weighing, [Predicted(int(p.argmax()), float(p.max()), p) for p in found]


def compared(
    weighing: utility.Weighing,
    predicted: Sequence[Predicted],
    asked: Sequence[Item],
    chosen: Sequence[int | None],
) -> str:
    """Return the table of choices beside their predictions, and how many came true, as HTML.

    chosen: options from 0, None where an item is not answered yet.
    """
    rows: list[tuple[str, ...]] = []
    hits, by_chance, count = 0, 0.0, 0
    for item, one, choice in zip(asked, predicted, chosen, strict=True):
        if choice is None:
            continue
        told = ("none is preferred", "", f"{one.chances[choice]:.0%}")
        if one.chance >= TELLING / len(item.options):
            count, hits = count + 1, hits + (choice == one.option)
            by_chance += 1 / len(item.options)
            told = item.options[one.option], f"{one.chance:.0%}", told[2]
        rows.append((item.name, item.options[choice], *told))
    header = ("game", "your choice", "predicted", "how sure", "your choice was given")
    said = (
        f"Your answers to the slider fit a weight at {degrees(weighing.angle)} (from "
        f"{degrees(weighing.low)} to {degrees(weighing.high)} fit as well). "
    )
    if not rows:
        return svg.note(f"{said}Now choose in the games above.")
    said += f"{hits} of {count} choices were predicted; at random it would be {by_chance:.1f}."
    return svg.note(said) + svg.table("Predicted from the slider", header, rows)


def play(measure: Measure) -> ipw.VBox:
    """Return the panel: items of games, and what the reader's own slider predicts of them."""
    asked = items()
    lists, rows = [], []
    for number, item in enumerate(asked, 1):
        places = list(
            zip(["not answered", *item.options], range(len(item.options) + 1), strict=True)
        )
        answer = ipw.Dropdown(options=places, description=f"Choice {number}")
        answer.layout = {"width": "560px"}
        lists.append(answer)
        rows += [ipw.HTML(svg.element("p", escape(f"{number}. {item.text}"))), answer]
    result = ipw.HTML()

    def draw() -> None:
        if None in (choices := measure.choices()):
            result.value = svg.note("First answer the six items at the top of this page.")
            return
        chosen = [answer.value - 1 if answer.value else None for answer in lists]
        result.value = compared(*predict(choices, asked), asked, chosen)

    redraw(draw, *lists, *(item.list for item in measure.primary))
    return panel("hvae-games", *rows, result)
