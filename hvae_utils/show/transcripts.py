"""Dialogues as people read them: what a model wrote is text, escaped and bounded in length.

What it thought before it wrote is folded: a reader opens it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

SHOWN_CHARACTERS = 4000  # of one message
SPEAKERS = {"system": "system", "user": "user", "assistant": "model"}
# Dark on light in every theme; the speaker's name is the second cue besides the shade.
SHADES = {"system": "#f3ecd8", "user": "#eef1f5", "assistant": "#e2f0ec"}


@dataclass(frozen=True)
class Transcript:
    """Messages with a title; displays as HTML in a notebook and as plain text elsewhere.

    A message has a role, content and, where the model thought before it, the thought.

    >>> Transcript("One question", ({"role": "user", "content": "A or B?"},))
    One question
    <BLANKLINE>
    [user]
    A or B?
    """

    title: str
    messages: tuple[Mapping[str, str], ...]

    def __repr__(self) -> str:
        turns = []
        for message in self.messages:
            if thought := message.get("thought"):
                turns.append(f"\n[thought]\n{_bounded(thought)}")
            turns.append(f"\n[{SPEAKERS[message['role']]}]\n{_bounded(message['content'])}")
        return "\n".join([self.title, *turns])

    def _repr_html_(self) -> str:
        blocks = "".join(_block(message) for message in self.messages)
        # a dollar sign in a reply is money, not mathematics
        opening = '<section class="tex2jax_ignore mathjax_ignore">'
        return f"{opening}<p><b>{escape(self.title)}</b></p>{blocks}</section>"


def of_record(record: Mapping[str, Any], last: int | None = None) -> Transcript:
    """Return the dialogue of one record: what was sent, then what came back.

    last: show only so many messages, the reply among them, and count the others.
    """
    reply = record["text"]
    if not reply and (reason := record["error"] or record.get("cause")):
        reply = f"({reason})"
    said = {"role": "assistant", "content": reply or "", "thought": record.get("thought") or ""}
    messages = (*record["messages"], said)
    title = f"{record['model']}, told to be {record['value']}"
    left_out = 0 if last is None else max(len(messages) - last, 0)
    if left_out:
        title += f" ({left_out} earlier messages)"
    return Transcript(title, messages[left_out:])


def _block(message: Mapping[str, str]) -> str:
    style = (
        f"background:{SHADES[message['role']]};color:#1b1b1b;padding:0.4em 0.7em;margin:0.3em 0;"
        "border-radius:4px;white-space:pre-wrap;overflow-wrap:anywhere;max-width:46em"
    )
    speaker, folded = SPEAKERS[message["role"]], ""
    if thought := message.get("thought"):
        summary = f"<summary>thought, {len(thought):,} characters</summary>"
        folded = f"<details>{summary}{escape(_bounded(thought))}</details>"
    said = escape(_bounded(message["content"]))
    return f'<div style="{style}">{folded}<b>{speaker}:</b> {said}</div>'


def _bounded(text: str) -> str:
    cut = len(text) - SHOWN_CHARACTERS
    return text if cut <= 0 else f"{text[:SHOWN_CHARACTERS]}… ({cut} more characters)"
