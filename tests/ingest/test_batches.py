"""Papers that are recorded together: the database says the same as after one by one, at a small part of the queries."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import services
from ingest.sources import CodeLink, ParsedLinks, ParsedPage, ParsedPaper
from papers.models import Claim, Paper, PaperTitle, ReviewItem, Technique, TwinCandidate
from papers.services import SeenPaper, blocks, edit_paper, merge_papers, record_papers, withdraw_paper
from tests.papers.database_rows import database_rows

pytestmark = pytest.mark.django_db

FOLD = "Foldcache: Folded Pages for Long Prompts"
FASTER = "Our cache runs 3x faster than plain decoding on an A100."
SMALLER = "It needs 2.5x less memory. Code: https://github.com/invented/fold ."
LINK = CodeLink("https://github.com/invented/fold", "github", True, "jax", "paper")


def paper(title: str = FOLD, abstract: str = FASTER, **fields: Any) -> ParsedPaper:
    return ParsedPaper(title, abstract, 1, **fields)


def links(title: str = "", *code: CodeLink, **ids: Any) -> ParsedLinks:
    return ParsedLinks(title, code or (LINK,), 1, **ids)


def page(items: Sequence[ParsedPaper | ParsedLinks]) -> ParsedPage:
    seen = tuple(item for item in items if isinstance(item, ParsedPaper))
    return ParsedPage("page", "a layout", seen, links=tuple(item for item in items if isinstance(item, ParsedLinks)))


def outcome(write: Callable[[], list[Any]], at_once: int) -> tuple[list[Any], dict[str, Any]]:
    """What `write` reports and what the database says then; nothing of it stays."""
    kept = services.BATCH
    services.BATCH = at_once
    try:
        with transaction.atomic():
            reports = write()
            rows = database_rows()
            transaction.set_rollback(True)
    finally:
        services.BATCH = kept
    return reports, rows


def read(*pages: Sequence[ParsedPaper | ParsedLinks]) -> list[Any]:
    return [services.store_page(page(items), f"{number}.txt") for number, items in enumerate(pages)]


def same(write: Callable[[], list[Any]]) -> dict[str, Any]:
    """What both ways write. Fails where they differ."""
    one_by_one, together = outcome(write, 1), outcome(write, 500)
    assert together[0] == one_by_one[0]
    for name, rows in one_by_one[1].items():
        assert together[1][name] == rows, name
    return together[1]


SCENARIOS = {
    "papers-of-their-own": [paper(), paper("Thinlayer: Fewer Weights", SMALLER)],
    "one-paper-twice": [paper(), paper(votes=3), paper(FOLD.upper())],
    "a-longer-abstract": [paper(), paper(abstract=FASTER + " " + SMALLER), paper(abstract=SMALLER)],
    "an-abstract-that-loses-a-claim": [paper(), paper(abstract=SMALLER * 3)],
    "no-abstract-at-first": [paper(abstract=""), paper(), paper(abstract="")],
    "twins": [paper(), paper("Foldcache: Folded Pages for Longer Prompts"), paper(FOLD + " Again")],
    "a-retitled-paper": [paper(arxiv_id="2101.00001"), paper("Twice", arxiv_id="2101.00001"), paper(), paper("Twice")],
    "a-paper-retitled-into-a-twin": [
        paper("Twice", arxiv_id="2101.00001"),
        paper(FOLD + " Again"),
        paper(arxiv_id="2101.00001"),
        paper(FOLD + "s"),
    ],
    "two-ids-on-one-title": [paper(arxiv_id="2101.00001"), paper(arxiv_id="2202.00002"), paper(arxiv_id="2202.00002")],
    "a-title-and-an-id-of-two-papers": [
        paper(arxiv_id="2101.00001"),
        paper("Else"),
        paper("Else", arxiv_id="2101.00001"),
    ],
    "an-id-that-comes-later": [paper(), paper(doi="10.1000/1"), paper("Else", doi="10.1000/1")],
    "addresses-that-collide": [paper("A+ B"), paper("A - B!!c"), paper("A b? c d"), paper("A b c? d")],
    "what-is-refused": [paper(), paper(" "), paper("x" * 600), paper("Else", arxiv_id="21"), paper("After")],
    "links-of-papers-of-the-page": [paper(), links(FOLD), links("Unheard of"), links(FOLD, LINK)],
    "links-by-id": [
        paper(arxiv_id="2101.00001"),
        links(arxiv_id="2101.00001", doi="10.1000/1"),
        links(doi="10.1000/1"),
    ],
}


@pytest.mark.parametrize("items", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_a_page_at_once_and_its_papers_one_by_one_leave_the_same(items: list[ParsedPaper | ParsedLinks]) -> None:
    assert same(lambda: read(items))["Paper"]
    same(lambda: read(items, items))
    same(lambda: read(items[:1], items[1:], items[::-1]))


TITLES = st.sampled_from(
    (FOLD, FOLD + "s", "Foldcache: Folding Pages for Longer Prompts", "Fold", "Fold!", "Else", "+#", " ")
)
IDS = {
    "arxiv_id": st.none() | st.sampled_from(("2101.00001", "2101.00002", "2101.00003")),
    "doi": st.none() | st.sampled_from(("10.1000/1", "10.1000/2")),
}
CODE = st.builds(
    CodeLink,
    st.sampled_from(("https://github.com/a/b", "https://github.com/c/d")),
    st.just("github"),
    official=st.sampled_from((None, True, False)),
    said_in=st.sampled_from(("paper", "comment")),
)
ITEMS = st.builds(
    paper,
    TITLES,
    st.sampled_from(("", FASTER, SMALLER, FASTER + " " + SMALLER)),
    authors=st.sampled_from(((), ("Ada Ash",), ("Bo Birch", "Ada Ash"))),
    votes=st.none() | st.integers(0, 3),
    year=st.sampled_from((None, 2020, 2024)),
    code_links=st.lists(CODE, max_size=2).map(tuple),
    **IDS,
) | st.builds(links, TITLES, CODE, **IDS)
PAGES = st.lists(st.lists(ITEMS, min_size=1, max_size=12), min_size=1, max_size=3)
DECISIONS = st.lists(
    st.tuples(st.sampled_from(("rename", "rewrite", "merge", "withdraw")), st.integers(0, 9)), max_size=2
)


def decide(decisions: list[tuple[str, int]]) -> None:
    """What people do between two pages, where it can be done."""
    for what, which in decisions:
        rows = list(Paper.objects.visible().order_by("folded_title"))
        if len(rows) < 2:
            return
        row, other = rows[which % len(rows)], rows[(which + 1) % len(rows)]
        if what == "merge":
            merge_papers(row, other, None)
        elif what == "withdraw":
            withdraw_paper(row, None, "of another field")
        elif what == "rewrite":
            edit_paper(row, {"abstract": SMALLER}, None)
        elif not PaperTitle.objects.filter(folded_title="byaperson").exists() and rows[0].title != "By a Person":
            edit_paper(row, {"title": "By a Person"}, None)


@given(pages=PAGES, decisions=DECISIONS)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_pages_at_once_leave_what_their_papers_leave_one_by_one(
    pages: list[list[ParsedPaper | ParsedLinks]], decisions: list[tuple[str, int]]
) -> None:
    def write() -> list[Any]:
        reports = read(*pages[:1])
        decide(decisions)
        return [*reports, *read(*pages)]

    largest = blocks.LARGEST_BLOCK
    blocks.LARGEST_BLOCK = 3  # so that blocks become too large, and small enough again
    try:
        same(write)
    finally:
        blocks.LARGEST_BLOCK = largest


def test_what_a_paper_costs_falls_with_the_page(django_assert_max_num_queries: Any) -> None:
    items = [paper(f"{name}cache: Pages of {name}", f"{FASTER} {name}.") for name in map(str, range(40))]
    with django_assert_max_num_queries(60):
        read(items)
    assert (Paper.objects.count(), Technique.objects.count(), Claim.objects.count()) == (40, 40, 40)
    with django_assert_max_num_queries(8):
        [again] = read(items)
    assert again.duplicate == 40


def test_a_fault_in_the_middle_of_a_page_keeps_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 2)
    whole = services.extract_papers
    calls: list[int] = []

    def failing(papers: Any) -> set[int]:
        calls.append(1)
        return whole(papers) if len(calls) < 2 else {int("no")}

    monkeypatch.setattr(services, "extract_papers", failing)
    with pytest.raises(ValueError, match="invalid literal"):
        read([paper(), paper("Twice"), paper("Thrice")])
    assert not Paper.objects.exists()


def test_a_list_ends_before_another_text_of_a_paper_in_it() -> None:
    sights = [
        SeenPaper(title="One"),
        SeenPaper(title="Two"),
        SeenPaper(title="One", votes=1),
        SeenPaper(title="One", abstract=FASTER),
    ]
    steps = [[done.change for done in step] for step in record_papers(sights)]
    assert steps == [["new", "new", "updated"], ["updated"]]


def test_twins_of_one_batch_are_asked_about_once_and_the_older_is_named_first() -> None:
    read([paper("Foldcache: Folded Pages for Longer Prompts"), paper(), paper()])
    twin = TwinCandidate.objects.get()
    assert (twin.first.title, twin.second.title) == ("Foldcache: Folded Pages for Longer Prompts", FOLD)
    assert ReviewItem.objects.get().key == f"twin:{twin.first_id}:{twin.second_id}"


@pytest.mark.django_db(transaction=True)
def test_two_that_read_one_page_at_once_make_each_paper_once() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one writer in at a time")
    items = [paper(f"{name}cache: Pages of {name}") for name in map(str, range(30))]
    both = threading.Barrier(2)
    reports: list[Any] = []

    def work() -> None:
        both.wait(10)
        try:
            reports.extend(read(items))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted((report.new, report.duplicate) for report in reports) == [(0, 30), (30, 0)]
    assert Paper.objects.count() == Technique.objects.count() == 30
