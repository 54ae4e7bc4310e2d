"""A line for a README: what was measured of an implementation, beside what was claimed."""
