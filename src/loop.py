"""One training step, without the thirty hooks around it that nobody listens to."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

# What the short way calls, of callbacks alone.
CALLED = (
    "on_train_batch_start",
    "on_before_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
# What it does not call, and so must find as Lightning made it.
OF_CALLBACKS = ("on_before_zero_grad", "on_after_backward")
OF_DATA = ("on_before_batch_transfer", "transfer_batch_to_device")
OF_MODELS = (
    *CALLED,
    *OF_CALLBACKS,
    *OF_DATA,
    "on_after_batch_transfer",
    "backward",
    "optimizer_step",
    "optimizer_zero_grad",
    "configure_gradient_clipping",
)


class EpochLoop(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, with a short way through a plain step.

    In each step Lightning asks every callback, the model and the strategy some thirty times whether
    they have something to do, which takes longer than the step of a small model. Here those who
    listen are called and nobody else. Numbers, counters and the order of events stay Lightning's,
    but for the count of `zero_grad`, which nothing reads. A run that asks for more than a plain
    step goes Lightning's own way.
    """

    plain = False  # until it is known

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        super().on_run_start(data_fetcher)
        self.plain = is_plain(self.trainer)
        groups = self.trainer.optimizers[0].param_groups if self.plain else []
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.listeners = {
            hook: [callback for callback in self.trainer.callbacks if is_overridden(hook, callback)]
            for hook in CALLED
        }

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """Take a batch and make a step."""
        if self.restarting or not self.plain:
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False  # the next validation starts from its first batch
        progress, connector = self.batch_progress, self.trainer._logger_connector
        batch = self._next_batch(data_fetcher)
        progress.increment_ready()
        index = self.batch_idx
        connector.on_batch_start(batch)
        self._tell("on_train_batch_start", batch, index)
        progress.increment_started()
        loss = self._step(batch, index)
        progress.increment_processed()
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self._tell("on_train_batch_end", {"loss": loss}, batch, index)
        connector.on_batch_end()
        progress.increment_completed()
        connector.update_train_step_metrics()

    def _should_accumulate(self) -> bool:  # asked five times a step, and never in a plain one
        return not self.plain and super()._should_accumulate()

    def _next_batch(self, data_fetcher: _DataFetcher) -> tuple[Tensor, ...]:
        batch, _, _ = next(data_fetcher)
        self.batch_progress.is_last_batch = data_fetcher.done
        device = self.trainer.strategy.root_device
        moved = tuple(part.to(device, non_blocking=device.type == "cuda") for part in batch)
        return self.trainer.datamodule.on_after_batch_transfer(moved, 0)

    def _step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        """Update the weights and return the loss."""
        model, optimizer = self.trainer.lightning_module, self.trainer.optimizers[0]
        progress = self.automatic_optimization.optim_progress.optimizer.step
        loss: Any = None  # the last one, where an optimizer asks for several

        def closure() -> Any:
            nonlocal loss
            _enter(model, "training_step")
            loss = model.training_step(batch, index)
            for parameter in self.parameters:
                parameter.grad = None
            self._tell("on_before_backward", loss)
            loss.backward()
            self._tell("on_before_optimizer_step", optimizer)
            return loss

        progress.increment_ready()
        optimizer.step(closure)
        progress.increment_completed()
        return loss.detach()

    def _tell(self, hook: str, *args: Any) -> None:
        trainer, model = self.trainer, self.trainer.lightning_module
        _enter(model, hook)
        for callback in self.listeners[hook]:
            getattr(callback, hook)(trainer, model, *args)
        _enter(model, None)


def _enter(model: LightningModule, hook: str | None) -> None:
    """Tell `self.log` where it is called from; an assignment to a module would take 5 us."""
    vars(model)["_current_fx_name"] = hook


def is_plain(trainer: Trainer) -> bool:
    """Return whether a step is batch, loss, gradient and update, on one device in 32 bits.

    That a batch is `(x, y)` and `training_step` returns the loss is for the caller to know.
    """
    model, data = trainer.lightning_module, trainer.datamodule
    return (
        type(trainer.strategy) is SingleDeviceStrategy
        and type(trainer.precision_plugin) is Precision
        and type(trainer.profiler) is PassThroughProfiler
        and model.automatic_optimization
        and not trainer.fit_loop._skip_backward
        and len(trainer.optimizers) == 1
        and type(trainer.optimizers[0]).__module__.startswith("torch.optim")
        and trainer.accumulate_grad_batches == 1
        and not trainer.gradient_clip_val
        and data is not None
        and not any(is_overridden(hook, data) for hook in OF_DATA)
        and not any(is_overridden(hook, model) for hook in OF_MODELS)
        and not any(is_overridden(hook, c) for c in trainer.callbacks for hook in OF_CALLBACKS)
    )
