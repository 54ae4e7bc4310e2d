"""What sort of contribution a paper makes, from its title's words and from the noun that its proposal names."""

from __future__ import annotations

import re
from collections import defaultdict

from .text import Document
from .vocabulary import word_set

_TITLE: tuple[tuple[str, str, float], ...] = (
    ("survey", r"\b(?:survey|systematic review|literature review|comprehensive review|overview|a review|roadmap|tutorial|primer)\b", 8.0),
    ("benchmark", r"\bbenchmark(?:s|ing)?\b|\bleaderboard\b|-?bench\b", 4.0),
    ("dataset", r"\b(?:dataset|corpus|corpora|data set)\b(?! (?:distillation|condensation|pruning|compression|search))", 4.5),
    ("analysis", r"^(?:understanding|investigating|dissecting|evaluating|analyzing|comparing|assessing|exploring the|revisiting|on the|rethinking"
                 r"|characterizing|demystifying|probing|a closer look|an analysis|lessons)\b|\b(?:a|an) (?:systematic|empirical|comparative|"
                 r"comprehensive|large-scale|quantitative|case|experimental)\b[\w\s-]{0,30}\b(?:study|analysis|evaluation|framework for evaluating)\b"
                 r"|\b(?:empirical|comparative) (?:study|analysis|evaluation)\b|^(?:do|does|is|are|how|why|what|when|can)\b.*\?|scaling laws?\b", 3.0),
    ("theory", r"\b(?:theory|theoretical|provabl[ey]|provably|convergence (?:of|analysis|rates?)|generalization bounds?|sample complexity|"
               r"expressivity|expressive power|theorem|universal approximation)\b", 3.5),
    ("system", r"\b(?:system|library|toolkit|toolbox|platform|engine|middleware|compiler|serving|simulator|gym(?:nasium)?|package|"
               r"infrastructure|software|kernels)\b", 2.0),
    ("hardware", r"\b(?:accelerator(?: for| design| architecture)|fpga|asic|chip|processor|in-memory computing|systolic|rtl|risc-v)\b", 3.0),
    ("architecture", r"\b(?:architectures?|networks?|backbones?|model|transformers?|encoders?|net|convnets?|mlp|mamba|llm|language models?$|"
                     r"detector|u-?net|vit|mixer)\b", 1.2),
    ("technique", r"\b(?:quantization|pruning|distillation|training|learning|tuning|fine-tuning|compression|decoding|acceleration|accelerating|"
                  r"method|approach|algorithm|optimization|optimizer|adaptation|via|search|sampling|strategy|attention|cache|sparsification|"
                  r"merging|scheme|policy|regularization|approximation|guidance)\b", 1.2),
)  # fmt: skip
_TITLE_PATTERNS = tuple((kind, re.compile(pattern, re.I), weight) for kind, pattern, weight in _TITLE)

_ABSTRACT: tuple[tuple[str, str, float], ...] = (
    ("survey", r"\b(?:this|our|the present) (?:survey|review|overview|tutorial)\b|\bwe (?:review|survey)\b|\bsystematic(?:ally)? (?:literature )?review\b"
               r"|\bcomprehensive (?:survey|review|overview)\b|\bthis paper (?:reviews|surveys)\b", 5.0),
    ("benchmark", r"\bwe (?:introduce|present|propose|release|develop|build)\b[^.]{0,60}\bbenchmark\b|\bwe benchmark\b|\bnew benchmark\b"
                  r"|\baim to benchmark\b", 3.0),
    ("dataset", r"\b(?:we|paper|study|work) (?:introduces?|presents?|releases?|curates?|collects?|constructs?|creates?|builds?)\b[^.]{0,80}\b(?:dataset|corpus)\b"
                r"|\bthe resulting [\w\s-]{0,30}dataset\b", 3.0),
    ("analysis", r"\bwe (?:empirically |systematically |thoroughly )?(?:study|investigate|analy[sz]e|examine|evaluate|compare|explore|find|observe|benchmark|rethink)\b"
                 r"|\b(?:this|our) (?:paper|work|study|analysis|article) (?:\w+ )?(?:studies|investigates|analy[sz]es|examines|evaluates|compares|explores|assesses)\b"
                 r"|\bour (?:findings|analysis|study|results) (?:reveal|suggest|indicate)s?\b|\bempirical study\b|\bsystematic study\b", 1.0),
    ("theory", r"\bwe (?:\w+ )?prove\b|\btheoretically (?:show|prove|analy[sz]e|characterize)\b|\btheorems?\b|\brigorous(?:ly)? (?:theor|prove|answer|analy)\w*"
               r"|\bgeneralization bounds?\b|\btheoretical (?:analysis|framework|understanding|guarantees|answer)\b|\bconvergence rates?\b|\bminimax\b", 1.4),
    ("system", r"\b(?:open-source|end-to-end|production|serving|training|inference|distributed) (?:\w+ )?(?:system|framework|library|toolkit|platform|engine)\b"
               r"|\bpython (?:library|package)\b|\bwe (?:build|implement)\b[^.]{0,40}\bsystem\b|\bmiddleware\b|\bdeployed in production\b", 1.5),
    ("hardware", r"\bhardware (?:accelerator|architecture|design|prototype)\b|\b(?:asic|rtl|tape-?out|28 ?nm|65 ?nm|22 ?nm|crossbar|memristor|photonic)\b", 2.5),
)  # fmt: skip
_ABSTRACT_PATTERNS = tuple((kind, re.compile(pattern, re.I), weight) for kind, pattern, weight in _ABSTRACT)

_HEADS: dict[str, str] = {
    **dict.fromkeys(
        word_set(
        """
        method approach technique strategy algorithm scheme paradigm mechanism loss regularization optimizer
        pipeline recipe procedure policy solution objective methodology module operator attack adapter
        estimator function metric principle rule formulation techniques methods algorithms approaches
        strategies regularizer schedule plugin layer layers proxies kernel quantizer sampler modules blocks
        block
        """
        ), "technique"),
    **dict.fromkeys(
        word_set(
        """
        architecture network model models backbone transformer transformers encoder decoder convnet networks
        architectures codec cnn detector vit llm autoencoder vocoder classifier net series mlp unet
        """
        ), "architecture"),
    **dict.fromkeys(
        word_set(
        """
        system library toolkit platform engine middleware toolbox compiler simulator software package
        infrastructure runtime dsl environment
        """
        ), "system"),
    **dict.fromkeys(
        word_set(
        """
        dataset corpus datasets
        """
        ), "dataset"),
    **dict.fromkeys(
        word_set(
        """
        benchmark benchmarks testbed suite leaderboard
        """
        ), "benchmark"),
    **dict.fromkeys(
        word_set(
        """
        accelerator chip processor asic
        """
        ), "hardware"),
    **dict.fromkeys(
        word_set(
        """
        survey review overview taxonomy
        """
        ), "survey"),
    **dict.fromkeys(
        word_set(
        """
        study analysis investigation evaluation comparison
        """
        ), "analysis"),
    "framework": "technique",
}  # fmt: skip
_PROPOSAL = re.compile(
    r"\b(?:we|paper|work|study|article|report|letter)\b(?:\s\w+){0,6}?\s"
    r"(?:propos\w+|introduc\w+|present(?:s|ed)?|develop\w*|describ\w+|design\w*|devis\w+|releas\w+|build\w*|creat\w+|offer\w*|unveil\w*)\s(?P<rest>[^.;]{3,220})"
    r"|\bour (?:proposed |novel |new )?(?P<own>method|approach|algorithm|framework|technique|strategy|model|models|architecture|network|system)\b"
    r"|\b(?:proposed|novel|new) (?P<named>method|approach|algorithm|framework|technique|strategy|model|architecture|network|system)\b",
    re.I,
)
_WORD = re.compile(r"[a-z]+", re.I)
_ORDER = ("technique", "architecture", "system", "analysis", "survey", "benchmark", "dataset", "theory", "hardware")


def find_kind(document: Document) -> tuple[str, list[str]]:
    """The kind, and the words that speak for it; "technique" where nothing speaks."""
    scores: dict[str, float] = defaultdict(float)
    reasons: dict[str, list[str]] = defaultdict(list)

    def add(kind: str, weight: float, words: str) -> None:
        scores[kind] += weight
        if words not in reasons[kind]:
            reasons[kind].append(words)

    for kind, pattern, weight in _TITLE_PATTERNS:
        found = pattern.search(document.title)
        if found:
            add(kind, weight, f"title: {found[0]}")
    for kind, pattern, weight in _ABSTRACT_PATTERNS:
        for count, found in enumerate(pattern.finditer(document.abstract)):
            if count < 3:
                add(kind, weight if count == 0 else weight * 0.5, found[0])
    _proposals(document, add)
    if not scores:
        return "technique", []
    best = max(_ORDER, key=lambda kind: (scores.get(kind, 0.0), -_ORDER.index(kind)))
    return best, reasons[best][:5]


def _proposals(document: Document, add: object) -> None:
    """Scores the head noun of each proposal; the first proposal of the abstract weighs most."""
    assert callable(add)  # noqa: S101 - narrows for the type checker
    weight = 3.0
    for count, match in enumerate(_PROPOSAL.finditer(document.abstract)):
        if count >= 8:
            break
        own = match["own"] or match["named"]
        if own:
            add(_HEADS.get(own.lower(), "technique"), 0.5, match[0])
            continue
        heads = [
            (word.lower(), _HEADS[word.lower()])
            for word in _WORD.findall(_first_phrase(match["rest"]))
            if word.lower() in _HEADS
        ]
        if heads:
            word, kind = heads[-1]
            add(kind, weight, f"proposes: {word}")
            weight = max(1.0, weight - 1.0)


_PHRASE_END = re.compile(
    r"\b(?:that|which|to|for|with|where|based|using|by|via|from|on|in|tailored|designed|whose|capable|and introduces)\b|[:]|(?<=\w)\)?, (?!an?\b|the\b|called|named|dubbed|termed|namely)"
)


def _first_phrase(rest: str) -> str:
    """The proposed thing's noun phrase, an apposition included ("Zed, a novel attention layer")."""
    found = _PHRASE_END.search(rest, 3)
    return rest[: found.start()] if found else rest
