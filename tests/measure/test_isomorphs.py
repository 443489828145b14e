"""An ideal respondent keeps its angle under every isomorphic form; memorised letters do not."""

import math
from dataclasses import fields

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values

PRIMARY = instruments.load("svo-slider")
FOUR = ("altruistic", "prosocial", "individualistic", "competitive")
CHANGES = (
    *("scaled-0.5", "scaled-10", "shifted-20", "swapped", "renamed-points", "renamed-tokens"),
    "permuted-4-3-6-5-1-2",  # no item in its place
    "scaled-0.5+shifted-20+swapped+renamed-points+permuted-4-3-6-5-1-2",
)
SET = {change: instruments.load(f"svo-slider+{change}") for change in CHANGES}
ANGLES = {
    "altruistic": 61.390,
    "prosocial": 45.0,
    "individualistic": 0.0,
    "competitive": -16.260,
}


def measured(choices, instrument):
    return svo.score([choices], instrument).angle[0]


def with_fixed_centre(choices, instrument):
    """Return what a scorer says that takes (50, 50) for granted and forgets the quadrant."""
    mine, other = instrument.payoffs[np.arange(len(choices)), choices].mean(axis=0)
    return math.degrees(math.atan((other - 50) / (mine - 50)))


@pytest.mark.parametrize("value", FOUR)
@pytest.mark.parametrize("name", SET)
def test_an_ideal_respondent_keeps_its_angle_under_every_isomorph(name, value):
    scored = svo.score([svo.ideal_choices(value, SET[name])], SET[name]).iloc[0]
    assert scored["angle"] == pytest.approx(ANGLES[value], abs=0.0005)
    assert scored["category"] == value
    assert scored["transitive"]


def test_an_altruist_at_half_stakes_is_still_an_altruist_where_a_fixed_centre_says_otherwise():
    half = instruments.scaled(PRIMARY, 0.5)
    altruist = svo.ideal_choices("altruistic", half)
    assert measured(altruist, half) == pytest.approx(61.390, abs=0.0005)
    assert with_fixed_centre(altruist, PRIMARY) == pytest.approx(61.390, abs=0.0005)
    assert with_fixed_centre(altruist, half) == pytest.approx(23.96, abs=0.005)


def test_an_individualist_at_half_stakes_seems_an_altruist_where_the_centre_is_fixed():
    half = instruments.scaled(PRIMARY, 0.5)
    generous_when_free = [0, 8, 8, 8, 0, 0]
    assert measured(generous_when_free, half) == pytest.approx(7.815, abs=0.0005)
    assert with_fixed_centre(generous_when_free, half) == pytest.approx(80.4, abs=0.05)


@pytest.mark.parametrize("name", SET)
def test_bounds_and_quality_do_not_depend_on_the_form(name):
    choices = np.random.default_rng(5).integers(-1, 9, (50, 6))
    there = [PRIMARY.items.index(item) for item in SET[name].items]
    plain = svo.score(choices, PRIMARY)
    dressed = svo.score(choices[:, there], SET[name])
    for column in ("angle", "angle_low", "angle_high"):
        np.testing.assert_allclose(dressed[column], plain[column], atol=1e-9)
    assert dressed["transitive"].equals(plain["transitive"])
    assert dressed["category"].equals(plain["category"])


@pytest.mark.parametrize("value", FOUR)
def test_memorised_letters_are_detected_by_permuted_items_alone(value):
    recited = svo.ideal_choices(value, PRIMARY)
    for name, isomorph in SET.items():
        off = abs(measured(recited, isomorph) - ANGLES[value])
        assert (off > 14) == ("permuted" in name)


def test_who_takes_the_first_number_for_its_own_is_found_out_by_swapped_columns():
    swapped = instruments.swapped(PRIMARY)
    assert swapped.printed[0, :2].tolist() == [[85, 85], [76, 85]]
    believed = swapped.printed[..., 1]
    assert (believed == PRIMARY.payoffs[..., 0]).all()
    assert measured(believed.argmax(axis=1), swapped) == pytest.approx(7.815, abs=0.0005)
    assert np.array_equal(PRIMARY.printed, PRIMARY.payoffs)


def test_inequality_aversion_survives_other_stakes_and_a_shift():
    averse = values.Value("averse", "", "", (0, 0, 1), None, None)
    expected = svo.ideal_choices(averse, PRIMARY)
    for isomorph in (instruments.scaled(PRIMARY, 3), instruments.shifted(PRIMARY, -15)):
        assert np.array_equal(svo.ideal_choices(averse, isomorph), expected)


def test_only_what_was_changed_is_changed():
    half = instruments.scaled(PRIMARY, 0.5)
    assert (half.origin, half.rounding, half.items) == ((25, 25), 0.5, PRIMARY.items)
    moved = instruments.shifted(PRIMARY, 20)
    assert (moved.origin, moved.rounding) == ((70, 70), 1)
    points = instruments.renamed(PRIMARY, "points")
    assert (points.goods, half.goods, half.other_first) == ("points", "coins", False)
    assert np.array_equal(points.payoffs, PRIMARY.payoffs)
    turned = instruments.permuted(PRIMARY, [5, 4, 3, 2, 1, 0])
    assert turned.items == (6, 5, 4, 3, 2, 1)
    assert turned.ends == PRIMARY.ends[::-1]
    assert (turned.payoffs == PRIMARY.payoffs[::-1]).all()
    with pytest.raises(ValueError, match="read-only"):
        half.payoffs[0, 0, 0] = 1


def test_two_swaps_are_none_and_changes_add_up():
    again = instruments.swapped(instruments.swapped(PRIMARY))
    assert not again.other_first
    both = instruments.shifted(instruments.scaled(instruments.swapped(PRIMARY), 2), 10)
    assert (both.other_first, both.origin) == (True, (110, 110))


def test_a_name_is_enough_to_make_the_instrument_again():
    odd = instruments.shifted(instruments.scaled(PRIMARY, 1 / 3), -4.5)
    huge = instruments.scaled(PRIMARY, 1e20)
    for isomorph in (*SET.values(), odd, huge):
        again = instruments.load(isomorph.name)
        for field in fields(instruments.Instrument):
            made, found = getattr(isomorph, field.name), getattr(again, field.name)
            assert np.array_equal(made, found) if field.name == "payoffs" else made == found
    assert instruments.load("svo-slider") is PRIMARY


@pytest.mark.parametrize(
    "name",
    [
        "svo-slide",
        "svo-slider+bent",
        "svo-slider+scaled-big",
        "svo-slider+scaled",
        "svo-slider+scaled--1",
        "svo-slider+permuted-1-2",
        "svo-slider+permuted-x",
        "svo-slider+renamed-",
        "svo-slider+",
    ],
)
def test_a_name_that_cannot_be_read_is_refused(name):
    with pytest.raises(UserError):
        instruments.load(name)


def test_the_secondary_items_have_isomorphs_too():
    secondary = instruments.load("svo-slider-secondary")
    for change in (*CHANGES[:6], "permuted-9-8-7-6-5-4-3-2-1"):
        isomorph = instruments.load(f"{secondary.name}+{change}")
        assert sorted(isomorph.items) == list(secondary.items)
        assert isomorph.ends is None


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (instruments.scaled, 0),
        (instruments.scaled, -1),
        (instruments.scaled, math.nan),
        (instruments.scaled, math.inf),
        (instruments.scaled, "two"),
        (instruments.shifted, -15.5),
        (instruments.shifted, math.nan),
        (instruments.shifted, None),
        (instruments.renamed, ""),
        (instruments.renamed, "gold coins"),
        (instruments.renamed, 7),
        (instruments.permuted, [0, 1, 2, 3, 4]),
        (instruments.permuted, [0, 1, 2, 3, 4, 4]),
        (instruments.permuted, [1, 2, 3, 4, 5, 6]),
        (instruments.permuted, "012345"),
    ],
)
def test_what_makes_no_isomorph_is_refused(make, given):
    with pytest.raises(UserError):
        make(PRIMARY, given)
