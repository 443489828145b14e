"""What stands beside each cell's score: other readings of the same answers, and their quality.

`rationality.cells` reads value rationality from angles. This module adds what only the choices
and replies can tell: regret, the lapse rate, how the items ended, and a flag in words where a
score rests on data that a study with people would not accept. It never changes a score.

Public names: LONG_ENOUGH, COVERED, with_readings.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hvae_utils.measure import factors, instruments, scoring, svo, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import lapse, orders, rationality, regret

CELL = [*factors.CELL]
LONG_ENOUGH = 35.0  # coins: least vector length in studies with people
COVERED = 0.95  # least mass of the first token that must fall on options
ENOUGH = 0.8  # least share of choices, of long and of transitive administrations without a flag
DISAGREEING = 0.2  # mean total variation between orders from which the order is said to matter


def with_readings(
    cells: pd.DataFrame, conditions: pd.DataFrame, responses: pd.DataFrame, scores: pd.DataFrame
) -> pd.DataFrame:
    """Return `cells` with more columns, one row a cell as before.

    vr_chance_set (chance-corrected distance to the set of all ideal angles, so that no indifferent
    choice is punished); vr_regret (1 - mean utility regret over scored administrations; 1 is
    perfect) and vr_regret_random (exact expectation of a uniform random respondent); lapse_rate
    with lapse_low and lapse_high (maximum likelihood, exact 95% interval) and lapse_evidence
    (nats by which it beats pure chance); asked and one column an outcome (items); covered_mass
    (mean, first question); long_enough and transitive (shares of the scored administrations);
    order_disagreement (0 to 1, NaN with one order); flag (what to be wary of, empty if nothing).
    """
    instrument = instruments.load(conditions["instrument"].iloc[0])
    told = responses.merge(conditions[["condition_id", *CELL]], on="condition_id")
    by_order = orders.disagreement(conditions, responses)
    rows = []
    for key in cells[CELL].itertuples(index=False):
        scored, items, groups = (_of(table, key) for table in (scores, told, by_order))
        chosen = scoring.choices(items, scored["condition_id"], instrument)
        value = svo.value_on(key.value, instrument)
        row = {"vr_chance_set": _to_the_set(scored["angle"], value, instrument)}
        row |= _utility_readings(value, chosen, instrument)
        row |= _quality(scored, items, groups)
        rows.append(row | {"flag": _flag(row)})
    added = pd.DataFrame(rows, index=cells.index)
    return pd.concat([cells, added], axis=1)


def _of(table: pd.DataFrame, key: tuple) -> pd.DataFrame:
    """Return the rows of one cell."""
    return table[(table[CELL] == list(key)).all(axis=1)]


def _to_the_set(angles: pd.Series, value: values.Value, instrument: Instrument) -> float:
    if value.target_set is None or not angles.notna().any():
        return np.nan
    return rationality.value_rationality(
        angles, value, scale="chance", target="set", instrument=instrument
    )


def _utility_readings(
    value: values.Value, chosen: np.ndarray, instrument: Instrument
) -> dict[str, float]:
    if value.utility is None:
        names = ("vr_regret", "vr_regret_random", "lapse_rate", "lapse_low", "lapse_high")
        return dict.fromkeys((*names, "lapse_evidence"), np.nan)
    regrets = regret.of_administrations(chosen, value, instrument)
    known = regrets[~np.isnan(regrets)]
    uniform = np.full(instrument.payoffs.shape[:2], 1 / instrument.payoffs.shape[1])
    lapses = lapse.lapse_rate(chosen, value, instrument)
    return {
        "vr_regret": 1 - known.mean() if len(known) else np.nan,
        "vr_regret_random": 1 - float(regret.expected(uniform, value, instrument)),
        "lapse_rate": lapses.rate,
        "lapse_low": lapses.low,
        "lapse_high": lapses.high,
        "lapse_evidence": lapses.log_likelihood_ratio,
    }


def _quality(
    scored: pd.DataFrame, items: pd.DataFrame, groups: pd.DataFrame
) -> dict[str, float | int]:
    complete = scored[scored["angle"].notna()]
    counts = items["outcome"].value_counts()
    return {
        "asked": len(items),
        **{name: int(counts.get(name, 0)) for name in scoring.OUTCOMES},
        "covered_mass": items["covered_mass"].mean(),
        "long_enough": (complete["vector_length"] >= LONG_ENOUGH).mean(),
        "transitive": complete["transitive"].astype(float).mean(),
        "order_disagreement": groups["order_disagreement"].mean(),
    }


def _flag(row: Mapping[str, float]) -> str:
    """Return in words what a reader should be wary of; nothing where all is well."""
    checks = {
        "few choices": row["choice"] < ENOUGH * row["asked"],
        "short vectors": row["long_enough"] < ENOUGH,
        "intransitive": row["transitive"] < ENOUGH,
        "order matters": row["order_disagreement"] >= DISAGREEING,
        "low covered mass": row["covered_mass"] < COVERED,
    }
    return ", ".join(name for name, wrong in checks.items() if wrong)
