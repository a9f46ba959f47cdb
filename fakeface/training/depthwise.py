"""Depthwise convolutions of bf16 whose backward pass takes a tenth of the time on a CPU.

oneDNN, which torch computes with there, has fast kernels for depthwise convolutions, but in bf16 not for every gradient:
that of a strided convolution's input, and that of weights of more than 3 x 3, fall back to loops that take most of a
training step of EfficientNet-Lite or MobileNet. Both can be put together from convolutions that it is fast at.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

FAST_SIDE = 3


class FastDepthwise(TorchFunctionMode):
    """Within it, depthwise convolutions with slow gradients have fast ones; everything else is as it was."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function is F.conv2d and (found := _slow_depthwise(*args, **kwargs or {})):
            return _Depthwise.apply(*found)  # type: ignore[no-untyped-call]
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
    """Padded images, weights and stride of a depthwise convolution with slow gradients, in bf16; None where it is no such."""
    steps, borders, gaps = (tuple(of) if isinstance(of, tuple | list) else (of, of) for of in (stride, padding, dilation))
    height, width = weight.shape[2:]
    is_depthwise = groups == images.shape[1] == weight.shape[0] > 1
    is_plain = bias is None and height == width and steps[0] == steps[1] and gaps == (1, 1) and not isinstance(padding, str)
    is_slow = height > FAST_SIDE or (height == FAST_SIDE and steps[0] > 1)
    if not (is_depthwise and is_plain and is_slow):
        return None
    padded = F.pad(images, (borders[1], borders[1], borders[0], borders[0])) if any(borders) else images
    return padded.to(torch.bfloat16), weight.to(torch.bfloat16), steps[0]


class _Depthwise(torch.autograd.Function):
    """Images (N, C, H, W), weights (C, 1, k, k) and a stride -> the convolution without padding."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride = stride
        return F.conv2d(images, weight, stride=stride, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        known = (gradient, *ctx.saved_tensors, ctx.stride)
        return images_gradient(*known), weight_gradient(*known), None


def images_gradient(gradient: Tensor, images: Tensor, weight: Tensor, stride: int) -> Tensor:
    """That of a convolution by steps of one, whose output's gradient is zero where the stride has no output."""
    if stride > 1:
        side = weight.shape[2] - 1
        shape = (*images.shape[:2], images.shape[2] - side, images.shape[3] - side)
        spread = torch.empty(shape, dtype=gradient.dtype, memory_format=torch.channels_last).zero_()
        spread[:, :, ::stride, ::stride] = gradient
        gradient = spread
    return _gradients(gradient, images, weight, of_images=True)


def weight_gradient(gradient: Tensor, images: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Put together from small kernels: of the taps that see the same rows and columns of each stride, 3 x 3 at most."""
    height, width = gradient.shape[2:]
    found = torch.empty_like(weight)
    taps = _taps(weight.shape[2], stride)
    for rows in taps:
        for columns in taps:
            seen = images[:, :, rows.start :: stride, columns.start :: stride]
            seen = seen[:, :, : height + len(rows) - 1, : width + len(columns) - 1]
            part = (..., slice(rows.start, rows.stop, stride), slice(columns.start, columns.stop, stride))
            seen = seen.contiguous(memory_format=torch.channels_last)
            found[part] = _gradients(gradient, seen, weight[part], of_images=False)
    return found


def _taps(side: int, stride: int) -> list[range]:
    """0..side-1, by steps of `stride`, three at most together."""
    combs = [range(first, side, stride) for first in range(stride)]
    return [comb[first : first + FAST_SIDE] for comb in combs for first in range(0, len(comb), FAST_SIDE)]


def _gradients(gradient: Tensor, images: Tensor, weight: Tensor, *, of_images: bool) -> Tensor:
    """Of a convolution by steps of one without padding."""
    of = torch.ops.aten.convolution_backward(
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
        output_mask=[of_images, not of_images, False],
    )
    return of[0] if of_images else of[1]  # type: ignore[no-any-return]
