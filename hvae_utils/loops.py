"""An event loop for one piece of work: on uvloop where there is one, also inside a notebook.

It knows nothing about the work, and leaves the process as it was found.

Public names: run.
"""

import asyncio
import contextlib
import gc
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

COLLECTED_AFTER = (50_000, 50, 100)  # new objects, and rounds of the younger generations


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, also inside a notebook whose own loop is running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run_here(work)
    outcome: dict[str, Any] = {}
    started = threading.Event()

    def in_thread() -> None:
        async def main() -> None:
            outcome["loop"], outcome["task"] = asyncio.get_running_loop(), asyncio.current_task()
            started.set()
            outcome["result"] = await work

        try:
            _run_here(main())
        except BaseException as fault:
            outcome["fault"] = fault

    thread = threading.Thread(target=in_thread, name="hvae-play", daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        started.wait()
        with contextlib.suppress(RuntimeError):
            outcome["loop"].call_soon_threadsafe(outcome["task"].cancel)
        thread.join()
        raise
    if "fault" in outcome:
        raise outcome["fault"]
    return outcome["result"]


def _run_here(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop of its own; on uvloop, where the system has it."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # Windows, whose usual loop watches no sockets for libcurl
        new_event_loop = asyncio.SelectorEventLoop
    with _collecting_rarely(), asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


@contextlib.contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Have cycles looked for less often, and not among what is there already.

    Hundreds of requests in flight make the collector walk through all that is loaded, again and
    again, for nearly no garbage: about a seventh of the time of a request.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
