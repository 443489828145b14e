"""Scores a study that does not fit in memory: part by part, here or on a Dask cluster.

Reads the run's parquet files by row groups and writes one in the order of the conditions; no
process ever holds more than a few parts. The rules are `scoring`'s and `svo`'s alone.

Public names: score, part_scores, PART.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hvae_utils import cluster, factors, instruments, scoring, svo

if TYPE_CHECKING:
    from distributed import Client

PART = 10_000  # conditions scored at once: some ten megabytes
AHEAD = 2  # parts under way for each worker
OPTIONS = [f"p{option}" for option in range(1, 10)]
NEEDED = ["condition_id", "item", "option", *OPTIONS]


def score(
    conditions: Path, responses: Path, out: Path, scheduler: str = "", part: int = PART
) -> int:
    """Write the scores of a study to `out`; return how many administrations it has.

    conditions, responses: parquet files as the notebooks write them, responses in the order of
    the conditions; scheduler: as in cluster.connect, "" for this process; part: conditions a part.
    Columns: as `part_scores`. `out` appears when it is whole. A cluster's workers must see the
    files under the same paths.
    Raises UserError where the files do not belong together, and as cluster.connect.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    new = out.with_name(f".{out.name}.new")
    rows, writer = 0, None
    try:
        for scores in _scored(list(_parts(conditions, responses, part)), scheduler):
            table = pa.Table.from_pandas(scores, preserve_index=False)
            writer = writer or pq.ParquetWriter(new, table.schema)
            writer.write_table(table.cast(writer.schema))
            rows += len(scores)
    finally:
        if writer is not None:
            writer.close()
    os.replace(new, out)
    return rows


def part_scores(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return scoring.administrations with the exact distribution of each angle, one row each.

    Adds expected_angle and expected_sd (degrees, svo.angle_distribution of the response
    probabilities), NaN where an item has none and in a conversation, whose items are dependent.
    """
    scores = scoring.administrations(conditions, responses)
    found = {
        name: _expected(table[OPTIONS].to_numpy(float), instrument)
        for (name, instrument), table in responses.merge(
            conditions.loc[conditions["protocol"] == "independent", ["condition_id", "instrument"]],
            on="condition_id",
        ).groupby(["condition_id", "instrument"], sort=False)
    }
    pairs = [found.get(name, (np.nan, np.nan)) for name in scores["condition_id"]]
    scores[["expected_angle", "expected_sd"]] = np.array(pairs, float).reshape(-1, 2)
    return scores


def _expected(probabilities: np.ndarray, instrument: str) -> tuple[float, float]:
    if np.isnan(probabilities).any():
        return np.nan, np.nan
    angles = svo.angle_distribution(probabilities, instruments.load(instrument))
    return angles.mean, angles.sd


def _parts(conditions: Path, responses: Path, size: int) -> Iterator[tuple[Any, ...]]:
    """Yield (file, first row, end) of conditions and of the responses to them, part by part."""
    import pyarrow.parquet as pq

    column = pq.read_table(conditions, columns=["instrument"])["instrument"].to_pandas()
    items = column.map({name: len(instruments.load(name).items) for name in column.unique()})
    before = np.append(0, items.cumsum())
    for start in range(0, len(items), size):
        end = min(start + size, len(items))
        yield conditions, start, end, responses, int(before[start]), int(before[end])


def _score_part(part: tuple[Any, ...]) -> pd.DataFrame:
    """Score one part; that its responses are those of its conditions is checked by `scoring`."""
    conditions, start, end, responses, first, last = part
    asked = _rows(conditions, start, end, ["condition_id", *factors.FACTORS, "goal", "instrument"])
    return part_scores(asked, _rows(responses, first, last, NEEDED))


def _rows(path: Path, start: int, end: int, columns: list[str]) -> pd.DataFrame:
    """Return rows start to end of a parquet file, reading no row group that has none of them."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        edges = np.append(0, np.cumsum(sizes))
        groups = np.flatnonzero((edges[:-1] < end) & (edges[1:] > start)).tolist()
        if not groups:
            return file.schema_arrow.empty_table().select(columns).to_pandas()
        table = file.read_row_groups(groups, columns=columns)
        return table.slice(start - edges[groups[0]], end - start).to_pandas()


def _scored(parts: list[tuple[Any, ...]], scheduler: str) -> Iterator[pd.DataFrame]:
    """Yield the scores of the parts in their order."""
    if not scheduler:
        yield from map(_score_part, parts)
        return
    with cluster.connect(scheduler) as client:
        yield from _in_order(client, parts)


def _in_order(client: "Client", parts: Iterable[tuple[Any, ...]]) -> Iterator[pd.DataFrame]:
    """Yield results in order with few under way, so that they do not pile up before the writer."""
    ahead, underway = AHEAD * len(client.nthreads()), deque()
    for part in parts:
        underway.append(client.submit(_score_part, part, pure=False))
        if len(underway) > ahead:
            yield underway.popleft().result()
    while underway:
        yield underway.popleft().result()
