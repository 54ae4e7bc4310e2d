"""Attention by hashing: buckets hold what they should, the estimate is right on average and better with more hashes."""

import math
import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import yoso  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"batch": 1, "heads": 2, "seq": 70, "dim": 20, "bits": 4, "hashes": 8, "topics": 3}
YOSO = "runners.implementations.efficient_attention.yoso"


def by_hand(q, k, v, planes, bits):
    """For each query the values of the keys whose code equals its own in a hash, over all hashes."""
    worth = 2 ** torch.arange(bits, device=q.device)
    total = torch.zeros_like(v)
    for normals in planes[:, :, :bits]:
        codes_q = ((q @ normals > 0) * worth).sum(-1)
        codes_k = ((k @ normals > 0) * worth).sum(-1)
        total += (codes_q[..., :, None] == codes_k[..., None, :]).to(v.dtype) @ v
    return torch.nn.functional.normalize(total, dim=-1)


def relative_error(found, wanted):
    return ((found.double() - wanted.double()).norm() / wanted.double().norm()).item()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="last-block-padded"),
        pytest.param({"seq": 64, "dim": 32}, id="whole-blocks"),
        pytest.param({"seq": 1}, id="one-token"),
        pytest.param({"bits": 8, "hashes": 2}, id="most-buckets"),
        pytest.param({"bits": 1, "hashes": 3}, id="two-buckets"),
        pytest.param({"batch": 2, "heads": 3}, id="several-heads"),
    ],
)
def test_a_query_reads_the_values_of_the_keys_in_its_buckets(changed):
    axes = AXES | changed
    rand = Rand(5, device=DEVICE)
    weights = yoso.weights(axes, rand)
    q, k, v = yoso.inputs(axes, rand)
    found = yoso.make_technique(axes, weights)(q, k, v)
    assert relative_error(found, by_hand(q, k, v, weights["planes"], axes["bits"])) < 1e-5


def test_a_collision_is_as_likely_as_the_angle_says():
    rand = Rand(3)
    axes = AXES | {"hashes": 4000, "bits": 3}
    normals = yoso.weights(axes, rand)["planes"][:, :, :3]
    one, other = torch.nn.functional.normalize(rand.gaussian(2, 20), dim=-1)
    together = ((one @ normals > 0) == (other @ normals > 0)).all(-1).double().mean().item()
    wanted = (1 - math.acos((one @ other).item()) / math.pi) ** 3
    assert abs(together - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / 4000)


def test_more_hashes_bring_the_estimate_nearer_to_its_expectation():
    errors = []
    for hashes in (8, 32, 128):
        axes = AXES | {"hashes": hashes, "bits": 5, "seq": 96}
        rand = Rand(11, device=DEVICE)
        weights, (q, k, v) = yoso.weights(axes, rand), yoso.inputs(axes, rand)
        wanted = yoso.make_expectation(axes, weights)(q.double(), k.double(), v.double())
        errors.append(relative_error(yoso.make_technique(axes, weights)(q, k, v), wanted))
    assert errors[0] > 1.4 * errors[1] > 1.4 * 1.4 * errors[2]


def test_codes_longer_than_a_byte_are_refused():
    with pytest.raises(ValueError, match="bits is 9; a code is one byte"):
        yoso.BernoulliAttention(torch.zeros(2, 16, 16), 9)


def test_kernels_compile_for_hopper(compile_for_hopper):
    sizes = {"rows": "i32", "seq": "i32", "hashes": "i32", "Codes": "*u8"}
    dims = {"DIM": 64, "BLOCK_D": 64}
    compile_for_hopper({
        "codes": (YOSO, "_code_kernel", sizes, dims | {"BITS": 8, "PLANES": 16, "BLOCK_M": yoso.CODE_ROWS}, 4),
        "tables": (YOSO, "_table_kernel", sizes, dims | {"BUCKETS": 256, "BLOCK_N": yoso.KEY_ROWS}, 8),
        "reading": (YOSO, "_read_kernel", sizes, dims | {"BUCKETS": 256, "BLOCK_M": yoso.QUERY_ROWS}, 4),
    })  # fmt: skip
