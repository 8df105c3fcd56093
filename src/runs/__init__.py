"""A run's folder: created, locked, found, and everything written to it and read back from it.

It may import data, plots and ground modules; models, callbacks, command and scripts may import it.
"""

import src.libraries  # noqa: F401  (first)
