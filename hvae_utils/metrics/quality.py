"""What stands beside each cell's score: other readings of the same answers, and their quality.

`rationality.cells` reads value rationality from angles. This module adds what only the choices
and replies can tell: regret, the lapse rate, how the items ended, and a flag in words where a
score rests on data that a study with people would not accept.
"""

from collections.abc import Mapping
from dataclasses import astuple
from functools import partial

import numpy as np
import pandas as pd

from hvae_utils.measure import factors, instruments, scoring, svo, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import chance, lapse, orders, rationality, regret

LONG_ENOUGH = 35.0  # coins: least vector length in studies with people
COVERED = 0.95  # least mass of the first token that must fall on options
ENOUGH = 0.8  # least share of choices, of long and of transitive administrations without a flag
DISAGREEING = 0.2  # mean total variation between orders from which the order matters
_READINGS = (
    *("vr_chance_set", "vr_regret", "vr_regret_random"),
    *("lapse_rate", "lapse_low", "lapse_high", "lapse_evidence"),
)


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
    key = [*factors.CELL]
    instrument = instruments.load(conditions["instrument"].iloc[0])
    asked = responses.merge(conditions[["condition_id", *key]], on="condition_id")
    tables = (scores, asked, orders.disagreement(conditions, responses))
    grouped = [{cell: rows for cell, rows in table.groupby(key)} for table in tables]
    rows = []
    for cell in cells[key].itertuples(index=False, name=None):
        scored, items, groups = (
            of_cell.get(cell, table[:0]) for of_cell, table in zip(grouped, tables, strict=True)
        )
        chosen = scoring.choices(items, scored["condition_id"], instrument)
        value = svo.value_on(cell[key.index("value")], instrument)
        row = _readings(value, scored["angle"], chosen, instrument)
        row |= _quality(scored, items) | {"order_disagreement": groups["order_disagreement"].mean()}
        rows.append(row | {"flag": _flag(row)})
    return pd.concat([cells, pd.DataFrame(rows, index=cells.index)], axis=1)


def _readings(
    value: values.Value, angles: pd.Series, chosen: np.ndarray, instrument: Instrument
) -> dict[str, float]:
    """Return the scores of a cell on other scales and its lapse rate, NaN without a utility."""
    if value.utility is None:
        return dict.fromkeys(_READINGS, np.nan)
    score = partial(rationality.value_rationality, angles, value, instrument=instrument)
    random_regret = float(regret.expected(chance.uniform(instrument), value, instrument))
    scores = (score("chance", "set"), score("regret", choices=chosen), 1 - random_regret)
    lapses = astuple(lapse.lapse_rate(chosen, value, instrument))
    return dict(zip(_READINGS, (*scores, *lapses), strict=True))


def _quality(scored: pd.DataFrame, items: pd.DataFrame) -> dict[str, float | int]:
    complete = scored[scored["angle"].notna()]
    counts = items["outcome"].value_counts()
    return {
        "asked": len(items),
        **{name: int(counts.get(name, 0)) for name in scoring.OUTCOMES},
        "covered_mass": items["covered_mass"].mean(),
        "long_enough": (complete["vector_length"] >= LONG_ENOUGH).mean(),
        "transitive": complete["transitive"].astype(float).mean(),
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
