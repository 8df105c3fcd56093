"""What the tools for many runs share: threads of each process, and why a run has failed."""

from pathlib import Path

import pytest

from scripts.many import warm
from scripts.many.numbers import shown
from scripts.many.training import reason
from scripts.many.warm import STARTED, share


@pytest.mark.parametrize(
    ("limit", "jobs", "threads", "each"),
    [
        (None, 1, None, 8),
        (None, 2, None, 4),
        (None, 16, None, 1),
        ("1", 2, None, 1),  # OMP_NUM_THREADS limits a process
        ("4", 1, None, 4),
        ("4", 4, None, 2),
        ("1", 2, 6, 3),  # --threads is for all together, and goes before it
        ("two", 2, None, 4),
    ],
)
def test_processes_share_the_threads(
    limit: str | None, jobs: int, threads: int | None, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if limit:
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert share(jobs, threads) == each


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        ("epoch 1\nerror: too large.\nGive less.\n", ["too large.", "Give less."]),
        ("epoch 1\nKilled\n", ["Killed"]),
        ("", ["its process was killed"]),
        # An earlier process failed, the last one was killed.
        (f"{STARTED}error: too large.\n{STARTED}", ["its process was killed"]),
    ],
)
def test_the_reason_is_what_the_last_process_printed(
    log: str, lines: list[str], tmp_path: Path
) -> None:
    (tmp_path / "seed_0.log").write_text(log)
    assert reason(tmp_path / "seed_0.log") == lines
    assert reason(tmp_path / "seed_1.log") == ["its process was killed"]


@pytest.mark.parametrize(
    ("metric", "value", "sd", "text"),
    [
        ("test/acc", 0.98765, 0.00123, "98.77 ± 0.12 %"),
        ("test/mse", 0.0835, 0.0373, "0.0835 ± 0.0373"),
        ("val/loss", 4.4261e-6, None, "4.426e-06"),
        ("val/loss", None, None, "-"),
    ],
)
def test_a_metric_is_written_the_same_everywhere(
    metric: str, value: float | None, sd: float | None, text: str
) -> None:
    assert shown(metric, value, sd) == text
