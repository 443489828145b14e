"""What tests ask of a drawn figure: its marks, its words and where they stand, its pixels."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from hvae_utils.show import style


def panel(figure, title):
    """Return the axes of this title, wherever it is set."""
    places = ("left", "center", "right")
    (axes,) = [axes for axes in figure.axes if title in (axes.get_title(at) for at in places)]
    return axes


def marks(axes, gid):
    """Return the lines of this id."""
    return [line for line in axes.lines if line.get_gid() == gid]


def mark(axes, gid):
    """Return the one line of this id."""
    (line,) = marks(axes, gid)
    return line


def place(line):
    """Return where a line begins."""
    return float(line.get_xdata()[0]), float(line.get_ydata()[0])


def words(figure):
    """Return all texts of a figure."""
    return {text.get_text() for text in figure.findobj(Text)}


def words_in_place(figure, monkeypatch):
    """Fail where words are small, cut off, or on top of others (those at an angle aside)."""
    boxes, draw = {}, Text.draw

    def note(text, renderer, *args, **kwargs):
        if text.get_visible() and text.get_text().strip() and not text.get_rotation() % 90:
            boxes[text] = Text.get_window_extent(text, renderer)  # drawn again, noted anew
        return draw(text, renderer, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", note)
        figure.draw_without_rendering()
    assert min(text.get_fontsize() for text in boxes) >= 6.5
    page, texts = figure.bbox, [(text.get_text(), box) for text, box in boxes.items()]
    for text, box in texts:
        outside = max(-box.x0, -box.y0, box.x1 - page.x1, box.y1 - page.y1)
        assert outside <= 1, f"'{text}' is cut off"
    for (a, one), (b, other) in itertools.combinations(texts, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        up = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across < 2 or up < 2, f"'{a}' and '{b}' overlap"


def differ(one, other):
    """Return the share of pixels in which two figures differ, at half their resolution."""
    pictures = []
    for figure in (one, other):
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(style.DPI / 2)
        with style.context():
            canvas.draw()
        pictures.append(np.asarray(canvas.buffer_rgba(), float))
        figure.set_dpi(style.DPI)
    return (np.abs(pictures[0] - pictures[1]).max(axis=2) > 60).mean()
