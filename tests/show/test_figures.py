"""The figures: what is drawn where, that nothing is cut off, and that files are the same bytes."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation, Text
from PIL import Image

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, values
from hvae_utils.show import figures, marks, style
from tests.support import synthetic_tables

ROOT = Path(__file__).resolve().parents[2]
MANY = (
    *synthetic_tables.RESPONDENTS,
    "openai/gpt-4o",
    "openai/gpt-4o-mini-2024-07-18",
    "anthropic/claude-sonnet-4-5-20250929",
    "ollama/qwen2.5:0.5b-instruct-q4_K_M",
    "local//data/models/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
    "vllm/mistralai/Mistral-7B-Instruct-v0.3",
)
SLUGS = (
    "svo_ring",
    "slider_items",
    "vr_radar",
    "angle_by_value",
    "category_shares",
    "goal_effect",
    "outcomes",
    "published_radar",
)


def tables_of(models):
    run = synthetic_tables.make(models)
    slider, known = instruments.load("svo-slider"), values.load()
    published = pd.read_csv(paths.DATA / "published" / "hvae_radar.csv")
    return {
        "svo_ring": figures.svo_ring.table(run.cells, slider, known),
        "slider_items": figures.slider_items.table(slider, known),
        "vr_radar": figures.vr_radar.table(run.cells),
        "angle_by_value": figures.angle_by_value.table(run.scores, run.cells, slider, known),
        "category_shares": figures.category_shares.table(run.scores, slider),
        "goal_effect": figures.goal_effect.table(run.goal_effects),
        "outcomes": figures.outcomes.table(run.responses, run.conditions),
        "published_radar": figures.vr_radar.published_table(published),
    }


def draw(slug, table):
    module = "vr_radar" if slug == "published_radar" else slug
    return getattr(figures, module).draw(table)


@pytest.fixture(scope="module")
def tables():
    return tables_of(synthetic_tables.RESPONDENTS)


@pytest.fixture(scope="module")
def drawn(tables):
    return {slug: draw(slug, table) for slug, table in tables.items()}


def panel(figure, title):
    found = [axes for axes in figure.axes if title in (axes.get_title(loc) for loc in PLACES)]
    assert len(found) == 1
    return found[0]


PLACES = ("left", "center", "right")


def mark(axes, gid):
    (line,) = [line for line in axes.lines if line.get_gid() == gid]
    return line


def place(line):
    return float(line.get_xdata()[0]), float(line.get_ydata()[0])


def words(figure):
    return {text.get_text() for text in figure.findobj(Text)}


# What is drawn where.


def test_the_ring_shows_the_ideals_and_a_panel_a_respondent(drawn):
    assert len(drawn["svo_ring"].axes) == 7
    key = panel(drawn["svo_ring"], "ideal respondents")
    x, y = place(mark(key, "ideal altruistic"))
    assert np.degrees(np.arctan2(y - 50, x - 50)) == pytest.approx(61.390, abs=5e-4)
    assert key.get_aspect() == 1


def test_a_faithful_respondent_stands_on_the_ideal_of_every_value(drawn):
    axes = panel(drawn["svo_ring"], "faithful")
    for value in ("altruistic", "prosocial", "individualistic", "competitive"):
        for goal in (True, False):
            assert place(mark(axes, f"measured {value} {goal}")) == pytest.approx(
                place(mark(axes, f"ideal {value}"))
            )


def test_marks_that_share_a_place_keep_their_data_and_are_moved_apart_on_the_page(drawn):
    figure = drawn["svo_ring"]
    axes = panel(figure, "first-option")
    lines = [mark(axes, f"measured {value} True") for value in values.names()]
    assert len({place(line) for line in lines}) == 1
    shown = {tuple(np.round(line.get_transform().transform(place(line)), 1)) for line in lines}
    assert len(shown) == 5


def test_what_has_no_angle_is_counted_on_the_ring_not_drawn(drawn):
    axes = panel(drawn["svo_ring"], "smollm2-135m-instruct")
    drawn_marks = [line for line in axes.lines if str(line.get_gid()).startswith("measured")]
    assert any(f"{10 - len(drawn_marks)} of 10 cells" in text.get_text() for text in axes.texts)


def test_both_axes_of_the_payoff_plane_are_labelled_in_coins(drawn):
    assert {"mean coins for oneself", "mean coins for the other"} <= words(drawn["svo_ring"])
    plane = drawn["slider_items"].axes[0]
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("coins for oneself", "coins for the other")


def test_the_items_are_six_segments_of_nine_options_between_named_ends(drawn):
    plane, sliders = drawn["slider_items"].axes
    segments = [line for line in plane.lines if str(line.get_gid()).startswith("item")]
    assert [len(line.get_xdata()) for line in segments] == [9] * 6
    assert list(segments[0].get_ydata()) == [85, 76, 68, 59, 50, 41, 33, 24, 15]
    names = {text.get_text(): text.xy for text in plane.texts if isinstance(text, Annotation)}
    assert names["altruistic"] == (50, 100)
    assert names["competitive"] == (85, 15)
    assert len([text for text in sliders.texts]) == 2 * 54


def test_a_faithful_respondent_fills_the_radar_and_random_does_not(drawn):
    axes = panel(drawn["vr_radar"], "faithful")
    line = mark(axes, "with goal prompt")
    assert line.get_ydata() == pytest.approx(np.full(5, 60.0))
    random = next(line for line in axes.lines if line.get_gid() == "random")
    assert random.get_ydata().max() < 40
    assert axes.get_ylim() == (-20, 60)


def test_negative_value_rationality_is_drawn_where_it_is_and_the_centre_is_said(drawn):
    axes = panel(drawn["vr_radar"], "agreeable")
    (line,) = [line for line in axes.lines if line.get_gid() == "vr competitive True"]
    assert place(line)[1] == pytest.approx(-1.26, abs=5e-3)
    assert any("centre −20" in text for text in words(drawn["vr_radar"]))


def test_a_value_below_the_usual_centre_moves_the_centre(tables):
    low = tables["vr_radar"].assign(vr=-31.0)
    assert figures.vr_radar.draw(low).axes[0].get_ylim() == (-40, 60)


def test_a_spoke_without_any_angle_says_so(drawn):
    axes = panel(drawn["vr_radar"], "smollm2-135m-instruct")
    assert "altruistic (no angle)" in {text.get_text() for text in axes.texts}


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


def test_constant_letters_have_a_row_below_the_values_of_every_respondent(drawn, tables):
    nulls = tables["angle_by_value"].query("part == 'baseline'").set_index("respondent")["angle"]
    assert nulls.to_dict() == pytest.approx(ALWAYS, abs=0.05)
    for axes in drawn["angle_by_value"].axes:
        line = mark(axes, "always one letter")
        assert list(line.get_xdata()) == list(nulls)
        assert line.get_ydata()[0] < -4.5


# The mean of the six options behind each letter, from the published coins, by hand.
ALWAYS = {
    **{"always A": 30.5, "always B": 28.1, "always C": 26.8, "always D": 24.6, "always E": 22.9},
    **{"always F": 20.7, "always G": 18.8, "always H": 17.1, "always I": 14.7},
}


def test_cells_with_missing_answers_show_bounds_and_others_none(drawn):
    figure = drawn["angle_by_value"]
    weak = panel(figure, "smollm2-135m-instruct")
    bounds = [line for line in weak.lines if line.get_gid() == "bounds"]
    assert len(bounds) >= 8
    assert all(line.get_xdata()[0] <= line.get_xdata()[1] for line in bounds)
    assert not [line for line in panel(figure, "random").lines if line.get_gid() == "bounds"]


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


def test_effects_are_on_zero_for_the_faithful_and_named_where_not_estimable(drawn):
    figure = drawn["goal_effect"]
    axes = panel(figure, "altruistic")
    line = mark(axes, "effect faithful altruistic")
    assert place(line)[0] == pytest.approx(0)
    assert line.get_markerfacecolor() == "white"  # hollow: no interval
    assert [text.get_text() for text in axes.texts] == ["not estimable"]
    low, high = axes.get_xlim()
    assert low == -high


def test_a_run_without_any_effect_still_has_its_figure(tables):
    table = tables["goal_effect"].assign(difference=np.nan, low=np.nan, high=np.nan)
    figure = figures.goal_effect.draw(table)
    assert sum(len(axes.texts) for axes in figure.axes) == len(table)


def test_outcome_bars_fill_the_whole_and_name_the_number_of_items(drawn):
    axes = drawn["outcomes"].axes[0]
    lengths = {}
    for bar in axes.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        lengths[row] = lengths.get(row, 0) + bar.get_width()
    assert list(lengths.values()) == pytest.approx([100] * 6)
    assert {"720 items", "180 items"} <= words(drawn["outcomes"])
    assert {"refusal", "unparseable", "truncated", "empty", "error"} <= words(drawn["outcomes"])


# Readable by everyone.


@pytest.fixture
def printed(monkeypatch):
    """Return a dict that fills with every word drawn, but those at an angle: text -> box."""
    boxes = {}
    draw = Text.draw

    def note(text, renderer, *args, **kwargs):
        if text.get_visible() and text.get_text().strip() and not text.get_rotation() % 90:
            boxes[text] = Text.get_window_extent(text, renderer)  # drawn again, noted anew
        return draw(text, renderer, *args, **kwargs)

    monkeypatch.setattr(Text, "draw", note)
    return boxes


@pytest.mark.parametrize("models", [MANY, MANY[5:6]], ids=["twelve", "one"])
def test_no_words_are_cut_off_and_none_overlap(models, printed):
    for slug, table in tables_of(models).items():
        if models is not MANY and slug in ("slider_items", "published_radar"):
            continue
        printed.clear()
        figure = draw(slug, table)
        figure.draw_without_rendering()
        texts = [(text.get_text(), box) for text, box in printed.items()]
        assert len(texts) > 10
        page = figure.bbox
        for text, box in texts:
            outside = max(-box.x0, -box.y0, box.x1 - page.x1, box.y1 - page.y1)
            assert outside <= 1, f"{slug}: '{text}' is cut off"
        for (a, one), (b, other) in itertools.combinations(texts, 2):
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            up = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert across < 2 or up < 2, f"{slug}: '{a}' and '{b}' overlap"


def test_no_words_are_smaller_than_six_and_a_half_points(drawn):
    for figure in drawn.values():
        assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 6.5


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


def test_saving_twice_gives_the_same_bytes(tables, tmp_path):
    for slug in ("vr_radar", "outcomes"):
        contents = []
        for attempt in ("one", "two"):
            figure = draw(slug, tables[slug])
            saved = style.save(figure, tables[slug], tmp_path / attempt, slug, "c", "a")
            contents.append([path.read_bytes() for path in saved.files.values()])
        assert contents[0] == contents[1]


def test_another_process_with_other_settings_saves_the_same_bytes(tables, tmp_path):
    saved = save_outcomes(tables["outcomes"], tmp_path / "here")
    code = (
        "import sys, matplotlib; from pathlib import Path;"
        "from tests.show import test_figures; from tests.support import synthetic_tables;"
        "matplotlib.rcParams.update({'font.size': 20, 'savefig.bbox': 'tight'});"
        "run = synthetic_tables.make();"
        "table = test_figures.figures.outcomes.table(run.responses, run.conditions);"
        "test_figures.save_outcomes(table, Path(sys.argv[1]))"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "5",
    }
    environment.pop("DISPLAY", None)
    there = tmp_path / "there"
    subprocess.run([sys.executable, "-c", code, there], env=environment, check=True)
    for path in saved.files.values():
        assert path.read_bytes() == (there / path.name).read_bytes()


def pixels(figure):
    """Return the picture at half its resolution, which takes a quarter of the time."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(style.DPI / 2)
    with style.context():
        canvas.draw()
    picture = np.asarray(canvas.buffer_rgba(), float)
    figure.set_dpi(style.DPI)
    return picture


@pytest.mark.parametrize("slug", SLUGS)
def test_a_figure_can_be_redrawn_from_its_csv(slug, tables, drawn, tmp_path):
    saved = save_small(tmp_path, table=tables[slug])
    again = draw(slug, pd.read_csv(saved.files["csv"]))
    changed = np.abs(pixels(drawn[slug]) - pixels(again)).max(axis=2) > 60
    assert changed.mean() < 2e-4


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


def test_every_published_figure_has_a_module_of_its_name_with_its_table_and_its_drawing():
    index = json.loads((paths.FIGURES / "index.json").read_text(encoding="utf-8"))
    published = {entry["slug"].partition("_")[2] for entry in index}
    assert published - {"published_radar"} == set(figures.__all__)
    for name in figures.__all__:
        module = getattr(figures, name)
        assert callable(module.table)
        assert callable(module.draw)


def test_a_figure_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="no figure 'ring'; there are angle_by_value"):
        _ = figures.ring


def test_categories_stand_downwards_and_their_regions_meet():
    regions = marks.regions((-12.04, 57.15, 22.45), -38, 90)
    assert regions[0] == ("altruistic", 57.15, 90)
    assert regions[-1] == ("competitive", -38, -12.04)
    assert all(above[1] == below[2] for above, below in itertools.pairwise(regions))
