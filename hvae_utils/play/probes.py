"""Small studies beside the main one: the same respondents, another instrument.

Secondary items tell why a prosocial respondent is prosocial; isomorphic instruments find one that
has memorised the published items. What is asked is recorded like everything else and asked once.

Public names: administer, angles, motives, planned, check.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils.ask import prompts
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, scoring, secondary, svo
from hvae_utils.play import study
from hvae_utils.play.administer import assign_values, put_items
from hvae_utils.play.budget import Budget
from hvae_utils.play.records import Held, Records

KEYS = ["model", "value", "instrument"]
PRIMARY, SECONDARY = "svo-slider", "svo-slider-secondary"


def administer(
    records: Path,
    isomorphs: Sequence[str] | str,
    models: Sequence[str],
    values: Sequence[str] | str,
    wording: str,
    *,
    reask: bool = True,
    concurrency: int = 0,
    budget: str = "",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Play both probes on the records of a run; return the tables of `angles` and of `motives`.

    isomorphs, values: lists, or texts as `study.listed` takes them; no values, no rows.
    reask and the following: the parameters of the notebooks of these names.
    """
    values = study.levels("probe_values", values, empty=True)
    names = study.levels("isomorphs", isomorphs, empty=True)
    asked = models, values, wording, reask, concurrency, Budget.of_run(budget, records)
    with Records(records) as opened:
        return angles(opened, [PRIMARY, *names], *asked), motives(opened, *asked)


def angles(
    records: Held,
    names: Iterable[str],
    models: Sequence[str],
    values: Sequence[str],
    wording: str,
    *playing: Any,
) -> pd.DataFrame:
    """Administer instruments once per model and value, without goal; return their angles.

    names: of instruments with an angle; no values, no rows; playing: as in `put_items`.
    Columns: model, value, instrument, answered (items), angle (degrees, NaN if items miss).
    """
    scored = []
    for name in names if values else ():
        conditions = _conditions(name, models, values, wording)
        scores = svo.score(_choices(conditions, records, *playing), instruments.load(name))
        scored.append(conditions[KEYS].join(scores[["answered", "angle"]]))
    return pd.concat(scored) if scored else pd.DataFrame(columns=[*KEYS, "answered", "angle"])


def motives(
    records: Held, models: Sequence[str], values: Sequence[str], wording: str, *playing: Any
) -> pd.DataFrame:
    """Administer the secondary items; return model, value and the columns of secondary.score."""
    if not values:
        return pd.DataFrame(columns=["model", "value", "index"])
    conditions = _conditions(SECONDARY, models, values, wording)
    scores = secondary.score(_choices(conditions, records, *playing))
    return conditions[["model", "value"]].join(scores)


def check(names: Sequence[str], models: Sequence[str], values: Sequence[str], wording: str) -> None:
    """Raise UserError where `administer` could not play these probes; asks nobody."""
    for name in study.levels("isomorphs", [PRIMARY, *names]):
        if instruments.load(name).boundaries is None:
            raise UserError(f"isomorphs: '{name}' has no angle; try {PRIMARY}+swapped")
    if not values:
        return
    study.Study(tuple(models), tuple(values), (False,), wordings=(wording,))
    if prompts.load(wording).items is not None:
        raise UserError(
            f"wording '{wording}' is imported and has no items for the probes of notebook 05; "
            "leave them out (--set probe_values=) or name another wording first"
        )


def planned(
    names: Sequence[str], models: Sequence[str], values: Sequence[str], wording: str
) -> list[pd.DataFrame]:
    """Return the conditions of both probes, one table an instrument; no values, no tables.

    names: of the isomorphs beside the primary items.
    """
    wanted = [PRIMARY, *names, SECONDARY] if values else []
    return [_conditions(name, models, values, wording) for name in wanted]


def _conditions(
    name: str, models: Sequence[str], values: Sequence[str], wording: str
) -> pd.DataFrame:
    return study.conditions(
        study.Study(tuple(models), tuple(values), (False,), wordings=(wording,), instrument=name)
    )


def _choices(
    conditions: pd.DataFrame,
    records: Held,
    reask: bool = True,
    concurrency: int = 0,
    budget: Budget | None = None,
) -> np.ndarray:
    """Play these conditions of one instrument; return the choices, (administrations, items)."""
    assigned = assign_values(conditions, records, concurrency, budget)
    responses = put_items(assigned, records, reask, concurrency, budget)
    instrument = instruments.load(conditions["instrument"].iloc[0])
    return scoring.choices(responses, conditions["condition_id"], instrument)
