"""Token Recycling decodes what the model alone decodes, guesses from what the model said before, and needs little storage."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.speculative import Seen  # noqa: E402
from runners.implementations.decoding_acceleration import token_recycling as module  # noqa: E402

AXES = {
    "layers": 2, "hidden": 32, "heads": 2, "kv_heads": 1, "dim": 16, "ffn": 64, "vocab": 32, "prompt": 12,
    "new_tokens": 30, "nodes": 40, "hits": 0, "temperature": 0,
}  # fmt: skip


@pytest.mark.parametrize("temperature", [0, 100])
def test_recycled_tokens_save_passes_and_change_no_token(temperature, assert_drafts_save_passes):
    assert_drafts_save_passes(module, AXES | {"temperature": temperature}, 2.2)


def recycler(nodes=12):
    # Each token names the next ones in order: 3 names 4, 5, 6 ...
    matrix = (torch.arange(20)[:, None] + torch.arange(1, module.KEPT + 1)).remainder(20).int()
    return module.Recycler({"nodes": nodes}, matrix), matrix


def test_children_of_a_node_are_the_first_entries_of_its_tokens_row():
    drafter, matrix = recycler()
    tree, tokens = drafter.draft(7)
    assert (len(tree), int(tokens[0])) == (12, 7)
    for node in range(len(tree)):
        children = [int(tokens[child]) for child in range(len(tree)) if tree.parents[child] == node]
        assert children == matrix[int(tokens[node]), : len(children)].tolist()
    assert tree.depth > 2
    assert len([parent for parent in tree.parents if parent == 0]) > 1


def test_every_node_renews_its_tokens_row_and_a_new_text_starts_from_the_matrix_that_was_given():
    drafter, matrix = recycler()
    logits = torch.zeros(2, 20)
    logits[0, 19], logits[0, 11], logits[1, 2] = 9.0, 8.0, 7.0
    rejected = Seen(torch.tensor([7, 8]), logits, torch.empty(0), [0], [7], [19])
    drafter.learn(rejected)
    assert drafter.matrix[7, :2].tolist() == [19, 11]
    assert int(drafter.matrix[8, 0]) == 2  # although that node was not accepted
    assert torch.equal(drafter.matrix[9:], matrix[9:])
    drafter.begin(Seen(torch.tensor([3]), logits[1:], torch.empty(0), [0], [3], [2]))
    assert int(drafter.matrix[3, 0]) == 2
    assert torch.equal(drafter.matrix[4:], matrix[4:])


def test_the_matrix_for_a_vocabulary_of_32_thousand_is_smaller_than_two_megabytes():
    weights = module.weights(AXES | {"vocab": 32_000, "hits": 50, "hidden": 8, "ffn": 8, "layers": 1}, Rand(1))
    assert weights["matrix"].nbytes == 1_024_000


def test_planted_guesses_are_about_as_often_right_as_asked():
    axes = AXES | {"hits": 60, "vocab": 20_000, "hidden": 64, "new_tokens": 200}
    technique = module.make_technique(axes, module.weights(axes, Rand(1)))
    for seed in range(4):
        technique(*module.inputs(axes, Rand(seed)))
    # A little more often than asked: wrong guesses renew the rows of tokens that come later.
    expected = sum(0.6**depth for depth in range(7))
    assert 0.9 * expected < technique.tokens_per_pass < 1.25 * expected
