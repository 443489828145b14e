"""What a reply says: `parse` a text, `read` an endpoint's answer, with its `option_probabilities`.

plain_text makes a reply plain, `cues.toml` lists the words that matter, rules apply them, reading
decides.
"""

from hvae_utils.ask.replies.reading import (
    OUTCOMES,
    Reply,
    label_mass,
    option_probabilities,
    parse,
    read,
)

__all__ = ["OUTCOMES", "Reply", "label_mass", "option_probabilities", "parse", "read"]
