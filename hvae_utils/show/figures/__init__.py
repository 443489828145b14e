"""The figures, one module each, named as the figure's file without its number.

Every module has `table(...)`, which returns the tidy table that is saved as CSV beside the figure,
and `draw(table)`, which draws that table; `style.save` writes both:

>>> import hvae_utils as hvae
>>> items = hvae.figures.slider_items.table(hvae.instrument("svo-slider"), hvae.values())
>>> len(items), len(hvae.figures.slider_items.draw(items).axes)
(56, 2)

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
