"""What a lesson needs beside the measures: unfinished exercises, hints, checks that help.

An exercise that nobody has done yet raises one named error with one sentence. Hints are data, in
`notebooks/course/hints.toml`. A check says what is wrong with an answer and where to look, without
the right answer; nothing is graded.
"""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import numpy as np

from hvae_utils import files, paths
from hvae_utils.errors import Sentence, UserError, unknown

NOTHING = "your function returned nothing (None), or nothing was assigned"
HINTS = paths.NOTEBOOKS / "course" / "hints.toml"
RIGHT: set[str] = set()  # exercises that were right in this session


class Unfinished(Sentence):
    """An exercise that is still to be done; the message names it and says what to do."""


class NotYet(Sentence, AssertionError):
    """An answer that is not right yet; the message says what is wrong and where to look."""


def hint(number: str, level: int | str = 1) -> None:
    """Print one hint of an exercise, such as `hint("1.2", 1)`; level 1 says least, "all" all.

    UserError for an unknown exercise or a level that it does not have.
    """
    levels = _of_exercise(number)
    if level == "all":
        print(*(f"{place}. {text}" for place, text in enumerate(levels, start=1)), sep="\n")
        return
    if level not in range(1, len(levels) + 1):
        raise UserError(f'exercise {number} has hints 1 to {len(levels)}, or "all"; not {level!r}')
    more = f'(more: hint("{number}", {level + 1}))'
    print(levels[level - 1], more if level < len(levels) else "(that was the last hint)", sep="\n")


def progress(lesson: int | str) -> None:
    """Print which exercises of a lesson, such as 1, were right in this session, and which are left.

    UserError for an unknown lesson.
    """
    numbers = [number for number in hints() if number[0] == str(lesson)]
    if not numbers:
        raise unknown("lesson", str(lesson), sorted({number[0] for number in hints()}))
    done = [number for number in numbers if number in RIGHT]
    bar = "".join("■" if number in RIGHT else "□" for number in numbers)
    left = ", ".join(number for number in numbers if number not in RIGHT)
    print(f"{bar} {len(done)} of {len(numbers)} are right" + (f"; left: {left}" if left else ""))


def hints() -> dict[str, list[str]]:
    """Return the hints by exercise, the vaguest first."""
    return files.read_toml(HINTS)


@contextmanager
def exercise(number: str) -> Iterator[None]:
    """Hold the checks of an exercise, such as "1.2"; say that it is right, and what is left.

    Whatever goes wrong in the answer ends as NotYet, one sentence with the first hint.
    """
    first_hint = _of_exercise(number)[0]
    try:
        yield
    except Sentence:
        raise
    except AssertionError as fault:
        raise NotYet(fault) from None
    except Exception as fault:
        error = f"your answer leads to {type(fault).__name__}: {fault}"
        reason = NOTHING if "NoneType" in str(fault) else error
        raise NotYet(f"{number} is not right yet: {reason}. {first_hint}") from None
    RIGHT.add(number)
    lesson = [other for other in hints() if other[0] == number[0]]
    left = ", ".join(other for other in lesson if other not in RIGHT)
    print(f"{number} is right; " + (f"left: {left}" if left else f"all {len(lesson)} are"))


def check(answer: Any, truth: Any, help: str, within: float = 1e-6) -> None:
    """Raise NotYet, with a sentence that helps, unless the student's answer is `truth`.

    truth: a number, numbers (any shape), a text, a boolean, a set or a list of texts.
    help: what to look at, said after what is wrong. within: greatest difference of numbers.

    >>> check([1.0, 2.0], [1, 2], "Halve both.")
    >>> check(3, 4, "Count the corners.")
    Traceback (most recent call last):
    hvae_utils.teach.lessons.NotYet: 3 is not right yet. Count the corners.
    """
    if fault := _fault(answer, truth, within):
        raise NotYet(f"{fault}. {help}")


def _fault(answer: Any, truth: Any, within: float) -> str:
    """Return what is wrong with an answer, without the truth; "" for a right one."""
    if answer is None:
        return NOTHING
    if callable(answer):
        return "your answer is a function; call it to get its result"
    if kind := _kind(truth):
        right = isinstance(answer, kind) and answer == truth
        return "" if right else f"{answer!r} is not right yet"
    try:
        numbers, wanted = np.asarray(answer, float), np.asarray(truth, float)
    except (TypeError, ValueError, OverflowError):
        return f"{answer!r} is not {'numbers' if np.ndim(truth) else 'a number'}"
    if numbers.shape != wanted.shape:
        return f"your answer has the shape {numbers.shape}, {wanted.shape} is asked for"
    off = ~np.isclose(numbers, wanted, rtol=0, atol=within, equal_nan=True)
    if off.any() and numbers.ndim:
        return f"not right yet in {off.sum()} of {off.size} places"
    return f"{numbers[()]:.6g} is not right yet" if off.any() else ""


def compare(guess: float | None, truth: float, unit: str = "") -> None:
    """Print a prediction beside what came out; None is a prediction that was not made.

    >>> compare(30, 45, "degrees")
    you predicted 30; it is 45 degrees, 15 away from your prediction
    """
    result = f"it is {truth:.3g} {unit}".strip()
    if guess is None:
        print(f"you predicted nothing; {result}")
    elif not files.finite(guess):
        print(f"a prediction is a number, not {guess!r}; {result}")
    else:
        away = f"{abs(guess - truth):.3g} away from your prediction"
        print(f"you predicted {guess:g}; {result}, {away}")


@lru_cache
def folder() -> Path:
    """Return a folder for this session's figures; it is removed when Python ends."""
    made = mkdtemp(prefix="hvae-lesson-")
    atexit.register(rmtree, made, ignore_errors=True)
    return Path(made)


def _of_exercise(number: str) -> list[str]:
    """Return the hints of an exercise; UserError for an unknown one."""
    if number not in hints():
        raise unknown("exercise", number, hints())
    return hints()[number]


def _kind(truth: Any) -> Any:
    """Return the types that an answer must have to equal a truth without numbers, or None."""
    if isinstance(truth, list) and all(isinstance(text, str) for text in truth):
        return list
    kinds = (bool | np.bool_, str, set | frozenset)
    return next((kind for kind in kinds if isinstance(truth, kind)), None)
