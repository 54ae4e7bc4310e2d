"""Needs that are wrong, hostile or ambiguous: form, API and command give the same sensible answer."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from recommender import services
from recommender.advice import advise
from recommender.forms import NeedForm
from recommender.index import Index, open_index, write_index
from recommender.knowledge import Knowledge
from recommender.management.commands import recommend as command
from recommender.need import NeedError
from recommender.need_reader import ask
from tests.recommender.conftest import PAPERS, HashingEncoder

LLAMA = "Llama-3-8B on an RTX 4090"

# Words, fields, and what is told: the fields at fault and words of the message, or words of a note, or nothing amiss.
REFUSED = [
    pytest.param("", {}, "need", "", id="empty"),
    pytest.param(" \n\t ", {}, "need", "", id="blank"),
    pytest.param("faster " * 15_000, {}, "need", "20,?000", id="100-kB-of-text"),
    pytest.param("faster", {"gpu": "RTX 9090"}, "gpu", "near it are NVIDIA RTX 3090", id="unknown-gpu"),
    pytest.param("faster", {"gpu": "💥"}, "gpu", "known are .* more", id="a-gpu-like-none"),
    pytest.param("faster", {"model": "Lamma 3 8B"}, "model", "near it are Llama-3-8B", id="unknown-model"),
    pytest.param("faster", {"model": "'; DROP TABLE papers"}, "model", "not in the catalogue", id="a-model-of-sql"),
    pytest.param("faster", {"model": "9000B"}, "model", "its size", id="a-size-that-no-model-has"),
    pytest.param("faster", {"model": "layers=0 hidden=0 heads=0"}, "model", "needs layers", id="an-empty-shape"),
    pytest.param("faster", {"model": "layers=999999 hidden=64 heads=4"}, "model", "layers must be a whole number", id="an-endless-shape"),
    pytest.param("faster", {"gpu": "x" * 999}, "gpu", "200", id="a-long-name"),
    pytest.param("faster", {"batch": -3}, "batch", "1", id="negative-batch"),
    pytest.param("faster", {"gpus": 10**9}, "gpus", "65,?536", id="a-billion-gpus"),
    pytest.param("faster", {"prompt": 10**12}, "prompt", "100,?000,?000", id="an-endless-prompt"),
    pytest.param("faster", {"memory_gib": math.inf}, "memory_gib", "", id="infinite-memory"),
    pytest.param("faster", {"memory_gib": math.nan}, "memory_gib", "", id="memory-that-is-no-number"),
    pytest.param("faster", {"token_ms": 1e308}, "token_ms", "10,?000,?000", id="the-largest-float"),
    pytest.param("faster", {"token_ms": -5.0}, "token_ms", "0", id="negative-time"),
    pytest.param("faster", {"max_error": -0.1}, "max_error", "0", id="negative-error"),
    pytest.param("faster", {"stage": "inference", "step_ms": 5.0}, "stage, step_ms", "leave one", id="a-training-step-of-inference"),
    pytest.param("faster", {"gpu": "RTX 4090", "memory_gib": 80.0}, "memory_gib, gpu", "more than the 24 GiB", id="more-memory-than-there-is"),
    pytest.param("faster", {"gpu": "iPhone 13", "gpus": 8}, "gpus, gpu", "cannot share", id="phones-share-nothing"),
    pytest.param("faster", {"model": "ViT-L", "token_ms": 5.0}, "token_ms, model", "makes no tokens", id="an-encoder-makes-no-tokens"),
    pytest.param("faster", {"max_error": 0.0, "dtype": "int4"}, "max_error, dtype", "not without error", id="four-bits-without-error"),
    pytest.param("Llama-3-8B on a 24 MB GPU", {}, "memory_gib", "is 24 GB meant", id="megabytes-for-gigabytes"),
    pytest.param("Llama-3-8B, a GPU with 24000 KB", {}, "memory_gib", "less than any GPU", id="kilobytes"),
    pytest.param("0 GPUs for Llama-3-8B", {}, "gpus", "words say 0", id="no-gpu-at-all"),
    pytest.param("-4x A100, Llama-3-8B", {}, "gpus", "words say -4", id="fewer-gpus-than-none"),
    pytest.param("1000000x H100, Llama-3-8B", {}, "gpus", "65,536", id="a-million-gpus-in-words"),
    pytest.param(f"{LLAMA}, batch -5", {}, "batch", "words say -5", id="negative-batch-in-words"),
    pytest.param(f"{LLAMA}, batch 1e9", {}, "batch", "1,000,000", id="batch-as-a-float"),
    pytest.param(f"{LLAMA}, 10 billion token prompts", {}, "prompt", "100,000,000", id="endless-prompts-in-words"),
    pytest.param(f"{LLAMA}, first token within 0 ms", {}, "first_token_ms", "above 0", id="no-time-at-all"),
    pytest.param(f"{LLAMA}, under -5 ms per token", {}, "token_ms", "above 0", id="negative-time-in-words"),
    pytest.param(f"{LLAMA}, at most 200 % error", {}, "max_error", "200 %", id="more-error-than-all"),
]  # fmt: skip
ANSWERED = [
    # Someone who trains and wants no other training than that: an optimizer's states in 8 bits.
    pytest.param("optimizer states in 8 bits", {"stage": "training", "training": "none"}, None, id="training-as-it-is"),
    pytest.param("faster Llama-3-8B on an RTX 4090", {"training": "any"}, None, id="any-training"),
    pytest.param("🚀🔥 make Llama-3-8B faster on my 4090 🙏", {}, None, id="emoji"),
    pytest.param("<script>alert(1)</script> Llama-3-8B on an RTX 4090", {}, None, id="html"),
    pytest.param("'; DROP TABLE papers; -- faster attention", {}, None, id="sql"),
    pytest.param("\x01\x02faster\x07 attention\x1b[31m", {}, None, id="control-characters"),
    pytest.param("\u202eLlama-3-8B on an RTX 4090\u202c", {}, None, id="written-backwards"),
    pytest.param("Llama-3-8B on an RTX 4090, batch size of 4M tokens", {}, None, id="a-batch-counted-in-tokens"),
    pytest.param("2-4x faster Llama-3-8B on an RTX 4090, 10x smaller", {}, None, id="factors-are-no-counts"),
    pytest.param("a detector on an MCU with 512 KB memory", {}, None, id="microcontrollers-have-kilobytes"),
    pytest.param("Llama-3-8B auf einer RTX 4090 schneller machen", {}, "not seem to be English", id="german"),
    pytest.param("RTX 4090 で Llama-3-8B を 速く したい です", {}, "not seem to be English", id="japanese"),
    pytest.param("Llama-3-8B on an RTX 9090", {}, "“RTX 9090” is not in the catalogue of devices.*RTX 4090", id="unknown-gpu-in-words"),
    pytest.param("Llama-7-9B on an RTX 4090", {}, "“Llama-7-9B” is not in the catalogue of models.*Llama-2-7B", id="unknown-model-in-words"),
    pytest.param("Llama on an RTX 4090", {}, "“Llama” names no one model", id="a-model-without-its-size"),
    pytest.param("7B model on an RTX 4090", {}, "“7b model” is reckoned as Mistral-7B", id="a-size-without-a-model"),
    pytest.param("Llama-3-8B on an A100", {}, "“A100” is taken as NVIDIA A100 80GB; there is also .*40GB", id="a-gpu-of-two-sizes"),
    pytest.param("A10 vs L4 for Llama-3-8B", {}, "named as well", id="two-gpus"),
    pytest.param("RTX 4090 with 500 GB of memory, Llama-3-8B", {}, "speak of 500 GB of memory.*24 GiB", id="more-memory-than-there-is-in-words"),
    pytest.param("pretrain Llama-3-8B on an RTX 4090, no training", {}, "also allow none", id="contradiction-in-words"),
]  # fmt: skip


@pytest.fixture(scope="module")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("index")
    write_index(folder, PAPERS, HashingEncoder())
    return open_index(folder, "hashing")


@pytest.fixture
def _answers(monkeypatch: pytest.MonkeyPatch, small_index: Index) -> None:
    monkeypatch.setattr(services, "ensure_index", lambda: small_index)
    monkeypatch.setattr(services, "reader_of", lambda text: HashingEncoder())
    monkeypatch.setattr(services, "knowledge", Knowledge)
    monkeypatch.setattr(command, "refresh_index", lambda: False)
    # So many questions in a row are not what the limit of requests is for.
    monkeypatch.setattr("api.throttles.ByMethodThrottle.allow_request", lambda *_: True)


def by_command(text: str, fields: dict[str, Any]) -> Any:
    out = StringIO()
    call_command("recommend", need=text, **fields, json=True, stdout=out)
    return json.loads(out.getvalue())


def by_api(text: str, fields: dict[str, Any]) -> Any:
    # As Python's json writes them: NaN and Infinity are no JSON, but they are sent.
    body = json.dumps({"need": text, **fields})
    return APIClient().post("/api/v1/recommendations", body, content_type="application/json")


@pytest.mark.django_db
@pytest.mark.usefixtures("_answers")
@pytest.mark.parametrize(("text", "fields", "at_fault", "words"), REFUSED)
def test_what_cannot_be_is_refused_alike_with_its_field(
    text: str, fields: dict[str, Any], at_fault: str, words: str
) -> None:
    with pytest.raises(NeedError, match=f"(?s)^{at_fault}: .*{words}"):
        ask(text, **fields)
    form = NeedForm({"need": text, **{name: str(value) for name, value in fields.items()}})
    assert not form.is_valid()
    assert set(form.errors) == set(at_fault.split(", "))
    answer = by_api(text, fields)
    assert answer.status_code == 400
    named = {name for error in answer.json().get("errors") or () for name in error["field"].split(", ")}
    assert named == set(at_fault.split(", ")) or math.inf in fields.values() or any(map(_is_nan, fields.values()))
    with pytest.raises(CommandError, match=at_fault.split(", ", maxsplit=1)[0]):
        by_command(text, fields)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


@pytest.mark.django_db
@pytest.mark.usefixtures("_answers")
@pytest.mark.parametrize(("text", "fields", "note"), ANSWERED)
def test_what_is_odd_is_answered_alike_and_told(text: str, fields: dict[str, Any], note: str | None) -> None:
    form = NeedForm({"need": text, **fields})
    assert form.is_valid(), form.errors
    answers = [services.recommend(form.wanted).to_json(), by_command(text, fields), by_api(text, fields).json()]
    for answer in answers:
        told = [*answer["notes"], *answer["situation"]["notes"]]
        assert answer["answers"]
        if note is not None:
            assert any(re.search(note, one) for one in told), told
    assert answers[0]["situation"] == answers[1]["situation"] == answers[2]["situation"]


def test_full_width_letters_are_the_plain_ones() -> None:
    assert ask("Ｌｌａｍａ－３－８Ｂ on an ＲＴＸ ４０９０").model == "Llama-3-8B"


def test_a_gpu_that_is_named_by_its_memory_alone_bounds_what_fits() -> None:
    assert ask("Llama-3-8B on a 24 GB GPU").memory_gib == 24.0
    assert ask("Llama-3-8B on a 24 GB GPU", memory_gib=12.0).memory_gib == 12.0
    assert ask("Llama-3-8B on an RTX 4090 with 24 GB of memory").memory_gib is None, "the catalogue knows what it has"


def test_a_percentage_that_is_given_as_a_share_is_told(small_index: Index) -> None:
    notes = advise(ask("faster attention", max_error=5.0), small_index, HashingEncoder()).notes
    assert any("5 % is 0.05" in note for note in notes)


@pytest.mark.django_db
@pytest.mark.usefixtures("_answers")
def test_what_would_have_to_give_and_how_to_measure_is_told_everywhere() -> None:
    text, fields = "Llama-3-70B on a T4, no training", {"token_ms": 5.0}
    out = StringIO()
    call_command("recommend", need=text, **fields, stdout=out)
    page = Client().get("/recommend/", {"need": text, **fields}).content.decode()
    answer = by_api(text, fields).json()
    assert answer["nearest_constraint"].startswith("memory: needs 132 GiB, 14.7 GiB are usable")
    told = [" ".join(out.getvalue().split()), " ".join(unescape(page).split()), json.dumps(answer, ensure_ascii=False)]
    for one in told:
        assert answer["nearest_constraint"] in one
        assert "Nothing was measured on NVIDIA T4 yet" in one
        assert "python -m runners.bench run swift-attend --device cuda --out results.jsonl" in one
        assert "manage.py import_results results.jsonl" in one


@pytest.mark.parametrize(
    "text",
    [
        "An abstract of many words on searching networks within 0.1 GPU days. " * 12,
        "search architectures within 0.1 GPU days on an A100",
        "a network that is 200x faster on a phone",
        "Prune a trained transformer in one shot, without retraining",
    ],
    ids=["abstract", "days-of-a-gpu", "faster-on-a-phone", "a-trained-model-is-no-training"],
)
def test_what_only_looks_odd_is_answered_without_a_remark(text: str, small_index: Index) -> None:
    notes = advise(ask(text), small_index, HashingEncoder()).notes
    assert not any("named" in note or "also allow none" in note or "catalogue" in note for note in notes)
