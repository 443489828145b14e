"""Steerability: how far answers go along with the value that a respondent is told to hold.

>>> targets = [61.39, 45, 0, -16.26]
>>> slopes = fit(np.column_stack([targets, np.multiply(targets, 0.8)]), targets).slopes
>>> slopes.round(2).tolist()  # one wording that is followed all the way, one by four fifths
[1.0, 0.8]

It is the slope of the angle on the target, within each wording and then averaged over wordings: 1
goes all the way, 0 does not move, below 0 moves the wrong way. What a wording does to every value
alike cancels. Wordings are the clusters. The verdict is an equivalence test with a smallest effect
of interest, the margin, chosen before the first answer: not to have found a difference is never
taken for there being none (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657-680).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.files import needed_columns
from hvae_utils.measure import factors, svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import comparison, information, plan
from hvae_utils.metrics.chance import p_value
from hvae_utils.metrics.intervals import LEVEL

ACTS, ACTS_NOT = "acts on the value", "does not act on it"
UNDECIDED, NOT_ESTIMABLE = "undecided", "not estimable"
VERDICTS = (ACTS, ACTS_NOT, UNDECIDED, NOT_ESTIMABLE)
_ARM = ("model", "goal_prompt")
_COLUMNS = (
    *(*_ARM, "method", "values", "wordings", "steerability", "low", "high", "low_90", "high_90"),
    *("residual_sd", "margin", "verdict", "wordings_needed", "p", "bits", "identification", "note"),
)
_DIFFERENCE = ("wordings", "difference", "low", "high", "p", "note")  # of a pair
_NARROW = 2 * LEVEL - 1  # level of the interval of two one-sided tests at 5%
_UNEVEN = 0.10  # p of slopes that differ between wordings more than the other residuals do
_EXACT, _SEED = 20_000, 20230523  # assignments of labels: enumerated up to here, else drawn
_SAME = 1e-9  # slopes this close, and degrees, are equal


@dataclass(frozen=True)
class Fit:
    """A steerability with its precision: slope, and slopes of the wordings (wordings,).

    sd: degrees, what neither value nor wording explains (`fit`); spread: sd / sqrt(Sxx), so that
    the standard error is spread / sqrt(wordings); NaN with one wording. freedom: degrees of freedom
    that each further wording adds.
    """

    slope: float
    slopes: np.ndarray
    sd: float
    spread: float
    freedom: int

    def interval(self, level: float = LEVEL, wordings: int | None = None) -> tuple[float, float]:
        """Return the t interval, as wide as it would be with so many wordings like these."""
        from scipy.special import stdtrit  # slow to import

        count = wordings or len(self.slopes)
        half = stdtrit(self.freedom * max(count - 1, 1), (1 + level) / 2) * self.spread
        return self.slope - half / np.sqrt(count), self.slope + half / np.sqrt(count)

    def verdict(self, margin: float, wordings: int | None = None) -> str:
        """Return one of VERDICTS: the 95% interval above the margin, or the 90% one inside it.

        A respondent that surely moves the wrong way, beyond the margin, does not act on the value.
        """
        if np.isnan(self.spread):
            return NOT_ESTIMABLE
        if self.interval(LEVEL, wordings)[0] > margin:
            return ACTS
        low, high = self.interval(_NARROW, wordings)
        inside = -margin < low and high < margin
        return ACTS_NOT if inside or self.interval(LEVEL, wordings)[1] < -margin else UNDECIDED


def fit(angles: ArrayLike, targets: ArrayLike) -> Fit:
    """Return the steerability of angles, degrees, float (values, wordings), none missing.

    targets: degrees (values,), not all equal. Of each wording the slope is sum (target - mean)
    angle / Sxx. The standard error is sd / sqrt(Sxx wordings), sd from the value x wording
    residuals of the two-way additive table with (values - 1)(wordings - 1) degrees of freedom. That
    takes what is left to be alike in all directions; where the slopes differ between wordings by
    more than the rest does (F test, 10%), their own spread is taken, with wordings - 1 degrees.
    """
    from scipy.special import fdtrc  # slow to import

    angles, targets = np.asarray(angles, float), np.asarray(targets, float)
    off = targets - targets.mean()
    squares, (count, wordings) = off @ off, angles.shape
    slopes = np.round(off @ angles / squares, 12) + 0.0  # no -0.0
    if wordings < 2:
        return Fit(float(slopes.mean()), slopes, np.nan, np.nan, count - 1)
    left = angles - angles.mean(axis=0) - angles.mean(axis=1, keepdims=True) + angles.mean()
    each = wordings - 1
    total, of_slopes = float((left**2).sum()), float(squares * slopes.var(ddof=1) * each)
    if np.sqrt(total) <= _SAME:
        return Fit(float(slopes.mean()), slopes, 0.0, 0.0, count - 1)
    rest = max(total - of_slopes, _SAME) / max(count - 2, 1)  # a mean square, times `each`
    uneven = count > 2 and fdtrc(each, (count - 2) * each, of_slopes / rest) < _UNEVEN
    freedom = 1 if uneven else count - 1
    sd = float(np.sqrt((of_slopes if uneven else total) / (each * freedom)))
    return Fit(float(slopes.mean()), slopes, sd, sd / np.sqrt(squares), freedom)


def permutation_p(angles: ArrayLike, targets: ArrayLike) -> float:
    """Return the two-sided p of no effect of the value: its labels permuted within wordings.

    angles, targets: as `fit`. Every assignment of labels counts where there are at most 20,000
    (four values: three wordings), else 19,999 are drawn from a fixed seed and the one seen is added
    (Phipson & Smyth 2010).
    """
    angles, targets = np.asarray(angles, float), np.asarray(targets, float)
    off = targets - targets.mean()
    exact = factorial(len(off)) ** angles.shape[1] <= _EXACT
    if exact:
        sums = np.zeros(1)
        for each in (off[[*permutations(range(len(off)))]] @ angles).T:
            sums = np.add.outer(sums, each).ravel()
    else:
        rng, labels = np.random.default_rng(_SEED), np.tile(off, (_EXACT - 1, 1))
        sums = sum(rng.permuted(labels, axis=1) @ one for one in angles.T)
    seen = abs(float((off @ angles).sum()))
    beyond = np.count_nonzero(np.abs(sums) >= seen - _SAME * max(seen, 1))
    return beyond / len(sums) if exact else (beyond + 1) / (len(sums) + 1)


def table(
    scores: pd.DataFrame,
    margin: float = 0.10,
    instrument: Instrument | None = None,
    responses: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the steerability of each model in each arm, one row a model x goal prompt.

    scores: one row an administration (model, value, goal_prompt, wording, angle in degrees; method
        where known). margin: smallest effect of interest, above 0 and below 1.
    responses: for bits and identification (`information`), which are NaN without them.
    Columns: model, goal_prompt, method; values (that have a target), wordings (in which all were
    scored); steerability; low, high (95%), low_90, high_90; residual_sd (degrees); margin; verdict
    (of VERDICTS); wordings_needed (at which this estimate and spread would decide, NaN once
    decided or beyond 1,000); p (`permutation_p`); bits, identification; note.
    Errors: UserError for a margin out of range, a missing column and an unknown value.
    """
    if not 0 < margin < 1:
        raise UserError(f"margin: must lie between 0 and 1 of the way to the value, not {margin}")
    rows = [
        {"model": model, "goal_prompt": goal, "margin": margin} | _row(block, margin)
        for (model, goal), block in _blocks(scores, instrument)
    ]
    found = pd.DataFrame(rows, columns=_COLUMNS)
    if responses is None:
        return found
    known = information.of_scores(scores, responses, instrument)
    found = found.drop(columns=["bits", "identification"])
    return found.merge(known, "left", [*_ARM])[[*_COLUMNS]]


def by_wording(scores: pd.DataFrame, instrument: Instrument | None = None) -> pd.DataFrame:
    """Return one row a model x goal prompt x wording: the slope there, in the column steerability.

    Only where it can be estimated; scores and errors as `table`.
    """
    rows = [
        (model, goal, wording, slope)
        for (model, goal), block in _blocks(scores, instrument)
        if not block.fault
        for wording, slope in zip(block.angles.columns, block.fit.slopes, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*_ARM, "wording", "steerability"])


def of_goal_prompt(scores: pd.DataFrame, instrument: Instrument | None = None) -> pd.DataFrame:
    """Return what the goal prompt does to steerability: one row a model, with minus without.

    Columns: model, wordings (estimated in both arms), difference, low, high (95%), p and note, as
    `comparison.compare` has them, paired by wording. scores and errors: as `table`.
    """
    slopes = by_wording(scores, instrument)
    rows = [
        {"model": model} | _paired(slopes, (model, True), (model, False))
        for model in scores["model"].unique()
    ]
    return pd.DataFrame(rows, columns=["model", *_DIFFERENCE])


def of_deliberation(scores: pd.DataFrame, instrument: Instrument | None = None) -> pd.DataFrame:
    """Return what it does to steerability to think otherwise: a row a model, arm and level.

    Columns: model (its own name), goal_prompt, deliberation, against (the level it is compared
    with: direct, or the first that was asked), and those of `of_goal_prompt`, p for this row alone.
    No row where all respondents deliberate in one way. scores and errors: as `table`.
    """
    slopes, rows = by_wording(scores, instrument), []
    for (model, goal), levels in _levels(scores).items():
        against = levels.pop("direct", None) or levels.pop(next(iter(levels)))
        for level, name in levels.items():
            head = {"model": model, "goal_prompt": goal, "deliberation": level}
            head["against"] = factors.model_of(against)[1]
            rows.append(head | _paired(slopes, (name, goal), (against, goal)))
    columns = ["model", "goal_prompt", "deliberation", "against", *_DIFFERENCE]
    return pd.DataFrame(rows, columns=columns)


def _levels(scores: pd.DataFrame) -> dict[tuple[str, bool], dict[str, str]]:
    """Return by model and arm: how it was asked to deliberate, and what it is called then."""
    found: dict[tuple[str, bool], dict[str, str]] = {}
    for name, goal in scores[[*_ARM]].drop_duplicates().itertuples(index=False):
        model, level = factors.model_of(name)
        found.setdefault((model, bool(goal)), {})[level] = name
    return found


def _paired(slopes: pd.DataFrame, one: tuple[str, bool], other: tuple[str, bool]) -> dict:
    """Return the columns _DIFFERENCE of two (model, goal prompt), paired by wording.

    slopes: as `by_wording`.
    """
    arms = [
        slopes[(slopes["model"] == model) & (slopes["goal_prompt"].astype(bool) == goal)]
        for model, goal in (one, other)
    ]
    ours, theirs = (arm.set_index("wording")["steerability"] for arm in arms)
    pair = comparison.compare(*ours.align(theirs, "inner"))
    return {name: getattr(pair, name) for name in _DIFFERENCE}


@dataclass(frozen=True)
class _Block:
    """One arm of a model: mean angles, (values, wordings), and why nothing can be estimated."""

    method: str
    angles: pd.DataFrame
    targets: np.ndarray
    left_out: int
    fault: str

    @property
    def fit(self) -> Fit:
        return fit(self.angles.to_numpy(), self.targets)


def _blocks(
    scores: pd.DataFrame, instrument: Instrument | None
) -> Iterator[tuple[tuple[str, bool], _Block]]:
    needed_columns(scores, "scores", [*_ARM, "value", "wording", "angle"])
    aims = {name: svo.value_on(name, instrument).target for name in scores["value"].unique()}
    methods = scores["method"] if "method" in scores else pd.Series("", scores.index)
    for key, rows in scores.groupby([*_ARM], sort=False):
        aimed = rows[rows["value"].map(lambda name: aims[name] is not None)]
        angles = aimed.pivot_table("angle", "value", "wording", sort=False, dropna=False)
        scored = angles.dropna(axis=1)
        targets = np.array([aims[name] for name in angles.index], float)
        method, *others = methods[rows.index].dropna().unique().tolist() or [""]
        fault = ""
        if others:
            fault = "probabilities for some administrations only: read all of a model by one method"
        elif len(targets) < 2:
            fault = f"a slope needs two values with a target, here {len(targets)}"
        elif np.ptp(targets) <= _SAME:
            fault = f"every assigned value has the target {targets[0]:g}: nowhere to move"
        elif scored.empty:
            fault = "no wording with every value scored"
        wordings = rows["wording"].nunique()
        yield key, _Block(method, scored, targets, wordings - scored.shape[1], fault)


def _row(block: _Block, margin: float) -> dict[str, object]:
    """Return the columns of `table` that one arm decides."""
    wordings, notes = block.angles.shape[1], [block.fault]
    row = {"method": block.method, "values": len(block.targets), "verdict": NOT_ESTIMABLE}
    if block.left_out and not block.fault:
        asked = block.left_out + wordings
        notes.append(f"left out: {block.left_out} of {asked} wordings, where a value is not scored")
    if block.fault:
        return row | {"wordings": 0, "note": block.fault}
    found = block.fit
    row |= {"wordings": wordings, "steerability": found.slope}
    if wordings < 2:
        row["wordings_needed"] = plan.wordings(plan.ASSUMED_SD, margin, targets=block.targets)
        notes.append(
            f"one wording: no interval; {row['wordings_needed']} would do if their residual SD is "
            f"{plan.ASSUMED_SD:g} degrees"
        )
        return row | {"note": "; ".join(filter(None, notes))}
    verdict = found.verdict(margin)
    sizes = range(wordings + 1, plan.MOST + 1) if verdict == UNDECIDED else ()
    needed = next((size for size in sizes if found.verdict(margin, size) != UNDECIDED), np.nan)
    if found.sd == 0:
        notes.append("all wordings agree: no width, and no word on wordings unlike these")
    if found.freedom == 1 < len(block.targets) - 1:
        notes.append("the slopes differ between wordings: their own spread is used")
    if found.interval()[1] < -margin:
        notes.append("moves the wrong way")
    if verdict == UNDECIDED and np.isnan(needed):
        notes.append(f"too near the margin for {plan.MOST:,} wordings")
    (low, high), (low_90, high_90) = found.interval(), found.interval(_NARROW)
    return row | {
        **{"low": low, "high": high, "low_90": low_90, "high_90": high_90},
        **{"residual_sd": found.sd, "verdict": verdict, "wordings_needed": needed},
        "p": p_value(permutation_p(block.angles, block.targets)),
        "note": "; ".join(filter(None, notes)),
    }
