"""Against torch's own gradients, in float64, which knows no approximation; and through autocast, as a training runs it."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fakeface.training.depthwise import FastDepthwise, images_gradient, weight_gradient
from fakeface.training.devices import Device

CHANNELS = 6
SLOW = [(3, 2), (5, 1), (5, 2), (7, 1), (7, 2)]
"""Side of the kernel and stride of what torch is slow at."""


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


@pytest.mark.parametrize(("kernel", "stride"), [*SLOW, (3, 1), (4, 2), (9, 3)])
@pytest.mark.parametrize("height", [11, 12])
def test_gradients_are_torchs(kernel: int, stride: int, height: int) -> None:
    images = noise(3, CHANNELS, height, 15).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = noise(CHANNELS, 1, kernel, kernel).requires_grad_()
    output = F.conv2d(images, weight, stride=stride, groups=CHANNELS)
    gradient = noise(*output.shape)
    expected = torch.autograd.grad(output, [images, weight], gradient)
    with torch.no_grad():
        torch.testing.assert_close(images_gradient(gradient, images, weight, stride), expected[0])
        torch.testing.assert_close(weight_gradient(gradient, images, weight, stride), expected[1])


def gradients(module: nn.Module, images: Tensor, device: Device) -> tuple[Tensor, ...]:
    with device.autocast():
        output = module(images)
    return (output, *torch.autograd.grad(output.float().square().sum(), [images, *module.parameters()]))


@pytest.mark.parametrize(("kernel", "stride"), SLOW)
@pytest.mark.parametrize("padding", [0, 2])
def test_a_training_in_bf16_gets_the_same_ones(kernel: int, stride: int, padding: int) -> None:
    """Up to what bf16 can tell apart, and in the precision of images and weights."""
    torch.manual_seed(0)
    module = nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, padding, groups=CHANNELS, bias=False)
    images = noise(3, CHANNELS, 12, 15, dtype=torch.float32).requires_grad_()
    exact = gradients(module, images, Device(torch.device("cpu"), bf16=False))
    fast = gradients(module, images, Device(torch.device("cpu"), bf16=True))
    assert [found.dtype for found in fast] == [torch.bfloat16, torch.float32, torch.float32]
    for found, expected in zip(fast, exact, strict=True):
        error = (found.float() - expected).abs().max() / expected.abs().max()
        assert error < 2e-2


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(CHANNELS, CHANNELS, 3, groups=CHANNELS, bias=False),
        nn.Conv2d(CHANNELS, CHANNELS, 5, groups=CHANNELS),
        nn.Conv2d(CHANNELS, CHANNELS, 5, groups=2, bias=False),
        nn.Conv2d(CHANNELS, 2 * CHANNELS, 5, groups=CHANNELS, bias=False),
        nn.Conv2d(CHANNELS, CHANNELS, 5, dilation=2, groups=CHANNELS, bias=False),
        nn.Conv2d(CHANNELS, CHANNELS, (5, 3), groups=CHANNELS, bias=False),
        nn.Conv2d(CHANNELS, CHANNELS, 5, stride=(2, 1), groups=CHANNELS, bias=False),
        nn.Conv2d(CHANNELS, CHANNELS, 5, padding="same", groups=CHANNELS, bias=False),
        nn.Conv2d(1, 1, 5, bias=False),
        nn.Conv2d(CHANNELS, 4, 5, stride=2),
    ],
    ids=str,
)
def test_every_other_convolution_stays_torchs(module: nn.Conv2d) -> None:
    with FastDepthwise():
        output: Any = module(noise(2, module.in_channels, 12, 12, dtype=torch.float32))
    assert output.dtype == torch.float32
    assert type(output.grad_fn).__name__ != "_DepthwiseBackward"
