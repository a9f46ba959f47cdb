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
        moments = (mean, variance, eps, count, self.ranks)
        return _Standardise.apply(values.float(), weight, bias, *moments).to(values.dtype)  # type: ignore[no-any-return, no-untyped-call]

    def _moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (C,) over all processes' values (n, C, ...)."""
        own = torch.stack(torch.batch_norm_update_stats(values, None, None, 0.0))
        means, variances = self.ranks.gathered(own).unbind(1)
        shares = values.new_tensor(self.ranks.shares(self.images)).unsqueeze(1)
        mean = (shares * means).sum(dim=0)
        return mean, (shares * (variances + (means - mean).square())).sum(dim=0)


class _Standardise(torch.autograd.Function):
    """Values (n, C, ...) less their mean, over their deviation, with weight and bias; both depend on all processes' values.

    It is composed of the passes of torch's own batch normalisation by given moments, which are many times as fast as
    arithmetic on whole tensors.
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        count: int,
        ranks: Ranks,
    ) -> Tensor:
        ctx.save_for_backward(values, weight, mean, variance)
        ctx.eps, ctx.count, ctx.ranks = eps, count, ranks
        return F.batch_norm(values, mean, variance, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Ioffe and Szegedy, "Batch normalization", ICML 2015."""
        values, weight, mean, variance = ctx.saved_tensors
        given = (gradient, values, weight, mean, variance, None, None, False, ctx.eps)
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(*given, [False, True, True])
        product_mean, gradient_mean = ctx.ranks.added(torch.stack([of_weight, of_bias])) / ctx.count
        factor = (variance + ctx.eps).rsqrt() * (1 if weight is None else weight)
        of_moments = F.batch_norm(values, mean, variance, factor * product_mean, factor * gradient_mean, eps=ctx.eps)
        of_values = gradient * factor.view(1, -1, *[1] * (values.ndim - 2)) - of_moments
        return of_values, *((None, None) if weight is None else (of_weight, of_bias)), None, None, None, None, None
