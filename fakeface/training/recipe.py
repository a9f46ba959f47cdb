"""What decides the result of a training, apart from the images."""

from dataclasses import asdict
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from fakeface.core.params import STRICT
from fakeface.core.records import ObjectiveName
from fakeface.training.augmentation import AugmentParams
from fakeface.training.devices import DeviceName, Precision
from fakeface.training.losses import OBJECTIVES, Objective
from fakeface.training.network import ModelParams

Layout = Literal["channels_last", "contiguous"]

MEMORY_FORMATS: dict[Layout, torch.memory_format] = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainParams:
    """Section `train`; training stops after `patience` epochs without a better validation accuracy."""

    seed: int = Field(ge=0)
    optimizer: Literal["adam", "adamw"]
    lr: float = Field(gt=0, allow_inf_nan=False)
    weight_decay: float = Field(ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "one_cycle"]
    label_smoothing: float = Field(ge=0, lt=1)
    batch_size: int = Field(ge=2)
    epochs: int = Field(ge=1)
    patience: int = Field(ge=1)
    device: DeviceName
    precision: Precision
    layout: Layout


@dataclass(frozen=True)
class Recipe:
    """The loss, the parameters and the train images' `mean` and `std` per channel, of pixels in [0, 1]."""

    objective_name: ObjectiveName
    train: TrainParams
    augment: AugmentParams
    model: ModelParams
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
