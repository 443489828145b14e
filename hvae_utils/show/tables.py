"""What the tables of several figures need: checks, parts, points, and who is compared to whom.

A table that holds several kinds of rows names the kind in the column `part`.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.files import needed_columns
from hvae_utils.measure import svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics import rationality

PUBLISHED_TESTS = 10  # administrations behind each point of the published chart
RAW_AND_CHANCE = {  # columns of cells and their names in a table of both scales
    **{f"vr{end}": f"raw{end}" for end in ("", "_low", "_high", "_random")},
    **{f"vr_chance{end}": f"chance{end}" for end in ("", "_low", "_high")},
}


def need(table: pd.DataFrame, name: str, columns: Iterable[str] = ()) -> None:
    """Raise UserError unless the table has these columns and a row."""
    needed_columns(table, name, columns)
    if table.empty:
        raise UserError(f"{name}: the table is empty, so there is nothing to draw")


def part(table: pd.DataFrame, name: str, what: str = "") -> pd.DataFrame:
    """Return the rows of one part; with `what`, none is a UserError that says what is missing."""
    needed_columns(table, what or name, ["part"])
    rows = table[table["part"] == name]
    if what and rows.empty:
        raise UserError(f"{what}: the table has no row '{name}', so there is nothing to draw")
    return rows


def stack(*tables: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the tables under one another, columns that one lacks empty."""
    return pd.concat(tables, ignore_index=True)


def point(
    part: str, coins: Iterable[float], origin: tuple[float, float] | None = None
) -> dict[str, object]:
    """Return the row of a point, coins (self, other); with an origin also its angle in degrees."""
    x, y = map(float, coins)
    angle = np.nan if origin is None else float(svo.angle(x, y, origin))
    return {"part": part, "self": x, "other": y, "angle": angle}


def boundaries(instrument: Instrument) -> pd.DataFrame:
    """Return part "boundary": the angles (degrees) between categories, value the one above."""
    if instrument.boundaries is None:
        raise UserError(f"instrument '{instrument.name}' has no SVO angle, so no categories")
    rows = zip(svo.CATEGORIES, instrument.boundaries, strict=False)
    return pd.DataFrame([{"part": "boundary", "value": name, "angle": at} for name, at in rows])


def always_letters(instrument: Instrument) -> pd.DataFrame:
    """Return part "baseline", a row a letter: respondent ("always A" ...), angle (degrees)."""
    angles = svo.angle(*instrument.payoffs.mean(axis=0).T, instrument.origin)
    names = [f"always {chr(65 + option)}" for option in range(len(angles))]
    return pd.DataFrame({"part": "baseline", "respondent": names, "angle": angles})


def ideal_angles(values: Iterable[Value], low: str = "low", high: str = "high") -> pd.DataFrame:
    """Return value, angle (target) and the ends of its ideals' angles (degrees), if any."""
    rows = [
        {"value": value.name, "angle": value.target}
        | dict(zip((low, high), value.target_set, strict=True))
        for value in values
        if value.target_set is not None
    ]
    return pd.DataFrame(rows, columns=["value", "angle", low, high])


def random_vr(values: pd.Series) -> pd.Series:
    """Return what random respondents score (degrees) against each value, tested as published."""
    return values.map(lambda name: rationality.random_baseline(name, PUBLISHED_TESTS))


def null_respondents(instrument: Instrument | None = None) -> pd.DataFrame:
    """Return part "baseline" of `rationality.null_respondents`: letters and lapsing ideals."""
    nulls = rationality.null_respondents(PUBLISHED_TESTS, instrument=instrument)
    nulls = nulls[nulls["respondent"] != "random"]  # it has a line of its own
    return nulls.assign(part="baseline")


def goal_arm(cells: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return the cells that have a target, with the goal prompt where a run has both arms."""
    need(cells, "cells", ["model", "value", "goal_prompt", "target", *columns])
    with_target = cells.dropna(subset="target")
    arm = with_target["goal_prompt"].astype(bool)
    return with_target[arm] if arm.any() else with_target
