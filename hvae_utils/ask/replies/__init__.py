"""What a reply says: plain_text makes it plain, rules name the cues, reading decides."""

from hvae_utils.ask.replies.reading import (
    OUTCOMES,
    Reply,
    label_mass,
    option_probabilities,
    parse,
    read,
)

__all__ = ["OUTCOMES", "Reply", "label_mass", "option_probabilities", "parse", "read"]
