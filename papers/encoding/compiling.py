"""Compiling a sentence encoder for OpenVINO, once for each set of weights and versions.

    python -m papers.encoding.compiling MODEL_FOLDER NEW_FOLDER

It imports torch and takes half a minute, so `papers/encoding/compiled.py` runs it in a process of its own. What is
written computes from tokens to unit vectors and the state of each token; it is refused where these are not those of
sentence-transformers.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from papers.encoding.compiled import INPUTS, MODEL, CompiledEncoder

LEAST_COSINE = 0.9999
LARGEST_DIFFERENCE = 1e-4
# Of one word, of many, of other scripts, of nothing, and longer than the encoder reads: alone and as one padded batch.
PROBES = (
    "attention", "one RTX 4090, Llama-3-8B, 32k prompts, no retraining", "", "Größe, 模型压缩, сжатие, ﬁne-tuning 🙂",
    "Weights are kept in four bits and read as they are stored. " * 6, "A cache of keys and values grows with the prompt. " * 60,
)  # fmt: skip


class NotTheSame(Exception):
    """The compiled encoder's vectors differ from those of the one that it was made from."""


def compile_encoder(model_folder: Path, target: Path) -> None:
    """Write the files of the compiled encoder into an existing folder. Raises: NotTheSame."""
    openvino: Any = importlib.import_module("openvino")
    library: Any = importlib.import_module("sentence_transformers")
    # The other kinds of attention look into the mask while they are traced, and would be fixed to the example's.
    original = library.SentenceTransformer(
        str(model_folder), device="cpu", model_kwargs={"attn_implementation": "eager"}
    )
    traced = openvino.convert_model(
        _to_unit_vectors(original[0].auto_model),
        example_input=_example(),
        input=[(name, openvino.PartialShape([-1, -1]), openvino.Type.i64) for name in INPUTS],
    )
    openvino.save_model(traced, str(target / MODEL), compress_to_fp16=False)
    compiled = CompiledEncoder("probe", target, model_folder)
    check_same(
        original.encode(list(PROBES), normalize_embeddings=True, show_progress_bar=False),
        [compiled.encode(PROBES), np.concatenate([compiled.encode([probe]) for probe in PROBES])],
    )


def check_same(wanted: Any, found: Sequence[Any]) -> None:
    """Raises NotTheSame where any vector is off."""
    for vectors in found:
        cosine = float((wanted * vectors).sum(axis=1).min())
        off = float(np.abs(wanted - vectors).max())
        if not (cosine > LEAST_COSINE and off < LARGEST_DIFFERENCE):
            raise NotTheSame(f"compiled vectors differ from the original ones: cosine {cosine:.6f}, largest {off:.2g}")


def _example() -> dict[str, Any]:
    """Three different tensors: inputs that are one object would be merged into one, without a word."""
    torch: Any = importlib.import_module("torch")
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 5:] = 0
    return {"ids": torch.arange(18).reshape(2, 9), "mask": mask, "types": torch.zeros(2, 9, dtype=torch.long)}


def _to_unit_vectors(model: Any) -> Any:
    torch: Any = importlib.import_module("torch")

    class ToUnitVectors(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        """The transformer, the mean over its tokens at a length of 1, and the tokens as they are."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, mask: Any, types: Any) -> Any:
            states = self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
            weights = mask.unsqueeze(-1).to(states.dtype)
            mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, p=2, dim=1), states

    return ToUnitVectors().eval()


if __name__ == "__main__":
    compile_encoder(Path(sys.argv[1]), Path(sys.argv[2]))
