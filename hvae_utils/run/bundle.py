"""A finished run in one checksummed file, and every table and figure again from that file alone.

A bundle is a plain zip file: the run's manifest, what its models answered, the lock, and the
SHA-256 of each. The same run makes the same bytes. Reference respondents are left out: they are
simulated again.
What is not ours to publish never gets in (imported prompts, folders of this machine), and a bundle
is believed only after every byte was checked; nothing is unpacked under a name it chose itself.
Its parameters may say what was asked, not how: a replay would connect to a scheduler named there.

Public names: Bundle, write, read, rebuild, SCHEMA.
"""

import hashlib
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from hvae_utils import files, paths
from hvae_utils.ask import replay
from hvae_utils.errors import UserError
from hvae_utils.play import records
from hvae_utils.run import folders, manifest, workbook
from hvae_utils.run.profiles import Profile
from hvae_utils.run.runner import Report

SCHEMA = 1
MANIFEST, RECORDS, LOCK, SUMS = "manifest.json", "records.jsonl", "requirements.lock", "SHA256SUMS"
MEMBERS = (MANIFEST, RECORDS, LOCK, SUMS)
LARGEST = 2**30  # bytes unpacked, of all members; about 250,000 requests
LARGEST_TEXT = 2**24  # bytes of the manifest and of the sums
COMPARED = (".csv", ".json", ".svg", ".png")  # the other outputs hold how long an answer took
DAMAGES = (  # what zipfile raises for bytes that it cannot make sense of
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError, OverflowError),
)
RECORD = {  # what a replay reads of a record
    **{"key": str, "kind": str, "model": str, "messages": list, "dropped": list},
    **{"text": str | None, "error": str | None, "finish_reason": str | None},
    **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens"), int | None),
    **{"latency_s": float | int | None, "top_logprobs": list | None},
}


@dataclass(frozen=True)
class Bundle:
    """A bundle whose bytes were checked: where it is, its SHA-256, and the run's manifest."""

    path: Path
    sha256: str
    manifest: Mapping[str, Any]


def write(run: Path, out: Path) -> Bundle:
    """Write the bundle of a finished run to `out`, at once or not at all; return it, checked.

    Raises UserError when the run is not finished, was changed since, or holds what is not ours.
    """
    made = _described(run)
    new = out.with_name(f".{out.name}.new")
    try:
        with zipfile.ZipFile(new, "w") as archive:
            sums = {
                MANIFEST: _add(archive, MANIFEST, [_json(made)]),
                RECORDS: _add(archive, RECORDS, _answers(run / RECORDS, made)),
                LOCK: _add(archive, LOCK, [(paths.ROOT / LOCK).read_bytes()]),
            }
            lines = "".join(f"{digits}  {name}\n" for name, digits in sums.items())
            _add(archive, SUMS, [lines.encode()])
        read(new)
        os.replace(new, out)
    except OSError as fault:
        raise UserError(f"cannot write {paths.shown(out)}: {fault.strerror}") from None
    finally:
        new.unlink(missing_ok=True)
    return read(out)


def read(path: Path) -> Bundle:
    """Return a bundle after every byte of it was checked.

    Raises UserError naming the member that was changed, or saying why the file is no bundle.
    """
    where = paths.shown(path)
    try:
        file = path.open("rb")
    except OSError as fault:
        raise UserError(f"cannot read {where}: {fault.strerror}") from None
    with file:
        archive = _opened(file, where)
        sums = _sums(_text(archive, SUMS, where).decode(errors="replace"))
        for name in (MANIFEST, RECORDS, LOCK):
            digest = hashlib.sha256()
            for line in _lines(archive, name, where):
                digest.update(line)
            if digest.hexdigest() != sums.get(name):
                raise _damaged(name, where)
        made = manifest.parse(_text(archive, MANIFEST, where), f"{MANIFEST} in {where}")
        for number, line in enumerate(_lines(archive, RECORDS, where), start=1):
            if lack := _lack(line):
                raise UserError(f"line {number} of {RECORDS} in {where} is no record: {lack}")
    schema = made.get("bundle"), made.get("schema")
    if schema != (SCHEMA, manifest.SCHEMA):
        raise UserError(
            f"{where} has schema {schema[0]}.{schema[1]}, this version reads "
            f"{SCHEMA}.{manifest.SCHEMA}; replay it with the version that wrote it"
        )
    if strange := [key for key in made["parameters"] if key not in workbook.ASKED]:
        raise UserError(
            f"{where} sets '{strange[0][:60]}', which does not say what was asked; "
            "a bundle may not decide how it is replayed"
        )
    return Bundle(path, files.sha256(path), made)


def rebuild(
    path: Path,
    *,
    runs: str | Path | None = None,
    run_id: str | None = None,
    report: Report = print,
    **workbook_options: Any,
) -> Path:
    """Make every table and figure from a bundle, with no model and no network; return the run.

    runs: the folder of runs; run_id: `replay-` and the profile's name unless given, never the
    folder of another run. `report` gets a line on whether all is equal to the recorded run.
    Raises UserError, NotRecorded among them (a request without a record), or WorkbookError.
    """
    bundle = read(path)
    name = bundle.manifest["profile"]
    run_id = f"replay-{name}" if run_id is None else run_id
    run = workbook.run_folder(runs, run_id)
    profile = Profile(name, f"Replay of {path.name}", False, bundle.manifest["parameters"])
    answered = {model: known for model, known in bundle.manifest["models"].items() if known}
    with workbook.held(run), replay.replaying(answered):
        _unpack(bundle, run)
        workbook.reproduce(profile, runs=runs, run_id=run_id, report=report, **workbook_options)
        made = manifest.read(run)
        manifest.write(run, {**made, "replayed": bundle.sha256})
    report(_likeness(bundle.manifest, made))
    return run


def _described(run: Path) -> dict[str, Any]:
    """Return the manifest of a run that can be bundled, with the bundle's schema."""
    where = paths.shown(run)
    try:
        made = manifest.read(run)
    except FileNotFoundError:
        raise UserError(f"{where} is no finished run; only `hvae reproduce` finishes one") from None
    for name, known in made["outputs"].items():
        if not (run / name).is_file() or files.sha256(run / name) != known:
            raise UserError(f"{where}: {name} changed after the run; reproduce it again")
    if files.sha256(paths.ROOT / LOCK) != made["lock_sha256"]:
        raise UserError(f"{LOCK} is not the one that {where} ran with; reproduce it again")
    if private := [name for name in _wordings(made) if name.startswith("imported-")]:
        raise UserError(
            f"{where} uses the wording {private[0]}, whose prompts are not ours to publish; "
            "a bundle would hold them in every record"
        )
    if len(_models_of(run) - made["models"].keys()):
        raise UserError(
            f"{where} names weights by a folder of this machine; put the file into the project's "
            "folder, call it local/FILE.gguf, and reproduce the run"
        )
    how = {*workbook.HOW, "scheduler"}  # the second: in runs of the first version
    parameters = {key: value for key, value in made["parameters"].items() if key not in how}
    overrides = [text for text in made["overrides"] if text.partition("=")[0] not in how]
    return {**made, "bundle": SCHEMA, "parameters": parameters, "overrides": overrides}


def _models_of(run: Path) -> set[str]:
    """Return the models as the run's own conditions name them."""
    import pandas as pd

    return set(pd.read_parquet(run / "conditions.parquet", columns=["model"]).model)


def _wordings(made: Mapping[str, Any]) -> list[str]:
    return made["parameters"].get("wordings", [])


def _answers(path: Path, made: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the records of the run's models and wordings, one line each, in the order written.

    Others are left from an earlier study in the same folder. Raises UserError when a model has
    none: the records are older than the fields they are chosen by.
    """
    asked = {name for name, identity in made["models"].items() if identity is not None}
    silent = set(asked)
    for record in records.read(path):
        if record.get("model") in asked and record.get("wording") in _wordings(made):
            silent.discard(record["model"])
            if record["model"].startswith("local/") and record.get("served_model"):
                # records of older versions say in which folder the weights lay
                record["served_model"] = PureWindowsPath(record["served_model"]).name
            line = _json(record)
            if lack := _lack(line):
                raise UserError(
                    f"{paths.shown(path)}, record {str(record['key'])[:40]}: {lack}; an older "
                    "version wrote it: reproduce the study with a new --run-id"
                )
            yield line
    if silent:
        raise UserError(
            f"{paths.shown(path)} holds no record of {min(silent)} that names its wording; "
            "an older version wrote it: reproduce the study with a new --run-id"
        )


def _json(content: Any) -> bytes:
    return (json.dumps(content, separators=(",", ":")) + "\n").encode()


def _add(archive: zipfile.ZipFile, name: str, chunks: Iterable[bytes]) -> str:
    """Add a member whose bytes depend on its content alone; return its SHA-256."""
    member = zipfile.ZipInfo(name)  # its default time is a fixed one
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system, member.external_attr = 3, 0o644 << 16
    digest = hashlib.sha256()
    with archive.open(member, "w") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _opened(file: Any, where: str) -> zipfile.ZipFile:
    """Return the archive if it holds a bundle's members, once each, of bearable size."""
    begins_well = file.read(2) == b"PK"
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGES:
        reason = "it is cut off or damaged at its end" if begins_well else "it is no zip file"
        raise UserError(f"{where} is no bundle: {reason}") from None
    names = [member.filename for member in archive.infolist()]
    if strange := [name for name in names if name not in MEMBERS]:
        raise UserError(f"{where} is no bundle: it holds {strange[0][:60]!r}")
    for name in MEMBERS:
        if names.count(name) != 1:
            raise UserError(f"{where} is no bundle: it holds {name} {names.count(name)} times")
    if sum(member.file_size for member in archive.infolist()) > LARGEST:
        raise UserError(f"{where}: its members would unpack to more than {LARGEST >> 20} MiB")
    return archive


def _text(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    if archive.getinfo(name).file_size > LARGEST_TEXT:
        raise UserError(f"{where}: its {name} is larger than {LARGEST_TEXT >> 20} MiB")
    return b"".join(_lines(archive, name, where))


def _lines(archive: zipfile.ZipFile, name: str, where: str) -> Iterator[bytes]:
    """Yield the lines of a member; never more than its declared size, which was checked."""
    try:
        with archive.open(name) as member:
            yield from member
    except DAMAGES:
        raise _damaged(name, where) from None


def _lack(line: bytes) -> str:
    """Return in words what a line lacks to be a record that can be replayed, or ''."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return "it is not JSON that can be read"
    if not isinstance(record, dict):
        return "it is no JSON object"
    for name, kind in RECORD.items():
        if name not in record or not isinstance(record[name], kind):
            return f"its '{name}' is missing or of a wrong kind"
    return ""


def _sums(text: str) -> dict[str, str]:
    """Return name -> SHA-256 of lines as `sha256sum` writes them."""
    return {name: digits for digits, _, name in (line.partition("  ") for line in text.split("\n"))}


def _damaged(name: str, where: str) -> UserError:
    return UserError(f"{where}: {name} in it was changed or damaged; take an unharmed copy")


def _unpack(bundle: Bundle, run: Path) -> None:
    """Put the bundle's records into a run folder that is new, or one of the same bundle."""
    mark = run / ".replay"
    ours = mark.is_file() and mark.read_text(encoding="utf-8") == bundle.sha256
    if not ours and any(path.name != folders.LOCK for path in run.iterdir()):
        raise UserError(
            f"{paths.shown(run)} is there already and no replay of {bundle.path.name}; "
            "choose another --run-id"
        )
    try:
        mark.write_text(bundle.sha256, encoding="utf-8")
        with zipfile.ZipFile(bundle.path) as archive, (run / RECORDS).open("wb") as file:
            shutil.copyfileobj(archive.open(RECORDS), file)
    except OSError as fault:
        raise UserError(f"cannot write {paths.shown(run)}: {fault.strerror}") from None


def _likeness(recorded: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """Return in words how many tables and figures are those of the recorded run, to the byte."""
    compared = {
        name: digits for name, digits in recorded["outputs"].items() if name.endswith(COMPARED)
    }
    other = [name for name, digits in compared.items() if made["outputs"].get(name) != digits]
    line = f"{len(compared) - len(other)} of {len(compared)} tables and figures equal the recorded"
    if other:
        line += f"; not {', '.join(other[:3])}{' …' if len(other) > 3 else ''}"
    if recorded["lock_sha256"] != made["lock_sha256"]:
        line += f"; recorded with another {LOCK}"
    return line
