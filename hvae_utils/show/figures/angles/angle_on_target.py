"""Figure 19, angle against target: a panel a respondent, a line a wording."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.errors import UserError
from hvae_utils.measure import svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics import chance
from hvae_utils.show import marks, style
from hvae_utils.show.names import each, named
from hvae_utils.show.tables import need, part, stack

_WORDING = {"color": "#7FA8C2", "lw": 0.7, "alpha": 0.8, "zorder": 2}
_DIAGONAL = {"color": style.INK, "lw": 0.8, "zorder": 1}
_MEAN = {
    True: {"color": style.INK, "lw": 1.8, "ls": "-", "zorder": 3},
    False: {"color": style.INK, "lw": 1.3, "ls": style.NO_GOAL_LINE, "zorder": 3},
}


def table(scores: pd.DataFrame, instrument: Instrument, values: dict[str, Value]) -> pd.DataFrame:
    """Return the mean angle (degrees) of every wording beside the target of its value.

    part "wording": angle, the mean over its administrations. "mean": over the wordings. "random":
    the expected angle of random choices. Values without a target are left out.
    """
    keys = ["model", "value", "goal_prompt"]
    need(scores, "scores", [*keys, "wording", "angle"])
    targets = {name: value.target for name, value in values.items() if value.target is not None}
    aimed = scores[scores["value"].isin(targets)]
    if aimed.empty:
        raise UserError("scores: no assigned value has a target, so there is nothing to draw")
    wordings = aimed.groupby([*keys, "wording"], sort=False)["angle"].mean().reset_index()
    means = wordings.groupby(keys, sort=False)["angle"].mean().reset_index()
    both = named(stack(wordings.assign(part="wording"), means.assign(part="mean")))
    both["target"] = both["value"].map(targets)
    mean = svo.angle_distribution(chance.uniform(instrument), instrument).mean
    columns = ["part", "model", "respondent", "value", "goal_prompt", "wording", "target", "angle"]
    place = both["model"].map({name: at for at, name in enumerate(scores["model"].unique())})
    both = both.assign(place=place).sort_values(["place", "target"], kind="stable")
    return stack(both, pd.DataFrame([{"part": "random", "angle": mean}]))[columns]


def caption(table: pd.DataFrame) -> str:
    """Return how to read the lines, and how far each respondent's mean angle goes."""
    return (
        "The angle against the target of the assigned value. Who acts on its value follows the "
        "diagonal; who does not has a level line, wherever it lies. Thin lines are single "
        "wordings, the bold line is their mean. From lowest to highest mean angle: "
        f"{each(_ranges(table), 0, '°')}."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        "A panel a respondent, target across and measured angle upwards, with the diagonal and a "
        f"level line for random choices. Range of the mean angle: {each(_ranges(table), 0, '°')}."
    )


def _ranges(table: pd.DataFrame) -> pd.Series:
    angles = part(table, "mean").groupby("respondent", sort=False)["angle"]
    return angles.max() - angles.min()


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw a thin line a wording, the mean of each arm bold, the diagonal and random choices."""
    means = part(table, "mean", "the angle on the target")
    random, values = float(part(table, "random")["angle"].iloc[0]), list(means["value"].unique())
    measured = table[table["part"] != "random"]
    targets = measured["target"].drop_duplicates().to_numpy(float)
    ends = min(targets.min(), -20.0) - 4, max(targets.max(), 62.0) + 4
    count = means["respondent"].nunique()
    line = 1.6 if count > 6 else 3.8 - 0.6 * min(count, 3)
    figure, panels = style.by_respondent(measured, line, 0.75, 4 if count > 6 else 3)
    for axes, rows in panels:
        axes.plot(ends, ends, gid="diagonal", **_DIAGONAL)
        axes.axhline(random, **marks.RANDOM_LINE)
        _lines(axes, rows)
        axes.set(xlim=ends, ylim=ends)
        axes.set_xticks(targets, style.numbers(np.round(targets)))
        axes.set_yticks(range(-20, 61, 20), style.numbers(range(-20, 61, 20)))
    mark = {"marker": "o", "mec": style.INK, "ms": 4.4}
    keys = [
        marks.key("one wording", **_WORDING),
        marks.key(f"mean {style.GOAL[True]}", **mark, **_MEAN[True]),
        marks.key(f"mean {style.GOAL[False]}", mfc="white", **mark, **_MEAN[False]),
        marks.key("acts fully on the value", **_DIAGONAL),
        marks.key("random choices", **marks.RANDOM_LINE),
        *marks.value_keys(values),
    ]
    style.legend(figure, keys, 4, "target of the assigned value, degrees")
    figure.supylabel("measured angle, degrees")
    return figure


def _lines(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw one respondent: the wordings of both arms, and the mean of each."""
    for _, wording in part(rows, "wording").groupby(["goal_prompt", "wording"], sort=False):
        axes.plot(wording["target"], wording["angle"], gid="wording", **_WORDING)
    arms = part(rows, "mean")
    for goal, arm in arms.groupby(arms["goal_prompt"].astype(bool)):
        axes.plot(arm["target"], arm["angle"], gid=f"mean {goal}", **_MEAN[goal])
        for row in arm.itertuples():
            look = marks.of_goal(row.value, goal, (4.2, 5.4), hollow="white") | {"zorder": 4}
            axes.plot(row.target, row.angle, gid=f"mean {row.value} {goal}", **look)
    if part(rows, "mean")["angle"].isna().all():
        axes.text(0.5, 0.5, "no angle", transform=axes.transAxes, ha="center", fontsize=7)
