"""The errors a user meets, each with the sentence that helps.

Never used for our own mistakes: those keep their traceback.

Public names: Sentence, UserError, EndpointError, unknown.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class Sentence(Exception):
    """An error whose one sentence says all: a notebook shows it in place of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class UserError(Sentence, ValueError):
    """A mistake its reader can mend: one line that says what is wrong, where, and what is right."""


def unknown(what: str, name: object, choices: Iterable[str]) -> UserError:
    """Return the error for a name that is none of `choices`; names them and the nearest match."""
    known = [str(choice) for choice in choices]
    near = get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UserError(f"unknown {what} '{name}'; choose from {', '.join(known) or 'none'}.{hint}")


class EndpointError(Sentence, RuntimeError):
    """A model's endpoint cannot be used: which one, why, and what was saved."""
