"""Small pictures that follow a slider: data in, SVG or HTML text out, in a few milliseconds.

A page redraws them at every move, so nothing here computes a measure or opens a figure. Every text
that somebody typed or a model wrote goes through `html.escape`; nothing else may enter a picture.
Each picture is an image with a sentence for those who cannot see it, and no colour stands alone.
This module must never hold markup that runs: no script, no link, no external file.

Public names: Point, payoff_bars, ring, probability_bars, angle_steps, shares, note, key_numbers,
table, exchange.
"""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import pandas as pd

from hvae_utils.measure import instruments, svo
from hvae_utils.show import marks, style

SHOWN_CHARACTERS = 4000  # of a text in an exchange; a page with more is not readable
_YOU, _OTHER = style.value_look("individualistic").colour, style.value_look("altruistic").colour
_PEOPLE = "#7FA8C2"
_FAN = (-22.0, 66.0)  # degrees of the ring that are drawn: all that six items can reach
_RIM = 215.0  # px
_TALLEST = 62.0  # px of the highest bar of the histogram
_CENTRE = (26.0, 288.0)  # px


@dataclass(frozen=True)
class Point:
    """A point on the ring: its name, its angle (degrees), and what it is.

    kind: "you" (an arrow), "ideal", "published" (a model of the published chart) or "model"; value:
    whose colour and shape it has; lane: of a model, counted inwards from the rim.
    """

    name: str
    angle: float
    kind: str
    value: str = ""
    lane: int = 0


def payoff_bars(own: float, other: float) -> str:
    """Return two bars, 0 to 100 coins, for you and for the other."""
    said = f"You get {own:g} coins, the other gets {other:g}."
    rows = []
    for place, (who, coins, colour) in enumerate((("you", own, _YOU), ("other", other, _OTHER))):
        y = 4 + 20 * place
        rows.append(
            f'<text x="40" y="{y + 12}" text-anchor="end">{who}</text>'
            f'<rect x="46" y="{y}" width="{2 * coins:.1f}" height="15" fill="{colour}"/>'
            f'<text x="{50 + 2 * coins:.1f}" y="{y + 12}">{coins:g}</text>'
        )
    return _svg(290, 44, said, "".join(rows))


def ring(points: Sequence[Point], people: pd.DataFrame | None = None) -> str:
    """Return the ring of the social value orientations with points on it.

    people: one sample's bins (low, high: degrees; share), drawn outwards from the rim. Points
    without an angle (NaN) are left out; the caller says so.
    """
    points = [point for point in points if math.isfinite(point.angle)]
    bins = None if people is None else [tuple(people[name]) for name in ("low", "high", "share")]
    parts = [_regions(), _histogram(*bins) if bins else ""]
    parts += [_point(point) for point in sorted(points, key=lambda p: p.kind == "you")]
    shown = "; ".join(
        f"{point.name} {point.angle:.1f}°" for point in points if point.kind in ("you", "ideal")
    )
    models = sum(point.kind in ("published", "model") for point in points)
    said = f"A ring of angles. {shown}." + (f" {models} marks of models inside." if models else "")
    return _svg(560, 400, said, "".join([*parts, _key(points, people is not None)]))


def probability_bars(
    chances: Sequence[float], payoffs: Sequence[Sequence[float]], chosen: int | None
) -> str:
    """Return a bar for each option (label, coins); chosen: the place read from the reply."""
    rows, words = [], []
    for place, (chance, coins) in enumerate(zip(chances, payoffs, strict=True)):
        letter, y, known = chr(65 + place), 3 + 19 * place, math.isfinite(chance)
        width = 150 * chance if known else 0
        share = f"{100 * chance:.0f}%" if known else "not listed"
        read = " ◀ read" if place == chosen else ""
        fill = style.INK if place == chosen else style.RANDOM
        words.append(f"{letter} {share}{read and ', read as the answer'}")
        rows.append(
            f'<text x="96" y="{y + 12}" text-anchor="end">'
            f"{letter}: {coins[0]:g}, {coins[1]:g}</text>"
            f'<rect x="102" y="{y}" width="{width:.1f}" height="14" fill="{fill}"/>'
            f'<text x="{106 + width:.1f}" y="{y + 12}">{share}{read}</text>'
        )
    said = "Probabilities of the options: " + ", ".join(words) + "."
    return _svg(340, 6 + 19 * len(rows), said, "".join(rows))


def angle_steps(bounds: Sequence[tuple[float, float]], items: int, target: float | None) -> str:
    """Return which angles are still possible after each item; a point where only one is.

    bounds: (low, high) in degrees after item 1, 2, …; target: a dashed line.
    """

    def y(angle: float) -> float:
        return 190 - 2.1 * (angle + 20)

    parts = [
        f'<line x1="44" x2="330" y1="{y(a):.1f}" y2="{y(a):.1f}" stroke="{style.FAINT}"/>'
        f'<text x="38" y="{y(a) + 4:.1f}" text-anchor="end">{a}°</text>'
        for a in (0, 20, 40, 60)
    ]
    if target is not None:
        line = f'x1="44" x2="330" y1="{y(target):.1f}" y2="{y(target):.1f}"'
        parts.append(f'<line {line} stroke="{style.INK}" stroke-dasharray="6 4"/>')
        parts.append(f'<text x="334" y="{y(target) + 4:.1f}">target</text>')
    for place, (low, high) in enumerate(bounds):
        x = 66 + 46 * place
        parts.append(
            f'<rect x="{x - 14}" y="{y(high) - 2:.1f}" width="28" rx="2" fill="{_OTHER}" '
            f'height="{max(2.1 * (high - low), 0) + 4:.1f}"/>'
        )
    parts += [
        f'<text x="{66 + 46 * place}" y="212" text-anchor="middle">{place + 1}</text>'
        for place in range(items)
    ]
    said = "Angles still possible after each item: " + (
        ", ".join(f"{low:.0f} to {high:.0f}" for low, high in bounds) or "nothing asked yet"
    )
    return _svg(380, 220, f"{said}.", "".join(parts))


def shares(found: Mapping[str, float]) -> str:
    """Return one bar for each category, with its share."""
    rows = []
    for place, (name, share) in enumerate(found.items()):
        y, look = 4 + 22 * place, style.value_look(name)
        rows.append(
            f'<text x="104" y="{y + 13}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="110" y="{y}" width="{180 * share:.1f}" height="16" fill="{look.colour}"/>'
            f'<text x="{114 + 180 * share:.1f}" y="{y + 13}">{100 * share:.0f}%</text>'
        )
    said = ", ".join(f"{name} {100 * share:.0f}%" for name, share in found.items())
    return _svg(340, 8 + 22 * len(rows), f"Chance of each category: {said}.", "".join(rows))


def note(text: str, kind: str = "hint") -> str:
    """Return a sentence as a paragraph; kind: "hint" or "error" (announced to screen readers)."""
    role, mark = ("alert", "⚠ ") if kind == "error" else ("status", "")
    return f'<p class="hvae-{kind}" role="{role}" style="{_PROSE}">{mark}{html.escape(text)}</p>'


def key_numbers(numbers: Mapping[str, str]) -> str:
    """Return labelled numbers in a row; the one called "angle" has the class `hvae-angle`.

    In the page's own ink, which is light where the theme is dark.
    """
    cells = "".join(
        f'<div style="margin-right:2em"><div style="opacity:0.8;font-size:13px">'
        f'{html.escape(name)}</div><div class="hvae-{html.escape(name.replace(" ", "-"))}" '
        f'style="font-size:22px">{html.escape(said)}</div></div>'
        for name, said in numbers.items()
    )
    return f'<div role="status" style="display:flex;flex-wrap:wrap;line-height:1.35">{cells}</div>'


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a caption and a header row; every cell is text."""
    head = "".join(f'<th scope="col" {_CELL}>{html.escape(str(cell))}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td {_CELL}>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    title = f'<caption style="text-align:left">{html.escape(caption)}</caption>'
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def exchange(messages: Sequence[Mapping[str, str]], reply: str | None) -> str:
    """Return what was said, turn by turn, and the reply (None: not there yet), as plain text."""
    turns = [(message["role"], message["content"]) for message in messages]
    turns.append(("reply", "…" if reply is None else reply or "(an empty reply)"))
    return "".join(
        f'<div class="hvae-turn" style="margin:4px 0"><b>{html.escape(role)}</b>'
        f'<pre style="{_PRE}">{html.escape(_shortened(text))}</pre></div>'
        for role, text in turns
    )


_CELL = 'style="text-align:left;padding:2px 10px"'
_PROSE = "margin:4px 0;max-width:46em;line-height:1.4"
_PRE = (  # JupyterLab breaks words anywhere in what is set like this
    "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;margin:0;padding:4px 8px;"
    f"border-left:3px solid {style.FAINT}"
)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _shortened(text: str) -> str:
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]}… ({len(text):,} characters)"


def _svg(width: int, height: int, said: str, content: str) -> str:
    """Return the picture: black on white whatever the page's theme is, named for a reader."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(said)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'style="max-width:100%;background:#fff" font-family="sans-serif" font-size="12.5" '
        f'fill="{style.INK}">{content}</svg>'
    )


def _at(angle: float, radius: float) -> tuple[float, float]:
    turned = math.radians(angle)
    x, y = _CENTRE[0] + radius * math.cos(turned), _CENTRE[1] - radius * math.sin(turned)
    return round(x, 1), round(y, 1)


def _sector(low: float, high: float, inner: float, outer: float, look: str) -> str:
    (a, b), (c, d) = _at(low, inner), _at(low, outer)
    (e, f), (g, h) = _at(high, outer), _at(high, inner)
    path = f"M{a} {b}L{c} {d}A{outer} {outer} 0 0 0 {e} {f}L{g} {h}A{inner} {inner} 0 0 1 {a} {b}Z"
    return f'<path d="{path}" {look}/>'


@cache
def _regions() -> str:
    """Return the categories with their names, and the scale in degrees."""
    parts = []
    for name, low, high in marks.regions(instruments.load("svo-slider").boundaries, *_FAN):
        colour = style.value_look(name).colour
        parts.append(_sector(low, high, 1, _RIM - 12, f'fill="{colour}" fill-opacity="0.1"'))
        parts.append(_sector(low, high, _RIM - 12, _RIM, f'fill="{colour}"'))
        x, y = _at((low + high) / 2, 0.47 * _RIM)
        turn = -(low + high) / 2
        parts.append(
            f'<text x="{x}" y="{y + 4}" transform="rotate({turn:.1f} {x} {y})" '
            f'text-anchor="middle" fill="{style.MUTED}" font-size="11.5">{name}</text>'
        )
    for tick in (0, 15, 30, 45, 60):
        x, y = _at(tick, _RIM + _TALLEST + 18)
        parts.append(
            f'<text x="{x}" y="{y + 4}" fill="{style.MUTED}" font-size="11">{tick}°</text>'
        )
    return "".join(parts)


def _key(points: Sequence[Point], people: bool) -> str:
    """Return what the marks mean, on the right where no point reaches."""
    kinds = {point.kind for point in points}
    lines = [name for kind, name in _KINDS.items() if kind in kinds]
    lines += ["outer bars: people"] if people else []
    marked = {point.value: None for point in points if point.value and point.kind != "you"}
    names = list(dict.fromkeys([*svo.CATEGORIES, *marked]))
    targets = {point.value: point.angle for point in points if point.kind == "ideal"}
    parts = []
    for row, name in enumerate(names):
        look, y = style.value_look(name), 192 + 18 * row
        said = "no value assigned" if name == "none" else _cut(name, _KEY_CHARACTERS)
        if name in targets and name not in svo.CATEGORIES:
            said = f"{_cut(name, _KEY_CHARACTERS - 6)} {targets[name]:.1f}°"
        parts.append(_mark(look.marker, 410, y, 5, look.colour))
        parts.append(f'<text x="422" y="{y + 4}">{html.escape(said)}</text>')
    below = 192 + 18 * len(names) + 16
    parts += [
        f'<text x="404" y="{below + 18 * row}" fill="{style.MUTED}">{line}</text>'
        for row, line in enumerate(lines)
    ]
    return "".join(parts)


_KINDS = {
    "you": "arrow: the point in question",
    "ideal": "large marks: ideals",
    "published": "hollow marks: published",
    "model": "small marks: measured",
}
_KEY_CHARACTERS = 20  # of a value's name, which may have twice as many


@lru_cache
def _histogram(low: tuple[float, ...], high: tuple[float, ...], share: tuple[float, ...]) -> str:
    """Return the bars of the bins; kept, because they are the same at every move of a slider."""
    scale = _TALLEST / max(share)
    look = f'fill="{_PEOPLE}" stroke="#fff" stroke-width="0.5"'
    return "".join(
        _sector(max(a, _FAN[0]), min(b, _FAN[1]), _RIM + 2, _RIM + 2 + scale * height, look)
        for a, b, height in zip(low, high, share, strict=True)
        if height > 0 and b > _FAN[0] and a < _FAN[1]
    )


def _point(point: Point) -> str:
    title = f"<title>{html.escape(point.name)}: {point.angle:.1f}°</title>"
    if point.kind == "you":
        (x, y), (u, v) = _at(point.angle, 0), _at(point.angle, _RIM + 6)
        (a, b), (c, d) = _at(point.angle - 2.4, _RIM - 8), _at(point.angle + 2.4, _RIM - 8)
        s, t = _at(point.angle, _RIM + _TALLEST + 4)
        return (
            f'<g>{title}<line x1="{x}" y1="{y}" x2="{u}" y2="{v}" stroke="{style.INK}" '
            f'stroke-width="3"/><path d="M{u} {v}L{a} {b}L{c} {d}Z"/><line x1="{u}" y1="{v}" '
            f'x2="{s}" y2="{t}" stroke="{style.INK}" stroke-dasharray="3 3"/>'
            f'<text x="{s + 4}" y="{t - 4}" font-weight="bold" paint-order="stroke" stroke="#fff" '
            f'stroke-width="4">{html.escape(point.name)} {point.angle:.1f}°</text></g>'
        )
    look = style.value_look(point.value)
    inwards, size = {"ideal": (24, 6.5), "published": (42, 4.0)}.get(
        point.kind, (56 + 13 * point.lane, 4.0)
    )
    at = _at(point.angle, _RIM - inwards)
    return f"<g>{title}{_mark(look.marker, *at, size, look.colour, point.kind == 'published')}</g>"


_SHAPES = {
    "s": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "^": ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
    "D": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "X": ((-1, -1), (0, -0.4), (1, -1), (0.4, 0), (1, 1), (0, 0.4), (-1, 1), (-0.4, 0)),
    "P": (
        *((-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4)),
        *((0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4)),
    ),
}


def _mark(marker: str, x: float, y: float, size: float, colour: str, hollow: bool = False) -> str:
    look = f'fill="#fff" stroke="{colour}" stroke-width="1.8"' if hollow else f'fill="{colour}"'
    if marker not in _SHAPES:
        return f'<circle cx="{x}" cy="{y}" r="{size}" {look}/>'
    points = " ".join(f"{x + size * a:.1f},{y + size * b:.1f}" for a, b in _SHAPES[marker])
    return f'<polygon points="{points}" {look}/>'
