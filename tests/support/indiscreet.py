"""The whole workbook, played once a session: two simulated respondents and two chat models.

The endpoint of the one tells the key it was sent, and writes markup, wherever it can; it is read by
probabilities. That of the other refuses a parameter, leaves one item open, and never lists a
probability. Run and bundle are made by the command itself, in processes of its own.
"""

import base64
import os
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hvae_utils import paths
from hvae_utils.ask.respondents import PROBED
from hvae_utils.play.route import PROBE
from tests.support.fake_endpoint import completion, serve

KEY = "planted-key-0123456789-abcdef"
USER, PASSWORD, QUERY = "agent-of-ours", "S3cret/Pass", "TOPSECRETQ"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (USER, PASSWORD, quote(PASSWORD, safe=""), BASIC, QUERY)  # all that a URL can hold
MODEL, PLAIN = "openai/indiscreet", "openai/plain"
MARKUP = '<script>alert("x")</script><img src=x onerror=alert(1)>'
SMALL = (
    *("values=prosocial,none", "orders=fixed,reversed", "repeats=1", "probe_values=prosocial"),
    *("wordings=plain,formal", "isomorphs=svo-slider+swapped", "game_wordings=1"),
    *("games=ultimatum-responder", "weights=0,1"),
    f"models=reference/faithful,reference/random,{PLAIN},{MODEL}",  # the last one's words are shown
)
ENDPOINT = ("OPENAI_API_KEY", "OPENAI_BASE_URL")


@dataclass(frozen=True)
class Played:
    """What the study left: folder, run and bundle, what the commands said, what was asked."""

    folder: Path
    run: Path
    bundle: Path
    said: str
    asked: list[dict[str, Any]]


def hvae(
    folder: Path, *arguments: str, code: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command, or code, in `folder`; with no endpoint, key or weights but those given."""
    clean = {name: value for name, value in os.environ.items() if name not in ENDPOINT}
    search = os.pathsep.join([str(paths.ROOT), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": search, "HVAE_CACHE": str(folder / "no-weights")}
    command = [sys.executable, *(["-c", code] if code else ["-m", "hvae_utils"]), *arguments]
    return subprocess.run(
        command, env=clean | own | environment, cwd=folder, capture_output=True, text=True
    )


def secretive(url: str) -> str:
    """Return the URL with user, password and query."""
    user = f"{USER}:{quote(PASSWORD, safe='')}"
    return f"{url.replace('//', f'//{user}@')}?api_key={QUERY}"


def reply(seen: dict[str, Any]) -> tuple[int, Any]:
    """Answer by what was asked alone; the secrets stand in text, tokens, names and errors."""
    if seen["model"] == PLAIN.removeprefix("openai/"):
        return plain(seen)
    told, question = " ".join([seen["_authorization"], *SECRETS]), str(seen["messages"])
    draw, probed = zlib.crc32(question.encode()), PROBE in question
    if seen["max_tokens"] > 24:
        return 200, completion(f"I try to be fair. {told} {MARKUP}")
    if draw % 11 == 0 and not probed:
        return 400, {"error": {"message": f"no answer to {told}"}}
    if draw % 7 == 0 and not probed:
        return 200, completion(f"I was sent {told} {MARKUP}", finish_reason=told)
    letter = PROBED if probed else "ABCDEFGHI"[draw % 9]
    first = {"token": letter, "logprob": -0.1, "bytes": None}
    listed = [{**first, "token": told, "logprob": -3.0}, first]
    content = {"content": [{**first, "top_logprobs": listed}]}
    return 200, {**completion(f"{letter}. {MARKUP}", logprobs=content), "model": told}


def plain(seen: dict[str, Any]) -> tuple[int, Any]:
    """Answer "B", but the first item, whose first payoffs are 85 and 85, without a choice."""
    if "top_logprobs" in seen:
        return 400, {"error": {"message": "unsupported parameter: top_logprobs"}}
    first = any("85, 85" in message["content"] for message in seen["messages"])
    return 200, completion("I cannot say." if first else "B")


def study(folder: Path) -> Played:
    """Play the study and bundle it."""
    settings = [part for setting in SMALL for part in ("--set", setting)]
    place = ["--runs", "runs", "--run-id", "first"]
    with serve(reply) as (url, asked):
        played = hvae(
            folder, "reproduce", "--profile", "smoke", *settings, *place,
            OPENAI_API_KEY=KEY, OPENAI_BASE_URL=secretive(url),
        )  # fmt: skip
    bundled = hvae(folder, "bundle", *place, OPENAI_API_KEY=KEY)
    said = played.stdout + played.stderr + bundled.stdout + bundled.stderr
    assert (played.returncode, bundled.returncode) == (0, 0), said
    return Played(folder, folder / "runs" / "first", folder / "first.zip", said, asked)
