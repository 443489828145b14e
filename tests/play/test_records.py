"""The store keeps what was answered, through crashes, and never overwrites damage."""

import contextlib
import json
import signal
import subprocess
import sys

import pytest

from benchmarks import kills
from hvae_utils.errors import UserError
from hvae_utils.play.records import Held, Records, read


def record(key: str, text: str | None = "B", error: str | None = None) -> dict:
    return {"key": key, "text": text, "error": error}


def test_a_record_is_on_disk_the_moment_it_is_appended(tmp_path):
    path = tmp_path / "run" / "records.jsonl"
    with Records(path) as records:
        records.append(record("k1"))
        assert [line["key"] for line in read(path)] == ["k1"]


def test_a_second_opening_finds_what_the_first_wrote(tmp_path):
    path = tmp_path / "records.jsonl"
    with Records(path) as records:
        records.append(record("k1", "A line\nand 日本 \u2028 text"))
    reopened = Records(path)
    assert reopened.answered("k1")["text"] == "A line\nand 日本 \u2028 text"
    assert reopened.answered("k2") is None


def test_an_error_is_kept_but_asked_again_and_an_answer_wins_over_it(tmp_path):
    path = tmp_path / "records.jsonl"
    with Records(path) as records:
        records.append(record("k1", None, "timeout"))
        assert records.answered("k1") is None
        assert records.get("k1")["error"] == "timeout"
        records.append(record("k1"))
        records.append(record("k1", None, "timeout"))
        assert records.answered("k1")["text"] == "B"
    assert Records(path).answered("k1")["text"] == "B"
    assert len(list(read(path))) == 3


@pytest.mark.parametrize("torn", [b'{"key":"k2","te', b'{"key":"k2"}', b"\xff\xfe", b"{"])
def test_a_torn_last_line_is_dropped_with_a_warning_and_the_rest_stays(tmp_path, torn):
    path = tmp_path / "records.jsonl"
    whole = json.dumps(record("k1")).encode() + b"\n"
    path.write_bytes(whole + torn)
    assert Records(path).get("k2") is None
    assert path.read_bytes() == whole + torn, "who only reads changes nothing"
    with contextlib.ExitStack() as opened:
        with pytest.warns(UserWarning, match="torn last line"):
            records = opened.enter_context(Records(path))
        assert len(records) == 1
        assert path.read_bytes() == whole
        records.append(record("k2"))
    assert [line["key"] for line in read(path)] == ["k1", "k2"]


@pytest.mark.parametrize(
    "damage", [b"not json\n", b'{"text":"no key"}\n', b'{"key":"k1"}\n', b"[1]\n", b"\xff\n"]
)
def test_damage_inside_is_named_by_line_and_nothing_is_overwritten(tmp_path, damage):
    path = tmp_path / "records.jsonl"
    good = json.dumps(record("k1")).encode() + b"\n"
    path.write_bytes(good + damage + good)
    with pytest.raises(UserError, match="line 2 of"):
        Records(path)
    assert path.read_bytes() == good + damage + good


@pytest.mark.parametrize("kind", ["in a file", "in memory"])
def test_the_last_answer_of_a_key_counts_and_no_error_after_it(tmp_path, kind):
    path = tmp_path / "records.jsonl"
    with Records(path) as opened:
        store = opened if kind == "in a file" else Held()
        for text, error in (("A", None), (None, "timeout"), ("B", None), (None, "reset")):
            store.append(record("k1", text, error))
        store.append(record("k2", None, "reset"))
        assert (store.answered("k1")["text"], store.answered("k2")) == ("B", None)
        assert (store.get("k2")["error"], store.get("k3"), len(store)) == ("reset", None, 2)


def test_records_in_memory_tell_the_new_ones_from_those_they_began_with():
    store = Held([record("k1"), record("k2", None, "timeout")])
    store.append(record("k2"))
    assert [kept["key"] for kept in store.new] == ["k2"]
    assert store.answered("k1")
    assert store.answered("k2")


def test_a_record_that_another_opening_appended_is_seen_on_entering(tmp_path):
    path = tmp_path / "records.jsonl"
    waiting = Records(path)
    with Records(path) as records:
        records.append(record("k1"))
    with waiting:
        assert waiting.answered("k1")


WRITER = """
import sys
from pathlib import Path
from hvae_utils.play.records import Records

with Records(Path(sys.argv[1])) as records:
    records.append({"key": "k1", "text": "B", "error": None})
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_on_one_run_is_refused_until_the_first_is_gone_even_if_killed(tmp_path):
    path = tmp_path / "records.jsonl"
    command = [sys.executable, "-c", WRITER, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout.readline() == "open\n"
        with pytest.raises(UserError, match="another process is writing"), Records(path):
            pass
        assert Records(path).answered("k1"), "reading is free"
        first.send_signal(signal.SIGKILL)
    with Records(path) as records:
        records.append(record("k2"))
    assert [line["key"] for line in read(path)] == ["k1", "k2"]


FULL = """
import resource, sys
from pathlib import Path
from hvae_utils.errors import UserError
from hvae_utils.play.records import Records

with Records(Path(sys.argv[1])) as records:
    records.append({"key": "k1", "text": "B", "error": None})
    size = Path(sys.argv[1]).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * size - 5, resource.RLIM_INFINITY))
    for _ in range(2):
        try:
            records.append({"key": "k2", "text": "B", "error": None})
        except UserError as fault:
            print(fault)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    records.append({"key": "k3", "text": "B", "error": None})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of file sizes")
def test_a_line_that_does_not_fit_is_taken_out_again_and_said_in_one_sentence(tmp_path):
    path = tmp_path / "records.jsonl"
    said = subprocess.check_output([sys.executable, "-c", FULL, str(path)], text=True)
    assert [line.startswith("cannot write ") for line in said.splitlines()] == [True, True]
    assert "1 records are safe, run again to continue" in said
    assert [line["key"] for line in read(path)] == ["k1", "k3"]


def test_a_folder_that_cannot_be_made_is_one_sentence_and_holds_no_lock(tmp_path):
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write .*records.jsonl"):
        Records(tmp_path / "run" / "records.jsonl").__enter__()
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(UserError, match=r"cannot (write|read)"):
        Records(tmp_path / "records.jsonl").__enter__()


def test_a_study_that_is_killed_midway_ends_as_if_nobody_had(tmp_path):
    table, wrong = kills.drill(tmp_path, kills=1, seed=1)
    assert wrong == []
    assert table["while playing"].all()
