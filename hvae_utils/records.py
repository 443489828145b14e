"""The append-only store of a run: every request and its reply, one JSON line each.

A line is written the moment an answer arrives. A key that is answered is never asked again; an
error is kept but does not count as an answer. A last line that was cut off by a crash is dropped,
by `Records` with a warning; damage anywhere else is an error, and nothing is overwritten.

Public names: Records, Held, read.
"""

import contextlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from hvae_utils import paths
from hvae_utils.errors import UserError

Record = dict[str, Any]
NEEDED = {"key", "text", "error"}  # without these a line is no record


def read(path: Path) -> Iterator[Record]:
    """Yield the records of `path` in the order written; a torn last line is left out.

    Raises UserError naming the line when any other line is no record.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
                if not isinstance(record, dict) or not record.keys() >= NEEDED:
                    raise ValueError("not a record")
            except ValueError:
                raise UserError(
                    f"line {number} of {paths.shown(path)} is not a record; "
                    "mend or remove that line, or start a new run with another run id"
                ) from None
            yield record


class Records:
    """The records of one run, by key. Use as a context manager; appends need it open.

    `answered` records win over errors with the same key; among equals the later one wins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_key: dict[str, Record] = {}
        self._file = None
        if path.exists():
            _drop_torn_line(path)
            for record in read(path):
                self._remember(record)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written was said by append
                self._file.close()
            self._file = None

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> Record | None:
        """Return the record of a key, an error included, or None when it was never asked."""
        return self._by_key.get(key)

    def answered(self, key: str) -> Record | None:
        """Return the record of a key that needs no asking again, or None."""
        record = self._by_key.get(key)
        return None if record is None or record.get("error") else record

    def append(self, record: Record) -> None:
        """Write one record as one line, at once, and remember it.

        Raises UserError when the folder cannot be written (full, read-only).
        """
        if self._file is None:
            raise RuntimeError("append needs the store open: use `with Records(path) as records`")
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":"))
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as fault:
            raise UserError(
                f"cannot write {paths.shown(self.path)}: {fault.strerror}; "
                f"{len(self)} records are safe, run again to continue"
            ) from None
        self._remember(record)

    def _remember(self, record: Record) -> None:
        if record.get("error") and self.answered(record["key"]):
            return
        self._by_key[record["key"]] = record


class Held:
    """Records in memory, with the interface of `Records`: for workers and rehearsals.

    seed: records that are there from the start; `new`: those appended since.
    """

    def __init__(self, seed: Iterable[Record] = ()) -> None:
        self._by_key = {record["key"]: record for record in seed}
        self.new: list[Record] = []

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> Record | None:
        """As Records.get."""
        return self._by_key.get(key)

    def answered(self, key: str) -> Record | None:
        """As Records.answered."""
        record = self._by_key.get(key)
        return None if record is None or record.get("error") else record

    def append(self, record: Record) -> None:
        """Remember one record."""
        self.new.append(record)
        if not record.get("error") or self.answered(record["key"]) is None:
            self._by_key[record["key"]] = record


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line without a line end: the process that wrote it was stopped midway."""
    with path.open("r+b") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
    warnings.warn(f"{paths.shown(path)}: dropped a torn last line", stacklevel=3)
