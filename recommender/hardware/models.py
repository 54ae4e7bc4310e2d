"""Shapes of public models in models/*.toml, or of one given by hand, and how many parameters and operations follow.

kind    decoder (makes tokens and keeps keys and values), encoder, encoder-decoder, recurrent (a state of fixed size
        instead of keys and values), convnet or diffusion (one pass is one item: an image, a denoising step)
gated   the feed-forward has three matrices and not two; tied: the output layer is the embedding
experts, active_experts, shared_experts   feed-forwards in a layer, those that a token is sent to, those that all use;
        the first dense_layers have one of width dense_ffn instead
q_rank, kv_rank, rope_dim, value_dim      latent attention (MLA): the cache holds kv_rank + rope_dim numbers a token
window, windowed_share   attention to the last `window` tokens only, in that share of the layers
context length that it was trained for; tokens: of one item, for models whose input has a fixed size
parameters_given, flops_per_item, activations_per_item, state_elements   for models that are no stack of such layers
published_billions       what the makers count, to check the shape by
"""

from __future__ import annotations

import functools
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommender.hardware.catalogue import CatalogueError
from recommender.hardware.naming import fold, longest_alias

SOURCES = Path(__file__).with_name("models")
KINDS = ("decoder", "encoder", "encoder-decoder", "recurrent", "convnet", "diffusion")
# Which of the architectures that cards name each kind is.
ARCHITECTURES: Mapping[str, tuple[str, ...]] = {
    "decoder": ("transformer",), "encoder": ("transformer",), "encoder-decoder": ("transformer",),
    "recurrent": ("ssm",), "convnet": ("cnn",), "diffusion": ("diffusion",),
}  # fmt: skip
BY_HAND = re.compile(r"^\s*(?:[a-z_]+\s*=\s*[\w.]+[\s,;]*)+$")
_SIZE = r"(\d{1,4}(?:\.\d{1,2})?)[\s-]?b(?:illion)?"
_NOUN = r"(?:(?:parameter|param)s?|(?:chat |language |transformer )?models?|llms?|decoders?|transformers?|chatbots?)"
_SIZED = re.compile(rf"(?<![\w.]){_SIZE}[\s-]{_NOUN}\b")
# The whole of what was given as a model is its size or its kind.
_ONLY_A_KIND = re.compile(rf"(?:an? )?(?:{_SIZE}(?:[\s-]{_NOUN})*|[a-z\s-]+)$")
BY_HAND_NAME = "Shape by hand"
TODAY, NEAR_IN_SIZE = 8_192, math.log(1.3)
# The largest shape that is reckoned with; beyond it a figure was mistyped.
MOST: Mapping[str, int] = {
    "layers": 2_000, "hidden": 200_000, "heads": 4_096, "kv_heads": 4_096, "head_dim": 4_096, "ffn": 2_000_000,
    "vocab": 10_000_000, "experts": 10_000, "active_experts": 10_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its shape; the fields are explained at the head of the module."""

    name: str
    kind: str
    aliases: tuple[str, ...] = ()
    layers: int = 0
    hidden: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    ffn: int = 0
    vocab: int = 0
    gated: bool = False
    tied: bool = True
    experts: int = 1
    active_experts: int = 1
    shared_experts: int = 0
    dense_layers: int = 0
    dense_ffn: int = 0
    q_rank: int = 0
    kv_rank: int = 0
    rope_dim: int = 0
    value_dim: int = 0
    window: int = 0
    windowed_share: float = 0.0
    decoder_layers: int = 0
    context: int = 0
    tokens: int = 0
    item: str = ""
    parameters_given: float = 0.0
    flops_per_item: float = 0.0
    activations_per_item: float = 0.0
    state_elements: float = 0.0
    published_billions: float = 0.0
    stands_for: tuple[str, ...] = ()

    @property
    def is_decoder(self) -> bool:
        """Whether it makes tokens one after the other."""
        return self.kind in ("decoder", "encoder-decoder", "recurrent")

    @property
    def reads(self) -> frozenset[str]:
        """What its data is, in the words of records: papers for other data are not meant for it."""
        if self.kind in ("decoder", "recurrent") or (self.kind in ("encoder", "encoder-decoder") and not self.item):
            return frozenset({"language", "code"})
        kinds = {"speech": "speech-audio", "video": "video", "image": "vision"}
        found = {kind for word, kind in kinds.items() if word in self.item}
        return frozenset(found | {"vision"}) if "video" in found else frozenset(found)

    @property
    def architectures(self) -> tuple[str, ...]:
        """In the words of cards."""
        found = ARCHITECTURES[self.kind]
        if self.experts > 1:
            return (*found, "moe")
        return (*found, "vit") if self.kind == "encoder" and self.item.startswith("image") else found

    @property
    def attention_parameters(self) -> int:
        """Of one layer: the projections of queries, keys, values and the output; biases left out."""
        if not self.kv_rank:
            return 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        plain = self.head_dim - self.rope_dim
        queries = self.heads * self.head_dim
        query = self.q_rank * (self.hidden + queries) if self.q_rank else self.hidden * queries
        latent = self.hidden * (self.kv_rank + self.rope_dim) + self.kv_rank * self.heads * (plain + self.value_dim)
        return query + latent + self.heads * self.value_dim * self.hidden

    @property
    def expert_parameters(self) -> int:
        """Of one feed-forward: two matrices, three when gated."""
        return (3 if self.gated else 2) * self.hidden * self.ffn

    @property
    def cross_parameters(self) -> int:
        """Of the decoder's attention to the encoder, over all decoder layers."""
        return self.decoder_layers * self.attention_parameters

    @property
    def output_parameters(self) -> int:
        return self.vocab * self.hidden if self.is_decoder else 0

    def _stack(self, experts: int) -> int:
        """All layers with that many routed experts each."""
        router = self.hidden * self.experts if self.experts > 1 else 0
        dense = (3 if self.gated else 2) * self.hidden * self.dense_ffn
        sparse = (experts + self.shared_experts) * self.expert_parameters + router
        layers = self.layers + self.decoder_layers
        return (
            layers * (self.attention_parameters + 2 * self.hidden)
            + self.dense_layers * dense
            + (layers - self.dense_layers) * sparse
            + self.cross_parameters
        )

    @property
    def parameters(self) -> float:
        """All weights; biases and learned positions are left out (under 1 %)."""
        if self.parameters_given:
            return self.parameters_given
        embeddings = self.vocab * self.hidden * (1 if self.tied else 2)
        return self._stack(self.experts) + embeddings + self.hidden

    @property
    def layer_parameters(self) -> float:
        """Weights of the layers that one token is multiplied with: those of its experts, no embedding, no output."""
        if self.parameters_given:
            tables = self.vocab * self.hidden * (1 if self.tied else 2)
            return self.parameters_given - tables
        return self._stack(self.active_experts)

    @property
    def prompt_parameters(self) -> float:
        """Those that a token of the prompt meets: of an encoder-decoder the encoder's."""
        if not self.decoder_layers:
            return self.layer_parameters
        return self.layers * (self.attention_parameters + self.expert_parameters + 2 * self.hidden)

    @property
    def step_parameters(self) -> float:
        """Those that a new token meets: of an encoder-decoder the decoder's."""
        return self.layer_parameters - (self.prompt_parameters if self.decoder_layers else 0)

    @property
    def routed_parameters(self) -> float:
        """Weights of all routed experts, of which a token uses active_experts of experts."""
        if self.experts == 1:
            return 0.0
        return float((self.layers - self.dense_layers) * self.experts * self.expert_parameters)

    @property
    def kv_elements_per_token(self) -> int:
        """Keys and values of one token over all layers that see everything or a window; 0 where none are kept."""
        if self.kind in ("encoder", "convnet", "diffusion", "recurrent"):
            return 0
        layers = self.decoder_layers or self.layers
        if self.kv_rank:
            return layers * (self.kv_rank + self.rope_dim)
        return 2 * layers * self.kv_heads * self.head_dim

    def kv_elements(self, tokens: float) -> float:
        """Numbers that the cache of one sequence holds after so many tokens; windows hold no more than their length."""
        kept = min(tokens, self.window) if self.window else tokens
        per_token = self.kv_elements_per_token
        return per_token * ((1 - self.windowed_share) * tokens + self.windowed_share * kept) + self.state_elements

    def attended(self, tokens: float) -> float:
        """Mean number of tokens that a query looks at when `tokens` stand before it, over all layers."""
        kept = min(tokens, self.window) if self.window else tokens
        return (1 - self.windowed_share) * tokens + self.windowed_share * kept


def read_models(table: Mapping[str, Any]) -> dict[str, Model]:
    """Models by name, of a parsed file of shapes. Raises CatalogueError that names the model and the field."""
    found: dict[str, Model] = {}
    for row in table.get("model", ()):
        name = row.get("name", "(no name)")
        try:
            words = {field: tuple(row.get(field, ())) for field in ("aliases", "stands_for")}
            model = Model(**{**row, **words})
        except TypeError as error:
            raise CatalogueError(f"model {name!r}: {error}") from error
        check_shape(model)
        found[name] = model
    return found


def check_shape(model: Model) -> None:
    """Raises CatalogueError that names the field for a shape that no model can have."""
    if model.kind not in KINDS:
        raise CatalogueError(f"model {model.name!r}: kind must be one of {', '.join(KINDS)}, not {model.kind!r}")
    for field, most in MOST.items():
        value = getattr(model, field)
        free = field == "vocab" or model.parameters_given > 0
        if not isinstance(value, int) or isinstance(value, bool) or not (0 if free else 1) <= value <= most:
            raise CatalogueError(
                f"model {model.name!r}: {field} must be a whole number from {0 if free else 1} to {most:,}, not {value!r}"
            )
    if model.kv_heads and model.heads % model.kv_heads:
        raise CatalogueError(f"model {model.name!r}: kv_heads must divide heads ({model.kv_heads} and {model.heads})")
    if model.active_experts > model.experts:
        raise CatalogueError(
            f"model {model.name!r}: active_experts must be at most experts ({model.active_experts} and {model.experts})"
        )


@functools.cache
def models() -> dict[str, Model]:
    found: dict[str, Model] = {}
    for path in sorted(SOURCES.glob("*.toml")):
        found |= read_models(tomllib.loads(path.read_text(encoding="utf-8")))
    return found


@functools.cache
def _aliases() -> dict[str, str]:
    return {fold(alias): model.name for model in models().values() for alias in (model.name, *model.aliases)}


@functools.lru_cache(4096)
def find_model(text: str) -> Model | None:
    """The model that the text names, such as "Llama-3-8B" or "llama3 8b", or a shape by hand (see `shape_by_hand`).

    None when it names none that is known. Raises: CatalogueError that names the field where a shape by hand is wrong.
    """
    if BY_HAND.match(text.lower()):
        return shape_by_hand(text)
    name = longest_alias(text, _aliases())
    return models()[name] if name else None


def model_or_kind(text: str) -> Model | None:
    """As `find_model`; where the whole text is a size or a kind ("7B", "video diffusion transformer"), what it is reckoned as."""
    return find_model(text) or (typical_model(text) if _ONLY_A_KIND.match(text.strip().lower()) else None)


def names_it(model: Model, text: str) -> bool:
    """Whether the text names the model itself, and not only its size or its kind."""
    return model.name == BY_HAND_NAME or longest_alias(text, _aliases()) == model.name


@functools.cache
def _kinds() -> dict[str, str]:
    return {fold(words): model.name for model in models().values() for words in model.stands_for}


def kind_named(text: str) -> str | None:
    """The words of a text that name a kind of model and no model: "3B model", "video diffusion transformer"."""
    if found := _SIZED.search(text.lower()):
        return found[0] if _nearest_in_size(float(found[1])) else None
    words = fold(text).replace("-", " ")
    kinds = [kind for kind in _kinds() if re.search(rf"\b{re.escape(kind)}s?\b", words)]
    return max(kinds, key=len, default=None)


def typical_model(text: str) -> Model | None:
    """The model of the catalogue that a kind of model is reckoned as: the nearest in size, or the one that stands for it."""
    if found := _SIZED.search(text.lower()) or re.match(_SIZE, text.strip().lower()):
        return _nearest_in_size(float(found[1]))
    kind = kind_named(text)
    return models()[_kinds()[kind]] if kind else None


def _nearest_in_size(billions: float) -> Model | None:
    """The decoder of today (not of experts, made for long inputs) whose count of parameters comes nearest, if one comes near."""
    known = [one for one in models().values() if one.kind == "decoder" and one.experts == 1 and one.context >= TODAY]
    away, best = min(
        ((abs(math.log(one.parameters / 1e9 / billions)), one) for one in known if billions > 0),
        key=lambda pair: (pair[0], pair[1].name), default=(math.inf, None),
    )  # fmt: skip
    return best if away <= NEAR_IN_SIZE else None


def shape_by_hand(text: str) -> Model:
    """A decoder from "layers=32 hidden=4096 heads=32 kv_heads=8 ffn=14336 vocab=32000"; any other field may follow.

    kv_heads is heads when left out, head_dim hidden ÷ heads, ffn four times hidden. Raises: CatalogueError.
    """
    pairs = dict(re.findall(r"([a-z_]+)\s*=\s*([\w.]+)", text.lower()))
    name, kind = BY_HAND_NAME, pairs.pop("kind", "decoder")
    values: dict[str, Any] = {}
    for field, value in pairs.items():
        try:
            values[field] = value in ("true", "yes", "1") if field in ("gated", "tied") else int(value)
        except ValueError:
            raise CatalogueError(f"model: {field} must be a whole number, not {value!r}") from None
    for field in ("layers", "hidden", "heads"):
        if values.get(field, 0) < 1:
            raise CatalogueError(f"model: a shape by hand needs {field}, a whole number of at least 1")
    values.setdefault("kv_heads", values["heads"])
    values.setdefault("head_dim", values["hidden"] // values["heads"])
    values.setdefault("ffn", 4 * values["hidden"])
    try:
        model = Model(name=name, kind=kind, **values)
    except TypeError:
        unknown = sorted(set(values) - set(Model.__dataclass_fields__))
        raise CatalogueError(f"model: a shape has no field {', '.join(unknown)}") from None
    check_shape(model)
    return model
