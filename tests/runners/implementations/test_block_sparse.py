"""Block-sparse attention equals masked attention, whatever blocks are chosen; block masses are sums of the softmax."""

import math
import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.block_scores import block_mass, row_lse  # noqa: E402
from runners.blocks.block_sparse import attend_to_blocks, block_lists, dense_mask  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.sparse_inputs import library_attention, plain_attention, stripe_attention_inputs  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZE = 64 if DEVICE == "cuda" else 32
WAYS = [pytest.param(True, id="kernel"), pytest.param(False, id="gathered")]
MODULES = {"sparse": "runners.blocks.block_sparse", "scores": "runners.blocks.block_scores"}


def tensors(seq, heads=4, key_heads=2, dim=24, dtype=torch.float32):
    rand = Rand(3, dtype=dtype, device=DEVICE, distribution="uniform")
    return rand.normal(1, heads, seq, dim), rand.normal(1, key_heads, seq, dim), rand.normal(1, key_heads, seq, dim)


def random_choice(seq, heads=4):
    blocks = -(-seq // SIZE)
    rand = Rand(4, device=DEVICE)
    return (rand.uniform(1, heads, blocks, blocks) < 0.4) | torch.eye(blocks, dtype=torch.bool, device=DEVICE)


def scores_in_float64(q, k):
    k = k.repeat_interleave(q.shape[1] // k.shape[1], 1).double()
    return q.double() @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])


def later(seq):
    return torch.ones(seq, seq, dtype=torch.bool, device=DEVICE).triu(1)


def relative_error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("kernels", WAYS)
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize("seq", [2 * SIZE + 7, 3 * SIZE], ids=["ragged", "even"])
def test_output_and_denominators_are_those_of_attention_under_the_mask(seq, causal, kernels):
    q, k, v = tensors(seq)
    chosen = random_choice(seq)
    lists = block_lists(chosen, seq, SIZE, causal=causal)
    mask = chosen.repeat_interleave(SIZE, 2).repeat_interleave(SIZE, 3)[..., :seq, :seq]
    mask = mask & ~later(seq) if causal else mask
    assert torch.equal(dense_mask(lists, seq), mask)
    scores = scores_in_float64(q, k).masked_fill(~mask, -math.inf)
    output, lse = attend_to_blocks(q, k, v, lists, kernels=kernels)
    assert relative_error(output, scores.softmax(-1) @ v.repeat_interleave(2, 1).double()) < 1e-6
    assert relative_error(lse, scores.logsumexp(-1) / math.log(2)) < 1e-6


@pytest.mark.parametrize("kernels", WAYS)
def test_keys_in_another_order_within_pieces_give_the_same_output(kernels):
    seq, piece = 4 * SIZE + 5, 2 * SIZE
    q, k, v = tensors(seq, dtype=torch.float16 if kernels else torch.float32)
    rand = Rand(5, device=DEVICE)
    parts = [s + rand.permutation(min(piece, seq - s)) for s in range(0, seq, piece)]
    order = torch.cat(parts)
    blocks = -(-seq // SIZE)
    chosen = torch.ones(1, 4, blocks, blocks, dtype=torch.bool, device=DEVICE)
    lists = block_lists(chosen, seq, SIZE, causal=True, segment=piece)
    places = order.int().expand(1, 2, seq)
    output, _ = attend_to_blocks(q, k[:, :, order], v[:, :, order], lists, places, kernels=kernels)
    wanted = scores_in_float64(q, k).masked_fill(later(seq), -math.inf).softmax(-1) @ v.repeat_interleave(2, 1).double()
    assert relative_error(output, wanted) < (2e-3 if kernels else 1e-6)


@pytest.mark.parametrize("kernels", WAYS)
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize("seq", [2 * SIZE + 7, 2 * SIZE], ids=["ragged", "even"])
def test_masses_are_sums_of_the_softmax_over_blocks(seq, causal, kernels):
    q, k, _ = tensors(seq, dim=16)
    scores = scores_in_float64(q, k)
    scores = scores.masked_fill(later(seq), -math.inf) if causal else scores
    lse = row_lse(q, k, causal=causal, kernels=kernels)
    mass = block_mass(q, k, lse, SIZE, causal=causal, kernels=kernels)
    assert relative_error(lse, scores.logsumexp(-1) / math.log(2)) < 1e-6
    shares = scores.softmax(-1)
    wanted = torch.stack([
        torch.stack([each.sum((2, 3)) for each in rows.split(SIZE, 3)], -1) for rows in shares.split(SIZE, 2)
    ], 2)  # fmt: skip
    assert relative_error(mass, wanted) < 1e-5


def test_lists_hold_the_chosen_blocks_in_order_and_none_ahead():
    chosen = torch.tensor([[[[True, False, True], [False, True, True], [True, False, True]]]])
    lists = block_lists(chosen, 3 * 32, 32, causal=True)
    assert [row[:n] for row, n in zip(lists.blocks[0, 0].tolist(), lists.counts[0, 0].tolist(), strict=True)] == [
        [0], [1], [0, 2],
    ]  # fmt: skip
    assert lists.unmasked[0, 0].tolist() == [0, 0, 1]
    assert lists.density() == pytest.approx(4 / 6)


@pytest.mark.parametrize("causal", [True, False])
def test_plain_and_library_attention_agree_also_in_several_parts(causal, monkeypatch):
    monkeypatch.setattr("runners.blocks.sparse_inputs.HELD_SCORES", 4 * 50 * 16)
    q, k, v = (each.double() for each in tensors(50))
    assert relative_error(plain_attention(causal=causal)(q, k, v), library_attention(causal=causal)(q, k, v)) < 1e-12


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_planted_attention_falls_near_the_query_and_on_the_heavy_keys(distribution):
    seq, stripes = 1024, 4
    rand = Rand(6, device=DEVICE, distribution=distribution)
    q, k, _ = stripe_attention_inputs(rand, batch=1, heads=2, key_heads=1, seq=seq, dim=64, stripes=stripes)
    shares = scores_in_float64(q, k).masked_fill(later(seq), -math.inf).softmax(-1)
    place = torch.arange(seq, device=DEVICE)
    near = (place[:, None] - place).abs() < 64
    far = shares.masked_fill(near, 0).sum(2)
    heaviest = far.topk(stripes + 1, dim=-1).values.sum(-1)
    assert ((shares * near).sum((2, 3)) / seq > 0.3).all()
    assert (heaviest > 0.5 * far.sum(-1)).all()


def test_blocks_that_the_kernel_was_not_tuned_for_are_refused():
    q, k, v = tensors(40)
    lists = block_lists(torch.ones(1, 4, 2, 2, dtype=torch.bool, device=DEVICE), 40, 20, causal=True)
    with pytest.raises(ValueError, match="blocks of 20 keys"):
        attend_to_blocks(q, k, v, lists, kernels=True)


def test_kernels_compile_for_hopper(compile_for_hopper):
    types = {
        "seq": "i32", "blocks": "i32", "group": "i32", "scale_log2": "fp32", "Lse": "*fp32", "Mass": "*fp32",
        "Blocks": "*i32", "Unmasked": "*i32", "Counts": "*i32", "Places": "*i32",
    }  # fmt: skip
    tile = {"CAUSAL": True, "DIM": 128, "BLOCK_D": 128}
    sparse, scores = MODULES["sparse"], MODULES["scores"]
    wide = {**tile, "SIZE": 128, "BLOCK_M": 128, "BLOCK_N": 64}
    compile_for_hopper({
        "causal": (sparse, "_block_sparse_kernel", types, {**wide, "PERMUTED": False}, 8),
        "permuted": (sparse, "_block_sparse_kernel", types, {**wide, "PERMUTED": True}, 8),
        "lse": (scores, "_row_lse_kernel", types, {**tile, "BLOCK_M": 128, "BLOCK_N": 64}, 8),
        "mass": (scores, "_block_mass_kernel", types, {**tile, "SIZE": 128}, 8),
    })  # fmt: skip
