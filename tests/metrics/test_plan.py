"""How many wordings a study needs: against published numbers, and against simulation."""

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.metrics import plan, steerability


@pytest.mark.parametrize(
    ("sd", "wordings", "width", "detects", "equivalence"),
    [
        (4, 4, 0.14, 1.00, 0.80),
        (4, 8, 0.09, 1.00, 0.99),
        (8, 8, 0.18, 0.99, 0.40),
        (8, 16, 0.13, 1.00, 0.86),
    ],
)
def test_width_and_power_are_those_of_the_simulation(sd, wordings, width, detects, equivalence):
    found = plan.expected(sd, wordings)
    assert (found.width, found.detects, found.equivalence) == pytest.approx(
        (width, detects, equivalence), abs=0.01
    )


def test_power_is_what_studies_with_so_many_wordings_reach():
    rng, targets = np.random.default_rng(1), plan.published_targets()
    truth = plan.expected(8.0, 6)
    fits = [steerability.fit(rng.normal(0, 8, (4, 6)), targets) for _ in range(2000)]
    none = np.mean([one.verdict(0.1) == steerability.ACTS_NOT for one in fits])
    found = np.mean([one.interval()[0] > -plan.EFFECT for one in fits])  # shifted: beta = 0.2
    assert none == pytest.approx(truth.equivalence, abs=0.03)
    assert found == pytest.approx(truth.detects, abs=0.04)  # the test of the slopes costs a little


def test_more_spread_and_a_narrower_margin_need_more_wordings():
    assert [plan.wordings(sd) for sd in (0, 1, 4, 8)] == [2, 2, 5, 15]
    assert plan.wordings(8, margin=0.05) > 50
    count = plan.wordings(6, power=0.9)
    assert plan.expected(6, count).equivalence >= 0.9 > plan.expected(6, count - 1).equivalence


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sd": -1}, "SD of at least 0"),
        ({"sd": np.nan}, "SD of at least 0"),
        ({"sd": 4, "margin": 1.5}, "margin between 0 and 1"),
        ({"sd": 4, "power": 1}, "power must lie between 0 and 1"),
        ({"sd": 4, "effect": 0}, "effect other than 0"),
        ({"sd": 4, "targets": [45, 45]}, "all the same"),
        ({"sd": 400}, "more than 1,000 wordings"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused_with_a_sentence(asked, said):
    with pytest.raises(UserError, match=said):
        plan.wordings(**asked)
