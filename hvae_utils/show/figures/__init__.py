"""The figures, one module each, named as the figure's file without its number.

Every module has `table(...)`, which returns the tidy table that is saved as CSV beside the figure,
and `draw(table)`, which draws that table and nothing else:

    items = figures.outcomes.table(responses, conditions)
    style.save(figures.outcomes.draw(items), items, folder, "07_outcomes", caption, alt)

The published radar is `vr_radar.draw` of the table `vr_radar.published_table`.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

__all__ = [module.name for module in iter_modules(__path__)]


def __getattr__(name: str) -> ModuleType:
    """Load a figure's module when it is first used."""
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"there is no figure '{name}'; there are {', '.join(__all__)}")
