"""Shapes of public models, and how many parameters and operations follow from them."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommender.hardware.catalogue import CatalogueError
from recommender.hardware.naming import fold, longest_alias

SOURCE = Path(__file__).with_name("models.toml")


@dataclass(frozen=True, slots=True)
class Model:
    """A transformer by its shape. `experts` feed-forwards in each layer, of which a token uses `active_experts`."""

    name: str
    kind: str
    aliases: tuple[str, ...]
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    gated: bool
    tied: bool
    experts: int = 1
    active_experts: int = 1

    @property
    def is_decoder(self) -> bool:
        return self.kind == "decoder"

    @property
    def attention_parameters(self) -> int:
        """Of one layer: query and output of all heads, key and value of the key-value heads; biases left out."""
        return 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)

    @property
    def expert_parameters(self) -> int:
        """Of one feed-forward: two matrices, three when gated."""
        return (3 if self.gated else 2) * self.hidden * self.ffn

    def _layer(self, experts: int) -> int:
        router = self.hidden * self.experts if self.experts > 1 else 0
        return self.attention_parameters + experts * self.expert_parameters + router + 2 * self.hidden

    @property
    def parameters(self) -> int:
        """All weights; biases and learned positions are left out (under 1 %)."""
        embeddings = self.vocab * self.hidden * (1 if self.tied else 2)
        return self.layers * self._layer(self.experts) + embeddings + self.hidden

    @property
    def computed_parameters(self) -> int:
        """Weights that one token is multiplied with: its experts and the output layer, not the embedding table."""
        return self.layers * self._layer(self.active_experts) + self.vocab * self.hidden

    @property
    def kv_elements_per_token(self) -> int:
        """Keys and values of one token over all layers; 0 for an encoder."""
        return 2 * self.layers * self.kv_heads * self.head_dim if self.is_decoder else 0


def read_models(table: Mapping[str, Any]) -> dict[str, Model]:
    """Models by name, of a parsed file of shapes. Raises CatalogueError that names the model and the field."""
    found: dict[str, Model] = {}
    for row in table.get("model", ()):
        name = row.get("name", "(no name)")
        try:
            model = Model(**{**row, "aliases": tuple(row.get("aliases", ()))})
        except TypeError as error:
            raise CatalogueError(f"model {name!r}: {error}") from error
        for field in ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "experts", "active_experts"):
            value = getattr(model, field)
            if not isinstance(value, int) or value <= 0:
                raise CatalogueError(f"model {name!r}: {field} must be a whole number above 0, not {value!r}")
        if model.heads % model.kv_heads:
            raise CatalogueError(f"model {name!r}: kv_heads must divide heads ({model.kv_heads} and {model.heads})")
        if model.kind not in ("decoder", "encoder"):
            raise CatalogueError(f"model {name!r}: kind must be decoder or encoder, not {model.kind!r}")
        found[name] = model
    return found


@functools.cache
def models() -> dict[str, Model]:
    return read_models(tomllib.loads(SOURCE.read_text(encoding="utf-8")))


@functools.cache
def _aliases() -> dict[str, str]:
    return {fold(alias): model.name for model in models().values() for alias in (model.name, *model.aliases)}


def find_model(text: str) -> Model | None:
    """The model that the text names, such as "Llama-3-8B" or "llama3 8b"; None when it names none that is known."""
    name = longest_alias(text, _aliases())
    return models()[name] if name else None
