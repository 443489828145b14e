"""A reader's own value: from the texts of a form to a `Value` that can be tried.

A weight w on the other's coins, beside a weight of 1 on one's own, is the point arctan(w) of the
ring. The target is what an ideal holder of the value reaches on the slider, which need not be the
point that was named: nine options do not reach every point.
"""

import math
from dataclasses import replace

from hvae_utils.errors import UserError, brief
from hvae_utils.measure import instruments, svo, values
from hvae_utils.measure.values import Value

SAME = 0.05  # degrees; targets that are nearer are shown as the same number


def number(text: str, what: str, low: float, high: float) -> float:
    """Return the number in a text, with a decimal point or comma; UserError if not low to high.

    >>> number("0,5", "the weight", -10, 10)
    0.5
    """
    try:
        value = float(str(text).strip().replace(",", ".").replace("−", "-"))
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise UserError(f"{what} must be a number from {low:g} to {high:g}, not {brief(text)}")
    return value


def from_weight(word: str, definition: str, weight: float) -> Value:
    """Return the value of whoever wants own coins + weight x the other's; weight: -10 to 10."""
    return _value(word, definition, (1.0, float(weight), 0.0))


def from_point(word: str, definition: str, point: float) -> Value:
    """Return the value of whoever pulls towards a point of the ring; degrees, -90 to 90."""
    x, y = math.cos(math.radians(point)), math.sin(math.radians(point))
    return _value(word, definition, (x, y, 0.0))


def _value(word: str, definition: str, utility: tuple[float, float, float]) -> Value:
    """Return the checked value; UserError for a bad text and the word of another value."""
    word = _text("the word for the value", word, 40)
    definition = _text("the definition", definition, 600)
    value = Value(word, word, definition, utility, target=None, target_set=None)
    target, *_ = svo.ideal_angles(value, instruments.load("svo-slider"))
    namesake = values.load().get(word.lower())
    if namesake and (namesake.target is None or abs(namesake.target - target) > SAME):
        raise UserError(
            f"the target of '{word}' in this workbook is not {target:.1f}°; give it another word"
        )
    return replace(value, target=target, target_set=(target, target))


def _text(what: str, text: str, limit: int) -> str:
    """Return the text on one line, without control characters."""
    if len(text) > limit:
        raise UserError(f"{what} has {len(text):,} characters; at most {limit} are allowed")
    line = " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
    if not any(letter.isalpha() for letter in line):
        raise UserError(f"{what} is missing; write it in words")
    return line
