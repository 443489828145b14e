"""From a finished run to the published figures, and back: is what is committed reproducible?

`publish` puts the figures of a run in the place of the old ones and `record` its answers; `check`
and `replicate` make them again elsewhere and compare.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from hvae_utils import files, paths
from hvae_utils.errors import NotRecorded, UserError
from hvae_utils.run import compare, manifest, workbook
from hvae_utils.run.run import CELLS, FIGURES, KEY_NUMBERS, Run
from hvae_utils.run.runner import Report

RECORDED = paths.DATA / "recorded"
PROVENANCE = "provenance.json"
ENVIRONMENT = ("lock_sha256", "platform", "versions")
MADE_OF = ("profile", "parameters", "models", *ENVIRONMENT)

Files = dict[str, bytes]


def publish(run: Run, figures: Path = paths.FIGURES) -> Path:
    """Replace the published figures by those of a finished run; return the folder.

    The new folder is complete before the old one leaves its name. If the process dies between the
    two renames, the old one is put back by the next call.
    """
    new, old = (figures.with_name(f".{figures.name}.{word}") for word in ("new", "old"))
    if old.exists() and not figures.exists():
        os.rename(old, figures)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    _stage(run, new)
    if figures.exists():
        os.rename(figures, old)
    try:
        os.rename(new, figures)
    except OSError:
        if old.exists():
            os.rename(old, figures)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return figures


def record(run: Run, folder: Path = RECORDED) -> Path:
    """Write the answers of a run that may be published as its profile's bundle; return where.

    Raises UserError for a run whose figures are not the project's, and what `Run.bundle` raises.
    """
    made_of = run.manifest
    if not made_of.get("publish"):
        raise UserError(
            f"{paths.shown(run.folder)} is not for publication: its profile is "
            f"'{made_of['profile']}'{' with changes' if made_of['overrides'] else ''}; only hvae "
            "reproduce of a profile with `publish: true` makes one that is"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return run.bundle(folder / f"{made_of['profile']}.zip").path


def equal(run: Run, figures: Path = paths.FIGURES) -> tuple[int, int]:
    """Return how many of the published files a finished run would leave as they are, and of all."""
    published, made = _contents(figures), _publishable(run)
    published.pop(PROVENANCE, None)
    return sum(made.get(name) == content for name, content in published.items()), len(published)


def check(
    *,
    figures: Path = paths.FIGURES,
    recorded: Path = RECORDED,
    finished: Run | None = None,
    runs: str | Path | None = None,
    report: Report = print,
) -> bool:
    """Make what is committed again from its recorded answers; return whether it is the same.

    recorded: the folder of bundles; finished: a run to compare as it is, instead of making one.
    runs: where to make it instead of a temporary folder, which is removed unless something differs.
    Raises UserError with nothing to compare, or another study; and what `workbook.replay` raises.
    """
    published, made_of, source = _committed(figures)
    with nullcontext(finished) if finished else _scratch(runs, report) as run:
        if not finished:
            _answer_again(run, recorded / f"{made_of['profile']}.zip", report)
        differences, alike = _compared(run, published, made_of)
        strict = "same lock and platform: equal bytes" if alike else "another lock or platform"
        report(f"compared with {source}: {len(published)} files ({strict})")
        for line in compare.table(differences):
            report(line)
        report(f"{len(differences)} differences")
        if not (finished or runs or differences):
            shutil.rmtree(run.folder)
    return not differences


def _answer_again(run: Run, answers: Path, report: Report) -> None:
    report(f"the models' answers come from {paths.shown(answers)}; no model is asked")
    try:
        workbook.replay(answers, runs=run.folder.parent, run_id=run.name, report=report)
    except NotRecorded as fault:
        raise UserError(
            "the recorded answers are older than the prompts; record them anew: "
            f"hvae reproduce, then hvae publish ({fault})"
        ) from None


def replicate(
    *, figures: Path = paths.FIGURES, runs: str | Path | None = None, report: Report = print
) -> None:
    """Ask the models of what is committed anew, and report the largest differences of each file.

    No verdict: on another processor one token of a model may flip, and all that follows with it.
    Raises what `workbook.reproduce` raises; the rest is as in `check`.
    """
    published, made_of, source = _committed(figures)
    with _scratch(runs, report) as run:
        where = {"runs": run.folder.parent, "run_id": run.name}
        workbook.reproduce(made_of["profile"], report=report, **where)
        differences, _ = _compared(run, published, made_of)
        largest = compare.largest(differences)
        report(f"compared with {source}: {len(largest)} of {len(published)} files differ")
        for line in compare.table(largest):
            report(line)
        if not runs:
            shutil.rmtree(run.folder)


@contextmanager
def _scratch(runs: str | Path | None, report: Report) -> Iterator[Run]:
    """Give a run that is new, so that it goes on from no records; say in the end where it is."""
    folder = Path(tempfile.mkdtemp(prefix="hvae-")) if runs is None else runs
    run, count = Run("check", folder), 1
    while run.folder.exists():
        count += 1
        run = Run(f"check-{count}", folder)
    try:
        yield run
    finally:
        if run.folder.exists():
            report(f"the new run is in {paths.shown(run.folder)}")
        elif runs is None:
            shutil.rmtree(folder, ignore_errors=True)


def _compared(
    run: Run, published: Files, made_of: Mapping[str, Any]
) -> tuple[list[compare.Difference], bool]:
    """Return where a run and what is published differ, and whether lock and platform are alike."""
    made = run.manifest
    here, there = made["parameters"], made_of["parameters"]
    if other := [key for key in workbook.ASKED if here.get(key) != there.get(key)]:
        raise UserError(
            f"{paths.shown(run.folder)} is another study, of profile '{made['profile']}', than the "
            f"published one, of '{made_of['profile']}': {', '.join(other)} differ; nothing was "
            "compared"
        )
    alike = all(made_of.get(key) == made[key] for key in ENVIRONMENT)
    return compare.compare(published, _publishable(run), alike), alike


def _publishable(run: Run) -> Files:
    """Return the files that a finished run would publish, without their provenance."""
    with tempfile.TemporaryDirectory(prefix="hvae-") as folder:
        contents = _contents(_stage(run, Path(folder) / "figures"))
    del contents[PROVENANCE]
    return contents


def _stage(run: Run, folder: Path) -> Path:
    """Make the folder of published figures from a finished run; return it."""
    from hvae_utils.show import style

    made_of = {key: run.manifest[key] for key in MADE_OF}
    parameters = made_of["parameters"].items()
    made_of["parameters"] = {key: value for key, value in parameters if key in workbook.ASKED}
    shutil.copytree(run.path(FIGURES), folder, ignore=shutil.ignore_patterns(".*"))
    for name in (CELLS, KEY_NUMBERS):
        shutil.copyfile(run.path(name), folder / name)
    style.gallery(folder)
    files.write_atomically(folder / PROVENANCE, json.dumps(made_of, indent=2) + "\n")
    return folder


def _committed(figures: Path) -> tuple[Files, dict[str, Any], str]:
    """Return the files of the last commit or else of the folder, their origin, and whence."""
    where = paths.shown(figures)
    contents, source = _of_last_commit(figures), "the last commit"
    if not contents:
        contents, source = _contents(figures), f"{where} (not in git)"
    if not contents:
        raise UserError(f"{where} has no published figures to compare with")
    if PROVENANCE not in contents:
        raise UserError(f"{where} lacks {PROVENANCE}; publish the figures anew")
    return contents, json.loads(contents.pop(PROVENANCE)), source


def _of_last_commit(figures: Path) -> Files:
    git, folder = partial(manifest.git, figures.parent), f"{figures.name}/"
    try:
        names = git("ls-tree", "-r", "--name-only", "-z", "HEAD", folder).decode().split("\0")
        return {name.removeprefix(folder): git("show", f"HEAD:./{name}") for name in names if name}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _contents(folder: Path) -> Files:
    within = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in within}
