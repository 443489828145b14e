"""A budget stops a run before the request that could pass it, and loses no answer."""

import itertools
from dataclasses import replace

import pytest

from hvae_utils.ask import chat
from hvae_utils.ask.http import limits
from hvae_utils.ask.respondents import Answer, Request
from hvae_utils.errors import BudgetReached, UserError
from hvae_utils.play import administer, budget, engine, study
from hvae_utils.play.budget import Amount, Budget, parse
from hvae_utils.play.records import Records, read
from tests.play.test_administer import MODEL, Scripted, always
from tests.support.fake_endpoint import completion, serve


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that plays ten conditions of six items, after one probe, in a budget."""

    def play_it(text, respondent, **factors):
        monkeypatch.setattr(engine.models, "respondent", lambda name, *limits: respondent)
        given = {"values": ("none",), "goal_prompts": (False,), "temperature": 1.0, "repeats": 10}
        planned = study.conditions(study.Study(models=(MODEL,), **given, **factors))
        limit = Budget.of_run(text, play_it.path)
        with Records(play_it.path) as records:
            assigned = administer.assign_values(planned, records, budget=limit)
            return administer.put_items(assigned, records, budget=limit)

    play_it.path = tmp_path / "records.jsonl"
    return play_it


@pytest.fixture
def hurry(monkeypatch):
    """Let failed tries be followed by the next at once."""
    monkeypatch.setattr(chat, "BACKOFF_S", 0.001)
    monkeypatch.setattr(limits, "PAUSE_S", 0.001)


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("500 requests", 500, "requests"),
        ("1 request", 1, "requests"),
        ("2M tokens", 2_000_000, "tokens"),
        ("1,500 tokens", 1_500, "tokens"),
        ("1.5k tokens", 1_500, "tokens"),
        ("3 USD", 3, "USD"),
        ("0.25usd", 0.25, "USD"),
    ],
)
def test_a_budget_is_read_as_people_write_it(text, number, unit):
    assert parse(text) == Amount(number, unit)


@pytest.mark.parametrize(
    "text",
    ["", " ", "500", "requests", "0 requests", "-5 requests", "1,5 USD", "nan USD", "inf tokens",
     "1e3 tokens", "3 EUR", "3 furlongs", "1.2.3 tokens", "2 M tokens please", "9" * 400 + " USD"],
)  # fmt: skip
def test_what_is_no_budget_is_refused_with_examples(text):
    with pytest.raises(UserError, match="'500 requests', '2M tokens' or '3 USD'"):
        parse(text)


@pytest.mark.parametrize("concurrency", [1, 7])
def test_a_budget_of_requests_is_spent_to_the_last_and_never_passed(run, concurrency):
    model = Scripted(always("C"), concurrency=concurrency)
    with pytest.raises(BudgetReached, match="25 requests"):
        run("25 requests", model)
    assert len(model.asked) + len(model.probed) == len(list(read(run.path))) == 25


def test_a_larger_budget_continues_and_the_folder_s_spending_counts(run):
    first, again, rest = (Scripted(always("C")) for _ in range(3))
    with pytest.raises(BudgetReached):
        run("25 requests", first)
    with pytest.raises(BudgetReached):
        run("25 requests", again)
    assert again.asked == []
    responses = run("61 requests", rest)
    assert len(rest.asked) == 36
    assert set(responses.outcome) == {"choice"}


def test_a_run_that_fits_its_budget_exactly_is_not_stopped(run):
    assert len(run("61 requests", Scripted(always("C")))) == 60


def test_tokens_are_counted_as_the_endpoint_counts_them_and_not_passed(run):
    used = Answer(text="C", finish_reason="stop", prompt_tokens=150, completion_tokens=2)
    probed = Answer(text="C", finish_reason="stop", prompt_tokens=30, completion_tokens=1)
    model = Scripted(lambda request: used, concurrency=5, probe=lambda request: probed)
    with pytest.raises(BudgetReached):
        run("2k tokens", model)
    spent = sum(line["prompt_tokens"] + line["completion_tokens"] for line in read(run.path))
    assert 2_000 - 400 < spent <= 2_000  # what is left is less than another request could take


def test_without_usage_tokens_are_counted_by_characters(run):
    silent = Scripted(always("C"))
    with pytest.raises(BudgetReached):
        run("2k tokens", silent)
    written = sum(len(m["content"]) for line in read(run.path) for m in line["messages"])
    assert 1_000 < written / 4 < 2_000  # four characters a token, the usual rule of thumb


@pytest.mark.parametrize("in_flight", [1, 3])
def test_money_is_spent_at_the_price_of_the_table(run, monkeypatch, in_flight):
    price = budget.Price(input=10.0, output=100.0)  # per million tokens
    monkeypatch.setattr(budget, "price_of", lambda model: price)
    used = Answer(text="C", finish_reason="stop", prompt_tokens=300, completion_tokens=10)
    model = Scripted(lambda request: used, concurrency=in_flight)
    with pytest.raises(BudgetReached, match="USD"):
        run("0.1 USD", model)
    spent = len(model.asked) * (300 * 10 + 10 * 100) / 1e6
    most = (330 * 10 + 24 * 100) / 1e6  # the longest item, answered at greatest length
    unused = (in_flight - 1) * (most - 0.004)  # set aside for those in flight, and given back
    assert 0.1 - most - unused < spent <= 0.1


def test_money_for_a_model_without_a_price_is_refused_before_anything_runs():
    with pytest.raises(UserError, match=r"openai/nameless has no price in data/prices\.toml"):
        budget.require("3 USD", ["reference/faithful", "openai/nameless"])
    budget.require("3 tokens", ["openai/nameless"])
    budget.require("", ["openai/nameless"])


def flaky(good, fault):
    """Answer every `good`-th request, and others with the fault."""
    counted = itertools.count(1)
    return lambda sent: (200, completion("C")) if next(counted) % good == 0 else fault


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    ("good", "fault"),
    [
        (4, (500, {"error": {"message": "busy"}})),
        (4, (429, {"error": {"message": "slow down"}})),
        (1000, (503, b"")),
        (2, (200, b"<html>")),
    ],
)
def test_every_try_is_a_request_and_the_endpoint_gets_no_more_than_the_budget(
    run, hurry, concurrency, good, fault
):
    with serve(flaky(good, fault)) as (url, received):
        model = chat.ChatModel(MODEL, "scripted", url, "a-long-key", limits.Limit(concurrency))
        with pytest.raises(BudgetReached, match="10 requests"):
            run("10 requests", model)
        with pytest.raises(BudgetReached, match="10 requests"):
            run("10 requests", model)  # what was tried in vain is spent, too
    assert len(received) == 10
    records = list(read(run.path))
    assert sum(line["tries"] for line in records) == 10


def test_a_request_without_budget_for_another_try_says_why_it_failed_and_ends_the_run(run, hurry):
    with serve(lambda sent: (500, {"error": {"message": "a-long-key broke"}})) as (url, received):
        model = chat.ChatModel(MODEL, "scripted", url, "a-long-key", limits.Limit(1))
        with pytest.raises(BudgetReached):
            run("2 requests", model)
    (line,) = read(run.path)
    assert line["error"] == "the budget allows no further try: HTTP 500: *** broke"
    assert (line["tries"], line["lost"], len(received)) == (2, 0, 2)


LONG = Request(
    kind="item", model=MODEL, messages=({"role": "user", "content": "x" * 3300},), seed=1,
    condition={"value": "none"}, max_tokens=24, temperature=0.0, thinking_tokens=2_000,
)  # fmt: skip
PROMPT = budget.tokens_of(LONG.messages)  # about 1,000 tokens


def spent(answer, unit="tokens"):
    """Return what the record of an answer to LONG has spent."""
    return Budget(Amount(1e9, unit), [engine.record_of(LONG, answer)]).spent


@pytest.mark.parametrize(
    ("answer", "prompts", "completion_tokens"),
    [
        (Answer(text="C", prompt_tokens=900, completion_tokens=1_502), 0.9, 1_502),
        (Answer(text="C", thought="x" * 330), 1, 331 / 3.3),  # a thought counts as it is read
        (Answer(error="HTTP 500: busy (4 tries)", tries=4), 0, 0),
        (Answer(error="HTTP 400: no", tries=1), 0, 0),
        (Answer(error="no reply within 120 s (4 tries)", tries=4, lost=4), 4, 0),
        (Answer(text="C", prompt_tokens=900, completion_tokens=2, tries=3, lost=2), 2.9, 2),
    ],
)
def test_of_failed_tries_only_those_that_may_be_billed_count_their_prompt(
    answer, prompts, completion_tokens
):
    tokens = pytest.approx(prompts * 1_000 + completion_tokens, rel=0.01)
    assert spent(answer) == tokens
    assert spent(answer, "requests") == answer.tries


def test_an_error_that_an_older_version_recorded_counts_its_prompt_once():
    line = engine.record_of(LONG, Answer(error="no reply within 120 s"))
    del line["lost"], line["tries"]
    assert Budget(Amount(1e9, "tokens"), [line]).spent == PROMPT
    assert Budget(Amount(9, "requests"), [line]).spent == 1


def test_what_is_set_aside_has_room_for_the_thought_and_for_tries_that_may_be_billed():
    assert pytest.approx(1_000, rel=0.01) == PROMPT
    with pytest.raises(BudgetReached):
        Budget(Amount(3_000, "tokens")).admit(LONG)
    admitted = Budget(Amount(24 + 2_000 + 3 * PROMPT, "tokens"))
    admitted.admit(LONG)
    admitted.admit_try(LONG)
    admitted.admit_try(LONG)
    with pytest.raises(BudgetReached):
        admitted.admit_try(LONG)
    admitted.note(engine.record_of(LONG, Answer(error="HTTP 429", tries=3)))
    assert admitted.spent == 0
    admitted.admit(LONG)  # what was set aside is free again
    storm = Budget(Amount(6_100, "tokens"))
    storm.admit(LONG)
    for _ in range(80):  # of more tries than four, the rest can only be quotas, which bill nothing
        storm.admit_try(LONG)


def test_what_a_server_writes_before_a_short_prompt_makes_no_long_prompt_much_longer():
    short = replace(LONG, messages=({"role": "user", "content": "Answer with C."},))
    answer = Answer(text="C", prompt_tokens=120, completion_tokens=1)
    told = Budget(Amount(2 * PROMPT + 2_024, "tokens"), [engine.record_of(short, answer)])
    told.admit(LONG)  # it is not thought to have twelve times as many tokens as it has


def test_a_reply_that_was_lost_on_its_way_is_recorded_as_one_that_may_be_billed(run, hurry):
    ends = iter([(200, b"<html>"), (500, b""), (200, b'{"cut'), (500, b""), (200, completion("C"))])
    with serve(lambda sent: next(ends, (200, completion("C")))) as (url, _):
        run("", chat.ChatModel(MODEL, "scripted", url, "a-long-key", limits.Limit(1)))
    first, second, third, *others = [(line["tries"], line["lost"]) for line in read(run.path)]
    assert (first, second, third) == ((1, 1), (2, 1), (2, 0))
    assert set(others) == {(1, 0)}


def test_no_budget_is_no_limit(run):
    assert Budget.of_run("", run.path) is None
    assert len(run("", Scripted(always("C")))) == 60
