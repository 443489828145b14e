"""The embedded model is real: it is asked, answers on loopback, and every answer is accounted for.

Needs the weights (`make weights`, part of `make test`); nothing here needs a network.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hvae_utils import local, models, paths, play, replies, scoring, study
from hvae_utils.errors import EndpointError
from hvae_utils.records import Records
from hvae_utils.respondents import Request

NAME = "local/smollm2-135m-instruct"


def request(text, **changes):
    given = {
        "kind": "item",
        "model": NAME,
        "messages": ({"role": "user", "content": text},),
        "condition": {"value": "none"},
        "max_tokens": 4,
        "temperature": 0.0,
        "seed": 1,
        "top_logprobs": 20,
    }
    return Request(**{**given, **changes})


def ask(*requests):
    async def main():
        async with models.respondent(NAME) as model:
            answers = [await model.answer(one) for one in requests]
            return answers, model._server.listening_address

    return asyncio.run(main())


@pytest.fixture(scope="module")
def answers():
    question = "Say the word yes."
    return ask(request(question), request(question), request(question, max_tokens=1))


def test_it_listens_on_loopback_only(answers):
    assert urlsplit(answers[1]).hostname == "127.0.0.1"


def test_greedy_answers_repeat_and_the_second_time_the_prompt_is_remembered(answers):
    first, second, _ = answers[0]
    assert first.text
    assert first.text == second.text
    assert first.served_model == "SmolLM2-135M-Instruct.Q4_1.gguf", "and not where it lies"
    assert second.cached_tokens > first.cached_tokens


def test_the_first_token_comes_with_the_probabilities_of_its_alternatives(answers):
    first, _, one_token = answers[0]
    assert len(first.top_logprobs) == 20
    values = [value for _, value in first.top_logprobs]
    assert values == sorted(values, reverse=True)
    assert max(values) <= 0
    assert one_token.finish_reason == "length"
    assert one_token.completion_tokens == 1


def test_a_model_that_is_asked_nothing_is_not_loaded_and_leaves_at_once():
    async def main():
        async with models.respondent(NAME) as model:
            return model._server

    assert asyncio.run(main()) is None


def test_a_file_that_only_looks_like_weights_is_named_and_nothing_crashes(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 2000)

    async def main():
        async with models.respondent(f"local/{path}") as model:
            await model.answer(request("hello"))

    with pytest.raises(EndpointError, match=r"cannot load broken\.gguf"):
        asyncio.run(main())


def test_any_gguf_file_works_by_its_path():
    path = local.find("smollm2-135m-instruct")
    respondent = models.respondent(f"local/{path}")
    assert respondent.weights == path


def test_a_real_model_is_told_a_value_plays_and_is_scored_end_to_end(tmp_path):
    planned = study.conditions(
        study.Study(models=(NAME,), values=("altruistic",), goal_prompts=(True,))
    )
    with Records(tmp_path / "records.jsonl") as records:
        assigned = play.assign(planned, records)
        responses = play.administer(assigned, records)
        asked = len(records)
    assert assigned.description[0]
    assert assigned.goal[0]
    assert assigned.goal[0] != assigned.description[0]
    assert responses["item"].tolist() == [1, 2, 3, 4, 5, 6]
    assert responses.outcome.isin(replies.OUTCOMES).all()
    assert (responses.outcome != "error").all()
    assert asked == 3 + responses.attempts.sum()
    assert responses.covered_mass.between(0, 1).all()
    chances = responses[[f"p{option}" for option in range(1, 10)]].sum(axis=1)
    assert chances.to_numpy() == pytest.approx(1)
    scores = scoring.administrations(assigned, responses)
    assert scores.answered[0] == (responses.outcome == "choice").sum()
    assert -16.27 < scores.angle_low[0] <= scores.angle_high[0] < 61.40
    with Records(tmp_path / "records.jsonl") as records:
        again = play.administer(play.assign(planned, records), records)
        assert len(records) == asked
    assert again.equals(responses)


LOADED_THREE_TIMES = """
import asyncio, os
from hvae_utils import models
from tests.ask.test_local import ask, request

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

held = []
for _ in range(3):
    ask(request("Say the word yes."))
    held.append(resident_mb())
print(held[2] - held[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_model_that_was_left_gives_its_memory_back_before_the_next_is_loaded():
    command = [sys.executable, "-c", LOADED_THREE_TIMES]
    done = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT)
    assert not done.returncode, done.stderr
    weights_mb = local.find("smollm2-135m-instruct").stat().st_size / 1e6
    assert float(done.stdout) < weights_mb / 2
