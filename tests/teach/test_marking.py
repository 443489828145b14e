"""Marking: what is made of a hand-in before anything is run, and of the results after."""

import io
import json

import nbformat
import pandas as pd
import pytest

from hvae_utils.errors import UserError
from hvae_utils.teach import course, marking

FIRST = course.lessons()[0]
TASKS = marking.tasks(FIRST)


def hand_in():
    return nbformat.reads(course.student_copy(FIRST), 4)


def cell(book, name):
    return next(found for found in book.cells if found.id == name)


def put(book, after, source, **named):
    place = book.cells.index(cell(book, after)) + 1
    book.cells.insert(place, nbformat.v4.new_code_cell(source, **named))


def sources(book, **options):
    """Return what would be run, without the limits of time."""
    made = marking.layout(book, TASKS, FIRST, **options)
    return [each.source for each in made.cells if not each.source.startswith("import signal\ndef")]


def checked(run):
    """Return the numbers of the checks in the order in which they would be run."""
    return [
        line.split("'")[1] for text in run for line in text.split("\n") if "_checks.check" in line
    ]


def test_five_lessons_have_29_exercises_each_with_check_and_solution():
    every = [task for lesson in course.lessons() for task in marking.tasks(lesson)]
    assert len(every) == 29
    assert all("with exercise" in task.check and "END SOLUTION" in task.solution for task in every)


def test_a_check_is_ours_whatever_became_of_it():
    book = hand_in()
    cell(book, "check-places").source = "pass"
    book.cells.remove(cell(book, "check-angle"))
    put(book, "check-ideal", "1 / 0", id="copy", metadata={"nbgrader": {"grade_id": "check-ideal"}})
    run = sources(book)
    assert checked(run) == [task.number for task in TASKS]
    assert not {"pass", "1 / 0"} & set(run)
    assert marking.strange(book, TASKS) == [
        "1.1: the check is not ours",
        "1.2: the check was deleted",
        "1.3: the check stands 2 times",
    ]


def test_what_nobody_touched_is_nothing_strange():
    assert marking.strange(hand_in(), TASKS) == []


def test_cells_that_were_split_are_put_together_and_copies_stay_apart():
    split = {"nbgrader": {"grade_id": "exercise-1-places"}}
    book = hand_in()
    cell(book, "exercise-1-places").source = "def places(answer):"
    put(book, "exercise-1-places", "    return [0]", id="half", metadata=split)
    assert "def places(answer):\n    return [0]" in sources(book)
    book = hand_in()
    put(book, "check-places", "def places(answer): return [1]", id="copy", metadata=split)
    run = sources(book)
    at = [k for k, text in enumerate(run) if text.startswith("def places(answer)")]
    assert len(at) == 2
    assert at[1] < next(k for k, text in enumerate(run) if "_checks.check('1.1')" in text)


def test_a_students_own_cell_stays_where_it_stood_and_can_be_left_out():
    book = hand_in()
    put(book, "setup", "helper = 1", id="mine-too")
    put(book, "check-places", "after = 2", id="mine-three")
    run = sources(book)
    assert run.index("helper = 1") < run.index("after = 2")
    assert "_checks.check('1.1')" in run[run.index("after = 2") - 1]
    assert not {"helper = 1", "after = 2"} & set(sources(book, extra=False))


def test_a_deleted_set_up_is_ours_again_and_an_older_version_is_named():
    book = hand_in()
    for name in ("setup", "exercise-6-share", "check-share"):
        book.cells = [found for found in book.cells if found.id != name]
    assert any(text.startswith("import math") for text in sources(book))
    gone = [task for task in TASKS if task.exercise not in {found.id for found in book.cells}]
    for task in gone:
        assert f"{task.number}: its cell is missing (an older version?)" in marking.strange(
            book, TASKS
        )
        assert marking.undone_in(book, task) == "its cell is missing"


@pytest.mark.parametrize(
    ("file", "student"),
    [
        ("a41/1_what_is_a_value.ipynb", "a41"),
        ("a41_1_what_is_a_value.ipynb", "a41"),
        ("1_what_is_a_value-b7x (2).ipynb", "b7x"),
        ("homework.ipynb", "homework"),
        ("1_what_is_a_value.ipynb", "1_what_is_a_value"),
    ],
)
def test_who_handed_in_is_said_by_folder_or_file(tmp_path, file, student):
    assert marking.student_of(tmp_path / file, tmp_path) == student


def test_of_two_files_the_better_counts_and_both_are_listed():
    rows = [
        marking.HandIn("a", "a/1.ipynb", "1_x", 3, 6, ["1.2: no"]),
        marking.HandIn("a", "a/2.ipynb", "1_x", 5, 6),
        marking.HandIn("b", "b/1.ipynb", "1_x", 5, 6),
        marking.HandIn("c", "c/1.ipynb", reasons=["no notebook"]),
    ]
    made = marking.table(rows)
    assert list(made["counts"]) == [False, True, True, False]
    assert made["reasons"][0] == "1.2: no; also handed in: a/2.ipynb"
    assert made["reasons"][1] == "also handed in: a/1.ipynb"
    assert list(made["reasons"][2:]) == ["", "no notebook"]


def test_files_that_are_no_hand_in_are_listed_with_a_reason(tmp_path):
    (tmp_path / "empty.ipynb").write_text("")
    (tmp_path / "list.ipynb").write_text("[1, 2]")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "other.ipynb")
    odd = {"cells": [{"source": "1", "cell_type": "code"}, 3, {"metadata": {}}], "metadata": {}}
    (tmp_path / "odd.ipynb").write_text(json.dumps(odd | {"nbformat": 4, "nbformat_minor": 5}))
    (tmp_path / "essay.pdf").write_bytes(b"%PDF")
    assert marking.marked(tmp_path / "essay.pdf", tmp_path).reasons == ["no notebook (.ipynb)"]
    assert marking.marked(tmp_path / "odd.ipynb", tmp_path).possible == 0
    told = {name: marking.marked(tmp_path / f"{name}.ipynb", tmp_path) for name in
            ("empty", "list", "other")}  # fmt: skip
    assert "no notebook that can be read" in told["empty"].reasons[0]
    assert "no notebook that can be read" in told["list"].reasons[0]
    assert told["other"].reasons == ["no exercise of any lesson is in it"]
    assert all(row.points == row.possible == 0 for row in told.values())


def test_a_folder_that_is_none_or_empty_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        marking.mark(tmp_path / "none")


def test_a_check_that_was_not_run_gives_no_point(tmp_path, monkeypatch):
    nbformat.write(hand_in(), tmp_path / "a.ipynb")
    monkeypatch.setattr(marking, "run", lambda book, todo: {"1.1": marking.RIGHT, "1.2": "no"})
    monkeypatch.setattr(marking, "undone_in", lambda book, task: "")
    row = marking.marked(tmp_path / "a.ipynb", tmp_path)
    assert row.points == 1
    assert row.reasons[:2] == ["1.2: no", "1.3: its check was not run"]


def test_a_cell_without_metadata_is_read_and_what_is_no_cell_is_not():
    book = hand_in()
    del cell(book, "exercise-1-places")["metadata"]
    book.cells.append(3)
    marking.tidy(book)
    assert marking.strange(book, TASKS) == []


def test_a_table_holds_no_formula_of_a_spreadsheet():
    rows = marking.table([marking.HandIn("=1+1", "@x.ipynb", "1_x", 1, 6, ["-2"])])
    read = pd.read_csv(io.StringIO(marking.csv(rows)))
    assert list(read.loc[0, ["student", "file", "reasons"]]) == ["'=1+1", "'@x.ipynb", "'-2"]
