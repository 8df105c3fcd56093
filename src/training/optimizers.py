"""Optimizers and schedulers as plain values: what a checkpoint holds is what is built.

But for `fused`, which is set where it is not given, and changes numbers only by rounding.
"""

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

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
        UserError: If it is neither, since a checkpoint could not hold it.
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


def build_optimizer(
    given: Spec, parameters: Iterable[nn.Parameter], fused: bool = True
) -> Optimizer:
    """Build the specified optimizer over the parameters.

    Args:
        given: Its class and arguments.
        parameters: What it is to improve.
        fused: Update all parameters in one kernel where the class can and nothing else is asked:
            the same numbers up to rounding, in less time.

    Raises:
        UserError: If the optimizer refuses its arguments.
    """
    arguments = dict(given.get("init_args") or {})
    module, _, name = given["class_path"].rpartition(".")
    asked = any(arguments.get(way) for way in ("foreach", "differentiable"))
    known = module.startswith("torch.optim") and name in FUSED
    if fused and known and not asked and arguments.get("fused") is None:
        arguments["fused"] = True
    return _build("optimizer", {**given, "init_args": arguments}, parameters)


def build_scheduler(given: Spec, optimizer: Optimizer, total_steps: float | None) -> Any:
    """Build the specified scheduler; OneCycleLR gets `total_steps` where its length is not given.

    Raises:
        UserError: If the scheduler refuses its arguments.
    """
    arguments = dict(given.get("init_args") or {})
    one_cycle = given["class_path"].endswith("OneCycleLR")
    if one_cycle and not (arguments.get("total_steps") or arguments.get("epochs")):
        arguments["total_steps"] = total_steps
    asked = arguments.get("total_steps")
    if one_cycle and asked and total_steps and asked < total_steps:
        raise UserError(
            f"--model.scheduler.total_steps {asked} is less than the {total_steps} of the run.\n"
            "Leave it away, and OneCycleLR takes the length of the run."
        )
    return _build("scheduler", {**given, "init_args": arguments}, optimizer)


def check(
    optimizer: Spec, scheduler: Spec | None, interval: str, parameters: Iterable[nn.Parameter]
) -> None:
    """Build both once and throw them away: a wrong number is better refused before data is read.

    Raises:
        UserError: If one refuses its arguments, or the scheduler has no metric to wait for.
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
            "ReduceLROnPlateau waits for a metric, which comes once an epoch.\nGive"
            " --model.scheduler lightning.pytorch.cli.ReduceLROnPlateau, --model.scheduler.monitor"
            " val/loss\nand --model.scheduler_interval epoch."
        )


def _try_step(given: Spec, scheduler: LRScheduler) -> None:
    """Take one step, in which some schedulers first divide by an argument."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer has taken none
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
    told = {k: v for k, v in arguments.items() if v is not None and v is not False}
    first = str(reason).splitlines()[0]
    return f"--model.{kind} {given['class_path']} refuses its arguments: {first}\nGot: {told}"


def _build(kind: str, given: Spec, subject: Any) -> Any:
    made: Any = import_class(given["class_path"])
    if not issubclass(made, KINDS[kind]):
        raise UserError(f"--model.{kind} {given['class_path']} is no {kind}.")
    try:
        return made(subject, **given["init_args"])
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise UserError(_refused(kind, given, error)) from error
