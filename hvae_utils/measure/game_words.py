"""The words of a game: its rules, what an item states, what an option is called.

They stand in the instrument's own file, one table a wording pack, so that a game is two files.
Consequences are always stated beside the words, so that arithmetic is not what is measured.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hvae_utils import files
from hvae_utils.errors import UserError

BOTH = ("your coins", "the other person's coins")  # what the two numbers of an option are
_TEXTS = {"task": {"first", "second"}, "item": {"given"}, "option": {"act"}}
_LISTS = ("items", "options", "columns")


@dataclass(frozen=True)
class GameWords:
    """How one wording pack tells a game.

    task: the rules, the same for all items; item: a line above the options, with the coins that
    the item gives; items: the same where what is given has names, by its number; option: what
    stands behind the numbers of an option, with its act in coins; options: the same where acts have
    names, by the number of the act; columns: what the first and second number are.
    """

    task: str
    item: str = ""
    items: tuple[str, ...] = ()
    option: str = ""
    options: tuple[str, ...] = ()
    columns: tuple[str, str] = BOTH

    def stated(self, given: float | None, shown: str) -> str:
        """Return the line above the options, '' for none; shown: the number as it is printed."""
        return self.items[int(given)] if self.items else self.item.format(given=shown)

    def act(self, act: float, shown: str) -> str:
        """Return the words of an option's act; shown: the number as it is printed."""
        return self.options[int(act)] if self.options else self.option.format(act=shown)


def read(where: str, tables: Any) -> dict[str, GameWords]:
    """Return the words by wording pack; UserError, naming `where`, for what is malformed."""
    if not isinstance(tables, Mapping):
        raise UserError(f"{where}: 'wordings' must hold a table for each wording pack")
    if tables and "plain" not in tables:
        raise UserError(f"{where}: needs [wordings.plain], which stands in for packs without words")
    return {pack: _read_one(f"{where}, [wordings.{pack}]", tables[pack]) for pack in tables}


def _read_one(where: str, table: Any) -> GameWords:
    files.known_keys(where, table, (*_TEXTS, *_LISTS))
    if "task" not in table:
        raise UserError(f"{where}: 'task' is missing, the rules of the game")
    for key, wanted in _TEXTS.items():
        text = table.get(key, "".join(f"{{{name}}}" for name in wanted))
        if not isinstance(text, str) or {*re.findall(r"[{](.*?)[}]", text)} - wanted:
            names = " and ".join(f"{{{name}}}" for name in sorted(wanted))
            raise UserError(f"{where}: '{key}' must be a text with no placeholder but {names}")
    if not wanted_in(table["task"], _TEXTS["task"]):
        raise UserError(f"{where}: 'task' must say whose the {{first}} and {{second}} number are")
    for key in _LISTS:
        texts = table.get(key, ["", ""])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{where}: '{key}' must be a list of texts")
    if len(table.get("columns", BOTH)) != 2:
        raise UserError(f"{where}: 'columns' must say what the two numbers are")
    for one, several in (("item", "items"), ("option", "options")):
        if one in table and several in table:
            raise UserError(f"{where}: has '{one}' and '{several}'; write coins or names")
    lists = {key: tuple(table[key]) for key in _LISTS if key in table}
    return GameWords(**{key: table[key] for key in _TEXTS if key in table}, **lists)


def wanted_in(text: str, names: set[str]) -> bool:
    """Return whether a text holds all these placeholders."""
    return all(f"{{{name}}}" in text for name in names)


def check(
    where: str,
    words: Mapping[str, GameWords],
    given: np.ndarray | None = None,
    acts: np.ndarray | None = None,
) -> None:
    """Raise UserError where words and the columns `given` and `act` do not belong together."""
    for pack, told in words.items():
        where_in = f"{where}, [wordings.{pack}]"
        for column, text, names, values in (
            ("given", told.item, told.items, given),
            ("act", told.option, told.options, acts),
        ):
            if (f"{{{column}}}" in text or names) and values is None:
                raise UserError(f"{where_in}: tells '{column}', and the items have no such column")
            if names and not set(np.unique(values).tolist()) <= {*range(len(names))}:
                raise UserError(
                    f"{where_in}: needs a name for each number in the column '{column}', from 0"
                )
