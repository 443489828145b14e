"""Do the choices tell which value was assigned, whatever direction they take?

A respondent can react to the word and not go where it points: then its steerability is 0 and the
choices still carry information about the value. Bits are the mutual information between the
assigned value, each as likely, and the six choices; with four values 2 bits tell all.
Identification is how often a judge who knows the respondent would name the value from one
administration (Bayes); guessing is right in a quarter. Both are exact, over all profiles of choices
(531,441 for the six items), and need each option's probability: written answers have neither.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.measure import factors, instruments, scoring, svo
from hvae_utils.measure.instruments import Instrument

_MOST = 4_000_000  # profiles of choices that are enumerated
_DECIMALS = 12  # of a probability, to which tables are the same
_UNITS = ["wording", *(n for n in factors.FACTORS if n not in (*factors.CELL, "wording"))]


def of_tables(tables: ArrayLike) -> tuple[float, float]:
    """Return (bits, identification) of a respondent that answers items independently.

    >>> one, other = np.eye(3)[[0, 0]], np.eye(3)[[2, 2]]
    >>> of_tables([one, other])
    (1.0, 1.0)

    tables: float array (values, items, options), each item's probabilities sum to 1. Bits are
    H(C) - mean over values of H(C | value) (Cover & Thomas 2006, section 2.4), where C is the
    profile and the second term a sum over items. NaN where a probability is missing, and for more
    than 4,000,000 profiles.
    """
    tables = np.round(np.asarray(tables, float), _DECIMALS)
    if np.isnan(tables).any() or tables.shape[2] ** tables.shape[1] > _MOST:
        return np.nan, np.nan
    return _of_tables(tables.tobytes(), tables.shape)


@lru_cache(maxsize=512)
def _of_tables(raw: bytes, shape: tuple[int, ...]) -> tuple[float, float]:
    tables = np.frombuffer(raw).reshape(shape)
    mean = greatest = 0.0
    for table in tables:
        profiles = table[0]
        for item in table[1:]:
            profiles = np.outer(profiles, item).ravel()
        mean, greatest = mean + profiles / len(tables), np.maximum(greatest, profiles)
    bits = _entropy(mean) - _entropy(tables) / len(tables)
    return max(round(bits, 9), 0.0), float(np.sum(greatest) / len(tables))


def _entropy(chances: np.ndarray) -> float:
    """Return the sum of -p log2 p, in bits."""
    from scipy.special import entr  # slow to import

    return float(entr(chances).sum() / np.log(2))


def of_scores(
    scores: pd.DataFrame, responses: pd.DataFrame, instrument: Instrument | None = None
) -> pd.DataFrame:
    """Return model, goal_prompt, bits and identification, means over the wordings.

    scores: one row an administration, with condition_id and the factors; responses: as in
    `scoring.option_tables`. Values without a target are left out. Administrations that differ in
    the value alone are compared, where each has all its probabilities; NaN where none are.
    """
    instrument = instrument or instruments.load("svo-slider")
    aimed = [v for v in scores["value"].unique() if svo.value_on(v, instrument).target is not None]
    asked = scores[scores["value"].isin(aimed)]
    known = responses[responses["method"] == "probabilities"]
    tables = scoring.option_tables(known, asked["condition_id"], instrument)
    asked = asked.assign(table=list(tables))
    rows = []
    for (model, goal), of_arm in asked.groupby(["model", "goal_prompt"], sort=False):
        assigned = of_arm["value"].nunique()
        found = [
            (wording, *of_tables(np.stack(unit["table"].tolist())))
            for (wording, *_), unit in of_arm.groupby(_UNITS, sort=False)
            if len(unit) == assigned
        ]
        means = pd.DataFrame(found, columns=["wording", "bits", "identification"])
        rows.append((model, goal, *means.groupby("wording").mean().mean()))
    return pd.DataFrame(rows, columns=["model", "goal_prompt", "bits", "identification"])
