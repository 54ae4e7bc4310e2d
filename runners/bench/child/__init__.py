"""The child process of a run: the only place of the harness that imports torch and the code under test."""
