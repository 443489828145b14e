"""A budget stops a run before the request that could pass it, and loses no answer."""

import pytest

from hvae_utils.ask.respondents import Answer
from hvae_utils.errors import BudgetReached, UserError
from hvae_utils.play import administer, budget, engine, study
from hvae_utils.play.budget import Amount, Budget, parse
from hvae_utils.play.records import Records, read
from tests.play.test_administer import MODEL, Scripted, always


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that plays ten conditions of one item each kind within a budget."""

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
    assert len(model.asked) == len(list(read(run.path))) == 25


def test_a_larger_budget_continues_and_the_folder_s_spending_counts(run):
    first, again, rest = (Scripted(always("C")) for _ in range(3))
    with pytest.raises(BudgetReached):
        run("25 requests", first)
    with pytest.raises(BudgetReached):
        run("25 requests", again)
    assert again.asked == []
    responses = run("60 requests", rest)
    assert len(rest.asked) == 35
    assert set(responses.outcome) == {"choice"}


def test_a_run_that_fits_its_budget_exactly_is_not_stopped(run):
    assert len(run("60 requests", Scripted(always("C")))) == 60


def test_tokens_are_counted_as_the_endpoint_counts_them_and_not_passed(run):
    used = Answer(text="C", finish_reason="stop", prompt_tokens=150, completion_tokens=2)
    model = Scripted(lambda request: used, concurrency=5)
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


def test_no_budget_is_no_limit(run):
    assert Budget.of_run("", run.path) is None
    assert len(run("", Scripted(always("C")))) == 60
