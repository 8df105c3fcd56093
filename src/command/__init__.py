"""The command line: flags, config files, checks, messages, signals, and the course of a run.

Imports every other package; only `cli` and scripts import it.
"""

import src.libraries  # noqa: F401  (first)
