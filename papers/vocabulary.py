"""The words of a technique record that everything shares, with the labels a page shows. No Django here."""

KIND_LABELS = {
    "technique": "Technique",
    "architecture": "Architecture or model",
    "system": "System",
    "hardware": "Hardware",
    "survey": "Survey",
    "benchmark": "Benchmark",
    "dataset": "Dataset",
    "analysis": "Empirical study",
    "theory": "Theory",
    "application": "Application",
    "other": "Other",
}
FAMILY_LABELS = {
    "quantization": "Quantization",
    "sparsity-pruning": "Sparsity and pruning",
    "distillation": "Distillation",
    "low-rank": "Low-rank and factorised weights",
    "peft": "Parameter-efficient fine-tuning",
    "efficient-attention": "Efficient attention",
    "kv-cache": "KV cache",
    "ssm-recurrent": "State-space and recurrent models",
    "mixture-of-experts": "Mixture of experts",
    "conditional-computation": "Conditional computation",
    "token-reduction": "Token reduction",
    "decoding-acceleration": "Decoding acceleration",
    "kernels-compilers": "Kernels and compilers",
    "distributed-training": "Distributed training",
    "memory-efficient-training": "Memory-efficient training",
    "training-efficiency": "Training efficiency",
    "efficient-architecture": "Efficient architecture",
    "nas": "Neural architecture search",
    "weight-sharing": "Weight sharing",
    "retrieval-efficiency": "Retrieval efficiency",
    "diffusion-acceleration": "Diffusion acceleration",
    "serving-systems": "Serving systems",
    "data-efficiency": "Data efficiency",
    "edge-deployment": "Edge deployment",
    "hardware-accelerators": "Hardware accelerators",
}
MODALITY_LABELS = {
    "language": "Language",
    "vision": "Vision",
    "video": "Video",
    "speech-audio": "Speech and audio",
    "multimodal": "Multimodal",
    "3d": "3D",
    "graph": "Graphs",
    "tabular": "Tabular",
    "recsys": "Recommendation",
    "robotics-rl": "Robotics and reinforcement learning",
    "science": "Science",
    "code": "Code",
    "general": "General",
}
STAGE_LABELS = {
    "training": "Training",
    "fine-tuning": "Fine-tuning",
    "inference": "Inference",
    "search": "Architecture search",
    "data": "Data",
}
METRIC_LABELS = {
    "latency": "Latency",
    "throughput": "Throughput",
    "speedup": "Speed-up",
    "memory": "Memory",
    "params": "Parameters",
    "model_size": "Model size",
    "flops": "FLOPs",
    "energy": "Energy",
    "communication": "Communication",
    "training_time": "Training time",
    "training_cost": "Training cost",
    "data_samples": "Training data",
    "storage": "Storage",
    "compression": "Compression",
    "bandwidth": "Bandwidth",
    "other_efficiency": "Other efficiency",
}
PHASE_LABELS = {
    "inference": "Inference",
    "training": "Training",
    "fine-tuning": "Fine-tuning",
    "search": "Search",
    "other": "Other",
}
VERIFY_LABELS = {
    "kernel": "A kernel on one device",
    "random-model": "A model with random weights",
    "small-training": "A small training run",
    "needs-weights": "Published weights",
    "multi-device": "Several devices",
    "other-hardware": "Hardware other than CPU or GPU",
    "none": "Nothing to reproduce",
}
# Metrics that can say the same thing in other words: "2x faster" and "half the latency".
METRIC_GROUPS = {
    "latency": "time",
    "throughput": "time",
    "speedup": "time",
    "training_time": "time",
    "memory": "space",
    "storage": "space",
    "model_size": "space",
    "params": "space",
    "compression": "space",
    "flops": "flops",
    "energy": "energy",
    "communication": "traffic",
    "bandwidth": "traffic",
    "training_cost": "budget",
    "data_samples": "budget",
    "other_efficiency": "other",
}


def label_of(value: str) -> str:
    """What a page calls a value of any field; other words are shown with a capital."""
    for labels in (FAMILY_LABELS, METRIC_LABELS, KIND_LABELS, MODALITY_LABELS, STAGE_LABELS):
        if value in labels:
            return labels[value]
    if (family := value.replace("_", "-")) in FAMILY_LABELS:  # a measure such as kv_cache is named as its family is
        return FAMILY_LABELS[family]
    return value[:1].upper() + value[1:].replace("_", " ") if value.islower() else value
