"""What endpoints of today send, and what must come of it: tables of cases, over a real socket.

Each case is one kind of thing that a server was seen to do. Every request ends as one outcome.
"""

import asyncio
import json
import time

import pytest

from hvae_utils.ask import chat, complaints, replies
from hvae_utils.ask.dialect import Dialect
from hvae_utils.ask.http import limits
from hvae_utils.ask.http.limits import Limit
from hvae_utils.errors import BudgetReached, EndpointError
from tests.ask.test_chat import KEY, request
from tests.support.fake_endpoint import completion, serve

LABELS = "ABCDEFGHI"
THOUGHT = "A is greedy. B is fair. I would take A"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(chat, "TIMEOUT_S", 5.0)
    monkeypatch.setattr(chat, "BACKOFF_S", 0.001)
    monkeypatch.setattr(limits, "PAUSE_S", 0.001)


def ask(url, *requests, dialect=Dialect(), before_try=None):  # noqa: B008
    async def main():
        async with chat.ChatModel("openai/m", "m", url, KEY, Limit(16), dialect) as model:
            model.before_try = before_try
            return [await model.answer(one) for one in requests]

    return asyncio.run(main())


def asked(reply, *requests, **given):
    """Ask a server that replies so; return answers and bodies, whose constants are looked at."""
    requests = requests or (request(),)
    with serve(reply) as (url, received):
        answers = ask(url, *requests, **given)
    messages = [list(map(dict, one.messages)) for one in requests]
    for sent in received:
        assert sent["model"] == "m"
        assert sent["messages"] in messages
        assert sent["_authorization"] == f"Bearer {KEY}"
    assert len(received) == sum(answer.tries for answer in answers)
    return answers, received


def outcome(answer):
    return replies.read(
        answer.text, answer.finish_reason, answer.error, LABELS, cause=answer.cause
    ).outcome


def reply(content="", finish="stop", usage=None, choice=(), **message):
    """A completion: what the message holds besides a content, the usage besides the usual one."""
    body = completion(content, finish_reason=finish, **dict(choice))
    body["choices"][0]["message"] |= message
    body["usage"] |= usage or {}
    return body


def tokens(*listed, top=()):
    """Log-probabilities of listed tokens, each with alternatives that name it."""
    entries = []
    for token in listed:
        pairs = [*top, (token, -0.5), ("Z", -1.5)]
        alternatives = [{"token": t, "logprob": p, "bytes": None} for t, p in pairs]
        entries.append(
            {"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": alternatives}
        )
    return {"logprobs": {"content": entries}}


def spent(thinking, completion_tokens, place="completion_tokens_details"):
    return {"completion_tokens": completion_tokens, place: {"reasoning_tokens": thinking}}


# ---- A. Models that think. -------------------------------------------------------------------

# name: (what is sent, the text, the thought, what the cause says, the outcome)
THINKING = {
    "hidden, cut": (
        reply("", "length", spent(199, 200)),
        *("", None, "thought for 199 of 200 tokens", "truncated"),
    ),
    "hidden, cut, null": (
        reply(None, "MAX_TOKENS", {"completion_tokens": 200, "reasoning_tokens": 200}),
        *("", None, "thought for 200 of 200 tokens", "truncated"),
    ),
    "hidden, cut, told only in the total": (
        reply("", "max_tokens", {"completion_tokens": 0, "total_tokens": 207}),
        *("", None, "thought for 200 of 200 tokens", "truncated"),
    ),
    "hidden, cut, not told at all": (
        {**reply("", "length"), "usage": None},
        *("", None, "the cap of 200 tokens was reached before there was a reply", "truncated"),
    ),
    "reasoning_content and nothing else": (
        reply("", reasoning_content=THOUGHT),
        *("", THOUGHT, "a thought and no reply", "empty"),
    ),
    "reasoning and nothing else": (
        reply(None, reasoning=THOUGHT),
        *("", THOUGHT, "a thought and no reply", "empty"),
    ),
    "reasoning_content, cut": (
        reply("", "length", {"completion_tokens": 200}, reasoning_content=THOUGHT),
        *("", THOUGHT, "thought for 200 of 200 tokens", "truncated"),
    ),
    "reasoning_content and a reply": (
        reply("C", reasoning_content=THOUGHT),
        *("C", THOUGHT, "", "choice"),
    ),
    "reasoning twice": (
        reply(
            "C", reasoning=THOUGHT, reasoning_details=[{"type": "reasoning.text", "text": THOUGHT}]
        ),
        *("C", THOUGHT, "", "choice"),
    ),
    "reasoning_details": (
        reply("C", reasoning_details=[{"type": "reasoning.summary", "summary": THOUGHT}]),
        *("C", THOUGHT, "", "choice"),
    ),
    "reasoning_details, encrypted": (
        reply("C", reasoning_details=[{"type": "reasoning.encrypted", "data": "QUJD"}]),
        *("C", None, "", "choice"),
    ),
    "thinking_blocks": (
        reply("C", thinking_blocks=[{"type": "thinking", "thinking": THOUGHT, "signature": "x"}]),
        *("C", THOUGHT, "", "choice"),
    ),
    "thinking beside the content": (reply("C", thinking=THOUGHT), "C", THOUGHT, "", "choice"),
    "thinking set to true": (reply("C", thinking=True), "C", None, "", "choice"),
    "parts": (
        reply([{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": "C"}]),
        *("C", THOUGHT, "", "choice"),
    ),
    "parts in parts": (
        reply(
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                {"type": "text", "text": "C"},
            ]
        ),
        *("C", THOUGHT, "", "choice"),
    ),
    "parts of another kind": (
        reply([{"type": "reasoning", "text": THOUGHT}, {"type": "output_text", "text": "C"}]),
        *("C", THOUGHT, "", "choice"),
    ),
    "parts as of a response": (
        reply(
            [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]},
                {"type": "message", "content": [{"type": "output_text", "text": "C"}]},
            ]
        ),
        *("C", THOUGHT, "", "choice"),
    ),
    "parts marked as thought": (
        reply([{"text": THOUGHT, "thought": True}, {"text": "C"}]),
        *("C", THOUGHT, "", "choice"),
    ),
    "redacted part": (
        reply([{"type": "redacted_thinking", "data": "QUJD"}, {"type": "text", "text": "C"}]),
        *("C", None, "", "choice"),
    ),
    "parts of text": (reply([{"type": "text", "text": "C"}]), "C", None, "", "choice"),
    "parts that are strings": (reply(["C"]), "C", None, "", "choice"),
    "one part that is no list": (reply({"type": "text", "text": "C"}), "C", None, "", "choice"),
    "thinking parts only": (
        reply([{"type": "thinking", "thinking": THOUGHT}]),
        *("", THOUGHT, "a thought and no reply", "empty"),
    ),
    "thinking parts only, cut": (
        reply([{"type": "thinking", "thinking": THOUGHT}], "length", spent(200, 200)),
        *("", THOUGHT, "thought for 200 of 200 tokens", "truncated"),
    ),
    "tags": (reply(f"<think>\n{THOUGHT}\n</think>\n\nC"), "C", THOUGHT, "", "choice"),
    "tags in a part": (
        reply([{"type": "text", "text": f"<think>{THOUGHT}</think>C"}]),
        *("C", THOUGHT, "", "choice"),
    ),
    "tags and beside them the same": (
        reply(f"<think>{THOUGHT}</think>C", reasoning_content=THOUGHT),
        *("C", THOUGHT, "", "choice"),
    ),
    "tags that nothing opened": (reply(f"{THOUGHT}</think>C"), "C", THOUGHT, "", "choice"),
    "a tag that never closes": (
        reply(f"<think>{THOUGHT}"),
        *("", THOUGHT, "thinking never ended", "empty"),
    ),
    "a tag that never closes, cut": (
        reply(f"<think>{THOUGHT}", "length", {"completion_tokens": 200}),
        *("", THOUGHT, "thought for 200 of 200 tokens", "truncated"),
    ),
    "a tag that never closes, cut, no usage": (
        {**reply(f"<think>{THOUGHT}", "length"), "usage": None},
        *("", THOUGHT, "thinking never ended", "truncated"),
    ),
    "channels": (
        reply(
            f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>C"
        ),
        *("C", THOUGHT, "", "choice"),
    ),
    "channels without marks": (
        reply(f"analysis{THOUGHT}.assistantfinalC"),
        *("C", f"{THOUGHT}.", "", "choice"),
    ),
    "tags that are escaped": (
        reply(f"&lt;think&gt;{THOUGHT}&lt;/think&gt;C"),
        *("C", THOUGHT, "", "choice"),
    ),
    "tags in wide letters": (reply(f"＜think＞{THOUGHT}＜/think＞C"), "C", THOUGHT, "", "choice"),
    "tags with spaces": (reply(f"< think >{THOUGHT}< / think >C"), "C", THOUGHT, "", "choice"),
    "tags in brackets": (reply(f"[THOUGHT]{THOUGHT}[/THOUGHT]C"), "C", THOUGHT, "", "choice"),
    "a prefix": (
        reply(f"<|inner_prefix|>{THOUGHT}<|inner_suffix|>C"),
        *("C", THOUGHT, "", "choice"),
    ),
    "parts marked in words": (
        reply({"parts": [{"thought": "true", "text": THOUGHT}, {"text": "C"}]}),
        *("C", THOUGHT, "", "choice"),
    ),
    "as of a stream": (
        {"choices": [{"delta": {"content": "C"}, "finish_reason": "stop"}]},
        *("C", None, "", "choice"),
    ),
    "as of a completion of text": (
        {"choices": [{"text": "C", "finish_reason": "stop"}]},
        *("C", None, "", "choice"),
    ),
    "the model's own tags": (reply(f"[[{THOUGHT}]]C"), "C", THOUGHT, "", "choice"),
    "a tool call": (
        reply(None, "tool_calls", tool_calls=[{"type": "function", "function": {"name": "A"}}]),
        *("", None, "a tool call and no reply", None),
    ),
    "cut in the reply": (
        reply("I think that", "length", spent(190, 200)),
        *("I think that", None, "reached the cap of 200 tokens, 190 of them", "truncated"),
    ),
    "cut though it says stop": (
        reply("I think that", "stop", {"completion_tokens": 200}),
        *("I think that", None, "the reply reached the cap of 200 tokens", "truncated"),
    ),
    "cut and no reason": (
        reply("I think that", None, {"completion_tokens": 200}),
        *("I think that", None, "the reply reached the cap of 200 tokens", "truncated"),
    ),
    "a cap that does not count the thought": (
        reply("C", "stop", spent(3000, 2) | {"total_tokens": 3009}),
        *("C", None, "", "choice"),
    ),
    "empty": (reply(""), "", None, "", "empty"),
}


@pytest.mark.parametrize("case", THINKING)
def test_thought_and_reply_are_told_apart(case):
    sent, text, thought, cause, wanted = THINKING[case]
    asking = request(max_tokens=24, thinking_tokens=176)
    dialect = Dialect(think_tags=(("[[", "]]"),))
    (answer,), (received,) = asked(lambda _: (200, sent), asking, dialect=dialect)
    assert received["max_tokens"] == 200
    assert (answer.text, answer.thought, answer.error) == (text, thought, None)
    assert cause in answer.cause
    assert bool(cause) == bool(answer.cause)
    assert wanted in (None, outcome(answer))


@pytest.mark.parametrize("thought", [text for text in ("", THOUGHT * 80)])
@pytest.mark.parametrize(
    "form",
    ["<think>{}</think>\n{}", "<thinking>{}</thinking>{}", "[THINK]{}[/THINK]{}", "{}</think>{}"],
)
def test_a_server_that_thinks_gives_the_answer_of_its_twin_that_does_not(form, thought):
    (plain, thinks), _ = asked(
        lambda sent: (
            200,
            reply(form.format(thought, "I choose C.") if sent["seed"] else "I choose C."),
        ),
        request(seed=0, thinking_tokens=3000),
        request(seed=1, thinking_tokens=3000),
    )
    assert (thinks.text, thinks.cause) == (plain.text, plain.cause) == ("I choose C.", "")
    assert (thinks.thought or "").strip() == thought


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Could not finish the message because max_tokens or model output limit was reached."),
        (500, "APIConnectionError: m unable to complete request: max_output_tokens"),
    ],
)
def test_a_thought_that_leaves_no_room_may_come_as_an_error(status, message):
    asking = request(max_tokens=24, thinking_tokens=176)
    (answer,), received = asked(lambda _: (status, error(message)), asking)
    assert (answer.text, answer.error, outcome(answer)) == ("", None, "truncated")
    assert answer.cause == "the cap of 200 tokens was reached before there was a reply"
    assert len(received) == 1


# usage besides the usual (7 of the prompt): (tokens of reply and thought, tokens of the thought)
USAGES = {
    "details": (spent(50, 60), (60, 50)),
    "details of output": (spent(50, 60, "output_tokens_details"), (60, 50)),
    "beside": ({"completion_tokens": 60, "reasoning_tokens": 50}, (60, 50)),
    "left out, in the total": (spent(50, 10) | {"total_tokens": 67}, (60, 50)),
    "left out, no total": (spent(50, 10) | {"total_tokens": None}, (60, 50)),
    "only in the total": ({"completion_tokens": 10, "total_tokens": 67}, (60, 50)),
    "the cached part of the prompt in the total alone": (
        {"completion_tokens": 10, "total_tokens": 67, "cache_read_input_tokens": 50},
        (10, None),
    ),
    "none": ({"completion_tokens": 10, "total_tokens": 17}, (10, None)),
    "none, told": (spent(0, 10), (10, 0)),
    "absurd": ({"completion_tokens": 10, "reasoning_tokens": 10**12}, (10, None)),
    "text": ({"completion_tokens": 10, "reasoning_tokens": "50"}, (10, None)),
}


@pytest.mark.parametrize("case", USAGES)
def test_tokens_of_a_thought_are_counted_wherever_they_are_told(case):
    usage, counts = USAGES[case]
    (answer,), _ = asked(lambda _: (200, reply("C", usage=usage)), request(thinking_tokens=500))
    assert (answer.completion_tokens, answer.thinking_tokens) == counts
    assert (answer.text, answer.finish_reason) == ("C", "stop")


FINISHES = {
    "length": "length max_tokens MAX_TOKENS max_output_tokens model_length Length token_limit "
    "model_context_window_exceeded FINISH_REASON_MAX_TOKENS maxTokens",
    "content_filter": "content_filter SAFETY RECITATION PROHIBITED_CONTENT BLOCKLIST safety "
    "refusal sensitive contentFilter SPII guardrail_intervened",
    "stop": "stop end_turn eos STOP stop_sequence COMPLETE eos_token EndTurn",
    "tool_calls": "tool_calls tool_use function_call TOOL_CALL",
    "unheard-of": "unheard-of",
}


@pytest.mark.parametrize("family", FINISHES)
def test_finish_reasons_come_in_families(family):
    words = iter(FINISHES[family].split())
    requests = [request(repeat=repeat) for repeat in range(len(FINISHES[family].split()))]
    answers, _ = asked(lambda _: (200, reply("I", next(words))), *requests)
    assert {answer.finish_reason for answer in answers} == {family}


def test_the_maker_s_reason_behind_a_router_counts():
    native = {"choice": {"native_finish_reason": "MAX_TOKENS"}}
    (answer,), _ = asked(lambda _: (200, reply("I would", "stop", **native)))
    assert answer.finish_reason == "length"


# ---- B. Probabilities. -----------------------------------------------------------------------

NOT_FIRST = "not the reply's first token"
# name: (content, listed tokens, what else the message holds, first token of the table or None)
FIRST_TOKENS = {
    "a readout": ("C", ["C"], {}, "C"),
    "a space that the server took away": ("C", [" C"], {}, " C"),
    "a raw vocabulary": ("C", ["ĠC"], {}, "ĠC"),
    "another one": (" C", ["▁C"], {}, "▁C"),
    "a sentence": ("I choose C", ["I", " choose", " C"], {}, "I"),
    "its end is a special token": ("C.", ["C", ".", "<|im_end|>"], {}, "C"),
    "only the first is listed": ("C is fair", ["C"], {}, "C"),
    "a letter in pieces": ("é", ["Ã", "©"], {}, None),
    "white space that was sent": ("\nC", ["\n", "C"], {}, "\n"),
    "white space that was not": ("C", ["\n", "C"], {}, "C"),
    "tags, all tokens": (
        "<think>1 is</think>\n\nC",
        ["<think>", "1", " is", "</think>", "\n\n", "C"],
        *({}, "C"),
    ),
    "tags, all tokens, two in the reply": (
        "<think>1 is</think>\n\nOption C",
        ["<think>", "1", " is", "</think>", "\n\n", "Option", " C", "<|im_end|>"],
        *({}, "Option"),
    ),
    "a thought beside, all tokens": (
        "C",
        ["1", ".", " So", "</think>", "C"],
        {"reasoning": "1. So"},
        "C",
    ),
    "a thought beside, tokens of the content": ("C", ["C"], {"reasoning": "1. So"}, "C"),
    "a thought beside, tokens of the thought": (
        "C",
        ["1", ".", " So"],
        {"reasoning": "1. So"},
        None,
    ),
    "a thought beside, its first token": ("C", ["1"], {"reasoning": "1. So"}, None),
    "a thought and nothing": ("", ["1"], {}, None),
    "a thought and nothing, hidden": (None, ["1"], {"reasoning_content": "1"}, None),
    "a hidden thought": ("5", ["1"], {}, None),
    "a longer hidden thought": ("1", ["1", ".", " So", " it", " is", " 5"], {}, None),
    "a thought beside that ends as the reply": ("C", ["So", " C"], {"reasoning": "So C"}, None),
    "tags, tokens of the thought that end as the reply": (
        "<think>so C</think>C",
        ["<think>", "so", " C"],
        *({}, None),
    ),
    "a thought and a reply of one letter": ("C", ["C"], {"reasoning": "C"}, None),
    "a hidden thought that begins as the reply": ("I choose C", ["I", " think"], {}, None),
    "channels": (
        "analysis1 is fair.assistantfinalC",
        ["analysis", "1", " is", " fair", ".", "assistant", "final", "C"],
        *({}, "C"),
    ),
}


@pytest.mark.parametrize("case", FIRST_TOKENS)
def test_only_the_first_token_of_the_visible_reply_is_read(case):
    content, listed, message, first = FIRST_TOKENS[case]
    body = reply(content, choice=tokens(*listed), **message)
    (answer,), (sent,) = asked(lambda _: (200, body), request(kind="readout", max_tokens=1))
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 20)
    if first is None:
        assert (answer.top_logprobs, answer.flags) == (None, (NOT_FIRST,))
    else:
        assert answer.top_logprobs[0] == (first, -0.5)
        assert answer.flags == ()


# alternatives of the token C: (are they kept, flags)
TABLES = {
    "as it should be": ([("C", -0.1), ("A", -2.5)], True, ()),
    "one-hot": ([("C", 0.0), ("A", -3.4e38), ("B", -3.4e38)], True, ("one-hot",)),
    "one-hot with a floor": ([("C", 0.0), ("A", -9999.0), ("B", -9999.0)], True, ("one-hot",)),
    "one-hot, rounded": ([("C", -1.2e-7), ("A", -9999.0)], True, ("one-hot",)),
    "twice": ([("C", -0.9), ("C", -1.2), ("A", -2.5)], True, ("repeated entries",)),
    "nine times certain": ([(c, 0.0) for c in LABELS], True, ("sum above one",)),
    "positive": ([("C", 2.0), ("A", -1.0)], False, ("sum above one",)),
    "null": ([("C", -0.1), ("A", None)], True, ()),
    "none": ([], False, ()),
}


@pytest.mark.parametrize("case", TABLES)
def test_probabilities_that_are_none_are_flagged(case):
    pairs, kept, flags = TABLES[case]
    top = [{"token": token, "logprob": logprob} for token, logprob in pairs]
    listed = {"logprobs": {"content": [{"token": "C", "logprob": 0.0, "top_logprobs": top}]}}
    (answer,), _ = asked(lambda _: (200, reply("C", choice=listed)), request(kind="readout"))
    assert (answer.top_logprobs is not None) == kept
    assert set(answer.flags) == set(flags)
    assert (answer.text, answer.error) == ("C", None)


def test_a_server_that_cannot_write_minus_infinity_is_asked_without_probabilities():
    def broken(sent):
        return (500, b"Internal Server Error") if "logprobs" in sent else (200, reply("C"))

    (first, second), received = asked(broken, request(), request(repeat=2))
    assert (first.text, first.error, first.top_logprobs) == ("C", None, None)
    assert first.dropped == second.dropped == ("logprobs", "top_logprobs")
    assert (first.tries, second.tries) == (3, 1)
    assert received[2]["temperature"] == 0


def test_a_fault_that_passes_costs_no_probabilities():
    served = iter([(500, b"busy"), (200, reply("C", choice=tokens("C")))] * 2)
    answers, _ = asked(lambda _: next(served), request(), request(repeat=2))
    assert all(answer.top_logprobs and not answer.dropped for answer in answers)


def test_who_lists_probabilities_elsewhere_is_asked_for_them_again():
    def now_and_then(sent):
        if sent["seed"] == 4 and "logprobs" in sent:
            return 500, {"error": "Out of range float values are not JSON compliant"}
        return 200, reply("C", choice=tokens("C") if "logprobs" in sent else {})

    answers, _ = asked(now_and_then, *(request(seed=seed) for seed in (3, 4, 5)))
    assert [bool(answer.top_logprobs) for answer in answers] == [True, False, True]
    assert [answer.tries for answer in answers] == [1, 2, 1]


# ---- C. Parameters. --------------------------------------------------------------------------


def error(message, **more):
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


def nested(content):
    """An error as a router sends it on: as a text inside its own."""
    return error("Provider returned error", metadata={"raw": json.dumps(content)})


# how it is refused; %s: the parameter
REFUSALS = {
    "plain": (
        400,
        lambda p: error(f"Unsupported parameter: '{p}' is not supported with this model."),
    ),
    "in param alone": (400, lambda p: error("Invalid request", param=p)),
    "in param, at a path": (400, lambda p: error("Invalid request", param=f"body.{p}")),
    "capitals": (400, lambda p: error(f"UNSUPPORTED PARAMETER: {p.upper()}")),
    "422, loc": (
        422,
        lambda p: {
            "object": "error",
            "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", p], "input": 3}]},
        },
    ),
    "422, loc, of several": (
        422,
        lambda p: {"detail": [{"loc": ["body", p], "msg": "Extra inputs are not permitted"}]},
    ),
    "detail": (400, lambda p: {"detail": f"{p} is not supported"}),
    "an array": (
        400,
        lambda p: [
            error(
                f'Invalid JSON payload received. Unknown name "{p}": Cannot find field.', code=400
            )
        ],
    ),
    "plain text": (400, lambda p: f"unknown field `{p}`".encode()),
    "no endpoints": (404, lambda p: error(f"No endpoints found that support {p}", code=404)),
    "nested": (400, lambda p: nested(error(f"{p}: Extra inputs are not permitted"))),
    "nested twice": (400, lambda p: nested(nested(error("no", param=p)))),
    "in Python's words": (
        400,
        lambda p: error(f"BadRequestError: {{'error': {{'message': 'no', 'param': '{p}'}}}}"),
    ),
    "a set": (400, lambda p: error(f"m does not support parameters: {{'{p}': 3}}, for model=m")),
    "500": (
        500,
        lambda p: error(f"UnsupportedParamsError: m does not support parameters: ['{p}']"),
    ),
    "by field": (400, lambda p: {p: ["Unknown field."]}),
    "keyword": (400, lambda p: error(f"create() got an unexpected keyword argument '{p}'")),
    "Chinese": (400, lambda p: {"code": "1210", "message": f"参数 {p} 不支持"}),
    "French": (400, lambda p: {"message": f"Le paramètre « {p} » est inconnu, '{p}'"}),
    "the key and the whole body": (
        400,
        lambda p: {
            "error": f"'{p}' is not allowed",
            "request": {"max_tokens": 5, "temperature": 0.0, "seed": 3, "messages": ["choose"]},
        },
    ),
    "a page": (400, lambda p: f"<html><h1>400</h1>Unknown: <code>{p}</code></html>".encode()),
    "a list of words": (400, lambda p: {"error": [f"unknown field {p}"]}),
    "among errors in a reply": (
        200,
        lambda p: {"errors": [{"message": f"unknown parameter '{p}'", "code": 5006}]},
    ),
    "in a reply": (200, lambda p: error(f"{p} is not supported", code=400)),
}


@pytest.mark.parametrize(
    ("case", "parameter"),
    [
        *((case, name) for case in REFUSALS for name in ("seed", "top_logprobs")),
        *(("plain", "temperature"), ("a set", "temperature"), ("plain text", "logprobs")),
    ],
)
def test_a_parameter_that_is_refused_is_left_out(case, parameter):
    status, content = REFUSALS[case]

    def picky(sent):
        return (status, content(parameter)) if parameter in sent else (200, reply("C"))

    (first, second), received = asked(picky, request(), request(repeat=2))
    pair = ("logprobs", "top_logprobs")
    gone = pair if parameter in pair else (parameter,)
    assert (first.text, second.text) == ("C", "C")
    assert first.dropped == second.dropped == gone
    assert (first.tries, second.tries) == (2, 1)
    kept = {"max_tokens", "seed", "temperature", *pair} - {*gone}
    assert kept <= received[-1].keys()


@pytest.mark.parametrize("case", REFUSALS)
def test_a_cap_is_said_in_the_word_that_an_endpoint_knows_in_either_direction(case):
    status, content = REFUSALS[case]
    served = iter(["max_tokens", "", "", "max_completion_tokens", "", ""])

    def mixed(sent):
        refused = next(served)
        assert refused in sent or not refused
        return (status, content(refused)) if refused else (200, reply("C"))

    answers, received = asked(mixed, *(request(thinking_tokens=7, seed=seed) for seed in range(4)))
    assert {answer.text for answer in answers} == {"C"}
    assert {answer.dropped for answer in answers} == {()}
    caps = [next(name for name in sent if "tokens" in name) for sent in received]
    assert [cap == "max_tokens" for cap in caps] == [True, False, False, False, True, True]
    assert {sent[cap] for sent, cap in zip(received, caps, strict=True)} == {12}


def test_a_cap_that_is_refused_under_either_name_is_named_and_costs_two_tries():
    def picky(sent):
        return 400, error(f"'{next(name for name in sent if 'tokens' in name)}' is not supported")

    answers, received = asked(picky, request(), request(repeat=2))
    assert len(received) == 4
    assert all("refuses 'max_completion_tokens'" in answer.error for answer in answers)


def test_a_set_of_parameters_without_a_name_is_cut_down():
    def picky(sent):
        if "logprobs" in sent:
            return 404, error("No endpoints found that can handle the requested parameters.")
        return 200, reply("C")

    (answer,), _ = asked(picky)
    assert (answer.text, answer.dropped) == ("C", ("logprobs", "top_logprobs"))


def test_several_parameters_are_refused_one_after_the_other():
    def picky(sent):
        for name in ("seed", "logprobs", "max_tokens", "temperature"):
            if name in sent:
                return 400, error(f"'{name}' is not supported")
        return 200, reply("C")

    (answer,), received = asked(picky)
    assert answer.dropped == ("logprobs", "seed", "temperature", "top_logprobs")
    assert received[-1]["max_completion_tokens"] == 5


# what is said about 20 alternatives where 5 can be had
AT_MOST_5 = (
    "Invalid value for 'top_logprobs': must be less than or equal to 5.",
    "top_logprobs must be at most 5",
    "'top_logprobs' must be between 0 and 5",
    "Invalid 'top_logprobs': 20. Expected an integer in range [0, 5]",
    "Requested sample logprobs of 20, which is greater than max allowed: 5",
    "top_logprobs: integer above maximum value. Expected a value <= 5, but got 20 instead.",
    "20 is greater than the maximum of 5 - 'top_logprobs'",
    "top_logprobs cannot exceed 5",
    "top_logprobs should not be greater than 5",
    "the maximum number of top_logprobs is 5",
    "top_logprobs must be less than 6",
    "TopLogprobs must be in the range 0..=5",
    "at most 5 top_logprobs can be requested",
    "top_logprobs is limited to 5",
    "top_logprobs 20 out of range 0~5",
    "top_logprobs取值范围为[0,5]",
    "`top_n_tokens` must be >= 0 and <= 5. Given: 20",
    "it has a logprobs value of 20 but the supported range is from 1 (inclusive) to 6 (exclusive)",
)


@pytest.mark.parametrize("message", AT_MOST_5)
def test_a_limit_is_met_and_nothing_is_left_out(message):
    def picky(sent):
        return (400, error(message)) if sent.get("top_logprobs", 0) > 5 else (200, reply("C"))

    (answer, other), received = asked(picky, request(), request(top_logprobs=3))
    assert (answer.text, answer.dropped, other.dropped) == ("C", ("top_logprobs=5",), ())
    assert [sent["top_logprobs"] for sent in received] == [20, 5, 3]
    assert received[1]["logprobs"] is True


def test_a_limit_in_the_fields_of_a_validator_is_met():
    what = {
        "type": "less_than_equal",
        "loc": ["body", "top_logprobs"],
        "input": 20,
        "ctx": {"le": 5},
    }

    def picky(sent):
        return (422, {"detail": [what]}) if sent.get("top_logprobs", 0) > 5 else (200, reply("C"))

    (answer,), _ = asked(picky)
    assert answer.dropped == ("top_logprobs=5",)


# parameter: (what is asked, what is said, what is sent then)
LIMITS = {
    "least tokens": ({"max_tokens": 1}, "'max_tokens': below minimum value. Expected >= 16", 16),
    "most tokens": (
        {"thinking_tokens": 8192},
        "max_tokens is too large: 8197. This model supports at most 4096 completion tokens.",
        4096,
    ),
    "most tokens, in a maker's word": (
        {"thinking_tokens": 8192},
        "maxOutputTokens is 8197 but the supported range is from 1 (inclusive) to 4097 (exclusive)",
        4096,
    ),
    "most tokens, in other words": (
        {"thinking_tokens": 8192},
        "The maximum tokens you requested exceeds the model limit of 4096.",
        4096,
    ),
    "most tokens, compared": (
        {"thinking_tokens": 8192},
        "max_tokens: 8197 > 4096, which is the maximum allowed number of output tokens for m",
        4096,
    ),
    "most tokens, as a range": (
        {"thinking_tokens": 8192},
        "<400> InvalidParameter: Range of max_tokens should be [1, 4096]",
        4096,
    ),
    "most tokens, of the server": (
        {"thinking_tokens": 8192},
        "max_tokens=8197 cannot be greater than max_model_len=max_total_tokens=4096.",
        4096,
    ),
    "what is left of a sum": (
        {"thinking_tokens": 8192},
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 96 `inputs` tokens and 8197",
        4000,
    ),
    "what a context leaves, at most": (
        {"thinking_tokens": 4091, "messages": ({"role": "user", "content": "?" * 1000},)},
        "This model's maximum context length is 4096 tokens. However, you requested 4096 output "
        "tokens and your prompt contains at least 1 input tokens, for a total of at least 4097.",
        3596,
    ),
    "what a context leaves": (
        {"thinking_tokens": 8192},
        "This model's maximum context length is 4096 tokens. However, you requested 8505 tokens "
        "(308 in the messages, 8197 in the completion). Please reduce the length.",
        3788,
    ),
    "what a context leaves, in other words": (
        {"thinking_tokens": 8192},
        "'max_tokens' or 'max_completion_tokens' is too large: 8197. This model's maximum context "
        "length is 4096 tokens and your request has 300 input tokens (8197 > 4096 - 300).",
        3796,
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_a_bound_on_the_cap_is_kept(case):
    changes, message, wanted = LIMITS[case]

    def picky(sent):
        return (200, reply("C")) if sent["max_tokens"] == wanted else (400, error(message))

    (answer,), received = asked(picky, request(**changes))
    assert (answer.text, answer.dropped) == ("C", (f"max_tokens={wanted}",))
    assert len(received) == 2


def test_a_temperature_of_0_that_is_refused_becomes_the_lowest_there_is():
    def picky(sent):
        refused = sent["temperature"] == 0
        return (
            (422, error("`temperature` must be strictly positive"))
            if refused
            else (200, reply("C"))
        )

    (answer,), received = asked(picky)
    assert 0 < received[-1]["temperature"] <= 0.01
    assert answer.dropped == ("temperature=0.01",)


def test_seeds_out_of_bounds_stay_different():
    def picky(sent):
        message = "seed must be at most 2147483647"
        return (400, error(message)) if sent["seed"] > 2147483647 else (200, reply("C"))

    _, received = asked(picky, request(seed=2**40 + 5), request(seed=2**40 + 6))
    assert received[-1]["seed"] != received[1]["seed"]
    assert max(sent["seed"] for sent in received[1:]) <= 2147483647


PROMPT = 'Write down the temperature and the seed: "temperature"; is seed not supported?'
# Complaints about something else: nothing is left out.
ELSEWHERE = {
    "a bad request": "We could not parse the JSON body of your request.",
    "the prompt, repeated": f"max_chars: the text '{PROMPT}' is too long",
    "the prompt, in a field": {**error("bad input"), "input": {"content": PROMPT}},
    "a part of the prompt": f"Invalid 'messages': {PROMPT[:40]}",
    "messages in param": error("the temperature of the text is too high", param="messages"),
    "of another parameter": "'n' must be 1, not 2",
    "of a parameter that was not sent": "m does not support parameter presencePenalty.",
    "no parameter at all": "the request could not be understood",
    "nothing": b"",
    "a page": b"<html><title>busy</title></html>",
    "the whole body": {
        "error": "could not be parsed",
        "request": {"max_tokens": 5, "temperature": 0.0, "seed": 3, "top_logprobs": 20},
    },
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_complaint_about_something_else_leaves_nothing_out(case):
    said = ELSEWHERE[case]
    content = error(said) if isinstance(said, str) else said
    asking = request(messages=({"role": "user", "content": PROMPT},))
    (answer,), received = asked(lambda _: (400, content), asking)
    assert answer.text is None
    assert "HTTP 400" in answer.error
    assert len(received) == 1


@pytest.mark.parametrize(
    "text", ["1" * 20_000, "1," * 10_000, "in " + "a_" * 10_000, "seed." * 4000]
)
def test_the_time_to_understand_a_complaint_grows_with_its_length_alone(text):
    started = time.process_time()
    complaints.judge(400, error(text), chat.body("m", request()))
    assert time.process_time() - started < 3


def test_what_one_request_could_not_have_met_is_not_held_against_the_next():
    def fails(sent):
        whole = {"max_tokens", "seed", "temperature", "logprobs"} <= sent.keys()
        return (200, reply("C")) if whole and sent["seed"] == 4 else (400, error("'seed' is bad"))

    (first, second), _ = asked(fails, request(seed=3), request(seed=4))
    assert "'seed' is bad" in first.error
    assert (second.text, second.dropped) == ("C", ())


def test_a_parameter_that_the_prompt_names_too_is_left_out_where_it_is_refused():
    def picky(sent):
        refused = "temperature" in sent
        return (400, error("temperature is not supported")) if refused else (200, reply("C"))

    (answer,), _ = asked(picky, request(messages=({"role": "user", "content": PROMPT},)))
    assert (answer.text, answer.dropped) == ("C", ("temperature",))


def test_a_server_that_fails_and_repeats_the_body_loses_nothing():
    served = iter(
        [(503, {"error": "busy", "params": ["top_logprobs", "max_tokens"]}), (200, reply("C"))]
    )
    (answer,), received = asked(lambda _: next(served))
    assert (answer.dropped, answer.tries) == ((), 2)
    assert received[0].keys() == received[1].keys()


MEANINGFUL = {
    "effort": (Dialect(), {"thinking": "low"}, "reasoning_effort", {"reasoning_effort": "low"}),
    "effort, inside": (
        Dialect(effort="reasoning.effort"),
        *({"thinking": "high"}, "reasoning", {"reasoning": {"effort": "high"}}),
    ),
    "off": (
        Dialect(thinking_off={"chat_template_kwargs": {"enable_thinking": False}}),
        *({"thinking": "off"}, "chat_template_kwargs"),
        {"chat_template_kwargs": {"enable_thinking": False}},
    ),
    "extra body": (
        Dialect(extra_body={"provider": {"a": 1}}),
        {},
        "provider",
        {"provider": {"a": 1}},
    ),
    "grammar": (
        Dialect(constrain="grammar"),
        *({"choices": ("A", "B")}, "grammar", {"grammar": 'root ::= "A" | "B"'}),
    ),
}


@pytest.mark.parametrize("case", MEANINGFUL)
def test_what_a_study_is_about_is_never_left_out(case):
    dialect, changes, name, wanted = MEANINGFUL[case]

    def picky(sent):
        return (
            (400, error(f"Unrecognized request argument: {name}"))
            if name in sent
            else (200, reply())
        )

    (answer,), received = asked(picky, request(**changes), dialect=dialect)
    assert len(received) == 1
    assert wanted.items() <= received[0].items()
    assert f"'{name}'" in answer.error
    assert "needed" in answer.error


def test_a_part_of_an_extra_body_that_is_refused_is_named_by_the_whole():
    off = {"chat_template_kwargs": {"enable_thinking": False}}
    (answer,), _ = asked(
        lambda _: (400, error("enable_thinking is not supported")),
        request(thinking="off"),
        dialect=Dialect(thinking_off=off),
    )
    assert "refuses 'chat_template_kwargs'" in answer.error


def test_a_choice_is_said_in_the_older_word_where_the_newer_is_unknown():
    def older(sent):
        unknown = "structured_outputs" in sent
        return (400, error("Unknown field: structured_outputs")) if unknown else (200, reply("A"))

    (answer,), received = asked(
        older, request(choices=("A", "B")), dialect=Dialect(constrain="choice")
    )
    assert received[0]["structured_outputs"] == {"choice": ["A", "B"]}
    assert received[1]["guided_choice"] == ["A", "B"]
    assert (answer.text, answer.dropped) == ("A", ())


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"thinking": "off"}, "thinking 'off'"), ({"choices": ("A", "B")}, "labels")],
)
def test_what_an_endpoint_has_no_word_for_is_not_sent(changes, said):
    (answer,), received = asked(lambda _: (200, reply("C")), request(**changes))
    assert received == []
    assert said in answer.error


PLACEMENTS = (
    (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    (424, "roles must alternate"),
    (
        500,
        "After the optional system message, conversation roles must alternate user and assistant",
    ),
    (400, "System role not supported"),
    (400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
    (400, "Developer instruction is not enabled for models/m"),
    (500, "Only user, assistant and tool roles are supported, got system."),
    (422, "this model does not support system messages"),
    (
        400,
        'messages: roles must alternate between "user" and "assistant", but found multiple "user"',
    ),
    (400, "Unexpected role 'system' after role 'user'"),
    (400, "Expected last role User or Tool for serving but got assistant"),
    (422, "messages.0.role: Input should be 'user' or 'assistant'"),
    (200, "Conversation roles must alternate"),
)


@pytest.mark.parametrize(("status", "message"), PLACEMENTS)
@pytest.mark.parametrize("placement", ["system", "dialogue"])
def test_refused_turns_are_named_as_the_cause_and_not_tried_again(status, message, placement):
    role = "system" if placement == "system" else "user"
    turns = ({"role": role, "content": "value"}, {"role": "user", "content": "choose"})
    content = error(message, code=500) if status == 200 else error(message)
    (answer,), received = asked(lambda _: (status, content), request(messages=turns))
    assert answer.error.startswith(f"the placement '{placement}' is refused: {message[:20]}")
    assert len(received) == 1


# ---- D. Errors in other clothes. -------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        (200, {"error": {"message": "busy", "code": 429}}),
        (200, {"error": {"message": "Provider returned error", "code": 502}}),
        (200, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}),
        (200, {"error": {"message": "overloaded", "type": "overloaded_error"}}),
        (200, {"object": "error", "message": "internal", "code": "503"}),
        (200, {"error": "upstream timed out"}),
        (200, {"errorMessage": "Task timed out", "errorType": "Timeout"}),
        (200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None}),
        (200, {"fault": {"faultstring": "Rate limit quota violation"}}),
        (200, [{"error": {"message": "busy", "code": 503}}]),
        (200, {"choices": [], "error": {"code": 500, "message": "x"}}),
        (200, reply("", "error")),
        (200, reply("I choose B", "error")),
        (200, reply("I choose B", "network_error")),
        (200, reply("", choice={"error": {"code": 502, "message": "upstream"}})),
        (200, reply("I choose B", choice={"error": {"code": 502, "message": "cut"}})),
        (200, {**reply(""), "error": {"code": 502, "message": "upstream"}}),
        (503, b""),
        (429, error("Rate limit reached for api key sk-x: 10 requests/minute, 100 requests/day")),
        (502, error("bad gateway: the upstream's API key is not valid")),
    ],
)
def test_a_fault_in_the_clothes_of_a_reply_is_asked_again(fault):
    served = iter([fault, (200, reply("C"))])
    (answer,), _ = asked(lambda _: next(served))
    assert (answer.text, answer.error, answer.tries) == ("C", None, 2)


def test_a_fault_that_stays_is_an_error_with_its_words():
    (answer,), _ = asked(lambda _: (200, reply("I choose B", choice={"error": {"message": "cut"}})))
    assert answer.text is None
    assert "cut" in answer.error
    assert answer.tries == 4


AZURE = {"content_filter_result": {"jailbreak": {"filtered": True, "detected": True}}}
FILTERED = (
    (400, error("triggering the content management policy", code="content_filter")),
    (400, error("x", innererror={"code": "ResponsibleAIPolicyViolation"})),
    (400, error("x", innererror=AZURE)),
    (400, nested(error("x", code="content_filter"))),
    (400, error("Content Exists Risk")),
    (400, {"code": "data_inspection_failed", "message": "Input data is not appropriate"}),
    (403, error("Your input was flagged", code=403, metadata={"reasons": ["violence"]})),
    (403, error("Content violates usage guidelines")),
    (400, error("The request was considered high risk", type="content_filter")),
    (400, {"error": {"code": "1301", "message": "输入内容可能包含不安全或敏感内容"}}),
    (200, error("flagged by moderation", code=403)),
    (200, {"choices": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
    (400, error("ContentPolicyViolationError: The response was filtered")),
    (403, error("Your input was flagged. No credits were charged.", code=403)),
)


@pytest.mark.parametrize(("status", "content"), FILTERED)
def test_a_prompt_that_the_provider_stops_is_a_refusal(status, content):
    (answer,), received = asked(lambda _: (status, content))
    assert (answer.text, answer.error, answer.finish_reason) == ("", None, "content_filter")
    assert answer.cause.startswith("refused by the provider's filter: ")
    assert outcome(answer) == "refusal"
    assert len(received) == 1


def test_a_filter_that_leaves_no_text_is_a_refusal():
    answers, _ = asked(lambda _: (200, reply(None, "SAFETY")))
    assert (outcome(answers[0]), answers[0].cause) == (
        "refusal",
        "refused by the provider's filter",
    )


def test_a_refusal_among_the_parts_is_one():
    (answer,), _ = asked(lambda _: (200, reply([{"type": "refusal", "refusal": "I cannot."}])))
    assert (answer.text, answer.finish_reason, outcome(answer)) == (
        *("I cannot.", "content_filter", "refusal"),
    )


ENDINGS = (
    (402, error("x"), "no credit"),
    (429, error("You exceeded your current quota", code="insufficient_quota"), "no credit"),
    (400, error("Your credit balance is too low to access the API"), "no credit"),
    (200, error("Insufficient Balance", code=402), "no credit"),
    (429, error("Rate limit exceeded: free-models-per-day"), "a day or longer"),
    (
        429,
        error("on tokens per day (TPD): Limit 100000, Used 99000. Please try again in 7m12s"),
        "day",
    ),
    (412, error("Account suspended, possibly due to the monthly spending limit"), "no credit"),
    (403, error("You don't have any credits or licenses yet"), "no credit"),
    (429, error("a Trial key is limited to 1000 API calls / month"), "a day or longer"),
    (400, [error("API key not valid. Please pass a valid API key.")], "refuses the key"),
    (400, error("Incorrect API key provided: xx"), "refuses the key"),
    (400, {"message": "The provided model identifier is invalid."}, "no model 'm'"),
    (401, error("bad key"), "refuses the key"),
    (410, b"Gone", "no model 'm'"),
    (403, error("Country not supported"), "refuses the key"),
    (404, error("nothing here"), "no model 'm'"),
    (400, error("The model `m` does not exist", code="model_not_found"), "no model 'm'"),
    (410, error("The model m has been retired"), "no model 'm'"),
    (400, error("m is not a valid model ID"), "no model 'm'"),
)


@pytest.mark.parametrize(("status", "content", "said"), ENDINGS)
def test_an_endpoint_that_can_answer_nothing_ends_the_study_at_once(status, content, said):
    with (
        serve(lambda sent: (status, content)) as (url, received),
        pytest.raises(EndpointError, match=said),
    ):
        ask(url, request())
    assert len(received) == 1


def test_a_prompt_that_was_cut_in_silence_is_an_error():
    long = ({"role": "user", "content": "one word after the other " * 1440},)
    usage = {"prompt_tokens": 2000, "total_tokens": 2001}
    (answer,), _ = asked(lambda _: (200, reply("C", usage=usage)), request(messages=long))
    assert answer.text is None
    assert answer.error == answer.cause == "the server read 2,000 of about 9,000 prompt tokens"


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 6000},
        {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 6000}},
        {"prompt_tokens": 100, "cache_read_input_tokens": 6000},
        {"prompt_tokens": 7},
    ],
)
def test_a_prompt_that_was_read_is_no_error(usage):
    long = ({"role": "user", "content": "one word after the other " * 1440},)
    (answer,), _ = asked(lambda _: (200, reply("C", usage=usage)), request(messages=long))
    assert (answer.text, answer.error) == ("C", None)


# ---- Tries, quotas, secrets, sizes. -----------------------------------------------------------


def test_a_budget_is_asked_before_each_try_but_the_first():
    seen = []

    def before_try(asking):
        seen.append(asking)
        if len(seen) == 2:
            raise BudgetReached("used up")

    one = request()
    (answer,), received = asked(lambda _: (503, error("busy")), one, before_try=before_try)
    assert answer.error == "the budget allows no further try: HTTP 503: busy"
    assert (answer.tries, len(received)) == (2, 2)
    assert seen == [one, one]


def test_an_endpoint_that_only_says_429_ends_the_study_for_all(monkeypatch):
    monkeypatch.setattr(limits, "STARVED_S", 0.2)

    async def main(url):
        async with chat.ChatModel("openai/m", "m", url, KEY, Limit(4)) as model:
            several = [model.answer(request(repeat=repeat)) for repeat in range(32)]
            async with asyncio.timeout(10):
                return await asyncio.gather(*several, return_exceptions=True)

    with serve(lambda sent: (429, error("slow down"))) as (url, _):
        ends = asyncio.run(main(url))
    assert {type(end) for end in ends} == {EndpointError}
    assert all("has said 429 for 1 minutes" in str(end) for end in ends)


def test_an_endpoint_that_answers_now_and_then_is_not_given_up(monkeypatch):
    monkeypatch.setattr(limits, "STARVED_S", 0.3)
    served = iter(range(1000))

    def slow(sent):
        return (200, reply("C")) if next(served) % 4 == 3 else (429, error("slow down"))

    answers, _ = asked(slow, *(request(repeat=repeat) for repeat in range(30)))
    assert {answer.text for answer in answers} == {"C"}


def test_no_form_of_a_secret_comes_back(monkeypatch):
    query = "token=query/secret-1"
    forms = [
        KEY,
        "query/secret-1",
        "query\\/secret-1",
        "query%2Fsecret-1",
        "user-name-1",
        "pass-word-1",
    ]
    said = " ".join(forms)
    escaped = json.dumps(reply(said, reasoning=said)).replace("planted", "\\u0070lanted").encode()
    with serve(lambda sent: (200, escaped)) as (url, _):
        url = url.replace("http://", "http://user-name-1:pass-word-1@")
        (answer,) = ask(f"{url}?{query}", request())
    with serve(lambda sent: (400, error(said))) as (url, _):
        url = url.replace("http://", "http://user-name-1:pass-word-1@")
        (failed,) = ask(f"{url}?{query}", request())
    for secret in forms:
        assert secret not in answer.text + answer.thought + failed.error
    assert answer.text.count("***") == len(forms)


def test_a_long_thought_with_all_its_alternatives_fits():
    alternatives = [{"token": f"t{i}", "logprob": -1.0 - i, "bytes": [116]} for i in range(20)]
    entry = {"token": " t", "logprob": -1.0, "bytes": [116], "top_logprobs": alternatives}
    last = {**entry, "token": "C", "top_logprobs": [{**alternatives[0], "token": "C"}]}
    body = reply(
        "C", reasoning=" t" * 3000, choice={"logprobs": {"content": [entry] * 3000 + [last]}}
    )
    (answer, refused), _ = asked(
        lambda _: (200, body), request(thinking_tokens=3000), request(thinking_tokens=0)
    )
    assert answer.top_logprobs == (("C", -1.0),)
    assert "more than 1,000,000 bytes" in refused.error
