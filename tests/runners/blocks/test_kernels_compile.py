"""Triton kernels must also compile for a GPU: the interpreter accepts kernels that the compiler refuses."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

# Importing Triton here would fix, for the whole test process, that kernels are not interpreted.
pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

COMPILE = """
import importlib, json, sys, traceback
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

failures = {}
for label, (module, name, arguments, constants, warps) in json.load(sys.stdin).items():
    try:
        kernel = getattr(importlib.import_module(module), name)
        places = {argument: index for index, argument in enumerate(kernel.arg_names)}
        source = ASTSource(
            kernel,
            {**arguments, **dict.fromkeys(constants, "constexpr")},
            {(places[argument],): value for argument, value in constants.items()},
            {(places[argument],): [["tt.divisibility", 16]] for argument, kind in arguments.items() if "*" in kind},
        )
        assert compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps}).asm["cubin"]
    except Exception:
        failures[label] = traceback.format_exc()
print(json.dumps(failures))
"""

OPTIMIZERS, INT8 = "runners.blocks.optimizers", "runners.implementations.quantization.llm_int8"
ADAM = {"BETA1": 0.9, "BETA2": 0.999, "EPSILON": 1e-8, "BLOCK": 2048}
CORRECTIONS = {"size": "i32", "first_correction": "fp32", "second_correction": "fp32"}
STATE_8_BIT = {
    "first_codes_ptr": "*u8", "first_scales_ptr": "*fp32", "second_codes_ptr": "*u8", "second_scales_ptr": "*fp32",
}  # fmt: skip
INT8_PRODUCT = {"product_ptr": "*i32", "row_scales_ptr": "*fp32", "column_scales_ptr": "*fp32"}
INT8_SIZES = dict.fromkeys(("tokens", "outputs", "product_stride", "outliers"), "i32")
TILE = {"TILE_ROWS": 32, "TILE_COLUMNS": 128, "TILE_LARGE": 16}


def arrays(kind, *names):
    return {f"{name}_ptr": f"*{kind}" for name in names}


KERNELS = {
    "adam": (
        OPTIMIZERS, "adam_kernel", arrays("bf16", "direction", "gradient", "first", "second") | CORRECTIONS, ADAM, 8,
    ),
    "adam-8-bit-moving-float32": (
        OPTIMIZERS, "adam_8bit_kernel", arrays("fp32", "out", "gradient") | STATE_8_BIT | CORRECTIONS,
        ADAM | {"LEARNING_RATE": 1e-3, "MOVES_PARAMETER": True}, 8,
    ),
    "adam-8-bit-direction-bfloat16": (
        OPTIMIZERS, "adam_8bit_kernel", arrays("bf16", "out", "gradient") | STATE_8_BIT | CORRECTIONS,
        ADAM | {"LEARNING_RATE": 1e-3, "MOVES_PARAMETER": False}, 8,
    ),
    "int8-rows": (
        INT8, "quantize_rows_program",
        {"activations_ptr": "*bf16", "is_outlier_ptr": "*i1", "codes_ptr": "*i8", "scales_ptr": "*fp32",
         "features": "i32", "columns": "i32"},
        {"BLOCK": 4096}, 4,
    ),
    "int8-combine-bfloat16": (
        INT8, "combine_program", INT8_PRODUCT | arrays("bf16", "large", "large_weight", "out") | INT8_SIZES,
        TILE | {"PRECISION": "tf32"}, 4,
    ),
    "int8-combine-float32": (
        INT8, "combine_program", INT8_PRODUCT | arrays("fp32", "large", "large_weight", "out") | INT8_SIZES,
        TILE | {"PRECISION": "ieee"}, 4,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def failures(project_root, tmp_path_factory):
    """What the compiler says of each kernel it refuses; in one process of its own, where nothing is interpreted."""
    cache = str(tmp_path_factory.mktemp("triton"))
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(project_root), "TRITON_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        input=json.dumps(KERNELS), env=environment, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_compiles_for_hopper(kernel, failures):
    assert kernel not in failures, failures[kernel]
