"""A TOML file of the project's data as a table, or a sentence that says what is wrong with it.

This module must never know what a file is about: whoever asks for it checks what it holds.

Public names: read.
"""

import tomllib
from pathlib import Path
from typing import Any

from hvae_utils import paths
from hvae_utils.errors import UserError


def read(path: Path) -> dict[str, Any]:
    """Return what the file holds; UserError where it cannot be read or is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{paths.shown(path)}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # malformed TOML and malformed UTF-8
        raise UserError(f"{paths.shown(path)}: is not valid TOML ({error})") from None
