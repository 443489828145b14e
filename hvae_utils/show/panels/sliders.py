"""Panels that need no model: take the measure, flip one answer, add noise to a value.

A panel saves nothing, except the answers file when its button is pressed. A mistake in a field
becomes a sentence beside it. ipywidgets gives sliders no name for a screen reader, so each has a
list or a number field beside it or in its place.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.measure import answers, instruments, published, secondary, svo, values
from hvae_utils.metrics import published_chart, recovery
from hvae_utils.show.names import joined
from hvae_utils.show.panels import svg
from hvae_utils.show.panels.svg import degrees

SLIDER = instruments.load("svo-slider")
SECONDARY = instruments.load("svo-slider-secondary")
PLACES = SLIDER.payoffs.shape[1]
MIDDLE = (PLACES + 1) // 2
WIDE = {"layout": {"width": "420px"}}
KNOB = "#0b4f8a"  # ipywidgets' own is white on white
OWN = "my own answers"
AFTER_PAGE = 0.7  # seconds
LEGEND = (
    "Length: how far the mean of your six divisions lies from (50, 50); it is short when the "
    "answers pull apart. Index, of the nine more items below: near 0 you want equality, near 1 "
    "the largest sum."
)


class Measure(ipw.VBox):
    """The six items and the nine further ones, and where their reader stands on the ring.

    models: points beside the reader's own; people: one sample's histogram.
    """

    def __init__(self, models: Sequence[svg.Point], people: pd.DataFrame) -> None:
        self._models, self._people = tuple(models), people
        self.primary = [_Item(SLIDER, k, self._show) for k in range(len(SLIDER.items))]
        self.secondary = [_Item(SECONDARY, k, self._show) for k in range(len(SECONDARY.items))]
        self.result, self.saved = ipw.HTML(), ipw.HTML()
        self._name, self._written = answers.file_name(), set()
        self.file = ipw.Text(self._name, description="File name", **WIDE)
        self.save = ipw.Button(description="Save my answers", tooltip="Write the answers file")
        self.save.on_click(self._save)
        texts = "Lists instead of sliders", "Nine more items: equality, or the largest sum?"
        look = {"indent": False, "layout": {"width": "auto"}}
        self.lists, self.more = (ipw.Checkbox(description=text, **look) for text in texts)
        self._further = ipw.VBox(self.secondary)
        asked = ipw.VBox([self.lists, *self.primary, self.more, self._further])
        asked.layout, self.result.layout = {"flex": "0 1 auto"}, {"flex": "1 1 380px"}
        beside = ipw.HBox([asked, self.result])  # the ring is in view while a slider is moved
        beside.layout.flex_flow = "row wrap"
        super().__init__([beside, ipw.HBox([self.file, self.save]), self.saved])
        self.add_class("hvae-measure")
        redraw(self._arrange, self.lists, self.more)
        self._show()

    def choices(self) -> list[int | None]:
        """Return the option (from 0) of each primary item, None where it is not answered."""
        return [item.choice for item in self.primary]

    def to_view(self) -> None:
        """Bring the panel into view in a moment, wherever the page stands then.

        JupyterLab goes to the last cell when all have run, so that comes first. What gets the
        focus comes to the middle of the page: a box at the panel's foot, so that all is seen.
        Without a page nothing happens.
        """
        later = Timer(AFTER_PAGE, self.more.focus)
        later.daemon = True
        later.start()

    def _arrange(self) -> None:
        self._further.layout.display = "" if self.more.value else "none"
        for item in (*self.primary, *self.secondary):
            item.children = [item.list if self.lists.value else item.slider, item.bars]

    def _show(self) -> None:
        choices, self.saved.value = self.choices(), ""  # what was saved are older answers
        if left := [k + 1 for k, choice in enumerate(choices) if choice is None]:
            self.result.value = svg.note(
                f"Still to answer: item{'s' * (len(left) > 1)} {joined(left)}. Move each slider to "
                "the division you prefer; if it is the one in the middle, move away and back."
            )
            return
        score = svo.score([choices], SLIDER).iloc[0]
        angle = float(score["angle"])
        numbers = {
            "angle": degrees(angle),
            "category": str(score["category"]),
            "length": f"{score['vector_length']:.0f} coins",
            "index": self._index(),
        }
        points = [svg.Point("you", angle, "you"), *ideals(), *self._models]
        self.result.value = (
            svg.key_numbers(numbers)
            + svg.ring(points, self._people)
            + svg.note(_among(self._people, angle))
            + svg.note(LEGEND)
        )

    def _index(self) -> str:
        choices = [-1 if item.choice is None else item.choice for item in self.secondary]
        if -1 in choices:
            return f"{len(choices) - choices.count(-1)} of {len(choices)} items"
        score = secondary.score([choices]).iloc[0]
        return score["note"] if np.isnan(score["index"]) else f"{score['index']:.2f}"

    def _save(self, _: ipw.Button) -> None:
        """Write the anonymous answers file; over no file but one that this panel wrote."""
        more = [item.choice for item in self.secondary]
        path = Path(self.file.value.strip() or self._name)
        try:
            if set(self.choices()) == {None}:
                raise UserError("nothing is answered yet, so there is nothing to save")
            content = answers.export(self.choices(), None if set(more) == {None} else more)
            path = path.with_suffix(".json")
            with path.open("wb" if path.absolute() in self._written else "xb") as file:
                file.write(content)
        except FileExistsError:
            self.saved.value = svg.note(f"{path} is there already; give another name", "error")
        except (UserError, OSError, ValueError) as fault:
            reason = getattr(fault, "strerror", None) or fault
            self.saved.value = svg.note(f"not saved: {reason}", "error")
        else:
            self._written.add(path.absolute())
            self.saved.value = svg.note(
                f"Saved as {path} beside this notebook: your choices, a random number, and nothing "
                "else about you."
            )


class _Item(ipw.HBox):
    """One item: a slider or a list of its nine divisions, and the bars of the one it stands on.

    The list holds the answer, 0 for none; the slider follows, and `changed` is called.
    """

    def __init__(
        self, instrument: instruments.Instrument, row: int, changed: Callable[[], None]
    ) -> None:
        self._payoffs, self._changed = instrument.payoffs[row], changed
        name = {"description": f"Item {instrument.items[row]}", "layout": {"width": "250px"}}
        coins = [f"{own:g} for you, {other:g} for the other" for own, other in self._payoffs]
        places = list(zip(["not answered", *coins], range(PLACES + 1), strict=True))
        self.slider = ipw.IntSlider(MIDDLE, 1, PLACES, readout=False, **name)
        self.list = ipw.Dropdown(options=places, **name)
        for control in (self.slider, self.list):
            control.style.description_width = "52px"
        self.slider.style.handle_color = KNOB
        self.bars = ipw.HTML()
        super().__init__([self.slider, self.bars])
        self.layout.flex_flow, self.bars.layout = "row wrap", {"flex": "0 0 auto"}
        self.slider.observe(self._moved, "value")
        self.list.observe(self._picked, "value")
        redraw(self._draw, self.slider)

    @property
    def choice(self) -> int | None:
        """The option (from 0), None where it is not answered."""
        return self.list.value - 1 if self.list.value else None

    def _moved(self, _: Any) -> None:
        self.list.value = self.slider.value

    def _picked(self, _: Any) -> None:
        self.slider.value = self.list.value or self.slider.value
        self._changed()

    def _draw(self) -> None:
        self.bars.value = svg.payoff_bars(*self._payoffs[self.slider.value - 1])


def flip(measure: Measure) -> ipw.VBox:
    """Return the panel that changes one answer of an ideal respondent or of its reader."""
    start = ipw.Dropdown(options=[*svo.CATEGORIES, OWN], description="Answers of")
    item = ipw.Dropdown(options=[(f"item {k}", k - 1) for k in SLIDER.items], description="Flip")
    place = ipw.IntSlider(MIDDLE, 1, PLACES, readout=False)
    number = ipw.BoundedIntText(MIDDLE, min=1, max=PLACES, description="to place")
    picture = ipw.HTML()

    def draw() -> None:
        if start.value != OWN:
            before = svo.ideal_choices(start.value, SLIDER).tolist()
        elif None in (before := measure.choices()):
            picture.value = svg.note("Your own measure is not finished yet: answer all six items.")
            return
        after = [*before]
        after[item.value] = place.value - 1
        picture.value = _flipped(before, after, item.value)

    redraw(draw, start, item, place, *(answered.list for answered in measure.primary))
    return panel("hvae-flip", ipw.HBox([start, item]), _beside(place, number), picture)


def _flipped(before: Sequence[int], after: Sequence[int], item: int) -> str:
    scores, rows = svo.score([before, after], SLIDER), []
    taken = zip(("before", "after"), (before, after), scores.itertuples(), strict=True)
    for name, choices, row in taken:
        coins = [f"{coins:g}" for coins in SLIDER.payoffs[item, choices[item]]]
        length, transitive = f"{row.vector_length:.1f}", "yes" if row.transitive else "no"
        rows.append((name, *coins, degrees(row.angle), row.category, length, transitive))
    header = ("", "you", "other", "angle", "category", "length", "transitive")
    old, new = map(float, scores["angle"])
    points = [svg.Point("after", new, "you"), svg.Point("before", old, "model", "before", 1)]
    return (
        svg.key_numbers({"angle": degrees(new)})
        + svg.table("One answer flipped", header, rows)
        + svg.ring([*points, *ideals()])
    )


def noise() -> ipw.VBox:
    """Return the panel that adds random answers and a favourite letter to a value."""
    held = ipw.Dropdown(options=svo.CATEGORIES, description="Value held")
    letters = [(chr(65 + k), k) for k in range(PLACES)]
    letter = ipw.Dropdown(options=letters, description="Favourite")
    share = {"min": 0, "max": 1, "step": 0.05}
    lapse, bias = (ipw.FloatSlider(0, readout=False, **share) for _ in range(2))
    lapse_number = ipw.BoundedFloatText(0, description="Lapse rate", **share)
    bias_number = ipw.BoundedFloatText(0, description="Position bias", **share)
    picture = ipw.HTML()

    def draw() -> None:
        expected = recovery.noisy(held.value, lapse.value, bias.value, letter.value)
        numbers = {
            "angle": f"{expected['mean_angle']:.1f}° ± {expected['sd']:.1f}",
            "raw (60 is perfect)": f"{expected['raw']:.1f}",
            "chance-corrected (0 is random)": f"{expected['chance']:z.2f}",
            "regret reading": f"{expected['regret']:.2f}",
        }
        mean = svg.Point("mean", expected["mean_angle"], "you")
        inputs = (
            f"Expected of {held.value}, lapse rate {lapse.value:.2f}, position bias "
            f"{bias.value:.2f}, favourite {letter.label}:"
        )
        picture.value = (
            svg.note(inputs)
            + svg.key_numbers(numbers)
            + svg.ring([mean, *ideals()])
            + svg.note(
                f"Two names are given. The mean of many administrations is {expected['category']}, "
                "by its angle. A single administration has a name of its own, which is:"
            )
            + svg.shares(expected["categories"])
        )

    redraw(draw, held, lapse, bias, letter)
    rows = (held, _beside(lapse, lapse_number)), (letter, _beside(bias, bias_number))
    return panel("hvae-noise", *map(ipw.HBox, rows), picture)


def ideals() -> list[svg.Point]:
    """Return the ideal respondents of the values that have a target, as points.

    >>> [(point.name, round(point.angle, 1)) for point in ideals()][:2]
    [('ideal altruistic', 61.4), ('ideal prosocial', 45.0)]
    """
    return [
        svg.Point(f"ideal {value.name}", value.target, "ideal", value.name)
        for value in values.load().values()
        if value.target is not None
    ]


def respondents(cells: pd.DataFrame) -> list[svg.Point]:
    """Return a run's mean angles as points: a lane each respondent, the arms alike.

    cells: model, value, mean_angle (degrees), as in a run's value_rationality.csv.
    """
    lanes = {name: lane for lane, name in enumerate(dict.fromkeys(cells["model"]))}
    rows = zip(cells["model"], cells["value"], cells["mean_angle"], strict=True)
    return [svg.Point(f"{m}, {v}", float(angle), "model", v, lanes[m]) for m, v, angle in rows]


def published_models() -> list[svg.Point]:
    """Return the models of the published chart, with goal prompt, where a score is one angle."""
    chart = published_chart.with_angles().query("goal_prompt").dropna(subset="angle")
    rows = zip(chart["model"], chart["value"], chart["angle"], strict=True)
    return [svg.Point(f"{m}, {v}", float(angle), "published", v) for m, v, angle in rows]


def people() -> pd.DataFrame:
    """Return the histogram of the largest published sample of people: low, high, count, share."""
    bins = published.people_histogram()
    largest = bins.groupby("sample")["count"].sum().idxmax()
    return bins[bins["sample"] == largest]


def panel(name: str, *children: ipw.Widget) -> ipw.VBox:
    """Return the widgets below one another, with a class by which the page finds them."""
    return ipw.VBox(children).add_class(name)


def redraw(draw: Callable[[], None], *controls: ipw.Widget) -> None:
    """Draw now, and again whenever a control's value changes."""
    for control in controls:
        control.observe(lambda _: draw(), "value")
    draw()


def _beside(slider: ipw.Widget, number: ipw.Widget) -> ipw.HBox:
    """Return a slider and the named field of its number, each following the other."""
    number.layout, slider.layout = {"width": "190px"}, {"width": "240px"}
    number.style.description_width, slider.style.handle_color = "100px", KNOB
    ipw.link((slider, "value"), (number, "value"))
    return ipw.HBox([number, slider])


def _among(bins: pd.DataFrame, angle: float) -> str:
    """Return where an angle lies among people, to the bin: as exact as they are published."""
    low = bins.loc[bins["high"] <= angle, "share"].sum()
    high = bins.loc[bins["low"] > angle, "share"].sum()
    return (
        f"Of {int(bins['count'].sum()):,} people who answered the same six items, {low:.0%} have a "
        f"smaller angle and {high:.0%} a larger one (the outer bars; the rest are in your own "
        "bar). Nothing has left this machine."
    )
