"""Kernels of optimizers and of 8-bit products compile to Hopper machine code; the interpreter would not tell."""

OPTIMIZERS, INT8 = "runners.blocks.optimizers", "runners.blocks.int8"
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
        ADAM | {"LEARNING_RATE": 1e-3, "MOVES_PARAMETER": True, "LEAST": 3.25e-7}, 8,
    ),
    "adam-8-bit-direction-bfloat16": (
        OPTIMIZERS, "adam_8bit_kernel", arrays("bf16", "out", "gradient") | STATE_8_BIT | CORRECTIONS,
        ADAM | {"LEARNING_RATE": 1e-3, "MOVES_PARAMETER": False, "LEAST": 3.25e-7}, 8,
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


def test_each_kernel_becomes_machine_code_for_hopper(compile_for_hopper):
    assert set(compile_for_hopper(KERNELS)) == set(KERNELS)
