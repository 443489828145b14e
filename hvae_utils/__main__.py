"""The `hvae` command: reproduce, check, report, models, prompts, course.

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

OK, FAILED, BAD_INPUT, UNREACHABLE, DIFFERENT, INTERRUPTED = 0, 1, 2, 3, 4, 130

EPILOG = """\
exit codes:
  0    done
  1    a notebook failed; the line names notebook, cell and reason
  2    bad input: an unknown name, a missing key, a wrong type, a damaged file
  3    a model's endpoint could not be reached; what was answered is saved
  4    `hvae check` or `hvae course --check` found differences
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
    reproduce.add_argument("--profile", default="default", help="parameter set (default: default)")
    reproduce.add_argument("--run-id", help="name of the run's folder (default: the profile's)")
    reproduce.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="change a parameter, as often as needed; a list is a,b",
    )  # fmt: skip
    reproduce.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
    reproduce.set_defaults(run=_reproduce)

    check = commands.add_parser(
        "check", help="reproduce the default profile and compare with what is committed"
    )
    check.add_argument(
        "--runs", metavar="DIR", help="where to reproduce (default: a scratch folder)"
    )
    check.add_argument("--keep", action="store_true", help="keep the scratch folder")
    check.set_defaults(run=_check)

    report = commands.add_parser("report", help="write a finished run as one HTML file")
    report.add_argument("--run-id", default="default", help="which run (default: default)")
    report.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
    report.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="file to write (default: report.html in the run)",
    )
    report.set_defaults(run=_report)

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


def _reproduce(chosen: argparse.Namespace) -> int:
    from hvae_utils import manifest, paths, publish, workbook

    run = workbook.reproduce(
        chosen.profile, chosen.overrides, runs=chosen.runs, run_id=chosen.run_id, report=_print
    )
    if manifest.read(run)["publish"]:
        _print(f"published in {paths.shown(publish.publish(run))}")
    else:
        _print(f"figures in {paths.shown(run / 'figures')}")
    return OK


def _check(chosen: argparse.Namespace) -> int:
    from hvae_utils import publish

    same = publish.check(runs=chosen.runs, keep=chosen.keep, report=_print)
    return OK if same else DIFFERENT


def _report(chosen: argparse.Namespace) -> int:
    from hvae_utils import paths, report

    written = report.write(chosen.run_id, chosen.runs, chosen.out)
    _print(f"wrote {paths.shown(written)}")
    return OK


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
