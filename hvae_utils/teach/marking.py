"""Points for a folder of hand-ins: our checks, run on the students' notebooks by Otter-Grader.

Students delete, copy and split cells. So no cell of theirs is trusted to be a check: a hand-in is
first laid out anew (`layout`), with a check of ours after each exercise, and Otter runs it in a
process of its own. A check is code of the authored lesson; after a wrong answer it puts the right
one in its place, so that no exercise costs the points of a later one.
"""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from hvae_utils import files, paths
from hvae_utils.errors import UserError
from hvae_utils.teach import course

CELL_SECONDS, MOST_SECONDS = 60, 600  # of one cell, where the system can stop one; of a hand-in
LONGEST = 200  # characters of a reason
RIGHT = ""
PROBLEM = "could not be run to its end: mark it by hand"
# Of the environment, what a hand-in may see: no keys.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "SYSTEMROOT", "USERPROFILE", "HVAE_CACHE")
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
TEST = """from otter.test_files import test_case

OK_FORMAT = False
name = {name!r}
points = 1


@test_case(points=1)
def check(env):
    from hvae_utils.teach.lessons import Unfinished, check, compare, exercise, folder, hint

    ours = dict(Unfinished=Unfinished, check=check, compare=compare)
    ours |= dict(exercise=exercise, folder=folder, hint=hint)
    try:
        exec({check!r}, {{**env, **ours}})
    except BaseException as fault:
        exec({solution!r}, env)
        raise AssertionError(str(fault)) from None
"""
LIMIT = """import signal
def _out_of_time(*_):
    raise TimeoutError("the cell ran too long")
if hasattr(signal, "SIGALRM"):
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm({seconds})
"""
# The grammars of internet addresses, which no lesson needs, take 3 s to load, twice a hand-in.
QUICK = "import sys; sys.modules['rfc3987_syntax'] = None"
FREE = "import signal\nif hasattr(signal, 'SIGALRM'):\n    signal.alarm(0)"


@dataclass(frozen=True)
class Task:
    """An exercise of a lesson: its number, such as "1.2", the ids of its cells, check, solution."""

    number: str
    exercise: str
    check_id: str
    check: str
    solution: str


@dataclass
class HandIn:
    """A file that was handed in, and what came of it."""

    student: str
    file: str
    lesson: str = ""
    points: int = 0
    possible: int = 0
    reasons: list[str] = field(default_factory=list)


def mark(folder: Path) -> pd.DataFrame:
    """Return a row a file: student, file, lesson, points, possible, counts, reasons.

    The student is the folder that the file lies in or, where all files lie together, what the
    file's name says beside that of the lesson. Of several files of one student and lesson the one
    with the most points counts, of equals the first. UserError for a folder without notebooks, or
    without Otter-Grader.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder")
    if importlib.util.find_spec("otter") is None:
        raise UserError('marking needs Otter-Grader: pip install -e ".[course]"')
    found = sorted(
        path for path in folder.rglob("*") if path.is_file() and not hidden(path, folder)
    )
    if not any(path.suffix == ".ipynb" for path in found):
        raise UserError(f"{folder} holds no notebook (.ipynb)")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return table(list(pool.map(lambda path: marked(path, folder), found)))


def hidden(path: Path, folder: Path) -> bool:
    """Return whether a file, or a folder that it lies in, is hidden, as .ipynb_checkpoints is."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def table(handed_in: Sequence[HandIn]) -> pd.DataFrame:
    """Return the rows of hand-ins, with which of several files of one student counts."""
    rows = pd.DataFrame([vars(one) for one in handed_in])
    groups = rows[rows["lesson"] != ""].groupby(["student", "lesson"])
    rows["counts"] = rows.index.isin(groups["points"].idxmax())
    for _, group in groups:
        for place in group.index if len(group) > 1 else ():
            others = ", ".join(group["file"].drop(place))
            rows.at[place, "reasons"] = [*rows.at[place, "reasons"], f"also handed in: {others}"]
    rows["reasons"] = rows["reasons"].map("; ".join)
    return rows[["student", "file", "lesson", "points", "possible", "counts", "reasons"]]


def csv(points: pd.DataFrame) -> str:
    """Return the table as CSV; a text that a spreadsheet would take for a formula gets a `'`."""
    texts = points[["student", "file", "reasons"]]
    safe = points.assign(**texts.replace(r"^(?=[=+@-])", "'", regex=True))
    return safe.to_csv(index=False)


def marked(path: Path, folder: Path) -> HandIn:
    """Return what one file gets; whatever is wrong with it is a reason, and never an error."""
    import nbformat

    made = HandIn(student_of(path, folder), path.relative_to(folder).as_posix())
    if path.suffix != ".ipynb":
        made.reasons.append("no notebook (.ipynb)")
        return made
    try:
        book = nbformat.read(path, as_version=4)
        tidy(book)
    except Exception as fault:
        made.reasons.append(f"no notebook that can be read ({type(fault).__name__})")
        return made
    lesson = lesson_of(book)
    if lesson is None:
        made.reasons.append("no exercise of any lesson is in it")
        return made
    todo = tasks(lesson)
    made.lesson, made.possible = lesson.stem, len(todo)
    made.reasons += strange(book, todo)
    for extra in (True, False):  # without the students' own cells, where these end Python
        results = run(layout(book, todo, lesson, extra), todo)
        if results is not None:
            break
        made.reasons.append(
            "ran too long or ended Python; run again without cells beside the exercises"
            if extra else PROBLEM
        )  # fmt: skip
    for task in todo if results is not None else ():
        fault = results.get(task.number, "its check was not run")
        if fault == RIGHT:
            made.points += 1
        else:
            undone = undone_in(book, task)
            made.reasons.append(f"{task.number}: {undone or files.one_line(fault, LONGEST)}")
    return made


def tidy(book: Any) -> None:
    """Give each cell of a notebook what is read of it; what is no cell is taken out."""
    book.cells = [c for c in book.cells if isinstance(c, dict) and isinstance(c.get("source"), str)]
    for cell in book.cells:
        cell.setdefault("cell_type", "raw")
        if not isinstance(cell.get("metadata"), dict):
            cell["metadata"] = {}


def student_of(path: Path, folder: Path) -> str:
    """Return who handed a file in: its folder, or its name without the name of a lesson."""
    inside = path.relative_to(folder).parts
    if len(inside) > 1:
        return inside[0]
    stem = re.sub(r" ?\(\d+\)$", "", path.stem)  # of a second download
    for lesson in course.lessons():
        if lesson.stem in stem:
            return stem.replace(lesson.stem, "").strip(" _-.") or stem
    return path.stem


def lesson_of(book: Any) -> Path | None:
    """Return the lesson that most exercises of a notebook belong to, or None."""
    ids = {name for cell in book.cells for name in ids_of(cell)}
    shared = {
        lesson: sum(task.exercise in ids for task in tasks(lesson)) for lesson in course.lessons()
    }
    best = max(shared, key=lambda lesson: shared[lesson])
    return best if shared[best] else None


@cache
def tasks(lesson: Path) -> tuple[Task, ...]:
    """Return the exercises of an authored lesson, in order."""
    import nbformat

    cells = [c for c in nbformat.read(lesson, as_version=4).cells if c.cell_type == "code"]
    found = []
    for cell, after in zip(cells, [*cells[1:], None], strict=True):
        if "exercise" in cell.metadata.get("tags", []) and after is not None:
            number = f"{lesson.name[0]}.{cell.id.split('-')[1]}"
            found.append(Task(number, cell.id, after.id, after.source, cell.source))
    return tuple(found)


def ids_of(cell: Any) -> set[str]:
    """Return the names that a cell goes by: its own, and that of the cell it was split from."""
    given = cell.metadata.get("nbgrader", {})
    of_grader = given.get("grade_id") if isinstance(given, Mapping) else None
    return {name for name in (cell.get("id"), of_grader) if isinstance(name, str)}


def strange(book: Any, todo: Sequence[Task]) -> list[str]:
    """Return what was done to cells that students need not touch; none of it costs a point."""
    said = []
    for task in todo:
        checks = [cell for cell in book.cells if task.check_id in ids_of(cell)]
        answers = [cell for cell in book.cells if task.exercise in ids_of(cell)]
        if not answers:
            said.append(f"{task.number}: its cell is missing (an older version?)")
        elif len(answers) > 1:
            said.append(f"{task.number}: its cell stands {len(answers)} times")
        if not checks:
            said.append(f"{task.number}: the check was deleted")
        elif len(checks) > 1:
            said.append(f"{task.number}: the check stands {len(checks)} times")
        elif checks[0].source.strip() != task.check.strip():
            said.append(f"{task.number}: the check is not ours")
    return said


def layout(book: Any, todo: Sequence[Task], lesson: Path, extra: bool = True) -> Any:
    """Return the notebook that is run: what we wrote, what the student wrote, and our checks.

    The order is that of the lesson. A cell's copies and parts come together, wherever the student
    put them. extra: also what is not of the lesson, behind the cell that it stood behind, and what
    the student changed beside the exercises.
    """
    import nbformat

    ours = [c for c in nbformat.read(lesson, as_version=4).cells if c.cell_type == "code"]
    checks = {task.check_id: task for task in todo}
    theirs = written(book, {cell.id for cell in ours}, set(checks), extra)
    sources = ["from otter import Notebook as _Checks\n_checks = _Checks()", *theirs.get("", [])]
    for cell in ours:
        if cell.id in checks:
            sources.append(f"{FREE}\n_checks.check({checks[cell.id].number!r})")
            sources += theirs.get(cell.id, [])
        elif "exercise" in cell.metadata.get("tags", []):
            sources += whole(theirs.get(cell.id, []))
        else:
            sources += theirs.get(cell.id, [cell.source])
    made = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    limit = LIMIT.format(seconds=CELL_SECONDS)
    for source in sources:
        made.cells += [nbformat.v4.new_code_cell(limit), nbformat.v4.new_code_cell(source)]
    made.cells.append(nbformat.v4.new_code_cell(FREE))
    return made


def written(book: Any, known: set[str], checks: set[str], extra: bool) -> dict[str, list[str]]:
    """Return name of a cell -> code that the student has there; only exercises unless `extra`."""
    found: dict[str, list[str]] = {}
    last = ""
    for cell in book.cells:
        name = min(ids_of(cell) & known, default="")
        last = name or last
        if cell.cell_type == "code" and name not in checks and (extra or "exercise" in name):
            found.setdefault(last, []).append(cell.source)
    return found


def whole(parts: list[str]) -> list[str]:
    """Return the cells of an exercise; as one cell where one was split in mid-sentence."""
    try:
        for part in parts:
            ast.parse(part)
    except SyntaxError:
        return ["\n".join(parts)]
    return parts


def run(book: Any, todo: Sequence[Task]) -> dict[str, str] | None:
    """Return number of an exercise -> what its check says, RIGHT if nothing; run by Otter.

    None where there is no result: the notebook ended Python, or took MOST_SECONDS.
    """
    import nbformat

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        nbformat.write(book, folder / "hand_in.ipynb")
        write_tests(folder / "autograder.zip", todo)
        (folder / "sitecustomize.py").write_text(QUICK, encoding="utf-8")
        command = [sys.executable, "-m", "otter", "run", "hand_in.ipynb", "--no-logo"]
        command += ["-a", "autograder.zip", "-o", scratch]
        seen = {name: os.environ[name] for name in KEPT if name in os.environ}
        search = os.pathsep.join([scratch, str(paths.PACKAGE.parent)])
        seen |= {"PYTHONPATH": search, "IPYTHONDIR": str(folder / "ipython")}
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        try:
            subprocess.run(
                command, cwd=folder, env=seen, timeout=MOST_SECONDS, check=False,
                stderr=subprocess.DEVNULL, **quiet,
            )  # fmt: skip
            said = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        except (subprocess.TimeoutExpired, OSError, ValueError):
            return None
    return dict(outcomes(said.get("tests", []))) or None


def outcomes(tests: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (number, RIGHT or what is wrong) of Otter's results."""
    for test in tests:
        number = re.search(r"\d\.\d+", str(test.get("name", "")))
        if number and test.get("max_score"):
            right = test.get("score") == test["max_score"]
            yield number[0], RIGHT if right else told(str(test.get("output", "")))


def told(output: str) -> str:
    """Return what a check said, of all that Otter says of it: the end."""
    return (output.rpartition("Error: ")[2] or output).strip() or "not right"


def write_tests(path: Path, todo: Sequence[Task]) -> None:
    """Write what Otter calls an autograder: a test for each exercise, as it reads them."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("otter_config.json", json.dumps({"pdf": False, "show_hidden": True}))
        for task in todo:
            text = TEST.format(name=task.number, check=task.check, solution=task.solution)
            archive.writestr(f"tests/{task.number}.py", text)


def undone_in(book: Any, task: Task) -> str:
    """Return that an exercise was not begun, or ""."""
    written = [cell.source for cell in book.cells if task.exercise in ids_of(cell)]
    if not written:
        return "its cell is missing"
    return "not done yet" if all("raise Unfinished(" in source for source in written) else ""
