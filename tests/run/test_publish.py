"""Publishing replaces all or nothing; checking compares with what was committed."""

import json
import os
import subprocess
import tempfile

import pytest

from hvae_utils.errors import NotRecorded, UserError
from hvae_utils.run import bundle, compare, manifest, publish, workbook
from hvae_utils.run.run import Run

CELLS = "model,value,goal_prompt,scored,mean_angle,p_random,note\n"
ROW = "reference/random,none,True,12,22.5,0.02,few\n"
INDEX = [{"slug": "01_x", "title": "X", "caption": "Mean 3.5", "alt": "A point", "files": {}}]


def png(width, height, tail=b""):
    return (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
        + width.to_bytes(4, "big")
        + height.to_bytes(4, "big")
        + tail
    )


def finished_run(run, rows="1", figure="a", **made):
    """Make a run folder as the workbook leaves it."""
    (run / "figures").mkdir(parents=True, exist_ok=True)
    (run / "figures" / "01_x.svg").write_text(f'<svg viewBox="0 0 1 1">{figure}</svg>')
    (run / "figures" / "01_x.csv").write_text(f"model,rows\nreference/random,{rows}\n")
    (run / "figures" / "index.json").write_text(json.dumps(INDEX))
    (run / "figures" / ".index.json.new").write_text("left over")
    (run / "value_rationality.csv").write_text(f"model,vr\nreference/random,{rows}\n")
    (run / "key_numbers.json").write_text("{}\n")
    of_study = {"profile": "tiny", "overrides": [], "parameters": {"repeats": 2}, "models": {}}
    whole = {"schema": 1, **of_study, "outputs": {}, "publish": True, **manifest.environment()}
    manifest.write(run, {**whole, **made})
    return Run(run.name, run.parent)


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


# --- publish


def test_publishing_replaces_everything_and_writes_the_gallery(tmp_path):
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "00_gone.svg").touch()
    publish.publish(finished_run(tmp_path / "run"), figures)
    assert sorted(contents(figures)) == [
        "01_x.csv", "01_x.svg", "README.md", "index.json", "key_numbers.json", "provenance.json",
        "value_rationality.csv",
    ]  # fmt: skip
    made_of = json.loads((figures / "provenance.json").read_text())
    assert made_of["profile"] == "tiny"
    assert made_of["parameters"] == {"repeats": 2}
    assert set(publish.ENVIRONMENT) < set(made_of)
    assert "inputs" not in made_of, "code that is committed later does not change the figures"
    assert "revision" not in made_of, "a committed file cannot name its own commit"
    assert "A point" in (figures / "README.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "run"]


@pytest.mark.parametrize("missing", ["key_numbers.json", "manifest.json", "figures/index.json"])
def test_an_unfinished_run_leaves_the_published_figures_alone(tmp_path, missing):
    figures = publish.publish(finished_run(tmp_path / "run"), tmp_path / "figures")
    before = contents(figures)
    run = finished_run(tmp_path / "other", rows="2")
    run.path(missing).unlink()
    with pytest.raises((OSError, UserError)):
        publish.publish(run, figures)
    assert contents(figures) == before


@pytest.mark.parametrize("step", [1, 2])
def test_a_crash_at_any_moment_leaves_the_old_or_the_new(tmp_path, monkeypatch, step):
    figures = publish.publish(finished_run(tmp_path / "run"), tmp_path / "figures")
    before, calls, rename = contents(figures), [], os.rename

    def dies(source, target):
        calls.append(source)
        if len(calls) == step:
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(publish.os, "rename", dies)
        with pytest.raises(KeyboardInterrupt):
            publish.publish(finished_run(tmp_path / "run", rows="2"), figures)
    (tmp_path / "run" / "key_numbers.json").unlink()
    with pytest.raises(OSError, match="key_numbers"):
        publish.publish(Run("run", tmp_path), figures)
    assert contents(figures) == before


def test_a_rename_that_fails_puts_the_old_figures_back(tmp_path, monkeypatch):
    figures = publish.publish(finished_run(tmp_path / "run"), tmp_path / "figures")
    before, rename = contents(figures), os.rename

    def refuses(source, target):
        if str(source).endswith(".new"):
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(publish.os, "rename", refuses)
    with pytest.raises(OSError, match="no"):
        publish.publish(finished_run(tmp_path / "run", rows="2"), figures)
    assert contents(figures) == before


# --- compare


def compared(old, new, same_platform=True, name="value_rationality.csv"):
    head = CELLS if name.endswith(".csv") else ""
    return compare.compare(
        {name: (head + old).encode()}, {name: (head + new).encode()}, same_platform
    )


def test_a_number_may_not_differ_in_its_last_digit_but_on_another_platform():
    new = ROW.replace("22.5", "22.500001")
    (found,) = compared(ROW, new)
    assert found.place == "row 1 reference/random none True: mean_angle"
    assert (found.published, found.reproduced) == ("22.5", "22.500001")
    assert found.apart == pytest.approx(1e-6)
    assert compared(ROW, new, same_platform=False) == []
    assert compared(ROW, ROW.replace("22.5", "22.501"), same_platform=False)


@pytest.mark.parametrize("same_platform", [True, False])
@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("6.114e-16", "0", False), ("4.8499e-12", "4.85014e-12", False), ("2e-9", "0", True),
        ("0.02", "0", True), ("0.02", "", True),
    ],
)  # fmt: skip
def test_the_tail_of_a_probability_is_not_compared(old, new, differs, same_platform):
    sides = (ROW.replace("0.02", text) for text in (old, new))
    assert [found.place.split()[-1] for found in compared(*sides, same_platform)] == (
        ["p_random"] if differs else []
    )
    keys = (json.dumps({"by": [{"p_goal": text}]}) for text in (old, new))
    assert bool(compared(*keys, same_platform, name="key_numbers.json")) is differs


def test_only_probabilities_have_a_floor_on_the_same_platform():
    assert compared(ROW.replace("22.5", "1e-12"), ROW.replace("22.5", "0"))


def test_missing_rows_columns_keys_and_files_are_differences():
    (row,) = {found.place.split(":")[0] for found in compared(ROW, ROW + ROW)}
    assert row == "row 2 reference/random none True"
    sides = {"a.csv": b"a,b\n1,2\n", "b.png": b""}, {"a.csv": b"a,c\n1,2\n", "c.png": b""}
    found = {(one.file, one.place): one.published for one in compare.compare(*sides, True)}
    assert found == {
        ("b.png", "the file"): "there", ("c.png", "the file"): "missing",
        ("a.csv", "row 1: b"): "2", ("a.csv", "row 1: c"): "missing",
    }  # fmt: skip
    (one,) = compared('{"a": 1}', '{"a": 1, "b": 2}', name="k.json")
    assert (one.place, one.published) == ("b", "missing")


@pytest.mark.parametrize(
    ("same_platform", "picture", "differs"),
    [
        (True, png(2, 3, b"y"), True), (False, png(2, 3, b"y"), False), (False, png(2, 4), True),
    ],
)  # fmt: skip
def test_pictures_are_equal_in_bytes_or_elsewhere_in_size(same_platform, picture, differs):
    sides = {"01.png": png(2, 3, b"x")}, {"01.png": picture}
    assert bool(compare.compare(*sides, same_platform)) is differs


def test_texts_are_equal_or_elsewhere_in_their_words():
    for new, here, elsewhere in (
        ("Mean -4 degrees", True, False), ("Mean 3.5 coins", True, True),
        ("Mean 3.5 degrees", False, False),
    ):  # fmt: skip
        for same_platform, differs in ((True, here), (False, elsewhere)):
            assert bool(compared("Mean 3.5 degrees", new, same_platform, "R.md")) is differs


def test_the_hashes_in_an_index_are_left_to_their_files():
    old, new = (json.dumps([{"slug": "1", "files": {"x": digits}}]) for digits in ("ab", "cd"))
    assert compared(old, new, name="index.json") == []


def test_the_largest_difference_of_each_file_is_shown_with_how_many_there_are():
    old = [f"reference/random,v{number},True,12,{number},0.5,\n" for number in range(50)]
    new = [line.replace(f",{number},0.5", f",{number + number % 7},0.5") for number, line in
           enumerate(old)]  # fmt: skip
    differences = compared("".join(old), "".join(new))
    (worst,) = compare.largest(differences)
    assert worst.apart == 6
    assert worst.place.endswith(f"mean_angle ({len(differences)} differ)")
    lines = compare.table(differences)
    assert lines[0].split() == ["file", "place", "published", "reproduced"]
    assert len(lines) == 42
    assert lines[-1] == f"… and {len(differences) - 40} more"


# --- check and replicate


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a project whose figures are committed, and what the workbook is told to make."""
    figures = publish.publish(finished_run(tmp_path / "run"), tmp_path / "project" / "figures")
    made = {}
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))

    def replay(path, *, runs, run_id, report):
        assert path == publish.RECORDED / "tiny.zip"
        return finished_run(runs / run_id, **made)

    def reproduce(profile, *, runs, run_id, report):
        assert profile == "tiny"
        return finished_run(runs / run_id, **made)

    monkeypatch.setattr(workbook, "replay", replay)
    monkeypatch.setattr(workbook, "reproduce", reproduce)
    return figures, made


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


def kept(lines):
    return [line for line in lines if line.startswith("the new run is in")]


def test_check_agrees_with_an_equal_run_and_leaves_no_scratch(project, tmp_path):
    lines = []
    assert publish.check(figures=project[0], report=lines.append) is True
    assert "no model is asked" in lines[0]
    assert "6 files" in lines[1], "all but the provenance"
    assert lines[-1] == "0 differences"
    assert not list((tmp_path / "scratch").iterdir())


def test_check_finds_a_difference_names_it_and_keeps_the_run(project, tmp_path):
    figures, made = project
    made["rows"] = "2"
    lines = []
    assert publish.check(figures=figures, runs=tmp_path / "mine", report=lines.append) is False
    assert not any("\n" in line for line in lines)
    assert any("value_rationality.csv" in line and "reference/random" in line for line in lines)
    assert kept(lines)
    assert (tmp_path / "mine" / "check" / "manifest.json").is_file()


def test_replicate_asks_anew_shows_the_largest_differences_and_judges_nothing(project, tmp_path):
    figures, made = project
    made["rows"] = "2"
    lines = []
    assert publish.replicate(figures=figures, report=lines.append) is None
    # rows stand in three files: the two tables and the figure's own data
    assert "2 of 6 files differ" in lines[0]
    assert any(line.startswith("value_rationality.csv") and "(1 differ)" in line for line in lines)
    assert not list((tmp_path / "scratch").iterdir())


def test_a_finished_run_is_compared_as_it_is(project, tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "replay", lambda *given, **more: pytest.fail("made anew"))
    figures = project[0]
    same, other = finished_run(tmp_path / "same"), finished_run(tmp_path / "other", rows="2")
    for run, verdict in ((same, True), (other, False)):
        assert publish.check(figures=figures, finished=run, report=lambda line: None) is verdict
    same.path("manifest.json").unlink()
    with pytest.raises(UserError, match="no finished run"):
        publish.check(figures=figures, finished=same)


def test_a_run_of_another_study_is_not_compared(project, tmp_path):
    run = finished_run(tmp_path / "other", profile="smoke", parameters={"repeats": 3, "budget": ""})
    said = "another study, of profile 'smoke', than .* 'tiny': repeats differ; nothing was compared"
    with pytest.raises(UserError, match=said):
        publish.check(figures=project[0], finished=run, report=pytest.fail)


def test_a_second_check_in_the_same_folder_starts_from_nothing(project, tmp_path):
    mine = tmp_path / "mine"
    for _ in range(3):
        for old in mine.glob("*"):
            (old / "records.jsonl").write_text("answered before\n")
        assert publish.check(figures=project[0], runs=mine, report=lambda line: None) is True
    assert sorted(path.name for path in mine.iterdir()) == ["check", "check-2", "check-3"]
    assert not (mine / "check-3" / "records.jsonl").exists()


def test_check_demands_equal_bytes_only_on_the_same_lock_and_platform(project):
    figures, made = project
    made["figure"] = "b"
    lines = []
    assert publish.check(figures=figures, report=lines.append) is False
    assert any("01_x.svg" in line and "the picture" in line for line in lines)
    assert kept(lines), "a run with differences is kept to be looked at"
    made_of = json.loads((figures / "provenance.json").read_text())
    made_of["lock_sha256"] = "another"
    (figures / "provenance.json").write_text(json.dumps(made_of))
    assert publish.check(figures=figures, report=lambda line: None) is True


def test_check_compares_with_the_commit_and_not_with_the_folder(project):
    figures, _ = project
    git(figures.parent, "init", "-q")
    git(figures.parent, "add", ".")
    git(figures.parent, "commit", "-qm", "figures")
    for path in figures.iterdir():
        path.write_text("overwritten since")
    lines = []
    assert publish.check(figures=figures, report=lines.append) is True
    assert "the last commit" in lines[1]


def test_check_without_published_figures_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="no published figures"):
        publish.check(figures=tmp_path / "figures")


def test_answers_older_than_the_prompts_are_said_to_be_just_that(project, monkeypatch):
    def older(*given, **more):
        raise NotRecorded("no record of x")

    monkeypatch.setattr(workbook, "replay", older)
    with pytest.raises(UserError, match="older than the prompts; record them anew: hvae reproduce"):
        publish.check(figures=project[0], report=lambda line: None)


def test_what_is_committed_says_of_which_study_it_is():
    made_of = json.loads((publish.paths.FIGURES / "provenance.json").read_text())
    recorded = bundle.read(publish.RECORDED / f"{made_of['profile']}.zip").manifest
    for name in publish.MADE_OF:
        assert made_of[name] == recorded[name], name


# --- record


def test_a_run_with_changes_is_neither_recorded_nor_published(tmp_path):
    run = finished_run(tmp_path / "run", overrides=["repeats=3"], publish=False)
    with pytest.raises(UserError, match="'tiny' with changes; only hvae reproduce of a profile"):
        publish.record(run, tmp_path / "recorded")
    assert not (tmp_path / "recorded").exists()
