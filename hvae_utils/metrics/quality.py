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
from hvae_utils.measure.choices import expected_regret
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import (
    chance,
    intervals,
    lapse,
    orders,
    rationality,
)

LONG_ENOUGH = 35.0  # coins: least vector length in studies with people
CUT_OFF = 0.05  # most of the items whose thought may be cut off without a flag
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
    with lapse_low and lapse_high (95%) and lapse_evidence (nats by which it beats pure chance);
    asked and one column an outcome (items); censored (share of the items asked that were cut off
    while the model thought, `scoring.censored`); thinking_tokens (sum over the items, NaN where
    none are told); covered_mass (mean, first question); long_enough and
    transitive (shares of the scored administrations); audited (items also asked for a written
    answer) and audit_agreement (share of these where it is the most probable option);
    order_disagreement (0 to 1, NaN with one order); flag (what to be wary of, empty if nothing).
    Of written answers regret is that of the choices, and the lapse rate `lapse.lapse_rate`. Of
    probabilities regret is expected, exactly; the lapse rate is the one that such answers converge
    to, its limits are a t interval over wordings held in 0 to 1, and the evidence is expected of as
    many written administrations.
    """
    key = [*factors.CELL]
    instrument = instruments.load(conditions["instrument"].iloc[0])
    asked = responses.merge(conditions[["condition_id", *key]], on="condition_id")
    tables = (scores, asked, orders.disagreement(conditions, responses))
    grouped = [{cell: rows for cell, rows in table.groupby(key)} for table in tables]
    rows = []
    for *cell, method in cells[[*key, "method"]].itertuples(index=False, name=None):
        scored, items, groups = (
            of_cell.get(tuple(cell), table[:0])
            for of_cell, table in zip(grouped, tables, strict=True)
        )
        value = svo.value_on(cell[key.index("value")], instrument)
        row = _readings(value, method, scored, items, instrument)
        row |= _quality(scored, items) | {"order_disagreement": groups["order_disagreement"].mean()}
        rows.append(row | {"flag": _flag(row)})
    return pd.concat([cells, pd.DataFrame(rows, index=cells.index)], axis=1)


def _readings(
    value: values.Value,
    method: str,
    scored: pd.DataFrame,
    items: pd.DataFrame,
    instrument: Instrument,
) -> dict[str, float]:
    """Return the scores of a cell on other scales and its lapse rate, NaN without a utility."""
    if value.utility is None or method not in ("probabilities", "text"):
        return dict.fromkeys(_READINGS, np.nan)
    angles = scored["angle"]
    if method == "text":
        chosen = scoring.choices(items, scored["condition_id"], instrument)
        score = partial(rationality.value_rationality, angles, value, instrument=instrument)
        on_set, kept = score("chance", "set"), score("regret", choices=chosen)
        lapses = astuple(lapse.lapse_rate(chosen, value, instrument))
    else:
        on_set = _on_set(angles, value, instrument)
        kept, *lapses = _expected(scored, items, value, instrument)
    random_regret = float(expected_regret(chance.uniform(instrument), value, instrument))
    return dict(zip(_READINGS, (on_set, kept, 1 - random_regret, *lapses), strict=True))


def _on_set(angles: pd.Series, value: values.Value, instrument: Instrument) -> float:
    """Return 1 - distance of the mean expected angle to the value's set over the random one's."""
    if value.target_set is None:
        return np.nan
    found, random = chance.distance(
        [angles.mean(), chance.random_angle(instrument)], value.target_set
    )
    return float(1 - found / random) if random > 0 else np.nan


def _expected(
    scored: pd.DataFrame, items: pd.DataFrame, value: values.Value, instrument: Instrument
) -> tuple[float, ...]:
    """Return 1 - expected regret, and the expected lapse rate, its limits and evidence."""
    tables = scoring.option_tables(items, scored["condition_id"], instrument)
    whole = ~np.isnan(tables).any(axis=(1, 2))
    if not whole.any():
        return (np.nan,) * 5
    tables, wordings = tables[whole], scored["wording"].to_numpy()[whole]
    ideal = value.ideal_options(instrument.payoffs, instrument.rounding)
    lost = float(np.mean(expected_regret(tables, value, instrument)))
    rate, evidence = lapse.expected(tables.mean(axis=0), ideal)
    rates = [
        lapse.expected_rate(tables[wordings == one].mean(axis=0), ideal)
        for one in dict.fromkeys(wordings)
    ]
    limits = intervals.t_interval(rates)
    low, high = np.clip([limits.low, limits.high], 0, 1)
    return 1 - lost, rate, float(low), float(high), evidence * len(tables)


def _quality(scored: pd.DataFrame, items: pd.DataFrame) -> dict[str, float | int]:
    complete = scored[scored["angle"].notna()]
    counts = items["outcome"].value_counts()
    return {
        "asked": len(items),
        **{name: int(counts.get(name, 0)) for name in scoring.OUTCOMES},
        "censored": scoring.censored(items).mean(),
        "thinking_tokens": items.get("thinking_tokens", pd.Series(dtype=float)).sum(min_count=1),
        "covered_mass": items["covered_mass"].mean(),
        **_audit(items),
        "long_enough": (complete["vector_length"] >= LONG_ENOUGH).mean(),
        "transitive": complete["transitive"].astype(float).mean(),
    }


def _audit(items: pd.DataFrame) -> dict[str, float | int]:
    """Return how many items were also asked for a written answer, and how often it agrees."""
    if "written_outcome" not in items:
        return {"audited": 0, "audit_agreement": np.nan}
    audited = items[items["written_outcome"].notna()]
    agrees = (audited["written"] == audited["option"]).fillna(False)
    return {"audited": len(audited), "audit_agreement": agrees.astype(float).mean()}


def _flag(row: Mapping[str, float]) -> str:
    """Return in words what a reader should be wary of; nothing where all is well."""
    checks = {
        "few choices": row["choice"] < ENOUGH * row["asked"],
        "short vectors": row["long_enough"] < ENOUGH,
        "intransitive": row["transitive"] < ENOUGH,
        "order matters": row["order_disagreement"] >= DISAGREEING,
        "low covered mass": row["covered_mass"] < COVERED,
        "thoughts cut off": row["censored"] > CUT_OFF,
    }
    return ", ".join(name for name, wrong in checks.items() if wrong)
