"""A study of another instrument, five items of seven options, goes through every notebook."""

import itertools
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from hvae_utils import paths

ITEMS, OPTIONS = 5, 7
UTILITIES = {
    "altruistic": (0, 1),
    "prosocial": (1, 1),
    "individualistic": (1, 0),
    "competitive": (1, -1),
}
NOTES = """title = "Five items of seven options"
source = "made for this test"
origin = [50, 50]
boundaries = [57.15, 22.45, -12.04]
"""


def drawn():
    """Return coins (items, options, 2) in which every value has one best option of every item."""
    rng = np.random.default_rng(7)
    while True:
        payoffs = rng.integers((55, 20), (101, 101), (ITEMS, OPTIONS, 2))
        utilities = [np.sort(payoffs @ weights, axis=1) for weights in UTILITIES.values()]
        if min((one[:, -1] - one[:, -2]).min() for one in utilities) > 0:
            return payoffs


PAYOFFS = drawn()


def angle(chosen):
    x, y = PAYOFFS[range(ITEMS), chosen].mean(axis=0) - 50
    return np.degrees(np.arctan2(y, x))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    for name in ("data", "notebooks"):
        shutil.copytree(paths.ROOT / name, root / name)
    rows = [
        (item + 1, option + 1, *PAYOFFS[item, option])
        for item, option in itertools.product(range(ITEMS), range(OPTIONS))
    ]
    table = pd.DataFrame(rows, columns=["item", "option", "self", "other"])
    table.to_csv(root / "data/instruments/five-by-seven.csv", index=False)
    (root / "data/instruments/five-by-seven.toml").write_text(NOTES, encoding="utf-8")
    command = [sys.executable, "-m", "hvae_utils", "reproduce", "--profile", "smoke"]
    command += ["--runs", str(root / "runs"), "--run-id", "five"]
    for setting in (
        "instrument=five-by-seven",
        "models=reference/faithful,reference/random",
        "orders=fixed",
        "repeats=1",
    ):
        command += ["--set", setting]
    env = {**os.environ, "HVAE_ROOT": str(root), "PYTHONPATH": str(paths.ROOT)}
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return root / "runs" / "five"


@pytest.mark.slow
def test_every_faithful_angle_is_that_of_the_best_options(run):
    scores = pd.read_parquet(run / "scores.parquet")
    faithful = scores[(scores.model == "reference/faithful") & scores.value.isin(UTILITIES)]
    assert set(faithful.value) == set(UTILITIES)
    for value, weights in UTILITIES.items():
        best = (PAYOFFS @ weights).argmax(axis=1)
        assert faithful[faithful.value == value].angle.tolist() == pytest.approx(
            [angle(best)] * (faithful.value == value).sum(), abs=1e-9
        )


@pytest.mark.slow
def test_targets_and_chance_levels_are_those_of_the_instrument(run):
    cells = pd.read_csv(run / "value_rationality.csv")
    every = np.array([angle(chosen) for chosen in itertools.product(range(OPTIONS), repeat=ITEMS)])
    for cell in cells[cells.value.isin(UTILITIES) & (cells.scored == 1)].itertuples():
        target = angle((PAYOFFS @ UTILITIES[cell.value]).argmax(axis=1))
        assert cell.target == pytest.approx(target, abs=1e-6)
        expected = np.abs(every - target).mean()
        assert cell.vr_random == pytest.approx(60 - expected, abs=1e-3)
        if cell.model == "reference/faithful":
            assert (cell.vr, cell.vr_chance, cell.vr_regret) == pytest.approx((60, 1, 1))
            assert cell.lapse_rate == pytest.approx(0, abs=1e-9)
