"""No test touches the network: not in this process, and not in any Python it starts."""

import os
import pickle
import runpy
import shutil
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import indiscreet as whole_workbook

OFFLINE = Path(__file__).parent / "offline"
collect_ignore = ["offline", "support"]  # no tests, and no examples, in there


def pytest_configure(config):
    folder = tempfile.mkdtemp(prefix="hvae-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["HVAE_TEST_NETWORK_LOG"] = str(Path(folder, "network.log"))
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), inherited]))
    runpy.run_path(str(OFFLINE / "sitecustomize.py"))


@pytest.fixture(scope="session")
def _network_log():
    return Path(os.environ["HVAE_TEST_NETWORK_LOG"])


@pytest.fixture(autouse=True)
def _no_network(_network_log):
    """Fail a test during which anything reached for the network, even if the error was caught."""
    yield
    if _network_log.exists():
        refused = _network_log.read_text(encoding="utf-8").split("\n")
        _network_log.unlink()
        pytest.fail("reached for the network: " + "; ".join(filter(None, refused)))


def once(tmp_path_factory, name, make):
    """Return `make(folder)`, made by the first of the session's processes that asks for it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # the workers' folders lie side by side in the session's
    result = shared / f"{name}.pickle"
    with FileLock(shared / f"{name}.lock"):
        if not result.exists():
            (shared / name).mkdir()
            result.write_bytes(pickle.dumps(make(shared / name)))
    return pickle.loads(result.read_bytes())


@pytest.fixture(scope="session")
def indiscreet(tmp_path_factory):
    """Return a whole workbook, and its bundle, whose endpoint echoed the key and wrote markup.

    The endpoint is off when the fixture is there, and nothing may be written into its folder.
    """
    return once(tmp_path_factory, "indiscreet", whole_workbook.study)
