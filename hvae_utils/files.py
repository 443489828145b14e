"""What is done with files everywhere: read TOML and text, write at once, hash, name what lacks.

Public names: read_toml, read_text, parse_toml, parse_json, write_atomically, unwritable, sha256,
one_line, finite, known_keys, needed_columns.
"""

import contextlib
import errno
import hashlib
import json
import os
import tomllib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from hvae_utils import paths
from hvae_utils.errors import UserError, unknown

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 1e100  # no payoff, weight or angle is larger, and sums and products stay finite
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def read_toml(path: Path) -> dict[str, Any]:
    """Return what the file holds; UserError where it cannot be read or is no TOML."""
    return parse_toml(read_text(path), paths.shown(path))


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8; UserError where it cannot be read."""
    where = paths.shown(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: is not UTF-8 text (byte {error.start + 1})") from None


def parse_toml(content: str, where: str) -> dict[str, Any]:
    """Return the table of a text; `where` names its file in the UserError of what is no TOML."""
    try:
        return tomllib.loads(content)
    except ValueError as error:  # malformed, or a number of more digits than Python reads
        raise UserError(f"{where}: is not valid TOML ({error})") from None
    except RecursionError:
        raise UserError(f"{where}: lists or tables are nested too deeply") from None


def parse_json(content: bytes) -> Any:
    """Return JSON from elsewhere; what only a lenient reader takes is made what every one takes.

    Half a surrogate pair, which no file holds, becomes a question mark, and NaN null. ValueError
    and RecursionError for what is no JSON.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        tree = json.loads(content, parse_constant=lambda name: None)
        return json.loads(json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace"))


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that its name has the old content or all of the new; text is UTF-8.

    UserError where it cannot be written; nothing is left then.
    """
    data = content.encode() if isinstance(content, str) else content
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        os.replace(new, path)
    except OSError as fault:
        raise unwritable(path, fault) from None
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def unwritable(path: Path, fault: OSError) -> UserError:
    """Return the error for a file or folder that could not be written."""
    remedy = "; make room, then run again to continue" if fault.errno in FULL else ""
    return UserError(f"cannot write {paths.shown(path)}: {fault.strerror or fault}{remedy}")


def one_line(text: object, longest: int | None = None) -> str:
    """Return a text with single spaces between its words, cut to `longest` characters with `…`.

    >>> one_line("two\\n  lines"), one_line("a long sentence", 7)
    ('two lines', 'a long…')
    """
    line = " ".join(str(text).split())
    return line if longest is None or len(line) <= longest else f"{line[: longest - 1]}…"


def finite(value: Any) -> bool:
    """Return whether `value` is a number that can be computed with; true and false are none."""
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; OSError when it cannot be read.

    A process reads a file once, and again when its size or a time of change is another one.
    """
    state = path.stat()
    return _digest(path.absolute(), state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache
def _digest(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_keys(where: str, table: Any, keys: Sequence[str]) -> None:
    """Raise UserError, beginning with `where`, unless `table` is a table of some of these keys."""
    if not isinstance(table, dict):
        raise UserError(f"{where}: must be a table of {', '.join(keys)}")
    for key in table:
        if key not in keys:
            raise UserError(f"{where}: {unknown('key', key, keys)}")


def needed_columns(table: "pd.DataFrame", name: str, columns: Iterable[str]) -> None:
    """Raise UserError, naming the table and the first absent column, unless all are there."""
    for column in columns:
        if column not in table:
            raise UserError(f"{name}: the column '{column}' is missing")
