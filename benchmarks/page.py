"""What the benchmarks share: tables, the line that says where they were made, and the docs page.

Public names: table, machine, write, verdict.
"""

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from hvae_utils import paths

PAGE = paths.ROOT / "docs" / "engine.md"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table; numbers are shown as they are given, so format them before."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine(*packages: str) -> str:
    """Return date, machine and versions in one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{datetime.date.today():%Y-%m-%d}, {os.cpu_count()} cores ({_processor()}), "
        f"{platform.system()}, Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    """Return the processor's name; Linux tells it only here."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def verdict(demands: Iterable[tuple[str, bool]]) -> tuple[str, bool]:
    """Return the line that says which requirements are met, and whether all of them are."""
    demands = list(demands)
    said = "; ".join(f"{what}: {'met' if met else '**missed**'}" for what, met in demands)
    return f"Requirements: {said}.", all(met for _, met in demands)


def write(name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->` of docs/engine.md."""
    page = PAGE.read_text(encoding="utf-8")
    before, opened, rest = page.partition(f"<!-- {name} -->\n")
    _, closed, after = rest.partition(f"<!-- /{name} -->")
    if not opened or not closed:
        raise SystemExit(f"{PAGE.name}: the markers of '{name}' are missing")
    page = f"{before}{opened}{text}\n{closed}{after}"
    PAGE.write_text(page, encoding="utf-8", newline="\n")
