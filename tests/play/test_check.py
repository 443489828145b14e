"""What an endpoint can do is seen, not believed: one fake server for each thing it may do."""

import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hvae_utils import __main__ as cli
from hvae_utils.ask import catalogue, listing
from tests.support.fake_endpoint import completion, serve

KEY = "planted-key"
THOUGHT = 300  # tokens that the servers which think take for it
LISTED = [("C", -0.1), ("A", -3.0), ("The", -4.0)]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def listed(text, alternatives):
    """Return the part of a choice that lists alternatives of its one token."""
    top = [{"token": token, "logprob": logprob} for token, logprob in alternatives]
    first = {"token": text, "logprob": top[0]["logprob"], "top_logprobs": top}
    return {"logprobs": {"content": [first]}}


def plain(seen):
    wanted = seen.get("logprobs")
    return 200, completion("C", **(listed("C", LISTED) if wanted else {}))


def thinks(seen, **field):
    """Think for THOUGHT tokens, then answer where there is room left."""
    cap = seen.get("max_tokens", seen.get("max_completion_tokens"))
    spent = min(THOUGHT, cap)
    body = completion("C" if spent < cap else "", finish_reason="stop" if spent < cap else "length")
    body["choices"][0]["message"] |= field
    details = {"completion_tokens_details": {"reasoning_tokens": spent}}
    body["usage"] |= {"completion_tokens": min(spent + 1, cap), **details}
    return 200, body


def one_hot(seen):
    table = LISTED if seen["temperature"] else [("C", 0.0), ("A", -9999.0), ("B", -9999.0)]
    return 200, completion("C", **listed("C", table))


def silent(seen):
    return 200, completion("C")


def refuses(part, message, status=400, otherwise=plain):
    """Return a server that refuses every body with this part in it."""

    def reply(seen):
        body = json.dumps({name: text for name, text in seen.items() if not name.startswith("_")})
        wrong = {"error": {"message": message}}
        return (status, wrong) if part in body else otherwise(seen)

    return reply


def off_in_vain(seen):
    return thinks(seen, reasoning_content="Let me see.")


EXACT = "Items are read as exact probabilities of the first token; no thought."
ROOM = "so each request has room for 8,192 tokens of thought; items are read as text, because "
CASES = {  # what the server does -> exit code, what is said
    "nothing odd": (plain, 0, ["exact, 3 alternatives", "answers as fake-1", EXACT]),
    "thinks, hidden": (thinks, 0, ["thinking       hidden", f"It thinks (hidden), {ROOM}"]),
    "thinks, visible": (off_in_vain, 0, [f"It thinks (visible), {ROOM}"]),
    "off in vain": (
        off_in_vain,
        0, ["thinking off   no (it thinks all the same)", "thinking low   taken, thinking visible"],
    ),
    "one-hot at 0": (one_hot, 0, ["as exact probabilities of the first token, at temperature 1;"]),
    "lists nothing": (silent, 0, ["probabilities  no: ", "Items are read as text, because "]),
    "no system turn": (
        refuses('"system"', "System role not supported"),
        0, ["system turn    no (System role not supported)", EXACT],
    ),
    "no seed": (
        refuses('"seed"', "Unrecognized argument: seed"), 0, ["seed           refused", EXACT],
    ),
    "temperature": (
        refuses('"temperature"', "'temperature' is not supported with this model"),
        0, ["temperature    refused, left out", "seed           taken"],
    ),
    "no effort": (
        refuses('"reasoning_effort"', "Unknown parameter: 'reasoning_effort'"),
        0, ["thinking low   no (the endpoint refuses 'reasoning_effort'", "thinking off   no ("],
    ),
    "a tag that never closes": (
        lambda seen: (200, completion("<think>hm C")),
        2, ["It cannot be asked: it gave no answer: thinking never ended.",
            "no: there is no answer to read"],
    ),
    "wrong key": (lambda seen: (401, {}), 3, ["It cannot be asked: ", "refuses the key (401)."]),
    "no such model": (
        lambda seen: (404, {"error": {"message": "The model `m` does not exist"}}),
        3, ["It cannot be asked: ", "has no model 'm' (404: The model `m`"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_a_server_does_is_said_in_words_and_by_the_exit_code(case, monkeypatch, capsys):
    reply, code, said = CASES[case]
    with serve(reply) as (url, asked):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert cli.main(["models", "check", "openai/m"]) == code
    out = capsys.readouterr().out
    assert not [words for words in said if words not in out], out
    assert KEY not in out
    assert {seen["model"] for seen in asked} == {"m"}
    assert {seen["_authorization"] for seen in asked} == {f"Bearer {KEY}"}


def test_of_a_model_that_does_not_answer_only_that_is_said(monkeypatch, capsys):
    with serve(lambda seen: (200, b"<html>log in</html>")) as (url, _):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert cli.main(["models", "check", "openai/m"]) == 3
    name, route = capsys.readouterr().out.splitlines()[-2:]
    assert name == f"openai/m: {url}"
    assert route.startswith("It cannot be asked: the probe was not answered: the reply is no JSON")


def test_the_report_counts_the_requests_and_the_levels_reach_the_wire(monkeypatch, capsys):
    with serve(thinks) as (url, asked):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert cli.main(["models", "check", "openai/m"]) == 0
    assert f"requests       {len(asked)}" in capsys.readouterr().out
    assert len(asked) <= 10
    assert {seen.get("reasoning_effort") for seen in asked} == {None, "none", "low", "high"}


def test_a_room_too_small_for_a_thought_is_bad_input_and_named(monkeypatch, capsys):
    with serve(thinks) as (url, _):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert cli.main(["models", "check", "openai/m", "--thinking-tokens", "50"]) == 2
    assert "gave no answer; raise thinking_tokens" in capsys.readouterr().out
    assert cli.main(["models", "check", "openai/m", "--thinking-tokens", "-1"]) == 2


def test_where_nothing_answers_nothing_is_asked_and_no_secret_of_the_url_is_shown(
    monkeypatch, capsys
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:S3cretPass@127.0.0.1:9/v1?api_key=TOPSECRET")
    assert cli.main(["models", "check", "openai/m"]) == 3
    out = capsys.readouterr().out
    assert "nothing answers at http://127.0.0.1:9/v1; start its server" in out
    assert "S3cret" not in out
    assert "TOPSECRET" not in out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openai/gpt-4", "gpt-4 was retired on 2026-10-23; its owner names gpt-5.6-sol"),
        ("opnai/x", "Did you mean 'openai'"),
        ("anthropic/x", "anthropic/x: set ANTHROPIC_API_KEY"),
        ("reference/randm", "Did you mean 'reference/random'"),
    ],
)
def test_a_name_that_cannot_be_asked_is_one_sentence(name, message, monkeypatch, capsys):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert cli.main(["models", "check", name]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert not said.out


def test_a_simulated_respondent_is_said_to_be_one(capsys):
    assert cli.main(["models", "check", "reference/faithful"]) == 0
    out = capsys.readouterr().out
    assert "reference/faithful: simulated" in out
    assert EXACT in out


def held(seen):
    return plain(seen) if "grammar" not in seen else (200, completion("B"))


def loose(seen):
    return plain(seen) if "grammar" not in seen else (200, completion("hello"))


@pytest.mark.parametrize(("reply", "said"), [(held, "taken"), (loose, "no (it said 'hello')")])
def test_the_words_of_llama_cpp_are_tried_and_its_context_is_the_one_that_is_served(
    reply, said, monkeypatch, capsys
):
    told = {
        "/v1/models": {"data": [{"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx_train": 9}}]},
        "/props": {"default_generation_settings": {"n_ctx": 4096}},
    }
    table = copy.deepcopy(catalogue.read())
    monkeypatch.setattr(catalogue, "read", lambda: table)
    with serve(reply, told) as (url, asked):
        table["servers"]["llamacpp"]["base_url"] = url
        assert cli.main(["models", "check", "llamacpp/m"]) == 0
    out = capsys.readouterr().out
    assert f"constrained    {said}" in out
    assert "context        4,096 tokens" in out
    assert "name           answers as fake-1; the server's list names it" in out
    (constrained,) = [seen["grammar"] for seen in asked if "grammar" in seen]
    assert constrained.startswith('root ::= "A" | "B"')
    switched = [seen.get("chat_template_kwargs") for seen in asked]
    assert {"enable_thinking": False} in switched
    assert {"reasoning_effort": "low"} in switched


def test_a_list_that_redirects_gets_no_key_to_another_host():
    class Redirects(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"{elsewhere}/models")
            self.end_headers()

        def log_message(self, *ignored):
            """Say nothing."""

    with serve(plain, {}) as (elsewhere, _), HTTPServer(("127.0.0.1", 0), Redirects) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        heard = listing.get(f"http://127.0.0.1:{server.server_port}/v1", "/models", KEY)
        thread.join()
    assert heard == listing.Heard(True, 302)


@pytest.mark.parametrize(
    ("entry", "tokens"),
    [
        ({"max_model_len": 4096}, 4096),
        ({"meta": {"n_ctx": 2048, "n_ctx_train": 8192}}, 2048),
        ({"context_length": 131072}, 131072),
        ({"meta": {"n_ctx_train": 8192}}, None),
        ({"context_length": "many"}, None),
        ({"context_length": True}, None),
        ({}, None),
    ],
)
def test_the_context_is_what_the_server_says_it_is(entry, tokens):
    assert listing.context_of(entry) == tokens


@pytest.mark.parametrize("content", [None, 3, "x", [], {"data": 3}, {"data": [3, {"x": 1}, None]}])
def test_a_list_of_any_shape_names_no_model(content):
    assert listing.models(listing.Heard(True, 200, content)) == {}
