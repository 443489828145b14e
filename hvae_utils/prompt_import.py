"""Published prompts: an owner's Python file, read without being run -> a wording pack.

The file has the form of the released code of Zhang et al. (arXiv 2305.17147): texts `task_prompt`
and `goal_prompt`; a function `gene_task_goal(task_goal=…)` that assigns six texts `q1_prompt` …
holding `{task_goal}` and returns them in order; dicts `q1_answer` … from letter to [self, other].
It has no texts for describing and adopting a value: those come from one of our packs, and the
pack's `source` says so.

The pack is written only if letters, payoffs and option lines are exactly the instrument's, in its
order of items and options. A file in another order is refused, never rearranged: the text would
no longer be the published one.

This module must never execute, import or evaluate what it reads; it walks the syntax tree and
takes texts, numbers and `{task_goal}`.

Public names: import_prompts, MAX_BYTES.
"""

import ast
import hashlib
import json
import os
import re
import tomllib
import warnings
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from hvae_utils import paths, prompts
from hvae_utils.errors import UserError
from hvae_utils.instruments import Instrument

MAX_BYTES = 1_000_000
_GOAL = "{goal}"
_HEADER = """\
# Imported by `hvae prompts import`; the texts are the property of their owner. Do not edit: import
# again. Options keep the order and letters of the file; {goal} is where the goal is filled in.

"""
# An option line such as "A: 85, 85", wherever it stands; letter, self, other.
_OPTION = re.compile(r"(?<!\w)([A-I])\s*[:.)]\s*[\[(]?\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)")


def import_prompts(path: Path, instrument: Instrument, out: Path, base: str = "plain") -> Path:
    """Read the Python file `path`, check it against `instrument`, write the pack `out`; return it.

    base: the pack whose sentences serve where the file has none. UserError, and nothing written,
    when the file cannot be read in that form, its payoffs are not the instrument's, or `out` is
    there with other content.
    """
    pack = prompts.load(base)
    data = _read(path)
    where = paths.shown(path)
    found = _texts(where, _tree(where, data), instrument)
    table = {
        "title": f"Imported from {path.name}",
        "source": f"{path.name} (SHA-256 {hashlib.sha256(data).hexdigest()}): items and goal turn, "
        f"payoffs checked against {instrument.name}. Every other sentence: pack '{base}'.",
        "licence": "That of the imported file; ask its owner before passing it on.",
        **{key: getattr(pack, key) for key in prompts.TEMPLATES},
        "instrument": instrument.name,
        **found,
    }
    text = _toml(where, table)
    prompts.parse(out.stem, text, paths.shown(out))
    _write(out, text)
    return out


def _read(path: Path) -> bytes:
    where = paths.shown(path)
    if not path.is_file():
        raise UserError(f"{where}: is not a file; give the Python file that holds the prompts")
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise UserError(f"{where}: is larger than {MAX_BYTES:,} bytes; prompts are smaller")
    return data


def _tree(where: str, data: bytes) -> ast.Module:
    """Return the syntax tree of the file; nothing of it is compiled or run."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: is not UTF-8 text ({error})") from None
    if "\0" in text:
        raise UserError(f"{where}: is not text (it holds a null byte)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape such as \d is the owner's affair
            return ast.parse(text)
    except SyntaxError as error:
        raise UserError(f"{where}, line {error.lineno}: is not Python ({error.msg})") from None
    except (RecursionError, MemoryError, ValueError):
        raise UserError(f"{where}: is not Python that can be read (nested too deeply?)") from None


def _texts(where: str, tree: ast.Module, instrument: Instrument) -> dict[str, Any]:
    """Return goal_turn, items and, if the file has one, fixed_goal; all checked."""
    prompt_names = [f"q{row}_prompt" for row in range(1, len(instrument.items) + 1)]
    answer_names = [f"q{row}_answer" for row in range(1, len(instrument.items) + 1)]
    outside = _assigned(where, tree.body, ["task_prompt", "goal_prompt", *answer_names], "the file")
    function = _function(where, tree)
    inside = _assigned(where, function.body, prompt_names, "gene_task_goal")
    fixed_goal = _default(where, function)
    _check_returned(where, function, prompt_names)
    items = []
    for row, (prompt, answer) in enumerate(zip(prompt_names, answer_names, strict=True)):
        text = _text(where, inside[prompt], goal="task_goal")
        if _GOAL not in text:
            raise UserError(f"{where}: {prompt} must be an f-string that holds {{task_goal}}")
        _check_answers(where, answer, outside[answer], instrument, row)
        _check_options(where, prompt, text, instrument, row)
        items.append(text)
    goal_turn = "\n".join(_text(where, outside[name]) for name in ("task_prompt", "goal_prompt"))
    found = {"goal_turn": goal_turn, "items": items}
    return found if fixed_goal is None else {**found, "fixed_goal": fixed_goal}


def _assigned(
    where: str, body: list[ast.stmt], wanted: list[str], holder: str
) -> dict[str, ast.expr]:
    """Return the expression assigned to each wanted name by a plain statement of `body`.

    A name that is bound twice or in another way is refused: only running the file would tell what
    it holds.
    """
    bound: dict[str, list[int]] = {name: [] for name in wanted}
    for node in _same_scope(body):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node.id in bound:
            bound[node.id].append(node.lineno)
    values: dict[str, ast.expr] = {}
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and target.id in bound:
                values[target.id] = statement.value
    for name, lines in bound.items():
        if len(lines) > 1:
            raise UserError(f"{where}, line {sorted(lines)[1]}: {name} is assigned more than once")
        if name not in values:
            at = f", line {lines[0]}" if lines else ""
            reason = "must be assigned by a plain 'name = …'" if lines else f"is not in {holder}"
            raise UserError(f"{where}{at}: {name} {reason}")
    return values


def _same_scope(body: list[ast.stmt]) -> list[ast.AST]:
    """Return all nodes of `body` but those inside functions and classes."""
    nodes: list[ast.AST] = []
    waiting = deque[ast.AST](body)
    while waiting:
        node = waiting.popleft()
        nodes.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return nodes


def _function(where: str, tree: ast.Module) -> ast.FunctionDef:
    named = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "gene_task_goal"
    ]
    if not named:
        raise UserError(f"{where}: the function gene_task_goal(task_goal=…) is not in the file")
    if len(named) > 1:
        raise UserError(f"{where}, line {named[1].lineno}: gene_task_goal is defined twice")
    return named[0]


def _default(where: str, function: ast.FunctionDef) -> str | None:
    """Return the default of the parameter task_goal if it is a text that is not blank."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + given.defaults
    by_name = dict(zip((arg.arg for arg in positional), defaults, strict=True))
    by_name |= {
        arg.arg: node for arg, node in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    }
    if "task_goal" not in by_name:
        raise UserError(
            f"{where}, line {function.lineno}: gene_task_goal must have a parameter task_goal"
        )
    for node in _same_scope(function.body):
        if isinstance(node, ast.Name) and node.id == "task_goal" and type(node.ctx) is ast.Store:
            raise UserError(f"{where}, line {node.lineno}: task_goal must not be changed")
    node = by_name["task_goal"]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip():
        return node.value
    return None


def _check_returned(where: str, function: ast.FunctionDef, wanted: list[str]) -> None:
    """Raise UserError unless the one return names the prompts in order."""
    returns = [node for node in _same_scope(function.body) if isinstance(node, ast.Return)]
    if len(returns) != 1:
        raise UserError(
            f"{where}, line {function.lineno}: gene_task_goal must return its prompts once"
        )
    named = [node for node in ast.walk(returns[0]) if isinstance(node, ast.Name)]
    named.sort(key=lambda node: (node.lineno, node.col_offset))
    if [node.id for node in named] != wanted:
        raise UserError(
            f"{where}, line {returns[0].lineno}: gene_task_goal must return "
            f"{wanted[0]} to {wanted[-1]} in this order"
        )


def _text(where: str, node: ast.expr, goal: str | None = None) -> str:
    """Return the text of a constant expression, with {goal} where it holds the name `goal`."""
    parts: list[str] = []
    waiting: list[ast.expr] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
            waiting += [part.right, part.left]
        elif isinstance(part, ast.JoinedStr):
            waiting += reversed(part.values)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            if goal and _GOAL in part.value:
                raise UserError(f"{where}, line {part.lineno}: a literal {{goal}} in the text")
            parts.append(part.value)
        elif goal and _is_goal(part, goal):
            parts.append(_GOAL)
        else:
            known = f" and {{{goal}}}" if goal else ""
            raise UserError(
                f"{where}, line {part.lineno}: {_shown(part)} is not a text; "
                f"only texts{known} can be read without running the file"
            )
    return "".join(parts)


def _shown(node: ast.expr) -> str:
    """Return an expression for a message, cut after 60 characters."""
    inner = node.value if isinstance(node, ast.FormattedValue) else node
    try:
        code = ast.unparse(inner)[:60]
    except RecursionError:
        code = "a deeply nested expression"
    return f"'{code}'" if inner is node else f"{{{code}}} in an f-string"


def _is_goal(node: ast.expr, goal: str) -> bool:
    if isinstance(node, ast.FormattedValue) and node.conversion == -1 and not node.format_spec:
        node = node.value
    return isinstance(node, ast.Name) and node.id == goal


def _check_answers(where: str, name: str, node: ast.expr, instrument: Instrument, row: int) -> None:
    """Raise UserError unless the dict maps the letters to the item's payoffs in order."""
    at = f"{where}, line {node.lineno}: {name}"
    wanted = instrument.payoffs[row]
    letters = prompts.LABELS[: len(wanted)]
    try:
        answers = ast.literal_eval(node)
        given = [answers[letter] for letter in letters]
        pairs = np.array(given, float)
        good = isinstance(node, ast.Dict) and len(node.keys) == len(letters)
        good = good and all(type(x) in (int, float) for pair in given for x in pair)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        good = False
    good = good and pairs.shape == wanted.shape
    if not good:
        raise UserError(
            f"{at} must be a dict from each letter {letters[0]} to {letters[-1]} to [self, other]"
        )
    _check_payoffs(at, pairs, instrument, row)


def _check_options(where: str, name: str, text: str, instrument: Instrument, row: int) -> None:
    """Raise UserError unless the text has one option line a letter, in order, with its payoffs."""
    letters = prompts.LABELS[: instrument.payoffs.shape[1]]
    lines = _OPTION.findall(text.replace("\\n", "\n"))  # one published style has the two characters
    shown = tuple(dict.fromkeys(letter for letter, _, _ in lines))
    if shown != letters:
        found = ", ".join(shown) or "none"
        raise UserError(
            f"{where}: {name} must have one option line such as 'A: 85, 85' for each letter "
            f"{letters[0]} to {letters[-1]}, in order; found {found}"
        )
    if len(set(lines)) > len(letters):
        raise UserError(f"{where}: {name} gives one letter different payoffs in different places")
    pairs = np.array([(own, other) for _, own, other in dict.fromkeys(lines)], float)
    _check_payoffs(f"{where}: {name}", pairs, instrument, row)


def _check_payoffs(at: str, pairs: np.ndarray, instrument: Instrument, row: int) -> None:
    """Raise UserError naming the first letter whose (self, other) is not the item's."""
    wanted = instrument.payoffs[row]
    wrong = np.flatnonzero((pairs != wanted).any(axis=1))
    if not wrong.size:
        return
    same = [other for other, item in enumerate(instrument.payoffs) if (pairs == item).all()]
    hint = f" (these are the payoffs of item {instrument.items[same[0]]})" if same else ""
    first = wrong[0]
    raise UserError(
        f"{at}: item {instrument.items[row]}, letter {prompts.LABELS[first]}: found "
        f"{_pair(pairs[first])}, expected {_pair(wanted[first])} of {instrument.name}{hint}"
    )


def _pair(payoff: np.ndarray) -> str:
    return ", ".join(prompts.coins(amount) for amount in payoff)


def _toml(where: str, table: dict[str, Any]) -> str:
    """Return the table as TOML; read back, it is the same."""
    lines = [
        f"{key} = {_basic(given)}"
        if isinstance(given, str)
        else "\n".join((f"{key} = [", *(f"    {_basic(text)}," for text in given), "]"))
        for key, given in table.items()
    ]
    text = _HEADER + "\n".join(lines) + "\n"
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UserError(f"{where}: a text holds half a character (a lone surrogate)")
    assert tomllib.loads(text) == table
    return text


def _basic(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are TOML's, but TOML also escapes DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(out: Path, text: str) -> None:
    """Write the pack in one step; the same content may be there already, other may not."""
    where = paths.shown(out)
    data = text.encode("utf-8")
    try:
        if out.exists():
            if out.read_bytes() != data:
                raise UserError(f"{where}: is there with other content; remove or rename it first")
            return
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f"{out.name}.part")
        part.write_bytes(data)
        os.replace(part, out)
    except OSError as error:
        raise UserError(f"{where}: cannot be written ({error.strerror})") from None
