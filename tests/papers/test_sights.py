"""Which sights are one paper, and what each adds."""

import pytest

from papers.models import Paper, PaperTitle, ReviewItem, TwinCandidate
from papers.services import FieldError, SeenLink, SeenPaper, edit_paper, find_paper, record_paper, store_record
from tests.papers.sample import ABSTRACT, a_claim, a_record, the_paper

pytestmark = pytest.mark.django_db


def see(title: str = "TwoCache: half a cache", **fields: object) -> tuple[Paper, str]:
    return record_paper(SeenPaper(title=title, **fields))  # type: ignore[arg-type]


# ── by id ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"arxiv_id": "2101.00001v1"}, {"arxiv_id": "https://arxiv.org/abs/2101.00001v3"}, id="arxiv"),
        pytest.param({"doi": "10.1000/ABC"}, {"doi": "https://doi.org/10.1000/abc"}, id="doi"),
        pytest.param({"arxiv_id": "2101.00001"}, {"doi": "10.48550/arXiv.2101.00001"}, id="doi-of-arxiv"),
    ],
)
def test_one_id_is_one_paper_under_two_titles(first: dict[str, str], second: dict[str, str]) -> None:
    old, _ = see("TwoCache: half a cache", **first)
    new, change = see("Twice the Context in Half a Cache", **second)
    assert (old.pk, change) == (new.pk, "updated")
    assert new.title == "Twice the Context in Half a Cache"
    assert [t.title for t in new.other_titles.all()] == ["TwoCache: half a cache"]
    assert see("TwoCache: Half a Cache")[0].pk == old.pk, "the old title alone still leads to it"
    assert see("TwoCache: half a cache", **first)[1] == "unchanged", "and seeing it again changes nothing back"
    assert Paper.objects.get().title == "Twice the Context in Half a Cache"


def test_ids_and_links_are_filled_in_by_later_sights() -> None:
    see(arxiv_id="2101.00001")
    paper, change = see(doi="10.1000/1", code_links=(SeenLink("https://github.com/a/b", said_by="page"),))
    assert (change, paper.arxiv_id, paper.doi) == ("updated", "2101.00001", "10.1000/1")
    assert paper.code_links.get().said_by == ["page"]


def test_two_arxiv_ids_on_one_title_stay_two_papers_and_are_asked_about() -> None:
    first, _ = see("Attention", arxiv_id="2101.00001")
    second, change = see("Attention", arxiv_id="2202.00002")
    assert (change, second.pk == first.pk) == ("new", False)
    assert (first.arxiv_id, second.arxiv_id) == ("2101.00001", "2202.00002")
    twin = TwinCandidate.objects.get()
    assert twin.explanation["ids"]["arxiv_id"] == ["2101.00001", "2202.00002"]
    assert ReviewItem.objects.get().twin == twin
    assert see("Attention", arxiv_id="2202.00002v2") == (second, "unchanged")
    assert see("Attention")[0] == first, "the title alone means the first of that title"
    assert Paper.objects.count() == 2
    assert TwinCandidate.objects.count() == 1


def test_a_sight_that_names_two_known_papers_goes_to_the_id_and_is_asked_about() -> None:
    by_id, _ = see("TwoCache: half a cache", arxiv_id="2101.00001")
    by_title, _ = see("A Wholly Different Name")
    paper, _ = see("A Wholly Different Name", arxiv_id="2101.00001")
    assert paper == by_id
    assert not PaperTitle.objects.exists(), "a title that another paper holds is no other title of this one"
    twin = TwinCandidate.objects.get()
    assert {twin.first, twin.second} == {by_id, by_title}
    assert twin.explanation["why"] == "one-sight"


def test_a_doi_whose_paper_has_another_arxiv_id_is_not_taken_for_it() -> None:
    first, _ = see("One", arxiv_id="2101.00001", doi="10.1000/1")
    second, change = see("Another", arxiv_id="2202.00002", doi="10.1000/1")
    assert (change, second.doi) == ("new", None)
    assert TwinCandidate.objects.get().first == first


def test_a_bad_id_is_refused_by_name_and_nothing_is_written() -> None:
    with pytest.raises(ValueError, match=r"^arxiv_id: '21' is not"):
        see(arxiv_id="21")
    assert not Paper.objects.exists()


def test_looking_up_finds_what_a_sight_would_be_merged_into() -> None:
    paper, _ = see(arxiv_id="2101.00001")
    assert find_paper(arxiv_id="2101.00001v4") == paper
    assert find_paper(title="TwoCache – half a cache") == paper
    assert find_paper(title="Unheard of") is None
    assert find_paper() is None


def test_recording_a_known_paper_costs_the_same_with_many_papers(django_assert_num_queries: object) -> None:
    see(arxiv_id="2101.00001", locator="a.txt")
    for number in range(30):
        see(f"TwoCache: half a cache, part {number}")
    with django_assert_num_queries(4):  # type: ignore[operator]  # savepoint, paper, source, release
        see(arxiv_id="2101.00001", locator="a.txt")


# ── what wins ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_longest_abstract_wins_whatever_the_order_and_spacing_is_no_length() -> None:
    long = ABSTRACT + " It needs no training."
    for order in ((ABSTRACT, long), (long, ABSTRACT)):
        paper = [see(f"Paper {len(order[0])}", abstract=text)[0] for text in order][-1]
        assert paper.abstract == long
    paper, change = see(f"Paper {len(long)}", abstract=long.replace(" ", "   "))
    assert (change, paper.abstract) == ("unchanged", long)


def test_a_replaced_abstract_moves_the_spans_and_asks_for_extraction() -> None:
    paper = the_paper()
    store_record(paper, a_record(claims=[a_claim(), a_claim("2.5x less memory", metric="memory", value=2.5)]), "1")
    longer = (
        "A preface that was added. Our cache needs half; it runs 3x faster than plain decoding, as many tests show."
    )
    paper, change = see(abstract=longer)
    assert change == "updated"
    assert paper.technique.extractor_version == ""
    claim = paper.claims.get(withdrawn_at=None)
    assert longer[claim.start : claim.end] == claim.quote == "3x faster"
    assert paper.claims.get(metric="memory").withdrawn_at is not None


def test_what_a_person_set_wins_over_every_later_sight() -> None:
    paper = the_paper(arxiv_id="2101.00001")
    edit_paper(paper, {"title": "TwoCache, Corrected", "abstract": "Short.", "year": 2020, "arxiv_id": ""}, None)
    seen, change = see("TwoCache: half a cache", abstract=ABSTRACT * 2, year=2024, arxiv_id="2101.00001")
    assert (seen.pk, change) == (paper.pk, "unchanged")
    assert (seen.title, seen.abstract, seen.year, seen.arxiv_id) == ("TwoCache, Corrected", "Short.", 2020, None)


def test_what_one_source_calls_official_stays_so_and_all_sources_are_listed() -> None:
    url = "https://github.com/a/b"
    see(code_links=(SeenLink(url, None, "", "abstract"),))
    see(code_links=(SeenLink(url, True, "pytorch", "papers-with-code", "github"),))
    paper, change = see(code_links=(SeenLink(url, False, "jax", "other"),))
    link = paper.code_links.get()
    assert change == "updated"
    assert (link.official, link.framework, link.said_by) == (True, "pytorch", ["abstract", "papers-with-code", "other"])
    assert see(code_links=(SeenLink(url, None, "", "abstract"),))[1] == "unchanged"


def test_a_link_that_is_no_web_address_is_refused() -> None:
    with pytest.raises(FieldError, match="code_links: 'javascript:alert"):
        see(code_links=(SeenLink("javascript:alert(1)"),))
    assert not Paper.objects.exists()
