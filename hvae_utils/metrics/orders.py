"""What the order of the options does to a run: its tables with the bias in, and with it out.

Works on the first-question response probabilities of a run's responses; administrations that
differ in nothing but the order of the options form a group. A respondent without probabilities
has no place here, and its rows are NaN or absent. The arithmetic is in `debias` and `svo`.
Shuffled orders differ by item and are left out; a run that has no others is refused with a
UserError, as are tables without a column or with probabilities that are none.

Public names: RESOLUTION, debiased, disagreement, letters, position_bias.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.files import needed_columns
from hvae_utils.measure import factors, instruments, scoring, svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import debias

# What an option outside the endpoint's list of tokens is taken to have at most: the mass that is
# not covered, and never less than this, the resolution of a list of twenty tokens.
RESOLUTION = 1e-4
GROUP = [name for name in factors.FACTORS if name != "order"]


def debiased(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return one row a group of administrations that differ in the order of the options only.

    Columns: the factors of GROUP; orders (their number), cancels (which bias averaging over them
    removes, see debias.cancels), angle_first, angle_probability, angle_logit (degrees: exact mean
    angles of the first order alone, of averaged probabilities and of averaged log-probabilities),
    angle_logit_low, angle_logit_high (degrees: outer bounds of angle_logit, whatever options
    outside the endpoint's list had, up to the rounding of `svo.options_by_angle`; equal to it where
    all options were listed, NaN for an instrument without such an order),
    order_disagreement (0 to 1), covered_mass (the least of the group's items). Angles are NaN
    where an item has no probabilities.
    """
    found = []
    for batch in _batches(conditions, responses):
        known = ~np.isnan(batch.table).any(axis=(1, 2, 3))
        answered = batch.table[known]
        readings = {
            "angle_first": debias.average_probabilities(answered[:, :, :1]),
            "angle_probability": debias.average_probabilities(answered),
            "angle_logit": debias.average_logits(answered, batch.floor[known]),
            **_extremes(answered, batch.floor[known], batch.instrument),
        }
        rows = batch.factors.assign(orders=len(batch.names), cancels=debias.cancels(batch.orders))
        for name, tables in readings.items():
            rows[name] = np.nan
            if known.any() and tables is not None:
                rows.loc[known, name] = svo.mean_angles(tables, batch.instrument)
        rows["order_disagreement"] = _disagreement(batch)
        found.append(rows.assign(covered_mass=batch.covered_mass))
    return pd.concat(found, ignore_index=True)


def disagreement(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the factors of GROUP and order_disagreement (0 to 1) alone, one row a group.

    No row where all orders were shuffled: nothing can be compared.
    """
    if (conditions["order"] == "shuffled").all():
        return conditions[GROUP][:0].assign(order_disagreement=np.nan)
    found = [
        batch.factors.assign(order_disagreement=_disagreement(batch))
        for batch in _batches(conditions, responses)
    ]
    return pd.concat(found, ignore_index=True)


def letters(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return how often each position is chosen, and each option once the order is averaged out.

    Columns: model, stage ("as shown": mean probability of each position over all presentations;
    "debiased": of each option in the instrument's own order, log-probabilities averaged over the
    orders), position (from 1), share (0 to 1, sums to 1 over the positions). Items that have no
    probabilities are left out; a model that has none at all gets the shares of its choices as
    shown, and NaN for debiased. A respondent that weighs payoffs need not be uniform in either; one
    that has a favourite position is the same in every item as shown and flatter once debiased.
    """
    found = []
    for batch in _batches(conditions, responses):
        even = debias.average_logits(batch.table, batch.floor)  # refuses what is no table
        shown = np.take_along_axis(batch.table, batch.orders[None, None], axis=3)
        shown = shown / shown.sum(axis=-1, keepdims=True)
        stages = {"as shown": shown.mean(axis=2), "debiased": even}
        for stage, shares in stages.items():
            found += _by_model(batch, shares, "share", stage=stage)
    table = _mean_over_batches(found, "share", ["model", "stage", "position"])
    silent = table["share"].isna() & (table["stage"] == "as shown")
    if silent.any():
        chosen = _chosen_positions(conditions, responses)
        keys = pd.MultiIndex.from_frame(table.loc[silent, ["model", "position"]])
        table.loc[silent, "share"] = chosen.reindex(keys).to_numpy()
    return table


def _extremes(
    table: np.ndarray, floor: np.ndarray, instrument: Instrument
) -> dict[str, np.ndarray | None]:
    """Return the tables (groups, items, options) whose mean angles bound that of the averages.

    Of all probabilities between the least and the greatest of each option, those that put as much
    as can be on the options of the greatest angles, and of the least: item by item, as a mean
    angle rises with each item's own angle whatever the other items are.
    """
    order = svo.options_by_angle(instrument)
    if order is None:
        return {"angle_logit_low": None, "angle_logit_high": None}
    least, greatest = debias.average_range(table, floor)
    found = {}
    for name, best in (("angle_logit_low", order), ("angle_logit_high", order[:, ::-1])):
        low, high = (np.take_along_axis(x, best[None], axis=-1) for x in (least, greatest))
        others = low[..., ::-1].cumsum(axis=-1)[..., ::-1] - low  # what the rest has at least
        reached = np.minimum(high.cumsum(axis=-1), 1 - others).clip(0, 1)
        filled = np.diff(reached, axis=-1, prepend=0.0).clip(0)
        found[name] = np.take_along_axis(filled, np.argsort(best, axis=1)[None], axis=-1)
    return found


def _chosen_positions(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.Series:
    """Return the share of each position among the choices, by (model, position)."""
    made = responses[responses["option"].notna() & (responses["order"] != "shuffled")]
    asked = conditions.set_index("condition_id")
    sizes = made["condition_id"].map(asked["instrument"]).map(_options).astype(int)
    slot = [
        factors.option_order(name, 0, size).index(option - 1) + 1
        for name, option, size in zip(made["order"], made["option"].astype(int), sizes, strict=True)
    ]
    models = made["condition_id"].map(asked["model"])
    counts = pd.crosstab(models, np.array(slot), normalize="index")
    most = max(map(_options, conditions["instrument"].unique()))
    return counts.reindex(columns=range(1, most + 1), fill_value=0.0).stack()


def _options(instrument: str) -> int:
    """Return how many options an item of the named instrument has."""
    return instruments.load(instrument).payoffs.shape[1]


def position_bias(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the estimated additive bias of each position, per model and set of labels.

    Columns: model, labels, assumes ("nothing" with orders that determine every position; "linear in
    the position" with fixed and reversed), position (from 1), bias (nats, summing to 0; NaN where
    the orders shown determine nothing), position_part, label_part, note. A label keeps its
    position, so bias is the two together. Over several sets of labels it is split: position_part
    (nats) is what the sets share, the mean of their biases, label_part the set's remainder. This
    takes the labels at each position to have no bias of their own on average over the sets: a
    favour that all sets' labels share there is counted as the position's. With one set, or none
    with a bias, both are NaN and note says why.
    """
    found = []
    for batch in _batches(conditions, responses):
        linear = debias.cancels(batch.orders) != "any"
        assumes = "linear in the position" if linear else "nothing"
        bias = debias.position_bias(batch.table, batch.orders, floor=batch.floor, linear=linear)
        found += _by_model(batch, bias, "bias", assumes=assumes)
    table = _mean_over_batches(found, "bias", ["model", "labels", "assumes", "position"])
    return table.join(_split(table))


def _split(table: pd.DataFrame) -> pd.DataFrame:
    """Return position_part, label_part and note for each row of biases."""
    alike = table.groupby(["model", "assumes", "position"], sort=False)["bias"]
    sets, shared = alike.transform("count"), alike.transform("mean")
    told = (sets > 1) & table["bias"].notna()
    note = np.where(table["bias"].isna(), "not estimable", "not separable: one set of labels")
    return pd.DataFrame(
        {
            "position_part": shared.where(told),
            "label_part": (table["bias"] - shared).where(told),
            "note": np.where(told, "", note),
        }
    )


@dataclass(frozen=True)
class _Batch:
    """Groups that were shown in the same orders.

    factors: one row a group; table: float (groups, items, orders, options), summing to the mass
    covered, NaN rows where a presentation has no probabilities; floor: (groups, items, orders);
    covered_mass: (groups,).
    """

    names: tuple[str, ...]
    instrument: Instrument
    factors: pd.DataFrame
    table: np.ndarray
    floor: np.ndarray
    covered_mass: np.ndarray

    @property
    def orders(self) -> np.ndarray:
        """Return (orders, slots): the option shown at each position."""
        options = self.table.shape[-1]
        return np.array([factors.option_order(name, 0, options) for name in self.names])


def _batches(conditions: pd.DataFrame, responses: pd.DataFrame) -> Iterator[_Batch]:
    """Yield the groups by what they were shown; shuffled orders differ by item and are left out."""
    needed_columns(conditions, "conditions", ["condition_id", "instrument", "order", *GROUP])
    needed_columns(responses, "responses", ["condition_id", "item", "order", "covered_mass"])
    told = conditions[conditions["order"] != "shuffled"]
    if told.empty:
        raise UserError(
            "conditions: no order to compare; ask for fixed, reversed or cyclic, shuffled ones "
            "differ by item"
        )
    told = told.assign(group=told.groupby(GROUP, sort=False).ngroup())
    shown = told.groupby("group")["order"].agg(tuple)
    kinds = told["group"].map(shown)
    for (name, names), kind in told.groupby(["instrument", kinds], sort=False):
        instrument = instruments.load(name)
        factors = kind.drop_duplicates("group")
        options = [f"p{option}" for option in range(1, _options(name) + 1)]
        needed_columns(responses, "responses", options)
        wanted = pd.MultiIndex.from_product(
            [factors["group"], instrument.items, names], names=["group", "item", "order"]
        )
        keyed = responses[["condition_id", "item", "order", "covered_mass", *options]].merge(
            kind[["condition_id", "group"]], on="condition_id", validate="m:1"
        )
        keyed = keyed.set_index(["group", "item", "order"]).reindex(wanted)
        shape = (len(factors), len(instrument.items), len(names))
        covered = keyed["covered_mass"].to_numpy(float).reshape(shape)
        mass = np.nan_to_num(covered, nan=1.0)
        yield _Batch(
            names=names,
            instrument=instrument,
            factors=factors[GROUP].reset_index(drop=True),
            table=scoring.option_probabilities(keyed, len(options)).reshape(*shape, -1),
            floor=np.maximum(1 - mass, RESOLUTION),
            covered_mass=covered.min(axis=(1, 2)),
        )


def _by_model(batch: _Batch, values: np.ndarray, name: str, **what: str) -> list[pd.DataFrame]:
    """Return sums and counts over the known items, one table a model; values: (…, options)."""
    found = []
    groups = batch.factors.groupby(["model", "labels"], sort=False).groups
    for (model, labels), rows in groups.items():
        mine = values[np.asarray(rows)].reshape(-1, values.shape[-1])
        known = mine[~np.isnan(mine).any(axis=1)]
        positions = range(1, values.shape[-1] + 1)
        found.append(
            pd.DataFrame({"model": model, "labels": labels, **what, "position": positions})
            .assign(count=len(known))
            .assign(**{name: known.sum(axis=0)})
        )
    return found


def _mean_over_batches(found: list[pd.DataFrame], name: str, keys: list[str]) -> pd.DataFrame:
    summed = pd.concat(found).groupby(keys, sort=False)[[name, "count"]].sum().reset_index()
    summed[name] = summed[name] / summed["count"].where(summed["count"] > 0)
    return summed[[*keys, name]]


def _disagreement(batch: _Batch) -> list[float]:
    return [debias.order_disagreement(table) for table in batch.table]
