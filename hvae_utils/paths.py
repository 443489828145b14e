"""The only module that knows folders. It reads the environment and creates nothing.

Public names: PACKAGE, ROOT, DATA, GLOSSARY, NOTEBOOKS, PROFILES, FIGURES, RUNS, cache, shown.
"""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = Path(os.environ.get("HVAE_ROOT") or PACKAGE.parent)
DATA = ROOT / "data"
GLOSSARY = ROOT / "docs" / "glossary.md"
NOTEBOOKS = ROOT / "notebooks"
PROFILES = NOTEBOOKS / "profiles"
FIGURES = ROOT / "figures"
RUNS = ROOT / "runs"


def cache() -> Path:
    """Return the folder for downloaded weights: HVAE_CACHE, or the platform's user cache."""
    if chosen := os.environ.get("HVAE_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("hvae", appauthor=False)


def shown(path: Path) -> str:
    """Return `path` as text for messages: relative to the project where it lies inside it."""
    try:
        return path.resolve().relative_to(ROOT.resolve()).as_posix()
    except ValueError:
        return str(path)
