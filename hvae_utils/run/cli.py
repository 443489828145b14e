"""What each `hvae` command does with its arguments: call, print, return the exit code.

The work is in the modules that are called, which are imported only when their command is given.

Public names: reproduce, bundle, publish, check, replicate, estimate, export, take, report, models,
fetch, prompts, bring, course, say, and the exit codes.
"""

import argparse
import re
import sys
from pathlib import Path

from hvae_utils.errors import UserError

OK, FAILED, BAD_INPUT, UNREACHABLE, DIFFERENT, OVER_BUDGET, TOO_MANY_ERRORS = range(7)
INTERRUPTED = 130


def reproduce(chosen: argparse.Namespace) -> int:
    """Run the workbook; say where its figures are and whether they are the published ones."""
    from hvae_utils.play import budget, players
    from hvae_utils.run import outcomes, workbook

    if chosen.replay:
        return _replay(chosen)
    most = outcomes.MAX_ERRORS if chosen.max_errors is None else chosen.max_errors
    if not 0 <= most <= 1:
        raise UserError(f"--max-errors {most:g}: a share lies between 0 and 1")
    overrides = list(chosen.overrides)
    if chosen.budget is not None:
        overrides.append(f"budget={budget.parse(chosen.budget)}")
    plug_in = f"hvae_utils.extras.cluster:{chosen.scheduler}" if chosen.scheduler else ""
    with players.playing(plug_in):
        run = workbook.reproduce(
            chosen.profile, overrides, runs=chosen.runs, run_id=chosen.run_id, report=_print
        )
    if (share := outcomes.error_share(run)) > most:
        said = f"{share:.0%} of the items ended in a transport error, more than {most:.0%}"
        return say(f"{said}; run again to ask them once more", TOO_MANY_ERRORS)
    _print(_figures(run))
    return OK


def _figures(run: Path) -> str:
    """Return where a run's figures are; they are published where there are none at all."""
    from hvae_utils import paths
    from hvae_utils.run import manifest, publish

    line = f"figures in {paths.shown(run / 'figures')}"
    if not manifest.read(run).get("publish"):
        return line
    if not publish.published():
        return f"{line}; there were none published, so they are in {publish.publish(run).name}/ too"
    same, count = publish.equal(run)
    line = f"{line}; {same} of {count} published files are equal"
    return line if same == count else f"{line} (hvae publish puts the new ones there)"


def _replay(chosen: argparse.Namespace) -> int:
    from hvae_utils import paths
    from hvae_utils.run import bundle

    if chosen.overrides or chosen.profile != "default":
        raise UserError("--replay takes everything from the bundle: leave out --profile and --set")
    run = bundle.rebuild(chosen.replay, runs=chosen.runs, run_id=chosen.run_id, report=_print)
    _print(f"figures in {paths.shown(run / 'figures')}")
    return OK


def bundle(chosen: argparse.Namespace) -> int:
    """Put a finished run into one file."""
    from hvae_utils import paths
    from hvae_utils.run import bundle, workbook

    run = workbook.run_folder(chosen.runs, chosen.run_id)
    made = bundle.write(run, chosen.out or Path(f"{run.name}.zip"))
    size = made.path.stat().st_size
    _print(f"wrote {paths.shown(made.path)} ({size:,} bytes, SHA-256 {made.sha256})")
    return OK


def publish(chosen: argparse.Namespace) -> int:
    """Make a finished run the published one: its answers, then its figures."""
    from hvae_utils import paths
    from hvae_utils.run import publish, workbook

    run = workbook.run_folder(chosen.runs, chosen.run_id)
    recorded = publish.record(run)
    figures = publish.publish(run)
    _print(f"published {paths.shown(figures)} and {paths.shown(recorded)}")
    return OK


def check(chosen: argparse.Namespace) -> int:
    """Compare with what is committed."""
    from hvae_utils.run import publish, workbook

    finished = workbook.run_folder(chosen.runs, chosen.run_id) if chosen.run_id else None
    same = publish.check(finished=finished, runs=chosen.runs, keep=chosen.keep, report=_print)
    return OK if same else DIFFERENT


def replicate(chosen: argparse.Namespace) -> int:
    """Ask the models anew and print how far that is from what is committed."""
    from hvae_utils.run import publish

    publish.replicate(runs=chosen.runs, keep=chosen.keep, report=_print)
    return OK


def estimate(chosen: argparse.Namespace) -> int:
    """Say what a study will take."""
    from hvae_utils.play import estimate
    from hvae_utils.play.records import Held, Records

    planned, path = _study(chosen)
    if chosen.run_id and not path.exists():
        raise UserError(f"run '{chosen.run_id}' has no records; leave --run-id out")
    records = Records(path) if chosen.run_id else Held()
    table = estimate.estimate(planned, records, chosen.rate)
    if chosen.json:
        _print(table.to_json(orient="records", double_precision=6))
        return OK
    for line in estimate.shown(table):
        _print(line)
    return OK


def export(chosen: argparse.Namespace) -> int:
    """Write the input files of the next stage of a batch."""
    from hvae_utils import paths
    from hvae_utils.extras import batch
    from hvae_utils.play.records import Records

    planned, path = _study(chosen)
    for done in batch.export(planned, Records(path), chosen.out):
        stage = ", ".join(f"{count:,} {kind}" for kind, count in done.stage.items())
        files = ", ".join(paths.shown(file) for file in done.files)
        written = f"{stage} in {files}" if files else "nothing left to ask"
        _print(f"{done.model}: {written}; about {done.later:,} requests later")
    return OK


def take(chosen: argparse.Namespace) -> int:
    """Make records of the files that a batch came back as."""
    from hvae_utils import paths
    from hvae_utils.extras import batch
    from hvae_utils.play.records import Records

    planned, path = _study(chosen)
    with Records(path) as records:
        for done in batch.take(planned, records, chosen.files):
            counts = ", ".join(f"{count:,} {what}" for what, count in done.lines.items())
            _print(f"{paths.shown(done.file)}: {counts or 'no lines'}")
            if done.error:
                _print(f"  first failure: {done.error}")
    return OK


def _study(chosen: argparse.Namespace):
    """Return the designs of the study that the arguments name, and where its records lie."""
    from hvae_utils.play import estimate
    from hvae_utils.run import profiles, workbook

    profile = profiles.load_profile(chosen.profile)
    parameters = workbook.parameters_of(profile, chosen.overrides)
    profiles.check(parameters)
    planned = estimate.designs(parameters)
    run_id = chosen.profile if chosen.run_id is None else chosen.run_id
    return planned, workbook.run_folder(chosen.runs, run_id) / "records.jsonl"


def report(chosen: argparse.Namespace) -> int:
    """Write a finished run as one HTML file."""
    from hvae_utils import paths
    from hvae_utils.run import report

    written = report.write(chosen.run_id, chosen.runs, chosen.out)
    _print(f"wrote {paths.shown(written)}")
    return OK


def models(chosen: argparse.Namespace) -> int:
    """List the models and what each still needs."""
    from hvae_utils.ask import models

    table = models.table()
    states = table.missing.where(~table.ready, "ready")
    widths = max(map(len, table.name)), max(map(len, states))
    for name, state, about in zip(table.name, states, table.about, strict=True):
        _print(f"{name:<{widths[0]}}  {state:<{widths[1]}}  {about}".rstrip())
    return OK


def fetch(chosen: argparse.Namespace) -> int:
    """Fetch the weights of a local model."""
    from hvae_utils.ask import local

    local.fetch(chosen.name.removeprefix("local/"), report=_print)
    return OK


def prompts(chosen: argparse.Namespace) -> int:
    """List the wordings."""
    from hvae_utils.ask import prompts

    names = prompts.names()
    width = max(map(len, names))
    for name in names:
        _print(f"{name:<{width}}  {prompts.load(name).title}")
    return OK


def bring(chosen: argparse.Namespace) -> int:
    """Make a wording of an owner's file of prompts."""
    from hvae_utils import paths
    from hvae_utils.extras.import_prompts import import_prompts
    from hvae_utils.measure import instruments

    name = chosen.name or re.sub(r"[^a-z0-9]+", "-", chosen.path.stem.lower()).strip("-")
    name = name.removeprefix("imported-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise UserError(f"wording name '{name}': use small letters, digits and '-' (--name NAME)")
    if not chosen.path.is_file():
        raise UserError(f"no file {chosen.path}")
    name = f"imported-{name}"  # git ignores these: another's texts are not ours to commit
    out = paths.DATA / "prompts" / f"{name}.toml"
    import_prompts(chosen.path, instruments.load("svo-slider"), out)
    _print(f"wrote {paths.shown(out)}; use it with --set wordings={name} --set probe_values=")
    return OK


def course(chosen: argparse.Namespace) -> int:
    """Write the student copies, or say which are out of date."""
    from hvae_utils import paths
    from hvae_utils.teach import course

    if not chosen.check:
        for path in course.write():
            _print(f"wrote {paths.shown(path)}")
        return OK
    stale = course.stale()
    for path in stale:
        _print(f"out of date: {paths.shown(path)}; run: hvae course")
    return DIFFERENT if stale else OK


def _print(line: object) -> None:
    print(_printable(line), flush=True)


def say(problem: object, code: int) -> int:
    """Say on stderr, in one line, what went wrong; return the exit code."""
    print(f"hvae: {_printable(' '.join(str(problem).split()))}", file=sys.stderr)
    return code


def _printable(line: object) -> str:
    """Return one line with `?` for what a terminal would obey: an endpoint may have written it."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(line))
