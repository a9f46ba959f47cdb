from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fakeface.params import AugmentParams
from fakeface.training import batches
from fakeface.training.batches import (
    Batch,
    SideTensors,
    batch_sizes,
    normalize,
    to_planes,
    to_tensors,
    train_batches,
    valid_batches,
)
from fakeface.training.devices import Device
from fakeface.training.recipe import MEMORY_FORMATS, Recipe
from tests.training.tiny import CPU, EVAL_PX, RECIPE, TRAIN_PX, packed_side, with_train

BF16 = Device(CPU.torch_device, bf16=True)
REGIONS = replace(RECIPE, model=replace(RECIPE.model, pooling="regions"))
STILL = AugmentParams(
    crop_px=TRAIN_PX,
    horizontal_flip=0.0,
    rotation_degrees=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    hue=0.0,
    laundered=0.5,
)


def all_planes(side: SideTensors) -> Tensor:
    return side.rows(torch.arange(len(side.labels)), torch.zeros(len(side.labels), dtype=torch.int64))


def train_side(count: int = 27) -> SideTensors:
    return to_tensors(packed_side("train", count, TRAIN_PX), CPU)


def valid_side(count: int = 70) -> SideTensors:
    return to_tensors(packed_side("valid", count, EVAL_PX), CPU)


def epoch_of(side: SideTensors, recipe: Recipe = RECIPE, seed: int = 0, device: Device = CPU) -> list[Batch]:
    return list(train_batches(side, recipe, device, torch.Generator().manual_seed(seed)))


@given(count=st.integers(2, 60), batch_size=st.integers(2, 12))
def test_batches_hold_every_image_and_none_is_alone(count: int, batch_size: int) -> None:
    sizes = batch_sizes(count, batch_size)
    assert sum(sizes) == count
    assert set(sizes[:-1]) <= {batch_size}
    assert 2 <= sizes[-1] <= batch_size + 1


def test_an_epoch_holds_each_image_once_with_its_label() -> None:
    """Unnormalised and unaugmented, an image is recognised by its pixels."""
    recipe = replace(REGIONS, augment=STILL, mean=[0.0] * 3, std=[1.0] * 3)
    side = train_side()
    epoch = epoch_of(side, recipe)
    assert [len(batch.labels) for batch in epoch] == [8, 8, 8, 3]
    inputs, labels = torch.cat([batch.inputs for batch in epoch]), torch.cat([batch.labels for batch in epoch])
    position = {image.numpy().tobytes(): row for row, image in enumerate(to_planes(all_planes(side)).contiguous())}
    rows = [position[image.contiguous().numpy().tobytes()] for image in inputs]
    assert sorted(rows) == list(range(27))
    assert rows != sorted(rows)
    assert torch.equal(labels, side.labels[rows])


def test_an_epochs_batches_are_those_of_its_generator() -> None:
    one, other, another = (epoch_of(train_side(), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(mine.inputs, yours.inputs) for mine, yours in zip(one, other, strict=True))
    assert not any(torch.equal(mine.inputs, yours.inputs) for mine, yours in zip(one, another, strict=True))


def test_how_many_are_augmented_at_a_time_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = []
    for together in (1, 3, 100):
        monkeypatch.setattr(batches, "CACHED_IMAGES", together)
        epochs.append([batch.inputs for batch in epoch_of(train_side())])
    for others in epochs[1:]:
        torch.testing.assert_close(others, epochs[0], rtol=0, atol=1e-5)


def test_validation_images_are_normalised_not_augmented() -> None:
    """70 images are batches of 64 and 6."""
    epoch = list(valid_batches(valid_side(), RECIPE, CPU))
    assert [len(batch.labels) for batch in epoch] == [64, 6]
    pixels = packed_side("valid", 70, EVAL_PX).images.transpose(0, 3, 1, 2) / 255
    expected = (pixels - np.reshape(RECIPE.mean, (1, 3, 1, 1))) / np.reshape(RECIPE.std, (1, 3, 1, 1))
    np.testing.assert_allclose(torch.cat([batch.inputs for batch in epoch]).numpy(), expected, atol=1e-5)
    assert torch.equal(torch.cat([batch.labels for batch in epoch]), valid_side().labels)


@pytest.mark.parametrize(("layout", "memory_format"), MEMORY_FORMATS.items())
def test_inputs_lie_in_memory_as_asked(layout: str, memory_format: torch.memory_format) -> None:
    recipe = with_train(layout=layout)
    for batch in (*epoch_of(train_side(), recipe), *valid_batches(valid_side(), recipe, CPU)):
        assert batch.inputs.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize(("device", "dtype"), [(CPU, torch.float32), (BF16, torch.bfloat16)])
def test_inputs_have_the_precision_of_the_forward_pass(device: Device, dtype: torch.dtype) -> None:
    for batch in (*epoch_of(train_side(), device=device), *valid_batches(valid_side(), RECIPE, device)):
        assert batch.inputs.dtype == dtype


def test_packed_images_come_in_order() -> None:
    side = valid_side()
    planes = all_planes(side)
    assert torch.equal(planes[..., :3], side.images)
    assert torch.equal(planes[..., 3], side.regions[:, 0])
    batches = list(valid_batches(side, REGIONS, CPU))
    torch.testing.assert_close(torch.cat([batch.inputs for batch in batches]), normalize(to_planes(planes), REGIONS))
    assert torch.equal(torch.cat([batch.cooccurrences for batch in batches]), side.cooccurrences[:, 0])
    assert [len(batch.labels) for batch in batches] == [64, 6]


def test_the_mean_becomes_zero_and_a_deviation_above_it_one() -> None:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (RECIPE.mean, RECIPE.std))
    pixels = torch.cat([mean, mean + std])
    regions = torch.tensor([2.0, 5.0]).view(2, 1, 1, 1)
    expected = torch.cat([torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1), regions], dim=1)
    torch.testing.assert_close(normalize(torch.cat([pixels, regions], dim=1), RECIPE), expected, rtol=0, atol=1e-6)


def test_mapped_images_that_cannot_be_written_to_give_the_same_batches() -> None:
    packed = packed_side("train", 27, TRAIN_PX)
    packed.images.setflags(write=False)
    for mapped, expected in zip(epoch_of(to_tensors(packed, CPU)), epoch_of(train_side()), strict=True):
        assert torch.equal(mapped.inputs, expected.inputs)


def test_networks_without_regions_see_the_colours_alone() -> None:
    for with_regions, without in zip(epoch_of(train_side(), REGIONS), epoch_of(train_side()), strict=True):
        assert torch.equal(with_regions.inputs[:, :3], without.inputs)
        assert with_regions.inputs.shape[1] == 4


def test_laundered_copies_stand_for_as_many_images_as_asked() -> None:
    """Images are black; each laundered copy is of one grey level, its number and one, and all of it is of that region."""
    packed = packed_side("train", 2000, 4)
    laundered = np.empty((2000, 2, 4, 4, 3), np.uint8)
    laundered[:, 0], laundered[:, 1] = 1, 2
    of_level = np.broadcast_to(np.arange(3, dtype=np.float32).reshape(1, 3, 1), (2000, 3, 5)).copy()
    regions = np.broadcast_to(np.arange(3, dtype=np.uint8).reshape(1, 3, 1, 1), (2000, 3, 4, 4)).copy()
    black = np.zeros_like(packed.images)
    packed = replace(packed, images=black, laundered=laundered, regions=regions, cooccurrences=of_level)
    side = to_tensors(packed, CPU)
    recipe = replace(REGIONS, augment=replace(STILL, crop_px=4, laundered=0.3), mean=[0.0] * 3, std=[1 / 255] * 3)
    epoch = epoch_of(side, recipe)
    inputs = torch.cat([batch.inputs for batch in epoch])
    levels = inputs[:, 0, 0, 0].round().int()
    assert torch.equal(torch.cat([batch.cooccurrences for batch in epoch])[:, 0].int(), levels), "the copy's own"
    assert torch.equal(inputs.round().int(), levels.view(-1, 1, 1, 1).expand(-1, 4, 4, 4))
    first, second = ((levels == level).float().mean().item() for level in (1, 2))
    assert first == pytest.approx(0.15, abs=0.03)
    assert second == pytest.approx(0.15, abs=0.03)


def test_a_share_of_no_laundered_copies_changes_no_random_value() -> None:
    packed = packed_side("train", 27, TRAIN_PX)
    laundered = np.ones((27, 2, TRAIN_PX, TRAIN_PX, 3), np.uint8)
    regions, cooccurrences = packed.regions.repeat(3, axis=1), packed.cooccurrences.repeat(3, axis=1)
    with_copies = replace(packed, laundered=laundered, regions=regions, cooccurrences=cooccurrences)
    for mine, yours in zip(epoch_of(to_tensors(with_copies, CPU)), epoch_of(train_side()), strict=True):
        assert torch.equal(mine.inputs, yours.inputs)


def test_a_flipped_images_eyes_change_their_labels_too() -> None:
    side = train_side()
    side = side._replace(parts=torch.tensor([[1.0, 0.0, 1.0, 0.0]]).repeat(27, 1))
    always = replace(RECIPE, augment=replace(STILL, horizontal_flip=1.0, laundered=0.0))
    for batch in epoch_of(side, always):
        assert torch.equal(batch.parts, torch.tensor([[0.0, 1.0, 1.0, 0.0]]).repeat(len(batch.labels), 1))


def test_parts_are_known_of_reals_and_of_fakes_with_bits() -> None:
    packed = packed_side("train", 3, TRAIN_PX)
    unknown, known = packed.records[1], replace(packed.records[1], left_eye=1, right_eye=0, nose=0, mouth=1)
    real, blind = replace(packed, records=[packed.records[0], known, replace(unknown, nose=None)]).parts[[0, 2]]
    assert real.tolist() == [0, 0, 0, 0]
    assert np.isnan(blind).any()
    assert replace(packed, records=[packed.records[0], known, unknown]).parts[1].tolist() == [1, 0, 0, 1]
