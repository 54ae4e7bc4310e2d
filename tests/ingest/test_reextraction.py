"""`manage.py reextract`: what it says before it writes, what it writes, and what it leaves alone."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from ingest import reextraction, services
from ingest.records import BY_WORDS
from papers.models import Claim, Paper, Technique
from papers.services import SeenPaper, edit_technique, record_paper, review_claim

pytestmark = pytest.mark.django_db

ABSTRACTS = {
    "TwoCache: Half a Cache": "We present TwoCache, which keeps half of the cache. It runs 3x faster than plain decoding.",
    "Skipping Layers": "We study how layers may be skipped. Our scheme needs 40% less memory during training than usual.",
    "A Survey of Caches": "We survey caches for long prompts and say which are worth having.",
}


@pytest.fixture
def papers() -> list[Paper]:
    """Papers with records of the present extractor."""
    made = [record_paper(SeenPaper(title=title, abstract=text))[0] for title, text in ABSTRACTS.items()]
    for paper in made:
        services.extract_paper(paper)
    return made


@pytest.fixture
def older(papers: list[Paper]) -> list[Paper]:
    """The same, as an older extractor left them: wrong kinds, a claim too many, one that was misread."""
    Technique.objects.update(extractor_version="0.9.0", kind="application")
    claim = Claim.objects.get(metric="memory")
    Claim.objects.filter(pk=claim.pk).update(phase="inference")
    paper = papers[2]
    paper.claims.create(
        metric="memory", form="factor", direction="better", value=9, quote="caches", start=10, end=16, rule="old"
    )
    return papers


def run(*args: str, **options: Any) -> str:
    out = StringIO()
    call_command("reextract", *args, stdout=out, no_index=True, **options)
    return out.getvalue()


def state() -> Any:
    return (
        list(Technique.objects.order_by("pk").values("kind", "extractor_version", "updated_at")),
        list(Claim.objects.order_by("pk").values("pk", "phase", "withdrawn_at", "review")),
    )


def test_it_says_what_would_change_and_writes_nothing(older: list[Paper]) -> None:
    before = state()
    said = run()
    assert "3 records are older than version" in said
    assert "kind: application -> survey (1 paper)" in said
    assert "claims changed: 1" in said
    assert "claims withdrawn: 1" in said
    assert "memory 9 (A Survey of Caches)" in said
    assert "Nothing was written. --apply writes it." in said
    assert state() == before


def test_applying_brings_every_record_up_to_date_and_then_there_is_nothing_left(older: list[Paper]) -> None:
    run(apply=True, yes=True)
    assert set(Technique.objects.values_list("extractor_version", flat=True)) == {BY_WORDS}
    assert Technique.objects.get(paper=older[2]).kind == "survey"
    assert Claim.objects.get(metric="memory", value=40).phase == "training"
    assert Claim.objects.get(value=9).withdrawn_at is not None
    after = state()
    assert run(apply=True, yes=True) == f"Every record is of version {BY_WORDS} or newer.\n"
    assert state() == after


def test_what_people_set_and_decided_stays(older: list[Paper]) -> None:
    edit_technique(older[0], {"kind": "system"}, None)
    review_claim(Claim.objects.get(metric="memory", value=40), "accept", None)
    review_claim(Claim.objects.get(value=9), "reject", None)
    run(apply=True, yes=True)
    assert Technique.objects.get(paper=older[0]).kind == "system"
    assert Claim.objects.get(metric="memory", value=40).phase == "inference"
    assert Claim.objects.get(value=9).review == "rejected"


def test_the_summary_tells_exactly_what_is_then_done(older: list[Paper]) -> None:
    told = json.loads(run(json=True))
    live = set(Claim.objects.visible().values_list("pk", flat=True))
    done = json.loads(run(json=True, apply=True, yes=True))
    assert {k: v for k, v in done.items() if k != "applied"} == {k: v for k, v in told.items() if k != "applied"}
    assert (told["applied"], done["applied"]) == (None, 3)
    now = set(Claim.objects.visible().values_list("pk", flat=True))
    assert (len(live - now), len(now - live)) == (
        told["claims"]["withdrawn"]["claims"],
        told["claims"]["new"]["claims"],
    )
    assert told["fields"]["kind"]["papers"] == 3
    assert told["fields"]["kind"]["examples"]["application -> survey"] == 1


def test_a_run_that_was_stopped_goes_on_where_it_was(older: list[Paper], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reextraction, "BATCH", 1)

    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reextraction.reextract(reextraction.stale_papers(), stop)
    assert [p.pk for p in reextraction.stale_papers()] == [older[2].pk]
    assert reextraction.reextract(reextraction.stale_papers()) == 1


def test_a_failure_undoes_its_batch_alone(older: list[Paper], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reextraction, "BATCH", 2)
    whole = services.extract_papers
    monkeypatch.setattr(
        services, "extract_papers", lambda papers: whole(papers) if older[2] not in papers else int("no")
    )
    with pytest.raises(ValueError, match="invalid literal"):
        reextraction.reextract(reextraction.stale_papers())
    assert [p.pk for p in reextraction.stale_papers()] == [older[2].pk]


@pytest.mark.parametrize(
    ("version", "stale"),
    [("", True), ("card", True), ("0.9.0", True), ("1.0.10", True), ("99.0.0", False)],
)
def test_which_records_are_older(papers: list[Paper], version: str, stale: bool) -> None:
    assert not reextraction.stale_papers().exists()
    Technique.objects.filter(paper=papers[0]).update(extractor_version=version)
    assert reextraction.stale_papers().exists() is stale


def test_papers_without_a_record_are_new_and_without_an_abstract_are_left(papers: list[Paper]) -> None:
    record_paper(SeenPaper(title="No words of it"))
    record_paper(SeenPaper(title="Unread", abstract=ABSTRACTS["Skipping Layers"]))
    told = json.loads(run(json=True))
    assert (told["papers"], told["new"], told["changed"], told["claims"]["new"]["claims"]) == (1, 1, 0, 1)


def test_named_papers_and_a_limit(older: list[Paper]) -> None:
    Paper.objects.filter(pk=older[1].pk).update(arxiv_id="2101.00001")
    assert json.loads(run("2101.00001", older[2].slug, json=True))["papers"] == 2
    assert json.loads(run(json=True, limit=1))["papers"] == 1
    with pytest.raises(CommandError, match="nowhere: is neither"):
        run("nowhere")
    with pytest.raises(CommandError, match="--limit: 0"):
        run(limit=0)


def test_it_asks_before_it_writes(older: list[Paper], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="add --yes"):
        run(apply=True)
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert "Nothing was written." in run(apply=True)
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert "3 records are of version" in run(apply=True)
