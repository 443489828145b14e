"""What others published is read whole, cannot be spoilt, and a broken file is named."""

import pytest

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.measure import published, svo


def test_the_chart_has_eight_models_four_values_and_two_arms():
    radar = published.radar()
    assert len(radar) == 64
    assert not radar.duplicated(["model", "value", "goal_prompt"]).any()
    assert radar["model"].nunique() == 8
    assert set(radar["value"]) == set(svo.CATEGORIES)
    assert radar["goal_prompt"].dtype == bool
    assert radar["vr"].between(-20, 60).all()


def test_every_sample_of_people_has_a_source_and_a_histogram():
    people, bins = published.people(), published.people_histogram()
    assert people["source"].str.contains(r"\(20\d\d\)").all()
    assert set(people["sample"]) == set(bins["sample"])
    assert list(bins) == ["sample", "low", "high", "count", "share"]


def test_the_ideals_of_the_secondary_items_are_options():
    ideals = published.secondary_ideals()
    assert list(ideals) == ["inequality", "joint_gain", "individualist", "altruist"]
    assert ideals.index.tolist() == list(range(7, 16))
    assert ideals.stack().dropna().between(1, 9).all()


@pytest.mark.parametrize(
    "load",
    [published.people, published.people_histogram, published.radar, published.secondary_ideals],
)
def test_changing_a_table_does_not_change_the_next_one(load):
    first = load()
    first["added"] = 1
    first.iloc[0] = first.iloc[-1]
    assert "added" not in load()
    assert not load().iloc[0].equals(load().iloc[-1])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("", "cannot be read"),
        ("sample,low,high,source\nA,1,2,B\n", "the column 'count' is missing"),
        ("sample,low,high,count,source\nA,1,2,many,B\n", "'count' must hold numbers"),
    ],
)
def test_a_broken_file_is_named(tmp_path, monkeypatch, text, told):
    monkeypatch.setattr(paths, "DATA", tmp_path)
    (tmp_path / "published").mkdir()
    if text is not None:
        (tmp_path / "published" / "people_histograms.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=told) as caught:
        published.people_histogram()
    assert "people_histograms.csv" in str(caught.value)


def test_the_full_score_is_the_rim_of_the_chart_and_nothing_on_it_lies_beyond():
    assert published.full_score() == 60
    assert published.radar()["vr"].max() <= published.full_score()
