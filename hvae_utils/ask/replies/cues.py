"""The cues of `cues.toml`: words that decide for an option, deny it, refuse, or name payoffs."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from hvae_utils import files


@lru_cache
def table() -> dict[str, dict[str, Any]]:
    """Return the tables of cues.toml: group -> name -> pattern and example."""
    return files.read_toml(Path(__file__).with_name("cues.toml"))


@lru_cache(maxsize=4096)
def cue(name: str, label: str = "", digit: str = "") -> re.Pattern:
    """Return the pattern of a name; what it says of other patterns, as <<name>>, is filled in."""
    return re.compile(_filled_in(name, {"label": label, "digit": digit}))


def _filled_in(name: str, forms: dict[str, str]) -> str:
    if name in forms:
        return forms[name]
    group = next(group for group in table().values() if name in group)
    text = "".join(group[name]["pattern"])
    return re.sub(r"<<(\w+)>>", lambda other: _filled_in(other[1], forms), text)
