"""HVAE workbook: when a language model is told to hold a value, does it act on it?

>>> import hvae_utils as hvae
>>> slider = hvae.instrument("svo-slider")
>>> always_first = [[0, 0, 0, 0, 0, 0]]
>>> hvae.score(always_first, slider)[["angle", "category"]].round(1).values.tolist()
[[30.5, 'prosocial']]

A STUDY (models x values x prompt factors) is expanded into CONDITIONS, each condition is
ADMINISTERED an instrument, every request leaves a RECORD, records become SCORES, scores become a
VERDICT (steerability, value rationality), and figures only read those tables. All of it lies in the
folder of a RUN.

| folder  | its one job |
|---|---|
| measure | what is asked, and how answers become angles |
| metrics | how well a value is followed, and how sure that is |
| ask     | who answers: prompts out, replies in |
| play    | a study is played and recorded |
| show    | pictures and words |
| run     | the notebooks executed, checked, published |
| teach   | the course |
| extras  | what most users never open: a Dask cluster, batches, inspect_ai, results for others |

A module imports from its own folder or from the folders above it in this list; `errors`, `paths`
and `files` stand beside the stairs. `import hvae_utils` loads nothing: a name of the face brings
its module when it is first used.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

# name of the face -> module, or module:attribute
_FACE = {
    "Run": "run.run:Run",
    "Study": "play.study:Study",
    "begin": "run.workbook:begin",
    "chance": "metrics.chance",
    "figures": "show.figures",
    "instrument": "measure.instruments:load",
    "instruments": "measure.instruments",
    "panels": "show.panels",
    "rationality": "metrics.rationality",
    "replies": "ask.replies",
    "reproduce": "run.workbook:reproduce",
    "save": "show.style:save",
    "score": "measure.svo:score",
    "steerability": "metrics.steerability:table",
    "svo": "measure.svo",
    "value_rationality": "metrics.rationality:value_rationality",
    "values": "measure.values",
}


class _CallableModule(ModuleType):
    """`hvae.values()` gives the values, and `hvae.values` is the module with all about them."""

    def __call__(self) -> dict[str, Any]:
        return self.load()


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'hvae_utils' has no attribute '{name}'")
    module_name, _, attribute = _FACE[name].partition(":")
    value = importlib.import_module(f"hvae_utils.{module_name}")
    if name == "values":
        value.__class__ = _CallableModule
    if attribute:
        value = getattr(value, attribute)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_FACE])
