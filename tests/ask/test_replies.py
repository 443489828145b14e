"""What replies say: a labelled corpus, laws that hold for every reply, and the endpoint's part."""

import math
import random
import re
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvae_utils.ask import replies
from hvae_utils.ask.replies import cues, plain_text, rules
from hvae_utils.ask.respondents import PROBABILITY_FLAGS
from hvae_utils.errors import UserError

CORPUS = tomllib.loads((Path(__file__).parent / "replies_corpus.toml").read_text("utf-8"))["group"]
LETTERS, LATE, DIGITS = "ABCDEFGHI", "PQRSTUVWX", "123456789"
FLAT, CIRCLE = (np.array(CORPUS[i]["options"], dtype=float) for i in (0, 1))

# Pieces of real replies, so that random text comes near the parser's rules.
PIECES = [
    *("I choose ", "B", "A", "I", "C.", ", ", "85", "15", "85, 15", "not ", "or ", "option ", "\n"),
    *(". ", "? ", "but ", "if ", "(", ")", "**", "answer: ", "final ", "would ", "is ", "because "),
    *("<think>", "</think>", "\\boxed{", "}", "\u200b", "３", "wait, ", "for me ", "you ", "each "),
]
near_replies = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


def said(text, labels=LETTERS, payoffs=FLAT):
    """Return the label a reply decides for, or its outcome."""
    reply = replies.parse(text, labels, payoffs)
    return labels[reply.index] if reply.outcome == "choice" else reply.outcome


def misread(cases, labels=LETTERS, payoffs=FLAT):
    """Return each (text, expected) that is read otherwise, and what is said instead."""
    read = [(text, expected, said(text, labels, payoffs)) for text, expected in cases]
    return [(text, got) for text, expected, got in read if got != expected]


@pytest.mark.parametrize("group", range(len(CORPUS)))
def test_a_reply_is_read_as_a_careful_person_reads_it(group):
    labels, cases = CORPUS[group]["labels"], CORPUS[group]["replies"]
    assert misread(cases, labels, np.array(CORPUS[group]["options"], dtype=float)) == []


def test_the_example_of_a_cue_holds_it_and_is_read_as_it_says():
    labels = rules.labels_for(tuple(LETTERS))
    entries = {name: entry for group in cues.table().values() for name, entry in group.items()}
    examples = {name: entry["example"] for name, entry in entries.items() if "example" in entry}
    assert len(examples) >= 40
    for name, (text, _) in examples.items():
        form = plain_text.plain(text)
        pattern = re.compile(labels.cue(name).pattern, re.IGNORECASE)
        signed = plain_text.sign_payoffs(form, labels.index, FLAT)
        assert pattern.search(form) or pattern.search(signed), name
    assert misread(examples.values()) == []


@pytest.mark.parametrize("code", cues.languages())
def test_a_language_is_read_as_its_examples_say(code):
    row = cues.languages()[code]
    assert misread((text, "C") for text in row["right"]) == []
    assert misread((text, "unparseable") for text in row["denied"]) == []
    assert misread((text, "refusal") for text in row.get("refused", [])) == []
    others = ((text.replace("C", other), other) for text in row["right"] for other in LETTERS)
    assert misread(others, payoffs=None) == []


def test_every_pattern_of_a_language_has_an_example_and_every_language_a_denial():
    labels = rules.labels_for(tuple(LETTERS))
    for code, row in cues.languages().items():
        plain = [plain_text.plain(text) for text in row["right"]]
        for number in range(len(row["decides"])):
            pattern = labels.cue(f"{code} {number}")
            assert any(pattern.search(text) for text in plain), (code, number)
        assert len(row["denied"]) >= 3
        assert bool(row.get("refused")) == ("refuses" in row)


def test_the_corpus_is_large_and_has_no_duplicates():
    seen = [
        (group["labels"], str(group["options"]), r[0]) for group in CORPUS for r in group["replies"]
    ]
    assert len(seen) >= 900
    assert len(set(seen)) == len(seen)


@given(st.text(max_size=400) | near_replies, st.sampled_from([LETTERS, LATE, DIGITS]))
@settings(deadline=None, max_examples=400)
def test_no_text_breaks_the_parser(text, labels):
    for payoffs in (None, FLAT, CIRCLE):
        reply = replies.parse(text, labels, payoffs)
        assert reply.outcome in {"choice", "refusal", "unparseable", "empty"}
        assert (reply.index is not None) == (reply.outcome == "choice")
        assert reply.index is None or 0 <= reply.index < len(labels)
        assert 0 < len(reply.evidence) <= 120


@given(
    st.lists(st.sampled_from([*"bceJKN0 .,:!?\n", " I choose ", " fair ", "answer: "]), max_size=30)
)
@settings(deadline=None)
def test_a_text_without_any_label_is_no_choice(pieces):
    assert said("".join(pieces), LATE) in {"unparseable", "empty"}


TEMPLATES = (
    *("{}", "{}.", "({})", "**{}**", "Option {}", "I choose {}", "I choose {}.", "option {}."),
    *(
        "Answer: {}",
        "{} or {other}",
        "not {}",
        "{}: 85, 85",
        "{} is my choice.",
        "Not {other}.\n{}",
    ),
    *("neither {} nor {other}", "I'd go with {} over {other}.", "<think>{other}</think>{}"),
    *(
        "My answer is {} because it suits my goal.",
        "The final answer is \\boxed{{{}}}.",
        "我选择{}",
    ),
    *("I would not choose {other}. I choose {}.", '{{"choice": "{}"}}', "Ich wähle {}"),
    *("I think about it.\n\n{}", "A person like me would choose {}.", "{}\n\nIt is fair."),
    *("Should I choose {}?", "If you were kind I would choose {}."),
)


@given(st.sampled_from(TEMPLATES), st.integers(0, 8), st.integers(1, 8))
def test_renaming_the_labels_renames_the_answer(template, place, step):
    other = (place + step) % 9
    results = [
        replies.parse(template.format(labels[place], other=labels[other]), labels)
        for labels in (LETTERS, LATE, DIGITS)
    ]
    assert {(r.outcome, r.index) for r in results} == {(results[0].outcome, results[0].index)}
    assert results[0].index in (None, place)


@given(
    st.permutations(range(9)),
    st.sampled_from(["85, 15", "I choose 85, 41.", "D: 85, 59", "B: 85, 15"]),
)
def test_reordering_the_options_moves_the_answer_with_them(order, text):
    before = replies.parse(text, LETTERS, FLAT)
    after = replies.parse(text, "".join(LETTERS[i] for i in order), FLAT[order])
    assert after.outcome == before.outcome
    assert after.index == (None if before.index is None else order.index(before.index))


@pytest.mark.parametrize(
    "wrap", ["{} ", "\n{}\n\n", "\t{}", "\u200b{}\u200f", "{}\u0000", "{}\r\n"]
)
def test_white_space_and_invisible_characters_change_nothing(wrap):
    for group in CORPUS:
        options = np.array(group["options"], dtype=float)
        some = group["replies"][len(wrap) % 3 :: 3]
        cases = ((wrap.format(text), expected) for text, expected in some)
        assert misread(cases, group["labels"], options) == []


@pytest.mark.parametrize("wrap", ["**{}**", "`{}`", "> {}", "## {}", "***{}***", "- {}"])
def test_markdown_around_a_reply_changes_nothing(wrap):
    for group in CORPUS:
        options = np.array(group["options"], dtype=float)
        some = group["replies"][len(wrap) % 3 :: 3]
        cases = ((wrap.format(text), said) for text, said in some if said != "empty")
        assert misread(cases, group["labels"], options) == []


def test_a_choice_is_not_invented_when_a_word_of_prose_is_a_label():
    for text in (
        "A fair split is best.",
        "I would rather share.",
        "I, too, like A fair deal",
        "Was it I who",
    ):
        assert said(text) == "unparseable"


def test_without_payoffs_a_label_is_read_and_numbers_are_not():
    assert said("E: 75, 75", payoffs=None) == "E"
    assert said("75, 75", payoffs=None) == "unparseable"
    assert said("9, 8", DIGITS, None) == "unparseable"


def test_payoffs_shared_by_two_options_name_neither():
    shared = FLAT.copy()
    shared[3] = shared[8]
    assert said("85, 15", payoffs=shared) == "unparseable"
    assert said("85, 76", payoffs=shared) == "B"
    assert said("I: 85, 15", payoffs=shared) == "I"


FILLERS = ["so ", "A: 85, 85\n", "I choose the ", "B. ", "B\n", "I would choose B, ", "<think>"]
FILLERS += [" ", "85, ", "\u200b", "if not ", "x", "(", "\ufdfa", "85 for me and ", "a) b) "]


@pytest.mark.parametrize("filler", FILLERS)
def test_a_long_reply_is_read_to_a_known_outcome(filler):
    text = filler * (100_000 // len(filler))  # a minute where time grows with its square
    assert replies.parse(text, LETTERS, FLAT).outcome in replies.OUTCOMES


def test_two_megabytes_are_read_to_a_known_outcome():
    text = "".join(filler * (2_000_000 // len(filler) // len(FILLERS)) for filler in FILLERS)
    assert replies.parse(text, LETTERS, FLAT).outcome in replies.OUTCOMES


def test_the_two_ends_of_a_long_reply_are_read_and_a_word_cut_in_two_is_no_label():
    prose = "Let me weigh the matter once more. " * 5_000
    assert said(prose + "\n\nAnswer: C") == "C"
    assert said("I choose D.\n" + prose) == "D"
    assert said(prose) == "unparseable"
    assert said("I choose B" + "e" * 100_000) == "unparseable"
    for shift in range(12):
        assert said(" " * shift + "I choose Better things. " * 1000) == "unparseable"


@pytest.mark.parametrize("labels", ["", "AAB", "Aa", ["A", " "]])
def test_labels_that_cannot_be_told_apart_are_refused(labels):
    with pytest.raises(UserError, match="distinct"):
        replies.parse("A", labels)


# ---- a thought is no reply ----------------------------------------------------------------------

START, CHANNEL, MESSAGE, END = "<|start|>assistant", "<|channel|>", "<|message|>", "<|end|>"
THOUGHT = "A is kind. I choose D.\n\nFinal answer: D"
FORMS = [  # what is written before the thought and after it
    *((f"<{tag}>", f"</{tag}>") for tag in ("think", "THINK", "Thinking", "thought", "seed:think")),
    *((f"<{tag}>\n", f"\n</{tag}>\n\n") for tag in ("reasoning", "analysis", "antml:thinking")),
    ('<think effort="low">', "</think >"),
    ("<think>\n\n</think>\n<think>", "</think>"),
    ("<think>They want it in <think> tags or `<think>` and `</think>`. ", "</think>"),
    ("<think>They want it between <think> and </think>. ", "</think>"),
    ("<think>one thought in <think>another</think>. ", "</think>"),
    ("<think>\n<think>\n", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>\n<|begin_of_solution|>"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    (f"{CHANNEL}analysis{MESSAGE}", f"{END}{START}{CHANNEL}final{MESSAGE}"),
    (f"{START}{CHANNEL}analysis{MESSAGE}", f"{CHANNEL}final {MESSAGE}"),
    (
        f"{CHANNEL}analysis{MESSAGE}",
        f"{END}{START}{CHANNEL}commentary to=x{MESSAGE}D{END}{START}{CHANNEL}final{MESSAGE}",
    ),
    ("analysis", "assistantfinal"),
    ("analysis ", " assistantfinal "),
    ("analysis", "assistantcommentary to=x D.assistantfinal\n\n"),
    ("Here is my thought process: ", "\nHere is my response: "),
]
UNOPENED = [close for begin, close in FORMS if "Here" not in begin]


@pytest.mark.parametrize(("begin", "close"), FORMS)
def test_a_thought_is_kept_apart_and_never_read(begin, close):
    parts = replies.split_thought(f"{begin}{THOUGHT}{close}C")
    assert (parts.reply, parts.closed) == ("C", True)
    assert THOUGHT in parts.thought
    assert said(f"{begin}{THOUGHT}{close}C") == "C"
    unclosed = replies.split_thought(begin + THOUGHT)
    assert (unclosed.reply, unclosed.closed) == ("", False)
    assert said(begin + THOUGHT) == "unparseable"


@pytest.mark.parametrize("close", UNOPENED)
def test_what_stands_before_a_closing_mark_is_a_thought(close):
    parts = replies.split_thought(f"{THOUGHT}{close}C")
    assert (parts.reply, parts.closed) == ("C", True)
    assert THOUGHT in parts.thought


def test_an_endpoint_has_tags_of_its_own_besides():
    own = [["<hm>", "</hm>"], ("((", "))")]
    assert replies.split_thought("<HM>D</HM>C", own) == replies.Thought("D", "C", True)
    assert replies.split_thought("((D)) <think>D</think> C", own).reply == "C"
    assert replies.split_thought("((D", own) == replies.Thought("D", "", False)
    assert replies.split_thought("<hm>D</hm>C").thought is None


@pytest.mark.parametrize(
    "text",
    [
        "  No mark is in it.\n",
        "I write my reasons in `<think>` and `</think>`, then I choose B.",
        "Text between <think> and </think> tags is hidden. I choose B.",
        "I have no <think> block. B",
        "An analysis of the options: B is fair.",
        "Thought for a moment: B",
        "I think <b>B</b> is fair, as x < y and y > z",
        "the assistantfinalized it",
    ],
)
def test_a_text_that_only_speaks_of_thinking_loses_nothing(text):
    assert replies.split_thought(text) == replies.Thought(None, text, True)


def test_interleaved_thoughts_leave_the_visible_parts_in_order():
    parts = replies.split_thought("<think>one</think>I weigh it.<think>two</think>\nC")
    assert parts == replies.Thought("one\ntwo", "I weigh it.\nC", True)
    cut = replies.split_thought("<think>one</think>I weigh it.<think>two")
    assert cut == replies.Thought("one\ntwo", "I weigh it.", False)


MARKS = ["<think>", "</think>", "<think ", "</", "a", "\n", "`<think>` ", "w <think> tag "]
MARKS += [
    "assistantfinal",
    "<|channel|>analysis",
    "<|channel|>      ",
    "[THINK]",
    "<think>a</think>B",
]


@pytest.mark.parametrize("filler", MARKS)
def test_the_time_to_find_thoughts_grows_with_the_length_alone(filler):
    def seconds(length):
        text = filler * (length // len(filler))
        began = time.process_time()
        replies.split_thought(text)
        return time.process_time() - began

    assert seconds(200_000) < 40 * seconds(20_000) + 0.1  # 100 times where it is quadratic


# ---- read: what only the endpoint knows ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "finish", "error", "expected"),
    [
        ("B", "stop", None, "B"),
        (None, "stop", None, "empty"),
        (" \n", "stop", None, "empty"),
        (None, None, "connection refused", "error"),
        ("B", "stop", "connection reset", "error"),
        ("B", "length", None, "B"),
        ("I choose D, because the", "length", None, "D"),
        ("I choose D because I", "length", None, "D"),
        ("Let me think about", "length", None, "truncated"),
        (None, "length", None, "truncated"),
        ("<think>hm, B", "length", None, "truncated"),
        ("<think>hm, B", "stop", None, "unparseable"),
        ("I", "length", None, "truncated"),
        ("A", "length", None, "truncated"),
        ("I choose a", "length", None, "truncated"),
        ("A.", "length", None, "A"),
        ("A: 85, 85", "length", None, "truncated"),
        ("A: 85, 85", "stop", None, "A"),
        ("A: 85, 85\nB: 85, 76\nC", "length", None, "truncated"),
        ("As an AI language model, I", "length", None, "truncated"),
        ("B", None, None, "B"),
        (None, "content_filter", None, "refusal"),
    ],
)
def test_an_endpoint_s_answer_has_one_outcome(text, finish, error, expected):
    reply = replies.read(text, finish, error, LETTERS, FLAT)
    assert (LETTERS[reply.index] if reply.outcome == "choice" else reply.outcome) == expected
    assert 0 < len(reply.evidence) <= 120


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("", "length", ("truncated", "a cause in words")),
        ("Let me think", "length", ("truncated", "a cause in words")),
        (None, "cut", ("truncated", "a cause in words")),
        (None, "content_filter", ("refusal", "a cause in words")),
        ("", "stop", ("empty", "a cause in words")),
        (None, None, ("empty", "a cause in words")),
        ("C", "length", ("choice", "bare: C")),
        ("C", "content_filter", ("choice", "bare: C")),
        ("I don't know.", "stop", ("unparseable", "no option is decided for")),
    ],
)
def test_a_cause_is_the_evidence_where_there_is_nothing_to_read(text, finish, expected):
    reply = replies.read(text, finish, None, LETTERS, FLAT, cause="a cause\n in words")
    assert (reply.outcome, reply.evidence) == expected
    assert len(replies.read("", finish, None, LETTERS, cause="x " * 500).evidence) <= 120


@given(
    st.none() | near_replies,
    st.sampled_from([None, "stop", "length", "content_filter", "tool_calls"]),
    st.none() | st.text(max_size=300),
)
@settings(deadline=None)
def test_every_answer_has_an_outcome(text, finish, error):
    reply = replies.read(text, finish, error, LETTERS, FLAT)
    assert reply.outcome in replies.OUTCOMES
    assert (reply.index is not None) == (reply.outcome == "choice")
    assert 0 < len(reply.evidence) <= 120


# ---- label_mass ---------------------------------------------------------------------------------


def test_every_token_form_of_a_label_is_summed():
    forms = ["A", " A", "A.", "**A", "(A", "Ａ", "a", "A)", "▁A", "ĠA", "A:", "\nA", '"A']
    tokens = [(form, math.log(0.05)) for form in forms] + [
        (" B", math.log(0.1)),
        ("The", math.log(0.2)),
    ]
    mass = replies.label_mass(tokens, LETTERS)
    assert mass[:2] == pytest.approx([0.05 * len(forms), 0.1])
    assert (mass[2:] == 0).all()


def test_words_and_numbers_that_contain_a_label_are_not_it():
    tokens = [(form, -1.0) for form in ("As", "I'm", "AB", "10", "", " ", "Option", "Α", "В")]
    for labels in (LETTERS, DIGITS):
        assert replies.label_mass(tokens, labels).tolist() == [0] * 9


@pytest.mark.parametrize("tokens", [[], [("A", -math.inf)], [("A", math.nan)], [("A", -5000.0)]])
def test_nothing_listed_is_no_mass(tokens):
    assert replies.label_mass(tokens, LETTERS).tolist() == [0] * 9


@given(
    st.lists(
        st.tuples(st.sampled_from([*LETTERS, " A", "b.", "The", "(C"]), st.floats(-30, 0)),
        min_size=1,
    ),
    st.integers(0, 2**32),
)
def test_the_mass_follows_the_labels(tokens, seed):
    mass = replies.label_mass(tokens, LETTERS)
    assert (mass >= 0).all()
    order = random.Random(seed).sample(range(9), 9)
    moved = replies.label_mass(tokens, [LETTERS[i] for i in order])
    np.testing.assert_allclose(moved, mass[order])


def test_a_list_that_is_no_distribution_is_not_clipped_and_with_positive_values_not_believed():
    assert replies.label_mass([(c, 0.0) for c in LETTERS], LETTERS).tolist() == [1.0] * 9
    for positive in (2.0, math.inf, 1e300):
        assert replies.label_mass([("A", positive), ("B", -1.0)], LETTERS).tolist() == [0] * 9
    assert replies.label_mass([("A", 1e-6)], LETTERS)[0] == math.exp(1e-6)  # rounding


@pytest.mark.parametrize(
    ("listed", "flags"),
    [
        ([], ()),
        ([("C", -0.2), (" C", -1.8), ("D", -5.0)], ()),
        ([("C", -1e-7), ("D", -17.0)], ()),  # sure, and computed
        ([("C", 0.0), ("D", -18.5)], ()),  # rounded to 0
        ([("C", 0.0)], ("one-hot",)),
        ([("D", -3.4e38), ("C", 0.0), ("E", -3.4e38)], ("one-hot",)),
        ([("C", 0.0), ("D", -9999.0)], ("one-hot",)),
        ([("C", 0.0), ("D", -math.inf)], ("one-hot",)),
        ([("C", -0.0), ("D", -100.0)], ("one-hot",)),
        ([("C", -1.0), ("C", -1.0), ("D", -3.0)], ("repeated entries",)),
        ([("\ufffd", -3.0), ("\ufffd", -4.0), ("", -5.0), ("", -6.0)], ()),  # bytes, no tokens
        ([(letter, 0.0) for letter in LETTERS], ("sum above one",)),
        ([("A", 800.0)], ("sum above one",)),
        ([("A", -0.01), ("B", -3.0)], ("sum above one",)),
        ([("A", -0.01), ("B", -4.9)], ()),  # 1.0175: rounding
        ([("A", 0.0), ("A", 0.0)], ("repeated entries", "sum above one")),
        ([("A", math.nan), ("B", -1.0)], ()),
    ],
)
def test_what_is_wrong_with_a_list_is_flagged(listed, flags):
    assert replies.flags_of(listed) == flags
    assert set(flags) <= set(PROBABILITY_FLAGS)
