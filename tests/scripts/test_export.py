"""Exported files equal the model and numpy, and are written completely or not at all."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

import scripts.export.files as export
import scripts.export.formats as export_formats
from scripts.export.__main__ import main
from scripts.export.check import SIZES, compared
from scripts.shared.trained import open_run
from src.errors import UserError
from src.imports import import_class
from src.inference.portable import Portable
from src.models import Model
from tests.conftest import PROJECT
from tests.runs.test_evil_checkpoints import FILES as EVIL

KINDS = {
    "logistic": ["mnist_logistic", "--model.bias=true"],
    "sigmoid": ["mnist_sigmoid_mlp", "--model.hidden=[32]"],
    "dropout": ["mnist_relu_mlp", "--model.dropout=0.5"],
    "lenet": ["mnist_lenet"],
    "mse": ["mnist_logistic", "--model.loss=mse"],
    "folder": ["folder_lenet", "--data.path=images"],
}
SLOW = ("sigmoid", "dropout", "mse")
ALL_KINDS = [pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in KINDS]
NAMES = ["export.json", "model.onnx", "model.pt2", "weights.safetensors"]
GetRun = Callable[[str], Path]


@pytest.fixture(scope="module")
def cache() -> dict[str, Path]:
    """The runs that have been trained and exported for these tests, by kind."""
    return {}


@pytest.fixture
def exported(run: Any, cache: dict[str, Path]) -> GetRun:
    """Return a function that returns the folder of an exported run of the given kind."""

    def get(kind: str) -> Path:
        if kind not in cache:
            config, *words = KINDS[kind]
            file = PROJECT / f"configs/{config}.yaml"
            short = ("--data.val_size=50", "--trainer.max_epochs=1")
            best = run("fit", "--config", file, *short, *words)["best_checkpoint"]
            folder = Path(best).resolve().parents[1]
            main([str(folder)])
            cache[kind] = folder
        return cache[kind]

    return get


@pytest.fixture
def fresh(exported: GetRun) -> Path:
    """A run of logistic regression without an export."""
    copy = Path(shutil.copytree(exported("logistic"), "logs/toy/version_0"))
    shutil.rmtree(copy / "export")
    return copy


def raw_images(folder: Path) -> Tensor:
    """Return a thousand uint8 noise images in the input shape of the exported files."""
    shape = json.loads((folder / "export/export.json").read_text())["input"]["shape"][1:]
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1000, *shape), dtype=torch.uint8, generator=generator)


def by_onnx(folder: Path) -> Callable[[Tensor], Tensor]:
    session = onnxruntime.InferenceSession(folder / "export/model.onnx")
    return lambda x: torch.from_numpy(session.run(["probabilities"], {"images": x.numpy()})[0])


def by_pt2(folder: Path) -> Callable[[Tensor], Tensor]:
    return torch.export.load(folder / "export/model.pt2").module()


def by_safetensors(folder: Path) -> Callable[[Tensor], Tensor]:
    """Return a function of a network that is built from the file alone."""
    path = folder / "export/weights.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), safetensors.torch.load_file(path)
    model = import_class(metadata["model"])(**json.loads(metadata["settings"])).eval()
    assert isinstance(model, Model)
    mean, std = tensors.pop("mean"), tensors.pop("std")
    model.load_state_dict(tensors)

    def run(x: Tensor) -> Tensor:
        padded = F.pad(x, [json.loads(metadata["pad"])] * 4)
        return model.probabilities(model((padded - mean) / std))

    return run


READERS = {"onnx": by_onnx, "pt2": by_pt2, "safetensors": by_safetensors}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ALL_KINDS)
@torch.no_grad()
def test_a_file_gives_the_predictions_of_the_model(
    kind: str, reader: str, exported: GetRun
) -> None:
    folder = exported(kind)
    images, found = raw_images(folder), READERS[reader](folder)
    trained = open_run(str(folder), "test")
    x, y = trained.data.padded(images), torch.zeros(len(images), dtype=torch.long)
    expected, _ = trained.model.predict_step(trained.data.on_after_batch_transfer((x, y), 0), 0)
    for size in SIZES:
        output = torch.cat([found(batch) for batch in images.split(size)])
        assert output.dtype == torch.float32
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)
        assert torch.equal(found(images[:size]), found(images[:size]))  # no dropout
    torch.testing.assert_close(expected.sum(dim=1), torch.ones(len(images)))


def test_onnx_equals_logistic_regression_in_numpy(exported: GetRun) -> None:
    folder = exported("logistic")
    [best] = folder.glob("checkpoints/best-*.ckpt")
    checkpoint = torch.load(best, weights_only=True)
    weight, bias = (checkpoint["state_dict"][f"net.1.{name}"].double().numpy()
                    for name in ("weight", "bias"))  # fmt: skip
    mean, std = (float(checkpoint["MNIST"][name]) for name in ("mean", "std"))
    images = raw_images(folder)
    scores = (images.numpy().reshape(1000, 784) - mean) / std @ weight.T + bias
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(by_onnx(folder)(images).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_each_file_contains_the_metadata(kind: str, exported: GetRun) -> None:
    folder = exported(kind)
    record = json.loads((folder / "export/export.json").read_text())
    model = onnx.load(folder / "export/model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [one.version for one in model.opset_import] == [record["onnx_opset"]]
    with safetensors.safe_open(folder / "export/weights.safetensors", "pt") as file:
        texts = [{one.key: one.value for one in model.metadata_props}, file.metadata()]
    with zipfile.ZipFile(folder / "export/model.pt2") as archive:
        [name] = [name for name in archive.namelist() if name.endswith("extra/metadata.json")]
        metadata = json.loads(archive.read(name))
    results = json.loads((folder / "results.json").read_text())
    assert metadata["metrics"] == results["metrics"]
    assert metadata["trained"]["git"] == results["git"]
    assert metadata["model"].endswith(f".{results['model']}")
    assert metadata["classes"] == (["cat", "dog"] if kind == "folder" else list("0123456789"))
    assert metadata["run"] == f"{folder.parent.name}/{folder.name}"
    side = 32 if kind == "folder" else 28
    assert metadata["input"]["shape"] == ["batch", 3 if kind == "folder" else 1, side, side]
    assert metadata.items() <= record.items()
    for text in texts:
        assert text.keys() == metadata.keys()
        for key, value in metadata.items():
            assert (text[key] if isinstance(value, str) else json.loads(text[key])) == value


def test_the_record_describes_the_files(exported: GetRun) -> None:
    folder = exported("lenet") / "export"
    record = json.loads((folder / "export.json").read_text())
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert record["checked_on"]["sizes"] == {"test": 130}
    assert record["checked_on"]["name"] == "MNIST"
    itself, *files = record["measured"].items()
    assert itself[1]["milliseconds"] > 0
    assert sorted(name for name, _ in files) == NAMES[1:]
    for name, measured in files:
        content = (folder / name).read_bytes()
        assert measured["bytes"] == len(content)
        assert measured["sha256"] == hashlib.sha256(content).hexdigest()
        assert measured["largest_difference"] < 1e-5
        assert measured["flips"] == 0


def test_no_file_contains_a_path_of_this_machine(exported: GetRun) -> None:
    folder = exported("lenet") / "export"
    contents = [(folder / name).read_bytes() for name in NAMES]
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        contents += [archive.read(name) for name in archive.namelist()]
    for place in (PROJECT, folder.parents[2]):
        assert not [content for content in contents[1:] if str(place).encode() in content]


def test_onnx_refuses_another_shape_or_type(exported: GetRun) -> None:
    run = by_onnx(exported("lenet"))
    with pytest.raises(Exception, match="Got invalid dimensions for input: images") as refused:
        run(torch.zeros(2, 1, 32, 32, dtype=torch.uint8))
    assert "Expected: 28" in str(refused.value)
    with pytest.raises(Exception, match=r"expected: \(tensor\(uint8\)\)"):
        run(torch.zeros(2, 1, 28, 28))


def assert_refused(words: list[str], capsys: pytest.CaptureFixture[str], message: str) -> None:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(words)
    error = capsys.readouterr().err
    assert stop.value.code == 1
    assert message in error
    assert len(error.strip().splitlines()) <= 3


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_an_export_is_not_overwritten_unless_asked(
    exported: GetRun, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(exported("logistic") / "export", fresh / "export"))
    before = state(folder)
    assert_refused([str(fresh)], capsys, "Give --overwrite")
    assert state(folder) == before
    for name in NAMES[1:]:
        (folder / name).unlink()
    assert_refused([str(fresh)], capsys, "export.json")
    main([str(fresh), "--overwrite"])
    assert sorted(state(folder)) == NAMES
    assert state(folder)["export.json"] != before["export.json"]
    assert state(folder)["weights.safetensors"][0]


def shifted(portable: Portable, by: float) -> Portable:
    """Return a network with the number `by` added to its mean."""
    return Portable(portable.net, portable.mean + by, portable.std, portable.pad,
                    portable.probabilities)  # fmt: skip


@pytest.mark.parametrize(("name", "by"), [*zip(NAMES[1:], (1.0, 1.0, float("nan")), strict=True)])
def test_a_file_that_differs_is_not_written(
    name: str, by: float, fresh: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write, read = export_formats.FORMATS[name]
    wrong = (lambda portable, facts: write(shifted(portable, by), facts), read)
    for other in set(NAMES[1:]) - {name}:  # to save time
        monkeypatch.delitem(export.FORMATS, other)
    monkeypatch.setitem(export.FORMATS, name, wrong)
    assert_refused([str(fresh), "--out", "served"], capsys, f"{name} differs from the model")
    assert not Path("served").exists()


@pytest.mark.parametrize("by", [2e-4, -2e-4, float("nan")])
def test_a_difference_is_found_without_a_flip(by: float) -> None:
    expected = torch.tensor([[0.9, 0.1]]).expand(1000, 2)
    images = torch.arange(1000)
    assert compared("file", lambda x: expected[: len(x)] + 2e-5, images, expected)[1] == 0
    with pytest.raises(UserError, match="0 of 1,000 predictions"):
        compared("file", lambda x: expected[: len(x)] + by * (x == 999)[:, None], images, expected)


@pytest.mark.parametrize("written", range(4))
def test_an_interrupted_export_leaves_complete_files_and_no_record(
    written: int, exported: GetRun, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(exported("logistic") / "export", fresh / "export"))
    files = dict.fromkeys(NAMES[1:], b"new")
    write, calls = export.write_whole, []

    def interrupted(path: Path, content: str | bytes) -> None:
        calls.append(path.name)
        if len(calls) > written:
            raise KeyboardInterrupt
        write(path, content)

    before = state(folder)
    monkeypatch.setattr(export, "write_whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export.publish(folder, files, {})
    assert sorted(state(folder)) == NAMES[1:]
    for name, (content, _) in state(folder).items():
        assert content in (b"new", before[name][0])


@pytest.mark.parametrize("make", EVIL, ids=lambda make: make.__name__)
def test_an_evil_checkpoint_runs_no_code(
    make: Any, fresh: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    [best] = fresh.glob("checkpoints/best-*.ckpt")
    make(torch.load(best, weights_only=True))
    Path("evil.ckpt").replace(best)
    assert_refused([str(fresh)], capsys, best.name)
    assert not Path("canary").exists()
    assert not (fresh / "export").exists()


def test_a_flipped_bit_is_detected(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [best] = fresh.glob("checkpoints/best-*.ckpt")
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 1
    best.write_bytes(content)
    assert_refused([str(fresh)], capsys, "is damaged: its checksum is wrong")


def test_other_folders_are_refused(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused([str(tmp_path)], capsys, "is not a run folder")
    best = run("fit", "--config", PROJECT / "configs/line.yaml", "--trainer.max_epochs=10")
    folder = Path(best["best_checkpoint"]).parents[1]
    assert_refused([str(folder)], capsys, "export needs a run on images")
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_replacement_for_mnist_is_reported(
    fresh: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", "nothing")
    with pytest.warns(UserWarning, match="NOT MNIST"):
        main([str(fresh)])
    assert "NOT MNIST" in capsys.readouterr().out
    record = json.loads((fresh / "export/export.json").read_text())
    assert record["checked_on"]["sizes"] == {"test": 257}
    assert "NOT MNIST" in record["checked_on"]["source"]


def test_the_output_fits_80_columns(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(fresh), "--out", "served"])
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert max(len(line) for line in lines if not line.startswith("test images")) <= 80
    for name in ("the model itself", *NAMES[1:]):
        assert any(f" {name} " in line for line in lines)
    assert "flips of 130" in printed.out
    assert lines[-1] == "folder: served"
    assert "torch.onnx" not in printed.out + printed.err
