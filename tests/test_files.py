"""Files are written whole or not at all; a large one is hashed once, and again if it may differ."""

import errno
import hashlib
import json
import os
from dataclasses import replace

import pytest

from hvae_utils import files
from hvae_utils.ask import local, models
from hvae_utils.errors import UserError


@pytest.fixture
def hashed(monkeypatch, tmp_path):
    """Return the names of the files that are read to be hashed; files of 4 bytes count as large."""
    names = []

    def counted(file, kind):
        names.append(os.path.basename(file.name))
        return digest(file, kind)

    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", counted)
    monkeypatch.setattr(files, "LARGE", 4)
    monkeypatch.setenv("HVAE_CACHE", str(tmp_path / "cache"))
    files._of_large.cache_clear()
    return names


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"GGUF, large")
    return path


def in_a_new_process(path):
    files._of_large.cache_clear()
    return files.sha256(path)


def test_a_large_file_is_read_once_in_all_processes_and_a_small_one_each_time(
    hashed, large, tmp_path
):
    expected = hashlib.sha256(b"GGUF, large").hexdigest()
    assert [files.sha256(large), files.sha256(large), in_a_new_process(large)] == [expected] * 3
    assert hashed == ["large"]
    small = tmp_path / "small"
    for content in b"abc", b"abd":
        small.write_bytes(content)
        assert files.sha256(small) == hashlib.sha256(content).hexdigest()
    assert hashed == ["large", "small", "small"]


def test_other_bytes_under_the_same_size_and_time_are_another_hash(hashed, large):
    files.sha256(large)
    before = large.stat()
    large.write_bytes(b"GGUF, LARGE")
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert large.stat().st_mtime_ns == before.st_mtime_ns
    assert files.sha256(large) == hashlib.sha256(b"GGUF, LARGE").hexdigest()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"PATH": 3}', b"OWN"])
def test_a_spoilt_store_is_ignored_and_replaced(hashed, large, tmp_path, content):
    expected = files.sha256(large)
    store = tmp_path / "cache" / "hashes.json"
    (entry,) = json.loads(store.read_bytes()).values()
    unlike = json.dumps({str(large): [*entry[:3], ["no text"]]}).encode()
    store.write_bytes(unlike if content == b"OWN" else content.replace(b"PATH", bytes(large)))
    assert in_a_new_process(large) == expected
    assert hashed == ["large"] * 2
    assert in_a_new_process(large) == expected
    assert hashed == ["large"] * 2


def test_a_file_that_is_gone_leaves_the_store(hashed, large, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"large too")
    files.sha256(other)
    other.unlink()
    files.sha256(large)
    assert list(json.loads((tmp_path / "cache" / "hashes.json").read_bytes())) == [str(large)]


def test_a_cache_that_cannot_be_written_costs_only_time(hashed, large, monkeypatch):
    monkeypatch.setenv("HVAE_CACHE", str(large / "no folder"))
    expected = hashlib.sha256(b"GGUF, large").hexdigest()
    assert [files.sha256(large), in_a_new_process(large)] == [expected] * 2
    assert hashed == ["large"] * 2


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
