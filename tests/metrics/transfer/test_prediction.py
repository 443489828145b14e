"""Transfer is 1 of whoever acts on one utility everywhere, 0 of whoever knows the slider alone."""

import numpy as np
import pandas as pd
import pytest

from hvae_utils.ask import prompts, reference
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments
from hvae_utils.metrics.transfer import prediction
from tests.support.played import FOUR, GAMES, HOME, TWIN, even, played, softmax, uniform, utility_of

SHARED = 0.1  # per coin, of a respondent whose choices are a softmax


def of_reference(name):
    """The policy of a reference respondent, as it answers items shown in their own order."""

    def policy(value, game, _):
        shown = [prompts.present(game, item) for item in range(len(game.items))]
        return np.array([reference.POLICIES[name](value, game, one) for one in shown])

    return policy


def fair(value, game, _):
    """Wants both to have the same."""
    return even(-np.abs(game.payoffs[..., 0] - game.payoffs[..., 1]))


def transfer(policy, **how):
    """Return the table of scores of one respondent by instrument."""
    return prediction.scores(played(policy, **how)).set_index("instrument")


@pytest.fixture(scope="module")
def references():
    names = ("faithful", "reciter", "lapsing", "agreeable", "random")
    return {name: transfer(of_reference(name)) for name in names}


@pytest.mark.parametrize(("name", "score", "within"), [
    ("faithful", 1, 0.01), ("reciter", 0, 0.02), ("lapsing", 1, 0.01), ("agreeable", 1, 0.01),
])  # fmt: skip
def test_reference_respondents_have_the_transfer_that_they_are_made_with(
    references, name, score, within
):
    found = references[name].loc[prediction.ALL]
    assert found.transfer == pytest.approx(score, abs=within)
    assert (found.low, found.high) == pytest.approx((found.transfer, found.transfer))
    assert found.wordings == 2


@pytest.mark.parametrize("name", ["faithful", "lapsing"])
def test_one_utility_is_acted_on_in_every_game(references, name):
    assert references[name].index.tolist() == [*GAMES, prediction.ALL]
    assert references[name].transfer.to_numpy() == pytest.approx(1, abs=0.02)
    assert references[name].explained.min() > 0.85


@pytest.mark.parametrize("value", FOUR)
def test_each_value_transfers_by_itself(value):
    assert transfer(of_reference("faithful"), held=[value]).transfer[prediction.ALL] >= 0.99
    assert transfer(of_reference("reciter"), held=[value]).transfer[prediction.ALL] == (
        pytest.approx(0, abs=0.02)
    )


def test_noisy_choices_by_one_utility_transfer_whole():
    found = transfer(lambda value, game, _: softmax(SHARED * utility_of(value, game)))
    assert found.transfer.to_numpy() == pytest.approx(1, abs=0.05)
    assert found.transfer[prediction.ALL] == pytest.approx(1, abs=0.02)


def test_transfer_is_the_share_of_answers_that_act_on_the_utility():
    def half(value, game, _):
        ideal = even(utility_of(value, game))
        return ideal if game.name == HOME else (ideal + uniform(game)) / 2

    assert transfer(half).transfer[prediction.ALL] == pytest.approx(0.5, abs=0.01)


def test_choices_against_the_utility_lie_below_0():
    def turned(value, game, _):
        return even(utility_of(value, game) * (1 if game.name == HOME else -1))

    assert transfer(turned).transfer[prediction.ALL] < -0.5


def test_gains_are_those_by_hand():
    """Somebody prosocial on the slider, in the dilemma: coins gained over coins to be gained."""
    game = instruments.load("dilemma-second")
    rng = np.random.default_rng(5)
    table = rng.dirichlet([1, 1], size=len(game.items))

    def policy(value, one, _):
        return table if one.name == game.name else of_reference("faithful")(value, one, "")

    gained = possible = 0.0
    for chances, options in zip(table.tolist(), game.payoffs.tolist(), strict=True):
        worth = [own + other for own, other in options]
        mean = sum(worth) / 2
        gained += sum(p * (u - mean) for p, u in zip(chances, worth, strict=True))
        possible += max(worth) - mean
    found = transfer(policy, held=["prosocial"], games=[HOME, game.name])
    assert found.transfer[game.name] == pytest.approx(gained / possible, abs=0.01)


def test_a_uniform_random_respondent_has_nothing_to_transfer(references):
    found = references["random"]
    assert np.isnan(found[["transfer", "low", "high", "explained"]].to_numpy(float)).all()
    assert set(found.note) == {"nothing to transfer: the slider shows no utility"}
    assert (found.wordings == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_hardly_uneven_probabilities_have_nothing_to_transfer(seed):
    rng = np.random.default_rng(seed)

    def policy(value, game, _):
        return rng.dirichlet(np.full(game.options, 25.0), size=len(game.items))

    found = transfer(policy, held=FOUR[:1], games=[HOME, "ring-measure"])
    assert set(found.note) == {prediction.NOTHING}


def test_choices_drawn_at_random_show_no_utility_although_each_looks_like_one():
    def policy(value, game, wording):
        return np.eye(game.options)[rng.integers(game.options, size=len(game.items))]

    for seed in range(5):
        rng = np.random.default_rng(seed)
        said = {"wordings": list("abcdefghi"), "games": [HOME, "ring-measure"]}
        assert set(transfer(policy, held=FOUR[:1], **said).note) == {prediction.NOTHING}


def test_always_the_same_option_shows_no_utility():
    """It fits weights on both sides of the circle a little, and so none."""

    def policy(value, game, _):
        return np.eye(game.options)[np.zeros(len(game.items), int)]

    assert set(transfer(policy, held=FOUR[:1]).note) == {prediction.NOTHING}


def test_a_game_in_which_the_utility_prefers_nothing_has_no_transfer(references):
    returned = references["agreeable"].loc["trust-return"]  # what is returned is not multiplied
    assert np.isnan(returned.transfer)
    assert returned.note == "the utility of the slider prefers no option here"


def test_who_wants_equality_is_no_one_weight_and_is_not_predicted():
    """On the slider as the prosocial; elsewhere rather nothing for both than little for one."""
    found = transfer(fair, held=["prosocial"])
    shown = prediction.fits(played(fair, held=["prosocial"])).iloc[0]
    assert shown.angle == pytest.approx(45, abs=1)
    assert found.transfer["ultimatum-responder"] < -0.5
    assert found.transfer[prediction.ALL] < 0.5


def test_the_twin_and_other_parts_do_not_count():
    table = played(of_reference("faithful"), games=[HOME, TWIN, "ring-measure"])
    other = played(lambda value, game, _: uniform(game), games=[HOME]).assign(part="objective")
    found = prediction.scores(pd.concat([table, other]))
    assert found.instrument.tolist() == ["ring-measure", prediction.ALL]
    assert found.transfer.to_numpy() == pytest.approx(1, abs=0.02)


def test_wordings_in_which_a_game_is_played_otherwise_widen_the_interval():
    def policy(value, game, wording):
        acts = game.name == HOME or wording != "casual"
        return even(utility_of(value, game)) if acts else uniform(game)

    found = transfer(policy, wordings=["plain", "formal", "polite", "casual"]).loc[prediction.ALL]
    assert found.transfer == pytest.approx(0.75, abs=0.01)
    error = np.std([1, 1, 1, 0], ddof=1) / 2
    half = 3.182 * error  # the t quantile of three degrees of freedom
    assert (found.low, found.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.02)


def test_one_wording_has_no_interval():
    found = transfer(of_reference("faithful"), wordings=["plain"]).loc[prediction.ALL]
    assert found.transfer == pytest.approx(1, abs=0.01)
    assert np.isnan([found.low, found.high]).all()
    assert "too few wordings" in found.note


def lacking(where):
    """Faithful, but for the second item of what `where` (game, wording) names."""

    def policy(value, game, wording):
        table = of_reference("faithful")(value, game, wording)
        table[1] = np.nan if where(game.name, wording) else table[1]
        return table

    return policy


def test_a_game_that_lacks_answers_in_a_wording_is_left_out_there():
    policy = lacking(lambda game, wording: (game, wording) == ("ring-measure", "plain"))
    found = transfer(policy)
    assert found.wordings[["ring-measure", "trust-return", prediction.ALL]].tolist() == [1, 2, 2]
    assert found.transfer.to_numpy() == pytest.approx(1, abs=0.02)


def test_without_answers_there_is_no_transfer_and_the_reason_is_said():
    found = transfer(lacking(lambda game, _: game == "ring-measure"))
    assert np.isnan(found.transfer["ring-measure"])
    assert found.note["ring-measure"] == "items without an answer"
    assert found.transfer[prediction.ALL] == pytest.approx(1, abs=0.01)
    table = played(lacking(lambda game, _: game == HOME))
    scores, fits = prediction.scores(table), prediction.fits(table)
    assert scores.transfer.isna().all()
    reason = "no wording in which every item of the slider was answered"
    assert {*scores.note, *fits.note} == {reason}
    assert fits[["angle", "rho", "sigma", "precision"]].isna().all(axis=None)


def test_fits_show_the_weight_and_do_not_guess_the_two():
    noisy = prediction.fits(played(lambda v, g, _: softmax(SHARED * utility_of(v, g))))
    assert noisy.set_index("value").angle[[*FOUR]].tolist() == pytest.approx(
        [90, 45, 0, -45], abs=4
    )
    prosocial = noisy[noisy.value == "prosocial"].iloc[0]
    assert (prosocial.rho, prosocial.sigma) == pytest.approx((0.5, 0.5), abs=0.01)
    assert (noisy.explained > 0.95).all()
    sharp = prediction.fits(played(of_reference("faithful")))
    assert sharp[["rho", "sigma"]].isna().all(axis=None)
    assert sharp.note.str.contains("do not tell rho and sigma").all()
    assert (sharp.share > 0.95).all()


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(UserError, match="wording"):
        prediction.scores(played(of_reference("faithful"), held=FOUR[:1]).drop(columns="wording"))
