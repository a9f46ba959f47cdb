"""Depthwise convolutions in bf16 whose backward pass takes a tenth of the time on a CPU.

oneDNN, torch's library for CPUs, has fast kernels for depthwise convolutions, but in bf16 not for every gradient: that with
respect to a strided convolution's input, and that with respect to weights larger than 3 x 3, fall back to loops that take
most of a training step of EfficientNet-Lite or MobileNet. Both can be composed of convolutions that have fast kernels.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

FAST_SIDE = 3


class FastDepthwise(TorchFunctionMode):
    """Within this context, depthwise convolutions whose gradients are slow get fast ones; nothing else changes."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function is F.conv2d and (slow := _slow_depthwise(*args, **kwargs or {})):
            return _Depthwise.apply(*slow)  # type: ignore[no-untyped-call]
        return function(*args, **kwargs or {})


def _slow_depthwise(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, int] | None:
    """Padded images and weights in bf16 and the stride, if it is a depthwise convolution with slow gradients, else None."""
    steps, borders, gaps = (
        tuple(value) if isinstance(value, tuple | list) else (value, value) for value in (stride, padding, dilation)
    )
    height, width = weight.shape[2:]
    is_depthwise = groups == images.shape[1] == weight.shape[0] > 1
    is_plain = bias is None and height == width and steps[0] == steps[1] and gaps == (1, 1) and not isinstance(padding, str)
    is_slow = height > FAST_SIDE or (height == FAST_SIDE and steps[0] > 1)
    if not (is_depthwise and is_plain and is_slow):
        return None
    padded = F.pad(images, (borders[1], borders[1], borders[0], borders[0])) if any(borders) else images
    return padded.to(torch.bfloat16), weight.to(torch.bfloat16), steps[0]


class _Depthwise(torch.autograd.Function):
    """The convolution without padding of images (N, C, H, W) by weights (C, 1, k, k)."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride = stride
        return F.conv2d(images, weight, stride=stride, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        arguments = (gradient, *ctx.saved_tensors, ctx.stride)
        return images_gradient(*arguments), weight_gradient(*arguments), None


def images_gradient(gradient: Tensor, images: Tensor, weight: Tensor, stride: int) -> Tensor:
    """As of a convolution of stride 1, with an output gradient of zero at the positions that the stride skips."""
    if stride > 1:
        side = weight.shape[2] - 1
        shape = (*images.shape[:2], images.shape[2] - side, images.shape[3] - side)
        dilated = torch.empty(shape, dtype=gradient.dtype, memory_format=torch.channels_last).zero_()
        dilated[:, :, ::stride, ::stride] = gradient
        gradient = dilated
    return _backward(gradient, images, weight, to_images=True)


def weight_gradient(gradient: Tensor, images: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Composed of kernels of 3 x 3 at most, each of weights that meet the same rows and columns of the strided images."""
    height, width = gradient.shape[2:]
    result = torch.empty_like(weight)
    taps = _taps(weight.shape[2], stride)
    for rows in taps:
        for columns in taps:
            window = images[:, :, rows.start :: stride, columns.start :: stride]
            window = window[:, :, : height + len(rows) - 1, : width + len(columns) - 1]
            part = (..., slice(rows.start, rows.stop, stride), slice(columns.start, columns.stop, stride))
            window = window.contiguous(memory_format=torch.channels_last)
            result[part] = _backward(gradient, window, weight[part], to_images=False)
    return result


def _taps(side: int, stride: int) -> list[range]:
    """The positions 0..side-1 of a kernel, those `stride` apart together, FAST_SIDE of them at most."""
    combs = [range(first, side, stride) for first in range(stride)]
    return [comb[first : first + FAST_SIDE] for comb in combs for first in range(0, len(comb), FAST_SIDE)]


def _backward(gradient: Tensor, images: Tensor, weight: Tensor, *, to_images: bool) -> Tensor:
    """The gradient of a convolution of stride 1 without padding, with respect to its images or its weights."""
    to_each = torch.ops.aten.convolution_backward(
        gradient,
        images,
        weight,
        bias_sizes=None,
        stride=[1, 1],
        padding=[0, 0],
        dilation=[1, 1],
        transposed=False,
        output_padding=[0, 0],
        groups=len(weight),
        output_mask=[to_images, not to_images, False],
    )
    return to_each[0] if to_images else to_each[1]  # type: ignore[no-any-return]
