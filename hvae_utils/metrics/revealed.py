"""The weight on the other's payoff that choices reveal: the utility angle that regrets them least.

The family is linear, u = cos t * self + sin t * other with t from -90 to 90 degrees: 90 is the
altruist, 45 the prosocial, 0 the individualist, -45 the competitor, for whom the other's payoff
counts against. A questionnaire of a few items is a staircase over t (`recovery.steps`): choices fit
a whole interval of angles or none exactly, so this module must never give an angle without that
interval, and never an angle for choices with an item missing.

Public names: WIDEST, utility_angles.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import recovery

WIDEST = 90.0  # degrees; beyond it one's own payoff would count against oneself
_SAME = 1e-9  # coins of utility


def utility_angles(means: ArrayLike, instrument: Instrument) -> pd.DataFrame:
    """Return the utility angles that administrations reveal, one row each.

    means: float (administrations, 2), mean payoff to self and to other over all items, in coins;
        NaN where an item is missing. They are all that matters: a linear utility of the choices
        is that of their mean.
    Columns: low, high (degrees, the angles of least regret), regret (coins of utility an item,
    given away at these angles; 0 if some angle makes every choice a best one). Exact: between two
    edges of the staircase the regret is an arc of a cosine and bends down, so it is least at an
    edge, or 0 all along. Errors: UserError for another shape, or means that no choices have.
    """
    means = np.asarray(means, float)
    if means.ndim != 2 or means.shape[1] != 2:
        raise UserError(f"means: expected (administrations, 2), found {means.shape}")
    steps = recovery.steps(instrument, -WIDEST, WIDEST)
    edges = np.append(steps["low"], WIDEST)
    weights = np.stack([np.cos(np.radians(edges)), np.sin(np.radians(edges))])
    best = (instrument.payoffs @ weights).max(axis=1).mean(axis=0)
    regrets = best - means @ weights
    if (regrets < -1e-6).any():
        at = int(np.argwhere(regrets < -1e-6)[0, 0])
        raise UserError(
            f"means: {means[at].tolist()} is more than any choices of '{instrument.name}' give"
        )
    least = regrets.min(axis=1, keepdims=True)
    fits = regrets <= least + _SAME
    low, high = edges[fits.argmax(axis=1)], edges[len(edges) - 1 - fits[:, ::-1].argmax(axis=1)]
    known = ~np.isnan(least[:, 0])
    return pd.DataFrame(
        {
            "low": np.where(known, low, np.nan),
            "high": np.where(known, high, np.nan),
            "regret": np.maximum(least[:, 0], 0),
        }
    )
