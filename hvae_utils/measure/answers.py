"""The anonymous answers file of one person, and a folder of them as a group.

A class measures itself: everybody exports one small file, the instructor gathers the files. A file
holds choices and a random identifier made anew for every export; no name, no time and nothing
about the machine. About a group only what nobody can be picked out of is told: nothing below
MINIMUM complete measures, and no cell of the histogram with fewer people than that. Cells of
10 degrees are joined with their neighbours until they hold enough people, and there is one
partition only, because the difference of two (by angle and by category, say) would single people
out. For the same reason a group is to be gathered once, when it is complete.

This module must never write a file, never repair one, and never tell one person's answers.

Public names: SCHEMA, INSTRUMENT, MINIMUM, LIMIT, file_name, export, parse, gather, group, Answers,
Group, histogram.
"""

import json
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import __version__, paths
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo

SCHEMA = "hvae-answers/1"
INSTRUMENT = "svo-slider"
MINIMUM = 5  # people; with fewer, who knows the others' answers soon knows the last one's
LIMIT = 4096  # bytes of an answers file; a true one has about 200
_ITEMS = {"choices": 6, "secondary": 9}
_OPTIONS = 9
_KEYS = ("schema", "instrument", "version", "id", "choices", "secondary")
_EDGES = np.arange(-17.5, 63, 10)  # degrees; edges of the published histograms of people, too
_BIN = 2.5  # degrees of a bin of the published histograms
_SHOWN = 60  # characters of a file's name that are shown


@dataclass(frozen=True)
class Answers:
    """One person's answers: 0-based options in the instrument's order, -1 where missing.

    id: 32 hexadecimal digits, the same only in copies of one export; choices: items 1 to 6;
    secondary: items 7 to 15, None where they were not asked.
    """

    id: str
    choices: tuple[int, ...]
    secondary: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Group:
    """What may be told of a group.

    people: files that count; complete: those with all six primary items. From MINIMUM complete
    ones on: cells (low, high: degrees, low <= angle < high; count, share of the complete), mean
    (of their angles, to whole degrees) and, where as many people have one, index (the mean of
    `motives`, to a tenth). Otherwise cells has no row, the numbers are NaN, and note says why.
    """

    people: int
    complete: int
    cells: pd.DataFrame
    mean: float = np.nan
    index: float = np.nan
    note: str = ""


def file_name() -> str:
    """Return a name for an answers file that no other has: a class puts them in one folder."""
    return f"answers-{secrets.token_hex(4)}.json"


def export(choices: Sequence[int | None], secondary: Sequence[int | None] | None = None) -> bytes:
    """Return a new answers file, JSON in UTF-8.

    choices, secondary: of items 1 to 6 and 7 to 15, 0-based options, None where unanswered.
    The identifier is random, so two exports of the same answers cannot be linked by it.
    Errors: UserError for anything that `parse` would refuse.
    """
    content = {
        "schema": SCHEMA,
        "instrument": INSTRUMENT,
        "version": __version__,
        "id": secrets.token_hex(16),
        "choices": list(choices),
        "secondary": None if secondary is None else list(secondary),
    }
    _checked(content)
    return (json.dumps(content) + "\n").encode()


def parse(content: bytes) -> Answers:
    """Return the answers in a file's content; UserError, one sentence, where it is no such file."""
    if len(content) > LIMIT:
        raise UserError(f"is too large: an answers file has at most {LIMIT} bytes")
    try:
        found = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once)
    except UserError:
        raise
    except (ValueError, RecursionError):
        raise UserError("is not JSON in UTF-8; export it anew") from None
    return _checked(found)


def gather(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the people of a folder, and what is wrong with the files that do not count.

    The first table is for `group` alone and not for showing: one row a person, in the order of
    the angle, so that no row leads back to a file, with the columns of `svo.score` and the index
    of `motives.score` (NaN where the secondary items were not asked). The second has one row a
    problem: file, problem (a sentence). A copy of a file that counts is a problem; equal answers
    under another identifier are not, because many people give the same six.
    Errors: UserError where the folder cannot be read.
    """
    try:
        found = sorted(Path(folder).iterdir())
    except OSError as fault:
        raise UserError(
            f"the folder {paths.shown(Path(folder))} cannot be read ({fault.strerror}); "
            "give the folder that holds the answers files"
        ) from None
    known: dict[str, Answers] = {}
    problems = []
    for path in found:
        try:
            answers = _read(path)
            if answers.id in known:
                raise UserError("is a copy of another file here, which counts once")
            known[answers.id] = answers
        except UserError as fault:
            problems.append({"file": _printable(path.name), "problem": str(fault)})
    return _scored(list(known.values())), pd.DataFrame(problems, columns=["file", "problem"])


def group(people: pd.DataFrame) -> Group:
    """Return what may be told of the people that `gather` found."""
    angles = people["angle"].dropna().to_numpy(float)
    few = len(angles) < MINIMUM
    cells = _cells(angles[:0] if few else angles)
    if few:
        note = f"{len(angles)} complete measures: nothing is shown of fewer than {MINIMUM} people"
        return Group(len(people), len(angles), cells, note=note)
    index = people["index"].dropna()
    enough = len(index) >= MINIMUM
    return Group(
        people=len(people),
        complete=len(angles),
        cells=cells,
        mean=float(np.round(angles.mean())),
        index=float(np.round(index.mean(), 1)) if enough else np.nan,
        note="" if enough else f"no index: fewer than {MINIMUM} people have one",
    )


def histogram(found: Group, name: str) -> pd.DataFrame:
    """Return a group's cells as a sample beside those of `published.people_histogram`.

    Columns: sample (`name`), low, high, count, share: here the share per 2.5 degrees, the bins of
    the published samples, so that the heights of narrow and of joined cells compare.
    """
    per_bin = found.cells["share"] * _BIN / (found.cells["high"] - found.cells["low"])
    return found.cells.assign(sample=name, share=per_bin)


def _read(path: Path) -> Answers:
    """Return the answers of a file; never reads more than LIMIT bytes and one."""
    if path.name.startswith("."):
        raise UserError("is a hidden file, which is not read")
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise UserError("is a symbolic link, which is not followed")
        if not stat.S_ISREG(mode):
            raise UserError("is no file")
        with path.open("rb") as file:
            return parse(file.read(LIMIT + 1))
    except OSError as fault:
        raise UserError(f"cannot be read ({fault.strerror})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; UserError where a key stands in it twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UserError("names a key twice; export it anew")
    return found


def _checked(found: Any) -> Answers:
    """Return the answers in the parsed content; UserError where anything is not as exported."""
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UserError(f"is no answers file: its schema is not '{SCHEMA}'")
    if set(found) != set(_KEYS):
        odd = min(set(found) ^ set(_KEYS))
        what = "lacks" if odd in _KEYS else "holds more than answers, namely"
        raise UserError(f"{what} '{_printable(odd)}'; export it anew")
    if found["instrument"] != INSTRUMENT:
        raise UserError(f"belongs to another instrument; here is '{INSTRUMENT}' measured")
    name = found["id"]
    if not isinstance(name, str) or len(name) != 32 or not set(name) <= set("0123456789abcdef"):
        raise UserError("has an identifier that was not made by an export; export it anew")
    if not isinstance(found["version"], str):
        raise UserError("has a version that is no text; export it anew")
    secondary = found["secondary"]
    return Answers(
        id=name,
        choices=_options("choices", found["choices"]),
        secondary=None if secondary is None else _options("secondary", secondary),
    )


def _options(key: str, given: Any) -> tuple[int, ...]:
    """Return the options of one part of the questionnaire, -1 for null."""
    if not isinstance(given, list) or len(given) != _ITEMS[key]:
        raise UserError(f"'{key}' must be a list of {_ITEMS[key]} choices")
    for place, option in enumerate(given, start=1):
        if option is None:
            continue
        if type(option) is not int or not 0 <= option < _OPTIONS:
            raise UserError(
                f"'{key}': choice {place} must be a whole number from 0 to {_OPTIONS - 1}, or null"
            )
    return tuple(-1 if option is None else option for option in given)


def _scored(everybody: list[Answers]) -> pd.DataFrame:
    """Return one row a person, in the order of the angle."""
    skipped = (-1,) * _ITEMS["secondary"]
    choices = np.array([one.choices for one in everybody], int).reshape(-1, _ITEMS["choices"])
    secondary = np.array([one.secondary or skipped for one in everybody], int)
    people = svo.score(choices, instruments.load(INSTRUMENT))
    index = secondary.score(secondary.reshape(-1, _ITEMS["secondary"]))["index"]
    return people.assign(index=index).sort_values(["angle", "index"], ignore_index=True)


def _cells(angles: np.ndarray) -> pd.DataFrame:
    """Return the histogram, upwards: a cell is closed where it and the rest hold enough people."""
    counts = np.histogram(angles, _EDGES)[0]
    rows, low, held, left = [], _EDGES[0], 0, len(angles)
    for high, count in zip(_EDGES[1:], counts, strict=True):
        held, left = held + int(count), left - int(count)
        if held >= MINIMUM and (left >= MINIMUM or high == _EDGES[-1]):
            rows.append({"low": low, "high": high, "count": held, "share": held / len(angles)})
            low, held = high, 0
    return pd.DataFrame(rows, columns=["low", "high", "count", "share"])


def _printable(text: str) -> str:
    """Return a name for a sentence or a table: on one line and not too long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
