"""Names as an abstract announces them: "called X", "we propose Long Name (LN)", "our method, X, ...", "X is introduced".

A cue opens a walk over the words behind it. Where on the walk a name stands (first, inside the noun phrase, behind a
comma, in brackets, deeper) says how likely it is what the cue announces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .name_words import (
    HEAD_NOUNS,
    NOTIONS,
    PARTS,
    PLAIN,
    SETTINGS,
    SMALL,
    TAIL_NOUNS,
    is_generic,
    is_known,
    is_shaped,
)
from .words import trigger, word_set

_CUES = {
    **dict.fromkeys(
        word_set("called named dubbed termed coined denominated titled denoted abbreviated namely refer referred"), "named"
    ),
    **dict.fromkeys(word_set("call name term dub coin denote"), "we"),
    **dict.fromkeys(word_set("our the this"), "ours"),
    **dict.fromkeys(
        word_set(
            """
            propose proposes proposed proposing introduce introduces introduced introducing release releases released releasing create
            creates created creating devise devises devised devising unveil unveils unveiled unveiling present presents presented
            presenting develop develops developed developing design designs designed designing craft crafts crafted crafting construct
            constructs constructed constructing build builds building built contribute contributes contributed offer offers offering
            describe adopt adopts redesign derive derives deriving leading suggest suggests suggested suggesting formulate formulates
            implement implements implemented
            """
        ), "propose"),
}  # fmt: skip
"""Words that announce a name, and how: "we" only behind "we", "ours" as "our X" or "the proposed X"."""
_NEW = word_set("proposed presented introduced developed novel new resulting resultant")
_MADE = word_set("proposed introduced presented developed designed devised")
_ADVERBS = word_set("then first thus also further hereby")
_NOT_BEHIND = {"build": {"on", "upon"}, "built": {"on", "upon"}}
MAY_ANNOUNCE = trigger(
    "call called name named term termed dub dubbed coined coin denominated titled denote denoted abbreviated namely refer referred our "
    "newly resulting resultant build built leading adopt adopts",
    "propos introduc present develop describ design releas creat devis offer unveil contribut craft construct redesign deriv suggest formulat implement",
)
"""A sentence without these words holds no cue."""
WEIGHTS = {
    "named": {"head": 4.0, "inside": 3.0, "apposed": 2.0, "bracket": 3.5, "deep": 0.0, "deep bracket": 1.0},
    "propose": {"head": 3.5, "inside": 2.5, "apposed": 2.7, "bracket": 3.5, "deep": 0.0, "deep bracket": 2.0},
    "proposed": {"head": 3.0, "inside": 2.0, "apposed": 3.0, "bracket": 2.0, "deep": 0.0, "deep bracket": 0.5},
    "ours": {"head": 2.4, "inside": 1.0, "apposed": 3.0, "bracket": 2.5, "deep": 0.0, "deep bracket": 0.5},
    "passive": {"head": 3.0, "inside": 2.0, "apposed": 1.0, "bracket": 3.0, "deep": 1.0, "deep bracket": 2.0},
}
"""By kind of cue and by where the name stands behind it."""

_TOKEN = re.compile(r"[^\W_][\w.+*^’'\-/&]*(?:\(\d[\d+.]*\))?|[(),;:.\"“”‘’`—–]")
_END = ".,;:'’-/*&"
_ASIDE = word_set(
    "i.e e.g or called dubbed short named termed namely abbreviated denoted as for in cf see such like including etc where is"
)
_EXAMPLES = word_set("e.g such like including cf see eg")
_ARTICLES = word_set("the a an our this as by it novel new simple")
_BREAKS = word_set("that which where whereby because since while although so but who whose when if")
_PREPOSITIONS = word_set(
    "for of in on with to via using from by into based through over under at within across among against between and or"
)
_JOINS = frozenset({"of", "for", "in"})
_DASHES = frozenset({"—", "–"})
_STOPS = frozenset({".", ";", ":"})
_CLOSERS = frozenset({"", ",", "(", ".", ":", *_DASHES})
_BEHIND_SINGLE = _CLOSERS | HEAD_NOUNS | _BREAKS | {"to", "as", "is"}
_BEHIND_APPOSED = frozenset({",", "(", "", "a", "an", "based", "which", "that", "whose", "designed", *_DASHES})
_AFTER_COMMA = frozenset({"a", "an", "the"})
_REACH, _LOOK_BACK, _BEYOND = 48, 24, 10
"""Words read behind a cue, before "is proposed", and behind the last word that may be a name."""


class _Token(NamedTuple):
    """A word or a mark: as it stands, without marks at its end, in lower case; whether it may be (part of) a name; its cue;
    for a mark what it does (the end of a walk, a bracket, a comma), for a word whether it leads away from the head."""

    text: str
    bare: str
    low: str
    name: bool
    cue: str
    mark: str
    leads_away: bool


class Found(NamedTuple):
    """A name, the long form before its bracket, where it stands and the words around it."""

    name: str
    long: str
    place: str
    behind: str
    before: str


@lru_cache(maxsize=1 << 15)
def _token(text: str) -> _Token:
    bare = text.rstrip(_END) if text[0].isalnum() else text
    low = bare.lower()
    cue = _CUES.get(low, "") if text[1:] == low[1:] else ""
    mark = ""
    if not bare[:1].isalnum():
        mark = "stop" if text in _STOPS else "(" if text == "(" else "," if text == "," or text in _DASHES else "other"
    name = text[0].isalnum() and (text[0].isupper() or is_shaped(bare))
    return _Token(text, bare, low, name, cue, mark, low in _BREAKS or low in _PREPOSITIONS)


_NOTHING = _Token("", "", "", False, "", "other", False)


def announced(text: str, kind: str) -> Iterator[tuple[Found, float, str, str]]:
    """Names that a sentence announces, with the weight of each, the words that announce it and the kind of their cue."""
    tokens = [_token(word) for word in _TOKEN.findall(text)]
    places = [at for at, token in enumerate(tokens) if token.name or token.text == "("]
    if not places:
        return
    for at, token in enumerate(tokens):
        if not token.cue:
            continue
        how, first, stop = _cue(tokens, at, token.cue)
        stop = min(stop, places[-1] + _BEYOND)
        if how and first <= places[-1]:
            for found in _Walk(tokens[first:stop], how).names(places[-1] - first):
                yield found, WEIGHTS[how][found.place] + _surroundings(found, kind), f"{token.text} … {found.name}", how


def _cue(tokens: list[_Token], at: int, cue: str) -> tuple[str, int, int]:
    """The kind of the cue at `at` ("" if it is none) and the range of tokens that it opens."""
    low = tokens[at].low
    before = tokens[at - 1].low if at else ""
    behind = tokens[at + 1].low if at + 1 < len(tokens) else ""
    if cue == "we":
        ours = before == "we" or (low == "dub" and any(token.low == "we" for token in tokens[max(0, at - 5) : at]))
        return ("named" if ours else ""), at + 1, at + _REACH
    if cue == "ours":
        new = at + (2 if behind == "newly" else 1)
        if new < len(tokens) and tokens[new].low in _NEW:
            return "proposed", new + 1, new + _REACH
        return ("ours" if low == "our" else ""), at + 1, at + _REACH
    if low in _MADE:
        was = tokens[at - 2].low if before in _ADVERBS and at > 1 else before
        if was in {"is", "are"}:
            start = next(
                (k + 1 for k in range(at - 1, max(at - _LOOK_BACK, 0), -1) if tokens[k].text in {",", ";"}), None
            )
            return "passive", max(at - _LOOK_BACK, 0) if start is None else start, at - 1
    if low in _NEW and before in {"the", "our", "this", "newly"}:
        return "", at, at
    if behind in _NOT_BEHIND.get(low, ()) or (low == "leading" and behind != "to"):
        return "", at, at
    return cue, at + (2 if low in {"refer", "referred", "leading"} else 1), at + _REACH


def _surroundings(found: Found, kind: str) -> float:
    """What the words around a name say: "X method" speaks for it, "X loss" and "X dataset" against it."""
    behind = found.behind.lower()
    weight = -3.0 if found.before in _EXAMPLES else 0.0
    if behind in HEAD_NOUNS and (
        kind in {"dataset", "benchmark"} or not behind.startswith(("dataset", "benchmark", "corpus"))
    ):
        return weight + 0.5
    if behind in NOTIONS:
        return weight - 2.0
    if behind in PARTS or behind == "and":
        return weight - 0.8
    if behind in SETTINGS:
        return weight - 2.5
    if "bracket" in found.place and behind.isalpha() and behind not in _BREAKS | _PREPOSITIONS | _ASIDE:
        return weight - 0.5
    return weight


class _Walk:
    """One walk over the words behind a cue."""

    def __init__(self, tokens: list[_Token], how: str) -> None:
        self.tokens, self.how = tokens, how
        self.depth = 0
        """Prepositions and conjunctions passed."""
        self.place = "head"
        self.words = 0
        self.phrase: list[str] = []
        self.named = False
        """Whether a name of its own stood before: then a comma goes on a list and does not explain."""

    def at(self, index: int) -> _Token:
        return self.tokens[index] if 0 <= index < len(self.tokens) else _NOTHING

    def names(self, last: int) -> Iterator[Found]:
        """Names as far as token `last`, behind which there are none."""
        at, last = 0, min(last, len(self.tokens) - 1)
        while at <= last and self.depth <= 6:
            token = self.tokens[at]
            if not token.mark:
                if token.leads_away:
                    self._descend(token, at)
                if token.name:
                    stop, name = self._run(at)
                    found = self._found(name, at, stop)
                    if found is not None:
                        yield found
                    at, self.words = stop, self.words + 1
                else:
                    self.phrase.append(token.bare)
                    self.words += token.low not in _ARTICLES
                    at += 1
            elif token.mark == "stop":
                if at:
                    break
                at += 1
            elif token.mark == "(":
                close = next(
                    (k for k in range(at + 1, min(at + 9, len(self.tokens))) if self.tokens[k].text == ")"), None
                )
                if close is None:
                    break
                yield from self._bracket(at, close)
                at = close + 1
            else:
                if token.mark == ",":
                    deepest = 1 if self.how in {"ours", "proposed"} else 3
                    self.place = "apposed" if self.depth < deepest and not self.named else "deep"
                    self.phrase = []
                at += 1

    def _descend(self, token: _Token, at: int) -> None:
        if token.low in {"and", "but"} and self.depth == 0 and not self.named and self._goes_on(at):
            return
        if token.low in _BREAKS:
            self.depth, self.place = self.depth + 2, "deep"
        elif token.low in _PREPOSITIONS and not (token.low == "or" and self.at(at - 1).text == ","):
            self.depth, self.place = self.depth + 1, "deep"

    def _goes_on(self, at: int) -> bool:
        """Whether a conjunction joins adjectives: "a new and very fast method X"."""
        for token in self.tokens[at + 1 : at + 5]:
            if token.low in HEAD_NOUNS:
                return True
            if token.name or token.low in _ARTICLES or token.low in _PREPOSITIONS or not token.bare[:1].isalnum():
                return False
        return False

    def _run(self, at: int) -> tuple[int, str]:
        """The end of a run of words with capitals, and the run as a name without nouns such as "Method" at its end."""
        stop = at
        while self.at(stop).name:
            stop += 1
            if self.at(stop - 1).text[-1] in ".,;:":
                break
            joins = self.at(stop).text in _JOINS and stop - at <= 3 and not is_shaped(self.at(stop - 1).text)
            following = self.at(stop + 1).text
            if joins and following[:1].isupper() and not is_shaped(following):
                stop += 1
        words = [t.bare for t in self.tokens[at:stop]]
        if words and words[0] in {"The", "A", "An", "Our"}:
            words = words[1:]
        if len(words) > 1 and words[-1].lower() in TAIL_NOUNS and (len(words) > 2 or is_shaped(words[0])):
            words.pop()
        return stop, " ".join(words)

    def _found(self, name: str, at: int, stop: int) -> Found | None:
        place = "inside" if self.place == "head" and self.words else self.place
        behind = self._behind(stop)
        before = self.at(at - 2).low if self.at(at - 1).text == "," else self.at(at - 1).low
        self.phrase.extend(t.bare for t in self.tokens[at:stop])
        in_short = before == "or" and (self.at(stop).low, self.at(stop + 1).low) in {("in", "short"), ("for", "short")}
        if place == "deep" and behind in {",", *NOTIONS} and self.at(stop + 1).text in {"a", "an"}:
            place = "apposed"
        if place == "apposed" and not in_short and behind not in _BEHIND_APPOSED:
            place = "deep"
        first = name.split(" ", 1)[0]
        self.named = self.named or (is_shaped(first) and not is_generic(first) and not is_known(first))
        return Found(name, "", place, behind, before) if name and self._is_name(name, stop, place) else None

    def _behind(self, stop: int) -> str:
        """The word behind a name; of "X, a new phenomenon" the last word, if it is a noun of notions or parts."""
        if self.at(stop).text != "," or self.at(stop + 1).text not in _AFTER_COMMA:
            return self.at(stop).bare
        noun = ""
        for token in self.tokens[stop + 2 : stop + 9]:
            if not token.bare[:1].isalnum() or token.low in _BREAKS or token.low in _PREPOSITIONS:
                break
            noun = token.low
        return noun if noun in NOTIONS or noun in PARTS else ","

    def _is_name(self, name: str, stop: int, place: str) -> bool:
        """Whether a run of words may be a name: written as names are, or announced so that it can be nothing else."""
        words = name.split()
        following = self.at(stop)
        if len(words) == 1:
            if is_shaped(name):
                return not is_generic(name)
            if self.how == "passive" or place == "deep" or len(name) < 3:
                return False
            return following.low in _BEHIND_SINGLE and not is_generic(name) and name.lower() not in PLAIN
        if len(words) > 5 or place == "deep" or following.text == "(":
            return False
        if self.how != "named" and all(w.lower() in PLAIN or is_generic(w) or w.lower() in SMALL for w in words):
            return False
        opens = self.how in {"named", "propose", "proposed"} and following.text not in {"of", "and"}
        return opens or following.text in _CLOSERS

    def _bracket(self, opening: int, close: int) -> Iterator[Found]:
        """The short form in brackets behind its long form."""
        inner = [t for t in self.tokens[opening + 1 : close] if t.bare[:1].isalnum()]
        kept = [t.bare for t in inner if t.low not in _ASIDE]
        if not 1 <= len(kept) <= 2 or any(t.low in _EXAMPLES or t.bare.isdigit() for t in inner):
            return
        name = " ".join(kept)
        if is_generic(name):
            # "the Zed Small Language Models (SLMs)": what stands before the words of the abbreviation is the name.
            count = sum(c.isupper() for c in name)
            words, spelled = self.phrase[:-count], self.phrase[-count:]
            if (
                initials_fit(name, spelled)
                and words
                and self.depth == 0
                and words[-1][:1].isupper()
                and words[-1] not in {"The", "A", "An"}
            ):
                yield Found(words[-1], "", "head", "", "")
            return
        if not any(c.isupper() for c in name) or not (is_shaped(name) or initials_fit(name, self.phrase[-8:])):
            return
        place = "bracket" if self.depth == 0 else "deep bracket"
        yield Found(name, long_form(name, self.phrase), place, self.at(close + 1).low, "")


def initials_fit(short: str, words: list[str]) -> bool:
    """Whether the capitals of `short` begin words of `words` in order ("BWS" and "Blocky Wave Sums")."""
    letters = [c.lower() for c in short if c.isupper()] or list(short.lower())
    starts = [part[0] for part in "-".join(words).replace("/", "-").lower().split("-") if part]
    at = 0
    for letter in letters:
        while at < len(starts) and starts[at] != letter:
            at += 1
        if at == len(starts):
            return False
        at += 1
    return True


def long_form(short: str, phrase: list[str]) -> str:
    """The shortest end of a phrase whose words begin with the capitals of `short`, or ""."""
    for count in range(2, min(len(phrase), 10) + 1):
        words = phrase[-count:]
        if words[0][:1].lower() == short[:1].lower() and initials_fit(short, words):
            return " ".join(words)
    return ""
