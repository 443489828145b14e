"""Logs of the Inspect task -> a run: what `inspect eval` asked becomes records of ours.

A log is data from elsewhere: nothing in it is executed, each field is checked, and only what
answers a question of its own study is kept. The records are those of a run that asks
`inspect/PROVIDER/MODEL` itself, with the same keys; the notebooks are then executed as in a replay,
so nobody is asked, and every table and figure follows.

Public names: Log, read, take.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hvae_utils import files, paths
from hvae_utils.ask import models, replay
from hvae_utils.errors import UserError, brief
from hvae_utils.extras import inspect_task as task
from hvae_utils.measure import factors
from hvae_utils.play import study
from hvae_utils.play.engine import Question, Row, record_of, request_for
from hvae_utils.play.records import Record, Records
from hvae_utils.run import workbook
from hvae_utils.run.profiles import Profile
from hvae_utils.run.run import RECORDS, Run
from hvae_utils.run.runner import Report


@dataclass(frozen=True)
class Log:
    """A log that can be taken: who was asked, the study's other arguments, samples by id."""

    where: str
    model: str
    arguments: Mapping[str, Any]
    samples: Mapping[str, Any]


def read(path: Path) -> Log:
    """Return a finished log of the task.

    UserError for a file that is no log, a log of another task, one that is not finished, has no
    samples or epochs, and one with an edited score.
    """
    where = paths.shown(path)
    log = _read(path, where)
    name = str(log.eval.task).rpartition("/")[2]
    if name != task.NAME:
        raise UserError(f"{where} is a log of the task {brief(name)}, not of {task.NAME}")
    if log.status != "success" or log.error or log.invalidated:
        state = "invalidated" if log.invalidated else log.status
        raise UserError(f"{where} is not finished ({state}); inspect eval-retry continues it")
    if not log.samples:
        raise UserError(f"{where} holds no samples; run the task without --no-log-samples")
    samples = {str(sample.id): sample for sample in log.samples}
    if len(samples) < len(log.samples):
        raise UserError(f"{where} has epochs; repeats are a factor of the task: -T repeats=2")
    for key, sample in samples.items():
        if sample.error:
            raise UserError(f"{where}, sample {brief(key)}, ended in an error; evaluate it again")
    arguments = (log.eval.metadata or {}).get(task.STORE)
    if not isinstance(arguments, dict):
        raise UserError(f"{where} does not say which study it is; evaluate the task anew")
    return Log(where, f"inspect/{log.eval.model}", arguments, samples)


def _read(path: Path, where: str) -> Any:
    """Return what inspect_ai reads in a file of this machine; UserError where it reads no log."""
    from inspect_ai.log import read_eval_log

    if not path.is_file():
        raise UserError(f"{where} is no file; name a log that inspect eval wrote")
    try:
        return read_eval_log(str(path), resolve_attachments="full")
    except Exception as fault:  # whatever its readers of zip and JSON raise
        reason = files.one_line(fault, task.QUOTED)
        raise UserError(f"{where} cannot be read as a log of inspect_ai ({reason})") from None


def take(
    chosen: Sequence[Path],
    run_id: str | None = None,
    runs: str | Path | None = None,
    *,
    report: Report = print,
    **options: Any,
) -> Run:
    """Make a run of logs of the same study, one a model; return it, with tables and figures.

    run_id: `inspect` unless given; options: as of `workbook.reproduce`. Raises UserError as `read`,
    and for logs of different studies, a condition that is not there, a question without a reply
    (the prompts have changed since), and a score that is not what our reader makes of the reply.
    """
    logs: dict[str, Log] = {}
    for log in map(read, chosen):
        if logs.setdefault(log.model, log) is not log:
            raise UserError(f"{log.where} is a second log of {log.model}; import it apart")
        if log.arguments != (first := next(iter(logs.values()))).arguments:
            raise UserError(f"{log.where} is of another study than {first.where}; import it apart")
    design = _design([*logs], first)
    identities, found = models.identities([*logs]), {}
    for row in study.conditions(design).to_dict("records"):
        model, _ = factors.model_of(row["model"])
        _read_again(logs[model], row, identities[model], found)
    run = Run("inspect" if run_id is None else run_id, runs)
    with run.held(), replay.replaying(identities):
        with Records(run.path(RECORDS)) as records:
            for key, record in found.items():
                if not records.answered(key):
                    records.append(record)
        report(f"{len(found):,} replies of {', '.join(logs)} are in {paths.shown(run.folder)}")
        profile = Profile("inspect", "A log of inspect_ai", False, _parameters(design))
        options |= {"runs": run.folder.parent, "run_id": run.name, "report": report}
        return workbook.reproduce(profile, **options)


def _design(names: Sequence[str], log: Log) -> study.Study:
    """Return the study of these models that a log names; UserError where it names none."""
    try:
        design = task.designed(names, log.arguments)
    except UserError as fault:
        raise UserError(f"{log.where}: {fault}") from None
    except (TypeError, ValueError) as fault:
        reason = files.one_line(fault, task.QUOTED)
        raise UserError(f"{log.where}: its study cannot be read ({reason})") from None
    if design.repeats > len(log.samples):
        raise UserError(f"{log.where} lacks conditions: fewer samples than repeats")
    return design


def _parameters(design: study.Study) -> dict[str, Any]:
    """Return the workbook's parameters for a study; the probes of notebook 05 are left out."""
    told = {**asdict(design), "probe_values": (), "games": ()}
    listed = {key: list(part) if isinstance(part, tuple) else part for key, part in told.items()}
    return {key: part for key, part in listed.items() if key in workbook.ASKED}


def _read_again(log: Log, row: Row, identity: str, found: dict[str, Record]) -> None:
    """Add the records of a condition to those found, by key; UserError as `take`."""
    name = task.sample_id(row)
    where = f"{log.where}, sample {name}"
    if (sample := log.samples.get(name)) is None:
        raise UserError(f"{where}: it is not there; evaluate the whole task, without --limit")

    async def ask(question: Question) -> Record:
        request = request_for(question, identity)
        answer = task.answer_to(request, sample.store.get(task.STORE))
        record = found.setdefault(request.key, record_of(request, answer, answer.latency_s))
        if record["text"] != answer.text:
            raise UserError(f"another reply to a '{request.kind}' request than an earlier sample's")
        return record

    try:
        rows = asyncio.run(task.carried_out(row, ask))
    except UserError as fault:
        raise UserError(f"{where}: {fault}") from None
    stored = (sample.scores or {}).get(task.SCORER)
    if stored is None or stored.history:
        state = "has no score of ours" if stored is None else "has a score that was edited"
        raise UserError(f"{where} {state}; inspect score makes it anew")
    if fault := _difference(stored, task.scored(row, rows)):
        raise UserError(f"{where}: {fault}; the log was changed, or is of another version")


def _difference(stored: Any, ours: Any) -> str:
    """Return how a stored score differs from the one that is made of the stored replies, or ''."""
    items = (stored.metadata or {}).get("items")
    if not isinstance(items, list) or len(items) != len(ours.metadata["items"]):
        return "its score does not hold one row an item"
    for there, here in zip(items, ours.metadata["items"], strict=True):
        for column in ("item", "outcome", "option", "self", "other"):
            told = there.get(column) if isinstance(there, dict) else there
            if told != here[column]:
                says = f"item {here['item']}: the stored score has {column} {brief(told)}"
                return f"{says}, the stored reply says {brief(here[column])}"
    if stored.value != ours.value:
        return f"the stored score is {brief(stored.value)}, its items give {brief(ours.value)}"
    return ""
