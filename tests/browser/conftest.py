"""A real browser for the tests, kept on this machine; without one they are skipped, saying why."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the helpers of the other tests

OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
HERE = ("file:", "data:", "blob:", "http://127.0.0.1:")


@pytest.fixture(scope="session")
def browser():
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("no browser: install chromium (Debian's package), or name one in CHROMIUM")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is missing: make test-browser installs it"
    )
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(browser):
    """Return a page; what it asked of other machines and what its console said stand in `heard`."""
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    opened.set_default_timeout(60_000)
    opened.heard = heard = []
    opened.on("request", lambda r: r.url.startswith(HERE) or heard.append(f"request: {r.url}"))
    opened.on("console", lambda m: m.type != "error" or heard.append(f"console: {m.text}"))
    opened.on("pageerror", lambda error: heard.append(f"error: {error}"))
    yield opened
    opened.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Leave a screenshot of the page where a test failed."""
    report = yield
    if report.failed and (shown := item.funcargs.get("page")):
        picture = item.config._tmp_path_factory.mktemp("failed") / f"{item.name}.png"
        shown.screenshot(path=picture)
        report.sections.append(("screenshot", str(picture)))
    return report
