"""Figure 14, the published chart on two scales: `raw_and_chance` of its models, with their mean."""

import pandas as pd
from matplotlib.figure import Figure

from hvae_utils.metrics import published_chart
from hvae_utils.show import tables
from hvae_utils.show.figures.rationality import raw_and_chance
from hvae_utils.show.figures.rationality.raw_and_chance import ranges
from hvae_utils.show.names import joined, named, number


def table(chart: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the published value rationality on the raw and on the chance scale.

    chart: `published.radar` unless passed; its arm with the goal prompt. Parts "model" (the best
    first) and "baseline" as in `raw_and_chance.table`; "mean": over the models, with 95% t
    intervals (`published_chart.summary`).
    """
    scored = published_chart.with_chance(chart)
    arm = scored[scored["goal_prompt"]]
    best = -arm.groupby("model")["vr_chance"].mean()
    arm = arm.sort_values("model", key=lambda names: names.map(best), kind="stable")
    means = published_chart.summary(chart).query("goal_prompt and quantity in @arm.value.array")
    means = means.pivot(index="quantity", columns="scale", values=["estimate", "low", "high"])
    means.columns = [f"{scale}_{end}".removesuffix("_estimate") for end, scale in means.columns]
    return raw_and_chance.arranged(
        named(arm.assign(part="model")),
        means.loc[arm["value"].unique()].reset_index(names="value").assign(part="mean"),
        tables.null_respondents(),
    )


def draw(table: pd.DataFrame) -> Figure:
    """Draw the raw scale left and the chance scale right."""
    return raw_and_chance.draw(table)


def caption(table: pd.DataFrame) -> str:
    """Return how to read the figure, and the means over the models on the chance scale."""
    means = tables.part(table, "mean")[["value", "chance", "chance_low", "chance_high"]]
    numbers = means.set_index("value").map(number, digits=2)
    rows = [f"{name} {at} [{low}, {high}]" for name, at, low, high in numbers.itertuples()]
    return (
        "The published chart on a scale where random answers have 0. Left the scores as read from "
        "the chart (Zhang et al., arXiv 2305.17147, version 1, with goal prompt), right the same "
        "with 0 for a random respondent tested ten times and 1 for the ideal. Means over the "
        f"models there, with 95% t intervals: {joined(rows)}. In grey who always takes one letter, "
        "and ideal respondents that lapse."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words: who is far above random on all values, and where the rest is."""
    models = tables.part(table, "model")
    least = models.groupby("respondent", sort=False)["chance"].min()
    high = least.index[least > 0.5]
    others = models[~models["respondent"].isin(high)]
    return (
        "Marks on two scales, a block of rows for each value, beside the lines of random "
        f"respondents. On the chance scale {joined(high) or 'nobody'}: above 0.5 on every value; "
        f"the others: {ranges(others, others['value'])}."
    )
