"""What a reply says: made plain, then read by rules that apply the words of `cues.toml`."""

from hvae_utils.ask.replies.reading import (
    OUTCOMES,
    Reply,
    label_mass,
    parse,
    read,
)

__all__ = ["OUTCOMES", "Reply", "label_mass", "parse", "read"]
