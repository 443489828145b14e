"""The append-only store of a run: every request and its reply, one JSON line each.

A key that is answered is never asked again; an error is kept but does not count as an answer.
Memory holds where each record begins, so a run may have many times more than would fit.

One process writes, any number may read. The writer holds a lock that ends with it, however it
ends. A last line that was cut off by a crash is dropped by the next writer, with a warning; damage
anywhere else is an error, and nothing is overwritten.
"""

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson
from filelock import FileLock, Timeout

from hvae_utils import paths
from hvae_utils.errors import UserError

Record = dict[str, Any]
NEEDED = {"key", "text", "error"}  # without these a line is no record
LOCK = ".lock"  # in the run folder; hidden, so it is no file of the run


def read(path: Path) -> Iterator[Record]:
    """Yield the records of `path` in the order written; a torn last line is left out.

    Raises UserError naming the line when any other line is no record.
    """
    return (record for record, _ in _lines(path))


class Held:
    """Records by key, in memory: for rehearsals and the workers of a cluster.

    An answer wins over errors with the same key; among equals the later one wins.

    >>> records = Held()
    >>> records.append({"key": "k1", "text": None, "error": "timeout"})
    >>> records.answered("k1"), records.get("k1")["error"]
    (None, 'timeout')
    """

    def __init__(self, seed: Iterable[Record] = ()) -> None:
        self.new: list[Record] = []  # those appended, in order
        self._answered: dict[str, Any] = {}  # key -> where its record is
        self._failed: dict[str, Any] = {}
        self._items: Counter[str] = Counter()
        for record in seed:
            self._index(record, record)

    def __len__(self) -> int:
        return len(self._answered) + len(self._failed)

    def get(self, key: str) -> Record | None:
        """Return the record of a key, an error included, or None when it was never asked."""
        place = self._answered.get(key, self._failed.get(key))
        return None if place is None else self._at(place)

    def answered(self, key: str) -> Record | None:
        """Return the record of a key that needs no asking again, or None."""
        place = self._answered.get(key)
        return None if place is None else self._at(place)

    def answered_items(self, condition_id: str) -> int:
        """Return how many items a condition was the first to ask: a hint of what is left."""
        return self._items[condition_id]

    def append(self, record: Record) -> None:
        """Add one record."""
        self.new.append(record)
        self._index(record, record)

    def _index(self, record: Record, place: Any) -> None:
        key = record["key"]
        if not record["error"]:
            self._failed.pop(key, None)
            self._answered[key] = place
            if record.get("item") is not None:
                self._items[record.get("condition_id", "")] += 1
        elif key not in self._answered:
            self._failed[key] = place

    def _at(self, place: Any) -> Record:
        return place


class Records(Held):
    """The records of one run, in a file. Use as a context manager to append.

    Raises UserError when the file is damaged, and on entering when the folder cannot be written or
    another process has it open.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._end = self._count = 0  # of the whole lines: bytes, lines
        self._file: BinaryIO | None = None
        self._reader: BinaryIO | None = None
        self._lock = FileLock(path.parent / LOCK, timeout=0, thread_local=False)
        self._take_in()

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._take_in()  # what the last writer added since
            self._file = self.path.open("ab", buffering=0)
            if self._file.seek(0, 2) > self._end:  # the writer of the last line was stopped midway
                self._file.truncate(self._end)
                warnings.warn(f"{paths.shown(self.path)}: dropped a torn last line", stacklevel=2)
            self._reader = self.path.open("rb")
        except Timeout:
            raise UserError(
                f"another process is writing the records of {paths.shown(self.path.parent)}; "
                "wait until it has ended or take another run id"
            ) from None
        except (OSError, NotImplementedError) as fault:  # the second: a folder without locks
            self.__exit__()
            raise UserError(f"cannot write {paths.shown(self.path)}: {_why(fault)}") from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for file in filter(None, (self._file, self._reader)):
            with contextlib.suppress(OSError):  # what could not be written was said by append
                file.close()
        self._file = self._reader = None
        self._lock.release()

    def append(self, record: Record) -> None:
        """Write one record as one line, at once; a line that does not fit is taken out again.

        Raises UserError when the file cannot be written (full, read-only) or was removed.
        """
        if self._file is None:
            raise RuntimeError("append needs the store open: use `with Records(path) as records`")
        if os.fstat(self._file.fileno()).st_nlink == 0:  # what is written there, nobody finds
            raise UserError(f"{paths.shown(self.path)} was removed while it was written; run again")
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as fault:
            try:
                self._file.truncate(self._end)
            except OSError:  # the next writer drops the torn line; this one must add nothing to it
                self._file.close()
            raise UserError(
                f"cannot write {paths.shown(self.path)}: {_why(fault)}; "
                f"{len(self)} records are safe, run again to continue"
            ) from None
        self._note(record, len(line))

    def _take_in(self) -> None:
        """Index the whole lines from the last one that was read on."""
        for record, size in _lines(self.path, self._end, self._count) if self.path.exists() else ():
            self._note(record, size)

    def _note(self, record: Record, size: int) -> None:
        self._index(record, self._end)
        self._end, self._count = self._end + size, self._count + 1

    def _at(self, place: int) -> Record:
        with contextlib.ExitStack() as stack:
            file = self._reader or stack.enter_context(self.path.open("rb"))
            file.seek(place)
            return orjson.loads(file.readline())


def _lines(path: Path, begin: int = 0, count: int = 0) -> Iterator[tuple[Record, int]]:
    """Yield each record from byte `begin`, where `count` lines end, and its line's size."""
    try:
        opened = path.open("rb")
    except OSError as fault:
        raise UserError(f"cannot read {paths.shown(path)}: {_why(fault)}") from None
    with opened as file:
        file.seek(begin)
        for number, line in enumerate(file, start=count + 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = orjson.loads(line)
                if not (record.keys() >= NEEDED and isinstance(record["key"], str)):
                    raise ValueError("not a record")
            except (ValueError, AttributeError):
                raise UserError(
                    f"line {number} of {paths.shown(path)} is not a record; "
                    "mend or remove that line, or start a new run with another run id"
                ) from None
            yield record, len(line)


def _why(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
