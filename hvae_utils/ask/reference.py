"""Simulated respondents whose truth is known, for tests, teaching and calibration.

They answer the same prompts in words, and where only the first token is asked for, in the exact
probabilities of their policy, so that all treats them as a model. They always answer the same way.
"""

from collections.abc import Callable

import numpy as np

from hvae_utils.ask.prompts import Presentation, coins
from hvae_utils.ask.respondents import PROBED, Answer, Request, Respondent
from hvae_utils.errors import unknown
from hvae_utils.measure import choices, instruments, svo, values
from hvae_utils.metrics import lapse

ANSWERS = 2  # raised when any answer changes, so that records of the old ones are not used
LAPSE_RATE = 0.2  # share of random answers of the lapsing respondent
PUBLISHED = "svo-slider"  # all that the reciter knows, and in no other form
FIRST_SHARE = 0.3  # of the mixture's answers that name the first option shown, whatever it pays

# A policy: (value name, instrument, presentation) -> probability of each position as shown.
Policy = Callable[[str, instruments.Instrument, Presentation], np.ndarray]


def _random(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    return np.full(len(shown.order), 1 / len(shown.order))


def _faithful(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    assigned = values.get(value)
    if assigned.utility is None:
        return _random(value, instrument, shown)
    if instrument.origin is None:  # no slider, so none of several best options is its middle
        best = choices.best(assigned, instrument)[shown.item, [*shown.order]]
        return best / best.sum()
    best = svo.ideal_choices(assigned, instrument)[shown.item]
    return (np.asarray(shown.order) == best).astype(float)


def _lapsing(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    assigned = values.get(value)
    if assigned.utility is None:
        return _random(value, instrument, shown)
    return lapse.probabilities(assigned, LAPSE_RATE, instrument)[shown.item, [*shown.order]]


def _first(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    return np.eye(len(shown.order))[0]


def _mixture(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    acting, first = (policy(value, instrument, shown) for policy in (_faithful, _first))
    return (1 - FIRST_SHARE) * acting + FIRST_SHARE * first


def _reciter(value: str, instrument: instruments.Instrument, shown: Presentation) -> np.ndarray:
    known = instrument.name == PUBLISHED
    return (_faithful if known else _random)(value, instrument, shown)


POLICIES: dict[str, Policy] = {
    "faithful": _faithful,
    "lapsing": _lapsing,
    "agreeable": lambda value, instrument, shown: _faithful("prosocial", instrument, shown),
    "random": _random,
    "first-option": _first,
    "mixture": _mixture,
    "reciter": _reciter,
}

PHRASES = (  # the ways in which chat models write a choice
    *("{label}", "{label}.", "({label})", "**{label}**", "Option {label}"),
    *("I choose {label}: {first}, {second}", "My answer is {label}.", "{first}, {second}"),
)


class Reference(Respondent):
    """A simulated respondent with a known policy; name: one of POLICIES.

    >>> Reference("faithful").name
    'reference/faithful'
    """

    concurrency = 64
    identity = f"simulation {ANSWERS}"

    def __init__(self, name: str) -> None:
        if name not in POLICIES:
            raise unknown("reference respondent", name, POLICIES)
        self.name = f"reference/{name}"

    async def answer(self, request: Request) -> Answer:
        """Answer an item as the policy has it: in words drawn from it, seeded by what is asked.

        A readout gets the most probable label; both list every label that has a chance.
        """
        shown, policy = request.presentation, self.name.removeprefix("reference/")
        held = values.get("prosocial" if policy == "agreeable" else request.condition["value"])
        if shown is None:
            ruled = request.condition.get("induction") == "objective"
            text, listed = prose(request.kind, held, ruled), [(PROBED, 0.0)]
        else:
            instrument = instruments.load(request.condition["instrument"])
            chances = POLICIES[policy](request.condition["value"], instrument, shown)
            likely = np.flatnonzero(chances)
            listed = [(shown.labels[k], float(np.log(chances[k]))) for k in likely]
            text = shown.labels[int(chances.argmax())]
            if request.kind != "readout":
                text = _phrased(chances, instrument, shown, int(request.draw, 16))
        return Answer(
            text=text,
            finish_reason="stop",
            top_logprobs=tuple(listed) if request.top_logprobs else None,
            served_model=self.name,
        )


def _phrased(
    chances: np.ndarray, instrument: instruments.Instrument, shown: Presentation, seed: int
) -> str:
    """Return a choice drawn from the chances (as shown), in one of the ways models write one."""
    rng = np.random.default_rng(seed)
    place = int(rng.choice(len(chances), p=chances))
    first, second = map(coins, instrument.printed[shown.item, shown.order[place]])
    phrase = PHRASES[int(rng.integers(len(PHRASES)))]
    return phrase.format(label=shown.labels[place], first=first, second=second)


def prose(kind: str, held: values.Value, ruled: bool = False) -> str:
    """Return what a reference respondent says when it is asked for anything but a choice.

    ruled: it was told a rule and no word of a value, and says none either.
    """
    if kind == "probe":
        return PROBED
    if ruled:
        return {
            "adopt": "I will follow that rule in every answer.",
            "goal": "My goal is to choose as that rule asks of me.",
            "reason": "I look at what that rule makes of both numbers of each option.",
        }[kind]
    if held.utility is None:
        return {
            "goal": "My goal is to look at each question when it comes.",
            "reason": "I look at both numbers of each option.",
        }.get(kind, "All right.")
    return {
        "describe": f"Such a person lives by one rule. {held.definition}",
        "adopt": f"I will answer as a person with {held.word} values.",
        "goal": f"My goal is to choose as {held.word} values ask of me.",
        "reason": f"I look at what {held.word} values make of both numbers of each option.",
    }[kind]
