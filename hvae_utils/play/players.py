"""Who plays a study: this process, or a plug-in that the environment names.

A plug-in is a module with `player(argument)`, a context that gives an object with the functions
`assign_values` and `put_items` of `administer`, and with `require(argument, budget)`, which raises
UserError where it cannot play. `hvae reproduce --scheduler` names `extras.cluster`.
"""

import atexit
import contextlib
import importlib
import os
from collections.abc import Iterator
from functools import cache
from typing import Any

from hvae_utils.ask import replay

VARIABLE = "HVAE_PLAYER"  # module:argument; kernels inherit it
_opened = contextlib.ExitStack()
atexit.register(_opened.close)


@contextlib.contextmanager
def playing(plug_in: str) -> Iterator[None]:
    """Let `plug_in`, module:argument, play the studies of this process and its kernels."""
    before = os.environ.get(VARIABLE, "")
    os.environ[VARIABLE] = plug_in or before
    try:
        yield
    finally:
        os.environ[VARIABLE] = before
        _opened.close()
        _opened_player.cache_clear()


def require(budget: str = "") -> None:
    """Raise UserError where the plug-in cannot play a study with this budget."""
    if plug_in := os.environ.get(VARIABLE):
        module, _, argument = plug_in.partition(":")
        importlib.import_module(module).require(argument, budget)


def elsewhere() -> Any:
    """Return what plays instead of this process, or None; a replay is always played here."""
    plug_in = os.environ.get(VARIABLE)
    return _opened_player(plug_in) if plug_in and replay.identities() is None else None


@cache
def _opened_player(plug_in: str) -> Any:
    module, _, argument = plug_in.partition(":")
    return _opened.enter_context(importlib.import_module(module).player(argument))
