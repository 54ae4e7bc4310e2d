"""What a device can do, measured in this process on sizes that take no time."""

import pytest

from runners.bench.child import ceilings
from runners.bench.child.devices import open_device


class Heard:
    """A channel that remembers."""

    def __init__(self):
        self.messages = []

    def send(self, kind, **fields):
        self.messages.append((kind, fields))

    def phase(self, *arguments):
        pass


@pytest.fixture
def heard(monkeypatch):
    monkeypatch.setattr(ceilings, "MATRIX_SIZES", {"cpu": (32, 64)})
    monkeypatch.setattr(ceilings, "COPY_BYTES", {"cpu": 2**16})
    monkeypatch.setattr(ceilings, "CALLS", 20)

    def measure(dtypes=None):
        channel = Heard()
        ceilings.send_ceilings(open_device("cpu"), channel, dtypes)
        return channel.messages

    return measure


def test_every_figure_has_a_name_a_unit_and_a_value_above_zero(heard):
    rows = [fields for kind, fields in heard() if kind == "ceiling"]
    names = {row["name"] for row in rows}
    assert {"matrix product, float32", "matrix product, bfloat16", "copy", "read", "write", "call, alone"} <= names
    assert all(row["value"] > 0 and row["unit"] for row in rows)


def test_a_run_asks_only_for_what_its_roofline_needs(heard):
    names = {fields.get("name") for kind, fields in heard({"float32"}) if kind == "ceiling"}
    assert "matrix product, float32" in names
    assert "copy" in names
    assert not {"matrix product, float64", "call, alone"} & names


def test_what_a_device_cannot_do_is_told_and_stops_nothing(heard, monkeypatch):
    def missing(*arguments):
        raise RuntimeError("not implemented for this device")

    monkeypatch.setattr(ceilings.torch, "_int_mm", missing)
    told = heard()
    (skipped,) = [fields for kind, fields in told if kind == "skipped"]
    assert skipped["subject"] == "matrix product, int8"
    assert "not implemented" in skipped["reason"]
    assert any(fields.get("name") == "copy" for _, fields in told)
