"""A study through the OpenAI Batch API: input files out, output files in as records.

Output files of other vendors are read, too. How a model is asked has to be known first, and a
prompt can quote earlier replies, so a study goes out in stages: each export holds what can be asked
by now, and after its import the next one holds what follows. Records are those of a run that
asks directly, with the same keys, so `hvae reproduce` then finds everything answered.
It sends nothing, and a line it cannot use is counted.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hvae_utils import files, paths
from hvae_utils.ask import catalogue, chat, complaints, completion, models
from hvae_utils.ask.respondents import Answer, Request
from hvae_utils.errors import UserError
from hvae_utils.play.engine import record_of
from hvae_utils.play.estimate import Design, asked_models, typical, unanswered
from hvae_utils.play.records import Held, Records

# A batch's input file may hold this much (OpenAI API documentation, "Create batch").
LINES, BYTES = 50_000, 200 * 1_000_000
SHOWN_CHARACTERS = 200  # of an error
# Where a line has its reply or its error: what vendors put around a completion, from the outside
# in. OpenAI, Azure, Mistral, Groq, Together: response, body; vllm run-batch: response; Anthropic:
# result, message.
AROUND, DEEPEST = ("response", "result", "body", "message", "error"), 6
URL = "/v1/chat/completions"


@dataclass
class Exported:
    """What an export wrote for one model: requests by kind, and about how many follow later."""

    model: str
    files: list[Path] = field(default_factory=list)
    stage: Counter[str] = field(default_factory=Counter)
    later: int = 0


def export(planned: Sequence[Design], records: Held, out: Path) -> list[Exported]:
    """Write the requests that can be asked by now as input files into `out`, model by model.

    Respondents inside this process are left out: nobody sells them by batch. Raises UserError for
    a model that its owner has retired, and for a folder that is not empty, because what is in it
    may have been sent already, or that cannot be written.
    """
    for name in (asked := _asked_by_batch(planned)):
        endpoint = catalogue.endpoint(name)
        if endpoint.retired and endpoint.missing == endpoint.retired:
            raise UserError(f"{name} is not ready: {endpoint.retired}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise UserError(f"{out} is not empty; name a new folder for each stage")
        return [_export(name, planned, records, out) for name in asked]
    except OSError as fault:
        raise UserError(f"cannot write into {out}: {fault.strerror}") from None


def _export(name: str, planned: Sequence[Design], records: Held, out: Path) -> Exported:
    exported = Exported(name)
    stem = "".join(sign if sign.isalnum() or sign in ".-" else "-" for sign in name)
    _, served = models.served_at(name)
    lines, size = LINES, 0
    with contextlib.ExitStack() as opened:
        for request in unanswered(name, planned, records, None):
            entry = {"custom_id": request.key, "method": "POST", "url": URL}
            entry["body"] = chat.body(served, request, models.dialect(name))
            line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
            if lines == LINES or size + len(line) > BYTES:
                opened.close()
                lines, size = 0, 0
                exported.files.append(out / f"{stem}-{len(exported.files) + 1:03}.jsonl")
                file = opened.enter_context(exported.files[-1].open("wb"))
            lines, size = lines + 1, size + file.write(line)
            exported.stage[request.kind] += 1
    whole = sum(1 for _ in unanswered(name, planned, records, typical))
    exported.later = whole - exported.stage.total()
    return exported


def _asked_by_batch(planned: Sequence[Design]) -> list[str]:
    here = ("reference/", "local/", "inspect/")
    return [name for name in asked_models(planned) if not name.startswith(here)]


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


def take(planned: Sequence[Design], records: Records, outputs: Iterable[Path]) -> list[Imported]:
    """Append what output and error files answer to the open `records`; say what was in each.

    Raises UserError for a file that cannot be read.
    """
    wanted = {
        request.key: request
        for name in _asked_by_batch(planned)
        for request in unanswered(name, planned, records, None)
    }
    taken = []
    for path in outputs:
        taken.append(Imported(path))
        for line in _lines(path):
            what, error = _take_line(line, wanted, records)
            taken[-1].lines[what] += 1
            taken[-1].error = taken[-1].error or error
    return taken


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file that are not blank."""
    try:
        file = path.open("rb")
    except OSError as fault:
        raise UserError(f"cannot read {paths.shown(path)}: {fault.strerror}") from None
    with file:
        yield from (line for line in file if line.strip())


def _take_line(line: bytes, wanted: Mapping[str, Request], records: Records) -> tuple[str, str]:
    """Make a record of a line if it answers a request; return what became of it, and its error."""
    try:
        content = files.parse_json(line)
        key = content["custom_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "malformed", ""
    if not isinstance(key, str) or not {*AROUND, "choices"} & content.keys():
        return "malformed", ""
    if records.answered(key):
        return "duplicated", ""
    if key not in wanted:
        return "unmatched", ""
    answer = _answer(content, wanted[key])
    records.append(record_of(wanted[key], answer))
    return "failed" if answer.error else "recorded", answer.error or ""


def _answer(content: Mapping[str, Any], request: Request) -> Answer:
    """Return the answer of an output line, or its error.

    A completion is taken wherever it lies, unless a status or an error with a code says that the
    request has failed.
    """
    parts = list(_parts(content))
    status = next(filter(None, map(_status, parts)), 0)
    coded = any(_said(part.get("error"), "code") for part in parts)
    if status in (0, 200) and not coded:
        for part in parts:
            reply = _as_completion(part) if isinstance(part.get("content"), list) else part
            if isinstance(reply.get("choices"), list) and not completion.fault(reply):
                return completion.read(reply, request, models.dialect(request.model).think_tags)
    complaint = complaints.judge(status or 400, content, {"messages": request.messages})
    if answer := completion.instead(complaint, request):
        return answer
    words = [_said(part, name) for part in parts for name in ("code", "message", "error")]
    words = [*filter(None, [str(status or ""), *words])] or [_said(parts[-1], "type") or "no reply"]
    return Answer(error=files.one_line(f"batch: {' '.join(words)}", SHOWN_CHARACTERS))


def _parts(part: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield what lies in each other around a reply, from the outside in; texts of JSON as well."""
    with contextlib.suppress(ValueError, RecursionError):
        part = files.parse_json(part.encode()) if isinstance(part, str) else part
    if isinstance(part, dict) and depth < DEEPEST:
        yield part
        for name in AROUND:
            yield from _parts(part.get(name), depth + 1)


def _status(part: Mapping[str, Any]) -> int:
    """Return the HTTP status of a part, 0 where it has none."""
    code = str(part.get("status_code"))
    return int(code) if code.isascii() and code.isdigit() and len(code) == 3 else 0


def _said(part: Any, name: str) -> str:
    """Return a text or number of a part, '' where there is none."""
    said = part.get(name) if isinstance(part, dict) else None
    return str(said) if isinstance(said, str | int) and said else ""


def _as_completion(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of Anthropic's API as the chat completion that says the same."""
    choice = {"message": message, "finish_reason": message.get("stop_reason")}
    return {**message, "choices": [choice]}
