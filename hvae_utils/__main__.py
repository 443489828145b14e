"""The `hvae` command: reproduce, bundle, check, estimate, batch, models, prompts, course.

It only parses, calls and prints.

A user's mistake is one line on stderr and never a traceback; our own mistakes keep theirs.

Public names: main, EPILOG.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import hvae_utils
from hvae_utils import errors
from hvae_utils.errors import UserError

OK, FAILED, BAD_INPUT, UNREACHABLE, DIFFERENT, OVER_BUDGET, TOO_MANY_ERRORS = range(7)
INTERRUPTED = 130

EPILOG = """\
exit codes:
  0    done
  1    a notebook failed; the line names notebook, cell and reason
  2    bad input: an unknown name, a missing key, a wrong type, a damaged file
  3    a model's endpoint could not be reached; what was answered is saved
  4    `hvae check` or `hvae course --check` found differences
  5    the budget is reached; what was answered is saved, a larger --budget continues
  6    too many items ended in a transport error (see --max-errors); nothing was published
  130  interrupted; the same command continues where it was
"""


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are user errors: one line, with the nearest choice."""

    def error(self, message: str) -> NoReturn:
        if found := re.match(
            r"argument (\w+): invalid choice: '(.*?)'.*\(choose from (.*)\)", message
        ):
            choices = [choice.strip(" '") for choice in found[3].split(",")]
            raise errors.unknown(found[1], found[2], choices)
        raise UserError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (default: the process's); return the exit code."""
    try:
        chosen = _parser().parse_args(arguments)
        return chosen.run(chosen)
    except UserError as mistake:
        return _say(mistake, BAD_INPUT)
    except errors.EndpointError as fault:
        return _say(fault, UNREACHABLE)
    except errors.BudgetReached as limit:
        return _say(limit, OVER_BUDGET)
    except KeyboardInterrupt:
        return _say("interrupted; run the same command to continue", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has left, for instance `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except RuntimeError as fault:
        from hvae_utils.runner import WorkbookError

        if not isinstance(fault, WorkbookError):
            raise
        return _say(fault, FAILED)


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="hvae",
        description="Reproduce, check and extend the HVAE workbook.",
        epilog=EPILOG,
        formatter_class=plain,
    )
    parser.add_argument("--version", action="version", version=f"hvae {hvae_utils.__version__}")
    commands = parser.add_subparsers(metavar="command", dest="command", required=True)

    reproduce = commands.add_parser(
        "reproduce", help="run all notebooks and make every table and figure"
    )
    _add_study(reproduce)
    reproduce.add_argument("--run-id", help="name of the run's folder (default: the profile's)")
    reproduce.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
    reproduce.add_argument(
        "--replay", metavar="FILE", type=Path,
        help="take profile, parameters and the models' answers from a bundle; nobody is asked",
    )  # fmt: skip
    reproduce.add_argument(
        "--max-errors", type=float, metavar="SHARE",
        help="share of items that may end in a transport error, 0 to 1 (default: 0.5)",
    )  # fmt: skip
    reproduce.add_argument(
        "--budget", metavar="AMOUNT",
        help="most that the run's folder may have spent, all calls together: "
        "'500 requests', '2M tokens', '3 USD'",
    )  # fmt: skip
    reproduce.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="play on a Dask cluster: tcp://host:port, or local for one process a core",
    )  # fmt: skip
    reproduce.set_defaults(run=_reproduce)

    bundle = commands.add_parser(
        "bundle", help="write a finished run into one file that can be replayed"
    )
    bundle.add_argument("out", metavar="OUT", nargs="?", type=Path, help="(default: RUN_ID.zip)")
    bundle.add_argument("--run-id", default="default", help="the run (default: default)")
    bundle.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
    bundle.set_defaults(run=_bundle)

    check = commands.add_parser(
        "check", help="reproduce the default profile and compare with what is committed"
    )
    check.add_argument(
        "--runs", metavar="DIR", help="where to reproduce (default: a scratch folder)"
    )
    check.add_argument("--keep", action="store_true", help="keep the scratch folder")
    check.add_argument(
        "--replay", action="store_true", help="with the recorded answers of the models: fast"
    )
    check.add_argument("--run-id", help="compare this finished run, instead of making a new one")
    check.set_defaults(run=_check)

    estimate = commands.add_parser(
        "estimate", help="say what a study will take: requests, tokens, cost, time"
    )
    _add_study(estimate)
    estimate.add_argument("--run-id", help="leave out what this run has answered already")
    estimate.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
    estimate.add_argument(
        "--rate", type=float, metavar="R",
        help="requests per second (default: assumed by kind of endpoint)",
    )  # fmt: skip
    estimate.add_argument("--json", action="store_true", help="print JSON, with more columns")
    estimate.set_defaults(run=_estimate)

    batch = commands.add_parser(
        "batch", help="put a study through the OpenAI Batch API, stage by stage"
    ).add_subparsers(metavar="action", dest="action", required=True)
    export = batch.add_parser("export", help="write what can be asked by now as input files")
    export.add_argument("out", metavar="OUT_DIR", type=Path, help="a new folder for this stage")
    export.set_defaults(run=_export)
    take = batch.add_parser("import", help="make records of output and error files")
    take.add_argument("files", metavar="FILE", type=Path, nargs="+")
    take.set_defaults(run=_take)
    for action in (export, take):
        _add_study(action)
        action.add_argument("--run-id", help="name of the run's folder (default: the profile's)")
        action.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")

    models = commands.add_parser("models", help="list models and what each still needs")
    models.set_defaults(run=_models)
    fetch = models.add_subparsers(metavar="action", dest="action").add_parser(
        "fetch", help="fetch the weights of a local model, once"
    )
    fetch.add_argument("name", metavar="NAME")
    fetch.set_defaults(run=_fetch)

    prompts = commands.add_parser("prompts", help="list the wordings")
    prompts.set_defaults(run=_prompts)
    bring = prompts.add_subparsers(metavar="action", dest="action").add_parser(
        "import", help="make a wording of an owner's Python file of prompts, without running it"
    )
    bring.add_argument("path", metavar="PATH", type=Path)
    bring.add_argument("--name", help="what follows 'imported-' (default: the file's name)")
    bring.set_defaults(run=_import)

    course = commands.add_parser("course", help="make the student copies of the course's lessons")
    course.add_argument(
        "--check", action="store_true", help="write nothing; say which copies are out of date"
    )
    course.set_defaults(run=_course)
    return parser


def _add_study(command: argparse.ArgumentParser) -> None:
    """Add what names a study: a profile and what is changed in it."""
    command.add_argument("--profile", default="default", help="parameter set (default: default)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="change a parameter, as often as needed; a list is a,b",
    )  # fmt: skip


def _reproduce(chosen: argparse.Namespace) -> int:
    from hvae_utils import budget, manifest, outcomes, paths, publish, workbook

    if chosen.replay:
        return _replay(chosen)
    most = outcomes.MAX_ERRORS if chosen.max_errors is None else chosen.max_errors
    if not 0 <= most <= 1:
        raise UserError(f"--max-errors {most:g}: a share lies between 0 and 1")
    overrides = list(chosen.overrides)
    if chosen.budget is not None:
        overrides.append(f"budget={budget.parse(chosen.budget)}")
    if chosen.scheduler is not None:
        overrides.append(f"scheduler={chosen.scheduler}")
    run = workbook.reproduce(
        chosen.profile, overrides, runs=chosen.runs, run_id=chosen.run_id, report=_print
    )
    if (share := outcomes.error_share(run)) > most:
        said = f"{share:.0%} of the items ended in a transport error, more than {most:.0%}"
        return _say(f"{said}; run again to ask them once more", TOO_MANY_ERRORS)
    if manifest.read(run)["publish"]:
        _print(f"published in {paths.shown(publish.publish(run))}")
    else:
        _print(f"figures in {paths.shown(run / 'figures')}")
    return OK


def _replay(chosen: argparse.Namespace) -> int:
    from hvae_utils import bundle, paths

    if chosen.overrides or chosen.profile != "default":
        raise UserError("--replay takes everything from the bundle: leave out --profile and --set")
    run = bundle.rebuild(chosen.replay, runs=chosen.runs, run_id=chosen.run_id, report=_print)
    _print(f"figures in {paths.shown(run / 'figures')}")
    return OK


def _bundle(chosen: argparse.Namespace) -> int:
    from hvae_utils import bundle, paths, workbook

    runs = None if chosen.runs is None else Path(chosen.runs).absolute()
    run = workbook.run_folder(runs, chosen.run_id)
    made = bundle.write(run, chosen.out or Path(f"{run.name}.zip"))
    size = made.path.stat().st_size
    _print(f"wrote {paths.shown(made.path)} ({size:,} bytes, SHA-256 {made.sha256})")
    return OK


def _check(chosen: argparse.Namespace) -> int:
    from hvae_utils import publish, workbook

    finished = workbook.run_folder(chosen.runs, chosen.run_id) if chosen.run_id else None
    same = publish.check(
        runs=chosen.runs,
        keep=chosen.keep,
        replay=chosen.replay,
        finished=finished,
        report=_print,
    )
    return OK if same else DIFFERENT


def _estimate(chosen: argparse.Namespace) -> int:
    from hvae_utils import estimate, rehearsal
    from hvae_utils.records import Records

    planned, path = _study(chosen)
    if chosen.run_id and not path.exists():
        raise UserError(f"run '{chosen.run_id}' has no records; leave --run-id out")
    records = Records(path) if chosen.run_id else rehearsal.NOTHING
    table = estimate.estimate(planned, records, chosen.rate)
    if chosen.json:
        _print(table.to_json(orient="records", double_precision=6))
        return OK
    for line in estimate.shown(table):
        _print(line)
    return OK


def _export(chosen: argparse.Namespace) -> int:
    from hvae_utils import batch, paths
    from hvae_utils.records import Records

    planned, path = _study(chosen)
    for done in batch.export(planned, Records(path), chosen.out):
        stage = ", ".join(f"{count:,} {kind}" for kind, count in done.stage.items())
        files = ", ".join(paths.shown(file) for file in done.files)
        written = f"{stage} in {files}" if files else "nothing left to ask"
        _print(f"{done.model}: {written}; about {done.later:,} requests later")
    return OK


def _take(chosen: argparse.Namespace) -> int:
    from hvae_utils import batch, paths
    from hvae_utils.records import Records

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
    from hvae_utils import profiles, rehearsal, workbook

    profile = profiles.load_profile(chosen.profile)
    planned = rehearsal.designs(workbook.parameters_of(profile, chosen.overrides))
    runs = Path(chosen.runs).absolute() if chosen.runs else None
    run_id = chosen.profile if chosen.run_id is None else chosen.run_id
    return planned, workbook.run_folder(runs, run_id) / "records.jsonl"


def _models(chosen: argparse.Namespace) -> int:
    from hvae_utils import models

    table = models.table()
    states = table.missing.where(~table.ready, "ready")
    widths = max(map(len, table.name)), max(map(len, states))
    for name, state, about in zip(table.name, states, table.about, strict=True):
        _print(f"{name:<{widths[0]}}  {state:<{widths[1]}}  {about}".rstrip())
    return OK


def _fetch(chosen: argparse.Namespace) -> int:
    from hvae_utils import local

    local.fetch(chosen.name.removeprefix("local/"), report=_print)
    return OK


def _prompts(chosen: argparse.Namespace) -> int:
    from hvae_utils import prompts

    names = prompts.names()
    width = max(map(len, names))
    for name in names:
        _print(f"{name:<{width}}  {prompts.load(name).title}")
    return OK


def _import(chosen: argparse.Namespace) -> int:
    from hvae_utils import instruments, paths
    from hvae_utils.prompt_import import import_prompts

    name = chosen.name or re.sub(r"[^a-z0-9]+", "-", chosen.path.stem.lower()).strip("-")
    name = name.removeprefix("imported-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise UserError(f"wording name '{name}': use small letters, digits and '-' (--name NAME)")
    if not chosen.path.is_file():
        raise UserError(f"no file {chosen.path}")
    name = f"imported-{name}"  # git ignores these: another's texts are not ours to commit
    out = paths.DATA / "prompts" / f"{name}.toml"
    import_prompts(chosen.path, instruments.load("svo-slider"), out)
    _print(f"wrote {paths.shown(out)}; use it with --set wordings={name}")
    return OK


def _course(chosen: argparse.Namespace) -> int:
    from hvae_utils import course, paths

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


def _say(problem: object, code: int) -> int:
    print(f"hvae: {_printable(' '.join(str(problem).split()))}", file=sys.stderr)
    return code


def _printable(line: object) -> str:
    """Return one line with `?` for what a terminal would obey: an endpoint may have written it."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(line))


if __name__ == "__main__":
    sys.exit(main())
