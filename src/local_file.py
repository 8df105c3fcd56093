"""The settings of this machine in `configs/local.yaml`: over the defaults, under all else.

The file is ignored by git. It holds only what does not change the numbers of an experiment, but for
their last digits, so that a config means the same on every machine.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from src.errors import UserError
from src.places import CONFIGS

VARIABLE = "LINENET_LOCAL"  # environment variable: the file; empty for none
SETTINGS = (
    "data.root", "threads", "report", "trainer.logger", "trainer.accelerator",
    "trainer.enable_progress_bar", "trainer.enable_model_summary",
)  # fmt: skip
OF_FILES = ("CSVLogger", "TensorBoardLogger")  # they have no default of save_dir
EXPECTED = f"Expected some of {', '.join(SETTINGS[:4])},\n{', '.join(SETTINGS[4:])}."


def local_file() -> Path | None:
    """Return the settings file of this machine; None if there is none.

    Raises:
        UserError: If the environment variable names a file that does not exist.
    """
    path = Path(os.environ.get(VARIABLE, CONFIGS / "local.yaml"))
    if path.is_file():
        return path
    if os.environ.get(VARIABLE):
        raise UserError(f"{VARIABLE}={path}: there is no such file. Unset it, or name a YAML file.")
    return None


def local_settings() -> dict[str, Any]:
    """Return the settings of this machine by the names of their flags.

    Raises:
        UserError: If the file cannot be read or is not YAML, or a setting belongs to an experiment.
    """
    path = local_file()
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = dict(_flat(content or {}))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line} is not a YAML file of settings.\n{EXPECTED}") from error
    for name in found:
        if name.rstrip("+") not in SETTINGS:
            raise UserError(f"{path}: {name} is no setting of a machine.\n{EXPECTED}")
    if isinstance(root := found.get("data.root"), str):
        found["data.root"] = os.path.expanduser(root)  # noqa: PTH111  (Path's may raise)
    return found


def named() -> str:
    """Return how people call the settings file: by its path, if it is another one than usual."""
    usual = CONFIGS / "local.yaml"
    return "configs/local.yaml" if local_file() == usual else str(local_file())


def _flat(content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, value in content.items():
        if section in ("data", "trainer"):
            yield from ((f"{section}.{name}", one) for name, one in value.items())
        else:
            yield str(section), value


def use_data_folder() -> None:
    """Let data sets be found in the folder of this machine, unless DATA_DIR is set.

    Raises:
        UserError: If the folder is not given as text.
    """
    root = local_settings().get("data.root", "")
    if not isinstance(root, str):
        raise UserError(f"{local_file()}: data.root: expected a folder, got {root!r}.")
    if root:
        os.environ.setdefault("DATA_DIR", root)


def text_for_parser() -> str:
    """Return the settings as YAML, without the data folder: generated data sets have none."""
    found: dict[str, Any] = {}
    for name, value in local_settings().items():
        section, _, key = name.rpartition(".")
        if section != "data":
            place = found.setdefault(section, {}) if section else found
            place[key] = _with_folder(value) if key == "logger+" else value
    return yaml.safe_dump(found) if found else ""


def _with_folder(logger: Any) -> Any:
    """Return loggers that are added, those of files with the folder that they ask for."""
    if isinstance(logger, list):
        return [_with_folder(one) for one in logger]
    spec = {"class_path": logger} if isinstance(logger, str) else logger
    if isinstance(spec, dict) and str(spec.get("class_path")).endswith(OF_FILES):
        arguments = {"save_dir": "lightning_logs", **(spec.get("init_args") or {})}
        return {**spec, "init_args": arguments}
    return logger


def in_force(config: dict[str, Any]) -> dict[str, str]:
    """Return the settings of this machine that nothing has overridden, as text.

    Args:
        config: The settings of a command, nested.
    """
    found = {}
    for name, value in local_settings().items():
        wanted, used = _names(value), _names(_used(config, name.rstrip("+")))
        if all(any(one in (full, full.rpartition(".")[2]) for full in used) for one in wanted):
            found[name.rstrip("+")] = ", ".join(wanted)
    return found


def _used(config: dict[str, Any], name: str) -> Any:
    """Return the value that a command uses."""
    section, _, key = name.rpartition(".")
    if name == "data.root":
        return config["data"].get("init_args", {}).get("root") or os.environ.get("DATA_DIR")
    return (config[section] if section else config).get(key)


def _names(value: Any) -> list[str]:
    """Return a setting as text, and classes by their names."""
    many = value if isinstance(value, list) else [value]
    return [str(one.get("class_path") if isinstance(one, dict) else one) for one in many]
