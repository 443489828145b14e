"""06_explore in JupyterLab, in a real browser, by mouse and keyboard and without typing code.

From `make lab` to one's own point on the ring it takes nine steps: open the notebook, Run, Run All
Cells, and move six sliders. The functions below take them in this order, as a newcomer would.
"""

import json
import re
import shutil
import statistics

import pytest

from hvae_utils import paths
from hvae_utils.ask import models
from hvae_utils.errors import UserError

EMBEDDED = "local/smollm2-135m-instruct"
LAPTOP = {"width": 1366, "height": 768}
QUIET = 150  # milliseconds after which a picture is taken to be whole

# From the key to the frame in which the last of what it changed is drawn.
STOPWATCH = """panel => {
    let pressed = 0;
    window.redraw = 0;
    panel.addEventListener("keydown", () => { pressed = performance.now(); }, true);
    new MutationObserver(seen => {
        if (!seen.some(change => change.target.closest?.(".widget-html"))) return;
        requestAnimationFrame(() => { window.redraw = performance.now() - pressed; });
    }).observe(panel, {childList: true, subtree: true});
}"""


@pytest.fixture(scope="module")
def desk(page, lab, run, tmp_path_factory):
    """Return the page on the first notebook, as `make lab` leaves it, beside a finished run."""
    project = tmp_path_factory.mktemp("project")
    folder = project / "notebooks"
    folder.mkdir()
    shutil.copy(paths.NOTEBOOKS / "00_overview.ipynb", folder)
    text = (paths.NOTEBOOKS / "06_explore.ipynb").read_text(encoding="utf-8")
    assert text.count('runs = \\"runs\\"') == 1
    here = json.dumps(json.dumps(str(run.parent)))[1:-1]
    text = text.replace('runs = \\"runs\\"', f"runs = {here}")
    (folder / "06_explore.ipynb").write_text(text, encoding="utf-8")
    page.set_viewport_size(LAPTOP)
    page.goto(lab(project).format("notebooks/00_overview.ipynb"))
    page.get_by_role("heading", name="00 · Overview").wait_for()
    return page


@pytest.fixture(scope="module")
def explored(desk):
    """Return the page with every cell of 06_explore run; three steps, counted in `steps`."""
    desk.steps = 0
    desk.get_by_role("listitem", name=re.compile("06_explore")).dblclick()
    desk.steps += 1
    desk.wait_for_function(
        "window.jupyterapp?.shell.currentWidget?.context?.path === 'notebooks/06_explore.ipynb'"
        " && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
    )
    for menu, entry in (("#jp-MainMenu", "Run"), (".lm-Menu", "Run All Cells")):
        desk.locator(menu).get_by_role("menuitem", name=entry, exact=True).click()
        desk.steps += 1
    desk.wait_for_function(FINISHED)
    return desk


# Every code cell has been run and none is waiting.
FINISHED = """() => {
    const cells = jupyterapp.shell.currentWidget.content.model.sharedModel.cells;
    const code = cells.filter(cell => cell.cell_type === "code");
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    return kernel.status === "idle" && code.every(cell => cell.execution_count);
}"""
ERRORS = """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells
    .filter(cell => cell.cell_type === "code").flatMap(cell => cell.outputs)
    .filter(output => output.output_type === "error").map(output => output.evalue)"""


def panel(page, name):
    """Return a panel of the notebook, brought into view; cells out of sight are not drawn."""
    found = page.locator(f".{name}")
    page.evaluate(
        """async name => {
            const book = jupyterapp.shell.currentWidget.content;
            const at = book.widgets.findIndex(cell => cell.model.id === name);
            await book.scrollToItem(at, "start");
        }""",
        name.removeprefix("hvae-") + "-panel",
    )
    drawn = found.filter(has_text=re.compile(r"\S"))  # its widgets are drawn after its frame
    for _ in range(2):  # scrolling can take a cell out of the page and draw it again
        drawn.wait_for()
        page.wait_for_timeout(QUIET)
    return found


def test_a_first_start_asks_nothing_and_looks_for_no_news(explored):
    assert explored.evaluate(
        "jupyterapp.isPluginActivated('@jupyterlab/apputils-extension:notification')"
    )
    assert explored.evaluate("document.body.innerText.includes('Jupyter news')") is False
    assert (
        explored.locator(".jp-Notification-Toast, .jp-toastContainer .Toastify__toast").count() == 0
    )


def test_every_cell_runs_without_an_error(explored):
    assert explored.evaluate(ERRORS) == []


def test_a_newcomer_reaches_their_own_point_in_nine_steps_and_without_scrolling(explored):
    measure = explored.locator(".hvae-measure")
    explored.wait_for_function(  # the page stands at its last cell for a moment
        "document.querySelector('.hvae-measure')?.getBoundingClientRect().bottom > 0"
    )
    missing = measure.get_by_text("Still to answer")
    missing.wait_for()
    before = measure.bounding_box()["y"]
    for k in range(6):
        slider = measure.get_by_role("slider").nth(k)
        assert in_view(slider)
        slider.focus()
        explored.keyboard.press("End")  # the ninth option
        explored.steps += 1
    measure.locator(".hvae-angle").wait_for()
    assert explored.steps == 9
    # always the ninth option: mean payoffs (81.7, 58.3), so 14.7 degrees by hand
    assert measure.locator(".hvae-angle").inner_text() == "14.7°"
    assert measure.locator(".hvae-category").inner_text() == "individualistic"
    missing.wait_for(state="hidden")
    ring = measure.get_by_role("img", name="A ring of angles")
    assert in_view(ring)
    assert measure.bounding_box()["y"] == before
    right_of_sliders = measure.get_by_role("slider").first.bounding_box()
    assert ring.bounding_box()["x"] > right_of_sliders["x"] + right_of_sliders["width"]


def in_view(place):
    """Tell whether all of an element lies between the toolbar and the status bar."""
    box = place.bounding_box()
    return box["y"] > 90 and box["y"] + box["height"] < LAPTOP["height"] - 25


def test_in_a_narrow_window_the_numbers_of_the_bars_keep_their_size(explored):
    explored.set_viewport_size({"width": 640, "height": 768})
    measure = panel(explored, "hvae-measure")
    number = measure.locator("svg text").first
    number.wait_for()
    drawn = number.bounding_box()["height"]
    explored.set_viewport_size(LAPTOP)
    assert drawn >= 10


@pytest.mark.parametrize("name", ["hvae-measure", "hvae-flip", "hvae-noise"])
def test_a_picture_follows_every_move_of_its_slider(explored, name):
    place = panel(explored, name)
    place.evaluate(STOPWATCH)
    place.get_by_role("slider").first.focus()
    waits = redraws(explored)
    print(f"{name}: median of {len(waits)} moves in ms: {statistics.median(waits):.0f}")
    assert min(waits) > 0


def redraws(page):
    """Return milliseconds from key to picture of twelve moves of the slider in focus."""
    page.keyboard.press("Home")
    waits = []
    for key in ["ArrowRight"] * 4 + ["ArrowLeft"] * 4 + ["ArrowRight"] * 4:
        page.wait_for_timeout(QUIET)
        page.evaluate("window.redraw = 0")
        page.keyboard.press(key)
        page.wait_for_function("window.redraw")
        page.wait_for_timeout(QUIET)
        waits.append(page.evaluate("window.redraw"))
    return waits


@pytest.mark.parametrize("name", ["measure", "flip", "watch", "noise", "design"])
def test_axe_finds_nothing_in_a_panel_but_the_sliders_of_ipywidgets(explored, name):
    panel(explored, f"hvae-{name}")
    found = against_wcag(explored, {"include": [f".hvae-{name}"], "exclude": [".noUi-handle"]})
    assert found.violations_count == 0, found.generate_report()
    # a slider has no name, which only ipywidgets could give it; what holds the same number has one
    fields = panel(explored, f"hvae-{name}").locator("input:visible, select:visible")
    assert fields.count() >= 1


def against_wcag(page, context):
    from axe_playwright_python.sync_playwright import Axe

    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    return Axe().run(page, context=context, options={"runOnly": levels})


def test_the_measure_can_be_taken_by_named_lists_and_the_keyboard_alone(explored):
    measure = panel(explored, "hvae-measure")
    measure.get_by_label("Lists instead of sliders").focus()
    explored.keyboard.press("Space")
    for item in range(1, 7):
        measure.get_by_label(f"Item {item}", exact=True).focus()
        explored.keyboard.press("Home")
        explored.keyboard.press("ArrowDown")  # the first option
        explored.keyboard.press("Tab")
    measure.get_by_text("30.5°", exact=True).wait_for()  # always A: 30.47 degrees
    assert explored.evaluate("document.activeElement.closest('.hvae-measure') !== null")
    measure.get_by_label("Nine more items").focus()
    explored.keyboard.press("Space")
    measure.get_by_label("Item 15", exact=True).wait_for()
    found = against_wcag(explored, {"include": [".hvae-measure"]})
    assert found.violations_count == 0, found.generate_report()
    for box in ("Lists instead of sliders", "Nine more items"):
        measure.get_by_label(box).uncheck()


def test_the_embedded_model_is_watched_for_one_item_and_stopped(explored):
    try:
        models.require([EMBEDDED])
    except UserError as missing:
        pytest.skip(str(missing))
    watch = panel(explored, "hvae-watch")
    watch.get_by_role("combobox").first.fill(EMBEDDED)
    explored.keyboard.press("Tab")
    watch.get_by_role("button", name="Ask").click()
    watch.locator("caption", has_text="Items so far").wait_for()
    watch.get_by_role("button", name="Stop").click()
    watch.get_by_role("button", name="Ask").and_(explored.locator(":enabled")).wait_for()
    assert watch.locator("tbody tr").count() >= 1
    assert watch.locator("svg[role=img]").count() >= 2
    assert watch.get_by_role("alert").count() == 0


def test_a_model_that_is_not_there_is_one_sentence_in_its_panel(explored):
    watch = panel(explored, "hvae-watch")
    watch.get_by_role("combobox").first.fill("reference/nobody")
    explored.keyboard.press("Tab")
    watch.get_by_role("button", name="Ask").click()
    watch.get_by_role("alert").wait_for()
    assert "reference/nobody" in watch.get_by_role("alert").inner_text()


def test_text_in_a_number_field_and_markup_in_a_definition_do_no_harm(explored):
    design = panel(explored, "hvae-design")
    number = design.get_by_label("Number")
    number.fill("much")
    explored.keyboard.press("Tab")
    design.get_by_role("alert").wait_for()
    number.fill("0.5")
    design.locator("textarea").fill('<img src="x" onerror="window.harmed = true"> & more')
    explored.keyboard.press("Tab")
    explored.wait_for_timeout(500)
    assert not explored.evaluate("window.harmed")


def test_nothing_went_wrong_anywhere_and_nobody_else_was_asked(explored):
    assert explored.evaluate(ERRORS) == []
    assert "Traceback" not in explored.locator("body").inner_text()
    assert explored.heard == []
