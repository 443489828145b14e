"""What averaging over option orders gives back, for respondents whose truth is known.

    python -m benchmarks.debiasing [--write]

Prints mean angles of simulated respondents with an additive bias of 3 nats across the nine slots,
exactly computed: the truth, the fixed order alone, and averages of probabilities and of
log-probabilities over two and over nine orders. --write puts the table into docs/debiasing.md.
"""

import argparse
import platform

import numpy as np
import pandas as pd

from hvae_utils import paths
from hvae_utils.metrics import recovery

SHARP, SOFT = 2.0, 0.1  # nats per coin: nearly ideal, and soft
UTILITY = {"altruistic": 90.0, "prosocial": 45.0, "individualistic": 0.0, "competitive": -45.0}
MARKS = ("<!-- table -->", "<!-- /table -->")


def table() -> pd.DataFrame:
    """Return one row a respondent and kind of bias; all angles in degrees."""
    rows = []
    for name, angle in UTILITY.items():
        for kind, sharpness in (("nearly ideal", SHARP), ("soft", SOFT)):
            for bias in ("position", "label"):
                label = tuple(np.linspace(0, 3, 9)) if bias == "label" else ()
                nats = 3.0 if bias == "position" else 0.0
                truth = recovery.Truth(angle, sharpness, 0.0, nats, label)
                (found,) = recovery.study([truth]).to_dict("records")
                rows.append({"value": name, "respondent": kind, "bias": bias} | found)
    columns = ["unbiased", "fixed", "two_probability", "two_logit"]
    columns += ["cyclic_probability", "cyclic_logit"]
    return pd.DataFrame(rows)[["value", "respondent", "bias", *columns]]


def worst(found: pd.DataFrame) -> pd.Series:
    """Return the largest error of each way of averaging, in degrees."""
    return found.iloc[:, 4:].sub(found["unbiased"], axis=0).abs().max()


def main() -> None:
    """Print the table; with --write also into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write docs/debiasing.md")
    chosen = parser.parse_args()
    found = table()
    lines = ["| " + " | ".join(found.columns) + " |", "|" + "---|" * len(found.columns)]
    for row in found.itertuples(index=False):
        cells = [f"{cell:.2f}" if isinstance(cell, float) else cell for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    errors = ", ".join(f"{name} {error:.2f}" for name, error in worst(found).items())
    machine = f"Python {platform.python_version()}, numpy {np.__version__}"
    text = "\n".join([*lines, "", f"Largest errors in degrees: {errors}. Exact; {machine}."])
    print(text)
    if chosen.write:
        path = paths.ROOT / "docs" / "debiasing.md"
        page = path.read_text(encoding="utf-8")
        before, rest = page.split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        page = f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}"
        path.write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
