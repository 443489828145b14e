"""Publishing replaces all or nothing; checking compares with what was committed."""

import json
import os
import subprocess
import tempfile

import pytest

from hvae_utils import manifest, publish, workbook
from hvae_utils.compare import MIN_SCORED, compare
from hvae_utils.errors import UserError

CELLS = "model,value,goal_prompt,administrations,scored,mean_angle,angle_low,vr,note\n"
INDEX = [{"slug": "01_x", "title": "X", "caption": "Mean 3.5", "alt": "A point", "files": {}}]


def png(width, height, tail=b""):
    return (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
        + width.to_bytes(4, "big")
        + height.to_bytes(4, "big")
        + tail
    )


def finished_run(run, rows="1", figure="a"):
    """Make a run folder as the workbook leaves it."""
    (run / "figures").mkdir(parents=True, exist_ok=True)
    (run / "figures" / "01_x.svg").write_text(f'<svg viewBox="0 0 1 1">{figure}</svg>')
    (run / "figures" / "01_x.csv").write_text(f"model,rows\nreference/random,{rows}\n")
    (run / "figures" / "index.json").write_text(json.dumps(INDEX))
    (run / "figures" / ".index.json.new").write_text("left over")
    (run / "value_rationality.csv").write_text(f"model,vr\nreference/random,{rows}\n")
    (run / "key_numbers.json").write_text("{}\n")
    made = {"profile": "tiny", "models": {}, "inputs": {"data/a": "1"}, "publish": True}
    manifest.write(run, {**made, **manifest.environment()})
    return run


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
    assert set(publish.ENVIRONMENT) < set(made_of)
    assert "revision" not in made_of, "a committed file cannot name its own commit"
    assert "A point" in (figures / "README.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "run"]


@pytest.mark.parametrize("missing", ["key_numbers.json", "manifest.json", "figures/index.json"])
def test_an_unfinished_run_leaves_the_published_figures_alone(tmp_path, missing):
    figures = publish.publish(finished_run(tmp_path / "run"), tmp_path / "figures")
    before = contents(figures)
    run = finished_run(tmp_path / "other", rows="2")
    (run / missing).unlink()
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
        publish.publish(tmp_path / "run", figures)
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


def compared(old, new, name="value_rationality.csv", same_platform=True, header=CELLS):
    sides = ({name: (header + text).encode()} for text in (old, new))
    return compare(*sides, same_platform)


def test_a_reference_respondent_may_not_differ_in_the_last_digit():
    old = "reference/random,none,True,12,12,22.5,20,40,\n"
    new = old.replace("22.5", "22.500001")
    (found,) = compared(old, new).differences
    assert (found.column, found.committed, found.reproduced, found.allowed) == (
        "mean_angle", "22.5", "22.500001", "equal",
    )  # fmt: skip
    assert "reference/random none True" in found.row
    elsewhere = compared(old, new, same_platform=False)
    assert (elsewhere.differences, elsewhere.within) == ([], 1)
    assert compared(old, old.replace("22.5", "22.6"), same_platform=False).differences


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("12,12,22,20,40,", "12,12,31,25,48,few", []),
        ("12,12,22,20,40,", "12,12,33,25,51,", ["mean_angle", "vr"]),
        ("12,12,22,20,40,", "12,10,22,20,40,", []),
        ("12,12,22,20,40,", "12,9,22,20,40,", ["scored"]),
        ("12,3,22,20,40,", "12,4,,,,", ["mean_angle", "vr"]),
        ("3,2,22,20,40,", "3,3,-9,,,none", []),
        ("3,0,,,,none", "3,2,22,20,40,", []),
        ("3,0,,,,none", "3,3,22,20,40,", ["scored"]),
        ("3,3,22,20,40,", "4,3,22,20,40,", ["administrations"]),
    ],
)
def test_a_chat_model_may_differ_where_much_rests_on_much(old, new, differs):
    prefix = "local/m,none,True,"
    result = compared(f"{prefix}{old}\n", f"{prefix}{new}\n")
    assert [found.column for found in result.differences] == differs
    assert MIN_SCORED == 3


def test_a_share_of_few_administrations_may_move_by_two_of_them():
    header = "model,value,category,count,administrations,share\n"

    def columns(*sides):
        rows = (f"local/m,none,prosocial,{side}\n" for side in sides)
        return [found.column for found in compared(*rows, header=header).differences]

    assert columns("1,6,0.1667", "3,6,0.5") == []
    assert columns("1,6,0.1667", "4,6,0.6667") == ["count", "share"]
    assert columns("10,200,0.05", "39,200,0.195") == []
    assert columns("10,200,0.05", "42,200,0.21") == ["count", "share"]


def test_missing_and_extra_rows_columns_and_files_are_differences():
    row = "reference/random,none,True,12,12,22.5,20,40,\n"
    (found,) = compared(row, row + row.replace("True", "False")).differences
    assert (found.committed, found.reproduced) == ("missing", "there")
    (found,) = compared(row, row, header=CELLS).differences or [None]
    assert found is None
    sides = {"a.csv": b"a,b\n1,2\n", "b.png": b""}, {"a.csv": b"a,c\n1,2\n", "c.png": b""}
    found = compare(*sides, True).differences
    assert {(one.file, one.column) for one in found} == {
        ("a.csv", "columns"), ("b.png", ""), ("c.png", ""),
    }  # fmt: skip


def test_single_administrations_of_a_chat_model_are_not_compared():
    header = "part,model,value,angle\n"
    old = "administration,local/m,none,3\nadministration,local/m,none,4\n"
    result = compared(old, "administration,local/m,none,50\n", header=header)
    assert (result.differences, result.unstable) == ([], 2)
    strict = old.replace("local", "reference")
    assert compared(strict, strict.replace("4", "5"), header=header).differences


def test_an_undeclared_number_of_a_chat_model_has_no_tolerance():
    (found,) = compared("local/m,1\n", "local/m,1.01\n", header="model,novelty\n").differences
    assert "no tolerance is declared" in found.allowed


@pytest.mark.parametrize(
    ("same_platform", "data", "picture", "differs"),
    [
        (True, b"a\n1\n", png(2, 3, b"y"), ["01.png bytes"]),
        (False, b"a\n1\n", png(2, 3, b"y"), []),
        (False, b"a\n1\n", png(2, 4, b"y"), ["01.png size"]),
        (True, b"model,vr\nlocal/m,2\n", png(2, 3, b"y"), []),
        (True, b"model,vr\nlocal/m,2\n", png(9, 3, b"y"), ["01.png size"]),
    ],
)
def test_pictures_are_equal_to_the_byte_where_their_data_and_platform_are(
    same_platform, data, picture, differs
):
    old = data.replace(b",2", b",1") if b"local" in data else data
    committed = {"01.csv": old, "01.png": png(2, 3, b"x")}
    result = compare(committed, {"01.csv": data, "01.png": picture}, same_platform)
    assert [f"{found.file} {found.column}" for found in result.differences] == differs


def test_texts_may_only_differ_in_numbers_and_only_where_data_did():
    def differences(old, new, moved):
        data = b"model,vr\nlocal/m,2\n" if moved else b"model,vr\nlocal/m,1\n"
        before = {"t.csv": b"model,vr\nlocal/m,1\n", "README.md": old}
        return compare(before, {"t.csv": data, "README.md": new}, True).differences

    assert differences(b"Mean 3.5 degrees", b"Mean -4 degrees", moved=True) == []
    assert differences(b"Mean 3.5 degrees", b"Mean -4 degrees", moved=False)
    assert differences(b"Mean 3.5 degrees", b"Mean 3.5 coins", moved=True)


def test_key_numbers_are_strict_for_references_and_tolerant_for_chat_models():
    def differences(new, moved=True):
        old = {"vr": {"reference/random": 40.0, "local/m": 40.0}, "files": {"x": "ab"}}
        data = b"model,vr\nlocal/m,2\n" if moved else b"model,vr\nlocal/m,1\n"
        before = {"t.csv": b"model,vr\nlocal/m,1\n", "k.json": json.dumps({"by": old}).encode()}
        after = {"t.csv": data, "k.json": json.dumps({"by": {**old, **new}}).encode()}
        return [found.row for found in compare(before, after, True).differences]

    assert differences({"files": {"x": "cd"}}) == [], "the files themselves are compared"
    assert differences({"vr": {"reference/random": 40.1, "local/m": 40.0}})
    assert differences({"vr": {"reference/random": 40.0, "local/m": 49.0}}) == []
    assert differences({"vr": {"reference/random": 40.0, "local/m": 49.0}}, moved=False)
    assert differences({"vr": {"reference/random": 40.0, "local/m": 51.0}})
    assert differences({"more": 1})


def test_the_difference_table_is_short_and_says_how_many_more():
    rows = "".join(f"reference/random,v{number},{{}}\n" for number in range(50))
    header = "model,value,vr\n"
    table = compared(rows.format(*[1] * 50), rows.format(*[2] * 50), header=header).table()
    lines = table.split("\n")
    assert lines[0].split() == ["file", "row", "column", "committed", "reproduced", "allowed"]
    assert len(lines) == 42
    assert lines[-1] == "… and 10 more"


# --- check


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a project whose figures are committed, and a workbook told what to make."""
    figures = publish.publish(finished_run(tmp_path / "run"), tmp_path / "project" / "figures")
    made = {}
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))

    def reproduce(profile, *, runs, run_id, report):
        return finished_run(runs / run_id, **made)

    monkeypatch.setattr(workbook, "reproduce", reproduce)
    return figures, made


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


def scratch_of(lines):
    return [line for line in lines if line.startswith("the reproduced run is in")]


def test_check_agrees_with_an_equal_run_and_leaves_no_scratch(project, tmp_path):
    lines = []
    assert publish.check(figures=project[0], report=lines.append) is True
    assert "7 files" not in lines[0]
    assert "6 files" in lines[0], "all but the provenance"
    assert lines[-1].startswith("0 differences")
    assert not scratch_of(lines)
    assert not list((tmp_path / "scratch").iterdir())


def test_check_finds_a_difference_names_it_and_keeps_the_run(project, tmp_path):
    figures, made = project
    made["rows"] = "2"
    lines = []
    assert publish.check(figures=figures, runs=tmp_path / "mine", report=lines.append) is False
    assert not any("\n" in line for line in lines)
    assert any("value_rationality.csv" in line and "reference/random" in line for line in lines)
    assert scratch_of(lines)
    assert (tmp_path / "mine" / "check" / "manifest.json").is_file()


def test_a_finished_run_is_compared_as_it_is(project, tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "reproduce", lambda *given, **more: pytest.fail("made anew"))
    figures = project[0]
    same, other = finished_run(tmp_path / "same"), finished_run(tmp_path / "other", rows="2")
    for run, verdict in ((same, True), (other, False)):
        assert publish.check(figures=figures, finished=run, report=lambda line: None) is verdict
    (same / "manifest.json").unlink()
    with pytest.raises(UserError, match="no finished run"):
        publish.check(figures=figures, finished=same)


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
    assert any("01_x.svg" in line and "equal bytes" in line for line in lines)
    assert scratch_of(lines), "a run with differences is kept to be looked at"
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
    assert "the last commit" in lines[0]


def test_check_without_published_figures_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="no published figures"):
        publish.check(figures=tmp_path / "figures")
