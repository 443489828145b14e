"""The games beside a study: the same respondents and values, other instruments, without goal.

Three parts. `games`: the slider once more, whose answers the study already has, and every game.
`objective`: the slider with an explicit rule in the place of the value's word. `weights`: what a
coin of the other is worth, told as a number. Three reference respondents are always asked beside
the others: one that acts on the value everywhere, one that knows the published slider only, one
that answers at random. What is asked is recorded like everything else and asked once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hvae_utils.ask import models, prompts
from hvae_utils.errors import UserError
from hvae_utils.measure import factors, instruments, values
from hvae_utils.play import study
from hvae_utils.play.administer import COLUMNS, assign_values, put_items
from hvae_utils.play.budget import Budget
from hvae_utils.play.records import Held, Records

HOME, WEIGHTS = "svo-slider", "graded-weights"  # instruments
YARDSTICKS = ("reference/faithful", "reference/reciter", "reference/random")
SAID = ["condition_id", "model", "value", "induction", "wording", "instrument"]
_READ = {"readout": "probabilities", "orders": ("latin",), "goal_prompts": (False,)}


@dataclass(frozen=True)
class Choice:
    """What of a study is taken to the games.

    games: instruments; models: those that play, as far as the study asks them, none for all of the
    study's; wordings: how many of the study's,
    evenly spread, 0 for all; weights: of the other's coins, told as numbers (`values.weighted`),
    none to leave that part out. Lists, or texts as `study.listed` takes them.
    """

    games: Sequence[str] | str
    models: Sequence[str] | str = ()
    wordings: int = 0
    weights: Sequence[str | float] | str = ()


def of_parameters(parameters: Mapping[str, Any]) -> Choice:
    """Return what the parameters of the notebooks take to the games; none where they say none."""
    names = {"games": "games", "game_models": "models", "weights": "weights"}
    chosen = {field: parameters.get(name, ()) for name, field in names.items()}
    return Choice(**chosen, wordings=parameters.get("game_wordings", 0))


class Part(NamedTuple):
    """Name of a part (games, objective, weights), and the conditions of one instrument."""

    name: str
    conditions: pd.DataFrame


def planned(conditions: pd.DataFrame, choice: Choice) -> list[Part]:
    """Return what is asked beside a study with these conditions, one table an instrument.

    Empty where no game is chosen, or no value prefers any payoff. UserError, in one sentence, for
    an unknown game or model, a weight out of range, and wordings that have no words for a game.
    """
    games = study.levels("games", choice.games, empty=True)
    if not (games and _preferring(conditions)):
        return []
    weights = [
        values.weighted(weight).name
        for weight in study.levels("weights", choice.weights, empty=True)
    ]
    asked = _asked(conditions, choice)
    inductions = [name for name in conditions["induction"].unique() if name != "none"]
    told = (inductions or ["label"])[0]
    parts = [("games", name, told, asked["values"]) for name in dict.fromkeys([HOME, *games])]
    ruled = [name for name in asked["values"] if values.get(name).objective]
    parts += [("objective", HOME, "objective", ruled)] if ruled else []
    parts += [("weights", WEIGHTS, "objective", weights)] if weights else []
    return [
        Part(part, _conditions(asked | {"values": held}, instrument, induction, choice.wordings))
        for part, instrument, induction, held in parts
    ]


def _preferring(conditions: pd.DataFrame) -> list[str]:
    """Return the values of a study that prefer some payoffs to others; only these have games."""
    names = conditions["value"].unique()
    return [name for name in names if values.get(name).utility is not None]


def _asked(conditions: pd.DataFrame, choice: Choice) -> dict[str, object]:
    """Return models, values, wordings, placement and seed of a study, as a Study takes them."""
    of_study = list(dict.fromkeys(factors.model_of(name)[0] for name in conditions["model"]))
    chosen = study.levels("game_models", choice.models, empty=True)
    for name in chosen:
        models.check_name(name)
    players = [name for name in of_study if name in chosen or not chosen]
    wordings = list(conditions["wording"].unique())
    for name in wordings:
        if prompts.load(name).items is not None:
            raise UserError(
                f"wording '{name}' is imported and has no words for the games; leave them out "
                "(--set games=) or take wordings of ours"
            )
    placements = [name for name in conditions["placement"].unique() if name != "none"]
    return {
        "models": tuple(dict.fromkeys([*players, *YARDSTICKS])),
        "values": tuple(_preferring(conditions)),
        "wordings": tuple(wordings),
        "placements": tuple(placements[:1]) or ("dialogue",),
        "seed": int(conditions["seed"].iloc[0]),
    }


def _conditions(
    asked: dict[str, object], instrument: str, induction: str, count: int
) -> pd.DataFrame:
    """Return the conditions of one instrument, in so many of the wordings."""
    design = study.Study(**asked, **_READ, inductions=(induction,), instrument=instrument)
    wordings = design.wordings
    kept = study.spread(count or len(wordings), len(wordings))
    frame = study.conditions(design).assign(audited=False)
    chosen = frame["wording"].isin([wordings[place] for place in kept])
    return frame[chosen].reset_index(drop=True)


def check(conditions: pd.DataFrame, choice: Choice) -> None:
    """Raise UserError, as `planned` does, where the games could not be asked; asks nobody."""
    study.check_number("game_wordings", choice.wordings, 0, 10_000, whole=True)
    for name in study.levels("games", choice.games, empty=True):
        instruments.load(name)
    planned(conditions, choice)


def administer(
    records: Path,
    conditions: pd.DataFrame,
    choice: Choice,
    *,
    reask: bool = True,
    concurrency: int = 0,
    budget: str = "",
) -> pd.DataFrame:
    """Ask all parts on the records of a run; return one row an item presentation.

    reask to budget: as the notebooks take them. Columns: part, those of SAID, and those of
    `administer.put_items`. Errors: as `planned` and `engine.for_each`.
    """
    parts = planned(conditions, choice)
    how = reask, concurrency, Budget.of_run(budget, records)
    with Records(records) as opened:
        tables = [_played(part, opened, *how) for part in parts]
    if not tables:
        return pd.DataFrame(columns=["part", *SAID, *COLUMNS[1:]])
    return pd.concat(tables, ignore_index=True)


def _played(
    part: Part, records: Held, reask: bool, concurrency: int, budget: Budget | None
) -> pd.DataFrame:
    assigned = assign_values(part.conditions, records, concurrency, budget)
    responses = put_items(assigned, records, reask, concurrency, budget)
    said = part.conditions[SAID].assign(part=part.name)
    return said.merge(responses, on="condition_id")
