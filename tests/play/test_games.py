"""The games beside a study: what is asked, once, by whom, and what is refused beforehand."""

import shutil

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments
from hvae_utils.metrics.transfer import games as rated
from hvae_utils.metrics.transfer import prediction
from hvae_utils.play import games, study
from hvae_utils.play.records import read
from hvae_utils.run import profiles

VALUES = ("altruistic", "prosocial", "individualistic", "competitive", "none")
GAMES = ("ultimatum-responder", "slider-twin")


def conditions(**changed):
    given = {"models": ("reference/lapsing",), "values": VALUES, "goal_prompts": (False, True)}
    given |= {"wordings": ("plain", "formal", "brief", "casual"), "orders": ("latin",)}
    return study.conditions(study.Study(**given | {"readout": "probabilities"} | changed))


def test_each_part_is_asked_in_the_studys_own_words():
    planned = games.planned(conditions(), games.Choice(GAMES, wordings=2, weights=("0", "inf")))
    assert [(part.name, part.conditions["instrument"].iloc[0]) for part in planned] == [
        ("games", "svo-slider"), ("games", GAMES[0]), ("games", GAMES[1]),
        ("objective", "svo-slider"), ("weights", "graded-weights"),
    ]  # fmt: skip
    for part in planned:
        frame = part.conditions
        assert set(frame["wording"]) == {"plain", "brief"}
        assert not frame["goal_prompt"].any()
        told = {"weight 0", "weight inf"} if part.name == "weights" else set(VALUES[:4])
        assert set(frame["value"]) == told
        induction = "self_description" if part.name == "games" else "objective"
        assert set(frame["induction"]) == {induction}
        assert set(frame["model"]) == {"reference/lapsing", *games.YARDSTICKS}


def test_the_slider_is_shown_as_in_the_study_so_that_its_answers_serve_twice():
    whole = conditions()
    home = games.planned(whole, games.Choice(GAMES, wordings=2))[0].conditions
    mine = home[home["model"] == "reference/lapsing"]
    assert set(mine["condition_id"]) <= set(whole["condition_id"])


def test_nothing_is_asked_twice_and_nobody_else(tmp_path):
    records, chosen = tmp_path / "records.jsonl", games.Choice(GAMES, wordings=1, weights=("1",))
    played = games.administer(records, conditions(), chosen)
    asked = len(list(read(records)))
    again = games.administer(records, conditions(), chosen)
    assert len(list(read(records))) == asked
    pd.testing.assert_frame_equal(played.drop(columns="latency_s"), again.drop(columns="latency_s"))
    assert played["part"].value_counts().to_dict() == {
        "games": 4 * 4 * (6 + 9 + 6), "objective": 4 * 4 * 6, "weights": 4 * 6,
    }  # fmt: skip
    assert not played.duplicated(["condition_id", "item"]).any()


def test_a_reciter_is_exposed_by_any_game_and_by_another_form_of_the_slider(tmp_path):
    forms = ("svo-slider+scaled-2", "svo-slider+swapped", "triple-dominance")
    played = games.administer(
        tmp_path / "records.jsonl", conditions(), games.Choice(forms, wordings=2)
    )
    ratings = rated.ratings(played)
    vr = ratings[ratings["part"] == "games"].groupby(["model", "instrument"])["vr"].mean()
    assert vr["reference/reciter", "svo-slider"] == pytest.approx(1)
    for form in forms:
        assert vr["reference/reciter", form] == pytest.approx(0, abs=1e-9)
        assert vr["reference/faithful", form] == pytest.approx(1)
    scores = prediction.scores(played).set_index(["model", "instrument"])["transfer"]
    assert abs(scores["reference/reciter", "all games"]) < 0.02
    assert scores["reference/faithful", "all games"] >= 0.99


def test_no_games_are_no_rows_and_every_table_stays_readable(tmp_path):
    played = games.administer(tmp_path / "records.jsonl", conditions(), games.Choice(()))
    assert played.empty
    ratings = rated.ratings(played)
    for table in (rated.cells(ratings), rated.gaps(ratings), rated.steerabilities(played),
                  prediction.fits(played), prediction.scores(played)):  # fmt: skip
        assert table.empty
        assert len(table.columns) > 3


def test_models_that_the_study_does_not_ask_do_not_play():
    chosen = games.Choice(GAMES, models=("reference/agreeable", "reference/lapsing"))
    frames = [part.conditions for part in games.planned(conditions(), chosen)]
    assert set(pd.concat(frames)["model"]) == {"reference/lapsing", *games.YARDSTICKS}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"games": ("ultimatum",)}, "unknown instrument 'ultimatum'"),
        ({"games": GAMES, "models": ("reference/radom",)}, "Did you mean 'reference/random'"),
        ({"games": GAMES, "weights": ("half",)}, "a graded weight must be a number"),
        ({"games": GAMES, "weights": ("11",)}, "from -1 to 10"),
        ({"games": GAMES, "weights": ("0.5", "0.50")}, "more than once"),
        ({"games": GAMES, "wordings": -1}, "game_wordings is -1"),
        ({"games": (GAMES[0], GAMES[0])}, "games names ultimatum-responder more than once"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(changed, complaint):
    with pytest.raises(UserError, match=complaint) as refused:
        games.check(conditions(), games.Choice(**changed))
    assert "\n" not in str(refused.value)


def test_a_study_of_an_instrument_without_an_angle_is_refused_beforehand():
    given = {"models": ["reference/random"], "instrument": "dictator-budgets"}
    with pytest.raises(UserError, match="has no SVO angle"):
        profiles.check(given)


def test_two_options_stand_first_about_equally_often():
    """A favourite position is no value: over the study's wordings it comes to nothing."""
    chosen = games.Choice(("ring-measure", "dilemma-second"), wordings=2)
    for part in games.planned(conditions(), chosen)[1:3]:
        order = part.conditions["order"].unique()
        assert set(order) == {"cyclic-1"}  # so the items themselves must be balanced
        game = instruments.load(part.conditions["instrument"].iloc[0])
        joint = game.payoffs.sum(axis=2)
        first = np.argmax(joint, axis=1) == 0
        assert abs(first.mean() - 0.5) <= 0.25


def test_a_game_of_ones_own_is_two_files_and_is_played_like_any_other(tmp_path, monkeypatch):
    """A proposal that costs oneself nothing to take: only a competitor leaves the last one."""
    shutil.copytree(paths.DATA, tmp_path / "data", ignore=shutil.ignore_patterns("recorded"))
    folder = tmp_path / "data" / "instruments"
    folder.joinpath("mine.csv").write_text(
        "item,option,self,other,given,act\n1,1,0,0,30,0\n1,2,30,10,30,1\n"
        "2,1,20,60,20,1\n2,2,0,0,20,0\n"
    )
    folder.joinpath("mine.toml").write_text(
        'title = "t"\nsource = "s"\nrounding = 0\n[wordings.plain]\n'
        'task = "Take it or not. First {first}, second {second}."\n'
        'item = "You are offered {given}."\n'
        'options = ["not", "take"]\n'
    )
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    chosen = games.Choice(("mine", "mine+scaled-2+swapped"), wordings=1)
    played = games.administer(tmp_path / "records.jsonl", conditions(), chosen)
    mine = played[(played["instrument"] == "mine") & (played["model"] == "reference/faithful")]
    taken = mine.set_index(["value", "item"])["self"] > 0
    assert taken["altruistic"].all()
    assert taken["individualistic"].all()
    assert taken["competitive"].tolist() == [True, False]
    ratings = rated.ratings(played[played["model"] == "reference/faithful"])
    assert ratings.loc[ratings["part"] == "games", "vr"].to_numpy() == pytest.approx(1)


def test_a_study_of_no_value_has_no_games_and_is_not_refused():
    whole = conditions(values=("none",))
    games.check(whole, games.Choice(GAMES))
    assert games.planned(whole, games.Choice(GAMES)) == []
