"""What a claim says as a ratio. No Django here."""

MORE_IS_BETTER = {"throughput", "speedup", "bandwidth"}


def ratio_of(metric: str, form: str, direction: str, value: float) -> float | None:
    """Baseline ÷ technique, above 1 is better; None for an absolute figure.

    "N times" is N, "40 % less" is 1/0.6, "20 % more throughput" is 1.2.
    """
    share = value / 100
    if form == "factor" and value > 0:
        return 1 / value if direction == "worse" else value
    if form != "percent" or direction == "none":
        return None
    grows = metric in MORE_IS_BETTER
    if grows == (direction == "better"):  # the quantity rises
        return 1 + share if grows else 1 / (1 + share)
    if share >= 1:
        return None
    return 1 - share if grows else 1 / (1 - share)
