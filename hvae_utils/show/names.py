"""What a respondent is called: a short name that no other has, a dagger where it is flagged.

How it deliberates stands after the name of its model, here and in sentences in the same words.
"""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from hvae_utils.measure import factors

FLAG = " †"
_LONGEST = 26  # characters that fit above a panel


def display_names(models: Iterable[str]) -> dict[str, str]:
    """Return a short name for each model: no family prefix, no folders, and still all different.

    Names that would collide keep their family; those too long for a panel lose their middle.

    >>> display_names(["local/smollm2-135m-instruct", "ollama/a", "vllm/a"]).values()
    dict_values(['smollm2-135m-instruct', 'ollama/a', 'vllm/a'])
    >>> display_names(["openai/gpt-6", "openai/gpt-6+low"]).values()
    dict_values(['gpt-6', 'gpt-6 · thinking low'])
    """
    parts = {respondent: factors.model_of(respondent) for respondent in map(str, models)}
    names = _of_models(dict.fromkeys(model for model, _ in parts.values()))
    return {
        respondent: names[model] + ("" if way == "direct" else f" · {level_name(way)}")
        for respondent, (model, way) in parts.items()
    }


def level_name(deliberation: str) -> str:
    """Return what a level of deliberation is called: direct, reasoned, thinking low.

    >>> level_name("off"), level_name("reasoned")
    ('thinking off', 'reasoned')
    """
    return f"thinking {deliberation}" if deliberation in factors.THINKING else deliberation


def level_clause(deliberation: str) -> str:
    """Return what a sentence about a respondent ends in, '' where it is asked directly.

    >>> f"It acts on its value{level_clause('reasoned')}."
    'It acts on its value when it thinks first.'
    """
    if deliberation == "direct":
        return ""
    if deliberation == "reasoned":
        return " when it thinks first"
    return f" with its thinking set to {deliberation}"


def _of_models(models: Iterable[str]) -> dict[str, str]:
    short = {}
    for model in models:
        file_name = model.rstrip("/").replace("\\", "/").split("/")[-1]
        short[model] = file_name.removesuffix(".gguf") or model
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

    cells: with the column `flag` of `quality.with_readings`; without it no name is marked.
    """
    if "flag" not in cells:
        return table
    with_target = cells.dropna(subset="target")
    doubtful = with_target["flag"].fillna("").ne("").groupby(with_target["model"]).mean() > 0.5
    marked = table["model"].isin(doubtful.index[doubtful])
    return table.assign(respondent=table["respondent"].mask(marked, table["respondent"] + FLAG))


def flag_note(names: Iterable[str]) -> str:
    """Return what the dagger means, for a caption, and whose name carries it; else ''."""
    marked = list(dict.fromkeys(name for name in names if name.endswith(FLAG)))
    if not marked:
        return ""
    return (
        f" A dagger marks {joined(name.removesuffix(FLAG) for name in marked)}: most of the cells "
        "are flagged, because people's answers of that kind would not be accepted as data."
    )


def number(value: float, digits: int = 0, unit: str = "") -> str:
    """Return a number in words' type: a true minus, and none before a zero.

    >>> number(-0.004, 2), number(-16.26, 1, "°"), number(float("nan"))
    ('0.00', '−16.3°', 'not estimable')
    """
    if pd.isna(value):
        return "not estimable"
    return f"{value:z.{digits}f}{unit}".replace("-", "−")


def each(numbers: pd.Series, digits: int = 0, unit: str = "") -> str:
    """Return the numbers of a Series with the names in its index, as one phrase.

    >>> each(pd.Series({"faithful": 61.39, "random †": 22.7}), 1, "°")
    'faithful 61.4° and random 22.7°'
    """
    pairs = zip(map(str, numbers.index), numbers, strict=True)
    return joined(f"{name.removesuffix(FLAG)} {number(x, digits, unit)}" for name, x in pairs)


def joined(words: Iterable[object]) -> str:
    """Return the words as one phrase, "none" for no words.

    >>> joined("abc"), joined("a"), joined("")
    ('a, b and c', 'a', 'none')
    """
    *most, last = [*map(str, words)] or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def _fitted(name: str) -> str:
    """Return the name, its middle left out where it is too long."""
    half = (_LONGEST - 1) // 2
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1 - half]}…{name[-half:]}"
