"""The JSON of a chat completion as an `Answer`: the visible reply, the thought, and why none.

No shape of it is assumed: a part that is missing or of another kind is None. The thought is never
part of the text, and log-probabilities are those of the first token of the visible reply or none.

Public names: read, fault, instead, finish_of.
"""

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hvae_utils import files
from hvae_utils.ask import complaints, replies
from hvae_utils.ask.respondents import FILTERED, Answer, Request

KEPT_CHARACTERS = 100_000  # of a reply or a thought; a reply that is longer is cut, and says so
MOST_TOKENS = 1_000_000_000  # that a usage may name; more is no count
DEEPEST = 8  # parts within parts that are read
ENDING = 12  # characters of a thought by which its end is known among listed tokens
POSITIVE = 0.01  # a log-probability above it is none
NOT_FIRST = "not the reply's first token"
ONE_TOKEN = ("readout", "probe", "check")  # kinds of request whose reply is meant to fill its cap
# A prompt has been cut if the endpoint read fewer tokens than one for so many of its characters:
# the densest texts have 6 or 7 a token. Fewer than LEAST_READ are no count but a placeholder.
CHARACTERS_A_TOKEN, MOST_CHARACTERS_A_TOKEN, SHORT_PROMPT, LEAST_READ = 4, 9, 400, 20

# Tokens that are no part of a text, as they are listed.
SPECIAL = re.compile(r"\s*(?:<[|｜][^<>]{0,60}[|｜]>|</?s>|<eos>|<(?:start|end)_of_turn>)\s*")

Table = tuple[tuple[str, float], ...]

# Where vendors put the thought beside the content, and its tokens and the cached ones in `usage`.
THOUGHTS = (
    *("reasoning_content", "reasoning", "thinking", "reasoning_text", "thoughts", "thought"),
    *("reasoning_details", "thinking_blocks"),
)
_THOUGHTS = frozenset(THOUGHTS)
# Where a part of a content has its text.
PLACES = ("thinking", "reasoning", "text", "content", "summary", "value", "parts", "refusal")
THINKING_TOKENS = ("reasoning_tokens", "thinking_tokens", "thoughts_token_count")
THINKING_DETAILS = ("completion_tokens_details", "output_tokens_details")
CACHED_TOKENS = (
    *("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"),
    "cache_read_tokens",
)
CACHED_DETAILS = ("prompt_tokens_details", "input_tokens_details")
# Families of finish reasons: the first pattern that is found in the endpoint's word.
FINISHES = {
    "content_filter": "filter|safety|recitation|prohibit|block|spii|refus|sensitive|polic|moderat"
    "|guardrail|armor|flagged|toxic|jailbreak|censor",
    "error": "error|fail|malformed|insufficient|unavailable|overload|abort|cancel|timeout",
    "length": "length|max_?|out_of_|token_?limit|limit_?reached|exceeded|truncat|incomplete",
    "tool_calls": "tool|function",
    "stop": "stop|end_?of|end_?turn|eos|complete|finished|done",
}


def read(
    completion: Any,
    request: Request | None = None,
    tags: Sequence[Sequence[str]] = (),
    cap: int | None = None,
    **known: Any,
) -> Answer:
    """Return the first choice of a chat completion as an Answer, one with `error` where none is.

    request: what was asked, without it nothing is compared with a cap; tags: of thoughts, besides
    those built in; cap: tokens that the body allowed, if other than the request's; known: fields
    of the Answer that the completion does not tell.

    >>> read({"choices": [{"message": {"content": "B"}, "finish_reason": "stop"}]}).text
    'B'
    """
    choice = _at(completion, "choices", 0)
    if not isinstance(choice, dict):
        return Answer(error="the endpoint sent no choices", **known)
    message = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
    content = _at(message, "content")
    thought, text, closed, refused = _told_apart(choice, message, tags)
    if content and not text and thought is None and not isinstance(content, str):
        return Answer(error="the reply's content is no text", **known)
    finish = finish_of(_at(choice, "finish_reason"), _at(choice, "native_finish_reason"))
    finish = "content_filter" if refused else finish
    usage = _at(completion, "usage")
    usage = usage if isinstance(usage, dict) else {}
    prompt_tokens, cached_tokens = _prompt(usage)
    completion_tokens, thinking_tokens = _completion(usage, prompt_tokens, cached_tokens)
    if cut := _cut_prompt(request, prompt_tokens, cached_tokens):
        return Answer(error=cut, cause=cut, prompt_tokens=prompt_tokens, **known)
    table, flags = _first_token(choice, text, thought or "", thinking_tokens or 0)
    if request is not None:
        cap = cap or request.max_tokens + request.thinking_tokens
        finish = _reached(finish, cap, completion_tokens, thinking_tokens, request, text)
    thinks = bool(thought or thinking_tokens or not closed)
    whole = request is None or request.kind not in ONE_TOKEN or not text
    used = thinking_tokens or (completion_tokens if thinks and not text else None)
    cause = _cause(text, finish, thinks, closed, used, cap) if whole else ""
    return Answer(
        text=text[:KEPT_CHARACTERS],
        finish_reason=finish if len(text) <= KEPT_CHARACTERS else "cut",
        top_logprobs=table,
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
        completion_tokens=completion_tokens,
        served_model=_text(_at(completion, "model")),
        thought=thought and thought[:KEPT_CHARACTERS],
        thinking_tokens=thinking_tokens,
        cause=cause,
        flags=flags,
        **known,
    )


def fault(completion: Any) -> Any:
    """Return the error that came in the place of a reply or with one that was cut off, else None.

    It is what an error status would have had as its body.
    """
    if isinstance(completion, list) and len(completion) == 1:
        completion = completion[0]
    choice = _at(completion, "choices", 0)
    if isinstance(choice, dict):
        if choice.get("finish_reason") == "stop" and not (
            "error" in completion or "error" in choice
        ):
            return None
        error = _at(choice, "error") or _at(choice, "message", "error")
        if error or finish_of(_at(choice, "finish_reason"), None) == "error":
            error = error or _at(completion, "error") or "cut off upstream"
            error = error if isinstance(error, dict) else {"message": str(error)}
            return {"error": {"code": 502, **error}}
        silent = not any(_at(choice, "message", part) for part in ("content", *THOUGHTS, "refusal"))
        return completion if silent and _at(completion, "error") else None
    if not isinstance(completion, dict):
        return None
    return completion if complaints.words(completion) else None


def instead(complaint: complaints.Complaint, request: Request) -> Answer | None:
    """Return the answer that an error stands for: a refusal or a cut. None where it is an error."""
    if complaint.kind == "refusal":
        said = complaint.words and f": {complaint.words}"
        cause = files.one_line(f"{FILTERED}{said}", 300)
        return Answer(text="", finish_reason="content_filter", cause=cause)
    if complaint.kind == "capped":
        cap = request.max_tokens + request.thinking_tokens
        cause = f"the cap of {cap:,} tokens was reached before there was a reply"
        return Answer(text="", finish_reason="length", cause=cause)
    return None


def finish_of(word: Any, native: Any = None) -> str | None:
    """Return the family of an endpoint's finish reason, its own word where it is of none.

    native: the word of the maker behind a router; it counts where it says less than a full stop.

    >>> finish_of("MAX_TOKENS"), finish_of("end_turn"), finish_of("SAFETY"), finish_of("other")
    ('length', 'stop', 'content_filter', 'other')
    """
    family = _family(word) if isinstance(word, str) else None
    if family in ("stop", None) and isinstance(native, str):
        return (_family(native) if _family(native) in ("length", "content_filter") else 0) or family
    return family


@lru_cache(maxsize=256)
def _family(word: str) -> str:
    if word in ("stop", "length"):
        return word
    lower = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word[:200]).lower().removeprefix("finish_reason")
    lower = re.sub(r"[^a-z]+", "_", lower)
    return next((name for name, words in FINISHES.items() if re.search(words, lower)), word[:200])


def _told_apart(
    choice: Any, message: Any, tags: Sequence[Sequence[str]]
) -> tuple[str | None, str, bool, bool]:
    """Return (thought, visible reply, whether each thought has ended, whether it is a refusal)."""
    content, refusal = _at(message, "content"), _at(message, "refusal")
    said, thoughts, refused = [content], [], []
    if not isinstance(content, str):
        parts = list(_parts(content))
        said, thoughts, refused = (
            [text for kind, text in parts if kind == which]
            for which in ("reply", "thought", "refusal")
        )
    for place in (message, choice):
        if isinstance(place, dict) and not thoughts and not _THOUGHTS.isdisjoint(place):
            fields = (place[name] for name in THOUGHTS if place.get(name))
            aside = ("".join(text for _, text in _parts(field, "thought")) for field in fields)
            thoughts = [text for text in aside if text.strip()][:1]
    text = "".join(said)
    split = replies.split_thought(text, tags) if text else None
    if split:
        thoughts += [split.thought] if split.thought and split.thought not in thoughts else []
        text = split.reply
    refused += [refusal] if isinstance(refusal, str) and refusal else []
    thought = "\n".join(thoughts) or None
    if not text and refused:
        return thought, "".join(refused), True, True
    return thought, text, split is None or split.closed, False


def _parts(node: Any, kind: str = "reply", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (reply, thought or refusal; text) of content in parts, however they are nested."""
    if isinstance(node, str):
        yield kind, node
    elif depth < DEEPEST and isinstance(node, list):
        for part in node:
            yield from _parts(part, kind, depth + 1)
    elif depth < DEEPEST and isinstance(node, dict):
        name = str(node.get("type", "")).lower()
        if re.search("encrypted|redacted|image|audio|tool|function", name):
            return
        thinks = re.search("think|reason|thought|analysis", name)
        thinks = thinks or node.get("thought") in (True, "true")
        place = next((name for name in PLACES if isinstance(node.get(name), str | list | dict)), "")
        if kind == "reply":
            kind = "thought" if thinks or place in PLACES[:2] else kind
            kind = "refusal" if place == "refusal" else kind
        yield from _parts(node.get(place), kind, depth + 1)


def _prompt(usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the tokens of the prompt and those of them that were cached."""
    prompt = _told(usage, ("prompt_tokens", "input_tokens"))
    return prompt, _told(usage, CACHED_TOKENS, CACHED_DETAILS)


def _completion(
    usage: Mapping[str, Any], prompt: int | None, cached: int | None
) -> tuple[int | None, int | None]:
    """Return the tokens of reply and thought together, and those of the thought.

    Some makers leave the thought out of the completion, some tell it only in the total.
    """
    told = _told(usage, ("completion_tokens", "output_tokens"))
    thinking = _told(usage, THINKING_TOKENS, THINKING_DETAILS)
    total = _told(usage, ("total_tokens",))
    if told is None:
        return told, thinking
    more = 0 if total is None or prompt is None else max(total - prompt - told, 0)
    if more and more in (cached, usage.get("cache_creation_input_tokens")):
        more = 0  # a prompt told without what was cached
    if thinking is None and more:
        thinking = more
    if thinking and thinking > told:
        more = max(more, thinking)
    return told + more, thinking


def _told(
    usage: Mapping[str, Any], names: Sequence[str], details: Sequence[str] = ()
) -> int | None:
    """Return the first count of one of these names, in the details first; None where none is told.

    No request can have more than MOST_TOKENS: such a number is no count.
    """
    for place in (*details, ""):
        counts = usage.get(place) if place else usage
        if not isinstance(counts, dict):
            continue
        for name in names:
            count = counts.get(name)
            if type(count) is int and 0 <= count <= MOST_TOKENS:
                return count
    return None


def _cut_prompt(request: Request | None, told: int | None, cached: int | None) -> str:
    """Say that the endpoint read only a part of the prompt, where its count shows that."""
    if request is None or told is None or told < LEAST_READ:
        return ""
    characters = sum(len(message["content"]) for message in request.messages)
    seen = told + (cached or 0)
    if characters <= SHORT_PROMPT or seen * MOST_CHARACTERS_A_TOKEN >= characters:
        return ""
    about = characters // CHARACTERS_A_TOKEN
    return f"the server read {seen:,} of about {about:,} prompt tokens"


def _reached(
    finish: str | None,
    cap: int,
    completion: int | None,
    thinking: int | None,
    request: Request,
    text: str,
) -> str | None:
    """Return the finish reason, length where the cap was reached though another was told.

    At some makers the cap does not count the thought: the completion is then far above it.
    """
    if finish not in ("stop", None) or completion is None or (request.kind in ONE_TOKEN and text):
        return finish
    visible = completion - (thinking or 0)
    return "length" if visible >= cap or cap <= completion <= cap + 1 else finish


def _cause(
    text: str, finish: str | None, thinks: bool, closed: bool, used: int | None, cap: int | None
) -> str:
    """Say in words for people why there is nothing to read, or that what there is was cut off."""
    if finish == "length" and thinks and not text.strip():
        of = f" of {cap:,}" if cap else ""
        return f"thought for {used:,}{of} tokens" if used else "thinking never ended"
    if not closed:
        return "thinking never ended"
    if finish == "length":
        if cap and not text.strip():
            return f"the cap of {cap:,} tokens was reached before there was a reply"
        part = f", {used:,} of them for a thought" if used else ""
        return f"the reply reached the cap of {cap:,} tokens{part}" if cap else "the reply was cut"
    if text.strip():
        return ""
    if finish == "content_filter":
        return FILTERED
    if finish == "tool_calls":
        return "a tool call and no reply"
    return "a thought and no reply" if thinks else ""


def _first_token(
    choice: Any, text: str, thought: str, thinking_tokens: int
) -> tuple[Table | None, tuple[str, ...]]:
    """Return the alternatives of the first token of the visible reply, and what is wrong with them.

    None where that token is not among the listed ones, or where a positive log-probability shows
    that these are none.
    """
    entries = _at(choice, "logprobs", "content")
    if not isinstance(entries, list) or not entries:
        return None, ()
    at = _place(entries, text, thought.strip(), thinking_tokens)
    table = _table(_at(entries, 0 if at is None else at, "top_logprobs"))
    if table is None:
        return None, ()
    if at is None:
        return None, (NOT_FIRST,)
    flags = replies.flags_of(table)
    if flags and max(logprob for _, logprob in table) > POSITIVE:
        return None, ("sum above one",)
    return table, flags


def _table(alternatives: Any) -> Table | None:
    """Return (token, log-probability in nats) of a list of alternatives, None for none."""
    try:
        finite = [
            (str(entry["token"]), entry["logprob"] + 0.0)
            for entry in alternatives or ()
            if entry["logprob"] is not None and math.isfinite(entry["logprob"])
        ]
    except (KeyError, TypeError, OverflowError, RecursionError):
        return None
    return tuple(finite) or None


def _place(entries: Sequence[Any], text: str, thought: str, thinking: int) -> int | None:
    """Return which of the listed tokens begins the visible reply, None where it cannot be told.

    A reply that comes after tokens of a thought comes after all of them.
    """
    visible, thinks = text.rstrip(), bool(thought or thinking)
    if not visible.strip():
        return None
    if len(entries) == 1 and not thinks:  # a readout
        return 0 if _begins(visible, _spelled(entries[0])) else None
    spelled = [_spelled(entry) for entry in entries]
    ending = len(spelled)
    while ending and not spelled[ending - 1].strip():
        ending -= 1
    said, first = "", None
    length = len(visible.strip())
    for at in reversed(range(ending)):
        said = spelled[at] + said
        if len(said) < length or not spelled[at].strip():
            continue
        if said.strip() == visible.strip():
            first = at
        break
    listed = "".join(spelled)
    if first is not None:
        before, end = _dense("".join(spelled[:first])), _dense(thought[-4 * ENDING :])[-ENDING:]
        whole = end in before if thought else first >= thinking
        if (before and not whole) or listed.strip() == thought:
            return None
        blank = (
            first and not thinks and text[0].isspace() and not any(map(str.strip, spelled[:first]))
        )
        return 0 if blank else first
    short = 10 * abs(len(listed) - len(visible)) > 3 * len(visible)
    begun = all(_begins(visible, "".join(spelled[:few])) for few in (1, 2))
    if thinks or not begun or (short and not _begins(visible, listed)):
        return None
    return 0


def _dense(text: str) -> str:
    return "".join(text.split())


def _begins(text: str, token: str) -> bool:
    """Say whether a text begins with a token of which more than white space can be seen."""
    return bool(token.strip()) and (
        text.startswith(token) or text.lstrip().startswith(token.strip())
    )


def _spelled(entry: Any) -> str:
    """Return the text of a listed token, '' for a special one."""
    token = _at(entry, "token")
    if not isinstance(token, str):
        return ""
    if token.isalnum() and token.isascii():
        return token
    octets = _at(entry, "bytes")
    if isinstance(octets, list) and octets:
        with contextlib.suppress(ValueError, TypeError):
            token = bytes(octets).decode("utf-8", "replace")
    token = re.sub(r"[▁Ġ]", " ", token).replace("Ċ", "\n")
    return "" if SPECIAL.fullmatch(token) else token


def _at(tree: Any, *path: str | int) -> Any:
    """Return what stands at a path of a JSON tree, None where the tree has another shape."""
    for step in path:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _text(part: Any) -> str | None:
    """Return a short text, None for anything else."""
    return part[:200] if isinstance(part, str) else None
