"""Which numbers of a sentence become claims, and what they are read as."""

import pytest

from ingest.extraction import extract

PROPOSES = "We propose Zedwick, a method for faster models. "


def read(sentence: str) -> list[tuple]:
    claims = extract("Zedwick: a method", PROPOSES + sentence).claims
    return [(c.metric, c.form, c.value, c.value_max, c.direction) for c in claims]


READ = {
    "faster": (
        "Zedwick is 2.6x faster than the dense layer.",
        [("speedup", "factor", 2.6, None, "better")],
    ),
    "flattened-times": (
        "It gives a 3.4times speedup in decoding.",
        [("speedup", "factor", 3.4, None, "better")],
    ),
    "latex-times": (
        r"It gives up to $5.5\times$ latency reduction on one device.",
        [("latency", "factor", 5.5, None, "better")],
    ),
    "escaped-percent": (
        r"Zedwick reduces peak memory by 30\% during training.",
        [("memory", "percent", 30.0, None, "better")],
    ),
    "range-with-to": (
        "We measure 2.1x to 4.9x acceleration of the encoder.",
        [("speedup", "factor", 2.1, 4.9, "better")],
    ),
    "range-with-flattened-sim": (
        "It reaches 1.3xsim2.7x acceleration on phones.",
        [("speedup", "factor", 1.3, 2.7, "better")],
    ),
    "range-with-tilde": (
        r"The student runs at a 10\~20X faster speed.",
        [("speedup", "factor", 10.0, 20.0, "better")],
    ),
    "number-words": (
        "It uses three times fewer parameters than the teacher.",
        [("params", "factor", 3.0, None, "better")],
    ),
    "range-of-number-words": (
        "It needs two to nine times fewer parameters than the teacher.",
        [("params", "factor", 2.0, 9.0, "better")],
    ),
    "orders-of-magnitude": (
        "Search is two orders of magnitude faster than retraining.",
        [("speedup", "factor", 100.0, None, "better")],
    ),
    "as-fast-as": (
        "The fused layer ran approximately four times as fast as the stock one.",
        [("speedup", "factor", 4.0, None, "better")],
    ),
    "halving-verb": (
        "Sharing keys works well in practice, halving the memory of the cache.",
        [("memory", "factor", 2.0, None, "better")],
    ),
    "half-the": (
        "The sampler needs only half the function evaluations.",
        [("other_efficiency", "factor", 2.0, None, "better")],
    ),
    "fractions": (
        "It shrinks the model, reducing the number of parameters by 1/4 to 1/2.",
        [("params", "percent", 25.0, 50.0, "better")],
    ),
    "list-shares-a-noun": (
        "We see latency reductions of 12%, 15%, and 21% on three networks.",
        [("latency", "percent", v, None, "better") for v in (12.0, 15.0, 21.0)],
    ),
    "list-with-a-noun-each": (
        "It takes 3.5x and 4.5x fewer multiply-adds and parameters than before.",
        [("flops", "factor", 3.5, None, "better"), ("params", "factor", 4.5, None, "better")],
    ),
    "list-with-brackets": (
        "FLOPs are compressed by 3-5x (small net) and 20-30x (large net).",
        [("flops", "factor", 3.0, 5.0, "better"), ("flops", "factor", 20.0, 30.0, "better")],
    ),
    "loose-list": (
        "Our kernels outperform the library with a speedup of 8x on scans, and 14x on sorts.",
        [("speedup", "factor", 8.0, None, "better"), ("speedup", "factor", 14.0, None, "better")],
    ),
    "second-object-of-a-verb": (
        "Routing helps, reducing active parameters by 40% and inference costs by 85%.",
        [("params", "percent", 40.0, None, "better"), ("other_efficiency", "percent", 85.0, None, "better")],
    ),
    "parallel-savings": (
        "We obtain 48% inference FLOPs and 41% training FLOPs savings over the dense net.",
        [("flops", "percent", 48.0, None, "better"), ("flops", "percent", 41.0, None, "better")],
    ),
    "from-to-time": (
        "Training time falls, and is reduced from 3 days to just 70 minutes.",
        [("training_time", "absolute", 70.0, None, "none")],
    ),
    "amount-latency": (
        "It answers with only 1.6 ms inference latency on a phone.",
        [("latency", "absolute", 1.6, None, "none")],
    ),
    "amount-rate": (
        "The renderer runs at 45 frames per second on a laptop.",
        [("throughput", "absolute", 45.0, None, "none")],
    ),
    "amount-memory-with-relation": (
        r"The table needs \textless2MB of memory at run time.",
        [("memory", "absolute", 2.0, None, "none")],
    ),
    "amount-params": (
        "The student has only 0.7B parameters.",
        [("params", "absolute", 0.7, None, "none")],
    ),
    "amount-money": (
        "Training ends at a cost of roughly $40.",
        [("training_cost", "absolute", 40.0, None, "none")],
    ),
    "amount-flops-list": (
        "The family spends 0.5, 1.5 and 3.5 FLOP(G) an image.",
        [("flops", "absolute", v, None, "none") for v in (0.5, 1.5, 3.5)],
    ),
    "share-that-remains": (
        "It tunes only 0.5% of the parameters.",
        [("params", "percent", 0.5, None, "better")],
    ),
    "worse-is-said": (
        "The block adds little, with a 2% increase in FLOPs.",
        [("flops", "percent", 2.0, None, "worse")],
    ),
    "more-compact": (
        "The found nets are 60% and 45% more compact in terms of parameters.",
        [("params", "percent", 60.0, None, "better"), ("params", "percent", 45.0, None, "better")],
    ),
    "loose-list-behind-the-noun": (
        "We reach 2.1x speedup on phones and 3x on tablets.",
        [("speedup", "factor", 2.1, None, "better"), ("speedup", "factor", 3.0, None, "better")],
    ),
    "wall-clock-of-training": (
        "During training it reduces wall-clock time by 36%.",
        [("training_time", "percent", 36.0, None, "better")],
    ),
    "bigger-rivals": (
        "Zedwick matches networks with up to four times more parameters.",
        [("params", "factor", 4.0, None, "better")],
    ),
    "number-in-brackets": (
        "Zedwick has much lower storage cost (up to 150times reduction) than rivals.",
        [("storage", "factor", 150.0, None, "better")],
    ),
}


@pytest.mark.parametrize(("sentence", "expected"), READ.values(), ids=READ.keys())
def test_a_gain_is_read(sentence: str, expected: list[tuple]) -> None:
    assert read(sentence) == expected


REFUSED = {
    "counted-nouns": "It uses only 4 codebooks and 2 heads.",
    "accuracy": "Zedwick improves top-1 accuracy by 3.5% on the test set.",
    "accuracy-behind-comparative": "Zedwick shows 2.3% better accuracy than the baseline.",
    "quality-drop": "It runs with less than 0.8% accuracy drop on average.",
    "scores": "It obtains a perplexity of 12.4 and a BLEU of 31.",
    "dataset-size": "The corpus holds 8 million videos and 500 hours of speech.",
    "larger-dataset": "Our dataset holds ten times more data than earlier ones.",
    "model-size-of-a-setup": "We evaluate models with 7 billion parameters.",
    "scaling-a-model-up": "The model is scaled from 0.1B to 3.5B parameters.",
    "resolution": "Images of 256times256 or 512x512 pixels are used.",
    "bit-widths": "Weights take 4-bit codes and activations 8-bit codes.",
    "identifiers": "We test ResNet-50, 3D nets, GPT-2 and top-5 error.",
    "sparsity-level": "All layers are kept at 50% sparsity.",
    "label-fraction": "We train with 1% labels only.",
    "memory-of-a-card": "Runs take 8 A100 80 GB GPUs each.",
    "win-over-rivals": "Zedwick outperforms all rivals by 12% across 4 benchmarks.",
    "length-of-media": "It writes clips of up to 15 seconds.",
    "half-of-a-thing": "Even half of the layers are idle in such networks.",
}


@pytest.mark.parametrize("sentence", REFUSED.values(), ids=REFUSED.keys())
def test_other_numbers_are_left_alone(sentence: str) -> None:
    assert read(sentence) == []


def test_results_of_earlier_work_are_not_the_papers_own() -> None:
    abstract = (
        "FastOld gives a 4x speedup over plain attention. However, it needs 2x memory. "
        "In this paper, we present Zedwick, which is 3x faster than FastOld."
    )
    assert [c.value for c in extract("Zedwick", abstract).claims] == [3.0]


QUALIFIED = {
    "up-to": ("Zedwick is up to 2x faster.", "up to"),
    "upto": ("Zedwick reaches upto 2x speedup.", "up to"),
    "at-least": ("Zedwick is over 2x faster.", "at least"),
    "more-than": ("Memory is reduced by more than 2x.", "at least"),
    "about": ("Zedwick is roughly 2x faster.", "about"),
    "flattened-sim": ("Zedwick brings sim2x speedup.", "about"),
    "less-than": ("The net has less than 2M parameters.", "up to"),
    "average": ("Memory is reduced by an average of 2x.", "average"),
    "none": ("Zedwick is 2x faster.", None),
}


@pytest.mark.parametrize(("sentence", "qualifier"), QUALIFIED.values(), ids=QUALIFIED.keys())
def test_the_qualifier_is_kept(sentence: str, qualifier: str | None) -> None:
    claims = extract("Zedwick", PROPOSES + sentence).claims
    assert [c.qualifier for c in claims] == [qualifier]


def test_members_of_a_loose_list_share_the_first_qualifier() -> None:
    sentence = "It improves throughput by up to 18x for small images and 55x for large ones."
    assert [c.qualifier for c in extract("Zedwick", PROPOSES + sentence).claims] == ["up to", "up to"]


DEVICES = {
    "respectively": (
        "It achieves 3x, 2x and 1.5x speedups on A100, V100 and T4 GPUs, respectively.",
        ["A100", "V100", "T4"],
    ),
    "pair": ("It is 3x and 2x faster on an RTX 4090 and an iPhone 12.", ["RTX 4090", "iPhone 12"]),
    "loose": ("It is 3x faster on an A100 and 2x on a V100.", ["A100", "V100"]),
    "one-for-all": ("It is 3x and 2x faster on an A100.", ["A100", "A100"]),
}


@pytest.mark.parametrize(("sentence", "devices"), DEVICES.values(), ids=DEVICES.keys())
def test_a_list_of_devices_is_shared_out_over_its_numbers(sentence: str, devices: list[str]) -> None:
    assert [c.hardware for c in extract("Zedwick", PROPOSES + sentence).claims] == devices


def test_each_number_of_a_list_has_its_own_baseline() -> None:
    sentence = "We report 6.5x and 2.5x latency reduction compared with Alpha and Beta, respectively."
    assert [c.baseline for c in extract("Zedwick", PROPOSES + sentence).claims] == ["Alpha", "Beta"]


PHASES = {
    "training": ("Zedwick gives a 2x training speedup.", "training"),
    "inference": ("Zedwick gives 2x higher inference throughput.", "inference"),
    "fine-tuning": ("Fine-tuning needs 60% less memory.", "fine-tuning"),
    "search": ("The search cost is reduced by 5x.", "search"),
}


@pytest.mark.parametrize(("sentence", "phase"), PHASES.values(), ids=PHASES.keys())
def test_the_phase_is_the_one_named(sentence: str, phase: str) -> None:
    assert [c.phase for c in extract("Zedwick", PROPOSES + sentence).claims] == [phase]


def test_throughput_of_a_training_method_is_of_training() -> None:
    abstract = "We propose Zedwick, pipeline parallelism with gradient compression. It gives 2x higher throughput."
    assert [c.phase for c in extract("Zedwick: distributed training", abstract).claims] == ["training"]


def test_the_device_of_a_number_is_kept() -> None:
    claims = extract("Zedwick", PROPOSES + "It is 3x faster on an RTX 4090 than plain code.").claims
    assert [c.hardware for c in claims] == ["RTX 4090"]


def test_a_claim_points_at_its_words() -> None:
    abstract = PROPOSES + "Zedwick reduces KV cache memory by 62% in practice."
    (claim,) = extract("Zedwick", abstract).claims
    assert abstract[claim.start : claim.end] == claim.quote == "reduces KV cache memory by 62%"
    assert claim.rule == "by-verb"
