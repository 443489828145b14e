"""The errors a user meets, each with the sentence that helps.

Never used for our own mistakes: those keep their traceback.

Public names: Sentence, UserError, NotReady, NotRecorded, EndpointError, BudgetReached,
WorkbookError, unknown, brief.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr

LONGEST = 60  # characters of what a user wrote, where a sentence quotes it
NEAR = 0.65  # of two names, the ratio of `difflib` from which one is taken for a slip of the other


class Sentence(Exception):
    """An error whose one sentence says all: a notebook shows it in place of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class UserError(Sentence, ValueError):
    """A mistake its reader can mend: one line that says what is wrong, where, and what is right."""


class NotReady(UserError):
    """Models that cannot be asked here: which ones, and what each still needs."""


class NotRecorded(UserError):
    """A replay wants an answer that was never recorded: which one."""


def unknown(what: str, name: object, choices: Iterable[str]) -> UserError:
    """Return the error for a name that is none of `choices`; names them and the nearest match."""
    known = [str(choice) for choice in choices]
    name = name if isinstance(name, str) and len(name) <= LONGEST else brief(name)
    if not known:
        return UserError(f"unknown {what} '{name}'; there is none to choose from")
    near = get_close_matches(name, known, n=1, cutoff=NEAR)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UserError(f"unknown {what} '{name}'; choose from {', '.join(known)}.{hint}")


def brief(value: object) -> str:
    """Return the repr of any value, of a file's too, in about LONGEST characters."""
    short = Repr()
    short.maxstring = short.maxother = LONGEST
    short.maxlevel = 2
    try:
        return short.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"


class EndpointError(Sentence, RuntimeError):
    """A model's endpoint cannot be used: which one, why, and what was saved."""


class BudgetReached(Sentence, RuntimeError):
    """The budget a user set is used up: which one, how much of it, and what was saved."""


class WorkbookError(RuntimeError):
    """A notebook failed, or is not what the workbook declares: our mistake, not the user's."""
