"""A reply made plain, and the payoffs in it turned into signs, before any rule reads it.

Plain: one kind of digits, letters, quotes and dashes; no markdown or invisible characters; of a
long reply the two ends. Payoffs of exactly one option become its private character.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from hvae_utils.ask.replies.cues import cue, table

_COLOURS = r"\x1b?\[\d{0,3}(?:;\d{1,3}){0,9}m"  # of a terminal
_STRUCK = r"\x1b\[9m[^\x1b]{0,200}"
ENDS = 3000  # characters read at either end of a longer reply
SIGNS, UNKNOWN = "\ue000-\uf8fe", "\uf8ff"  # payoffs of option 0, 1, ...; of none or several


def is_sign(char: str) -> bool:
    """Say whether a character stands for the payoffs of exactly one option."""
    return "\ue000" <= char <= "\uf8fe"


@lru_cache
def _same() -> dict[int, str]:
    variants = table()["plain"]["same"].items()
    return {ord(char): form for form, chars in variants for char in chars}


def _plain_char(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    return "" if kind == "Cf" else " " if kind[0] == "Z" or kind in ("Cc", "Co") else char


def plain(text: str) -> str:
    """Return the text with one kind of every character, its long middle left out."""
    text = re.sub(_COLOURS, "", re.sub(_STRUCK, " ~ ", text)) if "m" in text else text
    if len(text) > 2 * ENDS:  # cut at white space, so that no word becomes a label
        head, tail = text[:ENDS].rsplit(None, 1)[:-1], text[-ENDS:].split(None, 1)[1:]
        text = "".join([*head, " omitted\n", *tail])
    text = unicodedata.normalize("NFKC", re.sub("[\u2150-\u2188]", "?", text)).translate(_same())
    text = "\n".join("".join(map(_plain_char, line)) for line in text.splitlines())
    for pattern, replacement in table()["plain"]["rewritten"].items():
        text = re.sub(pattern, replacement, text)
    return text.strip()


def only_ticked(text: str, label: str) -> str:
    """Leave of lines with boxes, at a <label>, what is ticked; "[x]" may be a label itself."""
    if not cue("box").search(text):
        return text
    is_label = re.match(label, "x") is not None
    behind = re.compile(rf"\W*(?P<label>{label})\W{{0,3}}?(?:{cue('box').pattern})\W*")

    def left(line: str) -> str:
        boxes = [
            m
            for m in cue("box").finditer(line)
            if not (is_label and m["x"])
            or re.match(rf"\W*(?:(?i:option) )?{label}", line[m.end() :])
        ]
        if not boxes or not re.fullmatch(r"[^\w~]{0,12}", line[: boxes[0].start()]):
            m = behind.fullmatch(line)
            return line if not m or (is_label and m["x"]) else m["label"] if m["ticked"] else "~"
        ends = [*(m.start() for m in boxes[1:]), len(line)]
        spans = zip(boxes, ends, strict=True)
        return "\n".join([line[m.end() : end].strip() for m, end in spans if m["ticked"]]) or "~"

    return "\n".join(map(left, text.split("\n")))


_PLACES = {
    word: place
    for words in (
        "first second third fourth fifth sixth seventh eighth ninth",
        "one two three four five six seven eight nine",
        "1st 2nd 3rd 4th 5th 6th 7th 8th 9th",
    )
    for place, word in enumerate(words.split())
}


def with_label(text: str, labels: dict[str, int]) -> str:
    """Name the label where the whole text is "the second option" or "option two"."""
    m = cue("nth").match(text)
    place = _PLACES.get((m["nth"] or m["number"]).casefold(), len(labels)) if m else len(labels)
    if place >= len(labels):
        return text
    label = next(label for label, at in labels.items() if at == place)
    if any(name.isdigit() for name in labels) and label != str(place + 1):
        return text  # the numbers are not in the order of the places
    return f"{text[: m.start('place')]}option {label.upper()}{text[m.end('place') :]}"


def _amount(text: str) -> float:
    return float(cue("number").match(text)[0])


def _ordered(role: str, coins: str, other_role: str, other_coins: str) -> tuple[float, ...] | None:
    """Two roles with their coins -> (self, other); "you" is whichever the other role is not."""
    whose = ["self", "self"]
    for i, word in enumerate((role, other_role)):
        if re.search(r"(?i)other|them|they|him|her|\bhe\b|partner|opponent|someone", word):
            whose[i] = "other"
        elif re.match(r"(?i)you", word):
            whose[i] = "you"
    pair = _amount(coins), _amount(other_coins)
    clear = (["self", "other"], ["self", "you"], ["you", "other"])
    return pair if whose in clear else pair[::-1] if whose[::-1] in clear else None


def sign_payoffs(text: str, labels: dict[str, int], payoffs: np.ndarray | None) -> str:
    """Replace every pair of payoffs by the sign of the one option that has it, or by UNKNOWN."""

    def sign(pair: Sequence[float] | None) -> str:
        if pair is None or payoffs is None:
            return f" {UNKNOWN} "
        same = np.flatnonzero((np.abs(payoffs - np.array(pair)) < 1e-6).all(axis=1))
        return f" {chr(0xE000 + same[0]) if len(same) == 1 else UNKNOWN} "

    def pairs(m: re.Match) -> str:
        """Numbers as in the list, (self, other), unless the words around say otherwise."""
        numbers = cue("number").findall(m[0])
        lead = f"{numbers.pop(0)}: " if len(numbers) % 2 and numbers[0] in labels else ""
        pairs = [(float(a), float(b)) for a, b in zip(numbers[::2], numbers[1::2], strict=False)]
        around = cue("to_someone").search(m.string[max(0, m.start() - 60) : m.start()])
        around = around or re.match(r"(?i) ?(?:for|to)\b", m.string[m.end() : m.end() + 5])
        signs = "".join(map(sign, pairs))
        unclear = len(numbers) % 2 or UNKNOWN in signs or (around and any(a != b for a, b in pairs))
        return lead + (sign(None) if unclear else signs)

    text = cue("taken").sub(lambda m: f"take{sign((_amount(m[1]), _amount(m[2])))}", text)
    text = cue("role_first").sub(lambda m: sign(_ordered(*m.groups())), text)
    text = cue("role_last").sub(lambda m: sign(_ordered(m[2], m[1], m[4], m[3])), text)
    text = cue("each").sub(lambda m: sign((_amount(m[1] or m[2]),) * 2), text)
    return cue("number_pairs").sub(pairs, text)
