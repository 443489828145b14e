"""A study through the OpenAI Batch API: input files out, output files in as records.

A prompt can quote earlier replies, so a study goes out in stages: each export holds what can be
asked by now, and after its import the next one holds what follows. Records are those of a run that
asks directly, with the same keys, so `hvae reproduce` then finds everything answered.
It never sends anything, and a line it cannot use is counted, never fatal.

Public names: LINES, BYTES, Exported, export, Imported, take.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hvae_utils import paths
from hvae_utils.ask import chat, models
from hvae_utils.ask.respondents import Answer, Request
from hvae_utils.errors import UserError
from hvae_utils.play import rehearsal
from hvae_utils.play.engine import record_of
from hvae_utils.play.records import Records
from hvae_utils.play.rehearsal import Design, Known

# A batch's input file may hold this much (OpenAI API documentation, "Create batch").
LINES, BYTES = 50_000, 200 * 1_000_000
LONGEST_LINE = 16_000_000  # bytes of an output line; a longer one is no reply to our prompts
SHOWN_CHARACTERS = 200  # of an error
URL = "/v1/chat/completions"


@dataclass
class Exported:
    """What an export wrote, for one model.

    stage: requests by kind; later: about how many follow, with replies of usual length.
    """

    model: str
    files: list[Path] = field(default_factory=list)
    stage: Counter[str] = field(default_factory=Counter)
    later: int = 0


def export(planned: Sequence[Design], records: Known, out: Path) -> list[Exported]:
    """Write the requests that can be asked by now as input files into `out`, model by model.

    Respondents inside this process are left out: nobody sells them by batch. Raises UserError for
    a folder that is not empty, because what is in it may have been sent already, or that cannot
    be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise UserError(f"{out} is not empty; name a new folder for each stage")
        return [_export(name, planned, records, out) for name in _asked_by_batch(planned)]
    except OSError as fault:
        raise UserError(f"cannot write into {out}: {fault.strerror}") from None


def _export(name: str, planned: Sequence[Design], records: Known, out: Path) -> Exported:
    done = Exported(name)
    _, served = models.served_at(name)
    stem = "".join(sign if sign.isalnum() or sign in ".-" else "-" for sign in name)
    lines = length = 0
    file = None
    try:
        for request in rehearsal.unanswered(name, planned, records, None):
            line = _line(served, request)
            if file is None or lines == LINES or length + len(line) > BYTES:
                if file is not None:
                    file.close()
                done.files.append(out / f"{stem}-{len(done.files) + 1:03}.jsonl")
                file, lines, length = done.files[-1].open("wb"), 0, 0
            file.write(line)
            lines, length = lines + 1, length + len(line)
            done.stage[request.kind] += 1
    finally:
        if file is not None:
            file.close()
    whole = sum(1 for _ in rehearsal.unanswered(name, planned, records, rehearsal.typical))
    done.later = whole - done.stage.total()
    return done


def _asked_by_batch(planned: Sequence[Design]) -> list[str]:
    names = dict.fromkeys(name for one in planned for name in one.conditions["model"])
    return [name for name in names if not name.startswith(("reference/", "local/"))]


def _line(served: str, request: Request) -> bytes:
    content = {
        "custom_id": request.key,
        "method": "POST",
        "url": URL,
        "body": chat.body(served, request),
    }
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


@dataclass
class Imported:
    """What one file brought: lines by what became of them, and the first error in words.

    recorded: answers that are records now; failed: errors that are records now and are exported
    again; duplicated: answered before; unmatched: of no request that is open in this study;
    malformed: no line of a batch's output.
    """

    file: Path
    lines: Counter[str] = field(default_factory=Counter)
    error: str = ""


def take(planned: Sequence[Design], records: Records, files: Iterable[Path]) -> list[Imported]:
    """Append what output and error files answer to the open `records`; say what was in each.

    Raises UserError for a file that cannot be read.
    """
    wanted = {
        request.key: request
        for name in _asked_by_batch(planned)
        for request in rehearsal.unanswered(name, planned, records, None)
    }
    return [_take_file(path, wanted, records) for path in files]


def _take_file(path: Path, wanted: Mapping[str, Request], records: Records) -> Imported:
    done = Imported(path)
    try:
        for line in _lines(path):
            done.lines[_take_line(line, wanted, records, done)] += 1
    except OSError as fault:
        raise UserError(f"cannot read {paths.shown(path)}: {fault.strerror}") from None
    return done


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file that are not blank; of a line without end, its first part only."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(LONGEST_LINE)):
                line = b"..."  # longer than any reply: not to be held, and no JSON any more
            if line.strip():
                yield line


def _take_line(line: bytes, wanted: Mapping[str, Request], records: Records, done: Imported) -> str:
    """Make a record of a line if it answers a request; return what became of it."""
    try:
        content = json.loads(line)
        key = content["custom_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "malformed"
    if not isinstance(key, str) or not {"response", "error"} & content.keys():
        return "malformed"
    if records.answered(key):
        return "duplicated"
    if key not in wanted:
        return "unmatched"
    answer = _answer(content)
    records.append(record_of(wanted[key], answer))
    if answer.error:
        done.error = done.error or answer.error
        return "failed"
    return "recorded"


def _answer(content: Mapping[str, Any]) -> Answer:
    """Return the answer of an output line, or its error in one line."""
    response = content.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    if isinstance(body, dict) and response.get("status_code") == 200 and not content.get("error"):
        return chat.read(body)
    fault = content.get("error") or (body.get("error") if isinstance(body, dict) else None) or {}
    fault = fault if isinstance(fault, dict) else {"message": fault}
    status = response.get("status_code") if isinstance(response, dict) else None
    said = [status, fault.get("code"), fault.get("message")]
    reason = " ".join(" ".join(str(part) for part in said if part is not None).split())
    return Answer(error=f"batch: {reason or 'no reply'}"[:SHOWN_CHARACTERS])
