"""Plays a study on a Dask cluster (docs/scaling.md): shards go out, records come back.

A worker plays a shard with `administer`, on records held in memory; only the process that asked
for it writes to the run. Requests that share a record stay in one shard, so nothing is asked
twice, and a shard whose worker is lost is played again by another one. Keys stay where they are: a
worker reads its own environment.
"""

import contextlib
import hashlib
import importlib.util
import io
import logging
import os
import re
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache, partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hvae_utils import paths
from hvae_utils.ask import local
from hvae_utils.errors import EndpointError, UserError, brief
from hvae_utils.measure import factors
from hvae_utils.play import administer, players
from hvae_utils.play.engine import Progress
from hvae_utils.play.records import Held, Record, Records, read

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster, Worker

CONNECT_S = 5  # how long a scheduler, and then a first worker, is waited for
# How long a study waits without any worker: a batch system starts one anew within a minute.
NO_WORKER_S = 120
LOOK_S = 1  # how often workers are looked for while no shard comes back
SHARD_CONDITIONS = 200  # at most: what a lost worker loses
SHARDS_PER_WORKER = 4  # at least where the study has so many: none waits long for the last one
AHEAD = 2  # shards handed out for each worker, so that none waits for its next
SAME_RECORDS = ["model", "value", "repeat"]  # of every request's key: others share no record
SAME_PREFIX = [*SAME_RECORDS, "prefix"]  # likewise once the prefix is known
ASSIGNING = ("describe", "adopt", "goal")  # kinds of requests that assign a value


@contextlib.contextmanager
def player(scheduler: str) -> Iterator["OnCluster"]:
    """Give what plays on a Dask cluster whose workers run the code of this process.

    scheduler: the address of a running one (tcp://host:port), or `local` for one process a core
    on this machine, reachable from it alone and ended with the context.
    Raises UserError as `require` and where a worker runs other code; EndpointError where no
    scheduler or no worker is there within seconds.
    """
    require(scheduler)
    import distributed

    with contextlib.ExitStack() as stack:
        where = stack.enter_context(local_cluster()) if scheduler == "local" else scheduler
        try:
            client = stack.enter_context(distributed.Client(where, timeout=CONNECT_S))
        except OSError:
            raise EndpointError(f"no Dask scheduler answers at {scheduler}") from None
        except ValueError as fault:
            raise UserError(f"scheduler '{scheduler}': {fault}") from None
        _check_workers(client, scheduler)
        yield OnCluster(client)


def require(scheduler: str, budget: Any = None) -> None:
    """Raise UserError unless a study with this budget can be put on this cluster."""
    if importlib.util.find_spec("distributed") is None:
        raise UserError(
            "a scheduler needs the package distributed: pip install 'hvae-workbook[dask]'"
        )
    port = re.fullmatch(r"[a-z]+://[^\s/]+:(\d{1,5})/?", scheduler)
    if scheduler != "local" and not (port and int(port[1]) < 2**16):
        raise UserError(
            f"scheduler {brief(scheduler)} is no address; write tcp://host:port, local, or nothing"
        )
    if budget:  # it counts what is in flight, and only one process can know that
        raise UserError("a budget is kept by one process; leave budget or scheduler empty")


def local_cluster(workers: int | None = None) -> "LocalCluster":
    """Start worker processes on this machine (default: one a core), reachable from it alone."""
    import dask
    from distributed import LocalCluster

    # Workers watch themselves a hundred times a second for a dashboard that there is not.
    with dask.config.set({"distributed.worker.profile.enabled": False}):
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # where its HTTP server listens: None is a fixed port
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,  # what matters comes back with the shard
        )


def _check_workers(client: "Client", scheduler: str) -> None:
    """Raise unless there is a worker and all of them run the code of this process."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError:
        raise EndpointError(
            f"the Dask scheduler at {scheduler} has no worker; start one: dask worker {scheduler}"
        ) from None
    codes = client.run(_code, on_error="return")
    strange = [f"{worker} has {code}" for worker, code in codes.items() if code != _code()]
    if strange:
        raise UserError(
            f"{len(strange)} of {len(codes)} workers do not run the code and data of this process "
            f"({_code()}): {strange[0]}; install the same everywhere"
        )


@lru_cache
def _code() -> str:
    """Return a digest of all that decides what is asked and how it is read."""
    files = [
        *Path(paths.__file__).parent.rglob("*.py"),
        *(paths.DATA / "instruments").glob("*"),
        *(paths.DATA / "prompts").glob("*.toml"),
        paths.DATA / "values.toml",
        *Path(local.__file__).parent.rglob("*.toml"),  # the cues by which replies are read
    ]
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


# ---- on a worker --------------------------------------------------------------------------------


class Place:
    """What a worker keeps between shards: the embedded model of the last shard that had one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # a worker with several threads has one embedded model
        self.loaded: dict[Path, Any] = {}


def place_of(worker: "Worker") -> Place:
    """Return the place of a worker, made when it is first asked for and gone with the worker."""
    return vars(worker).setdefault("_hvae_place", Place())


# What came of a shard: its table or None, every new record, the fault that ended it or None.
Played = tuple[pd.DataFrame | None, list[Record], Exception | None]


def _play_shard(
    code: str, verb: str, shard: pd.DataFrame, seed: list[Record], how: tuple[Any, ...]
) -> Played:
    """Play one shard with the function `verb` of `administer`; seed: the answers that are there.

    What was answered before a fault comes back with it.
    """
    from distributed import get_worker

    if code != _code():  # a worker that joined after the others were checked
        raise UserError(f"a worker runs other code than {code}; install the same everywhere")
    os.environ.pop(players.VARIABLE, None)  # a worker plays itself
    records = Held(seed)
    silence = io.StringIO()  # the process that asks shows how far the study is
    place = place_of(get_worker())
    quiet = contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence)
    with place.lock, local.keeping(place.loaded), quiet[0], quiet[1]:
        try:
            return getattr(administer, verb)(shard, records, *how), records.new, None
        except Exception as fault:
            if not isinstance(fault, UserError | EndpointError):
                fault.add_note(f"On a worker:\n{traceback.format_exc()}")
            return None, records.new, fault.with_traceback(None)


# ---- in the process that asks -------------------------------------------------------------------


class OnCluster:
    """Plays with the functions of `administer` on workers, each with its own `concurrency`."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def _play(
        self, verb: str, conditions: pd.DataFrame, records: Records, *how: Any, budget: Any = None
    ) -> pd.DataFrame:
        """Do in shards what the function `verb` of `administer` does; how: its other arguments.

        The first fault stops handing out; shards under way are waited for, their answers kept.
        """
        require("local", budget)
        self._find_routes(conditions, records)
        workers = self._workers()
        together = SAME_RECORDS if verb == "assign_values" else SAME_PREFIX
        shards = shards_of(conditions, together, workers)
        keys = _answered_keys(records, shards, verb)
        waiting = list(reversed(range(len(shards))))
        underway: dict[Future, int] = {}
        tables: dict[int, pd.DataFrame] = {}
        fault: Exception | None = None
        title = f"{verb.partition('_')[0]} on {workers} workers"
        with Progress(title, len(conditions), "condition") as progress:
            progress.asking()
            while underway or (waiting and fault is None):
                while waiting and fault is None and len(underway) < AHEAD * self._workers():
                    number = waiting.pop()
                    seed = [records.get(key) for key in keys[number]]
                    task = _play_shard, _code(), verb, shards[number], seed, how
                    underway[self._client.submit(*task, pure=False)] = number
                for future, (table, new, failure) in self._arrived(underway, shards):
                    number = underway.pop(future)
                    for record in new:
                        if records.answered(record["key"]) is None:
                            records.append(record)
                    fault = fault or failure
                    if table is not None:
                        tables[number] = table
                        progress.step(len(shards[number]))
        if isinstance(fault, EndpointError):
            reason = re.sub(r"; \d+ records are safe.*", "", str(fault))  # counted by a worker
            raise EndpointError(
                f"{reason}; {len(records)} records are safe, run the same study again to continue"
            )
        if fault is not None:
            raise fault
        return _one_table([tables[number] for number in range(len(shards))], conditions)

    def _find_routes(self, conditions: pd.DataFrame, records: Records) -> None:
        """Have one worker find out how each respondent is asked, so that the others know it."""
        shard = conditions.drop_duplicates("model")
        (keys,) = _answered_keys(records, [shard], "find_routes")
        seed = [records.get(key) for key in keys]
        future = self._client.submit(
            _play_shard, _code(), "find_routes", shard, seed, (), pure=False
        )
        arrived: list[tuple[Future, Played]] = []
        while not arrived:
            arrived = self._arrived({future: 0}, [shard])
        ((_, (_, new, fault)),) = arrived
        for record in new:
            records.append(record)
        if fault is not None:
            raise fault

    assign_values = partialmethod(_play, "assign_values")
    put_items = partialmethod(_play, "put_items")

    def _workers(self) -> int:
        """Return how many workers there are; 1 where there is none, who may come."""
        return max(1, len(self._client.nthreads()))

    def _arrived(
        self, underway: dict["Future", int], shards: list[pd.DataFrame]
    ) -> list[tuple["Future", Played]]:
        """Return what came of shards, once one is back; of all when no worker is left."""
        from distributed import CancelledError, wait

        seen = time.monotonic()
        try:
            while time.monotonic() - seen < NO_WORKER_S:
                with contextlib.suppress(TimeoutError):
                    done = wait([*underway], timeout=LOOK_S, return_when="FIRST_COMPLETED").done
                    return [(future, _result(future, shards[underway[future]])) for future in done]
                if self._client.nthreads():
                    seen = time.monotonic()
            why = f"has had no worker for {NO_WORKER_S} seconds"
        except (CancelledError, OSError):
            why = "is gone"
        fault = EndpointError(f"the Dask scheduler at {self._client.scheduler.address} {why}")
        return [(future, (None, [], fault)) for future in underway]


def _result(future: "Future", shard: pd.DataFrame) -> Played:
    """Return what came of a finished shard. Raises TimeoutError where it was lost on its way."""
    from distributed import KilledWorker

    try:
        return future.result(timeout=NO_WORKER_S)
    except KilledWorker:
        model, count = shard["model"].iloc[0], len(shard)
        why = f"died again and again over the same {count} conditions, for want of memory perhaps"
        return None, [], EndpointError(f"{model}: workers {why}")


def shards_of(conditions: pd.DataFrame, together: list[str], workers: int) -> list[pd.DataFrame]:
    """Cut conditions into shards of one model; rows that agree in `together` stay in one shard.

    A model is one however it deliberates: its respondents share what is said before the items.

    >>> rows = pd.DataFrame({"model": list("aaabb"), "value": list("xxyxy"), "repeat": 1})
    >>> [len(shard) for shard in shards_of(rows, SAME_RECORDS, workers=1)]
    [2, 1, 2]
    """
    size = min(SHARD_CONDITIONS, -(-len(conditions) // (workers * SHARDS_PER_WORKER)))
    shards = []
    for _, group in conditions.groupby(_models(conditions), sort=False):
        asked = group.assign(model=_models(group))
        number = asked.groupby(together, sort=False, dropna=False).ngroup()
        start = number.value_counts().sort_index().cumsum().shift(fill_value=0)
        shards += [shard for _, shard in group.groupby(number.map(start) // size)]
    return shards


def _models(conditions: pd.DataFrame) -> pd.Series:
    """Return the models of the respondents in a table."""
    return conditions["model"].map(lambda name: factors.model_of(name)[0])


def _answered_keys(records: Records, shards: list[pd.DataFrame], verb: str) -> list[list[str]]:
    """Return for each shard the keys of the answered records that it can use.

    A probe is asked once a model. The prefixes hold what was said while values were assigned.
    """
    keys: dict[Any, list[str]] = defaultdict(list)  # by model for probes, else by SAME_RECORDS
    for record in read(records.path) if records.path.exists() else ():
        assigning, probe = record["kind"] in ASSIGNING, record["kind"] == "probe"
        if not record["error"] and (probe or assigning == (verb == "assign_values")):
            group = tuple(record[name] for name in SAME_RECORDS)
            keys[record["model"] if probe else group].append(record["key"])
    asked = [shard.assign(model=_models(shard)) for shard in shards]
    groups = [{*shard["model"], *map(tuple, shard[SAME_RECORDS].to_numpy())} for shard in asked]
    return [[key for group in each for key in keys[group]] for each in groups]


def _one_table(tables: list[pd.DataFrame], conditions: pd.DataFrame) -> pd.DataFrame:
    """Stack tables in the order of the conditions, with the types of a table made at once."""
    place = pd.Series(range(len(conditions)), index=conditions["condition_id"])
    stacked = pd.concat(tables, ignore_index=True).sort_values(
        "condition_id", key=place.get, kind="stable", ignore_index=True
    )
    for name, kind in stacked.dtypes.items():
        if pd.api.types.is_object_dtype(kind):  # text beside a shard that had none
            stacked[name] = pd.Series(stacked[name].tolist())
    return stacked
