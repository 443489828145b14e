"""The results of a run as sentences: every number in them is computed from the run's own tables.

`cells` is a run's table of cells, one row model x value x goal prompt, as 03_metric_computation
writes it; angles in degrees.
"""

from collections.abc import Iterable

import pandas as pd

from hvae_utils.show.names import display_names, joined

LEVEL = 0.05  # the share of random respondents below which chance no longer explains a cell

# What the simulated respondents do, by construction (`reference.POLICIES`).
SIMULATED = {
    "faithful": "follows its value without a slip",
    "lapsing": "follows its value, and answers one item of five at random",
    "agreeable": "acts prosocially whatever it is told",
    "random": "draws every answer at random",
    "first-option": "takes whatever stands first",
    "mixture": "takes what stands first in three of ten answers, and follows its value in the rest",
}


def in_short(cells: pd.DataFrame) -> list[str]:
    """Return the answer for every language model and, as a check, what was simulated beside it.

    A model "acts on its value" where it was assigned several, met each beyond chance, and came
    closer to each one's target than to the others': less could be a habit.
    """
    simulated, sentences = [], []
    for name, model, rows in _by_respondent(cells):
        family, _, policy = model.partition("/")
        if family == "reference" and policy in SIMULATED:
            simulated.append(policy)
        else:
            sentences.append(f"{name} {_answer(rows)}")
    if not sentences:
        sentences = ["No language model was asked in this run, only simulated respondents."]
    if simulated:
        sentences.append(
            f"Beside it stand simulated respondents ({joined(simulated)}), of whom the truth is "
            "known: they show what following a value, a slip, a habit and random answers look like "
            "in these numbers."
        )
    return sentences


def who(models: Iterable[str]) -> list[tuple[str, str]]:
    """Return (name, what it is) for every respondent.

    >>> who(["reference/random", "ollama/phi4"])[0]
    ('random', 'Simulated: draws every answer at random.')
    """
    descriptions = {f"reference/{name}": f"Simulated: {does}." for name, does in SIMULATED.items()}
    return [
        (name, descriptions.get(model, f"A language model, {model}."))
        for model, name in display_names(models).items()
    ]


def of_run(cells: pd.DataFrame) -> list[str]:
    """Return what was asked, what came back, and what chance alone would have scored."""
    counts = cells[["asked", "choice", "administrations", "scored"]].sum()
    asked, chosen, administrations, scored = map(int, counts)
    values = list(cells["value"].unique())
    sentences = [
        f"{_count(cells['model'].nunique(), 'respondent')} took the measure under "
        f"{_count(len(values), 'assignment')} ({joined(values)}): {_count(len(cells), 'cell')} of "
        f"respondent, assignment and goal prompt, {_count(administrations, 'administration')}, "
        f"{_count(asked, 'question')}.",
        f"Of the questions {_share(chosen, asked)} ended in a choice; of the administrations "
        f"{_share(scored, administrations)} are complete and have an angle. Nothing missing was "
        "filled in.",
    ]
    chance = cells.dropna(subset="target").groupby("value", sort=False)["vr_random"]
    if len(chance):
        points = [f"{_span(expected)} ({value})" for value, expected in chance]
        sentences.append(
            "A respondent that draws its answers at random can expect, of 60 points, "
            f"{joined(points)}. So scores are also given chance-corrected, where such a "
            "respondent has 0 and the ideal one has 1."
        )
    return sentences + _flags(
        cells,
        "{} of {} carry a flag, because their data are not what a study with people would "
        "accept: {}.",
    )


def of_respondents(cells: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (name, what its cells say) for every respondent, in the order of the table."""
    return [(name, " ".join(_respondent(rows))) for name, _, rows in _by_respondent(cells)]


def of_goal_prompts(effects: pd.DataFrame) -> list[str]:
    """Return what a goal of their own changed.

    effects: one row model x value, as from `effects.goal_effects`; differences in degrees.
    """
    if effects.empty or not effects["pairs"].sum():
        return ["The study holds no pair with and without the goal prompt."]
    estimated = effects.dropna(subset=["low", "high"])
    clear = estimated[(estimated["low"] > 0) | (estimated["high"] < 0)]
    names = display_names(effects["model"])
    return [
        f"{_count(len(effects), 'comparison')} of the two arms (respondent by value), "
        f"{len(estimated)} of them with an interval. The 95% interval leaves out zero in "
        f"{len(clear)}; by chance alone about one in twenty would.",
        *(
            f"{names[row.model]}, {row.value}: the goal prompt "
            f"{'helped' if row.difference > 0 else 'hurt'} by {abs(row.difference):.1f} degrees "
            f"[{_number(row.low, 1)}, {_number(row.high, 1)}]."
            for row in clear.itertuples()
        ),
    ]


def _by_respondent(cells: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return (name, model, its cells), in the order of the table."""
    names = display_names(cells["model"])
    groups = cells.groupby("model", sort=False)
    return [(names[str(model)], str(model), rows) for model, rows in groups]


def _scored(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the cells with a target, and those of them with a score."""
    with_target = rows.dropna(subset="target")
    return with_target, with_target.dropna(subset=["vr", "p_random"])


def _answer(rows: pd.DataFrame) -> str:
    with_target, scored = _scored(rows)
    if scored.empty:
        return "has no score, so this run does not say."
    beyond = scored[scored["p_random"] < LEVEL]
    if beyond.empty:
        return (
            "shows no sign of acting on the value it is told to hold: chance is enough to explain "
            f"{'its one score' if len(scored) == 1 else f'each of its {len(scored)} scores'}."
        )
    if len(beyond) == len(with_target) and _apart(scored):
        return "acts on the value it is told to hold: every score is beyond chance."
    return (
        f"comes closer to its value than chance explains in {len(beyond)} of "
        f"{_count(len(with_target), 'cell')} ({joined(beyond['value'].unique())}). That alone "
        "could be a habit: what counts is whether its angle moves with the value."
    )


def _apart(scored: pd.DataFrame) -> bool:
    """Say whether there are several values, each one's mean angle nearest to its own target."""
    means = scored.groupby("value")[["mean_angle", "target"]].mean()
    distances = (means["mean_angle"].to_numpy()[:, None] - means["target"].to_numpy()) ** 2
    return len(means) > 1 and (distances.argmin(axis=1) == range(len(means))).all()


def _respondent(rows: pd.DataFrame) -> list[str]:
    with_target, scored = _scored(rows)
    flags = _flags(rows, "Flagged in {} of {}: {}.")
    if scored.empty:
        why = "administration is whole" if len(with_target) else "value with a target was assigned"
        return [f"No score: no {why}.", *flags]
    lowest = scored.loc[scored["vr_chance"].idxmin()]
    sentences = [
        _verdict(scored, len(with_target) - len(scored)),
        f"Chance-corrected value rationality: {_number(scored['vr_chance'].mean(), 2)} on "
        f"average, {_number(lowest['vr_chance'], 2)} at the least "
        f"({lowest['value']}, {'with' if lowest['goal_prompt'] else 'without'} goal prompt).",
    ]
    means = scored.groupby("value")[["mean_angle", "target"]].mean()
    if len(means) > 1:
        moved, wanted = means.max() - means.min()
        sentences.append(
            f"Over {_count(len(means), 'value')} its mean angle moves by {moved:.1f}°, the "
            f"targets by {wanted:.1f}°."
        )
    return sentences + flags


def _verdict(scored: pd.DataFrame, unscored: int) -> str:
    """Say in how many cells fewer than LEVEL of random respondents come as close to the target."""
    beyond = scored[scored["p_random"] < LEVEL]
    cells = _count(len(scored), "scored cell")
    rest = f"; {_count(unscored, 'cell')} could not be scored." if unscored else "."
    if beyond.empty:
        return f"Chance is enough to explain the score in each of its {cells}{rest}"
    if len(beyond) == len(scored):
        return f"Closer to the target than chance explains in each of its {cells}{rest}"
    where = joined(beyond["value"].unique())
    return f"Beyond chance in {len(beyond)} of {cells}, assigned {where}{rest}"


def _flags(cells: pd.DataFrame, sentence: str) -> list[str]:
    """Return the sentence with flagged cells, all cells and reasons, the most frequent first."""
    flags = cells["flag"].fillna("").astype(str)
    flags = flags[flags != ""]
    if flags.empty:
        return []
    counts = flags.str.split(", ").explode().value_counts()
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = joined(f"{reason} ({count})" for reason, count in ordered)
    return [sentence.format(len(flags), _count(len(cells), "cell"), reasons)]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _share(part: int, whole: int) -> str:
    """Return a share in words; one that is not whole never rounds to 100%, nor to 0% from more."""
    if part == whole or not part:
        return "all" if whole and part else "none"
    text = f"{100 * part / whole:.1f}%"
    ends = {"100.0%": "over 99.9%", "0.0%": "under 0.1%"}
    return ends.get(text, text) + f" ({part:,} of {whole:,})"


def _number(number: float, digits: int) -> str:
    """Return a number with a true minus, and none before a zero."""
    return f"{number:z.{digits}f}".replace("-", "−")


def _span(numbers: pd.Series) -> str:
    low, high = (_number(end, 1) for end in (numbers.min(), numbers.max()))
    return low if low == high else f"{low} to {high}"
