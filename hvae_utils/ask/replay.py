"""Respondents that only repeat what was recorded: a study without models, keys and weights.

While `replaying` is in force, in this process and in the kernels it starts, `models` gives one of
these for every model, under the identity it was recorded with, so that each request finds its
record. Nothing is ever sent: a request without a record is an error that says which.
Reference respondents are simulations, not models, and answer as always.

Public names: replaying, identities, Recorded.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from hvae_utils.ask.respondents import Answer, Request
from hvae_utils.errors import NotRecorded

VARIABLE = "HVAE_REPLAY"  # kernels inherit it; holds the identities as JSON
LONGEST_QUOTE = 80  # characters of a question that has no record


@contextmanager
def replaying(recorded: Mapping[str, str]) -> Iterator[None]:
    """Let models answer from the records alone; recorded: model -> identity."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = json.dumps(recorded)
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before


def identities() -> dict[str, str] | None:
    """Return the identity of each recorded model, None unless a replay is in force."""
    recorded = os.environ.get(VARIABLE)
    return None if recorded is None else json.loads(recorded)


class Recorded:
    """A model of a replay: it has an identity and nothing to say beyond its records."""

    concurrency = 1
    prefix_reuse = False

    def __init__(self, name: str, identity: str) -> None:
        self.name, self.identity = name, identity

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to release."""

    async def answer(self, request: Request) -> Answer:
        """Raise NotRecorded: whatever reaches a respondent was not in the records."""
        question = " ".join(request.messages[-1]["content"].split())
        raise NotRecorded(
            f"{request.model}, told to be {request.condition['value']}: the replayed records hold "
            f"no '{request.kind}' request {request.key} ({question[:LONGEST_QUOTE]}…); prompts, "
            "instruments or parameters have changed since they were recorded"
        )
