"""Verbs of the `hvae` command for batches and imported prompts. Public name: VERBS."""

import re
from argparse import Namespace
from pathlib import Path

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.run.cli import NEW_RUN, RUNS, STUDY, Verb, argument, planned, show, verb

BATCH = """Put a study through the OpenAI Batch API, stage by stage.

A prompt can quote earlier replies, so it goes in stages:
  1. hvae batch export STUDY --run-id RUN stage-1   writes what can be asked by now
  2. upload stage-1/*.jsonl as batches and bring back their output and error files
  3. hvae batch import STUDY --run-id RUN FILE ...  makes records of them
  4. the same with stage-2, ... until the export says that nothing is left to ask
  5. hvae reproduce STUDY --run-id RUN              makes tables and figures, and asks nobody
STUDY is --profile and --set, the same in every step; what it costs: docs/cost.md.
"""
VERBS = [Verb("batch", (), BATCH)]


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
    show(f"wrote {paths.shown(out)}; use it with --set wordings={name} --set probe_values=")
