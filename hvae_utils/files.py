"""Files and the tables in them: SHA-256 (a large file is read for it once), needed columns.

Public names: sha256, needed_columns.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_utils import paths
from hvae_utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

LARGE = 2**23  # bytes; a smaller file is hashed sooner than looked up


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; OSError when it cannot be read.

    For a large file it is remembered in hashes.json in the cache folder, and taken from there as
    long as path, size and both times of change are the same. A cache that cannot be read or
    written is ignored.
    """
    state = path.stat()
    if state.st_size < LARGE:
        return _digest(path)
    return _of_large(path.absolute(), state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache
def _of_large(path: Path, *state: int) -> str:
    store = paths.cache() / "hashes.json"
    match _remembered(store).get(str(path)):
        case [*numbers, str(digest)] if numbers == [*state]:
            return digest
    digest = _digest(path)
    present = {name: entry for name, entry in _remembered(store).items() if Path(name).is_file()}
    new = store.with_suffix(f".{os.getpid()}.new")
    with contextlib.suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({**present, str(path): [*state, digest]}), encoding="utf-8")
        os.replace(new, store)
    return digest


def _remembered(store: Path) -> dict[str, Any]:
    """Return the entries path -> [size, modified, changed, digest]; none if there is no such file.

    Times are in nanoseconds.
    """
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def needed_columns(table: "pd.DataFrame", name: str, columns: Iterable[str]) -> None:
    """Raise UserError, naming the table and the first absent column, unless all are there."""
    for column in columns:
        if column not in table:
            raise UserError(f"{name}: the column '{column}' is missing")
