"""Published results, for scale: people, models, and the ideals of the secondary items.

Summary figures only, read from `data/published`; the data dictionary says where each comes from.
"""

from functools import lru_cache

import pandas as pd

from hvae_utils import files, paths
from hvae_utils.errors import UserError


def people() -> pd.DataFrame:
    """Return one row a sample of people who answered the primary items.

    Columns: sample, description, n, mean, sd, median (degrees), altruistic, prosocial,
    individualistic, competitive, transitive (shares of the sample, rounded as published), source.
    """
    shares = ("altruistic", "prosocial", "individualistic", "competitive", "transitive")
    return _table("people", "n", "mean", "sd", "median", *shares)


def people_histogram() -> pd.DataFrame:
    """Return the histograms of these people's angles, one row a bin.

    Columns: sample, low, high (degrees; low <= angle < high), count, share (of the sample).
    """
    bins = _table("people_histograms", "low", "high", "count")
    share = bins["count"] / bins.groupby("sample")["count"].transform("sum")
    return bins.drop(columns="source").assign(share=share)


def people_in_games() -> pd.DataFrame:
    """Return what people did on average in games that the workbook has, too.

    Columns: instrument, items (numbers, a space between), measure (what the share is of), share (0
    to 1, of the most that could be done), source.
    """
    return _table("games", "share")


def radar() -> pd.DataFrame:
    """Return the published value rationality of eight models, read from the chart.

    Columns: model, value, goal_prompt (bool), vr and reading_error (degrees on the axis from 0 to
    60), read_from (Zhang et al., arXiv 2305.17147, version 1).
    """
    return _table("hvae_radar", "vr", "reading_error")


@lru_cache
def full_score() -> float:
    """Return the value rationality of an ideal respondent, degrees: the rim of the chart, 60.

    From data/published/scale.toml, which says why it is inferred. Errors: UserError without it.
    """
    path = paths.DATA / "published" / "scale.toml"
    full = files.read_toml(path).get("full")
    if not files.finite(full) or full <= 0:
        raise UserError(f"{paths.shown(path)}: 'full' must be a number above 0")
    return float(full)


def secondary_ideals() -> pd.DataFrame:
    """Return the option, 1 to 9, that each ideal respondent chooses on each secondary item.

    Index: published item number, 7 to 15. Columns: inequality, joint_gain (NaN where the sum is
    the same in every option), individualist, altruist. (Ackermann & Murphy 2012)
    """
    options = ["inequality", "joint_gain", "individualist", "altruist"]
    return _table("secondary_ideals", "item", *options).set_index("item")[options]


def _table(name: str, *numbers: str) -> pd.DataFrame:
    """Return `data/published/NAME.csv`, checked for the columns that hold numbers."""
    path = paths.DATA / "published" / f"{name}.csv"
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:  # unreadable, empty, ragged or not UTF-8
        raise UserError(f"{paths.shown(path)}: cannot be read ({error})") from None
    files.needed_columns(table, paths.shown(path), numbers)
    for column in numbers:
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise UserError(f"{paths.shown(path)}: '{column}' must hold numbers only")
    return table
