"""What data a method works on."""

from __future__ import annotations

from collections import defaultdict

from .text import Document
from .vocabulary import PhraseTable

_VOCABULARY: dict[str, str] = {
    "language": """
        language model, llm, large language model, nlp, natural language, text generation, bert, gpt, machine
        translation, question answering, text classification, language modeling, llama, glue, summarization,
        sentence embedding, natural language processing, roberta, t5, perplexity, prompt, chatbot, text, opt,
        word, sentence, linguistic, translation, wikitext, document, multilingual, instruction tuning, long
        context, token generation, reasoning, dialogue, arabic, slm, mistral, qwen, deepseek""",
    "vision": """
        image classification, object detection, semantic segmentation, vision transformer, imagenet, vit, coco,
        cifar, convolutional neural network, cnn, computer vision, image, resnet, image generation, super
        resolution, vision, visual recognition, segmentation, image restoration, yolo, mobilenet, convolution,
        cityscape, face recognition, ade20k, deit, swin, text to image, image synthesis, medical image, stable
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
_TABLE: PhraseTable[tuple[tuple[str, float], ...]]


def _merged() -> PhraseTable[tuple[tuple[str, float], ...]]:
    by_phrase: dict[str, dict[str, float]] = defaultdict(dict)
    for modality, phrases in _VOCABULARY.items():
        for phrase in phrases.split(","):
            key = " ".join(phrase.split())
            by_phrase[key][modality] = 0.6 if key in _GENERIC else 1.0 + 0.3 * key.count(" ")
    return PhraseTable((phrase, tuple(weights.items())) for phrase, weights in by_phrase.items())


_TABLE = _merged()
_ENOUGH, _SHARE_OF_FIRST = 1.2, 0.5


def find_modality(document: Document) -> tuple[tuple[str, ...], list[str]]:
    """One or two modalities, "general" where no data is named, and the phrases behind them."""
    scores: dict[str, float] = defaultdict(float)
    words: dict[str, dict[str, float]] = defaultdict(dict)
    own = document.own_start
    for text, in_title in ((document.title_words, True), (document.words, False)):
        folded = [w.text for w in text]
        for hit in _TABLE.find(folded):
            phrase = " ".join(folded[hit.first : hit.stop])
            factor = 2.5 if in_title else (1.0 if text[hit.first].start >= own else 0.5)
            for modality, weight in hit.payload:
                seen = words[modality].get(phrase, 0.0)
                gain = weight * factor / (1.0 + seen)
                words[modality][phrase] = seen + gain
                scores[modality] += gain
    if scores.get("multimodal", 0.0) >= 3.0:
        for part in ("language", "vision"):
            if scores.get(part, 0.0) < 1.6 * scores["multimodal"]:
                scores[part] = scores.get(part, 0.0) * 0.4
    for special in ("video", "3d"):
        if scores.get(special, 0.0) >= 3.0:
            scores["vision"] = scores.get("vision", 0.0) * 0.5
    ranked = sorted((m for m in scores if scores[m] >= _ENOUGH), key=lambda m: -scores[m])
    if not ranked:
        return ("general",), []
    first = scores[ranked[0]]
    chosen = [m for n, m in enumerate(ranked[:2]) if n == 0 or scores[m] >= _SHARE_OF_FIRST * first]
    evidence = [w for m in chosen for w, _ in sorted(words[m].items(), key=lambda item: -item[1])[:3]]
    return tuple(chosen), list(dict.fromkeys(evidence))
