"""Transfer: how far the weight that the slider shows is acted on in other games.

Of each model and value the weight is taken from the slider (`utility.weigh`), and under it every
option of every game is worth something. A respondent gains what its choices are worth beyond
uniform random ones. Transfer is the gain over the gain that the slider predicts: 1 where the games
are played as the slider was, 0 for uniform random choices, below 0 for choices against the weight.
Games count alike, whatever their stakes.

`explained` is the share of the KL divergence from uniform choices that the prediction explains,
1 - KL(p || q) / KL(p || uniform). It cannot be read alone: for choices that are uniform it has no
value, and for those near it, it falls without bound.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hvae_utils.measure import instruments
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics.intervals import t_interval
from hvae_utils.metrics.transfer import utility
from hvae_utils.metrics.transfer.games import HOME, administrations

ALL = "all games"
LEAST = 0.1  # share of the slider's nats that its weight must explain, else there is nothing there
NOTHING = "nothing to transfer: the slider shows no utility"
_LEAST_GAIN = 0.02  # of the stakes: a game in which the weight prefers hardly anything
_KEYS = ["model", "instrument", "wording"]
_TINY = 1e-12


def fits(played: pd.DataFrame) -> pd.DataFrame:
    """Return the utility that each model shows on the slider under each value.

    Pooled over wordings. Columns: model, value, wordings, angle with low and high (degrees, the
    range that the slider leaves open), precision (per coin), lapse, share (of the gain that was
    possible), explained (share of the nats), rho, sigma (two weights, NaN for choices at random),
    note.
    """
    rows = []
    for model, value, tables in _home(played):
        slider, wordings = instruments.load(HOME).payoffs, len(tables)
        row = {"model": model, "value": value, "wordings": wordings}
        if not wordings:
            rows.append(row | {"note": "no wording in which every item of the slider was answered"})
            continue
        one, two = utility.weigh(tables, slider), utility.fit(tables, slider)
        own = {name: getattr(one, name) for name in ("angle", "low", "high", "precision", "lapse")}
        worth = _centred(one.worth(slider))
        share = float((one.chances(slider) * worth).sum() / worth.max(axis=1).sum())
        explained = 1 - one.nats / one.nats_uniform if one.nats_uniform > _TINY else np.nan
        note = "" if _shows(one) else NOTHING
        shown = {"share": share, "explained": explained, "rho": two.rho, "sigma": two.sigma}
        rows.append(row | own | shown | {"note": note})
    columns = ["model", "value", "wordings", "angle", "low", "high", "precision", "lapse"]
    return pd.DataFrame(rows, columns=[*columns, "share", "explained", "rho", "sigma", "note"])


def scores(played: pd.DataFrame) -> pd.DataFrame:
    """Return the transfer of each model to each game and to all of them.

    Columns: model, instrument (ALL in a model's last row; the non-social twin is no game of two and
    stays out), wordings, transfer, low, high (95% t interval over wordings), explained, note.
    """
    gains = pd.DataFrame(_gains(played), columns=[*_KEYS, "gained", "predicted", *_NATS])
    rows = []
    for model, of_model in gains.groupby("model", sort=False):
        by_game = of_model.groupby("instrument", sort=False)
        groups = [*by_game, (ALL, of_model.assign(instrument=ALL))]
        games = len(by_game)
        rows += [
            {"model": model, "instrument": name} | _transfer(group, games if name == ALL else 1)
            for name, group in groups
        ]
    columns = ["model", "instrument", "wordings", "transfer", "low", "high", "explained", "note"]
    return pd.DataFrame(rows, columns=columns)


_NATS = ("nats", "nats_uniform")


def _transfer(gains: pd.DataFrame, games: int) -> dict[str, object]:
    """Return the columns of `scores` from the gains of wordings, each a share of the stakes."""
    by_wording = gains.groupby("wording", sort=False)[["gained", "predicted"]].sum(min_count=1)
    predicted = by_wording["predicted"].mean() / games
    if by_wording.empty:
        return {"wordings": 0, "note": NOTHING}
    if not predicted >= _LEAST_GAIN:
        missing = np.isnan(predicted)
        note = "items without an answer" if missing else "the weight prefers no option here"
        return {"wordings": 0, "note": note}
    found = t_interval(by_wording["gained"] / by_wording["predicted"].mean())
    nats, uniform = (gains[name].sum() for name in _NATS)
    explained = 1 - nats / uniform if uniform > _TINY else np.nan
    numbers = {"transfer": found.mean, "low": found.low, "high": found.high}
    return {"wordings": found.n, **numbers, "explained": explained, "note": found.note}


def _gains(played: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Yield what an administration of a game gained and what the slider predicts, over values."""
    weights = {
        (model, value): utility.weigh(tables, instruments.load(HOME).payoffs)
        for model, value, tables in _home(played)
        if len(tables) and _shows(utility.weigh(tables, instruments.load(HOME).payoffs))
    }
    for row, table in administrations(played[played["part"] == "games"]):
        game, key = instruments.load(row["instrument"]), (row["model"], row["value"])
        if row["instrument"] == HOME or game.own_accounts:
            continue
        if key not in weights:
            yield {name: row[name] for name in _KEYS} | {"wording": None}
            continue
        answered = ~np.isnan(table).any()
        worth, expected = weights[key].worth(game.payoffs), weights[key].chances(game.payoffs)
        numbers = _gain(table, expected, _centred(worth) / _stakes(game)) if answered else {}
        yield {name: row[name] for name in _KEYS} | numbers


def _gain(table: np.ndarray, expected: np.ndarray, worth: np.ndarray) -> dict[str, float]:
    """Return gained, predicted, and the KL divergence of the table from both predictions."""
    entropy = np.log(np.where(table > 0, table, 1))
    return {
        "gained": float((table * worth).sum()),
        "predicted": float((expected * worth).sum()),
        "nats": float((table * (entropy - np.log(np.maximum(expected, 1e-300)))).sum()),
        "nats_uniform": float((table * (entropy + np.log(table.shape[1]))).sum()),
    }


def _home(played: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield model, value and the slider's tables (wordings, items, options) without gaps."""
    mine = played[(played["part"] == "games") & (played["instrument"] == HOME)]
    tables: dict[tuple[str, str], list[np.ndarray]] = {}
    for row, table in administrations(mine):
        kept = tables.setdefault((row["model"], row["value"]), [])
        if not np.isnan(table).any():
            kept.append(table)
    for (model, value), kept in tables.items():
        yield model, value, np.array(kept)


def _shows(weighing: utility.Weighing) -> bool:
    """Return whether a weight explains more of the slider than chance fluctuations would."""
    uniform = weighing.nats_uniform
    return uniform > _TINY and 1 - weighing.nats / uniform >= LEAST


def _centred(worth: np.ndarray) -> np.ndarray:
    """Return what options are worth beyond the mean of their item."""
    return worth - worth.mean(axis=1, keepdims=True)


def _stakes(game: Instrument) -> float:
    """Return how much is at stake in all items: coins, root mean square distance from the mean."""
    off = game.payoffs - game.payoffs.mean(axis=1, keepdims=True)
    return float(np.sqrt((off**2).sum(axis=-1).mean(axis=1)).sum())
