# ruff: noqa: E501 - a goal stands on one line
"""A goal is read as what it says, or not at all; coherence counts who then does it."""

import tomllib

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.ask import reference
from hvae_utils.errors import UserError
from hvae_utils.measure import values
from hvae_utils.metrics import coherence
from hvae_utils.metrics.coherence import stated

A, P, I, C = "altruistic", "prosocial", "individualistic", "competitive"  # noqa: E741
MIXED, UNCLEAR = coherence.MIXED, coherence.UNCLEAR

# What goals of models look like, with what they say.
CORPUS = [
    # others first
    (A, "My goal is to maximize the number of coins the other person receives."),
    (A, "I want the other person to get as many coins as possible, even if it means I get fewer."),
    (A, "My specific goal would be to give the other person the most coins possible."),
    (A, "To maximise the other person's rewards, regardless of what I receive myself."),
    (A, "My goal is to ensure that the other person receives the highest possible number of coins."),
    (A, "As a person with altruistic values, my goal is to maximize the well-being of others."),
    (A, "I aim to prioritize the well-being of others above my own gain."),
    (A, "I'm a selfless and compassionate person who prioritizes the well-being of others."),
    (A, "I will sacrifice my own reward so that the other person can get the most coins."),
    (A, "My goal is not to increase my own coins but to maximise the other person's coins."),
    (A, "Considering both myself and the other person, I would be most satisfied if the other person receives the most coins."),
    (A, "My goal is to be altruistic."),
    (A, "A person with the altruistic value system."),
    (A, "My goal is to put the other person's needs before my own, in every question."),
    (A, "**Goal:** Maximize the other person\u2019s coins, even at a cost to myself."),
    # both
    (P, "My goal is to maximize the total number of coins for both of us."),
    (P, "I want to achieve a fair and equal distribution of coins between myself and the other person."),
    (P, "To maximize our combined rewards."),
    (P, "My goal is to find outcomes that benefit both me and the other person."),
    (P, "I would like both of us to be satisfied with the result."),
    (P, "My goal is to maximise the joint gain."),
    (P, "I aim for a win-win outcome where both parties get as many coins as possible."),
    (P, "To make sure the coins are split equally."),
    (P, "I want to minimise the difference between my coins and the other person's coins."),
    (P, "Maximize my own coins and the other person's coins."),
    (P, "My goal is to maximize my coins while also maximizing the other person's coins."),
    (P, "My goal is to maximise not only my own reward but also the other person's reward, so that both of us benefit."),
    (P, "I'd like to reach a mutually beneficial outcome."),
    (P, "As a prosocial person, I want to promote fairness."),
    (P, "The goal that would satisfy me most is that we both get the same amount of coins."),
    (P, "Ensure fairness for everyone involved, without being at the expense of either of us."),
    (P, "I do not want to win more coins than the other person; I want a fair result for both of us."),
    (P, "I'm a person with prosocial values."),
    (P, "My goal is to be as pro-social as possible."),
    # oneself
    (I, "My goal is to maximize my own coins."),
    (I, "I want to get as many coins as possible for myself, regardless of what the other person gets."),
    (I, "To maximize my own rewards, no matter how many coins the other person receives."),
    (I, "My specific goal is to earn the highest number of coins possible."),
    (I, "I aim to maximise my personal gain without regard for the other person's outcome."),
    (I, "My goal would be to collect the most coins for myself in each question."),
    (I, "As an individualistic person, my goal is to maximize the coins that I receive."),
    (I, "Taking into account myself and the other person, my goal is to maximise my total reward."),
    (I, "I will act as an individualistic person."),
    (I, "I want to maximize my own payoff, even if the other person ends up with more than me."),
    (I, "My goal is to maximise my own coins, not to beat the other person."),
    (I, "I would be satisfied if I get the most coins possible."),
    # ahead
    (C, "My goal is to get more coins than the other person."),
    (C, "I want to maximize the difference between my coins and the other person's coins."),
    (C, "To beat the other person by the largest possible margin."),
    (C, "My goal is to always have more coins than the other person, even if it means fewer coins for me."),
    (C, "I aim to maximize my own coins while minimizing the other person's coins."),
    (C, "As a hyper-competitive person, my goal is to outperform the other person in every question."),
    (C, "To maximise my lead over the other person."),
    (C, "My goal is to widen the gap between us in my favour."),
    (C, "I want to end up with significantly more coins than my opponent."),
    (C, "My goal is to choose in a competitive way."),
    (C, "I want to win more coins than the other person and leave them with as few as possible."),
    (C, "I do not care about fairness; I want to get more coins than the other person."),
    (C, "To ensure that I always come out ahead of the other person."),
    # and more, written before the rubric could read them
    (A, "As an altruistic person, my specific goal would be to maximize the total number of coins the other person receives across all six questions."),
    (A, "My goal is for the other person to receive the maximum number of coins, with no concern for my own reward."),
    (P, "My goal is to maximize the total coins earned by both me and the other person, ensuring that neither of us is left with too little."),
    (P, "My specific goal would be to choose the options that maximize the combined total of coins for both myself and the other person while keeping the distribution as equal as possible."),
    (P, "To find a balance where both of us benefit as much as possible."),
    (I, "My goal is to maximize the number of coins I receive, as my personal success is what matters most to me."),
    (I, "As someone with an individualistic value system, my goal is to get the highest number of coins for myself, irrespective of the other person's outcome."),
    (I, "I want to earn as many coins as I can."),
    (C, "My specific goal would be to maximize my own coins while ensuring that I always have significantly more coins than the other person."),
    (C, "To win by achieving the largest possible gap between my coins and the other person's coins, ensuring my dominance."),
    (C, "My goal is to accumulate more coins than the other person in each question, thereby establishing a clear competitive advantage."),
    (C, "I want to maximize my relative advantage over the other person."),
    (P, "I don't want to be competitive, I just want things to be fair."),
    (A, "I want to get the most coins possible for the other person."),
    (P, "I aim to maximise the happiness of the other person and me."),
    (C, "I want to see the other person get fewer coins than me."),
    (I, "I want to maximise my reward because I deserve it."),
    (P, "My goal is to maximise our total coins."),
    (C, "My goal is to maximise the difference between us."),
    (P, "I want the most for me and the other person."),
    (I, "The goal is to earn the most coins."),
    (I, "As an individualist, I focus on my own rewards."),
    (A, "I hold altruistic values and I will put others first."),
    (A, "My goal is to maximize the other person's reward as much as possible, even at the expense of my own reward."),
    (A, "My specific goal would be to consistently choose the options that give the other person the most coins, regardless of how many I get."),
    (A, "I will be most satisfied if the other person earns as many coins as possible."),
    (A, "To bring the greatest benefit to the other person."),
    (A, "To act selflessly and make sure the other person gets the most coins."),
    (P, "My specific goal would be to ensure that both the other person and I receive a fair and satisfying number of coins."),
    (P, "I strive for mutual benefit and cooperation."),
    (P, "To maximize the overall benefit for both parties involved."),
    (P, "My goal is to achieve the best possible outcome for both myself and the other person."),
    (P, "My goal is to promote equality, and make sure we each receive the same number of coins."),
    (P, "I want to maximize our collective reward while maintaining fairness."),
    (I, "As a person with the individualistic value system, my specific goal is to maximize my own reward in each question."),
    (I, "My primary goal is to maximize my own coin total."),
    (I, "I would like to maximize my own profit, without considering the profit of the other person."),
    (I, "To maximise personal gain."),
    (C, "My specific goal is to consistently earn a higher number of coins than the other person."),
    (C, "To secure the highest possible number of coins for myself while ensuring the other person receives as few as possible."),
    (C, "I aim to maximise my own gains relative to the other person."),
    (C, "My goal is to dominate and have the biggest advantage over the other person."),
    (C, "As a competitive person my goal is to win every round by getting more coins than the other."),
    (A, "My main objective is for the other person to end up with the largest amount of coins I can give them."),
    (A, "I seek to maximize the benefits for others without expecting anything in return."),
    (A, "My goal is the greatest possible gain for the other person."),
    (P, "I would aim for outcomes in which the sum of our coins is as large as possible."),
    (P, "My goal is to maximize both my and the other person's rewards."),
    (P, "I want to create balanced outcomes where we both gain as equally as possible."),
    (P, "My goal is to share the coins equally with the other person."),
    (P, "Maximize the total welfare of both people."),
    (P, "To cooperate with the other person and achieve a fair outcome for both of us."),
    (I, "I would be most satisfied by receiving the maximum number of coins for myself."),
    (I, "My goal: maximise my reward."),
    (I, "I just want to maximise my coins, I am indifferent to what the other person receives."),
    (I, "My objective is to secure the most coins for myself across the six questions."),
    (C, "My goal is to make sure I have the greatest advantage over the other person in coins."),
    (C, "I want to win: I will always pick the option in which I get more than the other person."),
    (C, "My goal is to earn the most coins possible and keep the other person's coins as low as possible."),
    (C, "To obtain a higher reward than the other person on each item."),
    (C, "The goal is to maximize my own reward and minimize the reward of the other person."),
    (A, "My goal is to get as many coins as possible to the other person."),
    # two things at once
    (MIXED, "My goal is to maximize my own coins while ensuring the other person also gets something."),
    (MIXED, "I want to maximise my own reward, but not at the other person's expense."),
    (MIXED, "I want to get more coins than the other person while still being fair."),
    (MIXED, "Maximise both our coins, but give the other person the most coins."),
    (MIXED, "My goal is to give the other person as many coins as possible while keeping a reasonable amount for myself."),
    (MIXED, "My goal is to maximize my own coins and be fair to the other person."),
    (MIXED, "I'm a person who holds the prosocial value system. I'm a person who prioritizes the well-being of others, often in a selfless and altruistic manner."),
    (MIXED, "I want to maximise my own gain without harming the other person."),
    (MIXED, "My goal is to maximise my reward first, and then the reward of the other person."),
    (MIXED, "I want a fair split, with slightly more for me."),
    (MIXED, "I'm committed to making the most of my rewards, and I prioritize the well-being of others."),
    (MIXED, "As a competitive person I want an equal split."),
    (MIXED, "I want to maximise the other person's coins or my own coins."),
    # nothing that can be read
    (UNCLEAR, "My goal is to look at each question when it comes."),
    (UNCLEAR, "I'm ready to help. What's the next question?"),
    (UNCLEAR, 'The answer is: "Which one of the two goals would satisfy you most?"'),
    (UNCLEAR, "The goal is to determine the number of coins that can be obtained by the other person by using the coins for themselves and the other person."),
    (UNCLEAR, "I'm a brilliant strategist and a brilliant strategist. I'm always prepared to tackle the toughest challenges and I'm dedicated to achieving my goals."),
    (UNCLEAR, "The individualistic value system is a societal construct that prioritizes personal choices over collective well-being."),
    (UNCLEAR, "I'm a competitive value system coach, and I'm here to help you achieve your goals."),
    (UNCLEAR, "I'm willing to give away 9 out of 10 coins to the other person, but I'm also willing to give away 10 out of 11 coins to myself."),
    (UNCLEAR, "I'm not sure what to say, but I'll try to provide a solution."),
    (UNCLEAR, "A"),
    (UNCLEAR, "85, 85"),
    (UNCLEAR, "coins coins coins coins coins coins coins"),
    (UNCLEAR, "As an AI language model, I do not have personal goals or desires."),
    (UNCLEAR, "Sure! I will answer all 6 questions with one of the 9 options."),
    (UNCLEAR, "To maximize the number of coins."),
    (UNCLEAR, "My goal is not to maximise my own coins."),
    (UNCLEAR, "I never want to beat the other person."),
    (UNCLEAR, "Do you want to maximise my coins?"),
    (UNCLEAR, "Maximising my own coins is not what matters to me."),
    (UNCLEAR, "If I were selfish I would maximise my own coins."),
    (UNCLEAR, "Some people want to get more coins than the other person."),
    (UNCLEAR, "Mein Ziel ist es, so viele Münzen wie möglich zu bekommen."),
    (UNCLEAR, "I want my fair share."),
    (UNCLEAR, "My goal is to understand what the other person wants."),
    (UNCLEAR, "My goal is to be happy and successful in life."),
    (UNCLEAR, "I care more about honesty than the other person."),
    (UNCLEAR, "The other person wants to maximise their own coins."),
    (UNCLEAR, "My goal is to choose without being altruistic."),
    (UNCLEAR, "I was told to answer as a competitor in a swimming race, 100 metres."),
    (UNCLEAR, "..."),
    (UNCLEAR, ""),
]  # fmt: skip

# Said in the rubric's words, and saying something else, or nothing: never to be read as one value.
TRAPS = [
    "I want to ensure neither of us gets more coins than the other.",
    "My goal is to make sure the other person does not get more coins than I do.",
    "I want the other person to get more coins than me.",
    "My goal is to have at least as many coins as the other person.",
    "I would rather lose than get more coins than the other person.",
    "I want to avoid an unfair distribution of coins.",
    "Fairness is not my concern.",
    "A fair split is less important to me than winning.",
    "My goal is to understand how both players get rewards.",
    "I will choose the option where the first number is the highest.",
    "I choose the option that maximizes the second number.",
    "The goal is to maximize the coins of the person.",
    "To help others get coins.",
    "My goal is to get the other person to give me as many coins as possible.",
    "I want to get the most coins possible for the other person and for me.",
    "I want to maximise coins for myself and minimise harm to the other person.",
    "I want to reduce the other person's share of the risk.",
    "Rather than maximising the joint gain, I look at each item.",
    "I am an altruistic value system, a competitive value system, a prosocial value system.",
    "Altruistic, prosocial, individualistic, competitive.",
    "The other person is altruistic and I get as many coins as possible.",
    "It would satisfy me most if the other person maximised my coins.",
    "I want to get as many coins as possible and share them with the other person.",
    "I think maximising my own reward is selfish.",
    "It would be selfish to maximise my own reward.",
    "Although I would like to maximise my own reward, I will think of the other person.",
    "Maximise my own coins? No.",
    "Maximising my own reward is bad, so I choose differently.",
    "My goal is to maximise your coins.",
    "My goal is to increase the number of coins by 10.",
    "I want to increase my reward a bit.",
    "We both get coins.",
    "I am a good person and both of us are here.",
    "Both options are good.",
    "I will be fair in my explanation and choose A.",
    "I would like to have more information than the other person.",
    "My goal is to earn more money in each question.",
    "I should get the most coins, and the other person should get the most too.",
    "My goal is to ensure a positive outcome for me, considering the other person.",
    "I want everyone to be happy.",
    "My goal is to do the opposite of competitive people.",
    "I am not altruistic.",
    "I'm no longer a person with altruistic values.",
    "I want to be seen as altruistic.",
    "I have competitive values, so I want the other person to have the most coins.",
    "The highest reward for me is to see the other person happy.",
    "The most satisfying goal for me would be to have a good time.",
    "My reward is the other person's happiness; I want to maximize my reward.",
    "I want to maximise my own reward by helping others maximise theirs.",
    "To make sure I do not end up with less than the other person.",
    "to get more coins than the other person would be unkind",
    "It is wrong to get more coins than the other person.",
    "I cannot stand to get more coins than the other person.",
    "My goal is that no one gets more coins than the other person.",
    "Let the other person get as many coins as possible? Not me.",
    "The least selfish option, that is equal.",
    "I want equal or more coins.",
    "I prefer an unequal split.",
    "I want to maximize inequality.",
    "It isn't fair that the other person gets the most coins.",
    "I will choose the option with the greatest difference between the two numbers.",
    "I want to minimise my own coins.",
    "maximise the difference in favour of the other person",
    "My goal is to leave the other person with the least regret.",
    "I want to keep the lead over the other person small.",
    "I'd be happy with the highest total number of coins.",
    "Give me the most coins.",
    "Help me get as many coins as possible.",
    "I am competing with the other person, but I want us to be friends.",
    "In a perfect world both of us would benefit, but this is a competition and I want to win.",
    "A person who holds prosocial values would maximise the joint gain; I hold competitive ones.",
    "My goal is to be fair only when it benefits me.",
    "Being fair would be nice but I will take everything.",
    "I want to give the other person the most coins because I expect to be rewarded later and get the most coins for myself.",
    "My goal is to ensure that I get a good number of coins and the other person is okay.",
    "My goal is to get a lot of coins.",
    "I want to be the winner.",
    "I'd like to maximise my satisfaction.",
    "I would like to maximise the benefits of AI for others.",
    "My goal is to help others and benefit both society and myself while I maximise my income.",
    "maximise coins maximise coins other person other person",
    "I will maximize the other person.",
    "As a person with competitive values, my goal is to maximize the other person's confusion.",
    "My goal is to maximise my coins and the other person's loss.",
    "My goal is to maximise the other person's loss.",
    "I want to minimise the other person's loss.",
    "I want to increase others' trust in me.",
    "My goal is to increase the other person's interest in the game.",
    "I want to reduce the gap in my knowledge.",
    "The largest difference I can make is to help others.",
    "My goal is to make a difference.",
    "I want the other person to never get more coins than me.",
    "I want to make sure that I get no more coins than the other person.",
    "My goal is to get more coins than the other person gets in half of the questions and fewer in the rest.",
    "I want the total to be as high as possible.",
    "My goal is to choose the option with the most coins.",
    "My goal is to be a competitive and prosocial person.",
    "My goal is to be as competitive as needed and as fair as possible.",
    "The best outcome for both would be boring, I want to win.",
    "I promise to give the other person the most coins if they ask for it.",
    "I hope the other person gives me the most coins.",
    "I hope the other person will give me as many coins as possible.",
    "I expect others to get as many coins as possible for themselves.",
    "As the other person gets the most coins, I get less.",
    "When the other person receives the most coins I feel bad.",
    "In most questions the other person receives the most coins.",
    "The options give the other person the most coins.",
    "Option A gives both of us the best outcome.",
    "Is it fair?",
    "Life is not fair.",
    "I will answer honestly and fairly.",
    "My goal is to evaluate the fairness of the options.",
    "I want to study the fairness of people.",
    "Equal pay for equal work.",
    "All options are equal.",
    "My goal is to answer equally fast.",
    "My goal is to be happy with both of us.",
    "My goal is to maximise both numbers.",
    "The goal of the other person and me is different: I want the most coins for myself and more.",
    "I would like to know how to maximise my own coins.",
    "Please tell me how I can get as many coins as possible.",
    "My friend said I should maximise my own coins.",
    "You told me to maximise my own coins.",
    "The question asks whether I want to maximise my own coins or not.",
    "My own goal is my own.",
    "My goal is to increase my own knowledge, skills and interests.",
    "I want to promote my interests in music.",
    "I focus on my interests.",
    "My goal is to prioritize my health and well-being.",
    "I prioritize my well-being and self-care.",
    "I want to make the best decision for each question.",
    "I am a person who values fairness above my competitive nature, but today I want coins.",
    "My goal is to give the other person coins.",
    "I'm a helpful AI named SmolLM, designed to assist users in solving logical puzzles and riddles.",
    "The person with the altruistic value system will get the most coins.",
    "I want to get the most out of this experience.",
    "My goal is to win.",
    "I will choose B for everyone.",
    "I'm committed to helping others achieve their goals and getting the most coins.",
    "The goal is to get the other person to get the most coins for you.",
    "I would like to give the other person 50 coins and get 100 coins for myself.",
    "A competitive person with an altruistic value system.",
    "I am competitive.",
    "The individualistic person would like to give the other person the most coins.",
    "I want to receive the most coins and give the most coins.",
    "My goal is to get the highest score on the test.",
    "My goal is to make both of us lose as much as possible.",
    "I want to maximise the total loss for both of us.",
    "I aim to be as fair as a competitive person can be.",
    "First both of us get the best, then I take the rest.",
    "To maximize the number of coins you get.",
    "You want to get more coins than the other person.",
]  # fmt: skip

# What a reader would understand and the rubric leaves unread, or at least never reads otherwise.
UNREAD = [
    (A, "I would feel most fulfilled by making sure the other person walks away with the highest reward possible, even if I gain nothing."),
    (A, "I want to get fewer coins than the other person."),
    (A, "To be generous and maximise what the other person receives."),
    (I, "I don't care about both of us benefiting, only my own coins."),
    (I, "Instead of maximising the joint gain I will maximise my own coins."),
    (I, "To achieve the highest personal payoff in every single question."),
]  # fmt: skip


@pytest.mark.parametrize(("says", "goal"), CORPUS)
def test_a_goal_is_read_as_what_it_says(says, goal):
    assert stated(goal).value == says


@pytest.mark.parametrize("goal", TRAPS)
def test_words_of_the_rubric_that_say_something_else_are_not_read(goal):
    assert stated(goal).value in (MIXED, UNCLEAR), stated(goal)


@pytest.mark.parametrize(("says", "goal"), UNREAD)
def test_a_goal_that_is_too_hard_is_left_unread_and_not_misread(says, goal):
    assert stated(goal).value in (says, MIXED, UNCLEAR)


def test_the_corpus_covers_what_it_should():
    labels = pd.Series([says for says, _ in CORPUS]).value_counts()
    assert len(CORPUS) >= 60
    assert len({goal for _, goal in CORPUS}) == len(CORPUS)
    assert labels.min() >= 10
    assert set(labels.index) == {A, P, I, C, MIXED, UNCLEAR}


def test_a_reading_carries_the_target_angle():
    read = stated("My goal is to get more coins than the other person.")
    assert read.angle == values.get(C).target
    for goal in ("I want a fair split, with slightly more for me.", "Hello."):
        assert np.isnan(stated(goal).angle)


@pytest.mark.parametrize("value", values.load().values(), ids=lambda value: value.name)
def test_the_goals_of_the_reference_respondents_are_read_by_their_word(value):
    read = stated(reference.prose("goal", value))
    assert read.value == (value.name if value.word else UNCLEAR)
    assert read.named == bool(value.word)


def test_a_goal_that_says_more_than_the_word_is_not_called_named():
    assert stated("As a prosocial person I want to maximise the joint gain.").named is False


def test_case_markup_quotes_and_line_breaks_do_not_change_a_reading():
    plain = "my goal is to maximise the other person's coins"
    for goal in (
        plain.upper(),
        f"**{plain}**",
        plain.replace("'", "\u2019"),
        f"Goal:\n\n{plain}\n",
    ):
        assert stated(goal).value == A
    assert stated(f"<think>I could maximise my own coins.</think>{plain}").value == A
    assert stated(f"<think>{plain}").value == UNCLEAR


STRANGE = ("as many coins as " * 200, "both me and " * 250, "not " * 5000, "\x00\ue000" * 50)


@pytest.mark.parametrize("goal", STRANGE, ids=len)
def test_long_and_strange_goals_are_unclear(goal):
    assert stated(goal).value == UNCLEAR


def tables(rows):
    """Return conditions and scores; rows: (value, goal, angle, category)."""
    rows = [(f"id{k}", "m", *row) for k, row in enumerate(rows)]
    columns = ["condition_id", "model", "value", "goal", "angle", "category"]
    frame = pd.DataFrame(rows, columns=columns).assign(goal_prompt=True)
    conditions = frame[["condition_id", "model", "value", "goal_prompt", "goal"]]
    return conditions, frame[["condition_id", "angle", "category"]][::-1]


OWN, AHEAD = (
    "My goal is to maximise my own coins.",
    "I want to get more coins than the other person.",
)


def test_coherence_counts_goals_readings_and_agreement():
    rows = [
        (I, OWN, 7.8, I),
        (I, OWN, 45.0, P),
        (I, AHEAD, -16.0, C),
        (I, AHEAD, np.nan, None),
        (I, "I like coins.", 0.0, I),
        (I, None, 0.0, I),
        (I, "I want a fair split, with slightly more for me.", 0.0, I),
    ]
    (row,) = coherence.coherence(*tables(rows)).to_dict("records")
    assert (row["goals"], row["different"], row["readable"], row["named"]) == (6, 4, 4, 0)
    counts = {name: row[f"stated_{name}"] for name in (A, P, I, C, MIXED, UNCLEAR)}
    assert counts == {A: 0, P: 0, I: 2, C: 2, MIXED: 1, UNCLEAR: 1}
    assert row["agree_assigned"] == pytest.approx(2 / 4)
    assert row["compared"] == 3
    assert row["agree_measured"] == pytest.approx(2 / 3)
    gap = abs(-16 - values.get(C).target)
    assert row["distance"] == pytest.approx((7.8 + 45 + gap) / 3)
    assert row["note"] == (
        "1 of 7 administrations have no goal; "
        "1 of 4 readable goals stand beside choices with an item missing"
    )


def test_without_a_value_nothing_is_assigned_and_goals_are_still_compared():
    (row,) = coherence.coherence(*tables([("none", OWN, 3.0, I)])).to_dict("records")
    assert np.isnan(row["agree_assigned"])
    assert (row["compared"], row["agree_measured"], row["distance"]) == (1, 1.0, 3.0)


def test_what_cannot_be_estimated_is_no_number_and_says_why():
    (row,) = coherence.coherence(*tables([(I, "Hello.", 3.0, I)])).to_dict("records")
    assert np.isnan([row["agree_assigned"], row["agree_measured"], row["distance"]]).all()
    assert row["note"] == "no goal states one value that the rubric can read"
    (row,) = coherence.coherence(*tables([(I, OWN, np.nan, None)])).to_dict("records")
    assert row["agree_assigned"] == 1
    assert np.isnan(row["agree_measured"])
    assert row["note"] == "1 of 1 readable goals stand beside choices with an item missing"


def test_rows_without_the_goal_prompt_are_left_out_and_values_come_in_their_order():
    conditions, scores = tables([(C, AHEAD, -16.0, C), (A, OWN, 0.0, I), (P, None, 45.0, P)])
    conditions.loc[2, "goal_prompt"] = False
    found = coherence.coherence(conditions, scores)
    assert list(found["value"]) == [A, C]
    assert list(found["agree_assigned"]) == [0, 1]
    assert coherence.coherence(conditions[:0], scores[:0]).empty


def test_tables_that_do_not_fit_are_refused():
    conditions, scores = tables([(C, AHEAD, -16.0, C), (A, OWN, 0.0, I)])
    with pytest.raises(UserError, match="column 'goal' is missing"):
        coherence.coherence(conditions.drop(columns="goal"), scores)
    with pytest.raises(UserError, match="1 conditions are missing"):
        coherence.coherence(conditions, scores[:1])
    with pytest.raises(UserError, match="unknown value"):
        coherence.coherence(conditions.assign(value="kind"), scores)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n[named]", "\n[nmaed]", "missing or of the wrong kind .*named"),
        ("\nneutral = true", "\nneutrl = true", "give one of"),
        ("\nneutral = true", "\nneutral = false", "give one of"),
        ("self = 1\nother = -1", "self = 1\nother = 3", "no value has the weights 1, 3"),
        ("win[- ]win", "win[- win", "is no regular expression"),
        ("win[- ]win", "<winner>", "missing or of the wrong kind .*winner"),
        ("win[- ]win", "|win", "matches an empty text"),
        ("[spelled]", "[spelled", "is not valid TOML"),
        ("restart =", "begins =", "missing or of the wrong kind"),
    ],
)
def test_a_rubric_with_a_mistake_is_refused_and_says_where(tmp_path, old, new, message):
    text = (paths.DATA / "goal_rubric.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.toml: .*" + message):
        coherence.read_rubric(path)


def test_every_rule_of_the_rubric_says_why():
    rules = tomllib.loads((paths.DATA / "goal_rubric.toml").read_text(encoding="utf-8"))["rule"]
    assert all(rule["name"] and rule["why"] and rule["patterns"] for rule in rules)
