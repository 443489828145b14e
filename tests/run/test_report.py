"""The report of a run: what it says is true of the run, and the page stands on its own."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hvae_utils import __main__ as cli
from hvae_utils.ask import reference
from hvae_utils.errors import UserError
from hvae_utils.run import report
from hvae_utils.run.run import Run
from hvae_utils.show import findings
from tests.support import finished_run

HOSTILE = "ollama/<script>alert(1)<script>&\"'"


class Page(HTMLParser):
    """What a reader's program sees: tags with attributes, headings, tables and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.headings, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1][1] += data

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    finished_run.make(folder / "known")
    finished_run.make(folder / "hostile", (HOSTILE,))
    return folder


@pytest.fixture(scope="module")
def page(runs):
    return Page(Run("known", runs).report().read_text(encoding="utf-8"))


@pytest.fixture
def copy(runs, tmp_path):
    """Return a folder with a copy of the run, to be broken."""
    unread = shutil.ignore_patterns("report.html")
    shutil.copytree(runs / "known", tmp_path / "known", ignore=unread)
    return tmp_path


# --- the page ------------------------------------------------------------------------------------


def test_the_page_is_well_formed_and_has_what_a_screen_reader_needs(page):
    assert page.open == []
    assert page.named("html") == [{"lang": "en-GB"}]
    assert [len(page.named(tag)) for tag in ("title", "main", "header", "nav", "footer")] == [1] * 5
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    steps = np.diff(levels)
    assert steps.max() == 1, "no heading level is skipped"
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    links = [given["href"] for given in page.named("a")]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert links[0] == "#content", "the first link skips to the content"


def test_it_asks_for_nothing_outside_of_itself(page):
    (policy,) = (given["content"] for given in page.named("meta") if "http-equiv" in given)
    assert policy.startswith("default-src 'none'; img-src data:;")
    sources = [given[name] for _, given in page.tags for name in ("src", "href") if name in given]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not page.named("script")
    assert not any(name.startswith("on") or name == "style" for _, a in page.tags for name in a)


def test_every_figure_is_there_with_title_caption_alt_and_its_own_bytes(page, runs):
    index = json.loads((runs / "known" / "figures" / "index.json").read_text(encoding="utf-8"))
    shown = page.named("img")
    assert [given["alt"] for given in shown] == [entry["alt"] for entry in index]
    for given, entry in zip(shown, index, strict=True):
        kind, _, data = given["src"].partition(";base64,")
        assert kind == "data:image/svg+xml"
        svg = runs / "known" / "figures" / f"{entry['slug']}.svg"
        assert base64.b64decode(data) == svg.read_bytes()
        assert [3, entry["title"]] in page.headings
        assert "What <b>it</b> shows." in page.text


def test_a_picture_too_large_as_svg_is_a_png(runs, copy):
    folder = copy / "known" / "figures"
    svg = folder / "02_large.svg"
    svg.write_bytes(svg.read_bytes() + b" " * report.LARGEST_SVG)
    page = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    data = page.named("img")[1]["src"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(data) == (folder / "02_large.png").read_bytes()


def test_every_table_has_a_caption_and_heads_and_a_long_one_says_that_it_is_cut(page):
    tables = page.named("table")
    assert len(tables) == len(page.named("caption")) == len(page.named("tbody"))
    assert all(given.get("scope") in ("col", "row") for given in page.named("th"))
    assert len(page.named("details")) == 1, "the large table is folded away, the small one is not"
    assert "The first 60 of 100 rows." in page.text
    assert "12.3" in page.text


def test_what_others_wrote_stays_text(runs):
    text = Run("hostile", runs).report().read_text(encoding="utf-8")
    page = Page(text)
    assert not page.named("script")
    assert "<script>alert(1)" not in text
    assert "alert(1)" in page.text


def test_control_signs_never_reach_the_page():
    template = report.environment().from_string("<p>{{ said }}</p>")
    assert template.render(said="a\x00\x1b[31m\ud800<") == "<p>a??[31m?&lt;</p>"


def test_the_same_run_gives_the_same_bytes(runs, tmp_path):
    once, twice = (Run("known", runs).report(tmp_path / name) for name in ("a.html", "b.html"))
    assert once.read_bytes() == twice.read_bytes()
    assert len(once.read_bytes()) < 10_000_000


def test_the_style_keeps_contrast_well_above_what_is_asked_for_text():
    def light(colour):
        red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                  for c in (red, green, blue)]  # fmt: skip
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    style = Path(report.__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#\w+);", style))
    for name in ("ink", "muted", "link"):
        text = colours[name]
        for ground in ("#ffffff", colours["shade"]):
            dark, bright = sorted((light(text), light(ground)))
            assert (bright + 0.05) / (dark + 0.05) > 6.5, name


# --- what it says --------------------------------------------------------------------------------


def cell(model="reference/a", value="altruistic", **changed):
    known = {
        **{"model": model, "value": value, "goal_prompt": True, "administrations": 4, "scored": 4},
        **{"asked": 24, "choice": 24, "target": 60.0, "mean_angle": 60.0, "vr": 60.0},
        **{"vr_random": 21.3, "vr_chance": 1.0, "p_random": 0.001, "flag": ""},
    }
    return known | changed


def test_a_respondent_beyond_chance_everywhere_somewhere_and_nowhere_is_told_apart():
    rows = [
        cell("reference/all"),
        cell("reference/all", "competitive", target=-16.0, mean_angle=-10.0),
        cell("reference/some"),
        cell("reference/some", "competitive", p_random=0.05, vr_chance=-0.25),
        cell("reference/none", p_random=0.4),
        cell("reference/mute", vr=np.nan, p_random=np.nan, vr_chance=np.nan, scored=0),
    ]
    said = dict(findings.of_respondents(pd.DataFrame(rows)))
    assert said["all"].startswith("Closer to the target than chance explains in each of its 2")
    assert "moves by 70.0°, the targets by 76.0°" in said["all"]
    assert said["some"].startswith("Beyond chance in 1 of 2 scored cells, assigned altruistic.")
    assert "−0.25 at the least (competitive, with goal prompt)" in said["some"]
    assert said["none"].startswith("Chance is enough to explain the score in each of its 1")
    assert said["mute"] == "No score: no administration is whole."


def test_the_answer_in_short_never_says_more_than_the_cells():
    def short(*rows):
        return findings.in_short(pd.DataFrame(rows))[0]

    low = {"target": -16.0, "mean_angle": -10.0}
    held = [cell("ollama/m"), cell("ollama/m", "competitive", **low)]
    assert short(*held).startswith("m acts on the value")
    assert "could be a habit" in short(held[0]), "one value cannot tell a value from a habit"
    habit = [held[0], cell("ollama/m", "competitive", **low, p_random=0.9)]
    assert "in 1 of 2 cells (altruistic)" in short(*habit)
    lost = cell("ollama/m", "competitive", target=-16.0, vr=np.nan, p_random=np.nan, scored=0)
    assert "in 1 of 2 cells" in short(held[0], lost), "what could not be scored is not met"
    assert "no sign" in short(cell("ollama/m", p_random=0.05))
    assert "does not say" in short(lost)
    constant = [cell("ollama/m", mean_angle=45.0), cell("ollama/m", "prosocial", target=45.0)]
    constant[1]["mean_angle"] = 45.0
    assert "could be a habit" in short(*constant), "an angle that never moves follows no value"
    assert short(cell("reference/random")).startswith("No language model was asked")


def test_every_simulated_respondent_is_introduced_and_a_model_is_never_one():
    assert set(findings.SIMULATED) == set(reference.POLICIES)
    said = dict(findings.who([f"reference/{name}" for name in findings.SIMULATED]))
    assert all(words.startswith("Simulated: ") for words in said.values())
    assert dict(findings.who(["ollama/faithful"])) == {
        "faithful": "A language model, ollama/faithful."
    }


def test_the_page_answers_before_it_explains(page):
    heads = [name for level, name in page.headings if level < 4]
    assert heads[1:4] == ["In short", "Question and method", "Who was asked"]
    assert "weak " in page.text.split("In short")[-1][:200]


def test_missing_choices_and_flags_are_counted_and_never_rounded_away():
    rows = [cell(asked=9_999, choice=9_999), cell(asked=1, choice=0, scored=3, flag="few choices")]
    said = " ".join(findings.of_run(pd.DataFrame(rows)))
    assert "over 99.9% (9,999 of 10,000) ended in a choice" in said
    assert "87.5% (7 of 8) are complete" in said
    assert "1 of 2 cells carry a flag" in said
    assert "few choices (1)" in said


def test_a_goal_prompt_is_judged_by_its_interval():
    effects = pd.DataFrame(
        {
            "model": "reference/a",
            "value": ["altruistic", "prosocial", "competitive"],
            "pairs": [4, 4, 4],
            "difference": [5.0, -3.0, 9.0],
            "low": [1.0, -7.0, np.nan],
            "high": [9.0, 1.0, np.nan],
        }
    )
    said = findings.of_goal_prompts(effects)
    assert "3 comparisons" in said[0]
    assert "leaves out zero in 1;" in said[0]
    assert said[1:] == ["a, altruistic: the goal prompt helped by 5.0 degrees [1.0, 9.0]."]
    assert findings.of_goal_prompts(effects.assign(pairs=0)) == [
        "The study holds no pair with and without the goal prompt."
    ]


def test_the_known_respondents_are_told_what_is_true_of_them(page):
    said = dict(re.findall(r"(faithful|agreeable|first-option)\. (.+)", page.text))
    assert said["faithful"].startswith("Closer to the target than chance explains in each of its 8")
    assert "mean angle moves by 0.0°" in said["agreeable"]
    assert "mean angle moves by 0.0°" in said["first-option"]


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ([1.0, 1234.0], ["1", "1,234"]),
        ([61.3895, -16.26], ["61.4", "−16.3"]),
        ([1.0, 0.48], ["1", "0.48"]),
        ([0.5, 2e-6, -2e-6, -0.0, np.nan], ["0.500", "< 0.001", "> −0.001", "0.000", "–"]),
        ([True, False], ["yes", "no"]),
        ([None, "", "a < b"], ["–", "–", "a < b"]),
    ],
)
def test_a_column_is_readable_and_says_no_more_than_it_knows(numbers, shown):
    _, column = report.columns(pd.DataFrame({"name": "x", "n": numbers}))
    assert [text.removesuffix(".00") for text in column.texts] == shown


def test_provenance_names_the_weights_and_what_was_changed_afterwards(copy):
    assert "Files changed since the run finished" in Run("known", copy).report().read_text("utf-8")
    table = copy / "known" / "value_rationality.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("few choices", ""), "utf-8")
    page = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    assert re.search(r"Files changed since the run finished\s*value_rationality.csv", page.text)
    assert "identity" in page.text


# --- bad input -----------------------------------------------------------------------------------


def test_the_command_writes_the_file_and_says_where(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["report", "--run-id", "known", "--runs", str(runs), "--out", "r.html"]
    assert cli.main(given) == 0
    assert capsys.readouterr().out == "wrote r.html\n"
    assert (tmp_path / "r.html").stat().st_size > 10_000


def without_seeds(run):
    made_of = json.loads((run / "manifest.json").read_text())
    del made_of["seeds"]
    (run / "manifest.json").write_text(json.dumps(made_of))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda run: shutil.rmtree(run), "there is no run in .* yet; hvae reproduce makes one"),
        (lambda run: run.rename(run.with_name("knwn")), "Did you mean 'knwn'"),
        (lambda run: (run / "manifest.json").unlink(), "run 'known' is no finished run; continue"),
        (lambda run: (run / "manifest.json").write_text("{"), r"manifest\.json is not JSON"),
        (lambda run: (run / "manifest.json").write_text("{}"), "is no manifest of a run"),
        (without_seeds, r"damaged file \(KeyError\('seeds'\)\)"),
        (lambda run: (run / "goal_effects.csv").unlink(), "lacks goal_effects.csv; run it again"),
        (lambda run: (run / "goal_effects.csv").write_text("x"), "damaged file"),
        (lambda run: (run / "value_rationality.csv").write_text("a\n1\n"), "damaged file"),
        (lambda run: (run / "figures" / "01_small.svg").unlink(), "lacks 01_small.svg"),
        (lambda run: (run / "figures" / "index.json").write_text("[]"), "has no figure"),
        (lambda run: (run / "figures" / "index.json").write_text("7"), "no list of figures"),
        (lambda run: (run / "report.html").mkdir(), "cannot write .*report.html"),
    ],
)
def test_a_run_that_cannot_be_reported_is_one_sentence(copy, broken, message):
    broken(copy / "known")
    with pytest.raises(UserError, match=message) as raised:
        Run("known", copy).report()
    assert "\n" not in str(raised.value)


def test_nothing_is_left_where_nothing_can_be_written(runs, tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*No such file or directory"):
        Run("known", runs).report(tmp_path / "nowhere" / "r.html")
    assert not list(tmp_path.iterdir())


def test_the_goal_effects_of_the_run_are_told_and_none_is_estimated_anew(copy):
    table = copy / "known" / "goal_effects.csv"
    effects = pd.read_csv(table)
    effects.loc[0, ["pairs", "difference", "low", "high"]] = [4, 12.3, 11.1, 13.5]
    effects.to_csv(table, index=False)
    (copy / "known" / "scores.parquet").unlink()
    page = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    assert "the goal prompt helped by 12.3 degrees [11.1, 13.5]" in page.text


def test_a_small_share_of_random_respondents_is_not_shown_as_none(copy):
    table = copy / "known" / "value_rationality.csv"
    cells = pd.read_csv(table).assign(p_random=1e-12)
    cells.loc[0, ["angle_low", "angle_high"]] = np.nan
    cells.to_csv(table, index=False)
    page = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    assert "< 0.001" in page.text
    assert "0.000" not in page.text
    assert not re.search(r"\bnan\b", page.text)
