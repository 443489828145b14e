"""The figures on robustness: what their tables hold, what is drawn where, for one and for many."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, values
from hvae_utils.metrics import orders, recovery
from hvae_utils.show import figures
from tests.support import pictures, synthetic_tables
from tests.support.pictures import marks, panel

FEW = tuple(synthetic_tables.RESPONDENTS[place] for place in (0, 1, 4, 5))
TWELVE = tuple(f"vllm/mistralai/Mistral-7B-Instruct-v0.{place}" for place in range(12))
SLUGS = ("letter_choice", "lapse_curves", "recovery")
SLIDER, KNOWN = instruments.load("svo-slider"), values.load()


def letters(models):
    shown = np.array([0.6, 0.2, 0.1, 0.05, 0.05, 0, 0, 0, 0])
    even = {FEW[2]: np.full(9, np.nan)}
    return pd.DataFrame(
        {"model": model, "stage": stage, "position": position, "share": share}
        for model in models
        for stage, shares in (("as shown", shown), ("debiased", even.get(model, np.full(9, 1 / 9))))
        for position, share in enumerate(shares, start=1)
    )


@cache
def of_the_instrument():
    angles = (-45.0, 0.0, 45.0, 90.0)
    chosen = [one for one in recovery.truths() if one.angle in angles and one.sharpness == 0.1]
    return {
        "lapse_curves": figures.lapse_curves.table(KNOWN, np.linspace(0, 1, 11)),
        "recovery": figures.recovery.table(recovery.study(chosen), recovery.steps(SLIDER)),
    }


def tables_of(models):
    return {"letter_choice": figures.letter_choice.table(letters(models)), **of_the_instrument()}


@pytest.fixture(scope="module")
def tables():
    return tables_of(FEW)


@pytest.fixture(scope="module")
def drawn(tables):
    return {slug: getattr(figures, slug).draw(table) for slug, table in tables.items()}


# What the tables hold.


def test_lapse_curves_start_at_the_ideal_and_end_where_random_respondents_are(tables):
    curves = tables["lapse_curves"].query("part == 'curve'").set_index(["value", "rate"])
    for value in values.names()[:4]:
        start, end = curves.loc[value, 0.0], curves.loc[value, 1.0]
        assert start["angle"] == pytest.approx(KNOWN[value].target)
        assert (start["own"], start["vr"]) == pytest.approx((1, 60))
        assert start["angle_low"] == start["angle_high"]
        assert end["angle"] == pytest.approx(22.703, abs=5e-4)
        assert end["angle_low"] < end["angle"] < end["angle_high"]


def test_recovery_shows_what_undoes_which_bias_and_that_lapses_spoil_one(tables):
    rows = tables["recovery"].query("part == 'respondent'")
    wide = rows.pivot(index=["bias", "lapse", "utility_angle"], columns="stage", values="measured")
    off = (wide.sub(wide["unbiased"], axis=0)).abs().groupby(["bias", "lapse"]).max()
    additive, mixture = "position bias of 3 nats", "first position in 30% of the answers"
    assert off.loc[(additive, 0.0), "logit"] < 1e-6
    assert off.loc[(additive, 0.0), "before"] > 3
    assert off.loc[(additive, 0.2), "logit"] > 0.5
    assert off.loc[mixture, "minimum"].max() < 1e-6
    assert off.loc[mixture, "logit"].min() > 0.5
    assert set(rows[rows["bias"] == additive]["mechanism"]) == {"additive"}


# What is drawn where.


def test_letters_by_position_and_by_option_have_an_axis_each(drawn):
    figure = drawn["letter_choice"]
    axes = panel(figure, "faithful")
    beside = figure.axes[figure.axes.index(axes) + 1]
    assert [bar.get_height() for bar in axes.patches][:3] == [0.6, 0.2, 0.1]
    assert [bar.get_height() for bar in beside.patches] == pytest.approx(np.full(9, 1 / 9))
    for one in (axes, beside):
        assert marks(one, "uniform")[0].get_ydata()[0] == pytest.approx(1 / 9)
    never = figure.axes[figure.axes.index(panel(figure, "first-option")) + 1]
    assert [text.get_text() for text in never.texts] == ["not estimable"]
    assert [one.get_xlabel()[:6] for one in figure.axes[-2:]] == ["positi", "option"]


# For one and for many.


@pytest.mark.parametrize("models", [TWELVE, TWELVE[:1]], ids=["twelve", "one"])
def test_no_words_are_cut_off_too_small_or_on_top_of_others(models, monkeypatch):
    for slug, table in tables_of(models).items():
        if models is TWELVE or slug == "letter_choice":
            pictures.words_in_place(getattr(figures, slug).draw(table), monkeypatch)


@pytest.mark.parametrize("slug", SLUGS)
def test_an_empty_table_is_a_users_mistake_in_a_sentence(slug, tables):
    with pytest.raises(UserError, match="nothing to draw"):
        getattr(figures, slug).draw(tables[slug][:0])


def test_mistakes_in_the_inputs_are_named():
    with pytest.raises(UserError, match="the column 'share' is missing"):
        figures.letter_choice.table(letters(FEW).drop(columns="share"))
    with pytest.raises(UserError, match="'before' is neither"):
        figures.letter_choice.table(letters(FEW).assign(stage="before"))
    study = recovery.study([recovery.Truth(0.0, 0.7)])
    with pytest.raises(
        UserError, match=r"no respondent of sharpness 0\.1 with one bias; it has 0\.7"
    ):
        figures.recovery.table(study, recovery.steps(SLIDER))


def biases(rows):
    table = pd.DataFrame(rows, columns=["model", "labels", "position", "bias"])
    return table.assign(note="", position_part=np.nan, label_part=np.nan)


def test_the_position_bias_is_drawn_where_it_is_and_named_where_it_is_not():
    places = {"a": [2.0] + [-0.25] * 8, "b": [np.nan] * 9, "flat": [0.01] + [0.0] * 8}
    table = biases(
        (f"reference/{name}", "A-I", position, bias)
        for name, line in places.items()
        for position, bias in enumerate(line, start=1)
    )
    table.loc[table["model"] == "reference/b", "note"] = orders.SILENT
    fits = pd.DataFrame({"model": ["reference/a"], "mechanism": ["additive"], "evidence": [12.3]})
    table = figures.position_bias.table(table, fits)
    first, second = figures.position_bias.draw(table).axes
    (line,) = [line for line in first.lines if line.get_gid() == "A-I"]
    assert line.get_ydata().tolist() == places["a"]
    assert first.texts[0].get_text() == "additive fits, by 12 nats"
    assert second.texts[0].get_text() == "not estimable\nno probabilities"
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("a", "b")
    said = figures.position_bias.caption(table)
    assert "Biased: a from −0.2 to 2 nats." in said
    assert "not drawn beside others: flat." in said
    assert "Not estimable: b." in said
    alone = table[table["respondent"] == "flat"]
    assert len(figures.position_bias.draw(alone).axes) == 1


def test_what_several_sets_of_labels_share_is_drawn_beside_them():
    parts = {"A-I": 0.5, "1-9": -0.5}
    table = biases(
        ("reference/a", labels, place, 1.0 + part)
        for labels, part in parts.items()
        for place in range(1, 10)
    )
    table = table.assign(position_part=1.0, label_part=table["labels"].map(parts))
    drawn = figures.position_bias.draw(figures.position_bias.table(table))
    lines = {line.get_gid(): line for line in drawn.axes[0].lines}
    assert set(lines["position part"].get_ydata()) == {1.0}
    assert set(lines["A-I"].get_ydata()) == {1.5}
    assert lines["A-I"].get_color() != lines["1-9"].get_color()
    assert lines["A-I"].get_marker() != lines["1-9"].get_marker()
    assert "the position's part" in [text.get_text() for text in drawn.legends[0].texts]


@pytest.mark.parametrize("slug", ["letter_choice", "lapse_curves", "recovery"])
def test_captions_say_what_their_table_holds_and_name_nobody_else(slug, tables):
    figure = getattr(figures, slug)
    for words_of in (figure.caption, figure.alt):
        said = words_of(tables[slug])
        assert "{" not in said
        assert "nan" not in said
        assert not any(name in said for name in ("agreeable", "random respondent"))
    expected = {
        "letter_choice": "faithful position 1 (60%)",
        "lapse_curves": "At 20% lapses the probability of the own category is altruistic 0.51",
        "recovery": "first position in 30% of the answers, 0% lapses: one order",
    }
    assert expected[slug] in figure.caption(tables[slug])
