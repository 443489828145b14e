"""Intervals cover where textbook ones do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from benchmarks import coverage
from hvae_utils.errors import UserError
from hvae_utils.metrics import intervals

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


# The cells of one model


def test_deterministic_cells_get_the_pooled_rule_of_three():
    for wordings, width in ((2, 10.8), (3, 7.4), (4, 5.6), (8, 2.9), (16, 1.4)):
        cells = np.repeat(np.linspace(LOW, HIGH, 10)[:, None], wordings, axis=1)
        low, high = intervals.cell_limits(cells, LOW, HIGH)
        assert (high - low) == pytest.approx((1 - 0.05 ** (1 / (10 * wordings))) * RANGE)
        assert (high - low)[0] == pytest.approx(width, abs=0.05)
        assert (low >= LOW).all()
        assert (high <= HIGH).all()


def test_moderated_variances_are_those_of_limma():
    """s2 = 1, 2, 4, 8, 30 with 3 degrees: squeezeVar of limma, solved here by another root finder."""
    variances, freedom = np.array([1.0, 2, 4, 8, 30]), np.full(5, 3.0)
    logs = np.log(variances) - special.digamma(1.5) + np.log(1.5)
    beyond = logs.var(ddof=1) - special.polygamma(1, 1.5)
    prior = optimize.brentq(lambda d: special.polygamma(1, d / 2) - beyond, 0.1, 1e4)
    scale = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    found, gained = intervals._moderated(variances, freedom)
    assert gained == pytest.approx(prior)
    assert found == pytest.approx((prior * scale + 3 * variances) / (prior + 3))
    alike, infinite = intervals._moderated(np.full(5, 4.0), freedom)
    assert infinite == np.inf
    assert alike.std() == pytest.approx(0)


def test_the_limits_are_no_nearer_than_t_with_one_variance():
    cells = np.random.default_rng(1).normal(22, 8, (6, 5))
    low, high = intervals.cell_limits(cells, LOW, HIGH)
    pooled = stats.t.ppf(0.975, 24) * np.sqrt(cells.var(axis=1, ddof=1).mean() / 5)
    assert ((high - low) >= 2 * pooled - 1e-9).all()


def test_a_cell_with_one_wording_has_no_limits_and_takes_none_from_the_others():
    low, high = intervals.cell_limits([[1.0, 3.0], [20.0], []], LOW, HIGH)
    alone = intervals.cell_limits([[1.0, 3.0]], LOW, HIGH)
    assert (low[0], high[0]) == (alone[0][0], alone[1][0])
    assert np.isnan([low[1:], high[1:]]).all()
    t = stats.t.ppf(0.975, 1) * np.sqrt(2) / np.sqrt(2)
    assert low[0] == pytest.approx(max(LOW, 2 - t))


@pytest.mark.parametrize(("name", "wordings", "coverage_", "width"), coverage.KNOWN)
def test_cells_are_covered_as_the_full_simulation_says(name, wordings, coverage_, width):
    row = coverage.of_cells(name, wordings, studies=250)
    assert row["U"] == pytest.approx(coverage_, abs=0.02)
    assert row["width U"] == pytest.approx(width, rel=0.05)


def test_the_documented_tables_have_the_places_that_the_benchmark_fills():
    text = coverage.DOCUMENT.read_text(encoding="utf-8")
    for name in coverage.TABLES:
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- /{name} -->") == 1
    assert coverage.plan_table() in text
