"""How labels are chosen where a sentence leaves room: phase, metric and qualifier, by what the paper is about."""

import pytest

from ingest.extraction import ExtractedClaim, extract

PROPOSES = "We propose Zedwick, a method for faster models. "


def read(sentence: str, title: str = "Zedwick: a method") -> tuple[ExtractedClaim, ...]:
    return extract(title, PROPOSES + sentence).claims


PHASES = {
    "word-beside": ("Zedwick", "It takes 40% less memory during training.", "training"),
    "for-behind-wins": ("Zedwick", "It needs a single 8GB card for inference after training.", "inference"),
    "training-flops": ("Zedwick", "It lowers training FLOPs by 20%.", "training"),
    "flops-are-of-the-model": ("Zedwick", "With refined training it needs 20% fewer FLOPs.", "inference"),
    "parameters-are-of-the-model": ("Zedwick: distributed training", "It has 20% fewer parameters.", "inference"),
    "tuned-parameters": ("Zedwick: low-rank adapters for fine-tuning", "It has 20% fewer parameters.", "fine-tuning"),
    "training-of-a-tuning-method": ("Zedwick: efficient prompt tuning", "Training is 2x faster.", "fine-tuning"),
    "rounds-of-communication": ("Zedwick: federated learning", "It needs 5x fewer rounds of communication.", "training"),
    "kv-cache-beside-training-cost": (
        "Zedwick",
        "It saves 40% of training costs, reduces the KV cache by 90%.",
        "inference",
    ),
    "found-network": (
        "Zedwick: neural architecture search",
        "On phones the found model is 3x faster than others.",
        "inference",
    ),
    "found-network-with-a-qualifier": (
        "Zedwick: neural architecture search",
        "On phones, ZedNet is up to 3x faster than others.",
        "inference",
    ),
    "found-network-by-an-algorithm": (
        "Zedwick: neural architecture search",
        "The solution that our algorithm found runs at 50 frames, which is 60% faster than others.",
        "inference",
    ),
    "search-procedure": (
        "Zedwick: neural architecture search",
        "The search procedure is 3x faster than others.",
        "search",
    ),
    "samples-of-a-search": ("Zedwick: neural architecture search", "It needs 33x fewer samples than others.", "search"),
    "data-that-a-found-network-is-trained-on": (
        "Zedwick: neural architecture search",
        "It needs 4x less training data than others.",
        "training",
    ),
    "memory-of-condensing-data": ("Zedwick: dataset distillation at scale", "It takes 11x less memory than others.", "other"),
    "annotating": ("Zedwick: learning from points", "With this tool annotation is 6x faster.", "other"),
    "indexing": ("Zedwick: dense retrieval", "Indexing is 4x faster.", "other"),
    "finished-model": ("Zedwick: better training of networks", "It is more accurate while being 3x faster.", "inference"),
    "dataset-distillation": ("Zedwick: dataset distillation at scale", "It is 16x faster than others.", "other"),
}  # fmt: skip


@pytest.mark.parametrize(("title", "sentence", "phase"), PHASES.values(), ids=PHASES.keys())
def test_the_phase_follows_words_metric_and_title(title: str, sentence: str, phase: str) -> None:
    assert read(sentence, title)[-1].phase == phase


METRICS = {
    "faster-is-speed": ("It is 2x faster.", "speedup"),
    "faster-with-latency-named": ("It is 2x faster in measured latency.", "latency"),
    "faster-training": ("It brings 2x faster training.", "training_time"),
    "converges-faster": ("It converges 2x faster.", "training_time"),
    "training-accelerated": ("Training is accelerated by 2x.", "training_time"),
    "compute-of-training": ("It takes 2x less training compute.", "training_cost"),
    "device-hours": ("Training takes only 8 GPU hours.", "training_cost"),
    "training-time-in-device-hours": (
        "The training time is reduced from 35 to 10 GPU hours.",
        "training_time",
    ),
    "size-of-another-thing": ("It brings a 7x reduction in domain size.", "other_efficiency"),
    "size-of-a-model": ("It brings a 7x reduction in model size.", "model_size"),
    "cost-alone": ("It cuts serving cost by 7x.", "other_efficiency"),
    "cost-of-uplink": ("The uplink cost drops by 12x.", "communication"),
    "compressed-cache": ("The KV cache is compressed by 4x.", "memory"),
    "compressed-model": ("The model is compressed by 4x.", "compression"),
}  # fmt: skip


@pytest.mark.parametrize(("sentence", "metric"), METRICS.values(), ids=METRICS.keys())
def test_the_metric_is_the_noun_that_is_measured(sentence: str, metric: str) -> None:
    assert [claim.metric for claim in read(sentence)] == [metric]


QUALIFIERS = {
    "at-most": ("It runs in at most 5 ms.", ["up to"]),
    "under": ("It runs in under 5 ms.", ["up to"]),
    "within": ("It trains within 3 hours on one GPU.", ["up to"]),
    "as-few-as": ("It needs as few as 4 sampling steps.", ["up to"]),
    "as-much-as": ("It takes as much as 40% less memory.", ["up to"]),
    "exceeding": ("It brings speedups exceeding 3x.", ["at least"]),
    "plus": ("It runs at 30+ FPS.", ["at least"]),
    "nearly": ("It is nearly 3x faster.", ["about"]),
    "around": ("It takes around 40% less memory.", ["about"]),
    "on-average-before": ("On average, it is on average 3x faster.", ["average"]),
    "on-average-behind": ("Latency is reduced by 3x on average.", ["average"]),
    "average-ratio": ("It has an average compression ratio of 3x.", ["average"]),
    "the-outer-one": ("It brings up to >4x faster training.", ["up to"]),
    "holds-for-both": ("It brings up to 5x lower latency and 43% energy savings.", ["up to", "up to"]),
    "over-holds-for-one": ("It brings over 5x lower latency and 43% energy savings.", ["at least", None]),
    "a-new-verb-ends-it": ("It cuts cost by up to 5x and improves throughput by 2x.", ["up to", None]),
    "behind-it-ends": ("Latency improves by 2.1x on average and 4.3x at the tail.", ["average", None]),
    "by-ends-it": ("It cuts latency by up to 49% on phones and by 37% on boards.", ["up to", None]),
}  # fmt: skip


@pytest.mark.parametrize(("sentence", "qualifiers"), QUALIFIERS.values(), ids=QUALIFIERS.keys())
def test_the_qualifier_holds_as_far_as_it_reaches(sentence: str, qualifiers: list[str | None]) -> None:
    assert [claim.qualifier for claim in read(sentence)] == qualifiers


BASELINES = {
    "than": ("It is 3x faster than Alpha.", "Alpha"),
    "compared-with": ("Compared with Alpha, it is fast: latency drops by 3x compared with Beta.", "Beta"),
    "rival-verb": ("It outperforms Alpha in throughput by 3x.", "Alpha"),
    "from-to": ("Latency falls from 120 ms to 35 ms.", "120ms"),
    "instead-of": ("It takes 5 ms instead of 12 ms.", "12ms"),
}


@pytest.mark.parametrize(("sentence", "baseline"), BASELINES.values(), ids=BASELINES.keys())
def test_the_baseline_is_what_the_number_is_compared_with(sentence: str, baseline: str) -> None:
    assert [claim.baseline for claim in read(sentence)] == [baseline]
