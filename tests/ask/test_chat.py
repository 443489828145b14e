"""A chat model behind an endpoint: one request, one answer; what fails is said, never raised."""

import asyncio
import json
import socket

import pytest

from hvae_utils.ask import chat, models, replies
from hvae_utils.ask.http.limits import Limit
from hvae_utils.ask.respondents import Request
from hvae_utils.errors import EndpointError
from tests.support.fake_endpoint import completion, serve

KEY = "planted-key-4711"


def request(**changes) -> Request:
    given = {
        "kind": "item",
        "model": "openai/m",
        "messages": ({"role": "user", "content": "choose"},),
        "condition": {"value": "none"},
        "max_tokens": 5,
        "temperature": 0.0,
        "seed": 3,
        "top_logprobs": 20,
    }
    return Request(**{**given, **changes})


def ask(url: str, *requests: Request):
    async def main():
        async with chat.ChatModel("openai/m", "m", url, KEY, Limit(16)) as model:
            return [await model.answer(one) for one in requests]

    return asyncio.run(main())


def listed(*pairs):
    entries = [{"token": token, "logprob": value, "bytes": None} for token, value in pairs]
    return {"content": [{**entries[0], "top_logprobs": entries}]}


def test_text_tokens_and_first_token_probabilities_come_through():
    body = completion("B", logprobs=listed(("B", -0.1), ("A", -2.5)))
    with serve(lambda sent: (200, body)) as (url, received):
        (answer,) = ask(url, request())
    assert (answer.text, answer.finish_reason, answer.error) == ("B", "stop", None)
    assert answer.top_logprobs == (("B", -0.1), ("A", -2.5))
    assert (answer.prompt_tokens, answer.completion_tokens) == (7, 1)
    assert answer.served_model == "fake-1"
    sent = received[0]
    assert (sent["model"], sent["max_tokens"], sent["temperature"], sent["seed"]) == ("m", 5, 0, 3)
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 20)
    assert sent["_authorization"] == f"Bearer {KEY}"


def test_an_endpoint_without_probabilities_or_usage_leaves_them_missing():
    body = completion(None)
    del body["usage"]
    with serve(lambda sent: (200, body)) as (url, _):
        (answer,) = ask(url, request())
    assert (answer.text, answer.top_logprobs, answer.prompt_tokens) == ("", None, None)


@pytest.mark.parametrize("count", ["1" + 400 * "0", "1000000001", "-1", "1e3", "true", '"7"'])
def test_a_count_that_no_request_can_have_is_missing(count):
    body = (
        json.dumps(completion("A")).encode().replace(b'"prompt_tokens": 7', b'"prompt_tokens": %s')
    )
    with serve(lambda sent: (200, body % count.encode())) as (url, _):
        (answer,) = ask(url, request())
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("A", None, 1)


def test_parameters_that_an_endpoint_refuses_are_left_out_from_then_on_and_noted():
    def picky(sent):
        for name in ("logprobs", "temperature"):
            if name in sent:
                return 400, {"error": {"message": f"{name} is not supported"}}
        if "max_tokens" in sent:
            return 400, {"error": {"message": "use max_completion_tokens instead"}}
        return 200, completion("A")

    with serve(picky) as (url, received):
        first, second = ask(url, request(), request(repeat=2))
    assert first.text == second.text == "A"
    assert first.dropped == ("logprobs", "temperature", "top_logprobs")
    assert len(received) == 5
    assert received[-1]["max_completion_tokens"] == 5


@pytest.mark.parametrize("refused", ["temperature", "max_tokens"])
def test_many_requests_at_once_survive_a_parameter_that_is_refused(refused):
    def picky(sent):
        if refused in sent:
            return 400, {"error": {"message": f"{refused}: use max_completion_tokens instead"}}
        return 200, completion("A")

    async def main(url):
        async with chat.ChatModel("openai/m", "m", url, KEY, Limit(16)) as model:
            several = [model.answer(request(repeat=repeat)) for repeat in range(8)]
            return await asyncio.gather(*several)

    with serve(picky) as (url, _):
        answers = asyncio.run(main(url))
    assert [answer.text for answer in answers] == ["A"] * 8


def test_log_probabilities_without_alternatives_do_not_lose_the_reply():
    bare = {"content": [{"token": "B", "logprob": -0.1, "bytes": None, "top_logprobs": None}]}
    with serve(lambda sent: (200, completion("B", logprobs=bare))) as (url, _):
        (answer,) = ask(url, request())
    assert (answer.text, answer.top_logprobs, answer.error) == ("B", None, None)


@pytest.mark.parametrize("infinite", [b"1e999", b"-1e999", b"NaN", b"-Infinity"])
def test_a_log_probability_that_is_no_finite_number_is_left_out(infinite):
    body = completion("B", logprobs=listed(("B", 4711), ("A", -2.5)))
    sent_back = json.dumps(body).encode().replace(b"4711", infinite)
    with serve(lambda sent: (200, sent_back)) as (url, _):
        (answer,) = ask(url, request())
    assert answer.top_logprobs == (("A", -2.5),)


def test_a_refusal_in_its_own_field_is_kept_as_what_was_said():
    body = completion(None)
    body["choices"][0]["message"]["refusal"] = "I cannot take part."
    with serve(lambda sent: (200, body)) as (url, _):
        (answer,) = ask(url, request())
    assert answer.text == "I cannot take part."
    assert replies.read(answer.text, answer.finish_reason, None, "ABC").outcome == "refusal"


def test_messages_show_no_password_and_no_query_of_a_url(monkeypatch):
    monkeypatch.setattr(chat, "RETRIES", 0)
    for url in ("http://127.0.0.1:9/v1?token=hidden", "http://someone:hidden@127.0.0.1:9/v1"):
        with pytest.raises(EndpointError) as fault:
            ask(url, request())
        assert "hidden" not in str(fault.value)
        assert "127.0.0.1:9/v1" in str(fault.value)


def test_a_url_of_no_known_scheme_is_named_at_once():
    with pytest.raises(EndpointError, match=r"cannot reach htp://127.0.0.1/v1 .*1 tries"):
        ask("htp://127.0.0.1/v1", request())


@pytest.mark.parametrize(("name", "sent"), [("openai/m", True), ("vllm/m", False)])
def test_an_organisation_is_named_to_openai_alone(monkeypatch, name, sent):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-planted")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-planted")

    async def main(url):
        async with chat.ChatModel(name, "m", url, KEY, Limit(16)) as model:
            await model.answer(request())

    with serve(lambda body: (200, completion("A"))) as (url, received):
        asyncio.run(main(url))
    assert ("org-planted" in received[0]["_headers"]) == sent
    assert ("proj-planted" in received[0]["_headers"]) == sent


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"error": {"message": "the prompt is too long"}}, "too long"),
        (200, {**completion("A"), "choices": []}, "no choices"),
        (200, b"<html>busy</html>", "JSON"),
        (422, {"error": {"message": f"bad key {KEY}"}}, "bad key ***"),
    ],
)
def test_what_fails_for_one_request_is_an_answer_that_says_so_without_the_key(status, body, said):
    with serve(lambda sent: (status, body)) as (url, _):
        (answer,) = ask(url, request())
    assert answer.text is None
    assert said.lower() in answer.error.lower()
    assert KEY not in answer.error


def test_a_mistake_of_ours_is_no_error_of_the_model(monkeypatch):
    monkeypatch.setattr(chat, "read", lambda *said, **known: {}["ours"])
    with (
        serve(lambda sent: (200, completion("A"))) as (url, _),
        pytest.raises(KeyError, match="ours"),
    ):
        ask(url, request())


def test_an_error_too_deep_to_be_written_out_is_only_its_status():
    deep = b'{"error": {"message": ' + b"[" * 900 + b"]" * 900 + b"}}"
    with serve(lambda sent: (400, deep)) as (url, _):
        (answer,) = ask(url, request())
    assert answer.error.startswith("HTTP 400")


def test_a_passing_fault_is_retried_by_the_client():
    replies = iter([(429, {"error": {"message": "slow down"}}), (200, completion("C"))])
    with serve(lambda sent: next(replies)) as (url, received):
        (answer,) = ask(url, request())
    assert answer.text == "C"
    assert len(received) == 2


@pytest.mark.parametrize(("status", "said"), [(401, "refuses the key"), (404, "no model 'm'")])
def test_an_endpoint_that_can_answer_nothing_is_named(status, said):
    refusal = {"error": {"message": "no"}}
    with (
        serve(lambda sent: (status, refusal)) as (url, _),
        pytest.raises(EndpointError, match=said) as fault,
    ):
        ask(url, request())
    assert "127.0.0.1" in str(fault.value)
    assert KEY not in str(fault.value)


def test_an_unreachable_endpoint_is_named_after_bounded_tries(monkeypatch):
    monkeypatch.setattr(chat, "RETRIES", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match=rf"cannot reach http://127.0.0.1:{port}/v1 .*2 tries"):
        ask(f"http://127.0.0.1:{port}/v1", request())


def test_a_proxy_in_the_environment_does_not_stand_between_us_and_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serve(lambda sent: (200, completion("A"))) as (url, _):
        (answer,) = ask(url, request())
    assert answer.text == "A"


def test_a_very_long_reply_is_kept_up_to_a_bound():
    with serve(lambda sent: (200, completion("x" * 200_000))) as (url, _):
        (answer,) = ask(url, request())
    assert len(answer.text) == chat.KEPT_CHARACTERS
    assert answer.finish_reason == "cut"


def test_a_server_on_this_machine_needs_no_key_and_shows_what_it_serves(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serve(lambda sent: (200, completion("A"))) as (url, _):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        models.require(["openai/m"])
        row = models.table().set_index("name").loc["openai/<model>"]
    assert row.ready
    assert "fake-1" in row.about
