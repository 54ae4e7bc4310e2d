"""Fast weights learn a chunk by the stated rule, a sequence through them is remembered, and chunks see no later chunk."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.ssm_recurrent import lact as module  # noqa: E402

AXES = {"batch": 2, "heads": 1, "seq": 7, "dim": 6, "hidden": 10, "chunk": 3, "muon": 0}


def made(axes, dtype=torch.float64):
    rand = Rand(1, dtype=dtype)
    return module.weights(axes, rand), module.inputs(axes, rand)


def by_hand(weights, q, k, v, rate, chunk):
    """One head of one batch entry; gradients by finite differences of the chunk's loss."""
    state = [weights[name][0].clone() for name in ("w1", "w2", "w3")]
    lengths = [each.norm(dim=1, keepdim=True) for each in state]

    def network(x, w1, w2, w3):
        gate = w1 @ x
        return w2 @ (gate / (1 + (-gate).exp()) * (w3 @ x))

    def loss(each, part):
        return -sum(rate[i] * network(k[i], *each) @ v[i] for i in part)

    rows = []
    for start in range(0, len(q), chunk):
        part = range(start, min(start + chunk, len(q)))
        moved = []
        for place, matrix in enumerate(state):
            gradient = torch.zeros_like(matrix)
            for index in range(matrix.numel()):
                step = torch.zeros_like(matrix).flatten()
                step[index] = 1e-6
                up, down = ([*state] for _ in range(2))
                up[place], down[place] = matrix + step.view_as(matrix), matrix - step.view_as(matrix)
                gradient.view(-1)[index] = (loss(up, part) - loss(down, part)) / 2e-6
            moved.append(matrix - gradient)
        state = [each / each.norm(dim=1, keepdim=True) * length for each, length in zip(moved, lengths, strict=True)]
        rows += [network(q[i], *state) for i in part]
    return torch.stack(rows)


def test_updates_are_gradient_steps_with_rows_kept_at_their_length():
    weights, (q, k, v, rate) = made(AXES)
    found = module.make_technique(AXES, weights)(q, k, v, rate)
    wanted = by_hand(weights, q[1, 0], k[1, 0], v[1, 0], rate[1, 0], AXES["chunk"])
    torch.testing.assert_close(found[1, 0], wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)], ids=["wide", "tall"])
def test_newton_schulz_comes_near_to_the_orthogonal_factor(shape):
    gradient = Rand(2, dtype=torch.float64).gaussian(2, *shape)
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    assert (module.orthogonalised(gradient) - u @ v).norm() < 0.1 * (u @ v).norm()


def test_what_was_stored_is_found_again():
    axes = AXES | {"batch": 1, "seq": 64, "dim": 32, "hidden": 64, "chunk": 64}
    weights, (_, k, v, rate) = made(axes)
    layer = module.make_technique(axes, weights)
    before = torch.nn.functional.cosine_similarity(layer(k, k, v, 0 * rate), v, dim=-1).mean()
    after = torch.nn.functional.cosine_similarity(layer(k, k, v, 20 * rate), v, dim=-1).mean()
    assert after > before + 0.2


@pytest.mark.parametrize("muon", [0, 1])
def test_a_later_chunk_changes_nothing_before_it(muon):
    weights, (q, k, v, rate) = made(AXES | {"muon": muon})
    layer = module.make_technique(AXES | {"muon": muon}, weights)
    first = layer(q, k, v, rate)
    k[:, :, 3:], v[:, :, 3:] = 0.5, -2.0
    second = layer(q, k, v, rate)
    assert torch.equal(first[:, :, :3], second[:, :, :3])
    assert not torch.equal(first[:, :, 3:], second[:, :, 3:])


def test_the_rung_of_attention_is_attention_over_the_split_heads():
    axes = AXES | {"heads": 2, "dim": 256}
    _, (q, k, v, rate) = made(axes)
    found = module.make_attention(axes, {})(q, k, v, rate)
    part = slice(128, 256)
    scores = (q[1, 1, :, part] @ k[1, 1, :, part].T / 128**0.5).softmax(-1)
    torch.testing.assert_close(found[1, 1, :, part], scores @ v[1, 1, :, part])
