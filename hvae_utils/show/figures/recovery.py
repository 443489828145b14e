"""Figure 13, recovery of a known utility angle: rows by lapse rate, columns by bias."""

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.errors import UserError
from hvae_utils.show import marks, style
from hvae_utils.show.tables import need, part, stack

_SHARPNESS = 0.1  # nats per coin: soft enough to show a bias of 3 nats
_BIASES = ("none", "position", "label")
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
}
_STUDIED = ("unbiased", "fixed", "cyclic_probability", "cyclic_logit")  # columns of the study
_COLUMNS = dict(zip(_STUDIED, _STAGES, strict=True))


def table(study: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """Return measured against true utility angle of simulated respondents, by lapse rate and bias.

    study: as `recovery.study`; of its respondents those of sharpness 0.1 with at most one kind of
    bias. steps: as `recovery.steps`, the staircase of ideal respondents.
    part "respondent": utility_angle, bias ("none", "position", "label") in nats, measured (mean
    angle, degrees) at each stage: "unbiased", "before" (one fixed order), "probability" and "logit"
    (nine cyclic orders averaged). "step": low, high (utility angles) and measured.
    """
    biases = ["position_bias", "label_bias"]
    need(study, "recovery study", ["utility_angle", "sharpness", "lapse", *biases, *_COLUMNS])
    rows = study[np.isclose(study["sharpness"], _SHARPNESS)]
    rows = rows[(rows[biases] == 0).any(axis=1)]
    if rows.empty:
        has = ", ".join(style.numbers(sorted(set(study["sharpness"]))))
        raise UserError(f"recovery study: no respondent of sharpness {_SHARPNESS}; it has {has}")
    bias = np.where(rows["position_bias"] != 0, "position", "none")
    bias = np.where(rows["label_bias"] != 0, "label", bias)
    rows = rows.assign(bias=bias, nats=rows[biases].abs().sum(axis=1))
    truth = ["utility_angle", "sharpness", "lapse", "bias", "nats"]
    rows = rows[[*truth, *_COLUMNS]].rename(columns=_COLUMNS)
    rows = rows.melt(truth, var_name="stage", value_name="measured").assign(part="respondent")
    rows = rows[(rows["bias"] != "none") | (rows["stage"] == "unbiased")]
    steps = steps[["low", "high", "angle"]].rename(columns={"angle": "measured"})
    columns = ["part", *truth, "stage", "low", "high", "measured"]
    return stack(steps.assign(part="step"), rows)[columns]


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw measured against true angle; the stairs of ideal respondents show the resolution."""
    rows = part(table, "respondent", "the recovery study")
    lapses = sorted(set(rows["lapse"]))
    biases = [bias for bias in _BIASES if bias in set(rows["bias"])]
    figure = style.new_figure(0.95 + 1.95 * len(lapses))
    panels = style.panels(figure, len(lapses) * len(biases), len(biases))
    for axes, (lapse, bias) in zip(panels, product(lapses, biases), strict=True):
        panel = rows[(rows["lapse"] == lapse) & (rows["bias"] == bias)]
        _stages(axes, part(table, "step").sort_values("low"), panel, f"{bias} {lapse:g}")
        nats = panel["nats"].max() if len(panel) else 0
        title = "no bias" if bias == "none" else f"{bias} bias, {nats:g} nats"
        axes.set_title(f"{title}\n{100 * lapse:.0f}% lapses", fontweight="normal", fontsize=8)
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


def _stages(axes: Axes, stairs: pd.DataFrame, rows: pd.DataFrame, name: str) -> None:
    """Draw the staircase of ideal respondents, and a line for each stage of the rows."""
    edges = stairs[["low", "high"]].to_numpy(float).ravel()
    axes.plot(edges, np.repeat(stairs["measured"], 2), gid="ideal", **_STAIRS)
    for stage, (_, look) in _STAGES.items():
        line = rows[rows["stage"] == stage].sort_values("utility_angle")
        if len(line):
            axes.plot(line["utility_angle"], line["measured"], gid=f"{stage} {name}", **look)
