"""A forward pass of one process's part of a batch that computes what it would compute of the whole batch.

Batch normalisation takes its moments over all processes, as torch's SyncBatchNorm does, which is for GPUs alone and would
replace layers; and what is drawn at random per image is drawn for the whole batch, of which each process takes its part.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from fakeface.training.ranks import Ranks


def whole_batch(ranks: Ranks, images: int) -> AbstractContextManager[object]:
    """For a forward pass in training, of this process's part of a batch of so many images."""
    return nullcontext() if ranks.count == 1 else _WholeBatch(ranks, images)


class _WholeBatch(TorchFunctionMode):
    def __init__(self, ranks: Ranks, images: int) -> None:
        super().__init__()
        self.ranks, self.images, self.own = ranks, images, ranks.own(images)

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if function is F.batch_norm:
            return self._batch_norm(*args, **options)
        if function is F.dropout:
            return self._dropout(*args, **options)
        if function is torch.rand and self._is_per_image(size := args[0] if isinstance(args[0], Sequence) else args):
            return torch.rand([self.images, *size[1:]], **options)[self.own]
        if function is Tensor.bernoulli_ and self._is_per_image(args[0].shape):
            return args[0].copy_(self._whole(args[0]).bernoulli_(*args[1:], **options)[self.own])
        return function(*args, **options)

    def _is_per_image(self, size: Sequence[int]) -> bool:
        return len(size) > 1 and size[0] == self.own.stop - self.own.start

    def _whole(self, values: Tensor) -> Tensor:
        return values.new_empty((self.images, *values.shape[1:]))

    def _dropout(self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: FBT001, FBT002
        """As torch computes it on a CPU."""
        if not training or p == 0:
            return F.dropout(values, p, training, inplace)
        return values * self._whole(values).bernoulli_(1 - p).div_(1 - p)[self.own]

    def _batch_norm(
        self,
        values: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,  # noqa: FBT001, FBT002
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return F.batch_norm(values, running_mean, running_var, weight, bias, training, momentum, eps)
        mean, variance = self._moments(values.detach().float())
        count = self.images * values[0, 0].numel()
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * (count / (count - 1)), momentum)
        standardised: Tensor = _Standardise.apply(values.float(), mean, (variance + eps).rsqrt(), count, self.ranks)  # type: ignore[no-untyped-call]
        if weight is not None and bias is not None:
            standardised = torch.addcmul(_per_channel(bias, values), standardised, _per_channel(weight, values))
        return standardised.to(values.dtype)

    def _moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (C,) over all processes' values (n, C, ...)."""
        own = torch.stack(torch.var_mean(values, _not_channels(values), correction=0))
        variances, means = self.ranks.gathered(own).unbind(1)
        shares = values.new_tensor(self.ranks.shares(self.images)).unsqueeze(1)
        mean = (shares * means).sum(dim=0)
        return mean, (shares * (variances + (means - mean).square())).sum(dim=0)


class _Standardise(torch.autograd.Function):
    """Values (n, C, ...) less their mean, over their deviation; both depend on the values of all processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, mean: Tensor, scale: Tensor, count: int, ranks: Ranks) -> Tensor:
        scale = _per_channel(scale, values)
        standardised = (values - _per_channel(mean, values)).mul_(scale)
        ctx.save_for_backward(standardised, scale)
        ctx.count, ctx.ranks = count, ranks
        return standardised

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Ioffe and Szegedy, "Batch normalization", ICML 2015."""
        standardised, scale = ctx.saved_tensors
        others = _not_channels(gradient)
        sums = torch.stack([gradient.sum(others), (gradient * standardised).sum(others)])
        of_gradient, of_product = (_per_channel(total / ctx.count, gradient) for total in ctx.ranks.added(sums))
        return (gradient - of_gradient - standardised * of_product).mul_(scale), None, None, None, None


def _not_channels(values: Tensor) -> list[int]:
    return [0, *range(2, values.ndim)]


def _per_channel(numbers: Tensor, values: Tensor) -> Tensor:
    """(C,) as they are multiplied with values (n, C, ...)."""
    return numbers.view(1, -1, *[1] * (values.ndim - 2))
