"""What a respondent is called: a short name that no other has, a dagger where it is flagged.

How it deliberates stands after the name of its model, here and in sentences in the same words.
"""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from hvae_utils.measure import factors

FLAG = " †"
_LONGEST = 26  # characters that fit above a panel
_LONGEST_IN_ALL = 36  # with how it deliberates, beside a row


def display_names(models: Iterable[str]) -> dict[str, str]:
    """Return a short name for each model: no family prefix, no folders, and still all different.

    Names that would collide keep their family; those too long for a panel lose their middle.

    >>> display_names(["local/smollm2-135m-instruct", "ollama/a", "vllm/a"]).values()
    dict_values(['smollm2-135m-instruct', 'ollama/a', 'vllm/a'])
    >>> display_names(["openai/gpt-6", "openai/gpt-6+low"]).values()
    dict_values(['gpt-6', 'gpt-6 · thinking low'])
    """
    parts = {respondent: factors.model_of(respondent) for respondent in map(str, models)}
    short = {model: _file_name(model) for model, _ in parts.values()}
    used, seen, names = Counter(short.values()), Counter(), {}
    for respondent, (model, level) in parts.items():
        name, way = short[model], "" if level == "direct" else f" · {level_name(level)}"
        if used[name] > 1:
            name = f"{model.split('/')[0]}/{name}"
        name = _fitted(name, min(_LONGEST, _LONGEST_IN_ALL - len(way))) + way
        seen[name] += 1
        names[respondent] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


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
    doubtful = with_target["flag"].astype(object).fillna("").ne("")
    doubtful = doubtful.groupby(with_target["model"]).mean() > 0.5
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


def _file_name(model: str) -> str:
    return model.rstrip("/").replace("\\", "/").split("/")[-1].removesuffix(".gguf") or model


def _fitted(name: str, most: int) -> str:
    """Return the name, its middle left out where it is too long."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}"
