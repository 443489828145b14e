"""The workbook: which notebook reads and writes what, and the calls that run them.

STEPS is the one declaration of the notebooks' reads, writes and parameters. A notebook opens its
step with `begin` and reaches nothing else. `reproduce` checks all that can be checked, then
executes the notebooks one after another; a run that was stopped continues from its records.
`replay` does the same from a bundle, with no model and no network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hvae_utils import paths
from hvae_utils.ask import replay as recorded
from hvae_utils.errors import UserError, WorkbookError, unknown
from hvae_utils.play.study import Study
from hvae_utils.run import bundle, manifest, profiles, runner
from hvae_utils.run import run as names
from hvae_utils.run.profiles import HOW, RUN, Profile, load_profile
from hvae_utils.run.run import CELLS, CONDITIONS, RECORDS, RESPONSES, SCORES, STEERABILITY, Run
from hvae_utils.run.runner import Report, Step

STUDY = tuple(field.name for field in fields(Study))
PLAYING = ("concurrency", "reask", "budget")
TABLES = (CONDITIONS, RESPONSES, SCORES, CELLS, STEERABILITY)
STEPS = (  # name, reads, writes, parameters
    Step("00_overview"),
    Step("01_value_assignment", (), (CONDITIONS, RECORDS), (*RUN, *STUDY, *HOW)),
    Step("02_game_play", (CONDITIONS,), (RECORDS, RESPONSES), (*RUN, *PLAYING)),
    Step(
        "03_metric_computation",
        (CONDITIONS, RESPONSES),
        (SCORES, CELLS, STEERABILITY, names.DELIBERATION),
        RUN,
    ),
    Step(
        "04_analysis",
        (*TABLES, names.DELIBERATION),
        (names.FIGURES, names.GOAL_EFFECTS, names.KEY_NUMBERS),
        RUN,
    ),
    Step(
        "05_robustness",
        TABLES,
        (RECORDS, "debiased.csv", "probes.csv", "motives.csv", names.FIGURES),
        (*RUN, "probe_values", "isomorphs", *PLAYING),
        adds_to=(names.FIGURES,),
    ),
    Step("06_explore", (CELLS,), ("noise.csv",), RUN),
    Step(
        "07_transfer",
        (CONDITIONS,),
        (RECORDS, *names.OF_GAMES, names.FIGURES),
        (*RUN, "games", "game_models", "game_wordings", "weights", *PLAYING),
        adds_to=(names.FIGURES,),
        optional=(names.FIGURES,),  # without games there is nothing to draw
    ),
)
ASKED = tuple(  # parameters that say what a run asked
    dict.fromkeys(key for step in STEPS for key in step.parameters if key not in (*RUN, *HOW))
)
INTERACTIVE = "interactive"  # the notebooks' own run, which is made as it is needed


def begin(
    name: str,
    *,
    runs: str | Path | None = None,
    run_id: str = "default",
    steps: Sequence[Step] = STEPS,
    notebooks: Path = paths.NOTEBOOKS,
) -> "OpenStep":
    """Open a notebook's step in its run; a relative `runs` lies in the project.

    In the notebooks' own run, `interactive`, what the step reads and the run does not have, or has
    only from before a file it is made from was written anew, is made first, by the earlier
    notebooks with their default parameters. In any other run that is an error.
    Raises UserError for an unknown step, a bad run id, or where one of those notebooks would ask
    models other than the reference respondents: they may cost money or hours.
    """
    by_name = {step.name: step for step in steps}
    if name not in by_name:
        raise unknown("step", name, by_name)
    step = by_name[name]
    run = Run(run_id, None if runs is None else paths.ROOT / Path(runs).expanduser())
    producers = _producers(step, steps, run)
    if first := _by_hand(producers, run):
        run.require()
        raise UserError(
            f"{name} reads what run '{run_id}' does not have, or has only from before a change; "
            f"run {first}"
        )
    run.make()
    whole = all(map(run.has, step.reads))
    lack = "had only from before a change" if whole else "did not have"
    where = {"runs": str(run.folder.parent), "run_id": run_id}
    for earlier in producers:
        notebook = notebooks / f"{earlier.name}.ipynb"
        runner.contract(earlier, notebook)
        seconds = runner.execute(earlier, notebook, run, where)
        print(f"{name} reads what this run {lack}; ran {earlier.name} ({seconds:.0f} s)")
    return OpenStep(step, run)


@dataclass(frozen=True)
class OpenStep:
    """A step at work in its run: its declared files and no others can be reached."""

    step: Step
    run: Run

    def read(self, name: str) -> Any:
        """Return a declared read, as `Run.read` does."""
        self._require(name, self.step.reads, "read")
        return self.run.read(name)

    def write(self, name: str, content: Any) -> str:
        """Write a declared file, as `Run.write` does; return where it is, in words."""
        self._require(name, self.step.writes, "write")
        return paths.shown(self.run.write(name, content))

    def path(self, name: str) -> Path:
        """Return the path of a declared read or write, for code that opens it itself."""
        self._require(name, (*self.step.reads, *self.step.writes), "use")
        return self.run.path(name)

    def folder(self, name: str) -> Path:
        """Return a declared folder, emptied unless the step adds to what an earlier one wrote."""
        name = f"{name.rstrip('/')}/"
        self._require(name, self.step.writes, "write")
        folder = self.run.path(name)
        folder.mkdir(parents=True, exist_ok=True)
        for path in () if name in self.step.adds_to else folder.iterdir():
            if path.is_file():
                path.unlink()
        return folder

    def finish(self) -> None:
        """Make record files that nobody needed; WorkbookError naming what was not written."""
        for name in self.step.writes:
            if name.endswith(".jsonl"):
                self.run.path(name).touch()
        missing = [name for name in self.step.writes if not self.run.has(name)]
        if missing:
            raise WorkbookError(f"{self.step.name} did not write {', '.join(missing)}")

    def _require(self, name: str, declared: Sequence[str], verb: str) -> None:
        if ".." in name or not runner.is_among(name, declared):
            names = ", ".join(declared) or "nothing"
            raise WorkbookError(f"{self.step.name} may {verb} {names}; '{name}' is not declared")


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
) -> Run:
    """Run the whole workbook with a named profile; return the run, with its manifest.

    profile: by name, or one that stands in no file; overrides: texts KEY=VALUE; runs, run_id: as of
    `Run`, the id the profile's name unless given; a run that is there already continues from its
    records. Everything is checked before anything runs, and what each model can do before the first
    notebook (`play.check`); the manifest keeps it.
    Raises UserError, WorkbookError (a notebook failed), EndpointError or BudgetReached.
    """
    chosen = profile if isinstance(profile, Profile) else load_profile(profile, profiles)
    run = Run(chosen.name if run_id is None else run_id, runs)
    parameters = parameters_of(chosen, overrides, steps=steps, notebooks=notebooks)
    if "models" in parameters:
        _check_study(parameters)
    values = {**parameters, "runs": str(run.folder.parent), "run_id": run.name}
    title = f"Profile {chosen.name} with {', '.join(overrides)}" if overrides else chosen.title
    with run.held():
        run.path(manifest.NAME).unlink(missing_ok=True)
        started, seconds = datetime.now(UTC), {}
        report(f"{title}: {len(steps)} notebooks into {paths.shown(run.folder)}")
        asking = any(RECORDS in step.writes for step in steps)
        capabilities = _capabilities(run, parameters, report) if asking else {}
        for step in steps:
            injected = {key: values[key] for key in step.parameters}
            notebook = notebooks / f"{step.name}.ipynb"
            seconds[step.name] = runner.execute(step, notebook, run, injected, report)
            report(f"{step.name:<24}{seconds[step.name]:7.1f} s")
        outputs = sorted({name for step in steps for name in step.writes})
        asked = chosen.name, overrides, parameters, seconds, started
        made_of = manifest.describe(run.folder, outputs, *asked, capabilities=capabilities)
        manifest.write(run.folder, {**made_of, "publish": chosen.publish and not overrides})
    for line in run.how_items_ended():
        report(line)
    return run


def replay(
    path: Path,
    *,
    runs: str | Path | None = None,
    run_id: str | None = None,
    report: Report = print,
    **options: Any,
) -> Run:
    """Make every table and figure from a bundle, with no model and no network; return the run.

    run_id: `replay-` and the profile's name unless given, never the folder of another run; the
    rest is as in `reproduce`. `report` gets a line on whether all is equal to the recorded run.
    Raises UserError, NotRecorded among them (a request without a record), or WorkbookError.
    """
    packed = bundle.read(path)
    parameters = packed.manifest["parameters"]
    if strange := [key for key in parameters if key not in ASKED]:
        raise UserError(
            f"{paths.shown(path)} sets '{strange[0][:60]}', which does not say what was asked; "
            "a bundle may not decide how it is replayed"
        )
    parameters = {"games": [], **parameters}  # of which older bundles know nothing
    name = packed.manifest["profile"]
    run = Run(f"replay-{name}" if run_id is None else run_id, runs)
    profile = Profile(name, f"Replay of {path.name}", False, parameters)
    answered = {model: of for model, of in packed.manifest["models"].items() if of}
    with run.held(), recorded.replaying(answered):
        bundle.unpack(packed, run.folder)
        reproduce(profile, runs=run.folder.parent, run_id=run.name, report=report, **options)
        manifest.write(run.folder, {**run.manifest, "replayed": packed.sha256})
    report(bundle.likeness(packed.manifest, run.manifest))
    return run


def parameters_of(
    profile: Profile,
    overrides: Sequence[str],
    *,
    steps: Sequence[Step] = STEPS,
    notebooks: Path = paths.NOTEBOOKS,
) -> dict[str, Any]:
    """Return every parameter of the notebooks under a profile and overrides, by name."""
    parameters = profiles.resolve(profile, overrides, _defaults(steps, notebooks))
    if "models" in parameters:
        parameters["models"] = [_located(name) for name in parameters["models"]]
    return parameters


def _defaults(steps: Sequence[Step], notebooks: Path) -> dict[str, Any]:
    """Return the defaults of all notebooks; one name must mean one kind of thing in all of them."""
    defaults: dict[str, Any] = {}
    for step in steps:
        for key, value in runner.contract(step, notebooks / f"{step.name}.ipynb").items():
            if type(defaults.setdefault(key, value)) is not type(value):
                raise WorkbookError(
                    f"{step.name}.ipynb: {key} is {value!r}, elsewhere {defaults[key]!r}"
                )
    return defaults


def _check_study(parameters: Mapping[str, Any]) -> None:
    """Raise UserError where a study of these parameters could not run."""
    from hvae_utils.ask import models
    from hvae_utils.play import budget

    profiles.check(parameters)
    models.require(parameters["models"])
    budget.require(parameters.get("budget", ""), parameters["models"])
    models.require_servers(parameters["models"])


def _capabilities(
    run: Run, parameters: Mapping[str, Any], report: Report
) -> dict[str, dict[str, Any]]:
    """Return what was seen of each model that is asked; UserError where the study cannot be asked.

    The questions are recorded in the run and count in its budget. A replay asks nobody.
    """
    from hvae_utils.play import check, study
    from hvae_utils.play.budget import Budget
    from hvae_utils.play.records import Records

    asked = [name for name in parameters.get("models", ()) if not name.startswith("reference/")]
    if not asked or recorded.identities() is not None:
        return {}
    planned = study.conditions(study.of_parameters(parameters))
    path = run.path(RECORDS)
    with Records(path) as records:
        budget = Budget.of_run(parameters.get("budget", ""), path)
        found = check.capabilities(planned, records, budget)
    for seen in found.values():
        report(f"{seen.model}: {check.in_words(seen)}")
    if lacks := list(filter(None, (check.impossible(seen, planned) for seen in found.values()))):
        raise UserError("; ".join(lacks))
    return {name: seen.plain() for name, seen in found.items()}


def _located(name: str) -> str:
    """Return a model's name; a weights file where the user stands goes before the project's."""
    family, _, file = name.partition("/")
    path = Path(file).expanduser()
    here, ours = path.absolute(), paths.ROOT / path
    if family != "local" or path.suffix != ".gguf" or not here.is_file():
        return name
    return name if ours.is_file() and here.samefile(ours) else f"local/{here}"


def _producers(step: Step, steps: Sequence[Step], run: Run) -> list[Step]:
    """Return the earlier steps, in order, that make what `step` reads and the run does not have.

    A file that is older than any file it is made from counts as one that is not there. Append-only
    records are neither: they only grow.
    """
    needed, chain = set(step.reads), []
    for earlier in reversed(steps[: list(steps).index(step)]):
        if needed & set(earlier.writes):
            chain.insert(0, earlier)
            needed |= set(earlier.reads)
    producers: list[Step] = []
    remade: set[str] = set()
    for earlier in chain:
        tables = {name for name in earlier.writes if name in needed and not name.endswith(".jsonl")}
        oldest = min((_changed(run, name) for name in tables), default=0)
        newest = max((_changed(run, name) for name in earlier.reads), default=0)
        if not oldest or oldest < newest or remade & set(earlier.reads):
            producers.append(earlier)
            remade |= tables
    return producers


def _changed(run: Run, name: str) -> int:
    """Return when a file, or any of a folder, was last written, in nanoseconds; 0 without it."""
    path = run.path(name)
    files = path.iterdir() if path.is_dir() else [path]
    return max((file.stat().st_mtime_ns for file in files if file.exists()), default=0)


def _by_hand(producers: Sequence[Step], run: Run) -> str:
    """Return which steps the user has to run, because they may cost money or hours, or ''."""
    if producers and run.name != INTERACTIVE:
        return f"{producers[0].name} first, or hvae reproduce --run-id {run.name} with its profile"
    asking = [step.name for step in producers if RECORDS in step.writes]
    models = run.conditions["model"].unique() if asking and run.has(CONDITIONS) else ()
    asked = ", ".join(name for name in models if not name.startswith("reference/"))
    return f"{asking[0]} first: this run asks {asked}" if asked else ""
