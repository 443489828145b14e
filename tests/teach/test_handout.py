"""The hand-out holds what a student needs, starts alone, and gives no solution away."""

import os
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

from hvae_utils import __version__, paths
from hvae_utils.__main__ import main
from hvae_utils.run import cli
from hvae_utils.teach import course, handout
from tests.support.lessons import solved_lines


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return handout.pack(tmp_path_factory.mktemp("out") / "lessons")


def test_no_solution_and_nothing_for_instructors_is_in_it(packed):
    names = {path.relative_to(packed).as_posix() for path in packed.rglob("*")}
    assert not [name for name in names if re.search(r"solutions|instructors|class\.ipynb", name)]
    books = "\n".join(
        "\n".join(cell.source for cell in nbformat.read(path, 4).cells)
        for path in packed.rglob("*.ipynb")
    )
    secrets = [line for lesson in course.lessons() for line in solved_lines(lesson)]
    assert len(secrets) > 25
    assert [line for line in secrets if line in books] == []
    assert "Unfinished" in books


def test_its_links_lead_to_files_that_are_in_it(packed):
    for path in [*packed.rglob("*.ipynb"), packed / "README.md"]:
        text = (
            "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
            if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
        )  # fmt: skip
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            there = path.parent / target.partition("#")[0]
            assert target.startswith("https://") or there.exists(), (path.name, target)


def test_it_says_its_version_and_pins_every_package(packed):
    assert f"version {__version__}" in (packed / "README.md").read_text(encoding="utf-8")
    lock = (packed / "requirements.lock").read_bytes()
    assert lock == (paths.ROOT / "requirements.lock").read_bytes()


def test_a_lesson_starts_from_the_folder_alone(packed, tmp_path):
    lesson = packed / "notebooks" / "course" / course.lessons()[0].name
    runner = paths.ROOT / "tests" / "support" / "plain_papermill.py"
    known = {name: value for name, value in os.environ.items() if name != "HVAE_ROOT"}
    done = subprocess.run(
        [sys.executable, str(runner), "--no-progress-bar", str(lesson), str(tmp_path / "o.ipynb")],
        env=known | {"PYTHONPATH": str(packed)}, cwd=packed,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    cells = nbformat.read(tmp_path / "o.ipynb", 4).cells
    errors = [o.ename for c in cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert errors == ["Unfinished"]
    shown = next(cell for cell in cells if cell.id == "hints-show").outputs
    assert "letters" in shown[0]["text"]


def test_a_zip_holds_one_folder_and_nothing_is_overwritten(packed, tmp_path, capsys):
    assert main(["course", "pack", str(tmp_path / "lessons.zip")]) == cli.OK
    with zipfile.ZipFile(tmp_path / "lessons.zip") as archive:
        names = archive.namelist()
    assert all(name.startswith("lessons/") for name in names)
    assert "lessons/notebooks/course/5_project.ipynb" in names
    assert main(["course", "pack", str(packed)]) == cli.BAD_INPUT
    assert "is there already" in capsys.readouterr().err
