"""A run's folder: created, locked, found, and everything written to it and read back from it.

It may import data, plots and ground modules; models, callbacks, command and scripts may import it.
Modules that need no torch do without it: tools that only read results start faster.
"""
