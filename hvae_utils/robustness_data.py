"""The tidy tables behind the figures on robustness: chance, bias, noise, recovery, people.

As `figure_data`: each function returns one table, what is drawn is what it holds, and it is saved
as CSV beside its figure. Distributions are exact, from response probabilities. This module must
never import a plotting library, never draw a random number, and never estimate.

Public names: ALL, raw_and_chance, three_readings, letter_choice, position_bias, lapse_curves,
angle_distributions, recovery, factor_effects, people_and_models.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from hvae_utils import chance, instruments, lapse, rationality, svo
from hvae_utils import recovery as simulated
from hvae_utils.errors import UserError
from hvae_utils.figure_data import FLAG, always_letters, flagged, named, need, stack
from hvae_utils.instruments import Instrument
from hvae_utils.values import Value

ALL = "all values"  # the scope of an effect over every assigned value, as in `effects`

_PUBLISHED_TESTS = 10  # administrations behind each point of the published chart
_PROBABILITIES = [f"p{option}" for option in range(1, 10)]
_RATES = tuple(np.round(np.linspace(0, 1, 41), 3))
_RAW_AND_CHANCE = {  # columns of cells and their names here
    **{f"vr{end}": f"raw{end}" for end in ("", "_low", "_high", "_random")},
    **{f"vr_chance{end}": f"chance{end}" for end in ("", "_low", "_high")},
}
_REGRET_AND_LAPSE = {
    "vr_regret": "regret",
    "vr_regret_random": "regret_random",
    "lapse_rate": "lapse",
    "lapse_low": "lapse_low",
    "lapse_high": "lapse_high",
}
_SHARPNESS = 0.1  # nats per coin: soft enough to show a bias of 3 nats


def raw_and_chance(
    published: pd.DataFrame, cells: pd.DataFrame | None = None, goal_prompt: bool = True
) -> pd.DataFrame:
    """Return value rationality on the raw and on the chance scale: published models, then a run's.

    published: as `published.radar`. cells: as `rationality.cells`; of the arm with (or without)
    the goal prompt, or of the other arm where the run has only that one.
    part "model": source ("published" or "run"), number (from 1 in each source), model, respondent,
    value, goal_prompt, raw with raw_low and raw_high (degrees, 60 is ideal), raw_random (what
    random respondents can expect), chance with chance_low and chance_high (0 is random, 1 ideal);
    NaN where nothing was scored. "mean": over the published models. "baseline": respondent, value,
    raw and chance of `rationality.null_respondents`: constant letters, and ideals with lapses.
    """
    need(published, "published radar", ["model", "value", "goal_prompt", "vr"])
    mine = published[published["goal_prompt"].astype(bool) == goal_prompt]
    if mine.empty:
        raise UserError(f"published radar: no row with goal_prompt {goal_prompt}")
    mine = rationality.published_chance(mine, _PUBLISHED_TESTS)
    expected = {
        value: rationality.random_baseline(value, _PUBLISHED_TESTS) for value in set(mine["value"])
    }
    mine = mine.assign(vr_random=mine["value"].map(expected))
    means = mine.groupby("value", sort=False)[["vr", "vr_random", "vr_chance"]].mean()
    means = means.reset_index().assign(goal_prompt=goal_prompt, part="mean", source="published")
    parts = [_numbered(mine, "published"), means, _nulls()]
    if cells is not None:
        told = _one_arm(cells, goal_prompt, [*_RAW_AND_CHANCE])
        parts.append(flagged(_numbered(told, "run"), cells))
    table = stack(*parts).rename(columns=_RAW_AND_CHANCE)
    columns = ["part", "source", "number", "model", "respondent", "value", "goal_prompt"]
    return table.reindex(columns=[*columns, *_RAW_AND_CHANCE.values()]).astype({"number": "Int64"})


def three_readings(cells: pd.DataFrame, goal_prompt: bool = True) -> pd.DataFrame:
    """Return the raw, chance and regret reading and the lapse rate of each cell, and of nobody.

    cells: as `readings.with_readings`; the goal arm is taken as in `raw_and_chance`.
    part "measured": model, respondent (marked where this very cell is flagged), value, goal_prompt,
    raw (degrees) and chance with their intervals, regret, lapse (0 to 1) with its interval, what a
    random respondent has (raw_random, regret_random), flag; NaN where not estimable. "baseline":
    constant letters (lapse: what maximum likelihood makes of them) and ideals with lapses.
    """
    told = _one_arm(cells, goal_prompt, [*_RAW_AND_CHANCE, *_REGRET_AND_LAPSE, "flag"])
    measured = named(told).assign(part="measured", flag=told["flag"].fillna("").to_numpy())
    marked = measured["respondent"] + FLAG
    measured["respondent"] = measured["respondent"].where(measured["flag"] == "", marked)
    nulls = _nulls()
    nulls["lapse_rate"] = list(map(_lapse_of, nulls["respondent"], nulls["value"]))
    nulls = nulls[nulls["value"].isin(set(measured["value"]))]
    renamed = _RAW_AND_CHANCE | _REGRET_AND_LAPSE
    columns = ["part", "model", "respondent", "value", "goal_prompt", *renamed.values(), "flag"]
    return stack(measured, nulls).rename(columns=renamed)[columns]


def letter_choice(letters: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each position as shown, and of each option after debiasing.

    letters: model, stage ("as shown" or "debiased"), position (1 to 9), share (0 to 1; NaN where
    not estimable). Columns: the same with the respondent's display name.
    """
    columns = ["model", "stage", "position", "share"]
    need(letters, "letters", columns)
    strange = set(letters["stage"]) - {"as shown", "debiased"}
    if strange:
        raise UserError(f"letters: the stage '{min(strange)}' is neither 'as shown' nor 'debiased'")
    return named(letters[columns])


def position_bias(bias: pd.DataFrame) -> pd.DataFrame:
    """Return the estimated bias of each position with the respondent's display name.

    bias: as `orders.position_bias`: model, labels, assumes, position (1 to 9), bias (nats),
    position_part and label_part (nats, NaN with one set of labels), note.
    """
    columns = ["model", "labels", "assumes", "position", "bias", "position_part", "label_part"]
    columns.append("note")
    need(bias, "position bias", columns)
    return named(bias[columns])


def lapse_curves(values: Mapping[str, Value], rates: Iterable[float] = _RATES) -> pd.DataFrame:
    """Return what lapses do to the ideal respondent of each value that has a utility and a target.

    rates: shares of uniformly random answers, 0 to 1.
    part "curve": value, rate, angle (mean, degrees), angle_low and angle_high (exact 10% and 90%
    quantiles of one administration), own (probability that the measured category is the value),
    vr (raw value rationality of the mean angle, degrees). "boundary": the angles between the
    categories, value the one above.
    """
    rates = np.asarray([*rates], float)
    told = [v for v in values.values() if v.utility is not None and v.target is not None]
    if not told or not len(rates):
        raise UserError("lapse curves: no value with a utility and a target, or no rate to draw")
    parts = [_boundaries(_slider())]
    for value in told:
        curve = simulated.lapse_curve(value, rates)
        own = curve.get(value.name, np.nan)
        curve = curve.rename(columns={"mean_angle": "angle"}).assign(
            part="curve", value=value.name, own=own
        )
        parts.append(curve)
    columns = ["part", "value", "rate", "angle", "angle_low", "angle_high", "own", "vr"]
    return stack(*parts)[columns]


def angle_distributions(
    conditions: pd.DataFrame,
    responses: pd.DataFrame,
    instrument: Instrument,
    values: Mapping[str, Value],
) -> pd.DataFrame:
    """Return the exact distribution of the angle, by respondent and assigned value, 1-degree bins.

    responses: condition_id, item and p1 to p9 in the instrument's order. Each administration whose
    items all have probabilities gives one distribution, and these are averaged (a mixture). A
    conversation has none: its items depend on each other.
    part "measured": model, respondent, value, low, high (degrees; low <= angle < high), share,
    administrations (how many are mixed); bins left out have share 0; without any administration
    one row with NaN. "random": the same of uniform random choices. "target": low and high are the
    angles of ideal respondents.
    """
    need(conditions, "conditions", ["condition_id", "model", "value"])
    need(responses, "responses", ["condition_id", "item", *_PROBABILITIES])
    tables = _tables(responses, instrument)
    asked = conditions[conditions["condition_id"].isin(set(responses["condition_id"]))]
    if asked.empty:
        raise UserError("responses: none of them belongs to a condition of the table of conditions")
    apart = np.ones(len(asked), bool)
    if "protocol" in asked:
        apart = (asked["protocol"] != "conversation").to_numpy()
    rows = []
    for model in dict.fromkeys(asked["model"]):
        for value in [name for name in values if name in set(asked["value"])]:
            mine = asked[apart & ((asked["model"] == model) & (asked["value"] == value)).to_numpy()]
            found = [tables[key] for key in mine["condition_id"] if key in tables]
            key = {"model": model, "value": value, "administrations": len(found)}
            rows += [key | one for one in _binned(found, instrument)]
    measured = named(pd.DataFrame(rows)).assign(part="measured")
    uniform = np.full(instrument.payoffs.shape[:2], 1 / instrument.payoffs.shape[1])
    context = [{"part": "random"} | one for one in _binned([uniform], instrument)]
    for value in values.values():
        if value.target_set is not None and value.name in set(measured["value"]):
            low, high = value.target_set
            context.append({"part": "target", "value": value.name, "low": low, "high": high})
    columns = ["part", "model", "respondent", "value", "low", "high", "share", "administrations"]
    return stack(pd.DataFrame(context), measured)[columns].astype({"administrations": "Int64"})


def recovery(
    study: pd.DataFrame, steps: pd.DataFrame | None = None, sharpness: float = _SHARPNESS
) -> pd.DataFrame:
    """Return measured against true utility angle of simulated respondents, by lapse rate and bias.

    study: as `recovery.study`; of its respondents those of one sharpness (nats per coin) with at
    most one kind of bias. steps: as `recovery.steps`, the staircase of ideal respondents.
    part "respondent": utility_angle, sharpness, lapse, bias ("none", "position", "label"), nats,
    stage ("unbiased", "before", "probability", "logit") and measured (mean angle, degrees);
    "before" is one fixed order, the last two average nine cyclic orders. "step": low, high (utility
    angles) and measured.
    """
    truth = ["utility_angle", "sharpness", "lapse", "position_bias", "label_bias"]
    stages = {
        "unbiased": "unbiased",
        "fixed": "before",
        "cyclic_probability": "probability",
        "cyclic_logit": "logit",
    }
    need(study, "recovery study", [*truth, *stages])
    mine = study[np.isclose(study["sharpness"], sharpness)]
    mine = mine[(mine["position_bias"] == 0) | (mine["label_bias"] == 0)]
    if mine.empty:
        known = ", ".join(f"{one:g}" for one in sorted(set(study["sharpness"])))
        raise UserError(f"recovery study: no respondent of sharpness {sharpness:g}; it has {known}")
    bias = np.where(mine["position_bias"] != 0, "position", "none")
    bias = np.where(mine["label_bias"] != 0, "label", bias)
    mine = mine.assign(bias=bias, nats=mine["position_bias"].abs() + mine["label_bias"].abs())
    truth = ["utility_angle", "sharpness", "lapse", "bias", "nats"]
    told = mine[[*truth, *stages]].rename(columns=stages)
    told = told.melt(truth, var_name="stage", value_name="measured").assign(part="respondent")
    told = told[(told["bias"] != "none") | (told["stage"] == "unbiased")]
    if steps is None:
        steps = simulated.steps(low=mine["utility_angle"].min(), high=mine["utility_angle"].max())
    steps = steps[["low", "high", "angle"]].rename(columns={"angle": "measured"})
    columns = ["part", *truth, "stage", "low", "high", "measured"]
    return stack(steps.assign(part="step"), told)[columns]


def factor_effects(effects: pd.DataFrame, measure: str = "raw value rationality") -> pd.DataFrame:
    """Return the main effect of each factor level against its reference, per respondent.

    effects: model, factor, level, reference, scope, pairs, clusters, difference, low, high (95%
    interval), dz, eta_squared, note; NaN where not estimable. measure: what the difference is of,
    in degrees. Columns: the same with the respondent's display name and measure.
    """
    columns = ["model", "factor", "level", "reference", "scope", "pairs", "clusters"]
    columns += ["difference", "low", "high", "dz", "eta_squared", "note"]
    need(effects, "factor effects", columns)
    return named(effects[columns]).assign(measure=measure)


def people_and_models(
    cells: pd.DataFrame,
    histogram: pd.DataFrame,
    instrument: Instrument,
    values: Mapping[str, Value],
) -> pd.DataFrame:
    """Return on one ring, degrees: people, random and ideal respondents, and a run's models.

    histogram: as `published.people_histogram`; samples may differ in their bins. cells: as
    `rationality.cells`.
    part "people": sample, low, high (bin), count, share. "random": the first sample's bins for
    uniform random choices. "random mean": angle. "boundary": angle between categories, value the
    one above. "ideal": value, angle (target), low and high (angles of ideal respondents).
    "baseline": as `figure_data.always_letters`. "measured": model, respondent (marked
    where flagged), value, goal_prompt, angle (mean), low and high (95% interval).
    """
    need(histogram, "people's histogram", ["sample", "low", "high", "count", "share"])
    keys = ["model", "value", "goal_prompt"]
    need(cells, "cells", [*keys, "mean_angle", "angle_low", "angle_high"])
    uniform = svo.angle_distribution(chance.uniform(), instrument)
    first = histogram[histogram["sample"] == histogram["sample"].iloc[0]]
    bins = first[["low", "high"]].sort_values("low")
    edges = np.append(bins["low"], bins["high"].iloc[-1])
    share = np.histogram(np.round(uniform.angles, 9), edges, weights=uniform.weights)[0]
    ideal = [
        {"value": value.name, "angle": value.target, "low": ends[0], "high": ends[1]}
        for value in values.values()
        if (ends := value.target_set) is not None
    ]
    renamed = {"mean_angle": "angle", "angle_low": "low", "angle_high": "high"}
    measured = flagged(named(cells[[*keys, *renamed]]), cells)
    table = stack(
        histogram.assign(part="people"),
        bins.assign(part="random", share=share),
        pd.DataFrame([{"part": "random mean", "angle": uniform.mean}]),
        _boundaries(instrument),
        pd.DataFrame(ideal).assign(part="ideal"),
        pd.DataFrame(always_letters(instrument)),
        measured.rename(columns=renamed).assign(part="measured"),
    )
    columns = ["part", "sample", "model", "respondent", "value", "goal_prompt"]
    return table[[*columns, "low", "high", "count", "share", "angle"]].astype({"count": "Int64"})


def _numbered(table: pd.DataFrame, source: str) -> pd.DataFrame:
    models = list(dict.fromkeys(table["model"]))
    numbers = table["model"].map({model: k for k, model in enumerate(models, start=1)})
    return named(table.assign(part="model", source=source, number=numbers))


def _nulls() -> pd.DataFrame:
    """Return what constant letters and lapsing ideals score, as often as the published models."""
    nulls = rationality.null_respondents(_PUBLISHED_TESTS)
    nulls = nulls[nulls["respondent"] != "random"]  # it has a line of its own
    return nulls.assign(part="baseline")


def _lapse_of(null: str, value: str) -> float:
    """Return the lapse rate of a null respondent: its own, or a constant letter's likeliest one."""
    kind, which = null.split()
    if kind == "lapse":
        return float(which)
    choices = np.full((1, len(_slider().items)), ord(which) - ord("A"))
    return lapse.lapse_rate(choices, value, _slider()).rate


def _one_arm(cells: pd.DataFrame, goal_prompt: bool, columns: list[str]) -> pd.DataFrame:
    """Return the cells that have a target, of this goal arm or of the only one there is."""
    need(cells, "cells", ["model", "value", "goal_prompt", "target", *columns])
    told = cells[cells["target"].notna()]
    arms = told["goal_prompt"].astype(bool)
    return told[arms == goal_prompt] if (arms == goal_prompt).any() else told


def _slider() -> Instrument:
    return instruments.load("svo-slider")


def _boundaries(instrument: Instrument) -> pd.DataFrame:
    """Return the angles between categories, each with the category above it."""
    if instrument.boundaries is None:
        raise UserError(f"instrument '{instrument.name}' has no SVO angle, so no categories")
    rows = zip(svo.CATEGORIES, instrument.boundaries, strict=False)
    return pd.DataFrame([{"part": "boundary", "value": name, "angle": at} for name, at in rows])


def _tables(responses: pd.DataFrame, instrument: Instrument) -> dict[str, np.ndarray]:
    """Return the probabilities (items, options) of each condition that has them for all items."""
    known = responses[responses[_PROBABILITIES].notna().all(axis=1)]
    known = known[known["item"].isin(instrument.items)]
    tables = {}
    for key, rows in known.groupby("condition_id", sort=False):
        if len(rows) == len(instrument.items) and rows["item"].is_unique:
            tables[key] = rows.sort_values("item")[_PROBABILITIES].to_numpy(float)
    return tables


def _binned(tables: list[np.ndarray], instrument: Instrument) -> list[dict[str, float]]:
    """Return the mixture of the tables' exact distributions in 1-degree bins, those above 0."""
    if not tables:
        return [{"low": np.nan, "high": np.nan, "share": np.nan}]
    shares: dict[int, float] = {}
    for table, times in zip(*np.unique(np.stack(tables), axis=0, return_counts=True), strict=True):
        found = svo.angle_distribution(table, instrument)
        bins = np.floor(np.round(found.angles, 9)).astype(int)
        weights = np.bincount(bins - bins[0], found.weights) * (times / len(tables))
        for low in np.unique(bins):
            shares[int(low)] = shares.get(int(low), 0.0) + float(weights[low - bins[0]])
    return [
        {"low": float(low), "high": low + 1.0, "share": share}
        for low, share in sorted(shares.items())
    ]
