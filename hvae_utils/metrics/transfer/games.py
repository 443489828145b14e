"""How well a value is followed in each game, on one scale: 0 uniform random, 1 a best option.

`played` is the table of notebook 07, one row an item presentation: part (games, objective or
weights), model, value, induction, wording, instrument, and the columns of the responses. Where an
instrument has an angle, the angle of the mean payoffs moves with the target, or does not.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.files import needed_columns
from hvae_utils.measure import choices, instruments, scoring, svo, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import comparison, steerability
from hvae_utils.metrics.intervals import t_interval

HOME = "svo-slider"  # the instrument that the others are compared with
ORIENTATIONS = ("prosocial", "individualistic", "competitive")  # that a criterion can name
ADMINISTERED = ("part", "model", "value", "induction", "instrument", "wording")
_RATED = (*ADMINISTERED, "method", "vr", "regret", "items", "note")


def administrations(played: pd.DataFrame) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield what one administration was, and its table: float (items, options), NaN where missing.

    Errors: UserError for a missing column.
    """
    needed_columns(played, "games", [*ADMINISTERED, "condition_id", "item", "option", "method"])
    for name, of_game in played.groupby("instrument", sort=False):
        instrument = instruments.load(str(name))
        rows = of_game.drop_duplicates("condition_id")
        tables = scoring.option_tables(of_game, rows["condition_id"], instrument)
        for row, table in zip(rows.to_dict("records"), tables, strict=True):
            yield {key: row[key] for key in (*ADMINISTERED, "method")}, table


def ratings(played: pd.DataFrame) -> pd.DataFrame:
    """Return the value rationality of each administration.

    Columns: those of ADMINISTERED, method, vr (chance-corrected, as `choices.rationality`; NaN
    where an item is missing that tells), regret, items (that tell), note. Errors: as
    `administrations`; UserError for an unknown value.
    """
    rows = []
    for row, table in administrations(played):
        instrument = instruments.load(row["instrument"])
        rows.append(row | _rating(table, row["value"], instrument))
    return pd.DataFrame(rows, columns=_RATED)


def _rating(table: np.ndarray, value: str, instrument: Instrument) -> dict[str, object]:
    if values.get(value).utility is None:
        return {"vr": np.nan, "regret": np.nan, "items": 0, "note": "nothing is preferred"}
    telling = ~choices.best(value, instrument).all(axis=1)
    if not telling.any():
        return {"vr": np.nan, "regret": np.nan, "items": 0, "note": "every option is as good"}
    found = {"vr": np.nan, "regret": np.nan, "items": int(telling.sum())}
    lacking = int(np.isnan(table[telling]).any(axis=1).sum())
    if lacking:
        return found | {"note": f"{lacking} items without an answer"}
    whole = np.where(telling[:, None], table, 1 / instrument.options)
    found["regret"] = float(choices.expected_regret(whole, value, instrument))
    return found | {"vr": float(choices.rationality(whole, value, instrument)), "note": ""}


def cells(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return one row a part x model x induction x instrument x value, over its wordings.

    Columns: these, method, wordings (rated), items, vr with low and high (95% t interval over
    wordings, NaN of one), regret, note.
    """
    keys = ["part", "model", "induction", "instrument", "value"]
    rows = []
    for key, group in ratings.groupby(keys, sort=False):
        found = t_interval(group["vr"])
        notes = dict.fromkeys([*filter(None, group["note"]), found.note if found.n else ""])
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"method": ", ".join(sorted(group["method"].dropna().unique()))}
            | {"wordings": found.n, "items": group["items"].max(), "vr": found.mean}
            | {"low": found.low, "high": found.high, "regret": group["regret"].mean()}
            | {"note": "; ".join(filter(None, notes))}
        )
    columns = [*keys, "method", "wordings", "items", "vr", "low", "high", "regret", "note"]
    return pd.DataFrame(rows, columns=columns)


def gaps(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return the transfer gap: value rationality on the slider minus in a game, paired by wording.

    One row a model x game of the part "games"; the mean over the values that the game tells apart,
    in both. Columns: model, instrument, values, wordings, difference, low, high (95%), p, note, as
    `comparison.compare`.
    """
    rows, of_games = [], ratings[ratings["part"] == "games"]
    for model, of_model in of_games.groupby("model", sort=False):
        home = _by_wording(of_model, HOME)
        for name in of_model["instrument"].unique():
            if name == HOME:
                continue
            there = _by_wording(of_model, name)
            told = there.dropna(axis=1, how="all").columns.intersection(home.columns)
            both = (home[told] - there[told]).mean(axis=1, skipna=False)  # aligned by wording
            pair = comparison.compare(both, np.zeros(len(both)))
            rows.append(
                {"model": model, "instrument": name, "values": len(told)}
                | {key: getattr(pair, key) for key in _PAIR}
            )
    return pd.DataFrame(rows, columns=["model", "instrument", "values", *_PAIR])


_PAIR = ("wordings", "difference", "low", "high", "p", "note")


def _by_wording(ratings: pd.DataFrame, instrument: str) -> pd.DataFrame:
    """Return value rationality, one row a wording and one column a value."""
    mine = ratings[ratings["instrument"] == instrument]
    return mine.pivot_table("vr", "wording", "value", sort=False, dropna=False)


def acts(played: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Return how much of what could be done was done, beside what people do on average.

    people: as `published.people_in_games`, which names games, items and the measure. Columns:
    model, value, instrument, measure, share (0 to 1: the mean act over the largest, over these
    items and all wordings; NaN where one is missing), people (their share).
    """
    rows = []
    known = people.set_index("instrument")
    of_games = played[(played["part"] == "games") & played["instrument"].isin(known.index)]
    for row, table in administrations(of_games):
        game, about = instruments.load(row["instrument"]), known.loc[row["instrument"]]
        chosen = [game.items.index(int(item)) for item in str(about["items"]).split()]
        done = (table[chosen] * game.acts[chosen]).sum(axis=1) / game.acts[chosen].max(axis=1)
        rows.append(
            {key: row[key] for key in ("model", "value", "instrument")}
            | {"measure": about["measure"], "share": done.mean(), "people": about["share"]}
        )
    columns = ["model", "value", "instrument", "measure", "share", "people"]
    found = pd.DataFrame(rows, columns=columns)
    return found.groupby(["model", "value", "instrument", "measure"], sort=False, as_index=False)[
        ["share", "people"]
    ].mean()


def mean_angle(table: np.ndarray, instrument: Instrument) -> float:
    """Return the angle (degrees) of the mean payoffs that a table (items, options) expects.

    NaN where they lie within the rounding of the origin, at no angle. Errors: UserError for an
    instrument without an angle.

    >>> ring = instruments.load("ring-measure")
    >>> best = choices.best("prosocial", ring)
    >>> mean_angle(best / best.sum(axis=1, keepdims=True), ring)
    45.0
    """
    if instrument.boundaries is None:
        raise UserError(
            f"instrument '{instrument.name}' has no angle: its file names no boundaries"
        )
    mean = np.einsum("io,iop->p", table, instrument.payoffs) / len(table)
    if np.hypot(*(mean - instrument.origin)) <= instrument.rounding:
        return np.nan
    return float(np.round(svo.angle(*mean, instrument.origin), 9))


def steerabilities(played: pd.DataFrame) -> pd.DataFrame:
    """Return the steerability of each model on each instrument that has an angle.

    Targets are the angles of ideal respondents, on the slider those of its published scale.
    Columns: model, instrument, wordings, steerability, low, high (95%), note. NaN where fewer than
    two values have an angle in some wording.
    """
    rows = []
    of_games = played[played["part"] == "games"]
    angled = [n for n in of_games["instrument"].unique() if instruments.load(n).boundaries]
    found = [
        row | {"angle": mean_angle(table, instruments.load(row["instrument"]))}
        for row, table in administrations(of_games[of_games["instrument"].isin(angled)])
    ]
    angles = pd.DataFrame(found, columns=[*ADMINISTERED, "method", "angle"])
    for (model, name), group in angles.groupby(["model", "instrument"], sort=False):
        table = group.pivot_table("angle", "value", "wording", sort=False, dropna=False)
        targets = {value: _target(value, instruments.load(name)) for value in table.index}
        table = table.loc[[value for value in table.index if not np.isnan(targets[value])]]
        table = table.dropna(axis=1)
        row = {"model": model, "instrument": name, "wordings": table.shape[1]}
        if len(table) < 2 or not table.shape[1]:
            rows.append(row | {"note": "choices point in no direction, so nothing moves"})
            continue
        found = steerability.fit(table.to_numpy(), [targets[value] for value in table.index])
        low, high = found.interval() if table.shape[1] > 1 else (np.nan, np.nan)
        rows.append(row | {"steerability": found.slope, "low": low, "high": high, "note": ""})
    columns = ["model", "instrument", "wordings", "steerability", "low", "high", "note"]
    return pd.DataFrame(rows, columns=columns)


def _target(value: str, instrument: Instrument) -> float:
    """Return the angle of an ideal respondent, degrees, NaN for a value that has none."""
    if instrument.name.partition("+")[0] == HOME:
        target = svo.value_on(value, instrument).target
        return np.nan if target is None else target
    if values.get(value).utility is None:
        return np.nan
    best = choices.best(value, instrument)
    return np.nan if best.all() else mean_angle(best / best.sum(axis=1, keepdims=True), instrument)


def classified(played: pd.DataFrame) -> pd.DataFrame:
    """Return how likely an administration is called by each orientation.

    Of instruments with a criterion: somebody is called by the orientation whose best options were
    chosen in at least so many items, items being answered independently. Columns: model, value,
    instrument, those of ORIENTATIONS and `none` (probabilities, means over wordings).
    """
    rows = []
    of_games = played[played["part"] == "games"]
    counted = [n for n in of_games["instrument"].unique() if instruments.load(n).criterion]
    for row, table in administrations(of_games[of_games["instrument"].isin(counted)]):
        game = instruments.load(row["instrument"])
        chances = {
            name: _at_least(game.criterion, (table * choices.best(name, game)).sum(axis=1))
            for name in ORIENTATIONS
        }
        head = {key: row[key] for key in ("model", "value", "instrument")}
        rows.append(head | chances | {"none": 1 - sum(chances.values())})
    keys = ["model", "value", "instrument"]
    frame = pd.DataFrame(rows, columns=[*keys, *ORIENTATIONS, "none"])
    return frame.groupby(keys, sort=False, as_index=False).mean()


def _at_least(count: int, chances: np.ndarray) -> float:
    """Return the probability of so many hits, chances being those of each item; NaN for a NaN.

    >>> round(_at_least(1, np.array([0.5, 0.5])), 2)
    0.75
    """
    hits = np.ones(1)
    for chance in chances:
        hits = np.convolve(hits, [1 - chance, chance])
    return float(hits[count:].sum())
