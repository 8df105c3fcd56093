"""The drawing page in a real browser: strokes, bars, samples, files, and requested hosts."""

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from math import cos, sin
from pathlib import Path
from typing import Any

import pytest
import torch

from src.cli import main
from tests.conftest import PROJECT, REAL_DATA
from tests.scripts.test_draw import served, seven

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_data,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
Points = list[tuple[float, float]]
ONE: Points = [(0.5, 0.2), (0.5, 0.8)]
SEVEN: Points = [(0.28, 0.25), (0.72, 0.25), (0.45, 0.8)]
ZERO: Points = [(0.5 + 0.2 * cos(i / 4), 0.5 + 0.3 * sin(i / 4)) for i in range(27)]
playwright.expect.set_options(timeout=20_000)  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two runs accurate enough to recognise digits drawn with straight lines."""
    folder = tmp_path_factory.mktemp("runs")
    torch.set_num_threads(1)  # the same weights, whichever test ran before
    for name in ("mnist_lenet", "mnist_relu_mlp"):
        words = f"--trainer.max_epochs 3 --data.root {REAL_DATA}".split()
        words += ["--trainer.logger.save_dir", str(folder), "--report", "false"]
        main(["fit", "--config", str(PROJECT / f"configs/{name}.yaml"), *words])
    return [str(folder / name / "version_0") for name in ("mnist_lenet", "mnist_relu_mlp")]


class User:
    """A simulated user of the page, who draws, clicks and uploads."""

    def __init__(self, page: Any) -> None:
        self.page, self.mouse = page, page.mouse
        self.requested: list[str] = []  # the URL of every request
        page.on("request", lambda request: self.requested.append(request.url))

    def at(self, x: float, y: float) -> tuple[float, float]:
        box = self.page.locator("#pad canvas").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def draw(self, points: Points, lift: bool = True) -> None:
        self.mouse.move(*self.at(*points[0]))
        self.mouse.down()
        for point in points[1:]:
            self.mouse.move(*self.at(*point), steps=8)
        if lift:
            self.mouse.up()

    def expect_best(self, name: str) -> None:
        """Wait until this is the most probable class of each run."""
        found = self.page.locator(".bars .best .name")
        playwright.expect(found).to_have_text([name] * found.page.locator(".run").count())

    def shares(self) -> list[str]:
        return self.page.locator(".bars .share").all_inner_texts()

    def clear(self) -> None:
        self.page.get_by_role("button", name="Clear").click()
        playwright.expect(self.page.locator(".bars")).to_have_count(0)


@pytest.fixture
def user(runs: list[str], request: pytest.FixtureRequest) -> Iterator[User]:
    """A user of a page with one run, or `param` runs; fails if another host was requested."""
    os.environ["DATA_DIR"] = REAL_DATA
    count = getattr(request, "param", 1)
    with served(*runs[:count]) as (address, _), playwright.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        user = User(browser.new_page(viewport={"width": 1280, "height": 800}))
        user.page.goto(address)
        user.page.wait_for_selector("#pad canvas")
        yield user
        browser.close()
    assert len(user.requested) > 10
    own = (address, "data:", "blob:")
    assert [url for url in user.requested if not url.startswith(own)] == []


def drawn_bytes(page: Any) -> int:
    """Return how many bytes of the pad are not white."""
    script = """() => { const pad = document.querySelector("#pad canvas");
        const all = pad.getContext("2d").getImageData(0, 0, pad.width, pad.height).data;
        return all.filter((value) => value < 255).length; }"""
    return page.evaluate(script)


@pytest.mark.parametrize("user", [1, 2], indirect=True)
def test_drawn_digits_are_recognised(user: User) -> None:
    playwright.expect(user.page.locator(".hint").first).to_be_visible()
    for points, digit in ((ONE, "1"), (ZERO, "0"), (SEVEN, "7")):
        user.draw(points)
        user.expect_best(digit)
        user.clear()
        assert drawn_bytes(user.page) == 0
    width, height = user.page.evaluate("""() => [document.documentElement.scrollWidth,
        document.documentElement.scrollHeight]""")
    assert (width, height) == (1280, 800)  # no scrolling


def test_bars_follow_the_pen_before_it_is_lifted(user: User) -> None:
    seen = []
    for begin, end in pairwise([*SEVEN, (0.6, 0.6), (0.3, 0.6)]):
        user.draw([begin, end], lift=False)
        user.page.wait_for_selector(".bars .best")
        user.page.wait_for_timeout(300)
        seen.append(user.shares())
    assert len({tuple(shares) for shares in seen}) >= 3  # some may stay equal


@pytest.mark.parametrize("user", [2], indirect=True)
def test_samples_and_files_are_recognised_and_can_be_cleared(user: User, tmp_path: Path) -> None:
    user.page.locator("#samples button").nth(4).click()
    user.expect_best("4")
    assert drawn_bytes(user.page) > 1000
    seven(900).rotate(5, fillcolor="white").save(tmp_path / "seven.jpg")
    user.page.set_input_files("input[type=file]", tmp_path / "seven.jpg")
    user.expect_best("7")
    assert drawn_bytes(user.page) > 1000
    (tmp_path / "broken.png").write_bytes(b"nonsense")
    user.page.set_input_files("input[type=file]", tmp_path / "broken.png")
    message = user.page.locator("#message")
    playwright.expect(message).to_contain_text("cannot be read as an image")
    user.expect_best("7")  # the seven is still on the pad
    user.clear()
    playwright.expect(message).to_be_hidden()


def test_the_browser_blocks_requests_to_another_host(user: User) -> None:
    logged: list[str] = []
    user.page.on("console", lambda line: logged.append(line.text))
    user.page.evaluate("() => { new Image().src = 'https://example.org/x.png' }")
    user.page.wait_for_timeout(300)
    assert any("Content Security Policy" in line for line in logged)
    user.requested.remove("https://example.org/x.png")  # blocked requests are listed, too


def test_a_phone_needs_no_horizontal_scrolling(user: User) -> None:
    user.page.set_viewport_size({"width": 390, "height": 800})
    user.draw(SEVEN)
    user.expect_best("7")
    assert user.page.evaluate("document.documentElement.scrollWidth") == 390
