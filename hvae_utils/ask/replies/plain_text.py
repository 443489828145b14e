"""A reply made plain, and the payoffs in it turned into signs: what `reply_rules` reads.

One kind of digits, letters, quotes and dashes; no markdown, no invisible characters, no thinking
block. Payoffs that belong to exactly one option become one private character for that option. The
module must never decide anything: it only rewrites. Of a long reply only the two ends are kept.

Public names: SIGNS, UNKNOWN, PAYOFFS, is_sign, answer_part, plain, sign_payoffs.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

THINKING = (  # what stands in a closed block is left out
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis", "<|channel|>final"),
)
ENDS = 3000  # characters read at either end of a longer reply
SIGNS, UNKNOWN = "\ue000-\uf8fe", "\uf8ff"  # payoffs of option 0, 1, ...; of none or several
PAYOFFS = f"[{SIGNS}{UNKNOWN}]"


def is_sign(char: str) -> bool:
    """Say whether a character stands for the payoffs of exactly one option."""
    return "\ue000" <= char <= "\uf8fe"


# ---- a reply made plain -------------------------------------------------------------------------

SAME = str.maketrans(
    {"。": ".", "、": ",", "—": " - ", **dict.fromkeys("−–", "-"), **dict.fromkeys("\u2018’´", "'")}
    | {**dict.fromkeys("“”„«»", '"'), **dict.fromkeys("❌✗✘🚫👎≠¬", " not ")}
)
REWRITTEN = (  # (pattern, replacement), in order
    (r"\\n(?![a-z])", "\n"),
    (r"~~[^~\n]{1,200}~~", " ~ "),
    (r"\\(?:text|mathrm|mathbf|textbf) ?\{([^{}\n]{0,60})\}", r"\1"),
    (r"\\(?:boxed|fbox) ?\{([^{}\n]{1,60})\}", r"\nfinal answer: \1\n"),
    (r"(?i)<answer>([^<]{1,200})</answer>", r"\nfinal answer: \1\n"),
    (r"<(\w{1,12})>([^<>]{0,200})</\1>", r"\2"),
    (r"<\|[^|<>]{0,40}\|>|</?s>", " "),
    (r"(?i)\be\.g\.", "for example"),
    (r"(?i)\bi\.e\.", "that is"),
    (r"(?<=[\u3040-\u9fff\uac00-\ud7af])(?=[A-Za-z0-9])", " "),
    (r"(?<=[A-Za-z0-9])(?=[\u3040-\u9fff\uac00-\ud7af])", " "),
    (r"\.{2,}", " , "),
    (r"[*`#$\\\ufe0f\u20e3]", ""),
    (r"[_ ]+", " "),
    (r" ?\n\s*", "\n"),
    (r"(?m)^(?:[>•·▪◦] ?|[-+] )+", ""),
)


def answer_part(text: str) -> str | None:
    """Leave out thinking; None when it was begun and never ended, so that there is no answer."""
    for opening, closing in THINKING:
        start, end = text.find(opening), text.rfind(closing)
        if text.rfind(opening) > end:
            return None
        if end >= 0:
            text = (text[:start] if 0 <= start < end else "") + "\n" + text[end + len(closing) :]
    return text.strip()


def _plain_char(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    return "" if kind == "Cf" else " " if kind[0] == "Z" or kind in ("Cc", "Co") else char


def plain(text: str) -> str:
    """Return the text with one kind of every character, its long middle left out."""
    if len(text) > 2 * ENDS:  # cut at white space, so that no word becomes a label
        head, tail = text[:ENDS].rsplit(None, 1)[:-1], text[-ENDS:].split(None, 1)[1:]
        text = "".join([*head, " omitted\n", *tail])
    text = unicodedata.normalize("NFKC", re.sub("[\u2150-\u2188]", "?", text)).translate(SAME)
    text = "\n".join("".join(map(_plain_char, line)) for line in text.splitlines())
    for pattern, replacement in REWRITTEN:
        text = re.sub(pattern, replacement, text)
    return text.strip()


# ---- payoffs in a reply -------------------------------------------------------------------------

NUM = r"(?<![\w.])-?(?:0|[1-9]\d{0,8})(?:\.\d{1,4})?(?![\d%]|\.\d)"
COINS = rf"{NUM}(?: ?(?:coins?|points?|tokens?|units?)\b)?"
ROLE = (
    r"(?:the |an)?\b(?:I|me|myself|my|self|mine|you|yourself|your|others?|them|they|him|her|he|she|"
    r"partner|opponent|someone)\b(?:'s)?(?: (?:self|own|person|player|participant|party|coins?|"
    r"payoffs?|partner|opponent|else))*"
)
GETS = r"(?:'ll|'d| would| will)?(?: (?:gets?|receives?|keeps?|earns?|have|has))?[\"' :=]*"
AND = r"[\s,;\"')]*(?:and|while|with|but|&|/|whereas)?\s?"
FOR = r"[ (\"]*(?:for|to|go(?:es)? to)? ?"
ROLE_FIRST = re.compile(rf"(?i)({ROLE}){GETS}({COINS}){AND}({ROLE}){GETS}({COINS})")
ROLE_LAST = re.compile(rf"(?i)({COINS}){FOR}({ROLE}){AND}({COINS}){FOR}({ROLE})")
EACH = re.compile(
    rf"(?i)({COINS}) (?:each|apiece|for (?:each|both)(?: of us)?)\b|"
    rf"\b(?:we )?(?:both(?: of us)?|each) (?:get|receive|have)s? ({COINS})"
)
RUN = re.compile(rf"(?i){COINS}(?: ?(?:[,/|-]|and|&) ?{COINS})+")
GIVEN = re.compile(r"(?i)\b(?:you|others?|them|partner|gives?|giving|gets?|me)\b[^.,;!?\n]{0,25}$")


def _ordered(role: str, coins: str, other_role: str, other_coins: str) -> tuple[float, ...] | None:
    """Two roles with their coins -> (self, other); "you" is whichever the other role is not."""
    whose = ["self", "self"]
    for i, word in enumerate((role, other_role)):
        if re.search(r"(?i)other|them|they|him|her|\bhe\b|partner|opponent|someone", word):
            whose[i] = "other"
        elif re.match(r"(?i)you", word):
            whose[i] = "you"
    pair = tuple(float(re.match(NUM, number)[0]) for number in (coins, other_coins))
    clear = (["self", "other"], ["self", "you"], ["you", "other"])
    return pair if whose in clear else pair[::-1] if whose[::-1] in clear else None


def sign_payoffs(text: str, labels: dict[str, int], payoffs: np.ndarray | None) -> str:
    """Replace every pair of payoffs by the sign of the one option that has it, or by UNKNOWN."""

    def sign(pair: Sequence[float] | None) -> str:
        if pair is None or payoffs is None:
            return f" {UNKNOWN} "
        found = np.flatnonzero((np.abs(payoffs - np.array(pair)) < 1e-6).all(axis=1))
        return f" {chr(0xE000 + found[0]) if len(found) == 1 else UNKNOWN} "

    def run(m: re.Match) -> str:
        """Numbers as in the list, (self, other), unless the words around say otherwise."""
        numbers = re.findall(NUM, m[0])
        lead = f"{numbers.pop(0)}: " if len(numbers) % 2 and numbers[0] in labels else ""
        pairs = [(float(a), float(b)) for a, b in zip(numbers[::2], numbers[1::2], strict=False)]
        around = GIVEN.search(m.string[max(0, m.start() - 60) : m.start()])
        around = around or re.match(r"(?i) ?(?:for|to)\b", m.string[m.end() : m.end() + 5])
        signs = "".join(map(sign, pairs))
        unclear = len(numbers) % 2 or UNKNOWN in signs or (around and any(a != b for a, b in pairs))
        return lead + (sign(None) if unclear else signs)

    text = ROLE_FIRST.sub(lambda m: sign(_ordered(*m.groups())), text)
    text = ROLE_LAST.sub(lambda m: sign(_ordered(m[2], m[1], m[4], m[3])), text)
    text = EACH.sub(lambda m: sign((float(re.match(NUM, m[1] or m[2])[0]),) * 2), text)
    return RUN.sub(run, text)
