"""The glossary on a page: links stand where a word first does, and nothing else is changed."""

import re

from hvae_utils import paths
from hvae_utils.run import glossary

WORDS = {
    "cell": "one model, one value, one arm",
    "arm": "with a goal or without",
    "value": "what is assigned",
    "value rationality": "60 minus a distance",
    "step, plateau": "weights that nothing tells apart",
    "game": "another instrument",
}


def link(word, said):
    return f'<a class="word" href="#word-{word}">{said}</a>'


def test_a_word_is_linked_where_it_first_stands_and_not_again():
    html, needed = glossary.linked("<p>Two Cells.</p><p>A cell.</p>", {"cell": "a place"})
    assert html == f"<p>Two {link('cell', 'Cells')}.</p><p>A cell.</p>"
    assert needed == {"cell": "a place"}


def test_of_two_words_that_overlap_the_longer_is_linked():
    html, _ = glossary.linked("<p>value rationality of a value</p>", WORDS)
    assert html == (
        f"<p>{link('value-rationality', 'value rationality')} of a {link('value', 'value')}</p>"
    )


def test_no_part_of_a_word_is_linked():
    page = "<p>army, evaluated, non-cell, cell-wise, steps-wise</p>"
    assert glossary.linked(page, WORDS) == (page, {})


def test_headings_links_rows_and_what_is_folded_away_stay_as_they_are():
    page = (
        '<h2>Game</h2><a href="#game">game</a><details><summary>game</summary></details>'
        '<table><tbody><tr><td>game</td></tr></tbody></table><img alt="a game">'
    )
    assert glossary.linked(page, WORDS) == (page, {})
    html, _ = glossary.linked(f"{page}<p>game</p>", WORDS)
    assert html == f"{page}<p>{link('game', 'game')}</p>"


def test_two_forms_of_an_entry_share_it_and_a_meaning_brings_the_words_in_it():
    html, needed = glossary.linked("<p>A plateau, a step, a cell.</p>", WORDS)
    assert html.count("word-step-plateau") == 1
    assert list(needed) == ["cell", "arm", "value", "step, plateau"], "in the glossary's order"


def test_without_words_the_page_stays_as_it_is(tmp_path):
    assert glossary.read(tmp_path / "none.md") == {}
    assert glossary.linked("<p>cell</p>", {}) == ("<p>cell</p>", {})


def test_every_row_of_the_glossary_is_read_as_plain_text():
    rows = [row for row in paths.GLOSSARY.read_text("utf-8").splitlines() if row.startswith("| ")]
    words = glossary.read(paths.GLOSSARY)
    assert len(words) == len(rows) - 1, "but for its head"
    assert words["cell"].startswith("one model, one value, one arm")
    assert words["game"].endswith("see transfer"), "a link leads nowhere from a report"
    assert not re.search(r"[*`\[\]|]", "".join([*words, *words.values()]))


def test_every_row_of_the_glossary_is_a_place_to_link_to(tmp_path):
    found = glossary.places(paths.GLOSSARY)
    assert {word for row in glossary.read(paths.GLOSSARY) for word in row.split(", ")} == set(found)
    assert found["cell"] == "cell"
    assert found["step"] == found["plateau"] == "step"
    (tmp_path / "g.md").write_text('| <a id="a-b"></a>a b, c | meaning |\n| d | e |', "utf-8")
    assert glossary.places(tmp_path / "g.md") == {"a b": "a-b", "c": "a-b"}
