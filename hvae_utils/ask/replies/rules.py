"""The four rules that say which option a reply decides for, and what denies it.

A rule takes the labels and a plain text with signs and returns the options decided for, in order.
Not counted: a label denied, supposed, asked, another's, or a line of a repeated option list.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from hvae_utils.ask.replies.cues import cue, deciding
from hvae_utils.ask.replies.plain_text import is_sign, plain
from hvae_utils.errors import UserError


class Labels:
    """One set of labels: `index` is label -> place as shown, `label` a pattern for all forms."""

    def __init__(self, labels: tuple[str, ...]):
        names = [plain(label) for label in labels]
        self.index = {name.casefold(): i for i, name in enumerate(names)}
        if not names or len(self.index) != len(names) or "" in self.index:
            raise UserError(f"labels must be distinct and not empty, not: {', '.join(labels)}")
        names.sort(key=lambda name: (-len(name), name))  # any order: the same patterns
        upper = [name for name in names if name.isalpha() and name.isupper() and name not in "AI"]
        end, any_case = cue("end").pattern, "|".join(map(re.escape, names))
        kinds = [rf"(?:{'|'.join(upper)}){end}"] if upper else []
        kinds += [rf"A{end}{cue('settled_a').pattern}"] if "A" in names else []
        kinds += [rf"(?i:{any_case}){end}{cue('settled').pattern}"]
        self.label = rf"{cue('start').pattern}(?:{'|'.join(kinds)})"
        self.digit = r"\d\d" if any(name.isdigit() for name in names) else r"\d"

    def cue(self, name: str) -> re.Pattern:
        """Return the pattern of a name for these labels."""
        return cue(name, self.label, self.digit)

    def place(self, x: str) -> int:
        """Return the place of a label or a sign."""
        return ord(x) - 0xE000 if is_sign(x) else self.index[x.casefold()]

    def mentioned(self, text: str) -> set[int]:
        """Return the places of all labels in a text, decided for or not."""
        return {self.place(m[0]) for m in re.finditer(self.label, text)}


labels_for = lru_cache(maxsize=64)(Labels)


@dataclass(frozen=True)
class Decision:
    """An option decided for: its place, where in the text, and whether by its label."""

    index: int
    start: int
    end: int
    label: bool  # False: by its payoffs alone


def _begin(m: re.Match) -> int:
    return m.start() + re.search(rf"\w|{cue('payoffs').pattern}", m[0]).start()


def _all_strung(labels: Labels, text: str, m: re.Match, at: int = 0) -> Iterator[Decision]:
    """Yield the answer of a match and all it is strung together with ("B or C", "A, B, C")."""
    start = at + _begin(m)
    for _ in range(len(labels.index) + 1):
        if not m:
            break
        end = at + m.end("x")
        yield Decision(labels.place(m["x"]), start, end, not is_sign(m["x"]))
        m, at = labels.cue("next_of_several").match(text, end), 0


def _denied(labels: Labels, text: str, m: re.Match, strong: bool) -> bool:
    """Say whether the words around a cue deny, suppose, ask or take back what it says."""
    start, rest = _begin(m), text[m.end("x") : m.end("x") + 500]
    within = text[start : m.start("x")]
    sentence = cue("sentence").split(text[max(0, start - 300) : start])[-1]
    hedged = re.split(r"(?i)\bbut\b", sentence)[-1] if strong else sentence
    clause = cue("clause").split(sentence)[-1] if strong else sentence
    negated = cue("negative").search(clause + within)
    if negated or cue("hedge").search(hedged) or cue("taken_back").match(rest):
        return True
    if not re.search(r"(?i)\b(?:I|we|my|our)\b", within) and cue("others").search(sentence):
        return True
    turn = cue("contrast").search(rest)
    if not turn or (strong and not re.search(r"(?i)\b(?:would|want|need|like)\b|'d\b", within)):
        return False
    later = labels.mentioned(rest[turn.end() :]) - {labels.place(m["x"])}
    return bool(later) or not cue("sentence").search(rest[: turn.start()])


def _cued(labels: Labels, text: str, rule: str) -> list[Decision]:
    """Find what the cues of a rule decide for."""
    matches = [m for name in deciding(rule) for m in labels.cue(name).finditer(text)]
    decided = [m for m in matches if not _denied(labels, text, m, strong=rule != "advised")]
    return [decision for m in decided for decision in _all_strung(labels, text, m)]


def _completes_denial(text: str, start: int) -> bool:
    """Say whether a piece ends a sentence begun before it that denies it ("The worst is:\\nB")."""
    before = text[max(0, start - 200) : start].rstrip()
    if cue("none").search(before):
        return True
    verb = cue("verb").pattern
    if not re.search(rf"(?i)(?:[:,]|\b(?:{verb}|is|option|not|never))$", before[-20:]):
        return False
    sentence = cue("sentence").split(before)[-1]
    return bool(cue("negative").search(sentence) or cue("hedge").search(sentence))


def _not_echoed(labels: Labels, text: str, decisions: list[Decision]) -> list[Decision]:
    """Leave out a repeated option list, and the label due next where the list broke off."""
    lines = list(labels.cue("listed").finditer(text))
    if len({labels.place(m["x"]) for m in lines}) < 2:
        return decisions
    ends = {m.end("x") for m in lines}
    due = labels.place(lines[-1]["x"]) + 1
    return [d for d in decisions if d.label and d.end not in ends and d.index != due]


def _pieces(
    labels: Labels, text: str, boundary: str, name: str
) -> Iterator[tuple[int, int, re.Match]]:
    """Yield (start, end, match) of each piece of a text that a cue matches and nothing denies."""
    start = 0
    for end, following in [*(m.span() for m in re.finditer(boundary, text)), (len(text), 0)]:
        m = labels.cue(name).match(text[start:end])
        if m and not _completes_denial(text, start):
            yield start, end, m
        start = following


def bare(labels: Labels, text: str) -> list[Decision]:
    """Find the lines and sentences that are nothing but an answer."""
    decisions = []
    for start, end, m in _pieces(labels, text, cue("break").pattern, "bare"):
        rest = text[end : end + 20]
        listed = m["x"].isdigit() and re.match(r"\. ?\w", rest)  # "1. First, ..."
        broken_off = m["x"] == "I" and not rest and text[start] == " "  # "Fine. I"
        if not listed and not broken_off:
            decisions += _all_strung(labels, text, m, start)
    return _not_echoed(labels, text, decisions)


def _reason(then: str, rest: str) -> bool:
    """Say whether "I, because ..." gives a reason and goes on to say nothing of what I do."""
    verb = rf",[^.;!?\n]*\b(?:{cue('verb').pattern}|I|would|will|can|do|want|am|think)\b"
    return "cause" in then.lower() and not re.match(rf"(?i)[^.;!?\n,]*{verb}", rest)


def _opens(labels: Labels, m: re.Match, rest: str) -> bool:
    """Say whether an opening label is one: no pronoun, list number, speaker's mark or complaint."""
    x, then = m["x"].casefold(), m["then"]
    prose = re.match(r"\s*[^\W\d]", rest) and not re.match(labels.label, rest.lstrip())
    mark = (x in "aq" and ":" in then) or (x == "1" and re.match(r"[.)]", then))
    pronoun = x == "i" and re.match(r",|,? ?- ", then) and not _reason(then, rest)
    complaint = re.match(r"(?i)\W*(?:\?|(?:no|not|never|unfair|bad|too|wrong|worst)\b)", rest)
    turn = re.search(rf"{cue('contrast').pattern}|\b(?:so|therefore|thus|hence)\b", rest)
    named = re.finditer(labels.label, rest)
    others = {labels.place(m[0]) for m in named if rest[m.end() : m.end() + 1] in (")", ":")}
    others |= labels.mentioned(rest[turn.end() :]) if turn else set()
    return not ((prose and mark) or pronoun or complaint or others - {labels.place(m["x"])})


def _declared(labels: Labels, text: str) -> list[Decision]:
    decisions = _cued(labels, text, "declared")
    listed = re.match(rf"\W*{labels.label}[):]", text)  # "A) I am fair, so E" goes through a list
    for last in [] if listed else _cued(labels, text, "concluded"):
        sentence = cue("sentence").split(text[: last.start])[-1]
        if not cue("no_reason").search(sentence) and not labels.mentioned(sentence) - {last.index}:
            decisions.append(last)
    return decisions


def _stated(labels: Labels, text: str) -> list[Decision]:
    decisions = []
    for start, _, m in _pieces(labels, text, "\n", "opening"):
        if _opens(labels, m, text[start + m.end() :][:500]):
            decisions += _all_strung(labels, text, m, start)
    return _cued(labels, text, "advised") + _not_echoed(labels, text, decisions)


RULES = (
    ("marked", lambda labels, text: _cued(labels, text, "marked")),
    ("declared", _declared),
    ("bare", bare),
    ("stated", _stated),
)
