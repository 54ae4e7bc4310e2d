"""What it takes to reproduce a paper's mechanism, and a sentence that says so; both from the other fields."""

from __future__ import annotations

from papers.vocabulary import FAMILY_LABELS, METRIC_LABELS

from .record import ExtractedClaim

_BY_FAMILY = {
    "quantization": "needs-weights", "sparsity-pruning": "small-training", "distillation": "small-training", "low-rank": "random-model",
    "peft": "random-model", "efficient-attention": "kernel", "kv-cache": "random-model", "ssm-recurrent": "random-model",
    "mixture-of-experts": "random-model", "conditional-computation": "random-model", "token-reduction": "random-model",
    "decoding-acceleration": "needs-weights", "kernels-compilers": "kernel", "distributed-training": "multi-device",
    "memory-efficient-training": "random-model", "training-efficiency": "small-training", "efficient-architecture": "random-model",
    "nas": "small-training", "weight-sharing": "random-model", "retrieval-efficiency": "random-model",
    "diffusion-acceleration": "random-model", "serving-systems": "random-model", "data-efficiency": "small-training",
    "edge-deployment": "random-model", "hardware-accelerators": "other-hardware",
}  # fmt: skip
_WITH_FAMILY = {"kernels-compilers": "kernel", "distributed-training": "multi-device"}
"""Second families that decide: a quantized kernel can be timed without weights, parallel experts need several devices."""
_TRAINED_WHOLE = frozenset(
    {"ssm-recurrent", "mixture-of-experts", "efficient-architecture", "weight-sharing", "low-rank"}
)
"""Families whose gain in training shows only in a training run."""
_NOTHING_TO_RUN = frozenset({"survey", "dataset", "other"})
_OTHER_HARDWARE = ("iPhone", "Jetson", "EdgeTPU", "Edge", "FPGA", "Cortex", "ARM", "Raspberry", "MCU", "Hexagon", "DSP", "Loihi",
                   "Snapdragon", "STM32", "NPU", "ASIC", "Pixel", "Ascend")  # fmt: skip
_NEEDED = {
    "kernel": "the kernel alone", "random-model": "a model with random weights", "small-training": "a small training run",
    "needs-weights": "published weights", "multi-device": "several devices", "other-hardware": "the hardware it names",
}  # fmt: skip


def find_verify(
    kind: str,
    families: tuple[str, ...],
    stage: tuple[str, ...],
    hardware: tuple[str, ...],
    claims: tuple[ExtractedClaim, ...],
) -> tuple[str, list[str]]:
    """What a mechanism needs to be tried, by kind and first family, and by the other families where they say more."""
    if kind in _NOTHING_TO_RUN or not families:
        return "none", [f"kind: {kind}"]
    if kind == "hardware":
        return "other-hardware", ["kind: hardware"]
    named = [label for label in hardware if label.startswith(_OTHER_HARDWARE)]
    if named and "edge-deployment" in families and any(claim.hardware in named for claim in claims):
        return "other-hardware", named
    if kind == "theory":
        return "none", ["kind: theory"]
    needed = _BY_FAMILY[families[0]]
    for other, more in _WITH_FAMILY.items():
        if other in families and needed in {"random-model", "needs-weights"}:
            return more, [f"family: {other}"]
    if needed == "random-model" and stage == ("training",) and families[0] in _TRAINED_WHOLE:
        return "small-training", ["stage: training"]
    return needed, [f"family: {families[0]}"]


def describe_mechanism(
    name: str | None, families: tuple[str, ...], verify: str, claims: tuple[ExtractedClaim, ...]
) -> str | None:
    """One plain sentence from the fields, or None where there is nothing to reproduce."""
    if verify == "none" or not families:
        return None
    labels = [FAMILY_LABELS[f].lower() for f in families]
    what = labels[0] if len(labels) == 1 else ", ".join(labels[:-1]) + " and " + labels[-1]
    measured = list(dict.fromkeys(METRIC_LABELS[c.metric].lower() for c in claims))[:3] or ["time and memory"]
    against = next((c.baseline for c in claims if c.baseline), None)
    baseline = f"against {against}" if against else "against the plain baseline"
    return f"{name or 'The method'} ({what}): measure {', '.join(measured)} {baseline}; takes {_NEEDED[verify]}."
