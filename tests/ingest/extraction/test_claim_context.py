"""What surrounds a number: rivals, quality, the phase that a sentence opens with, and what is said again. All sentences are our own."""

import pytest

from ingest.extraction import ExtractedClaim, extract

PROPOSES = "We propose Zedwick, a method for faster models. "
PLAIN = "Zedwick: a method"


def told(claim: ExtractedClaim) -> str:
    """A claim in short: metric, phase, value or range, unit, qualifier, and "worse" for a cost."""
    top = "" if claim.value_max is None else f"-{claim.value_max:g}"
    said = [claim.metric, claim.phase, f"{claim.value:g}{top}", claim.unit, claim.qualifier]
    return " ".join([*(part for part in said if part), *(["worse"] if claim.direction == "worse" else [])])


def read(sentence: str, title: str = PLAIN) -> list[str]:
    return [told(claim) for claim in extract(title, PROPOSES + sentence).claims]


TRAINING = "Zedwick: faster pre-training of large models"
READ: dict[str, tuple[str, str, list[str]]] = {
    "less-than-a-share-is-at-least": (
        PLAIN,
        "It uses less than 10% of the parameters of its teacher.",
        ["params inference 10 % at least"],
    ),
    "at-most-a-share-is-up-to": (
        PLAIN,
        "It matches the teacher with \\leq 10% of the parameters.",
        ["params inference 10 % up to"],
    ),
    "as-few-as-is-up-to": (PLAIN, "It needs as few as 3% of the parameters.", ["params inference 3 % up to"]),
    "rivals-are-the-subject": (
        PLAIN,
        "While other methods only save 20% of memory, ours saves 60%.",
        ["memory inference 60 %"],
    ),
    "a-head-shares-its-modifier": (
        TRAINING,
        "It reduces the communication volume and overhead by 9x and 7x.",
        ["communication training 9 x", "communication training 7 x"],
    ),
    "compared-again": (
        TRAINING,
        "It has a convergence speedup of 9.5x at 300K iterations compared to ANet and 25x compared to BNet.",
        ["training_time training 9.5 x", "training_time training 25 x"],
    ),
    "speedup-in-brackets-is-of-training": (
        PLAIN,
        "It yields faster training (up to 3.5x speedup).",
        ["training_time training 3.5 x up to"],
    ),
    "object-behind-the-number": (
        PLAIN,
        "It accelerates 40% the training of large models.",
        ["training_time training 40 %"],
    ),
    "spelled-megabytes": (PLAIN, "The model is only two megabytes in size.", ["model_size inference 2 MB"]),
    "the-fast-is-no-throughput": (
        PLAIN,
        "It can speed up top-performing models (e.g., 31x than ANet, 4x than BNet).",
        ["speedup inference 31 x", "speedup inference 4 x"],
    ),
    "a-name-with-a-number": (
        PLAIN,
        "It has a latency of 3.4 ms on a Zedphone 13, 2x faster than others.",
        ["latency inference 3.4 ms", "speedup inference 2 x"],
    ),
    "opening-phase": (PLAIN, "As for training, we save 80% of the learnable weights.", ["params training 80 %"]),
    "opening-phase-during": (PLAIN, "During training, it saves 35% of memory.", ["memory training 35 %"]),
    "phase-behind-a-semicolon": (
        PLAIN,
        "During training, memory falls by 35%; inference stays the same.",
        ["memory training 35 %"],
    ),
    "without-training-is-no-phase": (
        PLAIN,
        "Latency is cut by 3.6x without any training.",
        ["latency inference 3.6 x"],
    ),
    "trained-model-runs": (
        PLAIN,
        "A speech model trained on the codes generates 3.9x faster than others.",
        ["speedup inference 3.9 x"],
    ),
    "training-is-the-subject": (
        PLAIN,
        "End-to-end training of a 7B model at 16k tokens is accelerated by 1.24x.",
        ["training_time training 1.24 x"],
    ),
    "training-in-front": (
        PLAIN,
        "Training a large network with our kernel is 15% faster.",
        ["training_time training 15 %"],
    ),
    "training-right-before": (
        TRAINING,
        "Vision training is 3.3x faster, and language pre-training 4.6x faster.",
        ["training_time training 3.3 x", "training_time training 4.6 x"],
    ),
    "cheaper-training": (PLAIN, "Training is 5x cheaper than with ANet.", ["training_cost training 5 x"]),
    "search-budget": (
        "Zedwick: neural architecture search",
        "It finds networks with 40x lower computational cost than earlier search methods.",
        ["training_cost search 40 x"],
    ),
    "deeper-networks-fit": (
        TRAINING,
        "On a small card we can train networks four times deeper.",
        ["other_efficiency training 4 x"],
    ),
    "longer-inputs": (PLAIN, "The model processes 6x longer videos.", ["other_efficiency inference 6 x"]),
    "memory-is-smaller": (PLAIN, "It runs with memory 7x smaller than ANet.", ["memory inference 7 x"]),
    "a-slowdown-is-worse": (
        TRAINING,
        "Peak memory falls 6.5x at a slowdown of 1.4x.",
        ["memory training 6.5 x", "speedup training 1.4 x worse"],
    ),
    "a-ratio-behind-an-amount": (
        PLAIN,
        "The kernel sustains 690 TFLOPS on an H100, 1.4x over the best open kernel.",
        ["throughput inference 690 TFLOPs", "throughput inference 1.4 x"],
    ),
    "time-falls-and-memory-grows": (
        TRAINING,
        "A training step takes 3.8x less time and memory grows linearly.",
        ["training_time training 3.8 x"],
    ),
    "rare-parts": (PLAIN, "It needs a fifteenth of the parameters.", ["params inference 15 x"]),
    "with-a-share-of-its-cost": (
        PLAIN,
        "It keeps the quality of the largest model with 22% of its cost.",
        ["other_efficiency inference 22 %"],
    ),
    "fewer-in-figures": (
        PLAIN,
        "It uses 9 billion fewer FLOPs than ANet.",
        ["flops inference 9 B FLOPs"],
    ),
    "storage-falls-from-to": (
        PLAIN,
        "It reduces the storage by 35x, from 240 MB to 6.9 MB.",
        ["storage inference 35 x", "storage inference 6.9 MB"],
    ),
    "cheaper-cards-are-a-place": (
        PLAIN,
        "We measure inference speedups of 3.2x on large GPUs and 4.5x on cheaper ones.",
        ["speedup inference 3.2 x", "speedup inference 4.5 x"],
    ),
    "a-ratio-of-a-search": (
        "Zedwick: neural architecture search",
        "The search takes 9 GPU days, 180x less than others.",
        ["training_cost search 9 GPU-days", "training_cost search 180 x"],
    ),
    "marked-up-numbers": (PLAIN, "Latency falls by up to **12x**.", ["latency inference 12 x up to"]),
    "halved-steps": (
        "Zedwick: faster diffusion",
        "Each round halves the number of required sampling steps.",
        ["other_efficiency inference 2 x"],
    ),
    "tuning-time": (PLAIN, "It shortens the fine-tuning time by 30x.", ["training_time fine-tuning 30 x"]),
    "trained-within-a-memory": (PLAIN, "It lets us train a 7B model within 24 GB.", ["memory training 24 GB up to"]),
    "what-is-named-later": (
        PLAIN,
        "It reduces the memory overhead, achieving a compression ratio of up to 95%.",
        ["compression inference 95 % up to"],
    ),
    "an-order-more": (
        "Zedwick: neural architecture search",
        "It is at least an order more sample efficient than others.",
        ["data_samples search 10 x at least"],
    ),
    "magnitudes-more": (PLAIN, "It outperforms methods using magnitudes more data.", ["data_samples training 10 x"]),
    "bare-speedups": (
        PLAIN,
        "We get speedups of 1.5, 2.2 and 3.1 on three tasks.",
        ["speedup inference 1.5 x", "speedup inference 2.2 x", "speedup inference 3.1 x"],
    ),
    "ratio-in-front": (PLAIN, "It brings a 3:1 compression ratio.", ["compression inference 3 x"]),
    "rates-above": (PLAIN, "Compression rates above 20x are reached.", ["compression inference 20 x at least"]),
    "rivals-are-slower": (PLAIN, "The best rival is 3x slower than ours.", ["speedup inference 3 x"]),
    "fewer-devices": (
        PLAIN,
        "At the same SLO, the cluster needs 35% fewer GPUs.",
        ["other_efficiency inference 35 %"],
    ),
    "attainment-of-latency": (
        PLAIN,
        "It improves TTFT SLO attainment by up to 23.9%.",
        ["other_efficiency inference 23.9 % up to"],
    ),
    "a-target-is-no-claim": (
        PLAIN,
        "It raises throughput by 3x for a latency target of 4 seconds.",
        ["throughput inference 3 x"],
    ),
    "faster-at-inference": (
        PLAIN,
        "A model trained with it is 2x faster at inference.",
        ["speedup inference 2 x"],
    ),
    "each-its-own-phase": (
        PLAIN,
        "It speeds up fine-tuning by 1.5x and decoding by 1.2x.",
        ["training_time fine-tuning 1.5 x", "speedup inference 1.2 x"],
    ),
    "speeds-up-behind-another-noun": (
        PLAIN,
        "It cuts training memory of attention from quadratic to linear and speeds up training by 2x.",
        ["training_time training 2 x"],
    ),
    "few-additional-parameters": (PLAIN, "Only 0.5% additional parameters are added.", ["params inference 0.5 %"]),
    "tuned-in-a-memory": (PLAIN, "Fine-tuning a 7B model takes 13 GB.", ["memory fine-tuning 13 GB"]),
    "a-procedure-is-fast": (
        "Zedwick: faster pruning",
        "A variant with fine-tuning of masks accelerates compression by up to 20 times.",
        ["speedup other 20 x up to"],
    ),
    "tuning-becomes-faster": (
        PLAIN,
        "Fine-tuning a large model on videos becomes 1.6x faster.",
        ["training_time fine-tuning 1.6 x"],
    ),
    "an-overhead-is-of-its-own-noun": (
        PLAIN,
        "It has 3x lower energy at an area overhead of 9% of the DRAM die.",
        ["energy inference 3 x", "other_efficiency inference 9 % worse"],
    ),
    "trained-in-a-memory": (
        PLAIN,
        "The system trains networks in 231 kB, 720x less than a desktop framework.",
        ["memory training 231 KB", "memory training 720 x"],
    ),
    "a-rival-called-like-a-verb": (
        PLAIN,
        "It has 80% less token latency compared to Accelerate, and over 90% compared to BNet.",
        ["latency inference 80 %", "latency inference 90 % at least"],
    ),
    "the-bracket-says-how-much": (
        PLAIN,
        "It requires orders of magnitude less compute (up to 150-fold fewer FLOPs).",
        ["flops inference 150 x up to"],
    ),
    "accuracy-at-so-much": (PLAIN, "It has 80% top-1 accuracy at 600 MFLOPs.", ["flops inference 600 MFLOPs"]),
    "faster-than-a-training": (
        PLAIN,
        "It is 15x faster and of higher quality than training the model from scratch.",
        ["training_time training 15 x"],
    ),
    "experiments-run-faster": (PLAIN, "Experiments can run up to 90x faster.", ["speedup other 90 x up to"]),
    "benefits-of-a-kernel": (
        PLAIN,
        "On average, the performance benefits of our kernel are 12x, 20x and 33x.",
        ["speedup inference 12 x average", "speedup inference 20 x average", "speedup inference 33 x average"],
    ),
    "an-average-in-front": (
        PLAIN,
        "On average over four tasks, the model is 2x faster.",
        ["speedup inference 2 x average"],
    ),
    "shares-that-suffice": (
        TRAINING,
        "It reaches the loss of ANet with 45% of the tokens.",
        ["data_samples training 45 %"],
    ),
    "a-share-goes-on": (
        PLAIN,
        "It reaches the same accuracy with 45% of the parameters and 52% of the FLOPs.",
        ["params inference 45 %", "flops inference 52 %"],
    ),
    "steps-that-suffice": (TRAINING, "Convergence is reached in 60% of the steps.", ["training_time training 60 %"]),
    "a-bracket-inside": (
        PLAIN,
        "It saves on average 43% (max. 71%) of memory.",
        ["memory inference 43 % average", "memory inference 71 % up to"],
    ),
    "where-it-was-measured": (
        PLAIN,
        "We observe 1.9x speedup at batch size 1, 1.5x at 8 and 1.2x at 32.",
        ["speedup inference 1.9 x", "speedup inference 1.5 x", "speedup inference 1.2 x"],
    ),
    "what-leads-in-does-not-fall": (
        PLAIN,
        "By overlapping loads with compute, cold starts are shortened by 8x.",
        ["latency inference 8 x"],
    ),
    "fewer-than-so-many-parameters": (
        PLAIN,
        "The detector has only 3.6M parameters, 4x smaller than ANet.",
        ["params inference 3.6 M params", "params inference 4 x"],
    ),
    "tuned-on-a-card": (PLAIN, "We fine-tune a 13B model on a 16GB card.", ["memory fine-tuning 16 GB"]),
    "glued-to-its-times": (
        PLAIN,
        "A 4.3timesspeedup and 12.8timesfewer parameters are reached.",
        ["speedup inference 4.3 x", "params inference 12.8 x"],
    ),
    "thrift-goes-on": (
        "Zedwick: fine-tuning of pruned models",
        "Fine-tuning needs just 50K samples and 3 hours.",
        ["data_samples fine-tuning 50 k samples", "training_time fine-tuning 3 hours"],
    ),
    "simulated-time-a-day": (
        PLAIN,
        "It simulates water at 2.9 ns per day.",
        ["throughput inference 2.9 ns"],
    ),
}


@pytest.mark.parametrize(("title", "sentence", "expected"), READ.values(), ids=READ.keys())
def test_a_number_is_read_by_what_surrounds_it(title: str, sentence: str, expected: list[str]) -> None:
    assert read(sentence, title) == expected


LEFT_ALONE = [
    "While the comparative methods' smallest decline is 8.2%, ours is nearly lossless.",
    "Existing accelerators draw at least 50 mW for the task.",
    "It was tried on data sets such as Zed-10, Zed-100 and ZedNet with an average degradation of 0.2% in accuracy.",
    "Random dropping with an equal budget loses 2.1%.",
    "With some of the weights tuned, the word error rate on one dialect drops from 31.5% to 22.9%.",
    "The kernel is close to the ideal 4x speedup.",
    "The rate of contradicted statements falls from 31% to 12%.",
    "The encoder has a 32x spatial reduction.",
    "Simulations are stable for 10 ns.",
    "It runs as fast as ANet (1.6 ms, 74.7% top-1).",
    "It surpasses ANet by 0.7% on ImageNet.",
    "It keeps 98.5% of the accuracy with a drop of only 0.5%.",
    "The kernels are the bottlenecks, consuming 72% and 60% of the time.",
    "On the kernel's latency, it beats ANet by 1.2% in all cases.",
    "The codec is preferred over ANet at 6 kbps.",
    "With an RTX 4090, 256 GB DRAM and twelve drives the model can be tuned.",
]


@pytest.mark.parametrize("sentence", LEFT_ALONE)
def test_what_is_of_rivals_quality_or_the_machine_is_left_alone(sentence: str) -> None:
    assert read(sentence) == []


def test_a_paper_speaks_of_its_own_work_from_its_name_on() -> None:
    abstract = (
        "Variants are many. ZedHive packs them. In a replay, ZedHive doubles the throughput. We release the code."
    )
    (claim,) = extract("ZedHive: packing variants", abstract).claims
    assert (claim.metric, claim.value) == ("throughput", 2.0)
    assert extract("Packing variants", abstract).claims == ()
