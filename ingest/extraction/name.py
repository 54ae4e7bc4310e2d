"""The short name that authors give to their method or system."""

from __future__ import annotations

import re

from .text import Document
from .vocabulary import word_set

_CAPITAL = r"(?:(?-i:[A-Z0-9])[\w.+\-^]*|(?-i:[a-z]+[A-Z])[\w.+\-^]*)"
_NAMED = re.compile(
    r"\b(?:called|named|dubbed|termed|coined|denominated|titled|denoted(?: as| by)?|abbreviated (?:as|to)|referred to as|refer to as"
    r"|we call|which we (?:call|name|term|dub)|we (?:dub|name|term)(?: it| this| the method)?|namely|known as|short(?:ened)? (?:as|for)|or)"
    rf",?:? (?:the |as |a )?[\"'“`]*(?P<phrase>{_CAPITAL}(?:[ -]{_CAPITAL}){{0,5}})[\"'”]*(?P<paren>\s*\((?P<short>[^()\s]{{2,20}})\))?",
)
_PROPOSE = re.compile(
    r"\b(?:we|paper|work|study|article|report)\b[^.;:]{0,60}?\b(?:propos|introduc|present|develop|describ|design|build|releas|creat|"
    r"devis|offer|unveil|contribut|explor|study|advocat)\w*\b",
    re.I,
)
_SHORT = re.compile(
    r"\(\s*(?:(?:i\.e\.|or|called|dubbed|short|named|abbreviated as),?\s*)?(?P<short>[A-Za-z0-9$^][\w.+\-$^*]{1,24})\s*\)"
)
_WORD_NAME = re.compile(
    r"^[\s,]*(?:and (?:study|present) )?(?:the |a |an |our )?[\"'“]?(?P<name>(?:[A-Z][a-z]*[A-Z0-9][\w.+\-]*|[A-Z]{2,}[\w.+\-]*|[A-Z][a-z]+-[A-Z][\w.+\-]*"
    r"|[a-z]+[A-Z][\w+\-]*|[A-Z][a-z]+(?=,| \()))"
)
_STOP = word_set(
    """
    for of the to in with on via and from by at is are be as how do does what why when can towards toward not a
    an
    """
)
_NOT_NAMES = word_set(
    """
    LLM LLMs NLP CNN CNNs RNN RNNs GAN GANs ViT ViTs MoE MoEs GPU GPUs CPU NAS FL AI ML DL KD RL VLM VLMs MLLM
    MLLMs DNN DNNs BERT GPT SSM SSMs LSTM MLP MLPs LoRA PEFT PTQ QAT KV NeRF NeRFs SOTA SGD API APIs QA ASR TTS
    SLM SLMs LM LMs PLM PLMs CV NMT LVLM LVLMs SR OCR RAG SFT RLHF DPO AR DiT VAE FLOPs FLOP IoT NN NNs SNN SNNs
    FPGA ASIC TPU MRI CT ICL CoT DP TP PP 3D 2D i.e e.g Transformer Transformers Mamba Diffusion Attention
    Experiments Extensive However Specifically Our We This In To PT SMBO VSR MIM TPUs ViT-B LMM LMMs CLIP SSL
    FFN NTK AGI PDE PDEs ODE SDE TTA SLR AAC SLMs VLA SAM UNet U-Net EMA MTL DETR ImageNet PyTorch TensorFlow
    CUDA Triton JAX NeRFs PI MLLMs ReLU ReLUs FP8 FP16 INT8 INT4 INT2 W4A4 BF16 NFE NFEs SL FM FMs LiDAR BEV MSA
    NVS TSF SISR ISR CSR GNN GNNs STDiT
    """
)


def find_name(document: Document, kind: str) -> tuple[str | None, list[str]]:
    """The name and the words that showed it; None for papers that propose nothing or name nothing."""
    title, abstract = document.title, document.abstract
    if kind in {"survey"}:
        return None, []
    head = _title_head(title)
    if head is not None:
        short = _short_form(head, abstract)
        if short is not None:
            return short, [f"{head} ({short})"]
        if _looks_like_name(head, abstract):
            return head, [f"title: {head}"]
    stated = _stated(document, title)
    if stated is not None:
        return stated
    if (
        head is not None
        and len(head.split()) <= 3
        and not _STOP & set(head.lower().split())
        and kind not in {"analysis", "theory"}
    ):
        return (head, [f"title: {head}"]) if head.lower() in abstract.lower() else (None, [])
    return None, []


def _title_head(title: str) -> str | None:
    """What stands before the title's colon, dash or comma-introduced gloss."""
    match = re.match(r"^\s*(?P<head>[^:]{2,60}?)\s*(?::|\s[-–—]{1,3}\s)\s*\S", title)
    if match is None:
        match = re.match(r"^\s*(?P<head>[^\s,]*(?:[a-z][A-Z]|[A-Z]{2})[^\s,]*),\s", title)
    return _tidy(match["head"]) if match else None


def _tidy(name: str) -> str:
    return name.strip(" \"'“”`.,;:").replace("{", "").replace("}", "").removeprefix("\\")


def _fold(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _short_form(head: str, abstract: str) -> str | None:
    """The short form in "Blockwise Flow Matching (BFM)" for a head of two or more words."""
    if len(head.split()) < 2:
        return None
    words = [re.escape(w.rstrip("s")) + r"s?" for w in re.findall(r"[^\W_]+", head)]
    if not words:
        return None
    found = re.search(r"[\s-]*".join(words) + r"\w{0,3}(?:\s\w+){0,2}?\s*\((?P<short>[^()\s]{2,20})\)", abstract, re.I)
    if found is None:
        return None
    short = (
        _tidy(found["short"]).removesuffix("s")
        if found["short"].isupper() is False and found["short"][:-1].isupper()
        else _tidy(found["short"])
    )
    return short if any(c.isupper() for c in short) else None


def _looks_like_name(head: str, abstract: str) -> bool:
    """One word, or a few words of which one is written as names are ("ZeroQuant(4+2)", "Flash-LLM", "American
    Stories")."""
    words = head.split()
    if len(words) == 1:
        return _fold(head) in _fold(abstract) or any(c.isupper() for c in head[1:]) or "-" in head or len(head) > 3
    if len(words) > 4 or _STOP & {w.lower() for w in words}:
        return False
    return (
        any(re.search(r"[a-z][A-Z]|[A-Z]{2}|\d", w) and w not in _NOT_NAMES for w in words)
        and head.lower() in abstract.lower()
    )


def _plausible(name: str) -> bool:
    return (
        2 <= len(name) <= 40
        and name not in _NOT_NAMES
        and (any(c.isupper() for c in name) or any(c.isdigit() for c in name))
        and not re.fullmatch(r"[\d.,%]+", name)
    )


def _stated(document: Document, title: str) -> tuple[str, list[str]] | None:
    """A name announced in the abstract: "called X", "we propose Long Name (LN)", "we introduce X, a ..."."""
    abstract = document.abstract
    scored: dict[str, tuple[float, str]] = {}

    def add(name: str, weight: float, words: str) -> None:
        name = _tidy(name)
        if not _plausible(name):
            return
        count = abstract.count(name)
        weight += min(count, 6) * 0.5 + (2.0 if name.lower() in title.lower() else 0.0)
        if weight > scored.get(name, (0.0, ""))[0]:
            scored[name] = (weight, words)

    for sentence in document.sentences:
        if not sentence.own:
            continue
        text = sentence.text
        for match in _NAMED.finditer(text):
            if match[0].startswith("or "):
                continue
            near = abstract.count(match["phrase"]) > 1 or match["short"]
            add(match["short"] or match["phrase"], 3.0 + (0.5 if near else 0.0), match[0])
        proposal = _PROPOSE.search(text)
        if proposal is None:
            continue
        rest = text[proposal.end() :]
        direct = _WORD_NAME.match(rest)
        if direct:
            add(direct["name"], 3.5, text[proposal.start() : proposal.end()] + " " + direct["name"])
        short = _SHORT.search(rest[:220])
        if short and re.search(r"[A-Z]", short["short"]):
            add(short["short"].removesuffix("s") if short["short"][:-1].isupper() and short["short"].endswith("s") else short["short"],
                3.0 - short.start() / 200, rest[: short.end()].strip()[-80:])  # fmt: skip
        inner = re.search(r",\s(?P<name>[A-Z][\w+\-]*[A-Z0-9][\w+\-]*)\s*[,.(]", rest)
        if inner:
            add(inner["name"], 1.5, inner[0].strip(" ,"))
    for match in re.finditer(r"\b[Oo]ur (?P<name>[A-Z][\w+\-]*[A-Z0-9][\w+\-]*)\b", abstract):
        add(match["name"], 1.5, match[0])
    if not scored:
        return None
    best = max(scored, key=lambda name: scored[name][0])
    return best, [scored[best][1]]
