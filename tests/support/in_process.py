"""Notebooks executed in the test's own process, for tests that are not about kernels."""

from functools import partial

import nbformat
from nbformat.v4 import new_output


def execute_notebook(source, target, parameters, stdout_file, **ignored):
    """Do what papermill does: run the cells in turn, keep an error in its cell, then raise."""
    notebook = nbformat.read(_path(source), as_version=4)
    names = {"__name__": "__main__", "print": partial(print, file=stdout_file)}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    try:
        for count, cell in enumerate(code, start=1):
            cell.execution_count = count
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", ()):
                names.update(parameters)
    except Exception as fault:
        name, text = type(fault).__name__, str(fault)
        cell.outputs = [new_output("error", ename=name, evalue=text, traceback=[])]
        raise RuntimeError("a cell failed") from fault
    finally:
        nbformat.write(notebook, _path(target))


def _path(text):
    return text.replace("{{", "{").replace("}}", "}")
