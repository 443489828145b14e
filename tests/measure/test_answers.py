"""An answers file says what was chosen and not by whom; a group hides everybody in it."""

import json
import os

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import answers, published

PROSOCIAL = [0, 8, 8, 0, 4, 8]  # 45 degrees (Murphy et al. 2011)
INDIVIDUALIST = [4, 8, 8, 8, 0, 0]  # 0 degrees
COMPETITOR = [8, 0, 8, 8, 0, 0]  # -16.26 degrees
INEQUALITY = [5, 4, 3, 6, 4, 7, 4, 2, 1]  # the ideal of inequality aversion: index 0


def hand_in(folder, *everybody, secondary=None):
    for number, choices in enumerate(everybody):
        name = f"{number:02}-{len(list(folder.iterdir()))}.json"
        (folder / name).write_bytes(answers.export(choices, secondary))


def changed(**fields):
    return json.dumps(json.loads(answers.export(PROSOCIAL)) | fields).encode()


def test_a_file_holds_the_choices_and_nothing_about_the_person_the_time_or_the_machine():
    content = json.loads(answers.export([0, None, 8, 0, 4, 8], INEQUALITY))
    random = content.pop("id")
    version = content.pop("version")
    assert content == {
        "schema": "hvae-answers/1",
        "instrument": "svo-slider",
        "choices": [0, None, 8, 0, 4, 8],
        "secondary": INEQUALITY,
    }
    assert len(random) == 32
    assert version.count(".") == 2


def test_two_exports_of_one_person_cannot_be_linked_by_their_identifier():
    first, second = (json.loads(answers.export(PROSOCIAL)) for _ in range(2))
    assert first.pop("id") != second.pop("id")
    assert first == second


def test_what_was_exported_is_read_back_with_what_is_missing():
    read = answers.parse(answers.export([0, None, 8, 0, 4, 8]))
    assert read.choices == (0, -1, 8, 0, 4, 8)
    assert read.secondary == (-1,) * 9


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 4000, "not JSON"),
        (b'{"schema": NaN', "not JSON"),
        (b"[]", "no answers file"),
        (b'"hvae-answers/1"', "no answers file"),
        (changed(schema="hvae-answers/9"), "no answers file"),
        (changed(instrument="triple-dominance"), "another instrument"),
        (changed(name="somebody"), "nothing else"),
        (b'{"schema": "hvae-answers/1"}', "must hold schema, instrument"),
        (changed(choices=[0, 8, 8, 0, 4]), "list of 6"),
        (changed(choices={"1": 0}), "list of 6"),
        (changed(choices=[0, 8, 9, 0, 4, 8]), "choice 3 must be a whole number from 0 to 8"),
        (changed(choices=[-1, 8, 8, 0, 4, 8]), "choice 1"),
        (changed(choices=[0, 8, 8, 0, 4.0, 8]), "choice 5"),
        (changed(choices=[0, 8, 8, 0, 4, "8"]), "choice 6"),
        (changed(choices=[True, 8, 8, 0, 4, 8]), "choice 1"),
        (changed(choices=[10**400, 8, 8, 0, 4, 8]), "choice 1"),
        (changed(secondary=[0, 1]), "'secondary' must be a list of 9"),
        (changed(id="anna"), "identifier"),
        (changed(id=["a"] * 32), "identifier"),
        (changed(version=1), "version"),
        (changed(version="x" * 5000), "too large"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_sentence(content, said):
    with pytest.raises(UserError, match=said) as fault:
        answers.parse(content)
    assert "\n" not in str(fault.value)


def test_answers_that_nobody_can_give_are_not_exported():
    with pytest.raises(UserError, match="choice 2"):
        answers.export([0, 9, 8, 0, 4, 8])


def test_bad_files_are_listed_and_good_ones_still_count(tmp_path):
    hand_in(tmp_path, *[PROSOCIAL] * 5)
    (tmp_path / "a-copy.json").write_bytes((tmp_path / "00-0.json").read_bytes())
    (tmp_path / "big.json").write_bytes(b" " * 10_000_000)
    (tmp_path / ".hidden.json").write_bytes(answers.export(PROSOCIAL))
    (tmp_path / "link.json").symlink_to(tmp_path / "00-0.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "notes\n<b>.txt").write_text("see you on Monday")
    people, problems = answers.gather(tmp_path)
    assert len(people) == 5
    told = problems.set_index("file").problem
    assert told[".hidden.json"].startswith("is a hidden file")
    assert told["link.json"].startswith("is a link")
    assert "no file" in told["folder.json"]
    assert told["big.json"].startswith("is too large")
    assert told["notes?<b>.txt"].startswith("is not JSON")
    assert told["a-copy.json"] == "is a copy of another file here, which counts once"
    assert len(told) == 6


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_folder_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    assert answers.gather(tmp_path)[1].problem.str.contains("no file").all()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere cannot be read"):
        answers.gather(tmp_path / "nowhere")


def test_two_people_who_agree_are_two_people(tmp_path):
    hand_in(tmp_path, *[PROSOCIAL] * 6)
    found = answers.group(answers.gather(tmp_path)[0])
    assert (found.people, found.complete, found.mean) == (6, 6, 45)


def test_no_row_leads_back_to_a_file(tmp_path):
    hand_in(tmp_path, PROSOCIAL, COMPETITOR, INDIVIDUALIST)
    people, _ = answers.gather(tmp_path)
    assert people.angle.is_monotonic_increasing
    assert not {"id", "file"} & set(people)


@pytest.mark.parametrize("complete", [0, 1, 4])
def test_a_small_group_is_counted_and_not_described(tmp_path, complete):
    hand_in(tmp_path, *[PROSOCIAL] * complete, *[[None, *PROSOCIAL[1:]]] * 3)
    found = answers.group(answers.gather(tmp_path)[0])
    assert (found.people, found.complete) == (complete + 3, complete)
    assert found.cells.empty
    assert np.isnan([found.mean, found.index]).all()
    assert "fewer than 5 people" in found.note


def described(choices):
    """Return the group of people of whom each row holds the six choices."""
    everybody = [answers.Answers("", tuple(map(int, one)), (-1,) * 9) for one in choices]
    return answers.group(answers._scored(everybody))


def a_class(size, seed):
    """Return choices of people as the samples have them: mostly prosocial, a quarter for itself."""
    rng = np.random.default_rng(seed)
    kinds = np.array([PROSOCIAL, [0, 8, 8, 0, 4, 8], INDIVIDUALIST, COMPETITOR])
    chosen = kinds[rng.choice(4, size, p=[0.5, 0.23, 0.24, 0.03])]
    careless = rng.random(chosen.shape) < 0.15
    return np.where(careless, rng.integers(0, 9, chosen.shape), chosen)


@pytest.mark.parametrize("size", [5, 6, 9, 14, 24, 39, 40, 200])
def test_a_cell_holds_nobody_or_enough_people_and_none_is_lost(size):
    for seed in range(20):
        random = np.random.default_rng(seed).integers(0, 9, (size, 6))
        for choices in (random, a_class(size, seed)):
            cells = described(choices).cells
            assert ((cells["count"] == 0) | (cells["count"] >= answers.MINIMUM)).all()
            assert cells["count"].sum() == size
            assert cells.share.sum() == pytest.approx(1)
            assert (cells.low.iloc[0], cells.high.iloc[-1]) == (-17.5, 62.5)
            assert (cells.low.to_numpy()[1:] == cells.high.to_numpy()[:-1]).all()


@pytest.mark.parametrize(("size", "least", "narrowest"), [(5, 1, 20), (14, 2, 20), (200, 5, 10)])
def test_a_larger_class_is_shown_in_more_and_narrower_cells(size, least, narrowest):
    shown = [described(a_class(size, seed)).cells.query("count > 0") for seed in range(40)]
    assert np.median([len(cells) for cells in shown]) >= least
    assert min((cells.high - cells.low).min() for cells in shown) == narrowest


def test_five_people_who_agree_stand_in_one_narrow_cell(tmp_path):
    hand_in(tmp_path, *[PROSOCIAL] * 5)
    cells = answers.group(answers.gather(tmp_path)[0]).cells
    assert cells[["low", "high", "count"]].to_numpy().tolist() == [
        [-17.5, 42.5, 0],
        [42.5, 62.5, 5],
    ]


def test_a_single_competitor_disappears_among_the_neighbours(tmp_path):
    hand_in(tmp_path, COMPETITOR, *[INDIVIDUALIST] * 5, *[PROSOCIAL] * 5)
    cells = answers.group(answers.gather(tmp_path)[0]).cells
    expected = [[-17.5, 2.5, 6], [2.5, 42.5, 0], [42.5, 62.5, 5]]
    assert cells[["low", "high", "count"]].to_numpy().tolist() == expected


def test_the_motive_is_told_only_where_enough_people_have_one(tmp_path):
    hand_in(tmp_path, *[PROSOCIAL] * 4, secondary=INEQUALITY)
    hand_in(tmp_path, *[PROSOCIAL] * 4)
    found = answers.group(answers.gather(tmp_path)[0])
    assert np.isnan(found.index)
    assert "no index" in found.note
    hand_in(tmp_path, PROSOCIAL, secondary=INEQUALITY)
    assert answers.group(answers.gather(tmp_path)[0]).index == 0


def test_a_group_lies_beside_the_published_people_on_edges_of_their_bins(tmp_path):
    hand_in(tmp_path, *[INDIVIDUALIST] * 5, *[PROSOCIAL] * 15)
    shown = answers.histogram(answers.group(answers.gather(tmp_path)[0]), "class")
    people = published.people_histogram()
    assert set(shown.low) | set(shown.high) <= set(people.low) | set(people.high)
    assert shown["count"].sum() == 20
    bins = (shown.high - shown.low) / 2.5
    assert (shown.share * bins).sum() == pytest.approx(1)
