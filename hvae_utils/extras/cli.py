"""Verbs of the `hvae` command for batches, logs and tasks of inspect_ai, and results for others.

Public name: VERBS.
"""

import importlib.util
import re
from argparse import Namespace
from pathlib import Path

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.run.cli import NEW_RUN, RUN, RUNS, STUDY, Verb, argument, planned, show, verb

BATCH = """Put a study through the OpenAI Batch API, stage by stage.

A prompt can quote earlier replies, so it goes in stages:
  1. hvae batch export STUDY --run-id RUN stage-1   writes what can be asked by now
  2. upload stage-1/*.jsonl as batches and bring back their output and error files
  3. hvae batch import STUDY --run-id RUN FILE ...  makes records of them
  4. the same with stage-2, ... until the export says that nothing is left to ask
  5. hvae reproduce STUDY --run-id RUN              makes tables and figures, and asks nobody
STUDY is --profile and --set, the same in every step; what it costs: docs/cost.md.
"""
IMPORT = "Make a run of what others asked."
TASK_FILE = '''"""The SVO slider: inspect eval THIS_FILE --model PROVIDER/MODEL -T wordings=plain"""

from inspect_ai import Task, task

from hvae_utils.extras import inspect_task


@task
def hvae_svo_slider(**kwargs) -> Task:
    """Does a model act on the value that it is told to hold?"""
    return inspect_task.hvae_svo_slider(**kwargs)
'''
VERBS = [Verb("batch", (), BATCH), Verb("import", (), IMPORT)]


@verb(
    "batch export",
    argument("out", metavar="OUT_DIR", type=Path, help="a new folder for this stage"),
    *STUDY, NEW_RUN, RUNS, verbs=VERBS,
)  # fmt: skip
def export(chosen: Namespace) -> None:
    """Write what can be asked by now as input files."""
    from hvae_utils.extras import batch
    from hvae_utils.play.records import Records
    from hvae_utils.run.run import RECORDS

    designs, run = planned(chosen)
    for done in batch.export(designs, Records(run.path(RECORDS)), chosen.out):
        stage = ", ".join(f"{count:,} {kind}" for kind, count in done.stage.items())
        files = ", ".join(paths.shown(file) for file in done.files)
        written = f"{stage} in {files}" if files else "nothing left to ask"
        show(f"{done.model}: {written}; about {done.later:,} requests later")


@verb(
    "batch import",
    argument("files", metavar="FILE", type=Path, nargs="+"), *STUDY, NEW_RUN, RUNS, verbs=VERBS,
)  # fmt: skip
def take(chosen: Namespace) -> None:
    """Make records of output and error files."""
    from hvae_utils.extras import batch
    from hvae_utils.play.records import Records
    from hvae_utils.run.run import RECORDS

    designs, run = planned(chosen)
    with Records(run.path(RECORDS)) as records:
        for done in batch.take(designs, records, chosen.files):
            counts = ", ".join(f"{count:,} {what}" for what, count in done.lines.items())
            show(f"{paths.shown(done.file)}: {counts or 'no lines'}")
            if done.error:
                show(f"  first failure: {done.error}")


@verb(
    "prompts import",
    argument("path", metavar="PATH", type=Path),
    argument("--name", help="what follows 'imported-' (default: the file's name)"),
    verbs=VERBS,
)  # fmt: skip
def import_prompts(chosen: Namespace) -> None:
    """Make a wording of an owner's Python file of prompts, without running it.

    The file must hold the texts task_prompt and goal_prompt and a function
    gene_task_goal(task_goal=…) that assigns q1_prompt to q6_prompt, f-strings with {task_goal} and
    an option line such as "A: 85, 85" a letter, and returns them in this order.
    """
    from hvae_utils.extras.import_prompts import import_prompts
    from hvae_utils.measure import instruments

    name = chosen.name or re.sub(r"[^a-z0-9]+", "-", chosen.path.stem.lower()).strip("-")
    name = name.removeprefix("imported-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise UserError(f"wording name '{name}': use small letters, digits and '-' (--name NAME)")
    name = f"imported-{name}"  # git ignores these: another's texts are not ours to commit
    out = paths.DATA / "prompts" / f"{name}.toml"
    import_prompts(chosen.path, instruments.load("svo-slider"), out)
    how = f"--set wordings={name} --set probe_values= --set games="
    show(f"wrote {paths.shown(out)}; use it with {how}")


@verb(
    "import inspect",
    argument("logs", metavar="LOG", type=Path, nargs="+", help="of inspect eval, one a model"),
    argument("--run-id", help="name of the run's folder (default: inspect)"), RUNS, verbs=VERBS,
)  # fmt: skip
def import_inspect(chosen: Namespace) -> None:
    """Make a run of logs of our Inspect task, with every table and figure; nobody is asked."""
    _with_inspect()
    from hvae_utils.extras import inspect_log
    from hvae_utils.show import findings

    run = inspect_log.take(chosen.logs, chosen.run_id, chosen.runs, report=show)
    for _, sentence in findings.verdicts(run.steerability):
        show(sentence)
    show(f"figures in {paths.shown(run.path('figures'))}")


@verb(
    "inspect-task",
    argument("out", metavar="OUT", nargs="?", type=Path, help="a new file (default: print it)"),
    verbs=VERBS,
)  # fmt: skip
def inspect_task(chosen: Namespace) -> None:
    """Write the SVO slider as a task file for inspect eval.

    Where this package is installed, `inspect eval hvae_utils/hvae_svo_slider --model ...` does the
    same without a file. Its log comes back with `hvae import inspect LOG`.
    """
    from hvae_utils import files

    if chosen.out is None:
        print(TASK_FILE, end="")
        return
    if chosen.out.exists():
        raise UserError(f"{chosen.out} is there already; name a new file")
    files.write_atomically(chosen.out, TASK_FILE)
    name = chosen.out.name  # inspect eval takes no absolute path
    show(f"wrote {paths.shown(chosen.out)}; there: inspect eval {name} --model PROVIDER/MODEL")


@verb(
    "export", RUN, RUNS,
    argument("out", metavar="OUT", nargs="?", type=Path, help="folder (default: RUN_ID-export)"),
    argument("--organization", default="unknown", help="who evaluated (default: unknown)"),
    verbs=VERBS,
)  # fmt: skip
def export_run(chosen: Namespace) -> None:
    """Write a finished run's results as Every Eval Ever JSON, one file a model."""
    from hvae_utils.extras import export
    from hvae_utils.run.run import Run

    run = Run(chosen.run_id, chosen.runs)
    out = chosen.out or Path(f"{run.name}-export")
    for path in export.write(run, out, chosen.organization):
        show(f"wrote {paths.shown(path)}")


def _with_inspect() -> None:
    """Raise UserError where inspect_ai is not installed."""
    if importlib.util.find_spec("inspect_ai") is None:
        from hvae_utils.ask.inspect_model import EXTRA

        raise UserError(f"inspect_ai is not here; {EXTRA}")
