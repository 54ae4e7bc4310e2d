"""The front page, one paper, one technique, and the pages for what went wrong."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from papers.models import CodeLink, DeviceKind, Outcome
from papers.services import merge_papers
from tests.factories import (
    make_card,
    make_claim,
    make_device,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_source,
    make_technique,
    make_user,
    make_verdict,
)

pytestmark = pytest.mark.django_db


def read(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


# ── front page ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_fresh_installation_says_which_command_reads_pages(client: Client) -> None:
    assert "manage.py ingest hf:today" in read(client, "/")


def test_the_front_page_counts_and_shows_the_last_verdict(client: Client) -> None:
    implementation = make_implementation(name="foldcache")
    make_verdict(implementation.paper.claims.get(), make_run(implementation), Outcome.BELOW_CLAIM, ratio=1.7)
    make_claim(implementation.paper, quote="40% less memory", metric="memory")
    page = client.get("/")
    assert {k: page.context[k] for k in ("paper_count", "runnable_count", "claim_count", "verdict_count")} == {
        "paper_count": 1,
        "runnable_count": 1,
        "claim_count": 2,
        "verdict_count": 1,
    }
    assert page.context["outcomes"] == [("below-claim", 1)]
    assert page.context["untested_count"] == 1
    text = page.content.decode()
    assert "Below the claim" in text
    assert "1.70×" in text


def test_a_later_cpu_run_does_not_hide_a_gpu_verdict(client: Client) -> None:
    implementation = make_implementation()
    claim = implementation.paper.claims.get()
    make_verdict(claim, make_run(implementation), Outcome.CONFIRMED)
    make_verdict(
        claim, make_run(implementation, device_kind=DeviceKind.CPU), Outcome.NOT_COMPARABLE, ratio=1.1, low=1, high=2
    )
    assert client.get("/").context["outcomes"] == [("confirmed", 1)]
    assert (
        client.get(implementation.get_absolute_url()).context["parts"][0]["judged"][0]["claim"].standing.outcome
        == "confirmed"
    )


# ── a paper ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_each_claim_is_marked_in_the_abstract_and_linked_to_its_row(client: Client) -> None:
    paper = make_paper(arxiv_id="2401.00001")
    make_technique(paper, hardware=("A100",), code_urls=["https://example.org/foldcache"])
    first = make_claim(paper, quote="up to 2.3x faster than paged attention", value=2.3, baseline="paged attention")
    second = make_claim(paper, quote="40% less memory", metric="memory", form="percent", value=40, unit="%")
    make_source(paper, locator="daily.txt", line=41)
    page = read(client, paper.get_absolute_url())
    for claim in (first, second):
        assert f'<a href="#claim-{claim.pk}">{claim.quote}</a>' in page
        assert f'<tr id="claim-{claim.pk}"' in page
    assert "daily.txt" in page
    assert "line 41" in page
    assert "https://arxiv.org/abs/2401.00001" in page
    assert "https://example.org/foldcache" in page
    assert "/papers/?hardware=A100" in page
    assert reverse("similar", args=[paper.slug]) in page


def test_words_of_several_claims_name_all_of_them_and_offsets_are_exact(client: Client) -> None:
    paper = make_paper(abstract="It is 2x faster & uses 40% less memory.")
    whole = make_claim(paper, quote="2x faster & uses 40% less memory")
    inner = make_claim(paper, quote="40% less memory", metric="memory", form="percent", value=40, unit="%")
    page = client.get(paper.get_absolute_url()).content.decode()
    marks = re.findall(r'<mark class="claim-mark[^"]*" data-claims="([^"]*)"><a href="#claim-(\d+)">([^<]*)</a>', page)
    assert marks == [
        (f"{whole.pk}", f"{whole.pk}", "2x faster &amp; uses "),
        (f"{whole.pk} {inner.pk}", f"{inner.pk}", "40% less memory"),
    ]
    for claim in (whole, inner):
        assert f'<tr id="claim-{claim.pk}" class="claim-row" role="row" data-claims="{claim.pk}">' in page
        assert f'id="span-{claim.pk}"' in page


def test_a_missing_abstract_says_what_to_do_and_to_whom(client: Client) -> None:
    address = make_paper(abstract="", title="Only a title").get_absolute_url()
    page = read(client, address)
    assert "no words to find claims in" in page
    assert "hand in a page that has it" not in page
    client.force_login(make_user(is_staff=True))
    assert "hand in a page that has it" in read(client, address)


def test_markup_in_a_record_is_shown_and_not_run(client: Client) -> None:
    evil = "<img src=x onerror=alert(1)>"
    paper = make_paper(title=f"Safe {evil}", abstract=f"{evil} is 2x faster.")
    make_technique(paper, name=evil, hardware=(evil,), code_urls=["javascript:alert(1)"])
    make_claim(paper, quote=f"{evil} is 2x faster", baseline=evil)
    for address in (paper.get_absolute_url(), reverse("technique", args=[paper.slug]), "/papers/", "/techniques/", "/"):
        page = read(client, address)
        assert "<img" not in page
        assert 'href="javascript:' not in page


def test_our_summary_stands_in_for_an_abstract_and_says_so(client: Client) -> None:
    page = read(client, make_paper(abstract="", summary="Folds the cache.").get_absolute_url())
    assert "Our own words" in page
    assert "Folds the cache." in page


def test_without_an_id_the_title_is_looked_for(client: Client) -> None:
    assert "Look for the title on arXiv" in read(client, make_paper().get_absolute_url())


def test_a_withdrawn_paper_keeps_its_address_and_leaves_the_lists(client: Client) -> None:
    paper = make_paper(title="Taken back", withdrawn_at="2026-03-01T00:00Z")
    assert "withdrawn from the lists on 1 March 2026" in read(client, paper.get_absolute_url())
    assert "Taken back" not in read(client, "/papers/")


def test_rejected_and_withdrawn_claims_are_not_shown(client: Client) -> None:
    paper = make_paper()
    make_claim(paper, quote="40% less memory", review="rejected")
    make_claim(paper, quote="2.3x faster", withdrawn_at="2026-03-01T00:00Z")
    page = read(client, paper.get_absolute_url())
    assert "<mark" not in page
    assert "No quantified claim" in page


def test_details_cost_the_same_queries_for_many_claims(
    client: Client, admin_user: Any, django_assert_max_num_queries: Any
) -> None:
    client.force_login(admin_user)
    implementation = make_implementation()
    paper = implementation.paper
    make_run(implementation)
    costs = []
    for _ in range(2):
        for address in (paper.get_absolute_url(), implementation.get_absolute_url()):
            with django_assert_max_num_queries(12) as asked:
                client.get(address)
            costs.append(len(asked))
        for value in range(10):
            make_verdict(make_claim(paper, value=value + 3), make_run(implementation))
    assert costs[:2] == costs[2:]


# ── a technique ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_claimed_against_measured(client: Client) -> None:
    implementation = make_implementation(name="foldcache")
    claim = implementation.paper.claims.get()
    run = make_run(implementation)
    make_verdict(claim, run, Outcome.CONFIRMED, hardware_note="Confirmed on H200; the paper names A100.")
    page = read(client, implementation.get_absolute_url())
    for words in (
        "Confirmed",
        "2.21×",
        "2.18–2.24×",
        "claimed 2.30×",
        "the paper names A100",
        "Fused library attention",
        "decode-8k",
    ):
        assert words in page
    assert "interval-hollow" not in page
    assert "CPU, not a verdict" not in page
    assert run.get_absolute_url() in page


def test_a_cpu_ratio_is_called_no_verdict(client: Client) -> None:
    implementation = make_implementation()
    run = make_run(implementation, device_kind=DeviceKind.CPU)
    make_verdict(implementation.paper.claims.get(), run, Outcome.NOT_COMPARABLE, ratio=1.3, low=1.2, high=1.4)
    page = read(client, implementation.get_absolute_url())
    assert "CPU, not a verdict" in page
    assert "interval-hollow" in page
    assert "1.30×" in page


def test_a_withdrawn_verdict_stays_in_sight_but_does_not_stand(client: Client) -> None:
    implementation = make_implementation()
    claim = implementation.paper.claims.get()
    make_verdict(claim, make_run(implementation), Outcome.SLOWER, ratio=0.8, low=0.7, high=0.9)
    make_verdict(claim, make_run(implementation), Outcome.CONFIRMED, withdrawn_at="2026-03-01T00:00Z")
    page = read(client, implementation.get_absolute_url())
    assert "withdrawn" in page
    assert (
        client.get(implementation.get_absolute_url()).context["parts"][0]["judged"][0]["claim"].standing.outcome
        == "slower"
    )


def test_figures_of_several_devices_share_the_scale_of_their_claim(client: Client) -> None:
    implementation = make_implementation()
    claim = implementation.paper.claims.get()
    make_verdict(claim, make_run(implementation, device=make_device(name="NVIDIA A100")), ratio=4.0, low=3.9, high=4.1)
    make_verdict(claim, make_run(implementation), ratio=2.0, low=1.9, high=2.1)
    page = client.get(implementation.get_absolute_url())
    [row] = page.context["parts"][0]["judged"]
    assert [verdict.ratio for verdict in row["beside"]] == [4.0]
    assert row["scale"][1] > 4.1
    text = page.content.decode()
    assert "NVIDIA A100" in text
    places = re.findall(r'class="interval-claim-line" x1="([\d.]+)"', text)
    assert len(places) == 2
    assert len(set(places)) == 1, "the claim stands at one place on both bars"


def test_the_essence_of_what_was_measured_needs_no_script(client: Client) -> None:
    implementation = make_implementation(name="foldcache")
    run = make_run(implementation)
    make_measurement(run, ratio=2.21)
    make_measurement(run, baseline="library", ratio=0.7, ratio_low=0.69, ratio_high=0.71)
    make_measurement(run, measure="peak_memory", unit="bytes", median=3 * 2**30, ratio=1.5)
    page = read(client, implementation.get_absolute_url())
    assert (
        "Where it does not pay:</strong> on this workload, faster than the technique: <code>library</code> (0.70×)"
        in page
    )
    assert "Peak memory: 3.00 GiB, 1.50× against <code>eager</code>" in page
    assert "python -m runners.bench check foldcache" in page
    assert reverse("measured", args=["foldcache"]) in page
    assert "hx-get" not in page


def test_every_verdict_is_in_the_history_with_its_day(client: Client) -> None:
    implementation = make_implementation()
    claim = implementation.paper.claims.get()
    for outcome in (Outcome.SLOWER, Outcome.CONFIRMED, Outcome.REJECTED):
        make_verdict(claim, make_run(implementation), outcome)
    part = client.get(implementation.get_absolute_url()).context["parts"][0]
    assert [verdict.outcome for verdict, _ in part["history"]] == ["rejected", "confirmed", "slower"]
    assert f'href="{reverse("about")}#outcome-confirmed"' in read(client, implementation.get_absolute_url())


def test_visitors_are_asked_to_sign_in_to_verify(client: Client) -> None:
    implementation = make_implementation()
    page = read(client, implementation.get_absolute_url())
    assert f'href="/sign-in/?next={implementation.get_absolute_url()}"' in page
    assert "<button" not in page.split("Sign in to verify")[1].split("Claimed against")[0]


@pytest.mark.parametrize(
    ("alive", "words"),
    [
        pytest.param([DeviceKind.CUDA, DeviceKind.CPU], 'value="cuda" checked', id="gpu-worker"),
        pytest.param([DeviceKind.CPU], "Only a CPU worker is alive", id="cpu-worker"),
        pytest.param([], "No worker is alive right now", id="no-worker"),
    ],
)
def test_the_device_is_offered_that_a_worker_has(client: Client, alive: list[str], words: str) -> None:
    for kind in alive:
        make_device(kind)
    make_device(DeviceKind.CUDA, alive=False)
    client.force_login(make_user())
    assert words in read(client, make_implementation().get_absolute_url())


def test_a_technique_without_implementation_shows_its_claims(client: Client) -> None:
    paper = make_paper()
    make_technique(paper)
    make_claim(paper, quote="40% less memory", metric="memory", form="percent", value=40, unit="%")
    page = read(client, reverse("technique", args=[paper.slug]))
    assert "Not implemented here yet" in page
    assert "40 %" in page


def test_what_can_be_run_comes_first_and_surveys_are_left_to_papers(client: Client) -> None:
    make_implementation(make_paper(title="Runs"), name="runs")
    make_technique(make_paper(title="Later"), name="Later")
    make_technique(make_paper(title="Overview"), name="Overview", kind="survey")
    page = client.get("/techniques/")
    assert [row.paper.title for row in page.context["page"]] == ["Runs", "Later"]


def test_a_card_of_an_approximate_technique_shows_its_error_budget(client: Client) -> None:
    card = make_card("lossy", correctness="approximate", check={"quality": "relative_l2", "budget": 0.02})
    page = read(client, make_implementation(name="lossy", card=card).get_absolute_url())
    assert "relative L2 error at most 0.02" in page


# ── what went wrong ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("address", ["/papers/none/", "/techniques/none/", "/nowhere"])
def test_what_is_not_there_says_so(client: Client, address: str) -> None:
    assert "No such page" in read(client, address, 404)


def test_a_paper_without_technique_has_no_technique_page(client: Client) -> None:
    read(client, reverse("technique", args=[make_paper().slug]), 404)


def test_a_fault_shows_a_page_that_needs_no_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("papers.views.outcome_counts", lambda: 1 / 0)
    client.raise_request_exception = False
    assert "Something broke here" in read(client, "/", 500)


def test_a_stale_form_is_refused_with_words() -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/sign-in/", {"username": "a", "password": "b"})
    assert answer.status_code == 403
    assert "form was too old" in answer.content.decode()


def test_health_follows_the_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    from django.db import OperationalError

    class Away:
        def cursor(self) -> None:
            raise OperationalError("gone")

    monkeypatch.setattr("config.health.connection", Away())
    assert client.get("/healthz").status_code == 503


def test_signing_in_leads_back_and_a_wrong_password_is_told(client: Client) -> None:
    user = make_user("mira")
    wrong = client.post("/sign-in/", {"username": "mira", "password": "wrong", "next": "/runs/"})
    assert "Please enter a correct username and password" in wrong.content.decode()
    right = client.post("/sign-in/", {"username": user.username, "password": "correct-horse-battery", "next": "/runs/"})
    assert right.headers["Location"] == "/runs/"


@pytest.mark.parametrize("address", ["/", "/papers/", "/techniques/", "/runs/", "/recommend/", "/about/", "/sign-in/"])
def test_no_page_needs_inline_script_or_style(client: Client, address: str) -> None:
    make_implementation()
    answer = client.get(address)
    page = answer.content.decode()
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page)
    assert not re.search(r'(?:src|href)="https?://(?!arxiv\.org)', page)


# ── code, other titles, merged papers ───────────────────────────────────────────────────────────────────────────────
def test_code_is_grouped_into_the_authors_own_and_what_others_offer(client: Client) -> None:
    paper = make_paper()
    make_technique(paper, code_urls=["https://github.com/Ash/Fold.git", "https://ash.example/fold"])
    CodeLink.objects.create(paper=paper, url="https://github.com/ash/fold", said_by=["abstract"])
    CodeLink.objects.create(
        paper=paper, url="https://github.com/bo/refold", said_by=["papers-with-code"], framework="jax"
    )
    groups = client.get(paper.get_absolute_url()).context["code"]
    assert [link.url for link in groups["official"]] == ["https://github.com/ash/fold", "https://ash.example/fold"]
    assert [link.framework for link in groups["other"]] == ["jax"]
    text = read(client, paper.get_absolute_url())
    assert "the authors’ own" in text
    assert "jax, named by papers-with-code" in text


def test_a_merged_paper_leads_to_the_one_that_it_turned_out_to_be(client: Client) -> None:
    keep, drop = make_paper(), make_paper(title="An earlier name of it")
    make_technique(keep)
    merge_papers(keep, drop, None)
    for address, target in (
        (drop.get_absolute_url(), keep.get_absolute_url()),
        (reverse("technique", args=[drop.slug]), reverse("technique", args=[keep.slug])),
    ):
        answer = client.get(address)
        assert (answer.status_code, answer["Location"]) == (301, target)
    assert "An earlier name of it" in read(client, keep.get_absolute_url())
    assert client.get(f"/api/v1/papers/{drop.slug}").json()["merged_into"] == keep.slug
