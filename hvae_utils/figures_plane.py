"""Figures in the payoff plane: coins for oneself to the right, coins for the other upwards.

Drawn from the tables of `figure_data` and nothing else; nothing is computed here but places on
the page. This module must never estimate, and never talk to a model.

Public names: svo_ring, slider_items.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Wedge
from matplotlib.transforms import ScaledTranslation

from hvae_utils import marks, style
from hvae_utils.errors import UserError

RADIUS = 50.0  # coins: the ring goes through the ideal end points of the items
_RIM = 3.5  # coins: width of the coloured rim
_FAN = 8.0  # points on the page between a shared place and each mark fanned out around it
_SHOWN = (-38.0, 90.0)  # degrees: the part of the ring that is drawn; all answers lie in it


def svo_ring(table: pd.DataFrame) -> Figure:
    """Draw `figure_data.svo_ring`: the ring with its regions, then one ring a respondent.

    Mean points in coins; filled with, hollow without the goal prompt.
    """
    measured = part(table, "measured", "the SVO ring")
    respondents = list(dict.fromkeys(measured["respondent"]))
    with style.context():
        columns = min(4, len(respondents) + 1)
        rows = -(-(len(respondents) + 1) // columns)
        figure = style.new_figure(0.75 + rows * (2.65 if columns > 2 else 4.2))
        key, *others = style.panels(figure, len(respondents) + 1, columns)
        for axes in (key, *others):
            _ring(axes, table)
        style.name_panels([key, *others], ["ideal respondents", *respondents], columns)
        key.tick_params(labelbottom=True)
        _name_regions(key, table)
        for axes, respondent in zip(others, respondents, strict=True):
            _measured(axes, measured[measured["respondent"] == respondent])
            axes.tick_params(labelbottom=True)
        note = style.flag_note(respondents)
        figure.supxlabel("mean coins for oneself" + note, fontsize=8)
        figure.supylabel("mean coins for the other", fontsize=8)
        figure.legend(handles=_ring_legend(measured), loc="outside upper center", ncols=4)
        return style.arranged(figure)


def slider_items(table: pd.DataFrame) -> Figure:
    """Draw `figure_data.slider_items`: the items as segments, and beside them as sliders."""
    options = part(table, "option", "the slider items").astype({"item": int, "option": int})
    with style.context():
        items = list(dict.fromkeys(options["item"]))
        figure = style.new_figure(max(3.5, 0.5 + 0.5 * len(items)))
        plane, sliders = figure.subplots(1, 2, width_ratios=(0.42, 0.58))
        _segments(plane, table, options)
        _sliders(sliders, options, items)
        return style.arranged(figure)


def part(table: pd.DataFrame, name: str, what: str = "") -> pd.DataFrame:
    """Return the rows of one part; with `what`, none is a UserError that says what is missing."""
    if "part" not in table:
        raise UserError(f"{what or name}: the table has no column 'part'; is it of this figure?")
    rows = table[table["part"] == name]
    if what and rows.empty:
        raise UserError(f"{what}: the table has no row '{name}', so there is nothing to draw")
    return rows


def _ring(axes: Axes, table: pd.DataFrame) -> None:
    """Draw what every ring shares: regions, target sets, reachable area, ideals, random."""
    origin = tuple(part(table, "origin")[["self", "other"]].to_numpy(float)[0])
    for region in part(table, "region").itertuples():
        low, high = _clipped(region)
        colour = style.value_look(region.value).colour
        axes.add_patch(Wedge(origin, RADIUS, low, high, fc=colour, alpha=0.10, lw=0))
        axes.add_patch(Wedge(origin, RADIUS + _RIM, low, high, width=_RIM, fc=colour, lw=0))
        for angle in (low, high):
            axes.plot(*_ray(origin, angle, RADIUS + _RIM), color="white", lw=1.2)
    reach = part(table, "reach")[["self", "other"]].to_numpy(float)
    axes.add_patch(Polygon(reach, closed=True, fc="none", ec=style.MUTED, lw=0.7))
    for target in part(table, "target_set").itertuples():
        low, high = target.angle_low, target.angle_high
        if high - low > 1:
            arc = np.radians(np.linspace(low, high, 40))
            radius = RADIUS + _RIM + 1.6
            x, y = origin[0] + radius * np.cos(arc), origin[1] + radius * np.sin(arc)
            axes.plot(x, y, color=style.INK, lw=1.6, solid_capstyle="butt")
    for ideal in part(table, "ideal").itertuples():
        rim = _ray(origin, ideal.angle, RADIUS)[:, 1]
        axes.plot([ideal.self, rim[0]], [ideal.other, rim[1]], color=style.INK, lw=0.7)
        axes.plot(ideal.self, ideal.other, gid=f"ideal {ideal.value}", **_IDEAL)
    random = part(table, "random")
    axes.plot(random["self"], random["other"], gid="random", **marks.RANDOM_POINT)
    axes.plot(*origin, marker="+", color=style.INK, ms=5, mew=0.9)
    axes.set_aspect("equal")
    axes.set_xlim(origin[0] - 4, origin[0] + RADIUS + 8)
    axes.set_ylim(origin[1] - 37, origin[1] + RADIUS + 8)
    axes.set_xticks(origin[0] + np.array([0, 25, 50]))
    axes.set_yticks(origin[1] + np.array([-25, 0, 25, 50]))


_IDEAL = {"marker": "o", "ms": 10, "mfc": "none", "mec": style.INK, "mew": 0.9, "ls": "none"}


def _clipped(region) -> tuple[float, float]:
    low, high = region.angle_low, region.angle_high
    return (
        _SHOWN[0] if np.isnan(low) else max(low, _SHOWN[0]),
        _SHOWN[1] if np.isnan(high) else min(high, _SHOWN[1]),
    )


def _ray(origin: tuple[float, float], angle: float, length: float) -> np.ndarray:
    direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    return np.column_stack([origin, np.array(origin) + length * direction])


def _name_regions(axes: Axes, table: pd.DataFrame) -> None:
    """Write each region's name along its middle, and mark its ideal respondent in its colour."""
    origin = tuple(part(table, "origin")[["self", "other"]].to_numpy(float)[0])
    for region in part(table, "region").itertuples():
        low, high = _clipped(region)
        middle = (low + high) / 2
        end = _ray(origin, middle, 7)[:, 1]
        axes.text(
            *end,
            region.value,
            rotation=middle,
            rotation_mode="anchor",
            va="center",
            fontsize=6.8,
            color=style.INK,
        )
    for ideal in part(table, "ideal").itertuples():
        look = style.value_look(ideal.value)
        axes.plot(ideal.self, ideal.other, marker=look.marker, color=look.colour, ms=5)


def _measured(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw one respondent's cells; values that fall on one place are fanned out around it."""
    found = rows[rows["self"].notna()]
    place = found[["self", "other"]].round(1).apply(tuple, axis=1)
    for (x, y), here in found.groupby(place, sort=False):
        values = list(dict.fromkeys(here["value"]))
        if len(values) > 1:
            axes.plot(x, y, marker="o", ms=2.6, color=style.INK, zorder=3)
        for row in here.itertuples():
            turn = 2 * np.pi * values.index(row.value) / len(values)
            away = _FAN * np.array([np.sin(turn), np.cos(turn)]) * (len(values) > 1)
            stalk = {"arrowstyle": "-", "lw": 0.6, "color": style.INK, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (x, y), away, textcoords="offset points", arrowprops=stalk)
            look, goal = style.value_look(row.value), bool(row.goal_prompt)
            axes.plot(
                row.self,
                row.other,
                marker=look.marker,
                # Hollow marks are larger, so that of two marks on one place both are seen.
                ms=4.4 if goal else 7.4,
                mfc=look.colour if goal else "none",
                mec=look.colour,
                mew=0.6 if goal else 1.1,
                ls="none",
                transform=axes.transData
                + ScaledTranslation(*away / 72, axes.figure.dpi_scale_trans),
                gid=f"measured {row.value} {goal}",
                zorder=4,
            )
    silent = int(rows["self"].isna().sum())
    if silent:
        axes.text(
            0.03,
            0.03,
            f"no angle in\n{silent} of {len(rows)} cells",
            transform=axes.transAxes,
            fontsize=7,
            color=style.INK,
        )


def _ring_legend(measured: pd.DataFrame) -> list[Line2D]:
    def mark(label: str, **look) -> Line2D:
        return Line2D([], [], ls=look.pop("ls", "none"), label=label, **look)

    handles = []
    for value in dict.fromkeys(measured["value"]):
        look = style.value_look(value)
        name = "no value assigned" if value == "none" else value
        handles.append(mark(name, marker=look.marker, color=look.colour, ms=5.5))
    grey = {"marker": "s", "mec": style.MUTED}
    handles.append(mark(style.GOAL[True], mfc=style.MUTED, ms=4.6, **grey))
    handles.append(mark(style.GOAL[False], mfc="none", ms=6.5, **grey))
    handles.append(mark("ideal respondent", **_IDEAL))
    handles.append(mark("angles of ideal respondents", color=style.INK, ls="-", lw=1.6))
    handles.append(mark("random respondent, expected", **marks.RANDOM_POINT))
    shared = {"marker": "o", "ms": 2.6, "lw": 0.6, "ls": "-"}
    handles.append(mark("one place, marks fanned out", color=style.INK, **shared))
    handles.append(mark("reach of the six items", color=style.MUTED, ls="-", lw=0.7))
    return handles


def _segments(axes: Axes, table: pd.DataFrame, options: pd.DataFrame) -> None:
    origin = tuple(part(table, "origin")[["self", "other"]].to_numpy(float)[0])
    circle = np.radians(np.linspace(-55, 100, 200))
    axes.plot(
        origin[0] + RADIUS * np.cos(circle),
        origin[1] + RADIUS * np.sin(circle),
        color=style.FAINT,
        lw=3,
        zorder=0,
    )
    for item, rows in options.groupby("item", sort=False):
        place = rows[["self", "other"]].to_numpy(float)
        axes.plot(*place.T, color=style.MUTED, marker="o", ms=3, lw=1, gid=f"item {item}")
        middle = place[len(place) // 2 + 1 :][:2].mean(axis=0)
        axes.text(*middle, str(item), ha="center", va="center", fontsize=7.5, bbox=_BADGE)
    ends = options[options["end"].notna() & (options["end"] != "")]
    for end in ends.drop_duplicates("end").itertuples():
        look = style.value_look(end.end)
        axes.plot(end.self, end.other, marker=look.marker, color=look.colour, ms=8, ls="none")
        side = end.self > origin[0] + 10
        axes.annotate(
            end.end,
            (end.self, end.other),
            (7 if side else 0, 0 if side else 8),
            textcoords="offset points",
            ha="left" if side else "center",
            va="center" if side else "bottom",
            fontweight="bold",
            fontsize=7.5,
        )
    random = part(table, "random")
    axes.plot(random["self"], random["other"], gid="random", **marks.RANDOM_POINT)
    label = {"textcoords": "offset points", "ha": "center", "va": "top", "fontsize": 7}
    place = random[["self", "other"]].to_numpy(float)[0]
    axes.annotate("random\nchoices", place, (-5, -6), zorder=1, **label)
    axes.plot(*origin, marker="+", color=style.INK, ms=7, ls="none")
    axes.annotate("origin of\nthe angle", origin, (0, -6), **label)
    axes.set_aspect("equal")
    axes.set_xlabel("coins for oneself")
    axes.set_ylabel("coins for the other")


_BADGE = {"boxstyle": "circle,pad=0.12", "fc": "white", "ec": style.MUTED, "lw": 0.7}


def _sliders(axes: Axes, options: pd.DataFrame, items: list) -> None:
    for row, item in enumerate(items):
        rows = options[options["item"] == item]
        axes.plot(rows["option"], [-row] * len(rows), color=style.MUTED, marker="o", ms=3, lw=1)
        for option in rows.itertuples():
            axes.text(option.option, -row + 0.16, f"{option.self:g}", **_COINS, va="bottom")
            axes.text(option.option, -row - 0.18, f"{option.other:g}", **_COINS, va="top")
            if isinstance(option.end, str) and option.end:
                look = style.value_look(option.end)
                axes.plot(option.option, -row, marker=look.marker, color=look.colour, ms=7)
    letters = options.drop_duplicates("option")
    axes.set_xticks(letters["option"].astype(float), letters["letter"])
    axes.set_yticks(-np.arange(len(items)), [f"item {item}" for item in items])
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.set_ylim(-len(items) + 0.45, 0.55)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xlabel("above: coins for oneself, below: coins for the other")


_COINS = {"ha": "center", "fontsize": 7}
