"""The `hvae` command: one verb for each thing to do, see `hvae --help`.

A user's mistake is one line on stderr and never a traceback; our own mistakes keep theirs.

Public names: main, EPILOG.
"""

import os
import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import NoReturn

from hvae_utils import __version__, errors, files
from hvae_utils.errors import UserError
from hvae_utils.extras.cli import VERBS as OF_EXTRAS
from hvae_utils.run import cli
from hvae_utils.teach.cli import VERBS as OF_COURSE

EPILOG = """\
exit codes:
  0    done
  1    a notebook failed; the line names notebook, cell and reason
  2    bad input: an unknown name, a missing key, a wrong type, a damaged file; or a run that
       cannot be compared, because it is of another study
  3    a model's endpoint could not be reached; what was answered is saved
  4    `hvae check` or `hvae course --check` found differences
  5    the budget is reached; what was answered is saved, a larger --budget continues
  6    too many items ended in a transport error (see --max-errors); nothing was published
  130  interrupted; the same command continues where it was
"""
CODES = {
    UserError: cli.BAD_INPUT,
    errors.EndpointError: cli.UNREACHABLE,
    errors.BudgetReached: cli.OVER_BUDGET,
    errors.WorkbookError: cli.FAILED,
    cli.TooManyErrors: cli.TOO_MANY_ERRORS,
}


class _Parser(ArgumentParser):
    """argparse whose complaints are user errors: one line, with the nearest choice."""

    def error(self, message: str) -> NoReturn:
        pattern = r"argument (\w+): invalid choice: '(.*?)'.*\(choose from (.*)\)"
        if wrong := re.match(pattern, message):
            choices = [choice.strip(" '") for choice in wrong[3].split(",")]
            raise errors.unknown(wrong[1], wrong[2], choices)
        raise UserError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (default: the process's); return the exit code."""
    try:
        chosen = _parser().parse_args(arguments)
        return chosen.run(chosen) or cli.OK
    except tuple(CODES) as fault:
        code = next(code for kind, code in CODES.items() if isinstance(fault, kind))
        return _say(fault, code)
    except KeyboardInterrupt:
        return _say("interrupted; run the same command to continue", cli.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has left, for instance `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return cli.OK


def _say(problem: object, code: int) -> int:
    """Say on stderr, in one line, what went wrong; return the exit code."""
    cli.show(f"hvae: {files.one_line(problem)}", sys.stderr)
    return code


def _parser() -> ArgumentParser:
    parser = _Parser(
        prog="hvae",
        description="Reproduce, check and extend the HVAE workbook.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hvae {__version__}")
    parser.set_defaults(run=lambda chosen: parser.print_help())
    commands = parser.add_subparsers(metavar="command", dest="command")
    actions = {}
    for verb in (*cli.VERBS, *OF_COURSE, *OF_EXTRAS):
        first, _, action = verb.name.partition(" ")
        if action and first not in actions:
            needed = commands.choices[first].get_default("run") is None
            actions[first] = commands.choices[first].add_subparsers(
                metavar="action", dest="action", required=needed
            )
        made = (actions[first] if action else commands).add_parser(
            action or first,
            help=verb.about[:1].lower() + verb.about.partition("\n")[0].removesuffix(".")[1:],
            description=verb.about,
            formatter_class=RawDescriptionHelpFormatter,
        )
        for names, options in verb.arguments:
            made.add_argument(*names, **options)
        made.set_defaults(run=verb.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
