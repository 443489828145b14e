"""The results of a run as sentences: every number in them is computed from the run's own tables.

`verdicts` and `in_short` are what stands first wherever a run is told; `of_run`, `of_respondents`,
`of_goal_prompts` and `of_deliberation` are the findings of the report; `notes` is what a notebook
says about reference respondents. steerability: one row model x goal prompt, from
`steerability.table`; cells: one row model x value x goal prompt, as 03_metric_computation writes
it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hvae_utils.errors import unknown
from hvae_utils.measure import factors
from hvae_utils.show.names import display_names, joined, level_clause

# What the simulated respondents do, by construction (`reference.POLICIES`).
SIMULATED = {
    "faithful": "follows its value without a slip",
    "lapsing": "follows its value, and answers one item of five at random",
    "agreeable": "acts prosocially whatever it is told",
    "random": "draws every answer at random",
    "first-option": "takes whatever stands first",
    "mixture": "takes whatever stands first in three items of ten, and else follows its value",
    "reciter": "follows its value on the published items, and answers any others at random",
}
ACTS = "acts on the value"
CLAIMS = {  # a verdict -> how a sentence about a model says it
    ACTS: "{} acts on the value it is told to hold{}",
    "does not act on it": "{} does not act on the value it is told to hold{}",
    "undecided": "Whether {} acts on the value it is told to hold{} is undecided",
    "not estimable": "Whether {} acts on the value it is told to hold{} cannot be estimated",
}
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ARMS = {False: "without goal prompt", True: "with goal prompt"}


class Markdown(str):
    """Text that a notebook shows as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def notes(models: Iterable[str], sentences: Mapping[str, str]) -> Markdown:
    """Return the sentences of which every respondent was asked, as one paragraph.

    sentences: names of reference respondents, apart by a space -> what is true of them. So a
    notebook says nothing about a respondent that its run does not hold. UserError for a name that
    no reference respondent has.

    >>> notes(["reference/random"], {"random": "It guesses.", "lapsing random": "Both slip."})
    'It guesses.'
    """
    asked = {name.removeprefix("reference/") for name in models if name.startswith("reference/")}
    for name in " ".join(sentences).split():
        if name not in SIMULATED:
            raise unknown("reference respondent", name, SIMULATED)
    return Markdown(
        " ".join(text for key, text in sentences.items() if asked.issuperset(key.split()))
    )


def verdicts(steerability: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (model, sentence), one for each model and verdict; arms that agree share one.

    "Of the way" is of the way from one value's target to another's: 0% does not move, 100% goes
    all of it. The interval is the one that the verdict rests on: 95% above the margin, 90% inside.
    """
    models = {str(name): factors.model_of(str(name)) for name in steerability["model"].unique()}
    names, sentences = display_names(model for model, _ in models.values()), []
    for respondent, of_model in steerability.groupby("model", sort=False):
        model, level = models[str(respondent)]
        for verdict, rows in of_model.groupby("verdict", sort=False):
            subject = names[model]
            if len(rows) < len(of_model):
                subject += f" {_ARMS[bool(rows['goal_prompt'].iloc[0])]}"
            claim = CLAIMS[str(verdict)].format(subject, level_clause(level))
            why = _reason(rows) if verdict == "not estimable" else _movement(rows)
            sentences.append((str(respondent), f"{claim}: {why}."))
    return sentences


def in_short(steerability: pd.DataFrame) -> list[str]:
    """Return the verdict for every language model and, as a check, what was simulated beside it."""
    of_models = [sentence for model, sentence in verdicts(steerability) if not _simulated(model)]
    sentences = of_models or [
        "No language model was asked in this run, only simulated respondents."
    ]
    known = steerability[steerability["model"].map(_simulated)]
    if len(known):
        names = known["model"].map(display_names(known["model"]))
        by_verdict = names.groupby(known["verdict"], sort=False).unique()
        parts = [f"{joined(of_verdict)} ({verdict})" for verdict, of_verdict in by_verdict.items()]
        sentences.append(
            "The same test of the simulated respondents, of whom the truth is known: "
            f"{'; '.join(parts)}."
        )
    return sentences


def who(models: Iterable[str]) -> list[tuple[str, str]]:
    """Return (name, what it is) for every respondent.

    >>> who(["reference/random", "ollama/phi4"])[0]
    ('random', 'Simulated: draws every answer at random.')
    """
    introduced = []
    for respondent, name in display_names(models).items():
        model, level = factors.model_of(respondent)
        is_ = f"A language model, {model}"
        if _simulated(model):
            is_ = f"Simulated: {SIMULATED[model.partition('/')[2]]}"
        introduced.append((name, f"{is_}{level_clause(level)}."))
    return introduced


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
        *_thoughts(cells),
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


def _thoughts(cells: pd.DataFrame) -> list[str]:
    """Return how much was thought, and how many of the questions ended before the thought did."""
    tokens, asked = int(cells["thinking_tokens"].sum()), int(cells["asked"].sum())
    cut = round((cells["censored"] * cells["asked"]).sum())
    sentences = [f"Respondents thought in {tokens:,} tokens."] if tokens else []
    if cut:
        sentences.append(
            f"Of the questions {_share(cut, asked)} ended before the thought did: they say nothing "
            "about the respondent, and a larger thinking_tokens leaves room for an answer."
        )
    return sentences


def of_respondents(cells: pd.DataFrame, steerability: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (name, what its tables say) for every respondent, in the order of the cells."""
    names = display_names(cells["model"])
    return [
        (
            names[str(model)],
            " ".join(_respondent(rows, steerability[steerability["model"] == model])),
        )
        for model, rows in cells.groupby("model", sort=False)
    ]


def of_goal_prompts(differences: pd.DataFrame) -> list[str]:
    """Return what a goal of its own changed in each model's steerability.

    differences: one row a model, from `steerability.of_goal_prompt`.
    """
    if not (differences["wordings"] > 0).any():
        return ["The study holds no pair with and without the goal prompt."]
    names = display_names(differences["model"])
    return [_change(names[row.model], "the goal prompt", row) for row in differences.itertuples()]


def of_deliberation(differences: pd.DataFrame) -> list[str]:
    """Return what it changed in each model's steerability to think otherwise; none for no row.

    differences: as of `steerability.of_deliberation`.
    """
    names = display_names(differences["model"])
    several = differences["goal_prompt"].nunique() > 1
    sentences = []
    for row in differences.itertuples():
        change = "thinking first"
        if row.deliberation != "reasoned":
            change = f"thinking set to {row.deliberation}"
        if row.against != "direct":
            change += f", against {row.against},"
        name = f"{names[row.model]} {_ARMS[bool(row.goal_prompt)]}" if several else names[row.model]
        sentences.append(_change(name, change, row))
    return sentences


def of_transfer(scores: pd.DataFrame, gaps: pd.DataFrame) -> list[str]:
    """Return how far what each model shows on the slider is acted on in other games.

    scores: as `transfer.prediction.scores`; gaps: as `transfer.games.gaps`.
    """
    over_all = scores[scores["instrument"] == "all games"]
    names, sentences = display_names(over_all["model"]), []
    for row in over_all.itertuples():
        name = names[row.model]
        if pd.isna(row.transfer):
            sentences.append(f"**{name}**: no transfer can be told ({row.note}).")
            continue
        span = f" ({_number(row.low, 2)} to {_number(row.high, 2)})" if row.low == row.low else ""
        sentence = f"**{name}** has a transfer of {_number(row.transfer, 2)}{span}"
        lost = gaps[(gaps["model"] == row.model) & (gaps["difference"] > 0)]
        if len(lost) and (worst := lost.loc[lost["difference"].idxmax()])["difference"] >= 0.05:
            sentence += (
                "; value rationality falls furthest, by "
                f"{_number(worst['difference'], 2)}, in {worst['instrument']}"
            )
        sentences.append(f"{sentence}.")
    return sentences


def _change(name: str, change: str, row: Any) -> str:
    """Return what changed how far a model moves; row: difference, low, high, wordings, note."""
    if pd.isna(row.low):
        return f"{name}: not estimable, {row.note}."
    return (
        f"{name}: {change} changes how far it moves by {per_cent(row.difference)} of the way (95% "
        f"interval {per_cent(row.low)} to {per_cent(row.high)}, {_wordings(row.wordings)})."
    )


def _simulated(respondent: str) -> bool:
    family, _, policy = factors.model_of(respondent)[0].partition("/")
    return family == "reference" and policy in SIMULATED


def _movement(rows: pd.DataFrame) -> str:
    """Return how far a model moves, by arm where there are several, and what would decide."""
    verdict = rows["verdict"].iloc[0]
    level, ends = ("95%", ["low", "high"]) if verdict == ACTS else ("90%", ["low_90", "high_90"])
    arms = [
        f"{f'{_ARMS[bool(row.goal_prompt)]} ' if len(rows) > 1 else ''}it moves by "
        f"{per_cent(row.steerability)} of the way ({level} interval {per_cent(row[ends[0]])} to "
        f"{per_cent(row[ends[1]])}, margin {row.margin:.0%}, {_wordings(row.wordings)})"
        for _, row in rows.iterrows()
    ]
    needed = rows["wordings_needed"].max() if verdict == "undecided" else None
    if needed is None:
        return joined(arms)
    number = "more wordings than were tried" if pd.isna(needed) else _wordings(needed)
    return f"{joined(arms)}; {number} would decide"


def _reason(rows: pd.DataFrame) -> str:
    return "; ".join(dict.fromkeys(rows["note"].astype(object).fillna("")))


def _respondent(rows: pd.DataFrame, steerability: pd.DataFrame) -> list[str]:
    with_target = rows.dropna(subset="target")
    scored = with_target.dropna(subset="vr")
    flags = _flags(rows, "Flagged in {} of {}: {}.")
    if scored.empty:
        why = "administration is whole" if len(with_target) else "value with a target was assigned"
        return [f"No score: no {why}.", *flags]
    lowest = scored.loc[scored["vr_chance"].idxmin()]
    sentences = [sentence for _, sentence in verdicts(steerability)]
    known = steerability.dropna(subset="bits")
    if len(known):
        sentences.append(
            f"Its six choices carry {_number(known['bits'].mean(), 2)} bits about the value it was "
            f"assigned; whoever guesses the value from them is right in "
            f"{known['identification'].mean():.0%} at best."
        )
    return [
        *sentences,
        f"Chance-corrected value rationality: {_number(scored['vr_chance'].mean(), 2)} on "
        f"average, {_number(lowest['vr_chance'], 2)} at the least "
        f"({lowest['value']}, {_ARMS[bool(lowest['goal_prompt'])]}).",
        *flags,
    ]


def _flags(cells: pd.DataFrame, sentence: str) -> list[str]:
    """Return the sentence with flagged cells, all cells and reasons, the most frequent first."""
    flags = cells["flag"].astype(object).fillna("")
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


def per_cent(share: float) -> str:
    """Return a share of the way, in per cent with one decimal.

    >>> per_cent(-0.0063), per_cent(-0.0001)
    ('−0.6%', '0.0%')
    """
    return f"{_number(100 * share, 1)}%"


def _wordings(number: float) -> str:
    word = _WORDS[int(number)] if number < len(_WORDS) else f"{int(number)}"
    return f"{word} wording{'' if number == 1 else 's'}"


def _span(numbers: pd.Series) -> str:
    low, high = (_number(end, 1) for end in (numbers.min(), numbers.max()))
    return low if low == high else f"{low} to {high}"
