"""How far a run is: a bar for people, plain lines for logs. Knows nothing about the work.

Public names: Progress.
"""

import sys
import time
from typing import Self

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts to `total`; shows rate and time left. Use as a context manager.

    In JupyterLab and on a terminal a bar; under papermill and in a log a line every ten seconds
    and a last one.
    """

    def __init__(self, label: str, total: int, unit: str = "item") -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = self._done_before = 0
        self._started = self._said = time.monotonic()
        self._asking_since: float | None = None
        self._bar = None

    def __enter__(self) -> Self:
        if _someone_watches():
            from tqdm.auto import tqdm

            self._bar = tqdm(total=self.total, desc=self.label, unit=self.unit)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()
        else:
            self._say(time.monotonic())

    def asking(self) -> None:
        """Note that a request goes out; rate and time left count from the first one."""
        if self._asking_since is None:
            self._asking_since, self._done_before = time.monotonic(), self.done

    def step(self, count: int = 1) -> None:
        """Note that `count` more units are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
            return
        now = time.monotonic()
        if now - self._said >= SECONDS_BETWEEN_LINES:
            self._say(now)

    def _say(self, now: float) -> None:
        self._said = now
        print(f"{self.label}: {self.done}/{self.total} {self.unit}s, {self._pace(now)}", flush=True)

    def _pace(self, now: float) -> str:
        """Return rate and time left or taken; units from the records say nothing about either."""
        if self._asking_since is None:
            return "from the records" if self.done else "starting"
        seconds = max(now - self._asking_since, 1e-9)
        rate = (self.done - self._done_before) / seconds
        if self.done >= self.total:
            return f"{rate:.3g}/s, {seconds:.0f} s"
        left = f"{(self.total - self.done) / rate:.0f} s left" if rate else "time left unknown"
        return f"{rate:.3g}/s, {left}"


def _someone_watches() -> bool:
    """Return whether a bar would be seen: a live notebook front end, or a terminal."""
    if "IPython" in sys.modules:
        kernel = getattr(sys.modules["IPython"].get_ipython(), "kernel", None)
        if kernel is not None:
            # a headless executor (papermill, nbclient) refuses input, a front end allows it
            return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stderr.isatty()
