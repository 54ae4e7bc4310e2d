"""Parts that reference implementations share: random tensors, the baseline ladder, the guarded Triton import."""
