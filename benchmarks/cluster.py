"""A study of reference respondents in one process and on a local cluster of two.

    python -m benchmarks.cluster [--short] [--write]

Prints seconds for each, with and without the start of the cluster, and fails unless every row and
every record is the same and the cluster takes at most 1.2 times as long as one process (without
its start; the requirement is for two free cores). Clean-up is not counted. --short is a smaller
study for continuous integration; --write puts the table into docs/scaling.md.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import distributed
import pandas as pd

from hvae_utils import paths
from hvae_utils.extras import cluster
from hvae_utils.play import administer, study
from hvae_utils.play.records import Records, read

WORKERS = 2
MOST = 1.2  # times the seconds of one process
REPEATS, SHORT_REPEATS = 120, 40
MARKS = ("<!-- table -->", "<!-- /table -->")


def measured(player: Any, conditions: pd.DataFrame, path: Path) -> tuple[float, list[Any]]:
    """Return seconds, and what has to be the same: both tables, and the records' texts by key."""
    started = time.perf_counter()
    with Records(path) as records:
        assigned = player.assign_values(conditions, records)
        responses = player.put_items(assigned, records)
    seconds = time.perf_counter() - started
    texts = [(record["key"], record["text"]) for record in read(path)]
    return seconds, [assigned, responses.drop(columns="latency_s"), sorted(texts)]


def same(one: list[Any], many: list[Any]) -> bool:
    """Return whether tables are equal row for row and records one for one."""
    for table, other in zip(one[:2], many[:2], strict=True):
        pd.testing.assert_frame_equal(table, other)
    return one[2] == many[2]


def main() -> int:
    """Print the table; return 0 when the cluster is right and fast enough."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="a smaller study, under 40 seconds")
    parser.add_argument("--write", action="store_true", help="write docs/scaling.md")
    chosen = parser.parse_args()
    repeats = SHORT_REPEATS if chosen.short else REPEATS
    models = ("reference/faithful", "reference/lapsing")
    conditions = study.conditions(study.Study(models=models, repeats=repeats))
    with tempfile.TemporaryDirectory() as folder:
        before = time.process_time()
        alone, one = measured(administer, conditions, Path(folder, "one.jsonl"))
        worked = time.process_time() - before
        started = time.perf_counter()
        with (
            cluster.local_cluster(WORKERS) as workers,
            cluster.player(workers.scheduler_address) as player,
        ):
            start = time.perf_counter() - started
            with distributed.Client(workers) as client:
                before = sum(client.run(time.process_time).values()) + time.process_time()
                shared, many = measured(player, conditions, Path(folder, "many.jsonl"))
                after = sum(client.run(time.process_time).values()) + time.process_time()
    equal, ratio, work = same(one, many), shared / alone, after - before
    text = "\n".join(
        [
            "| | seconds | times one process | processor seconds, all processes |",
            "|---|---|---|---|",
            f"| one process | {alone:.1f} | 1.00 | {worked:.1f} |",
            f"| {WORKERS} workers | {shared:.1f} | {ratio:.2f} | {work:.1f} |",
            f"| {WORKERS} workers and their start | {start + shared:.1f} "
            f"| {(start + shared) / alone:.2f} | |",
            "",
            f"{len(conditions):,} administrations, {len(one[2]):,} records; every row and record "
            f"is the same: {'yes' if equal else 'NO'}. {_machine()}",
        ]
    )
    print(text)
    if chosen.write:
        path = paths.ROOT / "docs" / "scaling.md"
        before, rest = path.read_text(encoding="utf-8").split(MARKS[0])
        page = f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}"
        path.write_text(page, encoding="utf-8", newline="\n")
    return 0 if equal and ratio <= MOST else 1


def _machine() -> str:
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return (
        f"{datetime.now(UTC):%d %B %Y}, {os.cpu_count()} cores ({platform.machine()}){load}; "
        f"Python {platform.python_version()}, distributed {distributed.__version__}, "
        f"pandas {pd.__version__}."
    )


if __name__ == "__main__":
    sys.exit(main())
