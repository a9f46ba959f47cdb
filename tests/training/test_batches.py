import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fakeface.training import batches
from fakeface.training.batches import (
    SideTensors,
    batch_sizes,
    eval_batches,
    normalizer,
    to_pixels,
    to_tensors,
    train_batches,
    valid_batches,
)
from fakeface.training.devices import Device
from fakeface.training.recipe import MEMORY_FORMATS, Recipe
from tests.training.tiny import CPU, EVAL_PX, RECIPE, TRAIN_PX, packed_side, with_train

BF16 = Device(CPU.torch_device, bf16=True)


def train_side(count: int = 27) -> SideTensors:
    return to_tensors(packed_side("train", count, TRAIN_PX), CPU)


def valid_side(count: int = 70) -> SideTensors:
    return to_tensors(packed_side("valid", count, EVAL_PX), CPU)


def epoch_of(side: SideTensors, recipe: Recipe = RECIPE, seed: int = 0, device: Device = CPU) -> list[SideTensors]:
    return list(train_batches(side, recipe, device, torch.Generator().manual_seed(seed)))


@given(count=st.integers(2, 60), batch_size=st.integers(2, 12))
def test_batches_hold_every_image_and_none_is_alone(count: int, batch_size: int) -> None:
    sizes = batch_sizes(count, batch_size)
    assert sum(sizes) == count
    assert set(sizes[:-1]) <= {batch_size}
    assert 2 <= sizes[-1] <= batch_size + 1


def test_an_epoch_holds_each_image_once_with_its_label() -> None:
    """Unnormalised and unaugmented, an image is recognised by its pixels."""
    still = dict.fromkeys(("horizontal_flip", "rotation_degrees", "brightness", "contrast", "saturation", "hue"), 0.0)
    augment = RECIPE.augment.__class__(crop_px=TRAIN_PX, **still)
    recipe = Recipe("ce", RECIPE.train, augment, RECIPE.model, [0.0] * 3, [1.0] * 3)
    side = train_side()
    epoch = epoch_of(side, recipe)
    assert [len(batch.labels) for batch in epoch] == [8, 8, 8, 3]
    inputs, labels = torch.cat([batch.images for batch in epoch]), torch.cat([batch.labels for batch in epoch])
    position = {image.numpy().tobytes(): row for row, image in enumerate(to_pixels(side.images).contiguous())}
    rows = [position[image.contiguous().numpy().tobytes()] for image in inputs]
    assert sorted(rows) == list(range(27))
    assert rows != sorted(rows)
    assert torch.equal(labels, side.labels[rows])


def test_an_epochs_batches_are_those_of_its_generator() -> None:
    one, other, another = (epoch_of(train_side(), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(mine.images, yours.images) for mine, yours in zip(one, other, strict=True))
    assert not any(torch.equal(mine.images, yours.images) for mine, yours in zip(one, another, strict=True))


def test_how_many_are_augmented_at_a_time_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = []
    for together in (1, 3, 100):
        monkeypatch.setattr(batches, "CACHED_IMAGES", together)
        epochs.append([batch.images for batch in epoch_of(train_side())])
    for others in epochs[1:]:
        torch.testing.assert_close(others, epochs[0], rtol=0, atol=1e-5)


def test_validation_images_are_normalised_not_augmented() -> None:
    """70 images are batches of 64 and 6."""
    epoch = list(valid_batches(valid_side(), RECIPE, CPU))
    assert [len(batch.labels) for batch in epoch] == [64, 6]
    pixels = packed_side("valid", 70, EVAL_PX).images.transpose(0, 3, 1, 2) / 255
    expected = (pixels - np.reshape(RECIPE.mean, (1, 3, 1, 1))) / np.reshape(RECIPE.std, (1, 3, 1, 1))
    np.testing.assert_allclose(torch.cat([batch.images for batch in epoch]).numpy(), expected, atol=1e-5)
    assert torch.equal(torch.cat([batch.labels for batch in epoch]), valid_side().labels)


@pytest.mark.parametrize(("layout", "memory_format"), MEMORY_FORMATS.items())
def test_inputs_lie_in_memory_as_asked(layout: str, memory_format: torch.memory_format) -> None:
    recipe = with_train(layout=layout)
    for batch in (*epoch_of(train_side(), recipe), *valid_batches(valid_side(), recipe, CPU)):
        assert batch.images.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize(("device", "dtype"), [(CPU, torch.float32), (BF16, torch.bfloat16)])
def test_inputs_have_the_precision_of_the_forward_pass(device: Device, dtype: torch.dtype) -> None:
    for batch in (*epoch_of(train_side(), device=device), *valid_batches(valid_side(), RECIPE, device)):
        assert batch.images.dtype == dtype


def test_packed_images_come_in_order() -> None:
    side = valid_side()
    assert torch.equal(torch.cat([batch.images for batch in eval_batches(side, CPU)]), side.images)


def test_the_mean_becomes_zero_and_a_deviation_above_it_one() -> None:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (RECIPE.mean, RECIPE.std))
    pixels = torch.cat([mean, mean + std])
    expected = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    torch.testing.assert_close(normalizer(RECIPE, CPU)(pixels), expected, rtol=0, atol=1e-6)


def test_mapped_images_that_cannot_be_written_to_give_the_same_batches() -> None:
    packed = packed_side("train", 27, TRAIN_PX)
    packed.images.setflags(write=False)
    for mapped, expected in zip(epoch_of(to_tensors(packed, CPU)), epoch_of(train_side()), strict=True):
        assert torch.equal(mapped.images, expected.images)
