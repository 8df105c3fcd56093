"""The drawing page in a real browser: strokes, bars, samples, files, and whom it asks."""

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
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]
Points = list[tuple[float, float]]
ONE: Points = [(0.5, 0.2), (0.5, 0.8)]
SEVEN: Points = [(0.28, 0.25), (0.72, 0.25), (0.45, 0.8)]
ZERO: Points = [(0.5 + 0.2 * cos(i / 4), 0.5 + 0.3 * sin(i / 4)) for i in range(27)]
playwright.expect.set_options(timeout=20_000)  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two runs that know digits well enough for a hand that draws straight lines."""
    folder = tmp_path_factory.mktemp("runs")
    torch.set_num_threads(1)  # the same weights, whichever test came before
    for name in ("mnist_lenet", "mnist_relu_mlp"):
        words = f"--trainer.max_epochs 3 --data.root {REAL_DATA}".split()
        words += ["--trainer.logger.save_dir", str(folder), "--report", "false"]
        main(["fit", "--config", str(PROJECT / f"configs/{name}.yaml"), *words])
    return [str(folder / name / "version_0") for name in ("mnist_lenet", "mnist_relu_mlp")]


class Hand:
    """Somebody at the page."""

    def __init__(self, page: Any) -> None:
        self.page, self.mouse = page, page.mouse
        self.asked: list[str] = []  # addresses, of every request
        page.on("request", lambda request: self.asked.append(request.url))

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

    def best(self, is_now: str) -> None:
        """Wait until each run thinks so."""
        found = self.page.locator(".bars .best .name")
        playwright.expect(found).to_have_text([is_now] * found.page.locator(".run").count())

    def shares(self) -> list[str]:
        return self.page.locator(".bars .share").all_inner_texts()

    def clear(self) -> None:
        self.page.get_by_role("button", name="Clear").click()
        playwright.expect(self.page.locator(".bars")).to_have_count(0)


@pytest.fixture
def hand(runs: list[str], request: pytest.FixtureRequest) -> Iterator[Hand]:
    """A page of one run, or of two where a test asks; it fails if another host was asked."""
    os.environ["DATA_DIR"] = REAL_DATA
    count = getattr(request, "param", 1)
    with served(*runs[:count]) as (address, _), playwright.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        somebody = Hand(browser.new_page(viewport={"width": 1280, "height": 800}))
        somebody.page.goto(address)
        somebody.page.wait_for_selector("#pad canvas")
        yield somebody
        browser.close()
    assert len(somebody.asked) > 10
    own = (address, "data:", "blob:")
    assert [url for url in somebody.asked if not url.startswith(own)] == []


def ink(page: Any) -> int:
    """Return how many bytes of the pad are not white."""
    script = """() => { const pad = document.querySelector("#pad canvas");
        const all = pad.getContext("2d").getImageData(0, 0, pad.width, pad.height).data;
        return all.filter((value) => value < 255).length; }"""
    return page.evaluate(script)


@pytest.mark.parametrize("hand", [1, 2], indirect=True)
def test_digits_are_told_as_they_are_drawn(hand: Hand) -> None:
    playwright.expect(hand.page.locator(".hint").first).to_be_visible()
    for points, digit in ((ONE, "1"), (ZERO, "0"), (SEVEN, "7")):
        hand.draw(points)
        hand.best(is_now=digit)
        hand.clear()
        assert ink(hand.page) == 0
    width, height = hand.page.evaluate("""() => [document.documentElement.scrollWidth,
        document.documentElement.scrollHeight]""")
    assert (width, height) == (1280, 800)  # nothing to scroll


def test_bars_follow_the_pen_before_it_is_lifted(hand: Hand) -> None:
    seen = []
    for begin, end in pairwise([*SEVEN, (0.6, 0.6), (0.3, 0.6)]):
        hand.draw([begin, end], lift=False)
        hand.page.wait_for_selector(".bars .best")
        hand.page.wait_for_timeout(300)
        seen.append(hand.shares())
    assert len({tuple(shares) for shares in seen}) >= 3  # a sure network may stay as sure


@pytest.mark.parametrize("hand", [2], indirect=True)
def test_samples_files_and_clear(hand: Hand, tmp_path: Path) -> None:
    hand.page.locator("#samples button").nth(4).click()
    hand.best(is_now="4")
    assert ink(hand.page) > 1000
    seven(900).rotate(5, fillcolor="white").save(tmp_path / "seven.jpg")
    hand.page.set_input_files("input[type=file]", tmp_path / "seven.jpg")
    hand.best(is_now="7")
    assert ink(hand.page) > 1000
    (tmp_path / "broken.png").write_bytes(b"nonsense")
    hand.page.set_input_files("input[type=file]", tmp_path / "broken.png")
    message = hand.page.locator("#message")
    playwright.expect(message).to_contain_text("cannot be read as an image")
    hand.best(is_now="7")  # which is still on the pad
    hand.clear()
    playwright.expect(message).to_be_hidden()


def test_the_browser_would_not_ask_another_host(hand: Hand) -> None:
    told: list[str] = []
    hand.page.on("console", lambda line: told.append(line.text))
    hand.page.evaluate("() => { new Image().src = 'https://example.org/x.png' }")
    hand.page.wait_for_timeout(300)
    assert any("Content Security Policy" in line for line in told)
    hand.asked.remove("https://example.org/x.png")  # listed where it was stopped, too


def test_a_phone_shows_it_without_scrolling_sideways(hand: Hand) -> None:
    hand.page.set_viewport_size({"width": 390, "height": 800})
    hand.draw(SEVEN)
    hand.best(is_now="7")
    assert hand.page.evaluate("document.documentElement.scrollWidth") == 390
