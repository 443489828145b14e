"""There is one list of factors, and one definition of a cell, a cluster and a pair."""

import ast
from pathlib import Path

import pandas as pd
import pytest

import hvae_utils
from hvae_utils.errors import UserError
from hvae_utils.measure import factors, scoring
from hvae_utils.metrics import chance, effects, rationality

ROW = dict.fromkeys(factors.FACTORS, "x") | {"goal_prompt": False, "repeat": 1}
MEASURED = {"angle_low": 0.0, "angle_high": 50.0, "mean_self": 80.0, "mean_other": 70.0}


def frame(*rows):
    return pd.DataFrame([ROW | {"value": "prosocial"} | MEASURED | row for row in rows])


def test_no_other_module_lists_the_factors():
    """A list with three factors that only a study varies is a second list of factors."""
    study = {"induction", "placement", "protocol", "wording", "order", "labels"}
    asking = {"factors", "study", "administer", "watch"}  # what makes and asks conditions
    for path in Path(hvae_utils.__file__).parent.rglob("*.py"):
        if path.stem in asking:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Tuple | ast.Set):
                words = {one.value for one in node.elts if isinstance(one, ast.Constant)}
                assert len(words & study) < 3, f"{path.name}, line {node.lineno}"


def test_a_new_factor_reaches_every_table_by_the_list_alone(monkeypatch):
    monkeypatch.setattr(factors, "FACTORS", (*factors.FACTORS, "language"))
    two = frame({"angle": 40.0, "language": "English"}, {"angle": 43.0, "language": "German"})
    found = effects.factor_effects(two.assign(goal_prompt=False))
    assert found.loc[found["scope"] == effects.ALL, "factor"].tolist() == ["language"]
    assert found["difference"].tolist() == [3.0, 3.0]
    pairs = effects.factor_effects(pd.concat([two, two.assign(goal_prompt=True)]))
    assert pairs.set_index(["scope", "factor"]).loc[(effects.ALL, "goal_prompt"), "pairs"] == 2
    conditions = two.assign(condition_id=["a", "b"], instrument="svo-slider", goal=None)
    answers = [{"condition_id": c, "item": i, "option": 1} for c in "ab" for i in range(1, 7)]
    responses = pd.DataFrame(answers).astype({"option": "Int64"}).assign(method="text")
    scores = scoring.administrations(conditions, responses)
    assert scores["language"].tolist() == ["English", "German"]


@pytest.mark.parametrize(
    "name", ["induction", "placement", "protocol", "order", "labels", "repeat"]
)
def test_what_the_study_chose_is_no_cluster(name):
    table = frame({name: "a"}, {name: "b"}, {name: "b", "wording": "other"})
    cell = rationality.cells(table.assign(angle=[30.0, 40.0, 45.0])).iloc[0]
    assert (cell["clusters"], cell["mean_angle"]) == (2, 40)


def test_chance_is_asked_as_often_as_there_are_clusters():
    wordings = [{"wording": name, "order": order} for name in "ab" for order in ("fixed", "back")]
    cell = rationality.cells(frame(*wordings).assign(angle=30.5)).iloc[0]
    expected = chance.random_share(45.0, 2, 14.5)
    assert cell["p_random"] == float(f"{expected:.6g}")


def test_an_administration_found_twice_is_named():
    with pytest.raises(UserError, match="two administrations with the same factors"):
        factors.once(frame({}, {}))
