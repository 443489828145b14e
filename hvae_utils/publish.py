"""From a finished run to the published figures, and back: is what is committed reproducible?

`publish` puts the old figures or the new into place, never a mix. `check` never touches them.

Public names: publish, check.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hvae_utils import bundle, manifest, paths, workbook
from hvae_utils.compare import MIN_SCORED, compare
from hvae_utils.errors import NotReady, NotRecorded, UserError
from hvae_utils.runner import Report

RECORDED = paths.DATA / "recorded"
TABLES = ("value_rationality.csv", "key_numbers.json")
PROVENANCE = "provenance.json"
MADE_OF = ("profile", "lock_sha256", "platform", "versions", "models", "inputs")
ENVIRONMENT = ("lock_sha256", "platform", "versions")


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


def check(
    *,
    profile: str = "default",
    figures: Path = paths.FIGURES,
    runs: str | Path | None = None,
    keep: bool = False,
    replay: bool = False,
    recorded: Path | None = None,
    finished: Path | None = None,
    report: Report = print,
    **workbook_options: Any,
) -> bool:
    """Reproduce a profile into a scratch folder and compare it with what is committed.

    runs: where to reproduce instead of a temporary folder, which is removed unless `keep` or
    something differs; always into a new folder, because a run that is there would go on from its
    records and prove nothing.
    replay: take the answers of the models from the bundle `recorded` (default: the profile's in
    data/recorded), as is done, and said, where a model cannot be asked here.
    finished: a run to compare as it is, instead of making one.
    Returns whether everything is the same, or within what `compare` states.
    Raises UserError when there is nothing to compare with, and what `workbook.reproduce` raises.
    """
    committed, source = _committed(figures)
    if finished is not None:
        return _same(finished, committed, source, report)
    scratch = Path(tempfile.mkdtemp(prefix="hvae-check-")) if runs is None else Path(runs)
    same = False
    names = ("check", *(f"check-{count}" for count in range(2, 10_000)))
    fresh = next(name for name in names if not (scratch / name).exists())
    try:
        where = {"runs": scratch, "run_id": fresh, "report": report, **workbook_options}
        recorded = RECORDED / f"{profile}.zip" if recorded is None else recorded
        run = _replay(recorded, where) if replay else _reproduce(profile, recorded, where)
        same = _same(run, committed, source, report)
    finally:
        if runs is None and ((same and not keep) or not any(scratch.iterdir())):
            shutil.rmtree(scratch, ignore_errors=True)
    if scratch.exists():
        report(f"the reproduced run is in {paths.shown(run)}")
    return same


def _same(run: Path, committed: dict[str, bytes], source: str, report: Report) -> bool:
    """Compare what a finished run would publish with what is committed, and report it."""
    made_of = json.loads(committed.pop(PROVENANCE, b"{}"))
    with tempfile.TemporaryDirectory(prefix="hvae-") as staged:
        reproduced = _contents(_stage(run, Path(staged) / "figures"))
    made_now = json.loads(reproduced.pop(PROVENANCE))
    alike = all(made_of.get(key) == made_now[key] for key in ENVIRONMENT)
    result = compare(committed, reproduced, alike)
    report(f"compared with {source}: {len(committed)} files, {_strictness(alike)}")
    if changed := _changed(made_of.get("inputs", {}), made_now["inputs"]):
        report(f"the committed figures were made before {changed} changed")
    if result.differences:
        for line in result.table().split("\n"):
            report(line)
    report(
        f"{len(result.differences)} differences; {result.within} unequal but within what is "
        f"allowed; {result.unstable} not compared (chat model, single administrations, spreads, or "
        f"fewer than {MIN_SCORED} scored)"
    )
    return not result.differences


def _reproduce(profile: str, recorded: Path, where: dict[str, Any]) -> Path:
    """Reproduce a profile, from its recorded answers where a model cannot be asked here."""
    try:
        return workbook.reproduce(profile, **where)
    except NotReady as fault:
        if not recorded.is_file():
            raise
        where["report"](str(fault))
    return _replay(recorded, where)


def _replay(recorded: Path, where: dict[str, Any]) -> Path:
    where["report"](f"the models' answers come from {paths.shown(recorded)}; no model is asked")
    try:
        return bundle.rebuild(recorded, **where)
    except NotRecorded as fault:
        raise UserError(
            f"the recorded bundle is older than the prompts; record it anew: hvae reproduce, then "
            f"hvae bundle {paths.shown(recorded)} ({fault})"
        ) from None


def _stage(run: Path, folder: Path) -> Path:
    """Make the folder of published figures from a finished run; return it."""
    from hvae_utils.show import style

    try:
        finished = manifest.read(run)
    except FileNotFoundError:
        raise UserError(f"{paths.shown(run)} is no finished run; finish it first") from None
    shutil.copytree(run / "figures", folder, ignore=shutil.ignore_patterns(".*", "*.part"))
    for name in TABLES:
        shutil.copyfile(run / name, folder / name)
    style.gallery(folder)
    made_of = {key: finished[key] for key in MADE_OF}
    text = json.dumps(made_of, indent=2) + "\n"
    (folder / PROVENANCE).write_text(text, encoding="utf-8", newline="\n")
    return folder


def _committed(figures: Path) -> tuple[dict[str, bytes], str]:
    """Return the files of the last commit, or of the folder where there is no commit of it.

    A run before the check may have published into the folder, so the folder alone proves nothing.
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
    if found:
        return found, "the last commit"
    if not figures.is_dir() or not (found := _contents(figures)):
        raise UserError(f"{paths.shown(figures)} has no published figures to compare with")
    return found, f"{paths.shown(figures)} (not in git)"


def _git(figures: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(figures.parent), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _strictness(alike: bool) -> str:
    if alike:
        return "same lock, versions and platform: pictures of equal data must be equal bytes"
    return "another lock, version or platform: pictures must be there and of equal size"


def _changed(before: dict[str, str], now: dict[str, str]) -> str:
    """Return the inputs that differ, in words, at most three by name."""
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
