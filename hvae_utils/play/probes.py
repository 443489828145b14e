"""Small studies beside the main one: the same respondents, another instrument.

Secondary items tell why a prosocial respondent is prosocial; isomorphic instruments find one that
recites the published items. What is asked is recorded like everything else and asked once.

Public names: Playing, administer, angles, motives, planned, check.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hvae_utils.ask import prompts
from hvae_utils.errors import UserError
from hvae_utils.extras import cluster
from hvae_utils.measure import instruments, scoring, svo
from hvae_utils.measure import secondary as motive_scores
from hvae_utils.play import administer, study
from hvae_utils.play.budget import Budget
from hvae_utils.play.records import Records

KEYS = ["model", "value", "instrument"]
PRIMARY, SECONDARY = "svo-slider", "svo-slider-secondary"


@dataclass(frozen=True)
class Playing:
    """How the probes are played: by `play` or on a cluster, and as in `play.administer`."""

    player: Any = administer
    concurrency: int = 0
    reask: bool = True
    budget: Budget | None = None


HERE = Playing()


def administer(
    records: Path,
    isomorphs: Sequence[str] | str,
    models: Sequence[str],
    values: Sequence[str] | str,
    wording: str,
    *,
    scheduler: str = "",
    concurrency: int = 0,
    reask: bool = True,
    budget: str = "",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Play both probes on the records of a run; return the tables of `angles` and of `motives`.

    isomorphs, values: lists, or texts as `study.listed` takes them; no values, no rows.
    scheduler and the following: the parameters of the notebooks of these names.
    """
    values = study.levels("probe_values", values, empty=True)
    names = study.levels("isomorphs", isomorphs, empty=True)
    with cluster.player(scheduler if values else "") as player, Records(records) as opened:
        how = Playing(player, concurrency, reask, Budget.of_run(budget, records))
        return (
            angles(opened, [PRIMARY, *names], models, values, wording, how),
            motives(opened, models, values, wording, how),
        )


def angles(
    records: Records,
    names: Iterable[str],
    models: Sequence[str],
    values: Sequence[str],
    wording: str,
    how: Playing = HERE,
) -> pd.DataFrame:
    """Administer instruments once per model and value, without goal; return their angles.

    names: of instruments with an angle; no values, no rows.
    Columns: model, value, instrument, answered (items), angle (degrees, NaN if items miss).
    """
    found = []
    for name in names if values else ():
        conditions, chosen = _chosen(records, name, models, values, wording, how)
        scored = svo.score(chosen, instruments.load(name))[["answered", "angle"]]
        found.append(conditions.join(scored))
    return pd.concat(found) if found else pd.DataFrame(columns=[*KEYS, "answered", "angle"])


def motives(
    records: Records,
    models: Sequence[str],
    values: Sequence[str],
    wording: str,
    how: Playing = HERE,
) -> pd.DataFrame:
    """Administer the secondary items; return model, value and the columns of motives.score."""
    if not values:
        return pd.DataFrame(columns=["model", "value", "index"])
    conditions, chosen = _chosen(records, SECONDARY, models, values, wording, how)
    return conditions[["model", "value"]].join(motive_scores.score(chosen))


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


def _chosen(
    records: Records,
    name: str,
    models: Sequence[str],
    values: Sequence[str],
    wording: str,
    how: Playing,
):
    """Return the factors of the conditions and the choices made in them."""
    conditions = _conditions(name, models, values, wording)
    conditions = how.player.assign(conditions, records, how.concurrency, how.budget)
    responses = how.player.administer(conditions, records, how.reask, how.concurrency, how.budget)
    chosen = scoring.choices(responses, conditions["condition_id"], instruments.load(name))
    return conditions[KEYS].reset_index(drop=True), chosen
