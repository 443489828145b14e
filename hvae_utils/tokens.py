"""How many tokens a prompt has: by the model's own tokenizer where it is local, else about.

A prompt becomes a string of equal units, so that prompts can be counted and laid over each other:
what a server that keeps evaluated prefixes must read is the number of distinct prefixes. Nothing
is generated here.

Public names: CHARACTERS_PER_TOKEN, Counter, Approximate, Own, counter, distinct.
"""

import array
import http.client
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from hvae_utils import local
from hvae_utils.errors import EndpointError, UserError

# Marks of the turns included. With the tokenizer of the embedded model, whose digits are tokens of
# their own, the prompts of a profile come out 8% too long (default) to 4% too short (paper).
CHARACTERS_PER_TOKEN = 3.3
ANSWER_S = 60.0

Messages = Sequence[Mapping[str, str]]


class Counter(Protocol):
    """Turns prompts into strings of units; about: how it counts; width: bytes of a unit."""

    about: str
    width: int
    tokens_per_unit: float

    def units(self, messages: Messages) -> bytes:
        """Return a prompt as units of `width` bytes: same beginning, same first units."""

    def close(self) -> None:
        """Release what was opened."""


class Approximate:
    """Counts characters: about right for English prompts, on any tokenizer of today."""

    about = f"about, {CHARACTERS_PER_TOKEN:g} characters a token"
    width = 1
    tokens_per_unit = 1 / CHARACTERS_PER_TOKEN

    def units(self, messages: Messages) -> bytes:
        """Return the text with a mark before each turn, as a chat template writes one."""
        text = "".join(f"<|{turn['role']}|>\n{turn['content']}\n" for turn in messages)
        return text.encode("utf-8", "replace")

    def close(self) -> None:
        """Nothing was opened."""


class Own:
    """The tokenizer and chat template of local weights, through a server inside this process."""

    about = "the model's own tokenizer"
    width = 4
    tokens_per_unit = 1.0

    def __init__(self, name: str) -> None:
        self._server = local.serve(local.find(name), f"local/{name}")
        address = urlsplit(self._server.listening_address).netloc
        self._http = http.client.HTTPConnection(address, timeout=ANSWER_S)

    def units(self, messages: Messages) -> bytes:
        """Return the tokens that the server would evaluate, as unsigned 32-bit numbers."""
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
        prompt = self._post("/apply-template", {"messages": turns})["prompt"]
        found = self._post("/tokenize", {"content": prompt, "add_special": True})["tokens"]
        return array.array("I", found).tobytes()

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self._http.request("POST", path, json.dumps(body), {"Content-Type": local.JSON})
        return json.loads(self._http.getresponse().read())

    def close(self) -> None:
        """Stop the server and release its memory."""
        self._http.close()
        self._server = None


def counter(model: str) -> Counter:
    """Return the counter of a model's name: its own if it is local and its weights are here."""
    family, _, name = model.partition("/")
    if family == "local":
        try:
            return Own(name)
        except (UserError, EndpointError):
            pass
    return Approximate()


def distinct(prompts: Iterable[bytes], width: int) -> int:
    """Return the number of distinct non-empty prefixes, in units of `width` bytes.

    It is the size of the trie of all prompts: each unit that a server with unlimited prefix reuse
    has to evaluate, once.
    """
    total, before = 0, b""
    for prompt in sorted(prompts):  # neighbours share the longest prefixes
        total += (len(prompt) - _shared(before, prompt, width)) // width
        before = prompt
    return total


def _shared(one: bytes, other: bytes, width: int) -> int:
    """Return the bytes of the whole units with which both begin, by halving."""
    same, differ = 0, min(len(one), len(other)) + 1
    while differ - same > 1:
        middle = (same + differ) // 2
        if one[:middle] == other[:middle]:
            same = middle
        else:
            differ = middle
    return same - same % width
