"""The panels, without a browser: move a slider, read what is shown."""

import json
import re
from dataclasses import replace
from fnmatch import fnmatch

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.errors import UserError
from hvae_utils.measure import answers, secondary, svo, values
from hvae_utils.metrics import published_chart, recovery
from hvae_utils.play import watch
from hvae_utils.show.panels import asking, games, sliders

CELLS = pd.DataFrame(
    {"model": ["reference/random"] * 2, "value": ["altruistic", "none"], "mean_angle": [22.0, 23.0]}
)


@pytest.fixture
def measure():
    return sliders.Measure(sliders.respondents(CELLS), sliders.people())


def answer(items, options):
    """Move every slider to an option from 0; the middle one by way of another."""
    for item, option in zip(items, options, strict=True):
        item.slider.value = 1
        item.slider.value = 2
        item.slider.value = option + 1


def angle(shown):
    return re.search(r'class="hvae-angle"[^>]*>([^<]*)<', shown)[1]


def test_an_unfinished_measure_names_the_items_that_are_missing(measure):
    answer(measure.primary[:4], [4, 4, 4, 4])
    assert "items 5 and 6" in measure.result.value
    assert "hvae-angle" not in measure.result.value


@pytest.mark.parametrize(
    ("value", "published"),
    [
        ("altruistic", "61.4°"),
        ("prosocial", "45.0°"),
        ("individualistic", "0.0°"),
        ("competitive", "−16.3°"),
    ],
)
def test_ideal_answers_lead_to_the_published_angle(measure, value, published):
    answer(measure.primary, svo.ideal_choices(value, sliders.SLIDER))
    assert angle(measure.result.value) == published
    assert value in measure.result.value


def test_a_middle_answer_counts_once_its_slider_was_moved(measure):
    answer(measure.primary, [4] * 6)
    assert measure.choices() == [4] * 6


def test_a_list_holds_the_same_answer_as_its_slider_and_counts_in_the_middle_too(measure):
    for item in measure.primary:
        item.list.value = 5  # the slider stands there from the beginning
    assert measure.choices() == [4] * 6
    assert "hvae-angle" in measure.result.value
    measure.primary[0].slider.value = 9
    assert measure.primary[0].list.label == "85 for you, 15 for the other"
    measure.primary[0].list.value = 1
    assert (measure.primary[0].slider.value, measure.choices()[0]) == (1, 0)
    measure.primary[0].list.label = "not answered"
    assert measure.choices()[0] is None
    assert "Still to answer: item 1" in measure.result.value


def test_lists_take_the_place_of_all_sliders_when_ticked(measure):
    measure.lists.value = True
    for item in (*measure.primary, *measure.secondary):
        assert item.children == (item.list, item.bars)
    measure.lists.value = False
    assert measure.primary[0].children[0] is measure.primary[0].slider


def test_the_nine_further_items_are_shown_when_ticked(measure):
    (asked, _) = measure.children[0].children
    further = next(
        box for box in asked.children if measure.secondary[0] in getattr(box, "children", ())
    )
    assert further.layout.display == "none"
    measure.more.value = True
    assert further.layout.display == ""


def test_the_nine_further_items_give_the_index(measure):
    answer(measure.primary, [4] * 6)
    assert "0 of 9 items" in measure.result.value
    joint = secondary.published.secondary_ideals()["joint_gain"].fillna(5).astype(int) - 1
    answer(measure.secondary, joint)
    assert re.search(r'class="hvae-index"[^>]*>1\.00<', measure.result.value)


def test_nothing_is_saved_until_the_button_is_pressed_and_nothing_is_overwritten(
    measure, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    answer(measure.primary, [0, 1, 2, 3, 4, 5])
    assert list(tmp_path.iterdir()) == []
    measure.save.click()
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"answers-[0-9a-f]{8}\.json", file.name)
    assert json.loads(file.read_text())["choices"] == [0, 1, 2, 3, 4, 5]
    (tmp_path / "theirs.json").write_text("theirs")
    assert "Saved as" in measure.saved.value
    answer(measure.primary[:1], [1])
    assert measure.saved.value == ""  # the file holds other answers
    answer(measure.primary[:1], [0])
    measure.file.value = "theirs.json"
    measure.save.click()
    assert "already" in measure.saved.value
    assert (tmp_path / "theirs.json").read_text() == "theirs"


def test_answers_are_saved_again_after_a_change_and_two_panels_have_two_files(
    measure, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    answer(measure.primary, [0, 1, 2, 3, 4, 5])
    measure.save.click()
    answer(measure.primary, [5, 4, 3, 2, 1, 0])
    measure.save.click()
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())["choices"] == [5, 4, 3, 2, 1, 0]
    other = sliders.Measure((), sliders.people())
    answer(other.primary, [1] * 6)
    other.save.click()
    assert len(list(tmp_path.iterdir())) == 2


def test_git_does_not_see_answers():
    ignored = (paths.ROOT / ".gitignore").read_text("utf-8").split()
    assert any(fnmatch(answers.file_name(), pattern) for pattern in ignored)


@pytest.mark.parametrize("name", ["no/such/folder/x.json", "\0", "<b>x</b>/y"])
def test_a_file_that_cannot_be_written_ends_in_a_sentence(measure, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    measure.save.click()
    assert "nothing is answered" in measure.saved.value
    answer(measure.primary, [4] * 6)
    measure.file.value = name
    measure.save.click()
    assert 'role="alert"' in measure.saved.value
    assert "<b>" not in measure.saved.value


def test_flipping_an_answer_shows_what_scoring_says(measure):
    panel = sliders.flip(measure)
    (start, item), (place, _) = (row.children for row in panel.children[:2])
    shown = panel.children[-1]
    start.value, item.value, place.value = "individualistic", 1, 1
    flipped = svo.ideal_choices("individualistic", sliders.SLIDER)
    flipped[1] = 0
    scored = svo.score([flipped], sliders.SLIDER).angle[0]
    assert float(angle(shown.value).replace("−", "-")[:-1]) == round(scored, 1)
    start.value = sliders.OWN
    assert "not finished" in shown.value
    answer(measure.primary, [4] * 6)
    assert "hvae-angle" in shown.value


def test_published_models_stand_where_their_score_leaves_one_angle():
    points = {point.name: point for point in sliders.published_models()}
    angles = published_chart.with_angles().query("goal_prompt")["angle"]
    assert len(points) == angles.notna().sum()
    # read from the chart: 57.5 points of Claude, and, told to be competitive, 59.1 of GPT-4, 8.0 of
    # Vicuna
    assert points["Claude, altruistic"].angle == pytest.approx(61.39 - 2.53, abs=0.06)
    assert "Claude, prosocial" not in points  # 44 or 46 degrees
    assert points["GPT-4, competitive"].angle == pytest.approx(-16.26 + 0.9, abs=0.06)
    assert points["Vicuna-13B, competitive"].angle == pytest.approx(-16.26 + 52, abs=0.06)


def test_dice_score_zero_on_the_chance_scale_and_lie_at_their_known_angle():
    panel = sliders.noise()
    (_, share), shown = panel.children[0].children, panel.children[-1]
    share.children[0].value = 1.0  # typed into the field that has the slider's name
    assert angle(shown.value).startswith("22.7°")
    of_the_mean, of_one = shown.value.split("A single administration has a name of its own")
    assert of_the_mean.endswith("The mean of many administrations is prosocial, by its angle. ")
    assert re.search(r"prosocial</text>.*?(\d+)%", of_one)[1] != "100"
    assert "Expected of altruistic, lapse rate 1.00, position bias 0.00, favourite A" in shown.value
    assert re.search(r">0\.00<", shown.value)


def test_a_favourite_letter_taken_always_is_a_constant_respondent():
    found = recovery.noisy("altruistic", 0.3, 1.0, 0)
    constant = svo.score([[0] * 6], sliders.SLIDER).angle[0]
    assert found["mean_angle"] == pytest.approx(constant)
    assert found["raw"] == pytest.approx(60 - abs(constant - values.get("altruistic").target))
    assert found["sd"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "wrong", [("none", 0, 0, 0), ("prosocial", 0, 2, 0), ("prosocial", 2, 0, 0)]
)
def test_noise_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UserError):
        recovery.noisy(*wrong)


class Script:
    """Stands for whoever asks: tells the events it was given."""

    def __init__(self, *events):
        self.events, self.stopped, self.choices = events, False, None

    def __call__(self, choices, tell):
        self.choices, self.tell = choices, tell
        for event in self.events:
            tell(event)
        return self

    def stop(self):
        self.stopped = True
        self.tell(watch.Event("stopped", "altruistic"))


FACTORS = {
    "model": ("reference/faithful",),
    "value": ("altruistic",),
    "induction": ("label",),
    "wording": ("plain",),
    "order": ("fixed",),
}
ASKED = watch.Event("asked", "altruistic", messages=({"role": "user", "content": "<i>Q</i>"},))
ITEM = watch.Event(
    "item", "altruistic", item=1, outcome="choice", option=2, chances=(0.1,) * 8 + (0.2,),
    order=tuple(range(9))[::-1], low=-5.0, high=50.0,
)  # fmt: skip


def parts(panel):
    (job,) = [child for child in panel.children if isinstance(child, asking._Job)]
    return job, job.picture


def test_watching_shows_messages_reply_probabilities_and_the_range_of_angles():
    reply = watch.Event("replied", "altruistic", reply="<script>B</script>")
    ask = Script(ASKED, reply, ITEM, watch.Event("done", "altruistic"))
    job, shown = parts(asking.watch(ask, FACTORS))
    job.run.click()
    assert ask.choices == [{name: choices[0] for name, choices in FACTORS.items()}]
    assert "&lt;script&gt;B" in shown.value
    assert "<script>" not in shown.value
    assert "A 20%" in shown.value, "shown in reverse, the last option stands first"
    assert angle(shown.value) == "−5.0° to 50.0°"
    assert "Done" in job.status.value
    assert not job.run.disabled


def test_a_thought_is_folded_beside_the_reply_that_it_led_to():
    reply = watch.Event("replied", "altruistic", reply="B", thought="<i>Hm.</i>")
    shown = asking.watched([ASKED, reply, ITEM])
    assert "<details><summary>thought, 10 characters</summary>&lt;i&gt;Hm.&lt;/i&gt;" in shown


def test_only_one_administration_runs_and_stop_ends_it():
    ask = Script(ASKED)
    job, _ = parts(asking.watch(ask, FACTORS))
    job.run.click()
    assert job.run.disabled
    assert not job.stop.disabled
    job.stop.click()
    assert ask.stopped
    assert "Stopped" in job.status.value
    assert not job.run.disabled


def test_an_error_stands_in_the_panel_and_the_next_attempt_is_possible():
    ask = Script(ASKED, watch.Event("error", "altruistic", note="gone <b>away</b>"))
    job, _ = parts(asking.watch(ask, FACTORS))
    job.run.click()
    assert "gone &lt;b&gt;away" in job.status.value
    assert not job.run.disabled


def test_an_unknown_model_is_a_sentence():
    panel = asking.watch(watch.ask, FACTORS)
    panel.children[0].value = "reference/fathful"
    job, _ = parts(panel)
    job.run.click()
    assert "Did you mean" in job.status.value


def designed(ask, **typed):
    panel = asking.design(ask, ["reference/faithful"])
    fields = dict(
        zip(("word", "definition", "way", "amount", "preview"), panel.children, strict=False)
    )
    for name, text in typed.items():
        fields[name].value = text
    return fields["preview"], *parts(panel)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"amount": "a lot"}, "must be a number"),
        ({"amount": "1e999"}, "must be a number"),
        ({"amount": "<script>"}, "&lt;script&gt;"),
        ({"definition": "x" * 10_000}, "10,000 characters"),
        ({"definition": " \0 "}, "missing"),
        ({"word": ""}, "missing"),
    ],
)
def test_a_value_that_cannot_be_tried_is_a_sentence_and_asks_nobody(typed, said):
    ask = Script()
    preview, job, _ = designed(ask, **typed)
    assert said in preview.value
    job.run.click()
    assert said in job.status.value
    assert ask.choices is None


@pytest.mark.parametrize(
    ("word", "amount"), [("altruistic", "0.5"), ("Prosocial", "0"), ("none", "1")]
)
def test_the_word_of_a_known_value_is_refused_where_its_target_is_another(word, amount):
    preview, _, _ = designed(Script(), word=word, amount=amount)
    assert "give it another word" in preview.value
    assert designed(Script(), word="prosocial", amount="1")[0].value.count("45.0°") == 1


@pytest.mark.parametrize("over", [True, False])
@pytest.mark.parametrize(
    ("field", "text"), [(0, "kind"), (1, "Other."), (3, "1"), (5, "x/y"), (6, True)]
)
def test_a_changed_input_clears_the_result_and_stops_what_is_asked(field, text, over):
    item = replace(ITEM, value="even-handed", angle=30.0)
    ask = Script(item, *[watch.Event("done", "x")] * over)
    panel = asking.design(ask, ["reference/faithful"])
    job, shown = parts(panel)
    job.run.click()
    assert "even-handed 36.1°" in shown.value, "the legend has the target"
    panel.children[field].value = text
    assert shown.value == ""
    assert ask.stopped is not over
    ask.tell(item)
    assert shown.value == "", "what still comes is of the inputs before"
    assert "Done" not in job.status.value


def test_markup_in_a_definition_is_text():
    ask = Script(replace(ITEM, value="<b>kind</b>", angle=30.0), watch.Event("done", "x"))
    _, job, shown = designed(ask, word="<b>kind</b>", definition="<img src=x> is kind")
    job.run.click()
    assert "&lt;b&gt;kind" in shown.value
    assert "<b>" not in shown.value
    assert ask.choices[0]["value"].definition == "<img src=x> is kind"


def test_the_distance_is_from_ones_own_target():
    ask = Script(replace(ITEM, value="even-handed", angle=40.0), watch.Event("done", "x"))
    _, job, shown = designed(ask)
    job.run.click()
    target = ask.choices[0]["value"].target
    assert f">{abs(40 - target):.1f}°<" in shown.value
    assert not np.isnan(target)


# --- other games


def test_what_the_slider_predicts_of_an_ideal_respondent_is_what_it_chooses():
    """Enumerated: the option of each item that is worth the most to the value, where one is."""
    asked = games.items()
    for name, worth in (
        ("prosocial", lambda own, other: own + other),
        ("individualistic", lambda own, other: own),
    ):
        _, predicted = games.predict(svo.ideal_choices(name, sliders.SLIDER), asked)
        for item, found in zip(asked, predicted, strict=True):
            utilities = [worth(*option) for option in item.payoffs.tolist()]
            best = [k for k, utility in enumerate(utilities) if utility == max(utilities)]
            if len(best) == 1:
                assert found.option == best[0], item.name
                assert found.chance > 0.85
            assert found.chances.sum() == pytest.approx(1)


def test_the_games_wait_for_the_slider_and_count_what_came_true(measure):
    played = games.play(measure)
    result, lists = played.children[-1], played.children[1:-1:2]
    assert "First answer the six items" in result.value
    answer(measure.primary, svo.ideal_choices("prosocial", sliders.SLIDER))
    assert "Now choose in the games above" in result.value
    asked = games.items()
    accept = next(k for k, item in enumerate(asked) if item.name == "ultimatum-responder")
    labels = [label for label, _ in lists[accept].options]
    lists[accept].value = next(k for k, label in enumerate(labels) if "accept" in label)
    assert "1 of 1 choices were predicted; at random it would be 0.5" in result.value
    lists[accept].value = next(k for k, label in enumerate(labels) if "refuse" in label)
    assert "0 of 1 choices were predicted" in result.value


def test_a_game_is_told_in_words_for_people():
    texts = " ".join(item.text + " ".join(item.options) for item in games.items())
    assert "In each option" not in texts
    assert "{" not in texts
    assert "for the three others" in texts


def test_a_game_in_which_the_slider_prefers_nothing_is_not_counted():
    """What is sent back leaves the sum as it is, so a prosocial has no reason to send any."""
    asked = games.items([("trust-return", 2), ("dilemma-second", 0)])
    weighing, predicted = games.predict(svo.ideal_choices("prosocial", sliders.SLIDER), asked)
    shown = games.compared(weighing, predicted, asked, [0, predicted[1].option])
    assert "none is preferred" in shown
    assert "1 of 1 choices were predicted; at random it would be 0.5" in shown
