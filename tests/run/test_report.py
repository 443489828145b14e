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
from hvae_utils import paths
from hvae_utils.ask import reference
from hvae_utils.errors import UserError
from hvae_utils.play import study
from hvae_utils.run import report
from hvae_utils.run.run import Run
from hvae_utils.show import findings
from tests.support import finished_run

HOSTILE = "ollama/<script>alert(1)<script>&\"'"


class Page(HTMLParser):
    """What a reader's program sees: tags with attributes, headings, tables and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.headings, self.cells, self.text = [], [], [], [], ""
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
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)
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


def test_a_remark_stands_once_below_its_table_and_is_called_by_its_number():
    remarks = ["short; no target", "", None, "no target", "short; no target"]
    table = report.shown(pd.DataFrame({"respondent": list("abcde"), "note": remarks}))
    assert table.notes == ["short; no target", "no target"]
    assert table.columns[1].texts == ["[1]", "–", "–", "[2]", "[1]"]
    rows = pd.DataFrame({"note": [f"remark {number}" for number in range(report.MOST + 5)]})
    assert report.shown(rows).notes[-1] == f"remark {report.MOST - 1}", "of the rows that are shown"


def test_every_number_of_a_remark_leads_to_one_below_the_table(page):
    remarks = [text for text in page.cells if re.fullmatch(r"\[\d+\]", text)]
    assert remarks
    assert len(page.named("ol")) >= 1
    assert "no target, hence no value rationality" not in page.cells


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
        **{"censored": 0.0, "thinking_tokens": np.nan},
        **{"vr_random": 21.3, "vr_chance": 1.0, "flag": ""},
    }
    return known | changed


def arm(model, verdict, steerability=0.0, goal=True, **changed):
    low, high = steerability - 0.009, steerability + 0.009
    known = {
        **{"model": model, "goal_prompt": goal, "verdict": verdict, "steerability": steerability},
        **{"low": low - 0.002, "high": high + 0.002},
        **{"low_90": low, "high_90": high, "margin": 0.1, "wordings": 9, "wordings_needed": np.nan},
        **{"bits": 0.05, "identification": 0.27, "note": ""},
    }
    return known | changed


def sentences(*rows):
    return [sentence for _, sentence in findings.verdicts(pd.DataFrame(rows))]


def test_each_verdict_is_one_sentence_with_interval_margin_and_wordings():
    assert sentences(arm("local/m", "does not act on it", -0.0063)) == [
        "m does not act on the value it is told to hold: it moves by −0.6% of the way "
        "(90% interval −1.5% to 0.3%, margin 10%, nine wordings)."
    ]
    acts = sentences(arm("ollama/m", "acts on the value", 0.831, wordings=12))
    assert acts[0].startswith("m acts on the value it is told to hold: it moves by 83.1% of the")
    assert "(95% interval 82.0% to 84.2%, margin 10%, 12 wordings)" in acts[0]
    (undecided,) = sentences(arm("ollama/m", "undecided", 0.11, wordings=4, wordings_needed=14.0))
    assert undecided.startswith("Whether m acts on the value it is told to hold is undecided: it")
    assert undecided.endswith("margin 10%, four wordings); 14 wordings would decide.")
    lost = arm("ollama/m", "not estimable", np.nan, note="one wording; two would do", wordings=1)
    assert sentences(lost) == [
        "Whether m acts on the value it is told to hold cannot be estimated: one wording; two "
        "would do."
    ]


def test_arms_that_agree_share_a_sentence_and_arms_that_do_not_are_told_apart():
    (both,) = sentences(
        arm("ollama/m", "acts on the value", 0.5, goal=False), arm("ollama/m", "acts on the value")
    )
    assert "without goal prompt it moves by 50.0% of the way (95%" in both
    assert "and with goal prompt it moves by 0.0% of the way (95%" in both
    one, other = sentences(
        arm("ollama/m", "does not act on it", goal=False), arm("ollama/m", "acts on the value", 0.5)
    )
    assert one.startswith("m without goal prompt does not act on")
    assert other.startswith("m with goal prompt acts on the value it is told to hold: it moves by")


def test_the_answer_in_short_is_about_language_models_and_the_known_truth_is_a_check():
    known = [
        arm("reference/faithful", "acts on the value", 0.999),
        arm("reference/random", "does not act on it"),
        arm("reference/first-option", "does not act on it"),
    ]
    short = findings.in_short(pd.DataFrame([*known, arm("ollama/m", "does not act on it")]))
    assert short[0].startswith("m does not act on the value")
    assert short[1:] == [
        "The same test of the simulated respondents, of whom the truth is known: faithful (acts on "
        "the value); random and first-option (does not act on it)."
    ]
    assert findings.in_short(pd.DataFrame(known))[0].startswith("No language model was asked")
    assert len(findings.in_short(pd.DataFrame([arm("ollama/m", "undecided")]))) == 1


def test_a_model_that_thinks_first_is_told_as_one_that_does():
    rows = [
        arm("ollama/m", "acts on the value", 0.5),
        arm("ollama/m+reasoned", "undecided", 0.1, wordings_needed=12),
        arm("ollama/m+low", "not estimable", note="one wording"),
        arm("reference/faithful+reasoned", "acts on the value"),
    ]
    direct, reasoned, low, known = findings.in_short(pd.DataFrame(rows))
    assert direct.startswith("m acts on the value it is told to hold: it")
    assert reasoned.startswith(
        "Whether m acts on the value it is told to hold when it thinks first is undecided: it"
    )
    assert low.startswith(
        "Whether m acts on the value it is told to hold with its thinking set to low cannot be"
    )
    assert known.endswith(" faithful · reasoned (acts on the value).")
    who = dict(findings.who(["reference/faithful+reasoned", "ollama/m+off"]))
    assert who["faithful · reasoned"].endswith(
        "follows its value without a slip when it thinks first."
    )
    assert who["m · thinking off"] == "A language model, ollama/m with its thinking set to off."


def test_what_thinking_changes_is_told_by_model_and_arm():
    row = {"model": "ollama/m", "goal_prompt": False, "deliberation": "reasoned"}
    row |= {"against": "direct", "wordings": 9, "note": ""}
    row |= {"difference": 0.169, "low": 0.15, "high": 0.19}
    high = row | {"goal_prompt": True, "deliberation": "high", "against": "off"}
    assert findings.of_deliberation(pd.DataFrame([row])) == [
        "m: thinking first changes how far it moves by 16.9% of the way (95% interval 15.0% to "
        "19.0%, nine wordings)."
    ]
    lost = high | {"low": np.nan, "note": "one wording"}
    assert findings.of_deliberation(pd.DataFrame([row, high, lost]))[1:] == [
        "m with goal prompt: thinking set to high, against off, changes how far it moves by 16.9% "
        "of the way (95% interval 15.0% to 19.0%, nine wordings).",
        "m with goal prompt: not estimable, one wording.",
    ]
    assert findings.of_deliberation(pd.DataFrame([row])[:0]) == []


def test_a_respondent_is_told_with_its_verdict_its_bits_and_its_lowest_score():
    rows = [
        *(cell("ollama/m"), cell("ollama/m", "competitive", vr_chance=-0.25, flag="few choices")),
        cell("ollama/mute", vr=np.nan, vr_chance=np.nan, scored=0),
    ]
    arms = [arm("ollama/m", "acts on the value", 0.5), arm("ollama/mute", "not estimable")]
    said = dict(findings.of_respondents(pd.DataFrame(rows), pd.DataFrame(arms)))
    assert said["m"].startswith("m acts on the value it is told to hold")
    assert "carry 0.05 bits about the value" in said["m"]
    assert "right in 27% at best" in said["m"]
    assert "0.38 on average, −0.25 at the least (competitive, with goal prompt)" in said["m"]
    assert said["m"].endswith("Flagged in 1 of 2 cells: few choices (1).")
    assert said["mute"] == "No score: no administration is whole."


def test_a_note_is_shown_where_everybody_it_speaks_of_was_asked():
    told = {"faithful": "One.", "lapsing random": "Two.", "random": "Three."}
    asked = ["reference/random", "reference/random", "ollama/faithful"]
    assert findings.notes(asked, told) == "Three."
    assert findings.notes([*asked, "reference/lapsing"], told) == "Two. Three."
    assert findings.notes(["ollama/x"], told) == ""
    assert findings.notes(asked, told)._repr_markdown_() == "Three."
    with pytest.raises(UserError, match="unknown reference respondent 'lapsin'"):
        findings.notes(asked, {"lapsin random": "Never shown."})


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
    assert "weak does not act on the value" in page.text.split("In short")[-1][:200]
    assert "conditions are not those of its parameters" in page.text, "they are made up"


def test_the_verdict_stands_first_and_its_figure_beside_it(copy):
    folder = copy / "known" / "figures"
    finished_run.draw(folder, "03_steerability", pd.DataFrame({"steerability": [0.5]}))
    page = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    heads = [name for _, name in page.headings]
    assert heads[1:4] == ["In short", "The title of 03_steerability", "Question and method"]
    assert heads.count("The title of 03_steerability") == 1
    assert heads.index("The title of 01_small") > heads.index("Figures")
    paragraphs = [given.get("class") for given in page.named("p")]
    assert paragraphs[:2] == ["lead", "verdict"]
    assert "50.0%" in page.cells


def test_a_word_of_the_glossary_leads_to_what_it_means(page, runs, monkeypatch, tmp_path):
    entries = re.findall(r"^\| <a[^>]*></a>(cell|administration|arm|flag) \| (.+) \|$",
                         paths.GLOSSARY.read_text("utf-8"), re.MULTILINE)  # fmt: skip
    assert len(entries) == 4
    told = page.text.split("Words")[-1]
    assert all(f"{word}{meaning}" in told for word, meaning in entries)
    linked = [given["href"] for given in page.named("a") if given.get("class") == "word"]
    assert "#word-cell" in linked
    assert len(linked) == len(set(linked))
    monkeypatch.setattr(paths, "GLOSSARY", tmp_path / "glossary.md")
    bare = Page(Run("known", runs).report(tmp_path / "bare.html").read_text(encoding="utf-8"))
    assert not [given for given in bare.named("a") if given.get("class") == "word"]
    assert "Words" not in [name for _, name in bare.headings]


def test_missing_choices_and_flags_are_counted_and_never_rounded_away():
    rows = [cell(asked=9_999, choice=9_999), cell(asked=1, choice=0, scored=3, flag="few choices")]
    said = " ".join(findings.of_run(pd.DataFrame(rows)))
    assert "over 99.9% (9,999 of 10,000) ended in a choice" in said
    assert "87.5% (7 of 8) are complete" in said
    assert "1 of 2 cells carry a flag" in said
    assert "few choices (1)" in said


def test_thoughts_are_counted_and_those_cut_off_are_said_to_be_no_measurement():
    assert "thought" not in " ".join(findings.of_run(pd.DataFrame([cell()])))
    rows = [cell(censored=0.125, thinking_tokens=71_000), cell("ollama/m", thinking_tokens=1000)]
    said = findings.of_run(pd.DataFrame(rows))
    assert "Respondents thought in 72,000 tokens." in said
    assert any("6.2% (3 of 48) ended before the thought did" in sentence for sentence in said)


def test_the_page_has_columns_and_a_section_on_thinking_where_there_was_any(page, copy):
    assert "thinking tokens" not in page.text
    assert [3, "Thinking"] not in page.headings
    folder = copy / "known"
    cells = pd.read_csv(folder / "value_rationality.csv").assign(thinking_tokens=1234.0)
    cells.to_csv(folder / "value_rationality.csv", index=False)
    row = {"model": "local/<b>", "goal_prompt": False, "deliberation": "reasoned"}
    row |= {"against": "direct", "wordings": 3, "difference": 0.1, "low": 0.0, "high": 0.2}
    pd.DataFrame([row | {"p": 0.25, "note": ""}]).to_csv(folder / "deliberation.csv", index=False)
    thinks = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    assert [3, "Thinking"] in thinks.headings
    assert "<b>: thinking first changes how far it moves by 10.0% of the way" in thinks.text
    assert "thinking tokens" in thinks.text
    assert "thoughts cut off" in thinks.text


def test_the_goal_prompt_is_told_by_model_and_where_nothing_can_be_estimated_why():
    table = pd.DataFrame(
        {
            "model": ["reference/a", "reference/b"],
            "wordings": [9, 1],
            "difference": [0.031, np.nan],
            "low": [0.01, np.nan],
            "high": [0.052, np.nan],
            "note": ["", "one wording"],
        }
    )
    assert findings.of_goal_prompts(table) == [
        "a: the goal prompt changes how far it moves by 3.1% of the way (95% interval 1.0% to "
        "5.2%, nine wordings).",
        "b: not estimable, one wording.",
    ]
    assert findings.of_goal_prompts(table[:0]) == [
        "The study holds no pair with and without the goal prompt."
    ]


def test_the_known_respondents_are_told_what_is_true_of_them(page):
    said = dict(re.findall(r"\n(faithful|agreeable|first-option)\. (.+)", page.text))
    assert said["faithful"].startswith("faithful acts on the value it is told to hold")
    assert said["agreeable"].startswith("agreeable does not act on")
    assert said["first-option"].startswith("first-option does not act on")


# --- the plan


PLANNED = {
    "models": ["reference/random", "reference/faithful"],
    **{"values": ["altruistic", "competitive"], "goal_prompts": [False]},
}


def asked_under(parameters):
    """Return the conditions of a study, and a record for each in the order of their ids."""
    conditions = study.conditions(study.Study(**parameters))
    ids = sorted(conditions.condition_id)
    model = conditions.set_index("condition_id").model
    records = [
        {"model": model[key], "condition_id": key, "answered_at": f"2026-01-01T00:00:{second:02}"}
        for second, key in enumerate(ids)
    ]
    return conditions, records


def test_the_plan_names_margin_and_tests_and_stood_before_the_first_request():
    parameters = PLANNED | {"margin": 0.2, "contrasts": ["steerability", "models"]}
    planned = report.plan({**parameters, "budget": ""}, *asked_under(parameters))
    assert planned[0].startswith(
        "Planned: how far each model moves with its value (steerability) and whether models differ "
        "in it (models), against a margin of 20% of the way."
    )
    assert planned[1].startswith("The plan stood before the first request")


def test_a_margin_changed_after_the_first_request_is_said():
    conditions, _ = asked_under(PLANNED | {"margin": 0.05})
    _, before = asked_under(PLANNED)
    late = {**before[0], "condition_id": conditions.condition_id[0], "answered_at": "2026-02-01"}
    given = PLANNED | {"margin": 0.05}
    assert (
        "changed after the first request to" in report.plan(given, conditions, [late, *before])[1]
    )
    assert "not those of its parameters" in report.plan(PLANNED, conditions, before)[1]
    with_nothing_kept = report.plan(given, conditions, [{"condition_id": None}])
    assert with_nothing_kept[1].startswith("The plan stood before")
    gone = report.plan(given | {"wordings": ["gone"]}, conditions, before)
    assert gone[0].startswith("The plan cannot be checked here: unknown wording 'gone'")


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ([1.0, 1234.0], ["1", "1,234"]),
        ([61.3895, -16.26], ["61.4", "−16.3"]),
        ([1.0, 0.48], ["1", "0.48"]),
        ([0.5, 2e-6, -2e-6, -0.0, np.nan], ["0.500", "0.000", "0.000", "0.000", "–"]),
        ([True, False], ["yes", "no"]),
        ([True, np.nan, False], ["yes", "–", "no"]),
        ([None, "", "a < b"], ["–", "–", "a < b"]),
    ],
)
def test_a_column_is_readable_and_says_no_more_than_it_knows(numbers, shown):
    _, column = report.shown(pd.DataFrame({"name": "x", "n": numbers})).columns
    assert [text.removesuffix(".00") for text in column.texts] == shown


def test_a_share_is_0_only_where_nobody_has_it():
    (column,) = report.shown(pd.DataFrame({"share": [0.5, 2e-6, 0.0]})).columns
    assert column.texts == ["0.500", "< 0.001", "0.000"]


def test_the_same_quantity_has_the_same_digits_in_sentences_and_tables(copy):
    folder, key = copy / "known", ["model", "goal_prompt"]
    table = pd.read_csv(folder / "steerability.csv")
    moves = np.linspace(-0.0073, 0.83141, len(table))
    limits = {"low": -0.0288, "high": 0.0142, "low_90": -0.0244, "high_90": 0.0098}
    table = table.assign(steerability=moves, **{name: moves + by for name, by in limits.items()})
    table.to_csv(folder / "steerability.csv", index=False)
    drawn = table[[*key, "steerability", "low", "high"]]
    drawn.insert(1, "respondent", drawn["model"].str.rpartition("/")[2])
    drawn.to_csv(folder / "figures" / "01_small.csv", index=False)
    page = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    for move in moves:
        text = f"{100 * move:.1f}%".replace("-", "−")
        assert f"moves by {text} of the way" in page.text
        assert page.cells.count(text) == 2, "as a key number and under the figure"
    low, high = (f"{100 * (moves[-1] + by):.1f}%".replace("-", "−") for by in (-0.0244, 0.0098))
    assert f"(90% interval {low} to {high}," in page.text
    assert f"{low} to {high}" in page.cells


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
        (lambda run: (run / "deliberation.csv").unlink(), "lacks deliberation.csv; run it again"),
        (lambda run: (run / "steerability.csv").unlink(), "lacks steerability.csv; run it again"),
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


def test_what_the_run_found_is_told_and_nothing_is_estimated_anew(copy):
    table = copy / "known" / "goal_effects.csv"
    effects = pd.read_csv(table)
    effects.loc[0, ["difference", "low", "high"]] = [0.123, 0.111, 0.135]
    effects.to_csv(table, index=False)
    (copy / "known" / "scores.parquet").unlink()
    page = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    assert "by 12.3% of the way (95% interval 11.1% to 13.5%" in page.text


def test_a_small_share_of_random_respondents_is_not_shown_as_none(copy):
    table = copy / "known" / "value_rationality.csv"
    cells = pd.read_csv(table).assign(p_random=1e-12, compliance=1.0)
    cells.loc[0, ["angle_low", "angle_high"]] = np.nan
    cells.to_csv(table, index=False)
    page = Page(Run("known", copy).report().read_text(encoding="utf-8"))
    assert "< 0.001" in page.text
    assert "0.000" not in page.text.split("Each cell: mean angle")[1]
    assert not re.search(r"\bnan\b", page.text)
