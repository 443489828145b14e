"""The course: student copies made from authored solutions, so that both always agree.

A lesson is written once, with its solutions, in `notebooks/course/solutions`. In the student's copy
each block between `### BEGIN SOLUTION` and `### END SOLUTION` is one line that raises `Unfinished`,
and tags become the metadata (schema 3) that nbgrader reads. The copies are committed; the same
solutions make the same bytes. This module must never execute a notebook.

Public names: SOLUTIONS, COPIES, lessons, student_copy, stubbed, write, stale.
"""

import re
from pathlib import Path
from typing import Any

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

    Errors: WorkbookError naming lesson and cell where tags, ids and solution marks do not agree.
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
        if grading := _grading(cell.id, tags):
            cell.metadata["nbgrader"] = grading
    return nbformat.writes(notebook) + "\n"


def stubbed(source: str, lesson: Path, name: str) -> str:
    """Return an exercise cell's source with its solution replaced by one line.

    name: the cell's id, `exercise-<n>-…`. Errors: WorkbookError unless there is one whole block.
    """
    where, number = f"{lesson.name}, {name}", _EXERCISE.fullmatch(name)
    blocks = list(_BLOCK.finditer(source))
    if not number:
        raise WorkbookError(f"{where}: an exercise's cell is called exercise-<n>-<what>")
    if len(blocks) != 1 or len(_MARK.findall(source)) != 2:
        raise WorkbookError(f"{where}: an exercise has one block BEGIN SOLUTION to END SOLUTION")
    task = blocks[0]["task"].strip()
    if not task or '"' in task:
        raise WorkbookError(f"{where}: BEGIN SOLUTION says what to do, without double quotes")
    sentence = f"exercise {lesson.name[0]}.{number[1]}: {task}"
    line = f'{blocks[0]["indent"]}raise Unfinished("{sentence}")'
    return source[: blocks[0].start()] + line + source[blocks[0].end() :]


def write(solutions: Path = SOLUTIONS, copies: Path = COPIES) -> list[Path]:
    """Write the student's copy of every lesson; return their paths."""
    written = []
    for lesson in lessons(solutions):
        path = copies / lesson.name
        path.write_text(student_copy(lesson), encoding="utf-8", newline="\n")
        written.append(path)
    return written


def stale(solutions: Path = SOLUTIONS, copies: Path = COPIES) -> list[Path]:
    """Return the student's copies that are missing, not what their lesson makes, or without one."""
    made = {copies / lesson.name: student_copy(lesson) for lesson in lessons(solutions)}
    there = {path for path in copies.glob("[0-9]_*.ipynb") if path.is_file()}
    return sorted(
        path
        for path in there | set(made)
        if path not in there or path.read_bytes() != made.get(path, "").encode()
    )


def _grading(name: str, tags: list[str]) -> dict[str, Any] | None:
    """Return nbgrader's metadata of a cell: what the student writes, and what grades it."""
    common = {"grade_id": name, "schema_version": 3, "task": False}
    if "exercise" in tags:
        return common | {"solution": True, "grade": False, "locked": False}
    if "check" in tags:
        return common | {"solution": False, "grade": True, "locked": True, "points": 1}
    return None
