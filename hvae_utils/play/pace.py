"""How fast the embedded model reads and writes on this machine: measured, in a few seconds.

Machines differ tenfold, and the same one from hour to hour. What a study reads is counted by the
characters of its prompts that no earlier prompt begins with, because the server keeps beginnings.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from hvae_utils.ask import models, prompts
from hvae_utils.ask.respondents import Answer, Request, Respondent
from hvae_utils.errors import EndpointError, UserError
from hvae_utils.measure import instruments, values

_WRITTEN = 40  # tokens that the model is given to write
_SAMPLES = 4  # prompts that are timed
_LEAST_S = 1e-4


@dataclass(frozen=True)
class Pace:
    """read: characters of prompts a second; written: tokens a second."""

    read: float
    written: float

    def seconds(self, characters: float, tokens: float) -> float:
        """Return how long it takes to read so many characters and to write so many tokens."""
        return characters / self.read + tokens / self.written


def new_characters(requests: Iterable[Request]) -> int:
    """Return the characters of all prompts that no other prompt begins with, each counted once.

    >>> def asked(text): return Request("item", "m", ({"content": text},), {}, 1, 0.0, 1)
    >>> new_characters([asked("one two"), asked("one three"), asked("one two")])
    11
    """
    texts = sorted("".join(message["content"] for message in one.messages) for one in requests)
    return sum(map(len, texts)) - sum(_shared(*pair) for pair in pairwise(texts))


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def measured(name: str) -> Pace | None:
    """Return the pace of a model, by asking it a few items and one short text.

    None where it cannot be asked: its weights are not there, say.
    """
    try:
        # not the usual loop: that of Windows watches no sockets for libcurl
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(_measured(models.respondent(name, {}, 1)))
    except (UserError, EndpointError):
        return None


async def _measured(respondent: Respondent) -> Pace:
    game = instruments.load("svo-slider")
    texts = [
        prompts.item_text(prompts.load(pack), values.get("none"), game, prompts.present(game, item))
        for item, pack in enumerate(prompts.WORDINGS[: _SAMPLES + 1])
    ]
    async with respondent:
        await _timed(respondent, texts.pop(), 1)  # the first one loads and warms up
        reading = [await _timed(respondent, text, 1) for text in texts]
        short = "Describe a quiet street in the morning."
        started = await _timed(respondent, short, 1)
        writing, answer = await _timed_answer(respondent, f"{short} Take your time.", _WRITTEN)
    tokens = answer.completion_tokens or _WRITTEN
    written = tokens / max(writing - started, _LEAST_S)
    read = sum(map(len, texts)) / max(sum(reading) - len(texts) / written, _LEAST_S)
    return Pace(read, written)


async def _timed(respondent: Respondent, text: str, tokens: int) -> float:
    seconds, _ = await _timed_answer(respondent, text, tokens)
    return seconds


async def _timed_answer(respondent: Respondent, text: str, tokens: int) -> tuple[float, Answer]:
    """Return the seconds that one request took, and its answer."""
    condition = {"value": "none"}
    messages = ({"role": "user", "content": text},)
    request = Request("check", respondent.name, messages, condition, tokens, 0.0, 1)
    started = time.perf_counter()
    answer = await respondent.answer(request)
    if answer.error:
        raise UserError(f"{respondent.name} could not be timed: {answer.error}")
    return time.perf_counter() - started, answer
