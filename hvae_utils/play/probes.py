"""Small studies beside the main one: the same respondents, another instrument, without goal.

Secondary items tell why a prosocial respondent is prosocial; isomorphic instruments find one that
has memorised the published items. What is asked is recorded like everything else and asked once:
the probabilities of the options where a model lists them, else its words.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hvae_utils.ask import prompts
from hvae_utils.errors import UserError
from hvae_utils.measure import factors, instruments, scoring, secondary
from hvae_utils.play import study
from hvae_utils.play.administer import assign_values, put_items
from hvae_utils.play.budget import Budget
from hvae_utils.play.records import Held, Records

PRIMARY, SECONDARY = "svo-slider", "svo-slider-secondary"
_ANGLES = ("model", "value", "instrument", "method", "answered", "angle")


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
    """Play both probes on the records of a run; return the tables of angles and of motives.

    isomorphs (beside the primary items), values: lists, or texts as `study.listed` takes them; no
    values, no rows. reask to budget: as the notebooks take them.
    Columns of the first: model, value, instrument, method, answered (items), angle (degrees,
    expected where probabilities are read, NaN if items miss); of the second: model, value and
    those of secondary.expected.
    """
    values = study.levels("probe_values", values, empty=True)
    names = study.levels("isomorphs", isomorphs, empty=True)
    if not values:
        return pd.DataFrame(columns=[*_ANGLES]), pd.DataFrame(columns=["model", "value", "index"])
    how = reask, concurrency, Budget.of_run(budget, records)
    with Records(records) as opened:
        tables = planned(names, models, values, wording)
        *angles, motives = (_scores(table, opened, *how) for table in tables)
    return pd.concat(angles), motives


def _scores(
    conditions: pd.DataFrame, records: Held, reask: bool, concurrency: int, budget: Budget | None
) -> pd.DataFrame:
    """Play these conditions of one instrument; return their factors and scores."""
    assigned = assign_values(conditions, records, concurrency, budget)
    responses = put_items(assigned, records, reask, concurrency, budget)
    instrument = instruments.load(conditions["instrument"].iloc[0])
    if instrument.name == SECONDARY:
        tables = scoring.option_tables(responses, conditions["condition_id"], instrument)
        return conditions[["model", "value"]].join(secondary.expected(tables))
    scores = scoring.administrations(conditions, responses)
    return scores.assign(instrument=instrument.name)[[*_ANGLES]]


def planned(
    names: Sequence[str], models: Sequence[str], values: Sequence[str], wording: str
) -> list[pd.DataFrame]:
    """Return the conditions of both probes, one table an instrument; names: of the isomorphs.

    A model is asked once, however it deliberates in the study.
    """
    asked = dict.fromkeys(factors.model_of(name)[0] for name in models)
    asked = {"models": [*asked], "values": values, "goal_prompts": [False], "wordings": [wording]}
    return [
        study.conditions(study.Study(**asked, instrument=name, readout="probabilities")).assign(
            audited=False
        )
        for name in ([PRIMARY, *names, SECONDARY] if values else [])
    ]


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
