"""Weighs the last group of batches of an epoch right, when gradients are accumulated."""

from lightning.pytorch import LightningModule, Trainer
from torch.optim import Optimizer

from src.training.listeners import ListensSometimes


class PartialGroups(ListensSometimes):
    """Makes each accumulated gradient the mean over the batches of its group.

    Lightning divides by `accumulate_grad_batches` also where an epoch ends with fewer batches than
    that: with 50 batches and a group of 100, all gradients would be half as long. Batches count
    alike, also a smaller last one.
    """

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        size = trainer.accumulate_grad_batches
        rest = trainer.fit_loop.epoch_loop.batch_progress.current.ready % size
        if rest:
            for parameter in pl_module.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(size / rest)
