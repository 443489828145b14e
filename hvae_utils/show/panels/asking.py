"""Panels that ask a respondent: watch it decide, and try a value of one's own on it.

Whoever asks is passed in as `ask(choices, tell)`: each choice holds the names picked here (model,
value, and for `watch` induction, wording and order), tell is called with one `explore.Event`
after the other, from another thread, and what comes back can be stopped. What a model or a reader
wrote is shown as plain text; whatever goes wrong stands in the panel, where it happened. This
module must never ask a model itself, and never wait for one.

Public names: watch, design, watched, tried.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import ipywidgets as ipw
import numpy as np

from hvae_utils.errors import EndpointError, UserError
from hvae_utils.measure import instruments, own_values, svo, values
from hvae_utils.measure.values import Value
from hvae_utils.show.panels import svg
from hvae_utils.show.panels.sliders import degrees, ideals, panel

SLIDER = instruments.load("svo-slider")
ITEMS = len(SLIDER.items)
ENDS = {"done": "Done: {}.", "stopped": "Stopped. Nothing more is asked."}
WAYS = ("weight of the other's coins, beside 1 for your own", "point on the ring, in degrees")
_LAYOUT = ipw.Layout(width="420px")
_STYLE = {"description_width": "100px"}


class Stoppable(Protocol):
    """An administration under way."""

    def stop(self) -> None:
        """End it as soon as possible."""


Tell = Callable[[Any], None]
Ask = Callable[[Sequence[Mapping[str, Any]], Tell], Stoppable]


def watch(ask: Ask, factors: Mapping[str, Sequence[str]]) -> ipw.VBox:
    """Return the panel that shows one administration as it happens.

    factors: the choices for model, value, induction, wording and order; the first is preset.
    """
    menus = {name: _menu(name, choices) for name, choices in factors.items()}
    shown, heard = ipw.HTML(), []

    def start(tell: Tell) -> Stoppable:
        heard.clear()
        shown.value = ""
        return ask([{name: menu.value.strip() for name, menu in menus.items()}], tell)

    def hear(event: Any) -> None:
        heard.append(event)
        shown.value = watched(heard)

    job = _Job("Ask the six items", start, hear)
    return panel("hvae-watch", *menus.values(), job, shown)


def watched(events: Sequence[Any]) -> str:
    """Return one administration so far: the last question, its probabilities, all items."""
    items = [event for event in events if event.kind == "item"]
    asked = [event for event in events if event.kind == "asked"]
    if not asked:
        return ""
    replied = [event for event in events if event.kind == "replied"]
    reply = (replied[-1].reply or replied[-1].note) if len(replied) == len(asked) else None
    parts = [
        '<div style="display:flex;flex-wrap:wrap;gap:24px"><div style="flex:1 1 380px">',
        f"<b>Message {len(asked)}</b>{svg.exchange(asked[-1].messages, reply)}</div><div>",
    ]
    if items:
        parts += [_bars(items[-1]), "<br>"]
    target = values.get(asked[0].value).target if asked[0].value in values.names() else None
    parts.append(svg.angle_steps([(e.low, e.high) for e in items], ITEMS, target))
    parts += ["</div></div>", _item_table(items)]
    return svg.key_numbers({"angle": _angle(items[-1]) if items else "not yet"}) + "".join(parts)


def design(ask: Ask, models: Sequence[str]) -> ipw.VBox:
    """Return the panel in which a reader words a value, gives it a target, and tries it."""
    word = ipw.Text("even-handed", description="Word", layout=_LAYOUT, style=_STYLE)
    definition = ipw.Textarea(
        "A person who holds this value counts a coin of the other person as half a coin of "
        "their own.",
        description="Definition",
        layout=ipw.Layout(width="620px", height="80px"),
        style=_STYLE,
    )
    way = ipw.Dropdown(options=WAYS, description="Target as", layout=_LAYOUT, style=_STYLE)
    amount = ipw.Text("0.5", description="Number", layout=_LAYOUT, style=_STYLE)
    model = _menu("model", models)
    four = ipw.Checkbox(
        False, description="ask under the four values as well", layout=_LAYOUT, style=_STYLE
    )
    preview, shown, heard, mine = ipw.HTML(), ipw.HTML(), [], []

    def read() -> Value:
        if way.value == WAYS[0]:
            weight = own_values.number(amount.value, "the weight", -10, 10)
            return own_values.from_weight(word.value, definition.value, weight)
        point = own_values.number(amount.value, "the point", -90, 90)
        return own_values.from_point(word.value, definition.value, point)

    def draw(_: Any = None) -> None:
        job.clear()
        mine.clear()
        shown.value = ""
        try:
            preview.value = _previewed(read())
        except UserError as fault:
            preview.value = svg.note(str(fault), "error")

    def start(tell: Tell) -> Stoppable:
        heard.clear()
        mine[:] = [read()]
        others = [name for name in svo.CATEGORIES if four.value and name != mine[0].name]
        held = [*mine, *map(values.get, others)]
        shown.value = ""
        name = model.value.strip()
        return ask([{"model": name, "value": v, "induction": "definition"} for v in held], tell)

    def hear(event: Any) -> None:
        if mine:  # what is asked under changed inputs is of nobody's interest
            heard.append(event)
            shown.value = tried(heard, mine[0])

    job = _Job("Try it", start, hear)
    for control in (word, definition, way, amount, model, four):
        control.observe(draw, "value")
    draw()
    return panel("hvae-design", word, definition, way, amount, preview, model, four, job, shown)


def tried(events: Sequence[Any], mine: Value) -> str:
    """Return what was measured under each value so far, on the ring and as a table."""
    latest = {event.value: event for event in events if event.kind == "item"}
    if not latest:
        return ""
    own = svg.Point(f"your {mine.name}", mine.target, "ideal", mine.name)
    points, rows = [own, *ideals()], []
    for name, event in latest.items():
        aim = mine.target if name == mine.name else values.get(name).target
        kind = "you" if name == mine.name else "model"
        label = "measured" if kind == "you" else f"measured under {name}"
        points.append(svg.Point(label, event.angle, kind, name, 1))
        away = "" if np.isnan(event.angle) else f"{abs(event.angle - aim):.1f}°"
        rows.append((name, degrees(aim), _angle(event), away))
    header = ("value", "target", "measured", "distance")
    angle = _angle(latest[mine.name]) if mine.name in latest else "not yet"
    return (
        svg.key_numbers({"angle": angle})
        + svg.table("Targets and measured angles", header, rows)
        + svg.ring(points)
    )


class _Job(ipw.VBox):
    """A button that starts, one that stops, and a sentence; one administration at a time.

    It is over when the event done, error or stopped has come: only then can the next start.
    """

    def __init__(self, label: str, start: Callable[[Tell], Stoppable], hear: Tell) -> None:
        self._begin, self._hear = start, hear
        self._running: Stoppable | None = None
        self.run = ipw.Button(description=label, button_style="primary")
        self.stop = ipw.Button(description="Stop", disabled=True)
        self.said = ipw.HTML()
        self.run.on_click(self._start)
        self.stop.on_click(self._stop)
        self.run.add_class("hvae-run")
        self.stop.add_class("hvae-stop")
        self.said.add_class("hvae-said")
        super().__init__([ipw.HBox([self.run, self.stop]), self.said])

    def clear(self) -> None:
        """Stop what is under way, or forget how it ended: its result is no longer wanted."""
        if self.stop.disabled:
            self.said.value = ""
        else:
            self._stop()

    def _start(self, _: ipw.Button) -> None:
        self.run.disabled, self.stop.disabled = True, False
        self.said.value = svg.note("Asking …")
        try:
            self._running = self._begin(self._tell)
        except (UserError, EndpointError) as fault:
            self._over(svg.note(str(fault), "error"))

    def _stop(self, _: ipw.Button | None = None) -> None:
        if self._running is not None:
            self.said.value = svg.note("Stopping …")
            self._running.stop()

    def _tell(self, event: Any) -> None:
        self._hear(event)
        if event.kind == "error":
            self._over(svg.note(event.note, "error"))
        elif event.kind in ENDS:
            self._over(svg.note(ENDS[event.kind].format(event.note or "all items were put")))

    def _over(self, said: str) -> None:
        self.said.value = said
        self.run.disabled, self.stop.disabled = False, True


def _menu(name: str, choices: Iterable[str]) -> ipw.Dropdown | ipw.Combobox:
    """Return a menu; a model may also be typed, because no list holds them all."""
    known = list(choices)
    look = {"description": name.capitalize(), "layout": _LAYOUT, "style": _STYLE}
    if name == "model":
        return ipw.Combobox(value=known[0], options=known, ensure_option=False, **look)
    return ipw.Dropdown(options=known, **look)


def _previewed(value: Value) -> str:
    choices = "".join(chr(65 + k) for k in svo.ideal_choices(value, SLIDER))
    return svg.note(
        f"Who holds it perfectly answers {choices} and is measured at {degrees(value.target)}, "
        f"{svo.category(value.target)}."
    )


def _bars(event: Any) -> str:
    """Return an item's probabilities in the order in which the options were shown."""
    payoffs = SLIDER.payoffs[event.item - 1][list(event.order)]
    chances = [event.chances[option] for option in event.order]
    read = None if event.option is None else event.order.index(event.option - 1)
    return f"<b>Item {event.item}</b><br>{svg.probability_bars(chances, payoffs, read)}"


def _item_table(items: Sequence[Any]) -> str:
    rows = []
    for event in items:
        coins = "" if event.option is None else SLIDER.payoffs[event.item - 1, event.option - 1]
        divided = "" if event.option is None else f"{coins[0]:g} for me, {coins[1]:g} for you"
        rows.append((event.item, event.outcome, divided, event.note, _angle(event)))
    header = ("item", "outcome", "choice", "read from", "angle still possible")
    return svg.table("Items so far", header, rows) if rows else ""


def _angle(event: Any) -> str:
    if not np.isnan(event.angle):
        return degrees(event.angle)
    return f"{degrees(event.low)} to {degrees(event.high)}"
