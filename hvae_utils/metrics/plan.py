"""How many wordings a study needs, before it is run, from the spread that a pilot has shown.

>>> wordings(sd=4.0), wordings(sd=8.0)
(5, 15)

The spread is the residual SD of `steerability.table`, in degrees: what is left of the angles when
each value and each wording has had its say. The more it is, the more wordings are needed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import values
from hvae_utils.metrics.intervals import LEVEL

ASSUMED_SD = 8.0  # degrees, where there is no pilot: what makes this instrument's wordings differ
EFFECT = 0.2  # steerability that should not be missed
MOST = 1000  # wordings that are ever asked for
_POINTS = 2000  # of the distribution of the estimated SD


@dataclass(frozen=True)
class Power:
    """What a study with so many wordings can be expected to show.

    width: of the 95% interval of steerability. detects: the chance that this interval leaves out 0
    if the truth is `effect`. equivalence: the chance that the 90% interval lies within the margin
    if the truth is 0 (two one-sided tests at 5%; Schuirmann 1987).
    """

    wordings: int
    width: float
    detects: float
    equivalence: float


def wordings(
    sd: float,
    margin: float = 0.10,
    power: float = 0.8,
    effect: float = EFFECT,
    targets: ArrayLike | None = None,
) -> int:
    """Return the least number of wordings with this power, for equivalence and for detection.

    sd: residual SD in degrees; margin, effect: of steerability; targets: degrees, one a value,
    those of the published four unless passed.
    Errors: UserError for a number out of its range, and where more than 1,000 would be needed.
    """
    if not 0 < power < 1:
        raise UserError(f"power must lie between 0 and 1, not {power}")
    for count in range(2, MOST + 1):
        found = expected(sd, count, margin, effect, targets)
        if min(found.detects, found.equivalence) >= power:
            return count
    raise UserError(
        f"a residual SD of {sd:g} degrees needs more than {MOST:,} wordings for a margin of "
        f"{margin:g}; take a wider margin"
    )


def expected(
    sd: float,
    wordings: int,
    margin: float = 0.10,
    effect: float = EFFECT,
    targets: ArrayLike | None = None,
) -> Power:
    """Return what so many wordings can be expected to show; arguments as `wordings`.

    >>> round(expected(sd=8.0, wordings=8).equivalence, 1)
    0.4

    The standard error is sd / sqrt(Sxx wordings), Sxx the sum of squares of the targets, and the SD
    has (values - 1) (wordings - 1) degrees of freedom. Errors: as `wordings`, and for one wording.
    """
    from scipy.special import chdtri, nctdtr, ndtr, stdtrit  # slow to import

    if not 0 <= sd < np.inf or not 0 < margin < 1 or not 0 < abs(effect) < np.inf or wordings < 2:
        raise UserError(
            f"a plan needs an SD of at least 0 degrees, a margin between 0 and 1, an effect other "
            f"than 0 and two wordings, not {sd}, {margin}, {effect} and {wordings}"
        )
    aims = published_targets() if targets is None else np.asarray(targets, float)
    squares = float(((aims - aims.mean()) ** 2).sum())
    if not squares > 0:
        raise UserError("targets: all the same, so no slope can be estimated; plan other values")
    freedom = (len(aims) - 1) * (wordings - 1)
    error = sd / np.sqrt(squares * wordings)
    if error == 0:
        return Power(wordings, 0.0, 1.0, 1.0)
    tails = (np.arange(_POINTS) + 0.5) / _POINTS
    estimated = error * np.sqrt(chdtri(freedom, tails) / freedom)
    critical = stdtrit(freedom, (1 + LEVEL) / 2)
    away = abs(effect) / error
    detects = 1 - nctdtr(freedom, away, critical) + nctdtr(freedom, away, -critical)
    room = np.maximum(margin - stdtrit(freedom, LEVEL) * estimated, 0)
    equivalence = 2 * ndtr(room / error) - 1
    width = 2 * critical * estimated.mean()
    return Power(wordings, float(width), float(detects), float(equivalence.mean()))


def published_targets() -> np.ndarray:
    """Return the targets (degrees) of the values that have one, each target once."""
    found = (value.target for value in values.load().values() if value.target is not None)
    return np.array(sorted(set(found)))
