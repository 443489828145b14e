"""A run is a folder whose files have names, and whose tables are read when they are asked for."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import hvae_utils as hvae
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments
from hvae_utils.run import bundle, manifest, profiles, workbook
from hvae_utils.run.run import Run
from tests.support import finished_run


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    study = hvae.Study(("reference/faithful", "reference/random"), ("altruistic", "none"), (False,))
    return hvae.Run("mine", tmp_path_factory.mktemp("runs")).play(study)


def test_a_study_is_played_without_notebooks(played):
    assert len(played.conditions) == len(played.scores) == 4
    assert len(played.responses) == 24
    faithful = played.cells.set_index(["model", "value"]).loc[("reference/faithful", "altruistic")]
    assert faithful["mean_angle"] == pytest.approx(61.39, abs=0.01)
    assert set(played.steerability["verdict"]) == {"not estimable"}, "one value has no slope"
    assert played.outcomes().loc["reference/random", "choice"] == 12
    assert (played.error_share(), played.how_items_ended()) == (0.0, [])
    with pytest.raises(UserError, match="'mine' is no finished run; continue it with hvae repro"):
        played.report()


def test_what_was_answered_is_not_asked_again_and_another_study_replaces_the_tables(played):
    records = played.path("records.jsonl").read_bytes()
    assert records.count(b"\n") == len(played.records)
    study = hvae.Study(("reference/faithful", "reference/random"), ("altruistic",), (False,))
    again = Run(played.name, played.folder.parent)
    assert len(again.scores) == 4
    assert len(again.play(study).scores) == 2
    assert again.path("records.jsonl").read_bytes() == records


def test_every_table_of_a_study_is_made_on_its_own_instrument(tmp_path, monkeypatch):
    nine = hvae.instrument("svo-slider-secondary")
    nine = replace(nine, boundaries=hvae.instrument("svo-slider").boundaries)
    load = instruments.load
    monkeypatch.setattr(instruments, "load", lambda name: nine if name == nine.name else load(name))
    given = {"instrument": nine.name, "wordings": ("plain", "formal")}
    given |= {"deliberations": ("direct", "reasoned"), "goal_prompts": (False,)}
    study = hvae.Study(("reference/faithful",), ("altruistic", "competitive"), **given)
    run = Run("secondary", tmp_path).play(study)
    assert run.steerability["steerability"].tolist() == pytest.approx([1, 1], abs=1e-9)
    (pair,) = run.deliberation.to_dict("records")
    assert (pair["model"], pair["deliberation"]) == ("reference/faithful", "reasoned")
    assert (pair["against"], pair["difference"], pair["wordings"]) == ("direct", 0, 2)
    run.play(hvae.Study(("reference/faithful",), ("altruistic",), (False,)))
    assert run.deliberation.empty, "not what was read before"


def test_tables_are_those_of_the_folder_and_read_once(tmp_path):
    folder = finished_run.make(tmp_path / "known")
    run = Run("known", tmp_path)
    pd.testing.assert_frame_equal(run.scores, pd.read_parquet(folder / "scores.parquet"))
    (folder / "scores.parquet").unlink()
    assert len(run.scores) == len(run.conditions)
    assert run.manifest["profile"] == "tiny"
    assert run.changed() == ["scores.parquet"]
    with pytest.raises(UserError, match=r"run 'known' lacks scores\.parquet; run it again"):
        Run("known", tmp_path).scores  # noqa: B018


def test_a_run_that_is_not_there_is_one_sentence_with_those_that_are(tmp_path):
    with pytest.raises(UserError, match=r"there is no run in .* yet; hvae reproduce makes one"):
        Run("mine", tmp_path).cells  # noqa: B018
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"'mien'; choose from mine\. Did you mean 'mine'"):
        Run("mien", tmp_path).manifest  # noqa: B018


def test_what_a_notebook_shows_of_a_run_is_short_and_escaped(tmp_path):
    run = Run("new", tmp_path / "<b>")
    assert "&lt;b&gt;" in run._repr_html_()
    assert "no tables yet" in run._repr_html_()
    assert not run.folder.exists(), "naming a run makes nothing"


# --- what the first version saved

SAVED = Path(__file__).with_name("data")


@pytest.fixture
def saved(tmp_path):
    with zipfile.ZipFile(SAVED / "run_of_first_version.zip") as archive:
        archive.extractall(tmp_path / "old")
    return Run("old", tmp_path)


def test_a_run_of_the_first_version_is_read(saved):
    assert saved.manifest["profile"] == "smoke"
    assert all(name.startswith("figures/") for name in saved.changed()), "the rest is as it was"
    assert len(saved.conditions) == len(saved.scores) == 8
    assert len(saved.responses) == saved.outcomes().to_numpy().sum() == 48
    assert set(saved.records["model"]) == {"reference/faithful", "reference/random"}
    assert set(saved.cells["value"]) == {"altruistic", "none"}


def test_a_run_of_the_first_version_that_lacks_what_a_report_shows_is_refused_by_name(saved):
    with pytest.raises(UserError, match=r"run 'old' lacks 01_\w+\.csv; run it again"):
        saved.report()
    with pytest.raises(UserError, match=r"old: figures/01_\w+\.csv changed after the run"):
        saved.bundle()


def test_a_bundle_of_the_first_version_is_replayed(tmp_path, monkeypatch):
    def reproduce(profile, *, runs, run_id, report):
        parameters = workbook.parameters_of(profile, ())
        profiles.check(parameters)
        assert parameters["models"] == ["reference/faithful", "reference/random"]
        assert parameters["isomorphs"] == ["svo-slider+swapped"]
        manifest.write(runs / run_id, packed.manifest)

    path, lines = SAVED / "bundle_of_first_version.zip", []
    packed = bundle.read(path)
    monkeypatch.setattr(workbook, "reproduce", reproduce)
    run = workbook.replay(path, runs=tmp_path, report=lines.append)
    assert run.manifest["replayed"] == packed.sha256
    assert lines[0].startswith("58 of 58 tables and figures equal the recorded")


# --- the face


def test_every_public_name_is_there_and_values_is_a_module_that_gives_the_values():
    for name in hvae._FACE:
        assert getattr(hvae, name) is not None
    assert hvae.values() == hvae.values.load()
    assert hvae.instrument("svo-slider").payoffs.shape == (6, 9, 2)
    assert hvae.svo.score is hvae.score
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hvae.nothing  # noqa: B018
