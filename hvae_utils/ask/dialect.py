"""How one endpoint spells what not all endpoints spell alike: thinking, and replies held to labels.

The words are data: tables `servers.NAME.dialect` and `models.NAME.dialect` of data/models.toml.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Dialect:
    """What is said to an endpoint in its own words.

    think_tags: pairs that begin and end a thought in the text, besides those built in;
    thinking_off, thinking_on: what the body holds for these two; effort: the name of the parameter
    that takes an effort; extra_body: what every body holds; constrain: how a reply is held to
    labels: grammar (llama.cpp), choice (vLLM) or '' where it cannot be.
    """

    think_tags: tuple[tuple[str, str], ...] = ()
    thinking_off: Mapping[str, Any] = field(default_factory=dict)
    thinking_on: Mapping[str, Any] = field(default_factory=dict)
    effort: str = "reasoning_effort"
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    constrain: str = ""
