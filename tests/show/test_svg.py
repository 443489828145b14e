"""Pictures that follow a slider: named for a reader, and safe against what is typed."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from hvae_utils.show.panels import sliders, svg

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
POINTS = [svg.Point("you", 36.6, "you"), *sliders.ideals()]
DRAWN = {
    "bars": lambda: svg.payoff_bars(85, 15),
    "ring": lambda: svg.ring(POINTS, sliders.people()),
    "probabilities": lambda: svg.probability_bars([1 / 9] * 9, [(50, 100)] * 9, 3),
    "steps": lambda: svg.angle_steps([(-16, 61), (0, 40)], 45.0),
    "shares": lambda: svg.shares({"altruistic": 0.25, "prosocial": 0.75}),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_picture_is_whole_markup_with_a_name_for_a_reader(draw):
    root = ET.fromstring(draw())
    assert root.get("role") == "img"
    assert len(root.get("aria-label")) > 10


def test_nothing_that_was_typed_or_replied_becomes_markup():
    shown = [
        svg.note(NASTY, "error"),
        svg.key_numbers({NASTY: NASTY}),
        svg.table(NASTY, [NASTY], [[NASTY]]),
        svg.ring([svg.Point(NASTY, 10, kind, NASTY) for kind in ("you", "ideal", "model")]),
        svg.shares({NASTY: 0.5}),
    ]
    for text in shown:
        ET.fromstring(f"<div>{text}</div>")  # would fail on broken markup
        assert not re.search(r"<(script|img)|<[^>]* on\w+=\w+\(", re.sub(r'"[^"]*"', '""', text))


def test_the_longer_bar_is_that_of_the_one_who_gets_more():
    own, other = (float(w) for w in re.findall(r'<rect[^>]* width="([\d.]+)"', DRAWN["bars"]()))
    assert own / other == pytest.approx(85 / 15)


def test_what_stands_on_the_page_itself_takes_the_ink_of_its_theme():
    written = [
        svg.key_numbers({"angle": "3"}),
        svg.note("Asking", "error"),
        svg.table("Items", ["a"], [["b"]]),
    ]
    assert not re.search(r"[;\"]color:", "".join(written)), "dark on dark where the theme is dark"


def test_an_arrow_points_where_its_angle_is():
    for angle in (-16.26, 0, 45, 61.39):
        drawn = svg.ring([svg.Point("you", angle, "you")])
        x1, y1, x2, y2 = map(
            float, re.search(r'<line x1="(.*?)" y1="(.*?)" x2="(.*?)" y2="(.*?)"', drawn).groups()
        )
        assert np.degrees(np.arctan2(y1 - y2, x2 - x1)) == pytest.approx(angle, abs=0.1)


def test_a_point_without_an_angle_is_not_drawn():
    assert "gone" not in svg.ring([svg.Point("gone", np.nan, "model")])


def test_the_key_names_every_mark_that_is_drawn_and_no_other():
    def key(*points):
        return re.findall(r"<text x=\"4(?:22|04)\"[^>]*>([^<]*)<", svg.ring(points))

    assert "no value assigned" not in key(*POINTS)
    assert "no value assigned" in key(svg.Point("m, none", 22.0, "model", "none"))
    own = svg.Point("your thrift", 30.0, "ideal", "thrift <b> and forty letters of a word")
    assert "thrift &lt;b&gt; an… 30.0°" in key(own)
    published = key(svg.Point("GPT-4, altruistic", 61.0, "published", "altruistic"))
    assert "hollow marks: published" in published
    assert "small marks: measured" not in published
