"""What must not be seen of a lesson by whoever takes it."""

import re

import nbformat

from hvae_utils import paths


def solved_lines(lesson):
    """Return the lines of a lesson's solutions that stand nowhere else in a notebook."""
    workbook = "".join(path.read_text(encoding="utf-8") for path in paths.NOTEBOOKS.glob("*.ipynb"))
    text = "\n".join(cell.source for cell in nbformat.read(lesson, 4).cells)
    blocks = re.findall(r"### BEGIN SOLUTION[^\n]*\n(.*?)### END", text, flags=re.S)
    lines = {line.strip() for block in blocks for line in block.split("\n")}
    return {
        line for line in lines if len(line) > 25 and text.count(line) == 1 and line not in workbook
    }
