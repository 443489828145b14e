"""The `hvae` command: one verb for each thing to do, see `hvae --help`.

It only parses; `commands` does the rest.

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
from hvae_utils.run import cli

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


CYCLE = """\
Put a study through the OpenAI Batch API, in stages, because a prompt can quote earlier replies:
  1. hvae batch export STUDY --run-id RUN stage-1   writes what can be asked by now
  2. upload stage-1/*.jsonl as batches and bring back their output and error files
  3. hvae batch import STUDY --run-id RUN FILE ...  makes records of them
  4. the same with stage-2, ... until the export says that nothing is left to ask
  5. hvae reproduce STUDY --run-id RUN              makes tables and figures, and asks nobody
STUDY is --profile and --set, the same in every step; what it costs: docs/cost.md.
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
        return cli.say(mistake, cli.BAD_INPUT)
    except errors.EndpointError as fault:
        return cli.say(fault, cli.UNREACHABLE)
    except errors.BudgetReached as limit:
        return cli.say(limit, cli.OVER_BUDGET)
    except KeyboardInterrupt:
        return cli.say("interrupted; run the same command to continue", cli.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has left, for instance `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return cli.OK
    except RuntimeError as fault:
        from hvae_utils.run.runner import WorkbookError

        if not isinstance(fault, WorkbookError):
            raise
        return cli.say(fault, cli.FAILED)


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="hvae",
        description="Reproduce, check and extend the HVAE workbook.",
        epilog=EPILOG,
        formatter_class=plain,
    )
    parser.add_argument("--version", action="version", version=f"hvae {hvae_utils.__version__}")
    parser.set_defaults(run=lambda chosen: parser.print_help() or cli.OK)
    verbs = parser.add_subparsers(metavar="command", dest="command")

    reproduce = verbs.add_parser(
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
    reproduce.set_defaults(run=cli.reproduce)

    bundle = verbs.add_parser(
        "bundle", help="write a finished run into one file that can be replayed"
    )
    bundle.add_argument("out", metavar="OUT", nargs="?", type=Path, help="(default: RUN_ID.zip)")
    bundle.add_argument("--run-id", default="default", help="the run (default: default)")
    bundle.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
    bundle.set_defaults(run=cli.bundle)

    publish = verbs.add_parser(
        "publish",
        help="put a finished run's figures into figures/, its answers into data/recorded/",
    )
    publish.add_argument("--run-id", default="default", help="the run (default: default)")
    publish.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
    publish.set_defaults(run=cli.publish)

    check = verbs.add_parser(
        "check", help="make the published figures again from the recorded answers and compare"
    )
    check.add_argument("--replay", action="store_true", help=argparse.SUPPRESS)  # what it does
    check.add_argument("--run-id", help="compare this finished run, instead of making a new one")
    check.set_defaults(run=cli.check)
    replicate = verbs.add_parser(
        "replicate", help="ask the models of the published figures anew and show what differs"
    )
    replicate.set_defaults(run=cli.replicate)
    for verb in (check, replicate):
        verb.add_argument("--runs", metavar="DIR", help="folder of runs (default: a scratch one)")
        verb.add_argument("--keep", action="store_true", help="keep the scratch folder")

    estimate = verbs.add_parser(
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
    estimate.set_defaults(run=cli.estimate)

    batch = verbs.add_parser(
        "batch",
        help="put a study through the OpenAI Batch API, stage by stage",
        description=CYCLE,
        formatter_class=plain,
    ).add_subparsers(metavar="action", dest="action", required=True)
    export = batch.add_parser("export", help="write what can be asked by now as input files")
    export.add_argument("out", metavar="OUT_DIR", type=Path, help="a new folder for this stage")
    export.set_defaults(run=cli.export)
    take = batch.add_parser("import", help="make records of output and error files")
    take.add_argument("files", metavar="FILE", type=Path, nargs="+")
    take.set_defaults(run=cli.take)
    for action in (export, take):
        _add_study(action)
        action.add_argument("--run-id", help="name of the run's folder (default: the profile's)")
        action.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")

    report = verbs.add_parser("report", help="write a finished run as one HTML file")
    report.add_argument("--run-id", default="default", help="which run (default: default)")
    report.add_argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
    report.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="file to write (default: report.html in the run)",
    )
    report.set_defaults(run=cli.report)

    models = verbs.add_parser("models", help="list models and what each still needs")
    models.set_defaults(run=cli.models)
    fetch = models.add_subparsers(metavar="action", dest="action").add_parser(
        "fetch", help="fetch the weights of a local model, once"
    )
    fetch.add_argument("name", metavar="NAME")
    fetch.set_defaults(run=cli.fetch)

    prompts = verbs.add_parser("prompts", help="list the wordings")
    prompts.set_defaults(run=cli.prompts)
    bring = prompts.add_subparsers(metavar="action", dest="action").add_parser(
        "import",
        help="make a wording of an owner's Python file of prompts, without running it",
        description="Make a wording of a Python file of prompts, without running it. The file "
        "must hold the texts task_prompt and goal_prompt, the dicts q1_answer to q6_answer from "
        "each letter to [self, other], and a function gene_task_goal(task_goal=…) that assigns "
        "q1_prompt to q6_prompt, f-strings with {task_goal}, and returns them in this order.",
    )
    bring.add_argument("path", metavar="PATH", type=Path)
    bring.add_argument("--name", help="what follows 'imported-' (default: the file's name)")
    bring.set_defaults(run=cli.bring)

    course = verbs.add_parser("course", help="make the student copies of the course's lessons")
    course.add_argument(
        "--check", action="store_true", help="write nothing; say which copies are out of date"
    )
    course.set_defaults(run=cli.course)
    return parser


def _add_study(command: argparse.ArgumentParser) -> None:
    """Add what names a study: a profile and what is changed in it."""
    command.add_argument("--profile", default="default", help="parameter set (default: default)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="change a parameter, as often as needed; a list is a,b",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
