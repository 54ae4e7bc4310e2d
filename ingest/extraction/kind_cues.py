"""Cues of what sort of contribution a paper makes.

They come from the title (its type words and the head noun of its phrase), from the noun that a proposal names ("we present X, a
vision backbone ..."), from what "our ..." is followed by, and from the shape of the name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from .text import Document
from .vocabulary import LEXICON, loudness, weighted_phrases
from .words import trigger

Add = Callable[[str, float, str], None]


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.I)


def _lower_pattern(*parts: str) -> re.Pattern[str]:
    """A pattern for text that is in lower case already; much faster than ignoring case."""
    return re.compile("|".join(parts))


class _Cue(NamedTuple):
    """A pattern that speaks for `kind`; it is tried where one of the triggers `needed` is pulled (0: everywhere)."""

    kind: str
    needed: int
    pattern: re.Pattern[str]
    weight: float


_TITLE: tuple[_Cue, ...] = (
    _Cue(
        "survey",
        trigger("survey review overview roadmap tutorial primer"),
        _pattern(
            r"\b(?:survey|systematic review|literature review|comprehensive review|overview|a review|roadmap|tutorial|primer)\b",
            r"\breview$|^review\b",
        ),
        9.0,
    ),
    _Cue(
        "benchmark",
        0,
        _pattern(r"\bbenchmark(?:s|ing)?\b", r"\bleaderboard\b", r"bench\b"),
        4.0,
    ),
    _Cue(
        "dataset",
        trigger("dataset datasets corpus corpora data"),
        _pattern(
            r"^(?!.*\b(?:with|using|leveraging|from|on|across|of|via|through)\b.*\bdatasets?\b).*"
            r"\b(?:datasets?|corpus|corpora|data set)\b(?! (?:distillation|condensation|pruning|compression|search))"
        ),
        4.5,
    ),
    _Cue(
        "analysis",
        trigger(
            "on a an the do does is are how why what when can should study analysis evaluation investigation comparison framework scaling "
            "case tradeoff trade tradeoffs lessons",
            starts="understanding investigating dissecting evaluating analyzing comparing assessing exploring characterizing "
            "demystifying probing quantifying",
        ),
        _pattern(
            r"^(?:understanding|investigating|dissecting|evaluating|analyzing|comparing|assessing|exploring)\b",
            r"^(?:characterizing|demystifying|probing|a closer look|an analysis|lessons|quantifying)\b",
            r"\b(?:systematic|empirical|comparative|comprehensive|large-scale|quantitative|experimental)\b[\w\s-]{0,30}"
            r"\b(?:study|analysis|evaluation|investigation|comparison|framework for evaluating)\b",
            r"^(?:do|does|is|are|how|why|what|when|can|should)\b.*\?",
            r"\bscaling laws?\b|\bcase study\b|\btrade-?offs\b",
        ),
        2.4,
    ),
    _Cue(
        "theory",
        trigger(
            "theory theoretical provably provable generalization sample expressivity expressive theorem universal convergence optimality lower"
        ),
        _pattern(
            r"\b(?:theory|theoretical|provabl[ey]|generalization bounds?|sample complexity|expressivity|expressive power)\b",
            r"\b(?:theorem|universal approximation|convergence (?:of|analysis|rates?)|optimality|lower bounds?)\b",
        ),
        3.5,
    ),
    _Cue(
        "system",
        trigger(
            "library toolkit toolbox platform engine middleware compiler serving simulator gym gymnasium package infrastructure software "
            "kernels system systems open"
        ),
        _pattern(
            r"\b(?:library|toolkit|toolbox|platform|engine|middleware|compiler|serving|simulator|gym(?:nasium)?|package)\b",
            r"\b(?:infrastructure|software|kernels|system|systems|open-source (?:framework|gym))\b",
        ),
        2.0,
    ),
    _Cue(
        "hardware",
        trigger("accelerator accelerators fpga asic chip processor memory systolic risc pim"),
        _pattern(
            r"\b(?:accelerator(?: for| design| architecture|$)|fpga|asic|chip|processor|in-memory computing|systolic|risc-v)\b",
            r"\bhardware accelerators?\b|\bprocessing[- ]in[- ]memory\b|\bpim\b",
        ),
        3.0,
    ),
)
_ABSTRACT: tuple[_Cue, ...] = (
    _Cue(
        "survey",
        trigger(starts="survey review overview tutorial"),
        _lower_pattern(
            r"\b(?:this|our|the present) (?:survey|review|overview|tutorial)\b|\bwe (?:review|survey)\b",
            r"\bsystematic(?:ally)? (?:literature )?review\b|\bcomprehensive (?:survey|review|overview)\b",
            r"\bthis paper (?:reviews|surveys)\b",
        ),
        5.0,
    ),
    _Cue(
        "benchmark",
        trigger(starts="benchmark"),
        _lower_pattern(
            r"\bwe (?:introduce|present|propose|release|develop|build)\b[^.]{0,60}\bbenchmark\b",
            r"\bwe benchmark\b|\baim to benchmark\b",
        ),
        2.5,
    ),
    _Cue(
        "dataset",
        trigger(starts="dataset corpus"),
        _lower_pattern(
            r"\b(?:we|paper|study|work) (?:introduces?|presents?|curates?|collects?|constructs?)\b[^.,]{0,60}"
            r"\b(?:dataset|corpus)\b",
            r"\bthe resulting [\w\s-]{0,30}dataset\b|\bour dataset\b",
        ),
        2.5,
    ),
    _Cue(
        "theory",
        trigger(starts="prove theorem rigorous bound minimax rate theoretical principled"),
        _lower_pattern(
            r"\bwe (?:\w+ )?prove\b|\btheoretically (?:show|prove|analy[sz]e|characterize|comprehend)\b|\btheorems?\b",
            r"\brigorous(?:ly)? (?:theor|prove|answer|analy)\w*|\bgeneralization bounds?\b|\bminimax\b|\bconvergence rates?\b",
            r"\btheoretical (?:understanding|answer|results)\b|\bprincipled investigation\b|\bestimation rates?\b",
        ),
        2.6,
    ),
    _Cue(
        "system",
        trigger(starts="system librar toolkit platform engine middleware package software production writing"),
        _lower_pattern(
            r"\b(?:open-source|end-to-end|production|serving|training|distributed|scalable) (?:\w+ )?(?:system|library|toolkit)\b",
            r"\b(?:platform|engine|middleware)\b|\bpython (?:library|package)\b|\bwe (?:build|implement)\b[^.]{0,60}\bsystem\b",
            r"\bsoftware framework\b|\bdeployed in production\b|\bframework for writing\b|\bsota systems\b",
        ),
        1.8,
    ),
    _Cue(
        "hardware",
        trigger("nm", starts="hardware asic rtl tapeout crossbar memristor photonic 22nm 28nm 65nm"),
        _lower_pattern(
            r"\bhardware (?:accelerator|architecture|design|prototype)\b",
            r"\b(?:asic|rtl|tape-?out|28 ?nm|65 ?nm|22 ?nm|crossbar|memristor|photonic)\b",
        ),
        2.0,
    ),
    _Cue(
        "architecture",
        trigger(starts="family series pretrained trained achieve attain obtain"),
        _lower_pattern(
            r"\b(?:family|series) of (?:[\w-]+ ){0,4}(?:models|networks|backbones|transformers|architectures|detectors)\b",
            r"\b(?:pre-?trained|trained) models? (?:is|are|will be)\b",
            r"\b(?:achieves|attains|obtains) \d+(?:\.\d+)?\s?\\?% (?:top-1|accuracy)",
        ),
        0.9,
    ),
)


def _phrases(subjects: str, words: str) -> str:
    return ",".join(f"{subject} {word}" for subject in subjects.split(",") for word in words.split())


_SPOKEN = LEXICON.add(
    weighted_phrases(
        {
            "analysis": {
                1.0: _phrases(
                    "we,we empirically,we systematically,we thoroughly,we extensively,we further,this paper,this work,this study",
                    "study investigate analyze analyse examine compare explore observe rethink revisit find assess evaluate",
                )
                + ",this study,empirical study,systematic study,our finding,our analysi,result suggest,result reveal,finding suggest",
            },
            "architecture": {
                0.9: _phrases(
                    "our,proposed,our proposed,our largest,our best", "model network architecture backbone detector"
                ),
            },
            "technique": {
                0.7: _phrases(
                    "our,proposed,our proposed,this",
                    "method approach algorithm technique framework strategy scheme solution optimizer",
                )
                + ",plug and play,drop in,can be applied,can be integrated,can be combined,can be easily",
            },
        }
    )
)


def _nouns(kind: str, words: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), kind)


_HEADS: dict[str, str] = {
    **_nouns(
        "technique",
        """
        method approach technique strategy algorithm scheme paradigm mechanism loss regularization optimizer pipeline recipe
        procedure policy solution objective methodology operator estimator function metric rule formulation techniques methods
        algorithms approaches strategies regularizer schedule plugin proxies quantizer sampler framework quantization pruning
        distillation training learning tuning compression decoding acceleration optimization adaptation search sampling
        attention nas sparsification merging approximation guidance parallelism finetuning scaling inference caching cache
        condensation skipping sharing exploiting scheduling selection reduction paradigms representation prompting pretraining
        parameterization initialization averaging speculation modeling experts compensation fusion
        """,
    ),
    **_nouns(
        "architecture",
        """
        architecture network model models backbone backbones transformer transformers encoder decoder convnet networks
        architectures codec cnn cnns detector detectors vit llm llms autoencoder vocoder classifier net mlp unet mixer learner
        mlps convnext convnets speech language-model generator series vits dit tokenizer vae
        """,
    ),
    **_nouns(
        "system",
        "system library toolkit platform engine middleware toolbox compiler simulator software package infrastructure runtime dsl",
    ),
    **_nouns("dataset", "dataset corpus datasets"),
    **_nouns("benchmark", "benchmark benchmarks testbed leaderboard"),
    **_nouns("hardware", "accelerator chip processor asic"),
    **_nouns("survey", "survey review overview taxonomy"),
    **_nouns("analysis", "study analysis investigation evaluation comparison"),
}
_PROPOSAL = re.compile(
    r"\b(?:(?:[Ww]e|us|(?:[Tt]his|[Oo]ur|[Tt]he) (?:paper|work|study|article|report|letter))\b(?:\s\w+){0,3}?\s"
    r"(?:propos|introduc|present|develop|describ|design|devis|releas|build|create|offer|unveil)\w*"
    r"|(?:and|to) (?:propose|introduce|present|develop|design)|by (?:proposing|introducing|presenting|developing|designing|building))"
    r"\s(?P<rest>[^.;]{3,220})"
)
_PROPOSER = trigger("we us paper work study article report letter")
_PROPOSES = trigger(
    starts="propos introduc present develop describ design devis releas build create offer unveil",
)
_PHRASE_END = re.compile(
    r"\b(?:that|which|to|for|with|where|based|using|by|via|from|on|in|of|tailored|designed|whose|capable|and|under|optimized)\b"
    r"|:|(?<=\w)\)?, (?!an?\b|the\b|called|named|dubbed|termed|namely)"
)
_TITLE_END = re.compile(
    r"\b(?:for|with|via|of|in|on|using|from|through|by|towards?|to|at|under|based|without|optimized|that|leveraging|over|and|is|are)\b",
    re.I,
)
_WORD = re.compile(r"[A-Za-z]+")
_MODEL_NAME = re.compile(
    r"(?:net|nets|former|mixer|vit|bert|gpt\d*|lm|llm|mamba|next|yolo\w*|tts|det|dets|unet|gan|diff|dit|llama|clip|sam)(?:v?\d+)?$",
    re.I,
)
_SPOKEN_LIMIT = {"analysis": 1.0, "architecture": 0.9, "technique": 0.7}


def weigh_kinds(document: Document) -> tuple[dict[str, float], list[str]]:
    """How loudly cues speak for each kind, and the cues as signals: where they stand and which word made them."""
    scores: dict[str, float] = defaultdict(float)
    cues: dict[str, None] = {}

    def add(kind: str, weight: float, words: str) -> None:
        scores[kind] += weight
        cues[words] = None

    for kind, needed, pattern, weight in _TITLE:
        if (not needed or needed & document.title_triggers) and pattern.search(document.title):
            add(kind, weight, f"title says {kind}")
    _title_head(document.title, add)
    for cue in _ABSTRACT:
        if cue.needed & document.triggers:
            _search(document, cue, add)
    for kind, score in loudness(document.found[_SPOKEN], (0.0, 1.0, 1.0)).items():
        add(kind, min(score, 2.0 * _SPOKEN_LIMIT[kind]), f"spoken of as {kind}")
    _proposals(document, add)
    return scores, list(cues)


def _search(document: Document, cue: _Cue, add: Add) -> None:
    """Scores up to three places of the abstract where a pattern matches; the first counts twice."""
    count = 0
    for sentence in document.sentences:
        if cue.needed & sentence.triggers:
            for _ in cue.pattern.finditer(sentence.text.lower()):
                add(cue.kind, cue.weight if count == 0 else cue.weight * 0.5, f"says {cue.kind}")
                count += 1
                if count == 3:
                    return


_STUDYING = frozenset(
    [
        "understanding",
        "investigating",
        "dissecting",
        "evaluating",
        "analyzing",
        "comparing",
        "assessing",
        "exploring",
        "rethinking",
        "revisiting",
        "probing",
        "characterizing",
        "demystifying",
        "scaling",
    ]
)


def _title_head(title: str, add: Add) -> None:
    """Scores the head noun of the title's phrase ("... : a lightweight backbone for ...") and the shape of the name."""
    name, colon, phrase = title.partition(":")
    if not colon:
        name, phrase = "", title
    if name and len(name.split()) <= 3 and _MODEL_NAME.search(name.split()[-1] if name.split() else ""):
        add("architecture", 1.2, "named like a model")
    cut = _TITLE_END.search(phrase, 3)
    words = _WORD.findall(phrase[: cut.start()] if cut else phrase)
    if (
        len(words) > 1
        and words[0].lower().endswith("ing")
        and words[0].lower() not in _STUDYING
        and words[-1].endswith("s")
    ):
        # "Pruning Convolutional Networks" does something to networks; it is no network.
        add("technique", 1.5, "title does something to something")
        return
    for word in reversed(words[-3:]):
        kind = _HEADS.get(word.lower())
        if kind:
            add(kind, 2.0 if kind in {"technique", "architecture"} else 1.5, f"title: {word.lower()}")
            return
    if words and words[0].lower().endswith("ing") and not colon:
        add("technique", 1.0, "title is a doing")


_VAGUE = frozenset({"several", "various", "some", "two", "three", "simple"})
"""Words that open a proposal of parts, which says little about the whole ("several techniques")."""


def _proposals(document: Document, add: Add) -> None:
    """Scores the head noun of each proposal; the first proposal of the abstract weighs most."""
    weight = 2.6
    proposals = (
        match
        for sentence in document.sentences
        if sentence.triggers & _PROPOSER and sentence.triggers & _PROPOSES
        for match in _PROPOSAL.finditer(document.abstract, sentence.start, sentence.end)
    )
    for match in islice(proposals, 5):
        words = [word.lower() for word in _WORD.findall(_first_phrase(match["rest"]))]
        heads = [(word, _HEADS[word]) for word in words if word in _HEADS]
        if heads:
            word, kind = heads[-1]
            vague = words[0] in _VAGUE
            add(kind, 0.8 if vague else weight, f"proposes: {word}")
            weight = weight if vague else max(0.8, weight - 0.9)


def _first_phrase(rest: str) -> str:
    """The proposed thing's noun phrase, an apposition included ("Zed, a novel attention layer")."""
    found = _PHRASE_END.search(rest, 3)
    return rest[: found.start()] if found else rest
