"""A finished run in one checksummed file: its manifest, what its models answered, and the lock.

A bundle is a plain zip file with the SHA-256 of each member; the same run makes the same bytes.
Reference respondents are left out: they are simulated again. Imported prompts and folders of this
machine are not ours to publish, so a run with them is refused. A bundle is believed after every
byte was checked, and nothing is unpacked under a name it chose itself.
"""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from hvae_utils import files, paths
from hvae_utils.errors import UserError
from hvae_utils.play import records
from hvae_utils.run import manifest
from hvae_utils.run.profiles import HOW

SCHEMA = 1
MANIFEST, RECORDS, LOCK, SUMS = manifest.NAME, "records.jsonl", "requirements.lock", "SHA256SUMS"
MEMBERS = (MANIFEST, RECORDS, LOCK, SUMS)
LARGEST = 2**30  # bytes unpacked, of all members; about 250,000 requests
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


def write(
    made_of: Mapping[str, Any], records_file: Path, models: set[str], run: str, out: Path
) -> Bundle:
    """Write a bundle to `out` whole or not at all; return it, checked.

    made_of: the run's manifest; models: as its conditions name them; run: its folder, for messages.
    Raises UserError when the run holds what is not ours to publish.
    """
    wordings = made_of["parameters"].get("wordings", [])
    if files.sha256(paths.ROOT / LOCK) != made_of["lock_sha256"]:
        raise UserError(f"{LOCK} is not the one that {run} ran with; reproduce it again")
    if private := [name for name in wordings if name.startswith("imported-")]:
        raise UserError(
            f"{run} uses the wording {private[0]}, whose prompts are not ours to publish; "
            "a bundle would hold them in every record"
        )
    if models - made_of["models"].keys():
        raise UserError(
            f"{run} names weights by a folder of this machine; put the file into the project's "
            "folder, call it local/FILE.gguf, and reproduce the run"
        )
    asked = {name for name, identity in made_of["models"].items() if identity is not None}
    packed = io.BytesIO()
    contents = {
        MANIFEST: _json(_portable(made_of)),
        RECORDS: b"".join(_answers(records_file, asked, wordings)),
        LOCK: (paths.ROOT / LOCK).read_bytes(),
    }
    sums = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in contents.items())
    contents[SUMS] = "".join(sums).encode()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in contents.items():
            member = zipfile.ZipInfo(name)  # its default time is a fixed one
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, data)
    files.write_atomically(out, packed.getvalue())
    return read(out)


def _portable(made_of: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without how the models were asked, and with the bundle's schema."""
    parameters = {key: value for key, value in made_of["parameters"].items() if key not in HOW}
    overrides = [text for text in made_of["overrides"] if text.partition("=")[0] not in HOW]
    return {**made_of, "bundle": SCHEMA, "parameters": parameters, "overrides": overrides}


def _answers(path: Path, models: set[str], wordings: list[str]) -> Iterator[bytes]:
    """Yield the records of these models and wordings, one line each, in the order written.

    Others are left from an earlier study in the same folder. UserError where a model has none.
    """
    silent = set(models)
    for record in records.read(path):
        if record.get("model") not in models or record.get("wording") not in wordings:
            continue
        silent.discard(record["model"])
        if record["model"].startswith("local/") and record.get("served_model"):
            # records of older versions say in which folder the weights lay
            record["served_model"] = PureWindowsPath(record["served_model"]).name
        yield _json(record)
    if silent:
        raise UserError(
            f"{paths.shown(path)} holds no record of {min(silent)} that names its wording: "
            "reproduce the study with a new --run-id"
        )


def _json(content: Any) -> bytes:
    return (json.dumps(content, separators=(",", ":")) + "\n").encode()


def read(path: Path) -> Bundle:
    """Return a bundle, every byte of it checked; UserError naming what was changed or is wrong."""
    where = paths.shown(path)
    try:
        file = path.open("rb")
    except OSError as fault:
        raise UserError(f"cannot read {where}: {fault.strerror}") from None
    with file:
        contents = _members(file, where)
    sums = contents[SUMS].decode(errors="replace").split("\n")
    for name in (MANIFEST, RECORDS, LOCK):
        if f"{hashlib.sha256(contents[name]).hexdigest()}  {name}" not in sums:
            raise _damaged(name, where)
    made_of = manifest.parse(contents[MANIFEST], f"{MANIFEST} in {where}")
    for number, line in enumerate(io.BytesIO(contents[RECORDS]), start=1):
        if lack := _lack(line):
            raise UserError(f"line {number} of {RECORDS} in {where} is no record: {lack}")
    schema = made_of.get("bundle"), made_of.get("schema")
    if schema != (SCHEMA, manifest.SCHEMA):
        raise UserError(
            f"{where} has schema {schema[0]}.{schema[1]}, this version reads "
            f"{SCHEMA}.{manifest.SCHEMA}; replay it with the version that wrote it"
        )
    return Bundle(path, files.sha256(path), made_of)


def _members(file: Any, where: str) -> dict[str, bytes]:
    """Return the members by name, if they are a bundle's alone, once each, of bearable size."""
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGES:
        raise UserError(f"{where} is no bundle: it is no zip file, or a damaged one") from None
    counts = Counter(archive.namelist())
    counts.subtract(MEMBERS)
    if wrong := [name for name, count in counts.items() if count]:
        reason = f"{wrong[0][:60]!r} is missing, or there without need"
        raise UserError(f"{where} is no bundle: {reason}")
    if sum(member.file_size for member in archive.infolist()) > LARGEST:
        raise UserError(f"{where}: its members would unpack to more than {LARGEST >> 20} MiB")
    contents = {}
    for name in MEMBERS:
        try:
            contents[name] = archive.read(name)  # never more than its declared size
        except DAMAGES:
            raise _damaged(name, where) from None
    return contents


def _damaged(name: str, where: str) -> UserError:
    return UserError(f"{where}: {name} in it was changed or damaged; take an unharmed copy")


def _lack(line: bytes) -> str:
    """Return in words what a line lacks to be a record that can be replayed, or ''."""
    try:
        name = manifest.lacking(json.loads(line), RECORD)
    except (ValueError, RecursionError):
        return "it is not JSON that can be read"
    return f"its '{name}' is missing or of a wrong kind" if name else ""


def unpack(bundle: Bundle, folder: Path) -> None:
    """Put a bundle's records into a run folder that is new, or one of the same bundle."""
    mark = folder / ".replay"
    ours = mark.is_file() and mark.read_text(encoding="utf-8") == bundle.sha256
    if not ours and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UserError(
            f"{paths.shown(folder)} is there already and no replay of {bundle.path.name}; "
            "choose another --run-id"
        )
    files.write_atomically(mark, bundle.sha256)
    with zipfile.ZipFile(bundle.path) as archive:
        files.write_atomically(folder / RECORDS, archive.read(RECORDS))


def likeness(recorded: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """Return in words how many tables and figures of two manifests are equal, to the byte."""
    compared = [name for name in recorded["outputs"] if name.endswith(COMPARED)]
    other = [name for name in compared if made["outputs"].get(name) != recorded["outputs"][name]]
    line = f"{len(compared) - len(other)} of {len(compared)} tables and figures equal the recorded"
    if other:
        line += f"; not {', '.join(other[:3])}{' …' if len(other) > 3 else ''}"
    if recorded["lock_sha256"] != made["lock_sha256"]:
        line += f"; recorded with another {LOCK}"
    return line
