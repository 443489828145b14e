"""A finished run without running it: tables of known respondents, two figures and a manifest."""

from datetime import UTC, datetime
from itertools import product
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
    "steerability.csv",
    "deliberation.csv",
    "goal_effects.csv",
)


MODELS = ("reference/faithful", "reference/agreeable", "reference/first-option", "ollama/weak")


def make(folder: Path, models: tuple[str, ...] = MODELS) -> Path:
    """Write the run into `folder`; return it. Tables in the order in which steps make them."""
    wordings = synthetic_tables.WORDINGS[:3]
    tables = synthetic_tables.make(models, method="text", wordings=wordings)
    folder.mkdir(parents=True)
    tables.conditions.to_parquet(folder / "conditions.parquet", index=False)
    tables.responses.to_parquet(folder / "responses.parquet", index=False)
    tables.scores.to_parquet(folder / "scores.parquet", index=False)
    tables.cells.to_csv(folder / "value_rationality.csv", index=False)
    verdicts(models).to_csv(folder / "steerability.csv", index=False)
    tables.deliberation.to_csv(folder / "deliberation.csv", index=False)
    differences(models).to_csv(folder / "goal_effects.csv", index=False)
    draw(folder / "figures", "01_small", pd.DataFrame({"respondent": ["a"], "angle": [12.3456]}))
    draw(folder / "figures", "02_large", pd.DataFrame({"row": range(100), "value": 0.5}))
    parameters = {"models": list(models), "seed": 7, "wordings": ["plain"]}
    (folder / "records.jsonl").touch()
    started = datetime(2026, 1, 2, tzinfo=UTC)
    made_of = manifest.describe(folder, OUTPUTS, "tiny", [], parameters, {"a": 1.0}, started)
    manifest.write(folder, made_of)
    return folder


def verdicts(models: tuple[str, ...]) -> pd.DataFrame:
    """Return a table of steerability, made up: who follows moves by 0.9, nobody else moves."""
    rows = []
    for model, goal in product(models, (False, True)):
        moves = 0.9 if model in ("reference/faithful", "reference/lapsing") else 0.0
        rows.append(
            {
                **{"model": model, "goal_prompt": goal, "method": "probabilities", "values": 4},
                **{"wordings": 9, "steerability": moves, "low": moves - 0.05, "high": moves + 0.05},
                **{"low_90": moves - 0.04, "high_90": moves + 0.04, "residual_sd": 3.0},
                **{"margin": 0.1, "p": 0.5, "bits": 2 * moves, "identification": 0.25 + moves / 2},
                "verdict": "acts on the value" if moves else "does not act on it",
                **{"wordings_needed": float("nan"), "note": ""},
            }
        )
    return pd.DataFrame(rows)


def differences(models: tuple[str, ...]) -> pd.DataFrame:
    """Return what the goal prompt changes in each model's steerability, made up: nothing."""
    same = {"wordings": 9, "difference": 0.0, "low": -0.02, "high": 0.02, "p": 1.0, "note": ""}
    return pd.DataFrame({"model": models, **same})


def draw(folder: Path, slug: str, table: pd.DataFrame) -> None:
    """Save a figure with caption and alternative text."""
    figure = style.new_figure(1.5)
    figure.subplots().plot(table.iloc[:, -1])
    caption, alt = f"The title of {slug}. What <b>it</b> shows.", f"A line & more, {slug}."
    style.save(figure, table, folder, slug, caption, alt)
