"""Whether a method works on an existing model without training."""

from __future__ import annotations

from .weights import Totals

FREE, TRAINED, UNCLEAR = "free", "trained", "unclear"
ANSWERS = {FREE: True, TRAINED: False, UNCLEAR: None}


def find_training_free(sums: Totals) -> tuple[bool | None, list[str]]:
    """True, False or None (unclear), and the signals that decided."""
    totals = sums.of("training")
    answer = max(totals, key=totals.__getitem__)
    return ANSWERS[answer], sums.words("training", (answer,))
