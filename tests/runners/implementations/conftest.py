"""What tests of kernels share: machine code for a GPU, made without one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

SHARED_MEMORY_OF_HOPPER = 227 * 1024

# In an interpreter of its own: this one may have imported Triton in interpreted mode, which cannot compile. One for all
# tests of a session, a line of kernels at a time: importing Triton takes longer than most kernels.
COMPILE = """
import importlib, json, sys, traceback
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

def compiled(module, name, arguments, constants, warps):
    kernel = getattr(importlib.import_module(module), name)
    types = {each: "constexpr" if each in constants else arguments.get(each, "*bf16") for each in kernel.arg_names}
    places = {argument: index for index, argument in enumerate(kernel.arg_names)}
    source = ASTSource(
        kernel,
        types,
        {(places[argument],): value for argument, value in constants.items()},
        {(places[argument],): [["tt.divisibility", 16]] for argument, kind in types.items() if "*" in kind},
    )
    return compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})

for line in sys.stdin:
    found = {}
    for label, wanted in json.loads(line).items():
        try:
            made = compiled(*wanted)
            found[label] = {"bytes": len(made.asm["cubin"]), "shared": made.metadata.shared, "fault": ""}
        except Exception:
            found[label] = {"bytes": 0, "shared": 0, "fault": traceback.format_exc()}
    print("found", json.dumps(found), flush=True)
"""


@pytest.fixture(scope="session")
def hopper_compiler(project_root: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Answers each line of kernels with a line that begins with "found"; what compilers print may stand between."""
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    folder = tmp_path_factory.mktemp("triton")
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(project_root), "TRITON_CACHE_DIR": str(folder)}
    with (folder / "faults.log").open("w+") as faults:
        process = subprocess.Popen(
            [sys.executable, "-c", COMPILE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=faults, env=environment, text=True,
        )  # fmt: skip
        with process:
            yield process
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture(scope="session")
def assert_drafts_save_passes() -> Callable[..., None]:
    """check(module, axes, more_than): the text is the model's own, greedy and sampled, with more tokens than that a pass."""
    torch = pytest.importorskip("torch")
    from runners.blocks.rand import Rand

    def check(module: Any, axes: dict[str, int], more_than: float) -> None:
        weights = module.weights(axes, Rand(1))
        technique, plain = module.make_technique(axes, weights), module.SUBJECTS["eager"](axes, weights)
        for seed in range(6):
            arguments = module.inputs(axes, Rand(seed))
            assert torch.equal(technique(*arguments), plain(*arguments))
        assert technique.tokens_per_pass > more_than

    return check


@pytest.fixture(scope="session")
def compile_for_hopper(hopper_compiler: subprocess.Popen[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Compiles {label: (module, kernel, {argument: type}, {constant: value}, warps)}; asserts that each fits the chip.

    The interpreter accepts kernels that the compiler refuses. Types are Triton's: "*bf16", "*fp32", "i32", "fp32"; an
    argument that is not named is a pointer to bfloat16.
    Gives {label: {"bytes", "shared", "fault"}}; a fault is the compiler's traceback. Skips where Triton is missing.
    """

    def compile_all(kernels: dict[str, Any]) -> dict[str, Any]:
        asked, told = hopper_compiler.stdin, hopper_compiler.stdout
        assert asked is not None
        assert told is not None
        asked.write(json.dumps(kernels) + "\n")
        asked.flush()
        answer = next((line for line in told if line.startswith("found ")), None)
        assert answer is not None, f"the compiler ended with {hopper_compiler.wait()}"
        found: dict[str, Any] = json.loads(answer.removeprefix("found "))
        for label, each in found.items():
            assert not each["fault"], f"{label}: {each['fault']}"
            assert each["bytes"] > 0
            assert each["shared"] <= SHARED_MEMORY_OF_HOPPER, f"{label} wants {each['shared']} bytes of shared memory"
        return found

    return compile_all
