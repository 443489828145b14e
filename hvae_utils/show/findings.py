"""What a run found, as sentences: every number in them is computed from the run's own tables.

The words follow fixed rules, written beside each sentence; nothing is said that the table of cells
does not hold, and where a number is missing the sentence says that it is. This module must never
estimate anything and never soften what a flag says.

Public names: in_short, who, of_run, of_respondents, of_goal_prompts.
"""

from collections.abc import Iterable

import pandas as pd

from hvae_utils.show.names import display_names

LEVEL = 0.05  # the share of random respondents below which chance no longer explains a cell


# What the simulated respondents do, by construction (`respondents.REFERENCE`).
SIMULATED = {
    "faithful": "follows its value without a slip",
    "lapsing": "follows its value, and answers one item of five at random",
    "agreeable": "acts prosocially whatever it is told",
    "random": "draws every answer at random",
    "first-option": "takes whatever stands first",
}


def in_short(cells: pd.DataFrame) -> list[str]:
    """Return the answer for every language model, and what vouches for the measure.

    cells: as for `of_run`. A model "acts on its value" where it was told several, met each beyond
    chance, and came closer to each one's target than to the others': less could be a habit.
    """
    simulated = cells["model"].map(_simulated)
    names = display_names(cells["model"])
    said = [
        f"{names[str(model)]} {_answer(rows)}"
        for model, rows in cells[simulated == ""].groupby("model", sort=False)
    ]
    if not said:
        said = ["No language model was asked in this run, only simulated respondents."]
    if (simulated != "").any():
        said.append(
            f"Beside it stand simulated respondents "
            f"({_listed(simulated[simulated != ''].unique())}), of whom the truth is known: "
            "they show what following a value, a slip, a habit and dice look like in these numbers."
        )
    return said


def who(models: Iterable[str]) -> list[tuple[str, str]]:
    """Return (name, what it is) for every respondent."""
    return [
        (name, f"Simulated: {SIMULATED[found]}." if found else f"A language model, {model}.")
        for model, name in display_names(models).items()
        for found in [_simulated(model)]
    ]


def of_run(cells: pd.DataFrame) -> list[str]:
    """Return what was asked, what came back, and what chance alone would have scored.

    cells: one row model x value x goal prompt, as 03_metric_computation writes them; angles in
    degrees.
    """
    asked, chosen = int(cells["asked"].sum()), int(cells["choice"].sum())
    total, scored = int(cells["administrations"].sum()), int(cells["scored"].sum())
    named = list(cells["value"].unique())
    said = [
        f"{_count(cells['model'].nunique(), 'respondent')} took the measure under "
        f"{_count(len(named), 'assignment')} ({_listed(named)}): {_count(len(cells), 'cell')} of "
        f"respondent, assignment and goal prompt, {_count(total, 'administration')}, "
        f"{_count(asked, 'question')}.",
        f"Of the questions {_share(chosen, asked)} ended in a choice; of the administrations "
        f"{_share(scored, total)} are complete and have an angle. Nothing missing was filled in.",
    ]
    told = _told(cells)
    if len(told):
        points = [
            f"{_span(rows['vr_random'], 1)} ({value})"
            for value, rows in told.groupby("value", sort=False)
        ]
        said.append(
            "A respondent that draws its answers at random can expect, of 60 points, "
            f"{_listed(points)}. So scores are also given chance-corrected, where such a "
            "respondent has 0 and the ideal one has 1."
        )
    flagged = _flagged(cells)
    if len(flagged):
        said.append(
            f"{len(flagged)} of {_count(len(cells), 'cell')} carry a flag, because their data are "
            f"not what a study with people would accept: {_reasons(flagged)}."
        )
    return said


def of_respondents(cells: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (name, what its cells say) for every respondent, in the order of the table."""
    names = display_names(cells["model"])
    return [
        (names[str(model)], " ".join(_respondent(rows)))
        for model, rows in cells.groupby("model", sort=False)
    ]


def of_goal_prompts(effects: pd.DataFrame) -> list[str]:
    """Return what a goal of their own changed.

    effects: one row model x value, as from `effects.goal_effects`; differences in degrees.
    """
    if effects.empty or not effects["pairs"].sum():
        return ["The study holds no pair with and without the goal prompt."]
    known = effects.dropna(subset=["low", "high"])
    clear = known[(known["low"] > 0) | (known["high"] < 0)]
    said = [
        f"{_count(len(effects), 'comparison')} of the two arms (respondent by value), "
        f"{len(known)} of them with an interval. The 95% interval leaves out zero in {len(clear)}; "
        f"by chance alone about one in twenty would."
    ]
    names = display_names(effects["model"])
    said += [
        f"{names[row.model]}, {row.value}: the goal prompt "
        f"{'helped' if row.difference > 0 else 'hurt'} by {abs(row.difference):.1f} degrees "
        f"[{_number(row.low, 1)}, {_number(row.high, 1)}]."
        for row in clear.itertuples()
    ]
    return said


def _simulated(model: str) -> str:
    """Return the name of a simulated respondent, "" for anybody else."""
    family, _, name = str(model).partition("/")
    return name if family == "reference" and name in SIMULATED else ""


def _answer(rows: pd.DataFrame) -> str:
    told = _told(rows)
    scored = told.dropna(subset=["vr", "p_random"])
    if scored.empty:
        return "has no score, so this run does not say."
    met = scored["p_random"] < LEVEL
    if not met.any():
        return (
            "shows no sign of acting on the value it is told to hold: chance is enough to explain "
            f"{'its one score' if len(scored) == 1 else f'each of its {len(scored)} scores'}."
        )
    if met.all() and len(scored) == len(told) and _apart(scored):
        return "acts on the value it is told to hold: every score is beyond chance."
    where = _listed(scored.loc[met, "value"].unique())
    return (
        f"comes closer to its value than chance explains in {int(met.sum())} of "
        f"{_count(len(told), 'cell')} ({where}). That alone could be a habit: what counts is "
        "whether its angle moves with the value."
    )


def _apart(scored: pd.DataFrame) -> bool:
    """Say whether there are several values, each one's mean angle nearest to its own target."""
    means = scored.groupby("value")[["mean_angle", "target"]].mean()
    distances = (means["mean_angle"].to_numpy()[:, None] - means["target"].to_numpy()) ** 2
    return len(means) > 1 and (distances.argmin(axis=1) == range(len(means))).all()


def _respondent(rows: pd.DataFrame) -> list[str]:
    told = _told(rows)
    scored = told.dropna(subset=["vr", "p_random"])
    if scored.empty:
        why = "no value with a target was assigned" if told.empty else "no administration is whole"
        return [f"No score: {why}.", *_warnings(rows)]
    beyond = scored[scored["p_random"] < LEVEL]
    said = [_verdict(beyond, scored, told)]
    worst = scored.loc[scored["vr_chance"].idxmin()]
    said.append(
        f"Chance-corrected value rationality: {_number(scored['vr_chance'].mean(), 2)} on "
        f"average, {_number(worst['vr_chance'], 2)} at the least "
        f"({worst['value']}, {'with' if worst['goal_prompt'] else 'without'} goal prompt)."
    )
    means = scored.groupby("value", sort=False)[["mean_angle", "target"]].mean()
    if len(means) > 1:
        moved, wanted = (means[name].max() - means[name].min() for name in means)
        said.append(
            f"Over {_count(len(means), 'value')} its mean angle moves by {moved:.1f}°, the "
            f"targets by {wanted:.1f}°."
        )
    return said + _warnings(rows)


def _verdict(beyond: pd.DataFrame, scored: pd.DataFrame, told: pd.DataFrame) -> str:
    """Say in how many cells fewer than LEVEL of random respondents come as close to the target."""
    left = len(told) - len(scored)
    unscored = f"; {_count(left, 'cell')} could not be scored" if left else ""
    cells = _count(len(scored), "scored cell")
    if beyond.empty:
        return f"Chance is enough to explain the score in each of its {cells}{unscored}."
    if len(beyond) == len(scored):
        return f"Closer to the target than chance explains in each of its {cells}{unscored}."
    where = _listed(beyond["value"].unique())
    return f"Beyond chance in {len(beyond)} of {cells}, assigned {where}{unscored}."


def _warnings(rows: pd.DataFrame) -> list[str]:
    flagged = _flagged(rows)
    if flagged.empty:
        return []
    return [f"Flagged in {len(flagged)} of {_count(len(rows), 'cell')}: {_reasons(flagged)}."]


def _told(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[cells["target"].notna()]


def _flagged(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[cells["flag"].fillna("").astype(str) != ""]


def _reasons(flagged: pd.DataFrame) -> str:
    """Return each reason with the number of cells that carry it, the most frequent first."""
    counts = flagged["flag"].str.split(", ").explode().value_counts(sort=False)
    ordered = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
    return _listed(f"{reason} ({count})" for reason, count in ordered)


def _listed(words: Iterable[object]) -> str:
    *most, last = map(str, words)
    return f"{', '.join(most)} and {last}" if most else last


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
    return f"{round(number, digits) + 0.0:.{digits}f}".replace("-", "−")


def _span(numbers: pd.Series, digits: int) -> str:
    low, high = (_number(end, digits) for end in (numbers.min(), numbers.max()))
    return low if low == high else f"{low} to {high}"
