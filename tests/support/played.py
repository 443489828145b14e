"""The table of games played (notebook 07) by a respondent whose probabilities are given."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from hvae_utils.measure import instruments, values
from hvae_utils.measure.factors import MOST_OPTIONS
from hvae_utils.measure.instruments import Instrument

HOME, TWIN = "svo-slider", "slider-twin"
GAMES = (
    *("ring-measure", "triple-dominance", "dictator-budgets", "ultimatum-responder"),
    *("trust-return", "dilemma-second", "conditional-contributions"),
)
FOUR = values.names()[:4]

# (value, instrument, wording) -> float array (items, options), rows summing to 1, NaN: no answer
Policy = Callable[[str, Instrument, str], np.ndarray]


def played(
    policy: Policy,
    model: str = "somebody",
    held: Iterable[str] = FOUR,
    games: Iterable[str] = (HOME, *GAMES),
    wordings: Iterable[str] = ("plain", "formal"),
) -> pd.DataFrame:
    """Return the rows of `games.parquet`, part "games", as far as the measures read them."""
    rows = []
    said = [(name, value, wording) for name in games for value in held for wording in wordings]
    for name, value, wording in said:
        game = instruments.load(name)
        shared = {"part": "games", "model": model, "value": value, "induction": "label"}
        shared |= {"instrument": name, "wording": wording, "method": "probabilities"}
        shared["condition_id"] = f"{model} {name} {value} {wording}"
        for item, chances in zip(game.items, policy(value, game, wording), strict=True):
            rows.append(shared | {"item": item} | _answer(chances))
    return pd.DataFrame(rows).astype({"option": "Int64"})


def _answer(chances: np.ndarray) -> dict[str, object]:
    known = not np.isnan(chances).any()
    shares = np.full(MOST_OPTIONS, np.nan)
    shares[: len(chances)] = chances
    return {
        "outcome": "choice" if known else "error",
        "option": int(chances.argmax()) + 1 if known else None,
        "covered_mass": 1.0 if known else np.nan,
        **{f"p{place}": chance for place, chance in enumerate(shares, 1)},
    }


def utility_of(value: str, game: Instrument) -> np.ndarray:
    """Return by hand what each option is worth to a value of FOUR, coins (items, options)."""
    own, other = np.moveaxis(game.payoffs, -1, 0)
    if game.own_accounts:
        return own + other
    return dict(zip(FOUR, (other, own + other, own, own - other), strict=True))[value]


def even(worth: np.ndarray, slack: float = 1e-9) -> np.ndarray:
    """Return probabilities spread evenly over the best options of each item."""
    best = worth >= worth.max(axis=1, keepdims=True) - slack
    return best / best.sum(axis=1, keepdims=True)


def softmax(worth: np.ndarray) -> np.ndarray:
    powers = np.exp(worth - worth.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def uniform(game: Instrument) -> np.ndarray:
    return np.full(game.payoffs.shape[:2], 1 / game.options)
