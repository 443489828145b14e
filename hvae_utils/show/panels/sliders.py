"""Panels to touch that need no model: take the measure, flip an answer, add noise.

Built of ipywidgets and the pictures of `live`. A panel holds what its reader did in its own
widgets and nowhere else; it computes with the functions of the measuring floor and saves nothing,
except the answers file when its button is pressed. A mistake in a field becomes a sentence beside
it: this module must never raise into a page, and never show a text that was not escaped.

Sliders have no name for a screen reader in ipywidgets, so each has a list or a number field beside
it or in its place, which has.

Public names: Measure, flip, noise, ideals, respondents, published_models, people,
panel, degrees.
"""

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as ipw
import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.measure import answers, instruments, published, secondary, svo, values
from hvae_utils.metrics import rationality, recovery
from hvae_utils.show.panels import svg

SLIDER = instruments.load("svo-slider")
SECONDARY = instruments.load("svo-slider-secondary")
PLACES = SLIDER.payoffs.shape[1]
MIDDLE = (PLACES + 1) // 2
WIDE = ipw.Layout(width="420px")
OPEN = -1  # in a list, where None would be no entry at all
OWN = "my own answers"
LEGEND = (
    "Length: how far the mean of your six divisions lies from (50, 50); it is short when the "
    "answers pull apart. Index, of the nine more items below: near 0 you want equality, near 1 "
    "the largest sum."
)


class Measure(ipw.VBox):
    """The six items and the nine further ones, and where their reader stands on the ring.

    An item counts as answered once its slider was moved. models: points beside the reader's own;
    people: one sample's histogram.
    """

    def __init__(self, models: Sequence[svg.Point], people: pd.DataFrame) -> None:
        self._models, self._people = tuple(models), people
        self.primary = [_Item(SLIDER, k) for k in range(len(SLIDER.items))]
        self.secondary = [_Item(SECONDARY, k) for k in range(len(SECONDARY.items))]
        for item in (*self.primary, *self.secondary):
            item.on_answer(self._show)
        self.result = ipw.HTML()
        self._name, self._written = answers.file_name(), set()
        self.file = ipw.Text(self._name, description="File name", layout=WIDE)
        self.save = ipw.Button(description="Save my answers", tooltip="Write the answers file")
        self.save.on_click(self._save)
        self.saved = ipw.HTML()
        self.lists = _tick("Lists instead of sliders, as a screen reader reads them")
        self.lists.observe(self._swap, "value")
        self.more = _tick("Nine more items: do you want equality, or the largest sum?")
        further = ipw.VBox(self.secondary, layout=ipw.Layout(display="none"))
        self.more.observe(
            lambda change: setattr(further.layout, "display", "" if change["new"] else "none"),
            "value",
        )
        keep = ipw.HBox([self.file, self.save])
        super().__init__(
            [self.lists, *self.primary, self.result, self.more, further, keep, self.saved]
        )
        self.add_class("hvae-measure")
        self._show()

    def _swap(self, change) -> None:
        for item in (*self.primary, *self.secondary):
            item.as_list(change["new"])

    def choices(self) -> list[int | None]:
        """Return the option (from 0) of each primary item, None where it is not answered."""
        return [item.choice for item in self.primary]

    def _show(self) -> None:
        chosen = self.choices()
        left = [str(k + 1) for k, choice in enumerate(chosen) if choice is None]
        if left:
            self.result.value = svg.note(
                f"Still to answer: {_listed(left)}. Move each slider to the division you prefer; "
                "if it is the one in the middle, move away and back."
            )
            return
        found = svo.score([chosen], SLIDER).iloc[0]
        you = svg.Point("you", float(found["angle"]), "you")
        numbers = {
            "angle": degrees(found["angle"]),
            "category": str(found["category"]),
            "length": f"{found['vector_length']:.0f} coins",
            "index": self._index(),
        }
        self.result.value = (
            svg.key_numbers(numbers)
            + svg.ring([you, *ideals(), *self._models], self._people)
            + svg.note(_above(self._people, float(found["angle"])))
            + svg.note(LEGEND)
        )

    def _index(self) -> str:
        chosen = [-1 if item.choice is None else item.choice for item in self.secondary]
        if -1 in chosen:
            return f"{sum(option >= 0 for option in chosen)} of {len(chosen)} more items"
        found = secondary.score([chosen]).iloc[0]
        return found["note"] if np.isnan(found["index"]) else f"{found['index']:.2f}"

    def _save(self, _: ipw.Button) -> None:
        """Write the anonymous answers file; over no file but one that this panel wrote."""
        more = [item.choice for item in self.secondary]
        asked = any(choice is not None for choice in more)
        path = Path(self.file.value.strip() or self._name)
        try:
            if not any(choice is not None for choice in self.choices()):
                raise UserError("nothing is answered yet, so there is nothing to save")
            content = answers.export(self.choices(), more if asked else None)
            path = path.with_suffix(".json")
            with path.open("wb" if path.absolute() in self._written else "xb") as file:
                file.write(content)
            self._written.add(path.absolute())
        except FileExistsError:
            self.saved.value = svg.note(f"{path} is there already; give another name", "error")
        except (UserError, OSError, ValueError) as fault:
            said = getattr(fault, "strerror", None) or str(fault)
            self.saved.value = svg.note(f"not saved: {said}", "error")
        else:
            self.saved.value = svg.note(
                f"Saved as {path} beside this notebook: your choices, a "
                "random number, and nothing else about you."
            )


class _Item(ipw.HBox):
    """One item: a slider or a list of its nine divisions, and the bars of the one it stands on."""

    def __init__(self, instrument: instruments.Instrument, row: int) -> None:
        self._payoffs = instrument.payoffs[row]
        self.choice: int | None = None
        name = f"Item {instrument.items[row]}"
        self.slider = ipw.IntSlider(MIDDLE, 1, PLACES, description=name, readout=False, layout=WIDE)
        coins = [f"{own:g} for you, {other:g} for the other" for own, other in self._payoffs]
        options = [("not answered", OPEN), *zip(coins, range(PLACES), strict=True)]
        self.list = ipw.Dropdown(options=options, description=name, layout=WIDE)
        self.bars = ipw.HTML()
        self._told = lambda: None
        self.slider.observe(self._moved, "value")
        self.list.observe(self._picked, "value")
        super().__init__([self.slider, self.bars])
        self._draw()

    def on_answer(self, tell) -> None:
        """Call `tell` after every move."""
        self._told = tell

    def as_list(self, wanted: bool) -> None:
        """Show the list, or the slider; both hold the same answer."""
        self.children = [self.list if wanted else self.slider, self.bars]

    def _moved(self, change) -> None:
        self._answered(change["new"] - 1)

    def _picked(self, change) -> None:
        self._answered(None if change["new"] == OPEN else change["new"])

    def _answered(self, option: int | None) -> None:
        if option == self.choice:  # told by the list that follows the slider, or the other way
            return
        self.choice = option
        self.list.value = OPEN if option is None else option
        if option is not None:
            self.slider.value = option + 1
        self._draw()
        self._told()

    def _draw(self) -> None:
        self.bars.value = svg.payoff_bars(*self._payoffs[self.slider.value - 1])


def flip(measure: Measure) -> ipw.VBox:
    """Return the panel that changes one answer of an ideal respondent, or of one's own."""
    start = ipw.Dropdown(options=[*svo.CATEGORIES, OWN], description="Answers of")
    item = ipw.Dropdown(options=[(f"item {k}", k - 1) for k in SLIDER.items], description="Flip")
    place = ipw.IntSlider(MIDDLE, 1, PLACES, readout=False)
    number = ipw.BoundedIntText(MIDDLE, min=1, max=PLACES, description="to place")
    shown = ipw.HTML()

    def draw(_=None) -> None:
        before = measure.choices() if start.value == OWN else None
        if before is None:
            before = svo.ideal_choices(start.value, SLIDER).tolist()
        if None in before:
            shown.value = svg.note("Your own measure is not finished yet: answer all six items.")
            return
        after = [*before]
        after[item.value] = place.value - 1
        shown.value = _flipped(before, after, item.value)

    for control in (start, item, place):
        control.observe(draw, "value")

    def follow(_) -> None:
        if start.value == OWN:
            draw()

    for answered in measure.primary:
        answered.list.observe(follow, "value")
    draw()
    return panel("hvae-flip", ipw.HBox([start, item]), _beside(place, number), shown)


def _flipped(before: Sequence[int], after: Sequence[int], item: int) -> str:
    found = svo.score([before, after], SLIDER)
    rows = [
        (name, *(f"{x:g}" for x in SLIDER.payoffs[item, choices[item]]), *_scored(row))
        for name, choices, (_, row) in zip(
            ("before", "after"), (before, after), found.iterrows(), strict=True
        )
    ]
    header = ("", "you", "other", "angle", "category", "length", "transitive")
    points = [
        svg.Point("after", float(found["angle"][1]), "you"),
        svg.Point("before", float(found["angle"][0]), "model", "before", 1),
    ]
    return (
        svg.key_numbers({"angle": degrees(found["angle"][1])})
        + svg.table("One answer flipped", header, rows)
        + svg.ring([*points, *ideals()])
    )


def noise() -> ipw.VBox:
    """Return the panel that adds random answers and a favourite letter to a value."""
    held = ipw.Dropdown(options=svo.CATEGORIES, description="Value held")
    lapse, lapse_number = _share("Lapse rate")
    bias, bias_number = _share("Position bias")
    letter = ipw.Dropdown(
        options=[(chr(65 + k), k) for k in range(PLACES)], description="Favourite"
    )
    shown = ipw.HTML()

    def draw(_=None) -> None:
        found = recovery.noisy(held.value, lapse.value, bias.value, letter.value)
        numbers = {
            "angle": f"{found['mean_angle']:.1f}° ± {found['sd']:.1f}",
            "category of the mean angle": found["category"],
            "raw (60 is perfect)": f"{found['raw']:.1f}",
            "chance-corrected (0 is dice)": f"{found['chance']:z.2f}",
            "regret reading": f"{found['regret']:.2f}",
        }
        mean = svg.Point("mean", found["mean_angle"], "you")
        inputs = (
            f"Expected of {held.value}, lapse rate {lapse.value:.2f}, position bias "
            f"{bias.value:.2f}, favourite {letter.label}:"
        )
        shown.value = (
            svg.note(inputs)
            + svg.key_numbers(numbers)
            + svg.ring([mean, *ideals()])
            + svg.note("Category of one administration, the chance of each:")
            + svg.shares(found["categories"])
        )

    for control in (held, lapse, bias, letter):
        control.observe(draw, "value")
    draw()
    rows = (held, _beside(lapse, lapse_number)), (letter, _beside(bias, bias_number))
    return panel("hvae-noise", *(ipw.HBox(list(row)) for row in rows), shown)


def ideals() -> list[svg.Point]:
    """Return the ideal respondents of the values that have a target, as points."""
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
    rows = cells[["model", "value", "mean_angle"]].itertuples(index=False)
    return [
        svg.Point(f"{model}, {value}", float(angle), "model", value, lanes[model])
        for model, value, angle in rows
    ]


def published_models() -> list[svg.Point]:
    """Return the models of the published chart, with goal prompt, where a score is one angle."""
    chart = rationality.published_angles(published.radar().query("goal_prompt")).dropna()
    rows = chart[["model", "value", "angle"]].itertuples(index=False)
    return [
        svg.Point(f"{model}, {value}", float(angle), "published", value)
        for model, value, angle in rows
    ]


def people() -> pd.DataFrame:
    """Return the histogram of the largest published sample of people."""
    bins = published.people_histogram()
    largest = bins.groupby("sample")["count"].sum().idxmax()
    return bins[bins["sample"] == largest]


def panel(name: str, *children: ipw.Widget) -> ipw.VBox:
    """Return the widgets below one another, with a class by which the page finds them."""
    panel = ipw.VBox(list(children))
    panel.add_class(name)
    return panel


def _tick(label: str) -> ipw.Checkbox:
    return ipw.Checkbox(False, description=label, indent=False, layout=ipw.Layout(width="auto"))


def _share(label: str) -> tuple[ipw.FloatSlider, ipw.BoundedFloatText]:
    """Return a slider from 0 to 1 and the field that shows its number, with the name of both."""
    slider = ipw.FloatSlider(0, min=0, max=1, step=0.05, readout=False)
    return slider, ipw.BoundedFloatText(0, min=0, max=1, step=0.05, description=label)


def _beside(slider: ipw.Widget, number: ipw.Widget) -> ipw.HBox:
    """Return a slider and the named field of its number, each following the other."""
    number.layout, slider.layout = ipw.Layout(width="190px"), ipw.Layout(width="240px")
    number.style.description_width = "100px"
    ipw.link((slider, "value"), (number, "value"))
    return ipw.HBox([number, slider])


def _scored(row: pd.Series) -> tuple[str, ...]:
    length = f"{row['vector_length']:.1f}"
    return degrees(row["angle"]), str(row["category"]), length, "yes" if row.transitive else "no"


def _above(bins: pd.DataFrame, angle: float) -> str:
    """Return where an angle lies among people, to the bin: as exact as they are published."""
    low = bins.loc[bins["high"] <= angle, "share"].sum()
    high = bins.loc[bins["low"] > angle, "share"].sum()
    return (
        f"Of {int(bins['count'].sum()):,} people who answered the same six items, {low:.0%} have a "
        f"smaller angle and {high:.0%} a larger one (the outer bars; the rest are in your own "
        "bar). Nothing has left this machine."
    )


def degrees(angle: float) -> str:
    """Return an angle to a tenth of a degree."""
    return "no angle" if np.isnan(angle) else f"{angle:.1f}°".replace("-", "−")


def _listed(names: Sequence[str]) -> str:
    items = "item" if len(names) == 1 else "items"
    return f"{items} {' and '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)}"
