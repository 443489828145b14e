"""A finished run leaves as Every Eval Ever JSON: valid by their schema, with the run's numbers."""

import json
import shutil
from importlib import metadata
from uuid import UUID

import pandas as pd
import pytest

from hvae_utils import __main__ as cli
from hvae_utils import files
from hvae_utils.errors import UserError
from hvae_utils.extras import export
from hvae_utils.run.run import Run
from tests.support import finished_run

MODELS = ("reference/faithful", "ollama/weak", "openai/gpt-x+low")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a finished run, which no test may change."""
    folder = finished_run.make(tmp_path_factory.mktemp("export") / "mine", MODELS)
    return Run("mine", folder.parent)


@pytest.fixture
def other(run, tmp_path):
    """Return a copy of it with other names of models."""

    def copied(*models):
        shutil.copytree(run.folder, tmp_path / "runs" / "mine", dirs_exist_ok=True)
        other = Run("mine", tmp_path / "runs")
        table = run.steerability.query("model == 'ollama/weak'")
        other.write("steerability.csv", pd.concat(table.assign(model=name) for name in models))
        digest = files.sha256(other.path("steerability.csv"))
        made_of = run.manifest
        made_of["outputs"]["steerability.csv"] = digest
        other.write("manifest.json", made_of)
        return other

    return copied


@pytest.fixture(scope="module")
def problems():
    """Return check(document) -> what is wrong with it by the schema of Every Eval Ever."""
    jsonschema = pytest.importorskip("jsonschema")
    try:
        package = metadata.distribution("every_eval_ever")
    except metadata.PackageNotFoundError:
        pytest.skip("the schemas of Every Eval Ever are not installed")
    path = package.locate_file("every_eval_ever/schemas/eval.schema.json")
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema["version"] == export.SCHEMA
    validator = jsonschema.Draft7Validator(schema)
    return lambda document: [fault.message for fault in validator.iter_errors(document)]


def read(paths):
    return {path: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def test_each_model_has_one_valid_file_in_the_folders_of_the_database(run, tmp_path, problems):
    written = read(export.write(run, tmp_path / "out", "Our group"))
    places = [path.relative_to(tmp_path / "out").parts for path in written]
    assert [place[:4] for place in places] == [
        ("data", "hvae-svo-slider", "ollama", "weak"),
        ("data", "hvae-svo-slider", "openai", "gpt-x"),
    ]
    assert all(UUID(path.stem).version == 4 for path in written)
    assert [problems(document) for document in written.values()] == [[], []]
    for document in written.values():
        assert document["source_metadata"]["source_organization_name"] == "Our group"


def test_what_the_schema_asks_for_is_missed_where_it_is_gone(run, tmp_path, problems):
    document = next(iter(read(export.write(run, tmp_path / "out")).values()))
    del document["evaluation_results"][0]["metric_config"]["max_score"]
    document["model_info"]["additional_details"]["deployment_type"] = "somewhere"
    assert len(problems(document)) == 2


def test_the_numbers_are_those_of_the_run_and_nothing_stands_for_what_is_missing(run):
    documents = {d["model_info"]["id"]: d for d in export.documents(run, "unknown", 1.0)}
    told = {
        result["evaluation_result_id"]: result
        for result in documents["ollama/weak"]["evaluation_results"]
    }
    steer = run.steerability.query("model == 'ollama/weak' and goal_prompt").iloc[0]
    found = told["with_goal_prompt.steerability"]["score_details"]
    assert found["score"] == steer["steerability"]
    between = found["uncertainty"]["confidence_interval"]
    assert (between["lower"], between["upper"]) == (steer["low"], steer["high"])
    assert found["uncertainty"]["num_samples"] == steer["wordings"]
    assert found["details"]["verdict"] == steer["verdict"]
    cells = run.cells.query("model == 'ollama/weak' and not goal_prompt").set_index("value")
    for value, cell in cells.iterrows():
        for metric in ("vr", "vr_chance"):
            name = f"without_goal_prompt.{value}.{metric}"
            assert (name in told) == (not pd.isna(cell[metric]))
            if name in told:
                assert told[name]["score_details"]["score"] == pytest.approx(cell[metric])
    assert "none" in cells.index  # a value without a target has no value rationality


def test_how_it_deliberated_is_a_setting_and_no_other_model(run):
    documents = {d["model_info"]["id"]: d for d in export.documents(run, "unknown", 1.0)}
    low = documents["openai/gpt-x"]
    assert "/openai/gpt-x+low/" in low["evaluation_id"]
    config = low["evaluation_results"][0]["generation_config"]
    assert config["generation_args"]["reasoning"] is True
    assert config["additional_details"]["deliberation"] == "low"
    weak = documents["ollama/weak"]["evaluation_results"][0]["generation_config"]
    assert weak["generation_args"]["reasoning"] is False
    assert weak["generation_args"]["max_tokens"] == 24


def test_the_same_run_is_exported_to_the_same_file(run, tmp_path):
    assert export.write(run, tmp_path / "out") == export.write(run, tmp_path / "out")


def test_a_name_cannot_leave_the_folder(other, tmp_path):
    paths = export.write(other("ollama/../../up", "vllm/a b:c", "local/C:\\her\\x.gguf"), tmp_path)
    places = [path.relative_to(tmp_path / "data" / "hvae-svo-slider").parts[:-1] for path in paths]
    assert places == [("ollama", "_.._up"), ("vllm", "a_b_c"), ("local", "x.gguf")]


def test_a_run_that_was_changed_or_holds_no_model_is_refused(other, tmp_path):
    run = other("ollama/weak")
    run.path("steerability.csv").write_text("model\n", encoding="utf-8")
    with pytest.raises(UserError, match="was changed since"):
        export.write(run, tmp_path / "out")
    with pytest.raises(UserError, match="simulated respondents only"):
        export.write(other("reference/faithful"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_where_the_files_are(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", "--run-id", "mine", "--runs", str(run.folder.parent)]) == 0
    assert capsys.readouterr().out.count("wrote ") == 2
    assert len([*(tmp_path / "mine-export").rglob("*.json")]) == 2
    assert cli.main(["export", "--run-id", "nope", "--runs", str(run.folder.parent)]) == 2
    assert "hvae: unknown run" in capsys.readouterr().err
