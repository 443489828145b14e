"""Is what was reproduced the same as what is published? Pure: two sets of files in, places out.

On the same lock and platform, tables and documents must be the same text and pictures the same
bytes. Elsewhere floating-point sums may end differently, so numbers must agree to ROUNDING, texts
in their words, pictures in their size. A probability below FLOOR is the tail of a sum, whose digits
depend on the processor even there: all of them count as equal.
"""

import csv
import hashlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import takewhile
from typing import Any

from hvae_utils.files import one_line

ROUNDING = 1e-5  # relative, where lock or platform differ
FLOOR = 1e-9  # of a probability, in columns p_*; absolute, of all numbers where platforms differ
LONGEST = 48  # characters of a place or a content in the table
NUMBER = re.compile(r"[-\u2212+±]?\d+(\.\d+)?")
PICTURE = "the picture"  # its one place
HASHES = "/files/"  # of the files of a figure, in index.json: the files themselves are compared


@dataclass(frozen=True)
class Difference:
    """One place that differs: file, place in it, both contents, and how far apart (0 for words)."""

    file: str
    place: str
    published: str
    reproduced: str
    apart: float = 0.0


def compare(
    published: Mapping[str, bytes], reproduced: Mapping[str, bytes], same_platform: bool
) -> list[Difference]:
    """Return where two sets of files, by name, differ.

    same_platform: whether lock, versions and platform are the same, so that bytes can be demanded.

    >>> sides = {"a.csv": b"vr\\n2.5\\n"}, {"a.csv": b"vr\\n2.6\\n"}
    >>> [(one.place, one.published, one.reproduced) for one in compare(*sides, same_platform=True)]
    [('row 1: vr', '2.5', '2.6')]
    """
    differences = []
    for name in sorted(published.keys() | reproduced.keys()):
        if name in published and name in reproduced:
            sides = (_leaves(name, side[name], same_platform) for side in (published, reproduced))
        else:
            sides = (
                {"the file": "there"} if name in side else {} for side in (published, reproduced)
            )
        before, after = map(dict, sides)
        for place in before | after:
            old, new = before.get(place, "missing"), after.get(place, "missing")
            if not _equal(place, old, new, same_platform):
                apart = abs(_number(old) - _number(new))
                apart = 0.0 if math.isnan(apart) else apart
                differences.append(Difference(name, place, old, new, apart))
    return differences


def largest(differences: Sequence[Difference]) -> list[Difference]:
    """Return the largest difference of each file, with the count of all of them in its place."""
    counts = Counter(one.file for one in differences)
    worst = {one.file: one for one in sorted(differences, key=lambda one: one.apart)}
    return [
        Difference(name, f"{worst[name].place} ({count} differ)", *astuple(worst[name])[2:])
        for name, count in counts.items()
    ]


def table(differences: Sequence[Difference], most: int = 40) -> list[str]:
    """Return differences as aligned lines, `most` of them; none without any."""
    if not differences:
        return []
    names = ("file", "place", "published", "reproduced")
    rows = [names, *(astuple(difference)[:4] for difference in differences[:most])]
    rows = [[one_line(text, LONGEST) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    more = len(differences) - most
    return [*lines, f"… and {more} more"] if more > 0 else lines


def _leaves(name: str, content: bytes, exact: bool) -> Iterator[tuple[str, str]]:
    """Yield by place: a picture, a table's cells, a JSON document's leaves or a text's lines."""
    if name.endswith((".png", ".svg")):
        digest = f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()[:12]}"
        yield PICTURE, digest if exact else _size(content)
        return
    text = content.decode()
    if name.endswith(".csv"):
        for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=1):
            words = takewhile(lambda cell: math.isnan(_number(cell)), row.values())
            row_name = " ".join([f"row {number}", *filter(None, words)])
            yield from ((f"{row_name}: {column}", cell) for column, cell in row.items())
    elif name.endswith(".json"):
        yield from _json_leaves(json.loads(text))
    else:
        for number, line in enumerate(text.split("\n"), start=1):
            yield f"line {number}", line


def _json_leaves(content: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, dict | list) and content:
        entries = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in entries:
            yield from _json_leaves(value, f"{path}/{key}".lstrip("/"))
    elif HASHES not in path:
        yield path, str(content)


def _equal(place: str, old: str, new: str, exact: bool) -> bool:
    numbers = _number(old), _number(new)
    probability = re.split(r"[ /]", place)[-1].startswith("p_")
    if old == new or (probability and all(abs(number) < FLOOR for number in numbers)):
        return True
    if exact or place == PICTURE:
        return False
    if not any(map(math.isnan, numbers)):
        return math.isclose(*numbers, rel_tol=ROUNDING, abs_tol=FLOOR)
    return NUMBER.sub("#", old) == NUMBER.sub("#", new)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _size(picture: bytes) -> str:
    """Return width x height as the picture's own head says."""
    if picture.startswith(b"\x89PNG"):
        width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
        return f"{width} x {height} px"
    box = re.search(rb'<svg\b[^>]*?\bviewBox="([^"]*)"', picture[:4000])
    return box.group(1).decode() if box else "unknown"
