"""The games: their amounts follow the published rules, and a utility alone says what is best."""

import itertools
import math
import re

import numpy as np
import pytest

from hvae_utils import paths
from hvae_utils.ask import prompts, replies
from hvae_utils.errors import UserError
from hvae_utils.measure import choices, instruments, values

GAMES = (
    "ring-measure", "triple-dominance", "dictator-budgets", "ultimatum-responder",
    "trust-return", "dilemma-second", "conditional-contributions", "slider-twin",
)  # fmt: skip
FOUR = values.names()[:4]


def value(own=0.0, other=0.0, inequality=0.0):
    return values.Value("test", "test", "", (own, other, inequality), None, None)


def payoff(name, item, act):
    """Return (self, other) of the option of an item (both from 0) that is this act."""
    game = instruments.load(name)
    (place,) = np.flatnonzero(game.acts[item] == act)
    return tuple(game.payoffs[item, place])


# --- the amounts


def test_ring_pairs_are_neighbours_on_a_circle():
    ring = instruments.load("ring-measure")
    angles = np.degrees(np.arctan2(ring.payoffs[..., 1], ring.payoffs[..., 0])) % 360
    assert np.abs(np.hypot(*np.moveaxis(ring.payoffs, -1, 0)) - 100).max() < 0.8  # whole coins
    steps = [sorted({round(a / 15) % 24, round(b / 15) % 24}) for a, b in angles]
    assert sorted(map(tuple, steps)) == sorted([*((k, k + 1) for k in range(23)), (0, 23)])
    assert ring.payoffs.shape == (24, 2, 2)


def test_every_triple_offers_the_most_of_each_orientation():
    triple = instruments.load("triple-dominance")
    assert triple.payoffs.shape == (9, 3, 2)
    assert triple.criterion == 6
    for item in triple.payoffs:
        own, other = item.T
        joint, ahead = own + other, own - other
        assert len({int(joint.argmax()), int(own.argmax()), int(ahead.argmax())}) == 3
        assert own[joint.argmax()] == other[joint.argmax()]


def test_dictator_budgets_are_those_of_andreoni_and_miller():
    budgets = instruments.load("dictator-budgets")
    for (tokens, held, passed), options, acts in zip(
        [(40, 3, 1), (40, 1, 3), (60, 2, 1), (60, 1, 2), (75, 2, 1), (75, 1, 2), (60, 1, 1),
         (100, 1, 1)],
        budgets.payoffs, budgets.acts, strict=True,
    ):  # fmt: skip
        assert options[:, 0].tolist() == [held * (tokens - away) for away in acts]
        assert options[:, 1].tolist() == [passed * away for away in acts]
        assert np.abs(acts - tokens * np.arange(9) / 8).max() <= 0.5


def test_a_proposal_is_carried_out_or_nobody_gets_anything():
    game = instruments.load("ultimatum-responder")
    assert game.given.tolist() == [*range(8, 80, 8)]
    for item, offer in enumerate(game.given):
        assert payoff(game.name, item, 1) == (offer, 80 - offer)
        assert payoff(game.name, item, 0) == (0, 0)


def test_what_is_sent_is_tripled_and_what_goes_back_is_not():
    game = instruments.load("trust-return")
    for item, sent in enumerate(game.given):
        assert game.acts[item].tolist() == [3 * sent * k / 8 for k in range(9)]
        for back in game.acts[item]:
            assert payoff(game.name, item, back) == (40 + 3 * sent - back, 40 - sent + back)


def test_the_second_mover_meets_each_first_action_of_a_dilemma():
    game = instruments.load("dilemma-second")
    assert game.given.tolist() == [1, 0] * 4
    for after_first, after_second in zip(range(0, 8, 2), range(1, 8, 2), strict=True):
        (reward, same), (temptation, sucker) = (payoff(game.name, after_first, a) for a in (1, 0))
        assert reward == same
        assert payoff(game.name, after_second, 1) == (sucker, temptation)
        punishment, level = payoff(game.name, after_second, 0)
        assert punishment == level
        assert temptation > reward > punishment > sucker
        assert 2 * reward > temptation + sucker


def test_contributions_are_doubled_and_divided_by_four():
    game = instruments.load("conditional-contributions")
    for item, (others, own) in enumerate(itertools.product(game.given, range(0, 17, 2))):
        pot = 2 * (3 * others + own)
        expected = (16 - own + pot / 4, 3 * (16 - others) + 3 * pot / 4)
        assert payoff(game.name, item // 9, own) == expected


def test_the_twin_has_the_sliders_amounts_and_one_owner():
    twin, slider = instruments.load("slider-twin"), instruments.load("svo-slider")
    assert twin.own_accounts
    assert np.array_equal(twin.payoffs, slider.payoffs)
    best = [choices.best(name, twin) for name in FOUR]
    assert all(np.array_equal(best[0], other) for other in best)
    for item, sums in zip(best[0], slider.payoffs.sum(axis=2), strict=True):
        level = np.ptp(sums) <= 1
        assert (
            item.all()
            if level
            else set(np.flatnonzero(item)) == {k for k in range(9) if sums[k] == sums.max()}
        )


# --- best choices from the utility alone


@pytest.mark.parametrize("name", [*GAMES, "svo-slider", "svo-slider-secondary"])
@pytest.mark.parametrize(
    ("held", "utility"),
    [
        ("altruistic", lambda s, o: o), ("prosocial", lambda s, o: s + o),
        ("individualistic", lambda s, o: s), ("competitive", lambda s, o: s - o),
        (value(inequality=1), lambda s, o: -abs(s - o)),
        (value(1, -0.3, 0.5), lambda s, o: s - 0.3 * o - 0.5 * abs(s - o)),
    ],
)  # fmt: skip
def test_best_choices_are_those_of_enumeration(name, held, utility):
    instrument = instruments.load(name)
    if instrument.own_accounts:
        utility = lambda s, o: s + o  # noqa: E731
    for item, found in zip(
        instrument.payoffs.tolist(), choices.best(held, instrument), strict=True
    ):
        worth = [utility(own, other) for own, other in item]
        level = max(worth) - min(worth) <= instrument.rounding + 1e-9
        assert found.tolist() == [level or w > max(worth) - 1e-9 for w in worth]


@pytest.mark.parametrize("aversion", [0.1, 0.25, 0.4, 0.7, 1, 2, 5])
def test_small_shares_are_refused_by_who_dislikes_inequality(aversion):
    """Fehr & Schmidt (1999), proposition 1: shares below a / (1 + 2 a) are refused."""
    game = instruments.load("ultimatum-responder")
    averse = value(own=1, inequality=aversion)
    best = choices.best(averse, game)
    for item, offer in enumerate(game.given):
        if offer > 40:  # an advantage is disliked less there; here only a disadvantage is meant
            continue
        accepts = best[item, game.acts[item] == 1][0]
        threshold = aversion / (1 + 2 * aversion)
        assert accepts == (offer / 80 >= threshold - 1e-12)


@pytest.mark.parametrize("weight", np.linspace(-1, 2, 61))
def test_thresholds_of_the_public_good_and_the_dilemma(weight):
    contributes = weight > (1 - 0.5) / (0.5 * (4 - 1))
    best = choices.best(value(1, weight), instruments.load("conditional-contributions"))
    if not math.isclose(weight, 1 / 3):
        assert (best.argmax(axis=1) == (8 if contributes else 0)).all()
        assert (best.sum(axis=1) == 1).all()
    game = instruments.load("dilemma-second")
    best = choices.best(value(1, weight), game)
    for k, (t, r, p, s) in enumerate(
        [(100, 70, 30, 0), (90, 80, 40, 10), (100, 60, 50, 10), (80, 60, 20, 10)]
    ):
        for item, threshold in ((2 * k, (t - r) / (r - s)), (2 * k + 1, (p - s) / (t - p))):
            if not math.isclose(weight, threshold, abs_tol=1e-9):
                first = best[item, game.acts[item] == 1][0]
                assert first == (weight > threshold)


def test_chance_corrected_value_rationality_is_0_of_random_and_1_of_the_best():
    for name, held in itertools.product(GAMES, FOUR):
        instrument = instruments.load(name)
        best = choices.best(held, instrument)
        if best.all():
            with pytest.raises(UserError, match="tells no option of"):
                choices.rationality(best / best.sum(axis=1, keepdims=True), held, instrument)
            continue
        perfect = best / best.sum(axis=1, keepdims=True)
        uniform = np.full(best.shape, 1 / best.shape[1])
        assert choices.rationality(perfect, held, instrument) == pytest.approx(1)
        assert choices.rationality(uniform, held, instrument) == pytest.approx(0)
        half = (perfect + uniform) / 2
        assert choices.rationality(half, held, instrument) == pytest.approx(0.5)


def test_the_best_of_two_options_does_not_always_stand_first():
    for name in ("ring-measure", "ultimatum-responder", "dilemma-second"):
        for held in FOUR:
            best = choices.best(held, instruments.load(name))
            first = best[best.sum(axis=1) == 1][:, 0]
            assert 0.25 <= first.mean() <= 0.75, (name, held)


# --- the words


LOADED = re.compile(
    r"dilemma|trust|cooperat|defect|punish|shar(?:e|ing)\b|fair|partner|opponent|giv(?:e|ing)\b|"
    r"help|win|lose out|generous|selfish|altruis|prosocial|individualis|competit|game",
    re.I,
)


@pytest.mark.parametrize("pack", prompts.names())
@pytest.mark.parametrize("name", GAMES)
def test_an_item_is_told_in_the_words_of_each_pack(name, pack):
    game, words = instruments.load(name), prompts.load(pack)
    held = values.get("none")
    for item in range(len(game.items)):
        shown = prompts.present(game, item, [*range(game.options)][::-1])
        text = prompts.item_text(words, held, game, shown)
        assert not LOADED.search(text), LOADED.search(text)
        assert "{" not in text
        assert "\n\n" in text
        lines = text.splitlines()[-1 - game.options - 1 : -2]
        for line, (own, other) in zip(lines, game.payoffs[item][::-1], strict=True):
            assert re.match(rf"[A-I]: {own:g}, {other:g}(?: \(.+\))?$", line)


@pytest.mark.parametrize("name", GAMES[2:])
def test_a_game_is_told_in_nine_different_ways(name):
    told = instruments.load(name).words
    assert set(told) == set(prompts.WORDINGS)
    assert len({words.task for words in told.values()}) == len(told)


@pytest.mark.parametrize("reply", ["B", "B.", "B: 60, 60 (you take the first action)", "60, 60"])
def test_a_reply_to_a_game_is_read(reply):
    read = replies.parse(reply, ("A", "B"), [(100, 0), (60, 60)])
    assert (read.outcome, read.index) == ("choice", 1)


# --- isomorphic forms, and games of one's own


def test_forms_of_a_game_keep_its_rule():
    base, doubled = (instruments.load(f"trust-return{form}") for form in ("", "+scaled-2"))
    assert np.array_equal(doubled.payoffs, 2 * base.payoffs)
    assert np.array_equal(doubled.acts, 2 * base.acts)
    assert np.array_equal(doubled.given, 2 * base.given)
    named = instruments.load("dilemma-second+scaled-3")
    assert set(named.acts.ravel()) == set(named.given) == {0, 1}
    offers = instruments.load("ultimatum-responder+scaled-3")
    assert offers.given.tolist() == [*range(24, 240, 24)]
    assert set(offers.acts.ravel()) == {0, 1}
    with pytest.raises(UserError, match="cannot be shifted; try scaled"):
        instruments.load("trust-return+shifted-5")
    turned = instruments.load("ultimatum-responder+permuted-9-8-7-6-5-4-3-2-1")
    assert turned.given.tolist() == base_given()[::-1]


def base_given():
    return instruments.load("ultimatum-responder").given.tolist()


def test_other_goods_stand_everywhere_and_swapped_numbers_are_said():
    game = instruments.load("trust-return+renamed-points+swapped")
    text = prompts.item_text(
        prompts.load("plain"), values.get("none"), game, prompts.present(game, 0)
    )
    assert "coin" not in text
    assert "you send back 3 points" in text
    assert "the first number is the other person's points" in text
    assert "A: 32, 64 (you send back 0 points)" in text


CUSTOM = "item,option,self,other,given,act\n1,1,9,1,3,0\n1,2,5,5,3,4\n2,1,8,2,6,0\n2,2,4,8,6,4\n"
NOTES = """title = "t"
source = "s"
[wordings.plain]
task = "First {first}, second {second}."
item = "Stated: {given}."
option = "act {act}"
"""


def custom(folder, items=CUSTOM, notes=NOTES):
    (folder / "mine.csv").write_text(items)
    (folder / "mine.toml").write_text(notes)
    return instruments.read(folder / "mine.csv")


def test_a_game_of_ones_own_is_two_files(tmp_path):
    mine = custom(tmp_path)
    shown = prompts.present(mine, 1)
    text = prompts.item_text(prompts.load("formal"), values.get("none"), mine, shown)
    assert text.startswith("First your coins, second the other person's coins.\nStated: 6.\n\nA: 8")
    assert "B: 4, 8 (act 4)" in text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("1,2,5,5,3,4", "1,2,9,1,3,4"), "all options of item 1 give the same"),
        (("1,2,5,5,3,4", "1,2,5,5,2,4"), "item 1 must state the same 'given'"),
        (("option = ", "optoin = "), "unknown key 'optoin'"),
        (('"act {act}"', '"act {amount}"'), "no placeholder but {act}"),
        (("{first}", "mine"), "must say whose the {first} and {second}"),
        (("[wordings.plain]", "[wordings.formal]"), r"needs \[wordings.plain\]"),
        (('option = "act {act}"', 'options = ["no", "yes"]'), "a name for each number"),
        (("given,act", "stated,act"), "the columns must be item, option, self, other"),
    ],
)
def test_a_game_that_cannot_be_told_is_refused(tmp_path, change, complaint):
    items, notes = (text.replace(*change) for text in (CUSTOM, NOTES))
    with pytest.raises(UserError, match=complaint):
        custom(tmp_path, items, notes)


def test_words_without_their_column_are_refused(tmp_path):
    bare = "item,option,self,other\n1,1,9,1\n1,2,5,5\n"
    with pytest.raises(UserError, match="tells 'given', and the items have no such column"):
        custom(tmp_path, bare)


def test_each_game_names_its_source_and_licence():
    for name in GAMES:
        text = (paths.DATA / "instruments" / f"{name}.toml").read_text(encoding="utf-8")
        assert re.search(r"^source = .*\d{4}", text, re.M)
        assert "licence = " in text
