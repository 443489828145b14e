"""The class notebook shows a class and nobody in it, and is not stopped by a bad folder."""

import os
import re
import statistics
import subprocess
import sys

import nbformat

from hvae_utils import paths
from hvae_utils.measure import answers

NOTEBOOK = paths.NOTEBOOKS / "course" / "class.ipynb"


def execute(out, **parameters):
    command = [sys.executable, "-m", "tests.support.plain_papermill"]
    command += ["--kernel", "python3", "--no-progress-bar"]
    given = [word for name, value in parameters.items() for word in ("-p", name, str(value))]
    search = os.pathsep.join([str(paths.ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, str(NOTEBOOK), str(out), *given],
        env=os.environ | {"PYTHONPATH": search},
        cwd=out.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return {cell.id: str(cell.get("outputs", "")) for cell in nbformat.read(out, 4).cells}


def test_the_simulated_class_is_shown_and_says_what_it_is(tmp_path):
    shown = execute(tmp_path / "out.ipynb")
    assert "no real person" in shown["simulated-folder"]
    assert "24 people, 24 with all six answers" in shown["group"]
    for name in ("copy.json", "cut.json", "notes.txt"):
        assert name in shown["gather"]
    assert "<img" in shown["axis-figure"]


def test_a_class_of_four_is_counted_and_not_shown(tmp_path):
    (tmp_path / "answers").mkdir()
    for person in range(4):
        path = tmp_path / "answers" / f"{person}.json"
        path.write_bytes(answers.export([8, 0, 8, 8, 0, 0]))  # -16.26 degrees, competitive
    shown = execute(tmp_path / "out.ipynb", folder=tmp_path / "answers")
    assert "nothing is shown of fewer than 5 people" in shown["group"]
    assert "-16" not in shown["group-numbers"] + shown["cells-beside"]
    assert "competitive" not in shown["group-numbers"]


def test_the_notebook_reads_as_a_lesson_within_the_budget():
    cells = nbformat.read(NOTEBOOK, 4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    sizes = [len([line for line in cell.source.split("\n") if line.strip()]) for cell in code]
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    assert statistics.median(sizes) <= 4
    assert sorted(sizes)[int(0.9 * (len(sizes) - 1))] <= 10
    assert max(sizes) <= 20
    assert words >= 8 * sum(sizes)
    assert not any(cell.get("outputs") or cell.execution_count for cell in code)
    for target in re.findall(r"\]\(([^)]+)\)", "\n".join(cell.source for cell in cells)):
        assert target.startswith("https://") or (NOTEBOOK.parent / target).is_file(), target


def test_no_cell_shows_the_table_of_single_people():
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        assert cell.source.strip().split("\n")[-1] != "people"
        assert not re.search(r"(print|display)\(people\b", cell.source)
