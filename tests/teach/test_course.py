"""The course: student copies agree with solutions, lessons run, checks and hints teach."""

import ast
import json
import os
import re
import statistics
import subprocess
import sys
import tomllib
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import nbformat
import numpy as np
import pytest

from hvae_utils import paths
from hvae_utils.__main__ import main
from hvae_utils.errors import UserError, WorkbookError
from hvae_utils.run import cli
from hvae_utils.teach import course, lessons
from hvae_utils.teach.lessons import NotYet, Unfinished

LESSONS = course.lessons()
WRONG = tomllib.loads(Path(__file__).with_name("course_wrong_answers.toml").read_text("utf-8"))
BLOCK = re.compile(r"^( *)### BEGIN SOLUTION.*?### END SOLUTION", flags=re.M | re.S)


def every_lesson(test):
    return pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])(test)


@lru_cache
def cells(lesson):
    return nbformat.read(lesson, as_version=4).cells


def code(lesson):
    return [cell for cell in cells(lesson) if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def exercises(lesson):
    """Return (number such as "1.2", exercise cell, check cell) in order."""
    every = code(lesson)
    found = []
    for cell, after in zip(every, [*every[1:], None], strict=True):
        if "exercise" in tags(cell):
            number = f"{lesson.name[0]}.{cell.id.split('-')[1]}"
            assert "check" in tags(after or cell), f"{cell.id}: no check after it"
            found.append((number, cell, after))
    return found


EXERCISES = [(lesson, *found) for lesson in LESSONS for found in exercises(lesson)]


def every_exercise(test):
    names = ("lesson", "number", "exercise", "check")
    return pytest.mark.parametrize(names, EXERCISES, ids=[row[1] for row in EXERCISES])(test)


def run(source, where, names):
    """Run a cell in this process, without the weights of any model: what needs them stands in."""
    with patch.dict(os.environ, HVAE_CACHE="no-such-folder"):
        exec(compile(source, where, "exec"), names)


@lru_cache
def played(lesson):
    """Run a lesson's code in this process; return the names known before each exercise."""
    names, before = {"__name__": "__main__"}, {}
    for cell in code(lesson):
        if "exercise" in tags(cell):
            before[cell.id] = dict(names)
        run(cell.source, cell.id, names)
    return before


def outcome(lesson, exercise, check, answer):
    """Run one exercise with another answer in place of its solution, then its check."""
    names = dict(played(lesson)[exercise.id])
    run(answer, exercise.id, names)
    run(check.source, check.id, names)


def headless(notebook, out):
    """Execute a notebook in a kernel of its own; return the finished process."""
    command = [sys.executable, "-m", "tests.support.plain_papermill"]
    command += ["--kernel", "python3", "--no-progress-bar"]
    search = os.pathsep.join([str(paths.ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*command, str(notebook), str(out)],
        env=os.environ | {"PYTHONPATH": search},
        cwd=out.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip


# ---- student copies -----------------------------------------------------------------------------


def test_there_are_lessons_and_each_has_four_to_six_exercises():
    assert LESSONS
    for lesson in LESSONS:
        numbers = [number for number, _, _ in exercises(lesson)]
        assert numbers == [f"{lesson.name[0]}.{n}" for n in range(1, len(numbers) + 1)]
        assert 4 <= len(numbers) <= 6


def test_student_copies_are_what_the_solutions_make():
    assert course.stale() == []


@every_lesson
def test_a_copy_differs_from_its_solution_in_the_exercises_alone(lesson):
    copy = nbformat.read(course.COPIES / lesson.name, as_version=4).cells
    for ours, theirs in zip(cells(lesson), copy, strict=True):
        assert ours.id == theirs.id
        if "exercise" in tags(ours):
            outside = [part.rstrip(" ") for part in BLOCK.split(ours.source)[::2]]
            assert [
                part.rstrip(" ") for part in re.split(r" *raise Unf.*", theirs.source)
            ] == outside
            assert "SOLUTION" not in theirs.source
        elif ours.cell_type == "code":
            assert ours.source == theirs.source


@every_lesson
def test_graders_find_what_to_fill_in_and_what_to_grade(lesson):
    copy = nbformat.read(course.COPIES / lesson.name, as_version=4)
    nbformat.validate(copy)
    graded = {cell.id: cell.metadata.nbgrader for cell in copy.cells if "nbgrader" in cell.metadata}
    assert all(name == meta["grade_id"] for name, meta in graded.items())
    assert all(meta["schema_version"] == 3 and not meta["task"] for meta in graded.values())
    filled = [name for name, meta in graded.items() if meta["solution"] and not meta["grade"]]
    locked = [name for name, meta in graded.items() if meta["locked"] and meta["points"] == 1]
    assert filled == [exercise.id for _, exercise, _ in exercises(lesson)]
    assert locked == [check.id for _, _, check in exercises(lesson)]


def write_lesson(folder, *code_cells):
    made = nbformat.v4.new_notebook()
    for name, tag, source in code_cells:
        made.cells.append(nbformat.v4.new_code_cell(source, id=name, metadata={"tags": [tag]}))
    folder.mkdir(exist_ok=True)
    nbformat.write(made, folder / "7_tiny.ipynb")
    return folder / "7_tiny.ipynb"


SOLVED = "def f(x):\n    ### BEGIN SOLUTION double it\n    return 2 * x\n    ### END SOLUTION"


def test_a_solution_becomes_one_indented_line_that_says_what_to_do(tmp_path):
    lesson = write_lesson(tmp_path, ("exercise-3-double", "exercise", SOLVED))
    (cell,) = nbformat.reads(course.student_copy(lesson), as_version=4).cells
    assert cell.source == 'def f(x):\n    raise Unfinished("exercise 7.3: double it")'


@pytest.mark.parametrize(
    ("name", "tag", "source", "told"),
    [
        ("exercise-1-a", "check", SOLVED, "without the tag"),
        ("double", "exercise", SOLVED, "is called exercise-<n>"),
        ("exercise-1-a", "exercise", "x = 1", "one block"),
        ("exercise-1-a", "exercise", SOLVED + "\n" + SOLVED, "one block"),
        ("exercise-1-a", "exercise", SOLVED.replace(" double it", ""), "says what to do"),
    ],
)
def test_marks_that_do_not_fit_are_named_with_their_cell(tmp_path, name, tag, source, told):
    lesson = write_lesson(tmp_path, (name, tag, source))
    with pytest.raises(WorkbookError, match=told) as fault:
        course.student_copy(lesson)
    assert f"7_tiny.ipynb, {name}" in str(fault.value)


def test_the_command_writes_copies_and_says_which_are_out_of_date(tmp_path, monkeypatch, capsys):
    write_lesson(tmp_path / "solutions", ("exercise-1-a", "exercise", SOLVED))
    folders = (tmp_path / "solutions", tmp_path)
    for function in (course.write, course.stale):
        monkeypatch.setattr(function, "__defaults__", folders)
    assert main(["course", "--check"]) == cli.DIFFERENT
    assert "7_tiny.ipynb; run: hvae course" in capsys.readouterr().out
    assert main(["course"]) == cli.OK
    assert main(["course", "--check"]) == cli.OK
    (tmp_path / "8_left_over.ipynb").write_text("{}")
    assert main(["course", "--check"]) == cli.DIFFERENT
    assert "8_left_over.ipynb" in capsys.readouterr().out


# ---- running ------------------------------------------------------------------------------------


def test_a_lesson_with_solutions_runs_headless_and_clean(tmp_path):
    # the other lessons run so for the site, and when their solutions are marked
    done = headless(LESSONS[0], tmp_path / "out.ipynb")
    assert done.returncode == 0, done.stderr[-2000:]
    for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", f"{cell.id}: {output['text'][:500]}"


def test_a_kernel_shows_an_unfinished_exercise_as_one_sentence(tmp_path):
    number, _, _ = exercises(LESSONS[0])[0]
    done = headless(course.COPIES / LESSONS[0].name, tmp_path / "out.ipynb")
    assert done.returncode != 0
    made = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    (fault,) = [
        output
        for cell in made
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert fault.ename == "Unfinished"
    assert len(fault.traceback) == 1
    assert f"exercise {number}: " in fault.traceback[0]


@every_lesson
def test_a_student_copy_stops_at_its_first_exercise_with_unfinished_alone(lesson):
    copy = nbformat.read(course.COPIES / lesson.name, as_version=4).cells
    with pytest.raises(Unfinished, match=re.escape(f"exercise {exercises(lesson)[0][0]}: ")):
        run_all(copy)


def run_all(every):
    names = {"__name__": "__main__"}
    for cell in every:
        if cell.cell_type == "code":
            run(cell.source, cell.id, names)


@every_exercise
def test_each_exercise_left_undone_raises_unfinished(lesson, number, exercise, check):
    stub = course.stubbed(exercise.source, lesson, exercise.id)
    with pytest.raises(Unfinished, match=re.escape(f"exercise {number}: ")):
        outcome(lesson, exercise, check, stub)


@every_exercise
def test_a_wrong_answer_is_refused_with_a_sentence_that_helps(lesson, number, exercise, check):
    assert WRONG.get(number), f"no wrong answer for exercise {number}"
    for wrong in WRONG[number]:
        answer = BLOCK.sub(lambda block, wrong=wrong: indented(wrong, block[1]), exercise.source)
        with pytest.raises(AssertionError) as fault:
            outcome(lesson, exercise, check, answer)
        assert len(str(fault.value).split()) >= 6, "the message does not help"


@pytest.mark.parametrize("answer", ["None", "'hello'", "[None]", "print"])
@every_exercise
def test_an_answer_of_another_kind_is_a_sentence_and_no_error_of_python(
    lesson, number, exercise, check, answer
):
    if "def " in exercise.source:
        wrong = f"return {answer}"
    else:
        wrong = f"{WRONG[number][-1].split(chr(10))[-1].split(' = ')[0]} = {answer}"
    answered = BLOCK.sub(lambda block: indented(wrong, block[1]), exercise.source)
    with pytest.raises(NotYet) as fault:
        outcome(lesson, exercise, check, answered)
    if wrong == "return None":
        assert "returned nothing (None)" in str(fault.value)


def test_an_error_in_a_students_code_is_a_sentence_with_the_first_hint():
    told = r"1\.1 .*'a' is not in list.*str\.upper"
    with pytest.raises(NotYet, match=told), lessons.exercise("1.1"):
        list("ABC").index("a")


def test_a_right_exercise_says_so_and_what_is_left(capsys):
    lessons.RIGHT.clear()
    told = []
    for number in ("1.1", "1.3", "1.2", "1.4", "1.6", "1.5"):
        with lessons.exercise(number):
            pass
        told.append(capsys.readouterr().out.strip())
    assert told[0] == "1.1 is right; left: 1.2, 1.3, 1.4, 1.5, 1.6"
    assert told[1] == "1.3 is right; left: 1.2, 1.4, 1.5, 1.6"
    assert told[-1] == "1.5 is right; all 6 are"


def test_the_progress_of_a_lesson_is_shown_and_an_unknown_lesson_named(capsys):
    lessons.RIGHT.clear()
    with lessons.exercise("5.2"):
        pass
    capsys.readouterr()
    lessons.progress(5)
    assert capsys.readouterr().out == "□■□□□ 1 of 5 are right; left: 5.1, 5.3, 5.4, 5.5\n"
    with pytest.raises(UserError, match="unknown lesson '9'"):
        lessons.progress(9)


def indented(lines, by):
    return "\n".join(by + line for line in lines.split("\n"))


def test_wrong_answers_and_hints_belong_to_exercises_that_exist():
    numbers = [number for _, number, _, _ in EXERCISES]
    assert sorted(WRONG) == sorted(numbers)
    assert sorted(lessons.hints()) == sorted(numbers)
    assert all(2 <= len(levels) <= 3 for levels in lessons.hints().values())


# ---- reading ------------------------------------------------------------------------------------


@every_lesson
def test_sources_are_stripped_and_cells_have_names_of_their_own(lesson):
    for path in (lesson, course.COPIES / lesson.name):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        names = [cell["id"] for cell in notebook["cells"]]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", name) for name in names)
        for cell in notebook["cells"]:
            assert not cell.get("outputs")
            assert not cell.get("execution_count")
            assert set(cell["metadata"]) <= {"tags", "nbgrader"}
            assert set(cell["metadata"].get("tags", [])) <= {"exercise", "check", "predict"}


@every_lesson
def test_the_budget_of_code_and_prose_holds(lesson):
    marks = re.compile(r"\s*### (BEGIN|END) SOLUTION")
    sizes = [
        len([line for line in cell.source.split("\n") if line.strip() and not marks.match(line)])
        for cell in code(lesson)
    ]
    words = sum(len(c.source.split()) for c in cells(lesson) if c.cell_type == "markdown")
    assert statistics.median(sizes) <= 4
    assert sorted(sizes)[int(0.9 * (len(sizes) - 1))] <= 10
    assert max(sizes) <= 20
    assert words >= 8 * sum(sizes)


@every_lesson
def test_nothing_reaches_out_of_the_notebook(lesson):
    for cell in code(lesson):
        ast.parse(cell.source)
        for forbidden in ("os.chdir", "../", "/home", "api_key", "%store", "input("):
            assert forbidden not in cell.source


@every_lesson
def test_a_lesson_has_the_parts_that_make_it_one(lesson):
    prose = [cell.source for cell in cells(lesson) if cell.cell_type == "markdown"]
    assert prose[0].startswith("# ")
    assert len(re.findall(r"^\d\. .*\(\d+ minutes\)", prose[0], flags=re.M)) == 3
    assert 45 <= sum(int(found) for found in re.findall(r"\((\d+) minutes\)", prose[0])) <= 60
    headings = re.findall(r"^## (.*)$", "\n".join(prose), flags=re.M)
    for part in ("Before you start", "Playground", "Whose values", "Further reading"):
        assert any(heading.startswith(part) for heading in headings), part
    assert prose[-1].startswith("## What you have now")
    assert any("predict" in tags(cell) for cell in code(lesson))


def test_the_unit_in_the_guide_plans_each_lesson_with_its_own_minutes_and_90_in_class():
    guide = (paths.ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    for lesson in LESSONS:
        title = cells(lesson)[0].source
        own = sum(int(found) for found in re.findall(r"\((\d+) minutes\)", title))
        (row,) = re.findall(rf"^\| {lesson.name[0]} [^|]*\|[^|]*\|([^|]*)\|", guide, flags=re.M)
        assert f"lesson {lesson.name[0]} ({own})" in row
        assert sum(int(found) for found in re.findall(r"\((\d+)\)", row)) == 90


@every_lesson
def test_every_code_cell_is_introduced_by_prose(lesson):
    before = None
    for cell in cells(lesson):
        if cell.cell_type == "code" and before is not None and before.cell_type == "code":
            followed = {"exercise", "predict"} & set(
                tags(before)
            ) or "figures.save(" in before.source
            assert followed or before.id == "setup", f"{cell.id} stands without a word before it"
        before = cell


@every_lesson
def test_figures_are_saved_with_the_caption_that_their_table_makes(lesson):
    for cell in code(lesson):
        if "figures." in cell.source:
            assert ".draw(" not in cell.source, "figures.save draws it, with caption and text"
            assert "figures.save(figures." in cell.source


@every_lesson
def test_links_lead_to_files_that_exist(lesson):
    for path in (lesson, course.COPIES / lesson.name):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "markdown":
                continue
            for target in re.findall(r"\]\(([^)]+)\)", cell.source):
                assert target.startswith("https://") or (path.parent / target).is_file(), target


# ---- the helpers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "truth"),
    [
        (45.0000001, 45),
        ([1, 2], np.array([1.0, 2.0])),
        ("prosocial", "prosocial"),
        (np.bool_(True), True),
        ({"a", "b"}, {"b", "a"}),
        (frozenset("ab"), {"b", "a"}),
        ({"a", "b"}, frozenset("ba")),
    ],
)
def test_a_right_answer_passes(given, truth):
    lessons.check(given, truth, "")


@pytest.mark.parametrize(
    ("given", "truth", "told"),
    [
        (44.0, 45.678, "44 is not right yet"),
        (10**400, 45.678, "is not a number"),
        (["a"], ["a", "b"], "not right"),
        (max, 45.678, "is a function; call it"),
        (None, 45.678, r"returned nothing \(None\)"),
        ("many", 45.678, "'many' is not a number"),
        (float("nan"), 45.678, "nan is not right yet"),
        ([1, 2, 4], [1, 2, 3.456], "not right yet in 1 of 3 places"),
        ([1, 2], [1, 2, 3.456], r"shape \(2,\)"),
        ("prosocial", "competitive", "'prosocial' is not right"),
        (1, True, "1 is not right"),
        (["a"], {"a", "b"}, "not right"),
    ],
)
def test_a_wrong_answer_is_told_without_the_right_one(given, truth, told):
    with pytest.raises(AssertionError, match=told) as fault:
        lessons.check(given, truth, "Look at the ring.")
    assert "Look at the ring." in str(fault.value)
    for secret in ("45.678", "3.456", "competitive"):
        assert secret not in str(fault.value)


def test_hints_grow_and_an_unknown_one_is_a_sentence(capsys):
    number = next(iter(lessons.hints()))
    lessons.hint(number, 1)
    assert f'hint("{number}", 2)' in capsys.readouterr().out
    with pytest.raises(UserError, match=r"unknown exercise '1\.99'"):
        lessons.hint("1.99", 1)
    lessons.hint(number, "all")
    assert capsys.readouterr().out.count("\n") == len(lessons.hints()[number])
    for level in (0, 9, "one"):
        with pytest.raises(UserError, match="has hints 1 to"):
            lessons.hint(number, level)


def test_a_prediction_stands_beside_what_came_out(capsys):
    lessons.compare(30, 45, "degrees")
    assert "you predicted 30; it is 45 degrees, 15 away" in capsys.readouterr().out
    lessons.compare(None, 45)
    assert "predicted nothing" in capsys.readouterr().out
    for guess in ("a lot", float("nan"), True):
        lessons.compare(guess, 45)
        assert f"a prediction is a number, not {guess!r}; it is 45" in capsys.readouterr().out
