"""What a reader sees of the figures: which run counts, what it loses to, from where on it pays, and what got worse."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from papers.models import Device, DeviceKind, Implementation, Regression, Run, RunMode
from runners.measured import measured
from runners.services import RunRefused, request_run
from runners.sweep_picture import pareto, picture
from tests.factories import make_card, make_device, make_implementation, make_measurement, make_run

pytestmark = pytest.mark.django_db

LADDER = [
    {"name": "eager", "label": "Plain PyTorch", "role": "eager"},
    {"name": "library", "label": "SDPA", "role": "library"},
]
SWEEP = {"workload": "decode-8k", "axis": "seq", "values": [1024, 2048, 4096]}
WORKLOADS = [
    {"name": "decode-8k", "use": "time", "representative": True, "axes": {"seq": 8192}, "dtype": "bfloat16"},
    {"name": "decode-1k", "use": "time", "axes": {"seq": 1024}, "dtype": "bfloat16"},
]


@pytest.fixture
def foldcache() -> Implementation:
    card = make_card("foldcache", baselines=LADDER, sweep=SWEEP, workloads=WORKLOADS)
    return make_implementation(name="foldcache", card=card)


@pytest.fixture
def gpu() -> Device:
    return make_device()


def ratio(run: Run, value: float, **fields: Any) -> None:
    spread = {"ratio": value, "ratio_low": value * 0.98, "ratio_high": value * 1.02, "band": 0.01}
    make_measurement(run, **(spread | fields))


def test_the_newest_run_of_the_code_that_is_here_counts(foldcache: Implementation, gpu: Device) -> None:
    ratio(make_run(foldcache, device=gpu), 2.0)
    current = make_run(foldcache, device=gpu)
    ratio(current, 3.0)
    ratio(make_run(foldcache, device=gpu, code_hash="e" * 64), 9.0)
    [device] = measured(foldcache).devices
    assert device.run == current
    assert device.workloads[0].ladder[0].figure.ratio == 3.0


def test_gpus_come_first_and_a_cpu_decides_nothing(foldcache: Implementation) -> None:
    ratio(make_run(foldcache, device_kind=DeviceKind.CPU), 5.0)
    ratio(make_run(foldcache), 2.0)
    gpu, cpu = measured(foldcache).devices
    assert (gpu.decides, cpu.decides) == (True, False)


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        pytest.param({"ratio_low": 1.02, "ratio_high": 1.05}, "better", id="above-the-band"),
        pytest.param({"ratio_low": 0.90, "ratio_high": 0.95}, "worse", id="below-the-band"),
        pytest.param({"ratio_low": 0.995, "ratio_high": 1.005}, "equal", id="within-the-band"),
        pytest.param({"ratio_low": 0.97, "ratio_high": 1.03}, "unclear", id="too-wide"),
        pytest.param({"ratio_low": None, "ratio_high": None}, "unknown", id="no-interval"),
    ],
)
def test_a_rung_is_answered_by_where_the_interval_lies(
    foldcache: Implementation, gpu: Device, found: dict[str, Any], answer: str
) -> None:
    make_measurement(make_run(foldcache, device=gpu), ratio=1.0, band=0.01, **found)
    assert measured(foldcache).devices[0].workloads[0].ladder[0].answer == answer


def test_a_loss_to_todays_best_is_said_first(foldcache: Implementation, gpu: Device, client: Client) -> None:
    run = make_run(foldcache, device=gpu)
    ratio(run, 2.0)
    ratio(run, 0.7, baseline="library")
    ratio(run, 0.5, workload="decode-1k", baseline="eager")
    text = client.get(reverse("measured", args=["foldcache"])).content.decode()
    assert "<strong>Slower than SDPA</strong>: 0.70×" in text
    assert text.count("Slower than") == 1  # small sizes are told in their own table


def test_a_sweep_tells_from_where_on_it_pays(foldcache: Implementation, gpu: Device, client: Client) -> None:
    run = make_run(foldcache, device=gpu, mode=RunMode.SWEEP)
    for seq, value in ((1024, 0.5), (2048, 0.9), (4096, 1.8)):
        ratio(run, value, workload=f"decode-8k[seq={seq}]")
    curve = measured(foldcache).devices[0].curves[0]
    assert curve.crossover.kind == "crosses"
    assert 2048 < (curve.crossover.at or 0) < 2400
    text = client.get(reverse("measured", args=["foldcache"])).content.decode()
    assert "faster from seq = 22" in text
    assert "sweep-line" in text


def test_the_picture_puts_greater_ratios_higher_and_greater_sizes_to_the_right(
    foldcache: Implementation, gpu: Device
) -> None:
    run = make_run(foldcache, device=gpu, mode=RunMode.SWEEP)
    for seq, value in ((1024, 0.5), (2048, 0.9), (4096, 1.8)):
        ratio(run, value, workload=f"decode-8k[seq={seq}]")
    drawn = picture(measured(foldcache).devices[0].curves)
    assert drawn is not None
    marks = drawn.lines[0].marks
    assert [m.x for m in marks] == sorted(m.x for m in marks)
    assert [m.y for m in marks] == sorted((m.y for m in marks), reverse=True)
    assert marks[1].y > drawn.one > marks[2].y
    assert all(m.top < m.y < m.bottom for m in marks)


def test_error_against_speed_is_drawn_where_errors_were_taken(
    foldcache: Implementation, gpu: Device, client: Client
) -> None:
    names = {seq: f"decode-8k[seq={seq}]" for seq in (1024, 2048, 4096)}
    records = [
        {"workload": {"name": name}, "error": {"technique": {"relative_l2": error}}, "doubts": []}
        for name, error in zip(names.values(), (0.01, 0.02, 0.04), strict=True)
    ]
    run = make_run(foldcache, device=gpu, mode=RunMode.SWEEP, records=records)
    for name, value in zip(names.values(), (1.2, 1.1, 1.8), strict=True):
        ratio(run, value, workload=name)
    drawn = pareto(measured(foldcache).devices[0].curves)
    assert drawn is not None
    marks = drawn.lines[0].marks
    assert [mark.x for mark in marks] == sorted(mark.x for mark in marks)
    assert [(mark.value, mark.is_best) for mark in marks] == [("1,024", True), ("2,048", False), ("4,096", True)]
    assert "Faster at what error?" in client.get(reverse("measured", args=["foldcache"])).content.decode()


def test_without_errors_there_is_no_picture_of_them(foldcache: Implementation, gpu: Device) -> None:
    run = make_run(foldcache, device=gpu, mode=RunMode.SWEEP)
    for seq in (1024, 2048):
        ratio(run, 1.5, workload=f"decode-8k[seq={seq}]")
    assert pareto(measured(foldcache).devices[0].curves) is None


def test_doubts_of_the_records_are_shown(foldcache: Implementation, gpu: Device, client: Client) -> None:
    records = [{"workload": {"name": "decode-8k"}, "doubts": ["The clocks drifted."], "error": {}}] * 2
    ratio(make_run(foldcache, device=gpu, records=records), 2.0)
    text = client.get(reverse("measured", args=["foldcache"])).content.decode()
    assert "1 reason for care" in text
    assert "The clocks drifted." in text


def test_a_gain_that_is_gone_is_shown_while_it_is_gone(foldcache: Implementation, gpu: Device, client: Client) -> None:
    run = make_run(foldcache, device=gpu)
    gone = Regression.objects.create(
        implementation=foldcache, since_run=run, device_name="NVIDIA H200", workload="decode-8k", baseline="library",
        ratio_before=1.4, ratio_after=0.9, sentence="No longer faster than SDPA since torch 2.13.",
    )  # fmt: skip
    address = reverse("measured", args=["foldcache"])
    assert gone.sentence in client.get(address).content.decode()
    Regression.objects.update(ended_at=run.finished_at)
    assert gone.sentence not in client.get(address).content.decode()


def test_without_a_run_the_page_says_how_to_make_one(foldcache: Implementation, client: Client) -> None:
    text = client.get(reverse("measured", args=["foldcache"])).content.decode()
    assert "Nothing was measured yet" in text
    assert "python -m runners.bench sweep foldcache" in text


def test_an_unknown_implementation_is_not_found(client: Client) -> None:
    assert client.get("/implementations/nothing/measured").status_code == 404


def test_the_number_of_queries_does_not_grow_with_runs(
    foldcache: Implementation, gpu: Device, client: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(6):
        ratio(make_run(foldcache, device=gpu), 2.0)
        ratio(make_run(foldcache, device=gpu, mode=RunMode.SWEEP), 2.0, workload="decode-8k[seq=1024]")
    with django_assert_max_num_queries(8):
        client.get(reverse("measured", args=["foldcache"]))


# ── asking for another kind of run ──────────────────────────────────────────────────────────────────────────────────
def test_a_sweep_and_a_run_are_two_things_to_wait_for(foldcache: Implementation, rings: Any) -> None:
    first, second = request_run(foldcache, None, "cpu"), request_run(foldcache, None, "cpu", RunMode.SWEEP)
    assert (first.mode, second.mode) == ("run", "sweep")
    assert request_run(foldcache, None, "cpu", RunMode.SWEEP) == second


def test_a_sweep_needs_an_axis(rings: Any) -> None:
    plain = make_implementation(name="plain", card=make_card("plain", sweep=None))
    with pytest.raises(RunRefused, match="the card of plain names no axis to sweep; use run"):
        request_run(plain, None, "cpu", RunMode.SWEEP)
    with pytest.raises(RunRefused, match="mode: 'dance' is not a way to run; use one of run, sweep, check"):
        request_run(plain, None, "cpu", "dance")
    assert not Run.objects.exists()


def test_the_page_asks_for_what_was_chosen(foldcache: Implementation, client: Client, person: User, rings: Any) -> None:
    client.force_login(person)
    client.post(reverse("request-run", args=["foldcache"]), {"device": "cpu", "mode": "check"})
    assert Run.objects.get().mode == "check"


def test_all_are_swept_that_can_be_and_the_others_are_named(foldcache: Implementation, rings: Any, capsys: Any) -> None:
    make_implementation(name="plain", card=make_card("plain", sweep=None))
    call_command("verify", all=True, device="cpu", mode="sweep")
    assert [run.implementation.name for run in Run.objects.all()] == ["foldcache"]
    assert "plain: left out, its card names no axis to sweep" in capsys.readouterr().err
    with pytest.raises(CommandError, match="names no axis to sweep"):
        call_command("verify", "plain", device="cpu", mode="sweep")


def test_the_page_tells_which_share_of_the_devices_limit_is_reached(
    client: Client, foldcache: Implementation, gpu: Device
) -> None:
    limit = {"floor_ms": 0.9, "bound": "traffic", "share": 0.75}
    record = {"workload": {"name": "decode-8k"}, "evaluation": {"performance": {"roofline": limit}}}
    run = make_run(foldcache, device=gpu, records=[record])
    ratio(run, 2.0)
    assert measured(foldcache).devices[0].workloads[0].roofline == limit
    page = client.get(reverse("measured", args=[foldcache.name])).content.decode()
    assert "Reaches <strong>75\u00a0%</strong> of what this device allows" in page
    assert "at least 0.900 ms, bound by traffic" in page
