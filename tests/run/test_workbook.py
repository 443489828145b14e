"""The workbook does what it declares, and says which notebook and cell when it does not."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from hvae_utils import errors, paths
from hvae_utils.ask import prompts
from hvae_utils.errors import UserError, WorkbookError
from hvae_utils.run import manifest, profiles, runner, workbook
from hvae_utils.run.profiles import load_profile, resolve
from hvae_utils.run.run import Run
from hvae_utils.run.workbook import Step
from tests.support import tiny

DEFAULTS = {
    "runs": "runs",
    "run_id": "x",
    "models": ["reference/faithful"],
    "goal_prompts": [False],
    "repeats": 4,
    "temperature": 0.0,
    "instrument": "svo-slider",
    "reask": True,
}


@pytest.fixture
def book(tmp_path):
    """Return the folder of the tiny workbook."""
    return tiny.build(tmp_path / "books {1}")


@pytest.fixture
def lines():
    return []


@pytest.fixture
def reproduce(book, tmp_path, lines):
    def run(*overrides, profile="tiny", **options):
        options = {"steps": tiny.STEPS, "runs": tmp_path / "runs", **options}
        return workbook.reproduce(
            profile, overrides, notebooks=book, profiles=book, report=lines.append, **options
        )

    return run


def leave(run, **files):
    """Put files into a run folder, as an earlier run has left them."""
    for name, text in files.items():
        path = run / name.replace("figures_", "figures/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def profile(**parameters):
    return profiles.Profile("p", "P", False, parameters)


# --- the declaration


def test_no_step_reads_what_no_earlier_step_writes():
    written = set()
    for step in workbook.STEPS:
        assert set(step.reads) <= written
        written |= set(step.writes)
    assert {"figures/", "key_numbers.json", "value_rationality.csv"} <= written


def test_the_shipped_profiles_load_and_only_the_default_publishes():
    names = sorted(path.stem for path in paths.PROFILES.glob("*.yml"))
    shipped = ["default", "deliberation", "factorial", "paper", "smoke", "today", "transfer"]
    assert names == shipped
    assert [name for name in names if load_profile(name).publish] == ["default"]
    smoke, default = (load_profile(name).parameters for name in ("smoke", "default"))
    assert set(default["models"]) - set(smoke["models"]) == {"local/smollm2-135m-instruct"}
    assert {key for key in smoke if smoke[key] != default[key]} == {"models"}


def test_the_shipped_profiles_are_studies():
    from hvae_utils.play import study

    for name in ("smoke", "default", "deliberation", "factorial", "paper", "today"):
        given = load_profile(name).parameters
        study.Study(**{key: given[key] for key in workbook.STUDY if key in given})
    assert len(load_profile("paper").parameters["models"]) == 8


# --- begin


def test_a_step_reaches_only_what_it_declares(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "numbers.json").write_text("[1]")
    step = workbook.begin("b", runs=tmp_path, run_id="r", steps=tiny.STEPS)
    assert step.read("numbers.json") == [1]
    with pytest.raises(WorkbookError, match=r"b may read numbers.json; 'key_numbers.json'"):
        step.read("key_numbers.json")
    with pytest.raises(WorkbookError, match="may write"):
        step.write("numbers.json", [])
    with pytest.raises(WorkbookError, match="not declared"):
        step.path("figures/../manifest.json")
    with pytest.raises(WorkbookError, match="not declared"):
        step.folder("pictures")
    with pytest.raises(UserError, match="no folder name"):
        workbook.begin("b", runs=tmp_path, run_id="../r", steps=tiny.STEPS)
    with pytest.raises(UserError, match="unknown step 'c'; choose from a, b"):
        workbook.begin("c", runs=tmp_path, steps=tiny.STEPS)


def test_tables_come_back_as_they_were_written(tmp_path):
    frame = pd.DataFrame({"value": ["none", "a"], "angle": [1 / 3, np.nan], "goal": [True, False]})
    steps = (
        Step("w", writes=("t.csv", "t.parquet", "t.json")),
        Step("r", reads=("t.csv", "t.parquet", "t.json")),
    )
    out = workbook.begin("w", runs=tmp_path, run_id="r", steps=steps)
    out.write("t.csv", frame)
    out.write("t.parquet", frame)
    out.write("t.json", {"x": np.float64(0.5), "gone": np.nan, "list": (np.int64(1), True)})
    back = workbook.begin("r", runs=tmp_path, run_id="r", steps=steps)
    pd.testing.assert_frame_equal(back.read("t.csv"), frame, rtol=1e-9)
    pd.testing.assert_frame_equal(back.read("t.parquet"), frame)
    assert back.read("t.json") == {"x": 0.5, "gone": None, "list": [1, True]}
    assert "0.3333333333\n" not in (tmp_path / "r" / "t.csv").read_text()
    assert "none,0.3333333333,True" in (tmp_path / "r" / "t.csv").read_text()


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    step = workbook.begin("a", runs=tmp_path, run_id="r", steps=tiny.STEPS)
    step.write("numbers.json", [1])
    with pytest.raises(TypeError):
        step.write("numbers.json", object())
    assert json.loads((tmp_path / "r" / "numbers.json").read_text()) == [1]


def test_a_folder_starts_empty_and_finish_names_what_is_missing(tmp_path):
    steps = (Step("w", writes=("figures/", "key.json", "log.jsonl")),)
    (tmp_path / "r" / "figures").mkdir(parents=True)
    (tmp_path / "r" / "figures" / "old.png").touch()
    step = workbook.begin("w", runs=tmp_path, run_id="r", steps=steps)
    assert not list(step.folder("figures").iterdir())
    with pytest.raises(WorkbookError, match=r"w did not write figures/, key.json"):
        step.finish()
    assert (tmp_path / "r" / "log.jsonl").read_text() == ""


def test_a_run_lies_where_its_user_stands_and_a_notebooks_run_in_the_project(tmp_path, monkeypatch):
    here, home, project = (tmp_path / name for name in ("here", "home", "project"))
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setattr(paths, "ROOT", project)
    assert Run("r", "mine").folder == here / "mine" / "r"
    assert Run("r", "~/mine").folder == home / "mine" / "r"
    assert Run("r").folder == paths.RUNS / "r"
    if os.name != "nt":
        with pytest.raises(UserError, match="'~nobody-here/x' names no user of this machine"):
            Run("r", "~nobody-here/x")
    for runs, folder in (("mine", project / "mine"), ("~/mine", home / "mine")):
        assert (
            workbook.begin("a", runs=runs, run_id="r", steps=tiny.STEPS).run.folder == folder / "r"
        )


# --- what begin makes first

SHORT = {"01": "01_value_assignment", "02": "02_game_play", "03": "03_metric_computation"}


def leave_run(run, models=("reference/random",), **times):
    """Leave a run whose files were last written at the given times; 0 is never."""
    run.mkdir(parents=True)
    made = dict.fromkeys(("scores", "rationality", "steerability", "deliberation"), 3)
    times = {"conditions": 1, "responses": 2, **made, "records": 9, **times}
    endings = {"rationality": "value_rationality.csv", "records": "records.jsonl"}
    endings |= {name: f"{name}.csv" for name in ("steerability", "deliberation")}
    for name, when in times.items():
        path = run / endings.get(name, f"{name}.parquet")
        if when:
            path.touch()
            if name == "conditions":
                pd.DataFrame({"model": models}).to_parquet(path)
            os.utime(path, ns=(when, when))


@pytest.fixture
def ran(monkeypatch):
    """Return the names of the notebooks that would have been executed."""
    names = []

    def execute(step, notebook, run, parameters, report=print):
        names.append(step.name)
        return 0.0

    monkeypatch.setattr(runner, "execute", execute)
    return names


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({}, ""),
        ({"conditions": 3, "responses": 3}, ""),
        ({"conditions": 4}, "02 03"),
        ({"responses": 4}, "03"),
        ({"rationality": 1}, "03"),
        ({"scores": 0}, "03"),
        ({"responses": 0}, "02 03"),
        ({"conditions": 0}, "01 02 03"),
        ({"records": 0}, ""),
    ],
)
def test_what_is_older_than_what_it_is_made_from_is_made_again(
    tmp_path, ran, monkeypatch, capsys, times, expected
):
    monkeypatch.setattr(runner, "contract", lambda step, notebook: {})
    leave_run(tmp_path / "interactive", **times)
    workbook.begin("04_analysis", runs=tmp_path, run_id="interactive")
    assert ran == [SHORT[number] for number in expected.split()]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ran)
    lack = "did not have" if 0 in times.values() else "had only from before a change"
    assert all(f"reads what this run {lack}; ran " in line for line in lines)


def test_a_notebook_never_asks_a_real_model_for_another(tmp_path, ran, monkeypatch):
    monkeypatch.setattr(runner, "contract", lambda step, notebook: {})
    models = ["reference/random", "openai/gpt-4o", "openai/gpt-4o", "local/m"]
    for run, times in (("changed", {"conditions": 8}), ("stopped", {"responses": 0})):
        leave_run(tmp_path / run / "interactive", models, **times)
        for name in ("03_metric_computation", "04_analysis"):
            said = f"{name} .*; run 02_game_play first: this run asks openai/gpt-4o, local/m$"
            with pytest.raises(UserError, match=said):
                workbook.begin(name, runs=tmp_path / run, run_id="interactive")
    assert ran == []
    leave_run(tmp_path / "interactive", models, scores=0)
    workbook.begin("04_analysis", runs=tmp_path, run_id="interactive")
    assert ran == ["03_metric_computation"], "scoring asks nobody"


@pytest.mark.parametrize(
    ("run_id", "message"),
    [
        ("defualt", r"unknown run in .* 'defualt'; choose from default\. Did you mean 'default'"),
        ("default", r"b reads what run 'default' does not have.*; run a first, or hvae reproduce"),
    ],
)
def test_a_notebook_invents_no_run_and_finishes_none(book, tmp_path, run_id, message):
    runs = tmp_path / "runs"
    leave(runs / "default", log_jsonl="")
    command = [sys.executable, "-m", "papermill", str(book / "b.ipynb"), str(tmp_path / "o.ipynb")]
    command = [part.replace("{", "{{").replace("}", "}}") for part in command]
    done = subprocess.run(
        [*command, "-p", "runs", str(runs), "-p", "run_id", run_id, "--cwd", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(paths.ROOT), *sys.path])},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr
    assert [path.name for path in runs.rglob("*")] == ["default", "log.jsonl"]


# --- profiles and overrides


def test_a_profile_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "bad.yml").write_bytes("title: Ann\u00e9e\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"bad.yml: is not UTF-8 text \(byte 11\)"):
        load_profile("bad", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("publlish: true", "unknown key in .*bad.yml: 'publlish'; .*Did you mean 'publish'"),
        ("publish: 3", "publish must be a bool, not 3"),
        ("parameters: [a", "bad.yml, line 2: "),
        ("- a", "must be a mapping"),
        ("title: " + "[" * 3000, "bad.yml: lists or mappings are nested too deeply"),
        ("x: {" * 3000, "bad.yml: lists or mappings are nested too deeply"),
        ("title: 2026-13-45", "bad.yml: month must be in 1..12"),
        ("title: 0x" + "f" * 9000, "must be a str, not a number of thousands of digits"),
        ("title: [" + "x, " * 9000 + "]", r"must be a str, not .{,80}$"),
        ("? " + "x" * 200 + "\n: 1", "unknown key in .*bad.yml: '.{,80}'; choose"),
    ],
)
def test_a_profile_with_a_typo_is_refused(tmp_path, text, message):
    (tmp_path / "bad.yml").write_text(text + "\n")
    with pytest.raises(UserError, match=message):
        load_profile("bad", tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"repeat": 4}, "unknown parameter in profile p: 'repeat'; .*Did you mean 'repeats'"),
        ({"run_id": "x"}, "unknown parameter"),
        ({"repeats": "4"}, "profile p: repeats is '4'; wanted a whole number"),
        ({"repeats": True}, "wanted a whole number"),
        ({"temperature": 10**400}, "wanted a number"),
        ({"reask": 1}, "wanted true or false"),
        ({"goal_prompts": ["yes"]}, "goal_prompts is 'yes'; wanted true or false"),
        ({"models": [None]}, "models is None; wanted text"),
    ],
)
def test_a_profile_with_a_wrong_parameter_is_refused(parameters, message):
    with pytest.raises(UserError, match=message):
        resolve(profile(**parameters), (), DEFAULTS)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("instrument=007", "instrument", "007"),
        ("instrument=a=b", "instrument", "a=b"),
        ("repeats=007", "repeats", 7),
        ("temperature=1", "temperature", 1.0),
        ("temperature=1e-3", "temperature", 0.001),
        ("reask=off", "reask", False),
        ("models=reference/random", "models", ["reference/random"]),
        ("models=a, b", "models", ["a", "b"]),
        ("models=['a,b', 007]", "models", ["a,b", "007"]),
        ('models=["a", "b"]', "models", ["a", "b"]),
        ("goal_prompts=false,true", "goal_prompts", [False, True]),
    ],
)
def test_an_override_is_read_as_what_the_notebook_wants(override, key, value):
    found = resolve(profile(), [override], DEFAULTS)[key]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("repeats", "wanted KEY=VALUE"),
        ("repeets=2", "unknown parameter 'repeets'; .*Did you mean 'repeats'"),
        ("repeats=two", "--set: repeats is 'two'; wanted a whole number"),
        ("repeats=2.5", "wanted a whole number"),
        ("repeats=1_0", "wanted a whole number"),
        ("repeats=\uff11", "wanted a whole number"),
        ("models=" + "[" * 9000, r"models=.{,80}: the list cannot be read"),
        ("reask=perhaps", "wanted true or false"),
        ("models=[a, {b: c}]", "the list cannot be read"),
        ("models=[a", "the list cannot be read"),
        ("run_id=7", "use --run-id"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(override, message):
    with pytest.raises(UserError, match=message):
        resolve(profile(), [override], DEFAULTS)


def test_the_last_override_wins_over_profile_and_default():
    found = resolve(profile(repeats=5), ["repeats=6", "repeats=7"], DEFAULTS)
    assert found["repeats"] == 7
    assert resolve(profile(repeats=5), (), DEFAULTS)["repeats"] == 5
    assert "runs" not in found


# --- the contract


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "0 cells tagged 'parameters'; wanted 1"),
        (["n = 1", "n = 1"], "2 cells tagged"),
        (["n = 1\nm = 2"], "differ in m"),
        (["m = 2"], "differ in m, n"),
        (["n = 1 + 1\nm = n"], "line 1: wanted literals only"),
        (["import os\nn = 1"], "line 1: wanted literals only"),
        (["n = 1; m = 2"], "line 1: wanted literals only"),
        (["n = 1\nn = 2"], "line 2: wanted literals only"),
        (["n: int\n"], "wanted literals only"),
    ],
)
def test_a_notebook_that_breaks_its_contract_is_named(tmp_path, cells, message):
    path = tiny.notebook(tmp_path / "n.ipynb", [], *cells)
    with pytest.raises(WorkbookError, match=message):
        runner.contract(Step("n", parameters=("n",)), path)


def test_a_contract_gives_the_defaults(book):
    assert runner.contract(tiny.STEPS[0], book / "a.ipynb") == {
        "runs": "runs", "run_id": "alone", "count": 3, "names": ["x"], "label": "plain",
    }  # fmt: skip
    with pytest.raises(WorkbookError, match="does not exist"):
        runner.contract(tiny.STEPS[0], book / "c.ipynb")


# --- the runner


def test_importing_papermill_hides_no_module_from_the_process():
    code = (
        "import sys; from hvae_utils.run import runner\n"
        "runner._papermill()\n"
        "assert 'papermill' in sys.modules and 'rfc3987_syntax' not in sys.modules"
    )
    command = [sys.executable, "-c", code]
    search = os.pathsep.join(sys.path)
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": search}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_run_leaves_every_output_a_manifest_and_plain_lines(reproduce, lines, tmp_path):
    run = tmp_path / "runs" / "tiny"
    leave(run, log_jsonl='{"key": 1}\n', figures_old="<svg/>")
    assert reproduce("label=007", "names=a,b").folder == run
    assert (run / "log.jsonl").read_text() == '{"key": 1}\n', "a resumed run keeps its records"
    assert not list((run / "figures").glob("old*"))
    assert json.loads((run / "numbers.json").read_text()) == [["007", 0], ["007", 1]]
    made = manifest.read(run)
    assert made["parameters"] == {"count": 2, "names": ["a", "b"], "label": "007"}
    assert list(made["seconds"]) == ["a", "b"]
    assert made["publish"] is False, "overrides do not publish"
    assert lines[0].startswith("Profile tiny with label=007, names=a,b: 2 notebooks into ")
    assert "figures/01_tiny.svg" in made["outputs"]
    assert "  play tiny: 3/3 items, 9/s, 0 s" in lines
    assert not any("not for the log" in line for line in lines)
    assert [line.split()[0] for line in lines if line.endswith(" s") and line[0] in "ab"] == [
        "a",
        "b",
    ]
    executed = nbformat.read(run / "notebooks" / "a.ipynb", as_version=4)
    assert any("injected-parameters" in cell.metadata.get("tags", ()) for cell in executed.cells)


def test_a_notebook_opened_alone_makes_what_it_reads(book, tmp_path, monkeypatch):
    import papermill

    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT), prepend=os.pathsep)
    runs = tmp_path / "elsewhere"
    done = papermill.execute_notebook(
        str(book / "b.ipynb").replace("{", "{{").replace("}", "}}"),
        str(tmp_path / "out.ipynb"),
        parameters={"runs": str(runs), "run_id": "interactive"},
        cwd=str(tmp_path),
        progress_bar=False,
    )
    made = json.loads((runs / "interactive" / "numbers.json").read_text())
    assert made == [["plain", 0], ["plain", 1], ["plain", 2]], "the notebook's own defaults"
    assert (runs / "interactive" / "key_numbers.json").is_file()
    assert "b reads what this run did not have; ran a (" in json.dumps(done)


def test_a_temporary_folder_with_a_long_name_is_no_obstacle(reproduce, monkeypatch, tmp_path):
    long = tmp_path / ("long" * 25)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert reproduce().has("manifest.json")


def test_a_run_belongs_to_one_process_until_its_manifest_is_written(reproduce, lines, tmp_path):
    run = tmp_path / "runs" / "tiny"
    leave(run, manifest_json="{}", numbers_json="[]")
    code = (
        "import sys; from hvae_utils.run.run import Run\n"
        "with Run('tiny', sys.argv[1]).held(): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.parent)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(paths.ROOT), *sys.path])},
    ) as other:  # fmt: skip
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=r"another process is running .*tiny; .*--run-id"):
            reproduce()
        other.communicate(b"\n")
    assert {path.name for path in run.iterdir()} - {".run.lock"} == {
        "manifest.json", "numbers.json",
    }  # fmt: skip
    assert lines == []
    assert reproduce().folder == run, "the lock ends with its process, and kernels write under it"


@pytest.mark.skipif(os.name == "nt", reason="no such limit there")
def test_a_disk_that_is_full_while_a_notebook_is_saved_is_one_sentence(book, tmp_path):
    cells = ['for _ in range(40):\n    print("x" * 10_000)', *tiny.CELLS["a"]]
    tiny.notebook(book / "a.ipynb", cells, tiny.PARAMETERS["a"])
    code = (
        "import pathlib, resource, signal, sys, tiny\n"
        "from hvae_utils import errors; from hvae_utils.run import workbook\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "books, runs = map(pathlib.Path, sys.argv[1:])\n"
        "try: workbook.reproduce('tiny', runs=runs, steps=tiny.STEPS, notebooks=books,"
        " profiles=books)\n"
        "except errors.UserError as fault: print(fault)"
    )
    search = os.pathsep.join([str(Path(tiny.__file__).parent), str(paths.ROOT), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, str(book), str(tmp_path / "runs")],
        env={**os.environ, "PYTHONPATH": search}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search("cannot write .*File too large|was not saved whole", done.stdout), done.stdout


def fails(book, reproduce, cells, message, name="a", parameters=None):
    tiny.notebook(book / f"{name}.ipynb", cells, *(parameters or [tiny.PARAMETERS[name]]))
    with pytest.raises(WorkbookError, match=message) as caught:
        reproduce()
    assert "\n" not in str(caught.value)
    assert not list((book.parent / "runs").glob("*/manifest.json")), "no finished run"
    return str(caught.value)


GOOD = tiny.CELLS["a"]


@pytest.mark.usefixtures("no_kernel")
def test_an_error_in_a_cell_names_notebook_cell_and_reason(book, reproduce):
    said = fails(book, reproduce, [*GOOD, "1 / 0"], r"a.ipynb, cell 'c6': ZeroDivisionError: div")
    assert str(Path("notebooks") / "a.ipynb") in said


def test_a_dead_kernel_is_no_success(book, reproduce):
    fails(book, reproduce, [*GOOD, "import os; os._exit(0)", "1"], "cell 'c6': the kernel died")


def test_a_silent_exit_is_no_success(book, reproduce):
    fails(book, reproduce, [*GOOD, "import sys; sys.exit(0)", "1"], r"cell 'c6': sys.exit\(\)")


@pytest.mark.usefixtures("no_kernel")
def test_a_missing_output_is_no_success(book, reproduce):
    fails(book, reproduce, [*GOOD[:4], "step"], r"a.ipynb did not write: numbers.json, log.jsonl")


@pytest.mark.usefixtures("no_kernel")
def test_an_undeclared_output_is_no_success(book, reproduce):
    cells = [*GOOD, *(f'step.run.path("extra.{end}").write_text("x")' for end in ("txt", "lock"))]
    fails(book, reproduce, cells, "touched what it does not declare: extra.lock, extra.txt")


@pytest.mark.usefixtures("no_kernel")
def test_an_output_of_an_earlier_run_is_no_success(book, reproduce, tmp_path):
    run = tmp_path / "runs" / "tiny"
    leave(run, numbers_json="[]", log_jsonl="", manifest_json="{}")
    fails(book, reproduce, [*GOOD[:4], "step"], "left from an earlier run: numbers.json")


@pytest.mark.usefixtures("no_kernel")
def test_a_users_mistake_in_a_cell_keeps_its_own_sentence(book, reproduce):
    for name in ("UserError", "EndpointError"):
        cell = f"from hvae_utils import errors\nraise errors.{name}('name the value')"
        tiny.notebook(book / "a.ipynb", [cell], tiny.PARAMETERS["a"])
        with pytest.raises(getattr(errors, name), match=r"^name the value$"):
            reproduce()


@pytest.mark.usefixtures("no_kernel")
def test_a_mistake_of_the_workbook_in_a_cell_names_the_cell(book, reproduce):
    cell = "from hvae_utils import errors\nraise errors.WorkbookError('a did not write b')"
    fails(book, reproduce, [cell], r"a\.ipynb, cell 'c0': WorkbookError: a did not write b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "tinny"}, "unknown profile 'tinny'; choose from tiny. Did you mean 'tiny'"),
        ({"run_id": "a/b"}, "no folder name"),
        ({"run_id": ""}, "no folder name"),
        ({"run_id": "x."}, "no folder name"),
        ({"run_id": "CON"}, "no folder name"),
        ({"run_id": "lpt1.x"}, "no folder name"),
        ({"overrides": ["cuont=1"]}, "unknown parameter 'cuont'"),
    ],
)
def test_nothing_runs_after_a_users_mistake(reproduce, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        reproduce(*options.pop("overrides", ()), **options)
    assert not (tmp_path / "runs").exists()


def test_nothing_runs_when_any_notebook_breaks_its_contract(book, reproduce, tmp_path):
    tiny.notebook(book / "b.ipynb", tiny.CELLS["b"], 'runs = "runs"\nextra = 1')
    with pytest.raises(WorkbookError, match=r"b.ipynb: .* differ in extra, run_id"):
        reproduce()
    assert not (tmp_path / "runs").exists()


def test_a_study_is_checked_before_anything_runs(book, tmp_path):
    text = 'models: list = ["reference/faithful"]\nvalues: list = ["altruistic"]'
    tiny.notebook(book / "s.ipynb", ["1"], text)
    steps = (Step("s", parameters=("models", "values")),)
    for override, message in (
        ("values=altruist", "unknown value 'altruist'; .*Did you mean 'altruistic'"),
        ("models=openai/gpt-4o", "set OPENAI_API_KEY"),
        ("models=local/nowhere.gguf", "nowhere.gguf"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("OPENAI_API_KEY", raising=False)
            patch.delenv("OPENAI_BASE_URL", raising=False)
            with pytest.raises(UserError, match=message):
                workbook.reproduce(
                    "tiny", [override], runs=tmp_path / "runs", steps=steps,
                    notebooks=book, profiles=_profiles(tmp_path),
                )  # fmt: skip
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def defaults():
    return workbook._defaults(workbook.STEPS, paths.NOTEBOOKS)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("probe_values=nonsense", "unknown value 'nonsense'"),
        ("isomorphs=nope", "unknown instrument 'nope'"),
        ("isomorphs=svo-slider+swaped", "Did you mean 'swapped'"),
        ("isomorphs=svo-slider+shifted--90", "makes a payoff negative"),
        ("isomorphs=svo-slider", "isomorphs names svo-slider more than once"),
        ("isomorphs=svo-slider-secondary+swapped", "has no angle"),
        ("concurrency=-1", "concurrency is -1; it must be a whole number from 0"),
        ("concurrency=1000000000", "concurrency is 1000000000"),
        ("budget=3 apples", "'apples' is no unit"),
        ("instrument=svo-slider-secondary", "has no SVO angle"),
        ("readout=probability", "Did you mean 'probabilities'"),
        ("seed=-1", "seed is -1"),
    ],
)
def test_every_parameter_is_checked_before_the_first_notebook(
    tmp_path, monkeypatch, defaults, override, message
):
    monkeypatch.setattr(workbook, "_defaults", lambda *given: defaults)
    monkeypatch.setattr(runner, "execute", lambda *given: pytest.fail("a notebook ran"))
    with pytest.raises(UserError, match=re.escape(message)):
        workbook.reproduce("smoke", [override], runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_instrument_with_an_angle_is_taken_whatever_its_payoffs(tmp_path, monkeypatch):
    shutil.copytree(paths.DATA, tmp_path / "data")
    folder = tmp_path / "data" / "instruments"
    text = (folder / "svo-slider.csv").read_text()
    (folder / "other.csv").write_text(text.replace("85,85", "84,85", 1))
    shutil.copy(folder / "svo-slider.toml", folder / "other.toml")
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    profiles.check({"models": ["reference/random"], "instrument": "other"})
    with pytest.raises(UserError, match="has no SVO angle"):
        profiles.check({"models": ["reference/random"], "instrument": "svo-slider-secondary"})


def test_an_imported_wording_needs_no_probes_or_another_wording_first(monkeypatch):
    pack = replace(prompts.load("plain"), items=("?",) * 6, instrument="svo-slider")
    load = prompts.load
    monkeypatch.setattr(prompts, "names", lambda: ["plain", "theirs"])
    monkeypatch.setattr(prompts, "load", lambda name: pack if name == "theirs" else load(name))
    study = {"models": ["reference/random"], "wordings": ["theirs"]}
    profiles.check({**study, "probe_values": []})
    with pytest.raises(UserError, match=r"leave them out \(--set probe_values=\)"):
        profiles.check({**study, "probe_values": ["prosocial"]})


def one_step(tmp_path, monkeypatch, execute, *parameters):
    """Return what runs a workbook of one step, done by `execute`, and returns its lines."""
    monkeypatch.setattr(runner, "contract", lambda *given: {key: ["x"] for key in parameters})
    monkeypatch.setattr(runner, "execute", execute)
    steps, lines = (Step("s", writes=("responses.parquet",), parameters=parameters),), []

    def run(*overrides):
        workbook.reproduce(
            "tiny", overrides, runs=tmp_path / "runs", steps=steps, notebooks=tmp_path,
            profiles=_profiles(tmp_path), report=lines.append,
        )  # fmt: skip
        return lines

    return run


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (
            ["choice", "error", "error"],
            [
                "items by outcome  choice  error",
                "m                      1      2",
                "2 of 3 items ended in a transport error; run again",
            ],
        ),
        (
            ["choice", "refusal"],
            ["items by outcome  choice  refusal", "m" + "1".rjust(23) + "1".rjust(9)],
        ),
        (["choice", "choice"], []),
        (None, []),
    ],
)
def test_items_that_were_not_answered_are_the_last_word(tmp_path, monkeypatch, outcomes, said):
    def execute(step, notebook, run, parameters, report):
        if outcomes:
            rows = pd.DataFrame({"condition_id": "c", "outcome": outcomes})
            rows.to_parquet(run.path("responses.parquet"))
            conditions = pd.DataFrame({"condition_id": ["c"], "model": ["m"]})
            conditions.to_parquet(run.path("conditions.parquet"))
        return 0.0

    title, step, *last = one_step(tmp_path, monkeypatch, execute)()
    assert title.startswith("Tiny")
    assert step.startswith("s ")
    assert [line.partition(" to ask")[0] for line in last] == said


def test_weights_where_the_user_stands_go_before_those_of_the_project(tmp_path, monkeypatch):
    project, here = tmp_path / "project", tmp_path / "here"
    injected = []

    def execute(step, notebook, run, parameters, report):
        injected.append(parameters["models"])
        return 0.0

    for folder in (project, here):
        folder.mkdir()
        (folder / "both.gguf").touch()
    (project / "ours.gguf").touch()
    monkeypatch.setattr(paths, "ROOT", project)
    monkeypatch.setattr(workbook, "_check_study", lambda parameters: None)
    monkeypatch.setattr(manifest, "_models", lambda names: {})
    run = one_step(tmp_path, monkeypatch, execute, "models")
    for folder in (here, project):
        monkeypatch.chdir(folder)
        run("models=local/both.gguf,local/ours.gguf,local/no.gguf,openai/x")
    same = ["local/ours.gguf", "local/no.gguf", "openai/x"]  # what is nowhere keeps its name
    assert injected[0] == [f"local/{here / 'both.gguf'}", *same]
    assert injected[1][:2] == ["local/both.gguf", "local/ours.gguf"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_project_reached_through_a_link_shows_its_paths_without_it(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    (tmp_path / "link").symlink_to("project")
    monkeypatch.setattr(paths, "ROOT", tmp_path / "link")
    assert paths.shown(tmp_path / "link" / "runs" / "x") == "runs/x"
    assert paths.shown(tmp_path / "project" / "runs" / "x") == "runs/x"
    assert paths.shown(tmp_path / "runs") == str(tmp_path / "runs")


def _profiles(tmp_path):
    (tmp_path / "tiny.yml").write_text("title: Tiny\n")
    return tmp_path


def test_a_run_folder_removed_by_somebody_is_named_in_one_sentence(book, tmp_path, monkeypatch):
    class Papermill:
        def execute_notebook(self, *files, **options):
            shutil.rmtree(run.folder)
            raise FileNotFoundError("output folder doesn't exist")

    run = Run("gone", tmp_path)
    monkeypatch.setattr(runner, "_papermill", Papermill)
    with pytest.raises(UserError, match="was removed while a ran; run again"):
        runner.execute(tiny.STEPS[0], book / "a.ipynb", run, {})


def test_a_step_may_add_nothing_to_a_folder_only_where_that_is_optional():
    stamps = {"figures/01_a.png": (1, 1, 1)}
    step = Step("x", (), ("figures/",), (), adds_to=("figures/",))
    assert "did not write figures/" in runner._wrong_files(step, stamps, stamps).replace(":", "")
    free = replace(step, optional=("figures/",))
    assert runner._wrong_files(free, stamps, stamps) == ""
    assert "did not write" in runner._wrong_files(free, {}, {})
