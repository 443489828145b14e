"""Can or will: value rationality under the word of a value against under an explicit objective.

The objective says what to choose by ("the largest sum of both amounts"), so whoever does not follow
it cannot do the arithmetic, or does not follow instructions: the word was then never the question.
"""

import numpy as np
import pandas as pd

from hvae_utils.files import needed_columns
from hvae_utils.metrics.intervals import LEVEL

INSTRUMENT, OBJECTIVE = "svo-slider", "objective"
CANNOT = "cannot follow the explicit objective"
_COLUMNS = ("model", "value", "vr_word", "vr_objective", "ratio", "low", "high", "wordings", "note")
_SAME = 1e-9


def table(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return one row a model x value: how much of what it can do for a value its word brings out.

    ratings: one row a model x value x induction x instrument x wording, vr being the
        chance-corrected value rationality (`choices.rationality`); the slider's rows are used.
    Columns: model, value, vr_word (mean over wordings, and over inductions where there are
    several), vr_objective, ratio (of the two, over wordings that have both), low, high (95%,
    wordings paired: Fieller 1954, J. R. Stat. Soc. B 16(2), 175-185), wordings, note. The ratio is
    NaN with the note "cannot follow the explicit objective" where vr_objective is not above 0 by
    the same interval; values that were not told as an objective are left out.
    Errors: UserError for a missing column.
    """
    needed_columns(ratings, "ratings", ("model", "value", "induction", "instrument", "wording"))
    needed_columns(ratings, "ratings", ("vr",))
    asked = ratings[(ratings["instrument"] == INSTRUMENT) & ratings["vr"].notna()]
    told = asked["induction"].eq(OBJECTIVE).map({True: "objective", False: "word"})
    keys = ["model", "value", "wording"]
    by_wording = asked.groupby([*keys, told.rename("told")], sort=False, observed=True)["vr"].mean()
    wide = by_wording.unstack("told").reindex(columns=["word", "objective"])
    rows = [
        {"model": model, "value": value} | _compared(group)
        for (model, value), group in wide.groupby(["model", "value"], sort=False)
        if group["objective"].notna().any()
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _compared(by_wording: pd.DataFrame) -> dict[str, object]:
    """Return the row of one model x value; by_wording: word, objective, a row each wording."""
    pairs = by_wording.dropna().to_numpy()
    row: dict[str, object] = {
        "vr_word": by_wording["word"].mean(),
        "vr_objective": by_wording["objective"].mean(),
        "wordings": len(pairs),
    }
    if not len(pairs):
        return row | {"note": "no wording with both the word and the objective"}
    ratio, low, high = ratio_interval(*pairs.T)
    if np.isnan(ratio):
        return row | {"note": CANNOT}
    note = "too few wordings (1): an interval needs two" if len(pairs) < 2 else ""
    return row | {"ratio": ratio, "low": low, "high": high, "note": note}


def ratio_interval(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float]:
    """Return the ratio of two paired means and its 95% limits (Fieller 1954).

    above, below: float arrays (pairs,). All are NaN where the mean below is not above 0 by its own
    t interval, which is when the limits do not exist; one pair has a ratio and no limits.
    """
    from scipy.special import stdtrit  # slow to import

    count, (x, y) = len(above), (float(above.mean()), float(below.mean()))
    if y <= _SAME:
        return np.nan, np.nan, np.nan
    if count < 2:
        return x / y, np.nan, np.nan
    square = float(stdtrit(count - 1, (1 + LEVEL) / 2)) ** 2 / count
    (xx, xy), (_, yy) = square * np.cov(above, below)
    a, b, c = y**2 - yy, x * y - xy, x**2 - xx
    if a <= _SAME:
        return np.nan, np.nan, np.nan
    half = np.sqrt(max(b**2 - a * c, 0.0))
    return x / y, float((b - half) / a), float((b + half) / a)
