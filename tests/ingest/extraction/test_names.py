"""Which short name a record carries: what announces one, and what only looks like one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.extraction import extract
from ingest.extraction.name_words import is_generic, is_shaped

TITLE = "Faster sums for every network"
STUDY = "We add numbers in a new way. It is fast."

ANNOUNCED = {
    "called": ("We add a layer called ZedSum to the network.", "ZedSum"),
    "dubbed-as-in-latex": (r"The proposed method is dubbed as \textbf{ZedSum}.", "ZedSum"),
    "we-call-it": ("We call the new optimizer ZedSum.", "ZedSum"),
    "named-with-short-form-of-two-words": ("We propose a network, named Zedic-3D Sum Net (Z3D SumNet), for sums.", "Z3D SumNet"),
    "named-and-made-of-a-part": ("We propose a network called ZedNet comprised of Quick Sum Blocks (QSB). ZedNet is fast.", "ZedNet"),
    "our-method-comma": ("Adding is slow. Our method, ZedSum, adds in one pass.", "ZedSum"),
    "our-method-long-and-short": ("Adding is slow. Our approach, Quick Wave Sums (QWS), adds in one pass. QWS is fast.", "QWS"),
    "inside-the-phrase": ("We propose a simple yet effective ZedSum method for adding.", "ZedSum"),
    "behind-the-head-noun": ("We propose a simple yet effective model ZedSum. ZedSum is fast.", "ZedSum"),
    "second-verb-of-the-sentence": ("We propose to look at sums once more, and introduce a method called quick wave sum (QWS).", "QWS"),
    "passive": ("Through careful design, Quick Adders as Wave Sums (QuickAWS) is proposed. We test it.", "QuickAWS"),
    "appositive-behind-a-purpose": ("We propose a framework for adding numbers, ZedSum, which needs one pass.", "ZedSum"),
    "behind-via": ("We propose to solve both problems via ZedSum, a small model of sums.", "ZedSum"),
    "two-words": ("We propose ZedNorm Scaling, which scales the sum.", "ZedNorm Scaling"),
    "title-case-phrase": ("We propose Mixture of Sums, a model that adds.", "Mixture of Sums"),
    "in-short": ("We design a family of GPU-Efficient Adders, or GAdders in short. GAdders are fast.", "GAdders"),
    "family-of-sizes": ("We present ZedLM-Small and ZedLM-Large. ZedLM reads, ZedLM writes, ZedLM adds.", "ZedLM"),
    "name-before-a-common-abbreviation": ("This paper introduces the Zedra Small Language Models (SLMs). Zedra is fast.", "Zedra"),
    "exponent": (r"We propose Z^{2}Sum, a method that adds twice.", "Z^2Sum"),
    "presented": ("Adding is slow. We add in one pass. The presented ZAB-SUM shows how.", "ZAB-SUM"),
    "resulting": ("Adding is slow. We halve it. The resulting method, Quick Wave Sums (QWS), is fast. QWS adds.", "QWS"),
    "dubbed-behind-an-aside": ("We, therefore, dub our method “Quick Wave Sums” and test it. Quick Wave Sums is fast.", "Quick Wave Sums"),
    "adjectives-joined": ("We propose a new and efficient method ZedSum. ZedSum adds in one pass.", "ZedSum"),
    "apposed-with-its-base": ("Our own model, ZedSum based on waves, adds in one pass. ZedSum is fast.", "ZedSum"),
    "suggested": ("We suggest Quick Wave Sums (QWS) which add in one pass. QWS is fast.", "QWS"),
    "always-plural": ("We introduce Quick Wave Networks (QWNs) for sums. QWNs are fast.", "QWNs"),
    "plural-and-singular": ("We introduce Quick Wave Networks (QWNs) for sums. A QWN is fast.", "QWN"),
    "marked-up": ("We propose a network named <b>ZedSum-2</b>. It adds.", "ZedSum-2"),
    "lite-is-part-of-a-short-name": ("We propose a small network, namely Z-Lite. We design Z-Lite to add. Z-Lite is fast.", "Z-Lite"),
    "size-is-none": ("Adding is slow. Our models ZedNet-Deep and ZedNet-Wide add. ZedNet halves, ZedNet doubles, ZedNet adds.", "ZedNet"),
    "repository": ("We add in one pass. Our code is at https://github.com/zed/FSEN.", "FSEN"),
}  # fmt: skip

UNNAMED = {
    "abbreviated-notion": "We study how large language models (LLMs) add.",
    "abbreviated-tool-of-others": "We propose a Bayesian optimisation (BO) approach to adding.",
    "data-set-of-an-experiment": "We propose to scale adders on data sets including ImageNet, COCO, and ADE20K.",
    "challenge": "We raise the size of models on the Zedding Wide Sums (ZWS) challenge. ZWS has three classes.",
    "adjective": "We explore ZW-friendly layers, and we propose FPGA-aware sums.",
    "models-of-a-list": "We propose to unify two known architectures, Zed-LN and ZedNorm.",
    "built-upon": "Signs are hard to read. We build upon the ZEDSIGN architecture.",
    "baseline-of-a-result": "We add in one pass, outperforming others by 1.0% for ZedNet-32, 0.5% for ZedNet-16.",
    "phenomenon": "We introduce the Curse of Sums, a phenomenon that slows adding.",
    "joined-abbreviations": "We propose a CNN-LSTM for sums and a HW-NAS for networks.",
    "number": "We train our 2.7B model on sums.",
}

TITLES = {
    "unicode-letter": ("ZεdS: Faster Sums", STUDY, "ZεdS"),
    "formula": ("Zed-$π$: Faster Sums", STUDY, "Zed-pi"),
    "formula-with-exponent": ("$Z^2$-Tuning: Faster Sums", STUDY, "Z^2-Tuning"),
    "kind-of-paper-before-it": ("Preprint: Zed Loss: A Faster Sum", "We propose Zed Loss, a loss that makes training converge faster.", "Zed Loss"),
    "behind-with": ("Boosting Sums with Z4: A Faster Way", "This paper introduces Z4, a way to add. Z4 is fast.", "Z4"),
    "tool-and-address": ("Large Sums Using Zed-LM", "We add. Code: https://github.com/zed/zed-lm.", "Zed-LM"),
    "phrase-that-the-text-does-not-use": ("Add Together Sum Together: A Pruning Approach", "We propose to prune sums.",
                                          "Add Together Sum Together"),
    "whole-title": ("Zedic Wave Bottleneck", "We propose a layer for pruning. The zedic wave bottleneck is small.", "Zedic Wave Bottleneck"),
    "short-form-of-its-first-words": ("Gated Wave Sums with Fast Training", "We propose gated wave sums (GWS), a layer that adds well.", "GWS"),
    "piece-that-is-ours": ("9-bit Adders via Rounding", "We round. Our 9-bit adders are small.", "9-bit Adders"),
    "announced-and-explained": ("Adding by Wave Halving", "We propose wave halving, a way to add in one pass.", "wave halving"),
    "explained-behind-a-dash": ("Fast Networks via Wave Halving", "In this work we introduce wave halving - a way to add.", "wave halving"),
    "bracket-inside": ("Quick Wave Sums (QWS) for Every Network", "We add in one pass.", "QWS"),
    "plain-words": ("Layer-Wise Quantization: A Pragmatic Method", "We present an approach that quantizes layers.", None),
    "study": ("No Sum No Gain: Revisiting Adders", "We propose to look again at adders.", None),
    "verb-phrase": ("Turning Trash into Sums: Faster Adders", "We propose to add.", None),
    "survey": ("ZedSum: A Survey", "We review sums.", None),
    "well-known-model-is-the-subject": ("Simple Heads Improve ColBERT", "Retrievers like ColBERT are slow. We study heads of ColBERT models.", None),
    "well-known-model-is-the-topic": ("ColBERT: Late Sums", "We present ColBERT, a retriever.", "ColBERT"),
    "extension-of-what-is-known": ("XYZW Is All You Need: A Baseline", "An XYZW architecture adds. We find that XYZW is fast. "
                                   "We propose an architecture, namely XYZW-VP, to add.", "XYZW-VP"),
}  # fmt: skip


@pytest.mark.parametrize(("abstract", "name"), ANNOUNCED.values(), ids=ANNOUNCED.keys())
def test_an_announced_name_is_found(abstract: str, name: str) -> None:
    assert extract(TITLE, abstract).name == name


@pytest.mark.parametrize("abstract", UNNAMED.values(), ids=UNNAMED.keys())
def test_what_only_looks_like_a_name_is_none(abstract: str) -> None:
    assert extract(TITLE, abstract).name is None


@pytest.mark.parametrize(("title", "abstract", "name"), TITLES.values(), ids=TITLES.keys())
def test_name_from_the_title(title: str, abstract: str, name: str | None) -> None:
    assert extract(title, abstract).name == name


def test_the_words_behind_a_name_are_kept() -> None:
    assert extract(TITLE, "We add a layer called ZedSum to the network.").reasons["name"] == ["called … ZedSum"]


@pytest.mark.parametrize(
    ("word", "shaped"),
    [("ZedNet", True), ("ZN", True), ("Zed2", True), ("Q-ZedNet", True), ("Layer-Wise", False), ("Zed", False), ("zed", False)],
)  # fmt: skip
def test_words_written_as_names_are(word: str, shaped: bool) -> None:
    assert is_shaped(word) is shaped


@pytest.mark.parametrize(
    ("word", "generic"),
    [
        ("LLM", True),
        ("LLMs", True),
        ("GPU-Efficient", True),
        ("zed-aware", True),
        ("Zed-Tuning", False),
        ("ZED", False),
    ],
)
def test_abbreviations_that_everybody_uses(word: str, generic: bool) -> None:
    assert is_generic(word) is generic


PIECES = st.sampled_from(
    ["We", "propose", "Zed", "ZedNet", "(", ")", "(ZN)", ",", "a", "method", "called", "is proposed", "our", "the proposed", "and", "or",
     "in short", "e.g.", ".", "i.e.,", "Sums", "of", "Large", "LLMs", "$Z^2$", "\\textbf{Zed}", "—", "https://github.com/zed/ZN", ":", "''"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(title=st.lists(PIECES, max_size=10).map(" ".join), abstract=st.lists(PIECES, max_size=50).map(" ".join))
def test_any_order_of_announcing_words_gives_a_clean_name_or_none(title: str, abstract: str) -> None:
    name = extract(title, abstract).name
    assert name is None or (2 <= len(name) <= 60 and name == name.strip(" .,;:\"'"))
