"""The anonymous answers file of one person, and a folder of them as a group.

A file holds choices and a random identifier made anew for every export; no name, no time and
nothing about the machine. A group is described so that no single person can be picked out: only
from MINIMUM complete measures on, and with as many people, or none, in every cell of its
histogram. There is one partition only, because the difference of two would single people out; for
the same reason a group is to be gathered once, when it is complete.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, secondary, svo

SCHEMA = "hvae-answers/1"
INSTRUMENT = "svo-slider"
MINIMUM = 5  # people; with fewer, whoever knows the others' answers soon knows the last one's
LIMIT = 4096  # bytes of an answers file; a true one has about 200
_PARTS = {"choices": INSTRUMENT, "secondary": "svo-slider-secondary"}
_KEYS = ("schema", "instrument", "version", "id", *_PARTS)
_EDGES = np.arange(-17.5, 63, 10)  # degrees; edges of the published histograms of people, too
_FINE = 40  # people from which cells are as narrow as the edges, and twice as wide below
_BIN = 2.5  # degrees of a bin of the published histograms
_SHOWN = 60  # characters of a name that are shown


@dataclass(frozen=True)
class Answers:
    """One person's answers: 0-based options in the instrument's order, -1 where missing.

    id: the same only in copies of one export.
    """

    id: str
    choices: tuple[int, ...]
    secondary: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """What may be said about a group: nothing but counts and a note below MINIMUM complete ones.

    people: files that count; complete: those with all primary items. cells: low, high (degrees,
    low <= angle < high), count, share (of the complete); mean: of their angles, to whole degrees;
    index: the mean of `secondary.score` to a tenth, where MINIMUM people have one, else NaN.
    """

    people: int
    complete: int
    cells: pd.DataFrame
    mean: float = np.nan
    index: float = np.nan
    note: str = ""


def file_name() -> str:
    """Return a name for an answers file that no other has."""
    return f"answers-{secrets.token_hex(4)}.json"


def export(choices: Sequence[int | None], secondary: Sequence[int | None] | None = None) -> bytes:
    """Return a new answers file, JSON in UTF-8, with a random identifier.

    choices, secondary: 0-based options of the primary and secondary items, None where unanswered.
    Errors: UserError for anything that `parse` would refuse.
    """
    content = {
        "schema": SCHEMA,
        "instrument": INSTRUMENT,
        "version": version("hvae-workbook"),
        "id": secrets.token_hex(16),
        "choices": list(choices),
        "secondary": None if secondary is None else list(secondary),
    }
    _checked(content)
    return (json.dumps(content) + "\n").encode()


def parse(content: bytes) -> Answers:
    """Return the answers in a file's content; UserError where it is no such file."""
    if len(content) > LIMIT:
        raise UserError(f"is too large: an answers file has at most {LIMIT} bytes")
    try:
        return _checked(json.loads(content.decode("utf-8-sig")))
    except UserError:
        raise
    except (ValueError, RecursionError):
        raise UserError("is not JSON in UTF-8; export it anew") from None


def gather(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the people of a folder, and what is wrong with the files that do not count.

    People, one row each, are for `group` alone: the columns of `svo.score` and the index of
    `secondary.score` (NaN where not asked), in the order of the angle, so that no row leads back to
    a file. Problems: file, problem (a sentence). Errors: UserError for an unreadable folder.
    """
    try:
        entries = sorted(Path(folder).iterdir())
    except OSError as fault:
        where = paths.shown(Path(folder))
        raise UserError(f"the folder {where} cannot be read ({fault.strerror})") from None
    people: dict[str, Answers] = {}
    problems = []
    for path in entries:
        try:
            answers = _read(path)
            if answers.id in people:
                raise UserError("is a copy of another file here, which counts once")
            people[answers.id] = answers
        except UserError as fault:
            name = "".join(sign if sign.isprintable() else "?" for sign in path.name)
            problems.append({"file": name[:_SHOWN], "problem": str(fault)})
    return _scored(list(people.values())), pd.DataFrame(problems, columns=["file", "problem"])


def group(people: pd.DataFrame) -> Group:
    """Return what may be said about the people that `gather` read."""
    angles = people["angle"].dropna().to_numpy(float)
    if len(angles) < MINIMUM:
        note = f"{len(angles)} complete measures: nothing is shown of fewer than {MINIMUM} people"
        return Group(len(people), len(angles), _cells(angles[:0]), note=note)
    index = people["index"].dropna()
    enough = len(index) >= MINIMUM
    return Group(
        people=len(people),
        complete=len(angles),
        cells=_cells(angles),
        mean=float(np.round(angles.mean())),
        index=float(np.round(index.mean(), 1)) if enough else np.nan,
        note="" if enough else f"no index: fewer than {MINIMUM} people have one",
    )


def histogram(described: Group, name: str) -> pd.DataFrame:
    """Return a group's cells as a sample beside those of `published.people_histogram`.

    Columns: sample (`name`), low, high, count, share per 2.5 degrees, as in the published bins.
    """
    cells = described.cells
    per_bin = cells["share"] * _BIN / (cells["high"] - cells["low"])
    return cells.assign(sample=name, share=per_bin)


def _read(path: Path) -> Answers:
    """Return the answers of a file, of which at most LIMIT bytes and one are read."""
    if path.name.startswith("."):
        raise UserError("is a hidden file, which is not read")
    try:
        if path.is_symlink() or not path.is_file():
            raise UserError("is a link or no file, which is not read")
        with path.open("rb") as file:
            return parse(file.read(LIMIT + 1))
    except OSError as fault:
        raise UserError(f"cannot be read ({fault.strerror})") from None


def _checked(content: Any) -> Answers:
    """Return the answers in the parsed content; UserError where anything is not as exported."""
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise UserError(f"is no answers file: its schema is not '{SCHEMA}'")
    if set(content) != set(_KEYS):
        raise UserError(f"must hold {', '.join(_KEYS)} and nothing else; export it anew")
    if content["instrument"] != INSTRUMENT:
        raise UserError(f"belongs to another instrument; here is '{INSTRUMENT}' measured")
    texts = isinstance(content["id"], str) and isinstance(content["version"], str)
    if not texts or not re.fullmatch("[0-9a-f]{32}", content["id"]):
        raise UserError("has an identifier or a version that no export writes; export it anew")
    return Answers(content["id"], *(_options(key, content[key]) for key in _PARTS))


def _options(key: str, choices: Any) -> tuple[int, ...]:
    """Return the options of one part of the questionnaire, -1 for null."""
    items, options, _ = instruments.load(_PARTS[key]).payoffs.shape
    if choices is None and key == "secondary":  # not asked
        return (-1,) * items
    if not isinstance(choices, list) or len(choices) != items:
        raise UserError(f"'{key}' must be a list of {items} choices")
    for place, option in enumerate(choices, start=1):
        if option is not None and (type(option) is not int or not 0 <= option < options):
            raise UserError(
                f"'{key}': choice {place} must be a whole number from 0 to {options - 1}, or null"
            )
    return tuple(-1 if option is None else option for option in choices)


def _scored(people: list[Answers]) -> pd.DataFrame:
    """Return one row a person, in the order of the angle."""
    primary, further = map(instruments.load, _PARTS.values())
    choices = np.array([one.choices for one in people], int).reshape(-1, len(primary.items))
    more = np.array([one.secondary for one in people], int).reshape(-1, len(further.items))
    scores = svo.score(choices, primary).assign(index=secondary.score(more)["index"])
    return scores.sort_values(["angle", "index"], ignore_index=True)


def _cells(angles: np.ndarray) -> pd.DataFrame:
    """Return the histogram, upwards: of all with no or enough people in a cell, the finest.

    The most cells with people come first, then the narrowest, then the fewest without. Where the
    group is small the edges are far apart, so that a cell's end says little about one person.
    """
    edges = _EDGES if len(angles) >= _FINE else _EDGES[::2]
    counts = np.histogram(angles, edges)[0]
    best, cuts = (), (0, len(counts))
    for inner in product((False, True), repeat=len(counts) - 1):
        ends = (0, *np.flatnonzero(inner) + 1, len(counts))
        held = [int(counts[a:b].sum()) for a, b in pairwise(ends)]
        if any(0 < one < MINIMUM for one in held):
            continue
        width = sum(b - a for (a, b), one in zip(pairwise(ends), held, strict=True) if one)
        if (rank := (sum(map(bool, held)), -width, -len(held))) > best:
            best, cuts = rank, ends
    rows = [
        {"low": edges[a], "high": edges[b], "count": int(counts[a:b].sum())}
        for a, b in (pairwise(cuts) if len(angles) else ())
    ]
    cells = pd.DataFrame(rows, columns=["low", "high", "count"])
    return cells.assign(share=cells["count"] / max(1, len(angles)))
