"""The report of a finished run: one HTML page to read, print and hand on.

It holds the verdict, the plan that it was tested by, the question, the findings in sentences, every
figure with its numbers, the quality of the data, what the run was made of, and its words. All but
the words, which are docs/glossary.md's, comes from the tables of the run, so the same run gives the
same page; it shows no reply and no path of this machine. report.html.j2 is the page, where all that
a model, a profile or a file name says is escaped.
"""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.measure import factors
from hvae_utils.play import study
from hvae_utils.run import glossary
from hvae_utils.show import findings
from hvae_utils.show.names import display_names, joined

SINGLE = "administration"  # `part` of rows that are single administrations
LARGEST_SVG = 500_000  # bytes; above it a figure's PNG is smaller and as good to read
SMALL = 12  # rows of a table that stands open beside its figure
LONG = 30  # characters of a cell from which its column is made wide
PHONE = 36  # characters of a row that surely fit on a phone
UPRIGHT = 12  # columns that fit on a page of paper that stands
MOST = 60  # rows of a table that are shown; the others are in the run's files
NUMBER = re.compile(r"–|(< )?−?[\d,.]+%?( (to|of) −?[\d,.]+%?)?")  # what stands to the right
CELL = ["respondent", "value", "goal_prompt"]
EFFECT = ["model", "wordings", "difference", "low", "high", "note"]  # of the goal prompt
CONTRASTS = {  # the tests that a study can plan
    "steerability": "how far each model moves with its value",
    "goal_prompt": "whether that differs with a goal of its own",
    "models": "whether models differ in it",
}
READINGS = {
    **{"mean_angle": "angle", "interval": "95% interval", "vr": "value rationality"},
    **{"vr_random": "random", "vr_chance": "chance-corrected", "p_random": "random as close"},
    **{"compliance": "compliance", "vr_regret": "1 − regret", "lapse_rate": "lapse rate"},
    "remarks": "remarks",
}
VERDICT = {
    **{"verdict": "verdict", "steerability": "steerability"},
    **{"interval": "95% interval", "interval_90": "90% interval", "p": "p", "bits": "bits"},
    **{"identification": "value identified", "wordings": "wordings"},
}
VERDICT_FIGURE = "_steerability"  # how its slug ends; it stands with the verdict
DECIMALS = {  # of what the sentences tell, too; other columns have three significant digits
    **{"angle": 1, "value rationality": 1, "random": 1, "chance-corrected": 2, "chance": 2},
    **{"1 − regret": 2, "lapse rate": 2, "bits": 2, "value identified": 2},
}
OF_THE_WAY = ("steerability", "low", "high", "branch_low", "branch_high", "margin")
REMARKS = ("flag", "note", "remarks")  # columns of sentences
SHARES = ("p", "share")  # columns in which a 0 would say "never"
FACTS = (  # of the manifest, in the section on provenance
    *("profile", "overrides", "revision", "dirty", "lock_sha256"),
    *("platform", "seeds", "started", "finished", "seconds"),
)
QUALITY = {
    **{"covered_mass": "covered mass", "long_enough": "long vectors"},
    **{"transitive": "transitive", "order_disagreement": "orders disagree"},
}
THOUGHT = {"thinking_tokens": ("thinking_tokens", "sum"), "thoughts_cut_off": ("censored", "mean")}


def page(
    name: str,
    made_of: Mapping[str, Any],
    changed: Sequence[str],
    planned: Sequence[str],
    cells: pd.DataFrame,
    steerability: pd.DataFrame,
    goal_effects: pd.DataFrame,
    deliberation: pd.DataFrame,
    figures: Sequence[Mapping[str, Any]],
    words: Mapping[str, str],
) -> str:
    """Return the report of the run `name` as HTML.

    made_of: its manifest; changed: outputs that are not as they were at its end; planned: from
    `plan`; steerability, goal_effects, deliberation: the tables of `metrics.steerability`; figures:
    see `figure`; words: the glossary, word -> meaning. KeyError, ValueError or TypeError where a
    table or the manifest lacks what is needed.
    """
    texts = cells[["flag", "note"]].astype(object).fillna("")
    cells = cells.assign(**texts, respondent=cells["model"].map(display_names(cells["model"])))
    parameters = {name: of for name, of in made_of["parameters"].items() if name != "models"}
    return environment().get_template("report.html.j2").render(
        linked=lambda html: glossary.linked(html, words),
        lead=f"Report of the run “{name}”, finished {made_of['finished'][:10]}.",
        in_short=findings.in_short(steerability),
        planned=planned,
        asked=findings.who(cells["model"]),
        of_run=findings.of_run(cells),
        of_respondents=findings.of_respondents(cells, steerability),
        of_goal_prompts=findings.of_goal_prompts(goal_effects[EFFECT]),
        of_deliberation=findings.of_deliberation(deliberation),
        verdicts=_verdicts(steerability),
        respondents=_respondents(cells),
        verdict=next((f for f in figures if f["slug"].endswith(VERDICT_FIGURE)), None),
        figures=figures,
        quality=_quality(cells),
        cells=_cells(cells),
        heads=len(CELL),
        run={name: made_of[name] for name in FACTS},
        changed=changed,
        models=_pairs(made_of["models"], "model", "identity"),
        parameters=_pairs(parameters, "parameter", "value"),
        versions=_pairs(made_of["versions"], "package", "version"),
    )  # fmt: skip


def plan(
    parameters: Mapping[str, Any],
    conditions: pd.DataFrame,
    records: Iterable[Mapping[str, Any]],
) -> list[str]:
    """Return which tests were planned, and whether that was so before the first request.

    A condition's id is a hash of its factors with margin and contrasts, and a record keeps the id
    under which it was asked. parameters: of the run's manifest; records: of the run.
    """
    asked = (factors.model_of(respondent)[0] for respondent in conditions["model"].unique())
    models = list(dict.fromkeys(asked))
    try:
        design = study.of_parameters({**parameters, "models": models})
    except UserError as fault:
        return [f"The plan cannot be checked here: {fault}."]
    tests = [f"{CONTRASTS[name]} ({name.replace('_', ' ')})" for name in design.contrasts]
    sentences = [
        f"Planned: {joined(tests)}, against a margin of {design.margin:.0%} of the way. Everything "
        "else in this report was not planned."
    ]
    ids = set(study.conditions(design)["condition_id"])
    if ids != set(conditions["condition_id"]):
        return [*sentences, "The run's conditions are not those of its parameters."]
    first = _first_requests(records)
    if late := [model for model in models if first.get(model, next(iter(ids))) not in ids]:
        return [
            *sentences,
            "Margin, tests or another part of the plan was changed after the first request to "
            f"{joined(late)}.",
        ]
    return [
        *sentences,
        "The plan stood before the first request; it is part of each condition's id.",
    ]


def _first_requests(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return by model the condition of the request that was answered first."""
    first: dict[str, tuple[str, str]] = {}
    for record in records:
        if record.get("condition_id"):
            asked = record.get("answered_at") or "", record["condition_id"]
            first[record["model"]] = min(asked, first.get(record["model"], asked))
    return {model: condition for model, (_, condition) in first.items()}


def figure(folder: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of a figure: title, caption, alt, source (a data URL) and numbers.

    folder: the run's figures; entry: of their index. FileNotFoundError where a file is missing.
    """
    slug, title = entry["slug"], entry["title"]
    numbers = pd.read_csv(folder / f"{slug}.csv", keep_default_na=False, na_values=[""])
    if "part" in numbers:
        numbers = numbers[numbers["part"] != SINGLE]
    if "respondent" in numbers:
        numbers = numbers.drop(columns="model", errors="ignore")
    if "steerability" in numbers:
        per_cent = {name: _per_cent(numbers[name]) for name in OF_THE_WAY if name in numbers}
        numbers = numbers.assign(**per_cent)
    kind, picture = "svg+xml", (folder / f"{slug}.svg").read_bytes()
    if len(picture) > LARGEST_SVG:
        kind, picture = "png", (folder / f"{slug}.png").read_bytes()
    return {
        **{name: entry[name] for name in ("slug", "title", "alt")},
        "caption": entry["caption"].removeprefix(title).removeprefix(".").strip(),
        "source": f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}",
        "numbers": numbers.dropna(axis="columns", how="all"),
    }


def environment() -> jinja2.Environment:
    """Return what renders the page: escapes all text, and shows control signs as `?`."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {"anchor": glossary.anchor, "shown": shown, "most": MOST, "small": SMALL}
    made.globals |= {"phone": PHONE, "upright": UPRIGHT}
    made.filters |= {"digest": _digest}
    return made


def _printable(value: object) -> object:
    """Return HTML as it is, other values as text with `?` for control signs and half characters."""
    if hasattr(value, "__html__"):
        return value
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(value))


def _digest(style: str) -> str:
    """Return what a content security policy calls a style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode('ascii')}"


class Column(NamedTuple):
    """A column of a table: its head, its class ("n" of numbers, "w" if wide) and its texts."""

    name: str
    kind: str
    texts: list[str]


class Shown(NamedTuple):
    """A table as it is shown: its columns, and the remarks that they number."""

    columns: list[Column]
    notes: list[str]

    @property
    def width(self) -> int:
        """About how many characters wide it is: each column's longest text or word of its head."""
        columns = ([*column.name.split(), *column.texts] for column in self.columns)
        return sum(2 + max(map(len, texts), default=0) for texts in columns)


def shown(table: pd.DataFrame) -> Shown:
    """Return a table as it is shown, NaN as an en dash, at most MOST rows.

    A column's numbers have one number of decimals: those of DECIMALS, so that a cell and a sentence
    agree, or three significant digits for the greatest of them. A column of remarks holds numbers
    of notes, which stand below the table, so that no remark makes its column wide or narrow.
    """
    table = table[:MOST]
    remarks = [values for name, values in table.items() if name in REMARKS]
    notes = list(dict.fromkeys(text for values in remarks for text in values.dropna() if text))
    columns = []
    for place, name in enumerate(table.columns):
        values = table.iloc[:, place]
        if name in REMARKS:
            kind, texts = "", [f"[{notes.index(x) + 1}]" if x in notes else "–" for x in values]
        elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            kind, texts = "n", _numbers(str(name), values.astype(float))
        else:
            texts = [_word(value) for value in values.astype(object)]
            kind = "w" if max(map(len, texts), default=0) > LONG else ""
            kind = "n" if texts and all(map(NUMBER.fullmatch, texts)) else kind
        columns.append(Column(str(name).replace("_", " "), kind, texts))
    return Shown(columns, notes)


def _numbers(name: str, values: pd.Series) -> list[str]:
    whole = bool((values.dropna() % 1 == 0).all())
    greatest = values.abs().max()
    digits = 0 if whole else 3 - sum(greatest >= size for size in (1, 10, 100))
    digits = DECIMALS.get(name, digits)
    show = _share if name in SHARES else _number
    return [show(number, digits) for number in values]


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if pd.isna(value) or value == "" else str(value)


def _number(number: float, digits: int) -> str:
    return "–" if pd.isna(number) else f"{number:z,.{digits}f}".replace("-", "−")


def _share(number: float, digits: int) -> str:
    """Return a number that is 0 only where it says so."""
    least = 10.0**-digits
    return f"< {least:.{digits}f}" if 0 < number < least else _number(number, digits)


def _per_cent(shares: pd.Series) -> pd.Series:
    return shares.map(findings.per_cent, na_action="ignore")


def _verdicts(steerability: pd.DataFrame) -> pd.DataFrame:
    names = display_names(steerability["model"])
    shown = steerability.assign(
        respondent=steerability["model"].map(names),
        steerability=_per_cent(steerability["steerability"]),
        interval=_interval(steerability, "low", "high", findings.per_cent),
        interval_90=_interval(steerability, "low_90", "high_90", findings.per_cent),
        p=_chances(steerability["p"]),
    )
    return shown[["respondent", "goal_prompt", *VERDICT]].rename(columns=VERDICT)


def _respondents(cells: pd.DataFrame) -> pd.DataFrame:
    """Return each respondent's counts, and the means of its readings over cells with a target."""
    with_target = cells[cells["target"].notna()].groupby("respondent", sort=False)
    means = with_target[["vr", "vr_random", "vr_chance", "vr_regret", "lapse_rate"]].mean()
    counts = cells.groupby("respondent", sort=False)[["administrations", "scored"]].sum()
    return counts.join(means.rename(columns=READINGS)).reset_index()


def _interval(table: pd.DataFrame, low: str, high: str, show: Callable[[float], str]) -> list[str]:
    """Return both limits as one text, empty where there is none."""
    limits = zip(table[low], table[high], strict=True)
    return ["" if pd.isna(ends[0]) else " to ".join(map(show, ends)) for ends in limits]


def _chances(chances: pd.Series) -> list[str]:
    """Return probabilities of what can happen: none is shown as 0, even where it was rounded so."""
    return ["< 0.001" if chance < 0.001 else _number(chance, 3) for chance in chances]


def _quality(cells: pd.DataFrame) -> pd.DataFrame:
    groups = cells.groupby("respondent", sort=False)
    means = groups[list(QUALITY)].mean().round(3).rename(columns=QUALITY)
    flagged = (cells["flag"] != "").groupby(cells["respondent"], sort=False).sum()
    found = means.assign(cells=groups.size(), flagged=flagged)
    thought = groups.agg(**THOUGHT)
    if thought.to_numpy().any():
        found = found.join(thought.round(3))
    return found.reset_index()


def _cells(cells: pd.DataFrame) -> pd.DataFrame:
    shown = cells.assign(
        scored=cells["scored"].astype(str) + " of " + cells["administrations"].astype(str),
        interval=_interval(cells, "angle_low", "angle_high", lambda angle: _number(angle, 1)),
        p_random=_chances(cells["p_random"]),
        remarks=(cells["flag"] + "; " + cells["note"]).str.strip("; "),
    )
    return shown[[*CELL, "scored", *READINGS]].rename(columns=READINGS)


def _pairs(content: Mapping[str, Any], name: str, what: str) -> pd.DataFrame:
    texts = [
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for value in content.values()
    ]
    return pd.DataFrame({name: list(content), what: texts}).replace("null", "")
