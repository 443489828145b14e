"""Published prompts: an owner's Python file, read without being run -> a wording pack.

The file has the form of the released code of Zhang et al. (arXiv 2305.17147), as the help of
`hvae prompts import` says. Texts for describing and adopting a value come from our own pack.

The pack is written only if the option lines, letters and payoffs, are exactly the instrument's, in
its order: a rearranged text is no longer the published one. Nothing is executed or imported: the
syntax tree is walked for texts and `{task_goal}`.
"""

import ast
import hashlib
import json
import re
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from hvae_utils import files, paths
from hvae_utils.ask import prompts
from hvae_utils.errors import UserError
from hvae_utils.measure.instruments import Instrument

MAX_BYTES = 100_000  # six items take a few thousand; Python reads f-strings in quadratic time
BASE = "plain"  # the pack whose sentences serve where the file has none
_GOAL = "{goal}"
_HEADER = """\
# Imported by `hvae prompts import`; the texts are the property of their owner. Do not edit: import
# again. Options keep the order and letters of the file; {goal} is where the goal is filled in.

"""
# An option line such as "A: 85, 85", wherever it stands; letter, self, other. Every part is
# bounded, so that a hostile text is searched in linear time.
_NUMBER = r"(-?\d{1,9}(?:\.\d{1,9})?)"
_OPTION = re.compile(
    rf"(?<!\w)([A-I])\s{{0,9}}[:.)]\s{{0,9}}[\[(]?\s{{0,9}}{_NUMBER}\s{{0,9}},\s{{0,9}}{_NUMBER}"
)


class _Wrong(Exception):
    """What is wrong with the file and, if it is in one, the line."""


def import_prompts(path: Path, instrument: Instrument, out: Path) -> Path:
    """Read the Python file `path`, check it against `instrument`, write the pack `out`; return it.

    UserError, and nothing written, when the file cannot be read in that form, its payoffs are not
    the instrument's, or `out` is there with other content.
    """
    where = paths.shown(out)
    try:
        data = _read(path)
        table = {
            "title": f"Imported from {path.name}",
            "source": f"{path.name} (SHA-256 {hashlib.sha256(data).hexdigest()}): items and goal "
            f"turn, payoffs checked against {instrument.name}. Every other sentence: "
            f"pack '{BASE}'.",
            "licence": "That of the imported file; ask its owner before passing it on.",
            **prompts.load(BASE).sentences,
            "instrument": instrument.name,
            **_texts(_tree(data), instrument),
        }
        text = _toml(table)
    except _Wrong as fault:
        reason, line = (*fault.args, None)[:2]
        at = f", line {line}" if line else ""
        raise UserError(f"{paths.shown(path)}{at}: {reason}") from None
    except (RecursionError, MemoryError):
        raise UserError(f"{paths.shown(path)}: is nested too deeply to be read") from None
    prompts.parse(out.stem, text, where)
    if out.exists() and files.read_text(out) != text:
        raise UserError(f"{where}: is there with other content; remove or rename it first")
    files.write_atomically(out, text)
    return out


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise _Wrong(f"cannot be read ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise _Wrong(f"is larger than {MAX_BYTES:,} bytes; prompts are smaller")
    return data


def _tree(data: bytes) -> ast.Module:
    """Return the syntax tree of the file; nothing of it is compiled or run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape such as \d is the owner's affair
            return ast.parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _Wrong(f"is not UTF-8 text ({error})") from None
    except SyntaxError as error:
        raise _Wrong(f"is not Python ({error.msg})", error.lineno) from None
    except ValueError:  # until Python 3.11
        raise _Wrong("is not Python (it holds a null byte)") from None


def _texts(tree: ast.Module, instrument: Instrument) -> dict[str, Any]:
    """Return goal_turn, items and, if the file has one, fixed_goal; all checked."""
    prompt_names = [f"q{number}_prompt" for number in range(1, len(instrument.items) + 1)]
    outer_names = ["task_prompt", "goal_prompt"]
    outside = _assigned(tree.body, outer_names)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    function = functions.get("gene_task_goal")
    inside = _assigned(function.body, prompt_names) if function else {}
    missing = [name for name in outer_names if name not in outside]
    missing += [] if function else ["the function gene_task_goal(task_goal=…)"]
    missing += [f"{name} in gene_task_goal" for name in prompt_names if name not in inside]
    if missing:
        raise _Wrong(f"lacks {', '.join(missing)}")
    fixed_goal = _default(function)
    _check_returned(function, prompt_names)
    items = []
    for row, prompt in enumerate(prompt_names):
        text = _text(inside[prompt], goal="task_goal")
        if _GOAL not in text:
            raise _Wrong(f"{prompt} must be an f-string that holds {{task_goal}}")
        _check_options(prompt, text, instrument, row)
        items.append(text)
    goal_turn = "\n".join(_text(outside[name]) for name in ("task_prompt", "goal_prompt"))
    return {"goal_turn": goal_turn, "items": items} | fixed_goal


def _assigned(body: list[ast.stmt], wanted: list[str]) -> dict[str, ast.expr]:
    """Return the expression of each wanted name that a plain statement of `body` assigns.

    A name bound twice or in another way is refused: only running the file tells what it holds.
    """
    lines: dict[str, list[int]] = defaultdict(list)
    for node in _same_scope(body):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node.id in wanted:
            lines[node.id].append(node.lineno)
    plain: dict[str, ast.expr] = {}
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        plain |= {target.id: statement.value for target in targets if isinstance(target, ast.Name)}
    for name, bound in lines.items():
        if len(bound) > 1:
            raise _Wrong(f"{name} is assigned more than once", sorted(bound)[1])
        if name not in plain:
            raise _Wrong(f"{name} must be assigned by a plain 'name = …'", bound[0])
    return {name: plain[name] for name in lines}


def _same_scope(body: list[ast.stmt]) -> list[ast.AST]:
    """Return all nodes of `body` but those inside functions and classes."""
    nodes: list[ast.AST] = [*body]
    for node in nodes:  # grows while it is walked
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return nodes


def _default(function: ast.FunctionDef) -> dict[str, str]:
    """Return fixed_goal, the default of task_goal, if that is a text that is not blank."""
    names = [arg.arg for arg in function.args.args]
    if "task_goal" not in names:
        raise _Wrong("gene_task_goal must have a parameter task_goal", function.lineno)
    for node in _same_scope(function.body):
        if isinstance(node, ast.Name) and node.id == "task_goal" and type(node.ctx) is ast.Store:
            raise _Wrong("task_goal must not be changed", node.lineno)
    defaults = dict(zip(reversed(names), reversed(function.args.defaults), strict=False))
    text = getattr(defaults.get("task_goal"), "value", None)
    return {"fixed_goal": text} if isinstance(text, str) and text.strip() else {}


def _check_returned(function: ast.FunctionDef, wanted: list[str]) -> None:
    """Check that the one return names the prompts in order."""
    returns = [node for node in _same_scope(function.body) if isinstance(node, ast.Return)]
    if len(returns) != 1:
        raise _Wrong("gene_task_goal must return its prompts once", function.lineno)
    named = [getattr(part, "id", None) for part in getattr(returns[0].value, "elts", ())]
    if named != wanted:
        order = f"{wanted[0]} to {wanted[-1]} in this order"
        raise _Wrong(f"gene_task_goal must return {order}", returns[0].lineno)


def _text(node: ast.expr, goal: str | None = None) -> str:
    """Return the text of a constant expression, with {goal} where it holds the name `goal`."""
    match node:
        case ast.BinOp(left, ast.Add(), right):
            return _text(left, goal) + _text(right, goal)
        case ast.JoinedStr(parts):
            return "".join(_text(part, goal) for part in parts)
        case ast.Constant(str(text)):
            if goal and _GOAL in text:
                raise _Wrong("a literal {goal} in the text", node.lineno)
            return text
        case ast.Name(name) | ast.FormattedValue(ast.Name(name), -1, None) if name == goal:
            return _GOAL
    readable = f"texts and {{{goal}}}" if goal else "texts"
    code = ast.unparse(node.value if isinstance(node, ast.FormattedValue) else node)[:60]
    shown = f"{{{code}}} in an f-string" if isinstance(node, ast.FormattedValue) else f"'{code}'"
    reason = f"is not a text; only {readable} can be read without running the file"
    raise _Wrong(f"{shown} {reason}", node.lineno)


def _check_options(name: str, text: str, instrument: Instrument, row: int) -> None:
    """Check that the text has one option line a letter, in order, with its payoffs.

    The first letter with other payoffs than the item's is named.
    """
    letters = prompts.LABELS[: instrument.options]
    lines = _OPTION.findall(text.replace("\\n", "\n"))  # one published style has two characters
    shown = tuple(dict.fromkeys(letter for letter, _, _ in lines))
    if shown != letters:
        raise _Wrong(
            f"{name} must have one option line such as 'A: 85, 85' for each letter {letters[0]} to "
            f"{letters[-1]}, in order; found {', '.join(shown) or 'none'}"
        )
    if len(set(lines)) > len(letters):
        raise _Wrong(f"{name} gives one letter different payoffs in different places")
    pairs = np.array([(first, second) for _, first, second in dict.fromkeys(lines)], float)
    wanted = instrument.payoffs[row]
    if (pairs == wanted).all():
        return
    same = np.flatnonzero((instrument.payoffs == pairs).all(axis=(1, 2)))
    hint = f" (these are the payoffs of item {instrument.items[same[0]]})" if same.size else ""
    first = np.argmax((pairs != wanted).any(axis=1))
    at = f"item {instrument.items[row]}, letter {prompts.LABELS[first]}"
    found, expected = (", ".join(map(prompts.coins, table[first])) for table in (pairs, wanted))
    reason = f"found {found}, expected {expected} of {instrument.name}{hint}"
    raise _Wrong(f"{name}: {at}: {reason}")


def _toml(table: dict[str, Any]) -> str:
    """Return the table as TOML: its texts and lists are JSON's, but it also escapes DEL."""
    entries = {key: json.dumps(entry, ensure_ascii=False, indent=4) for key, entry in table.items()}
    lines = [f"{key} = {entry}".replace('"\n]', '",\n]') for key, entry in entries.items()]
    text = _HEADER + "\n".join(lines).replace("\x7f", "\\u007f") + "\n"
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Wrong("a text holds half a character (a lone surrogate)")
    return text
