"""A bias towards slots or labels is taken out of the answers, and what cannot be is said."""

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values
from hvae_utils.metrics import debias

PRIMARY = instruments.load("svo-slider")
FOUR = ("altruistic", "prosocial", "individualistic", "competitive")
FIXED = np.arange(9)[None]
TWO = np.array([np.arange(9), np.arange(9)[::-1]])
CYCLIC = (np.arange(9)[:, None] + np.arange(9)) % 9
LINE = 3 * np.arange(9) / 8  # 3 nats between the first and the last slot
ANY = np.array([0.3, 3.0, 1.1, 0.0, 2.2, 2.9, 0.4, 1.7, 2.5])  # 3 nats, no pattern


def probabilities(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def respondents():
    """Name -> true probabilities (items, options): ideals that lapse, and soft maximisers."""
    found = {}
    for value in FOUR:
        ideal = np.eye(9)[svo.ideal_choices(value, PRIMARY)]
        for lapse in (1e-6, 0.01, 0.1):
            found[f"{value}, lapse {lapse}"] = (1 - lapse) * ideal + lapse / 9
        utilities = values.get(value).utilities(PRIMARY.payoffs)
        for temperature in (1, 5, 10, 20, 40):  # coins
            found[f"{value}, temperature {temperature}"] = probabilities(utilities / temperature)
    return found


RESPONDENTS = respondents()


def seen(truth, orders, *at_slot):
    """What a biased respondent shows: (items, orders, options). at_slot: nats at each slot."""
    slots = np.argsort(orders, axis=1)
    bias = sum(
        np.take_along_axis(np.broadcast_to(one, orders.shape), slots, axis=1) for one in at_slot
    )
    return probabilities(np.log(truth)[:, None] + bias)


def mean_angle(table):
    return svo.angle_distribution(table).mean


def lapsing_altruist(lapse):
    return RESPONDENTS["altruistic, lapse 1e-06"] * (1 - lapse) + lapse / 9


@pytest.mark.parametrize("name", RESPONDENTS)
@pytest.mark.parametrize(
    ("orders", "bias"),
    [(TWO, LINE), (TWO, -LINE), (CYCLIC, LINE), (CYCLIC, ANY), (CYCLIC, -ANY)],
    ids=["two, rising", "two, falling", "cyclic, rising", "cyclic, any", "cyclic, any reversed"],
)
def test_three_nats_of_slot_bias_are_removed_from_every_respondent(name, orders, bias):
    truth = RESPONDENTS[name]
    table = seen(truth, orders, bias)
    found = debias.average_logits(table)
    assert found == pytest.approx(truth, abs=1e-9)
    assert mean_angle(found) == pytest.approx(mean_angle(truth), abs=1e-6)  # asked for: 0.5


def test_averaging_probabilities_drags_the_respondents_who_lapse_off_their_value():
    """Truth, fixed order, average of probabilities over two and nine orders; 3 nats, rising."""
    found = {}
    for value in FOUR:
        truth = RESPONDENTS[f"{value}, lapse 0.1"]
        two, nine = seen(truth, TWO, LINE), seen(truth, CYCLIC, LINE)
        found[value] = [
            mean_angle(table)
            for table in (
                truth,
                two[:, 0],
                debias.average_probabilities(two),
                debias.average_probabilities(nine),
            )
        ]
    assert found["altruistic"] == pytest.approx([58.2, 47.5, 49.7, 54.9], abs=0.05)
    for value in ("altruistic", "individualistic", "competitive"):
        truth, _, two, nine = found[value]
        assert abs(two - truth) > 3, value
        assert abs(two - truth) > abs(nine - truth) > 1, value
        assert abs(nine - 22.703) < abs(truth - 22.703), value  # towards the random respondent


def test_a_soft_altruist_is_read_right_only_by_averaging_logits():
    """The example of a true 57.1 degrees, here with 3.5 nats falling from first to last slot."""
    truth = lapsing_altruist(0.1341)
    table = seen(truth, TWO, -3.5 / 3 * LINE)
    assert mean_angle(truth) == pytest.approx(57.1, abs=0.05)
    assert mean_angle(table[:, 0]) == pytest.approx(47.5, abs=0.05)
    assert mean_angle(debias.average_probabilities(table)) == pytest.approx(43.7, abs=0.05)
    assert mean_angle(debias.average_logits(table)) == pytest.approx(57.1, abs=0.05)


def test_labels_fixed_to_their_slots_cancel_with_the_slots():
    truth = RESPONDENTS["competitive, temperature 10"]
    table = seen(truth, CYCLIC, LINE, ANY)
    assert debias.average_logits(table) == pytest.approx(truth, abs=1e-12)


def test_two_orders_do_not_remove_a_bias_that_both_ends_share():
    ends = np.array([3.0, 0, 0, 0, 0, 0, 0, 0, 3])
    truth = RESPONDENTS["prosocial, temperature 20"]
    shift = mean_angle(debias.average_logits(seen(truth, TWO, ends))) - mean_angle(truth)
    assert abs(shift) > 2
    assert debias.average_logits(seen(truth, CYCLIC, ends)) == pytest.approx(truth, abs=1e-12)


@pytest.mark.parametrize("orders", [CYCLIC, CYCLIC[:, ::-1], np.vstack([CYCLIC, CYCLIC])])
def test_all_cyclic_orders_are_balanced(orders):
    assert debias.balanced(orders)


@pytest.mark.parametrize("orders", [TWO, FIXED, CYCLIC[:8], np.vstack([TWO, FIXED])])
def test_other_orders_are_not(orders):
    assert not debias.balanced(orders)


def test_mass_that_is_on_no_label_does_not_matter():
    truth = RESPONDENTS["altruistic, temperature 10"]
    table = seen(truth, CYCLIC, ANY)
    covered = np.linspace(0.4, 1, 9)[:, None]
    assert debias.average_logits(table * covered) == pytest.approx(truth, abs=1e-12)
    assert debias.average_probabilities(table * covered) == pytest.approx(
        debias.average_probabilities(table), abs=1e-12
    )
    assert debias.order_disagreement(table * covered) == pytest.approx(
        debias.order_disagreement(table), abs=1e-12
    )


# Options outside the endpoint's list


def test_the_range_holds_the_truth_of_options_outside_the_list():
    truth = RESPONDENTS["individualistic, temperature 5"]
    full = seen(truth, CYCLIC, ANY)
    bound = np.sort(full, axis=-1)[..., 3]  # the last one listed of six
    listed = np.where(full >= bound[..., None], full, 0)
    low, high = debias.average_range(listed, bound)
    assert (low <= truth + 1e-12).all()
    assert (truth <= high + 1e-12).all()
    point = debias.average_logits(listed, bound)
    assert ((low <= point + 1e-12) & (point <= high + 1e-12)).all()
    always = (listed > 0).all(axis=-2)
    assert always.any()
    assert (low[~always] == 0).all()
    assert (low[always] > 0).all()


def test_the_range_is_reached_at_its_corners():
    table = np.array([[0.6, 0.3, 0.0], [0.5, 0.0, 0.4]])
    floor = np.array([0.1, 0.04])
    low, high = debias.average_range(table, floor)
    # The first option is least where both others are at their bound, and greatest at their zero.
    roots = np.sqrt([0.6 * 0.5, 0.3 * 0.04, 0.1 * 0.4])
    assert low == pytest.approx([roots[0] / roots.sum(), 0, 0])
    assert high == pytest.approx(
        [1, roots[1] / (roots[0] + roots[1]), roots[2] / (roots[0] + roots[2])]
    )
    assert debias.average_logits(table, floor) == pytest.approx(roots / roots.sum())


def test_the_range_of_averaged_probabilities_is_reached_at_its_corners():
    table = np.array([[0.6, 0.3, 0.0], [0.5, 0.1, 0.4]])
    low, high = debias.average_range(table, 0.1, logs=False)
    assert low == pytest.approx([(0.6 + 0.5) / 2, (0.3 + 0.1) / 2, (0.0 + 0.4) / 2])
    assert high == pytest.approx([(0.6 / 0.9 + 0.5) / 2, (0.3 / 0.9 + 0.1) / 2, (0.1 + 0.4) / 2])


def test_where_everything_is_listed_the_range_is_a_point():
    table = seen(RESPONDENTS["prosocial, temperature 5"], TWO, LINE)
    low, high = debias.average_range(table, 0.001)
    assert low == pytest.approx(debias.average_logits(table), abs=1e-14)
    assert high == pytest.approx(low, abs=1e-14)


def test_a_zero_needs_a_floor_and_a_true_zero_stays_one():
    table = np.array([[0.7, 0.3, 0.0], [0.5, 0.25, 0.25]])
    with pytest.raises(UserError, match=r"probabilities\[0, 2\] is 0: give a floor"):
        debias.average_logits(table)
    roots = np.sqrt([0.35, 0.075, 0])
    assert debias.average_logits(table, 0) == pytest.approx(roots / roots.sum())


def test_answers_that_exclude_each_other_have_no_average():
    always_first_slot = np.eye(9)[CYCLIC[:, 0]]
    assert np.isnan(debias.average_logits(always_first_slot, 0)).all()
    assert debias.average_logits(always_first_slot, 1e-4) == pytest.approx(np.full(9, 1 / 9))


# What the slots and the labels add


@pytest.mark.parametrize("bias", [LINE, ANY])
def test_nine_cyclic_orders_tell_what_each_slot_adds(bias):
    table = seen(RESPONDENTS["altruistic, temperature 10"], CYCLIC, bias)
    found = debias.position_bias(table, CYCLIC)
    assert found.shape == (6, 9)
    assert found == pytest.approx(np.tile(bias - bias.mean(), (6, 1)), abs=1e-9)


def test_one_order_and_two_leave_positions_open_so_nothing_is_said():
    table = seen(RESPONDENTS["altruistic, temperature 10"], TWO, LINE)
    assert np.isnan(debias.position_bias(table, TWO)).all()
    assert np.isnan(debias.position_bias(table[:, :1], FIXED)).all()


def test_orders_that_are_not_balanced_determine_positions_by_least_squares():
    orders = np.vstack([TWO, CYCLIC[3:7]])
    table = seen(RESPONDENTS["altruistic, temperature 10"], orders, ANY)
    noisy = table * np.exp(np.random.default_rng(2).normal(0, 0.2, table.shape)) / 2
    positions = np.argsort(orders, axis=1)
    order, option = np.indices(orders.shape).reshape(2, -1)
    design = np.column_stack([np.eye(9)[positions.ravel()], np.eye(6)[order], np.eye(9)[option]])
    effects, *_ = np.linalg.lstsq(design, np.log(noisy[0]).ravel(), rcond=None)
    expected = effects[:9] - effects[:9].mean()
    assert debias.position_bias(noisy, orders)[0] == pytest.approx(expected)


# Mixtures, and which mechanism fits


def mixed(truth, orders, shares):
    """What a respondent shows that takes position k in the share k of its answers."""
    shares = np.asarray(shares, float)
    return (1 - shares.sum()) * truth[:, None] + shares[np.argsort(orders, axis=1)]


FIRST = np.eye(9)[0]


@pytest.mark.parametrize("name", RESPONDENTS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_minimum_undoes_a_mixture_exactly(name, share):
    truth = RESPONDENTS[name]
    for shares in (share * FIRST, share * np.array([0.5, 0, 0, 0.2, 0, 0, 0, 0, 0.3])):
        assert debias.minimum(mixed(truth, CYCLIC, shares)) == pytest.approx(truth, abs=1e-9)


def errors_of(lapse, shares):
    """Degrees by which each average is off, (shares x values), for ideals that lapse."""
    rows = {"logs": [], "two orders": [], "probabilities": [], "minimum": []}
    for share in shares:
        for value in FOUR:
            truth = (1 - lapse) * np.eye(9)[svo.ideal_choices(value, PRIMARY)] + lapse / 9
            nine, two = (mixed(truth, orders, share * FIRST) for orders in (CYCLIC, TWO))
            rows["logs"].append(mean_angle(debias.average_logits(nine)))
            rows["two orders"].append(mean_angle(debias.average_logits(two)))
            rows["probabilities"].append(mean_angle(debias.average_probabilities(nine)))
            rows["minimum"].append(mean_angle(debias.minimum(nine)))
            for angles in rows.values():
                angles[-1] = abs(angles[-1] - mean_angle(truth))
    return rows


def test_no_average_undoes_a_mixture():
    """Ideals with 5% lapses and 10% to 80% first position; and with 10%, up to 30%."""
    wide = errors_of(0.05, (0.1, 0.3, 0.8))
    assert max(wide["two orders"]) == pytest.approx(3.2, abs=0.05)
    assert max(wide["probabilities"]) == pytest.approx(29.1, abs=0.05)
    assert [min(wide["logs"]), max(wide["logs"])] == pytest.approx([0.3, 1.1], abs=0.05)
    assert max(wide["minimum"]) < 1e-9
    lapsing = errors_of(0.1, (0.1, 0.2, 0.3))["logs"]
    assert [min(lapsing), max(lapsing)] == pytest.approx([0.5, 1.3], abs=0.05)


@pytest.mark.parametrize("value", FOUR)
def test_the_mechanism_that_made_the_answers_leaves_nothing_unexplained(value):
    truth = RESPONDENTS[f"{value}, temperature 10"]
    both = np.stack([seen(truth, CYCLIC, ANY), mixed(truth, CYCLIC, 0.3 * FIRST)])
    left = debias.divergences(both, CYCLIC)
    assert left["additive"][0] == pytest.approx(0, abs=0.01)
    assert left["mixture"][1] == pytest.approx(0, abs=0.01)
    for index, name in enumerate(("additive", "mixture")):
        one = {account: losses[index] for account, losses in left.items()}
        found, evidence, note = debias.mechanism(one)
        assert (found, note) == (name, "")
        assert evidence > debias.CLEAR


def test_the_fit_without_a_bias_is_the_mean_of_the_orders():
    table = seen(RESPONDENTS["prosocial, temperature 20"], CYCLIC, ANY)
    expected = (table * np.log(table / table.mean(axis=1, keepdims=True))).sum()
    assert debias.divergences(table, CYCLIC)["none"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("left", "note"),
    [
        ((0.5, 0.0, 0.5), "no bias that single answers would show"),
        ((10.0, 2.0, 2.5), "both explain the bias alike"),
        ((10.0, 6.0, 9.0), "most differences between the orders are explained by neither"),
    ],
)
def test_neither_mechanism_is_named_with_a_reason(left, note):
    found = debias.mechanism(dict(zip(("none", "additive", "mixture"), left, strict=True)))
    assert (found[0], found[2]) == ("neither", note)


def test_errors_of_the_log_probabilities_are_averaged_by_least_squares():
    rng = np.random.default_rng(1)
    truth = np.tile(probabilities(rng.normal(size=9)), (400, 1))
    noise = np.exp(rng.normal(0, 0.3, (400, 9, 9)))
    found = debias.position_bias(seen(truth, CYCLIC, ANY) * noise / 100, CYCLIC)
    assert found.mean(axis=0) == pytest.approx(ANY - ANY.mean(), abs=0.03)
    assert found.sum(axis=1) == pytest.approx(0, abs=1e-9)
    # Balanced orders: a slot's effect is a mean of 9 logs, less that of all 81.
    assert found.std(axis=0) == pytest.approx(np.full(9, 0.3 * np.sqrt(1 / 9 - 1 / 81)), rel=0.15)


def test_a_label_that_keeps_its_slot_is_in_the_effect_of_the_slot():
    """So two sets of labels give the difference between their labels, and one gives the sum."""
    truth = RESPONDENTS["prosocial, temperature 10"]
    letters, digits = (
        debias.position_bias(seen(truth, CYCLIC, LINE, np.tile(favours, (9, 1))), CYCLIC)
        for favours in (ANY, ANY[::-1])
    )
    together = LINE + ANY
    assert letters[0] == pytest.approx(together - together.mean(), abs=1e-9)
    assert (letters - digits)[0] == pytest.approx(ANY - ANY[::-1], abs=1e-9)


# Disagreement


def test_disagreement_is_0_without_a_bias_and_1_for_a_respondent_who_reads_only_slots():
    truth = RESPONDENTS["prosocial, temperature 10"]
    assert debias.order_disagreement(seen(truth, CYCLIC, 0 * LINE)) == pytest.approx(0, abs=1e-12)
    always_first_slot = np.eye(9)[CYCLIC[:, 0]]
    assert debias.order_disagreement(always_first_slot) == 1


def test_disagreement_of_certain_answers_is_the_share_of_pairs_that_differ():
    answers = np.eye(9)[[[2, 2, 2, 5], [1, 1, 1, 1]]]  # 3 of 6 pairs, none of 6
    assert debias.order_disagreement(answers) == pytest.approx(0.25)


def test_disagreement_grows_with_the_bias():
    truth = RESPONDENTS["altruistic, temperature 10"]
    found = [debias.order_disagreement(seen(truth, CYCLIC, k * LINE)) for k in (0, 0.5, 1, 2)]
    assert found == sorted(found)
    assert found[-1] > found[1] + 0.1


def test_disagreement_leaves_out_what_was_not_answered():
    table = np.eye(3)[[[0, 1, 0], [0, 0, 0]]]
    table[0, 1] = np.nan
    assert debias.order_disagreement(table) == 0
    table[0, 2] = np.nan  # item 1 has one answer left: nothing to compare
    assert debias.order_disagreement(table) == 0
    assert np.isnan(debias.order_disagreement(table[:1]))
    assert np.isnan(debias.order_disagreement(table[:, :1]))


# Missing and bad input


def test_an_item_that_lacks_an_order_has_no_average_and_others_keep_theirs():
    table = seen(RESPONDENTS["altruistic, temperature 10"], CYCLIC, ANY)
    table[3, 5] = np.nan
    others = [0, 1, 2, 4, 5]
    for found in (
        debias.average_logits(table),
        debias.average_probabilities(table),
        debias.minimum(table),
        debias.position_bias(table, CYCLIC),
        *debias.average_range(table, 0.01),
    ):
        assert np.isnan(found[3]).all()
        assert not np.isnan(found[others]).any()
    with pytest.raises(UserError, match="item 4 holds a NaN"):
        svo.angle_distribution(debias.average_logits(table))


EVEN = np.full((2, 4), 0.25)


def spoilt(index, row):
    table = EVEN.copy()
    table[index] = row
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (spoilt(1, [np.nan, 0.5, 0.25, 0.25]), r"probabilities\[1\] must sum"),
        (spoilt(0, [-0.1, 0.5, 0.3, 0.3]), r"probabilities\[0\] must sum"),
        (np.log(EVEN), "numpy.exp"),
        (spoilt(1, 0), r"probabilities\[1\] must sum"),
        (spoilt(0, [0.5, 0.3, 0.3, 0.3]), r"probabilities\[0\] must sum"),
        (np.stack([EVEN, spoilt(1, 0)]), r"probabilities\[1, 1\] must sum"),
        (spoilt(1, [np.inf, 0, 0, 0]), r"probabilities\[1\] must sum"),
        (EVEN[0], "must be numbers of shape"),
        (np.empty((0, 4)), "must be numbers of shape"),
        ([["a"]], "must be numbers"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [debias.average_logits, debias.average_probabilities, debias.order_disagreement],
)
def test_a_bad_table_is_refused_with_its_place(function, table, message):
    with pytest.raises(UserError, match=message):
        function(table)


@pytest.mark.parametrize(
    ("floor", "message"),
    [
        (-0.1, "must be a probability"),
        (1.5, "must be a probability"),
        ([0.1, np.nan], "must be a probability"),
    ],
)
def test_a_floor_that_is_no_bound_is_refused(floor, message):
    with pytest.raises(UserError, match=message):
        debias.average_logits(spoilt(1, [0.5, 0.5, 0, 0]), floor)
