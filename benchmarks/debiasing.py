"""What averaging over option orders gives back, for respondents whose truth is known.

    python -m benchmarks.debiasing [--write]

Prints mean angles of simulated respondents with a bias, exactly computed: the truth, the fixed
order alone, averages of probabilities and of log-probabilities over two and over nine orders, the
minimum over nine, and the mechanism that is found. The bias is 3 nats across the nine positions or
labels, or the first position in 30% of the answers. --write puts the table into docs/debiasing.md.
"""

import argparse
import platform
from itertools import product

import numpy as np
import pandas as pd

from hvae_utils import paths
from hvae_utils.metrics import recovery

RESPONDENTS = {  # sharpness in nats per coin, lapse rate
    "nearly ideal": (2.0, 0.0),
    "soft": (0.1, 0.0),
    "5% lapses": (2.0, 0.05),
}
BIASES = {  # position bias in nats, label bias in nats, mixture
    "position": (3.0, (), 0.0),
    "label": (0.0, tuple(np.linspace(0, 3, 9)), 0.0),
    "mixture": (0.0, (), 0.3),
}
UTILITY = {"altruistic": 90.0, "prosocial": 45.0, "individualistic": 0.0, "competitive": -45.0}
MARKS = ("<!-- table -->", "<!-- /table -->")


def table() -> pd.DataFrame:
    """Return one row a respondent and kind of bias; all angles in degrees."""
    rows, truths = [], []
    for value, who, bias in product(UTILITY, RESPONDENTS, BIASES):
        rows.append({"value": value, "respondent": who, "bias": bias})
        truths.append(recovery.Truth(UTILITY[value], *RESPONDENTS[who], *BIASES[bias]))
    columns = ["unbiased", "fixed", "two_probability", "two_logit"]
    columns += ["cyclic_probability", "cyclic_logit", "cyclic_minimum", "mechanism"]
    return pd.DataFrame(rows).join(recovery.study(truths)[columns])


def worst(found: pd.DataFrame) -> pd.DataFrame:
    """Return the largest error of each way of averaging, in degrees, by respondent and bias."""
    errors = found.loc[:, "fixed":"cyclic_minimum"].sub(found["unbiased"], axis=0).abs()
    return errors.groupby([found["respondent"], found["bias"]], sort=False).max().reset_index()


def markdown(table: pd.DataFrame) -> str:
    """Return the table with two decimals as Markdown."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    for row in table.itertuples(index=False):
        cells = [f"{cell:.2f}" if isinstance(cell, float) else cell for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table; with --write also into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write docs/debiasing.md")
    chosen = parser.parse_args()
    found = table()
    machine = f"Exact; Python {platform.python_version()}, numpy {np.__version__}."
    largest = f"Largest errors, degrees:\n\n{markdown(worst(found))}"
    text = f"{markdown(found)}\n\n{largest}\n\n{machine}"
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
