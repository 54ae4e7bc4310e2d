"""What a worker says of its device, and what was measured on it."""

from typing import Any

import pytest

from papers.models import Device, DeviceKind
from runners import devices
from runners.bench.collect import Findings
from runners.bench.results import Failure

pytestmark = pytest.mark.django_db
ROWS = [{"name": "copy", "value": 3000.0, "unit": "GB/s", "detail": ""}]
FACTS = {"uid": "host/gpu", "kind": DeviceKind.CUDA, "name": "H100", "details": {"index": "0", "host": "host"}}


def test_a_heartbeat_keeps_what_was_measured() -> None:
    devices.store_ceilings(devices.register(FACTS), ROWS, {"torch": "2.13", "device_name": "H100"})
    devices.register(FACTS)
    found = Device.objects.get()
    assert (found.details["ceilings"], found.details["index"]) == (ROWS, "0")
    assert found.details["ceilings_of"] == {"torch": "2.13"}


def test_a_gpu_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measure(kind: str, on_event: Any) -> tuple[Findings, None]:
        asked.append(kind)
        return Findings(environment={"torch": "2.13"}, ceilings=ROWS), None

    monkeypatch.setattr(devices, "measure_ceilings", measure)
    assert devices.measure_ceilings_once(devices.register(FACTS))
    assert not devices.measure_ceilings_once(devices.register(FACTS))
    assert not devices.measure_ceilings_once(Device.objects.create(uid="c", kind=DeviceKind.CPU, name="Two cores"))
    assert asked == ["cuda"]


def test_a_failed_measurement_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = Failure("timed-out", "took too long")
    monkeypatch.setattr(devices, "measure_ceilings", lambda kind, on_event: (Findings(ceilings=ROWS), failure))
    assert not devices.measure_ceilings_once(devices.register(FACTS))
    assert "ceilings" not in Device.objects.get().details
