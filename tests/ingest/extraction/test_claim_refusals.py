"""Numbers that are no efficiency claim of the paper's own: quality, data, set-up, other people's results, names. All are our own sentences."""

import ast
from pathlib import Path

import pytest

from ingest.extraction import claims as claims_package
from ingest.extraction import extract
from ingest.extraction.claims.confidence import RULE_RECORD, confidence_of

PROPOSES = "We propose Zedwick, a method for faster models. "

REFUSED = [
    "We obtain 25% fewer false alarms and 3x fewer crashes.",
    "It makes 30% fewer mistakes and 20% fewer violations.",
    "It reduces the number of collisions by 70% and of artifacts by half.",
    "We release a corpus of 1.2 billion image-text pairs collected over 3 years.",
    "The model has 175 billion parameters and was trained on 1.4 trillion tokens.",
    "We train for 100K steps with a batch size of 512 on 8 A100 GPUs, which takes about 5 days.",
    "Videos last up to 60 seconds at 30 FPS and 720p.",
    "It improves the success rate by 20% on 8 manipulation tasks.",
    "Annotators spent more than 400 hours on labelling.",
    "The error is reduced by half.",
    "Hallucinations drop by 40% and factuality rises by 2x.",
    "It reduces the gap between closed and open models by 30%.",
    "We test 12 models between 1B and 70B parameters.",
    "It raises the win rate from 45% to 60%.",
    "It predicts the next 5 seconds of traffic.",
    "Speech is generated from a 3-second prompt.",
    "The dataset is 10 times larger than previous ones and 40% more diverse.",
    "It doubles the accuracy of the baseline.",
    "Recall at 10 improves by 2.5x.",
    "The attack succeeds with 90% probability using only 5 queries.",
    "It lowers the FID from 3.2 to 1.9.",
    "Sea ice has declined by 13% per decade.",
    "A 4x larger context window is used at test time.",
    "Our method supports upscaling factors of 2x, 4x and 8x.",
    "We quantize weights to 4 bits and activations to 8 bits.",
    "It covers 95% of the vocabulary with 32K tokens.",
    "Users preferred our images 70% of the time.",
    "Over 60% of errors come from reading the question wrongly.",
    "The agent collects 3x more reward in half of the games.",
    "PSNR increases by 1.5 dB with 5% noise.",
    "The mean delay of patients was 3 days.",
    "We reach 80% of human performance.",
    "It was deployed to 100 million users for two months.",
    "The code base has grown by 30% per year.",
    "It extends the context length from 4K to 128K tokens with 1000 steps of training.",
    "A model twice as large as GPT-2 is trained.",
    "Half of the test set is held out.",
    "Each image has 5 captions and 10 labels.",
    "The network has 12 layers, 768 units and 110M parameters.",
    "We use a learning rate of 3e-4 and 2% warm-up steps.",
    "It answers within 3 turns in 70% of dialogues.",
    "Robots run at 2 m/s for 30 minutes.",
    "Emissions fell by 7% in 2020.",
    "It increases revenue by 1.2% and click-through rate by 3.5% in online tests.",
    "Large models need hundreds of gigabytes of memory.",
    "Transformers require 16x more computation for 4x longer inputs.",
    "On average, 3.5 objects per scene are detected with 92% precision.",
    "With 5-shot prompts, it outperforms GPT-3.5 by 10%.",
    "Zero-shot accuracy is 4.6x higher than chance.",
    "Our 7B model outperforms a 70B model on 5 of 8 tasks.",
    "The benchmark has 1,000 tasks, takes 40 hours of human work and costs $5,000.",
    "Correlation with human judgement improves by 25%.",
    "Bias is reduced by 50% without retraining.",
    "It detects 30% more objects at the same false positive rate.",
    "It sees 20% less forgetting after 10 tasks.",
    "We collect 500 hours of speech in 20 languages from 2,000 speakers.",
    "It generates 1-minute videos at 24 fps.",
    "It processes 10-minute recordings sampled at 16 kHz.",
    "Samples are 3x more diverse.",
    "Robustness is 2.1x better under attack.",
    "We observe a scaling exponent of 0.5 over six orders of magnitude.",
    "Compute budgets span three orders of magnitude.",
    "Loss falls as a power law over seven orders of magnitude in compute.",
    "A single GPU with 24GB of memory is used in all experiments.",
    "The state of the art needs 40 GB of memory and 12 hours of training.",
    "Existing kernels reach only 35% of peak.",
    "However, this takes 10x more time.",
    "We use 3D nets, 8-bit codes, top-5 error, GPT-4, ResNet-50 and Llama 3.1.",
    "As shown in Section 4.2 and Table 3, version 2.0 of 2023 runs 24/7.",
    "Since 2019, 3 of 5 teams use YOLOv8 at 640x640 pixels.",
    "In Sec. 3 we prove a rate of 1/T and a bound of 2 log n.",
    "The grid has 16x16 patches and a stride of 2.",
    "We follow the 80/20 split and 5-fold cross-validation.",
    "It supports FP16, INT8, W4A8 and 2:4 sparsity.",
    "Layers 3-12 and heads 1 to 4 are kept.",
]  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_the_numbers_are_left_alone(sentence: str) -> None:
    assert extract("Zedwick: a method", PROPOSES + sentence).claims == ()


def rules_in_code() -> set[str]:
    """First arguments of `Reading(...)` with a noun, and rule names given to `amount_of`."""
    names: set[str] = set()
    for path in Path(claims_package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            at = {"Reading": 0, "amount_of": 1}.get(node.func.id)
            if at is None or not (len(node.args) > at and isinstance(node.args[at], ast.Constant)):
                continue
            refused = (
                node.func.id == "Reading" and isinstance(node.args[1], ast.Constant) and node.args[1].value is None
            )
            if not refused:
                names.add(str(node.args[at].value))
    return names


def test_every_rule_has_a_record() -> None:
    assert rules_in_code() == set(RULE_RECORD)


@pytest.mark.parametrize("rule", RULE_RECORD)
def test_a_record_is_a_share(rule: str) -> None:
    found, right = RULE_RECORD[rule]
    assert 0 <= right <= found


def test_a_rule_that_held_more_often_is_trusted_more() -> None:
    assert (
        0.0
        < confidence_of("comparative-default", "memory", "better")
        < confidence_of("comparative", "memory", "better")
        < 1.0
    )


def test_a_cost_is_trusted_less_than_a_gain() -> None:
    assert confidence_of("comparative", "memory", "worse") < confidence_of("comparative", "memory", "better")


def test_a_claim_carries_its_confidence() -> None:
    (claim,) = extract("Zedwick: a method", PROPOSES + "It takes 30% less memory.").claims
    assert claim.confidence == confidence_of(claim.rule, "memory", "better")
