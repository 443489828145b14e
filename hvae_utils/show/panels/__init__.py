"""Panels to use by hand in JupyterLab: each is a widget, and shows pictures of its state.

`Measure(models, people)`, `flip(measure)` and `noise()` need no model; `watch(ask, factors)` and
`design(ask, models)` ask one, by way of the `ask` they are given (`play.watch.ask`). `ring(points)`
is the picture that all of them share, and `svg` has the smaller ones.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    **dict.fromkeys(("Measure", "flip", "noise"), "sliders"),
    **dict.fromkeys(("ideals", "respondents", "published_models", "people"), "sliders"),
    **dict.fromkeys(("watch", "watched", "design", "tried"), "asking"),
    **dict.fromkeys(("Point", "ring"), "svg"),
}
__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    """Load a panel's module when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"there is no panel '{name}'; there are {', '.join(_MODULES)}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
