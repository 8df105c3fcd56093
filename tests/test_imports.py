"""No config, flag or checkpoint runs code: a class that is not allowed is never imported."""

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import yaml

from src.cli import main
from src.errors import UserError
from src.imports import allowed, import_class, restrict_imports
from src.training.optimizers import build_optimizer
from tests.conftest import PROJECT

LINE = ["fit", "--config", str(PROJECT / "configs/line.yaml")]
NAMES = map("evil_module_{}".format, count())
CANARY = """from pathlib import Path
Path("canary").touch()
from src.models import LinearRegression

class Net(LinearRegression):
    pass
"""


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the working directory that creates the file `canary` when it is imported.

    Its name is new in each test: a name that was allowed once stays allowed in this process.
    """
    name = next(NAMES)
    Path(f"{name}.py").write_text(CANARY)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    yield name
    sys.modules.pop(name, None)


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code in (1, 2)
    text = capsys.readouterr().err.strip()
    assert len(text.splitlines()) <= 3
    assert "Traceback" not in text
    return text


PLACES = [
    "model", "data", "trainer.callbacks", "trainer.logger", "trainer.strategy", "trainer.plugins",
    "trainer.profiler", "trainer.accelerator", "model.init_args.optimizer",
    "model.init_args.scheduler", "model.init_args.net",
]  # fmt: skip


def nested(place: str, value: object) -> dict[str, object]:
    """Return a config with a value at a dotted key, and a model class where the key needs one."""
    config: dict[str, object] = {"model": {"class_path": "src.models.Model"}}
    for key in reversed(place.split(".")):
        value = {key: value}
    if place.startswith("model.") and isinstance(value, dict):
        value["model"] |= config["model"]  # type: ignore[operator]
    return value  # type: ignore[return-value]


@pytest.mark.parametrize("as_list", [False, True], ids=["one", "list"])
@pytest.mark.parametrize("place", PLACES)
def test_a_class_that_is_not_allowed_is_refused_before_import(
    place: str, as_list: bool, evil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"class_path": f"{evil}.Net", "init_args": {}}
    Path("evil.yaml").write_text(yaml.safe_dump(nested(place, [spec] if as_list else spec)))
    text = refused([*LINE, "--config", "evil.yaml"], capsys)
    if not as_list:
        assert f"{evil}.Net is not imported" in text
        assert f"LINENET_ALLOW={evil}" in text
    assert not Path("canary").exists()
    assert evil not in sys.modules


@pytest.mark.parametrize("place", PLACES)
def test_a_class_that_is_not_allowed_is_refused_as_a_flag(
    place: str, evil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused([*LINE, "--data.source=x", f"--{place}={evil}.Net"], capsys)
    assert not Path("canary").exists()


@pytest.mark.parametrize(
    ("path", "init_args"),
    [
        ("os.system", {"command": "touch canary"}),
        ("subprocess.Popen", {"args": ["touch", "canary"]}),
        ("builtins.exec", {"source": "open('canary', 'w')"}),
        ("pathlib.Path.touch", {}),
        ("torch.hub.load", {"repo_or_dir": ".", "model": "x", "source": "local"}),
        ("torch.load", {"f": "canary"}),
        ("src.files.write_whole", {"path": "canary", "text": "x"}),
        ("src.data.download.fetch", {"urls": ["file:///etc/hosts"], "md5": "", "path": "canary"}),
        ("src.cli.main", {"args": ["fit"]}),
        ("lightning.pytorch.cli.LightningCLI", {"args": ["fit"]}),
        ("lightning.pytorch.callbacks.LambdaCallback", {"setup": "os.system"}),
        ("LambdaCallback", {"on_fit_start": "builtins.print"}),
        ("lightning.pytorch.callbacks.callback.os.system", {"command": "touch canary"}),
        ("torch.nn.modules.module.warnings.sys.exit", {}),
        ("torch.optim.lr_scheduler.LambdaLR", {"lr_lambda": "os.system"}),
    ],
)
@pytest.mark.parametrize("place", ["model", "trainer.callbacks", *(
    pytest.param(place, marks=pytest.mark.slow) for place in (
        "trainer.logger", "model.init_args.optimizer", "model.init_args.scheduler",
        "data.init_args.slope", "data.dict_kwargs.x"))])  # fmt: skip
def test_a_library_function_named_in_a_config_is_not_called(
    path: str, init_args: dict[str, object], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"class_path": path, "init_args": init_args}
    Path("evil.yaml").write_text(yaml.safe_dump(nested(place, spec)))
    refused([*LINE, "--config", "evil.yaml"], capsys)
    assert not Path("canary").exists()


def test_a_user_allows_a_package_by_an_environment_variable(
    evil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINENET_ALLOW", f"other, {evil}")
    main([*LINE, f"--model={evil}.Net", "--trainer.fast_dev_run=true", "--trainer.callbacks=null"])
    assert Path("canary").exists()


@pytest.mark.parametrize("name", ["*", "not a name", "jsonargparse"])
def test_an_invalid_package_to_allow_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINENET_ALLOW", name)
    with pytest.raises(UserError, match="LINENET_ALLOW="):
        restrict_imports()


def test_an_optimizer_that_is_not_allowed_is_not_imported(evil: str) -> None:
    with pytest.raises(UserError, match=rf"{evil}\.Net is not imported"):
        build_optimizer({"class_path": f"{evil}.Net", "init_args": {}}, [])
    with pytest.raises(UserError, match="is not a class"):
        build_optimizer({"class_path": "os.system", "init_args": {"command": "touch canary"}}, [])
    with pytest.raises(UserError, match="is not of type optimizer"):
        build_optimizer({"class_path": "subprocess.Popen", "init_args": {}}, [])
    assert not Path("canary").exists()


def test_an_allowed_class_that_does_not_exist_is_named() -> None:
    assert not allowed("src.modelsevil.Net")
    with pytest.raises(UserError, match=r"torch\.optim\.None"):
        import_class("torch.optim.Nonesuch")
