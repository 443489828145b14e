"""From a finished run to the published figures, and back: is what is committed reproducible?

`publish` puts the old figures or the new into place, never a mix, and records the answers they
were made of. `check` and `replicate` never touch them.

Public names: publish, published, record, equal, check, replicate, RECORDED.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hvae_utils import paths
from hvae_utils.errors import NotRecorded, UserError
from hvae_utils.run import bundle, compare, manifest, workbook
from hvae_utils.run.runner import Report

RECORDED = paths.DATA / "recorded"
TABLES = ("value_rationality.csv", "key_numbers.json")
PROVENANCE = "provenance.json"
ENVIRONMENT = ("lock_sha256", "platform", "versions")
MADE_OF = ("profile", "parameters", "models", *ENVIRONMENT)

Files = dict[str, bytes]


def publish(run: Path, figures: Path = paths.FIGURES) -> Path:
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


def published(figures: Path = paths.FIGURES) -> bool:
    """Return whether there are any published figures."""
    return figures.is_dir() and any(figures.iterdir())


def record(run: Path, folder: Path = RECORDED) -> Path:
    """Write the answers of a run that may be published as its profile's bundle; return where.

    Raises UserError for a run whose figures are not the project's, and what `bundle.write` raises.
    """
    made = _finished(run)
    if not made.get("publish"):
        raise UserError(
            f"{paths.shown(run)} is not for publication: its profile is '{made['profile']}'"
            f"{' with changes' if made['overrides'] else ''}; only hvae reproduce of a profile "
            "with `publish: true` makes one that is"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return bundle.write(run, folder / f"{made['profile']}.zip").path


def equal(run: Path, figures: Path = paths.FIGURES) -> tuple[int, int]:
    """Return how many of the published files a finished run would leave as they are, and of all."""
    published, made = _contents(figures), _publishable(run)
    published.pop(PROVENANCE, None)
    return sum(made.get(name) == content for name, content in published.items()), len(published)


def check(
    *,
    figures: Path = paths.FIGURES,
    recorded: Path = RECORDED,
    finished: Path | None = None,
    runs: str | Path | None = None,
    keep: bool = False,
    report: Report = print,
    **workbook_options: Any,
) -> bool:
    """Make what is committed again from its recorded answers; return whether it is the same.

    recorded: the folder of bundles; finished: a run to compare as it is, instead of making one.
    runs: where to make it instead of a temporary folder, which is removed unless `keep` or
    something differs.
    Raises UserError when there is nothing to compare with or a run is of another study, and what
    `bundle.rebuild` raises.
    """
    published, made_of, source = _committed(figures)

    def same(run: Path) -> bool:
        alike, differences = _compared(run, published, made_of)
        strict = "same lock and platform: equal bytes" if alike else "another lock or platform"
        report(f"compared with {source}: {len(published)} files ({strict})")
        for line in compare.table(differences) if differences else ():
            report(line)
        report(f"{len(differences)} differences")
        return not differences

    def rebuild(**where: Any) -> Path:
        path = recorded / f"{made_of['profile']}.zip"
        report(f"the models' answers come from {paths.shown(path)}; no model is asked")
        try:
            return bundle.rebuild(path, report=report, **where, **workbook_options)
        except NotRecorded as fault:
            raise UserError(
                "the recorded answers are older than the prompts; record them anew: "
                f"hvae reproduce, then hvae publish ({fault})"
            ) from None

    return same(finished) if finished else _in_scratch(rebuild, same, runs, keep, report)


def replicate(
    *,
    figures: Path = paths.FIGURES,
    runs: str | Path | None = None,
    keep: bool = False,
    report: Report = print,
    **workbook_options: Any,
) -> None:
    """Ask the models of what is committed anew, and report the largest differences of each file.

    No verdict: on another processor one token of a model may flip, and all that follows with it.
    Raises what `workbook.reproduce` raises; the rest is as in `check`.
    """
    published, made_of, source = _committed(figures)

    def reproduce(**where: Any) -> Path:
        return workbook.reproduce(made_of["profile"], report=report, **where, **workbook_options)

    def told(run: Path) -> bool:
        _, differences = _compared(run, published, made_of)
        places = compare.largest(differences)
        report(f"compared with {source}: {len(places)} of {len(published)} files differ")
        for line in compare.table(places) if places else ():
            report(line)
        return True

    _in_scratch(reproduce, told, runs, keep, report)


def _in_scratch(
    make: Callable[..., Path],
    judge: Callable[[Path], bool],
    runs: str | Path | None,
    keep: bool,
    report: Report,
) -> bool:
    """Make a run in a new folder, judge it, and remove it if it is good and not to be kept.

    Always a new one: a run that is there would go on from its records and prove nothing.
    """
    scratch = Path(tempfile.mkdtemp(prefix="hvae-")) if runs is None else runs
    names = ("check", *(f"check-{count}" for count in range(2, 10_000)))
    run = next(run for name in names if not (run := workbook.run_folder(scratch, name)).exists())
    good = False
    try:
        make(runs=scratch, run_id=run.name)
        good = judge(run)
    finally:
        if runs is None and ((good and not keep) or not run.exists()):
            shutil.rmtree(scratch, ignore_errors=True)
    if run.exists():
        report(f"the new run is in {paths.shown(run)}")
    return good


def _compared(
    run: Path, published: Files, made_of: Mapping[str, Any]
) -> tuple[bool, list[compare.Difference]]:
    """Return whether lock and platform are alike, and where a run and what is published differ.

    Raises UserError when the run is of another study.
    """
    made = _finished(run)
    here, there = (
        {key: side["parameters"].get(key) for key in workbook.ASKED} for side in (made, made_of)
    )
    if other := [key for key in workbook.ASKED if here[key] != there[key]]:
        raise UserError(
            f"{paths.shown(run)} is another study, of profile '{made['profile']}', than the "
            f"published one, of '{made_of['profile']}': {', '.join(other)} differ; nothing was "
            "compared"
        )
    alike = all(made_of.get(key) == made[key] for key in ENVIRONMENT)
    return alike, compare.compare(published, _publishable(run), alike)


def _finished(run: Path) -> dict[str, Any]:
    try:
        return manifest.read(run)
    except FileNotFoundError:
        raise UserError(f"{paths.shown(run)} is no finished run; finish it first") from None


def _publishable(run: Path) -> Files:
    """Return the files that a finished run would publish, without their provenance."""
    with tempfile.TemporaryDirectory(prefix="hvae-") as folder:
        files = _contents(_stage(run, Path(folder) / "figures"))
    del files[PROVENANCE]
    return files


def _stage(run: Path, folder: Path) -> Path:
    """Make the folder of published figures from a finished run; return it."""
    from hvae_utils.show import style

    finished = _finished(run)
    shutil.copytree(run / "figures", folder, ignore=shutil.ignore_patterns(".*", "*.part"))
    for name in TABLES:
        shutil.copyfile(run / name, folder / name)
    style.gallery(folder)
    made_of = {key: finished[key] for key in MADE_OF}
    text = json.dumps(made_of, indent=2) + "\n"
    (folder / PROVENANCE).write_text(text, encoding="utf-8", newline="\n")
    return folder


def _committed(figures: Path) -> tuple[Files, dict[str, Any], str]:
    """Return the files of the last commit, what they were made of, and whence, in words.

    They are those of the folder where there is no commit of it.
    """
    try:
        listed = _git(figures, "ls-tree", "-r", "--name-only", "-z", "HEAD", f"{figures.name}/")
        names = [name for name in listed.decode().split("\0") if name]
        found = {
            name.removeprefix(f"{figures.name}/"): _git(figures, "show", f"HEAD:./{name}")
            for name in names
        }
    except (OSError, subprocess.CalledProcessError):
        found = {}
    source = "the last commit" if found else f"{paths.shown(figures)} (not in git)"
    if not found and (not figures.is_dir() or not (found := _contents(figures))):
        raise UserError(f"{paths.shown(figures)} has no published figures to compare with")
    where = f"{paths.shown(figures)}/{PROVENANCE}"
    made_of = json.loads(found.pop(PROVENANCE, b"{}"))
    if not isinstance(made_of.get("parameters"), dict):
        raise UserError(f"{where} does not say of which study the figures are; publish them anew")
    return found, made_of, source


def _git(figures: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(figures.parent), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _contents(folder: Path) -> Files:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
