"""As many processes must have been started as the settings ask for."""

import pytest

from src.cli import main
from tests.conftest import PROJECT

LINE = ["fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.fast_dev_run=true",
        "--trainer.accelerator=cpu"]  # fmt: skip
TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
SCRIPT = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NAME": "fit.sh",
          "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}  # fmt: skip
SRUN = {**SCRIPT, "SLURM_STEP_ID": "0"}


@pytest.mark.parametrize(
    ("variables", "options", "message"),
    [
        (TORCHRUN, [], "make 1 processes, but torchrun has started 2"),
        (TORCHRUN, ["--trainer.num_nodes=3"], "make 3 processes, but torchrun has started 2"),
        (SRUN, [], "make 1 processes, but srun has started 2"),
        (SCRIPT, ["--trainer.devices=2"], "processes, but the script of the job has started 1"),
        ({}, ["--trainer.num_nodes=2"], "make 2 processes, but python has started 1"),
        ({"SLURM_NTASKS": "2"}, [], "Use `--ntasks-per-node=2` instead"),
    ],
)  # fmt: skip
def test_another_number_of_processes_is_refused(
    variables: dict[str, str], options: list[str], message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        main([*LINE, *options])
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) <= 3


@pytest.mark.parametrize("variables", [SCRIPT, {**SRUN, "SLURM_NTASKS": "1"}])
def test_one_process_in_a_job_trains_alone(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (variables | {"SLURM_NTASKS_PER_NODE": "1"}).items():
        monkeypatch.setenv(name, value)
    main(LINE)
