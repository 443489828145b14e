"""What a run was made of: enough to say later whether two runs can be the same to the byte.

A manifest holds names, numbers and hashes; never a path of this machine, a value from the
environment or a secret. Weights files appear by their name alone. The code and data a run was made
of are those of its git revision; `dirty` says whether they were changed since.

Public names: SCHEMA, describe, write, read, parse, environment.
"""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import Any

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.files import sha256

SCHEMA = 1
FIELDS = {  # what every reader of a manifest relies on
    **{"schema": int, "profile": str, "overrides": list, "parameters": dict, "models": dict},
    **{"outputs": dict, "platform": dict, "versions": dict, "lock_sha256": str | None},
}


def describe(
    run: Path,
    outputs: Sequence[str],
    profile: str,
    overrides: Sequence[str],
    parameters: Mapping[str, Any],
    seconds: Mapping[str, float],
    started: datetime,
    root: Path = paths.ROOT,
) -> dict[str, Any]:
    """Return the manifest of a finished run; models stand in its parameters, not its overrides.

    outputs: the declared writes, relative to `run`; seconds: by notebook; started: with a time
    zone; root: the project folder that lock and revision belong to.
    """
    named = [_portable(name) for name in parameters.get("models", ())]
    return {
        "schema": SCHEMA,
        "profile": profile,
        "overrides": [given for given in overrides if given.partition("=")[0] != "models"],
        "parameters": {**parameters, **({"models": named} if named else {})},
        "seeds": {key: value for key, value in parameters.items() if key.endswith("seed")},
        "models": _models(parameters.get("models", ())),
        **_revision(root),
        **environment(root),
        "outputs": _outputs(run, outputs),
        "seconds": {name: round(spent, 2) for name, spent in seconds.items()},
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(run: Path, content: Mapping[str, Any]) -> Path:
    """Write the manifest of a run at once or not at all; return its path."""
    path, new = run / "manifest.json", run / ".manifest.json.new"
    new.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
    os.replace(new, path)
    return path


def read(run: Path) -> dict[str, Any]:
    """Return the manifest of a run; FileNotFoundError when the run did not finish.

    Raises UserError when it cannot be read.
    """
    path = run / "manifest.json"
    return parse(path.read_bytes(), paths.shown(path))


def parse(text: bytes, where: str) -> dict[str, Any]:
    """Return a manifest's content; UserError, beginning with `where`, if it is no manifest."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(f"{where} is not JSON that can be read; take it from a whole run") from None
    fields = content if isinstance(content, dict) else {}
    for name, kind in FIELDS.items():
        if name not in fields or not isinstance(fields[name], kind):
            raise UserError(f"{where} is no manifest of a run: it lacks '{name}'")
    texts = [*content["outputs"].values(), *content["overrides"]]
    texts += [name for name in content["models"].values() if name is not None]
    if not all(isinstance(text, str) for text in texts):
        raise UserError(f"{where} is no manifest of a run: a hash or an override is no text")
    return content


def environment(root: Path = paths.ROOT) -> dict[str, Any]:
    """Return lock hash (None without a lock), platform, and versions of direct dependencies."""
    lock = root / "requirements.lock"
    return {
        "lock_sha256": sha256(lock) if lock.is_file() else None,
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "versions": {"python": platform.python_version(), **_dependencies(root)},
    }


def _portable(name: str) -> str:
    """Return a model's name without folders of this machine, whichever slash they are written with.

    Only a local model has any.
    """
    family, _, file = name.partition("/")
    return f"local/{PureWindowsPath(file).name}" if family == "local" else name


def _models(names: Sequence[str]) -> dict[str, str | None]:
    """Return the identity of each model, a hash; None for reference respondents."""
    if all(name.startswith("reference/") for name in names):
        return dict.fromkeys(names)
    from hvae_utils.ask import models

    found = models.identities(names)
    return {_portable(name): found.get(name) for name in names}


def _outputs(run: Path, declared: Sequence[str]) -> dict[str, str]:
    files: list[Path] = []
    for name in declared:
        path = run / name
        files += sorted(path.rglob("*")) if path.is_dir() else [path]
    return {path.relative_to(run).as_posix(): sha256(path) for path in files if path.is_file()}


def _revision(root: Path) -> dict[str, Any]:
    """Return the git revision and whether files differ from it; None, None outside of git."""
    try:
        revision = _git(root, "rev-parse", "HEAD").strip()
        changed = _git(root, "status", "--porcelain", "--", ".", ":!figures")
    except (OSError, subprocess.CalledProcessError):
        return {"revision": None, "dirty": None}
    return {"revision": revision, "dirty": bool(changed)}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _dependencies(root: Path) -> dict[str, str | None]:
    """Return the installed versions of what pyproject.toml names, None for what is missing."""
    project = root / "pyproject.toml"
    if not project.is_file():
        return {}
    wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"].get("dependencies", [])
    names = sorted({re.split(r"[^A-Za-z0-9._-]", entry.strip(), maxsplit=1)[0] for entry in wanted})
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions
