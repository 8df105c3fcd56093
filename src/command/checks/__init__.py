"""The checks of settings: single values, contradictions between settings, monitored metrics."""

from src.command.checks.contradictions import check, check_processes, check_saved
from src.command.checks.values import misfits

__all__ = ["check", "check_processes", "check_saved", "misfits"]
