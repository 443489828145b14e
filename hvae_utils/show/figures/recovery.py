"""Figure 13, recovery of a known utility angle: rows by lapse rate, columns by mechanism."""

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.errors import UserError
from hvae_utils.show import marks, style
from hvae_utils.show.tables import need, part, stack

_SHARPNESS = 0.1  # nats per coin: soft enough to show a bias of 3 nats
_BIASES = {  # columns of the study, and what the bias is called
    "position_bias": "position bias of {:g} nats",
    "mixture": "first position in {:.0%} of the answers",
}
_STAIRS = {"color": "#A9A9A9", "lw": 2.0, "zorder": 1}
_STAGES = {
    "unbiased": ("soft, without any bias", {"color": style.INK, "lw": 1.4, "zorder": 2}),
    "before": (
        "biased, one fixed order",
        {"color": "#A63603", "lw": 1.0, "ls": (0, (3, 1.6)), "marker": "D", "ms": 3.6, "zorder": 3},
    ),
    "probability": (
        "nine orders, probabilities",
        {"color": "#E69F00", "lw": 1.0, "ls": (0, (1, 1.2)), "marker": "^", "ms": 4.2, "zorder": 4},
    ),
    "logit": (
        "nine orders, log-probabilities",
        {"color": "#0072B2", "lw": 0, "marker": "o", "ms": 5.4, "mfc": "none", "zorder": 5},
    ),
    "minimum": (
        "nine orders, minimum",
        {"color": "#009E73", "lw": 0, "marker": "x", "ms": 4.6, "mew": 1.3, "zorder": 6},
    ),
}
_STUDIED = ("unbiased", "fixed", "cyclic_probability", "cyclic_logit", "cyclic_minimum")
_COLUMNS = dict(zip(_STUDIED, _STAGES, strict=True))


def table(study: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """Return measured against true utility angle of simulated respondents, by lapse rate and bias.

    study: as `recovery.study`; of its respondents those of sharpness 0.1 with a position bias or a
    mixture alone. steps: as `recovery.steps`, the staircase of ideal respondents.
    part "respondent": utility_angle, bias (in words), mechanism (what `debias.mechanism` finds),
    measured (mean angle, degrees) at each stage: "unbiased", "before" (one fixed order),
    "probability", "logit" and "minimum" (over nine cyclic orders). "step": low, high (utility
    angles) and measured.
    """
    biases = [*_BIASES, "label_bias"]
    columns = ["utility_angle", "sharpness", "lapse", "mechanism"]
    need(study, "recovery study", [*columns, *biases, *_COLUMNS])
    rows = study[np.isclose(study["sharpness"], _SHARPNESS)]
    rows = rows[((rows[biases] != 0).sum(axis=1) == 1) & (rows["label_bias"] == 0)]
    if rows.empty:
        has = ", ".join(style.numbers(sorted(set(study["sharpness"]))))
        raise UserError(
            f"recovery study: no respondent of sharpness {_SHARPNESS} with one bias; it has {has}"
        )
    for column, words in _BIASES.items():
        biased = rows[column] != 0
        rows.loc[biased, "bias"] = rows.loc[biased, column].map(words.format)
    columns.append("bias")
    rows = rows[[*columns, *_COLUMNS]].rename(columns=_COLUMNS)
    rows = rows.melt(columns, var_name="stage", value_name="measured").assign(part="respondent")
    steps = steps[["low", "high", "angle"]].rename(columns={"angle": "measured"})
    return stack(steps.assign(part="step"), rows)[
        ["part", *columns, "stage", "low", "high", "measured"]
    ]


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw measured against true angle; the stairs of ideal respondents show the resolution."""
    rows = part(table, "respondent", "the recovery study")
    lapses, biases = sorted(set(rows["lapse"])), list(rows["bias"].unique())
    figure = style.new_figure(1.0 + 2.3 * len(lapses))
    panels = style.panels(figure, len(lapses) * len(biases), len(biases))
    for axes, (lapse, bias) in zip(panels, product(lapses, biases), strict=True):
        panel = rows[(rows["lapse"] == lapse) & (rows["bias"] == bias)]
        _stages(axes, part(table, "step").sort_values("low"), panel, f"{bias} {lapse:g}")
        axes.set_title(f"{bias}, {lapse:.0%} lapses", fontweight="normal", fontsize=8)
        place = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": 7}
        axes.text(0.98, 0.03, _words(panel), bbox=marks.PAPER, **place)
        axes.set_xlim(rows["utility_angle"].min() - 4, rows["utility_angle"].max() + 4)
        axes.set_xticks(range(-45, 91, 45), style.numbers(range(-45, 91, 45)))
        axes.set(ylim=(-19, 65), yticks=range(0, 61, 15))
        axes.grid(axis="y")
    keys = [marks.key("ideal respondents", **_STAIRS)]
    drawn = set(rows["stage"])
    keys += [marks.key(*look[:1], **look[1]) for stage, look in _STAGES.items() if stage in drawn]
    style.legend(figure, keys, 3, "true utility angle of the simulated respondent, degrees")
    figure.supylabel("measured mean SVO angle, degrees")
    return figure


def caption(table: pd.DataFrame) -> str:
    """Return how to read the figure, and how far each average is off in it."""
    return (
        f"Recovery of a known utility angle. Soft simulated respondents ({_SHARPNESS} nats a "
        "coin), exactly computed; grey: the staircase of ideal ones. An additive bias is undone by "
        "averaging log-probabilities over nine orders where nobody lapses, a mixture by the "
        f"minimum over them. {_result(table)}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the figure in words."""
    return f"Panels of measured against true angle, by bias and lapse rate. {_result(table)}"


def _result(table: pd.DataFrame) -> str:
    groups = part(table, "respondent").groupby(["bias", "lapse"], sort=False)
    panels = [
        f"{bias}, {lapse:.0%} lapses: {', '.join(_errors(rows))}" for (bias, lapse), rows in groups
    ]
    return f"Largest errors: {'; '.join(panels)}."


def _errors(rows: pd.DataFrame) -> list[str]:
    """Return the largest error of each stage, in words."""
    angles = rows.pivot(index="utility_angle", columns="stage", values="measured")
    largest = angles.sub(angles["unbiased"], axis=0).abs().max()
    words = {"before": "one order", "probability": "probabilities", "logit": "log-probabilities"}
    return [f"{words.get(at, at)} {largest[at]:.1f}°" for at in _STAGES if at != "unbiased"]


def _words(rows: pd.DataFrame) -> str:
    """Return what a panel says: the largest errors, and how often a mechanism is found."""
    found = rows[rows["stage"] == "unbiased"]["mechanism"].value_counts()
    counts = ", ".join(f"{name} {count}" for name, count in found.items())
    return "\n".join(["largest error:", *_errors(rows), f"mechanism found: {counts}"])


def _stages(axes: Axes, stairs: pd.DataFrame, rows: pd.DataFrame, name: str) -> None:
    """Draw the staircase of ideal respondents, and a line for each stage of the rows."""
    edges = stairs[["low", "high"]].to_numpy(float).ravel()
    axes.plot(edges, np.repeat(stairs["measured"], 2), gid="ideal", **_STAIRS)
    for stage, (_, look) in _STAGES.items():
        line = rows[rows["stage"] == stage].sort_values("utility_angle")
        if len(line):
            axes.plot(line["utility_angle"], line["measured"], gid=f"{stage} {name}", **look)
