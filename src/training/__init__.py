"""How training works: the loop over batches, optimizers, seeds by step, checks for NaN.

It may import data, plots and ground modules; models, callbacks, command and scripts may import it.
"""

import src.libraries  # noqa: F401  (first)
