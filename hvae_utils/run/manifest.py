"""What a run was made of: enough to say later whether two runs can be the same to the byte.

A manifest holds names, numbers and hashes, and nothing of this machine: no path, no value from the
environment, no secret. Weights files appear by their name alone. Code and data are those of the git
revision; `dirty` says whether they were changed since.
"""

import json
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PureWindowsPath
from typing import Any

from hvae_utils import files, paths
from hvae_utils.errors import UserError

NAME = "manifest.json"
SCHEMA = 1
FIELDS = {  # what every reader of a manifest relies on
    **{"schema": int, "profile": str, "overrides": list, "parameters": dict, "models": dict},
    **{"outputs": dict, "platform": dict, "versions": dict, "lock_sha256": str | None},
}


def describe(
    folder: Path,
    outputs: Sequence[str],
    profile: str,
    overrides: Sequence[str],
    parameters: Mapping[str, Any],
    seconds: Mapping[str, float],
    started: datetime,
    root: Path = paths.ROOT,
    capabilities: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the manifest of the finished run in `folder`.

    outputs: the declared writes, relative to the folder; seconds: by notebook; started: with a time
    zone; root: the project; capabilities: what was seen of each model before it was asked, which
    older manifests lack. Models are left out of the overrides, where they could name a folder.
    """
    models = parameters.get("models", ())
    named = {"models": [portable(name) for name in models]} if models else {}
    return {
        "schema": SCHEMA,
        "profile": profile,
        "overrides": [text for text in overrides if text.partition("=")[0] != "models"],
        "parameters": {**parameters, **named},
        "seeds": {key: value for key, value in parameters.items() if key.endswith("seed")},
        "models": _models(models),
        "capabilities": {portable(name): seen for name, seen in (capabilities or {}).items()},
        **_revision(root),
        **environment(root),
        "outputs": _outputs(folder, outputs),
        "seconds": {name: round(spent, 2) for name, spent in seconds.items()},
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest of a run whole or not at all."""
    files.write_atomically(folder / NAME, json.dumps(content, indent=2) + "\n")


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a run: FileNotFoundError if there is none, UserError if it is none."""
    path = folder / NAME
    return parse(path.read_bytes(), paths.shown(path))


def parse(text: bytes, where: str) -> dict[str, Any]:
    """Return a manifest's content; UserError, beginning with `where`, if it is no manifest."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(f"{where} is not JSON that can be read; take it from a whole run") from None
    if name := lacking(content, FIELDS):
        raise UserError(f"{where} is no manifest of a run: it lacks '{name}'")
    texts = [*content["outputs"].values(), *content["overrides"]]
    texts += [name for name in content["models"].values() if name is not None]
    if not all(isinstance(text, str) for text in texts):
        raise UserError(f"{where} is no manifest of a run: a hash or an override is no text")
    return content


def lacking(content: Any, kinds: Mapping[str, Any]) -> str:
    """Return the first name of `kinds` that a content lacks or has of another kind, or ''."""
    fields = content if isinstance(content, dict) else {}
    lacks = (name for name, kind in kinds.items() if not isinstance(fields.get(name, ...), kind))
    return next(lacks, "")


def environment(root: Path = paths.ROOT) -> dict[str, Any]:
    """Return lock hash (None without a lock), platform, and versions of direct dependencies."""
    lock = root / "requirements.lock"
    return {
        "lock_sha256": files.sha256(lock) if lock.is_file() else None,
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "versions": {"python": platform.python_version(), **_dependencies(root)},
    }


def portable(name: str) -> str:
    """Return a model's name without the folder of its weights, with whichever slash it has."""
    family, _, file = name.partition("/")
    return f"local/{PureWindowsPath(file).name}" if family == "local" else name


def _models(names: Sequence[str]) -> dict[str, str | None]:
    """Return the identity of each model, a hash; None for reference respondents."""
    from hvae_utils.ask import models

    identities = models.identities(names)
    return {portable(name): identities.get(name) for name in names}


def _outputs(folder: Path, declared: Sequence[str]) -> dict[str, str]:
    entries = [folder / name for name in declared]
    within = [path for entry in entries for path in (entry, *sorted(entry.rglob("*")))]
    return {
        path.relative_to(folder).as_posix(): files.sha256(path) for path in within if path.is_file()
    }


def git(folder: Path, *command: str) -> bytes:
    """Return what git says to a command in a folder; OSError or CalledProcessError if it fails."""
    command = ("git", "-C", str(folder), *command)
    return subprocess.run(command, check=True, capture_output=True).stdout


def _revision(root: Path) -> dict[str, Any]:
    """Return the git revision and whether files differ from it; None, None outside of git."""
    commands = ("rev-parse", "HEAD"), ("status", "--porcelain", "--", ".", ":!figures")
    try:
        revision, changed = (git(root, *command).decode().strip() for command in commands)
    except (OSError, subprocess.CalledProcessError):
        return {"revision": None, "dirty": None}
    return {"revision": revision, "dirty": bool(changed)}


def _dependencies(root: Path) -> dict[str, str | None]:
    """Return the installed versions of what pyproject.toml names, None for what is missing."""
    project = root / "pyproject.toml"
    needed = files.read_toml(project)["project"]["dependencies"] if project.is_file() else ()
    names = sorted({re.split(r"[^A-Za-z0-9._-]", entry.strip(), maxsplit=1)[0] for entry in needed})
    versions: dict[str, str | None] = dict.fromkeys(names)
    for name in names:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
