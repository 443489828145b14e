"""A value of one's own: from what somebody types into a form to a `Value` that can be tried.

A form gives texts. Each is checked here, and what is wrong with it is said in one sentence. A
weight w on the other's coins, beside a weight of 1 on one's own, is the point arctan(w) of the
ring, and the other way round: both ways of saying it lead to the same utility. The target is what
an ideal holder of the value reaches on the six items, not the point that was named, because nine
options do not reach every point. This module must never word a prompt.

Public names: WORD_LIMIT, DEFINITION_LIMIT, number, from_weight, from_point.
"""

import math
import unicodedata

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values
from hvae_utils.measure.values import Value

WORD_LIMIT = 40  # characters
DEFINITION_LIMIT = 600  # characters; ours have at most 160
SAME = 0.05  # degrees; targets that are nearer are shown as the same number


def number(text: str, what: str, low: float, high: float) -> float:
    """Return the number that a text says, with a decimal point or comma.

    UserError, naming `what`, unless it is a number from `low` to `high`.
    """
    try:
        found = float(str(text).strip().replace(",", ".").replace("−", "-"))
    except ValueError:
        found = math.nan
    if not low <= found <= high:
        shown = _one_line(str(text))[:30]
        raise UserError(f"{what} must be a number from {low:g} to {high:g}, not '{shown}'")
    return found


def from_weight(word: str, definition: str, weight: float) -> Value:
    """Return the value of who wants own coins + weight x the other's; weight: -10 to 10."""
    return _value(word, definition, (1.0, float(weight), 0.0))


def from_point(word: str, definition: str, point: float) -> Value:
    """Return the value of who pulls towards a point of the ring; degrees, -90 to 90."""
    x, y = math.cos(math.radians(point)), math.sin(math.radians(point))
    return _value(word, definition, (x, y, 0.0))


def _value(word: str, definition: str, utility: tuple[float, float, float]) -> Value:
    """Return the checked value; UserError where a text is empty, too long or only marks, or
    where the word is that of a value with another target.
    """
    name = _text("the word for the value", word, WORD_LIMIT)
    said = _text("the definition", definition, DEFINITION_LIMIT)
    value = Value(name, name, said, utility, target=None, target_set=None)
    slider = instruments.load("svo-slider")
    reached = float(svo.score([svo.ideal_choices(value, slider)], slider)["angle"][0])
    namesake = values.load().get(name.lower())
    if namesake and (namesake.target is None or abs(namesake.target - reached) > SAME):
        aim = "no target" if namesake.target is None else f"the target {namesake.target:.1f}°"
        raise UserError(
            f"'{name}' is a value of this workbook with {aim}; yours has the target "
            f"{reached:.1f}°, so give it another word"
        )
    return Value(name, name, said, utility, reached, (reached, reached))


def _text(what: str, given: str, limit: int) -> str:
    if len(given) > limit:
        raise UserError(f"{what} has {len(given):,} characters; at most {limit} can be put")
    line = _one_line(given)
    if not any(letter.isalpha() for letter in line):
        raise UserError(f"{what} is missing; write it in words")
    return line


def _one_line(text: str) -> str:
    """Return the text on one line, without control characters."""
    kept = (c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    return " ".join("".join(kept).split())
