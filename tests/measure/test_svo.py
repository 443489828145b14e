"""Scoring agrees with the published facts and with a slow, plain reading of the rules."""

import csv
import dataclasses
import itertools
import math
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values

PRIMARY = instruments.load("svo-slider")
FOUR = ("altruistic", "prosocial", "individualistic", "competitive")
HUMANS = paths.ROOT.parent / "shared" / "human_data" / "albrecht_jarecki_2021_svo_items.csv"


def letters(text):
    """Read "AIIDEI" as 0-based choices, "-" as missing."""
    return [-1 if letter == "-" else ord(letter) - ord("A") for letter in text]


def scored(*texts, instrument=PRIMARY):
    return svo.score([letters(text) for text in texts], instrument)


# The slow reading: one profile at a time, plain Python, payoffs as lists.


def plain_angle(points):
    n = len(points)
    return math.degrees(
        math.atan2(sum(o for _, o in points) / n - 50, sum(s for s, _ in points) / n - 50)
    )


def plain_category(angle):
    if angle >= 57.15:
        return "altruistic"
    if angle >= 22.45:
        return "prosocial"
    return "individualistic" if angle >= -12.04 else "competitive"


def plain_arrow(item, option):
    """(preferred, other) ideal of a choice, None in the exact middle."""
    payoffs = PRIMARY.payoffs.tolist()[item]
    first, last = (math.dist(payoffs[option], payoffs[k]) for k in (0, 8))
    a, b = PRIMARY.ends[item]
    return None if first == last else (a, b) if first < last else (b, a)


@lru_cache
def plain_transitive(arrows):
    def leads_back(start, at, seen):
        return any(
            b == start or (b not in seen and leads_back(start, b, seen | {b}))
            for a, b in filter(None, arrows)
            if a == at
        )

    return not any(leads_back(ideal, ideal, frozenset()) for ideal in "APIC")


def plain_bounds(choices, instrument):
    payoffs = instrument.payoffs.tolist()
    open_to = [
        item if choice < 0 else [item[choice]]
        for item, choice in zip(payoffs, choices, strict=True)
    ]
    angles = [plain_angle(points) for points in itertools.product(*open_to)]
    return min(angles), max(angles)


@pytest.fixture(scope="module")
def profiles():
    return np.array(list(itertools.product(range(9), repeat=6)), dtype=np.int8)


@pytest.fixture(scope="module")
def everyone(profiles):
    return svo.score(profiles, PRIMARY)


def test_every_profile_has_the_angle_and_category_of_the_plain_reading(everyone):
    payoffs = PRIMARY.payoffs.tolist()
    truth = [plain_angle(points) for points in itertools.product(*payoffs)]
    assert len(truth) == 531_441
    assert np.abs(everyone["angle"] - truth).max() < 1e-9
    assert everyone["category"].tolist() == [plain_category(angle) for angle in truth]


def test_every_profile_is_transitive_when_the_plain_reading_says_so(everyone):
    arrows = [[plain_arrow(item, option) for option in range(9)] for item in range(6)]
    truth = [plain_transitive(drawn) for drawn in itertools.product(*arrows)]
    assert everyone["transitive"].tolist() == truth
    assert sum(truth) == 222_445  # 41.857%


def test_the_published_facts_about_all_profiles_hold(everyone):
    angles = everyone["angle"]
    assert everyone["category"].value_counts().to_dict() == {
        "altruistic": 260,
        "prosocial": 269_348,
        "individualistic": 261_605,
        "competitive": 228,
    }
    assert angles.mean() == pytest.approx(22.703, abs=5e-4)
    assert angles.std() == pytest.approx(12.866, abs=5e-4)
    assert (angles.min(), angles.max()) == pytest.approx((-16.260, 61.390), abs=5e-4)
    assert (everyone["mean_self"].min(), everyone["mean_self"].max()) == (67.5, 92.5)
    assert (everyone["vector_length"] >= 35).mean() == pytest.approx(0.313, abs=5e-4)


def test_complete_answers_have_bounds_equal_to_the_angle(everyone):
    assert (everyone["angle_low"] == everyone["angle"]).all()
    assert (everyone["angle_high"] == everyone["angle"]).all()
    assert (everyone["answered"] == 6).all()
    assert not everyone.isna().any(axis=None)


@pytest.mark.parametrize(
    ("profile", "angle", "category"),
    [
        ("AIAAII", 61.390, "altruistic"),
        ("AIIDEI", 37.482, "prosocial"),
        ("AIIAAI", 37.093, "prosocial"),
        ("AIIAEI", 45.000, "prosocial"),
        ("AIIAII", 52.907, "prosocial"),
        ("AIIIAA", 7.815, "individualistic"),
        ("EIIIAA", 0.000, "individualistic"),
        ("IIIIAA", -7.815, "individualistic"),
        ("IAIIAA", -16.260, "competitive"),
    ],
)
def test_ideal_respondents_have_the_published_angles(profile, angle, category):
    row = scored(profile).iloc[0]
    assert row["angle"] == pytest.approx(angle, abs=5e-4)
    assert row["category"] == category
    assert row["transitive"]
    assert 40.5 <= round(row["vector_length"], 1) <= 42.9


def test_a_respondent_who_always_says_one_letter_has_an_angle_but_no_transitivity():
    table = scored(*(letter * 6 for letter in "ABCDEFGHI"))
    published = [30.47, 28.14, 26.82, 24.59, 22.93, 20.66, 18.81, 17.15, 14.74]
    assert table["angle"].round(2).tolist() == published
    assert table["category"].tolist() == ["prosocial"] * 5 + ["individualistic"] * 4
    assert table["transitive"].tolist() == [False] * 4 + [True] + [False] * 4
    assert table["vector_length"].between(32.35, 32.95).all()


@pytest.mark.parametrize(
    ("item", "counts_as"), [(1, None), (2, "I"), (3, "P"), (4, "A"), (5, None), (6, "P")]
)
def test_the_middle_option_counts_as_the_nearer_ideal(item, counts_as):
    arrow = plain_arrow(item - 1, 4)
    assert (arrow and arrow[0]) == counts_as
    # The same in the package: E makes a cycle exactly where its ideal would.
    end = None if counts_as is None else 8 * PRIMARY.ends[item - 1].index(counts_as)
    rest = np.array(list(itertools.product((0, 8), repeat=5)))
    middle = svo.score(np.insert(rest, item - 1, 4, axis=1), PRIMARY)["transitive"]
    sides = [svo.score(np.insert(rest, item - 1, k, axis=1), PRIMARY)["transitive"] for k in (0, 8)]
    if end is None:
        assert middle.sum() > max(side.sum() for side in sides)
    else:
        assert middle.equals(sides[end // 8])
        assert not middle.equals(sides[1 - end // 8])


def test_a_boundary_belongs_to_the_category_above_it():
    assert [svo.category(a) for a in (57.15, 22.45, -12.04)] == list(FOUR[:3])
    below = np.nextafter([57.15, 22.45, -12.04], -90)
    assert [svo.category(a) for a in below] == list(FOUR[1:])
    assert svo.category(np.nan) is None


def test_the_boundaries_lie_midway_between_the_ideal_ranges():
    sets = [values.get(name).target_set for name in FOUR]
    midway = [(upper[0] + lower[1]) / 2 for upper, lower in itertools.pairwise(sets)]
    assert midway == pytest.approx([57.148, 22.454, -12.038], abs=5e-4)
    assert PRIMARY.boundaries == pytest.approx(midway, abs=0.005)


def test_the_angle_follows_the_origin_and_has_no_direction_there():
    assert svo.angle(80, 80) == pytest.approx(45)
    assert svo.angle(np.array([40, 25]), 25, origin=(25, 25)).tolist() == pytest.approx(
        [0, math.nan], nan_ok=True
    )
    assert math.isnan(svo.angle(50, 50))


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_an_altruist_at_other_stakes_is_still_an_altruist(factor):
    scaled = dataclasses.replace(
        PRIMARY,
        payoffs=PRIMARY.payoffs * factor,
        origin=(50 * factor, 50 * factor),
        rounding=factor,
    )
    some = np.random.default_rng(5).integers(-1, 9, (500, 6))
    ours, theirs = svo.score(some, PRIMARY), svo.score(some, scaled)
    assert np.allclose(ours["angle_low"], theirs["angle_low"], atol=1e-9)
    assert np.allclose(ours["angle_high"], theirs["angle_high"], atol=1e-9)
    assert ours["category"].equals(theirs["category"])
    assert ours["transitive"].equals(theirs["transitive"])
    for name in FOUR:
        same = svo.ideal_choices(name, scaled) == svo.ideal_choices(name, PRIMARY)
        assert same.all()
    assert scored("AIAAII", instrument=scaled)["category"].item() == "altruistic"


# Missing items


def test_a_missing_item_leaves_no_score_but_bounds():
    row = scored("-IAAII").iloc[0]
    assert row[["angle", "category", "vector_length", "transitive"]].isna().all()
    assert row[["mean_self", "mean_other"]].isna().all()
    assert row["answered"] == 5
    assert row["angle_low"] < row["angle_high"]


@pytest.mark.parametrize(("profile", "low"), [("-IAAII", 51.3), ("AIA-II", 41.1), ("A-AAII", 60.4)])
def test_one_missing_answer_of_an_altruist_leaves_the_published_bounds(profile, low):
    row = scored(profile).iloc[0]
    assert round(row["angle_low"], 1) == low
    assert round(row["angle_high"], 1) == 61.4


def test_who_answers_nothing_can_be_anyone():
    row = scored("------").iloc[0]
    assert (row["angle_low"], row["angle_high"]) == pytest.approx((-16.260, 61.390), abs=5e-4)
    assert row["answered"] == 0


def test_bounds_are_the_extremes_over_every_completion():
    rng = np.random.default_rng(7)
    patterns = [p for p in itertools.product((False, True), repeat=6) if 1 <= sum(p) <= 3]
    choices = np.where(patterns, -1, rng.integers(0, 9, (len(patterns), 6)))
    choices = np.concatenate([choices, letters("-I-A--") * np.ones((1, 6), int)])
    table = svo.score(choices, PRIMARY)
    truth = [plain_bounds(row, PRIMARY) for row in choices.tolist()]
    assert np.abs(table[["angle_low", "angle_high"]] - np.array(truth)).max(axis=None) < 1e-9


def test_bounds_are_exact_on_items_that_are_no_sliders():
    rng = np.random.default_rng(11)
    for _ in range(60):
        payoffs = rng.integers(0, 12, (4, 5, 2)) * 10.0
        payoffs[..., 0] = rng.integers(51, 60, (4, 5))  # close to the origin: steep slopes
        cloud = dataclasses.replace(
            PRIMARY, payoffs=payoffs, items=(1, 2, 3, 4), ends=PRIMARY.ends[:4]
        )
        choices = rng.integers(-1, 5, (6, 4))
        table = svo.score(choices, cloud)
        truth = [plain_bounds(row, cloud) for row in choices.tolist()]
        assert np.abs(table[["angle_low", "angle_high"]] - np.array(truth)).max(axis=None) < 1e-9


def test_bounds_are_refused_where_the_angle_could_turn_right_round():
    around = dataclasses.replace(PRIMARY, origin=(80.0, 50.0))
    with pytest.raises(UserError, match="above the origin"):
        scored("-IAAII", instrument=around)


# Ideal respondents


def test_ideal_respondents_take_the_published_options_and_the_middle_of_ties():
    truth = {
        "altruistic": "AIAAII",
        "prosocial": "AIIAEI",
        "individualistic": "EIIIAA",
        "competitive": "IAIIAA",
    }
    for name, profile in truth.items():
        assert svo.ideal_choices(name, PRIMARY).tolist() == letters(profile)
        assert svo.ideal_choices(values.get(name), PRIMARY).tolist() == letters(profile)
    averse = values.Value("averse", "", "", (0.0, 0.0, 1.0), None, None)
    assert svo.ideal_choices(averse, PRIMARY).tolist() == letters("AIIDEI")


def test_faithful_respondents_meet_the_published_targets():
    table = svo.score([svo.ideal_choices(name, PRIMARY) for name in FOUR], PRIMARY)
    targets = [values.get(name).target for name in FOUR]
    assert table["angle"].tolist() == pytest.approx(targets, abs=1e-9)
    assert table["category"].tolist() == list(FOUR)


def test_ideal_respondents_of_the_secondary_items_are_the_published_ones():
    secondary = instruments.load("svo-slider-secondary")
    assert (svo.ideal_choices("altruistic", secondary) + 1).tolist() == [9, 1, 9, 9, 1, 1, 1, 9, 1]
    joint = (svo.ideal_choices("prosocial", secondary) + 1).tolist()
    assert joint == [9, 5, 1, 9, 5, 9, 5, 1, 1]  # items 8, 11 and 13 have constant sums
    selfish = (svo.ideal_choices("individualistic", secondary) + 1).tolist()
    assert selfish == [1, 9, 1, 1, 9, 9, 9, 1, 9]
    averse = values.Value("averse", "", "", (0.0, 0.0, 1.0), None, None)
    assert (svo.ideal_choices(averse, secondary) + 1).tolist() == [6, 5, 4, 7, 5, 8, 5, 3, 2]


def test_nobody_is_ideal_without_a_value():
    with pytest.raises(UserError, match="'none' has no utility"):
        svo.ideal_choices("none", PRIMARY)
    with pytest.raises(UserError, match="unknown value 'selfish'"):
        svo.ideal_choices("selfish", PRIMARY)


# What goes in, what comes out


def test_the_table_has_the_promised_columns_and_types():
    table = scored("AIAAII", "-IAAII")
    assert list(table) == [
        *("angle", "category", "vector_length", "transitive", "angle_low", "angle_high"),
        *("mean_self", "mean_other", "answered"),
    ]
    assert table["transitive"].dtype == "boolean"
    assert list(table["category"].cat.categories) == list(svo.CATEGORIES)
    assert table.loc[0, ["mean_self", "mean_other"]].tolist() == pytest.approx([70, 86 + 2 / 3])


def test_no_administrations_give_an_empty_table():
    table = svo.score(np.empty((0, 6), int), PRIMARY)
    assert len(table) == 0
    assert "angle_low" in table


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([[0, 8, 0, 0, 8, 9]], "9 in administration 0, item 6 is no option"),
        ([[0] * 6, [0, -2, 0, 0, 8, 8]], "-2 in administration 1, item 2 is no option"),
        (np.full((1, 6), 255, np.uint8), "255 in administration 0, item 1"),
        (
            [[0.0, 8.0, 0.0, 0.0, 8.0, 8.0]],
            "expected whole numbers, -1 where missing, in the shape (administrations, 6)",
        ),
        ([[True] * 6], "found bool"),
        ([["A"] * 6], "whole numbers"),
        ([0, 8, 0, 0, 8, 8], r"(administrations, 6) for 'svo-slider', found int64 in (6,)"),
        ([[0] * 5], "found int64 in (1, 5)"),
        ([[0] * 6, [0] * 5], "(administrations, 6)"),
        ([], "(0,)"),
    ],
)
def test_choices_that_are_none_are_refused(choices, message):
    with pytest.raises(UserError) as raised:
        svo.score(choices, PRIMARY)
    assert message in str(raised.value)


def test_the_secondary_items_have_no_angle():
    with pytest.raises(UserError, match="'svo-slider-secondary' has no SVO angle"):
        svo.score(np.zeros((1, 9), int), instruments.load("svo-slider-secondary"))


def test_an_instrument_without_ends_has_angles_but_no_transitivity():
    table = scored("AIAAII", instrument=dataclasses.replace(PRIMARY, ends=None))
    assert table["category"].item() == "altruistic"
    assert table["transitive"].isna().all()


# People


@pytest.mark.skipif(
    not HUMANS.is_file(), reason="the item-level answers of people are not part of the project"
)
def test_people_score_as_published():
    with HUMANS.open(encoding="utf-8", newline="") as handle:
        people = pd.DataFrame(list(csv.DictReader(handle)))
    answers = people[[f"svo_{item}" for item in range(1, 7)]].astype(int).to_numpy() - 1
    table = svo.score(answers, PRIMARY)
    assert len(table) == 757
    assert (table["angle"] - people["angle_recomputed"].astype(float)).abs().max() < 1e-4
    assert table["category"].astype(str).tolist() == people["category"].tolist()
    assert table["transitive"].tolist() == (people["transitive"] == "1").tolist()
    assert table["transitive"].mean() == pytest.approx(0.9168, abs=5e-5)
    length = people["vector_length"].astype(float)
    assert (table["vector_length"] - length).abs().max() < 1e-3


@pytest.mark.parametrize(
    "name", ["svo-slider", "svo-slider+swapped", "svo-slider+permuted-4-3-6-5-1-2"]
)
def test_the_angle_rises_along_each_item_whatever_the_others_are(name):
    instrument = instruments.load(name)
    totals = np.zeros((1, 2))
    for item, order in zip(instrument.payoffs, svo.options_by_angle(instrument), strict=True):
        totals = (totals[:, None] + item[order]).reshape(-1, 2)
    angles = svo.angle(*totals.T / 6, instrument.origin).reshape((9,) * 6)
    falls = [-np.diff(angles, axis=item).min() for item in range(6)]
    assert max(falls) < 0.1
    assert sum(fall > 0 for fall in falls) == 1  # item 3 of the slider: a step of (5, -1) coins


def test_options_that_turn_the_angle_either_way_have_no_order():
    slider = instruments.load("svo-slider")
    payoffs = slider.payoffs.copy()
    payoffs[2] = payoffs[2][[0, 8, 1, 7, 2, 6, 3, 5, 4]]  # another sequence is no hindrance
    turned = dataclasses.replace(slider, payoffs=payoffs)
    assert svo.options_by_angle(turned)[2].tolist() == [1, 3, 5, 7, 8, 6, 4, 2, 0]
    payoffs[2] = [[50 + 5 * k, 50 + 3 * k] for k in range(9)]  # a ray, at an angle others pass
    assert svo.options_by_angle(dataclasses.replace(slider, payoffs=payoffs)) is None


def test_targets_on_another_instrument_are_what_its_ideal_respondents_reach():
    rng = np.random.default_rng(3)
    payoffs = rng.integers(20, 100, (3, 4, 2)).astype(float)
    payoffs[1, :, 1] = payoffs[1, 0, 1] + [0, 1, 0, 1]  # level for the other's coins
    other = dataclasses.replace(
        PRIMARY, name="other", payoffs=payoffs, items=(1, 2, 3), origin=(0.0, 0.0), ends=None
    )
    value = svo.value_on("altruistic", other)
    utilities = payoffs[..., 1]
    best = utilities >= utilities.max(axis=1, keepdims=True)
    best[1] = True
    angles = []
    for chosen in itertools.product(range(4), repeat=3):
        if best[range(3), chosen].all():
            x, y = payoffs[range(3), chosen].mean(axis=0)
            angles.append(math.degrees(math.atan2(y, x)))
    assert len(angles) == 4
    assert value.target_set == pytest.approx((min(angles), max(angles)), abs=1e-9)
    assert min(angles) < value.target < max(angles)
    assert value.utility == values.get("altruistic").utility
    assert value.targets()["set"].high == value.target_set[1]


def test_targets_stay_as_published_on_the_slider_and_its_forms():
    for name in ("svo-slider", "svo-slider+scaled-10"):
        assert svo.value_on("prosocial", instruments.load(name)) is values.get("prosocial")


@pytest.mark.parametrize("value", ["altruistic", "prosocial", "individualistic", "competitive"])
def test_the_angles_of_the_values_file_are_those_of_the_ideal_respondents(value):
    point, low, high = svo.ideal_angles(value, PRIMARY)
    published = values.get(value)
    assert point == pytest.approx(published.target, abs=1e-9)
    assert (low, high) == pytest.approx(published.target_set, abs=1e-9)


def test_a_value_that_prefers_no_option_of_an_instrument_has_no_target_there():
    level = dataclasses.replace(
        PRIMARY, name="level", payoffs=np.full((2, 3, 2), 80.0), items=(1, 2), ends=None
    )
    assert svo.value_on("prosocial", level).targets() == {}
