"""Words around an amount that tell a claim ("only 1.6 ms latency") from a set-up ("models with 7B parameters")."""

from __future__ import annotations

from itertools import pairwise

from ..words import word_set
from .nouns import Noun
from .quantity import Quantity
from .site import Reading, Site
from .words import CHANGE_VERBS, COMPRESS_VERBS, LESS, ONLY

TRAIN_CUES = word_set(
    """
    pre-trained pretrains pre-trains train trained training trains pretraining pre-training pretrained pretrain converge converges convergence learn
    learns learning optimization optimize retraining retrain post-training training-time adapts optimized optimizes reconstructed
    """
)
TUNE_CUES = word_set(
    """
    tuned fine-tuning finetuning fine-tune fine-tuned fine-tunes finetune finetuned tuning tune tunes adapt adapting adaptation
    customization customize personalization personalize personalizes personalizing healing retraining extending extends lora recovers
    """
)
SEARCH_CUES = word_set("search searching searches searched nas")
OTHER_CUES = word_set(
    """
    pruned compressed calibrated converted indexed merged compiled distilled condensed built constructed construct quantized
    quantize quantizes quantizing quantization calibrate calibration calibrating distill distills distilling
    condense condensation prune prunes pruning compress compressing convert conversion preprocess preprocessing
    index indexing build building merge merging compile compilation procedure
    """
)
SPEED_CUES = word_set(
    """
    generation device phone mobile on-device latency inference runtime run runs running takes taking take time times speed
    per within infer inferring generate generates generating generated rendering render process processes processing
    real-time rendered decoding execution delay achieve achieves achieving synthesize synthesizes produces reconstruct
    reconstructs second fps faster respond responds response finishes finish finished completes completed complete completing ttft prefill predict predicts
    prediction solve solves detect segment edit edits editing overhead throughput sampling
    """
)
QUALITY = word_set(
    """
    accuracy top-1 top1 map miou fid psnr ap error f1 bleu wer perplexity dice auc score iou acc ssim recall performance
    state-of-the-art
    """
)
"""Words of quality: an amount beside them says at what cost the quality is reached."""
PLURAL_SUBJECTS = word_set(
    "models networks architectures variants llms transformers lms backbones sizes ranging spanning scales"
)


def near(site: Site, before: int, after: int) -> set[str]:
    """Words around the number, itself included, up to so many tokens before and after."""
    start, stop = max(0, site.begin - before), min(len(site.clause.lows), site.end + after)
    return set(site.clause.lows[start:stop])


def shrank(quantity: Quantity) -> bool:
    """Whether the amount is the lower end of "from A to B"."""
    return quantity.origin_value is not None and quantity.origin_value > quantity.value


def thrifty(site: Site) -> bool:
    """Whether a word of thrift stands before the amount ("only", "just", "fewer than", "as few as")."""
    first = max(0, site.begin - 3, site.left - 1)
    words = set(site.clause.lows[first : site.quantity.first])
    if words & {"trained", "retraining", "training", "tuning", "tuned"}:
        words.update(site.clause.lows[max(0, first - 2) : first])
    if site.word(site.end) in {"only", "alone", "fewer", "suffice", "suffices"} or site.word(site.end + 1) == "only":
        return True
    if words & ONLY or site.quantity.bound == "<" or shrank(site.quantity) or _shrunk_to(site):
        return True
    return _goes_on(site)


def _goes_on(site: Site) -> bool:
    """The second amount of "with just 50K samples and 3 hours"."""
    place = site.clause.quantities.index(site.quantity)
    if site.word(site.begin - 1) != "and" or not place:
        return False
    first = site.clause.quantities[place - 1]
    near_by = first.form == "absolute" and site.begin - first.stop <= 3
    return near_by and not ONLY.isdisjoint(site.clause.lows[max(0, first.first - 3) : first.first])


def _shrunk_to(site: Site) -> bool:
    """ "compressed to 4 MB", "brings it down to 3 hours"."""
    if site.word(site.begin - 1) != "to":
        return False
    if site.word(site.begin - 2) == "down":
        return True
    return any(
        CHANGE_VERBS.get(site.word(k)) == LESS or site.word(k) in COMPRESS_VERBS
        for k in range(max(site.left, site.begin - 9), site.begin)
    )


def of_rivals(site: Site) -> bool:
    """Whether the amount is what others need ("while the SOTA requires 6 hours", "compared to 40 GB of the baseline")."""
    others_first = not _OTHERS.isdisjoint(site.clause.lows[:6]) and _OURS.isdisjoint(site.clause.lows[: site.begin])
    if others_first and not site.clause.words.isdisjoint(_TAKES):
        return True
    first = max(0, site.begin - 12)
    words = site.clause.lows[first : site.begin]
    if not _HEAVY.isdisjoint(words[-6:]) and site.quantity.origin is None:
        return True
    if any(word.endswith(("'s", "’s")) for word in words[-4:]) and not {"to", "than", "over"}.isdisjoint(words[-6:]):
        return site.quantity.origin is None
    opened = next((k for k in range(len(words) - 1, max(-1, len(words) - 4), -1) if words[k] == "("), 0)
    rival = words[max(0, opened - 4) : opened]
    named = any(a in {"as", "than"} and b[:1].isalpha() for a, b in pairwise(rival))
    if opened and named and _OURS.isdisjoint(rival):
        # "As fast as ANet (1.6 ms": the amount is of what ours is compared with.
        return ")" not in words[opened:] and not {"than", "as"} & set(words[opened:])
    if words[-2:-1] in (["that"], ["which"]) and not _BASELINES.isdisjoint(words[-4:-2]):
        # "A baseline that sustains 39 TFLOPS".
        return True
    behind = site.clause.lows[site.end : site.end + 5]
    if not _BASELINES.isdisjoint(words[-5:]) and words[-1:] in (
        ["of"],
        ["with"],
        ["at"],
        ["requires"],
        ["takes"],
        ["needs"],
    ):
        return site.quantity.origin is None and _OURS.isdisjoint(words[-5:])
    if (
        behind[:1] in (["of"], ["for"], ["by"], ["with"])
        and not _BASELINES.isdisjoint(behind[1:4])
        and words[-1:] in (["to"], ["the"], ["than"], ["from"])
    ):
        return True
    for at in range(len(words) - 1, -1, -1):
        if words[at] in {"while", "whereas", "whilst"}:
            return bool(_OTHERS & set(words[at:])) and not _OURS & set(words[at:])
        if words[at] in {"than", "versus", "vs", "compared"}:
            return (
                len(words) - at <= 8
                and site.quantity.bound == ""
                and not _OURS & set(words[at:])
                and words[at - 1] not in _SIZED
            )
        if (
            words[at] == "over"
            and words[-1] in {"at", "with"}
            and len(words) - at <= 4
            and _OURS.isdisjoint(words[at:])
        ):
            return True
        if words[at] in {",", ";", "and"}:
            return False
    return False


_OTHERS = word_set("sota state-of-the-art previous existing baseline baselines prior conventional original others competing rivals "
                   "traditional standard competitors methods art")  # fmt: skip
_TAKES = word_set("needs requires require draw draws consume consumes occupy occupies")
_BASELINES = word_set("baseline baselines original vanilla counterpart competitor")
_HEAVY = word_set("huge prohibitive enormous excessive prohibitively")
_OURS = word_set("our ours we it its proposed")
_SIZED = word_set("less fewer lower more greater higher better smaller larger")


def phase_named(cues: set[str]) -> str:
    """The phase that words of training around an amount name."""
    if cues & SEARCH_CUES:
        return "search"
    return "fine-tuning" if cues & TUNE_CUES else "training"


def amount_of(site: Site, rule: str, metric: str, phase: str = "") -> Reading:
    """An absolute claim with a few words around it as its quote."""
    first, stop = max(site.left, site.begin - 3), min(site.right, site.end + 4)
    return Reading(rule, Noun(metric, "cost", phase), "none", first, stop)
