"""The study that the benchmarks ask, and this engine asking it in a process of its own.

    python -m benchmarks.asked_study URL FOLDER IN_FLIGHT REQUESTS

FOLDER holds what `prepare` wrote: the conditions of a study and the same requests as chat
completion bodies. Prints {"requests", "seconds"} as JSON. A few requests are answered first, so
that imports and connections' first use are not counted.

Public names: assigned, prepare, engine, MODEL, ITEMS.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import pandas as pd

from hvae_utils.play import administer, records, study

ITEMS = 6  # requests of one condition: every answer is a choice, so nothing is asked twice
MODEL = "openai/fake-1"


def assigned(requests: int) -> pd.DataFrame:
    """Return conditions that make at least so many requests about items, values assigned.

    Prefixes are what a reference respondent says, made different in every repeat, as those of a
    model that is sampled would be.
    """
    factors = {
        "models": ("reference/first-option",),
        "values": ("altruistic", "prosocial", "individualistic", "competitive"),
        "wordings": ("plain", "formal", "brief"),
        "orders": ("fixed", "reversed"),
        "temperature": 1.0,
    }
    once = administer.assign_values(study.conditions(study.Study(**factors)), records.Held())
    repeats = -(-requests // (len(once) * ITEMS))
    every = study.conditions(study.Study(**factors, repeats=repeats))
    shared = ["value", "wording", "order", "goal_prompt"]
    said = [*shared, "prefix", "description", "goal", "not_assigned"]
    frame = every.merge(once[said], on=shared, how="left", validate="m:1")
    frame["prefix"] = [
        prefix.replace("Such a person", f"Such a person (no. {repeat})")
        for prefix, repeat in zip(frame.prefix, frame.repeat, strict=True)
    ]
    return frame.iloc[: -(-requests // ITEMS)]


def prepare(folder: Path, requests: int) -> int:
    """Write conditions.parquet and bodies.jsonl of at least so many requests; return how many."""
    conditions = assigned(requests)
    store = records.Held()
    administer.put_items(conditions, store)
    conditions.assign(model=MODEL).to_parquet(folder / "conditions.parquet")
    with (folder / "bodies.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(_body(record)) + "\n" for record in store.new)
    return len(conditions) * ITEMS


def _body(record: records.Record) -> dict:
    shared = {name: record[name] for name in ("messages", "max_tokens", "temperature", "seed")}
    return {"model": "fake-1", **shared, "logprobs": True, "top_logprobs": 20}


def engine(url: str, folder: Path, in_flight: int, requests: int) -> float:
    """This project's engine, from conditions to the table of responses, records on disk."""
    os.environ.update(OPENAI_BASE_URL=url, OPENAI_API_KEY="not-needed")
    conditions = pd.read_parquet(folder / "conditions.parquet").iloc[: requests // ITEMS]
    with tempfile.TemporaryDirectory(dir=folder) as run:
        for name, part in (("warm-up", conditions.iloc[:2]), ("records", conditions)):
            path = Path(run) / f"{name}.jsonl"
            with records.Records(path) as store:
                administer.find_routes(part, store)  # as a study does when it assigns values
                started = time.perf_counter()
                played = administer.put_items(part, store, concurrency=in_flight)
            seconds = time.perf_counter() - started
        kept = [r["key"] for r in records.read(path) if r["kind"] == "item" and not r["error"]]
    if not len(kept) == len(played) == requests:
        raise SystemExit(f"{len(kept)} records and {len(played)} rows of {requests} requests")
    return seconds


def main() -> None:
    """Ask and print the time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("in_flight", type=int)
    parser.add_argument("requests", type=int)
    given = parser.parse_args()
    seconds = engine(given.url, given.folder, given.in_flight, given.requests)
    print(json.dumps({"requests": given.requests, "seconds": seconds}))


if __name__ == "__main__":
    main()
