"""A trained network in use: own images, predictions, the portable network, what its layers
do, how sure it is, and what it takes to fool it.

It may import data, plots and ground modules; models, callbacks, command and scripts may import it.
"""

import src.libraries  # noqa: F401  (first)
