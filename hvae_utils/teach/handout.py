"""The hand-out of the course: what a student needs to do the lessons, and no solution."""

import shutil
import tempfile
from pathlib import Path

from hvae_utils import __version__, paths
from hvae_utils.errors import UserError

PACKED = (
    *("hvae_utils", "data", "notebooks", "docs", ".jupyter", "Makefile", "pyproject.toml"),
    *("requirements.lock", "LICENSE", "CITATION.cff", "CONTRIBUTING.md"),
)
LEFT_OUT = {
    *("notebooks/course/solutions", "notebooks/course/class.ipynb", "docs/instructors"),
    *("docs/site", "docs/site.md", "data/recorded"),
}
NAMES = shutil.ignore_patterns(
    *("__pycache__", ".ipynb_checkpoints", "answers-*.json", "my-answers.json", "imported-*"),
    *("runs", ".DS_Store"),
)
README = "docs/instructors/handout.md"  # becomes the README of the hand-out


def pack(out: Path, root: Path = paths.ROOT) -> Path:
    """Write the hand-out into the new folder `out`, or the new file if its name ends in .zip.

    UserError where `out` is there already.
    """
    if out.exists():
        raise UserError(f"{out} is there already; give another name, or remove it first")
    if out.suffix == ".zip":
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, out.stem)
            _write(folder, root)
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.make_archive(str(out.with_suffix("")), "zip", scratch, out.stem)
    else:
        _write(out, root)
    return out


def _write(folder: Path, root: Path) -> None:
    def ignored(where: str, names: list[str]) -> set[str]:
        inside = Path(where).relative_to(root)
        hidden = {name for name in names if (inside / name).as_posix() in LEFT_OUT}
        return hidden | set(NAMES(where, names))

    folder.mkdir(parents=True)
    for name in PACKED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copyfile(source, folder / name)
    text = (root / README).read_text(encoding="utf-8").replace("{version}", __version__)
    (folder / "README.md").write_text(text, encoding="utf-8")
