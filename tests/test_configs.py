"""Every config runs, is short, and starts with its own command. New configs are found by glob."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from src.cli import main
from tests.conftest import PROJECT

CONFIGS = PROJECT / "configs"
EXPERIMENTS = sorted({path.stem for path in CONFIGS.glob("*.yaml")} - {"defaults", "local"})
OVERLAYS = sorted(path.stem for path in (CONFIGS / "with").glob("*.yaml"))
DATA = {
    "cifar10_lenet": ["--data=ImageFolder", "--data.path=images", "--data.val_size=10"],
    "folder_lenet": ["--data.path=images", "--data.val_size=10"],
}
Run = Callable[..., dict[str, Any]]


def small_data(name: str) -> list[str]:
    return DATA.get(name, ["--data.val_size=50"] if "mnist" in name or "fashion" in name else [])


def words(name: str) -> list[str]:
    return ["fit", "--config", str(CONFIGS / f"{name}.yaml"), *small_data(name)]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_config_runs_one_batch_of_each_stage(name: str, run: Run) -> None:
    main([*words(name), "--trainer.fast_dev_run=true"])
    assert not Path("lightning_logs").exists()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_config_starts_with_its_command_and_repeats_no_default(name: str) -> None:
    text = (CONFIGS / f"{name}.yaml").read_text()
    assert text.startswith(f"# python -m src.cli fit --config configs/{name}.yaml")
    assert len(text.splitlines()) <= 20
    assert "Expect" in text.split("model:")[0]
    defaults = yaml.safe_load((CONFIGS / "defaults.yaml").read_text())
    for section, settings in yaml.safe_load(text).items():
        if section in ("trainer", "checkpoint"):
            same = {k for k, v in settings.items() if defaults[section].get(k) == v}
            assert not same


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_can_be_added_to_a_config(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = str(CONFIGS / f"with/{name}.yaml")
    with pytest.raises(SystemExit) as stop:
        main([*words("mnist_lenet"), "--config", overlay, "--print_config"])
    assert stop.value.code == 0
    merged = yaml.safe_load(capsys.readouterr().out)
    for section, settings in yaml.safe_load(Path(overlay).read_text()).items():
        for key, value in settings.items():
            if section == "trainer" and key.endswith("+"):  # is added to a list
                added = merged["trainer"][key[:-1]][-1]["class_path"]
                assert added.endswith(value["class_path"])
            elif section == "trainer":
                assert merged["trainer"][key] == value
    assert merged["model"]["class_path"] == "src.models.LeNet"


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name.startswith("mnist")])
def test_the_fast_overlay_gives_every_model_the_same_settings(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*words(name), "--config", str(CONFIGS / "with/fast.yaml"), "--print_config"])
    model = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]
    assert model["optimizer"]["class_path"].endswith("Adam")
    assert model["optimizer"]["init_args"]["betas"] == [0.9, 0.99]
    assert model["scheduler"]["init_args"]["max_lr"] == 0.005
    assert model["scheduler"]["init_args"]["cycle_momentum"] is False
    assert model["scheduler_interval"] == "step"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_saved_config_reproduces_the_weights(name: str, run: Run) -> None:
    short = ["--trainer.max_steps=3", "--trainer.check_val_every_n_epoch=1"]
    both = [run(*words(name), *short)]
    both.append(run("fit", "--config", f"lightning_logs/{name}/version_0/config.yaml"))
    first, second = (
        torch.load(results["best_checkpoint"], weights_only=True)["state_dict"] for results in both
    )
    assert first.keys() == second.keys()
    assert all(first[key].equal(second[key]) for key in first)


@pytest.mark.parametrize("name", ["Timer", "EMAWeightAveraging"])
def test_a_config_is_printed_with_callbacks_whose_defaults_are_objects(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*words("mnist_lenet"), f"--trainer.callbacks+={name}", "--print_config"])
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["trainer"]["callbacks"][-1]["class_path"].endswith(name)
