"""The words of docs/glossary.md: what each means, and a link from where a page first says it.

Public names: read, places, anchor, linked.
"""

import re
from collections.abc import Mapping
from pathlib import Path

# Inside of these no word is linked: headings, other links, what is folded away, rows of a table.
_LEFT = {"a", "h1", "h2", "h3", "details", "tbody"}
_HEAD = ("word", "meaning")


def read(path: Path) -> dict[str, str]:
    """Return word -> meaning of a glossary in Markdown, as plain text; nothing without the file."""
    if not path.is_file():
        return {}
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {_plain(word): _plain(meaning) for word, meaning in rows if (word, meaning) != _HEAD}


def places(path: Path) -> dict[str, str]:
    """Return word -> its place in the file, to link to; "step, plateau" are two words at one place.

    A row begins so: `| <a id="cell"></a>cell |`.
    """
    rows = re.findall(r'^\| <a id="(.+?)"></a>(.+?) \|', path.read_text("utf-8"), re.MULTILINE)
    return {word: place for place, words in rows for word in words.split(", ")}


def anchor(word: str) -> str:
    """Return the id of a word's entry.

    >>> anchor("step, plateau")
    'word-step-plateau'
    """
    return f"word-{re.sub(r'[^a-z0-9]+', '-', word.lower())}"


def linked(html: str, words: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return a page with each word linked where it first stands, and the entries that it needs.

    html: with all text escaped; words: word -> meaning. An entry is needed if its word stands on
    the page, or in the meaning of an entry that is needed. What differs by a plural's s, or by
    capitals, is the same word; of two that overlap the longer one is linked.

    >>> linked("<h2>Cells</h2><p>Two cells, a cell.</p>", {"cell": "a score's place"})[0]
    '<h2>Cells</h2><p>Two <a class="word" href="#word-cell">cells</a>, a cell.</p>'
    """
    entries = {form.lower(): word for word in words for form in word.split(", ")}
    if not entries:
        return html, {}
    forms = "|".join(re.escape(form) for form in sorted(entries, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])({forms})s?(?![\w-])", re.IGNORECASE)
    needed: set[str] = set()

    def link(match: re.Match[str]) -> str:
        word = entries[match[1].lower()]
        if word in needed:
            return match[0]
        needed.add(word)
        return f'<a class="word" href="#{anchor(word)}">{match[0]}</a>'

    depth, parts = 0, re.split(r"(<[^>]*>)", html)
    for place, part in enumerate(parts):
        if part.startswith("<"):
            closes, name = re.match(r"<(/?)(\w*)", part).groups()
            depth += (-1 if closes else 1) if name in _LEFT else 0
        elif not depth:
            parts[place] = pattern.sub(link, part)
    waiting = list(needed)
    while waiting:
        said = {entries[form.lower()] for form in pattern.findall(words[waiting.pop()])}
        waiting += said - needed
        needed |= said
    return "".join(parts), {word: words[word] for word in words if word in needed}


def _plain(markdown: str) -> str:
    """Return a cell without its emphasis, code marks, links, and places to link to."""
    return re.sub(r"[*`]|<a id=\".*?\"></a>|\[(.+?)\]\(.+?\)", r"\1", markdown)
