"""A request to stop, passed from a signal handler to the training loop."""

from dataclasses import dataclass


@dataclass
class StopRequest:
    """A request to stop training at the next point where a checkpoint can be saved.

    Attributes:
        signal: Number of the signal that asked for it; 0 if none did.
        training: Whether training is under way, so that a signal waits for a checkpoint.
    """

    signal: int = 0
    training: bool = False
