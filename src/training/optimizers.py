"""Builds optimizers and schedulers from specifications that checkpoints can store.

`fused` is set by default; it changes results only by rounding.
"""

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from src.errors import UserError
from src.imports import import_class

FUSED = ("Adam", "AdamW", "SGD")
KINDS: dict[str, type] = {"optimizer": Optimizer, "scheduler": LRScheduler}
Spec = dict[str, Any]  # {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}


def spec(factory: Callable[..., Any]) -> Spec:
    """Return the specification of a class, or of a `functools.partial` of one.

    Raises:
        UserError: If it is neither, since a checkpoint could not store it.
    """
    made = factory if isinstance(factory, partial) else partial(factory)
    # The CLI parser wraps the class: partial(build, ..., class, name=value, ...).
    classes = [part for part in (made.func, *made.args) if isinstance(part, type)]
    if len(classes) != 1:
        raise UserError(
            f"An optimizer or scheduler cannot be stored in a checkpoint: {factory!r}.\n"
            "Pass a class or functools.partial(class, name=value, ...)."
        )
    path = f"{classes[0].__module__}.{classes[0].__qualname__}"
    return {"class_path": path, "init_args": dict(made.keywords)}


def build_optimizer(
    given: Spec, parameters: Iterable[nn.Parameter], fused: bool = True
) -> Optimizer:
    """Build the specified optimizer for the parameters.

    Args:
        given: Class and arguments of the optimizer.
        parameters: Parameters to optimize.
        fused: Whether to use the faster fused implementation if the class has one and `given`
            does not choose another; results are equal up to rounding.

    Raises:
        UserError: If the optimizer rejects its arguments, or would not train.
    """
    arguments = dict(given.get("init_args") or {})
    module, _, name = given["class_path"].rpartition(".")
    asked = any(arguments.get(way) for way in ("foreach", "differentiable"))
    known = module.startswith("torch.optim") and name in FUSED
    parameters = [*parameters]
    broken = name == "SGD" and any(map(is_half_on_cpu, parameters))
    if broken and arguments.get("fused"):
        raise UserError(
            "--model.optimizer.fused true: fused SGD trains no weight matrix in 16 bits on a CPU.\n"
            "Leave it out, or give --trainer.precision bf16-mixed."
        )
    if fused and known and not asked and not broken and arguments.get("fused") is None:
        arguments["fused"] = True
    made: Optimizer = _build("optimizer", {**given, "init_args": arguments}, parameters)
    _check_epsilon(made)
    return made


def _check_epsilon(optimizer: Optimizer) -> None:
    """Refuse an epsilon that is 0 in 16 bits: the step of a weight without gradient is NaN then.

    Raises:
        UserError: If it is.
    """
    for group in optimizer.param_groups:
        epsilon = group.get("eps")
        halves = any(parameter.dtype is torch.float16 for parameter in group["params"])
        if epsilon and halves and not torch.tensor(epsilon, dtype=torch.float16):
            raise UserError(
                f"--model.optimizer.eps {epsilon:g} is 0 in 16 bits, which end at 6e-8.\n"
                "Give --model.optimizer.eps 1e-4, or --trainer.precision bf16-true or 16-mixed."
            )


def is_half_on_cpu(parameter: nn.Parameter) -> bool:
    """Return whether fused SGD may ignore a parameter: pytorch/pytorch issue 191763."""
    return parameter.device.type == "cpu" and parameter.dtype in (torch.float16, torch.bfloat16)


def build_scheduler(given: Spec, optimizer: Optimizer, total_steps: float | None) -> Any:
    """Build the specified scheduler; OneCycleLR gets `total_steps` if no length is given.

    Raises:
        UserError: If the scheduler rejects its arguments, or OneCycleLR would end before the run.
    """
    arguments = dict(given.get("init_args") or {})
    one_cycle = given["class_path"].endswith("OneCycleLR")
    if one_cycle and not (arguments.get("total_steps") or arguments.get("epochs")):
        arguments["total_steps"] = total_steps
    asked = arguments.get("total_steps")
    if one_cycle and asked and total_steps and asked < total_steps:
        raise UserError(
            f"--model.scheduler.total_steps {asked} is less than {total_steps}, the run length.\n"
            "Remove it: OneCycleLR defaults to the length of the run."
        )
    return _build("scheduler", {**given, "init_args": arguments}, optimizer)


def check(
    optimizer: Spec, scheduler: Spec | None, interval: str, parameters: Iterable[nn.Parameter]
) -> None:
    """Validate both by building them once, so that errors show before data is read.

    Raises:
        UserError: If one rejects its arguments, or ReduceLROnPlateau has no metric to monitor.
    """
    built = build_optimizer(optimizer, parameters)
    if scheduler is None:
        return
    asked = (scheduler.get("init_args") or {}).get("total_steps")
    made = build_scheduler(scheduler, built, asked or 1000)
    if not isinstance(made, ReduceLROnPlateau):
        _try_step(scheduler, made)
    elif not hasattr(made, "monitor") or interval == "step":
        raise UserError(
            "ReduceLROnPlateau needs a metric, which is logged once per epoch.\nUse"
            " --model.scheduler lightning.pytorch.cli.ReduceLROnPlateau, --model.scheduler.monitor"
            " val/loss\nand --model.scheduler_interval epoch."
        )


def _try_step(given: Spec, scheduler: LRScheduler) -> None:
    """Take one step, since some schedulers use their arguments only then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ignore that the optimizer has taken no step
        try:
            rates = scheduler.get_last_lr()
            scheduler.step()
            rates += scheduler.get_last_lr()
        except ArithmeticError as error:
            raise UserError(_refused("scheduler", given, error)) from error
    if min(rates) < 0:
        raise UserError(_refused("scheduler", given, f"a learning rate of {min(rates):g}"))


def _refused(kind: str, given: Spec, reason: Exception | str) -> str:
    arguments = given.get("init_args") or {}
    shown = {k: v for k, v in arguments.items() if v is not None and v is not False}
    first = str(reason).splitlines()[0]
    return f"--model.{kind} {given['class_path']} rejects its arguments: {first}\nGot: {shown}"


def _build(kind: str, given: Spec, subject: Any) -> Any:
    made: Any = import_class(given["class_path"])
    if not issubclass(made, KINDS[kind]):
        raise UserError(f"--model.{kind} {given['class_path']} is not of type {kind}.")
    try:
        return made(subject, **given["init_args"])
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise UserError(_refused(kind, given, error)) from error
