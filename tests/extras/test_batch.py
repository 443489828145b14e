"""Through the Batch API, stage by stage, a study comes out as if every request had been asked."""

import hashlib
import json
import math

import pytest

from hvae_utils import __main__ as cli
from hvae_utils.ask import chat, models
from hvae_utils.ask.respondents import PROBED, Answer, Request
from hvae_utils.errors import UserError
from hvae_utils.extras import batch
from hvae_utils.play import administer, check, engine, estimate, route
from hvae_utils.play.records import Held, Records, read
from tests.play.test_administer import Scripted

MODEL = "openai/scripted"
PARAMETERS = {
    "models": [MODEL, "reference/faithful"],
    "values": ["altruistic", "none"],
    "goal_prompts": [False, True],
    "placements": ["dialogue", "system"],
    "wordings": ["plain"],
    "repeats": 2,
    "temperature": 1.0,
    "reask": True,
    "isomorphs": ["svo-slider+swapped"],
    "probe_values": ["prosocial"],
}
IGNORED = ["latency_s"]


def scripted(body):
    """Return what the model writes: chosen by the prompt, now and then no choice at all."""
    last = body["messages"][-1]["content"]
    if last == route.PROBE:
        return PROBED
    number = int(hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest(), 16)
    if "\nA: " in last or "A, B, C" in last:
        return "Hm, hard to say." if number % 4 == 0 else f"Option {'ABCDEFGHI'[number % 9]}"
    return f'I said "{number % 1000}" to:\n{last[:40]}'


def completion(body, **choice):
    text = scripted(body)
    first = {"index": 0, "message": {"role": "assistant", "content": text}, **choice}
    first.setdefault("finish_reason", "stop")
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "scripted-1"}
    return {**head, "choices": [first], "usage": usage}


def process(files):
    """Be the batch service: answer input files, in an order of its own; return output lines."""
    asked = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
    assert len({line["custom_id"] for line in asked}) == len(asked)
    assert {(line["method"], line["url"]) for line in asked} == {("POST", "/v1/chat/completions")}
    assert {line["body"]["model"] for line in asked} == {"scripted"}  # as the endpoint calls it
    return [
        {
            "id": f"batch_req_{line['custom_id']}",
            "custom_id": line["custom_id"],
            "response": {"status_code": 200, "request_id": "r", "body": completion(line["body"])},
            "error": None,
        }
        for line in reversed(asked)
    ]


def written(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def known(planned, records, folder):
    """Go through the first stage, which finds out how the model is asked; return the records."""
    (done,) = batch.export(planned, records, folder / "first")
    assert done.stage == {"probe": 1}
    batch.take(planned, records, [written(folder / "first.jsonl", process(done.files))])
    return records


def played(planned, records):
    check.capabilities(planned[0].conditions, records)
    tables = []
    for design in planned:
        assigned = administer.assign_values(design.conditions, records)
        tables.append(administer.put_items(assigned, records, design.reask))
    return tables


def lines_of(path):
    return {line["key"]: line for line in read(path) if line["model"] == MODEL}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "for-nobody")
    monkeypatch.setattr(check, "told", lambda name: check.Capability(name, ""))


@pytest.fixture
def planned():
    return estimate.designs(PARAMETERS)


@pytest.mark.parametrize("readout", ["text", "probabilities"])
def test_stage_by_stage_the_tables_are_those_of_a_direct_run(tmp_path, monkeypatch, readout):
    planned = estimate.designs({**PARAMETERS, "readout": readout})
    respondent = models.respondent
    reply = lambda request: chat.read(completion(chat.body("scripted", request)))  # noqa: E731
    direct = Scripted(reply, probe=reply)
    direct.identity = models.identity(MODEL)
    pick = lambda name, *limits: direct if name == MODEL else respondent(name)  # noqa: E731
    monkeypatch.setattr(engine.models, "respondent", pick)
    with Records(tmp_path / "direct.jsonl") as records:
        expected = played(planned, records)
    stages = 0
    with Records(tmp_path / "batch.jsonl") as records:
        while True:
            stages += 1
            (done,) = batch.export(planned, records, tmp_path / f"in{stages}")
            if not done.files:
                break
            out = written(tmp_path / f"out{stages}.jsonl", process(done.files))
            (taken,) = batch.take(planned, records, [out])
            assert taken.lines == {"recorded": done.stage.total()}
            assert stages < 12
    assert done.later == 0
    fail = lambda request: pytest.fail("asked")  # noqa: E731
    silent = Scripted(fail, probe=fail)
    silent.identity = direct.identity
    monkeypatch.setattr(
        engine.models,
        "respondent",
        lambda name, *limits: silent if name == MODEL else respondent(name),
    )
    with Records(tmp_path / "batch.jsonl") as records:
        found = played(planned, records)
    for table, wanted in zip(found, expected, strict=True):
        assert table.drop(columns=IGNORED).equals(wanted.drop(columns=IGNORED))
    kept = {line["key"]: line for line in read(tmp_path / "batch.jsonl") if line["model"] == MODEL}
    asked = {
        line["key"]: line for line in read(tmp_path / "direct.jsonl") if line["model"] == MODEL
    }
    assert kept.keys() == asked.keys()
    assert len(kept) == len(direct.asked) + len(direct.probed)
    for name, line in asked.items():
        assert kept[name].keys() == line.keys()
        for part in line.keys() - {"latency_s", "answered_at", "condition_id"}:  # who asked first
            assert kept[name][part] == line[part]


def test_after_the_probe_comes_what_needs_no_reply_and_a_guess_of_the_rest_is_given(
    planned, tmp_path
):
    with Records(tmp_path / "records.jsonl") as records:
        (done,) = batch.export(planned, known(planned, records, tmp_path), tmp_path / "in")
    described = 2 * 1  # repeats of the altruistic value; both placements share them
    assert done.stage["describe"] == described + 1  # and the prosocial value of the probes
    assert done.stage["item"] == 2 * 6  # without value and goal nothing stands before an item
    assert done.stage["goal"] == 2  # nor before a goal
    assert done.stage["check"] == 1  # is a system turn taken?
    assert done.later > 50


def test_files_are_split_at_the_limits_of_the_service(planned, tmp_path, monkeypatch):
    with Records(tmp_path / "records.jsonl") as records:
        known(planned, records, tmp_path)
        monkeypatch.setattr(batch, "LINES", 4)
        (done,) = batch.export(planned, records, tmp_path / "lines")
        counts = [len(path.read_bytes().splitlines()) for path in done.files]
        assert set(counts[:-1]) == {4}
        assert sum(counts) == done.stage.total()
        monkeypatch.setattr(batch, "BYTES", 3000)
        (done,) = batch.export(planned, records, tmp_path / "bytes")
    assert max(path.stat().st_size for path in done.files) <= 3000


def test_a_folder_with_something_in_it_is_left_alone(planned, tmp_path):
    (tmp_path / "x").write_text("sent yesterday")
    with pytest.raises(UserError, match="not empty"):
        batch.export(planned, Held(), tmp_path)


def test_what_is_wrong_with_a_line_is_counted_and_never_fatal(planned, tmp_path):
    with Records(tmp_path / "records.jsonl") as records:
        (done,) = batch.export(planned, known(planned, records, tmp_path), tmp_path / "in")
        good, again, failed, odd, empty, *_ = process(done.files)
        failed |= {"response": {"status_code": 429, "body": {"error": {"message": "slow\ndown"}}}}
        expired = {**odd, "response": None, "error": {"code": "batch_expired", "message": "late"}}
        empty["response"]["body"] = {"choices": "none", "usage": 3}
        lines = [good, again, again, failed, expired, empty, {**good, "custom_id": "f" * 20}]
        out = written(tmp_path / "out.jsonl", lines)
        with out.open("ab") as file:
            file.write(b'{"custom_id": 7}\n[1]\n\xff\xfe\n\n{"custom_id": "x"\n' + b"[" * 9000)
        (taken,) = batch.take(planned, records, [out])
        assert taken.lines == {
            "recorded": 2, "duplicated": 1, "failed": 3, "unmatched": 1, "malformed": 5,
        }  # fmt: skip
        assert taken.error == "batch: 429 slow down"
        (rest,) = batch.export(planned, records, tmp_path / "rest")
        remaining = rest.stage.total()
        once_more = batch.take(planned, records, [written(tmp_path / "o2", process(rest.files))])
    assert {"describe", "item"} & set(rest.stage)
    assert once_more[0].lines["recorded"] == remaining  # what failed is asked again, and answered


def test_log_probabilities_that_are_no_finite_numbers_leave_a_run_that_can_go_on(tmp_path):
    planned = estimate.designs({**PARAMETERS, "readout": "probabilities", "values": ["none"]})
    with Records(tmp_path / "records.jsonl") as records:
        (done,) = batch.export(planned, records, tmp_path / "in")
        lines = process(done.files)
        for line in lines:
            entries = [
                {"token": token, "logprob": value}
                for token, value in (("C", -0.01), ("A", -math.inf), ("B", math.nan))
            ]
            first = line["response"]["body"]["choices"][0]
            first["logprobs"] = {"content": [{**entries[0], "top_logprobs": entries}]}
            first["message"]["content"] = "C"
        (taken,) = batch.take(planned, records, [written(tmp_path / "out", lines)])
        assert taken.lines == {"recorded": done.stage.total()}
        for line in read(tmp_path / "records.jsonl"):
            assert line["top_logprobs"] == [["C", -0.01]]
        (later,) = batch.export(planned, records, tmp_path / "later")
    assert later.stage["readout"] > 0


def test_megabytes_of_garbage_are_some_malformed_lines(planned, tmp_path):
    (tmp_path / "garbage").write_bytes(b"\0" * 1_000_000 + b"\n" + b"x" * 5000)
    with Records(tmp_path / "records.jsonl") as records:
        (taken,) = batch.take(planned, records, [tmp_path / "garbage"])
    assert taken.lines == {"malformed": 2}
    assert len(records) == 0


def test_the_command_exports_and_imports(tmp_path, capsys):
    study = ["--set", f"models={MODEL}", "--set", "values=none", "--runs", str(tmp_path)]
    study += ["--profile", "smoke", "--set", "repeats=1", "--set", "goal_prompts=false"]
    study += ["--set", "probe_values=", "--set", "readout=text", "--set", "wordings=plain"]
    study += ["--set", "orders=fixed,reversed"]
    assert cli.main(["batch", "export", *study, str(tmp_path / "in")]) == 0
    assert "1 probe in" in capsys.readouterr().out
    out = written(tmp_path / "first.jsonl", process(sorted((tmp_path / "in").iterdir())))
    assert cli.main(["batch", "import", *study, str(out)]) == 0
    assert "1 recorded" in capsys.readouterr().out
    assert cli.main(["batch", "export", *study, str(tmp_path / "in2")]) == 0
    assert "1 check, 12 item in" in capsys.readouterr().out  # six items in two orders
    out = written(tmp_path / "out.jsonl", process(sorted((tmp_path / "in2").iterdir())))
    assert cli.main(["batch", "import", *study, str(out), str(out)]) == 0
    first, second, *_ = (line for line in capsys.readouterr().out.splitlines() if "out" in line)
    assert "13 recorded" in first
    assert "13 duplicated" in second
    assert cli.main(["batch", "import", *study, str(tmp_path / "no such file")]) == 2
    assert "cannot read" in capsys.readouterr().err


ASKED = Request(
    kind="item", model=MODEL, messages=(), condition={"value": "none"}, max_tokens=24,
    temperature=0.0, seed=1, thinking_tokens=100,
)  # fmt: skip
GOOD = completion({"messages": [{"role": "user", "content": route.PROBE}]})
TOLD = {"message": "slow down"}


@pytest.mark.parametrize(
    "line",
    [
        {"response": {"status_code": 200, "body": GOOD}, "error": None},
        {"response": {"status_code": "200", "body": GOOD}},
        {"response": {"body": GOOD}, "error": ""},
        {"response": {"status_code": 200, "body": json.dumps(GOOD)}},
        {"response": json.dumps({"status_code": 200, "body": GOOD})},
        {"response": {"status_code": 200, "body": GOOD}, "error": {"code": None, "message": ""}},
        {"response": {"status_code": 200, "body": GOOD}, "error": {"message": "ignore me"}},
        {"response": GOOD, "error": None},  # vllm run-batch
        {"status_code": 200, "body": GOOD},
        GOOD,
        {"result": {"type": "succeeded", "message": GOOD}},
    ],
)
def test_an_answer_is_found_wherever_a_vendor_puts_it(line):
    answer = batch._answer({"custom_id": "k", **line}, ASKED)
    assert (answer.text, answer.error, answer.prompt_tokens) == (PROBED, None, 9)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({"response": {"status_code": 429, "body": {"error": TOLD}}}, "429 slow down"),
        ({"response": {"status_code": "429", "body": {"error": TOLD}}}, "429 slow down"),
        ({"response": {"status_code": "500", "body": GOOD}}, "500"),
        ({"response": {"status_code": 400, "body": json.dumps({"error": TOLD})}}, "400 slow down"),
        ({"error": {"code": "expired", "message": "late"}, "response": None}, "expired late"),
        ({"error": {"code": 429}, "response": {"status_code": 200, "body": GOOD}}, "200 429"),
        ({"error": TOLD}, "slow down"),
        ({"error": "slow down"}, "slow down"),
        (
            {"result": {"type": "errored", "error": {"type": "error", "error": {
                "type": "rate_limit_error", "message": "slow down"}}}},
            "slow down",
        ),
        ({"result": {"type": "canceled"}}, "canceled"),
        ({"response": {}}, "no reply"),
        ({"response": {"status_code": True, "body": 7}}, "no reply"),
    ],
)  # fmt: skip
def test_an_error_is_found_wherever_a_vendor_puts_it(line, error):
    answer = batch._answer({"custom_id": "k", **line}, ASKED)
    assert (answer.text, answer.error) == (None, f"batch: {error}")


@pytest.mark.parametrize(
    ("line", "finish"),
    [
        ({"response": {"status_code": 400, "body": {"error": {"code": "content_filter"}}}},
         "content_filter"),
        ({"error": {"code": "content_filter", "message": "filtered"}}, "content_filter"),
        ({"response": {"status_code": 400, "body": {"error": {"message": "max_tokens or model "
            "output limit was reached"}}}}, "length"),
    ],
)  # fmt: skip
def test_a_refusal_and_a_cut_that_come_as_errors_are_what_they_are(line, finish):
    answer = batch._answer({"custom_id": "k", **line}, ASKED)
    assert (answer.text, answer.error) == ("", None)
    assert answer.finish_reason == finish
    assert answer.cause


MESSAGE = {
    "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "B"}],
    "stop_reason": "end_turn", "usage": {"input_tokens": 9, "output_tokens": 7}, "model": "claude",
}  # fmt: skip


def test_a_message_of_anthropic_is_read_as_any_reply_with_its_thought_apart():
    answer = batch._answer({"result": {"type": "succeeded", "message": MESSAGE}}, ASKED)
    assert (answer.text, answer.thought, answer.finish_reason) == ("B", "Hm.", "stop")
    assert (answer.prompt_tokens, answer.completion_tokens) == (9, 7)


def test_a_thought_that_took_all_the_room_is_named_as_the_cause():
    body = completion({"messages": [{"role": "user", "content": ""}]}, finish_reason="length")
    body["choices"][0]["message"]["content"] = ""
    body["usage"] |= {
        "completion_tokens": 124,
        "completion_tokens_details": {"reasoning_tokens": 124},
    }
    answer = batch._answer({"response": {"status_code": "200", "body": body}}, ASKED)
    assert (answer.text, answer.thinking_tokens) == ("", 124)
    assert answer.cause == "thought for 124 of 124 tokens"


def test_a_choice_that_was_cut_off_by_an_error_is_an_error():
    body = {**GOOD, "choices": [{**GOOD["choices"][0], "error": {"code": 502, "message": "gone"}}]}
    assert batch._answer({"response": {"status_code": 200, "body": body}}, ASKED).error


def test_the_cap_and_the_words_about_thinking_are_those_of_a_direct_request(tmp_path):
    low = {**PARAMETERS, "deliberations": ["low"], "thinking_tokens": 500, "probe_values": []}
    planned = estimate.designs(low)
    with Records(tmp_path / "records.jsonl") as records:
        (done,) = batch.export(planned, records, tmp_path / "in")
        bodies = [json.loads(line)["body"] for line in done.files[0].read_bytes().splitlines()]
        assert [(body["max_tokens"], body["reasoning_effort"]) for body in bodies] == [(1, "low")]
        batch.take(planned, records, [written(tmp_path / "out", process(done.files))])
        (done,) = batch.export(planned, records, tmp_path / "in2")
    lines = [line for path in done.files for line in path.read_bytes().splitlines()]
    bodies = [json.loads(line)["body"] for line in lines]
    assert {body["max_tokens"] - 500 for body in bodies} == {4, 24, 64, 96}
    assert {body["reasoning_effort"] for body in bodies} == {"low"}


def test_a_line_that_is_nested_without_end_ends():
    line = {"error": {"message": "deep"}}
    for _ in range(400):
        line = {"response": line}
    assert batch._answer(line, ASKED).error == "batch: no reply"


def test_a_retired_model_is_not_exported(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    planned = estimate.designs({**PARAMETERS, "models": ["paper/gpt-4"]})
    with pytest.raises(UserError, match=r"paper/gpt-4 is not ready: .* was retired on "):
        batch.export(planned, Held(), tmp_path / "in")
    assert not (tmp_path / "in").exists()
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")  # may still serve it
    assert batch.export(planned, Held(), tmp_path / "in")[0].stage


def test_an_error_of_a_batch_is_one_short_line():
    answer = batch._answer({"error": {"message": "long " * 1000}, "response": None}, ASKED)
    assert isinstance(answer, Answer)
    assert len(answer.error) <= 200
