"""The values say what their ideal respondents maximise, and the targets follow from the items."""

import itertools
import math
import re

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values

FOUR = ("altruistic", "prosocial", "individualistic", "competitive")
FIFTH = """
[egalitarian]
word = "egalitarian"
definition = "Wants both to receive the same."
utility = { inequality = 1 }
target = 37.48
target_set = [37.48, 37.49]
"""
MINE = """
[egalitarian.targets.mine]
target_set = [1, 2]
utility = { self = 1 }
"""


def reached(utility):
    """Every angle of a respondent who takes any option within one coin of the best."""
    items = instruments.load("svo-slider").payoffs.tolist()
    best = [max(utility(*option) for option in item) for item in items]
    good = [
        [option for option in item if utility(*option) >= top - 1]
        for item, top in zip(items, best, strict=True)
    ]
    return [
        math.degrees(math.atan2(sum(o for _, o in p) - 300, sum(s for s, _ in p) - 300))
        for p in itertools.product(*good)
    ]


def test_the_values_are_the_four_of_the_paper_and_none():
    assert values.names() == (*FOUR, "none")
    assert [values.get(name).word for name in FOUR] == list(FOUR)
    assert all(values.get(name).definition for name in FOUR)


def test_the_values_sort_payoffs_as_their_names_promise():
    equal, ahead, giving = (85, 85), (85, 15), (50, 100)
    preferred = {
        name: max((equal, ahead, giving), key=lambda p: float(values.get(name).utilities(p)))
        for name in ("altruistic", "prosocial", "competitive")
    }
    assert preferred == {"altruistic": giving, "prosocial": equal, "competitive": ahead}
    selfish = values.get("individualistic")
    assert selfish.utilities([equal, ahead, giving]).tolist() == [85, 85, 50]


def test_utilities_keep_the_shape_of_the_items():
    payoffs = instruments.load("svo-slider").payoffs
    assert values.get("prosocial").utilities(payoffs).shape == (6, 9)
    averse = values.Value("averse", "", "", (0.0, 0.0, 1.0), None, None)
    assert averse.utilities([[85, 15], [75, 75]]).tolist() == [-70, 0]


@pytest.mark.parametrize(
    ("name", "utility", "point"),
    [
        ("altruistic", lambda mine, other: other, 61.390),
        ("prosocial", lambda mine, other: mine + other, 45.0),
        ("individualistic", lambda mine, other: mine, 0.0),
        ("competitive", lambda mine, other: mine - other, -16.260),
    ],
)
def test_the_target_set_is_what_ideal_respondents_reach_on_the_items(name, utility, point):
    value = values.get(name)
    angles = reached(utility)
    assert value.target_set == pytest.approx((min(angles), max(angles)), abs=1e-9)
    assert value.target == pytest.approx(point, abs=5e-4)
    assert min(abs(angle - value.target) for angle in angles) < 1e-9
    payoffs = instruments.load("svo-slider").payoffs
    truth = [[utility(*option) for option in item] for item in payoffs.tolist()]
    assert np.allclose(value.utilities(payoffs), truth)


def test_the_published_ends_of_the_target_sets_are_met():
    assert values.get("prosocial").target_set == pytest.approx((37.093, 52.907), abs=5e-4)
    assert values.get("individualistic").target_set == pytest.approx((-7.815, 7.815), abs=5e-4)


def test_the_inequality_averse_are_prosocial_too():
    (angle,) = set(reached(lambda mine, other: -abs(mine - other)))
    low, high = values.get("prosocial").target_set
    assert angle == pytest.approx(37.482, abs=5e-4)
    assert low < angle < high


def test_a_value_names_its_targets():
    prosocial = values.get("prosocial").targets()
    assert list(prosocial) == ["published", "set", "inequality averse"]
    assert (prosocial["published"].low, prosocial["published"].high) == (45, 45)
    assert (prosocial["set"].low, prosocial["set"].high) == values.get("prosocial").target_set
    assert list(values.get("individualistic").targets()) == ["published", "set"]
    assert values.get("none").targets() == {}


def test_the_inequality_averse_target_follows_from_its_utility_on_the_items():
    target = values.get("prosocial").targets()["inequality averse"]
    (angle,) = set(reached(lambda mine, other: -abs(mine - other)))
    assert (target.low, target.high) == pytest.approx((angle, angle), abs=1e-9)
    assert target.utility == (0, 0, 1)
    assert values.get("prosocial").targets()["set"].utility == (1, 1, 0)


def test_on_a_level_item_every_option_is_ideal_and_elsewhere_only_the_best():
    payoffs = instruments.load("svo-slider").payoffs
    ideal = values.get("prosocial").ideal_options(payoffs, rounding=1)
    assert ideal.sum(axis=1).tolist() == [1, 1, 1, 1, 9, 1]
    assert ideal.argmax(axis=1).tolist() == [0, 8, 8, 0, 0, 8]
    strict = values.get("prosocial").ideal_options(payoffs)
    assert np.flatnonzero(strict[4]).tolist() == [2, 6]  # 151 coins at C and G, 150 elsewhere
    assert values.get("individualistic").ideal_options(payoffs).sum(axis=1)[0] == 9


def test_no_value_has_no_target_and_prefers_nothing():
    none = values.get("none")
    assert (none.utility, none.target, none.target_set, none.definition) == (None, None, None, "")
    with pytest.raises(UserError, match="'none' has no utility"):
        none.utilities([[85, 85]])


def test_a_misspelt_value_gets_the_choices_and_the_nearest_match():
    with pytest.raises(UserError, match=r"altruistic, prosocial.*Did you mean 'prosocial'"):
        values.get("pro-social")


def test_loaded_values_cannot_be_spoilt_for_the_next_reader():
    values.load().clear()
    assert values.names() == (*FOUR, "none")


def test_a_fifth_value_can_be_added(tmp_path):
    path = tmp_path / "values.toml"
    path.write_text(values.paths.DATA.joinpath("values.toml").read_text("utf-8") + FIFTH, "utf-8")
    found = values.read(path)
    assert list(found) == [*FOUR, "none", "egalitarian"]
    assert found["egalitarian"].utility == (0, 0, 1)


def test_a_value_can_be_given_a_further_target(tmp_path):
    path = tmp_path / "values.toml"
    path.write_text(FIFTH + MINE, "utf-8")
    target = values.read(path)["egalitarian"].targets()["mine"]
    assert (target.low, target.high, target.utility) == (1, 2, (1, 0, 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "is not valid TOML"),
        ("", "holds no value"),
        ("x = " + "[" * 5000, "nested too deeply"),
        (FIFTH.replace("inequality = 1", f"inequality = 1{'0' * 400}"), "needs finite weights"),
        (FIFTH.replace("target = 37.48", f"target = 1{'0' * 400}"), "'target' must be an angle"),
        (FIFTH.replace("target = 37.48", f"target = 1{'0' * 9000}"), "is not valid TOML"),
        (FIFTH.replace("[egalitarian]", '[""]'), "'' is no name for a value"),
        (FIFTH.replace("[egalitarian]", "[all]"), "'all' is no name for a value"),
        (FIFTH.replace("[egalitarian]", '["a\\nb"]'), "is no name for a value"),
        (FIFTH.replace("[egalitarian]", '["a,b"]'), "'a,b' is no name for a value"),
        ("word = 'x'", "[word]: must be a table"),
        (FIFTH.replace("definition", "defintion"), "Did you mean 'definition'?"),
        (FIFTH.replace('word = "egalitarian"', ""), "'word' must be a text"),
        (FIFTH.replace("inequality = 1", "equality = 1"), "Did you mean 'inequality'?"),
        (FIFTH.replace("inequality = 1", "inequality = 0"), "one other than 0"),
        (FIFTH.replace("inequality = 1", "inequality = inf"), "needs finite weights"),
        (FIFTH.replace("{ inequality = 1 }", "[0, 0, 1]"), "'utility': must be a table"),
        (FIFTH.replace("target = 37.48\n", ""), "'target' must be an angle"),
        (FIFTH.replace("[37.48, 37.49]", "37.48"), "'target_set' must be [low, high]"),
        (FIFTH.replace("[37.48, 37.49]", "[40, 50]"), "in the 'target_set'"),
        (FIFTH.replace("[37.48, 37.49]", "[37.49, 37.48]"), "'target_set' must be [low, high]"),
        (FIFTH.replace("[37.48, 37.49]", "[0, 181]"), "'target_set' must be [low, high]"),
        (FIFTH + 'targets = "x"', "'targets' must be a table"),
        (FIFTH + "[egalitarian.targets]\nset = { }", "'set' is 'target' and 'target_set' already"),
        (FIFTH + "[egalitarian.targets]\nmine = 3", "target 'mine': must be a table"),
        (FIFTH + MINE.replace("target_set", "target_sat"), "Did you mean 'target_set'?"),
        (FIFTH + MINE.replace("utility", "source = ''#"), "needs a 'utility'"),
        (FIFTH + MINE.replace("[1, 2]", "[2, 1]"), "'target_set' must be [low, high]"),
        (FIFTH + MINE.replace("[1, 2]", "1"), "'target_set' must be [low, high]"),
        (
            '[free]\nword = ""\ndefinition = ""\n' + MINE.replace("egalitarian", "free"),
            "beside a 'target'",
        ),
    ],
)
def test_a_malformed_values_file_is_refused_where_the_mistake_is(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=r"mine\.toml") as raised:
        values.read(path)
    assert message in str(raised.value)


def test_a_values_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.toml: cannot be read"):
        values.read(tmp_path / "absent.toml")


# ---- objectives and graded weights --------------------------------------------------------------

TOLD = {  # rule -> what whoever follows it maximises
    "altruistic": lambda mine, other: other,
    "prosocial": lambda mine, other: mine + other,
    "individualistic": lambda mine, other: mine,
    "competitive": lambda mine, other: mine - other,
}
RULES = {
    "altruistic": r"largest amount for the other person\.",
    "prosocial": r"largest sum of both amounts\.",
    "individualistic": r"largest amount for yourself\.",
    "competitive": r"largest difference, your amount minus the other person's amount\.",
}


@pytest.mark.parametrize("name", FOUR)
def test_an_objective_asks_for_the_utility_and_names_no_value(name):
    value = values.get(name)
    assert re.fullmatch(f"Take the option with the {RULES[name]}", value.objective)
    assert not re.search("|".join(["altruis", "social", "individual", "compet"]), value.objective)
    payoffs = np.random.default_rng(1).uniform(0, 100, (50, 2))
    told = [TOLD[name](mine, other) for mine, other in payoffs]
    assert np.argsort(value.utilities(payoffs)).tolist() == np.argsort(told).tolist()


@pytest.mark.parametrize("weight", [-1, -0.5, 0, 0.25, 0.5, 1, 1.5, 10])
def test_a_graded_weight_is_what_one_coin_of_the_other_is_worth(weight):
    value = values.weighted(weight)
    assert value.utilities([[1, 0], [0, 1], [10, 20]]).tolist() == [1, weight, 10 + 20 * weight]
    assert (value.name, value.word) == (f"weight {weight}", f"weight {weight}")
    assert f"{abs(weight)} coin" in value.objective
    assert ("losing" in value.objective) == (weight < 0)
    assert values.get(value.name) == value


def test_only_the_other_is_a_weight_too_and_names_round_trip():
    only = values.get("weight inf")
    assert only.utilities([[100, 0], [0, 1]]).tolist() == [0, 1]
    assert "your own are worth nothing" in only.objective
    assert only == values.weighted(math.inf)
    assert values.get("weight 0.250") == values.weighted("0.25")
    assert values.weighted(-0.0) == values.weighted(0)
    third = values.weighted(1 / 3)
    assert values.get(third.name).utility == third.utility
    assert not set(values.names()) & {only.name, third.name}


@pytest.mark.parametrize("weight", [-1.01, 10.5, "-inf", "nan", "half", "", None, True, [1], "0,5"])
def test_a_weight_out_of_range_or_no_number_is_one_sentence(weight):
    said = "must be a number from -1 to 10, or inf"
    with pytest.raises(UserError, match=said) as fault:
        values.weighted(weight)
    assert "\n" not in str(fault.value)
    with pytest.raises(UserError, match=said):
        values.get(f"weight {weight}")


@pytest.mark.parametrize(
    ("weight", "angle"), [("inf", 61.390), (1, 45.0), (0, 0.0), (-0.5, -16.260)]
)
def test_a_graded_weight_aims_where_whoever_weighs_so_arrives(weight, angle):
    slider = instruments.load("svo-slider")
    for form in (None, slider, instruments.load("svo-slider+scaled-2")):
        assert svo.value_on(f"weight {weight}", form).target == pytest.approx(angle, abs=5e-4)
    goal = svo.value_on("weight 0.5", slider)
    reach = reached(lambda mine, other: mine + other / 2)
    assert min(reach) - 1e-9 <= goal.target <= max(reach) + 1e-9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FIFTH.replace("[egalitarian]", '["weight 2"]'), "is the name of a graded weight already"),
        (FIFTH + "objective = 3", "'objective' must be a text"),
        ('[x]\nword = ""\ndefinition = ""\nobjective = "y"', "of a value that has a word"),
    ],
)
def test_a_file_with_a_bad_objective_is_refused(tmp_path, text, message):
    path = tmp_path / "values.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=message):
        values.read(path)
