"""The report of a finished run: one HTML file to read, print and hand on.

It holds the question, the findings in sentences, every figure with caption, alternative text and
numbers, the quality of the data and what the run was made of. Everything is read from the run's
folder and nothing is asked, estimated anew or taken from elsewhere, so the same run gives the same
bytes. This module must never show a reply or a path of this machine.

Public names: write.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hvae_utils import paths
from hvae_utils.errors import UserError, unknown
from hvae_utils.files import sha256
from hvae_utils.measure import scoring
from hvae_utils.metrics import rationality
from hvae_utils.run import manifest, report_page, workbook
from hvae_utils.show import findings, style
from hvae_utils.show.names import display_names

SINGLE = "administration"  # `part` of rows that are single administrations
LARGEST_SVG = 500_000  # bytes; above it a figure's PNG is smaller and as good to read
TITLE = "Told to hold a value, does a language model act on it?"
QUESTION = (
    "People hold different values, and an assistant may be asked to decide for any of them. "
    "Heterogeneous value alignment asks whether a model that is told to hold a social value acts "
    "on it, not only talks about it (Zhang et al., arXiv 2305.17147).",
)
METHOD = (
    "Each respondent is assigned a value and answers the six items of the SVO Slider Measure "
    "(Murphy, Ackermann and Handgraaf 2011): nine ways each to share coins between itself and "
    "another. The mean of the six choices, seen from (50, 50), has an angle: 0° counts one's own "
    "coins only, 45° both alike, and below 0° the other's loss is worth something.",
    "Value rationality is 60 minus the distance in degrees between the mean angle and the angle "
    "of the value's ideal respondent; the scale is inferred from the published chart. It is read "
    "beside what random answers score (chance-corrected: 0 is random, 1 ideal) and beside regret "
    "(the share of the value's own utility that the choices kept). A cell counts as beyond chance "
    f"where fewer than {findings.LEVEL:.0%} of random respondents come as close to the target; "
    "cells are judged one by one, so of twenty random ones one is expected to be counted.",
    "An interval also asks what further wordings and draws could do within the range of the "
    "scale. So it is wide where there are few of them, even if all that there are agree.",
)
CELL = ["respondent", "value", "goal_prompt"]
READINGS = {
    **{"mean_angle": "angle", "interval": "95% interval", "vr": "value rationality"},
    **{"vr_random": "random", "vr_chance": "chance-corrected", "p_random": "random as close"},
    **{"vr_regret": "1 − regret", "lapse_rate": "lapse rate", "remarks": "remarks"},
}
QUALITY = {
    **{"covered_mass": "mass on options", "long_enough": "long vectors"},
    **{"transitive": "transitive", "order_disagreement": "orders disagree"},
}


def write(run_id: str = "default", runs: str | Path | None = None, out: Path | None = None) -> Path:
    """Write the report of a finished run and return where it is.

    runs: the folder of runs (default: the project's); out: the file (default: report.html in the
    run's folder), written at once or not at all.
    Raises UserError for a run that is not there or did not finish, for files of it that are
    missing or damaged, and where nothing can be written.
    """
    run = workbook.run_folder(runs, run_id)
    made_of = _manifest(run)
    try:
        text = _page(run, made_of)
    except FileNotFoundError as fault:
        raise UserError(f"run '{run_id}' lacks {Path(fault.filename).name}; run it again") from None
    except (KeyError, ValueError, TypeError, OSError) as fault:
        if isinstance(fault, UserError):
            raise
        raise UserError(f"run '{run_id}' has a damaged file ({fault!r}); run it again") from None
    out = run / "report.html" if out is None else Path(out)
    new = out.with_name(f".{out.name}.new")
    try:
        new.write_text(text, encoding="utf-8", newline="\n")
        os.replace(new, out)
    except OSError as fault:
        new.unlink(missing_ok=True)
        raise UserError(f"cannot write {out}: {fault.strerror}") from None
    return out


def _manifest(run: Path) -> dict[str, Any]:
    if not run.is_dir():
        known = [folder.name for folder in run.parent.glob("*") if folder.is_dir()]
        if not known:
            where = paths.shown(run.parent)
            raise UserError(f"there is no run in {where} yet; hvae reproduce makes one")
        raise unknown(f"run in {paths.shown(run.parent)}", run.name, sorted(known))
    try:
        return manifest.read(run)
    except FileNotFoundError:
        raise UserError(
            f"run '{run.name}' did not finish; continue it with "
            f"hvae reproduce --run-id {run.name} and its profile"
        ) from None
    except OSError as fault:
        raise UserError(f"run '{run.name}': manifest.json cannot be read ({fault})") from None


def _page(run: Path, made_of: Mapping[str, Any]) -> str:
    texts = {"flag": str, "note": str}
    cells = pd.read_csv(
        run / "value_rationality.csv", keep_default_na=False, na_values=[""], dtype=texts
    ).fillna(dict.fromkeys(texts, ""))
    cells.insert(0, "respondent", cells["model"].map(display_names(cells["model"])))
    columns = ["model", "value", "pairs", "difference", "low", "high"]
    effects = pd.read_csv(run / "goal_effects.csv", usecols=columns)
    sections = {
        "In short": "".join(map(report_page.paragraph, findings.in_short(cells))),
        "Question and method": "".join(map(report_page.paragraph, QUESTION + METHOD))
        + report_page.section("Who was asked", report_page.points(findings.who(cells["model"]))),
        "Findings": _findings(cells, effects),
        "Key numbers": _key_numbers(cells),
        "Figures": "".join(_figure(run / "figures", entry) for entry in _figures(run)),
        "Quality of the data": _quality(cells),
        "Every cell": _every_cell(cells),
        "Provenance": _provenance(run, made_of),
    }
    lead = f"Report of the run “{run.name}”, finished {made_of['finished'][:10]}."
    return report_page.page(TITLE, lead, sections, f"HVAE workbook. {lead}")


def _findings(cells: pd.DataFrame, effects: pd.DataFrame) -> str:
    return (
        report_page.points(findings.of_run(cells))
        + report_page.section("Each respondent", report_page.points(findings.of_respondents(cells)))
        + report_page.section(
            "The goal prompt", report_page.points(findings.of_goal_prompts(effects))
        )
    )


def _key_numbers(cells: pd.DataFrame) -> str:
    beyond = rationality.beyond_chance(cells.assign(model=cells["respondent"]))
    sums = cells.groupby("respondent", sort=False)[["administrations", "scored"]].sum()
    told = cells[cells["target"].notna()].groupby("respondent", sort=False)
    means = told[["vr", "vr_random", "vr_chance", "vr_regret", "lapse_rate"]].mean()
    counts = beyond.set_index("model").drop(columns="scored").rename(
        columns={"beyond_chance": "beyond chance", "cells": "cells with a target"}
    )  # fmt: skip
    short = sums.join(counts).join(means.rename(columns=READINGS)).reset_index()
    angles = cells.pivot_table(
        index="respondent", columns="value", values="mean_angle", sort=False, dropna=False
    )
    return report_page.table(
        short, "Each respondent: counts, and means over its cells."
    ) + report_page.table(
        angles.round(1).reset_index(),
        "Mean angle in degrees by assigned value, over the arms with and without goal prompt.",
    )


def _every_cell(cells: pd.DataFrame) -> str:
    ends = zip(cells["angle_low"], cells["angle_high"], strict=True)
    counts = zip(cells["scored"], cells["administrations"], strict=True)
    shown = cells.assign(
        scored=[f"{scored} of {total}" for scored, total in counts],
        interval=[
            "" if pd.isna(low) else f"{low:.1f} to {high:.1f}".replace("-", "−")
            for low, high in ends
        ],
        p_random=cells["p_random"].map(_share),
        remarks=(cells["flag"] + "; " + cells["note"]).str.strip("; "),
    )
    return report_page.table(
        shown[[*CELL, "scored", *READINGS]].rename(columns=READINGS),
        "Each cell: mean angle in degrees with its 95% interval, the readings of value "
        "rationality, and the share of random respondents that come as close to the target. A "
        "dash stands where no number can be given; the remark says why.",
        heads=len(CELL),
    )


def _share(share: float) -> str:
    """Return a share of random respondents; a small one is not shown as none."""
    if pd.isna(share):
        return ""
    return "< 0.001" if share < 0.001 else f"{share:.3f}"


def _quality(cells: pd.DataFrame) -> str:
    groups = cells.groupby("respondent", sort=False)
    ended = groups[["asked", *scoring.OUTCOMES]].sum().reset_index()
    flagged = (cells["flag"] != "").groupby(cells["respondent"], sort=False).sum()
    means = groups[list(QUALITY)].mean().round(3).rename(columns=QUALITY)
    shown = means.assign(cells=groups.size(), flagged=flagged).reset_index()
    return (
        report_page.paragraph(
            "Refusals and unreadable replies are counted, never turned into choices."
        )
        + report_page.table(ended, "Outcomes: how the questions put to each respondent ended.")
        + report_page.table(
            shown,
            "Quality: probability mass on the options, share of vectors as long as in studies "
            "with people, share of transitive answers, disagreement between orders (0 to 1), and "
            "how many cells carry a flag.",
        )
    )


def _figures(run: Path) -> list[dict[str, Any]]:
    entries = style.listed(run / "figures")
    if not entries:
        raise UserError(f"run '{run.name}' has no figure; run its notebooks again")
    return entries


def _figure(folder: Path, entry: Mapping[str, Any]) -> str:
    slug, title = entry["slug"], entry["title"]
    data = pd.read_csv(folder / f"{slug}.csv", keep_default_na=False, na_values=[""])
    if "part" in data:
        data = data[data["part"] != SINGLE]
    if "respondent" in data:
        data = data.drop(columns="model", errors="ignore")
    data = data.dropna(axis="columns", how="all")
    rest = entry["caption"].removeprefix(title).removeprefix(".").strip()
    caption = f"What “{title}” shows, from figures/{slug}.csv."
    numbers = report_page.table(data, caption)
    picture = _picture(folder, slug)
    return report_page.figure(title, rest, entry["alt"], picture, numbers, len(data))


def _picture(folder: Path, slug: str) -> report_page.Picture:
    """Return the drawing, sharp at every size and on paper, or where it is too large its PNG."""
    svg = (folder / f"{slug}.svg").read_bytes()
    if len(svg) <= LARGEST_SVG:
        return report_page.Picture(svg, "image/svg+xml")
    return report_page.Picture((folder / f"{slug}.png").read_bytes(), "image/png")


def _provenance(run: Path, made_of: Mapping[str, Any]) -> str:
    revision = made_of["revision"] or "not under version control"
    dirty = ", with uncommitted changes" if made_of["dirty"] else ""
    changed = [
        name
        for name, known in made_of["outputs"].items()
        if not (run / name).is_file() or sha256(run / name) != known
    ]
    facts = {
        "Profile": made_of["profile"],
        "Changed by hand": ", ".join(made_of["overrides"]) or "nothing",
        "Revision": f"{revision}{dirty}",
        "Lock (SHA-256 of requirements.lock)": made_of["lock_sha256"] or "none",
        "Platform": " ".join(map(str, made_of["platform"].values())),
        "Seeds": ", ".join(f"{name} {value}" for name, value in made_of["seeds"].items()),
        "Started and finished": f"{made_of['started']}, {made_of['finished']}",
        "Seconds spent in the notebooks": f"{sum(made_of['seconds'].values()):.0f}",
        "Files changed since the run finished": ", ".join(changed) or "none",
    }
    parameters = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in made_of["parameters"].items()
        if name != "models"
    }
    return (
        report_page.terms(facts)
        + _named(made_of["models"], "model", "identity", "Models asked.")
        + _named(parameters, "parameter", "value", "Parameters of the study.")
        + _named(made_of["versions"], "package", "version", "Versions of Python and packages.")
    )


def _named(content: Mapping[str, object], name: str, what: str, caption: str) -> str:
    rows = pd.DataFrame({name: list(content), what: list(map(_or_dash, content.values()))})
    return report_page.table(rows, caption)


def _or_dash(value: object) -> str:
    return "" if value is None else str(value)
