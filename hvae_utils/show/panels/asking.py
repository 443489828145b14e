"""Panels that ask a respondent: watch it decide, and try a value that its reader words.

Whoever asks is passed in as `ask(choices, report)`: each choice has the factors picked here, report
is called with one event after the other (`play.watch.Event`) from another thread, and what `ask`
returns can be stopped. Whatever goes wrong stands in the panel.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np

from hvae_utils.errors import EndpointError, UserError
from hvae_utils.measure import own_values, svo, values
from hvae_utils.measure.values import Value
from hvae_utils.show.panels import svg
from hvae_utils.show.panels.sliders import SLIDER, WIDE, ideals, panel, redraw
from hvae_utils.show.panels.svg import degrees
from hvae_utils.show.transcripts import Transcript

ENDS = {"done": "Done: all items were put.", "stopped": "Stopped. Nothing more is asked."}
WAYS = ("weight of the other's coins, beside 1 for your own", "point on the ring, in degrees")
EXAMPLE = (
    "A person who holds this value counts a coin of the other person as half a coin of their own."
)
_FIELD = {"style": {"description_width": "100px"}, **WIDE}

Report = Callable[[Any], None]
Ask = Callable[[Sequence[Mapping[str, Any]], Report], Any]  # returns what has a method `stop`


def watch(ask: Ask, factors: Mapping[str, Sequence[str]]) -> ipw.VBox:
    """Return the panel that shows one administration as it happens.

    factors: the choices for model, value, induction, wording and order; the first is preset.
    """
    menus = {name: _menu(name, choices) for name, choices in factors.items()}

    def start(report: Report) -> Any:
        return ask([{name: menu.value.strip() for name, menu in menus.items()}], report)

    job = _Job("Ask the six items", start, watched)
    redraw(job.clear, *menus.values())  # an answer belongs to what was picked when it was asked
    return panel("hvae-watch", *menus.values(), job)


def watched(events: Sequence[Any]) -> str:
    """Return one administration so far: the last question, its probabilities, all items."""
    kinds = ("item", "asked", "replied")
    items, asked, replied = ([one for one in events if one.kind == kind] for kind in kinds)
    if not asked:
        return ""
    said = {"role": "assistant", "content": "…"}
    if len(replied) == len(asked):
        content = replied[-1].reply or replied[-1].note or "(an empty reply)"
        said |= {"content": content, "thought": replied[-1].thought}
    messages = (*asked[-1].messages, said)
    dialogue = Transcript(f"Message {len(asked)}", messages)._repr_html_()
    value = values.load().get(asked[0].value)
    pictures = svg.angle_steps([(e.low, e.high) for e in items], value and value.target)
    if items:
        pictures = _bars(items[-1]) + pictures
    columns = svg.element("div", dialogue, style="flex:1 1 380px") + svg.element("div", pictures)
    return (
        svg.key_numbers({"angle": _angle(items[-1]) if items else "not yet"})
        + svg.element("div", columns, style="display:flex;flex-wrap:wrap;gap:24px")
        + (_item_table(items) if items else "")
    )


def design(ask: Ask, models: Sequence[str]) -> ipw.VBox:
    """Return the panel in which a reader words a value, gives it a target, and tries it."""
    word = ipw.Text("even-handed", description="Word", **_FIELD)
    definition = ipw.Textarea(EXAMPLE, description="Definition", **_FIELD)
    definition.layout = {"width": "620px", "height": "80px"}
    way = ipw.Dropdown(options=WAYS, description="Target as", **_FIELD)
    amount = ipw.Text("0.5", description="Number", **_FIELD)
    model = _menu("model", models)
    four = ipw.Checkbox(description="ask under the four values as well", **_FIELD)
    preview = ipw.HTML()

    def value() -> Value:
        if way.value == WAYS[0]:
            weight = own_values.number(amount.value, "the weight", -10, 10)
            return own_values.from_weight(word.value, definition.value, weight)
        point = own_values.number(amount.value, "the point", -90, 90)
        return own_values.from_point(word.value, definition.value, point)

    def start(report: Report) -> Any:
        held = [value()]
        if four.value:
            held += [values.get(name) for name in svo.CATEGORIES if name != held[0].name]
        asked = {"model": model.value.strip(), "induction": "definition"}
        return ask([{**asked, "value": one} for one in held], report)

    def change() -> None:
        job.clear()
        try:
            designed = value()
            letters = "".join(chr(65 + k) for k in svo.ideal_choices(designed, SLIDER))
            preview.value = svg.note(
                f"Who holds it perfectly answers {letters} and is measured at "
                f"{degrees(designed.target)}, {svo.category(designed.target)}."
            )
        except UserError as fault:
            preview.value = svg.note(str(fault), "error")

    # a change of the fields clears the job, so what it shows belongs to the value they hold
    job = _Job("Try it", start, lambda events: tried(events, value()))
    redraw(change, word, definition, way, amount, model, four)
    return panel("hvae-design", word, definition, way, amount, preview, model, four, job)


def tried(events: Sequence[Any], designed: Value) -> str:
    """Return what was measured under each value so far, on the ring and as a table."""
    latest = {event.value: event for event in events if event.kind == "item"}
    if not latest:
        return ""
    points = [svg.Point(f"your {designed.name}", designed.target, "ideal", designed.name)]
    points += ideals()
    rows = []
    for name, event in latest.items():
        yours = name == designed.name
        target = designed.target if yours else values.get(name).target
        label, kind = ("measured", "you") if yours else (f"measured under {name}", "model")
        points.append(svg.Point(label, event.angle, kind, name, 1))
        distance = "" if np.isnan(event.angle) else f"{abs(event.angle - target):.1f}°"
        rows.append((name, degrees(target), _angle(event), distance))
    angle = _angle(latest[designed.name]) if designed.name in latest else "not yet"
    header = ("value", "target", "measured", "distance")
    return (
        svg.key_numbers({"angle": angle})
        + svg.table("Targets and measured angles", header, rows)
        + svg.ring(points)
    )


class _Job(ipw.VBox):
    """A button that starts, one that stops, a sentence, and the picture of the events so far."""

    def __init__(
        self, label: str, start: Callable[[Report], Any], draw: Callable[[Sequence[Any]], str]
    ) -> None:
        self._begin, self._draw = start, draw
        self._events: list[Any] | None = None  # None: what still comes is not wanted
        self._running: Any = None
        self.run = ipw.Button(description=label, button_style="primary")
        self.stop = ipw.Button(description="Stop", disabled=True)
        self.status, self.picture = ipw.HTML(), ipw.HTML()
        self.run.on_click(self._start)
        self.stop.on_click(self._stop)
        super().__init__([ipw.HBox([self.run, self.stop]), self.status, self.picture])

    def clear(self) -> None:
        """Forget the result, and stop what is under way."""
        self._events, self.picture.value = None, ""
        if self.stop.disabled:
            self.status.value = ""
        else:
            self._stop()

    def _start(self, _: ipw.Button) -> None:
        self._events, self.picture.value = [], ""
        self.run.disabled, self.stop.disabled = True, False
        self.status.value = svg.note("Asking …")
        try:
            self._running = self._begin(self._report)
        except (UserError, EndpointError) as fault:
            self._end(str(fault), "error")

    def _stop(self, _: ipw.Button | None = None) -> None:
        self.status.value = svg.note("Stopping …")
        self._running.stop()

    def _report(self, event: Any) -> None:
        events = self._events  # another thread may clear it meanwhile
        if events is not None:
            events.append(event)
            self.picture.value = self._draw(events)
        if event.kind == "error":
            self._end(event.note, "error")
        elif event.kind in ENDS:
            self._end(ENDS[event.kind])

    def _end(self, sentence: str, kind: str = "hint") -> None:
        self.status.value = svg.note(sentence, kind)
        self.run.disabled, self.stop.disabled = False, True


def _menu(name: str, choices: Iterable[str]) -> ipw.Dropdown | ipw.Combobox:
    """Return a menu; a model may also be typed."""
    field = {"description": name.capitalize(), "options": tuple(choices), **_FIELD}
    if name == "model":
        return ipw.Combobox(value=field["options"][0], ensure_option=False, **field)
    return ipw.Dropdown(**field)


def _bars(event: Any) -> str:
    """Return an item's probabilities in the order in which the options were shown."""
    payoffs = SLIDER.payoffs[event.item - 1][list(event.order)]
    chances = [event.chances[option] for option in event.order]
    place = None if event.option is None else event.order.index(event.option - 1)
    return f"<b>Item {event.item}</b><br>{svg.probability_bars(chances, payoffs, place)}<br>"


def _item_table(items: Sequence[Any]) -> str:
    rows = []
    for event in items:
        choice = ""
        if event.option is not None:
            me, you = SLIDER.payoffs[event.item - 1, event.option - 1]
            choice = f"{me:g} for me, {you:g} for you"
        rows.append((event.item, event.outcome, choice, event.note, _angle(event)))
    header = ("item", "outcome", "choice", "read from", "angle still possible")
    return svg.table("Items so far", header, rows)


def _angle(event: Any) -> str:
    if not np.isnan(event.angle):
        return degrees(event.angle)
    return f"{degrees(event.low)} to {degrees(event.high)}"
