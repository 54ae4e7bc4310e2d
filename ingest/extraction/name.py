"""The short name that authors give to their method or system."""

from __future__ import annotations

import re

from .text import Document
from .words import trigger, word_set

_CAPITAL = r"(?:(?-i:[A-Z0-9])[\w.+\-^]*|(?-i:[a-z]+[A-Z])[\w.+\-^]*)"
_NAMED = re.compile(
    r"\b(?:called|named|dubbed|termed|coined|denominated|titled|denoted(?: as| by)?|abbreviated (?:as|to)"
    r"|referred to as|refer to as|we call|which we (?:call|name|term|dub)|we (?:dub|name|term)(?: it| this| the method)?)"
    rf",?:? (?:the |as |a )?[\"'“`]*(?P<phrase>{_CAPITAL}(?:[ -]{_CAPITAL}){{0,5}})[\"'”]*(?P<rest>[^.;:(]{{0,60}}\s?\((?P<short>[^()\s]{{2,20}})\))?",
)
_SHORTENED = re.compile(rf"\b(?:or|short as|shortened to|abbreviated as) (?P<name>{_CAPITAL}) (?:in|for) short\b")
_TERMED = re.compile(r"\b[Ww]e term [\w\s]{3,40}? (?P<name>[A-Z]\w+(?: [A-Z]\w+){1,3})\b")
_PROPOSE = re.compile(
    r"\b(?:we|paper|work|study|article|report)\b[^.;:]{0,60}?\b(?:propos|introduc|present|develop|describ|design|build"
    r"|releas|creat|devis|offer|unveil|contribut|explor|study|advocat|craft)\w*\b|\bcontribution is(?: the development of)?\b|\bdevelopment of\b",
    re.I,
)
_LONG_AND_SHORT = re.compile(
    r"^[\s,]*(?:the |a |an |our )?(?:novel |new |simple )?[A-Z0-9][\w\-]*(?:[ -](?:[A-Z0-9][\w\-]*|of|and|for|with|to|in|the)){1,7}"
    r"\s?\((?P<short>[A-Za-z0-9][\w.+\-^]{1,20})\)"
)
_QUOTED = re.compile(
    r"\b(?:dub|call|name|term|called|named|dubbed|termed)\s[\"'`“]+[^\"'”`]{3,60}[\"'”]+\s*\((?P<name>[^()\s]{2,20})\)"
)
_PROPOSED = re.compile(
    r"\b[Pp]roposed (?:(?:models?|methods?|networks?|framework|approach),? )?(?P<name>[A-Z][\w\-]*[A-Z0-9][\w\-]*)\b"
)
_SHORT = re.compile(
    r"\(\s*(?:(?:i\.e\.|or|called|dubbed|short|named|abbreviated as|denoted as),?\s*)?"
    r"(?P<short>[A-Za-z0-9$^][\w.+\-$^*]{1,24})\s*\)"
)
_WORD_NAME = re.compile(
    r"^[\s,]*(?:and (?:study|present) )?(?:the |a |an |our )?[\"'“]?"
    r"(?P<name>(?:[A-Z][a-z]*[A-Z0-9][\w.+\-]*|[A-Z]{2,}[\w.+\-]*|[A-Z][a-z]+-[A-Z][\w.+\-]*"
    r"|[a-z]+[A-Z][\w+\-]*|[A-Z][a-z]+(?=,| \()))"
)
_PHRASE_NAME = re.compile(
    r"^[\s,]*(?:the |a |an |our )?(?:novel |new |simple |general )?(?P<name>[A-Z][\w\-]+(?: [A-Z][\w\-]+){1,3})(?=[,.]| (?:which|that|strategy|approach|method|framework|as))"
)
_OURS = re.compile(r"\b[Oo]ur (?P<name>[A-Z][\w+\-]*[A-Z0-9][\w+\-]*)\b")
_INNER = re.compile(r",\s(?P<name>[A-Z][\w+\-]*[A-Z0-9][\w+\-]*)\s*[,.(]")
_NAMES = trigger(
    words="called named dubbed termed coined denominated titled denoted abbreviated referred refer call name term dub or short shortened",
    starts="propos introduc present develop describ design build releas creat devis offer unveil contribut explor study advocat craft",
)
_SAYS_OUR = trigger("our")
_GENERIC_TAIL = word_set("strategy approach method framework algorithm technique model architecture network system")
_STOP = word_set(
    """
    for of the to in with on via and from by at is are be as how do does what why when can towards toward not a an
    """
)
_NOT_NAMES = word_set(
    """
    LLM LLMs NLP CNN CNNs RNN RNNs GAN GANs ViT ViTs MoE MoEs GPU GPUs CPU NAS FL AI ML DL KD RL VLM VLMs MLLM MLLMs DNN DNNs
    BERT GPT SSM SSMs LSTM MLP MLPs LoRA PEFT PTQ QAT KV NeRF NeRFs SOTA SGD API APIs QA ASR TTS SLM SLMs LM LMs PLM PLMs CV
    NMT LVLM LVLMs SR OCR RAG SFT RLHF DPO AR DiT VAE FLOPs FLOP IoT NN NNs SNN SNNs FPGA ASIC TPU MRI CT ICL CoT DP TP PP 3D
    2D i.e e.g Transformer Transformers Mamba Diffusion Attention Experiments Extensive However Specifically Our We This In To
    PT SMBO VSR MIM TPUs ViT-B LMM LMMs CLIP SSL FFN NTK AGI PDE PDEs ODE SDE TTA SLR AAC VLA SAM UNet U-Net EMA MTL DETR
    ImageNet PyTorch TensorFlow CUDA Triton JAX PI ReLU ReLUs FP8 FP16 INT8 INT4 INT2 W4A4 BF16 NFE NFEs SL FM FMs LiDAR BEV
    MSA NVS TSF SISR ISR CSR GNN GNNs MSE CFG SVD PCA FFT EP CBM CBMs Large Deep Neural Efficient Vision Language Federated
    Knowledge OOD SE CTC GRU DDPM DDIM FID DAG HPC HPO PPO MDP MCTS AutoML VQA RNN-T ANN ANNs FSL UDA
    """
)
_GREEK = {"π": "pi", "α": "alpha", "β": "beta", "γ": "gamma", "λ": "lambda", "μ": "mu", "ε": "epsilon", "σ": "sigma"}
_UNNAMED_KINDS = frozenset({"survey"})


def find_name(document: Document, kind: str) -> tuple[str | None, list[str]]:
    """The name and the words that showed it; None for papers that propose nothing or name nothing."""
    title, abstract = document.title, document.abstract
    if kind in _UNNAMED_KINDS:
        return None, []
    head = _title_head(title)
    if head is not None:
        short = _short_form(head, abstract)
        if short is not None:
            return short, [f"{head} ({short})"]
        if _looks_like_name(head, abstract):
            return head, [f"title: {head}"]
    stated = _stated(document)
    if stated is not None:
        return stated
    unsure = (
        head is None or len(head.split()) > 3 or _STOP & set(head.lower().split()) or kind in {"analysis", "theory"}
    )
    if unsure or head is None or head.lower() not in abstract.lower():
        return None, []
    return head, [f"title: {head}"]


def _title_head(title: str) -> str | None:
    """What stands before the title's colon or dash, or before a comma behind a word written as names are."""
    match = re.match(r"^\s*(?P<head>[^:]{2,60}?)\s*(?::|\s[-–—]{1,3}\s)\s*\S", title)
    if match is None:
        match = re.match(r"^\s*(?P<head>[^\s,]*(?:[a-z][A-Z]|[A-Z]{2})[^\s,]*),\s", title)
    return _tidy(match["head"]) if match else None


def _tidy(name: str) -> str:
    for letter, spelled in _GREEK.items():
        name = name.replace(letter, spelled)
    name = name.strip(" \"'“”`.,;:").replace("{", "").replace("}", "").replace("$", "").replace("\\", "")
    return name


def _fold(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _singular(short: str, abstract: str) -> str:
    """A plural short form in the singular: "CBMs" to "CBM", "GENets" to "GENet" where the abstract has that too."""
    if (
        len(short) > 3
        and short.endswith("s")
        and (short[:-1].isupper() or re.search(rf"\b{re.escape(short[:-1])}\b", abstract))
    ):
        return short[:-1]
    return short


def _short_form(head: str, abstract: str) -> str | None:
    """The short form in "Blockwise Flow Matching (BFM)" for a head of two or more words."""
    words = [re.escape(w.rstrip("s")) + r"s?" for w in re.findall(r"[^\W_]+", head)]
    if len(head.split()) < 2 or not words:
        return None
    pattern = r"[\s,-]*".join(words) + r"\w{0,3}(?:\s\w+){0,2}?\s*\((?P<short>[^()\s]{2,20})\)"
    found = re.search(pattern, abstract, re.I)
    if found is None:
        return None
    short = _singular(_tidy(found["short"]), abstract)
    return short if any(c.isupper() for c in short) else None


def _looks_like_name(head: str, abstract: str) -> bool:
    """One word, or a few words of which one is written as names are ("Zero-Fit(4+2)", "Swift-LLM")."""
    words = head.split()
    if len(words) == 1:
        return len(head) > 3 or "-" in head or any(c.isupper() for c in head[1:]) or _fold(head) in _fold(abstract)
    if len(words) > 4 or _STOP & {w.lower() for w in words}:
        return False
    return head.lower() in abstract.lower() and any(
        re.search(r"[a-z][A-Z]|[A-Z]{2}|\d", w) and w not in _NOT_NAMES for w in words
    )


def _plausible(name: str) -> bool:
    return (
        2 <= len(name) <= 40
        and name not in _NOT_NAMES
        and any(c.isupper() for c in name)
        and not re.fullmatch(r"[\d.,%]+|\d+[A-Z]", name)
    )


class _Candidates:
    """Names with a weight each: how they are announced, how often they come again, whether the title has them."""

    def __init__(self, title: str, abstract: str) -> None:
        self.title, self.abstract = title, abstract
        self.scored: dict[str, tuple[float, str]] = {}

    def add(self, name: str, weight: float, words: str) -> None:
        name = re.sub(r"-\d+(?:\.\d+)?[MBmb]$", "", _singular(_tidy(name), self.abstract))
        if not _plausible(name):
            return
        weight += min(self.abstract.count(name), 6) * 0.5 + (2.0 if name.lower() in self.title.lower() else 0.0)
        if weight > self.scored.get(name, (0.0, ""))[0]:
            self.scored[name] = (weight, words)


def _stated(document: Document) -> tuple[str, list[str]] | None:
    """A name announced in the abstract: "called X", "we propose Long Name (LN)", "we introduce X, a ..."."""
    abstract = document.abstract
    names = _Candidates(document.title, abstract)
    for sentence in document.sentences:
        if sentence.own and sentence.triggers & _NAMES:
            _announced(sentence.text, abstract, names)
        if sentence.triggers & _SAYS_OUR:
            for match in _OURS.finditer(sentence.text):
                names.add(match["name"], 1.5, match[0])
    if not names.scored:
        return None
    best = max(names.scored, key=lambda name: names.scored[name][0])
    return best, [names.scored[best][1]]


def _announced(text: str, abstract: str, names: _Candidates) -> None:
    for match in _NAMED.finditer(text):
        if match["short"] and re.search(r"[A-Z]", match["short"]):
            names.add(match["short"], 3.5, match[0])
        else:
            names.add(match["phrase"], 3.0 + 0.5 * (abstract.count(match["phrase"]) > 1), match[0])
    for match in _PROPOSED.finditer(text):
        names.add(match["name"], 2.5, match[0])
    for pattern in (_SHORTENED, _TERMED, _QUOTED):
        for match in pattern.finditer(text):
            names.add(match["name"], 3.5, match[0])
    proposal = _PROPOSE.search(text)
    if proposal is None:
        return
    rest = text[proposal.end() :]
    both = _LONG_AND_SHORT.match(rest)
    if both and re.search(r"[A-Z]", both["short"]):
        names.add(both["short"], 4.5, both[0].strip())
        return
    direct = _WORD_NAME.match(rest)
    if direct:
        names.add(direct["name"], 3.5, text[proposal.start() : proposal.end()] + " " + direct["name"])
    phrase = _PHRASE_NAME.match(rest)
    if phrase:
        kept = phrase["name"].split()
        while kept and kept[-1].lower() in _GENERIC_TAIL:
            kept.pop()
        if len(kept) >= 2:
            names.add(" ".join(kept), 2.2, phrase[0].strip())
    short = _SHORT.search(rest[:220])
    if short and re.search(r"[A-Z]", short["short"]):
        names.add(short["short"], 3.0 - short.start() / 200, rest[: short.end()].strip()[-80:])
    inner = _INNER.search(rest)
    if inner:
        names.add(inner["name"], 1.5, inner[0].strip(" ,"))
