"""The page of a report: one HTML file that needs no script, no network and no other file.

Pure: texts, tables and pictures in, HTML out. Every text is escaped here and nowhere else, so that
what a model, a profile or a file name says stays text. This module must never read a file.

Public names: Picture, page, section, paragraph, points, terms, table, figure.
"""

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

import pandas as pd

SMALL = 12  # rows of a table that stands open beside its figure
LONG = 30  # characters of a cell from which its column is made wide
MOST = 60  # rows of a table that is shown at all; the others are in the run's files

# Ink, muted ink and links have a contrast of at least 6 to 1 on both backgrounds.
STYLE = """
:root { --ink: #1a1a1a; --muted: #555555; --line: #d0d4d9; --shade: #f4f6f8; --link: #0b4f8a; }
* { box-sizing: border-box; }
html { scroll-behavior: auto; -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: #fff;
  font: 1rem/1.55 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
header, nav, main, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; text-wrap: balance; }
h2 { font-size: 1.45rem; line-height: 1.25; margin: 3rem 0 .75rem; padding-top: .75rem;
  border-top: 2px solid var(--ink); }
h3 { font-size: 1.12rem; line-height: 1.3; margin: 2.25rem 0 .5rem; }
p, ul, dl { margin: .6rem 0; max-width: 46rem; }
li { margin: .3rem 0; }
.lead { font-size: 1.1rem; color: var(--muted); }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; background: #fff; padding: .5rem 1rem; }
.skip:focus { left: 1rem; top: 1rem; }
nav { margin-top: 1.5rem; }
nav ul { list-style: none; padding: .75rem 1rem; background: var(--shade); max-width: none;
  display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; }
nav li { margin: 0; }
figure { margin: .75rem 0; }
figure img { display: block; width: 100%; height: auto; }
figcaption { color: var(--muted); font-size: .93rem; margin-top: .4rem; max-width: 46rem; }
.scroll { overflow-x: auto; margin: .75rem 0; }
@media screen and (min-width: 61rem) { /* a wide table may use the margin on its right */
  .scroll { width: fit-content; max-width: calc(50vw + 27.5rem); }
}
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums;
  line-height: 1.35; }
caption { text-align: left; color: var(--muted); padding: .25rem 0 .4rem;
  max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: .28rem .7rem .28rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; max-width: 8rem; }
tbody th { font-weight: 600; }
.n { text-align: right; }
td { white-space: nowrap; }
td.w { white-space: normal; min-width: 16rem; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--link); padding: .2rem 0; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, "DejaVu Sans Mono", Consolas, monospace; overflow-wrap: anywhere; }
footer { margin: 3rem auto 2rem; color: var(--muted); font-size: .9rem; }
@media (max-width: 40rem) { h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; } }
@page { margin: 16mm 14mm; }
@media print {
  body { font-size: 10pt; }
  header, nav, main, footer { max-width: none; padding: 0; }
  nav, .skip, details:not([open]) { display: none; }
  h2, h3, caption { break-after: avoid; }
  h2 { margin-top: 1.5rem; }
  .figure { break-inside: avoid; }
  figure img { max-height: 20cm; object-fit: contain; object-position: left; }
  tr, li, dt { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  table { font-size: 7pt; }
  th, td { padding-right: .25rem; }
  thead th { max-width: 5rem; }
  td.w { min-width: 22mm; }
  a { color: inherit; }
}
"""


@dataclass(frozen=True)
class Picture:
    """A picture that travels inside the page: its bytes, and "image/svg+xml" or "image/png"."""

    content: bytes
    kind: str


def page(title: str, lead: str, sections: Mapping[str, str], footer: str) -> str:
    """Return the whole document.

    sections: heading -> HTML of the helpers below, in reading order; title, lead, footer: texts.
    The policy in its head lets a browser load nothing but the pictures and the style inside it.
    """
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(STYLE)}'"
    links = "".join(f'<li><a href="#{_slug(name)}">{_text(name)}</a></li>' for name in sections)
    body = "".join(
        f'<section aria-labelledby="{_slug(name)}"><h2 id="{_slug(name)}">{_text(name)}</h2>\n'
        f"{content}</section>\n"
        for name, content in sections.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the content</a>\n'
        f'<header><h1>{_text(title)}</h1>\n<p class="lead">{_text(lead)}</p></header>\n'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'
        f'<main id="content" tabindex="-1">\n{body}</main>\n'
        f"<footer><p>{_text(footer)}</p></footer>\n</body>\n</html>\n"
    )


def section(heading: str, content: str) -> str:
    """Return a part of a section under a heading of its own."""
    return f"<h3>{_text(heading)}</h3>\n{content}"


def paragraph(text: str) -> str:
    """Return one paragraph."""
    return f"<p>{_text(text)}</p>\n"


def points(items: Iterable[str | tuple[str, str]]) -> str:
    """Return a list of sentences; a pair is a name and what is said of it."""
    lines = (
        f"<li>{_text(item)}</li>"
        if isinstance(item, str)
        else f"<li><b>{_text(item[0])}.</b> {_text(item[1])}</li>"
        for item in items
    )
    return f"<ul>\n{chr(10).join(lines)}\n</ul>\n"


def terms(pairs: Mapping[str, str]) -> str:
    """Return names and what stands for each."""
    lines = (f"<dt>{_text(name)}</dt><dd>{_text(said)}</dd>" for name, said in pairs.items())
    return f"<dl>\n{chr(10).join(lines)}\n</dl>\n"


def table(data: pd.DataFrame, caption: str, heads: int = 1) -> str:
    """Return a table in which the first `heads` columns name the row; NaN is an en dash.

    Of more than MOST rows the first are shown, and the caption says so.
    """
    if len(data) > MOST:
        caption = f"{caption} The first {MOST} of {len(data):,} rows."
    columns = [_column(data.iloc[:, place]) for place in range(data.shape[1])]
    marks = [mark for mark, _ in columns]
    top = "".join(
        f'<th scope="col"{mark}>{_text(str(name).replace("_", " "))}</th>'
        for name, mark in zip(data.columns, marks, strict=True)
    )
    texts = zip(*(column[:MOST] for _, column in columns), strict=True)
    rows = "\n".join(f"<tr>{_cells(row, marks, heads)}</tr>" for row in texts)
    # wide tables scroll inside their own box, which the keyboard can reach
    return (
        f'<div class="scroll" role="region" aria-label="{_text(caption)}" tabindex="0"><table>\n'
        f"<caption>{_text(caption)}</caption>\n<thead><tr>{top}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table></div>\n"
    )


def figure(title: str, caption: str, alt: str, picture: Picture, numbers: str, rows: int) -> str:
    """Return a picture under its title, with caption and alternative text, and its table.

    numbers: HTML of the table; one of more than SMALL `rows` is folded away until it is opened.
    """
    source = f"data:{picture.kind};base64,{base64.b64encode(picture.content).decode('ascii')}"
    below = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
    if rows > SMALL:
        numbers = f"<details><summary>The numbers of this figure</summary>\n{numbers}</details>\n"
    return (
        f'<div class="figure"><h3>{_text(title)}</h3>\n'
        f'<figure><img src="{source}" alt="{_text(alt)}">{below}</figure></div>\n{numbers}'
    )


def _cells(row: tuple[str, ...], marks: list[str], heads: int) -> str:
    tags = [("th", ' scope="row"') if place < heads else ("td", "") for place in range(len(row))]
    return "".join(
        f"<{tag}{scope}{mark}>{text}</{tag}>"
        for (tag, scope), mark, text in zip(tags, marks, row, strict=True)
    )


def _column(data: pd.Series) -> tuple[str, list[str]]:
    """Return how a column is set, as a class, and its cells as HTML.

    Numbers have one number of decimals, three significant digits for the greatest of them; one
    that would look like 0 and is not says so.
    """
    if pd.api.types.is_numeric_dtype(data) and not pd.api.types.is_bool_dtype(data):
        numbers = data.astype(float)
        whole = bool((numbers.dropna() % 1 == 0).all())
        greatest = numbers.abs().max()
        digits = 0 if whole else 3 - sum(greatest >= size for size in (1, 10, 100))
        return ' class="n"', [_text(_number(number, digits)) for number in numbers]
    words = data.astype(object).map({True: "yes", False: "no"}).fillna(data.astype(object))
    texts = ["–" if pd.isna(word) or word == "" else _text(word) for word in words]
    wide = max(map(len, texts), default=0) > LONG
    return ' class="w"' if wide else "", texts


def _number(number: float, digits: int) -> str:
    if pd.isna(number):
        return "–"
    text = f"{number:,.{digits}f}"
    if not float(text.replace(",", "")):
        least = f"{10.0**-digits:.{digits}f}"
        small = f"< {least}" if number > 0 else f"> -{least}"
        text = small if number else text.removeprefix("-")
    return text.replace("-", "−")


def _text(words: object) -> str:
    """Return words as HTML text; control signs and halves of characters become `?`."""
    known = "".join("?" if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(words))
    return escape(known)


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _hash(style: str) -> str:
    digest = hashlib.sha256(style.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
