"""The four rules that say which option a reply decides for, and what denies it.

Each rule is a function (labels, plain text with signs) -> the options decided for, in order of
appearance; `replies` tries them strongest first. A rule must never count a label that is denied,
supposed, asked, quoted as somebody else's, or one line of a repeated option list.

Public names: Labels, labels_for, Found, RULES, bare, RETRACT, REFUSAL, NO_VALUES.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from hvae_utils.ask.replies.plain_text import PAYOFFS, SIGNS, is_sign, plain
from hvae_utils.errors import UserError

# ---- the cues: pieces of regular expressions, case ignored --------------------------------------

VERB = (
    r"(?:cho(?:ose|oses|osing|se|sen)|select(?:s|ed|ing)?|pick(?:s|ed|ing)?|prefer|take|taking|"
    r"(?:opt(?:s|ed|ing)?|vot(?:e|ing)|go(?:ing)?) for|(?:go|goes|going|went|stick) with|"
    r"(?:settle|decide)[ds]? (?:on|for))"
)
FILLER = (  # what may stand between "I" and the verb: no negation, no "could", "might", "can"
    r"(?:will|would|shall|must|do|did|have|am|going|to|decided|want|wish|need|had|like|be|happy|"
    r"glad|inclined|therefore|thus|then|now|also|definitely|certainly|still|personally|hereby|"
    r"finally|instead|rather|simply|just|gladly|happily|always|clearly|probably)"
)
I_VERB = rf"\b(?:I|we)(?:'(?:ll|d|m|ve)\b| {FILLER}\b){{0,6}} {VERB}\b(?: is| would be)?"
I_THINK = (
    r"\bI(?:'d|'ll| would| will)?(?: just)? (?:think|say|believe|guess|answer|reply|respond with)\b"
)
FINAL = (
    r"\bfinal (?:answer|choice|decision|selection|pick)\b[\"' ]*(?:is\b|would be\b|:|=|-)?"
    rf"(?: to {VERB}\b)?"
)
NOUN = (  # "my answer is", "Answer:", '"choice":', "the best choice would be"
    r"(?:^|[\n.,;:!?\"'({\[] ?|\b(?:my|the|our|your|best|correct|right|ideal|preferred|optimal|so|"
    r"and|chosen|selected) )(?:answer|choice|decision|selection|selected|pick|response|preference|"
    r"letter|(?:chosen |selected )?option(?=[\"' ]*[:=]))\b[\"' ]*(?:(?:to|for|of|in) "
    r"[^.;!?\n:]{0,40}?)? ?(?:\b(?:is|would be|will be)\b|[:=→-])"
    rf"(?: to {VERB}\b)?"
)
DEFERRED = (  # "I choose the equal split, which is E."
    rf"{I_VERB} (?:(?!\b(?:not|than|over|instead|rather|except|but|like|unlike|avoid|or)\b|n't)"
    r"[^.;!?\n]){1,100}?(?:\b(?:which|that) is\b|\bnamely\b|:| - |[,(](?= ?option))"
)
FOREIGN = (
    r"\b(?:ich (?:wähle|nehme|entscheide mich für)(?: die)?|(?:je |j')(?:choisis|choisirais|prends|"
    r"préfère|opte pour)|(?:elijo|elegiría|escojo|prefiero|opto por)(?: la)?|scelgo|sceglierei|"
    r"(?:escolho|escolheria)(?: a)?|ik kies(?: voor)?|jag väljer|wybieram|выбираю|выберу)\b|"
    r"[我会會将]? ?(?:选择|選擇|选|選)[的是]{0,2}|(?:答案|回答|答え|\b(?:antwort|wahl|entscheidung|"
    r"réponse|choix|respuesta|elección|risposta|scelta|resposta|escolha|antwoord|keuze|ответ|выбор))"
    r" ?(?:\b(?:ist|est|es|è|é|is)\b|[是は:])"
)
MINE = (  # after the label
    r" ?(?:'s |is |will be |would be )my (?:final |preferred )?(?:answer|choice|pick|decision|"
    r"selection|preference|option)\b| it is\b|"
    r" ?を ?選(?:び|択し)ます| ?[를을]? ?선택(?:합니다|하겠습니다)"
)
GOOD = r"(?:best|right|correct|optimal|ideal|preferred) (?:option|choice|one|answer)"
ADVISED = (  # "a person like me would choose C", "the best option is C", "the one that fits is C"
    rf"\b(?:would|should|must) {VERB}\b",
    rf"(?<!second )(?<!second-)(?<!next )\b{GOOD}\b[^.;!?\n]{{0,80}}?\bis\b",
    r"\b(?:option|choice|one) (?:that|which) (?:best )?(?:aligns|maximi[sz]es|satisfies|fits|match"
    r"es|reflects|serves|achieves)\b[^.;!?\n]{0,80}?\bis\b",
)
ASKED = rf"(?:^|[\n.!:] ?)(?:(?:please|so|let's|let us|let me|will|would) )?{VERB}\b"  # "Choose C."
PRAISED = rf" (?:(?:is|would be) (?:the |my )?{GOOD}|(?:best aligns?|aligns? best)) ?\b"
NEGATIVE = re.compile(  # before a cue in its clause: the label is not what is decided for
    r"(?i)\b(?:not|never|neither|nor|no|cannot|without|avoid\w*|reject\w*|refus\w+|exclud\w+|"
    r"eliminat\w+|except|least|worst|last (?:one|option|thing)|rule[sd]? out|instead of|"
    r"rather than|nicht|kein\w*|ne|pas|não|non|niet|не|nie|inte)\b|n't\b|[不别没]"
)
FORCED = (  # "if I had to choose" supposes nothing
    r"(?:(?:I|one) )?(?:(?:had|have|must|were|was|am|forced|pressed|asked|required) ?)+"
    r"(?:to )?(?:choose|pick|select|answer|decide|,)"
)
HEDGE = re.compile(  # before a cue in its sentence: supposed, remembered, somebody else's choice
    rf"(?i)\b(?:if(?! {FORCED})|unless|whether|suppose|imagine|tempted|I (?:was|wanted|used)|wish|"
    r"could|might|may|perhaps|maybe|can|would have|should (?:I|we)|previous\w*|earlier|"
    r"last (?:time|round|question)|for example|such as|hypothetical\w*)\b|"
    r"\b(?:he|she|they|opponent|partner|people|humans|players|others?(?: \w+)?) (?:\w+ )?$|"
    r"\b(?:player|person|participant|role|agent) \w $|"
    r"\b(?:when|whenever|by|si|se|wenn) $|如果$|若$"
)
TAKEN_BACK = re.compile(  # after a label
    r"(?i)[^.;!?\n]{0,80}\?|\W*(?:nicht|pas|niet|if|unless|in case|when|"
    r"for (?:item|question|round)|with (?:a )?(?:probability|chance|\d))\b|"
    r",? (?:is|was|would be|seems)(?:n't| (?:not|un\w+|too|bad|wrong|the (?:worst|least)))\b"
)
CONTRAST = re.compile(r"(?i)\b(?:but|however|yet|nevertheless|instead|on the other hand)\b")
RETRACT = re.compile(
    r"(?i)(?:^|[.!?;,(\n-] ?)(?:(?:no|oh|hmm|but|or),? )?(?:wait|actually|sorry|I meant?|edit|"
    r"on (?:second thoughts?|reflection)|correction|scratch that|"
    r"let me (?:reconsider|rethink|change)|I(?:'ve)? changed? my mind)\b"
)
CLAUSE = re.compile(r"(?i),|\b(?:but|so|therefore|thus|hence|then)\b")
SENTENCE = re.compile(r"[.;!?\n]")
BREAK = re.compile(r"\n|[.;!]+(?=\s|$)|(?<=\?)\s")
REFUSAL = re.compile(
    r"(?i)\bI (?:cannot|can't|can not|will not|won't|(?:am|'m) (?:unable|not able|not willing) to|"
    r"(?:must |have to |respectfully )*(?:refuse|decline)|(?:do not|don't) (?:want|wish) to)\b"
    r"(?! (?:choose|select|pick|decide) (?:(?:between|option)\b|\w\b))|"
    r"\bI'm (?:unable|not able) to\b|\bI(?:'m| am| do)?(?: not|n't) (?:feel )?comfortable\b|"
    r"我(?:无法|不能)|\bich kann (?:leider )?nicht\b|\bje ne peux pas\b|\bno puedo\b"
)
NO_VALUES = re.compile(  # a disclaimer: a refusal only if no decision follows
    r"(?i)\bas an? (?:AI|artificial|(?:large )?language model)\b|\bI (?:do not|don't) (?:have|hold|"
    r"possess)(?: any)?(?: personal)? (?:preference|opinion|feeling|value|desire|interest)s?\b|"
    r"\bI(?: am|'m) (?:just |only )?an? (?:AI|(?:large )?language model)\b|"
    r"作为(?:一个)?(?:AI|人工智能)"
)


# ---- labels in a reply --------------------------------------------------------------------------

START = r"(?<!\w)(?<!\w')(?<!\w-)(?<!\w\.)(?<![Pp]lan )"
END = r"(?![\w\u0300-\u036f%°+]|'\w|-\w|[.,]\d|\.[A-Za-z](?![A-Za-z]))"
CLOSED = rf"$|[.,;:!?)\]}}\"'>|/→=\n]|\(? ?{PAYOFFS}| ?-+[ >]"
WORDS = r"because|since|is|over|gives|giving|which|or|it is|ist|est|es"
# Where a label that is also a word or a number ("A", "I", "b", "3") can end:
SETTLED = rf"(?= ?(?:{CLOSED}|(?:{WORDS})\b))"
SETTLED_A = rf"(?= ?(?:{CLOSED}|\(|(?:{WORDS}|as|and|so|with|would|for|to|wählen)\b|[を를]))"
OPEN = r"[\s\"'()\[\]{}<>=:→|]{0,6}(?:- )?"
KIND = (
    r"(?:(?:the |die |la |l')?(?:option|choice|letter|number|answer|alternative|opción|optie|"
    r"opzione|opção|opcję|вариант|möglichkeit|选项|選項) ?)?"
)
LEFT = r"[^\w!~<>\ue000-\uf8ff]*"
LEAD_IN = (
    r"(?:(?:(?:sure|ok(?:ay)?|well|so|thus|therefore|hence|then|definitely|certainly|clearly|obvious"
    r"ly|of course|yes|alright|absolutely)\b|(?:item|question|round|q) ?\d+ ?[:)-])[ ,:-]*){0,3}"
)
OPENED = (  # what follows a label that opens a line
    rf"[\"' ]*[.:)\]](?=[\s\"']|{PAYOFFS}|$)| ?\(? ?{PAYOFFS}|,? (?:because|since)\b|,? ?- |"
    r", (?:definitely|obviously|of course|as|so|for|with|giving|please)\b"
)
STRUNG = (
    r"(?:[\"') ]*(?:[,;/&:|>]|- |\b(?:or|and|to|through|then|followed by|vs|oder|und|ou|et|o|y|"
    r"och|of|en)\b|[或和])[\"' ]*){1,3}"
)


class Labels:
    """The patterns for one set of labels; `index` leads from a label to its place as shown."""

    def __init__(self, labels: tuple[str, ...]):
        names = [plain(label) for label in labels]
        self.index = {name.casefold(): i for i, name in enumerate(names)}
        if not names or len(self.index) != len(names) or "" in self.index:
            raise UserError(f"labels must be distinct and not empty, not: {', '.join(labels)}")
        names.sort(key=lambda name: (-len(name), name))  # any order: the same patterns
        sure = [name for name in names if name.isalpha() and name.isupper() and name not in "AI"]
        kinds = [rf"(?:{'|'.join(sure)}){END}"] if sure else []
        kinds += [rf"A{END}{SETTLED_A}"] if "A" in names else []
        kinds += [rf"(?i:{'|'.join(map(re.escape, names))}){END}{SETTLED}"]
        label = rf"{START}(?:{'|'.join(kinds)})"
        x = rf"(?i:{OPEN}{KIND}{OPEN})(?P<x>{label}|[{SIGNS}])"

        def cue(before: str, after: str = "") -> re.Pattern:
            return re.compile(rf"(?i:{before}){x}{after}")

        end = rf"(?=[ )\"]*(?:[.!\n]|[:,( ]*{PAYOFFS}|,? (?:because|since|as|then)\b|$))"
        self.marked = [cue(FINAL)]
        self.declared = [cue(I_VERB), cue(NOUN), cue(FOREIGN)]
        self.declared += [cue(I_THINK, end), cue(DEFERRED, end)]
        self.declared += [cue(r"\bich würde ", "(?i: wählen| nehmen)"), cue("", f"(?i:{MINE})")]
        self.advised = [*map(cue, ADVISED), cue(ASKED, end), cue("", f"(?i:{PRAISED})")]
        self.bare = re.compile(rf"{LEFT}(?i:{LEAD_IN}){x}[^\w?]*$")
        self.opening = re.compile(rf"{LEFT}{x}(?P<then>(?i:{OPENED}))")
        self.mention = re.compile(label)
        gap = r"[\s:.)(=,|\"-]{0,4}"
        number = r"\d\d" if any(name.isdigit() for name in names) else r"\d"
        self.line = re.compile(rf"(?P<x>{label}){gap}(?P<payoffs>{PAYOFFS}|{number})")
        paid, next_line = rf"{gap}{PAYOFFS}[ )]*", rf"[.\s]{{1,2}}(?={OPEN}{label}{gap}{PAYOFFS})"
        self.strung = re.compile(rf"(?:{paid})?(?:(?i:{STRUNG})|{next_line}){x}")

    def place(self, x: str) -> int:
        """Return the place of a label or a sign."""
        return ord(x) - 0xE000 if is_sign(x) else self.index[x.casefold()]

    def mentioned(self, text: str) -> set[int]:
        """Return the places of all labels in a text, decided for or not."""
        return {self.place(m[0]) for m in self.mention.finditer(text)}


labels_for = lru_cache(maxsize=64)(Labels)


# ---- the four rules: (labels, text) -> what the reply decides for -------------------------------


@dataclass(frozen=True)
class Found:
    """An option decided for: its place, where in the text, and whether by its label."""

    index: int
    start: int
    end: int
    label: bool  # named by its label, not by its payoffs alone


def _begin(m: re.Match) -> int:
    return m.start() + re.search(rf"\w|{PAYOFFS}", m[0]).start()


def _all_strung(g: Labels, text: str, m: re.Match, at: int = 0) -> Iterator[Found]:
    """Yield the answer of a match and all it is strung together with ("B or C", "A, B, C")."""
    start = at + _begin(m)
    for _ in range(len(g.index) + 1):
        if not m:
            break
        end = at + m.end("x")
        yield Found(g.place(m["x"]), start, end, not is_sign(m["x"]))
        m, at = g.strung.match(text, end), 0


def _denied(g: Labels, text: str, m: re.Match, strong: bool) -> bool:
    """Say whether the words around a cue deny, suppose, ask or take back what it says."""
    start, rest = _begin(m), text[m.end("x") : m.end("x") + 500]
    within = text[start : m.start("x")]
    sentence = SENTENCE.split(text[max(0, start - 300) : start])[-1]
    hedged = re.split(r"(?i)\bbut\b", sentence)[-1] if strong else sentence
    clause = CLAUSE.split(sentence)[-1] if strong else sentence
    if NEGATIVE.search(clause + within) or HEDGE.search(hedged) or TAKEN_BACK.match(rest):
        return True
    turn = CONTRAST.search(rest)
    if not turn or (strong and not re.search(r"(?i)\b(?:would|want|need|like)\b|'d\b", within)):
        return False
    later = g.mentioned(rest[turn.end() :]) - {g.place(m["x"])}
    return bool(later) or not SENTENCE.search(rest[: turn.start()])


def _cued(g: Labels, text: str, patterns: list[re.Pattern], strong: bool = True) -> list[Found]:
    matches = (m for pattern in patterns for m in pattern.finditer(text))
    return [f for m in matches if not _denied(g, text, m, strong) for f in _all_strung(g, text, m)]


def _pieces(text: str, boundary: str | re.Pattern) -> Iterator[tuple[int, str]]:
    start = 0
    for m in re.finditer(boundary, text):
        yield start, text[start : m.start()]
        start = m.end()
    yield start, text[start:]


def _completes_denial(text: str, start: int) -> bool:
    """Say whether a piece ends a sentence begun before it that denies it ("The worst is:\\nB")."""
    before = text[max(0, start - 200) : start].rstrip()
    if not re.search(rf"(?i)(?:[:,]|\b(?:{VERB}|is|option|not|never))$", before[-20:]):
        return False
    sentence = SENTENCE.split(before)[-1]
    return bool(NEGATIVE.search(sentence) or HEDGE.search(sentence))


def _not_echoed(g: Labels, text: str, found: list[Found]) -> list[Found]:
    """Leave out a repeated option list, and the label due next where the list broke off."""
    lines = list(g.line.finditer(text))
    if len({g.place(m["x"]) for m in lines}) < 2:
        return found
    ends = {m.end("x") for m in lines}
    due = g.place(lines[-1]["x"]) + 1
    return [f for f in found if f.label and f.end not in ends and f.index != due]


def bare(g: Labels, text: str) -> list[Found]:
    """Find the lines and sentences that are nothing but an answer."""
    found = []
    for start, piece in _pieces(text, BREAK):
        m = g.bare.match(piece)
        if not m or _completes_denial(text, start):
            continue
        rest = text[start + len(piece) :][:20]
        listed = m["x"].isdigit() and re.match(r"\. ?\w", rest)  # "1. First, ..."
        broken_off = m["x"] == "I" and not rest and piece.startswith(" ")  # "Fine. I"
        if not listed and not broken_off:
            found += _all_strung(g, text, m, start)
    return _not_echoed(g, text, found)


def _opens(g: Labels, m: re.Match, rest: str) -> bool:
    """Say whether an opening label is one: no pronoun, list number, speaker's mark or complaint."""
    x, then = m["x"].casefold(), m["then"]
    prose = re.match(r"\s*[^\W\d]", rest) and not g.mention.match(rest.lstrip())
    mark = (x in "aq" and ":" in then) or (x == "1" and re.match(r"[.)]", then))
    pronoun = x == "i" and re.match(r",|,? ?- ", then)
    complaint = re.match(r"(?i)\W*(?:no|not|never|unfair|bad|too|wrong|worst)\b", rest)
    turn = re.search(rf"{CONTRAST.pattern}|\b(?:so|therefore|thus|hence)\b", rest)
    others = {g.place(m[0]) for m in g.mention.finditer(rest) if rest[m.end() :][:1] in (")", ":")}
    others |= g.mentioned(rest[turn.end() :]) if turn else set()
    return not ((prose and mark) or pronoun or complaint or others - {g.place(m["x"])})


def _stated(g: Labels, text: str) -> list[Found]:
    found = []
    for start, line in _pieces(text, "\n"):
        m = g.opening.match(line)
        if m and _opens(g, m, text[start + m.end() :][:500]) and not _completes_denial(text, start):
            found += _all_strung(g, text, m, start)
    return _cued(g, text, g.advised, strong=False) + _not_echoed(g, text, found)


RULES = (
    ("marked", lambda g, text: _cued(g, text, g.marked)),
    ("declared", lambda g, text: _cued(g, text, g.declared)),
    ("bare", bare),
    ("stated", _stated),
)
