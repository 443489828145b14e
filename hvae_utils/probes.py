"""Small studies beside the main one: the same respondents, another instrument.

Secondary items tell why a prosocial respondent is prosocial; isomorphic instruments find one that
recites the published items. What is asked is recorded like everything else and asked once.

Public names: angles, motives, planned.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from hvae_utils import instruments, play, scoring, study, svo
from hvae_utils import motives as motive_scores
from hvae_utils.budget import Budget
from hvae_utils.records import Records

KEYS = ["model", "value", "instrument"]
SECONDARY = "svo-slider-secondary"


def angles(
    records: Records,
    names: Iterable[str],
    models: Sequence[str],
    values: Sequence[str],
    wording: str,
    budget: Budget | None = None,
) -> pd.DataFrame:
    """Administer instruments once per model and value, without goal; return their angles.

    names: of instruments with an angle; no values, no rows.
    Columns: model, value, instrument, answered (items), angle (degrees, NaN if items miss).
    """
    found = []
    for name in names if values else ():
        conditions, chosen = _chosen(records, name, models, values, wording, budget)
        scored = svo.score(chosen, instruments.load(name))[["answered", "angle"]]
        found.append(conditions.join(scored))
    return pd.concat(found) if found else pd.DataFrame(columns=[*KEYS, "answered", "angle"])


def motives(
    records: Records,
    models: Sequence[str],
    values: Sequence[str],
    wording: str,
    budget: Budget | None = None,
) -> pd.DataFrame:
    """Administer the secondary items; return model, value and the columns of motives.score."""
    if not values:
        return pd.DataFrame(columns=["model", "value", "index"])
    conditions, chosen = _chosen(records, SECONDARY, models, values, wording, budget)
    return conditions[["model", "value"]].join(motive_scores.score(chosen))


def planned(
    names: Sequence[str], models: Sequence[str], values: Sequence[str], wording: str
) -> list[pd.DataFrame]:
    """Return the conditions of both probes, one table an instrument; no values, no tables.

    names: of the isomorphs beside the primary items.
    """
    wanted = ["svo-slider", *names, SECONDARY] if values else []
    return [_conditions(name, models, values, wording) for name in wanted]


def _conditions(
    name: str, models: Sequence[str], values: Sequence[str], wording: str
) -> pd.DataFrame:
    return study.conditions(
        study.Study(tuple(models), tuple(values), (False,), wordings=(wording,), instrument=name)
    )


def _chosen(
    records: Records,
    name: str,
    models: Sequence[str],
    values: Sequence[str],
    wording: str,
    budget: Budget | None,
):
    """Return the factors of the conditions and the choices made in them."""
    conditions = _conditions(name, models, values, wording)
    conditions = play.assign(conditions, records, budget=budget)
    responses = play.administer(conditions, records, budget=budget)
    chosen = scoring.choices(responses, conditions["condition_id"], instruments.load(name))
    return conditions[KEYS].reset_index(drop=True), chosen
