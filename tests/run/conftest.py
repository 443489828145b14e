"""What the tests of the workbook share."""

import pytest


@pytest.fixture
def no_kernel(monkeypatch):
    """Let notebooks be executed in this process: the test is not about kernels."""
    import papermill

    from tests.support import in_process

    monkeypatch.setattr(papermill, "execute_notebook", in_process.execute_notebook)
