"""What size costs: growth from 10^3 to 10^5 requests, resuming a long run, scoring 10^6 of them.

    python -m benchmarks.scale [--short] [--write]

Growth: the engine against a fake server of 50 ms, 100 in flight, each size in a fresh process:
time a request and the process's peak memory. Resume: the largest run is continued with a few more
conditions; counted from opening the records. Scoring: responses -> scores table. Ends with 1
where a requirement is missed. --write puts the tables into docs/engine.md. --short stops at 10^4
requests and scores 10^5.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import asked_study, fake_server, page
from hvae_utils import paths
from hvae_utils.measure import factors, instruments, scoring
from hvae_utils.play import administer, records

IN_FLIGHT, DELAY_S = 100, 0.05
SIZES, SHORT_SIZES = (1_000, 10_000, 100_000), (1_000, 10_000)
SCORED, SHORT_SCORED = 1_000_000, 100_000
MORE = 600  # requests that a resumed run has left to ask
MAX_RESUME_S, MAX_MEMORY_MB, MAX_GROWTH = 3, 600, 1.2


# The parts, each run in a process of its own so that its peak memory is its own.


class _Timed(records.Records):
    """Records that note when the first request of this process was sent."""

    first_asked: float | None = None

    def append(self, record: records.Record) -> None:
        if self.first_asked is None:
            self.first_asked = time.perf_counter() - record["latency_s"]
        super().append(record)


def grow(path: Path, requests: int) -> dict[str, float]:
    """Play so many requests; return seconds, from opening the records to the table."""
    conditions = asked_study.assigned(requests).assign(model=asked_study.MODEL)
    started = time.perf_counter()
    with _Timed(path) as store:
        played = administer.put_items(conditions, store, concurrency=IN_FLIGHT)
    done = time.perf_counter()
    if not played.outcome.eq("choice").all():
        raise SystemExit("not every request was answered with a choice")
    return {
        "requests": len(played),
        "seconds": done - started,
        "first_s": (store.first_asked or np.nan) - started,
    }


def score(path: Path, administrations: int) -> dict[str, float]:
    """Score so many administrations of random choices; return seconds."""
    instrument = instruments.load("svo-slider")
    rng = np.random.default_rng(2023)
    names = pd.Series([f"{number:012x}" for number in range(administrations)], dtype="str")
    same = dict.fromkeys(factors.FACTORS, "x") | {"goal_prompt": False, "goal": None}
    conditions = pd.DataFrame({"condition_id": names, **same, "instrument": "svo-slider"})
    items = len(instrument.items)
    responses = pd.DataFrame(
        {
            "condition_id": names.repeat(items).to_numpy(),
            "item": np.tile(instrument.items, administrations),
            "method": "text",
            "option": rng.integers(1, 10, items * administrations),
        }
    )
    started = time.perf_counter()
    found = scoring.administrations(conditions, responses)
    seconds = time.perf_counter() - started
    if not found.angle.notna().all():
        raise SystemExit("not every administration has an angle")
    return {"requests": len(found), "seconds": seconds}


PARTS: dict[str, Callable[[Path, int], dict[str, float]]] = {"grow": grow, "score": score}


def _peak_mb() -> float:
    """Return this process's peak resident memory in MB."""
    try:  # Linux; its getrusage would count the parent before exec as well
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes


def run(part: str, path: Path, size: int, url: str = "") -> dict[str, float]:
    """Run one part in a fresh process; return what it found and `peak_mb`."""
    command = [sys.executable, "-m", "benchmarks.scale", "--part", part, str(path), str(size)]
    given = {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "not-needed"}
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{part} {size} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{part} {size}: {found}", flush=True)
    return found


def measure(sizes: tuple[int, ...], scored: int) -> tuple[list[dict], dict, dict]:
    """Return what growth, resume and scoring came to."""
    paths.RUNS.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=paths.RUNS) as folder,
        fake_server.running(DELAY_S) as url,
    ):
        grown = [run("grow", Path(folder, str(size), "r.jsonl"), size, url) for size in sizes]
        last = Path(folder, str(sizes[-1]), "r.jsonl")
        before = fake_server.count(url)
        resumed = run("grow", last, sizes[-1] + MORE, url)
        asked = fake_server.count(url) - before
        expected = resumed["requests"] - grown[-1]["requests"]
        if asked != expected:
            raise SystemExit(f"the resumed run asked {asked} requests instead of {expected}")
        return grown, resumed, run("score", Path(folder), scored)


def report(grown: list[dict], resumed: dict, scored: dict) -> tuple[str, bool]:
    """Return the tables with their verdict, and whether the requirements are met."""
    each = [1000 * found["seconds"] / found["requests"] for found in grown]
    rows = [
        [f"{found['requests']:,.0f}", f"{found['seconds']:.1f}", f"{ms:.2f}", _mb(found)]
        for found, ms in zip(grown, each, strict=True)
    ]
    growth = page.table(["requests", "seconds", "ms a request", "peak memory, MB"], rows)
    kept = f"{grown[-1]['requests']:,.0f} records"
    others = page.table(
        ["what", "seconds", "peak memory, MB"],
        [
            [f"resume with {kept}: to the first new request", f"{resumed['first_s']:.2f}", ""],
            ["to the table of all responses", f"{resumed['seconds']:.1f}", _mb(resumed)],
            [
                f"scoring {scored['requests']:,.0f} administrations",
                f"{scored['seconds']:.1f}",
                _mb(scored),
            ],
        ],
    )
    peak = max(found["peak_mb"] for found in (*grown, resumed))
    said, met = page.verdict(
        [
            (f"resume within {MAX_RESUME_S} s", resumed["first_s"] <= MAX_RESUME_S),
            (f"play and resume under {MAX_MEMORY_MB} MB", peak < MAX_MEMORY_MB),
            (
                f"time a request flat (the largest at most {MAX_GROWTH} of the best)",
                each[-1] <= MAX_GROWTH * min(each),
            ),
        ]
    )
    return f"{growth}\n\n{others}\n\n{said}", met


def _mb(found: dict) -> str:
    return f"{found['peak_mb']:.0f}"


def main() -> None:
    """Measure, print and judge; with --write also into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="half a minute, for CI")
    parser.add_argument("--write", action="store_true", help="write docs/engine.md")
    parser.add_argument("--part", nargs=3, metavar=("PART", "PATH", "SIZE"), help="one part alone")
    chosen = parser.parse_args()
    if chosen.part:
        part, path, size = chosen.part
        print(json.dumps({**PARTS[part](Path(path), int(size)), "peak_mb": _peak_mb()}))
        return
    sizes = (SHORT_SIZES, SHORT_SCORED) if chosen.short else (SIZES, SCORED)
    text, met = report(*measure(*sizes))
    text += f"\n\n{page.machine('numpy', 'pandas', 'orjson', 'uvloop')}"
    print(f"\n{text}")
    if chosen.write:
        page.write("scale", text)
    raise SystemExit(0 if met or chosen.short else 1)  # short runs are no place to judge a time


if __name__ == "__main__":
    main()
