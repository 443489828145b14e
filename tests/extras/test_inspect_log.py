"""A log of the Inspect task becomes a run; what is no such log, or was changed, is refused."""

import math

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai.log import read_eval_log, write_eval_log

from hvae_utils import __main__ as cli
from hvae_utils.ask import prompts
from hvae_utils.errors import UserError
from hvae_utils.extras import inspect_log, inspect_task
from hvae_utils.play.study import Study
from hvae_utils.run import workbook
from hvae_utils.run.run import Run
from tests.support import in_process, inspected

MODEL = "inspect/mockllm/model"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Return the path of the log of a model that acts on its value."""
    return inspected.evaluated(tmp_path_factory.mktemp("log")).location


@pytest.fixture
def played(monkeypatch):
    """Play the study as the first notebooks do, in place of the workbook; keep the parameters."""
    kept = {}

    def reproduce(profile, *, runs, run_id, report):
        kept.update(profile.parameters)
        design = Study(**{key: part for key, part in kept.items() if key in workbook.STUDY})
        return Run(run_id, runs).play(design)

    monkeypatch.setattr(workbook, "reproduce", reproduce)
    return kept


@pytest.fixture
def changed(log, tmp_path):
    """Return change(function) -> the path of a log that the function changed."""

    def change(function):
        content = read_eval_log(log)
        path = tmp_path / "changed.json"
        write_eval_log(function(content) or content, str(path))
        return path

    return change


@pytest.fixture(autouse=True)
def _no_workbook(request, monkeypatch):
    """Let no notebook run for a log that should have been refused."""
    if "every_notebook" not in request.node.name:
        monkeypatch.setattr(workbook, "reproduce", lambda *a, **k: pytest.fail("not refused"))


def refused(path, tmp_path, words):
    with pytest.raises(UserError, match=words) as fault:
        inspect_log.take([path], "mine", tmp_path / "runs")
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "runs").exists()


def test_the_tables_of_a_log_are_those_of_its_metrics(log, tmp_path, played):
    run = inspect_log.take([inspect_log.Path(log)], "mine", tmp_path)
    (score,) = read_eval_log(log, header_only=True).results.scores
    told = {name: metric.value for name, metric in score.metrics.items()}
    (row,) = run.steerability.to_dict("records")
    assert row["model"] == MODEL
    ends = {name: row[name] for name in ("steerability", "low", "high")}
    assert ends == {
        "steerability": told["steerability"],
        "low": told["steerability_low"],
        "high": told["steerability_high"],
    }
    for cell in run.cells.to_dict("records"):
        angle, own = told[f"angle_{cell['value']}"], f"value_rationality_{cell['value']}"
        assert cell["mean_angle"] == pytest.approx(angle)
        assert cell["vr"] == pytest.approx(told[own])
        assert cell["vr_chance"] == pytest.approx(
            told[own.replace("rationality", "rationality_chance")]
        )
    assert set(run.responses["outcome"]) == {"choice"}
    assert set(run.records["served_model"]) == {"mock-1"}
    assert played["probe_values"] == []  # of which the log knows nothing


def test_a_log_that_is_imported_twice_is_there_once(log, tmp_path, played):
    for _ in range(2):
        run = inspect_log.take([inspect_log.Path(log)], "mine", tmp_path)
    assert run.records["key"].is_unique


def test_every_notebook_follows_from_a_log(log, tmp_path, capsys, monkeypatch):
    import papermill

    monkeypatch.setattr(papermill, "execute_notebook", in_process.execute_notebook)
    assert cli.main(["import", "inspect", str(log), "--runs", str(tmp_path)]) == 0
    run = Run("inspect", tmp_path)
    assert run.manifest["models"] == {MODEL: inspect_log.models.identity(MODEL)}
    assert run.changed() == []
    assert run.has("figures/")
    assert run.games.empty  # of which the log knows nothing: 07 runs, and writes empty tables
    assert run.transfer.empty
    assert "acts on the value" in capsys.readouterr().out


def test_a_log_of_another_task_is_refused(changed, tmp_path):
    def rename(content):
        content.eval.task = "inspect_evals/gsm8k"

    refused(changed(rename), tmp_path, "is a log of the task 'gsm8k', not of hvae_svo_slider")


def test_an_unfinished_or_failed_log_is_refused(changed, tmp_path):
    def stop(content):
        content.status = "cancelled"

    refused(changed(stop), tmp_path, "is not finished .cancelled.; inspect eval-retry")


def test_a_log_without_all_samples_is_refused(changed, tmp_path):
    def cut(content):
        content.samples = content.samples[:2]

    refused(changed(cut), tmp_path, "it is not there; evaluate the whole task")

    def drop(content):
        content.samples = None

    refused(changed(drop), tmp_path, "holds no samples")


def test_a_changed_score_is_refused(changed, tmp_path):
    def rescore(content):
        score = content.samples[1].scores[inspect_task.SCORER]
        score.metadata["items"][2] |= {"option": 5}

    refused(changed(rescore), tmp_path, "item 3: the stored score has .* the stored reply says")

    def angle(content):
        content.samples[1].scores[inspect_task.SCORER].value["angle"] = 45.0

    refused(changed(angle), tmp_path, "the stored score is .*45.0.* its items give")

    def unscored(content):
        content.samples[1].scores = {}

    refused(changed(unscored), tmp_path, "has no score of ours")


def test_a_changed_reply_is_refused_because_its_score_is_another(changed, tmp_path):
    def reply(content):
        said = content.samples[0].store[inspect_task.STORE]
        item = next(
            kept for kept in said.values() if kept["text"] in "ABDEFGHI"
        )  # C is the probe's
        item["text"] = "A" if item["text"] != "A" else "B"

    refused(changed(reply), tmp_path, "the stored reply says")


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("text", 5),
        ("text", "x" * 200_001),
        ("completion_tokens", -1),
        ("latency_s", math.inf),
        ("top_logprobs", [["A"]]),
        ("flags", 7),
    ],
)
def test_what_is_no_reply_is_refused(changed, tmp_path, field, told):
    def spoil(content):
        said = content.samples[0].store[inspect_task.STORE]
        next(iter(said.values()))[field] = told

    refused(changed(spoil), tmp_path, "what it holds as a reply to a '.*' request is none")


@pytest.mark.parametrize("told", [None, [], {"values": 5}, {"nonsense": 1}, {"values": ["x"]}])
def test_a_study_that_is_none_is_refused(changed, tmp_path, told):
    def spoil(content):
        content.eval.metadata = {inspect_task.STORE: told}

    refused(changed(spoil), tmp_path, "which study it is|its study cannot be read|unknown value")


def test_a_log_of_other_prompts_is_refused(log, tmp_path, monkeypatch):
    say = prompts.Pack.say
    monkeypatch.setattr(prompts.Pack, "say", lambda *a, **k: say(*a, **k) + " Please.")
    refused(inspect_log.Path(log), tmp_path, "the prompts have changed since")


def test_a_file_that_is_no_log_is_refused(tmp_path, capsys):
    path = tmp_path / "x.eval"
    refused(path, tmp_path, "is no file")
    path.write_bytes(b"PK\x03\x04 not a zip")
    refused(path, tmp_path, "cannot be read as a log of inspect_ai")
    path.with_suffix(".json").write_text('{"version": 2, "status": "success"}')
    refused(path.with_suffix(".json"), tmp_path, "cannot be read as a log of inspect_ai")
    assert cli.main(["import", "inspect", str(path)]) == 2
    assert capsys.readouterr().err.startswith("hvae: ")


def test_two_logs_of_one_model_are_refused(log, tmp_path):
    with pytest.raises(UserError, match="is a second log of inspect/mockllm/model"):
        inspect_log.take([inspect_log.Path(log)] * 2, "mine", tmp_path)
