"""The base class of all models: training step, metrics and optimizer."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn

from src.models.means import Means, score
from src.training.internals import trainer_of
from src.training.optimizers import build_optimizer, build_scheduler, check, spec
from src.training.step_log import is_logged

Batch = tuple[Tensor, Tensor]


class Model(LightningModule):
    """A network with its loss, metrics and optimizer; subclasses only build the network.

    Each stage logs `loss`, and `acc` (accuracy) for class targets or `mse` for real targets, as
    means over all examples of the epoch. Training loss and learning rate are logged every
    `trainer.log_every_n_steps` steps, and at least once per epoch.

    Args:
        net: Maps `(B, *input_shape)` to `(B, num_outputs)`: logits, or regression values.
        loss: `cross_entropy` (for classes only) or `mse`, the squared error averaged over examples
            and outputs, with one-hot targets for classes.
        optimizer: A class of torch.optim and its arguments, e.g. `SGD` with `optimizer.lr`.
        scheduler: A class of torch.optim.lr_scheduler and its arguments; without one the learning
            rate is constant. `total_steps` of OneCycleLR defaults to the length of the run.
        scheduler_interval: Whether to step the scheduler after each `epoch` or each `step`.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: Literal["cross_entropy", "mse"] = "cross_entropy",
        optimizer: OptimizerCallable = torch.optim.Adam,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
    ) -> None:
        super().__init__()
        self.net = net
        self.save_hyperparameters(ignore=["net"])
        for name in ("optimizer", "scheduler"):
            if callable(self.hparams[name]):  # from Python; the CLI passes plain values
                self.save_hyperparameters({name: spec(self.hparams[name])})
        specs = self.hparams["optimizer"], self.hparams["scheduler"]
        check(*specs, scheduler_interval, self.parameters())
        self._means = {stage: Means() for stage in ("train", "val", "test")}

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs `(B, num_outputs)` for a batch `(B, *input_shape)`."""
        return self.net(x.to(self.dtype))

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of outputs `(B, num_outputs)` against targets, a scalar."""
        if self.hparams["loss"] == "cross_entropy":
            return F.cross_entropy(output, y)
        target = y if y.is_floating_point() else F.one_hot(y, output.shape[1])
        return F.mse_loss(output, target.to(output.dtype))

    def on_train_start(self) -> None:
        steps = self.trainer.num_training_batches // self.trainer.accumulate_grad_batches
        self.trainer.log_every_n_steps = min(self.trainer.log_every_n_steps, max(steps, 1))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, _ = self.measured(batch, "train")
        # Lightning drops the values of the other steps anyway; skipping self.log saves its cost.
        if is_logged(self.trainer):
            self.log("train/loss", loss.detach(), prog_bar=True, sync_dist=True)
            self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the outputs `(B, num_outputs)` for use by callbacks."""
        return self.measured(batch, "val")[1]

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the outputs `(B, num_outputs)` for use by callbacks."""
        return self.measured(batch, "test")[1]

    def predict_step(self, batch: Batch, batch_idx: int) -> Batch:
        """Return outputs `(B, num_outputs)`, as probabilities if y holds classes, and y."""
        x, y = batch
        output = self(x)
        return (output if y.is_floating_point() else self.probabilities(output)), y

    def probabilities(self, output: Tensor) -> Tensor:
        """Return the class probabilities `(B, classes)` of outputs `(B, num_outputs)`."""
        if self.hparams["loss"] == "cross_entropy":
            return output.softmax(dim=1)
        # Least squares on one-hot targets estimates the probabilities themselves, up to clipping.
        return F.normalize(output.relu(), p=1, dim=1)

    def on_train_epoch_end(self) -> None:
        self._log_means("train")

    def on_validation_epoch_end(self) -> None:
        self._log_means("val")

    def on_test_epoch_end(self) -> None:
        self._log_means("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the metric sums of the epoch so far, added over all processes."""
        sums = self._means["train"].sums(self.device)
        checkpoint["train_sums"] = self.trainer.strategy.reduce(sums, reduce_op="sum")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the metric sums when training resumes, on rank 0 only since they are totals."""
        trainer = trainer_of(self)
        fitting = trainer is not None and trainer.state.fn == TrainerFn.FITTING
        if fitting and self.trainer.is_global_zero and "train_sums" in checkpoint:
            device = self.trainer.strategy.root_device
            self._means["train"].restore(checkpoint["train_sums"].to(device))

    def configure_optimizers(self) -> Any:
        """Build the optimizer and scheduler from the hyperparameters."""
        # A fused step unscales 16-bit gradients itself, so they cannot be clipped before it.
        trainer = trainer_of(self)
        clipped = trainer is not None and trainer.gradient_clip_val
        optimizer = build_optimizer(self.hparams["optimizer"], self.parameters(), not clipped)
        if self.hparams["scheduler"] is None:
            return optimizer
        interval, trainer = self.hparams["scheduler_interval"], self.trainer
        length = trainer.max_epochs if interval == "epoch" else trainer.estimated_stepping_batches
        scheduler = build_scheduler(self.hparams["scheduler"], optimizer, length)
        schedule = {"scheduler": scheduler, "interval": interval}
        if hasattr(scheduler, "monitor"):  # ReduceLROnPlateau steps when its metric is available
            every = trainer.check_val_every_n_epoch or 1
            schedule |= {"monitor": scheduler.monitor, "frequency": every}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def running_sums(self) -> tuple[Tensor, ...]:
        """Return the tensors that a training step adds its loss and score to."""
        return self._means["train"].tensors

    def measured(self, batch: Batch, stage: str) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, and its outputs `(B, num_outputs)`; sum up the metrics."""
        x, y = batch
        output = self(x)
        loss = self.loss(output, y)
        self._means[stage].add(loss, output, y)
        return loss, output

    def score(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the number of right classes in a batch, or the sum of its squared errors."""
        return score(output, y)

    def add_sums(self, stage: str, loss: Tensor, total: Tensor, n: int, numbers: bool) -> None:
        """Add what others have summed: losses and scores of n samples; targets may be numbers."""
        self._means[stage].add_sums(loss, total, n, "mse" if numbers else "acc")

    def _log_means(self, stage: str) -> None:
        means = self._means[stage]
        loss, score, n = self.trainer.strategy.reduce(means.pop(self.device), reduce_op="sum")
        if not n:  # resumed after the last batch of an epoch
            return
        if stage != "train":  # the training loss is logged by step
            self.log(f"{stage}/loss", loss / n, prog_bar=True)
        self.log(f"{stage}/{means.score_name}", score / n, prog_bar=stage == "val")
