"""The command line: flags, config files, checks, messages, signals, and the course of a run.

It may import every other package; only `cli` and scripts may import it.
"""

import src.libraries  # noqa: F401  (first)
