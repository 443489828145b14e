"""The site's notebooks: those of a finished run as they were executed, and the lessons.

A lesson is shown with the outputs of its solution, but with its exercises open. Pictures become
files, so that a page loads them when they come into view.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from docs.site import pages
from hvae_utils import paths
from hvae_utils.errors import WorkbookError
from hvae_utils.teach import course

WIDGET = "application/vnd.jupyter.widget-view+json"
PANEL = "<p><em>A panel to use by hand: open this notebook with <code>make lab</code>.</em></p>"
TO_DO = (
    "*To read. The exercises are open here, and what stands below them is what a finished copy "
    "shows. To do them, open this notebook with `make lab`.*"
)
_PICTURE = re.compile(r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)"([^>]*)>')


def stage(run: Path, to: Path, extra: Path) -> None:
    """Write the notebooks of a finished run, the lessons and the class notebook.

    to: the folder of all pages; extra: the folder of files that the site takes as they are.
    WorkbookError where the run has not all notebooks, executed.
    """
    known = pages.known()
    for name in known:
        if not name.endswith(".ipynb"):
            continue
        source = paths.ROOT / name
        if source.parent != paths.NOTEBOOKS:
            solution = course.SOLUTIONS / source.name
            book = lesson(solution) if solution.is_file() else executed(source)
        elif (made := run / "notebooks" / source.name).is_file():
            book = nbformat.read(made, as_version=4)
        else:
            raise WorkbookError(
                f"{paths.shown(run)} holds no executed {source.name}: `make reproduce` makes the "
                "run `default`, or name another finished run with --run"
            )
        show(book, name, known, to, extra)


def lesson(solution: Path) -> Any:
    """Return a lesson with its exercises open, and the outputs that its solution has elsewhere."""
    outputs = {cell.id: cell.get("outputs", []) for cell in executed(solution).cells}
    book = nbformat.reads(course.student_copy(solution), as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code" and not {"exercise", "check"} & set(
            cell.metadata.get("tags", [])
        ):
            cell.outputs = outputs[cell.id]
    book.cells.insert(1, nbformat.v4.new_markdown_cell(TO_DO, id="to-do"))
    return book


def executed(path: Path) -> Any:
    """Return a notebook after it was run in its own folder; CellExecutionError if it fails."""
    book = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    quiet = ["--IPKernelApp.log_level=40"]  # a kernel on loopback warns that it is not encrypted
    run = NotebookClient(book, kernel_name="python3", resources=where, extra_arguments=quiet)
    return run.execute()


def show(book: Any, name: str, known: dict[str, str], to: Path, extra: Path) -> None:
    """Write one notebook as a page, its pictures as files, and what it links to."""
    folder = Path(name).parent
    for cell in book.cells:
        if cell.cell_type == "markdown":
            for file in pages.linked(cell.source, name):
                pages.copy(file, to)
            cell.source = pages.relinked(cell.source, name, known)
        for output in cell.get("outputs", []):
            if "data" in output:
                output.data = as_page(output.data, extra / folder)
    (to / folder).mkdir(parents=True, exist_ok=True)
    nbformat.write(book, to / name)


def as_page(data: Any, folder: Path) -> Any:
    """Return the data of an output as a page shows it; pictures go to folder/pictures."""

    def saved(match: re.Match[str]) -> str:
        content = base64.b64decode(match[1])
        name = f"pictures/{hashlib.sha256(content).hexdigest()[:16]}.png"
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return f'<a href="{name}"><img loading="lazy" src="{name}"{match[2]}></a>'

    if WIDGET in data:
        return {"text/html": PANEL}
    if "text/html" in data:
        return {"text/html": _PICTURE.sub(saved, data["text/html"])}
    return data
