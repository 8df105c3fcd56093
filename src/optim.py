"""Optimizers and schedulers as plain records: what a checkpoint holds is what is built."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from lightning.pytorch.cli import instantiate_class
from torch import nn
from torch.optim import Optimizer

from src.errors import UserError

Record = dict[str, Any]  # {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}


def record(factory: Callable[..., Any]) -> Record:
    """Return the record of a class, or of a `functools.partial` of one.

    Raises:
        UserError: If it is neither, since nothing else can be written into a checkpoint.
    """
    made = factory if isinstance(factory, partial) else partial(factory)
    # The parser of the command line wraps the class: partial(build, ..., class, name=value, ...).
    classes = [part for part in (made.func, *made.args) if isinstance(part, type)]
    if len(classes) != 1:
        raise UserError(
            f"An optimizer or scheduler is given as {factory!r}.\n"
            "Give a class or functools.partial(class, name=value, ...), which can be recorded."
        )
    path = f"{classes[0].__module__}.{classes[0].__qualname__}"
    return {"class_path": path, "init_args": dict(made.keywords)}


def build_optimizer(recorded: Record, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Build the recorded optimizer over the parameters.

    Raises:
        UserError: If the optimizer refuses its arguments.
    """
    return _build("optimizer", recorded, parameters)


def build_scheduler(recorded: Record, optimizer: Optimizer, total_steps: int) -> Any:
    """Build the recorded scheduler; OneCycleLR gets `total_steps` where its length is not given.

    Raises:
        UserError: If the scheduler refuses its arguments.
    """
    arguments = dict(recorded.get("init_args") or {})
    one_cycle = recorded["class_path"].endswith("OneCycleLR")
    if one_cycle and not (arguments.get("total_steps") or arguments.get("epochs")):
        arguments["total_steps"] = total_steps
    return _build("scheduler", {**recorded, "init_args": arguments}, optimizer)


def _build(kind: str, recorded: Record, subject: Any) -> Any:
    try:
        return instantiate_class(subject, recorded)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"--model.{kind} {recorded['class_path']} refuses its arguments: {error}\n"
            f"Got: {recorded.get('init_args')}"
        ) from error
