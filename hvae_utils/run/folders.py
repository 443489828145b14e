"""A run's folder: where it is, and which process may run notebooks into it.

Public names: LOCK, FULL, run_folder, make, held.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hvae_utils import paths
from hvae_utils.errors import UserError, brief

LOCK = ".run.lock"  # in the run folder; held by what drives the notebooks, not by their kernels
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no files on Windows
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def run_folder(runs: str | Path | None, run_id: str) -> Path:
    """Return the folder of a run; a relative `runs` lies where the user stands. Creates nothing.

    runs: the folder of runs (default: the project's); `~` is the user's home.
    Raises UserError unless `run_id` is made of letters, digits, `-`, `_` and `.` only.
    """
    plain = re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?", str(run_id))
    if not plain or DEVICE.fullmatch(str(run_id)):
        raise UserError(
            f"run id {brief(run_id)} is no folder name everywhere; use letters, digits, '-', '_' "
            "and '.' between them"
        )
    if runs is None:
        return paths.RUNS / run_id
    try:
        return Path(runs).expanduser().absolute() / run_id
    except RuntimeError:
        raise UserError(f"the folder of runs {str(runs)!r} names no user of this machine") from None


def make(folder: Path) -> None:
    """Make a folder where there is none; UserError when that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise UserError(f"cannot make the folder {folder}: {fault.strerror}") from None


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Make a run's folder and keep other processes from running notebooks into it.

    May be entered again by the process that holds it; the run's own kernels do not ask for it.
    Raises UserError when another process holds it, or the folder cannot be written.
    """
    make(run)
    lock = FileLock(run / LOCK, timeout=0, thread_local=False, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another process is running {paths.shown(run)}; wait until it has ended or take "
            "another --run-id"
        ) from None
    except (OSError, NotImplementedError) as fault:  # the second: a folder without locks
        why = getattr(fault, "strerror", None) or fault
        raise UserError(f"cannot write {paths.shown(run)}: {why}") from None
    try:
        yield
    except OSError as fault:
        if fault.errno not in FULL:
            raise
        raise UserError(
            f"cannot write {paths.shown(run)}: {fault.strerror}; make room, run again to continue"
        ) from None
    finally:
        lock.release()
