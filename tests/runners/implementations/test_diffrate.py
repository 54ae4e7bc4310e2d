"""DiffRate: masks in training do what removal does, rates are learned and meet the target, dropping and merging by hand."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.token_reduction import diffrate as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {
    "batch": 2, "patches": 20, "width": 16, "heads": 2, "layers": 3, "classes": 7, "target": 60, "steps": 6, "multiple": 1,
}  # fmt: skip


def made(seed=1, **changed):
    axes, rand = AXES | changed, Rand(seed, device=DEVICE)
    return axes, module.weights(axes, rand), module.inputs(axes, rand)[0]


def rates_at(counts, patches):
    """Distributions that are sure of their counts."""
    rates = module.LearnedRates(len(counts) // 2, patches, torch.device(DEVICE))
    with torch.no_grad():
        rates.logits.fill_(-50.0)
        for index, count in enumerate(counts):
            rates.logits[index // 2, index % 2, count] = 50.0
    return rates


@pytest.mark.parametrize("counts", [[2, 5, 7, 11, 12, 12], [0, 0, 3, 3, 3, 9], [0, 0, 0, 0, 0, 0]])
def test_masked_tokens_in_training_are_as_good_as_removed_ones(counts):
    axes, weights, x = made()
    net = module.Vit(axes, weights)
    schedule = [module.Kept(20 - counts[index], 20 - counts[index + 1]) for index in range(0, 6, 2)]
    with torch.no_grad():
        found = module.masked_logits(net, x, rates_at(counts, 20))
    torch.testing.assert_close(found, net.compressed(x, schedule), rtol=1e-4, atol=1e-5)


def test_removing_nothing_is_the_whole_net():
    axes, weights, x = made()
    net = module.Vit(axes, weights)
    torch.testing.assert_close(net.compressed(x, [module.Kept(20, 20)] * 3), net.whole(x), rtol=1e-5, atol=1e-5)


def test_the_least_important_go_and_the_next_join_their_likes():
    x = torch.tensor([[[9.0, 9.0], [1.0, 0.0], [0.0, 2.0], [0.0, 4.0], [3.0, 0.1], [5.0, 5.0]]])
    importance = torch.tensor([[0.5, 0.4, 0.3, 0.2, 0.1]])
    found, size = module.compress(x, None, importance, module.Kept(pruned=4, merged=2))
    # The fifth patch is dropped; the third joins the second and the fourth the first.
    torch.testing.assert_close(found, torch.tensor([[[9.0, 9.0], [2.0, 0.05], [0.0, 3.0]]]))
    assert size.tolist() == [[1, 2, 2]]


def test_attention_counts_a_merged_token_as_often_as_it_stands_for():
    axes, weights, x = made(layers=2)
    x[:, 1:] = x[:, :1]  # equal patches: merging them all changes nothing
    net = module.Vit(axes, weights)
    found = net.compressed(x, [module.Kept(20, 1), module.Kept(1, 1)])
    torch.testing.assert_close(found, net.whole(x), rtol=1e-4, atol=1e-5)


def test_gradients_of_the_change_reach_every_layers_rates():
    axes, weights, x = made()
    rates = module.LearnedRates(3, 20, torch.device(DEVICE))
    module.masked_logits(module.Vit(axes, weights), x, rates).square().sum().backward()
    # What happens after the last layer's attention no longer reaches the class token but by merging.
    assert (rates.logits.grad[:-1].abs().amax(-1) > 0).all()


@pytest.mark.parametrize("target", [40, 60, 90])
def test_operations_meet_the_target(target):
    axes, weights, x = made(target=target, width=32, heads=4)
    technique, whole = module.make_technique(axes, weights), module.make_eager(axes, weights)
    technique(x), whole(x)
    share = technique.footprint()["flops"] / whole.footprint()["flops"]
    assert target / 100 - 0.06 < share < target / 100 + 0.03


def test_tokens_come_in_multiples_where_layers_compress():
    schedule = module.fitted([1.0, 4.0, 9.0, 12.0], AXES | {"patches": 63, "multiple": 8, "width": 64})
    left = [count for kept in schedule for count in (kept.pruned, kept.merged)]
    assert left == sorted(left, reverse=True)
    assert all((count + 1) % 8 == 0 for count in left)


LEARNABLE = {"patches": 37, "width": 32, "target": 65, "steps": 10, "batch": 8}


def change(net, x, schedule):
    wanted = net.whole(x)
    return ((net.compressed(x, schedule) - wanted).norm() / wanted.norm()).item()


def mean_change(make_schedule):
    """Of some nets with the schedules make_schedule(axes, learned counts)."""
    found = []
    for seed in range(6):
        axes, weights, x = made(seed, **LEARNABLE)
        net = module.Vit(axes, weights)
        counts = module.learned_counts(net, weights["calibration"], axes)
        found.append(change(net, x, make_schedule(axes, counts)))
    return sum(found) / len(found)


@pytest.mark.parametrize(("target", "steps"), [(50, 40), (65, 10), (80, 10)])
def test_learning_itself_comes_near_the_target(target, steps):
    axes, weights, _ = made(**LEARNABLE | {"target": target, "steps": steps})
    counts = module.learned_counts(module.Vit(axes, weights), weights["calibration"], axes)
    tokens = [38.0, *(38 - each for each in counts[1::2])]
    share = module.operations(tokens, axes["width"]) / module.operations([38] * 4, axes["width"])
    assert abs(share - target / 100) < 0.05


def test_learned_rates_change_the_logits_less_than_their_start_and_than_rates_by_hand():
    def at_start(axes, _):
        rates = module.LearnedRates(axes["layers"], axes["patches"], torch.device(DEVICE))
        return module.fitted([each.item() for each in rates.removed()], axes)

    learned = mean_change(lambda axes, counts: module.fitted(counts, axes))
    assert learned < 0.85 * mean_change(at_start)
    assert learned < 0.85 * mean_change(lambda axes, _: module.fitted([step + 1.0 for step in range(6)], axes))


def test_merging_and_the_order_of_importance_are_both_needed(monkeypatch):
    learned = mean_change(lambda axes, counts: module.fitted(counts, axes))

    def only_pruned(axes, counts):
        return [module.Kept(each.merged, each.merged) for each in module.fitted(counts, axes)]

    assert learned < 0.7 * mean_change(only_pruned)
    importance = module.class_attention
    monkeypatch.setattr(module, "class_attention", lambda *args: -importance(*args))
    assert learned < 0.7 * mean_change(lambda axes, counts: module.fitted(counts, axes))
