"""A study on many processes gives the rows of one, asks nothing twice and survives a worker."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import distributed
import pandas as pd
import pytest

from hvae_utils import __main__ as cli
from hvae_utils import paths
from hvae_utils.ask import replay
from hvae_utils.errors import EndpointError, UserError
from hvae_utils.extras import cluster
from hvae_utils.play import administer, players, probes, study
from hvae_utils.play.records import Held, Records, read
from hvae_utils.run import runner
from tests.support.fake_endpoint import completion, serve

MODEL = "openai/fake"
FOUR = ("altruistic", "prosocial", "competitive", "none")
CLOCK = ["latency_s"]


def third(body):
    return 200, completion("C")


@pytest.fixture(scope="module")
def endpoint():
    """Serve a chat model whose `reply` a test may change; `received` holds the requests."""
    here = types.SimpleNamespace(reply=third)
    with serve(lambda body: here.reply(body)) as (here.url, here.received):
        yield here


@pytest.fixture(scope="module")
def two_workers(endpoint):
    """Start two worker processes that see the endpoint; yield the cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", endpoint.url)
        patch.setenv("OPENAI_API_KEY", "none")
        with cluster.local_cluster(2) as workers:
            yield workers


@pytest.fixture
def asked(endpoint):
    """Forget what the endpoint was asked and how it replies."""
    endpoint.received.clear()
    endpoint.reply = third
    return endpoint


def planned(*models, **factors):
    given = {"values": ("altruistic", "none"), **factors}
    return study.conditions(study.Study(models=models, **given))


def play_all(player, conditions, path):
    """Play a study; return both tables and the records by key, latest last."""
    with Records(path) as records:
        assigned = player.assign_values(conditions, records)
        responses = player.put_items(assigned, records)
    return assigned, responses.drop(columns=CLOCK), list(read(path))


def on(workers, conditions, path):
    with cluster.player(workers.scheduler_address) as player:
        return play_all(player, conditions, path)


def same(found, expected):
    """Check tables row for row and type for type, and records by key and text, each once."""
    for table, wanted in zip(found[:2], expected[:2], strict=True):
        pd.testing.assert_frame_equal(table, wanted)
    keys = [record["key"] for record in found[2]]
    assert len(set(keys)) == len(keys)
    texts = [{record["key"]: record["text"] for record in run[2]} for run in (found, expected)]
    assert texts[0] == texts[1]


def test_without_a_scheduler_this_process_plays_and_nothing_of_dask_is_imported():
    code = (
        "import sys\nfrom hvae_utils.play import administer, players\n"
        "import hvae_utils.extras.cluster\n"
        "assert players.elsewhere() is None\n"
        "assert not {'distributed', 'dask'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=paths.ROOT)


@pytest.mark.parametrize(
    "factors",
    [
        {"orders": ("fixed", "shuffled"), "repeats": 4},
        {"inductions": ("self_description", "label"), "placements": ("dialogue", "system")},
        {"protocols": ("independent", "conversation")},
        {"readout": "probabilities"},
        {"readout": "probabilities", "deliberations": ("direct", "reasoned")},
    ],
)
def test_the_tables_are_those_of_one_process_row_for_row(two_workers, tmp_path, factors):
    conditions = planned("reference/lapsing", **factors)
    alone = play_all(administer, conditions, tmp_path / "alone.jsonl")
    same(on(two_workers, conditions, tmp_path / "many.jsonl"), alone)


def test_no_two_shards_ask_for_the_same_record():
    conditions = planned("reference/faithful", inductions=("self_description", "definition"),
                         placements=("dialogue", "system"), orders=("fixed", "shuffled"),
                         deliberations=("direct", "reasoned"), repeats=2)  # fmt: skip
    routes = Held()
    administer.find_routes(conditions, routes)
    alone = Held(routes.new)
    assigned = administer.assign_values(conditions, alone)
    spoken = {record["key"] for record in alone.new}
    administer.put_items(assigned, alone)
    chosen = {record["key"] for record in alone.new} - spoken
    for verb, table, together, wanted in (
        (administer.assign_values, conditions, cluster.SAME_RECORDS, spoken),
        (administer.put_items, assigned, cluster.SAME_PREFIX, chosen),
    ):
        shards = cluster.shards_of(table, together, workers=2)
        assert len(shards) > 2
        keys = []
        for shard in shards:
            held = Held(routes.new)
            verb(shard, held)
            keys += [record["key"] for record in held.new]
        assert sorted(keys) == sorted(wanted)


def test_an_endpoint_is_asked_each_question_once_and_a_finished_run_nothing(
    two_workers, asked, tmp_path
):
    path = tmp_path / "records.jsonl"
    conditions = planned(MODEL)
    first = on(two_workers, conditions, path)
    assert len(asked.received) == len(first[2]) > 0
    same(on(two_workers, conditions, path), first)
    assert len(asked.received) == len(first[2])


def test_a_run_that_one_process_began_is_finished_by_the_cluster(two_workers, asked, tmp_path):
    conditions = planned(MODEL)
    whole = on(two_workers, conditions, tmp_path / "whole.jsonl")
    half = tmp_path / "half.jsonl"
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    half.write_text("".join(lines[::2]))
    asked.received.clear()
    same(on(two_workers, conditions, half), whole)
    assert len(asked.received) == len(lines) // 2


def test_a_killed_worker_costs_its_shard_and_nothing_else(two_workers, asked, tmp_path):
    conditions = planned(MODEL, orders=("fixed", "reversed"))
    whole = on(two_workers, conditions, tmp_path / "whole.jsonl")
    asked.received.clear()
    with distributed.Client(two_workers.scheduler_address) as client:
        victim = next(iter(client.run(os.getpid).values()))
    once = threading.Lock()

    def slow_then_kill(body):
        time.sleep(0.02)
        if len(asked.received) > len(whole[2]) // 2 and once.acquire(blocking=False):
            os.kill(victim, signal.SIGKILL)
        return third(body)

    asked.reply = slow_then_kill
    same(on(two_workers, conditions, tmp_path / "many.jsonl"), whole)
    assert once.locked()
    with pytest.raises(ProcessLookupError):
        os.kill(victim, 0)


def test_the_plug_in_of_the_environment_plays_the_probes_too(
    two_workers, asked, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", asked.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    study = "svo-slider+swapped", ["reference/faithful", MODEL], "prosocial", "plain"
    alone = probes.administer(tmp_path / "here.jsonl", *study)
    with players.playing(f"hvae_utils.extras.cluster:{two_workers.scheduler_address}"):
        assert isinstance(players.elsewhere(), cluster.OnCluster)
        shared = probes.administer(tmp_path / "there.jsonl", *study)
        with replay.replaying({}):
            assert players.elsewhere() is None
    assert players.elsewhere() is None
    for here, there in zip(alone, shared, strict=True):
        pd.testing.assert_frame_equal(here, there)
    here, there = (list(read(tmp_path / f"{where}.jsonl")) for where in ("here", "there"))
    assert {record["key"] for record in here} == {record["key"] for record in there}


@pytest.fixture
def impatient(endpoint, monkeypatch):
    """Let workers that a test starts see the endpoint, and be missed after two seconds."""
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setattr(cluster, "NO_WORKER_S", 2)


@contextlib.contextmanager
def dask_process(kind, *options):
    """Start a scheduler or worker that nobody starts again; kill it in the end."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
    command += ["--host=127.0.0.1", "--dashboard-address=127.0.0.1:0"]
    with subprocess.Popen(command, cwd=paths.ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def worker_processes(address, count):
    """Start workers that nobody starts again; yield their processes."""
    options = address, "--no-nanny", "--nthreads=1"
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(dask_process("worker", *options)) for _ in range(count)]


def test_a_study_whose_workers_all_die_ends_with_a_sentence_and_keeps_its_answers(
    impatient, asked, tmp_path
):
    conditions, path = planned(MODEL, orders=("fixed", "reversed")), tmp_path / "records.jsonl"
    whole = play_all(administer, conditions, tmp_path / "whole.jsonl")
    asked.received.clear()
    with cluster.local_cluster(0) as alone:
        address = alone.scheduler_address
        with worker_processes(address, 2) as workers, distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=60)

            def kill_all_past_half(body):
                if len(asked.received) > len(whole[2]) // 2:
                    for worker in workers:
                        worker.kill()
                return third(body)

            asked.reply = kill_all_past_half
            with pytest.raises(EndpointError, match=r"no worker for 2 seconds") as fault:
                on(alone, conditions, path)
    kept = sum(1 for _ in read(path))
    assert f"scheduler at {address}" in str(fault.value)
    assert f"; {kept} records are safe, run the same study again" in str(fault.value)
    assert 0 < kept < len(whole[2])
    asked.reply = third
    asked.received.clear()
    same(play_all(administer, conditions, path), whole)
    assert len(asked.received) == len(whole[2]) - kept


def test_a_study_whose_scheduler_dies_ends_with_a_sentence(impatient, asked, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with (
        dask_process("scheduler", f"--port={address.rpartition(':')[2]}") as scheduler,
        worker_processes(address, 1),
        distributed.Client(address, timeout=60) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        # the first request is of the process that asks: how the model is asked
        asked.reply = lambda body: (len(asked.received) > 1 and scheduler.kill()) or third(body)
        with pytest.raises(EndpointError, match=f"scheduler at {address}"):
            on(types.SimpleNamespace(scheduler_address=address), planned(MODEL), tmp_path / "x")
    assert asked.received


def test_an_endpoint_that_refuses_stops_the_study_with_its_sentence(two_workers, asked, tmp_path):
    path = tmp_path / "records.jsonl"
    refusing = 401, {"error": {"message": "no such key"}}
    asked.reply = lambda body: refusing if len(asked.received) > 20 else third(body)
    with pytest.raises(EndpointError, match=r"openai/fake.*; \d+ records are safe") as fault:
        on(two_workers, planned(MODEL), path)
    kept = sum(1 for _ in read(path))
    assert 0 < kept <= 20  # the other worker's requests in flight are given up, and asked again
    assert f"; {kept} records are safe, run the same study again to continue" in str(fault.value)
    assert str(fault.value).count("are safe") == 1
    asked.reply = third
    conditions = planned(MODEL)
    asked.received.clear()
    found = on(two_workers, conditions, path)
    assert len(asked.received) == len(found[2]) - kept


def test_a_mistake_in_the_code_surfaces_once_with_the_workers_traceback(two_workers, tmp_path):
    def break_it():
        from hvae_utils.play import administer

        def broken(*ignored):
            raise ZeroDivisionError("a bug")

        administer.kept, administer.prompts.item_text = administer.prompts.item_text, broken

    def mend_it():
        from hvae_utils.play import administer

        administer.prompts.item_text = administer.kept

    with distributed.Client(two_workers.scheduler_address) as client:
        client.run(break_it)
        try:
            with pytest.raises(ZeroDivisionError, match="a bug") as fault:
                on(two_workers, planned("reference/faithful"), tmp_path / "records.jsonl")
        finally:
            client.run(mend_it)
    assert "in broken" in fault.value.__notes__[0]


def test_a_workers_missing_key_is_the_users_to_mend(two_workers, tmp_path):
    with pytest.raises(UserError, match="ANTHROPIC_API_KEY"):
        on(two_workers, planned("anthropic/any"), tmp_path / "records.jsonl")


def pretend_to_load(url):
    """On a worker: let embedded models be served at `url`; note what is loaded, and beside what."""
    import weakref

    from hvae_utils.ask import local

    class Server:
        listening_address = url.removesuffix("/v1")

    def serve(weights, name):
        alive = [other for other, server in local.servers if server() is not None]
        server = Server()
        local.servers.append((weights.name, weakref.ref(server)))
        local.loads.append((weights.name, alive))
        return server

    local.really, local.serve, local.servers, local.loads = local.serve, serve, [], []


def really_load(dask_worker):
    """Undo it; return what was loaded on this worker."""
    from hvae_utils.ask import local
    from hvae_utils.extras import cluster

    cluster.place_of(dask_worker).loaded.clear()
    local.serve = local.really
    return local.loads


def test_a_worker_loads_an_embedded_model_once_and_releases_it_for_the_next(
    two_workers, asked, tmp_path
):
    runs = {}
    for name in ("first", "second"):
        weights = tmp_path / f"{name}.gguf"
        weights.write_bytes(b"GGUF" + name.encode())
        runs[name] = planned(f"local/{weights}", values=FOUR)
        assert len(cluster.shards_of(runs[name], cluster.SAME_RECORDS, workers=2)) > 2
    with distributed.Client(two_workers.scheduler_address) as client:
        client.run(pretend_to_load, asked.url)
        try:
            for name, conditions in runs.items():
                on(two_workers, conditions, tmp_path / f"{name}.jsonl")
        finally:
            loads = client.run(really_load).values()
    found = [name for loaded in loads for name, _ in loaded]
    assert set(found) == {"first.gguf", "second.gguf"}
    assert all(len({name for name, _ in loaded}) == len(loaded) for loaded in loads)
    assert not [alive for loaded in loads for _, alive in loaded if alive]


def test_a_budget_is_refused_before_anything_is_asked(two_workers, asked, tmp_path):
    conditions = planned(MODEL)
    with (
        cluster.player(two_workers.scheduler_address) as player,
        Records(tmp_path / "records.jsonl") as records,
        pytest.raises(UserError, match="budget"),
    ):
        player.assign_values(conditions, records, 0, budget=object())
    assert not asked.received


@pytest.fixture
def other_data(monkeypatch, tmp_path):
    """Let this process, and not the workers, have another value."""
    for name in ("instruments", "prompts"):
        shutil.copytree(paths.DATA / name, tmp_path / name)
    text = (paths.DATA / "values.toml").read_text(encoding="utf-8")
    (tmp_path / "values.toml").write_text(f"{text}# another\n", encoding="utf-8")
    monkeypatch.setattr(paths, "DATA", tmp_path)
    cluster._code.cache_clear()
    yield
    cluster._code.cache_clear()


@pytest.mark.usefixtures("other_data")
def test_workers_with_other_code_are_refused(two_workers):
    with (
        pytest.raises(UserError, match="2 of 2 workers do not run the code"),
        cluster.player(two_workers.scheduler_address),
    ):
        pass


def test_a_scheduler_that_is_not_there_is_said_so(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with (
        pytest.raises(EndpointError, match=f"no Dask scheduler answers at {address}"),
        cluster.player(address),
    ):
        pass


def test_a_scheduler_without_workers_is_said_so(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with (
        cluster.local_cluster(0) as alone,
        pytest.raises(EndpointError, match="has no worker"),
        cluster.player(alone.scheduler_address),
    ):
        pass


@pytest.mark.parametrize("scheduler", ["locl", "host:8786", "pigeon://x", "tcp://x:99999"])
def test_what_is_no_address_is_refused(scheduler):
    with (
        pytest.raises(UserError, match=f"scheduler '{scheduler}' is no"),
        cluster.player(scheduler),
    ):
        pass


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"hvae-workbook\[dask\]"), cluster.player("local"):
        pass


LOCAL = """
import sys
from pathlib import Path
from hvae_utils.extras import cluster; from hvae_utils.play import study
from hvae_utils.play.records import Records

planned = study.conditions(study.Study(models=("reference/faithful",), values=("altruistic",)))
with cluster.player("local") as player, Records(Path(sys.argv[1])) as records:
    print(len(player.put_items(player.assign_values(planned, records), records)))
"""


def test_a_local_cluster_comes_and_goes_without_a_word_on_stderr(tmp_path):
    command = [sys.executable, "-W", "error", "-c", LOCAL, str(tmp_path / "records.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines()[-1] == "12"


def test_the_command_puts_the_scheduler_into_the_environment_of_the_notebooks(
    monkeypatch, capsys, tmp_path
):
    seen = []

    def execute(*ignored, **options):
        seen.append(os.environ[players.VARIABLE])
        raise UserError("enough seen")

    monkeypatch.delenv(players.VARIABLE, raising=False)
    monkeypatch.setattr(runner, "execute", execute)
    command = ["reproduce", "--profile", "smoke", "--runs", str(tmp_path), "--scheduler"]
    assert cli.main([*command, "local"]) == 2
    assert seen == ["hvae_utils.extras.cluster:local"]
    assert cli.main([*command, "x"]) == 2
    assert cli.main([*command, "local", "--budget", "5 requests"]) == 2
    assert len(seen) == 1
    first, second, third = capsys.readouterr().err.splitlines()
    assert "enough seen" in first
    assert "scheduler 'x' is no address" in second
    assert "a budget is kept by one process" in third
    assert not os.environ.get(players.VARIABLE)


NOTEBOOK = """
import os, sys
from pathlib import Path
from hvae_utils.play import administer, engine, study
from hvae_utils.play.records import Records

engine.SECONDS_UNSEEN = 0.0  # the line of progress says where it was played
conditions = study.conditions(study.Study(["reference/faithful"], ["altruistic"], [False]))
with Records(Path(sys.argv[1])) as records:
    conditions = administer.assign_values(conditions, records)
    print(len(administer.put_items(conditions, records)))
"""


def test_a_notebook_plays_on_a_local_cluster_that_ends_with_it(tmp_path):
    environment = {**os.environ, players.VARIABLE: "hvae_utils.extras.cluster:local"}
    command = [sys.executable, "-W", "error", "-c", NOTEBOOK, str(tmp_path / "records.jsonl")]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=paths.ROOT, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)
    first, *_, last = done.stdout.splitlines()
    assert "assign on" in first
    assert "workers" in first
    assert last == "6"
