"""The figures, one module each, named as the figure's file without its number.

Every module has `table(...)`, which returns the tidy table that is saved as CSV beside the figure,
`draw(table)`, which draws that table, and `caption(table)` and `alt(table)`, which say how to read
the picture and what this one shows; `save` writes all of it:

>>> import hvae_utils as hvae
>>> items = hvae.figures.slider_items.table(hvae.instrument("svo-slider"), hvae.values())
>>> len(items), len(hvae.figures.slider_items.draw(items).axes)
(56, 2)

The published radar is `vr_radar.draw` of the table `vr_radar.published_table`.
"""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pandas as pd

from hvae_utils.show import style

_FOLDERS = {f"{__name__}.": __path__[0]}
for _folder in ("angles", "other_games", "rationality"):
    _FOLDERS[f"{__name__}.{_folder}."] = f"{__path__[0]}/{_folder}"
_MODULES = {
    found.name.rpartition(".")[2]: found.name
    for prefix, folder in _FOLDERS.items()
    for found in iter_modules([folder], prefix)
    if not found.ispkg
}
__all__ = [*sorted(_MODULES), "save"]


def save(module: ModuleType, table: pd.DataFrame, folder: Path, name: str) -> style.SavedFigure:
    """Draw a figure's table and save it under this name, with its caption and alternative text.

    module: of this folder, such as `figures.svo_ring`. Errors: as `style.save`, and as the figure's
    own for a table without the rows it draws.
    """
    drawn = module.draw(table)
    return style.save(drawn, table, folder, name, module.caption(table), module.alt(table))


def __getattr__(name: str) -> ModuleType:
    """Load a figure's module when it is first used."""
    if name in _MODULES:
        return import_module(_MODULES[name])
    raise AttributeError(f"there is no figure '{name}'; there are {', '.join(sorted(_MODULES))}")
