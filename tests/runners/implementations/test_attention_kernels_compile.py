"""Attention and cross-entropy kernels compile to Hopper machine code without a GPU; the interpreter would not tell."""

ATTENTION = "runners.blocks.attention"
FLASH = "runners.implementations.efficient_attention.flash_attention_2"
LIGER = "runners.implementations.kernels_compilers.liger_kernel"
FLOATS = ("Lse", "Delta", "Acc", "RowSum", "RowMax", "Losses", "Factor")
TYPES = {
    "seq": "i32", "vocab": "i32", "count": "i32", "scale": "fp32", "scale_log2": "fp32", "Targets": "*i64", "Counted": "*i64",
    **dict.fromkeys(FLOATS, "*fp32"),
}  # fmt: skip
TILES = {"CAUSAL": True, "DIM": 32, "BLOCK_D": 32, "BLOCK_M": 64, "BLOCK_N": 32}
ROWS = {"IGNORED": -100, "WITH_GRADIENT": True, "BLOCK": 1024}
KERNELS = {
    "forward": (FLASH, "_forward_kernel", TYPES, TILES, 4),
    "key-gradient": (ATTENTION, "key_gradient_kernel", TYPES, {**TILES, "EVEN": False, "DQ": None}, 4),
    "query-gradient": (FLASH, "_query_gradient_kernel", TYPES, TILES, 4),
    "first-forward": (ATTENTION, "_first_forward_kernel", TYPES, TILES, 4),
    "first-backward": (ATTENTION, "_first_backward_kernel", TYPES, TILES, 4),
    "cross-entropy": (LIGER, "_loss_and_gradient_kernel", TYPES, ROWS, 4),
    "scale": (LIGER, "_scale_kernel", TYPES, {"BLOCK": 1024}, 4),
}
SHARED_MEMORY_OF_AMPERE = 163 * 1024


def test_each_kernel_becomes_machine_code_that_fits_on_the_chip(compile_for_hopper):
    for label, found in compile_for_hopper(KERNELS).items():
        assert found["shared"] <= SHARED_MEMORY_OF_AMPERE, label
