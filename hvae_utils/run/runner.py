"""Executes one notebook, and believes nothing it did not check.

papermill alone reports success after a dead kernel or a `sys.exit(0)`, and only warns of a
parameter that a notebook does not have. Here every cell must have run, in order, and the run
folder must have changed exactly as the step declares.
"""

import ast
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hvae_utils import errors, files, paths
from hvae_utils.errors import UserError, WorkbookError
from hvae_utils.run.run import MANIFEST, NOTEBOOKS, Run

Report = Callable[[str], None]
Stamp = tuple[int, int, int]

PROGRESS = re.compile(r"\S: \d+/\d+ \w+, ")  # the plain lines of engine.Progress
DEAD = "the kernel died here (out of memory, a crash, or ended from outside)"
LONGEST_REASON = 400  # characters
LONGEST_SOCKET = 100  # bytes of a socket's path; systems allow 104 or 108


@dataclass(frozen=True)
class Step:
    """One notebook's declaration: what it reads and writes, and its parameters.

    reads, writes: paths relative to the run folder; a write that ends in `/` is a folder and one
    that ends in `.jsonl` is append-only, so it may stay as it was when a run is resumed.
    adds_to: folders among the writes that an earlier step began and whose files stay; optional: of
    these, those to which a study may have nothing to add.
    """

    name: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    adds_to: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


def is_among(name: str, declared: Sequence[str]) -> bool:
    """Return whether a path relative to the run folder is declared, or lies in such a folder."""
    return name in declared or any(
        entry.endswith("/") and name.startswith(entry) for entry in declared
    )


def contract(step: Step, notebook: Path) -> dict[str, Any]:
    """Return the defaults of a notebook's parameters, by name.

    WorkbookError unless there is exactly one `parameters` cell (none for a step without parameters)
    of literals with the declared names.
    """
    import nbformat

    if not notebook.is_file():
        raise WorkbookError(f"{paths.shown(notebook)} does not exist")
    cells = nbformat.read(notebook, as_version=4).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", ())]
    if len(tagged) != (wanted := int(bool(step.parameters))):
        have = f"{notebook.name} has {len(tagged)} cells tagged 'parameters'"
        raise WorkbookError(f"{have}; wanted {wanted}")
    defaults = _literals(tagged[0].source, notebook.name) if tagged else {}
    if wrong := sorted(defaults.keys() ^ set(step.parameters)):
        differ = f"the parameters cell and the declared parameters differ in {', '.join(wrong)}"
        raise WorkbookError(f"{notebook.name}: {differ}")
    return defaults


def execute(
    step: Step, notebook: Path, run: Run, parameters: Mapping[str, Any], report: Report = print
) -> float:
    """Execute one notebook into the run's notebooks; return its seconds.

    parameters: what is injected, `runs` and `run_id` included. Progress lines go to `report`.
    Raises WorkbookError naming notebook, cell and reason when it failed in any way, and the
    UserError or EndpointError of a cell that raised one, with its own sentence.
    """
    papermill = _papermill()
    executed = run.path(NOTEBOOKS) / f"{step.name}.ipynb"
    executed.parent.mkdir(parents=True, exist_ok=True)
    executed.unlink(missing_ok=True)
    before = _snapshot(run.folder)
    started = time.perf_counter()
    fault: Exception | None = None
    with tempfile.TemporaryDirectory(prefix="hvae-", ignore_cleanup_errors=True) as folder:
        try:
            papermill.execute_notebook(
                _unformatted(notebook),
                _unformatted(executed),
                parameters=dict(parameters),
                engine_name=_engine(),
                kernel_name="python3",
                progress_bar=False,
                stdout_file=_Echo(report),
                cwd=str(paths.ROOT),
                kernel_manager_class=_kernel_manager(Path(folder)),
            )
        except Exception as raised:
            fault = raised
    if not run.folder.is_dir():
        raise UserError(f"{paths.shown(run.folder)} was removed while {step.name} ran; run again")
    if isinstance(fault, OSError) and fault.errno in files.FULL:
        raise files.unwritable(executed, fault)
    _check_cells(step, executed, fault)
    if wrong := _wrong_files(step, before, _snapshot(run.folder)):
        raise WorkbookError(f"{step.name}.ipynb {wrong} (executed: {paths.shown(executed)})")
    return time.perf_counter() - started


def _papermill() -> Any:
    """Return papermill, imported without the grammars of internet addresses: 3 s for no notebook.

    What validates notebooks compiles them where JupyterLab has brought them.
    """
    hidden = "rfc3987_syntax" not in sys.modules
    if hidden:
        sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    try:
        import papermill
    finally:
        if hidden:
            del sys.modules["rfc3987_syntax"]
    return papermill


def _engine() -> str:
    """Return the name of a papermill engine that saves a notebook at its start and its end only.

    papermill's own saves all of it before and after every cell, the figures drawn so far included.
    """
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, *arguments: Any, **options: Any) -> Any:
            path, nb_man.output_path = nb_man.output_path, None
            try:
                return super().execute_managed_notebook(nb_man, *arguments, **options)
            finally:
                nb_man.output_path = path

    papermill_engines.register("hvae", Engine)
    return "hvae"


def _literals(source: str, name: str) -> dict[str, Any]:
    """Return the assignments of a parameters cell: literals, one per line, nothing else."""
    defaults: dict[str, Any] = {}
    line, ended = 0, 0
    try:
        for entry in ast.parse(source).body:
            line = entry.lineno
            target = entry.targets[0] if isinstance(entry, ast.Assign) else entry.target
            if target.id in defaults or line <= ended:
                raise ValueError("one new name a line")
            defaults[target.id] = ast.literal_eval(entry.value)
            ended = entry.end_lineno
    except (AttributeError, SyntaxError, TypeError, ValueError):
        raise WorkbookError(
            f"{name}, parameters cell, line {line or 1}: wanted literals only, one a line"
        ) from None
    return defaults


def _unformatted(path: Path) -> str:
    """Return a path that papermill's `str.format` leaves as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _kernel_manager(folder: Path) -> type:
    """Return a manager whose kernel is this very Python and imports this package.

    A kernelspec of the user's or start-up files of theirs would make another workbook of it.
    folder: short-lived, for IPython's own files and the sockets. They are files of it where the
    system has such sockets and the path is short enough, else ports of this machine.
    """
    from jupyter_client.manager import AsyncKernelManager

    search = [str(paths.PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(search), "IPYTHONDIR": str(folder / "ipython")}
    longest = len(os.fsencode(folder / "k-ipc-99999"))
    sockets = sys.platform != "win32" and longest <= LONGEST_SOCKET

    class Manager(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.connection_file = str(folder / "k.json")
            if sockets:
                self.transport = "ipc"

        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file]
            # at its end a kernel is interrupted, idle or not, and would call that an error
            return [*command, "--log-level=CRITICAL", *(extra_arguments or [])]

        async def start_kernel(self, **options: Any) -> Any:
            return await super().start_kernel(env={**os.environ, **environment}, **options)

    return Manager


class _Echo(io.TextIOBase):
    """A file for a notebook's prints: progress lines are reported, the rest stays where it is."""

    def __init__(self, report: Report) -> None:
        self._report, self._begun = report, ""

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            if PROGRESS.search(line):
                self._report(f"  {line}")
        return len(text)


def _check_cells(step: Step, executed: Path, fault: Exception | None) -> None:
    """Raise what went wrong, unless every code cell ran without an error, in order, once."""
    import nbformat

    try:
        cells = nbformat.read(executed, as_version=4).cells if executed.is_file() else []
    except ValueError:
        where = paths.shown(executed)
        raise UserError(f"{where} was not saved whole; make room, then run again") from fault
    code = [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]
    where, reason = _first_wrong(code)
    if fault is not None and not any(_errors(cell) for cell in code):
        started = [cell.id for cell in code if cell.metadata.get("papermill", {}).get("start_time")]
        where = f"cell '{started[-1]}'" if started else "before its first cell"
        died = type(fault).__name__ == "DeadKernelError"
        reason = DEAD if died else f"{type(fault).__name__}: {fault}"
    if reason:
        reason = files.one_line(re.sub(r"\x1b\[[\d;]*m", "", reason), LONGEST_REASON)
        place = f" (executed: {paths.shown(executed)})" if cells else ""
        raise WorkbookError(f"{step.name}.ipynb, {where}: {reason}{place}") from fault


def _first_wrong(code: list[Any]) -> tuple[str, str]:
    """Return which of the code cells is the first that did not run as it should, and why."""
    for count, cell in enumerate(code, start=1):
        where = f"cell '{cell.id}'"
        if wrong := _errors(cell):
            name, sentence = wrong[0].ename, wrong[0].evalue
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, errors.Sentence):
                raise kind(sentence)  # as the cell raised it for its reader
            if name == "SystemExit":
                return where, "sys.exit() stopped the notebook before its end"
            return where, f"{name}: {sentence}"
        if cell.get("execution_count") != count:
            return where, "it was not executed in its turn (did the kernel die?)"
    return "", ""


def _errors(cell: Any) -> list[Any]:
    return [output for output in cell.outputs if output.output_type == "error"]


def _snapshot(folder: Path) -> dict[str, Stamp]:
    """Return a stamp of each file of a run, without hidden ones and the runner's."""
    stamps = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if not hidden and not is_among(name, (MANIFEST, NOTEBOOKS)) and path.is_file():
            status = path.stat()
            stamps[name] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return stamps


def _wrong_files(step: Step, before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> str:
    """Return how the run folder did not change as declared, or ''."""
    changed = {name for name, stamp in after.items() if before.get(name) != stamp}
    touched = changed | (before.keys() - after.keys())
    undeclared = [name for name in touched if not is_among(name, step.writes)]
    missing, stale = [], []
    for write in step.writes:
        present = {name for name in after if is_among(name, (write,))}
        added = write in step.adds_to
        due = added and write not in step.optional
        if not present or (due and not changed & present):
            missing.append(write)
        elif not added and not write.endswith(".jsonl"):
            stale += present - changed
    faults = {
        "touched what it does not declare": sorted(undeclared),
        "did not write": missing,
        "left from an earlier run": sorted(stale),
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in faults.items() if names)
