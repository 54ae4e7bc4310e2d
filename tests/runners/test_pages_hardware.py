"""Pages of devices: ceilings, gains against the best rung, and what a CPU may not claim."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from papers.models import DeviceKind, Implementation, Outcome
from runners.hardware_views import gains_on, hardware
from tests.factories import make_card, make_device, make_implementation, make_measurement, make_run, make_verdict

pytestmark = pytest.mark.django_db

LADDER = [
    {"name": "eager", "label": "Plain PyTorch", "role": "eager"},
    {"name": "library", "label": "SDPA", "role": "library"},
    {"name": "other", "label": "Another function", "role": "library", "same_function": False},
]
WORKLOADS = [
    {"name": "decode-8k", "use": "time", "representative": True, "axes": {}, "dtype": "bfloat16"},
    {"name": "decode-1k", "use": "time", "axes": {}, "dtype": "bfloat16"},
]


def an_implementation(name: str) -> Implementation:
    return make_implementation(
        name=name, card=make_card(name, short_name=name.title(), baselines=LADDER, workloads=WORKLOADS)
    )


def test_a_gain_is_ranked_against_the_best_rung_on_the_representative_workload() -> None:
    gpu = make_device()
    for name, eager, library in (("first", 9.0, 1.1), ("second", 3.0, 1.4)):
        run = make_run(an_implementation(name), device=gpu)
        make_measurement(run, baseline="eager", ratio=eager)
        make_measurement(run, baseline="library", ratio=library)
        make_measurement(run, baseline="other", ratio=0.1)
        make_measurement(run, baseline="library", workload="decode-1k", ratio=50.0)
    gains = gains_on([gpu.pk])
    assert [(gain.implementation.name, gain.figure.ratio, gain.rung) for gain in gains] == [
        ("second", 1.4, "SDPA"), ("first", 1.1, "SDPA"),
    ]  # fmt: skip


def test_the_newest_run_counts_and_a_failed_one_does_not() -> None:
    gpu, implementation = make_device(), an_implementation("fold")
    for ratio, fields in ((2.0, {}), (3.0, {}), (9.0, {"status": "INCORRECT_NUMERICAL"})):
        make_measurement(make_run(implementation, device=gpu, **fields), ratio=ratio)
    assert [gain.figure.ratio for gain in gains_on([gpu.pk])] == [3.0]


def test_devices_of_one_name_are_one_page_with_what_they_can_do(client: Client) -> None:
    rows = [{"name": "copy", "unit": "GB/s", "detail": "2 GiB read and written", "value": 4100.0}]
    make_device(details={"ceilings": rows, "ceilings_of": {"torch": "2.13.0"}})
    make_device(alive=False)
    [found] = hardware()
    assert len(found.devices) == 2
    text = client.get(reverse("device", args=[found.slug])).content.decode()
    assert "4,100 GB/s" in text
    assert "with torch 2.13.0" in text
    assert "A worker offers it now" in text


def test_gpus_come_first_and_a_cpu_says_that_it_decides_nothing(client: Client) -> None:
    cpu = make_device(DeviceKind.CPU)
    make_measurement(make_run(an_implementation("fold"), device=cpu, device_kind=DeviceKind.CPU))
    run = make_run(an_implementation("thin"))
    make_verdict(run.implementation.paper.claims.get(), run, Outcome.CONFIRMED)
    assert [one.is_gpu for one in hardware()] == [True, False]
    assert [one.outcomes for one in hardware()] == [{"confirmed": 1}, {}]
    text = client.get("/hardware/two-core-cpu/").content.decode()
    assert "decides nothing about a claim" in text
    assert "no verdicts" in client.get("/hardware/").content.decode()


def test_empty_states_say_what_to_do(client: Client) -> None:
    assert "import_results results.jsonl" in client.get("/hardware/").content.decode()
    make_device()
    text = client.get("/hardware/nvidia-h200/").content.decode()
    assert "selftest --device cuda" in text
    assert "Nothing was timed on it yet" in text
    assert client.get("/hardware/nothing/").status_code == 404


def test_queries_do_not_grow(client: Client, django_assert_max_num_queries: Any) -> None:
    gpu = make_device()
    for number in range(8):
        make_measurement(make_run(an_implementation(f"fold-{number}"), device=gpu))
    with django_assert_max_num_queries(10):
        client.get("/hardware/nvidia-h200/")
    with django_assert_max_num_queries(6):
        client.get("/hardware/")
