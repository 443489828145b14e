"""The two figures of raw and chance-corrected scores: a run's, and the published chart's."""

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from hvae_utils.errors import UserError
from hvae_utils.measure import published, values
from hvae_utils.show import figures
from tests.support import synthetic_tables


@lru_cache
def cells():
    return synthetic_tables.make(repeats=1).cells


@pytest.fixture(scope="module")
def run():
    return figures.raw_and_chance.table(cells())


@pytest.fixture(scope="module")
def chart():
    return figures.published_raw_and_chance.table()


@pytest.fixture(scope="module")
def drawn(chart):
    return figures.published_raw_and_chance.draw(chart)


def marks(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def words(figure):
    return [text.get_text() for text in figure.findobj(Text)]


def test_on_the_chance_scale_the_published_individualists_are_at_zero(chart):
    means = chart[chart["part"] == "mean"].set_index("value")
    expected = dict(zip(values.names()[:4], (0.48, 0.60, 0.01, 0.15), strict=True))
    assert means["chance"].round(2).to_dict() == expected
    assert means.loc["individualistic", ["chance_low", "chance_high"]].tolist() == pytest.approx(
        [-0.44, 0.45], abs=0.005
    )
    assert means.loc["individualistic", "raw"] == pytest.approx(37.5, abs=0.1)


def test_one_arm_is_shown_of_eight_published_models_the_best_first(chart):
    models = chart[chart["part"] == "model"]
    assert len(models) == 32
    assert set(models["goal_prompt"]) == {True}
    assert models["respondent"].unique().tolist()[:2] == ["GPT-4", "Claude"]


def test_the_runs_figure_has_no_published_model_and_no_mean(run):
    assert set(run["part"]) == {"model", "baseline"}
    assert set(run["model"].dropna()) == set(synthetic_tables.RESPONDENTS)
    assert "mean" not in words(figures.raw_and_chance.draw(run))


def test_a_run_without_the_goal_arm_shows_the_arm_it_has():
    table = figures.raw_and_chance.table(cells().query("not goal_prompt"))
    assert set(table["goal_prompt"].dropna()) == {False}
    assert "without goal prompt, 95% interval" in words(figures.raw_and_chance.draw(table))


def test_a_mark_stands_at_its_value_on_both_scales_with_the_mean_beside(drawn, chart):
    row = chart.query("respondent == 'GPT-4' and value == 'competitive'").iloc[0]
    for axes, scale in zip(drawn.axes, ("raw", "chance"), strict=True):
        (mark,) = marks(axes, f"{scale} GPT-4 competitive")
        assert mark.get_xdata()[0] == row[scale]
    printed = [text.get_text() for text in drawn.axes[1].texts]
    assert "0.01\n−0.44 to 0.45" in printed


def test_respondents_without_a_value_stand_in_the_lowest_row_of_every_block(drawn, chart):
    nulls = chart.query("part == 'baseline' and value == 'prosocial'").set_index("respondent")
    assert nulls.loc["always A", ["raw", "chance"]].tolist() == pytest.approx(
        [45.47, 0.35], abs=0.01
    )
    for axes in drawn.axes:
        assert len(marks(axes, "always one letter")) == len(marks(axes, "ideal with lapses")) == 4
    letters = marks(drawn.axes[1], "always one letter")
    (line,) = [line for line in letters if nulls.chance["always A"] in line.get_xdata()]
    lowest = marks(drawn.axes[1], "mean prosocial")[0]
    assert line.get_ydata()[0] < lowest.get_ydata()[0]


def test_who_has_no_angle_is_said_in_its_row(run):
    silent = run["model"] == "local/smollm2-135m-instruct"
    columns = ["raw", "raw_low", "raw_high", "chance", "chance_low", "chance_high"]
    table = run.copy()
    table.loc[silent, columns] = np.nan
    assert words(figures.raw_and_chance.draw(table)).count("no angle") == 8
    assert "smollm2" not in figures.raw_and_chance.alt(table)


def test_captions_and_alternative_texts_state_what_the_table_holds(run, chart):
    figure = figures.published_raw_and_chance
    assert "individualistic 0.01 [−0.44, 0.45]" in figure.caption(chart)
    assert "version 1" in figure.caption(chart)
    assert "GPT-4 and Claude: above 0.5 on every value" in figure.alt(chart)
    assert "individualistic −0.52 to −0.13" in figure.alt(chart)
    one = run[run["respondent"].eq("lapsing") | (run["part"] == "baseline")]
    for text in (figures.raw_and_chance.caption(one), figures.raw_and_chance.alt(one)):
        assert "lapsing" in text
        assert not any(name in text for name in ("faithful", "agreeable", "first-option", "GPT"))
    known = one.assign(chance_low=[0.1, 0.1, -0.1, np.nan] + [np.nan] * (len(one) - 4))
    assert "above random for lapsing on 2 of 4 values." in figures.raw_and_chance.caption(known)


def test_a_chart_that_lacks_a_column_is_named():
    with pytest.raises(UserError, match="column 'vr' is missing"):
        figures.published_raw_and_chance.table(published.radar().drop(columns="vr"))
    with pytest.raises(UserError, match="nothing to draw"):
        figures.raw_and_chance.draw(pd.DataFrame({"part": []}))
