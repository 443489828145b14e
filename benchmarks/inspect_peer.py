"""inspect_ai on the requests of the throughput benchmark, run by a Python that has inspect_ai.

    .venv-peers/bin/python benchmarks/inspect_peer.py URL BODIES IN_FLIGHT

BODIES: a file of chat completion bodies, one JSON object a line. Prints {"requests", "seconds",
"version"} as JSON. The task is the plainest there is: the messages as they stand, one generation
a sample, no scorer, no display, as many connections and samples as requests in flight, the log
in a temporary folder. A small evaluation goes first, so that imports and caches are not counted.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    get_model,
)
from inspect_ai.solver import generate

KINDS = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


def evaluate(url: str, bodies: list[dict], in_flight: int) -> float:
    """Return the seconds that one evaluation of all bodies took; stops where a sample failed."""
    samples = [
        Sample(input=[KINDS[said["role"]](content=said["content"]) for said in body["messages"]])
        for body in bodies
    ]
    shared = {name: bodies[0][name] for name in ("max_tokens", "temperature", "seed")}
    shared |= {"logprobs": True, "top_logprobs": bodies[0]["top_logprobs"]}
    config = GenerateConfig(max_connections=in_flight, **shared)
    model = get_model("openai-api/fake/fake-1", base_url=url, api_key="not-needed", config=config)
    task = Task(dataset=samples, solver=generate())
    with tempfile.TemporaryDirectory() as logs:
        started = time.perf_counter()
        (log,) = eval(
            task,
            model=model,
            max_samples=in_flight,
            log_dir=logs,
            display="none",
            log_realtime=False,  # a viewer's live database: it would only make this slower
            fail_on_error=True,
        )
        seconds = time.perf_counter() - started
    if log.status != "success" or log.results.completed_samples != len(bodies):
        raise SystemExit(f"inspect_ai ended with {log.status}: {log.error}")
    return seconds


def main() -> None:
    """Evaluate and print the time."""
    url, path, in_flight = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    bodies = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    evaluate(url, bodies[:8], in_flight)
    seconds = evaluate(url, bodies, in_flight)
    found = {"requests": len(bodies), "seconds": seconds, "version": version("inspect_ai")}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
