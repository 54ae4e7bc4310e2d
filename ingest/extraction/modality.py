"""What data a method works on."""

from __future__ import annotations

from .text import Document
from .vocabulary import LEXICON, TITLE, Evidence, weighted_phrases

_VOCABULARY: dict[str, str] = {
    "language": """
        language model, llm, large language model, nlp, natural language, text generation, bert, gpt, machine
        translation, question answering, text classification, language modeling, llama, glue, summarization,
        sentence embedding, natural language processing, roberta, t5, perplexity, prompt, chatbot, text, opt,
        word, sentence, linguistic, translation, wikitext, document, multilingual, instruction tuning, long
        context, test time scaling, chain of thought, token generation, reasoning, dialogue, arabic, slm, mistral, qwen, deepseek""",
    "vision": """
        image classification, object detection, semantic segmentation, vision transformer, imagenet, vit, coco,
        cifar, convolutional neural network, cnn, computer vision, image, resnet, image generation, super
        resolution, vision, visual recognition, segmentation, image restoration, yolo, mobilenet, convolution,
        classifier free guidance, flow matching, alexnet, vgg, optical, camera, photo, cityscape, face recognition, ade20k, deit, swin, text to image, image synthesis, medical image, stable
        diffusion, depth estimation, pixel, object detector, convnet, detection, denoising, efficientnet, mnist,
        diffusion transformer, dit, visual, backbone, remote sensing, satellite, pose estimation, convnext,
        diffusion model, fid""",
    "video": """
        video, video generation, action recognition, video understanding, text to video, kinetics 400, video
        classification, temporal action, optical flow, lip, video recognition, frame interpolation, visual
        speech""",
    "speech-audio": """
        speech, audio, speech recognition, text to speech, tts, asr, voice, speaker, music, acoustic, speech
        synthesis, spoken, librispeech, sound, vocoder, wav2vec, whisper, audio captioning, codec, speech
        enhancement, keyword spotting, hubert, speech separation""",
    "multimodal": """
        multimodal, multi modal, vision language, vlm, mllm, lvlm, clip, visual question answering, image text,
        cross modal, vision language model, multimodal large language model, visual language, image captioning,
        llava, audio visual, text and image, vqa, vision and language, visual instruction, omni modal, vla""",
    "3d": """
        3d, point cloud, nerf, neural radiance field, gaussian splatting, lidar, 3d detection, novel view
        synthesis, mesh, voxel, 3d reconstruction, 3d scene, view synthesis, text to 3d, radiance field, scene
        reconstruction, slam, neural rendering, bird eye view, multi view, equivariant""",
    "graph": """
        graph neural network, gnn, graph, node classification, graph transformer, knowledge graph, message
        passing, link prediction, graph learning, graph convolutional""",
    "tabular": """
        tabular, tabular data, time series, gradient boosting, forecasting, time series forecasting, decision
        tree, tensor data, structured data, multivariate time series""",
    "recsys": """
        recommendation, recommender, recommender system, click through rate, ctr prediction, collaborative
        filtering, user item, sequential recommendation, recommendation system, ctr, e commerce, advertising""",
    "robotics-rl": """
        reinforcement learning, robot, robotics, robotic, imitation learning, policy learning, manipulation,
        mujoco, atari, offline rl, control task, robotic manipulation, embodied, autonomous driving, policy
        gradient, actor critic, world model, diffusion policy""",
    "science": """
        molecular, protein, molecule, physics, chemistry, weather, drug, quantum, pde, partial differential
        equation, materials, genomic, climate, biology, dna, catalyst, scientific, open catalyst, fluid dynamic,
        interatomic""",
    "code": """
        code generation, program synthesis, source code, software engineering, code completion, code llm,
        programming, code language model, fuzzing, hardware description, verilog, code model, humaneval, code
        intelligence, bug, codebase""",
}  # fmt: skip
_GENERIC = frozenset(
    " ".join(phrase.split())
    for phrase in [
        "\n    image",
        " text",
        " graph",
        " prompt",
        " word",
        " sentence",
        " visual",
        " document",
        " backbone",
        " convolution",
        " reasoning",
        " vision",
        "\n    codec",
        " mesh",
        " segmentation",
        " detection",
        " denoising",
        " bug",
        " diffusion model",
        " pixel",
        " fid",
        " programming",
        " token\n    generation",
        " robot",
        " multi view",
        " convolutional neural network",
        " cnn",
        " voice",
        " physics",
        " scientific",
        "\n    translation",
        " opt",
        " lip",
        " control task",
        " equivariant",
        " detector",
        " long context",
        " perplexity",
        " forecasting",
        "\n    quantum\n    ",
    ]
)


def _weights(phrases: str) -> dict[float, str]:
    """Phrases by weight: one that many papers use in passing weighs less, a long one more."""
    rows: dict[float, list[str]] = {}
    for phrase in phrases.split(","):
        key = " ".join(phrase.split())
        rows.setdefault(0.6 if key in _GENERIC else 1.0 + 0.3 * key.count(" "), []).append(key)
    return {weight: ",".join(keys) for weight, keys in rows.items()}


_TABLE = LEXICON.add(weighted_phrases({modality: _weights(phrases) for modality, phrases in _VOCABULARY.items()}))
_ENOUGH, _SHARE_OF_FIRST = 0.6, 0.6
_FACTORS = (2.5, 0.5, 1.0)
"""Of a phrase in the title, the background and the paper's own part."""


_MANY = 3
"""So many kinds of data alike, none of them in the title, make a method general."""


def find_modality(document: Document) -> tuple[tuple[str, ...], list[str]]:
    """One or two modalities, "general" where no data is named, and the phrases behind them."""
    evidence = Evidence()
    evidence.weigh(document.found[_TABLE], _FACTORS)
    scores = evidence.scores
    multimodal = scores.get("multimodal", 0.0)
    for part in ("language", "vision"):
        if multimodal >= 3.0 and scores.get(part, 0.0) < 1.6 * multimodal:
            scores[part] *= 0.4
    for special in ("video", "3d"):
        if scores.get(special, 0.0) >= 3.0:
            scores["vision"] *= 0.5
    ranked = sorted((m for m in scores if scores[m] >= _ENOUGH), key=lambda m: -scores[m])
    if not ranked:
        return ("general",), []
    first = scores[ranked[0]]
    if (
        len(ranked) >= _MANY
        and scores[ranked[_MANY - 1]] >= 0.5 * first
        and not any(place == TITLE and weights for place, weights, _ in document.found[_TABLE])
    ):
        return ("general",), evidence.strongest(ranked[:_MANY], 1)
    chosen = tuple(m for rank, m in enumerate(ranked[:2]) if rank == 0 or scores[m] >= _SHARE_OF_FIRST * first)
    return chosen, evidence.strongest(chosen)
