"""The site's pages of prose: links hold where the text is shown, and answers are left out."""

import re
from pathlib import Path

import nbformat
import pytest

from docs.site import pages
from hvae_utils import paths
from hvae_utils.run import glossary


@pytest.fixture
def project(tmp_path):
    """Return a small project: a README, two docs, a hidden one, a notebook, data."""
    for name in (
        *("README.md", "docs/a.md", "docs/sub/b.md", "docs/instructors/key.md"),
        *("notebooks/00_overview.ipynb", "notebooks/course/solutions/1_x.ipynb", "data/x.toml"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("docs/a.md", "[home](../README.md#use)", "[home](../index.md#use)"),
        ("README.md", "[a](docs/a.md), [b](docs/sub/b.md)", "[a](docs/a.md), [b](docs/sub/b.md)"),
        ("docs/sub/b.md", "[n](../../notebooks/00_overview.ipynb)", None),
        ("README.md", "[data](data/x.toml) and [`docs/`](docs)", "[data](data/x.toml) and `docs/`"),
        ("docs/a.md", "[key](instructors/key.md)", "key"),
        ("README.md", "[1](notebooks/course/solutions/1_x.ipynb)", "1"),
        ("README.md", "[paper](https://arxiv.org/abs/2305.17147) [here](#use)", None),
        ("README.md", "`[no](docs)` ``x ` [no](docs)``", None),
        ("README.md", "```\n[no](docs)\n```\n", None),
        ("README.md", "![a picture](data/x.toml)", None),
        ("README.md", "![gone](figures/none.png)", "gone"),
    ],
)
def test_a_link_leads_to_a_page_a_file_or_becomes_words(project, name, text, shown):
    known = pages.known(project)
    assert pages.relinked(text, name, known, project) == (shown or text)


def test_answers_are_no_pages_and_linked_files_come_along(project, tmp_path):
    links = "[x](data/x.toml) [gone](data/y.toml) [a](docs/a.md)\n```\n[k](docs/a.md)\n```"
    (project / "README.md").write_text(links, encoding="utf-8")
    assert not any("instructors" in name or "solutions" in name for name in pages.known(project))
    out = tmp_path / "out"
    pages.stage(out, project)
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {"index.md", "docs/a.md", "docs/sub/b.md", "data/x.toml"}


def test_the_contents_name_every_page_of_the_project_once():
    there = {str(Path(page).with_suffix("")) for page in pages.known().values()} - {"index"}
    named = [line for line in pages.contents(pages.known().values()).split("\n") if "/" in line]
    assert sorted([*named, "CONTRIBUTING"]) == sorted(there)


# Of the glossary, with the sense that the notebooks give them from the first time on.
FIRST_LINKED = (
    *("administration", "arm", "audit", "bounds", "cell", "chain of thought", "chance-corrected"),
    *("cluster", "condition", "expected angle", "flag", "lapse", "margin", "random respondent"),
    *("regret", "respondent", "steerability", "target", "thought", "value rationality"),
    *("vector length", "verdict", "wording"),
)


@pytest.mark.parametrize("term", FIRST_LINKED)
def test_a_term_leads_to_the_glossary_where_it_first_stands_in_the_notebooks(term):
    anchors = glossary.places(paths.GLOSSARY)
    cells = (
        cell.source
        for path in sorted(paths.NOTEBOOKS.glob("0*.ipynb"))
        for cell in nbformat.read(path, 4).cells
        if cell.cell_type == "markdown"
    )
    other = r"`[^`]*`|\$[^$]*\$|^#.*$|\[[^\]]*\]\((?!\.\./docs/glossary)[^)]*\)"
    prose = "\n".join(re.sub(other, "", source, flags=re.M) for source in cells)
    longer = "|".join(one for one in anchors if term in one and term != one) or "(?!)"
    first = next(
        found
        for found in re.finditer(rf"{longer}|\b{re.escape(term)}s?\b", prose)
        if found[0].removesuffix("s") == term.removesuffix("s")
    )
    assert prose[first.end() :].startswith(f"](../docs/glossary.md#{anchors[term]})"), first
