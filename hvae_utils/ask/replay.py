"""Replays: models answer from their records alone, without endpoints, keys and weights.

While `replaying` is in force, here and in the kernels started here, `models` gives a `Recorded` for
every model, under its recorded identity, so that each request finds its record. Reference
respondents answer as always.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hvae_utils.ask.respondents import Answer, Request, Respondent
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


class Recorded(Respondent):
    """A model of a replay: it has nothing to say beyond its records."""

    def __init__(self, name: str, identity: str) -> None:
        self.name, self.identity = name, identity

    async def answer(self, request: Request) -> Answer:
        """Raise NotRecorded: whatever reaches a respondent was not in the records."""
        question = " ".join(request.messages[-1]["content"].split())
        raise NotRecorded(
            f"{request.model}, told to be {request.condition['value']}: the replayed records hold "
            f"no '{request.kind}' request {request.key} ({question[:LONGEST_QUOTE]}…); prompts, "
            "instruments or parameters have changed since they were recorded"
        )
