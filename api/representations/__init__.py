"""Records in shapes that others made, so that their tools can read from here."""
