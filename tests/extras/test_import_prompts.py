"""A file in the form of the released prompts becomes a pack, without being run and only if right.

The files are written here, in our own words; only their form is that of the release.
"""

import tomllib
from pathlib import Path

import pytest

from hvae_utils import __main__ as cli
from hvae_utils import paths
from hvae_utils.ask import prompts
from hvae_utils.errors import UserError
from hvae_utils.extras.import_prompts import MAX_BYTES, import_prompts
from hvae_utils.measure import instruments, values

SVO, SECONDARY = (instruments.load(name) for name in ("svo-slider", "svo-slider-secondary"))
COMPETITIVE, NONE = values.get("competitive"), values.get("none")
TASK = "Six rounds will come. Coins for you, coins for someone invented."
ASK = "What are you after?"
FIXED = "behave as agreed and be brief"


def options(row, separator="\n"):
    pairs = zip("ABCDEFGHI", SVO.payoffs[row].astype(int), strict=True)
    return separator.join(f"{letter}: {own}, {other}" for letter, (own, other) in pairs)


def item_text(row, goal, separator="\n"):
    """The text of an item of the file below, as running the file would have made it."""
    return f"Round {row + 1}.{separator}{options(row, separator)}{separator}With '{goal}' in mind?"


def release(default=f"'{FIXED}'", separator="\n"):
    """A Python file in the form of the release."""
    lines = [f"task_prompt = {TASK!r}", f"goal_prompt = {ASK!r}", ""]
    lines.append(f"def gene_task_goal(task_goal{'=' + default if default else ''}):")
    for row in range(6):
        text = item_text(row, "{task_goal}", separator)
        lines.append(f"    q{row + 1}_prompt = f{text!r}")
    lines.append("    return " + ", ".join(f"q{row + 1}_prompt" for row in range(6)))
    lines.append("")
    for row in range(6):
        pairs = dict(zip("ABCDEFGHI", SVO.payoffs[row].astype(int).tolist(), strict=True))
        lines.append(f"q{row + 1}_answer = {pairs}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """Import a source text into an own project; returns the pack as it is loaded afterwards."""
    folder = tmp_path / "data" / "prompts"
    folder.mkdir(parents=True)
    (folder / "plain.toml").write_bytes((paths.DATA / "prompts" / "plain.toml").read_bytes())
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")

    def bring(source, name="imported-theirs"):
        path = tmp_path / "theirs.py"
        path.write_bytes(source if isinstance(source, bytes) else source.encode("utf-8"))
        out = import_prompts(path, SVO, folder / f"{name}.toml")
        return prompts.load(out.stem)

    bring.folder = folder
    return bring


def refused(bring, source, message):
    with pytest.raises(UserError, match=message) as caught:
        bring(source)
    assert "\n" not in str(caught.value)
    assert "theirs.py" in str(caught.value)
    assert [path.name for path in bring.folder.iterdir()] == ["plain.toml"]


def test_an_imported_pack_says_what_running_the_file_would_have_said(brought):
    pack = brought(release())
    scope = {}
    exec(release(), scope)  # our own text, written above
    for row, run in enumerate(scope["gene_task_goal"]("win a prize")):
        shown = prompts.present(SVO, row)
        assert prompts.item_text(pack, COMPETITIVE, SVO, shown, "win a prize") == run
    for row, run in enumerate(scope["gene_task_goal"]()):
        assert prompts.item_text(pack, COMPETITIVE, SVO, prompts.present(SVO, row)) == run
    assert prompts.goal_text(pack, COMPETITIVE, SVO) == f"{TASK}\n{ASK}"


def test_what_the_file_lacks_comes_from_our_pack_and_the_source_says_so(brought):
    pack, ours = brought(release()), prompts.load("plain")
    assert prompts.describe_text(pack, COMPETITIVE) == prompts.describe_text(ours, COMPETITIVE)
    shown = prompts.present(SVO, 0)
    assert prompts.reminder_text(pack, shown) == prompts.reminder_text(ours, shown)
    assert "theirs.py" in pack.source
    assert "'plain'" in pack.source
    assert pack.instrument == "svo-slider"


def test_reading_a_file_runs_nothing_of_it(brought, tmp_path):
    marker = tmp_path / "marker"
    hostile = (
        f"import os, pathlib\npathlib.Path({str(marker)!r}).touch()\n"
        f"os.system('touch {marker}')\n{release()}"
        f"os.remove({str(tmp_path / 'theirs.py')!r})\nraise SystemExit(3)\n"
    )
    pack = brought(hostile)
    assert pack.items is not None
    assert not marker.exists()
    assert (tmp_path / "theirs.py").exists()


@pytest.mark.parametrize(
    "payload",
    [
        "task_prompt = __import__('pathlib').Path({marker!r}).touch() or 'x'",
        "task_prompt = f\"{{__import__('pathlib').Path({marker!r}).touch()}}\"",
        "task_prompt = 'x' + str(open({marker!r}, 'w'))",
    ],
)
def test_code_in_the_place_of_a_text_is_refused_and_not_run(brought, tmp_path, payload):
    marker = str(tmp_path / "marker")
    source = release().replace(f"task_prompt = {TASK!r}", payload.format(marker=marker))
    refused(brought, source, r"line 1: .* is not a text")
    assert not Path(marker).exists()


@pytest.mark.parametrize(
    "text",
    [
        "quotes \" ' \"\"\" '''",
        "back\\slash, \\n two characters, \t tab",
        "Größe, 目标, 🪙, \x7f, \x01, \u2028",
        "braces { } {{x}} {value} {goal}",
        "line\r\nline\rline",
    ],
)
def test_any_text_survives_the_way_into_a_pack(brought, text):
    source = release().replace(repr(TASK), ascii(text))
    assert prompts.goal_text(brought(source), NONE, SVO) == f"{text}\n{ASK}"


def test_a_file_whose_line_breaks_are_two_characters_keeps_them(brought):
    pack = brought(release(separator="\\n"))
    text = prompts.item_text(pack, COMPETITIVE, SVO, prompts.present(SVO, 0), "x")
    assert text == item_text(0, "x", "\\n")
    assert "\n" not in text


def test_joined_added_and_annotated_texts_are_read(brought):
    first = "Round 1.\n" + options(0) + "\n"
    source = release().replace(
        f"q1_prompt = f{item_text(0, '{task_goal}')!r}",
        f"q1_prompt = {first!r} 'With ' + f\"'{{task_goal}}\" \"'\" + ' in mind?'",
    )
    source = source.replace("goal_prompt = ", "goal_prompt: str = ")
    pack = brought("\ufeff# -*- coding: utf-8 -*-\r\n" + source.replace("\n", "\r\n"))
    assert prompts.item_text(pack, NONE, SVO, prompts.present(SVO, 0), "my aim") == item_text(
        0, "my aim"
    )


def test_a_goal_is_filled_in_once_and_literally(brought):
    pack = brought(release())
    text = prompts.item_text(pack, NONE, SVO, prompts.present(SVO, 0), "{goal} {x} \\1")
    assert text == item_text(0, "{goal} {x} \\1")


def test_doubled_braces_of_the_file_are_braces_and_stay(brought):
    pack = brought(release().replace("Round 1.", "Round {{1}}."))
    text = prompts.item_text(pack, NONE, SVO, prompts.present(SVO, 0), "x")
    assert text.startswith("Round {1}.")


@pytest.mark.parametrize("default", ["", "None", "''", "' '", "TEXT"])
def test_without_a_text_as_default_our_reminder_stands_for_the_goal(brought, default):
    pack = brought(release(default=default))
    reminder = prompts.load("plain").say("keep_value", value="competitive")
    text = prompts.item_text(pack, COMPETITIVE, SVO, prompts.present(SVO, 0))
    assert text == item_text(0, reminder)
    assert prompts.item_text(pack, NONE, SVO, prompts.present(SVO, 0)) == item_text(0, "")


def test_a_default_that_names_the_value_is_given_the_word_and_left_out_for_none(brought):
    pack = brought(release(default="'be a {value} one'"))
    shown = prompts.present(SVO, 0)
    assert prompts.item_text(pack, COMPETITIVE, SVO, shown) == item_text(0, "be a competitive one")
    assert prompts.item_text(pack, NONE, SVO, shown) == item_text(0, "")


def test_an_imported_pack_keeps_its_options_order_letters_and_instrument(brought):
    pack = brought(release())
    for instrument, shown in (
        (SVO, prompts.present(SVO, 0, order=range(8, -1, -1))),
        (SVO, prompts.present(SVO, 0, labels="123456789")),
        (SECONDARY, prompts.present(SECONDARY, 0)),
    ):
        with pytest.raises(UserError, match="imported-theirs"):
            prompts.item_text(pack, NONE, instrument, shown)
    with pytest.raises(UserError, match="svo-slider-secondary"):
        prompts.goal_text(pack, NONE, SECONDARY)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("goal_prompt = ", "other = ", "lacks goal_prompt$"),
        ("q3_prompt = ", "other = ", "lacks q3_prompt in gene_task_goal$"),
        (
            "def gene_task_goal",
            "def other",
            r"lacks the function gene_task_goal\(task_goal=…\), q1_prompt in",
        ),
        ("(task_goal=", "(goal=", "parameter task_goal"),
        ("Round 4.", "Round {number}.", r"line \d+: \{number\} in an f-string is not a text"),
        ("Round 4.", "Round {task_goal!r}.", "is not a text"),
        ("Round 4.", "Round {task_goal.upper()}.", r"\{task_goal.upper\(\)\}"),
        ("Round 4.", "Round {{goal}}.", r"literal \{goal\}"),
        ("q5_prompt = f", "q5_prompt = ", "q5_prompt must be an f-string that holds"),
        ("task_prompt = ", "task_prompt = 1 + ", "line 1: '1' is not a text"),
        ("task_prompt = ", "task_prompt = NAME + ", "line 1: 'NAME' is not a text"),
        ("goal_prompt = ", "goal_prompt = 'x'\ngoal_prompt = ", "line 3: .* more than once"),
        ("goal_prompt = ", "goal_prompt = 'x'\ngoal_prompt += ", "line 3: .* more than once"),
        ("goal_prompt = ", "if x: goal_prompt = ", "line 2: .* plain"),
        ("return q1_prompt, q2_prompt", "return q2_prompt, q1_prompt", "in this order"),
        (", q6_prompt", "", "in this order"),
        ("    return", "    task_goal = 'x'\n    return", "must not be changed"),
        ("    return", "    found =", "must return its prompts once"),
        ("task_prompt", "(task_prompt", "line 1: is not Python"),
        ("A: 85, 85", "A: 85, 84", "q1_prompt: item 1, letter A: found 85, 84, expected 85, 85"),
        ("A: 85, 85", "", "found B, C, D, E, F, G, H, I"),
        ("A: 85, 85", "A: 85, 85 (or A: 1, 2)", "one letter different payoffs"),
    ],
)
def test_a_file_of_another_form_or_other_payoffs_is_refused_by_name(brought, old, new, message):
    assert old in release()
    refused(brought, release().replace(old, new), message)


def test_items_in_another_order_are_recognised_and_refused(brought):
    swapped = release().replace("q1_prompt = ", "q0 = ").replace("q2_prompt = ", "q1_prompt = ")
    message = r"item 1, letter A.*the payoffs of item 2"
    refused(brought, swapped.replace("q0 = ", "q2_prompt = "), message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"\xff\xfe\x00x", "not UTF-8 text"),
        (b"x = 1\x00", "null byte"),
        (b"x" * (MAX_BYTES + 1), "larger than 100,000 bytes"),
        ("x = " + "-" * 90_000 + "1", "nested too deeply"),
        ("", "lacks task_prompt, goal_prompt, .*, q6_prompt in gene_task_goal$"),
    ],
)
def test_what_is_no_such_file_is_refused(brought, source, message):
    refused(brought, source, message)


SPACES = 80_000 * " "


@pytest.mark.parametrize(
    "hostile",
    [
        f"A:{SPACES}",
        f"A{SPACES}:",
        f"A: 1{SPACES},",
        f"A: {SPACES.replace(' ', '9')}",
        f"A: 1,{SPACES}",
        "A: 1." * 16_000,
        "A:" + "(" * 80_000,
    ],
    ids=["colon", "letter", "number", "digits", "comma", "starts", "brackets"],
)
def test_a_very_long_text_is_read_without_trying_every_gap(brought, hostile):
    pack = brought(release().replace("Round 1.", hostile))
    assert pack.items[0].startswith(hostile)


def test_all_that_a_file_lacks_is_named_at_once_and_help_names_all_that_is_wanted(brought, capsys):
    lacking = release().replace("task_prompt =", "x =").replace("q2_prompt = ", "y = ")
    refused(brought, lacking, r"theirs.py: lacks task_prompt, q2_prompt in gene_task_goal$")
    with pytest.raises(SystemExit):
        cli.main(["prompts", "import", "--help"])
    text = capsys.readouterr().out
    wanted = ("task_prompt", "goal_prompt", "gene_task_goal", "q1_prompt", "q6_prompt", "A: 85, 85")
    assert all(name in text for name in wanted)


def test_half_a_character_is_refused(brought):
    refused(brought, release().replace(repr(TASK), "'\\ud83d'"), "half a character")


def test_a_path_that_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing.py"):
        with pytest.raises(UserError, match="cannot be read"):
            import_prompts(path, SVO, tmp_path / "out.toml")


def test_a_pack_is_written_once_and_never_over_another(brought):
    brought(release())
    path = brought.folder / "imported-theirs.toml"
    before = path.read_bytes()
    brought(release())
    assert path.read_bytes() == before
    with pytest.raises(UserError, match="is there with other content"):
        brought(release().replace("Round 1.", "Round one."))
    assert path.read_bytes() == before
    with pytest.raises(UserError, match="is there with other content"):
        brought(release(), name="plain")
    assert sorted(p.name for p in brought.folder.iterdir()) == [
        "imported-theirs.toml",
        "plain.toml",
    ]


def test_the_written_pack_is_plain_toml(brought):
    brought(release())
    table = tomllib.loads((brought.folder / "imported-theirs.toml").read_text(encoding="utf-8"))
    assert len(table["items"]) == 6
    assert table["fixed_goal"] == FIXED
