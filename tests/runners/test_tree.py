"""Guess and verify: whatever a drafter guesses, the text is that of plain decoding."""

import itertools
import math
import random

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import Decoder, Sizes, causal_attend, decoder_weights  # noqa: E402
from runners.blocks.planted_lm import guesses, planted_weights, steps_ahead  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.speculative import Generation, gumbel, make_plain_eager  # noqa: E402
from runners.blocks.tree import Pass, SlotCache, Tree, likeliest_nodes  # noqa: E402

AXES = {
    "layers": 2, "hidden": 24, "heads": 4, "kv_heads": 2, "dim": 6, "ffn": 32, "vocab": 5, "prompt": 4, "new_tokens": 20,
}  # fmt: skip
PARENTS = [-1, 0, 0, 1, 1, 2, 3]


class Guessing:
    """Random trees with random tokens; what it is told is kept."""

    def __init__(self, nodes: int) -> None:
        self.nodes, self.chooser, self.seen = nodes, random.Random(3), []

    def begin(self, seen):
        self.seen = [seen]

    def draft(self, last):
        parents = [-1, *(self.chooser.randrange(node) for node in range(1, self.nodes))]
        tokens = [last, *(self.chooser.randrange(AXES["vocab"]) for _ in parents[1:])]
        return Tree(parents), torch.tensor(tokens)

    def learn(self, seen):
        self.seen.append(seen)


def model_and_prompt(seed=1):
    sizes = Sizes.of(AXES)
    weights = decoder_weights(sizes, Rand(seed, dtype=torch.float64))
    return weights, Rand(seed + 1).integers(AXES["vocab"], 1, AXES["prompt"])


def by_definition(weights, prompt, count, noise=None):
    """One token after the other without a cache: the largest logit, or of logits and noise."""
    model, tokens = Decoder(Sizes.of(AXES), weights), prompt
    for place in range(count):
        hidden = model(model.embed(tokens), torch.arange(tokens.shape[1]), causal_attend)
        logits = model.logits(hidden[:, -1])
        tokens = torch.cat([tokens, (logits if noise is None else logits + noise[place]).argmax(-1)[None]], dim=1)
    return tokens[:, prompt.shape[1] :]


def test_a_tree_knows_its_depths_paths_and_who_sees_whom():
    tree = Tree(PARENTS)
    assert tree.depths.tolist() == [0, 1, 1, 2, 2, 2, 3]
    assert tree.path(6) == [0, 1, 3, 6]
    assert [row.nonzero().flatten().tolist() for row in tree.ancestors] == [
        [0], [0, 1], [0, 2], [0, 1, 3], [0, 1, 4], [0, 2, 5], [0, 1, 3, 6],
    ]  # fmt: skip


@pytest.mark.parametrize("parents", [[], [0], [-1, 1], [-1, -1], [-1, 0, 3]])
def test_parents_that_are_no_tree_are_refused(parents):
    with pytest.raises(ValueError, match="parents"):
        Tree(parents)


@pytest.mark.parametrize(
    ("tokens", "chosen", "node"),
    [
        pytest.param([9, 1, 2, 3, 4, 5, 6], [7, 7, 7, 7, 7, 7, 7], 0, id="no-guess-is-right"),
        pytest.param([9, 1, 2, 3, 4, 5, 6], [1, 3, 7, 6, 7, 7, 7], 6, id="the-longest-path"),
        pytest.param([9, 1, 2, 3, 4, 5, 6], [2, 3, 5, 6, 7, 7, 7], 5, id="the-other-branch"),
        pytest.param([9, 1, 2, 3, 4, 5, 6], [7, 3, 7, 6, 7, 7, 7], 0, id="right-below-a-wrong-one-does-not-count"),
    ],
)
def test_acceptance_ends_at_the_first_guess_that_the_model_would_not_have_chosen(tokens, chosen, node):
    assert int(Tree(PARENTS).deepest_accepted(torch.tensor(tokens), torch.tensor(chosen))) == node


def test_one_pass_over_a_tree_gives_what_each_branch_gives_as_a_text_of_its_own():
    weights, prompt = model_and_prompt()
    model, tree = Decoder(Sizes.of(AXES), weights), Tree(PARENTS)
    tokens = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    cache = SlotCache(model.sizes, 16, weights["qkv"])
    Pass(model, cache, 4, "eager")(prompt[0], 0, Tree([-1, 0, 1, 2]))
    logits, _ = Pass(model, cache, 7, "eager")(tokens, 4, tree)
    for node in range(len(tree)):
        text = torch.cat([prompt, tokens[tree.path(node)][None]], dim=1)
        hidden = model(model.embed(text), torch.arange(text.shape[1]), causal_attend)
        assert torch.allclose(logits[node], model.logits(hidden[0, -1]))


@pytest.mark.parametrize("nodes", [1, 2, 9, 30])
@pytest.mark.parametrize("sampled", [False, True])
def test_the_text_is_that_of_plain_decoding_whatever_is_guessed(nodes, sampled):
    weights, prompt = model_and_prompt()
    axes = AXES | {"temperature": 100 * sampled}
    noise = gumbel(Rand(5, dtype=torch.float64), AXES["new_tokens"], AXES["vocab"])
    drafter = Guessing(nodes)
    subject = Generation(Decoder(Sizes.of(AXES), weights), axes, drafter, nodes)
    wanted = by_definition(weights, prompt, AXES["new_tokens"], noise if sampled else None)
    for _ in range(2):  # what a call leaves behind does not matter to the next
        assert torch.equal(subject(prompt, noise), wanted)
    assert torch.equal(make_plain_eager(axes, weights)(prompt, noise), wanted)
    assert 1 <= subject.tokens_per_pass <= nodes
    assert subject.footprint()["tokens_per_100_passes"] == round(100 * subject.tokens_per_pass)
    assert "tokens_per_100_passes" not in make_plain_eager(axes, weights).footprint()
    if nodes == 30:
        assert subject.tokens_per_pass > 1.2  # five tokens: some guesses are right by chance
    told = [token for seen in drafter.seen for token in seen.emitted]
    assert told[: AXES["new_tokens"]] == wanted[0].tolist()


def test_sampled_tokens_have_the_models_distribution():
    weights, prompt = model_and_prompt()
    axes = AXES | {"temperature": 100, "new_tokens": 2}
    subject = Generation(Decoder(Sizes.of(AXES), weights), axes, Guessing(12), 12)
    model, rand, draws = Decoder(Sizes.of(AXES), weights), Rand(6, dtype=torch.float64), 1500
    found = torch.zeros(5, 5)
    for _ in range(draws):
        first, second = subject(prompt, gumbel(rand, 2, 5))[0].tolist()
        found[first, second] += 1 / draws
    wanted = torch.zeros(5, 5)
    for first in range(5):
        text = torch.cat([prompt, torch.tensor([[first]])], dim=1)
        shares = model.logits(model(model.embed(text), torch.arange(5)))[0].softmax(-1)
        wanted[first] = (shares[3, first] * shares[4]).float()
    assert (found - wanted).abs().max() < 0.04


def test_a_planted_model_follows_its_cycle_and_guesses_are_right_as_often_as_asked():
    axes = AXES | {"vocab": 300, "hidden": 64}
    weights = planted_weights(Sizes.of(axes), Rand(1))
    successor = weights["successor"]
    assert len(set(successor.tolist())) == 300
    assert int(steps_ahead(successor, 300)[7]) == 7 != int(steps_ahead(successor, 150)[7])
    made = make_plain_eager(axes, weights)(torch.tensor([[3, 1, 4, 1]]), torch.zeros(0, 300))[0]
    assert made.tolist() == [int(steps_ahead(successor, step)[1]) for step in range(1, 21)]
    for percent in (10, 60, 100):
        right = (guesses(successor, percent, Rand(2)) == successor).float().mean()
        assert abs(100 * right - percent) < 10


def test_the_tree_holds_the_likeliest_paths():
    accuracy = [[0.6, 0.2, 0.1], [0.5, 0.25, 0.1], [0.3, 0.2, 0.1]]
    found = likeliest_nodes(accuracy, 12)
    ranks = {0: ()}
    for node, (parent, depth, rank) in enumerate(found[1:], 1):
        ranks[node] = (*ranks[parent], rank)
        assert len(ranks[node]) == depth

    def chance(path):
        return math.prod(accuracy[depth][rank] for depth, rank in enumerate(path))

    every = [path for depth in (1, 2, 3) for path in itertools.product(range(3), repeat=depth)]
    best = sorted(map(chance, every), reverse=True)[:11]
    assert sorted(map(chance, list(ranks.values())[1:]), reverse=True) == pytest.approx(best)


def test_a_tree_ends_when_there_is_nothing_left_to_guess():
    assert len(likeliest_nodes([[0.5, 0.1]], 64)) == 3
