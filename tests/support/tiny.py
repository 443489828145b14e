"""A workbook of two tiny notebooks, to break in every way a real one could."""

import json
from pathlib import Path

from hvae_utils.run.profiles import RUN
from hvae_utils.run.runner import Step

STEPS = (
    Step("a", writes=("numbers.json", "log.jsonl"), parameters=(*RUN, "count", "names", "label")),
    Step(
        "b",
        reads=("numbers.json",),
        writes=("figures/", "value_rationality.csv", "key_numbers.json"),
        parameters=RUN,
    ),
)
PARAMETERS = {
    "a": (
        'runs: str = "runs"  # folder of runs\nrun_id: str = "alone"\ncount: int = 3  # how many\n'
        'names: list = ["x"]\nlabel: str = "plain"'
    ),
    "b": 'runs: str = "runs"\nrun_id: str = "alone"',
}
CELLS = {
    "a": [
        "from hvae_utils.run import workbook",
        "from tests.support.tiny import STEPS",
        'step = workbook.begin("a", runs=runs, run_id=run_id, steps=STEPS)',
        "numbers = [[label, number] for number in range(count)]",
        'step.write("numbers.json", numbers)\nprint("not for the log")',
        'print("play tiny: 3/3 items, 9/s, 0 s")\nstep.finish()',
    ],
    "b": [
        "from pathlib import Path\nfrom hvae_utils.run import workbook\n"
        "from tests.support import tiny",
        'step = workbook.begin("b", runs=runs, run_id=run_id, steps=tiny.STEPS, '
        "notebooks=Path(tiny_notebooks))",
        'numbers = step.read("numbers.json")\ntiny.draw(step.folder("figures"), len(numbers))',
        'step.path("value_rationality.csv").write_text("label\\n")',
        'step.write("key_numbers.json", {"rows": len(numbers), "none": float("nan")})',
        "step.finish()",
    ],
}
PROFILE = "title: Tiny\npublish: true\nparameters:\n  count: 2\n"


def notebook(path: Path, cells: list[str], *parameter_cells: str) -> Path:
    """Write a notebook: prose, the parameters cells, then the code cells c0, c1, …"""
    import nbformat  # here, because kernels import this module too and need not wait for it
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    nb = new_notebook(cells=[new_markdown_cell("# Tiny", id="intro")])
    for number, source in enumerate(parameter_cells):
        nb.cells.append(
            new_code_cell(source, id=f"parameters{number}", metadata={"tags": ["parameters"]})
        )
    nb.cells += [new_code_cell(source, id=f"c{number}") for number, source in enumerate(cells)]
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)
    return path


def build(folder: Path) -> Path:
    """Write both notebooks and the profile `tiny` into `folder`; return it."""
    for name in ("a", "b"):
        cells = [cell.replace("tiny_notebooks", repr(str(folder))) for cell in CELLS[name]]
        notebook(folder / f"{name}.ipynb", cells, PARAMETERS[name])
    (folder / "tiny.yml").write_text(PROFILE, encoding="utf-8")
    return folder


def draw(folder: Path, rows: int) -> None:
    """Leave what a figure leaves: picture, data and an entry of the index."""
    (folder / "01_tiny.svg").write_text(f'<svg viewBox="0 0 9 9"><!-- {rows} --></svg>')
    (folder / "01_tiny.csv").write_text(f"model,rows\nreference/faithful,{rows}\n")
    entry = {"slug": "01_tiny", "title": "Tiny", "caption": "Rows.", "alt": "None.", "files": {}}
    (folder / "index.json").write_text(json.dumps([entry]))
