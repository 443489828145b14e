"""The house keeps its floors: who imports whom, how long a module is, what a file may not say."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hvae_utils

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hvae_utils"
MODULES = {path.stem: path for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
BESIDE_THE_STAIRS = {"errors", "paths", "files"}


def floors():
    """Return module -> floor, read from the table in the package's docstring."""
    rows = re.findall(r"^(\d) \w+ +(.+)$", hvae_utils.__doc__, flags=re.MULTILINE)
    return {module.strip(): int(floor) for floor, names in rows for module in names.split(",")}


def imports(path):
    """Return the dotted names a file imports, lazily or not: `from a import b` gives `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = ".".join(filter(None, ["hvae_utils" if node.level else "", node.module]))
            found.update(f"{source}.{name.name}" for name in node.names)
    return found


def on_floor(number):
    """Return the modules of one floor, name -> file."""
    return {name: path for name, path in MODULES.items() if floors().get(name) == number}


def own(path):
    """Return the modules of the package that a file imports."""
    parts = [name.split(".") for name in imports(path)]
    return {name[1] for name in parts if name[0] == "hvae_utils" and len(name) > 1} & set(MODULES)


def others(path):
    """Return the top-level packages a file imports, without our own and the standard library."""
    return {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"hvae_utils"}


def test_the_docstring_lists_every_module_once_and_no_other():
    rows = re.findall(r"^\d \w+ +(.+)$", hvae_utils.__doc__, flags=re.MULTILINE)
    listed = [name.strip() for names in rows for name in names.split(",")]
    assert sorted(listed) == sorted(set(MODULES) - BESIDE_THE_STAIRS)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_from_its_own_floor_or_below(module):
    if module in BESIDE_THE_STAIRS:
        assert own(MODULES[module]) <= BESIDE_THE_STAIRS
        return
    below = {name for name, floor in floors().items() if floor <= floors().get(module, 0)}
    assert own(MODULES[module]) <= below | BESIDE_THE_STAIRS


def test_the_measuring_floor_needs_nothing_but_numpy_pandas_and_scipy():
    for module, path in on_floor(1).items():
        assert others(path) <= {"numpy", "pandas", "scipy"}, module


def test_what_draws_never_talks_to_a_model():
    for module, path in on_floor(4).items():
        assert not own(path) & {"chat", "local", "models", "play"}, module
        assert not others(path) & {"openai", "pycurl", "httpx", "xllamacpp"}, module


def test_the_package_imports_only_what_pyproject_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["dask"]]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    known_as = packages_distributions()
    for module, path in MODULES.items():
        for name in others(path):
            brought_by = {canonicalize_name(package) for package in known_as.get(name, [name])}
            assert brought_by & declared, f"{module} imports {name}"


@pytest.mark.parametrize("module", ["__init__", *sorted(MODULES)])
def test_a_module_has_fewer_than_400_lines(module):
    lines = (PACKAGE / f"{module}.py").read_text(encoding="utf-8").count("\n")
    assert lines < 400


def test_importing_the_package_is_light():
    code = (
        "import json, sys, time; start = time.perf_counter(); import hvae_utils;"
        "print(json.dumps([time.perf_counter() - start, sorted(sys.modules)]))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    runs = [
        json.loads(subprocess.check_output([sys.executable, "-c", code], env=environment))
        for _ in range(3)
    ]
    assert min(seconds for seconds, _ in runs) < 0.3
    assert not set(runs[0][1]) & {"openai", "papermill", "matplotlib", "pandas", "numpy"}


# Each pattern has a bracket where the text it looks for has none, so that it does not find itself.
FORBIDDEN = {
    "a path of somebody's machine": (
        r"(?<![\w.])/(?:wor[k]|roo[t]|tm[p]|far[m]|hom[e]/\w+|User[s]/\w+)/|[A-Z]:\\+User[s]"
    ),
    "a package registry": (
        r"(?i)pyp[i][.]org|pythonhoste[d]|npmj[s][.]|debia[n][.]org|anacond[a][.](?:org|com)"
        r"|index-ur[l]|find-link[s]"
    ),
    "a secret": r"\bsk-[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{30,}",
}


def _is_cache(path):
    hidden = len(path.parts) > 1 and path.parts[0].startswith(".") and path.parts[0] != ".ci"
    return hidden or path.parts[0] == "runs" or "__pycache__" in path.parts


def files():
    """Return the files under version control or about to be; in a bare copy, all but the caches."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if (ROOT / ".git").exists() and listing.returncode == 0:
        found = {ROOT / name for name in listing.stdout.split("\0") if name}
    else:
        found = {path for path in ROOT.rglob("*") if not _is_cache(path.relative_to(ROOT))}
    return sorted(path for path in found if path.is_file())


def test_no_file_names_a_machine_a_registry_or_a_secret():
    found = []
    for path in files():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for what, pattern in FORBIDDEN.items():
            if hit := re.search(pattern, content.decode("utf-8", errors="replace")):
                found.append(f"{path.relative_to(ROOT)}: {what}: {hit[0]!r}")
    assert not found


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a path of somebody's machine", "saved in /" + "home/ada/runs"),
        ("a path of somebody's machine", '"/' + 'tmp/x.csv"'),
        ("a package registry", "https://files.python" + "hosted.org/"),
        ("a secret", "key = sk-" + "a" * 24),
    ],
)
def test_the_guard_finds_what_it_is_for(what, text):
    assert re.search(FORBIDDEN[what], text)
