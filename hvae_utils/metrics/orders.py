"""Position bias: how much it matters in which order the options are shown, and averaging it out.

Works on the first-question response probabilities of a run; administrations that differ in nothing
but the order of the options form a group. Rows of a respondent without probabilities are NaN or
absent. Shuffled orders differ by item and are left out; a run that has no others is refused with a
UserError, as are tables without a column or with probabilities that are none.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hvae_utils.errors import UserError
from hvae_utils.files import needed_columns
from hvae_utils.measure import factors, instruments, svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import debias

# What an option outside the endpoint's list of tokens is taken to have at most: the mass that is
# not covered, and never less than this, the resolution of a list of twenty tokens.
RESOLUTION = 1e-4
GROUP = [name for name in factors.FACTORS if name != "order"]


def debiased(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return one row a group of administrations that differ in the order of the options only.

    Columns: the factors of GROUP; orders (their number), cancels (`debias.cancels`), angle_first,
    angle_probability, angle_logit (degrees: exact mean angles of the first order alone, of averaged
    probabilities and of averaged log-probabilities), angle_logit_low, angle_logit_high (degrees:
    outer bounds of angle_logit, whatever options outside the endpoint's list had; equal to it where
    all were listed, NaN for an instrument without `svo.options_by_angle`), order_disagreement
    (0 to 1), covered_mass (the least of the group's items). Angles are NaN where an item has no
    probabilities.
    """
    groups = _groups(conditions, responses)
    known = ~np.isnan(groups.table).any(axis=(1, 2, 3))
    answered, floor = groups.table[known], groups.floor[known]
    readings = {
        "angle_first": debias.average_probabilities(answered[:, :, :1]),
        "angle_probability": debias.average_probabilities(answered),
        "angle_logit": debias.average_logits(answered, floor),
        **_extremes(answered, floor, groups.instrument),
    }
    rows = groups.factors.assign(orders=len(groups.orders), cancels=debias.cancels(groups.orders))
    for name, tables in readings.items():
        rows[name] = np.nan
        if known.any() and tables is not None:
            rows.loc[known, name] = svo.mean_angles(tables, groups.instrument)
    return rows.assign(
        order_disagreement=[debias.order_disagreement(table) for table in groups.table],
        covered_mass=groups.covered_mass,
    )


def disagreement(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the factors of GROUP and order_disagreement (0 to 1) alone, one row a group.

    No row where all orders were shuffled: nothing can be compared.
    """
    if (conditions["order"] == "shuffled").all():
        return conditions[GROUP][:0].assign(order_disagreement=np.nan)
    groups = _groups(conditions, responses)
    return groups.factors.assign(
        order_disagreement=[debias.order_disagreement(table) for table in groups.table]
    )


def letters(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return how often each position is chosen, and each option once the order is averaged out.

    Columns: model, stage ("as shown": mean probability of each position over all presentations;
    "debiased": of each option in the instrument's own order, log-probabilities averaged over the
    orders), position (from 1), share (0 to 1, sums to 1 over the positions). Items that have no
    probabilities are left out; a model that has none at all gets the shares of its choices as
    shown, and NaN for debiased.
    """
    groups = _groups(conditions, responses)
    even = debias.average_logits(groups.table, groups.floor)  # refuses what is no table
    shown = np.take_along_axis(groups.table, groups.orders[None, None], axis=3)
    shown = (shown / shown.sum(axis=-1, keepdims=True)).mean(axis=2)
    stages = [
        _by_position(groups, shares, ["model"], "share").assign(stage=stage)
        for stage, shares in (("as shown", shown), ("debiased", even))
    ]
    table = pd.concat(stages, ignore_index=True)[["model", "stage", "position", "share"]]
    silent = table["share"].isna() & (table["stage"] == "as shown")
    if silent.any():
        chosen = _chosen_positions(conditions, responses)
        keys = pd.MultiIndex.from_frame(table.loc[silent, ["model", "position"]])
        table.loc[silent, "share"] = chosen.reindex(keys).to_numpy()
    return table


def position_bias(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the estimated additive bias of each position, per model and set of labels.

    Columns: model, labels, assumes ("nothing" with orders that determine every position; "linear in
    the position" with fixed and reversed), position (from 1), bias (nats, summing to 0; NaN where
    the orders shown determine nothing; of position and label together), position_part, label_part
    (nats: what the sets of labels share, and the set's remainder; a favour that all labels share at
    a position is counted as the position's; NaN with one set), note (why).
    """
    groups = _groups(conditions, responses)
    balanced = debias.cancels(groups.orders) == "any"
    bias = debias.position_bias(groups.table, groups.orders, groups.floor)
    table = _by_position(groups, bias, ["model", "labels"], "bias")
    table.insert(2, "assumes", "nothing" if balanced else "linear in the position")
    over_sets = table.groupby(["model", "position"], sort=False)["bias"]
    shared, estimated = over_sets.transform("mean"), table["bias"].notna()
    separable = estimated & (over_sets.transform("count") > 1)
    reason = np.where(estimated, "not separable: one set of labels", "not estimable")
    return table.assign(
        position_part=shared.where(separable),
        label_part=(table["bias"] - shared).where(separable),
        note=np.where(separable, "", reason),
    )


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
    tables = {}
    for name, best in (("angle_logit_low", order), ("angle_logit_high", order[:, ::-1])):
        low, high = (np.take_along_axis(x, best[None], axis=-1) for x in (least, greatest))
        others = low[..., ::-1].cumsum(axis=-1)[..., ::-1] - low  # what the rest has at least
        reached = np.minimum(high.cumsum(axis=-1), 1 - others).clip(0, 1)
        filled = np.diff(reached, axis=-1, prepend=0.0).clip(0)
        tables[name] = np.take_along_axis(filled, np.argsort(best, axis=1)[None], axis=-1)
    return tables


def _chosen_positions(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.Series:
    """Return the share of each position among the choices, by (model, position)."""
    chosen = responses[responses["option"].notna() & (responses["order"] != "shuffled")]
    options = instruments.load(conditions["instrument"].iloc[0]).payoffs.shape[1]
    at = [
        factors.option_order(order, 0, options).index(int(option) - 1) + 1
        for order, option in zip(chosen["order"], chosen["option"], strict=True)
    ]
    models = chosen["condition_id"].map(conditions.set_index("condition_id")["model"])
    counts = pd.crosstab(models, np.array(at), normalize="index")
    return counts.reindex(columns=range(1, options + 1), fill_value=0.0).stack()


@dataclass(frozen=True)
class _Groups:
    """The groups of a run: administrations that differ in the order of the options only.

    orders: (orders, positions), the option at each; factors: one row a group; table: float
    (groups, items, orders, options), summing to the mass covered, NaN rows where a presentation
    has no probabilities; floor: (groups, items, orders); covered_mass: (groups,).
    """

    instrument: Instrument
    orders: np.ndarray
    factors: pd.DataFrame
    table: np.ndarray
    floor: np.ndarray
    covered_mass: np.ndarray


def _groups(conditions: pd.DataFrame, responses: pd.DataFrame) -> _Groups:
    """Return the groups; shuffled orders differ by item and are left out."""
    needed_columns(conditions, "conditions", ["condition_id", "instrument", "order", *GROUP])
    needed_columns(responses, "responses", ["condition_id", "item", "order", "covered_mass"])
    asked = conditions[conditions["order"] != "shuffled"]
    if asked.empty:
        raise UserError(
            "conditions: no order to compare; ask for fixed, reversed or cyclic, shuffled ones "
            "differ by item"
        )
    name, *others = asked["instrument"].unique()
    if others:
        raise UserError(f"conditions: '{name}' and '{others[0]}' must be compared one by one")
    instrument, names = instruments.load(name), asked["order"].unique()
    count = instrument.payoffs.shape[1]
    options = [f"p{option}" for option in range(1, count + 1)]
    needed_columns(responses, "responses", options)
    asked = asked.assign(group=asked.groupby(GROUP, sort=False).ngroup())
    groups, keys = asked.drop_duplicates("group"), ["group", "item", "order"]
    wanted = pd.MultiIndex.from_product([groups["group"], instrument.items, names], names=keys)
    answers = responses[["condition_id", "item", "order", "covered_mass", *options]].merge(
        asked[["condition_id", "group"]], on="condition_id", validate="m:1"
    )
    answers = answers.set_index(keys).reindex(wanted)
    shape = (len(groups), len(instrument.items), len(names))
    covered = answers["covered_mass"].to_numpy(float).reshape(shape)
    mass = np.nan_to_num(covered, nan=1.0)
    listed = answers[options].to_numpy(float).reshape(*shape, -1)
    # Tables of the first version hold shares of the covered mass, later ones what was listed.
    are_shares = np.isclose(listed.sum(axis=-1), 1)
    return _Groups(
        instrument=instrument,
        orders=np.array([factors.option_order(one, 0, count) for one in names]),
        factors=groups[GROUP].reset_index(drop=True),
        table=listed * np.where(are_shares, mass, 1.0)[..., None],
        floor=np.maximum(1 - mass, RESOLUTION),
        covered_mass=covered.min(axis=(1, 2)),
    )


def _by_position(groups: _Groups, numbers: np.ndarray, keys: list[str], name: str) -> pd.DataFrame:
    """Return keys, position (from 1) and the mean of numbers (groups, items, options) over items.

    Items that are NaN are left out.
    """
    of_item = groups.factors.loc[groups.factors.index.repeat(numbers.shape[1]), keys]
    flat = pd.DataFrame(numbers.reshape(-1, numbers.shape[-1]), of_item.index)
    means = flat.groupby([of_item[key].to_numpy() for key in keys], sort=False).mean()
    means.columns = pd.RangeIndex(1, numbers.shape[-1] + 1, name="position")
    means.index = means.index.set_names(keys)
    return means.T.unstack().rename(name).reset_index()
