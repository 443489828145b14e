"""What a user waits for: the command, a slider's picture, a long reply, a whole workbook.

    python -m benchmarks.waits [--short] [--write]

Each bound is for two free cores of usual speed, and each time is the best of a few tries, because
other work on the machine only adds to it. --short: one try, neither workbook nor course, and no
verdict.
--write puts the table into docs/engine.md.
"""

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import page
from hvae_utils import paths
from hvae_utils.ask import replies
from hvae_utils.measure import instruments, svo
from hvae_utils.metrics.coherence import stated
from hvae_utils.run import workbook
from hvae_utils.show.panels import sliders
from hvae_utils.teach import course
from tests.ask.test_replies import FILLERS, FLAT, LETTERS
from tests.metrics.test_coherence import STRANGE
from tests.show.test_svg import DRAWN
from tests.show.test_widgets import CELLS, answer

TRIES = 3
IMPORT = "import time; start = time.perf_counter(); import hvae_utils; "
IMPORT += "print(time.perf_counter() - start)"
Bound = tuple[str, float, Callable[[], float]]  # what is done, seconds at most, seconds taken


def clocked(act: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds that `act` takes."""
    started = clock()
    act()
    return clock() - started


def python(*arguments: str) -> str:
    """Return what a Python of its own prints."""
    search = os.pathsep.join([str(paths.ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | {"PYTHONPATH": search},
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip


def longest_reply() -> float:
    """Return the processor's seconds for the slowest kind of two megabytes of reply."""
    texts = [filler * (2_000_000 // len(filler)) for filler in FILLERS]
    read = [partial(replies.parse, text, LETTERS, FLAT) for text in texts]
    return max(clocked(parse, time.process_time) for parse in read)


def scored(lowest: int) -> float:
    """Return the seconds of a million administrations; `lowest` -1 leaves answers out."""
    choices = np.random.default_rng(1).integers(lowest, 9, (1_000_000, 6), dtype=np.int8)
    return clocked(lambda: svo.score(choices, instruments.load("svo-slider")))


def read_table() -> float:
    """Return the seconds of the angles of one table of probabilities."""
    svo.angle_distribution(np.full((6, 9), 1 / 9))  # the sums that all tables share
    table = np.random.default_rng(0).dirichlet(np.ones(9), 6)
    return clocked(lambda: svo.angle_distribution(table))


def moved() -> float:
    """Return the seconds from a move of a slider to all that follows from it."""
    measure = sliders.Measure(sliders.respondents(CELLS), sliders.people())
    sliders.flip(measure)
    answer(measure.primary, [4] * 6)
    return clocked(lambda: setattr(measure.primary[0].slider, "value", 9))


def smoke() -> float:
    """Return the seconds of the smoke workbook."""
    with tempfile.TemporaryDirectory() as runs, contextlib.redirect_stdout(io.StringIO()):
        return clocked(lambda: workbook.reproduce("smoke", runs=Path(runs)))


def executed(notebook: Path) -> float:
    """Return the seconds of a notebook without an interface."""
    with tempfile.TemporaryDirectory() as folder:
        given = ("-m", "papermill", "--kernel", "python3", "--no-progress-bar")
        return clocked(lambda: python(*given, str(notebook), str(Path(folder, "out.ipynb"))))


def bounds(short: bool) -> Iterator[Bound]:
    """Yield what is timed."""
    yield "`import hvae_utils`", 0.3, lambda: float(python("-c", IMPORT))
    yield "`hvae --help`", 0.5, lambda: clocked(lambda: python("-m", "hvae_utils", "--help"))
    for name, draw in DRAWN.items():
        yield f"a live picture: {name}", 0.005, partial(clocked, draw, time.thread_time)
    yield "a move of a slider, all pictures", 0.05, moved
    yield "a reply of two megabytes", 0.1, longest_reply
    yield (
        "goals of thousands of words",
        3,
        lambda: max(clocked(partial(stated, g)) for g in STRANGE),
    )
    yield "angles of a table of probabilities", 0.01, read_table
    yield "a million administrations", 1, partial(scored, 0)
    yield "a million with missing answers", 5, partial(scored, -1)
    if not short:
        yield "the smoke workbook", 40, smoke
        yield "the class notebook", 60, partial(executed, course.COPIES / "class.ipynb")
        for lesson in course.lessons():
            yield f"lesson {lesson.name[0]} with solutions", 120, partial(executed, lesson)


def main() -> int:
    """Print the table; return 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one try, no notebooks, no verdict")
    parser.add_argument("--write", action="store_true", help="into docs/engine.md")
    chosen = parser.parse_args()
    rows, demands = [], []
    for what, most, seconds in bounds(chosen.short):
        taken = min(seconds() for _ in range(1 if chosen.short or most >= 40 else TRIES))
        rows.append((what, f"{taken:.3g}", most))
        demands.append((what, taken <= most))
    table = page.table(("what", "seconds", "at most"), rows)
    missed = [what for what, met in demands if not met]
    said = f"Missed: {'; '.join(missed)}." if missed else "All bounds are met."
    text = f"{table}\n\n{said} {page.machine('numpy', 'ipykernel')}"
    print(text)
    if chosen.write:
        page.write("waits", text)
    return bool(missed) and not chosen.short


if __name__ == "__main__":
    sys.exit(main())
