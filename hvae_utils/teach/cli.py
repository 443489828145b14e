"""The verb of the `hvae` command for the course."""

from argparse import Namespace

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
    from hvae_utils.teach import course

    if not chosen.check:
        for path in course.write():
            show(f"wrote {paths.shown(path)}")
        return None
    stale = course.stale()
    for path in stale:
        show(f"out of date: {paths.shown(path)}; run: hvae course")
    return DIFFERENT if stale else None
