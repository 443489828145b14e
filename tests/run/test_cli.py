"""The `hvae` command: one line for a mistake, the documented exit codes, and a quick start."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from hvae_utils import __main__ as cli
from hvae_utils import errors, paths
from hvae_utils.ask import models
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments
from hvae_utils.run import bundle, manifest, publish, workbook
from hvae_utils.run.run import Run
from tests.support import finished_run, tiny


@pytest.fixture
def book(tmp_path, monkeypatch, no_kernel):
    """Let the command run the tiny workbook and publish into a scratch folder."""
    folder = tiny.build(tmp_path / "books")
    options = {"steps": tiny.STEPS, "notebooks": folder, "profiles": folder}
    monkeypatch.setattr(workbook, "reproduce", partial(workbook.reproduce, **options))
    figures = tmp_path / "figures"
    recorded = tmp_path / "recorded"
    for name in ("publish", "equal", "check", "replicate"):
        monkeypatch.setattr(publish, name, partial(getattr(publish, name), figures=figures))
    monkeypatch.setattr(publish, "check", partial(publish.check, recorded=recorded))
    monkeypatch.setattr(workbook, "ASKED", ("count", "names", "label"))
    monkeypatch.setattr(publish, "record", partial(publish.record, folder=recorded))
    monkeypatch.chdir(tmp_path)
    return folder


def environment():
    """Return an environment in which Python finds the package."""
    search = os.pathsep.join([str(paths.ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": search}


def hvae(*arguments):
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "hvae_utils", *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reprodice"], "unknown command 'reprodice'; choose from .* Did you mean 'reproduce'"),
        (["reproduce", "--profil-name", "x"], "unrecognized arguments"),
        (["reproduce", "--profile", "smok"], "unknown profile 'smok'; .* Did you mean 'smoke'"),
        (["reproduce", "--profile", "smoke", "--run-id", "../x"], "no folder name"),
        (["models", "fetch", "smollm"], "unknown local model 'smollm'"),
        (["models", "fech", "x"], "unknown action 'fech'; choose from fetch"),
        (["prompts", "import", "nowhere.py"], "nowhere.py: cannot be read"),
        (["report", "--runs", "/nowhere"], "there is no run in /nowhere yet; hvae reproduce makes"),
        (["prompts", "import", "x.py", "--name", "../x"], "wording name '../x'"),
        (["measure", "a", "--set", "models=b"], "hvae measure asks one model; for several"),
        (["measure", "reference/randm"], "'reference/randm'; .* Did you mean 'reference/random'"),
        (["plan"], "one of --pilot RUN and --sd DEGREES"),
        (["plan", "--sd", "4", "--pilot", "x"], "one of --pilot RUN and --sd DEGREES"),
        (["plan", "--sd", "4", "--margin", "0"], "margin between 0 and 1"),
        (["plan", "--pilot", "x", "--runs", "/nowhere"], "there is no run in /nowhere yet"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, message, capsys):
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("hvae: ")
    assert re.search(message, line)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.UserError("two\nlines"), 2),
        (errors.EndpointError("openai/x: no answer"), 3),
        (errors.WorkbookError("a.ipynb, cell 'c'"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_failure_has_its_exit_code(monkeypatch, capsys, fault, code):
    def fails(*given, **options):
        raise fault

    monkeypatch.setattr(workbook, "reproduce", fails)
    assert cli.main(["reproduce"]) == code
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert f"\n  {code}" in cli.EPILOG


def test_the_command_alone_and_batch_say_how_to_go_on(capsys):
    assert cli.main([]) == 0
    assert "exit codes:" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        cli.main(["batch", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    places = [shown.index(word) for word in ("export STUDY", "upload", "import STUDY", "reproduce")]
    assert places == sorted(places)


def test_our_own_mistakes_keep_their_traceback(monkeypatch):
    def fails(*given, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(workbook, "reproduce", fails)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["reproduce"])


def test_help_and_version_load_nothing_heavy():
    shown = hvae("--help")
    assert shown.returncode == 0
    assert "exit codes:" in shown.stdout
    code = (
        "import sys; from hvae_utils.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'papermill', 'matplotlib', 'yaml', 'openai'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert hvae("--version").stdout.startswith("hvae 0")


def test_a_closed_pipe_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)  # nobody reads, from the first line on
    command = [sys.executable, "-m", "hvae_utils", "prompts"]
    done = subprocess.run(
        command, env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_an_endpoint_wrote_cannot_steer_the_terminal(monkeypatch, capsys):
    hostile = "gpt\x1b[2J\x07\u202e\u009b31m"
    row = {"name": "ollama/x", "ready": True, "missing": "", "about": f"serves {hostile}\nready"}
    monkeypatch.setattr(models, "table", lambda: pd.DataFrame([row]))
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().out == "ollama/x  ready  serves gpt?[2J???31m?ready\n"

    def fails(*given, **options):
        raise errors.EndpointError(f"ollama/x: answered '{hostile}' \u2026")

    monkeypatch.setattr(workbook, "reproduce", fails)
    assert cli.main(["reproduce"]) == 3
    assert capsys.readouterr().err == "hvae: ollama/x: answered 'gpt?[2J???31m' \u2026\n"


def their_file(path):
    """Write a file in the form of the released prompts, in our own words."""
    lines = ["task_prompt = 'Share coins six times.'", "goal_prompt = 'What for?'"]
    lines.append("def gene_task_goal(task_goal='be brief'):")
    tables = instruments.load("svo-slider").payoffs.astype(int).tolist()
    for number, pairs in enumerate(tables, start=1):
        options = dict(zip("ABCDEFGHI", pairs, strict=True))
        shown = "\n".join(f"{sign}: {own}, {other}" for sign, (own, other) in options.items())
        lines.append(f"    q{number}_prompt = f{shown + chr(10) + '({task_goal})'!r}")
        lines.insert(0, f"q{number}_answer = {options}")
    lines.append("    return " + ", ".join(f"q{number}_prompt" for number in range(1, 7)))
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("file", "more", "name"),
    [
        ("plain.py", [], "imported-plain"),
        ("Their Prompts.py", [], "imported-their-prompts"),
        ("imported_theirs.py", [], "imported-theirs"),
        ("x.py", ["--name", "plain"], "imported-plain"),
        ("x.py", ["--name", "imported-mine"], "imported-mine"),
    ],
)
def test_imported_prompts_never_get_a_name_that_would_be_committed(
    tmp_path, monkeypatch, capsys, file, more, name
):
    shutil.copytree(paths.DATA, tmp_path / "data")
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    before = {path.name for path in (tmp_path / "data" / "prompts").iterdir()}
    their_file(tmp_path / file)
    assert cli.main(["prompts", "import", str(tmp_path / file), *more]) == 0
    after = {path.name for path in (tmp_path / "data" / "prompts").iterdir()}
    assert after - before == {f"{name}.toml"}
    assert f"--set wordings={name}" in capsys.readouterr().out
    assert cli.main(["prompts"]) == 0
    assert f"{name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "given", "run_id"),
    [
        ("reference/lapsing", [], "reference-lapsing"),
        ("ollama/phi4:14b", ["--run-id", "mine"], "mine"),
        ("local/models/my model.gguf", [], "my-model.gguf"),
    ],
)
def test_measure_takes_the_default_design_with_one_model_and_says_its_verdict(
    tmp_path, monkeypatch, capsys, model, given, run_id
):
    asked = []

    def reproduce(*study, runs, run_id, report):
        asked.append((*study, run_id))
        return Run(run_id, finished_run.make(Path(runs) / run_id, (model,)).parent)

    monkeypatch.setattr(workbook, "reproduce", reproduce)
    command = ["measure", model, "--set", "repeats=2", "--runs", str(tmp_path), *given]
    assert cli.main(command) == 0
    settings = [f"models={model}", "goal_wordings=0", "repeats=2"]
    assert asked == [("default", settings, run_id)]
    verdict, where = capsys.readouterr().out.splitlines()
    assert " the value it is told to hold: without goal prompt it moves by " in verdict
    assert where == f"the report is {tmp_path / run_id / 'report.html'}"
    assert (tmp_path / run_id / "report.html").is_file()


def test_a_plan_takes_an_assumed_spread_or_those_of_a_pilot(tmp_path, capsys):
    assert cli.main(["plan", "--sd", "8"]) == 0
    assert capsys.readouterr().out == "SD 8.0 degrees, margin 10%: 15 wordings\n"
    finished_run.make(tmp_path / "pilot", ("ollama/m",))
    pilot = ["plan", "--pilot", "pilot", "--runs", str(tmp_path), "--margin", "0.05"]
    assert cli.main(pilot) == 0
    without, with_goal = capsys.readouterr().out.splitlines()
    assert without.startswith("ollama/m, without goal prompt: SD 3.0 degrees, margin 5%: ")
    assert with_goal.startswith("ollama/m, with goal prompt: SD 3.0 degrees, margin 5%: ")


def test_models_and_prompts_are_listed(capsys):
    assert cli.main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "reference/faithful" in listed
    assert "ready" in listed
    assert cli.main(["prompts"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} >= {"plain"}


def test_figures_are_published_by_publish_and_by_reproduce_only_where_there_are_none(
    book, capsys, tmp_path, monkeypatch
):
    figures, place = tmp_path / "figures", ["--runs", "runs"]
    command = ["reproduce", "--profile", "tiny", *place]
    assert cli.main(command) == 0
    assert "there were none published" in capsys.readouterr().out
    assert (figures / "01_tiny.svg").is_file()
    assert cli.main(["check", "--run-id", "tiny", *place]) == 0
    assert "0 differences" in capsys.readouterr().out

    (figures / "01_tiny.csv").write_text("changed since")
    assert cli.main(command) == 0
    assert re.search(r"figures in .*figures; 5 of 6 published files", capsys.readouterr().out)
    assert (figures / "01_tiny.csv").read_text() == "changed since"
    assert cli.main(["check", "--run-id", "tiny", *place]) == 4
    assert cli.main(["replicate"]) == 0
    assert "1 of 6 files differ" in capsys.readouterr().out

    nobody = pd.DataFrame({"model": pd.Series(dtype=str)})
    nobody.to_parquet(tmp_path / "runs" / "tiny" / "conditions.parquet")
    (tmp_path / "runs" / "tiny" / "records.jsonl").touch()
    assert cli.main(["publish", "--run-id", "tiny", *place]) == 0
    assert (figures / "01_tiny.csv").read_text() != "changed since"
    assert bundle.read(tmp_path / "recorded" / "tiny.zip").manifest["profile"] == "tiny"


def test_publish_refuses_a_run_that_is_not_for_it(book, capsys, tmp_path):
    for run_id, message in (("none", "there is no run"), ("mine", "'tiny' with changes")):
        if run_id == "mine":
            changed = ["--set", "count=3", "--run-id", run_id]
            assert cli.main(["reproduce", "--profile", "tiny", "--runs", "runs", *changed]) == 0
        assert cli.main(["publish", "--run-id", run_id, "--runs", "runs"]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()
    assert not (tmp_path / "recorded").exists()


def test_check_with_differences_is_exit_4(monkeypatch):
    monkeypatch.setattr(publish, "check", lambda **options: False)
    assert cli.main(["check"]) == 4


@pytest.mark.parametrize(("given", "code"), [([], 6), (["--max-errors", "0.7"], 0)])
def test_a_run_in_which_most_items_failed_is_exit_6_and_publishes_nothing(
    book, monkeypatch, tmp_path, given, code
):
    monkeypatch.setattr(Run, "error_share", lambda run: 0.6)
    command = ["reproduce", "--profile", "tiny", "--runs", "runs", *given]
    assert cli.main(command) == code
    assert (tmp_path / "figures").exists() == (code == 0)
    assert "\n  6" in cli.EPILOG
    assert cli.main([*command, "--max-errors", "7"]) == 2


def test_a_failed_notebook_publishes_nothing(book, capsys, tmp_path):
    tiny.notebook(book / "a.ipynb", ["1 / 0"], tiny.PARAMETERS["a"])
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "01_old.svg").write_text("<svg/>")
    assert cli.main(["reproduce", "--profile", "tiny", "--runs", "runs"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("hvae: a.ipynb, cell 'c0': ZeroDivisionError: division by zero")
    assert len(said.err.splitlines()) == 1
    assert [path.name for path in figures.iterdir()] == ["01_old.svg"]


def test_what_is_not_to_be_published_stays_in_its_run(monkeypatch, capsys, tmp_path):
    def reproduce(*given, **options):
        fields = {name: kind() for name, kind in manifest.FIELDS.items() if isinstance(kind, type)}
        manifest.write(tmp_path, {**fields, "lock_sha256": None, "publish": False})
        return Run(tmp_path.name, tmp_path.parent)

    monkeypatch.setattr(workbook, "reproduce", reproduce)
    monkeypatch.setattr(publish, "publish", lambda run: pytest.fail("published"))
    assert cli.main(["reproduce", "--set", "repeats=1"]) == 0
    assert f"figures in {tmp_path / 'figures'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("http://127.0.0.1:9/v1", 3, "openai/x: nothing answers at http://127.0.0.1:9/v1; start"),
        ("http://127.0.0.1:abc/v1", 2, "openai/x: OPENAI_BASE_URL is no URL of a server"),
    ],
)
def test_an_address_where_no_server_can_be_asked_is_named_before_anything_runs(
    tmp_path, capsys, monkeypatch, url, code, message
):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    given = ["--profile", "smoke", "--set", "models=reference/random,openai/x"]
    assert cli.main(["reproduce", *given, "--runs", str(tmp_path / "runs")]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hvae: {message}")
    assert not (tmp_path / "runs").exists()


def test_an_endpoint_that_cannot_be_reached_is_named_with_what_is_safe(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr(models, "require_servers", lambda names: None)  # it was there a moment ago
    settings = ["models=reference/random,openai/gone", "repeats=1", "values=altruistic,none"]
    chosen = [part for setting in settings for part in ("--set", setting)]
    code = cli.main(["reproduce", "--profile", "smoke", "--runs", str(tmp_path), *chosen])
    said = capsys.readouterr().err
    assert code == 3
    assert "openai/gone: cannot reach http://127.0.0.1:9/v1" in said
    assert "records are safe, run the same study again to continue" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("verb", ["bundle", "check", "report", "estimate"])
def test_every_verb_looks_for_a_run_where_its_user_stands(tmp_path, monkeypatch, verb):
    folders = []

    def far_enough(run, *names):
        folders.append(run.folder)
        raise UserError("far enough")

    monkeypatch.setattr(Run, "manifest", property(far_enough))
    monkeypatch.setattr(Run, "has", far_enough)
    monkeypatch.chdir(tmp_path)
    assert cli.main([verb, "--runs", "mine", "--run-id", "r"]) == 2
    assert folders == [tmp_path / "mine" / "r"]
