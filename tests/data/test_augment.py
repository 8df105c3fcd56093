"""Augmentation: what each change does to an image, in pixels and degrees."""

from math import exp, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from src.data.augment import Augment, _displacement

STRENGTHS = {
    "shift": 3.0,
    "rotation": 30.0,
    "scale": 0.3,
    "shear": 20.0,
    "elastic": 2.0,
    "flip": 0.5,
    "crop": 4,
    "erase": 0.5,
}
WARPS = ["shift", "rotation", "scale", "shear", "elastic"]
each = pytest.mark.parametrize("name", STRENGTHS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int) -> Tensor:
    """Return images of values in [0, 255], the range before normalisation."""
    return torch.empty(shape).uniform_(0, 255, generator=generator(99))


def blob(batch: int, height: int, width: int, down: float = 0, right: float = 0) -> Tensor:
    """Return images of a smooth spot, `down` and `right` pixels from the middle."""
    y = torch.arange(height) - (height - 1) / 2 - down
    x = torch.arange(width) - (width - 1) / 2 - right
    spot = torch.exp(-0.5 * (y[:, None] ** 2 + x**2) / 1.5**2)
    return spot.expand(batch, 1, -1, -1).contiguous()


def centre(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre of mass of each image, in pixels below and right of the middle."""
    pixels = x[:, 0].double().numpy()
    height, width = pixels.shape[1:]
    mass = pixels.sum((1, 2))
    down = pixels.sum(2) @ (np.arange(height) - (height - 1) / 2) / mass
    right = pixels.sum(1) @ (np.arange(width) - (width - 1) / 2) / mass
    return down, right


@pytest.fixture
def extreme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every uniform draw return 1, so that each change has its full strength."""
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.ones(size))


def test_the_default_does_nothing() -> None:
    x = noise(4, 1, 28, 28)
    assert not Augment().active
    assert Augment()(x, generator()) is x


@each
def test_each_change_is_active_by_itself(name: str) -> None:
    x = noise(8, 3, 20, 24)
    augment = Augment(**{name: STRENGTHS[name]})
    assert augment.active
    assert not torch.equal(augment(x, generator()), x)


@pytest.mark.parametrize("name", WARPS)
def test_a_tiny_warp_leaves_the_image_in_place(name: str) -> None:
    x = noise(4, 1, 20, 24)
    torch.testing.assert_close(Augment(**{name: 1e-6})(x, generator()), x, rtol=0, atol=0.05)


@each
def test_the_input_is_not_changed(name: str) -> None:
    x = noise(8, 1, 28, 28)
    before = x.clone()
    Augment(**{name: STRENGTHS[name]})(x, generator())
    assert torch.equal(x, before)


@each
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_dtype_and_range_are_kept(name: str, channels: int) -> None:
    x = noise(8, channels, 20, 28)
    result = Augment(**{name: STRENGTHS[name]})(x, generator())
    assert result.shape == x.shape
    assert result.dtype == torch.float32
    assert result.min() >= 0
    assert result.max() <= x.max() + 1e-3


@each
def test_each_image_gets_its_own_random_change(name: str) -> None:
    x = noise(1, 1, 28, 28).expand(16, -1, -1, -1)
    results = Augment(**{name: STRENGTHS[name]})(x, generator())
    assert len({image.numpy().tobytes() for image in results}) >= (2 if name == "flip" else 5)


@each
def test_all_channels_of_an_image_change_in_the_same_way(name: str) -> None:
    x = noise(8, 1, 28, 28).expand(-1, 3, -1, -1)
    result = Augment(**{name: STRENGTHS[name]})(x, generator())
    assert torch.equal(result[:, 0], result[:, 1])
    assert torch.equal(result[:, 0], result[:, 2])


@each
def test_the_result_depends_only_on_the_generator(name: str) -> None:
    x = noise(16, 1, 28, 28)
    augment = Augment(**{name: STRENGTHS[name]})
    torch.manual_seed(1)
    first = augment(x, generator(7))
    torch.manual_seed(2)
    assert torch.equal(augment(x, generator(7)), first)
    assert not torch.equal(augment(x, generator(8)), first)


@each
def test_the_global_generator_is_not_used(name: str) -> None:
    before = torch.get_rng_state()
    Augment(**{name: STRENGTHS[name]})(noise(2, 1, 28, 28), generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_shift_is_uniform_in_pixels_in_both_directions() -> None:
    down, right = centre(Augment(shift=3)(blob(2000, 24, 40), generator()))
    for moved in (down, right):
        assert np.abs(moved).max() == pytest.approx(3, abs=0.02)
        assert moved.mean() == pytest.approx(0, abs=4 * 3 / sqrt(3 * 2000))
        assert moved.std() == pytest.approx(3 / sqrt(3), rel=0.05)
    assert abs(np.corrcoef(down, right)[0, 1]) < 4 / sqrt(2000)


@pytest.mark.usefixtures("extreme")
def test_a_full_shift_moves_by_whole_pixels_and_brings_in_black() -> None:
    x = noise(2, 3, 12, 20)
    expected = torch.zeros_like(x)
    expected[:, :, :-3, :-3] = x[:, :, 3:, 3:]
    torch.testing.assert_close(Augment(shift=3)(x, generator()), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("other", [{"scale": 0.3}, {"rotation": 45.0}, {"shear": 20.0}])
@pytest.mark.parametrize(("height", "width"), [(40, 40), (30, 50)])
def test_a_shift_is_not_enlarged_by_other_changes(
    other: dict[str, float], height: int, width: int
) -> None:
    augment = Augment(shift=3, **other)
    for moved in centre(augment(blob(2000, height, width), generator())):
        assert np.abs(moved).max() == pytest.approx(3, abs=0.02)
        assert moved.std() == pytest.approx(3 / sqrt(3), rel=0.05)


def test_a_shift_alone_is_exactly_that_of_the_matrix() -> None:
    u = 2 * torch.rand(6, 5, generator=generator()) - 1
    matrices = Augment(shift=3)._matrices(torch.zeros(5, 1, 12, 20), generator())
    expected = torch.stack([u[4] * 3.0 * 2 / 20, u[5] * 3.0 * 2 / 12], dim=1)
    assert torch.equal(matrices[:, :, 2], expected)
    assert torch.equal(matrices[:, :, :2], torch.eye(2).expand(5, 2, 2))


@pytest.mark.usefixtures("extreme")
@pytest.mark.parametrize(("angle", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_a_full_rotation_by_90_degrees_is_a_quarter_turn(angle: int, turns: int) -> None:
    x = noise(2, 3, 16, 16)
    expected = torch.rot90(x, turns, (2, 3))
    torch.testing.assert_close(Augment(rotation=angle)(x, generator()), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (30, 50), (50, 30)])
def test_rotation_is_uniform_in_degrees_and_keeps_distances(height: int, width: int) -> None:
    down, right = centre(Augment(rotation=25)(blob(2000, height, width, right=9), generator()))
    angle = np.degrees(np.arctan2(down, right))
    assert np.abs(angle).max() <= 25.1
    assert np.abs(angle).max() == pytest.approx(25, abs=0.2)
    assert angle.std() == pytest.approx(25 / sqrt(3), rel=0.05)
    np.testing.assert_allclose(np.hypot(down, right), 9, atol=0.05)


def test_scale_is_drawn_for_each_axis_within_its_limit() -> None:
    down, right = centre(Augment(scale=0.2)(blob(2000, 40, 60, down=8, right=8), generator()))
    for factor in (down / 8, right / 8):
        assert factor.min() == pytest.approx(1 / 1.2, abs=0.01)
        assert factor.max() == pytest.approx(1 / 0.8, abs=0.01)
    assert abs(np.corrcoef(down, right)[0, 1]) < 4 / sqrt(2000)


@pytest.mark.usefixtures("extreme")
def test_a_full_scale_of_2_is_the_mean_of_four_pixels() -> None:
    x = noise(2, 1, 8, 12)
    expected = torch.zeros_like(x)
    expected[:, :, 2:6, 3:9] = x.unflatten(2, (4, 2)).unflatten(4, (6, 2)).mean(dim=(3, 5))
    torch.testing.assert_close(Augment(scale=1)(x, generator()), expected, rtol=0, atol=0.01)


@pytest.mark.usefixtures("extreme")
def test_a_full_shear_of_45_degrees_moves_each_row_by_its_height() -> None:
    x = noise(2, 1, 9, 15)
    expected = torch.zeros_like(x)
    for row in range(9):
        for column in range(15):
            source = column + row - 4
            if 0 <= source < 15:
                expected[:, :, row, column] = x[:, :, row, source]
    torch.testing.assert_close(Augment(shear=45)(x, generator()), expected, rtol=0, atol=0.01)


def test_shear_stays_within_its_limit() -> None:
    down, right = centre(Augment(shear=20)(blob(2000, 40, 60, down=9), generator()))
    angle = np.degrees(np.arctan2(right, down))
    assert np.abs(angle).max() == pytest.approx(20, abs=0.2)
    np.testing.assert_allclose(down, 9, atol=0.05)


@pytest.mark.parametrize("strength", [0.5, 3.0])
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_elastic_has_the_requested_deviation_in_pixels(strength: float, sigma: float) -> None:
    height, width = 20, 40
    field = _displacement(torch.zeros(300, 1, height, width), strength, sigma, generator())
    pixels = field.numpy() * [width / 2, height / 2]
    assert pixels.shape == (300, height, width, 2)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), strength, rtol=0.04)
    np.testing.assert_allclose(pixels.std(0), strength, rtol=0.25)  # at the edge as inside
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), 0, atol=0.1 * strength)


def test_elastic_has_the_requested_smoothness() -> None:
    field = 16 * _displacement(torch.zeros(300, 1, 32, 32), 1.0, 4.0, generator())  # in pixels
    for distance in (1, 4, 8):
        expected = exp(-(distance**2) / (4 * 4.0**2))  # white noise under a Gaussian of sigma 4
        down = (field[:, distance:] * field[:, :-distance]).mean()
        right = (field[:, :, distance:] * field[:, :, :-distance]).mean()
        assert down == pytest.approx(expected, abs=0.05)
        assert right == pytest.approx(expected, abs=0.05)


def test_elastic_moves_down_and_right_independently() -> None:
    field = _displacement(torch.zeros(300, 1, 32, 32), 1.0, 2.0, generator())
    assert abs((field[..., 0] * field[..., 1]).mean() / field.var()) < 0.05


def test_elastic_moves_an_image_by_its_deviation() -> None:
    down, right = centre(Augment(elastic=1.5, elastic_sigma=10)(blob(400, 30, 30), generator()))
    assert down.std() == pytest.approx(1.5, rel=0.15)
    assert right.std() == pytest.approx(1.5, rel=0.15)


def test_elastic_sigma_may_be_zero() -> None:
    assert Augment(elastic=1, elastic_sigma=0)(noise(2, 1, 28, 28), generator()).isfinite().all()


def test_flip_1_mirrors_every_image_left_to_right() -> None:
    x = noise(8, 3, 12, 20)
    assert torch.equal(Augment(flip=1)(x, generator()), x.flip(-1))


def test_flip_happens_with_its_probability() -> None:
    x = noise(1, 1, 4, 4).expand(4000, -1, -1, -1)
    mirrored = (Augment(flip=0.3)(x, generator()) == x.flip(-1)).all(dim=(1, 2, 3))
    assert mirrored.float().mean() == pytest.approx(0.3, abs=4 * sqrt(0.3 * 0.7 / 4000))


def test_all_possible_crops_and_no_others_occur() -> None:
    image = noise(2, 6, 9)
    padded = np.pad(image.numpy(), ((0, 0), (1, 1), (1, 1)))
    possible = {padded[:, i : i + 6, j : j + 9].tobytes() for i in range(3) for j in range(3)}
    crops = Augment(crop=1)(image.expand(300, -1, -1, -1), generator())
    assert {crop.contiguous().numpy().tobytes() for crop in crops} == possible
    assert len(possible) == 9


@pytest.mark.parametrize(("height", "width"), [(28, 28), (32, 60)])
def test_erase_blackens_a_rectangle_of_a_tenth_to_a_third(height: int, width: int) -> None:
    black = Augment(erase=1)(torch.ones(1000, 3, height, width), generator()) == 0
    assert (black == black[:, :1]).all()
    rows, columns = black[:, 0].any(dim=2), black[:, 0].any(dim=1)
    assert torch.equal(black[:, 0], rows[:, :, None] & columns[:, None, :])
    for inside, side in ((rows, height), (columns, width)):
        length = inside.sum(dim=1)
        assert side // 10 <= length.min() <= side // 10 + 1
        assert -(-side // 3) - 1 <= length.max() <= -(-side // 3)
        starts = inside.int().diff(dim=1, prepend=torch.zeros(1000, 1, dtype=torch.int)) == 1
        assert (starts.sum(dim=1) == 1).all()
        assert inside.any(dim=0).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (4, 4), (5, 9), (7, 28), (10, 12)])
def test_erase_1_reaches_every_image_of_any_size(height: int, width: int) -> None:
    black = Augment(erase=1)(torch.ones(20_000, 1, height, width), generator()) == 0
    assert black.any(dim=(2, 3)).all()
    for place, side in ((3, height), (2, width)):
        assert black.any(dim=place).sum(dim=2).max() <= -(-side // 3)


@pytest.mark.parametrize("place", [0.0, 0.4999999, 0.5, 0.5000001, 0.7, 0.9999999])
def test_erase_meets_a_pixel_wherever_it_starts(
    place: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (0.0, 1e-7, 0.999):
        draws = torch.tensor([size, place, size, place, 0.0])[:, None, None]
        monkeypatch.setattr(torch, "rand", lambda *_, u=draws, **__: u)
        for side in range(1, 13):
            assert (Augment(erase=1)(torch.ones(1, 1, side, side), generator()) == 0).any()


def test_erase_happens_with_its_probability() -> None:
    black = Augment(erase=0.3)(torch.ones(4000, 1, 28, 28), generator()) == 0
    for place in (2, 3):
        assert black.any(dim=(1, place)).sum(dim=1).max() >= 9
    erased = black.any(dim=(1, 2, 3))
    assert erased.float().mean() == pytest.approx(0.3, abs=4 * sqrt(0.3 * 0.7 / 4000))


def test_all_changes_work_together() -> None:
    x = noise(8, 3, 20, 28)
    result = Augment(**STRENGTHS)(x, generator())
    assert result.shape == x.shape
    assert result.min() >= 0
    assert result.max() <= x.max() + 1e-3
