"""What is asked of a table before it is used.

Public names: needed_columns.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hvae_utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def needed_columns(table: "pd.DataFrame", name: str, columns: Iterable[str]) -> None:
    """Raise UserError, naming the table and the first absent column, unless all are there."""
    for column in columns:
        if column not in table:
            raise UserError(f"{name}: the column '{column}' is missing")
