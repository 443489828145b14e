"""Files are written whole or not at all; each is hashed once, and again if it may differ."""

import errno
import hashlib
import os
from dataclasses import replace

import pytest

from hvae_utils import files
from hvae_utils.ask import local, models
from hvae_utils.errors import UserError


@pytest.fixture
def hashed(monkeypatch, tmp_path):
    """Return the names of the files that are read to be hashed."""
    names = []

    def counted(file, kind):
        names.append(os.path.basename(file.name))
        return digest(file, kind)

    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", counted)
    monkeypatch.setenv("HVAE_CACHE", str(tmp_path / "cache"))
    return names


def test_a_file_is_read_once_and_again_when_it_may_hold_other_bytes(hashed, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"GGUF, large")
    before = file.stat()
    expected = hashlib.sha256(b"GGUF, large").hexdigest()
    assert [files.sha256(file), files.sha256(file)] == [expected] * 2
    assert hashed == ["file"]
    file.write_bytes(b"GGUF, LARGE")  # of the same size, and with the time of the old ones
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert files.sha256(file) == hashlib.sha256(b"GGUF, LARGE").hexdigest()


def test_weights_are_hashed_once_by_all_that_ask_for_them(hashed, monkeypatch, tmp_path):
    ((known, weights),) = local.known().items()
    weights.cached.parent.mkdir(parents=True)
    weights.cached.write_bytes(b"GGUF and more")
    digest = hashlib.sha256(b"GGUF and more").hexdigest()
    entry = replace(weights, sha256=digest)
    monkeypatch.setattr(local, "known", lambda: {known: entry})
    name = f"local/{known}"
    models.require([name])
    assert models.identity(name) == models.respondent(name).identity == digest
    assert models.identities([name]) == {name: digest}
    assert hashed == [weights.cached.name]


@pytest.mark.parametrize("content", ["more α\n", b"\xff\0\r\n"])
def test_a_file_is_written_as_it_is_on_every_system(tmp_path, content):
    path = tmp_path / "file"
    path.write_text("old")
    files.write_atomically(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"cannot write .*file: No space left on device; make room"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match=r"cannot write .*x: No such file or directory$"):
        files.write_atomically(tmp_path / "nowhere" / "x", "new")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": [1, "\xc3\xa9"]}', {"a": [1, "é"]}),
        (b'{"a": NaN, "b": 1e2}', {"a": None, "b": 100.0}),
        (b'["half \\ud83d", "whole \\ud83d\\ude00"]', ["half ?", "whole 😀"]),
    ],
)
def test_json_that_only_lenient_readers_take_is_made_what_all_take(content, expected):
    assert files.parse_json(content) == expected
