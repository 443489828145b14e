"""The README: first what it is, in plain sentences, and only numbers that the workbook has."""

import re

import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.measure import published
from hvae_utils.metrics import published_chart

README = (paths.ROOT / "README.md").read_text(encoding="utf-8")
EMBEDDED = "local/smollm2-135m-instruct"
# A number of its own: not a part of a name such as GPT-4, SmolLM2-135M or 05_robustness.
NUMBER = re.compile(r"(?<![\w.-])[−±-]?\d[\d.,]*(?![\w.]*\w)")


def prose():
    """Return the paragraphs, without code, tables, pictures, and without what stands in links."""
    text = re.sub(r"^```.*?^```", "", README, flags=re.M | re.S)
    text = re.sub(r"!\[.*?\]\(.*?\)|`[^`]*`", "", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return [part for part in text.split("\n") if part and not part.startswith(("|", "#"))]


def section(name):
    return re.search(rf"^## {name}\n(.*?)(?=^## )", README, flags=re.M | re.S)[1].strip()


def test_it_begins_with_the_question_the_verdict_figure_two_commands_and_the_findings():
    places = [
        README.index("does it act on it?"),
        README.index("(figures/18_steerability.png)"),
        README.index("make reproduce\nmake test"),
        README.index("## What it finds"),
        README.index("## Use it"),
        README.index("## Why another implementation"),
    ]
    assert places == sorted(places)


def test_what_it_finds_takes_40_words_and_no_number():
    found = section("What it finds")
    assert len(found.split()) <= 40
    assert not NUMBER.search(found)


def test_no_sentence_has_more_than_two_numbers():
    full = []
    for paragraph in prose():
        if paragraph.startswith("- **Exit codes**"):
            continue
        for sentence in re.split(r"(?<=[.!?:;])\s+", paragraph):
            if len(NUMBER.findall(sentence)) > 2:
                full.append(sentence)
    assert full == []


def test_its_findings_are_those_of_the_published_figures():
    drawn = pd.read_csv(paths.FIGURES / "18_steerability.csv")
    of_model = drawn[drawn["model"] == EMBEDDED]
    assert len(of_model) == 2
    assert (of_model["verdict"] == "does not act on it").all()
    key = pd.DataFrame(
        pd.read_json(paths.FIGURES / "key_numbers.json", typ="series")["steerability"]
    )
    row = key[(key["model"] == EMBEDDED) & (key["arm"] == "without goal prompt")].iloc[0]
    most = max(abs(row["low_90"]), abs(row["high_90"]))
    assert f"move at most {100 * most:.1f}% of the way without a goal prompt" in README


def test_its_numbers_of_the_published_chart_are_those_of_the_package():
    chart = published.radar().query("goal_prompt")
    lead = published_chart.summary(chart).set_index(["scale", "quantity"])
    raw, chance = (lead.loc[scale, "neutral minus pronounced"] for scale in ("raw", "chance"))
    assert f"by {raw.estimate:.1f} of 60 points" in README
    signed = [
        f"{number:.2f}".replace("-", "−") for number in (chance.estimate, chance.low, chance.high)
    ]
    assert "the lead is {}. The interval goes from {} to {}.".format(*signed) in README
    models = published_chart.steerability().query("goal_prompt").set_index("model")
    assert f"GPT-4 moves {100 * models.steerability['GPT-4']:.0f}%" in README
    assert f"Claude {100 * models.steerability['Claude']:.0f}%" in README
    others = models.drop(["GPT-4", "Claude"])
    moving = others[others["z"] > 1.9]  # a score can leave two angles, so a model has a range
    assert (len(moving), len(others)) == (4, 6)
    low, high = 100 * moving["steerability"].min(), 100 * moving["branch_high"].max()
    assert f"four of six move {low:.0f} to {high:.0f}% of the way" in README


@pytest.mark.parametrize("term", ["value", "respondent", "target", "wording", "steerability"])
def test_a_term_leads_to_the_glossary_where_it_first_stands(term):
    text = "\n".join(
        re.sub(r"^```.*?^```|`[^`]*`|!\[.*?\]\(.*?\)", "", README, flags=re.M | re.S).split("\n")
    )
    first = re.search(rf"(?<![#/\w]){term}s?\b", text)
    assert f"]({'docs/glossary.md'}#{term})" in text[first.start() : first.start() + 60]
