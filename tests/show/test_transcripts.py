"""Dialogues are shown as text, whatever a model wrote."""

import pytest

from hvae_utils.show import transcripts

RECORD = {
    "model": "openai/<b>x</b>",
    "value": "prosocial",
    "messages": [
        {"role": "system", "content": "You are & remain"},
        {"role": "user", "content": "Which one?"},
    ],
    "text": '<script>alert("x")</script><img src=x onerror=alert(1)>',
    "error": None,
}


def test_markup_in_a_reply_or_a_name_is_inert():
    shown = transcripts.of_record(RECORD)._repr_html_()
    assert "<script" not in shown
    assert "<img" not in shown
    assert "<b>x" not in shown
    assert "&lt;script&gt;" in shown
    assert "You are &amp; remain" in shown


def test_the_reply_comes_last_and_everybody_is_named():
    text = repr(transcripts.of_record(RECORD))
    assert text.index("[system]") < text.index("[user]") < text.index("[model]")
    assert text.endswith(RECORD["text"])


@pytest.mark.parametrize(("last", "counted"), [(1, 2), (2, 1), (3, 0), (9, 0)])
def test_messages_left_out_are_counted(last, counted):
    shown = transcripts.of_record(RECORD, last=last)
    assert len(shown.messages) == 3 - counted
    assert (f"({counted} earlier messages)" in shown.title) == (counted > 0)


def test_a_very_long_reply_is_cut_and_the_cut_is_counted():
    shown = repr(transcripts.of_record({**RECORD, "text": "x" * 50_000}))
    assert len(shown) < 5_000
    assert "46000 more characters" in shown


def test_a_request_that_failed_shows_its_error():
    shown = repr(transcripts.of_record({**RECORD, "text": None, "error": "timeout"}))
    assert shown.endswith("(timeout)")


def test_a_thought_is_folded_before_its_reply_and_as_inert_as_the_reply():
    record = {**RECORD, "text": "C", "thought": "<img src=x> " + "y" * 50_000}
    shown = transcripts.of_record(record)
    html, text = shown._repr_html_(), repr(shown)
    assert "<img" not in html
    assert html.index("<details><summary>thought, 50,012 characters</summary>&lt;img") > 0
    assert html.index("</details>") < html.index("<b>model:</b> C")
    assert max(len(html), len(text)) < 6_000
    assert text.index("[thought]") < text.index("[model]")
    without = transcripts.of_record({**RECORD, "thought": None})
    assert "details" not in without._repr_html_()
    assert "[thought]" not in repr(without)


def test_a_reply_with_nothing_to_read_shows_why():
    cause = "thought for 199 of 200 tokens"
    shown = repr(transcripts.of_record({**RECORD, "text": "", "cause": cause}))
    assert shown.endswith(f"({cause})")
    spoken = repr(transcripts.of_record({**RECORD, "text": "B", "cause": cause}))
    assert spoken.endswith("\nB")


def test_a_chain_of_thought_is_a_turn_like_others():
    chain = ({"role": "assistant", "content": "Both matter."}, {"role": "user", "content": "So?"})
    record = {**RECORD, "text": "C", "messages": [*RECORD["messages"], *chain]}
    shown = repr(transcripts.of_record(record))
    assert shown.index("[model]\nBoth matter.") < shown.index("[user]\nSo?") < shown.index("\nC")
    assert transcripts.of_record(record, last=4).messages[1:3] == chain
