"""The workbook does what it declares, and says which notebook and cell when it does not."""

import json
import os
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import tiny

from hvae_utils import errors, manifest, paths, profiles, runner, workbook
from hvae_utils.errors import UserError
from hvae_utils.profiles import load_profile, resolve
from hvae_utils.workbook import Step, WorkbookError

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
    assert names == ["default", "paper", "smoke"]
    assert [name for name in names if load_profile(name).publish] == ["default"]
    smoke, default = (load_profile(name).parameters for name in ("smoke", "default"))
    assert set(default["models"]) - set(smoke["models"]) == {"local/smollm2-135m-instruct"}
    assert {key for key in smoke if smoke[key] != default[key]} == {"models", "repeats"}


def test_the_shipped_profiles_are_studies():
    from hvae_utils import study

    for name in ("smoke", "default", "paper"):
        study.Study(**load_profile(name).parameters)
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


# --- profiles and overrides


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("publlish: true", "unknown key in .*bad.yml: 'publlish'; .*Did you mean 'publish'"),
        ("publish: 3", "publish must be a bool, not 3"),
        ("parameters: [a", "bad.yml, line 2: "),
        ("- a", "must be a mapping"),
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
        ([], "0 cells tagged 'parameters'; wanted exactly one"),
        (["n = 1", "n = 1"], "2 cells tagged"),
        (["n = 1\nm = 2"], "differ in m"),
        (["m = 2"], "differ in m, n"),
        (["n = 1 + 1\nm = n"], "line 1: wanted literals only"),
        (["import os\nn = 1"], "line 1: wanted literals only"),
        (["n = 1; m = 2"], "line 1: wanted literals only"),
        (["n = 1\nn = 2"], "line 2: wanted literals only"),
        (["n: int\n"], "wanted literals only"),
        (["n = '='"], "papermill reads and the declared parameters differ in n"),
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


def test_a_run_leaves_every_output_a_manifest_and_plain_lines(reproduce, lines, tmp_path):
    run = tmp_path / "runs" / "tiny"
    leave(run, log_jsonl='{"key": 1}\n', figures_old="<svg/>")
    assert reproduce("label=007", "names=a,b") == run
    assert (run / "log.jsonl").read_text() == '{"key": 1}\n', "a resumed run keeps its records"
    assert not list((run / "figures").glob("old*"))
    assert json.loads((run / "numbers.json").read_text()) == [["007", 0], ["007", 1]]
    made = manifest.read(run)
    assert made["parameters"] == {"count": 2, "names": ["a", "b"], "label": "007"}
    assert list(made["seconds"]) == ["a", "b"]
    assert made["publish"] is False, "overrides do not publish"
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
        parameters={"runs": str(runs), "run_id": "solo"},
        cwd=str(tmp_path),
        progress_bar=False,
    )
    made = json.loads((runs / "solo" / "numbers.json").read_text())
    assert made == [["plain", 0], ["plain", 1], ["plain", 2]], "the notebook's own defaults"
    assert (runs / "solo" / "key_numbers.json").is_file()
    assert "b reads what this run did not have; ran a (" in json.dumps(done)


def fails(book, reproduce, cells, message, name="a", parameters=None):
    tiny.notebook(book / f"{name}.ipynb", cells, *(parameters or [tiny.PARAMETERS[name]]))
    with pytest.raises(WorkbookError, match=message) as caught:
        reproduce()
    assert "\n" not in str(caught.value)
    assert not list((book.parent / "runs").glob("*/manifest.json")), "no finished run"
    return str(caught.value)


GOOD = tiny.CELLS["a"]


def test_an_error_in_a_cell_names_notebook_cell_and_reason(book, reproduce):
    said = fails(book, reproduce, [*GOOD, "1 / 0"], r"a.ipynb, cell 'c6': ZeroDivisionError: div")
    assert str(Path("notebooks") / "a.ipynb") in said


def test_a_dead_kernel_is_no_success(book, reproduce):
    fails(book, reproduce, [*GOOD, "import os; os._exit(0)", "1"], "cell 'c6': the kernel died")


def test_a_silent_exit_is_no_success(book, reproduce):
    fails(book, reproduce, [*GOOD, "import sys; sys.exit(0)", "1"], r"cell 'c6': sys.exit\(\)")


def test_a_missing_output_is_no_success(book, reproduce):
    fails(book, reproduce, [*GOOD[:4], "step"], r"a.ipynb did not write: numbers.json, log.jsonl")


def test_an_undeclared_output_is_no_success(book, reproduce):
    cells = [*GOOD, '(step.run / "extra.txt").write_text("x")']
    fails(book, reproduce, cells, "touched what it does not declare: extra.txt")


def test_an_output_of_an_earlier_run_is_no_success(book, reproduce, tmp_path):
    run = tmp_path / "runs" / "tiny"
    leave(run, numbers_json="[]", log_jsonl="", manifest_json="{}")
    fails(book, reproduce, [*GOOD[:4], "step"], "left from an earlier run: numbers.json")


def test_a_users_mistake_in_a_cell_keeps_its_own_sentence(book, reproduce):
    for name in ("UserError", "EndpointError"):
        cell = f"from hvae_utils import errors\nraise errors.{name}('name the value')"
        tiny.notebook(book / "a.ipynb", [cell], tiny.PARAMETERS["a"])
        with pytest.raises(getattr(errors, name), match=r"^name the value$"):
            reproduce()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "tinny"}, "unknown profile 'tinny'; choose from tiny. Did you mean 'tiny'"),
        ({"run_id": "a/b"}, "no folder name"),
        ({"run_id": ""}, "no folder name"),
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


def _profiles(tmp_path):
    (tmp_path / "tiny.yml").write_text("title: Tiny\n")
    return tmp_path
