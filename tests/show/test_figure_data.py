"""The tables behind the figures, against numbers known without them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, published, svo, values
from hvae_utils.metrics import published_chart
from hvae_utils.show import figures
from hvae_utils.show.names import display_names
from tests.show.test_figures import effects, known_run

SLIDER = instruments.load("svo-slider")
VALUES = values.load()


@pytest.fixture(scope="module")
def tables():
    return SimpleNamespace(**known_run())


def rows(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def ring(tables):
    return figures.svo_ring.table(tables.cells, SLIDER, VALUES, tables.steerability)


def test_names_lose_their_family_and_stay_different():
    names = display_names(["local/smollm2-135m-instruct", "reference/random"])
    assert list(names.values()) == ["smollm2-135m-instruct", "random"]
    same = display_names(["openai/gpt-4", "paper/gpt-4", "paper/claude"])
    assert list(same.values()) == ["openai/gpt-4", "paper/gpt-4", "claude"]


def test_a_path_is_named_by_its_file_and_a_long_name_loses_its_middle():
    model = "local//data/of/someone/Some-Very-Long-Model-Name-0.5B-Instruct-Q4_K_M.gguf"
    name = display_names([model])[model]
    assert "someone" not in name
    assert len(name) == 26
    assert name.startswith("Some-Very")
    assert name.endswith("Q4_K_M")
    twins = [f"local/{'x' * 20}{middle}{'y' * 20}" for middle in "ab"]
    assert len(set(display_names(twins).values())) == 2


def test_the_ring_holds_the_ideal_respondents_where_the_literature_has_them(tables):
    ideal = rows(ring(tables), part="ideal").set_index("value")
    assert ideal["angle"].round(3).to_dict() == {
        "altruistic": 61.390,
        "prosocial": 45.0,
        "individualistic": 0.0,
        "competitive": -16.260,
    }
    # The altruist answers A I A A I I: self 85+100+50+50+50+85, other 85+50+100+100+100+85.
    assert ideal.loc["altruistic", ["self", "other"]].tolist() == pytest.approx([420 / 6, 520 / 6])


def test_the_ring_has_the_three_official_boundaries(tables):
    boundary = rows(ring(tables), part="boundary")
    assert list(boundary["angle"]) == [57.15, 22.45, -12.04]


def test_the_ring_has_one_measured_row_a_cell_with_a_value_and_its_verdict(tables):
    measured = rows(ring(tables), part="measured")
    assert len(measured) == 6 * 4 * 2
    scored = rows(tables.cells, model="local/smollm2-135m-instruct").query("value != 'none'")
    silent = measured["self"].isna().sum()
    assert silent == (scored["scored"] == 0).sum() > 0
    assert set(rows(measured, respondent="faithful")["verdict"]) == {"acts on the value"}
    first = rows(measured, model="reference/first-option")
    assert first["angle"].to_numpy(float) == pytest.approx(np.full(8, 28.46), abs=0.1)


def test_a_verdict_that_differs_between_the_arms_is_the_one_with_a_goal(tables):
    told = tables.steerability.assign(
        verdict=np.where(tables.steerability["goal_prompt"], "undecided", "not estimable")
    )
    table = figures.svo_ring.table(tables.cells, SLIDER, VALUES, told)
    assert set(rows(table, part="measured")["verdict"]) == {"with goal: undecided"}
    assert figures.svo_ring.table(tables.cells, SLIDER, VALUES)["verdict"].isna().all()


def test_the_secondary_items_have_no_ring(tables):
    with pytest.raises(UserError, match="no SVO angle"):
        figures.svo_ring.table(tables.cells, instruments.load("svo-slider-secondary"), VALUES)


def test_the_items_are_listed_with_letters_and_named_ends():
    table = figures.slider_items.table(SLIDER, VALUES)
    option = rows(table, part="option")
    assert len(option) == 54
    last = rows(option, item=1, option=9).iloc[0]
    assert last[["letter", "self", "other", "end"]].tolist() == ["I", 85, 15, "competitive"]
    assert rows(option, item=5, letter="E").iloc[0][["self", "other", "end"]].tolist() == [
        75,
        75,
        "",
    ]
    ends = rows(option, end="individualistic")
    assert set(map(tuple, ends[["self", "other"]].to_numpy())) == {(100.0, 50.0)}
    assert (option["end"] != "").sum() == 12


def test_the_secondary_items_are_listed_without_ends():
    table = figures.slider_items.table(instruments.load("svo-slider-secondary"), VALUES)
    assert (rows(table, part="option")["end"] == "").all()
    assert len(rows(table, part="option")) == 81


def test_the_radar_leaves_out_what_has_no_target_and_keeps_what_was_not_scored(tables):
    table = figures.vr_radar.table(tables.cells)
    assert set(table["value"]) == {"altruistic", "prosocial", "individualistic", "competitive"}
    assert rows(table, respondent="faithful")["vr"].to_numpy() == pytest.approx(
        np.full(8, 60.0), abs=0.05
    )
    agreeable = rows(table, respondent="agreeable", value="competitive")
    assert agreeable["vr"].to_numpy() == pytest.approx([-1.26, -1.26], abs=5e-3)
    silent = rows(table, respondent="smollm2-135m-instruct", value="altruistic")
    assert silent["vr"].isna().all()
    assert silent["vr_random"].notna().all()


def test_angles_come_with_targets_and_the_mean_of_random_respondents(tables):
    table = figures.angle_by_value.table(tables.scores, tables.cells, SLIDER, VALUES)
    assert rows(table, part="random")["angle"].item() == pytest.approx(22.703, abs=5e-4)
    target = rows(table, part="target").set_index("value")
    assert "none" not in target.index
    assert target.loc["prosocial", ["angle_low", "angle_high"]].astype(float).round(3).tolist() == [
        37.093,
        52.907,
    ]
    singles = rows(table, part="administration")
    assert len(singles) == tables.scores["angle"].notna().sum()
    assert singles["angle"].notna().all()
    assert len(rows(table, part="cell")) == len(tables.cells)
    silent = rows(table, part="cell", respondent="smollm2-135m-instruct", value="none")
    assert silent["angle"].isna().all()
    assert (silent["bound_high"] > silent["bound_low"]).all()


def test_category_shares_add_up_and_count_what_has_no_angle(tables):
    table = figures.category_shares.table(tables.scores, SLIDER)
    measured = rows(table, part="measured")
    assert measured.groupby(["model", "value"])["share"].sum().to_numpy() == pytest.approx(
        np.ones(30)
    )
    agreeable = rows(measured, respondent="agreeable", category="prosocial")
    assert list(agreeable["share"]) == pytest.approx([1.0] * 5)
    assert list(agreeable["administrations"]) == [2 * 3] * 5  # both arms, three wordings
    lapsing = rows(measured, respondent="lapsing", value="altruistic").set_index("category")
    scored = rows(tables.scores, model="reference/lapsing", value="altruistic")
    assert lapsing["share"]["altruistic"] == pytest.approx(scored["p_altruistic"].mean())
    weak = rows(measured, model="local/smollm2-135m-instruct", value="altruistic")
    silent = rows(tables.scores, model="local/smollm2-135m-instruct", value="altruistic")["angle"]
    assert weak.set_index("category")["share"]["no angle"] == silent.isna().mean() > 0


def test_the_random_shares_are_the_counts_of_all_profiles(tables):
    table = figures.category_shares.table(tables.scores, SLIDER)
    shares = rows(table, part="random").set_index("category")["share"].astype(float) * 9**6
    assert shares.round(6).tolist() == [260, 269_348, 261_605, 228, 0]


def test_outcomes_are_counted_by_respondent(tables):
    table = figures.outcomes.table(tables.responses, tables.conditions)
    assert len(table) == 6 * 6
    weak = rows(table, respondent="smollm2-135m-instruct").set_index("outcome")
    assert weak["items"].sum() == 5 * 2 * 3 * 6
    assert weak["share"].sum() == pytest.approx(1)
    own = tables.conditions.loc[
        tables.conditions["model"] == "local/smollm2-135m-instruct", "condition_id"
    ]
    mine = tables.responses[tables.responses["condition_id"].isin(own)]
    assert weak.loc["unparseable", "items"] == (mine["outcome"] == "unparseable").sum()


def test_outcomes_say_how_many_items_were_cut_off_while_a_model_thought(tables):
    caption = figures.outcomes.caption(figures.outcomes.table(tables.responses, tables.conditions))
    assert "while thinking" not in caption
    responses = tables.responses.assign(outcome="truncated", thinking_tokens=[50.0, 0.0] * 90 * 6)
    table = figures.outcomes.table(responses, tables.conditions)
    cut = table[table["censored"] > 0]
    assert set(cut["outcome"]) == {"truncated"}
    assert (2 * cut["censored"] == cut["asked"]).all()
    assert "Cut off while thinking: faithful 50%, lapsing 50%" in figures.outcomes.caption(table)
    assert figures.outcomes.alt(table).endswith("smollm2-135m-instruct 50%.")


def test_a_response_of_an_unknown_condition_is_refused(tables):
    stray = tables.responses.assign(condition_id="nowhere")
    with pytest.raises(UserError, match="'nowhere' is not in the table of conditions"):
        figures.outcomes.table(stray, tables.conditions)


def test_the_published_radar_stands_beside_ten_random_tests():
    published = pd.read_csv(paths.DATA / "published" / "hvae_radar.csv")
    table = figures.vr_radar.published_table(published)
    assert len(table) == 64
    expected = {  # the literature notes: expected value rationality of ten random tests
        "altruistic": 21.31,
        "prosocial": 37.70,
        "individualistic": 37.30,
        "competitive": 21.04,
    }
    for value, random in expected.items():
        assert rows(table, value=value)["vr_random"].unique() == pytest.approx([random], abs=6e-3)


EMPTY = {
    "svo_ring": lambda t: figures.svo_ring.table(t.cells[:0], SLIDER, VALUES),
    "vr_radar": lambda t: figures.vr_radar.table(t.cells[:0]),
    "angle_by_value": lambda t: figures.angle_by_value.table(
        t.scores[:0], t.cells[:0], SLIDER, VALUES
    ),
    "category_shares": lambda t: figures.category_shares.table(t.scores[:0], SLIDER),
    "factor_effects": lambda t: figures.factor_effects.table(effects(["a"])[:0]),
    "steerability_forest": lambda t: figures.steerability_forest.table(t.steerability[:0]),
    "angle_on_target": lambda t: figures.angle_on_target.table(t.scores[:0], SLIDER, VALUES),
    "people_and_models": lambda t: figures.people_and_models.table(
        t.cells[:0], published.people_histogram(), SLIDER, VALUES
    ),
    "three_readings": lambda t: figures.three_readings.table(t.cells[:0]),
    "angle_distributions": lambda t: figures.angle_distributions.table(
        t.conditions[:0], t.responses, SLIDER, VALUES
    ),
    "outcomes": lambda t: figures.outcomes.table(t.responses[:0], t.conditions),
    "published_radar": lambda t: figures.vr_radar.published_table(
        pd.DataFrame(columns=["model", "value", "goal_prompt", "vr", "reading_error"])
    ),
}


@pytest.mark.parametrize("figure", EMPTY)
def test_an_empty_table_is_a_users_mistake_in_a_sentence(figure, tables):
    with pytest.raises(UserError, match=r"the table is empty, so there is nothing to draw"):
        EMPTY[figure](tables)


def test_a_missing_column_is_named(tables):
    with pytest.raises(UserError, match="cells: the column 'vr' is missing"):
        figures.vr_radar.table(tables.cells.drop(columns="vr"))


def test_only_values_without_a_target_leave_no_radar_and_no_line(tables):
    with pytest.raises(UserError, match="no assigned value has a target"):
        figures.vr_radar.table(rows(tables.cells, value="none"))
    with pytest.raises(UserError, match="no assigned value has a target"):
        figures.angle_on_target.table(rows(tables.scores, value="none"), SLIDER, VALUES)


def test_the_mean_line_is_the_mean_of_the_wordings_lines(tables):
    table = figures.angle_on_target.table(tables.scores, SLIDER, VALUES)
    one = rows(table, model="reference/first-option", value="altruistic", goal_prompt=True)
    wordings, mean = rows(one, part="wording")["angle"], rows(one, part="mean")["angle"].item()
    assert len(wordings) == 3
    assert mean == pytest.approx(wordings.mean())
    assert rows(table, part="random")["angle"].item() == pytest.approx(22.703, abs=5e-4)
    assert list(rows(table, part="mean")["target"][:4].round(2)) == sorted(
        rows(table, part="mean")["target"][:4].round(2)
    )


def test_the_forest_puts_the_published_models_below_and_without_a_verdict(tables):
    chart = published_chart.steerability()
    table = figures.steerability_forest.table(tables.steerability, chart)
    assert list(table["part"].unique()) == ["run", "published"]
    assert rows(table, part="published")["verdict"].isna().all()
    gpt4 = rows(table, respondent="GPT-4", goal_prompt=True).iloc[0]
    assert gpt4["branch_low"] <= gpt4["steerability"] <= gpt4["branch_high"]
    assert figures.steerability_forest.table(tables.steerability)["part"].unique() == ["run"]


def test_distributions_sum_to_one_and_mix_the_administrations(tables):
    table = figures.angle_distributions.table(tables.conditions, tables.responses, SLIDER, VALUES)
    measured = rows(table, part="measured")
    sums = measured.groupby(["model", "value"])["share"].sum(min_count=1).dropna()
    assert sums.to_numpy() == pytest.approx(np.ones(25))  # the one read as text has none
    faithful = rows(measured, respondent="faithful", value="competitive")
    assert faithful[["low", "high", "share"]].to_numpy() == pytest.approx(np.array([[-17, -16, 1]]))
    assert set(rows(measured, respondent="smollm2-135m-instruct")["administrations"]) == {0}


def test_two_administrations_that_differ_are_mixed_half_and_half():
    conditions = pd.DataFrame({"condition_id": ["a", "b", "c"], "model": "m", "value": "none"})
    conditions["protocol"] = ["independent", "independent", "conversation"]
    ideals = [np.eye(9)[svo.ideal_choices(name, SLIDER)] for name in svo.CATEGORIES[:3]]
    listed = pd.DataFrame(np.concatenate(ideals), columns=[f"p{at}" for at in range(1, 10)])
    listed = listed.assign(condition_id=np.repeat(["a", "b", "c"], 6), item=[*SLIDER.items] * 3)
    listed = listed.assign(method="probabilities", option=pd.array([1] * 18, "Int64"))
    found = figures.angle_distributions.table(conditions, listed, SLIDER, VALUES)
    found = rows(found, part="measured")
    assert found[["low", "share"]].to_numpy().tolist() == [[45, 0.5], [61, 0.5]]
    stray = listed.assign(condition_id="elsewhere")
    with pytest.raises(UserError, match="none of them belongs to a condition"):
        figures.angle_distributions.table(conditions, stray, SLIDER, VALUES)


def test_people_and_random_respondents_share_the_bins(tables):
    people = published.people_histogram()
    table = figures.people_and_models.table(tables.cells, people, SLIDER, VALUES)
    shares = table[table["part"].isin(["people", "random"])]
    sums = shares.groupby(["part", "sample"], dropna=False)["share"].sum()
    assert sums.to_numpy() == pytest.approx(1)
    counts = rows(table, part="people").groupby("sample")["count"].sum()
    assert counts.to_dict() == {"Many Labs 2": 6234, "Swiss panel": 757}


def test_no_table_handed_in_is_changed(tables):
    before = {name: getattr(tables, name).copy() for name in ("scores", "cells", "steerability")}
    ring(tables)
    figures.angle_by_value.table(tables.scores, tables.cells, SLIDER, VALUES)
    figures.category_shares.table(tables.scores, SLIDER)
    figures.angle_on_target.table(tables.scores, SLIDER, VALUES)
    for name, table in before.items():
        pd.testing.assert_frame_equal(table, getattr(tables, name))


def test_a_respondent_whose_scores_are_mostly_flagged_carries_a_dagger_and_no_other():
    columns = {"goal_prompt": False, "vr": 1.0, "vr_random": 1.0, "administrations": 1, "scored": 1}
    cells = pd.DataFrame(
        {
            "model": ["a", "a", "b", "b", "b"],
            "value": ["altruistic", "prosocial", "altruistic", "prosocial", "none"],
            "target": [61.39, 45.0, 61.39, 45.0, np.nan],
            "flag": ["short vectors", "order matters", "", np.nan, "short vectors"],
        }
    ).assign(**columns)
    cells[["mean_self", "mean_other", "mean_angle", "angle_low", "angle_high"]] = 50.0
    people = published.people_histogram()
    for table in (
        figures.vr_radar.table(cells),
        figures.svo_ring.table(cells, SLIDER, VALUES),
        figures.people_and_models.table(cells, people, SLIDER, VALUES),
    ):
        assert table.groupby("model").respondent.first().to_dict() == {"a": "a †", "b": "b"}


def test_a_class_lies_beside_people_in_the_same_stretches():
    cells = pd.DataFrame(
        {"low": [-17.5, 22.5], "high": [22.5, 62.5], "count": [5, 15], "share": [0.25, 0.75]}
    )
    people = published.people_histogram()
    samples = {"Many Labs 2": people[people["sample"] == "Many Labs 2"]}
    table = figures.class_beside_people.table(cells, samples)
    share = table.set_index(["sample", "low"])["share"]
    low = people[(people["sample"] == "Many Labs 2") & (people["high"] <= 22.5)]["share"].sum()
    assert share["this class", 22.5] == 0.75
    assert share["Many Labs 2", -17.5] == pytest.approx(low)
    assert share["Many Labs 2"].sum() == pytest.approx(1, abs=0.01)
    assert "−17.5° to 22.5° 25% and 22.5° to 62.5° 75%" in figures.class_beside_people.alt(table)
    drawn = figures.class_beside_people.draw(table).axes[0]
    assert sorted(bar.get_height() for bar in drawn.patches) == [25, 75]
    assert [text.get_text() for text in drawn.texts][:2] == ["5 people", "15 people"]
