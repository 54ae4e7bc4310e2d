"""Advice as a page, a command and an endpoint."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from papers.encoding.encoders import EncoderError
from recommender import evidence, services
from tests.factories import (
    make_claim,
    make_device,
    make_implementation,
    make_measurement,
    make_paper,
    make_run,
    make_technique,
    make_verdict,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_index(monkeypatch: pytest.MonkeyPatch, settings: Any, encoder: Any) -> None:
    settings.ENCODER = encoder.name
    monkeypatch.setattr(services, "_open", services._Open())
    monkeypatch.setattr(services, "open_encoder", lambda *_: encoder)
    monkeypatch.setattr(evidence, "_held", {})


@pytest.fixture
def library() -> dict[str, Any]:
    """A measured cache, a claimed one, and something else; indexed."""
    fold = make_paper(title="Foldcache: Folded Pages", abstract="The key value cache of long prompts is folded.")
    make_technique(fold, name="Foldcache")
    implementation = make_implementation(fold, "foldcache")
    run = make_run(implementation)
    make_verdict(fold.claims.get(), run)
    make_measurement(run)
    pack = make_paper(title="Packcache", abstract="The key value cache of a language model is packed.")
    make_technique(pack, name="Packcache")
    make_claim(pack, metric="memory", value=4.0)
    make_technique(
        make_paper(title="Slow Waves", abstract="Water moves in a basin."), name="Waves", families=(), kind="other"
    )
    services.build_index()
    return {"fold": fold, "pack": pack, "run": run}


LONG_PROMPTS = "need=fold+the+cache+of+long+prompts&model=Llama-3-8B&prompt=32768"


def test_an_answer_has_an_address_and_shows_situation_and_gain(client: Client, library: dict[str, Any]) -> None:
    page = client.get(f"/recommend/?{LONG_PROMPTS}&gpu=H200")
    text = page.content.decode()
    assert "NVIDIA H200" in text
    assert "KV cache" in text
    assert "There is" in text
    titles = [answer["title"] for answer, _ in page.context["first_answers"]]
    assert titles[0] == "Foldcache: Folded Pages"
    assert reverse("technique", args=[library["fold"].slug]) in text
    gain = re.search(r'<span class="badge source-measured"[^>]*>.*?</svg>\s*(\w+)</span>', text)
    assert gain is not None
    assert gain[1] == "Measured", "told by a word beside colour and shape"


def test_ten_answers_are_shown_and_the_others_when_asked_for(client: Client) -> None:
    for number in range(14):
        make_technique(
            make_paper(title=f"Cache {number}", abstract="The cache of long prompts."), name=f"Cache{number}"
        )
    services.build_index()

    def shown(query: str) -> int:
        return client.get(f"/recommend/?{LONG_PROMPTS}{query}").content.decode().count('<li class="answer">')

    first = client.get(f"/recommend/?{LONG_PROMPTS}").content.decode()
    assert shown("") == 10
    assert re.search(r'answers=all#more-answers">Show 4 more', first)
    assert shown("&answers=all") == 14
    assert (
        "Ignored: <code>answers=foo</code> (known: all)"
        in client.get(f"/recommend/?{LONG_PROMPTS}&answers=foo").content.decode()
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        pytest.param("need=", "Say in a sentence what you need.", id="no-need"),
        pytest.param("need=x&batch=many", "Enter a whole number.", id="batch"),
        pytest.param("need=x&batch=0", "greater than or equal to 1", id="batch-zero"),
        pytest.param("need=x&training=magic", "“magic” is not one of: none, calibration", id="training"),
        pytest.param("need=x&gpu=RTX+9999", "near it are NVIDIA RTX", id="gpu"),
        pytest.param("need=x&model=Lama+3+9B&gpu=", "near it are Llama-3", id="model"),
        pytest.param("need=x&gpu=RTX+4090&memory_gib=500", "more than the 24 GiB", id="contradiction"),
        pytest.param("need=x&token_ms=fast", "Enter a number.", id="time"),
        pytest.param("need=x&max_error=-1", "greater than or equal to 0", id="max-error"),
        pytest.param("need=x&stage=dreaming", "“dreaming” is not one of: training", id="stage"),
    ],
)
def test_a_bad_detail_is_told_beside_its_field(client: Client, query: str, words: str) -> None:
    page = client.get(f"/recommend/?{query}")
    assert words in page.content.decode()
    assert "advice" not in page.context
    shown = "details open" in page.content.decode()
    assert shown or not re.search("batch|max_error|stage|token_ms|memory", query), (
        "a detail that is wrong is not hidden"
    )


def test_what_is_given_wins_over_the_words(client: Client, library: dict[str, Any]) -> None:
    page = client.get("/recommend/?need=cache+for+Llama-3-8B+on+an+A100&gpu=H100")
    assert page.context["wanted"].gpu == "H100"
    assert page.context["wanted"].model == "Llama-3-8B"


def test_the_empty_form_asks_nothing_of_the_index(client: Client) -> None:
    assert "What would help me?" in client.get("/recommend/").content.decode()


def test_advice_that_cannot_be_given_now_says_why(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(need: Any) -> None:
        raise EncoderError("weights are missing")

    monkeypatch.setattr(services, "recommend", fails)
    assert "weights are missing" in client.get("/recommend/?need=cache").content.decode()


def test_the_page_shows_bars_roofline_plans_and_score(client: Client, library: dict[str, Any]) -> None:
    text = client.get(f"/recommend/?{LONG_PROMPTS}&gpu=H200").content.decode()
    assert text.count('class="budget-bar"') == 3, "memory, prompt and new token"
    assert 'role="img" aria-label="Roofline of NVIDIA H200' in text
    assert "Operations a byte" in text, "the picture has a table beneath"
    assert re.search(r"Score \d", text)
    assert "Plans for this budget" in text
    assert "Where this is from" in text
    assert 'style="' not in text, "the content policy forbids inline styles"


def test_contradicting_fields_are_both_marked(client: Client) -> None:
    page = client.get("/recommend/?need=x&gpu=RTX+4090&memory_gib=500")
    assert set(page.context["form"].errors) == {"gpu", "memory_gib"}


def test_the_form_offers_places_to_start_and_the_own_machine(client: Client) -> None:
    make_device(name="NVIDIA L4")
    text = client.get("/recommend/").content.decode()
    addresses = re.findall(r'<a class="tag" href="([^"]+)">', text)
    assert len(addresses) == 6
    assert any("gpu=NVIDIA+L4" in address for address in addresses)


@pytest.mark.parametrize("number", range(5))
def test_each_place_to_start_is_answered(client: Client, library: dict[str, Any], number: int) -> None:
    text = client.get("/recommend/").content.decode()
    address = re.findall(r'<a class="tag" href="([^"]+)">', text)[number].replace("&amp;", "&")
    page = client.get(address)
    assert page.context["form"].errors == {}
    assert page.context["advice"]["situation"]["memory_gib"]["total"] > 0


def test_advice_costs_the_same_for_many_answers(
    client: Client, library: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    client.get(f"/recommend/?{LONG_PROMPTS}&gpu=H200")
    with django_assert_max_num_queries(8):
        client.get(f"/recommend/?{LONG_PROMPTS}&gpu=H200")


# ── what the database teaches ───────────────────────────────────────────────────────────────────────────────────────
def test_judged_claims_and_timed_implementations_are_known(library: dict[str, Any]) -> None:
    known = services.knowledge()
    (held,) = known.held
    assert (held.family, held.claimed, held.measured, held.device) == ("kv-cache", 2.3, 2.21, "NVIDIA H200")
    (gain,) = known.measured["foldcache"]
    assert (gain.metric, gain.median, gain.baseline, gain.device) == ("latency", 2.21, "eager", "NVIDIA H200")


def test_the_strongest_baseline_tells_what_a_technique_is_still_worth(library: dict[str, Any]) -> None:
    make_measurement(library["run"], baseline="library", ratio=1.1, ratio_low=1.05, ratio_high=1.15)
    evidence._held.clear()
    (gain,) = services.knowledge().measured["foldcache"]
    assert (gain.baseline, gain.median) == ("library", 1.1)


def test_beside_an_approximate_technique_a_rival_that_loses_quality_too_is_not_what_is_used_today(
    library: dict[str, Any],
) -> None:
    made = library["run"].implementation
    made.card = {**made.card, "correctness": "approximate"}
    made.save()
    make_measurement(library["run"], baseline="library", ratio=1.1, ratio_low=1.05, ratio_high=1.15)
    evidence._held.clear()
    (gain,) = services.knowledge().measured["foldcache"]
    assert (gain.baseline, gain.median) == ("eager", 2.21)


def test_of_the_bytes_that_were_counted_those_that_the_technique_shrinks_are_told(library: dict[str, Any]) -> None:
    for measure, ratio in (("kv_cache", 5.0), ("weights", 1.0), ("peak_memory", 0.01), ("parameters", 0.95)):
        make_measurement(library["run"], measure=measure, ratio=ratio, ratio_low=ratio, ratio_high=ratio)
    evidence._held.clear()
    told = {gain.metric: gain.median for gain in services.knowledge().measured["foldcache"]}
    assert told == {"latency": 2.21, "memory": 5.0}


def test_a_cache_that_was_measured_in_a_whole_model_shrinks_no_weights(library: dict[str, Any]) -> None:
    measured = {"scope": "model", "ratio": 5.0, "ratio_low": 5.0, "ratio_high": 5.0}
    make_measurement(library["run"], measure="kv_cache", **measured)
    evidence._held.clear()
    need = services.Need("fold the cache", gpu="H200", model="Llama-3-8B", prompt=32768)
    plans = services.recommend(need).to_json()["plan"]
    fold = next(plan for plan in plans if plan["names"] == ["Foldcache"])
    assert fold["memory_gib"] > 15, "the weights alone take as much"


def test_a_gain_that_is_too_good_waits_for_a_person(library: dict[str, Any]) -> None:
    library["run"].measurements.update(ratio=40.0, ratio_low=39.0, ratio_high=41.0)
    evidence._held.clear()
    assert "foldcache" not in services.knowledge().measured


def test_a_verdict_of_an_earlier_code_is_no_evidence_of_what_the_present_one_gains(library: dict[str, Any]) -> None:
    def found() -> list[float]:
        return [gain.median for one in services.documents() for gain in one.evidence]

    assert found() == [2.21]
    library["run"].code_hash = "e" * 64
    library["run"].save()
    assert found() == []


def test_what_was_measured_with_another_version_of_the_code_is_not_told(library: dict[str, Any]) -> None:
    library["run"].code_hash = "e" * 64
    library["run"].save()
    evidence._held.clear()
    assert "foldcache" not in services.knowledge().measured


def test_a_new_verdict_is_known_at_once_and_a_withdrawn_one_no_more(library: dict[str, Any]) -> None:
    assert len(services.knowledge().held) == 1
    verdict = library["fold"].claims.get().verdicts.get()
    verdict.withdrawn_at = "2026-01-01T00:00Z"
    verdict.save()
    assert services.knowledge().held == ()


def test_ceilings_of_a_device_are_reckoned_with(library: dict[str, Any]) -> None:
    rows = [{"name": "matrix product, bfloat16", "value": 400.0, "unit": "TFLOP/s", "detail": "square"}]
    make_device(name="NVIDIA H100 80GB HBM3", details={"ceilings": rows})
    told = services.recommend(services.Need("x", gpu="H100", model="Llama-3-8B")).to_json()["situation"]["efficiency"]
    assert told["compute"] == pytest.approx(0.8 * 400 / 989.4, rel=1e-3)
    assert "self-test" in told["origin"]


# ── the command and the endpoint ────────────────────────────────────────────────────────────────────────────────────
def run(*words: str) -> str:
    out = StringIO()
    call_command("recommend", *words, stdout=out)
    return out.getvalue()


def test_the_command_prints_situation_answers_and_plans(library: dict[str, Any]) -> None:
    text = run("--need", "fold the cache of long prompts", "--gpu", "H200", "--model", "Llama-3-8B")
    assert "Llama-3-8B on NVIDIA H200 (modelled)" in text
    assert "Foldcache" in text
    assert "measured" in text
    assert "Together" in text


def test_page_command_and_endpoint_give_the_same_answer(client: Client, library: dict[str, Any]) -> None:
    need = {"need": "fold the cache of long prompts", "gpu": "H200", "model": "Llama-3-8B", "prompt": 32768}
    command = json.loads(
        run("--need", need["need"], "--gpu", "H200", "--model", "Llama-3-8B", "--prompt", "32768", "--json")
    )
    answer = APIClient().post("/api/v1/recommendations", need, format="json")
    assert answer.status_code == 200
    assert answer.json() == command
    assert client.get("/recommend/", need).context["advice"] == command


def test_here_is_the_device_of_the_worker(library: dict[str, Any]) -> None:
    make_device(name="NVIDIA GeForce RTX 4090")
    text = run("--need", "faster cache", "--gpu", "here", "--model", "Llama-3-8B", "--json")
    assert json.loads(text)["situation"]["gpu"] in ("NVIDIA RTX 4090", "NVIDIA H200")


def test_here_needs_a_worker(library: dict[str, Any]) -> None:
    for device in type(library["run"].device).objects.all():
        device.last_seen_at = None
        device.save()
    with pytest.raises(CommandError, match="--gpu here: no worker is running"):
        run("--need", "x", "--gpu", "here")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["--need", "x", "--gpu", "RTX 9999"], "gpu: 'RTX 9999' is not in the catalogue; near it are", id="gpu"
        ),
        pytest.param(["--need", "x", "--batch", "99999999"], "batch: must be at most 1,000,000", id="batch"),
        pytest.param(["--need", ""], "need: must say in words", id="empty"),
        pytest.param(["--need", "x", "--gpu", "iPhone 13", "--gpus", "3"], "gpus, gpu: ", id="contradiction"),
        pytest.param([], 'give one of: "what is wanted", --need TEXT, or --needs', id="nothing"),
        pytest.param(
            ["quicker", "--need", "quicker"], 'give one of: "what is wanted", --need TEXT, or --needs', id="twice"
        ),
        pytest.param(["--needs", "/nowhere.jsonl", "--out", "x"], "--needs /nowhere.jsonl: cannot be read", id="file"),
    ],
)
def test_a_bad_request_names_what_is_wrong(library: dict[str, Any], words: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=re.escape(message)):
        run(*words)


def test_a_file_of_needs_is_answered_line_by_line(library: dict[str, Any], tmp_path: Path) -> None:
    needs, out = tmp_path / "needs.jsonl", tmp_path / "ranked.jsonl"
    rows = [
        {"id": "a", "need": "fold the cache", "stage": "inference", "hardware": "A100", "training_allowed": "none"},
        {"id": "b", "need": "train cheaply", "stage": "training", "hardware": "any", "training_allowed": "none"},
    ]
    needs.write_text("\n".join(map(json.dumps, rows)))
    run("--needs", str(needs), "--out", str(out))
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [answer["id"] for answer in answers] == ["a", "b"]
    assert answers[0]["titles"][0] == "Foldcache: Folded Pages"


def test_contradicting_fields_are_named_by_the_endpoint() -> None:
    body = {"need": "x", "gpu": "RTX 4090", "memory_gib": 500}
    answer = APIClient().post("/api/v1/recommendations", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "memory_gib, gpu"
