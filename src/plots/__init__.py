"""Plots: functions from tensors to a matplotlib Figure, without Lightning or file access.

It imports nothing of this project but its own modules; every package but data may import it.
"""
