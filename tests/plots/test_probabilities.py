"""The picture of images beside their predicted probabilities."""

import pytest
import torch

from src.plots.probabilities import image_probabilities


@pytest.mark.parametrize("count", [1, 3, 24])
@pytest.mark.parametrize("channels", [1, 3])
def test_lengths_of_bars_equal_the_probabilities(count: int, channels: int) -> None:
    probabilities = torch.rand(count, 10, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    images = torch.rand(count, channels, 28, 28)
    figure = image_probabilities(images, probabilities, [str(k) for k in range(10)], ["x"] * count)
    axes = figure.axes[0]
    lengths = torch.tensor([bar.get_width() for bar in axes.patches]).view(count, 10).float()
    torch.testing.assert_close(
        lengths / lengths.sum(1, keepdim=True), probabilities, atol=1e-5, rtol=0
    )
    dark = torch.tensor([bar.get_facecolor()[0] < 0.1 for bar in axes.patches]).view(count, 10)
    assert torch.equal(dark.int().argmax(dim=1), probabilities.argmax(dim=1))
    assert len(axes.images) == count


def test_the_ten_most_probable_of_many_classes_are_drawn() -> None:
    probabilities = torch.zeros(1, 50)
    probabilities[0, 7:17] = 0.1
    names = [f"class {k}" for k in range(50)]
    figure = image_probabilities(torch.rand(1, 1, 8, 8), probabilities, names, ["$ x"])
    drawn = [text.get_text() for text in figure.axes[0].texts]
    assert drawn == ["$ x", *names[7:17]]
