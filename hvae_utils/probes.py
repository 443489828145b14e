"""Small studies beside the main one: the same respondents, another instrument.

Secondary items tell why a prosocial respondent is prosocial; isomorphic instruments find one that
recites the published items. What is asked is recorded like everything else and asked once.

Public names: angles, motives.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from hvae_utils import instruments, play, scoring, study, svo
from hvae_utils import motives as motive_scores
from hvae_utils.records import Records

KEYS = ["model", "value", "instrument"]
SECONDARY = "svo-slider-secondary"


def angles(
    records: Records,
    names: Iterable[str],
    models: Sequence[str],
    values: Sequence[str],
    wording: str,
) -> pd.DataFrame:
    """Administer instruments once per model and value, without goal; return their angles.

    names: of instruments with an angle; no values, no rows.
    Columns: model, value, instrument, answered (items), angle (degrees, NaN if items miss).
    """
    found = []
    for name in names if values else ():
        conditions, chosen = _chosen(records, name, models, values, wording)
        scored = svo.score(chosen, instruments.load(name))[["answered", "angle"]]
        found.append(conditions.join(scored))
    return pd.concat(found) if found else pd.DataFrame(columns=[*KEYS, "answered", "angle"])


def motives(
    records: Records, models: Sequence[str], values: Sequence[str], wording: str
) -> pd.DataFrame:
    """Administer the secondary items; return model, value and the columns of motives.score."""
    if not values:
        return pd.DataFrame(columns=["model", "value", "index"])
    conditions, chosen = _chosen(records, SECONDARY, models, values, wording)
    return conditions[["model", "value"]].join(motive_scores.score(chosen))


def _chosen(
    records: Records, name: str, models: Sequence[str], values: Sequence[str], wording: str
):
    """Return the factors of the conditions and the choices made in them."""
    design = study.Study(
        tuple(models), tuple(values), (False,), wordings=(wording,), instrument=name
    )
    conditions = play.assign(study.conditions(design), records)
    responses = play.administer(conditions, records)
    chosen = scoring.choices(responses, conditions["condition_id"], instruments.load(name))
    return conditions[KEYS].reset_index(drop=True), chosen
