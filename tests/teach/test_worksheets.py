"""Worksheets and answer keys: their numbers are the package's, and no question lacks its key."""

import math
import re

import nbformat
import numpy as np
import pytest

from hvae_utils import paths
from hvae_utils.measure import instruments, published, svo, values
from hvae_utils.metrics import published_chart, rationality
from hvae_utils.teach import course

DOCS = paths.ROOT / "docs"
SLIDER = instruments.load("svo-slider")


def text(name):
    return (DOCS / name).read_text(encoding="utf-8").replace("−", "-")


def rows(name, start):
    """Return the cells of the rows of the table whose head begins so, by the first cell."""
    head = rf"^\| *{re.escape(start)}.*\n\|[-|]+\n((?:\|.*\n)+)"
    lines = re.search(head, text(name), flags=re.M)[1].rstrip("\n").split("\n")
    cells = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    return {first: [number(cell) for cell in rest] for first, *rest in cells}


def number(cell):
    return float(cell.strip("°")) if re.fullmatch(r"-?[\d.]+°?", cell) else cell


def places(letters):
    return ["ABCDEFGHI".index(letter) for letter in letters]


def test_the_printed_measure_is_the_measure():
    printed = rows("worksheets/lesson_1.md", "| item 1")
    for option, letter in enumerate("ABCDEFGHI"):
        coins = [tuple(map(int, cell.split(" / "))) for cell in printed[letter]]
        assert coins == [tuple(map(int, pair)) for pair in SLIDER.payoffs[:, option]]


def test_the_angle_by_hand_and_the_table_of_ratios_are_right():
    given = SLIDER.payoffs[range(6), places("DIIAEI")]
    told = text("instructors/worksheet_answers.md")
    assert f"mean {given[:, 0].mean():.2f}; the other's" in told
    assert f"mean {given[:, 1].mean():.2f}. Ratio" in told
    assert f"angle {svo.score([places('DIIAEI')], SLIDER).angle[0]:.1f}°" in told
    for own_or_other in range(2):
        assert ", ".join(f"{coins:.0f}" for coins in given[:, own_or_other]) in told
    page = text("worksheets/lesson_1.md")
    ratios, angles = (re.search(rf"^\| {name} \|(.*)\|$", page, flags=re.M)[1].split("|")
                      for name in ("ratio", "angle"))  # fmt: skip
    for ratio, angle in zip(ratios, angles, strict=True):
        assert round(math.degrees(math.atan(float(ratio)))) == int(angle.strip(" °"))


def test_the_ideal_letters_and_the_bounds_are_right():
    chosen = rows("instructors/worksheet_answers.md", "| item 1")
    for who, (own, other) in {
        "only the other's coins count": (0, 1),
        "only one's own coins count": (1, 0),
        "the lead over the other counts": (1, -1),
    }.items():
        for item, letter in zip((0, 1, 3), chosen[who], strict=True):
            worth = SLIDER.payoffs[item] @ [own, other]
            best = np.flatnonzero(worth == worth.max())
            assert letter == ("any" if len(best) == 9 else "ABCDEFGHI"[best.item()])
    row = svo.score([[0, 8, 0, -1, 8, 8]], SLIDER).iloc[0]
    for page in ("worksheets/lesson_1.md", "instructors/worksheet_answers.md"):
        assert f"{row.angle_low:.1f}°" in text(page)
        assert f"{row.angle_high:.1f}°" in text(page)


def test_the_scores_of_chance_and_of_the_published_model_are_right():
    asked = rows("worksheets/lesson_3.md", "value | target")
    answered = rows("instructors/worksheet_answers.md", "value | on a scale")
    chart = published_chart.with_chance(published.radar().query("goal_prompt"))
    of_model = chart[chart["model"] == "GPT-3.5"].set_index("value")
    for name, (target, random, score, _) in asked.items():
        assert target == pytest.approx(values.get(name).target, abs=0.05)
        assert random == pytest.approx(rationality.random_baseline(name, 10), abs=0.05)
        assert score == pytest.approx(of_model.vr[name], abs=0.051)
        by_hand = 1 - (60 - score) / (60 - random)
        assert answered[name][0] == pytest.approx(by_hand, abs=0.0051)
        assert answered[name][0] == pytest.approx(of_model.vr_chance[name], abs=0.0051)


def test_steerability_by_hand_is_the_slope():
    table = np.array(list(rows("worksheets/lesson_3.md", "told to be").values()))
    (slopes,) = rows("instructors/worksheet_answers.md", "| P | Q").values()
    away = table[:, 0] - table[:, 0].mean()
    assert away.tolist() == [38.5, 22.5, -22.5, -38.5]
    assert (away**2).sum() == 3977
    for angles, slope in zip(table[:, 1:].T, slopes, strict=True):
        assert slope == pytest.approx(np.polyfit(table[:, 0], angles, 1)[0], abs=0.0051)


def test_every_reflection_of_every_lesson_has_its_key():
    key = text("instructors/answer_key.md")
    for lesson in course.lessons():
        cells = nbformat.read(lesson, 4).cells
        asked = next(cell for cell in cells if cell.id == "reflection").source
        questions = re.findall(r"^(\d)\. ", asked, flags=re.M)
        part = re.search(rf"## Lesson {lesson.name[0]}\n(.*?)(?=\n## |\Z)", key, flags=re.S)[1]
        entries = re.findall(
            r"^\*\*(\d)\..*\*Full\*: .*\*Weak\*: .*\*Ask\*: .*\?$", part, flags=re.M
        )
        assert entries == questions
        assert "no single right answer" in asked
