"""Set-up: one set of pins for pip and conda, commands that explain themselves, tests offline."""

import importlib.metadata as metadata
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path

import platformdirs
import platformdirs.macos
import platformdirs.unix
import platformdirs.windows
import pytest
import yaml
from jupyter_server import DEFAULT_JUPYTER_SERVER_PORT as PORT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import hvae_utils
from hvae_utils.__main__ import _parser

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
DIRECT = [
    *RUNTIME,
    *(Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]),
    *(Requirement(line) for line in PYPROJECT["build-system"]["requires"]),
]
DEVCONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
APART = ("tests/browser/requirements.lock", "tests/extras/requirements.lock")
make = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


@cache
def locked(lock="requirements.lock"):
    """Return (requirement, hashes) of every entry of a lock."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    entries = [re.split(r"\s+--hash=", line.strip()) for line in lines]
    return [(Requirement(entry[0]), entry[1:]) for entry in entries]


@cache
def pins():
    """Return name -> versions in the lock, of any platform."""
    found = {}
    for requirement, _ in locked():
        (pin,) = requirement.specifier
        found.setdefault(canonicalize_name(requirement.name), []).append(Version(pin.version))
    return found


# --- pyproject, lock and environment.yml agree ---------------------------------------------------


def test_every_lock_entry_is_one_exact_version_with_hashes():
    assert len(locked()) > len(DIRECT)
    schemas = "tests/extras/schemas.lock"
    entries = [entry for lock in ("requirements.lock", *APART, schemas) for entry in locked(lock)]
    for requirement, hashes in entries:
        assert [pin.operator for pin in requirement.specifier] == ["=="], requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", known) for known in hashes), requirement


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_the_lock_pins_every_direct_dependency_inside_its_range(requirement):
    versions = pins()[canonicalize_name(requirement.name)]
    assert all(requirement.specifier.contains(version) for version in versions)


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_a_direct_dependency_has_a_lower_bound(requirement):
    assert any(bound.operator in (">=", "==", "~=") for bound in requirement.specifier)


def test_the_lock_is_complete_so_that_no_resolver_is_needed():
    todo, seen = [*DIRECT], set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        assert name in pins(), f"{wanted} is not in the lock"
        for extra in {"", *wanted.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            needs = [Requirement(line) for line in metadata.requires(name) or []]
            todo += [n for n in needs if not n.marker or n.marker.evaluate({"extra": extra})]
    assert len({name for name, _ in seen}) > 100


@pytest.mark.parametrize("lock", APART)
def test_what_only_some_tests_need_is_pinned_apart_and_agrees_with_the_lock(lock):
    wanted = (ROOT / lock).with_suffix(".in").read_text(encoding="utf-8").splitlines()
    versions = {r.name: next(iter(r.specifier)).version for r, _ in locked(lock)}
    for requirement in (Requirement(line) for line in wanted if not line.startswith("#")):
        assert requirement.specifier.contains(versions[requirement.name])
    shared = {name: version for name, version in versions.items() if name in pins()}
    assert all(Version(version) in pins()[name] for name, version in shared.items())


def test_what_the_engine_is_compared_with_is_pinned_for_every_machine():
    text = (ROOT / "benchmarks" / "peers.py").read_text(encoding="utf-8")
    inside = re.findall(r"^ +(?:from|import) (\w+)", text, flags=re.MULTILINE)
    wanted = {canonicalize_name(name) for name in inside}  # called as their packages are
    assert {"aiohttp", "inspect-ai", "openai"} < wanted
    extras = {r.name for r, _ in locked("tests/extras/requirements.lock") if not r.marker}
    assert wanted <= extras | {canonicalize_name(r.name) for r in RUNTIME}


def test_the_lock_holds_for_every_python_that_the_project_allows():
    allowed = SpecifierSet(PROJECT["requires-python"])
    pythons = [f"3.{minor}" for minor in range(9, 20) if allowed.contains(f"3.{minor}.9")]
    assert pythons[0] == "3.11"
    for python in pythons:
        marked = {"python_version": python, "python_full_version": f"{python}.9"}
        here = [r.name for r, _ in locked() if not r.marker or r.marker.evaluate(marked)]
        assert len(here) == len(set(here)), python
        assert {canonicalize_name(r.name) for r in DIRECT} <= {canonicalize_name(n) for n in here}


def test_conda_users_get_the_same_pins():
    *conda, by_pip = ENVIRONMENT["dependencies"]
    assert by_pip == {"pip": ["-r requirements.lock"]}
    assert [re.split(r"[=<> ]", spec)[0] for spec in conda] == ["python", "pip"]


def test_every_file_that_names_a_python_names_the_same_one_that_is_allowed():
    image = re.fullmatch(r"python:([\d.]+)-\w+", DEVCONTAINER["image"])
    runtime = (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8")
    python = ENVIRONMENT["dependencies"][0].removeprefix("python=")
    assert python == image[1] == re.fullmatch(r"python-([\d.]+)\n", runtime)[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.9")
    published = json.loads((ROOT / "figures" / "provenance.json").read_text(encoding="utf-8"))
    assert published["versions"]["python"].startswith(f"{python}.")


# --- the commands --------------------------------------------------------------------------------


def targets():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.search(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)[1].split())


@pytest.fixture
def copy(tmp_path):
    """Return a folder that holds only what `make setup` reads."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run_make(folder, *arguments):
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@make
def test_make_alone_explains_every_target(copy):
    shown = run_make(copy).stdout
    assert set(re.findall(r"^make ([\w-]+)", shown, flags=re.MULTILINE)) == targets() - {"help"}


@make
def test_make_test_rest_reads_every_file_with_a_slow_test(copy):
    (copy / "tests").symlink_to(ROOT / "tests")
    command = run_make(copy, "--dry-run", "test-rest").stdout
    read = set(re.findall(r"tests/\S+\.py", command))
    marked = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("tests/**/test_*.py")
        if re.search(r"\bmark\W+slow\b", path.read_text(encoding="utf-8"))
    }
    assert read == marked
    assert " tests/extras" in command


def pretending(folder, trick):
    """Return a Python whose `-c` programs run after `trick`."""
    python = folder / "a-python"
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c \"import sys; {trick}; $2\"\n")
    python.chmod(0o755)
    return f"PYTHON={python}"


@make
@pytest.mark.parametrize(
    ("trick", "message"),
    [
        ("sys.version_info = (3, 9, 1)", "needs Python 3.11 to 3.14 and .* is 3.9"),
        ("sys.version_info = (3, 15, 0)", "needs Python 3.11 to 3.14 and .* is 3.15"),
        ("sys.modules['ensurepip'] = None", "cannot make virtual environments.*python3-venv"),
    ],
    ids=["too old", "too new", "no venv"],
)
def test_a_python_that_cannot_be_used_is_explained_in_one_line(copy, trick, message):
    done = run_make(copy, "setup", pretending(copy, trick))
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1, done.stderr
    assert re.match(f"error: .*{message}", said[0])
    assert not (copy / ".venv").exists()


@make
def test_a_missing_python_or_resolver_is_named(copy):
    assert (
        "error: no no-such-python found" in run_make(copy, "setup", "PYTHON=no-such-python").stderr
    )
    assert "error: make lock needs uv" in run_make(copy, "lock", "UV=no-such-uv").stderr


@make
def test_makefile_and_pyproject_allow_the_same_pythons():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    bounds = set(re.findall(r"\((\d+), (\d+)\) <= \S+ < \((\d+), (\d+)\)", text))
    assert len(bounds) == 1
    low, low_minor, high, high_minor = bounds.pop()
    assert PROJECT["requires-python"] == f">={low}.{low_minor},<{high}.{high_minor}"


def test_ci_runs_what_the_readme_promises():
    script = ROOT / ".ci" / "run"
    assert os.name == "nt" or os.access(script, os.X_OK)
    steps = re.findall(r"^timed (.+)$", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    promised = re.search(r"^```\w*\n(.+?)^```", readme, flags=re.MULTILINE | re.DOTALL)[1]
    commands = promised.splitlines()
    assert len(commands) == 2
    others = ["make check", "make site", "make test-rest", "make test-browser"]
    others += ["make drills SHORT=1", "make bench SHORT=1"]
    assert sorted(steps) == sorted([*commands, *others])
    assert {command.removeprefix("make ") for command in commands} <= targets()


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_git_ignores_what_is_not_ours_to_commit_or_only_half_done(tmp_path):
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    left = [".figures.new/a.svg", ".figures.old/a.svg", "runs/x/records.jsonl"]
    left += ["data/prompts/imported-x.toml", "data/prompts/imported-x.toml.part"]
    left += ["default.zip", "build/site/index.html", "notebooks/answers-0a1b2c3d.json"]
    ours = ["figures/a.svg", "data/prompts/plain.toml", "data/recorded/default.zip"]
    done = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", *left, *ours],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == left


def test_the_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == hvae_utils.__version__
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert citation["references"][0]["identifiers"][0]["value"] == "arXiv:2305.17147"


# --- the other ways to install: docs/setup.md, dev container, Binder -----------------------------

SETUP = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")


def commands():
    """Return the commands of docs/setup.md as lists of words, written as on Linux."""
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.+?)^```", SETUP, flags=re.M | re.S):
        if language == "powershell":
            assert "&&" not in block, "the PowerShell of Windows has no &&"
            block = block.replace(".venv\\Scripts\\", ".venv/bin/").replace("\\", "/")
        lines = [line for line in block.splitlines() if not line.startswith("$env:")]
        found += [shlex.split(part) for line in lines for part in line.split(" && ")]
    return [[words[0].removeprefix(".venv/bin/"), *words[1:]] for words in found]


def options(words):
    return [word for word in words if word.startswith("-")]


@cache
def help_of(*words):
    """Return what a module of this Python says to --help."""
    python = [sys.executable, "-W", "ignore", "-m", *words, "--help"]
    return subprocess.run(python, capture_output=True, text=True, check=True).stdout


def check(words):
    """Raise where a command does not exist or takes no such options."""
    match words:
        case ["make", *chosen]:
            assert set(chosen) <= targets()
        case ["hvae", *chosen]:
            _parser().parse_args(chosen)
        case ["python", "-m", "venv", folder]:
            assert folder == ".venv"
        case ["python", "-m", "pip" | "ipykernel" as module, "install" as verb, *rest]:
            known = re.findall(r"(?<![\w-])--?[a-z][\w-]*", help_of(module, verb))
            assert set(options(rest)) <= set(known)
        case ["jupyter", "lab", *rest]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert all(word in makefile for word in rest)
        case ["jupyter", "kernelspec", "remove", name]:
            assert f"--name {name} " in SETUP
        case ["conda", "env", "create", "-f", _]:
            pass
        case ["conda", "activate", name]:
            assert name == ENVIRONMENT["name"]
        case ["uv", *rest]:
            if uv := shutil.which("uv"):
                known = subprocess.check_output([uv, "help", *rest[: 1 + (rest[0] == "pip")]])
                assert all(option in known.decode() for option in options(rest))
        case _:
            raise AssertionError(words)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_setup_page_exists(words):
    check(words)
    for option, name in pairwise(words):
        if option in ("-r", "-f", "--build-constraints"):
            assert (ROOT / name).is_file()


def test_an_unknown_command_on_the_setup_page_is_found():
    assert {words[0] for words in commands()} == {
        "make",
        "uv",
        "python",
        "hvae",
        "conda",
        "jupyter",
    }
    for wrong in ("make everything", "python -m pip install --no-dep", "pipx install ."):
        with pytest.raises(AssertionError):
            check(wrong.split())
    with pytest.raises(hvae_utils.errors.UserError):
        check(["hvae", "models", "fetsh", "smollm2-135m-instruct"])


def test_every_way_to_install_takes_the_lock_as_it_is():
    installs = [words for words in commands() if "install" in words and "ipykernel" not in words]
    for words in installs:
        assert "--no-deps" in words
        if "-r" in words:
            assert words[words.index("-r") + 1] == "requirements.lock"
        else:  # this package alone, built with the pinned backend
            assert "--no-build-isolation" in words
    by_pip = [words for words in installs if words[0] == "python" and "-r" in words]
    assert len(by_pip) == 2  # pip, and Windows
    assert all("--require-hashes" in words for words in by_pip)


def test_the_setup_page_links_to_files_and_to_its_own_sections():
    sections = re.findall(r"^## (.+)$", SETUP, flags=re.M)
    known = {f"#{section.lower().replace(' ', '-')}" for section in sections}
    for link in re.findall(r"\]\(([^)]+)\)", SETUP):
        assert link in known or (ROOT / "docs" / link).is_file(), link
    assert (ROOT / re.search(r"urlpath=lab/tree/(\S+)", SETUP)[1]).is_file()
    assert (ROOT / re.search(r"\$PWD\\(\S+)\"", SETUP)[1]).is_dir()


def test_the_setup_page_says_where_the_weights_are_on_each_system(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(platformdirs.windows, "get_win_folder", lambda _: "%LOCALAPPDATA%")
    for system in (platformdirs.unix.Unix, platformdirs.macos.MacOS, platformdirs.windows.Windows):
        there = system("hvae", appauthor=False).user_cache_dir.replace(os.path.expanduser("~"), "~")
        assert f"`{there}`" in SETUP.replace("\\", "/")


def test_the_dev_container_runs_make_and_forwards_jupyters_port():
    assert set(DEVCONTAINER) == {
        *("name", "image", "postCreateCommand", "forwardPorts", "portsAttributes"),
        "customizations",
    }
    make, *chosen = shlex.split(DEVCONTAINER["postCreateCommand"])
    assert make == "make"
    assert set(chosen) <= targets()
    assert DEVCONTAINER["forwardPorts"] == [PORT]
    assert [*DEVCONTAINER["portsAttributes"]] == [str(PORT)]


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_on_binder_the_notebooks_kernel_is_the_python_that_make_made(tmp_path, monkeypatch):
    script(tmp_path / "bin" / "make", "echo $* > made")
    script(tmp_path / ".venv/bin/python", f'exec "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NB_PYTHON_PREFIX", str(tmp_path / "notebook"))
    assert os.name == "nt" or os.access(ROOT / "binder" / "postBuild", os.X_OK)
    subprocess.run(["bash", str(ROOT / "binder" / "postBuild")], cwd=tmp_path, check=True)
    assert (tmp_path / "made").read_text().split() == ["weights"]
    notebook = json.loads((ROOT / "notebooks/06_explore.ipynb").read_text(encoding="utf-8"))
    name = notebook["metadata"]["kernelspec"]["name"]
    kernel = tmp_path / "notebook" / "share" / "jupyter" / "kernels" / name / "kernel.json"
    assert Path(json.loads(kernel.read_text())["argv"][0]).samefile(sys.executable)


@make
@pytest.mark.parametrize(("user", "told"), [(0, True), (1000, False)], ids=["root", "user"])
def test_jupyter_is_told_that_root_may_run_it(copy, monkeypatch, user, told):
    for name in ("python", "hvae", "jupyter"):
        script(copy / ".venv/bin" / name, f'echo {name} "$@"')
    for stamp in (".locked", ".package"):
        (copy / ".venv" / stamp).touch()
    script(copy / "bin" / "id", f"echo {user}")
    monkeypatch.setenv("PATH", f"{copy / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("MAKEFLAGS", raising=False)  # of a make that runs these tests
    monkeypatch.delenv("MAKELEVEL", raising=False)
    said = run_make(copy, "lab").stdout.splitlines()[-1].split()
    assert said[:2] == ["jupyter", "lab"]
    assert said[-1] == "notebooks/00_overview.ipynb"
    assert ("--allow-root" in said) is told


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_windows_users_get_the_same_bytes(tmp_path):
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    asked = [*git, "check-attr", "eol", "Makefile", "requirements.lock", "binder/postBuild"]
    said = subprocess.check_output(asked, text=True).splitlines()
    assert [line.rpartition(" ")[2] for line in said] == ["lf"] * 3


# --- no test touches the network -----------------------------------------------------------------

REACH = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=0.1)"


def test_a_test_that_reaches_for_the_network_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_TEST_NETWORK_LOG", str(tmp_path / "log"))
    with pytest.raises(RuntimeError, match=r"reached for the network: .*getaddrinfo example"):
        socket.getaddrinfo("example.org", 80)
    with socket.socket() as reaching, pytest.raises(RuntimeError, match="reached for the network"):
        reaching.connect(("192.0.2.1", 9))
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_so_is_a_process_that_a_test_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_TEST_NETWORK_LOG", str(tmp_path / "log"))
    done = subprocess.run(
        [sys.executable, "-c", REACH], capture_output=True, text=True, check=False
    )
    assert "a test reached for the network" in done.stderr
    assert (tmp_path / "log").read_text() == "socket.getaddrinfo 192.0.2.1\n"


def test_loopback_stays_open():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=1).close()
