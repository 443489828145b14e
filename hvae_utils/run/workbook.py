"""The workbook: which notebook reads and writes what, and the command that runs them all.

STEPS is the one declaration of the notebooks' reads, writes and parameters. A notebook opens its
step with `begin` and can reach nothing else; `reproduce` checks everything that can be checked,
then executes the notebooks one after another (see `runner`). It publishes nothing (see `publish`)
and never deletes a record, so a run that was stopped continues.

Public names: STEPS, HOW, ASKED, Step, begin, OpenStep, run_folder, held, reproduce, parameters_of,
WorkbookError.
"""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hvae_utils import paths
from hvae_utils.errors import UserError, unknown
from hvae_utils.run import folders, manifest, outcomes, profiles, runner
from hvae_utils.run.folders import held, run_folder
from hvae_utils.run.profiles import RUN, Profile, load_profile, resolve
from hvae_utils.run.runner import Report, Step, WorkbookError

STUDY = (
    *("models", "values", "goal_prompts", "inductions", "placements", "protocols", "wordings"),
    *("orders", "labels", "repeats", "instrument", "readout", "temperature", "seed"),
)
INTERACTIVE = "interactive"  # the notebooks' own run, which is made as it is needed
PLAYING = ("concurrency", "reask", "budget")
HOW = ("concurrency", "budget")  # parameters of the asking, not of what is asked
STEPS = (
    Step("00_overview"),
    Step(
        "01_value_assignment",
        writes=("conditions.parquet", "records.jsonl"),
        parameters=(*RUN, *STUDY, *HOW),
    ),
    Step(
        "02_game_play",
        reads=("conditions.parquet",),
        writes=("records.jsonl", "responses.parquet"),
        parameters=(*RUN, *PLAYING),
    ),
    Step(
        "03_metric_computation",
        reads=("conditions.parquet", "responses.parquet"),
        writes=("scores.parquet", "value_rationality.csv"),
        parameters=RUN,
    ),
    Step(
        "04_analysis",
        reads=(
            *("conditions.parquet", "responses.parquet"),
            *("scores.parquet", "value_rationality.csv"),
        ),
        writes=("figures/", "goal_effects.csv", "key_numbers.json"),
        parameters=RUN,
    ),
    Step(
        "05_robustness",
        reads=(
            *("conditions.parquet", "responses.parquet"),
            *("scores.parquet", "value_rationality.csv"),
        ),
        writes=("records.jsonl", "debiased.csv", "probes.csv", "motives.csv", "figures/"),
        parameters=(*RUN, "probe_values", "isomorphs", *PLAYING),
        adds_to=("figures/",),
    ),
    Step(
        "06_explore",
        reads=("value_rationality.csv",),
        writes=("noise.csv",),
        parameters=RUN,
    ),
)
ASKED = tuple(  # parameters that say what a run asked
    dict.fromkeys(key for step in STEPS for key in step.parameters if key not in (*RUN, *HOW))
)


def begin(
    name: str,
    *,
    runs: str | Path | None = None,
    run_id: str = "default",
    steps: Sequence[Step] = STEPS,
    notebooks: Path = paths.NOTEBOOKS,
) -> "OpenStep":
    """Open a notebook's step in its run folder.

    What the step reads and the run does not have, or has only from before a file it is made from
    was written anew, is made first, by the earlier notebooks with their own default parameters:
    in the notebooks' own run, `interactive`. In any other run that is an error.
    A relative `runs` lies in the project, wherever the notebook was opened.
    Raises UserError for an unknown step, a bad run id, or where one of those notebooks would ask
    models that nobody has asked for here (see `_refuse_to_ask`).
    """
    step = next((step for step in steps if step.name == name), None)
    if step is None:
        raise unknown("step", name, [step.name for step in steps])
    run = run_folder(None if runs is None else paths.ROOT / Path(runs).expanduser(), run_id)
    producers = _producers(step, steps, run)
    if producers and run_id != INTERACTIVE:
        raise _unfinished(step, producers[0], run)
    folders.make(run)
    _refuse_to_ask(step, producers, run)
    whole = all(_there(run / read) for read in step.reads)
    lack = "had only from before a change" if whole else "did not have"
    for earlier in producers:
        notebook = notebooks / f"{earlier.name}.ipynb"
        runner.contract(earlier, notebook)
        given = {"runs": str(run.parent), "run_id": run_id}
        chosen = {key: given[key] for key in RUN if key in earlier.parameters}
        seconds = runner.execute(earlier, notebook, run, chosen)
        print(f"{name} reads what this run {lack}; ran {earlier.name} ({seconds:.0f} s)")
    return OpenStep(step, run)


@dataclass(frozen=True)
class OpenStep:
    """A step at work in its run folder: its declared files and no others can be reached."""

    step: Step
    run: Path

    def read(self, name: str) -> Any:
        """Return a declared read: a DataFrame of .parquet or .csv, the content of .json."""
        path = self._declared(name, self.step.reads, "read")
        if path.suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        import pandas as pd

        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, keep_default_na=False, na_values=[""])

    def write(self, name: str, content: Any) -> str:
        """Write a declared file at once or not at all; the suffix says how. Return where it is.

        .parquet and .csv take a DataFrame (numbers in .csv with ten significant digits), .json
        takes plain data, where NaN becomes null.
        """
        path = self._declared(name, self.step.writes, "write")
        writers: dict[str, Callable[[Path], Any]] = {
            ".parquet": lambda new: content.to_parquet(new, index=False),
            ".csv": lambda new: content.to_csv(
                new, index=False, float_format="%.10g", lineterminator="\n"
            ),
            ".json": lambda new: new.write_text(
                json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
                encoding="utf-8",
                newline="\n",
            ),
        }
        if path.suffix not in writers:
            raise unknown("kind of file", name, writers)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        writers[path.suffix](new)
        os.replace(new, path)
        return paths.shown(path)

    def path(self, name: str) -> Path:
        """Return the path of a declared read or write, for code that opens it itself."""
        return self._declared(name, (*self.step.reads, *self.step.writes), "use")

    def folder(self, name: str) -> Path:
        """Return a declared folder to write into, emptied: nothing of an earlier run stays.

        A step that adds to what an earlier step has written there finds it as it was.
        """
        path = self._declared(f"{name.rstrip('/')}/", self.step.writes, "write")
        path.mkdir(parents=True, exist_ok=True)
        adds = f"{path.name}/" in self.step.adds_to
        for old in () if adds else path.iterdir():
            if old.is_file():
                old.unlink()
        return path

    def finish(self) -> None:
        """Check that every declared write is there; a record file that nobody needed is empty.

        Raises WorkbookError naming what is missing.
        """
        for name in self.step.writes:
            if name.endswith(".jsonl"):
                (self.run / name).touch()
        missing = [name for name in self.step.writes if not _there(self.run / name)]
        if missing:
            raise WorkbookError(f"{self.step.name} did not write {', '.join(missing)}")

    def _declared(self, name: str, declared: Sequence[str], verb: str) -> Path:
        folders = tuple(entry for entry in declared if entry.endswith("/"))
        inside = bool(folders) and name.startswith(folders) and ".." not in name
        if name not in declared and not inside:
            known = ", ".join(declared) or "nothing"
            raise WorkbookError(f"{self.step.name} may {verb} {known}; '{name}' is not declared")
        return self.run / name


def reproduce(
    profile: str | Profile = "default",
    overrides: Sequence[str] = (),
    *,
    runs: str | Path | None = None,
    run_id: str | None = None,
    steps: Sequence[Step] = STEPS,
    notebooks: Path = paths.NOTEBOOKS,
    profiles: Path = paths.PROFILES,
    report: Report = print,
) -> Path:
    """Run the whole workbook with a named profile; return the run folder, with its manifest.

    Everything a user can get wrong is checked before anything runs. profile: by name, or one that
    stands in no file; overrides: texts KEY=VALUE; runs: the folder of runs, relative to where the
    user is; run_id: the profile's name unless given; a run that is there already continues from
    its records.
    Raises UserError, WorkbookError (a notebook failed), EndpointError or BudgetReached.
    """
    chosen = profile if isinstance(profile, Profile) else load_profile(profile, profiles)
    run_id = chosen.name if run_id is None else run_id
    run = run_folder(runs, run_id)
    parameters = parameters_of(chosen, overrides, steps=steps, notebooks=notebooks)
    _check_study(parameters)
    given = {**parameters, "runs": str(run.parent), "run_id": run_id}
    title = f"Profile {chosen.name} with {', '.join(overrides)}" if overrides else chosen.title
    with held(run):
        (run / "manifest.json").unlink(missing_ok=True)
        started, seconds = datetime.now(UTC), {}
        report(f"{title}: {len(steps)} notebooks into {paths.shown(run)}")
        for step in steps:
            notebook = notebooks / f"{step.name}.ipynb"
            injected = {key: given[key] for key in step.parameters}
            seconds[step.name] = runner.execute(step, notebook, run, injected, report)
            report(f"{step.name:<24}{seconds[step.name]:7.1f} s")
        outputs = sorted({write for step in steps for write in step.writes})
        finished = manifest.describe(
            run, outputs, chosen.name, overrides, parameters, seconds, started
        )
        finished["publish"] = chosen.publish and not overrides
        manifest.write(run, finished)
    for line in outcomes.lines(run):
        report(line)
    return run


def parameters_of(
    profile: Profile,
    overrides: Sequence[str],
    *,
    steps: Sequence[Step] = STEPS,
    notebooks: Path = paths.NOTEBOOKS,
) -> dict[str, Any]:
    """Return every parameter of the notebooks under a profile and overrides, by name."""
    parameters = resolve(profile, overrides, _defaults(steps, notebooks))
    if "models" in parameters:
        parameters["models"] = [_located(name) for name in parameters["models"]]
    return parameters


def _defaults(steps: Sequence[Step], notebooks: Path) -> dict[str, Any]:
    """Return the defaults of all notebooks; one name must mean one kind of thing in all of them."""
    found: dict[str, Any] = {}
    for step in steps:
        for key, value in runner.contract(step, notebooks / f"{step.name}.ipynb").items():
            if key in found and type(found[key]) is not type(value):
                raise WorkbookError(
                    f"{step.name}.ipynb: {key} is {value!r}, elsewhere {found[key]!r}"
                )
            found.setdefault(key, value)
    return found


def _check_study(parameters: Mapping[str, Any]) -> None:
    """Raise UserError where a study of these parameters could not run."""
    if "models" not in parameters:
        return
    from hvae_utils.ask import models
    from hvae_utils.play import budget

    profiles.check(parameters)
    models.require(parameters["models"])
    budget.require(parameters.get("budget", ""), parameters["models"])
    models.require_servers(parameters["models"])


def _located(name: str) -> str:
    """Return a model's name; a weights file where the user stands goes before the project's."""
    family, _, file = name.partition("/")
    if family != "local" or not file.endswith(".gguf"):
        return name
    path = Path(file).expanduser()
    here, ours = path.absolute(), paths.ROOT / path
    if not here.is_file() or (ours.is_file() and here.samefile(ours)):
        return name
    return f"local/{here}"


def _producers(step: Step, steps: Sequence[Step], run: Path) -> list[Step]:
    """Return the earlier steps, in order, that make what `step` reads and the run lacks."""
    before = steps[: list(steps).index(step)]
    wanted = {name for name in step.reads if _stale(name, before, run)}
    found: list[Step] = []
    for earlier in reversed(before):
        if wanted & set(earlier.writes):
            found.insert(0, earlier)
            wanted |= {name for name in earlier.reads if _stale(name, before, run)}
    return found


def _stale(name: str, steps: Sequence[Step], run: Path) -> bool:
    """Return whether a file is missing, or older than any file that the step making it reads.

    A file made from a stale one is stale. Append-only records are neither: they only grow.
    """
    if not _there(run / name):
        return True
    places = [place for place, step in enumerate(steps) if name in step.writes]
    if not places or name.endswith(".jsonl"):
        return False
    made = _changed(run / name)
    sources = [read for read in steps[places[-1]].reads if not read.endswith(".jsonl")]
    before = steps[: places[-1]]
    return any(_stale(read, before, run) or _changed(run / read) > made for read in sources)


def _changed(path: Path) -> int:
    """Return when a file, or any file of a folder, was last written, in nanoseconds."""
    files = path.iterdir() if path.is_dir() else [path]
    return max(file.stat().st_mtime_ns for file in files)


def _unfinished(step: Step, first: Step, run: Path) -> UserError:
    """Return the error for a run that is not there, or lacks what a step reads."""
    if not run.is_dir():
        runs = [path.name for path in run.parent.glob("*") if path.is_dir()]
        return unknown(f"run in {paths.shown(run.parent)}", run.name, sorted(runs))
    return UserError(
        f"{step.name} reads what run '{run.name}' does not have, or has only from before a change; "
        f"run {first.name} first, or hvae reproduce --run-id {run.name} with its profile"
    )


def _refuse_to_ask(step: Step, producers: Sequence[Step], run: Path) -> None:
    """Raise UserError if making what `step` lacks would ask other than reference models.

    They may cost money or hours, so a notebook never asks them on behalf of another. Steps that
    ask are those with records; whom they ask stands in the run's conditions.
    """
    asking = [earlier for earlier in producers if any(w.endswith(".jsonl") for w in earlier.writes)]
    conditions = run / "conditions.parquet"
    if not asking or not conditions.is_file():
        return
    import pandas as pd

    names = pd.read_parquet(conditions).get("model", pd.Series(dtype=str)).unique()
    asked = [name for name in names if not name.startswith("reference/")]
    if asked:
        raise UserError(
            f"{step.name} reads what this run does not have, or has only from before a change; "
            f"run {asking[0].name} first: this run asks {', '.join(asked)}"
        )


def _there(path: Path) -> bool:
    """Return whether a file is there, or a folder with something in it."""
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _plain(content: Any) -> Any:
    """Return JSON's own types: numpy scalars unwrapped, NaN and infinities as null."""
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if hasattr(content, "item"):
        content = content.item()
    return None if isinstance(content, float) and not math.isfinite(content) else content
