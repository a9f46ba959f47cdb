import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from fakeface.core.records import ObjectiveName
from fakeface.training.checkpoint import Checkpoints
from fakeface.training.fit import fit
from fakeface.training.looks import MAX_FOLDERS, Looks, open_looks
from fakeface.training.network import copy_weights
from fakeface.training.region_network import RegionNetwork
from tests.training.test_pooled import LOOKED_AT, PX, train_side
from tests.training.tiny import CPU, RecordingLog, packed_side, with_train

RECIPE = replace(LOOKED_AT, train=with_train(epochs=1, averaging=0.9).train)


def trained(objective: ObjectiveName, looks: Looks) -> tuple[dict[str, torch.Tensor], int]:
    """The weights of a training, and at how many batches the backbone looked but for the rehearsal."""
    recipe, valid = replace(RECIPE, objective_name=objective), packed_side("valid", 10, PX)
    with patch.object(RegionNetwork, "pool", autospec=True, side_effect=RegionNetwork.pool) as pool:
        result = fit(recipe, CPU, train_side(), valid, Checkpoints(None), {"epochs": []}, RecordingLog(), looks)
    return copy_weights(result.network), sum(len(call.args[1]) > 3 for call in pool.call_args_list)


def test_the_second_loss_looks_at_nothing_and_learns_the_same(tmp_path: Path) -> None:
    looks = open_looks(tmp_path, "a")
    without, looked_at = trained("bce", Looks())
    assert looked_at == 5  # photos and copies, as they are and flipped, and valid
    assert trained("ce", looks)[1] == 5
    within, looked_at = trained("bce", looks)
    assert looked_at == 0
    assert all(torch.equal(value, within[name]) for name, value in without.items())


@pytest.mark.parametrize("damage", [b"", b"half of it"])
def test_what_is_damaged_is_looked_at_again(tmp_path: Path, damage: bytes) -> None:
    looks = open_looks(tmp_path, "a")
    trained("ce", looks)
    (tmp_path / "a/train.safetensors").write_bytes(damage)
    assert trained("ce", looks)[1] == 4


def test_the_latest_few_stay(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}").mkdir()
        os.utime(tmp_path / f"{number}", (number, number))
    open_looks(tmp_path, "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "4", "5"]
    assert MAX_FOLDERS == 3
