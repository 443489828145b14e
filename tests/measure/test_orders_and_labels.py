"""Orders show every option once, and nine cyclic ones show it once at every position."""

import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import factors
from hvae_utils.play import study


@pytest.mark.parametrize("name", ["fixed", "reversed", "cyclic-1", "cyclic-7", "shuffled"])
def test_every_order_is_a_permutation(name):
    assert sorted(factors.option_order(name, item=2, options=9, seed=5)) == list(range(9))


def test_the_nine_cyclic_orders_bring_every_option_to_every_position_once():
    shown = [factors.option_order(name, 0, 9) for name in factors.order_names("cyclic", 9)]
    for position in range(9):
        assert sorted(order[position] for order in shown) == list(range(9))
    assert shown[0] == factors.option_order("fixed", 0, 9)


def test_nine_wordings_in_latin_orders_are_a_latin_square():
    names = [factors.order_names("latin", 9, place) for place in range(9)]
    assert [*zip(*names, strict=True)] == [factors.order_names("cyclic", 9)]
    assert factors.order_names("latin", 9, 9) == names[0]


def test_reversed_shows_the_last_option_first():
    assert factors.option_order("reversed", 0, 9) == (8, 7, 6, 5, 4, 3, 2, 1, 0)


def test_shuffled_is_recorded_by_its_seed_and_differs_by_item():
    first = [factors.option_order("shuffled", item, 9, seed=11) for item in range(6)]
    again = [factors.option_order("shuffled", item, 9, seed=11) for item in range(6)]
    other = [factors.option_order("shuffled", item, 9, seed=12) for item in range(6)]
    assert first == again
    assert len(set(first)) == 6
    assert first != other


@pytest.mark.parametrize("labels", factors.LABEL_SETS.values())
def test_the_labels_of_a_set_are_nine_and_different(labels):
    assert len(set(labels)) == 9


@pytest.mark.parametrize("name", ["cyclic-0", "cyclic-10", "cyclic-x", "cyclic", "backwards"])
def test_an_order_that_does_not_exist_is_refused(name):
    with pytest.raises(UserError, match="unknown order"):
        factors.option_order(name, 0, 9)


def test_cyclic_is_nine_conditions_and_labels_are_a_factor():
    design = study.Study(
        ("reference/random",), values=("none",), goal_prompts=(False,), orders=("cyclic",),
        labels=("A-I", "1-9"),
    )  # fmt: skip
    planned = study.conditions(design)
    assert len(planned) == 18
    assert planned.groupby("labels")["order"].nunique().tolist() == [9, 9]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"orders": ("reverse",)}, "Did you mean 'reversed'"),
        ({"labels": ("A-J",)}, "Did you mean 'A-I'"),
        ({"readout": "probability"}, "Did you mean 'probabilities'"),
        ({"readout": "probabilities", "protocols": ("conversation",)}, "separate contexts"),
        ({"instrument": "svo-slider+swaped"}, "Did you mean 'swapped'"),
    ],
)
def test_presentations_that_cannot_be_are_refused(change, said):
    with pytest.raises(UserError, match=said):
        study.Study(("reference/random",), **change)
