"""A weight that was told is recovered from the choices it makes, as exactly as items can say."""

import csv
import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, values
from hvae_utils.metrics.transfer import graded
from hvae_utils.play import administer, study
from hvae_utils.play.records import Held

TOLD = (-0.5, 0, 0.25, 0.5, 1, 1.5, math.inf)
NAMES = tuple(values.weighted(weight).name for weight in TOLD)
SLIDER, SECONDARY = instruments.load("svo-slider"), instruments.load("svo-slider-secondary")
GRADED = instruments.load("graded-weights")


def direction(weight):
    return math.degrees(math.atan(weight))


# ---- the instrument, and what it can tell apart -------------------------------------------------


def generated():
    """The items by the rule of the .toml, written from the rule and not from the file."""
    told = [direction(weight) for weight in TOLD]
    stops = [-48, *(end for angle in told for end in (angle - 2, angle + 2)), 96]
    switches = []
    for low, high in zip(stops[::2], stops[1::2], strict=True):
        gaps = math.ceil((high - low) / 3.24)
        switches += [low + (high - low) * k / gaps for k in range(gaps + 1)]

    def edge(angle):
        def cost(vector):
            own, other = vector
            exact = math.degrees(math.atan2(-own, other))
            return math.hypot(own, other) + 20 * abs((exact - angle + 180) % 360 - 180)

        grid = [(own, other) for own in range(-40, 41) for other in range(-40, 41)]
        return min((v for v in grid if math.hypot(*v) >= 8), key=cost)

    items = []
    for k in range(6):
        points = [(0, 0)]
        for angle in switches[k::6]:
            points.append(tuple(map(sum, zip(points[-1], edge(angle), strict=True))))
        middle = [(min(amounts) + max(amounts)) // 2 for amounts in zip(*points, strict=True)]
        item = [(own - middle[0] + 50, other - middle[1] + 50) for own, other in points]
        items.append(item[::-1] if k % 2 else item)
    return len(switches), items


def test_the_items_follow_the_rule_that_their_file_states():
    count, items = generated()
    assert count == 48
    assert GRADED.payoffs.tolist() == [[list(map(float, option)) for option in i] for i in items]
    assert 0 <= GRADED.payoffs.min() < GRADED.payoffs.max() <= 100
    with (paths.DATA / "instruments" / "graded-weights.csv").open() as file:
        assert all(row["self"].isdigit() and row["other"].isdigit() for row in csv.DictReader(file))


def exact_switches(*of):
    """The weights above -1 at which a best option changes, in fractions, one item at a time."""
    weights = set()
    for instrument in of:
        for item in instrument.payoffs.astype(int).tolist():
            for i, (own, other) in enumerate(item):
                for mine, theirs in item[i + 1 :]:
                    if other == theirs:
                        continue
                    weight = Fraction(mine - own, other - theirs)
                    sides = [best(item, weight + shift) for shift in (-SMALL, SMALL)]
                    if sides[0] != sides[1] and weight > -1:
                        weights.add(weight)
    return sorted(weights)


SMALL = Fraction(1, 10**9)


def best(item, weight):
    top = max(own + weight * other for own, other in item)
    return {(own, other) for own, other in item if own + weight * other == top}


@pytest.mark.parametrize(
    ("of", "steps"), [([SLIDER], 17), ([SLIDER, SECONDARY], 34), ([GRADED], 44)]
)
def test_the_steps_are_those_that_fractions_enumerate(of, steps):
    found = graded.resolution(*of)
    assert len(found) == steps
    assert found["low"].iloc[1:].to_numpy() == pytest.approx([*map(float, exact_switches(*of))])
    assert found["low"].iloc[0] == pytest.approx(-1)
    assert found["high"].iloc[-1] == math.inf
    assert found["high"].iloc[:-1].tolist() == found["low"].iloc[1:].tolist()
    assert found["low_degrees"].iloc[1:].to_numpy() == pytest.approx(
        [direction(weight) for weight in exact_switches(*of)]
    )


def step_around(found, weight):
    (row,) = found[(found["low"] < weight) & (weight < found["high"])].to_numpy()
    return row[:2].round(2).tolist()


def test_the_slider_is_blind_where_these_items_see():
    six, fifteen = graded.resolution(SLIDER), graded.resolution(SLIDER, SECONDARY)
    assert step_around(six, 0.25) == [0, 0.36]
    assert step_around(six, 0.501) == [0.5, 0.92]
    assert step_around(fifteen, 0.251) == [0.25, 0.33]
    assert step_around(fifteen, 0.501) == [0.5, 0.54]
    assert step_around(fifteen, -0.2) == [-0.41, 0]
    seen = graded.resolution(GRADED)
    assert (seen["high_degrees"] - seen["low_degrees"]).max() < 4.2
    assert ((seen["low"] > -0.41) & (seen["high"] < 0)).sum() >= 5


@pytest.mark.parametrize("weight", TOLD)
def test_each_weight_that_is_told_lies_in_the_middle_of_a_step_of_its_own(weight):
    cuts = sorted(
        math.degrees(math.atan2(a[0] - b[0], b[1] - a[1]))
        for item in GRADED.payoffs.tolist()
        for a, b in pairwise(item)
    )
    cuts = sorted((c + 60) % 180 - 60 for c in cuts)  # from either side of an edge
    above = next(k for k, cut in enumerate(cuts) if cut > direction(weight))
    low, high = cuts[above - 1], cuts[above]
    assert (low + high) / 2 == pytest.approx(direction(weight), abs=0.1)
    assert high - low < 4.2
    utility = values.weighted(weight).utility[:2]
    gained = np.sort(GRADED.payoffs @ utility, axis=1)
    assert (gained[:, -1] - gained[:, -2] > 0.1).all()


# ---- the weight acted on ------------------------------------------------------------------------


def played(tables, wordings=("plain",), model="somebody"):
    """What tables {weight told: (items, options)} would leave behind, the same in every wording."""
    rows = []
    for weight, table in tables.items():
        for wording in wordings:
            asked = {"condition_id": f"{model} {weight} {wording}", "model": model}
            asked |= {"value": values.weighted(weight).name, "wording": wording}
            asked |= {"instrument": "graded-weights", "method": "probabilities"}
            for item, chances in zip(GRADED.items, table, strict=True):
                shares = {f"p{k}": chance for k, chance in enumerate(chances, start=1)}
                rows.append(asked | {"item": item, "option": int(np.argmax(chances)) + 1} | shares)
    return pd.DataFrame(rows)


def softmax(angle, precision):
    utility = GRADED.payoffs @ [math.cos(math.radians(angle)), math.sin(math.radians(angle))]
    chances = np.exp(precision * (utility - utility.max(axis=1, keepdims=True)))
    return chances / chances.sum(axis=1, keepdims=True)


NOISY = [(a, p) for a in (-26.6, -10, 0, 14, 45, 89) for p in (0.02, 0.1, 1, 10)]
OUTSIDE = [(a, p) for a in (-120, -60, 110) for p in (0.02, 0.1)]  # no switch out there


@pytest.mark.parametrize(("angle", "precision"), NOISY + OUTSIDE)
def test_the_direction_of_noisy_answers_is_found_at_any_precision(angle, precision):
    (row,) = graded.recovered(played({0.5: softmax(angle, precision)})).to_dict("records")
    assert row["angle"] == pytest.approx(angle, abs=0.02)
    assert row["low"] <= row["angle"] <= row["high"]
    if abs(angle) < 80:
        assert row["weight"] == pytest.approx(math.tan(math.radians(angle)), rel=1e-3, abs=1e-4)
    elif angle == 89:
        assert row["weight"] == math.inf  # one step with 90
    else:
        assert math.isnan(row["weight"])
        assert "own coins count against" in row["note"]


@pytest.mark.parametrize("weight", [-0.8, -0.3, -0.1, 0.1, 0.7, 3])
def test_answers_without_a_slip_get_the_middle_of_their_step(weight):
    gained = GRADED.payoffs @ [1, weight]
    table = np.eye(9)[gained.argmax(axis=1)]
    (row,) = graded.recovered(played({1: table})).to_dict("records")
    steps = graded.resolution(GRADED)
    inside = steps[(steps["low"] < weight) & (weight < steps["high"])].iloc[0]
    assert (row["low"], row["high"]) == pytest.approx(
        (inside["low_degrees"], inside["high_degrees"])
    )
    assert row["angle"] == pytest.approx((row["low"] + row["high"]) / 2)


def test_the_likeliest_weight_of_drawn_answers_is_near_the_true_one():
    rng, truth = np.random.default_rng(5), softmax(30, 0.15)
    counts = np.array([rng.multinomial(400, row) for row in truth])
    (row,) = graded.recovered(played({1: counts / 400})).to_dict("records")
    tried = np.arange(20, 40, 0.25)
    likelihood = [
        max((counts * np.log(softmax(angle, p))).sum() for p in np.arange(0.1, 0.2, 0.002))
        for angle in tried
    ]
    assert row["angle"] == pytest.approx(tried[int(np.argmax(likelihood))], abs=0.3)


def test_no_weight_is_told_of_answers_that_show_none():
    uniform = np.full((6, 9), 1 / 9)
    lettered = np.tile([0.5, *[0.0625] * 8], (6, 1))  # half on the first letter, whatever it pays
    (row,) = graded.recovered(played({1: uniform})).to_dict("records")
    assert np.isnan([row["weight"], row["angle"], row["low"], row["high"]]).all()
    assert "show no weight" in row["note"]
    found = graded.recovered(played(dict.fromkeys(TOLD, lettered)))
    assert found["angle"].nunique(dropna=False) == 1
    lost = played({1: uniform}).assign(method="text", option=pd.NA)
    assert graded.recovered(lost)["note"].tolist() == ["no item was answered"]


def test_an_item_without_an_answer_makes_the_step_wider_and_is_noted():
    table = np.eye(9)[(GRADED.payoffs @ [1, 0.25]).argmax(axis=1)]
    whole = played({0.25: table})
    less = whole.assign(**{f"p{k}": whole[f"p{k}"].where(whole["item"] > 2) for k in range(1, 10)})
    narrow, wide = (graded.recovered(rows).iloc[0] for rows in (whole, less))
    assert wide["low"] <= narrow["low"] < narrow["high"] <= wide["high"]
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]
    assert wide["note"] == "2 of 6 items not answered"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop(columns="wording"), "'wording' is missing"),
        (lambda rows: rows.assign(value="prosocial"), "'prosocial' is no graded weight"),
        (lambda rows: rows.assign(part="games"), "no graded weight was told"),
    ],
)
def test_a_table_that_holds_no_graded_weights_is_one_sentence(change, said):
    with pytest.raises(UserError, match=said):
        graded.recovered(change(played({1: softmax(45, 1)})))


# ---- told against acted on ----------------------------------------------------------------------


def acted(rule, wordings=("plain", "formal", "brief"), shift=0.0):
    """What `recovered` finds of somebody who acts on rule(angle told), in degrees."""
    rows = [
        {"model": "somebody", "wording": wording, "told_angle": direction(weight)}
        | {"angle": rule(direction(weight)) + shift * k}
        for weight in TOLD
        for k, wording in enumerate(wordings)
    ]
    return pd.DataFrame(rows)


def follows(rule, **how):
    (row,) = graded.calibration(acted(rule, **how)).to_dict("records")
    return row


def test_calibration_describes_known_ways_to_follow():
    exact = follows(lambda told: told)
    assert [exact[key] for key in ("slope", "intercept", "dead_zone", "overshoot")] == (
        pytest.approx([1, 0, 0, 0], abs=1e-9)
    )
    assert (exact["asymmetry"], exact["monotone"]) == pytest.approx((0, 1), abs=1e-9)
    half = follows(lambda told: told / 2 + 10)
    assert (half["slope"], half["intercept"]) == pytest.approx((0.5, 10))
    fixed = follows(lambda told: 45.0)
    assert fixed["slope"] == pytest.approx(0, abs=1e-12)
    assert (fixed["dead_zone"], fixed["monotone"]) == pytest.approx((90 + direction(0.5), 0))
    coarse = follows(lambda told: 0.0 if 0 <= told < 20 else told)  # 1/4 is nothing to it
    assert coarse["dead_zone"] == pytest.approx(direction(0.25))
    assert coarse["monotone"] == pytest.approx(5 / 6)
    deaf_to_harm = follows(lambda told: max(told, 0))
    assert deaf_to_harm["asymmetry"] == pytest.approx(1)
    beyond = follows(lambda told: told + 6 * np.sign(told))
    assert beyond["overshoot"] == pytest.approx(6)
    assert follows(lambda told: 0.8 * told)["overshoot"] < 0


def test_the_interval_of_the_slope_is_that_of_the_wordings():
    table = acted(lambda told: told)
    table["angle"] *= table["wording"].map({"plain": 0.9, "formal": 1.0, "brief": 1.1})
    (row,) = graded.calibration(table).to_dict("records")
    half = 4.302653 * 0.1 / math.sqrt(3)  # t of two degrees of freedom, SD 0.1
    assert (row["slope"], row["low"], row["high"]) == pytest.approx((1, 1 - half, 1 + half))
    assert row["wordings"] == 3


def test_who_shows_no_weight_has_slope_0_and_no_intercept():
    row = follows(lambda told: np.nan)
    assert row["slope"] == 0
    assert np.isnan([row["intercept"], row["overshoot"], row["asymmetry"]]).all()
    assert row["note"].startswith("21 of 21 administrations show no weight")
    (one,) = graded.calibration(acted(lambda told: told).head(3)).to_dict("records")
    assert np.isnan(one["slope"])
    assert "a slope needs two" in one["note"]


# ---- reference respondents through the same play as a model -------------------------------------


@pytest.fixture(scope="module")
def calibrated():
    """Return `calibration` by respondent, each told seven weights in three wordings and orders."""
    known = ("faithful", "lapsing", "random", "first-option", "agreeable", "reciter", "mixture")
    design = study.Study(
        models=[f"reference/{name}" for name in known],
        values=NAMES,
        goal_prompts=(False,),
        inductions=("objective",),
        wordings=("plain", "formal", "brief"),
        orders=("latin",),
        readout="probabilities",
        instrument="graded-weights",
    )
    conditions = administer.assign_values(study.conditions(design), held := Held())
    responses = administer.put_items(conditions, held)
    factors = ["condition_id", "model", "value", "wording", "instrument"]
    found = graded.calibration(graded.recovered(responses.merge(conditions[factors])))
    return found.set_index(found["model"].str.removeprefix("reference/"))


def test_faithful_does_what_it_is_told(calibrated):
    faithful = calibrated.loc["faithful"]
    assert faithful["slope"] == pytest.approx(1, abs=0.01)
    assert faithful["intercept"] == pytest.approx(0, abs=0.2)
    assert faithful["dead_zone"] == 0
    assert faithful["overshoot"] == pytest.approx(0, abs=0.1)
    assert faithful["asymmetry"] == pytest.approx(0, abs=0.01)
    assert faithful["monotone"] == 1


@pytest.mark.parametrize("name", ["random", "first-option", "agreeable", "reciter"])
def test_who_ignores_what_it_is_told_has_slope_0(calibrated, name):
    assert calibrated.loc[name, "slope"] == pytest.approx(0, abs=1e-9)
    assert calibrated.loc[name, "monotone"] == 0
    assert calibrated.loc[name, "dead_zone"] == pytest.approx(90 + direction(0.5))


def test_slips_blur_a_weight_and_hardly_move_it(calibrated):
    assert calibrated.loc["lapsing", "slope"] == pytest.approx(1, abs=0.1)
    assert calibrated.loc["lapsing", "monotone"] == 1
