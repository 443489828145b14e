"""The published summary figures of people agree with each other and with the answers they sum."""

import math

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.measure import instruments, published, svo

ANSWERS = paths.ROOT.parent / "shared" / "human_data" / "albrecht_jarecki_2021_svo_items.csv"
SAMPLES = ("Many Labs 2", "Swiss panel")


def histogram(sample):
    bins = published.people_histogram()
    return bins[bins["sample"] == sample]


def summary(sample):
    return published.people().set_index("sample").loc[sample]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_histogram_counts_everybody_once(sample):
    bins = histogram(sample)
    assert bins["count"].sum() == summary(sample)["n"]
    assert bins["share"].sum() == pytest.approx(1)
    assert (bins["high"] - bins["low"] == 2.5).all()
    assert bins["low"].tolist() == [-17.5 + 2.5 * k for k in range(32)]


@pytest.mark.parametrize("sample", SAMPLES)
def test_mean_sd_and_median_are_possible_for_the_histogram(sample):
    bins, told = histogram(sample), summary(sample)
    middle = (bins["low"] + bins["high"]) / 2
    mean = np.average(middle, weights=bins["count"])
    sd = math.sqrt(np.average((middle - mean) ** 2, weights=bins["count"]))
    assert told["mean"] == pytest.approx(mean, abs=1.25)
    assert told["sd"] == pytest.approx(sd, abs=1.25)
    reached = bins["count"].cumsum() >= told["n"] / 2
    assert bins["low"][reached].iloc[0] <= told["median"] < bins["high"][reached].iloc[0]


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_shares_of_the_categories_are_possible_for_the_histogram(sample):
    bins, told = histogram(sample), summary(sample)
    assert told[list(svo.CATEGORIES)].sum() == pytest.approx(1, abs=0.002)
    uppers = (math.inf, *instruments.load("svo-slider").boundaries)
    lowers = (*instruments.load("svo-slider").boundaries, -math.inf)
    for category, low, high in zip(svo.CATEGORIES, lowers, uppers, strict=True):
        inside = bins[(bins["low"] >= low) & (bins["high"] <= high)]["share"].sum()
        touched = bins[(bins["high"] > low) & (bins["low"] < high)]["share"].sum()
        assert inside - 0.0006 <= told[category] <= touched + 0.0006


@pytest.fixture(scope="module")
def swiss():
    """The item-level answers, which are no part of the project, scored by us."""
    if not ANSWERS.exists():
        pytest.skip("the item-level answers are not beside the project")
    answers = pd.read_csv(ANSWERS)
    choices = answers[[f"svo_{item}" for item in range(1, 7)]].to_numpy() - 1
    return answers, svo.score(choices, instruments.load("svo-slider"))


def test_the_swiss_summary_is_that_of_the_published_answers(swiss):
    answers, scored = swiss
    told = summary("Swiss panel")
    assert len(scored) == told["n"] == 757
    assert (scored["angle"] - answers["angle_recomputed"]).abs().max() < 1e-4
    for name, found in (
        ("mean", scored["angle"].mean()),
        ("sd", scored["angle"].std()),
        ("median", scored["angle"].median()),
    ):
        assert told[name] == pytest.approx(found, abs=0.005)
    for category in svo.CATEGORIES:
        assert told[category] == pytest.approx((scored["category"] == category).mean(), abs=6e-4)
    assert scored["transitive"].mean() == pytest.approx(0.9168, abs=5e-5)
    assert told["transitive"] == pytest.approx(scored["transitive"].mean(), abs=6e-4)


def test_the_swiss_histogram_is_that_of_the_published_answers(swiss):
    bins = histogram("Swiss panel")
    edges = [*bins["low"], bins["high"].iloc[-1]]
    found = pd.cut(swiss[1]["angle"], edges, right=False).value_counts(sort=False)
    assert bins["count"].tolist() == found.tolist()
