"""The verbs of the `hvae` command for the course."""

from argparse import Namespace
from pathlib import Path

from hvae_utils import paths
from hvae_utils.run.cli import DIFFERENT, Verb, argument, show, verb

VERBS: list[Verb] = []


@verb(
    "course",
    argument("--check", action="store_true", help="write nothing; say which are out of date"),
    verbs=VERBS,
)  # fmt: skip
def course(chosen: Namespace) -> int | None:
    """Make the student copies of the course's lessons."""
    from hvae_utils.errors import UserError
    from hvae_utils.teach import course

    if not course.lessons():
        raise UserError("this is a hand-out: it has no authored lessons to make copies of")
    if not chosen.check:
        for path in course.write():
            show(f"wrote {paths.shown(path)}")
        return None
    stale = course.stale()
    for path in stale:
        show(f"out of date: {paths.shown(path)}; run: hvae course")
    return DIFFERENT if stale else None


@verb(
    "course pack",
    argument("out", metavar="OUT", type=Path, help="a new folder, or a new file OUT.zip"),
    verbs=VERBS,
)
def pack(chosen: Namespace) -> None:
    """Write what students need: lessons, workbook, package and data, without solutions."""
    from hvae_utils.teach import handout

    show(f"wrote {paths.shown(handout.pack(chosen.out))}; its README says how to start")


@verb(
    "course mark",
    argument("folder", metavar="FOLDER", type=Path, help="the hand-ins, in folders or together"),
    argument("--table", metavar="FILE.csv", type=Path, help="write the table of points here"),
    verbs=VERBS,
)
def mark(chosen: Namespace) -> None:
    """Give points for a folder of handed-in lessons; it runs what students wrote.

    Needs Otter-Grader: pip install -e ".[course]".
    """
    from hvae_utils import files
    from hvae_utils.teach import marking

    points = marking.mark(chosen.folder)
    for row in points.itertuples():
        show(f"{row.file}: {row.points} of {row.possible}. {row.reasons}".rstrip(". "))
    if chosen.table:
        files.write_atomically(chosen.table, marking.csv(points))
        show(f"wrote {paths.shown(chosen.table)}")
