"""The words of a technique record that everything shares, with the labels a page shows. No Django here."""

FAMILY_LABELS = {
    "quantization": "Quantization",
    "sparsity-pruning": "Sparsity and pruning",
    "distillation": "Distillation",
    "low-rank": "Low rank",
    "peft": "Parameter-efficient fine-tuning",
    "efficient-attention": "Efficient attention",
    "kv-cache": "KV cache",
    "ssm-recurrent": "State-space and recurrent",
    "mixture-of-experts": "Mixture of experts",
    "conditional-computation": "Conditional computation",
    "token-reduction": "Token reduction",
    "decoding-acceleration": "Decoding acceleration",
    "kernels-compilers": "Kernels and compilers",
    "distributed-training": "Distributed training",
    "memory-efficient-training": "Memory-efficient training",
    "training-efficiency": "Training efficiency",
    "efficient-architecture": "Efficient architecture",
    "nas": "Architecture search",
    "weight-sharing": "Weight sharing",
    "retrieval-efficiency": "Retrieval efficiency",
    "diffusion-acceleration": "Diffusion acceleration",
    "serving-systems": "Serving systems",
    "data-efficiency": "Data efficiency",
    "edge-deployment": "Edge deployment",
    "hardware-accelerators": "Hardware accelerators",
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
    """What a page calls a family or metric; other words are shown with a capital."""
    if value in FAMILY_LABELS:
        return FAMILY_LABELS[value]
    if value in METRIC_LABELS:
        return METRIC_LABELS[value]
    return value[:1].upper() + value[1:].replace("_", " ") if value.islower() else value
