"""A finished run without running it: tables of known respondents, two figures and a manifest."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from hvae_utils.run import manifest
from hvae_utils.show import style
from tests.support import synthetic_tables

OUTPUTS = (
    "conditions.parquet",
    "responses.parquet",
    "figures/",
    "scores.parquet",
    "value_rationality.csv",
    "goal_effects.csv",
)


MODELS = ("reference/faithful", "reference/agreeable", "reference/first-option", "ollama/weak")


def make(folder: Path, models: tuple[str, ...] = MODELS) -> Path:
    """Write the run into `folder`; return it. Tables in the order in which steps make them."""
    tables = synthetic_tables.make(models, repeats=2)
    folder.mkdir(parents=True)
    tables.conditions.to_parquet(folder / "conditions.parquet", index=False)
    tables.responses.to_parquet(folder / "responses.parquet", index=False)
    tables.scores.to_parquet(folder / "scores.parquet", index=False)
    tables.cells.to_csv(folder / "value_rationality.csv", index=False)
    tables.goal_effects.to_csv(folder / "goal_effects.csv", index=False)
    draw(folder / "figures", "01_small", pd.DataFrame({"respondent": ["a"], "angle": [12.3456]}))
    draw(folder / "figures", "02_large", pd.DataFrame({"row": range(100), "value": 0.5}))
    parameters = {"models": list(models), "seed": 7, "wordings": ["plain"]}
    started = datetime(2026, 1, 2, tzinfo=UTC)
    made_of = manifest.describe(folder, OUTPUTS, "tiny", [], parameters, {"a": 1.0}, started)
    manifest.write(folder, made_of)
    return folder


def draw(folder: Path, slug: str, table: pd.DataFrame) -> None:
    """Save a figure with caption and alternative text."""
    figure = style.new_figure(1.5)
    figure.subplots().plot(table.iloc[:, -1])
    caption, alt = f"The title of {slug}. What <b>it</b> shows.", f"A line & more, {slug}."
    style.save(figure, table, folder, slug, caption, alt)
