"""The mean loss and score of an epoch equal those of numpy over all samples at once."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from src.models.means import Means

CPU = torch.device("cpu")
SIZES = [7, 7, 1, 3]
Batches = list[tuple[Tensor, Tensor, Tensor]]


def class_batches(dtype: torch.dtype = torch.float32) -> Batches:
    """Return losses, outputs and classes of batches of unequal sizes."""
    outputs = [torch.randn(n, 5).to(dtype) for n in SIZES]
    targets = [torch.randint(5, (n,)) for n in SIZES]
    return [(F.cross_entropy(o, y), o, y) for o, y in zip(outputs, targets, strict=True)]


def regression_batches(dtype: torch.dtype = torch.float32) -> Batches:
    """Return losses, outputs `(B, 3)` and real targets of batches of unequal sizes."""
    outputs = [torch.randn(n, 3).to(dtype) for n in SIZES]
    targets = [torch.randn(n, 3) for n in SIZES]
    return [(F.mse_loss(o.float(), y), o, y) for o, y in zip(outputs, targets, strict=True)]


def means(batches: Batches) -> tuple[float, float, float, str]:
    """Return mean loss, mean score, the number of samples and the name of the score."""
    sums = Means()
    for loss, output, y in batches:
        sums.add(loss, output, y)
    loss, score, n = sums.pop(CPU).tolist()
    return loss / n, score / n, n, sums.score_name


def concatenated(batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs and targets of all batches in float64."""
    outputs, targets = (torch.cat([b[i].double() for b in batches]).numpy() for i in (1, 2))
    return outputs, targets


def cross_entropy(outputs: np.ndarray, classes: np.ndarray) -> float:
    log_sum = np.log(np.exp(outputs).sum(axis=1))
    return (log_sum - outputs[range(len(outputs)), classes.astype(int)]).mean()


def test_means_over_unequal_batches_of_classes_equal_those_over_all_samples() -> None:
    loss, score, n, name = means(batches := class_batches())
    outputs, classes = concatenated(batches)
    assert (n, name) == (18, "acc")
    assert loss == pytest.approx(cross_entropy(outputs, classes), rel=1e-6)
    assert score == pytest.approx((outputs.argmax(axis=1) == classes).mean(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sums_of_an_epoch_are_exact_in_every_precision(dtype: torch.dtype) -> None:
    sums, output = Means(), torch.tensor([[0.0, 1.0]], dtype=dtype).expand(100, 2)
    torch.set_default_dtype(dtype)  # as Lightning does in a run of this precision
    try:
        for batch in range(550):  # 55,000 samples, 90 of each 100 right
            y = (torch.arange(100) >= 10).long()
            sums.add(torch.tensor(0.5 + batch % 2), output, y)
        assert sums.pop(CPU).tolist() == [55_000.0, 49_500.0, 55_000.0]
    finally:
        torch.set_default_dtype(torch.float32)


def test_means_over_unequal_batches_of_numbers_equal_those_over_all_samples() -> None:
    loss, score, n, name = means(batches := regression_batches())
    outputs, targets = concatenated(batches)
    expected = ((outputs - targets) ** 2).mean()
    assert (n, name) == (18, "mse")
    assert loss == pytest.approx(expected, rel=1e-6)
    assert score == pytest.approx(expected, rel=1e-6)


def test_the_score_does_not_depend_on_the_loss() -> None:
    plain, scaled = ([(k * b[0], *b[1:]) for b in regression_batches()] for k in (1, 10))
    assert means(scaled)[1] != means(scaled)[0]
    assert means(plain)[1] == pytest.approx(means(plain)[0], rel=1e-6)


def test_16_bit_outputs_are_summed_in_32_bits() -> None:
    batches = regression_batches(torch.bfloat16)
    outputs, targets = concatenated(batches)
    assert means(batches)[1] == pytest.approx(((outputs - targets) ** 2).mean(), rel=1e-6)


def test_accuracy_of_16_bit_outputs_is_exact() -> None:
    batches = class_batches(torch.bfloat16)
    outputs, classes = concatenated(batches)
    assert batches[0][0].dtype == torch.bfloat16
    loss, score, _, _ = means(batches)
    assert score == pytest.approx((outputs.argmax(axis=1) == classes).mean(), rel=1e-6)
    assert loss == pytest.approx(cross_entropy(outputs, classes), rel=0.01)


def test_the_sum_of_many_16_bit_losses_is_exact() -> None:
    batch = (torch.tensor(1.0, dtype=torch.bfloat16), torch.zeros(9, 2), torch.zeros(9).long())
    assert means([batch] * 1000)[:3] == (1.0, 1.0, 9000.0)


def test_sums_need_no_gradient() -> None:
    output = torch.randn(4, 3, requires_grad=True)
    sums, y = Means(), torch.randn(4, 3)
    sums.add(F.mse_loss(output, y), output, y)
    assert not sums.pop(CPU).requires_grad


def test_pop_resets_the_sums() -> None:
    first, second = class_batches(), class_batches()
    sums = Means()
    for batches in (first, second):
        for batch in batches:
            sums.add(*batch)
        loss, score, n = sums.pop(CPU).tolist()
        assert (loss / n, score / n, n) == means(batches)[:3]
    assert sums.pop(CPU).tolist() == [0, 0, 0]


def test_popped_values_do_not_change_later() -> None:
    sums, batch = Means(), class_batches()[0]
    sums.add(*batch)
    popped = sums.pop(CPU)
    before = popped.clone()
    sums.add(*batch)
    assert torch.equal(popped, before)


def test_two_objects_do_not_share_their_sums() -> None:
    one, other = Means(), Means()
    one.add(*class_batches()[0])
    assert other.pop(CPU).tolist() == [0, 0, 0]


def test_means_without_batches_are_zeros_on_the_device() -> None:
    assert Means().pop(CPU).tolist() == [0, 0, 0]
    assert Means().pop(torch.device("meta")).shape == (3,)
    assert Means().pop(torch.device("meta")).device.type == "meta"
