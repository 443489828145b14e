"""What a respondent is called: a short name that no other has, with a dagger where it is flagged.

Public names: FLAG, display_names, named, flagged, flag_note.
"""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

FLAG = " †"
_LONGEST = 26  # characters that fit above a panel


def display_names(models: Iterable[str]) -> dict[str, str]:
    """Return a short name for each model: no family prefix, no folders, and still all different.

    "local/smollm2-135m-instruct" becomes "smollm2-135m-instruct". Names that would collide keep
    their family; longer ones than fit above a panel lose their middle.
    """
    short = {model: _file_name(model) for model in map(str, models)}
    used = Counter(short.values())
    seen: Counter[str] = Counter()
    names = {}
    for model, name in short.items():
        name = _fitted(name if used[name] == 1 else f"{model.split('/')[0]}/{name}")
        seen[name] += 1
        names[model] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `respondent` after the column `model`, rows numbered anew."""
    table = table.reset_index(drop=True)
    names = table["model"].map(display_names(table["model"]))
    table.insert(table.columns.get_loc("model") + 1, "respondent", names)
    return table


def flagged(table: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the table with FLAG after the names of models of which most scores are flagged.

    cells: with the column `flag` of readings.with_readings; without it nobody is flagged.
    """
    if "flag" not in cells:
        return table
    with_target = cells[cells["target"].notna()]
    doubtful = with_target["flag"].fillna("").ne("").groupby(with_target["model"]).mean() > 0.5
    marked = table["model"].isin(doubtful.index[doubtful])
    names = table["respondent"].where(~marked, table["respondent"] + FLAG)
    return table.assign(respondent=names)


def flag_note(names: Iterable[str]) -> str:
    """Return what the dagger means, for a figure's lowest label, or '' if no name carries one."""
    note = (
        "\n† flagged: few choices, short vectors, intransitive, order matters or low covered mass"
    )
    return note if any(name.endswith(FLAG) for name in names) else ""


def _file_name(model: str) -> str:
    name = model.rstrip("/").replace("\\", "/").split("/")[-1]
    return name.removesuffix(".gguf") or model


def _fitted(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    keep = _LONGEST - 1
    return f"{name[: keep - keep // 2]}…{name[-(keep // 2) :]}"
