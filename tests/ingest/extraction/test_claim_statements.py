"""What a number belongs to where a sentence says several things: metric, phase and qualifier together. Sentences are our own."""

import pytest

from ingest.extraction import extract

PROPOSES = "We propose Zedwick. "


def told(title: str, sentence: str) -> list[str]:
    """Claims in short: value, metric, phase and qualifier."""
    claims = extract(title, PROPOSES + sentence).claims
    return [" ".join(filter(None, (f"{c.value:g}", c.metric, c.phase, c.qualifier))) for c in claims]


PLAIN = "Zedwick: a method"
STATEMENTS: dict[str, tuple[str, str, list[str]]] = {
    "an-act-before-a-list": (
        PLAIN,
        "It trains networks sooner than all others known to us: a 14% gain in wall-clock speed on long texts, and a 3x speedup on short ones.",
        ["14 speedup training", "3 speedup training"],
    ),
    "an-act-ends-where-the-model-runs": (
        PLAIN,
        "The student trains in 8 hours on 8 GPUs and runs at 5 ms per image.",
        ["8 training_time training", "5 latency inference"],
    ),
    "forward-and-backward": (
        "Zedwick: faster training",
        "Its forward pass is 1.8x faster and its backward pass 2.4x faster.",
        ["1.8 speedup inference", "2.4 speedup training"],
    ),
    "a-served-adapter-is-not-tuned": (
        "Zedwick: serving many LoRA adapters at once",
        "Against a LoRA baseline it serves 4x more requests.",
        ["4 throughput inference"],
    ),
    "training-as-subject-of-a-verb": (
        PLAIN,
        "Low-precision training ran 75% faster.",
        ["75 training_time training"],
    ),
    "training-as-object-of-a-verb": (
        PLAIN,
        "It lets pre-training to be 2.5x faster.",
        ["2.5 training_time training"],
    ),
    "time-to-accuracy": (PLAIN, "It is 5x faster in time-to-accuracy.", ["5 training_time training"]),
    "inference-behind-a-training-time": (
        PLAIN,
        "We cut training by 3x and inference by 2x.",
        ["3 training_time training", "2 latency inference"],
    ),
    "steps-before-another-statement": (
        "Zedwick: diffusion in few steps",
        "It needs only 4 steps, and training takes only 32 A100 GPU hours.",
        ["4 other_efficiency inference", "32 training_cost training"],
    ),
    "built-faster": (PLAIN, "The graph is built 5x faster.", ["5 speedup other"]),
    "condensing-takes-time": (
        "Zedwick: dataset distillation",
        "The distillation takes 6x less time than before.",
        ["6 latency other"],
    ),
    "minutes-of-a-search": (
        "Zedwick: neural architecture search",
        "It ranks a thousand networks in 25 minutes on one GPU.",
        ["25 training_time search"],
    ),
    "hours-of-recovery": (
        "Zedwick: pruning",
        "The pruned model recovers in merely 3 hours.",
        ["3 training_time fine-tuning"],
    ),
    "price-in-a-search": (
        "Zedwick: neural architecture search",
        "Its search is 10x less expensive than the usual one.",
        ["10 training_cost search"],
    ),
    "computationally-efficient": (PLAIN, "It is 3x more computationally efficient.", ["3 flops inference"]),
    "efficiency-beside-energy": (
        "Zedwick: a chip",
        "The chip reaches 12 TOPS/W, 3x higher efficiency than before.",
        ["12 energy inference", "3 energy inference"],
    ),
    "weights-are-compressed": (PLAIN, "It compresses the weights by 4x.", ["4 compression inference"]),
    "an-index-shrinks": (PLAIN, "It shrinks the index by 12x.", ["12 storage inference"]),
    "connections": (PLAIN, "It cuts the number of connections by 9x.", ["9 params inference"]),
    "sram-beside-flash": (
        PLAIN,
        "It runs under 256 KB SRAM and 1 MB flash.",
        ["256 memory inference up to", "1 storage inference"],
    ),
    "time-steps": (PLAIN, "It takes 2x fewer time steps.", ["2 other_efficiency inference"]),
    "power-of-ten": (PLAIN, "It runs at 1.5x10^4 frames per second.", ["15000 throughput inference"]),
    "power-of-ten-in-latex": (PLAIN, r"It runs at $2 \times 10^3$ tokens per second.", ["2000 throughput inference"]),
    "a-single-day": (PLAIN, "We train it in a single day on one GPU.", ["1 training_time training"]),
    "device-in-front-of-gpu": (
        PLAIN,
        "Its training needs consist of 24,602 A100-GPU hours.",
        ["24602 training_cost training"],
    ),
    "peak-of": (PLAIN, "It runs with a peak of 29 tokens/s.", ["29 throughput inference up to"]),
    "at-best": (
        "Zedwick: GEMM kernels",
        "The kernels are 2x faster on average and 4x faster at best.",
        ["2 speedup inference average", "4 speedup inference up to"],
    ),
    "second-object-behind-a-score": (
        PLAIN,
        "It accelerates ANet by 2.3x with only a 0.05 decline in score, and BNet by 4.1x.",
        ["2.3 speedup inference", "4.1 speedup inference"],
    ),
    "systems-are-outperformed": (
        PLAIN,
        "It outperforms known serving systems by 1.5x.",
        ["1.5 speedup inference"],
    ),
    "few-labels-suffice": (PLAIN, "With 1% of the labels it reaches 75% accuracy.", ["1 data_samples training"]),
    "merged-frames": (
        "Zedwick: long videos",
        "By merging frames we read one-hour videos with 10x fewer tokens.",
        ["10 compression inference"],
    ),
    "flash-reads": (PLAIN, "It halves the flash reads.", ["2 bandwidth inference"]),
    "maximum-of-what-is-measured": (
        PLAIN,
        "It increases the maximum batch size by 6x.",
        ["6 other_efficiency inference"],
    ),
    "maximum-of-a-gain": (PLAIN, "It brings a maximum speedup of 6x.", ["6 speedup inference up to"]),
    "below-a-share": (PLAIN, "It needs <30% of the MACs.", ["30 flops inference up to"]),
    "procedure-as-verb": (PLAIN, "Our variant prunes 80x faster.", ["80 speedup other"]),
    "personalizing": (
        PLAIN,
        "Personalizing it takes under 10 minutes on one GPU.",
        ["10 training_time fine-tuning up to"],
    ),
    "customizing-is-tuning": ("Zedwick: customization of models", "It trains 2x faster.", ["2 training_time fine-tuning"]),
    "fewer-stored-things": (PLAIN, "It stores 31% fewer checkpoints.", ["31 storage inference"]),
    "per-something-is-no-list": (
        PLAIN,
        "It sends little per round, and memory on a client falls by 71%.",
        ["71 memory inference"],
    ),
    "smaller-and": (
        PLAIN,
        "The model is 24% smaller and its loading time 1.3x shorter.",
        ["24 model_size inference", "1.3 latency inference"],
    ),
    "load": (PLAIN, "It lowers CPU load by 23%.", ["23 other_efficiency inference"]),
    "one-step": ("Zedwick: planning by diffusion", "It needs 1 denoising step.", ["1 other_efficiency inference"]),
    "memory-of-a-search": (
        "Zedwick: neural architecture search",
        "It has lower memory needs (1/8th of others).",
        ["8 memory search"],
    ),
    "theoretical-compute": (PLAIN, "In training it saves 33% theoretical compute cost.", ["33 flops training"]),
    "training-between-faster-and-number": (
        PLAIN,
        "It is faster on benchmarks and in actual training of potentials by 30%.",
        ["30 training_time training"],
    ),
    "an-epoch-takes": (PLAIN, "An epoch takes 5.5 s instead of 71 s.", ["5.5 training_time training"]),
    "processed-video": (PLAIN, "It processes video at 14 FPS on one card.", ["14 throughput inference"]),
    "index-building": (PLAIN, "Index building is 11x faster.", ["11 speedup other"]),
    "paying-less": (PLAIN, "We pay 63% less.", ["63 other_efficiency inference"]),
    "an-eighth-as-large": (PLAIN, "The KV cache is one eighth as large.", ["8 memory inference"]),
    "steps-suffice": (PLAIN, "Four steps suffice where others take fifty.", ["4 other_efficiency inference"]),
    "british-state": (PLAIN, "It halves the optimiser state.", ["2 memory training"]),
    "number-of-a-card": (PLAIN, "It takes 36 seconds on an RTX 5090, a 2.4x speedup.", ["36 latency inference", "2.4 speedup inference"]),
    "pruned-by-a-factor": (PLAIN, "It prunes ANet by 10x.", ["10 compression inference"]),
    "bytes-a-round": (
        "Zedwick: federated learning",
        "It stays below 1 MB per round.",
        ["1 communication training up to"],
    ),
    "cost-of-a-thing-is-one-claim": (
        PLAIN,
        "It reduces the cost of data search by 200x.",
        ["200 other_efficiency inference"],
    ),
    "when-training": (
        PLAIN,
        "It lowers memory by 3x at a loss of 5% of the throughput when training a small network.",
        ["3 memory training"],
    ),
    "an-act-beside-throughput": (
        "Zedwick: experts at scale",
        "It trains a trillion weights with 4x less communication and 2.3x higher throughput.",
        ["4 communication training", "2.3 throughput training"],
    ),
    "search-behind-a-comma": (
        "Zedwick: a vector database",
        "Indexing is 5x faster, search is 2x faster.",
        ["5 speedup other", "2 speedup inference"],
    ),
    "faster-than-an-amount-of-calibration": (
        "Zedwick: quantization",
        "It quantizes a 7B model in 4 minutes, 20x faster than its rival.",
        ["4 training_time other", "20 speedup other"],
    ),
    "distilling": (PLAIN, "It distills 3x faster.", ["3 training_time training"]),
    "rollouts": (PLAIN, "It speeds up rollouts by 2.5x.", ["2.5 speedup training"]),
    "resulting-networks-of-a-search": (
        "Zedwick: neural architecture search",
        "The search is short, and the resulting networks take 1.9x less memory.",
        ["1.9 memory inference"],
    ),
    "in-the-backward-pass": (
        "Zedwick: kernels",
        "It is 7x faster in the forward pass and 5x in the backward pass.",
        ["7 speedup inference", "5 speedup training"],
    ),
    "sent-data": (PLAIN, "It sends 6x less data.", ["6 communication training"]),
    "exchanged-data": (PLAIN, "Workers exchange 500 times less data.", ["500 communication training"]),
    "smaller-batches": (PLAIN, "It gets by with 4x smaller batches.", ["4 other_efficiency inference"]),
    "shorter-training": (PLAIN, "It takes 46% shorter training.", ["46 training_time training"]),
    "a-penalty": (PLAIN, "It runs with a latency penalty of 2%.", ["2 latency inference"]),
    "milliseconds-are-of-a-run": (
        "Zedwick: distributed training",
        "Choosing a plan takes 1.8 ms.",
        ["1.8 latency inference"],
    ),
    "trained-rivals-compute": (
        PLAIN,
        "It matches dense models trained with twice the compute.",
        ["2 training_cost training"],
    ),
    "training-ends-where-it-classifies": (
        PLAIN,
        "It trains on one CPU, and classifies all the texts in under a minute.",
        ["1 latency inference up to"],
    ),
    "a-change-of-its-own": (
        PLAIN,
        "It cuts steps from 1000 to 32 and obtains wall-clock gains of 2-4x.",
        ["32 other_efficiency inference", "2 speedup inference"],
    ),
    "optimisers-train": ("Zedwick: better optimisers", "They use 75% less memory.", ["75 memory training"]),
    "personalized-is-not-tuned": (
        "Zedwick: personalized federated learning",
        "Clients spend 40% less energy.",
        ["40 energy training"],
    ),
    "faster-in-some-training": (PLAIN, "It is 1.3x faster in mixed-precision training.", ["1.3 training_time training"]),
    "a-price-shrinks": (PLAIN, "It shrinks serving cost by 3x.", ["3 other_efficiency inference"]),
    "hardly-any-data": (PLAIN, "We train it with 0.1% of the training tokens.", ["0.1 data_samples training"]),
    "a-noun-behind-another-number": (
        PLAIN,
        "It needs help 12x less often and reaches 1.7x higher throughput.",
        ["12 other_efficiency inference", "1.7 throughput inference"],
    ),
    "training-does-not-reach-milliseconds": (
        PLAIN,
        "It is trained in 40 minutes on one card and then takes 9 ms a query.",
        ["40 training_time training", "9 latency inference"],
    ),
    "drawn-samples": ("Zedwick: inference that stops early", "It needs 68% fewer samples.", ["68 other_efficiency inference"]),
    "backpropagation-is-shortened": (PLAIN, "It shortens backpropagation by 2x.", ["2 training_time training"]),
    "approx-with-a-dot": (PLAIN, "It takes approx. 3.5x less power.", ["3.5 energy inference about"]),
    "by-nearly-half": (
        PLAIN,
        "It cuts latency by 30% and memory by nearly half.",
        ["30 latency inference", "2 memory inference about"],
    ),
    "to-as-low-as": (PLAIN, "Latency falls from 48 ms to as low as 9 ms.", ["9 latency inference up to"]),
    "a-token-arrives-sooner": (PLAIN, "The first token arrives 2.4x sooner.", ["2.4 latency inference"]),
    "merged-tokens": (PLAIN, "It merges 75% of the visual tokens.", ["75 compression inference"]),
    "less-space": (PLAIN, "The index takes 16x less space.", ["16 storage inference"]),
    "faster-at-inference-too": (
        PLAIN,
        "It brings a 1.2x speedup in pre-training and 1.6x at inference.",
        ["1.2 training_time training", "1.6 speedup inference"],
    ),
    "a-step-of-fine-tuning": (
        PLAIN,
        "During fine-tuning it takes 44% less memory, at a 6% increase of the step time.",
        ["44 memory fine-tuning", "6 training_time fine-tuning"],
    ),
    "operations-that-it-costs": (PLAIN, "An image costs 7.2 TFLOPs.", ["7.2 flops inference"]),
    "battery": (PLAIN, "Two phones drain 22% less battery.", ["22 energy inference"]),
    "jobs-complete-sooner": (
        "Zedwick: training jobs on clusters",
        "It lowers average job completion time by 2.3x.",
        ["2.3 latency training average"],
    ),
    "few-evaluations-needed": (
        "Zedwick: sampling",
        "It needs 10 function evaluations for an FID of 2.9.",
        ["10 other_efficiency inference"],
    ),
    "training-is-shortened": (
        PLAIN,
        "Removing some of the weights, it shortens training 1.9x.",
        ["1.9 training_time training"],
    ),
    "effective-samples-a-second": (PLAIN, "It yields 12x more effective samples per second.", ["12 throughput inference"]),
}  # fmt: skip


@pytest.mark.parametrize(("title", "sentence", "expected"), STATEMENTS.values(), ids=STATEMENTS.keys())
def test_the_number_is_given_to_what_is_said_of_it(title: str, sentence: str, expected: list[str]) -> None:
    assert told(title, sentence) == expected


REFUSED: dict[str, tuple[str, list[str]]] = {
    "a-score-takes-no-unit": ("It gets a score of 77.7, and 62 ms latency.", ["62 latency inference"]),
    "a-set-up-governs-the-verb": (
        "With 20% heavy hitters it improves the throughput by 3x.",
        ["3 throughput inference"],
    ),
    "a-share-of-the-ideal": (
        "It cuts traffic by 7x and brings training to 93% of the ideal speed.",
        ["7 communication training"],
    ),
    "most-tokens": ("It looks at more than half of the tokens.", []),
    "a-baseline-that-sustains": (
        "It sustains 15 PFLOPs on many cards, with one card as a strong baseline that sustains 39 TFLOPs.",
        ["15 throughput inference"],
    ),
    "a-rival-with-a-number-in-its-name": (
        "Its training takes 24,602 GPU hours, compared to the Zed Large 2.1's 200,000 GPU hours.",
        ["24602 training_cost training"],
    ),
}


@pytest.mark.parametrize(("sentence", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_what_belongs_to_something_else_is_left_alone(sentence: str, expected: list[str]) -> None:
    assert told(PLAIN, sentence) == expected
