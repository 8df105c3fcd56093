"""`./scripts/run faults`: runs that are killed and resumed equal uninterrupted ones."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

import scripts.faults.kills as faults_kills
from scripts.faults.kills import POINTS, Cut, Subject, cut_off, killed, killed_writing, signalled

SMALL = ["--trainer.max_epochs=2", "--data.val_size=50", "--data.verify=false",
         "--data.batch_size=5", "--trainer.enable_progress_bar=false"]  # fmt: skip
KINDS = {"kills": (killed, 36), "writes": (killed_writing, len(POINTS)), "signals": (signalled, 12)}


@pytest.fixture
def subject(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """The dropout MLP on a few images."""
    monkeypatch.setenv("DATA_DIR", str(data_root))
    monkeypatch.setattr(faults_kills, "SHORT", SMALL)
    monkeypatch.setattr(faults_kills, "SECONDS", 0.02)
    return Subject("mnist_mlp", Path("whole"))


def interrupt(kind: str, subject: Subject, tries: int) -> None:
    """Assert that interrupted runs end like the uninterrupted one."""
    cuts = cut_off(KINDS[kind][0](Random(0)), [subject], Path(kind))
    ends = [next(cuts) for _ in range(tries)]
    assert [fault for cut in ends for fault in cut.faults] == []
    assert all(cut.interrupted and cut.handled for cut in ends)


def test_a_killed_run_ends_like_an_uninterrupted_one(subject: Subject) -> None:
    interrupt("kills", subject, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_interrupted_runs_end_like_an_uninterrupted_one(kind: str, subject: Subject) -> None:
    interrupt(kind, subject, KINDS[kind][1])


def test_a_run_that_resumes_with_other_numbers_is_detected(subject: Subject) -> None:
    """A changed weight in the expected results must be reported."""
    expected: Any = subject.expected
    name = next(name for name in expected if name.startswith("resume-"))
    expected[name]["state_dict"]["net.1.weight"].view(-1)[0] += 1e-6
    cut: Cut = next(cut_off(killed(Random(0)), [subject], Path("broken")))
    assert not cut.handled
    assert any("net.1.weight: other numbers" in fault for fault in cut.faults)
