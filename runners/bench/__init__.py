"""The harness that runs reference implementations: one child process a run, statistics and verdicts in the parent.

Standard library only; torch is imported in the child process alone.
"""

HARNESS_VERSION = "1.0"
