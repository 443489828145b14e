"""What a respondent's reply says: one of six outcomes, and the option if it names one.

A label counts only where the reply decides for it; what is unclear is `unparseable`: a missing
answer widens bounds, a wrong one is wrong data. A reply is made plain (`plain_text`), then rules
are tried, strongest first. The first that finds anything decides, if it finds ONE option:

1. marked    "\\boxed{C}", "<answer>C</answer>", "final answer: C"
2. declared  "I choose C", "my answer is C", '{"choice": "C"}', "Ich wähle C", "..., therefore C."
3. bare      a line or sentence that is nothing but "C", "(c)", "Option C", "C: 88, 63", "88, 63"
4. stated    a line opening with "C." or "C because"; "would choose C"; "the best option is C"

The words "A" and "I" are labels only where a label can end. Look-alikes of other alphabets and
Roman numerals are not read: there they stand at other places.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hvae_utils.ask.replies.cues import cue
from hvae_utils.ask.replies.plain_text import (
    SIGNS,
    UNKNOWN,
    is_sign,
    only_ticked,
    plain,
    sign_payoffs,
    with_label,
)
from hvae_utils.ask.replies.rules import RULES, Decision, Labels, bare, labels_for
from hvae_utils.ask.replies.thoughts import split_thought
from hvae_utils.ask.respondents import PROBABILITY_FLAGS
from hvae_utils.measure.scoring import OUTCOMES as OUTCOMES

FLOOR = -99.0  # log-probabilities from here down stand for "not computed"
CERTAIN = 1e-6  # how far from 0 the logarithm of 1 may be
ROUNDING = 0.01  # how far above 0 rounding may put a log-probability
MOST = 1.02  # how far rounding may put the sum of probabilities


@dataclass(frozen=True)
class Reply:
    """One outcome; `index` is the 0-based place among the labels as shown, None unless a choice."""

    outcome: str
    index: int | None
    evidence: str  # at most 120 characters: the piece of text, or the rule, that decided


def parse(text: str, labels: Sequence[str], payoffs: np.ndarray | None = None) -> Reply:
    """Read one reply: choice, refusal, unparseable or empty.

    labels: as shown, distinct (UserError); payoffs: (options, 2), (self, other), in coins, as
    shown; without it only labels are read. A label wins over payoffs of no option or several;
    beside those of one other option it is unparseable. Payoffs alone decide if no others are named.

    >>> parse("Both are fair, but I choose B.", "AB")
    Reply(outcome='choice', index=1, evidence='declared: I choose B')
    >>> parse("A or B", "AB").outcome
    'unparseable'
    """
    patterns = labels_for(tuple(labels))
    parts = split_thought(text)
    if not parts.closed:
        return Reply("unparseable", None, "thinking never ended")
    text = plain(parts.reply)
    if not text:
        return Reply("empty", None, "no text")
    text = with_label(only_ticked(text, patterns.label), patterns.index)
    payoffs = None if payoffs is None else np.asarray(payoffs, dtype=float)
    return _judge(patterns, sign_payoffs(text, patterns.index, payoffs), payoffs)


def _judge(labels: Labels, text: str, payoffs: np.ndarray | None) -> Reply:
    """Apply the rules in order; the first that finds anything decides."""
    retracted = max((m.start() for m in cue("retract").finditer(text)), default=0)
    refusal = cue("refusal").search(text)
    for name, rule in RULES:
        decisions = rule(labels, text)
        later = [decision for decision in decisions if decision.start >= retracted]
        if not decisions:
            continue
        first = (later or decisions)[0]
        evidence = _shown(f"{name}: {text[first.start : first.end]}", payoffs)
        if len({decision.index for decision in later or decisions}) > 1:
            return Reply("unparseable", None, f"{name}: several options")
        if not later and len(labels.mentioned(text)) > 1:
            return Reply("unparseable", None, f"{name}: taken back")
        if conflict := _conflict(labels, text, first):
            return Reply("unparseable", None, f"{evidence[:80]}: {conflict}")
        if name == "declared" and {other.index for other in bare(labels, text)} - {first.index}:
            return Reply("unparseable", None, f"{evidence[:80]}: another label stands alone")
        if name == "stated" and refusal:
            break
        return Reply("choice", first.index, evidence)
    if refusal := refusal or cue("no_values").search(text):
        return Reply("refusal", None, _shown(refusal[0], payoffs))
    return Reply("unparseable", None, "no option is decided for")


def _conflict(labels: Labels, text: str, choice: Decision) -> str:
    """Name what contradicts the one option decided for; empty when nothing does."""
    lines = [m for m in labels.cue("listed").finditer(text) if is_sign(m["payoffs"])]
    beside = {labels.place(m["payoffs"]) for m in lines if labels.place(m["x"]) == choice.index}
    others = {m.start("payoffs") for m in lines if labels.place(m["x"]) != choice.index}
    signs = {m.start(): labels.place(m[0]) for m in re.finditer(f"[{SIGNS}]", text)}
    if not choice.label:
        named = {*signs.values()} | labels.mentioned(text)
        return "another option is named too" if named - {choice.index} else ""
    later = {place for at, place in signs.items() if at >= choice.start and at not in others}
    if beside - {choice.index} or (len(later) == 1 and later != {choice.index}):
        return "its payoffs are another option's"
    return ""


def _shown(text: str, payoffs: np.ndarray | None) -> str:
    """Return text as evidence: payoffs instead of signs, one line, at most 120 characters."""

    def back(m: re.Match) -> str:
        clear = payoffs is not None and m[0] != UNKNOWN
        return "{:g}, {:g}".format(*payoffs[ord(m[0]) - 0xE000]) if clear else "(payoffs)"

    return _line(cue("payoffs").sub(back, text))


def read(
    text: str | None,
    finish_reason: str | None,
    error: str | None,
    labels: Sequence[str],
    payoffs: np.ndarray | None = None,
    cause: str = "",
) -> Reply:
    """Read one answer of an endpoint: `parse`, and what only the endpoint knows.

    truncated: `finish_reason` is "length" or "cut" and no choice was made, or the cut may have made
    it: of a word, a number or the first line of an option list. A content filter that leaves no
    choice is a refusal. cause: why there is nothing to read, in words; the evidence where it says
    more than the text does.

    >>> read("", "length", None, "AB", cause="thought for 199 of 200 tokens")
    Reply(outcome='truncated', index=None, evidence='thought for 199 of 200 tokens')
    """
    if error:
        return Reply("error", None, _line(error) or "error")
    text, cause = text or "", _line(cause)
    reply = parse(text, labels, payoffs)
    if finish_reason in ("length", "cut"):
        without_stump = re.sub(r"(?<!\w)(?:[AI]|[a-z]|\d+)[\s*`\"']*$", "", text[-200:])
        whole = parse(text[:-200] + without_stump, labels, payoffs)
        first_line = reply.index == 0 and re.fullmatch(r"\W*\w+\W+[\d.]+\W*[\d.]*\W*", text[:200])
        if reply.outcome != "choice" or whole.index != reply.index or first_line:
            return Reply("truncated", None, cause or _line(f"cut off: {reply.evidence}"))
    if finish_reason == "content_filter" and reply.outcome != "choice":
        return Reply("refusal", None, cause or "finish_reason content_filter")
    return Reply("empty", None, cause) if cause and reply.outcome == "empty" else reply


def _line(text: object) -> str:
    """Return text as evidence: one line, at most 120 characters."""
    return " ".join(str(text)[:2000].split())[:120]


@lru_cache(maxsize=4096)
def _unmarked(token: str) -> str:
    """Return a token without the marks around a label, lower case."""
    form = plain(token.lstrip("▁Ġ"))  # marks of a space in raw vocabularies
    return re.sub(r"^[\"'(\[{<]+|[.,:;)\]}>\"]+$", "", form).casefold()


def label_mass(top_logprobs: Sequence[tuple[str, float]], labels: Sequence[str]) -> np.ndarray:
    """Return the probability that the first answer token is each label, (labels,) as shown.

    Sums every token form of a label ("A", " A", "a", "A.", "**A", "(A", full-width); 0 for labels
    without a token. A token "I" may be the pronoun. The sum is whatever the list makes it, above 1
    where it is no distribution (see `flags_of`); a list with a positive log-probability gives 0.

    >>> label_mass([("A", -0.5), (" a", -3.0), ("The", -2.0)], ["A", "B"]).round(3).tolist()
    [0.656, 0.0]
    """
    index = labels_for(tuple(labels)).index
    parts: list[list[float]] = [[] for _ in labels]
    if not any(logprob > ROUNDING for _, logprob in top_logprobs):
        for token, logprob in top_logprobs:
            place = index.get(_unmarked(token))
            if place is not None and not math.isnan(logprob):
                parts[place].append(math.exp(logprob))
    return np.array([math.fsum(part) for part in parts])


def flags_of(top_logprobs: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """Return what is wrong with a list of first tokens as a distribution, of PROBABILITY_FLAGS.

    one-hot: one token is certain and every other, if any, at a floor: no probability was computed.
    Repeated: a token stands twice, one that shows no whole character aside. Above one: the sum.

    >>> flags_of([("C", 0.0), ("A", -9999.0)])
    ('one-hot',)
    >>> flags_of([("C", -0.1), ("C", -0.1)])
    ('repeated entries', 'sum above one')
    """
    if not top_logprobs:
        return ()
    tokens, values = zip(*top_logprobs, strict=True)
    best, repeated = max(values), len(set(tokens)) < len(tokens)
    if repeated:
        tokens = [token for token in tokens if token and "\ufffd" not in token]
        repeated = len(set(tokens)) < len(tokens)
    above = best > ROUNDING or math.fsum(map(math.exp, values)) > MOST
    one_hot = abs(best) < CERTAIN and all(other <= FLOOR for other in sorted(values)[:-1])
    if not (one_hot or repeated or above):
        return ()
    found = (one_hot, repeated, above)
    return tuple(flag for flag, holds in zip(PROBABILITY_FLAGS, found, strict=False) if holds)
