"""From packed images to batches as the network takes them: augmented for training, normalised, on the device."""

import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from fakeface.training.augmentation import augment, random_values
from fakeface.training.devices import Device
from fakeface.training.packed import PackedSide
from fakeface.training.recipe import Recipe

EVAL_BATCH_SIZE = 64
CACHED_IMAGES = 8
"""On a CPU so many images are preprocessed at a time: what one change passes on to the next stays in the cache."""


class SideTensors(NamedTuple):
    """One side's images uint8 (N, P, P, 3) and labels (N,)."""

    images: Tensor
    labels: Tensor


def to_tensors(side: PackedSide, device: Device) -> SideTensors:
    """Labels on the device; images on a GPU if they take at most half of its free memory, else mapped on the CPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nothing writes to it
        images = torch.from_numpy(side.images)
    if device.is_cuda and images.nbytes <= torch.cuda.mem_get_info(device.torch_device)[0] // 2:
        images = images.to(device.torch_device)
    return SideTensors(images, torch.from_numpy(side.labels).to(device.torch_device))


def batch_sizes(count: int, batch_size: int) -> list[int]:
    """A last batch of one image joins the batch before it, since batch normalisation needs two."""
    sizes = [min(batch_size, count - first) for first in range(0, count, batch_size)]
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [batch_size + 1]
    return sizes


def train_batches(train: SideTensors, recipe: Recipe, device: Device, generator: torch.Generator) -> Iterator[SideTensors]:
    """Inputs (N, 3, crop_px, crop_px) with labels (N,): shuffled and augmented, with all randomness from the generator."""
    normalize = normalizer(recipe, device)
    order = torch.randperm(len(train.labels), generator=generator).to(train.images.device)
    epoch_values = random_values(len(order), recipe.augment, generator)
    epoch_values = {name: values.to(device.torch_device) for name, values in epoch_values.items()}
    first = 0
    for rows in torch.split(order, batch_sizes(len(order), recipe.train.batch_size)):
        colour_order = torch.randperm(4, generator=generator).tolist()
        images = train.images[rows].to(device.torch_device)
        parts = []
        for part in chunks(len(rows), device):
            values = {name: values[first : first + len(rows)][part] for name, values in epoch_values.items()}
            pixels = augment(images[part], values, recipe.augment, colour_order)
            parts.append(to_network_format(normalize(pixels), recipe, device))
        yield SideTensors(torch.cat(parts), train.labels[rows.to(train.labels.device)])
        first += len(rows)


def valid_batches(valid: SideTensors, recipe: Recipe, device: Device) -> Iterator[SideTensors]:
    """Inputs (N, 3, eval_px, eval_px) with labels (N,)."""
    normalize = normalizer(recipe, device)
    for images, labels in eval_batches(valid, device):
        parts = [to_network_format(normalize(to_pixels(images[part])), recipe, device) for part in chunks(len(images), device)]
        yield SideTensors(torch.cat(parts), labels)


def eval_batches(side: SideTensors, device: Device) -> Iterator[SideTensors]:
    """Packed images with labels, in order, on the device."""
    for first in range(0, len(side.labels), EVAL_BATCH_SIZE):
        rows = slice(first, first + EVAL_BATCH_SIZE)
        yield SideTensors(side.images[rows].to(device.torch_device), side.labels[rows])


def normalizer(recipe: Recipe, device: Device) -> Callable[[Tensor], Tensor]:
    """The function that turns pixels in [0, 1] (N, 3, H, W) into (pixels - mean) / std, in one operation."""
    mean, std = (torch.tensor(values, device=device.torch_device).view(1, 3, 1, 1) for values in (recipe.mean, recipe.std))
    scale, shift = 1 / std, -mean / std
    return lambda pixels: torch.addcmul(shift, pixels, scale)


def to_pixels(images: Tensor) -> Tensor:
    """Packed images (N, P, P, 3) as pixels (N, 3, P, P) in [0, 1]."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def to_network_format(inputs: Tensor, recipe: Recipe, device: Device) -> Tensor:
    """In the precision of the forward pass and the memory layout of the network."""
    return inputs.to(torch.bfloat16 if device.bf16 else torch.float32, memory_format=recipe.memory_format)


def chunks(count: int, device: Device) -> Iterator[slice]:
    """Which images of a batch are preprocessed at a time."""
    size = count if device.is_cuda else CACHED_IMAGES
    for first in range(0, count, size):
        yield slice(first, first + size)
