"""Attention and cross-entropy kernels compile to Hopper machine code without a GPU; the interpreter would not tell."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

# Importing Triton here would settle for the whole test process that kernels are compiled and not interpreted.
pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

# In an interpreter of its own: this one may have imported Triton in interpreted mode, which cannot compile.
COMPILE_ALL = """
import json
from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from runners.blocks import attention
from runners.implementations.efficient_attention import flash_attention_2
from runners.implementations.kernels_compilers import liger_kernel

HALF, FLOAT = "*bf16", "*fp32"
TYPES = {"seq": "i32", "vocab": "i32", "count": "i32", "scale": "fp32", "scale_log2": "fp32", "Targets": "*i64",
         "Counted": "*i64", **dict.fromkeys(["Lse", "Delta", "Acc", "RowSum", "RowMax", "Losses", "Factor"], FLOAT)}
TILES = {"CAUSAL": True, "DIM": 32, "BLOCK_D": 32, "BLOCK_M": 64, "BLOCK_N": 32}
ROWS = {"IGNORED": -100, "WITH_GRADIENT": True, "BLOCK": 1024}
KERNELS = {
    "forward": (flash_attention_2._forward_kernel, TILES),
    "key-gradient": (flash_attention_2._key_gradient_kernel, {**TILES, "EVEN": False}),
    "query-gradient": (flash_attention_2._query_gradient_kernel, TILES),
    "first-forward": (attention._first_forward_kernel, TILES),
    "first-backward": (attention._first_backward_kernel, TILES),
    "cross-entropy": (liger_kernel._loss_and_gradient_kernel, ROWS),
    "scale": (liger_kernel._scale_kernel, {"BLOCK": 1024}),
}
sizes = {}
for name, (kernel, constants) in KERNELS.items():
    types = {each: "constexpr" if each in constants else TYPES.get(each, HALF) for each in kernel.arg_names}
    places = {(kernel.arg_names.index(each),): value for each, value in constants.items()}
    compiled = compile_kernel(ASTSource(kernel, types, places), target=GPUTarget("cuda", 90, 32))
    sizes[name] = [len(compiled.asm["cubin"]), compiled.metadata.shared]
print(json.dumps(sizes))
"""
SHARED_MEMORY_OF_AMPERE = 163 * 1024


@pytest.fixture(scope="module")
def compiled_sizes(tmp_path_factory: pytest.TempPathFactory, project_root) -> dict[str, list[int]]:
    """Bytes of machine code and of shared memory of each kernel."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton")), "PYTHONPATH": str(project_root)}
    finished = subprocess.run(
        [sys.executable, "-c", COMPILE_ALL], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "kernel",
    ["forward", "key-gradient", "query-gradient", "first-forward", "first-backward", "cross-entropy", "scale"],
)
def test_a_kernel_becomes_machine_code_that_fits_on_the_chip(compiled_sizes, kernel):
    code, shared = compiled_sizes[kernel]
    assert code > 0
    assert shared <= SHARED_MEMORY_OF_AMPERE
