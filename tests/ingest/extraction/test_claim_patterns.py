"""Sentences that each hold one pattern of a claim: how a number is written, how numbers are listed, in which order number,
noun and change word stand, and what an amount measures. All are our own."""

import pytest

from ingest.extraction import ExtractedClaim, extract

PROPOSES = "We propose Zedwick, a method for faster models. "


def told(claim: ExtractedClaim) -> str:
    """A claim in short: metric, value or range, unit, qualifier, and "worse" where it is a cost."""
    top = "" if claim.value_max is None else f"-{claim.value_max:g}"
    said = [
        claim.metric,
        f"{claim.value:g}{top}",
        claim.unit,
        claim.qualifier,
        "worse" if claim.direction == "worse" else "",
    ]
    return " ".join(part for part in said if part)


def read(sentence: str) -> list[str]:
    return [told(claim) for claim in extract("Zedwick: a method", PROPOSES + sentence).claims]


NUMBERS = {
    "digits-x": ("Zedwick is 2.6x faster than the dense layer.", ["speedup 2.6 x"]),
    "capital-x": ("Zedwick is 2.6X faster than the dense layer.", ["speedup 2.6 x"]),
    "times-sign": ("Zedwick is 2.6× faster than the dense layer.", ["speedup 2.6 x"]),
    "flattened-times": ("It gives a 3.4times speedup in decoding.", ["speedup 3.4 x"]),
    "latex-times": (r"It gives up to $5.5\times$ latency reduction on one device.", ["latency 5.5 x up to"]),
    "latex-times-in-braces": (r"It gives a $3{\times}$ speedup on one device.", ["speedup 3 x"]),
    "times-sign-in-front": ("Decoding is ×3.5 faster.", ["speedup 3.5 x"]),
    "word-times": ("It is 25 times faster.", ["speedup 25 x"]),
    "hyphen-times": ("It brings a 3-times speedup.", ["speedup 3 x"]),
    "fold": ("We see a 1.8-fold increase in speed.", ["speedup 1.8 x"]),
    "fused-fold": ("It gives a threefold speedup.", ["speedup 3 x"]),
    "spelled-fold": ("It yields a two-fold reduction in FLOPs and a four-fold reduction in memory.", ["flops 2 x", "memory 4 x"]),
    "spelled-times": ("It is nearly three times faster.", ["speedup 3 x about"]),
    "spelled-range-of-times": ("It needs two to nine times fewer parameters than the teacher.", ["params 2-9 x"]),
    "tens": ("Simulation is hundreds of times faster.", ["speedup 100 x"]),
    "twice": ("Decoding runs twice as fast.", ["speedup 2 x"]),
    "percent": ("Latency is 38% lower.", ["latency 38 %"]),
    "escaped-percent": (r"It takes 30\% less memory.", ["memory 30 %"]),
    "spaced-escaped-percent": (r"It takes 30\,\% less memory.", ["memory 30 %"]),
    "percent-word": ("Energy drops by more than 90 percent.", ["energy 90 % at least"]),
    "per-cent": ("Energy drops by 90 per cent.", ["energy 90 %"]),
    "fused-range": (r"The student runs at a 10\~20X faster speed.", ["speedup 10-20 x"]),
    "range-with-sim": ("It reaches 1.3xsim2.7x acceleration on phones.", ["speedup 1.3-2.7 x"]),
    "range-with-dash": ("Kernels run 1.2x-1.9x faster than before.", ["speedup 1.2-1.9 x"]),
    "range-with-en-dash": ("Kernels run 1.2–1.9x faster than before.", ["speedup 1.2-1.9 x"]),
    "range-with-to": ("We measure 2.1x to 4.9x acceleration of the encoder.", ["speedup 2.1-4.9 x"]),
    "range-with-between": ("Zedwick is between 5x and 7x faster.", ["speedup 5-7 x"]),
    "range-from-to": ("Speedups range from 1.5x to 6x.", ["speedup 1.5-6 x"]),
    "range-of-percent": ("It sees throughput gains of 12-40%.", ["throughput 12-40 %"]),
    "sim-number": ("It is sim2x faster.", ["speedup 2 x about"]),
    "tilde": ("It is ~2x faster.", ["speedup 2 x about"]),
    "approx-latex": (r"It is $\approx 2\times$ faster.", ["speedup 2 x about"]),
    "textless": (r"The table needs \textless2MB of memory at run time.", ["memory 2 MB up to"]),
    "greater": ("It trains >1.5x faster.", ["training_time 1.5 x at least"]),
    "leq": (r"It keeps $\leq$5% of the KV cache.", ["memory 5 % up to"]),
    "plus-behind": ("It can improve throughput by 10+%.", ["throughput 10 % at least"]),
    "plus-on-rate": ("It runs at 30+ FPS on mobile phones.", ["throughput 30 FPS at least"]),
    "thousands-with-comma": ("It cuts the number of trainable parameters by 10,000 times.", ["params 10000 x"]),
    "power-of-ten": ("Sampling is 10^3x faster.", ["speedup 1000 x"]),
    "magnitude": ("Sampling becomes an order of magnitude faster.", ["speedup 10 x"]),
    "magnitudes": ("Search is two orders of magnitude faster than retraining.", ["speedup 100 x"]),
    "magnitudes-range": ("Search is 2-3 orders of magnitude faster than retraining.", ["speedup 100-1000 x"]),
    "magnitudes-spelled-range": ("Search is two to three orders of magnitude faster.", ["speedup 100-1000 x"]),
    "magnitude-hyphens": ("It brings an order-of-magnitude speedup.", ["speedup 10 x"]),
    "magnitude-behind": ("It is faster than retraining by orders of magnitude.", ["speedup 10 x"]),
    "half-the": ("The sampler needs only half the function evaluations.", ["other_efficiency 2 x"]),
    "in-half": ("It cuts activation memory in half.", ["memory 2 x"]),
    "halving": ("Sharing keys works well in practice, halving the memory of the cache.", ["memory 2 x"]),
    "halves": ("It halves the memory of the cache.", ["memory 2 x"]),
    "quarter": ("The memory needed for activations is cut to a quarter.", ["memory 4 x"]),
    "eighth": ("It uses only one-eighth of the parameters.", ["params 8 x"]),
    "eighth-in-digits": ("It has reduced memory requirements (1/8th of the baseline).", ["memory 8 x"]),
    "fractions-saved": ("It shrinks the model, reducing the number of parameters by 1/4 to 1/2.", ["params 25-50 %"]),
    "two-thirds": ("It prunes two thirds of the weights.", ["params 66.7 %"]),
    "factor-of": ("It reduces the response time by a factor of 5.", ["latency 5 x"]),
    "factor-of-word": ("It reduces the response time by a factor of three.", ["latency 3 x"]),
    "factor-of-up-to": ("It reduces memory by a factor of up to 4.", ["memory 4 x up to"]),
    "bare-speedup": ("We achieve a 1.64 speed-up on the small model.", ["speedup 1.64 x"]),
    "speedup-of-bare": ("The kernel gives a speedup of 2.5 on an A100.", ["speedup 2.5 x"]),
    "ratio-of-bare": ("It attains a compression rate of 16.4 on VGG.", ["compression 16.4 x"]),
    "ratio-with-colon": ("It attains a compression ratio of 32:1.", ["compression 32 x"]),
    "order-of-an-amount": ("We show that O(100) ns inference is feasible.", ["latency 100 ns about"]),
    "scale-letters": ("The student has only 0.7B parameters.", ["params 0.7 B params"]),
    "scale-words": ("The student has under ten million parameters.", ["params 10 M params up to"]),
    "named-before": ("It has a parameter count of only 2.3M.", ["params 2.3 M params"]),
    "frame-rate-before": ("It runs at a frame rate of 50.", ["throughput 50 FPS"]),
    "rate-behind-brackets": ("It draws 8.9 frames (128x128 pixels) per second.", ["throughput 8.9 frames/s"]),
    "minus-sign": ("It needs −40% FLOPs at equal accuracy.", ["flops 40 %"]),
    "plus-sign": ("It gives +30% throughput.", ["throughput 30 %"]),
    "x-in-front": ("It gives an x10 speedup.", ["speedup 10 x"]),
    "thousand-times": ("It is 1.2k× faster.", ["speedup 1200 x"]),
    "million-times": ("It is 2.4 million times faster.", ["speedup 2.4e+06 x"]),
    "hyphened-orders": ("It is two-orders of magnitude faster.", ["speedup 100 x"]),
    "verb-at-the-end": ("Throughput doubles.", ["throughput 2 x"]),
    "more-than-doubles": ("It more than doubles throughput.", ["throughput 2 x at least"]),
    "one-half": ("It cuts latency by one half.", ["latency 2 x"]),
    "mixed-dollars": (r"It gives a $1.5$-$2\times$ speedup.", ["speedup 1.5-2 x"]),
    "double-dash": ("It gives a 2.1--3.5× speedup.", ["speedup 2.1-3.5 x"]),
    "percent-range": ("It takes 25%~30% less memory.", ["memory 25-30 %"]),
    "bold": (r"It reduces memory by up to \textbf{44.9\%} on A.", ["memory 44.9 % up to"]),
    "tags": ("It gives a <b>2.7x-3.5x</b> speedup.", ["speedup 2.7-3.5 x"]),
    "texttimes": (r"Throughput rises by 9.8{\texttimes}.", ["throughput 9.8 x"]),
    "thin-space": (r"It gives a $\sim\!2\times$ speedup.", ["speedup 2 x about"]),
    "dollars-and-blank": (r"It takes $1.36 \times$ less memory.", ["memory 1.36 x"]),
    "spread": ("It gives a speedup of 15% (± 3%).", ["speedup 15 %"]),
    "binary-prefix": ("It needs only 24 GiB of memory.", ["memory 24 GiB"]),
    "per-minute": ("It processes 300 images per minute.", ["throughput 300 images/min"]),
    "unit-of-a-pair": ("It reduces the parameter count from 355.3 million to just 0.09 million.", ["params 0.09 M params"]),
    "hyphened-span": ("Inference has a 0.5-second latency.", ["latency 0.5 s"]),
    "percent-range-in-words": ("It takes 25 to 30 percent less memory.", ["memory 25-30 %"]),
}  # fmt: skip

LISTS = {
    "shared-noun": (
        "We see latency reductions of 12%, 15%, and 21% on three networks.",
        ["latency 12 %", "latency 15 %", "latency 21 %"],
    ),
    "shared-comparative": (
        "It takes 2.1x, 3.4x and 4.0x fewer operations than A, B and C, respectively.",
        ["flops 2.1 x", "flops 3.4 x", "flops 4 x"],
    ),
    "last-unit-counts": ("It gives a 2, 3 and 5 times speedup on three networks.", ["speedup 2 x", "speedup 3 x", "speedup 5 x"]),
    "slashes": (
        "It needs 35%/52% fewer parameters and 50%/62% fewer MACs.",
        ["params 35 %", "params 52 %", "flops 50 %", "flops 62 %"],
    ),
    "a-noun-each": ("It takes 3.5x and 4.5x fewer multiply-adds and parameters than before.", ["flops 3.5 x", "params 4.5 x"]),
    "one-number-two-nouns": ("It reduces the FLOPs and parameters by over 60%.", ["flops 60 % at least", "params 60 % at least"]),
    "one-number-one-metric": ("It takes 80% less time-to-first-token and token latency.", ["latency 80 %"]),
    "with-brackets": ("FLOPs are compressed by 3-5x (small net) and 20-30x (large net).", ["flops 3-5 x", "flops 20-30 x"]),
    "on-data-sets": ("Our kernels reach a speedup of 8x on scans, and 14x on sorts.", ["speedup 8 x", "speedup 14 x"]),
    "noun-in-front": (
        "It yields speedups of 1.3x (small), 1.9x (base) and 2.4x (large).",
        ["speedup 1.3 x", "speedup 1.9 x", "speedup 2.4 x"],
    ),
    "savings-of": (
        "It leads to memory savings of 3.2x, 2.7x and 2.5x on three models.",
        ["memory 3.2 x", "memory 2.7 x", "memory 2.5 x"],
    ),
    "second-object": (
        "Routing helps, reducing active parameters by 40% and inference costs by 85%.",
        ["params 40 %", "other_efficiency 85 %"],
    ),
    "parallel-savings": (
        "We obtain 48% inference FLOPs and 41% training FLOPs savings over the dense net.",
        ["flops 48 %", "flops 41 %"],
    ),
    "own-noun-behind": (
        "It outperforms the card by 12.5x in throughput and 8x in energy efficiency.",
        ["throughput 12.5 x", "energy 8 x"],
    ),
    "pruned-in": ("The net is pruned by 2.3x in FLOPs and 1.9x in parameters.", ["flops 2.3 x", "params 1.9 x"]),
    "ellipsis": ("It gives 2.1x end-to-end and 4.3x kernel speedups.", ["speedup 2.1 x", "speedup 4.3 x"]),
    "average-in-brackets": (
        "It reduces training time by up to 2.45x (on average 2.03x).",
        ["training_time 2.45 x up to", "training_time 2.03 x average"],
    ),
    "amounts": ("The models take 2.78/3.83/5.62 ms on a T4.", ["latency 2.78 ms", "latency 3.83 ms", "latency 5.62 ms"]),
    "either-of-two-amounts": ("It draws images in only 2 or 4 steps.", ["other_efficiency 2-4 steps"]),
    "amounts-of-two-kinds": (
        "It obtains 75.2% top-1 with 3.4M parameters and 300M MAdds.",
        ["params 3.4 M params", "flops 300 M MAdds"],
    ),
    "rivals-list": (
        "It is 3.3x and 2.6x faster than the old card and the new card respectively.",
        ["speedup 3.3 x", "speedup 2.6 x"],
    ),
}  # fmt: skip

ORDERS = {
    "as-fast-as": ("The fused layer ran approximately four times as fast as the stock one.", ["speedup 4 x about"]),
    "as-many": ("It serves twice as many requests per second.", ["throughput 2 x"]),
    "as-efficient": ("It is twice as computationally efficient.", ["flops 2 x"]),
    "more-efficient": ("It is 5x more data-efficient.", ["data_samples 5 x"]),
    "more-efficient-in-two-words": ("It is 3x more sample efficient than before.", ["data_samples 3 x"]),
    "cost-effective": ("Serving is 8x more cost-effective.", ["other_efficiency 8 x"]),
    "more-compact": ("The found nets are 60% and 45% more compact in terms of parameters.", ["params 60 %", "params 45 %"]),
    "verb-and-object": ("It saves 63.3% energy on small images.", ["energy 63.3 %"]),
    "verb-then-by": ("Peak memory is lowered by up to 58.2%.", ["memory 58.2 % up to"]),
    "verb-without-by": ("Memory traffic is cut 4x.", ["bandwidth 4 x"]),
    "object-then-number": ("It speeds up attention 2.8x for long texts.", ["speedup 2.8 x"]),
    "down-by": ("It brings memory down by 5x.", ["memory 5 x"]),
    "down-to-a-share": ("KV cache sizes are reduced to 1/8.", ["memory 8 x"]),
    "comparison-first": ("Compared with rivals, memory footprint is lowered by 58%.", ["memory 58 %"]),
    "noun-of-change": ("It brings a 20% speed improvement.", ["speedup 20 %"]),
    "noun-of-change-of": ("An energy saving of 68% is achieved.", ["energy 68 %"]),
    "overhead": ("It comes at a 1% computational overhead.", ["flops 1 % worse"]),
    "brackets": ("Zedwick has much lower storage cost (up to 150times reduction) than rivals.", ["storage 150 x up to"]),
    "comparative-in-brackets": ("It beats rivals on ten sets (up to 315x faster with the same accuracy).", ["speedup 315 x up to"]),
    "throughput-of": ("At equal loss, throughput rises by 2.4x.", ["throughput 2.4 x"]),
    "is-lower": ("Inference latency is 38% lower and throughput is 1.7 times higher.", ["latency 38 %", "throughput 1.7 x"]),
    "share-kept": ("It keeps only 12.5% of the KV cache.", ["memory 12.5 %"]),
    "share-dropped": ("80% of the cache can be evicted without loss.", ["memory 80 %"]),
    "share-tuned": ("It tunes only 0.5% of the parameters.", ["params 0.5 %"]),
    "share-of-queries": ("It works with only 1% of the training queries.", ["data_samples 1 %"]),
    "of-peak": ("It sustains a throughput of 52% of the theoretical peak.", ["throughput 52 %"]),
    "utilization": ("It reaches 61% model FLOPs utilization.", ["other_efficiency 61 %"]),
    "scaling-efficiency": ("It scales to many cards with 92% scaling efficiency.", ["other_efficiency 92 %"]),
    "sparsity-reached": ("It achieves more than 80% sparsity at equal accuracy.", ["compression 80 % at least"]),
    "fewer-of-anything": ("It needs 30% fewer retrievals.", ["other_efficiency 30 %"]),
    "number-of-anything": ("It reduces the number of visited sites by 70%.", ["other_efficiency 70 %"]),
    "bigger-rivals": ("Zedwick matches networks with up to four times more parameters.", ["params 4 x up to"]),
    "rivals-of-twice-the-size": ("Zedwick matches networks twice its size.", ["model_size 2 x"]),
    "rivals-larger": ("It rivals networks 10x larger.", ["model_size 10 x"]),
    "rivals-data": ("It matches models trained on 3x the amount of data.", ["data_samples 3 x"]),
    "capacity": ("It enables up to 6.4x larger batch size.", ["other_efficiency 6.4 x up to"]),
    "worse-is-said": ("The block adds little, with a 2% increase in FLOPs.", ["flops 2 % worse"]),
    "tokens-compressed": ("Images are encoded with 16x fewer visual tokens.", ["compression 16 x"]),
    "index-smaller": ("The index is 32x smaller.", ["storage 32 x"]),
    "performance-per-watt": ("It delivers 4.1x better performance per watt.", ["energy 4.1 x"]),
    "subjects-share-numbers": (
        "Parameters, FLOPs and latency are reduced by 60%, 55% and 20%.",
        ["params 60 %", "flops 55 %", "latency 20 %"],
    ),
    "efficient-in-terms-of": ("It is ten times more efficient in terms of memory.", ["memory 10 x"]),
    "at-a-share-of-the-cost": ("The same quality is reached at 15% of the cost.", ["other_efficiency 15 %"]),
    "cut-to-a-share-of-its-size": ("It cuts the KV cache to 6% of its size.", ["memory 6 %"]),
    "software-rivals": ("Zedwick outperforms software baselines by 21x.", ["speedup 21 x"]),
    "better-training": ("It improves end-to-end training by 1.4x.", ["training_time 1.4 x"]),
    "shorter-training": ("It shortens pre-training by 25%.", ["training_time 25 %"]),
    "two-kinds-of-savings": ("It saves 62% FLOPs and 1.9x time.", ["flops 62 %", "latency 1.9 x"]),
    "comparatives-before-brackets": (
        "It is smaller (by 5x) and faster (by 3x) than its rivals.",
        ["model_size 5 x", "speedup 3 x"],
    ),
    "brackets-before-comparative": ("Zedwick is 1.4x (CPU) and 2.2x (GPU) faster.", ["speedup 1.4 x", "speedup 2.2 x"]),
}  # fmt: skip

AMOUNTS = {
    "latency": ("It answers with only 1.6 ms inference latency on a phone.", ["latency 1.6 ms"]),
    "latency-in": ("It turns text into an image in 0.8 seconds on one A100.", ["latency 0.8 s"]),
    "latency-under": ("Images are edited in under one second.", ["latency 1 s up to"]),
    "latency-from-to": ("Latency falls from 120 ms to 35 ms.", ["latency 35 ms"]),
    "latency-versus": ("It takes 5 ms instead of 12 ms.", ["latency 5 ms"]),
    "real-time-factor": ("The real-time factor is 0.05 on one core.", ["latency 0.05 RTF"]),
    "rate": ("The renderer runs at 45 frames per second on a laptop.", ["throughput 45 frames/s"]),
    "rate-from-to": ("It raises inference speed from 20 to 85 FPS.", ["throughput 85 FPS"]),
    "rate-of-tokens": ("It decodes 23 tokens per second on a phone.", ["throughput 23 tokens/s"]),
    "rate-of-control": ("Point clouds are processed at 62 Hz on an Orin.", ["throughput 62 Hz"]),
    "rate-of-flops": ("It achieves 1.3 PFLOPs on 64 cards.", ["throughput 1.3 PFLOPs"]),
    "training-time": ("Training takes less than 5 minutes on one card.", ["training_time 5 min up to"]),
    "training-time-from-to": ("Training time falls, and is reduced from 3 days to just 70 minutes.", ["training_time 70 min"]),
    "fine-tuning-time": ("Fine-tuning takes just 20 minutes on one GPU.", ["training_time 20 min"]),
    "quantization-time": ("It can quantize a large model on one card in 3 hours.", ["training_time 3 hours"]),
    "training-steps": ("It only requires 1,000 steps of fine-tuning.", ["training_time 1000 steps"]),
    "sampling-steps": ("It generates samples within 5 NFEs.", ["other_efficiency 5 steps up to"]),
    "sampling-steps-from-to": ("It reduces the sampling steps from 1000 to 10.", ["other_efficiency 10 steps"]),
    "device-time": ("The search finishes in 0.3 GPU days.", ["training_cost 0.3 GPU-days"]),
    "device-time-scaled": ("It takes only 2.8M H800 GPU hours.", ["training_cost 2.8 M GPU-hours"]),
    "device-time-as-time": (
        "It reduces the pre-training time from thousands of GPU-days to merely 88 GPU-days.",
        ["training_time 88 GPU-days"],
    ),
    "money": ("Training ends at a cost of roughly $40.", ["training_cost 40 $ about"]),
    "money-under": ("Training costs less than $2,000.", ["training_cost 2000 $ up to"]),
    "memory": ("Fine-tuning fits in 7.2 GB of memory.", ["memory 7.2 GB"]),
    "memory-from-to": ("Memory consumption decreases from 80GB to 23GB.", ["memory 23 GB"]),
    "memory-of-one-card": ("It can be trained on a single 24GB consumer GPU.", ["memory 24 GB"]),
    "memory-of-a-chip": ("It runs in under 32kB of SRAM.", ["memory 32 KB up to"]),
    "storage": ("It renders scenes with only 7 MB of storage.", ["storage 7 MB"]),
    "storage-of-a-vector": ("It recognises faces with only 128-bytes per face.", ["storage 128 bytes"]),
    "model-size": ("The final model is only 40MB in size.", ["model_size 40 MB"]),
    "model-size-from-to": ("Model size drops from 1.1 GB to 98 MB.", ["model_size 98 MB"]),
    "parameters-beside-quality": ("With 22M parameters, Zedwick reaches 82.9% top-1 accuracy.", ["params 22 M params"]),
    "parameters-of-a-compact-net": ("It keeps a compact size (13~15M).", ["params 13-15 M params"]),
    "flops": ("It reaches 75.0% top-1 accuracy with only 563M M-Adds.", ["flops 563 M FLOPs"]),
    "flops-list": (
        "The family spends 0.5, 1.5 and 3.5 FLOP(G) an image.",
        ["flops 0.5 GFLOPs", "flops 1.5 GFLOPs", "flops 3.5 GFLOPs"],
    ),
    "data": ("It is trained on just 10K samples.", ["data_samples 10 k samples"]),
    "data-per-class": ("It can be condensed to a small set comprising 10 images per class.", ["data_samples 10 samples"]),
    "data-tokens": ("It is adapted by only retraining for 3B tokens.", ["data_samples 3 B tokens"]),
    "tokens-of-an-image": ("It represents an image with only 49 tokens.", ["compression 49 tokens"]),
    "power": ("The chip draws only 5 mW.", ["energy 5 mW"]),
    "energy": ("It uses 0.3 J per image.", ["energy 0.3 J"]),
    "energy-efficiency": ("The chip reaches 95 TOPS/W.", ["energy 95 TOPS/W"]),
    "few-devices": ("It searches with restricted computational resources (5 GPUs).", ["training_cost 5 GPUs"]),
    "epochs-from-to": ("The number of training epochs is reduced from 300 to 100.", ["training_time 100 epochs"]),
    "evaluations-versus": ("Our solver takes 10-25 function evaluations instead of 100.", ["other_efficiency 10-25 steps"]),
    "price-of-a-query": ("It costs $0.002 per query.", ["other_efficiency 0.002 $"]),
    "of-the-baseline-not": ("Compared to 12.5 hours for the baseline, ours takes 1.5 hours to train.", ["training_time 1.5 hours"]),
}  # fmt: skip

ALL = {**NUMBERS, **LISTS, **ORDERS, **AMOUNTS}


@pytest.mark.parametrize(("sentence", "expected"), ALL.values(), ids=ALL.keys())
def test_the_pattern_is_read(sentence: str, expected: list[str]) -> None:
    assert read(sentence) == expected


@pytest.mark.parametrize(("sentence", "expected"), ALL.values(), ids=ALL.keys())
def test_the_number_is_kept_as_written(sentence: str, expected: list[str]) -> None:
    for claim in extract("Zedwick: a method", PROPOSES + sentence).claims:
        assert claim.raw.strip()
        assert claim.raw in PROPOSES + sentence
