"""The published chart re-read: every figure we state, worked out again without the package."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.metrics import published_chart

CHART = pd.read_csv(paths.DATA / "published" / "hvae_radar.csv")
TARGETS = {
    "altruistic": 61.38954033403479,
    "prosocial": 45.0,
    "individualistic": 0.0,
    "competitive": -16.260204708311957,
}
LEAST, GREATEST = TARGETS["competitive"], TARGETS["altruistic"]
NEUTRAL, GIVING = ("prosocial", "individualistic"), ("altruistic", "prosocial")
ESTIMATE = ["estimate", "low", "high"]
T975_OF_7 = 2.364624  # the 0.975 quantile of t with 7 degrees of freedom, from a table


def random_angles(tests=1, step=0.02):
    """Return (angles, shares) of the mean angle of uniform random answers, on a grid, degrees.

    All 9^6 profiles of the six items, and the sum of ten of them by repeated convolution.
    """
    items = pd.read_csv(paths.DATA / "instruments" / "svo-slider.csv")
    coins = items.sort_values(["item", "option"])[["self", "other"]].to_numpy(float)
    sums = np.zeros((1, 2))
    for six in coins.reshape(6, 9, 2) - 50:
        sums = (sums[:, None] + six).reshape(-1, 2)
    one = np.degrees(np.arctan2(sums[:, 1], sums[:, 0]))
    if tests == 1:
        return one, np.full(len(one), 1 / len(one))
    start = LEAST - step  # one point below all angles
    at = (one - start) / step
    low = np.floor(at).astype(int)
    grid = np.bincount(low, 1 - (at - low), low.max() + 2)
    grid += np.bincount(low + 1, at - low, low.max() + 2)
    shares = np.ones(1)
    for _ in range(tests):
        shares = np.convolve(shares, grid / grid.sum())
    return start + np.arange(len(shares)) * step / tests, shares


@pytest.fixture(scope="module")
def ten_tests():
    return random_angles(10)


def expected_distance(ten_tests, target):
    angles, shares = ten_tests
    return shares @ np.abs(angles - target)


@pytest.fixture(scope="module")
def corrected(ten_tests):
    """Return the chart as model x (arm, value) of chance-corrected scores."""
    chance = {name: expected_distance(ten_tests, at) for name, at in TARGETS.items()}
    scores = 1 - (60 - CHART["vr"]) / CHART["value"].map(chance)
    return CHART.assign(score=scores).pivot(
        index="model", columns=["goal_prompt", "value"], values="score"
    )


def interval(numbers):
    half = T975_OF_7 * numbers.std(ddof=1) / math.sqrt(8)
    return [numbers.mean(), numbers.mean() - half, numbers.mean() + half]


def contrast(scores, first):
    second = [name for name in TARGETS if name not in first]
    return scores[[*first]].mean(axis=1) - scores[second].mean(axis=1)


def raw(goal=True):
    arm = CHART[CHART["goal_prompt"] == goal]
    return arm.pivot(index="model", columns="value", values="vr")


def branches(target, distance, error):
    """Return the angles that are that far from the target and within reach, lowest first."""
    both = (target - distance, target + distance)
    return [min(max(at, LEAST), GREATEST) for at in both if LEAST - error <= at <= GREATEST + error]


def slopes(goal, model):
    """Return the slope of angle on target for every choice of branches."""
    rows = CHART[(CHART["model"] == model) & (CHART["goal_prompt"] == goal)]
    targets = [TARGETS[name] for name in rows["value"]]
    errors = rows["reading_error"]
    sides = map(branches, targets, 60 - rows["vr"], errors)
    return [np.polyfit(targets, angles, 1)[0] for angles in itertools.product(*sides)]


def summary(scale, goal=True):
    """Return quantity -> [estimate, low, high] of what the package says."""
    found = published_chart.summary()
    found = found[(found["scale"] == scale) & (found["goal_prompt"] == goal)]
    return dict(zip(found["quantity"], found[ESTIMATE].to_numpy().tolist(), strict=True))


def test_the_mean_scores_beside_chance(corrected):
    found = summary("chance")
    assert [round(found[name][0], 2) for name in TARGETS] == [0.48, 0.60, 0.01, 0.15]
    assert np.round(found["individualistic"], 2).tolist() == [0.01, -0.44, 0.45]
    for goal, name in itertools.product((True, False), TARGETS):
        again = pytest.approx(interval(corrected[goal, name]), abs=1e-4)
        assert summary("chance", goal)[name] == again
        assert summary("raw", goal)[name] == pytest.approx(interval(raw(goal)[name]))


def test_two_models_alone_meet_all_four_values(corrected):
    least = corrected[True].min(axis=1).sort_values()
    assert set(least.index[-2:]) == {"GPT-4", "Claude"}
    assert least.iloc[-2] > 0.7 > 0 > least.iloc[-3]
    chart = published_chart.with_chance().set_index(["model", "value", "goal_prompt"])["vr_chance"]
    assert round(chart["Claude", "individualistic", True], 2) == 0.74
    assert round(chart["GPT-4", "individualistic", True], 2) == 0.95
    weaker = corrected[True].drop(["GPT-4", "Claude"])
    assert weaker[["individualistic", "competitive"]].max(axis=None) < 0.05


def test_the_results_hang_on_the_inferred_individualistic_target(ten_tests, corrected):
    found = published_chart.target_sensitivity().query("goal_prompt")
    found = found.set_index(["target", "quantity"])[ESTIMATE]
    ends = 7.815293546766879
    stated = {-ends: (0.26, 0.11, 0.33), 0.0: (0.01, -0.01, 0.46), ends: (-0.51, -0.27, 0.72)}
    for target, (mean, neutral, giving) in stated.items():
        own = 1 - (60 - raw()["individualistic"]) / expected_distance(ten_tests, target)
        scores = corrected[True].assign(individualistic=own)
        for name, numbers, said in (
            ("individualistic", own, mean),
            ("neutral minus pronounced", contrast(scores, NEUTRAL), neutral),
            ("giving minus taking", contrast(scores, GIVING), giving),
        ):
            assert found.loc[(target, name)].tolist() == pytest.approx(interval(numbers), abs=1e-4)
            assert numbers.mean() == pytest.approx(said, abs=0.0051)
    assert (found.xs("giving minus taking", level="quantity")["low"] > 0.1).all()


@pytest.mark.parametrize(
    ("name", "giving", "scale", "stated"),
    [
        ("neutral minus pronounced", False, "raw", [10.8, 4.5, 17.1]),
        ("neutral minus pronounced", False, "chance", [-0.01, -0.09, 0.06]),
        ("giving minus taking", True, "chance", [0.46, 0.22, 0.71]),
    ],
)
def test_neutral_against_pronounced_and_giving_against_taking(
    name, giving, scale, stated, corrected
):
    scores = raw() if scale == "raw" else corrected[True]
    again = interval(contrast(scores, GIVING if giving else NEUTRAL))
    assert summary(scale)[name] == pytest.approx(again, abs=1e-4)
    assert again == pytest.approx(stated, abs=0.0501 if scale == "raw" else 0.0051)


def test_47_scores_leave_one_angle_within_their_reading_error():
    def left(within):
        errors = CHART["reading_error"] if within == "reading error" else [within] * 64
        rows = zip(CHART["value"].map(TARGETS), 60 - CHART["vr"], errors, strict=True)
        return np.array([len(branches(*row)) for row in rows])

    known = published_chart.with_angles()
    assert known["angle"].notna().tolist() == (left("reading error") == 1).tolist()
    assert (left("reading error") == 1).sum() == 47
    # Two of the 49 that leave one angle as they were read could have been read otherwise; a
    # tolerance of 0.5 degrees for all misses the second, read with an error of 0.7.
    assert [(left(within) == 1).sum() for within in (0, 0.5)] == [49, 48]
    open_to_doubt = CHART[(left(0) == 1) & (left("reading error") == 2)]
    assert list(zip(open_to_doubt["model"], open_to_doubt["value"], strict=True)) == [
        ("GPT-4", "altruistic"),
        ("Vicuna-13B", "prosocial"),
    ]
    sides = known[known["goal_prompt"]].set_index(["model", "value"])
    assert sides.loc[("ChatGPT", "prosocial"), ["angle_low", "angle_high"]].tolist() == (
        pytest.approx([37.18, 52.82])
    )


def test_steerability_of_the_eight_models_in_both_arms():
    found = published_chart.steerability().set_index(["goal_prompt", "model"])
    stated = {
        **{"GPT-4": 0.98, "Claude": 0.90, "ChatGPT": 0.21, "Alpaca-13B": 0.17, "GPT-3.5": 0.15},
        **{"Koala-13B": 0.12, "LLaMA-13B": 0.07, "Vicuna-13B": -0.09},
    }
    assert found.loc[True, "steerability"].to_dict() == pytest.approx(stated, abs=0.0051)
    for goal, model in found.index:
        all_branches = slopes(goal, model)
        row = found.loc[(goal, model)]
        assert row["steerability"] == row["branch_low"] == pytest.approx(min(all_branches))
        assert row["branch_high"] == pytest.approx(max(all_branches))
    other = published_chart.steerability(targets={"individualistic": 7.815293546766879})
    other = other.query("goal_prompt").set_index("model")["steerability"]
    assert other[["GPT-4", "ChatGPT", "Koala-13B"]].round(2).tolist() == [0.98, 0.19, 0.09]
    without = found.loc[False, "branch_high"]
    assert without[["ChatGPT", "GPT-3.5"]].abs().max() < 0.03


def test_four_of_the_six_weaker_models_move_by_12_to_29_percent_of_the_way():
    angles, _ = random_angles()
    error = angles.std() / math.sqrt(10) / 63.46058
    found = published_chart.steerability().query("goal_prompt").set_index("model")
    assert found["z"].to_dict() == pytest.approx((found["steerability"] / error).to_dict())
    weak = found.drop(["GPT-4", "Claude"]).sort_values("z").iloc[2:]
    assert set(weak.index) == {"ChatGPT", "Alpaca-13B", "GPT-3.5", "Koala-13B"}
    assert (weak["z"].min(), weak["z"].max()) == pytest.approx((1.95, 3.23), abs=0.01)
    assert round(weak["branch_low"].min(), 2) == 0.12
    assert round(weak["branch_high"].max(), 2) == 0.29
    for row in found.itertuples():
        ends = [row.branch_low - 1.959964 * error, row.branch_high + 1.959964 * error]
        assert [row.low, row.high] == pytest.approx(ends, abs=1e-6)


def test_a_single_altruistic_score_rejects_random_answers_for_four_of_them(ten_tests):
    angles, shares = ten_tests
    found = published_chart.with_chance().query("goal_prompt and value == 'altruistic'")
    found = found.set_index("model")["p_random"]
    stated = {"Alpaca-13B": 7e-7, "ChatGPT": 2e-5, "GPT-3.5": 4e-5, "Koala-13B": 0.002}
    for model, p in stated.items():
        distance = 60 - raw().loc[model, "altruistic"]
        again = shares[angles >= TARGETS["altruistic"] - distance].sum()
        assert found[model] == pytest.approx(again, rel=0.02)
        assert again == pytest.approx(p, rel=0.25)


def violation(targets):
    """Return unreachable scores, and by how much angles rise from altruistic to competitive."""
    degrees, unreachable = 0.0, 0
    for _, arm in CHART.groupby(["model", "goal_prompt"]):
        arm = arm.set_index("value").loc[list(TARGETS)]
        rows = zip(targets, 60 - arm["vr"], arm["reading_error"], strict=True)
        sides = [branches(*row) for row in rows]
        unreachable += sides.count([])
        degrees += min(
            (
                sum(max(b - a, 0) for a, b in itertools.pairwise(angles))
                for angles in itertools.product(*sides)
            ),
            default=math.nan,
        )
    return unreachable, degrees


def test_of_the_candidate_targets_the_inferred_ones_violate_the_order_least():
    found = published_chart.candidates()
    assert len(found) == 11
    assert (found["unreachable"] == 0).sum() == 9
    inferred = found[found["inferred"]].squeeze()
    assert inferred[[*TARGETS]].to_dict() == pytest.approx(TARGETS)
    others = found[~found["inferred"]]["violation"].dropna()
    assert round(inferred["violation"]) == 39
    assert (round(others.min()), round(others.max())) == (77, 150)
    for row in found.itertuples():
        unreachable, degrees = violation(row[1:5])
        assert row.unreachable == unreachable
        assert row.violation == pytest.approx(degrees, nan_ok=True)
    # A prosocial target that no ideal respondent suggests would fit a little better.
    assert violation((GREATEST, 46.5, 0, LEAST)) == (0, pytest.approx(35.5, abs=0.05))


def chart_of(angles, **columns):
    """Return a chart of one model at these angles by value."""
    rows = [(name, 60 - abs(at - TARGETS[name])) for name, at in angles.items()]
    chart = pd.DataFrame(rows, columns=["value", "vr"])
    return chart.assign(**{"model": "m", "goal_prompt": True, "reading_error": 0.0} | columns)


def test_a_known_slope_is_given_back_and_a_constant_does_not_move():
    middle = np.mean([*TARGETS.values()])
    moved = {name: middle + 0.1 * (at - middle) for name, at in TARGETS.items()}
    row = published_chart.steerability(chart_of(moved)).iloc[0]
    assert row["steerability"] == row["branch_high"] == pytest.approx(0.1)
    still = published_chart.steerability(chart_of(dict.fromkeys(TARGETS, 20.0))).iloc[0]
    assert still["steerability"] == pytest.approx(0, abs=1e-9)
    assert still["low"] < 0 < still["high"]


def test_what_cannot_be_estimated_is_said():
    one = published_chart.steerability(chart_of({"prosocial": 20.0})).iloc[0]
    assert math.isnan(one["steerability"])
    assert one["note"] == "not estimable: fewer than two different targets"
    beyond = chart_of({"altruistic": 40.0, "competitive": 0.0}).assign(vr=-40.0)
    beyond = published_chart.steerability(beyond).iloc[0]
    assert math.isnan(beyond["low"])
    assert beyond["note"] == "not estimable: a score has no angle"
    alone = published_chart.summary(chart_of({"prosocial": 20.0})).set_index(["quantity", "scale"])
    assert alone.loc[("prosocial", "raw"), "estimate"] == 35
    assert math.isnan(alone.loc[("prosocial", "raw"), "low"])
    assert alone.loc["neutral minus pronounced", "estimate"].isna().all()
    none = published_chart.with_chance(chart_of({"prosocial": 20.0}).assign(value="none"))
    assert none[["vr_random", "vr_chance", "p_random"]].isna().all(axis=None)


def test_the_published_chart_keeps_its_rows_and_needs_its_columns():
    found = published_chart.with_chance(CHART)
    assert found[list(CHART)].equals(CHART)
    with pytest.raises(UserError, match="column 'vr' is missing"):
        published_chart.with_chance(CHART.drop(columns="vr"))
    with pytest.raises(UserError, match="column 'reading_error' is missing"):
        published_chart.steerability(CHART.drop(columns="reading_error"))
    with pytest.raises(UserError, match="unknown value"):
        published_chart.with_chance(CHART.assign(value="kind"))
