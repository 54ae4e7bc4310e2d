"""When the parent doubts a child's times, and when noise alone must not make it doubt."""

from pathlib import Path

import pytest

from runners.bench.collect import Findings, ProtocolError, Usage
from runners.bench.seal import make_seal, opened
from runners.bench.trust import doubts_about, doubts_beside_technique, rungs_to_time_alone
from runners.cards import load_card

CARD = load_card(Path(__file__).resolve().parents[2] / "fixtures/cards/sample/plain_sum.toml")


def child(
    technique_ms=1.0,
    baseline_ms=2.0,
    device="cpu",
    awake=(1.0, 1.0),
    operators=((0.9, 0.1), (1.8, 0.2)),
    stretch=(1.0, 2.0),
    launch=(0.01, 0.01),
):
    """What a parent has seen: times reported, and calls of `stretch` ms by its own clock, each `awake` for a share.

    `launch` is how long a call keeps the host before it returns.
    """
    findings = Findings(environment={"device_kind": device})
    findings.add(pairs_message(technique_ms, baseline_ms), 0.0)
    clock = used = 0.0
    subjects = zip(("technique", "eager"), stretch, awake, operators, launch, strict=True)
    for subject, ms, share, inside, returned_ms in subjects:
        for edge in ("begin", "end"):
            mark = {"type": "mark", "workload": "medium", "subject": subject, "edge": edge, "calls": 100}
            findings.add(mark, clock, Usage(used, 0.0, clock))
            clock, used = clock + 0.1 * ms, used + 0.1 * ms * share
        extras = {
            "host_ms": [ms],
            "launch_ms": [returned_ms],
            "operator_ms": [inside],
            "peak_memory": None,
            "footprint": {},
        }
        findings.add({"type": "extras", "workload": "medium", "subject": subject, **extras}, clock)
    return findings


def pairs_message(technique_ms, baseline_ms):
    return {
        "type": "pairs", "workload": "medium", "axes": {"rows": 2}, "dtype": "float32", "pass_": "forward", "baseline": "eager",
        "technique_ms": [technique_ms] * 8, "baseline_ms": [baseline_ms] * 8, "cap_reached": False, "band_floor": 0.02, "spans": [(0, 1)] * 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "words", "refuses"),
    [
        ({}, "", False),
        ({"technique_ms": 0.2}, "by the parent's clock the technique's calls took", False),
        ({"technique_ms": 0.001}, "by the parent's clock the technique's calls took", True),  # no load explains it
        ({"technique_ms": 0.2, "device": "cuda"}, "by the parent's clock the technique's calls took", True),
        ({"stretch": (3.0, 8.0)}, "", False),  # everything was slower in a row: the machine was busy
        ({"awake": (1.0, 0.4)}, "sleeps: it was at work in 40%", False),
        ({"awake": (1.0, 0.4), "device": "cuda"}, "sleeps: it was at work in 40%", True),
        ({"awake": (0.3, 0.3)}, "", False),  # both wait for a device
        ({"awake": (1.9, 1.0)}, "", False),  # two threads against one
        (
            {"awake": (1.0, 0.0), "stretch": (1.0, 0.001), "device": "cuda"},
            "",
            False,
        ),  # a parent that read both marks late
        ({"operators": ((0.9, 0.1), (0.2, 1.8))}, "spends 10% of its time in torch's operators", False),
        ({"operators": ((0.1, 0.9), (0.2, 1.8))}, "", False),  # Python costs the technique as much
        ({"device": "cuda", "stretch": (2.4, 2.0)}, "outside of the timed stream", True),
        # A small kernel whose launch takes the host longer than the kernel takes the device.
        ({"device": "cuda", "technique_ms": 0.02, "stretch": (0.1, 2.0), "launch": (0.09, 0.01)}, "", False),
        # Work of another stream: the call returns at once, the device is busy long after its events say it is done.
        ({"device": "cuda", "technique_ms": 0.02, "stretch": (0.5, 2.0)}, "by the parent's clock", True),
        # Events that lie, in a call that waits for its work: no launch outlasts the head start by so much.
        (
            {"device": "cuda", "technique_ms": 0.02, "stretch": (4.0, 2.0), "launch": (4.0, 0.01)},
            "by the parent's clock",
            True,
        ),
    ],
)
def test_doubt_is_told_in_words_and_load_on_a_cpu_refuses_nothing(seen, words, refuses):
    told = doubts_about(child(**seen), CARD)
    assert bool(told) is bool(words)
    assert not told or words in told[0].text
    assert any(doubt.refuses for doubt in told) is refuses


@pytest.mark.parametrize(
    ("reported_ms", "alone_ms", "stretch_ms", "doubted"),
    [(2.0, 2.0, 2.0, False), (2.0, 1.4, 1.4, False), (2.0, 0.5, 0.5, True), (6.0, 2.0, 2.0, True)],
    ids=["alike", "a quieter machine", "slowed down throughout", "slowed down in timed pairs alone"],
)
def test_a_rung_slower_beside_the_technique_is_doubted(reported_ms, alone_ms, stretch_ms, doubted):
    beside = child(baseline_ms=reported_ms)
    alone = child(stretch=(1.0, stretch_ms))
    alone.add({"type": "alone", "workload": "medium", "subject": "eager", "samples": [alone_ms] * 5}, 9.0)
    told = doubts_beside_technique(beside, alone)
    assert bool(told) is doubted
    assert not any(doubt.refuses for doubt in told), "a CPU shares its cores with other programs"
    beside.environment["device_kind"] = "cuda"
    assert all(doubt.refuses for doubt in doubts_beside_technique(beside, alone))


def test_compiled_rungs_are_not_compiled_again():
    assert rungs_to_time_alone(child(), ["eager"]) == {}
    assert rungs_to_time_alone(child(), []) == {"medium": {"eager": 2.0}}


def test_a_result_is_told_once():
    findings = child()
    with pytest.raises(ProtocolError, match="told twice"):
        findings.add(pairs_message(0.1, 2.0), 1.0)


def test_the_seal_opens_for_the_harness_alone():
    sender, reader = make_seal(b"key"), make_seal(b"key")
    lines = [text + b" " + sender(text) for text in (b'{"type":"phase"}', b'{"type":"done"}')]
    assert [opened(line, reader)["type"] for line in lines] == ["phase", "done"]
    for forged in (lines[0], b'{"type":"done"} ' + make_seal(b"other")(b'{"type":"done"}'), b"{}", b""):
        with pytest.raises(ValueError, match="did not write"):
            opened(forged, make_seal(b"key") if forged != lines[0] else reader)


def test_a_stretch_too_short_for_the_kernels_clock_hides_no_slow_rung():
    """The kernel may count nothing in a stretch of a few short calls; that must not read as "nothing is known"."""
    beside = child(baseline_ms=2.0)
    alone = child(stretch=(0.05, 0.05), awake=(0.0, 0.0))
    alone.add({"type": "alone", "workload": "medium", "subject": "eager", "samples": [0.05] * 5}, 9.0)
    (doubt,) = doubts_beside_technique(beside, alone)
    assert "40.0 times as slow beside the technique" in doubt.text
