"""A run is a folder whose files have names, and whose tables are read when they are asked for."""

import pandas as pd
import pytest

import hvae_utils as hvae
from hvae_utils.errors import UserError
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


def test_tables_are_those_of_the_folder_and_read_once(tmp_path):
    folder = finished_run.make(tmp_path / "known")
    run = Run("known", tmp_path)
    pd.testing.assert_frame_equal(run.scores, pd.read_parquet(folder / "scores.parquet"))
    (folder / "scores.parquet").unlink()
    assert len(run.scores) == len(run.conditions)
    assert run.manifest["profile"] == "tiny"
    assert [figure["slug"] for figure in run.figures] == ["01_small", "02_large"]
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
