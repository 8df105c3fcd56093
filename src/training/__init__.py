"""How training works: the loop over batches, optimizers, seeds by step, checks for NaN.

Imports ground modules only; models, callbacks, command and scripts import it.
"""

import src.libraries  # noqa: F401  (first)
