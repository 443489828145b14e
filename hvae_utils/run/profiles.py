"""Parameter sets: a profile by name, and what `--set KEY=VALUE` changes in it.

The parameters are those of the notebooks' defaults, so a typo or a value of the wrong kind is found
before anything runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hvae_utils import files, paths
from hvae_utils.errors import UserError, brief, unknown
from hvae_utils.play import study

RUN = ("runs", "run_id")  # parameters of the run, not of a profile
HOW = ("concurrency", "budget")  # of the asking, not of what is asked
MOST_IN_FLIGHT = 10_000  # requests at a time that a user may ask for
TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Profile:
    """A named parameter set; publish: whether its figures are the project's published ones."""

    name: str
    title: str
    publish: bool
    parameters: Mapping[str, Any]


def load_profile(name: str, folder: Path = paths.PROFILES) -> Profile:
    """Return the profile of `folder`/NAME.yml; UserError for an unknown name or key."""
    files_by_name = {path.stem: path for path in sorted(folder.glob("*.yml"))}
    if name not in files_by_name:
        raise unknown("profile", name, files_by_name)
    where, content = paths.shown(files_by_name[name]), _yaml(files_by_name[name])
    kinds = {"title": str, "publish": bool, "parameters": dict}
    if not isinstance(content, dict):
        raise UserError(f"{where} must be a mapping with {', '.join(kinds)}")
    for key, value in content.items():
        if key not in kinds:
            raise unknown(f"key in {where}:", key, kinds)
        if not isinstance(value, kinds[key]):
            raise UserError(f"{where}: {key} must be a {kinds[key].__name__}, not {brief(value)}")
    parameters = content.get("parameters", {})
    return Profile(name, content.get("title", name), content.get("publish", False), parameters)


def _yaml(path: Path) -> Any:
    """Return what a profile's file holds; UserError where that is no YAML."""
    import yaml

    text, where = files.read_text(path), paths.shown(path)
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as fault:
        raise UserError(f"{where}, line {fault.problem_mark.line + 1}: {fault.problem}") from None
    except RecursionError:
        raise UserError(f"{where}: lists or mappings are nested too deeply") from None
    except (yaml.YAMLError, ValueError) as fault:  # a control sign; a date or number that is none
        raise UserError(f"{where}: {files.one_line(fault)}") from None


def resolve(
    profile: Profile, overrides: Sequence[str], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return every parameter of the workbook: the notebooks' defaults, the profile, the overrides.

    overrides: texts KEY=VALUE, read as the type of the notebooks' default, so `007` stays text
    where text is wanted; a list is `a,b` or `[a, b]`. Raises UserError for what does not fit.

    >>> resolve(Profile("p", "P", False, {"repeats": 4}), ["repeats=007"], {"repeats": 1})
    {'repeats': 7}
    """
    settable = {key: value for key, value in defaults.items() if key not in RUN}
    chosen = dict(settable)
    for key, value in profile.parameters.items():
        if key not in settable:
            raise unknown(f"parameter in profile {profile.name}:", key, settable)
        chosen[key] = _typed(key, value, settable[key], f"profile {profile.name}")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise UserError(f"--set {override}: wanted KEY=VALUE, for instance repeats=2")
        if key in RUN:
            raise UserError(f"--set {override}: use --{key.replace('_', '-')} for that")
        if key not in settable:
            raise unknown("parameter", key, settable)
        chosen[key] = _typed(key, _from_text(key, text, settable[key]), settable[key], "--set")
    return chosen


def _typed(key: str, value: Any, default: Any, where: str) -> Any:
    """Return `value` if it is of the kind of `default`; a lone value for a list becomes a list."""
    if isinstance(default, list):
        items = value if isinstance(value, list) else [value]
        return [_typed(key, item, default[0], where) for item in items] if default else items
    kind = type(default)
    if kind is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if default is not None and type(value) is not kind:
        raise UserError(f"{where}: {key} is {brief(value)}; wanted {KINDS.get(kind, kind)}")
    return value


def _from_text(key: str, text: str, default: Any) -> Any:
    """Return what `text` says, of the kind of `default`; else the text, which `_typed` refuses."""
    if isinstance(default, list):
        items = study.listed(f"--set {key}", text)
        return [_from_text(key, item, default[0]) for item in items] if default else items
    try:
        if isinstance(default, bool):
            return TRUTH[text.strip().lower()]
        if isinstance(default, int | float) and text.isascii() and "_" not in text:
            return type(default)(text)
    except (KeyError, ValueError):
        pass
    return text


def check(parameters: Mapping[str, Any]) -> None:
    """Raise UserError where any of the notebooks' parameters is wrong; looks at no model."""
    from hvae_utils.measure import instruments, svo
    from hvae_utils.play import games, players, probes

    main = study.of_parameters(parameters)
    svo.check_angle(instruments.load(main.instrument))
    isomorphs, values = parameters.get("isomorphs", ()), parameters.get("probe_values", ())
    probes.check(isomorphs, main.models, values, main.wordings[0])
    if parameters.get("games"):
        games.check(study.conditions(main), games.of_parameters(parameters))
    in_flight = parameters.get("concurrency", 0)
    study.check_number("concurrency", in_flight, 0, MOST_IN_FLIGHT, whole=True)
    players.require(parameters.get("budget", ""))
