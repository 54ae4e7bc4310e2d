"""What a person who searches notices."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.documents import Document, MeasuredGain
from recommender.index import Filters, Index, Query

_OPENED: list[Index] = []  # one index for all examples of the property


def found(index, encoder, text="", **fields):
    return [hit.id for hit in index.search(Query(text, **fields), encoder)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        pytest.param("post-training quantization of language models", 2, id="words-of-the-title"),
        pytest.param("swift attend", 1, id="camel-case-name-in-two-words"),
        pytest.param("SWIFTATTEND", 1, id="other-case"),
        pytest.param("tinygate", 3, id="asked-for-by-name"),
        pytest.param("detecting objects on a microcontroller", 3, id="other-word-forms"),
        pytest.param(
            "several tokens per step with output distribution kept", 5, id="words-that-only-the-glossary-knows"
        ),
    ],
)
def test_the_fitting_paper_comes_first(build, encoder, text, first):
    assert found(build(), encoder, text)[0] == first


def test_a_technique_comes_before_a_survey_with_the_same_words(build, encoder):
    words = {"title": "Quantization of language models", "text": "Weights are rounded to four bits."}
    index = build([Document(1, kind="survey", **words), Document(2, kind="technique", **words)])
    assert found(index, encoder, "quantization of language models") == [2, 1]


def test_a_paper_about_other_data_comes_last(build, encoder):
    same = {"title": "Token pruning", "text": "Fewer tokens are kept.", "families": ("token-reduction",)}
    index = build([Document(1, modality=("speech-audio",), **same), Document(2, modality=("vision",), **same)])
    assert found(index, encoder, "token pruning for vision transformers") == [2, 1]


def test_search_by_words_works_without_an_encoder(build):
    hits = build().search(Query("draft model"), None)
    assert hits[0].id == 5
    assert "semantic" not in hits[0].parts


def test_empty_query_lists_everything_by_id_and_pages_do_not_overlap(build, encoder):
    index = build()
    pages = [found(index, encoder, "  ", limit=4, offset=offset) for offset in (0, 4, 8)]
    assert pages == [[1, 2, 3, 4], [5, 6], []]


def test_pages_of_a_ranked_search_do_not_overlap(build, encoder):
    index = build()
    whole = found(index, encoder, "language model", limit=6)
    assert (
        found(index, encoder, "language model", limit=3) + found(index, encoder, "language model", limit=3, offset=3)
        == whole
    )


def test_unknown_words_raise_nothing(build, encoder):
    assert isinstance(found(build(), encoder, "xyzzy plugh"), list)
    assert build().search(Query("xyzzy plugh"), None) == []


def test_empty_index_answers_nothing(build, encoder):
    index = build([])
    assert found(index, encoder, "attention") == []
    assert found(index, encoder) == []
    assert len(index.documents) == 0


@pytest.mark.parametrize(
    "text",
    ['"attention', "attention)", "(", "AND", "attention OR", "NOT attention", "title:attention", "a:b:c", "att*", "[1 TO 2]",
     "\\", "^2", "~", "+", "-", "ﬁne tünïng 注意力 🚀", "\x00", "' OR 1=1 --", "!!", "a" * 30_000, "quick " * 5_000],
    ids=lambda text: ascii(text[:20]),
)  # fmt: skip
def test_special_characters_have_no_meaning(build, encoder, text):
    found(build(), encoder, text)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_no_text_is_refused(build, encoder, text):
    index = build() if not _OPENED else _OPENED[0]
    _OPENED[:] = [index]
    for hit in index.search(Query(text, limit=3), encoder):
        assert all(isinstance(piece, str) and isinstance(match, bool) for piece, match in hit.snippet)


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        pytest.param(Filters(families=("quantization",)), {2, 4}, id="family"),
        pytest.param(
            Filters(families=("Quantization", "decoding-acceleration")), {2, 4, 5}, id="either-family-any-case"
        ),
        pytest.param(Filters(families=("quantization",), kinds=("survey",)), {4}, id="family-and-kind"),
        pytest.param(Filters(training=("free",)), {1, 2}, id="training-free"),
        pytest.param(Filters(hardware=("mcu",)), {3}, id="hardware"),
        pytest.param(Filters(has_implementation=True), {1}, id="implemented"),
        pytest.param(Filters(has_implementation=False, modality=("vision",)), {3}, id="not-implemented-vision"),
        pytest.param(Filters(families=("nas",)), set(), id="value-that-nothing-has"),
    ],
)
def test_filters_hold_before_ranking(build, encoder, filters, ids):
    index = build()
    assert set(found(index, encoder, "attention", filters=filters)) == ids
    assert set(found(index, encoder, "", filters=filters)) == ids


def test_a_wrong_filter_names_the_field():
    with pytest.raises(ValueError, match="training='maybe'"):
        Filters(training=("maybe",))


def test_verified_filter_follows_the_evidence(build, encoder, papers):
    measured = dataclasses.replace(papers[0], evidence=(MeasuredGain("latency", 2.0, 1.9, 2.1),))
    assert found(build([measured, *papers[1:]]), encoder, "model", filters=Filters(verified=True)) == [1]


def test_allowed_papers_are_found_however_far_down_they_rank(build, encoder):
    crowd = [Document(n, f"Attention paper number {n}", "attention " * 5) for n in range(1, 501)]
    index = build(
        [*crowd, Document(900, "Shallow water", "attention is mentioned once among other long words of water")]
    )
    assert found(index, encoder, "attention", allowed_ids={900}) == [900]
    assert [hit.id for hit in index.search(Query("attention", allowed_ids={900, 901}), None)] == [900]
    assert found(index, encoder, "attention", allowed_ids=set()) == []


def test_many_allowed_ids_give_the_same_order_as_few(build, monkeypatch):
    index = build([Document(n, f"Attention {'fast ' * (n % 7)}", "attention") for n in range(1, 200)])
    query = Query("fast attention", allowed_ids=set(range(1, 150)), limit=20)
    few = [hit.id for hit in index.search(query, None)]
    monkeypatch.setattr("recommender.lexical.NAMED_IDS", 10)
    assert [hit.id for hit in index.search(query, None)] == few


def test_snippet_marks_the_words_that_matched(build, encoder):
    hit = build().search(Query("kernels"), encoder)[0]
    assert hit.id == 1
    assert ("kernel", True) in hit.snippet
    assert "".join(piece for piece, _ in hit.snippet).startswith("A fused kernel keeps")


def test_snippet_is_right_among_characters_of_several_bytes(build, encoder):
    index = build([Document(1, "Ünï", "Größe “groß” — the kernel 注意 is small.")])
    hit = index.search(Query("kernel"), encoder)[0]
    assert ("kernel", True) in hit.snippet


def test_similar_papers_leave_out_the_paper_itself(build):
    index = build()
    ids = [hit.id for hit in index.similar(2, 3)]
    assert ids[0] == 4
    assert 2 not in ids
    assert len(ids) == 3
    with pytest.raises(KeyError):
        index.similar(77, 3)
