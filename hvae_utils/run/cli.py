"""What the `hvae` command does: each verb with its arguments, and the code it ends with.

`hvae_utils.__main__` makes the command of the VERBS of this module and of its like in `teach` and
`extras`. What a verb needs is imported when it is given, so that `hvae --help` is quick.
"""

import re
from argparse import Namespace
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from hvae_utils import paths
from hvae_utils.errors import UserError

OK, FAILED, BAD_INPUT, UNREACHABLE, DIFFERENT, OVER_BUDGET, TOO_MANY_ERRORS = range(7)
INTERRUPTED = 130
MAX_ERRORS = 0.5  # of a run's items; where most of them failed, nothing was measured

Argument = tuple[tuple[str, ...], dict[str, Any]]
Action = Callable[[Namespace], int | None]  # returns the exit code, unless all is well


class Verb(NamedTuple):
    """A verb of the command. Of a name of two words, the second is an action of the first."""

    name: str
    arguments: tuple[Argument, ...]
    about: str  # a sentence, and after an empty line what else its --help says
    run: Action | None = None


VERBS: list[Verb] = []


def verb(name: str, *arguments: Argument, verbs: list[Verb] = VERBS) -> Callable[[Action], Action]:
    """Return the decorator that adds a function to the verbs; its docstring is the verb's help."""

    def declare(action: Action) -> Action:
        verbs.append(Verb(name, arguments, cleandoc(action.__doc__ or ""), action))
        return action

    return declare


def argument(*names: str, **options: Any) -> Argument:
    """Return an argument as argparse's add_argument takes it."""
    return names, options


def show(line: object, file: TextIO | None = None) -> None:
    """Print a line, with `?` for what a terminal would obey: an endpoint may have written it."""
    signs = (sign if sign.isprintable() else "?" for sign in str(line))
    print("".join(signs), file=file, flush=True)


RUN = argument("--run-id", default="default", help="the run (default: default)")
NEW_RUN = argument("--run-id", help="name of the run's folder (default: the profile's)")
RUNS = argument("--runs", metavar="DIR", help="folder of runs (default: runs)")
SCRATCH = argument("--runs", metavar="DIR", help="keep the run here (default: a scratch folder)")
SETTING = argument(
    "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
    help="change a parameter, as often as needed; a list is a,b",
)  # fmt: skip
PROFILE = argument("--profile", default="default", help="parameter set (default: default)")
STUDY = (PROFILE, SETTING)


def _run(chosen: Namespace):
    """Return the run that --run-id and --runs name; without an id it is called as the profile."""
    from hvae_utils.run.run import Run

    return Run(chosen.profile if chosen.run_id is None else chosen.run_id, chosen.runs)


def planned(chosen: Namespace):
    """Return the designs of the study that --profile and --set name, and its run."""
    from hvae_utils.play import estimate
    from hvae_utils.run import profiles, workbook

    profile = profiles.load_profile(chosen.profile)
    parameters = workbook.parameters_of(profile, chosen.overrides)
    profiles.check(parameters)
    return estimate.designs(parameters), _run(chosen)


@verb(
    "reproduce", *STUDY, NEW_RUN, RUNS,
    argument("--replay", metavar="FILE", type=Path, help="take profile, parameters and the "
             "models' answers from a bundle; nobody is asked"),
    argument("--max-errors", type=float, metavar="SHARE", default=MAX_ERRORS, help="share of items "
             f"that may end in a transport error, 0 to 1 (default: {MAX_ERRORS})"),
    argument("--budget", metavar="AMOUNT", help="most that the run's folder may have spent, all "
             "calls together: '500 requests', '2M tokens', '3 USD'"),
    argument("--scheduler", metavar="ADDRESS", help="play on a Dask cluster: tcp://host:port, or "
             "local for one process a core"),
)  # fmt: skip
def reproduce(chosen: Namespace) -> None:
    """Run all notebooks and make every table and figure."""
    from hvae_utils.play import budget, players
    from hvae_utils.run import workbook

    if not 0 <= chosen.max_errors <= 1:
        raise UserError(f"--max-errors {chosen.max_errors:g}: a share lies between 0 and 1")
    where = {"runs": chosen.runs, "run_id": chosen.run_id, "report": show}
    if chosen.replay:
        if chosen.overrides or chosen.profile != "default":
            raise UserError("--replay takes all from the bundle: leave out --profile and --set")
        show(_figures(workbook.replay(chosen.replay, **where)))
        return
    overrides = list(chosen.overrides)
    if chosen.budget is not None:
        overrides.append(f"budget={budget.parse(chosen.budget)}")
    plug_in = f"hvae_utils.extras.cluster:{chosen.scheduler}" if chosen.scheduler else ""
    with players.playing(plug_in):
        run = workbook.reproduce(chosen.profile, overrides, **where)
    _answered(run, chosen.max_errors)
    show(_figures(run))


@verb(
    "measure",
    argument("model", metavar="MODEL", help="as in `hvae models`, for instance ollama/llama3.2"),
    SETTING, RUNS, argument("--run-id", help="name of the run's folder (default: the model's)"),
)  # fmt: skip
def measure(chosen: Namespace) -> None:
    """Say whether one model acts on the values it is told to hold.

    It takes the default profile's design, all wordings in both arms, without the simulated
    respondents.
    """
    from hvae_utils.run import workbook
    from hvae_utils.show import findings

    if any(text.partition("=")[0] == "models" for text in chosen.overrides):
        raise UserError("hvae measure asks one model; for several, hvae reproduce --set models=A,B")
    name = Path(chosen.model).name if chosen.model.endswith(".gguf") else chosen.model
    run_id = chosen.run_id or re.sub(r"[^A-Za-z0-9.]+", "-", name)[-99:].strip(".-")
    overrides = [f"models={chosen.model}", "goal_wordings=0", *chosen.overrides]
    run = workbook.reproduce("default", overrides, runs=chosen.runs, run_id=run_id, report=show)
    _answered(run, MAX_ERRORS)
    for _, sentence in findings.verdicts(run.steerability):
        show(sentence)
    show(f"the report is {paths.shown(run.report())}")


class TooManyErrors(RuntimeError):
    """More items ended in a transport error than the user allows."""


def _answered(run, most: float) -> None:
    """Raise TooManyErrors where more than this share of the items has no answer."""
    if (share := run.error_share()) > most:
        raise TooManyErrors(
            f"{share:.0%} of the items ended in a transport error, more than {most:.0%}; "
            "run again to ask them once more"
        )


def _figures(run) -> str:
    """Return where a run's figures are; they are published where there are none at all."""
    from hvae_utils.run import publish

    line = f"figures in {paths.shown(run.path('figures'))}"
    if not run.manifest.get("publish"):
        return line
    same, count = publish.equal(run)
    if not count:
        return f"{line}; there were none published, so they are in {publish.publish(run).name}/ too"
    line = f"{line}; {same} of {count} published files are equal"
    return line if same == count else f"{line} (hvae publish puts the new ones there)"


@verb(
    "bundle", RUN, RUNS,
    argument("out", metavar="OUT", nargs="?", type=Path, help="(default: RUN_ID.zip)"),
)  # fmt: skip
def bundle(chosen: Namespace) -> None:
    """Write a finished run into one file that can be replayed."""
    made = _run(chosen).bundle(chosen.out)
    size = made.path.stat().st_size
    show(f"wrote {paths.shown(made.path)} ({size:,} bytes, SHA-256 {made.sha256})")


@verb("publish", RUN, RUNS)
def publish(chosen: Namespace) -> None:
    """Put a finished run's figures into figures/, its answers into data/recorded/."""
    from hvae_utils.run import publish

    run = _run(chosen)
    recorded, figures = publish.record(run), publish.publish(run)
    show(f"published {paths.shown(figures)} and {paths.shown(recorded)}")


@verb(
    "check",
    argument("--run-id", help="compare this finished run, instead of making a new one"),
    argument("--replay", action="store_true", help="it does so without being told, too"),
    SCRATCH,
)
def check(chosen: Namespace) -> int:
    """Make the published figures again from the recorded answers and compare."""
    from hvae_utils.run import publish

    finished = _run(chosen) if chosen.run_id else None
    same = publish.check(finished=finished, runs=chosen.runs, report=show)
    return OK if same else DIFFERENT


@verb("replicate", SCRATCH)
def replicate(chosen: Namespace) -> None:
    """Ask the models of the published figures anew and show what differs."""
    from hvae_utils.run import publish

    publish.replicate(runs=chosen.runs, report=show)


@verb(
    "estimate", *STUDY, RUNS,
    argument("--run-id", help="leave out what this run has answered already"),
    argument("--rate", type=float, metavar="R", help="requests per second (default: measured "
             "for the embedded model, assumed by kind of endpoint for others)"),
    argument("--json", action="store_true", help="print JSON, with more columns"),
)  # fmt: skip
def estimate(chosen: Namespace) -> None:
    """Say what a study will take: requests, tokens, cost, time."""
    from hvae_utils.play import estimate, pace
    from hvae_utils.play.records import Held, Records
    from hvae_utils.run.run import RECORDS

    designs, run = planned(chosen)
    if chosen.run_id and not run.has(RECORDS):
        raise UserError(f"run '{chosen.run_id}' has no records; leave --run-id out")
    records = Records(run.path(RECORDS)) if chosen.run_id else Held()
    measure = None if chosen.rate else pace.measured
    table = estimate.estimate(designs, records, chosen.rate, measure)
    as_json = table.to_json(orient="records", double_precision=6)
    for line in [as_json] if chosen.json else estimate.shown(table):
        show(line)


@verb(
    "plan",
    argument("--pilot", metavar="RUN", help="take the SDs that this run found"),
    argument("--sd", type=float, metavar="DEGREES", help="or assume this one: how much the angle "
             "differs by wording, once how far it moves and what a wording does to all values are "
             "taken out"),
    argument("--margin", type=float, default=0.1, metavar="SHARE", help="smallest steerability of "
             "interest (default: 0.1)"),
    argument("--power", type=float, default=0.8, metavar="SHARE", help="probability of a verdict, "
             "if the model moves not at all (default: 0.8)"),
    RUNS,
)  # fmt: skip
def plan(chosen: Namespace) -> None:
    """Say how many wordings a verdict takes."""
    from hvae_utils.metrics import plan
    from hvae_utils.run.run import Run

    if (chosen.pilot is None) == (chosen.sd is None):
        raise UserError("hvae plan takes one of --pilot RUN and --sd DEGREES")
    spreads = {"": chosen.sd}
    if chosen.pilot is not None:
        table = Run(chosen.pilot, chosen.runs).steerability.dropna(subset="residual_sd")
        arms = table["goal_prompt"].map({True: "with goal prompt", False: "without goal prompt"})
        spreads = dict(zip(table["model"] + ", " + arms + ": ", table["residual_sd"], strict=True))
    for name, sd in spreads.items():
        number = plan.wordings(sd, chosen.margin, chosen.power)
        show(f"{name}SD {sd:.1f} degrees, margin {chosen.margin:.0%}: {number} wordings")


@verb(
    "report", RUN, RUNS,
    argument("--out", metavar="FILE", type=Path, help="(default: report.html in the run)"),
)  # fmt: skip
def report(chosen: Namespace) -> None:
    """Write a finished run as one HTML file."""
    show(f"wrote {paths.shown(_run(chosen).report(chosen.out))}")


@verb("models")
def models(chosen: Namespace) -> None:
    """List models and what each still needs."""
    from hvae_utils.ask import models

    table = models.table()
    states = table.missing.where(~table.ready, "ready")
    widths = max(map(len, table.name)), max(map(len, states))
    for name, state, about in zip(table.name, states, table.about, strict=True):
        show(f"{name:<{widths[0]}}  {state:<{widths[1]}}  {about}".rstrip())


@verb("models fetch", argument("name", metavar="NAME"))
def fetch(chosen: Namespace) -> None:
    """Fetch the weights of a local model, once."""
    from hvae_utils.ask import local

    local.fetch(chosen.name.removeprefix("local/"), report=show)


@verb(
    "models check",
    argument("name", metavar="NAME", help="as in `hvae models`, for instance ollama/qwen3"),
    argument("--thinking-tokens", type=int, default=0, metavar="N", help="room for a thought "
             "(default: the model's own, data/models.toml)"),
)  # fmt: skip
def check_model(chosen: Namespace) -> int:
    """Ask one model, in a few requests, what it can do and how a study will ask it."""
    from hvae_utils.play import check

    seen = check.examine(chosen.name, chosen.thinking_tokens)
    for line in check.lines(seen):
        show(line)
    if not seen.reached:
        return UNREACHABLE
    return BAD_INPUT if seen.usual[1].fault else OK


@verb("prompts")
def prompts(chosen: Namespace) -> None:
    """List the wordings."""
    from hvae_utils.ask import prompts

    names = prompts.names()
    width = max(map(len, names))
    for name in names:
        show(f"{name:<{width}}  {prompts.load(name).title}")
