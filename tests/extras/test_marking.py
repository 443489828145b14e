"""Marking for real, by Otter-Grader: right, half done, empty and hostile hand-ins."""

import nbformat
import pandas as pd
import pytest

from hvae_utils.__main__ import main
from hvae_utils.run import cli
from hvae_utils.teach import course, marking

FIRST = course.lessons()[0]
PLACES = "def places(answer):\n    return [letters.index(letter) for letter in answer.upper()]"


def student(folder, name, **answers):
    """Write the first lesson as a student hands it in, with cells changed by their id."""
    book = nbformat.reads(course.student_copy(FIRST), 4)
    for cell in book.cells:
        cell.source = answers.get(cell.id.replace("-", "_"), cell.source)
    (folder / name).mkdir()
    nbformat.write(book, folder / name / FIRST.name)


@pytest.fixture
def points(tmp_path, monkeypatch):
    """Return the table of a class."""
    folder = tmp_path / "class"
    (folder / "right").mkdir(parents=True)
    for lesson in course.lessons():
        nbformat.write(nbformat.read(lesson, 4), folder / "right" / lesson.name)
    student(folder, "empty")
    solved = {task.exercise: task.solution for task in marking.tasks(FIRST)}
    student(folder, "half", **{name.replace("-", "_"): solved[name] for name in list(solved)[1::2]})
    student(
        folder, "cheats",
        setup="def check(*_):\n    pass", check_angle="pass", measures="raise SystemExit",
        exercise_1_places=f"{PLACES}\nwhile True:\n    pass",
    )  # fmt: skip
    student(folder, "quits", exercise_1_places=PLACES, one_item="import os\nos._exit(0)")
    monkeypatch.setattr(marking, "CELL_SECONDS", 5)
    assert main(["course", "mark", str(folder), "--table", str(tmp_path / "p.csv")]) == cli.OK
    return pd.read_csv(tmp_path / "p.csv", keep_default_na=False).set_index("student")


def test_a_class_gets_the_points_it_earned_and_a_reason_for_each_that_is_missing(points):
    right = points.loc["right"]
    assert right["points"].sum() == right["possible"].sum() == 29
    assert not right["reasons"].any()

    undone = [f"1.{number}: not done yet" for number in range(1, 7)]
    assert points.points["empty"] == 0
    assert points.reasons["empty"] == "; ".join(undone)

    # no exercise needs the students' own answer to an earlier one
    assert points.points["half"] == 3
    assert points.reasons["half"] == "; ".join(undone[::2])

    # a check of their own, a set-up without `check`, SystemExit and a loop without end
    assert points.points["cheats"] == 1
    assert points.reasons["cheats"] == "; ".join(["1.2: the check is not ours", *undone[1:]])

    # run again with nothing but the exercises
    assert points.points["quits"] == 1
    assert "ended Python" in points.reasons["quits"]
