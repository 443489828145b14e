"""Published prompts: an owner's Python file, read without being run -> a wording pack.

The file has the form of the released code of Zhang et al. (arXiv 2305.17147): texts `task_prompt`
and `goal_prompt`; a function `gene_task_goal(task_goal=…)` that assigns six texts `q1_prompt` …
holding `{task_goal}` and returns them in order; dicts `q1_answer` … from letter to [self, other].
Texts for describing and adopting a value come from one of our packs, and the pack's `source` says
so.

The pack is written only if letters, payoffs and option lines are exactly the instrument's, in its
order of items and options. A file in another order is refused, because a rearranged text is no
longer the published one. Nothing is executed or imported: the syntax tree is walked for texts,
numbers and `{task_goal}`.

Public names: import_prompts, MAX_BYTES.
"""

import ast
import hashlib
import json
import re
import tomllib
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
    """What is wrong with the file, and the line where, if it is in one."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = "" if line is None else f", line {line}"


def import_prompts(path: Path, instrument: Instrument, out: Path, base: str = "plain") -> Path:
    """Read the Python file `path`, check it against `instrument`, write the pack `out`; return it.

    base: the pack whose sentences serve where the file has none. UserError, and nothing written,
    when the file cannot be read in that form, its payoffs are not the instrument's, or `out` is
    there with other content.
    """
    pack = prompts.load(base)
    try:
        data = _read(path)
        table = {
            "title": f"Imported from {path.name}",
            "source": f"{path.name} (SHA-256 {hashlib.sha256(data).hexdigest()}): items and goal "
            f"turn, payoffs checked against {instrument.name}. Every other sentence: "
            f"pack '{base}'.",
            "licence": "That of the imported file; ask its owner before passing it on.",
            **pack.sentences,
            "instrument": instrument.name,
            **_texts(_tree(data), instrument),
        }
        text = _toml(table)
    except _Wrong as fault:
        raise UserError(f"{paths.shown(path)}{fault.line}: {fault}") from None
    prompts.parse(out.stem, text, paths.shown(out))
    _write(out, text.encode("utf-8"))
    return out


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise _Wrong("is not a file; give the Python file that holds the prompts")
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
        text = data.decode("utf-8-sig")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape such as \d is the owner's affair
            return ast.parse(text)
    except UnicodeDecodeError as error:
        raise _Wrong(f"is not UTF-8 text ({error})") from None
    except SyntaxError as error:
        raise _Wrong(f"is not Python ({error.msg})", error.lineno) from None
    except (RecursionError, MemoryError, ValueError):
        reason = "it holds a null byte" if b"\0" in data else "nested too deeply?"
        raise _Wrong(f"is not Python that can be read ({reason})") from None


def _texts(tree: ast.Module, instrument: Instrument) -> dict[str, Any]:
    """Return goal_turn, items and, if the file has one, fixed_goal; all checked."""
    numbers = range(1, len(instrument.items) + 1)
    prompt_names, answer_names = (
        [f"q{n}_prompt" for n in numbers],
        [f"q{n}_answer" for n in numbers],
    )
    outer_names = ["task_prompt", "goal_prompt", *answer_names]
    outside = _assigned(tree.body, outer_names)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    function, *others = [node for node in functions if node.name == "gene_task_goal"] or [None]
    if others:
        raise _Wrong("gene_task_goal is defined twice", others[0].lineno)
    inside = _assigned(function.body, prompt_names) if function else {}
    missing = [name for name in outer_names if name not in outside]
    missing += [] if function else ["the function gene_task_goal(task_goal=…)"]
    missing += [f"{name} in gene_task_goal" for name in prompt_names if name not in inside]
    if missing:
        raise _Wrong(f"lacks {', '.join(missing)}")
    fixed_goal = _default(function)
    _check_returned(function, prompt_names)
    items = []
    for row, (prompt, answer) in enumerate(zip(prompt_names, answer_names, strict=True)):
        text = _text(inside[prompt], goal="task_goal")
        if _GOAL not in text:
            raise _Wrong(f"{prompt} must be an f-string that holds {{task_goal}}")
        _check_answers(answer, outside[answer], instrument, row)
        _check_options(prompt, text, instrument, row)
        items.append(text)
    goal_turn = "\n".join(_text(outside[name]) for name in ("task_prompt", "goal_prompt"))
    fixed = {} if fixed_goal is None else {"fixed_goal": fixed_goal}
    return {"goal_turn": goal_turn, "items": items, **fixed}


def _assigned(body: list[ast.stmt], wanted: list[str]) -> dict[str, ast.expr]:
    """Return the expression of each wanted name that a plain statement of `body` assigns.

    A name that is bound twice or in another way is refused: only running the file would tell what
    it holds.
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


def _default(function: ast.FunctionDef) -> str | None:
    """Return the default of the parameter task_goal if it is a text that is not blank."""
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + args.defaults + args.kw_defaults
    names = [arg.arg for arg in (*positional, *args.kwonlyargs)]
    if "task_goal" not in names:
        raise _Wrong("gene_task_goal must have a parameter task_goal", function.lineno)
    for node in _same_scope(function.body):
        if isinstance(node, ast.Name) and node.id == "task_goal" and type(node.ctx) is ast.Store:
            raise _Wrong("task_goal must not be changed", node.lineno)
    text = getattr(defaults[names.index("task_goal")], "value", None)
    return text if isinstance(text, str) and text.strip() else None


def _check_returned(function: ast.FunctionDef, wanted: list[str]) -> None:
    """Check that the one return names the prompts in order."""
    returns = [node for node in _same_scope(function.body) if isinstance(node, ast.Return)]
    if len(returns) != 1:
        raise _Wrong("gene_task_goal must return its prompts once", function.lineno)
    named = [node for node in ast.walk(returns[0]) if isinstance(node, ast.Name)]
    named.sort(key=lambda node: (node.lineno, node.col_offset))
    if [node.id for node in named] != wanted:
        order = f"{wanted[0]} to {wanted[-1]} in this order"
        raise _Wrong(f"gene_task_goal must return {order}", returns[0].lineno)


def _text(node: ast.expr, goal: str | None = None) -> str:
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
                raise _Wrong("a literal {goal} in the text", part.lineno)
            parts.append(part.value)
        elif goal and _is_goal(part, goal):
            parts.append(_GOAL)
        else:
            readable = f"texts and {{{goal}}}" if goal else "texts"
            reason = f"is not a text; only {readable} can be read without running the file"
            raise _Wrong(f"{_shown(part)} {reason}", part.lineno)
    return "".join(parts)


def _is_goal(node: ast.expr, goal: str) -> bool:
    if isinstance(node, ast.FormattedValue) and node.conversion == -1 and not node.format_spec:
        node = node.value
    return isinstance(node, ast.Name) and node.id == goal


def _shown(node: ast.expr) -> str:
    """Return an expression for a message, cut after 60 characters."""
    inner = node.value if isinstance(node, ast.FormattedValue) else node
    try:
        code = ast.unparse(inner)[:60]
    except RecursionError:
        code = "a deeply nested expression"
    return f"'{code}'" if inner is node else f"{{{code}}} in an f-string"


def _check_answers(name: str, node: ast.expr, instrument: Instrument, row: int) -> None:
    """Check that the dict maps the letters to the item's payoffs in order."""
    letters = prompts.LABELS[: instrument.payoffs.shape[1]]
    try:
        answers = ast.literal_eval(node)
        pairs = np.array([answers[letter] for letter in letters])
        good = len(answers) == len(letters) and pairs.shape == instrument.payoffs[row].shape
    except (ValueError, TypeError, KeyError, RecursionError):
        good = False
    if not good or pairs.dtype.kind not in "if":
        each = f"each letter {letters[0]} to {letters[-1]} to [self, other]"
        raise _Wrong(f"{name} must be a dict from {each}", node.lineno)
    _check_payoffs(name, pairs, instrument, row, node.lineno)


def _check_options(name: str, text: str, instrument: Instrument, row: int) -> None:
    """Check that the text has one option line a letter, in order, with its payoffs."""
    letters = prompts.LABELS[: instrument.payoffs.shape[1]]
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
    _check_payoffs(name, pairs, instrument, row)


def _check_payoffs(
    name: str, pairs: np.ndarray, instrument: Instrument, row: int, line: int | None = None
) -> None:
    """Check the (self, other) of each letter; name the first that is not the item's."""
    wanted = instrument.payoffs[row]
    wrong = np.flatnonzero((pairs != wanted).any(axis=1))
    if not wrong.size:
        return
    same = [other for other, item in enumerate(instrument.payoffs) if (pairs == item).all()]
    hint = f" (these are the payoffs of item {instrument.items[same[0]]})" if same else ""
    first = wrong[0]
    at = f"item {instrument.items[row]}, letter {prompts.LABELS[first]}"
    found, expected = (", ".join(map(prompts.coins, table[first])) for table in (pairs, wanted))
    reason = f"found {found}, expected {expected} of {instrument.name}{hint}"
    raise _Wrong(f"{name}: {at}: {reason}", line)


def _toml(table: dict[str, Any]) -> str:
    """Return the table as TOML; read back, it is the same.

    JSON's texts and lists are TOML's, but TOML also escapes DEL.
    """
    entries = {key: json.dumps(entry, ensure_ascii=False, indent=4) for key, entry in table.items()}
    lines = [f"{key} = {entry}".replace('"\n]', '",\n]') for key, entry in entries.items()]
    text = _HEADER + "\n".join(lines).replace("\x7f", "\\u007f") + "\n"
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Wrong("a text holds half a character (a lone surrogate)")
    assert tomllib.loads(text) == table
    return text


def _write(out: Path, data: bytes) -> None:
    """Write the pack in one step; the same content may be there already, other may not."""
    where = paths.shown(out)
    try:
        if out.exists() and out.read_bytes() != data:
            raise UserError(f"{where}: is there with other content; remove or rename it first")
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise files.unwritable(out, fault) from None
    files.write_atomically(out, data)
