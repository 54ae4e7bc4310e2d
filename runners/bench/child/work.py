"""Operations of a call as torch counts them, with the half that causal attention does not do taken off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry

_aten = torch.ops.aten
ATTENTION = tuple(
    getattr(_aten, f"_scaled_dot_product_{kind}_attention{direction}")
    for kind in ("flash", "efficient", "cudnn")
    for direction in ("", "_backward")
)


def flop_counter() -> FlopCounterMode:
    """A counter to call subjects within. torch's own takes causal attention for full, which would call fast ones cheats."""
    return FlopCounterMode(display=False, custom_mapping={each: _halved_where_causal(each) for each in ATTENTION})


def _halved_where_causal(operator: Any) -> Callable[..., int]:
    whole = flop_registry[operator]
    place = [argument.name for argument in operator.default._schema.arguments].index("is_causal")

    def flops(*arguments: Any, out_val: Any = None, **named: Any) -> int:
        causal = named.get("is_causal", arguments[place] if len(arguments) > place else False)
        counted = int(whole(*arguments, out_val=out_val, **named))
        return counted // 2 if causal else counted

    # So the counter passes tensors and not their shapes.
    flops._get_raw = True  # type: ignore[attr-defined]
    return flops
