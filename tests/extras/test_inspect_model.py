"""Models that inspect_ai asks are respondents like every other: one request, one recorded outcome.

Its mock provider answers from a list or a function; a provider of another shape is its
OpenAI-compatible one, asked over a real socket; the embedded model is asked both ways.
"""

import asyncio
import contextlib
import functools
import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("inspect_ai", reason="needs the extra: make test-rest installs it")
from inspect_ai import model as inspected
from inspect_ai.model import (
    ContentReasoning,
    ContentText,
    Logprob,
    Logprobs,
    ModelOutput,
    ModelUsage,
    TopLogprob,
)

from hvae_utils import paths
from hvae_utils.ask import inspect_model, local, models, replies
from hvae_utils.ask.inspect_model import InspectModel
from hvae_utils.ask.respondents import Request
from hvae_utils.errors import BudgetReached, EndpointError, UserError
from hvae_utils.measure import factors, scoring
from hvae_utils.play import administer, study
from hvae_utils.play.records import Records
from tests.support import fake_endpoint

MOCK, SERVED = "inspect/mockllm/model", "inspect/openai-api/fake/m-1"
EMBEDDED = "local/smollm2-135m-instruct"
KEY = "a-key-that-nobody-may-see"


def request(**changes):
    given = {
        "kind": "item",
        "model": MOCK,
        "messages": (
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "A or B?"},
            {"role": "assistant", "content": "(no reply)"},
            {"role": "user", "content": "Which?"},
        ),
        "condition": {"value": "none"},
        "max_tokens": 24,
        "temperature": 0.0,
        "seed": 7,
        "top_logprobs": 20,
    }
    return Request(**{**given, **changes})


def ask(*requests, name=MOCK, before_try=None):
    """Return the answers of a model, asked one after the other in one session."""

    async def main():
        async with models.respondent(name) as model:
            model.before_try = before_try
            return [await model.answer(one) for one in requests]

    return asyncio.run(main())


def output(content, *, thought=None, listed=None, stop="stop", tokens=(5, 1, None)):
    """Return what a provider of inspect_ai brings; tokens: of prompt, reply and thought in it."""
    if thought is not None:
        content = [thought, ContentText(text=content)]
    made = ModelOutput.from_content("mock-1", content, stop_reason=stop)
    prompt, reply, thinking = tokens
    made.usage = ModelUsage(
        input_tokens=prompt,
        output_tokens=reply,
        total_tokens=prompt + reply,
        reasoning_tokens=thinking,
    )
    if listed:
        tops = [TopLogprob(token=token, logprob=logprob) for token, logprob in listed]
        first = Logprob(token=tops[0].token, logprob=tops[0].logprob, top_logprobs=tops)
        made.choices[0].logprobs = Logprobs(content=[first])
    return made


@pytest.fixture
def mock(monkeypatch):
    """Return play(function or outputs): what the mock provider says to (input, config)."""

    def play(says):
        def custom(input, tools, tool_choice, config):
            assert not tools
            return says(input, config) if callable(says) else says.pop(0)

        get_model = functools.partial(inspected.get_model, custom_outputs=custom)
        monkeypatch.setattr(inspected, "get_model", get_model)

    return play


@pytest.fixture
def served(monkeypatch):
    """Return serve(reply): a fake endpoint behind inspect_ai's OpenAI-compatible provider."""
    monkeypatch.setenv("FAKE_API_KEY", KEY)
    monkeypatch.setattr("hvae_utils.ask.chat.BACKOFF_S", 0.001)

    with contextlib.ExitStack() as opened:

        def serve(reply):
            url, received = opened.enter_context(fake_endpoint.serve(reply))
            monkeypatch.setenv("FAKE_BASE_URL", url)
            return received

        yield serve


# ---- what is asked ------------------------------------------------------------------------------


def test_a_request_reaches_the_provider_as_it_is(mock):
    seen = []

    def says(turns, config):
        seen.append((turns, config))
        return output("B")

    mock(says)
    (answer,) = ask(request(thinking_tokens=100))
    ((turns, config),) = seen
    assert [(turn.role, turn.text) for turn in turns] == [
        ("system", "Be brief."),
        ("user", "A or B?"),
        ("assistant", "(no reply)"),
        ("user", "Which?"),
    ]
    assert (config.max_tokens, config.temperature, config.seed) == (124, 0.0, 7)
    assert (config.logprobs, config.top_logprobs) == (True, 20)
    assert config.max_retries == 0, "a budget counts every try"
    assert config.reasoning_effort is None
    assert (answer.text, answer.finish_reason, answer.error) == ("B", "stop", None)
    assert (answer.served_model, answer.prompt_tokens, answer.tries) == ("mock-1", 5, 1)


@pytest.mark.parametrize("level", factors.THINKING)
def test_a_level_of_thinking_is_told_in_the_provider_s_words(mock, level):
    mock(lambda turns, config: output(str(config.reasoning_effort)))
    (answer,) = ask(request(thinking=level, top_logprobs=0))
    assert answer.text == {"off": "none", "on": "medium"}.get(level, level)


def test_over_a_socket_the_endpoint_gets_what_our_own_client_sends(served, monkeypatch):
    received = served(lambda body: (200, fake_endpoint.completion("B")))
    (through,) = ask(request(model=SERVED), name=SERVED)
    monkeypatch.setenv("OPENAI_BASE_URL", os.environ["FAKE_BASE_URL"])
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (ours,) = ask(request(model="openai/m-1"), name="openai/m-1")
    (first, second) = ({k: told for k, told in body.items() if k[0] != "_"} for body in received)
    assert first == second
    assert first["model"] == "m-1"
    assert received[0]["_authorization"] == f"Bearer {KEY}"
    assert (through.text, through.completion_tokens) == (ours.text, ours.completion_tokens)


# ---- what comes back ----------------------------------------------------------------------------


def test_a_thought_in_a_part_of_its_own_is_kept_apart(mock):
    listed = [("B", -0.1), ("A", -2.5)]
    thought = ContentReasoning(reasoning="A is fair, but no.")
    mock([output("B", thought=thought, listed=listed, tokens=(5, 40, 38))])
    (answer,) = ask(request(thinking_tokens=100))
    assert (answer.text, answer.thought) == ("B", "A is fair, but no.")
    assert (answer.thinking_tokens, answer.completion_tokens) == (38, 40)


def test_a_thought_in_tags_is_kept_apart_too(mock):
    mock([output("<thinking>A is fair.</thinking>B", tokens=(5, 40, None))])
    (answer,) = ask(request(thinking_tokens=100))
    assert (answer.text, answer.thought) == ("B", "A is fair.")


@pytest.mark.parametrize(("summary", "told"), [("It weighs.", "It weighs."), (None, "(withheld")])
def test_of_a_thought_that_is_withheld_the_summary_is_told_or_only_the_fact(mock, summary, told):
    thought = ContentReasoning(reasoning="Zm9v", summary=summary, redacted=True)
    mock([output("B", thought=thought)])
    (answer,) = ask(request(thinking_tokens=100))
    assert answer.thought.startswith(told)
    assert "Zm9v" not in answer.thought


def test_a_thought_that_used_up_the_room_is_the_cause(mock):
    thought = ContentReasoning(reasoning="Let me see")
    mock([output("", thought=thought, stop="max_tokens", tokens=(5, 124, 124))])
    (answer,) = ask(request(thinking_tokens=100))
    assert (answer.text, answer.finish_reason) == ("", "length")
    assert answer.cause == "thought for 124 of 124 tokens"


def test_the_listed_probabilities_are_those_of_the_reply_s_first_token(mock):
    listed = [("B", -0.1), ("A", -2.5)]
    mock([output("B", listed=listed), output("Whatever", listed=listed)])
    right, wrong = ask(request(kind="readout", max_tokens=1), request(kind="readout", seed=8))
    assert right.top_logprobs == (("B", -0.1), ("A", -2.5))
    assert right.flags == ()
    assert wrong.top_logprobs is None, "no token of this reply is listed"
    assert wrong.flags == ("not the reply's first token",)


def test_tokens_that_were_cached_are_part_of_the_prompt(mock):
    made = output("B")
    made.usage.input_tokens_cache_read, made.usage.input_tokens_cache_write = 30, 4
    mock([made])
    (answer,) = ask(request())
    assert (answer.prompt_tokens, answer.cached_tokens) == (39, 30)


def test_a_model_that_refuses_and_a_provider_that_does_are_told_apart(mock):
    provider = ModelOutput.from_content("mock-1", "Blocked: A", stop_reason="content_filter")
    with pytest.raises(Exception, match="HTTP 400: Blocked: A"):
        inspect_model.completion(provider)
    mock([output("I cannot answer that.", stop="content_filter")])
    (answer,) = ask(request())
    assert (answer.text, answer.finish_reason) == ("I cannot answer that.", "content_filter")


def test_a_reply_without_choices_is_an_error_of_its_own(mock):
    mock([ModelOutput(model="mock-1", choices=[], usage=ModelUsage())])
    (answer,) = ask(request())
    assert answer.error == "the endpoint sent no choices"


def test_a_fault_of_the_provider_s_library_ends_this_request_alone(mock):
    def says(turns, config):
        if turns[-1].text == "Which?":
            raise KeyError("choices")
        return output("B")

    mock(says)
    fell, stood = ask(request(), request(messages=({"role": "user", "content": "Hello"},)))
    assert fell.error == "'choices'"
    assert stood.text == "B"


# ---- what goes wrong, over a socket -------------------------------------------------------------

REFUSED = [
    (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "refuses the key"),
    (404, {"error": {"message": "The model m-1 does not exist"}}, "has no model"),
    (429, {"error": {"message": "no", "code": "insufficient_quota"}}, "no credit left"),
]


@pytest.mark.parametrize(("status", "body", "said"), REFUSED)
def test_an_endpoint_that_cannot_be_used_ends_the_study_in_one_sentence(served, status, body, said):
    received = served(lambda _: (status, body))
    with pytest.raises(EndpointError, match=said) as fault:
        ask(request(), name=SERVED)
    assert len(received) == 1
    assert KEY not in str(fault.value)


def test_an_endpoint_that_is_not_there_is_named(served, monkeypatch):
    monkeypatch.setenv("FAKE_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(EndpointError, match=r"cannot reach http://127\.0\.0\.1:9/v1"):
        ask(request(), name=SERVED)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_tried_again_and_every_try_is_counted(served, status):
    said = [(status, {"error": {"message": "busy"}}), (200, fake_endpoint.completion("B"))]
    received = served(lambda _: said[min(len(received), 2) - 1])
    tries = []
    (answer,) = ask(request(), name=SERVED, before_try=tries.append)
    assert (answer.text, answer.tries) == ("B", 2)
    assert len(received) == 2
    assert tries == [request()]


def test_a_budget_ends_the_tries(served):
    received = served(lambda _: (500, {"error": {"message": "busy"}}))

    def no_more(_):
        raise BudgetReached("2 requests")

    (answer,) = ask(request(), name=SERVED, before_try=no_more)
    assert answer.error.startswith("the budget allows no further try")
    assert len(received) == 1


def test_a_parameter_that_is_refused_is_left_out_and_the_record_says_so(served):
    def reply(body):
        if "seed" in body:
            return 400, {"error": {"message": "Unknown name 'seed'", "param": "seed"}}
        return 200, fake_endpoint.completion("B")

    received = served(reply)
    (answer,) = ask(request(), name=SERVED)
    assert (answer.text, answer.dropped) == ("B", ("seed",))
    assert ["seed" in body for body in received] == [True, False]


def test_a_prompt_stopped_by_the_provider_is_a_refusal(served):
    error = {"message": "The prompt was filtered: A", "code": "content_filter"}
    served(lambda _: (400, {"error": error}))
    (answer,) = ask(request(), name=SERVED)
    assert (answer.text, answer.error, answer.finish_reason) == ("", None, "content_filter")
    assert "filtered: A" in answer.cause
    read = replies.read(answer.text, answer.finish_reason, None, tuple("AB"), (), answer.cause)
    assert (read.outcome, read.index) == ("refusal", None)


def test_a_prompt_that_is_too_long_is_an_error_and_no_reply(served):
    error = {"message": "Choose A shorter prompt", "code": "context_length_exceeded"}
    served(lambda _: (400, {"error": error}))
    (answer,) = ask(request(), name=SERVED)
    assert answer.text is None
    assert "Choose A shorter prompt" in answer.error


def test_replies_are_not_held_to_labels_and_the_request_says_so(served):
    received = served(lambda _: (200, fake_endpoint.completion("B")))
    (answer,) = ask(request(choices=("A", "B")), name=SERVED)
    assert "cannot hold a reply to labels" in answer.error
    assert received == []


def test_no_secret_of_the_environment_comes_back(served, monkeypatch):
    monkeypatch.setenv("OTHER_SECRET", "another-of-our-secrets")
    told = f"<think>{KEY}</think>The keys are {KEY} and another-of-our-secrets"
    served(lambda _: (200, fake_endpoint.completion(told)))
    (answer,) = ask(request(), name=SERVED)
    assert (answer.text, answer.thought) == ("The keys are *** and ***", "***")


# ---- names, and what is missing -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("inspect", "inspect/<provider>/<model>"),
        ("inspect/", "inspect/<provider>/<model>"),
        ("inspect/anthropic", "inspect/anthropic/<model>"),
        ("inspect/openai-api/fake", "inspect/openai-api/<service>/<model>"),
        ("inspect/anthropic//", "inspect/anthropic/<model>"),
    ],
)
def test_a_name_without_a_model_is_told_its_form(name, form):
    with pytest.raises(UserError, match=f"names no model; write {form}$"):
        inspect_model.check_name(name)


@pytest.mark.parametrize(
    ("name", "lack"),
    [
        ("inspect/antropic/claude", r"unknown provider .* Did you mean 'anthropic'\?$"),
        ("inspect/openai-api/nobody/m", "set NOBODY_API_KEY$"),
        (MOCK, "$"),
    ],
)
def test_what_is_missing_is_one_sentence(name, lack):
    assert re.match(lack, inspect_model.missing(name))


def test_a_provider_s_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "anthropic", None)
    assert inspect_model.missing("inspect/anthropic/claude-x") == "run: pip install anthropic"


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    with pytest.raises(UserError, match=r"pip install 'hvae-workbook\[inspect\]'"):
        InspectModel(MOCK)


def test_the_identity_follows_provider_model_and_url_but_no_secret(monkeypatch):
    monkeypatch.setenv("FAKE_BASE_URL", "http://host.example/v1?key=one")
    first = inspect_model.identity(SERVED)
    monkeypatch.setenv("FAKE_BASE_URL", "http://user:word@host.example/v1?key=two")
    assert inspect_model.identity(SERVED) == first
    monkeypatch.setenv("FAKE_BASE_URL", "http://other.example/v1")
    assert inspect_model.identity(SERVED) != first
    assert inspect_model.identity("inspect/openai-api/fake/m-2") != inspect_model.identity(SERVED)


# ---- a good guest -------------------------------------------------------------------------------

GUEST = """
import asyncio, sys
from types import SimpleNamespace
import IPython
import hvae_utils.ask.inspect_model as module
assert "inspect_ai" not in sys.modules, "it is loaded when it is needed"
IPython.get_ipython = lambda: SimpleNamespace(config={"IPKernelApp": {}})
before = asyncio.run, asyncio.Task, sys.excepthook
module.InspectModel("inspect/mockllm/model")
from inspect_ai._util.platform import running_in_notebook
assert running_in_notebook()
assert (asyncio.run, asyncio.Task, sys.excepthook) == before
print("as before")
"""


def test_it_is_loaded_late_and_changes_neither_asyncio_nor_the_hook_for_errors():
    command = [sys.executable, "-c", GUEST]
    done = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT, check=False)
    assert done.stdout == "as before\n", done.stderr


def test_what_was_asked_is_not_kept_in_a_transcript(mock):
    from inspect_ai.log._transcript import _transcript

    mock(lambda turns, config: output("B"))

    async def main():
        async with InspectModel(MOCK) as model:
            await model.answer(request())
            return _transcript.get()

    assert asyncio.run(main()) is None


def test_a_model_that_an_evaluation_has_opened_is_asked_as_it_is_and_its_limits_hold(monkeypatch):
    from inspect_ai.util import LimitExceededError, token_limit

    monkeypatch.setenv("MOCK_API_KEY", KEY)
    opened = inspected.get_model(MOCK[8:], custom_outputs=[output(f"B {KEY}"), output("B")])

    async def main():
        model = InspectModel(MOCK, opened)
        answer = await model.answer(request())
        with token_limit(1), pytest.raises(LimitExceededError):
            await model.answer(request())
        return answer

    assert asyncio.run(main()).text == "B ***"


# ---- whole studies ------------------------------------------------------------------------------


def play(name, folder, **design):
    """Return conditions, responses and number of records of a study."""
    planned = study.conditions(study.Study(models=(name,), **design))
    with Records(folder / "records.jsonl") as records:
        assigned = administer.assign_values(planned, records, 1)
        responses = administer.put_items(assigned, records, True, 1)
        return assigned, responses, len(records)


def test_a_study_of_the_mock_provider_is_played_recorded_and_resumed(mock, tmp_path):
    asked = []

    def says(turns, config):
        asked.append(turns[-1].text)
        listed = [("A", -0.2), ("B", -1.8)] if config.logprobs else None
        if "letter C" in turns[-1].text:
            return output("C", listed=[("C", -0.01), ("A", -5.0)])
        return output("A", listed=listed)

    mock(says)
    design = {"values": ("prosocial",), "goal_prompts": (False,), "readout": "probabilities"}
    assigned, responses, recorded = play(MOCK, tmp_path, **design)
    assert (responses.method == "probabilities").all()
    assert (responses.label == "A").all()
    assert responses.covered_mass.to_numpy() == pytest.approx(0.984, abs=0.001)
    assert len(asked) == recorded
    assert scoring.administrations(assigned, responses).answered[0] == 6
    assert play(MOCK, tmp_path, **design)[1].equals(responses)
    assert len(asked) == recorded, "the second time nobody was asked"


@pytest.fixture(scope="module")
def embedded():
    """Return the server of the embedded model by its weights, as LocalModel takes one that runs."""
    weights = local.find(EMBEDDED.removeprefix("local/"))
    with local.keeping(place := {weights: local.serve(weights, EMBEDDED)}):
        yield place


@pytest.mark.parametrize("readout", factors.READOUTS)
def test_the_embedded_model_answers_the_same_through_both_clients(
    readout, embedded, tmp_path, monkeypatch
):
    (server,) = embedded.values()
    monkeypatch.setenv("EMBEDDED_BASE_URL", f"{server.listening_address}/v1")
    monkeypatch.setenv("EMBEDDED_API_KEY", "none-needed")
    design = {"values": ("prosocial",), "goal_prompts": (False,), "readout": readout}
    ours = play(EMBEDDED, tmp_path / "ours", **design)
    through = play("inspect/openai-api/embedded/x", tmp_path / "inspect", **design)
    assert through[0].description.equals(ours[0].description)
    assert through[2] == ours[2]
    told = ["item", "method", "outcome", "option", "label", "reply", "attempts"]
    told += [f"p{option}" for option in range(1, 10)]
    assert through[1][told].equals(ours[1][told])
