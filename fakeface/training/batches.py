"""From packed images to batches as the network takes them: augmented for training, normalised, on the device."""

import warnings
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from fakeface.training.augmentation import COLOURS, augment, random_values
from fakeface.training.devices import Device
from fakeface.training.packed import PackedSide
from fakeface.training.ranks import Ranks
from fakeface.training.recipe import Recipe

EVAL_BATCH_SIZE = 64
CACHED_IMAGES = 8
"""On a CPU so many images are preprocessed at a time: what one change passes on to the next stays in the cache."""


class SideTensors(NamedTuple):
    """One side's images uint8 (N, P, P, 3), regions (N, P, P), laundered copies (N, K, P, P, 3), labels (N,), parts (N, 4).

    `cooccurrences` (N, 1 + K, SIZE) are those of the photos and of the copies.
    """

    images: Tensor
    regions: Tensor
    laundered: Tensor
    cooccurrences: Tensor
    labels: Tensor
    parts: Tensor

    def rows(self, rows: Tensor, copies: Tensor | None = None) -> Tensor:
        """Some images with their regions as a fourth plane, (n, P, P, 4); from `copies` (n,), if 0 or more, that copy."""
        images = self.images[rows]
        if copies is not None and len(chosen := (copies >= 0).nonzero().flatten()):
            images[chosen] = self.laundered[rows[chosen], copies[chosen]]
        return torch.cat([images, self.regions[rows].unsqueeze(-1)], dim=-1)

    def cooccurrences_of(self, rows: Tensor, copies: Tensor | None = None) -> Tensor:
        """(n, SIZE) of the same images as `rows`."""
        return self.cooccurrences[rows, torch.zeros_like(rows) if copies is None else copies + 1]


class Batch(NamedTuple):
    """Network inputs (N, 4, H, W), normalised colours and the Region of each pixel, with labels (N,) and parts (N, 4).

    `cooccurrences` (N, SIZE) are of the photos' own pixels, not augmented. A part is 1 where it comes from another photo, 0
    where it does not, NaN where that is not known. Where several processes train together these are a process's own of
    `images`. Its mean loss then has a weight, its share of the images times the number of processes, so that the mean over
    processes is that over images; likewise for those whose parts are known.
    """

    inputs: Tensor
    cooccurrences: Tensor
    labels: Tensor
    parts: Tensor
    images: int
    weight: float = 1.0
    parts_weight: float = 1.0


def known(parts: Tensor) -> Tensor:
    """(N,): of which images the parts (N, 4) are known."""
    return ~parts.isnan().any(dim=1)


def to_tensors(side: PackedSide, device: Device) -> SideTensors:
    """Labels on the device; pixels on a GPU if they take at most half of its free memory, else mapped on the CPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nothing writes to it
        arrays = [torch.from_numpy(array) for array in (side.images, side.regions, side.laundered, side.cooccurrences)]
    if device.is_cuda and sum(array.nbytes for array in arrays) <= torch.cuda.mem_get_info(device.torch_device)[0] // 2:
        arrays = [array.to(device.torch_device) for array in arrays]
    labels, parts = (torch.from_numpy(values).to(device.torch_device) for values in (side.labels, side.parts))
    images, regions, laundered, cooccurrences = arrays
    return SideTensors(images, regions, laundered, cooccurrences, labels, parts)


def batch_sizes(count: int, batch_size: int) -> list[int]:
    """A last batch of one image joins the batch before it, since batch normalisation needs two."""
    sizes = [min(batch_size, count - first) for first in range(0, count, batch_size)]
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [batch_size + 1]
    return sizes


def train_batches(train: SideTensors, recipe: Recipe, device: Device, generator: torch.Generator) -> Iterator[Batch]:
    """Batches of side crop_px, shuffled and augmented, with all randomness from the generator; of each this process's part."""
    order = torch.randperm(len(train.labels), generator=generator).to(train.images.device)
    epoch_values = random_values(len(order), recipe.augment, generator)
    epoch_values = {name: values.to(device.torch_device) for name, values in epoch_values.items()}
    copies = random_copies(train, recipe.augment.laundered, generator)
    first, ranks = 0, device.ranks
    for batch in torch.split(order, batch_sizes(len(order), recipe.train.batch_size)):
        colour_order = torch.randperm(4, generator=generator).tolist()
        own = ranks.own(len(batch))
        rows, drawn = batch[own], slice(first + own.start, first + own.stop)
        chosen = None if copies is None else copies[drawn]
        images, cooccurrences = (
            values.to(device.torch_device) for values in (train.rows(rows, chosen), train.cooccurrences_of(rows, chosen))
        )
        values = {name: values[drawn] for name, values in epoch_values.items()}
        parts = []
        for part in chunks(len(rows), device):
            own_values = {name: value[part] for name, value in values.items()}
            planes = augment(images[part], own_values, recipe.augment, colour_order)
            parts.append(to_network_format(normalize(planes, recipe), recipe, device))
        same_rows = rows.to(train.labels.device)
        own_parts = swap_eye_parts(train.parts[same_rows], values["flip"])
        labelled = Batch(torch.cat(parts), cooccurrences, train.labels[same_rows], own_parts, len(batch))
        yield labelled if ranks.count == 1 else _weighted(labelled, train.parts[batch.to(train.parts.device)], ranks)
        first += len(batch)


def _weighted(batch: Batch, all_parts: Tensor, ranks: Ranks) -> Batch:
    """A process's part of a batch with its weights; `all_parts` are those of the whole batch."""
    shares = len(batch.labels) / batch.images, (known(batch.parts).sum() / known(all_parts).sum().clamp_min(1)).item()
    return batch._replace(weight=ranks.count * shares[0], parts_weight=ranks.count * shares[1])


def random_copies(train: SideTensors, share: float, generator: torch.Generator) -> Tensor | None:
    """For each image in an epoch's order, with probability `share` which of its laundered copies stands for it, else -1.

    Without laundered copies nothing is drawn: None.
    """
    count, copies = train.laundered.shape[:2]
    if copies == 0 or share == 0:
        return None
    drawn = torch.randint(copies, (count,), generator=generator)
    return torch.where(torch.rand(count, generator=generator) < share, drawn, -1).to(train.laundered.device)


def swap_eye_parts(parts: Tensor, flipped: Tensor) -> Tensor:
    """Parts (N, 4), whose first two are the eyes, of images of which some are flipped."""
    return torch.where(flipped.view(-1, 1), parts[:, [1, 0, 2, 3]], parts)


def valid_batches(valid: SideTensors, recipe: Recipe, device: Device) -> Iterator[Batch]:
    """Batches of side eval_px, in order; where several processes evaluate together, every so many'th."""
    own = islice(eval_batches(valid, device), device.ranks.rank, None, device.ranks.count)
    for images, cooccurrences, rows in own:
        parts = [
            to_network_format(normalize(to_planes(images[part]), recipe), recipe, device)
            for part in chunks(len(images), device)
        ]
        yield Batch(torch.cat(parts), cooccurrences, valid.labels[rows], valid.parts[rows], len(images))


def eval_batches(side: SideTensors, device: Device) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Packed images with regions (N, P, P, 4), co-occurrences (N, SIZE), in order, on the device, and which rows they are."""
    for first in range(0, len(side.labels), EVAL_BATCH_SIZE):
        rows = torch.arange(first, min(first + EVAL_BATCH_SIZE, len(side.labels)), device=side.images.device)
        images, cooccurrences = (values.to(device.torch_device) for values in (side.rows(rows), side.cooccurrences_of(rows)))
        yield images, cooccurrences, slice(first, first + len(rows))


def normalize(planes: Tensor, recipe: Recipe) -> Tensor:
    """(pixels - mean) / std of planes (N, 4, H, W), whose first three are colours in [0, 1]; regions stay."""
    mean, std = (torch.tensor(values, device=planes.device).view(1, COLOURS, 1, 1) for values in (recipe.mean, recipe.std))
    scale, shift = 1 / std, -mean / std
    return torch.cat([torch.addcmul(shift, planes[:, :COLOURS], scale), planes[:, COLOURS:]], dim=1)


def to_planes(images: Tensor) -> Tensor:
    """Packed images with regions (N, P, P, 4) as planes (N, 4, P, P), of which the first three, the colours, are in [0, 1]."""
    planes = images.permute(0, 3, 1, 2).float()
    return torch.cat([planes[:, :COLOURS] / 255, planes[:, COLOURS:]], dim=1)


def network_planes(planes: Tensor, recipe: Recipe) -> Tensor:
    """Of planes (N, 4, H, W) those that the network takes: all, or the three colours."""
    return planes if recipe.model.pooling == "regions" else planes[:, :COLOURS]


def to_network_format(inputs: Tensor, recipe: Recipe, device: Device) -> Tensor:
    """The planes that the network takes, in the precision of the forward pass and the memory layout of the network."""
    inputs = network_planes(inputs, recipe)
    bf16 = device.bf16 and recipe.model.pooling == "image"  # the backbone casts its own
    return inputs.to(torch.bfloat16 if bf16 else torch.float32, memory_format=recipe.memory_format)


def chunks(count: int, device: Device) -> Iterator[slice]:
    """Which images of a batch are preprocessed at a time."""
    size = count if device.is_cuda else CACHED_IMAGES
    for first in range(0, count, size):
        yield slice(first, first + size)
