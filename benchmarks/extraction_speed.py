"""How many abstracts a second one core extracts: `python -m benchmarks.extraction_speed [--count N] [--meaning]`.

The abstracts are written here: sentences in the style of papers with random numbers, so that no two are alike and every part
of the grammar has work. Times are processor time of this process, best of five rounds.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from ingest.extraction import EXTRACTOR_VERSION, extract

TARGET_PER_SECOND = 2000.0
ENCODED_PER_SECOND = 40.0  # what an exact encoder reads on a core
OPENINGS = (
    "Large language models answer well, yet their memory and latency keep them from many devices.",
    "Vision transformers have become the backbone of choice, although attention grows with the square of the image size.",
    "Training large networks takes weeks, and most of the cost lies in moving gradients between workers.",
    "Diffusion models draw fine images, but each of them takes hundreds of sampling steps.",
)
BACKGROUND = (
    "Existing methods prune weights or quantize them, and lose accuracy where it matters.",
    "Recent works cache keys and values, which costs memory as the context grows.",
    "However, such schemes need retraining and special kernels.",
    "Most approaches treat all layers alike, although their redundancy differs.",
)
PROPOSALS = (
    "In this paper, we propose {name}, a training-free quantization method that rotates the weights before rounding.",
    "We present {name}, a lightweight backbone with depthwise convolutions for mobile devices.",
    "We introduce {name}, a sparse attention kernel that skips blocks of the KV cache.",
    "To this end, we design {name}, a mixture of experts with a router that needs no auxiliary loss.",
)
DETAILS = (
    "It splits each layer into groups and chooses the width of a group from its curvature.",
    "A small predictor decides which tokens are kept, and it is learned together with the model.",
    "The forward pass is fused into one kernel, so that intermediate results never leave the chip.",
    "We distill the teacher into a student with a loss on features and on logits.",
)
RESULTS = (
    "{name} is {a}x faster than the baseline and reduces GPU memory by {p}% on an A100.",
    "Experiments show {a}x and {b}x fewer FLOPs and parameters with less than 0.{d}% accuracy drop.",
    "It achieves up to {a}times speedup in decoding, {b}times higher throughput and {p}\\% lower latency.",
    "On ImageNet it reaches {p}.{d}% top-1 accuracy with only {a} ms latency on an iPhone 12.",
    "Training time falls from {b} days to {d} hours, while quality stays comparable to full fine-tuning.",
)
ENDING = "Code is available at https://github.com/example/{name}."


def abstracts(count: int, seed: int = 7) -> list[tuple[str, str]]:
    """Titles and abstracts of about 1,100 characters."""
    rng = random.Random(seed)
    papers = []
    for number in range(count):
        name = f"Zed{rng.choice('ABCDEFGH')}{number}"
        sentences = [
            rng.choice(OPENINGS),
            *rng.sample(BACKGROUND, 2),
            rng.choice(PROPOSALS),
            *rng.sample(DETAILS, 3),
            *rng.sample(RESULTS, 2),
            ENDING,
        ]
        text = " ".join(sentences).format(
            name=name, a=rng.randint(2, 9), b=rng.randint(2, 30), p=rng.randint(10, 90), d=rng.randint(1, 9)
        )
        papers.append((f"{name}: Faster Models by Design", text))
    return papers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="abstracts a round")
    parser.add_argument(
        "--meaning",
        action="store_true",
        help="also what reading by the encoder costs (compiles it, if var/encoders lacks it)",
    )
    options = parser.parse_args()
    count = options.count
    papers = abstracts(count)
    claims = sum(len(extract(title, abstract).claims) for title, abstract in papers)
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for title, abstract in papers:
            extract(title, abstract)
        best = min(best, time.process_time() - start)
    rate = count / best
    length = sum(len(abstract) for _, abstract in papers) / count
    print(
        f"extractor {EXTRACTOR_VERSION}: {count} abstracts of {length:.0f} characters, {claims / count:.1f} claims each"
    )
    print(
        f"{rate:.0f} abstracts/s of processor time; ratio to the target of {TARGET_PER_SECOND:.0f}/s: {rate / TARGET_PER_SECOND:.2f}"
    )
    if options.meaning:
        rate = _meaning_rate(papers)
        print(
            f"{rate:.0f} abstracts/s of processor time with the encoder; ratio to {ENCODED_PER_SECOND:.0f}/s: {rate / ENCODED_PER_SECOND:.2f}"
        )


def _meaning_rate(papers: list[tuple[str, str]]) -> float:
    from ingest.extraction.meaning import open_reader

    reader = open_reader(Path("var/encoders"))
    reader.means(papers[:64])
    start = time.process_time()
    for (title, abstract), mean in zip(papers, reader.means(papers), strict=True):
        extract(title, abstract, reader.hear(mean))
    return len(papers) / (time.process_time() - start)


if __name__ == "__main__":
    main()
