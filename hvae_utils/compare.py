"""Is what was reproduced the same as what is published? Pure: two sets of files in, words out.

The reference respondents answer from a seed: their numbers must be the same text, and where the
data, the lock and the platform are the same, so must every byte of the pictures.

A chat model that decodes greedily is not that stable: other processors add floating-point numbers
in another order, one token flips, and everything the model says after it differs. One
administration may then change as a whole. So what rests on few administrations cannot be promised
and is not compared: angles and value rationalities of a cell with fewer than MIN_SCORED scored
administrations in either run, spreads, intervals, notes, and single administrations. They are
counted, and the result says how many there were. What rests on many answers (outcomes, shares,
well-filled cells) must stay within TOLERANCES.

Public names: MIN_SCORED, TOLERANCES, Difference, Comparison, compare.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MIN_SCORED = 3  # administrations behind a number that is worth comparing
FEW = 2  # administrations or answers that may change whatever their share is

# Of a chat model: column -> what may differ, and unit. The first pattern that fits counts.
TOLERANCES = (
    (r"(mean_)?angle|angle_(fixed|probability|logit)|bound_(low|high)", 10.0, "degrees"),
    (
        r"vr_(chance|regret).*|chance|lapse_rate|order_disagreement|long_enough|transitive",
        0.3,
        "share",
    ),
    (r"vr|vr_.*|raw|difference", 10.0, "degrees"),
    (r"bias", 1.0, "nats"),
    (r"(mean_)?(self|other)", 10.0, "coins"),
    (r"share(_.*)?", 0.15, "share"),
    (r"scored|count|items|pairs|beyond_chance", 0.15, "of those asked"),
)
UNSTABLE = re.compile(
    r"note|flag|.*_sd|(angle|vr|vr_chance|lapse|raw|chance)_(low|high)|low|high|vr_random|p_random|dz"
    r"|eta_squared|lapse_evidence"
)
SINGLE = "administration"  # `part` of rows that are single administrations
KEYS = (
    *("part", "source", "model", "respondent", "value", "goal_prompt", "category", "outcome"),
    *("item", "stage", "position", "factor", "level", "scope", "instrument", "bin", "sample"),
)
TOTALS = ("asked", "administrations")
BASES = ("scored", "pairs")  # how many administrations a cell's numbers rest on
ROUNDING = 1e-5  # relative, where lock or platform differ

Row = Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """One place where more differs than may: file, row, column, both contents, what is allowed."""

    file: str
    row: str
    column: str
    committed: str
    reproduced: str
    allowed: str


@dataclass
class Comparison:
    """All differences, and how many unequal numbers rest on too little to be compared."""

    differences: list[Difference] = field(default_factory=list)
    within: int = 0
    unstable: int = 0

    def table(self, most: int = 40) -> str:
        """Return the differences as aligned text, `most` rows of them."""
        names = ("file", "row", "column", "committed", "reproduced", "allowed")
        rows = [tuple(getattr(found, name) for name in names) for found in self.differences[:most]]
        rows = [tuple(_short(text) for text in row) for row in (names, *rows)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        if more := len(self.differences) - most:
            lines += [f"… and {more} more"] if more > 0 else []
        return "\n".join(lines)


def compare(
    committed: Mapping[str, bytes], reproduced: Mapping[str, bytes], same_platform: bool
) -> Comparison:
    """Compare two sets of published files, by name.

    same_platform: whether lock, versions and platform are the same, so that bytes can be demanded.
    """
    result = Comparison()
    for name in sorted(committed.keys() ^ reproduced.keys()):
        there = ("there", "missing") if name in committed else ("missing", "there")
        result.differences.append(Difference(name, "", "", *there, "same files"))
    shared = sorted(committed.keys() & reproduced.keys())
    moved = {
        name for name in shared if name.endswith(".csv") and committed[name] != reproduced[name]
    }
    for name in shared:
        old, new = committed[name], reproduced[name]
        if old == new:
            continue
        if name.endswith(".csv"):
            _compare_tables(name, old.decode(), new.decode(), same_platform, result)
        elif name.endswith((".png", ".svg")):
            data = f"{name.rpartition('.')[0]}.csv"
            exact = same_platform and data in shared and data not in moved
            _compare_pictures(name, old, new, exact, result)
        elif name.endswith(".json"):
            sides = dict(_leaves(json.loads(old))), dict(_leaves(json.loads(new)))
            _compare_leaves(name, *sides, same_platform and not moved, result)
        else:
            _compare_texts(name, old.decode(), new.decode(), same_platform and not moved, result)
    return result


def _compare_tables(name: str, old: str, new: str, exact: bool, result: Comparison) -> None:
    """Compare two CSV tables row by row: chat models within tolerances, all else strictly."""
    before, after = (list(csv.DictReader(io.StringIO(text))) for text in (old, new))
    columns = [list(rows[0]) if rows else [] for rows in (before, after)]
    if columns[0] != columns[1]:
        both = (", ".join(names) for names in columns)
        result.differences.append(Difference(name, "", "columns", *both, "equal"))
        return
    rows = _keyed(before), _keyed(after)
    for key in dict.fromkeys([*rows[0], *rows[1]]):
        there = [side.get(key) for side in rows]
        label = " ".join(part for part in key[:-1] if part) + (f" #{key[-1]}" if key[-1] else "")
        known = there[0] or there[1]
        loose = known.get("model", "").startswith("local/")
        if loose and known.get("part") == SINGLE:
            result.unstable += there[0] != there[1]
        elif None in there:
            words = ["missing" if row is None else "there" for row in there]
            result.differences.append(Difference(name, label, "", *words, "same rows"))
        else:
            for column in columns[0]:
                _compare_cells((name, label, column), *there, loose, exact, result)


def _compare_cells(
    place: tuple[str, str, str], old: Row, new: Row, loose: bool, exact: bool, result: Comparison
) -> None:
    column = place[2]
    before, after = old[column], new[column]
    if before == after:
        return
    if not loose:
        _strictly(place, before, after, exact, result)
    elif UNSTABLE.fullmatch(column) or (column not in BASES and _rests_on_little(old, new)):
        result.unstable += 1
    else:
        total = max(
            (_number(row[name]) for row in (old, new) for name in TOTALS if name in row),
            default=math.nan,
        )
        _loosely(place, before, after, total, result)


def _strictly(
    place: tuple[str, str, str], before: str, after: str, exact: bool, result: Comparison
) -> None:
    same = not exact and math.isclose(_number(before), _number(after), rel_tol=ROUNDING)
    if same:
        result.within += 1
    else:
        allowed = "equal" if exact else f"equal to {ROUNDING:g}"
        result.differences.append(Difference(*place, before, after, allowed))


def _loosely(
    place: tuple[str, str, str], before: str, after: str, total: float, result: Comparison
) -> None:
    """Compare two numbers of a chat model; total: of the answers or administrations, or NaN."""
    fitting = (entry for entry in TOLERANCES if re.fullmatch(entry[0], place[2]))
    _, allowed, unit = next(fitting, ("", 0.0, ""))
    if unit == "of those asked":
        allowed = max(
            FEW, allowed * (max(_number(before), _number(after), 0) if math.isnan(total) else total)
        )
    elif unit == "share" and total > 0:
        allowed = max(FEW / total, allowed)
    if abs(_number(before) - _number(after)) <= allowed:
        result.within += 1
    else:
        words = f"±{allowed:.3g} {unit}" if unit else "equal (no tolerance is declared)"
        result.differences.append(Difference(*place, before, after, words))


def _rests_on_little(old: Row, new: Row) -> bool:
    """Return whether a row says that its numbers come from too few administrations."""
    bases = [_number(row[name]) for row in (old, new) for name in BASES if name in row]
    return any(math.isnan(base) or base < MIN_SCORED for base in bases)


def _compare_pictures(name: str, old: bytes, new: bytes, exact: bool, result: Comparison) -> None:
    if exact:
        result.differences.append(
            Difference(name, "", "bytes", f"{len(old)} bytes", f"{len(new)} bytes", "equal bytes")
        )
    elif (before := _size(old)) != (after := _size(new)):
        result.differences.append(Difference(name, "", "size", before, after, "equal size"))
    else:
        result.within += 1


def _compare_leaves(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any], exact: bool, result: Comparison
) -> None:
    """Compare two JSON documents, flattened; what rests on a chat model has moved with its data.

    The hashes in index.json are left out: the files themselves are compared.
    """
    for path in dict.fromkeys([*old, *new]):
        if "/files/" in path:
            continue
        before, after = (side.get(path, "missing") for side in (old, new))
        place = (name, path, _column(path))
        if before == after:
            continue
        if "missing" in (before, after):
            result.differences.append(Difference(*place, str(before), str(after), "same keys"))
        elif isinstance(before, str) and isinstance(after, str):
            _compare_texts(f"{name}: {path}", before, after, exact, result)
        elif exact or "reference/" in path:
            _strictly(place, str(before), str(after), exact, result)
        elif None in (before, after):
            result.unstable += 1
        else:
            _loosely(place, str(before), str(after), math.nan, result)


def _compare_texts(name: str, old: str, new: str, exact: bool, result: Comparison) -> None:
    """Compare texts: the same words, and where data may differ, other numbers in them."""
    if not exact:
        old, new = (re.sub(r"[-\u2212+±]?\d+(\.\d+)?", "#", text) for text in (old, new))
    if old == new:
        result.within += 1
        return
    pairs = zip(old.split("\n"), new.split("\n"), strict=False)
    lines = next((pair for pair in pairs if pair[0] != pair[1]), ("fewer lines", "more lines"))
    allowed = "equal text" if exact else "equal words"
    result.differences.append(Difference(name, "", "text", *lines, allowed))


def _keyed(rows: list[dict[str, str]]) -> dict[tuple[Any, ...], dict[str, str]]:
    """Return the rows by their keys; those that share one are counted."""
    keyed: dict[tuple[Any, ...], dict[str, str]] = {}
    for row in rows:
        key = tuple(row.get(name, "") for name in KEYS)
        count = 0
        while (*key, count) in keyed:
            count += 1
        keyed[(*key, count)] = row
    return keyed


def _leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping | list) and content:
        entries = content.items() if isinstance(content, Mapping) else enumerate(content)
        for key, value in entries:
            yield from _leaves(value, f"{path}/{key}".lstrip("/"))
    else:
        yield path, content


def _column(path: str) -> str:
    """Return the part of a path that says what its number is: the last one with a tolerance."""
    parts = path.split("/")
    declared = [part for part in parts if any(re.fullmatch(entry[0], part) for entry in TOLERANCES)]
    return declared[-1] if declared else parts[-1]


def _number(text: object) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _size(picture: bytes) -> str:
    """Return width x height as the picture's own head says."""
    if picture.startswith(b"\x89PNG"):
        width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
        return f"{width} x {height} px"
    found = re.search(rb'<svg\b[^>]*?\bviewBox="([^"]*)"', picture[:4000])
    return found.group(1).decode() if found else "unknown"


def _short(text: str, longest: int = 44) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
