"""The cues of `cues.toml` and `languages.toml`: words that decide for an option, deny it, refuse.

Public names: table, languages, cue, deciding.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from hvae_utils import files


@lru_cache
def table() -> dict[str, dict[str, Any]]:
    """Return the tables of cues.toml: group -> name -> pattern and example."""
    return files.read_toml(Path(__file__).with_name("cues.toml"))


@lru_cache
def languages() -> dict[str, dict[str, Any]]:
    """Return the tables of languages.toml: language -> patterns and examples."""
    return files.read_toml(Path(__file__).with_name("languages.toml"))


@lru_cache
def deciding(rule: str) -> tuple[str, ...]:
    """Return the names of the cues that a rule decides by; "de 0" is the first of German."""
    names = [name for name, entry in table()["decides"].items() if entry["rule"] == rule]
    if rule == "declared":
        for code, row in languages().items():
            names += [f"{code} {number}" for number in range(len(row["decides"]))]
    return tuple(names)


@lru_cache(maxsize=8192)
def cue(name: str, label: str = "", digit: str = "") -> re.Pattern:
    """Return the pattern of a name; what it says of other patterns, as <<name>>, is filled in."""
    return re.compile(_filled_in(name, {"label": label, "digit": digit}))


def _filled_in(name: str, forms: dict[str, str]) -> str:
    if name in forms:
        return forms[name]
    if name.startswith("every_"):
        rows = (row.get(name.removeprefix("every_")) for row in languages().values())
        text = "|".join(f"(?:{pattern})" for pattern in rows if pattern)
    elif " " in name:
        code, number = name.split()
        text = languages()[code]["decides"][int(number)]
    else:
        group = next(group for group in table().values() if name in group)
        text = "".join(group[name]["pattern"])
    return re.sub(r"<<(\w+)>>", lambda other: _filled_in(other[1], forms), text)
