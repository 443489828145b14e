"""What a course notebook needs beside the measures: unfinished exercises, hints, kind checks.

An exercise that nobody has done yet raises one named error with one sentence. Hints are data, in
`notebooks/course/hints.toml`. A check says what is wrong with an answer and where to look; this
module must never print the right answer to an exercise and never grade.

Public names: Unfinished, NotYet, exercise, hint, hints, check, compare, folder.
"""

import atexit
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hvae_utils import files, paths
from hvae_utils.errors import Sentence, UserError, unknown

NOTHING = "your function returned nothing (None), or nothing was assigned"
HINTS = paths.NOTEBOOKS / "course" / "hints.toml"


class Unfinished(Sentence):
    """An exercise that is still to be done; the message names it and says what to do."""


class NotYet(Sentence, AssertionError):
    """An answer that is not right yet; the message says what is wrong and where to look."""


def hint(exercise: str, level: int = 1) -> None:
    """Print one hint of an exercise, such as `hint("1.2", 1)`; level 1 says least.

    Errors: UserError for an unknown exercise or a level that it does not have.
    """
    known = hints()
    if exercise not in known:
        raise unknown("exercise", exercise, known)
    levels = known[exercise]
    if level not in range(1, len(levels) + 1):
        raise UserError(f"exercise {exercise} has hints 1 to {len(levels)}, not {level!r}")
    rest = len(levels) - level
    print(levels[level - 1])
    print(f'(more: hint("{exercise}", {level + 1}))' if rest else "(that was the last hint)")


def hints() -> dict[str, list[str]]:
    """Return the hints by exercise, the vaguest first; UserError where the file is malformed."""
    where, table = paths.shown(HINTS), files.read_toml(HINTS)
    for exercise, levels in table.items():
        if not isinstance(levels, list) or not levels or not all(map(_is_text, levels)):
            raise UserError(f"{where}: '{exercise}' must be a list of texts that are not empty")
    return table


@contextmanager
def exercise(number: str) -> Iterator[None]:
    """Hold the checks of an exercise, such as "1.2"; say that it is right, and what is left.

    Whatever goes wrong in the answer ends as NotYet, one sentence with the first hint.
    """
    if number not in hints():
        raise unknown("exercise", number, hints())
    try:
        yield
    except Sentence:
        raise
    except AssertionError as fault:
        raise NotYet(fault) from None
    except Exception as fault:
        stopped = f"your answer leads to {type(fault).__name__}: {fault}"
        said = NOTHING if "NoneType" in str(fault) else stopped
        raise NotYet(f"{number} is not right yet: {said}. {hints()[number][0]}") from None
    _right().add(number)
    lesson = [one for one in hints() if one[0] == number[0]]
    left = ", ".join(one for one in lesson if one not in _right())
    print(f"{number} is right; " + (f"left: {left}" if left else f"all {len(lesson)} are"))


def check(given: Any, truth: Any, help: str, within: float = 1e-6) -> None:
    """Raise NotYet, with a sentence that helps, unless `given` is `truth`.

    given: the student's answer; truth: a number, numbers (any shape), a text, a boolean, a set or
    a list of texts.
    help: what to look at, said after what is wrong. within: greatest difference of numbers.
    The sentence shows the answer given and never the truth.
    """
    if given is None:
        raise NotYet(f"{NOTHING}. {help}")
    if callable(given):
        raise NotYet(f"your answer is a function; call it to get its result. {help}")
    kind = _kind(truth)
    if kind is not None:
        if not (isinstance(given, kind) and given == truth):
            raise NotYet(f"{given!r} is not right yet. {help}")
        return
    try:
        numbers = np.asarray(given, float)
    except (TypeError, ValueError, OverflowError):
        wanted = "numbers" if np.ndim(truth) else "a number"
        raise NotYet(f"{given!r} is not {wanted}. {help}") from None
    wanted = np.asarray(truth, float)
    if numbers.shape != wanted.shape:
        shapes = f"the shape {numbers.shape}, {wanted.shape} is asked for"
        raise NotYet(f"your answer has {shapes}. {help}")
    off = ~np.isclose(numbers, wanted, rtol=0, atol=within, equal_nan=True)
    if off.any() and not numbers.ndim:
        raise NotYet(f"{numbers[()]:.6g} is not right yet. {help}")
    if off.any():
        raise NotYet(f"not right yet in {off.sum()} of {off.size} places. {help}")


def compare(guess: float | None, truth: float, unit: str = "") -> None:
    """Print a prediction beside what came out; None is a prediction that was not made."""
    found = f"{truth:.3g} {unit}".strip()
    if guess is None:
        print(f"you predicted nothing; it is {found}")
        return
    if isinstance(guess, bool) or not isinstance(guess, int | float) or not math.isfinite(guess):
        print(f"a prediction is a number, not {guess!r}; it is {found}")
        return
    away = abs(guess - truth)
    print(f"you predicted {guess:g}; it is {found}, {away:.3g} away from your prediction")


@lru_cache
def _right() -> set[str]:
    """Return the exercises that this session has found right."""
    return set()


@lru_cache
def folder() -> Path:
    """Return a folder for this session's figures; it is removed when Python ends."""
    made = Path(tempfile.mkdtemp(prefix="hvae-lesson-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _kind(truth: Any) -> Any:
    """Return the types that an answer must have to equal a truth without numbers, or None."""
    kinds = (bool | np.bool_, str, set | frozenset)
    if isinstance(truth, list) and all(isinstance(one, str) for one in truth):
        return list
    return next((kind for kind in kinds if isinstance(truth, kind)), None)


def _is_text(given: Any) -> bool:
    return isinstance(given, str) and bool(given.strip())
