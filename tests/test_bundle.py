"""A bundle is the run in one file: small, the same each time, and believed byte by byte or not."""

import hashlib
import io
import json
import shutil
import zipfile

import pandas as pd
import pytest
from indiscreet import MODEL, hvae

from hvae_utils import bundle, errors, files, manifest, models, paths, publish, replay, workbook
from hvae_utils.errors import NotReady, NotRecorded, UserError

NOT_READY = NotReady("not ready: no weights")
MEMBERS = ["manifest.json", "records.jsonl", "requirements.lock", "SHA256SUMS"]


def record(model=MODEL, wording="plain", **fields):
    return {"key": "k", "model": model, "wording": wording, "text": "A", "error": None, **fields}


def finished(run, records=(), asked=MODEL, **parameters):
    """Make a run folder as the workbook leaves it."""
    run.mkdir()
    lines = "".join(json.dumps(one) + "\n" for one in records or [record()])
    (run / "records.jsonl").write_text(lines)
    pd.DataFrame({"model": [asked, "reference/random"]}).to_parquet(run / "conditions.parquet")
    outputs = {path.name: files.sha256(path) for path in run.iterdir()}
    made = {
        "schema": 1, "profile": "tiny", "overrides": ["scheduler=tcp://10.0.0.1:1", "repeats=2"],
        "parameters": {"wordings": ["plain"], "concurrency": 7, **parameters}, "outputs": outputs,
        "models": {MODEL: "ab", "reference/random": None}, **manifest.environment(),
    }  # fmt: skip
    manifest.write(run, made)
    return run


@pytest.fixture
def made(tmp_path):
    return bundle.write(finished(tmp_path / "run"), tmp_path / "b.zip")


def rezipped(path, **members):
    """Write a zip file of other members; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**kept, **members}.items():
            if content is not None:
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
    whole = made.path.read_bytes()
    assert whole[-64:].decode() == hashlib.sha256(whole[:-64]).hexdigest()
    assert made.sha256 == hashlib.sha256(whole).hexdigest()


def test_the_same_run_makes_the_same_bytes(made, tmp_path):
    again = bundle.write(tmp_path / "run", tmp_path / "again.zip")
    assert again.path.read_bytes() == made.path.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.zip", "b.zip", "run"]


def test_only_what_the_runs_models_said_to_its_wordings_is_in_it(tmp_path):
    kept = record(text="mine")
    others = [
        record("reference/random"), record("openai/other"), record(wording="imported-theirs"),
    ]  # fmt: skip
    made = bundle.write(finished(tmp_path / "run", [*others, kept]), tmp_path / "b.zip")
    with zipfile.ZipFile(made.path) as archive:
        assert [json.loads(line) for line in archive.open("records.jsonl")] == [kept]


def test_a_record_of_local_weights_does_not_say_where_they_lay(tmp_path):
    name = "local/smollm2-135m-instruct"
    said = record(name, served_model="/srv/me/cache/SmolLM2.gguf")
    run = finished(tmp_path / "run", [said, record()], asked=name)
    manifest.write(run, {**manifest.read(run), "models": {name: "ab", "reference/random": None}})
    with zipfile.ZipFile(bundle.write(run, tmp_path / "b.zip").path) as archive:
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
        bundle.write(run, tmp_path / "b.zip")
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
        bundle.write(finished(tmp_path / "run", **options), tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*nowhere"):
        bundle.write(finished(tmp_path / "run"), tmp_path / "nowhere" / "b.zip")


# --- what is believed


def test_a_change_of_any_single_byte_is_found(tmp_path, monkeypatch):
    (tmp_path / "requirements.lock").write_text("numpy==1\n")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    run = finished(tmp_path / "run")
    lock = {"lock_sha256": files.sha256(tmp_path / "requirements.lock")}
    manifest.write(run, {**manifest.read(run), **lock})
    path = bundle.write(run, tmp_path / "b.zip").path
    whole = path.read_bytes()
    said = set()
    for place in range(0, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        with pytest.raises(UserError) as fault:
            bundle.read(path)
        said |= {name for name in MEMBERS if f": {name} in it was changed" in str(fault.value)}
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
        ("../../evil.py", b"x", r"it holds '\.\./\.\./evil\.py'"),
        ("/etc/evil", b"x", "it holds '/etc/evil'"),
        ("notes.txt", b"x", r"it holds 'notes\.txt'"),
        ("records.jsonl", None, r"it holds records\.jsonl 0 times"),
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
        path = bundle.write(finished(tmp_path / "run"), tmp_path / "b.zip").path
    with pytest.raises(UserError, match=r"has schema 9\.1, this version reads 1\.1"):
        bundle.read(path)


def test_a_file_that_is_not_there_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none\.zip"):
        bundle.read(tmp_path / "none.zip")


# --- the replay


def test_every_table_and_figure_comes_back_with_the_endpoint_off(indiscreet):
    again = hvae(indiscreet.folder, "reproduce", "--replay", "first.zip", "--runs", "runs")
    assert again.returncode == 0, again.stderr
    run = indiscreet.folder / "runs" / "replay-smoke"
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
    from hvae_utils import play, study
    from hvae_utils.records import Records

    planned = study.conditions(study.Study((MODEL,), ("altruistic",), (False,)))
    with (
        replay.replaying({MODEL: "ab"}),
        Records(tmp_path / "records.jsonl") as records,
        pytest.raises(
            NotRecorded, match=f"{MODEL}, told to be altruistic: .*no 'describe' request"
        ),
    ):
        play.assign(planned, records)
    assert (tmp_path / "records.jsonl").read_text() == ""


def test_the_folder_of_another_run_is_never_replayed_into(made, tmp_path):
    before = (tmp_path / "run" / "records.jsonl").read_bytes()
    with pytest.raises(UserError, match="choose another --run-id"):
        bundle.rebuild(made.path, runs=tmp_path, run_id="run", report=io.StringIO().write)
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
            bundle.rebuild(made.path, runs=tmp_path, run_id="again", report=print)


# --- the check


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Return a function that checks a project whose model cannot be asked, and what was said."""
    run = finished(tmp_path / "made")
    shutil.copytree(paths.FIGURES, run / "figures", ignore=shutil.ignore_patterns("*.svg", "*.png"))
    for name in publish.TABLES:
        shutil.copyfile(paths.FIGURES / name, run / name)
    manifest.write(run, {**manifest.read(run), "inputs": {}})
    figures = publish.publish(run, tmp_path / "project" / "figures")
    said = []

    def check(asks=NOT_READY, rebuilds=run, **options):
        def answer(outcome):
            def act(*ignored, **given):
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

            return act

        monkeypatch.setattr(workbook, "reproduce", answer(asks))
        monkeypatch.setattr(bundle, "rebuild", answer(rebuilds))
        return publish.check(figures=figures, report=said.append, **options), said

    return check


def test_check_takes_the_recorded_answers_where_the_model_cannot_be_asked(checked, made):
    same, said = checked(recorded=made.path)
    assert same
    assert said[0] == "not ready: no weights"
    assert "no model is asked" in said[1]


def test_check_asks_the_model_where_it_can_and_replays_when_told_to(checked, made, tmp_path):
    assert not [line for line in checked(asks=tmp_path / "made")[1] if "no model is asked" in line]
    never = errors.EndpointError("asked")
    same, said = checked(asks=never, recorded=made.path, replay=True)
    assert same
    assert any("no model is asked" in line for line in said)


def test_check_without_weights_and_without_a_bundle_says_what_is_missing(checked, tmp_path):
    with pytest.raises(NotReady, match="no weights"):
        checked(recorded=tmp_path / "none.zip")


def test_a_bundle_older_than_the_prompts_is_said_to_be_just_that(checked, made):
    with pytest.raises(UserError, match="older than the prompts; record it anew: hvae reproduce"):
        checked(rebuilds=NotRecorded("no record of x"), recorded=made.path)
