"""A real browser for the tests, kept on this machine; without one they are skipped, saying why."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
LAB = [
    *("--ServerApp.root_dir=.", "notebooks/00_overview.ipynb"),  # as `make lab`
    *("--no-browser", "--allow-root", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"),
    "--LabApp.expose_app_in_browser=True",  # so that a test can see when a kernel is idle
    "--LabApp.extension_manager=readonly",
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


@pytest.fixture(scope="session")
def run(browser, tmp_path_factory):
    """Return the folder of a finished run; without a browser nobody needs it."""
    from tests.support import finished_run

    return finished_run.make(tmp_path_factory.mktemp("runs") / "interactive")


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


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """Return start(folder) -> address: a JupyterLab of its own, gone with its kernels after us."""
    started = []

    def start(folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        home, token = tmp_path_factory.mktemp("jupyter"), secrets.token_hex(16)
        places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        places += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
        environment = os.environ | {name: str(home / name) for name in places}
        environment |= {"JUPYTER_TOKEN": token, "JUPYTER_CONFIG_PATH": lab_settings()}
        command = [sys.executable, "-m", "jupyterlab", *LAB, f"--ServerApp.port={port}"]
        with (home / "log").open("w") as log:
            started.append(
                subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
            )
        address = f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}"
        until = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/api"):
            assert started[-1].poll() is None, (home / "log").read_text()
            assert time.monotonic() < until, "JupyterLab does not answer"
            time.sleep(0.2)
        return address

    yield start
    for server in started:
        server.terminate()  # it ends its kernels; one that is left ends itself with its parent
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def lab_settings():
    """Return the folder of settings that `make lab` gives to JupyterLab."""
    root = Path(__file__).resolve().parents[2]
    (named,) = re.findall(
        rf"^\tJUPYTER_CONFIG_PATH='\$\(CURDIR\)/(\S+)' \$\(BIN\)/jupyter lab {LAB[0]} ",
        (root / "Makefile").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert (root / named).is_dir()
    return str(root / named)


def answers(address):
    try:
        return urllib.request.urlopen(address, timeout=1).status == 200
    except OSError:
        return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Leave a screenshot of the page where a test failed."""
    report = yield
    if report.failed and report.when == "call" and (shown := item.funcargs.get("page")):
        picture = item.config._tmp_path_factory.mktemp("failed") / f"{item.name}.png"
        shown.screenshot(path=picture)
        report.sections.append(("screenshot", str(picture)))
    return report
