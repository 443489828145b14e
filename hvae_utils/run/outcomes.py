"""What became of a run's items: how many of each model ended how, and whether too many failed.

Counts what the responses table says; asks nobody and changes nothing.

Public names: lines, error_share, MAX_ERRORS.
"""

from pathlib import Path
from typing import Any

MAX_ERRORS = 0.5  # of a run's items; where most of them failed, nothing was measured


def lines(run: Path) -> list[str]:
    """Return a table, model x outcome, as lines; none where every item has a choice."""
    import pandas as pd  # here, because the command itself starts without it

    outcomes = _outcomes(run)
    if (outcomes.outcome == "choice").all():
        return []
    table = pd.crosstab(outcomes.model, outcomes.outcome)
    table = table.rename_axis(index=None, columns="items by outcome")
    said = table.to_string().splitlines()
    failed = int((outcomes.outcome == "error").sum())
    if failed:
        said.append(
            f"{failed} of {len(outcomes)} items ended in a transport error; "
            "run again to ask them once more"
        )
    return said


def error_share(run: Path) -> float:
    """Return the share of items that ended in a transport error; 0 for a run without items."""
    outcomes = _outcomes(run)
    return float((outcomes.outcome == "error").mean()) if len(outcomes) else 0.0


def _outcomes(run: Path) -> Any:
    """Return a frame with model and outcome of every item of a run."""
    import pandas as pd

    parts = run / "responses.parquet", run / "conditions.parquet"
    if not all(part.is_file() for part in parts):
        return pd.DataFrame({"model": [], "outcome": []})
    responses, conditions = (pd.read_parquet(part) for part in parts)
    if "outcome" not in responses or "model" not in conditions:
        return pd.DataFrame({"model": [], "outcome": []})
    models = conditions.set_index("condition_id").model
    return responses.assign(model=responses.condition_id.map(models))[["model", "outcome"]]
