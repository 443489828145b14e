"""The pictures and texts of the panels: data in, SVG or HTML text out, in a few milliseconds.

A panel redraws them whenever a slider moves, so nothing here computes a measure. Every text is
escaped, each picture is an image with a sentence for those who cannot see it, and no meaning rests
on colour alone.
"""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pandas as pd
from matplotlib.markers import MarkerStyle

from hvae_utils.files import one_line
from hvae_utils.measure import instruments, svo
from hvae_utils.show import marks, style

_YOU, _OTHER = style.value_look("individualistic").colour, style.value_look("altruistic").colour
_PEOPLE = "#7FA8C2"
_LOWEST, _HIGHEST = -22.0, 66.0  # degrees of the ring that are drawn: all that six items can reach
_RIM = 215.0  # px
_TALLEST = 62.0  # px of the highest bar of the histogram
_CENTRE = (26.0, 288.0)  # px
_FULL = 180  # px of the longest bar
_KEY_CHARACTERS = 20  # of a value's name, which may have twice as many
_KINDS = {
    "you": "arrow: the angle above",
    "ideal": "large marks: ideals",
    "published": "hollow marks: published",
    "model": "small marks: measured",
}
_INK = "currentColor"
_PAPER = "var(--jp-layout-color1, #fff)"  # JupyterLab's, of the theme; elsewhere white
_SMALL = {"opacity": "0.8", "font_size": 11}


@dataclass(frozen=True)
class Point:
    """A point on the ring: its name, its angle (degrees), and what it is.

    kind: one of _KINDS; value: whose colour and shape it has; lane: of a model, counted inwards.
    """

    name: str
    angle: float
    kind: str
    value: str = ""
    lane: int = 0


def ring(points: Sequence[Point], people: pd.DataFrame | None = None) -> str:
    """Return the ring of the social value orientations with points on it.

    people: one sample's bins (low, high: degrees; share). Points without an angle are left out.

    >>> 'aria-label="A ring of angles. you 45.0°."' in ring([Point("you", 45.0, "you")])
    True
    """
    points = [point for point in points if math.isfinite(point.angle)]
    named = [f"{p.name} {p.angle:.1f}°" for p in points if p.kind in ("you", "ideal")]
    models = len(points) - len(named)
    sentence = f"A ring of angles. {'; '.join(named)}."
    sentence += f" {models} marks of models inside." if models else ""
    parts = [_regions(), "" if people is None else _histogram(people)]
    parts += [_point(point) for point in sorted(points, key=lambda p: p.kind == "you")]
    return _svg(560, 400, sentence, [*parts, *_key(points, people is not None)])


def payoff_bars(own: float, other: float) -> str:
    """Return two bars, 0 to 100 coins, for you and for the other."""
    sentence = f"You get {own:g} coins, the other gets {other:g}."
    shares = (("you", own, _YOU), ("other", other, _OTHER))
    rows = [(name, 0, coins / 100, f"{coins:g}", colour) for name, coins, colour in shares]
    return _bars(sentence, rows, left=46, full=110, right=36)


def probability_bars(
    chances: Sequence[float], payoffs: Sequence[Sequence[float]], chosen: int | None
) -> str:
    """Return a bar for each option (label, coins); chosen: the place read from the reply."""
    rows, words = [], []
    for place, (chance, (own, other)) in enumerate(zip(chances, payoffs, strict=True)):
        letter, listed, read = chr(65 + place), math.isfinite(chance), place == chosen
        share = f"{chance:.0%}" if listed else "not listed"
        words.append(f"{letter} {share}" + ", read as the answer" * read)
        colour = _INK if read else style.RANDOM
        label, end = f"{letter}: {own:g}, {other:g}", chance if listed else 0
        rows.append((label, 0, end, share + " ◀ read" * read, colour))
    return _bars(f"Probabilities of the options: {', '.join(words)}.", rows)


def shares(categories: Mapping[str, float]) -> str:
    """Return one bar for each category, with its share (0 to 1)."""
    rows = [(n, 0, p, f"{p:.0%}", style.value_look(n).colour) for n, p in categories.items()]
    words = ", ".join(f"{name} {share}" for name, _, _, share, _ in rows)
    return _bars(f"Chance of each category: {words}.", rows)


def angle_steps(bounds: Sequence[tuple[float, float]], target: float | None) -> str:
    """Return which angles are still possible after each item; a stroke where only one is.

    bounds: (low, high) in degrees after item 1, 2, …; target: a stroke in the first row.
    """
    aims = [] if target is None else [("target", target, target, _INK)]
    steps = [(f"item {k}", low, high, _OTHER) for k, (low, high) in enumerate(bounds, start=1)]
    rows = []
    for name, low, high, colour in aims + steps:
        words = degrees(low) if high - low < 0.1 else f"{degrees(low)} to {degrees(high)}"
        rows.append(
            (name, *((x - _LOWEST) / (_HIGHEST - _LOWEST) for x in (low, high)), words, colour)
        )
    ranges = ", ".join(f"{low:.0f} to {high:.0f}" for low, high in bounds) or "nothing asked yet"
    return _bars(f"Angles still possible after each item: {ranges}.", rows)


def note(text: str, kind: str = "hint") -> str:
    """Return a sentence as a paragraph; kind: "hint" or "error" (announced to screen readers).

    >>> note("1 < 2").endswith(">1 &lt; 2</p>")
    True
    """
    role, sign = ("alert", "⚠ ") if kind == "error" else ("status", "")
    look = "margin:4px 0;max-width:46em;line-height:1.4"
    return element("p", sign + html.escape(text), class_=f"hvae-{kind}", role=role, style=look)


def key_numbers(numbers: Mapping[str, str]) -> str:
    """Return labelled numbers in a row; the one called "angle" has the class `hvae-angle`."""
    cells = []
    for name, number in numbers.items():
        label = element("div", html.escape(name), style="opacity:0.8;font-size:13px")
        look = {"class_": f"hvae-{name.replace(' ', '-')}", "style": "font-size:22px"}
        value = element("div", html.escape(number), **look)
        cells.append(element("div", label + value, style="margin-right:2em"))
    look = "display:flex;flex-wrap:wrap;line-height:1.35"
    return element("div", "".join(cells), role="status", style=look)


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a caption and a header row; every cell is text."""

    def row(cells: Iterable[object], tag: str, **scope: str) -> str:
        look = {**scope, "style": "text-align:left;padding:2px 10px"}
        return element("tr", "".join(element(tag, html.escape(str(c)), **look) for c in cells))

    title = element("caption", html.escape(caption), style="text-align:left")
    head = element("thead", row(header, "th", scope="col"))
    return element("table", title + head + element("tbody", "".join(row(r, "td") for r in rows)))


def degrees(angle: float) -> str:
    """Return an angle to a tenth of a degree.

    >>> degrees(-16.26), degrees(float("nan"))
    ('−16.3°', 'no angle')
    """
    return "no angle" if math.isnan(angle) else f"{angle:.1f}°".replace("-", "−")


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return an element of SVG or HTML; content is markup, the values of attributes are escaped.

    >>> element("rect", width=10.04, stroke_width=2)
    '<rect width="10.0" stroke-width="2"></rect>'
    """
    parts = [name]
    for key, value in attributes.items():
        text = f"{value:.1f}" if isinstance(value, float) else html.escape(str(value))
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{text}"')
    return f"<{' '.join(parts)}>{content}</{name}>"


def _text(x: float, y: float, words: str, **look: object) -> str:
    return element("text", html.escape(words), x=x, y=y, **look)


def _svg(width: int, height: int, sentence: str, parts: Iterable[str]) -> str:
    """Return the picture, in the ink and on the paper of the page's theme, named for a reader."""
    size = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    look = {"style": "display:block;max-width:100%;height:auto", "fill": _INK}
    look |= {"font_family": "sans-serif", "font_size": 12.5}
    space = "http://www.w3.org/2000/svg"
    return element(
        "svg", "".join(parts), xmlns=space, role="img", aria_label=sentence, **size, **look
    )


def _bars(
    sentence: str,
    rows: Sequence[tuple[str, float, float, str, str]],
    left: int = 108,
    full: int = _FULL,
    right: int = 110,
) -> str:
    """Return named bars; rows: name, start and end (0 to 1), words beside the bar, colour.

    left, right: px for names and for words; full: px of the longest bar.
    """
    parts = []
    for y, (name, start, end, words, colour) in zip(range(4, 1000, 20), rows, strict=False):
        least = 2.0 if start else 0.0  # px; a range that is a single angle is still seen
        x, width = left + full * start, max(full * (end - start), least)
        parts.append(_text(left - 6, y + 12, name, text_anchor="end"))
        parts.append(element("rect", x=x, y=y, width=width, height=15, fill=colour))
        parts.append(_text(x + width + 4, y + 12, words))
    return _svg(left + full + right, 4 + 20 * len(rows), sentence, parts)


def _at(angle: float, radius: float) -> tuple[float, float]:
    x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return round(_CENTRE[0] + radius * x, 1), round(_CENTRE[1] - radius * y, 1)


def _sector(low: float, high: float, inner: float, outer: float, **look: object) -> str:
    (a, b), (c, d) = _at(low, inner), _at(low, outer)
    (e, f), (g, h) = _at(high, outer), _at(high, inner)
    path = f"M{a} {b}L{c} {d}A{outer} {outer} 0 0 0 {e} {f}L{g} {h}A{inner} {inner} 0 0 1 {a} {b}Z"
    return element("path", d=path, **look)


@cache
def _regions() -> str:
    """Return the categories with their names, and the scale in degrees."""
    parts = []
    boundaries = instruments.load("svo-slider").boundaries
    for name, low, high in marks.regions(boundaries, _LOWEST, _HIGHEST):
        colour, middle = style.value_look(name).colour, (low + high) / 2
        parts.append(_sector(low, high, 1, _RIM - 12, fill=colour, fill_opacity="0.1"))
        parts.append(_sector(low, high, _RIM - 12, _RIM, fill=colour))
        x, y = _at(middle, 0.47 * _RIM)
        turned = {"transform": f"rotate({-middle:.1f} {x} {y})", "text_anchor": "middle"}
        parts.append(_text(x, y + 4, name, **turned, **_SMALL))
    for angle in (0, 15, 30, 45, 60):
        x, y = _at(angle, _RIM + _TALLEST + 18)
        parts.append(_text(x, y + 4, f"{angle}°", **_SMALL))
    return "".join(parts)


def _histogram(people: pd.DataFrame) -> str:
    """Return a bar outside the rim for each bin of angles that is drawn."""
    inner, look = _RIM + 2, {"fill": _PEOPLE, "style": f"stroke:{_PAPER};stroke-width:0.5"}
    heights = _TALLEST * people["share"] / people["share"].max()
    bins = zip(people["low"], people["high"], heights, strict=True)
    return "".join(
        _sector(max(low, _LOWEST), min(high, _HIGHEST), inner, inner + height, **look)
        for low, high, height in bins
        if height > 0 and high > _LOWEST and low < _HIGHEST
    )


def _key(points: Sequence[Point], people: bool) -> list[str]:
    """Return what the marks mean, on the right where no point reaches."""
    targets = {point.value: point.angle for point in points if point.kind == "ideal"}
    marked = [point.value for point in points if point.value and point.kind != "you"]
    parts, y = [], 192
    for name in dict.fromkeys([*svo.CATEGORIES, *marked]):
        label = "no value assigned" if name == "none" else one_line(name, _KEY_CHARACTERS)
        if name in targets and name not in svo.CATEGORIES:
            label = f"{one_line(name, _KEY_CHARACTERS - 6)} {targets[name]:.1f}°"
        parts += [_mark(name, 410, y, 5), _text(422, y + 4, label)]
        y += 18
    present = {point.kind for point in points}
    lines = [meaning for kind, meaning in _KINDS.items() if kind in present]
    for row, line in enumerate(lines + ["outer bars: people"] * people):
        parts.append(_text(404, y + 16 + 18 * row, line, opacity="0.8"))
    return parts


def _point(point: Point) -> str:
    title = element("title", html.escape(f"{point.name}: {point.angle:.1f}°"))
    if point.kind == "you":
        return element("g", title + _arrow(point))
    inwards = {"ideal": 24, "published": 42}.get(point.kind, 56 + 13 * point.lane)
    at, size = _at(point.angle, _RIM - inwards), 6.5 if point.kind == "ideal" else 4.0
    return element("g", title + _mark(point.value, *at, size, hollow=point.kind == "published"))


def _arrow(point: Point) -> str:
    """Return the arrow from the centre to the rim, and its name outside the histogram."""
    (x, y), (u, v) = _at(point.angle, 0), _at(point.angle, _RIM + 6)
    (a, b), (c, d) = _at(point.angle - 2.4, _RIM - 8), _at(point.angle + 2.4, _RIM - 8)
    s, t = _at(point.angle, _RIM + _TALLEST + 4)
    bold = {"font_weight": "bold", "style": f"paint-order:stroke;stroke:{_PAPER};stroke-width:4"}
    return (
        element("line", x1=x, y1=y, x2=u, y2=v, stroke=_INK, stroke_width=3)
        + element("path", d=f"M{u} {v}L{a} {b}L{c} {d}Z")
        + element("line", x1=u, y1=v, x2=s, y2=t, stroke=_INK, stroke_dasharray="3 3")
        + _text(s + 4, t - 4, f"{point.name} {point.angle:.1f}°", **bold)
    )


def _mark(value: str, x: float, y: float, size: float, hollow: bool = False) -> str:
    """Return the mark that a value has in every figure."""
    look = style.value_look(value)
    colour = _INK if value == "none" else look.colour
    colours = {"fill": colour}
    if hollow:
        colours = {"style": f"fill:{_PAPER}", "stroke": colour, "stroke_width": 1.8}
    if look.marker == "o":
        return element("circle", cx=x, cy=y, r=size, **colours)
    corners = " ".join(f"{x + size * a:.1f},{y - size * b:.1f}" for a, b in _outline(look.marker))
    return element("polygon", points=corners, **colours)


@cache
def _outline(marker: str) -> list[tuple[float, float]]:
    """Return the corners of matplotlib's marker, about 1 from its centre."""
    shape = MarkerStyle(marker)
    path = shape.get_path().transformed(shape.get_transform().frozen().scale(2))
    return [(float(x), float(y)) for x, y in path.to_polygons()[0]]
