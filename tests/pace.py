"""How fast this machine is just now, so that a bound in seconds means the same on every machine.

Bounds are stated for two free cores of usual speed. A machine that is slower, or busy with other
work, gets time in proportion; one that is faster gets no less.

Public names: pace.
"""

import time

USUAL_S = 0.05  # for the additions below, on one free core
ADDITIONS = 1_000_000


def pace() -> float:
    """Return how many times longer than usual a plain loop takes here and now, at least 1."""
    fastest = min(_seconds() for _ in range(5))
    return max(1.0, fastest / USUAL_S)


def _seconds() -> float:
    started, total = time.perf_counter(), 0
    for number in range(ADDITIONS):
        total += number
    return time.perf_counter() - started
