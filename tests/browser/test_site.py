"""The site that `make site` built: its links hold, it loads nothing, and anybody can read it."""

import functools
import html
import itertools
import posixpath
import re
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urldefrag

import pytest

from hvae_utils import paths
from hvae_utils.teach import course
from tests.support.lessons import solved_lines

SITE = paths.ROOT / "build" / "site"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
OWN = "/genindex.html", "/search.html"  # pages of Sphinx without a text of ours
SOME = (
    *("index.html", "docs/glossary.html", "figures/index.html"),
    *("notebooks/03_metric_computation.html", "notebooks/course/1_what_is_a_value.html"),
)
LARGEST_FIRST_PAGE = 1_000_000  # bytes


class Page(HTMLParser):
    """What a page links to, loads and names; a picture's place and the text instead of it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.names, self.pictures = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.names |= {found.get("id"), found.get("name")}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "img":
            self.pictures.append((found["src"], found.get("alt")))
        if tag in ("img", "script", "iframe", "source") and "src" in found:
            self.loaded.append(found["src"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(found["href"])


@functools.cache
def pages():
    """Return address on the site -> page."""
    if not (SITE / "index.html").is_file():
        pytest.skip("no site: `make site` builds it from the run of `make reproduce`")
    found = sorted(SITE.rglob("*.html"))
    return {
        f"/{path.relative_to(SITE).as_posix()}": Page(path.read_text("utf-8")) for path in found
    }


@pytest.fixture(scope="module")
def site():
    """Return the address of the site on this machine, and what was sent, as (path, bytes)."""
    pages()
    sent = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def copyfile(self, source, out):
            content = source.read()
            sent.append((self.path, len(content)))
            out.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", sent
    server.shutdown()
    server.server_close()


def test_every_link_leads_to_a_page_and_a_place_on_it_that_exist():
    broken = []
    for address, page in pages().items():
        for link in [*page.links, *page.loaded]:
            if link.startswith(("https://", "mailto:", "data:")):
                continue
            path, place = urldefrag(unquote(re.sub(r"\?[^#]*", "", link)))
            there = posixpath.normpath(posixpath.join(posixpath.dirname(address), path))
            there = there if path else address
            found = (SITE / there[1:]).is_file()
            if not found or (place and there in pages() and place not in pages()[there].names):
                broken.append((address, link))
    assert broken == []
    assert sum(len(page.links) for page in pages().values()) > 500


def test_nothing_is_loaded_from_another_machine():
    loaded = [link for page in pages().values() for link in page.loaded]
    assert [link for link in loaded if "//" in link] == []
    for style in SITE.rglob("*.css"):
        text = style.read_text("utf-8")
        assert not re.search(r"@import|url\([\"']?(https?:)?//", text), style


def test_every_picture_has_a_text_instead():
    shown = [(place, alt) for page in pages().values() for place, alt in page.pictures]
    assert len(shown) > 50
    assert [place for place, alt in shown if len(alt or "") < 20] == []


def test_the_executed_notebooks_the_lessons_and_the_glossary_are_there():
    for book in [*paths.NOTEBOOKS.glob("*.ipynb"), *course.COPIES.glob("[1-9]_*.ipynb")]:
        address = book.relative_to(paths.ROOT).with_suffix(".html").as_posix()
        assert f"/{address}" in pages()
    assert len(pages()["/notebooks/04_analysis.html"].pictures) >= 8
    assert {"cell", "steerability", "lapse"} <= pages()["/docs/glossary.html"].names


def test_no_lesson_gives_a_solution_away():
    for solution in course.lessons():
        text = (SITE / "notebooks/course" / f"{solution.stem}.html").read_text("utf-8")
        assert "Unfinished" in text
        assert "BEGIN SOLUTION" not in text
        assert " is right; " not in text
    assert not list(SITE.rglob("*solution*"))
    for solution in course.lessons():
        page = (SITE / "notebooks/course" / f"{solution.stem}.html").read_text("utf-8")
        shown = html.unescape(re.sub(r"<[^>]*>", "", page))
        assert "hint(" in shown or "Unfinished" in shown  # code stands on the page in this form
        assert [line for line in solved_lines(solution) if line in shown] == []


def test_the_first_page_is_light(page, site):
    address, sent = site
    sent.clear()
    page.goto(f"{address}/index.html", wait_until="networkidle")
    size = sum(length for _, length in sent)
    print(f"first page: {size:,} bytes in {len(sent)} answers")
    assert 10_000 < size < LARGEST_FIRST_PAGE


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_a_phone_or_a_desk(page, site, width):
    page.set_viewport_size({"width": width, "height": 844})
    wide = []
    for address in pages():
        page.goto(site[0] + address)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(address)
    assert wide == []
    assert page.heard == []


def violations(page, address, **options):
    from axe_playwright_python.sync_playwright import Axe

    page.goto(address)
    asked = {"runOnly": WCAG, "resultTypes": ["violations"], **options}
    told = Axe().run(page, options=asked).response["violations"]
    return [(rule["id"], [node["html"][:120] for node in rule["nodes"][:3]]) for rule in told]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_pages_of_each_kind_contrast_included(page, site, theme):
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=theme)
    found = {name: violations(page, f"{site[0]}/{name}") for name in SOME}
    assert not any(found.values()), found


def test_axe_finds_nothing_on_any_page_contrast_left_out(page, site):
    page.set_viewport_size({"width": 1280, "height": 844})
    slow = {"color-contrast": {"enabled": False}}
    found = {address: violations(page, site[0] + address, rules=slow) for address in pages()}
    assert not any(found.values()), found


def test_each_page_has_one_title_and_its_headings_are_an_outline(page, site):
    for address in pages():
        if address in OWN:
            continue
        page.goto(site[0] + address)
        levels = page.evaluate(
            "[...document.querySelectorAll('article :is(h1,h2,h3,h4,h5)')].map(h => +h.tagName[1])"
        )
        assert (levels[0], levels.count(1)) == (1, 1), address
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), address


def test_a_word_is_found_and_a_term_leads_to_the_glossary(page, site):
    page.goto(f"{site[0]}/search.html?q=steerability")
    page.locator("#search-results li a").first.wait_for()
    page.goto(f"{site[0]}/notebooks/04_analysis.html")
    page.locator("article a.term", has_text="steerability").first.click()
    page.wait_for_url("**/docs/glossary.html#steerability")
    assert "how far the angle moves" in page.locator("article").inner_text()
