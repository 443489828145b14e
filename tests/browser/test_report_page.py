"""The report in a real browser: it opens alone, reads well, and can be printed."""

import pytest

from hvae_utils.run.run import Run


@pytest.fixture(scope="module")
def opened(page, run):
    page.goto(Run(run.name, run.parent).report().as_uri())
    return page


def test_it_opens_without_an_error_and_without_asking_anybody(opened):
    assert opened.heard == []
    assert opened.title() == "Told to hold a value, does a language model act on it?"


def test_its_pictures_are_drawn_and_have_a_text_instead(opened):
    pictures = opened.locator("img")
    assert pictures.count() == 2
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


def test_axe_finds_nothing_against_wcag_a_and_aa(opened):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(opened, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()
    assert any(rule["id"] == "color-contrast" for rule in found.response["passes"])


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
