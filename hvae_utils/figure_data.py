"""The tidy table behind each figure: what is drawn is what these return, and nothing else.

Each function takes the tables of a run (and the instrument and values they were measured with)
and returns one table that is saved as CSV beside its figure, so that a reader can redraw it.
Tables that hold several kinds of rows name the kind in the column `part`. This module must never
import a plotting library and never estimate anything that `rationality` has not.

Public names: FLAG, display_names, svo_ring, slider_items, vr_radar, angle_by_value,
category_shares, goal_effect, outcomes, published_radar, always_letters, flagged, need, named,
stack.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from hvae_utils import chance, rationality, svo
from hvae_utils.errors import UserError
from hvae_utils.instruments import Instrument
from hvae_utils.replies import OUTCOMES
from hvae_utils.values import Value

NO_ANGLE = "no angle"
FLAG = " †"  # after the name of a respondent whose scores are flagged, see `flagged`
_ENDS = {"A": "altruistic", "P": "prosocial", "I": "individualistic", "C": "competitive"}
_LONGEST = 26  # characters of a name that fit above a panel
_PUBLISHED_TESTS = 10  # administrations behind each point of the published chart


def display_names(models: Iterable[str]) -> dict[str, str]:
    """Return a short name for each model: no family prefix, no folders, and still all different.

    "local/smollm2-135m-instruct" becomes "smollm2-135m-instruct". Names that would collide keep
    their family; longer ones than fit above a panel lose their middle.
    """
    models = list(dict.fromkeys(map(str, models)))
    short = {model: _tail(model) for model in models}
    shared = {name for name in short.values() if list(short.values()).count(name) > 1}
    for model, name in short.items():
        if name in shared:
            short[model] = f"{model.split('/')[0]}/{name}"
    fitted = {model: _fit(name) for model, name in short.items()}
    names, seen = {}, {}
    for model, name in fitted.items():
        seen[name] = seen.get(name, 0) + 1
        names[model] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


def svo_ring(
    cells: pd.DataFrame, instrument: Instrument, values: Mapping[str, Value]
) -> pd.DataFrame:
    """Return every cell's mean point in the payoff plane, with what it is to be compared to.

    part "measured": respondent (marked where flagged), value, goal_prompt, mean self and other
    (coins), angle (degrees) over the scored administrations; NaN where none was scored. "region": a
    category between two angles, open-ended ones without the bound. "target_set": the angles of a
    value's ideal respondents. "ideal": one ideal respondent a value. "random": the expected point
    of uniform random choices. "reach": corners of the area all possible mean points lie in.
    "origin".
    """
    need(cells, "cells", ["model", "value", "goal_prompt", "mean_self", "mean_other", "mean_angle"])
    if instrument.boundaries is None:
        raise UserError(f"instrument '{instrument.name}' has no SVO angle, so no ring")
    top, middle, low = instrument.boundaries
    bounds = [(top, np.nan), (middle, top), (low, middle), (np.nan, low)]
    parts = [_point("origin", *instrument.origin)]
    parts += [
        {"part": "region", "value": name, "angle_low": a, "angle_high": b}
        for name, (a, b) in zip(svo.CATEGORIES, bounds, strict=True)
    ]
    for value in values.values():
        if value.target_set is not None:
            ends = dict(zip(("angle_low", "angle_high"), value.target_set, strict=True))
            parts.append({"part": "target_set", "value": value.name} | ends)
        if value.utility is not None:
            chosen = svo.ideal_choices(value, instrument)
            mean = instrument.payoffs[np.arange(len(chosen)), chosen].mean(axis=0)
            parts.append(_point("ideal", *mean, instrument.origin) | {"value": value.name})
    parts.append(_point("random", *instrument.payoffs.mean(axis=(0, 1)), instrument.origin))
    parts += [_point("reach", *corner) for corner in _reach(instrument)]
    measured = cells.rename(
        columns={"mean_self": "self", "mean_other": "other", "mean_angle": "angle"}
    )
    columns = ["model", "value", "goal_prompt", "self", "other", "angle"]
    measured = flagged(named(measured[[*columns, "administrations", "scored"]]), cells)
    return stack(pd.DataFrame(parts), measured.assign(part="measured")).reindex(
        columns=[
            *("part", "model", "respondent", "value", "goal_prompt", "self", "other"),
            *("angle", "angle_low", "angle_high", "administrations", "scored"),
        ]
    )


def slider_items(instrument: Instrument, values: Mapping[str, Value]) -> pd.DataFrame:
    """Return every option of every item in coins.

    part "option": item, option (from 1), letter, self, other, end (the value whose ideal end point
    the option is, empty for the others). "origin": the point angles are measured from. "random":
    the expected mean point of uniform random choices.
    """
    if not instrument.payoffs.size:
        raise UserError(f"instrument '{instrument.name}' has no item to show")
    rows = [_point("origin", *instrument.origin)]
    rows.append(_point("random", *instrument.payoffs.mean(axis=(0, 1))))
    for place, (item, payoffs) in enumerate(zip(instrument.items, instrument.payoffs, strict=True)):
        ends = instrument.ends[place] if instrument.ends else ("", "")
        names = {1: _ENDS.get(ends[0], ""), len(payoffs): _ENDS.get(ends[1], "")}
        for option, payoff in enumerate(payoffs, start=1):
            end = names.get(option, "")
            rows.append(
                _point("option", *payoff)
                | {"item": item, "option": option, "letter": chr(64 + option)}
                | {"end": end if end in values else ""}
            )
    table = pd.DataFrame(rows).astype({"item": "Int64", "option": "Int64"})
    return table[["part", "item", "option", "letter", "self", "other", "end"]]


def vr_radar(cells: pd.DataFrame) -> pd.DataFrame:
    """Return value rationality (scale inferred from the published chart) of each cell.

    Columns: model, respondent, value, goal_prompt, vr and vr_random (degrees; 60 is perfect),
    administrations, scored. Values without a target are left out; vr is NaN if nothing was scored.
    """
    columns = ["model", "value", "goal_prompt", "vr", "vr_random", "administrations", "scored"]
    need(cells, "cells", [*columns, "target"])
    table = cells.loc[cells["target"].notna(), columns]
    if table.empty:
        raise UserError("cells: no assigned value has a target, so there is no value rationality")
    return flagged(named(table), cells)


def angle_by_value(
    scores: pd.DataFrame,
    cells: pd.DataFrame,
    instrument: Instrument,
    values: Mapping[str, Value],
) -> pd.DataFrame:
    """Return the angle of every scored administration and of every cell, in degrees.

    part "administration": angle. "cell": angle (mean), angle_low and angle_high (95% interval),
    bound_low and bound_high (of the mean angle, whatever the missing items were), administrations,
    scored, note. "target": a value's target as angle and its target set as angle_low, angle_high.
    "random": angle is the mean of uniform random respondents. "baseline": as `always_letters`.
    """
    keys = ["model", "value", "goal_prompt"]
    intervals = ["angle_low", "angle_high", "bound_low", "bound_high"]
    need(scores, "scores", [*keys, "angle"])
    need(cells, "cells", [*keys, "mean_angle", *intervals, "administrations", "scored", "note"])
    assigned = set(cells["value"])
    random = svo.angle_distribution(chance.uniform(), instrument)
    context = [{"part": "random", "angle": random.mean}, *always_letters(instrument)]
    for value in values.values():
        if value.name in assigned and value.target_set is not None:
            low, high = value.target_set
            row = {"value": value.name, "angle": value.target, "angle_low": low, "angle_high": high}
            context.append({"part": "target"} | row)
    single = scores.loc[scores["angle"].notna(), [*keys, "angle"]].assign(part="administration")
    cell = cells.rename(columns={"mean_angle": "angle"})
    cell = cell[[*keys, "angle", *intervals, "administrations", "scored", "note"]]
    measured = flagged(named(stack(cell.assign(part="cell"), single)), cells)
    columns = ["part", "model", "respondent", "value", "goal_prompt", "angle", *intervals]
    columns += ["administrations", "scored", "note"]
    return stack(pd.DataFrame(context), measured)[columns]


def category_shares(scores: pd.DataFrame, instrument: Instrument) -> pd.DataFrame:
    """Return, per respondent and assigned value, the share of administrations in each category.

    Columns: part ("measured", or "random" for the exact shares of uniform random respondents),
    model, respondent, value, category (the four, then "no angle" where an item is missing),
    count, administrations, share (0 to 1). Both goal arms are taken together.
    """
    need(scores, "scores", ["model", "value", "category", "angle"])
    order = [*svo.CATEGORIES, NO_ANGLE]
    category = scores["category"].astype(object).where(scores["angle"].notna(), NO_ANGLE)
    keyed = scores[["model", "value"]].astype(str).assign(category=category)
    rows = []
    for (model, value), group in keyed.groupby(["model", "value"], sort=False):
        counts = group["category"].value_counts()
        for name in order:
            found = {"category": name, "count": int(counts.get(name, 0))}
            rows.append({"model": model, "value": value, "administrations": len(group)} | found)
    measured = named(pd.DataFrame(rows)).assign(part="measured")
    measured["share"] = measured["count"] / measured["administrations"]
    expected = svo.angle_distribution(chance.uniform(), instrument).categories
    shares = [expected.get(name, 0.0) for name in order]
    random = pd.DataFrame({"part": "random", "category": order, "share": shares})
    columns = ["part", "model", "respondent", "value", "category", "count", "administrations"]
    table = stack(random, measured)[[*columns, "share"]]
    return table.astype({"count": "Int64", "administrations": "Int64"})


def goal_effect(goal_effects: pd.DataFrame) -> pd.DataFrame:
    """Return the paired differences in value rationality, with minus without the goal prompt.

    Columns: model, respondent, value, pairs, difference, low, high (degrees; 95% interval), note.
    """
    columns = ["model", "value", "pairs", "difference", "low", "high", "note"]
    need(goal_effects, "goal effects", columns)
    return named(goal_effects[columns])


def outcomes(responses: pd.DataFrame, conditions: pd.DataFrame) -> pd.DataFrame:
    """Return how many items ended in each outcome, per respondent.

    conditions: any table with condition_id and model. Columns: model, respondent, outcome,
    items, asked, share (0 to 1).
    """
    need(responses, "responses", ["condition_id", "outcome"])
    need(conditions, "conditions", ["condition_id", "model"])
    models = conditions.drop_duplicates("condition_id").set_index("condition_id")["model"]
    model = responses["condition_id"].map(models)
    if model.isna().any():
        stray = responses.loc[model.isna(), "condition_id"].iloc[0]
        raise UserError(f"responses: condition '{stray}' is not in the table of conditions")
    strange = set(responses["outcome"].astype(str)) - set(OUTCOMES)
    if strange:
        raise UserError(
            f"responses: '{min(strange)}' is none of the outcomes {', '.join(OUTCOMES)}"
        )
    rows = []
    for name in dict.fromkeys(models[models.isin(model)]):
        counts = responses.loc[model == name, "outcome"].value_counts()
        for outcome in OUTCOMES:
            found = {"outcome": outcome, "items": int(counts.get(outcome, 0))}
            rows.append({"model": name} | found | {"asked": int(counts.sum())})
    table = named(pd.DataFrame(rows))
    return table.assign(share=table["items"] / table["asked"])


def published_radar(published: pd.DataFrame) -> pd.DataFrame:
    """Return the published value rationality beside what random respondents score in ten tests.

    published: model, value, goal_prompt, vr, reading_error. Columns: as `vr_radar`, without the
    counts and with reading_error (degrees).
    """
    columns = ["model", "value", "goal_prompt", "vr", "reading_error"]
    need(published, "published radar", columns)
    baselines = {
        value: rationality.random_baseline(value, _PUBLISHED_TESTS)
        for value in published["value"].unique()
    }
    return named(published[columns].assign(vr_random=published["value"].map(baselines)))


def always_letters(instrument: Instrument) -> list[dict[str, object]]:
    """Return the respondents that always take one letter, in the instrument's own order.

    One row a letter: part "baseline", respondent ("always A" and so on), angle (degrees).
    """
    angles = svo.angle(*instrument.payoffs.mean(axis=0).T, instrument.origin)
    return [
        {"part": "baseline", "respondent": f"always {chr(65 + option)}", "angle": float(angle)}
        for option, angle in enumerate(angles)
    ]


def flagged(table: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the table with FLAG after the names of models of which most scores are flagged.

    cells: with the column `flag` of readings.with_readings; without it nobody is flagged.
    """
    if "flag" not in cells:
        return table
    told = cells[cells["target"].notna()]
    doubtful = told["flag"].fillna("").ne("").groupby(told["model"]).mean() > 0.5
    marked = table["model"].isin(doubtful.index[doubtful])
    names = table["respondent"].where(~marked, table["respondent"] + FLAG)
    return table.assign(respondent=names)


def need(table: pd.DataFrame, name: str, columns: Iterable[str]) -> None:
    """Raise UserError unless the table has these columns and a row."""
    for column in columns:
        if column not in table:
            raise UserError(f"{name}: the column '{column}' is missing")
    if table.empty:
        raise UserError(f"{name}: the table is empty, so there is nothing to draw")


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the display name after the model's full name, rows numbered anew."""
    table = table.reset_index(drop=True)
    names = table["model"].map(display_names(table["model"]))
    table.insert(table.columns.get_loc("model") + 1, "respondent", names)
    return table


def _tail(model: str) -> str:
    name = model.rstrip("/").replace("\\", "/").split("/")[-1]
    return name.removesuffix(".gguf") or model


def _fit(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    keep = _LONGEST - 1
    return f"{name[: keep - keep // 2]}…{name[-(keep // 2) :]}"


def stack(*tables: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the tables under one another, columns that one lacks empty."""
    columns = list(dict.fromkeys(column for table in tables for column in table))
    rows = [row for table in tables for row in table.to_dict("records")]
    return pd.DataFrame(rows, columns=columns)


def _point(
    part: str, mine: float, other: float, origin: tuple[float, float] | None = None
) -> dict[str, object]:
    angle = np.nan if origin is None else float(svo.angle(mine, other, origin))
    return {"part": part, "self": float(mine), "other": float(other), "angle": angle}


def _reach(instrument: Instrument) -> np.ndarray:
    """Return the corners (n, 2), in coins and in order, of the hull of all mean points.

    The hull of a sum of sets is the sum of their hulls, so the point furthest in a direction is
    the mean of the options furthest in that direction: between two directions that are normal to
    a step from one option to another nothing changes.
    """
    points = instrument.payoffs
    first, second = np.triu_indices(points.shape[1], 1)
    steps = (points[:, second] - points[:, first]).reshape(-1, 2)
    normals = np.arctan2(steps[:, 0], -steps[:, 1])
    turns = np.unique(np.concatenate([normals, normals + np.pi]) % (2 * np.pi))
    between = (turns + np.append(turns[1:], turns[0] + 2 * np.pi)) / 2
    corners = []
    for turn in between:
        best = (points @ (np.cos(turn), np.sin(turn))).argmax(axis=1)
        corner = tuple(points[np.arange(len(points)), best].mean(axis=0))
        if corner not in corners:
            corners.append(corner)
    return np.array(corners)
