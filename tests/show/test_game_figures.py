"""Figures 21 to 23: other games, transfer and graded weights, for one respondent and for twelve."""

from functools import lru_cache

import pandas as pd
import pytest

from hvae_utils.errors import UserError
from hvae_utils.metrics.transfer import games as rated
from hvae_utils.metrics.transfer import graded, prediction
from hvae_utils.play import games, study
from hvae_utils.show import figures
from tests.support import pictures

SLUGS = ("games", "transfer", "graded_weights")
KNOWN = ("faithful", "lapsing", "agreeable", "random", "reciter")
MANY = (
    *(f"reference/{name}" for name in KNOWN),
    *("openai/gpt-4o-mini-2024-07-18", "anthropic/claude-sonnet-4-5-20250929+minimal"),
    *("ollama/qwen2.5:0.5b-instruct-q4_K_M", "vllm/mistralai/Mistral-7B-Instruct-v0.3+reasoned"),
    *("local//data/models/Llama-3.2-1B-Instruct-Q4_K_M.gguf", "openai/gpt-4o", "openai/o5"),
)


@lru_cache
def known(folder):
    """Return what five simulated respondents choose in all games, in two wordings."""
    design = study.Study(
        models=tuple(f"reference/{name}" for name in KNOWN), goal_prompts=(False,),
        values=("altruistic", "prosocial", "individualistic", "competitive"),
        wordings=("plain", "formal"), orders=("latin",), readout="probabilities",
    )  # fmt: skip
    chosen = games.Choice(
        ("ring-measure", "dictator-budgets", "trust-return", "slider-twin"),
        weights=("-0.5", "0", "0.5", "inf"),
    )
    return games.administer(folder / "records.jsonl", study.conditions(design), chosen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("games")


def tables_of(models, folder):
    """Return the tables of the figures; a model that is not simulated is the random one renamed."""
    found = []
    for model in models:
        mine = model if model in MANY[:5] else MANY[3]
        rows = known(folder)[known(folder)["model"] == mine].assign(model=model)
        found.append(rows.assign(condition_id=rows["condition_id"] + model))
    played = pd.concat(found, ignore_index=True)
    ratings = rated.ratings(played)
    cells, acted_on = rated.cells(ratings), graded.recovered(played)
    return {
        "games": figures.games.table(cells),
        "transfer": figures.transfer.table(prediction.scores(played), cells, rated.gaps(ratings)),
        "graded_weights": figures.graded_weights.table(acted_on, graded.calibration(acted_on)),
    }


@pytest.mark.parametrize("models", [MANY, MANY[1:2]], ids=["twelve", "one"])
def test_no_words_are_cut_off_too_small_or_on_top_of_others(models, folder, monkeypatch):
    for slug, table in tables_of(models, folder).items():
        pictures.words_in_place(getattr(figures, slug).draw(table), monkeypatch)


@pytest.mark.parametrize("slug", SLUGS)
def test_words_say_a_result_and_name_nobody_who_is_not_there(slug, folder):
    table = tables_of(MANY[1:2], folder)[slug]
    for text in (getattr(figures, slug).caption(table), getattr(figures, slug).alt(table)):
        assert text.endswith(".")
        assert not any(broken in text for broken in ("nan", "None", "{", "  ", "..", ": ."))
        assert not any(name in text for name in ("faithful", "agreeable", "reciter"))
    assert "lapsing" in getattr(figures, slug).alt(table)


def test_what_is_drawn_is_what_the_simulated_respondents_do(folder):
    tables = tables_of(MANY[:5], folder)
    said = figures.transfer.alt(tables["transfer"])
    assert "Transfer: faithful 1.00, lapsing 1.00, agreeable 1.0" in said
    assert "random not estimable and reciter 0.00" in said
    figure = figures.transfer.draw(tables["transfer"])
    (mark,) = (line for line in figure.axes[0].lines if line.get_gid() == "reciter")
    assert mark.get_xdata()[0] == pytest.approx(0, abs=0.02)
    slopes = tables["graded_weights"].query("part == 'respondent'").set_index("respondent").slope
    assert slopes["faithful"] == pytest.approx(1, abs=0.01)
    assert slopes[["agreeable", "random", "reciter"]].abs().max() == pytest.approx(0, abs=0.01)
    cell = tables["games"].set_index(["respondent", "instrument", "value"])["vr"]
    assert cell["reciter", "svo-slider", "altruistic"] == pytest.approx(1)
    assert cell["reciter", "ring-measure", "altruistic"] == pytest.approx(0, abs=1e-9)


def test_what_tells_nothing_is_hatched_and_the_reason_stands_below(folder):
    table = tables_of(MANY[:1], folder)["games"]
    assert "trust, returning, prosocial: every option is as good" in figures.games.caption(table)
    (axes, *_) = figures.games.draw(table).axes
    assert sum(bool(patch.get_hatch()) for patch in axes.patches) == 1


@pytest.mark.parametrize("slug", SLUGS)
def test_an_empty_table_is_a_users_mistake_in_a_sentence(slug, folder):
    empty = {name: table[:0] for name, table in tables_of(MANY[:1], folder).items()}
    with pytest.raises((UserError, ValueError)):
        getattr(figures, slug).draw(empty[slug])
