"""`manage.py ingest` with targets of the network, as someone at a terminal meets it."""

import gzip
import itertools
import json
from datetime import date, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from ingest import fetch_runs, fetch_services
from ingest.fetch_runs import Run, read_targets
from ingest.fetch_services import DatabaseTurns
from ingest.fetching import arxiv
from ingest.fetching.clock import SystemClock
from ingest.models import FetchCursor, FetchedAddress, HostTurn
from ingest.targets import parse_targets
from papers.models import Paper, Source
from tests.ingest.fetching.answers import Archive, abstract_of, atom, hub_list, hub_paper, oai_error, title_of
from tests.ingest.fetching.hosts import Answer, as_json, with_ranges

pytestmark = pytest.mark.django_db

TODAY = "2025-06-15"  # on the clock of the tests


@pytest.fixture(autouse=True)
def network(settings, host, clock, monkeypatch):
    """The interfaces are on the fake host, and time is the fake clock's."""
    settings.FETCH_HOSTS, settings.FETCH_ALLOW_PRIVATE = [host.name], True
    settings.FETCH_INTERVALS = {"127.0.0.1": 3.0}
    settings.HUGGINGFACE_URL = host.url
    settings.ARXIV_API_URL, settings.ARXIV_OAI_URL = f"{host.url}/api/query", f"{host.url}/oai"
    for name in ("now", "monotonic", "sleep"):
        monkeypatch.setattr(SystemClock, name, lambda self, *args, name=name: getattr(clock, name)(*args))


def ingest(*targets, **options):
    """The counts that --json prints."""
    out = StringIO()
    call_command("ingest", *targets, json=True, no_index=True, stdout=out, **options)
    return json.loads(out.getvalue())


def ids(first, count):
    return [f"2506.{number:05}" for number in range(first, first + count)]


def titles():
    return sorted(Paper.objects.values_list("title", flat=True))


PAPERS = {f"2503.{number:05}": date(2025, 3, 1) + timedelta(days=number * 3) for number in range(20)}


# ── each form of a target ───────────────────────────────────────────────────────────────────────────────────────────
def test_the_papers_of_today(host):
    host.on("/api/daily_papers", hub_list(ids(1, 3)))
    counts = ingest("hf:today")
    assert (counts["read"], counts["new"], counts["refused"]) == (3, 3, [])
    assert host.seen[0].query["date"] == TODAY
    paper = Paper.objects.get(arxiv_id="2506.00001")
    assert paper.claims.get().value == 2.0
    assert Source.objects.get(paper=paper).locator == f"hf:{TODAY}"


def test_a_range_of_days(host):
    host.script["/api/daily_papers"] = lambda seen: hub_list([f"2506.000{seen.query['date'][-2:]}"])
    counts = ingest("hf:2025-06-10..2025-06-12")
    assert [report["name"] for report in counts["files"]] == ["hf:2025-06-10", "hf:2025-06-11", "hf:2025-06-12"]
    assert counts["new"] == 3


def test_a_search_and_one_paper_of_the_hub(host):
    host.on("/api/papers/search", hub_list(ids(1, 2)))
    host.on("/api/papers/2506.00009", as_json(hub_paper("2506.00009")))
    assert ingest("hf:search:fold", "hf:2506.00009")["new"] == 3


def test_ids_of_arxiv_in_one_request_and_unknown_ones_named(host):
    host.script["/api/query"] = lambda seen: atom([n for n in seen.query["id_list"].split(",") if n != "2506.00002"])
    counts = ingest("2506.00001", "arXiv:2506.00002", "cs/0112017", "https://arxiv.org/abs/2506.00003")
    assert (counts["new"], len(host.seen)) == (3, 1)
    assert [refusal["reason"] for refusal in counts["refused"]] == ["arXiv knows no paper 2506.00002"]
    assert Paper.objects.filter(arxiv_id="cs/0112017").exists()


@pytest.mark.parametrize(("options", "papers"), [({}, 12), ({"limit": 5}, 5), ({"limit": 25}, 25), ({"limit": 90}, 33)])
def test_a_query_stops_at_its_limit(host, monkeypatch, options, papers):
    monkeypatch.setattr(arxiv, "PAGE", 10)
    monkeypatch.setattr(fetch_runs, "USUAL_LIMIT", 12)
    found = ids(1, 33)

    def answer(seen):
        start, size = int(seen.query["start"]), int(seen.query["max_results"])
        return atom(found[start : start + size], total=len(found), start=start)

    host.script["/api/query"] = answer
    assert ingest("arxiv:query:cat:cs.LG AND all:fold", **options)["new"] == papers
    assert host.seen[0].query["search_query"] == "cat:cs.LG AND all:fold"


def test_a_harvest(host):
    host.script["/oai"] = Archive(PAPERS)
    assert ingest("arxiv:oai:cs.LG:from=2025-03-01")["new"] == len(PAPERS)
    assert titles() == sorted(map(title_of, PAPERS))


def test_a_page_a_bibliography_and_a_packed_dump_by_their_addresses(host):
    page = host.on("/daily.json", hub_list(ids(1, 2)))
    bib = f"@article{{a, title={{{title_of('x')}}}, abstract={{{abstract_of('x')}}}, year={{2024}}}}"
    dump = "".join(json.dumps({"title": title_of(n), "abstract": abstract_of(n)}) + "\n" for n in ids(11, 4))
    targets = [page, host.on("/papers.bib", Answer(body=bib.encode()))]
    targets.append(host.on("/dump.jsonl.gz", Answer(body=gzip.compress(dump.encode()))))
    counts = ingest(*targets)
    assert [report["new"] for report in counts["files"]] == [2, 1, 4]
    assert Source.objects.filter(locator=page).count() == 2


def test_files_and_the_network_together(host, tmp_path):
    (tmp_path / "own.bib").write_text(f"@article{{a, title={{{title_of('x')}}}, abstract={{{abstract_of('x')}}}}}")
    host.on("/api/daily_papers", hub_list(ids(1, 1)))
    assert ingest(str(tmp_path), "hf:today")["new"] == 2


# ── a second time ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_has_not_changed_is_not_sent_again(host):
    host.script["/api/daily_papers"] = lambda seen: (
        Answer(304) if seen.headers.get("if-none-match") == '"v1"' else hub_list(ids(1, 3), ETag='"v1"')
    )
    ingest("hf:2025-06-12")
    again = ingest("hf:2025-06-12")
    assert (again["read"], again["files"][0]["layout"]) == (0, "unchanged")
    assert ingest("hf:2025-06-12", restart=True)["duplicate"] == 3


def test_a_version_is_remembered_only_with_its_papers(host, monkeypatch):
    host.on("/api/daily_papers", hub_list(ids(1, 3), ETag='"v1"'))

    def full(*args, **options):
        raise OSError("the disk is full")

    monkeypatch.setattr(fetch_services, "move_cursor", full)
    with pytest.raises(OSError, match="disk is full"):
        ingest("hf:2025-06-12")
    assert (Paper.objects.count(), FetchedAddress.objects.count()) == (0, 0)
    monkeypatch.undo()


def test_a_dump_that_has_not_changed_is_not_sent_again(host, settings):
    dump = "".join(json.dumps({"title": title_of(n), "abstract": abstract_of(n)}) + "\n" for n in ids(1, 4))
    host.script["/dump.jsonl"] = with_ranges(dump.encode(), '"v1"')
    assert ingest(f"{host.url}/dump.jsonl")["new"] == 4
    assert list((settings.DATA_DIR / "downloads").iterdir()) == []
    assert ingest(f"{host.url}/dump.jsonl")["files"][0]["layout"] == "unchanged"


def test_a_dry_run_fetches_and_keeps_nothing(host, settings):
    host.on("/api/daily_papers", hub_list(ids(1, 3), ETag='"v1"'))
    page = host.on("/daily.json", hub_list(ids(5, 2), ETag='"v1"'))
    counts = ingest("hf:today", page, dry_run=True)
    assert (counts["read"], counts["new"]) == (5, 0)
    assert (Paper.objects.count(), FetchedAddress.objects.count(), FetchCursor.objects.count()) == (0, 0, 0)
    assert list((settings.DATA_DIR / "downloads").iterdir()) == []


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_fetch_that_fails_does_not_keep_the_others_from_being_read(host):
    host.on("/api/daily_papers", hub_list(ids(1, 3)))
    out = StringIO()
    with pytest.raises(CommandError, match="not fetched to the end: hf:search:fold") as caught:
        call_command("ingest", "hf:search:fold", "hf:today", json=True, no_index=True, stdout=out)
    assert caught.value.returncode == 3
    counts = json.loads(out.getvalue())
    assert counts["new"] == 3
    assert "is not there (status 404)" in counts["refused"][0]["reason"]
    assert [report["unfinished"] for report in counts["files"]] == [True, False]


def test_nothing_fetched_is_an_error(host):
    host.on("/api/daily_papers", Answer(500))
    with pytest.raises(CommandError, match="nothing was fetched") as caught:
        ingest("hf:today")
    assert caught.value.returncode == 1


def test_a_host_off_the_list_is_refused_by_name(host):
    with pytest.raises(CommandError, match="nothing was fetched"):
        ingest("https://elsewhere.example.org/page")
    assert host.seen == []


def test_a_page_in_no_known_format_is_refused_and_fetched_anew_next_time(host, settings):
    page = host.on("/page", Answer(body=b"just some words", headers={"ETag": '"v1"'}), hub_list(ids(1, 1), ETag='"v1"'))
    with pytest.raises(CommandError, match="none of the files"):
        ingest(page)
    assert ingest(page)["new"] == 1


@pytest.mark.parametrize("target", ["hf:tody", "nowhere.txt", "hf:2025-06-16"])
def test_a_bad_target_is_told_before_anything_is_fetched(host, target):
    host.on("/api/daily_papers", hub_list(ids(1, 3)))
    with pytest.raises(CommandError, match=r"nearest|no such file|has not come"):
        ingest("hf:today", target)
    assert (host.seen, Paper.objects.count()) == ([], 0)


def test_no_target_at_all_is_told():
    with pytest.raises(CommandError, match="name at least one target"):
        ingest()


# ── interrupted and gone on with ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_harvest_that_was_interrupted_goes_on_without_losing_or_doubling_a_paper(host, monkeypatch, at):
    """The interrupt comes within a batch: that one is lost as a whole and fetched again."""
    host.script["/oai"] = Archive(PAPERS)
    calls = itertools.count(1)
    real = fetch_services.move_cursor

    def interrupted(*args, **options):
        if next(calls) == at:
            raise KeyboardInterrupt
        real(*args, **options)

    monkeypatch.setattr(fetch_services, "move_cursor", interrupted)
    with pytest.raises(CommandError, match="what was read is kept: run the same command again") as caught:
        ingest("arxiv:oai:cs.LG:from=2025-03-01")
    assert caught.value.returncode == 130
    assert Paper.objects.count() == 2 * (at - 1)
    monkeypatch.setattr(fetch_services, "move_cursor", real)
    rest = ingest("arxiv:oai:cs.LG:from=2025-03-01")
    assert (rest["new"], rest["duplicate"]) == (len(PAPERS) - 2 * (at - 1), 0)
    assert titles() == sorted(map(title_of, PAPERS))
    assert Source.objects.count() == len(PAPERS)


def test_a_harvest_whose_token_expired_meanwhile_loses_nothing(host, monkeypatch):
    archive = host.script["/oai"] = Archive(PAPERS)
    ingest("arxiv:oai:cs.LG:from=2025-03-01", limit=4)
    archive.expired.add(FetchCursor.objects.get().position["token"])
    host.seen.clear()
    monkeypatch.setattr(archive, "page", 3)
    rest = ingest("arxiv:oai:cs.LG:from=2025-03-01")
    assert "resumptionToken" in host.seen[0].query
    assert "from" in host.seen[1].query
    assert (rest["new"], rest["duplicate"]) == (len(PAPERS) - 4, 4)
    assert titles() == sorted(map(title_of, PAPERS))


def test_a_harvest_that_fails_in_its_middle_keeps_what_came_before(host):
    archive = Archive(PAPERS)
    answers = itertools.count(1)
    host.script["/oai"] = lambda seen: archive(seen) if next(answers) < 4 else oai_error("badArgument")
    with pytest.raises(CommandError, match="not fetched to the end") as caught:
        ingest("arxiv:oai:cs.LG:from=2025-03-01")
    assert caught.value.returncode == 3
    assert Paper.objects.count() == 6
    host.script["/oai"] = archive
    assert ingest("arxiv:oai:cs.LG:from=2025-03-01")["new"] == len(PAPERS) - 6


def test_a_later_harvest_reads_only_what_is_new(host, clock):
    archive = host.script["/oai"] = Archive(dict(PAPERS))
    ingest("arxiv:oai:cs.LG:from=2025-03-01")
    clock.pass_by(3 * 86400)
    archive.papers["2506.00777"] = date(2025, 6, 17)
    host.seen.clear()
    assert ingest("arxiv:oai:cs.LG:from=2025-03-01")["read"] == 1
    assert host.seen[0].query["from"] == TODAY
    assert ingest("arxiv:oai:cs.LG:from=2025-03-01", restart=True)["read"] == len(PAPERS) + 1


def test_a_range_of_days_goes_on_at_the_day_that_failed(host):
    days = lambda seen: hub_list([f"2506.000{seen.query['date'][-2:]}"])  # noqa: E731
    host.script["/api/daily_papers"] = lambda seen: Answer(404) if seen.query["date"] == "2025-06-11" else days(seen)
    with pytest.raises(CommandError):
        ingest("hf:2025-06-10..2025-06-12")
    host.seen.clear()
    host.script["/api/daily_papers"] = days
    assert ingest("hf:2025-06-10..2025-06-12")["new"] == 2
    assert [seen.query["date"] for seen in host.seen] == ["2025-06-11", "2025-06-12"]


@pytest.mark.parametrize("by_address", [True, False], ids=["address", "file"])
def test_a_dump_that_was_interrupted_goes_on_in_its_middle(host, monkeypatch, tmp_path, by_address):
    monkeypatch.setattr("ingest.services.BATCH", 4)
    names = ids(1, 14)
    dump = "".join(json.dumps({"title": title_of(n), "abstract": abstract_of(n)}) + "\n" for n in names).encode()
    host.script["/dump.jsonl"] = with_ranges(dump, '"v1"')
    (tmp_path / "dump.jsonl").write_bytes(dump)
    target = f"{host.url}/dump.jsonl" if by_address else str(tmp_path / "dump.jsonl")
    calls = itertools.count(1)
    real = fetch_services.move_cursor

    def interrupted(*args, **options):
        real(*args, **options)
        if next(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(fetch_services, "move_cursor", interrupted)
    with pytest.raises(CommandError) as caught:
        ingest(target)
    assert (caught.value.returncode, Paper.objects.count()) == (130, 8)
    monkeypatch.setattr(fetch_services, "move_cursor", real)
    rest = ingest(target)
    assert (rest["read"], rest["new"], rest["duplicate"]) == (6, 6, 0)
    assert titles() == sorted(map(title_of, names))
    assert len(host.seen) == (1 if by_address else 0), "the file is there already"
    assert not FetchCursor.objects.exists()


def test_a_dump_that_changed_meanwhile_is_read_from_its_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.services.BATCH", 2)
    path = tmp_path / "dump.jsonl"
    lines = [json.dumps({"title": title_of(n), "abstract": abstract_of(n)}) + "\n" for n in ids(1, 6)]
    path.write_text("".join(lines[2:]))
    fetch_services.move_cursor(str(path.resolve()), {"version": "of old", "offset": 300, "line": 2}, done=False)
    assert ingest(str(path))["new"] == 4


# ── pace across processes ───────────────────────────────────────────────────────────────────────────────────────────
def test_arxiv_is_asked_once_in_three_seconds_by_all_processes_together(host, clock):
    """Two runs take turns, as two processes would; the store that they share is the database."""
    host.script["/oai"] = Archive(PAPERS)
    host.script["/api/query"] = lambda seen: Answer(500) if len(host.seen) % 5 == 0 else atom(["2506.00001"])
    runs = [
        read_targets(parse_targets([target], date(2025, 6, 15)), Run(clock=clock))
        for target in ("arxiv:oai:cs.LG:from=2025-03-01", "arXiv:2506.00001", "arxiv:query:all:x", "cs/0112017")
    ]
    for _ in itertools.zip_longest(*runs):
        pass
    starts = [seen.began for seen in host.seen]
    assert len(starts) > 12
    assert all(after - before >= 3.0 for before, after in itertools.pairwise(starts))
    assert all(after.began >= before.ended for before, after in itertools.pairwise(host.seen)), "one at a time"


def test_a_turn_is_given_to_one_and_the_next_comes_after_its_pause():
    turns = DatabaseTurns()
    won = [token for token in "abcdef" if turns.try_take("arxiv.org", 1000.0, 3.0, 60.0, token) == 0.0]
    assert won == ["a"]
    assert turns.try_take("arxiv.org", 1010.0, 3.0, 60.0, "b") > 0, "still held"
    turns.give_back("arxiv.org", "z")
    assert turns.try_take("arxiv.org", 1010.0, 3.0, 60.0, "b") > 0, "another may not give it back"
    turns.give_back("arxiv.org", "a")
    assert turns.try_take("arxiv.org", 1010.0, 3.0, 60.0, "b") == 0.0
    turns.give_back("arxiv.org", "b")
    assert turns.try_take("arxiv.org", 1011.0, 3.0, 60.0, "c") == pytest.approx(2.0)
    assert turns.try_take("huggingface.co", 1011.0, 1.0, 60.0, "c") == 0.0


def test_a_turn_whose_holder_died_is_given_on():
    turns = DatabaseTurns()
    turns.try_take("arxiv.org", 1000.0, 3.0, 60.0, "dead")
    assert turns.try_take("arxiv.org", 1059.0, 3.0, 60.0, "b") > 0
    assert turns.try_take("arxiv.org", 1061.0, 3.0, 60.0, "b") == 0.0


def test_the_quiet_that_a_host_asked_for_holds_for_other_processes(host, clock):
    host.on("/api/daily_papers", Answer(429, headers={"Retry-After": "1800"}))
    with pytest.raises(CommandError):
        ingest("hf:today")
    with pytest.raises(CommandError):
        ingest("hf:2025-06-12")
    assert len(host.seen) == 1
    assert HostTurn.objects.get().next_at.timestamp() >= clock.now() + 1700


# ── at a terminal ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_lines_for_people_say_what_happened(host, capsys):
    host.on("/api/daily_papers", hub_list(ids(1, 2), ETag='"v1"'))
    call_command("ingest", "hf:today", no_index=True)
    host.on("/api/daily_papers", Answer(304))
    with pytest.raises(CommandError):
        call_command("ingest", "hf:today", "hf:search:none", no_index=True)
    told = capsys.readouterr()
    assert f"hf:{TODAY}: 2 entries read, 2 new, 0 updated, 0 already known" in told.out
    assert f"hf:{TODAY}: nothing new since it was last read" in told.out
    assert "hf:search:none: not fetched: " in told.err
