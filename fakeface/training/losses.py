"""The two losses, and how each turns logits into p_fake: the only difference between train_ce and train_bce."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fakeface.core.records import ObjectiveName


@dataclass(frozen=True)
class Objective:
    """`loss` is the mean over a batch of logits (N, 2), labels (N,) and label smoothing; `p_fake` is (N,) from logits.

    The log-odds of p_fake are `margin` times the logits.
    """

    name: ObjectiveName
    loss: Callable[[Tensor, Tensor, float], Tensor]
    p_fake: Callable[[Tensor], Tensor]
    margin: tuple[float, float]


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy on both outputs; smoothing spreads that share of the target evenly over the two classes."""
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def binary_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """BCE-with-logits on output 1; output 0 is never trained."""
    targets = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits[:, 1], targets)


def softmax_p_fake(logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=1)[:, 1]


def sigmoid_p_fake(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits[:, 1])


OBJECTIVES: dict[ObjectiveName, Objective] = {
    "ce": Objective("ce", cross_entropy, softmax_p_fake, (-1.0, 1.0)),
    "bce": Objective("bce", binary_cross_entropy, sigmoid_p_fake, (0.0, 1.0)),
}
