"""The short name that authors give to their method or system.

Candidates come from the title (what stands before its colon, what it does something "with"), from announcements in the
paper's own part ("called X", "we propose Long Name (LN)", "our method, X, ...") and from the address of the code. Each
gets a weight for how it is announced and for what else speaks for it; the heaviest wins if it is heavy enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .name_words import HEAD_NOUNS, NOT_NAMES, NOTIONS, PARTS, PLAIN, SETTINGS, SMALL, TAIL_NOUNS, WELL_KNOWN
from .text import Document
from .words import trigger, word_set

LEAST = 3.0
"""The weight that a name needs."""
_UNNAMED_KINDS = frozenset({"survey"})
_STUDIES = frozenset({"analysis", "theory", "other", "application"})

_GREEK = {"π": "pi", "α": "alpha", "β": "beta", "γ": "gamma", "λ": "lambda", "μ": "mu", "ε": "epsilon", "σ": "sigma"}
_WORDS = re.compile(r"[^\W_]+")
_IN_BRACKET = re.compile(r"\(([^()\s]{2,20})\)")
_FORMULA = re.compile(r"\$([^$]{1,30})\$")
_COMMAND = re.compile(r"\\(?:textbf|textit|textsc|texttt|textsf|emph|mathrm|mathbf|mathcal|text|ours?|bf|it|sc|em)\b\s*|[{}$]|\\(?=\W)")
_META = re.compile(r"^\W*(?:preprint|technical report|position(?: paper)?|extended abstract|tutorial|short paper)\s*:\s*", re.I)
_HEAD = re.compile(r"^\s*(?P<head>[^:]{2,90}?)\s*(?::|\s[-–—|]{1,3}\s)\s*\S")
_HEAD_COMMA = re.compile(r"^\s*(?P<head>[^\s,]*(?:[a-z][A-Z]|[A-Z]{2})[^\s,]*),\s")
_HEAD_REPORT = re.compile(r"^\s*(?P<head>\S+(?: \S+)?) (?:Technical |System )?Report\b")
_HEAD_VERB = re.compile(r"^\s*(?P<head>\S*(?:[a-z][A-Z]|[A-Z]{2}|\d)\S*) (?:can|is|makes?|enables?|goes|does)\b")
_STUDIED = re.compile(r":\s+(?:Re|Under|Analy|Bench|Evaluat|Explor|Investigat|Demystif|On the|A (?:Study|Look|Review|Survey))", re.I)
_USED = re.compile(r"\b(?:with|via|using|through|by|introducing)\s(?P<name>[^\s:,]+)$", re.I)

_CUE = re.compile(
    r"\b(?:(?P<named>(?:[Ww]e (?:call|name|term|dub|coin|denote)|called|named|dubbed|termed|coined|denominated|titled|denoted|abbreviated"
    r"|namely|refer(?:red)? to)(?=\W))"
    r"|(?P<proposed>(?:[Tt]he|[Oo]ur|[Tt]his) (?:newly )?(?:proposed|presented|introduced|developed|novel|new))(?=\s)"
    r"|(?P<ours>\b[Oo]ur)(?=\s)"
    r"|(?P<passive>(?:is|are) (?:then |first |thus |also |further |hereby )?(?:proposed|introduced|presented|developed|designed|devised))\b"
    r"|(?P<propose>(?:propos|introduc|releas|creat|devis|unveil)(?:es?|ed|ing)|(?:present|develop|design|craft|construct|build|contribut|offer)"
    r"(?:e?s|e|ed|ing)?|built|describe|adopts?|redesign|deriv(?:e|es|ing)|leading to)\b"
    r"|(?P<weak>(?:explor|stud|investigat|advocat|provid|obtain|train|open-sourc)(?:e|es|y|ies|s|ed|ing)?)\b)",
)
_MAY_ANNOUNCE = trigger(
    "call called name named term termed dub dubbed coined coin denominated titled denote denoted abbreviated namely refer referred our "
    "newly proposed build built explore study advocate leading adopt adopts open adds",
    "propos introduc present develop describ design releas creat devis offer unveil contribut explor stud investigat advocat craft construct"
    " redesign deriv provid obtain train",
)
_TOKEN = re.compile(r"[^\W_][\w.+*^’'\-/&]*(?:\(\d[\d+.]*\))?|[(),;:.\"“”‘’`—–]")
_END = ".,;:'’-/*&"
_SHAPED = re.compile(r"[a-z0-9+^][A-Z]|[A-Z]{2}|[A-Z][\w+^]*\d|\d[\w+^]*[A-Z]|[A-Z]\w*[+^]")
_ADJECTIVE = re.compile(r"-(?:[a-z]{2,}(?:ed|ing|ly|ful|ive|able|ic|al)|free|aware|efficient|friendly|style|like|wise|level|type|scale|time|to|the|art)$", re.I)
_NUMBER = re.compile(r"[\W\d_]+[A-Za-z]?")
_VERSION = re.compile(r"(?:ResNet|VGG|DenseNet|ViT|DeiT|Swin|BERT|GPT|LLa[Mm][Aa]|Llama|OPT|Qwen|YOLOv?|EfficientNet|MobileNet|WRN|Pythia)-?[\dBSLTX][\w.]*$")
_SIZE = re.compile(r"-(?:\d+(?:\.\d+)?[MBKmb]|Tiny|Small|Base|Large|Huge)$")
_ASIDE = word_set("i.e e.g or called dubbed short named termed namely abbreviated denoted as for in cf see such like including etc where is")
_EXAMPLES = word_set("e.g such like including cf see eg")
_ARTICLES = word_set("the a an our this as by it novel new simple")
_BREAKS = word_set("that which where whereby because since while although so but who whose when if")
_PREPOSITIONS = word_set("for of in on with to via using from by into based through over under at within across among against between and or")
_LOOK_BACK = 16


class _Found(NamedTuple):
    """A name as it stands, the long form before its bracket, the place it was found in and the word behind it."""

    name: str
    long: str
    role: str
    behind: str
    before: str


def find_name(document: Document, kind: str) -> tuple[str | None, list[str]]:
    """The name and the words that showed it; None for papers that propose nothing or name nothing."""
    if kind in _UNNAMED_KINDS:
        return None, []
    names = _Candidates(document, kind)
    head = names.head
    if head and " " not in head and is_shaped(head) and not is_generic(head) and kind not in _STUDIES:
        return head, [f"title: {head}"]
    _from_title(names)
    _from_announcements(document, names)
    _from_addresses(names)
    return names.best()


def plain_title(title: str) -> str:
    """The title without LaTeX; Greek letters of formulas spelled out, as abstracts have them."""
    if "$" in title:
        title = _FORMULA.sub(lambda m: "".join(_GREEK.get(c, c) for c in m[1]), title)
    return _META.sub("", title.replace("{", "").replace("}", "").replace("\\", "").replace("$", ""))


def _small(phrase: str) -> frozenset[str]:
    return SMALL.intersection(phrase.lower().split())


def _fold(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def is_shaped(word: str) -> bool:
    """Whether a word is written as only names and abbreviations are: "ZedNet", "ZN", "Zed2", "Z-Former"; not "Layer-Wise"."""
    if _SHAPED.search(word):
        parts = re.split(r"[-/]", word)
        return any(_SHAPED.search(part) for part in parts) or (len(parts[0]) == 1 and parts[0].isupper())
    return "-" in word[1:3] and word[:1].isupper() and word[2:3].isupper()


def is_generic(word: str) -> bool:
    """Whether a word is an abbreviation that everybody uses, in singular or plural."""
    if word in NOT_NAMES or (word.endswith("s") and word[:-1] in NOT_NAMES):
        return True
    suffix = _ADJECTIVE.search(word)
    return suffix is not None and (suffix[0].islower() or word[: suffix.start()] in NOT_NAMES)


def is_known(word: str) -> bool:
    """Whether a word names a model or a method that most papers mention as others' work."""
    return word.removesuffix("s") in WELL_KNOWN or _VERSION.match(word) is not None


def _initials_fit(short: str, words: list[str]) -> bool:
    """Whether the capitals of `short` begin words of `words` in order ("BWS" and "Blocky Wave Sums")."""
    letters = [c.lower() for c in short if c.isupper()] or list(short.lower())
    starts = [part[:1].lower() for word in words for part in re.split(r"[-/]", word) if part]
    at = 0
    for letter in letters:
        while at < len(starts) and starts[at] != letter:
            at += 1
        if at == len(starts):
            return False
        at += 1
    return True


def _long_form(short: str, phrase: list[str]) -> str:
    """The shortest end of a phrase whose words begin with the capitals of `short`, or ""."""
    for count in range(2, min(len(phrase), 10) + 1):
        words = phrase[-count:]
        if words[0][:1].lower() == short[:1].lower() and _initials_fit(short, words):
            return " ".join(words)
    return ""


class _Candidates:
    """Names with a weight each: how they are announced, how often they come again, whether title and address have them."""

    def __init__(self, document: Document, kind: str) -> None:
        self.title, self.abstract, self.kind = plain_title(document.title), document.abstract, kind
        self.folded_title = _fold(self.title)
        self.head = title_head(self.title)
        self.title_words = {w.strip(_END) for w in re.split(r"[\s:()]+", self.title)}
        self.background = document.abstract[: document.own_start]
        self.repositories = [m[1] for m in _REPOSITORY.finditer(self.abstract)] if "/" in self.abstract else []
        self.folded_repositories = {_fold(name) for name in self.repositories}
        self.scored: dict[str, tuple[float, str]] = {}

    def add(self, name: str, weight: float, words: str, long: str = "") -> None:
        name = self.tidy(name)
        if not 2 <= len(name) <= 60 or (is_generic(name) and name != self.head) or _NUMBER.fullmatch(name):
            return
        head = self.head or ""
        if " " in name and head != name and _fold(name) in _fold(head) and len(head.split()) <= 4 and not _small(head):
            name = head
        weight += self.support(name, long)
        if long:
            weight += 0.6
        if weight > self.scored.get(name, (0.0, ""))[0]:
            self.scored[name] = (weight, words)

    def tidy(self, name: str) -> str:
        name = name.strip(" \"'“”`.,;:’‘")
        if name in self.title_words or name == self.head:
            return name
        size = _SIZE.search(name)
        if size and name.count("-") == 1 and self.abstract.count(name[: size.start()]) > self.abstract.count(name):
            name = name[: size.start()]
        single = name[:-1]
        if len(name) > 3 and name.endswith("s") and (single.isupper() or self._stands_alone(single)):
            name = single
        return name

    def _stands_alone(self, name: str) -> bool:
        at = self.abstract.find(name)
        while at >= 0:
            around = self.abstract[at - 1 : at] + self.abstract[at + len(name) : at + len(name) + 1]
            if not any(c.isalnum() for c in around):
                return True
            at = self.abstract.find(name, at + 1)
        return False

    def support(self, name: str, long: str) -> float:
        """What speaks for a name wherever it was found."""
        weight = 0.4 * min(self.abstract.count(name), 6)
        folded = _fold(name)
        if name in self.title_words or (" " in name and folded in self.folded_title):
            weight += 2.0
        elif long and len(long) > 8 and _fold(long).rstrip("s") in self.folded_title:
            weight += 2.0
        if name in self.background and name != self.head:
            weight -= 2.0
        if is_known(name) and name != self.head:
            weight -= 1.5
        if folded in self.folded_repositories:
            weight += 1.5
        return weight

    def best(self) -> tuple[str | None, list[str]]:
        if not self.scored:
            return None, []
        name = max(self.scored, key=lambda key: self.scored[key][0])
        weight, words = self.scored[name]
        return (name, [words]) if weight >= LEAST else (None, [])


_REPOSITORY = re.compile(r"(?:github\.com|gitlab\.com|huggingface\.co)/(?:datasets/|spaces/)?[\w.\-]+/([\w.\-]*\w)")


def _from_addresses(names: _Candidates) -> None:
    """A repository named as names are, whose letters the title's words begin with, or that the title has."""
    for repository in names.repositories:
        if is_shaped(repository) and not is_generic(repository) and 3 <= len(repository) <= 16:
            words = re.findall(r"[^\W_]+", names.title)
            if repository.isupper() and _initials_fit(repository, words) and repository[0] == words[0][0]:
                names.add(repository, 3.0, repository)


# Titles


def title_head(title: str) -> str | None:
    """What stands before the title's colon or dash, or before a comma or a verb behind a word written as names are."""
    for pattern in (_HEAD, _HEAD_COMMA, _HEAD_REPORT, _HEAD_VERB):
        match = pattern.match(title)
        if match:
            return match["head"].strip(" \"'“”`.,;:")
    return None


def _from_title(names: _Candidates) -> None:
    title = names.title
    head = names.head
    bracket = re.search(r"\((?P<name>[^()\s]{2,20})\)\s*(?:$|:)", title)
    if bracket and is_shaped(bracket["name"]):
        names.add(bracket["name"], 3.0, title)
    for part in (head, title):
        used = _USED.search(part or "")
        if used and is_shaped(used["name"]):
            names.add(used["name"], 0.5 if used["name"] in names.abstract else 0.0, f"title: {used[0]}")
    if head is None:
        words = title.split()
        if 2 <= len(words) <= 4 and not _short_form(names, title, 3.0) and title.lower() in names.abstract.lower():
            _phrase_head(names, title, words)
        return
    words = head.split()
    if _short_form(names, head, 4.5):
        return
    if len(words) == 1:
        _single_head(names, head)
    elif len(words) <= 4:
        _phrase_head(names, head, words)


def _single_head(names: _Candidates, head: str) -> None:
    told = is_shaped(head) or "-" in head or head.lower() in names.abstract.lower()
    study = names.kind in _STUDIES and not is_shaped(head) and head not in names.abstract
    if len(head) > 3 or told:
        names.add(head, 2.0 if study else 5.0, f"title: {head}")


def _phrase_head(names: _Candidates, head: str, words: list[str]) -> None:
    """ "Swift Zed: ..." as a name, unless its words are plain ("Layer-Wise Quantization: ...")."""
    small = SMALL.intersection(w.lower() for w in words)
    told = head.lower() in names.abstract.lower()
    shaped = any(is_shaped(w) and not is_generic(w) for w in words)
    if shaped and told and not small:
        names.add(head, 3.5, f"title: {head}")
        return
    plain = all(w.lower() in PLAIN for w in words) or words[0].lower().endswith("ing")
    study = names.kind in _STUDIES or _STUDIED.search(names.title)
    if study or plain or small:
        return
    if head.endswith("s") and head[:-1] in names.abstract and head not in names.abstract:
        names.head = head = head[:-1]
    names.add(head, 1.6 if told else 1.0, f"title: {head}")


def _short_form(names: _Candidates, phrase: str, weight: float) -> bool:
    """Adds the short form that the abstract gives for the phrase: "Blockwise Flow Matching (BFM)"."""
    if " " not in phrase:
        return False
    wanted = _stems(phrase)
    abstract, at = names.abstract, names.abstract.find("(")
    while at >= 0:
        short = _IN_BRACKET.match(abstract, at)
        at = abstract.find("(", at + 1)
        if short is None or not any(c.isupper() for c in short[1]) or is_generic(short[1]):
            continue
        stems = _stems(abstract[max(0, short.start() - 2 * len(phrase) - 30) : short.start()])
        if any(stems[-k - len(wanted) : len(stems) - k] == wanted for k in range(min(3, len(stems)))):
            names.add(short[1], weight, f"{phrase} ({short[1]})", phrase)
            return True
    return False


def _stems(phrase: str) -> list[str]:
    """The words of a phrase in lower case without endings of the plural."""
    return [w.lower().rstrip("s") for w in _WORDS.findall(phrase)]


# Announcements

_WEIGHTS = {
    "named": {"head": 4.0, "inside": 3.0, "apposed": 2.0, "bracket": 3.5, "deep": 0.0, "deep bracket": 1.0},
    "propose": {"head": 3.5, "inside": 2.5, "apposed": 2.5, "bracket": 3.5, "deep": 0.0, "deep bracket": 2.0},
    "proposed": {"head": 3.0, "inside": 2.0, "apposed": 3.0, "bracket": 2.0, "deep": 0.0, "deep bracket": 0.5},
    "ours": {"head": 2.4, "inside": 1.0, "apposed": 3.0, "bracket": 2.5, "deep": 0.0, "deep bracket": 0.5},
    "weak": {"head": 1.5, "inside": 0.5, "apposed": 1.0, "bracket": 1.5, "deep": -1.0, "deep bracket": 0.5},
    "passive": {"head": 3.0, "inside": 2.0, "apposed": 1.0, "bracket": 3.0, "deep": 1.0, "deep bracket": 2.0},
}
"""By announcement and by where the name stands: first behind the cue, inside its noun phrase, behind a comma, in brackets
behind a long form, or deeper in the sentence."""


def _from_announcements(document: Document, names: _Candidates) -> None:
    for sentence in document.sentences:
        if not (sentence.own and sentence.triggers & _MAY_ANNOUNCE):
            continue
        text = sentence.text
        if "\\" in text or "{" in text or "$" in text:
            text = _COMMAND.sub("", text)
        for cue in _CUE.finditer(text):
            how = cue.lastgroup or ""
            weights = _WEIGHTS[how]
            for found in _passive(text, cue.start()) if how == "passive" else _objects(text, cue.end(), how):
                weight = weights[found.role] + _surroundings(found, names.kind)
                names.add(found.name, weight, f"{cue[0]} … {found.name}", found.long)


def _surroundings(found: _Found, kind: str) -> float:
    """What the words around a name say: "X, a framework" and "X method" speak for it, "X loss" and "X dataset" against it."""
    weight = 0.0
    behind = found.behind.lower()
    if behind in HEAD_NOUNS and not (behind.startswith(("dataset", "benchmark", "corpus")) and kind not in {"dataset", "benchmark"}):
        weight += 0.5
    elif behind in NOTIONS:
        weight -= 2.0
    elif behind in PARTS or behind == "and":
        weight -= 1.0
    elif behind in SETTINGS:
        weight -= 2.5
    elif "bracket" in found.role and behind.isalpha() and behind not in _BREAKS | _PREPOSITIONS | _ASIDE:
        weight -= 0.5
    if found.before.lower() in _EXAMPLES:
        weight -= 3.0
    return weight


def _passive(text: str, stop: int) -> Iterator[_Found]:
    """Names before "is proposed"."""
    start = max(text.rfind(",", 0, stop - 1), text.rfind(";", 0, stop), stop - 160, 0)
    yield from _objects(text[:stop], start, "passive")


def _objects(text: str, start: int, how: str) -> Iterator[_Found]:
    """Names in what follows a cue, with the place of each."""
    tokens = [m[0] for _, m in zip(range(48), _TOKEN.finditer(text, start), strict=False)]
    at, words, depth, role, phrase, named = 0, 0, 0, "head", list[str](), False
    while at < len(tokens):
        token = tokens[at]
        bare = token.rstrip(_END)
        low = bare.lower()
        if token in {".", ";", ":"} and at:
            break
        if token == "(":
            close = next((k for k in range(at + 1, min(at + 9, len(tokens))) if tokens[k] == ")"), None)
            if close is None:
                break
            yield from _bracket(tokens[at + 1 : close], phrase, depth, tokens, close)
            at = close + 1
            continue
        if token in {",", "—", "–"}:
            role, phrase = ("apposed" if depth < (1 if how in {"ours", "proposed"} else 3) and not named else "deep"), []
            at += 1
            continue
        if not bare or not bare[0].isalnum():
            at += 1
            continue
        if low in _BREAKS:
            depth, role = depth + 2, "deep"
        elif low in _PREPOSITIONS:
            if low != "or" or not at or tokens[at - 1] != ",":
                depth, role = depth + 1, "deep"
        if bare[0].isupper() or is_shaped(bare):
            stop, name = _run(tokens, at)
            place = role if role != "head" or not words else "inside"
            behind = _behind(tokens, stop)
            before = tokens[at - 1].rstrip(_END) if at else ""
            if before == "," and at > 1:
                before = tokens[at - 2].rstrip(_END)
            phrase.extend(t.rstrip(_END) for t in tokens[at:stop])
            in_short = before == "or" and tokens[stop : stop + 2] in (["in", "short"], ["for", "short"])
            if place == "apposed" and not in_short and behind not in {",", "(", "—", "–", "", "a", "an"}:
                place = "deep"
            if name and _is_name(name, tokens, stop, place, how):
                yield _Found(name, "", place, behind, before)
            named = named or (is_shaped(name) and not is_generic(name) and not is_known(name))
            at, words = stop, words + 1
            if token.endswith((".", ";", ":")) and len(token) > 2 and at >= len(tokens):
                break
            continue
        phrase.append(bare)
        if low not in _ARTICLES:
            words += 1
        at += 1
        if depth > 6:
            break


def _run(tokens: list[str], at: int) -> tuple[int, str]:
    """The end of a run of words with capitals, and the run as a name without nouns such as "Method" at its end."""
    stop = at
    while stop < len(tokens) and (tokens[stop][0].isupper() or is_shaped(tokens[stop])):
        stop += 1
        if tokens[stop - 1][-1] in ".,;:":
            break
        if stop + 1 < len(tokens) and tokens[stop].lower() in {"of", "for", "in", "with", "to", "the", "and"} and stop - at <= 3:
            following = tokens[stop + 1]
            if following[0].isupper() and not is_shaped(following) and not is_shaped(tokens[stop - 1]) and tokens[stop] in {"of", "for", "in"}:
                stop += 1
    words = [t.rstrip(_END) for t in tokens[at:stop]]
    if words and words[0] in {"The", "A", "An", "Our"}:
        words = words[1:]
    if len(words) > 1 and words[-1].lower() in TAIL_NOUNS and (len(words) > 2 or is_shaped(words[0])):
        words.pop()
    return stop, " ".join(words)


def _behind(tokens: list[str], stop: int) -> str:
    """The word behind a name; of "X, a new phenomenon" the noun of notions, if there is one."""
    if tokens[stop : stop + 1] == [","] and tokens[stop + 1 : stop + 2] in (["a"], ["an"], ["the"]):
        noun = next((t for t in tokens[stop + 2 : stop + 5] if t.rstrip(_END) in NOTIONS | PARTS), None)
        return noun or ","
    return (tokens[stop].rstrip(_END) or tokens[stop]) if stop < len(tokens) else ""


def _is_name(name: str, tokens: list[str], stop: int, place: str, how: str) -> bool:
    """Whether a run of capital words may be a name: written as names are, or announced so that it can be nothing else."""
    words = name.split()
    following = tokens[stop] if stop < len(tokens) else ""
    if len(words) == 1:
        if is_shaped(name):
            return not is_generic(name)
        if how in {"weak", "passive"}:
            return False
        closed = following in {"", ",", "(", "—", "–", ".", ":"} or following.lower().rstrip(_END) in HEAD_NOUNS | _BREAKS | {"to", "as", "is"}
        return place != "deep" and not is_generic(name) and len(name) > 2 and closed and name.lower() not in PLAIN
    if len(words) > 5 or place == "deep" or following == "(":
        return False
    if how != "named" and all(w.lower() in PLAIN or is_generic(w) or w.lower() in SMALL for w in words):
        return False
    return following in {"", ",", ".", "—", "–", ":"} or following.lower().rstrip(_END) in HEAD_NOUNS | _BREAKS | {"to", "as", "is"}


def _bracket(inside: list[str], phrase: list[str], depth: int, tokens: list[str], close: int) -> Iterator[_Found]:
    """The short form in brackets behind its long form."""
    inner = [t.rstrip(_END) for t in inside if t.rstrip(_END)]
    aside = [t.lower() for t in inner if t.lower() in _ASIDE]
    kept = [t for t in inner if t.lower() not in _ASIDE]
    if not 1 <= len(kept) <= 2 or _EXAMPLES.intersection(aside) or any(t.isdigit() for t in kept):
        return
    behind = tokens[close + 1].rstrip(_END) if close + 1 < len(tokens) else ""
    name = " ".join(kept)
    behind = behind.lower() if behind not in HEAD_NOUNS else behind
    role = "bracket" if depth == 0 else "deep bracket"
    if is_generic(name) or (is_generic(kept[0]) and len(kept) == 1):
        words = phrase[: len(phrase) - sum(c.isupper() for c in name)]
        if words and depth == 0 and words[-1][:1].isupper() and words[-1] not in {"The", "A", "An"}:
            yield _Found(words[-1], "", "inside", "", "")
        return
    if not any(c.isupper() for c in name) or not (is_shaped(kept[0]) or len(kept) == 2 or phrase):
        return
    if not is_shaped(name) and not _initials_fit(name, phrase[-8:]):
        return
    long = _long_form(name, phrase)
    yield _Found(name, long, role, behind, "")
