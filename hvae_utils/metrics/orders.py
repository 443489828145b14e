"""Position bias: how much it matters in which order the options are shown, and averaging it out.

Works on the response probabilities of a run; administrations that belong together form a group. In
a crossed design they differ in nothing but the order of the options. In a Latin design, where each
wording has an order of its own, they differ in both: what a wording does and what its order does
cannot be told apart in one presentation, and both cancel in the mean over the group, because every
option meets every position once. Rows of a respondent without probabilities are NaN or absent.
Shuffled orders differ by item and are left out; a run that has no others is refused with a
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
_SAME = 1.0  # degrees; bounds whose widths differ by less count as equally narrow
NINE = "these orders do not determine it: ask for latin or cyclic"
SILENT = "no probabilities"


def debiased(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return one row a group of administrations (see above).

    Columns: the factors that the group shares; orders (its presentations of each item), balanced
    (`debias.balanced`), angle_first, angle_probability, angle_logit, angle_minimum (degrees: exact
    mean angles of the first order alone, of averaged probabilities, of averaged log-probabilities
    and of `debias.minimum`), angle_probability_low, angle_probability_high, angle_logit_low,
    angle_logit_high (degrees: outer bounds, whatever options outside the endpoint's list had; equal
    to the angle where all were listed, NaN for an instrument without `svo.options_by_angle`),
    preferred ("probability" where its bounds are narrower, else "logit", which is exact for an
    additive bias; empty without angles), order_disagreement (0 to 1), covered_mass (the least of
    the group's items). Angles are NaN where an item has no probabilities.
    """
    groups = _groups(conditions, responses)
    known = ~np.isnan(groups.table).any(axis=(1, 2, 3))
    answered, floor = groups.table[known], groups.floor[known]
    readings = {
        "angle_first": debias.average_probabilities(answered[:, :, :1]),
        "angle_probability": debias.average_probabilities(answered),
        **_extremes("angle_probability", answered, floor, groups.instrument),
        "angle_logit": debias.average_logits(answered, floor),
        **_extremes("angle_logit", answered, floor, groups.instrument),
        "angle_minimum": debias.minimum(answered, floor),
    }
    rows = groups.factors.assign(
        orders=groups.shown.sum(axis=1),
        balanced=[debias.balanced(groups.orders[shown]) for shown in groups.shown],
    )
    for name, tables in readings.items():
        rows[name] = np.nan
        if known.any() and tables is not None:
            rows.loc[known, name] = svo.mean_angles(tables, groups.instrument)
    widths = [
        rows[f"{name}_high"] - rows[f"{name}_low"] for name in ("angle_probability", "angle_logit")
    ]
    preferred = np.where(widths[0] < widths[1] - _SAME, "probability", "logit")
    return rows.assign(
        preferred=np.where(known, preferred, ""),
        order_disagreement=[debias.order_disagreement(table) for table in groups.table],
        covered_mass=groups.covered_mass,
    )


def disagreement(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the factors that a group shares and order_disagreement (0 to 1), one row a group.

    In a Latin design what the wordings change is in it. No row where all orders were shuffled:
    nothing can be compared.
    """
    if (conditions["order"] == "shuffled").all():
        return conditions[[*factors.CELL]][:0].assign(order_disagreement=np.nan)
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

    Columns: model, labels, position (from 1), bias (nats, summing to 0; no shape is assumed; NaN
    where the orders shown do not determine every position; of position and label together),
    position_part, label_part (nats: what the sets of labels share, and the set's remainder; a
    favour that all labels share at a position is counted as the position's; NaN with one set),
    note (why).
    """
    groups = _groups(conditions, responses)
    bias = debias.position_bias(groups.table, groups.orders, groups.floor)
    table = _by_position(groups, bias, ["model", "labels"], "bias")
    over_sets = table.groupby(["model", "position"], sort=False)["bias"]
    shared, estimated = over_sets.transform("mean"), table["bias"].notna()
    separable = estimated & (over_sets.transform("count") > 1)
    return table.assign(
        position_part=shared.where(separable),
        label_part=(table["bias"] - shared).where(separable),
        note=np.select(
            [separable, estimated], ["", "not separable: one set of labels"], _reason(groups)
        ),
    )


def mechanisms(conditions: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return which mechanism explains the differences between the orders, one row a model.

    Columns: model, answers (presentations used), none, additive, mixture (nats each leaves
    unexplained, `debias.divergences`; every group keeps options of its own, the bias is one over
    all groups of the model), mechanism ("additive", "mixture" or "neither"), evidence (nats),
    note (`debias.mechanism`). NaN and "neither" where the orders do not determine every position or
    nothing has probabilities. In a Latin design the wordings' differences stay in all three.
    """
    groups, rows = _groups(conditions, responses), []
    determined = ~np.isnan(debias.position_bias(groups.table, groups.orders, groups.floor))
    for model, places in groups.factors.groupby("model", sort=False).groups.items():
        used = determined[places].all(axis=-1)
        left, verdict = (
            dict.fromkeys(("none", "additive", "mixture"), np.nan),
            ("neither", np.nan, _reason(groups)),
        )
        if used.any():
            table, floor = groups.table[places][used], groups.floor[places][used]
            left = debias.divergences(table, groups.orders, floor)
            verdict = debias.mechanism(left)
        answers = int(used.sum()) * len(groups.orders)
        rows.append((model, answers, *left.values(), *verdict))
    columns = ["model", "answers", "none", "additive", "mixture", "mechanism", "evidence", "note"]
    return pd.DataFrame(rows, columns=columns)


def _extremes(
    name: str, table: np.ndarray, floor: np.ndarray, instrument: Instrument
) -> dict[str, np.ndarray | None]:
    """Return the tables (groups, items, options) whose mean angles bound the average of that name.

    Of all probabilities between the least and the greatest of each option, those that put as much
    as can be on the options of the greatest angles, and of the least: item by item, as a mean
    angle rises with each item's own angle whatever the other items are.
    """
    order = svo.options_by_angle(instrument)
    if order is None:
        return {f"{name}_low": None, f"{name}_high": None}
    least, greatest = debias.average_range(table, floor, logs=name == "angle_logit")
    tables = {}
    for end, best in (("low", order), ("high", order[:, ::-1])):
        low, high = (np.take_along_axis(x, best[None], axis=-1) for x in (least, greatest))
        others = low[..., ::-1].cumsum(axis=-1)[..., ::-1] - low  # what the rest has at least
        reached = np.minimum(high.cumsum(axis=-1), 1 - others).clip(0, 1)
        filled = np.diff(reached, axis=-1, prepend=0.0).clip(0)
        tables[f"{name}_{end}"] = np.take_along_axis(
            filled, np.argsort(best, axis=1)[None], axis=-1
        )
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
    """The groups of a run: administrations that differ in the presentation of the options only.

    A presentation is an order, or in a Latin design a wording with its order. orders:
    (presentations, positions), the option at each; shown: bool (groups, presentations), which of
    them the group has; factors: one row a group; table: float (groups, items, presentations,
    options), summing to the mass covered, NaN rows where a presentation has no probabilities;
    floor: (groups, items, presentations); covered_mass: (groups,).
    """

    instrument: Instrument
    orders: np.ndarray
    shown: np.ndarray
    factors: pd.DataFrame
    table: np.ndarray
    floor: np.ndarray
    covered_mass: np.ndarray


def _groups(conditions: pd.DataFrame, responses: pd.DataFrame) -> _Groups:
    """Return the groups; shuffled orders differ by item and are left out."""
    needed_columns(conditions, "conditions", ["condition_id", "instrument", *factors.FACTORS])
    needed_columns(responses, "responses", ["condition_id", "item", "order", "covered_mass"])
    asked = conditions[conditions["order"] != "shuffled"]
    if asked.empty:
        raise UserError(
            "conditions: no order to compare; ask for latin, cyclic, fixed or reversed, shuffled "
            "ones differ by item"
        )
    name, *others = asked["instrument"].unique()
    if others:
        raise UserError(f"conditions: '{name}' and '{others[0]}' must be compared one by one")
    instrument = instruments.load(name)
    count = instrument.payoffs.shape[1]
    options = [f"p{option}" for option in range(1, count + 1)]
    needed_columns(responses, "responses", options)
    shown = _presentation(asked)
    shared = [factor for factor in factors.FACTORS if factor not in shown]
    asked = asked.assign(
        group=asked.groupby(shared, sort=False).ngroup(),
        presentation=asked.groupby(shown, sort=False).ngroup(),
    )
    groups = asked.drop_duplicates("group")
    presentations = asked.drop_duplicates("presentation")
    wanted = [groups["group"], instrument.items, presentations["presentation"]]
    wanted = pd.MultiIndex.from_product(wanted, names=["group", "item", "presentation"])
    answers = responses[["condition_id", "item", "covered_mass", *options]].merge(
        asked[["condition_id", "group", "presentation"]], on="condition_id", validate="m:1"
    )
    answers = answers.set_index(wanted.names).reindex(wanted)
    covered = answers["covered_mass"].to_numpy(float).reshape([*map(len, wanted.levels)])
    return _Groups(
        instrument=instrument,
        orders=np.array([factors.option_order(one, 0, count) for one in presentations["order"]]),
        shown=pd.crosstab(asked["group"], asked["presentation"]).to_numpy() > 0,
        factors=groups[shared].reset_index(drop=True),
        table=answers[options].to_numpy(float).reshape(*covered.shape, count),
        floor=np.maximum(1 - np.nan_to_num(covered, nan=1.0), RESOLUTION),
        covered_mass=covered.min(axis=(1, 2)),
    )


def _presentation(asked: pd.DataFrame) -> list[str]:
    """Return the factors that make a presentation: the wording too, unless it is crossed."""
    both = ["wording", "order"]
    crossed = asked["wording"].nunique() * asked["order"].nunique()
    return ["order"] if len(asked[both].drop_duplicates()) == crossed else both


def _reason(groups: _Groups) -> str:
    """Return why a bias is not estimated: the orders, or answers that have no probabilities."""
    even = np.full(groups.orders.shape, 1 / groups.orders.shape[1])
    return NINE if np.isnan(debias.position_bias(even, groups.orders)).any() else SILENT


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
