"""Which pages there are, taken from the addresses themselves, and a library that fills each of them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from ingest import submissions
from ingest.models import Submission
from papers.models import Outcome, RunState
from papers.services import SeenPaper, record_paper, store_record
from recommender import services as recommender
from tests.factories import (
    make_claim,
    make_device,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_source,
    make_user,
    make_verdict,
)
from tests.papers.sample import a_claim, a_record, the_paper

READER, OPERATOR = "reader", "operator"
APART = ("api/", "admin/", "media/", "static/")


@dataclass(frozen=True)
class Library:
    paper: Any
    implementation: Any
    run: Any
    waiting: Any
    submissions: list[Any]


@dataclass(frozen=True)
class Page:
    """One address of a named page, and who looks at it."""

    name: str
    address: str
    viewer: str = READER


Maker = Callable[[Library], list[str]]
PAGES: dict[str, Maker] = {
    "home": lambda _: [reverse("home")],
    "papers": lambda _: [reverse("papers"), reverse("papers") + "?family=quantisation"],
    "paper": lambda it: [it.paper.get_absolute_url()],
    "techniques": lambda _: [reverse("techniques")],
    "technique": lambda it: [it.implementation.get_absolute_url()],
    "families": lambda _: [reverse("families")],
    "family": lambda _: [reverse("family", args=["kv-cache"])],
    "coverage": lambda _: [reverse("coverage")],
    "components": lambda _: [reverse("components")],
    "about": lambda _: [reverse("about")],
    "status": lambda _: [reverse("status")],
    "hardware": lambda _: [reverse("hardware")],
    "device": lambda _: [reverse("device", args=["nvidia-h200"])],
    "compare": lambda _: [reverse("compare")],
    "runs": lambda _: [reverse("runs")],
    "run": lambda it: [it.run.get_absolute_url(), it.waiting.get_absolute_url()],
    "run-compare": lambda it: [f"{reverse('run-compare')}?a={it.run.pk}&b={it.run.pk}"],
    "search": lambda _: [reverse("search") + "?q=folded+memory+pages"],
    "recommend": lambda _: [
        reverse("recommend"),
        reverse("recommend") + "?need=fold+the+cache+of+Llama-3-8B+on+an+A100+with+32k+prompts",
    ],
    "similar": lambda it: [reverse("similar", args=[it.paper.slug])],
    "measured": lambda it: [reverse("measured", args=[it.implementation.name])],
    "sign-in": lambda _: [reverse("sign-in")],
    "exports": lambda _: [reverse("exports")],
}
OPERATOR_PAGES: dict[str, Maker] = {
    "review": lambda _: [reverse("review")],
    "audit": lambda _: [reverse("audit")],
    "ingest": lambda _: [reverse("ingest")],
    "submission": lambda it: [reverse("submission", args=[one.pk]) for one in it.submissions],
    "account": lambda _: [reverse("account")],
    "password": lambda _: [reverse("password")],
}
EXCEPTIONS = {
    "health": "plain answer for a monitor",
    "ready": "plain answer for a monitor",
    "metrics": "text for Prometheus",
    "sign-out": "takes POST alone",
    "ask": "leads on to search, advice or the list of papers",
    "citation": "a file",
    "export-file": "a file",
    "run-records": "a file",
    "run-bundle": "a file",
    "papers-feed": "a feed",
    "verdicts-feed": "a feed",
    "runs-feed": "a feed",
    "badge": "a picture",
    "robots": "text for crawlers",
    "llms": "text for language models",
    "sitemap": "XML",
    "sitemap-part": "XML",
    "run-panel": "a part of the page of a run",
    "runs-waiting": "a part of the page of runs",
    "submission-panel": "a part of the page of a submission",
    "submission-confirm": "takes POST alone",
    "submission-discard": "takes POST alone",
    "review-answer": "takes POST alone",
    "cancel-run": "takes POST alone",
    "request-run": "takes POST alone",
    "add-token": "takes POST alone",
    "revoke-token": "takes POST alone",
    "end-other-sessions": "takes POST alone",
    "end-session": "takes POST alone",
}


def named_addresses(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    """The names in the URL conf, without what is apart from the pages: the API, the admin, files."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(entry.pattern).lstrip("^")
        if route.startswith(APART):
            continue
        if isinstance(entry, URLResolver):
            yield from named_addresses(entry.url_patterns, route)
        elif isinstance(entry, URLPattern) and entry.name:
            yield entry.name


def fill() -> Library:
    """A technique with a verdict, a run that waits, one that failed, claims in review, and an index of it all."""
    paper = make_paper(title="Foldcache: Folded Pages for Long Prompts")
    implementation = make_implementation(paper, "foldcache")
    make_claim(paper, quote="40% less memory", metric="memory", form="percent", value=40, unit="%")
    make_source(paper)
    run = make_run(implementation)
    make_measurement(run)
    make_verdict(paper.claims.filter(card_key__isnull=False).get(), run, Outcome.CONFIRMED)
    other = make_implementation(
        make_paper(title="Thinlayer: Fewer Weights", abstract="Layers lose weights."), "thinlayer"
    )
    make_device("cpu")
    make_run(implementation, RunState.FAILED, failure_reason="crashed", failure_detail="x" * 300)
    waiting = make_run(other, RunState.RUNNING)
    reviewed = the_paper()
    store_record(
        reviewed, a_record(claims=[a_claim("2.5x less memory", metric="memory", value=2.5, confidence=0.3)]), "1"
    )
    record_paper(SeenPaper(title="TwoCache: half the cache", year=2024))
    editor = make_user("mira", is_staff=True, is_superuser=True)
    recommender.build_index()
    return Library(paper, implementation, run, waiting, list(handed_in(editor)))


def handed_in(editor: Any) -> Iterator[Any]:
    """Something in every state in which it stays: shown, kept, thrown away, failed, and waiting for a worker."""
    page = json.dumps({"title": "Foldnet: a net of its own", "abstract": "Foldnet runs 3x faster on a GPU."})
    yield submissions.submit_text(editor, f"{page}\nthis line is no paper")
    kept = submissions.submit_text(editor, page.replace("Foldnet", "Keptnet"))
    submissions.confirm(kept, editor)
    yield kept
    thrown = submissions.submit_text(editor, page.replace("Foldnet", "Lostnet"))
    submissions.discard(thrown, editor)
    yield thrown
    fields = {"owner": editor, "expires_at": timezone.now(), "kind": "target", "digest": "0" * 64}
    yield Submission.objects.create(name="hf:2025-03-13", state="reading", **fields)
    yield Submission.objects.create(name="2312.00752", state="failed", failure="huggingface.co: " + "x" * 300, **fields)


def pages(library: Library) -> list[Page]:
    tables = ((PAGES, READER), (OPERATOR_PAGES, OPERATOR))
    documentation = reverse("api-docs")  # the one page among the addresses of the API
    return [
        *(
            Page(name, address, viewer)
            for table, viewer in tables
            for name, make in table.items()
            for address in make(library)
        ),
        Page("api-docs", documentation),
        Page("api-docs", f"{documentation}?section=papers"),
    ]
