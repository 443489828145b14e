"""The items are the published ones, and a file with a mistake is refused where it is."""

import dataclasses

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments

ITEMS = "item,option,self,other\n1,1,85,85\n1,2,85,15\n2,1,50,100\n2,2,100,50\n"
NOTES = 'title = "Two items"\nsource = "made up"\norigin = [50, 50]\n'


def write(folder, items=ITEMS, notes=NOTES):
    (folder / "mine.csv").write_text(items, encoding="utf-8")
    (folder / "mine.toml").write_text(notes, encoding="utf-8")
    return folder / "mine.csv"


def test_the_measure_has_six_primary_and_nine_secondary_items():
    assert {"svo-slider", "svo-slider-secondary"} <= set(instruments.names())
    primary = instruments.load("svo-slider")
    secondary = instruments.load("svo-slider-secondary")
    assert primary.items == tuple(range(1, 7))
    assert primary.payoffs.shape == (6, 9, 2)
    assert secondary.items == tuple(range(7, 16))
    assert secondary.payoffs.shape == (9, 9, 2)
    assert secondary.ends is None
    assert secondary.boundaries is None


@pytest.mark.parametrize("name", ["svo-slider", "svo-slider-secondary"])
def test_every_item_is_a_straight_slider_rounded_to_coins(name):
    payoffs = instruments.load(name).payoffs
    steps = np.linspace(0, 1, 9)[None, :, None]
    straight = payoffs[:, :1] + steps * (payoffs[:, -1:] - payoffs[:, :1])
    assert np.abs(payoffs - straight).max() <= 0.5
    assert np.array_equal(payoffs, np.round(payoffs))


def test_the_ends_of_the_primary_items_are_the_four_published_points():
    instrument = instruments.load("svo-slider")
    points = {"A": (50, 100), "P": (85, 85), "I": (100, 50), "C": (85, 15)}
    for item, (first, last) in enumerate(instrument.ends):
        assert tuple(instrument.payoffs[item, 0]) == points[first]
        assert tuple(instrument.payoffs[item, -1]) == points[last]
    assert len({frozenset(pair) for pair in instrument.ends}) == 6


def test_nobody_can_change_a_loaded_instrument():
    instrument = instruments.load("svo-slider")
    with pytest.raises(ValueError, match="read-only"):
        instrument.payoffs[0, 0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        instrument.name = "other"


def test_a_misspelt_name_gets_the_choices_and_the_nearest_match():
    with pytest.raises(UserError, match=r"svo-slider-secondary.*Did you mean 'svo-slider'"):
        instruments.load("svo-silder")


def test_an_items_file_of_ones_own_is_read_in_any_row_and_column_order(tmp_path):
    shuffled = "option,item,other,self\n2,2,50,100\n1,1,85,85\n1,2,100,50\n2,1,15,85\n"
    instrument = instruments.read(write(tmp_path, shuffled, NOTES + 'ends=[["P","C"],["A","I"]]'))
    assert instrument.name == "mine"
    assert instrument.items == (2, 1)
    assert instrument.payoffs.tolist() == [[[50, 100], [100, 50]], [[85, 85], [85, 15]]]
    assert instrument.ends == (("P", "C"), ("A", "I"))
    assert instrument.rounding == 1


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("", "cannot be read (No columns"),
        ("item,option,self\n1,1,85\n", "columns must be"),
        ("item,option,self,other\n", "a line for each option; found 0 lines"),
        (ITEMS + "1,1,85,85\n", "line 6: the item and option of an earlier line"),
        (ITEMS.replace("2,2,100,50\n", ""), "item 2 lacks option 2"),
        (ITEMS.replace("1,1,85", "1,0,85"), "options count from 1"),
        ("item,option,self,other\n1,1,85,85\n", "item 1 lacks option 2"),
        (ITEMS.replace("2,2,100,50", "2,2,hundred,50"), "line 5: self and other must be finite"),
        (ITEMS.replace("2,2,100,50", "2,2,nan,50"), "line 5: self and other must be finite"),
        (ITEMS.replace("2,2,100,50", "2,B,100,50"), "line 5: item and option must be whole"),
        (ITEMS.replace("2,2,100,50", "2,2,100"), "line 5: self and other must be finite"),
        (ITEMS.replace("2,2,100,50", "2,2,100,50,9"), "Expected 4 fields in line 5, saw 5"),
    ],
)
def test_an_items_file_with_a_wrong_shape_is_refused_at_its_line(tmp_path, items, message):
    with pytest.raises(UserError, match=r"mine\.csv") as raised:
        instruments.read(write(tmp_path, items))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("title = ", "is not valid TOML"),
        (NOTES.replace("title", "titel"), "unknown key 'titel'"),
        ('title = "t"\nboundaries = [57, 22, -12]', "'origin' must be 2 finite numbers"),
        (NOTES.replace("[50, 50]", '[50, "50"]'), "'origin' must be 2 finite numbers"),
        (NOTES + "boundaries = [-12, 22, 57]", "'boundaries' must be 3 numbers that fall"),
        (NOTES + "rounding = -1", "'rounding' must be a number of coins, not negative"),
        (NOTES + 'rounding = "one"', "'rounding' must be a number of coins"),
        (NOTES + 'ends = [["P", "C"]]', "'ends' must be 2 pairs"),
        (NOTES + 'ends = [["P", "C"], ["A", "X"]]', "'ends' must be 2 pairs"),
        (NOTES + 'ends = [["P", "C"], ["A", "A"]]', "'ends' must be 2 pairs"),
    ],
)
def test_notes_that_scoring_could_not_use_are_refused(tmp_path, notes, message):
    with pytest.raises(UserError, match=r"mine\.toml") as raised:
        instruments.read(write(tmp_path, notes=notes))
    assert message in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.toml: cannot be read"):
        instruments.read(tmp_path / "absent.csv")
    items = write(tmp_path)
    items.unlink()
    with pytest.raises(UserError, match=r"mine\.csv: cannot be read"):
        instruments.read(items)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    items = write(tmp_path)
    items.write_bytes(b"\xff\xfe\x00\x01" * 9)
    with pytest.raises(UserError, match="cannot be read"):
        instruments.read(items)
