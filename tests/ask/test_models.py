"""Names of respondents: each is resolved, or the message says what is missing or meant."""

import sys
from datetime import date
from types import SimpleNamespace

import pytest

from hvae_utils import ask, paths
from hvae_utils.ask import catalogue, local, models
from hvae_utils.ask.dialect import Dialect
from hvae_utils.errors import EndpointError, UserError
from hvae_utils.run.profiles import load_profile
from tests.support.fake_endpoint import serve

VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "HVAE_VICUNA_13B_URL")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("reference/faithfull", "reference/faithful"),
        ("local/smollm2-135m-instuct", "local/smollm2-135m-instruct"),
        ("olama/llama3.2", "ollama"),
        ("paper/gpt4", "paper/gpt-4"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(name, nearest):
    with pytest.raises(UserError, match=r"unknown (family of )?model") as fault:
        models.check_name(name)
    assert f"Did you mean '{nearest}'" in str(fault.value)


@pytest.mark.parametrize("name", ["openai/", "openai", "", "/", "local", "reference/"])
def test_half_a_name_is_no_name(name):
    with pytest.raises(UserError):
        models.check_name(name)


def test_everything_that_is_missing_is_said_at_once_before_anything_runs():
    names = ["reference/random", "openai/x", "anthropic/x", "paper/vicuna-13b"]
    with pytest.raises(UserError) as fault:
        models.require(names)
    for said in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HVAE_VICUNA_13B_URL"):
        assert said in str(fault.value)
    assert "reference/random" not in str(fault.value)


def test_a_key_in_the_environment_makes_a_hosted_model_ready(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    models.require(["openai/x"])
    table = models.table().set_index("name")
    assert table.loc["openai/<model>", "ready"]
    assert not table.loc["anthropic/<model>", "ready"]
    assert "planted" not in table.to_string()


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:99999/v1", "http://x:abc/v1", "http://[::1/v1", "x.example", "http://a b"],
)
def test_a_malformed_url_is_one_sentence_that_does_not_repeat_it(monkeypatch, url):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(UserError, match=r"openai/x: OPENAI_BASE_URL is no URL") as fault:
        models.check_name("openai/x")
    assert url not in str(fault.value)
    table = models.table().set_index("name")
    assert table.loc["openai/<model>", "missing"].startswith("OPENAI_BASE_URL is no URL")


def test_a_server_of_this_machine_is_asked_whether_it_is_there(monkeypatch):
    with serve(lambda seen: (500, {})) as (url, asked):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        models.require_servers(["reference/random", "openai/x"])
    assert not asked
    with pytest.raises(EndpointError) as fault:
        models.require_servers(["reference/random", "openai/x"])
    assert str(fault.value) == (
        f"openai/x: nothing answers at {url}; start its server or leave it out of --set models"
    )


def test_the_command_that_starts_a_server_is_named(monkeypatch):
    monkeypatch.setattr(models, "_served", lambda url: None)
    with pytest.raises(EndpointError, match=r"start Ollama \(`ollama serve`\) or leave it out"):
        models.require_servers(["ollama/llama3.2"])


def test_the_eight_published_models_have_an_entry_each():
    paper = models.table().query("name.str.startswith('paper/')")
    assert len(paper) == 8
    assert paper.about.str.startswith("published as").all()


def test_a_study_with_a_retired_model_hears_of_it_before_anything_is_asked(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    for name in ("paper/gpt-4", "openai/gpt-4"):
        with pytest.raises(UserError) as fault:
            models.require(["reference/random", name])
        said = "gpt-4 was retired on 2026-10-23; its owner names gpt-5.6-sol"
        assert str(fault.value) == f"not ready: {name}: {said}"
        assert models.table().set_index("name").loc[name, "missing"] == said
    with pytest.raises(UserError, match=r"paper/claude: .* was retired on 2026-04-20"):
        models.require(["paper/claude"])


def test_another_endpoint_may_still_serve_what_its_owner_retired(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    models.require(["paper/gpt-4"])


def test_a_model_is_retired_from_the_day_that_was_announced(written):
    entry = b"{ since = %s, successor = 'new' }"
    days = {b"past": b"2020-01-01", b"future": b"9999-12-31"}
    lines = [b"'s/%s' = %s" % (name, entry % day) for name, day in days.items()]
    written(b"[servers.s]\nbase_url = 'http://x.example'\n[retired]\n" + b"\n".join(lines))
    table = models.table().set_index("name")
    assert table.loc["s/past", "missing"] == "past was retired on 2020-01-01; its owner names new"
    assert table.loc["s/future", "ready"]
    assert table.loc["s/future", "about"].startswith("future will be retired on 9999-12-31")


def test_no_model_of_the_profile_today_and_no_successor_is_listed_as_retired():
    listed = catalogue.read()["retired"]
    on = date(2026, 11, 30)  # the day of the look-up; later the catalogue itself says what is gone
    gone = {name for name, entry in listed.items() if entry["since"] <= on}
    asked = load_profile("today").parameters["models"]
    for name in asked:
        models.check_name(name)
    assert not gone & set(asked)
    for name, entry in listed.items():
        assert f"{name.partition('/')[0]}/{entry['successor']}" not in listed


def test_weights_that_were_never_fetched_are_asked_for_by_command(monkeypatch, tmp_path):
    monkeypatch.setenv("HVAE_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="hvae models fetch smollm2-135m-instruct"):
        models.require(["local/smollm2-135m-instruct"])


def test_weights_with_another_hash_are_not_loaded(monkeypatch, tmp_path):
    monkeypatch.setenv("HVAE_CACHE", str(tmp_path))
    wrong = local.known()["smollm2-135m-instruct"].cached
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"GGUF and something else")
    with pytest.raises(UserError, match="is not the file expected"):
        models.respondent("local/smollm2-135m-instruct")
    with pytest.raises(UserError, match="is not the file expected"):
        local.fetch("smollm2-135m-instruct", report=lambda line: None)
    assert wrong.read_bytes() == b"GGUF and something else"


def test_a_file_that_is_no_gguf_is_refused_by_its_first_bytes(tmp_path):
    path = tmp_path / "text.gguf"
    path.write_text("just text")
    with pytest.raises(UserError, match="no GGUF file"):
        models.respondent(f"local/{path}")
    with pytest.raises(UserError, match="no weights file"):
        models.respondent(f"local/{tmp_path}/none.gguf")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return what writes data/models.toml, in bytes, for the functions that read it."""
    for name in ("values.toml", "prices.toml"):
        (tmp_path / name).write_bytes((paths.DATA / name).read_bytes())
    monkeypatch.setattr(paths, "DATA", tmp_path)
    catalogue.read.cache_clear()
    yield (tmp_path / "models.toml").write_bytes
    catalogue.read.cache_clear()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "is not UTF-8 text"),
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"servers = 3\n[weights]", "servers in .* must be a table of tables"),
        (b"[models.x]\nserver = 'nope'\nmodel = 'm'\n[weights]", "unknown server of x 'nope'"),
        (b"[models.x]\nabout = 'y'", "models.x in .* does not say `model`"),
        (b"[weights.x]\npackage = 'p'", "weights.x in .* does not say `version`"),
        (b"[servers.x]\nmax_in_flight = true", "must be a whole number from 1"),
        (b"[retired]\n'a/b' = { since = 'soon', successor = 'c' }", "since of .* must be a date"),
        (b"[retired]\n'a/b' = { since = 2026-01-01 }", "does not say `successor`"),
        (b"[servers.x]\nthinking_tokens = 0", "thinking_tokens of servers.x in .* whole number"),
        (
            b"[servers.x]\nthinks = 'yes'",
            "unknown thinks of servers.x .* 'yes'; choose from hidden",
        ),
        (b"[servers.x]\ndialect = 'low'", "dialect of servers.x in .* must be a table"),
        (b"[servers.x.dialect]\nefort = 'x'", "dialect of servers.x .* Did you mean 'effort'"),
        (b"[servers.x.dialect]\neffort = 3", "effort of dialect of servers.x in .* must be a text"),
        (b"[servers.x.dialect]\nthinking_on = true", "thinking_on of dialect .* must be a table"),
        (b"[servers.x.dialect]\nthink_tags = ['<t>']", "think_tags of .* a list of pairs of texts"),
        (b"[servers.x.dialect]\nthink_tags = [['<t>', '']]", "think_tags of .* pairs of texts"),
        (b"[servers.x.dialect]\nconstrain = 'regex'", "'regex'; choose from .*grammar, choice"),
    ],
)
def test_a_malformed_catalogue_is_one_sentence(written, content, message):
    written(content)
    with pytest.raises(UserError, match=message):
        models.table()


def test_a_catalogue_that_is_not_there_is_named(written):
    with pytest.raises(UserError, match=r"models\.toml: cannot be read"):
        models.table()


def test_a_model_with_an_address_of_its_own_needs_no_server(written):
    written(b"[models.'mine/x']\nbase_url = 'http://x.example/v1'\nmodel = 'm'\n[weights]")
    assert models.served_at("mine/x") == ("http://x.example/v1", "m")


def test_the_words_of_a_model_go_before_those_of_its_server(written):
    written(
        b"[servers.s]\nbase_url = 'http://x.example'\nthinking_tokens = 100\n"
        b"[servers.s.dialect]\nthinking_off = { a = 1 }\neffort = 'e'\n"
        b"[models.'s/m']\nserver = 's'\nmodel = 'm'\nthinks = 'visible'\n"
        b"[models.'s/m'.dialect]\nthinking_off = {}\nthink_tags = [['<a>', '</a>']]\n"
    )
    usual, own = catalogue.endpoint("s/other"), catalogue.endpoint("s/m")
    assert usual.dialect == Dialect(thinking_off={"a": 1}, effort="e")
    assert own.dialect == Dialect(thinking_off={}, effort="e", think_tags=(("<a>", "</a>"),))
    assert (usual.thinks, own.thinks) == ("", "visible")
    assert (usual.thinking_tokens, own.thinking_tokens) == (100, 100)


def test_a_level_of_deliberation_leaves_a_name_what_it_is(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    for level in ("reasoned", "off", "low"):
        assert models.served_at(f"openai/m+{level}") == models.served_at("openai/m")
        assert models.identity(f"openai/m+{level}") == models.identity("openai/m")
        assert models.respondent(f"openai/m+{level}").name == "openai/m"
    models.require(["openai/m+low", "reference/faithful+reasoned"])
    assert models.served_at("openai/m+x")[1] == "m+x"


def test_every_server_that_is_listed_says_how_thinking_is_switched_off_or_cannot_be():
    for server in catalogue.read()["servers"]:
        spoken = catalogue.dialect(server)
        assert spoken.thinking_off, server
        assert spoken.constrain == {"llamacpp": "grammar", "vllm": "choice"}.get(server, "")


def test_models_of_inspect_are_known_to_its_module_alone(monkeypatch):
    asked = []
    known = SimpleNamespace(
        check_name=asked.append,
        InspectModel=lambda name: ("asked", name),
        identity=lambda name: f"hash of {name}",
        missing=lambda name: "install it" if name.endswith("none") else "",
    )
    monkeypatch.setitem(sys.modules, "hvae_utils.ask.inspect_model", known)
    monkeypatch.setattr(ask, "inspect_model", known, raising=False)
    models.check_name("inspect/mockllm/model+low")
    assert asked == ["inspect/mockllm/model"]
    assert models.respondent("inspect/mockllm/model") == ("asked", "inspect/mockllm/model")
    assert models.identity("inspect/mockllm/model+low") == "hash of inspect/mockllm/model"
    assert models.served_at("inspect/mockllm/model") == ("", "mockllm/model")
    models.require(["inspect/mockllm/model"])
    with pytest.raises(UserError, match="not ready: inspect/mockllm/none: install it"):
        models.require(["inspect/mockllm/none"])
    models.require_servers(["inspect/mockllm/model"])
