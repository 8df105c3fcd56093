"""The drawing page: its predictions, occlusion maps, samples, messages and server."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

import scripts.draw.__main__ as draw
from scripts.draw.answers import UPLOAD, answer, as_url, from_url, opened
from scripts.draw.page import Page
from scripts.draw.samples import samples
from scripts.draw.server import POLICY, listening
from scripts.draw.views import view
from scripts.shared.trained import Trained
from src.data import MNIST, ImageFolder
from src.data.images import ImageData
from src.errors import UserError
from src.inference.occlusion import occlusion, patches
from src.models import LeNet, LogisticRegression, Model
from tests.conftest import PROJECT

LOGISTIC = str(PROJECT / "configs/mnist_logistic.yaml")


def opened_run(model: type[Model] = LogisticRegression, data: ImageData | None = None) -> Trained:
    """Return a run as `open_run` does, with initial weights."""
    torch.manual_seed(0)
    data = data or MNIST(pad=2)
    channels = data.input_shape[0]
    moments = {
        "mean": torch.full((channels, 1, 1), 33.0),
        "std": torch.full((channels, 1, 1), 78.0),
        "class_names": data.class_names,
    }
    data.load_state_dict(moments)
    net = model(input_shape=data.input_shape, num_outputs=data.num_outputs).eval()
    path = Path("lightning_logs/mnist_some/version_3/checkpoints/best.ckpt")
    return Trained(net, data, path, {})


def seven(size: int = 392) -> Image.Image:
    """Return a seven drawn in black on white, as the pad sends it."""
    image = Image.new("RGB", (size, size), "white")
    line = [(0.28 * size, 0.25 * size), (0.72 * size, 0.25 * size), (0.45 * size, 0.8 * size)]
    ImageDraw.Draw(image).line(line, fill="black", width=size // 14, joint="curve")
    return image


@pytest.mark.parametrize("model", [LogisticRegression, LeNet])
def test_an_answer_equals_the_output_of_the_model(model: type[Model]) -> None:
    run = opened_run(model)
    found = answer(run, from_url(as_url(seven())))
    assert found
    x = torch.nn.functional.pad(run.data.as_example(seven())[None].float(), [2] * 4)
    with torch.no_grad():
        expected = run.model((x - 33) / 78).softmax(dim=1)[0]
    assert torch.allclose(found.probabilities, expected, atol=1e-6)
    assert torch.equal(found.seen, run.data.as_example(seven()))
    assert found.fall.shape == (28, 28)
    assert found.fall[0, 0] == pytest.approx(0, abs=1e-6)  # only background is hidden there


def test_several_digits_are_told() -> None:
    both = Image.new("RGB", (784, 392), "white")
    both.paste(seven(), (0, 0))
    both.paste(seven(), (392, 0))
    shown, message, side = Page([opened_run()]).show(both)
    assert shown.startswith("data:image/png")
    assert message == "2 digits found; crop to one: the network reads a single one."
    assert side == view(opened_run(), None)


def test_occlusion_equals_a_plain_loop() -> None:
    x = torch.rand(3, 9, 12, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(3, 9, 12, generator=torch.Generator().manual_seed(1))

    def score(images: Tensor) -> Tensor:
        return (images * weights).mean(dim=(1, 2, 3)).tanh()

    edge = torch.cat([x[:, 0], x[:, 8], x[:, :, 0], x[:, :, 11]], dim=1)
    total, times = torch.zeros(9, 12), torch.zeros(9, 12)
    for i in range(9):  # in a small image, each pixel is the centre of a 5x5 patch
        for j in range(12):
            rows, columns = slice(max(i - 2, 0), i + 3), slice(max(j - 2, 0), j + 3)
            hidden = x.clone()
            hidden[:, rows, columns] = edge.median(dim=1).values.view(3, 1, 1)
            total[rows, columns] += score(x[None])[0] - score(hidden[None])[0]
            times[rows, columns] += 1
    assert torch.allclose(occlusion(score, x), total / times, atol=1e-6)
    assert (total / times).abs().mean() > 1e-3


@pytest.mark.parametrize("side", [1, 3, 28, 32, 33, 224])
def test_at_most_256_patches_cover_the_image(side: int) -> None:
    covers = patches(side, max(side // 2, 1))
    assert covers.any(dim=0).all()
    assert len(covers) <= 256


def test_occlusion_of_a_linear_model_shows_its_weights() -> None:
    weights = torch.zeros(28, 28)
    weights[5, 5], weights[22, 22], weights[5, 22] = 1, -1, 1
    x = torch.zeros(1, 28, 28)
    x[0, 5, 5] = x[0, 22, 22] = 1  # zero at (5, 22)
    found = occlusion(lambda images: (images[:, 0] * weights).sum(dim=(1, 2)), x)
    assert found[5, 5] == found.max() == pytest.approx(1)
    assert found[22, 22] == found.min() == pytest.approx(-1)
    assert found[5, 22] == found[14, 14] == 0


@pytest.mark.parametrize("image", [None, Image.new("L", (90, 90), "white")])
def test_an_empty_drawing_shows_a_hint_instead_of_bars(image: Image.Image | None) -> None:
    run = opened_run()
    assert answer(run, image) is None
    assert "<li" not in view(run, None)
    assert "Nothing drawn yet" in view(run, None)
    assert Page([run]).drawn("")[1] == view(run, None)


def test_a_view_shows_name_accuracy_and_percentages() -> None:
    run = opened_run()
    assert "test accuracy" not in view(run, None)  # it has not been tested yet
    run.results = {"metrics": {"test/acc": 0.9876}}
    found = answer(run, seven())
    text = view(run, found)
    assert "mnist_some" in text
    assert "version_3 · test accuracy 98.76 %" in text
    shares = [float(share) for share in re.findall(r"([\d.]+) %</span>", text)]
    assert found
    assert shares == pytest.approx((100 * found.probabilities).tolist(), abs=0.051)
    assert len(re.findall("<img [^>]*alt=", text)) == 2


def test_only_the_most_probable_of_many_classes_are_shown_and_names_are_escaped() -> None:
    run = opened_run()
    run.data.class_names = [f"<hr>{i}" for i in range(100)]
    run.model = LogisticRegression(input_shape=[1, 32, 32], num_outputs=100).eval()
    found = answer(run, seven())
    assert found
    text = view(run, found)
    assert text.count("<li") == 10
    assert "<hr>" not in text + view(run, None)
    first = int(found.probabilities.argmax())
    assert text.index("best") < text.index("other")
    assert f"{100 * found.probabilities[first]:.1f} %" in text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"nonsense", "cannot be read as an image"),
        (b"", "cannot be read as an image"),
        (b"0" * (UPLOAD + 1), "expected 20 MB at most"),
    ],
)
def test_an_unreadable_file_is_reported_and_changes_nothing_else(content: bytes, text: str) -> None:
    pad, message, *rest = Page([opened_run()]).uploaded(content)
    assert text in message
    assert "0x" not in message  # no memory address of an object
    assert all(update["__type__"] == "update" and len(update) == 1 for update in (pad, *rest))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK"])
def test_files_of_every_mode_are_shown_on_the_pad(mode: str) -> None:
    file = BytesIO()
    seven().convert(mode).save(file, "tiff")
    run = opened_run()
    pad, _, text = Page([run]).uploaded(file.getvalue())
    assert from_url(pad).size == (392, 392)
    assert text == view(run, answer(run, opened(file.getvalue())))
    assert "<li" in text


def test_a_decompression_bomb_is_refused() -> None:
    small = base64.b64decode(as_url(seven()).partition(",")[2])
    assert opened(small).size == (392, 392)
    size = small.index(b"IHDR") + 4
    with pytest.raises(UserError, match="cannot be read"):
        opened(small[:size] + (2**16).to_bytes(4) * 2 + small[size + 8 :])


def test_runs_on_different_data_are_refused(data_root: Path) -> None:
    folder = ImageFolder(path=str(data_root / "images"))
    grey = ImageFolder(path=str(data_root / "images"), channels=1)
    mnist, colour, light = opened_run(), opened_run(data=folder), opened_run(data=grey)
    draw.check_same_data(mnist, opened_run(LeNet))
    with pytest.raises(UserError, match="their classes"):
        draw.check_same_data(mnist, colour)
    with pytest.raises(UserError, match="their channels\nare 3 and 1") as refused:
        draw.check_same_data(colour, light)
    assert len(str(refused.value).splitlines()) <= 3


def test_samples_are_a_test_image_of_each_class(data_root: Path) -> None:
    mnist = MNIST(root=str(data_root), pad=2)
    found = samples(mnist)
    assert [name for name, _ in found] == [*"0123456789"]
    _, (x, _) = mnist.load()
    assert list(found[3][1].tobytes()) == [255 - value for value in x[3].flatten().tolist()]
    folder = ImageFolder(path=str(data_root / "images"), pad=2)
    assert [(name, image.size) for name, image in samples(folder)] == [
        ("cat", (32, 32)),
        ("dog", (32, 32)),
    ]


def test_samples_are_never_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MNIST, "prepare_data", lambda self: pytest.fail("it would download"))
    assert len(samples(MNIST())) == 10  # scikit-learn's digits
    assert samples(MNIST(name="KMNIST")) == []


@contextmanager
def served(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command in its own process, since Gradio leaves event loops open."""
    command = [sys.executable, "-m", "scripts.draw", *words, "--no-browser", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(Path.cwd())}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert found
            yield found[0], process
        finally:
            process.kill()


@pytest.mark.slow
def test_the_page_has_a_policy_names_no_other_host_and_stops_cleanly(run: Any) -> None:
    run("fit", "--config", LOGISTIC, "--trainer.max_epochs", "1", "--data.val_size", "100")
    before = {*Path().rglob("*")}
    with served("lightning_logs/mnist_logistic/version_0") as (address, process):
        for place in ("/", "/nothing/at/all", "/config"):
            with closing(HTTPConnection(address.removeprefix("http://"), timeout=10)) as connection:
                connection.request("GET", place)
                response = connection.getresponse()
                page, policy = response.read().decode(), response.headers["content-security-policy"]
            assert policy == POLICY
            assert not re.search(r"//|\*|http", policy)
            assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", page)
            assert "fonts.g" not in page
        assert json.loads(page)["analytics_enabled"] is False
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert {*Path().rglob("*")} == before


def test_the_server_listens_on_localhost_only() -> None:
    with listening(None) as first, listening(None) as second:
        places = [listener.getsockname() for listener in (first, second)]
        assert {host for host, _ in places} == {"127.0.0.1"}
        assert places[0][1] != places[1][1]
        with pytest.raises(UserError, match=f"--port {places[0][1]} cannot be used: Address"):
            listening(places[0][1])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "--port", "70000"], 2, "--port 70000: expected 0 to 65535"),
        (["run", "--prot", "1"], 2, "--prot"),
        (["lightning_logs/nothing"], 1, "lightning_logs/nothing"),
    ],
)
def test_invalid_commands_are_reported(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        draw.main(words)
    assert stopped.value.code == code
    assert message in capsys.readouterr().err


def test_a_missing_gradio_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(draw, "open_run", lambda *_: opened_run())
    monkeypatch.delitem(sys.modules, "scripts.draw.page")
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit, match="1"):
        draw.main(["some"])
    assert capsys.readouterr().err.startswith("error: draw needs gradio")
