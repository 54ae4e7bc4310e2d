"""A run as one file that others can keep, check and cite: an RO-Crate."""
