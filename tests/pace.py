"""How fast this machine is just now, so that a bound in seconds means the same on every machine.

Bounds are stated for two free cores of usual speed: a machine on which the smoke workbook of six
notebooks takes 25 s, as measured when its bound was set. The unit of work is the workbook's own
kind, drawing: where that workbook took 58 s, this drawing took 0.55 s. A machine that is slower, or
busy with other work, gets time in proportion; one that is faster gets no less.

Public names: pace.
"""

import time

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

USUAL_S = 0.55 * 25 / 58


def pace() -> float:
    """Return how many times longer than usual a drawing takes here and now, at least 1."""
    return max(1.0, min(_seconds() for _ in range(3)) / USUAL_S)


def _seconds() -> float:
    started = time.perf_counter()
    figure = Figure(figsize=(7, 5), dpi=100)
    for axes in figure.subplots(3, 4).flat:
        axes.plot(range(50), range(50), marker="o", label="a line")
        axes.set_title("words to be laid out")
        axes.legend()
    FigureCanvasAgg(figure).draw()
    return time.perf_counter() - started
