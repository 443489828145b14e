"""The notebooks read as lessons, declare what they do, and each opens alone."""

import ast
import json
import re
import statistics
import subprocess
import sys

import nbformat
import pandas as pd
import pytest

from hvae_utils import paths
from hvae_utils.ask import reference
from hvae_utils.run import runner, workbook
from hvae_utils.run.run import Run
from tests.support.indiscreet import PLAIN

NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("[0-9]*.ipynb"))
STEPS = {step.name: step for step in workbook.STEPS}
COMPUTING = [path for path in NOTEBOOKS if STEPS[path.stem].parameters]


def every(paths_of):
    return pytest.mark.parametrize("path", paths_of, ids=[path.stem for path in paths_of])


def cells(path, kind):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == kind]


def code_lines(cell):
    return [line for line in cell.source.split("\n") if line.strip()]


def is_prose(cell):
    """Say whether a cell is text: Markdown, or sentences that depend on who was asked."""
    return cell.cell_type == "markdown" or cell.source.startswith("findings.notes(")


def test_every_step_of_the_graph_has_its_notebook_and_no_notebook_stands_outside():
    assert [path.stem for path in NOTEBOOKS] == [step.name for step in workbook.STEPS]


@every(NOTEBOOKS)
def test_declared_parameters_are_the_notebooks_own(path):
    runner.contract(STEPS[path.stem], path)


@every(COMPUTING)
def test_declared_reads_and_writes_are_those_in_the_cells(path):
    step = STEPS[path.stem]
    code = "\n".join(cell.source for cell in cells(path, "code"))
    read = set(re.findall(r'step\.read\("([^"]+)"', code))
    written = set(re.findall(r'step\.write\("([^"]+)"', code))
    written |= {f"{name}/" for name in re.findall(r'step\.folder\("([^"]+)"', code)}
    opened = set(re.findall(r'step\.path\("([^"]+)"', code))
    assert read == set(step.reads)
    assert written | opened == set(step.writes)


@every(COMPUTING)
def test_the_intro_names_the_files_that_are_read_and_written(path):
    intro = cells(path, "markdown")[0].source
    for name in (*STEPS[path.stem].reads, *STEPS[path.stem].writes):
        assert f"`{name}`" in intro


@every(NOTEBOOKS)
def test_sources_are_stripped_and_cells_have_names_of_their_own(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
        assert set(cell["metadata"]) <= {"tags"}


@every(COMPUTING)
def test_each_parameter_is_used(path):
    used = set()
    for cell in cells(path, "code"):
        nodes = ast.walk(ast.parse(cell.source))
        used |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    assert set(STEPS[path.stem].parameters) <= used


@every(NOTEBOOKS)
def test_the_budget_of_code_and_prose_holds(path):
    sizes = [
        len(code_lines(cell))
        for cell in cells(path, "code")
        if not is_prose(cell) and "parameters" not in cell.metadata.get("tags", [])
    ]
    words = sum(len(cell.source.split()) for cell in nbformat.read(path, 4).cells if is_prose(cell))
    assert statistics.median(sizes) <= 4
    assert sorted(sizes)[int(0.9 * (len(sizes) - 1))] <= 10
    assert max(sizes) <= 20
    assert words >= 8 * sum(sizes)


@every(NOTEBOOKS)
def test_nothing_reaches_out_of_the_notebook(path):
    for cell in cells(path, "code"):
        ast.parse(cell.source)  # no magics, no shell
        for forbidden in ("os.chdir", "../", "/home", "api_key", "%store", "input("):
            assert forbidden not in cell.source


@every(NOTEBOOKS)
def test_it_is_told_as_a_lesson(path):
    prose = [cell.source for cell in cells(path, "markdown")]
    assert prose[0].startswith("# ")
    assert "**Goals.**" in prose[0]
    goals = re.findall(r"^\d\. ", prose[0], flags=re.M)
    assert len(goals) == 3
    assert prose[-1].startswith("## What you have now")
    assert "minutes" in prose[0]


@every(COMPUTING)
def test_it_ends_with_outputs_then_checks(path):
    names = [cell.id for cell in cells(path, "code")]
    assert names[0] == "parameters"
    assert names[-2:] == ["write-outputs", "checks"]
    assert "assert " in cells(path, "code")[-1].source


@every(NOTEBOOKS)
def test_every_code_cell_is_introduced_by_prose_or_follows_its_figure(path):
    before = None
    for cell in nbformat.read(path, 4).cells:
        if before is not None and not is_prose(cell) and not is_prose(before):
            assert (
                before.id in ("parameters", "setup", "measures") or "figures.save(" in before.source
            )
        before = cell


@every(NOTEBOOKS)
def test_links_lead_to_files_that_exist(path):
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)]+)\)", cell.source):
            file = path.parent / target.partition("#")[0]
            assert target.startswith("https://") or file.is_file()


def test_every_figure_is_saved_once_under_a_number_of_its_own():
    code = "\n".join(cell.source for path in NOTEBOOKS for cell in cells(path, "code"))
    saved = re.findall(r'figures\.save\(figures\.\w+, \w+, folder, "(\d\d)_\w+"\)', code)
    assert len(saved) == code.count("figures.save(")
    assert sorted(saved) == [f"{number:02}" for number in range(1, 24)]
    assert "style.save(" not in code


def test_every_figure_has_a_short_title_a_caption_and_an_alternative_text(indiscreet):
    index = json.loads((indiscreet.run / "figures" / "index.json").read_text(encoding="utf-8"))
    assert len(index) == 22  # all but figure 20, as nobody thinks first
    for entry in index:
        assert len(entry["title"]) <= 72, f"the caption's first sentence is the title: {entry}"
        assert len(entry["caption"]) > len(entry["title"]) + 20
        assert len(entry["alt"]) > 40


def test_the_study_of_a_notebook_opened_alone_has_all_that_its_text_speaks_of():
    step = STEPS["01_value_assignment"]
    defaults = runner.contract(step, paths.NOTEBOOKS / f"{step.name}.ipynb")
    assert set(defaults["models"]) < {f"reference/{name}" for name in reference.POLICIES}
    assert (len(defaults["wordings"]), defaults["orders"]) == (9, ["latin"])


def test_a_name_of_a_parameter_has_one_meaning_everywhere():
    meanings = {}
    for path in COMPUTING:
        for line in code_lines(cells(path, "code")[0]):
            if " = " in line:  # the rest of a literal of several lines has none
                name, said = line.split(" = ")[0], line.rsplit("# ", 1)[1]
                assert meanings.setdefault(name, said) == said


def test_a_notebook_opened_alone_by_plain_papermill_makes_what_it_reads(tmp_path):
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "--kernel", "python3", "--no-progress-bar"]
    command += [str(paths.NOTEBOOKS / "02_game_play.ipynb"), str(out)]
    command += ["-p", "runs", str(tmp_path), "-p", "run_id", "interactive"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    written = {path.name for path in (tmp_path / "interactive").iterdir()}
    assert {"conditions.parquet", "records.jsonl", "responses.parquet"} <= written
    assert "ran 01_value_assignment" in out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_smoke_workbook_runs_end_to_end(tmp_path):
    run = workbook.reproduce("smoke", runs=tmp_path).folder
    drawn = {path.suffix for path in (run / "figures").iterdir()}
    assert drawn == {".svg", ".png", ".csv", ".json"}
    vr = pd.read_csv(run / "value_rationality.csv").set_index(["model", "value"]).vr
    assert vr["reference/faithful"].dropna().to_numpy() == pytest.approx(60)
    assert len(list((run / "notebooks").glob("*.ipynb"))) == len(NOTEBOOKS)


def test_the_whole_workbook_leaves_figures_notebooks_and_what_a_faithful_respondent_scores(
    indiscreet,
):
    drawn = {path.suffix for path in (indiscreet.run / "figures").iterdir()}
    assert drawn == {".svg", ".png", ".csv", ".json"}
    vr = pd.read_csv(indiscreet.run / "value_rationality.csv").set_index(["model", "value"]).vr
    assert vr["reference/faithful"].dropna().to_numpy() == pytest.approx(60)
    assert len(list((indiscreet.run / "notebooks").glob("*.ipynb"))) == len(NOTEBOOKS)


def test_the_workbook_runs_on_an_endpoint_without_token_probabilities(indiscreet):
    items = [body for body in indiscreet.asked if body["model"] == "plain"]
    items = [body for body in items if body["max_tokens"] <= 24]
    assert "top_logprobs" in items[0]
    assert "top_logprobs" not in items[-1], "what the endpoint refuses is not sent again"
    conditions = pd.read_parquet(indiscreet.run / "conditions.parquet")
    plain = conditions.condition_id[conditions.model == PLAIN]
    responses = pd.read_parquet(indiscreet.run / "responses.parquet")
    responses = responses[responses.condition_id.isin(plain)]
    assert set(responses.method) == {"text"}
    assert responses.covered_mass.isna().all()
    scored = pd.read_csv(indiscreet.run / "value_rationality.csv").set_index("model").scored
    assert set(scored[PLAIN]) == {0}


def sentences(run):
    """Return what a finished run says: by place, the outputs, the prose of results, the report."""
    said = {}
    for path in NOTEBOOKS:
        ran = nbformat.read(run.path("notebooks") / path.name, 4)
        outputs = [output for cell in ran.cells for output in cell.get("outputs", ())]
        texts = [output.get("data", {}).get("text/markdown", "") for output in outputs]
        texts += [output.get("text", "") for output in outputs if output.get("name") == "stdout"]
        if path.stem[:2] in ("03", "04", "05"):  # notebooks of results; the others explain
            texts += [cell.source for cell in cells(path, "markdown")]
        said[path.stem] = "\n".join(texts)
    for entry in run.read("figures/index.json"):
        said[entry["slug"]] = f"{entry['caption']} {entry['alt']}"
    said["report"] = re.sub(r"<style>.*?</style>", "", run.report().read_text("utf-8"), flags=re.S)
    return said


def absent(run, text):
    """Return the reference respondents that a text names and the run did not ask."""
    asked = {model.rpartition("/")[2] for model in (*run.conditions.model, *run.games.model)}
    names = set(reference.POLICIES) - asked
    marked = {name: rf"`{name}`|reference/{name}" for name in ("random", "mixture")}  # plain words
    return {name for name in names if re.search(marked.get(name, rf"\b{name}\b"), text)}


def test_no_sentence_of_a_run_names_a_respondent_that_was_not_asked(indiscreet):
    run = Run(indiscreet.run.name, indiscreet.run.parent)
    found = {place: absent(run, text) for place, text in sentences(run).items()}
    assert {place: names for place, names in found.items() if names} == {}


@pytest.mark.slow
def test_no_sentence_of_a_study_of_one_respondent_names_another(tmp_path):
    design = ["models=reference/lapsing", "wordings=plain,formal,brief", "orders=fixed"]
    run = workbook.reproduce("smoke", design, runs=tmp_path)
    said = sentences(run)
    found = {place: absent(run, text) for place, text in said.items()}
    assert {place: names for place, names in found.items() if names} == {}
    assert "lapsing" in said["03_metric_computation"]


@pytest.mark.slow
def test_a_study_without_an_assigned_value_runs_through_the_tables_and_figures(tmp_path):
    study = {"models": ["reference/random"], "values": ["none"], "repeats": 1}
    for name in list(STEPS)[1:5]:
        scope = {}
        for cell in cells(paths.NOTEBOOKS / f"{name}.ipynb", "code"):
            exec(cell.source, scope)
            if "parameters" in cell.metadata.get("tags", []):
                scope |= {key: study[key] for key in study if key in scope}
                scope |= {"runs": str(tmp_path), "run_id": "none"}
    drawn = {path.name[:2] for path in (tmp_path / "none" / "figures").glob("*.png")}
    assert drawn == {"01", "02", "04", "05", "07", "08", "18"}
