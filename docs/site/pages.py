"""The site's pages of prose: the repository's own texts, with links that hold on the site.

A text is written once, for the repository. On the site a link to another page leads to that page, a
link to a file downloads it, and a link to a folder, or to a text that the site leaves out, becomes
plain words.
"""

import posixpath
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from hvae_utils import paths

# What the site leaves out: whatever gives answers away to whoever takes the lessons.
HIDDEN = ("docs/instructors/", "notebooks/course/solutions/")
TEXTS = ("README.md", "CONTRIBUTING.md", "data/README.md", "figures/README.md", "docs/**/*.md")
NOTEBOOKS = ("notebooks/*.ipynb", "notebooks/course/*.ipynb")
CONTENTS = {
    "The workbook": ["notebooks/0*", "figures/index"],
    "Lessons": ["notebooks/course/[1-9]*", "docs/worksheets/*", "notebooks/course/class"],
    "Method": ["docs/intervals", "docs/debiasing", "docs/transfer", "docs/glossary"],
    "Use it": ["docs/setup", "docs/endpoints", "docs/cost", "docs/inspect", "docs/engine"],
    "Further": ["docs/scaling", "docs/teaching", "docs/site", "data/index", "CONTRIBUTING"],
}
# A place to link to: in the repository it is HTML, and Sphinx has a way of its own.
_PLACE = re.compile(r'<a id="([a-z-]+)"></a>')
# A link or a picture outside of code: `[label](target)`.
_LINK = re.compile(
    r"(`+)(?:.*?)\1|(?P<label>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<target>[^()\s]+)\)"
)
_FENCE = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)


def known(root: Path = paths.ROOT) -> dict[str, str]:
    """Return the file in the repository -> page of the site, both as paths from the root."""
    found = [path for pattern in (*TEXTS, *NOTEBOOKS) for path in sorted(root.glob(pattern))]
    names = (path.relative_to(root).as_posix() for path in found)
    shown = [name for name in names if not name.startswith(HIDDEN)]
    return {name: re.sub(r"README(?=\.md$)", "index", name) for name in shown}


def stage(to: Path, root: Path = paths.ROOT) -> None:
    """Write every page of prose and every file that one of them links to into the folder `to`."""
    pages = known(root)
    for name, page in pages.items():
        if not name.endswith(".md"):
            continue
        text = (root / name).read_text(encoding="utf-8")
        for file in linked(text, name, root):
            copy(file, to, root)
        text = _PLACE.sub(r"[]{#\1}", relinked(text, name, pages, root))
        if page == "index.md":
            text += contents(pages.values())
        (to / page).parent.mkdir(parents=True, exist_ok=True)
        (to / page).write_text(text, encoding="utf-8")


def contents(pages: Iterable[str]) -> str:
    """Return the table of contents, for the first page; a page of no heading is an error later."""
    there = sorted(page.rpartition(".")[0] for page in pages)
    parts = []
    for caption, patterns in CONTENTS.items():
        entries = [page for pattern in patterns for page in there if Path(page).match(pattern)]
        parts += ["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"]
    return "\n".join(parts) + "\n"


def relinked(text: str, name: str, pages: dict[str, str], root: Path = paths.ROOT) -> str:
    """Return the text of the file `name` with its links as they are on the site."""

    def replaced(match: re.Match[str]) -> str:
        target = match["target"]
        if not target or "://" in target or target.startswith(("#", "mailto:")):
            return match[0]
        path, hash, fragment = target.partition("#")
        full = _from_root(path, name)
        if full in pages:
            there = posixpath.relpath(pages[full], posixpath.dirname(name) or ".")
            return f"{match['label']}({there}{hash}{fragment})"
        if (root / full).is_file() and not full.startswith(HIDDEN):
            return match[0]
        return match["label"].removeprefix("!")[1:-1]

    return _outside_fences(text, lambda part: _LINK.sub(replaced, part))


def linked(text: str, name: str, root: Path = paths.ROOT) -> list[str]:
    """Return the files that a text links to or shows, and that are no page, as paths from root."""
    prose = _FENCE.sub("", text)
    targets = [match["target"] for match in _LINK.finditer(prose) if match["target"]]
    targets += re.findall(r'<img src="([^":]+)"', prose)
    files = {_from_root(target.partition("#")[0], name) for target in targets if ":" not in target}
    return sorted(f for f in files if (root / f).is_file() and not f.endswith((".md", ".ipynb")))


def copy(name: str, to: Path, root: Path = paths.ROOT) -> None:
    """Copy a file of the repository to the same place below `to`."""
    (to / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / name, to / name)


def _from_root(target: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target))


def _outside_fences(text, change):
    parts, at = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, change(text[at:])])
