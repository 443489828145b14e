"""Transfer: how far the weight that the slider shows is acted on in other games.

Of each model and value the weight is taken from the slider (`utility.weigh`), and under it every
option of every game is worth something. A respondent gains what its choices are worth beyond
uniform random ones. Transfer is the gain over the gain that the slider predicts: 1 where the games
are played as the slider was, 0 for uniform random choices, below 0 for choices against the weight.
Games count alike, whatever their stakes.

It is not 1 for somebody who acts on a value of another kind, steadily: whoever wants both to have
the same answers the slider as the prosocial do, and plays other games otherwise.

`explained` is the share of the KL divergence from uniform choices that the prediction explains,
1 - KL(p || q) / KL(p || uniform). It cannot be read alone: for choices that are uniform it has no
value, and for those near it, it falls without bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hvae_utils.measure import instruments
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics.intervals import t_interval
from hvae_utils.metrics.transfer import utility
from hvae_utils.metrics.transfer.games import HOME, administrations
from hvae_utils.metrics.transfer.utility import Weighing

ALL = "all games"
LEAST = 0.1  # share of the slider's nats that its weight must explain: chance explains less
WIDEST = 90.0  # degrees: utilities that lie further apart have nothing in common
SURE = 0.25  # largest standard error of a rho or sigma that is reported
NOTHING = "nothing to transfer: the slider shows no utility"
LEVEL = "the utility of the slider prefers no option here"
_UNASKED = "no wording in which every item of the slider was answered"
_LACKING = "items without an answer"
_UNSURE = "choices this sharp, or this random, do not tell rho and sigma"
_KEYS = ["model", "instrument", "wording"]
_NUMBERS = ["gained", "predicted", "nats", "nats_uniform"]
_LEAST_GAIN = 0.02  # of the stakes: a game in which the weight prefers hardly anything
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class _Home:
    """What the slider shows of a model and value.

    tables: float array (wordings, items, options), those without gaps; weighing: of them; share:
    gained of the gain that was possible under it; explained: share of the nats; note: why there is
    nothing to transfer, or empty.
    """

    tables: np.ndarray
    weighing: Weighing | None = None
    share: float = np.nan
    explained: float = np.nan
    note: str = _UNASKED


def fits(played: pd.DataFrame) -> pd.DataFrame:
    """Return the utility that each model shows on the slider under each value.

    Pooled over wordings. Columns: model, value, wordings, angle with low and high (degrees, the
    range that the slider leaves open), precision (per coin), lapse, share (of the gain that was
    possible), explained (share of the nats), rho, sigma (two weights, NaN where choices do not
    identify both), note. Errors: as `games.administrations`.
    """
    rows = []
    for (model, value), home in _homes(played).items():
        row = {"model": model, "value": value, "wordings": len(home.tables), "note": home.note}
        if one := home.weighing:
            own = {name: getattr(one, name) for name in _OF_ONE}
            rho, sigma = _two_weights(home.tables)
            row["note"] = home.note or (_UNSURE if np.isnan(rho) else "")
            row |= own | {"share": home.share, "explained": home.explained}
            row |= {"rho": rho, "sigma": sigma}
        rows.append(row)
    columns = [*("model", "value", "wordings"), *_OF_ONE]
    return pd.DataFrame(rows, columns=[*columns, "share", "explained", "rho", "sigma", "note"])


_OF_ONE = ("angle", "low", "high", "precision", "lapse")


def scores(played: pd.DataFrame) -> pd.DataFrame:
    """Return the transfer of each model to each game and to all of them.

    Columns: model, instrument (ALL in a model's last row; the non-social twin is no game of two and
    stays out), wordings, transfer, low, high (95% t interval over wordings), explained, note.
    A value is left out where the slider shows no utility under it. Errors: as
    `games.administrations`.
    """
    gains = pd.DataFrame(_gains(played), columns=[*_KEYS, *_NUMBERS, "note"])
    rows = []
    for model, of_model in gains.groupby("model", sort=False):
        groups = [*of_model.groupby("instrument", sort=False), (ALL, of_model)]
        rows += [{"model": model, "instrument": name} | _transfer(group) for name, group in groups]
    columns = ["model", "instrument", "wordings", "transfer", "low", "high", "explained", "note"]
    return pd.DataFrame(rows, columns=columns)


def _transfer(gains: pd.DataFrame) -> dict[str, object]:
    """Return the columns of `scores`: each wording's gain over its prediction, and their mean."""
    told = gains.dropna(subset="gained")
    if told.empty:
        return {"wordings": 0, "note": "; ".join(dict.fromkeys(gains["note"]))}
    by_wording = told.groupby("wording", sort=False)[["gained", "predicted"]].sum()
    found = t_interval(by_wording["gained"] / by_wording["predicted"])
    explained = _explained(told["nats"].sum(), told["nats_uniform"].sum())
    numbers = {"transfer": found.mean, "low": found.low, "high": found.high}
    return {"wordings": found.n, **numbers, "explained": explained, "note": found.note}


def _gains(played: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Yield what each administration of a game gained and what the slider predicts, or a note."""
    homes = _homes(played)
    for row, table in administrations(played[played["part"] == "games"]):
        game = instruments.load(row["instrument"])
        if row["instrument"] == HOME or game.own_accounts:
            continue
        home = homes.get((row["model"], row["value"]), _Home(np.empty(0)))
        yield {name: row[name] for name in _KEYS} | _gain(table, home, game)


def _gain(table: np.ndarray, home: _Home, game: Instrument) -> dict[str, float | str]:
    """Return gained and predicted, and the KL divergence of the table from both predictions."""
    if home.note or home.weighing is None:
        return {"note": home.note}
    worth = _centred(home.weighing.worth(game.payoffs)) / _stakes(game)
    if worth.max(axis=1).sum() < _LEAST_GAIN:
        return {"note": LEVEL}
    if np.isnan(table).any():
        return {"note": _LACKING}
    expected = home.weighing.chances(game.payoffs)
    entropy = np.log(np.where(table > 0, table, 1))
    return {
        "gained": float((table * worth).sum()),
        "predicted": float((expected * worth).sum()),
        "nats": float((table * (entropy - np.log(np.maximum(expected, 1e-300)))).sum()),
        "nats_uniform": float((table * (entropy + np.log(table.shape[1]))).sum()),
        "note": "",
    }


def _homes(played: pd.DataFrame) -> dict[tuple[str, str], _Home]:
    """Return what the slider shows of each model and value."""
    tables: dict[tuple[str, str], list[np.ndarray]] = {}
    of_slider = (played["part"] == "games") & (played["instrument"] == HOME)
    for row, table in administrations(played[of_slider]):
        kept = tables.setdefault((row["model"], row["value"]), [])
        if not np.isnan(table).any():
            kept.append(table)
    return {key: _home(np.array(kept)) for key, kept in tables.items()}


def _home(tables: np.ndarray) -> _Home:
    if not len(tables):
        return _Home(tables)
    slider = instruments.load(HOME).payoffs
    weighing = utility.weigh(tables, slider)
    worth = _centred(weighing.worth(slider))
    share = float((tables.mean(axis=0) * worth).sum() / worth.max(axis=1).sum())
    explained = _explained(weighing.nats, weighing.nats_uniform)
    shown = explained >= LEAST and weighing.high - weighing.low <= WIDEST
    return _Home(tables, weighing, share, explained, "" if shown else NOTHING)


def _explained(nats: float, uniform: float) -> float:
    return 1 - nats / uniform if uniform > _TINY else np.nan


def _two_weights(tables: np.ndarray) -> tuple[float, float]:
    """Return rho and sigma of the slider's tables, NaN where an error of either is above SURE."""
    slider = instruments.load(HOME).payoffs
    found = utility.fit(tables, slider)
    variances = np.diag(utility.covariance(found, slider))[:2]
    # A table counts as as many administrations as give its exact numbers some thousand answers.
    known = variances <= SURE**2 * utility.ANSWERS / len(slider)
    return (found.rho, found.sigma) if known.all() else (np.nan, np.nan)


def _centred(worth: np.ndarray) -> np.ndarray:
    """Return what options are worth beyond the mean of their item."""
    return worth - worth.mean(axis=1, keepdims=True)


def _stakes(game: Instrument) -> float:
    """Return how much is at stake in all items: coins, root mean square distance from the mean."""
    off = game.payoffs - game.payoffs.mean(axis=1, keepdims=True)
    return float(np.sqrt((off**2).sum(axis=-1).mean(axis=1)).sum())
