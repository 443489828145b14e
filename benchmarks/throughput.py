"""Requests a second at 100 and 400 in flight: this engine beside the clients one could write with.

    python -m benchmarks.throughput [--short] [--write]

One fake server (50 ms an answer) for all; every client in a fresh process, taking turns, the
order turned round in every round. The engine runs by benchmarks/asked_study.py, the others by
benchmarks/peers.py. Prints medians; ends with 1 where a requirement is missed. --short: one round,
in which every client must send all of its requests, and no verdict. --write puts the table into
docs/engine.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

from benchmarks import asked_study, fake_server, page
from hvae_utils import paths

LEVELS = (100, 400)
DELAY_S = 0.05
MIN_TO_INSPECT, MIN_TO_AIOHTTP = 12, 0.7
ABOUT = {
    "engine": "this engine, every record on disk",
    "aiohttp": "bare aiohttp loop, `json=` (the practical bound)",
    "aiohttp-uvloop": "the same on uvloop",
    "openai-aiohttp": "openai client, its aiohttp transport",
    "openai": "openai client, default transport",
    "inspect_ai": "inspect_ai",
}
# Part of the requests that a client gets: the slow ones are timed as well on fewer.
PART = {"engine": 1, "aiohttp": 1, "aiohttp-uvloop": 1}
SLOW_PART, INSPECT_PART = 0.15, 0.05


def measure(requests: int, rounds: int, slow_rounds: int) -> dict:
    """Return (client, in flight) -> requests a second of every round."""
    rates: dict[tuple[str, int], list[float]] = {}
    paths.RUNS.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=paths.RUNS) as folder,
        fake_server.running(DELAY_S) as url,
    ):
        requests = asked_study.prepare(Path(folder), requests)
        for number in range(rounds):
            names = [name for name in ABOUT if name in PART or number < slow_rounds]
            for in_flight in LEVELS:
                for name in names if number % 2 == 0 else reversed(names):
                    rate = _rate(name, url, Path(folder), in_flight, requests)
                    rates.setdefault((name, in_flight), []).append(rate)
                    print(
                        f"round {number + 1}, {in_flight} in flight, {name}: {rate:.0f}/s",
                        flush=True,
                    )
    return rates


def _rate(name: str, url: str, folder: Path, in_flight: int, requests: int) -> float:
    """Run one client in a fresh process; return its requests a second."""
    share = PART.get(name, INSPECT_PART if name == "inspect_ai" else SLOW_PART)
    requests = max(int(requests * share), in_flight) // asked_study.ITEMS * asked_study.ITEMS
    if name == "engine":
        arguments = ["asked_study", url, str(folder), str(in_flight), str(requests)]
    else:
        with (folder / "bodies.jsonl").open(encoding="utf-8") as lines:
            (folder / "asked.jsonl").write_text("".join(islice(lines, requests)), encoding="utf-8")
        arguments = ["peers", name, url, str(folder / "asked.jsonl"), str(in_flight)]
    command = [sys.executable, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]]
    before = fake_server.count(url)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    if fake_server.count(url) - before < requests:
        raise SystemExit(f"{name} did not send all of its {requests} requests")
    return told["requests"] / told["seconds"]


def ratio(rates: dict, name: str, in_flight: int) -> float:
    """Return the engine's rate over a client's: the median of the rounds that both were in."""
    both = zip(rates["engine", in_flight], rates[name, in_flight], strict=False)
    return statistics.median(own / other for own, other in both)


def report(rates: dict) -> tuple[str, bool]:
    """Return the table with its verdict, and whether the requirements are met."""
    rows = []
    for name, about in ABOUT.items():
        row: list[object] = [about]
        for in_flight in LEVELS:
            row.append(f"{statistics.median(rates[name, in_flight]):,.0f}")
            row.append(f"{ratio(rates, name, in_flight):.2f}")
        rows.append(row)
    head = ["client"]
    for in_flight in LEVELS:
        head += [f"requests/s, {in_flight} in flight", "engine / client"]
    demands = []
    for name, least in (("inspect_ai", MIN_TO_INSPECT), ("aiohttp", MIN_TO_AIOHTTP)):
        met = all(ratio(rates, name, in_flight) >= least for in_flight in LEVELS)
        demands.append((f"at least {least} times {name} at both levels", met))
    said, met = page.verdict(demands)
    return f"{page.table(head, rows)}\n\n{said}", met


def main() -> None:
    """Measure, print and judge; with --write also into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="half a minute, for CI")
    parser.add_argument("--write", action="store_true", help="write docs/engine.md")
    chosen = parser.parse_args()
    size = (3000, 1, 1) if chosen.short else (10_000, 3, 1)
    rates = measure(*size)
    table, met = report(rates)
    text = f"{table}\n\nMedians of {size[1]} rounds ({size[2]} for the slow clients). "
    text += page.machine("pycurl", "openai", "orjson", "uvloop", "aiohttp", "inspect_ai")
    print(f"\n{text}")
    if chosen.write:
        page.write("throughput", text)
    raise SystemExit(0 if met or chosen.short else 1)  # short runs are no place to judge a ratio


if __name__ == "__main__":
    main()
