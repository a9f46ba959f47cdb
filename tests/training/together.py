"""A training of a tiny network as one of several processes: `python -m tests.training.together FOLDER CHANGES`.

The first one leaves its epochs, weights and p_fake in FOLDER; CHANGES, as JSON, are those to `train` of the tiny recipe.
"""

import json
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from fakeface.core.errors import run_as_command
from fakeface.core.records import EpochRecord
from fakeface.params import ModelParams
from fakeface.training import fit as training
from fakeface.training.checkpoint import Checkpoints
from fakeface.training.launching import joined
from fakeface.training.network import copy_weights
from fakeface.training.packed import PackedSide
from tests.training.tiny import CPU, EVAL_PX, TRAIN_PX, RecordingLog, packed_side, tiny_network, with_train

TRAIN_COUNT, VALID_COUNT = 27, 70
"""Batches of 8, 8, 8 and 3."""


class MortalLog(RecordingLog):
    """After an epoch, one of the processes may end as the kernel would end it."""

    def __init__(self, rank: int, killed: tuple[int, int] | None) -> None:
        super().__init__()
        self.rank, self.killed = rank, killed

    def log_epoch(self, epoch: EpochRecord, *, is_best: bool) -> None:
        super().log_epoch(epoch, is_best=is_best)
        if self.killed == (self.rank, epoch.epoch):
            os.kill(os.getpid(), signal.SIGKILL)


def tiny_sides() -> tuple[PackedSide, PackedSide]:
    """Of some of the fakes it is known which parts were replaced."""
    train, valid = packed_side("train", TRAIN_COUNT, TRAIN_PX), packed_side("valid", VALID_COUNT, EVAL_PX)
    laundered = np.stack([255 - train.images], axis=1)
    records = [replace(row, left_eye=None) if number % 3 else row for number, row in enumerate(train.records)]
    regions, cooccurrences = train.regions.repeat(2, axis=1), train.cooccurrences.repeat(2, axis=1)
    return replace(train, laundered=laundered, regions=regions, cooccurrences=cooccurrences, records=records), valid


def without_bias(params: ModelParams, seed: int) -> nn.Module:
    """Batch normalisation takes off what a bias before it adds: Adam follows the noise in its gradient, which is all it has."""
    network = tiny_network(params, seed)
    network.get_submodule("0").register_parameter("bias", None)
    return network


def main(argv: list[str]) -> None:
    folder, changes = Path(argv[0]), json.loads(argv[1])
    killed, fails = changes.pop("killed", None), changes.pop("fails", None)
    recipe = with_train(**changes)
    recipe = replace(recipe, augment=replace(recipe.augment, laundered=0.5))
    with joined() as ranks:
        log = MortalLog(ranks.rank, tuple(killed) if killed else None)
        if fails == ranks.rank:
            raise OSError(5, "Input/output error", "train.npy")
        checkpoints = Checkpoints(folder if ranks.is_first else None)
        with patch.object(training, "new_classifier", without_bias):
            result = training.fit(recipe, replace(CPU, ranks=ranks), *tiny_sides(), checkpoints, {"epochs": []}, log)
        if ranks.is_first:
            left: dict[str, Any] = {"epochs": list(map(asdict, result.epochs)), "weights": copy_weights(result.network)}
            torch.save(left | {"resumed_after": log.resumed_after, "p_fake": result.valid.p_fake.tolist()}, folder / "result")


if __name__ == "__main__":
    run_as_command(main)
