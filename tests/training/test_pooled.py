from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from fakeface.faces.regions import Region
from fakeface.params import ModelParams
from fakeface.training.batches import to_tensors, train_batches, valid_batches
from fakeface.training.checkpoint import Checkpoints
from fakeface.training.fit import fit, new_network
from fakeface.training.looks import Looks
from fakeface.training.network import copy_weights
from fakeface.training.packed import PackedSide
from fakeface.training.pooled import PooledTensors, look_once
from fakeface.training.region_network import RegionNetwork, Seen
from tests.training.tiny import AUGMENT, CPU, RECIPE, RecordingLog, packed_side, with_train

PX = 32
STILL = replace(
    AUGMENT, crop_px=PX, rotation_degrees=0, brightness=0, contrast=0, saturation=0, hue=0, laundered=0.5, horizontal_flip=0.5
)
FROZEN = ModelParams(
    arch="resnet18", weights="random", pooling="regions", frozen=True, parts=0.3, cooccurrences=True, overview=True
)
LOOKED_AT = replace(RECIPE, model=FROZEN, augment=STILL, framing="native")


def train_side() -> PackedSide:
    """With a laundered copy of each image, its negative, whose regions and co-occurrences are its own."""
    packed = packed_side("train", 12, PX)
    rng = np.random.default_rng(1)
    regions = np.concatenate([packed.regions, rng.integers(0, len(Region), packed.regions.shape, np.uint8)], axis=1)
    cooccurrences = np.concatenate([packed.cooccurrences, 1 - packed.cooccurrences], axis=1)
    return replace(packed, laundered=255 - packed.images[:, np.newaxis], regions=regions, cooccurrences=cooccurrences)


@pytest.fixture
def network() -> RegionNetwork:
    network = new_network(LOOKED_AT, CPU, PX)
    assert isinstance(network, RegionNetwork)
    return network


def outputs_of(network: RegionNetwork, inputs: Tensor | Seen, cooccurrences: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack(network.eval().branches(inputs, cooccurrences))


def test_an_epoch_of_what_was_looked_at_once_is_one_of_the_images(network: RegionNetwork) -> None:
    """The same images, copies and flips in the same order, with the same labels and parts, for the overview too."""
    images = to_tensors(train_side(), CPU)
    pooled = look_once(network, images, LOOKED_AT, CPU, Looks(), "train")
    assert pooled.pooled.shape == (12, 2, 2, network.features.width)
    epochs = [list(train_batches(side, LOOKED_AT, CPU, torch.Generator().manual_seed(3))) for side in (images, pooled)]
    for mine, yours in zip(*epochs, strict=True):
        assert torch.equal(mine.labels, yours.labels)
        assert torch.equal(mine.cooccurrences, yours.cooccurrences)
        assert torch.equal(mine.parts.nan_to_num(9), yours.parts.nan_to_num(9))
        torch.testing.assert_close(
            outputs_of(network, mine.inputs, mine.cooccurrences),
            outputs_of(network, yours.inputs, yours.cooccurrences),
            rtol=1e-3,
            atol=1e-3,
        )


def test_valid_images_are_looked_at_as_they_are(network: RegionNetwork) -> None:
    images = to_tensors(packed_side("valid", 5, PX), CPU)
    pooled = look_once(network, images, LOOKED_AT, CPU, Looks(), "valid")
    assert isinstance(pooled, PooledTensors)
    assert pooled.pooled.shape == (5, 1, 1, network.features.width)
    ((one,), (other,)) = (list(valid_batches(side, LOOKED_AT, CPU)) for side in (images, pooled))
    for mine, yours in zip(network.eval().see(one.inputs), other.inputs, strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-4, atol=1e-4)


def test_without_an_overview_nothing_but_what_is_pooled_is_passed_on(network: RegionNetwork) -> None:
    network.overview = None
    pooled = look_once(network, to_tensors(packed_side("valid", 5, PX), CPU), LOOKED_AT, CPU, Looks(), "valid")
    (batch,) = valid_batches(pooled, LOOKED_AT, CPU)
    assert batch.inputs.planes is None
    assert len(network.eval().branches(batch.inputs, batch.cooccurrences)) == 2


def test_a_training_changes_what_judges_and_not_what_looks(network: RegionNetwork) -> None:
    recipe = replace(LOOKED_AT, train=with_train(epochs=2, averaging=0.9).train)
    log = RecordingLog()
    valid = packed_side("valid", 10, PX)
    result = fit(recipe, CPU, train_side(), valid, Checkpoints(None), {"epochs": []}, log)
    before, after = copy_weights(network), copy_weights(result.network)
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"features", "cooccurrences", "overview"}
    assert [epoch.epoch for epoch, _ in log.epochs] == [1, 2]
    assert result.valid.p_fake.shape == (10,)
