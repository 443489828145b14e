"""A bundle is the run in one file: small, the same each time, and believed byte by byte or not."""

import hashlib
import io
import json
import os
import re
import socket
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from hvae_utils import __main__ as cli
from hvae_utils import files, paths
from hvae_utils.ask import models, replay
from hvae_utils.errors import NotReady, NotRecorded, UserError
from hvae_utils.run import bundle, manifest, publish, workbook
from hvae_utils.run.run import Run
from tests.support.indiscreet import KEY, MODEL, hvae

MEMBERS = ["manifest.json", "records.jsonl", "requirements.lock", "SHA256SUMS"]


def record(model=MODEL, wording="plain", **fields):
    counts = dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "latency_s"), 1)
    asked = {"key": "k", "kind": "item", "model": model, "wording": wording, "messages": []}
    ended = {"text": "A", "error": None, "finish_reason": "stop", "top_logprobs": None}
    return {**asked, **ended, **counts, "dropped": [], **fields}


def finished(run, records=(), asked=MODEL, **parameters):
    """Make a run folder as the workbook leaves it."""
    run.mkdir()
    lines = "".join(json.dumps(one) + "\n" for one in records or [record()])
    (run / "records.jsonl").write_text(lines)
    pd.DataFrame({"model": [asked, "reference/random"]}).to_parquet(run / "conditions.parquet")
    outputs = {path.name: files.sha256(path) for path in run.iterdir()}
    made = {
        "schema": 1, "profile": "tiny", "overrides": ["concurrency=7", "repeats=2"],
        "parameters": {"wordings": ["plain"], "concurrency": 7, **parameters}, "outputs": outputs,
        "models": {MODEL: "ab", "reference/random": None}, **manifest.environment(),
    }  # fmt: skip
    manifest.write(run, made)
    return run


def bundled(folder, out):
    return Run(folder.name, folder.parent).bundle(out)


@pytest.fixture
def made(tmp_path):
    return bundled(finished(tmp_path / "run"), tmp_path / "b.zip")


def rezipped(path, **members):
    """Write a zip file of other members; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**kept, **members}.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def resealed(path, **members):
    """Write a bundle with other members, and make its own checksums right again."""
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in MEMBERS[:3]} | members
    sums = [f"{hashlib.sha256(kept[name]).hexdigest()}  {name}\n" for name in kept]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**kept, "SHA256SUMS": "".join(sums)}.items():
            archive.writestr(name, content)
    return path


# --- what is in it


def test_any_zip_tool_opens_it_and_finds_the_hashes_it_states(made):
    with zipfile.ZipFile(made.path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == MEMBERS
        sums = archive.read("SHA256SUMS").decode().splitlines()
        for line in sums:
            digits, name = line.split("  ")
            assert hashlib.sha256(archive.read(name)).hexdigest() == digits
        assert archive.read("requirements.lock") == (paths.ROOT / "requirements.lock").read_bytes()
    assert len(sums) == 3
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()


def test_the_same_run_makes_the_same_bytes(made, tmp_path):
    again = bundled(tmp_path / "run", tmp_path / "again.zip")
    assert again.path.read_bytes() == made.path.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.zip", "b.zip", "run"]


def test_only_what_the_runs_models_said_to_its_wordings_is_in_it(tmp_path):
    kept = record(text="mine")
    others = [
        record("reference/random"), record("openai/other"), record(wording="imported-theirs"),
    ]  # fmt: skip
    made = bundled(finished(tmp_path / "run", [*others, kept]), tmp_path / "b.zip")
    with zipfile.ZipFile(made.path) as archive:
        assert [json.loads(line) for line in archive.open("records.jsonl")] == [kept]


def test_a_record_of_local_weights_does_not_say_where_they_lay(tmp_path):
    name = "local/smollm2-135m-instruct"
    said = record(name, served_model="/srv/me/cache/SmolLM2.gguf")
    run = finished(tmp_path / "run", [said, record()], asked=name)
    manifest.write(run, {**manifest.read(run), "models": {name: "ab", "reference/random": None}})
    with zipfile.ZipFile(bundled(run, tmp_path / "b.zip").path) as archive:
        (line,) = archive.open("records.jsonl")
    assert json.loads(line)["served_model"] == "SmolLM2.gguf"


def test_how_the_asking_was_done_is_left_out(made):
    assert made.manifest["parameters"] == {"wordings": ["plain"]}
    assert made.manifest["overrides"] == ["repeats=2"]


# --- what cannot be bundled


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "manifest.json").unlink(), "no finished run"),
        (lambda run: (run / "records.jsonl").write_text(""), r"records\.jsonl changed after"),
        (lambda run: (run / "conditions.parquet").unlink(), r"conditions\.parquet changed after"),
    ],
)
def test_an_unfinished_or_changed_run_is_refused(tmp_path, spoil, message):
    run = finished(tmp_path / "run")
    spoil(run)
    with pytest.raises(UserError, match=message):
        bundled(run, tmp_path / "b.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wordings": ["plain", "imported-theirs"]}, "imported-theirs, whose prompts are not ours"),
        ({"asked": "local//srv/me/m.gguf"}, "by a folder of this machine"),
        ({"records": [record(wording=None)]}, f"no record of {MODEL} that names its wording"),
    ],
)
def test_what_is_not_ours_to_publish_is_refused(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        bundled(finished(tmp_path / "run", **options), tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*nowhere"):
        bundled(finished(tmp_path / "run"), tmp_path / "nowhere" / "b.zip")


# --- what is believed


def test_a_bundle_with_a_hash_of_itself_at_its_end_is_read_as_well(made):
    with zipfile.ZipFile(made.path, "a") as archive:
        archive.comment = b"0" * 64
    assert bundle.read(made.path).manifest == made.manifest
    assert bundle.read(publish.RECORDED / "default.zip").manifest["profile"] == "default"


def headers(path):
    """Return the places of all bytes of a zip file but those of its members' contents."""
    places = set(range(path.stat().st_size))
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            start = member.header_offset + 30 + len(member.filename)
            places -= set(range(start, start + member.compress_size))
    return places


def test_a_change_of_a_single_byte_is_found_or_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "requirements.lock").write_text("numpy==1\n")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    run = finished(tmp_path / "run")
    lock = {"lock_sha256": files.sha256(tmp_path / "requirements.lock")}
    manifest.write(run, {**manifest.read(run), **lock})
    path = bundled(run, tmp_path / "b.zip").path
    whole, manifested = path.read_bytes(), bundle.read(path).manifest
    records = (run / "records.jsonl").read_text()
    said = set()
    for place in sorted(headers(path) | set(range(0, len(whole), 16))):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        try:
            assert bundle.read(path).manifest == manifested
            with zipfile.ZipFile(path) as archive:
                kept = archive.read("records.jsonl").decode()
            assert [json.loads(line) for line in kept.splitlines()] == [json.loads(records)]
        except UserError as fault:
            said |= {name for name in MEMBERS if f": {name} in it was changed" in str(fault)}
    assert said == set(MEMBERS)
    path.write_bytes(whole)
    assert bundle.read(path)


def test_a_changed_member_is_refused_by_its_name_even_with_a_good_checksum_of_its_own(made):
    rezipped(made.path, **{"records.jsonl": b"{}\n"})
    with pytest.raises(UserError, match=r"b\.zip: records\.jsonl in it was changed"):
        bundle.read(made.path)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_cut_off_file_is_no_bundle(made, share):
    whole = made.path.read_bytes()
    made.path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match="is no bundle: it is "):
        bundle.read(made.path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("../../evil.py", b"x", r"no bundle: '\.\./\.\./evil\.py' is"),
        ("/etc/evil", b"x", "no bundle: '/etc/evil' is"),
        ("notes.txt", b"x", r"no bundle: 'notes\.txt' is"),
        ("records.jsonl", None, r"no bundle: 'records\.jsonl' is missing"),
    ],
)
def test_a_member_that_no_bundle_has_or_lacks_is_refused_unread(made, name, content, message):
    with pytest.raises(UserError, match=message):
        bundle.read(rezipped(made.path, **{name: content}))


def test_a_file_that_would_unpack_to_gigabytes_is_refused_before_it_is_unpacked(made, monkeypatch):
    monkeypatch.setattr(bundle, "LARGEST", 10**6)
    rezipped(made.path)
    with zipfile.ZipFile(made.path) as archive:
        kept = {name: archive.read(name) for name in MEMBERS}
    with zipfile.ZipFile(made.path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**kept, "records.jsonl": b"\0" * 10**7}.items():
            archive.writestr(name, content)
    assert made.path.stat().st_size < 10**6
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(UserError, match="would unpack to more than"):
        bundle.read(made.path)


def test_a_bundle_of_another_schema_says_so(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "SCHEMA", 9)
        path = bundled(finished(tmp_path / "run"), tmp_path / "b.zip").path
    with pytest.raises(UserError, match=r"has schema 9\.1, this version reads 1\.1"):
        bundle.read(path)


def test_a_file_that_is_not_there_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none\.zip"):
        bundle.read(tmp_path / "none.zip")


NO_MANIFEST = ("[]", "null", '{"schema": 1}', '{"schema":', "not json", "[" * 100_000, "\udcff")


@pytest.mark.parametrize("text", NO_MANIFEST, ids=range(len(NO_MANIFEST)))
def test_a_manifest_that_is_none_is_one_sentence_to_every_verb(made, tmp_path, capsys, text):
    whole = text.encode(errors="surrogateescape")
    run = tmp_path / "run"
    (run / "manifest.json").write_bytes(whole)
    resealed(made.path, **{"manifest.json": whole})
    run_id = ["--runs", str(tmp_path), "--run-id", "run"]
    for command in (
        ["reproduce", "--replay", str(made.path), "--runs", str(tmp_path / "runs")],
        ["bundle", str(tmp_path / "again.zip"), *run_id],
        ["check", *run_id],
        ["report", *run_id],
    ):
        assert cli.main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(r"manifest\.json .*(is not JSON|is no manifest of a run)", line)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        *((name, f"its '{name}' is missing") for name in ("finish_reason", "dropped")),
        (record(finish_reason=7), "its 'finish_reason' is missing or of a wrong kind"),
        (b"[]", "its 'key' is missing"), (b"{", "not JSON"), (b"[" * 100_000, "not JSON"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_replayed_is_named_by_its_line(made, line, message):
    if isinstance(line, str):
        line = {name: content for name, content in record().items() if name != line}
    line = json.dumps(line).encode() if isinstance(line, dict) else line
    whole = json.dumps(record()).encode() + b"\n" + line + b"\n"
    resealed(made.path, **{"records.jsonl": whole})
    with pytest.raises(UserError, match=rf"line 2 of records\.jsonl in .*b\.zip .*{message}"):
        bundle.read(made.path)


# --- the replay


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scheduler", "tcp://127.0.0.1:{port}"), ("concurrency", 7), ("budget", "1 request"),
        ("runs", "elsewhere"), ("run_id", "default"), ("base_url", "http://127.0.0.1:{port}"),
    ],
)  # fmt: skip
def test_a_strangers_bundle_may_not_say_how_it_is_replayed(made, tmp_path, name, content):
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        if isinstance(content, str):
            content = content.format(port=theirs.getsockname()[1])
        parameters = {**made.manifest["parameters"], name: content}
        changed = json.dumps({**made.manifest, "parameters": parameters})
        resealed(made.path, **{"manifest.json": changed.encode()})
        with pytest.raises(UserError, match=f"b.zip sets '{name}', which does not say what was"):
            workbook.replay(made.path, runs=tmp_path / "runs", report=print)
        theirs.settimeout(0)
        with pytest.raises(BlockingIOError):
            theirs.accept()
    assert not (tmp_path / "runs").exists()


WATCH = """
import runpy, sys
runpy.run_path({offline!r})
def watch(event, args):
    if event == "socket.connect" and args[0].family != args[0].family.AF_UNIX:
        with open({log!r}, "a") as file:
            file.write(f"{{sys.orig_argv}} {{args[1]}}\\n")
        raise RuntimeError("a replay connects to nobody")
sys.addaudithook(watch)
with open({log!r} + ".watched", "a") as file:
    file.write(" ".join(sys.orig_argv) + "\\n")
"""


def watched(folder):
    """Return PYTHONPATH under which no Python may connect to an address, and where that is told."""
    offline = Path(__file__).parents[1] / "offline" / "sitecustomize.py"
    log, site = folder / "log", folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(WATCH.format(offline=str(offline), log=str(log)))
    return os.pathsep.join([str(site), str(paths.ROOT), os.environ["PYTHONPATH"]]), log


# The command, with one kernel: of the notebook that asks the most kinds of questions. The others
# are executed in its own process, which is watched as well; the rest is not about kernels.
REPLAY = """
import sys, papermill
from hvae_utils import __main__
from tests.support import in_process
in_a_kernel = papermill.execute_notebook
def execute_notebook(source, *target, **options):
    with_kernel = "01_value_assignment" in source
    (in_a_kernel if with_kernel else in_process.execute_notebook)(source, *target, **options)
papermill.execute_notebook = execute_notebook
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_every_table_and_figure_comes_back_without_a_connection(indiscreet, tmp_path):
    search, log = watched(tmp_path)
    again = hvae(
        tmp_path, "reproduce", "--replay", str(indiscreet.bundle), "--runs", "runs", code=REPLAY,
        PYTHONPATH=search, OPENAI_API_KEY=KEY, OPENAI_BASE_URL="http://127.0.0.1:9/v1",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert not log.exists(), log.read_text()
    watched_processes = Path(f"{log}.watched").read_text()
    assert "ipykernel_launcher" in watched_processes
    assert "__main__.main" in watched_processes
    run = tmp_path / "runs" / "replay-smoke"
    first, second = manifest.read(indiscreet.run), manifest.read(run)
    names = {name for name in first["outputs"] if not name.endswith((".parquet", ".jsonl"))}
    assert {"key_numbers.json", "value_rationality.csv", "probes.csv", "debiased.csv"} < names
    assert any(name.endswith(".svg") for name in names)
    for name in names:
        assert (run / name).read_bytes() == (indiscreet.run / name).read_bytes(), name
    assert f"{len(names)} of {len(names)} tables and figures equal the recorded" in again.stdout
    responses = pd.read_parquet(run / "responses.parquet")
    assert (responses.outcome == "error").any(), "a recorded error is repeated, not asked again"
    assert second["replayed"] == bundle.read(indiscreet.bundle).sha256
    assert second["models"] == first["models"]
    assert second["publish"] is False


def test_a_replay_needs_neither_key_nor_weights_but_names_must_be_known(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with replay.replaying({"openai/gpt-4o": "ab"}):
        models.require(["openai/gpt-4o", "local/nowhere.gguf", "reference/random"])
        assert models.respondent("openai/gpt-4o").identity == "ab"
        assert models.respondent("reference/random").name == "reference/random"
        with pytest.raises(UserError, match="unknown"):
            models.require(["nobody/x"])
    assert replay.identities() is None
    with pytest.raises(NotReady, match="OPENAI_API_KEY"):
        models.require(["openai/gpt-4o"])


def test_a_request_without_a_record_is_an_error_that_says_which(tmp_path):
    from hvae_utils.play import administer, study
    from hvae_utils.play.records import Records

    planned = study.conditions(study.Study((MODEL,), ("altruistic",), (False,)))
    with (
        replay.replaying({MODEL: "ab"}),
        Records(tmp_path / "records.jsonl") as records,
        pytest.raises(NotRecorded, match=f"{MODEL}, told to be none: .*no 'probe' request"),
    ):
        administer.assign_values(planned, records)
    assert (tmp_path / "records.jsonl").read_text() == ""


def test_the_folder_of_another_run_is_never_replayed_into(made, tmp_path):
    before = (tmp_path / "run" / "records.jsonl").read_bytes()
    with pytest.raises(UserError, match="choose another --run-id"):
        workbook.replay(made.path, runs=tmp_path, run_id="run", report=io.StringIO().write)
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == before


def test_an_interrupted_replay_starts_anew_in_its_folder(made, tmp_path, monkeypatch):
    def dies(profile, *, runs, run_id, report):
        assert (runs / run_id / "records.jsonl").read_text().count("\n") == 1
        with (runs / run_id / "records.jsonl").open("a") as file:
            file.write("simulated answers\n")
        raise KeyboardInterrupt

    monkeypatch.setattr(workbook, "reproduce", dies)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            workbook.replay(made.path, runs=tmp_path, run_id="again", report=print)
