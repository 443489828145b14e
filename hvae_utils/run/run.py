"""A run: one execution of the workbook, and the folder that holds all of it.

`Run` knows what the files of a run are called, reads and writes them, and says in one sentence what
a folder lacks. `workbook` makes runs from notebooks; `Run.play` makes one without.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hvae_utils import files, paths
from hvae_utils.errors import UserError, brief, unknown
from hvae_utils.measure import factors
from hvae_utils.run import bundle, manifest

if TYPE_CHECKING:
    import pandas as pd

    from hvae_utils.play.study import Study

CONDITIONS, RECORDS, RESPONSES = "conditions.parquet", bundle.RECORDS, "responses.parquet"
SCORES, CELLS, GOAL_EFFECTS = "scores.parquet", "value_rationality.csv", "goal_effects.csv"
STEERABILITY, DELIBERATION = "steerability.csv", "deliberation.csv"
GAMES, GAME_SCORES, TRANSFER = "games.parquet", "game_scores.csv", "transfer.csv"
UTILITIES, WEIGHTS, COMPETENCE = "utilities.csv", "graded_weights.csv", "competence.csv"
TRANSFER_GAPS = "transfer_gaps.csv"
OF_GAMES = (GAMES, GAME_SCORES, TRANSFER, TRANSFER_GAPS, UTILITIES, WEIGHTS, COMPETENCE)
KEY_NUMBERS, FIGURES, NOTEBOOKS = "key_numbers.json", "figures/", "notebooks/"
TABLES = {  # by the name of its attribute of a run
    **{"conditions": CONDITIONS, "responses": RESPONSES, "scores": SCORES, "cells": CELLS},
    **{"steerability": STEERABILITY, "deliberation": DELIBERATION},
    **{"games": GAMES, "transfer": TRANSFER},
}
MANIFEST, REPORT = manifest.NAME, "report.html"
LOCK = ".run.lock"  # held by what drives the notebooks, not by their kernels
NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?")
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no files on Windows


class Run:
    """One execution of the workbook; its tables are read when they are first asked for.

    run_id: the folder's name; runs: the folder of runs (default: the project's), relative to where
    the user stands, `~` being their home. Making a Run neither reads nor writes anything.
    Raises UserError for a run id that is no folder name on every system.

    >>> run = Run("mine", runs="studies")
    >>> run.folder.parts[-2:], run.path(SCORES).name
    (('studies', 'mine'), 'scores.parquet')
    """

    def __init__(self, run_id: str = "default", runs: str | Path | None = None) -> None:
        self.name = str(run_id)
        if not NAME.fullmatch(self.name) or DEVICE.fullmatch(self.name):
            raise UserError(
                f"run id {brief(run_id)} is no folder name everywhere; use letters, digits, '-', "
                "'_' and '.' between them"
            )
        try:
            folder = paths.RUNS if runs is None else Path(runs).expanduser().absolute()
        except RuntimeError:
            raise UserError(f"folder of runs {str(runs)!r} names no user of this machine") from None
        self.folder = folder / self.name

    def __repr__(self) -> str:
        return f"Run({self.name!r}, runs={str(self.folder.parent)!r})"

    def _repr_html_(self) -> str:
        names = [name for name in TABLES.values() if self.has(name)]
        state = "finished" if self.has(MANIFEST) else "not finished"
        text = f"{paths.shown(self.folder)}: {state}; {', '.join(names) or 'no tables yet'}"
        return f"<p><b>Run {escape(self.name)}</b> in {escape(text)}</p>"

    def path(self, name: str) -> Path:
        """Return where a file or folder of the run is, whether it is there or not."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Return whether a file is there, or a folder with something in it."""
        path = self.path(name)
        return path.is_file() or (path.is_dir() and any(path.iterdir()))

    def read(self, name: str) -> Any:
        """Return a DataFrame of .parquet and .csv, plain data of .json; UserError if it cannot."""
        import pandas as pd

        with self._reading(), self.path(name).open("rb") as file:
            if name.endswith(".json"):
                return json.load(file)
            if name.endswith(".parquet"):
                return pd.read_parquet(file)
            return pd.read_csv(file, keep_default_na=False, na_values=[""])

    def write(self, name: str, content: Any) -> Path:
        """Write a file of the run whole or not at all, and return where it is.

        .parquet and .csv take a DataFrame (numbers in .csv have ten significant digits), .json
        plain data, where NaN becomes null.
        """
        path = self.path(name)
        data: str | bytes
        if path.suffix == ".parquet":
            data = content.to_parquet(None, index=False)
        elif path.suffix == ".csv":
            data = content.to_csv(None, index=False, float_format="%.10g", lineterminator="\n")
        else:
            data = json.dumps(_plain(content), indent=2, ensure_ascii=False) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, data)
        return path

    def make(self) -> None:
        """Make the run's folder where there is none; UserError where that is not possible."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise files.unwritable(self.folder, fault) from None

    # DataFrames: one row a condition, item presented, administration, cell, model x goal prompt,
    # and level of deliberation compared with another
    conditions = cached_property(lambda self: self.read(CONDITIONS))
    responses = cached_property(lambda self: self.read(RESPONSES))
    scores = cached_property(lambda self: self.read(SCORES))
    cells = cached_property(lambda self: self.read(CELLS))
    steerability = cached_property(lambda self: self.read(STEERABILITY))
    deliberation = cached_property(lambda self: self.read(DELIBERATION))
    games = cached_property(lambda self: self.read(GAMES))  # one row an item of a game
    transfer = cached_property(lambda self: self.read(TRANSFER))  # a model x game, and x all games

    @cached_property
    def records(self) -> "pd.DataFrame":
        """One row a request, in the order in which they were answered."""
        import pandas as pd

        from hvae_utils.play import records

        with self._reading():
            return pd.DataFrame(records.read(self.path(RECORDS)))

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run was made of; UserError where there is no such run or it did not finish."""
        self.require()
        if not self.has(MANIFEST):
            raise UserError(
                f"run '{self.name}' is no finished run; continue it with "
                f"hvae reproduce --run-id {self.name} and its profile"
            )
        with self._reading():
            return manifest.read(self.folder)

    def require(self) -> None:
        """Raise UserError, naming the runs that there are, unless the run's folder is there."""
        if self.folder.is_dir():
            return
        where = paths.shown(self.folder.parent)
        names = sorted(path.name for path in self.folder.parent.glob("*") if path.is_dir())
        if not names:
            raise UserError(f"there is no run in {where} yet; hvae reproduce makes one")
        raise unknown(f"run in {where}", self.name, names)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what goes wrong when files of the run are read into one sentence."""
        try:
            yield
        except UserError:
            raise
        except FileNotFoundError as fault:
            self.require()
            name = Path(fault.filename).name
            raise UserError(f"run '{self.name}' lacks {name}; run it again") from None
        except (KeyError, ValueError, TypeError, OSError) as fault:
            reason = f"run '{self.name}' has a damaged file ({fault!r}); run it again"
            raise UserError(reason) from None

    def changed(self) -> list[str]:
        """Return the outputs of a finished run that are gone, or not as they were at its end."""
        return [
            name
            for name, digest in self.manifest["outputs"].items()
            if not self.path(name).is_file() or files.sha256(self.path(name)) != digest
        ]

    def outcomes(self) -> "pd.DataFrame":
        """Return how many items of each model (rows) ended in each outcome; empty without any."""
        import pandas as pd

        if not (self.has(RESPONSES) and self.has(CONDITIONS)):
            return pd.DataFrame()
        responses, conditions = self.read(RESPONSES), self.read(CONDITIONS)
        models = responses["condition_id"].map(conditions.set_index("condition_id")["model"])
        table = pd.crosstab(models, responses["outcome"])
        return table.rename_axis(index=None, columns="items by outcome")

    def error_share(self) -> float:
        """Return the share of items that ended in a transport error; 0 for a run without items."""
        counts = self.outcomes().sum()
        return float(counts.get("error", 0) / counts.sum()) if len(counts) else 0.0

    def how_items_ended(self) -> list[str]:
        """Return the table of outcomes as lines; none where every item has a choice."""
        table = self.outcomes()
        if set(table) <= {"choice"}:
            return []
        lines = table.to_string().splitlines()
        if failed := int(table.sum().get("error", 0)):
            lines.append(
                f"{failed} of {table.to_numpy().sum()} items ended in a transport error; "
                "run again to ask them once more"
            )
        return lines

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep other processes out; UserError where that is not possible.

        May be entered again by the process that holds it; the run's own kernels do not ask for it.
        """
        from filelock import FileLock, Timeout

        self.make()
        lock = FileLock(self.path(LOCK), timeout=0, thread_local=False, is_singleton=True)
        try:
            acquired = lock.acquire()
        except Timeout:
            raise UserError(
                f"another process is running {paths.shown(self.folder)}; wait until it has ended "
                "or take another --run-id"
            ) from None
        except (OSError, NotImplementedError) as fault:  # the second: a folder without locks
            raise UserError(f"cannot write {paths.shown(self.folder)}: {fault}") from None
        with acquired:
            yield

    def play(self, design: "Study", concurrency: int = 0) -> Self:
        """Play a study here, without notebooks: every table of the notebooks 01 to 03.

        What the folder's records answer is not asked again. concurrency: requests in flight a
        model, 0 for the respondent's own number.
        Raises EndpointError when a model cannot be reached; what it answered is in the records.
        """
        from hvae_utils.measure import instruments, scoring
        from hvae_utils.metrics import quality, rationality, steerability
        from hvae_utils.play import administer, study
        from hvae_utils.play.records import Records

        with self.held():
            self.path(MANIFEST).unlink(missing_ok=True)  # it is of another study
            for name in ("records", *TABLES):
                self.__dict__.pop(name, None)
            planned = study.conditions(design)
            with Records(self.path(RECORDS)) as records:
                conditions = administer.assign_values(planned, records, concurrency)
                self.write(CONDITIONS, conditions)
                responses = administer.put_items(conditions, records, concurrency=concurrency)
            self.write(RESPONSES, responses)
            scores = scoring.administrations(conditions, responses)
            self.write(SCORES, scores)
            instrument = instruments.load(design.instrument)
            cells = rationality.cells(scores, instrument)
            self.write(CELLS, quality.with_readings(cells, conditions, responses, scores))
            moved = steerability.table(scores, design.margin, instrument, responses)
            self.write(STEERABILITY, moved)
            self.write(DELIBERATION, steerability.of_deliberation(scores, instrument))
        return self

    def bundle(self, out: str | Path | None = None) -> "bundle.Bundle":
        """Write a finished run into one file (default: NAME.zip here) that can be replayed.

        UserError when it is not finished, was changed since, or holds what is not ours to publish.
        """
        where = paths.shown(self.folder)
        if changed := self.changed():
            raise UserError(f"{where}: {changed[0]} changed after the run; reproduce it again")
        respondents = self.conditions["model"].unique()
        names = {factors.model_of(name)[0] for name in respondents}
        out = Path(out or f"{self.name}.zip")
        return bundle.write(self.manifest, self.path(RECORDS), names, where, out)

    def report(self, out: str | Path | None = None) -> Path:
        """Write a finished run as one HTML file (default: report.html in its folder).

        UserError where the run did not finish or lacks a file, or a file is damaged.
        """
        from hvae_utils.play import records
        from hvae_utils.run import glossary, report
        from hvae_utils.show import style

        made_of, out = self.manifest, Path(out) if out else self.path(REPORT)
        with self._reading():
            folder = self.path(FIGURES)
            figures = [report.figure(folder, entry) for entry in style.listed(folder)]
            if not figures:
                raise UserError(f"run '{self.name}' has no figure; run its notebooks again")
            asked = records.read(self.path(RECORDS))
            planned = report.plan(made_of["parameters"], self.conditions, asked)
            words = glossary.read(paths.GLOSSARY)
            tables = self.cells, self.steerability, self.read(GOAL_EFFECTS), self.read(DELIBERATION)
            text = report.page(self.name, made_of, self.changed(), planned, *tables, figures, words)
        files.write_atomically(out, text)
        return out


def _plain(content: Any) -> Any:
    """Return JSON's own types: numpy scalars unwrapped, NaN and infinities as null."""
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if hasattr(content, "item"):
        content = content.item()
    return None if isinstance(content, float) and not math.isfinite(content) else content
