"""The optimizer and its learning rate at every step."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from fakeface.params import TrainParams


def new_optimizer(network: nn.Module, params: TrainParams) -> torch.optim.Optimizer:
    optimizer_class = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return optimizer_class(trained, lr=params.lr, weight_decay=params.weight_decay, fused=True)


def average_of(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """The moving average of weights, which keeps the share `decay` of itself at each step, less of it in the first ones."""

    def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():  # batch normalisation's counter
            return current
        return averaged.lerp(current, 1 - min(decay, (int(count) + 1) / (int(count) + 10)))

    return average


def learning_rate(step: int, steps: int, peak: float, schedule: Literal["constant", "one_cycle"]) -> float:
    """The rate at a step of 0..steps-1; one_cycle is Smith & Topin 2018 with the cosines and defaults of torch's OneCycleLR."""
    if schedule == "constant":
        return peak
    rise_end, last = 0.3 * steps - 1, steps - 1
    if step <= rise_end:
        return _cosine(peak / 25, peak, step / rise_end)
    return _cosine(peak, peak / 25e4, (step - rise_end) / (last - rise_end))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def current_learning_rate(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])
