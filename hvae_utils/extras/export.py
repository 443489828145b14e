"""A finished run -> results for others: Every Eval Ever JSON, schema 0.3.0, one file a model.

The format (EvalEval coalition, MIT) is that of a shared database of evaluation results: where a
number comes from, how the model was asked, the number and its uncertainty. Told are steerability,
identification and value rationality, of the tables of the run. What could not be estimated is left
out, and so are simulated respondents, which are no models. No reply and no path leaves.

Public names: write, documents, SCHEMA.
"""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hvae_utils import __version__, files
from hvae_utils.ask import catalogue
from hvae_utils.ask.urls import on_loopback
from hvae_utils.errors import UserError
from hvae_utils.measure import factors
from hvae_utils.measure.published import full_score
from hvae_utils.play.engine import MAX_TOKENS
from hvae_utils.run.manifest import portable
from hvae_utils.run.run import Run

SCHEMA = "0.3.0"
COLLECTION = "hvae-svo-slider"  # the folder of the database that these results belong to
UNBOUNDED = "Infinity"  # as the schema writes it
HOW = ("wordings", "orders", "labels", "values", "readout", "seed", "replies")  # of the parameters


class Metric(NamedTuple):
    """A number that a table holds: its columns, limits, and what it says."""

    name: str
    low: float | str
    high: float | str
    about: str
    interval: tuple[str, str] | None = None


OF_ARM = (
    Metric("steerability", f"-{UNBOUNDED}", UNBOUNDED, "Slope of the angle on the target of the "
           "assigned value, degrees a degree: 1 follows it all the way, 0 does not move.",
           ("low", "high")),
    Metric("identification", 0.0, 1.0, "How often a judge who knows the respondent would name its "
           "value from one administration; guessing is right once in as many values."),
)  # fmt: skip
OF_VALUE = (
    Metric("vr", f"-{UNBOUNDED}", full_score(), "Value rationality as published: 60 minus the "
           "distance of the mean angle from the value's target, degrees.", ("vr_low", "vr_high")),
    Metric("vr_chance", f"-{UNBOUNDED}", 1.0, "Value rationality corrected for chance: 1 is "
           "perfect, 0 what random answers expect.", ("vr_chance_low", "vr_chance_high")),
)  # fmt: skip


def write(run: Run, out: Path, organization: str = "unknown") -> list[Path]:
    """Write one file a model into `out`, in the folders of the database; return where they are.

    A run that is exported again overwrites its own files. organization: who evaluated. UserError
    for a run that did not finish, was changed since or has no model, and a folder that cannot be
    written.
    """
    if changed := run.changed():
        raise UserError(f"{changed[0]} of run '{run.name}' was changed since; reproduce it again")
    written = []
    for document in documents(run, organization, time.time()):
        developer, _, model = document["model_info"]["id"].partition("/")
        folder = out / "data" / COLLECTION / _folder(developer) / _folder(model)
        digest = hashlib.sha256(document["evaluation_id"].encode()).digest()
        written.append(folder / f"{uuid.UUID(bytes=digest[:16], version=4)}.json")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise files.unwritable(folder, fault) from None
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        files.write_atomically(written[-1], text + "\n")
    if not written:
        raise UserError(f"run '{run.name}' holds simulated respondents only; there is no model")
    return written


def documents(run: Run, organization: str, created: float) -> Iterator[dict[str, Any]]:
    """Yield the aggregate document of each model of a finished run; created: Unix time."""
    made_of = run.manifest
    finished = datetime.fromisoformat(made_of["finished"]).timestamp()
    for name in run.steerability["model"].unique():
        if name.startswith("reference/"):
            continue
        model, deliberation = factors.model_of(name)
        shown = factors.respondent(portable(model), deliberation)
        results = [*_results(run, name)]
        for result in results:
            result["generation_config"] = _asked(run, name, made_of["parameters"])
        yield {
            "schema_version": SCHEMA,
            "evaluation_id": f"{COLLECTION}/{shown}/{finished:.0f}",
            "evaluation_timestamp": made_of["finished"],
            "retrieved_timestamp": f"{created:.3f}",
            "source_metadata": {
                "source_name": "HVAE workbook",
                "source_type": "evaluation_run",
                "source_organization_name": organization,
                "evaluator_relationship": "third_party",
            },
            "eval_library": {
                "name": "hvae_utils",
                "version": __version__,
                "additional_details": {"revision": str(made_of.get("revision"))},
            },
            "model_info": _model(portable(model), made_of),
            "evaluation_results": results,
        }


def _results(run: Run, name: str) -> Iterator[dict[str, Any]]:
    """Yield the numbers of a respondent that could be estimated."""
    tables = (run.steerability, OF_ARM, ("verdict",)), (run.cells, OF_VALUE, ("flag",))
    for table, metrics, remarks in tables:
        for row in table[table["model"] == name].to_dict("records"):
            for metric in metrics:
                if not pd.isna(row.get(metric.name)):
                    yield _result(row, metric, (*remarks, "method", "note"))


def _result(row: Mapping[str, Any], metric: Metric, remarks: tuple[str, ...]) -> dict[str, Any]:
    """Return one number of one arm, or of one value in it, with its interval where it has one."""
    arm = f"{'with' if row['goal_prompt'] else 'without'}_goal_prompt"
    place = ".".join([arm, *([row["value"]] if "value" in row else [])])
    details = {"score": float(row[metric.name])}
    details["details"] = {key: str(row[key]) for key in remarks if not pd.isna(row.get(key))}
    ends = [row.get(end) for end in metric.interval or ()]
    if ends and not any(map(pd.isna, ends)):
        between = {"lower": float(ends[0]), "upper": float(ends[1]), "confidence_level": 0.95}
        between["method"] = "t interval over wordings"
        count = int(row["wordings"] if "wordings" in row else row["clusters"])
        details["uncertainty"] = {"confidence_interval": between, "num_samples": count}
    return {
        "evaluation_result_id": f"{place}.{metric.name}",
        "evaluation_name": f"hvae.svo_slider.{place}",
        "source_data": {"dataset_name": COLLECTION, "source_type": "other"},
        "metric_config": {
            "evaluation_description": metric.about,
            "metric_id": f"hvae.{metric.name}",
            "metric_name": metric.name,
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": metric.low,
            "max_score": metric.high,
        },
        "score_details": details,
    }


def _asked(run: Run, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a respondent was asked, as the schema has it."""
    conditions = run.conditions[run.conditions["model"] == name]
    responses = run.responses[run.responses["condition_id"].isin(conditions["condition_id"])]
    exact = bool((responses["method"] == "probabilities").any())
    _, deliberation = factors.model_of(name)
    thought = responses.get("thinking_tokens", pd.Series(dtype=float)).fillna(0).gt(0).any()
    told = {key: json.dumps(parameters[key]) for key in HOW if key in parameters}
    return {
        "generation_args": {
            "temperature": parameters.get("temperature"),
            "max_tokens": MAX_TOKENS["readout" if exact else "item"],
            "reasoning": bool(thought) or deliberation not in ("direct", "off"),
        },
        "additional_details": {**told, "deliberation": deliberation},
    }


def _model(name: str, made_of: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a model: its name, who serves it, and on which engine."""
    family, _, model = name.partition("/")
    here, about = "unknown", {}
    if family == "local":
        here = "self_deployed"
        version = str(made_of["versions"].get("xllamacpp"))
        about["inference_engine"] = {"name": "xllamacpp", "version": version}
    elif family == "inspect":
        about["inference_platform"] = model.partition("/")[0]
    elif family in catalogue.read()["servers"]:
        url = catalogue.endpoint(name).url
        here = "self_deployed" if on_loopback(url) else "externally_managed"
        about["inference_platform"] = family
    return {
        "name": name,
        "id": model if family == "inspect" else name,
        **about,
        "additional_details": {
            "deployment_type": here,
            "model_availability": "open_weights" if family == "local" else "unknown",
            "identity": str(made_of["models"].get(name)),
        },
    }


def _folder(name: str) -> str:
    """Return a name as one folder's, on every system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".") or "unknown"
