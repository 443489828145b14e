"""A manifest says what a run was made of, and nothing about the machine it was made on."""

import hashlib
import json
import os
import subprocess
from datetime import UTC, datetime

import pytest

from hvae_utils.ask import models
from hvae_utils.run import manifest


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    for name, text in (
        ("data/values.toml", "values"),
        ("requirements.lock", "numpy==1"),
        ("pyproject.toml", '[project]\ndependencies = ["numpy>=2", "no-such-thing[x]; x == 1"]\n'),
        ("runs/r/scores.csv", "a\n"),
        ("runs/r/figures/1.svg", "<svg/>"),
        ("runs/r/notebooks/a.ipynb", "/secret/path"),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def describe(project, **changed):
    given = {
        "outputs": ["figures/", "scores.csv", "gone.csv"],
        "profile": "smoke",
        "overrides": [],
        "parameters": {"models": ["reference/random"], "seed": 7, "repeats": 2},
        "seconds": {"a": 1.23456},
        "started": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return manifest.describe(project / "runs" / "r", **given | changed, root=project)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_outputs_are_named_with_their_hashes(project):
    made = describe(project)
    assert made["outputs"] == {"figures/1.svg": sha("<svg/>"), "scores.csv": sha("a\n")}
    assert made["lock_sha256"] == sha("numpy==1")
    assert made["seeds"] == {"seed": 7}
    assert made["models"] == {"reference/random": None}
    assert made["seconds"] == {"a": 1.23}


def test_versions_are_of_what_the_project_asks_for(project):
    import numpy

    versions = describe(project)["versions"]
    assert set(versions) == {"python", "numpy", "no-such-thing"}
    assert versions["numpy"] == numpy.__version__
    assert versions["no-such-thing"] is None


def test_it_names_no_folder_and_no_secret_of_the_machine(project, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    weights = tmp_path / "m.gguf"
    weights.write_bytes(b"GGUF weights")
    made = describe(
        project,
        parameters={"models": [f"local/{weights}", "reference/random"], "seed": 1},
        overrides=[f"models=local/{weights},reference/random", "repeats=2"],
    )
    assert made["models"]["local/m.gguf"] == hashlib.sha256(b"GGUF weights").hexdigest()
    assert made["parameters"]["models"] == ["local/m.gguf", "reference/random"]
    assert made["overrides"] == ["repeats=2"], "the models stand in the parameters"
    text = json.dumps(made)
    assert "secret" not in text
    assert str(tmp_path) not in text
    assert os.path.expanduser("~") not in text


@pytest.mark.parametrize(
    "path",
    [
        "/srv/secret/m.gguf",
        "/srv/secret folder/m.gguf",
        "/srv/secret=x/[y], z/m.gguf",
        "~/secret/m.gguf",
        "D:\\secret user\\m.gguf",
        "D:/secret (x86)/m.gguf",
    ],
)
def test_a_weights_file_is_named_without_its_folder(project, monkeypatch, path):
    monkeypatch.setattr(models, "identities", lambda names: dict.fromkeys(names, "ab"))
    named = [f"local/{path}", "local/smollm2-135m-instruct", "ollama/library/x"]
    overrides = ["models=[" + ", ".join(named) + "]", "wordings=models=x"]
    made = describe(project, parameters={"models": named}, overrides=overrides)
    assert made["parameters"]["models"] == ["local/m.gguf", *named[1:]]
    assert list(made["models"]) == ["local/m.gguf", *named[1:]]
    assert made["overrides"] == ["wordings=models=x"]
    assert "secret" not in json.dumps(made)


def test_the_revision_is_null_outside_git_and_dirty_says_what_it_says(project):
    assert describe(project)["revision"] is None
    assert describe(project)["dirty"] is None

    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", "-C", str(project), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    made = describe(project)
    assert made["revision"] == git("rev-parse", "HEAD").strip()
    assert made["dirty"] is False
    (project / "data" / "values.toml").write_text("changed")
    assert describe(project)["dirty"] is True


def test_a_manifest_is_read_as_it_was_written(project):
    made = describe(project)
    run = project / "runs" / "r"
    manifest.write(run, made)
    assert manifest.read(run) == made
    assert made["started"] == "2026-01-02T00:00:00+00:00"
    assert not list(run.glob(".*"))


def test_what_was_seen_of_a_model_stands_under_its_name_without_a_folder(project, tmp_path):
    weights = tmp_path / "m.gguf"
    weights.write_bytes(b"GGUF weights")
    name = f"local/{weights}"
    seen = {name: {"system": "", "routes": {"direct": {"method": "text"}}}}
    made = describe(project, parameters={"models": [name]}, capabilities=seen)
    assert made["capabilities"] == {"local/m.gguf": seen[name]}
    assert describe(project)["capabilities"] == {}


def test_a_manifest_of_before_has_no_capabilities_and_is_one_all_the_same(project):
    made = describe(project)
    del made["capabilities"]
    manifest.write(project / "runs" / "r", made)
    assert manifest.read(project / "runs" / "r") == made
