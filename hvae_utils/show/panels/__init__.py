"""Panels to use by hand in JupyterLab: each is a widget, and shows pictures of its state.

`Measure(models, people)`, `flip(measure)` and `noise()` need no model; `watch(ask, factors)` and
`design(ask, models)` ask one, by way of the `ask` they are given (`play.watch.ask`). `ring(points)`
is the picture that all of them share, and `svg` has the smaller ones.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "sliders": ("Measure", "flip", "noise", "ideals", "respondents", "published_models", "people"),
    "asking": ("watch", "watched", "design", "tried"),
    "svg": ("Point", "ring"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [*_MODULES, *_PLACES]


def __getattr__(name: str) -> Any:
    """Load a panel's module when it is first used."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"there is no panel '{name}'; there are {', '.join(_PLACES)}")
