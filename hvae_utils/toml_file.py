"""A TOML file of the project's data as a table, or a sentence that says what is wrong with it.

It does not know what a file is about: whoever asks for it checks what it holds.

Public names: read, text, parse, finite.
"""

import tomllib
from pathlib import Path
from typing import Any

from hvae_utils import paths
from hvae_utils.errors import UserError

LARGEST = 1e100  # no payoff, weight or angle is larger, and sums and products stay finite


def read(path: Path) -> dict[str, Any]:
    """Return what the file holds; UserError where it cannot be read or is no TOML."""
    return parse(text(path), paths.shown(path))


def text(path: Path) -> str:
    """Return the text of a file in UTF-8; UserError where it cannot be read."""
    where = paths.shown(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: is not UTF-8 text (byte {error.start + 1})") from None


def parse(content: str, where: str) -> dict[str, Any]:
    """Return the table of a text; `where` names its file in the UserError of what is no TOML."""
    try:
        return tomllib.loads(content)
    except ValueError as error:  # malformed, or a number of more digits than Python reads
        raise UserError(f"{where}: is not valid TOML ({error})") from None
    except RecursionError:
        raise UserError(f"{where}: lists or tables are nested too deeply") from None


def finite(value: Any) -> bool:
    """Return whether `value` is a number that can be computed with; true and false are none."""
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST
