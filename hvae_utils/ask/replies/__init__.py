"""What a reply says: freed of its thought, made plain, read by rules on the words of cues.toml."""

from hvae_utils.ask.replies.reading import (
    OUTCOMES,
    Reply,
    flags_of,
    label_mass,
    parse,
    read,
)
from hvae_utils.ask.replies.thoughts import Thought, split_thought

__all__ = [
    "OUTCOMES",
    "Reply",
    "Thought",
    "flags_of",
    "label_mass",
    "parse",
    "read",
    "split_thought",
]
