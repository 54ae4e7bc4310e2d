"""The short name that authors give to their method or system.

Candidates come from the title (what stands before its colon, what it does something "with"), from announcements in the
paper's own part ("called X", "we propose Long Name (LN)", "our method, X, ...") and from the address of the code. Each
gets a weight for how it is announced and for what else speaks for it; the heaviest wins if it is heavy enough.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .name_announced import MAY_ANNOUNCE, announced, initials_fit, long_form
from .name_features import Candidate, Surroundings, compare, features, score
from .name_words import PLAIN, SMALL, TAIL_NOUNS, is_generic, is_known, is_shaped
from .text import Document

SURE = 5.0
"""The hand-set weight of a candidate beside which words that nothing announces need not be looked for."""
LEAD = 2.0
"""The lead in hand-set weight with which a candidate heavier than SURE + 1 wins unweighed; the fitted weights agree on those."""
_UNNAMED_KINDS = frozenset({"survey"})
_STUDIES = frozenset({"analysis", "theory", "other", "application"})

_GREEK = {"π": "pi", "α": "alpha", "β": "beta", "γ": "gamma", "λ": "lambda", "μ": "mu", "ε": "epsilon", "σ": "sigma"}
_WORDS = re.compile(r"[^\W_]+")
_MARKS = ".,;:()[]'\"“”’‘?!"
_MAYBE = re.compile(r"[^\W_][\w+^\-]*[\w+]")
_SPELLED = re.compile(r"\s\(([A-Z][^()]{5,80})\)")
_DEFINED = re.compile(
    r"\b(?:propose|introduce|present|develop|suggest)s?\s(?:(?:the|a|an|novel|new|simple)\s)*"
    r"([A-Za-z][\w-]+(?:\s[\w-]*\w){1,3}?)(?:,\s(?:an?|the|which)\s|\s?[-–—]+\s)"
)
_DEFINING = ("propose", "introduce", "present", "develop", "suggest")
"""A phrase that is announced and explained at once: "we propose wave sums, a way to add"."""
_IN_BRACKET = re.compile(r"\(([^()\s]{2,20})\)")
_FORMULA = re.compile(r"\$([^$]{1,30})\$")
_COMMAND = re.compile(
    r"\\(?:text(?:bf|it|sc|tt|sf|rm)?|math(?:rm|bf|cal|sf|tt|it|bb)|operatorname|emph|ours?|bf|it|sc|em)\b\s*|[{}$]|\\(?=\W)|</?[a-z]{1,4}>"
)
_META = re.compile(
    r"^\W*(?:preprint|technical report|position(?: paper)?|extended abstract|tutorial|short paper)\s*:\s*", re.I
)
_HEAD = re.compile(r"^\s*(?P<head>[^:]{2,90}?)\s*(?::|\s[-–—|]{1,3}\s)\s*\S")
_HEAD_COMMA = re.compile(r"^\s*(?P<head>[^\s,]*(?:[a-z][A-Z]|[A-Z]{2})[^\s,]*),\s")
_HEAD_REPORT = re.compile(r"^\s*(?P<head>\S+(?: \S+)?) (?:Technical |System )?Report\b")
_HEAD_VERB = re.compile(r"^\s*(?P<head>\S*(?:[a-z][A-Z]|[A-Z]{2}|\d)\S*) (?:can|is|makes?|enables?|goes|does)\b")
_PIECES = re.compile(r"\s(?:via|with|for|using|by|through|in|from|and|of|to|on|as|is|are)\s|[:,?]", re.I)
_STUDIED = re.compile(
    r":\s+(?:Re|Under|Analy|Bench|Evaluat|Explor|Investigat|Demystif|On the|A (?:Study|Look|Review|Survey))", re.I
)
_USED = re.compile(r"\b(?:with|via|using|through|by|introducing)\s(?P<name>[^\s:,]+)$", re.I)

_NUMBER = re.compile(r"[\W\d_]+[A-Za-z]?")
_SIZE = re.compile(r"-(?:\d+(?:\.\d+)?[MBKmb]|Tiny|Small|Base|Large|Huge|Deep|Wide|Lite|XL|Mini)$")


def find_name(document: Document, kind: str) -> tuple[str | None, list[str]]:
    """The name and the words that showed it; None for papers that propose nothing or name nothing."""
    is_settled, name = settled(document, kind)
    if is_settled:
        return name, [f"title: {name}"] if name else []
    return candidates(document, kind).best()


def settled(document: Document, kind: str) -> tuple[bool, str | None]:
    """Whether nothing need be weighed, and the name: none of a survey, a word written as a name before the title's colon."""
    if kind in _UNNAMED_KINDS:
        return True, None
    head = title_head(plain_title(document.title))
    if head and " " not in head and is_shaped(head) and not is_generic(head) and kind not in _STUDIES:
        return ("\\" not in document.title or head in document.abstract), head
    return False, None


def candidates(document: Document, kind: str) -> _Candidates:
    """Everything that may be the name."""
    names = _Candidates(document, plain_title(document.title), kind)
    _from_title(names)
    _from_announcements(document, names)
    _from_addresses(names)
    if all(found.weight < SURE for found in names.scored.values()):
        _from_text(names)
    return names


@lru_cache(maxsize=16)
def plain_title(title: str) -> str:
    """The title without LaTeX; Greek letters of formulas spelled out, as abstracts have them."""
    if "$" in title:
        title = _FORMULA.sub(lambda m: "".join(_GREEK.get(c, c) for c in m[1]), title)
    return _META.sub("", title.replace("{", "").replace("}", "").replace("\\", "").replace("$", ""))


def plain_text(text: str) -> str:
    """Text without the commands and braces of LaTeX."""
    return _COMMAND.sub("", text) if "\\" in text or "{" in text or "$" in text or "</" in text else text


def _small(phrase: str) -> frozenset[str]:
    return SMALL.intersection(phrase.lower().split())


def _fold(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


class _Candidates:
    """Names with a weight each: how they are announced, how often they come again, whether title and address have them."""

    def __init__(self, document: Document, title: str, kind: str) -> None:
        self.title, self.kind = title, kind
        self.background = plain_text(document.abstract[: document.own_start])
        self.abstract = self.background + plain_text(document.abstract[document.own_start :])
        self.folded_title = _fold(self.title)
        self.head = title_head(self.title)
        self.title_words = {w.strip(".,;:'’-/*&") for w in re.split(r"[\s:()]+", self.title)}
        self.repositories = [m[1] for m in _REPOSITORY.finditer(self.abstract)] if "/" in self.abstract else []
        self.folded_repositories = {_fold(name) for name in self.repositories}
        self.scored: dict[str, Candidate] = {}

    def add(self, name: str, weight: float, words: str, long: str = "", source: str = "title") -> None:
        name = self.tidy(name)
        if not 2 <= len(name) <= 60 or (is_generic(name) and name != self.head) or _NUMBER.fullmatch(name):
            return
        head = self.head or ""
        if " " in name and head != name and _fold(name) in _fold(head) and len(head.split()) <= 4 and not _small(head):
            name = head
        weight += self.support(name, long)
        if long:
            weight += 0.6
        known = self.scored.get(name)
        if known is None or weight > known.weight:
            self.scored[name] = Candidate(weight, source, words, long or (known.long if known else ""))

    def tidy(self, name: str) -> str:
        name = name.strip(" \"'“”`.,;:’‘")
        if name in self.title_words or name == self.head:
            return name
        size = _SIZE.search(name)
        if (
            size
            and size.start() > 2
            and name.count("-") == 1
            and self.abstract.count(name[: size.start()]) > self.abstract.count(name)
        ):
            name = name[: size.start()]
        single = name[:-1]
        if len(name) > 3 and name.endswith("s") and self._stands_alone(single):
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
        weight = 0.4 * min(self.abstract.count(name, len(self.background)), 6)
        folded = _fold(name)
        known, early = is_known(name) and name != self.head, name in self.background and name != self.head
        if name in self.title_words or (" " in name and folded in self.folded_title):
            weight += 0.0 if known or early else 2.0
        elif long and len(long) > 8 and _fold(long).rstrip("s") in self.folded_title:
            weight += 2.0
        if early:
            weight -= 2.0
        if known:
            weight -= 1.7
        if folded in self.folded_repositories:
            weight += 1.5
        return weight

    def described(self) -> dict[str, dict[str, float]]:
        """The features of each candidate."""
        around = Surroundings(
            self.title.lower(), _WORDS.findall(self.title), self.head, self.abstract, len(self.background), self.kind
        )
        told = {name: features(name, found, around) for name, found in self.scored.items()}
        if len(told) > 1:
            compare(told, {name: self.abstract.find(name) for name in told})
        return told

    def _heaviest(self) -> tuple[str, float]:
        """The candidate with the heaviest hand-set weight, and the weight of the one behind it."""
        order = sorted(self.scored, key=lambda key: (-self.scored[key].weight, key))
        return order[0], self.scored[order[1]].weight if len(order) > 1 else 0.0

    def best(self) -> tuple[str | None, list[str]]:
        if not self.scored:
            return None, []
        first, second = self._heaviest()
        if self.scored[first].weight >= SURE + 1 and self.scored[first].weight - second >= LEAD:
            return first, [self.scored[first].words]
        weights = {name: round(score(given), 4) for name, given in self.described().items()}
        name = max(weights, key=lambda key: (weights[key], len(key), key))
        return (name, [self.scored[name].words]) if weights[name] > 0 else (None, [])


_REPOSITORY = re.compile(r"(?:github\.com|gitlab\.com|huggingface\.co)/(?:datasets/|spaces/)?[\w.\-]+/([\w.\-]*\w)")


def _from_addresses(names: _Candidates) -> None:
    """A repository named as names are, whose letters the title's words begin with, or that the title has."""
    for repository in names.repositories:
        if is_shaped(repository) and not is_generic(repository) and 3 <= len(repository) <= 16:
            words = re.findall(r"[^\W_]+", names.title)
            if repository.isupper() and initials_fit(repository, words) and repository[0] == words[0][0]:
                names.add(repository, 3.0, repository, source="address")


def _from_text(names: _Candidates) -> None:
    """Words of the paper's own part that are written as names, announced or not."""
    # A word whose rest is in lower case is not written as names are; most words of a text end here.
    for word in {w.strip(_MARKS) for w in names.abstract.split() if not w[1:].islower()}:
        if len(word) < 3 or word in names.scored or not _MAYBE.fullmatch(word):
            continue
        if is_shaped(word) and not is_generic(word) and not is_known(word):
            names.add(word, 0.0, word, long_spelled(names.abstract, word), "text")


def long_spelled(abstract: str, name: str) -> str:
    """The long form in brackets behind a name: "QWS (Quick Wave Sums)"."""
    at = abstract.find(f"{name} (")
    spelled = _SPELLED.match(abstract, at + len(name)) if at >= 0 else None
    return spelled[1] if spelled and initials_fit(name, spelled[1].split()) else ""


@lru_cache(maxsize=16)
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
    _own_phrases(names)
    _titled_short_forms(names)
    bracket = _IN_BRACKET.search(title)
    if bracket and is_shaped(bracket[1]):
        long = long_form(bracket[1], _WORDS.findall(title[: bracket.start()]))
        if long or re.match(r"\s*(?:$|:)", title[bracket.end() :]):
            names.add(bracket[1], 3.0, title, long, "title bracket")
    for part in (head, title):
        used = _USED.search(part or "")
        if used and is_shaped(used["name"]):
            names.add(used["name"], 0.5 if used["name"] in names.abstract else 0.0, f"title: {used[0]}", source="used")
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


def _titled_short_forms(names: _Candidates) -> None:
    """Abbreviations of the words that the title begins with, wherever the abstract explains them."""
    for bracket in _IN_BRACKET.finditer(names.abstract, len(names.background)):
        if is_shaped(bracket[1]) and not is_generic(bracket[1]):
            words = _WORDS.findall(names.abstract, max(0, bracket.start() - 100), bracket.start())
            long = long_form(bracket[1].strip("."), words)
            if len(long) > 8 and names.folded_title.startswith(_fold(long).rstrip("s")):
                names.add(bracket[1], 1.2, f"{long} ({bracket[1]})", long, "short form")


def _own_phrases(names: _Candidates) -> None:
    """A piece of the title that the abstract calls its own: "8-bit Zeds via Rounding" and "our 8-bit zeds"."""
    lower = names.abstract.lower()
    if "our " not in lower and "proposed " not in lower:
        return
    for piece in _PIECES.split(names.title):
        words = piece.lower().split()
        if 2 <= len(words) <= 4 and not PLAIN.issuperset(words):
            phrase = " ".join(words)
            if f"our {phrase}" in lower or f"proposed {phrase}" in lower:
                names.add(piece.strip(), 1.5, f"our {phrase}", source="own phrase")


def _single_head(names: _Candidates, head: str) -> None:
    told = is_shaped(head) or "-" in head or head.lower() in names.abstract.lower()
    study = names.kind in _STUDIES and not is_shaped(head) and head not in names.abstract
    if len(head) > 3 or told:
        names.add(head, 2.0 if study else 5.0, f"title: {head}", source="single head")


def _phrase_head(names: _Candidates, head: str, words: list[str]) -> None:
    """ "Swift Zed: ..." as a name, unless its words are plain ("Layer-Wise Quantization: ...")."""
    small = SMALL.intersection(w.lower() for w in words)
    told = head.lower() in names.abstract.lower()
    shaped = any(is_shaped(w) and not is_generic(w) for w in words)
    if shaped and told and not small:
        names.add(head, 3.5, f"title: {head}", source="shaped head")
        return
    plain = all(w.lower() in PLAIN for w in words) or words[0].lower().endswith("ing")
    study = names.kind in _STUDIES or _STUDIED.search(names.title)
    if study or plain or small or "," in head:
        return
    if head.endswith("s") and head[:-1] in names.abstract and head not in names.abstract:
        names.head = head = head[:-1]
    names.add(head, 1.6 if told else 1.0, f"title: {head}", source="phrase head")


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
            names.add(short[1], weight, f"{phrase} ({short[1]})", phrase, "short form")
            return True
    return False


def _stems(phrase: str) -> list[str]:
    """The words of a phrase in lower case without endings of the plural."""
    return [w.lower().rstrip("s") for w in _WORDS.findall(phrase)]


def _from_announcements(document: Document, names: _Candidates) -> None:
    for sentence in document.sentences:
        if sentence.own and sentence.triggers & MAY_ANNOUNCE:
            text = plain_text(sentence.text)
            for found, weight, words, how in announced(text, names.kind):
                names.add(found.name, weight, words, found.long, f"{how}/{found.place}")
            if any(verb in text for verb in _DEFINING):
                _from_definition(names, text)


def _from_definition(names: _Candidates, text: str) -> None:
    for match in _DEFINED.finditer(text):
        if _fold(match[1]) in names.folded_title and match[1].rsplit(" ", 1)[-1] not in TAIL_NOUNS:
            names.add(match[1], 3.0, match[0], source="defined")
