"""The figures: what is drawn where, what their words say, and that files are the same bytes."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation
from PIL import Image

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, published, svo, values
from hvae_utils.metrics import published_chart, steerability
from hvae_utils.show import figures, marks, names, style
from tests.support import pictures, synthetic_tables
from tests.support.pictures import mark, panel, place, words

ROOT = Path(__file__).resolve().parents[2]
SLIDER, KNOWN = instruments.load("svo-slider"), values.load()
SIX, WEAK = synthetic_tables.RESPONDENTS, synthetic_tables.RESPONDENTS[5]
MANY = (
    *SIX,
    "openai/gpt-4o",
    "openai/gpt-4o-mini-2024-07-18",
    "anthropic/claude-sonnet-4-5-20250929+minimal",
    "ollama/qwen2.5:0.5b-instruct-q4_K_M",
    "local//data/models/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
    "vllm/mistralai/Mistral-7B-Instruct-v0.3+reasoned",
)
ONES = ("slider_items", "published_radar", "published_raw_and_chance")  # the same for every run


@lru_cache
def known_run():
    """Return the tables of five respondents whose probabilities are read, and of one read as text.

    Three wordings in three orders: enough for every figure, and soon made.
    """
    options = {"wordings": synthetic_tables.WORDINGS[:3]}
    exact = synthetic_tables.make(SIX[:5], **options)
    weak = synthetic_tables.make((WEAK,), method="text", **options)
    kinds = ("conditions", "responses", "scores", "cells", "steerability")
    both = {kind: (getattr(exact, kind), getattr(weak, kind)) for kind in kinds}
    return {kind: pd.concat(tables, ignore_index=True) for kind, tables in both.items()}


def run_of(models):
    """Return a run's tables; a new model is the weak one renamed."""
    found = {kind: [] for kind in known_run()}
    for model in models:
        for kind, table in known_run().items():
            ids = known_run()["conditions"].set_index("condition_id")["model"]
            owner = table["model"] if "model" in table else table["condition_id"].map(ids)
            rows = table[owner == (model if model in SIX else WEAK)].copy()
            if "model" in table:
                rows["model"] = model
            if "condition_id" in table:
                rows["condition_id"] += model
            found[kind].append(rows)
    return {kind: pd.concat(rows, ignore_index=True) for kind, rows in found.items()}


def effects(models):
    levels = [("induction", "self_description", "definition"), ("goal_prompt", "False", "True")]
    levels += [("labels", "A-I", "1-9")]
    rows = []
    for model, (factor, reference, level) in itertools.product(models, levels):
        for scope in ("all values", "altruistic", "competitive"):
            size = {"definition": 8.0, "True": -2.0, "1-9": np.nan}[level]
            size += {"altruistic": 3.0, "competitive": -3.0}.get(scope, 0)
            size *= model != SIX[2]  # nothing moves the agreeable one
            low, high = (np.nan, np.nan) if model == SIX[0] else (size - 3, size + 3)
            rows.append((model, scope, factor, level, reference, 12, 6, size, low, high))
    columns = ["model", "scope", "factor", "level", "reference", "pairs", "clusters"]
    table = pd.DataFrame(rows, columns=[*columns, "difference", "low", "high"])
    return table.assign(dz=0.5, eta_squared=0.1, note="")


def thinking(run):
    """Return the tables of figure 20: each respondent once more, with a fifth of its way lost."""
    first = {name: table.copy() for name, table in run.items()}
    first["scores"]["angle"] = 0.8 * first["scores"]["angle"] + 5
    for table in (first["scores"], first["conditions"]):
        table["model"] += "+reasoned"
    for table in (first["conditions"], first["responses"]):
        table["condition_id"] += " reasoned"
    first["responses"]["between_chains"] = 0.25
    both = {name: pd.concat([run[name], first[name]]) for name in run}
    return (
        *(steerability.of_deliberation(both["scores"]), steerability.by_wording(both["scores"])),
        *(both["conditions"], both["responses"]),
    )


@lru_cache
def tables_of(models):
    run = run_of(models)
    scores, cells, responses = run["scores"], run["cells"], run["responses"]
    chart, conditions, told = published.radar(), run["conditions"], run["steerability"]
    people = published.people_histogram()
    return {
        "svo_ring": figures.svo_ring.table(cells, SLIDER, KNOWN, told),
        "slider_items": figures.slider_items.table(SLIDER, KNOWN),
        "vr_radar": figures.vr_radar.table(cells),
        "angle_by_value": figures.angle_by_value.table(scores, cells, SLIDER, KNOWN),
        "category_shares": figures.category_shares.table(scores, SLIDER),
        "factor_effects": figures.factor_effects.table(effects(models)),
        "outcomes": figures.outcomes.table(responses, conditions),
        "published_radar": figures.vr_radar.published_table(chart),
        "raw_and_chance": figures.raw_and_chance.table(cells),
        "published_raw_and_chance": figures.published_raw_and_chance.table(),
        "angle_distributions": figures.angle_distributions.table(
            conditions, responses, SLIDER, KNOWN
        ),
        "people_and_models": figures.people_and_models.table(cells, people, SLIDER, KNOWN),
        "three_readings": figures.three_readings.table(cells),
        "steerability_forest": figures.steerability_forest.table(
            told, published_chart.steerability()
        ),
        "angle_on_target": figures.angle_on_target.table(scores, SLIDER, KNOWN),
        "deliberation": figures.deliberation.table(*thinking(run)),
    }


def module(slug):
    return getattr(figures, "vr_radar" if slug == "published_radar" else slug)


def draw(slug, table):
    return module(slug).draw(table)


@pytest.fixture(scope="module")
def tables():
    return tables_of(SIX)


SLUGS = (
    *("svo_ring", "slider_items", "vr_radar", "angle_by_value", "category_shares"),
    *("factor_effects", "outcomes", "published_radar", "raw_and_chance"),
    *("published_raw_and_chance", "angle_distributions", "people_and_models"),
    *("three_readings", "steerability_forest", "angle_on_target", "deliberation"),
)


@pytest.fixture(scope="module")
def drawn(tables):
    return {slug: draw(slug, table) for slug, table in tables.items()}


# What is drawn where.


def test_the_ring_shows_the_ideals_and_a_panel_a_respondent(drawn):
    assert len(drawn["svo_ring"].axes) == 7
    key = panel(drawn["svo_ring"], "ideal respondents")
    x, y = place(mark(key, "ideal altruistic"))
    assert np.degrees(np.arctan2(y - 50, x - 50)) == pytest.approx(61.390, abs=5e-4)
    assert key.get_aspect() == 1


def test_a_faithful_respondent_stands_on_the_ideal_of_every_value(drawn):
    axes = panel(drawn["svo_ring"], "faithful")
    for value in svo.CATEGORIES:
        for goal in (True, False):
            assert place(mark(axes, f"measured {value} {goal}")) == pytest.approx(
                place(mark(axes, f"ideal {value}")), abs=0.05
            )


def test_what_stays_in_one_place_is_one_mark_with_the_number_of_values(drawn):
    axes = panel(drawn["svo_ring"], "agreeable")
    assert place(mark(axes, "shared place")) == pytest.approx(place(mark(axes, "ideal prosocial")))
    assert not [line for line in axes.lines if str(line.get_gid()).startswith("measured")]
    assert {"4", "does not act on it"} <= {text.get_text() for text in axes.texts}


def test_what_has_no_angle_is_counted_on_the_ring_not_drawn(drawn):
    axes = panel(drawn["svo_ring"], "smollm2-135m-\ninstruct †")
    assert any("of 8 cells" in text.get_text() for text in axes.texts)


def test_both_axes_of_the_payoff_plane_are_labelled_in_coins(drawn):
    assert {"mean coins for oneself", "mean coins for the other"} <= words(drawn["svo_ring"])
    plane = drawn["slider_items"].axes[0]
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("coins for oneself", "coins for the other")


def test_the_items_are_six_segments_of_nine_options_between_named_ends(drawn):
    plane, sliders = drawn["slider_items"].axes
    segments = [line for line in plane.lines if str(line.get_gid()).startswith("item")]
    assert [len(line.get_xdata()) for line in segments] == [9] * 6
    assert list(segments[0].get_ydata()) == [85, 76, 68, 59, 50, 41, 33, 24, 15]
    ends = {text.get_text(): text.xy for text in plane.texts if isinstance(text, Annotation)}
    assert ends["altruistic"] == (50, 100)
    assert ends["competitive"] == (85, 15)
    assert len([text for text in sliders.texts]) == 2 * 54


def test_a_faithful_respondent_fills_the_radar_and_random_does_not(drawn):
    axes = panel(drawn["vr_radar"], "faithful")
    line = mark(axes, "with goal prompt")
    assert line.get_ydata() == pytest.approx(np.full(5, 60.0), abs=0.05)
    assert pictures.marks(axes, "random")[0].get_ydata().max() < 40
    assert axes.get_ylim() == (-20, 60)


def test_negative_value_rationality_is_drawn_where_it_is_and_the_centre_is_said(drawn):
    axes = panel(drawn["vr_radar"], "agreeable")
    assert place(mark(axes, "vr competitive True"))[1] == pytest.approx(-1.26, abs=5e-3)
    assert any("centre −20" in text for text in words(drawn["vr_radar"]))


def test_a_value_below_the_usual_centre_moves_the_centre(tables):
    low = tables["vr_radar"].assign(vr=-31.0)
    assert figures.vr_radar.draw(low).axes[0].get_ylim() == (-40, 60)


def test_two_values_stand_side_by_side_since_they_make_no_radar(tables):
    two = tables["vr_radar"].query("value in ('altruistic', 'prosocial')")
    axes = panel(figures.vr_radar.draw(two), "agreeable")
    assert axes.name == "rectilinear"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["altruistic", "prosocial"]
    assert place(mark(axes, "vr altruistic True")) == (0, pytest.approx(43.61, abs=5e-3))


def test_a_spoke_without_any_angle_says_so(drawn):
    axes = panel(drawn["vr_radar"], "smollm2-135m-instruct †")
    assert any("(no angle)" in text.get_text() for text in axes.texts)


def test_the_published_radar_has_the_eight_models_on_the_same_axes(drawn):
    figure = drawn["published_radar"]
    assert [axes.get_title() for axes in figure.axes] == [
        *("ChatGPT", "GPT-3.5", "GPT-4", "Claude"),
        *("LLaMA-13B", "Alpaca-13B", "Vicuna-13B", "Koala-13B"),
    ]
    assert {axes.get_ylim() for axes in figure.axes} == {(-20, 60)}
    assert place(mark(figure.axes[6], "vr competitive False"))[1] == 7.82


def test_mean_angles_and_targets_share_a_row(drawn):
    figure = drawn["angle_by_value"]
    axes = panel(figure, "faithful")
    for value, angle in (("altruistic", 61.390), ("competitive", -16.260)):
        x, y = place(mark(axes, f"mean {value} True"))
        assert x == pytest.approx(angle, abs=5e-4)
        assert values.names()[round(-y)] == value
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == [*values.names(), "(one letter)"]
    assert "SVO angle, degrees" in words(figure)


# The mean of the six options behind each letter, from the published coins, by hand.
ALWAYS = {
    **{"always A": 30.5, "always B": 28.1, "always C": 26.8, "always D": 24.6, "always E": 22.9},
    **{"always F": 20.7, "always G": 18.8, "always H": 17.1, "always I": 14.7},
}


def test_constant_letters_have_a_row_below_the_values_of_every_respondent(drawn, tables):
    nulls = tables["angle_by_value"].query("part == 'baseline'").set_index("respondent")["angle"]
    assert nulls.to_dict() == pytest.approx(ALWAYS, abs=0.05)
    for axes in drawn["angle_by_value"].axes:
        line = mark(axes, "always one letter")
        assert list(line.get_xdata()) == list(nulls)
        assert line.get_ydata()[0] < -4.5


def test_cells_with_missing_answers_show_bounds_and_others_none(drawn):
    figure = drawn["angle_by_value"]
    bounds = pictures.marks(panel(figure, "smollm2-135m-instruct †"), "bounds")
    assert len(bounds) >= 8
    assert all(line.get_xdata()[0] <= line.get_xdata()[1] for line in bounds)
    assert not pictures.marks(panel(figure, "lapsing"), "bounds")


def test_an_interval_wider_than_all_angles_does_not_squeeze_the_panel(tables):
    table = tables["angle_by_value"].copy()
    table.loc[table["part"] == "cell", ["angle_low", "angle_high"]] = (-400.0, 400.0)
    assert figures.angle_by_value.draw(table).axes[0].get_xlim() == (-40, 85)


def test_the_heatmap_prints_per_cent_and_the_random_row(drawn):
    axes = panel(drawn["category_shares"], "agreeable")
    numbers = [text.get_text() for text in axes.texts]
    assert numbers.count("100") == 5
    assert numbers[-5:] == ["<1", "51", "49", "<1", ""]
    corner = panel(drawn["category_shares"], "random")
    assert [text.get_text() for text in corner.get_xticklabels()][-1] == "no angle"
    assert [text.get_text() for text in corner.get_yticklabels()][-1] == "(random)"
    assert "no angle: items are missing" in words(drawn["category_shares"])


def test_effects_stand_in_a_panel_a_level_and_what_cannot_be_estimated_is_said(drawn):
    figure = drawn["factor_effects"]
    axes, goal, labels = figure.axes
    assert axes.get_title("left").startswith("induction: definition,")
    clear = mark(axes, "effect lapsing definition all values")
    assert (place(clear)[0], clear.get_markerfacecolor()) == (8, "#0B3C5D")
    assert mark(axes, "effect faithful definition all values").get_marker() == "d"  # no interval
    assert place(mark(axes, "effect lapsing definition altruistic"))[0] == 11
    assert mark(goal, "effect lapsing True all values").get_markerfacecolor() == "white"
    assert [text.get_text() for text in labels.texts] == ["not estimable"] * 5


def test_whom_nothing_moves_is_named_and_not_drawn(tables, drawn):
    table = tables["factor_effects"]
    still = table[table["respondent"] == "agreeable"].fillna({"difference": 0.0})
    both = pd.concat([still, table[table["respondent"] == "lapsing"]])
    below = figures.factor_effects.draw(both).get_supxlabel()
    assert below.endswith("no difference for any value: agreeable")
    alone = figures.factor_effects.draw(still)
    assert "no difference for any value: agreeable" in words(alone)
    assert not alone.axes[0].lines


def test_single_values_that_agree_do_not_hide_one_another():
    table = effects(SIX[1:3]).assign(difference=3.0)
    drawn = figures.factor_effects.draw(figures.factor_effects.table(table))
    lines = [line for line in drawn.axes[0].lines if (line.get_gid() or "").startswith("effect")]
    assert len(lines) > 3
    assert len({place(line) for line in lines}) == len(lines)


def test_outcome_bars_fill_the_whole_and_those_that_always_chose_share_one(drawn):
    axes = drawn["outcomes"].axes[0]
    lengths = {}
    for bar in axes.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        lengths[row] = lengths.get(row, 0) + bar.get_width()
    assert list(lengths.values()) == pytest.approx([100] * 2)
    assert {"the other 5", "900 items", "180 items"} <= words(drawn["outcomes"])
    assert {"refusal", "unparseable", "truncated", "empty", "error"} <= words(drawn["outcomes"])


def test_rows_without_probabilities_say_so(drawn):
    axes = panel(drawn["angle_distributions"], "smollm2-135m-instruct")
    assert [text.get_text() for text in axes.texts] == ["no probabilities"] * 5


def test_lapsing_and_holding_no_value_come_apart_in_the_fourth_column(drawn):
    _, _, regret, lapse = drawn["three_readings"].axes
    at = {
        name: place(mark(lapse, f"lapse {name} altruistic"))[0] for name in ("faithful", "lapsing")
    }
    assert at == {"faithful": pytest.approx(0), "lapsing": pytest.approx(0.2)}
    assert place(mark(lapse, "random altruistic"))[0] == 1
    assert place(mark(regret, "random altruistic"))[0] == pytest.approx(0.5, abs=0.1)
    assert {"smollm2-135m-instruct †", "no angle"} <= words(drawn["three_readings"])


def test_people_stand_above_models_on_one_axis_of_degrees(drawn, tables):
    above, below = drawn["people_and_models"].axes
    assert place(mark(below, "mean faithful altruistic True"))[0] == pytest.approx(61.39, abs=5e-3)
    ideals = [place(mark(below, f"ideal {name}")) for name in svo.CATEGORIES]
    assert {y for _, y in ideals} == {0}
    assert [round(x) for x, _ in ideals] == [61, 45, 0, -16]
    people = tables["people_and_models"].query("part == 'people' and sample == 'Many Labs 2'")
    heights, edges, _ = above.patches[0].get_data()
    assert heights == pytest.approx(100 * people.sort_values("low")["share"].to_numpy())
    assert edges[heights.argmax()] == 35  # the bin with most people
    assert above.get_shared_x_axes().joined(above, below)
    assert set(svo.CATEGORIES) <= {text.get_text() for text in above.texts}
    assert any("no angle in" in text for text in words(drawn["people_and_models"]))


def test_the_forest_has_a_row_a_model_and_arm_with_the_verdict_in_words(drawn, tables):
    (axes,) = drawn["steerability_forest"].axes
    assert place(mark(axes, "faithful True"))[0] == pytest.approx(1.0, abs=0.001)
    assert place(mark(axes, "lapsing False"))[0] == pytest.approx(0.831, abs=5e-4)
    assert mark(axes, "lapsing False").get_markerfacecolor() == "white"
    assert place(mark(axes, "GPT-4 True"))[0] == pytest.approx(0.98, abs=0.005)
    assert {"0.83  acts on the value", "0.00  does not act on it", "0.98"} <= words(axes.figure)
    (margin,) = [patch for patch in axes.patches if patch.get_gid() == "margin"]
    assert (margin.get_x(), margin.get_width()) == (-0.1, pytest.approx(0.2))
    undecided = tables["steerability_forest"].query("respondent == 'lapsing'")
    undecided = undecided.assign(verdict="undecided", wordings_needed=14.0)
    assert "0.83  undecided: 14 wordings may do" in words(
        figures.steerability_forest.draw(undecided)
    )
    silent = undecided.assign(steerability=np.nan, verdict="not estimable", wordings_needed=4.0)
    assert "not estimable: 4 wordings may do" in words(figures.steerability_forest.draw(silent))


def test_lines_of_the_angle_on_the_target_show_who_follows(drawn):
    figure = drawn["angle_on_target"]
    faithful = mark(panel(figure, "faithful"), "mean True")
    assert faithful.get_ydata() == pytest.approx(faithful.get_xdata(), abs=0.05)
    level = panel(figure, "agreeable")
    assert mark(level, "mean True").get_ydata() == pytest.approx(np.full(4, 45.0))
    assert len(pictures.marks(level, "wording")) == 2 * 3
    spread = [
        line.get_ydata()[0] for line in pictures.marks(panel(figure, "first-option"), "wording")
    ]
    assert sorted(set(np.round(spread, 1))) == [26.8, 28.1, 30.5]  # always A, B or C


def test_thinking_stands_beside_asking_directly_with_its_difference_below(drawn, tables):
    figure = drawn["deliberation"]
    axes = panel(figure, "lapsing")
    assert mark(axes, "mean True").get_ydata() == pytest.approx([0.8308, 0.8 * 0.8308], abs=1e-4)
    assert mark(axes, "mean False").get_markerfacecolor() == "white"
    assert len(pictures.marks(axes, "wording")) == 2 * 3
    at = [one.get_title("left") for one in figure.axes].index("lapsing")
    below = [one for one in figure.axes if pictures.marks(one, "difference reasoned True")][at]
    assert place(mark(below, "difference reasoned True"))[1] == pytest.approx(-0.1662, abs=1e-4)
    assert [text.get_text() for text in below.get_xticklabels()] == ["direct", "reasoned"]
    for one in (axes, below):
        (margin,) = [patch for patch in one.patches if patch.get_gid() == "margin"]
        assert (margin.get_y(), margin.get_height()) == (-0.1, pytest.approx(0.2))
    pairs = tables["deliberation"].query("part == 'difference'")
    assert (pairs["between_chains"] == 0.25).all()
    assert "one chain of thought and the next: faithful 25%" in module("deliberation").caption(
        pairs
    )
    lost = pairs.assign(difference=np.nan, low=np.nan, high=np.nan)
    rest = tables["deliberation"].query("part == 'wording'")
    assert "not estimable" in words(draw("deliberation", pd.concat([lost, rest])))


def test_many_levels_of_thinking_take_a_panel_of_the_pages_width(tables):
    one = tables["deliberation"].query("respondent == 'lapsing' and not goal_prompt")
    efforts = [one.assign(deliberation=name) for name in ("low", "high", "off", "on", "minimal")]
    both = pd.concat([one, *(rows[rows["part"] == "difference"] for rows in efforts)])
    other = both.assign(respondent="m", model="m")
    figure = draw("deliberation", pd.concat([both, other]))
    assert {tuple(axes.get_subplotspec().colspan) for axes in figure.axes} == {(0,)}
    assert "Intervals without 0, of 12: " in module("deliberation").caption(
        pd.concat([both, other])
    )


# What the words say.


@pytest.mark.parametrize("slug", SLUGS)
def test_captions_say_a_result_and_name_nobody_who_is_not_there(slug):
    one = tables_of(SIX[1:2])[slug]
    absent = {"faithful", "agreeable", "first-option", "smollm2"}
    silent = slug in (*ONES, "factor_effects", "angle_distributions")
    for text in (module(slug).caption(one), module(slug).alt(one)):
        assert text.endswith(".")
        assert len(text) > 60
        assert not any(broken in text for broken in ("nan", "None", "{", "  ", "..", ": ."))
        assert not any(name in text for name in absent)
        assert silent or "lapsing" in text


def test_captions_hold_the_numbers_of_the_table(tables):
    said = {slug: module(slug).caption(table) for slug, table in tables.items()}
    assert "faithful 4, lapsing 4, agreeable 1, random 1, first-option 1" in said["svo_ring"]
    assert "agreeable 31°, random 31°" in said["angle_by_value"]
    assert "faithful 100%, lapsing 73%, agreeable 25%" in said["category_shares"]
    assert "GPT-4 29°" in said["published_radar"]
    assert "acts on the value: faithful and lapsing; does not" in said["steerability_forest"]
    assert "faithful 78°, lapsing 65°, agreeable 0°" in said["angle_on_target"]
    assert "faithful −16° to 61°, lapsing −10° to 55°, agreeable 45°" in said["people_and_models"]
    assert "lapsing 0.20" in said["three_readings"]
    assert "smollm2-135m-instruct not estimable" in said["angle_distributions"]
    assert "A dagger marks" in said["vr_radar"]
    assert "Intervals without 0, of 12: " in said["deliberation"]


# Readable by everyone.


@pytest.mark.parametrize(
    "models",
    [MANY, MANY[5:6], pytest.param(MANY[:2], marks=pytest.mark.slow)],
    ids=["twelve", "one", "two"],
)
def test_no_words_are_cut_off_too_small_or_on_top_of_others(models, monkeypatch):
    for slug, table in tables_of(models).items():
        if models is MANY or slug not in ONES:
            pictures.words_in_place(draw(slug, table), monkeypatch)


def seen_by(colour, matrix):
    """Return the CIELAB coordinates of a colour as seen through a deficiency's matrix."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ) @ np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = xyz / (0.9505, 1, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(
    "matrix",  # Machado, Oliveira & Fernandes (2009), severity 1
    [
        np.eye(3),
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ],
    ids=["normal", "deuteranopia", "protanopia"],
)
def test_the_colours_of_values_differ_for_the_colour_blind_too(matrix):
    seen = [seen_by(style.value_look(value).colour, matrix) for value in values.names()]
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(one - other) > 35


def test_values_and_outcomes_have_a_second_cue_besides_colour():
    markers = [style.value_look(value).marker for value in values.names()]
    assert len(set(markers)) == len(markers)
    kinds = ("refusal", "unparseable", "truncated", "empty", "error")
    hatches = [style.OUTCOMES[kind].hatch for kind in kinds]
    assert len(set(hatches)) == len(hatches)


# Saved to the byte.

CAPTION = 'Bars by respondent: "a < b & c"'
ALT = 'Six bars; the "weak" one is < 60% & hatched'


def save_outcomes(table, folder):
    return style.save(figures.outcomes.draw(table), table, folder, "07_outcomes", CAPTION, ALT)


def save_small(folder, **options):
    with style.context():
        figure = style.new_figure(0.5)
        figure.text(0.5, 0.5, "a figure")
    given = {"table": pd.DataFrame({"x": [1]}), "slug": "07_outcomes", "caption": CAPTION}
    return style.save(figure, folder=folder, **(given | {"alt": ALT} | options))


def test_saving_twice_gives_the_same_bytes_with_the_figures_own_words(tables, tmp_path):
    for slug in ("vr_radar", "outcomes", "people_and_models"):
        contents = []
        for attempt in ("one", "two"):
            saved = figures.save(module(slug), tables[slug], tmp_path / attempt, slug)
            contents.append([path.read_bytes() for path in saved.files.values()])
        assert contents[0] == contents[1]
        assert saved.caption == module(slug).caption(tables[slug])
        assert saved.alt == module(slug).alt(tables[slug])


def test_another_process_with_other_settings_saves_the_same_bytes(tables, tmp_path):
    saved = save_outcomes(tables["outcomes"], tmp_path / "here")
    code = (
        "import sys, matplotlib, pandas as pd; from pathlib import Path;"
        "from tests.show import test_figures;"
        "matplotlib.rcParams.update({'font.size': 20, 'savefig.bbox': 'tight'});"
        "test_figures.save_outcomes(pd.read_pickle(sys.argv[2]), Path(sys.argv[1]))"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "5",
    }
    environment.pop("DISPLAY", None)
    there = tmp_path / "there"
    tables["outcomes"].to_pickle(tmp_path / "table")
    command = [sys.executable, "-c", code, there, tmp_path / "table"]
    subprocess.run(command, env=environment, check=True)
    for path in saved.files.values():
        assert path.read_bytes() == (there / path.name).read_bytes()


@pytest.mark.parametrize("slug", SLUGS)
def test_a_figure_can_be_redrawn_from_its_csv(slug, tables, drawn, tmp_path):
    saved = save_small(tmp_path, table=tables[slug])
    again = draw(slug, pd.read_csv(saved.files["csv"]))
    assert pictures.differ(drawn[slug], again) < 2e-4


def test_the_picture_has_the_promised_size_and_the_vector_file_no_date(tmp_path):
    saved = save_small(tmp_path)
    with Image.open(saved.files["png"]) as image:
        assert image.size[0] == int(17 / 2.54 * 200)
        assert not {"Software", "Creation Time"} & set(image.info)
    text = saved.files["svg"].read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "<dc:date>" not in text
    assert "matplotlib.org" not in text
    assert "hatched" in text  # the alternative text is in the file's own description


def test_the_csv_is_plain_and_rounded(tmp_path):
    table = pd.DataFrame({"self": [1 / 3, 1e-17, np.nan], "pairs": [1, 2, 3]})
    saved = save_small(tmp_path, table=table)
    assert saved.files["csv"].read_bytes() == b"self,pairs\n0.333333,1\n0,2\n,3\n"


def test_the_index_is_sorted_and_holds_the_hashes(tmp_path):
    saved = save_small(tmp_path)
    save_small(tmp_path, slug="01_a")
    save_small(tmp_path, caption=f"What was not a choice. {CAPTION}")
    index = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    assert [entry["slug"] for entry in index] == ["01_a", "07_outcomes"]
    entry = index[1]
    assert entry["title"] == "What was not a choice"
    assert entry["caption"] == f"What was not a choice. {CAPTION}"
    assert entry["alt"] == ALT
    for path in saved.files.values():
        assert entry["files"][path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not list(tmp_path.glob(".index*"))


def test_a_notebook_shows_the_picture_with_escaped_words_and_no_file_beside_it(tmp_path):
    saved = save_small(tmp_path)
    assert repr(saved) == CAPTION
    page = ElementTree.fromstring(saved._repr_html_().replace('px">', 'px"/>'))
    assert page.find("img").attrib["alt"] == ALT
    assert page.find("img").attrib["src"].startswith("data:image/png;base64,iVBOR")
    assert page.find("figcaption").text == CAPTION


def test_the_gallery_shows_every_figure_with_its_words_and_its_data(tmp_path):
    save_small(tmp_path, caption="How the items ended. A bar each.")
    style.gallery(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "## How the items ended\n" in text
    assert "\nA bar each.\n" in text, "the title is not said twice"
    assert 'src="07_outcomes.svg"' in text
    assert "&quot;weak&quot; one is &lt; 60% &amp; hatched" in text
    assert "[data (CSV)](07_outcomes.csv)" in text
    with pytest.raises(UserError, match="no figure is listed"):
        style.gallery(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"caption": "  "}, "needs a caption and an alternative text"),
        ({"alt": ""}, "needs a caption and an alternative text"),
    ],
)
def test_a_figure_without_words_is_refused_and_nothing_is_written(changed, message, tmp_path):
    with pytest.raises(UserError, match=message):
        save_small(tmp_path, **changed)
    assert not list(tmp_path.iterdir())


def test_a_name_that_leaves_the_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="small letters"):
        save_small(tmp_path, slug="../x")


def test_a_broken_index_is_named_and_left_alone(tmp_path):
    (tmp_path / "index.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"index\.json: is no list of figures"):
        save_small(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]


def test_drawing_leaves_the_settings_and_pyplot_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    save_small(tmp_path)
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize("slug", SLUGS)
def test_an_empty_table_is_a_users_mistake_in_a_sentence(slug, tables):
    with pytest.raises(UserError, match="nothing to draw"):
        draw(slug, tables[slug][:0])


# One file a figure.


def test_every_figure_has_a_module_with_its_table_its_drawing_and_its_words():
    assert len(figures.__all__) == 24
    for name in set(figures.__all__) - {"save"}:
        for function in ("table", "draw", "caption", "alt"):
            assert callable(getattr(getattr(figures, name), function))


def test_a_figure_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="no figure 'ring'; there are angle_by_value"):
        _ = figures.ring


def test_a_legend_takes_as_many_columns_as_fit_on_the_page():
    with style.context():
        figure = style.new_figure(2)
        style.legend(figure, [marks.key("a label of some length", lw=1)] * 6, 6)
    (legend,) = figure.legends
    assert 1 < legend._ncols < 6
    assert legend.get_window_extent().width <= figure.bbox.width


def test_numbers_in_words_have_one_sign_and_say_what_is_missing():
    assert names.number(-0.001, 2) == "0.00"
    assert names.each(pd.Series({"a †": np.nan, "b": -1.26}), 1) == "a not estimable and b −1.3"


def test_categories_stand_downwards_and_their_regions_meet():
    regions = marks.regions((-12.04, 57.15, 22.45), -38, 90)
    assert regions[0] == ("altruistic", 57.15, 90)
    assert regions[-1] == ("competitive", -38, -12.04)
    assert all(above[1] == below[2] for above, below in itertools.pairwise(regions))
