"""What decides the result of a training, apart from the images."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from fakeface.core.records import Framing, ObjectiveName
from fakeface.params import AugmentParams, Layout, ModelParams, TrainParams
from fakeface.training.losses import OBJECTIVES, Objective

MEMORY_FORMATS: dict[Layout, torch.memory_format] = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


@dataclass(frozen=True)
class Recipe:
    """The loss, the parameters and the train images' `framing`, and `mean` and `std` per channel, of pixels in [0, 1]."""

    objective_name: ObjectiveName
    train: TrainParams
    augment: AugmentParams
    model: ModelParams
    framing: Framing
    mean: list[float]
    std: list[float]

    @property
    def objective(self) -> Objective:
        return OBJECTIVES[self.objective_name]

    @property
    def memory_format(self) -> torch.memory_format:
        return MEMORY_FORMATS[self.train.layout]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
