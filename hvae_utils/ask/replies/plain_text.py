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
    if len(text) > 2 * ENDS:  # cut at white space, so that no word becomes a label
        head, tail = text[:ENDS].rsplit(None, 1)[:-1], text[-ENDS:].split(None, 1)[1:]
        text = "".join([*head, " omitted\n", *tail])
    text = unicodedata.normalize("NFKC", re.sub("[\u2150-\u2188]", "?", text)).translate(_same())
    text = "\n".join("".join(map(_plain_char, line)) for line in text.splitlines())
    for pattern, replacement in table()["plain"]["rewritten"].items():
        text = re.sub(pattern, replacement, text)
    return text.strip()


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

    text = cue("role_first").sub(lambda m: sign(_ordered(*m.groups())), text)
    text = cue("role_last").sub(lambda m: sign(_ordered(m[2], m[1], m[4], m[3])), text)
    text = cue("each").sub(lambda m: sign((_amount(m[1] or m[2]),) * 2), text)
    return cue("number_pairs").sub(pairs, text)
