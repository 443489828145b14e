"""The report in a real browser: it opens alone, reads well, and can be printed."""

import pandas as pd
import pytest

from hvae_utils.run.run import Run

LONG = "ollama/a-model-with-a-long-name-26b"
REMARK = "all wordings agree: no width, and no word on wordings unlike these"
# Boxes with a table that is wider than they are, by caption; and cells with a text that is cut.
WIDER = """() => [...document.querySelectorAll('.scroll:has(table)')]
  .filter(box => box.scrollWidth > box.clientWidth + 1)
  .map(box => box.getAttribute('aria-label'))"""
CUT = """() => [...document.querySelectorAll('th, td, caption, figcaption, .notes, dd')]
  .filter(part => part.checkVisibility() && part.scrollWidth > part.clientWidth + 1)
  .map(part => part.textContent)"""
UNHINTED = """() => [...document.querySelectorAll('.scroll:has(table)')]
  .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
  .filter(box => !box.querySelector('.hint')?.checkVisibility())
  .map(box => box.getAttribute('aria-label'))"""

# Captions of the tables on pages that lie, or stand, and how far each is wider than `most`.
TABLES = """([lies, most]) => {
  const page = part => part && (getComputedStyle(part).page === 'lying' || page(part.parentElement))
  return [...document.querySelectorAll('table')].filter(table => Boolean(page(table)) === lies)
    .map(table => [table.caption.textContent, table.getBoundingClientRect().right - most])
}"""


@pytest.fixture(scope="module")
def opened(page, tmp_path_factory):
    """Return the page of a run with a long name and a figure with a wide table."""
    from tests.support import finished_run

    models = (*finished_run.MODELS, LONG)
    folder = finished_run.make(tmp_path_factory.mktemp("runs") / "wide", models)
    wide = pd.DataFrame({"respondent": [LONG.partition("/")[2]] * 6, "value": "individualistic"})
    wide = wide.assign(goal_prompt=False, verdict="does not act on it", note=REMARK)
    wide = wide.assign(**{f"reading_{number}_low": -0.123 for number in range(9)})
    wide = wide.assign(steerability=0.5)
    finished_run.draw(folder / "figures", "03_steerability", wide)
    page.goto(Run(folder.name, folder.parent).report().as_uri())
    return page


@pytest.fixture
def unfolded(opened):
    """Return the page with every table open, and as it was afterwards."""
    folded = "open => document.querySelectorAll('details').forEach(part => part.open = open)"
    opened.evaluate(folded, True)
    yield opened
    opened.evaluate(folded, False)
    opened.emulate_media(media="screen")
    opened.set_viewport_size({"width": 1400, "height": 900})


def test_it_opens_without_an_error_and_without_asking_anybody(opened):
    assert opened.heard == []
    assert opened.title() == "Told to hold a value, does a language model act on it?"


def test_its_pictures_are_drawn_and_have_a_text_instead(opened):
    pictures = opened.locator("img")
    assert pictures.count() == 3
    for picture in pictures.all():
        assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
        assert len(picture.get_attribute("alt")) > 10


def test_its_headings_are_an_outline_that_a_screen_reader_can_walk(opened):
    named = [heading.inner_text() for heading in opened.get_by_role("heading", level=2).all()]
    assert named[:3] == ["In short", "Question and method", "Findings"]
    assert opened.get_by_role("heading", level=1).count() == 1
    assert opened.get_by_role("main").count() == opened.get_by_role("navigation").count() == 1


def test_the_keyboard_reaches_the_content_and_unfolds_a_table(opened):
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "Skip to the content"
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.activeElement.id") == "content"
    table = opened.get_by_text("The first 60 of 100 rows.")
    assert not table.is_visible()
    opened.locator("summary").focus()
    opened.keyboard.press("Enter")
    assert table.is_visible()


@pytest.mark.parametrize("width", [390, 1400])
def test_axe_finds_nothing_against_wcag_a_and_aa(unfolded, width):
    from axe_playwright_python.sync_playwright import Axe

    unfolded.set_viewport_size({"width": width, "height": 900})
    found = Axe().run(unfolded, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()
    assert any(rule["id"] == "color-contrast" for rule in found.response["passes"])


def test_at_1280_pixels_every_column_of_every_table_is_seen(unfolded):
    unfolded.set_viewport_size({"width": 1280, "height": 900})
    assert unfolded.evaluate(WIDER) == []
    assert unfolded.evaluate(CUT) == []


def test_on_a_phone_a_table_that_is_wider_says_that_it_scrolls(unfolded):
    unfolded.set_viewport_size({"width": 390, "height": 844})
    assert unfolded.evaluate(WIDER), "the wide table"
    assert unfolded.evaluate(UNHINTED) == []
    assert unfolded.evaluate(CUT) == []


@pytest.mark.parametrize("lies", [False, True])
def test_on_paper_no_column_is_cut(unfolded, lies):
    width = (297 if lies else 210) - 2 * 14  # millimetres of A4 between its margins
    unfolded.emulate_media(media="print")
    unfolded.set_viewport_size({"width": int(width / 25.4 * 96), "height": 900})
    tables = unfolded.evaluate(TABLES, [lies, width / 25.4 * 96])
    assert tables
    assert [caption for caption, beyond in tables if beyond > 0] == []
    assert unfolded.evaluate(CUT) == []


def test_on_a_phone_a_figure_can_be_enlarged_and_made_small_again(opened):
    opened.set_viewport_size({"width": 390, "height": 844})
    picture, larger = opened.locator("img").first, opened.locator("a.more").first
    assert picture.bounding_box()["width"] <= 350
    larger.click()
    assert picture.bounding_box()["width"] > 700
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390, "only its box scrolls"
    assert not larger.is_visible()
    opened.locator("a.less").first.click()
    assert picture.bounding_box()["width"] <= 350
    opened.set_viewport_size({"width": 1280, "height": 844})
    assert not larger.is_visible(), "there it has its full size"


@pytest.mark.parametrize("width", [320, 1400])
def test_nothing_sticks_out_of_a_phone_or_a_desk(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_links_to_jump_are_gone_and_figures_stay_whole(opened, tmp_path):
    opened.emulate_media(media="print")
    assert not opened.get_by_role("navigation").is_visible()
    figure = opened.locator(".figure").first
    assert figure.evaluate("part => getComputedStyle(part).breakInside") == "avoid"
    opened.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    opened.emulate_media(media="screen")
