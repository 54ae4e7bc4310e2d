"""ADED decodes what the model alone decodes; its table follows the model, and its search finds what the table expects."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.speculative import Seen  # noqa: E402
from runners.blocks.tree import Tree  # noqa: E402
from runners.implementations.decoding_acceleration import aded as module  # noqa: E402

AXES = {
    "layers": 2, "hidden": 32, "heads": 2, "kv_heads": 1, "dim": 16, "ffn": 64, "vocab": 32, "prompt": 12,
    "new_tokens": 30, "nodes": 24, "simulations": 30, "exploration": 200, "hits": 0, "temperature": 0,
}  # fmt: skip


@pytest.mark.parametrize("temperature", [0, 100])
def test_searched_drafts_save_passes_and_change_no_token(temperature, assert_drafts_save_passes):
    assert_drafts_save_passes(module, AXES | {"temperature": temperature}, 3)


def table(rows):
    found = module.TrigramTable(torch.empty(0, 2), torch.empty(0, 1), torch.empty(0, 1))
    found._first = rows
    return found


def test_the_table_counts_what_follows_a_pair():
    found = module.counted([1, 2, 3, 1, 2, 3, 1, 2, 4])
    rows = module.TrigramTable(found["pairs"], found["candidates"], found["shares"])
    assert rows.row(1, 2) == [(3, pytest.approx(2 / 3)), (4, pytest.approx(1 / 3))]
    assert rows.row(2, 3) == [(1, 1.0)]
    assert rows.row(9, 9) == []


def test_a_row_moves_towards_what_the_model_said_until_the_next_text():
    rows = table({(1, 2): [(3, 1.0)]})
    rows.follow(1, 2, [(5, 0.8), (3, 0.2)])
    assert rows.row(1, 2) == [(3, pytest.approx(0.6)), (5, pytest.approx(0.4))]
    rows.follow(7, 8, [(9, 0.9)])
    assert rows.row(7, 8) == [(9, 0.9)]
    rows.forget()
    assert rows.row(1, 2) == [(3, 1.0)]
    assert rows.row(7, 8) == []


CHAIN = {(0, 1): [(2, 0.6), (3, 0.4)], (1, 2): [(4, 0.9)], (2, 4): [(5, 0.9)], (1, 3): [(6, 0.9)]}


def test_a_search_without_exploration_goes_deep_and_one_with_much_goes_wide():
    drafts = {}
    for exploration in (0.0, 100.0):
        search = module.Search(table(CHAIN), 0, 1, exploration)
        for _ in range(5):
            search.simulate()
        drafts[exploration] = search.most_visited(4)
    assert drafts[0.0] == ([-1, 0, 1, 2], [1, 2, 4, 5])
    assert sorted(drafts[100.0][1]) == [1, 2, 3, 4]


def test_a_draft_has_as_many_nodes_as_asked_even_where_the_table_knows_nothing():
    search = module.Search(table({}), 0, 1, 1.0)
    search.simulate()
    parents, tokens = search.most_visited(5)
    assert len(Tree(parents)) == 5
    assert tokens == [1] * 5


def test_the_drafter_tells_the_table_the_pairs_of_the_accepted_text():
    weights = module.weights(AXES, Rand(1))
    drafter = module.TrigramDrafter(AXES, weights)
    logits = torch.full((3, 32), -50.0)
    logits[0, 7] = logits[1, 8] = logits[2, 9] = 50.0
    drafter.begin(Seen(torch.tensor([5, 6, 7]), logits, torch.empty(0), [0, 1, 2], [5, 6, 7], [9]))
    assert drafter.table.row(5, 6)[0] == (8, pytest.approx(1.0, abs=0.51))
    assert drafter.table.row(6, 7)[0][0] == 9
    tree, tokens = drafter.draft(9)
    assert (len(tree), int(tokens[0])) == (24, 9)
    drafter.learn(Seen(torch.tensor([9, 3, 4]), logits, torch.empty(0), [0, 2], [9, 4], [4, 9]))
    assert drafter.table.row(7, 9)[0][0] == 7
    assert drafter.table.row(9, 4)[0][0] == 9
