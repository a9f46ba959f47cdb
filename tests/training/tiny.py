"""A recipe, images and a network so small that an epoch takes milliseconds, and a log that keeps what it is given."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fakeface.core.records import EpochRecord, Side
from fakeface.faces.cooccurrences import SIZE
from fakeface.faces.regions import Region
from fakeface.params import AugmentParams, ModelParams, TrainParams
from fakeface.training.devices import Device
from fakeface.training.packed import PackedSide
from fakeface.training.recipe import Recipe
from tests.split_rows import image

CPU = Device(torch.device("cpu"), bf16=False)
TRAIN_PX, EVAL_PX = 24, 16
ARCH = "shufflenet_v2_x0_5"
"""Of the recipe; where `tiny_network` takes the place of `new_classifier` it is not built."""
TRAIN = TrainParams(
    seed=0,
    optimizer="adamw",
    lr=0.01,
    weight_decay=0.01,
    schedule="one_cycle",
    label_smoothing=0.1,
    batch_size=8,
    epochs=3,
    patience=3,
    averaging=0.0,
    refit=False,
    device="cpu",
    precision="float32",
    layout="channels_last",
    processes=1,
)
AUGMENT = AugmentParams(
    crop_px=EVAL_PX,
    horizontal_flip=0.5,
    rotation_degrees=10,
    brightness=0.2,
    contrast=0.2,
    saturation=0.2,
    hue=0.1,
    laundered=0.0,
)
RECIPE = Recipe(
    "ce",
    TRAIN,
    AUGMENT,
    ModelParams(arch=ARCH, weights="random", pooling="image", frozen=False, parts=0.3, cooccurrences=False, overview=False),
    "centre",
    [0.5, 0.4, 0.3],
    [0.2, 0.3, 0.4],
)


def with_train(**changes: Any) -> Recipe:
    return replace(RECIPE, train=replace(TRAIN, **changes))


def packed_side(name: Side, count: int, px: int) -> PackedSide:
    """Noise; the fakes are brighter."""
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 2
    images = (rng.integers(0, 180, (count, px, px, 3)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    regions = rng.integers(0, len(Region), (count, 1, px, px)).astype(np.uint8)
    laundered = np.zeros((count, 0, px, px, 3), np.uint8)
    cooccurrences = rng.random((count, 1, SIZE), np.float32)
    return PackedSide(images, regions, laundered, cooccurrences, [image(row, row % 2, side=name) for row in range(count)])


def tiny_network(_: ModelParams, seed: int) -> nn.Module:
    """In the place of `new_classifier`: with batch normalisation and dropout, as the real networks have them."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32, 2),
    )


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class KilledError(Exception):
    """As if the process had ended."""


class RecordingLog:
    """Keeps what `fit` logs; ends the training after the epoch `killed_after`."""

    def __init__(self, killed_after: int | None = None) -> None:
        self.killed_after = killed_after
        self.run_record: dict[str, Any] = {}
        self.resumed_after = 0
        self.epochs: list[tuple[EpochRecord, bool]] = []

    def start(self, run_record: dict[str, Any]) -> None:
        self.run_record, self.resumed_after = run_record, len(run_record["epochs"])

    def log_epoch(self, epoch: EpochRecord, *, is_best: bool) -> None:
        self.epochs.append((epoch, is_best))
        if epoch.epoch == self.killed_after:
            raise KilledError
