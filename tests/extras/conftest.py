"""All of these tests are slow in the sense of the mark: make test has not what they import."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    for item in items:  # of the whole session
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)
