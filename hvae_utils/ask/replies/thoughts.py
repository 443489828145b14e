"""A model's thought kept apart from its reply, by the marks of `cues.toml` that begin and end one.

A thought is never read for a letter: what cannot be told from a thought counts as one.
Public names: Thought, split_thought.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from hvae_utils.ask.replies.cues import table

Pairs = tuple[tuple[str, str], ...]
SHORTEST = 7  # characters of the shortest mark that is built in, [THINK]
MOST_MARKS = 2000  # in one text; what has more is a thought that never ended


@dataclass(frozen=True)
class Thought:
    """The parts of one text."""

    thought: str | None  # None where nothing was thought aloud
    reply: str  # all that is no thought; the text as it was where no mark is in it
    closed: bool  # False: a thought began and never ended


def split_thought(text: str, tags: Sequence[Sequence[str]] = ()) -> Thought:
    """Take the thought out of a text that a model wrote.

    tags: pairs of marks that begin and end a thought, besides those built in. What stands before
    a closing mark that nothing opened is a thought, too; a mark in quotes or "<think> tags" in a
    sentence is none. The time grows with the length of the text, whatever it holds.

    >>> split_thought("<think>A is fair.</think>\\n\\nB")
    Thought(thought='A is fair.', reply='B', closed=True)
    >>> split_thought("<think>A is fair, but")
    Thought(thought='A is fair, but', reply='', closed=False)
    """
    if len(text) < SHORTEST and not tags:
        return Thought(None, text, True)
    pieces: list[str] = []
    shown: list[int] = []  # which pieces are visible
    inside, nested, at = "", 0, 0
    marks = _marks_in(text, tuple((str(begin), str(end)) for begin, end in tags))
    for number, (role, kind, m) in enumerate(marks):
        if number == MOST_MARKS:
            return Thought(text, "", False)
        if inside and kind != inside:
            continue
        if inside and role == "begins":  # another in it, unless the mark only stands twice
            apart = text[max(at, m.start() - 20) : m.start()].strip()
            nested += bool(apart) and not kind.isdigit()
            continue
        if nested or (role == "ends" and not inside):
            nested = max(0, nested - 1)
            continue
        if role == "begins":
            shown.append(len(pieces))
        elif not inside or m[0].endswith("final"):  # a channel: only the last is the reply
            shown.clear()
        inside = kind if role == "begins" else ""
        pieces.append(text[at : m.start()])
        at = m.end()
    if not at:
        return Thought(None, text, True)
    if not inside:
        shown.append(len(pieces))
    pieces = [_LEFTOVER.sub(" ", piece).strip() for piece in [*pieces, text[at:]]]
    visible = set(shown)
    thoughts = [piece for i, piece in enumerate(pieces) if piece and i not in visible]
    reply = "\n".join(pieces[i] for i in shown if pieces[i])
    return Thought("\n".join(thoughts) or None, reply, not inside)


_LEFTOVER = re.compile(r"<\|start\|>assistant|<\|[^|<>]{0,40}\|>")  # marks that say nothing more
_ROLES = ("begins", "closes", "ends")


@lru_cache(maxsize=64)
def _marks(pairs: Pairs) -> re.Pattern:
    """Return a pattern of all marks; its last group is "tag", or names a role and a kind."""
    rows = [[*map(re.escape, pair), ""] for pair in pairs] + table()["plain"]["thinking"]
    parts = [
        f"(?P<{role}_{kind}>{pattern})"
        for kind, row in enumerate(rows)
        for role, pattern in zip(_ROLES, row, strict=True)
        if pattern
    ]
    tags = "|".join(table()["plain"]["tags"])  # in other letters or escaped, too
    tag = rf"(?:[<＜]|&lt;)\s?(?P<end>/?)\s?(?P<tag>{tags})(?:\s[^<>]{{0,200}}?)?(?:[>＞]|&gt;)"
    parts.insert(2 * len(pairs), tag)
    return re.compile(rf"(?i){'|'.join(parts)}")


@lru_cache(maxsize=64)
def _begins(pairs: Pairs, letters: str) -> re.Pattern:
    """Return a pattern of the places where a mark can begin; letters: of the marks in words."""
    given = "".join(mark[:1] for pair in pairs for mark in pair)
    first = re.escape("<＜&[◁" + letters + given.lower() + given.upper())
    return re.compile(f"[{first}]" + ("" if given else "(?![<＜])"))


def _marks_in(text: str, pairs: Pairs) -> Iterator[tuple[str, str, re.Match]]:
    """Yield (role, kind, match) of each mark in a text that is not only spoken of."""
    letters = "a" if "assistant" in text else ""
    letters += "Hh" if "my response:" in text.lower() else ""
    marks, end = _marks(pairs), 0
    for at in chain([0], (place.start() for place in _begins(pairs, letters).finditer(text))):
        m = marks.match(text, at) if at >= end else None
        if m is None:
            continue
        end = m.end()
        if m.lastgroup == "tag":
            role, kind = "closes" if m["end"] else "begins", m["tag"].casefold()
            before, after = text[max(0, m.start() - 40) : m.start()], text[m.end() : m.end() + 12]
            if _spoken_of(before.rpartition("\n")[2], after):
                continue
        else:
            role, kind = m.lastgroup.split("_")
        yield role, kind, m


def _spoken_of(before: str, after: str) -> bool:
    """Say whether a tag between these two pieces of its line is a word of a sentence."""
    quote = before[-1:]
    if quote and quote in "\"'`":
        quoted = before[-2:-1] in " \t(" and after[:1] == quote and not after[1:2].isalnum()
        return quoted and re.search(r"\w", before) is not None
    if re.match(r"(?i) (?:(?:and|or|to) </|(?:tag|block|section|marker)s?\b)", after):
        return re.search(r"\w,? $", before) is not None
    return before.endswith(("> and ", "> or ", "> to "))
