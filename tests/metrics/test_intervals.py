"""Intervals cover where textbook ones do not, and models are told apart only where they differ."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks import coverage
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values
from hvae_utils.metrics import comparison, intervals

LOW, HIGH = -16.260204708311957, 61.38954033403479
RANGE = HIGH - LOW


# The bounded mean


def bounded_mean(sample, level=0.95, low=LOW, high=HIGH):
    """Return the limits of one sample."""
    ((lower,),), ((upper,),) = intervals.bounded_mean_limits([sample], (level,), low, high)
    return lower, upper


def test_the_bounded_mean_of_equal_observations_has_its_closed_form():
    for count in (2, 5, 30, 200):
        low, high = bounded_mean([30.0] * count)
        share = stats.beta.ppf(0.975, 1, count)
        assert share == pytest.approx(1 - 0.025 ** (1 / count))
        assert low == pytest.approx(30 - share * (30 - LOW), abs=1e-6)
        assert high == pytest.approx(30 + share * (HIGH - 30), abs=1e-6)


@pytest.mark.parametrize(("successes", "count"), [(0, 6), (1, 5), (3, 10), (17, 30)])
def test_the_bounded_mean_of_a_mixture_of_both_ends_is_clopper_pearson(successes, count):
    sample = [1.0] * successes + [0.0] * (count - successes)
    exact = stats.binomtest(successes, count).proportion_ci(0.95, method="exact")
    assert bounded_mean(sample, low=0, high=1) == pytest.approx((exact.low, exact.high), abs=1e-8)


def test_the_bounded_mean_is_the_quantile_that_drawn_weights_have():
    rng = np.random.default_rng(1)
    sample = np.array([3.0, 3.0, 14.0, 35.5, 61.0, 61.0, 20.0])
    low, high = bounded_mean(sample)
    weights = rng.dirichlet(np.ones(8), 200_000)
    assert high == pytest.approx(np.quantile(weights @ [*sample, HIGH], 0.975), abs=0.15)
    assert low == pytest.approx(np.quantile(weights @ [*sample, LOW], 0.025), abs=0.15)


# The covering interval


def test_agreement_at_the_altruist_corner_is_a_rule_of_three_and_never_plus_or_minus_nothing():
    for count in (5, 10, 30):
        found = intervals.covering_interval([HIGH] * count)
        assert found.high == pytest.approx(HIGH)
        assert found.low == pytest.approx(HIGH - (1 - 0.05 ** (1 / count)) * RANGE, abs=1e-6)


def test_the_covering_interval_is_t_where_t_lies_between_the_bounds():
    sample = np.linspace(15, 30, 200)
    t = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    wide = np.r_[np.full(8, LOW), np.full(8, HIGH)]
    found, outer, inner = (
        intervals.covering_interval(wide),
        bounded_mean(wide),
        bounded_mean(wide, 0.9),
    )
    assert outer[0] <= found.low <= inner[0] < inner[1] <= found.high <= outer[1]
    rows = np.random.default_rng(0).choice([LOW, HIGH], (50, 60))
    lower, upper = intervals.covering_limits(rows, 0.95, LOW, HIGH)
    t_lower, t_upper = intervals.t_limits(rows, 0.95)
    assert np.isclose(lower, t_lower).any()
    assert np.isclose(upper, t_upper).any()
    assert intervals.covering_interval(sample).high >= t.high - 1e-9


@pytest.mark.parametrize("size", [5, 10, 30])
def test_in_the_five_scenarios_at_least_93_of_100_studies_cover(size):
    methods = {"covering": coverage.METHODS["covering"]}
    found = coverage.simulate(400, (size,), methods, coverage.FIVE)
    assert len(found) == 5
    assert found["coverage"].min() >= 0.93, found
    assert found["width"].max() < 0.7 * RANGE, found


@pytest.mark.parametrize("size", coverage.JUDGED)
def test_paired_differences_are_covered_at_every_number_of_clusters(size):
    found = coverage.simulate_pairs(studies=600, sizes=[size]).set_index("scenario")
    assert (found["covering"] >= coverage.DEMANDED).all()
    assert found.loc["all clusters agree, no effect", "zero"] == 1  # t has no width there
    assert found.loc["all clusters agree but for 2% lapses", "t"] < 0.85


def test_for_an_altruist_with_lapses_t_covers_as_seldom_as_the_notes_say():
    methods = {"t": coverage.METHODS["t"]}
    found = coverage.simulate(2000, (5, 10, 30), methods, ["altruist, 5% lapses"])
    assert list(found["coverage"]) == pytest.approx([0.62, 0.76, 0.88], abs=0.03)


def test_for_a_soft_prosocial_t_beats_z_and_the_bootstrap():
    methods = {name: coverage.METHODS[name] for name in ("t", "z", "percentile bootstrap")}
    found = coverage.simulate(2000, (5,), methods, ["prosocial, soft choices"])
    assert list(found["coverage"]) == pytest.approx([0.949, 0.864, 0.810], abs=0.025)


def test_a_true_mean_of_the_simulation_is_that_of_every_profile_weighed():
    tables = np.full((6, 9), 0.05 / 9)
    tables[range(6), [0, 8, 0, 0, 8, 8]] += 0.95  # the altruist's answers: A I A A I I
    payoffs = instruments.load("svo-slider").payoffs
    sums, weights = np.zeros((1, 2)), np.ones(1)
    for item, table in zip(payoffs, tables, strict=True):
        sums = (sums[:, None] + item).reshape(-1, 2)
        weights = np.outer(weights, table).ravel()
    mean = weights @ svo.angle(*sums.T / 6)
    assert coverage.scenarios()["altruist, 5% lapses"][2] == pytest.approx(mean, abs=1e-9)


angles = st.lists(st.floats(LOW, HIGH), min_size=2, max_size=12)


@settings(max_examples=40)
@given(angles)
def test_an_interval_has_width_stays_in_the_range_and_holds_its_mean(sample):
    found = intervals.covering_interval(sample)
    assert found.high - found.low > 1
    assert LOW - 1e-6 <= found.low <= found.mean + 1e-6
    assert found.mean - 1e-6 <= found.high <= HIGH + 1e-6


@settings(max_examples=40)
@given(angles)
def test_a_mirrored_sample_has_the_mirrored_interval(sample):
    found = intervals.covering_interval(sample)
    mirrored = intervals.covering_interval(-np.array(sample), low=-HIGH, high=-LOW)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-5)


def test_repeats_within_a_cluster_are_no_evidence_of_their_own():
    once = intervals.covering_interval([10, 20, 30, 40, 50])
    repeated = intervals.covering_interval(
        np.repeat([10, 20, 30, 40, 50], 6), np.repeat(list("abcde"), 6)
    )
    assert (repeated.low, repeated.high, repeated.n) == (once.low, once.high, 5)
    uneven = intervals.covering_interval([0, 30, 30, 30, np.nan], ["x", "y", "y", "y", "z"])
    assert (uneven.mean, uneven.n) == (15, 2)


def test_too_few_clusters_are_said_and_not_estimated():
    for sample, clusters in (([30, 31, 32], ["a"] * 3), ([30], None), ([np.nan, 3], None)):
        found = intervals.covering_interval(sample, clusters)
        assert np.isnan([found.low, found.high]).all()
        assert "too few" in found.note
    nothing = intervals.covering_interval([np.nan])
    assert np.isnan(nothing.mean)
    assert (nothing.n, nothing.note) == (0, "nothing scored")
    assert "only 3" in intervals.covering_interval([30, 31, 32]).note
    assert intervals.covering_interval([30, 31, 32, 33, 34]).note == ""


def test_the_t_limits_are_the_textbook_ones():
    sample = [3.0, 9.0, 4.5, 7.0]
    (low,), (high,) = intervals.t_limits([sample], level=0.9)
    exact = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    assert (low, high) == pytest.approx((exact.low, exact.high))


def test_a_published_angle_at_the_end_of_the_range_is_within_it():
    assert intervals.covering_interval([61.39] * 5).mean == pytest.approx(61.39, abs=0.001)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"angles": [1, 80]}, "80 lies outside"),
        ({"angles": [80, -40, 1], "clusters": ["a", "a", "b"]}, "80 lies outside"),
        ({"angles": [1, np.inf]}, "finite"),
        ({"angles": [1, 2], "clusters": ["a"]}, "2 angles need as many identifiers"),
        ({"angles": [1, 2], "clusters": ["a", None]}, "missing"),
        ({"angles": [1, 2], "low": 5, "high": 5}, "outside the range"),
    ],
)
def test_a_bad_argument_is_refused_with_a_sentence(arguments, said):
    with pytest.raises(UserError, match=said):
        intervals.covering_interval(**arguments)


def test_the_recommended_number_of_clusters_reaches_the_half_width_on_average():
    angles, weights, mean = coverage.scenarios()["prosocial, soft choices"]
    spread = np.sqrt(weights @ (angles - mean) ** 2)
    needed = intervals.recommend_administrations(8, spread)
    rng = np.random.default_rng(4)
    widths = {}
    for size in (needed, needed // 2):
        samples = coverage.draw(angles, weights, (200, size), rng)
        lower, upper = intervals.covering_limits(samples, 0.95, LOW, HIGH)
        widths[size] = (upper - lower).mean() / 2
    assert widths[needed] <= 8 < widths[needed // 2]


def test_a_narrower_interval_needs_more_clusters_and_a_wide_one_two():
    needed = [intervals.recommend_administrations(half) for half in (60, 20, 10, 5, 2, 0.5)]
    assert needed == sorted(needed)
    assert intervals.recommend_administrations(60, spread=0) == 2
    for half in (0, -1, np.nan, np.inf):
        with pytest.raises(UserError, match="half_width"):
            intervals.recommend_administrations(half)


# Comparing models


def every_sign(differences):
    """Return p by flipping every difference either way, one assignment at a time."""
    differences = np.array(differences, float)
    signs = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    means = np.abs(signs @ differences)
    return np.mean(means >= abs(differences.sum()) - 1e-9)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=9))
def test_p_is_the_share_of_all_signs_at_least_as_extreme(differences):
    found = comparison.compare(differences, np.zeros(len(differences)))
    assert found.p == pytest.approx(every_sign(differences))


def test_the_interval_holds_the_differences_that_the_test_does_not_reject():
    differences = np.random.default_rng(2).normal(3, 4, 9)
    found = comparison.compare(differences + 50, np.full(9, 50.0))
    assert found.difference == pytest.approx(differences.mean())
    for limit, outwards in ((found.low, -1e-6), (found.high, 1e-6)):
        assert every_sign(differences - limit - outwards) <= 0.05
        assert every_sign(differences - limit + outwards) > 0.05


def test_with_many_cells_p_is_drawn_the_same_each_time_and_near_the_exact_one():
    differences = np.random.default_rng(3).normal(0.5, 1, 18)
    found = comparison.compare(differences, np.zeros(18))
    assert found == comparison.compare(differences, np.zeros(18))
    assert found.p == pytest.approx(every_sign(differences), abs=0.005)
    assert "random" in found.note


def test_the_interval_of_a_difference_covers():
    rng = np.random.default_rng(6)
    pairs = [comparison.compare(rng.normal(2, 3, 8), np.zeros(8)) for _ in range(400)]
    assert 0.92 <= np.mean([pair.low <= 2 <= pair.high for pair in pairs]) <= 0.98


def test_what_cannot_be_compared_is_said():
    few = comparison.compare([9, 8, 7, 9, 8], [1, 2, 3, 1, 0])
    assert few.p == pytest.approx(2 / 32)
    assert np.isnan([few.low, few.high]).all()
    assert few.note == "not estimable: the interval, as 5 cells are too few at level 0.95"
    same = comparison.compare([3.0] * 8, [3.0] * 8)
    assert same.p == 1
    assert np.isnan([same.low, same.high]).all()
    assert "agree" in same.note
    gaps = comparison.compare([1, np.nan, 3], [np.nan, 2, np.nan])
    assert gaps.cells == 0
    assert np.isnan([gaps.difference, gaps.p]).all()
    with pytest.raises(UserError, match="3 scores against 2"):
        comparison.compare([1, 2, 3], [1, 2])
    with pytest.raises(UserError, match="finite"):
        comparison.compare([1, np.inf], [1, 2])


def test_holm_gives_the_example_worked_by_hand():
    adjusted = comparison.holm([0.01, 0.04, np.nan, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True)
    assert comparison.holm([0.6, 0.7]) == pytest.approx([1, 1])
    assert len(comparison.holm([])) == 0
    with pytest.raises(UserError, match="between 0 and 1"):
        comparison.holm([0.5, 1.2])


def scored(**models):
    rows = [(model, cell, x) for model, xs in models.items() for cell, x in enumerate(xs)]
    return pd.DataFrame(rows, columns=["model", "cell", "score"])


def test_models_are_separated_only_where_the_corrected_p_allows_it():
    rng = np.random.default_rng(8)
    base = rng.normal(30, 5, 12)
    table = scored(good=base + 10, alike=base + 9 + rng.normal(0, 2, 12), poor=base - 15)
    found = comparison.compare_models(table.sample(frac=1, random_state=1).sort_values("model"))
    verdicts = {
        (row.model_a, row.model_b): row.verdict for row in found.itertuples() if row.p_holm < 2
    }
    assert verdicts == {
        ("alike", "good"): "cannot be separated",
        ("alike", "poor"): "a higher",
        ("good", "poor"): "a higher",
    }
    assert (found["p_holm"] >= found["p"]).all()
    assert comparison.compare_models(table.iloc[::-1])["verdict"].tolist().count("b higher") == 2


def test_too_few_common_cells_are_no_evidence_that_models_are_alike():
    table = scored(one=[50.0] * 5, other=[10.0, 11, 12, 13, 14], third=[np.nan] * 5)
    found = comparison.compare_models(table)
    assert set(found["verdict"]) == {"too few cells"}
    assert found["cells"].tolist() == [5, 0, 0]
    assert comparison.compare_models(table[:5]).empty
    assert "verdict" in comparison.compare_models(table[:0])


def test_complete_agreement_is_judged_by_p_alone_and_says_so():
    found = comparison.compare_models(scored(one=[50.0] * 8, other=[41.0] * 8, twin=[50.0] * 8))
    assert found["verdict"].tolist() == ["a higher", "cannot be separated", "b higher"]
    assert found["p"].tolist() == pytest.approx([2 / 2**8, 1, 2 / 2**8])
    assert found[["low", "high"]].isna().all(axis=None)
    assert found["note"].str.contains("not estimable: the interval, as the differences in").all()


def respondents_without_a_value(probabilities, studies, cells=6, seed=5):
    """Return tables of `compare_models` of one respondent, drawn, each value in several cells."""
    slider, rng = instruments.load("svo-slider"), np.random.default_rng(seed)
    told = [v for v in values.load().values() if v.target is not None]
    for _ in range(studies):
        up_to = np.cumsum(probabilities, axis=1)
        draws = rng.random((len(told) * cells, 6, 1))
        angles = svo.score((draws > up_to).sum(axis=2), slider)["angle"].to_numpy()
        frame = pd.DataFrame({"model": "m", "value": [v.name for v in told for _ in range(cells)]})
        target = np.array([v.target for v in told for _ in range(cells)])
        yield frame.assign(cell=range(len(frame)), score=60 - np.abs(angles - target))


def test_a_random_respondent_is_told_from_the_random_one_as_seldom_as_it_should():
    studies = respondents_without_a_value(np.full((6, 9), 1 / 9), 120, cells=4)
    found = [comparison.against_nulls(table).iloc[0] for table in studies]
    assert np.mean([row["p"] <= 0.05 for row in found]) <= 0.08
    assert np.mean([row["low"] <= 0 <= row["high"] for row in found]) >= 0.92


def test_constant_letters_are_compared_by_their_exact_scores():
    (table,) = respondents_without_a_value(np.eye(9)[[0] * 6], 1)
    found = comparison.against_nulls(table, ["random", "always A", "always B"])
    assert found["model_b"].tolist() == ["null: random", "null: always A", "null: always B"]
    always_a = found.set_index("model_b").loc["null: always A"]
    assert always_a["difference"] == pytest.approx(0, abs=1e-9)
    assert always_a["verdict"] == "cannot be separated"


def test_a_faithful_model_is_above_chance_and_a_value_without_target_is_no_evidence():
    told = [(name, k) for name in (*values.names()[:4], "none") for k in range(3)]
    rows = [("faithful", f"{name}{k}", name, 60.0 - k) for name, k in told]
    table = pd.DataFrame(rows, columns=["model", "cell", "value", "score"])
    (row,) = comparison.against_nulls(table).to_dict("records")
    assert (row["cells"], row["verdict"]) == (12, "a higher")
    # one test of a random respondent is 38.687, 22.597, 22.975, 38.963 degrees off on average
    assert row["difference"] == pytest.approx(
        59 - 60 + (38.687 + 22.597 + 22.975 + 38.963) / 4, abs=0.005
    )
    with pytest.raises(UserError, match="unknown null respondent 'always Z'"):
        comparison.against_nulls(table, ["always Z"])
    with pytest.raises(UserError, match="'value' is missing"):
        comparison.against_nulls(table.drop(columns="value"))


def test_a_table_that_cannot_be_paired_is_refused():
    table = scored(one=[1.0, 2.0], other=[1.0, 2.0])
    with pytest.raises(UserError, match="'score' is missing"):
        comparison.compare_models(table.drop(columns="score"))
    with pytest.raises(UserError, match="twice"):
        comparison.compare_models(pd.concat([table, table[:1]]))


def test_the_documented_tables_have_the_places_that_the_benchmark_fills():
    text = coverage.DOCUMENT.read_text(encoding="utf-8")
    for name in (
        *("provenance", "methods", "five", "guards", "recommendation", "formula"),
        *("pairs", "lapses"),
    ):
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- /{name} -->") == 1
    assert coverage.recommendation_table() in text
