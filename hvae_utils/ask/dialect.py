"""How one endpoint spells what not all endpoints spell alike: thinking, and replies held to labels.

The words are data: tables `servers.NAME.dialect` and `models.NAME.dialect` of data/models.toml.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hvae_utils.errors import UserError


@dataclass(frozen=True)
class Dialect:
    """What is said to an endpoint in its own words.

    think_tags: pairs that begin and end a thought in the text, besides those built in;
    thinking_off, thinking_on: what the body holds for these two; effort: the name of the parameter
    that takes an effort, with dots where it stands inside another; extra_body: what every body
    holds; constrain: how a reply is held to labels: grammar (llama.cpp), choice (vLLM) or '' where
    it cannot be.
    """

    think_tags: tuple[tuple[str, str], ...] = ()
    thinking_off: Mapping[str, Any] = field(default_factory=dict)
    thinking_on: Mapping[str, Any] = field(default_factory=dict)
    effort: str = "reasoning_effort"
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    constrain: str = ""

    def thinking(self, level: str) -> dict[str, Any]:
        """Return what a body holds for a level of thinking; UserError where there is no word.

        >>> Dialect().thinking("low"), Dialect(effort="reasoning.effort").thinking("low")
        ({'reasoning_effort': 'low'}, {'reasoning': {'effort': 'low'}})
        """
        switches = {"off": self.thinking_off, "on": self.thinking_on}
        if switches.get(level):
            return dict(switches[level])
        if not level or (level == "on" and self.thinking_off):  # on is how it comes
            return {}
        if level in switches or not self.effort:
            word = f"thinking_{level}" if level in switches else "effort"
            raise UserError(f"no word is known for thinking '{level}' here; give dialect.{word}")
        body: Any = level
        for name in reversed(self.effort.split(".")):
            body = {name: body}
        return body

    def held_to(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return what a body holds so that the reply is a label; UserError where it cannot be.

        >>> Dialect(constrain="grammar").held_to(["A", "B"])
        {'grammar': 'root ::= "A" | "B"'}
        """
        if self.constrain == "grammar":
            quoted = (json.dumps(label, ensure_ascii=False) for label in labels)
            return {"grammar": f"root ::= {' | '.join(quoted)}"}
        if self.constrain == "choice":
            return {"structured_outputs": {"choice": list(labels)}}
        raise UserError("this endpoint cannot hold a reply to labels; give dialect.constrain")


PLAIN = Dialect()


def merged(body: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with more in it; tables that both have are merged.

    >>> merged({"a": {"b": 1}}, {"a": {"c": 2}})
    {'a': {'b': 1, 'c': 2}}
    """
    both = dict(body)
    for name, content in more.items():
        tables = isinstance(content, Mapping) and isinstance(both.get(name), Mapping)
        both[name] = merged(both[name], content) if tables else content
    return both
