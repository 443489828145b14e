"""How figures look and how they are kept: palette, markers, page, and saving to the byte.

A figure is stored as SVG, PNG and the CSV it was drawn from, listed with caption, alternative
text and hashes in the folder's index.json.
"""

import base64
import hashlib
import html
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import matplotlib.style
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hvae_utils import files, paths
from hvae_utils.errors import UserError

WIDTH = 17 / 2.54  # inches: the text width of a page; shown at 800 px, 8 points are 13 px
DPI = 200
INK = "#1A1A1A"
MUTED = "#595959"
FAINT = "#D9D9D9"
RANDOM = "#6E6E6E"

# With the goal prompt marks are filled and lines solid; without it hollow and dashed.
GOAL = {True: "with goal prompt", False: "without goal prompt"}
NO_GOAL_LINE = (0, (3, 1.6))


@dataclass(frozen=True)
class Look:
    """The look of a category: a colour and, for those who cannot tell colours, a second cue."""

    colour: str
    marker: str = "o"
    hatch: str = ""


# After Okabe & Ito (2008), the vermillion darkened: under simulated deuteranopia and protanopia
# (Machado et al. 2009) no two of the five come closer than 35 units of CIELAB distance.
_VALUES = {
    "altruistic": Look("#0072B2", "o"),
    "prosocial": Look("#009E73", "s"),
    "individualistic": Look("#E69F00", "^"),
    "competitive": Look("#A63603", "D"),
    "none": Look("#333333", "X"),
}
_OTHER_VALUE = Look("#CC79A7", "P")

OUTCOMES = {
    "choice": Look("#D5E3EC"),
    "refusal": Look("#A63603", hatch="xxxx"),
    "unparseable": Look("#E69F00", hatch="////"),
    "truncated": Look("#56B4E9", hatch="...."),
    "empty": Look("#FFFFFF", hatch="\\\\\\\\"),
    "error": Look("#333333"),
}

_TEXT = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor")
_PAGE = {  # what differs from matplotlib's defaults; its own font comes with it everywhere
    **dict.fromkeys(_TEXT, INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
    **dict.fromkeys(("font.size", "axes.labelsize", "figure.labelsize"), 8),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7.5),
    **dict.fromkeys(("legend.frameon", "axes.spines.top", "axes.spines.right"), False),
    **dict.fromkeys(("grid.linewidth", "hatch.linewidth"), 0.6),
    "figure.dpi": DPI,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "legend.handlelength": 2.2,
    "legend.columnspacing": 1.6,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "hvae",
}


def value_look(name: str) -> Look:
    """Return the look of an assigned value or category; values of a user's own share one look.

    >>> value_look("prosocial").marker, value_look("thrifty").marker
    ('s', 'P')
    """
    return _VALUES.get(name, _OTHER_VALUE)


@contextmanager
def context() -> Iterator[None]:
    """Within it, matplotlib draws as we do, whatever a notebook or a matplotlibrc has set."""
    with matplotlib.style.context(["default", _PAGE]):
        yield


def new_figure(height: float) -> Figure:
    """Return an empty figure, one page wide and `height` inches high, unknown to pyplot."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)  # one renderer from layout to PNG remembers how wide each word is
    return figure


def drawing(draw: Callable[[pd.DataFrame], Figure]) -> Callable[[pd.DataFrame], Figure]:
    """Make a function of a table draw in our style, and settle its layout.

    The layout engine runs twice, because panels of a fixed shape need the second round, and is
    then removed, so that every save gives the same bytes.
    """

    @wraps(draw)
    def drawn(table: pd.DataFrame) -> Figure:
        with context():
            figure = draw(table)
            for _ in range(2):
                figure.get_layout_engine().execute(figure)
            figure.set_layout_engine("none")
        return figure

    return drawn


def panels(figure: Figure, count: int, columns: int, **options: Any) -> list[Axes]:
    """Return `count` axes in rows of `columns`; tick labels on the left and lowest panels only."""
    every = list(figure.subplots(-(-count // columns), columns, squeeze=False, **options).flat)
    for axes in every[count:]:
        axes.remove()
    for index, axes in enumerate(every[:count]):
        axes.tick_params(labelbottom=index + columns >= count, labelleft=index % columns == 0)
    return every[:count]


def by_respondent(
    table: pd.DataFrame, line: float, rest: float, most: int = 3, beside: float = 0
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Return a figure, and axes and rows of each respondent of the table, `most` in a line.

    line, rest: inches, the height of a line of panels and of all else; beside: panels, of labels.
    """
    groups = dict(list(table.groupby("respondent", sort=False)))
    columns = min(most, len(groups))
    figure = new_figure(rest + line * -(-len(groups) // columns))
    every = panels(figure, len(groups), columns)
    name_panels(every, list(groups), columns + beside)
    return figure, list(zip(every, groups.values(), strict=True))


def name_panels(every: list[Axes], names: list[str], columns: float, **options: Any) -> None:
    """Write the names above their panels, all in one size; one that does not fit on more lines."""
    room = 0.86 * 72 * WIDTH / columns  # points
    width = 0.68  # of a bold letter, about, in units of the size
    size = 8.5 if all(width * 8.5 * len(name) <= room for name in names) else 7.2
    for axes, name in zip(every, names, strict=True):
        axes.set_title("\n".join(_lines(name, room / width / size)), fontsize=size, **options)


def _lines(name: str, most: float) -> list[str]:
    """Return a name in parts of at most so many letters, broken where words end."""
    if len(name) <= max(most, 1):
        return [name]
    ends = [at for at in range(1, len(name)) if name[at - 1] in "-_/: …"]
    at = min(ends or [len(name) // 2], key=lambda place: abs(place - len(name) / 2))
    return [*_lines(name[:at], most), *_lines(name[at:], most)]


def numbers(values: Iterable[float], unit: str = "") -> list[str]:
    """Return the numbers as tick labels, with a true minus."""
    return [f"{value:g}{unit}".replace("-", "−") for value in values]


def rows(axes: Axes, places: Sequence[float], names: Sequence[str]) -> None:
    """Name the rows of a panel; rows need no ticks and no axis."""
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def legend(figure: Figure, handles: Sequence[Artist], columns: int = 1, below: str = "") -> None:
    """Write the legend above the panels, and below them what their horizontal axes share.

    columns: at most so many, and as many as fit on the page.
    """
    if below:
        figure.supxlabel(below)
    for count in range(columns, 0, -1):
        drawn = figure.legend(handles=handles, loc="outside upper center", ncols=count)
        if count == 1 or drawn.get_window_extent().width <= figure.bbox.width:
            return
        drawn.remove()


@dataclass(frozen=True, repr=False)
class SavedFigure:
    """A figure on disk; in a notebook it shows itself. files: the paths of svg, png and csv."""

    caption: str
    alt: str
    files: dict[str, Path]

    def __repr__(self) -> str:
        return self.caption

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.files["png"].read_bytes()).decode("ascii")
        alt, caption = html.escape(self.alt), html.escape(self.caption)
        return (
            f'<figure style="margin:0"><img src="data:image/png;base64,{data}" alt="{alt}" '
            f'style="width:100%;max-width:800px"><figcaption>{caption}</figcaption></figure>'
        )


def save(
    figure: Figure, table: pd.DataFrame, folder: Path, slug: str, caption: str, alt: str
) -> SavedFigure:
    """Write folder/slug.svg, .png and .csv, list them in folder/index.json, and close the figure.

    The bytes depend only on the arguments, the locked packages and the platform. Floats in the
    CSV have six significant digits. caption: its first sentence is the figure's title.
    Errors: UserError for a slug that is no file name, an empty caption or alt, or an index.json
    that cannot be read.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", slug):
        raise UserError(f"figure name '{slug}': use small letters, digits, '_' and '-' only")
    caption, alt = " ".join(caption.split()), " ".join(alt.split())
    title = caption.partition(". ")[0].removesuffix(".")
    if not caption or not alt:
        raise UserError(f"figure '{slug}' needs a caption and an alternative text")
    entries = [entry for entry in listed(folder) if entry["slug"] != slug]
    words = {"Date": None, "Creator": None, "Title": title, "Description": alt}
    contents = {  # PNG first, on the canvas that laid the figure out; SVG brings one of its own
        "png": _rendered(figure, "png", {"Software": None}),
        "svg": _rendered(figure, "svg", words),
        "csv": _csv(table),
    }
    folder.mkdir(parents=True, exist_ok=True)
    stored, hashes = {}, {}
    for ending, content in contents.items():
        stored[ending] = path = folder / f"{slug}.{ending}"
        files.write_atomically(path, content)
        hashes[path.name] = hashlib.sha256(content).hexdigest()
    entries += [{"slug": slug, "title": title, "caption": caption, "alt": alt, "files": hashes}]
    entries.sort(key=lambda entry: entry["slug"])
    text = json.dumps(entries, indent=2, ensure_ascii=False)
    files.write_atomically(folder / "index.json", f"{text}\n")
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)
    return SavedFigure(caption, alt, stored)


def gallery(folder: Path) -> None:
    """Write folder/README.md from index.json: every figure with title, caption and data.

    Errors: UserError when the folder lists no figure.
    """
    parts = ["# Figures\n\nMade by the workbook; do not edit. Each is drawn from its CSV.\n"]
    for entry in listed(folder):
        slug, title, caption = entry["slug"], entry["title"], entry["caption"]
        rest = caption.removeprefix(title).removeprefix(".").strip()
        parts.append(f"## {html.escape(title, quote=False)}\n")
        parts.append(f'<img src="{slug}.svg" width="800" alt="{html.escape(entry["alt"])}">\n')
        parts += [f"{html.escape(rest, quote=False)}\n"] if rest else []
        parts.append(f"[data (CSV)]({slug}.csv) · [PNG]({slug}.png) · [SVG]({slug}.svg)\n")
    if len(parts) == 1:
        raise UserError(f"{paths.shown(folder)}: no figure is listed there, so no gallery")
    files.write_atomically(folder / "README.md", "\n".join(parts))


def listed(folder: Path) -> list[dict[str, Any]]:
    """Return the figures of a folder by name: slug, title, caption, alt and hashes; maybe none.

    Errors: UserError when its index.json cannot be read.
    """
    path = folder / "index.json"
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return sorted(entries, key=lambda entry: entry["slug"])
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{paths.shown(path)}: is no list of figures ({error!r})") from None


def _rendered(figure: Figure, ending: str, metadata: dict[str, str | None]) -> bytes:
    """Return the picture, without date or program; `savefig` would draw everything twice."""
    stream = io.BytesIO()
    with context():
        if ending == "svg":
            FigureCanvasSVG(figure).print_svg(stream, metadata=metadata)
        else:
            figure.set_dpi(DPI)
            figure.canvas.print_png(stream, metadata=metadata)
    return stream.getvalue()


def _csv(table: pd.DataFrame) -> bytes:
    """Return the table as CSV; floats nearer to 0 than 1e-9 are 0, not rounding errors."""
    floats, clean = table.select_dtypes("floating"), table.copy()
    clean[floats.columns] = floats.round(9) + 0.0
    return clean.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
