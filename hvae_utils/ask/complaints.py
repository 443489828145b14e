"""What an endpoint complains about, read from its whole answer to a request that it did not take.

Pure: from status, content and what was sent follows what to do. The vocabulary of endpoints is in
the patterns at the top; a complaint that none of them fits is of kind `other`, with its words.

Public names: Complaint, judge, Terms, words, status_of.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from hvae_utils import files

LONGEST, SHOWN = 20_000, 200  # characters that are searched, and that are shown
DEEPEST = 12  # tables within tables that words are taken from
NEAR = 80  # characters between a parameter and the word that complains about it
ECHOED = 8  # characters beside a parameter by which a piece of our own message is known

# Parameters that a study can do without, and those with two names.
OPTIONAL = ("logprobs", "top_logprobs", "seed", "temperature")
NAMES = (("max_tokens", "max_completion_tokens"), ("structured_outputs", "guided_choice"))
OTHER_NAME = {**dict(NAMES), **{second: first for first, second in NAMES}}
# Names of the makers behind a gateway for what is sent under another name.
ALIASES = {
    **dict.fromkeys(("max_new_tokens", "max_output_tokens", "maximum_tokens"), NAMES[0]),
    "top_n_tokens": ("top_logprobs",),
}
ASKED_FOR_ALL = ("model", "messages")  # in every body, and nothing can be done about them


@dataclass(frozen=True)
class Complaint:
    """What is complained about.

    kind: parameter (of this name; drop or rename it), limit (low to high, of the one of this
    name), placement (of the turns), refusal (the provider's filter), key, credit, day (a quota of
    a day or longer is used up), model (there is none of that name), capped (the thought left no
    room for a reply), other; words: the endpoint's, one line.
    """

    kind: str
    words: str
    name: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Terms:
    """What an endpoint does not take: the parameters it refuses, and their bounds (low, high)."""

    refused: frozenset[str] = frozenset()
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def after(self, complaint: Complaint) -> "Terms":
        """Return the terms with a complaint about a parameter met."""
        if complaint.kind == "parameter":
            pair = OPTIONAL[:2] if complaint.name in OPTIONAL[:2] else (complaint.name,)
            other = {OTHER_NAME.get(complaint.name, "")}  # a router may change its mind
            return replace(self, refused=self.refused - other | {*pair})
        low = -math.inf if complaint.low is None else complaint.low
        high = math.inf if complaint.high is None else complaint.high
        return self.with_both(Terms(bounds={complaint.name: (low, high)}))

    def with_both(self, other: "Terms") -> "Terms":
        """Return the terms of both; of two names for one parameter, ours is the refused one."""
        if other == self or other == Terms():
            return self
        bounds = dict(self.bounds)
        for name, (low, high) in other.bounds.items():
            before = bounds.get(name, (low, high))
            bounds[name] = max(low, before[0]), min(high, before[1])
        names = {name for name in other.refused if OTHER_NAME.get(name) not in self.refused}
        return Terms(self.refused | names, bounds)

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body as the endpoint takes it. Raises KeyError of a name that has no other.

        A seed out of bounds is one within them, another for each.
        """
        if not self.refused and not self.bounds:
            return dict(body)
        sent = {}
        for name, content in body.items():
            if name in self.refused:
                if name in OPTIONAL:
                    continue
                if name not in OTHER_NAME:
                    raise KeyError(name)
                content = content["choice"] if isinstance(content, Mapping) else content
                name = OTHER_NAME[name]
            low, high = self.bounds.get(name, (-math.inf, math.inf))
            if not isinstance(content, int | float) or low <= content <= high:
                sent[name] = content
            elif name == "seed" and 0 < high < math.inf:
                sent[name] = content % (int(high) + 1)
            else:
                bounded = min(max(content, low), high)
                sent[name] = int(bounded) if isinstance(content, int) else bounded
        return sent


def dropped(body: Mapping[str, Any], sent: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a body was to hold and what was sent does not, or otherwise (`seed=7`)."""
    left_out = {name for name in body if name not in sent and OTHER_NAME.get(name) not in sent}
    changed = {
        f"{name}={sent[name]:g}"
        for name, content in body.items()
        if name in sent and isinstance(content, int | float) and sent[name] != content
    }
    return tuple(sorted(left_out | changed))


def _any(*patterns: str) -> re.Pattern:
    return re.compile("|".join(patterns), re.I)


FILTER = _any(
    r"content[_ ]?filter(?!\W{0,3}(?:is )?(?:not|un))|content management policy|jailbreak",
    r"responsible_?ai_?policy|content[_ ]?policy|response was filtered|blockReason|"
    r"(?:usage|content|safety) (?:guideline|polic)\w+",
    r"data_?inspection|guardrail|moderation|safety[_ ](?:check|system|filter)|content exists risk",
    r"inappropriate content|considered high risk|(?:input|prompt|request|content) (?:was|is) flag",
    r"prohibited[_ ]content|sensitive (?:words?|content)|不安全|敏感",
)
CREDIT = _any(
    r"insufficient[_ ](?:quota|balance|credit|fund)|(?:credit|balance is) (?:balance|insufficient)",
    r"(?:no|any|available|out of|more) credits?\b(?! were)|spending limit",
    r"billing_(?:hard_limit|not_active)|payment required|arrearage|余额不足|欠费",
)
DAY = _any(r"(?:per[_ -]?|/ ?)(?:day|month)|daily|\b[RT]PD\b|a day\b|today")
SHORTER = _any(r"(?:per[_ -]?|/ ?)(?:minute|second|hour)|\b[RT]P[MSH]\b")
CAPPED = _any(
    r"(?:max_\w*tokens|(?:output|token) limit) (?:was|were|has been) reached",
    r"could not finish the message|unable to complete[^.]{0,40}max_\w*tokens",
)
KEY = _any(
    r"api[_ -]?key (?:is )?(?:not valid|invalid|expired)|(?:invalid|incorrect) api[_ -]?key\b",
    r"api_key_invalid",
)
MODEL = _any(
    r"model[_ ](?:not[_ ]found|decommissioned)|(?:no such|unknown|invalid|not a valid) model\b",
    r"model (?:id|identifier|name)[^.]{0,20}\b(?:invalid|not valid|unknown)\b",
    r"model[^.]{0,80}(?:not exist|not found|decommissioned|(?:been|was|is) (?:retired|shut down))",
)
PLACEMENT = _any(
    r"alternat\w+\W+(?:between )?\W{0,3}(?:user|role|assistant)|roles?[^.]{0,30}alternat",
    r"messages?\W{1,4}\d+\W{1,4}role\b|user/assistant/user|\broles? in a row|same role",
    r"consecutive \W{0,3}(?:user|assistant|message|role)|multiple \W{0,3}(?:user|system)\W",
    r"\bsystem[ _-]?(?:role|message|prompt|instruction|turn)s?\b[^.]{0,60}(?:\bnot\b|n't|\bun|mus)",
    r"(?:not|n't|un)[ _]?(?:be )?(?:support|allow|accept|permit|enable)\w*[^.,;:]{0,30}\bsystem\b",
    r"\brole:? [\"'`]?(?:system|developer)\b|developer instructions? (?:is|are) not",
    r"(?:\bgot|unexpected|unknown|invalid|unsupported)[ _](?:message[ _])?role",
    r"(?:only|just)\W+user\W+(?:and\W+)?assistant",
    r"(?:first|last|final) (?:message|turn|role)s?[^.]{0,30}(?:must|should)|expected last role",
    r"(?:conversation|messages?)[^.]{0,20} (?:must|should) (?:start|begin|end) with",
)
OBJECTS = _any(  # words that object to something
    r"unsupported|\bun(?:known|recogni[sz]ed|expected|available|acceptable)|\bin(?:valid|compatible)",
    r"\b(?:no|not|never|cannot)\b|n't\b|\bnot_|\bmust\b|\bshould\b|\bonly\b|\bextra|additional",
    r"forbid|deprecat|remov|reject|refus|exceed|too (?:large|many|high|big|small|low)|greater|less",
    r"\bat (?:most|least)\b|maximum|minimum|\brange\b|disabl|illegal|no endpoints? found",
    r"不支持|不允许|无效|非法|未知|超|错误",
)
QUOTES = {*"\"'`"}
ADVICE = _any(
    r"\b(?:use|using|try|prefer|instead|favou?r of|replaced (?:by|with)|mean)\W+(?:the )?\W*$"
)
ECHO = re.compile(r"\s*:\s*(?:[\d.{-]|true|false|null)")  # `"seed": 3`, of the body that was sent
LISTED = re.compile(r"param\w*[\"':\s]*\{[^}]*$", re.I)  # `parameters: {'seed': 3}`
SENTENCE = re.compile(r"[.!?][\s\"]|\n")
SPOKEN = _any(  # names of what is written for people
    r"(?:error|status|detail)?_?(?:message|msg)s?|(?:block|finish)?_?reasons?|errors?|details?|raw",
    r"fault_?string|title|description",
)
NAMELESS = _any(
    r"no endpoints? found that (?:support|can handle)[^.]{0,40}param|requested parameters",
    r"(?:un|not )supported parameters\b\W*$|some (?:of the )?parameters",
)
STRUCTURED = (
    r"""["'](?:param|parameter|field|argument|property|path|pointer|key|name)["']\s*:\s*["']"""
)

_NUMBER = r"(?<!\d)(-?\d[\d,]{0,20}(?:\.\d{1,20})?)"
_THEN = rf"(?:[ =][a-z_]+){{0,4}}?\W{{0,6}}{_NUMBER}"
HIGH = _any(
    rf"(?:at most|up to|no more than|exceeds?|limited to|<=|≤|\"le\"\s*:){_THEN}",
    rf"\bmax(?:imum)?(?:_value)?\b{_THEN}",
    rf"(?:less|smaller|lower) (?:than )?or equal to{_THEN}|{_NUMBER} > {_NUMBER}",
    rf"not (?:be )?(?:greater|more|larger|higher|above)(?: than)?{_THEN}",
)
BELOW = _any(
    rf"(?:(?:less|smaller|lower) than|\bbelow|(?<![=-])<|\"lt\"\s*:)\W{{0,4}}{_NUMBER}(?![\d>])"
)
LOW = _any(
    rf"(?:at least|no less than|>=|≥|\"ge\"\s*:|\bmin(?:imum)?(?:_value)?\b){_THEN}",
    rf"(?:greater than or equal to|not (?:be )?(?:less|smaller|lower|below)(?: than)?){_THEN}",
)
ABOVE = _any(rf"(?:(?:greater|larger|more|higher) than|(?<![=-])>|\"gt\"\s*:)\W{{0,4}}{_NUMBER}")
WITHIN = _any(
    r"(?:between|range|from|within|interval|in|范围)"
    r"(?:[ 为是](?:of|is|be|should|\w{1,20}_\w{1,20})?){0,5}?"
    rf"\W{{0,3}}{_NUMBER}\s*(?:\(\w+\) )?(?:,|and|to|-|–|~|\.\.+=?)\s*{_NUMBER}( \(exclusive\))?"
)
POSITIVE, LEAST_POSITIVE = (
    _any(r"strictly positive|must be positive|than (?:zero|0)|\(0(?:\.0)?,"),
    0.01,
)
CONTEXT = _any(
    rf"context (?:length|window|size)\D{{0,40}}{_NUMBER}|\+ ?\W?max_\w+\W+must be <= ?{_NUMBER}"
)
READ = _any(
    rf"{_NUMBER} (?:tokens )?(?:in|of|from|for)? ?(?:the |your )?`?(?:messages|text|input|prompt)",
    rf"(?:input|prompt|messages)\D{{0,30}}{_NUMBER}",
)


def judge(status: int, content: Any, sent: Mapping[str, Any]) -> Complaint:
    """Say what an endpoint complains about.

    status: of HTTP, or the code that came in a reply; content: JSON or a text; sent: the body.

    >>> judge(400, {"error": "Unknown name 'seed'"}, {"seed": 1})
    Complaint(kind='parameter', words="Unknown name 'seed'", name='seed', low=None, high=None)
    """
    said, text = words(content), _text(content, sent)
    if status == 402 or (status in (400, 403, 412, 429) and CREDIT.search(text)):
        return Complaint("credit", said)
    if status == 429:
        of_day = DAY.search(text) and not SHORTER.search(text)
        return Complaint("day" if of_day else "other", said)
    if status == 401 or (status < 500 and KEY.search(text)):
        return Complaint("key", said)
    if status < 500 and FILTER.search(text):
        return Complaint("refusal", said)
    if CAPPED.search(text):
        return Complaint("capped", said)
    named = _structured(text, sent)
    if (not named and PLACEMENT.search(text)) or (named == "messages" and "role" in text):
        return Complaint("placement", said)
    complaint = _about_parameter(named, text, sent, said, strict=status >= 500)
    if complaint.kind == "other" and status in (400, 404, 410, 422) and MODEL.search(text):
        return Complaint("model", said)
    return complaint


def _about_parameter(
    named: str, text: str, sent: Mapping[str, Any], said: str, strict: bool
) -> Complaint:
    """Return the complaint about a parameter, or one of kind other.

    strict: only one that names it and objects to it.
    """
    left, name = _context(text, sent), next((name for name in NAMES[0] if name in sent), "")
    if left is not None and name:
        met = 0 < left < sent[name]
        return Complaint("limit", said, name, high=left) if met else Complaint("other", said)
    name, at = (named, 0) if named else _named(text, sent, strict)
    if not name and strict:
        return Complaint("other", said)
    if not name:
        other = next(
            (o for o, n in OTHER_NAME.items() if n in sent and _pattern(o).search(text)), ""
        )
        if other:
            return Complaint("parameter", said, OTHER_NAME[other])
        if NAMELESS.search(text):
            name = next((name for name in OPTIONAL[:3] if name in sent), "")
        return Complaint("parameter" if name else "other", said, name)
    if name in ASKED_FOR_ALL:
        return Complaint("other", said)
    low, high = _limits(text[max(at - 2 * NEAR, 0) :], name, sent)
    if low is not None or high is not None:
        limited = "top_logprobs" if name == "logprobs" else name
        return Complaint("limit", said, limited, low, high)
    return Complaint("parameter", said, name)


def status_of(content: Any) -> int:
    """Return the status that an error has which came without one: its code, else by its kind."""
    error = content.get("error", content) if isinstance(content, dict) else content
    table = error if isinstance(error, dict) else {}
    for name in ("code", "status", "status_code", "http_status"):
        code = str(table.get(name, ""))
        if code.isdigit() and 400 <= int(code[:9]) < 600:
            return int(code)
    text = _text(content, {}).lower()
    for status, pattern in (
        (429, r"rate[_ -]?limit|too many requests|resource_?exhausted|quota"),
        (401, r"authentication|unauthori[sz]ed|invalid[_ ]api[_ ]key"),
        (400, r"invalid_request|invalid_argument|bad_?request|validation"),
        (
            503,
            r"overload|unavailable|timed? ?out|server[_ ]error|internal|upstream|api_error|loading",
        ),
    ):
        if re.search(pattern, text):
            return status
    return 400


def words(content: Any) -> str:
    """Return the words of an error's content for people, in one line; '' for a page of HTML.

    >>> words([{"error": {"message": "Provider error", "metadata": {"raw": "no seed"}}}])
    'Provider error: no seed'
    """
    if isinstance(content, str):
        return "" if content.lstrip().startswith("<") else files.one_line(content, SHOWN)
    parts: list[str] = []
    for part in _messages(content):
        if part.strip() and not any(part in other for other in parts):
            parts.append(part)
    return files.one_line(": ".join(parts)[: 4 * SHOWN], SHOWN)


def _messages(tree: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the texts of a tree that are written for people, from the outside in.

    name: under which the tree stands.
    """
    if isinstance(tree, str) and SPOKEN.fullmatch(name):
        yield tree
    elif isinstance(tree, list) and depth < DEEPEST:
        for part in tree[:20]:
            yield from _messages(part, name, depth + 1)
    elif isinstance(tree, dict) and depth < DEEPEST:
        for key, part in sorted(tree.items(), key=lambda item: not isinstance(item[1], str)):
            if key not in ("input", "messages", "ctx"):
                yield from _messages(part, key, depth + 1)


def _text(content: Any, sent: Mapping[str, Any]) -> str:
    """Return all that an error says as one text, nested JSON unquoted, without our own messages."""
    if isinstance(content, str):
        page = content.lstrip().startswith("<")
        text = re.sub(r"<[^<>]{0,500}>", " ", content) if page else content
    else:
        try:
            text = orjson.dumps(content).decode()
        except (TypeError, ValueError, RecursionError):
            return ""
    for _ in range(3):
        text = text.replace('\\"', '"').replace("\\\\", "\\")
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text[: 5 * LONGEST])
    text = text.replace("\\n", "\n").replace("’", "'")
    for message in sent.get("messages", ()):
        ours = message["content"]
        for form in (ours, json.dumps(ours)[1:-1], json.dumps(ours, ensure_ascii=False)[1:-1]):
            if len(form) > 3:
                text = text.replace(form, " ")
    return text[:LONGEST]


def _pattern(name: str) -> re.Pattern:
    """Return a pattern for a parameter however it is spelled: top_logprobs, topLogprobs, ..."""
    spelled = (
        re.escape(name).replace("_", "[_ -]?").replace("logprobs", "log[_ -]?prob(?:abilitie)?s")
    )
    return re.compile(rf"(?<![A-Za-z0-9_])(?:response[_ ]?)?{spelled}(?![A-Za-z0-9_])", re.I)


def _names(sent: Mapping[str, Any]) -> dict[str, str]:
    """Return each name of a parameter that was sent, or of what is in it -> the parameter."""
    inside = {
        part: name
        for name, content in sent.items()
        if isinstance(content, dict)
        for part in content
    }
    aliases = {alias: name for alias, names in ALIASES.items() for name in names if name in sent}
    return inside | aliases | {name: name for name in sent}


def _structured(text: str, sent: Mapping[str, Any]) -> str:
    """Return the parameter that stands where its name belongs (`param`, `loc`), '' for none."""
    for m in re.finditer(rf"{STRUCTURED}([^\"']{{1,80}})[\"']", text):
        for name, parameter in _names(sent).items():
            if re.fullmatch(rf"(?:.*[./>\] ])?{re.escape(name)}(?:[.\[/].*)?", m[1], re.I):
                return parameter
    for m in re.finditer(r"[\"']loc[\"']\s*:\s*[\[(]([^\])]{1,120})[\])]", text):
        parts = re.findall(r"[\"']([^\"']+)[\"']", m[1].lower())
        for name, parameter in _names(sent).items():
            if name.lower() in parts:
                return parameter
    return ""


def _named(text: str, sent: Mapping[str, Any], strict: bool) -> tuple[str, int]:
    """Return the parameter that a text complains about and where it is named; ('', -1) for none.

    First the one that stands beside a word that objects, else, unless strict, one that is named
    as such: in quotes, or by a name that is no word of English. What repeats a part of a message
    or of the body is no naming.
    """
    ours = " ".join(message["content"].lower() for message in sent.get("messages", ()))
    strong, weak = [], []
    for name, parameter in _names(sent).items():
        for m in _pattern(name).finditer(text):
            before = text[max(m.start() - NEAR, 0) : m.start()]
            after = text[m.end() : m.end() + NEAR]
            quoted = before[-1:] in QUOTES and after[:1] in QUOTES
            around = before[-ECHOED:] + m[0], m[0] + after[:ECHOED]
            inside = before[:-1].rstrip().endswith(("{", ",")) and not LISTED.search(before)
            if (
                (parameter in ASKED_FOR_ALL and not quoted)
                or any(piece.lower() in ours for piece in around)
                or (quoted and inside and ECHO.match(after[1:]))
                or ADVICE.search(before)
            ):
                continue
            near = SENTENCE.split(before)[-1], SENTENCE.split(after)[0]
            if any(map(OBJECTS.search, near)) or after.startswith(":"):
                strong.append((m.start(), parameter))
            elif not strict and (quoted or "_" in name or name == "logprobs"):
                weak.append((m.start(), parameter))
    found = sorted(strong) or sorted(weak)
    return (found[0][1], found[0][0]) if found else ("", -1)


def _limits(text: str, name: str, sent: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the lowest and the highest value that a text allows and the one sent breaks."""
    sent_value = sent.get("top_logprobs" if name == "logprobs" else name)
    if type(sent_value) not in (int, float):
        return None, None
    step = 1 if isinstance(sent_value, int) else LEAST_POSITIVE
    lows, highs = [], []
    for m in WITHIN.finditer(text):
        lows.append(_number(m[1]))
        highs.append(_number(m[2]) - (step if m[3] else 0))
    lows += [_value(m) for m in LOW.finditer(text)]
    lows += [_value(m) + step for m in ABOVE.finditer(text)]
    highs += [_value(m) for m in HIGH.finditer(text)]
    highs += [_value(m) - step for m in BELOW.finditer(text)]
    if POSITIVE.search(text):
        lows.append(step)
    high = next((high for high in highs if (step if step == 1 else 0) <= high < sent_value), None)
    low = next((low for low in lows if low > sent_value), None)
    return (None, high) if high is not None else (low, None)


def _context(text: str, sent: Mapping[str, Any]) -> int | None:
    """Return the tokens that a context leaves beside the prompt, None where that is not told.

    Who counts a prompt only as far as it must ("at least 1") leaves it to us to guess its length.
    """
    whole = CONTEXT.search(text)
    read = next((m for m in READ.finditer(text) if not whole or m.start() > whole.start()), None)
    if not whole or not read:
        return None
    prompt = _value(read)
    if "at least" in read[0]:
        prompt = max(prompt, sum(len(message["content"]) for message in sent["messages"]) // 2)
    return max(int(_value(whole) - prompt), 0)


def _value(m: re.Match) -> float:
    """Return the last number of a match."""
    return _number(next(digits for digits in reversed(m.groups()) if digits))


def _number(digits: str) -> float:
    return float(digits.replace(",", ""))
