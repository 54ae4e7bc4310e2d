"""Generation with guesses: a drafter names trees of candidate tokens, the model verifies each in one pass (`tree`).

Plain decoding is the same loop with trees that are their root, which is why the rungs here serve every drafting method.

A choice at place i is the largest of logits / temperature + noise[i]; with Gumbel noise that is a sample of the softmax
(Maddison, Tarlow and Minka, "A* Sampling", 2014), and one that another way of decoding can be compared with token for token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from runners.blocks.decoder import Decoder, Sizes
from runners.blocks.rand import Rand
from runners.blocks.small_lm import passages
from runners.blocks.tree import Mode, Pass, SlotCache, Tree


@dataclass(frozen=True)
class Seen:
    """What one verification tells a drafter."""

    tokens: Tensor
    """The nodes' tokens (n,)."""
    logits: Tensor
    """What the model said after each node, (n, vocab)."""
    hidden: Tensor
    """The states those logits come from, (n, hidden)."""
    path: list[int]
    """The accepted nodes, the root first."""
    read: list[int]
    """Their tokens."""
    emitted: list[int]
    """The tokens that this step added: those of the path but the root, and the choice after the last one."""


class Drafter(Protocol):
    def begin(self, seen: Seen) -> None:
        """Forgets the last sequence; `seen` is the prompt as a chain of nodes, all on the path."""

    def draft(self, last: int) -> tuple[Tree, Tensor]:
        """A tree and its nodes' tokens, the root's being `last`. All trees of a drafter have the same number of nodes."""

    def learn(self, seen: Seen) -> None:
        """What came of the last draft."""


class NoDraft:
    """Plain decoding: the tree is its root."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._tree, self._device = Tree([-1], device), device

    def begin(self, seen: Seen) -> None:
        pass

    def draft(self, last: int) -> tuple[Tree, Tensor]:
        return self._tree, torch.tensor([last], device=self._device)

    def learn(self, seen: Seen) -> None:
        pass


class Generation:
    """A subject: called with a prompt (1, tokens) and noise (places, vocab) or (0, vocab), it gives (1, new tokens).

    temperature: in percent; 0 takes the likeliest token and leaves the noise alone.
    """

    def __init__(
        self, model: Decoder, axes: dict[str, int], drafter: Drafter, nodes: int, mode: Mode = "graph"
    ) -> None:
        self.model, self.drafter = model, drafter
        self.new_tokens, self.temperature = axes["new_tokens"], axes.get("temperature", 0) / 100
        like = model.weights["embedding"]
        self.cache = SlotCache(model.sizes, axes["prompt"] + axes["new_tokens"] + nodes, like)
        prompt = axes["prompt"]
        self._prefill = Pass(model, self.cache, prompt, "eager")
        self._prompt_tree = Tree(range(-1, prompt - 1), like.device)
        self._verify = Pass(model, self.cache, nodes, mode)
        self.passes, self.tokens_made = 0, 0

    def __call__(self, prompt: Tensor, noise: Tensor) -> Tensor:
        length = prompt.shape[1]
        logits, hidden = self._prefill(prompt[0], 0, self._prompt_tree)
        made = [int(self._choose(logits[-1:], noise, prompt.new_zeros(1)))]
        self.drafter.begin(Seen(prompt[0], logits, hidden, list(range(length)), prompt[0].tolist(), made[:]))
        while len(made) < self.new_tokens:
            tree, tokens = self.drafter.draft(made[-1])
            logits, hidden = self._verify(tokens, length, tree)
            chosen = self._choose(logits, noise, tree.depths + len(made))
            # The only wait for the device in a step: node, tokens and choices come over together.
            node, *known = torch.cat([tree.deepest_accepted(tokens, chosen)[None], tokens, chosen]).tolist()
            path = tree.path(node)
            emitted = [known[each] for each in path[1:]] + [known[len(tree) + node]]
            self.cache.move([length + each for each in path], length)
            self.drafter.learn(Seen(tokens, logits, hidden, path, [known[each] for each in path], emitted))
            length += len(path)
            made += emitted
            self.passes += 1
            self.tokens_made += len(emitted)
        return torch.tensor([made[: self.new_tokens]], device=prompt.device)

    def _choose(self, logits: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """The token after each node, (n,); `places` (n,) say which of the new tokens it is."""
        if not self.temperature:
            return logits.argmax(-1)
        return (logits / self.temperature + noise[places.clamp(max=len(noise) - 1)]).argmax(-1)

    @property
    def tokens_per_pass(self) -> float:
        """How many tokens a verification has given on average so far; plain decoding has 1."""
        return self.tokens_made / self.passes if self.passes else 1.0

    def footprint(self) -> dict[str, int]:
        """Weights and cache; of a drafting subject also how many tokens 100 verifications gave, over all calls so far."""
        found = {**self.model.footprint(), "kv_cache": self.cache.nbytes}
        if not isinstance(self.drafter, NoDraft):
            found["tokens_per_100_passes"] = round(100 * self.tokens_per_pass)
        return found


def plain(axes: dict[str, int], weights: dict[str, Tensor], mode: Mode) -> Generation:
    """Plain decoding in the same loop, one token a pass."""
    model = Decoder(Sizes.of(axes), weights)
    return Generation(model, axes, NoDraft(model.weights["embedding"].device), 1, mode)


def make_plain_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Generation:
    """A rung: plain decoding, each operation launched from Python."""
    return plain(axes, weights, "eager")


def make_plain_graph(axes: dict[str, int], weights: dict[str, Tensor]) -> Generation:
    """A rung: plain decoding whose pass is a CUDA graph, as those of the drafting subjects are."""
    return plain(axes, weights, "graph")


def make_plain_compiled(axes: dict[str, int], weights: dict[str, Tensor]) -> Generation:
    """A rung: plain decoding whose pass went through torch.compile."""
    return plain(axes, weights, "compiled")


make_plain_compiled.compiles = True  # type: ignore[attr-defined]  # the harness then builds it only where it is timed


def generation_inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """A prompt (1, prompt), and noise (new tokens, vocab) where tokens are sampled, else (0, vocab).

    With `hits` the model is a planted one, in which every token has its successor; else it is trained, and the prompt a text.
    """
    places = axes["new_tokens"] if axes["temperature"] else 0
    if axes["hits"]:
        prompt = rand.integers(axes["vocab"], 1, axes["prompt"])
    else:
        prompt = passages(axes["vocab"], 1, axes["prompt"], rand)
    return prompt, gumbel(rand, places, axes["vocab"])


def gumbel(rand: Rand, places: int, vocab: int) -> Tensor:
    """Standard Gumbel noise (places, vocab)."""
    uniform = rand.uniform(places, vocab).double().clamp(1e-9, 1 - 1e-9)
    return (-(-uniform.log()).log()).to(rand.dtype)
