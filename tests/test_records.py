"""The store keeps what was answered, through crashes, and never overwrites damage."""

import json

import pytest

from hvae_utils.errors import UserError
from hvae_utils.records import Records, read


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
        records.append(record("k1", "A line\nand 日本 \u2028 \ud800 text"))
    reopened = Records(path)
    assert reopened.answered("k1")["text"] == "A line\nand 日本 \u2028 \ud800 text"
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
    with pytest.warns(UserWarning, match="torn last line"):
        records = Records(path)
    assert len(records) == 1
    assert path.read_bytes() == whole
    with records:
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
