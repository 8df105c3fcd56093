"""Puts the settings of this machine, `configs/local.yaml`, in front of a command's own."""

from pathlib import Path
from typing import Any

from src.local_file import local_file, local_settings, text_for_parser, use_data_folder


def with_local(words: list[str]) -> list[str]:
    """Return the words of a command, with the settings of this machine as its first config."""
    file = local_file()
    if not file:
        return words
    use_data_folder()
    if any(word.startswith("--print_config") for word in words):
        print(f"# Over the defaults, from {file}: {', '.join(local_settings())}")
    return [words[0], "--config", str(file), *words[1:]] if text_for_parser() else words


def is_local(path: Any) -> bool:
    """Return whether a config is the file of this machine."""
    file = local_file()
    return file is not None and Path(str(path)).resolve() == file.resolve()


def origin(message: str) -> str:
    """Return the line that names the file, if an error is about one of its values."""
    for name, value in local_settings().items():
        text = str(value.get("class_path", "") if isinstance(value, dict) else value)
        if name.rstrip("+") in message and text in message:
            return f"\n{name} is set in {local_file()}."
    return ""
