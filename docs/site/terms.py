"""Links to the glossary: on every page a term leads there from where it first stands."""

import re
from typing import Any

from docutils import nodes

from hvae_utils import paths
from hvae_utils.run import glossary

GLOSSARY = "docs/glossary"
EVERYDAY = {"value", "game", "method", "outcome", "step"}  # words that are mostly not meant so
# Where a link would disturb, or lead from a link to a link.
_LEFT_ALONE = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.raw)


def setup(app: Any) -> None:
    """Read the glossary once, and link each page when it is written."""
    app.connect("builder-inited", _read)
    app.connect("doctree-resolved", _link)


def _read(app: Any) -> None:
    known = glossary.places(paths.GLOSSARY)
    app.env.hvae_terms = {term: known[term] for term in known if term not in EVERYDAY}


def _link(app: Any, tree: nodes.document, page: str) -> None:
    if page == GLOSSARY:
        return
    to = app.builder.get_relative_uri(page, GLOSSARY)
    linked = {node.get("refuri") for node in tree.findall(nodes.reference)}
    known = app.env.hvae_terms
    left = {term: known[term] for term in known if f"{to}#{known[term]}" not in linked}
    for text in list(tree.findall(nodes.Text)):
        if not left:
            return
        if not _inside(text, _LEFT_ALONE):
            text.parent.replace(text, _linked(text.astext(), left, to))


def _linked(text: str, left: dict[str, str], to: str) -> list[nodes.Node]:
    """Return a text in pieces, with a link from the first of each term; take these from `left`."""
    words = "|".join(sorted(map(re.escape, left), key=len, reverse=True))
    pieces, at = [], 0
    for found in re.finditer(rf"\b({words})s?\b", text):
        if found[1] in left:
            pieces += [nodes.Text(text[at : found.start()])]
            address = f"{to}#{left.pop(found[1])}"
            pieces += [nodes.reference("", found[0], refuri=address, classes=["term"])]
            at = found.end()
    return [*pieces, nodes.Text(text[at:])]


def _inside(node: nodes.Node, kinds: tuple[type, ...]) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kinds):
            return True
    return False
