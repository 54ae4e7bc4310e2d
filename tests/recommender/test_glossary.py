"""Reading concepts out of words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.glossary import GlossaryError, glossary, read_concepts, read_everyday

FAMILIES = frozenset(
    [
        "quantization",
        "sparsity-pruning",
        "distillation",
        "low-rank",
        "peft",
        "efficient-attention",
        "kv-cache",
        "ssm-recurrent",
        "mixture-of-experts",
        "conditional-computation",
        "token-reduction",
        "decoding-acceleration",
        "kernels-compilers",
        "distributed-training",
        "memory-efficient-training",
        "training-efficiency",
        "efficient-architecture",
        "nas",
        "weight-sharing",
        "retrieval-efficiency",
        "diffusion-acceleration",
        "serving-systems",
        "data-efficiency",
        "edge-deployment",
        "hardware-accelerators",
    ]
)
MODALITIES = frozenset(
    [
        "language",
        "vision",
        "video",
        "speech-audio",
        "multimodal",
        "3d",
        "graph",
        "tabular",
        "recsys",
        "robotics-rl",
        "science",
        "code",
        "general",
    ]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "Post-Training Quantisation of a ViT", {"method.ptq", "model.vision-transformer"}, id="british-spelling"
        ),
        pytest.param("pruned networks", {"method.pruning"}, id="word-forms"),
        pytest.param("KV-cache eviction", {"method.kv-eviction", "method.kv-cache"}, id="hyphen"),
        pytest.param("a FlashAttention variant", {"method.exact-attention-kernel"}, id="camel-case"),
        pytest.param("diffusion language model", {"model.diffusion-llm"}, id="longer-phrase-hides-the-shorter"),
        pytest.param("we optimize the performance", set(), id="common-verbs-mean-nothing"),
        pytest.param("cutting-edge results serve as a baseline", set(), id="idioms-mean-nothing"),
        pytest.param("", set(), id="empty"),
    ],
)
def test_concepts_of_a_text(text, expected):
    assert set(glossary().occurrences(text)) == expected


def test_every_family_has_a_concept_and_every_name_is_one_of_the_records():
    concepts = glossary().concepts.values()
    assert {concept.family for concept in concepts} - {None} == FAMILIES
    assert {one for concept in concepts for one in concept.modality} <= MODALITIES


def test_what_is_implied_weighs_less():
    weights = glossary().with_implied({"method.ptq": 1.0})
    assert 0 < weights["method.quantization"] < 1


@given(st.text(max_size=200))
def test_no_text_is_refused(text):
    assert all(count > 0 for count in glossary().occurrences(text).values())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param({"tool": {}}, r"\[tool\]", id="kind"),
        pytest.param({"method": {"x": {}}}, "method.x: 'words'", id="no-words"),
        pytest.param(
            {"method": {"x": {"words": ["x"], "famly": "nas"}}}, "method.x: unknown fields.*famly", id="field"
        ),
        pytest.param({"method": {"x": {"words": ["x"], "implies": ["y"]}}}, "method.x: implies 'y'", id="implies"),
    ],
)
def test_a_wrong_glossary_names_the_concept(table, message):
    with pytest.raises(GlossaryError, match=message):
        read_concepts(table)


@pytest.mark.parametrize(
    ("need", "concept"),
    [
        pytest.param("thin out a convolutional network", "method.pruning", id="another-word"),
        pytest.param("upgrade an embedding model", "method.backward-compatible", id="articles-do-not-count"),
        pytest.param("run it in the visitor's web browser", "method.browser", id="term-and-everyday-word-alike"),
    ],
)
def test_needs_are_read_in_everyday_words(need, concept):
    assert concept in glossary().asked(need)


def test_papers_are_not_read_in_everyday_words():
    assert "task.autonomous-driving" not in glossary().occurrences("a car or an assistant")
    assert "task.autonomous-driving" in glossary().asked("a car or an assistant")


def test_everyday_words_of_an_unknown_concept_are_refused_by_name():
    with pytest.raises(GlossaryError, match=r"method\.prunning"):
        read_everyday({"method": {"prunning": ["trim"]}}, glossary().concepts)


def test_what_is_said_in_terms_stays_said():
    text = "4-bit weights for a mixture of experts on the edge"
    assert set(glossary().occurrences(text)) <= set(glossary().asked(text))
