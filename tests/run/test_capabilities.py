"""Before a study its models are asked what they can do: the manifest keeps it, or it stops."""

import json

import pandas as pd
import pytest

from hvae_utils.ask import replay
from hvae_utils.errors import BudgetReached, EndpointError, UserError
from hvae_utils.play import records
from hvae_utils.run import bundle, runner, workbook
from tests.play.test_check import KEY, plain, refuses, thinks
from tests.support.fake_endpoint import serve

SMALL = ("models=reference/random,openai/m", "wordings=plain,formal", "values=none")


@pytest.fixture
def notebooks(monkeypatch):
    """Return the names of the notebooks that were executed; none really is."""
    executed = []
    monkeypatch.setattr(runner, "execute", lambda step, *ignored: executed.append(step.name) or 0.0)
    return executed


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return what runs a small study at an endpoint; its lines are in `study.said`."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def run(url, *overrides):
        monkeypatch.setenv("OPENAI_BASE_URL", url.replace("//", "//user:S3cretPass@"))
        run.said = []
        given = {"runs": tmp_path, "run_id": "r", "report": run.said.append}
        return workbook.reproduce("smoke", (*SMALL, *overrides), **given)

    return run


def test_each_model_is_asked_once_a_run_and_what_was_seen_is_kept(notebooks, study):
    with serve(plain) as (url, asked):
        run = study(url)
        sent = len(asked)
        again = study(url).manifest["capabilities"]
        assert len(asked) == sent, "the records answer"
    seen = run.manifest["capabilities"]
    assert list(seen) == ["openai/m"]
    assert seen == again
    assert seen["openai/m"]["routes"]["direct"]["method"] == "probabilities"
    assert seen["openai/m"]["requests"] == sent
    assert any(line.startswith("openai/m: Items are read as exact") for line in study.said)
    kept = list(records.read(run.path("records.jsonl")))
    assert [record["kind"] for record in kept] == ["probe", "check"]
    assert {record["wording"] for record in kept} == {"plain"}
    text = json.dumps(run.manifest)
    assert not [secret for secret in (KEY, "S3cret", "127.0.0.1") if secret in text]


def refuses_effort(seen):
    """Refuse high in so many words, and think at other levels."""
    return refuses('"high"', "reasoning_effort: high is not supported", otherwise=thinks)(seen)


IMPOSSIBLE = {  # what the server does, what the study sets -> why it cannot be asked
    "room": (thinks, ["thinking_tokens=50"], "deliberation 'direct': .* raise thinking_tokens"),
    "effort": (refuses_effort, ["deliberations=direct,high"], "deliberation 'high': .*high is not"),
    "off": (thinks, ["deliberations=off"], "deliberation 'off': it thinks all the same"),
    "system": (
        refuses('"system"', "System role not supported"), ["placements=system", "values=prosocial"],
        "the placement 'system' is refused: System role",
    ),
    "constrained": (plain, ["replies=constrained"], "replies cannot be constrained: data/models"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_makes_a_study_impossible_is_a_sentence_before_the_first_notebook(
    case, notebooks, study
):
    reply, settings, why = IMPOSSIBLE[case]
    with serve(reply) as (url, _), pytest.raises(UserError, match=f"^openai/m: {why}") as fault:
        study(url, *settings)
    assert "\n" not in str(fault.value)
    assert not notebooks


@pytest.mark.parametrize(
    ("reply", "settings"),
    [
        (refuses('"logprobs"', "logprobs is not supported"), ["readout=probabilities"]),
        (refuses('"system"', "System role not supported"), ["placements=dialogue"]),
        (thinks, ["deliberations=direct,low"]),
        (lambda seen: (400, {"error": {"message": "not now"}}), []),
    ],
)
def test_what_a_study_can_do_without_does_not_stop_it(reply, settings, notebooks, study):
    with serve(reply) as (url, _):
        study(url, *settings)
    assert len(notebooks) == len(workbook.STEPS)


def test_a_model_that_cannot_be_asked_at_all_ends_the_run_before_the_first_notebook(
    notebooks, study
):
    with (
        serve(lambda seen: (401, {})) as (url, _),
        pytest.raises(EndpointError, match=r"openai/m: .* refuses the key \(401\)"),
    ):
        study(url)
    assert not notebooks


def test_the_questions_count_in_the_budget(notebooks, study):
    with serve(plain) as (url, asked), pytest.raises(BudgetReached):
        study(url, "budget=1 requests")
    assert len(asked) == 1


def test_simulated_respondents_and_replays_are_not_asked(notebooks, study, tmp_path):
    with serve(plain) as (url, asked):
        assert study(url, "models=reference/random").manifest["capabilities"] == {}
        with replay.replaying({"openai/m": "identity"}):
            assert study(url).manifest["capabilities"] == {}
    assert not asked


def test_a_bundle_is_of_models_however_they_deliberate(notebooks, study, monkeypatch):
    with serve(plain) as (url, _):
        run = study(url)
    run.__dict__["conditions"] = pd.DataFrame({"model": ["openai/m", "openai/m+low"]})
    bundled = []
    monkeypatch.setattr(bundle, "write", lambda *given: bundled.append(given))
    run.bundle()
    assert bundled[0][2] == {"openai/m"}
