"""Feeds of Hugging Face and arXiv, without a database: what is asked for, what comes, and from where it goes on."""

from datetime import date, timedelta

import pytest

from ingest.fetching import arxiv, huggingface
from ingest.fetching.errors import FetchError
from ingest.fetching.feed import Ask
from tests.ingest.fetching.answers import Archive, atom, hub_list, hub_paper, oai, oai_error, title_of
from tests.ingest.fetching.hosts import Answer, as_json

DAY = date(2025, 6, 12)


def titles(batches):
    return [paper.title for batch in batches for paper in batch.page.papers]


def ids(first, count):
    return [f"2506.{number:05}" for number in range(first, first + count)]


# ── Hugging Face ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_day_is_one_batch_and_may_be_remembered(host, fetcher):
    host.on("/api/daily_papers", hub_list(ids(1, 3), ETag='"v1"'))
    [batch] = huggingface.daily(Ask(fetcher), host.url, DAY, DAY, {})
    assert (batch.name, batch.done, len(batch.page.papers)) == ("hf:2025-06-12", True, 3)
    assert batch.fetched[0].validators.etag == '"v1"'
    assert host.seen[0].query["date"] == "2025-06-12"


def test_a_day_of_more_than_one_page_is_read_to_its_end(host, fetcher):
    pages = {"0": ids(1, 100), "1": ids(101, 20)}
    host.script["/api/daily_papers"] = lambda seen: hub_list(pages.get(seen.query.get("p", "0"), []))
    [batch] = huggingface.daily(Ask(fetcher), host.url, DAY, DAY, {})
    assert len(batch.page.papers) == 120
    assert batch.fetched == (), "its first page may stay the same while a later one grows"


def test_a_hub_that_knows_no_pages_is_not_asked_for_ever(host, fetcher):
    host.on("/api/daily_papers", hub_list(ids(1, 60)))
    [batch] = huggingface.daily(Ask(fetcher), host.url, DAY, DAY, {})
    assert (len(batch.page.papers), len(host.seen)) == (60, 2)


def test_a_range_goes_on_behind_its_last_day(host, fetcher):
    host.script["/api/daily_papers"] = lambda seen: hub_list([f"2506.000{seen.query['date'][-2:]}"])
    ask = Ask(fetcher)
    whole = list(huggingface.daily(ask, host.url, date(2025, 6, 9), DAY, {}))
    assert [batch.name for batch in whole] == [f"hf:2025-06-{day:02}" for day in (9, 10, 11, 12)]
    rest = list(huggingface.daily(ask, host.url, date(2025, 6, 9), DAY, whole[1].position))
    assert titles(rest) == titles(whole[2:])


def test_a_day_without_papers_is_no_fault(host, fetcher):
    host.on("/api/daily_papers", as_json([]))
    [batch] = huggingface.daily(Ask(fetcher), host.url, DAY, DAY, {})
    assert (batch.page.papers, batch.unchanged, batch.done) == ((), False, True)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(body=b'[{"paper": {"id": "2506.0'), id="cut"),
        pytest.param(Answer(body=b"<html>busy</html>", headers={"Content-Type": "text/html"}), id="html"),
        pytest.param(Answer(body=b""), id="empty"),
    ],
)
def test_what_is_no_json_is_tried_again_and_then_told(host, fetcher, answer):
    host.on("/api/daily_papers", answer, answer, hub_list(ids(1, 1)))
    [batch] = huggingface.daily(Ask(fetcher), host.url, DAY, DAY, {})
    assert len(batch.page.papers) == 1
    host.on("/api/daily_papers", answer)
    with pytest.raises(FetchError, match="no JSON"):
        list(huggingface.daily(Ask(fetcher), host.url, DAY, DAY, {}))


def test_json_of_another_kind_is_told_at_once(host, fetcher):
    host.on("/api/daily_papers", as_json({"error": "no such thing"}))
    with pytest.raises(FetchError, match="changed its format"):
        list(huggingface.daily(Ask(fetcher), host.url, DAY, DAY, {}))
    assert len(host.seen) == 1


def test_search_and_one_paper(host, fetcher):
    host.on("/api/papers/search", hub_list(ids(1, 2)))
    host.on("/api/papers/2506.00009", as_json(hub_paper("2506.00009")))
    [found] = huggingface.search(Ask(fetcher), host.url, "sparse & fast", 10)
    [one] = huggingface.paper(Ask(fetcher), host.url, "2506.00009")
    assert (found.name, len(found.page.papers)) == ("hf:search:sparse & fast", 2)
    assert host.seen[0].query == {"q": "sparse & fast", "limit": "10"}
    assert titles([one]) == [title_of("2506.00009")]


# ── the export API of arXiv ─────────────────────────────────────────────────────────────────────────────────────────
def test_ids_are_asked_for_in_bulk_and_unknown_ones_named(host, fetcher):
    wanted = [*ids(1, 150), "cs/0112017", "2506.00777v3"]
    unknown = {"2506.00005", "2506.00777v3"}

    def answer(seen):
        return atom([name for name in seen.query["id_list"].split(",") if name not in unknown])

    host.script["/api/query"] = answer
    batches = list(arxiv.papers(Ask(fetcher), f"{host.url}/api/query", wanted, {}))
    assert len(host.seen) == 2
    assert len(titles(batches)) == 150
    problems = [problem.reason for batch in batches for problem in batch.page.problems]
    assert problems == ["arXiv knows no paper 2506.00005", "arXiv knows no paper 2506.00777v3"]
    assert titles([batches[1]]) == titles(
        list(arxiv.papers(Ask(fetcher), f"{host.url}/api/query", wanted, batches[0].position))
    )


def answer_query(found):
    def answer(seen):
        start, size = int(seen.query["start"]), int(seen.query["max_results"])
        return atom(found[start : start + size], total=len(found), start=start)

    return answer


@pytest.mark.parametrize(("limit", "papers", "asked"), [(1000, 250, 3), (120, 120, 2), (7, 7, 1)])
def test_a_query_goes_page_by_page_to_its_end_or_limit(host, fetcher, limit, papers, asked):
    host.script["/api/query"] = answer_query(ids(1, 250))
    batches = list(arxiv.query(Ask(fetcher), f"{host.url}/api/query", "all:x", limit, {}))
    assert (len(titles(batches)), len(host.seen)) == (papers, asked)
    assert [batch.done for batch in batches] == [False] * (asked - 1) + [True]


def test_a_query_goes_on_where_it_stopped(host, fetcher):
    host.script["/api/query"] = answer_query(ids(1, 250))
    ask = Ask(fetcher)
    first = next(arxiv.query(ask, f"{host.url}/api/query", "all:x", 1000, {}))
    rest = list(arxiv.query(ask, f"{host.url}/api/query", "all:x", 1000, first.position))
    assert titles([first, *rest]) == [title_of(name) for name in ids(1, 250)]


def test_an_empty_page_where_there_are_results_is_asked_for_again(host, fetcher):
    host.on("/api/query", atom([], total=3), atom(ids(1, 3)))
    assert len(titles(arxiv.query(Ask(fetcher), f"{host.url}/api/query", "all:x", 100, {}))) == 3


def test_a_query_that_finds_nothing_is_done(host, fetcher):
    host.on("/api/query", atom([]))
    [batch] = arxiv.query(Ask(fetcher), f"{host.url}/api/query", "all:x", 100, {})
    assert (batch.page.papers, batch.done) == ((), True)


# ── OAI-PMH ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("cs.LG", "cs:cs:LG"),
        ("stat.ML", "stat:stat:ML"),
        ("cs", "cs"),
        ("hep-th", "physics:hep-th"),
        ("astro-ph.CO", "physics:astro-ph:CO"),
        ("physics.optics", "physics:physics:optics"),
        ("math-ph", "physics:math-ph"),
        ("cs:cs:LG", "cs:cs:LG"),
    ],
)
def test_sets_are_named_as_arxiv_names_them(category, name):
    assert arxiv.set_of(category) == name


PAPERS = {f"2503.{number:05}": date(2025, 3, 1) + timedelta(days=number * 3) for number in range(30)}


def harvest(host, fetcher, position=None, first=date(2025, 3, 1), until=date(2025, 5, 31)):
    return arxiv.harvest(Ask(fetcher), f"{host.url}/oai", "cs.LG", first=first, until=until, position=position or {})


def test_a_harvest_reads_everything_once(host, fetcher):
    host.script["/oai"] = Archive(PAPERS)
    batches = list(harvest(host, fetcher))
    assert titles(batches) == [title_of(name) for name in PAPERS]
    assert [batch.done for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert host.seen[0].query["set"] == "cs:cs:LG"


def test_a_harvest_that_ended_anywhere_goes_on_without_a_gap(host, fetcher):
    host.script["/oai"] = Archive(PAPERS)
    whole = list(harvest(host, fetcher))
    for stop in range(1, len(whole)):
        rest = list(harvest(host, fetcher, whole[stop - 1].position))
        assert titles([*whole[:stop], *rest]) == titles(whole)


def test_a_token_that_expired_costs_its_window_and_no_paper(host, fetcher):
    archive = host.script["/oai"] = Archive(PAPERS)
    batches = []
    for batch in harvest(host, fetcher):
        batches.append(batch)
        if len(batches) == 2:
            archive.expired.add(str(batch.position["token"]))
        elif len(batches) == 3:
            archive.expired.clear()
    assert set(titles(batches)) == {title_of(name) for name in PAPERS}
    assert titles(batches[2:3]) == titles(batches[:1]), "the window begins again"
    assert all(batch.done is (batch is batches[-1]) for batch in batches)


def test_tokens_that_always_expire_end_the_harvest_with_a_reason(host, fetcher):
    host.script["/oai"] = lambda seen: (
        oai_error("badResumptionToken") if "resumptionToken" in seen.query else oai(ids(1, 1), "gone")
    )
    with pytest.raises(FetchError, match="badResumptionToken"):
        list(harvest(host, fetcher))
    assert len(host.seen) < 12


def test_a_page_that_is_cut_is_not_taken_for_the_end(host, fetcher):
    whole = oai(ids(1, 2), "more")
    cut = Answer(body=whole.body[: whole.body.index(b"<resumptionToken")], headers=whole.headers)
    host.on("/oai", cut, whole, oai(ids(3, 1)))
    batches = list(harvest(host, fetcher, until=date(2025, 3, 2)))
    assert len(titles(batches)) == 3


def test_days_without_records_are_no_fault(host, fetcher):
    host.script["/oai"] = Archive({"2503.00001": date(2025, 5, 30)})
    assert len(titles(harvest(host, fetcher))) == 1


def test_a_harvest_that_is_done_goes_on_from_its_last_day(host, fetcher):
    archive = host.script["/oai"] = Archive(dict(PAPERS))
    last = list(harvest(host, fetcher))[-1]
    archive.papers = PAPERS | {"2505.00900": date(2025, 5, 31), "2506.00901": date(2025, 6, 1)}
    seen = len(host.seen)
    later = list(harvest(host, fetcher, last.position, until=date(2025, 6, 2)))
    assert titles(later) == [title_of("2505.00900"), title_of("2506.00901")]
    assert host.seen[seen].query["from"] == "2025-05-31"


@pytest.mark.parametrize("code", ["badArgument", "noSetHierarchy"])
def test_other_errors_of_the_archive_are_told(host, fetcher, code):
    host.on("/oai", oai_error(code))
    with pytest.raises(FetchError, match=code):
        list(harvest(host, fetcher))


def test_a_document_type_is_refused(host, fetcher):
    host.on("/oai", Answer(body=b'<!DOCTYPE x [<!ENTITY a "b">]><OAI-PMH>&a;</OAI-PMH>'))
    with pytest.raises(FetchError, match="no XML"):
        list(harvest(host, fetcher))
