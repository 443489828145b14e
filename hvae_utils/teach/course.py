"""The student copies of the course's lessons, made from the authored solutions.

A lesson is written once, with its solutions, in `notebooks/course/solutions`. In the student's copy
each block between `### BEGIN SOLUTION` and `### END SOLUTION` is one line that raises `Unfinished`,
and tags become the metadata (schema 3) that nbgrader reads. The copies are committed; the same
solutions make the same bytes. No notebook is executed.
"""

import re
from pathlib import Path

from hvae_utils import paths
from hvae_utils.errors import WorkbookError

COPIES = paths.NOTEBOOKS / "course"
SOLUTIONS = COPIES / "solutions"
_BLOCK = re.compile(
    r"^(?P<indent> *)### BEGIN SOLUTION(?P<task>[^\n]*)\n.*?^ *### END SOLUTION *$",
    flags=re.MULTILINE | re.DOTALL,
)
_EXERCISE = re.compile(r"exercise-(\d+)-[a-z0-9-]+")
_MARK = re.compile(r"### (?:BEGIN|END) SOLUTION")


def lessons(solutions: Path = SOLUTIONS) -> list[Path]:
    """Return the authored lessons, in order."""
    return sorted(solutions.glob("[0-9]_*.ipynb"))


def student_copy(lesson: Path) -> str:
    """Return the text of the student's copy of an authored lesson.

    WorkbookError naming lesson and cell where tags, ids and solution marks do not agree.
    """
    import nbformat

    notebook = nbformat.read(lesson, as_version=4)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "exercise" in tags:
            cell.source = stubbed(cell.source, lesson, cell.id)
        elif _MARK.search(cell.source):
            raise WorkbookError(f"{lesson.name}, {cell.id}: a solution without the tag 'exercise'")
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("](../", "](")  # a copy lies one folder higher
            continue
        cell.outputs, cell.execution_count = [], None
        solution = "exercise" in tags  # the student writes it, and a check grades it
        if solution or "check" in tags:
            kind = {"solution": solution, "grade": not solution, "locked": not solution}
            points = {} if solution else {"points": 1}
            same = {"grade_id": cell.id, "schema_version": 3, "task": False}
            cell.metadata["nbgrader"] = same | kind | points
    return nbformat.writes(notebook) + "\n"


def stubbed(source: str, lesson: Path, name: str) -> str:
    """Return the source of an exercise's cell, `name`, with its solution replaced by one line."""
    number, block = _EXERCISE.fullmatch(name), _BLOCK.search(source)
    task = block["task"].strip() if block else ""
    if not number or len(_MARK.findall(source)) != 2 or not task or '"' in task:
        raise WorkbookError(
            f"{lesson.name}, {name}: an exercise's cell is called exercise-<n>-<what> and has one "
            "block BEGIN SOLUTION to END SOLUTION, which says what to do, without double quotes"
        )
    line = f'raise Unfinished("exercise {lesson.name[0]}.{number[1]}: {task}")'
    return source[: block.start()] + block["indent"] + line + source[block.end() :]


def write(solutions: Path = SOLUTIONS, copies: Path = COPIES) -> list[Path]:
    """Write the student's copy of every lesson; return their paths."""
    made = _made(solutions, copies)
    for path, text in made.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(made)


def stale(solutions: Path = SOLUTIONS, copies: Path = COPIES) -> list[Path]:
    """Return the student's copies that are missing, not what their lesson makes, or without one."""
    made = {path: text.encode() for path, text in _made(solutions, copies).items()}
    present = {path: path.read_bytes() for path in copies.glob("[0-9]_*.ipynb") if path.is_file()}
    return sorted(path for path in made | present if made.get(path) != present.get(path))


def _made(solutions: Path, copies: Path) -> dict[Path, str]:
    return {copies / lesson.name: student_copy(lesson) for lesson in lessons(solutions)}
