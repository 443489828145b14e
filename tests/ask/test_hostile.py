"""An endpoint may do anything: every request still ends as exactly one answer, in bounded time."""

import asyncio
import logging
import traceback

import pytest

from benchmarks import hostile
from hvae_utils.ask import chat
from hvae_utils.ask.http import limits
from hvae_utils.ask.http.limits import Limit
from hvae_utils.errors import EndpointError
from tests.ask.test_chat import KEY, request


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(chat, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(chat, "BACKOFF_S", 0.01)
    monkeypatch.setattr(chat, "QUOTA_WAIT_S", 0.3)
    monkeypatch.setattr(limits, "PAUSE_S", 0.01)


def ask(url, **changes):
    async def main():
        async with chat.ChatModel("openai/m", "m", url, KEY, Limit(16)) as model:
            assert KEY not in repr(model) + repr(model._transport) + repr(model._transport._curl)
            return await model.answer(request(**changes))

    return asyncio.run(main())


# What each case ends as: a part of the error ("" for an answer), and how often it was sent.
ENDS = {
    "429, retry-after": ("429: not now", 3),
    "429, retry-after-ms": ("429: not now", 7),
    "429, no word": ("429: not now", None),
    "500": ("500: not now", 4),
    "502, HTML": ("502", 4),
    "503": ("503", 4),
    "connection reset": ("connection lost", 4),
    "slow drip": ("no reply within 0.3 s", 4),
    "silence": ("no reply within 0.3 s", 4),
    "body cut short": ("connection lost", 4),
    "truncated JSON": ("no JSON", 1),
    "HTML": ("no JSON (text/html)", 1),
    "no HTTP": ("connection lost", 4),
    "redirect": ("307", 1),
    "no choices": ("no choices", 1),
    "choices of no kind": ("no choices", 1),
    "JSON of no kind": ("no choices", 1),
    "deep JSON": ("no JSON", 1),
    "2 MB": ("more than 1,000,000 bytes", 1),
    "2 MB, compressed": ("no JSON (gzip)", 1),
    "invalid UTF-8": ("no JSON", 1),
    "wrong content type": ("", 1),
    "no usage": ("", 1),
    "no log-probabilities": ("", 1),
    "one log-probability": ("", 1),
    "infinite log-probability": ("", 1),
    "lone surrogate": ("", 1),
    "never a letter": ("", 1),
}


@pytest.mark.parametrize("case", hostile.CASES)
def test_every_way_to_fail_ends_as_one_answer(case):
    said, tries = ENDS[case]
    with hostile.Server(lambda: case) as server:
        answer = ask(server.url)
    assert answer.tries == sum(server.done.values())
    assert tries in (None, answer.tries)
    if said:
        assert answer.text is None
        assert said in answer.error
        assert len(answer.error) <= 300
    else:
        assert answer.error is None
        assert answer.text.encode()
        assert answer.latency_s > 0


@pytest.mark.parametrize("case", ["429, retry-after", "500", "connection reset", "slow drip"])
def test_what_passes_is_asked_again_and_answered(case):
    served = iter([case, ""])
    with hostile.Server(lambda: next(served)) as server:
        answer = ask(server.url)
    assert (answer.text, answer.tries) == ("A", 2)


def test_missing_parts_stay_missing_and_short_ones_short():
    with hostile.Server(lambda: "no usage") as server:
        assert ask(server.url).prompt_tokens is None
    with hostile.Server(lambda: "no log-probabilities") as server:
        assert ask(server.url).top_logprobs is None
    with hostile.Server(lambda: "one log-probability") as server:
        assert ask(server.url).top_logprobs == (("A", -0.5),)
    with hostile.Server(lambda: "infinite log-probability") as server:
        assert "B" not in dict(ask(server.url).top_logprobs)


def test_an_endpoint_that_asks_for_an_hour_is_not_waited_for(monkeypatch):
    hour = hostile.reply(hostile.REFUSED, "429 Too Many", head="Retry-After: 3600\r\n")
    monkeypatch.setitem(hostile.CASES, "hour", hour)
    with hostile.Server(lambda: "hour") as server:
        answer = ask(server.url)
    assert "asks to wait 3600 s" in answer.error
    assert answer.tries == 1


def test_an_account_without_credit_ends_the_study_at_once(monkeypatch):
    body = b'{"error": {"message": "pay", "code": "insufficient_quota"}}'
    monkeypatch.setitem(hostile.CASES, "pay", hostile.reply(body, "429 Too Many"))
    with hostile.Server(lambda: "pay") as server, pytest.raises(EndpointError, match="credit"):
        ask(server.url)


@pytest.mark.parametrize("told", [b"true", b"false"])
def test_an_endpoint_that_says_whether_to_try_again_is_obeyed(monkeypatch, told):
    status = "400 Bad" if told == b"true" else "500 Error"
    said = hostile.reply(hostile.REFUSED, status, head=f"x-should-retry: {told.decode()}\r\n")
    monkeypatch.setitem(hostile.CASES, "told", said)
    with hostile.Server(lambda: "told") as server:
        assert ask(server.url).tries == (4 if told == b"true" else 1)


@pytest.mark.parametrize("status", ["401 No", "404 No", "422 No", "500 No", "200 OK"])
def test_a_key_that_an_endpoint_repeats_stands_nowhere(monkeypatch, caplog, status):
    echo = f'{{"error": {{"message": "bad key {KEY}"}}, "model": "m"}}'.encode()
    monkeypatch.setitem(hostile.CASES, "echo", hostile.reply(echo, status, kind=f"x/{KEY}"))
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    with hostile.Server(lambda: "echo") as server:
        try:
            seen = repr(ask(server.url))
        except EndpointError as fault:
            seen = "".join(traceback.format_exception(fault))
    assert KEY not in seen
    assert KEY not in caplog.text


def test_a_long_reply_of_unknown_length_is_read_up_to_the_bound(monkeypatch):
    part = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    monkeypatch.setitem(hostile.CASES, "endless", head + part * 60)
    with hostile.Server(lambda: "endless") as server:
        assert "more than 1,000,000 bytes" in ask(server.url).error


def test_the_drill_accounts_for_every_request(capsys, monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "set by the drill")
    assert hostile.main(["--short"]) == 0
    assert "NO " not in capsys.readouterr().out
