import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import Tensor

from fakeface.training.statistics import FILTERS, GREY_LEVEL, LEVELS, STATISTICS, RegionStatistics

PX = 24


def colours() -> Tensor:
    """Noise of some grey levels."""
    return torch.randn(2, 3, PX, PX, generator=torch.Generator().manual_seed(0)) * 4 * GREY_LEVEL


def halves() -> Tensor:
    """Masks (2, 2, PX, PX) of the left and the right half."""
    masks = torch.zeros(2, 2, PX, PX)
    masks[:, 0, :, : PX // 2] = 1
    masks[:, 1, :, PX // 2 :] = 1
    return masks


@pytest.mark.parametrize("filter_index", range(len(FILTERS)))
def test_brightness_residuals_are_those_of_the_filters(filter_index: int) -> None:
    """The first plane's, against SciPy's correlation."""
    statistics = RegionStatistics()(colours(), halves()).view(2, STATISTICS, 3, len(FILTERS), 2)
    taps = np.array(FILTERS[filter_index], dtype=np.float64)
    for image in range(2):
        grey = np.tensordot([0.2989, 0.587, 0.114], colours()[image].double().numpy(), axes=1) / GREY_LEVEL
        residuals = np.abs(correlate2d(grey, taps / np.abs(taps).max(), mode="same"))
        for half, columns in enumerate((slice(None, PX // 2), slice(PX // 2, None))):
            values = residuals[:, columns]
            count = values.size / (values.size + 1)
            expected = [np.log(values.mean() * count + 0.05), np.log((values**2).mean() * count + 0.05)]
            expected += [(1 / (1 + np.exp(-(values - level) * 4 / level))).mean() * count for level in LEVELS]
            np.testing.assert_allclose(statistics[image, :, 0, filter_index, half], expected, rtol=0, atol=1e-4)


def test_a_constant_image_leaves_nothing_inside() -> None:
    inner = torch.zeros(2, 1, PX, PX)
    inner[:, :, 4:-4, 4:-4] = 1
    statistics = RegionStatistics()(torch.full((2, 3, PX, PX), 0.7), inner)
    first = statistics.view(2, STATISTICS, -1)[:, :2]
    torch.testing.assert_close(first, torch.full_like(first, np.log(0.05)), rtol=0, atol=1e-3)


def test_statistics_can_be_differentiated() -> None:
    image = colours().requires_grad_()
    RegionStatistics()(image, halves()).sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert (image.grad != 0).any()
