"""Titles that are nearly alike: which are asked about, what the question says, and what an answer does."""

from typing import Any

import pytest

from papers.likeness import TWIN_AT, Sighting, compare
from papers.models import AuditEntry, Claim, Paper, Review, ReviewItem, ReviewState, TwinCandidate, TwinState
from papers.services import (
    FieldError,
    SeenLink,
    SeenPaper,
    edit_technique,
    keep_apart,
    merge_papers,
    record_paper,
    review_claim,
    store_record,
)
from papers.services.blocks import LARGEST_BLOCK
from tests.factories import make_implementation, make_run, make_source, make_user, make_verdict
from tests.papers.sample import ABSTRACT, a_claim, a_record, the_paper

BASE = "Foldcache: Folded Pages for Long Prompts"


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        pytest.param({}, {"title": "Foldcache: Folded Pages for Longer Prompts"}, True, id="a-word-changed"),
        pytest.param({}, {"title": "Foldcache: Folding Pages for Long Prompts"}, True, id="another-ending"),
        pytest.param({}, {"title": "Fold cache - folded page for long prompts"}, True, id="spelling"),
        pytest.param({}, {"title": BASE + " on Small Devices"}, True, id="subtitle-added"),
        pytest.param({}, {"title": "Thinlayer: Fewer Weights for Long Prompts"}, False, id="another-paper"),
        pytest.param({"title": "Fold-2: A Series"}, {"title": "Fold-3: A Series"}, False, id="a-number-differs"),
        pytest.param(
            {"arxiv_id": "2101.00001", "authors": ("Ada Ash",)},
            {"title": "Foldcache: Folded Pages for Longer Prompts", "arxiv_id": "2102.00002", "authors": ("Bo Birch",)},
            False,
            id="other-authors-and-ids",
        ),
        pytest.param(
            {"arxiv_id": "2101.00001", "authors": ("Ash, Ada",)},
            {"title": "Foldcache: Folded Pages for Longer Prompts", "arxiv_id": "2102.00002", "authors": ("Ada Ash",)},
            True,
            id="an-author-shared",
        ),
        pytest.param({"year": 2015}, {"title": BASE + " Again", "year": 2024}, False, id="years-apart"),
    ],
)
def test_what_is_asked_about(first: dict[str, Any], second: dict[str, Any], asked: bool) -> None:
    likeness = compare(Sighting(**({"title": BASE} | first)), Sighting(**({"title": BASE} | second)))
    assert (likeness.score >= TWIN_AT) is asked, likeness
    assert likeness.score == pytest.approx(max(0, min(1, sum(w for _, w in likeness.parts))), abs=1e-3)


def test_the_explanation_names_words_authors_years_and_ids() -> None:
    found = compare(
        Sighting(BASE, ("Ada Ash", "Bo Birch"), 2023, "2301.00001"),
        Sighting("Foldcache: Folded Pages for Longer Prompts", ("A. Ash",), 2024),
    ).to_json()
    assert (found["only_first"], found["only_second"]) == (["long"], ["longer"])
    assert (found["shared_authors"], found["year_distance"]) == (["Ada Ash"], 1)
    assert found["ids"]["arxiv_id"] == ["2301.00001", None]


@pytest.mark.django_db
class TestRecording:
    def see(self, title: str, **fields: Any) -> Paper:
        return record_paper(SeenPaper(title=title, **fields))[0]

    @pytest.mark.parametrize(
        "near",
        [
            pytest.param("Foldcache: Folded Pages for Longer Prompts", id="the-end-differs"),
            pytest.param("Foldcache: Folding Pages for Longer Prompts", id="middle-and-end-differ"),
            pytest.param("The Foldcache: Folded Pages for Long Prompts", id="the-beginning-differs"),
            pytest.param("A Foldcache: Folded Pages for Long Prompt", id="both-ends-differ"),
        ],
    )
    def test_a_near_title_is_a_paper_of_its_own_and_a_question(self, near: str) -> None:
        first = self.see(BASE)
        second = self.see(near)
        assert first.pk != second.pk
        item = ReviewItem.objects.get()
        assert (item.reason, item.state, item.twin.first, item.twin.second) == ("twin", "open", first, second)

    def test_not_the_same_is_remembered_and_audited(self) -> None:
        self.see(BASE)
        self.see("Foldcache: Folded Pages for Longer Prompts")
        twin, editor = TwinCandidate.objects.get(), make_user()
        assert [keep_apart(twin, editor), keep_apart(twin, editor)] == [True, False]
        self.see(BASE, abstract=ABSTRACT)
        self.see("Foldcache: Folded Pages for Longer Prompts", abstract=ABSTRACT)
        assert TwinCandidate.objects.get().state == TwinState.DISTINCT
        assert ReviewItem.objects.get().state == ReviewState.DONE
        assert AuditEntry.objects.get().actor == editor

    def test_a_beginning_that_many_titles_share_is_no_evidence_and_costs_nothing(
        self, django_assert_max_num_queries: Any
    ) -> None:
        start = "Towards Efficient Inference With "
        made = [
            Paper(title=f"{start}{n:03}", folded_title=f"t{n}", slug=f"t{n}", title_head="towardse")
            for n in range(LARGEST_BLOCK + 5)
        ]
        Paper.objects.bulk_create(made)
        with django_assert_max_num_queries(12):
            self.see(start + "Folded Pages of Memory")
        assert not TwinCandidate.objects.exists()


# ── merging ─────────────────────────────────────────────────────────────────────────────────────────────────────────
OTHER = "TwoCache: half the cache"


@pytest.fixture
def pair(db: None) -> tuple[Paper, Paper]:
    """The same paper twice: with a record each, the second with the longer abstract."""
    keep = the_paper(arxiv_id="2101.00001", votes=3, source_kind="page", locator="a.txt")
    longer = "We add a preface. " + ABSTRACT
    drop = the_paper(OTHER, abstract=longer, doi="10.1000/1", votes=9, source_kind="page", locator="b.txt")
    store_record(keep, a_record(), "1")
    memory = a_claim("2.5x less memory", longer, metric="memory", value=2.5)
    store_record(drop, a_record(claims=[a_claim(abstract=longer), memory]), "1")
    return keep, drop


def test_merging_moves_everything_and_the_address_stays(pair: tuple[Paper, Paper]) -> None:
    keep, drop = pair
    record_paper(SeenPaper(title=OTHER, code_links=(SeenLink("https://github.com/a/b", True, said_by="page"),)))
    implementation = make_implementation(drop, "twocache")
    verdict = make_verdict(implementation.paper.claims.get(card_key__isnull=False), make_run(implementation))
    make_source(drop, kind="page", locator="a.txt")  # a place where both were seen
    assert merge_papers(keep, drop, None)
    assert (keep.arxiv_id, keep.doi, keep.votes) == ("2101.00001", "10.1000/1", 9)
    assert keep.abstract.startswith("We add a preface.")
    assert (drop.merged_into, drop.withdrawn_at is not None) == (keep, True)
    assert {s.locator for s in keep.sources.all()} == {"a.txt", "b.txt"}
    assert [t.title for t in keep.other_titles.all()] == [OTHER]
    assert keep.code_links.get().official
    implementation.refresh_from_db()
    verdict.refresh_from_db()
    assert (implementation.paper, verdict.claim.paper) == (keep, keep)
    live = keep.claims.filter(withdrawn_at=None)
    assert sorted(c.metric for c in live) == ["memory", "speedup", "speedup"]  # extracted, extracted, the card's
    for claim in live.filter(start__isnull=False):
        assert keep.abstract[claim.start : claim.end] == claim.quote
    assert keep.technique.extractor_version == "", "the abstract changed, so extraction follows"


def test_merging_again_does_nothing_and_later_sights_go_to_the_kept_one(pair: tuple[Paper, Paper]) -> None:
    keep, drop = pair
    editor = make_user()
    assert [merge_papers(keep, drop, editor), merge_papers(keep, drop, editor)] == [True, False]
    assert AuditEntry.objects.filter(action="merge-papers", actor=editor).count() == 1
    for fields in ({"title": OTHER}, {"title": "Yet another name", "doi": "10.1000/1"}):
        assert record_paper(SeenPaper(**fields))[0] == keep
    assert Paper.objects.visible().count() == 1
    assert TwinCandidate.objects.get().state == TwinState.MERGED


def test_a_paper_that_was_merged_takes_its_own_along(pair: tuple[Paper, Paper]) -> None:
    keep, drop = pair
    third = the_paper("A third name of it")
    merge_papers(drop, third, None)
    merge_papers(keep, drop, None)
    third.refresh_from_db()
    assert third.merged_into == keep
    assert record_paper(SeenPaper(title="A third name of it"))[0] == keep


def test_of_two_equal_claims_the_decided_one_stays_with_the_verdicts_of_both(pair: tuple[Paper, Paper]) -> None:
    keep, drop = pair
    decided = drop.claims.get(metric="speedup")
    review_claim(decided, "reject", None, note="of another paper")
    merge_papers(keep, drop, None)
    live = keep.claims.filter(withdrawn_at=None, metric="speedup")
    assert [(c.pk, c.review) for c in live] == [(decided.pk, Review.REJECTED)]
    assert not Claim.objects.visible().filter(metric="speedup").exists()


def test_what_people_set_on_the_dropped_one_is_kept(pair: tuple[Paper, Paper]) -> None:
    keep, drop = pair
    edit_technique(drop, {"name": "TwoCache-HD", "families": ["kv-cache"]}, None)
    merge_papers(keep, drop, None)
    store_record(keep, a_record(), "2")
    record = Paper.objects.get(pk=keep.pk).technique
    assert (record.name, record.families) == ("TwoCache-HD", ["kv-cache"])


def test_both_arxiv_ids_lead_to_the_kept_paper(db: None) -> None:
    keep, drop = the_paper("Attention", arxiv_id="2101.00001"), the_paper("Attention", arxiv_id="2202.00002")
    merge_papers(keep, drop, None)
    assert keep.arxiv_id == "2101.00001"
    assert record_paper(SeenPaper(title="Attention", arxiv_id="2202.00002v3"))[0] == keep


@pytest.mark.parametrize("wrong", ["itself", "merged", "withdrawn"])
def test_what_cannot_be_merged_is_refused_by_name(pair: tuple[Paper, Paper], wrong: str) -> None:
    keep, drop = pair
    third = the_paper("A third name of it")
    if wrong == "merged":
        merge_papers(third, drop, None)
    if wrong == "withdrawn":
        Paper.objects.filter(pk=drop.pk).update(withdrawn_at="2026-01-01T00:00:00Z")
    with pytest.raises(FieldError, match="keep: " if wrong == "itself" else "drop: "):
        merge_papers(keep, keep if wrong == "itself" else drop, None)
    keep.refresh_from_db()
    assert keep.votes == 3
