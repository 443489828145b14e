"""How well a value is followed in each game, and what is lost on the way from the slider."""

import itertools

import numpy as np
import pandas as pd
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, published
from hvae_utils.metrics.transfer import games
from tests.support.played import FOUR, GAMES, HOME, TWIN, even, played, uniform, utility_of

ALL = (HOME, TWIN, *GAMES)


def acting(value, game, _):
    """Take a best option; of those within a coin, as the slider's rounding leaves them, any."""
    return even(utility_of(value, game), slack=1.0 if game.name == HOME else 1e-9)


def reciting(value, game, wording):
    return acting(value, game, wording) if game.name == HOME else uniform(game)


def rating(policy, **how):
    return games.ratings(played(policy, **({"games": ALL} | how)))


def test_best_choices_are_rated_1_and_random_ones_0_in_every_game():
    told = rating(acting).dropna(subset="vr")
    assert set(told.instrument) == set(ALL)
    assert told.vr.to_numpy() == pytest.approx(1, abs=0.01)
    assert told.regret.to_numpy() == pytest.approx(0, abs=0.01)
    assert rating(lambda _, game, __: uniform(game)).vr.dropna().to_numpy() == pytest.approx(0)


def test_a_rating_is_the_share_of_the_regret_avoided():
    game = instruments.load("dictator-budgets")
    table = np.random.default_rng(2).dirichlet(np.ones(9), size=8)
    found = rating(lambda *_: table, held=["altruistic"], games=[game.name], wordings=["plain"])
    lost = chance = 0.0
    for chances, options in zip(table.tolist(), game.payoffs[..., 1].tolist(), strict=True):
        shares = [(max(options) - one) / (max(options) - min(options)) for one in options]
        lost += sum(p * share for p, share in zip(chances, shares, strict=True)) / 8
        chance += sum(shares) / 9 / 8
    assert found.regret.item() == pytest.approx(lost)
    assert found.vr.item() == pytest.approx(1 - lost / chance)
    assert found["items"].item() == 8


def test_what_a_game_cannot_tell_is_no_number_but_a_reason():
    level = rating(acting, held=["prosocial"], games=["trust-return"])
    assert level.vr.isna().all()
    assert set(level.note) == {"every option is as good"}  # what goes back is not multiplied
    none = rating(lambda _, game, __: uniform(game), held=["none"], games=[HOME])
    assert none.vr.isna().all()
    assert set(none.note) == {"nothing is preferred"}


def test_a_missing_item_leaves_no_rating_unless_it_is_level():
    def silent(item):
        def policy(value, game, wording):
            table = acting(value, game, wording)
            table[item] = np.nan
            return table

        return rating(policy, held=["prosocial"], games=[HOME])

    assert silent(0).vr.isna().all()
    assert set(silent(0).note) == {"1 items without an answer"}
    assert silent(4).vr.to_numpy() == pytest.approx(1)  # whose options give 150 to 150 together


def test_cells_are_means_over_wordings_with_their_interval():
    def policy(value, game, wording):
        return acting(value, game, wording) if wording != "formal" else uniform(game)

    cell = games.cells(rating(policy, held=["altruistic"], games=["ring-measure"]))
    assert len(cell) == 1
    half = 12.706 * np.std([0, 1], ddof=1) / np.sqrt(2)  # t quantile, one degree of freedom
    assert cell.vr.item() == pytest.approx(0.5)
    assert [cell.low.item(), cell.high.item()] == pytest.approx([0.5 - half, 0.5 + half], abs=1e-3)
    assert cell.wordings.item() == 2


def test_the_gap_is_what_the_slider_shows_and_a_game_does_not():
    found = games.gaps(rating(reciting)).set_index("instrument")
    assert set(found.index) == set(ALL) - {HOME}
    assert found.difference.to_numpy() == pytest.approx(1, abs=0.01)
    assert games.gaps(rating(acting)).difference.to_numpy() == pytest.approx(0, abs=0.01)
    assert found["values"]["trust-return"] == 3  # all but the prosocial, whom it cannot tell


def test_a_gap_is_paired_by_wording_where_answers_lack():
    """The slider lacks one wording and the game another: only the third is in both."""

    def policy(value, game, wording):
        share = {"plain": 1.0, "formal": 0.5, "polite": 0.0}[wording]
        table = share * acting(value, game, wording) + (1 - share) * uniform(game)
        if (game.name, wording) in ((HOME, "plain"), ("ring-measure", "polite")):
            table[0] = np.nan
        return table

    said = {"games": [HOME, "ring-measure"], "wordings": ["plain", "formal", "polite"]}
    found = games.gaps(rating(policy, held=["altruistic"], **said)).iloc[0]
    assert found.wordings == 1
    assert found.difference == pytest.approx(0, abs=1e-9)


def test_angles_move_with_the_target_on_every_instrument_that_has_them():
    found = games.steerabilities(played(acting, games=ALL)).set_index("instrument")
    assert set(found.index) == {HOME, "ring-measure"}
    assert found.steerability.to_numpy() == pytest.approx(1, abs=0.05)
    recited = games.steerabilities(played(reciting)).set_index("instrument")
    assert np.isnan(recited.steerability["ring-measure"])
    assert recited.note["ring-measure"]
    constant = games.steerabilities(played(lambda _, *rest: acting("prosocial", *rest)))
    assert constant.steerability.to_numpy() == pytest.approx(0, abs=1e-9)


def test_an_angle_is_that_of_the_mean_payoffs():
    ring = instruments.load("ring-measure")
    for value, angle in zip(FOUR, (90, 45, 0, -45), strict=True):
        assert games.mean_angle(acting(value, ring, ""), ring) == pytest.approx(angle, abs=0.01)
    assert np.isnan(games.mean_angle(uniform(ring), ring))


@pytest.mark.parametrize("name", ["dictator-budgets", "ultimatum-responder", TWIN])
def test_an_angle_of_a_game_that_has_none_is_refused(name):
    game = instruments.load(name)
    with pytest.raises(UserError, match=f"'{name}' has no angle"):
        games.mean_angle(uniform(game), game)


def test_a_table_that_is_none_is_refused():
    table = played(acting, held=FOUR[:1], games=[HOME])
    for column in ("part", "wording", "condition_id", "method"):
        with pytest.raises(UserError, match=column):
            games.ratings(table.drop(columns=column))
    with pytest.raises(UserError, match="unknown value 'selfless'"):
        games.ratings(table.assign(value="selfless"))


def test_no_rows_are_no_ratings():
    nothing = games.ratings(played(acting, held=FOUR[:1], games=[HOME]).iloc[:0])
    assert nothing.empty
    for measured in (games.cells(nothing), games.gaps(nothing)):
        assert isinstance(measured, pd.DataFrame)
        assert measured.empty


def test_acts_are_shares_of_the_most_that_could_be_done():
    """An altruist passes on everything, an individualist nothing, random choices half."""
    people = published.people_in_games()
    for policy, held, share in (
        (acting, "altruistic", 1),
        (acting, "individualistic", 0),
        (lambda _, game, __: uniform(game), "altruistic", 0.5),
    ):
        found = games.acts(played(policy, held=[held]), people).set_index("instrument")
        assert set(found.index) == set(people["instrument"])
        assert found["share"].to_numpy() == pytest.approx(share, abs=0.01)
    assert found["people"].to_dict() == {"dictator-budgets": 0.28, "trust-return": 0.37}


def test_who_is_classified_is_enumerated_over_all_answers():
    """Three of three items: every profile of answers, its probability and its hits, by hand."""
    game = instruments.load("triple-dominance")
    rng = np.random.default_rng(3)
    table = rng.dirichlet(np.ones(3), size=9)
    found = games.classified(played(lambda *_: table, held=["prosocial"], games=[game.name]))
    best = [item.sum(axis=1).argmax() for item in game.payoffs]  # the largest sum, one an item
    hits = table[np.arange(9), best]
    total = 0.0
    for profile in itertools.product((0, 1), repeat=9):
        if sum(profile) >= 6:
            total += np.prod(np.where(profile, hits, 1 - hits))
    assert found["prosocial"].to_numpy() == pytest.approx(total)
    names = ["prosocial", "individualistic", "competitive", "none"]
    assert found[names].sum(axis=1).to_numpy() == pytest.approx(1)
    sure = games.classified(played(acting, held=["competitive"], games=[game.name]))
    assert sure["competitive"].to_numpy() == pytest.approx(1)
