"""A favourite position is seen, and taken out, in the tables of a run."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import factors, instruments, svo, values
from hvae_utils.metrics import orders

SLIDER = instruments.load("svo-slider")
NINE = tuple(f"cyclic-{start}" for start in range(1, 10))
OPTIONS = [f"p{option}" for option in range(1, 10)]
FACTORS = {name: "x" for name in factors.FACTORS} | {
    "instrument": "svo-slider",
    "goal_prompt": False,
}


def run(options, bias, names, model="m", mass=1.0):
    """Return conditions and responses of one respondent: option log-odds plus a bias of slots."""
    conditions, responses = [], []
    for name in names:
        identity = f"{model}-{name}"
        conditions.append({**FACTORS, "model": model, "condition_id": identity, "order": name})
        for row, item in enumerate(SLIDER.items):
            order = np.array(factors.option_order(name, row, 9))
            logits = np.array(options[row], float)
            logits[order] += bias
            chances = np.exp(logits - np.logaddexp.reduce(logits))
            found = dict(zip(OPTIONS, chances, strict=True))
            responses.append(
                {"condition_id": identity, "item": item, "order": name, "labels": "A-I"}
                | {"covered_mass": mass, **found}
            )
    return pd.DataFrame(conditions), pd.DataFrame(responses)


def soft(name, nats_per_coin=0.2):
    return nats_per_coin * values.get(name).utilities(SLIDER.payoffs)


def truth(options):
    chances = np.exp(options - np.logaddexp.reduce(options, axis=1, keepdims=True))
    return svo.angle_distribution(chances).mean


@pytest.mark.parametrize("name", ["altruistic", "prosocial", "individualistic", "competitive"])
@pytest.mark.parametrize(
    ("names", "bias", "balanced"),
    [
        (("fixed", "reversed"), np.linspace(1.5, -1.5, 9), False),
        (NINE, np.array([3, 0, 1, 0, 2, 0, 0, 1, 0.0]), True),
    ],
)
def test_three_nats_of_position_bias_leave_the_debiased_angle_where_it_was(
    name, names, bias, balanced
):
    options = soft(name)
    (row,) = orders.debiased(*run(options, bias, names)).itertuples()
    assert row.angle_logit == pytest.approx(truth(options), abs=0.5)
    assert (row.orders, row.balanced) == (len(names), balanced)


def top_of(responses, kept):
    """Return responses of an endpoint that lists so many options only, and their covered mass."""
    table = responses[OPTIONS].to_numpy()
    last = np.sort(table, axis=1)[:, [-kept]]
    listed = np.where(table >= last, table, 0)
    cut = responses.assign(covered_mass=listed.sum(axis=1))
    cut[OPTIONS] = listed
    return cut


@pytest.mark.parametrize("name", ["altruistic", "prosocial", "individualistic", "competitive"])
@pytest.mark.parametrize("names", [("fixed", "reversed"), NINE], ids=["two", "nine"])
@pytest.mark.parametrize("kept", [3, 6, 8])
def test_the_bounds_hold_the_angle_of_what_the_endpoint_did_not_list(name, names, kept):
    options = soft(name, 0.1)
    conditions, responses = run(options, np.linspace(1.5, -1.5, 9), names)
    (row,) = orders.debiased(conditions, top_of(responses, kept)).itertuples()
    assert row.angle_logit_low <= truth(options) <= row.angle_logit_high
    assert row.angle_logit_low <= row.angle_logit <= row.angle_logit_high
    assert row.angle_logit_high - row.angle_logit_low > 1e-3


def test_the_bounds_hold_whatever_the_missing_options_are():
    """Probabilities outside the list are drawn below their floor, at its corners too."""
    rng = np.random.default_rng(3)
    conditions, responses = run(rng.normal(0, 2, (6, 9)), np.zeros(9), ("fixed", "reversed"))
    cut = top_of(responses, 5)
    (row,) = orders.debiased(conditions, cut).itertuples()
    found = []
    for _ in range(60):
        listed, filled = cut[OPTIONS].to_numpy(), cut.copy()
        share = rng.choice([rng.random(listed.shape), rng.integers(0, 2, listed.shape)])
        covered = cut.covered_mass.to_numpy()[:, None]
        full = np.where(listed > 0, listed, np.maximum(share, 1e-9) * (1 - covered))
        filled[OPTIONS] = full / full.sum(axis=1, keepdims=True)
        found.append(orders.debiased(conditions, filled.assign(covered_mass=1.0)).angle_logit[0])
    assert row.angle_logit_low <= min(found) < max(found) <= row.angle_logit_high
    assert max(found) - min(found) > 0.3 * (row.angle_logit_high - row.angle_logit_low)


def test_where_everything_is_listed_the_bounds_are_the_angle():
    (row,) = orders.debiased(*run(soft("altruistic", 0.05), np.zeros(9), NINE)).itertuples()
    assert row.angle_logit_low == pytest.approx(row.angle_logit, abs=1e-9)
    assert row.angle_logit_high == pytest.approx(row.angle_logit, abs=1e-9)


def test_one_order_alone_is_as_biased_as_it_was_and_says_that_nothing_cancels():
    options, bias = np.zeros((6, 9)), np.linspace(1.5, -1.5, 9)
    (row,) = orders.debiased(*run(options, bias, ["fixed"])).itertuples()
    assert not row.balanced
    assert abs(row.angle_logit - truth(options)) > 2
    assert row.angle_logit == pytest.approx(row.angle_first)


def test_a_respondent_that_always_takes_the_first_option_disagrees_with_itself_entirely():
    always_first = np.array([0, *[-40] * 8])
    (row,) = orders.debiased(*run(np.zeros((6, 9)), always_first, NINE)).itertuples()
    assert row.order_disagreement == pytest.approx(1)
    assert row.angle_first == pytest.approx(30.47, abs=0.005)
    assert row.angle_logit == pytest.approx(22.703, abs=0.01)  # nothing is left of it


def test_an_item_without_probabilities_leaves_no_angle():
    conditions, responses = run(soft("prosocial"), np.zeros(9), ["fixed", "reversed"])
    responses.loc[responses["item"] == 3, [*OPTIONS, "covered_mass"]] = np.nan
    (row,) = orders.debiased(conditions, responses).itertuples()
    assert np.isnan([row.angle_first, row.angle_logit, row.angle_logit_low]).all()


def test_a_favourite_position_shows_as_it_was_shown_and_is_flat_once_debiased():
    bias = np.array([3.0, 0, 0, 0, 0, 0, 0, 0, 0])
    table = orders.letters(*run(np.zeros((6, 9)), bias, NINE)).set_index(["stage", "position"])
    assert table.share["as shown", 1] == pytest.approx(np.exp(3) / (np.exp(3) + 8))
    assert table.share.loc["debiased"].to_numpy() == pytest.approx(1 / 9)
    assert table.share.groupby("stage").sum().to_numpy() == pytest.approx(1)


def latin(options, bias, noise=0.0, model="m"):
    """Return the tables of nine wordings, wording k shown in cyclic order k alone.

    noise: SD in nats of what a wording adds to each option of each item.
    """
    rng, parts = np.random.default_rng(7), []
    for name in NINE:
        own = options + rng.normal(0, noise, (6, 9))
        parts.append([one.assign(wording=name[-1]) for one in run(own, bias, [name], model)])
        parts[-1][1] = parts[-1][1].drop(columns="wording")
    return [pd.concat(pair, ignore_index=True) for pair in zip(*parts, strict=True)]


ANY = np.array([3, 0, 1, 0, 2, 0, 0, 1, 0.0])


def test_the_bias_of_positions_is_recovered():
    for tables in (run(soft("prosocial", 0.05), ANY, NINE), latin(soft("prosocial", 0.05), ANY)):
        table = orders.position_bias(*tables)
        assert table.bias.to_numpy() == pytest.approx(ANY - ANY.mean())


@pytest.mark.parametrize("names", [["fixed"], ["fixed", "reversed"]])
def test_orders_that_leave_positions_open_determine_no_bias_and_say_so(names):
    table = orders.position_bias(*run(soft("prosocial"), np.ones(9), names))
    assert table[["bias", "position_part", "label_part"]].isna().all(axis=None)
    assert set(table.note) == {orders.NINE}


# A Latin design: every wording has an order of its own


@pytest.mark.parametrize("name", ["altruistic", "prosocial", "individualistic", "competitive"])
def test_over_nine_wordings_in_nine_orders_any_bias_cancels(name):
    (row,) = orders.debiased(*latin(soft(name), ANY)).itertuples()
    assert (row.orders, row.balanced, row.preferred) == (9, True, "logit")
    assert row.angle_logit == pytest.approx(truth(soft(name)), abs=1e-6)
    assert abs(row.angle_first - truth(soft(name))) > 0.3
    assert "wording" not in orders.debiased(*latin(soft(name), ANY))


def test_what_the_wordings_do_averages_out_too_as_far_as_nine_can():
    conditions, responses = latin(soft("prosocial", 0.05), ANY, noise=0.3)
    bias = orders.position_bias(conditions, responses).bias.to_numpy()
    assert bias == pytest.approx(ANY - ANY.mean(), abs=4 * 0.3 / np.sqrt(6 * 9))
    (row,) = orders.debiased(conditions, responses).itertuples()
    assert row.angle_logit == pytest.approx(truth(soft("prosocial", 0.05)), abs=1.5)


def test_a_wording_that_was_not_asked_leaves_no_angle():
    conditions, responses = latin(soft("prosocial"), ANY)
    lacking = conditions.wording != "4"
    gone = conditions.condition_id[~lacking].tolist()
    other = [one.assign(condition_id=one.condition_id + "x") for one in (conditions, responses)]
    other[0]["model"] = "complete"
    both = [pd.concat(pair) for pair in zip((conditions, responses), other, strict=True)]
    rows = orders.debiased(*[one[~one.condition_id.isin(gone)] for one in both])
    found = rows.set_index("model").angle_logit
    asked = rows.set_index("model")[["orders", "balanced"]]
    assert asked.T.to_dict("list") == {"m": [8, False], "complete": [9, True]}
    assert np.isnan(found["m"])
    assert found["complete"] == pytest.approx(truth(soft("prosocial")))


def test_nine_wordings_in_one_order_each_and_in_two_more_are_still_compared():
    crossed = [run(soft("prosocial"), ANY, ["fixed", "reversed"]) for _ in range(2)]
    for number, (conditions, responses) in enumerate(crossed):
        conditions["wording"] = str(number)
        for one in (conditions, responses):
            one["condition_id"] += str(number)
    rows = orders.debiased(*[pd.concat(pair) for pair in zip(*crossed, strict=True)])
    assert rows.wording.tolist() == ["0", "1"]
    assert set(rows.orders) == {2}


# Which average, and which mechanism


def test_the_average_with_the_narrower_bounds_is_preferred():
    every = run(soft("altruistic", 0.05), ANY, NINE)
    listed = [every[0], top_of(every[1], 4)]
    (full,), (cut,) = (orders.debiased(*tables).itertuples() for tables in (every, listed))
    assert full.preferred == "logit"
    assert cut.preferred == "probability"
    assert cut.angle_probability_low < cut.angle_probability < cut.angle_probability_high
    width = cut.angle_probability_high - cut.angle_probability_low
    assert width < cut.angle_logit_high - cut.angle_logit_low


def mixed(options, share):
    """Return the tables of a respondent that takes the first position in this share of answers."""
    conditions, responses = run(options, np.zeros(9), NINE)
    first = [factors.option_order(name, 0, 9)[0] for name in responses["order"]]
    responses[OPTIONS] = (1 - share) * responses[OPTIONS] + share * np.eye(9)[first]
    return conditions, responses


def test_the_minimum_is_exact_for_a_mixture_and_the_averages_are_not():
    options = soft("altruistic", 0.1)
    (row,) = orders.debiased(*mixed(options, 0.3)).itertuples()
    assert row.angle_minimum == pytest.approx(truth(options), abs=1e-6)
    assert abs(row.angle_logit - truth(options)) > 0.5
    assert abs(row.angle_probability - truth(options)) > 5


def test_the_mechanism_is_told_by_what_it_leaves_unexplained():
    options = soft("prosocial", 0.1)
    (additive,) = orders.mechanisms(*run(options, ANY, NINE)).itertuples()
    (mixture,) = orders.mechanisms(*mixed(options, 0.3)).itertuples()
    (neither,) = orders.mechanisms(*run(options, np.zeros(9), NINE)).itertuples()
    (unknown,) = orders.mechanisms(*run(options, ANY, ["fixed", "reversed"])).itertuples()
    assert (additive.mechanism, mixture.mechanism) == ("additive", "mixture")
    assert additive.additive == pytest.approx(0, abs=0.01) == mixture.mixture
    assert additive.answers == 54
    assert (neither.mechanism, neither.none) == ("neither", pytest.approx(0, abs=1e-9))
    assert np.isnan(unknown.evidence)
    assert unknown.note == orders.NINE
    conditions, responses = run(options, ANY, NINE)
    responses[OPTIONS] = np.nan
    (silent,) = orders.mechanisms(conditions, responses).itertuples()
    assert (silent.answers, silent.note) == (0, orders.SILENT)


FAVOURS = {  # nats of each label, first position first; at every position they sum to 0
    "A-I": np.array([0.5, -1, 0, 0.3, 0, -0.2, 0, 0, 0.4]),
    "1-9": np.array([0.25, 2, 0, -0.1, 0, -0.2, 0.7, 0, -0.4]),
    "P-X": np.array([-0.75, -1, 0, -0.2, 0, 0.4, -0.7, 0, 0]),
}


def shown_with(at_position, favours, names):
    """Return the tables of a respondent that was shown several sets of labels."""
    tables = []
    for labels, favour in favours.items():
        pair = run(soft("prosocial", 0.05), at_position + favour, names)
        tables.append(
            [one.assign(labels=labels, condition_id=labels + one.condition_id) for one in pair]
        )
    return [pd.concat(pair, ignore_index=True) for pair in zip(*tables, strict=True)]


def test_sets_of_labels_without_a_common_favour_tell_position_from_label():
    table = orders.position_bias(*shown_with(ANY, FAVOURS, NINE)).set_index("labels")
    assert set(table.note) == {""}
    for labels, favour in FAVOURS.items():
        mine = table.loc[labels]
        assert mine.position_part.to_numpy() == pytest.approx(ANY - ANY.mean())
        assert mine.label_part.to_numpy() == pytest.approx(favour - favour.mean())
        assert mine.bias.to_numpy() == pytest.approx((mine.position_part + mine.label_part).array)


def test_a_favour_that_all_sets_share_is_counted_as_the_positions():
    common = np.array([2.0, 0, 0, 0, 0, 0, 0, 0, 0])
    favours = {labels: favour + common for labels, favour in FAVOURS.items()}
    table = orders.position_bias(*shown_with(np.zeros(9), favours, NINE))
    first = table[table.position == 1]
    assert first.position_part.to_numpy() == pytest.approx(2 - 2 / 9)


def test_one_set_of_labels_cannot_be_told_from_the_positions_and_says_so():
    one = {"A-I": FAVOURS["A-I"]}
    alone = orders.position_bias(*shown_with(np.zeros(9), one, NINE))
    conditions, responses = shown_with(np.zeros(9), FAVOURS, NINE)
    responses.loc[responses.labels != "A-I", [*OPTIONS, "covered_mass"]] = np.nan
    silent = orders.position_bias(conditions, responses)
    for table in (alone, silent[silent.labels == "A-I"]):
        assert table.bias.notna().all()
        assert table[["position_part", "label_part"]].isna().all(axis=None)
        assert set(table.note) == {"not separable: one set of labels"}
    assert set(silent[silent.labels != "A-I"].note) == {orders.SILENT}


def test_groups_are_kept_apart():
    first = run(soft("altruistic"), np.zeros(9), ["fixed", "reversed"], model="a")
    second = run(soft("competitive"), np.zeros(9), ["fixed", "reversed"], model="b", mass=0.97)
    both = [pd.concat(pair) for pair in zip(first, second, strict=True)]
    table = orders.debiased(*both).set_index("model")
    assert table.angle_logit["a"] > 55
    assert table.angle_logit["b"] < -10
    assert table.covered_mass.to_dict() == {"a": 1.0, "b": 0.97}


def test_a_model_without_probabilities_shows_the_positions_it_chose():
    conditions, responses = run(soft("prosocial"), np.zeros(9), ["fixed", "reversed"])
    responses[OPTIONS] = np.nan
    responses["option"] = [1] * 6 + [9] * 6  # the first position both times
    table = orders.letters(conditions, responses).set_index(["stage", "position"]).share
    assert table["as shown"].tolist() == [1.0] + [0.0] * 8
    assert table["debiased"].isna().all()


# Bad input

TABLES = (orders.debiased, orders.letters, orders.position_bias, orders.mechanisms)


@pytest.mark.parametrize("function", TABLES)
def test_a_run_of_shuffled_orders_has_nothing_to_compare_and_says_so(function):
    shuffled = run(soft("prosocial"), np.zeros(9), ["shuffled"])
    nothing = [table[:0] for table in shuffled]
    for tables in (shuffled, nothing):
        with pytest.raises(UserError, match="no order to compare; ask for latin"):
            function(*tables)
        assert orders.disagreement(*tables).empty


@pytest.mark.parametrize("function", [*TABLES, orders.disagreement])
@pytest.mark.parametrize(
    "row",
    [[-0.1, *[1.1 / 8] * 8], [np.nan, *[1 / 8] * 8], [0.0] * 9, [0.2] * 9],
)
def test_probabilities_that_are_none_are_refused(function, row):
    conditions, responses = run(soft("prosocial"), np.zeros(9), ["fixed", "reversed"])
    responses.loc[3, OPTIONS] = row
    with pytest.raises(UserError, match="must sum to more than 0 and at most 1"):
        function(conditions, responses)


def test_a_missing_column_is_named():
    conditions, responses = run(soft("prosocial"), np.zeros(9), ["fixed", "reversed"])
    with pytest.raises(UserError, match="responses: the column 'p9' is missing"):
        orders.debiased(conditions, responses.drop(columns="p9"))
    with pytest.raises(UserError, match="conditions: the column 'labels' is missing"):
        orders.debiased(conditions.drop(columns="labels"), responses)


def test_items_with_five_options_have_five_positions(monkeypatch):
    small = dataclasses.replace(SLIDER, payoffs=SLIDER.payoffs[:, ::2])
    monkeypatch.setattr(instruments, "load", lambda name: small)
    columns = OPTIONS[:5]
    conditions = pd.DataFrame(
        [FACTORS | {"model": "m", "condition_id": n, "order": n} for n in ("fixed", "reversed")]
    )
    first = {"fixed": 0, "reversed": 4}  # the first position takes 0.6
    responses = pd.DataFrame(
        {"condition_id": name, "item": item, "order": name, "labels": "A-I", "covered_mass": 1.0}
        | dict(zip(columns, np.where(np.arange(5) == option, 0.6, 0.1), strict=True))
        | {"option": option + 1}
        for name, option in first.items()
        for item in small.items
    )
    shown = orders.letters(conditions, responses).set_index("stage").loc["as shown"]
    assert shown["position"].tolist() == [1, 2, 3, 4, 5]
    assert shown["share"].tolist() == pytest.approx([0.6, 0.1, 0.1, 0.1, 0.1])
    responses[columns] = np.nan
    chosen = orders.letters(conditions, responses).set_index("stage").loc["as shown"]
    assert chosen["share"].tolist() == [1, 0, 0, 0, 0]
