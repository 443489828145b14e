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


@pytest.mark.parametrize("name", ["2% lapses", "20% lapses"])
def test_where_a_cell_of_its_own_has_no_fair_t_interval_both_of_ours_cover(name):
    row = coverage.of_cells(name, 4, studies=200)
    assert row["covering"] >= 0.95
    assert row["U"] >= 0.94
    assert row["t"] < 0.93
    assert row["width U"] < row["width covering"] / 2


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
    """As `squeezeVar` of limma has it: s2 = 1 to 30 with 3 degrees, by another root finder."""
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


def test_a_shift_that_all_cells_share_is_seen_once_and_not_once_a_cell():
    shift = np.array([-3.0, 1.0, 2.0, 5.0])
    assert intervals._freedom(np.arange(6.0)[:, None] + shift) == pytest.approx(3)
    rng = np.random.default_rng(2)
    apart = np.mean([intervals._freedom(rng.normal(0, 4, (10, 9))) for _ in range(200)])
    assert 0.85 * 80 < apart <= 80
    held = []
    for _ in range(400):
        cells = 22 + rng.normal(0, 8, (1, 4)) + rng.normal(0, 2, (10, 4))
        low, high = intervals.cell_limits(np.clip(cells, LOW, HIGH), LOW, HIGH)
        held.append(np.mean((low <= 22) & (high >= 22)))
    assert np.mean(held) >= 0.935  # 0.92 with all degrees of freedom


def test_a_cell_with_one_wording_has_no_limits_and_takes_none_from_the_others():
    nan = np.nan
    low, high = intervals.cell_limits([[1.0, 3.0], [20.0, nan], [nan, nan]], LOW, HIGH)
    alone = intervals.cell_limits([[1.0, 3.0]], LOW, HIGH)
    assert (low[0], high[0]) == (alone[0][0], alone[1][0])
    assert np.isnan([low[1:], high[1:]]).all()
    unseen = 1 - 0.05**0.5  # the rule of three, for two wordings wider than t
    assert (low[0], high[0]) == pytest.approx((2 - unseen * (2 - LOW), 2 + unseen * (HIGH - 2)))


@pytest.mark.parametrize(("name", "wordings", "coverage_", "width"), coverage.KNOWN)
def test_cells_are_covered_as_the_full_simulation_says(name, wordings, coverage_, width):
    row = coverage.of_cells(name, wordings, studies=250)
    assert row["U"] == pytest.approx(coverage_, abs=0.02)
    assert row["width U"] == pytest.approx(width, rel=0.06)


def test_the_documented_tables_have_the_places_that_the_benchmark_fills():
    text = coverage.DOCUMENT.read_text(encoding="utf-8")
    for name in coverage.TABLES:
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- /{name} -->") == 1
    assert coverage.plan_table() in text
