"""The figures on robustness: what their tables hold, what is drawn where, for one and for many."""

import itertools
import sys
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, published, svo, values
from hvae_utils.metrics import orders, recovery
from hvae_utils.show import figures, style
from tests.support import synthetic_tables

FEW = tuple(synthetic_tables.RESPONDENTS[place] for place in (0, 1, 4, 5))
TWELVE = (
    *synthetic_tables.RESPONDENTS,
    "openai/gpt-4o",
    "openai/gpt-4o-mini-2024-07-18",
    "anthropic/claude-sonnet-4-5-20250929",
    "ollama/qwen2.5:0.5b-instruct-q4_K_M",
    "local//data/models/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
    "vllm/mistralai/Mistral-7B-Instruct-v0.3",
)
SLUGS = (
    *("raw_and_chance", "three_readings", "letter_choice", "lapse_curves", "angle_distributions"),
    *("recovery", "factor_effects", "people_and_models", "published_raw_and_chance"),
)
P = [f"p{option}" for option in range(1, 10)]
SLIDER, KNOWN = instruments.load("svo-slider"), values.load()


@lru_cache
def known_run():
    return synthetic_tables.make(repeats=1)


def run_of(models):
    """Return conditions, response probabilities and cells; a new model is the weak one renamed."""
    run, weak = known_run(), synthetic_tables.RESPONDENTS[5]
    parts = []
    for model in models:
        like = model if model in synthetic_tables.RESPONDENTS else weak
        conditions = run.conditions[run.conditions["model"] == like].assign(model=model)
        rows = run.responses[run.responses["condition_id"].isin(conditions["condition_id"])]
        names = conditions["condition_id"] + model
        rows = rows.assign(condition_id=rows["condition_id"] + model)
        cells = run.cells[run.cells["model"] == like].assign(model=model)
        parts.append((conditions.assign(condition_id=names), rows, cells))
    conditions, rows, cells = (
        pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)
    )
    return conditions, with_probabilities(conditions, rows), cells


def respondent_probabilities(model, value):
    """Return (6, 9) probabilities that fit the synthetic respondents; NaN for the weak model."""
    kind = model.removeprefix("reference/")
    ideal = {"agreeable": "prosocial"}.get(kind, value)
    if not model.startswith("reference/"):
        return np.full((6, 9), np.nan)
    if kind == "first-option":
        return np.eye(9)[np.zeros(6, int)]
    if kind == "random" or ideal == "none":
        return np.full((6, 9), 1 / 9)
    lapse = 0.2 if kind == "lapsing" else 0
    return (1 - lapse) * np.eye(9)[svo.ideal_choices(ideal, SLIDER)] + lapse / 9


def with_probabilities(conditions, responses):
    rows = responses[["condition_id", "item"]].copy()
    cells = conditions.set_index("condition_id")[["model", "value"]]
    tables = [respondent_probabilities(*cells.loc[key]) for key in rows["condition_id"][::6]]
    rows[P] = np.concatenate(tables)
    return rows


def letters(models):
    shown = np.array([0.6, 0.2, 0.1, 0.05, 0.05, 0, 0, 0, 0])
    even = {FEW[2]: np.full(9, np.nan)}
    return pd.DataFrame(
        {"model": model, "stage": stage, "position": position, "share": share}
        for model in models
        for stage, shares in (("as shown", shown), ("debiased", even.get(model, np.full(9, 1 / 9))))
        for position, share in enumerate(shares, start=1)
    )


def effects(models):
    levels = [("induction", "self_description", "definition"), ("goal_prompt", "False", "True")]
    levels += [("order", "fixed", "reversed")]
    rows = []
    for model, (factor, reference, level) in itertools.product(models, levels):
        for scope in ("all values", "altruistic", "competitive"):
            size = {"definition": 8.0, "True": -2.0, "reversed": np.nan}[level]
            size += {"altruistic": 3.0, "competitive": -3.0}.get(scope, 0)
            low, high = (np.nan, np.nan) if model == FEW[0] else (size - 3, size + 3)
            rows.append(
                (model, scope, factor, level, reference, 12, 6, size, low, high, 0.5, 0.1, "")
            )
    columns = ["model", "scope", "factor", "level", "reference", "pairs", "clusters"]
    columns += ["difference", "low", "high", "dz", "eta_squared", "note"]
    return pd.DataFrame(rows, columns=columns)


def with_lapses(cells):
    """Return cells with readings that tell a lapsing respondent from one without the value."""
    lapse = {"reference/faithful": 0.0, "reference/lapsing": 0.2}
    rate = cells["model"].map(lapse).where(cells["target"].notna(), np.nan)
    weak = ~cells["model"].str.startswith("reference/")
    return cells.assign(
        vr_regret=(1 - rate / 2).where(~weak),
        vr_regret_random=0.5,
        lapse_rate=rate,
        lapse_low=rate / 2,
        lapse_high=rate + 0.1,
        flag=np.where(weak, "few choices", ""),
    )


def tables_of(models):
    conditions, responses, cells = run_of(models)
    people = published.people_histogram()
    angles = (-45.0, 0.0, 45.0, 90.0)
    chosen = [one for one in recovery.truths() if one.angle in angles and one.sharpness == 0.1]
    study = recovery.study(chosen)
    return {
        "raw_and_chance": figures.raw_and_chance.table(cells),
        "published_raw_and_chance": figures.published_raw_and_chance.table(),
        "three_readings": figures.three_readings.table(with_lapses(cells)),
        "letter_choice": figures.letter_choice.table(letters(models)),
        "lapse_curves": figures.lapse_curves.table(KNOWN, np.linspace(0, 1, 11)),
        "angle_distributions": figures.angle_distributions.table(
            conditions, responses, SLIDER, KNOWN
        ),
        "recovery": figures.recovery.table(study, recovery.steps(SLIDER)),
        "factor_effects": figures.factor_effects.table(effects(models)),
        "people_and_models": figures.people_and_models.table(cells, people, SLIDER, KNOWN),
    }


@pytest.fixture(scope="module")
def tables():
    return tables_of(FEW)


@pytest.fixture(scope="module")
def drawn(tables):
    return {slug: getattr(figures, slug).draw(table) for slug, table in tables.items()}


def panel(figure, title):
    (axes,) = [axes for axes in figure.axes if axes.get_title("left") == title]
    return axes


def marks(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def words(figure):
    return {text.get_text() for text in figure.findobj(Text)}


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


def test_distributions_sum_to_one_and_mix_the_administrations(tables):
    table = tables["angle_distributions"]
    measured = table[table["part"] == "measured"]
    sums = measured.groupby(["model", "value"])["share"].sum(min_count=1)
    assert sums.dropna().to_numpy() == pytest.approx(1)
    assert len(sums.dropna()) == 15  # three respondents, five values; the weak model has none
    faithful = measured[(measured["model"] == FEW[0]) & (measured["value"] == "competitive")]
    assert faithful[["low", "high", "share"]].to_numpy() == pytest.approx(np.array([[-17, -16, 1]]))
    assert set(measured.loc[measured["model"] == FEW[3], "administrations"]) == {0}


def test_two_administrations_that_differ_are_mixed_half_and_half():
    conditions = pd.DataFrame({"condition_id": ["a", "b", "c"], "model": "m", "value": "none"})
    conditions["protocol"] = ["independent", "independent", "conversation"]
    tables = [np.eye(9)[svo.ideal_choices(name, SLIDER)] for name in KNOWN if name != "none"][:3]
    rows = pd.DataFrame(np.concatenate(tables), columns=P)
    rows.insert(0, "condition_id", np.repeat(["a", "b", "c"], 6))
    rows.insert(1, "item", list(SLIDER.items) * 3)
    found = figures.angle_distributions.table(conditions, rows, SLIDER, KNOWN)
    found = found[found["part"] == "measured"]
    assert found[["low", "share"]].to_numpy().tolist() == [[45, 0.5], [61, 0.5]]


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


def test_people_and_random_respondents_share_the_bins(tables):
    table = tables["people_and_models"]
    sums = table[table["part"].isin(["people", "random"])].groupby(["part", "sample"], dropna=False)
    assert sums["share"].sum().to_numpy() == pytest.approx(1)
    counts = table[table["part"] == "people"].groupby("sample")["count"].sum()
    assert counts.to_dict() == {"Many Labs 2": 6234, "Swiss panel": 757}


# What is drawn where.


def test_who_has_no_angle_is_named(drawn):
    assert any("no angle in" in text for text in words(drawn["people_and_models"]))


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


def test_what_cannot_be_estimated_is_said_and_zero_is_marked(drawn):
    axes = panel(drawn["factor_effects"], "lapsing")
    assert [text.get_text() for text in axes.texts] == ["not estimable"]
    (clear,) = marks(axes, "effect lapsing definition all values")
    (unclear,) = marks(axes, "effect lapsing True all values")
    assert (clear.get_xdata()[0], clear.get_markerfacecolor()) == (8, "#0B3C5D")
    assert unclear.get_markerfacecolor() == "white"
    (point,) = marks(
        panel(drawn["factor_effects"], "faithful"), "effect faithful definition all values"
    )
    assert point.get_marker() == "d"  # no interval
    assert "goal prompt, from without" in words(drawn["factor_effects"])


def test_rows_without_probabilities_say_so(drawn):
    axes = panel(drawn["angle_distributions"], "smollm2-135m-instruct")
    assert [text.get_text() for text in axes.texts] == ["no probabilities"] * 5


def test_lapsing_and_holding_no_value_come_apart_in_the_fourth_column(drawn):
    _, _, regret, lapse = drawn["three_readings"].axes
    place = {name: marks(lapse, f"lapse {name} altruistic") for name in ("faithful", "lapsing")}
    assert {name: line[0].get_xdata()[0] for name, line in place.items()} == {
        "faithful": 0.0,
        "lapsing": 0.2,
    }
    (low, high) = next(
        line.get_xdata()
        for line in lapse.lines
        if list(line.get_xdata()) == [0.1, pytest.approx(0.3)]
    )
    assert low < 0.2 < high
    assert [marks(axes, "random altruistic")[0].get_xdata()[0] for axes in (regret, lapse)] == [
        0.5,
        1,
    ]


def test_a_flagged_cell_carries_the_dagger_and_an_empty_one_says_so(drawn, tables):
    table = tables["three_readings"].query("part == 'measured'")
    assert set(table.loc[table["flag"] != "", "respondent"]) == {"smollm2-135m-instruct †"}
    assert {"smollm2-135m-instruct †", "no angle", "not estimable"} <= words(
        drawn["three_readings"]
    )


def test_a_constant_letter_has_the_lapse_rate_that_its_ideal_answers_give_it(tables):
    nulls = tables["three_readings"].query("part == 'baseline'").set_index(["respondent", "value"])
    # "A" is an ideal altruist's answer on 3 of 6 items: 1 - e + e / 9 = 1 / 2.
    assert nulls.loc[("always A", "altruistic"), "lapse"] == pytest.approx(9 / 16)
    assert nulls.loc[("always C", "altruistic"), "lapse"] == 1
    assert nulls.loc[("lapse 0.2", "prosocial"), "lapse"] == 0.2


def test_people_stand_outside_the_ring_and_models_inside_at_their_angle(drawn, tables):
    (axes,) = drawn["people_and_models"].axes
    (mark,) = marks(axes, "mean faithful altruistic True")
    assert np.degrees(mark.get_xdata()[0]) == pytest.approx(61.390, abs=5e-4)
    ideals = [marks(axes, f"ideal {name}")[0] for name in svo.CATEGORIES]
    rim = 50
    assert mark.get_ydata()[0] < ideals[0].get_ydata()[0] < rim
    people = tables["people_and_models"].query("part == 'people' and sample == 'Many Labs 2'")
    bars = [bar for bar in axes.patches if bar.get_y() > rim + 4]
    assert len(bars) == len(people)
    tallest = max(bars, key=lambda bar: bar.get_height())
    assert np.degrees(tallest.get_x()) == pytest.approx(35)  # the bin with most people
    heights = np.array([bar.get_height() for bar in bars])
    assert heights / heights.sum() == pytest.approx(people["share"].to_numpy())
    assert set(svo.CATEGORIES) <= {text.get_text() for text in axes.texts}


# For one and for many, to the byte, and from the file.


@pytest.mark.parametrize("models", [TWELVE, TWELVE[5:6]], ids=["twelve", "one"])
def test_no_words_are_cut_off_too_small_or_on_top_of_others(models, monkeypatch):
    boxes, draw = {}, Text.draw

    def note(text, renderer, *args, **kwargs):
        if text.get_visible() and text.get_text().strip():
            boxes[text] = Text.get_window_extent(text, renderer)
        return draw(text, renderer, *args, **kwargs)

    monkeypatch.setattr(Text, "draw", note)
    for slug, table in tables_of(models).items():
        if models is not TWELVE and slug in (
            "lapse_curves",
            "recovery",
            "published_raw_and_chance",
        ):
            continue
        boxes.clear()
        figure = getattr(figures, slug).draw(table)
        figure.draw_without_rendering()
        page = figure.bbox
        texts = [(text.get_text(), box) for text, box in boxes.items()]
        assert len(texts) > 10
        assert min(text.get_fontsize() for text in boxes) >= 6.5
        for text, box in texts:
            outside = max(-box.x0, -box.y0, box.x1 - page.x1, box.y1 - page.y1)
            assert outside <= 1, f"{slug}: '{text}' is cut off"
        for (a, one), (b, other) in itertools.combinations(texts, 2):
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            up = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert across < 2 or up < 2, f"{slug}: '{a}' and '{b}' overlap"


def pixels(figure):
    """Return the picture at half its resolution, which takes a quarter of the time."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(style.DPI / 2)
    with style.context():
        canvas.draw()
    picture = np.asarray(canvas.buffer_rgba(), float)
    figure.set_dpi(style.DPI)
    return picture


@pytest.mark.parametrize(
    "slug",
    [
        *("raw_and_chance", "three_readings", "angle_distributions", "factor_effects"),
        "people_and_models",
    ],
)
def test_a_figure_is_the_same_from_its_csv(slug, tables, drawn, tmp_path):
    with style.context():
        small = style.new_figure(0.5)
    saved = style.save(small, tables[slug], tmp_path, slug, "caption", "alt")
    again = getattr(figures, slug).draw(pd.read_csv(saved.files["csv"]))
    changed = np.abs(pixels(drawn[slug]) - pixels(again)).max(axis=2) > 60
    assert changed.mean() < 2e-4


def test_saving_twice_gives_the_same_bytes(tables, tmp_path):
    slug, contents = "people_and_models", []
    for attempt in ("one", "two"):
        figure = getattr(figures, slug).draw(tables[slug])
        saved = style.save(figure, tables[slug], tmp_path / attempt, slug, "caption", "alt")
        contents.append([path.read_bytes() for path in saved.files.values()])
    assert contents[0] == contents[1]
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


@pytest.mark.parametrize("slug", SLUGS)
def test_an_empty_table_is_a_users_mistake_in_a_sentence(slug, tables):
    with pytest.raises(UserError, match="nothing to draw"):
        getattr(figures, slug).draw(tables[slug][:0])


def test_a_run_in_which_nothing_could_be_measured_still_has_its_figures(tables):
    for slug, column in (
        ("raw_and_chance", "raw"),
        ("people_and_models", "angle"),
        ("three_readings", "lapse"),
    ):
        table = tables[slug].copy()
        own = table["respondent"].isin(["faithful", "lapsing"])
        table = table[own | (table["part"] != "measured" if "part" in table else False)].copy()
        unknown = own.reindex(table.index)
        columns = [name for name in ("chance", "low", "high", column) if name in table]
        table.loc[unknown, columns] = np.nan
        assert len(words(getattr(figures, slug).draw(table))) > 5


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
    with pytest.raises(UserError, match="nothing to draw"):
        figures.factor_effects.table(effects(FEW)[:0])
    conditions, responses, _ = run_of(FEW[:1])
    rows = responses.assign(condition_id="elsewhere")
    with pytest.raises(UserError, match="none of them belongs to a condition"):
        figures.angle_distributions.table(conditions, rows, SLIDER, KNOWN)


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


def test_single_values_that_agree_do_not_hide_one_another():
    table = effects(FEW).assign(difference=3.0)
    drawn = figures.factor_effects.draw(figures.factor_effects.table(table))
    marks = [line for line in drawn.axes[0].lines if (line.get_gid() or "").startswith("effect")]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks]
    assert len(marks) > 3
    assert len(set(places)) == len(places)
